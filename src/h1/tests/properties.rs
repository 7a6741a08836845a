//! What must hold for every stream of requests, every reply and every handful of bytes, tried with random ones.
//!
//! Each run tries others. One that fails is made as small as possible and printed: it becomes a row of a table. Nothing
//! is written to disk. `PROPTEST_CASES=100000 cargo test --release properties` looks for longer.
//!
//! Three judges, none of which shares code with what it judges: the generated values themselves, the slow reader in
//! [`reference`], and the reader of replies.

use std::collections::HashMap;
use std::time::{Duration, UNIX_EPOCH};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config as Cases, RngSeed};

use super::app::{Echo, Seen, Witness};
use super::bench::{Bench, small};
use super::fuzzing::{self, Random, mutate};
use super::play::{Manner, assert_same, assert_understood, play};
use super::reference;
use super::scripts::{Content, Script, Step};
use crate::config::Config;
use crate::http::{DateText, Method, Version};
use crate::{Router, TestClient};

/// So many cases, always the same; `PROPTEST_CASES=10000` asks for so many fresh ones.
pub(super) fn cases(count: u32) -> Cases {
    let config = Cases { failure_persistence: None, ..Cases::default() };
    match std::env::var_os("PROPTEST_CASES") {
        // The same cases each time: what a test finds must not be a matter of luck.
        None => Cases { cases: count, rng_seed: RngSeed::Fixed(0x6d6f_6e6f), ..config },
        Some(_) => config,
    }
}

// ---- streams ----------------------------------------------------------------------------------------------------

proptest! {
    #![proptest_config(cases(120))]

    #[test]
    fn any_split_of_a_valid_stream_gives_the_same_requests_and_replies(
        stream in valid_stream(),
        manner in any_manner(),
    ) {
        let config = Config::default();
        let bytes = bytes_of(&stream);
        let mut bench = Bench::of(Echo::default(), config.clone());
        let whole = play(&mut bench, &bytes, &Manner { fin: manner.fin, ..Manner::default() });
        let expected: Vec<Seen> = stream.iter().map(Valid::seen).collect();
        assert_eq!(whole.seen, expected);
        assert_understood(&whole, &bytes, &manner, &config);
        let in_pieces = play(&mut bench, &bytes, &manner);
        assert_same(&whole, &in_pieces);
        // Whether a 100 is sent depends on when the content comes; nothing else does.
        if !stream.iter().any(|request| request.expects) {
            assert!(whole.sent == in_pieces.sent, "{}\n{}", whole.sent.escape_ascii(), in_pieces.sent.escape_ascii());
        }
    }

    #[test]
    fn what_just_fits_the_limits_is_taken_and_one_byte_more_is_not(stream in valid_stream(), manner in any_manner()) {
        let most = |len: &dyn Fn(&Valid) -> usize| stream.iter().map(len).max().unwrap_or_default();
        let tight = Config {
            max_target: most(&|request| request.target.text().len()),
            max_head: most(&|request| request.head().len()),
            max_content: most(&|request| request.body.content().len()) as u64,
            ..Config::default()
        };
        let bytes = bytes_of(&stream);
        let expected: Vec<Seen> = stream.iter().map(Valid::seen).collect();
        let mut bench = Bench::of(Echo::default(), tight.clone());
        assert_eq!(play(&mut bench, &bytes, &manner).seen, expected);
        let mut tighter = vec![
            Config { max_target: tight.max_target - 1, ..tight.clone() },
            Config { max_head: tight.max_head - 1, ..tight.clone() },
        ];
        if tight.max_content > 0 {
            tighter.push(Config { max_content: tight.max_content - 1, ..tight });
        }
        for config in tighter {
            let mut bench = Bench::of(Echo::default(), config.clone());
            let outcome = play(&mut bench, &bytes, &manner);
            assert_understood(&outcome, &bytes, &manner, &config);
            assert!(outcome.replies.last().is_some_and(|reply| matches!(reply.status, 413 | 414 | 431)), "{outcome:?}");
        }
    }

    #[test]
    fn however_slowly_a_client_reads_it_gets_the_same_bytes(
        lens in vec(prop_oneof![0..200_usize, 15_000..40_000_usize], 1..10),
        pieces in vec(500..20_000_usize, 1..6),
        windows in vec(prop_oneof![0..400_usize, 0..40_000_usize], 1..6),
    ) {
        let request = |(i, len): (usize, &usize)| {
            let content: Vec<u8> = (0..*len).map(|at| (at % 251 + i) as u8).collect();
            let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {len}\r\n\r\n");
            [head.into_bytes(), content].concat()
        };
        let bytes: Vec<u8> = lens.iter().enumerate().flat_map(request).collect();
        let mut bench = Bench::of(Echo::default(), Config::default());
        let slow = play(&mut bench, &bytes, &Manner { pieces, windows, fin: false });
        let whole = play(&mut bench, &bytes, &Manner::default());
        assert_eq!(slow.replies.len(), lens.len());
        assert!(slow.sent == whole.sent);
    }
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn any_bytes_are_answered_within_all_bounds(
        bytes in prop_oneof![any_bytes(), broken_stream()],
        manner in any_manner(),
        config in any_limits(),
    ) {
        check_stream(&mut Bench::new(config.clone()), &bytes, &manner);
        let mut bench = Bench::of(Echo::default(), config.clone());
        assert_understood(&play(&mut bench, &bytes, &manner), &bytes, &manner, &config);
        check_stream(&mut bench, &bytes, &manner);
    }
}

