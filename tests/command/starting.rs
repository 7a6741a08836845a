//! How the command starts: what it prints, addresses, options and errors.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;

use rustix::process::Signal;

use crate::{Client, Demo, End, LIMIT, Process, command};

#[test]
fn the_routes_are_printed_before_the_address() {
    let demo = Demo::start(&[]);
    let expected = "Available routes:
  GET    /
  GET    /page.css
  GET    /page.js
  GET    /page.svg
  GET    /users
  GET    /users/:id
  POST   /users
  PUT    /users/:id
  DELETE /users/:id
  POST   /echo
  POST   /upload
  GET    /big
  GET    /events
  GET    /ws/echo (upgrade)
  GET    /ws/chat (upgrade)
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

/// Each of the two has the same port. Without workers and with them, in either order.
#[test]
fn all_addresses_of_ipv4_and_of_ipv6_are_served_together() {
    if TcpListener::bind("[::1]:0").is_err() {
        return eprintln!("skipped: this machine has no IPv6");
    }
    for (hosts, workers) in [(["0.0.0.0", "::"], "1"), (["::", "0.0.0.0"], "1"), (["0.0.0.0", "::"], "2")] {
        // The port was free a moment ago. If it is not any more, another one is tried.
        let mut attempts = (0..20).map(|_| TcpListener::bind("[::]:0").unwrap().local_addr().unwrap().port());
        let started = attempts.find_map(|port| {
            let port_option = format!("--port={port}");
            let args = ["demo", &port_option, "--host", hosts[0], "--host", hosts[1], "--workers", workers];
            let process = Process::start(command(&args));
            let mut listening = Vec::new();
            while listening.len() < 2 {
                match process.output.recv_timeout(LIMIT) {
                    Ok(line) => listening.extend(line.strip_prefix("listening on ").map(str::to_owned)),
                    Err(_) => return None,
                }
            }
            Some((process, port, listening))
        });
        let (_process, port, listening) = started.expect("a port is free for both");
        assert_eq!(listening, [format!("http://0.0.0.0:{port}"), format!("http://[::]:{port}")]);
        for address in [format!("127.0.0.1:{port}"), format!("[::1]:{port}")] {
            let mut client = Client::connect(address.parse().unwrap());
            assert_eq!(client.ask("GET /plaintext", "", "").status, 200, "{address}, {hosts:?}, {workers} workers");
        }
    }
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
fn a_port_in_use_is_reported() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let end = Process::start(command(&["demo", "--port", &port.to_string()])).end();
    assert_eq!(end, End { code: Some(1), output: String::new(), errors: format!("Port {port} is already in use\n") });
}

#[test]
fn an_unavailable_address_is_reported_in_one_sentence() {
    // 192.0.2.0/24 is reserved for documentation (RFC 5737), so no machine has this address.
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
