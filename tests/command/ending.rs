//! How the command ends: signals and drains.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::sync::mpsc::{self};
use std::thread;
use std::time::Instant;

use rustix::process::{Pid, Signal, WaitOptions, waitpid};

use crate::{ALMOST, Demo, End, LIMIT, Process, command, lines_of};

#[test]
fn a_signal_ends_it_gracefully() {
    for (signal, name) in [(Signal::TERM, "SIGTERM"), (Signal::INT, "SIGINT")] {
        let mut demo = Demo::start(&[]);
        let mut idle = demo.connect();
        assert_eq!(idle.ask("GET /", "", "").status, 200);
        demo.process.signal(signal);
        assert!(idle.is_closed(), "an idle connection is closed after the grace");
        drop(idle);
        let output = format!("{name} received. Shutting down gracefully...\nAll connections closed. Goodbye.\n");
        assert_eq!(demo.process.end(), End { code: Some(0), output, errors: String::new() });
    }
}

/// By default each of them ends a process.
#[test]
fn signals_that_mean_something_to_other_servers_are_ignored() {
    for workers in ["--workers=1", "--workers=2"] {
        let mut demo = Demo::start(&[workers]);
        let mut client = demo.connect();
        for signal in [Signal::HUP, Signal::USR1, Signal::USR2, Signal::HUP] {
            assert_eq!(client.ask("GET /plaintext", "", "").status, 200);
            demo.process.signal(signal);
            assert_eq!(client.ask("GET /plaintext", "", "").status, 200, "after {signal:?}, {workers}");
            assert_eq!(demo.connect().ask("GET /plaintext", "", "").status, 200, "after {signal:?}, {workers}");
        }
        drop(client);
        demo.process.signal(Signal::TERM);
        let output = "SIGTERM received. Shutting down gracefully...\nAll connections closed. Goodbye.\n".to_owned();
        assert_eq!(demo.process.end(), End { code: Some(0), output, errors: String::new() });
    }
}

#[test]
fn a_request_in_flight_is_finished_before_the_end() {
    let mut demo = Demo::start(&[]);
    let mut client = demo.connect();
    client.begin_content_that_lacks_a_byte();
    demo.process.signal(Signal::TERM);
    assert_eq!(demo.process.line(), "SIGTERM received. Shutting down gracefully...");
    client.send("!");
    let reply = client.reply(true);
    assert_eq!((reply.status, reply.content.as_str()), (200, ALMOST));
    assert_eq!(reply.field("connection"), Some("close"));
    drop(client);
    assert_eq!(demo.process.end().code, Some(0));
}

#[test]
fn a_drain_that_takes_too_long_is_forced() {
    let mut demo = Demo::start(&["--drain-timeout", "200ms"]);
    let mut client = demo.connect();
    client.begin_content_that_lacks_a_byte();
    demo.process.signal(Signal::TERM);
    let output = "SIGTERM received. Shutting down gracefully...\n".to_owned();
    let errors = "Forced shutdown after timeout\n".to_owned();
    assert_eq!(demo.process.end(), End { code: Some(1), output, errors });
    assert!(client.is_closed());
}

#[test]
fn a_second_signal_cuts_at_once() {
    for (first, second) in [(Signal::TERM, Signal::TERM), (Signal::INT, Signal::TERM)] {
        let mut demo = Demo::start(&["--drain-timeout", "1h"]);
        let mut client = demo.connect();
        client.begin_content_that_lacks_a_byte();
        demo.process.signal(first);
        assert!(demo.process.line().ends_with("received. Shutting down gracefully..."));
        demo.process.signal(second);
        let errors = "Forced shutdown by a second signal\n".to_owned();
        assert_eq!(demo.process.end(), End { code: Some(1), output: String::new(), errors });
        assert!(client.is_closed());
    }
}

/// The process is stopped until both signals have come.
#[test]
fn two_signals_at_once_were_a_forced_shutdown() {
    let mut demo = Demo::start(&[]);
    let id = Pid::from_child(&demo.process.child);
    demo.process.signal(Signal::STOP);
    let (_, status) = waitpid(Some(id), WaitOptions::UNTRACED).expect("it is ours").expect("it was waited for");
    assert!(status.stopped(), "{status:?}");
    for signal in [Signal::TERM, Signal::INT, Signal::CONT] {
        demo.process.signal(signal);
    }
    let end = demo.process.end();
    assert_eq!((end.code, end.errors.as_str()), (Some(0), ""), "{end:?}");
    let output = ["SIGTERM", "SIGINT"]
        .map(|name| format!("{name} received. Shutting down gracefully...\nAll connections closed. Goodbye.\n"));
    assert!(output.contains(&end.output), "{end:?}");
}

