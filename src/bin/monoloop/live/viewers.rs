//! The application of the second loop: the pages that are open, what they are shown, and what they ask for.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use monoloop::websocket::{Closed, Message, Room, Slow, Socket, WebSocket};
use monoloop::{Handle, Result};
use serde::Serialize;

use super::clients::{Clients, Report};
use super::orders::{Experiment, LoopOrder, Order};
use super::shared::Shared;

/// Most pages at a time.
const MAX_VIEWERS: usize = 16;

/// The code of a WebSocket that is closed because there is no room for it (in the registry of RFC 6455 §11.7).
const TRY_AGAIN_LATER: u16 = 1013;

/// The state of the second loop.
pub(super) struct Viewers {
    /// A page that does not take its frames skips some, so it costs a bounded amount of memory.
    room: Room,
    shared: Arc<Shared>,
    orders: Sender<LoopOrder>,
    /// The observed loop, from its start on.
    observed: Option<Observed>,
    clients: Clients,
    /// The last frame, for a page that opens later.
    last: Option<String>,
}

/// What the second loop can do with the observed one.
pub(super) struct Observed {
    /// Where its clients connect.
    pub(super) address: SocketAddr,
    /// Makes it begin its next tick.
    pub(super) wake: Box<dyn Fn() + Send>,
    pub(super) drain: Box<dyn Fn() + Send>,
    /// By it the experiments reach the pages.
    pub(super) pages: Handle<Viewers>,
}

/// One page.
pub(super) struct Viewer;

/// What a page is told besides the frames.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Answer<'a> {
    /// An experiment has begun.
    Started { what: Experiment },
    /// An order cannot be followed, or an experiment cannot go on.
    Refused { why: &'a str },
    /// The clients of an experiment have measured something.
    Measured { text: &'a str },
    /// The observed server has ended, in this way.
    Ended { how: &'a str },
}

impl Viewers {
    pub(super) fn new(shared: Arc<Shared>, orders: Sender<LoopOrder>) -> Self {
        Self { room: Room::new(Slow::Skip), shared, orders, observed: None, clients: Clients::new(), last: None }
    }

    /// Gets to know the observed loop, which is about to run.
    pub(super) fn connect(&mut self, observed: Observed) {
        self.observed = Some(observed);
    }

    /// Shows a frame to all pages.
    pub(super) fn show(&mut self, frame: String) {
        self.shared.end_frame();
        self.room.send(Message::Text(&frame));
        self.last = Some(frame);
    }

    /// Ends all experiments.
    pub(super) fn stop_clients(&mut self) {
        self.clients.stop();
    }

    /// Tells all pages that the observed server has ended, in these words.
    pub(super) fn tell_end(&mut self, how: &str) {
        self.stop_clients();
        self.tell(&Answer::Ended { how });
    }

    /// Tells all pages what an experiment has to say. That a drain refuses clients which are just about to come is no
    /// news.
    fn tell_report(&mut self, report: &Report) {
        if matches!(report, Report::Failed(_)) && (self.shared.is_drained() || self.shared.is_closed()) {
            return;
        }
        self.tell(&match report {
            Report::Measured(text) => Answer::Measured { text },
            Report::Failed(why) => Answer::Refused { why },
        });
    }

    fn tell(&mut self, answer: &Answer<'_>) {
        if let Err(error) = self.room.send_json(answer) {
            log::error!("cannot tell the pages of something: {error:?}");
        }
    }

    /// Passes an order to the observed loop. It is woken only if it may sleep: while it is paused, a wake-up would show
    /// in its next tick.
    fn pass(&self, order: LoopOrder) {
        let _ = self.orders.send(order);
        if let Some(observed) = self.observed.as_ref().filter(|_| !self.shared.is_held()) {
            (observed.wake)();
        }
    }

    /// Follows an order. Returns what the page is told.
    ///
    /// # Errors
    /// One sentence that says why it cannot be followed.
    fn obey(&mut self, order: Order) -> std::result::Result<Option<Answer<'static>>, String> {
        match order {
            Order::Speed { delay } => self.pass(LoopOrder::Speed(Duration::from_millis(delay))),
            Order::Pause {} => self.pass(LoopOrder::Pause),
            Order::Resume {} => self.pass(LoopOrder::Resume),
            Order::Step {} => self.pass(LoopOrder::Step),
            Order::Stop {} => self.stop_clients(),
            Order::Start { what } => {
                let observed = self.observed.as_ref().ok_or("The server has not started yet.")?;
                if self.shared.is_closed() {
                    return Err("The server drains, so it accepts no client any more.".to_owned());
                }
                let pages = observed.pages.clone();
                let report = move |report| pages.post(move |viewers| viewers.tell_report(&report));
                // The request may come before this returns.
                let blocks = what == Experiment::Block;
                if blocks {
                    self.shared.allow_block();
                }
                if let Err(why) = self.clients.start(what, observed.address, report) {
                    let _ = blocks && self.shared.take_block();
                    return Err(why);
                }
                return Ok(Some(Answer::Started { what }));
            }
            Order::Drain {} => {
                let observed = self.observed.as_ref().ok_or("The server has not started yet.")?;
                self.shared.set_drained();
                (observed.drain)();
                self.pass(LoopOrder::Resume);
            }
        }
        Ok(None)
    }
}

impl WebSocket<Viewers> for Viewer {
    fn open(&mut self, viewers: &mut Viewers, ws: &mut Socket<'_>) -> Result<()> {
        if viewers.room.len() == MAX_VIEWERS {
            // A script learns the reason of a close, but not the status of a handshake that was refused.
            return ws.close(TRY_AGAIN_LATER, &format!("{MAX_VIEWERS} pages are open already"));
        }
        viewers.room.join(ws);
        if viewers.room.len() == 1 {
            viewers.shared.set_watched(true);
            // The loop may sleep. In the tick that this brings it begins to be observed.
            if let Some(observed) = &viewers.observed {
                (observed.wake)();
            }
        }
        match &viewers.last {
            Some(frame) => ws.send(Message::Text(frame)),
            None => Ok(()),
        }
    }

    fn message(&mut self, viewers: &mut Viewers, message: Message<'_>, ws: &mut Socket<'_>) -> Result<()> {
        let order = message.as_text().map_or_else(|| Err("an order is text".to_owned()), Order::read);
        match order.and_then(|order| viewers.obey(order)) {
            Ok(Some(answer)) => ws.send_json(&answer),
            Ok(None) => Ok(()),
            Err(why) => ws.send_json(&Answer::Refused { why: &why }),
        }
    }

    fn close(self: Box<Self>, viewers: &mut Viewers, end: Closed<'_>) {
        if end.was_open && viewers.room.is_empty() {
            viewers.shared.set_watched(false);
            viewers.last = None;
            viewers.pass(LoopOrder::Alone);
        }
    }
}
