//! One event for many clients.

use std::sync::Arc;

use super::{Event, EventSender};
use crate::exchange::SendError;
use crate::http::Result;

/// Tells many clients the same. It lives in the application's state, so it needs no lock: whoever sends has `&mut S`.
///
/// An event is encoded once, and its bytes are there once, however many clients have yet to take them. What waits for a
/// client that is slow is bounded by [`CHANNEL_BYTES`](crate::limits::CHANNEL_BYTES) and one event more in its sender, and
/// [`HIGH_WATER`](crate::limits::HIGH_WATER) and one event more in its connection; [`Slow`] says what becomes of it then.
///
/// The example of the [module](super) has one.
#[derive(Debug)]
pub struct Broadcast {
    clients: Vec<EventSender>,
    slow: Slow,
    /// Clients that were dropped, or events that clients have missed.
    dropped: u64,
    skipped: u64,
    /// How many clients there may be before those that are gone are looked for, so that they go also when nothing is sent.
    sweep_at: usize,
}

/// What becomes of a client that does not take its events as fast as they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slow {
    /// Its stream ends, behind what waits for it. So it loses nothing: the browser comes again when it has taken that,
    /// says by [`Last-Event-ID`](super::last_event_id) what it has had last, and gets what it has missed. For events that
    /// each count.
    ///
    /// An abort would take from it also what it would still have had. One that takes nothing at all does not stay for
    /// long either: the [send timeout](crate::Config::send_timeout) ends it.
    Drop,
    /// It misses what is sent until it has taken half of what waits for it, and does not know. For events of which the
    /// last one counts, such as a price.
    Skip,
}

/// So few clients are not worth a search.
const FEW: usize = 16;

impl Broadcast {
    /// A broadcast that nobody hears yet.
    pub const fn new(slow: Slow) -> Self {
        Self { clients: Vec::new(), slow, dropped: 0, skipped: 0, sweep_at: FEW }
    }

    /// Adds a client: it gets what is sent from now on.
    pub fn add(&mut self, client: EventSender) {
        if self.clients.len() >= self.sweep_at {
            self.clients.retain(|client| !client.is_closed());
            // Only when they have doubled again, so that a client costs the same at any number of them.
            self.sweep_at = FEW.max(2 * self.clients.len());
        }
        if !client.is_closed() {
            self.clients.push(client);
        }
    }

    /// Sends an event to all clients; gives how many have taken it. Those that are gone are forgotten.
    ///
    /// # Errors
    /// A mistake in the event: then nobody gets it.
    pub fn send(&mut self, event: &Event) -> Result<usize> {
        Ok(self.send_encoded(&event.encode()?))
    }

    /// As [`send`](Self::send), for what [`Event::encode`] has made: so it can be kept for those who come again.
    pub fn send_encoded(&mut self, event: &Arc<[u8]>) -> usize {
        let Self { clients, slow, dropped, skipped, .. } = self;
        let mut taken = 0;
        clients.retain(|client| match (client.push(Arc::clone(event)), *slow) {
            (Ok(()), _) => {
                taken += 1;
                true
            }
            (Err(SendError::Closed), _) => false,
            (Err(SendError::Full(_)), Slow::Drop) => {
                *dropped += 1;
                false
            }
            (Err(SendError::Full(_)), Slow::Skip) => {
                *skipped += 1;
                true
            }
        });
        taken
    }

    /// How many clients there are now. It asks each.
    pub fn len(&self) -> usize {
        self.clients.iter().filter(|client| !client.is_closed()).count()
    }

    /// Whether nobody would hear an event.
    pub fn is_empty(&self) -> bool {
        self.clients.iter().all(EventSender::is_closed)
    }

    /// How many clients were dropped so far because they were slow: always 0 with [`Slow::Skip`].
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// How many times so far a client has missed an event because it was slow, all clients together: always 0 with
    /// [`Slow::Drop`].
    pub const fn skipped(&self) -> u64 {
        self.skipped
    }

    /// How many senders are kept, those that are closed included.
    #[cfg(test)]
    pub(super) const fn kept(&self) -> usize {
        self.clients.len()
    }

    /// Ends all streams, behind what was sent. The browsers come again, unless they find a 204.
    pub fn close(&mut self) {
        self.clients.clear();
    }
}
