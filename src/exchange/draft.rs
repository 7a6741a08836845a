//! What the application has said of a reply so far, and what of the request it depends on.

use std::mem;
use std::time::Duration;

use super::flow::Ticket;
use super::kept::KeptRequest;
use super::touched::Touched;
use crate::buffer::{Mark, OutputQueue};
use crate::http::{Error, Method, Result, Version, is_field_value, is_name, is_token};
use crate::wire::reply::{BodyLength, ContentType, FieldLines, Persistence, RenderedLines, ReplyHead};

/// A reply head in the making. It survives the handler when the reply is put off.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(super) request: RequestFacts,
    pub(super) fields: FieldLines,
    /// The state that must be reset for each request, but is changed for few. A mutable borrow counts as a change.
    pub(super) rare: Touched<Rare>,
    /// Set when other threads can reach the exchange.
    pub(super) ticket: Option<Ticket>,
}

/// The state of a reply that nearly all handlers leave as it is.
#[derive(Debug)]
pub(super) struct Rare {
    pub(super) status: u16,
    pub(super) reason: Option<Box<str>>,
    /// The first mistake that was made with this reply. The method that finishes the reply returns it.
    pub(super) fault: Option<Error>,
    pub(super) close: bool,
    pub(super) idle_timeout: Option<Duration>,
    /// The reply wanted more memory than there is.
    pub(super) out_of_memory: bool,
    /// `close` and `idle_timeout` as the last middleware left them.
    kept: (bool, Option<Duration>),
    /// What the application does with the reply when the handler is done.
    pub(super) follow_up: FollowUp,
}

/// What happens to a reply when the handler is done with it. A roll-back does not change it.
#[derive(Debug, Default)]
pub(super) struct FollowUp {
    /// The application sees the reply before it is sent.
    pub(super) is_held: bool,
    /// What the last head said of the content, if the reply is held.
    pub(super) shape: Option<Shape>,
    /// The application wants to see the request again if the reply is put off.
    pub(super) wants_request: bool,
    /// The request, if the reply is put off.
    pub(super) request: Option<Box<KeptRequest>>,
    /// Whether the client of a reply that is put off prefers HTML to JSON.
    pub(super) prefers_html: Option<bool>,
}

/// The content as a head announced it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) content_type: ContentType,
    pub(super) length: BodyLength,
    /// Where in the output the content begins.
    pub(super) content: Mark,
}

impl Default for Rare {
    fn default() -> Self {
        Self {
            status: 200,
            reason: None,
            fault: None,
            close: false,
            idle_timeout: None,
            out_of_memory: false,
            kept: (false, None),
            follow_up: FollowUp::default(),
        }
    }
}

/// The facts of the request on which the reply depends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestFacts {
    /// `None` if the request was not understood that far.
    pub(crate) method: Option<Method>,
    /// Whether the connection may go on after this reply.
    pub(crate) persistent: bool,
    pub(crate) stage: Stage,
    /// Whole seconds of `Keep-Alive: timeout=`, for a client that asked for `Connection: keep-alive`.
    pub(crate) announce: Option<u32>,
    /// HTTP/1.0 knows neither chunks nor interim replies.
    pub(crate) version: Version,
}

/// What the application is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// To answer a request whose content is whole, or does not matter.
    Call,
    /// To accept content that is still to come, or to refuse it. The fields say whether the connection may go on.
    Open { persistent_if_accepted: bool, persistent_if_refused: bool },
    /// To switch to another protocol.
    Upgrade,
}

impl RequestFacts {
    /// Sets the persistence for a reply that refuses the content. If the application accepts it, this changes.
    #[inline(always)]
    pub(crate) fn at_stage(mut self) -> Self {
        if let Stage::Open { persistent_if_accepted, persistent_if_refused } = &mut self.stage {
            *persistent_if_accepted &= self.persistent;
            *persistent_if_refused &= self.persistent;
            self.persistent = *persistent_if_refused;
        }
        self
    }

    /// The facts of a message that was not understood.
    pub(crate) const fn unknown(method: Option<Method>) -> Self {
        Self { method, persistent: false, stage: Stage::Call, announce: None, version: Version::Http11 }
    }
}

impl Draft {
    /// A draft without a request.
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

    /// Whether everything [rare](Rare) is as it was at the beginning: a 200, without faults, with nothing left to do.
    #[inline]
    pub(crate) const fn is_plain(&self) -> bool {
        !self.rare.is_touched()
    }

    /// Whether the connection closes after this reply.
    #[inline]
    pub(super) fn closes(&self) -> bool {
        self.rare.close || !self.request.persistent
    }

