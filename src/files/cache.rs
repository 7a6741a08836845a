//! The cache of files: it keeps large ones open, and small ones in memory.

use std::collections::HashMap;
use std::rc::Rc;

use super::resource::Resource;
use crate::limits::{FILE_IDLE, FILE_ROUND};

/// Resources by path, bounded in number and in bytes.
///
/// When the cache is full, it removes an entry that was not used since the last round (the "clock" algorithm). That is
/// nearly as good as removing the least recently used one, and a use costs no more than setting a mark.
#[derive(Debug)]
pub(super) struct Cache {
    /// The index of the entry of each path.
    places: HashMap<Rc<str>, usize>,
    entries: Vec<Entry>,
    /// The index of the entry at which the last round stopped.
    hand: usize,
    /// The number of the current round of [`end_round`](Self::end_round).
    round: u64,
    bytes: usize,
    max_entries: usize,
    max_bytes: usize,
}

#[derive(Debug)]
struct Entry {
    path: Rc<str>,
    resource: Rc<Resource>,
    bytes: usize,
    /// The second in which the resource was last found to match the disk.
    checked: u64,
    used: bool,
    /// The round in which it was last asked for.
    round: u64,
}

impl Cache {
    pub(super) fn new(max_entries: usize, max_bytes: usize) -> Self {
        Self { places: HashMap::new(), entries: Vec::new(), hand: 0, round: 0, bytes: 0, max_entries, max_bytes }
    }

    /// Whether the cache keeps entries at all.
    pub(super) const fn is_on(&self) -> bool {
        self.max_entries > 0
    }

    /// The resource at a path, and whether it was checked in this second.
    #[inline]
    pub(super) fn get(&mut self, path: &str, second: u64) -> Option<(Rc<Resource>, bool)> {
        let entry = &mut self.entries[*self.places.get(path)?];
        entry.used = true;
        Some((Rc::clone(&entry.resource), entry.checked == second))
    }

    /// Keeps a resource that was found at a path in this second, in place of an earlier one. It does not keep one whose
    /// descriptor is needed to open other files.
    pub(super) fn put(&mut self, path: &str, resource: &Rc<Resource>, second: u64) {
        let bytes = resource.footprint() + 2 * path.len() + size_of::<Entry>();
        let used = self.places.get(path).is_some_and(|&at| self.entries[at].used);
        self.remove(path);
        if !self.is_on() || bytes > self.max_bytes || resource.takes_from_reserve() {
            return;
        }
        while self.entries.len() >= self.max_entries || self.bytes + bytes > self.max_bytes {
            self.make_room();
        }
        let path: Rc<str> = path.into();
        self.places.insert(Rc::clone(&path), self.entries.len());
        self.bytes += bytes;
        // A new entry is unmarked: a path that is requested only once is removed first.
        let (resource, round) = (Rc::clone(resource), self.round);
        self.entries.push(Entry { path, resource, bytes, checked: second, used, round });
    }

    /// Removes the entry of a path, if there is one.
    pub(super) fn remove(&mut self, path: &str) {
        if let Some(&at) = self.places.get(path) {
            self.remove_at(at);
        }
    }

    /// Removes the entries with an open file that no reply uses, and so closes it; returns whether there were any.
    pub(super) fn close_files(&mut self) -> bool {
        let before = self.entries.len();
        for at in (0..before).rev() {
            if self.entries[at].resource.has_idle_file() {
                self.remove_at(at);
            }
        }
        self.entries.len() < before
    }

    /// Ends a round of [`FILE_ROUND`], and removes the entries that nobody has asked for in [`FILE_IDLE`]. Returns
    /// whether others are left. An entry that is asked for is put again in each second, so the number of the round in
    /// which it was put tells when that was.
    pub(super) fn end_round(&mut self) -> bool {
        self.round += 1;
        let kept = FILE_IDLE.as_secs() / FILE_ROUND.as_secs();
        for at in (0..self.entries.len()).rev() {
            if self.entries[at].round + kept < self.round {
                self.remove_at(at);
            }
        }
        !self.entries.is_empty()
    }

    /// Removes the next entry that was not used in this round.
    fn make_room(&mut self) {
        loop {
            self.hand = if self.hand + 1 < self.entries.len() { self.hand + 1 } else { 0 };
            if !std::mem::take(&mut self.entries[self.hand].used) {
                return self.remove_at(self.hand);
            }
        }
    }

    fn remove_at(&mut self, at: usize) {
        let entry = self.entries.swap_remove(at);
        self.places.remove(&entry.path);
        self.bytes -= entry.bytes;
        // `swap_remove` has moved the last entry here.
        if let Some(moved) = self.entries.get(at) {
            self.places.insert(Rc::clone(&moved.path), at);
        }
    }
}
