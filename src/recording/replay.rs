//! The replay of a recording: what drives the sessions in the place of a loop.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, UNIX_EPOCH};

use super::line::Stored;
use super::player::{Mismatch, Played};
use super::reading::{Ending, Recording};
use super::replayed::{Replayed, ReplayedClock};
use super::scribe::{CAUSES, STAGES, Shared, named, readiness};
use super::step::Step;
use super::tape::Masks;
use crate::exchange::{
    ConnectionId, Controlled, Endpoint, Letter, LoopControl, Mailbox, Observer, Service, Ticket, dispose, guard,
};
use crate::http::Moment;
use crate::limits::FILE_TURN;
use crate::sessions::{Cause, Happened, Repeated, Sessions, TurnBegins};

/// What has become of a replay in which everything happened as it was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// How many steps were done.
    pub steps: usize,
    /// Whether these were all steps, so that the caller did not stop it.
    pub all: bool,
}

impl Recording {
    /// Does once more what was recorded, with an application that is as it was at the start of the recording, and
    /// compares each step. `show` gets each step, also one that differs, and says whether to go on.
    ///
    /// The settings are those of the recording. Nothing waits: a recording of an hour takes as long as its work.
    ///
    /// # Errors
    /// When something does not happen as it was recorded.
    pub fn replay(
        &self,
        app: &mut dyn Service,
        show: &mut dyn FnMut(&Step) -> ControlFlow<()>,
    ) -> Result<Outcome, Mismatch> {
        let mut replay = Replay::new(self, app);
        let mut steps = 0;
        while let Some(first) = replay.played.begin_step() {
            replay.step(&first);
            replay.played.check_begun(&first);
            let (number, lines) = replay.played.end_step();
            if let Some(mismatch) = replay.played.mismatch() {
                let _ = show(&Step::new(number, lines, replay.began));
                return Err(mismatch);
            }
            if replay.played.has_ended() {
                // The recording ends within this step.
                break;
            }
            steps = number;
            if show(&Step::new(number, lines, replay.began)).is_break() {
                return Ok(Outcome { steps, all: false });
            }
        }
        Ok(Outcome { steps, all: true })
    }
}

/// How long a replay waits for a letter that another thread of the application is to post.
const PATIENCE: Duration = Duration::from_secs(5);

/// A replay that goes on.
struct Replay<'a> {
    played: Played,
    sessions: Sessions<Replayed>,
    app: &'a mut dyn Service,
    /// The keys of the connections by their numbers.
    keys: HashMap<u64, usize>,
    /// Letters that the application has posted and the recording has not asked for.
    letters: Vec<(Ticket, Letter)>,
    /// Gets something when another thread has posted a letter.
    rung: Receiver<()>,
    control: Arc<Control>,
    masks: bool,
    began: Moment,
}

impl<'a> Replay<'a> {
    fn new(recording: &Recording, app: &'a mut dyn Service) -> Self {
        let played = Played::new(Rc::clone(&recording.lines), recording.ending == Ending::Whole);
        let began = Moment::from_nanos(recording.first.number("at").unwrap_or_default());
        played.set_clock(began);
        let date = recording.first.number("date").unwrap_or_default();
        let clock = ReplayedClock { played: played.clone(), date };
        let (bell, rung) = channel();
        let mailbox = Mailbox::new(move || _ = bell.send(()));
        let control = Arc::new(Control { mailbox: Arc::clone(&mailbox), draining: AtomicBool::new(false) });
        let scribe = Shared::new(played.clone(), recording.is_masked(), true);
        let observers: Vec<Box<dyn Observer>> = vec![Box::new(scribe.clone())];
        let mut sessions = Sessions::new(recording.config.clone(), observers, Box::new(clock), mailbox);
        sessions.set_witness(Box::new(scribe));
        app.begin(&LoopControl::new(Arc::clone(&control) as Arc<dyn Controlled>));
        let (keys, letters, masks) = (HashMap::new(), Vec::new(), recording.is_masked());
        Self { played, sessions, app, keys, letters, rung, control, masks, began }
    }

    /// Does a step, which begins with this line.
    fn step(&mut self, first: &Stored) {
        let at = |name: &str| Moment::from_nanos(first.number(name).unwrap_or_default());
        match &*first.event {
            "open" => self.open(first),
            "turn" => self.turn(first),
            "end" => {
                self.played.set_clock(at("at"));
                let repeated =
                    self.with_key(first, |replay, key| replay.sessions.repeat_end(key, at("at"), replay.app));
                self.report(first, repeated);
                self.keys.remove(&first.number("conn").unwrap_or_default());
            }
            "cut" => {
                let queued = first.flag("queued").unwrap_or_default();
                let repeated = self.with_key(first, |replay, key| replay.sessions.repeat_cut(key, queued));
                self.report(first, repeated);
            }
            "second" => {
                let date = Duration::from_nanos(first.number("date").unwrap_or_default());
                self.sessions.set_date(UNIX_EPOCH + date);
                self.sessions.trim();
            }
            "timers" => {
                self.sessions.note(Happened::Timers(at("at")));
                let _ = guard(|| self.app.run_timers(at("at")));
            }
            "posted" => {
                self.sessions.note(Happened::Posted(at("at")));
                let _ = guard(|| self.app.run_posted(at("at")));
            }
            "draining" => {
                if let Some(stage) = first.text("stage").ok().and_then(|name| named(&STAGES, name)) {
                    self.control.draining.store(stage.was_asked(), Ordering::Release);
                    self.sessions.set_draining(stage);
                }
            }
            "forgive" => {
                self.sessions.set_now(at("at"));
                self.sessions.forgive(Duration::from_nanos(first.number("late").unwrap_or_default()));
            }
            _ => self.played.fail(first, "nothing like that happens here"),
        }
    }

