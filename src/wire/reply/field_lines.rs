//! The field lines that the application sets for a reply, in the form in which they are sent.

use crate::http::{is_field_value, is_name, is_token};

/// Field lines as bytes, the end of each line, and which of the special lines are among them.
#[derive(Debug, Default)]
pub(crate) struct FieldLines {
    pub(crate) text: String,
    lines: Vec<Line>,
    pub(crate) has: Has,
    /// How much survives a roll-back: the lines as they were when the last middleware had passed the reply on.
    kept: Kept,
    /// The text and the lines before one of the kept lines was removed.
    before_removal: Option<Box<(String, Vec<Line>)>>,
}

/// How much of the field lines is kept.
#[derive(Clone, Copy, Debug, Default)]
struct Kept {
    text: usize,
    lines: usize,
    has: Has,
}

/// A field line that is checked once and sent often.
#[derive(Clone, Debug)]
pub(crate) struct PreparedField {
    text: Box<str>,
    name_len: u32,
}

impl PreparedField {
    /// # Panics
    /// If it is not a valid field line. It is for names and values that are written in the program.
    pub(crate) fn new(name: &str, value: &str) -> Self {
        assert!(is_token(name.as_bytes()) && is_field_value(value.as_bytes()), "not a field line: {name}: {value:?}");
        Self { text: format!("{name}: {value}\r\n").into(), name_len: name.len() as u32 }
    }

    pub(crate) fn name(&self) -> &str {
        &self.text[..self.name_len as usize]
    }
}

/// A line in [`FieldLines`].
#[derive(Clone, Copy, Debug)]
struct Line {
    name_len: u32,
    /// Where the line ends, CRLF included.
    end: u32,
}

/// Which lines of the application replace a line of the server.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Has {
    pub(crate) date: bool,
    pub(crate) server: bool,
    pub(crate) content_type: bool,
    pub(crate) content_length: Option<u64>,
}

impl Has {
    #[inline]
    const fn is_none(self) -> bool {
        !self.date && !self.server && !self.content_type && self.content_length.is_none()
    }
}

impl FieldLines {
    /// Bytes of memory that they take.
    pub(crate) fn memory(&self) -> usize {
        let size = |text: &String, lines: &Vec<Line>| text.capacity() + lines.capacity() * size_of::<Line>();
        let before = self.before_removal.as_deref().map_or(0, |(text, lines)| size(text, lines));
        size(&self.text, &self.lines) + before
    }

    #[inline(always)]
    pub(crate) fn clear(&mut self) {
        // Nearly every reply sets and removes no line.
        if self.lines.is_empty() && self.before_removal.is_none() {
            return;
        }
        self.text.clear();
        self.lines.clear();
        self.has = Has::default();
        self.kept = Kept::default();
        self.before_removal = None;
    }

    /// Whether no line replaces a line of the server.
    #[inline]
    pub(crate) const fn replace_none(&self) -> bool {
        self.text.is_empty() || self.has.is_none()
    }

    /// Makes a roll-back keep the lines that are here now, because the middleware has set them.
    #[inline]
    pub(crate) fn keep(&mut self) {
        self.kept = Kept { text: self.text.len(), lines: self.lines.len(), has: self.has };
        self.before_removal = None;
    }

    /// Takes back everything since [`keep`](Self::keep).
    pub(crate) fn roll_back(&mut self) {
        if let Some(before) = self.before_removal.take() {
            (self.text, self.lines) = *before;
        }
        self.text.truncate(self.kept.text);
        self.lines.truncate(self.kept.lines);
        self.has = self.kept.has;
    }

