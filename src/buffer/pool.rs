use std::fmt;

use crate::limits::{POOL_ITEMS, POOL_LARGEST_BUFFER, POOL_MAX_BUFFER};

/// An item that a [`Pool`] lends.
pub(crate) trait Pooled: Default {
    /// Discards the contents and keeps the memory.
    fn reset(&mut self);

    /// Bytes of memory that the item holds.
    fn footprint(&self) -> usize;

    /// Frees what it holds, each large piece [by itself](free).
    fn free(self);

    /// A new item for a storm, whose memory goes back to the system when it is freed.
    fn apart() -> Self {
        Self::default()
    }
}

/// Frees memory so that all of it goes back to the system.
///
/// glibc maps each large piece of memory by itself, and unmaps it when it is freed. But it learns from a large piece
/// that is freed: from then on, pieces of that size come from the heap, and the heap keeps twice as much for the next
/// ones (mallopt(3), `M_MMAP_THRESHOLD`). So after a storm of large content the process would stay large. A piece that
/// is made small first, which only unmaps its pages, teaches glibc nothing.
pub(crate) fn free(mut memory: Vec<u8>) {
    if memory.capacity() > POOL_MAX_BUFFER {
        memory.clear();
        memory.shrink_to(POOL_MAX_BUFFER);
    }
}

/// Gets `bytes` zeroes in memory of their own. glibc maps a large piece, and a piece that was mapped stays so when it
/// is made small: so it does not lie in the heap, where a later piece would keep it after it was freed. If the
/// application has freed still larger pieces, glibc may take it from the heap all the same.
pub(crate) fn piece_apart(bytes: usize) -> Vec<u8> {
    let mut memory = Vec::new();
    // Without so many free addresses, any memory will do.
    let _ = memory.try_reserve_exact(APART);
    memory.resize(bytes, 0);
    memory.shrink_to_fit();
    memory
}

/// Bytes that are asked for to get memory that is mapped by itself. Only addresses are used for it.
const APART: usize = 1024 * 1024;

/// Lends boxes, last in first out: the one that came back last is most likely still in the CPU cache.
///
/// The pool keeps at most a given number of bytes and frees an item that comes back beyond that. It keeps large items
/// apart, and only while they are used again and again. Without them, each large content would get its memory from the
/// kernel page by page. A caller that asks for a small item never gets a large one. Otherwise slow clients would hold
/// the large buffers that other clients have needed.
pub(crate) struct Pool<T> {
    /// The item that came back last. It is mostly lent next, so it is not counted among the idle ones.
    hot: Option<Box<T>>,
    #[allow(clippy::vec_box, reason = "the box is what is lent: it moves between connection and pool as one pointer")]
    idle: Vec<Box<T>>,
    idle_bytes: usize,
    max_bytes: usize,
    #[allow(clippy::vec_box, reason = "as above")]
    large: Vec<Box<T>>,
    large_bytes: usize,
    max_large: usize,
    /// How many of the large items, counted from the front, were idle all the time since the last trim.
    unused: usize,
    lent: usize,
}

impl<T: Pooled> Pool<T> {
    /// An empty pool that will keep at most `max_bytes` of idle items for long, and for a while `max_large` bytes in
    /// large ones.
    pub(crate) const fn new(max_bytes: usize, max_large: usize) -> Self {
        Self {
            hot: None,
            idle: Vec::new(),
            idle_bytes: 0,
            max_bytes,
            large: Vec::new(),
            large_bytes: 0,
            max_large,
            unused: 0,
            lent: 0,
        }
    }

    /// Lends an empty item: the one that came back last, or a new one if the pool has none.
    #[inline]
    pub(crate) fn lend(&mut self) -> Box<T> {
        self.lent += 1;
        self.hot.take().unwrap_or_else(|| self.lend_idle())
    }

