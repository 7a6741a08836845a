//! What must hold at the end of a run.

use std::time::Duration;

use super::affairs::lock;
use super::client::{Client, Ending};
use super::errands::What;
use super::kernel::Facts;
use super::protocols::Protocol;
use super::world::World;
use crate::exchange::{Abort, CloseReason};
use crate::http::Moment;
use crate::limits::{
    DRAIN_LINGER, FILE_TURN_AMONG_OTHERS, MIN_READ, SHARE_FROM, TURN_BYTES, TURN_REQUESTS, WHEEL_SLOT,
};

pub(super) fn pass(world: &World) {
    let pools = &world.sessions.pools;
    assert_eq!(pools.lent(), [0; 4], "buffers were not given back");
    assert!(world.sessions.wheel.is_empty(), "a deadline is left in the wheel");
    assert_eq!(world.sessions.runnable(), 0);
    everyone_was_told(world);
    let outside = &*world.outside.borrow();
    let mut turns = world.late_turns;
    for client in &outside.clients {
        let socket = &outside.kernel.sockets[client.number];
        let Some((closed, reason)) = socket.facts.closed else {
            assert!(!client.connected || client.ending == Some(Ending::Ours), "connection {} is left", client.number);
            continue;
        };
        turns += work(world, client.number);
        turns += 1 + world.application.answered[client.number] / TURN_REQUESTS + socket.facts.taken / TURN_BYTES;
        let case = Case { world, client, facts: &socket.facts, closed, reason, broken: socket.broken };
        case.calls();
        case.observed();
        case.reason_is_true();
        case.reset_is_justified();
        case.nothing_is_missing();
    }
    assert!(
        world.requeued <= turns,
        "sessions were runnable after {} turns, but only {turns} turns were used up",
        world.requeued
    );
}

/// Turns that the sources of a connection may have used up.
fn work(world: &World, number: usize) -> usize {
    let affairs = lock(&world.affairs);
    let sources = affairs.sources.iter().filter(|source| source.whose.0 == number);
    let pulled: usize = sources.map(|source| source.given + source.asked * MIN_READ).sum();
    let senders = affairs.senders.iter().filter(|sender| sender.whose.0 == number);
    let pushed: usize = senders.map(|sender| (2 * sender.pushes + 10) * MIN_READ).sum();
    let facts = &world.outside.borrow().kernel.sockets[number].facts;
    (pulled + 2 * pushed) / TURN_BYTES + facts.sent / TURN_BYTES + facts.file_bytes / FILE_TURN_AMONG_OTHERS
}

/// Every sender, responder, source, sink and protocol of the application was told of its end exactly once.
fn everyone_was_told(world: &World) {
    let affairs = lock(&world.affairs);
    assert_eq!(affairs.fault, None);
    for errand in &affairs.errands {
        let whose = errand.whose;
        match &errand.what {
            What::Push(push) => assert!(push.sender.is_closed(), "{whose:?}: the sender does not know that it is over"),
            What::Answer(answer) => {
                let told = answer.responder.is_cancelled();
                assert!(told, "{whose:?}: the responder does not know that it is over");
            }
            What::Wake(..) | What::Resume(_) => {}
            #[cfg(feature = "files")]
            What::Shrink(..) => {}
        }
    }
    for sender in &affairs.senders {
        assert_eq!(sender.closed, 1, "{sender:?}");
    }
    for responder in &affairs.responders {
        assert!(responder.answered + responder.cancelled == 1, "{responder:?}");
    }
    for source in &affairs.sources {
        assert!(source.dropped, "{source:?}");
    }
    let live = &world.application.live;
    for sink in &live.sinks {
        assert!(sink.ended.is_some(), "{:?}: the sink was not told of its end, at {}", sink.whose, sink.taken);
    }
    for protocol in &live.protocols {
        assert!(protocol.closed.is_some(), "{protocol:?}");
    }
}

