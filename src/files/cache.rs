//! Files that are kept: open, or in memory if they are small.

use std::collections::HashMap;
use std::rc::Rc;

use super::stored::Item;
use crate::http::coding::{Coding, Wishes};
use crate::http::conditional::Conditions;

/// What stands at a path: a file, and the same in other codings.
#[derive(Debug)]
pub(super) struct Entry {
    /// Where the file lies: of a directory, the path of its index.
    pub(super) path: Box<str>,
    pub(super) plain: Rc<Item>,
    pub(super) coded: Vec<(Coding, Rc<Item>)>,
}

impl Entry {
    /// The one that the client wants most.
    pub(super) fn choose(&self, conditions: &Conditions<'_>) -> &Item {
        if self.coded.is_empty() || conditions.accept_encoding.is_none() {
            return &self.plain;
        }
        let wanted = Wishes::read(&conditions.accept_encoding);
        wanted.in_order().find_map(|coding| self.coded(Some(coding))).unwrap_or(&self.plain)
    }

    /// The one in a coding, or the plain one.
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
/// When it is full, one that was not used since the last round goes (the "clock" algorithm): nearly as good as to know
/// which was used least recently, and a use costs no more than a mark.
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
    /// The second in which it was found to be what stands there.
    checked: u64,
    used: bool,
}

impl Cache {
    pub(super) fn new(max_entries: usize, max_bytes: usize) -> Self {
        Self { places: HashMap::new(), slots: Vec::new(), hand: 0, bytes: 0, max_entries, max_bytes }
    }

    /// Whether it keeps anything.
    pub(super) const fn is_on(&self) -> bool {
        self.max_entries > 0
    }

    /// What is known of a path, and whether that is of this second.
    #[inline]
    pub(super) fn get(&mut self, path: &str, second: u64) -> Option<(Rc<Entry>, bool)> {
        let slot = &mut self.slots[*self.places.get(path)?];
        slot.used = true;
        Some((Rc::clone(&slot.entry), slot.checked == second))
    }

    /// Keeps an entry that was found at a path in this second, in place of what was known.
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
        // What is asked for once is the first to go.
        self.slots.push(Slot { path, entry: Rc::clone(entry), bytes, checked: second, used });
    }

    /// Forgets a path.
    pub(super) fn remove(&mut self, path: &str) {
        if let Some(&at) = self.places.get(path) {
            self.remove_at(at);
        }
    }

    /// Forgets what has a file open that nobody is being sent, which closes it; tells whether there was any.
    pub(super) fn close_files(&mut self) -> bool {
        let before = self.slots.len();
        for at in (0..before).rev() {
            if self.slots[at].entry.has_idle_file() {
                self.remove_at(at);
            }
        }
        self.slots.len() < before
    }

    /// Removes one entry.
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
        // The last one stands in its place now.
        if let Some(moved) = self.slots.get(at) {
            self.places.insert(Rc::clone(&moved.path), at);
        }
    }
}
