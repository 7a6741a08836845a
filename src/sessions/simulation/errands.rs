//! Errands: what other threads of the simulated application do later, at random times.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::affairs::{Shared, Whose, lock, watch_responder, watch_sender};
use super::application::{TRAILER, content, panic_quietly};
#[cfg(feature = "files")]
use super::files;
use super::random::Random;
use super::sources::{Plan, Pull};
use crate::buffer::Content;
use crate::exchange::{BodySender, Responder, Response, Resumer, SendError, Sent, Waker};
use crate::http::{Error, Moment, Result};

/// Something that another thread will do.
pub(super) struct Errand {
    pub(super) whose: Whose,
    pub(super) at: Moment,
    /// The errand waits until this is set, however long that takes.
    pub(super) after: Option<Arc<AtomicBool>>,
    pub(super) what: What,
}

pub(super) enum What {
    /// Wakes a source, or a protocol.
    Wake(Waker, Option<usize>),
    Resume(Resumer),
    Push(Push),
    Answer(Answer),
    /// Truncates a file.
    #[cfg(feature = "files")]
    Shrink(std::fs::File, usize),
}

/// Content that is pushed.
pub(super) struct Push {
    pub(super) sender: BodySender,
    record: usize,
    pub(super) plan: Plan,
    at: usize,
    /// Where the sender is dropped, if it fails.
    until: usize,
}

/// A reply that is owed.
pub(super) struct Answer {
    pub(super) responder: Responder,
    pub(super) record: usize,
    pub(super) how: How,
    plan: Plan,
    cancelled: Arc<AtomicBool>,
}

/// How a deferred reply is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    Text,
    Error,
    Panic,
    Pull,
    Push,
    #[cfg(feature = "files")]
    File,
    Drop,
    Never,
}

impl Errand {
    pub(super) fn may_go(&self) -> bool {
        self.after.as_ref().is_none_or(|flag| flag.load(Ordering::Relaxed))
    }
}

/// Does one of the errands that can be done now.
pub(super) fn act(shared: &Shared) {
    let mut affairs = lock(shared);
    let Some(errand) = affairs.take_due() else { return };
    let mut random = Random::new(affairs.random.next());
    let Errand { whose, what, .. } = errand;
    affairs.note(|| format!("errand for {whose:?}: {}", what.name()));
    match what {
        What::Wake(waker, source) => {
            if let Some(source) = source {
                affairs.sources[source].woken = true;
            }
            drop(affairs);
            waker.wake();
        }
        What::Resume(resumer) => {
            affairs.has_resumed(whose.0);
            drop(affairs);
            if random.percent(50) { resumer.resume() } else { drop(resumer) }
        }
        What::Push(push) => {
            drop(affairs);
            push.go_on(shared, whose, &mut random);
        }
        What::Answer(answer) => {
            drop(affairs);
            answer.go_on(shared, whose, &mut random);
        }
        #[cfg(feature = "files")]
        What::Shrink(file, length) => files::shrink(&file, length),
    }
}

impl What {
    const fn name(&self) -> &'static str {
        match self {
            Self::Wake(..) => "wake",
            Self::Resume(_) => "resume",
            Self::Push(_) => "push",
            Self::Answer(_) => "answer",
            #[cfg(feature = "files")]
            Self::Shrink(..) => "shrink",
        }
    }
}

/// Pushes content from now on.
pub(super) fn begin_push(shared: &Shared, plan: Plan, sender: BodySender) {
    let record = watch_sender(shared, plan.whose, &sender);
    if plan.beats {
        // The heartbeat may be empty.
        let beat = if plan.length.is_multiple_of(3) { "" } else { "!" };
        sender.set_heartbeat(Duration::from_millis(if plan.length.is_multiple_of(2) { 200 } else { 800 }), beat);
    }
    let mut affairs = lock(shared);
    let until = if plan.fails { affairs.random.below(plan.length + 1) } else { plan.length };
    affairs.put_off(plan.whose, What::Push(Push { sender, record, plan, at: 0, until }));
}

/// Answers later.
pub(super) fn begin_answer(shared: &Shared, plan: Plan, how: How, responder: Responder) {
    let (record, cancelled) = watch_responder(shared, plan.whose, &responder);
    let answer = Answer { responder, record, how, plan, cancelled };
    lock(shared).put_off(plan.whose, What::Answer(answer));
}

