//! A step of a replay, as it is shown.

use std::fmt::{self, Formatter};
use std::time::Duration;

use serde_json::{Map, Value};

use super::line::{Line, bytes_of};
use super::player::printable;
use super::scribe::readiness;
use crate::http::{Count, Moment};

/// A step of a replay: a turn of a connection, its begin or its end, or something that the loop does between these. The
/// latter concerns no connection.
///
/// Its `Display` is several lines for people: what went in, each call with its bytes, what was parsed, what came of it.
/// What the loop does between the steps of connections is one line.
pub struct Step {
    number: usize,
    lines: Vec<Line>,
    began: Moment,
}

impl Step {
    pub(super) const fn new(number: usize, lines: Vec<Line>, began: Moment) -> Self {
        Self { number, lines, began }
    }

    /// The number of the step, from 1.
    pub const fn number(&self) -> usize {
        self.number
    }

    /// The number of the connection, if the step is about one.
    pub fn connection(&self) -> Option<u64> {
        self.value("conn")?.as_u64()
    }

    /// The time since the beginning of the recording, if the step has one.
    pub fn time(&self) -> Option<Duration> {
        let at = self.value("at")?.as_u64()?;
        Some(Moment::from_nanos(at).since(self.began))
    }

    /// The step as a JSON object in one line: its number, and its lines in the format of the recording.
    pub fn to_json(&self) -> String {
        let lines: Vec<Value> = self.lines.iter().map(|line| line.to_object().into()).collect();
        let members = [("step".to_owned(), self.number.into()), ("lines".to_owned(), lines.into())];
        Value::from(Map::from_iter(members)).to_string()
    }

    fn value(&self, name: &str) -> Option<&Value> {
        self.lines.first()?.value(name)
    }

    fn write_title(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "step {}", self.number)?;
        if let Some(time) = self.time() {
            write!(f, "  +{}.{:06} s", time.as_secs(), time.subsec_micros())?;
        }
        match self.connection() {
            Some(connection) => writeln!(f, "  connection {connection}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Step").field("number", &self.number).field("lines", &self.lines.len()).finish()
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.write_title(f)?;
        let at = self.value("at").and_then(Value::as_u64).map(Moment::from_nanos);
        let before = self.value("phase").and_then(Value::as_str);
        // A step of the loop itself goes on in the line of its title.
        let reason = self.value("reason").and_then(Value::as_str);
        for line in &self.lines {
            InWords { line, at, before, reason }.fmt(f)?;
        }
        if self.lines.is_empty() && self.connection().is_none() { writeln!(f) } else { Ok(()) }
    }
}

/// A line in words.
struct InWords<'a> {
    line: &'a Line,
    /// The time of the step.
    at: Option<Moment>,
    /// The phase at the beginning of the turn.
    before: Option<&'a str>,
    /// Why the connection ends, by the name of its `CloseReason`, if it ends in this step.
    reason: Option<&'a str>,
}

