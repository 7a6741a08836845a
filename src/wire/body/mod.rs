//! A message body: content and how it is framed (RFC 9112 §6, §7). The decoder and the encoder of the chunked coding are
//! beside each other, and so are the two ends of a trailer section.

pub(crate) mod decoder;
mod encoder;
mod trailers;

pub(crate) use decoder::BodyDecoder;
pub(crate) use encoder::{BodyEncoder, ChunkedEncoder, MAX_GAP_SIZE};
pub(crate) use trailers::TrailerLines;
pub use trailers::Trailers;
