//! The sinks and protocols of an application, which live as long as an exchange or a connection.

use std::fmt;
use std::io;

use slab::Slab;

use crate::exchange::{
    Abort, BodySink, CloseReason, Duplex, Intake, LiveKey, Output, Protocol, ProtocolEvent, Response, Sent, Trailers,
};
use crate::http::{Error, Result};

/// Sinks and protocols, by the keys that the loop uses for them.
pub(super) struct Live<S>(Slab<Recipient<S>>);

/// What gets the bytes of a client for longer than a call.
pub(super) enum Recipient<S> {
    Sink(Box<dyn BodySink<S>>),
    Duplex(Box<dyn Duplex<S>>),
    Protocol(Box<dyn Protocol<S>>),
}

impl<S> Live<S> {
    pub(super) const fn new() -> Self {
        Self(Slab::new())
    }

    pub(super) fn keep(&mut self, recipient: Recipient<S>) -> LiveKey {
        LiveKey(self.0.insert(recipient) as u32)
    }

    fn get(&mut self, key: LiveKey) -> Option<&mut Recipient<S>> {
        self.0.get_mut(key.0 as usize)
    }

    fn take(&mut self, key: LiveKey) -> Option<Recipient<S>> {
        self.0.try_remove(key.0 as usize)
    }

    pub(super) fn content(&mut self, state: &mut S, key: LiveKey, piece: &[u8], intake: &mut Intake<'_>) -> Result<()> {
        match self.get(key) {
            Some(Recipient::Sink(sink)) => sink.data(state, piece, intake),
            Some(Recipient::Duplex(duplex)) => duplex.data(state, piece, intake),
            Some(Recipient::Protocol(_)) | None => Err(unknown()),
        }
    }

    pub(super) fn content_end(
        &mut self,
        state: &mut S,
        key: LiveKey,
        trailers: Trailers<'_>,
        response: Option<Response<'_>>,
    ) -> Result<Option<Sent>> {
        match (self.take(key), response) {
            (Some(Recipient::Sink(sink)), Some(response)) => sink.end(state, trailers, response).map(Some),
            (Some(Recipient::Duplex(duplex)), _) => duplex.end(state, trailers).map(|()| None),
            _ => Err(unknown()),
        }
    }

    pub(super) fn content_abort(&mut self, state: &mut S, key: LiveKey, why: Abort) {
        match self.take(key) {
            Some(Recipient::Sink(sink)) => sink.abort(state, why),
            Some(Recipient::Duplex(duplex)) => duplex.abort(state, why),
            Some(Recipient::Protocol(_)) | None => {}
        }
    }

    pub(super) fn protocol(
        &mut self,
        state: &mut S,
        key: LiveKey,
        event: ProtocolEvent<'_>,
        out: &mut Output<'_>,
    ) -> io::Result<usize> {
        let Some(Recipient::Protocol(protocol)) = self.get(key) else {
            return Err(io::Error::other("an unknown protocol"));
        };
        match event {
            ProtocolEvent::Data(bytes) => protocol.on_data(state, bytes, out),
            ProtocolEvent::Writable => protocol.on_writable(state, out).map(|()| 0),
            ProtocolEvent::Blocked => protocol.on_blocked(state, out).map(|()| 0),
            ProtocolEvent::Alarm => protocol.on_alarm(state, out).map(|()| 0),
            ProtocolEvent::End => protocol.on_end(state, out).map(|()| 0),
            ProtocolEvent::Drain => protocol.on_drain(state, out).map(|()| 0),
        }
    }

    pub(super) fn protocol_closed(&mut self, state: &mut S, key: LiveKey, why: CloseReason) {
        if let Some(Recipient::Protocol(protocol)) = self.take(key) {
            protocol.on_close(state, why);
        }
    }
}

fn unknown() -> Error {
    Error::internal("an unknown sink")
}

impl<S> fmt::Debug for Live<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Live({})", self.0.len())
    }
}
