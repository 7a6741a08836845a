//! Content that is coming: how it is collected, and how it flows to a sink.

use crate::buffer::{Pace, Pool, Pooled, Receive};
use crate::exchange::{Address, LiveKey};
use crate::http::Moment;
use crate::limits::{CONTENT_BUFFER, MAX_READ, POOL_MAX_BUFFER, RECEIVE_BUFFER};
use crate::wire::Framing;
use crate::wire::ProtocolError;
use crate::wire::body::{BodyDecoder, Piece};

/// A request whose content is collected.
///
/// Its head is kept aside, so that the receive buffer goes on as a plain queue. The same parser parses it again when
/// the content is whole. Only messages that arrive in pieces pay for that.
#[derive(Debug)]
pub(crate) struct Collecting {
    pub(super) head: Vec<u8>,
    decoder: BodyDecoder,
    /// The content so far, decoded.
    pub(super) content: Receive,
    /// The trailer lines so far.
    pub(super) trailers: Vec<u8>,
    /// How long the content may still take.
    pub(super) pace: Pace,
    /// Most bytes of content that are accepted.
    max_content: u64,
}

/// How far the content is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Collected {
    Partial,
    Whole,
    /// It is larger than the limit, or will be if the client keeps its word.
    TooLarge,
}

impl Collecting {
    pub(super) fn begin(&mut self, head: &[u8], framing: Framing, max_content: u64, pace: Pace) {
        self.head.extend_from_slice(head);
        (self.decoder, self.max_content, self.pace) = (BodyDecoder::new(framing), max_content, pace);
    }

    /// Decodes the input, as far as it belongs to the content.
    pub(super) fn decode(&mut self, mut input: Option<&mut Receive>) -> Result<Collected, ProtocolError> {
        loop {
            let bytes = input.as_deref().map_or(&[][..], Receive::bytes);
            let piece = self.decoder.decode(bytes)?;
            let (consumed, end) = (piece.consumed, piece.end);
            self.content.push(piece.content);
            self.trailers.extend_from_slice(piece.trailers);
            if let Some(input) = &mut input {
                input.consume(consumed);
            }
            // A chunk that is too large is refused at its size.
            let announced = (self.content.bytes().len() as u64).saturating_add(self.decoder.announced());
            if announced > self.max_content {
                return Ok(Collected::TooLarge);
            }
            if end {
                return Ok(Collected::Whole);
            }
            if consumed == 0 {
                return Ok(Collected::Partial);
            }
        }
    }

    /// Where the next read goes if the content can be read in place, because its length is known. `None` if it cannot.
    ///
    /// The buffer grows with what has come, not with what was announced.
    pub(super) fn room(&mut self, pool: &mut Pool<Self>) -> Option<&mut [u8]> {
        let BodyDecoder::Length { left } = self.decoder else { return None };
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        self.grow_at_once(left, pool);
        let wanted = self.content.bytes().len().clamp(CONTENT_BUFFER, MAX_READ).min(left);
        // No further than the content goes: its last bytes shall not double the buffer.
        let max = self.content.bytes().len().saturating_add(left);
        let room = self.content.room(wanted, max);
        let len = room.len().min(left).min(MAX_READ);
        Some(&mut room[..len])
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

    /// Makes the room that was given out last larger by so many bytes, for a read that is repeated.
    #[cfg(feature = "live")]
    pub(super) fn widen(&mut self, bytes: usize) {
        self.content.widen(bytes);
    }

    /// Notes that `count` bytes were read in place.
    pub(super) fn filled(&mut self, count: usize) {
        self.content.filled(count);
        if let BodyDecoder::Length { left } = &mut self.decoder {
            *left -= count as u64;
        }
    }
}

impl Default for Collecting {
    fn default() -> Self {
        Self {
            head: Vec::new(),
            decoder: BodyDecoder::new(Framing::None),
            content: Receive::default(),
            trailers: Vec::new(),
            pace: Pace::default(),
            max_content: 0,
        }
    }
}

impl Pooled for Collecting {
    fn reset(&mut self) {
        self.head.clear();
        self.content.clear();
        self.trailers.clear();
        self.decoder = BodyDecoder::new(Framing::None);
    }

    fn footprint(&self) -> usize {
        self.head.capacity() + self.content.footprint() + self.trailers.capacity()
    }

    fn free(self) {
        self.content.free();
    }
}

/// Content on its way to a sink.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) key: LiveKey,
    /// Where letters reach the exchange.
    pub(super) address: Address,
    pub(super) decoder: BodyDecoder,
    /// The trailer lines so far.
    pub(super) trailers: Vec<u8>,
    /// How long the content may still take, while it is not paused.
    pub(super) pace: Pace,
    /// Most bytes of content that are accepted.
    max_content: u64,
    /// Bytes of content that have come.
    taken: u64,
    /// How many pauses of the application are not undone.
    pub(super) pauses: u32,
    /// When the content was paused.
    pub(super) since: Moment,
    /// Room for the next read.
    pub(super) room: Room,
}

impl Flow {
    pub(super) fn new(
        key: LiveKey,
        address: Address,
        framing: Framing,
        max_content: u64,
        pace: Pace,
        now: Moment,
    ) -> Self {
        Self {
            key,
            address,
            decoder: BodyDecoder::new(framing),
            trailers: Vec::new(),
            pace,
            max_content,
            taken: 0,
            pauses: 0,
            since: now,
            room: Room::up_to(MAX_READ),
        }
    }

    pub(super) const fn is_paused(&self) -> bool {
        self.pauses > 0
    }

    /// Decodes the next piece of the content.
    pub(super) fn next_piece<'a>(&mut self, bytes: &'a [u8]) -> Result<Piece<'a>, ProtocolError> {
        let piece = self.decoder.decode(bytes)?;
        self.trailers.extend_from_slice(piece.trailers);
        self.taken += piece.content.len() as u64;
        // A chunk that is too large is refused at its size.
        match self.taken.saturating_add(self.decoder.announced()) > self.max_content {
            true => Err(ProtocolError::ContentTooLarge),
            false => Ok(piece),
        }
    }

    /// Begins the client's time for the rest of the content again, because the client could not send until now.
    pub(super) fn restart(&mut self, pace: Pace, now: Moment) {
        // What has come already may have bought more.
        self.pace.extend(pace);
        self.since = now;
    }
}

/// The size of reads for a sink or a protocol. It doubles when a read fills it, and halves after some small reads in a
/// row: one of them may be only the rest of what the read before it has not held.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    bytes: u32,
    most_kib: u16,
    /// Small reads in a row.
    small: u8,
}

/// How many small reads halve the room.
const SMALL_READS: u8 = 4;

impl Room {
    /// Room of a small buffer at first, and then up to `most` bytes.
    pub(super) const fn up_to(most: usize) -> Self {
        Self { bytes: RECEIVE_BUFFER as u32, most_kib: (most / 1024) as u16, small: 0 }
    }

    /// Notes that a read of `count` bytes was offered room for `offered`.
    pub(super) fn learn(&mut self, count: usize, offered: usize) {
        self.small = if count < offered / 4 { self.small + 1 } else { 0 };
        if count == offered {
            self.bytes = (self.bytes * 2).min(u32::from(self.most_kib) * 1024);
        } else if self.small == SMALL_READS {
            self.bytes = (self.bytes / 2).max(RECEIVE_BUFFER as u32);
            self.small = 0;
        }
    }

    /// The room, if it is more than that of a small buffer.
    #[inline]
    pub(super) fn large(self) -> Option<usize> {
        (self.bytes > RECEIVE_BUFFER as u32).then_some(self.bytes as usize)
    }
}
