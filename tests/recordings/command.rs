//! `--record` and `replay` as people use them.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::{Signal, kill_process};
use serde_json::Value;

use super::support::process::{End, Process};
use super::support::serve::{Folder, Serve};
use super::support::{Client, get};
use super::{assert_has, monoloop, replay};

/// The demo, which records into a file.
pub(super) struct Demo {
    process: Process,
    address: String,
    file: PathBuf,
}

impl Demo {
    #[track_caller]
    pub(super) fn start(folder: &Folder, options: &[&str]) -> Self {
        let file = folder.path("recording.jsonl");
        let record = format!("--record={}", file.display());
        let mut process = Process::start(monoloop(&[&["demo", "--port=0", &record], options].concat()));
        let address = loop {
            if let Some(address) = process.line().strip_prefix("listening on http://") {
                break address.to_owned();
            }
        };
        Self { process, address, file }
    }

    #[track_caller]
    pub(super) fn connect(&self) -> Client {
        Client::tcp(self.address.parse().expect("it is an address"))
    }

    #[track_caller]
    pub(super) fn end(mut self, signal: Signal) -> (End, PathBuf) {
        kill_process(self.process.pid(), signal).expect("it runs");
        (self.process.end(), self.file)
    }
}

#[track_caller]
pub(super) fn read(file: &Path) -> String {
    fs::read_to_string(file).expect("the recording is text")
}

#[test]
fn what_the_demo_has_recorded_is_shown_step_by_step() {
    let folder = Folder::new();
    let demo = Demo::start(&folder, &["--health=/up"]);
    let mut client = demo.connect();
    assert_eq!(client.ask("/users/2").status, 200);
    assert_eq!(client.ask("/up").status, 200);
    drop(client);
    let (end, file) = demo.end(Signal::TERM);
    end.success();
    let shown = replay(&file, &[]);
    let shown = shown.success();
    for words in [
        "A recording of monoloop ",
        "  accepted from 127.0.0.1:",
        "what the kernel said last: readable, writable\n  phase before: Head\n",
        "  read into 4096 bytes: 37\n    47 45 54 20 2f 75 73 65 72 73 2f 32 20 48 54 54  GET /users/2 HTT\n",
        "  parsed: GET /users/2 HTTP/1.1, no content yet, or none at all\n    Host: test\n",
        "  the reply 200 of the route /users/:id has left: ",
        "  deadline: in 30s, the idle timeout, unless a byte comes or goes\n",
        "  reaped: the client closed an idle connection\n",
        " steps, all as they were recorded.\n",
    ] {
        assert!(shown.contains(words), "{words:?} is not in\n{shown}");
    }
}

#[test]
fn a_replay_stops_where_it_should_and_speaks_json() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings/drip.jsonl");
    let end = replay(&file, &["--to=9"]);
    assert!(end.success().contains("\nstep 9  ") && !end.text().contains("\nstep 10"), "{}", end.text());
    assert!(end.text().ends_with("9 steps, all as they were recorded, and there are more.\n"), "{}", end.text());

    let end = replay(&file, &["--json"]);
    let lines: Vec<Value> =
        end.success().lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
    let (last, steps) = lines.split_last().expect("there are some");
    assert_eq!((&last["same"], &last["all"], &last["steps"]), (&true.into(), &true.into(), &steps.len().into()));
    assert!(steps.iter().zip(1..).all(|(step, number)| step["step"] == number));
    let timed_out = |step: &&Value| {
        step["lines"].as_array().is_some_and(|lines| {
            lines.iter().any(|line| line["event"] == "timeout" && line["timeout"] == "head timeout")
        })
    };
    assert_eq!(steps.iter().filter(timed_out).count(), 1);

    // At the end of the input it goes on by itself.
    let path = file.to_str().expect("it is text");
    let end = Process::start_with(monoloop(&["replay", path, "--step"]), Stdio::null()).end();
    end.success();
}

