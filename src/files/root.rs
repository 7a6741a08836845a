//! Opens files beneath a directory, and never anything outside it. With openat2(2) the kernel enforces this while it
//! resolves the path. Elsewhere this module walks the path, one directory at a time, and never lets the kernel follow a
//! link.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat, readlinkat};
use rustix::io::Errno;

use super::open_file::{Metadata, OpenFile};
use crate::limits::MAX_LINKS;

/// Which symbolic links [`Files`](super::Files) follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Symlinks {
    /// Follows none: a path with a link in it is a 404.
    Never,
    /// Follows links that lead, step by step, to something inside the directory. A link with an absolute target counts
    /// as leading outside, wherever it points.
    #[default]
    Inside,
    /// Follows all. Every user with write access to the directory can then make any file available to clients.
    Follow,
}

/// A directory, and the rule by which things in it are opened.
pub(super) struct Root {
    path: PathBuf,
    symlinks: Symlinks,
    /// The second in which the directory was opened, and its descriptor. It is used in that second only, because a
    /// release may be put in place by moving a link.
    opened: RefCell<Option<(u64, Rc<OwnedFd>)>>,
    /// Paths are walked in this module, because the kernel has no openat2(2) or a sandbox forbids it.
    walks: Cell<bool>,
}

/// Flags for opening a directory on the way. Where the system has `O_PATH`, this needs no permission to read it.
#[cfg(any(target_os = "linux", target_os = "android"))]
const STEP: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const STEP: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

impl Root {
    pub(super) fn new(path: PathBuf) -> Self {
        let walks = Cell::new(!cfg!(any(target_os = "linux", target_os = "android")));
        Self { path, symlinks: Symlinks::default(), opened: RefCell::new(None), walks }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) const fn set_symlinks(&mut self, symlinks: Symlinks) {
        self.symlinks = symlinks;
    }

    /// Whether the directory is there, and things in it can be opened.
    pub(super) fn check(&self) -> Result<(), Errno> {
        let directory = openat(CWD, &self.path, STEP, Mode::empty())?;
        // With `O_PATH`, only the next step needs the permission to search the directory.
        openat(&directory, ".", STEP, Mode::empty()).map(drop)
    }

    /// Makes this root walk every path in this module.
    #[cfg(test)]
    pub(super) fn walk_here(&self) {
        self.walks.set(true);
    }

    /// Opens what `path` names for reading, if it is a regular file or a directory; `path` has no dot segments.
    /// `second` is the current Unix time.
    pub(super) fn open(&self, path: &str, second: u64) -> Result<OpenFile, Errno> {
        let root = self.directory(second)?;
        let path = path.trim_end_matches('/');
        let path = if path.is_empty() { "." } else { path };
        OpenFile::by(|flags| self.open_descriptor(root.as_fd(), path, flags))
    }

    /// What `path` names, as [`open`](Self::open) finds it, without opening it where the system can do that.
    pub(super) fn look_at(&self, path: &str, second: u64) -> Result<Metadata, Errno> {
        let root = self.directory(second)?;
        OpenFile::look_by(|flags| self.open_descriptor(root.as_fd(), path, flags))
    }

    fn open_descriptor(&self, root: BorrowedFd<'_>, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        match self.symlinks {
            Symlinks::Follow => openat(root, path, flags, Mode::empty()),
            beneath if self.walks.get() => walk(root, path, beneath, flags),
            beneath => match open_beneath(root, path, beneath, flags) {
                // Old sandboxes answer EPERM to system calls that they do not know.
                Err(Errno::NOSYS | Errno::PERM) => {
                    let walked = walk(root, path, beneath, flags);
                    self.walks.set(!matches!(walked, Err(Errno::PERM)));
                    walked
                }
                opened => opened,
            },
        }
    }

    fn directory(&self, second: u64) -> Result<Rc<OwnedFd>, Errno> {
        let mut opened = self.opened.borrow_mut();
        if let Some((at, directory)) = &*opened
            && *at == second
        {
            return Ok(Rc::clone(directory));
        }
        let directory = Rc::new(openat(CWD, &self.path, STEP, Mode::empty())?);
        *opened = Some((second, Rc::clone(&directory)));
        Ok(directory)
    }

    /// Closes the directory; returns whether it was open.
    pub(super) fn close(&self) -> bool {
        self.opened.borrow_mut().take().is_some()
    }
}