/// [`play`] holds the bounds; whoever sends everything at once has the same outcome.
#[track_caller]
fn check_stream<A: Witness>(bench: &mut Bench<A>, bytes: &[u8], manner: &Manner) {
    let in_pieces = play(bench, bytes, manner);
    let whole = play(bench, bytes, &Manner { fin: manner.fin, ..Manner::default() });
    assert_same(&whole, &in_pieces);
}

// ---- decoders ---------------------------------------------------------------------------------------------------

proptest! {
    #![proptest_config(cases(600))]

    #[test]
    fn a_head_is_what_the_slow_reader_says(
        bytes in nearly(any_head()),
        framing in head_of_odd_lines(),
        words in any_bytes(),
    ) {
        fuzzing::head(&bytes);
        fuzzing::head(&framing);
        fuzzing::head(&words);
    }

    #[test]
    fn both_readings_of_a_head_come_to_the_same(
        ordinary in nearly(ordinary_head()),
        valid in nearly(any_head()),
        framing in nearly(head_of_odd_lines()),
    ) {
        fuzzing::readings(&ordinary);
        fuzzing::readings(&valid);
        fuzzing::readings(&framing);
    }

    #[test]
    fn chunks_are_what_the_slow_reader_says_in_any_pieces(bytes in nearly(any_chunks()), words in any_bytes()) {
        fuzzing::chunked(&bytes);
        fuzzing::chunked(&words);
    }

    #[test]
    fn the_usual_line_of_a_chunk_is_what_the_state_machine_says(words in size_lines()) {
        fuzzing::chunked(&words);
    }

    #[test]
    fn a_target_is_what_the_slow_reader_says(text in nearly(any_target_text()), odd in "\\PC{0,12}") {
        fuzzing::target(&text);
        fuzzing::target(odd.as_bytes());
    }

    #[test]
    fn an_authority_is_what_the_slow_reader_says(
        text in nearly(any_authority().prop_map(String::into_bytes)),
        port in 0..140_000_u32,
    ) {
        fuzzing::target(&text);
        fuzzing::target(&[&text[..], format!(":{port}").as_bytes()].concat());
        fuzzing::target(&[b"http://", &text[..], b"/"].concat());
    }
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn what_a_client_encodes_is_what_a_handler_sees(
        segment in "[^\0]{1,12}",
        rest in vec("[^\0]{1,6}", 1..4),
        pairs in vec((".{0,6}", ".{0,10}"), 0..5),
    ) {
        #[derive(Debug, Default)]
        struct Found {
            segment: String,
            rest: String,
            query: Vec<(String, String)>,
            form: Vec<(String, String)>,
            first: Option<String>,
        }
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let first = pairs.first().map(|(name, _)| name.clone()).unwrap_or_default();
        let mut app = Router::new(Found::default());
        let name = first.clone();
        app.post("/:segment/x/*rest", move |found: &mut Found, req, res| {
            let owned = |(name, value): (std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>)| {
                (name.into_owned(), value.into_owned())
            };
            *found = Found {
                segment: req.param("segment")?,
                rest: req.param("rest")?,
                query: req.query_pairs().iter().map(owned).collect(),
                form: req.form()?.iter().map(owned).collect(),
                first: req.query(&name).map(Into::into),
            };
            res.empty()
        });
        let mut client = TestClient::new(app);
        let path: Vec<String> = rest.iter().map(|segment| encode(segment)).collect();
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
        let target = format!("/{}/x/{}?{query}", encode(&segment), path.join("/"));
        let reply = client.post(&target).form(pairs.iter().map(|(name, value)| (name, value))).send();
        assert_eq!(reply.status(), 200, "{target}");
        let found = client.app().state();
        assert_eq!((&found.segment, &found.rest), (&segment, &rest.join("/")));
        assert_eq!((&found.query, &found.form), (&pairs, &pairs));
        let values: HashMap<&String, &String> = pairs.iter().rev().map(|(name, value)| (name, value)).collect();
        assert_eq!(found.first.as_ref(), values.get(&first).copied());
    }

    #[test]
    fn a_date_is_what_the_calendar_says(second in 0..253_402_300_800_u64) {
        let time = UNIX_EPOCH + Duration::from_secs(second);
        let date = DateText::new(time);
        assert_eq!(date.as_str(), reference::date(second));
        assert_eq!(httpdate::parse_http_date(date.as_str()).ok(), Some(time));
    }
}

