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
    /// A short read exhausts nothing any more, only `WouldBlock` and EOF do. Sticky. The client has closed its side:
    /// data and FIN can share one edge, and no other comes. Or it has sent urgent data: a read stops short of that.
    pub(super) to_the_end: bool,
}

impl Readiness {
    /// Adds what an event says. An error makes both directions ready: the next call will tell which error it is.
    #[inline]
    pub(super) fn add(&mut self, event: &Event) {
        let to_the_end = event.is_read_closed() || event.is_priority();
        self.to_the_end |= to_the_end;
        self.readable |= event.is_readable() || to_the_end || event.is_error();
        self.writable |= event.is_writable() || event.is_error();
    }
}

impl fmt::Display for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = |on: bool, mark| if on { mark } else { "-" };
        write!(f, "{}{}{}", mark(self.readable, "r"), mark(self.writable, "w"), mark(self.to_the_end, "x"))
    }
}
