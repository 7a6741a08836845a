//! The sentences of the trace log about a connection: what a request is, what its reply is, and what a step means.

use std::fmt::{self, Display, Formatter};

use super::buffers::Buffers;
use super::context::Context;
use super::phase::Phase;
use super::states::{ContentState, ReplyState};
use crate::exchange::{CloseReason, ConnectionId, Request};
use crate::http::{Count, Printable};
use crate::wire::{Framing, Message};

/// A request as the log shows it. Neither the query nor a field value is shown: there may be a secret in it.
pub(super) struct Asked<'a>(pub(super) &'a Message<'a>, pub(super) &'a Request<'a>);

impl Display for Asked<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(message, request) = self;
        let path = String::from_utf8_lossy(request.raw_path());
        write!(f, "{} {} {}", request.method(), Printable(path), request.version())?;
        write!(f, ", {}", Count(request.headers().iter().count(), "field line"))?;
        match message.framing {
            Framing::None => f.write_str(", no content"),
            Framing::Length(length) => write!(f, ", content of {}", Count(length, "byte")),
            Framing::Chunked => f.write_str(", content in chunks"),
        }
    }
}

/// Logs what the application has left in the output, and how the connection goes on.
#[cold]
pub(super) fn reply(buffers: &Buffers, cx: &Context<'_>, reply: &ReplyState, has_switched: bool) {
    let (id, status) = (cx.id, cx.reply.status());
    let queued = buffers.output.as_ref().map_or(0, |output| output.since(cx.reply.mark));
    match reply {
        _ if has_switched => log::trace!("conn {id}: reply: {status}, {queued} bytes in the queue"),
        ReplyState::Whole(None) => {
            log::trace!("conn {id}: reply: {status}, {queued} bytes in the queue; the connection is kept");
        }
        ReplyState::Whole(Some(ending)) => {
            let reason = ending.reason;
            log::trace!("conn {id}: reply: {status}, {queued} bytes in the queue; it is the last one: {reason}");
        }
        ReplyState::Streaming(_) => {
            log::trace!("conn {id}: reply: {status}, a head of {queued} bytes in the queue; a source has the content");
        }
        ReplyState::Unbegun | ReplyState::Awaited(_) => log::trace!("conn {id}: reply: it is put off"),
    }
}

/// Logs that a 100 is queued.
#[cold]
pub(super) fn go_on(id: ConnectionId) {
    log::trace!("conn {id}: 100 Continue is queued, since the client waits for it");
}

/// Logs that the bytes that have come are no whole head.
#[cold]
pub(super) fn part_of_a_head(id: ConnectionId, bytes: usize) {
    let (bytes, have) = (Count(bytes, "byte"), if bytes == 1 { "has" } else { "have" });
    log::trace!("conn {id}: {bytes} of a head {have} come, without its end");
}

/// What is still owed after a write.
pub(super) struct StillOwed(pub(super) usize);

impl Display for StillOwed {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("nothing more is owed"),
            1 => f.write_str("1 byte is still owed"),
            bytes => write!(f, "{bytes} bytes are still owed"),
        }
    }
}

/// A sentence, and the reason for it if there is one.
pub(super) struct Meaning(&'static str, Option<CloseReason>);

impl Display for Meaning {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self(what, None) => f.write_str(what),
            Self(what, Some(reason)) => write!(f, "{what}, since {reason}"),
        }
    }
}

impl Phase {
    /// What it means that this phase is entered.
    pub(super) fn meaning(&self) -> Meaning {
        let why = match self {
            Self::Ending { ending, .. } => Some(ending.reason),
            Self::Closed { reason, .. } => Some(*reason),
            _ => None,
        };
        let what = match self {
            Self::Head(_) => "the exchange is over, and the next byte begins another request",
            Self::Exchange(exchange) => match (&exchange.content, &exchange.reply) {
                (ContentState::Collected(_), _) => "content is still to come, and the handler is called with all of it",
                (ContentState::Taken(_), _) => "content is still to come, and a sink takes it piece by piece",
                (ContentState::Discarded(_), _) => "content is still to come, and it is thrown away",
                (_, ReplyState::Awaited(_)) => "the reply is still to come",
                (_, ReplyState::Streaming(_)) => "the rest of the reply is still to come",
                _ => "the request and its reply are not over",
            },
            Self::Upgraded(_) => "another protocol takes over",
            Self::Ending { .. } => "no reply follows those in the queue",
            Self::HalfClosed { .. } => "all is sent, and the client has time to take it",
            Self::Closed { .. } => "the socket can be closed",
        };
        Meaning(what, why)
    }
}

impl ContentState {
    /// What it means that this state is entered.
    pub(super) const fn meaning(&self) -> Meaning {
        let what = match self {
            Self::Collected(_) => "it is collected",
            Self::Taken(_) => "a sink takes it",
            Self::Discarded(_) => "the rest is thrown away as it comes",
            Self::Unread => "the rest is not read, and the connection ends with the reply",
            Self::Done => "all of it has come",
        };
        Meaning(what, None)
    }
}

impl ReplyState {
    /// What it means that this state is entered.
    pub(super) const fn meaning(&self) -> Meaning {
        match self {
            Self::Unbegun => Meaning("it is being made", None),
            Self::Awaited(_) => Meaning("it is put off", None),
            Self::Streaming(_) => Meaning("its content is produced as the client takes it", None),
            Self::Whole(None) => Meaning("all of it is in the queue", None),
            Self::Whole(Some(ending)) => Meaning("it is the last one", Some(ending.reason)),
        }
    }
}
