//! The streams of the demo, with curl as the client.

use crate::support::process::Process;
use crate::support::{assert_same, pattern};
use crate::{CURL, Demo, MIB, STATUS, TempFile, curl, field, has, uploaded};

#[test]
fn curl_uploads_slowly() {
    if !has("curl") {
        return;
    }
    let demo = Demo::start();
    let content = pattern(3 * MIB / 2);
    let file = TempFile::new(&content);
    let expected = format!("{}\n200 application/json\n", uploaded(&content));
    let slowly = ["-X", "POST", "--limit-rate", "1500k"];

    let mut known = curl(&slowly);
    known.args(STATUS).arg("-T").arg(file.path()).arg(demo.url("/upload"));
    let mut chunked = curl(&slowly);
    chunked.args(STATUS).args(["-T", "-"]).arg(demo.url("/upload"));
    let running = [("a file", Process::start(known)), ("a pipe", Process::start_with(chunked, file.open()))];
    for (name, mut process) in running {
        assert_eq!(process.end().clean(), expected, "{name}");
    }
    demo.end();
}

/// Without the 100, the client would wait longer than it may run.
#[test]
fn curl_is_told_to_continue() {
    if !has("curl") {
        return;
    }
    let demo = Demo::start();
    let content = pattern(100_000);
    let file = TempFile::new(&content);
    for path in ["/upload", "/echo"] {
        for (name, fields) in [("known", &[][..]), ("chunked", &["-H", "Transfer-Encoding: chunked"])] {
            let mut curl = curl(&["-v", "-H", "Expect: 100-continue", "--expect100-timeout", "60"]);
            curl.args(fields).arg("--data-binary").arg(file.argument()).arg(demo.url(path));
            let end = Process::start(curl).end();
            assert_eq!(end.code, Some(0), "{path}, {name}: {}", end.errors);
            assert!(end.errors.contains("< HTTP/1.1 100 Continue"), "{path}, {name}: {}", end.errors);
            match path {
                "/upload" => assert_eq!(end.text(), uploaded(&content), "{name}"),
                _ => assert_same(&end.output, &content, name),
            }
        }
    }
    demo.end();
}

#[test]
fn curl_downloads_the_same_content_slowly_and_fast() {
    if !has("curl") {
        return;
    }
    let demo = Demo::start();
    let download = |options: &[&str]| {
        let mut curl = curl(options);
        curl.arg(demo.url("/big?mib=2"));
        Process::start(curl)
    };
    let mut slow = download(&["--limit-rate", "2m"]);
    let fast = download(&[]).end();
    assert_eq!((fast.code, fast.errors.as_str()), (Some(0), ""));
    assert_eq!(fast.output.len(), 2 * MIB);
    let slow = slow.end();
    assert_eq!((slow.code, slow.errors.as_str()), (Some(0), ""));
    assert_same(&slow.output, &fast.output, "the slow download");
    demo.end();
}

#[test]
fn curl_gets_its_content_back() {
    if !has("curl") {
        return;
    }
    let demo = Demo::start();
    let large = pattern(3 * MIB);
    for content in [&large[..], &large[..1], &[]] {
        let length = content.len();
        let file = TempFile::new(content);
        // Without this Content-Type, curl would send one with --data-binary, and none with -T.
        for (name, content_type) in [("known", Some("text/x-mine; a=b")), ("known", None), ("chunked", None)] {
            let mut curl = curl(&["-i", "-H", "Expect:", "-H"]);
            curl.arg(content_type.map_or("Content-Type:".to_owned(), |value| format!("Content-Type: {value}")));
            match name {
                "known" => curl.arg("--data-binary").arg(file.argument()),
                _ => curl.args(["-X", "POST", "-T", "-"]),
            };
            curl.arg(demo.url("/echo"));
            let end = Process::start_with(curl, file.open()).end();
            let what = format!("{length} bytes, {name}, {content_type:?}: {}", end.errors);
            assert_eq!(end.code, Some(0), "{what}");
            let (head, echoed) = end.head_and_content();
            assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{what}: {head}");
            assert_eq!(field(head, "content-type"), Some(content_type.unwrap_or("application/octet-stream")), "{what}");
            let framing = (field(head, "content-length"), field(head, "transfer-encoding"));
            match name {
                "known" => assert_eq!(framing, (Some(&*length.to_string()), None), "{what}"),
                _ => assert_eq!(framing, (None, Some("chunked")), "{what}"),
            }
            assert_same(echoed, content, what);
        }
    }
    demo.end();
}

