//! The opening handshake: what a request must say, and which origins may open a WebSocket.

use crate::http::{Error, TestFields};
use crate::websocket::handshake::{AcceptKey, Handshake, upgrade_required};
use crate::websocket::origins::Origins;

const VERSION: (&str, &str) = ("Sec-WebSocket-Version", "13");
/// The example of RFC 6455 §1.3, and its answer.
const KEY: (&str, &str) = ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

fn fields(lines: &[(&str, &str)]) -> TestFields {
    TestFields::new(lines.iter().map(|(name, value)| (*name, value.as_bytes())))
}

/// The status of the error for a request with these field lines, or 101.
fn status(lines: &[(&str, &str)]) -> u16 {
    match Handshake::read(fields(lines).get(), Some("example.com"), &Origins::Same) {
        Ok(handshake) => {
            assert_eq!(handshake.accept(), ACCEPT);
            101
        }
        Err(error) => error.status(),
    }
}

/// Whether the client speaks this subprotocol.
fn offers(handshake: &Handshake<'_>, name: &str) -> bool {
    handshake.protocols().any(|offered| offered == name)
}

#[test]
fn the_key_is_answered_as_in_the_rfc() {
    assert_eq!(AcceptKey::new(KEY.1.as_bytes()).as_str(), ACCEPT);
    // That of a connection of Chromium.
    assert_eq!(AcceptKey::new(b"x3JJHMbDL1EzLkh9GBhXDw==").as_str(), "HSmrc0sMlYUkAGmm5OPpG2HaGWk=");
}

#[test]
fn version_and_key_must_be_there_once() {
    assert_eq!(status(&[VERSION, KEY]), 101);
    assert_eq!(status(&[("sec-websocket-version", "13"), ("SEC-WEBSOCKET-KEY", KEY.1)]), 101);
    for version in ["", "8", "12", "14", "013", "13, 13", "13,8", "+13"] {
        assert_eq!(status(&[("Sec-WebSocket-Version", version), KEY]), 426, "{version}");
    }
    assert_eq!(status(&[KEY]), 426);
    assert_eq!(status(&[VERSION, VERSION, KEY]), 426);
    assert_eq!(status(&[VERSION]), 400);
    assert_eq!(status(&[VERSION, KEY, KEY]), 400);
    let keys = [
        "",
        "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBsZSBub25jZQ=",
        "dGhlIHNhbXBsZSBub25jZQ===",
        // The bits that no byte needs are not 0.
        "dGhlIHNhbXBsZSBub25jZR==",
        // 17 and 18 bytes.
        "dGhlIHNhbXBsZSBub25jZSE=",
        "dGhlIHNhbXBsZSBub25jZSEh",
        // Other alphabets.
        "dGhlIHNhbXBsZSBub25j-_==",
        "dGhlIHNhbXBsZSB1b25jZ \"=",
        "dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==",
    ];
    for key in keys {
        assert_eq!(status(&[VERSION, ("Sec-WebSocket-Key", key)]), 400, "{key}");
    }
}

/// The last digit of the key has two bits of the last byte.
#[test]
fn a_key_is_good_if_it_can_be_decoded() {
    for last in 0..=u8::MAX {
        for digit in [b'A', b'z', b'+', b'/', b'-', b'_', b'=', b' '] {
            let key = [&[digit; 21][..], &[last], b"=="].concat();
            let decoded = data_encoding::BASE64
                .decode_len(24)
                .is_ok_and(|len| data_encoding::BASE64.decode_mut(&key, &mut vec![0; len]).is_ok_and(|len| len == 16));
            let lines = [("Sec-WebSocket-Version", &b"13"[..]), ("Sec-WebSocket-Key", &key)];
            let fields = TestFields::new(lines);
            let is_good = Handshake::read(fields.get(), None, &Origins::Same).is_ok();
            assert_eq!(is_good, decoded, "{}", key.escape_ascii());
        }
    }
}

#[test]
fn the_426_names_the_protocol_and_its_version() {
    let error = upgrade_required();
    let fields: Vec<_> = error.headers().collect();
    let wanted = [("Upgrade", "websocket"), ("Connection", "upgrade"), ("Sec-WebSocket-Version", "13")];
    assert_eq!((error.status(), &fields[..]), (426, &wanted[..]));
    assert_eq!(error.message(), "This is a WebSocket of version 13");
}