/// Opens by openat2(2). The kernel refuses each step that leads out of the root, even if directories and links on the
/// path change meanwhile.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn open_beneath(root: BorrowedFd<'_>, path: &str, symlinks: Symlinks, flags: OFlags) -> Result<OwnedFd, Errno> {
    use rustix::fs::{ResolveFlags, openat2};
    let mut resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    if symlinks == Symlinks::Never {
        resolve |= ResolveFlags::NO_SYMLINKS;
    }
    // Without `O_LARGEFILE`, a 32-bit kernel opens no file above 2 GiB (EOVERFLOW). The C library adds the flag to
    // openat(2), but nothing adds it to openat2(2), which does not take it together with `O_PATH`.
    let how = if flags.contains(OFlags::PATH) { flags } else { flags | OFlags::LARGEFILE };
    for _ in 0..8 {
        match openat2(root, path, how, Mode::empty(), resolve) {
            // Something was renamed while the kernel resolved a `..`, so it cannot tell whether the path is inside
            // (openat2(2), EAGAIN).
            Err(Errno::AGAIN | Errno::INTR) => {}
            opened => return opened,
        }
    }
    // The kernel still cannot tell. A walk from directory to directory is certain.
    walk(root, path, symlinks, flags)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn open_beneath(root: BorrowedFd<'_>, path: &str, symlinks: Symlinks, flags: OFlags) -> Result<OwnedFd, Errno> {
    walk(root, path, symlinks, flags)
}

/// Opens step by step. Each directory is opened relative to the one before, without following a link, so no rename
/// leads outside. A link is read, and its target is walked like the rest of the path.
fn walk(root: BorrowedFd<'_>, path: &str, symlinks: Symlinks, flags: OFlags) -> Result<OwnedFd, Errno> {
    let mut steps: VecDeque<Vec<u8>> = path.split('/').map(|step| step.as_bytes().to_vec()).collect();
    let mut entered: Vec<OwnedFd> = Vec::new();
    let mut links = 0;
    while let Some(step) = steps.pop_front() {
        match step.as_slice() {
            b"" | b"." => continue,
            b".." => {
                entered.pop().ok_or(Errno::XDEV)?;
                continue;
            }
            _ => {}
        }
        let here = entered.last().map_or(root, |directory| directory.as_fd());
        let is_last = steps.iter().all(|step| matches!(step.as_slice(), b"" | b"."));
        let how = if is_last { flags } else { STEP };
        let opened = openat(here, step.as_slice(), how | OFlags::NOFOLLOW, Mode::empty());
        match if is_last { opened.and_then(no_link) } else { opened } {
            Ok(opened) if is_last => return Ok(opened),
            Ok(directory) => entered.push(directory),
            // The errors of the various systems for a link that must not be followed.
            Err(error @ (Errno::LOOP | Errno::NOTDIR | Errno::MLINK)) => {
                let target = readlinkat(here, step.as_slice(), Vec::new()).map_err(|_| error)?.into_bytes();
                links += 1;
                if symlinks == Symlinks::Never || links > MAX_LINKS {
                    return Err(Errno::LOOP);
                }
                if target.starts_with(b"/") {
                    return Err(Errno::XDEV);
                }
                for step in target.split(|&byte| byte == b'/').rev() {
                    steps.push_front(step.to_vec());
                }
            }
            Err(error) => return Err(error),
        }
    }
    // The path ended in `..`, or named the root itself.
    openat(entered.last().map_or(root, |directory| directory.as_fd()), ".", flags, Mode::empty())
}

