//! A form that is in memory as a whole.

use super::boundary::Delimiter;
use super::decoder::{Decoder, Event};
use super::fault::Fault;
use super::limits::Tally;
use super::{Limits, Part};
use crate::exchange::Request;
use crate::http::Result;

/// A form that has come as a whole, with its fields and files: see [`Request::multipart`]. All of it is borrowed from
/// the [body](Request::body).
#[derive(Clone, Debug)]
pub struct MultipartForm<'a> {
    parts: Vec<WholePart<'a>>,
}

/// A part of a [`MultipartForm`], with its content. It derefs to the [`Part`].
#[derive(Clone, Debug)]
pub struct WholePart<'a> {
    part: Part<'a>,
    content: &'a [u8],
}

impl<'a> MultipartForm<'a> {
    /// Reads a form from the whole of a body.
    pub(super) fn read(delimiter: &Delimiter, body: &'a [u8]) -> Result<Self, Fault> {
        let mut decoder = Decoder::new(delimiter);
        let mut tally = Tally::new(Limits::new().max_fields(u64::MAX));
        let mut parts: Vec<WholePart<'a>> = Vec::new();
        // The pieces of the decoder are only lent, so the parts are cut from the body at the same places.
        let (mut at, mut begin) = (0, 0);
        while at < body.len() {
            let (used, event) = decoder.decode(&body[at..])?;
            at += used;
            match event {
                Some(Event::Header(header)) => {
                    let part = Part::read(&body[at - header.len()..at])?;
                    tally.part(&part)?;
                    begin = at;
                    parts.push(WholePart { part, content: &[] });
                }
                Some(Event::Content(content)) => {
                    // What looked like a boundary at first is content, too.
                    if let Some(part) = parts.last_mut() {
                        part.content = &body[begin..begin + part.content.len() + content.len()];
                    }
                }
                Some(Event::PartEnd) | None => {}
            }
        }
        if decoder.is_complete() { Ok(Self { parts }) } else { Err(Fault::Incomplete) }
    }

    /// The text of the first field of this name that is no file. `None` also if it is not UTF-8.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.all(name).next()
    }

    /// The texts of all fields of this name that are no files, in order. Those that are not UTF-8 are left out.
    pub fn all<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'a str> + use<'a, 's> {
        self.parts.iter().filter(move |part| !part.is_file() && part.name() == name).filter_map(WholePart::text)
    }

    /// The first file of this name. `None` also if the user of a browser has chosen no file.
    pub fn file(&self, name: &str) -> Option<&WholePart<'a>> {
        self.files().find(|part| part.name() == name)
    }

    /// All files, in order, without those that a browser sends where its user has chosen none.
    pub fn files(&self) -> impl Iterator<Item = &WholePart<'a>> {
        self.parts.iter().filter(|part| match part.file_name() {
            Some("") => !part.content.is_empty(),
            Some(_) => true,
            None => false,
        })
    }

    /// All parts, in order.
    pub fn parts(&self) -> &[WholePart<'a>] {
        &self.parts
    }
}

impl<'a> WholePart<'a> {
    /// The content.
    pub const fn content(&self) -> &'a [u8] {
        self.content
    }

    /// The content as text; `None` if it is not UTF-8.
    pub fn text(&self) -> Option<&'a str> {
        std::str::from_utf8(self.content).ok()
    }
}

impl<'a> std::ops::Deref for WholePart<'a> {
    type Target = Part<'a>;

    fn deref(&self) -> &Part<'a> {
        &self.part
    }
}

impl<'a> Request<'a> {
    /// The content, read as a `multipart/form-data` form (RFC 7578): that of an HTML form with files, of `FormData`, or
    /// of `curl -F`. The form has been kept in memory as a whole, up to [`Config::max_content`](crate::Config), so this
    /// is for small ones. Files of any length are for [`Routes::upload`](crate::router::Routes::upload).
    ///
    /// ```
    /// use monoloop::{OptionExt, Router, TestClient};
    ///
    /// let mut app = Router::new(());
    /// app.post("/pictures", |_, req, res| {
    ///     let form = req.multipart()?;
    ///     let title = form.get("title").or_status(422, "A picture needs a title")?;
    ///     let picture = form.file("picture").or_status(422, "Choose a picture")?;
    ///     res.text(format!("{title}: {} with {} bytes", picture.safe_name(), picture.content().len()))
    /// });
    ///
    /// let mut client = TestClient::new(app);
    /// let form = [("title", None, "My cat"), ("picture", Some("cat.png"), "\u{89}PNG")];
    /// assert_eq!(client.post("/pictures").multipart(form).send().text(), "My cat: cat.png with 5 bytes");
    /// ```
    ///
    /// # Errors
    /// A 415 when the `Content-Type` is not `multipart/form-data`, a 400 when the form is malformed, and a 413 when it
    /// has more than 1000 parts or a header that is longer than 8 KiB.
    #[doc(alias("upload", "FormData"))]
    #[cfg_attr(docsrs, doc(cfg(feature = "multipart")))]
    pub fn multipart(&self) -> Result<MultipartForm<'a>> {
        Ok(MultipartForm::read(&Delimiter::of(self)?, self.body())?)
    }
}