// ---- replies ----------------------------------------------------------------------------------------------------

proptest! {
    #![proptest_config(cases(1200))]

    #[test]
    fn what_a_handler_writes_is_what_a_client_reads(script in any_script(), bytes in any_bytes()) {
        script.check();
        fuzzing::reply(&bytes);
    }
}

fn any_script() -> impl Strategy<Value = Script> {
    let content = prop_oneof![
        Just(Content::Empty),
        "\\PC{0,40}".prop_map(Content::Text),
        ".{0,40}".prop_map(Content::Html),
        vec(any::<u8>(), 0..60).prop_map(Content::Send),
        vec(any::<u8>(), 0..60).prop_map(Content::Give),
        (16_300..16_500_usize).prop_map(|len| Content::Give(vec![b'x'; len])),
        vec(vec(any::<u8>(), 0..30), 0..5).prop_map(Content::Written),
    ];
    let status = prop_oneof![
        4 => 200..=599_u16,
        4 => select(vec![200, 204, 205, 304]),
        1 => select(vec![0, 99, 100, 101, 199, 600, 999, 65535]),
    ];
    (
        select(vec![Method::Get, Method::Head, Method::Post]),
        select(vec![Version::Http10, Version::Http11, Version::Http11]),
        select(vec![None, None, Some("close"), Some("keep-alive"), Some("x, Keep-Alive")]),
        status,
        option::weighted(0.2, prop_oneof![9 => "[\t -~é]{0,20}", 1 => "\\PC{0,3}[\r\n\0\x7f]\\PC{0,3}"]),
        (
            vec(any_step(), 0..6),
            option::weighted(0.2, select(vec!["0", "00", "true", "5", "+5", "", "18446744073709551616"])),
        ),
        content,
    )
        .prop_map(|(method, version, connection, status, reason, (mut steps, length), content)| {
            if let Some(length) = length {
                let value = if length == "true" { content.bytes().len().to_string() } else { length.to_owned() };
                steps.push(Step::Set("Content-Length".to_owned(), value));
            }
            Script { method, version, connection, status, reason, steps, content }
        })
}

