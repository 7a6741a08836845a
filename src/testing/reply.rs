use std::fmt;

use super::jar::name_and_value;

/// A reply that a [`TestClient`](super::TestClient) has read.
#[derive(Clone, PartialEq, Eq)]
pub struct TestReply {
    status: u16,
    reason: String,
    fields: Vec<(String, String)>,
    content: Vec<u8>,
}

/// How much of a reply is taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// All of it. If it is chunked and its end has not come, its head.
    Whole,
    /// Chunks are left.
    Open,
    /// It answers a HEAD request, so it has no content.
    Head,
}

/// A reply, and how much of what came it is.
pub(super) struct Parsed {
    pub(super) reply: TestReply,
    /// Bytes that were parsed, with the interim replies before it.
    pub(super) len: usize,
    /// Whether its end has come. If not, it has no content.
    pub(super) is_whole: bool,
}

impl TestReply {
    /// The status code.
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// The reason phrase.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The value of the first field line of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.header_all(name).next()
    }

    /// The values of all field lines of this name, in order.
    pub fn header_all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers().filter(move |(line, _)| line.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// All field lines, as (name, value).
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Name and value of each cookie that the reply sets. Its attributes are in
    /// [`header_all("Set-Cookie")`](Self::header_all). A cookie that is removed is here, too.
    #[doc(alias("set-cookie"))]
    pub fn cookies(&self) -> impl Iterator<Item = (&str, &str)> {
        self.header_all("Set-Cookie").filter_map(name_and_value)
    }

    /// The value of the cookie of this name that the reply sets; of the last one, if there are several.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies().filter(|(other, _)| *other == name).last().map(|(_, value)| value)
    }

    /// Checks the status code, and returns the reply for further checks.
    ///
    /// ```
    /// # use monoloop::{Router, TestClient};
    /// # let mut app = Router::new(());
    /// # app.get("/", |_, _, res| res.text("hello"));
    /// # let mut client = TestClient::new(app);
    /// assert_eq!(client.get("/").send().assert_status(200).text(), "hello");
    /// client.get("/nothing").send().assert_status(404);
    /// ```
    ///
    /// # Panics
    /// If it is another one. The message shows the whole reply.
    #[track_caller]
    #[allow(clippy::must_use_candidate, clippy::return_self_not_must_use, reason = "the check may be all")]
    pub fn assert_status(self, status: u16) -> Self {
        assert!(self.status == status, "the status is not {status}: {self:?}");
        self
    }

    /// Whether the reply is a stream of server-sent events.
    pub(super) fn is_event_stream(&self) -> bool {
        let kind = self.header("Content-Type").and_then(|kind| kind.split(';').next()).unwrap_or_default();
        kind.trim().eq_ignore_ascii_case("text/event-stream")
    }

    /// The content. If the reply is chunked and was [opened](super::TestRequest::open), or if its end has not come,
    /// this is empty, and the chunks are left for [`TestClient::read`](super::TestClient::read).
    pub fn body(&self) -> &[u8] {
        &self.content
    }

    /// The content as text.
    ///
    /// # Panics
    /// If it is not UTF-8.
    #[track_caller]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.content).unwrap_or_else(|error| panic!("the content is not UTF-8: {error}"))
    }

    /// The content, parsed as JSON.
    ///
    /// # Panics
    /// If it is not JSON, or does not fit `T`.
    #[cfg(feature = "json")]
    #[cfg_attr(docsrs, doc(cfg(feature = "json")))]
    #[track_caller]
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> T {
        let value = serde_json::from_slice(&self.content);
        value.unwrap_or_else(|error| panic!("{error} in the JSON {:?}", self.content.escape_ascii().to_string()))
    }

    /// Parses the first final reply (or 101) in `bytes`, after any interim ones. Returns `None` if it is not complete;
    /// a chunked one needs only its head.
    ///
    /// # Panics
    /// If `bytes` do not begin with a reply.
    #[track_caller]
    pub(super) fn parse(bytes: &[u8], extent: Extent) -> Option<Parsed> {
        let mut at = 0;
        loop {
            let (mut reply, len) = parse_head(&bytes[at..])?;
            at += len;
            if reply.status < 200 && reply.status != 101 {
                continue;
            }
            let has_content = extent != Extent::Head && !matches!(reply.status, 101 | 204 | 304);
            if has_content && reply.header("Transfer-Encoding").is_some() {
                let chunks = if extent == Extent::Open { None } else { parse_chunks(&bytes[at..]) };
                return Some(match chunks {
                    Some((content, len)) => Parsed { reply: Self { content, ..reply }, len: at + len, is_whole: true },
                    None => Parsed { reply, len: at, is_whole: false },
                });
            }
            let length = reply
                .header("Content-Length")
                .filter(|_| has_content)
                .map_or(0, |value| value.parse::<usize>().unwrap_or_else(|_| panic!("bad Content-Length: {value:?}")));
            reply.content = bytes.get(at..at + length)?.to_vec();
            return Some(Parsed { reply, len: at + length, is_whole: true });
        }
    }
}

/// Parses chunked content at the start of `bytes`, including trailers. Returns the content and its length on the wire,
/// or `None` if it is not complete.
///
/// # Panics
/// If the bytes are not chunked content.
#[track_caller]
fn parse_chunks(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut content, mut at) = (Vec::new(), 0);
    loop {
        let len = memchr::memmem::find(&bytes[at..], b"\r\n")?;
        let line = std::str::from_utf8(&bytes[at..at + len]).unwrap_or_default();
        let size = usize::from_str_radix(line, 16).unwrap_or_else(|_| panic!("not a chunk size: {line:?}"));
        at += len + 2;
        if size == 0 {
            break;
        }
        content.extend_from_slice(bytes.get(at..at + size)?);
        assert_eq!(bytes.get(at + size..at + size + 2)?, b"\r\n", "a chunk ends in CRLF");
        at += size + 2;
    }
    // Each trailer is a line, and an empty line ends the section.
    loop {
        let len = memchr::memmem::find(&bytes[at..], b"\r\n")?;
        at += len + 2;
        if len == 0 {
            return Some((content, at));
        }
    }
}

#[track_caller]
fn parse_head(bytes: &[u8]) -> Option<(TestReply, usize)> {
    let end = memchr::memmem::find(bytes, b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).unwrap_or_else(|error| panic!("the head is not UTF-8: {error}"));
    let mut lines = head.split("\r\n");
    let line = lines.next().unwrap_or_default();
    let (status, reason) = line
        .strip_prefix("HTTP/1.1 ")
        .and_then(|line| line.split_once(' '))
        .and_then(|(code, reason)| Some((code.parse().ok()?, reason.to_owned())))
        .unwrap_or_else(|| panic!("not a status line: {line:?}"));
    let fields = lines.map(|line| {
        let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("not a field line: {line:?}"));
        (name.to_owned(), value.trim().to_owned())
    });
    Some((TestReply { status, reason, fields: fields.collect(), content: Vec::new() }, end + 4))
}

/// Shows the reply as it came. Content that is not UTF-8 is shown only by its length.
impl fmt::Debug for TestReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.reason)?;
        self.headers().try_for_each(|(name, value)| write!(f, "; {name}: {value}"))?;
        match std::str::from_utf8(&self.content) {
            Ok(text) => write!(f, "; {text:?}"),
            Err(_) => write!(f, "; {} bytes", self.content.len()),
        }
    }
}
