//! Streamed bodies: content is received and sent piece by piece, so only a little of it is in memory at any time.

use std::io;
use std::sync::LazyLock;

use monoloop::buffer::Content;
use monoloop::exchange::{BodySender, BodySink, BodySource, Chunk, Duplex, Intake, Progress, Trailers};
use monoloop::sse::{self, Broadcast, Event, Slow};
use monoloop::{Error, Request, Response, Result, Sent};
use serde::Serialize;

use super::Demo;

// ---- /echo ----------------------------------------------------------------------------------------------------------

/// Sends the content of the request back, piece by piece as it comes.
pub(super) struct Echo(BodySender);

pub(super) fn echo(_: &mut Demo, req: &Request<'_>, res: Response<'_>) -> Result<(Sent, Echo)> {
    let content_type = req.header("content-type").unwrap_or("application/octet-stream");
    let res = res.header("Content-Type", content_type);
    // The reply has the length of the request. If the request does not say its length, the reply does not either.
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
            // The client has to read some of its echo before it may send more.
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

/// Counts the bytes of the content, and computes their CRC-32.
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

/// The bytes that `/big` repeats. They are made at the first request, so that the executable file does not contain
/// them.
static PATTERN: LazyLock<Vec<u8>> = LazyLock::new(pattern);

fn pattern() -> Vec<u8> {
    // Lines of 63 letters and digits.
    const LETTERS: &[u8; 63] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-";
    (0..32 * 1024).map(|at| if at % 64 == 63 { b'\n' } else { LETTERS[(at + at / 64) % 63] }).collect()
}

/// The largest size of `/big` in mebibytes: one exbibyte.
const MAX_MIB: u64 = 1 << 40;

/// The content of `/big`.
struct Big {
    /// The bytes that are not sent yet.
    left: u64,
}

pub(super) fn big(_: &mut Demo, req: &Request<'_>, res: Response<'_>) -> Result<Sent> {
    let mib = req.query("mib").unwrap_or("50".into());
    let mib: u64 =
        mib.parse().ok().filter(|mib| *mib <= MAX_MIB).ok_or_else(|| Error::bad_request("mib must be a number"))?;
    res.stream(Big { left: mib << 20 })
}

impl BodySource for Big {
    fn fill(&mut self, out: &mut Chunk<'_>) -> io::Result<Progress> {
        while self.left > 0 && out.wanted() > 0 {
            let count = PATTERN.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
            // The pattern lives as long as the program, so it is sent without a copy.
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

/// Sends a tick each second to every client of `/events`.
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