/// What is done to a field line; now and then it is illegal.
fn any_step() -> impl Strategy<Value = Step> {
    let known =
        ["Content-Type", "content-type", "Server", "SERVER", "Connection", "connection", "X-A", "x-a", "Set-Cookie"];
    let name = prop_oneof![
        10 => one_of(&known),
        10 => "[A-Za-z0-9!#$%&'*+.^_`|~-]{1,12}",
        1 => one_of(&["", "a b", "a:", "é", "a\r\nb", "Transfer-Encoding", "transfer-encoding"]),
    ];
    let value = prop_oneof![
        10 => "[\t -~]{0,20}",
        5 => one_of(&["close", "Close", "keep-alive", "upgrade", "close, x", "a,,close ,", "\u{a0}close", ""]),
        5 => "\\PC{0,10}",
        1 => "\\PC{0,4}[\r\n\0\x7f\x1b]\\PC{0,4}",
    ];
    let date = (0..4_000_000_000_u64).prop_map(|second| Step::Append("Date".to_owned(), reference::date(second)));
    prop_oneof![
        8 => (name.clone(), value.clone()).prop_map(|(name, value)| Step::Set(name, value)),
        8 => (name.clone(), value).prop_map(|(name, value)| Step::Append(name, value)),
        3 => name.prop_map(Step::Remove),
        1 => date,
    ]
}

// ---- manners ----------------------------------------------------------------------------------------------------

fn any_manner() -> impl Strategy<Value = Manner> {
    let pieces = prop_oneof![vec(1..4_usize, 1..4), vec(1..60_usize, 1..20), vec(1..2000_usize, 1..10), Just(vec![])];
    let windows = prop_oneof![3 => Just(vec![]), 1 => vec(0..80_usize, 1..10), 1 => vec(0..100_000_usize, 1..5)];
    (pieces, windows, any::<bool>()).prop_map(|(pieces, windows, fin)| Manner { pieces, windows, fin })
}

fn any_limits() -> impl Strategy<Value = Config> {
    let max_content = prop_oneof![0..5_u64, 0..100_u64];
    (20..200_usize, 100..600_usize, max_content).prop_map(|(max_target, max_head, max_content)| Config {
        max_target,
        max_head,
        max_content,
        ..small()
    })
}

// ---- bytes ------------------------------------------------------------------------------------------------------

/// Bytes, and words of HTTP in no order.
fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    let words = vec(select(fuzzing::WORDS.to_vec()), 0..20).prop_map(|words| words.concat());
    prop_oneof![1 => vec(any::<u8>(), 0..200), 2 => words]
}

/// The bytes after a few changes, or none. Each number is one change, so that fewer of them are a smaller case.
fn nearly(bytes: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    (bytes, vec(any::<u64>(), 0..5)).prop_map(|(mut bytes, changes)| {
        changes.iter().for_each(|change| mutate(&mut bytes, &mut Random::of(&change.to_le_bytes())));
        bytes
    })
}

fn broken_stream() -> impl Strategy<Value = Vec<u8>> {
    nearly(valid_stream().prop_map(|stream| bytes_of(&stream)))
}

fn any_head() -> impl Strategy<Value = Vec<u8>> {
    valid_request().prop_map(|request| request.head())
}

