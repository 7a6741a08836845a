//! Makes the reply to a request: a file, a redirect to a directory, a listing, or a 404.

use std::borrow::Cow;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

use rustix::fs::Dir;
use rustix::io::Errno;

use super::Files;
use super::find::{Found, Missing};
use super::listing::Page;
use super::listings::PageKey;
use super::names::Names;
use super::open_file::OpenFile;
use crate::exchange::{Request, Response, Sent};
use crate::http::coding::weighted;
use crate::http::conditional::Conditions;
use crate::http::{
    Error, Fields, Method, ResolvedPath, Result, decode_resolved, decode_segment, encode_segment, may_resolve,
};
use crate::limits::FILE_DESCRIPTORS;
use crate::router::{Mount, Routes};

/// The prefix itself redirects to the directory; all paths below the prefix name things in the directory.
impl<S: 'static> Mount<S> for Files {
    fn mount_at(self, prefix: &str, routes: &mut Routes<S>) {
        let prefix = prefix.trim_end_matches('/');
        let files = Rc::new(self);
        let closing = Rc::clone(&files);
        routes.when_descriptors_run_out(move || closing.free_descriptors());
        routes.reserve_descriptors(FILE_DESCRIPTORS);
        let kept = Rc::clone(&files);
        routes.add_upkeep(move |now| kept.upkeep(now));
        if !prefix.is_empty() {
            routes.get(prefix, |_, req, res| redirect_to_directory(req, res));
        }
        routes
            .get(&format!("{prefix}/*path"), move |_, req, res| {
                files.answer(req, req.raw_param("path").unwrap_or_default(), res)
            })
            .at_prefix(Box::new(|_, req, res| redirect_to_directory(req, res)));
    }
}

/// The path names the directory, but without its slash: redirects to the path with the slash.
fn redirect_to_directory(req: &Request<'_>, res: Response<'_>) -> Result<Sent> {
    let path = std::str::from_utf8(req.raw_path()).unwrap_or("/");
    let query = req.query_string().map_or(String::new(), |query| format!("?{query}"));
    res.status(301).redirect(format!("/{}/{query}", path.trim_start_matches('/')))
}

impl Files {
    /// Answers a request; `raw` is the part of its path below the directory.
    fn answer(&self, req: &Request<'_>, raw: &[u8], res: Response<'_>) -> Result<Sent> {
        let conditions = Conditions::of(req.headers());
        let path = self.resolve(req, raw);
        let found = path.and_then(|path| self.look_up(&path, &conditions, &res).map(|found| (path, found)));
        match found {
            Ok((_, Found::File(resource))) => res.represent(&conditions, &resource.select(&conditions).representation),
            Ok((path, Found::Directory)) => redirect(req, raw, &path, res),
            Ok((path, Found::Listing(directory))) => self.send_listing(req, raw, &path, directory, res),
            Err(Missing::NotFound) => self.not_found(req, raw, &conditions, res),
            Err(missing) => Err(missing.into()),
        }
    }