#[test]
fn subprotocols_are_different_tokens_in_order() {
    let offered = |values: &[&str]| -> Result<String, u16> {
        let lines: Vec<_> = values.iter().map(|value| ("Sec-WebSocket-Protocol", *value)).collect();
        let fields = fields(&[&[VERSION, KEY][..], &lines].concat());
        let handshake = Handshake::read(fields.get(), None, &Origins::Same).map_err(|error| error.status())?;
        let names: Vec<_> = handshake.protocols().collect();
        assert!(names.iter().all(|name| offers(&handshake, name)));
        Ok(names.join(" "))
    };
    let good: [(&[&str], &str); 7] = [
        (&[], ""),
        (&[""], ""),
        (&["chat"], "chat"),
        (&["chat, superchat"], "chat superchat"),
        (&["chat,superchat", "v2.json"], "chat superchat v2.json"),
        (&[" ,, chat\t,", ",b"], "chat b"),
        (&["chat, CHAT"], "chat CHAT"),
    ];
    for (values, names) in good {
        assert_eq!(offered(values).as_deref(), Ok(names), "{values:?}");
    }
    let many: Vec<String> = (0..65).map(|number| format!("p{number}")).collect();
    let (most, too_many) = (many[..64].join(","), many.join(","));
    assert_eq!(offered(&[&most]), Ok(many[..64].join(" ")));
    let bad: [&[&str]; 7] =
        [&["a b"], &["chat, chat"], &["chat", "a, chat"], &["\"chat\""], &["a;b"], &["ch\u{e4}t"], &[&too_many]];
    for values in bad {
        assert_eq!(offered(values), Err(400), "{values:?}");
    }
    let fields = fields(&[VERSION, KEY, ("Sec-WebSocket-Protocol", "chat")]);
    let handshake = Handshake::read(fields.get(), None, &Origins::Same).unwrap();
    assert!(offers(&handshake, "chat") && !offers(&handshake, "Chat") && !offers(&handshake, ""));
}

#[cfg(feature = "websocket-deflate")]
#[test]
fn the_offers_of_extensions_are_handed_on() {
    let extensions = "Sec-WebSocket-Extensions";
    let fields = fields(&[VERSION, (extensions, "a; b=1"), KEY, (extensions, "c")]);
    let handshake = Handshake::read(fields.get(), None, &Origins::Same).unwrap();
    assert_eq!(handshake.extensions().collect::<Vec<_>>(), [b"a; b=1", &b"c"[..]]);
}

/// Asks for a WebSocket of `host` with these values of `Origin`.
fn ask(origins: &Origins, values: &[&str], host: Option<&str>) -> Result<(), Error> {
    let lines: Vec<_> = values.iter().map(|value| ("Origin", *value)).collect();
    let fields = fields(&[&[VERSION, KEY][..], &lines].concat());
    Handshake::read(fields.get(), host, origins).map(drop)
}

#[track_caller]
fn allows(origins: &Origins, origin: &str, host: &str, wanted: bool) {
    match ask(origins, &[origin], Some(host)) {
        Ok(()) => assert!(wanted, "{origin} was allowed at {host}"),
        Err(error) => {
            assert_eq!(error.status(), 403);
            assert!(!wanted, "{origin} was refused at {host}: {error}");
        }
    }
}

