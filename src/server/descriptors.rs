//! The descriptors of the process: how many may be open, which of them are kept for the application, and what helps
//! when none is free.

use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixDatagram;

use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::process::{Resource, getrlimit, setrlimit};

use super::listener::Accept;
use super::socket::Socket;
use crate::exchange::{Endpoint, Service, guard};
use crate::limits::reserved_descriptors;

/// The last descriptors of the process, which connections must not take, because the application needs them to answer
/// those who are already there.
///
/// The kernel gives each new descriptor the lowest free number (POSIX, accept(2)). So a number tells that all below it
/// are in use, and no count is needed. This holds for all threads of the process together.
#[derive(Debug)]
pub(super) struct Reserve {
    /// How many the application has asked for; 0 if connections may take all.
    asked: usize,
    /// From this number on, the next connection might take a descriptor of the reserve.
    near: RawFd,
    /// The last connection has such a number.
    is_near: bool,
}

impl Reserve {
    /// Connections may take all descriptors.
    pub(super) const NONE: Self = Self { asked: 0, near: RawFd::MAX, is_near: false };

    /// The reserve that the application asks for.
    pub(super) fn of(service: &mut dyn Service) -> Self {
        let asked = guard(|| service.descriptor_reserve()).unwrap_or_else(|panic| {
            fault!("the application's descriptor_reserve {panic}");
            0
        });
        let (first, count) = first_reserved(asked);
        if asked > 0 && lowest_free().is_none_or(|lowest| lowest.as_raw_fd() >= first) {
            log::warn!("too few descriptors are free to keep {count} to open files");
            return Self::NONE;
        }
        Self { asked, near: near(first, count), is_near: false }
    }

    /// Accepts a connection, unless it would take a descriptor of the reserve.
    pub(super) fn accept(&mut self, listener: &impl Accept) -> io::Result<(Socket, Endpoint)> {
        if self.is_near && !self.has_spare() {
            let (first, count) = first_reserved(self.asked);
            let limit = first.saturating_add(count);
            let text = format!("the last {count} of {limit} descriptors are kept to open files");
            return Err(io::Error::new(ErrorKind::QuotaExceeded, text));
        }
        let (socket, peer) = listener.accept()?;
        self.is_near = self.asked > 0 && socket.number() >= self.near;
        Ok((socket, peer))
    }

    /// Whether a descriptor below the reserve is free, and at least half of the reserve is. Files that are still being
    /// sent take the numbers of the reserve from its beginning.
    fn has_spare(&mut self) -> bool {
        let (first, count) = first_reserved(self.asked);
        let Some(lowest) = lowest_free().filter(|lowest| lowest.as_raw_fd() < first) else { return false };
        if std::mem::replace(&mut self.near, near(first, count)) != self.near {
            // The limit was changed. A descriptor far above all others would make the kernel's table grow.
            return true;
        }
        fcntl_dupfd_cloexec(&lowest, first).is_ok_and(|free| free.as_raw_fd() <= first + count / 2)
    }
}

/// A descriptor with the lowest free number.
fn lowest_free() -> Option<UnixDatagram> {
    UnixDatagram::unbound().ok()
}

/// The number from which on a connection is near the reserve. Files that were opened since the last connection may have
/// taken so many numbers.
fn near(first: RawFd, count: RawFd) -> RawFd {
    first.saturating_sub(count)
}

/// The number of the first descriptor that is kept free, and how many are.
fn first_reserved(asked: usize) -> (RawFd, RawFd) {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let count = reserved_descriptors(asked, limit);
    let number = |number: u64| RawFd::try_from(number).unwrap_or(RawFd::MAX);
    (number(limit - count), number(count))
}

/// Whether a call failed because no descriptor is free, or none that it may take.
pub(super) fn ran_out(error: &io::Error) -> bool {
    match Errno::from_io_error(error) {
        Some(errno) => matches!(errno, Errno::MFILE | Errno::NFILE),
        None => error.kind() == ErrorKind::QuotaExceeded,
    }
}

/// Asks the application to close descriptors that it only keeps. Returns whether it closed any.
pub(super) fn free(service: &mut dyn Service) -> bool {
    guard(|| service.free_descriptors()).unwrap_or_else(|panic| {
        fault!("the application's free_descriptors {panic}");
        false
    })
}

/// Raises the soft limit of open descriptors to the hard limit. If the kernel refuses, the soft limit stays.
pub(super) fn raise_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            log::debug!("cannot raise the descriptor limit: {error}");
        }
    }
}
