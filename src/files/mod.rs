//! Static files: a directory that is mounted in a router, or one file as a reply.
//!
//! ```text
//!     path ─▶ resolve dot segments ─▶ cache, if it was looked at in this second
//!                                        │ else
//!                                        ▼
//!                                     root: opened beneath the directory ─▶ stored: validators, field lines
//!                                        │                                    │
//!                                        ├ a directory: index, redirect, listing
//!                                        └ nothing: single page, 404 page     ▼
//!                                                            exchange::Representation: 200, 206, 304, 412, 416
//! ```
//!
//! Reading order: `answer` (the request), `find` (what stands at a path), `root` (opening), `stored`, `cache`, `rules`,
//! `media_types`, `listing`; this file has the settings. Conditions, ranges and codings are in `http/`, because they
//! are no matter of files; what is sent when stands as a table in `docs/FILES.md`.

mod answer;
mod cache;
mod find;
mod listing;
mod media_types;
mod root;
mod rules;
mod single;
mod stored;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::limits::{CACHE_BYTES, CACHED_FILES};
use crate::router::{Mount, Routes};
use cache::Cache;
use root::Root;
pub use root::Symlinks;
use rules::Rules;

/// A directory whose files are served, to be [mounted](Routes::mount) anywhere.
///
/// ```
/// use monoloop::files::{Files, Symlinks};
/// use monoloop::Router;
///
/// let mut app = Router::new(());
/// app.mount("/assets", Files::new("public").cache_control("*.css", "max-age=3600").symlinks(Symlinks::Never));
/// ```
///
/// GET and HEAD are answered, with conditions, ranges and codings by RFC 9110; a directory by its `index.html`. Nothing
/// outside of the directory is opened, whatever the path says and whoever moves what at the same time; hidden files (their
/// names begin with a dot) are not there, but for `/.well-known` (RFC 8615). What is not there is a 404: the directory's
/// own `404.html`, if it has one, or the error of the application.
///
/// Files that are asked for are kept open for a while, small ones in memory: then what is served is at most a second old.
/// All of it, and what each reply holds, is in `docs/FILES.md`.
///
/// **Reading from a disk blocks the loop.** What is in the page cache does not; for what is not, the kernel is asked to
/// read ahead. If most of what you serve is larger than your memory, and others wait for their answers meanwhile, use
/// [`Workers`](crate::Workers).
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
}

impl Files {
    /// The files of a directory. It is opened when it is needed, and again after a second: it may be a link that is moved.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
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
        }
    }

    /// Sets what a directory is answered with: the first of these names that is there. Default `index.html`.
    #[must_use]
    pub fn index<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.indexes = names.into_iter().map(Into::into).collect();
        self
    }

    /// Lists a directory that has no index, in HTML, or in JSON for who would rather have that. Default off.
    #[must_use]
    pub const fn listing(mut self, on: bool) -> Self {
        self.listing = on;
        self
    }

    /// Answers a path at which nothing is with the index of the top directory, for an application that has its routes in the
    /// browser. A path whose last segment has a dot is a file that is missing, and stays a 404, unless the client asks for
    /// `text/html`. Default off.
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

    /// Sends `app.js.br`, `app.js.zst` or `app.js.gz` in place of `app.js` to who takes that coding, if it is there and not
    /// older. Default on.
    #[must_use]
    pub const fn precompressed(mut self, on: bool) -> Self {
        self.precompressed = on;
        self
    }

    /// Sets the page that is sent with a 404, if it is there; `None`: the error of the application. Default `404.html`.
    #[must_use]
    pub fn not_found_page(mut self, path: Option<&str>) -> Self {
        self.not_found = path.map(|path| path.trim_start_matches('/').to_owned());
        self
    }

    /// Sets the media type of an extension, as it stands in `Content-Type`. A `.svgz` is sent with `Content-Encoding:
    /// gzip` only as long as it is `image/svg+xml`.
    ///
    /// # Panics
    /// If it is no media type.
    #[must_use]
    pub fn media_type(mut self, extension: &str, media_type: &str) -> Self {
        self.rules.add_type(extension, media_type);
        self
    }

    /// Sets the `Cache-Control` of files whose name fits `pattern`, in which `*` stands for anything; one that begins with a
    /// slash is held against the whole path below the directory. The first pattern that fits counts.
    ///
    /// # Panics
    /// If `value` cannot stand in a field line.
    #[must_use]
    pub fn cache_control(mut self, pattern: &str, value: &str) -> Self {
        self.rules.add_cache_control(pattern, value);
        self
    }

    /// Sets how many files are kept at most, and how many bytes of memory they may take; 0 keeps none. Default 512 and 4 MiB.
    #[must_use]
    pub fn cache(mut self, entries: usize, bytes: usize) -> Self {
        self.cache = RefCell::new(Cache::new(entries, bytes));
        self
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        self.root.path()
    }

    /// Closes what nobody is being sent; tells whether there was anything.
    fn free_descriptors(&self) -> bool {
        let root = self.root.close();
        self.cache.try_borrow_mut().is_ok_and(|mut cache| cache.close_files()) || root
    }
}

/// The prefix itself leads to the directory, and everything below it into it.
impl<S: 'static> Mount<S> for Files {
    fn mount_at(self, prefix: &str, routes: &mut Routes<S>) {
        let prefix = prefix.trim_end_matches('/');
        let files = Rc::new(self);
        let closing = Rc::clone(&files);
        routes.when_descriptors_run_out(move || closing.free_descriptors());
        if !prefix.is_empty() {
            // Without its slash: what is asked for is a directory, by a name that is not its own.
            routes.get(prefix, |_, req, res| {
                let path = std::str::from_utf8(req.raw_path()).unwrap_or("/");
                let query = req.query_string().map_or(String::new(), |query| format!("?{query}"));
                res.status(301).redirect(&format!("/{}/{query}", path.trim_start_matches('/')))
            });
        }
        routes.get(&format!("{prefix}/*path"), move |_, req, res| {
            files.answer(req, req.raw_param("path").unwrap_or_default(), res)
        });
    }
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Files({:?})", self.root.path())
    }
}
