//! The cache of files: it keeps large ones open, and small ones in memory.

use std::collections::HashMap;
use std::rc::Rc;

use super::stored::Item;
use crate::http::coding::{Coding, Wishes};
use crate::http::conditional::Conditions;

/// What a path names: a file, and the same content in other codings.
#[derive(Debug)]
pub(super) struct Entry {
    /// The path of the file itself; for a directory, the path of its index.
    pub(super) path: Box<str>,
    pub(super) plain: Rc<Item>,
    pub(super) coded: Vec<(Coding, Rc<Item>)>,
}

impl Entry {
    /// The item that the client prefers.
    pub(super) fn choose(&self, conditions: &Conditions<'_>) -> &Item {
        if self.coded.is_empty() || conditions.accept_encoding.is_none() {
            return &self.plain;
        }
        let wanted = Wishes::read(&conditions.accept_encoding);
        wanted.in_order().find_map(|coding| self.coded(Some(coding))).unwrap_or(&self.plain)
    }

    /// The item in this coding; with `None`, the plain file.
    pub(super) fn coded(&self, coding: Option<Coding>) -> Option<&Rc<Item>> {
        match coding {
            None => Some(&self.plain),
            Some(coding) => self.coded.iter().find(|(known, _)| *known == coding).map(|(_, coded)| coded),
        }
    }

    fn items(&self) -> impl Iterator<Item = &Rc<Item>> {
        self.coded.iter().map(|(_, coded)| coded).chain([&self.plain])
    }

    fn has_idle_file(&self) -> bool {
        self.items().any(|item| item.representation.holds_alone())
    }

    fn footprint(&self) -> usize {
        self.items().map(|item| size_of::<Item>() + item.representation.footprint()).sum()
    }
}

/// Entries by path, bounded in number and in bytes.
///
/// When the cache is full, it removes an entry that was not used since the last round (the "clock" algorithm). That is
/// nearly as good as removing the least recently used one, and a use costs no more than setting a mark.
#[derive(Debug)]
pub(super) struct Cache {
    places: HashMap<Rc<str>, usize>,
    slots: Vec<Slot>,
    hand: usize,
    bytes: usize,
    max_entries: usize,
    max_bytes: usize,
}

#[derive(Debug)]
struct Slot {
    path: Rc<str>,
    entry: Rc<Entry>,
    bytes: usize,
    /// The second in which the entry was last found to match the disk.
    checked: u64,
    used: bool,
}

impl Cache {
    pub(super) fn new(max_entries: usize, max_bytes: usize) -> Self {
        Self { places: HashMap::new(), slots: Vec::new(), hand: 0, bytes: 0, max_entries, max_bytes }
    }

    /// Whether the cache keeps entries at all.
    pub(super) const fn is_on(&self) -> bool {
        self.max_entries > 0
    }

    /// The entry of a path, and whether it was checked in this second.
    #[inline]
    pub(super) fn get(&mut self, path: &str, second: u64) -> Option<(Rc<Entry>, bool)> {
        let slot = &mut self.slots[*self.places.get(path)?];
        slot.used = true;
        Some((Rc::clone(&slot.entry), slot.checked == second))
    }

    /// Keeps an entry that was found at a path in this second, in place of an earlier one.
    pub(super) fn put(&mut self, path: &str, entry: &Rc<Entry>, second: u64) {
        let bytes = entry.footprint() + 2 * path.len() + size_of::<Slot>();
        let used = self.places.get(path).is_some_and(|&at| self.slots[at].used);
        self.remove(path);
        if !self.is_on() || bytes > self.max_bytes {
            return;
        }
        while self.slots.len() >= self.max_entries || self.bytes + bytes > self.max_bytes {
            self.make_room();
        }
        let path: Rc<str> = path.into();
        self.places.insert(Rc::clone(&path), self.slots.len());
        self.bytes += bytes;
        // A new entry is unmarked: a path that is requested only once is removed first.
        self.slots.push(Slot { path, entry: Rc::clone(entry), bytes, checked: second, used });
    }

    /// Removes the entry of a path.
    pub(super) fn remove(&mut self, path: &str) {
        if let Some(&at) = self.places.get(path) {
            self.remove_at(at);
        }
    }

    /// Removes the entries with an open file that no reply uses, and so closes it; returns whether there were any.
    pub(super) fn close_files(&mut self) -> bool {
        let before = self.slots.len();
        for at in (0..before).rev() {
            if self.slots[at].entry.has_idle_file() {
                self.remove_at(at);
            }
        }
        self.slots.len() < before
    }

    /// Removes the next entry that was not used in this round.
    fn make_room(&mut self) {
        loop {
            self.hand = if self.hand + 1 < self.slots.len() { self.hand + 1 } else { 0 };
            if !std::mem::take(&mut self.slots[self.hand].used) {
                return self.remove_at(self.hand);
            }
        }
    }

    fn remove_at(&mut self, at: usize) {
        let slot = self.slots.swap_remove(at);
        self.places.remove(&slot.path);
        self.bytes -= slot.bytes;
        // `swap_remove` has moved the last slot here.
        if let Some(moved) = self.slots.get(at) {
            self.places.insert(Rc::clone(&moved.path), at);
        }
    }
}
