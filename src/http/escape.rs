//! Text as a part of something else: of an HTML page, and of a path.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Characters that are not encoded in a segment of a path (RFC 3986 §3.3). The colon is encoded, because a browser
/// could take the text before it for a scheme.
pub(crate) const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b'=')
    .remove(b'@');

/// Escapes text for the content of an HTML element, and for the value of an attribute in quotes. The characters `&`,
/// `<`, `>`, `"` and `'` become references; text without them is not copied.
///
/// It is not enough for an attribute without quotes, within `<script>` or `<style>`, or for a link of a stranger, which
/// may begin with `javascript:`.
///
/// ```
/// use monoloop::http::escape_html;
///
/// assert_eq!(escape_html("<b title=\"Tom's\"> & co"), "&lt;b title=&quot;Tom&#39;s&quot;&gt; &amp; co");
/// ```
#[doc(alias("html_escape", "encode_html", "xss"))]
pub fn escape_html(text: &str) -> Cow<'_, str> {
    let is_markup = |c: char| matches!(c, '&' | '<' | '>' | '"' | '\'');
    let Some(first) = text.find(is_markup) else { return Cow::Borrowed(text) };
    let mut escaped = String::with_capacity(text.len() + 16);
    escaped.push_str(&text[..first]);
    for c in text[first..].chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    Cow::Owned(escaped)
}

/// Percent-encodes text as one segment of a path (RFC 3986 §3.3), for a link or a `Location`. Slashes are encoded, too,
/// so the text cannot become several segments, a query, or another host. `Request::param` decodes it again.
///
/// The result needs no HTML escape. Only the texts `.` and `..` cannot be a segment, however they are encoded: clients
/// resolve them.
///
/// ```
/// use monoloop::http::encode_segment;
///
/// assert_eq!(format!("/files/{}", encode_segment("50% of a/b.txt?")), "/files/50%25%20of%20a%2Fb.txt%3F");
/// ```
#[doc(alias("percent_encode", "encode_uri_component", "urlencode"))]
pub fn encode_segment(text: &str) -> Cow<'_, str> {
    utf8_percent_encode(text, SEGMENT).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::decode_segment;

    #[test]
    fn plain_text_is_not_copied() {
        assert!(matches!(escape_html("caf\u{e9} 1/2"), Cow::Borrowed("caf\u{e9} 1/2")));
        assert!(matches!(encode_segment("a-b_c.d~e"), Cow::Borrowed("a-b_c.d~e")));
        assert_eq!((escape_html(""), encode_segment("")), (Cow::Borrowed(""), Cow::Borrowed("")));
    }

    #[test]
    fn an_escape_begins_at_the_first_markup() {
        assert_eq!(escape_html("caf\u{e9}<\u{e9}&"), "caf\u{e9}&lt;\u{e9}&amp;");
        assert_eq!(escape_html("&amp;"), "&amp;amp;");
    }

    #[test]
    fn a_segment_decodes_to_its_text_and_needs_no_escape_in_html() {
        let all: String = ('\0'..='\u{17f}').chain(['\u{1f600}']).collect();
        let segment = encode_segment(&all);
        assert_eq!(decode_segment(segment.as_bytes()), all);
        assert_eq!(escape_html(&segment), segment);
        assert!(!segment.contains(['/', '?', '#', ':', '\\', ' ']), "{segment}");
    }
}
