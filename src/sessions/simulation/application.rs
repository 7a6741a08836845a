//! The application behind the simulated server. A target says who asks, which of its requests this is, and what the
//! handler shall do: `/connection/number/deed/length`. Each reply to a request that was understood carries its number.

use std::sync::OnceLock;
use std::time::Duration;

use super::random::Random;
use crate::exchange::{Admission, Request, Response, Sent, Service};
use crate::http::{Error, Result};

/// Largest content that anybody sends.
pub(super) const LARGEST: usize = 600 * 1024;

/// The field with the number of the request.
pub(super) const NUMBER: &str = "X-Number";

/// The content of a request, and of the reply to it: no two are alike, so bytes that go astray are noticed.
pub(super) fn content(connection: usize, number: usize, length: usize) -> &'static [u8] {
    static NOISE: OnceLock<Vec<u8>> = OnceLock::new();
    let noise = NOISE.get_or_init(|| {
        let mut random = Random::new(0);
        let bytes = (0..(LARGEST + 4096) / 8).flat_map(|_| random.next().to_le_bytes());
        // Letters, so that a story can be read.
        bytes.map(|byte| b'a' + byte % 26).collect()
    });
    let from = (connection * 1013 + number * 17) % 4096;
    &noise[from..from + length]
}

/// A target, understood.
struct Asked<'a> {
    connection: usize,
    number: usize,
    deed: &'a str,
    length: usize,
}

impl<'a> Asked<'a> {
    fn new(request: &Request<'a>) -> Self {
        let mut parts = request.target().split('/').skip(1);
        let mut next = || parts.next().unwrap_or_default();
        let (connection, number, deed, length) = (next(), next(), next(), next());
        let number_of = |text: &str| text.parse().unwrap_or(usize::MAX);
        Self { connection: number_of(connection), number: number_of(number), deed, length: number_of(length) }
    }
}

#[derive(Debug, Default)]
pub(super) struct Application {
    /// How many requests of each connection were answered.
    pub(super) answered: Vec<usize>,
    /// What was wrong; not asserted on the spot, since a panic of the application is caught.
    pub(super) fault: Option<String>,
}

impl Application {
    /// Takes note of a request, and puts its number where no roll-back takes it away.
    fn begin<'r>(&mut self, asked: &Asked<'_>, response: Response<'r>) -> Response<'r> {
        if self.answered.len() <= asked.connection.min(1 << 20) {
            self.answered.resize(asked.connection.min(1 << 20) + 1, 0);
        }
        match self.answered.get_mut(asked.connection) {
            Some(expected) if *expected == asked.number => *expected += 1,
            expected => {
                let Asked { connection, number, .. } = asked;
                let fault = format!("connection {connection}: request {number} came instead of {expected:?}");
                self.fault.get_or_insert(fault);
            }
        }
        let mut response = response.header(NUMBER, asked.number.to_string());
        response.keep();
        response
    }
}

impl Service for Application {
    fn admit(&mut self, request: &Request<'_>) -> Admission {
        match Asked::new(request).deed {
            "missing" => Admission::Now,
            "unadmitted" => panic_quietly(),
            _ => Admission::Buffer,
        }
    }

    fn call(&mut self, request: Request<'_>, response: Response<'_>) -> Result<Sent> {
        let asked = Asked::new(&request);
        let response = self.begin(&asked, response);
        let content = |length| content(asked.connection, asked.number, length);
        match asked.deed {
            "copy" => response.send(content(asked.length)),
            "give" => response.send(content(asked.length).to_vec()),
            "share" => response.send(crate::buffer::Content::Static(content(asked.length))),
            "take" if request.body() == content(asked.length) => response.text("taken"),
            "take" => {
                let (came, length) = (request.body().len(), asked.length);
                self.fault.get_or_insert(format!("{}: {came} bytes came, not these {length}", request.target()));
                response.text("not this")
            }
            "close" => response.header("Connection", "close").send(content(asked.length).to_vec()),
            "idle" => response.idle_timeout(Duration::from_millis(asked.length as u64)).text("idle"),
            "half" => {
                let mut body = response.start()?;
                body.write(content(asked.length))?;
                Err(Error::new(503, "Not now"))
            }
            "undo" => {
                let _ = response.send(content(asked.length).to_vec())?;
                Err(Error::new(409, "Undone as asked"))
            }
            "fail" => Err(Error::new(409, "Failed as asked")),
            "panic" => panic_quietly(),
            _ => Err(Error::not_found("Nothing is here")),
        }
    }

    fn refuse(&mut self, request: Request<'_>, error: Error, response: Response<'_>) -> Result<Sent> {
        let _ = self.begin(&Asked::new(&request), response);
        Err(error)
    }
}

/// Panics without a message on the screen.
fn panic_quietly() -> ! {
    std::panic::resume_unwind(Box::new("as asked"))
}
