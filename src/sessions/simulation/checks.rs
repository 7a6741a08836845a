//! What must hold after each tick.

use super::affairs::lock;
use super::application::LARGEST;
use super::errands::{Errand, What};
use super::kernel::Socket;
use super::live::Sink;
use super::outside::{Outside, SimulatedSocket};
use super::world::World;
use crate::exchange::Progress;
use crate::http::Moment;
use crate::limits::{
    CHANNEL_BYTES, CONTENT_BUFFER, HIGH_WATER, LINGER_BYTES, LOW_WATER, MAX_READ, PART_TIME, POOL_BUSY_BYTES,
    POOL_BYTES, POOL_LARGEST_BUFFER, POOL_MAX_BUFFER, RECEIVE_BUFFER, WHEEL_SLOT,
};
use crate::sessions::{Session, Sessions};

/// Room for the head of a reply, and for a short reply.
const HEADS: usize = 1024;

pub(super) fn after_tick(world: &World) {
    if let Some(fault) = &lock(&world.affairs).fault {
        panic!("{fault}");
    }
    let outside = &*world.outside.borrow();
    let (mut lent, mut charged) = ([0; 4], 0);
    for (_, session) in &world.sessions.slab {
        let corked = session.transport.wrote_last && !session.closed;
        assert!(!corked, "connection {} was not closed", session.transport.number);
        let holds = session.connection.holds();
        charged += session.connection.charged();
        charge(session);
        lent[0] += usize::from(holds.receive.is_some());
        lent[1] += usize::from(holds.output.is_some());
        lent[2] += usize::from(holds.exchange.is_some());
        lent[3] += usize::from(holds.collecting.is_some());
        if session.closed {
            continue;
        }
        let beats = |errand: &Errand| matches!(&errand.what, What::Push(push) if push.plan.beats);
        let has_heartbeat = |errand: &Errand| errand.whose.0 == session.transport.number && beats(errand);
        let beats = lock(&world.affairs).errands.iter().any(has_heartbeat);
        deadline(world, &outside.kernel.sockets[session.transport.number], session, beats);
        // What came for a sink that has ended is there until the session has another turn.
        let has_sink = world.application.live.sinks.iter().any(|sink| sink.whose.0 == session.transport.number);
        let uploads = has_sink || session.queued;
        memory(&world.sessions, session, uploads);
        requests(world, outside, session, true);
        if !session.queued {
            sleeper(world, outside, session);
            wishes(world, session);
            application_waits(world, outside, session);
            requests(world, outside, session, false);
        }
    }
    let pools = &world.sessions.pools;
    assert_eq!(pools.ledger.charged(), charged, "the ledger, and what its connections were charged");
    assert_eq!(pools.lent(), lent, "the buffers that the pools have lent, and those that connections hold");
    let idle = pools.idle_bytes();
    assert!(idle <= POOL_BYTES, "the pools keep {idle} bytes");
    let large = pools.receive.large_bytes().max(pools.output.large_bytes()).max(pools.collecting.large_bytes());
    assert!(large <= POOL_BUSY_BYTES, "a pool keeps {large} bytes in large buffers");
}

/// The connections whose clients have sent something that the server wants to read. It came before the last complete
/// poll, so the server must have looked at it before it judges any deadline.
pub(super) fn unheard(world: &World) -> Vec<usize> {
    let outside = &*world.outside.borrow();
    let is_unheard = |session: &Session<SimulatedSocket>| {
        let socket = &outside.kernel.sockets[session.transport.number];
        // What comes at this very time may come after the poll.
        let came = socket.unread_since.is_some_and(|since| since < world.sessions.looked_until());
        let is_open = !session.closed && session.connection.close_reason().is_none();
        came && is_open && session.connection.wants_read() && session.connection.output().is_none()
    };
    world.sessions.slab.iter().filter(|(_, session)| is_unheard(session)).map(|(key, _)| key).collect()
}

/// None of these sessions has expired.
pub(super) fn still_listens(world: &World, unheard: &[usize]) {
    for &key in unheard {
        let session = &world.sessions.slab[key];
        let (number, reason) = (session.transport.number, session.connection.close_reason());
        let expired = reason.is_some_and(|reason| format!("{reason:?}").ends_with("Timeout"));
        assert!(!expired, "connection {number} expired with input that nobody has looked at: {reason:?}");
    }
}

