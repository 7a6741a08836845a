//! Where a recording goes and comes from: named pipes, devices, directories, links. Nothing waits without a limit.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use rustix::fs::{CWD, FileType, Mode, OFlags, fcntl_setfl, mknodat};
use rustix::process::Signal;

use super::command::{Demo, read};
use super::slow::send_too_much;
use super::support::LIMIT;
use super::support::process::{End, Process};
use super::support::serve::{Folder, Serve};
use super::{monoloop, replay};

/// A named pipe where [`Demo`] records to.
#[track_caller]
fn pipe(folder: &Folder) -> PathBuf {
    let path = folder.path("recording.jsonl");
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a pipe can be made");
    path
}

/// The end of a pipe that is read. It does not wait for a writer.
#[track_caller]
fn reader_of(path: &Path) -> File {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let reader = File::options().read(true).custom_flags(flags).open(path).expect("it is ours");
    fcntl_setfl(&reader, OFlags::empty()).expect("reads may wait");
    reader
}

/// Reads a pipe to its end, in a thread.
fn all_of(mut reader: File) -> Receiver<String> {
    let (tell, told) = channel();
    thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("a recording is text");
        let _ = tell.send(text);
    });
    told
}

#[track_caller]
fn run(args: &[&str]) -> End {
    Process::start(monoloop(args)).end()
}

#[track_caller]
fn refused(end: &End, code: i32, words: &str) {
    assert!(end.code == Some(code) && end.errors.contains(words), "{:?}: {}", end.code, end.errors);
}

#[test]
fn a_named_pipe_takes_a_recording_and_gives_it_to_a_replay() {
    let folder = Folder::new();
    let path = pipe(&folder);
    let demo_and_text = || {
        let reader = reader_of(&path);
        let demo = Demo::start(&folder, &[]);
        (demo, all_of(reader))
    };
    let (demo, text) = demo_and_text();
    assert_eq!(demo.connect().ask("/plaintext").status, 200);
    demo.end(Signal::TERM).0.clean();
    let text = text.recv_timeout(LIMIT).expect("the command has closed it");
    assert!(text.ends_with("{\"event\":\"done\"}\n"), "{text}");

    let its_path = path.clone();
    thread::spawn(move || {
        let mut pipe = File::options().write(true).open(its_path).expect("it is ours");
        pipe.write_all(text.as_bytes()).expect("the replay reads it");
    });
    assert!(replay(&path, &["--quiet"]).success().ends_with("all as they were recorded.\n"));
}

#[test]
fn a_named_pipe_without_its_other_end_is_an_error() {
    let folder = Folder::new();
    let path = pipe(&folder).display().to_string();
    let end = run(&["demo", "--port=0", "--record", &path]);
    refused(&end, 1, &format!("Cannot record: {path}: nobody reads this named pipe\n"));
    let end = run(&["replay", &path]);
    refused(&end, 2, &format!("Cannot replay {path}: nobody writes into this named pipe\n"));
}

/// As `monoloop demo --record PIPE` when the reader of the pipe gets SIGSTOP.
#[test]
fn a_reader_that_stops_holds_up_neither_clients_nor_the_end() {
    let folder = Folder::new();
    let _reader = reader_of(&pipe(&folder));
    let demo = Demo::start(&folder, &[]);
    let mut other = demo.connect();
    send_too_much(&mut demo.connect(), "/upload");
    assert_eq!(other.ask("/plaintext").status, 200);
    drop(other);
    let (end, _) = demo.end(Signal::TERM);
    end.success();
    assert!(end.errors.contains("the recording ends here, since its file takes it too slowly"), "{}", end.errors);
    assert!(end.errors.contains("the recording has no end, since nobody took it within 5s"), "{}", end.errors);
}

