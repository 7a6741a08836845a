//! Another protocol on a connection, after a 101.

use std::io;

use super::output::Output;
use crate::exchange::CloseReason;

/// A protocol that has taken over a connection: see [`Routes::upgrade`](crate::router::Routes::upgrade).
///
/// The server still drives the connection. It reads only while less than the high-water mark is owed, and the idle
/// timeout and the minimum rate of sending hold as before. WebSocket has an interface of its own, `Routes::websocket`.
///
/// ```
/// use monoloop::exchange::{Output, Protocol};
/// use std::io;
///
/// /// Sends back what it receives.
/// struct Echo;
///
/// impl<S> Protocol<S> for Echo {
///     fn on_data(&mut self, _: &mut S, bytes: &mut [u8], out: &mut Output<'_>) -> io::Result<usize> {
///         out.write(&*bytes);
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
    /// byte was used, or else together with the next bytes. While the [output is full](Output::is_full) or input is
    /// [paused](Output::pause), nothing is read and nothing is passed. Using nothing while the receive buffer
    /// ([`Config::max_head`](crate::Config::max_head)) is full is an error.
    ///
    /// The protocol may change the bytes where they are, to decode them. The bytes that it does not use are passed
    /// again as it has left them.
    ///
    /// # Errors
    /// An error closes the connection at once, as do those of the other methods. An error of the kind
    /// [`TimedOut`](io::ErrorKind::TimedOut) is reported as an idle timeout.
    fn on_data(&mut self, state: &mut S, bytes: &mut [u8], out: &mut Output<'_>) -> io::Result<usize>;

    /// Writes output, for which there is room. It is called at the beginning, when less than the low-water mark is owed
    /// again, and after a call of a [waker](Output::waker).
    ///
    /// # Errors
    /// As [`on_data`](Self::on_data).
    fn on_writable(&mut self, state: &mut S, out: &mut Output<'_>) -> io::Result<()> {
        Ok(())
    }

    /// A [waker](Output::waker) was used, but the output is full, and the client takes nothing for now. When it has
    /// taken enough, [`on_writable`](Self::on_writable) follows.
    ///
    /// # Errors
    /// As [`on_data`](Self::on_data).
    fn on_blocked(&mut self, state: &mut S, out: &mut Output<'_>) -> io::Result<()> {
        Ok(())
    }

    /// The time is over that [`Output::set_alarm`] has set, so that the protocol can ask a silent client for a sign of
    /// life, or give it up. The alarm is off now, and can be set again. If it is not, the idle timeout holds again,
    /// and a connection that has been idle for longer ends unless something is written.
    ///
    /// # Errors
    /// As [`on_data`](Self::on_data).
    fn on_alarm(&mut self, state: &mut S, out: &mut Output<'_>) -> io::Result<()> {
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

    /// The server has begun to drain. By default, what is owed is sent and the connection closes. This is also called
    /// while the output is full.
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
    fn on_data(&mut self, state: &mut S, bytes: &mut [u8], out: &mut Output<'_>) -> io::Result<usize> {
        (**self).on_data(state, bytes, out)
    }

    fn on_writable(&mut self, state: &mut S, out: &mut Output<'_>) -> io::Result<()> {
        (**self).on_writable(state, out)
    }

    fn on_blocked(&mut self, state: &mut S, out: &mut Output<'_>) -> io::Result<()> {
        (**self).on_blocked(state, out)
    }

    fn on_alarm(&mut self, state: &mut S, out: &mut Output<'_>) -> io::Result<()> {
        (**self).on_alarm(state, out)
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
#[derive(Debug)]
pub enum ProtocolEvent<'a> {
    /// Bytes have arrived.
    Data(&'a mut [u8]),
    /// There is room for output.
    Writable,
    /// The protocol was woken, but the output is full, and the client takes nothing.
    Blocked,
    /// The alarm is due.
    Alarm,
    /// The client has closed its side.
    End,
    /// The server has begun to drain.
    Drain,
}
