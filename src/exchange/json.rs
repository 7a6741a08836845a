//! Content as JSON (RFC 8259), and what the client is told when it is none, or of another shape.

use serde::de::{DeserializeOwned, IgnoredAny};

use super::Request;
use super::fault::message;
use super::json_path::path_at;
use crate::http::{Error, MediaType, Result};

impl Request<'_> {
    /// The content, read as JSON.
    ///
    /// It must be announced as `application/json`, or as a type whose name ends in `+json` (RFC 6839 §3.1). A client
    /// that is no browser may leave the `Content-Type` out. A browser adds an `Origin` to what a page posts, and then
    /// the type must be there: to post JSON to another site, a page has to ask by CORS first, but content without a
    /// type it may post to any site.
    ///
    /// ```
    /// use monoloop::{Router, TestClient};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct User { name: String, age: u32 }
    ///
    /// let mut app = Router::new(());
    /// app.post("/users", |_, req, res| {
    ///     let users: Vec<User> = req.json()?;
    ///     res.text(format!("{} is {}", users[0].name, users[0].age))
    /// });
    ///
    /// let mut client = TestClient::new(app);
    /// let mut post = |json: &str| client.post("/users").header("Content-Type", "application/json").body(json).send();
    /// assert_eq!(post(r#"[{"name":"Ann","age":7}]"#).text(), "Ann is 7");
    ///
    /// let reply = post(r#"[{"name":"Ann","age":"old"}]"#);
    /// assert_eq!(reply.status(), 422);
    /// assert_eq!(reply.text(), r#"{"error":"[0].age: invalid type: string \"old\", expected u32"}"#);
    ///
    /// let reply = post(r#"[{"name":"Ann","#);
    /// assert_eq!(reply.status(), 400);
    /// assert_eq!(reply.text(), r#"{"error":"Invalid JSON: EOF while parsing a value at line 1 column 15"}"#);
    /// ```
    ///
    /// # Errors
    /// - A 415 when the `Content-Type` is another one.
    /// - A 400 when the content is not JSON. The message says in which line and column.
    /// - A 422 when it is JSON of another shape than `T` (RFC 9110 §15.5.21). The message names the value.
    ///
    /// The message may quote the content, shortened and without control characters. An [error
    /// renderer](crate::Router::on_error) that makes HTML of it must escape it.
    #[cfg_attr(docsrs, doc(cfg(feature = "json")))]
    #[doc(alias("deserialize", "422"))]
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        if !self.may_be_json() {
            return Err(Error::new(415, "Expected Content-Type: application/json"));
        }
        self.json_of_any_type()
    }

    /// The content, read as JSON, whatever its `Content-Type` is. This is for clients that cannot send the right one.
    ///
    /// A page of another site can post such content without asking by CORS. So a handler that changes something, and
    /// knows its user by a cookie, must find out by other means that its own page has sent the request.
    ///
    /// ```
    /// # use monoloop::{Router, TestClient};
    /// # let mut app = Router::new(());
    /// app.post("/beacon", |_, req, res| res.text(req.json_of_any_type::<String>()?));
    ///
    /// # let mut client = TestClient::new(app);
    /// let reply = client.post("/beacon").header("Content-Type", "text/plain").body(r#""seen""#).send();
    /// assert_eq!(reply.text(), "seen");
    /// ```
    ///
    /// # Errors
    /// A 400 or a 422, as [`json`](Self::json).
    #[cfg_attr(docsrs, doc(cfg(feature = "json")))]
    #[doc(alias("force", "sendBeacon"))]
    pub fn json_of_any_type<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(self.body()).map_err(|error| failure(self.body(), error))
    }

    fn may_be_json(&self) -> bool {
        match self.header("content-type") {
            Some(value) => MediaType::read(value.as_bytes()).is_some_and(|media| is_json(&media)),
            None => self.headers().get("content-type").is_none() && self.headers().get("origin").is_none(),
        }
    }
}

fn is_json(media: &MediaType<'_>) -> bool {
    let subtype = media.subtype();
    let suffix = subtype.last_chunk::<5>().filter(|_| subtype.len() > 5);
    suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case(b"+json"))
        || (media.kind().eq_ignore_ascii_case(b"application") && subtype.eq_ignore_ascii_case(b"json"))
}

