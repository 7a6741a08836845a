use std::fmt;

/// What the kernel last said of a socket. With edge triggering it says each thing once; so it is remembered here until
/// the direction is exhausted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Readiness {
    /// A read may bring something.
    pub(crate) readable: bool,
    /// A write may take something.
    pub(crate) writable: bool,
    /// A short read exhausts nothing any more, only `WouldBlock` and EOF do. Sticky. The client has closed its side:
    /// data and FIN can share one edge, and no other comes. Or it has sent urgent data: a read stops short of that.
    pub(crate) to_the_end: bool,
    /// The client has closed its side. Sticky, and only beside `to_the_end`; so is the next.
    pub(crate) half_closed: bool,
    /// The client is gone: a reset, or both sides are closed.
    pub(crate) hung_up: bool,
}

impl Readiness {
    /// Adds what an event says.
    #[inline]
    pub(super) const fn add(&mut self, event: Self) {
        self.readable |= event.readable;
        self.writable |= event.writable;
        if event.to_the_end {
            self.to_the_end = true;
            self.half_closed |= event.half_closed;
            self.hung_up |= event.hung_up;
        }
    }
}

impl fmt::Display for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = |on: bool, mark| if on { mark } else { "-" };
        write!(f, "{}{}{}", mark(self.readable, "r"), mark(self.writable, "w"), mark(self.to_the_end, "x"))
    }
}
