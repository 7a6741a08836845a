use std::fmt;

/// The field lines of a request head, in the order in which the client sent them. Nothing is copied or merged.
///
/// Names compare without regard to case (RFC 9110 §5.1). Values are bytes: RFC 9110 §5.5 lets them hold any byte from
/// 0x80 on.
///
/// ```
/// # let mut app = monoloop::Router::new(());
/// app.get("/", |_, req, res| {
///     let mut text = String::new();
///     for (name, value) in req.headers() {
///         text += &format!("{name} has {} bytes\n", value.len());
///     }
///     res.text(text)
/// });
/// ```
#[derive(Clone, Copy, Default)]
pub struct Fields<'a> {
    /// These bytes begin with the lines, one after the other, each with its CRLF.
    text: &'a [u8],
    /// One shape for each line.
    shapes: &'a [LineShape],
}

/// Where a field line has its colon, and where it ends. It takes eight bytes, so the shapes of the largest head fit
/// into the CPU cache.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LineShape {
    pub(crate) name_len: u32,
    /// The length of the line, CRLF included.
    pub(crate) len: u32,
}

/// A valid field line, as the client sent it.
#[derive(Clone, Copy)]
pub(crate) struct Line<'a> {
    /// These bytes begin with the line.
    pub(crate) text: &'a [u8],
    pub(crate) shape: LineShape,
}

impl<'a> Line<'a> {
    #[inline(always)]
    pub(crate) const fn name_len(self) -> usize {
        self.shape.name_len as usize
    }

    #[inline(always)]
    pub(crate) fn name(self) -> &'a [u8] {
        &self.text[..self.name_len()]
    }

    /// The value without the white space around it.
    #[inline(always)]
    pub(crate) fn value(self) -> &'a [u8] {
        match &self.text[self.name_len() + ":".len()..self.shape.len as usize - "\r\n".len()] {
            // Nearly always one space comes before the value and none after it. Tab is the only byte below the space
            // that a value can hold.
            [b' ', value @ ..] if matches!(value, [b'!'..=u8::MAX, .., b'!'..=u8::MAX]) => value,
            value => trim(value),
        }
    }
}

/// Removes optional white space from both ends: spaces and tabs, nothing else (RFC 9110 §5.6.3).
#[inline(never)]
pub(crate) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// Cuts the lines that `shapes` describes from the front of `text`.
#[inline]
pub(crate) fn lines<'a, 's>(
    mut text: &'a [u8],
    shapes: &'s [LineShape],
) -> impl ExactSizeIterator<Item = Line<'a>> + use<'a, 's> {
    shapes.iter().map(move |&shape| {
        let line = Line { text, shape };
        text = &text[shape.len as usize..];
        line
    })
}

impl<'a> Fields<'a> {
    /// The fields of the valid lines that `text` begins with and `shapes` describes.
    pub(crate) const fn new(text: &'a [u8], shapes: &'a [LineShape]) -> Self {
        Self { text, shapes }
    }

    /// The value of the first field line of this name.
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.all(name).next()
    }

    /// The values of all field lines of this name, in order.
    pub fn all<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        let is_meant =
            move |line: &Line<'_>| line.name_len() == name.len() && line.name().eq_ignore_ascii_case(name.as_bytes());
        self.lines().filter(is_meant).map(|line| line.value())
    }

    /// All field lines: the name as the client wrote it, and the value without the white space around it.
    pub fn iter(&self) -> FieldsIter<'a> {
        self.into_iter()
    }

    fn lines(&self) -> impl ExactSizeIterator<Item = Line<'a>> + use<'a> {
        lines(self.text, self.shapes)
    }

    /// The lines as the client sent them, each with its CRLF.
    pub(crate) fn as_bytes(&self) -> &'a [u8] {
        &self.text[..self.shapes.iter().map(|shape| shape.len as usize).sum()]
    }

    /// How many field lines there are.
    pub fn len(&self) -> usize {
        self.shapes.len()
    }

    /// Whether there is no field line.
    pub fn is_empty(&self) -> bool {
        self.shapes.is_empty()
    }
}

impl<'a> IntoIterator for Fields<'a> {
    type Item = (&'a str, &'a [u8]);
    type IntoIter = FieldsIter<'a>;

    /// As [`iter`](Fields::iter).
    fn into_iter(self) -> FieldsIter<'a> {
        FieldsIter { text: self.text, shapes: self.shapes }
    }
}

/// The iterator of [`Fields`]: the name and the value of each field line.
#[derive(Clone)]
pub struct FieldsIter<'a> {
    text: &'a [u8],
    shapes: &'a [LineShape],
}

impl<'a> Iterator for FieldsIter<'a> {
    type Item = (&'a str, &'a [u8]);

    fn next(&mut self) -> Option<(&'a str, &'a [u8])> {
        let line = lines(self.text, self.shapes).next()?;
        self.text = &self.text[line.shape.len as usize..];
        self.shapes = &self.shapes[1..];
        // A name is a token, so it is ASCII.
        Some((std::str::from_utf8(line.name()).unwrap_or_default(), line.value()))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.shapes.len(), Some(self.shapes.len()))
    }
}

impl ExactSizeIterator for FieldsIter<'_> {}

impl fmt::Debug for FieldsIter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Fields::new(self.text, self.shapes).fmt(f)
    }
}

impl fmt::Debug for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(name, value)| (name, value.escape_ascii().to_string()))).finish()
    }
}

/// Field lines that a test owns.
#[cfg(test)]
pub(crate) struct TestFields {
    text: Vec<u8>,
    shapes: Vec<LineShape>,
}

#[cfg(test)]
impl TestFields {
    pub(crate) fn new<'t>(lines: impl IntoIterator<Item = (&'t str, &'t [u8])>) -> Self {
        let mut fields = Self { text: Vec::new(), shapes: Vec::new() };
        for (name, value) in lines {
            let line = [name.as_bytes(), b": ", value, b"\r\n"].concat();
            fields.shapes.push(LineShape { name_len: name.len() as u32, len: line.len() as u32 });
            fields.text.extend(line);
        }
        fields
    }

    pub(crate) fn get(&self) -> Fields<'_> {
        Fields::new(&self.text, &self.shapes)
    }
}
