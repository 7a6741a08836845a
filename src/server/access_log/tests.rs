use std::io;
use std::sync::{Arc, Mutex};

use super::*;
use crate::http::Method;
use crate::{Router, TestClient};

/// A file in memory.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Paper {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).expect("lines are UTF-8")
    }

    /// The lines, without their times.
    #[track_caller]
    fn lines(&self) -> Vec<String> {
        let text = self.text();
        assert!(text.is_empty() || text.ends_with('\n'), "the last line has no end: {text:?}");
        let timeless = |line: &str| {
            let (host, rest) = line.split_once(" - - [").expect("a host");
            let (time, rest) = rest.split_once("] ").expect("a time");
            assert_eq!((time.len(), &time[20..]), (26, " +0000"), "{line:?}");
            format!("{host} {rest}")
        };
        text.lines().map(timeless).collect()
    }
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn peer(host: u8) -> Endpoint {
    std::net::SocketAddr::from(([192, 0, 2, host], 4711)).into()
}

fn asked(target: &str) -> Asked {
    let (referer, user_agent) = (None, None);
    Asked { method: "GET", target: target.into(), version: Version::Http11, referer, user_agent }
}

fn finished(status: u16, content: u64) -> FinishedReply<'static> {
    FinishedReply {
        method: Some(Method::Get),
        path: Some("/"),
        route: None,
        status,
        received: 40,
        content,
        sent: content + 100,
        duration: Duration::from_micros(1_234),
        handler: Duration::from_micros(234),
        deferred: Duration::ZERO,
    }
}

/// An entry at a certain time, 10 October 2000.
fn entry<'a>(asked: Option<&'a Asked>, reply: Option<&'a FinishedReply<'a>>) -> Entry<'a> {
    let now = UNIX_EPOCH + Duration::from_millis(971_186_136_078);
    let outcome = reply.map_or(Outcome::Unanswered { by_client: true }, Outcome::Whole);
    Entry { now, id: ConnectionId(7), peer: peer(1), asked, outcome }
}

// ---- lines ------------------------------------------------------------------------------------------------------

#[test]
fn a_line_of_each_format() {
    let from_somewhere =
        Asked { referer: Some("http://a/b".into()), user_agent: Some("curl/8 (\u{fc}ber)".into()), ..asked("/c?d=e") };
    let reply = FinishedReply { route: Some("/:letter"), ..finished(200, 2326) };
    let entry = entry(Some(&from_somewhere), Some(&reply));
    let common = "192.0.2.1 - - [10/Oct/2000:13:55:36 +0000] \"GET /c?d=e HTTP/1.1\" 200 2326";
    assert_eq!(entry.common(), format!("{common}\n"));
    assert_eq!(entry.combined(), format!("{common} \"http://a/b\" \"curl/8 (\u{fc}ber)\"\n"));
    assert_eq!(
        entry.json(),
        concat!(
            r#"{"time":"2000-10-10T13:55:36.078Z","connection":7,"remote":"192.0.2.1","method":"GET","#,
            r#""target":"/c?d=e","version":"HTTP/1.1","referer":"http://a/b","user_agent":"curl/8 (über)","#,
            r#""status":200,"bytes":2326,"complete":true,"duration_us":1234,"handler_us":234,"#,
            r#""route":"/:letter"}"#,
            "\n"
        )
    );
}

#[test]
fn an_unknown_value_is_a_dash_or_null() {
    let reply = finished(400, 0);
    let entry = Entry { peer: Endpoint::Unix, ..entry(None, Some(&reply)) };
    let common = "unix - - [10/Oct/2000:13:55:36 +0000] \"-\" 400 -";
    assert_eq!(entry.common(), format!("{common}\n"));
    assert_eq!(entry.combined(), format!("{common} \"-\" \"-\"\n"));
    assert_eq!(
        entry.json(),
        concat!(
            r#"{"time":"2000-10-10T13:55:36.078Z","connection":7,"remote":"unix","method":null,"target":null,"#,
            r#""version":null,"referer":null,"user_agent":null,"status":400,"bytes":0,"complete":true,"#,
            r#""duration_us":1234,"handler_us":234,"route":null}"#,
            "\n"
        )
    );
}

#[test]
fn ipv6_addresses_and_large_byte_counts_are_written_in_full() {
    let reply = finished(206, 1 << 40);
    let address: std::net::SocketAddr = "[2001:db8::1]:80".parse().unwrap();
    let asked = Asked { version: Version::Http10, ..asked("*") };
    let entry = Entry { peer: address.into(), ..entry(Some(&asked), Some(&reply)) };
    let line = "2001:db8::1 - - [10/Oct/2000:13:55:36 +0000] \"GET * HTTP/1.0\" 206 1099511627776\n";
    assert_eq!(entry.common(), line);
}

