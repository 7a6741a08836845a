use std::cell::Cell;
use std::rc::Rc;

use serde::ser::{Error as _, Serialize, Serializer};

use super::reply_of;
use crate::exchange::CloseReason;
use crate::limits::HIGH_WATER;
use crate::{Router, TestClient};

#[test]
fn each_value_is_a_line() {
    let table: [(Vec<serde_json::Value>, &str); 4] = [
        (vec![], ""),
        (vec![1.into()], "1\n"),
        (vec!["two\nlines\r".into(), serde_json::Value::Null], "\"two\\nlines\\r\"\nnull\n"),
        (vec![serde_json::json!({ "a": [1, { "b": "\u{2028}" }] })], "{\"a\":[1,{\"b\":\"\u{2028}\"}]}\n"),
    ];
    for (values, expected) in table {
        let reply = reply_of(move |res| res.json_lines(values.clone()));
        assert_eq!((reply.status(), reply.text()), (200, expected));
        assert_eq!(reply.header("content-type"), Some("application/x-ndjson"));
    }
    let reply = reply_of(|res| res.header("Content-Type", "application/json-seq").json_lines([1]));
    assert_eq!(reply.header("content-type"), Some("application/json-seq"));
}

/// Backpressure: an endless iterator is asked as far as there is room.
#[test]
fn the_iterator_waits_for_the_client() {
    let asked = Rc::new(Cell::new(0_usize));
    let mut app = Router::new(());
    let count = Rc::clone(&asked);
    app.get("/", move |_, _, res| {
        let count = Rc::clone(&count);
        res.json_lines(std::iter::repeat_with(move || {
            count.set(count.get() + 1);
            "x".repeat(97)
        }))
    });
    let mut client = TestClient::new(app);
    client.set_window(1000);
    client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let first = asked.get();
    assert!(first > 0 && first <= 2 * HIGH_WATER / 100, "{first} lines");
    let mut taken = client.read().len();
    while taken < 4 * HIGH_WATER {
        let read = client.set_window(1000).read().len();
        assert!(read > 0, "it goes on");
        taken += read;
        assert!(asked.get() * 100 <= taken + 2 * HIGH_WATER, "{} lines, {taken} bytes taken", asked.get());
    }
    assert!(asked.get() > first);
}

/// A value that cannot be written from the third on.
struct Third(u32);

impl Serialize for Third {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            3 => Err(S::Error::custom("three is too many")),
            number => serializer.serialize_u32(number),
        }
    }
}

#[test]
fn a_value_that_does_not_serialise_ends_the_stream_without_its_end() {
    let mut app = Router::new(());
    app.get("/", |_, _, res| res.json_lines((1..9).map(Third)));
    let mut client = TestClient::new(app);
    client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let reply = String::from_utf8(client.read()).expect("it is text");
    assert!(!reply.contains("4\n") && !reply.ends_with("0\r\n\r\n"), "{reply}");
    assert_eq!(client.ended(), Some(CloseReason::StreamFailed));
}

#[test]
fn a_head_asks_no_value() {
    let mut app = Router::new(());
    app.get("/", |_, _, res| res.json_lines(std::iter::repeat_with(|| -> u8 { panic!("nobody needs it") })));
    let reply = TestClient::new(app).head("/").send();
    assert_eq!((reply.status(), reply.header("content-type")), (200, Some("application/x-ndjson")));
}
