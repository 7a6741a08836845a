use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Bytes of a file that are to be sent, from where they lie: they never pass through our memory if the kernel can help it.
///
/// The file is shared, and its position is neither used nor moved: many replies can send the same one.
///
/// ```
/// use monoloop::buffer::{FileRange, OutputQueue};
/// use std::sync::Arc;
///
/// # fn main() -> std::io::Result<()> {
/// let file = Arc::new(std::fs::File::open("Cargo.toml")?);
/// let mut queue = OutputQueue::default();
/// queue.push_file(FileRange::new(file, 10, 20));
/// assert_eq!(queue.len(), 20);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct FileRange {
    file: Arc<File>,
    offset: u64,
    len: u64,
}

impl FileRange {
    /// `len` bytes from `offset` on. If they are not there when it is their turn, the connection is closed.
    pub const fn new(file: Arc<File>, offset: u64, len: u64) -> Self {
        Self { file, offset, len }
    }

    /// The file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Where the next byte stands.
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Bytes that are left.
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether none is left.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Reads from its front, at most as much as is left of it; 0 if the file has ended before.
    ///
    /// # Errors
    /// Those of pread(2).
    pub fn read(&self, room: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.len).map_or(room.len(), |len| room.len().min(len));
        self.file.read_at(&mut room[..most], self.offset)
    }

    /// The first `count` bytes are done with.
    pub(super) const fn advance(&mut self, count: u64) {
        self.offset += count;
        self.len -= count;
    }
}

impl fmt::Debug for FileRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileRange({} bytes from {})", self.len, self.offset)
    }
}
