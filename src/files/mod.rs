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
//! Reading order: this file, `root` (opening), `stored`, `cache`, `rules`, `listing`. Conditions, ranges and codings are
//! in `http/`, because they are no matter of files; what is sent when stands as a table in `docs/FILES.md`.

mod cache;
mod listing;
mod root;
mod rules;
mod single;
mod stored;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;

use percent_encoding::utf8_percent_encode;
use rustix::fs::FileType;
use rustix::io::Errno;

use crate::exchange::{Representation, Request, Response, Sent};
use crate::http::coding::{Coding, weighted};
use crate::http::conditional::Conditions;
use crate::http::{Error, Fields, ResolvedPath, Result, decode_segment, may_resolve};
use crate::limits::{CACHE_BYTES, CACHED_FILES};
use crate::router::{Mount, Routes};
use cache::{Cache, Entry};
use listing::{Listing, SEGMENT};
use root::Root;
pub use root::Symlinks;
use rules::Rules;
use stored::{Item, Metadata, Opened};

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

/// What stands at a path.
enum Found {
    File(Rc<Entry>),
    /// A directory, and the path does not end in a slash.
    Directory,
    Listing(Listing),
}

/// What there is to work with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Means {
    /// What is found will be kept.
    Ample,
    /// It is for one request alone.
    Uncached,
    /// As `Ample`, but descriptors have run out: what is not to be had is done without, and nothing is kept.
    Scarce,
}

/// Why nothing can be sent.
enum Missing {
    /// There is nothing; or nothing that may be served.
    NotFound,
    Denied,
    /// The system is out of something.
    Exhausted(Errno),
    Failed(Errno),
}

impl From<Errno> for Missing {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::INVAL => Self::NotFound,
            // Links that lead outside, that go round, or that are not followed; a socket; a device without a driver.
            Errno::XDEV | Errno::LOOP | Errno::NXIO | Errno::NODEV => Self::NotFound,
            Errno::ACCESS | Errno::PERM => Self::Denied,
            Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::AGAIN => Self::Exhausted(errno),
            errno => Self::Failed(errno),
        }
    }
}

impl From<Missing> for Error {
    fn from(missing: Missing) -> Self {
        match missing {
            Missing::NotFound => Self::not_found("Not found"),
            Missing::Denied => Self::new(403, "Forbidden"),
            Missing::Exhausted(errno) => Self::new(503, "Try again later").with_source(errno),
            Missing::Failed(errno) => Self::internal(errno),
        }
    }
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

    /// Sets the media type of an extension, as it stands in `Content-Type`.
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
    pub fn directory(&self) -> &std::path::Path {
        self.root.path()
    }

    // ---- the request ------------------------------------------------------------------------------------------------

    /// Answers a request for what stands at `raw`, the part of its path below the directory.
    fn answer(&self, req: &Request<'_>, raw: &[u8], res: Response<'_>) -> Result<Sent> {
        let second = res.unix_second();
        let conditions = Conditions::of(req.headers());
        let path = self.resolve(req, raw);
        let found = path.and_then(|path| self.look_up(&path, &conditions, second).map(|found| (path, found)));
        match found {
            Ok((_, Found::File(entry))) => res.represent(&conditions, &entry.choose(&conditions).representation),
            Ok((path, Found::Directory)) => redirect(req, raw, &path, res),
            Ok((path, Found::Listing(listing))) => send_listing(req, raw, &path, &listing, res),
            Err(Missing::NotFound) => self.not_found(req, raw, &conditions, res),
            Err(missing) => Err(missing.into()),
        }
    }

    /// The path below the directory as it is looked up: decoded, without dot segments, without a slash in front.
    fn resolve<'a>(&self, req: &Request<'a>, raw: &'a [u8]) -> Result<Cow<'a, str>, Missing> {
        if !may_resolve(raw) {
            let plain = std::str::from_utf8(raw).map_err(|_| Missing::NotFound)?;
            return Ok(Cow::Borrowed(plain));
        }
        let ResolvedPath { segments, is_directory, climbed } = ResolvedPath::of(raw);
        // Above "/" there is nothing, so it is "/" again (RFC 3986 §5.2.4); above any other place there is something else.
        let is_top = req.raw_path().len() == raw.len() + 1;
        if (climbed && !is_top) || !segments.iter().enumerate().all(|(i, segment)| self.is_served(segment, i == 0)) {
            return Err(Missing::NotFound);
        }
        let mut path = segments.join("/");
        if is_directory && !path.is_empty() {
            path.push('/');
        }
        Ok(Cow::Owned(path))
    }

