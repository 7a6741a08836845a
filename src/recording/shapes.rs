//! What each line of a recording must have, so that a file that is none is found out before anything is replayed.

use serde_json::Value;

use super::line::Stored;

/// The kind of a member.
#[derive(Clone, Copy)]
enum Kind {
    Number,
    Text,
    /// Text whose characters are bytes.
    Bytes,
    Flag,
    Object,
}

use Kind::{Bytes, Flag, Number, Object, Text};

type Members = &'static [(&'static str, Kind)];

/// The members that each line must have, by its event. It may have more.
const SHAPES: [(&str, Members); 29] = [
    (
        "recording",
        &[
            ("format", Number),
            ("monoloop", Text),
            ("masked", Flag),
            ("all", Flag),
            ("about", Object),
            ("config", Object),
            ("at", Number),
            ("date", Number),
        ],
    ),
    (
        "open",
        &[
            ("conn", Number),
            ("slot", Number),
            ("peer", Text),
            ("local", Text),
            ("short_is_exhausted", Flag),
            ("idle_timeout", Number),
            ("at", Number),
        ],
    ),
    (
        "turn",
        &[
            ("conn", Number),
            ("why", Text),
            ("ready", Text),
            ("at", Number),
            ("began", Number),
            ("file_bytes", Number),
            ("draining", Text),
            ("signal", Flag),
            ("letters_wait", Flag),
            ("phase", Text),
        ],
    ),
    ("turned", &[("after", Text), ("phase", Text), ("unread", Number), ("owed", Number), ("timeout", Text)]),
    ("end", &[("conn", Number), ("at", Number), ("reason", Text)]),
    ("cut", &[("conn", Number), ("queued", Flag)]),
    ("second", &[("date", Number)]),
    ("timers", &[("at", Number)]),
    ("posted", &[("at", Number)]),
    ("draining", &[("stage", Text)]),
    ("forgive", &[("late", Number), ("at", Number)]),
    ("full", &[]),
    ("done", &[]),
    // Calls. Those that can fail have what came of them, or `error`.
    ("read", &[("room", Number)]),
    ("write", &[("call", Text), ("offered", Number)]),
    ("file", &[("from", Number), ("most", Number)]),
    ("at_hand", &[("from", Number), ("most", Number), ("yes", Flag)]),
    ("half_close", &[]),
    ("reset", &[]),
    ("clock", &[("at", Number)]),
    // What an observer is told.
    ("request", &[("method", Text), ("target", Text), ("version", Text), ("content", Number)]),
    ("reply", &[("status", Number)]),
    ("reply_cut", &[("status", Number)]),
    ("upgraded", &[]),
    ("message", &[("received", Flag), ("text", Flag), ("bytes", Number)]),
    ("goodbye", &[("code", Number), ("by_client", Flag)]),
    ("failed", &[("status", Number)]),
    ("timeout", &[("timeout", Text)]),
    ("held", &[("on", Flag)]),
];

/// What a call that can fail must have, unless it has `error`.
const RESULTS: [(&str, Members); 3] = [
    ("read", &[("bytes", Bytes)]),
    ("write", &[("taken", Number), ("bytes", Bytes)]),
    ("file", &[("taken", Number), ("bytes", Bytes)]),
];

/// Checks that a line has what it must have.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check_shape(line: &Stored) -> Result<(), String> {
    let Some(members) = members(&SHAPES, &line.event) else {
        return Err(format!("the event `{}` is unknown", line.event));
    };
    check(line, members)?;
    match line.fields.get("error") {
        Some(Value::String(_)) => Ok(()),
        _ => check(line, self::members(&RESULTS, &line.event).unwrap_or_default()),
    }
}

fn members(table: &[(&str, Members)], event: &str) -> Option<Members> {
    table.iter().find(|(known, _)| *known == event).map(|(_, members)| *members)
}

fn check(line: &Stored, members: Members) -> Result<(), String> {
    for &(name, kind) in members {
        match kind {
            Number => drop(line.number(name)?),
            Text => drop(line.text(name)?),
            Bytes => drop(line.bytes(name)?),
            Flag => drop(line.flag(name)?),
            Object if line.fields.get(name).is_some_and(Value::is_object) => {}
            Object => return Err(format!("`{name}` of `{}` must be an object", line.event)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_a_member_is_explained() {
        let problem = |text| check_shape(&Stored::parse(1, text).unwrap());
        assert_eq!(problem(r#"{"event":"clock","at":1}"#), Ok(()));
        assert_eq!(problem(r#"{"event":"clock"}"#).unwrap_err(), "`at` of `clock` must be a whole number");
        assert_eq!(problem(r#"{"event":"x"}"#).unwrap_err(), "the event `x` is unknown");
        assert_eq!(problem(r#"{"event":"read","room":1,"error":"WouldBlock"}"#), Ok(()));
        assert_eq!(problem(r#"{"event":"read","room":1}"#).unwrap_err(), "`bytes` of `read` must be a text");
        let wide = problem("{\"event\":\"read\",\"room\":1,\"bytes\":\"\u{20ac}\"}");
        assert_eq!(wide.unwrap_err(), "`bytes` of `read` must be characters up to U+00FF");
        assert!(problem(r#"{"event":"recording","format":1}"#).is_err());
    }
}
