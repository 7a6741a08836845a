use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;

use mio::event::Source;
use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};

use crate::exchange::Endpoint;

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

    #[inline]
    pub(super) fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(room),
            Self::Unix(stream) => stream.read(room),
        }
    }

    #[inline]
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    pub(super) fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write_vectored(slices),
            Self::Unix(stream) => stream.write_vectored(slices),
        }
    }

    pub(super) fn half_close(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
        }
    }

    /// Our end: asked of the kernel.
    pub(super) fn local(&self) -> Endpoint {
        match self {
            // Only a socket that is gone has no address; then nobody will look at it.
            Self::Tcp(stream) => stream.local_addr().map_or(Endpoint::Unix, Endpoint::from),
            Self::Unix(_) => Endpoint::Unix,
        }
    }

    /// Whether a short read or write means that the kernel has no more: epoll(7) says so of stream sockets, and Linux
    /// keeps to it for TCP, but for urgent data and FIN (see `Readiness::to_the_end`). A unix socket hands over one buffer per call; elsewhere nothing is promised.
    #[inline]
    pub(super) const fn short_means_exhausted(&self) -> bool {
        cfg!(any(target_os = "linux", target_os = "android")) && matches!(self, Self::Tcp(_))
    }
}
