//! `monoloop serve` as people start it: what it prints, what its log says, and that a slow reader of its output, or
//! none, does not block it.
#![cfg(all(feature = "cli", target_os = "linux"))]

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use support::process::Process;
use support::serve::{Folder, Serve, memory, works};
use support::{Client, get};

/// The program, without the environment variables of the tests.
fn monoloop(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_monoloop"));
    command.env_clear().args(args);
    command
}

// ---- the start ------------------------------------------------------------------------------------------------------

#[test]
fn the_start_prints_what_is_served_and_how() {
    let folder = Folder::new();
    let at = folder.path("").display().to_string();
    let at = at.trim_end_matches('/');
    let server = Serve::start(&folder, &[]);
    let expected = format!(
        "Serving {at}\n  index: index.html\n  on: precompressed files, symbolic links inside, cache\n\
         listening on http://{}\n",
        server.address
    );
    assert_eq!(server.banner, expected);
    let end = server.end();
    assert_eq!(end, "SIGTERM received. Shutting down gracefully...\nAll connections closed. Goodbye.\n");

    let options = "--index=a.html --index=b.html --listing --spa --hidden --symlinks=never --precompressed=off --cors \
        --cached-files=0 --cache-control=*.css=max-age=60 --cache-control=no-cache --mime=md=text/plain --header=X-A:b";
    let server = Serve::start(&folder, &options.split_whitespace().collect::<Vec<_>>());
    let expected = format!(
        "Serving {at}\n  index: a.html, b.html\n  on: listing, single page, hidden files, CORS\n  \
         cache-control of *.css: max-age=60\n  cache-control of *: no-cache\n  header: X-A: b\n  \
         type of .md: text/plain\nlistening on http://{}\n",
        server.address
    );
    assert_eq!(server.banner, expected);
    server.end();
}

/// Also a reply to a message that was not understood, which no middleware sees.
#[test]
fn the_fields_of_header_and_cors_are_on_every_reply() {
    let folder = Folder::new();
    let options =
        ["--cors", "--header=X-Frame-Options: DENY", "--max-target=100", "--max-head=1k", "--head-timeout=1s"];
    let server = Serve::start(&folder, &options);
    let long = "x".repeat(1000);
    for (request, status) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 404),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHos".to_owned(), 408),
        (format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), 414),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"), 431),
        ("DANCE / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 501),
        ("GET / HTTP/3.0\r\nHost: a\r\n\r\n".to_owned(), 505),
    ] {
        let mut client = server.connect();
        client.send(&request);
        let reply = client.reply();
        assert_eq!(reply.status, status, "{request}");
        assert_eq!(reply.header("x-frame-options"), Some("DENY"), "{status}");
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"), "{status}");
    }
}

/// The path of the health check comes before a file of the same name.
#[test]
fn the_health_check_is_not_a_file() {
    let folder = Folder::new();
    std::fs::write(folder.path("up"), "a file").expect("it can be written");
    let server = Serve::start(&folder, &["--health=/up", "--header=X-A:b"]);
    assert!(server.banner.contains("  health check: /up\n"), "{}", server.banner);
    let mut client = Client::tcp(server.address);
    let reply = client.ask("/up");
    assert_eq!((reply.status, reply.text()), (200, "ok\n"));
    assert_eq!((reply.header("cache-control"), reply.header("x-a")), (Some("no-store"), Some("b")));
    drop(client);
    server.end();

    let server = Serve::start(&folder, &[]);
    assert_eq!(Client::tcp(server.address).ask("/up").text(), "a file");
    server.end();
}

#[test]
fn the_directory_is_the_current_one_if_none_is_named() {
    let folder = Folder::new();
    let mut command = monoloop(&["serve", "--port=0"]);
    command.current_dir(folder.path(""));
    let mut process = Process::start(command);
    let at = folder.path("");
    assert_eq!(process.line(), format!("Serving {}", at.display().to_string().trim_end_matches('/')));
}