impl InWords<'_> {
    fn text(&self, name: &str) -> &str {
        self.line.value(name).and_then(Value::as_str).unwrap_or_default()
    }

    fn number(&self, name: &str) -> u64 {
        self.line.value(name).and_then(Value::as_u64).unwrap_or_default()
    }

    fn flag(&self, name: &str) -> bool {
        self.line.value(name).and_then(Value::as_bool).unwrap_or_default()
    }

    fn error(&self) -> Option<&str> {
        self.line.value("error").and_then(Value::as_str)
    }

    fn write_turn(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let ready = readiness(self.text("ready"));
        writeln!(f, "  turn: {}; what the kernel said last: {ready}", why(self.text("why")))?;
        match self.text("draining") {
            "no" => {}
            stage => writeln!(f, "  the server drains: {stage}")?,
        }
        if self.flag("signal") {
            writeln!(f, "  a signal came in this tick: a short read proves nothing")?;
        }
        writeln!(f, "  phase before: {}", self.text("phase"))
    }

    fn write_read(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let room = self.number("room");
        match (self.error(), self.text("bytes")) {
            (Some("WouldBlock"), _) => writeln!(f, "  read into {room} bytes: WouldBlock, reading is exhausted"),
            (Some(error), _) => writeln!(f, "  read into {room} bytes: {error}{}", meaning(error)),
            (None, "") => writeln!(f, "  read into {room} bytes: 0, the client has closed its side"),
            (None, bytes) => {
                writeln!(f, "  read into {room} bytes: {}", bytes.chars().count())?;
                write_bytes(bytes, f)
            }
        }
    }

    fn write_write(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (call, offered) = (self.text("call"), self.number("offered"));
        let (taken, bytes) = (self.number("taken"), self.text("bytes"));
        match self.error() {
            Some("WouldBlock") => {
                writeln!(f, "  {call} of {}: WouldBlock, the kernel takes no more", Count(offered, "byte"))
            }
            Some(error) => writeln!(f, "  {call} of {}: {error}{}", Count(offered, "byte"), meaning(error)),
            None => {
                writeln!(f, "  {call} of {}: the kernel took {taken}", Count(offered, "byte"))?;
                write_bytes(bytes, f)
            }
        }
    }

    fn write_file(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (from, most) = (self.number("from"), self.number("most"));
        match self.error() {
            Some(error) => writeln!(f, "  sendfile of {most} bytes from {from} on: {error}{}", meaning(error)),
            None => {
                writeln!(f, "  sendfile of {most} bytes from {from} on: {} were sent", self.number("taken"))?;
                write_bytes(self.text("bytes"), f)
            }
        }
    }

    fn write_request(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (method, target, version) = (self.text("method"), self.text("target"), self.text("version"));
        let content = match self.number("content") {
            0 => "no content yet, or none at all".to_owned(),
            bytes => format!("{} of content", Count(bytes, "byte")),
        };
        writeln!(f, "  parsed: {method} {target} {version}, {content}")?;
        self.line.notes.iter().try_for_each(|field| writeln!(f, "    {}", field.escape_debug()))
    }

    fn write_turned(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let after = match self.text("after") {
            "exhausted" => "each direction that it wants is exhausted, so the kernel owes an event",
            "runnable" => "it has more to do, so it waits for its next turn",
            _ => "it has ended, and will be reaped",
        };
        let (phase, before) = (self.text("phase"), self.before.unwrap_or_default());
        match phase == before {
            true => writeln!(f, "  phase after: {phase}, as before; {after}")?,
            false => writeln!(f, "  phase after: {phase} (it was {before}); {after}")?,
        }
        if self.number("unread") > 0 {
            let wait = if self.number("unread") == 1 { "waits" } else { "wait" };
            writeln!(f, "  {} {wait} in the receive buffer", Count(self.number("unread"), "byte"))?;
        }
        if self.number("owed") > 0 {
            let are = if self.number("owed") == 1 { "is" } else { "are" };
            writeln!(f, "  {} {are} owed to the client", Count(self.number("owed"), "byte"))?;
        }
        if self.text("after") == "closed" {
            return Ok(());
        }
        match self.line.value("deadline").and_then(Value::as_u64) {
            Some(deadline) => {
                let left = Moment::from_nanos(deadline).since(self.at.unwrap_or_default());
                let timeout = self.text("timeout");
                writeln!(f, "  deadline: in {left:?}, the {timeout}{}", unless(timeout))
            }
            None => writeln!(f, "  deadline: none"),
        }
    }

    fn write_reply(&self, f: &mut Formatter<'_>, what: &str) -> fmt::Result {
        let route = self.line.value("route").and_then(Value::as_str);
        let route = route.map_or(String::new(), |route| format!(" of the route {route}"));
        let (status, sent, content) = (self.number("status"), self.number("sent"), self.number("content"));
        writeln!(f, "  the reply {status}{route} {what}: {}, {content} of them content", Count(sent, "byte"))
    }
}

