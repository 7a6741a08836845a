use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// A range of bytes of a file that will be sent. If the kernel can do so, it sends them without a copy into our memory.
///
/// The file is shared, and its position is neither used nor moved. So many replies can send the same file.
#[derive(Clone)]
pub(crate) struct FileRange {
    file: Arc<File>,
    offset: u64,
    len: u64,
}

/// The largest value of `off_t`.
const LONGEST: u64 = i64::MAX as u64;

impl FileRange {
    /// `len` bytes from `offset` on. If the file does not have them when they are sent, the connection is closed.
    ///
    /// # Panics
    /// If the range ends after the largest size of a file, 2^63 - 1 bytes.
    pub(crate) const fn new(file: Arc<File>, offset: u64, len: u64) -> Self {
        assert!(matches!(offset.checked_add(len), Some(0..=LONGEST)), "no file is as long as this range requires");
        Self { file, offset, len }
    }

    /// The file.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// The position of the next byte in the file.
    pub(crate) const fn offset(&self) -> u64 {
        self.offset
    }

    /// The number of bytes that are left.
    pub(crate) const fn len(&self) -> u64 {
        self.len
    }

    /// Whether no byte is left.
    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Reads from the front of the range, at most what is left of it. The result is 0 if the file ends before the
    /// range.
    ///
    /// # Errors
    /// The errors of pread(2).
    pub(crate) fn read(&self, room: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.len).map_or(room.len(), |len| room.len().min(len));
        self.file.read_at(&mut room[..most], self.offset)
    }

    /// Removes the first `count` bytes from the range.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn range(offset: u64, len: u64) -> FileRange {
        FileRange::new(Arc::new(File::open("Cargo.toml").expect("the file exists")), offset, len)
    }

    #[test]
    fn a_range_reads_no_more_than_is_left_of_it_and_moves_only_when_advanced() {
        let whole = std::fs::read("Cargo.toml").expect("the file exists");
        let mut range = range(10, 20);
        let mut room = [0; 64];
        for _ in 0..2 {
            assert_eq!(range.read(&mut room).expect("a file that can be read"), 20);
            assert_eq!(room[..20], whole[10..30]);
        }
        range.advance(19);
        assert_eq!((range.offset(), range.len(), range.is_empty()), (29, 1, false));
        assert_eq!(range.read(&mut room).expect("a file that can be read"), 1);
        assert_eq!(room[0], whole[29]);
        range.advance(1);
        assert!(range.is_empty());
        assert_eq!(range.read(&mut room).expect("a file that can be read"), 0);
    }

    #[test]
    fn a_read_fills_room_that_is_shorter_than_the_range() {
        let mut room = [0; 3];
        assert_eq!(range(0, LONGEST).read(&mut room).expect("a file that can be read"), 3);
        assert_eq!(range(0, LONGEST).read(&mut []).expect("a file that can be read"), 0);
    }

    #[test]
    fn a_range_beyond_the_end_of_its_file_reads_what_the_file_has_and_then_nothing() {
        let length = std::fs::metadata("Cargo.toml").expect("the file exists").len();
        let mut range = range(length - 2, 1 << 40);
        let mut room = [0; 64];
        assert_eq!(range.read(&mut room).expect("a file that can be read"), 2);
        range.advance(2);
        assert_eq!(range.read(&mut room).expect("a file that can be read"), 0);
        assert_eq!(range.len(), (1 << 40) - 2);
    }

    #[test]
    fn two_ranges_that_share_a_file_do_not_move_each_other() {
        let (mut one, mut room) = (range(0, 100), [0; 4]);
        let other = one.clone();
        one.read(&mut room).expect("a file that can be read");
        one.advance(4);
        assert_eq!((one.offset(), other.offset(), other.len()), (4, 0, 100));
        assert_eq!(format!("{one:?}"), "FileRange(96 bytes from 4)");
        assert!(std::ptr::eq(one.file(), other.file()));
    }
}