/// A session that sleeps will get an event for everything that it waits for: it is still to come, or in the ready list.
fn sleeper(world: &World, outside: &Outside, session: &Session<SimulatedSocket>) {
    let (connection, number) = (&session.connection, session.transport.number);
    let socket = &outside.kernel.sockets[number];
    let owes = connection.output().is_some();
    assert!(
        !connection.wants_read() || !socket.is_readable() || socket.listed,
        "connection {number} sleeps, wants to read and could: {}",
        session.readiness
    );
    assert!(
        !owes || !socket.is_writable() || socket.listed,
        "connection {number} sleeps, owes {} bytes and could write: {}",
        connection.owed(),
        session.readiness
    );
    assert!(
        !owes || socket.will_tell_of_room() || socket.listed,
        "connection {number} sleeps and owes {} bytes, and no event will announce room",
        connection.owed()
    );
    assert_eq!(
        socket.corked, 0,
        "connection {number} sleeps, and no call will send the bytes that the kernel holds back"
    );
    let ended = socket.fin && world.application.live.protocol_of(number).is_some();
    let waits = connection.waits_for_application() || ended;
    // A connection that lingers and has read enough is closed by its deadline: closing over unread bytes would be a
    // reset.
    let heard_enough = connection.sends_nothing_more() && socket.facts.taken >= LINGER_BYTES as usize;
    assert!(
        connection.wants_read() || owes || heard_enough || waits,
        "connection {number} waits for nothing but its deadline: {connection:?}"
    );
    let end = connection.wants_end();
    assert!(end.is_none(), "connection {number} sleeps and should end: {end:?}");
    assert!(
        !connection.is_held() || connection.weight() >= LOW_WATER,
        "connection {number} is held, but it and its observer hold less than the low-water mark"
    );
}

/// A session that waits for the application does so because the application has said so, and has not taken it back.
fn application_waits(world: &World, outside: &Outside, session: &Session<SimulatedSocket>) {
    let (connection, number) = (&session.connection, session.transport.number);
    if world.awaits_letters() || connection.output().is_some() || connection.close_reason().is_some() {
        return;
    }
    let holds_content = connection.has_open_content();
    let not_yet = deadlines_go_on(world);
    let affairs = lock(&world.affairs);
    for source in affairs.sources.iter().filter(|source| source.whose.0 == number && !source.dropped) {
        let pending = source.said == Some(Progress::Pending) && !source.woken;
        assert!(pending, "connection {number} sleeps, but its source is not pending: {source:?}");
    }
    for errand in affairs.errands.iter().filter(|errand| errand.whose.0 == number) {
        if let What::Push(push) = &errand.what {
            let told = errand.may_go() || push.sender.is_full();
            assert!(told, "connection {number}: there is room, but the sender was not told");
            assert!(!push.sender.is_full(), "connection {number} sleeps, but its sender is full");
        }
    }
    let (now, timeout) = (world.sessions.looked_until(), world.profile.config.reply_timeout);
    for late in affairs.responders.iter().filter(|responder| responder.whose.0 == number && !responder.used) {
        // The reply timeout runs from the moment at which the client has taken all earlier output. While content
        // arrives, another timeout runs.
        let since = late.since.max(outside.kernel.sockets[number].facts.moved);
        let over = late.cancelled + late.answered > 0 || holds_content;
        // While the connection waited for a turn, or its content was paused, it was not judged.
        let resumed = affairs.resumed.get(number).copied().unwrap_or_default();
        let until = (since + timeout).max(world.queued_until[number]).max(resumed);
        let in_time = now <= until + 2 * WHEEL_SLOT || not_yet;
        assert!(over || in_time, "connection {number} waits too long: {late:?}");
    }
    let paused = |sink: &Sink| affairs.pauses(sink.whose) > 0;
    if let Some(sink) = world.application.live.sink_of(number).filter(|sink| !paused(sink)) {
        let reads = connection.wants_read() || outside.kernel.sockets[number].fin;
        assert!(reads, "connection {number} sleeps, but the application has not paused its content at {}", sink.taken);
    }
    if let Some(protocol) = world.application.live.protocol_of(number) {
        assert!(protocol.greeted, "connection {number} sleeps, but its protocol was not told that it may write");
        assert!(!protocol.woken, "connection {number} sleeps, but its protocol was woken");
        let reads = connection.wants_read() || outside.kernel.sockets[number].fin || affairs.pauses(protocol.whose) > 0;
        assert!(reads, "connection {number} sleeps, but the application has not paused its input: {protocol:?}");
    }
}

