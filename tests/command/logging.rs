//! The log of the command: it is written for a reader who may be slow, gone or the journal.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::process::{ChildStderr, Stdio};
use std::sync::mpsc;
use std::time::Instant;

use rustix::process::Signal;

use crate::{Demo, End, LIMIT, Process, command, lines_of};

/// A demo whose standard error is a pipe that nobody reads.
#[track_caller]
fn unread(args: &[&str]) -> (Demo, ChildStderr) {
    let mut command = command(&[&["demo", "--port=0"], args].concat());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the command starts");
    let (output, errors) = (lines_of(child.stdout.take().unwrap()), child.stderr.take().unwrap());
    let mut process = Process { child, output, errors: mpsc::channel().1 };
    loop {
        if let Some(address) = process.line().strip_prefix("listening on http://") {
            let address = address.parse().expect("an address");
            return (Demo { process, address, banner: Vec::new() }, errors);
        }
    }
}

/// Has a handler fail so often. Each failure is one line of the log, of more than a hundred bytes.
#[track_caller]
fn fail(demo: &Demo, times: usize) {
    const BATCH: usize = 100;
    let mut client = demo.connect();
    let request = "GET /fail HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for _ in 0..times.div_ceil(BATCH) {
        client.send(&request.repeat(BATCH));
        for _ in 0..BATCH {
            assert_eq!(client.reply(true).status, 500);
        }
    }
}

#[test]
fn a_log_that_nobody_reads_does_not_stop_the_server() {
    for workers in ["--workers=1", "--workers=2"] {
        let (mut demo, mut errors) = unread(&[workers]);
        fail(&demo, 2_000);
        assert_eq!(demo.connect().ask("GET /plaintext", "", "").content, "Hello, World!");
        demo.process.signal(Signal::TERM);
        let output = "SIGTERM received. Shutting down gracefully...\nAll connections closed. Goodbye.\n".to_owned();
        assert_eq!(demo.process.end(), End { code: Some(0), output, errors: String::new() });
        // The process has ended, so this does not wait.
        let mut log = String::new();
        errors.read_to_string(&mut log).expect("text");
        let lines = log.lines().count();
        assert!((1..2_000).contains(&lines), "the pipe was not full: {lines} lines");
    }
}

#[test]
fn a_log_that_nobody_reads_does_not_stop_a_forced_end() {
    let (mut demo, _errors) = unread(&["--drain-timeout=1h"]);
    fail(&demo, 2_000);
    let mut client = demo.connect();
    client.begin_content_that_lacks_a_byte();
    demo.process.signal(Signal::TERM);
    assert_eq!(demo.process.line(), "SIGTERM received. Shutting down gracefully...");
    demo.process.signal(Signal::TERM);
    assert_eq!(demo.process.end(), End { code: Some(1), output: String::new(), errors: String::new() });
}

#[test]
fn lines_that_were_lost_are_counted_and_told_as_soon_as_somebody_reads() {
    // The pipe takes 64 KiB, and 8192 lines wait.
    let times = 12_000;
    let (mut demo, errors) = unread(&["--workers=1"]);
    fail(&demo, times);
    let errors = lines_of(errors);
    let (end, mut written, mut lost) = (Instant::now() + LIMIT, 0, 0);
    // A few lines may come after the one that tells of the loss.
    while lost == 0 || lost + written < times {
        let line = errors.recv_timeout(end.saturating_duration_since(Instant::now())).expect("a line in time");
        assert!(line.starts_with("[20"), "{line}");
        match line.strip_suffix(" lines of this log were lost: nobody took them in time") {
            None => written += 1,
            Some(told) => lost += told.rsplit(' ').next().unwrap().parse::<usize>().expect("a number"),
        }
    }
    assert_eq!(lost + written, times, "each line is either written or counted");
    fail(&demo, 1);
    let line = errors.recv_timeout(LIMIT).expect("the log goes on");
    assert!(line.contains("/fail was asked for"), "{line}");
    demo.process.signal(Signal::TERM);
    assert_eq!(demo.process.end().code, Some(0));
}

/// The library writes errors to standard error where there is no logger. Here there is one, and it is to be silent.
#[test]
fn a_log_that_is_off_has_no_errors_either() {
    let mut demo = Demo::start(&["--workers=1", "--log=off"]);
    fail(&demo, 100);
    demo.process.signal(Signal::TERM);
    let end = demo.process.end();
    assert_eq!((end.code, end.errors.as_str()), (Some(0), ""));
}

/// systemd.exec(5): the variable names the device and the inode of the stream that goes to the journal.
#[test]
fn lines_have_a_time_unless_the_journal_adds_it() {
    let path = std::env::temp_dir().join(format!("monoloop-log-{}.txt", std::process::id()));
    for is_journal in [false, true] {
        let file = File::create(&path).expect("a file");
        let (device, inode) = (file.metadata().unwrap().dev(), file.metadata().unwrap().ino());
        let inode = if is_journal { inode } else { inode + 1 };
        let mut command = command(&["demo", "--port=0", "--workers=1"]);
        command.env("JOURNAL_STREAM", format!("{device}:{inode}"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(file);
        let mut child = command.spawn().expect("the command starts");
        let output = lines_of(child.stdout.take().unwrap());
        let mut process = Process { child, output, errors: mpsc::channel().1 };
        let address = loop {
            if let Some(address) = process.line().strip_prefix("listening on http://") {
                break address.parse().expect("an address");
            }
        };
        let mut demo = Demo { process, address, banner: Vec::new() };
        assert_eq!(demo.connect().ask("GET /fail", "", "").status, 500);
        demo.process.signal(Signal::TERM);
        assert_eq!(demo.process.end().code, Some(0));
        let log = fs::read_to_string(&path).expect("it was written");
        let _ = fs::remove_file(&path);
        let (head, _) = log.split_once(" monoloop::").unwrap_or_else(|| panic!("{log}"));
        match is_journal {
            true => assert_eq!(head, "[ERROR"),
            // [2026-11-29T11:34:01.078Z ERROR
            false => assert_eq!((head.len(), &head[11..12], &head[24..]), (31, "T", "Z ERROR"), "{log}"),
        }
    }
}
