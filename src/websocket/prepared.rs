//! A message that is encoded once and sent by many sockets.

use std::cell::OnceCell;
use std::sync::Arc;

use super::compression;
use super::frame::EncodedHeader;
use super::message::Message;
use super::offer::{Deflate, WIDEST};
use crate::buffer::Content;
use crate::exchange::{MessageRecord, Output};
use crate::limits::SHARE_FROM;

/// A whole message as the bytes of a frame.
pub(super) struct Prepared {
    frame: Arc<[u8]>,
    /// Bytes of the header.
    header: usize,
    /// The frame of the compressed message, once it was wanted; `None` if that would not be shorter.
    deflated: OnceCell<Option<Arc<[u8]>>>,
    pub(super) record: MessageRecord,
}

impl Prepared {
    pub(super) fn new(message: Message<'_>) -> Self {
        let content = message.as_bytes();
        let header = EncodedHeader::new(message.opcode(), true, false, content.len());
        Self {
            frame: [header.as_slice(), content].concat().into(),
            header: header.as_slice().len(),
            deflated: OnceCell::new(),
            record: message.record(false),
        }
    }

    /// Bytes of the frame.
    pub(super) fn len(&self) -> usize {
        self.frame.len()
    }

    /// Writes the frame. A large one is not copied. A client that takes compressed messages gets a compressed one, if
    /// the message has at least `deflate_from` bytes.
    pub(super) fn write(&self, deflate: Deflate, deflate_from: usize, out: &mut Output<'_>) {
        let may_deflate = deflate == WIDEST && self.record.bytes >= deflate_from as u64;
        let frame = if may_deflate { self.deflated().unwrap_or(&self.frame) } else { &self.frame };
        match frame.len() {
            ..SHARE_FROM => out.write(&**frame),
            _ => out.write(Content::Shared(Arc::clone(frame))),
        }
    }

    /// The compressed frame, for clients that can read the widest window. Hardly any client asks for a smaller one.
    fn deflated(&self) -> Option<&Arc<[u8]>> {
        let deflate = || {
            let content = compression::deflate(&self.frame[self.header..], WIDEST)?;
            let header = EncodedHeader::deflated(self.record.is_text, content.len());
            Some([header.as_slice(), &content].concat().into())
        };
        self.deflated.get_or_init(deflate).as_ref()
    }
}
