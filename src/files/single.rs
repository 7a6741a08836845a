//! One file as a reply.

use std::path::Path;

use rustix::fs::{CWD, Mode, openat};

use super::find::Missing;
use super::open_file::OpenFile;
use super::rules::Rules;
use crate::exchange::{Response, Sent};
use crate::http::Result;

impl Response<'_> {
    /// Finishes the response with a file, or with the part of it that the request asks for. If the status is 200,
    /// conditions and ranges apply as in RFC 9110. (A [deferred](Self::defer) answer, or one at the end of a
    /// [sink](crate::exchange::BodySink), sends the whole file, because the request is gone by then.) The
    /// `Content-Type` follows from the extension, unless one was set. An `image/svg+xml` file named `.svgz` has
    /// `Content-Encoding: gzip`.
    ///
    /// The application chooses the path: every symbolic link is followed, and a path built from client input can lead
    /// anywhere. To serve paths that clients choose, mount [`Files`](crate::files::Files).
    ///
    /// ```
    /// let mut app = monoloop::Router::new(());
    /// app.get("/manual", |_, _, res| {
    ///     res.header("Content-Disposition", "inline; filename=\"manual.pdf\"").file("docs/manual-2.pdf")
    /// });
    /// ```
    ///
    /// # Errors
    /// 404 if the path names no regular file, or one whose length cannot be known (see the
    /// [guide](crate::guide::files)), 403 if the file may not be read, 503 if the system is out of descriptors; or a
    /// mistake in the head that was set before.
    #[doc(alias("download", "send_file"))]
    #[cfg_attr(docsrs, doc(cfg(feature = "files")))]
    pub fn file(self, path: impl AsRef<Path>) -> Result<Sent> {
        let path = path.as_ref();
        let file = OpenFile::by(|flags| openat(CWD, path, flags, Mode::empty())).map_err(Missing::from)?;
        if !file.is_regular() {
            return Err(Missing::NotFound.into());
        }
        let name = path.to_string_lossy();
        let media_type = Rules::default().media_type(&name);
        let coding = Rules::coding(&name, self.get_header("Content-Type").unwrap_or(&media_type));
        let representation = file.into_representation(self.unix_second(), false, |plain| {
            let described = plain.with("Content-Type", media_type);
            let described = described.with("X-Content-Type-Options", "nosniff".to_owned());
            match coding {
                Some(coding) => described.with("Content-Encoding", coding.name().to_owned()),
                None => described,
            }
        });
        self.leave_file(representation.map_err(Missing::from)?)
    }
}