#[test]
fn a_reader_that_is_late_gets_a_recording_that_says_that_it_was_cut() {
    let folder = Folder::new();
    let reader = reader_of(&pipe(&folder));
    let demo = Demo::start(&folder, &[]);
    send_too_much(&mut demo.connect(), "/upload");
    // The end of the recording closes the pipe, although the server goes on.
    let text = all_of(reader).recv_timeout(LIMIT).expect("it was closed");
    assert_eq!(demo.connect().ask("/plaintext").status, 200);
    demo.end(Signal::TERM).0.success();
    let end = replay(&folder.write("cut.jsonl", text), &["--quiet"]);
    assert!(end.success().ends_with("The recording was cut here: its file took it too slowly.\n"), "{}", end.text());
}

#[test]
fn a_reader_that_leaves_ends_the_recording_and_nothing_else() {
    let folder = Folder::new();
    let reader = reader_of(&pipe(&folder));
    let demo = Demo::start(&folder, &[]);
    drop(reader);
    assert_eq!(demo.connect().ask("/plaintext").status, 200);
    let (end, _) = demo.end(Signal::TERM);
    end.success();
    assert!(end.errors.contains("the recording ends here, since it cannot be written: Broken pipe"), "{}", end.errors);
}

#[test]
fn a_file_is_emptied_and_a_link_is_followed() {
    let folder = Folder::new();
    let target = folder.write("target", "old\n".repeat(100_000));
    symlink(&target, folder.path("recording.jsonl")).expect("a link can be made");
    let (end, file) = Demo::start(&folder, &[]).end(Signal::TERM);
    end.clean();
    assert!(fs::symlink_metadata(&file).expect("it is there").is_symlink());
    let text = read(&target);
    assert!(text.starts_with("{\"event\":\"recording\"") && text.ends_with("{\"event\":\"done\"}\n"), "{text}");
}

#[test]
fn what_takes_no_recording_is_named_in_the_error() {
    let folder = Folder::new();
    let directory = folder.path("").display().to_string();
    for (place, words) in [
        (&*directory, ": Is a directory"),
        // Nobody can make a file there, not even root.
        ("/proc/recording.jsonl", ": "),
        ("/dev/stdout", ": the command writes other lines to it, too\n"),
        ("/dev/stderr", ": the command writes other lines to it, too\n"),
    ] {
        refused(&run(&["demo", "--port=0", "--record", place]), 1, &format!("Cannot record: {place}{words}"));
    }
    assert!(run(&["replay", &directory]).errors.contains("Is a directory"));
    refused(&run(&["replay", "/dev/null"]), 2, "line 1: this is no recording");
}

#[test]
fn a_recording_is_not_made_where_it_would_be_served() {
    let (folder, place) = (Folder::new(), Folder::new());
    folder.write("inner/old.jsonl", "old");
    symlink(folder.path("inner"), place.path("link")).expect("a link can be made");
    let directory = folder.path("").display().to_string();
    // Two links to a file that is not there yet.
    symlink(folder.path("new.jsonl"), place.path("far.jsonl")).expect("a link can be made");
    symlink("far.jsonl", place.path("near.jsonl")).expect("a link can be made");
    let inside = [
        folder.path("new.jsonl"),
        folder.path("inner/old.jsonl"),
        place.path("link/new.jsonl"),
        place.path("near.jsonl"),
    ];
    for file in &inside {
        let end = run(&["serve", &directory, "--port=0", "--record", file.to_str().expect("it is text")]);
        refused(&end, 1, ": it is in the directory that is served, so clients could read it\n");
    }
    assert!(!inside[0].exists() && !inside[2].exists() && read(&inside[1]) == "old");
    // A link out of the directory is no way in.
    symlink(place.path("out.jsonl"), folder.path("out.jsonl")).expect("a link can be made");
    Serve::start(&folder, &[&format!("--record={}", folder.path("out.jsonl").display())]).end();

    // A directory whose name begins with that of the served one is another one.
    let neighbour = PathBuf::from(format!("{}-logs", folder.path("").display().to_string().trim_end_matches('/')));
    fs::create_dir(&neighbour).expect("a directory can be made");
    let server = Serve::start(&folder, &[&format!("--record={}", neighbour.join("new.jsonl").display())]);
    server.end();
    fs::remove_dir_all(&neighbour).expect("it is ours");
}