/// A protocol is told of its alarm in time, and a goodbye has its end.
fn wishes(world: &World, session: &Session<SimulatedSocket>) {
    let (connection, number) = (&session.connection, session.transport.number);
    let Some(protocol) = world.application.live.protocol_of(number) else { return };
    // While the session waits for a turn, or while letters are on their way, nothing is judged.
    let not_yet = deadlines_go_on(world) || world.awaits_letters() || connection.close_reason().is_some();
    let now = world.sessions.looked_until();
    let is_late = |due: Moment| now > due.max(world.queued_until[number]) + 2 * WHEEL_SLOT;
    let alarm = protocol.alarm.filter(|_| !connection.is_held());
    for due in [alarm, protocol.goodbye].into_iter().flatten() {
        assert!(not_yet || !is_late(due), "connection {number}: {due:?} is past at {now:?}: {protocol:?}");
    }
}

/// Every request that was read is answered, and none before it came. A client that waits for a 100 gets one.
fn requests(world: &World, outside: &Outside, session: &Session<SimulatedSocket>, may_be_late: bool) {
    let (connection, number) = (&session.connection, session.transport.number);
    let (socket, client) = (&outside.kernel.sockets[number], &outside.clients[number]);
    let (answered, taken) = (world.application.answered[number], socket.facts.taken);
    let messages = || client.script.messages.iter().filter(|message| message.is_request);
    let begun = messages().filter(|message| message.head_end <= taken).count();
    assert!(answered <= begun, "connection {number}: {answered} of {begun} requests are answered");
    if may_be_late || connection.is_held() || connection.close_reason().is_some() {
        return;
    }
    let waits = connection.waits_for_application();
    let whole = messages().filter(|message| message.end <= taken).count();
    assert!(
        waits || answered >= whole,
        "connection {number} sleeps, but {} whole requests are not answered",
        whole - answered
    );
    // After the grace of a drain no connection stays open between two requests.
    let last = answered.checked_sub(1).map_or(0, |last| client.script.messages[last].end);
    let between = taken == last && connection.output().is_none() && !waits && last_is_over(world, number);
    assert!(!(world.sessions.draining.closes_idle() && between), "connection {number} idles in a drain");
    let silent =
        !socket.reset && !socket.has_bytes_for_client() && connection.output().is_none() && taken == socket.facts.sent;
    assert!(waits || !(client.waits_for_continue() && silent), "connection {number}: the client waits for a 100");
}

/// Whether the last request has no live sink or protocol.
fn last_is_over(world: &World, number: usize) -> bool {
    let live = &world.application.live;
    live.sink_of(number).is_none() && live.protocol_of(number).is_none()
}

/// The part of the tick for deadlines was not long enough. The rest are due in the next tick.
fn deadlines_go_on(world: &World) -> bool {
    let has_more = world.sessions.next_deadline().is_some_and(|next| next <= world.sessions.looked_until());
    has_more && lock(&world.affairs).spent >= PART_TIME
}

