//! Routes whose exchanges outlive their handler, and what these record for the test.

mod obedient;
mod streams;

#[cfg(test)]
pub(super) use streams::from_fn;

use std::collections::VecDeque;
use std::io;
use std::ops::ControlFlow;
use std::time::Duration;

use super::app::{self, App};
use super::bench::Bench;
use crate::config::Config;
use crate::exchange::Responder;
use crate::exchange::{
    Abort, BodySender, BodySink, CloseReason, Duplex, Intake, LocalWaker, Output, Protocol, Resumer, Trailers, Waker,
    from_iter,
};
use crate::http::Method;
use crate::limits::MAX_READ;
use crate::{Error, Request, Response, Result, Router, Sent};

/// What outlives the handlers, and what became of it.
#[derive(Debug, Default)]
pub(super) struct Live {
    pub(super) responders: VecDeque<Responder>,
    pub(super) senders: Vec<BodySender>,
    pub(super) resumers: Vec<Resumer>,
    /// The number of sinks and takers that were made.
    pub(super) opened: usize,
    /// The contents of those that were told that their content is whole.
    pub(super) ended: Vec<Vec<u8>>,
    /// The reasons that the others were told.
    pub(super) aborted: Vec<Abort>,
    /// All content that any of them was given.
    pub(super) pieces: Vec<Vec<u8>>,
    /// How a piece is taken.
    pub(super) pauses: bool,
    /// Pieces that the test sends back by hand.
    pub(super) queue: VecDeque<Vec<u8>>,
    /// No more pieces will come.
    pub(super) is_whole: bool,
    /// The calls that a protocol received.
    pub(super) told: Vec<Told>,
    pub(super) wakers: Vec<Waker>,
    /// The number of protocols that were made.
    pub(super) upgraded: usize,
    /// The protocol stays open when the client has closed its side.
    pub(super) stays: bool,
    /// What an obedient protocol does in these calls.
    pub(super) at_room: Vec<&'static str>,
    pub(super) at_alarm: Vec<&'static str>,
    pub(super) at_drain: Vec<&'static str>,
    pub(super) locals: Vec<LocalWaker>,
}

impl Live {
    /// Checks, after the end of a connection, that each sink was told of its end exactly once.
    #[track_caller]
    pub(super) fn check(&self) {
        assert_eq!(self.opened, self.ended.len() + self.aborted.len(), "{:?}, {:?}", self.ended, self.aborted);
        let closed = self.told.iter().filter(|told| matches!(told, Told::Closed(_))).count();
        assert_eq!(closed, self.upgraded, "{:?}", self.told);
        assert!(closed == 0 || matches!(self.told.last(), Some(Told::Closed(_))), "{:?}", self.told);
    }
}

/// The calls that a protocol receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Data(Vec<u8>),
    Writable,
    Alarm,
    End,
    Drain,
    Closed(CloseReason),
}

/// A connection to the application with these routes.
pub(super) type How = fn(&mut Bench);

/// A request that shows that the connection still works.
pub(super) const NEXT: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// The head of a request with content.
pub(super) fn post(path: &str, fields: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n")
}

pub(super) fn bench() -> Bench {
    bench_with(Config::default())
}

pub(super) fn bench_with(config: Config) -> Bench {
    let mut bench = Bench::of(router(), config);
    // Reads for a sink grow.
    bench.max_input = 2 * MAX_READ;
    bench
}

pub(super) fn router() -> Router<App> {
    let mut app = app::router();
    streams::streams(&mut app);
    streams::faults(&mut app);
    sinks(&mut app);
    duplexes(&mut app);
    deferred(&mut app);
    upgrades(&mut app);
    obedient::obedient(&mut app);
    app
}

// ---- sinks ------------------------------------------------------------------------------------------------------

/// Sends the content back. A `!` in it is an error, a `?` a panic.
struct Collect(Vec<u8>);

impl BodySink<App> for Collect {
    fn data(&mut self, app: &mut App, piece: &[u8], intake: &mut Intake<'_>) -> Result<()> {
        take(app, piece, intake)?;
        self.0.extend_from_slice(piece);
        Ok(())
    }

    fn end(self: Box<Self>, app: &mut App, trailers: Trailers<'_>, res: Response<'_>) -> Result<Sent> {
        app.live.ended.push(self.0.clone());
        if self.0.ends_with(b".") {
            return Err(Error::new(422, "It ends in a full stop"));
        }
        assert!(!self.0.ends_with(b","), "as asked");
        match trailers.get("x-note") {
            Some(note) => res.header("X-Note", String::from_utf8_lossy(note)).send(self.0),
            None => res.send(self.0),
        }
    }

    fn abort(self: Box<Self>, app: &mut App, why: Abort) {
        app.live.aborted.push(why);
    }
}

