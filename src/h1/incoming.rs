use super::body::BodyDecoder;
use super::framing::Framing;
use crate::buffer::{Pace, Pool, Pooled, Receive};
use crate::exchange::{Address, CloseReason, LiveKey};
use crate::http::Moment;
use crate::limits::{CONTENT_BUFFER, MAX_READ, POOL_MAX_BUFFER, RECEIVE_BUFFER};

/// A request whose content is still to come.
///
/// Its head is kept aside, so that the receive buffer goes on as a plain queue; it is parsed again, by the same parser,
/// when the content is whole. Only messages that arrive in pieces pay for that.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(super) head: Vec<u8>,
    pub(super) decoder: BodyDecoder,
    /// The content so far, decoded.
    pub(super) content: Receive,
    /// The trailer lines so far.
    pub(super) trailers: Vec<u8>,
    /// How long the content may still take.
    pub(super) pace: Pace,
    /// Bytes of content that are taken.
    pub(super) max_content: u64,
    /// Who takes the content piece by piece, if it is not collected here.
    pub(super) sink: Option<Sink>,
}

/// The sink of a content, as the connection knows it.
#[derive(Debug)]
pub(super) struct Sink {
    pub(super) key: LiveKey,
    /// Where the exchange can be reached.
    pub(super) address: Address,
    /// Bytes that have come.
    pub(super) taken: u64,
    /// So many have paused it and not gone on.
    pub(super) pauses: u32,
    /// Since when it is paused.
    pub(super) since: Moment,
    /// The reply is whole; why the connection ends with it, if it does, and whether it is long.
    pub(super) close: Option<(CloseReason, bool)>,
    /// Room for the next read.
    pub(super) room: Room,
}

/// How much room a read gets, where much may come and nothing is collected: more while reads fill it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    bytes: u32,
    most: u32,
}

impl Room {
    /// That of a small buffer at first, and then up to `most` bytes.
    pub(super) const fn up_to(most: usize) -> Self {
        Self { bytes: RECEIVE_BUFFER as u32, most: most as u32 }
    }

    /// `count` bytes were read into room for `offered`.
    pub(super) fn learn(&mut self, count: usize, offered: usize) {
        if count == offered {
            self.bytes = (self.bytes * 2).min(self.most);
        } else if count < offered / 4 {
            self.bytes = (self.bytes / 2).max(RECEIVE_BUFFER as u32);
        }
    }

    /// The room, if it is more than that of a small buffer.
    #[inline]
    pub(super) fn large(self) -> Option<usize> {
        (self.bytes > RECEIVE_BUFFER as u32).then_some(self.bytes as usize)
    }
}

impl Default for Incoming {
    fn default() -> Self {
        Self {
            head: Vec::new(),
            decoder: BodyDecoder::new(Framing::None),
            content: Receive::default(),
            trailers: Vec::new(),
            pace: Pace::default(),
            max_content: 0,
            sink: None,
        }
    }
}

impl Incoming {
    pub(super) fn begin(&mut self, head: &[u8], framing: Framing, pace: Pace) {
        self.pace = pace;
        self.head.extend_from_slice(head);
        self.decoder = BodyDecoder::new(framing);
    }

    /// Whether the content can be read in place: its length is known and it is collected here.
    pub(super) const fn has_room(&self) -> bool {
        matches!(self.decoder, BodyDecoder::Length { .. })
    }

    /// Where the next read goes if the content [can be read in place](Self::has_room).
    ///
    /// The buffer grows with what has come, not with what was announced.
    pub(super) fn room(&mut self, pool: &mut Pool<Self>) -> &mut [u8] {
        let left = if let BodyDecoder::Length { left } = self.decoder { left } else { 0 };
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        self.grow_at_once(left, pool);
        let wanted = self.content.bytes().len().clamp(CONTENT_BUFFER, MAX_READ).min(left);
        // No further than the content goes: its last bytes shall not double the buffer.
        let max = self.content.bytes().len().saturating_add(left);
        let room = self.content.room(wanted, max);
        let len = room.len().min(left).min(MAX_READ);
        &mut room[..len]
    }

    /// Takes a large buffer from the pool, if there is one, as soon as half of a small one has come and more than the
    /// whole of it will.
    fn grow_at_once(&mut self, left: usize, pool: &mut Pool<Self>) {
        let (came, is_small) = (self.content.bytes().len(), self.content.footprint() <= POOL_MAX_BUFFER);
        if is_small
            && came >= POOL_MAX_BUFFER / 2
            && came.saturating_add(left) > POOL_MAX_BUFFER
            && let Some(mut large) = pool.lend_large()
        {
            large.content.push(self.content.bytes());
            std::mem::swap(&mut large.content, &mut self.content);
            pool.give_back(large);
        }
    }

    /// `count` bytes were read in place.
    pub(super) fn filled(&mut self, count: usize) {
        self.content.filled(count);
        if let BodyDecoder::Length { left } = &mut self.decoder {
            *left -= count as u64;
        }
    }
}

impl Pooled for Incoming {
    fn reset(&mut self) {
        self.head.clear();
        self.content.clear();
        self.trailers.clear();
        self.sink = None;
        self.decoder = BodyDecoder::new(Framing::None);
    }

    fn footprint(&self) -> usize {
        self.head.capacity() + self.content.footprint() + self.trailers.capacity()
    }
}
