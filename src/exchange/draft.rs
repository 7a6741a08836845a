//! What the application has said of a reply so far, and what of the request it depends on.

use std::mem;
use std::time::Duration;

use super::flow::Ticket;
use super::touched::Touched;
use crate::http::{Error, Method, Result, Version, is_field_value, is_name, is_token};
use crate::wire::reply::{FieldLines, Persistence, RenderedLines, ReplyHead};

/// A reply head in the making. It survives the handler when the reply is put off.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(super) request: RequestFacts,
    pub(super) fields: FieldLines,
    /// Apart from the other state, because it is reset for each request and changed for few. To borrow it mutably counts
    /// as a change.
    pub(super) rare: Touched<Rare>,
    /// Set once the exchange can be reached from outside.
    pub(super) ticket: Option<Ticket>,
}

/// The state of a reply that nearly all handlers leave as it is.
#[derive(Debug)]
pub(super) struct Rare {
    pub(super) status: u16,
    pub(super) reason: Option<Box<str>>,
    /// The first mistake that was made with this reply; finishing it gives it to the handler.
    pub(super) fault: Option<Error>,
    pub(super) close: bool,
    pub(super) idle_timeout: Option<Duration>,
    /// `close` and `idle_timeout` as the last middleware left them.
    kept: (bool, Option<Duration>),
}

impl Default for Rare {
    fn default() -> Self {
        Self { status: 200, reason: None, fault: None, close: false, idle_timeout: None, kept: (false, None) }
    }
}

/// What the reply must know of the request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestFacts {
    /// `None` if the request did not get so far.
    pub(crate) method: Option<Method>,
    /// Whether the connection may go on after this reply.
    pub(crate) persistent: bool,
    pub(crate) stage: Stage,
    /// Whole seconds of `Keep-Alive: timeout=`, for a client that asked for `Connection: keep-alive`.
    pub(crate) announce: Option<u32>,
    /// HTTP/1.0 knows neither chunks nor interim replies.
    pub(crate) version: Version,
}

/// What is asked of the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// A reply to a request that has come as a whole, or whose content does not matter.
    Call,
    /// To take content that is still to come, or to refuse it; and whether the connection may go on then.
    Open { persistent_if_accepted: bool, persistent_if_refused: bool },
    /// To go over to another protocol.
    Upgrade,
}

impl RequestFacts {
    /// With the persistence that holds until the application has decided on content that is still to come.
    #[inline(always)]
    pub(crate) fn at_stage(mut self) -> Self {
        if let Stage::Open { persistent_if_accepted, persistent_if_refused } = &mut self.stage {
            *persistent_if_accepted &= self.persistent;
            *persistent_if_refused &= self.persistent;
            self.persistent = *persistent_if_refused;
        }
        self
    }

    /// For a message that was not understood.
    pub(crate) const fn unknown(method: Option<Method>) -> Self {
        Self { method, persistent: false, stage: Stage::Call, announce: None, version: Version::Http11 }
    }
}

impl Draft {
    /// One without a request.
    pub(super) fn new() -> Self {
        let request = RequestFacts::unknown(None);
        Self { request, fields: FieldLines::default(), rare: Touched::default(), ticket: None }
    }

    /// Begins the draft of another reply.
    #[inline(always)]
    pub(super) fn begin(&mut self, request: RequestFacts) {
        self.request = request;
        self.fields.clear();
        self.ticket = None;
    }

    /// Moves the draft out. The facts of the request and the ticket stay here too.
    pub(super) fn take(&mut self) -> Self {
        let (fields, rare) = (mem::take(&mut self.fields), mem::take(&mut self.rare));
        Self { request: self.request, fields, rare, ticket: self.ticket }
    }

    /// Whether the handler left everything [rare](Rare) as it was: a 200, without faults, with nothing left to do.
    #[inline]
    pub(crate) const fn is_plain(&self) -> bool {
        !self.rare.is_touched()
    }

    /// Whether the connection ends with this reply; it says so on the wire.
    #[inline]
    pub(super) fn closes(&self) -> bool {
        self.rare.close || !self.request.persistent
    }

    /// The connection cannot go on after this reply any more.
    pub(crate) const fn not_persistent(&mut self) {
        self.request.persistent = false;
    }

    /// The content that is still to come is wanted.
    pub(super) const fn accept_content(&mut self) {
        if let Stage::Open { persistent_if_accepted, .. } = self.request.stage {
            self.request.persistent = persistent_if_accepted;
        }
    }

    /// Back to the state in which the last middleware passed the reply on.
    #[inline]
    pub(super) fn roll_back(&mut self) {
        self.fields.roll_back();
        if let Stage::Open { persistent_if_refused, .. } = self.request.stage {
            self.request.persistent = persistent_if_refused;
        }
        let kept = self.rare.kept;
        *self.rare = Rare { close: kept.0, idle_timeout: kept.1, kept, ..Rare::default() };
    }

    /// A middleware has passed: what it set survives a roll-back.
    #[inline]
    pub(super) fn keep(&mut self) {
        self.fields.keep();
        if !self.is_plain() {
            self.rare.kept = (self.rare.close, self.rare.idle_timeout);
        }
    }