    /// Whether there can be something of this name.
    fn is_served(&self, name: &str, is_first: bool) -> bool {
        let is_hidden = name.starts_with('.') && !(is_first && name == ".well-known");
        !name.contains(['/', '\\', '\0']) && (self.hidden || !is_hidden)
    }

    /// What stands at a path: as it was in this second, or as it is now.
    fn look_up(&self, path: &str, conditions: &Conditions<'_>, second: u64) -> Result<Found, Missing> {
        let mut cache = self.cache.borrow_mut();
        let known = cache.get(path, second);
        if let Some((entry, true)) = &known
            && entry.choose(conditions).is_unchanged()
        {
            return Ok(Found::File(Rc::clone(entry)));
        }
        let known = known.map(|(entry, _)| entry);
        let means = if cache.is_on() { Means::Ample } else { Means::Uncached };
        let found = self.find(path, known.as_deref(), second, means);
        if let Err(Missing::Exhausted(_)) = found {
            // Descriptors that nobody needs at the moment are the first to go.
            self.root.close();
            cache.close_files();
            return self.find(path, None, second, Means::Scarce);
        }
        match &found {
            Ok(Found::File(entry)) => cache.put(path, entry, second),
            _ => cache.remove(path),
        }
        found
    }

    /// Looks for what stands at a path; what is the same as in `known` is taken from there.
    fn find(&self, path: &str, known: Option<&Entry>, second: u64, means: Means) -> Result<Found, Missing> {
        if !path.is_empty() && !path.ends_with('/') {
            let (file, metadata) = self.open(path, second)?;
            return match metadata.kind {
                FileType::RegularFile => {
                    let opened = Opened::new(file, metadata);
                    self.entry(path, opened, known, second, means).map(Found::File)
                }
                FileType::Directory => Ok(Found::Directory),
                _ => Err(Missing::NotFound),
            };
        }
        for index in &self.indexes {
            let path = format!("{path}{index}");
            match self.open(&path, second) {
                Ok((file, metadata)) if metadata.kind == FileType::RegularFile => {
                    let opened = Opened::new(file, metadata);
                    return self.entry(&path, opened, known, second, means).map(Found::File);
                }
                Ok(_) | Err(Missing::NotFound) => {}
                Err(missing) => return Err(missing),
            }
        }
        if !self.listing {
            return Err(Missing::NotFound);
        }
        let (directory, metadata) = self.open(path, second)?;
        if metadata.kind != FileType::Directory {
            return Err(Missing::NotFound);
        }
        let is_shown = |name: &str| self.is_served(name, path.is_empty());
        let look_behind = |name: &str| self.open(&format!("{path}{name}"), second).ok().map(|(_, metadata)| metadata);
        Ok(Found::Listing(Listing::read(directory, is_shown, look_behind)?))
    }

    fn open(&self, path: &str, second: u64) -> Result<(OwnedFd, Metadata), Missing> {
        let file = self.root.open(path, second)?;
        let metadata = Metadata::of(&file)?;
        Ok((file, metadata))
    }

