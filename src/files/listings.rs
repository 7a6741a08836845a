//! The listings that were asked for in this second: each is made once, however many clients ask for it.

use std::rc::Rc;
use std::sync::Arc;

use super::names::Names;
use crate::limits::{LISTING_BYTES, LISTINGS};

/// The names of the directories that were listed in the current second, and the pages that were made of them. Both are
/// bounded in number and in bytes.
#[derive(Debug, Default)]
pub(super) struct Listings {
    second: u64,
    /// The one that was added first is the first.
    kept: Vec<Kept>,
}

#[derive(Debug)]
struct Kept {
    path: Box<str>,
    names: Rc<Names>,
    pages: Vec<(PageKey, Arc<[u8]>)>,
}

/// What a page of a directory depends on, besides the names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PageKey {
    pub(super) is_json: bool,
    /// The place of the first name.
    pub(super) first: usize,
    /// The path that is shown.
    pub(super) shown: String,
}

impl Listings {
    /// The names of a directory, if they were read in this second.
    pub(super) fn names(&mut self, path: &str, second: u64) -> Option<Rc<Names>> {
        if self.second != second {
            self.clear();
            self.second = second;
        }
        self.kept.iter().find(|kept| *kept.path == *path).map(|kept| Rc::clone(&kept.names))
    }

    /// Keeps the names of a directory that were read in this second, unless they are too many.
    pub(super) fn keep(&mut self, path: &str, names: &Rc<Names>) {
        if self.make_room(names.footprint(), None) {
            self.kept.push(Kept { path: path.into(), names: Rc::clone(names), pages: Vec::new() });
        }
    }

    /// A page that was made in this second.
    pub(super) fn page(&self, path: &str, key: &PageKey) -> Option<Arc<[u8]>> {
        let kept = self.kept.iter().find(|kept| *kept.path == *path)?;
        kept.pages.iter().find(|(known, _)| known == key).map(|(_, page)| Arc::clone(page))
    }

    /// Keeps a page, if the names are kept of which it was made.
    pub(super) fn keep_page(&mut self, path: &str, key: PageKey, page: &Arc<[u8]>) {
        if self.make_room(page.len(), Some(path))
            && let Some(kept) = self.kept.iter_mut().find(|kept| *kept.path == *path)
        {
            kept.pages.push((key, Arc::clone(page)));
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.kept = Vec::new();
    }

    /// Removes what was added first, but not the directory at `except`, until there is room. Returns whether there is.
    fn make_room(&mut self, bytes: usize, except: Option<&str>) -> bool {
        while self.kept.len() + usize::from(except.is_none()) > LISTINGS || self.bytes() + bytes > LISTING_BYTES {
            match self.kept.iter().position(|kept| Some(&*kept.path) != except) {
                Some(first) => drop(self.kept.remove(first)),
                None => return self.forget_pages(bytes),
            }
        }
        true
    }

    /// Forgets the pages of what is left, and returns whether there is room then.
    fn forget_pages(&mut self, bytes: usize) -> bool {
        self.kept.iter_mut().for_each(|kept| kept.pages.clear());
        self.bytes() + bytes <= LISTING_BYTES
    }

    fn bytes(&self) -> usize {
        let pages = |kept: &Kept| kept.pages.iter().map(|(key, page)| page.len() + key.shown.len()).sum::<usize>();
        self.kept.iter().map(|kept| kept.names.footprint() + pages(kept)).sum()
    }
}
