//! One file as a reply.

use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, openat};

use super::find::Missing;
use super::rules::Rules;
use super::stored::{Metadata, Opened};
use crate::exchange::{Response, Sent};
use crate::http::{Error, Result};

impl Response<'_> {
    /// Finishes with a file, or as much of it as the request asks for: with a 200, conditions and ranges are those of
    /// RFC 9110. (Not in a [deferred](Self::defer) answer, or at the end of a [sink](crate::exchange::BodySink): there it is
    /// sent whole, because the request is gone.) The `Content-Type` is that of its extension, unless one was set. An
    /// `image/svg+xml` that is called `.svgz` has `Content-Encoding: gzip`.
    ///
    /// The path is the application's: every symbolic link is followed, and a path that is made of what a client says can
    /// lead anywhere. For that, mount [`Files`](crate::files::Files).
    ///
    /// ```
    /// let mut app = monoloop::Router::new(());
    /// app.get("/manual", |_, _, res| {
    ///     res.header("Content-Disposition", "inline; filename=\"manual.pdf\"").file("docs/manual-2.pdf")
    /// });
    /// ```
    ///
    /// # Errors
    /// 404 when there is no regular file, 403 when it may not be read, 503 when the system is out of descriptors; or a
    /// mistake that was made with the head.
    pub fn file(self, path: impl AsRef<Path>) -> Result<Sent> {
        let path = path.as_ref();
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let opened = openat(CWD, path, flags, Mode::empty()).and_then(|file| Ok((Metadata::of(&file)?, file)));
        let (metadata, file) = opened.map_err(Missing::from)?;
        if metadata.kind != FileType::RegularFile {
            return Err(Missing::NotFound.into());
        }
        let name = path.to_string_lossy();
        let media_type = Rules::default().media_type(&name);
        let coding = Rules::coding(&name, self.get_header("Content-Type").unwrap_or(&media_type));
        let item = Opened::new(file, metadata).into_item(self.unix_second(), false, |stored| {
            let described = stored.with("Content-Type", media_type);
            let described = described.with("X-Content-Type-Options", "nosniff".to_owned());
            match coding {
                Some(coding) => described.with("Content-Encoding", coding.name().to_owned()),
                None => described,
            }
        });
        self.leave_file(item.map_err(Error::internal)?.representation)
    }
}