#[test]
fn curl_gets_the_head_of_big_content() {
    if !has("curl") {
        return;
    }
    let demo = Demo::start();
    for (path, length) in [("/big", 50 * MIB), ("/big?mib=50", 50 * MIB), ("/big?mib=3", 3 * MIB)] {
        let mut curl = curl(&["-I"]);
        curl.arg(demo.url(path)).arg("--next").args(CURL).args(["-w", " %{num_connects}"]).arg(demo.url("/plaintext"));
        let end = Process::start(curl).end();
        let (head, rest) = end.head_and_content();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{path}: {head}");
        assert_eq!(field(head, "content-length"), Some(&*length.to_string()), "{path}");
        assert_eq!(field(head, "content-type"), Some("application/octet-stream"), "{path}");
        assert_eq!(String::from_utf8_lossy(rest), "Hello, World! 0", "{path}: the connection is kept");
        assert_eq!((end.code, end.errors.as_str()), (Some(0), ""), "{path}");
    }
    demo.end();
}

/// Each event is a line of output while the stream goes on. The client is killed in the middle of the stream.
#[test]
fn curl_receives_events() {
    if !has("curl") {
        return;
    }
    let demo = Demo::start();
    let listening = ["--http1.1", "--http1.0"].map(|version| {
        let mut curl = curl(&["-N", "-i", version]);
        curl.arg(demo.url("/events"));
        (version, Process::start(curl))
    });
    for (version, mut process) in listening {
        // Reads up to the empty line, which follows a head and each event.
        let mut block = || std::iter::from_fn(|| Some(process.line())).take_while(|line| !line.is_empty()).collect();
        let head: Vec<String> = block();
        let head = head.join("\r\n");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{version}: {head}");
        let content_type = field(&head, "content-type").expect("it is told");
        assert_eq!(content_type.split(';').next(), Some("text/event-stream"), "{version}");
        assert_eq!(field(&head, "content-length"), None, "{version}: {head}");
        let is_chunked = field(&head, "transfer-encoding") == Some("chunked");
        assert_eq!(is_chunked, version == "--http1.1", "{version}: {head}");
        let mut event = || loop {
            // An event without an id is a comment, or the time after which to reconnect.
            let event = block();
            if let Some(id) = event.iter().find_map(|line| line.strip_prefix("id: ")) {
                let id: u64 = id.parse().expect("the id is a number");
                assert!(event.iter().any(|line| line == "event: tick"), "{version}: {event:?}");
                assert!(event.contains(&format!(r#"data: {{"tick":{id}}}"#)), "{version}: {event:?}");
                return id;
            }
        };
        let first = event();
        assert_eq!(event(), first + 1, "{version}");
    }
    demo.assert_serves();
}

#[test]
fn curl_waits_for_several_late_answers_at_once() {
    if !has("curl") {
        return;
    }
    let demo = Demo::start();
    let mut curl = curl(&["--no-progress-meter", "--parallel", "--parallel-immediate", "--parallel-max", "20"]);
    curl.args((0..20).map(|i| demo.url(&format!("/slow?ms={}", 500 + i))));
    let end = Process::start(curl).end();
    // They come when they are ready, one after the other.
    let mut replies: Vec<&str> = end.clean().split_inclusive('}').collect();
    replies.sort_unstable();
    let expected: Vec<_> = (0..20).map(|i| format!(r#"{{"slept_ms":{}}}"#, 500 + i)).collect();
    assert_eq!(replies, expected);
    demo.end();
}
