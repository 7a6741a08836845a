//! A connection in memory: what the client and the kernel hold of it, and the end of it that a session owns.

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
    /// What the client sent and the session did not read.
    pub(crate) inbound: VecDeque<u8>,
    /// The client has closed its side.
    pub(crate) fin: bool,
    /// The client is gone.
    pub(crate) reset: bool,
    /// What the session sent and nobody took.
    pub(crate) outbound: Vec<u8>,
    /// Bytes that the kernel still takes before the client has to read.
    pub(crate) window: usize,
    /// The session has closed its side.
    pub(crate) half_closed: bool,
    /// The session has ended it as a failure.
    pub(crate) was_reset: bool,
    /// The session is gone, and why.
    pub(crate) closed: Option<CloseReason>,
    /// Files lie on a slow disk.
    pub(crate) is_cold: bool,
    /// Bytes of files that were asked for ahead, each time.
    pub(crate) fetched: RefCell<Vec<usize>>,
    /// Bytes that the session has read.
    pub(crate) taken: usize,
    /// Most bytes that the session offered at once.
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

    /// Whether a read would bring something.
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
        assert!(!wire.half_closed, "nothing can be sent behind our FIN");
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