/// A session comes up in the wheel in time: at most a slot late.
fn deadline(world: &World, socket: &Socket, session: &Session<SimulatedSocket>, beats: bool) {
    let sessions = &world.sessions;
    // A deadline is judged when all that came before it has been looked at.
    let (number, now) = (session.transport.number, sessions.looked_until());
    // A session that waits for its turn is looked at first, and comes up again a slot later.
    let deadline = session.deadline(&sessions.config).max(world.queued_until[number]);
    // After an alarm the idle timeout holds again, and may have passed.
    let deadline = world.application.live.protocol_of(number).map_or(deadline, |protocol| deadline.max(protocol.rung));
    let not_yet = deadlines_go_on(world);
    // The application's time begins when the client has taken all earlier output.
    let moved = socket.facts.moved;
    let waits = session.connection.waits_for_application() && now <= moved + WHEEL_SLOT;
    // A source that has nothing to send at its heartbeat is asked again in each slot, until the idle timeout has
    // passed.
    assert!(
        waits
            || not_yet
            || beats && now <= moved + sessions.config.idle_timeout + 2 * WHEEL_SLOT
            || deadline + WHEEL_SLOT > now,
        "connection {number}: the deadline {deadline:?} is past at {now:?}"
    );
    if session.queued && session.timer.due().is_none() {
        // It came up while it waited. Its turn arms it again.
        return;
    }
    let due = session.timer.due().unwrap_or_else(|| panic!("connection {number} is not in the wheel"));
    let latest = deadline.max(sessions.now()) + WHEEL_SLOT;
    assert!(due <= latest, "connection {number} comes up at {due:?}, not at {deadline:?}");
    let next = sessions.next_deadline();
    assert!(next.is_some_and(|next| next <= due), "the wheel says {next:?}, but connection {number} is due at {due:?}");
}

/// A connection is charged for what it holds. Only a channel can have more after the turn: it is full then, but for the
/// last piece, and a letter for the connection is on its way.
fn charge(session: &Session<SimulatedSocket>) {
    let connection = &session.connection;
    let (charged, holds) = (connection.charged(), connection.memory());
    let waits = connection.waits_for_application() || session.queued;
    let most = if waits { CHANNEL_BYTES + LARGEST } else { 0 };
    let number = session.transport.number;
    assert!(
        holds <= charged + most && charged < holds + 64 + most,
        "connection {number} was charged for {charged} bytes, but holds {holds}: {connection:?}"
    );
}

/// The memory that a connection may hold, whatever its client does.
fn memory(sessions: &Sessions<SimulatedSocket>, session: &Session<SimulatedSocket>, uploads: bool) {
    let (number, config, holds) = (session.transport.number, &sessions.config, session.connection.holds());
    let within = |what: &str, bytes: usize, most: usize| {
        assert!(bytes <= most, "connection {number}: {bytes} bytes of {what}, more than {most}");
    };
    // A buffer that grows doubles its size, or a buffer of that size has come from the pool. An empty buffer is given
    // back.
    if let Some((bytes, memory)) = holds.receive {
        // A buffer from the pool is filled up to the size that it has. A sink is offered as much as comes, and bytes
        // after its content may come with it.
        let most =
            (config.max_head + RECEIVE_BUFFER).max(if uploads { MAX_READ + RECEIVE_BUFFER } else { POOL_MAX_BUFFER });
        assert!(bytes > 0, "connection {number} keeps an empty receive buffer");
        within("input", bytes, most);
        within("memory for input", memory, POOL_MAX_BUFFER.max(2 * most));
    }
    if let Some((bytes, memory)) = holds.output {
        // Output goes up to the high-water mark, plus the reply that crosses it.
        let most = HIGH_WATER + LARGEST + HEADS;
        let open = session.connection.waits_for_application();
        assert!(bytes > 0 || open, "connection {number} keeps an empty output queue");
        within("output", bytes, most);
        // The queue drops sent bytes when they are most of it. A connection that waits for the application keeps
        // nothing.
        let most = if bytes > 0 { POOL_LARGEST_BUFFER.max(4 * most) } else { 0 };
        within("memory for output", memory, most);
    }
    if let Some((bytes, memory)) = holds.collecting {
        within("content", bytes, config.max_content as usize);
        // The buffer grows with the bytes that have come, not with the announced length. It also holds the head.
        let most = 4 * bytes.max(CONTENT_BUFFER) + 2 * config.max_head;
        let pooled = if bytes < POOL_MAX_BUFFER / 2 { POOL_MAX_BUFFER } else { POOL_LARGEST_BUFFER };
        within("memory for content", memory, pooled.max(most));
    }
}
