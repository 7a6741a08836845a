//! Runs a row of a table in every way in which its bytes can come.

use super::fuzzing;
use super::play::{Outcome, Seen, frame, play};
use crate::websocket::assemble::Limits;
use crate::websocket::failure::code;

/// A row: name, frames of the client, events, what becomes of the connection.
pub(super) type Row<'a> = (&'a str, Vec<u8>, Vec<Seen>, After);

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// It stays: a further frame gives an event.
    Open,
    /// It stays, within a message.
    Within,
    /// It was closed by a Close frame; nothing more is read.
    Closed,
    /// It fails with this code, not before so many bytes from the end of the row, and then at once.
    Fails(u16, usize),
}

/// What the tables allow, if they say nothing else.
pub(super) const LIMITS: Limits = Limits { max_message: 100_000, max_fragments: 100, deflate: false };

/// In longer rows, not every place for a cut is tried.
const SHORT: usize = 500;

#[track_caller]
pub(super) fn run(table: &[Row<'_>]) {
    run_with(&LIMITS, table);
}

/// Runs every row with these limits.
#[track_caller]
pub(super) fn run_with(limits: &Limits, table: &[Row<'_>]) {
    for (name, bytes, events, after) in table {
        let (ping, pong) = (frame(0x89, b"next"), frame(0x8a, b"before"));
        let next = Seen::Ping(b"next".to_vec());
        fuzzing::sow(bytes, limits);
        for (front, back) in [(false, false), (false, true), (true, true)] {
            let (mut stream, mut wanted) = (Vec::new(), Vec::new());
            if front {
                stream.extend(&pong);
                wanted.push(Seen::Pong(b"before".to_vec()));
            }
            stream.extend(bytes);
            wanted.extend(events.iter().cloned());
            let shown = stream.len();
            if back {
                stream.extend(&ping);
                wanted.extend(matches!(after, After::Open | After::Within).then(|| next.clone()));
            }
            let failure = match *after {
                After::Fails(code, from_end) => Some((code, shown - from_end)),
                _ => None,
            };
            each_way(stream.len(), |pieces| {
                let Outcome { seen, failure: failed } = play(&stream, limits, pieces);
                let seen: Vec<Seen> = seen.into_iter().map(|(event, _)| event).collect();
                assert!(seen == wanted, "{name}, in pieces of {pieces:?}: wanted {wanted:?}, got {seen:?}");
                // The piece that brings the byte with the fault fails.
                let failure = failure.map(|(code, at)| (code, end_of_piece(pieces, at, stream.len())));
                assert_eq!(failed, failure, "{name}, in pieces of {pieces:?}: code, and bytes fed until then");
            });
        }
        check_row(name, bytes, limits, *after);
    }
}

/// Calls `run` with all the pieces in which so many bytes should come.
fn each_way(len: usize, mut run: impl FnMut(&[usize])) {
    run(&[len]);
    if len <= SHORT {
        run(&[1]);
        (1..len).for_each(|cut| run(&[cut, len]));
        return;
    }
    run(&[997]);
    // The header, the rest, the last bytes.
    let cuts = (1..20).chain((20..len - 5).step_by(len / 5)).chain(len - 5..len);
    cuts.for_each(|cut| run(&[cut, len]));
}

/// The number of bytes fed once the byte `at` (counted from 1) is among them.
fn end_of_piece(pieces: &[usize], at: usize, len: usize) -> usize {
    let mut fed = 0;
    for piece in pieces.iter().chain(std::iter::repeat(pieces.last().expect("there are pieces"))) {
        fed += piece;
        if fed >= at {
            return fed.min(len);
        }
    }
    unreachable!("the last piece is repeated")
}

/// Checks that the row says of itself what is so.
#[track_caller]
fn check_row(name: &str, bytes: &[u8], limits: &Limits, after: After) {
    let last = play(bytes, limits, &[bytes.len()]);
    let closes = matches!(last.seen.last(), Some((Seen::Close(..), _)));
    assert_eq!(closes, after == After::Closed, "{name}: the row should say that it closes");
    if let After::Fails(code, _) = after {
        assert!(matches!(code, code::PROTOCOL_ERROR | code::INVALID_DATA | code::TOO_BIG), "{name}: an odd code");
    }
}
