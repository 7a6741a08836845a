//! The names in a directory, in the order in which they are listed.

use std::cell::Cell;
use std::cmp::Ordering;
use std::ops::Range;

use rustix::fs::{AtFlags, Dir, FileType, statat};
use rustix::io::Errno;

use super::open_file::Metadata;
use crate::limits::{MAX_LISTED, MAX_NAME_BYTES, MAX_NAMES};

/// The names in a directory that may be requested: directories first, and each kind by name, without regard to the case
/// of ASCII letters.
///
/// The kind counts that the directory itself tells, without a look at each file. So a link has its place among the
/// files, wherever it leads. The order depends on nothing else, so a name keeps its place between two others when files
/// come and go.
#[derive(Debug)]
pub(super) struct Names {
    /// All names, one after the other.
    text: String,
    entries: Vec<Entry>,
    /// The directory has more names than were read.
    is_partial: bool,
}

#[derive(Debug)]
struct Entry {
    /// The beginning of the name as it is compared: most comparisons end there.
    beginning: u64,
    start: u32,
    length: u32,
    is_directory: bool,
    seen: Cell<Seen>,
}

/// What is known of the file that a name names.
#[derive(Clone, Copy, Debug)]
enum Seen {
    NotYet,
    /// There is none that can be requested.
    Nothing,
    File(State),
}

/// The state of a file that is listed.
#[derive(Clone, Copy, Debug)]
pub(super) struct State {
    pub(super) is_directory: bool,
    pub(super) size: u64,
    pub(super) modified: u64,
}

/// How a name is compared with others.
#[derive(Clone, Copy, Debug)]
struct Key<'a> {
    is_directory: bool,
    beginning: u64,
    name: &'a str,
}

impl Names {
    /// Reads the names; `is_shown` says which may be requested. It reads no more than [`MAX_NAMES`], and no more than
    /// [`MAX_NAME_BYTES`] of them.
    pub(super) fn read(directory: &mut Dir, is_shown: impl Fn(&str) -> bool) -> Result<Self, Errno> {
        let mut names = Self { text: String::new(), entries: Vec::new(), is_partial: false };
        for (read, entry) in directory.by_ref().enumerate() {
            let entry = entry?;
            if read >= MAX_NAMES || names.text.len() >= MAX_NAME_BYTES {
                names.is_partial = true;
                break;
            }
            // A link may lead to a file, and some file systems do not tell the kind.
            let kind = entry.file_type();
            let may_be_file = [FileType::Directory, FileType::RegularFile, FileType::Symlink, FileType::Unknown];
            let Ok(name) = entry.file_name().to_str() else { continue };
            if !matches!(name, "." | "..") && may_be_file.contains(&kind) && is_shown(name) {
                names.add(name, kind == FileType::Directory);
            }
        }
        let Self { text, entries, .. } = &mut names;
        text.shrink_to_fit();
        entries.shrink_to_fit();
        entries.sort_unstable_by(|a, b| a.key(text).cmp(&b.key(text)));
        Ok(names)
    }

