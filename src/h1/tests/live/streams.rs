//! Routes whose replies are produced while they are sent.

use std::collections::VecDeque;
use std::io::{self, Cursor, Write};

use super::super::app::App;
use crate::exchange::{BodySource, Chunk, Progress, from_iter, from_reader, try_from_iter};
use crate::{Error, Router};

/// Pieces of content, and the length that they claim to have.
pub(super) struct Pieces(VecDeque<Vec<u8>>, Option<u64>);

impl Pieces {
    pub(super) fn of(pieces: &[&str], length: Option<u64>) -> Self {
        Self(pieces.iter().map(|piece| piece.as_bytes().to_vec()).collect(), length)
    }
}

impl BodySource for Pieces {
    fn fill(&mut self, out: &mut Chunk<'_>) -> io::Result<Progress> {
        match self.0.pop_front() {
            Some(piece) => out.write_all(&piece)?,
            None => return Ok(Progress::Done),
        }
        Ok(Progress::More)
    }

    fn length(&self) -> Option<u64> {
        self.1
    }
}

/// A source that must not be asked.
struct Untouchable;

impl BodySource for Untouchable {
    fn fill(&mut self, _: &mut Chunk<'_>) -> io::Result<Progress> {
        panic!("a source was asked for content that nobody gets")
    }
}

/// Content and then trailers.
struct Trailing;

impl BodySource for Trailing {
    fn fill(&mut self, out: &mut Chunk<'_>) -> io::Result<Progress> {
        out.push("content");
        out.trailer("X-Checksum", "4711");
        Ok(Progress::Done)
    }
}

/// A source that panics after its first piece.
struct Panics(bool);

impl BodySource for Panics {
    fn fill(&mut self, out: &mut Chunk<'_>) -> io::Result<Progress> {
        assert!(!self.0, "as asked");
        self.0 = true;
        out.push("half");
        Ok(Progress::More)
    }
}

pub(super) fn streams(app: &mut Router<App>) {
    app.get("/stream", |_, _, res| res.stream(from_iter(["one ", "", "two ", "three"].map(str::to_owned))));
    app.get("/stream/known", |_, _, res| res.stream(Pieces::of(&["hello ", "world"], Some(11))));
    app.get("/stream/claimed", |_, _, res| res.header("Content-Length", "5").stream(Pieces::of(&["hel", "lo"], None)));
    app.get("/stream/agreed", |_, _, res| res.header("Content-Length", "2").stream(Pieces::of(&["hi"], Some(2))));
    app.get("/stream/contradicted", |_, _, res| res.header("Content-Length", "3").stream(Pieces::of(&["hi"], Some(2))));
    app.get("/stream/nothing", |_, _, res| res.stream(Pieces::of(&[], None)));
    app.get("/stream/nothing/known", |_, _, res| res.stream(Pieces::of(&[], Some(0))));
    app.get("/stream/reader", |_, _, res| res.stream(from_reader(Cursor::new("a reader's"))));
    app.get("/stream/reader/known", |_, _, res| res.stream(from_reader(Cursor::new("hello and more")).with_length(5)));
    app.get("/stream/trailers", |_, _, res| res.stream(Trailing));
    app.get("/stream/close", |_, _, res| res.header("Connection", "close").stream(Pieces::of(&["bye"], None)));
    app.get("/stream/typed", |_, _, res| res.header("Content-Type", "text/x").stream(Pieces::of(&["x"], None)));
    app.get("/stream/204", |_, _, res| res.status(204).stream(Untouchable));
    app.get("/stream/205", |_, _, res| res.status(205).stream(Untouchable));
    app.get("/stream/205/claimed", |_, _, res| res.status(205).header("Content-Length", "5").stream(Untouchable));
    app.get("/stream/304", |_, _, res| res.status(304).stream(Untouchable));
    app.head("/stream/head", |_, _, res| res.stream(Untouchable));
    // The first piece has a length of five digits and is borrowed, the second is spliced in, the third is small.
    app.get("/stream/large", |_, _, res| {
        let mut step = 0;
        res.stream(from_fn(move |out| {
            step += 1;
            match step {
                1 => out.push(&[b'a'; 70_000]),
                2 => out.push(vec![b'b'; 20_000]),
                3 => {
                    out.push("c");
                    out.push(vec![b'd'; 16_384]);
                    out.push("e");
                }
                _ => return Ok(Progress::Done),
            }
            Ok(Progress::More)
        }))
    });
    app.get("/stream/endless", |_, _, res| res.stream(from_iter(std::iter::repeat_with(|| vec![b'x'; 1000]))));
    app.post("/stream/echo", |_, req, res| res.stream(from_iter([req.body().to_vec()])));
    app.get("/channel", |app: &mut App, _, res| {
        let (sent, sender) = res.channel()?;
        app.live.senders.push(sender);
        Ok(sent)
    });
    app.get("/hints", |_, _, res| {
        res.early_hints([("Link", "</a.css>; rel=preload")]).early_hints([("Link", "</b.css>")]).text("hinted")
    });
    app.get("/hints/fail", |_, _, res| {
        drop(res.early_hints([("Link", "</a.css>")]).header("X-Lost", "by the roll-back"));
        Err(Error::new(409, "Taken"))
    });
    app.get("/hints/inject", |_, _, res| res.early_hints([("Link", "a\r\nX-Injected: yes")]).text("x"));
    app.get("/hints/length", |_, _, res| res.early_hints([("Content-Length", "5")]).text("x"));
}

/// A source from a function.
pub(in crate::h1::tests) fn from_fn(
    call: impl FnMut(&mut Chunk<'_>) -> io::Result<Progress> + 'static,
) -> impl BodySource {
    struct FromFn<F>(F);
    impl<F: FnMut(&mut Chunk<'_>) -> io::Result<Progress>> BodySource for FromFn<F> {
        fn fill(&mut self, out: &mut Chunk<'_>) -> io::Result<Progress> {
            (self.0)(out)
        }
    }
    FromFn(call)
}

/// Streams that fail after their head was sent.
pub(super) fn faults(app: &mut Router<App>) {
    app.get("/fault/error", |_, _, res| {
        res.stream(try_from_iter([Ok("half".to_owned()), Err(io::Error::other("as asked")), Ok("more".to_owned())]))
    });
    app.get("/fault/less", |_, _, res| res.stream(Pieces::of(&["half"], Some(8))));
    app.get("/fault/more", |_, _, res| res.stream(Pieces::of(&["half", "and more"], Some(8))));
    app.get("/fault/claimed", |_, _, res| res.header("Content-Length", "8").stream(Pieces::of(&["half"], None)));
    app.get("/fault/trailer", |_, _, res| {
        res.stream(from_fn(|out| {
            out.push("half");
            out.trailer("Content-Length", "4");
            Ok(Progress::Done)
        }))
    });
    app.get("/fault/dropped", |_, _, res| {
        let (sent, sender) = res.channel()?;
        sender.send("half")?;
        Ok(sent)
    });
    if cfg!(not(fuzzing)) {
        app.get("/fault/panic", |_, _, res| res.stream(Panics(false)));
    }
}