fn take(app: &mut App, piece: &[u8], intake: &mut Intake<'_>) -> Result<()> {
    assert!(!piece.is_empty(), "a piece is never empty");
    app.live.pieces.push(piece.to_vec());
    if piece.contains(&b'!') {
        return Err(Error::new(409, "As asked"));
    }
    assert!(!piece.contains(&b'?'), "as asked");
    if app.live.pauses {
        app.live.resumers.push(intake.pause());
    }
    Ok(())
}

fn collect(app: &mut App, _: &Request<'_>) -> Result<Collect> {
    app.live.opened += 1;
    Ok(Collect(Vec::new()))
}

/// As `Collect`, but its reply comes later.
struct Later(Collect, fn(&mut App, Vec<u8>, Response<'_>) -> Result<Sent>);

impl BodySink<App> for Later {
    fn data(&mut self, app: &mut App, piece: &[u8], intake: &mut Intake<'_>) -> Result<()> {
        self.0.data(app, piece, intake)
    }

    fn end(self: Box<Self>, app: &mut App, _: Trailers<'_>, res: Response<'_>) -> Result<Sent> {
        app.live.ended.push(self.0.0.clone());
        (self.1)(app, self.0.0, res)
    }

    fn abort(self: Box<Self>, app: &mut App, why: Abort) {
        app.live.aborted.push(why);
    }
}

fn sinks(app: &mut Router<App>) {
    app.sink(Method::Post, "/sink/streams", |app, req| {
        Ok(Later(collect(app, req)?, |_, content, res| res.stream(from_iter([content]))))
    });
    app.sink(Method::Post, "/sink/defers", |app, req| {
        let defer = |app: &mut App, _, res: Response<'_>| {
            let (sent, responder) = res.defer();
            app.live.responders.push_back(responder);
            Ok(sent)
        };
        Ok(Later(collect(app, req)?, defer))
    });
    app.sink(Method::Post, "/sink", collect);
    app.sink(Method::Post, "/sink/small", collect).max_content(8);
    app.sink(Method::Post, "/sink/refuses", |_, _| Err::<Collect, _>(Error::new(415, "Not that")));
    app.sink(Method::Post, "/sink/up", collect);
    app.upgrade("/sink/up", "echo", mirror);
}

// ---- full duplex ------------------------------------------------------------------------------------------------

/// Sends content back as it comes.
struct Echo(BodySender);

impl Duplex<App> for Echo {
    fn data(&mut self, app: &mut App, piece: &[u8], intake: &mut Intake<'_>) -> Result<()> {
        take(app, piece, intake)?;
        self.0.send(piece.to_vec())?;
        if self.0.is_full() {
            let resumer = intake.pause();
            self.0.on_room(move || resumer.resume());
        }
        Ok(())
    }

    fn end(self: Box<Self>, app: &mut App, _: Trailers<'_>) -> Result<()> {
        app.live.ended.push(Vec::new());
        self.0.finish();
        Ok(())
    }

    fn abort(self: Box<Self>, app: &mut App, why: Abort) {
        app.live.aborted.push(why);
    }
}

/// Takes content; another thread gives the reply.
struct Taker(Vec<u8>);

impl Duplex<App> for Taker {
    fn data(&mut self, app: &mut App, piece: &[u8], intake: &mut Intake<'_>) -> Result<()> {
        take(app, piece, intake)?;
        self.0.extend_from_slice(piece);
        Ok(())
    }

    fn end(self: Box<Self>, app: &mut App, _: Trailers<'_>) -> Result<()> {
        let fails = self.0.ends_with(b".");
        app.live.ended.push(self.0);
        if fails { Err(Error::new(422, "It ends in a full stop")) } else { Ok(()) }
    }

    fn abort(self: Box<Self>, app: &mut App, why: Abort) {
        app.live.aborted.push(why);
    }
}

/// Keeps content until the test sends it back by hand.
struct Queue;

impl Duplex<App> for Queue {
    fn data(&mut self, app: &mut App, piece: &[u8], intake: &mut Intake<'_>) -> Result<()> {
        app.live.queue.push_back(piece.to_vec());
        if app.live.queue.len() > 2 {
            app.live.resumers.push(intake.pause());
        }
        Ok(())
    }

    fn end(self: Box<Self>, app: &mut App, _: Trailers<'_>) -> Result<()> {
        app.live.ended.push(Vec::new());
        app.live.is_whole = true;
        Ok(())
    }

    fn abort(self: Box<Self>, app: &mut App, why: Abort) {
        app.live.aborted.push(why);
    }
}

fn duplexes(app: &mut Router<App>) {
    app.duplex(Method::Post, "/duplex/queue", |app: &mut App, _, res| {
        app.live.opened += 1;
        let (sent, responder) = res.defer();
        app.live.responders.push_back(responder);
        Ok((sent, Queue))
    });
    app.duplex(Method::Post, "/duplex", |app: &mut App, _, res| {
        app.live.opened += 1;
        let (sent, sender) = res.channel()?;
        Ok((sent, Echo(sender)))
    });
    app.duplex(Method::Post, "/duplex/early", |app: &mut App, _, res| {
        app.live.opened += 1;
        Ok((res.text("early")?, Taker(Vec::new())))
    });
    app.duplex(Method::Post, "/duplex/deferred", |app: &mut App, _, res| {
        app.live.opened += 1;
        let (sent, responder) = res.defer();
        app.live.responders.push_back(responder);
        Ok((sent, Taker(Vec::new())))
    });
    app.duplex(Method::Post, "/duplex/refuses", |_, _, _| Err::<(Sent, Taker), _>(Error::new(415, "Not that")));
}

// ---- deferred replies -------------------------------------------------------------------------------------------

fn deferred(app: &mut Router<App>) {
    let defer = |app: &mut App, _: &Request<'_>, res: Response<'_>| -> Result<Sent> {
        let (sent, responder) = res.header("X-Handler", "set before").defer();
        app.live.responders.push_back(responder);
        Ok(sent)
    };
    app.get("/defer", defer);
    app.post("/defer", defer);
    app.get("/defer/dropped", |_, _, res| Ok(res.defer().0));
    app.get("/defer/at-once", |_, _, res| {
        let (sent, responder) = res.defer();
        responder.text("at once");
        Ok(sent)
    });
    app.get("/defer/close", |app: &mut App, _, res| {
        let (sent, responder) = res.header("Connection", "close").defer();
        app.live.responders.push_back(responder);
        Ok(sent)
    });
    app.get("/defer/fails", |app: &mut App, _, res| {
        app.live.responders.push_back(res.defer().1);
        Err(Error::new(409, "Taken"))
    });
    // Only a service can do this; a router cannot.
    app.get("/misuse/switch", |_, _, res| res.switch("echo"));
    app.get("/misuse/later", |_, _, res| Ok(res.later()));
    // A middleware that answers in place of the handler.
    app.with(|app: &mut App, req, res| match req.header("x-intercept") {
        Some("stream") => ControlFlow::Break(res.stream(from_iter(["intercepted".to_owned()]))),
        Some("wait") => {
            let (sent, responder) = res.defer();
            app.live.responders.push_back(responder);
            ControlFlow::Break(Ok(sent))
        }
        Some("channel") => ControlFlow::Break(res.channel().map(|(sent, sender)| {
            app.live.senders.push(sender);
            sent
        })),
        _ => ControlFlow::Continue(res),
    });
}

// ---- other protocols --------------------------------------------------------------------------------------------

/// Sends back each line; `close`, `fail`, `panic` and `patience` are commands.
struct Mirror;

impl Protocol<App> for Mirror {
    fn on_data(&mut self, app: &mut App, bytes: &mut [u8], out: &mut Output<'_>) -> io::Result<usize> {
        app.live.told.push(Told::Data(bytes.to_vec()));
        let mut understood = 0;
        while let Some(end) = bytes[understood..].iter().position(|&byte| byte == b'\n') {
            match &bytes[understood..understood + end] {
                b"close" => {
                    out.close();
                    return Ok(understood + end + 1);
                }
                b"fail" => return Err(io::Error::other("as asked")),
                b"panic" => panic!("as asked"),
                b"patience" => out.set_idle_timeout(Duration::from_secs(90)),
                line => out.write([line, b"\n"].concat()),
            }
            understood += end + 1;
        }
        Ok(understood)
    }

    fn on_writable(&mut self, app: &mut App, out: &mut Output<'_>) -> io::Result<()> {
        app.live.told.push(Told::Writable);
        app.live.wakers.push(out.waker());
        Ok(())
    }

    fn on_end(&mut self, app: &mut App, out: &mut Output<'_>) -> io::Result<()> {
        app.live.told.push(Told::End);
        if !app.live.stays {
            out.close();
        }
        Ok(())
    }

    fn on_drain(&mut self, app: &mut App, out: &mut Output<'_>) -> io::Result<()> {
        app.live.told.push(Told::Drain);
        out.write("drained\n");
        out.close();
        Ok(())
    }

    fn on_close(self: Box<Self>, app: &mut App, why: CloseReason) {
        app.live.told.push(Told::Closed(why));
    }
}

fn mirror<'r>(app: &mut App, _: &Request<'_>, res: Response<'r>) -> Result<(Response<'r>, Mirror)> {
    app.live.upgraded += 1;
    Ok((res.header("X-Up", "yes"), Mirror))
}

fn upgrades(app: &mut Router<App>) {
    app.upgrade("/up", "echo", |app, req, res| match req.header("x-refuse") {
        Some(_) => Err(Error::new(403, "Not you")),
        None => mirror(app, req, res),
    });
    app.upgrade("/up/length", "echo", |app, req, res| mirror(app, req, res.header("Content-Length", "0")));
    app.get("/up/both", |_, _, res| res.text("plain"));
    app.upgrade("/up/both", "tea/2", mirror);
    app.upgrade("/up/both", "echo", mirror);
}
