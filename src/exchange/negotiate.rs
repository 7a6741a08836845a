//! Content negotiation (RFC 9110 §12.5.1): which of the media types that a handler offers the client prefers.

use std::cmp::Reverse;

use super::Request;
use crate::http::{MediaType, split_list};

impl Request<'_> {
    /// The media type among `offers` that the client likes best, as its `Accept` says (RFC 9110 §12.5.1).
    ///
    /// The highest weight (`q`) wins. Among equal weights, a type that the client named wins over one that a wildcard
    /// covers, then the one that the client named first, then the first offer. So Express decides, too. A weight of 0
    /// refuses a type. Without an `Accept`, or with one that has no readable member, the first offer is the result.
    ///
    /// The result is `None` when the client accepts none of them; a 406 is the usual answer. A reply that depends on
    /// this should carry `Vary: Accept`, so that a cache does not give it to another client.
    ///
    /// An offer may have parameters: `text/html;level=1`. A range with parameters covers only offers that have them
    /// all, except for a `charset`, which an offer need not repeat. An offer that is no media type is never chosen.
    ///
    /// ```
    /// use monoloop::{Error, Router, TestClient};
    ///
    /// let mut app = Router::new(());
    /// app.get("/greeting", |_, req, res| {
    ///     let res = res.header("Vary", "Accept");
    ///     match req.accepts(&["text/html", "text/plain"]) {
    ///         Some("text/html") => res.html("<h1>Hello</h1>"),
    ///         Some(_) => res.text("Hello"),
    ///         None => Err(Error::new(406, "There is HTML, and there is plain text")),
    ///     }
    /// });
    ///
    /// let mut client = TestClient::new(app);
    /// assert_eq!(client.get("/greeting").header("Accept", "text/html;q=0.5, text/*").send().text(), "Hello");
    /// assert_eq!(client.get("/greeting").send().text(), "<h1>Hello</h1>");
    /// assert_eq!(client.get("/greeting").header("Accept", "image/png").send().status(), 406);
    /// ```
    #[doc(alias("accept", "content_negotiation", "406"))]
    pub fn accepts<'t>(&self, offers: &[&'t str]) -> Option<&'t str> {
        let fields = self.headers();
        choose(&|visit| fields.all("accept").for_each(|value| visit_ranges(value, visit)), offers)
    }

    /// Whether the client prefers HTML to JSON, as browsers do. By this, error replies are HTML or JSON. A reply that
    /// depends on it should carry `Vary: Accept`, too.
    ///
    /// ```
    /// # use monoloop::{Router, TestClient};
    /// # let mut app = Router::new(());
    /// app.get("/", |_, req, res| match req.prefers_html() {
    ///     true => res.header("Vary", "Accept").html("<h1>Hello</h1>"),
    ///     false => res.header("Vary", "Accept").text("Hello"),
    /// });
    /// let mut client = TestClient::new(app);
    /// assert_eq!(client.get("/").header("Accept", "text/html, */*;q=0.8").send().text(), "<h1>Hello</h1>");
    /// assert_eq!(client.get("/").send().text(), "Hello");
    /// ```
    #[doc(alias("browser", "xhr"))]
    pub fn prefers_html(&self) -> bool {
        self.accepts(&["application/json", "text/html"]) == Some("text/html")
    }
}

