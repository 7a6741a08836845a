use super::framing::{Expectation, FramingFields};
use crate::http::{Line, is_name};
use crate::wire::ProtocolError;

/// The meaning of the field lines that concern the server itself.
#[derive(Debug, Default)]
pub(super) struct FieldsRead<'a> {
    pub(super) host: Option<&'a [u8]>,
    pub(super) expectation: Expectation,
    pub(super) framing: FramingFields,
}

impl<'a> FieldsRead<'a> {
    /// Reads one more line. Most lines concern only the application, and are skipped.
    #[inline(always)]
    pub(super) fn line(&mut self, line: Line<'a>) -> Result<(), ProtocolError> {
        // The length alone excludes nearly all other names.
        match line.name_len() {
            4 if is_name(line.name(), b"host") && self.host.replace(line.value()).is_some() => {
                return Err(ProtocolError::Host);
            }
            6 if is_name(line.name(), b"expect") => self.expectation = self.expectation.and(line.value()),
            10 if is_name(line.name(), b"connection") => self.framing.connection(line.value()),
            14 if is_name(line.name(), b"content-length") => self.framing.content_length(line.value())?,
            17 if is_name(line.name(), b"transfer-encoding") => self.framing.transfer_encoding(line.value())?,
            _ => {}
        }
        Ok(())
    }
}
