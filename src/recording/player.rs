//! The lines of a recording, one after the other, and the comparison of what happens with what they say.

use std::cell::RefCell;
use std::fmt::{self, Write};
use std::rc::Rc;

use serde_json::Value;

use super::line::{Line, Stored, bytes_of};
use super::scribe::Lines;
use crate::http::Moment;

/// What a replay plays.
struct Player {
    lines: Rc<[Stored]>,
    whole: bool,
    next: usize,
    /// The last reading of the clock.
    clock: Moment,
    /// What did not happen as it was recorded.
    failed: Option<Mismatch>,
    /// The recording has no more lines.
    ran_out: bool,
    /// What has happened in this step.
    step: Vec<Line>,
    /// The number of the step.
    number: usize,
}

/// The same, for all that ask it.
#[derive(Clone)]
pub(super) struct Played(Rc<RefCell<Player>>);

impl Played {
    /// Plays these lines, which are all that were to come if the recording is `whole`.
    pub(super) fn new(lines: Rc<[Stored]>, whole: bool) -> Self {
        let (step, failed) = (Vec::new(), None);
        Self(Rc::new(RefCell::new(Player {
            lines,
            whole,
            next: 0,
            clock: Moment::ZERO,
            failed,
            ran_out: false,
            step,
            number: 0,
        })))
    }

    /// The line with which the next step begins; `None` at the end.
    pub(super) fn begin_step(&self) -> Option<Stored> {
        let mut player = self.0.borrow_mut();
        player.skip_clock();
        let first = player.lines.get(player.next).cloned();
        player.number += usize::from(first.is_some());
        first
    }

    /// Ends the step: its number, and its lines.
    pub(super) fn end_step(&self) -> (usize, Vec<Line>) {
        let mut player = self.0.borrow_mut();
        (player.number, std::mem::take(&mut player.step))
    }

    /// The next line that was recorded, if it is of this kind. Nothing else may have happened.
    pub(super) fn expect(&self, event: &str, got: impl FnOnce() -> String) -> Option<Stored> {
        self.0.borrow_mut().expect(event, got)
    }

    /// The line that comes next, if it is of this kind. It is not played yet.
    pub(super) fn coming(&self, event: &str) -> Option<Stored> {
        let player = self.0.borrow();
        if player.failed.is_some() || player.ran_out {
            return None;
        }
        let next = player.lines.iter().skip(player.next).find(|stored| stored.event != "clock")?;
        (next.event == event).then(|| next.clone())
    }

    /// Compares a line with the one that was recorded in its place.
    pub(super) fn compare(&self, line: Line, with: &Stored) {
        self.0.borrow_mut().compare(line, with);
    }

    /// Notes that something else happens than what was recorded in this line.
    pub(super) fn fail(&self, stored: &Stored, got: impl Into<String>) {
        self.0.borrow_mut().fail(stored.number, stored.to_string(), got.into(), String::new());
    }

    /// Checks that the step that begins with this line has begun.
    pub(super) fn check_begun(&self, first: &Stored) {
        let is_next = |player: &Player| player.lines.get(player.next).is_some_and(|next| next.number == first.number);
        if is_next(&self.0.borrow()) {
            self.fail(first, "this does not happen");
        }
    }

    /// Shows a line that was not compared.
    pub(super) fn show(&self, line: Line) {
        self.0.borrow_mut().step.push(line);
    }

    /// The next reading of the clock. If the recording has no other one here, it is the last one once more.
    pub(super) fn read_clock(&self) -> Moment {
        let mut player = self.0.borrow_mut();
        if let Some(stored) = player.lines.get(player.next).filter(|stored| stored.event == "clock") {
            player.clock = Moment::from_nanos(stored.number("at").unwrap_or_default());
            player.next += 1;
        }
        player.clock
    }

    pub(super) fn set_clock(&self, at: Moment) {
        self.0.borrow_mut().clock = at;
    }

    pub(super) fn mismatch(&self) -> Option<Mismatch> {
        self.0.borrow().failed.clone()
    }

    pub(super) fn has_ended(&self) -> bool {
        let player = self.0.borrow();
        player.failed.is_some() || player.ran_out
    }
}

impl Lines for Played {
    fn put(&mut self, line: Line) {
        let mut player = self.0.borrow_mut();
        let got = || describe(line.event, &line.fields);
        if let Some(stored) = player.expect(line.event, got) {
            player.compare(line, &stored);
        }
    }
}