#[test]
fn a_directory_that_cannot_be_served_is_reported_in_a_sentence() {
    let folder = Folder::new();
    let file = folder.write("file", "file").display().to_string();
    let nothing = folder.path("nothing").display().to_string();
    for (path, why) in [(&nothing, "No such file or directory"), (&file, "Not a directory")] {
        let end = Process::start(monoloop(&["serve", path, "--port=0"])).end();
        assert_eq!((end.code, end.output.as_slice()), (Some(1), &b""[..]));
        let expected = format!("Cannot serve {path}: {why}");
        assert!(end.errors.starts_with(&expected) && end.errors.lines().count() == 1, "{}", end.errors);
    }
    let end = Process::start(monoloop(&["serve", "a", "b"])).end();
    assert_eq!(
        (end.code, end.errors.as_str()),
        (Some(2), "monoloop: unexpected argument \"b\"\nTry 'monoloop --help'.\n")
    );
}

#[test]
fn the_help_names_every_option_of_serve() {
    let help = Process::start(monoloop(&["--help"])).end();
    let text = help.success();
    let options = "index listing spa hidden symlinks precompressed cache-control header mime cors cached-files \
        access-log host port unix workers";
    for option in options.split_whitespace() {
        assert!(text.contains(&format!("\n  --{option}")), "--{option} in {text}");
    }
    assert!(text.contains("monoloop serve [DIR]") && !text.contains('\x1b'), "{text}");
    assert_eq!(Process::start(monoloop(&["serve", "--help"])).end().success(), text);
    for line in text.lines() {
        assert!(line.chars().count() <= 120, "{line}");
    }
}

#[test]
fn a_terminal_has_colours_unless_its_user_wants_none() {
    // `script` has no option that does more than give the program a terminal.
    if !works(&["script", "-qec", "true", "/dev/null"]) {
        return;
    }
    let folder = Folder::new();
    let program = env!("CARGO_BIN_EXE_monoloop");
    for (variable, has_colour) in [
        (None, true),
        (Some(("NO_COLOR", "1")), false),
        (Some(("NO_COLOR", "")), true),
        (Some(("TERM", "dumb")), false),
    ] {
        let mut script = Command::new("script");
        let command = format!("echo $$; exec {program} serve {} --port 0", folder.path("").display());
        script.env_remove("NO_COLOR").env("TERM", "xterm").envs(variable).args(["-qec", &command, "/dev/null"]);
        let mut process = Process::start(script);
        let pid = Pid::from_raw(process.line().parse().expect("a number")).expect("it is not 0");
        let mut lines = Vec::new();
        while !lines.last().is_some_and(|line: &String| line.starts_with("listening on ")) {
            lines.push(process.line());
        }
        kill_process(pid, Signal::TERM).expect("it is alive");
        let rest = process.end();
        let listening = lines.pop().expect("it listens");
        let rest = format!("{lines:?}{}", rest.success());
        match has_colour {
            true => assert!(listening.starts_with("listening on \x1b[1;36mhttp://127.0.0.1:"), "{listening:?}"),
            false => assert!(listening.starts_with("listening on http://127.0.0.1:"), "{listening:?}"),
        }
        assert!(listening.ends_with("\x1b[0m") == has_colour && !rest.contains("\x1b"), "{listening:?}, {rest:?}");
    }
}

// ---- the access log -------------------------------------------------------------------------------------------------

/// A line without its time, after a check that the time is well-formed.
#[track_caller]
fn timeless(line: &str) -> String {
    let (before, after) = line.split_once(" [").unwrap_or_else(|| panic!("no time in {line}"));
    let (time, after) = after.split_once("] ").unwrap_or_else(|| panic!("no time in {line}"));
    let form: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert!(form.starts_with("00/") && form.ends_with("/0000:00:00:00 +0000") && form.len() == 26, "{time}");
    format!("{before} {after}")
}

fn site() -> Folder {
    let folder = Folder::new();
    folder.write("hello.txt", "hello");
    folder.write("empty.txt", "");
    folder.write("large.bin", vec![b'x'; 100_000]);
    folder
}

/// Requests that come at once. One of them cannot be parsed.
const REQUESTS: &str = "GET /hello.txt?q=1 HTTP/1.1\r\nHost: test\r\n\
    Referer: http://a.example/\r\nUser-Agent: tester/1.0\r\n\r\n\
    HEAD /large.bin HTTP/1.1\r\nHost: test\r\n\r\n\
    GET /large.bin HTTP/1.1\r\nHost: test\r\n\r\n\
    GET /large.bin HTTP/1.1\r\nHost: test\r\nRange: bytes=0-9\r\n\r\n\
    GET /empty.txt HTTP/1.0\r\nHost: test\r\nConnection: keep-alive\r\n\r\n\
    GET /nothing HTTP/1.1\r\nHost: test\r\n\r\n\
    DELETE /hello.txt HTTP/1.1\r\nHost: test\r\n\r\n\
    this is no request\r\n\r\n";

