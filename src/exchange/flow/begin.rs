//! Replies that go on when the handler has returned, and interim replies: the methods of [`Response`] that begin them.

use std::sync::Arc;

use super::channel::Channel;
use super::responder::{Waited, Waiting};
use super::stream::Stream;
use super::{BodySender, BodySource, Responder};
use crate::exchange::{Response, Rest, Sent, Stage};
use crate::http::{Error, Result, Version};
use crate::wire::body::{BodyEncoder, ChunkedEncoder};
use crate::wire::reply::{BodyLength, ContentType, encode_interim};

impl Response<'_> {
    /// Finishes with content that is produced while it is sent (`application/octet-stream` unless a `Content-Type` was
    /// set). The source is asked for more only while the client takes what it gave before.
    ///
    /// If its [length](BodySource::length) is known, or a `Content-Length` was set, the content must have that length.
    /// Otherwise it is sent in chunks, and to a client of HTTP/1.0 it ends with the connection. A reply to HEAD, or one
    /// with 204, 205 or 304, has no content, so the source is not asked. The [guide](crate::guide::streaming) says when
    /// to stream.
    ///
    /// # Errors
    /// When the `Content-Length` that was set is not the length of the source; or a mistake that was made with the
    /// head.
    #[doc(alias = "chunked")]
    pub fn stream(self, source: impl BodySource + 'static) -> Result<Sent> {
        self.stream_boxed(Box::new(source))
    }

    fn stream_boxed(self, source: Box<dyn BodySource>) -> Result<Sent> {
        let Self { reply, output } = self;
        reply.draft.seal()?;
        let claimed = reply.draft.fields.has.content_length;
        let length = source.length().or(claimed);
        if claimed.is_some() && claimed != length {
            return Err(Error::internal(format!("Content-Length says {claimed:?}, but the source {length:?}")));
        }
        if reply.draft.rare.status == 205 && claimed.is_some_and(|length| length > 0) {
            return Err(Error::internal("a 205 has no content"));
        }
        let encoder = match length {
            Some(left) => BodyEncoder::Length { left },
            None if reply.draft.request.version == Version::Http11 => BodyEncoder::Chunked(ChunkedEncoder::default()),
            None => {
                reply.draft.rare.close = true;
                BodyEncoder::CloseDelimited
            }
        };
        if !reply.draft.has_content() {
            let (content_type, announced) = match reply.draft.rare.status {
                204 | 304 => (ContentType::NONE, encoder.announced()),
                // It has no content, whatever the source says (RFC 9110 §15.3.6).
                205 => (ContentType::NONE, BodyLength::Known(0)),
                _ => (ContentType::BYTES, encoder.announced()),
            };
            reply.encode_head(output, content_type, announced);
            return Ok(reply.finish(0));
        }
        reply.encode_head(output, ContentType::BYTES, encoder.announced());
        Ok(reply.leave(Rest::Stream(Stream::new(source, encoder))))
    }

    /// Finishes with content that is pushed, from any thread. The reply begins now, and the [`BodySender`] continues
    /// it.
    ///
    /// # Errors
    /// A mistake that was made with the head.
    #[doc(alias = "push")]
    pub fn channel(self) -> Result<(Sent, BodySender)> {
        let (sender, source) = Channel::open(self.reply.address());
        Ok((self.stream(source)?, sender))
    }

    /// Defers the reply. The [`Responder`] gives it, from any thread. What has been set stays set.
    #[doc(alias = "async")]
    pub fn defer(self) -> (Sent, Responder) {
        let waiting = Waiting::new(self.reply.address(), self.reply.draft.request.version == Version::Http11);
        let sent = self.reply.leave(Rest::Deferred(Waited::new(Arc::clone(&waiting))));
        (sent, Responder::new(waiting))
    }

    /// Accepts the content that is still to come, for a [`Service`](crate::exchange::Service) of your own that
    /// [opens](crate::exchange::Service::open) a request: the connection can go on after it. A reply that is finished
    /// without it says `Connection: close` where the content may be long.
    pub fn accept_content(self) -> Self {
        self.reply.draft.accept_content();
        self
    }

    /// Puts the reply off until the content has come, for a [`Service`](crate::exchange::Service) of your own: it gets
    /// the response again in [`content_end`](crate::exchange::Service::content_end). Only while it
    /// [opens](crate::exchange::Service::open) a request; anywhere else it is a 500.
    pub fn later(self) -> Sent {
        if !matches!(self.reply.draft.request.stage, Stage::Open { .. }) {
            // The reply stays unfinished, and that causes a 500.
            return Sent::new();
        }
        self.reply.draft.accept_content();
        self.reply.leave(Rest::Later)
    }

    /// Finishes with 101 and the name of the protocol, for a [`Service`](crate::exchange::Service) of your own: the
    /// next bytes of the client belong to the [protocol](crate::exchange::Service::protocol).
    ///
    /// # Errors
    /// Outside of [`upgrade`](crate::exchange::Service::upgrade), because no client has offered to switch; or a mistake
    /// that was made with the head.
    pub fn switch(self, protocol: &str) -> Result<Sent> {
        if self.reply.draft.request.stage != Stage::Upgrade {
            return Err(Error::internal("the client has not offered another protocol"));
        }
        self.reply.draft.rare.status = 101;
        self.reply.draft.fields.remove("content-length");
        self.reply.draft.set_field("Upgrade", protocol, true);
        self.reply.draft.seal()?;
        self.reply.head().encode_switch(self.output.inline());
        Ok(self.reply.leave(Rest::Switched))
    }

    /// Sends a 103 Early Hints (RFC 8297) before this reply, in most cases with `Link` fields. It is sent together with
    /// what the handler writes, so it is useful for replies that are [deferred](Self::defer) or streamed. A client of
    /// HTTP/1.0 gets none (RFC 9110 §15.2).
    pub fn early_hints<N: AsRef<str>, V: AsRef<str>>(self, fields: impl IntoIterator<Item = (N, V)>) -> Self {
        match encode_interim(103, fields) {
            Ok(bytes) if self.reply.draft.request.version == Version::Http11 => {
                self.output.inline().extend_from_slice(&bytes);
                // The interim reply is whole. A roll-back of what follows must not remove it.
                self.reply.mark = self.output.mark();
            }
            Ok(_) => {}
            Err(error) => {
                self.reply.draft.rare.fault.get_or_insert(error);
            }
        }
        self
    }
}
