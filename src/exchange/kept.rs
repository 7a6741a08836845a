//! A request that is kept while its reply is put off.

use std::mem;

use super::data::Data;
use super::endpoint::{Endpoint, Endpoints};
use super::{Draining, Received, Request};
use crate::config::Config;
use crate::wire::{Scratch, head};

/// A request without its content. Its head is kept as text, and the same parser parses it again. Only applications that
/// look at replies after the handler pay for that.
#[derive(Debug)]
pub(crate) struct KeptRequest {
    head: Box<[u8]>,
    data: Data,
    offers_upgrade: bool,
    peer: Endpoint,
    local: Endpoint,
}

impl KeptRequest {
    pub(super) fn new(request: &Request<'_>) -> Self {
        let (method, target, version) = (request.method(), request.target(), request.version());
        let line = format!("{method} {target} {version}\r\n");
        let head = [line.as_bytes(), request.headers().as_bytes(), b"\r\n"].concat();
        let (data, offers_upgrade) = (request.data(), request.offers_upgrade());
        Self { head: head.into(), data, offers_upgrade, peer: request.peer(), local: request.local() }
    }

    /// Bytes of memory that it takes. Those of the values that are handed on belong to the application.
    pub(super) fn memory(&self) -> usize {
        size_of::<Self>() + self.head.len()
    }

    /// Calls `with` with the request; without one, if the head does not parse any more.
    pub(crate) fn lend<T>(
        mut self,
        config: &Config,
        draining: Draining,
        unix_second: u64,
        with: impl FnOnce(Option<&Request<'_>>) -> T,
    ) -> T {
        let data = mem::take(&mut self.data);
        let mut scratch = Scratch::default();
        // The head was parsed before with the same result.
        match head::parse(&self.head, &mut scratch, config) {
            Ok(Some(message)) => {
                let received = Received {
                    data,
                    offers_upgrade: self.offers_upgrade,
                    ..Received::new(&message.head, &[], &self, draining, unix_second)
                };
                with(Some(&Request::new(&received)))
            }
            _ => with(None),
        }
    }
}

impl Endpoints for KeptRequest {
    fn peer(&self) -> Endpoint {
        self.peer
    }

    fn local(&self) -> Endpoint {
        self.local
    }
}
