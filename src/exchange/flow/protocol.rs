//! Another protocol on a connection, after a 101.

use std::fmt;
use std::io;
use std::time::Duration;

use super::mailbox::{Address, Waker};
use crate::buffer::{Content, OutputQueue};
use crate::exchange::CloseReason;
use crate::limits::HIGH_WATER;

/// A protocol that has taken over a connection: see [`Routes::upgrade`](crate::router::Routes::upgrade).
///
/// The server still drives the connection. It reads only while less than the high-water mark is owed, and the idle
/// timeout and the minimum rate of sending hold as before.
///
/// ```
/// use monoloop::exchange::{Output, Protocol};
/// use std::io;
///
/// /// Sends back what it receives.
/// struct Echo;
///
/// impl<S> Protocol<S> for Echo {
///     fn on_data(&mut self, _: &mut S, bytes: &[u8], out: &mut Output<'_>) -> io::Result<usize> {
///         out.write(bytes);
///         Ok(bytes.len())
///     }
/// }
///
/// let mut app = monoloop::Router::new(());
/// app.upgrade("/echo", "echo", |_, _, res| Ok((res, Echo)));
/// ```
#[doc(alias("websocket", "upgrade"))]
#[allow(unused_variables, reason = "the default methods do nothing; their arguments are named for the reader")]
pub trait Protocol<S> {
    /// Handles bytes of the client, and returns how many of them it has used. The rest is passed again: at once if any
    /// byte was used, or else together with the next bytes. While the [output is full](Output::is_full), nothing is
    /// read and nothing is passed. Using nothing while the receive buffer
    /// ([`Config::max_head`](crate::Config::max_head)) is full is an error.
    ///
    /// # Errors
    /// An error closes the connection at once, as do those of the other methods.
    fn on_data(&mut self, state: &mut S, bytes: &[u8], out: &mut Output<'_>) -> io::Result<usize>;

    /// Writes output, for which there is room. It is called at the beginning, when less than the low-water mark is owed
    /// again, and after a call of the [waker](Output::waker).
    ///
    /// # Errors
    /// As [`on_data`](Self::on_data).
    fn on_writable(&mut self, state: &mut S, out: &mut Output<'_>) -> io::Result<()> {
        Ok(())
    }

    /// The client has closed its side, so no more bytes arrive. By default, what is owed is sent and the connection
    /// closes.
    ///
    /// # Errors
    /// As [`on_data`](Self::on_data).
    fn on_end(&mut self, state: &mut S, out: &mut Output<'_>) -> io::Result<()> {
        out.close();
        Ok(())
    }

    /// The server has begun to drain. By default, what is owed is sent and the connection closes.
    ///
    /// # Errors
    /// As [`on_data`](Self::on_data).
    fn on_drain(&mut self, state: &mut S, out: &mut Output<'_>) -> io::Result<()> {
        out.close();
        Ok(())
    }

    /// The connection has ended. This is called exactly once, as the last method.
    fn on_close(self: Box<Self>, state: &mut S, why: CloseReason) {}
}

impl<S, T: Protocol<S> + ?Sized> Protocol<S> for Box<T> {
    fn on_data(&mut self, state: &mut S, bytes: &[u8], out: &mut Output<'_>) -> io::Result<usize> {
        (**self).on_data(state, bytes, out)
    }

    fn on_writable(&mut self, state: &mut S, out: &mut Output<'_>) -> io::Result<()> {
        (**self).on_writable(state, out)
    }

    fn on_end(&mut self, state: &mut S, out: &mut Output<'_>) -> io::Result<()> {
        (**self).on_end(state, out)
    }

    fn on_drain(&mut self, state: &mut S, out: &mut Output<'_>) -> io::Result<()> {
        (**self).on_drain(state, out)
    }

    fn on_close(self: Box<Self>, state: &mut S, why: CloseReason) {
        (*self).on_close(state, why);
    }
}

/// An event of a protocol: a call of a method of [`Protocol`], as a value.
#[derive(Clone, Copy, Debug)]
pub enum ProtocolEvent<'a> {
    /// Bytes have arrived.
    Data(&'a [u8]),
    /// There is room for output.
    Writable,
    /// The client has closed its side.
    End,
    /// The server has begun to drain.
    Drain,
}

/// The output of a protocol, and its wishes for the connection.
pub struct Output<'a> {
    queue: &'a mut OutputQueue,
    address: &'a Address,
    pub(crate) closes: bool,
    pub(crate) idle_timeout: Option<Duration>,
}

impl<'a> Output<'a> {
    pub(crate) const fn new(queue: &'a mut OutputQueue, address: &'a Address) -> Self {
        Self { queue, address, closes: false, idle_timeout: None }
    }

    /// Queues bytes. Borrowed or few bytes are copied; all others are sent from where they are.
    pub fn write<'c>(&mut self, bytes: impl Into<Content<'c>>) {
        self.queue.push(bytes.into());
    }

    /// Bytes that are owed to the client.
    pub fn owed(&self) -> usize {
        self.queue.len()
    }

    /// Whether so much is owed that the protocol should stop until [`Protocol::on_writable`] is called.
    pub fn is_full(&self) -> bool {
        self.queue.len() >= HIGH_WATER
    }

    /// Sends what is owed, and then closes the connection. No more bytes are passed to the protocol.
    pub const fn close(&mut self) {
        self.closes = true;
    }

    /// Sets the idle timeout of the connection, from now on.
    pub const fn set_idle_timeout(&mut self, timeout: Duration) {
        self.idle_timeout = Some(timeout);
    }

    /// A waker, by which any thread causes a call of [`Protocol::on_writable`]. A protocol that sends on its own needs
    /// it.
    pub fn waker(&self) -> Waker {
        Waker::new(self.address.clone())
    }
}

impl fmt::Debug for Output<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Output({} bytes owed)", self.queue.len())
    }
}