/// Method and target, version, status, bytes, referrer, user agent.
type Expected = (Option<(&'static str, &'static str, &'static str)>, u16, Option<u64>, [Option<&'static str>; 2]);

const EXPECTED: [Expected; 8] = [
    (Some(("GET", "/hello.txt?q=1", "HTTP/1.1")), 200, Some(5), [Some("http://a.example/"), Some("tester/1.0")]),
    (Some(("HEAD", "/large.bin", "HTTP/1.1")), 200, Some(0), [None, None]),
    (Some(("GET", "/large.bin", "HTTP/1.1")), 200, Some(100_000), [None, None]),
    (Some(("GET", "/large.bin", "HTTP/1.1")), 206, Some(10), [None, None]),
    (Some(("GET", "/empty.txt", "HTTP/1.0")), 200, Some(0), [None, None]),
    (Some(("GET", "/nothing", "HTTP/1.1")), 404, None, [None, None]),
    (Some(("DELETE", "/hello.txt", "HTTP/1.1")), 405, None, [None, None]),
    (None, 400, None, [None, None]),
];

/// Sends the requests, and returns the lines of the log when they are answered.
#[track_caller]
fn log_of_requests(format: &str) -> Vec<String> {
    let folder = site();
    let mut server = Serve::start(&folder, &["--access-log", format]);
    let mut client = server.connect();
    client.send(REQUESTS);
    client.half_close();
    while client.read_some(&mut [0; 0x1_0000]).expect("the server answers") > 0 {}
    let lines = EXPECTED.iter().map(|_| server.line()).collect();
    assert!(server.end().starts_with("SIGTERM received."), "there are no more");
    lines
}

#[test]
fn the_log_has_a_line_for_each_reply_in_its_order() {
    for format in ["common", "combined"] {
        let lines = log_of_requests(format);
        for (line, (request, status, bytes, fields)) in lines.iter().zip(EXPECTED) {
            let line = timeless(line);
            let request =
                request.map_or("-".to_owned(), |(method, target, version)| format!("{method} {target} {version}"));
            let start = format!("127.0.0.1 - - \"{request}\" {status} ");
            let rest = line.strip_prefix(&start).unwrap_or_else(|| panic!("{line} in place of {start}"));
            let (sent, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            match bytes {
                Some(0) => assert_eq!(sent, "-", "{line}"),
                Some(bytes) => assert_eq!(sent, bytes.to_string(), "{line}"),
                None => assert!(sent.parse::<u64>().is_ok_and(|sent| sent > 0), "{line}"),
            }
            let [referer, user_agent] = fields.map(|field| field.unwrap_or("-"));
            let fields = format!("\"{referer}\" \"{user_agent}\"");
            assert_eq!(rest, if format == "combined" { fields.as_str() } else { "" }, "{line}");
        }
    }
}

#[test]
fn the_log_can_be_json() {
    for (line, (request, status, bytes, [referer, user_agent])) in log_of_requests("json").iter().zip(EXPECTED) {
        let json: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"));
        let (method, target, version) = request.map_or((None, None, None), |(m, t, v)| (Some(m), Some(t), Some(v)));
        let texts = [("method", method), ("target", target), ("version", version), ("remote", Some("127.0.0.1"))];
        for (name, expected) in texts.into_iter().chain([("referer", referer), ("user_agent", user_agent)]) {
            assert_eq!(json[name].as_str(), expected, "{name} in {line}");
        }
        assert_eq!(json["status"].as_u64(), Some(status.into()), "{line}");
        let sent = json["bytes"].as_u64().expect("a number");
        assert!(bytes.is_none_or(|bytes| bytes == sent), "{line}");
        assert!(json["duration_us"].is_u64() && json["connection"] == 1, "{line}");
        let time = json["time"].as_str().expect("a time");
        assert!(time.len() == "2026-01-01T00:00:00.000Z".len() && time.ends_with('Z'), "{line}");
    }
}

/// Text from a client is within its quotation marks. It does not end the line, and does nothing to a terminal.
#[test]
fn a_client_cannot_forge_lines_of_the_log() {
    let said: [&[u8]; 8] = [
        b"a\" 200 5 \"b",
        b"back\\slash\\",
        b"tab\tin it",
        b"\x1b[31mred\x1b[0m",
        b"\xff\xfe\x80 no UTF-8",
        "\u{9b}31m csi, \u{e9}, \u{1f600}".as_bytes(),
        b"\x7f\x08\x00",
        b"%0d%0a127.0.0.1 - - \"GET / HTTP/1.1\"",
    ];
    let folder = site();
    for format in ["combined", "json"] {
        let mut server = Serve::start(&folder, &["--access-log", format]);
        for bytes in said {
            for place in 0..3 {
                let mut request = [&b"GET /hello.txt?"[..], if place == 0 { bytes } else { b"" }].concat();
                request.extend_from_slice(b" HTTP/1.1\r\nHost: test\r\nConnection: close\r\n");
                let names = [&b""[..], b"User-Agent: ", b"Referer: "];
                if place > 0 {
                    request.extend_from_slice(&[names[place], bytes, b"\r\n"].concat());
                }
                request.extend_from_slice(b"\r\n");
                let mut client = server.connect();
                client.send(&request);
                let (status, _) = client.try_head().expect("an answer");
                let line = server.line();
                let what = format!("{:?} at {place}: {line}", String::from_utf8_lossy(bytes));
                assert!(!line.contains(char::is_control) && !line.contains('\u{9b}'), "{what}");
                if format == "json" {
                    let json: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}, {what}"));
                    assert_eq!(json["status"], status, "{what}");
                    if status == 200 && place > 0 {
                        let field = json[["", "user_agent", "referer"][place]].as_str().expect("it was sent");
                        assert_eq!(field, String::from_utf8_lossy(bytes).trim(), "{what}");
                    }
                } else {
                    assert_eq!(line.matches('"').count(), 6, "{what}");
                    let line = timeless(&line);
                    let after = line.split('"').nth(2).expect("there are six");
                    assert!(after.starts_with(&format!(" {status} ")), "{what}");
                }
            }
        }
        server.end();
    }
}