    /// Makes the connection close after this reply.
    pub(crate) const fn not_persistent(&mut self) {
        self.request.persistent = false;
    }

    /// Records that the application accepts the content that is still to come.
    pub(super) const fn accept_content(&mut self) {
        if let Stage::Open { persistent_if_accepted, .. } = self.request.stage {
            self.request.persistent = persistent_if_accepted;
        }
    }

    /// Goes back to the state in which the last middleware passed the reply on.
    #[inline]
    pub(super) fn roll_back(&mut self) {
        self.fields.roll_back();
        if let Stage::Open { persistent_if_refused, .. } = self.request.stage {
            self.request.persistent = persistent_if_refused;
        }
        let rare = mem::take(&mut *self.rare);
        let (kept, follow_up) = (rare.kept, FollowUp { shape: None, ..rare.follow_up });
        *self.rare = Rare { close: kept.0, idle_timeout: kept.1, kept, follow_up, ..Rare::default() };
    }

    /// Makes what a middleware has set survive a roll-back.
    #[inline]
    pub(super) fn keep(&mut self) {
        self.fields.keep();
        if !self.is_plain() {
            self.rare.kept = (self.rare.close, self.rare.idle_timeout);
        }
    }

    /// Bytes of memory for the field lines.
    pub(crate) fn memory(&self) -> usize {
        self.fields.memory() + self.rare.follow_up.request.as_ref().map_or(0, |request| request.memory())
    }

    /// Whether content is sent: not in a reply to HEAD, and not with 204, 205 and 304 (RFC 9110 §6.4.1, §15.3.6).
    pub(super) fn has_content(&self) -> bool {
        self.request.method != Some(Method::Head) && !matches!(self.rare.status, 204 | 205 | 304)
    }

    /// Whether the head is like that of nearly every reply: a 200, not to HEAD, in which no line of the application
    /// replaces one of the server. Such a head is [encoded](ReplyHead::encode_ordinary) with fewer decisions.
    #[inline]
    pub(super) fn is_ordinary(&self) -> bool {
        (self.is_plain() || self.has_ordinary_status())
            && self.request.method != Some(Method::Head)
            && self.fields.replace_none()
    }

    #[inline(never)]
    fn has_ordinary_status(&self) -> bool {
        let Rare { status, fault, reason, follow_up, .. } = &*self.rare;
        *status == 200 && fault.is_none() && reason.is_none() && !follow_up.is_held
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

    /// Ends the head. A `Content-Length` of a 204 is dropped (RFC 9110 §8.6).
    ///
    /// # Errors
    /// The first mistake that was made with the head.
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

    /// Checks that a `Content-Length` of the application is true. Only in a reply to HEAD and in a 304 it may describe
    /// content that is not sent.
    ///
    /// # Errors
    /// When it is not true.
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

    /// Corrects the shape when the length is known: the content has moved, and its `length` bytes are the last ones of
    /// the output.
    #[cold]
    pub(super) fn settle_shape(&mut self, output: &OutputQueue, announced: usize, length: usize) {
        if let Some(shape) = &mut self.rare.follow_up.shape {
            shape.length = BodyLength::Known(announced as u64);
            shape.content = output.mark_before_last(length);
        }
    }

    /// Remembers the first mistake.
    pub(super) fn blame(&mut self, mistake: String) {
        self.rare.fault.get_or_insert_with(|| Error::internal(mistake));
    }

    /// Adds a field line. With `replace`, the lines of this name are removed before. But a `Vary` only adds names.
    pub(super) fn set_field(&mut self, name: &str, value: &str, replace: bool) {
        if !is_token(name.as_bytes()) {
            return self.blame(format!("{name:?} is not a field name"));
        }
        if !is_field_value(value.as_bytes()) {
            return self.blame(format!("the value of {name} contains a control character: {value:?}"));
        }
        // The length alone excludes most names. The few special ones are compared.
        match name.len() {
            10 if is_name(name, b"connection") => return self.set_connection(value, replace),
            14 if is_name(name, b"content-length") => {
                if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) || value.parse::<u64>().is_err()
                {
                    return self.blame(format!("not a Content-Length: {value:?}"));
                }
                self.fields.remove(name);
            }
            // A reply has at most one of each of these.
            4 if is_name(name, b"date") => self.fields.remove(name),
            4 if is_name(name, b"vary") => return self.fields.add_vary(value),
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

    /// `close` and `keep-alive` decide what the connection does. Other options are sent as they are (RFC 9110 §7.6.1).
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
