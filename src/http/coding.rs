//! Content codings (RFC 9110 §8.4.1), and which of them a client accepts (§12.5.3).

use super::conditional::Lines;

/// A coding in which a copy of a file may lie beside the plain file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Brotli,
    Zstandard,
    Gzip,
}

impl Coding {
    /// All codings. If the client has no preference, the first one for which there is a file is taken.
    pub(crate) const ALL: [Self; 3] = [Self::Brotli, Self::Zstandard, Self::Gzip];

    /// Its name in `Content-Encoding`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Zstandard => "zstd",
            Self::Gzip => "gzip",
        }
    }

    /// The suffix that a file in this coding has after the name of the plain file.
    pub(crate) const fn suffix(self) -> &'static str {
        match self {
            Self::Brotli => ".br",
            Self::Zstandard => ".zst",
            Self::Gzip => ".gz",
        }
    }
}

/// The weight that a client gives to each coding, in thousandths. 0 means that it does not accept the coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wishes {
    of: [u16; Coding::ALL.len()],
    plain: u16,
}

impl Wishes {
    /// Reads an `Accept-Encoding`. Without one, only the plain file is sent. RFC 9110 §12.5.3 would allow any coding,
    /// but most clients that send no such field decode nothing. A malformed member is skipped.
    pub(crate) fn read(lines: &Lines<'_>) -> Self {
        let mut named = [None; Coding::ALL.len()];
        let (mut plain, mut others) = (None, None);
        for member in lines.all().flat_map(|line| line.split(|&byte| byte == b',')) {
            let Some((name, weight)) = std::str::from_utf8(member).ok().and_then(weighted) else { continue };
            match name.to_ascii_lowercase().as_str() {
                "br" => named[0] = Some(weight),
                "zstd" => named[1] = Some(weight),
                "gzip" | "x-gzip" => named[2] = Some(weight),
                "identity" => plain = Some(weight),
                "*" => others = Some(weight),
                _ => {}
            }
        }
        // A coding that is not named is not accepted. The plain file then has the lowest weight, but is accepted.
        Self { of: named.map(|weight| weight.or(others).unwrap_or(0)), plain: plain.or(others).unwrap_or(1) }
    }

    /// The codings with at least the weight of the plain file, the highest weight first.
    pub(crate) fn in_order(self) -> impl Iterator<Item = Coding> {
        let mut order = [0, 1, 2];
        // Three steps sort three numbers, and those of the same weight keep their order.
        for (one, next) in [(0, 1), (1, 2), (0, 1)] {
            if self.of[order[next]] > self.of[order[one]] {
                order.swap(one, next);
            }
        }
        order.into_iter().filter(move |&at| self.of[at] > 0 && self.of[at] >= self.plain).map(|at| Coding::ALL[at])
    }
}

/// Reads a member of a list with weights: `name;q=0.5` (RFC 9110 §12.4.2). The weight is in thousandths.
pub(crate) fn weighted(member: &str) -> Option<(&str, u16)> {
    let mut pieces = member.split(';').map(|piece| piece.trim_matches([' ', '\t']));
    let name = pieces.next().filter(|name| !name.is_empty())?;
    let weight = pieces.find_map(|piece| piece.strip_prefix("q=").or_else(|| piece.strip_prefix("Q=")));
    Some((name, weight.map_or(Some(1000), thousandths)?))
}

/// `qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] )`
fn thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let fraction: u16 = format!("{fraction:0<3}").parse().ok()?;
    match (whole, fraction) {
        ("0", fraction) => Some(fraction),
        ("1", 0) => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::TestFields;
    use crate::http::conditional::Conditions;
    use Coding::{Brotli, Gzip, Zstandard};

    #[track_caller]
    fn check(values: &[&str], expected: &[Coding]) {
        let fields = TestFields::new(values.iter().map(|value| ("Accept-Encoding", value.as_bytes())));
        let wishes = Wishes::read(&Conditions::of(fields.get()).accept_encoding);
        assert_eq!(wishes.in_order().collect::<Vec<_>>(), expected, "{values:?}");
    }

    #[test]
    fn codings_come_in_the_order_of_their_weights() {
        check(&["gzip, deflate, br, zstd"], &[Brotli, Zstandard, Gzip]);
        check(&["gzip, br;q=0.5"], &[Gzip, Brotli]);
        check(&["gzip;q=0.001"], &[Gzip]);
        check(&["GZIP ; Q=0.5 , zstd ; q=1.000"], &[Zstandard, Gzip]);
        check(&["gzip", "br"], &[Brotli, Gzip]);
        check(&["x-gzip"], &[Gzip]);
        check(&["*"], &[Brotli, Zstandard, Gzip]);
        check(&["br;q=0, *;q=0.1"], &[Zstandard, Gzip]);
        check(&["gzip;q=0.5, identity;q=0.5"], &[Gzip]);
    }

    #[test]
    fn a_coding_that_the_client_does_not_accept_is_not_sent() {
        check(&[], &[]);
        check(&[""], &[]);
        check(&["identity"], &[]);
        check(&["deflate, compress"], &[]);
        check(&["gzip;q=0, br;q=0.0, zstd;q=0.000"], &[]);
        check(&["gzip;q=0.5, identity"], &[]);
        check(&["*;q=0"], &[]);
        check(&["gzip;q=2", "br;q=0.1234", "zstd;q=x", "zstd;q=-1"], &[]);
    }
}
