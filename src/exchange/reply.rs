use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::draft::{Draft, RequestFacts, Shape, Stage};
use super::flow::{Address, Mailbox, Stream, Ticket, Waited};
use super::kept::KeptRequest;
#[cfg(feature = "files")]
use super::representation::Representation;
use super::request::Request;
use super::sent::Sent;
use crate::buffer::{Account, Mark, OutputQueue};
use crate::http::Method;
use crate::wire::reply::{BodyLength, ContentType, LengthGap, RenderedLines, ReplyHead};

/// The reply in the making. There is one for the whole loop, and each exchange in turn borrows it, so that nothing is
/// allocated for a reply.
pub(crate) struct Reply {
    rendered: RenderedLines,
    max_content: usize,
    /// Bytes of memory that a reply may take.
    pub(super) room: usize,
    /// Bytes that a handler may write to memory: the smaller one of both.
    pub(super) writable: usize,
    pub(super) draft: Draft,
    /// What outlives the handler. A reply that has a rest is not [plain](Self::is_plain).
    pub(super) rest: Option<Rest>,
    finished: bool,
    /// Bytes of content that are sent.
    content_len: u64,
    /// Where in the output the reply begins.
    pub(crate) mark: Mark,
    /// What the observers will be told of the exchange.
    pub(crate) account: Account,
    /// The slot of the connection whose turn it is.
    pub(crate) slot: u32,
    next_serial: u64,
    mailbox: Arc<Mailbox>,
}

/// What is left to do of an exchange when the handler has returned.
#[derive(Debug)]
pub(crate) enum Rest {
    /// The head is in the output, and the content is to be produced.
    Stream(Stream),
    /// Another thread gives the reply.
    Deferred(Waited),
    /// The service gives the reply when it has the whole content.
    Later,
    /// Another protocol takes over.
    Switched,
    /// A file is to be sent. The request decides whether all of it is, and the handler's response does not know the
    /// request.
    #[cfg(feature = "files")]
    File(Box<Representation>),
}

impl Reply {
    pub(crate) fn new(
        server_name: Option<&str>,
        max_content: usize,
        wall_clock: SystemTime,
        mailbox: Arc<Mailbox>,
    ) -> Self {
        Self {
            rendered: RenderedLines::new(server_name, wall_clock),
            max_content,
            room: usize::MAX,
            writable: max_content,
            draft: Draft::new(),
            rest: None,
            finished: false,
            content_len: 0,
            mark: Mark::default(),
            account: Account::default(),
            slot: 0,
            next_serial: 1,
            mailbox,
        }
    }

    /// The time of day in seconds of Unix time. It lags behind the clock by at most a second.
    pub(crate) const fn unix_second(&self) -> u64 {
        self.rendered.unix_second()
    }

    /// Makes the loop run the timers of the application in this tick.
    #[cfg(feature = "files")]
    pub(crate) fn ask_timers(&self) {
        self.mailbox.ring();
    }

    /// Sets how many bytes of memory a reply may take.
    pub(crate) fn set_room(&mut self, room: usize) {
        (self.room, self.writable) = (room, room.min(self.max_content));
    }

    /// Notes that the reply wants more than its room. Returns whether memory is the reason, and not the configuration.
    #[cold]
    pub(super) fn note_overflow(&mut self) -> bool {
        let is_short = self.room < self.max_content;
        if is_short {
            self.draft.rare.out_of_memory = true;
        }
        is_short
    }

    /// Whether the reply wanted more memory than there is.
    pub(super) fn is_out_of_memory(&self) -> bool {
        self.draft.rare.out_of_memory
    }

    /// Takes the new time; called about once a second.
    pub(crate) fn set_date(&mut self, wall_clock: SystemTime) {
        self.rendered.set_date(wall_clock);
    }

    /// Begins an exchange whose reply starts at `mark`.
    #[inline(always)]
    pub(crate) fn begin(&mut self, request: RequestFacts, mark: Mark) {
        self.mark = mark;
        if let Some(seconds) = request.announce {
            self.rendered.set_keep_alive(seconds);
        }
        self.draft.begin(request);
        if !self.is_plain() {
            self.reset_rare();
        }
        (self.finished, self.content_len) = (false, 0);
    }

    #[cold]
    fn reset_rare(&mut self) {
        self.draft.rare.reset();
        self.rest = None;
    }

    /// Whether the reply is a 200 without faults, with nothing left to do.
    #[inline]
    pub(crate) const fn is_plain(&self) -> bool {
        self.draft.is_plain()
    }

    /// Goes on with an exchange whose reply was put aside and starts at `mark`.
    pub(crate) fn go_on(&mut self, draft: Draft, mark: Mark) {
        // What happens to the content was decided before.
        self.begin(RequestFacts { stage: Stage::Call, ..draft.request }, mark);
        self.draft = Draft { request: self.draft.request, ..draft };
    }

    /// Puts aside what was made of the reply so far.
    pub(crate) fn put_aside(&mut self) -> Draft {
        debug_assert!(self.rest.is_none(), "the rest is taken before the draft");
        self.draft.take()
    }

