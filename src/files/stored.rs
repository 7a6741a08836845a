//! Turns an open descriptor into something that can be sent: it finds the kind of file, its validators and field lines.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use rustix::fs::{FileType, Stat, fstat};
use rustix::io::Errno;

use crate::exchange::{Representation, Stored};
use crate::http::conditional::Validators;
use crate::limits::CACHED_FILE_BYTES;

/// Seconds after a change in which another change may leave the file's times the same. Until then its validators are
/// weak (RFC 9110 §8.8.1). The value is two seconds, and one more because the time is known to the second only.
const YOUNG: u64 = 3;

/// The fields of fstat(2) that identify a state of a file. If they are the same, so is the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Metadata {
    pub(super) kind: FileType,
    pub(super) size: u64,
    modified: Time,
    /// When the content or the metadata was last changed. Only the kernel can set this time.
    changed: Time,
    device: u64,
    inode: u64,
}

/// Seconds of Unix time, and nanoseconds.
type Time = (i64, i64);

impl Metadata {
    pub(super) fn of(file: impl AsFd) -> Result<Self, Errno> {
        Ok(Self::from_stat(&fstat(file)?))
    }

    #[allow(clippy::unnecessary_cast, reason = "the types of the fields differ from system to system")]
    pub(super) fn from_stat(stat: &Stat) -> Self {
        Self {
            kind: FileType::from_raw_mode(stat.st_mode),
            size: u64::try_from(stat.st_size).unwrap_or(0),
            modified: (stat.st_mtime as i64, stat.st_mtime_nsec as i64),
            changed: (stat.st_ctime as i64, stat.st_ctime_nsec as i64),
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
        }
    }

    /// When the file was last modified, in seconds of Unix time: many tools copy times no more precisely than that.
    pub(super) fn modified(&self) -> u64 {
        u64::try_from(self.modified.0).unwrap_or(0)
    }

    /// Whether the last change is so recent that the validators are weak.
    fn is_young(&self, second: u64) -> bool {
        second < u64::try_from(self.changed.0).unwrap_or(0).saturating_add(YOUNG)
    }

    /// The entity tag: a hash of 16 digits. It covers device, inode, size, and the times of the last modification and
    /// the last change in nanoseconds, and reveals none of them.
    fn tag(&self) -> String {
        let mut hasher = DefaultHasher::new();
        (self.device, self.inode, self.size, self.modified, self.changed).hash(&mut hasher);
        format!("\"{:016x}\"", hasher.finish())
    }
}

/// A regular file that was just opened.
#[derive(Debug)]
pub(super) struct Opened {
    file: OwnedFd,
    pub(super) metadata: Metadata,
}

/// A file that can be sent, in the state in which it was opened.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) representation: Representation,
    metadata: Metadata,
    weak: bool,
}

impl Opened {
    pub(super) const fn new(file: OwnedFd, metadata: Metadata) -> Self {
        Self { file, metadata }
    }

    /// Whether an earlier item is certainly still the same as this file.
    pub(super) fn is(&self, item: &Item, second: u64) -> bool {
        self.metadata == item.metadata && !item.weak && !self.metadata.is_young(second)
    }

    /// Makes an item that can be sent. With `in_memory`, a small file is read into memory. `describe` adds further
    /// field lines.
    pub(super) fn into_item(
        self,
        second: u64,
        in_memory: bool,
        describe: impl FnOnce(Representation) -> Representation,
    ) -> io::Result<Item> {
        let metadata = self.metadata;
        let (size, weak) = (metadata.size, metadata.is_young(second));
        // "An origin server MUST NOT generate a Last-Modified date that is later than the time of message origination"
        // (RFC 9110 §8.8.2.1).
        let modified = metadata.modified().min(second);
        let file = File::from(self.file);
        let stored = match in_memory && size <= CACHED_FILE_BYTES {
            true => read(&file, size)?,
            false => None,
        };
        let stored = stored.unwrap_or_else(|| {
            if size > CACHED_FILE_BYTES {
                read_ahead(&file, size);
            }
            Stored::File(Arc::new(file))
        });
        let representation = Representation::new(stored, size, &Validators { tag: &metadata.tag(), weak, modified });
        Ok(Item { representation: describe(representation).render(), metadata, weak })
    }
}

impl Item {
    /// Whether an open file is still in the same state. Content in memory does not change, so it always is.
    pub(super) fn is_unchanged(&self) -> bool {
        self.representation.file().is_none_or(|file| Metadata::of(file).is_ok_and(|now| now == self.metadata))
    }

    /// An item in memory without a file.
    #[cfg(all(test, feature = "json"))]
    pub(super) fn of_bytes(bytes: usize) -> Self {
        let stored = Stored::Memory(vec![0; bytes].into());
        let representation =
            Representation::new(stored, bytes as u64, &Validators { tag: "", weak: false, modified: 0 });
        let root = std::fs::File::open("/").expect("there is a root");
        Self { representation, metadata: Metadata::of(&root).expect("it is there"), weak: false }
    }
}

/// Reads a small file. Returns `None` if its length differs from its size: then some process is writing to it.
fn read(file: &File, size: u64) -> io::Result<Option<Stored>> {
    let mut bytes = vec![0; size as usize + 1];
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok((filled as u64 == size).then(|| Stored::Memory(bytes.into())))
}

/// Asks the kernel to fetch the beginning of a file from the disk now, and to read further ahead than usual. A later
/// wait for the disk would stall every client.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn read_ahead(file: &File, size: u64) {
    use rustix::fs::{Advice, fadvise};
    use std::num::NonZeroU64;

    use crate::limits::FILE_TURN;
    let _ = fadvise(file, 0, None, Advice::Sequential);
    let _ = fadvise(file, 0, NonZeroU64::new(size.min(FILE_TURN as u64)), Advice::WillNeed);
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn read_ahead(_: &File, _: u64) {}
