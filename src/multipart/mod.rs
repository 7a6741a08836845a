//! Forms with files: `multipart/form-data` (RFC 7578), as an HTML form with files, `FormData` or `curl -F` sends it.
//!
//! | what comes | use | memory |
//! |---|---|---|
//! | a small form | [`Request::multipart`](crate::Request::multipart) in a handler | the whole form |
//! | files that shall be stored | [`Routes::upload`](crate::router::Routes::upload) | the fields that are no files |
//! | anything else | [`Routes::multipart`](crate::router::Routes::multipart) with a [`Form`] | what the form keeps |
//!
//! The boundaries are read strictly, as RFC 2046 §5.1.1 has them, so that no two readers can see different parts. A
//! line that begins with the boundary is a boundary line or a 400, and lines end in CRLF. Names are decoded as browsers
//! encode them (WHATWG HTML §4.10.21.8).

mod boundary;
mod decoder;
mod fault;
mod file;
mod file_name;
mod form;
mod limits;
mod parameters;
mod part;
mod receiver;
mod route;
#[cfg(any(test, fuzzing))]
pub(crate) mod tests;
mod upload;
mod whole;

pub use file::FormFile;
pub use file_name::safe_name;
pub use form::Form;
pub use limits::Limits;
pub use part::Part;
pub use upload::{Uploaded, Uploads};
pub use whole::{MultipartForm, WholePart};

#[cfg(any(test, fuzzing))]
pub(crate) use tests::fuzzing;
