//! The cookies of a request (RFC 6265 §4.2), read where they are.

use super::Request;
use crate::http::trim;

impl<'a> Request<'a> {
    /// The value of the first cookie of this name, as the client sent it. Names compare with regard to case.
    ///
    /// A value in double quotes is returned without them. Nothing else is decoded: if your cookies are
    /// percent-encoded, decode them. A client can send any cookie, so a value is no proof of anything unless it is
    /// signed, or is a number that nobody can guess.
    ///
    /// ```
    /// # use monoloop::{OptionExt, Router, TestClient};
    /// # let mut app = Router::new(());
    /// app.get("/me", |_, req, res| {
    ///     let session = req.cookie("session").or_status(401, "Log in first")?;
    ///     res.text(format!("This is session {session}"))
    /// });
    ///
    /// # let mut client = TestClient::new(app);
    /// let reply = client.get("/me").header("Cookie", "theme=dark; session=31d4d96e").send();
    /// assert_eq!(reply.text(), "This is session 31d4d96e");
    /// assert_eq!(client.get("/me").send().status(), 401);
    /// ```
    #[doc(alias("session", "jar"))]
    pub fn cookie(&self, name: &str) -> Option<&'a str> {
        self.cookies().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// The names and values of all cookies, in the order in which the client sent them, from all `Cookie` lines.
    ///
    /// Browsers send the cookie with the longest path first, so of two with one name the first one is meant. What has
    /// no `=` or no name is left out, and so is what is not UTF-8. Values are as in [`cookie`](Self::cookie). Nothing
    /// is allocated.
    ///
    /// ```
    /// # use monoloop::{Router, TestClient};
    /// # let mut app = Router::new(());
    /// app.get("/", |_, req, res| {
    ///     let names: Vec<_> = req.cookies().map(|(name, _)| name).collect();
    ///     res.text(names.join(" and "))
    /// });
    ///
    /// # let mut client = TestClient::new(app);
    /// assert_eq!(client.get("/").header("Cookie", "theme=\"dark\"; lang=en").send().text(), "theme and lang");
    /// ```
    pub fn cookies(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.headers().all("cookie").flat_map(pairs)
    }
}

/// The cookies of a field value. RFC 6265 §4.2.1 wants `"; "` between two of them. As most servers do, this takes any
/// white space there, and around the name and the value.
fn pairs(value: &[u8]) -> impl Iterator<Item = (&str, &str)> {
    value.split(|&byte| byte == b';').filter_map(|pair| {
        let equals = memchr::memchr(b'=', pair)?;
        let (name, value) = (trim(&pair[..equals]), unquoted(trim(&pair[equals + 1..])));
        let texts = std::str::from_utf8(name).ok().zip(std::str::from_utf8(value).ok());
        texts.filter(|(name, _)| !name.is_empty())
    })
}