    /// The path below the directory in the form that is looked up: decoded, without dot segments or a leading slash.
    fn resolve<'a>(&self, req: &Request<'a>, raw: &'a [u8]) -> Result<Cow<'a, str>, Missing> {
        if !may_resolve(raw) {
            let plain = std::str::from_utf8(raw).map_err(|_| Missing::NotFound)?;
            return Ok(Cow::Borrowed(plain));
        }
        if let Some(path) = decode_resolved(raw) {
            let is_served = path.split('/').enumerate().all(|(i, segment)| self.is_served(segment, i == 0));
            return if is_served { Ok(path) } else { Err(Missing::NotFound) };
        }
        let ResolvedPath { segments, is_directory, climbed } = ResolvedPath::of(raw);
        // A `..` above "/" leads to "/" again (RFC 3986 §5.2.4). Above any other mount point there are other paths,
        // which are not ours to serve.
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

    /// Sends a page of the listing of a directory. A HEAD does not read the directory, so its reply has no length.
    fn send_listing(
        &self,
        req: &Request<'_>,
        raw: &[u8],
        path: &str,
        directory: OpenFile,
        res: Response<'_>,
    ) -> Result<Sent> {
        let res = res.append_header("Vary", "Accept").header_if_none("Cache-Control", "no-cache");
        let mut res = res.header_if_none("X-Content-Type-Options", "nosniff");
        let is_json = req.accepts(&["text/html", "application/json"]) == Some("application/json");
        if is_json {
            res = res.header("Content-Type", "application/json");
        } else {
            res = res.header_if_none("Content-Type", "text/html; charset=utf-8");
            res = res.header_if_none("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'");
        }
        if req.method() == Method::Head {
            return res.without_length();
        }
        let shown = if is_json { String::new() } else { shown_path(req, raw, path) };
        let page =
            self.page(path, directory.descriptor, req.query("after").as_deref(), is_json, shown, res.unix_second());
        // A copy is counted as memory of the connection. The page itself is kept for this second only.
        res.send(&*page.map_err(Missing::from)?)
    }

    /// A page of the listing of a directory, as it was in this second.
    fn page(
        &self,
        path: &str,
        directory: OwnedFd,
        after: Option<&str>,
        is_json: bool,
        shown: String,
        second: u64,
    ) -> Result<Arc<[u8]>, Errno> {
        let mut listings = self.listings.borrow_mut();
        let mut directory = Dir::new(directory)?;
        let names = match listings.names(path, second) {
            Some(names) => names,
            None => {
                let names = Rc::new(Names::read(&mut directory, |name| self.is_served(name, path.is_empty()))?);
                listings.keep(path, &names);
                names
            }
        };
        let places = names.page(after);
        let key = PageKey { is_json, first: places.start, shown };
        if let Some(page) = listings.page(path, &key) {
            return Ok(page);
        }
        let target = |name: &str| self.root.look_at(&format!("{path}{name}"), second).ok();
        let page = Page::new(&names, places, &directory, target)?;
        let page: Arc<[u8]> = match is_json {
            true => page.to_json().into_bytes().into(),
            false => page.to_html(&key.shown, path.is_empty()).into_bytes().into(),
        };
        listings.keep_page(path, key, &page);
        Ok(page)
    }

    /// Answers a path that names nothing: with the single page, the 404 page, or the error of the application.
    #[cold]
    fn not_found(
        &self,
        req: &Request<'_>,
        raw: &[u8],
        conditions: &Conditions<'_>,
        mut res: Response<'_>,
    ) -> Result<Sent> {
        let mut error = Error::from(Missing::NotFound);
        if self.single_page {
            let ResolvedPath { segments, is_directory, .. } = ResolvedPath::of(raw);
            let is_file = !is_directory && segments.last().is_some_and(|name| name.contains('.'));
            if is_file {
                res = res.append_header("Vary", "Accept");
                error = error.with_header("Vary", "Accept");
            }
            if (!is_file || names_html(req.headers()))
                && let Ok(Found::File(resource)) = self.look_up("", conditions, &res)
            {
                return res.represent(conditions, &resource.select(conditions).representation);
            }
        }
        if let Some(page) = &self.not_found
            && let Ok(Found::File(resource)) = self.look_up(page, conditions, &res)
        {
            // The `Cache-Control` of the page itself must not apply to the missing path.
            let res = res.status(404).header_if_none("Cache-Control", "no-cache");
            return res.represent(conditions, &resource.select(conditions).representation);
        }
        Err(error)
    }
}

/// Whether the client asks for HTML by name, as browsers do when they navigate to a page.
fn names_html(fields: Fields<'_>) -> bool {
    let mut ranges = fields.all("accept").flat_map(|value| value.split(|&byte| byte == b','));
    ranges.any(|range| {
        let range = std::str::from_utf8(range).ok().and_then(weighted);
        range.is_some_and(|(name, weight)| name.eq_ignore_ascii_case("text/html") && weight > 0)
    })
}

/// The path at which the files are mounted, as the client wrote it, with a slash at its end.
fn mount_point<'a>(req: &Request<'a>, raw: &[u8]) -> &'a str {
    let path = req.raw_path();
    std::str::from_utf8(&path[..path.len() - raw.len()]).unwrap_or("/")
}

/// The path of a directory as a listing shows it.
fn shown_path(req: &Request<'_>, raw: &[u8], path: &str) -> String {
    format!("{}{path}", decode_segment(mount_point(req, raw).as_bytes()))
}

/// Redirects the client to the canonical path of a directory: resolved, with a slash at its end. That path never begins
/// with two slashes, because they would name another host.
fn redirect(req: &Request<'_>, raw: &[u8], path: &str, res: Response<'_>) -> Result<Sent> {
    let segments: Vec<_> = path.split('/').map(encode_segment).collect();
    let mut location = format!("{}{}/", mount_point(req, raw), segments.join("/"));
    if let Some(query) = req.query_string() {
        location.push('?');
        location.push_str(query);
    }
    res.status(301).redirect(&location)
}
