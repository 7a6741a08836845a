//! Static files: a directory that is mounted in a router, or one file as a reply.
//!
//! ```text
//!     path ─▶ resolve dot segments ─▶ cache: a Resource that was checked in this second
//!                                        │ else
//!                                        ▼
//!                                     Root: an OpenFile, beneath the directory
//!                                        │
//!             404, 404 page, single page ├ nothing
//!         index file, redirect, listing ─┤ a directory
//!                                        ▼ a regular file
//!                                     Resource: the file and its coded variants, each a Representation
//!                                        │ the variant that the client prefers
//!                                        ▼
//!                                     Response::represent: 200, 206, 304, 412, 416
//! ```
//!
//! Reading order: `answer` (from a request to its reply), `find` (what a path names), `root` (opening), `open_file`,
//! `resource`, `cache`, `rules`, `media_types`, `names`, `listing`, `listings`; `single` is
//! [`Response::file`](crate::Response::file), and `error` says why a directory cannot be served. This file has the
//! settings. Conditions, ranges and codings are in `http/`, because they do not depend on files. The
//! [guide](crate::guide::files) has a table of what is sent when.

mod answer;
mod cache;
mod error;
mod find;
mod listing;
mod listings;
mod media_types;
mod names;
mod open_file;
mod resource;
mod root;
mod rules;
mod single;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::path::{Path, PathBuf};

use crate::http::Moment;
use crate::limits::{CACHE_BYTES, CACHED_FILES, FILE_ROUND};
use cache::Cache;
pub use error::DirectoryError;
use listings::Listings;
use root::Root;
pub use root::Symlinks;
use rules::Rules;

/// A directory whose files are served. It can be [mounted](crate::router::Routes::mount) at any prefix.
///
/// ```
/// use monoloop::files::{Files, Symlinks};
/// use monoloop::Router;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut app = Router::new(());
/// app.mount("/docs", Files::new("docs")?.cache_control("*.css", "max-age=3600").symlinks(Symlinks::Never));
/// # Ok(())
/// # }
/// ```
///
/// It answers GET and HEAD, with conditions, ranges and codings as in RFC 9110. A directory is answered with its
/// `index.html`. Nothing outside the directory is ever opened, whatever the path says, and even if files are moved at
/// the same time. Hidden files (their names begin with a dot) are not served, except `/.well-known` (RFC 8615). A path
/// that names nothing gets a 404: the directory's own `404.html` if it has one, or else the error of the application.
///
/// Requested files are kept open for a while, and small ones in memory. So what is served is at most a second old.
/// The [guide](crate::guide::files) has the details, and says what each reply contains.
///
/// **Reading from a disk blocks the loop.** Data in the page cache does not block. For other data, the kernel is asked
/// to read ahead. If most of your files do not fit into memory, and other clients must not wait for them, use
/// [`Workers`](crate::Workers).
#[doc(alias("static", "directory", "assets"))]
pub struct Files {
    root: Root,
    indexes: Vec<String>,
    listing: bool,
    single_page: bool,
    hidden: bool,
    precompressed: bool,
    not_found: Option<String>,
    rules: Rules,
    cache: RefCell<Cache>,
    /// The listings of this second.
    listings: RefCell<Listings>,
    /// Something may be open, so [`upkeep`](Self::upkeep) is called from time to time.
    in_upkeep: Cell<bool>,
    /// When the kept files are looked through next.
    next_round: Cell<Option<Moment>>,
}

impl Files {
    /// Serves the files of a directory. The directory is opened when it is needed, and again after a second: it may be
    /// a link that is moved to another directory. A relative path begins at the working directory of the process.
    ///
    /// ```
    /// use monoloop::Files;
    ///
    /// let error = Files::new("no-such-directory").unwrap_err();
    /// assert!(error.to_string().ends_with("no-such-directory: No such file or directory (os error 2)"));
    /// ```
    ///
    /// # Errors
    /// If there is no such directory now, or this process may not open things in it. The error names its whole path.
    pub fn new(directory: impl Into<PathBuf>) -> Result<Self, DirectoryError> {
        let files = Self::lazy(directory);
        files.root.check().map_err(|source| DirectoryError::new(files.root.path(), source.into()))?;
        Ok(files)
    }

