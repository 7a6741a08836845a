//! One event for many clients.

use std::sync::Arc;

use super::{Event, EventSender};
use crate::exchange::SendError;
use crate::http::Result;

/// Sends the same events to many clients. It is part of the application's state and needs no lock, because sending
/// needs `&mut S`.
///
/// An event is encoded once, and memory has its bytes once, however many clients have yet to take them. For a slow
/// client, its sender holds at most [`CHANNEL_BYTES`](crate::limits::CHANNEL_BYTES) and one event more, and its
/// connection at most [`HIGH_WATER`](crate::limits::HIGH_WATER) and one event more. [`Slow`] says what happens to the
/// client then.
///
/// See the example of the [module](super).
#[doc(alias("sse", "publish", "subscribe"))]
#[derive(Debug)]
pub struct Broadcast {
    clients: Vec<EventSender>,
    slow: Slow,
    /// The number of clients that were dropped.
    dropped: u64,
    /// The number of events that clients have missed.
    skipped: u64,
    /// The number of clients at which closed ones are removed, so that they do not pile up when nothing is sent.
    sweep_at: usize,
}

/// What happens to a client that does not take its events as fast as they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slow {
    /// Its stream ends after the events that wait for it. So the client loses nothing: the browser takes those events,
    /// reconnects, names the last one in [`Last-Event-ID`](super::last_event_id), and gets the missed ones. Use this if
    /// each event counts.
    ///
    /// An abort would also discard the events that wait. A client that takes nothing at all does not stay for long
    /// either: the [send timeout](crate::Config::send_timeout) closes its connection.
    Drop,
    /// It misses further events, without notice, until it has taken half of those that wait for it. Use this if only
    /// the last event counts, such as a price.
    Skip,
}

/// With no more clients than this, closed ones are not searched.
const FEW: usize = 16;

impl Broadcast {
    /// A broadcast without clients.
    pub const fn new(slow: Slow) -> Self {
        Self { clients: Vec::new(), slow, dropped: 0, skipped: 0, sweep_at: FEW }
    }

    /// Adds a client, which gets all events that are sent from now on.
    pub fn add(&mut self, client: EventSender) {
        if self.clients.len() >= self.sweep_at {
            self.clients.retain(|client| !client.is_closed());
            // The next search is due when the number has doubled, so that the cost per client stays constant.
            self.sweep_at = FEW.max(2 * self.clients.len());
        }
        if !client.is_closed() {
            self.clients.push(client);
        }
    }

    /// Sends an event to all clients; returns how many have taken it. Clients that have left are removed.
    ///
    /// # Errors
    /// A mistake in the event: then no client gets it.
    pub fn send(&mut self, event: &Event) -> Result<usize> {
        Ok(self.send_encoded(&event.encode()?))
    }

    /// As [`send`](Self::send), for an event from [`Event::encode`]. The application can keep that for clients that
    /// reconnect.
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

    /// How many clients there are now. This checks each of them.
    pub fn len(&self) -> usize {
        self.clients.iter().filter(|client| !client.is_closed()).count()
    }

    /// Whether no client would get an event.
    pub fn is_empty(&self) -> bool {
        self.clients.iter().all(EventSender::is_closed)
    }

    /// How many clients were dropped so far because they were slow: always 0 with [`Slow::Skip`].
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// How many events clients have missed so far because they were slow, summed over all clients: always 0 with
    /// [`Slow::Drop`].
    pub const fn skipped(&self) -> u64 {
        self.skipped
    }

    /// How many senders are kept, including closed ones.
    #[cfg(test)]
    pub(super) const fn kept(&self) -> usize {
        self.clients.len()
    }

    /// Ends all streams after the events that were sent. The browsers reconnect, unless the reply is a 204 then.
    pub fn close(&mut self) {
        self.clients.clear();
    }
}
