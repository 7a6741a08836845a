use std::io::{self, IoSlice};

use crate::buffer::FileRange;
use crate::exchange::{CloseReason, Endpoint};
use crate::limits::FILE_PIECE;

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

    /// As [`write`](Self::write), but more comes at once: the kernel may keep the bytes until then, so that both leave in
    /// one segment.
    fn write_ahead(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write(bytes)
    }

    /// As writev(2).
    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Whether the next `most` bytes of a file can be sent without waiting for a disk, as far as one can tell; if not, they are
    /// fetched from now on.
    fn has_at_hand(&self, range: &FileRange, most: usize) -> bool {
        let _ = (range, most);
        true
    }

    /// Writes at most `most` bytes of a file, from the front of the range; as sendfile(2): 0 if the file has ended before it,
    /// and whoever asks again may find that there is room for more.
    fn send_file(&mut self, range: &FileRange, most: usize) -> io::Result<usize> {
        send_by_reading(self, range, most)
    }

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

/// Sends bytes of a file by reading and writing, for whoever can do no better. What a short write leaves is read again.
pub(crate) fn send_by_reading<T: Transport + ?Sized>(
    transport: &mut T,
    range: &FileRange,
    most: usize,
) -> io::Result<usize> {
    let mut piece = vec![0; most.min(FILE_PIECE)];
    let read = range.read(&mut piece).inspect_err(|error| log::error!("a file cannot be read: {error}"));
    match read? {
        0 => Ok(0),
        count => transport.write(&piece[..count]),
    }
}
