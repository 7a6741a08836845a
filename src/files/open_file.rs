//! A file that was just opened: what the kernel says about it, and how it becomes a representation.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use rustix::fs::{CWD, FileType, Mode, OFlags, Stat, fstat, openat};
use rustix::io::Errno;

use crate::exchange::Representation;
use crate::http::conditional::Validators;
use crate::limits::{CACHED_FILE_BYTES, MADE_FILE_BYTES};

/// Seconds after a change in which another change may leave the file's times the same. Until then its validators are
/// weak (RFC 9110 §8.8.1). The value is two seconds, and one more because the time is known to the second only.
const YOUNG: u64 = 3;

/// Flags for opening a file to read it: if it has become a FIFO, it must not block the loop, and a terminal must not
/// become our controlling terminal.
const FILE: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::CLOEXEC).union(OFlags::NOCTTY);

/// Flags for finding out what a path names. Where the system has `O_PATH`, the thing itself is not opened: no writer of
/// a FIFO is released, and no device does anything.
#[cfg(any(target_os = "linux", target_os = "android"))]
const NAMED: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const NAMED: OFlags = FILE;

/// A file that was just opened, and its state at that time.
#[derive(Debug)]
pub(super) struct OpenFile {
    pub(super) descriptor: OwnedFd,
    pub(super) metadata: Metadata,
}

impl OpenFile {
    /// Opens a regular file or a directory for reading; `open` opens its path with the flags that it gets. What is of
    /// another kind is not opened, so that nobody notices: a writer of a FIFO goes on waiting, and a device does
    /// nothing.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) fn by(open: impl Fn(OFlags) -> Result<OwnedFd, Errno>) -> Result<Self, Errno> {
        let named = Self::new(open(NAMED)?)?;
        if !named.is_regular() && !named.is_directory() {
            return Err(Errno::NXIO);
        }
        // This opens the very thing that was looked at, whatever has taken its place meanwhile.
        let this = format!("/proc/self/fd/{}", named.descriptor.as_raw_fd());
        match openat(CWD, this, FILE | OFlags::LARGEFILE, Mode::empty()) {
            Ok(descriptor) => Ok(Self { descriptor, metadata: named.metadata }),
            // There is no `/proc` here, or it may not be used; or only one descriptor is free; or the file may not be
            // read. A file that has become a FIFO in this moment is opened after all, but its path is still resolved
            // by the rules.
            Err(_) => {
                drop(named);
                Self::new(open(FILE)?)
            }
        }
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(super) fn by(open: impl Fn(OFlags) -> Result<OwnedFd, Errno>) -> Result<Self, Errno> {
        Self::new(open(NAMED)?)
    }

    /// The state of what a path names; `open` opens it with the flags that it gets.
    pub(super) fn look_by(open: impl Fn(OFlags) -> Result<OwnedFd, Errno>) -> Result<Metadata, Errno> {
        Metadata::of(open(NAMED)?)
    }

    fn new(descriptor: OwnedFd) -> Result<Self, Errno> {
        let metadata = Metadata::of(&descriptor)?;
        Ok(Self { descriptor, metadata })
    }

    pub(super) fn is_regular(&self) -> bool {
        self.metadata.kind == FileType::RegularFile
    }

    pub(super) fn is_directory(&self) -> bool {
        self.metadata.kind == FileType::Directory
    }

