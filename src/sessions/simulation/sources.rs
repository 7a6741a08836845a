//! Pull sources: they give their content in pieces of any size, are pending now and then, and may fail.

use std::io::{self, Write};
use std::sync::Arc;

use super::affairs::{Shared, Source, Whose, lock};
use super::application::{TRAILER, content, panic_quietly};
use super::errands::What;
use super::random::Random;
use crate::buffer::Content;
use crate::exchange::{BodySource, Chunk, Progress};

/// The content that a source or a sender must produce.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) whose: Whose,
    pub(super) length: usize,
    /// The length is announced.
    pub(super) known: bool,
    /// The content ends before that.
    pub(super) fails: bool,
    pub(super) trailers: bool,
    /// Heartbeats are sent while there is no content.
    pub(super) beats: bool,
}

impl Plan {
    pub(super) const fn new(whose: Whose, length: usize) -> Self {
        Self { whose, length, known: false, fails: false, trailers: false, beats: false }
    }
}

/// A pull source.
pub(super) struct Pull {
    shared: Shared,
    record: usize,
    plan: Plan,
    at: usize,
    /// Where it fails.
    until: usize,
    random: Random,
    /// In how many of a hundred calls it is pending.
    pending: usize,
    /// The largest piece.
    most: usize,
    /// It gives exactly as many bytes as are wanted.
    exact: bool,
}

impl Pull {
    pub(super) fn new(shared: &Shared, plan: Plan) -> Self {
        let mut affairs = lock(shared);
        let mut random = Random::new(affairs.random.next());
        let (whose, record) = (plan.whose, affairs.sources.len());
        affairs.sources.push(Source { whose, said: None, woken: false, dropped: false, asked: 0, given: 0 });
        // A source that has given all announced bytes has not failed, as far as the client can see.
        let until = if plan.fails { random.below(plan.length + usize::from(!plan.known)) } else { plan.length };
        let most = random.pick(&[20, 1_000, 30_000, 90_000, 1 << 20]).max(plan.length / 200);
        let (pending, exact) = (random.pick(&[0, 5, 30, 80]), random.percent(40));
        Self { shared: Arc::clone(shared), record, plan, at: 0, until, random, pending, most, exact }
    }

    fn give(&mut self, out: &mut Chunk<'_>) {
        let (connection, number) = self.plan.whose;
        let left = self.until - self.at;
        let most = if self.random.percent(80) { self.most.min(out.wanted()) } else { self.most };
        if left == 0 || most == 0 {
            return;
        }
        let length = if self.exact { out.wanted() } else { self.random.size(most.min(70_000)) }.min(left);
        let mut bytes = &content(connection, number, self.plan.length)[self.at..self.at + length];
        let given = match self.random.below(5) {
            0 => out.write(bytes).unwrap_or(0),
            1 => {
                out.push(Content::Static(bytes));
                length
            }
            2 => {
                out.push(Content::Owned(bytes.to_vec()));
                length
            }
            3 => out.read_from(&mut bytes).unwrap_or(0),
            _ => {
                out.push(bytes);
                length
            }
        };
        self.at += given;
    }

    fn progress(&mut self, out: &mut Chunk<'_>) -> io::Result<Progress> {
        if self.at == self.until && self.plan.fails {
            if self.random.percent(20) {
                panic_quietly();
            }
            return Err(io::Error::other("as asked"));
        }
        if self.at == self.until && self.random.percent(80) {
            if self.plan.trailers {
                out.trailer(TRAILER, "whole");
            }
            return Ok(Progress::Done);
        }
        Ok(if self.random.percent(self.pending) { Progress::Pending } else { Progress::More })
    }
}

impl BodySource for Pull {
    fn fill(&mut self, out: &mut Chunk<'_>) -> io::Result<Progress> {
        lock(&self.shared).pay();
        let (before, wanted) = (self.at, out.wanted());
        let pieces = if self.random.percent(50) { usize::MAX } else { 1 };
        for _ in 0..pieces {
            self.give(out);
            if out.wanted() == 0 || self.at == self.until || self.random.percent(5) {
                break;
            }
        }
        let said = self.progress(out)?;
        let mut affairs = lock(&self.shared);
        let source = &mut affairs.sources[self.record];
        // A call that wants no bytes does not count.
        source.asked += usize::from(wanted > 0);
        source.given += self.at - before;
        (source.said, source.woken) = (Some(said), false);
        if said == Progress::Pending {
            let record = self.record;
            affairs.put_off(self.plan.whose, What::Wake(out.waker(), Some(record)));
            if self.random.percent(10) {
                affairs.put_off(self.plan.whose, What::Wake(out.waker(), None));
            }
        }
        Ok(said)
    }

    fn length(&self) -> Option<u64> {
        self.plan.known.then_some(self.plan.length as u64)
    }
}

impl Drop for Pull {
    fn drop(&mut self) {
        lock(&self.shared).sources[self.record].dropped = true;
    }
}
