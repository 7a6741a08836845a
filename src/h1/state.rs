//! The joint table of the two machines: which states of reading and writing may stand side by side.
//!
//! Reading says what the next input byte means, writing says what we still owe. They overlap: a reply can stream while
//! the content of its request still comes, go out before it has ended, or wait for another thread. The output queue
//! stands beside both: `Writing::Idle` means that no exchange is unfinished, not that all bytes have left.

use std::fmt;

/// What the next input byte means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadingKind {
    /// It belongs to a request head.
    Head,
    /// It belongs to the content of a request.
    Body,
    /// It is thrown away: content that nobody wants, or whatever comes after an error.
    Discard,
    /// Nothing yet: whoever takes the content asked to wait. The socket is not read.
    Paused,
    /// It belongs to another protocol.
    Upgraded,
    /// There is none: the client has closed its side.
    Eof,
}

/// What we still owe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WritingKind {
    /// No exchange is unfinished.
    Idle,
    /// A reply that another thread will give.
    Awaiting,
    /// The rest of a reply that is being produced.
    Streaming,
    /// The bytes in the queue, then an end.
    Flushing,
    /// Nothing; our side is closed, and the client has time to notice.
    HalfClosed,
    /// Nothing; the socket can go.
    Closed,
}

use ReadingKind::{Body, Discard, Eof, Head, Paused, Upgraded};
use WritingKind::{Awaiting, Closed, Flushing, HalfClosed, Idle, Streaming};

type Pair = (ReadingKind, WritingKind);

/// The pairs that exist, and for each the pairs to which one step leads. Everything may become `Closed` at any time.
///
/// While a reply is open, what stands behind its request is neither read nor parsed: so `Eof` stands beside no open reply.
const JOINT: &[(Pair, &[Pair])] = &[
    // Between two requests, or within a head. A request that is answered at once leads back here unseen.
    (
        (Head, Idle),
        &[
            (Body, Idle),
            (Discard, Idle),
            (Head, Awaiting),
            (Head, Streaming),
            (Upgraded, Idle),
            (Discard, Flushing),
            (Eof, Flushing),
        ],
    ),
    // Content is coming: its reply will be made when it is whole, or is whole already and the content still has a taker.
    ((Body, Idle), &[(Head, Idle), (Paused, Idle), (Discard, Idle), (Discard, Flushing), (Eof, Flushing)]),
    // The reply was made early; the rest of the content is thrown away, to keep the connection.
    ((Discard, Idle), &[(Head, Idle), (Discard, Flushing), (Eof, Flushing)]),
    // Whoever takes the content asked to wait.
    ((Paused, Idle), &[(Body, Idle), (Head, Idle), (Discard, Flushing), (Eof, Flushing)]),
    // The request is whole and its reply is not.
    (
        (Head, Awaiting),
        &[(Head, Idle), (Head, Streaming), (Body, Awaiting), (Discard, Awaiting), (Discard, Flushing), (Eof, Flushing)],
    ),
    ((Head, Streaming), &[(Head, Idle), (Body, Streaming), (Discard, Streaming), (Discard, Flushing), (Eof, Flushing)]),
    // Full duplex: content comes while the reply goes, or before it can be made.
    ((Body, Awaiting), &[(Head, Awaiting), (Body, Streaming), (Body, Idle), (Paused, Awaiting), (Discard, Awaiting)]),
    ((Body, Streaming), &[(Head, Streaming), (Paused, Streaming), (Discard, Streaming), (Body, Idle)]),
    ((Paused, Awaiting), &[(Body, Awaiting), (Head, Awaiting), (Paused, Streaming), (Paused, Idle)]),
    ((Paused, Streaming), &[(Body, Streaming), (Paused, Idle)]),
    // Content that nobody wants comes while a reply is made.
    (
        (Discard, Awaiting),
        &[(Head, Awaiting), (Discard, Streaming), (Discard, Idle), (Discard, Flushing), (Eof, Flushing)],
    ),
    ((Discard, Streaming), &[(Head, Streaming), (Discard, Idle), (Discard, Flushing), (Eof, Flushing)]),
    // Another protocol; it ends by what it has queued.
    ((Upgraded, Idle), &[(Discard, Flushing), (Eof, Flushing)]),
    // The end: what is owed goes out, our side is closed, the client notices and closes its own.
    ((Discard, Flushing), &[(Eof, Flushing), (Discard, HalfClosed)]),
    ((Eof, Flushing), &[(Eof, HalfClosed)]),
    ((Discard, HalfClosed), &[(Eof, HalfClosed)]),
    ((Eof, HalfClosed), &[]),
];

/// A pair of states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Joint(pub(super) ReadingKind, pub(super) WritingKind);

impl Joint {
    /// Whether one step leads from this pair to `next`.
    pub(super) fn leads_to(self, next: Self) -> bool {
        if next.1 == Closed {
            return self.1 != Closed;
        }
        let row = JOINT.iter().find(|(pair, _)| *pair == (self.0, self.1));
        row.is_some_and(|(_, steps)| steps.contains(&(next.0, next.1)))
    }
}

impl fmt::Display for Joint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}/{:?}", self.0, self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_leads_to_a_pair_that_exists() {
        for (from, steps) in JOINT {
            for to in *steps {
                assert!(JOINT.iter().any(|(pair, _)| pair == to), "{from:?} leads to {to:?}");
            }
        }
    }

    #[test]
    fn every_pair_can_be_reached_and_can_end() {
        let mut reached = vec![(Head, Idle)];
        let mut at = 0;
        while let Some(&from) = reached.get(at) {
            let (_, steps) = JOINT.iter().find(|(pair, _)| *pair == from).unwrap();
            reached.extend(steps.iter().filter(|to| !reached.contains(to)).copied().collect::<Vec<_>>());
            assert!(Joint(from.0, from.1).leads_to(Joint(from.0, Closed)));
            at += 1;
        }
        for (pair, _) in JOINT {
            assert!(reached.contains(pair), "{pair:?} is never reached");
        }
    }

    #[test]
    fn a_pair_stands_in_the_table_once() {
        for (i, (pair, _)) in JOINT.iter().enumerate() {
            assert!(JOINT[i + 1..].iter().all(|(other, _)| other != pair), "{pair:?}");
        }
    }

    #[test]
    fn nothing_comes_back_from_the_end() {
        assert!(!Joint(Discard, Flushing).leads_to(Joint(Head, Idle)));
        assert!(!Joint(Eof, HalfClosed).leads_to(Joint(Eof, Flushing)));
        assert!(!Joint(Eof, Closed).leads_to(Joint(Eof, Closed)));
    }
}
