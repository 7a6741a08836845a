//! The application of the simulated server. A target names the connection, the number of the request, and what the
//! handler shall do: `/connection/number/deed/length`. Each reply to a valid request carries the number of that
//! request.

use std::io;
use std::sync::OnceLock;
use std::time::Duration;

use super::affairs::{Shared, lock};
use super::errands::{How, begin_answer, begin_push};
#[cfg(feature = "files")]
use super::files;
use super::live::Live;
use super::random::Random;
use super::sources::{Plan, Pull};
use crate::exchange::{
    Abort, Admission, CloseReason, Delegate, Intake, LiveKey, Nothing, Output, ProtocolEvent, Request, Response, Sent,
    Trailers,
};
use crate::http::{Error, Result};

/// The largest content of a request or a reply.
pub(super) const LARGEST: usize = 600 * 1024;

/// The number of places at which contents of that size begin.
pub(super) const SLACK: usize = 4096;

/// The field with the number of the request.
pub(super) const NUMBER: &str = "X-Number";

/// The field after the content of a reply.
pub(super) const TRAILER: &str = "X-Whole";

/// The most content that a sink takes.
const MAX_SINK: u64 = 1 << 20;

/// The content of a request, and of the reply to it. No two requests have the same content, so the checks find
/// misplaced bytes.
pub(super) fn content(connection: usize, number: usize, length: usize) -> &'static [u8] {
    static NOISE: OnceLock<Vec<u8>> = OnceLock::new();
    let noise = NOISE.get_or_init(|| {
        let mut random = Random::new(0);
        let bytes = (0..(LARGEST + SLACK) / 8).flat_map(|_| random.next().to_le_bytes());
        // Letters keep the trace readable.
        bytes.map(|byte| b'a' + byte % 26).collect()
    });
    let from = offset(connection, number);
    &noise[from..from + length]
}

/// Where the content of a request begins in the noise.
pub(super) const fn offset(connection: usize, number: usize) -> usize {
    (connection * 1013 + number * 17) % SLACK
}

/// A parsed target.
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

pub(super) struct Application {
    /// How many requests of each connection were answered.
    pub(super) answered: Vec<usize>,
    pub(super) affairs: Shared,
    pub(super) live: Live,
    pub(super) nothing: Nothing,
}

impl Application {
    /// Notes a request, and adds its number to the reply so that no roll-back removes it.
    fn begin<'r>(&mut self, asked: &Asked<'_>, response: Response<'r>) -> Response<'r> {
        if self.answered.len() <= asked.connection.min(1 << 20) {
            self.answered.resize(asked.connection.min(1 << 20) + 1, 0);
        }
        match self.answered.get_mut(asked.connection) {
            Some(expected) if *expected == asked.number => *expected += 1,
            expected => {
                let Asked { connection, number, .. } = asked;
                let fault = format!("connection {connection}: request {number} came instead of {expected:?}");
                self.blame(fault);
            }
        }
        let mut response = response.header(NUMBER, asked.number.to_string());
        response.keep();
        response
    }

    /// Takes the time of a call.
    fn pay(&self) {
        lock(&self.affairs).pay();
    }

    fn blame(&self, fault: String) {
        lock(&self.affairs).blame(fault);
    }

    /// A reply that is streamed or put off.
    fn go_on(&mut self, asked: &Asked<'_>, response: Response<'_>) -> Result<Sent> {
        let mut plan = Plan::new((asked.connection, asked.number), asked.length);
        plan.fails = asked.deed.ends_with("fail");
        plan.trailers = asked.deed.ends_with("trail");
        plan.beats = asked.deed == "beat";
        plan.known = asked.deed.starts_with("pulllen");
        let how = match asked.deed {
            "pull" | "pulltrail" | "pullfail" | "pulllen" | "pulllenfail" => {
                return response.stream(Pull::new(&self.affairs, plan));
            }
            "push" | "pushtrail" | "pushfail" | "beat" => {
                let response =
                    if asked.length.is_multiple_of(3) { response.early_hints([("Link", "</>")]) } else { response };
                let (sent, sender) = response.channel()?;
                begin_push(&self.affairs, plan, sender);
                return Ok(sent);
            }
            "defer" => How::Text,
            "deferdrop" => How::Drop,
            "defererror" => How::Error,
            "deferpanic" => How::Panic,
            "deferpull" | "deferpullfail" => How::Pull,
            #[cfg(feature = "files")]
            "deferfile" => How::File,
            "deferpush" | "deferpushfail" => How::Push,
            "never" => How::Never,
            _ => return Err(Error::not_found("Nothing is here")),
        };
        let (sent, responder) = response.defer();
        begin_answer(&self.affairs, plan, how, responder);
        Ok(sent)
    }
}

