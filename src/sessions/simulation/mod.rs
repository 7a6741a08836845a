//! The simulation: the core and the pump run against a simulated kernel, simulated clients and a simulated clock. A
//! seed decides everything, so each run can be repeated.
//!
//! ```text
//!     clients ──▶ kernel (far_side) ─┐
//!        ▲                           ├─▶ ready list ──▶ world: tick ──▶ Sessions ──▶ Transport ──▶ kernel; meanwhile
//!        └────── replies ◀───────────┘                     │                                      the clients act,
//!                                                          └──▶ checks after each tick,          and errands are run:
//!                                                               verdict at the end                letters to the loop
//! ```
//!
//! ```text
//!     cargo test --lib simulation                      some seeds, in a few seconds
//!     MONOLOOP_SEED=7 cargo test --lib simulation      one, printed line by line
//!     MONOLOOP_SCHEDULES=100000 cargo test --profile simulation --lib simulation
//!                                                      many, from MONOLOOP_SEED on if that is set too
//! ```
//!
//! Reading order: `world` (how time passes), `kernel` and `far_side` (what epoll promises), `outside` (the transport),
//! `client`, `script`, `deeds`, `profile` (the clients), `application`, `files`, `live`, `protocols`, `sources`,
//! `affairs` and `errands` (the replies, at once or later), `checks`, `sharing` and `verdict` (what must hold).

mod affairs;
mod application;
mod checks;
mod client;
mod deeds;
mod errands;
mod far_side;
#[cfg(feature = "files")]
mod files;
mod kernel;
mod live;
mod notes;
mod outside;
mod profile;
mod protocols;
mod random;
mod replies;
mod script;
mod sharing;
mod sources;
mod trace;
mod verdict;
mod world;

use std::any::Any;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::exchange::CloseReason;
use trace::Telling;
use world::World;

/// The number of seeds in a plain run, which takes a few seconds in a debug build.
const SCHEDULES: u64 = 1_000;

#[test]
fn simulation() {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    match (number("MONOLOOP_SEED"), number("MONOLOOP_SCHEDULES")) {
        (Some(seed), None) => World::new(seed, Telling::All).run(),
        (first, schedules) => {
            let (first, schedules) = (first.unwrap_or(1), schedules.unwrap_or(SCHEDULES));
            let endings: HashSet<CloseReason> = (first..first + schedules).flat_map(simulate).collect();
            let shrunk = cfg!(feature = "files").then_some(&CloseReason::FileShrank);
            let unseen: Vec<_> = ENDINGS.iter().chain(shrunk).filter(|ending| !endings.contains(*ending)).collect();
            assert!(
                schedules < SCHEDULES || unseen.is_empty(),
                "no schedule led to {unseen:?}, so this run proves nothing about them"
            );
        }
    }
}

/// The endings that the schedules of a plain run must reach, taken together.
const ENDINGS: [CloseReason; 19] = [
    CloseReason::ClientClosed,
    CloseReason::ClientClosedEarly,
    CloseReason::NotPersistent,
    CloseReason::HandlerClosed,
    CloseReason::ContentUnread,
    CloseReason::BadRequest,
    CloseReason::Panicked,
    CloseReason::IdleTimeout,
    CloseReason::HeadTimeout,
    CloseReason::ContentTimeout,
    CloseReason::SendTimeout,
    CloseReason::ReplyTimeout,
    CloseReason::OutOfMemory,
    CloseReason::StreamFailed,
    CloseReason::ProtocolEnded,
    CloseReason::ProtocolFailed,
    CloseReason::SocketError,
    CloseReason::Drained,
    CloseReason::Cut,
];

/// Runs a schedule and returns how its connections ended. If it fails, runs it once more to record the last steps.
#[track_caller]
fn simulate(seed: u64) -> Vec<CloseReason> {
    let run = |telling| {
        let mut world = World::new(seed, telling);
        let result = catch_unwind(AssertUnwindSafe(|| world.run()));
        result.map(|()| world.endings()).map_err(|panic| {
            let trace = match world.outside.try_borrow() {
                Ok(outside) => (outside.kernel.trace.step, outside.kernel.trace.story()),
                Err(_) => (0, "a call has failed".to_owned()),
            };
            (message(&*panic), trace)
        })
    };
    run(Telling::Nobody).unwrap_or_else(|(message, (step, _))| {
        let story = run(Telling::Last).err().map(|(_, (_, story))| story).unwrap_or_default();
        panic!("seed {seed} fails at step {step}: {message}\n\n{story}\n\nMONOLOOP_SEED={seed} prints all of it")
    })
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without words").to_owned()
}
