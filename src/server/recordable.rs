//! The transport of a session where recording is possible: a socket, or one whose calls are recorded. Each call goes to
//! the one that is inside. Without the feature `live`, the loop has plain sockets, and nothing of this file.

use std::cell::RefCell;
use std::io::{self, IoSlice};

use slab::Slab;

use super::socket::Socket;
use crate::buffer::FileRange;
use crate::exchange::Endpoint;
use crate::recording::Taped;
use crate::sessions::Transport;

/// A socket whose calls may be recorded.
#[derive(Debug)]
pub(super) enum Recordable {
    Plain(Socket),
    Recorded(Shelved),
}

impl Transport for Recordable {
    #[inline]
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(room),
            Self::Recorded(shelved) => shelved.with(|taped| taped.read(room)),
        }
    }

    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Recorded(shelved) => shelved.with(|taped| taped.write(bytes)),
        }
    }

    fn write_last(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write_last(bytes),
            Self::Recorded(shelved) => shelved.with(|taped| taped.write_last(bytes)),
        }
    }

    fn write_ahead(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write_ahead(bytes),
            Self::Recorded(shelved) => shelved.with(|taped| taped.write_ahead(bytes)),
        }
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write_vectored(slices),
            Self::Recorded(shelved) => shelved.with(|taped| taped.write_vectored(slices)),
        }
    }

    fn has_at_hand(&self, range: &FileRange, most: usize) -> bool {
        match self {
            Self::Plain(socket) => socket.has_at_hand(range, most),
            Self::Recorded(shelved) => shelved.with(|taped| taped.has_at_hand(range, most)),
        }
    }

    fn send_file(&mut self, range: &FileRange, most: usize) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.send_file(range, most),
            Self::Recorded(shelved) => shelved.with(|taped| taped.send_file(range, most)),
        }
    }

    fn half_close(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.half_close(),
            Self::Recorded(shelved) => shelved.with(|taped| taped.half_close()),
        }
    }

    fn reset(&mut self) {
        match self {
            Self::Plain(socket) => socket.reset(),
            Self::Recorded(shelved) => shelved.with(|taped| taped.reset()),
        }
    }

    fn local(&self) -> Endpoint {
        match self {
            Self::Plain(socket) => socket.local(),
            Self::Recorded(shelved) => shelved.with(|taped| taped.local()),
        }
    }

    #[inline]
    fn short_means_exhausted(&self) -> bool {
        match self {
            Self::Plain(socket) => socket.short_means_exhausted(),
            Self::Recorded(shelved) => shelved.with(|taped| taped.short_means_exhausted()),
        }
    }

    #[inline]
    fn is_recorded(&self) -> bool {
        matches!(self, Self::Recorded(_))
    }
}

const _: () = assert!(size_of::<Recordable>() == size_of::<Socket>(), "an idle connection costs more with `live`");

// ---- the shelf ------------------------------------------------------------------------------------------------------

thread_local! {
    /// The sockets of this thread that are recorded. They are not in the slab of the sessions, so that an idle
    /// connection costs no more where recording is possible.
    static SHELF: RefCell<Slab<Box<Taped<Socket>>>> = const { RefCell::new(Slab::new()) };
}

/// The place of a socket that is recorded.
#[derive(Debug)]
pub(super) struct Shelved(u32);

impl Shelved {
    pub(super) fn new(taped: Taped<Socket>) -> Self {
        Self(SHELF.with_borrow_mut(|shelf| shelf.insert(Box::new(taped))) as u32)
    }

    fn with<R>(&self, call: impl FnOnce(&mut Taped<Socket>) -> R) -> R {
        SHELF.with_borrow_mut(|shelf| call(&mut shelf[self.0 as usize]))
    }
}

impl Drop for Shelved {
    fn drop(&mut self) {
        // At the end of the thread, the shelf may be gone before its sockets.
        let _ = SHELF.try_with(|shelf| shelf.borrow_mut().try_remove(self.0 as usize));
    }
}
