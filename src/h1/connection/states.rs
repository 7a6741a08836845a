//! The states of an exchange: of its content, and of its reply. Each has its table of steps, and
//! `docs/diagrams/exchange.svg` is drawn from both.

use std::fmt;
use std::time::Duration;

use super::incoming::{Collecting, Flow};
use crate::buffer::{Account, Pace, ReplyRecord};
use crate::exchange::{Address, CloseReason, Draft, Stream, Waited};
use crate::http::{Method, Millis, Moment};

// ---- the content ----------------------------------------------------------------------------------------------------

/// Where the content of a request goes.
#[derive(Debug)]
pub(super) enum ContentState {
    /// It is collected. The handler is called when it is whole.
    Collected(Box<Collecting>),
    /// A sink takes it as it comes, unless the application has paused it.
    Taken(Box<Flow>),
    /// The reply does not depend on it. It is thrown away as it comes, to keep the connection.
    Discarded(Discarding),
    /// It is not read any more. The connection ends with the reply.
    Unread,
    /// All of it has come.
    Done,
}

/// Content that is thrown away. Its length is known.
#[derive(Debug)]
pub(super) struct Discarding {
    pub(super) left: u64,
    pub(super) pace: Pace,
}

impl ContentState {
    /// The table of steps: whether one step leads from this state to `next`.
    pub(super) const fn leads_to(&self, next: &Self) -> bool {
        match self {
            Self::Collected(_) | Self::Discarded(_) => matches!(next, Self::Done | Self::Unread),
            Self::Taken(_) => matches!(next, Self::Done | Self::Unread | Self::Discarded(_)),
            Self::Unread | Self::Done => false,
        }
    }

    /// Whether the application has paused the content.
    pub(super) const fn is_paused(&self) -> bool {
        matches!(self, Self::Taken(flow) if flow.is_paused())
    }

    /// Whether bytes of this content are read from the socket.
    pub(super) const fn wants_read(&self) -> bool {
        match self {
            Self::Collected(_) | Self::Discarded(_) => true,
            Self::Taken(flow) => !flow.is_paused(),
            Self::Unread | Self::Done => false,
        }
    }

    /// How long the rest may still take, if the client is to send it now.
    pub(super) fn pace(&mut self) -> Option<&mut Pace> {
        match self {
            Self::Collected(collecting) => Some(&mut collecting.pace),
            Self::Taken(flow) => Some(&mut flow.pace),
            Self::Discarded(discarding) => Some(&mut discarding.pace),
            Self::Unread | Self::Done => None,
        }
    }

    /// When the client's time for the rest is over, if the client is to send it now.
    pub(super) const fn due(&self) -> Option<Moment> {
        match self {
            Self::Collected(collecting) => Some(collecting.pace.due()),
            Self::Taken(flow) if !flow.is_paused() => Some(flow.pace.due()),
            Self::Discarded(discarding) => Some(discarding.pace.due()),
            Self::Taken(_) | Self::Unread | Self::Done => None,
        }
    }

    pub(super) const fn flow(&mut self) -> Option<&mut Flow> {
        if let Self::Taken(flow) = self { Some(flow) } else { None }
    }

    /// Where letters for the sink go.
    pub(super) const fn address(&self) -> Option<&Address> {
        if let Self::Taken(flow) = self { Some(&flow.address) } else { None }
    }

    /// Bytes of memory for content that flows.
    #[cfg(any(test, fuzzing))]
    pub(super) fn footprint(&self) -> usize {
        if let Self::Taken(flow) = self { size_of_val(&**flow) + flow.trailers.capacity() } else { 0 }
    }
}

impl fmt::Display for ContentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Collected(_) => "Collected",
            Self::Taken(flow) if flow.is_paused() => "Paused",
            Self::Taken(_) => "Taken",
            Self::Discarded(_) => "Discarded",
            Self::Unread => "Unread",
            Self::Done => "Done",
        })
    }
}

// ---- the reply ------------------------------------------------------------------------------------------------------

/// How far the reply is.
#[derive(Debug)]
pub(super) enum ReplyState {
    /// The application has not been asked for it, or is being asked at this moment.
    Unbegun,
    /// It is awaited: from another thread, or from the sink at the end of the content.
    Awaited(Box<Awaiting>),
    /// Its head is in the queue. Its content is produced as the client takes it.
    Streaming(Box<Streaming>),
    /// It is in the queue as a whole. The connection ends with it if there is an [`Ending`].
    Whole(Option<Ending>),
}

