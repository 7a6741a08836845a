//! What the observer saw.

use std::fmt::Debug;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Instant;

use monoloop::server::{CloseReason, ConnectionId, DrainCause, FinishedReply, Observer, Tick, Timeout};
use monoloop::{Endpoint, Error, Request};

use super::LIMIT;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event {
    Listening(Endpoint),
    Opened(u64, Endpoint),
    Request(u64, String),
    Finished {
        id: u64,
        status: u16,
        content: u64,
    },
    Failed(u64, u16),
    Upgraded(u64),
    TimedOut(u64, Timeout),
    Backpressure(u64, bool),
    Closed(u64, CloseReason),
    /// With the number of the system's error.
    Trouble(Option<i32>),
    Draining(DrainCause),
    ServerClosed,
}

/// Everything that the observer of a server was told, in order. Ticks are only counted.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Shared>);

#[derive(Default)]
struct Shared {
    events: Mutex<Vec<Event>>,
    changed: Condvar,
    ticks: AtomicUsize,
}

impl Log {
    fn lock(&self) -> MutexGuard<'_, Vec<Event>> {
        self.0.events.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn add(&self, event: Event) {
        self.lock().push(event);
        self.0.changed.notify_all();
    }

    /// All events so far.
    pub(crate) fn events(&self) -> Vec<Event> {
        self.lock().clone()
    }

    /// An observer that writes into this log.
    pub(crate) fn recorder(&self) -> Recorder {
        Recorder(self.clone())
    }

    pub(crate) fn ticks(&self) -> usize {
        self.0.ticks.load(Ordering::Relaxed)
    }

    pub(crate) fn count(&self, matches: impl Fn(&Event) -> bool) -> usize {
        self.lock().iter().filter(|event| matches(event)).count()
    }

    /// Waits for the first event that `pick` takes, including earlier ones.
    #[track_caller]
    pub(crate) fn wait_for<T>(&self, what: &str, pick: impl Fn(&Event) -> Option<T>) -> T {
        self.wait_until(what, |events| events.iter().find_map(&pick))
    }

    /// Waits until `pick` finds something in all events so far.
    #[track_caller]
    pub(crate) fn wait_until<T>(&self, what: &str, pick: impl Fn(&[Event]) -> Option<T>) -> T {
        let end = Instant::now() + LIMIT;
        let mut events = self.lock();
        loop {
            if let Some(found) = pick(&events) {
                return found;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let last: Vec<_> = events.iter().rev().take(20).rev().cloned().collect();
                drop(events);
                panic!("it did not happen: {what}; of all events these are the last: {last:#?}");
            }
            let woken = self.0.changed.wait_timeout(events, left);
            events = woken.unwrap_or_else(|poisoned| poisoned.into_inner()).0;
        }
    }

    #[track_caller]
    pub(crate) fn wait_closed(&self, id: u64) -> CloseReason {
        self.wait_for(&format!("connection {id} is closed"), |event| match event {
            Event::Closed(closed, reason) if *closed == id => Some(*reason),
            _ => None,
        })
    }

    #[track_caller]
    pub(crate) fn wait_event(&self, expected: &Event) {
        self.wait_for(&format!("{expected:?}"), |event| (event == expected).then_some(()));
    }
}

/// The observer that writes the log.
pub(crate) struct Recorder(Log);

impl Observer for Recorder {
    fn listening(&mut self, local: &Endpoint) {
        self.0.add(Event::Listening(*local));
    }

    fn connection_opened(&mut self, id: ConnectionId, peer: &Endpoint) {
        self.0.add(Event::Opened(id.get(), *peer));
    }

    fn request(&mut self, id: ConnectionId, request: &Request<'_>) {
        self.0.add(Event::Request(id.get(), request.target().to_owned()));
    }

    fn reply_finished(&mut self, id: ConnectionId, reply: &FinishedReply<'_>) {
        self.0.add(Event::Finished { id: id.get(), status: reply.status, content: reply.content });
    }

    fn request_failed(&mut self, id: ConnectionId, error: &Error) {
        self.0.add(Event::Failed(id.get(), error.status()));
    }

    fn upgraded(&mut self, id: ConnectionId) {
        self.0.add(Event::Upgraded(id.get()));
    }

    fn timed_out(&mut self, id: ConnectionId, timeout: Timeout) {
        self.0.add(Event::TimedOut(id.get(), timeout));
    }

    fn backpressure(&mut self, id: ConnectionId, on: bool) {
        self.0.add(Event::Backpressure(id.get(), on));
    }

    fn connection_closed(&mut self, id: ConnectionId, reason: CloseReason) {
        self.0.add(Event::Closed(id.get(), reason));
    }

    fn server_error(&mut self, error: &io::Error) {
        self.0.add(Event::Trouble(error.raw_os_error()));
    }

    fn ticked(&mut self, _: &Tick) {
        self.0.0.ticks.fetch_add(1, Ordering::Relaxed);
    }

    fn draining(&mut self, cause: DrainCause) {
        self.0.add(Event::Draining(cause));
    }

    fn server_closed(&mut self) {
        self.0.add(Event::ServerClosed);
    }
}

/// A boxed observer, because `Server::observer` takes an observer by value.
pub(super) struct Boxed(pub(super) Box<dyn Observer>);

impl Observer for Boxed {
    fn listening(&mut self, local: &Endpoint) {
        self.0.listening(local);
    }

    fn connection_opened(&mut self, id: ConnectionId, peer: &Endpoint) {
        self.0.connection_opened(id, peer);
    }

    fn request(&mut self, id: ConnectionId, request: &Request<'_>) {
        self.0.request(id, request);
    }

    fn reply_finished(&mut self, id: ConnectionId, reply: &FinishedReply<'_>) {
        self.0.reply_finished(id, reply);
    }

    fn request_failed(&mut self, id: ConnectionId, error: &Error) {
        self.0.request_failed(id, error);
    }

    fn upgraded(&mut self, id: ConnectionId) {
        self.0.upgraded(id);
    }

    fn timed_out(&mut self, id: ConnectionId, timeout: Timeout) {
        self.0.timed_out(id, timeout);
    }

    fn backpressure(&mut self, id: ConnectionId, on: bool) {
        self.0.backpressure(id, on);
    }

    fn connection_closed(&mut self, id: ConnectionId, reason: CloseReason) {
        self.0.connection_closed(id, reason);
    }

    fn server_error(&mut self, error: &io::Error) {
        self.0.server_error(error);
    }

    fn ticked(&mut self, tick: &Tick) {
        self.0.ticked(tick);
    }

    fn draining(&mut self, cause: DrainCause) {
        self.0.draining(cause);
    }

    fn server_closed(&mut self) {
        self.0.server_closed();
    }
}
