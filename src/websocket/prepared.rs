//! A message that is encoded once and sent by many sockets.

use std::sync::Arc;

use super::frame::EncodedHeader;
use super::message::Message;
use crate::buffer::Content;
use crate::exchange::Output;
use crate::limits::SHARE_FROM;

/// A whole message as the bytes of a frame.
pub(super) struct Prepared {
    frame: Arc<[u8]>,
    /// Bytes of the content.
    pub(super) content: usize,
    pub(super) is_text: bool,
}

impl Prepared {
    pub(super) fn new(message: Message<'_>) -> Self {
        let content = message.as_bytes();
        let header = EncodedHeader::new(message.opcode(), true, false, content.len());
        let frame = [header.as_slice(), content].concat().into();
        Self { frame, content: content.len(), is_text: message.is_text() }
    }

    /// Bytes of the frame.
    pub(super) fn len(&self) -> usize {
        self.frame.len()
    }

    /// Writes the frame. A large one is not copied.
    pub(super) fn write(&self, out: &mut Output<'_>) {
        match self.frame.len() {
            ..SHARE_FROM => out.write(&*self.frame),
            _ => out.write(Content::Shared(Arc::clone(&self.frame))),
        }
    }
}
