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

/// What fstat(2) says of a file, as far as it matters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Metadata {
    pub(super) kind: FileType,
    pub(super) size: u64,
    /// Seconds of Unix time.
    pub(super) modified: u64,
    /// When it, or what is known of it, was changed; the kernel sets this one, nobody else can.
    changed: u64,
    digest: u64,
}

impl Metadata {
    pub(super) fn of(file: impl AsFd) -> Result<Self, Errno> {
        Ok(Self::from_stat(&fstat(file)?))
    }

    #[allow(clippy::unnecessary_cast, reason = "the types of the fields differ from system to system")]
    pub(super) fn from_stat(stat: &Stat) -> Self {
        let times = (stat.st_mtime, stat.st_mtime_nsec, stat.st_ctime, stat.st_ctime_nsec);
        let mut hasher = DefaultHasher::new();
        (stat.st_dev, stat.st_ino, stat.st_size, times).hash(&mut hasher);
        Self {
            kind: FileType::from_raw_mode(stat.st_mode),
            size: u64::try_from(stat.st_size).unwrap_or(0),
            modified: u64::try_from(stat.st_mtime as i64).unwrap_or(0),
            changed: u64::try_from(stat.st_ctime as i64).unwrap_or(0),
            digest: hasher.finish(),
        }
    }

    /// Its tag: device, inode, size, and the times of the last modification and the last change in nanoseconds, in 16
    /// digits that do not tell them.
    pub(super) fn tag(&self) -> String {
        format!("\"{:016x}\"", self.digest)
    }

    /// Its validators at a time in seconds of Unix time; `tag` is its own.
    pub(super) fn validators<'a>(&self, tag: &'a str, second: u64) -> Validators<'a> {
        let weak = second < self.changed.saturating_add(YOUNG);
        // "An origin server MUST NOT generate a Last-Modified date that is later than the time of message origination"
        // (RFC 9110 §8.8.2.1).
        Validators { tag, weak, modified: self.modified.min(second) }
    }
}

/// A regular file that was just opened.
#[derive(Debug)]
pub(super) struct Opened {
    file: OwnedFd,
    pub(super) metadata: Metadata,
    tag: String,
}

impl Opened {
    pub(super) fn new(file: OwnedFd, metadata: Metadata) -> Self {
        Self { file, metadata, tag: metadata.tag() }
    }

    pub(super) fn validators(&self, second: u64) -> Validators<'_> {
        self.metadata.validators(&self.tag, second)
    }

    /// What can be sent of it; a small file is read if it is to be `kept` in memory. The caller adds what else there is to
    /// say, and renders it.
    pub(super) fn represent(self, second: u64, kept: bool) -> io::Result<Representation> {
        let size = self.metadata.size;
        let tag = self.tag.clone();
        let validators = self.metadata.validators(&tag, second);
        let file = File::from(self.file);
        let stored = match kept && size <= CACHED_FILE_BYTES {
            true => read(&file, size)?,
            false => None,
        };
        let stored = stored.unwrap_or_else(|| {
            if size > CACHED_FILE_BYTES {
                read_ahead(&file, size);
            }
            Stored::File(Arc::new(file))
        });
        Ok(Representation::new(stored, size, &validators))
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