    /// Serves the files of a directory that need not be there yet, such as one on a disk that is mounted later. While
    /// it is missing, each request gets a 404.
    ///
    /// ```
    /// # use monoloop::{Files, Router, TestClient};
    /// let mut app = Router::new(());
    /// app.mount("/media", Files::lazy("/mnt/no-such-disk"));
    /// assert_eq!(TestClient::new(app).get("/media/film.mp4").send().status(), 404);
    /// ```
    pub fn lazy(directory: impl Into<PathBuf>) -> Self {
        Self {
            root: Root::new(directory.into()),
            indexes: vec!["index.html".to_owned()],
            listing: false,
            single_page: false,
            hidden: false,
            precompressed: true,
            not_found: Some("404.html".to_owned()),
            rules: Rules::default(),
            cache: RefCell::new(Cache::new(CACHED_FILES, CACHE_BYTES)),
            listings: RefCell::default(),
            in_upkeep: Cell::new(false),
            next_round: Cell::new(None),
        }
    }

    /// Sets the names of index files: a directory is answered with the first one that exists. Default `index.html`.
    #[must_use]
    pub fn index<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.indexes = names.into_iter().map(Into::into).collect();
        self
    }

    /// Lists a directory that has no index: in JSON to clients that prefer it, in HTML to all others. A long directory
    /// has several pages, and a very long one is listed in part; the [guide](crate::guide::files) has the details.
    /// Default off.
    #[must_use]
    pub const fn listing(mut self, on: bool) -> Self {
        self.listing = on;
        self
    }

    /// Answers a path that names nothing with the index of the top directory. This is for an application that has its
    /// routes in the browser. A path whose last segment has a dot counts as a missing file and remains a 404, unless
    /// the client asks for `text/html`. Default off.
    #[must_use]
    pub const fn single_page(mut self, on: bool) -> Self {
        self.single_page = on;
        self
    }

    /// Serves names that begin with a dot. Default off.
    #[must_use]
    pub const fn hidden(mut self, on: bool) -> Self {
        self.hidden = on;
        self
    }

    /// Sets which symbolic links are followed. Default [`Symlinks::Inside`].
    #[must_use]
    pub const fn symlinks(mut self, symlinks: Symlinks) -> Self {
        self.root.set_symlinks(symlinks);
        self
    }

    /// Sends `app.js.br`, `app.js.zst` or `app.js.gz` in place of `app.js` to clients that accept that coding, if the
    /// coded file exists and is not older. Default on.
    #[must_use]
    pub const fn precompressed(mut self, on: bool) -> Self {
        self.precompressed = on;
        self
    }

    /// Sets the page that is sent with a 404, if the page exists. With `None`, a 404 is the error of the application.
    /// Default `404.html`.
    #[must_use]
    pub fn not_found_page(mut self, path: Option<&str>) -> Self {
        self.not_found = path.map(|path| path.trim_start_matches('/').to_owned());
        self
    }

    /// Sets the media type of an extension, as it is sent in `Content-Type`. A `.svgz` file is sent with
    /// `Content-Encoding: gzip` only while its type is `image/svg+xml`.
    ///
    /// # Panics
    /// If `media_type` is not a media type.
    #[must_use]
    pub fn media_type(mut self, extension: &str, media_type: &str) -> Self {
        self.rules.add_type(extension, media_type);
        self
    }

    /// Sets the `Cache-Control` of files whose name matches `pattern`. A `*` in it matches any text. A pattern with a
    /// slash is compared with the whole path below the directory. The first pattern that matches is used.
    ///
    /// # Panics
    /// If `value` is not a valid field value.
    #[must_use]
    pub fn cache_control(mut self, pattern: &str, value: &str) -> Self {
        self.rules.add_cache_control(pattern, value);
        self
    }

    /// Sets how many files the cache keeps at most, and how many bytes of memory they may take. With 0 files it keeps
    /// none. Default 512 and 4 MiB.
    #[must_use]
    pub fn cache(mut self, entries: usize, bytes: usize) -> Self {
        self.cache = RefCell::new(Cache::new(entries, bytes));
        self
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        self.root.path()
    }

    /// Closes what nobody has asked for in a while; returns when it has to be called again. While nothing is kept, it
    /// is not.
    fn upkeep(&self, now: Moment) -> Option<Moment> {
        if !self.in_upkeep.get() {
            return None;
        }
        let mut next = self.next_round.get().unwrap_or(now + FILE_ROUND);
        if next <= now {
            self.root.close();
            self.listings.borrow_mut().clear();
            self.in_upkeep.set(self.cache.try_borrow_mut().is_ok_and(|mut cache| cache.end_round()));
            next = now + FILE_ROUND;
        }
        self.next_round.set(self.in_upkeep.get().then_some(next));
        self.next_round.get()
    }

    /// Closes the descriptors that no reply uses; returns whether there were any.
    fn free_descriptors(&self) -> bool {
        let root = self.root.close();
        self.cache.try_borrow_mut().is_ok_and(|mut cache| cache.close_files()) || root
    }
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Files({:?})", self.root.path())
    }
}
