//! One message for many sockets.
//!
//! ```text
//!     Room::send ─ encodes once ─▶ Member, one for each socket: its inbox has a pointer to the frame, and its waker
//!                                  has the loop give the socket a turn
//!     that turn ─▶ Connection::on_writable ─▶ takes frames from the inbox while the output has room
//! ```

use std::fmt;
use std::rc::Rc;

use super::failure::code;
use super::member::{Member, Roll};
use super::message::Message;
use super::prepared::Prepared;
use super::socket::{Socket, check_close};
#[cfg(feature = "json")]
use crate::http::Error;
use crate::http::Result;

/// Sends the same messages to many WebSockets. It is a part of the application's state and needs no lock, because
/// sending needs `&mut S`. A socket can be in several rooms.
///
/// A message is encoded once, and memory has its bytes once, however many sockets have yet to send them. A socket whose
/// client does not take them holds at most [`CHANNEL_BYTES`](crate::limits::CHANNEL_BYTES) of them and
/// [`HIGH_WATER`](crate::limits::HIGH_WATER) of output; [`Slow`] says what happens to it then.
///
/// The messages of a room are sent after the call in which they were given to it. So what a handler sends to its own
/// [`Socket`] in that call goes first. Another thread reaches a room by [`Handle::post`](crate::Handle::post).
///
/// See the example of the [module](super).
#[doc(alias("broadcast", "publish", "subscribe", "topic", "channel", "namespace"))]
pub struct Room {
    members: Vec<Rc<Member>>,
    slow: Slow,
    roll: Rc<Roll>,
    dropped: u64,
    skipped: u64,
}

/// What happens to a socket whose client does not take the messages of a room as fast as they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slow {
    /// It is closed with the code 1013, after the messages that wait for it. Use this if each message counts: the
    /// client notices, and can come back and ask for what it has missed.
    Drop,
    /// It misses further messages, without notice, until its client has taken half of those that wait for it. Use this
    /// if only the last message counts, such as a price.
    Skip,
}

impl Room {
    /// A room without members.
    pub fn new(slow: Slow) -> Self {
        Self { members: Vec::new(), slow, roll: Rc::default(), dropped: 0, skipped: 0 }
    }

    /// Adds a socket, which gets all messages from now on. It leaves by itself when it ends. If it is in the room
    /// already, or is closing, nothing happens.
    pub fn join(&mut self, ws: &mut Socket<'_>) {
        let Some(member) = ws.member().filter(|member| !member.is_closing()) else { return };
        if !member.join(&self.roll) {
            return;
        }
        // Those that have ended are cleared away when they are as many as the others, so that a join has a constant
        // cost, and a room to which nobody sends does not grow.
        if self.roll.absent() > self.members.len() / 2 {
            self.members.retain(|member| !member.is_gone());
            self.roll.clear();
        }
        self.members.push(Rc::clone(member));
    }

    /// Removes a socket. The messages that it was given are still sent.
    pub fn leave(&mut self, ws: &mut Socket<'_>) {
        let Some(leaving) = ws.known_member() else { return };
        leaving.leave(&self.roll);
        self.members.retain(|member| !Rc::ptr_eq(member, leaving));
    }

    /// Sends a message to all members. Returns how many sockets have taken it.
    pub fn send<'m>(&mut self, message: impl Into<Message<'m>>) -> usize {
        self.send_where(message.into(), |_| true)
    }

    /// Sends a message to all members but this one, which is in most cases its author.
    pub fn send_to_others<'m>(&mut self, message: impl Into<Message<'m>>, but: &Socket<'_>) -> usize {
        let but = but.known_member().map(Rc::as_ptr);
        self.send_where(message.into(), |member| but.is_none_or(|but| !std::ptr::eq(but, member)))
    }

    /// Sends a value as JSON, in a text message, to all members.
    ///
    /// # Errors
    /// A 500 if the value cannot be serialised.
    #[cfg(feature = "json")]
    #[cfg_attr(docsrs, doc(cfg(feature = "json")))]
    pub fn send_json<T: serde::Serialize + ?Sized>(&mut self, value: &T) -> Result<usize> {
        Ok(self.send(&serde_json::to_string(value).map_err(Error::from)?))
    }

    /// [`send_json`](Self::send_json) to all members but this one.
    ///
    /// # Errors
    /// As [`send_json`](Self::send_json).
    #[cfg(feature = "json")]
    #[cfg_attr(docsrs, doc(cfg(feature = "json")))]
    pub fn send_json_to_others<T: serde::Serialize + ?Sized>(&mut self, value: &T, but: &Socket<'_>) -> Result<usize> {
        Ok(self.send_to_others(&serde_json::to_string(value).map_err(Error::from)?, but))
    }

    fn send_where(&mut self, message: Message<'_>, is_meant: impl Fn(&Member) -> bool) -> usize {
        if self.is_empty() {
            return 0;
        }
        let frame = Rc::new(Prepared::new(message));
        let mut taken = 0;
        let Self { members, slow, dropped, skipped, roll } = self;
        members.retain(|member| {
            if member.is_gone() {
                return false;
            }
            if !is_meant(member) {
                return true;
            }
            match (member.offer(&frame), *slow) {
                (true, _) => taken += 1,
                (false, Slow::Skip) => *skipped += 1,
                (false, Slow::Drop) => {
                    *dropped += 1;
                    member.close(roll, code::TRY_AGAIN_LATER, "the client is too slow");
                    return false;
                }
            }
            true
        });
        roll.clear();
        taken
    }

    /// Closes all members, after what they were given: each client gets `code` and `reason`. The room is empty then. A
    /// room of one is a way to close, or to reach, a certain socket from anywhere.
    ///
    /// # Errors
    /// As [`Socket::close`].
    #[doc(alias("kick", "disconnect", "terminate"))]
    pub fn close(&mut self, code: u16, reason: &str) -> Result<()> {
        check_close(code, reason)?;
        self.members.drain(..).for_each(|member| member.close(&self.roll, code, reason));
        self.roll.clear();
        Ok(())
    }

    /// How many sockets are in the room.
    pub fn len(&self) -> usize {
        self.members.len() - self.roll.absent()
    }

    /// Whether no socket is in the room.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many sockets were closed so far because they were slow: always 0 with [`Slow::Skip`].
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// How many messages sockets have missed so far because they were slow, summed over all sockets: always 0 with
    /// [`Slow::Drop`].
    pub const fn skipped(&self) -> u64 {
        self.skipped
    }
}

impl Drop for Room {
    /// A socket that joins many rooms must not keep those that are gone.
    fn drop(&mut self) {
        self.members.iter().for_each(|member| member.leave(&self.roll));
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Room({} members, {:?})", self.len(), self.slow)
    }
}
