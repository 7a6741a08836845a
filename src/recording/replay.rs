//! A recording that was read, and its replay.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::ops::ControlFlow;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;

use super::line::{Problem, Stored};
use super::player::{Mismatch, Played};
use super::recorder::FORMAT;
use super::replayed::{Replayed, ReplayedClock};
use super::scribe::{CAUSES, STAGES, Shared, named, readiness};
use super::shapes::check_shape;
use super::step::Step;
use super::tape::Masks;
use crate::config::Config;
use crate::exchange::{
    ConnectionId, Controlled, Endpoint, Letter, LoopControl, Mailbox, Observer, Service, Ticket, dispose, guard,
};
use crate::http::Moment;
use crate::limits::FILE_TURN;
use crate::sessions::{Cause, Happened, Repeated, Sessions, TurnBegins};

/// A recording that was read. [`replay`](Self::replay) does once more what it says.
///
/// ```
/// use monoloop::recording::{Recorder, Recording};
/// use monoloop::{Router, Server};
/// use std::io::{Read, Write};
/// use std::net::TcpStream;
/// use std::ops::ControlFlow;
///
/// fn app() -> Router<u32> {
///     let mut app = Router::new(0);
///     app.get("/", |count, _, res| {
///         *count += 1;
///         res.text(format!("request {count}"))
///     });
///     app
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let path = std::env::temp_dir().join(format!("monoloop-doc-replay-{}.jsonl", std::process::id()));
/// let mut running = Server::bind("127.0.0.1:0")?.record(Recorder::create(&path)?).start(app())?;
/// let mut client = TcpStream::connect(running.local_addr().unwrap().to_string())?;
/// client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")?;
/// let client = std::thread::spawn(move || client.read_to_end(&mut Vec::new()));
/// while !client.is_finished() {
///     running.turn(Some(std::time::Duration::from_millis(1)))?;
/// }
/// drop(running);
///
/// let recording = Recording::open(&path)?;
/// let outcome = recording.replay(&mut app(), &mut |step| {
///     println!("{step}");
///     ControlFlow::Continue(())
/// })?;
/// assert!(outcome.steps > 2);
/// # std::fs::remove_file(path)?;
/// # Ok(())
/// # }
/// ```
pub struct Recording {
    first: Stored,
    config: Config,
    lines: Rc<[Stored]>,
    ending: Ending,
}

/// How a recording ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// The server has ended, and everything was recorded.
    Whole,
    /// The recording had reached its largest size.
    Full,
    /// The file took the recording too slowly, so it was cut.
    Slow,
    /// The last line is missing or incomplete: the server still runs, or did not end as it should, or the file could
    /// not be written.
    Broken,
}

/// What has become of a replay in which everything happened as it was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// How many steps were done.
    pub steps: usize,
    /// Whether these were all steps, so that the caller did not stop it.
    pub all: bool,
}

/// Why a file is no recording that can be replayed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Unusable {
    /// It cannot be read.
    Io(io::Error),
    /// A line is not as it should be.
    Line {
        /// The number of the line, from 1.
        number: usize,
        /// The byte of the line at which it is wrong, from 1, if that is known.
        column: Option<usize>,
        /// What is wrong with it.
        problem: String,
    },
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Line { number, column: None, problem } => write!(f, "line {number}: {problem}"),
            Self::Line { number, column: Some(column), problem } => {
                write!(f, "line {number}, column {column}: {problem}")
            }
        }
    }
}

impl std::error::Error for Unusable {}

impl From<io::Error> for Unusable {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// The longest line, in bytes. A read of the largest socket buffer fits, whatever its bytes are.
const MAX_LINE: u64 = 256 << 20;

impl Recording {
    /// Reads a recording from a file. It may be a named pipe (fifo(7)), whose writer has five seconds to open it.
    ///
    /// # Errors
    /// When the file cannot be read, is no recording, or has another format.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Unusable> {
        Self::read(super::place::open(path.as_ref())?)
    }

    /// Reads a recording to its end. All of it is kept in memory.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn read(reader: impl Read) -> Result<Self, Unusable> {
        let mut lines = Vec::new();
        let mut reader = BufReader::new(reader);
        let mut ending = Ending::Broken;
        loop {
            let (mut text, number) = (Vec::new(), lines.len() + 1);
            reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut text)?;
            if text.is_empty() {
                break;
            }
            if text.len() as u64 == MAX_LINE {
                return Err(Unusable::Line { number, column: None, problem: "it is too long".to_owned() });
            }
            let problem = match parse(number, &text) {
                Ok(line) => {
                    ending = match &*line.event {
                        "done" => Ending::Whole,
                        "full" if line.text("why").is_ok_and(|why| why == "slow") => Ending::Slow,
                        "full" => Ending::Full,
                        _ => Ending::Broken,
                    };
                    lines.push(line);
                    continue;
                }
                Err(problem) => problem,
            };
            // The last line may have been cut off when the process ended.
            if text.ends_with(b"\n") || lines.is_empty() {
                let Problem { column, what } = problem;
                return Err(Unusable::Line { number, column, problem: what });
            }
            break;
        }
        Self::of(lines, ending)
    }

    fn of(mut lines: Vec<Stored>, ending: Ending) -> Result<Self, Unusable> {
        let unusable = |problem| Unusable::Line { number: 1, column: None, problem };
        if lines.first().is_none_or(|first| first.event != "recording") {
            return Err(unusable("this is no recording: it does not begin with the line `recording`".to_owned()));
        }
        let first = lines.remove(0);
        match first.number("format") {
            Ok(FORMAT) => {}
            Ok(other) => {
                return Err(unusable(format!("the format is {other}, and this version reads only {FORMAT}")));
            }
            Err(problem) => return Err(unusable(problem)),
        }
        check_shape(&first).map_err(unusable)?;
        let config = match first.fields.get("config") {
            Some(Value::Object(config)) => super::settings::from_json(config),
            _ => Err("config"),
        };
        let config = config.map_err(|name| unusable(format!("the setting `{name}` is missing or no such value")))?;
        if ending != Ending::Broken {
            lines.pop();
        }
        Ok(Self { first, config, lines: lines.into(), ending })
    }

    /// What [`Recorder::about`](super::Recorder::about) has written.
    pub fn about(&self, name: &str) -> Option<&str> {
        self.first.fields.get("about")?.get(name)?.as_str()
    }

    /// The version of the server that has made it.
    pub fn version(&self) -> &str {
        self.first.text("monoloop").unwrap_or("?")
    }

    /// The settings of the server that has made it.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Whether the values of secrets were replaced by `*`.
    pub fn is_masked(&self) -> bool {
        self.first.flag("masked").unwrap_or(true)
    }

    /// Whether all connections were recorded, not only those of some peers.
    pub fn has_all_connections(&self) -> bool {
        self.first.flag("all").unwrap_or(true)
    }

    /// How it ends.
    pub const fn ending(&self) -> Ending {
        self.ending
    }

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

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording").field("lines", &self.lines.len()).field("ending", &self.ending).finish()
    }
}

fn parse(number: usize, text: &[u8]) -> Result<Stored, Problem> {
    let text = std::str::from_utf8(text)
        .map_err(|error| Problem { column: Some(error.valid_up_to() + 1), what: "it is not UTF-8".to_owned() })?;
    let line = Stored::parse(number, text)?;
    // The first line says whether this format is known at all.
    if number > 1 {
        check_shape(&line).map_err(Problem::of_line)?;
    }
    Ok(line)
}

// ---- the replay -----------------------------------------------------------------------------------------------------

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
