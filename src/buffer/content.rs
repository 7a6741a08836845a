//! The content of a reply, as handlers give it.

use std::fmt;
use std::sync::Arc;

use super::free;

/// The content of a reply. Borrowed content is copied. Owned, shared and static content of at least 16 KiB is sent
/// without a copy.
///
/// ```
/// use std::sync::Arc;
///
/// let picture: Arc<[u8]> = vec![0; 100_000].into();
/// let mut app = monoloop::Router::new(picture);
/// app.get("/picture", |picture, _, res| res.send(picture.clone()));    // shared, not copied
/// ```
#[derive(Clone)]
pub enum Content<'a> {
    /// Bytes that are copied, after the head.
    Borrowed(&'a [u8]),
    /// Bytes that live as long as the program.
    Static(&'static [u8]),
    /// Bytes that are shared: many replies can send the same ones.
    Shared(Arc<[u8]>),
    /// Bytes that the handler gives away.
    Owned(Vec<u8>),
}

impl Content<'_> {
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Static(bytes) => bytes,
            Self::Shared(bytes) => bytes,
            Self::Owned(bytes) => bytes,
        }
    }

    /// Frees what it owns, [so that it goes back to the system](free).
    pub(crate) fn free(self) {
        if let Self::Owned(bytes) = self {
            free(bytes);
        }
    }
}

impl fmt::Debug for Content<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Content({} bytes)", self.as_bytes().len())
    }
}

impl<'a> From<&'a [u8]> for Content<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Borrowed(bytes)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Content<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Self::Borrowed(bytes)
    }
}

impl<'a> From<&'a str> for Content<'a> {
    fn from(text: &'a str) -> Self {
        Self::Borrowed(text.as_bytes())
    }
}

impl From<Vec<u8>> for Content<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Owned(bytes)
    }
}

impl From<String> for Content<'_> {
    fn from(text: String) -> Self {
        Self::Owned(text.into_bytes())
    }
}

impl<'a> From<std::borrow::Cow<'a, str>> for Content<'a> {
    fn from(text: std::borrow::Cow<'a, str>) -> Self {
        match text {
            std::borrow::Cow::Borrowed(text) => text.into(),
            std::borrow::Cow::Owned(text) => text.into(),
        }
    }
}

impl<'a> From<&'a String> for Content<'a> {
    fn from(text: &'a String) -> Self {
        Self::Borrowed(text.as_bytes())
    }
}

impl<'a> From<&'a Vec<u8>> for Content<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Self::Borrowed(bytes)
    }
}

impl From<Arc<[u8]>> for Content<'_> {
    fn from(bytes: Arc<[u8]>) -> Self {
        Self::Shared(bytes)
    }
}
