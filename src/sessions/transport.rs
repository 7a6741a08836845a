use std::io::{self, ErrorKind, IoSlice};

use crate::buffer::FileRange;
use crate::exchange::{CloseReason, ConnectionId, Endpoint};
use crate::http::Count;
use crate::limits::FILE_PIECE;

/// What carries the bytes of a session: a socket that never blocks, or something that behaves like one.
///
/// **Edge-triggered**: the owner of the transport reports once that a direction has become ready, by
/// [`Sessions::tell`](super::Sessions::tell). The session remembers it until a call shows that the direction is
/// exhausted.
pub(crate) trait Transport {
    /// As read(2): 0 is the end of the client's stream.
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize>;

    /// As write(2).
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// As [`write`](Self::write), but if the kernel takes all bytes, this also closes our side. So the end of the
    /// stream can travel with the last bytes. The transport will be dropped in this tick.
    fn write_last(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write(bytes)
    }

    /// As [`write`](Self::write), but more bytes follow at once. The kernel may keep these bytes until then, so that
    /// one segment carries both.
    fn write_ahead(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write(bytes)
    }

    /// As writev(2).
    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Whether the next `most` bytes of a file can be sent without waiting for a disk, as far as the transport can
    /// tell. If not, this starts to prefetch them.
    fn has_at_hand(&self, range: &FileRange, most: usize) -> bool {
        let _ = (range, most);
        true
    }

    /// Writes at most `most` bytes of a file, from the front of the range. As with sendfile(2), the result is 0 if the
    /// file ends before the range, and a short write does not mean that there is no more room.
    fn send_file(&mut self, range: &FileRange, most: usize) -> io::Result<usize> {
        send_by_reading(self, range, most)
    }

    /// Closes our side. The client can still read everything that was sent.
    fn half_close(&mut self) -> io::Result<()>;

    /// Makes the end of the transport look like a failure to the client. The transport is about to be dropped.
    fn reset(&mut self);

    /// Our endpoint.
    fn local(&self) -> Endpoint;

    /// Whether a short read or write means that the direction is exhausted, so that no further call is needed.
    fn short_means_exhausted(&self) -> bool;

    /// Whether what the session does is recorded.
    #[cfg(feature = "live")]
    fn is_recorded(&self) -> bool {
        false
    }

    /// The room that the next read must have, if that was decided before: in a replay, it had so much.
    #[cfg(feature = "live")]
    #[inline]
    fn next_room(&self) -> Option<usize> {
        None
    }

    /// The session has ended; the transport is about to be dropped.
    fn ended(&mut self, reason: CloseReason) {
        let _ = reason;
    }
}

/// Sends bytes of a file by reading and writing them, for a transport that has nothing better. What a short write
/// leaves is read again.
pub(crate) fn send_by_reading<T: Transport + ?Sized>(
    transport: &mut T,
    range: &FileRange,
    most: usize,
) -> io::Result<usize> {
    let mut piece = vec![0; most.min(FILE_PIECE)];
    let read = range.read(&mut piece).inspect_err(|error| fault!("a file cannot be read: {error}"));
    match read? {
        0 => Ok(0),
        count => transport.write(&piece[..count]),
    }
}

/// Logs what a read into room for `offered` bytes has returned. `may_be_short` says that fewer bytes mean that the
/// kernel has no more.
#[cold]
pub(super) fn trace_read(id: ConnectionId, result: &io::Result<usize>, offered: usize, may_be_short: bool) {
    match result {
        Ok(0) => log::trace!("conn {id}: read 0 bytes: the client has closed its side"),
        Ok(count) if *count < offered && may_be_short => {
            log::trace!("conn {id}: read {}; the kernel has no more", Count(*count, "byte"));
        }
        Ok(count) => log::trace!("conn {id}: read {}; there may be more", Count(*count, "byte")),
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            log::trace!("conn {id}: read nothing: the kernel has no more");
        }
        Err(error) => log::trace!("conn {id}: the read has failed: {error}"),
    }
}