/// A head that the quick reading takes: names and values of any length, so that each byte comes to lie anywhere in a word.
fn ordinary_head() -> impl Strategy<Value = Vec<u8>> {
    let line = ("[!#-'*+.0-9A-Z^-z|~-]{1,20}", "[ -~]{0,40}").prop_map(|(name, value)| format!("{name}:{value}\r\n"));
    ("[a-z0-9/._-]{0,20}", vec(line, 0..8)).prop_map(|(path, lines)| {
        format!("GET /{path}?a=%20 HTTP/1.1\r\nHost: a:1\r\n{}\r\n", lines.concat()).into_bytes()
    })
}

/// The few fields that concern the server, in combinations that make sense or not.
fn head_of_odd_lines() -> impl Strategy<Value = Vec<u8>> {
    let lengths = one_of(&["0", "2", "02", "+2", "2,2", "18446744073709551615", "18446744073709551616", "", " 2\t"]);
    let coding = one_of(&["chunked", "Chunked", "identity", "gzip", "", "chunked;q=1", "x y", "\tchunked "]);
    let option = one_of(&["close", "Keep-Alive", "upgrade", "", " close\t", "closed"]);
    let expectation =
        one_of(&["100-continue", "100-Continue", "200-ok", "", ",", ", 100-continue,", "100-continue, x"]);
    let line = prop_oneof![
        2 => lengths.prop_map(|value| format!("Content-Length:{value}\r\n")),
        2 => vec(coding, 1..3).prop_map(|codings| format!("Transfer-Encoding: {}\r\n", codings.join(","))),
        1 => vec(option, 1..3).prop_map(|options| format!("connection: {}\r\n", options.join(","))),
        1 => expectation.prop_map(|value| format!("Expect: {value} \r\n")),
        1 => one_of(&["b", "b:1", "a,b", "", "[::1]", "u@b"]).prop_map(|host| format!("Host: {host}\r\n")),
    ];
    let first = one_of(&["GET / HTTP/1.1\r\nHost: a\r\n", "POST / HTTP/1.1\r\n", "PUT http://b HTTP/1.0\r\n"]);
    (first, vec(line, 0..5)).prop_map(|(first, lines)| (first + &lines.concat() + "\r\n").into_bytes())
}

fn any_chunks() -> impl Strategy<Value = Vec<u8>> {
    valid_chunks().prop_map(|body| body.bytes())
}

/// What lines of sizes are made of, and data, in no order: many begin well.
fn size_lines() -> impl Strategy<Value = Vec<u8>> {
    const WORDS: [&[u8]; 20] = [
        b"\r\n",
        b"\r\n",
        b"3\r\nxyz\r\n",
        b"1\r\nx",
        b"A\r\n0123456789",
        b"0\r\n",
        b"\r",
        b"\n",
        b"0",
        b"1",
        b"c",
        b"D",
        b"g",
        b"00000000",
        b"0000000",
        b"fffffff",
        b"ffffffffffffffff",
        b";a=b",
        b" ",
        b"X: y\r\n",
    ];
    vec(select(WORDS.to_vec()), 0..12).prop_map(|words| words.concat())
}

fn any_target_text() -> impl Strategy<Value = Vec<u8>> {
    let words = vec(
        prop_oneof![
            one_of(&[
                "/", "%", "%2F", "%00", "%c3%a9", "%C3", "?", "#", "*", "http://", "HTTPS://", ":", "a", "[::1]", "@",
                "&", "=", "+"
            ]),
            "[ -~]{0,3}",
        ],
        0..8,
    );
    let words = (one_of(&["", "/", "/?", "http://a"]), words).prop_map(|(front, words)| front + &words.concat());
    prop_oneof![any_target().prop_map(|target| target.text().into_bytes()), words.prop_map(String::into_bytes)]
}

// ---- valid requests ---------------------------------------------------------------------------------------------

/// A request as values. Nothing here is ever parsed: it knows what a handler must see of it.
#[derive(Clone, Debug)]
struct Valid {
    empty_lines: usize,
    method: Method,
    target: Target,
    version: Version,
    host: Option<String>,
    connection: Option<&'static str>,
    expects: bool,
    /// Name, white space, value, white space.
    fields: Vec<(String, String, Vec<u8>, String)>,
    body: Body,
    /// By which the field lines are shuffled.
    order: u64,
}