    /// Makes a regular file into what is sent for it. With `in_memory`, a small file is read into memory. `describe`
    /// adds further field lines.
    ///
    /// # Errors
    /// An error of the file system; `ENXIO` if the size is not that of the content and the content is long.
    pub(super) fn into_representation(
        self,
        second: u64,
        in_memory: bool,
        describe: impl FnOnce(Representation) -> Representation,
    ) -> io::Result<Representation> {
        let Self { descriptor, metadata } = self;
        let (size, weak) = (metadata.size, metadata.is_young(second));
        let file = File::from(descriptor);
        let bytes = match metadata.may_lie {
            true => read_whatever_it_has(&file, size)?,
            false if in_memory && size <= CACHED_FILE_BYTES => read(&file, size, size)?,
            false => None,
        };
        // A file whose size is wrong is made by the kernel while it is read, and its times say nothing.
        let is_made = bytes.as_ref().is_some_and(|bytes| bytes.len() as u64 != size);
        // "An origin server MUST NOT generate a Last-Modified date that is later than the time of message origination"
        // (RFC 9110 §8.8.2.1).
        let modified = metadata.last_modified().filter(|_| !is_made).map(|modified| modified.min(second));
        let tag = metadata.tag(bytes.as_deref().filter(|_| metadata.may_lie).unwrap_or_default());
        let validators = Validators { tag: &tag, weak, modified };
        let representation = match bytes {
            Some(bytes) => Representation::in_memory(bytes, &validators),
            None => {
                if size > CACHED_FILE_BYTES {
                    read_ahead(&file, size);
                }
                Representation::of_file(Arc::new(file), size, &validators)
            }
        };
        Ok(describe(representation).render())
    }
}

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
    /// The file has no place on a disk, so the size may not be that of its content. Nearly all other files with content
    /// have one; those that have none are read once more than needed.
    may_lie: bool,
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
            may_lie: stat.st_blocks == 0,
        }
    }

    /// When the file was last modified, in seconds of Unix time: many tools copy times no more precisely than that.
    pub(super) fn modified(&self) -> u64 {
        u64::try_from(self.modified.0).unwrap_or(0)
    }

    /// The time of the last modification, if it says when that was. Reproducible builds, and the stores of Nix and
    /// Guix, set it to 0 or 1 for every file. Then a new file would look as old as the one before it.
    fn last_modified(&self) -> Option<u64> {
        Some(self.modified()).filter(|modified| *modified > 1)
    }

    /// Whether the last change is so recent that the validators are weak.
    pub(super) fn is_young(&self, second: u64) -> bool {
        second < u64::try_from(self.changed.0).unwrap_or(0).saturating_add(YOUNG)
    }

    /// Whether a file that is still in this state certainly has the same content.
    pub(super) fn is_certain(&self, second: u64) -> bool {
        !self.may_lie && !self.is_young(second)
    }

    /// The entity tag: a hash of 16 digits. It covers device, inode, size, and the times of the last modification and
    /// the last change in nanoseconds, and reveals none of them. It also covers `content`, which is empty unless the
    /// rest does not tell one content from another.
    fn tag(&self, content: &[u8]) -> String {
        let mut hasher = DefaultHasher::new();
        (self.device, self.inode, self.size, self.modified, self.changed).hash(&mut hasher);
        hasher.write(content);
        format!("\"{:016x}\"", hasher.finish())
    }
}

/// Reads a file whose size may not be that of its content. Returns `None` if the file is large and has that size.
///
/// sysfs(5) gives the size of a page for every file, and proc(5) gives 0. Neither knows the content before it is read.
#[cold]
fn read_whatever_it_has(file: &File, size: u64) -> io::Result<Option<Arc<[u8]>>> {
    if size <= CACHED_FILE_BYTES {
        return read(file, size, MADE_FILE_BYTES)?.map(Some).ok_or(Errno::NXIO.into());
    }
    match file.read_at(&mut [0], size - 1)? {
        0 => Err(Errno::NXIO.into()),
        _ => Ok(None),
    }
}

/// Reads a small file to its end. Returns `None` if it does not have at least `size` and at most `most` bytes; with
/// `most` above `size`, it may also have less. Otherwise some process is writing to it.
fn read(file: &File, size: u64, most: u64) -> io::Result<Option<Arc<[u8]>>> {
    // Some files of proc(5) give their content only to a read that takes it whole.
    let mut bytes = vec![0; size.max(if most > size { 4096 } else { 0 }) as usize + 1];
    let mut filled = 0;
    loop {
        match file.read_at(&mut bytes[filled..], filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if filled as u64 > most {
            return Ok(None);
        }
        if filled == bytes.len() {
            bytes.resize(2 * filled, 0);
        }
    }
    bytes.truncate(filled);
    Ok((most > size || filled as u64 == size).then(|| bytes.into()))
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
