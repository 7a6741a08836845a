use std::borrow::Cow;
use std::iter::once;

use memchr::{memchr, memchr2};
use percent_encoding::percent_decode;

use crate::http::{collect_text, plain_text};

/// Names and values of a query or of a posted form, decoded by the WHATWG rules for
/// `application/x-www-form-urlencoded`.
///
/// A name or a value is decoded when a method returns it. If it is not encoded, it is borrowed. If it is, it takes one
/// allocation, or two if it does not decode to UTF-8. Looking for a name allocates nothing.
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
        self.encoded().filter(move |(key, _)| is_name(key, name)).map(|(_, value)| decode(value))
    }

    /// All names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> + use<'a> {
        self.encoded().map(|(name, value)| (decode(name), decode(value)))
    }

    /// All names and values, still encoded.
    fn encoded(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let pairs = self.0.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty());
        pairs.map(|pair| match memchr(b'=', pair) {
            Some(at) => (&pair[..at], &pair[at + 1..]),
            None => (pair, &b""[..]),
        })
    }
}

/// A name or a value, decoded.
fn decode(encoded: &[u8]) -> Cow<'_, str> {
    match is_encoded(encoded) {
        false => plain_text(encoded),
        true => Cow::Owned(collect_text(encoded.len(), decoded(encoded))),
    }
}

/// Whether `encoded`, decoded, is `name`.
fn is_name(encoded: &[u8], name: &str) -> bool {
    let is_same = match is_encoded(encoded) {
        false => encoded == name.as_bytes(),
        true => decoded(encoded).eq(name.bytes()),
    };
    // Bytes that are not UTF-8 decode to replacement characters, which the name may contain.
    is_same || (name.contains(char::REPLACEMENT_CHARACTER) && decode(encoded) == name)
}

fn is_encoded(encoded: &[u8]) -> bool {
    memchr2(b'+', b'%', encoded).is_some()
}

/// The decoded bytes of a name or a value. A plus means a space, and is never part of a triplet. So each stretch
/// between two plus signs is decoded separately.
fn decoded(encoded: &[u8]) -> impl Iterator<Item = u8> {
    let mut stretches = encoded.split(|&byte| byte == b'+');
    let first = stretches.next().unwrap_or_default();
    percent_decode(first).chain(stretches.flat_map(|stretch| once(b' ').chain(percent_decode(stretch))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Forms in which special bytes are next to each other more often than in random bytes.
    fn forms() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            4 => prop::sample::select(&b"&=+%%%abAB2469fF"[..]).prop_map(|byte| vec![byte]),
            2 => any::<u8>().prop_map(|byte| format!("%{byte:02x}").into_bytes()),
            1 => any::<char>().prop_map(|c| c.to_string().into_bytes()),
            1 => any::<u8>().prop_map(|byte| vec![byte]),
            1 => Just("%EF%BF%BD".into()),
        ];
        prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2000, ..ProptestConfig::default() })]

        #[test]
        fn pairs_are_those_that_the_crate_parses(form in forms(), other in ".{0,3}") {
            let expected: Vec<_> = form_urlencoded::parse(&form).collect();
            let pairs = Pairs::new(&form);
            prop_assert_eq!(pairs.iter().collect::<Vec<_>>(), expected.clone());
            let names = expected.iter().map(|(name, _)| &**name).chain([&*other, "", " ", "a", "\u{fffd}"]);
            for name in names {
                let values = expected.iter().filter(|(known, _)| known == name).map(|(_, value)| value.clone());
                prop_assert_eq!(pairs.all(name).collect::<Vec<_>>(), values.collect::<Vec<_>>(), "{:?}", name);
            }
        }
    }

    #[test]
    fn what_is_not_encoded_is_borrowed() {
        let pairs = Pairs::new(b"a=b&c+d=e%20f&\xc3\xa4=100");
        let borrowed = |text: &Cow<'_, str>| matches!(text, Cow::Borrowed(_));
        let found: Vec<_> = pairs.iter().map(|(name, value)| (borrowed(&name), borrowed(&value))).collect();
        assert_eq!(found, [(true, true), (false, false), (true, true)]);
    }
}
