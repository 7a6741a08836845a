use std::fmt;

use crate::limits::POOL_MAX_BUFFER;

/// What a [`Pool`] lends.
pub trait Pooled: Default {
    /// Forgets the contents; the memory stays.
    fn reset(&mut self);

    /// Bytes of memory that it holds.
    fn footprint(&self) -> usize;
}

/// Boxes that are lent, last in first out, so that the one that is hot in the cache is lent first.
///
/// It keeps at most a given number of bytes; what comes back beyond that is freed.
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
}

impl<T: Pooled> Pool<T> {
    /// An empty pool that will keep at most `max_bytes`.
    pub const fn new(max_bytes: usize) -> Self {
        Self { hot: None, idle: Vec::new(), idle_bytes: 0, max_bytes, lent: 0 }
    }

    /// An empty one, the most recently used if there is any.
    #[inline]
    pub fn lend(&mut self) -> Box<T> {
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
            None => Box::default(),
        }
    }

    /// Takes one back.
    #[inline]
    pub fn give_back(&mut self, mut item: Box<T>) {
        self.lent -= 1;
        item.reset();
        if item.footprint() <= POOL_MAX_BUFFER
            && let Some(colder) = self.hot.replace(item)
        {
            self.put_aside(colder);
        }
    }

    #[inline(never)]
    fn put_aside(&mut self, item: Box<T>) {
        let bytes = cost(&*item);
        if self.idle_bytes + bytes <= self.max_bytes {
            self.idle_bytes += bytes;
            self.idle.push(item);
        }
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

    #[test]
    fn after_a_storm_the_pool_keeps_no_more_than_it_may() {
        let mut pool: Pool<Receive> = Pool::new(100_000);
        let storm: Vec<_> = (0..50)
            .map(|_| {
                let mut buffer = pool.lend();
                buffer.room(1, usize::MAX);
                buffer
            })
            .collect();
        assert_eq!(pool.lent(), 50);
        storm.into_iter().for_each(|buffer| pool.give_back(buffer));
        assert_eq!(pool.lent(), 0);
        assert!(pool.idle_bytes() > 50_000 && pool.idle_bytes() <= 100_000, "{pool:?}");
    }

    #[test]
    fn a_buffer_that_has_grown_is_not_kept() {
        let mut pool: Pool<OutputQueue> = Pool::new(10 << 20);
        let mut queue = pool.lend();
        queue.inline().resize(POOL_MAX_BUFFER + 1, 0);
        pool.give_back(queue);
        assert_eq!(pool.idle_bytes(), 0);
        assert_eq!(pool.lend().footprint(), 0, "a fresh one");
    }
}
