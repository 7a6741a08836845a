//! A reply between the handler and the socket, for those who want to see it there.

use std::fmt;

use super::draft::Draft;
use crate::buffer::Content;
use crate::http::Error;

/// A reply after its handler, for [`Routes::after`](crate::router::Routes::after). Its status and its field lines can
/// be read and changed, and its content can be replaced.
pub struct Outgoing<'a> {
    pub(super) draft: &'a mut Draft,
    pub(super) content: Option<&'a [u8]>,
    pub(super) replaced: Option<Content<'static>>,
    pub(super) error: Option<&'a Error>,
}

impl Outgoing<'_> {
    /// The status code.
    pub fn status(&self) -> u16 {
        self.draft.rare.status
    }

    /// Sets the status code, 200..=599. Another number is a mistake, and the client gets a 500.
    pub fn set_status(&mut self, status: u16) {
        match status {
            200..=599 => self.draft.rare.status = status,
            _ => self.draft.blame(format!("not a final status code: {status}")),
        }
    }

    /// The value of the first field line of this name, in any case. `Date`, `Server`, `Content-Length` and what frames
    /// the content are not there yet, unless the application has set them.
    pub fn get_header(&self, name: &str) -> Option<&str> {
        self.draft.fields.get(name)
    }

    /// All field lines, as name and value.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.draft.fields.iter()
    }

    /// Sets a field line, in place of earlier ones of this name, by the rules of
    /// [`Response::header`](crate::Response::header).
    pub fn header(&mut self, name: &str, value: impl AsRef<str>) -> &mut Self {
        self.draft.set_field(name, value.as_ref(), true);
        self
    }

    /// Adds a field line and keeps earlier ones of this name.
    pub fn append_header(&mut self, name: &str, value: impl AsRef<str>) -> &mut Self {
        self.draft.set_field(name, value.as_ref(), false);
        self
    }

    /// Removes all field lines of this name.
    pub fn remove_header(&mut self, name: &str) -> &mut Self {
        self.draft.remove_field(name);
        self
    }

    /// The content, if it lies in memory as one piece: not that of a stream or of a file. The reply to a HEAD has none.
    pub fn content(&self) -> Option<&[u8]> {
        match &self.replaced {
            Some(content) => Some(content.as_bytes()),
            None => self.content,
        }
    }

    /// Replaces the content, also that of a stream, which is dropped. The reply gets the length of this content. Field
    /// lines that describe the old content, such as `ETag`, stay unless they are changed, too. If there is no memory
    /// for it, the client gets a 503.
    pub fn set_content(&mut self, content: impl Into<Content<'static>>) {
        self.replaced = Some(content.into());
        self.draft.fields.remove("content-length");
    }

    /// The error of which this reply was made, if it was made of one.
    pub const fn error(&self) -> Option<&Error> {
        self.error
    }
}

impl fmt::Debug for Outgoing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let content = self.content().map(<[u8]>::len);
        write!(f, "Outgoing({}, {:?}, {content:?} bytes)", self.status(), self.draft.fields.text)
    }
}
