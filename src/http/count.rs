//! Numbers of things in sentences.

use std::fmt::{self, Display, Formatter};

/// So many things of a name, which is in the singular and takes an `s`: `1 connection`, `2 connections`.
pub(crate) struct Count<N>(pub(crate) N, pub(crate) &'static str);

impl<N: Display + PartialEq + From<u8>> Display for Count<N> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(count, name) = self;
        write!(f, "{count} {name}{}", if *count == N::from(1) { "" } else { "s" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_in_the_singular() {
        let texts = [0, 1, 2].map(|count| Count(count, "byte").to_string());
        assert_eq!(texts, ["0 bytes", "1 byte", "2 bytes"]);
    }
}
