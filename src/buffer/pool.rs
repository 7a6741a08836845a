use std::fmt;

use crate::limits::{POOL_BUSY_BYTES, POOL_LARGEST_BUFFER, POOL_MAX_BUFFER};

/// What a [`Pool`] lends.
pub trait Pooled: Default {
    /// Forgets the contents; the memory stays.
    fn reset(&mut self);

    /// Bytes of memory that it holds.
    fn footprint(&self) -> usize;
}

/// Boxes that are lent, last in first out, so that the one that is hot in the cache is lent first.
///
/// It keeps at most a given number of bytes for long. While there is much to do it keeps more, or every large content
/// would fetch its memory from the kernel page by page; [`trim`](Self::trim) frees what was not needed lately.
///
/// ```
/// use monoloop::buffer::{Pool, Receive};
///
/// let mut pool: Pool<Receive> = Pool::new(64 * 1024);
/// let buffer = pool.lend();
/// assert_eq!(pool.lent(), 1);
/// pool.give_back(buffer);
/// assert_eq!(pool.lent(), 0);
/// ```
pub struct Pool<T> {
    /// The one that came back last: mostly the next one to be lent, so it is not counted among the idle.
    hot: Option<Box<T>>,
    #[allow(clippy::vec_box, reason = "the box is what is lent: it moves between connection and pool as one pointer")]
    idle: Vec<Box<T>>,
    idle_bytes: usize,
    max_bytes: usize,
    lent: usize,
    /// So many, from the front, were idle all the time since the last trim.
    unused: usize,
    /// Whether any was lent since then.
    used: bool,
}

impl<T: Pooled> Pool<T> {
    /// An empty pool that will keep at most `max_bytes` for long.
    pub const fn new(max_bytes: usize) -> Self {
        Self { hot: None, idle: Vec::new(), idle_bytes: 0, max_bytes, lent: 0, unused: 0, used: false }
    }

    /// An empty one, the most recently used if there is any.
    #[inline]
    pub fn lend(&mut self) -> Box<T> {
        self.lent += 1;
        self.used = true;
        self.hot.take().unwrap_or_else(|| self.lend_idle())
    }

    #[inline(never)]
    fn lend_idle(&mut self) -> Box<T> {
        match self.idle.pop() {
            Some(item) => {
                self.idle_bytes -= cost(&*item);
                self.unused = self.unused.min(self.idle.len());
                item
            }
            None => Box::default(),
        }
    }

    /// Takes one back.
    #[inline]
    pub fn give_back(&mut self, mut item: Box<T>) {
        self.lent -= 1;
        item.reset();
        if item.footprint() <= POOL_LARGEST_BUFFER
            && let Some(colder) = self.hot.replace(item)
        {
            self.put_aside(colder);
        }
    }

    #[inline(never)]
    fn put_aside(&mut self, item: Box<T>) {
        let bytes = cost(&*item);
        if self.idle_bytes + bytes <= POOL_BUSY_BYTES {
            self.idle_bytes += bytes;
            self.idle.push(item);
        }
    }

    /// Frees what was idle since the last call: large buffers, and others as far as the pool holds more than it may for
    /// long. To be called about once a second while there is a [surplus](Self::has_surplus).
    pub fn trim(&mut self) {
        let (mut bytes, mut index) = (self.idle_bytes, 0);
        self.idle.retain(|item| {
            let was_unused = index < self.unused;
            index += 1;
            let goes = was_unused && (bytes > self.max_bytes || item.footprint() > POOL_MAX_BUFFER);
            bytes -= if goes { cost(&**item) } else { 0 };
            !goes
        });
        self.idle_bytes = bytes;
        self.unused = self.idle.len();
        if !std::mem::take(&mut self.used) {
            self.hot.take_if(|item| item.footprint() > POOL_MAX_BUFFER);
        }
    }

    /// Whether it holds more than it may for long.
    pub fn has_surplus(&self) -> bool {
        self.idle_bytes > self.max_bytes || self.hot.as_ref().is_some_and(|item| item.footprint() > POOL_MAX_BUFFER)
    }

    /// How many are lent at the moment.
    pub const fn lent(&self) -> usize {
        self.lent
    }

    /// Bytes that lie idle in the pool, without the one that came back last.
    pub const fn idle_bytes(&self) -> usize {
        self.idle_bytes
    }
}

/// Bytes of memory that an idle item costs, its box included.
fn cost<T: Pooled>(item: &T) -> usize {
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

    /// So many, each with a buffer of its own, given back one after the other.
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
    fn after_a_storm_the_pool_keeps_no_more_than_it_may() {
        let mut pool: Pool<Receive> = Pool::new(100_000);
        storm(&mut pool, 50, 1);
        assert!(pool.has_surplus(), "{pool:?}");
        // What was needed since the last trim stays until the next.
        pool.trim();
        assert!(pool.idle_bytes() > 150_000, "{pool:?}");
        storm(&mut pool, 45, 1);
        pool.trim();
        assert!(pool.idle_bytes() > 150_000, "{pool:?}");
        pool.trim();
        assert!(pool.idle_bytes() > 50_000 && pool.idle_bytes() <= 100_000 && !pool.has_surplus(), "{pool:?}");
        pool.trim();
        assert!(pool.idle_bytes() > 50_000, "what it may keep stays: {pool:?}");
    }

    #[test]
    fn a_storm_of_large_buffers_is_bounded_too() {
        let mut pool: Pool<Receive> = Pool::new(100_000);
        storm(&mut pool, 50, 1 << 20);
        assert!(pool.idle_bytes() <= POOL_BUSY_BYTES, "{pool:?}");
        (0..2).for_each(|_| pool.trim());
        assert_eq!((pool.idle_bytes(), pool.has_surplus()), (0, false), "{pool:?}");
    }

    #[test]
    fn a_buffer_that_has_grown_is_kept_only_while_it_is_used() {
        let mut pool: Pool<OutputQueue> = Pool::new(10 << 20);
        let mut queue = pool.lend();
        queue.inline().resize(POOL_MAX_BUFFER + 1, 0);
        pool.give_back(queue);
        pool.trim();
        assert!(pool.has_surplus() && pool.lend().footprint() > POOL_MAX_BUFFER);
        let mut queue = pool.lend();
        queue.inline().resize(POOL_MAX_BUFFER + 1, 0);
        pool.give_back(queue);
        (0..2).for_each(|_| pool.trim());
        assert!(!pool.has_surplus());
        let mut queue = pool.lend();
        assert_eq!(queue.footprint(), 0, "a fresh one");
        queue.inline().resize(POOL_LARGEST_BUFFER + 1, 0);
        pool.give_back(queue);
        assert_eq!(pool.lend().footprint(), 0, "too large even for that");
    }
}