impl fmt::Display for InWords<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.line.event {
            "open" => {
                let (slot, peer, local) = (self.number("slot"), self.text("peer"), self.text("local"));
                let idle = Duration::from_nanos(self.number("idle_timeout"));
                writeln!(f, "  accepted from {peer} at {local}, slot {slot}; idle timeout {idle:?}")
            }
            "turn" => self.write_turn(f),
            "read" => self.write_read(f),
            "write" => self.write_write(f),
            "file" => self.write_file(f),
            "at_hand" => {
                let most = self.number("most");
                let answer = if self.flag("yes") { "yes" } else { "no, so less is sent at once" };
                writeln!(f, "  are the next {most} bytes of the file in memory? {answer}")
            }
            "half_close" => match self.error() {
                None => writeln!(f, "  half-close: our side is closed, and the client can still read"),
                Some(error) => writeln!(f, "  half-close: {error}{}", meaning(error)),
            },
            "reset" if self.reason == Some("SocketError") => {
                writeln!(f, "  nothing more can reach the client, so the socket is closed at once")
            }
            "reset" => writeln!(f, "  the end will be a reset, so that a part is not taken for the whole"),
            "request" => self.write_request(f),
            "reply" => self.write_reply(f, "has left"),
            "reply_cut" => self.write_reply(f, "is cut off"),
            "upgraded" => writeln!(f, "  another protocol has taken over"),
            "message" => {
                let way = if self.flag("received") { "came" } else { "was queued" };
                let kind = if self.flag("text") { "text" } else { "bytes" };
                writeln!(f, "  a message {way}: {kind}, {}", Count(self.number("bytes"), "byte"))
            }
            "goodbye" => {
                let by = if self.flag("by_client") { "client" } else { "server" };
                writeln!(f, "  both sides have closed the protocol: code {}, begun by the {by}", self.number("code"))
            }
            "failed" => writeln!(f, "  the request is answered with an error: {}", self.number("status")),
            "timeout" => writeln!(f, "  the {} has passed", self.text("timeout")),
            "held" if self.flag("on") => writeln!(f, "  backpressure: more is owed than the high-water mark"),
            "held" => writeln!(f, "  less is owed than the low-water mark: the connection listens again"),
            "turned" => self.write_turned(f),
            "end" => writeln!(f, "  reaped: {}", self.line.notes.first().map_or("", |reason| reason)),
            "cut" => writeln!(f, "  cut: the time of the drain is over"),
            "second" => writeln!(f, "  a new second: the Date field changes, and pools are trimmed"),
            "timers" => writeln!(f, "  the application runs its next timer, if it is due"),
            "posted" => writeln!(f, "  the application runs a posted task, if there is one"),
            "draining" => writeln!(f, "  drain: {}", stage(self.text("stage"))),
            "forgive" => {
                let late = Duration::from_nanos(self.number("late"));
                writeln!(f, "  the loop was {late:?} late, so deadlines move by as much")
            }
            other => writeln!(f, "  {other}"),
        }
    }
}

// ---- words ----------------------------------------------------------------------------------------------------------

fn why(cause: &str) -> &str {
    match cause {
        "runnable" => "it was runnable",
        "answer" => "a letter brings the reply that was awaited",
        "unanswered" => "a letter says that no reply will come",
        "interim" => "a letter brings an interim reply",
        "wake" => "a letter says that there is something to send",
        "resume" => "a letter says that the pause of its content is over",
        "deadline" => "its deadline has passed",
        _ => "memory is short",
    }
}

/// What an error of a call means, where its name does not say which side has caused it.
fn meaning(error: &str) -> &str {
    match error {
        "ConnectionReset" => ", the client has reset it",
        "BrokenPipe" => ", the client is gone",
        "Interrupted" => ", a signal came, and the call is made again",
        _ => "",
    }
}

/// What keeps a timeout from passing.
fn unless(timeout: &str) -> &str {
    match timeout {
        "idle timeout" => ", unless a byte comes or goes",
        "head timeout" => ", unless the request head ends",
        "content timeout" => ", unless the content keeps its minimum rate",
        "send timeout" => ", unless the client takes what it is owed at the minimum rate",
        "reply timeout" => ", unless the application gives the reply, or ends its pause",
        "linger timeout" => ", unless the client closes its side",
        _ => "",
    }
}

fn stage(name: &str) -> &str {
    match name {
        "asked" => "the server was asked to stop, and serves as before",
        "grace" => "each reply is the last of its connection; one that is idle may ask once more",
        "closing" => "connections between two requests are closed",
        _ => "none",
    }
}

/// Bytes in a line of a dump, and lines of a dump.
const WIDTH: usize = 16;
const MAX_LINES: usize = 24;

/// Writes bytes in hex, and as text beside it.
fn write_bytes(text: &str, f: &mut Formatter<'_>) -> fmt::Result {
    let bytes = bytes_of(text).unwrap_or_default();
    for row in bytes.chunks(WIDTH).take(MAX_LINES) {
        let hex: String = row.iter().map(|byte| format!("{byte:02x} ")).collect();
        writeln!(f, "    {hex:width$} {}", printable(row), width = WIDTH * 3)?;
    }
    match bytes.len().saturating_sub(WIDTH * MAX_LINES) {
        0 => Ok(()),
        more => writeln!(f, "    and {} more", Count(more, "byte")),
    }
}
