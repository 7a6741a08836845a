use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
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
    /// Registers for both directions, once and for all: edge triggering needs no `epoll_ctl` per request.
    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        // Urgent data cuts reads short, so one has to know of it.
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let both = both | Interest::PRIORITY;
        match self {
            Self::Tcp(stream) => stream.register(registry, token, both),
            Self::Unix(stream) => stream.register(registry, token, both),
        }
    }
}

/// What an event says of a socket. An error makes both directions ready: the next call will tell which error it is.
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
        half_closed: event.is_read_closed(),
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

    /// `MSG_MORE` keeps the bytes back until the shutdown(2) that follows, so that data and FIN leave in one segment
    /// (tcp(7)). A close(2) would do it too, with one call less; but it throws away what was kept back if the client has
    /// sent anything since the last read.
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

    /// `MSG_MORE` keeps the bytes back until the next call.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn write_ahead(&mut self, bytes: &[u8]) -> io::Result<usize> {
        use rustix::net::{SendFlags, send};
        match self {
            Self::Tcp(stream) => Ok(send(&*stream, bytes, SendFlags::MORE | SendFlags::NOSIGNAL)?),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    /// A byte at the end of the stretch tells for all of it: preadv2(2) with `RWF_NOWAIT` reads what is in the page cache, and
    /// nothing else. Where that cannot be said, it is taken to be there.
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

    /// sendfile(2): from the page cache to the socket, without passing through our memory. What it cannot send (a file
    /// system may not let it) is read and written.
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
            // No socket says so: it is the disk.
            Err(error @ (Errno::IO | Errno::STALE | Errno::BADMSG | Errno::UCLEAN)) => {
                log::error!("a file cannot be read: {error}");
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

    /// A close(2) without lingering is a reset (tcp(7)). A unix socket has none: there the end of the stream comes early.
    fn reset(&mut self) {
        if let Self::Tcp(stream) = self
            && let Err(error) = rustix::net::sockopt::set_socket_linger(&*stream, Some(Duration::ZERO))
        {
            log::debug!("a reset that is a plain end: {error}");
        }
    }

    /// Asked of the kernel.
    fn local(&self) -> Endpoint {
        match self {
            // Only a socket that is gone has no address; then nobody will look at it.
            Self::Tcp(stream) => stream.local_addr().map_or(Endpoint::Unix, Endpoint::from),
            Self::Unix(_) => Endpoint::Unix,
        }
    }

    /// epoll(7) says so of stream sockets, and Linux keeps to it for TCP, but for urgent data and FIN (see
    /// `Readiness::to_the_end`). A unix socket hands over one buffer per call; elsewhere nothing is promised.
    #[inline]
    fn short_means_exhausted(&self) -> bool {
        cfg!(any(target_os = "linux", target_os = "android")) && matches!(self, Self::Tcp(_))
    }
}

/// The shape of slab's own entry: what an idle connection costs.
#[allow(dead_code, reason = "only its size is asked for")]
enum Entry {
    Vacant(usize),
    Occupied(Session<Socket>),
}

// With debug assertions, mio's sockets remember their poll.
const _: () = assert!(size_of::<Entry>() <= if cfg!(debug_assertions) { 144 } else { 128 }, "a slab entry has grown");
