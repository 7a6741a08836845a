//! Bodies that flow: content is taken and given piece by piece, so however much it is, little of it is in memory.

use std::io;
use std::sync::LazyLock;

use monoloop::buffer::Content;
use monoloop::exchange::{BodySender, BodySink, BodySource, Chunk, Duplex, Intake, Progress, Trailers};
use monoloop::sse::{self, Broadcast, Event, Slow};
use monoloop::{Error, Request, Response, Result, Sent};
use serde::Serialize;

use super::Demo;

// ---- /echo ----------------------------------------------------------------------------------------------------------

/// Sends back what comes, as it comes.
pub(super) struct Echo(BodySender);

pub(super) fn echo(_: &mut Demo, req: &Request<'_>, res: Response<'_>) -> Result<(Sent, Echo)> {
    let content_type = req.header("content-type").unwrap_or("application/octet-stream");
    let res = res.header("Content-Type", content_type);
    // What is known of the length of the request is known of the reply, too.
    let res = match (req.header("content-length"), req.header("transfer-encoding")) {
        (Some(length), _) => res.header("Content-Length", length),
        (None, None) => res.header("Content-Length", "0"),
        (None, Some(_)) => res,
    };
    let (sent, sender) = res.channel()?;
    Ok((sent, Echo(sender)))
}

impl<S> Duplex<S> for Echo {
    fn data(&mut self, _: &mut S, piece: &[u8], intake: &mut Intake<'_>) -> Result<()> {
        self.0.send(piece.to_vec())?;
        if self.0.is_full() {
            // The client has to take some of its echo before it may send more.
            let resumer = intake.pause();
            self.0.on_room(move || resumer.resume());
        }
        Ok(())
    }

    fn end(self: Box<Self>, _: &mut S, _: Trailers<'_>) -> Result<()> {
        self.0.finish();
        Ok(())
    }
}

// ---- /upload --------------------------------------------------------------------------------------------------------

/// Counts what comes.
#[derive(Default)]
pub(super) struct Upload {
    bytes: u64,
    crc32: crc32fast::Hasher,
}

#[derive(Serialize)]
struct Uploaded {
    bytes: u64,
    crc32: String,
}

impl<S> BodySink<S> for Upload {
    fn data(&mut self, _: &mut S, piece: &[u8], _: &mut Intake<'_>) -> Result<()> {
        self.bytes += piece.len() as u64;
        self.crc32.update(piece);
        Ok(())
    }

    fn end(self: Box<Self>, _: &mut S, _: Trailers<'_>, res: Response<'_>) -> Result<Sent> {
        res.json(&Uploaded { bytes: self.bytes, crc32: format!("{:08x}", self.crc32.finalize()) })
    }
}

// ---- /big -----------------------------------------------------------------------------------------------------------

/// What `/big` is made of, again and again. Made when it is first asked for, so that the file of the command need not
/// hold it.
static PATTERN: LazyLock<Vec<u8>> = LazyLock::new(pattern);

fn pattern() -> Vec<u8> {
    // Lines of 63 letters and digits.
    const LETTERS: &[u8; 63] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-";
    (0..32 * 1024).map(|at| if at % 64 == 63 { b'\n' } else { LETTERS[(at + at / 64) % 63] }).collect()
}

/// Most mebibytes of `/big`: an exbibyte.
const MAX_MIB: u64 = 1 << 40;

/// So much of it is left.
struct Big {
    left: u64,
}

pub(super) fn big(_: &mut Demo, req: &Request<'_>, res: Response<'_>) -> Result<Sent> {
    let mib = req.query("mib").unwrap_or("50".into());
    let mib: u64 =
        mib.parse().ok().filter(|mib| *mib <= MAX_MIB).ok_or_else(|| Error::bad_request("mib is a number"))?;
    res.stream(Big { left: mib << 20 })
}

impl BodySource for Big {
    fn fill(&mut self, out: &mut Chunk<'_>) -> io::Result<Progress> {
        while self.left > 0 && out.wanted() > 0 {
            let count = PATTERN.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
            // It lives as long as the program, so it is sent from where it lies.
            out.push(Content::Static(&PATTERN[..count]));
            self.left -= count as u64;
        }
        Ok(if self.left > 0 { Progress::More } else { Progress::Done })
    }

    fn length(&self) -> Option<u64> {
        Some(self.left)
    }
}

// ---- /events --------------------------------------------------------------------------------------------------------

/// A tick each second, for everyone who listens.
#[derive(Debug)]
pub(super) struct Ticks {
    count: u64,
    listeners: Broadcast,
}

impl Default for Ticks {
    fn default() -> Self {
        Self { count: 0, listeners: Broadcast::new(Slow::Skip) }
    }
}

#[derive(Serialize)]
struct Tick {
    tick: u64,
}

impl Ticks {
    pub(super) fn tick(&mut self) -> Result<()> {
        self.count += 1;
        let event = Event::json(&Tick { tick: self.count })?.event("tick").id(self.count.to_string());
        self.listeners.send(&event)?;
        Ok(())
    }
}

pub(super) fn events(demo: &mut Demo, _: &Request<'_>, res: Response<'_>) -> Result<Sent> {
    let (sent, sender) = sse::start(res)?;
    demo.ticks.listeners.add(sender);
    Ok(sent)
}
