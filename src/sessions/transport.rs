use std::io::{self, IoSlice};

use crate::exchange::{CloseReason, Endpoint};

/// What carries the bytes of a session: a socket that never blocks, or something that behaves like one.
///
/// **Edge-triggered**: whoever owns the transport says once when a direction becomes ready, by
/// [`Sessions::tell`](super::Sessions::tell). A session remembers it until a call has shown that it is ready no more.
pub(crate) trait Transport {
    /// As read(2): 0 is the end of the client's stream.
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize>;

    /// As write(2).
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// As [`write`](Self::write), but if all of it is taken, our side is closed with it: so the end of the stream can
    /// leave together with the last bytes. The transport will be dropped in this tick.
    fn write_last(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write(bytes)
    }

    /// As writev(2).
    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Closes our side: the client reads to the end of what was sent.
    fn half_close(&mut self) -> io::Result<()>;

    /// Has the end of the transport look like a failure to the client. It is about to be dropped.
    fn reset(&mut self);

    /// Our end.
    fn local(&self) -> Endpoint;

    /// Whether a short read or write means that there is no more, so that nobody has to try again.
    fn short_means_exhausted(&self) -> bool;

    /// The session has ended; the transport is about to be dropped.
    fn ended(&mut self, reason: CloseReason) {
        let _ = reason;
    }
}
