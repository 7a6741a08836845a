//! From an open descriptor to what can be sent of it: what kind of thing it is, its validators, its field lines.

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

/// A second change within so many seconds may not show in a file's times, so until then its validators are weak (RFC 9110
/// §8.8.1). Two, and one more because the time is known to the second only.
const YOUNG: u64 = 3;

/// What fstat(2) says of a file, as far as it matters. If it is the same, so is the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Metadata {
    pub(super) kind: FileType,
    pub(super) size: u64,
    modified: Time,
    /// When it, or what is known of it, was changed; the kernel sets this one, nobody else can.
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

    /// When it was last modified, in seconds of Unix time: many tools copy times no more precisely.
    pub(super) fn modified(&self) -> u64 {
        u64::try_from(self.modified.0).unwrap_or(0)
    }

    /// Whether its validators are weak.
    fn is_young(&self, second: u64) -> bool {
        second < u64::try_from(self.changed.0).unwrap_or(0).saturating_add(YOUNG)
    }

    /// Its tag: device, inode, size, and the times of the last modification and the last change in nanoseconds, in 16
    /// digits that do not tell them.
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

/// A file that can be sent, as it was at some time.
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

    /// Whether an item of an earlier time is certainly the same still.
    pub(super) fn is(&self, item: &Item, second: u64) -> bool {
        self.metadata == item.metadata && !item.weak && !self.metadata.is_young(second)
    }

    /// What can be sent of it; a small file is read if it shall lie `in_memory`. `describe` adds what else there is to
    /// say of it.
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
    /// Whether the file, if it is open, is still as it was. What is in memory is: it does not change.
    pub(super) fn is_unchanged(&self) -> bool {
        self.representation.file().is_none_or(|file| Metadata::of(file).is_ok_and(|now| now == self.metadata))
    }

    /// An item in memory, of no file.
    #[cfg(all(test, feature = "json"))]
    pub(super) fn of_bytes(bytes: usize) -> Self {
        let stored = Stored::Memory(vec![0; bytes].into());
        let representation =
            Representation::new(stored, bytes as u64, &Validators { tag: "", weak: false, modified: 0 });
        let root = std::fs::File::open("/").expect("there is a root");
        Self { representation, metadata: Metadata::of(&root).expect("it is there"), weak: false }
    }
}

/// Reads a small file; `None` if it is not what its size says: someone writes to it.
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

/// Has the kernel fetch the beginning of a file from its disk now, and more than usual ahead of each read: whoever waits
/// for the disk later is everybody.
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
