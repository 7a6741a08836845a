//! What strace writes, read as a list of what has happened.

use std::collections::HashMap;

/// Something that has happened.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    /// A system call with its arguments and its result. `aside` is set if another thread than the loop's made it.
    Call { name: String, args: String, result: String, aside: bool },
    /// A line of the log, written by the loop.
    State(String),
    /// A signal has interrupted the loop.
    Signal(String),
}

impl Entry {
    pub(crate) fn is_call(&self, wanted: &str) -> bool {
        matches!(self, Self::Call { name, .. } if name == wanted)
    }

    /// Whether this is a poll of one slot of the wheel in which nothing came.
    pub(crate) fn is_nap(&self) -> bool {
        matches!(self, Self::Call { name, args, result, .. }
            if name == "epoll_wait" && args.ends_with(", 250") && result == "0")
    }
}

/// Reads whole lines. A call that another thread interrupts comes in two lines: what the loop does has its place where
/// it ends, and what another thread does where it begins. So a call that wakes the loop is always before the poll that
/// it ends.
pub(crate) fn parse(text: &str) -> Vec<Entry> {
    let mut events: Vec<Option<Entry>> = Vec::new();
    let mut unfinished: HashMap<&str, (String, usize)> = HashMap::new();
    let mut main = None;
    for line in text.lines() {
        let Some((thread, what)) = line.split_once(' ') else { continue };
        let what = what.trim_start();
        let aside = *main.get_or_insert(thread) != thread;
        if let Some(begun) = what.strip_suffix(" <unfinished ...>") {
            unfinished.insert(thread, (begun.to_owned(), events.len()));
            events.push(None);
            continue;
        }
        let (what, place) = match what.strip_prefix("<... ").and_then(|rest| rest.split_once(" resumed>")) {
            Some((_, rest)) => match unfinished.remove(thread) {
                Some((begun, place)) => (begun + rest, aside.then_some(place)),
                None => continue,
            },
            None => (what.to_owned(), None),
        };
        let Some(entry) = entry(&what, aside) else { continue };
        match place {
            Some(place) => events[place] = Some(entry),
            None => events.push(Some(entry)),
        }
    }
    events.into_iter().flatten().collect()
}

fn entry(what: &str, aside: bool) -> Option<Entry> {
    if let Some(signal) = what.strip_prefix("--- ") {
        return Some(Entry::Signal(signal.split(' ').next()?.to_owned()));
    }
    let (name, rest) = what.split_once('(')?;
    let (args, result) = rest.rsplit_once(" = ")?;
    let args = args.trim_end().strip_suffix(')')?;
    // Other machines have only this one, which does the same.
    let name = if name == "epoll_pwait" { "epoll_wait" } else { name };
    let args = args.split(", NULL, 8").next()?;
    if name == "write" {
        if args.starts_with("1, ") {
            return None;
        }
        if let Some(line) = args.strip_prefix("2, \"") {
            return Some(Entry::State(line.rsplit_once("\\n\", ")?.0.replace("\\\"", "\"")));
        }
    }
    Some(Entry::Call { name: name.to_owned(), args: args.to_owned(), result: result.to_owned(), aside })
}
