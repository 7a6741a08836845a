//! A WebSocket as the protocol of a connection: it turns what the client sends into calls of the handler.

use std::io;
use std::rc::Rc;

use super::compression;
use super::decoder::{Decoder, Event};
use super::failure::{Failure, NO_CLOSE, code};
use super::frame::Opcode;
use super::handler::{Closed, WebSocket};
use super::link::{Link, Stage, write_frame};
use super::message::Message;
use super::offer::Deflate;
use super::settings::Settings;
use super::socket::Socket;
use crate::exchange::{CloseReason, Output, Protocol, guard};
use crate::http::{Error, Printable, Result};

/// A WebSocket with its handler. An idle one takes 48 bytes and the handler's own.
pub(super) struct Connection<T> {
    decoder: Decoder,
    link: Link,
    handler: T,
}

impl<T> Connection<T> {
    pub(super) const fn new(handler: T, settings: Rc<Settings>, deflate: Deflate) -> Self {
        Self { decoder: Decoder::new(), link: Link::new(settings, deflate), handler }
    }
}

impl<S, T: WebSocket<S>> Protocol<S> for Connection<T> {
    fn on_data(&mut self, state: &mut S, bytes: &mut [u8], out: &mut Output<'_>) -> io::Result<usize> {
        self.link.hear(out);
        let limits = self.link.limits();
        let mut used = 0;
        loop {
            let (count, event) = match self.decoder.next(&mut bytes[used..], &limits) {
                Ok(found) => found,
                Err(failure) => {
                    self.link.fail(failure, out);
                    return Ok(bytes.len());
                }
            };
            used += count;
            let Some(event) = event else { break };
            take(&mut self.link, &mut self.handler, state, event, out);
            // The clock is read only if there is more to do.
            if used == bytes.len() || self.link.stage == Stage::Closed || must_stop(out) {
                break;
            }
        }
        self.decoder.done();
        self.link.settle(self.decoder.memory(), out);
        Ok(used)
    }

    /// The first call opens the socket.
    fn on_writable(&mut self, state: &mut S, out: &mut Output<'_>) -> io::Result<()> {
        if self.link.stage == Stage::Opening {
            (self.link.stage, self.link.was_open) = (Stage::Open, true);
            self.link.begin_to_listen(out);
            call(&mut self.link, out, |ws| self.handler.open(state, ws));
        }
        self.link.deliver(out);
        if self.link.was_full && !out.is_full() && self.link.stage == Stage::Open {
            call(&mut self.link, out, |ws| self.handler.writable(state, ws));
        }
        self.link.settle(self.decoder.memory(), out);
        Ok(())
    }

    /// A room has something for a client that takes nothing.
    fn on_blocked(&mut self, _: &mut S, out: &mut Output<'_>) -> io::Result<()> {
        self.link.blocked(out);
        Ok(())
    }

    fn on_alarm(&mut self, _: &mut S, out: &mut Output<'_>) -> io::Result<()> {
        match self.link.listen(out) {
            true => Ok(()),
            false => Err(io::Error::new(io::ErrorKind::TimedOut, "the client has not answered a ping")),
        }
    }

    fn on_drain(&mut self, _: &mut S, out: &mut Output<'_>) -> io::Result<()> {
        self.link.close(code::GOING_AWAY, "the server is stopping", out);
        Ok(())
    }

    fn on_close(mut self: Box<Self>, state: &mut S, why: CloseReason) {
        self.link.leave_rooms();
        let Self { link, handler, .. } = *self;
        let (code, reason, is_clean) = match &link.end {
            Some(end) => (end.code, &*end.reason, end.is_clean),
            None => (NO_CLOSE, "", false),
        };
        Box::new(handler).close(state, Closed { code, reason, is_clean, was_open: link.was_open, connection: why });
    }
}

/// Whether the rest of the input has to wait: for the client, for the application, or for other connections.
fn must_stop(out: &mut Output<'_>) -> bool {
    out.is_full() || out.is_paused() || out.is_time_over()
}

/// Handles what the client has sent.
#[inline]
fn take<S, T: WebSocket<S>>(link: &mut Link, handler: &mut T, state: &mut S, event: Event<'_>, out: &mut Output<'_>) {
    match event {
        Event::Text(text) => pass(link, handler, state, Message::Text(text), out),
        Event::Binary(bytes) => pass(link, handler, state, Message::Binary(bytes), out),
        Event::Deflated { text, bytes } => match compression::inflate(bytes, link.limits().max_message) {
            Ok(content) if !text => pass(link, handler, state, Message::Binary(&content), out),
            Ok(content) => match std::str::from_utf8(&content) {
                Ok(text) => pass(link, handler, state, Message::Text(text), out),
                Err(_) => link.fail(Failure::NOT_UTF8, out),
            },
            Err(failure) => link.fail(failure, out),
        },
        Event::Ping(payload) if link.is_open() => write_frame(out, Opcode::Pong, payload),
        Event::Pong(payload) if link.stage == Stage::Open => call(link, out, |ws| handler.pong(state, payload, ws)),
        Event::Close { code, reason } => link.closed_by_client(code, reason, out),
        Event::Ping(_) | Event::Pong(_) => {}
    }
}

/// Passes a message to the handler. What comes after the server's Close frame is not wanted any more.
#[inline]
fn pass<S, T: WebSocket<S>>(
    link: &mut Link,
    handler: &mut T,
    state: &mut S,
    message: Message<'_>,
    out: &mut Output<'_>,
) {
    if link.stage == Stage::Open {
        out.report_message(message.record(true));
        call(link, out, |ws| handler.message(state, message, ws));
    }
}

/// Calls a method of the handler. If it fails, the socket is closed.
#[inline]
fn call(link: &mut Link, out: &mut Output<'_>, call: impl FnOnce(&mut Socket<'_>) -> Result<()>) {
    let result = guard(|| call(&mut Socket { link, out: out.reborrow() }));
    match result {
        Ok(Ok(())) => {}
        Ok(Err(error)) => failed(link, out, &error),
        Err(panic) => failed(link, out, &Error::internal(panic)),
    }
}

/// Logs the failure of a handler, tells the observer, and closes the socket. The faults of clients must not fill the
/// log.
#[cold]
fn failed(link: &mut Link, out: &mut Output<'_>, error: &Error) {
    let is_ours = error.status() >= 500;
    let level = if is_ours { log::Level::Error } else { log::Level::Debug };
    log::log!(level, "conn {}: a WebSocket handler failed: {}", out.id(), Printable(format_args!("{error:?}")));
    out.report_failure(error);
    let reason = if is_ours { "Internal error" } else { error.message() };
    link.close(code::INTERNAL, reason, out);
}
