//! What a route has set for its WebSockets.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use super::Origins;

/// The settings of a route. Its sockets share them.
pub(super) struct Settings {
    pub(super) origins: RefCell<Origins>,
    pub(super) sizes: Cell<Sizes>,
    pub(super) times: Cell<Times>,
}

/// How much a client may send.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    /// Bytes of a message.
    pub(super) message: usize,
    /// Frames of a message.
    pub(super) fragments: usize,
    /// Bytes from which on a message is compressed.
    pub(super) deflate_from: usize,
}

/// How long things may take.
#[derive(Clone, Copy)]
pub(super) struct Times {
    /// The silence after which a ping is sent.
    pub(super) ping: Duration,
    /// The time for the answer to a ping.
    pub(super) pong: Duration,
    /// The time for the answer to a Close frame.
    pub(super) close: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        let sizes = Sizes { message: 64 * 1024, fragments: 1024, deflate_from: 256 };
        let seconds = Duration::from_secs;
        let times = Times { ping: seconds(30), pong: seconds(10), close: seconds(5) };
        Self { origins: RefCell::default(), sizes: Cell::new(sizes), times: Cell::new(times) }
    }
}