#[test]
fn the_same_origin_has_the_host_and_the_port_of_the_request() {
    let same = [
        ("http://example.com", "example.com"),
        ("https://example.com", "example.com"),
        ("http://example.com", "example.com:80"),
        ("https://example.com", "example.com:443"),
        ("http://example.com:80", "example.com"),
        ("https://example.com:443", "example.com:443"),
        ("http://example.com", "example.com:"),
        ("HTTP://EXAMPLE.com", "example.COM"),
        ("http://localhost:3000", "localhost:3000"),
        ("http://127.0.0.1:3000", "127.0.0.1:3000"),
        ("http://[::1]:3000", "[::1]:3000"),
        ("http://[::1]", "[::1]:80"),
    ];
    for (origin, host) in same {
        allows(&Origins::Same, origin, host, true);
    }
    let other = [
        ("http://evil.example", "example.com"),
        ("http://example.com.evil.example", "example.com"),
        ("http://sub.example.com", "example.com"),
        ("http://example.com", "sub.example.com"),
        ("http://example.com:8080", "example.com"),
        ("http://example.com", "example.com:8080"),
        ("http://example.com", "example.com:443"),
        ("https://example.com", "example.com:80"),
        ("https://example.com:80", "example.com"),
        ("http://localhost:3000", "127.0.0.1:3000"),
        ("http://example.com.", "example.com"),
        ("http://[::1]", "[::1]:3000"),
        // None of these is the origin of a page of a server.
        ("null", "example.com"),
        ("null", "null"),
        ("", "example.com"),
        ("example.com", "example.com"),
        ("//example.com", "example.com"),
        ("://example.com", "example.com"),
        ("http://", "example.com"),
        ("http://example.com/", "example.com"),
        ("http://example.com/path", "example.com"),
        ("http://user@example.com", "example.com"),
        ("http://evil.example\\@example.com", "example.com"),
        ("http://example.com http://evil.example", "example.com"),
        ("http://example.com, http://evil.example", "example.com"),
        ("http://exampl\u{e9}.com", "exampl\u{e9}.com"),
        ("1http://example.com", "example.com"),
        ("ht tp://example.com", "example.com"),
        ("file://example.com", "example.com"),
        ("chrome-extension://example.com", "example.com"),
    ];
    for (origin, host) in other {
        allows(&Origins::Same, origin, host, false);
    }
    assert!(ask(&Origins::Same, &[], Some("example.com")).is_ok());
    assert!(ask(&Origins::Same, &[], None).is_ok());
    assert!(ask(&Origins::Same, &["http://example.com"], None).is_err());
    assert!(ask(&Origins::Same, &["http://example.com", "http://example.com"], Some("example.com")).is_err());
}

#[test]
fn a_list_names_whole_origins() {
    let list = Origins::list(["https://example.com", "HTTP://LocalHost:3000", "http://a:80", "app://chat"]);
    let allowed = [
        "https://example.com",
        "https://example.com:443",
        "https://EXAMPLE.com",
        "http://localhost:3000",
        "http://a",
        "app://chat",
    ];
    for origin in allowed {
        allows(&list, origin, "elsewhere.example", true);
    }
    for origin in
        ["http://example.com", "https://example.com:80", "http://localhost", "https://a", "app://chat:80", "null"]
    {
        allows(&list, origin, "example.com", false);
    }
    assert!(ask(&list, &[], Some("example.com")).is_ok());
    assert!(ask(&list, &["https://example.com"; 2], Some("example.com")).is_err());
    let nobody = Origins::list::<&str>([]);
    assert!(ask(&nobody, &["http://example.com"], Some("example.com")).is_err());
    assert!(ask(&nobody, &[], Some("example.com")).is_ok());
}

#[test]
fn any_origin_is_any_text() {
    for values in [&["null"][..], &["http://evil.example"], &["?"], &["a", "b"], &[]] {
        assert!(ask(&Origins::Any, values, Some("example.com")).is_ok(), "{values:?}");
    }
}

#[test]
fn what_is_no_origin_cannot_be_listed() {
    for text in
        ["", "null", "example.com", "https://example.com/", "https://", "https://a b", "*", "https://*.example.com"]
    {
        let listed = std::panic::catch_unwind(|| Origins::list([text]));
        let panic = listed.expect_err("it cannot be listed");
        let message = panic.downcast_ref::<String>().expect("a formatted message");
        assert_eq!(message.contains("is a pattern: name each origin"), text.contains('*'), "{message}");
        assert!(message.starts_with(&format!("{text:?} is ")), "{message}");
    }
}

#[test]
fn the_403_says_how_to_allow_the_origin() {
    let message = |origins: &Origins, origin| ask(origins, &[origin], Some("b:1")).unwrap_err().message().to_owned();
    let same = message(&Origins::Same, "https://a.example");
    for part in ["\"https://a.example\"", "\"b:1\"", "Origins::list", "proxy", "Host"] {
        assert!(same.contains(part), "{same}");
    }
    let list = message(&Origins::list(["https://c.example"]), "https://a.example");
    assert!(list.contains("\"https://a.example\"") && list.contains("Origins::list"), "{list}");
    // No list can name it.
    let null = message(&Origins::Same, "null");
    assert!(null.contains("\"null\"") && !null.contains("list"), "{null}");
}