/// A reply that is awaited.
#[derive(Debug)]
pub(super) struct Awaiting {
    /// Where letters reach the exchange.
    pub(super) address: Address,
    /// The reply so far.
    pub(super) draft: Draft,
    /// The connection's end of the responder, if another thread is to answer.
    pub(super) waited: Option<Waited>,
    /// Since when the client waits for nothing but the application.
    pub(super) since: Moment,
    /// A reason why the connection ends with this reply, if there is one already.
    pub(super) close: Option<CloseReason>,
    pub(super) takes_trailers: bool,
    /// What the observers will be told, if there are any.
    pub(super) account: Option<Box<Account>>,
}

/// A reply whose content is being produced.
#[derive(Debug)]
pub(super) struct Streaming {
    /// Where letters reach the exchange.
    pub(super) address: Address,
    pub(super) stream: Stream,
    pub(super) method: Option<Method>,
    pub(super) status: u16,
    /// What the observers will be told, if there are any.
    pub(super) account: Option<Box<Account>>,
    /// When the source was last asked for a heartbeat, or when the reply got its time anew.
    pub(super) since: Moment,
    /// Why the connection ends with this reply, if it does.
    pub(super) close: Option<CloseReason>,
    /// The drain has begun, and the source was asked since then.
    pub(super) drained: bool,
    /// Nothing was sent for the time of the source's heartbeat.
    pub(super) silent: bool,
}

impl ReplyState {
    /// The table of steps: whether one step leads from this state to `next`.
    pub(super) const fn leads_to(&self, next: &Self) -> bool {
        match self {
            Self::Unbegun => !matches!(next, Self::Unbegun),
            // While an answer is being made, its reply is `Unbegun`.
            Self::Awaited(_) => matches!(next, Self::Unbegun),
            Self::Streaming(_) => matches!(next, Self::Whole(_)),
            // The content can fail after the reply is whole. Then the connection ends.
            Self::Whole(_) => matches!(next, Self::Whole(Some(_))),
        }
    }

    /// The same reply, as the last one because of `reason`. Another reason that it has already counts more, unless it
    /// is the handler's wish.
    pub(super) fn made_last(mut self, reason: CloseReason) -> Self {
        let stronger = |known: Option<CloseReason>| match known {
            None | Some(CloseReason::HandlerClosed) => reason,
            Some(known) => known,
        };
        match &mut self {
            Self::Awaited(awaiting) => awaiting.close = Some(stronger(awaiting.close)),
            Self::Streaming(streaming) => streaming.close = Some(stronger(streaming.close)),
            Self::Whole(ending) => {
                *ending = Some(Ending::lingering(stronger(ending.map(|ending| ending.reason))));
            }
            Self::Unbegun => {}
        }
        self
    }

    /// Whether a reply is awaited from another thread.
    pub(super) const fn is_deferred(&self) -> bool {
        matches!(self, Self::Awaited(awaiting) if awaiting.waited.is_some())
    }

    /// Whether a reply is awaited from the sink.
    pub(super) const fn awaits_content(&self) -> bool {
        matches!(self, Self::Awaited(awaiting) if awaiting.waited.is_none())
    }

    /// Whether the client waits for the application: for a reply, or for the rest of one.
    pub(super) const fn waits_for_application(&self) -> bool {
        matches!(self, Self::Awaited(_) | Self::Streaming(_))
    }

    /// Where letters for the reply go.
    pub(super) const fn address(&self) -> Option<&Address> {
        match self {
            Self::Awaited(awaiting) => Some(&awaiting.address),
            Self::Streaming(streaming) => Some(&streaming.address),
            Self::Unbegun | Self::Whole(_) => None,
        }
    }

    /// From when on the reply has its time.
    pub(super) const fn since(&mut self) -> Option<&mut Moment> {
        match self {
            Self::Awaited(awaiting) => Some(&mut awaiting.since),
            Self::Streaming(streaming) => Some(&mut streaming.since),
            Self::Unbegun | Self::Whole(_) => None,
        }
    }

    /// Gives the reply its whole time, from now on.
    pub(super) const fn restart(&mut self, now: Moment) {
        if let Some(since) = self.since() {
            *since = now;
        }
    }