#[derive(Clone, Debug)]
struct Target {
    /// Scheme and authority of an absolute form.
    absolute: Option<(&'static str, String)>,
    asterisk: bool,
    /// The path behind its first slash, and which of its characters are percent-encoded though they need not be.
    path: Vec<(char, bool)>,
    /// Whether the first slash is left out, if it can be.
    bare: bool,
    query: Option<String>,
}

#[derive(Clone, Debug)]
enum Body {
    None,
    Length { content: Vec<u8>, zeros: usize },
    Chunked { coding: &'static str, chunks: Vec<(Vec<u8>, String)>, last: String, trailers: Vec<String>, upper: bool },
}

fn bytes_of(stream: &[Valid]) -> Vec<u8> {
    stream.iter().flat_map(|request| [request.head_after_empty_lines(), request.body.bytes()].concat()).collect()
}

impl Valid {
    fn head_after_empty_lines(&self) -> Vec<u8> {
        [b"\r\n".repeat(self.empty_lines), self.head()].concat()
    }

    fn head(&self) -> Vec<u8> {
        let mut head = format!("{} {} {}\r\n", self.method, self.target.text(), self.version).into_bytes();
        for (name, before, value, behind) in self.lines() {
            head.extend([name.as_bytes(), b":", before.as_bytes(), &value, behind.as_bytes(), b"\r\n"].concat());
        }
        head.extend(b"\r\n");
        head
    }

    /// All field lines, in the order in which they are sent.
    fn lines(&self) -> Vec<(String, String, Vec<u8>, String)> {
        let line =
            |name: &str, value: &str| (name.to_owned(), " ".to_owned(), value.as_bytes().to_vec(), String::new());
        let mut lines = self.fields.clone();
        lines.extend(self.host.as_ref().map(|host| line("Host", host)));
        lines.extend(self.connection.map(|value| line("Connection", value)));
        lines.extend(self.expects.then(|| line("Expect", "100-Continue")));
        match &self.body {
            Body::None => {}
            Body::Length { content, zeros } => {
                lines.push(line("Content-length", &format!("{}{}", "0".repeat(*zeros), content.len())));
            }
            Body::Chunked { coding, .. } => lines.push(line("Transfer-Encoding", coding)),
        }
        let mut random = Random::of(&self.order.to_le_bytes());
        for i in (1..lines.len()).rev() {
            lines.swap(i, random.below(i + 1));
        }
        lines
    }

    fn seen(&self) -> Seen {
        Seen {
            method: self.method,
            target: self.target.text(),
            path: self.target.decoded(),
            host: self.target.absolute.as_ref().map(|(_, authority)| authority).or(self.host.as_ref()).cloned(),
            fields: self.lines().into_iter().map(|(name, _, value, _)| (name, value)).collect(),
            content: self.body.content(),
            trailers: self.body.trailers(),
        }
    }

    const fn persists(&self) -> bool {
        match (self.version, self.connection) {
            (Version::Http11, None) => true,
            (Version::Http10, None) => false,
            (_, Some(value)) => !value.eq_ignore_ascii_case("close"),
        }
    }
}

impl Target {
    fn text(&self) -> String {
        if self.asterisk {
            return "*".to_owned();
        }
        let mut text =
            self.absolute.as_ref().map(|(scheme, authority)| format!("{scheme}{authority}")).unwrap_or_default();
        if !(self.bare && self.path.is_empty() && self.absolute.is_some()) {
            text.push('/');
        }
        for &(c, encoded) in &self.path {
            let raw = c.is_ascii_graphic() && !"#\"<>\\{}`%?".contains(c);
            match raw && !encoded {
                true => text.push(c),
                false => c.to_string().bytes().for_each(|byte| text += &format!("%{byte:02x}")),
            }
        }
        text + &self.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default()
    }

