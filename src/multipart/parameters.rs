//! The parameters of a field value: `; name=value` (RFC 9110 §5.6.6).

use crate::http::is_token;

/// Parameters that have not been read yet.
pub(super) struct Parameters<'a> {
    rest: &'a str,
    escapes: Escapes,
}

/// Whether a backslash takes its meaning from the quote or the backslash after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escapes {
    Backslash,
    /// It is an ordinary character.
    Nothing,
}

/// The value of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Token(&'a str),
    /// What is between the quotes, backslashes included.
    Quoted(&'a str),
}

impl<'a> Value<'a> {
    /// The value as it was sent, without the quotes around it.
    pub(super) const fn raw(self) -> &'a str {
        match self {
            Self::Token(raw) | Self::Quoted(raw) => raw,
        }
    }
}

impl<'a> Parameters<'a> {
    /// Splits a field value into what comes before the parameters, and the parameters.
    pub(super) fn split(value: &'a str) -> (&'a str, Self) {
        Self::split_by(value, Escapes::Backslash)
    }

    /// As [`split`](Self::split), with quoted strings in which a backslash means what `escapes` says.
    pub(super) fn split_by(value: &'a str, escapes: Escapes) -> (&'a str, Self) {
        let (before, rest) = value.split_at(value.find(';').unwrap_or(value.len()));
        (trim(before), Self { rest, escapes })
    }

    /// Reads the next parameter. `None` if it is malformed.
    fn read(&mut self) -> Option<(&'a str, Value<'a>)> {
        let (name, value) = self.rest.strip_prefix(';')?.split_once('=')?;
        let name = trim(name);
        let (value, rest) = match value.strip_prefix('"') {
            Some(text) => {
                let end = closing_quote(text, self.escapes)?;
                (Value::Quoted(&text[..end]), &text[end + 1..])
            }
            None => {
                let (token, rest) = value.split_at(value.find([';', ' ', '\t']).unwrap_or(value.len()));
                (is_token(token.as_bytes()).then_some(Value::Token(token))?, rest)
            }
        };
        self.rest = trim(rest);
        is_token(name.as_bytes()).then_some((name, value))
    }
}

impl<'a> Iterator for Parameters<'a> {
    /// `None` is what is no parameter; nothing comes after it.
    type Item = Option<(&'a str, Value<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        // A `;` with nothing after it is allowed: a list of parameters may have empty members.
        while let Some(rest) =
            self.rest.strip_prefix(';').map(trim).filter(|rest| rest.is_empty() || rest.starts_with(';'))
        {
            self.rest = rest;
        }
        if self.rest.is_empty() {
            return None;
        }
        let parameter = self.read();
        if parameter.is_none() {
            self.rest = "";
        }
        Some(parameter)
    }
}

/// The place of the quote that ends a quoted string. A backslash takes its meaning from a quote, and from another
/// backslash. Before anything else it is an ordinary character: browsers send it as it is, in the name of a file.
fn closing_quote(text: &str, escapes: Escapes) -> Option<usize> {
    if escapes == Escapes::Nothing {
        return text.find('"');
    }
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Some(at),
            b'\\' if matches!(text.as_bytes().get(at + 1), Some(b'"' | b'\\')) => _ = bytes.next(),
            _ => {}
        }
    }
    None
}

/// Removes optional white space from both ends (RFC 9110 §5.6.3).
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> (&str, Vec<Option<(&str, Value<'_>)>>) {
        let (before, parameters) = Parameters::split(value);
        (before, parameters.collect())
    }

    #[test]
    fn parameters_are_read_one_by_one() {
        let quoted = |name, text| Some((name, Value::Quoted(text)));
        let token = |name, text| Some((name, Value::Token(text)));
        for (value, before, parameters) in [
            ("form-data", "form-data", vec![]),
            ("form-data;", "form-data", vec![]),
            ("a ; ;; x=y;\t", "a", vec![token("x", "y")]),
            ("a;x=y ; Z=\"\"", "a", vec![token("x", "y"), quoted("Z", "")]),
            (r#"a; x="b;c=d"; y=e"#, "a", vec![quoted("x", "b;c=d"), token("y", "e")]),
            (r#"a; x="b\"c\\"; y=e"#, "a", vec![quoted("x", r#"b\"c\\"#), token("y", "e")]),
            (r#"a; x="C:\b\c.txt""#, "a", vec![quoted("x", r"C:\b\c.txt")]),
            ("a; x=\"\u{e9}\"", "a", vec![quoted("x", "\u{e9}")]),
        ] {
            assert_eq!(read(value), (before, parameters), "{value}");
        }
    }

    #[test]
    fn what_is_no_parameter_ends_the_list() {
        for value in
            ["a; x", "a; x=", "a; x =y z", "a; =y", "a; x=\"y", "a; x=\"y\\\"", "a; x=\"y\"z", "a; x=y/z", "a; b c=d"]
        {
            let (before, parameters) = read(value);
            assert_eq!(before, "a", "{value}");
            assert_eq!(parameters.last(), Some(&None), "{value}");
        }
    }
}