    /// Whether a reply with this status has content on the wire: not to HEAD, not with 204, 205 and 304
    /// (RFC 9110 §6.4.1, §15.3.6).
    pub(super) fn has_content(&self) -> bool {
        self.request.method != Some(Method::Head) && !matches!(self.rare.status, 204 | 205 | 304)
    }

    /// Whether the head is that of nearly every reply: a 200, not to HEAD, and no line of the handler's that stands in
    /// place of one of ours. Such a head is [encoded](ReplyHead::encode_ordinary) with few questions.
    #[inline]
    pub(super) fn is_ordinary(&self) -> bool {
        (self.is_plain() || self.has_ordinary_status())
            && self.request.method != Some(Method::Head)
            && self.fields.has.is_none()
    }

    #[inline(never)]
    fn has_ordinary_status(&self) -> bool {
        self.rare.status == 200 && self.rare.fault.is_none() && self.rare.reason.is_none()
    }

    /// The head, to be encoded.
    #[inline(always)]
    pub(super) fn head<'a>(&'a self, rendered: &'a RenderedLines) -> ReplyHead<'a> {
        let persistence = match (self.closes(), self.request.announce) {
            (true, _) => Persistence::Close,
            (false, Some(_)) => Persistence::KeepAlive,
            (false, None) => Persistence::Default,
        };
        ReplyHead {
            rendered,
            status: self.rare.status,
            reason: self.rare.reason.as_deref(),
            fields: &self.fields,
            persistence,
        }
    }

    /// Ends the head: gives the first mistake that was made with it. A 204 never has a `Content-Length` (RFC 9110 §8.6):
    /// it is dropped.
    #[inline]
    pub(super) fn seal(&mut self) -> Result<()> {
        if self.is_plain() {
            return Ok(());
        }
        if let Some(fault) = self.rare.fault.take() {
            return Err(fault);
        }
        if self.rare.status == 204 {
            self.fields.remove("content-length");
        }
        Ok(())
    }

    /// A `Content-Length` of the handler's must be true; only a reply to HEAD and a 304 may tell of content that they
    /// do not bring.
    #[inline]
    pub(super) fn check_length(&self, length: u64) -> Result<()> {
        match self.fields.has.content_length {
            None => Ok(()),
            Some(claimed) => self.check_claimed_length(claimed, length),
        }
    }

    #[cold]
    fn check_claimed_length(&self, claimed: u64, length: u64) -> Result<()> {
        match self.rare.status {
            205 if claimed != 0 => Err(Error::internal("a 205 has no content")),
            205 => Ok(()),
            _ if claimed == length || (length == 0 && !self.has_content()) => Ok(()),
            _ => Err(Error::internal(format!("Content-Length says {claimed}, but the content has {length} bytes"))),
        }
    }

    /// Remembers the first mistake.
    pub(super) fn blame(&mut self, mistake: String) {
        self.rare.fault.get_or_insert_with(|| Error::internal(mistake));
    }

    /// Adds a field line, in place of the lines of this name if `replace`.
    pub(super) fn set_field(&mut self, name: &str, value: &str, replace: bool) {
        if !is_token(name.as_bytes()) {
            return self.blame(format!("{name:?} is not a field name"));
        }
        if !is_field_value(value.as_bytes()) {
            return self.blame(format!("the value of {name} holds a control character: {value:?}"));
        }
        // Lengths tell most names apart; the few that need care are looked at.
        match name.len() {
            10 if is_name(name, b"connection") => return self.set_connection(value, replace),
            14 if is_name(name, b"content-length") => {
                if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) || value.parse::<u64>().is_err()
                {
                    return self.blame(format!("not a Content-Length: {value:?}"));
                }
                self.fields.remove(name);
            }
            // There is never more than one of these.
            4 if is_name(name, b"date") => self.fields.remove(name),
            6 if is_name(name, b"server") => self.fields.remove(name),
            12 if is_name(name, b"content-type") => self.fields.remove(name),
            17 if is_name(name, b"transfer-encoding") => {
                return self.blame("Transfer-Encoding is the server's to set".to_owned());
            }
            _ => {}
        }
        if replace {
            self.fields.remove(name);
        }
        self.fields.push(name, value);
    }

    /// Removes all lines of this name.
    pub(super) fn remove_field(&mut self, name: &str) {
        if self.rare.close && name.eq_ignore_ascii_case("connection") {
            self.rare.close = false;
        }
        self.fields.remove(name);
    }

    /// `close` and `keep-alive` say what the connection does; other options are passed on (RFC 9110 §7.6.1).
    fn set_connection(&mut self, value: &str, replace: bool) {
        if replace {
            self.remove_field("connection");
        }
        let options = value.split(',').map(|option| option.trim_matches([' ', '\t']));
        if options.clone().any(|option| option.eq_ignore_ascii_case("close")) {
            self.rare.close = true;
        }
        let ours = |option: &str| ["", "close", "keep-alive"].iter().any(|ours| option.eq_ignore_ascii_case(ours));
        self.fields.push_list("Connection", options.filter(|option| !ours(option)));
    }
}