    /// What can be sent of a file that was just opened: it, and the same in other codings.
    fn entry(
        &self,
        path: &str,
        plain: Opened,
        known: Option<&Entry>,
        second: u64,
        means: Means,
    ) -> Result<Rc<Entry>, Missing> {
        let modified = plain.metadata.modified();
        let mut coded = Vec::new();
        for coding in Coding::ALL.into_iter().filter(|_| self.precompressed) {
            match self.open(&format!("{path}{}", coding.suffix()), second) {
                Ok((file, metadata)) if metadata.kind == FileType::RegularFile && metadata.modified() >= modified => {
                    coded.push((coding, Opened::new(file, metadata)));
                }
                Err(missing @ Missing::Exhausted(_)) if means != Means::Scarce => return Err(missing),
                _ => {}
            }
        }
        let kept = means != Means::Uncached;
        let varies = !coded.is_empty();
        let item = |opened: Opened, coding: Option<Coding>| -> Result<Rc<Item>, Missing> {
            let same = known.filter(|known| known.coded.is_empty() != varies).and_then(|known| known.coded(coding));
            if let Some(same) = same.filter(|same| opened.is(same, second)) {
                return Ok(Rc::clone(same));
            }
            let item = opened.into_item(second, kept, |stored| self.describe(path, stored, coding, varies));
            item.map(Rc::new).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO).into())
        };
        let plain = item(plain, None)?;
        let coded = coded.into_iter().map(|(coding, opened)| Ok((coding, item(opened, Some(coding))?)));
        Ok(Rc::new(Entry { plain, coded: coded.collect::<Result<_, Missing>>()? }))
    }

    /// Adds what the rules say of a file.
    fn describe(&self, path: &str, stored: Representation, coding: Option<Coding>, varies: bool) -> Representation {
        let mut described = stored.with("Content-Type", self.rules.media_type(path));
        described = described.with("X-Content-Type-Options", "nosniff".to_owned());
        if let Some(coding) = coding {
            described = described.with("Content-Encoding", coding.name().to_owned());
        }
        if varies {
            described = described.with_kept("Vary", "Accept-Encoding".to_owned());
        }
        if let Some(value) = self.rules.cache_control(path) {
            described = described.with_kept("Cache-Control", value.to_owned());
        }
        described
    }

    /// Answers for what is not there.
    #[cold]
    fn not_found(
        &self,
        req: &Request<'_>,
        raw: &[u8],
        conditions: &Conditions<'_>,
        mut res: Response<'_>,
    ) -> Result<Sent> {
        let second = res.unix_second();
        if self.single_page {
            let name = decode_segment(raw.rsplit(|&byte| byte == b'/').next().unwrap_or_default());
            let is_file = name.contains('.');
            if is_file {
                res = res.append_header("Vary", "Accept");
            }
            if (!is_file || names_html(req.headers()))
                && let Ok(Found::File(entry)) = self.look_up("", conditions, second)
            {
                return res.represent(conditions, &entry.choose(conditions).representation);
            }
        }
        if let Some(page) = &self.not_found
            && let Ok(Found::File(entry)) = self.look_up(page, conditions, second)
        {
            // How long the page may be kept says nothing of what is not there.
            let res = res.status(404).header("Cache-Control", "no-cache");
            return res.represent(conditions, &entry.choose(conditions).representation);
        }
        let error = Error::from(Missing::NotFound);
        Err(match res.get_header("vary") {
            Some(_) if self.single_page => error.with_header("Vary", "Accept"),
            _ => error,
        })
    }

    /// Closes what nobody is being sent; tells whether there was anything.
    fn free_descriptors(&self) -> bool {
        let root = self.root.close();
        self.cache.try_borrow_mut().is_ok_and(|mut cache| cache.close_files()) || root
    }
}

/// Whether a client asks for HTML by name, as browsers do when they go to a page.
fn names_html(fields: Fields<'_>) -> bool {
    let mut ranges = fields.all("accept").flat_map(|value| value.split(|&byte| byte == b','));
    ranges.any(|range| {
        let range = std::str::from_utf8(range).ok().and_then(weighted);
        range.is_some_and(|(name, weight)| name.eq_ignore_ascii_case("text/html") && weight > 0)
    })
}

/// The path of the directory in which the files are mounted, as it came, with a slash at its end.
fn mount_point<'a>(req: &Request<'a>, raw: &[u8]) -> &'a str {
    let path = req.raw_path();
    std::str::from_utf8(&path[..path.len() - raw.len()]).unwrap_or("/")
}

/// Sends the client to the directory, by its one name: resolved, with a slash at its end. It never begins with two, which
/// would be another host.
fn redirect(req: &Request<'_>, raw: &[u8], path: &str, res: Response<'_>) -> Result<Sent> {
    let segments: Vec<String> = path.split('/').map(|name| utf8_percent_encode(name, SEGMENT).to_string()).collect();
    let mut location = format!("{}{}/", mount_point(req, raw), segments.join("/"));
    if let Some(query) = req.query_string() {
        location.push('?');
        location.push_str(query);
    }
    res.status(301).redirect(&location)
}

fn send_listing(req: &Request<'_>, raw: &[u8], path: &str, listing: &Listing, res: Response<'_>) -> Result<Sent> {
    let res = res.append_header("Vary", "Accept").header("Cache-Control", "no-cache");
    let res = res.header("X-Content-Type-Options", "nosniff");
    if listing::prefers_json(req.headers()) {
        return res.header("Content-Type", "application/json").send(listing.to_json());
    }
    let shown = format!("{}{path}", decode_segment(mount_point(req, raw).as_bytes()));
    let res = res.header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'");
    res.html(listing.to_html(&shown, path.is_empty()))
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
