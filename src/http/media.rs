//! Media types and their parameters (RFC 9110 §8.3.1), as a client writes them in `Content-Type` and in `Accept`.

use super::{is_token, trim};

/// A media type, or a media range, which may have a `*` in place of a name. It is borrowed from a field value.
///
/// Names and values of parameters compare without regard to case. RFC 9110 leaves that open for the values, and those
/// that servers compare, such as a charset, have no case.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MediaType<'a> {
    kind: &'a [u8],
    subtype: &'a [u8],
    parameters: &'a [u8],
}

impl<'a> MediaType<'a> {
    /// Reads `type/subtype`, perhaps with parameters. The result is `None` when a part breaks the grammar.
    pub(crate) fn read(mut text: &'a [u8]) -> Option<Self> {
        let essence = trim(cut(&mut text, b';'));
        let slash = essence.iter().position(|&byte| byte == b'/')?;
        Self::of(&essence[..slash], &essence[slash + 1..], text)
    }

    /// Reads a member of `Accept` (RFC 9110 §12.5.1). A lonely `*` counts as `*/*`, because the HTTP client of Java
    /// sends that.
    pub(crate) fn read_range(text: &'a [u8]) -> Option<Self> {
        let mut rest = text;
        match trim(cut(&mut rest, b';')) {
            b"*" => Self::of(b"*", b"*", rest),
            _ => Self::read(text).filter(|range| range.kind != b"*" || range.subtype == b"*"),
        }
    }

    #[inline(never)]
    fn of(kind: &'a [u8], subtype: &'a [u8], parameters: &'a [u8]) -> Option<Self> {
        let media_type = Self { kind, subtype, parameters };
        let is_valid = is_token(kind) && is_token(subtype);
        (is_valid && media_type.parameters().all(|parameter| parameter.is_some())).then_some(media_type)
    }

    /// The name before the slash.
    pub(crate) const fn kind(&self) -> &'a [u8] {
        self.kind
    }

    /// The name after the slash.
    pub(crate) const fn subtype(&self) -> &'a [u8] {
        self.subtype
    }

    /// The parameters, in order. One that breaks the grammar is a `None`.
    pub(crate) const fn parameters(&self) -> Parameters<'a> {
        Parameters(self.parameters)
    }

    /// The parameter of this name, if there is one that keeps to the grammar.
    pub(crate) fn parameter(&self, name: &[u8]) -> Option<Parameter<'a>> {
        self.parameters().flatten().find(|parameter| parameter.is(name))
    }
}

/// The iterator of the parameters of a media type.
pub(crate) struct Parameters<'a>(&'a [u8]);

impl<'a> Iterator for Parameters<'a> {
    type Item = Option<Parameter<'a>>;

    // It is called in several places, and none of them is in a hurry.
    #[inline(never)]
    fn next(&mut self) -> Option<Self::Item> {
        while !self.0.is_empty() {
            let piece = trim(cut(&mut self.0, b';'));
            if !piece.is_empty() {
                return Some(Parameter::read(piece));
            }
        }
        None
    }
}

/// A parameter of a media type: a name and a value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parameter<'a> {
    name: &'a [u8],
    value: &'a [u8],
    is_quoted: bool,
}

impl<'a> Parameter<'a> {
    /// `parameter = token "=" ( token / quoted-string )` (RFC 9110 §5.6.6).
    fn read(text: &'a [u8]) -> Option<Self> {
        let equals = text.iter().position(|&byte| byte == b'=')?;
        let (name, value) = (&text[..equals], &text[equals + 1..]);
        let quoted = value.strip_prefix(b"\"");
        let value = match quoted {
            Some(quoted) => within_quotes(quoted)?,
            None => Some(value).filter(|value| is_token(value))?,
        };
        is_token(name).then_some(Self { name, value, is_quoted: quoted.is_some() })
    }

    /// Whether it has this name.
    pub(crate) fn is(&self, name: &[u8]) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// Whether both have the same name and, without quotes and backslashes, the same value.
    #[inline(never)]
    pub(crate) fn equals(&self, other: &Self) -> bool {
        self.is(other.name) && self.text().eq(other.text())
    }