    /// The lines as (name, value).
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let starts = std::iter::once(0).chain(self.lines.iter().map(|line| line.end as usize));
        starts.zip(&self.lines).map(|(start, line)| {
            let (name, rest) = self.text[start..line.end as usize].split_at(line.name_len as usize);
            (name, &rest[": ".len()..rest.len() - "\r\n".len()])
        })
    }

    /// The value of the first line of this name, in any case.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(line, _)| line.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn push(&mut self, name: &str, value: &str) {
        self.text.push_str(name);
        self.text.push_str(": ");
        self.text.push_str(value);
        self.text.push_str("\r\n");
        self.lines.push(Line { name_len: name.len() as u32, end: self.text.len() as u32 });
        match name.len() {
            4 if is_name(name, b"date") => self.has.date = true,
            6 if is_name(name, b"server") => self.has.server = true,
            12 if is_name(name, b"content-type") => self.has.content_type = true,
            14 if is_name(name, b"content-length") => self.has.content_length = value.parse().ok(),
            _ => {}
        }
    }

    /// Adds a line with a list of values, unless the list is empty. The name must not be one of those in [`Has`].
    pub(crate) fn push_list<'v>(&mut self, name: &str, mut values: impl Iterator<Item = &'v str>) {
        let Some(first) = values.next() else { return };
        self.text.push_str(name);
        self.text.push_str(": ");
        self.text.push_str(first);
        for value in values {
            self.text.push_str(", ");
            self.text.push_str(value);
        }
        self.text.push_str("\r\n");
        self.lines.push(Line { name_len: name.len() as u32, end: self.text.len() as u32 });
    }

    /// Adds the names of a `Vary` that no `Vary` line has yet, in any case (RFC 9110 §12.5.5). Each part of the
    /// application knows what it has looked at, and none knows of the others, so no part takes a name of another away.
    pub(crate) fn add_vary(&mut self, value: &str) {
        let mut is_begun = false;
        for (place, name) in list(value).enumerate() {
            let is_repeated = list(value).take(place).any(|earlier| earlier.eq_ignore_ascii_case(name));
            if is_repeated || self.varies_by(name) {
                continue;
            }
            self.text.push_str(if is_begun { ", " } else { "Vary: " });
            self.text.push_str(name);
            is_begun = true;
        }
        if is_begun {
            self.text.push_str("\r\n");
            self.lines.push(Line { name_len: "Vary".len() as u32, end: self.text.len() as u32 });
        }
    }

    /// Whether a `Vary` line lists this name.
    fn varies_by(&self, name: &str) -> bool {
        let lines = self.iter().filter(|(line, _)| line.eq_ignore_ascii_case("vary"));
        lines.flat_map(|(_, value)| list(value)).any(|listed| listed.eq_ignore_ascii_case(name))
    }

    /// Adds a line in place of the lines of this name, which must not be one of those in [`Has`].
    #[inline(always)]
    pub(crate) fn set_prepared(&mut self, field: &PreparedField) {
        self.remove(field.name());
        self.text.push_str(&field.text);
        self.lines.push(Line { name_len: field.name_len, end: self.text.len() as u32 });
    }

    /// Removes all lines of this name.
    #[inline]
    pub(crate) fn remove(&mut self, name: &str) {
        // Nearly always there is none, and comparing the lengths shows it.
        if self.lines.iter().any(|line| line.name_len as usize == name.len()) {
            self.remove_found(name);
        }
    }

    #[cold]
    fn remove_found(&mut self, name: &str) {
        let is_meant = |line: &str| line.eq_ignore_ascii_case(name);
        let Some(first) = self.iter().position(|(line, _)| is_meant(line)) else { return };
        let (text, lines) = (std::mem::take(&mut self.text), std::mem::take(&mut self.lines));
        let (kept, old) = (self.kept, Self { text, lines, ..Self::default() });
        self.has = Has::default();
        old.iter().filter(|(line, _)| !is_meant(line)).for_each(|(name, value)| self.push(name, value));
        if first < kept.lines && self.before_removal.is_none() {
            self.before_removal = Some(Box::new((old.text, old.lines)));
        }
    }
}

/// The members of a list (RFC 9110 §5.6.1).
fn list(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(|member| member.trim_matches([' ', '\t'])).filter(|member| !member.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vary_adds_the_names_that_are_not_listed_yet() {
        for (values, expected) in [
            (&["Origin"][..], &["Origin"][..]),
            (&["Origin", "Accept"], &["Origin", "Accept"]),
            (&["Origin", "Accept, ORIGIN"], &["Origin", "Accept"]),
            (&["Origin, origin ,,\tAccept", "accept", "Cookie,Accept"], &["Origin, Accept", "Cookie"]),
            (&["", " , "], &[]),
            (&["*", "Origin", "*"], &["*", "Origin"]),
        ] {
            let mut fields = FieldLines::default();
            fields.push("X-Other", "Origin, Accept, Cookie");
            values.iter().for_each(|value| fields.add_vary(value));
            let lines: Vec<&str> = fields.iter().filter(|(name, _)| *name == "Vary").map(|(_, value)| value).collect();
            assert_eq!(lines, expected, "{values:?}");
        }
    }
}
