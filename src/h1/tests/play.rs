//! A client with any habits against a connection. Some things must hold whatever bytes it sends, and however they come.

use super::app::{Seen, Witness};
use super::bench::{Bench, Fate};
use super::reader::Reply;
use super::reference::{self, Ending};
use crate::config::Config;
use crate::http::Method;

/// How a client sends and reads.
#[derive(Clone, Debug, Default)]
pub(super) struct Manner {
    /// The number of bytes in each piece, repeated as needed; if empty, everything comes in one piece.
    pub(super) pieces: Vec<usize>,
    /// The number of bytes that it reads after each piece, repeated as needed, and everything at the end; if empty, it
    /// reads at once.
    pub(super) windows: Vec<usize>,
    /// It closes its side after the last byte.
    pub(super) fin: bool,
}

/// What became of the connection.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) seen: Vec<Seen>,
    pub(super) replies: Vec<Reply>,
    pub(super) sent: Vec<u8>,
    pub(super) fate: Fate,
}

/// Sends `bytes` over a new connection, and checks what must hold for any bytes.
#[track_caller]
pub(super) fn play<A: Witness>(bench: &mut Bench<A>, bytes: &[u8], manner: &Manner) -> Outcome {
    bench.restart();
    if !manner.windows.is_empty() {
        bench.set_window(0);
    }
    let mut pieces = manner.pieces.iter().cycle();
    let mut windows = manner.windows.iter().cycle();
    let mut rest = bytes;
    while !rest.is_empty() {
        let len = pieces.next().map_or(rest.len(), |&len| len.clamp(1, rest.len()));
        let (piece, behind) = rest.split_at(len);
        bench.send(piece);
        if let Some(&window) = windows.next() {
            bench.read(window);
        }
        rest = behind;
    }
    if manner.fin {
        bench.fin();
    }
    bench.set_window(usize::MAX);
    // The reply to a broken message is JSON, unless that message is a HEAD request.
    bench.broken_head = bench.sent.ends_with(b"\r\n\r\n");
    let outcome = Outcome {
        seen: bench.seen().to_vec(),
        replies: bench.replies(),
        sent: std::mem::take(&mut bench.sent),
        fate: bench.fate(),
    };
    check(&outcome, bench, bytes, manner);
    bench.restart();
    outcome
}

#[track_caller]
fn check<A: Witness>(outcome: &Outcome, bench: &Bench<A>, bytes: &[u8], manner: &Manner) {
    let Outcome { seen, replies, fate, .. } = outcome;
    let broken = replies.len().checked_sub(seen.len()).expect("each request has its reply");
    assert!(broken <= 1, "{seen:?} got {replies:?}");
    let last_closes = replies.last().is_some_and(Reply::closes);
    let others = &replies[..replies.len().saturating_sub(1)];
    assert!(!others.iter().any(Reply::closes), "something is said after the last reply: {replies:?}");
    if broken == 1 {
        assert!(last_closes && replies[seen.len()].status >= 400, "{replies:?}");
        assert!(!bench.broken_head || bytes.windows(5).any(|five| five == b"HEAD "), "{replies:?}");
    }
    assert_eq!(*fate == Fate::Open, !last_closes && !manner.fin, "{fate:?} after {replies:?}");
    assert_eq!(*fate == Fate::Open, bench.reason().is_none(), "{fate:?}: {:?}", bench.reason());
    assert!(!manner.fin || *fate == Fate::Closed, "{fate:?} after FIN");
}

/// The same bytes must be understood and answered in the same way, however they come. There are three exceptions.
///
/// Whether a 100 is sent depends on when the content comes. If a message breaks several rules, either of them may be
/// noticed first, because a limit applies before the line has ended. A broken head is noticed before its end only at
/// the first look, because it is not parsed again before its end.
#[track_caller]
pub(super) fn assert_same(one: &Outcome, other: &Outcome) {
    assert_eq!(one.seen, other.seen);
    if one.fate != Fate::Open && other.fate != Fate::Open {
        assert_eq!(one.replies.len(), other.replies.len(), "{one:?}\n{other:?}");
    } else {
        assert!(one.replies.len().abs_diff(other.replies.len()) <= 1, "{one:?}\n{other:?}");
    }
    for (one, other) in one.replies.iter().zip(&other.replies).take(one.seen.len()) {
        let (mut one, mut other) = (one.clone(), other.clone());
        (one.continues, other.continues) = (0, 0);
        assert_eq!(one, other);
    }
}

/// Checks that the connection of an `Echo` has understood exactly what the slow reader understands.
#[track_caller]
pub(super) fn assert_understood(outcome: &Outcome, bytes: &[u8], manner: &Manner, config: &Config) {
    let reference::Conversation { requests, end, rest } = reference::conversation(bytes, config);
    let expected: Vec<Seen> = requests
        .iter()
        .map(|request| {
            let head = request.head.clone();
            Seen {
                method: head.method,
                target: head.target.text,
                path: head.target.path,
                host: head.authority.map(|host| String::from_utf8(host).expect("an authority is ASCII")),
                fields: head.fields,
                content: request.content.clone(),
                trailers: request.trailers.clone(),
            }
        })
        .collect();
    assert_eq!(outcome.seen, expected, "the slow reader comes to {end:?}");
    for (request, reply) in requests.iter().zip(&outcome.replies) {
        assert_eq!(reply.status, request.refused.unwrap_or(200), "{request:?}");
        if request.refused.is_none() && request.head.method != Method::Head {
            assert_eq!(reply.content, request.content);
        }
        let announced = reply.field("Connection").is_some_and(|value| value == "keep-alive");
        assert_eq!(announced, request.head.asked_keep_alive && !reply.closes(), "{reply:?} to {request:?}");
    }
    let error = outcome.replies.get(requests.len()).map(|reply| reply.status);
    if let (Some(reply), Some(rest)) = (outcome.replies.get(requests.len()), rest) {
        assert_eq!(reply.content.is_empty(), rest.starts_with(b"HEAD "), "{reply:?} to {}", rest.escape_ascii());
    }
    let closed = outcome.fate != Fate::Open;
    match (end, error) {
        (Ending::Between | Ending::WithinContent, None) if !manner.fin => assert!(!closed),
        (Ending::Between, None) => {}
        (Ending::Last, None) => assert!(closed),
        (Ending::Broken(statuses), Some(status)) => assert!(statuses.contains(&status), "{status}, not {statuses:?}"),
        // The connection need not wait for the end of a message that is broken already.
        (Ending::WithinHead, Some(400 | 414 | 431 | 501 | 505)) => {}
        (Ending::WithinHead, None) if !manner.fin => {}
        (Ending::WithinContent, Some(400)) if manner.fin => {}
        (end, error) => panic!("the slow reader comes to {end:?}, the connection to {error:?}"),
    }
}
