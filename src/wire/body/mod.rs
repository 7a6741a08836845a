//! A message body: content and how it is framed (RFC 9112 §6, §7).

pub(crate) mod decoder;
mod trailers;

pub(crate) use decoder::BodyDecoder;
pub use trailers::Trailers;
pub(crate) use trailers::is_ignored;