impl Push {
    fn go_on(mut self, shared: &Shared, whose: Whose, random: &mut Random) {
        for _ in 0..random.size(8) {
            if self.sender.is_closed() {
                return;
            }
            if self.at == self.until {
                return self.end(random);
            }
            let most = random.pick(&[10, 1_000, 20_000, 100_000]);
            let length = random.size(most).min(self.until - self.at);
            let bytes = &content(whose.0, whose.1, self.plan.length)[self.at..self.at + length];
            let piece = if random.percent(50) { Content::Static(bytes) } else { Content::Owned(bytes.to_vec()) };
            match self.sender.send(piece) {
                Ok(()) => {
                    self.at += length;
                    lock(shared).senders[self.record].pushes += 1;
                }
                Err(SendError::Closed) => return,
                Err(SendError::Full(back)) => {
                    if back.as_bytes() != bytes || !self.sender.is_full() {
                        lock(shared).blame(format!(
                            "{whose:?}: the sender returned a changed piece, or one for which it had room"
                        ));
                    }
                    return self.wait_for_room(shared, whose);
                }
            }
        }
        if self.sender.is_full() && random.percent(50) {
            return self.wait_for_room(shared, whose);
        }
        lock(shared).put_off(whose, What::Push(self));
    }

    fn wait_for_room(self, shared: &Shared, whose: Whose) {
        let flag = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&flag);
        self.sender.on_room(move || told.store(true, Ordering::Relaxed));
        lock(shared).park(whose, flag, What::Push(self));
    }

    fn end(self, random: &mut Random) {
        match () {
            () if self.plan.fails => drop(self.sender),
            () if self.plan.trailers => self.sender.finish_with([(TRAILER, "whole")]),
            () if random.percent(20) => self.sender.finish_with([(TRAILER, "unasked")]),
            () => self.sender.finish(),
        }
    }
}

impl Answer {
    fn go_on(self, shared: &Shared, whose: Whose, random: &mut Random) {
        let Self { responder, record, how, plan, cancelled } = self;
        if responder.is_cancelled() != cancelled.load(Ordering::Relaxed) {
            lock(shared).blame(format!("{whose:?}: is_cancelled and on_cancel do not agree"));
        }
        if random.percent(30) && responder.early_hints([("Link", "</style.css>; rel=preload")]).is_err() {
            lock(shared).blame(format!("{whose:?}: the hints are refused"));
        }
        let answer = Self { responder, record, how, plan, cancelled };
        if how == How::Never && !answer.responder.is_cancelled() {
            let flag = Arc::clone(&answer.cancelled);
            return lock(shared).park(whose, flag, What::Answer(answer));
        }
        if random.percent(20) {
            return lock(shared).put_off(whose, What::Answer(answer));
        }
        answer.give(shared, whose, random);
    }

    /// Gives the answer. The server must call it if and only if a client waits for it.
    fn give(self, shared: &Shared, whose: Whose, random: &mut Random) {
        let Self { responder, record, how, plan, cancelled } = self;
        lock(shared).responders[record].used = true;
        let again = random.percent(15);
        let caller = Arc::clone(shared);
        let called = move || {
            let mut affairs = lock(&caller);
            affairs.responders[record].answered += 1;
            if cancelled.load(Ordering::Relaxed) {
                affairs.blame(format!("{whose:?}: the answer was called although no client waits for it"));
            }
        };
        let shared = Arc::clone(shared);
        match how {
            How::Drop => drop(responder),
            How::Push if random.percent(50) => {
                let sender = responder.channel(move |res| {
                    called();
                    res
                });
                begin_push(&shared, plan, sender);
            }
            _ => responder.respond(move |res| {
                called();
                if again {
                    let (sent, responder) = res.defer();
                    begin_answer(&shared, plan, how, responder);
                    return Ok(sent);
                }
                answer(&shared, plan, how, res)
            }),
        }
    }
}

/// Gives a reply now.
fn answer(shared: &Shared, plan: Plan, how: How, res: Response<'_>) -> Result<Sent> {
    match how {
        How::Text | How::Never | How::Drop => {
            res.send(Content::Static(content(plan.whose.0, plan.whose.1, plan.length)))
        }
        How::Error => Err(Error::new(409, "Failed as asked")),
        How::Panic => panic_quietly(),
        How::Pull => res.stream(Pull::new(shared, plan)),
        #[cfg(feature = "files")]
        How::File => files::leave(plan.length, res),
        How::Push => {
            let (sent, sender) = res.channel()?;
            begin_push(shared, plan, sender);
            Ok(sent)
        }
    }
}
