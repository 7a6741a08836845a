use std::fmt;

use mio::event::Event;

/// What the kernel last said of a socket. With edge triggering it says each thing once; so it is remembered here until
/// the direction is exhausted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Readiness {
    /// A read may bring something.
    pub(super) readable: bool,
    /// A write may take something.
    pub(super) writable: bool,
    /// The client has closed its side. Sticky: data and FIN can share one edge, and no other comes, so from now on
    /// only EOF exhausts reading.
    pub(super) read_closed: bool,
}

impl Readiness {
    /// Adds what an event says. An error makes both directions ready: the next call will tell which error it is.
    #[inline]
    pub(super) fn add(&mut self, event: &Event) {
        self.read_closed |= event.is_read_closed();
        self.readable |= event.is_readable() || self.read_closed || event.is_error();
        self.writable |= event.is_writable() || event.is_error();
    }
}

impl fmt::Display for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = |on: bool, mark| if on { mark } else { "-" };
        write!(f, "{}{}{}", mark(self.readable, "r"), mark(self.writable, "w"), mark(self.read_closed, "x"))
    }
}
