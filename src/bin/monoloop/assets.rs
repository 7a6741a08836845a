//! The files of the pages that are part of the program, and how they are sent.

use monoloop::buffer::Content;
use monoloop::{Request, Response, Result, Sent};

/// A file of a page.
pub(crate) struct File {
    pub(crate) path: &'static str,
    pub(crate) content_type: &'static str,
    pub(crate) content: &'static str,
}

/// A page may load its own files and connect to its own server, and nothing else. So even if text of a stranger became
/// markup by mistake, the browser would run no script in it. With Trusted Types, a browser that knows them also refuses
/// strings that a script hands to `innerHTML`.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
                      trusted-types 'none'";

impl File {
    /// Sends the file, or a 304 if the client has it already.
    pub(crate) fn send(&self, req: &Request<'_>, res: Response<'_>) -> Result<Sent> {
        let tag = format!("\"{:08x}\"", crc32fast::hash(self.content.as_bytes()));
        // A browser asks each time, so it shows the page of the program that runs.
        let res = res.header("ETag", &tag).header("Cache-Control", "no-cache");
        if has(req, &tag) {
            return res.status(304).empty();
        }
        let res = res.header("Content-Security-Policy", POLICY).header("X-Content-Type-Options", "nosniff");
        let res = res.header("Referrer-Policy", "no-referrer").header("Content-Type", self.content_type);
        // The file lives as long as the program, so it is sent without a copy.
        res.send(Content::Static(self.content.as_bytes()))
    }
}

/// Whether the client has the file with this tag already. The comparison is the weak one (RFC 9110 §13.1.2).
fn has(req: &Request<'_>, tag: &str) -> bool {
    let mut lines = req.headers().all("if-none-match").filter_map(|line| std::str::from_utf8(line).ok());
    // A tag may contain a comma, but no quote. So a piece of another tag is never equal to this one.
    let is_this = |known: &str| known.strip_prefix("W/").unwrap_or(known) == tag;
    lines.any(|line| line.trim() == "*" || line.split(',').map(str::trim).any(is_this))
}
