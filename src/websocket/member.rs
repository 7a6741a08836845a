//! A socket as rooms know it: what it was given to send, and how it is reached.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;

use super::prepared::Prepared;
use crate::exchange::LocalWaker;
use crate::limits::CHANNEL_BYTES;

/// What a room and its members share, by which a member that ends tells all its rooms.
#[derive(Debug, Default)]
pub(super) struct Roll {
    /// How many of those whom the room lists have ended.
    absent: Cell<usize>,
}

impl Roll {
    pub(super) const fn absent(&self) -> usize {
        self.absent.get()
    }

    /// Notes that the room has cleared away those who have ended.
    pub(super) fn clear(&self) {
        self.absent.set(0);
    }
}

/// A socket as rooms know it.
pub(super) struct Member {
    waker: LocalWaker,
    inbox: RefCell<Inbox>,
    /// Bytes that the frames in the inbox take.
    cost: Cell<usize>,
    /// The rooms that list it.
    rooms: RefCell<Vec<Rc<Roll>>>,
    fate: Cell<Fate>,
    /// The code and the reason with which it is to be closed.
    goodbye: Cell<Option<Box<Goodbye>>>,
    /// The socket was woken and has not looked since.
    is_told: Cell<bool>,
    /// No frame can leave: the output is full and the client takes nothing, or a message is being sent in parts.
    is_blocked: Cell<bool>,
    /// It takes no more messages until it has sent half of those that wait.
    is_full: Cell<bool>,
}

/// Frames that wait, in their order. One of them needs no memory of its own, and most of the time there is only one.
#[derive(Default)]
struct Inbox {
    first: Option<Rc<Prepared>>,
    others: VecDeque<Rc<Prepared>>,
}

impl Inbox {
    fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.others.len()
    }

    fn push(&mut self, frame: Rc<Prepared>) {
        match self.len() {
            0 => self.first = Some(frame),
            _ => self.others.push_back(frame),
        }
    }

    fn pop(&mut self) -> Option<Rc<Prepared>> {
        self.first.take().or_else(|| self.others.pop_front())
    }
}

/// The code and the reason of a Close frame.
type Goodbye = (u16, Box<str>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Here,
    /// It is to be closed.
    Closing,
    Gone,
}

/// The memory that a frame takes in an inbox. Of a short one, most of it is what describes the frame.
fn cost(frame: &Prepared) -> usize {
    frame.len() + FRAME
}

/// What a frame takes beside its bytes: the pointer to it, and the counts of those who share it and its bytes.
const FRAME: usize = size_of::<Prepared>() + size_of::<Rc<Prepared>>() + 4 * size_of::<usize>();

impl Member {
    pub(super) fn new(waker: LocalWaker) -> Rc<Self> {
        Rc::new(Self {
            waker,
            inbox: RefCell::default(),
            cost: Cell::new(0),
            rooms: RefCell::default(),
            fate: Cell::new(Fate::Here),
            goodbye: Cell::default(),
            is_told: Cell::new(false),
            is_blocked: Cell::new(false),
            is_full: Cell::new(false),
        })
    }

    /// Notes that a room lists it. Returns false if that room does already.
    pub(super) fn join(&self, room: &Rc<Roll>) -> bool {
        let mut rooms = self.rooms.borrow_mut();
        let is_new = !rooms.iter().any(|other| Rc::ptr_eq(other, room));
        if is_new {
            rooms.push(Rc::clone(room));
        }
        is_new
    }

    /// Notes that a room does not list it any more.
    pub(super) fn leave(&self, room: &Rc<Roll>) {
        self.rooms.borrow_mut().retain(|other| !Rc::ptr_eq(other, room));
    }

    pub(super) fn is_gone(&self) -> bool {
        self.fate.get() == Fate::Gone
    }

    /// Whether it is to be closed.
    pub(super) fn is_closing(&self) -> bool {
        self.fate.get() == Fate::Closing
    }

    /// Takes the code and the reason with which it is to be closed, if it is.
    pub(super) fn goodbye(&self) -> Option<Goodbye> {
        self.goodbye.take().map(|goodbye| *goodbye)
    }

    /// Takes a frame, unless its client has kept it from sending those that wait.
    ///
    /// Only a client that is slow counts against it, and not a loop that has not come to it: how much a loop can give
    /// to it before it has a turn is bounded, since the loop passes no bytes on to those who speak in rooms while
    /// sockets wait for one.
    pub(super) fn offer(&self, frame: &Rc<Prepared>) -> bool {
        if self.fate.get() != Fate::Here || (self.is_full.get() && self.is_blocked.get()) {
            return false;
        }
        let cost = self.cost.get() + cost(frame);
        self.cost.set(cost);
        if cost >= CHANNEL_BYTES {
            self.is_full.set(true);
        }
        self.inbox.borrow_mut().push(Rc::clone(frame));
        self.wake();
        true
    }

    /// Has the socket look, unless it will anyway.
    fn wake(&self) {
        if !self.is_told.replace(true) {
            self.waker.wake();
        }
    }

    /// Has the socket close when it has sent what waits. It leaves `room` at once, and the others when it has closed.
    pub(super) fn close(&self, room: &Rc<Roll>, code: u16, reason: &str) {
        if self.fate.get() == Fate::Here {
            self.fate.set(Fate::Closing);
            self.goodbye.replace(Some(Box::new((code, reason.into()))));
            // Also a socket that is blocked, and waits to be told that it can go on, has to know this.
            self.is_told.set(true);
            self.waker.wake();
        }
        self.leave(room);
    }

    /// The socket begins to send what waits, or finds that it cannot, because it `is_blocked`. Then it need not be told
    /// of more: it goes on by itself as soon as it can.
    pub(super) fn begin_sending(&self, is_blocked: bool) {
        self.is_told.set(is_blocked);
        self.is_blocked.set(is_blocked);
    }

    /// Takes the next frame.
    pub(super) fn next(&self) -> Option<Rc<Prepared>> {
        let frame = self.inbox.borrow_mut().pop()?;
        self.cost.set(self.cost.get() - cost(&frame));
        Some(frame)
    }

    /// The socket has sent what it can. An empty inbox gives its memory back, since most sockets are idle most of the
    /// time.
    pub(super) fn end_sending(&self) {
        let mut inbox = self.inbox.borrow_mut();
        if self.cost.get() <= CHANNEL_BYTES / 2 {
            self.is_full.set(false);
        }
        if inbox.len() == 0 && inbox.others.capacity() > 0 {
            inbox.others = VecDeque::new();
        }
    }

    /// Bytes of memory that its inbox takes, without the frames, which are shared.
    pub(super) fn memory(&self) -> usize {
        self.inbox.borrow().others.capacity() * size_of::<Rc<Prepared>>()
    }

    /// How many rooms list it.
    #[cfg(test)]
    pub(super) fn rooms(&self) -> usize {
        self.rooms.borrow().len()
    }

    /// Leaves all rooms, because the socket has ended.
    pub(super) fn depart(&self) {
        self.fate.set(Fate::Gone);
        self.inbox.take();
        self.rooms.take().iter().for_each(|room| room.absent.set(room.absent.get() + 1));
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Member({} frames wait)", self.inbox.borrow().len())
    }
}