impl Delegate for Application {
    type Inner = Nothing;

    fn inner(&mut self) -> &mut Nothing {
        &mut self.nothing
    }

    fn admit(&mut self, request: &Request<'_>) -> Admission {
        self.pay();
        let asked = Asked::new(request);
        match asked.deed {
            "missing" | "nowpull" => Admission::Now,
            "unadmitted" => panic_quietly(),
            "sinklarge" => Admission::Stream(asked.length as u64 / 2),
            "echo" | "stall" => Admission::Stream(MAX_SINK),
            deed if deed.starts_with("sink") => Admission::Stream(MAX_SINK),
            deed if deed.starts_with("upgrade") => Admission::Upgrade,
            _ => Admission::Buffer,
        }
    }

    fn call(&mut self, request: Request<'_>, response: Response<'_>) -> Result<Sent> {
        self.pay();
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
                self.blame(format!("{}: {came} bytes came, not these {length}", request.target()));
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
            "missing" => Err(Error::not_found("Nothing is here")),
            #[cfg(feature = "files")]
            deed if deed.starts_with("file") => {
                let whose = (asked.connection, asked.number);
                files::answer(&self.affairs, whose, (deed, asked.length), &request, response)
            }
            "nowpull" => {
                let plan = Plan::new((asked.connection, asked.number), asked.length);
                response.stream(Pull::new(&self.affairs, plan))
            }
            _ => self.go_on(&asked, response),
        }
    }

    #[cfg(feature = "files")]
    fn render(&mut self, error: &Error, request: Option<Request<'_>>, response: Response<'_>) -> Result<Sent> {
        match error.status() {
            files::GONE => files::leave(files::GONE_LENGTH, response),
            _ => crate::exchange::render_error(error, request.as_ref(), response),
        }
    }

    fn refuse(&mut self, request: Option<Request<'_>>, error: Error, response: Response<'_>) -> Result<Sent> {
        self.pay();
        if let Some(request) = request {
            let _ = self.begin(&Asked::new(&request), response);
        }
        Err(error)
    }

    fn open(&mut self, request: Request<'_>, response: Response<'_>) -> Result<(Sent, Option<LiveKey>)> {
        self.pay();
        let asked = Asked::new(&request);
        let response = self.begin(&asked, response);
        let whose = (asked.connection, asked.number);
        self.live.open(&self.affairs, whose, (asked.deed, asked.length), response)
    }

    fn content(&mut self, sink: LiveKey, piece: &[u8], intake: &mut Intake<'_>) -> Result<()> {
        self.pay();
        self.live.content(&self.affairs, sink, piece, intake)
    }

    fn content_end(&mut self, sink: LiveKey, _: Trailers<'_>, response: Option<Response<'_>>) -> Result<Option<Sent>> {
        self.pay();
        self.live.content_end(&self.affairs, sink, response)
    }

    fn content_abort(&mut self, sink: LiveKey, why: Abort) {
        self.pay();
        self.live.content_abort(&self.affairs, sink, why);
    }

    fn upgrade(&mut self, request: Request<'_>, response: Response<'_>) -> Result<(Sent, Option<LiveKey>)> {
        self.pay();
        let asked = Asked::new(&request);
        let response = self.begin(&asked, response);
        let whose = (asked.connection, asked.number);
        if asked.deed == "upgradenot" {
            return Ok((response.send(content(asked.connection, asked.number, asked.length))?, None));
        }
        let sent = response.switch("echo")?;
        let fails = asked.deed == "upgradefail";
        Ok((sent, Some(self.live.upgrade(&self.affairs, whose, fails, asked.length))))
    }

    fn protocol(&mut self, key: LiveKey, event: ProtocolEvent<'_>, out: &mut Output<'_>) -> io::Result<usize> {
        self.pay();
        self.live.protocol(&self.affairs, key, event, out)
    }

    fn protocol_closed(&mut self, key: LiveKey, why: CloseReason) {
        self.pay();
        self.live.protocol_closed(&self.affairs, key, why);
    }
}

/// Panics without printing a message.
pub(super) fn panic_quietly() -> ! {
    std::panic::resume_unwind(Box::new("as asked"))
}
