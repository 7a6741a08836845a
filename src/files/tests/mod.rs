//! What the tests of files share.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::{CWD, FileType, Mode, mknodat};

/// A directory for a test, which is removed at its end.
pub(super) struct Folder(PathBuf);

impl Folder {
    #[track_caller]
    pub(super) fn new(name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("monoloop-{}-{number}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).expect("the folder for temporary files can be written");
        // As the kernel sees it: some systems have a link on the way.
        Self(path.canonicalize().expect("it was just made"))
    }

    /// The path of something in it.
    pub(super) fn path(&self, inner: impl AsRef<Path>) -> PathBuf {
        self.0.join(inner)
    }

    /// Makes a FIFO that nobody writes to.
    #[track_caller]
    pub(super) fn fifo(&self, name: &str) {
        mknodat(CWD, self.path(name), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a FIFO can be made");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
