//! Runs a row of a table in every way in which its bytes can come.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::bench::{Bench, Fate, small};
use super::fuzzing;
use super::live;
use crate::config::Config;
use crate::wire::head::ONLY_GENERAL;

/// A row: name, bytes in, replies out, what becomes of the connection.
///
/// A reply is a status code, with its content after a space if that matters: `"200 hello"`, `"400"`.
pub(super) type Row<'a> = (&'a str, &'a [u8], &'a [&'a str], After);

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// It stays: a further request is answered.
    Open,
    /// It is closed after the reply, as both sides know. The close is clean unless more bytes came.
    Closes,
    /// It is half-closed after an error, and lingers. Nothing after the broken message is parsed.
    Errs,
    /// It waits for more bytes of the message. Then FIN comes, and the last reply in the list is sent.
    FinErrs,
}

const FIRST: &[u8] = b"GET /users/1 HTTP/1.1\r\nHost: first\r\n\r\n";
const LAST: &[u8] = b"GET /users/2 HTTP/1.1\r\nHost: last\r\n\r\n";
const GARBAGE: &[u8] = b"\x00\xff\r\n\r\nGET / HTTP/9.9\n\n";

/// In longer rows, not every place for a cut is tried.
const SHORT: usize = 500;

static RUNS: AtomicUsize = AtomicUsize::new(0);

#[track_caller]
pub(super) fn run(table: &[Row<'_>]) {
    run_with(small(), table);
}

/// Runs rows that have the beginning of their head in common.
#[track_caller]
pub(super) fn run_all(front: &str, rows: &[(&str, &[u8], &[&str], After)]) {
    let inputs: Vec<Vec<u8>> = rows.iter().map(|row| [front.as_bytes(), row.1].concat()).collect();
    let table: Vec<Row<'_>> = rows.iter().zip(&inputs).map(|(row, input)| (row.0, &input[..], row.2, row.3)).collect();
    run(&table);
}

/// Runs every row. If rows fail, it panics at the end and names all of them.
#[track_caller]
pub(super) fn run_with(config: Config, table: &[Row<'_>]) {
    run_each(table, || Bench::new(config.clone()), fuzzing::sow);
}

/// As [`run`], with the routes whose exchanges outlive their handler.
#[track_caller]
pub(super) fn run_live(table: &[Row<'_>]) {
    run_each(table, || live::bench_with(small()), |_| {});
}

#[track_caller]
fn run_each(table: &[Row<'_>], make: impl Fn() -> Bench, and: impl Fn(&[u8])) {
    let mut failed = Vec::new();
    for row in table {
        let mut bench = make();
        let runs = || {
            run_row(&mut bench, row);
            with_general_reading(|| run_row(&mut bench, row));
            and(row.1);
        };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(runs)) {
            let text = panic.downcast_ref::<String>().cloned();
            let Some(text) = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())) else {
                resume_unwind(panic)
            };
            failed.push(format!("row {:?}:\n    {text}", row.0));
        }
    }
    let runs = RUNS.load(Ordering::Relaxed);
    println!("{} rows, {runs} runs so far", table.len());
    assert!(failed.is_empty(), "{} of {} rows failed\n{}", failed.len(), table.len(), failed.join("\n"));
}

/// Calls `work` while only the general reading is used; it must take all heads that the quick one takes.
fn with_general_reading(work: impl FnOnce()) {
    struct Reset;
    impl Drop for Reset {
        fn drop(&mut self) {
            ONLY_GENERAL.set(false);
        }
    }
    ONLY_GENERAL.set(true);
    let _reset = Reset;
    work();
}

fn run_row(bench: &mut Bench, &(_, input, expected, after): &Row<'_>) {
    let one = |bench: &mut Bench, how: &str, pieces: &[&[u8]], lead: bool, follows: Follows| {
        RUNS.fetch_add(1, Ordering::Relaxed);
        bench.restart();
        bench.broken_head = after != After::Open && input.starts_with(b"HEAD ");
        pieces.iter().for_each(|piece| {
            bench.send(piece);
        });
        if after == After::FinErrs {
            bench.fin();
        }
        let mut wanted: Vec<&str> = Vec::new();
        wanted.extend(lead.then_some("200 user 1"));
        wanted.extend(expected);
        wanted.extend((follows == Follows::Request && after == After::Open).then_some("200 user 2"));
        wanted.extend((follows == Follows::Garbage && after == After::Open).then_some("400"));
        check(bench, how, &wanted, after, follows);
    };

    one(bench, "whole", &[input], false, Follows::Nothing);
    for (follows, tail) in [(Follows::Nothing, &b""[..]), (Follows::Request, LAST), (Follows::Garbage, GARBAGE)] {
        if follows != Follows::Nothing && after == After::FinErrs {
            continue;
        }
        let all = [input, tail].concat();
        let step = if all.len() <= SHORT { 1 } else { 61 };
        let dripped: Vec<&[u8]> = all.chunks(step).collect();
        one(bench, &format!("in steps of {step}, then {follows:?}"), &dripped, false, follows);
        one(
            bench,
            &format!("in steps of 3, then {follows:?}"),
            &all.chunks(3 * step).collect::<Vec<_>>(),
            false,
            follows,
        );
        one(bench, &format!("whole, then {follows:?}"), &[&all], false, follows);
        one(bench, &format!("{follows:?} in a piece of its own"), &[input, tail], false, follows);
        let after_another = [FIRST, &all].concat();
        one(bench, &format!("after another, then {follows:?}"), &[&after_another], true, follows);
        let dripped: Vec<&[u8]> = after_another.chunks(step).collect();
        one(bench, &format!("after another, in steps of {step}, then {follows:?}"), &dripped, true, follows);
    }
    let places: Vec<usize> = match input.len() {
        0..=SHORT => (1..input.len()).collect(),
        long => (1..40).chain((40..long - 40).step_by(long / 40)).chain(long - 40..long).collect(),
    };
    for &at in &places {
        let (front, back) = input.split_at(at);
        one(bench, &format!("cut at {at}"), &[front, back], false, Follows::Nothing);
    }
    for &at in places.iter().step_by(3) {
        let (front, back) = input.split_at(at);
        let (front, back) = ([FIRST, front].concat(), [back, LAST].concat());
        if after != After::FinErrs {
            one(bench, &format!("cut at {at}, between two others"), &[&front, &back], true, Follows::Request);
        }
    }
    bench.restart();
}

/// What follows the bytes of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Follows {
    Nothing,
    Request,
    Garbage,
}