/// Shows the readable members of all `Accept` lines to a visitor, in order. Each call begins again, so that nothing has
/// to be kept. The dynamic calls keep the machine code small.
type Ranges<'r> = &'r dyn Fn(&mut dyn FnMut(Range<'_>));

fn visit_ranges(value: &[u8], visit: &mut dyn FnMut(Range<'_>)) {
    split_list(value, b',').filter_map(Range::read).for_each(visit);
}

/// The best of `offers`.
fn choose<'t>(ranges: Ranges<'_>, offers: &[&'t str]) -> Option<&'t str> {
    let mut is_empty = true;
    ranges(&mut |_| is_empty = false);
    if is_empty {
        return offers.first().copied();
    }
    let mut best = None;
    for &offer in offers {
        let Some(merit) = MediaType::read(offer.as_bytes()).and_then(|offer| Merit::of(&offer, ranges)) else {
            continue;
        };
        if best.is_none_or(|(highest, _)| merit > highest) {
            best = Some((merit, offer));
        }
    }
    best.map(|(_, offer)| offer)
}

/// How much a client likes an offer. The greater one is better, and what is compared first is the first field.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Merit {
    weight: u16,
    precision: Precision,
    place: Reverse<usize>,
}

impl Merit {
    /// The merit of an offer by the most precise range that covers it. If two are as precise, the higher weight counts.
    fn of(offer: &MediaType<'_>, ranges: Ranges<'_>) -> Option<Self> {
        let (mut most_precise, mut count): (Option<Self>, usize) = (None, 0);
        ranges(&mut |range| {
            let place = Reverse(count);
            count += 1;
            let Some(precision) = range.covers(offer) else { return };
            if most_precise.is_none_or(|known| (precision, range.weight) > (known.precision, known.weight)) {
                most_precise = Some(Self { weight: range.weight, precision, place });
            }
        });
        most_precise.filter(|merit| merit.weight > 0)
    }
}

/// How much of a media type a range names: its halves, and then how many parameters.
type Precision = (u8, usize);

/// A member of `Accept`: `media-range [ weight ]`.
#[derive(Clone, Copy)]
struct Range<'a> {
    media: MediaType<'a>,
    /// In thousandths. 0 means that the client does not accept what the range covers.
    weight: u16,
}

impl<'a> Range<'a> {
    /// Reads a member. The result is `None` when it breaks the grammar.
    fn read(member: &'a [u8]) -> Option<Self> {
        let media = MediaType::read_range(member)?;
        let weight = match media.parameter(b"q") {
            Some(parameter) => thousandths(parameter.raw_value())?,
            None => 1000,
        };
        Some(Self { media, weight })
    }

    /// How precisely the range covers an offer, if it does.
    fn covers(&self, offer: &MediaType<'_>) -> Option<Precision> {
        let is_named = |name: &[u8], of_offer: &[u8]| name != b"*" && name.eq_ignore_ascii_case(of_offer);
        let halves = match (self.media.kind(), self.media.subtype()) {
            (b"*", b"*") => 0,
            (kind, b"*") if is_named(kind, offer.kind()) => 1,
            (kind, subtype) if is_named(kind, offer.kind()) && is_named(subtype, offer.subtype()) => 2,
            _ => return None,
        };
        let mut count = 0;
        // The weight is no part of the media type, wherever it is (RFC 9110 §12.5.1).
        for wanted in self.media.parameters().flatten().filter(|parameter| !parameter.is(b"q")) {
            let mut offered = offer.parameters().flatten();
            if offered.any(|parameter| parameter.equals(&wanted)) {
                count += 1;
            } else if !wanted.is(b"charset") || offer.parameter(b"charset").is_some() {
                return None;
            }
        }
        Some((halves, count))
    }
}

/// `qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] )` (RFC 9110 §12.4.2), in thousandths. The zero before
/// the dot may be missing, because the HTTP client of Java leaves it out.
fn thousandths(text: &[u8]) -> Option<u16> {
    let (whole, fraction) = match text {
        [b'.', fraction @ ..] if !fraction.is_empty() => (0, fraction),
        [whole @ (b'0' | b'1')] | [whole @ (b'0' | b'1'), b'.'] => (u16::from(whole - b'0'), &[][..]),
        [whole @ (b'0' | b'1'), b'.', fraction @ ..] => (u16::from(whole - b'0'), fraction),
        _ => return None,
    };
    if fraction.len() > 3 || !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = fraction.iter().chain(b"000").take(3);
    let weight = digits.fold(whole, |weight, digit| 10 * weight + u16::from(digit - b'0'));
    Some(weight).filter(|weight| *weight <= 1000)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The choice by the lines of an `Accept`.
    fn chosen<'t>(lines: &[&str], offers: &[&'t str]) -> Option<&'t str> {
        choose(&|visit| lines.iter().for_each(|line| visit_ranges(line.as_bytes(), visit)), offers)
    }

    #[track_caller]
    fn check(lines: &[&str], offers: &[&str], expected: Option<&str>) {
        assert_eq!(chosen(lines, offers), expected, "{lines:?} for {offers:?}");
    }

    const PAGES: &[&str] = &["text/html", "application/json"];

    #[test]
    fn clients_get_what_they_like_best() {
        let chromium = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8";
        for offers in [PAGES, &["application/json", "text/html"]] {
            check(&[chromium], offers, Some("text/html"));
            check(&["application/json, text/plain, */*"], offers, Some("application/json"));
            check(&["text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"], offers, Some("text/html"));
            check(&["*/*"], offers, Some(offers[0]));
            check(&[], offers, Some(offers[0]));
        }
        check(&["text/html;q=0.5, application/json;q=0.6"], PAGES, Some("application/json"));
        check(&["text/html;q=0.999", "application/json"], PAGES, Some("application/json"));
        check(&["application/json, text/html"], PAGES, Some("application/json"));
        check(&["TEXT/HTML ; Q=0.5 , Application/*;q=0.4"], PAGES, Some("text/html"));
        check(&["text/*;q=0.5, */*;q=0.4"], PAGES, Some("text/html"));
        check(&["text/*, application/json"], PAGES, Some("application/json"));
    }

    #[test]
    fn the_most_precise_range_decides_about_an_offer() {
        // RFC 9110 §12.5.1 has this table.
        let accept =
            "text/*;q=0.3, text/plain;q=0.7, text/plain;format=flowed, text/plain;format=fixed;q=0.4, */*;q=0.5";
        let offers = [
            ("text/plain;format=flowed", 1000),
            ("text/plain", 700),
            ("text/html", 300),
            ("image/jpeg", 500),
            ("text/plain;format=fixed", 400),
            ("text/html;level=3", 300),
        ];
        for (offer, weight) in offers {
            let offered = MediaType::read(offer.as_bytes()).unwrap();
            let merit = Merit::of(&offered, &|visit| visit_ranges(accept.as_bytes(), visit));
            assert_eq!(merit.map(|merit| merit.weight), Some(weight), "{offer}");
        }
        check(&["text/html;q=0, */*"], PAGES, Some("application/json"));
        check(&["*/*;q=0, text/html;q=0.1"], PAGES, Some("text/html"));
        check(&["text/html, text/html;q=0"], PAGES, Some("text/html"));
        check(&["text/html;q=0, text/html"], PAGES, Some("text/html"));
    }

    #[test]
    fn parameters_are_part_of_a_range() {
        let levels = ["text/html;level=1", "text/html; level=\"2\"; a=b", "text/html"];
        check(&["text/html;level=2"], &levels, Some(levels[1]));
        check(&["text/html;LEVEL=\"\\2\";q=0.4, text/html;q=0.3"], &levels, Some(levels[1]));
        check(&["text/html;level=3"], &levels, None);
        check(&["text/html;q=0.5;level=1"], &levels, Some(levels[0]));
        check(&["text/html;title=\"a,b;q=0\";level=1"], &levels, None);
        check(&["application/json;charset=utf-8"], PAGES, Some("application/json"));
        check(&["text/html;charset=utf-8"], &["text/html;charset=latin1"], None);
        check(&["text/html;charset=UTF-8"], &["text/html;charset=utf-8"], Some("text/html;charset=utf-8"));
    }

    #[test]
    fn what_is_not_accepted_is_not_chosen() {
        for lines in [
            &["image/png"][..],
            &["text/html;q=0, application/json;q=0.000"],
            &["*/*;q=0"],
            &["text/html;q=0.0", "application/*;q=0"],
            &["image/*, text/plain, application/json+x"],
        ] {
            check(lines, PAGES, None);
        }
        check(&["*/*"], &[], None);
        check(&[], &[], None);
        check(&["*/*"], &["html", "text/html"], Some("text/html"));
    }

    #[test]
    fn a_member_that_breaks_the_grammar_is_left_out() {
        for broken in [
            "",
            " , ,",
            "text",
            "*/html",
            "text/html/x",
            "text/html;q=2",
            "text/html;q=1.001",
            "text/html;q=0.1234",
            "text/html;q=",
            "text/html;q=-1",
            "text/html;q=x",
            "text/html;q=.",
            "text/html;level",
            "text/html;q =1",
            "text/html;x=\"",
            "\"text/html",
            "text/\u{e4}",
        ] {
            check(&["application/json", broken], PAGES, Some("application/json"));
            // With nothing else in it, it is as if there were no such line.
            check(&[broken], PAGES, Some("text/html"));
        }
    }

    #[test]
    fn a_long_line_is_read_to_its_end() {
        let line = format!("{}application/json;q=0.1", "a/b;x=\"\\\"\";q=0.5,".repeat(4000));
        check(&[&line], PAGES, Some("application/json"));
    }

    /// The choice, written another way: with lists, and with all members sorted.
    fn reference<'t>(line: &str, offers: &[&'t str]) -> Option<&'t str> {
        let mut ranges = Vec::new();
        for (place, member) in line.split(',').enumerate() {
            let mut pieces = member.split(';').map(str::trim);
            let range = pieces.next().unwrap_or_default().to_lowercase();
            let weight = pieces.next().map_or(1.0, |q| q[2..].parse::<f64>().unwrap());
            let precision = 2 - range.matches('*').count();
            ranges.push((range, (1000.0 * weight) as u16, precision, place));
        }
        ranges.sort_by_key(|(_, weight, precision, place)| (Reverse((*precision, *weight)), *place));
        let covering = |offer: &str| {
            let kind = offer.split_once('/').unwrap().0;
            let names = ["*/*".to_owned(), format!("{kind}/*"), offer.to_owned()];
            ranges.iter().find(|(range, ..)| names.contains(range)).filter(|(_, weight, ..)| *weight > 0)
        };
        let mut liked: Vec<_> = offers.iter().filter_map(|offer| Some((*offer, covering(offer)?))).collect();
        liked.sort_by_key(|(_, (_, weight, precision, place))| (Reverse((*weight, *precision)), *place));
        liked.first().map(|(offer, _)| *offer)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2000, ..ProptestConfig::default() })]

        #[test]
        fn the_choice_is_that_of_a_slow_reading(
            members in prop::collection::vec("(a/[abC*]|b/[b*]|[*]/[*])( ?; ?q=(0|1|0[.]5|0[.]25|1[.]0))?", 1..6),
            offers in prop::collection::vec(prop::sample::select(&["a/a", "a/b", "a/c", "b/b", "c/c"][..]), 0..4),
        ) {
            let line = members.join(", ");
            prop_assert_eq!(chosen(&[&line], &offers), reference(&line, &offers), "{} for {:?}", line, offers);
        }

        #[test]
        fn any_line_is_read_without_a_panic(line in "[a*/,;=q\"\\\\ .01\u{e4}]{0,40}") {
            let found = chosen(&[&line], PAGES);
            prop_assert!(found.is_none_or(|found| PAGES.contains(&found)));
        }
    }
}
