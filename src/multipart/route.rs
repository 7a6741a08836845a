//! The routes of forms.

use std::rc::Rc;

use super::boundary::Delimiter;
use super::receiver::Receiver;
use super::upload::Uploading;
use super::{Form, Limits, Uploaded, Uploads};
use crate::exchange::{Request, Response, Sent};
use crate::http::{Method, Result};
use crate::limits::FILE_DESCRIPTORS;
use crate::router::{Registered, Routes};

impl<S> Routes<S> {
    /// Adds a route that takes `multipart/form-data` (RFC 7578) part by part, as it comes: files of any length in
    /// bounded memory. `factory` sees the head and makes a [`Form`], which gets the parts, and replies when all have
    /// come.
    ///
    /// If the factory returns an error, the request is refused before any content is read. The same happens with a 415
    /// if the content is no form of this kind, and with a 413 if its length is announced and exceeds the limit.
    ///
    /// To store the files of a form, [`upload`](Self::upload) is less to write. A small form is read as a whole by
    /// [`Request::multipart`].
    ///
    /// # Panics
    /// In the same cases as [`get`](Self::get).
    #[doc(alias("upload", "FormData", "busboy"))]
    #[cfg_attr(docsrs, doc(cfg(feature = "multipart")))]
    pub fn multipart<F: Form<S> + 'static>(
        &mut self,
        method: Method,
        path: &str,
        limits: Limits,
        factory: impl Fn(&mut S, &Request<'_>) -> Result<F> + 'static,
    ) -> Registered<'_, S> {
        let factory = move |state: &mut S, request: &Request<'_>| {
            let delimiter = Delimiter::of(request)?;
            Ok(Receiver::new(&delimiter, limits, factory(state, request)?))
        };
        self.sink(method, path, factory).max_content(limits.content)
    }

    /// Adds a route that takes a form with files. The files are written to the disk while they come, in bounded memory,
    /// and the other fields are kept in memory.
    ///
    /// `begin` is called at the head of the request. It can refuse the request before any content is read, and what it
    /// returns is passed on: a parameter of the route, or the user. `handler` is called when all has come. A file that
    /// it does not keep is removed, and so are all files of a form that fails or whose client leaves.
    ///
    /// Writing to a disk can block the loop: see [`FormFile`](crate::multipart::FormFile). Each file that comes takes a
    /// descriptor. The route [reserves](Self::reserve_descriptors) 16; if many forms come at once, reserve more.
    ///
    /// ```
    /// use monoloop::multipart::Uploads;
    /// use monoloop::{Method, OptionExt, Router, TestClient};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = std::env::temp_dir().join(format!("monoloop-upload-example-{}", std::process::id()));
    /// let mut app = Router::new(());
    /// # let pictures = directory.clone();
    /// app.upload(
    ///     Method::Post,
    ///     "/albums/:album",
    ///     Uploads::to(&directory)?,
    ///     |_, req| req.param::<u32>("album"),
    ///     move |_, album, mut form, res| {
    ///         let picture = form.take_file("picture").or_status(422, "Choose a picture")?;
    ///         let title = form.get("title").unwrap_or("A picture");
    ///         let name = picture.safe_name();
    ///         picture.save(pictures.join(format!("{album}-{name}")))?;
    ///         res.text(format!("{title} is in album {album} as {name}"))
    ///     },
    /// );
    ///
    /// let mut client = TestClient::new(app);
    /// let form = [("title", None, "My cat"), ("picture", Some("../cat.png"), "\u{89}PNG")];
    /// let reply = client.post("/albums/7").multipart(form).send();
    /// assert_eq!(reply.text(), "My cat is in album 7 as cat.png");
    /// # std::fs::remove_dir_all(directory)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// In the same cases as [`get`](Self::get).
    #[doc(alias("multer", "FormData", "file"))]
    #[cfg_attr(docsrs, doc(cfg(feature = "multipart")))]
    pub fn upload<T: 'static>(
        &mut self,
        method: Method,
        path: &str,
        uploads: Uploads,
        begin: impl Fn(&mut S, &Request<'_>) -> Result<T> + 'static,
        handler: impl Fn(&mut S, T, Uploaded, Response<'_>) -> Result<Sent> + 'static,
    ) -> Registered<'_, S> {
        let (uploads, handler) = (Rc::new(uploads), Rc::new(handler));
        // Each form has one file open at a time. Connections must not take all descriptors.
        self.reserve_descriptors(FILE_DESCRIPTORS);
        self.multipart(method, path, uploads.limits, move |state, request| {
            let begun = begin(state, request)?;
            Ok(Uploading::new(Rc::clone(&uploads), Rc::clone(&handler), begun))
        })
    }
}
