/// How far the server is on its way to the end, as its connections see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Draining {
    /// Nothing has asked the server to stop.
    No,
    /// The server was asked to stop, and serves as before.
    Asked,
    /// A reply is the last one of its connection, unless another request follows its own. A connection between two
    /// requests stays open: its client may have sent one more that is still on its way.
    Grace,
    /// As `Grace`, but a connection between two requests is closed.
    Closing,
}

impl Draining {
    /// Whether the server was asked to stop.
    pub(crate) const fn was_asked(self) -> bool {
        !matches!(self, Self::No)
    }

    /// Whether replies end their connections, and streams should end.
    #[inline]
    pub(crate) const fn has_begun(self) -> bool {
        matches!(self, Self::Grace | Self::Closing)
    }

    /// Whether connections between two requests are closed.
    #[inline]
    pub(crate) const fn closes_idle(self) -> bool {
        matches!(self, Self::Closing)
    }
}
