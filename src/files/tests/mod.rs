//! Helpers that the tests of files share: a directory on the disk, and a client whose date can be set.
//!
//! The clock of a `TestClient` ends in 2024, before any test file was changed, so every validator is weak there. Tests
//! that depend on the age of a file use a [`Site`], whose date is set by hand.

#[cfg(feature = "json")]
mod cache;
#[cfg(feature = "json")]
mod codings;
#[cfg(feature = "json")]
mod conditions;
mod listings;
#[cfg(feature = "json")]
mod made;
mod misc;
#[cfg(feature = "json")]
mod pages;
mod paths;
#[cfg(feature = "json")]
mod ranges;
mod replies;
#[cfg(feature = "json")]
mod site;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::test_runner::{Config as Cases, RngSeed};
use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::http::Method;
use crate::testing::TestReply;
use crate::{Router, TestClient};

/// A directory for a test, which is removed at its end.
pub(super) struct Folder(PathBuf);

impl Folder {
    #[track_caller]
    pub(super) fn new(name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("monoloop-{}-{number}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).expect("the folder for temporary files can be written");
        // The path after links are resolved: on some systems the temporary directory is a link.
        Self(path.canonicalize().expect("it was just made"))
    }

    /// The path of `inner` in this directory.
    pub(super) fn path(&self, inner: impl AsRef<Path>) -> PathBuf {
        self.0.join(inner)
    }

    /// Writes a file, and makes the directories above it.
    #[track_caller]
    pub(super) fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("it is in the folder")).expect("directories can be made");
        std::fs::write(path, content).expect("a file can be written");
    }

    /// Sets when a file was modified, in seconds of Unix time. Only the kernel can set when it was changed.
    #[track_caller]
    #[cfg(feature = "json")]
    pub(super) fn set_modified(&self, name: &str, second: u64) {
        let file = std::fs::File::open(self.path(name)).expect("it was written");
        file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(second)).expect("it is ours");
    }

    /// Makes a FIFO that has no writer.
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

/// Returns the reply to one request; `line` is method and target, `fields` are field lines.
#[track_caller]
fn ask<S>(app: &mut Router<S>, line: &str, fields: &[&str]) -> TestReply {
    let (method, target) = line.split_once(' ').expect("a method and a target");
    let mut client = TestClient::new(app);
    let request = client.request(Method::from_token(method).expect("a method"), target);
    let fields = fields.iter().map(|line| line.split_once(": ").expect("a field line"));
    fields.fold(request, |request, (name, value)| request.header(name, value)).send()
}

/// An application that serves these files and nothing else.
fn app(prefix: &str, files: super::Files) -> Router<()> {
    let mut app = Router::new(());
    app.mount(prefix, files);
    app
}

/// Content whose bytes tell their own position.
#[cfg(feature = "json")]
fn numbered(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8 ^ (at / 251) as u8).collect()
}

/// Runs `count` cases that are always the same. `PROPTEST_CASES=10000` runs that many random cases instead.
fn cases(count: u32) -> Cases {
    let config = Cases { failure_persistence: None, ..Cases::default() };
    match std::env::var_os("PROPTEST_CASES") {
        None => Cases { cases: count, rng_seed: RngSeed::Fixed(0x6d6f_6e6f), ..config },
        Some(_) => config,
    }
}