/// What the client is told about content that did not become a value.
///
/// `serde_json` stops at the first fault, and a wrong shape may come before a wrong syntax. So the content is read once
/// more for its syntax only.
#[cold]
fn failure(content: &[u8], error: serde_json::Error) -> Error {
    if content.is_empty() {
        return Error::bad_request("Invalid JSON: there is no content").with_source(error);
    }
    if let Err(utf8) = std::str::from_utf8(content) {
        return Error::bad_request(format!("Invalid JSON: {utf8}")).with_source(error);
    }
    if let Err(syntax) = serde_json::from_slice::<IgnoredAny>(content) {
        let first = if error.is_data() { syntax } else { error };
        return Error::bad_request(format!("Invalid JSON: {first}")).with_source(first);
    }
    let whole = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let reason = whole.strip_suffix(&place).unwrap_or(&whole);
    let path = path_at(content, error.line(), error.column());
    Error::new(422, message(&path, reason)).with_source(error)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use crate::{Router, TestClient};

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only the reading of the fields matters")]
    struct User {
        #[serde(default)]
        age: u32,
        #[serde(default)]
        role: Option<Role>,
        #[serde(default)]
        pair: (u8, u8),
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Role {
        Admin,
        Guest,
    }

    #[derive(Deserialize)]
    struct Users {
        users: Vec<User>,
    }

    fn client() -> TestClient<Router<()>> {
        let mut app = Router::new(());
        app.post("/", |_, req, res| res.text(format!("{:?}", req.json::<Users>()?.users)));
        app.post("/any", |_, req, res| res.text(format!("{:?}", req.json_of_any_type::<Users>()?.users)));
        TestClient::new(app)
    }

    #[track_caller]
    fn check(json: &[u8], status: u16, expected: &str) {
        let reply = client().post("/any").body(json).send();
        let message: serde_json::Value = serde_json::from_slice(reply.body()).unwrap_or_default();
        let message = message["error"].as_str().unwrap_or(reply.text());
        assert_eq!((reply.status(), message), (status, expected), "{}", json.escape_ascii());
    }

    #[test]
    fn what_is_no_json_is_a_400_that_says_where() {
        check(b"", 400, "Invalid JSON: there is no content");
        check(b" ", 400, "Invalid JSON: EOF while parsing a value at line 1 column 1");
        check(b"{", 400, "Invalid JSON: EOF while parsing an object at line 1 column 1");
        check(b"{\"users\":[],\n}", 400, "Invalid JSON: trailing comma at line 2 column 1");
        check(b"{\"users\":[]} x", 400, "Invalid JSON: trailing characters at line 1 column 14");
        check(b"{'users':[]}", 400, "Invalid JSON: key must be a string at line 1 column 2");
        check(b"\xef\xbb\xbf{}", 400, "Invalid JSON: expected value at line 1 column 1");
        // The wrong shape comes first, and so what is no JSON does not count as JSON of another shape.
        check(b"{\"users\":1,}", 400, "Invalid JSON: key must be a string at line 1 column 12");
        check(b"{\"users\":\"\xff\"}", 400, "Invalid JSON: invalid utf-8 sequence of 1 bytes from index 10");
        check(b"name=Ann", 400, "Invalid JSON: expected ident at line 1 column 2");
    }

    #[test]
    fn json_of_another_shape_is_a_422_that_names_the_value() {
        check(b"[]", 422, "invalid length 0, expected struct Users with 1 element");
        check(b"{}", 422, "missing field `users`");
        check(b"{\"users\":null}", 422, "users: invalid type: null, expected a sequence");
        check(
            br#"{"users":[{"age":1},{},{"age":"x"}]}"#,
            422,
            "users[2].age: invalid type: string \"x\", expected u32",
        );
        check(br#"{"users":[{"age":-1}]}"#, 422, "users[0].age: invalid value: integer `-1`, expected u32");
        check(br#"{"users":[{"pair":[1]}]}"#, 422, "users[0].pair: invalid length 1, expected a tuple of size 2");
        check(br#"{"users":[{"pair":[1,2,3]}]}"#, 422, "users[0].pair[2]: trailing characters");
        check(
            br#"{"users":[{"id":1}]}"#,
            422,
            "users[0].id: unknown field `id`, expected one of `age`, `role`, `pair`",
        );
        check(
            br#"{"users":[{"role":"root"}]}"#,
            422,
            "users[0].role: unknown variant `root`, expected `admin` or `guest`",
        );
    }

    #[test]
    fn a_message_is_short_and_shows_no_control_characters() {
        let long = format!("{{\"users\":[{{\"age\":\"\\u001b\\u202e{}\"}}]}}", "x".repeat(500_000));
        let reply = client().post("/any").body(long).send();
        let (start, end) =
            (r#"{"error":"users[0].age: invalid type: string \"\\u{1b}\\u{202e}xx"#, r#"xx\", expected u32"}"#);
        assert!(reply.text().starts_with(start) && reply.text().ends_with(end), "{}", reply.text());
        assert!(reply.body().len() < 300, "{}", reply.text());
        let key = format!("{{\"users\":[{{\"{}\":1}}]}}", "\u{85}".repeat(100_000));
        let reply = client().post("/any").body(key).send();
        assert_eq!(reply.status(), 422);
        assert!(reply.body().len() < 2000 && !reply.text().contains('\u{85}'), "{}", reply.text());
        check(&b"[".repeat(1 << 19), 400, "Invalid JSON: EOF while parsing a list at line 1 column 524288");
    }

    #[test]
    fn the_content_type_decides_who_may_post_json() {
        let mut client = client();
        let json = r#"{"users":[]}"#;
        for (value, status) in [
            ("application/json", 200),
            ("Application/JSON ; charset=utf-8", 200),
            ("application/problem+json", 200),
            ("model/gltf+JSON", 200),
            ("text/json", 415),
            ("text/plain", 415),
            ("text/plain;x=\"application/json\"", 415),
            ("application/x-www-form-urlencoded", 415),
            ("application/jsonp", 415),
            ("application/+json", 415),
            ("application/json, text/plain", 415),
            ("json", 415),
            ("", 415),
        ] {
            let reply = client.post("/").header("Content-Type", value).body(json).send();
            assert_eq!(reply.status(), status, "{value:?}");
            assert!(
                status == 200 || reply.text() == r#"{"error":"Expected Content-Type: application/json"}"#,
                "{}",
                reply.text()
            );
            assert_eq!(client.post("/any").header("Content-Type", value).body(json).send().status(), 200);
        }
        assert_eq!(client.post("/").body(json).send().status(), 200);
    }

    /// A page of another site may send a `Blob` without a type anywhere, and a browser adds the origin.
    #[test]
    fn a_page_has_to_say_that_it_posts_json() {
        let mut client = client();
        for origin in ["https://evil.example", "null", ""] {
            let mut post =
                |path: &str| client.post(path).header("Origin", origin).body(r#"{"users":[]}"#).send().status();
            assert_eq!((post("/"), post("/any")), (415, 200), "{origin:?}");
        }
        let typed =
            client.post("/").header("Origin", "https://a.example").json(&serde_json::json!({"users": []})).send();
        assert_eq!(typed.status(), 200);
    }
}