fn check(bench: &mut Bench, how: &str, wanted: &[&str], after: After, follows: Follows) {
    let replies = bench.replies();
    let shown: Vec<String> = replies.iter().map(|reply| format!("{} {}", reply.status, reply.text())).collect();
    let same = |wanted: &&str, shown: &String| match wanted.contains(' ') {
        true => wanted == shown,
        false => shown.starts_with(wanted),
    };
    let all = replies.len() == wanted.len() && wanted.iter().zip(&shown).all(|(wanted, shown)| same(wanted, shown));
    assert!(all, "{how}: wanted {wanted:?}, got {shown:?} and {:?}", bench.fate());

    let garbage = follows == Follows::Garbage;
    let allowed: &[Fate] = match (after, follows) {
        (After::Open, Follows::Garbage) => &[Fate::Lingers],
        (After::Open, _) => &[Fate::Open],
        (After::Closes, Follows::Nothing) => &[Fate::Closed],
        (After::Closes, _) => &[Fate::Closed, Fate::Lingers],
        (After::Errs, _) => &[Fate::Lingers],
        (After::FinErrs, _) => &[Fate::Closed],
    };
    assert!(allowed.contains(&bench.fate()), "{how}: {after:?} means {allowed:?}, but it is {:?}", bench.fate());

    // Each request that was understood has one reply. A broken message has one more.
    let seen = bench.seen().len();
    assert!(replies.len() == seen || replies.len() == seen + 1, "{how}: {seen} requests, {shown:?}");
    let ends = after != After::Open || garbage;
    for (i, reply) in replies.iter().enumerate() {
        let last = i + 1 == replies.len();
        assert_eq!(reply.closes(), last && ends, "{how}: Connection of reply {i}: {reply:?}");
        assert_eq!(reply.field("Server"), Some("monoloop"));
        let kept = reply.field("X-Kept");
        assert_eq!(kept, (i < seen).then_some("by middleware"), "{how}: middleware's field in reply {i}: {reply:?}");
        if reply.status >= 400 && !bench.is_head(i) {
            assert_eq!(reply.field("Content-Type"), Some("application/json"), "{how}: {reply:?}");
            assert!(reply.text().starts_with("{\"error\":\"") && reply.text().ends_with("\"}"), "{how}: {reply:?}");
        }
    }

    // A connection that lingers still reads, within bounds of bytes and time, and sends nothing more.
    if bench.fate() == Fate::Lingers {
        let before = bench.sent.len();
        bench.send(LAST);
        assert_eq!(bench.sent.len(), before, "{how}: something is sent after our FIN");
        bench.expire();
        assert_eq!(bench.fate(), Fate::Closed, "{how}: the lingering does not end");
    }
}
