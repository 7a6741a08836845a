//! A message body: content and how it is framed (RFC 9112 §6, §7). The decoder and the encoder of the chunked coding
//! are beside each other, and so are the two ends of a trailer section.

pub(crate) mod decoder;
mod encoder;
mod trailers;

pub(crate) use decoder::{BodyDecoder, Piece};
pub(crate) use encoder::{BodyEncoder, ChunkedEncoder, MAX_GAP_SIZE};
pub(crate) use trailers::TrailerLines;
pub use trailers::Trailers;

#[cfg(test)]
mod tests {
    use std::io::IoSlice;

    use super::*;
    use crate::buffer::{Content, Front, OutputQueue};
    use crate::limits::SHARE_FROM;
    use crate::wire::Framing;

    /// Everything that is in a queue.
    fn written(output: &OutputQueue) -> Vec<u8> {
        let mut slices = [IoSlice::new(b""); 16];
        let Front::Memory { slices: count, more: false } = output.front(&mut slices, usize::MAX) else {
            unreachable!("no file")
        };
        slices[..count].iter().flat_map(|slice| slice.to_vec()).collect()
    }

    #[test]
    fn the_decoder_takes_off_what_the_encoder_has_put_on() {
        let (small, large) = (b"copied".as_slice(), vec![b'x'; SHARE_FROM]);
        let mut encoder = BodyEncoder::Chunked(ChunkedEncoder::default());
        let (mut output, mut trailers) = (OutputQueue::default(), TrailerLines::default());
        encoder.send_trailers(true);
        for _ in 0..2 {
            encoder.inline(&mut output).extend_from_slice(small);
            encoder.inline(&mut output).extend_from_slice(small);
            encoder.splice(&mut output, Content::Owned(large.clone()));
        }
        encoder.close_chunk(&mut output);
        trailers.add("X-Sum", "1").unwrap();
        encoder.end(&mut output, &trailers).unwrap();
        let bytes = written(&output);

        let (mut decoder, mut at) = (BodyDecoder::new(Framing::Chunked), 0);
        let (mut content, mut lines) = (Vec::new(), Vec::new());
        while at < bytes.len() {
            let piece = decoder.decode(&bytes[at..]).unwrap();
            at += piece.consumed;
            content.extend_from_slice(piece.content);
            lines.extend_from_slice(piece.trailers);
            assert_eq!(piece.end, at == bytes.len());
        }
        assert_eq!(content, [small, small, &large, small, small, &large].concat());
        assert_eq!(Trailers::new(&lines).get("x-sum"), Some(&b"1"[..]));
    }
}
