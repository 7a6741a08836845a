//! A connection in memory: the state that the client and the kernel have of it, and the end that a session owns.

use std::cell::{Ref, RefCell, RefMut};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Read};
use std::rc::Rc;

use crate::buffer::FileRange;
use crate::exchange::{CloseReason, Endpoint};
use crate::sessions::Transport;

/// Both directions of a stream, seen from the client.
#[derive(Debug)]
pub(crate) struct Wire {
    /// Bytes that the client sent and the session has not read.
    pub(crate) inbound: VecDeque<u8>,
    /// The client has closed its side.
    pub(crate) fin: bool,
    /// The client has reset the connection.
    pub(crate) reset: bool,
    /// Bytes that the session sent and the client has not taken.
    pub(crate) outbound: Vec<u8>,
    /// Bytes that the kernel still takes before the client has to read.
    pub(crate) window: usize,
    /// The session has closed its side.
    pub(crate) half_closed: bool,
    /// The session has reset the connection.
    pub(crate) was_reset: bool,
    /// Why the session has ended, once it has.
    pub(crate) closed: Option<CloseReason>,
    /// Files are not in the page cache, but on a slow disk.
    pub(crate) is_cold: bool,
    /// Sizes of all file ranges for which the session asked whether they are in the page cache, in bytes.
    pub(crate) fetched: RefCell<Vec<usize>>,
    /// Bytes that the session has read.
    pub(crate) taken: usize,
    /// Most bytes that the session offered in one write.
    pub(crate) most_offered: usize,
    local: Endpoint,
}

impl Wire {
    pub(crate) const fn new(local: Endpoint) -> Self {
        Self {
            inbound: VecDeque::new(),
            fin: false,
            reset: false,
            outbound: Vec::new(),
            window: usize::MAX,
            half_closed: false,
            was_reset: false,
            closed: None,
            is_cold: false,
            fetched: RefCell::new(Vec::new()),
            taken: 0,
            most_offered: 0,
            local,
        }
    }

    /// Whether a read would return bytes, the end, or an error.
    #[cfg(all(any(test, fuzzing), feature = "json"))]
    pub(crate) fn is_readable(&self) -> bool {
        !self.inbound.is_empty() || self.fin || self.reset
    }
}

/// The client's hold on a connection.
#[derive(Clone, Debug)]
pub(crate) struct Link(Rc<RefCell<Wire>>);

impl Link {
    pub(crate) fn new(local: Endpoint) -> Self {
        Self(Rc::new(RefCell::new(Wire::new(local))))
    }

    pub(crate) fn wire(&self) -> Ref<'_, Wire> {
        self.0.borrow()
    }

    pub(crate) fn wire_mut(&self) -> RefMut<'_, Wire> {
        self.0.borrow_mut()
    }

    /// The end that the session owns.
    pub(super) fn pipe(&self) -> Pipe {
        Pipe(Self(Rc::clone(&self.0)))
    }
}

/// The session's end. It behaves as a TCP socket on Linux does.
#[derive(Debug)]
pub(crate) struct Pipe(Link);

impl Transport for Pipe {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let mut wire = self.0.wire_mut();
        if wire.reset {
            return Err(ErrorKind::ConnectionReset.into());
        }
        if wire.inbound.is_empty() {
            return if wire.fin { Ok(0) } else { Err(ErrorKind::WouldBlock.into()) };
        }
        let mut count = 0;
        while count < room.len() && !wire.inbound.is_empty() {
            count += wire.inbound.read(&mut room[count..])?;
        }
        wire.taken += count;
        Ok(count)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut wire = self.0.wire_mut();
        assert!(!wire.half_closed, "no bytes can be sent after our FIN");
        let offered = slices.iter().map(|slice| slice.len()).sum();
        wire.most_offered = wire.most_offered.max(offered);
        if wire.reset {
            return Err(ErrorKind::BrokenPipe.into());
        }
        if wire.window == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        let mut left = offered.min(wire.window);
        wire.window -= left;
        let count = left;
        for slice in slices {
            let take = slice.len().min(left);
            wire.outbound.extend_from_slice(&slice[..take]);
            left -= take;
        }
        Ok(count)
    }

    fn has_at_hand(&self, _: &FileRange, most: usize) -> bool {
        let wire = self.0.wire();
        wire.fetched.borrow_mut().push(most);
        !wire.is_cold
    }

    fn half_close(&mut self) -> io::Result<()> {
        let mut wire = self.0.wire_mut();
        assert!(!wire.half_closed, "our side is closed once");
        wire.half_closed = true;
        if wire.reset { Err(ErrorKind::NotConnected.into()) } else { Ok(()) }
    }

    fn reset(&mut self) {
        self.0.wire_mut().was_reset = true;
    }

    fn local(&self) -> Endpoint {
        self.0.wire().local
    }

    fn short_means_exhausted(&self) -> bool {
        true
    }

    fn ended(&mut self, reason: CloseReason) {
        self.0.wire_mut().closed = Some(reason);
    }
}