/// Gives the error of opening a link that must not be followed. With `O_PATH` the link itself is opened.
fn no_link(opened: OwnedFd) -> Result<OwnedFd, Errno> {
    match FileType::from_raw_mode(fstat(&opened)?.st_mode) {
        FileType::Symlink => Err(Errno::LOOP),
        _ => Ok(opened),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::Read;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::files::tests::Folder;

    /// The content of the file at a path, or the error of opening it.
    fn read(root: &Root, path: &str) -> Result<String, Errno> {
        let mut text = String::new();
        let mut file = File::from(root.open(path, 1)?.descriptor);
        match file.read_to_string(&mut text) {
            Ok(_) => Ok(text),
            Err(error) if error.kind() == std::io::ErrorKind::IsADirectory => Ok("(directory)".to_owned()),
            Err(error) => panic!("{path}: {error}"),
        }
    }

    #[test]
    fn openat2_and_the_walk_open_the_same_files() {
        use Symlinks::{Follow, Inside, Never};
        let outside = Folder::new("outside");
        fs::write(outside.path("secret"), "secret").unwrap();
        let inside = Folder::new("inside");
        fs::create_dir_all(inside.path("a/b")).unwrap();
        fs::write(inside.path("a/b/file"), "file").unwrap();
        let links = [
            ("link", "a/b/file"),
            ("a/up", "../a/b/file"),
            ("a/dir", "b/"),
            ("a/top", ".."),
            ("chain", "a/up"),
            ("loop", "loop"),
            ("ping", "pong"),
            ("pong", "ping"),
            ("out", "../"),
            ("a/out", "../../"),
            ("dangling", "nowhere"),
            ("proc", "/proc/self/root"),
        ];
        for (name, target) in links {
            symlink(target, inside.path(name)).unwrap();
        }
        symlink(outside.path("secret"), inside.path("absolute")).unwrap();
        symlink(inside.path("a/b/file"), inside.path("absolute-inside")).unwrap();
        let file = || Ok("file".to_owned());
        let directory = || Ok("(directory)".to_owned());
        type Outcome = Result<String, Errno>;
        let table: [(&str, Outcome, Outcome); 19] = [
            ("", directory(), directory()),
            ("a", directory(), directory()),
            ("a/", directory(), directory()),
            ("a/b/file", file(), file()),
            ("a/b/file/x", Err(Errno::NOTDIR), Err(Errno::NOTDIR)),
            ("nothing", Err(Errno::NOENT), Err(Errno::NOENT)),
            ("nothing/x", Err(Errno::NOENT), Err(Errno::NOENT)),
            ("link", file(), Err(Errno::LOOP)),
            ("a/up", file(), Err(Errno::LOOP)),
            ("a/dir/file", file(), Err(Errno::LOOP)),
            ("a/top", directory(), Err(Errno::LOOP)),
            ("a/top/a/b/file", file(), Err(Errno::LOOP)),
            ("chain", file(), Err(Errno::LOOP)),
            ("ping", Err(Errno::LOOP), Err(Errno::LOOP)),
            ("out", Err(Errno::XDEV), Err(Errno::LOOP)),
            ("a/out", Err(Errno::XDEV), Err(Errno::LOOP)),
            ("absolute", Err(Errno::XDEV), Err(Errno::LOOP)),
            ("proc/etc/passwd", Err(Errno::XDEV), Err(Errno::LOOP)),
            ("dangling", Err(Errno::NOENT), Err(Errno::LOOP)),
        ];
        for walks in [false, true] {
            for (path, inside_result, never_result) in &table {
                for (symlinks, expected) in [(Inside, inside_result), (Never, never_result)] {
                    let mut root = Root::new(inside.path(""));
                    root.set_symlinks(symlinks);
                    if walks {
                        root.walk_here();
                    }
                    assert_eq!(&read(&root, path), expected, "{path:?}, {symlinks:?}, walked here: {walks}");
                }
            }
            let mut root = Root::new(inside.path(""));
            assert_eq!(read(&root, "absolute-inside"), Err(Errno::XDEV));
            root.set_symlinks(Follow);
            assert_eq!(read(&root, "absolute"), Ok("secret".to_owned()));
            assert_eq!(read(&root, "loop"), Err(Errno::LOOP));
        }
    }

    /// Opening a FIFO for reading would release a writer that waits for a reader. The kernel tells of each opening.
    #[test]
    #[cfg(target_os = "linux")]
    fn a_fifo_is_recognised_without_being_opened() {
        use rustix::fs::inotify;
        let folder = Folder::new("fifo");
        folder.fifo("fifo");
        folder.write("file", "file");
        symlink("fifo", folder.path("to-fifo")).unwrap();
        let flags = inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC;
        let watch = |name| {
            let watch = inotify::init(flags).unwrap();
            inotify::add_watch(&watch, folder.path(name), inotify::WatchFlags::OPEN).unwrap();
            File::from(watch)
        };
        let was_opened = |mut watch: &File| match watch.read(&mut [0; 64]) {
            Ok(_) => true,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => false,
            Err(error) => panic!("{error}"),
        };
        for symlinks in [Symlinks::Inside, Symlinks::Never, Symlinks::Follow] {
            for walks in [false, true] {
                let mut root = Root::new(folder.path(""));
                root.set_symlinks(symlinks);
                if walks {
                    root.walk_here();
                }
                let (fifo, file) = (watch("fifo"), watch("file"));
                assert_eq!(root.open("fifo", 1).map(drop), Err(Errno::NXIO), "{symlinks:?}, walked here: {walks}");
                let linked = if symlinks == Symlinks::Never { Errno::LOOP } else { Errno::NXIO };
                assert_eq!(root.open("to-fifo", 1).map(drop), Err(linked), "{symlinks:?}, walked here: {walks}");
                assert_eq!(read(&root, "file"), Ok("file".to_owned()));
                assert!(!was_opened(&fifo) && was_opened(&file), "{symlinks:?}, walked here: {walks}");
            }
        }
        let fifo = watch("fifo");
        let opened = OpenFile::by(|flags| openat(CWD, folder.path("fifo"), flags, Mode::empty()));
        assert!(opened.is_err() && !was_opened(&fifo), "as Response::file does");
    }

    #[test]
    fn the_directory_may_be_a_link_that_is_moved() {
        let folder = Folder::new("releases");
        for release in ["1", "2"] {
            fs::create_dir(folder.path(release)).unwrap();
            fs::write(folder.path(release).join("version"), release).unwrap();
        }
        symlink("1", folder.path("current")).unwrap();
        let root = Root::new(folder.path("current"));
        assert_eq!(read(&root, "version"), Ok("1".to_owned()));
        symlink("2", folder.path("next")).unwrap();
        fs::rename(folder.path("next"), folder.path("current")).unwrap();
        assert_eq!(read(&root, "version"), Ok("1".to_owned()), "in the same second");
        let mut text = String::new();
        File::from(root.open("version", 2).unwrap().descriptor).read_to_string(&mut text).unwrap();
        assert_eq!(text, "2");
    }
}