/// The value without the pair of double quotes around it (RFC 6265 §4.1.1). It knows no backslash.
fn unquoted(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inner @ .., b'"'] => inner,
        value => value,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Router, TestClient};

    #[track_caller]
    fn check(value: &[u8], expected: &[(&str, &str)]) {
        assert_eq!(pairs(value).collect::<Vec<_>>(), expected, "{}", value.escape_ascii());
    }

    #[test]
    fn a_cookie_has_a_name_and_a_value() {
        check(b"a=b", &[("a", "b")]);
        check(b"a=b; c=d;e=f ;\tg = h ", &[("a", "b"), ("c", "d"), ("e", "f"), ("g", "h")]);
        check(b"a=b=c; d==; e=", &[("a", "b=c"), ("d", "="), ("e", "")]);
        check(b"a=1; A=2; a=3", &[("a", "1"), ("A", "2"), ("a", "3")]);
        check(b"$Version=1; a=%20+b, c", &[("$Version", "1"), ("a", "%20+b, c")]);
        check("n\u{e4}me=\u{1f600}".as_bytes(), &[("n\u{e4}me", "\u{1f600}")]);
        check(b"__Host-id=1; __proto__=2", &[("__Host-id", "1"), ("__proto__", "2")]);
    }

    #[test]
    fn quotes_around_a_value_are_no_part_of_it() {
        check(b"a=\"b c\"; d=\"\"", &[("a", "b c"), ("d", "")]);
        check(b"a=\"; b=\"\"\"; c=x\"y\"; d=\"z", &[("a", "\""), ("b", "\""), ("c", "x\"y\""), ("d", "\"z")]);
        // A semicolon always ends a cookie: RFC 6265 allows none in quotes.
        check(b"a=\"b;c=d\"", &[("a", "\"b"), ("c", "d\"")]);
        check(b"a=\"\\\"\"", &[("a", "\\\"")]);
    }

    #[test]
    fn what_is_no_cookie_is_left_out() {
        for value in [&b""[..], b" ", b";;", b"a", b"a; b", b"=a", b" =a; =", b"\xff=a", b"a=\xff", b"=__Host-id=1"] {
            check(value, &[]);
        }
        check(b"a; b=\xff; c=d; \xe4=1; =2", &[("c", "d")]);
    }

    #[test]
    fn a_request_may_have_several_lines_of_cookies() {
        let mut app = Router::new(());
        app.get("/", |_, req, res| {
            let all: Vec<_> = req.cookies().collect();
            res.text(format!("{:?} {:?} {:?} {all:?}", req.cookie("b"), req.cookie("B"), req.cookie("")))
        });
        let mut client = TestClient::new(app);
        let reply = client.get("/").header("Cookie", "a=1; b=2").header("cookie", "b=3").send();
        assert_eq!(reply.text(), r#"Some("2") None None [("a", "1"), ("b", "2"), ("b", "3")]"#);
        assert_eq!(client.get("/").send().text(), "None None None []");
        client.write(b"GET / HTTP/1.1\r\nHost: a\r\nCookie: b=\xff\r\nCookie:\r\nCookie:b=\"4\"\r\n\r\n");
        let reply = client.read_reply().expect("a reply");
        assert_eq!(reply.text(), r#"Some("4") None None [("b", "4")]"#);
    }

    #[test]
    fn a_long_line_is_read_to_its_end() {
        let value = "a=\"b\";;".repeat(5000) + "z=1";
        assert_eq!(pairs(value.as_bytes()).count(), 5001);
        assert_eq!(pairs(value.as_bytes()).last(), Some(("z", "1")));
    }

    /// The cookies, read another way: with text, and a step at a time.
    fn reference(value: &str) -> Vec<(String, String)> {
        let mut cookies = Vec::new();
        for pair in value.split(';') {
            let Some((name, value)) = pair.split_once('=') else { continue };
            let blank = [' ', '\t'];
            let (name, mut value) = (name.trim_matches(blank).to_owned(), value.trim_matches(blank).to_owned());
            if value.len() >= 2 && value.starts_with('"') && value.ends_with('"') {
                value.pop();
                value.remove(0);
            }
            if !name.is_empty() {
                cookies.push((name, value));
            }
        }
        cookies
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2000, ..ProptestConfig::default() })]

        #[test]
        fn the_cookies_are_those_of_a_slow_reading(value in "[ab=;\"\\\\ \t,\u{e4}]{0,24}") {
            let found: Vec<_> = pairs(value.as_bytes()).map(|(name, value)| (name.into(), value.into())).collect();
            prop_assert_eq!(found, reference(&value));
        }

        #[test]
        fn bytes_that_are_no_text_hide_only_their_own_cookie(bytes in prop::collection::vec(any::<u8>(), 0..24)) {
            let bytes: Vec<u8> = bytes.into_iter().filter(|byte| *byte != b';').collect();
            let value = [b"a=1; x=", &bytes[..], b"; b=2"].concat();
            let found: Vec<_> = pairs(&value).collect();
            prop_assert_eq!((found.first(), found.last()), (Some(&("a", "1")), Some(&("b", "2"))));
        }
    }
}