    fn add(&mut self, name: &str, is_directory: bool) {
        let (start, length) = (self.text.len() as u32, name.len() as u32);
        self.text.push_str(name);
        let seen = Cell::new(Seen::NotYet);
        self.entries.push(Entry { beginning: beginning(name.as_bytes()), start, length, is_directory, seen });
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the directory has more names.
    pub(super) const fn is_partial(&self) -> bool {
        self.is_partial
    }

    /// Bytes that they take in memory.
    pub(super) fn footprint(&self) -> usize {
        size_of::<Self>() + self.text.capacity() + self.entries.capacity() * size_of::<Entry>()
    }

    /// The places of the names on the page that begins after a name; a directory has a slash at its end. The name need
    /// not be there any more.
    pub(super) fn page(&self, after: Option<&str>) -> Range<usize> {
        let first = after.map_or(0, |after| {
            let name = after.strip_suffix('/').unwrap_or(after);
            let mark = Key { is_directory: name.len() < after.len(), beginning: beginning(name.as_bytes()), name };
            self.entries.partition_point(|entry| entry.key(&self.text).cmp(&mark).is_le())
        });
        first..self.len().min(first + MAX_LISTED)
    }

    /// The name after which a page begins, in the form of [`page`](Self::page); `None` for the first page.
    pub(super) fn before(&self, first: usize) -> Option<String> {
        let entry = &self.entries[first.checked_sub(1)?];
        Some(format!("{}{}", entry.name(&self.text), if entry.is_directory { "/" } else { "" }))
    }

    /// The names at these places, each with the state of its file. Names are left out whose file was removed meanwhile
    /// or cannot be requested. `target` returns the state of what a link leads to. Each file is looked at once.
    pub(super) fn listed(
        &self,
        places: Range<usize>,
        directory: &Dir,
        target: impl Fn(&str) -> Option<Metadata>,
    ) -> Result<Vec<(&str, State)>, Errno> {
        let directory = directory.fd()?;
        let look = |name: &str| {
            let stat = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
            let metadata = Metadata::from_stat(&stat);
            let metadata = if metadata.kind == FileType::Symlink { target(name)? } else { metadata };
            let is_directory = metadata.kind == FileType::Directory;
            let state = State { is_directory, size: metadata.size, modified: metadata.modified() };
            (is_directory || metadata.kind == FileType::RegularFile).then_some(state)
        };
        let is_all = places.len() == self.len();
        let mut listed = Vec::with_capacity(places.len());
        for entry in &self.entries[places] {
            let name = entry.name(&self.text);
            if matches!(entry.seen.get(), Seen::NotYet) {
                entry.seen.set(look(name).map_or(Seen::Nothing, Seen::File));
            }
            if let Seen::File(state) = entry.seen.get() {
                listed.push((name, state));
            }
        }
        if is_all {
            put_directories_first(&mut listed);
        }
        Ok(listed)
    }
}

/// Puts the links to directories among the directories, which come first. Without them the names are in order, so there
/// is no need for a sort.
fn put_directories_first(listed: &mut [(&str, State)]) {
    let mut directories = listed.iter().take_while(|(_, state)| state.is_directory).count();
    let files = directories;
    for at in files..listed.len() {
        let (name, state) = &listed[at];
        if state.is_directory {
            let key = Key::of(name, true);
            let place = listed[..directories].partition_point(|(before, _)| Key::of(before, true).cmp(&key).is_lt());
            listed[place..=at].rotate_right(1);
            directories += 1;
        }
    }
}

impl Entry {
    fn name<'a>(&self, text: &'a str) -> &'a str {
        &text[self.start as usize..(self.start + self.length) as usize]
    }

    fn key<'a>(&self, text: &'a str) -> Key<'a> {
        Key { is_directory: self.is_directory, beginning: self.beginning, name: self.name(text) }
    }
}

impl<'a> Key<'a> {
    fn of(name: &'a str, is_directory: bool) -> Self {
        Self { is_directory, beginning: beginning(name.as_bytes()), name }
    }

    fn cmp(&self, other: &Self) -> Ordering {
        let kind = other.is_directory.cmp(&self.is_directory);
        kind.then(self.beginning.cmp(&other.beginning)).then_with(|| {
            // Eight bytes at a time. No name has a zero, so a name comes before those that it begins.
            let folded = |key: &Self| key.name.as_bytes().chunks(8).skip(1).map(beginning);
            folded(self).cmp(folded(other)).then_with(|| self.name.cmp(other.name))
        })
    }
}

/// The first eight bytes of a name, in lower case, as a number that is in the same order.
fn beginning(name: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let length = name.len().min(8);
    bytes[..length].copy_from_slice(&name[..length]);
    bytes.make_ascii_lowercase();
    u64::from_be_bytes(bytes)
}