#[test]
fn what_the_loop_does_between_two_turns_is_one_line_and_waits_for_no_enter() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings/events.jsonl");
    let shown = replay(&file, &[]);
    let shown = shown.success();
    let steps: Vec<&str> = shown.lines().filter(|line| line.starts_with("step ")).collect();
    let (turns, between): (Vec<&str>, Vec<&str>) = steps.iter().partition(|step| step.contains("  connection "));
    assert!(turns.len() > 5 && between.iter().any(|step| step.ends_with("its next timer, if it is due")), "{shown}");
    for step in between {
        let next = shown.split_once(&format!("{step}\n")).expect("it is a line").1;
        assert!(next.starts_with("step ") || next.starts_with(&steps.len().to_string()), "{step}\n{next}");
    }
    // The input stays open, so an Enter too few would be waited for.
    let (input, mut enters) = std::io::pipe().expect("the kernel has pipes");
    enters.write_all("\n".repeat(turns.len()).as_bytes()).expect("it has room");
    let command = monoloop(&["replay", file.to_str().expect("it is text"), "--step"]);
    let end = Process::start_with(command, Stdio::from(input)).end();
    assert_eq!(end.success(), shown);
}

#[test]
fn a_quiet_replay_shows_only_what_came_of_it() {
    let folder = Folder::new();
    let same = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings/curl-get.jsonl");
    let differs = folder.write("differs.jsonl", read(&same).replace("Alice", "Alina"));
    let end = replay(&same, &["--quiet", "--step"]);
    assert!(end.success().ends_with(" steps, all as they were recorded.\n") && end.text().lines().count() == 1);
    let end = replay(&differs, &["--quiet"]);
    assert!(end.code == Some(1) && end.text().starts_with("step ") && end.text().contains(" differs from line "));
    let end = replay(&differs, &["--quiet", "--json"]);
    let verdict: Value = serde_json::from_str(end.text()).expect("it is one line of JSON");
    for member in ["same", "step", "line", "expected", "got"] {
        assert!(!verdict[member].is_null(), "{member} is not in {verdict}");
    }
}

/// Nobody reads what is shown, as in `monoloop replay FILE | head`. The exit code still says what differs.
#[test]
fn a_difference_is_found_although_standard_output_cannot_be_written() {
    let folder = Folder::new();
    let same = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings/curl-get.jsonl");
    let differs = folder.write("differs.jsonl", read(&same).replace("Alice", "Alina"));
    for (file, code) in [(&same, 0), (&differs, 1)] {
        for option in ["", "--json", "--step"] {
            let mut shell = Command::new("sh");
            shell.args(["-c", "\"$0\" replay \"$1\" $2 >/dev/full", env!("CARGO_BIN_EXE_monoloop")]);
            shell.arg(file).arg(option);
            let end = Process::start_with(shell, Stdio::null()).end();
            assert_eq!(end.code, Some(code), "{option}: {}", end.errors);
        }
    }
}

#[test]
fn only_the_owner_may_read_a_recording() {
    let folder = Folder::new();
    let (_, file) = Demo::start(&folder, &[]).end(Signal::TERM);
    assert_eq!(fs::metadata(file).expect("it is there").permissions().mode() & 0o077, 0);
}

#[test]
fn a_server_that_was_killed_leaves_a_recording_that_replays() {
    let folder = Folder::new();
    let demo = Demo::start(&folder, &[]);
    let mut client = demo.connect();
    client.ask("/plaintext");
    drop(client);
    let until = std::time::Instant::now() + super::support::LIMIT;
    while !read(&demo.file).contains("\"event\":\"end\"") {
        assert!(std::time::Instant::now() < until, "the end of a connection is not written");
        std::thread::yield_now();
    }
    let (_, file) = demo.end(Signal::KILL);
    let end = replay(&file, &[]);
    assert!(end.success().contains("The recording has no end"), "{}", end.text());
}

#[test]
fn the_connections_of_a_peer_can_be_chosen() {
    let folder = Folder::new();
    for (peer, count) in [("127.0.0.1", 1), ("127.0.0.2", 0), ("127.0.0.1:1", 0), ("unix", 0), ("::1", 0)] {
        let demo = Demo::start(&folder, &["--record-peer", peer]);
        demo.connect().ask("/plaintext");
        let (end, file) = demo.end(Signal::TERM);
        end.success();
        assert_eq!(read(&file).matches("\"event\":\"request\"").count(), count, "{peer}");
        replay(&file, &[]).success();
    }
}