/// A connection that has ended.
struct Case<'a> {
    world: &'a World,
    client: &'a Client,
    facts: &'a Facts,
    closed: Moment,
    reason: CloseReason,
    /// The kernel reset the connection.
    broken: bool,
}

impl Case<'_> {
    /// A call into the kernel returns `WouldBlock` at most once for each event.
    fn calls(&self) {
        let (number, facts) = (self.client.number, self.facts);
        // The drain reads without an event: when it begins, and when it closes idle connections.
        let looks = facts.events + 2;
        assert!(facts.blocked_reads <= looks, "connection {number}: too many blocked reads: {facts:?}");
        // The server also writes to a fresh socket, and to one whose deadline has passed, without an event.
        let life = self.closed.since(self.client.connects_at);
        let deadlines = life.div_duration_f64(WHEEL_SLOT) as usize;
        assert!(facts.blocked_writes <= looks + deadlines, "connection {number}: too many blocked writes: {facts:?}");
    }

    /// The observer was told of everything exactly once.
    fn observed(&self) {
        if !self.world.profile.observed {
            return;
        }
        let number = self.client.number;
        let notes = &mut *self.world.notes.borrow_mut();
        let watched = notes.of(number);
        assert_eq!((watched.opened, watched.closed), (1, 1), "connection {number}: {watched:?}");
        assert_eq!((watched.held, watched.wrong_switches), (false, 0), "connection {number}: {watched:?}");
        assert_eq!(watched.requests, self.world.application.answered[number], "connection {number}: {watched:?}");
        let replies =
            self.client.answered + usize::from(self.client.last.as_ref().is_some_and(|last| last.number.is_none()));
        // The client may have all announced bytes before the source has said that it is done.
        let last = self.world.application.answered[number].checked_sub(1);
        let pending = last.is_some_and(|last| self.client.script.messages[last].traits.streams && self.broken);
        assert!(
            watched.replies + usize::from(pending) >= replies,
            "connection {number} has {replies} replies: {watched:?}"
        );
        assert!(watched.replies <= watched.requests + 1, "connection {number}: {watched:?}");
        let reported = self.protocol().map_or(0, |protocol| protocol.reported);
        assert_eq!(watched.messages, reported, "connection {number}: {watched:?}");
        let timed_out = format!("{:?}", self.reason).ends_with("Timeout");
        assert!(watched.timed_out > 0 || !timed_out, "connection {number}: {:?}, {watched:?}", self.reason);
    }

    /// The other protocol that the connection has spoken.
    fn protocol(&self) -> Option<&Protocol> {
        self.world.application.live.last_protocol_of(self.client.number)
    }

    /// How long the client was silent at least when its protocol gave it up, if it did.
    fn gave_up(&self) -> Option<Duration> {
        self.protocol().and_then(|protocol| protocol.gave_up)
    }

    /// Whether the connection closed because the time of a goodbye was over.
    fn was_goodbye(&self) -> bool {
        let due = self.protocol().and_then(|protocol| protocol.goodbye);
        self.reason == CloseReason::ProtocolEnded && due.is_some_and(|due| due <= self.closed)
    }

    /// The reason for which the connection closed agrees with what can be seen from outside.
    fn reason_is_true(&self) {
        let (client, facts, reason) = (self.client, self.facts, self.reason);
        let (number, messages) = (client.number, &client.script.messages);
        let (ended_at, when_ended) = facts.ended.expect("it has ended");
        let reset = client.ending == Some(Ending::Ours);
        let answered = self.world.application.answered[number];
        // The request that was answered last. The reply to a broken message has no number.
        let last = answered.checked_sub(1).map(|last| &messages[last]);
        let next = messages.get(answered);
        let truth = match reason {
            CloseReason::ClientClosed => {
                let between = next.is_none_or(|next| ended_at <= next.begin) && ended_at == facts.sent;
                client.fin_sent && between || reset
            }
            CloseReason::ClientClosedEarly => client.fin_sent && ended_at == facts.sent || reset,
            CloseReason::NotPersistent
            | CloseReason::HandlerClosed
            | CloseReason::ContentUnread
            | CloseReason::StreamFailed
            | CloseReason::ProtocolFailed
            | CloseReason::Panicked => last.is_some_and(|last| last.ends == Some(reason)),
            CloseReason::BadRequest => {
                let refused = last.is_some_and(|last| last.ends == Some(reason));
                // A reply that was to close the connection may have become a 503 that does not. Then what follows is
                // read.
                let goes_on =
                    last.is_some_and(|last| last.ends.is_some()) && self.world.profile.config.max_memory.is_some();
                refused || goes_on || next.is_some_and(|next| !next.is_request && facts.taken > next.begin)
            }
            CloseReason::ProtocolEnded => last.is_some_and(|last| {
                let early = client.fin_sent || self.world.draining_since.is_some();
                last.traits.upgrades && (last.ends == Some(reason) || early || self.was_goodbye())
            }),
            // The client was still waiting for the reply with the file. Later requests may be answered, too.
            CloseReason::FileShrank => {
                let unsent = messages[..answered].iter().skip(client.answered);
                unsent.into_iter().any(|message| message.traits.shrinks)
            }
            CloseReason::ReplyTimeout => {
                let waited = self.closed.since(client.connects_at) >= self.world.profile.config.reply_timeout;
                last.is_some_and(|last| last.traits.late) && waited
            }
            CloseReason::IdleTimeout if self.gave_up().is_some() => {
                self.gave_up() <= Some(self.closed.since(facts.heard))
            }
            CloseReason::IdleTimeout => {
                // While its content was paused, the client could not send.
                let resumed = lock(&self.world.affairs).resumed.get(number).copied().unwrap_or_default();
                let mut sinks = self.world.application.live.sinks.iter().filter(|sink| sink.whose.0 == number);
                let cut_short = sinks.any(|sink| sink.ended == Some(Err(Abort::TimedOut)));
                let since = self.closed.since(if cut_short { resumed } else { Moment::ZERO });
                facts.longest_gap >= self.idle_timeout() && since >= self.idle_timeout()
            }
            CloseReason::HeadTimeout => {
                // If another reply came first, the head timeout begins after that.
                let begun = client.begun.get(answered).copied().unwrap_or(self.closed);
                when_ended.since(begun) >= self.world.profile.config.head_timeout
            }
            CloseReason::SocketError => reset,
            CloseReason::Drained => self.world.draining_since.is_some(),
            // Those that were cut leave one after the other, a part of a tick each time.
            CloseReason::Cut => self.world.cut_at.is_some_and(|at| at <= self.closed),
            CloseReason::OutOfMemory => self.world.profile.config.max_memory.is_some(),
            CloseReason::ContentTimeout => {
                let came_late = when_ended.since(client.connects_at) >= self.world.profile.config.content_timeout;
                self.was_within_content(ended_at) && came_late
            }
            CloseReason::SendTimeout => {
                let lasted = when_ended.since(client.connects_at) >= self.world.profile.config.send_timeout;
                facts.write_was_short && lasted
            }
            _ => false,
        };
        assert!(truth, "connection {number}: {reason:?} is not true: {facts:?}, then {next:?}, {:?}", client.last);
    }

    /// Whether the server had read the stream up to a place within the content of a message when it decided to end it.
    fn was_within_content(&self, ended_at: usize) -> bool {
        let undecided = self.world.undecided[self.client.number];
        // A broken message may be broken in its content, so all of it counts.
        let contents = self.client.script.messages.iter().map(|message| match message.is_request {
            true => message.head_end..message.end,
            false => message.begin..message.end,
        });
        contents.into_iter().any(|content| content.start <= ended_at && undecided < content.end)
    }

    /// The shortest idle timeout that the connection ever had.
    fn idle_timeout(&self) -> Duration {
        let config = &self.world.profile.config;
        let answered = self.client.script.messages.iter().take(self.world.application.answered[self.client.number]);
        let own = answered.filter_map(|message| message.idle);
        own.chain([config.idle_timeout]).chain(config.keep_alive_timeout).min().unwrap_or_default()
    }

    /// Whether the server closed a connection that still owed bytes: it was cut, memory was short, or the client read
    /// nothing for too long.
    fn was_given_up(&self) -> bool {
        let timeout = format!("{:?}", self.reason).ends_with("Timeout") && self.facts.write_was_short;
        // There may be room long before the kernel says so, so the server must try a write. The connection is removed
        // in that tick or some ticks later; all timeouts for sending are longer than a slot.
        let tried = self.closed.since(self.facts.tried_to_write) < WHEEL_SLOT;
        assert!(
            !timeout || tried,
            "connection {}: given up without trying to write: {:?}",
            self.client.number,
            self.facts
        );
        matches!(self.reason, CloseReason::Cut | CloseReason::OutOfMemory) || timeout || self.was_goodbye()
    }

    /// A reset can take replies away from the client, so it must have one of these reasons.
    fn reset_is_justified(&self) {
        if !self.broken || self.client.ending == Some(Ending::Ours) {
            return;
        }
        let (client, facts, reason) = (self.client, self.facts, self.reason);
        let config = &self.world.profile.config;
        let (ended_at, when_ended) = facts.ended.expect("it has ended");
        let answered = self.world.application.answered[client.number];
        let last = answered.checked_sub(1).map(|last| &client.script.messages[last]);
        let linger = if reason == CloseReason::Drained { DRAIN_LINGER } else { config.linger_timeout };
        let waited = self.closed.since(when_ended) >= linger;
        // If client or handler announced the end, the client has no reason to send more, and the server need not
        // linger. But if the server has read more than the last request, it lingers.
        let chosen = matches!(reason, CloseReason::NotPersistent | CloseReason::HandlerClosed);
        // Where memory is short, a long reply may have become a short refusal.
        let unheard = last.is_some_and(|last| {
            let is_short = last.is_head || last.reply.is_none_or(|reply| reply.len() < SHARE_FROM);
            chosen && ended_at == last.end && (is_short || config.max_memory.is_some())
        });
        // Between two requests an idle connection may be closed without a reply.
        let silent = reason == CloseReason::IdleTimeout;
        // A reply that is cut short must not look whole.
        let whole = matches!(reason, CloseReason::NotPersistent | CloseReason::HandlerClosed | CloseReason::Drained);
        let cut_short = last.is_some_and(|last| last.traits.streams) && !whole;
        let failed = matches!(reason, CloseReason::ProtocolFailed | CloseReason::FileShrank);
        // Nothing was read while input was paused.
        let paused = reason == CloseReason::ReplyTimeout && last.is_some_and(|last| last.traits.upgrades);
        // The connection lingered when the drain was cut.
        let cut = self.world.cut_at.is_some_and(|at| at <= self.closed);
        assert!(
            waited || unheard || silent || cut || cut_short || failed || paused || self.was_given_up(),
            "connection {}: a reset after {reason:?}, closed at {:?}: {facts:?}, {last:?}",
            client.number,
            self.closed
        );
    }

    /// An idle connection was open until the grace of the drain had passed.
    fn had_its_grace(&self) {
        let (client, facts, reason) = (self.client, self.facts, self.reason);
        let (Some(since), Some((_, when_ended))) = (self.world.draining_since, facts.ended) else { return };
        let idle = reason == CloseReason::Drained && client.last.is_none() && client.ending == Some(Ending::Clean);
        let answered = self.world.application.answered[client.number].checked_sub(1);
        let plain = answered.is_none_or(|last| {
            let message = &client.script.messages[last];
            message.ends.is_none() && !message.traits.unannounced
        });
        let had_it = when_ended >= since + self.world.grace();
        assert!(!(idle && plain) || had_it, "connection {}: closed within the grace", client.number);
    }

    /// Every whole request that was read before our side ended was answered, and the client got whole replies.
    fn nothing_is_missing(&self) {
        let (client, facts, reason) = (self.client, self.facts, self.reason);
        let number = client.number;
        if client.ending == Some(Ending::Ours) || reason == CloseReason::SocketError {
            return;
        }
        let answered = self.world.application.answered[number];
        if let Some(last) = &client.last {
            let drained = self.world.draining_since.is_some();
            let ends = last.number.is_none_or(|number| {
                let message = &client.script.messages[number];
                message.ends.is_some() || message.status != last.status
            });
            assert!(ends || drained, "connection {number}: the server closed without need: {last:?}, {reason:?}");
        }
        if self.broken || self.was_given_up() || reason == CloseReason::ProtocolFailed {
            return;
        }
        if reason == CloseReason::FileShrank {
            // The client has all earlier replies, and only a part of this one. It has checked that part.
            let message = &client.script.messages[client.answered];
            let within = message.traits.shrinks && !client.is_between_replies() && client.last.is_none();
            return assert!(within, "connection {number}: cut short after {message:?}");
        }
        let drained = self.world.draining_since.is_some();
        let cut_off = reason != CloseReason::ProtocolEnded || client.fin_sent || drained;
        assert!(cut_off || !client.talks(), "connection {number}: the echo is not whole: {:?}", client.echoed);
        assert!(client.is_between_replies(), "connection {number}: the stream ends within a reply: {reason:?}");
        assert_eq!(client.answered, answered, "connection {number}: replies were lost: {reason:?}, {facts:?}");
        let (ended_at, _) = facts.ended.expect("it has ended");
        // Bytes that come after the server has decided to drain, without a reply, are discarded.
        // But a client that has asked once more in the grace is answered.
        let in_time = if client.sends_urgent() { 0 } else { self.world.sent_in_time[number] };
        let decided_at = self.world.undecided[number].max(in_time);
        let ended_at = if reason == CloseReason::Drained { decided_at } else { ended_at };
        self.had_its_grace();
        let messages = &client.script.messages;
        let ends = messages.iter().position(|message| message.ends.is_some()).map_or(messages.len(), |last| last + 1);
        let whole = messages[..ends].iter().filter(|message| message.end <= ended_at && message.is_request).count();
        let last = answered.checked_sub(1).map(|last| &messages[last]);
        let unannounced = last.is_some_and(|last| last.ends == Some(reason) && last.traits.unannounced);
        // The application kept the content paused for too long, after its reply was whole.
        let kept = reason == CloseReason::ReplyTimeout && last.is_some_and(|last| last.traits.late);
        let said_close = client.last.is_some() || unannounced || kept;
        assert!(
            said_close || answered >= whole,
            "connection {number}: {} requests were read and not answered: {reason:?}, {facts:?}",
            whole - answered
        );
        // A message that is broken, or not whole, was answered too.
        let broken = messages.get(answered).filter(|next| !next.is_request && next.end <= ended_at);
        assert!(said_close || broken.is_none(), "connection {number}: no reply to {broken:?}: {reason:?}");
        let silent = matches!(reason, CloseReason::ClientClosed | CloseReason::IdleTimeout | CloseReason::Drained);
        // Content that was discarded, or came after its whole reply, gets no further reply.
        let unwanted = reason == CloseReason::ContentTimeout && self.was_within_content(ended_at);
        let talked = reason == CloseReason::ProtocolEnded;
        let discarded = talked || reason == CloseReason::ClientClosedEarly || unwanted;
        assert!(said_close || silent || discarded, "connection {number}: closed without a reply: {reason:?}");
    }
}