impl Player {
    /// A reading of the clock that does not happen any more makes no difference.
    fn skip_clock(&mut self) {
        while self.lines.get(self.next).is_some_and(|stored| stored.event == "clock") {
            self.next += 1;
        }
    }

    fn expect(&mut self, event: &str, got: impl FnOnce() -> String) -> Option<Stored> {
        if self.failed.is_some() || self.ran_out {
            return None;
        }
        self.skip_clock();
        match self.lines.get(self.next).cloned() {
            Some(stored) if stored.event == event => {
                self.next += 1;
                Some(stored)
            }
            Some(stored) => {
                self.fail(stored.number, stored.to_string(), got(), String::new());
                None
            }
            None => {
                self.ran_out = true;
                if self.whole {
                    self.fail(self.lines.len() + 2, "the recording ends here".to_owned(), got(), String::new());
                }
                None
            }
        }
    }

    fn compare(&mut self, line: Line, stored: &Stored) {
        // Where a replay has only some of the connections, they are in other slots.
        let other = |(name, value): &&(&str, Value)| {
            *name != "slot" && stored.fields.get(*name).unwrap_or(&Value::Null) != value
        };
        if let Some((name, value)) = line.fields.iter().find(other) {
            let recorded = stored.fields.get(*name).unwrap_or(&Value::Null);
            let place = match (value, recorded) {
                (Value::String(got), Value::String(recorded)) if *name == "bytes" => difference(recorded, got),
                _ => String::new(),
            };
            let expected = format!("`{name}` of `{}` is {}", stored.event, short(recorded));
            self.fail(stored.number, expected, format!("it is {}", short(value)), place);
        }
        self.step.push(line);
    }

    fn fail(&mut self, line: usize, expected: String, got: String, place: String) {
        let step = self.number;
        self.failed.get_or_insert(Mismatch { line, step, expected, got, place });
    }
}

/// Something has not happened as it was recorded.
#[derive(Clone, Debug)]
pub struct Mismatch {
    line: usize,
    step: usize,
    expected: String,
    got: String,
    place: String,
}

impl Mismatch {
    /// The number of the line of the recording that says something else, from 1.
    pub const fn line(&self) -> usize {
        self.line
    }

    /// The number of the step in which it happened, from 1.
    pub const fn step(&self) -> usize {
        self.step
    }

    /// What was recorded.
    pub fn expected(&self) -> &str {
        &self.expected
    }

    /// What has happened instead.
    pub fn got(&self) -> &str {
        &self.got
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "step {} differs from line {} of the recording:", self.step, self.line)?;
        writeln!(f, "  recorded: {}", self.expected)?;
        write!(f, "  now:      {}{}", self.got, self.place)
    }
}

impl std::error::Error for Mismatch {}

impl fmt::Display for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields: Vec<_> = self.fields.iter().map(|(name, value)| (&**name, value.clone())).collect();
        f.write_str(&describe(&self.event, &fields))
    }
}

fn describe(event: &str, fields: &[(&str, Value)]) -> String {
    let mut text = format!("`{event}`");
    for (name, value) in fields {
        let _ = write!(text, " {name} {}", short(value));
    }
    text
}

/// How much of a value is shown, in characters.
const SHOWN: usize = 60;

fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// Bytes that are shown before and after the first one that differs.
const AROUND: usize = 8;

/// Says where two texts of bytes differ first, with some bytes of both around it.
fn difference(recorded: &str, got: &str) -> String {
    let (Some(recorded), Some(got)) = (bytes_of(recorded), bytes_of(got)) else { return String::new() };
    let same = recorded.iter().zip(&got).take_while(|(a, b)| a == b).count();
    let from = same.saturating_sub(AROUND);
    let part = |bytes: &[u8]| {
        let part = &bytes[from.min(bytes.len())..(same + AROUND).min(bytes.len())];
        let hex: Vec<String> = part.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{}  {}", hex.join(" "), printable(part))
    };
    format!("\n  at byte {same}:\n    recorded {}\n    now      {}", part(&recorded), part(&got))
}

/// Bytes as text, with a dot for what cannot be printed.
pub(super) fn printable(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| if byte.is_ascii_graphic() || byte == b' ' { char::from(byte) } else { '.' }).collect()
}
