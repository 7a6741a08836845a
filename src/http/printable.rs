//! Text of others, as logs show it. It must not change what the reader of a log sees around it.

use std::fmt::{self, Display, Write};

/// Whether a character acts on the text around it and shows nothing itself: the control characters of ASCII and of
/// Unicode (C0, DEL, C1), the line and paragraph separators, and the marks, embeddings, overrides and isolates that
/// change the direction of text (`Bidi_Control` in Unicode Standard Annex #9).
///
/// A client could end a line of a log with them, write another line, move the cursor of a terminal, or have the line
/// shown in another order than it has.
pub(crate) const fn is_unprintable(c: char) -> bool {
    matches!(
        c,
        '\0'..='\x1f'
            | '\x7f'..='\u{9f}'
            | '\u{61c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
    )
}

/// Writes a character in hex: `\x0a` or `\u202e`.
pub(crate) fn write_escape(out: &mut impl Write, c: char) -> fmt::Result {
    match u32::from(c) {
        code @ 0..=0xff => write!(out, "\\x{code:02x}"),
        code => write!(out, "\\u{code:04x}"),
    }
}

/// A value whose text is shown with all [unprintable](is_unprintable) characters escaped.
pub(crate) struct Printable<T>(pub(crate) T);

impl<T: Display> Display for Printable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

/// Escapes what passes through it.
struct Escaping<'f, 'b>(&'f mut fmt::Formatter<'b>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(is_unprintable) {
            let (plain, from) = rest.split_at(at);
            self.0.write_str(plain)?;
            let mut chars = from.chars();
            if let Some(c) = chars.next() {
                write_escape(self.0, c)?;
            }
            rest = chars.as_str();
        }
        self.0.write_str(rest)
    }
}

/// At most `most` characters of a text, from both of its ends, with all [unprintable](is_unprintable) ones escaped.
/// This is for a message to a client that quotes what the client has sent.
#[cfg(feature = "json")]
pub(crate) fn excerpt(text: &str, most: usize) -> String {
    let most_bytes = |text: &str, chars: usize| text.char_indices().nth(chars).map(|(at, _)| at);
    match most_bytes(text, most) {
        None => Printable(text).to_string(),
        Some(_) => {
            let head = &text[..most_bytes(text, most / 2).unwrap_or(text.len())];
            let tail = text.char_indices().rev().nth(most / 2 - 1).map_or(0, |(at, _)| at);
            format!("{}...{}", Printable(head), Printable(&text[tail..]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "json")]
    #[test]
    fn an_excerpt_has_both_ends_of_a_text() {
        for (text, most, expected) in [
            ("", 4, ""),
            ("abcd", 4, "abcd"),
            ("abcde", 4, "ab...de"),
            ("\u{e4}\u{1f600}c\u{df}\n", 4, "\u{e4}\u{1f600}...\u{df}\\x0a"),
            ("a\u{202e}b", 4, "a\\u202eb"),
        ] {
            assert_eq!(excerpt(text, most), expected);
        }
        assert_eq!(excerpt(&"\0".repeat(1 << 20), 200).len(), 200 * "\\x00".len() + "...".len());
    }

    #[test]
    fn what_acts_on_a_line_is_escaped_and_all_else_is_shown() {
        for (text, shown) in [
            ("", ""),
            ("plain \\ \"quoted\" caf\u{e9} \u{5d0} \u{1f600}", "plain \\ \"quoted\" caf\u{e9} \u{5d0} \u{1f600}"),
            ("a\nb\r\tc\0", "a\\x0ab\\x0d\\x09c\\x00"),
            ("\x1b[2J\x7f\u{80}\u{85}\u{9f}\u{a0}", "\\x1b[2J\\x7f\\x80\\x85\\x9f\u{a0}"),
            ("\u{2027}\u{2028}\u{2029}", "\u{2027}\\u2028\\u2029"),
            ("\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{202f}", "\\u202a\\u202b\\u202c\\u202d\\u202e\u{202f}"),
            ("\u{2065}\u{2066}\u{2067}\u{2068}\u{2069}", "\u{2065}\\u2066\\u2067\\u2068\\u2069"),
            ("\u{61c}\u{200e}\u{200f}.", "\\u061c\\u200e\\u200f."),
        ] {
            assert_eq!(Printable(text).to_string(), shown);
        }
    }
}
