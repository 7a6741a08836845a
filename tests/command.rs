//! The real binary: what it prints, what it answers, and how it ends. Nothing here sleeps, every wait has an end, and
//! no child outlives its test.
#![cfg(feature = "cli")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

/// Longest wait for anything.
const LIMIT: Duration = Duration::from_secs(10);

// ---- the routes -------------------------------------------------------------------------------------------------

const ALICE: &str = r#"{"id":1,"name":"Alice","email":"alice@example.com"}"#;
const BOB: &str = r#"{"id":2,"name":"Bob","email":"bob@example.com"}"#;
const CHARLIE: &str = r#"{"id":3,"name":"Charlie","email":"charlie@example.com"}"#;

#[test]
fn every_route_answers() {
    let demo = Demo::start(&[]);
    let mut client = demo.connect();
    let users = format!(r#"{{"users":[{ALICE},{BOB},{CHARLIE}]}}"#);
    let erin = r#"{"id":4,"name":"Erin"}"#;
    let large = format!(r#"{{"name":"{}"}}"#, "x".repeat(1000));
    let table = [
        ("GET /", "", 200, r#"{"message":"Welcome to the API","version":"1.0"}"#),
        ("GET /users", "", 200, &users),
        ("GET /users/1", "", 200, ALICE),
        ("GET /users/3", "", 200, CHARLIE),
        ("GET /users/99", "", 404, r#"{"error":"User not found"}"#),
        ("GET /users/me", "", 400, r#"{"error":"Invalid parameter: id"}"#),
        ("POST /users", r#"{"name":"Erin","id":77}"#, 201, erin),
        ("POST /users", "{", 400, r#"{"error":"Invalid JSON"}"#),
        ("POST /users", "[]", 400, r#"{"error":"Invalid JSON"}"#),
        ("POST /users", "", 400, r#"{"error":"Invalid JSON"}"#),
        ("POST /users", &large, 413, r#"{"error":"A user may have at most 512 bytes as JSON"}"#),
        ("PUT /users/4", r#"{"id":5}"#, 200, erin),
        ("PUT /users/99", "{}", 404, r#"{"error":"User not found"}"#),
        ("PUT /users/4", "null", 400, r#"{"error":"Invalid JSON"}"#),
        ("DELETE /users/4", "", 200, r#"{"success":true,"deleted":4}"#),
        ("DELETE /users/4", "", 404, r#"{"error":"User not found"}"#),
        ("GET /nothing", "", 404, r#"{"error":"Not found"}"#),
        ("PATCH /users", "", 405, r#"{"error":"Method not allowed"}"#),
        ("GET /fail", "", 500, r#"{"error":"Internal server error"}"#),
        ("GET /plaintext", "", 200, "Hello, World!"),
        ("GET /json", "", 200, r#"{"message":"Hello, World!"}"#),
        ("POST /echo", "as it came", 200, "as it came"),
    ];
    for (request, content, status, expected) in table {
        let reply = client.ask(request, "", content);
        assert_eq!((reply.status, reply.content.as_str()), (status, expected), "of {request} {content}");
    }
}

#[test]
fn what_is_created_can_be_read_changed_and_deleted() {
    let demo = Demo::start(&[]);
    let mut client = demo.connect();
    let created = client.ask("POST /users", "", r#"{"role":"admin","email":"d@example.com","name":"Dora"}"#);
    let dora = r#"{"id":4,"name":"Dora","email":"d@example.com","role":"admin"}"#;
    assert_eq!((created.status, created.content.as_str()), (201, dora));
    assert_eq!(client.ask("GET /users/4", "", "").content, dora);
    assert!(client.ask("GET /users", "", "").content.ends_with(&format!(",{dora}]}}")));

    let changed = r#"{"id":4,"name":"Dora","email":"d@example.org","role":"admin"}"#;
    assert_eq!(client.ask("PUT /users/4", "", r#"{"email":"d@example.org"}"#).content, changed);
    assert_eq!(demo.connect().ask("GET /users/4", "", "").content, changed);

    assert_eq!(client.ask("DELETE /users/4", "", "").content, r#"{"success":true,"deleted":4}"#);
    assert_eq!(client.ask("GET /users/4", "", "").status, 404);
    assert!(client.ask("POST /users", "", "{}").content.starts_with(r#"{"id":5"#));
}

#[test]
fn content_types_are_told() {
    let demo = Demo::start(&[]);
    let mut client = demo.connect();
    assert_eq!(client.ask("GET /plaintext", "", "").field("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(client.ask("GET /json", "", "").field("content-type"), Some("application/json"));
    assert_eq!(client.ask("GET /users/99", "", "").field("content-type"), Some("application/json"));
    let echo = client.ask("POST /echo", "Content-Type: text/x-mine; a=b\r\n", "x");
    assert_eq!(echo.field("content-type"), Some("text/x-mine; a=b"));
    assert_eq!(client.ask("POST /echo", "", "x").field("content-type"), Some("application/octet-stream"));
}

#[test]
fn head_has_the_head_of_get() {
    let demo = Demo::start(&[]);
    let mut client = demo.connect();
    let reply = client.ask("HEAD /plaintext", "", "");
    assert_eq!((reply.status, reply.field("content-length"), reply.content.as_str()), (200, Some("13"), ""));
    assert_eq!(client.ask("GET /plaintext", "", "").content, "Hello, World!", "nothing is left of the one before");
}

#[test]
fn every_origin_is_allowed() {
    let demo = Demo::start(&[]);
    let mut client = demo.connect();
    let origin = "Origin: https://app.example\r\n";
    for (request, status) in [("GET /users/1", 200), ("GET /nothing", 404), ("GET /fail", 500), ("PATCH /users", 405)] {
        let reply = client.ask(request, origin, "");
        assert_eq!((reply.status, reply.field("access-control-allow-origin")), (status, Some("*")), "of {request}");
    }
    let asked =
        format!("{origin}Access-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: content-type\r\n");
    let preflight = client.ask("OPTIONS /users/1", &asked, "");
    assert_eq!((preflight.status, preflight.content.as_str()), (204, ""));
    assert_eq!(preflight.field("access-control-allow-origin"), Some("*"));
    let methods = preflight.field("access-control-allow-methods").expect("a preflight names methods");
    for method in ["GET", "POST", "PUT", "DELETE", "OPTIONS"] {
        assert!(methods.split(", ").any(|allowed| allowed == method), "{method} in {methods}");
    }
    let headers = preflight.field("access-control-allow-headers").expect("a preflight names header fields");
    assert!(headers.to_ascii_lowercase().contains("content-type"), "{headers}");
}

#[test]
fn why_it_failed_is_only_logged() {
    let mut demo = Demo::start(&[]);
    let reply = demo.connect().ask("GET /fail", "", "");
    assert!(!reply.content.contains("/fail"), "{}", reply.content);
    demo.process.signal(Signal::TERM);
    assert!(demo.process.end().errors.contains("/fail was asked for"));
}

// ---- starting ---------------------------------------------------------------------------------------------------

#[test]
fn the_routes_are_printed_before_the_address() {
    let demo = Demo::start(&[]);
    let expected = "Available routes:
  GET    /
  GET    /users
  GET    /users/:id
  POST   /users
  PUT    /users/:id
  DELETE /users/:id
  POST   /echo
  POST   /upload
  GET    /big
  GET    /events
  GET    /slow
  GET    /fail
  GET    /plaintext
  GET    /json";
    assert_eq!(demo.banner.join("\n"), expected);
}

#[test]
fn every_address_has_a_line_and_is_served() {
    let path = std::env::temp_dir().join(format!("monoloop-command-{}.sock", std::process::id()));
    let path = path.to_str().expect("the path is UTF-8");
    let has_ipv6 = TcpListener::bind("[::1]:0").is_ok();
    let mut args = vec!["demo", "--port=0", "--host=127.0.0.1", "--host=127.0.0.1", "--unix", path];
    if has_ipv6 {
        args.push("--host=[::1]");
    }
    let mut process = Process::start(command(&args));
    let mut lines: Vec<String> = Vec::new();
    while !lines.last().is_some_and(|line| line.starts_with("listening on unix:")) {
        lines.push(process.line());
    }
    let addresses: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("listening on ")).collect();
    let (unix, tcp) = addresses.split_last().unwrap();
    assert_eq!(*unix, format!("unix:{path}"));
    assert_eq!(tcp.len(), if has_ipv6 { 3 } else { 2 });
    assert!(!has_ipv6 || tcp[2].starts_with("http://[::1]:"), "{tcp:?}");
    for address in tcp {
        let address = address.strip_prefix("http://").unwrap().parse().unwrap();
        assert_eq!(Client::connect(address).ask("GET /plaintext", "", "").status, 200);
    }
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(b"GET /plaintext HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    assert!(reply.starts_with("HTTP/1.1 200 OK\r\n") && reply.ends_with("Hello, World!"), "{reply}");

    process.signal(Signal::TERM);
    assert_eq!(process.end().code, Some(0));
    assert!(!std::fs::exists(path).unwrap(), "the socket file is removed");
}

#[test]
fn the_environment_is_read_and_options_win() {
    let mut command = command(&["demo", "--server-name="]);
    command.env("PORT", "0").env("MONOLOOP_SERVER_NAME", "mine").env("MONOLOOP_MAX_CONTENT", "4");
    let demo = Demo::from(command);
    let mut client = demo.connect();
    assert_eq!(client.ask("POST /users", "", "{  }").field("server"), None);
    assert_eq!(client.ask("POST /users", "", "{   }").status, 413);

    let named = Demo::start(&["--server-name", "mine"]);
    assert_eq!(named.connect().ask("GET /", "", "").field("server"), Some("mine"));
}

#[test]
fn a_port_in_use_is_said_so() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let end = Process::start(command(&["demo", "--port", &port.to_string()])).end();
    assert_eq!(end, End { code: Some(1), output: String::new(), errors: format!("Port {port} is already in use\n") });
}

#[test]
fn an_address_that_cannot_be_had_is_one_sentence() {
    // 192.0.2.0/24 is for documentation (RFC 5737): no machine has it.
    for args in [["--host", "192.0.2.1"], ["--unix", "/nonexistent/monoloop.sock"]] {
        let end = Process::start(command(&[&["demo", "--port=0"], &args[..]].concat())).end();
        assert_eq!((end.code, end.output.as_str()), (Some(1), ""), "of {args:?}");
        assert!(end.errors.starts_with("cannot listen on ") && end.errors.lines().count() == 1, "{}", end.errors);
        assert!(end.errors.contains(args[1]), "{}", end.errors);
    }
}

#[test]
fn usage_errors_exit_with_2() {
    let table = [
        ("", "no command was given"),
        ("dance", "unknown command \"dance\""),
        ("demo extra", "unexpected argument \"extra\""),
        ("demo --no-such", "unknown option --no-such"),
        ("demo --port", "option --port needs a value"),
        ("demo --port 70000", "invalid value \"70000\" for --port: expected a port number from 0 to 65535"),
        ("demo --idle-timeout soon", "invalid value \"soon\" for --idle-timeout: expected a duration"),
        ("demo --max-head -1", "invalid value \"-1\" for --max-head: expected a size"),
        ("demo --workers 0", "invalid value \"0\" for --workers: expected auto or a whole number from 1 to 1024"),
        ("demo --workers 1025", "invalid value \"1025\" for --workers: expected auto or a whole number from 1 to 1024"),
        ("demo --workers many", "invalid value \"many\" for --workers: expected auto or a whole number"),
        ("demo --log loud=very", "invalid value \"loud=very\" for --log: expected a level"),
    ];
    for (args, expected) in table {
        let end = Process::start(command(&args.split_whitespace().collect::<Vec<_>>())).end();
        end.is_usage_error(expected);
    }
    for (name, value) in
        [("PORT", "http"), ("MONOLOOP_WORKERS", "0"), ("MONOLOOP_DRAIN_TIMEOUT", "-1"), ("RUST_LOG", "=")]
    {
        let mut command = command(&["demo", "--host=127.0.0.1"]);
        command.env(name, value);
        Process::start(command).end().is_usage_error(&format!("invalid value \"{value}\" for {name}: expected "));
    }
}

#[test]
fn help_and_version_exit_with_0() {
    for args in [&["--help"][..], &["-h"], &["demo", "--help"]] {
        let end = Process::start(command(args)).end();
        assert_eq!((end.code, end.errors.as_str()), (Some(0), ""));
        for expected in ["Usage: monoloop", "demo ", "--port PORT", "[default: 3000]", "[env: MONOLOOP_DRAIN_TIMEOUT]"]
        {
            assert!(end.output.contains(expected), "{expected} in {}", end.output);
        }
    }
    for args in [["--version"], ["-V"]] {
        let end = Process::start(command(&args)).end();
        assert_eq!((end.code, end.output.as_str()), (Some(0), concat!("monoloop ", env!("CARGO_PKG_VERSION"), "\n")));
    }
}

// ---- workers ----------------------------------------------------------------------------------------------------

const WORKERS: &str = "workers, each with its own state: one connection may not see what another connection changes.";

#[cfg(target_os = "linux")]
#[test]
fn each_worker_is_a_thread_and_one_needs_none() {
    let threads = |demo: &Demo| {
        let folder = format!("/proc/{}/task", demo.process.child.id());
        let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path().join("comm"));
        let mut names: Vec<_> = names.map(|name| std::fs::read_to_string(name).unwrap().trim().to_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(threads(&Demo::start(&["--workers=3"])), ["monoloop", "worker-0", "worker-1", "worker-2"]);
    assert_eq!(threads(&Demo::start(&["--workers=1"])), ["monoloop"]);
    assert_eq!(threads(&Demo::start(&[])), ["monoloop"]);
    let cores = thread::available_parallelism().unwrap().get();
    let auto = threads(&Demo::start(&["--workers=auto"])).len();
    assert_eq!(auto, if cores == 1 { 1 } else { 1 + cores });
}

/// 200 connections reach both, but for a probability of 2^-199.
#[test]
fn each_worker_has_users_of_its_own_and_the_command_says_so() {
    let demo = Demo::start(&["--workers", "2"]);
    assert_eq!(demo.banner[0], format!("2 {WORKERS}"));
    assert_eq!(demo.banner.iter().filter(|line| *line == "Available routes:").count(), 1, "{:?}", demo.banner);
    let mut creator = demo.connect();
    assert_eq!(creator.ask("POST /users", "", r#"{"name":"Dora"}"#).status, 201);
    assert_eq!(creator.ask("GET /users/4", "", "").status, 200, "a connection stays with its worker");
    let mut clients = (0..200).map(|_| demo.connect());
    for expected in [404, 200] {
        assert!(clients.any(|mut client| client.ask("GET /users/4", "", "").status == expected), "{expected}");
    }
}

#[test]
fn a_port_that_workers_have_is_in_use() {
    let demo = Demo::start(&["--workers=2"]);
    let port = demo.address.port();
    for workers in ["1", "2"] {
        let end = Process::start(command(&["demo", "--port", &port.to_string(), "--workers", workers])).end();
        let errors = format!("Port {port} is already in use\n");
        assert_eq!(end, End { code: Some(1), output: String::new(), errors });
    }
    assert_eq!(demo.connect().ask("GET /", "", "").status, 200);
}

/// That one of three workers gets none of 128 idle connections has a probability of 3 (2/3)^128 < 1e-21. So when all of
/// those are closed, every worker drains.
#[test]
fn a_signal_drains_all_workers() {
    for (signal, name) in [(Signal::TERM, "SIGTERM"), (Signal::INT, "SIGINT")] {
        let mut demo = Demo::start(&["--workers=3"]);
        let mut idle: Vec<Client> = (0..128).map(|_| demo.connect()).collect();
        idle.iter_mut().for_each(|client| assert_eq!(client.ask("GET /", "", "").status, 200));
        let mut busy: Vec<Client> = (0..16).map(|_| demo.connect()).collect();
        busy.iter_mut().for_each(Client::begin_content_that_lacks_a_byte);
        demo.process.signal(signal);
        assert_eq!(demo.process.line(), format!("{name} received. Shutting down gracefully..."));
        assert!(idle.iter_mut().all(Client::is_closed), "an idle connection is closed at once");
        for client in &mut busy {
            client.send("!");
            let reply = client.reply(true);
            assert_eq!((reply.status, reply.content.as_str()), (200, ALMOST));
            assert_eq!(reply.field("connection"), Some("close"));
        }
        drop((idle, busy));
        let output = "All connections closed. Goodbye.\n".to_owned();
        assert_eq!(demo.process.end(), End { code: Some(0), output, errors: String::new() });
    }
}

#[test]
fn a_second_signal_cuts_all_workers() {
    let mut demo = Demo::start(&["--workers=3", "--drain-timeout=1h"]);
    let mut busy: Vec<Client> = (0..16).map(|_| demo.connect()).collect();
    busy.iter_mut().for_each(Client::begin_content_that_lacks_a_byte);
    demo.process.signal(Signal::TERM);
    assert!(demo.process.line().ends_with("received. Shutting down gracefully..."));
    demo.process.signal(Signal::INT);
    let errors = "Forced shutdown by a second signal\n".to_owned();
    assert_eq!(demo.process.end(), End { code: Some(1), output: String::new(), errors });
    assert!(busy.iter_mut().all(Client::is_closed));
}

#[test]
fn the_drain_of_all_workers_has_an_end() {
    let mut demo = Demo::start(&["--workers=2", "--drain-timeout=200ms"]);
    let mut busy: Vec<Client> = (0..8).map(|_| demo.connect()).collect();
    busy.iter_mut().for_each(Client::begin_content_that_lacks_a_byte);
    demo.process.signal(Signal::TERM);
    let output = "SIGTERM received. Shutting down gracefully...\n".to_owned();
    let errors = "Forced shutdown after timeout\n".to_owned();
    assert_eq!(demo.process.end(), End { code: Some(1), output, errors });
    assert!(busy.iter_mut().all(Client::is_closed));
}

#[test]
fn workers_share_a_unix_socket() {
    let path = std::env::temp_dir().join(format!("monoloop-workers-{}.sock", std::process::id()));
    let path = path.to_str().expect("the path is UTF-8");
    let mut demo = Demo::start(&["--workers=2", "--unix", path]);
    assert_eq!(demo.process.line(), format!("listening on unix:{path}"));
    for _ in 0..16 {
        let mut stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.write_all(b"GET /plaintext HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        assert!(reply.starts_with("HTTP/1.1 200 OK\r\n") && reply.ends_with("Hello, World!"), "{reply}");
    }
    demo.process.signal(Signal::TERM);
    assert_eq!(demo.process.end().code, Some(0));
    assert!(!std::fs::exists(path).unwrap(), "the socket file is removed");
}

#[test]
fn a_line_of_the_log_names_its_worker() {
    let mut demo = Demo::start(&["--workers=2", "--log=monoloop=info"]);
    demo.process.signal(Signal::TERM);
    let errors = demo.process.end().errors;
    for thread in ["worker-0", "worker-1", "main"] {
        assert!(errors.contains(&format!("[INFO  {thread} monoloop::server::")), "{thread} in {errors}");
    }
}

// ---- ending -----------------------------------------------------------------------------------------------------

#[test]
fn a_signal_ends_it_gracefully() {
    for (signal, name) in [(Signal::TERM, "SIGTERM"), (Signal::INT, "SIGINT")] {
        let mut demo = Demo::start(&[]);
        let mut idle = demo.connect();
        assert_eq!(idle.ask("GET /", "", "").status, 200);
        demo.process.signal(signal);
        assert!(idle.is_closed(), "an idle connection is closed at once");
        drop(idle);
        let output = format!("{name} received. Shutting down gracefully...\nAll connections closed. Goodbye.\n");
        assert_eq!(demo.process.end(), End { code: Some(0), output, errors: String::new() });
    }
}

/// The reply to the content of `begin_content_that_lacks_a_byte` when it is whole.
const ALMOST: &str = r#"{"bytes":7,"crc32":"9cf17902"}"#;

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

/// The process stands still until both are there.
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

/// The client has its EOF and does not close, so its connection lives until the drain is over; it lost nothing.
#[test]
fn an_idle_client_that_lingers_was_a_forced_shutdown() {
    let mut demo = Demo::start(&["--drain-timeout", "500ms"]);
    let mut idle = demo.connect();
    assert_eq!(idle.ask("GET /", "", "").status, 200);
    demo.process.signal(Signal::TERM);
    assert!(idle.is_closed());
    let output = "SIGTERM received. Shutting down gracefully...\nAll connections closed. Goodbye.\n".to_owned();
    assert_eq!(demo.process.end(), End { code: Some(0), output, errors: String::new() });
}

#[test]
fn nobody_need_read_what_it_prints() {
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

// ---- clients of other people ------------------------------------------------------------------------------------

#[test]
fn curl_is_served() {
    let Some(mut curl) = tool("curl") else { return };
    let demo = Demo::start(&[]);
    let base = format!("http://{}", demo.address);
    let (users, echo) = (format!("{base}/users"), format!("{base}/echo"));
    curl.args(["-sS", "-m", "8", "-w", "\n%{http_code} %{num_connects}\n"]);
    curl.args([&format!("{users}/1"), "--next", "-sS", "-m", "8", "-w", "\n%{http_code} %{num_connects}\n"]);
    curl.args(["--json", r#"{"name":"Dora"}"#, &users, "--next", "-sS", "-m", "8", "-w", "\n%{http_code}\n"]);
    curl.args(["-H", "Expect: 100-continue", "-H", "Transfer-Encoding: chunked", "-d", "in chunks", &echo]);
    let end = Process::start(curl).end();
    let expected = format!("{ALICE}\n200 1\n{{\"id\":4,\"name\":\"Dora\"}}\n201 0\nin chunks\n200\n");
    assert_eq!(end, End { code: Some(0), output: expected, errors: String::new() });
}

#[test]
fn wrk_finds_no_errors() {
    let Some(mut wrk) = tool("wrk") else { return };
    let demo = Demo::start(&[]);
    wrk.args(["-t1", "-c64", "-d1s", &format!("http://{}/plaintext", demo.address)]);
    let end = Process::start(wrk).end();
    assert_eq!(end.code, Some(0), "{end:?}");
    assert!(end.output.contains(" requests in ") && !end.output.contains("\n  0 requests in "), "{}", end.output);
    assert!(!end.output.contains("Socket errors") && !end.output.contains("Non-2xx"), "{}", end.output);
}

#[test]
fn node_fetch_is_served() {
    let Some(mut node) = tool("node") else { return };
    // Only a client that keeps its connections alive gets through all of this in time. There are two of them because
    // fetch opens a second one while it still tidies up after its first reply, whatever the server.
    let demo = Demo::start(&["--max-connections=2"]);
    let script = r#"
        const base = process.argv[1];
        const show = async (reply) => console.log(reply.status, await reply.text());
        const json = { 'Content-Type': 'application/json' };
        await show(await fetch(`${base}/users/2`));
        await show(await fetch(`${base}/users`, { method: 'POST', headers: json, body: '{"name":"Dora"}' }));
        await show(await fetch(`${base}/users/4`));
        await show(await fetch(`${base}/users/4`, { method: 'DELETE' }));
        await show(await fetch(`${base}/users/4`));
        console.log((await fetch(base, { method: 'HEAD' })).headers.get('access-control-allow-origin'));
        process.exit(0);
    "#;
    node.args(["--input-type=module", "-e", script, &format!("http://{}", demo.address)]);
    let end = Process::start(node).end();
    let dora = r#"{"id":4,"name":"Dora"}"#;
    let expected = format!(
        "200 {BOB}\n201 {dora}\n200 {dora}\n200 {{\"success\":true,\"deleted\":4}}\n404 {{\"error\":\"User not found\"}}\n*\n"
    );
    assert_eq!(end, End { code: Some(0), output: expected, errors: String::new() });
}

/// The tool, if it is there. A run of CI must have them all.
fn tool(name: &str) -> Option<Command> {
    let known = Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if known.is_ok() {
        return Some(Command::new(name));
    }
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{name} is not installed");
    eprintln!("skipped: {name} is not installed");
    None
}

// ---- processes --------------------------------------------------------------------------------------------------

/// The command, without anything that the environment of the tests would tell it.
fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_monoloop"));
    command.args(args).env_clear();
    command
}

/// A child with its output, line by line. It is killed when the test is over, however that ends.
struct Process {
    child: Child,
    output: Receiver<String>,
    errors: Receiver<String>,
}

/// How a process ended, and what it had printed that was not read before.
#[derive(Debug, PartialEq)]
struct End {
    code: Option<i32>,
    output: String,
    errors: String,
}

impl End {
    #[track_caller]
    fn is_usage_error(&self, expected: &str) {
        assert_eq!((self.code, self.output.as_str()), (Some(2), ""), "{self:?}");
        let lines: Vec<&str> = self.errors.lines().collect();
        let [problem, hint] = lines[..] else { panic!("{self:?}") };
        assert!(problem.starts_with(&format!("monoloop: {expected}")), "{problem}");
        assert_eq!(hint, "Try 'monoloop --help'.");
    }
}

impl Process {
    #[track_caller]
    fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the command starts");
        let output = lines_of(child.stdout.take().expect("it is piped"));
        let errors = lines_of(child.stderr.take().expect("it is piped"));
        Self { child, output, errors }
    }

    /// The next line of its standard output.
    #[track_caller]
    fn line(&mut self) -> String {
        match self.output.recv_timeout(LIMIT) {
            Ok(line) => line,
            Err(error) => panic!("no line of output: {error}; {:?}", self.errors.try_iter().collect::<Vec<_>>()),
        }
    }

    #[track_caller]
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it is alive");
    }

    /// Waits for its end.
    #[track_caller]
    fn end(&mut self) -> End {
        let until = Instant::now() + LIMIT;
        let (output, errors) = (rest_of(&self.output, until), rest_of(&self.errors, until));
        // Both ends of its pipes are closed, so it has ended or is about to.
        let status: ExitStatus = self.child.wait().expect("it is ours");
        End { code: status.code(), output, errors }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines_of(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || BufReader::new(stream).lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    lines
}

/// All lines until the stream ends.
#[track_caller]
fn rest_of(lines: &Receiver<String>, until: Instant) -> String {
    let mut text = String::new();
    loop {
        match lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(line) => text = text + &line + "\n",
            Err(RecvTimeoutError::Disconnected) => return text,
            Err(RecvTimeoutError::Timeout) => panic!("it does not end; so far: {text}"),
        }
    }
}

/// `monoloop demo`, on a free port.
struct Demo {
    process: Process,
    address: SocketAddr,
    /// What it printed before the address.
    banner: Vec<String>,
}

impl Demo {
    #[track_caller]
    fn start(args: &[&str]) -> Self {
        Self::from(command(&[&["demo", "--port=0"], args].concat()))
    }

    #[track_caller]
    fn from(command: Command) -> Self {
        let mut process = Process::start(command);
        let mut banner = Vec::new();
        loop {
            let line = process.line();
            match line.strip_prefix("listening on http://") {
                Some(address) => return Self { process, address: address.parse().expect("an address"), banner },
                None => banner.push(line),
            }
        }
    }

    #[track_caller]
    fn connect(&self) -> Client {
        Client::connect(self.address)
    }
}

// ---- a client ---------------------------------------------------------------------------------------------------

struct Client {
    stream: BufReader<TcpStream>,
}

struct Reply {
    status: u16,
    head: String,
    content: String,
}

impl Client {
    #[track_caller]
    fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, LIMIT).expect("the server accepts");
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_write_timeout(Some(LIMIT)).unwrap();
        Self { stream: BufReader::new(stream) }
    }

    #[track_caller]
    fn send(&mut self, text: &str) {
        self.stream.get_mut().write_all(text.as_bytes()).expect("the server reads");
    }

    /// Sends a request (`GET /`) with field lines and content, and reads the reply.
    #[track_caller]
    fn ask(&mut self, request: &str, fields: &str, content: &str) -> Reply {
        let length = content.len();
        self.send(&format!(
            "{request} HTTP/1.1\r\nHost: localhost\r\n{fields}Content-Length: {length}\r\n\r\n{content}"
        ));
        self.reply(!request.starts_with("HEAD "))
    }

    /// Begins a request that the server has in hand when this returns, and that it cannot answer yet.
    /// With "!" it is [`ALMOST`].
    #[track_caller]
    fn begin_content_that_lacks_a_byte(&mut self) {
        self.send("POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 7\r\nExpect: 100-continue\r\n\r\n");
        assert_eq!(self.reply(false).status, 100);
        self.send("almost");
    }

    #[track_caller]
    fn reply(&mut self, has_content: bool) -> Reply {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(self.stream.read_line(&mut head).expect("a reply in time"), 0, "closed after {head:?}");
        }
        let status = head.get(9..12).and_then(|status| status.parse().ok()).expect("a status line");
        let mut reply = Reply { status, head, content: String::new() };
        let length: usize = reply.field("content-length").map_or(0, |length| length.parse().expect("a length"));
        let mut content = vec![0; if has_content { length } else { 0 }];
        self.stream.read_exact(&mut content).expect("the whole content in time");
        reply.content = String::from_utf8(content).expect("content is UTF-8");
        reply
    }

    /// Waits until the server closes the connection; false if it sends something instead.
    #[track_caller]
    fn is_closed(&mut self) -> bool {
        match self.stream.read(&mut [0; 64]) {
            Ok(count) => count == 0,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => true,
            Err(error) => panic!("still open: {error}"),
        }
    }
}

impl Reply {
    /// The value of the first field line of this name.
    fn field(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}
