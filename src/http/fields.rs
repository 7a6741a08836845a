use std::fmt;

/// The field lines of a request head, in the order in which they came; nothing is copied and nothing is merged.
///
/// Names compare without regard to case (RFC 9110 §5.1). Values are bytes: RFC 9110 §5.5 lets them hold any byte from
/// 0x80 on.
///
/// ```
/// # let mut app = monoloop::Router::new(());
/// app.get("/", |_, req, res| {
///     let mut text = String::new();
///     for (name, value) in req.headers().iter() {
///         text += &format!("{name} has {} bytes\n", value.len());
///     }
///     res.text(text)
/// });
/// ```
#[derive(Clone, Copy)]
pub struct Fields<'a>(&'a [httparse::Header<'a>]);

impl<'a> Fields<'a> {
    pub(crate) const fn new(lines: &'a [httparse::Header<'a>]) -> Self {
        Self(lines)
    }

    /// The value of the first field line of this name.
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.all(name).next()
    }

    /// The values of all field lines of this name, in order.
    pub fn all<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.iter().filter(move |(line, _)| line.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// All field lines: the name as the client wrote it, and the value without the white space around it.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&'a str, &'a [u8])> + use<'a> {
        self.0.iter().map(|line| (line.name, line.value))
    }

    /// How many field lines there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(name, value)| (name, value.escape_ascii().to_string()))).finish()
    }
}
