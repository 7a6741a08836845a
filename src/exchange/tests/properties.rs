//! Whatever text an application puts into a cookie or into a name, a client reads what was meant, or gets a 500.

use percent_encoding::percent_decode_str;
use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, RngSeed};

use super::reply_of;
use crate::exchange::Cookie;
use crate::http::is_unprintable;

/// Text in which the characters that matter are frequent.
fn text() -> impl Strategy<Value = String> {
    let special =
        prop::sample::select(" \t\r\n\0\x7f;,=\"'\\/%*.:_-\u{e9}\u{202e}\u{1f600}".chars().collect::<Vec<_>>());
    let one = prop_oneof![2 => prop::char::range('a', 'z'), 2 => special, 1 => any::<char>()];
    prop::collection::vec(one, 0..8).prop_map(String::from_iter)
}

/// A cookie as RFC 6265 §5.2 has browsers read it: name, value, path and domain.
fn read(line: &str) -> (&str, &str, Option<&str>, Option<&str>) {
    let mut parts = line.split(';');
    let (name, value) = parts.next().and_then(|pair| pair.split_once('=')).expect("a pair");
    let attributes: Vec<(&str, &str)> = parts.filter_map(|part| part.trim().split_once('=')).collect();
    let find = |wanted| attributes.iter().rev().find(|(name, _)| *name == wanted).map(|(_, value)| *value);
    (name.trim(), value.trim(), find("Path"), find("Domain"))
}

/// Runs `count` cases that are always the same. `PROPTEST_CASES=10000` runs that many random cases instead.
fn cases(count: u32) -> Cases {
    let config = Cases { failure_persistence: None, ..Cases::default() };
    match std::env::var_os("PROPTEST_CASES") {
        None => Cases { cases: count, rng_seed: RngSeed::Fixed(0x6d6f_6e6f), ..config },
        Some(_) => config,
    }
}

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn a_cookie_is_read_as_it_was_meant(name in text(), value in text(), path in text(), domain in text()) {
        let cookie = Cookie::new(name.clone(), value.clone()).path(format!("/{path}"));
        let with_domain = cookie.clone().domain(domain.clone());
        for (cookie, domain) in [(cookie, None), (with_domain, Some(&*domain))] {
            let reply = reply_of(move |res| res.cookie(cookie.clone()).text("content"));
            let lines: Vec<&str> = reply.header_all("set-cookie").collect();
            if reply.status() == 500 {
                prop_assert_eq!(lines, [""; 0]);
            } else {
                prop_assert_eq!(lines.len(), 1);
                prop_assert!(lines[0].bytes().all(|byte| matches!(byte, b' '..=b'~')));
                prop_assert_eq!(read(lines[0]), (&*name, &*value, Some(&*format!("/{path}")), domain));
            }
        }
    }

    #[test]
    fn a_name_for_a_download_is_the_last_segment(name in text()) {
        let sent = name.clone();
        let reply = reply_of(move |res| res.attachment(&sent).text("content"));
        let value = reply.header("content-disposition").expect("it is never a mistake");
        prop_assert!(value.bytes().all(|byte| matches!(byte, b' '..=b'~')));
        let last = name.rsplit(['/', '\\']).next().unwrap_or_default().trim_matches(' ');
        let shown: String = last.chars().map(|c| if is_unprintable(c) { '_' } else { c }).collect();
        let Some(rest) = value.strip_prefix("attachment; filename=\"") else {
            prop_assert!(value == "attachment" && ["", ".", ".."].contains(&last), "{}", value);
            return Ok(());
        };
        let (fallback, rest) = rest.split_once('"').expect("it ends");
        prop_assert_eq!(fallback.chars().count(), shown.chars().count());
        prop_assert!(!fallback.contains(['\\', '%']));
        let whole = match rest.strip_prefix("; filename*=UTF-8''") {
            Some(extended) => {
                prop_assert!(!extended.contains([' ', ';', ',', '"', '\'', '*']));
                percent_decode_str(extended).decode_utf8().expect("it is UTF-8").into_owned()
            }
            None => {
                prop_assert_eq!(rest, "");
                fallback.to_owned()
            }
        };
        prop_assert_eq!(whole, shown);
    }
}
