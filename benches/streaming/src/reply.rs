//! Reads a reply piece by piece, and keeps nothing of its content.

use crate::Result;

/// How a reply says where its content ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Chunked,
    Length(u64),
    /// The end of the connection is the end of the content.
    Close,
}

#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) framing: Framing,
    pub(crate) content_type: String,
}

impl Head {
    /// Reads the framing from the lines before the blank one.
    fn parse(text: &str) -> Result<Self> {
        let mut lines = text.split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")).and_then(|line| line.get(..3));
        let status = status.ok_or("the reply does not begin with HTTP/1.1 and a status")?.parse()?;
        let mut head = Self { status, framing: Framing::Close, content_type: String::new() };
        for line in lines {
            let (name, value) = line.split_once(':').ok_or("a field without a colon")?;
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => head.framing = Framing::Length(value.parse()?),
                "transfer-encoding" if value.eq_ignore_ascii_case("chunked") => head.framing = Framing::Chunked,
                "content-type" => head.content_type = value.to_owned(),
                _ => {}
            }
        }
        Ok(head)
    }

    pub(crate) fn check(&self, framing: Framing, content_type: &str) -> Result<()> {
        if self.status != 200 {
            return Err(format!("status {}", self.status).into());
        }
        if self.framing != framing {
            return Err(format!("the reply's framing is {:?} instead of {framing:?}", self.framing).into());
        }
        if !self.content_type.starts_with(content_type) {
            return Err(format!("Content-Type {:?} instead of {content_type:?}", self.content_type).into());
        }
        Ok(())
    }
}

/// A reply that comes in pieces.
#[derive(Debug)]
pub(crate) struct Reply {
    state: State,
    /// The bytes of an unfinished line or head, without content.
    pending: Vec<u8>,
    pub(crate) head: Option<Head>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Head,
    /// The number of bytes of content that are still to come.
    Length(u64),
    ChunkSize,
    Chunk(u64),
    ChunkEnd,
    Trailer,
    Close,
    Done,
}

/// Longer than any head or line that a server should send.
const MAX_PENDING: usize = 16 << 10;

impl Reply {
    pub(crate) fn new() -> Self {
        Self { state: State::Head, pending: Vec::new(), head: None }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Takes bytes that were read, and passes the content among them to `content`, in pieces.
    pub(crate) fn feed(&mut self, mut input: &[u8], mut content: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        while !input.is_empty() {
            match self.state {
                State::Length(left) | State::Chunk(left) => {
                    let (now, later) = input.split_at(input.len().min(usize::try_from(left)?));
                    content(now)?;
                    input = later;
                    let left = left - now.len() as u64;
                    self.state = match self.state {
                        State::Chunk(_) if left == 0 => State::ChunkEnd,
                        State::Chunk(_) => State::Chunk(left),
                        _ => length(left),
                    };
                }
                State::Close => {
                    content(input)?;
                    input = &[];
                }
                State::Done => return Err("there is more than one reply".into()),
                State::Head => {
                    if let Some(head) = self.take(&mut input, b"\r\n\r\n")? {
                        let head = Head::parse(&String::from_utf8(head)?)?;
                        self.state = match head.framing {
                            Framing::Chunked => State::ChunkSize,
                            Framing::Length(bytes) => length(bytes),
                            Framing::Close => State::Close,
                        };
                        self.head = Some(head);
                    }
                }
                State::ChunkSize => {
                    if let Some(line) = self.take(&mut input, b"\r\n")? {
                        self.state = match u64::from_str_radix(std::str::from_utf8(&line)?, 16)? {
                            0 => State::Trailer,
                            size => State::Chunk(size),
                        };
                    }
                }
                State::ChunkEnd => match self.take(&mut input, b"\r\n")? {
                    Some(line) if line.is_empty() => self.state = State::ChunkSize,
                    Some(_) => return Err("a chunk is longer than it says".into()),
                    None => {}
                },
                State::Trailer => {
                    if self.take(&mut input, b"\r\n")?.is_some_and(|line| line.is_empty()) {
                        self.state = State::Done;
                    }
                }
            }
        }
        Ok(())
    }

    /// The bytes before `end`, once that has come. Lines and heads are short, so a byte at a time is quick enough.
    fn take(&mut self, input: &mut &[u8], end: &[u8]) -> Result<Option<Vec<u8>>> {
        while let [first, rest @ ..] = *input {
            self.pending.push(*first);
            *input = rest;
            if self.pending.ends_with(end) {
                self.pending.truncate(self.pending.len() - end.len());
                return Ok(Some(std::mem::take(&mut self.pending)));
            }
        }
        if self.pending.len() > MAX_PENDING { Err("a head or a line without end".into()) } else { Ok(None) }
    }
}

fn length(left: u64) -> State {
    if left == 0 { State::Done } else { State::Length(left) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pieces in which the reply comes make no difference.
    fn read(input: &[u8], size: usize) -> Result<(Vec<u8>, bool)> {
        let (mut reply, mut content) = (Reply::new(), Vec::new());
        for piece in input.chunks(size) {
            reply.feed(piece, |piece| {
                content.extend_from_slice(piece);
                Ok(())
            })?;
        }
        Ok((content, reply.is_done()))
    }

    #[test]
    fn content_is_found_in_pieces_of_any_size() {
        let rows: [(&[u8], &[u8], bool); 4] = [
            (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst", b"first", true),
            (
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n5\r\nfirst\r\nA\r\nand second\r\n0\r\n\r\n",
                b"firstand second",
                true,
            ),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n0\r\nA: b\r\n\r\n", b"first", true),
            (b"HTTP/1.1 200 OK\r\n\r\nfirst", b"first", false),
        ];
        for (input, content, is_done) in rows {
            for size in 1..=input.len() {
                assert_eq!(read(input, size).unwrap(), (content.to_vec(), is_done), "in pieces of {size}");
            }
        }
    }

    #[test]
    fn what_is_wrong_is_not_taken() {
        for input in [
            "HTTP/1.0 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst!",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst!\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        ] {
            assert!(read(input.as_bytes(), 7).is_err(), "{input}");
        }
    }
}