    /// The head, to be encoded.
    #[inline(always)]
    pub(super) fn head(&self) -> ReplyHead<'_> {
        self.draft.head(&self.rendered)
    }

    /// Encodes the head of a reply that is not [ordinary](Draft::is_ordinary), and remembers what it says of the
    /// content, if the application is to see the reply before it is sent.
    #[inline]
    pub(super) fn encode_head(
        &mut self,
        output: &mut OutputQueue,
        content_type: ContentType,
        length: BodyLength,
    ) -> Option<LengthGap> {
        let gap = self.head().encode(output.inline(), content_type, length);
        if self.draft.rare.follow_up.is_held {
            self.draft.rare.follow_up.shape = Some(Shape { content_type, length, content: output.mark() });
        }
        gap
    }

    /// Records that the reply is whole, with this many bytes of content.
    #[inline(always)]
    pub(super) fn finish(&mut self, content_len: u64) -> Sent {
        self.content_len = content_len;
        self.finished = true;
        Sent::new()
    }

    /// Finishes the handler's part of a reply that goes on.
    pub(super) fn leave(&mut self, rest: Rest) -> Sent {
        self.set_rest(rest);
        self.finished = true;
        Sent::new()
    }

    /// Leaves something to do when the handler has returned.
    pub(super) fn set_rest(&mut self, rest: Rest) {
        self.rest = Some(rest);
        self.draft.rare.touch();
    }

    /// What is left to do when the handler has returned, if it did not do all.
    #[inline]
    pub(crate) fn take_rest(&mut self) -> Option<Rest> {
        self.rest.take()
    }

    /// The file that is to be sent, if the handler left one.
    #[cfg(feature = "files")]
    pub(super) fn take_file(&mut self) -> Option<Box<Representation>> {
        match self.rest.take() {
            Some(Rest::File(file)) => Some(file),
            other => {
                self.rest = other;
                None
            }
        }
    }

    /// Whether something is left to do.
    #[inline]
    pub(crate) fn has_rest(&self) -> bool {
        self.rest.is_some()
    }

    /// Whether the handler has given no head yet, or has left the reply to another protocol or to a stream.
    pub(super) const fn is_put_off(&self) -> bool {
        matches!(self.rest, Some(Rest::Stream(_) | Rest::Deferred(_) | Rest::Later | Rest::Switched))
    }

    /// Whether another protocol takes over.
    pub(crate) fn has_switched(&self) -> bool {
        matches!(self.rest, Some(Rest::Switched))
    }

    /// The mailbox of the loop.
    pub(crate) const fn mailbox(&self) -> &Arc<Mailbox> {
        &self.mailbox
    }

    /// Where other threads can reach this exchange.
    pub(crate) fn address(&mut self) -> Address {
        let ticket = *self.draft.ticket.get_or_insert_with(|| {
            let serial = self.next_serial;
            self.next_serial += 1;
            Ticket { slot: self.slot, serial }
        });
        Address { mailbox: Arc::clone(&self.mailbox), ticket }
    }

    /// Takes back everything since the last middleware passed the reply on.
    #[inline]
    pub(super) fn restart(&mut self) {
        self.draft.roll_back();
        (self.finished, self.content_len, self.rest) = (false, 0, None);
    }

    #[inline]
    pub(crate) const fn finished(&self) -> bool {
        self.finished
    }

    /// Whether the application sees the reply before it is sent.
    #[inline]
    pub(super) fn is_held(&self) -> bool {
        self.draft.rare.follow_up.is_held
    }

    /// Keeps of the request what the reply will depend on, if the reply was put off.
    #[cold]
    pub(crate) fn keep_request(&mut self, request: &Request<'_>) {
        if !matches!(self.rest, Some(Rest::Deferred(_) | Rest::Later)) {
            return;
        }
        let prefers_html = request.prefers_html();
        let follow_up = &mut self.draft.rare.follow_up;
        follow_up.prefers_html = Some(prefers_html);
        if follow_up.wants_request {
            follow_up.request = Some(Box::new(KeptRequest::new(request)));
        }
    }

    /// Takes the request that was kept for this reply.
    pub(crate) fn take_request(&mut self) -> Option<Box<KeptRequest>> {
        if self.is_plain() { None } else { self.draft.rare.follow_up.request.take() }
    }

    /// The method of the request, if it is known.
    pub(crate) const fn method(&self) -> Option<Method> {
        self.draft.request.method
    }

    /// The status code that was sent.
    #[inline]
    pub(crate) fn status(&self) -> u16 {
        self.draft.rare.status
    }

    /// Bytes of content that were queued.
    pub(crate) const fn content_len(&self) -> u64 {
        self.content_len
    }

    /// Whether the connection ends with this reply, whose head announces it.
    #[inline]
    pub(crate) fn closes(&self) -> bool {
        self.draft.closes()
    }

    /// The idle timeout that the handler asked for.
    #[inline]
    pub(crate) fn idle_timeout(&self) -> Option<Duration> {
        self.draft.rare.idle_timeout
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({}, finished: {})", self.status(), self.finished)
    }
}
