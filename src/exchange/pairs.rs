use std::borrow::Cow;

/// Names and values of a query or of a posted form, decoded by the WHATWG rules for
/// `application/x-www-form-urlencoded`.
///
/// ```
/// # let mut app = monoloop::Router::new(());
/// app.get("/search", |_, req, res| {
///     let query = req.query_pairs();                               // ?tag=a&tag=b+c&page=2
///     let tags: Vec<_> = query.all("tag").collect();               // "a", "b c"
///     res.text(format!("{tags:?} of {} pairs", query.iter().count()))
/// });
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Pairs<'a>(&'a [u8]);

impl<'a> Pairs<'a> {
    pub(crate) const fn new(encoded: &'a [u8]) -> Self {
        Self(encoded)
    }

    /// The first value of this name.
    pub fn get(&self, name: &str) -> Option<Cow<'a, str>> {
        self.all(name).next()
    }

    /// All values of this name, in order.
    pub fn all<'n>(&self, name: &'n str) -> impl Iterator<Item = Cow<'a, str>> + use<'a, 'n> {
        self.iter().filter(move |(key, _)| key == name).map(|(_, value)| value)
    }

    /// All names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> + use<'a> {
        form_urlencoded::parse(self.0)
    }
}