#[test]
fn a_time_before_1970_is_written_as_the_beginning_of_1970() {
    let entry = Entry { now: UNIX_EPOCH - Duration::from_secs(5), ..entry(None, None) };
    assert!(entry.common().contains("[01/Jan/1970:00:00:00 +0000]"), "{}", entry.common());
    assert!(entry.json().starts_with(r#"{"time":"1970-01-01T00:00:00.000Z","#), "{}", entry.json());
}

#[test]
fn no_text_from_a_client_ends_a_line_or_a_quoted_string() {
    let every: String = (0..0x2100).filter_map(char::from_u32).collect();
    let hostile = Asked {
        target: every.as_str().into(),
        referer: Some("\" 200 1\nforged - - \\".into()),
        user_agent: Some(every.as_str().into()),
        ..asked("/")
    };
    let reply = finished(200, 1);
    let entry = entry(Some(&hostile), Some(&reply));
    for line in [entry.common(), entry.combined(), entry.json()] {
        let within = line.strip_suffix('\n').expect("an end");
        assert!(!within.chars().any(char::is_control), "a control character: {within:?}");
        let acts =
            |c| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        assert!(!within.contains(acts), "a separator, or a change of direction: {within:?}");
    }
    let combined = entry.combined();
    assert_eq!(combined.matches('"').count(), 6, "{combined:?}");
    assert!(combined.contains(r#""\x22 200 1\x0aforged - - \x5c""#), "{combined:?}");
    assert!(combined.contains(r"\x00\x01") && combined.contains(r"~\x7f\x80") && combined.contains("\\x9f\u{a0}"));
    assert!(combined.contains("\u{2027}\\u2028\\u2029\\u202a") && combined.contains("\\u2069\u{206a}"));
}

#[cfg(feature = "json")]
#[test]
fn a_json_line_can_be_parsed_whatever_a_client_sends() {
    let every: String = (0..0x3000).filter_map(char::from_u32).collect();
    let hostile = Asked { user_agent: Some(every.as_str().into()), ..asked("/") };
    let json: serde_json::Value = serde_json::from_str(&entry(Some(&hostile), None).json()).expect("JSON");
    assert_eq!(json["user_agent"], every.as_str());
    assert_eq!((&json["status"], &json["bytes"]), (&499.into(), &0.into()));
}

// ---- requests and connections -----------------------------------------------------------------------------------

/// A client of a small application, and the log that is complete when the client is dropped.
fn client(format: LogFormat) -> (TestClient<Router<()>>, Paper) {
    let mut app = Router::new(());
    app.get("/", |_, _, res| res.text("hello"));
    app.get("/fail", |_, _, _| Err(crate::Error::new(409, "As asked")));
    app.get("/never", |_, _, res| {
        let (sent, responder) = res.defer();
        std::mem::forget(responder);
        Ok(sent)
    });
    let paper = Paper::default();
    let mut client = TestClient::new(app).observer(AccessLog::new(format, paper.clone()).unwrap());
    // The log has not seen the first connection, which is older than the log.
    client.reconnect();
    (client, paper)
}

#[test]
fn the_lines_of_pipelined_requests_come_in_their_order() {
    let (mut client, paper) = client(LogFormat::Combined);
    client.write("GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: one\r\n\r\nHEAD /?2 HTTP/1.1\r\nHost: a\r\n\r\n");
    client.write(b"GET /fail HTTP/1.1\r\nHost: a\r\nReferer: /\xff\"\r\n\r\nGET /none HTTP/1.0\r\n\r\n");
    drop(client);
    let not_found = "{\"error\":\"Not found\"}".len();
    let lines = paper.lines();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert_eq!(lines[0], "127.0.0.1 \"GET / HTTP/1.1\" 200 5 \"-\" \"one\"");
    assert_eq!(lines[1], "127.0.0.1 \"HEAD /?2 HTTP/1.1\" 200 - \"-\" \"-\"");
    assert_eq!(lines[2], "127.0.0.1 \"GET /fail HTTP/1.1\" 409 20 \"/\u{fffd}\\x22\" \"-\"");
    assert_eq!(lines[3], format!("127.0.0.1 \"GET /none HTTP/1.0\" 404 {not_found} \"-\" \"-\""));
}

/// What waits in memory for the end of a reply is what its line needs, and no text is longer than its limit.
#[test]
fn a_request_that_waits_keeps_only_what_its_line_needs() {
    let (long, exact) = ("x".repeat(5_000), "y".repeat(LOG_TEXT));
    // The last character before the limit has two bytes, and one of them is beyond it.
    let agent = format!("{}\u{fc}{long}", "z".repeat(LOG_TEXT - 1));
    let head = format!("GET /{long} HTTP/1.1\r\nHost: a\r\nReferer: {exact}\r\nUser-Agent: {agent}\r\n\r\n");
    let target = Some(format!("/{}...", &long[..LOG_TEXT - 1]));
    let fields = [Some(exact), Some(format!("{}...", "z".repeat(LOG_TEXT - 1)))];
    let none = [None, None];
    for (format, fields) in [(LogFormat::Common, &none), (LogFormat::Combined, &fields), (LogFormat::Json, &fields)] {
        let mut app = Router::new(None);
        app.get("/*any", move |kept, req, res| {
            *kept = Some(Asked::of(req, format));
            res.empty()
        });
        let mut client = TestClient::new(app);
        client.write(&head);
        let kept = client.app_mut().state_mut().take().expect("the handler was called");
        assert_eq!(Some(kept.target.into_string()), target, "{format:?}");
        assert_eq!([kept.referer, kept.user_agent].map(|text| text.map(str::into_string)), *fields, "{format:?}");
    }
}

#[test]
fn a_malformed_request_has_a_line_after_the_others() {
    let (mut client, paper) = client(LogFormat::Common);
    client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n\r\n");
    drop(client);
    let lines = paper.lines();
    assert_eq!(lines[0], "127.0.0.1 \"GET / HTTP/1.1\" 200 5");
    assert!(lines[1].starts_with("127.0.0.1 \"-\" 400 "), "{lines:?}");
}

#[test]
fn a_request_whose_client_does_not_wait_for_the_reply_has_a_line_with_499() {
    let paper = Paper::default();
    let mut log = AccessLog::new(LogFormat::Common, paper.clone()).unwrap();
    let id = ConnectionId(3);
    log.connection_opened(id, &peer(9));
    let connection = log.connections.get_mut(&id).unwrap();
    connection.requests.extend(["/1", "/2", "/3"].map(asked));
    log.reply_finished(id, &finished(200, 4));
    log.connection_closed(id, CloseReason::SocketError);
    log.connection_closed(id, CloseReason::SocketError);
    log.reply_finished(id, &finished(200, 4));
    assert!(log.connections.is_empty(), "the log keeps nothing about a closed connection");
    drop(log);
    let gone = ["/2", "/3"].map(|target| format!("192.0.2.9 \"GET {target} HTTP/1.1\" 499 -"));
    assert_eq!(paper.lines(), [&["192.0.2.9 \"GET /1 HTTP/1.1\" 200 4".to_owned()][..], &gone].concat());
}

#[test]
fn a_request_that_waits_for_its_reply_when_the_client_leaves_has_a_line() {
    let (mut client, paper) = client(LogFormat::Common);
    client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /never HTTP/1.1\r\nHost: a\r\n\r\nGET /unheard HTTP/1.1\r\n");
    client.reset();
    drop(client);
    assert_eq!(
        paper.lines(),
        ["127.0.0.1 \"GET / HTTP/1.1\" 200 5", "127.0.0.1 \"GET /never HTTP/1.1\" 499 -"],
        "a request that has not arrived whole has no line"
    );
}

#[test]
fn a_clone_numbers_its_connections_itself_and_writes_to_the_same_place() {
    let paper = Paper::default();
    let mut one = AccessLog::new(LogFormat::Common, paper.clone()).unwrap();
    one.connection_opened(ConnectionId(1), &peer(1));
    let mut other = one.clone();
    assert!(other.connections.is_empty());
    other.connection_opened(ConnectionId(1), &peer(2));
    for (log, target) in [(&mut one, "/one"), (&mut other, "/other")] {
        log.connections.get_mut(&ConnectionId(1)).unwrap().requests.push_back(asked(target));
    }
    other.connection_closed(ConnectionId(1), CloseReason::SocketError);
    one.reply_finished(ConnectionId(1), &finished(200, 1));
    drop(one);
    // Dropping the last clone waits for the queued lines; dropping the first one does not.
    drop(other);
    let lines = ["192.0.2.2 \"GET /other HTTP/1.1\" 499 -", "192.0.2.1 \"GET /one HTTP/1.1\" 200 1"];
    assert_eq!(paper.lines(), lines);
}

#[test]
fn a_cut_reply_and_the_unanswered_requests_after_it_have_lines() {
    let paper = Paper::default();
    let mut log = AccessLog::new(LogFormat::Common, paper.clone()).unwrap();
    let closings = [CloseReason::SocketError, CloseReason::FileShrank, CloseReason::Cut];
    for (number, reason) in closings.into_iter().enumerate() {
        let id = ConnectionId(number as u64);
        log.connection_opened(id, &peer(1));
        let requests = &mut log.connections.get_mut(&id).unwrap().requests;
        requests.extend([asked("/cut"), asked("/behind")]);
        log.reply_cut(id, &finished(206, 77));
        log.connection_closed(id, reason);
    }
    drop(log);
    let cut = "192.0.2.1 \"GET /cut HTTP/1.1\" 206 77";
    let behind = |status| format!("192.0.2.1 \"GET /behind HTTP/1.1\" {status} -");
    let expected = ["499", "000", "000"].map(|status| [cut.to_owned(), behind(status)]);
    assert_eq!(paper.lines(), expected.concat());
}