#[test]
fn a_client_that_leaves_in_the_middle_is_logged() {
    let folder = site();
    folder.sparse("huge.bin", 1 << 30);
    for format in ["common", "json"] {
        let mut server = Serve::start(&folder, &["--access-log", format]);
        for is_reset in [false, true] {
            let mut client = server.connect();
            client.send(get("/huge.bin") + &get("/hello.txt"));
            assert_eq!(client.try_head().expect("a head").0, 200);
            if is_reset {
                client.reset()
            } else {
                drop(client)
            }
            let line = server.line();
            match format {
                "json" => {
                    let json: Value = serde_json::from_str(&line).expect("it is JSON");
                    assert_eq!((json["status"].as_u64(), json["target"].as_str()), (Some(200), Some("/huge.bin")));
                    assert!(json["bytes"].as_u64().expect("a number") < 1 << 30 && json["complete"] == false, "{line}");
                }
                _ => {
                    let bytes = timeless(&line)
                        .strip_prefix("127.0.0.1 - - \"GET /huge.bin HTTP/1.1\" 200 ")
                        .map(str::parse::<u64>);
                    assert!(bytes.is_some_and(|bytes| bytes.is_ok_and(|bytes| bytes > 0 && bytes < 1 << 30)), "{line}");
                }
            }
        }
        assert_eq!(server.connect().ask("/hello.txt").text(), "hello");
        assert!(server.line().contains("/hello.txt"));
        server.end();
    }
}

#[test]
fn workers_write_one_log() {
    let folder = site();
    let server = Serve::start(&folder, &["--workers=2", "--access-log=common"]);
    let mut clients: Vec<Client> = (0..20).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(get("/hello.txt").repeat(50));
    }
    for client in &mut clients {
        (0..50).for_each(|_| assert_eq!(client.reply().text(), "hello"));
    }
    drop(clients);
    let output = server.end();
    let lines = output.lines().filter(|line| line.starts_with("127.0.0.1"));
    let good = lines.filter(|line| timeless(line) == "127.0.0.1 - - \"GET /hello.txt HTTP/1.1\" 200 5").count();
    assert_eq!(good, 1000, "{output}");
}

