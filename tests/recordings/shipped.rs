//! The recordings in this folder: each replays with the same result, and one that was changed does not.

use std::fs;
use std::path::{Path, PathBuf};

use monoloop::recording::{Ending, Recording};

use super::replay;
use super::support::serve::Folder;

/// The largest file.
const MAX_BYTES: usize = 60 * 1024;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings")
}

/// All recordings: their names and their text.
#[track_caller]
fn recordings() -> Vec<(String, String)> {
    let entries = fs::read_dir(folder()).expect("the folder can be read");
    let paths = entries.map(|entry| entry.expect("it can be read").path());
    let paths = paths.filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    let name = |path: &Path| path.file_stem().expect("it has one").to_string_lossy().into_owned();
    let read = |path: PathBuf| (name(&path), fs::read_to_string(path).expect("it is text"));
    let mut recordings: Vec<_> = paths.map(read).collect();
    assert!(recordings.len() >= 11, "{} recordings are left", recordings.len());
    // With compression, the handshake of a browser has another answer than it had when it was recorded.
    recordings.retain(|(name, _)| name != "chromium" || !cfg!(feature = "websocket-deflate"));
    recordings
}

#[test]
fn each_recording_replays_with_the_same_result() {
    for (name, text) in recordings() {
        let end = replay(&folder().join(format!("{name}.jsonl")), &[]);
        assert_eq!(end.code, Some(0), "{name}: {}{}", end.text(), end.errors);
        assert!(end.text().ends_with(" steps, all as they were recorded.\n"), "{name}: {}", end.text());
        let recording = Recording::read(text.as_bytes()).expect("it is one");
        assert_eq!((recording.ending(), recording.about("command")), (Ending::Whole, Some("demo")), "{name}");
        assert!(text.len() < MAX_BYTES, "{name} has {} bytes", text.len());
    }
}

#[test]
fn each_recording_has_its_lines_in_the_readme() {
    let readme = fs::read_to_string(folder().join("README.md")).expect("there is one");
    for (name, _) in recordings() {
        assert!(readme.contains(&format!("`{name}.jsonl`")), "README.md does not say what to look at in {name}");
    }
}

/// Changes the character before the end of the member `name`, in one line.
fn changed(line: &str, name: &str) -> Option<String> {
    let from = line.find(&format!("\"{name}\":\""))? + name.len() + 4;
    // The last letter or digit, so that the line stays one, and no escape is touched.
    let (place, last) = line[from..].split('"').next()?.char_indices().rfind(|(_, c)| c.is_ascii_alphanumeric())?;
    let other = if last == '7' { '8' } else { '7' };
    let at = from + place;
    let is_escape =
        line[..at].ends_with('\\') || line[..at].contains("\\u") && line[at.saturating_sub(5)..at].contains("\\u");
    (!is_escape).then(|| format!("{}{other}{}", &line[..at], &line[at + 1..]))
}

#[test]
fn a_changed_byte_is_found() {
    let folder = Folder::new();
    for (name, text) in recordings() {
        let lines: Vec<&str> = text.lines().collect();
        let mut changes = 0;
        for (event, member) in [("write", "bytes"), ("turned", "phase"), ("end", "reason"), ("request", "target")] {
            let event = format!("{{\"event\":\"{event}\"");
            let of_event =
                |place: &usize| lines[*place].starts_with(&event) && changed(lines[*place], member).is_some();
            let places: Vec<usize> = (0..lines.len()).filter(of_event).collect();
            let some = [places.first(), places.get(places.len() / 2), places.last()];
            for &place in some.into_iter().flatten() {
                let mut lines = lines.clone();
                let other = changed(lines[place], member).expect("it was found");
                lines[place] = &other;
                let end = replay(&folder.write("changed.jsonl", lines.join("\n") + "\n"), &[]);
                let said = end.text();
                assert_eq!(end.code, Some(1), "{name}, line {}: {other}\n{said}{}", place + 1, end.errors);
                assert!(said.contains(&format!("differs from line {} of", place + 1)), "{name}: {said}");
                changes += 1;
            }
        }
        assert!(changes >= 5, "{name}: only {changes} changes were tried");
    }
}

#[test]
fn a_changed_byte_of_a_request_is_found_even_if_the_reply_is_the_same() {
    let folder = Folder::new();
    let text = fs::read_to_string(self::folder().join("curl-get.jsonl")).expect("it is there");
    assert!(text.contains("Accept: */*"));
    let end = replay(&folder.write("changed.jsonl", text.replace("Accept: */*", "Accept: */+")), &[]);
    assert_eq!(end.code, Some(1), "{}", end.text());
    assert!(end.text().contains("`hash` of `request`"), "{}", end.text());
}

/// Cuts a recording after so many bytes.
#[test]
fn a_recording_without_its_end_replays_as_far_as_it_goes() {
    let folder = Folder::new();
    for (name, text) in recordings() {
        let first = text.find('\n').expect("it has a first line") + 1;
        for part in 1..8 {
            let end = first + (text.len() - 2 - first) * part / 8;
            let end = (end..).find(|&end| text.is_char_boundary(end)).expect("its end is one");
            let end = replay(&folder.write("cut.jsonl", &text[..end]), &[]);
            assert_eq!(end.code, Some(0), "{name}, {part}/8: {}{}", end.text(), end.errors);
            assert!(end.text().contains("The recording has no end"), "{name}: {}", end.text());
        }
    }
}