#[test]
fn files_are_replayed_from_their_directory_or_from_another_one() {
    let (folder, place) = (Folder::new(), Folder::new());
    folder.write("a.txt", "0123456789".repeat(20_000));
    folder.write("index.html", "<p>Hello");
    let file = place.path("recording.jsonl");
    let server = Serve::start(&folder, &[&format!("--record={}", file.display()), "--header=X-Made: by hand"]);
    let mut client = server.connect();
    for target in ["/a.txt", "/", "/nothing", "/%2e%2e/b"] {
        client.ask(target);
    }
    client.send(get("/a.txt").replace("\r\n\r\n", "\r\nRange: bytes=5-99999\r\n\r\n"));
    assert_eq!(client.reply().status, 206);
    drop(client);
    server.end();
    assert_has(&read(&file), "recording", "--header=X-Made: by hand\\u0000");
    replay(&file, &[]).success();

    let other = Folder::new();
    other.write("a.txt", "0123456789".repeat(20_000));
    let end = replay(&file, &["--dir", other.path("").to_str().expect("it is text")]);
    assert_eq!(end.code, Some(1), "its files have other times: {}", end.text());
    assert!(end.text().contains("differs from line "), "{}", end.text());
}

#[test]
fn options_of_any_form_are_recorded_without_secrets() {
    let (folder, place) = (Folder::new(), Folder::new());
    folder.write("one\ntwo", "Hello");
    let file = place.path("recording.jsonl");
    let record = format!("--record={}", file.display());
    let header = "--header=set-cookie:  a=hidden; HttpOnly ";
    for (secrets, count) in [("off", 0), ("on", 2)] {
        let options = [&record, header, "--index=one\ntwo", &format!("--record-secrets={secrets}")];
        let server = Serve::start(&folder, &options);
        assert_eq!(server.connect().ask("/").header("set-cookie"), Some("a=hidden; HttpOnly"));
        server.end();
        assert_eq!(read(&file).matches("hidden").count(), count, "{}", read(&file));
        replay(&file, &[]).success();
    }
}

#[test]
fn what_cannot_be_recorded_or_replayed_is_explained() {
    let folder = Folder::new();
    let run = |args: &[&str]| Process::start(monoloop(args)).end();
    let explained = |end: End, code: i32, words: &str| {
        assert!(end.code == Some(code) && end.errors.contains(words), "{:?}: {}", end.code, end.errors);
    };
    let nowhere = folder.path("no/such/file").display().to_string();
    let file = folder.path("a.jsonl").display().to_string();
    explained(run(&["demo", "--port=0", "--record", &nowhere]), 1, "Cannot record: ");
    explained(run(&["demo", "--port=0", "--record", "/dev/full"]), 1, "Cannot record: /dev/full: No space");
    explained(run(&["demo", "--record", &file, "--workers=2"]), 2, "use it with --workers 1");
    explained(run(&["demo", "--record", &file, "--record-peer=x"]), 2, "expected an IP address");
    explained(run(&["replay"]), 2, "replay needs a file");
    explained(run(&["replay", &file, "--port=1"]), 2, "replay has no option --port");
    explained(run(&["replay", &nowhere]), 2, "No such file");
    let plain = folder.write("plain.txt", "Hello\n").display().to_string();
    explained(run(&["replay", &plain]), 2, "line 1, column 1: expected value\n");
    explained(run(&["replay", "/dev/zero"]), 2, "line 1: it is too long");

    let good = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings/curl-get.jsonl"));
    for (from, to, words) in [
        (
            "\"command\":\"demo\"",
            "\"command\":\"mine\"",
            "line 1: it was not made by `monoloop demo` or `monoloop serve`",
        ),
        ("\"options\":\"", "\"options\":\"--mine\\u0000", "line 1: unknown option"),
    ] {
        let foreign = folder.write("foreign.jsonl", good.replace(from, to)).display().to_string();
        explained(run(&["replay", &foreign]), 2, words);
    }
}