    /// The value in lower case, without quotes and backslashes.
    fn text(&self) -> impl Iterator<Item = u8> + use<'a> {
        let (mut bytes, is_quoted) = (self.value.iter(), self.is_quoted);
        std::iter::from_fn(move || match bytes.next()? {
            b'\\' if is_quoted => bytes.next(),
            byte => Some(byte),
        })
        .map(u8::to_ascii_lowercase)
    }

    /// The value as it is between its quotes, if it has any.
    pub(crate) const fn raw_value(&self) -> &'a [u8] {
        self.value
    }
}

/// The contents of a quoted string, when its closing quote is the last byte of `text` (RFC 9110 §5.6.4).
fn within_quotes(text: &[u8]) -> Option<&[u8]> {
    let end = end_of_quotes(text)?;
    (end + 1 == text.len()).then_some(&text[..end])
}

/// Where the quoted string ends that began before `text`.
fn end_of_quotes(text: &[u8]) -> Option<usize> {
    let mut is_escaped = false;
    text.iter().position(|&byte| {
        let ends = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        ends
    })
}

/// Splits `text` at each `separator` that is in no quoted string.
pub(crate) fn split_list(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    std::iter::from_fn(move || (!rest.is_empty()).then(|| cut(&mut rest, separator)))
}

/// Takes what is before the first `separator` out of `text`, and drops the separator. A quoted string without an end
/// takes all the rest with it.
#[inline(never)]
fn cut<'a>(text: &mut &'a [u8], separator: u8) -> &'a [u8] {
    let whole = *text;
    let mut at = 0;
    while let Some(&byte) = whole.get(at) {
        at += 1;
        if byte == separator {
            *text = &whole[at..];
            return &whole[..at - 1];
        }
        if byte == b'"' {
            let Some(end) = end_of_quotes(&whole[at..]) else { break };
            at += end + 1;
        }
    }
    *text = &[];
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, halves: (&str, &str), expected: &[(&str, &str)]) {
        let found = MediaType::read(text.as_bytes()).expect(text);
        assert_eq!((found.kind(), found.subtype()), (halves.0.as_bytes(), halves.1.as_bytes()), "{text:?}");
        let parameters = found.parameters().flatten().map(|p| (p.name, p.text().collect::<Vec<_>>()));
        let expected = expected.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes().to_vec()));
        assert_eq!(parameters.collect::<Vec<_>>(), expected.collect::<Vec<_>>(), "{text:?}");
    }

    #[test]
    fn a_media_type_is_read_with_its_parameters() {
        check("text/html", ("text", "html"), &[]);
        check(" text/html ", ("text", "html"), &[]);
        check("*/*", ("*", "*"), &[]);
        check("application/ld+json", ("application", "ld+json"), &[]);
        check("text/html;charset=UTF-8", ("text", "html"), &[("charset", "utf-8")]);
        check("a/b ;\tx=1 ; ; Y=\"2;,\\\"\\\\\";", ("a", "b"), &[("x", "1"), ("Y", "2;,\"\\")]);
        check("a/b;x=\"\"", ("a", "b"), &[("x", "")]);
    }

    #[test]
    fn what_breaks_the_grammar_is_no_media_type() {
        for text in [
            "",
            " ",
            "text",
            "/",
            "text/",
            "/html",
            "text / html",
            "a/b/c",
            "a b/c",
            "a/b c",
            "a/b;x",
            "a/b;=1",
            "a/b;x=",
            "a/b;x =1",
            "a/b;x= 1",
            "a/b;x=\"",
            "a/b;x=\"1",
            "a/b;x=\"1\\\"",
            "a/b;x=\"1\"2",
            "a/b;x=1\"2\"",
            "a/b;x=\\",
            "\"a/b\"",
            "a/\u{e4}",
            "a,b/c",
        ] {
            assert!(MediaType::read(text.as_bytes()).is_none(), "{text:?}");
        }
    }

    #[test]
    fn a_list_is_split_outside_of_quotes() {
        let pieces = |text: &'static str| split_list(text.as_bytes(), b',').map(<[u8]>::to_vec).collect::<Vec<_>>();
        assert_eq!(pieces(""), [b""; 0]);
        assert_eq!(pieces("a,b,,c"), [&b"a"[..], b"b", b"", b"c"]);
        assert_eq!(pieces("a;x=\"1,\\\",2\",b"), [&b"a;x=\"1,\\\",2\""[..], b"b"]);
        assert_eq!(pieces("a\"b,c"), [b"a\"b,c"]);
    }
}