/// More lines than the pipe and the queue before it hold.
#[test]
fn a_log_that_nobody_reads_does_not_block_requests_or_the_end() {
    let folder = site();
    let (mut child, mut output) = start_unread(&folder, "--access-log=combined");
    let address = listening(&mut output);
    let mut client = Client::tcp(address);
    let agent = "x".repeat(400);
    let request = format!("GET /hello.txt HTTP/1.1\r\nHost: test\r\nUser-Agent: {agent}\r\n\r\n");
    // 64 KiB are in the pipe, and 8,192 lines in the queue.
    for _ in 0..180 {
        client.send(request.repeat(50));
        (0..50).for_each(|_| assert_eq!(client.reply().text(), "hello"));
    }
    assert_eq!(Client::tcp(address).ask("/hello.txt").text(), "hello");
    drop(client);
    let pid = Pid::from_child(&child.0);
    kill_process(pid, Signal::TERM).expect("it is alive");
    let (ended, end) = mpsc::channel();
    let waiter = thread::spawn(move || {
        let _ = ended.send(child.0.wait());
    });
    // The server waits a second for the log to be written.
    let in_time = end.recv_timeout(Duration::from_secs(5));
    if in_time.is_err() {
        // The other thread waits for the process, so its number is not used again.
        let _ = kill_process(pid, Signal::KILL);
    }
    waiter.join().expect("it ends");
    let status = in_time.expect("it does not end while nobody reads what it prints").expect("it is ours");
    assert_eq!(status.code(), Some(0));
    drop(output);
}

/// The number of queued lines is limited, but clients decide how long they are.
#[test]
fn long_lines_of_a_log_that_nobody_reads_cost_little_memory() {
    /// In bytes; the lines are three times as many.
    const GROWTH: u64 = 16 << 20;
    let folder = site();
    let (child, mut output) = start_unread(&folder, "--access-log=combined");
    let mut client = Client::tcp(listening(&mut output));
    // Each byte becomes four in the log.
    let agent = "\"".repeat(15_000);
    let request = format!("GET /hello.txt HTTP/1.1\r\nHost: test\r\nUser-Agent: {agent}\r\n\r\n");
    let memory = || memory(Pid::from_child(&child.0), "VmRSS");
    assert_eq!(client.ask("/hello.txt").text(), "hello");
    let before = memory();
    for _ in 0..160 {
        client.send(request.repeat(5));
        (0..5).for_each(|_| assert_eq!(client.reply().text(), "hello"));
    }
    let after = memory();
    assert!(after <= before + GROWTH, "{before} bytes before, and {after} after 800 requests");
}

/// A log that nobody reads any more is no reason to stop.
#[test]
fn the_reader_of_the_log_may_leave() {
    let folder = site();
    let (mut child, mut output) = start_unread(&folder, "--access-log=json");
    let address = listening(&mut output);
    drop(output);
    let mut client = Client::tcp(address);
    for _ in 0..200 {
        assert_eq!(client.ask("/hello.txt").text(), "hello");
    }
    kill_process(Pid::from_child(&child.0), Signal::TERM).expect("it is alive");
    client.expect_end();
    let mut errors = String::new();
    let stderr = child.0.stderr.take().expect("it is piped");
    BufReader::new(stderr).lines().map_while(Result::ok).for_each(|line| errors += &line);
    assert_eq!(child.0.wait().expect("it is ours").code(), Some(0), "{errors}");
    assert_eq!(errors.matches("the access log cannot be written").count(), 1, "told once: {errors}");
}

/// It is killed at the end of the test, also if the test fails.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

type Output = BufReader<std::process::ChildStdout>;

#[track_caller]
fn start_unread(folder: &Folder, option: &str) -> (Killed, Output) {
    let mut command = monoloop(&["serve", "--port=0", option]);
    command.arg(folder.path("")).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = Killed(command.spawn().expect("it starts"));
    let output = BufReader::new(child.0.stdout.take().expect("it is piped"));
    (child, output)
}

/// Reads until the line with the address, and not more than the buffer takes.
#[track_caller]
fn listening(output: &mut Output) -> std::net::SocketAddr {
    let line = output.lines().map_while(Result::ok).find(|line| line.starts_with("listening on "));
    let address = line.as_deref().and_then(|line| line.strip_prefix("listening on http://")).expect("it listens");
    address.parse().expect("an address")
}