    /// Notes that the source may have something.
    pub(super) const fn wake(&mut self) {
        if let Self::Streaming(streaming) = self {
            streaming.stream.wake();
        }
    }

    /// Tells the responder that the client has closed its side.
    pub(super) fn note_client_closed(&self) {
        if let Self::Awaited(awaiting) = self
            && let Some(waited) = &awaiting.waited
        {
            waited.note_client_closed();
        }
    }

    /// What the observers will be told of a reply that goes on, if there are any.
    pub(super) fn account(&mut self) -> Option<&mut Account> {
        match self {
            Self::Awaited(awaiting) => awaiting.account.as_deref_mut(),
            Self::Streaming(streaming) => streaming.account.as_deref_mut(),
            Self::Unbegun | Self::Whole(_) => None,
        }
    }

    /// Forgets what observers were to be told.
    #[cfg(feature = "live")]
    pub(super) fn forget_account(&mut self) {
        match self {
            Self::Awaited(awaiting) => awaiting.account = None,
            Self::Streaming(streaming) => streaming.account = None,
            Self::Unbegun | Self::Whole(_) => {}
        }
    }

    /// What has left of a stream if `owed` bytes have not, for the observers, and the path of its request.
    pub(super) fn cut(&self, owed: u64, began: Moment) -> Option<(ReplyRecord, &str)> {
        let Self::Streaming(streaming) = self else { return None };
        let (record, path) = streaming.record(began)?;
        Some((record.without(owed), path))
    }
}

impl Streaming {
    /// What the observers will be told, if there are any, and the path of the request.
    pub(super) fn record(&self, began: Moment) -> Option<(ReplyRecord, &str)> {
        let account = self.account.as_deref()?;
        Some((account.record(self.method, self.status, self.stream.written(), began), account.path()))
    }

    /// When the source is to be asked if nothing is sent until then, if it is pending and wants that.
    ///
    /// A heartbeat comes before the idle timeout, also if the source asks for a later one: at half of that timeout. So
    /// a source that has to wait for another thread has the other half for it.
    pub(super) fn heartbeat(&self, idle_timeout: Millis, activity: Moment) -> Option<Moment> {
        let silence = if self.stream.is_pending() { self.stream.heartbeat()? } else { return None };
        let most = Duration::from(idle_timeout);
        Some(activity.max(self.since) + if silence < most { silence } else { most / 2 })
    }

    /// Returns true and sets `silent` if the heartbeat is due, because nothing was sent since `activity`. A heartbeat
    /// that brings nothing does not extend the idle timeout.
    pub(super) fn beat(&mut self, now: Moment, idle_timeout: Millis, activity: Moment) -> bool {
        let is_idle = activity + idle_timeout <= now;
        let was_asked = self.since > activity;
        if (is_idle && was_asked) || self.heartbeat(idle_timeout, activity).is_none_or(|due| due > now) {
            return false;
        }
        (self.silent, self.since) = (true, now);
        true
    }
}

impl fmt::Display for ReplyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unbegun => "Unbegun",
            Self::Awaited(_) => "Awaited",
            Self::Streaming(_) => "Streaming",
            Self::Whole(None) => "Whole",
            Self::Whole(Some(_)) => "Last",
        })
    }
}

// ---- the end --------------------------------------------------------------------------------------------------------

/// How a connection ends when its last reply is queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ending {
    pub(super) reason: CloseReason,
    /// The client may still be sending. Closing at once over what it sends would cost it the reply.
    pub(super) linger: bool,
}

impl Ending {
    pub(super) const fn lingering(reason: CloseReason) -> Self {
        Self { reason, linger: true }
    }

    pub(super) const fn at_once(reason: CloseReason) -> Self {
        Self { reason, linger: false }
    }

    /// The end after a whole reply. `is_long` says that the kernel may still hold much of the reply.
    ///
    /// A client that did not choose this reply to be the last may have sent more. A reset in answer to that must not
    /// take the end of the reply from the client.
    pub(super) const fn after_reply(reason: CloseReason, is_long: bool) -> Self {
        let chosen = matches!(reason, CloseReason::NotPersistent | CloseReason::HandlerClosed);
        Self { reason, linger: !chosen || is_long }
    }
}
