//! A frame: what a page shows of one moment between two ticks, as JSON. Its size is bounded, whatever the loop holds.

use std::cell::RefCell;
use std::fmt::Display;
use std::time::Duration;

use monoloop::server::{ConnectionView, Inspection, PartTime, Queue};
use serde::Serialize;

use super::notes::{Counts, Notes, Sentence, name};

/// Most connections in a frame: those in the lowest slots.
const MAX_SLOTS: usize = 1024;

/// What the page says about the speed of the loop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Speed {
    pub(super) paused: bool,
    /// Milliseconds between two ticks; 0 is full speed.
    pub(super) delay: u64,
    /// This frame shows one tick, and not some time.
    pub(super) single: bool,
}

#[derive(Serialize)]
struct Frame<'a> {
    kind: &'static str,
    /// How many ticks there were.
    tick: u64,
    /// The time of the loop, in milliseconds.
    now: u64,
    stage: String,
    /// Milliseconds until a drain cuts the connections that are left.
    #[serde(skip_serializing_if = "Option::is_none")]
    cut: Option<u64>,
    speed: Speed,
    slots: Slots<'a>,
    /// The times of each part, in the order of a tick.
    parts: Vec<Part>,
    queues: Queues,
    /// The slots of the timer wheel that are not empty: milliseconds from now, and how many connections.
    wheel: Vec<(u64, usize)>,
    pools: Vec<Pool>,
    /// Bytes in use, and the limit.
    memory: (usize, Option<usize>),
    counts: &'a Counts,
    sentences: Vec<Sentence>,
    /// How many events have no sentence.
    left_out: u64,
}

#[derive(Serialize)]
struct Slots<'a> {
    /// The length of the table.
    table: usize,
    /// How many connections there are, with those that are not shown.
    open: usize,
    shown: Vec<Slot<'a>>,
}

/// One connection. What is zero is left out.
#[derive(Serialize)]
struct Slot<'a> {
    slot: usize,
    id: u64,
    peer: String,
    phase: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "is_zero")]
    received: usize,
    #[serde(skip_serializing_if = "is_zero")]
    owed: usize,
    #[serde(skip_serializing_if = "is_false")]
    held: bool,
    #[serde(skip_serializing_if = "is_zero")]
    memory: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<&'a str>,
    /// Milliseconds since the last byte came or went.
    idle: u64,
    /// The timeout that is next, and the milliseconds until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    deadline: Option<(&'static str, u64)>,
}

#[derive(Serialize)]
struct Part {
    name: &'static str,
    /// Microseconds since the parts are timed, and in the last tick.
    total: f64,
    last: f64,
}

#[derive(Serialize)]
struct Queues {
    polite: usize,
    new: usize,
    used_up: usize,
    letters: usize,
    ended: usize,
}

#[derive(Serialize)]
struct Pool {
    name: &'static str,
    lent: usize,
    kept: usize,
    bytes: usize,
}

/// Makes a frame of what the loop looks like now, and of what was noted since the last one.
///
/// # Errors
/// Those of the serializer, none of which can happen here.
pub(super) fn make(loop_now: &Inspection<'_>, notes: &RefCell<Notes>, speed: Speed) -> serde_json::Result<String> {
    let (mut shown, mut open) = (Vec::new(), 0);
    for view in loop_now.connections() {
        open += 1;
        if shown.len() < MAX_SLOTS {
            shown.push(slot(&view));
        }
    }
    let queues = loop_now.queues();
    let notes = &mut *notes.borrow_mut();
    let (sentences, left_out) = notes.take();
    serde_json::to_string(&Frame {
        kind: "frame",
        tick: loop_now.ticks(),
        now: loop_now.now().as_nanos() / 1_000_000,
        stage: lower(loop_now.stage()),
        cut: loop_now.cut_in().map(millis),
        speed,
        slots: Slots { table: loop_now.slots(), open, shown },
        parts: loop_now.parts().iter().map(|(name, times)| part(name, times)).collect(),
        queues: Queues {
            polite: queues.polite,
            new: queues.new,
            used_up: queues.used_up,
            letters: queues.letters,
            ended: queues.ended,
        },
        wheel: loop_now.wheel().map(|(due, count)| (millis(due), count)).collect(),
        pools: loop_now
            .pools()
            .map(|pool| Pool { name: pool.name, lent: pool.lent, kept: pool.kept, bytes: pool.bytes })
            .collect(),
        memory: loop_now.memory(),
        counts: &notes.counts,
        sentences,
        left_out,
    })
}

fn slot<'a>(view: &ConnectionView<'_>) -> Slot<'a> {
    Slot {
        slot: view.slot,
        id: view.id.get(),
        peer: view.peer.to_string(),
        phase: lower(view.phase),
        detail: view.detail().map(|detail| detail.to_string()),
        received: view.received,
        owed: view.owed,
        held: view.held,
        memory: view.memory,
        queue: view.queue.map(queue),
        idle: millis(view.idle_for),
        deadline: view.deadline.map(|(left, timeout)| (name(timeout), millis(left))),
    }
}

/// The name of a phase or of a stage, as the page and its style sheet have it.
fn lower(name: impl Display) -> String {
    name.to_string().to_lowercase()
}

const fn queue(queue: Queue) -> &'static str {
    match queue {
        Queue::Polite => "polite",
        Queue::New => "new",
        _ => "used up",
    }
}

fn part(name: &'static str, times: PartTime) -> Part {
    // Tenths of a microsecond are as much as the clock is worth.
    let micros = |time: Duration| (time.as_nanos() / 100) as f64 / 10.0;
    Part { name, total: micros(times.total), last: micros(times.last) }
}

fn millis(time: Duration) -> u64 {
    time.as_millis() as u64
}

const fn is_zero(number: &usize) -> bool {
    *number == 0
}

const fn is_false(is: &bool) -> bool {
    !*is
}
