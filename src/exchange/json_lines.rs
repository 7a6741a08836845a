//! Streams of JSON values, one a line.

use std::io;

use serde::Serialize;

use super::{BodySource, Chunk, Progress, Response, Sent};
use crate::http::{Printable, Result};

/// Gives the values of an iterator as lines.
struct JsonLines<I> {
    values: I,
    /// The line that is made now. Of a value that does not serialise, nothing is sent.
    line: Vec<u8>,
}

impl<I: Iterator<Item: Serialize>> BodySource for JsonLines<I> {
    fn fill(&mut self, out: &mut Chunk<'_>) -> io::Result<Progress> {
        while out.wanted() > 0 {
            let Some(value) = self.values.next() else { return Ok(Progress::Done) };
            self.line.clear();
            if let Err(error) = serde_json::to_writer(&mut self.line, &value) {
                log::error!("a value of a reply in JSON lines does not serialise: {}", Printable(&error));
                return Err(io::Error::other(error));
            }
            self.line.push(b'\n');
            out.push(&self.line[..]);
        }
        Ok(Progress::More)
    }

    fn memory(&self) -> usize {
        self.line.capacity()
    }
}

impl Response<'_> {
    /// Finishes with a stream of values, each as JSON on a line of its own (`application/x-ndjson` unless a
    /// `Content-Type` was set). The iterator is asked for more only while the client takes what it gave before, so it
    /// may be long or without an end. It runs on the thread of the loop and must not block.
    ///
    /// ```
    /// use monoloop::{Router, TestClient};
    ///
    /// let mut app = Router::new(vec!["apple", "pear"]);
    /// app.get("/fruits", |fruits, _, res| res.json_lines(fruits.clone()));
    ///
    /// let reply = TestClient::new(app).get("/fruits").send();
    /// assert_eq!(reply.text(), "\"apple\"\n\"pear\"\n");
    /// assert_eq!(reply.header("Content-Type"), Some("application/x-ndjson"));
    /// ```
    ///
    /// A value that does not serialise aborts the connection, since the head was sent, and the log says why. Values of
    /// other threads go through a [`channel`](Self::channel).
    ///
    /// # Errors
    /// A mistake that was made with the head.
    #[doc(alias("ndjson", "jsonl", "stream"))]
    #[cfg_attr(docsrs, doc(cfg(feature = "json")))]
    pub fn json_lines<I>(self, values: I) -> Result<Sent>
    where
        I: IntoIterator<Item: Serialize, IntoIter: 'static>,
    {
        let source = JsonLines { values: values.into_iter(), line: Vec::new() };
        self.header_if_none("Content-Type", "application/x-ndjson").stream(source)
    }
}