/// The client has got its EOF and does not close, so its connection lives until the drain is over. It lost nothing.
#[test]
fn an_idle_client_that_lingers_was_a_forced_shutdown() {
    let mut demo = Demo::start(&["--drain-timeout", "500ms", "--drain-grace", "0"]);
    let mut idle = demo.connect();
    assert_eq!(idle.ask("GET /", "", "").status, 200);
    demo.process.signal(Signal::TERM);
    assert!(idle.is_closed());
    let output = "SIGTERM received. Shutting down gracefully...\nAll connections closed. Goodbye.\n".to_owned();
    assert_eq!(demo.process.end(), End { code: Some(0), output, errors: String::new() });
}

#[test]
fn the_command_works_if_nobody_reads_its_output() {
    let mut command = command(&["demo", "--port=0"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the command starts");
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let errors = lines_of(child.stderr.take().unwrap());
    let (tell, address) = mpsc::channel();
    thread::spawn(move || {
        let line = output.by_ref().lines().map_while(Result::ok).find(|line| line.starts_with("listening on "));
        drop(output);
        let _ = tell.send(line);
    });
    let mut process = Process { child, output: mpsc::channel().1, errors };
    assert!(address.recv_timeout(LIMIT).expect("it starts in time").is_some());
    process.signal(Signal::TERM);
    assert_eq!(process.end(), End { code: Some(0), output: String::new(), errors: String::new() });
}

/// The second signal cuts connections that may still ask. They are owed nothing, so this is a good end.
#[test]
fn a_client_may_ask_once_more_after_the_signal_and_a_second_signal_ends_that() {
    let mut demo = Demo::start(&["--drain-grace=1h", "--drain-timeout=1h"]);
    let (mut fresh, mut used, mut idle) = (demo.connect(), demo.connect(), demo.connect());
    for client in [&mut used, &mut idle] {
        assert_eq!(client.ask("GET /", "", "").status, 200);
    }
    demo.process.signal(Signal::TERM);
    assert_eq!(demo.process.line(), "SIGTERM received. Shutting down gracefully...");
    for client in [&mut fresh, &mut used] {
        let reply = client.ask("GET /plaintext", "", "");
        assert_eq!((reply.status, reply.content.as_str()), (200, "Hello, World!"));
        assert_eq!(reply.field("connection"), Some("close"));
        assert!(client.is_closed());
    }
    demo.process.signal(Signal::TERM);
    assert!(idle.is_closed());
    let output = "All connections closed. Goodbye.\n".to_owned();
    assert_eq!(demo.process.end(), End { code: Some(0), output, errors: String::new() });
}

#[test]
fn the_health_check_fails_from_the_signal_on() {
    for workers in ["1", "2"] {
        let args = ["--health=/healthz", "--drain-delay=1h", "--workers", workers];
        let mut demo = Demo::start(&args);
        assert!(demo.banner.contains(&"  GET    /healthz".to_owned()), "{:?}", demo.banner);
        let mut kept = demo.connect();
        let reply = kept.ask("GET /healthz", "", "");
        assert_eq!((reply.status, reply.content.as_str()), (200, "ok\n"));
        assert_eq!(reply.field("cache-control"), Some("no-store"));
        demo.process.signal(Signal::TERM);
        assert_eq!(demo.process.line(), "SIGTERM received. Shutting down gracefully...");
        let mut fresh = demo.connect();
        // A worker may hear of the order a moment later.
        let end = Instant::now() + LIMIT;
        while kept.ask("GET /healthz", "", "").status == 200 || fresh.ask("GET /healthz", "", "").status == 200 {
            assert!(Instant::now() < end, "the health check does not fail");
        }
        for client in [&mut kept, &mut fresh] {
            let reply = client.ask("GET /healthz", "", "");
            assert_eq!((reply.status, reply.content.as_str()), (503, "draining\n"));
            assert_eq!((reply.field("cache-control"), reply.field("connection")), (Some("no-store"), None));
            assert_eq!(client.ask("GET /plaintext", "", "").status, 200, "it serves as before");
        }
        drop((kept, fresh));
        demo.process.signal(Signal::TERM);
        demo.process.end();
    }
}

#[test]
fn the_health_check_needs_a_path_of_its_own() {
    let end = Process::start(command(&["demo", "--port=0", "--health=/users"])).end();
    end.is_usage_error("/users cannot be the health check: it is a route of the demo");
}
