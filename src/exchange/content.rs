//! The content of a request by its `Content-Type`: as text and as a posted form.

use std::borrow::Cow;

use super::{Pairs, Request};
use crate::http::{Error, MediaType, Result};

impl<'a> Request<'a> {
    /// The media type of the content without its parameters and in lower case, such as `text/html`. `None` without a
    /// `Content-Type`, and for one that is no media type (RFC 9110 §8.3).
    ///
    /// ```
    /// # use monoloop::{Router, TestClient};
    /// # let mut app = Router::new(());
    /// app.post("/notes", |_, req, res| match req.content_type().as_deref() {
    ///     Some("text/markdown") => res.text("Markdown"),
    ///     other => res.status(415).text(format!("{other:?}")),
    /// });
    ///
    /// # let mut client = TestClient::new(app);
    /// let reply = client.post("/notes").header("Content-Type", "Text/Markdown; charset=utf-8").body("*Hi*").send();
    /// assert_eq!(reply.text(), "Markdown");
    /// assert_eq!(client.post("/notes").send().text(), "None");
    /// ```
    #[doc(alias("mime", "media_type"))]
    pub fn content_type(&self) -> Option<Cow<'a, str>> {
        let value = self.header("content-type")?;
        MediaType::read(value.as_bytes())?;
        let essence = value.split(';').next()?.trim_matches([' ', '\t']);
        let is_lower = !essence.contains(|c: char| c.is_ascii_uppercase());
        Some(if is_lower { Cow::Borrowed(essence) } else { Cow::Owned(essence.to_ascii_lowercase()) })
    }

    /// The whole content as text. It is empty if the request has none. The `Content-Type` is not looked at.
    ///
    /// ```
    /// # use monoloop::{Router, TestClient};
    /// # let mut app = Router::new(());
    /// app.post("/shout", |_, req, res| res.text(req.text()?.to_uppercase()));
    ///
    /// # let mut client = TestClient::new(app);
    /// assert_eq!(client.post("/shout").body("caf\u{e9}").send().text(), "CAF\u{c9}");
    /// assert_eq!(client.post("/shout").body(b"caf\xe9").send().status(), 400);
    /// ```
    ///
    /// # Errors
    /// A 400 when it is not UTF-8. It says at which byte.
    #[doc(alias("string", "utf8"))]
    pub fn text(&self) -> Result<&'a str> {
        std::str::from_utf8(self.body()).map_err(|error| {
            let at = error.valid_up_to();
            Error::bad_request(format!("The content is not UTF-8: byte {at}")).with_source(error)
        })
    }

    /// The content, read as a posted form.
    ///
    /// # Errors
    /// A 415 when the `Content-Type` is not `application/x-www-form-urlencoded`.
    #[doc(alias = "urlencoded")]
    pub fn form(&self) -> Result<Pairs<'a>> {
        let value = self.header("content-type").unwrap_or_default();
        let essence = value.split(';').next().unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            Ok(Pairs::new(self.body()))
        } else {
            Err(Error::new(415, "Expected application/x-www-form-urlencoded"))
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Router, TestClient};

    #[test]
    fn the_media_type_of_the_content_has_no_parameters() {
        let mut app = Router::new(());
        app.post("/", |_, req, res| res.text(req.content_type().unwrap_or("none".into())));
        let mut client = TestClient::new(app);
        for (value, expected) in [
            ("text/html", "text/html"),
            ("Text/HTML ; charset=utf-8", "text/html"),
            ("a/b;x=\"1;2\";", "a/b"),
            ("text", "none"),
            ("text/html; charset", "none"),
            ("text/html, text/html", "none"),
            ("", "none"),
        ] {
            assert_eq!(client.post("/").header("Content-Type", value).send().text(), expected, "{value:?}");
        }
        assert_eq!(client.post("/").send().text(), "none");
    }

    #[test]
    fn text_is_utf_8() {
        let mut app = Router::new(());
        app.post("/", |_, req, res| res.text(req.text()?));
        let mut client = TestClient::new(app);
        let long = "\u{1f600}".repeat(100_000);
        for text in ["", "plain", "\u{feff}with a mark \0", &long] {
            assert_eq!(client.post("/").body(text).send().text(), text);
        }
        for (content, at) in [(&b"\xff"[..], 0), (b"ab\xc3", 2), (b"\xed\xa0\x80", 0), (b"a\xc0\x80", 1)] {
            let reply = client.post("/").body(content).send();
            let expected = format!(r#"{{"error":"The content is not UTF-8: byte {at}"}}"#);
            assert_eq!((reply.status(), reply.text()), (400, &*expected), "{content:?}");
        }
    }
}
