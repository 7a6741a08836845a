//! From a request to the reply: a file, the way to a directory, a listing, or that there is nothing.

use std::borrow::Cow;

use percent_encoding::utf8_percent_encode;

use super::Files;
use super::find::{Found, Missing};
use super::listing::{self, Listing, SEGMENT};
use crate::exchange::{Request, Response, Sent};
use crate::http::coding::weighted;
use crate::http::conditional::Conditions;
use crate::http::{Error, Fields, ResolvedPath, Result, decode_resolved, decode_segment, may_resolve};

impl Files {
    /// Answers a request for what stands at `raw`, the part of its path below the directory.
    pub(super) fn answer(&self, req: &Request<'_>, raw: &[u8], res: Response<'_>) -> Result<Sent> {
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
        if let Some(path) = decode_resolved(raw) {
            let is_served = path.split('/').enumerate().all(|(i, segment)| self.is_served(segment, i == 0));
            return if is_served { Ok(path) } else { Err(Missing::NotFound) };
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
        let mut error = Error::from(Missing::NotFound);
        if self.single_page {
            let ResolvedPath { segments, is_directory, .. } = ResolvedPath::of(raw);
            let is_file = !is_directory && segments.last().is_some_and(|name| name.contains('.'));
            if is_file {
                res = res.append_header("Vary", "Accept");
                error = error.with_header("Vary", "Accept");
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
            let res = res.status(404).header_if_none("Cache-Control", "no-cache");
            return res.represent(conditions, &entry.choose(conditions).representation);
        }
        Err(error)
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
    let res = res.append_header("Vary", "Accept").header_if_none("Cache-Control", "no-cache");
    let res = res.header_if_none("X-Content-Type-Options", "nosniff");
    if listing::prefers_json(req.headers()) {
        return res.header("Content-Type", "application/json").send(listing.to_json());
    }
    let shown = format!("{}{path}", decode_segment(mount_point(req, raw).as_bytes()));
    let res = res.header_if_none("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'");
    res.html(listing.to_html(&shown, path.is_empty()))
}
