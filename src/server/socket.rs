use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use mio::event::{Event, Source};
use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};

use crate::buffer::FileRange;
use crate::exchange::Endpoint;
use crate::sessions::{Readiness, Session, Transport, send_by_reading};

/// The socket of a session.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    /// The number of its descriptor.
    pub(super) fn number(&self) -> RawFd {
        match self {
            Self::Tcp(stream) => stream.as_raw_fd(),
            Self::Unix(stream) => stream.as_raw_fd(),
        }
    }

    /// Registers both directions once, for the life of the socket: edge triggering needs no epoll_ctl(2) per request.
    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        // Urgent data makes a read return early, so the kernel has to report it.
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let both = both | Interest::PRIORITY;
        match self {
            Self::Tcp(stream) => stream.register(registry, token, both),
            Self::Unix(stream) => stream.register(registry, token, both),
        }
    }
}

/// What an event says about a socket. An error makes both directions ready: the next call returns the error.
#[inline]
pub(super) fn readiness(event: &Event) -> Readiness {
    let to_the_end = event.is_read_closed() || event.is_priority() || event.is_error();
    if to_the_end {
        return last_readiness(event);
    }
    Readiness { readable: event.is_readable(), writable: event.is_writable(), ..Readiness::default() }
}

#[cold]
fn last_readiness(event: &Event) -> Readiness {
    Readiness {
        readable: true,
        writable: event.is_writable() || event.is_error(),
        to_the_end: true,
        read_closed: event.is_read_closed(),
        hung_up: event.is_error() || event.is_write_closed(),
    }
}

impl Transport for Socket {
    #[inline]
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(room),
            Self::Unix(stream) => stream.read(room),
        }
    }

    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    /// `MSG_MORE` holds the bytes back until the shutdown(2) that follows, so that data and FIN leave in one segment
    /// (tcp(7)). close(2) would do the same with one call less. But it discards the held bytes if the client has sent
    /// anything since the last read.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn write_last(&mut self, bytes: &[u8]) -> io::Result<usize> {
        use rustix::net::{SendFlags, send};
        match self {
            Self::Tcp(stream) => {
                let count = send(&*stream, bytes, SendFlags::MORE | SendFlags::NOSIGNAL)?;
                if count == bytes.len() {
                    stream.shutdown(Shutdown::Write)?;
                }
                Ok(count)
            }
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    /// `MSG_MORE` holds the bytes back until the next call.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn write_ahead(&mut self, bytes: &[u8]) -> io::Result<usize> {
        use rustix::net::{SendFlags, send};
        match self {
            Self::Tcp(stream) => Ok(send(&*stream, bytes, SendFlags::MORE | SendFlags::NOSIGNAL)?),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    /// Tests only the last byte and assumes the same of the others: preadv2(2) with `RWF_NOWAIT` reads nothing but the
    /// page cache. With any other answer than `EAGAIN`, the bytes count as cached.
    #[cfg(target_os = "linux")]
    fn has_at_hand(&self, range: &FileRange, most: usize) -> bool {
        use std::io::IoSliceMut;
        use std::num::NonZeroU64;

        use rustix::fs::{Advice, fadvise};
        use rustix::io::{Errno, ReadWriteFlags, preadv2};
        let mut byte = [0];
        let last = range.offset() + most as u64 - 1;
        let read = preadv2(range.file(), &mut [IoSliceMut::new(&mut byte)], last, ReadWriteFlags::NOWAIT);
        let is_there = read != Err(Errno::AGAIN);
        if !is_there {
            let _ = fadvise(range.file(), range.offset(), NonZeroU64::new(most as u64), Advice::WillNeed);
        }
        is_there
    }

    /// Uses sendfile(2), which copies from the page cache to the socket without passing through our memory. If the file
    /// system does not support it, the bytes are read and written instead.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn send_file(&mut self, range: &FileRange, most: usize) -> io::Result<usize> {
        use rustix::fs::sendfile;
        use rustix::io::Errno;
        let mut offset = range.offset();
        let sent = match self {
            Self::Tcp(stream) => sendfile(&*stream, range.file(), Some(&mut offset), most),
            Self::Unix(stream) => sendfile(&*stream, range.file(), Some(&mut offset), most),
        };
        match sent {
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => send_by_reading(self, range, most),
            // These errors never come from a socket, only from the disk.
            Err(error @ (Errno::IO | Errno::STALE | Errno::BADMSG | Errno::UCLEAN)) => {
                fault!("a file cannot be read: {error}");
                Err(error.into())
            }
            sent => Ok(sent?),
        }
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write_vectored(slices),
            Self::Unix(stream) => stream.write_vectored(slices),
        }
    }

    fn half_close(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
        }
    }

    /// With a linger time of zero, close(2) sends a reset (tcp(7)). A unix socket has no reset: its stream just ends
    /// early.
    fn reset(&mut self) {
        if let Self::Tcp(stream) = self
            && let Err(error) = rustix::net::sockopt::set_socket_linger(&*stream, Some(Duration::ZERO))
        {
            log::debug!("cannot reset the connection, so it just ends: {error}");
        }
    }

    /// Asks the kernel.
    fn local(&self) -> Endpoint {
        match self {
            // Only a dead socket has no address, and then no request will use it.
            Self::Tcp(stream) => stream.local_addr().map_or(Endpoint::Unix, Endpoint::from),
            Self::Unix(_) => Endpoint::Unix,
        }
    }

    /// epoll(7) promises this for stream sockets. For TCP, Linux keeps the promise except with urgent data and FIN (see
    /// `Readiness::to_the_end`). A unix socket hands over one buffer per call, and other systems promise nothing.
    #[inline]
    fn short_means_exhausted(&self) -> bool {
        cfg!(any(target_os = "linux", target_os = "android")) && matches!(self, Self::Tcp(_))
    }
}

/// The same layout as slab's own entry: its size is what an idle connection costs.
#[allow(dead_code, reason = "only its size is used")]
enum Entry {
    Vacant(usize),
    Occupied(Session<Socket>),
}

// With debug assertions, mio's sockets are larger, since they remember their poll.
const _: () = assert!(size_of::<Entry>() <= if cfg!(debug_assertions) { 144 } else { 128 }, "a slab entry has grown");