    #[inline(never)]
    fn lend_idle(&mut self) -> Box<T> {
        match self.idle.pop() {
            Some(item) => {
                self.idle_bytes -= cost(&*item);
                item
            }
            None if self.lent > POOL_ITEMS => Box::new(T::apart()),
            None => Box::default(),
        }
    }

    /// Lends a large item to a caller that is sure to fill it; `None` if the pool has none.
    pub(crate) fn lend_large(&mut self) -> Option<Box<T>> {
        let item = self.large.pop()?;
        self.large_bytes -= cost(&*item);
        self.unused = self.unused.min(self.large.len());
        self.lent += 1;
        Some(item)
    }

    /// Takes an item back.
    #[inline(always)]
    pub(crate) fn give_back(&mut self, mut item: Box<T>) {
        self.lent -= 1;
        item.reset();
        if item.footprint() > POOL_MAX_BUFFER {
            self.put_aside_large(item);
        } else if let Some(colder) = self.hot.replace(item) {
            self.put_aside(colder);
        }
    }

    #[inline(never)]
    fn put_aside(&mut self, item: Box<T>) {
        let bytes = cost(&*item);
        if self.idle_bytes + bytes <= self.max_bytes {
            self.idle_bytes += bytes;
            self.idle.push(item);
        } else {
            item.free();
        }
    }

    #[inline(never)]
    fn put_aside_large(&mut self, item: Box<T>) {
        let bytes = cost(&*item);
        if item.footprint() <= POOL_LARGEST_BUFFER && self.large_bytes + bytes <= self.max_large {
            self.large_bytes += bytes;
            self.large.push(item);
        } else {
            item.free();
        }
    }

    /// Frees the large items that were idle since the last call. Call it about once a second while
    /// [`has_large`](Self::has_large) is true.
    pub(crate) fn trim(&mut self) {
        for item in self.large.drain(..self.unused) {
            self.large_bytes -= cost(&*item);
            item.free();
        }
        self.unused = self.large.len();
    }

    /// Whether the pool holds a large item.
    pub(crate) const fn has_large(&self) -> bool {
        !self.large.is_empty()
    }

    /// Bytes of the idle items in the pool, large ones included, without the item that came back last.
    pub(crate) const fn kept(&self) -> usize {
        self.idle_bytes + self.large_bytes
    }

    /// Frees all items that it keeps.
    pub(crate) fn free(&mut self) {
        let all =
            self.hot.take().into_iter().chain(std::mem::take(&mut self.idle)).chain(std::mem::take(&mut self.large));
        all.for_each(|item| item.free());
        (self.idle_bytes, self.large_bytes, self.unused) = (0, 0, 0);
    }

    /// How many items are idle, and how many bytes of memory they take, their boxes included.
    #[cfg(feature = "live")]
    pub(crate) fn idle(&self) -> (usize, usize) {
        let hot = self.hot.as_deref().map_or(0, cost);
        (usize::from(self.hot.is_some()) + self.idle.len() + self.large.len(), hot + self.kept())
    }

    /// How many items are lent at the moment.
    #[cfg(any(test, fuzzing, feature = "live"))]
    pub(crate) const fn lent(&self) -> usize {
        self.lent
    }

    /// Bytes of the idle items in the pool, without the item that came back last and without the large ones.
    #[cfg(any(test, fuzzing))]
    pub(crate) const fn idle_bytes(&self) -> usize {
        self.idle_bytes
    }

    /// Bytes of the idle large items in the pool.
    #[cfg(any(test, fuzzing))]
    pub(crate) const fn large_bytes(&self) -> usize {
        self.large_bytes
    }
}

/// Bytes of memory that an item costs, its box included.
pub(crate) fn cost<T: Pooled>(item: &T) -> usize {
    size_of::<T>() + item.footprint()
}