    fn decoded(&self) -> String {
        match self.asterisk {
            true => "*".to_owned(),
            false => std::iter::once('/').chain(self.path.iter().map(|(c, _)| *c)).collect(),
        }
    }
}

impl Body {
    fn content(&self) -> Vec<u8> {
        match self {
            Self::None => Vec::new(),
            Self::Length { content, .. } => content.clone(),
            Self::Chunked { chunks, .. } => chunks.iter().flat_map(|(data, _)| data.clone()).collect(),
        }
    }

    fn trailers(&self) -> Vec<(String, Vec<u8>)> {
        let Self::Chunked { trailers, .. } = self else { return Vec::new() };
        let lines = trailers.iter().map(|line| line.split_once(':').expect("a field line"));
        lines.map(|(name, value)| (name.to_owned(), value.trim_matches([' ', '\t']).into())).collect()
    }

    fn bytes(&self) -> Vec<u8> {
        let Self::Chunked { chunks, last, trailers, upper, .. } = self else { return self.content() };
        let mut bytes = Vec::new();
        for (data, extensions) in chunks {
            let size = if *upper { format!("{:X}", data.len()) } else { format!("00{:x}", data.len()) };
            bytes.extend([size.as_bytes(), extensions.as_bytes(), b"\r\n", data, b"\r\n"].concat());
        }
        bytes.extend(format!("0{last}\r\n").bytes());
        trailers.iter().for_each(|line| bytes.extend(format!("{line}\r\n").bytes()));
        bytes.extend(b"\r\n");
        bytes
    }
}

/// A few requests, of which only the last may end the connection.
fn valid_stream() -> impl Strategy<Value = Vec<Valid>> {
    vec(valid_request(), 1..5).prop_map(|mut stream| {
        let last = stream.len() - 1;
        stream[..last].iter_mut().filter(|request| !request.persists()).for_each(|request| {
            request.connection = Some("x, Keep-Alive");
        });
        stream
    })
}

fn valid_request() -> impl Strategy<Value = Valid> {
    let line = (any_name(), "[ \t]{0,2}", any_value(), "[ \t]{0,2}");
    let body = prop_oneof![Just(Body::None), valid_length(), valid_chunks()];
    let connections = vec![None, None, None, Some("close"), Some("keep-alive"), Some("x, Keep-Alive")];
    (
        (0..=4_usize, select(Method::ALL.to_vec()), any_target(), any::<bool>()),
        (prop_oneof![1 => Just(Version::Http10), 4 => Just(Version::Http11)], option::of(any_authority())),
        (select(connections), option::weighted(0.1, Just(()))),
        prop_oneof![9 => vec(line.clone(), 0..5), 1 => vec(line, 5..60)],
        body,
        any::<u64>(),
    )
        .prop_map(
            |(
                (empty_lines, method, mut target, asterisk),
                (version, host),
                (connection, expects),
                fields,
                body,
                order,
            )| {
                target.asterisk = asterisk && method == Method::Options;
                if target.asterisk {
                    target.absolute = None;
                }
                let host = match version {
                    Version::Http10 => host,
                    Version::Http11 => Some(host.unwrap_or_else(|| "localhost:".to_owned())),
                };
                let body = match (version, body) {
                    (Version::Http10, Body::Chunked { chunks, .. }) => {
                        Body::Length { content: chunks.into_iter().flat_map(|(data, _)| data).collect(), zeros: 1 }
                    }
                    (_, body) => body,
                };
                let expects = expects.is_some();
                Valid { empty_lines, method, target, version, host, connection, expects, fields, body, order }
            },
        )
}

fn valid_length() -> impl Strategy<Value = Body> {
    let long = (80..40_000_usize).prop_map(|len| (0..len).map(|i| (i % 251) as u8).collect());
    let content = prop_oneof![9 => vec(any::<u8>(), 0..80), 1 => long];
    (content, 0..3_usize).prop_map(|(content, zeros)| Body::Length { content, zeros })
}

fn valid_chunks() -> impl Strategy<Value = Body> {
    const EXTENSIONS: &str = concat!(
        "([ \t]{0,2};[ \t]{0,2}[a-zA-Z0-9!#$%&'*+.^_`|~-]{1,6}",
        "([ \t]?=[ \t]?([a-z0-9!#$-]{1,5}|\"([\t !#-\\[\\]-~]|\\\\[\t -~]){0,6}\"))?){0,2}"
    );
    let chunk = (vec(any::<u8>(), 1..40), EXTENSIONS);
    let coding = select(vec!["chunked", "Chunked", "CHUNKED", ", chunked", "chunked\t,"]);
    (coding, vec(chunk, 0..6), EXTENSIONS, vec("X[A-Za-z!#$-]{0,8}:[\t -~]{0,12}", 0..3), any::<bool>())
        .prop_map(|(coding, chunks, last, trailers, upper)| Body::Chunked { coding, chunks, last, trailers, upper })
}

fn any_target() -> impl Strategy<Value = Target> {
    let c = prop_oneof![
        6 => proptest::char::range('a', 'z'),
        3 => proptest::char::range('!', '~'),
        2 => Just('/'),
        2 => any::<char>().prop_filter("no path holds NUL", |c| *c != '\0'),
    ];
    let absolute = (select(vec!["http://", "HTTP://", "hTTp://"]), any_authority());
    let query = "[!\"$-~]{0,20}";
    (option::weighted(0.2, absolute), vec((c, any::<bool>()), 0..12), any::<bool>(), option::of(query))
        .prop_map(|(absolute, path, bare, query)| Target { absolute, asterisk: false, path, bare, query })
}

fn any_authority() -> impl Strategy<Value = String> {
    let host = prop_oneof![
        "[a-zA-Z0-9._~-]{1,12}",
        "[!$&'()*+;=a-z]{1,6}(%[0-9a-fA-F]{2}){0,2}",
        any::<[u8; 4]>().prop_map(|[a, b, c, d]| format!("{a}.{b}.{c}.{d}")),
        any::<[u16; 8]>().prop_map(|groups| format!("[{}]", std::net::Ipv6Addr::from(groups))),
        vec(prop_oneof![Just(0_u16), any::<u16>()], 8).prop_map(|groups| {
            let groups: [u16; 8] = groups.try_into().expect("there are eight");
            format!("[{}]", std::net::Ipv6Addr::from(groups))
        }),
    ];
    let port = prop_oneof![2 => one_of(&["", ":"]), 1 => any::<u16>().prop_map(|port| format!(":{port}"))];
    (host, port).prop_map(|(host, port)| host + &port)
}

/// One of these texts.
fn one_of(texts: &[&'static str]) -> impl Strategy<Value = String> + Clone + use<> {
    select(texts.to_vec()).prop_map(str::to_owned)
}

/// The name of a field that concerns only the application.
fn any_name() -> impl Strategy<Value = String> + Clone {
    prop_oneof!["X-[A-Za-z0-9!#$%&'*+.^_`|~-]{0,12}", one_of(&["Accept", "cookie", "Content-Type", "Upgrade", "TE"])]
}

/// A field value without white space around it.
fn any_value() -> impl Strategy<Value = Vec<u8>> + Clone {
    let byte = prop_oneof![8 => b' '..=b'~', 1 => 0x80..=0xff_u8, 1 => Just(b'\t')];
    vec(byte, 0..25).prop_map(|mut value| {
        while let [b' ' | b'\t', ..] = value[..] {
            value.remove(0);
        }
        while let [.., b' ' | b'\t'] = value[..] {
            value.pop();
        }
        value
    })
}
