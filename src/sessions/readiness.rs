use std::fmt;

/// What the kernel last said about a socket. With edge triggering it says each thing only once, so it is kept here
/// until the direction is exhausted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Readiness {
    /// A read may return something.
    pub(crate) readable: bool,
    /// A write may take something.
    pub(crate) writable: bool,
    /// A short read does not mean any more that the socket is exhausted; only `WouldBlock` and EOF do. This flag stays
    /// set.
    ///
    /// There are two causes. The client has closed its side: data and FIN can share one edge, and no other edge comes.
    /// Or the client has sent urgent data: a read stops before that.
    pub(crate) to_the_end: bool,
    /// The client has closed its side. This flag stays set, and is set only together with `to_the_end`.
    pub(crate) read_closed: bool,
    /// The client is gone: a reset, or both sides are closed. This flag, too, stays set, and only beside `to_the_end`.
    pub(crate) hung_up: bool,
}

impl Readiness {
    /// Adds the readiness that an event reports.
    #[inline]
    pub(super) const fn add(&mut self, event: Self) {
        self.readable |= event.readable;
        self.writable |= event.writable;
        if event.to_the_end {
            self.to_the_end = true;
            self.read_closed |= event.read_closed;
            self.hung_up |= event.hung_up;
        }
    }
}

impl fmt::Display for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [
            (self.readable, "readable"),
            (self.writable, "writable"),
            (self.read_closed && !self.hung_up, "closed by the client"),
            (self.hung_up, "hung up"),
            // Of the causes of the flag, only this one is left.
            (self.to_the_end && !self.read_closed && !self.hung_up, "urgent data"),
        ];
        let mut said = words.iter().filter(|(on, _)| *on).map(|(_, word)| *word);
        f.write_str(said.next().unwrap_or("neither readable nor writable"))?;
        said.try_for_each(|word| write!(f, ", {word}"))
    }
}

#[cfg(test)]
mod tests {
    use super::Readiness;

    #[test]
    fn the_trace_log_names_each_thing_that_an_event_says() {
        let readable = Readiness { readable: true, ..Readiness::default() };
        let both = Readiness { writable: true, ..readable };
        let urgent = Readiness { to_the_end: true, ..both };
        let closed = Readiness { read_closed: true, ..urgent };
        let gone = Readiness { hung_up: true, ..closed };
        for (readiness, expected) in [
            (Readiness::default(), "neither readable nor writable"),
            (readable, "readable"),
            (both, "readable, writable"),
            (urgent, "readable, writable, urgent data"),
            (closed, "readable, writable, closed by the client"),
            (gone, "readable, writable, hung up"),
        ] {
            assert_eq!(readiness.to_string(), expected);
        }
    }
}