impl<T> fmt::Debug for Pool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pool({} lent, {} idle of {} bytes)", self.lent, self.idle.len(), self.idle_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::{OutputQueue, Receive};
    use crate::limits::POOL_BUSY_BYTES;

    /// Lends `count` buffers with room for `size` bytes each, then gives them back one after the other.
    fn storm(pool: &mut Pool<Receive>, count: usize, size: usize) {
        let lent: Vec<_> = (0..count)
            .map(|_| {
                let mut buffer = pool.lend();
                buffer.room(size, usize::MAX);
                buffer
            })
            .collect();
        assert_eq!(pool.lent(), count);
        lent.into_iter().for_each(|buffer| pool.give_back(buffer));
        assert_eq!(pool.lent(), 0);
    }

    #[test]
    fn after_many_loans_at_once_the_pool_keeps_no_more_than_its_limit() {
        let mut pool: Pool<Receive> = Pool::new(100_000, POOL_BUSY_BYTES);
        storm(&mut pool, 50, 1);
        assert!(pool.idle_bytes() > 50_000 && pool.idle_bytes() <= 100_000 && !pool.has_large(), "{pool:?}");
    }

    #[test]
    fn large_buffers_are_kept_while_they_are_used_and_within_bounds() {
        let mut pool: Pool<Receive> = Pool::new(100_000, POOL_BUSY_BYTES);
        storm(&mut pool, 50, 1 << 20);
        assert!(pool.large_bytes() > 1 << 20 && pool.large_bytes() <= POOL_BUSY_BYTES, "{pool:?}");
        assert_eq!(pool.lend().footprint(), 0, "a caller that asks for a small item gets no large one");
        // Two are in use all the time; the second trim frees the others.
        pool.trim();
        let both = [pool.lend_large().unwrap(), pool.lend_large().unwrap()];
        both.into_iter().for_each(|buffer| pool.give_back(buffer));
        pool.trim();
        assert_eq!(pool.large.len(), 2, "{pool:?}");
        pool.trim();
        assert_eq!((pool.large_bytes(), pool.has_large()), (0, false), "{pool:?}");
        assert!(pool.lend_large().is_none());
    }

    #[test]
    fn a_pool_whose_memory_is_wanted_frees_what_it_keeps() {
        let mut pool: Pool<Receive> = Pool::new(100_000, POOL_BUSY_BYTES);
        storm(&mut pool, 10, 1);
        storm(&mut pool, 3, 1 << 20);
        assert!(pool.kept() > 3 << 20, "{pool:?}");
        pool.free();
        assert_eq!((pool.kept(), pool.has_large()), (0, false), "{pool:?}");
        storm(&mut pool, 2, 1 << 20);
        assert!(pool.has_large(), "it keeps buffers again");
    }

    #[test]
    fn a_buffer_for_a_storm_has_room_like_any_other() {
        let mut pool: Pool<Receive> = Pool::new(100_000, POOL_BUSY_BYTES);
        let mut lent: Vec<_> = (0..POOL_ITEMS).map(|_| pool.lend()).collect();
        let mut last = pool.lend();
        let footprints = [&lent[POOL_ITEMS - 1], &last].map(|buffer| buffer.footprint());
        assert_eq!(footprints, [0, 4064], "the last one has memory of its own");
        assert_eq!(last.room(0, usize::MAX).len(), 4064);
        last.push(&[b'x'; 10_000]);
        assert_eq!(last.bytes(), [b'x'; 10_000]);
        lent.push(last);
        lent.into_iter().for_each(|buffer| pool.give_back(buffer));
        assert!(pool.kept() <= 100_000, "{pool:?}");
    }

    #[test]
    fn an_item_that_has_grown_too_large_is_not_kept() {
        let mut pool: Pool<OutputQueue> = Pool::new(10 << 20, POOL_BUSY_BYTES);
        let mut queue = pool.lend();
        queue.inline().resize(POOL_LARGEST_BUFFER + 1, 0);
        pool.give_back(queue);
        assert!(!pool.has_large() && pool.idle_bytes() == 0);
    }
}