    fn open(&mut self, first: &Stored) {
        let (id, at) = (first.number("conn").unwrap_or_default(), first.number("at").unwrap_or_default());
        let endpoint = |name| first.text(name).ok().and_then(endpoint);
        let (Some(peer), Some(local)) = (endpoint("peer"), endpoint("local")) else {
            return self.played.fail(first, "`peer` and `local` must be addresses, or `unix`");
        };
        self.sessions.set_now(Moment::from_nanos(at));
        let transport = Replayed {
            played: self.played.clone(),
            masks: Masks::new(self.masks),
            local,
            short_means_exhausted: first.flag("short_is_exhausted").unwrap_or_default(),
        };
        let idle_timeout = Duration::from_nanos(first.number("idle_timeout").unwrap_or_default());
        self.keys.insert(id, self.sessions.vacant_key());
        self.sessions.begin(transport, peer, ConnectionId(id), idle_timeout);
    }

    fn turn(&mut self, first: &Stored) {
        let number = |name| first.number(name).unwrap_or_default();
        let text = |name| first.text(name).unwrap_or_default();
        let (Some(cause), Some(draining)) = (named(&CAUSES, text("why")), named(&STAGES, text("draining"))) else {
            return self.played.fail(first, "`why` and `draining` must be known words");
        };
        let turn = TurnBegins {
            id: ConnectionId(number("conn")),
            cause,
            readiness: readiness(text("ready")),
            at: Moment::from_nanos(number("at")),
            began: Moment::from_nanos(number("began")),
            file_bytes: first.size("file_bytes").unwrap_or_default().min(FILE_TURN),
            draining,
            interrupted: first.flag("signal").unwrap_or_default(),
            letters_wait: first.flag("letters_wait").unwrap_or_default(),
            phase: String::new(),
        };
        self.played.set_clock(turn.began);
        let is_letter = !matches!(cause, Cause::Runnable | Cause::Deadline | Cause::Memory);
        let mut repeated = self.give(first, &turn);
        while repeated == Repeated::NoLetter && is_letter && self.wait_for_letters() {
            repeated = self.give(first, &turn);
        }
        self.report(first, repeated);
    }

    fn give(&mut self, first: &Stored, turn: &TurnBegins) -> Repeated {
        self.sessions.take_letters(&mut self.letters);
        self.with_key(first, |replay, key| replay.sessions.repeat_turn(key, turn, &mut replay.letters, replay.app))
    }

    /// Waits until another thread has posted something. Returns false if none has, after a while.
    fn wait_for_letters(&self) -> bool {
        self.sessions.mailbox().announce_sleep() || self.rung.recv_timeout(PATIENCE).is_ok()
    }

    fn with_key(&mut self, first: &Stored, action: impl FnOnce(&mut Self, usize) -> Repeated) -> Repeated {
        match first.number("conn").ok().and_then(|id| self.keys.get(&id).copied()) {
            Some(key) => action(self, key),
            None => Repeated::Ended,
        }
    }

    /// Notes what could not be repeated.
    fn report(&self, first: &Stored, repeated: Repeated) {
        match repeated {
            Repeated::Done => {}
            Repeated::Ended => self.played.fail(first, "there is no such connection, or it has ended"),
            Repeated::NoLetter => self.played.fail(
                first,
                "the application has posted no such letter: perhaps another connection has caused it, which is not in \
                 the recording, or another program",
            ),
        }
    }
}

impl Drop for Replay<'_> {
    fn drop(&mut self) {
        std::mem::take(&mut self.letters).into_iter().for_each(|(_, letter)| dispose(letter));
    }
}

fn endpoint(text: &str) -> Option<Endpoint> {
    match text {
        "unix" => Some(Endpoint::Unix),
        address => address.parse().ok().map(Endpoint::Tcp),
    }
}

/// The loop, as the application of a replay sees it.
struct Control {
    mailbox: Arc<Mailbox>,
    draining: AtomicBool,
}

impl Controlled for Control {
    fn ring(&self) {
        self.mailbox.ring();
    }

    /// The recording says when the server drains.
    fn ask_shutdown(&self) {}

    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }
}
