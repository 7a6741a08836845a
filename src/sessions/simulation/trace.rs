//! The trace of a run: a line for each step. It is off in most runs. A schedule that fails is run again with the trace
//! on, because its seed makes the same things happen.

use std::collections::VecDeque;
use std::io::{self, Write};

/// How many lines of the trace a failure shows.
const LAST: usize = 40;

/// What becomes of the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Telling {
    /// No line is made.
    Nobody,
    /// The last lines are kept for the message of a failure.
    Last,
    /// All lines are printed.
    All,
}

#[derive(Debug)]
pub(super) struct Trace {
    telling: Telling,
    last: VecDeque<String>,
    /// Client actions, kernel calls and ticks so far, whether the trace is on or off.
    pub(super) step: usize,
}

impl Trace {
    pub(super) const fn new(telling: Telling) -> Self {
        Self { telling, last: VecDeque::new(), step: 0 }
    }

    pub(super) fn note(&mut self, line: impl FnOnce() -> String) {
        self.step += 1;
        match self.telling {
            Telling::Nobody => {}
            // Not by `print!`, which a passing test would swallow.
            Telling::All => drop(writeln!(io::stdout(), "{:>6}  {}", self.step, line())),
            Telling::Last => {
                if self.last.len() == LAST {
                    self.last.pop_front();
                }
                self.last.push_back(format!("{:>6}  {}", self.step, line()));
            }
        }
    }

    /// The last lines.
    pub(super) fn story(&self) -> String {
        let lines: Vec<&str> = self.last.iter().map(String::as_str).collect();
        lines.join("\n")
    }
}
