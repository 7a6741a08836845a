//! Text that comes in pieces, which may end within a character. A bad byte fails at once (RFC 6455 §8.1).

use std::str::from_utf8;

use super::failure::Failure;

/// Text as far as it has come.
#[derive(Debug, Default)]
pub(crate) struct Text {
    text: String,
    /// The first bytes of a character that is not all there.
    pending: [u8; 4],
    pending_len: u8,
}

impl Text {
    /// Appends a piece.
    ///
    /// # Errors
    /// 1007 if no further bytes can make it UTF-8.
    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<(), Failure> {
        let piece = self.complete(piece)?;
        if piece.is_empty() {
            return Ok(());
        }
        let (whole, begun) = piece.split_at(piece.len() - begun(piece));
        self.text.push_str(from_utf8(whole).map_err(|_| Failure::NOT_UTF8)?);
        self.pend(begun)
    }

    /// Completes the pending character with the first bytes of a piece, and returns the others.
    fn complete<'p>(&mut self, mut piece: &'p [u8]) -> Result<&'p [u8], Failure> {
        while self.pending_len > 0
            && let [byte, rest @ ..] = piece
        {
            let len = usize::from(self.pending_len);
            self.pending[len] = *byte;
            match from_utf8(&self.pending[..=len]) {
                Ok(character) => {
                    self.text.push_str(character);
                    self.pending_len = 0;
                }
                Err(error) if error.error_len().is_none() => self.pending_len += 1,
                Err(_) => return Err(Failure::NOT_UTF8),
            }
            piece = rest;
        }
        Ok(piece)
    }

    /// Keeps the first bytes of a character, if they are such.
    fn pend(&mut self, begun: &[u8]) -> Result<(), Failure> {
        match from_utf8(begun) {
            Err(error) if error.error_len().is_some() => return Err(Failure::NOT_UTF8),
            _ => {}
        }
        self.pending[..begun.len()].copy_from_slice(begun);
        self.pending_len = begun.len() as u8;
        Ok(())
    }

    /// Checks that the text does not end within a character.
    pub(crate) const fn finish(&self) -> Result<(), Failure> {
        if self.pending_len == 0 { Ok(()) } else { Err(Failure::NOT_UTF8) }
    }

    /// The text without what is pending.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Bytes that have come, with what is pending.
    pub(crate) fn len(&self) -> usize {
        self.text.len() + usize::from(self.pending_len)
    }

    pub(crate) fn capacity(&self) -> usize {
        self.text.capacity()
    }

    /// Makes room for so many bytes in all.
    pub(crate) fn grow(&mut self, capacity: usize) {
        self.text.reserve_exact(capacity.saturating_sub(self.text.len()));
    }
}

/// How many bytes at the end of `bytes` begin a character and do not complete it. They may still be bad.
fn begun(bytes: &[u8]) -> usize {
    for (len, byte) in (1..=3).zip(bytes.iter().rev()) {
        let whole = match byte {
            0x80..=0xbf => continue,
            0xf0.. => 4,
            0xe0.. => 3,
            0xc0.. => 2,
            _ => 1,
        };
        return if whole > len { len } else { 0 };
    }
    0
}
