//! The bodies of the fuzz targets. Each takes any bytes, and panics if a rule that must hold is broken.
//!
//! `tests/fuzz/` runs them under libFuzzer. `cargo test` runs them too: [`sow`] gives each row of the tables to the
//! targets as a seed, unchanged and mutated a few times. With `MONOLOOP_CORPUS=folder` it also writes the seeds to that
//! folder, one folder in it for each target.

use std::borrow::Cow;
use std::cell::Cell;

use super::app::Echo;
use super::bench::{Bench, small};
use super::play::{Manner, assert_same, assert_understood, play};
use super::reference::{self, Chunked, Strictness};
use super::scripts::Script;
use crate::config::Config;
use crate::exchange::{Pairs, Trailers};
use crate::http::Method;
use crate::http::decode_segment;
use crate::wire::Scratch;
use crate::wire::body::decoder::{BodyDecoder, ChunkedDecoder, Piece};
use crate::wire::request::authority;
use crate::wire::request::target;
use crate::wire::{Expectation, Framing, Message, ProtocolError, head};

// ---- the targets ------------------------------------------------------------------------------------------------

/// A request head, read by the parser and by the slow reader.
pub fn head(data: &[u8]) {
    // The connection skips the empty lines before a head.
    if !matches!(data, [] | [b'\r' | b'\n', ..]) {
        compare_head(data, &small());
        compare_head(data, &Config::default());
    }
}

/// A request head and each of its beginnings, read by the quick reading (if it takes them) and by the general one.
pub fn readings(data: &[u8]) {
    let step = 1 + data.len() / 64;
    for config in [small(), Config::default()] {
        compare_readings(data, &config);
        (0..data.len()).step_by(step).for_each(|len| compare_readings(&data[..len], &config));
    }
}

/// Chunked content, decoded at once, in pieces, and by the slow reader.
pub fn chunked(data: &[u8]) {
    let expected = reference::chunked(data, u64::MAX);
    let mut random = Random::of(data);
    let mut lens: [Box<dyn FnMut() -> usize>; 4] =
        [Box::new(|| usize::MAX), Box::new(|| 1), Box::new(|| 2), Box::new(move || 1 + random.below(20))];
    for len in &mut lens {
        compare_decoders(data, &mut *len);
        let mut decoder = BodyDecoder::new(Framing::Chunked);
        let (mut content, mut trailers) = (Vec::new(), Vec::new());
        let found = decode(&mut decoder, data, len, &mut content, &mut trailers);
        match (&expected, found) {
            (Chunked::Whole { content: whole, trailers: lines, len }, Ok(Some(consumed))) => {
                let trailers = Trailers::new(&trailers);
                let trailers: Vec<_> = trailers.iter().map(|(name, value)| (name.to_owned(), value.to_vec())).collect();
                assert_eq!((&content, &trailers, consumed), (whole, lines, *len));
            }
            (Chunked::Unfinished { content: begun }, Ok(None)) => assert_eq!(content, *begun),
            (Chunked::Broken(status), Err(error)) => assert_eq!(error.status(), *status),
            (expected, found) => panic!("the slow reader finds {expected:?}, the decoder {found:?}"),
        }
    }
}

/// Decodes the usual lines at once and compares that with decoding byte by byte. For each piece, both give the same
/// result and stop at the same place.
pub(super) fn compare_decoders(data: &[u8], mut len: impl FnMut() -> usize) {
    let (mut quick, mut slow) = (ChunkedDecoder::default(), ChunkedDecoder::default());
    let mut at = 0;
    while at < data.len() {
        let end = data.len().min(at.saturating_add(len()));
        while at < end {
            let input = &data[at..end];
            let (found, expected) = (quick.decode(input), slow.decode_by_bytes(input, 0));
            assert_eq!(found, expected, "{} of {}", input.escape_ascii(), data.escape_ascii());
            assert_eq!(quick, slow, "{} of {}", input.escape_ascii(), data.escape_ascii());
            let Ok(Piece { consumed, end: false, .. }) = found else { return };
            assert!(consumed > 0, "the decoder stands still");
            at += consumed;
        }
    }
}

/// A whole connection. The first two bytes say how the client behaves, and which application it meets: the router of
/// the tables, or an echo. The slow reader predicts every request to the echo.
pub fn connection(data: &[u8]) {
    let [habits, seed, stream @ ..] = data else { return };
    let manner = manner(*habits, *seed);
    let whole = Manner { fin: manner.fin, ..Manner::default() };
    if habits & 1 == 0 {
        ROUTER.with(|kept| {
            let mut bench = kept.take().unwrap_or_else(|| Bench::new(small()));
            let in_pieces = play(&mut bench, stream, &manner);
            assert_same(&play(&mut bench, stream, &whole), &in_pieces);
            kept.set(Some(bench));
        });
    } else {
        ECHO.with(|kept| {
            let mut bench = kept.take().unwrap_or_else(|| Bench::of(Echo::default(), small()));
            let in_pieces = play(&mut bench, stream, &manner);
            assert_understood(&in_pieces, stream, &manner, &small());
            assert_same(&play(&mut bench, stream, &whole), &in_pieces);
            kept.set(Some(bench));
        });
    }
}

thread_local! {
    // Making a bench costs more than most runs, so it is used again. One that has panicked is not.
    static ROUTER: Cell<Option<Bench>> = const { Cell::new(None) };
    static ECHO: Cell<Option<Bench<Echo>>> = const { Cell::new(None) };
}

/// A request target with its path, query and parameters; an authority; and a form.
pub fn target(data: &[u8]) {
    let expected = reference::pairs(data);
    let pairs: Vec<(Cow<'_, str>, Cow<'_, str>)> = Pairs::new(data).iter().collect();
    assert!(pairs.iter().eq(form_urlencoded::parse(data).collect::<Vec<_>>().iter()));
    assert!(pairs.iter().map(|(name, value)| (&**name, &**value)).eq(expected.iter().map(|(n, v)| (&**n, &**v))));
    for (name, _) in pairs.iter().take(8) {
        let first = expected.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        assert_eq!(Pairs::new(data).get(name).as_deref(), first);
    }

    assert_eq!(authority::check(data).is_ok(), reference::is_authority(data), "the authority {}", data.escape_ascii());

    let Ok(text) = std::str::from_utf8(data) else { return };
    for method in [Method::Get, Method::Options] {
        let expected = reference::target(method, text);
        let Ok(parsed) = target::parse(method, text) else {
            assert_eq!(expected, None, "{text:?} was refused");
            continue;
        };
        for segment in parsed.raw_path.split('/') {
            let decoded = reference::percent_decode(segment.as_bytes(), Strictness::EveryTriplet);
            assert_eq!(Some(decode_segment(segment.as_bytes()).as_bytes()), decoded.as_deref());
            assert_eq!(
                decode_segment(segment.as_bytes()),
                percent_encoding::percent_decode_str(segment).decode_utf8_lossy()
            );
        }
        let parsed = reference::Target {
            text: text.to_owned(),
            raw_path: parsed.raw_path.to_owned(),
            path: decode_segment(parsed.raw_path.as_bytes()).into_owned(),
            query: parsed.query.map(str::to_owned),
            authority: parsed.authority.map(<[u8]>::to_vec),
        };
        assert_eq!(Some(parsed), expected, "{text:?}");
    }
}

/// A reply that a handler writes and the reader reads back. The bytes are its script.
pub fn reply(data: &[u8]) {
    Script::of(data).check();
}

// ---- comparing --------------------------------------------------------------------------------------------------

#[track_caller]
fn compare_head(data: &[u8], config: &Config) {
    let (mut scratch, mut other) = (Scratch::default(), Scratch::default());
    let parsed = head::parse(data, &mut scratch, config);
    let shown = data.escape_ascii();
    match (reference::head(data, config), parsed) {
        (Some(Ok(expected)), Ok(Some(message))) => {
            assert_eq!(of_message(&message), expected, "{shown}");
            let step = 1 + message.len / 64;
            for len in (1..message.len).step_by(step) {
                let partial = head::parse(&data[..len], &mut other, config);
                assert!(matches!(partial, Ok(None)), "{len} bytes of {shown}: {partial:?}");
                assert_eq!(head::check_partial(&data[..len], config).map(drop), Ok(()), "{len} bytes of {shown}");
                assert_eq!(head::search_end(&data[..message.len], len), Ok(true), "from {len} on in {shown}");
            }
        }
        (Some(Err(statuses)), Err(error)) => {
            assert!(statuses.contains(&error.status()), "{error:?}, not {statuses:?}: {shown}");
        }
        (None, Ok(None)) => {}
        // The parser need not wait for the end of a head that is broken already. In that case no end makes it valid.
        (None, Err(error)) => {
            for end in [
                "\r\n\r\n",
                "\n\r\n",
                "\r\nHost: a\r\n\r\n",
                "\nHost: a\r\n\r\n",
                "\n",
                " / HTTP/1.1\r\nHost: a\r\n\r\n",
            ] {
                let ended = [data, end.as_bytes()].concat();
                let whole = reference::head(&ended, config);
                assert!(!matches!(whole, Some(Ok(_))), "{error:?}, but {} is whole", ended.escape_ascii());
            }
        }
        (expected, found) => panic!("the slow reader finds {expected:?}, the parser {found:?} in {shown}"),
    }
}

/// Both readings must have the same outcome: the same message, the same need for more bytes, or the same error.
#[track_caller]
fn compare_readings(data: &[u8], config: &Config) {
    let (mut scratch, mut other) = (Scratch::default(), Scratch::default());
    let found = head::parse(data, &mut scratch, config);
    let expected = head::parse_general(data, &mut other, config);
    assert_eq!(format!("{found:?}"), format!("{expected:?}"), "{}", data.escape_ascii());
}

/// What the parser found, in the form that the slow reader uses.
fn of_message(message: &Message<'_>) -> reference::Head {
    let head = &message.head;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("a target is ASCII");
    reference::Head {
        method: head.method,
        version: head.version,
        target: reference::Target {
            text: text(head.target),
            raw_path: text(head.raw_path),
            path: head.path().to_owned(),
            query: head.query.map(text),
            // The head does not show whether the authority comes from the target or from Host, but the form of the
            // target does.
            authority: match matches!(head.target, [b'/' | b'*', ..]) {
                true => None,
                false => head.authority.map(<[u8]>::to_vec),
            },
        },
        authority: head.authority.map(<[u8]>::to_vec),
        fields: head.fields.iter().map(|(name, value)| (name.to_owned(), value.to_vec())).collect(),
        len: message.len,
        framing: match message.framing {
            Framing::None => reference::Framing::None,
            Framing::Length(length) => reference::Framing::Length(length),
            Framing::Chunked => reference::Framing::Chunked,
        },
        persistent: message.persistent(),
        asked_keep_alive: message.asked_keep_alive(),
        expectation: match message.expectation {
            Expectation::None => reference::Expectation::None,
            Expectation::Continue => reference::Expectation::Continue,
            Expectation::Unknown => reference::Expectation::Other,
        },
    }
}

/// Decodes `data` in pieces, and returns the bytes consumed when the end was found.
fn decode(
    decoder: &mut BodyDecoder,
    data: &[u8],
    len: &mut dyn FnMut() -> usize,
    content: &mut Vec<u8>,
    trailers: &mut Vec<u8>,
) -> Result<Option<usize>, ProtocolError> {
    let mut at = 0;
    while at < data.len() {
        let end = data.len().min(at.saturating_add(len()));
        while at < end {
            let piece = decoder.decode(&data[at..end])?;
            assert!(piece.consumed > 0, "the decoder stands still");
            content.extend_from_slice(piece.content);
            trailers.extend_from_slice(piece.trailers);
            at += piece.consumed;
            if piece.end {
                return Ok(Some(at));
            }
        }
    }
    Ok(None)
}

/// Makes the habits of a client from two bytes.
fn manner(habits: u8, seed: u8) -> Manner {
    let mut random = Random::of(&[seed]);
    let mut some = |below: usize| (0..5).map(|_| random.below(below)).collect::<Vec<_>>();
    Manner {
        fin: habits & 2 != 0,
        pieces: match habits >> 2 & 3 {
            0 => vec![],
            1 => vec![1],
            2 => some(12),
            _ => some(300),
        },
        windows: match habits >> 4 & 3 {
            0 | 1 => vec![],
            2 => some(40),
            _ => some(100_000),
        },
    }
}

// ---- seeds and mutants ------------------------------------------------------------------------------------------

/// Gives the input of a row of the tables to every target, as it is and mutated.
#[cfg(test)]
pub(super) fn sow(input: &[u8]) {
    let corpus = std::env::var_os("MONOLOOP_CORPUS").map(std::path::PathBuf::from);
    for (name, target, seed) in seeds(input) {
        let mut random = Random::of(&seed);
        if let Some(corpus) = &corpus {
            let folder = corpus.join(name);
            std::fs::create_dir_all(&folder).expect("the corpus can be written");
            std::fs::write(folder.join(format!("{:016x}", random.0)), &seed).expect("the corpus can be written");
        }
        show(name, target, &seed);
        // Long rows test a limit. They take long, and so would their mutants.
        let mutants = 4000 / (seed.len() + 100);
        for _ in 0..mutants {
            let mut mutant = seed.clone();
            (0..=random.below(4)).for_each(|_| mutate(&mut mutant, &mut random));
            show(name, target, &mutant);
        }
    }
}

/// Runs a target, and prints the bytes if it panics.
#[cfg(test)]
fn show(name: &str, target: fn(&[u8]), bytes: &[u8]) {
    struct Shown<'a>(&'a str, &'a [u8]);
    impl Drop for Shown<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("fuzzing::{}(b\"{}\")", self.0, self.1.escape_ascii());
            }
        }
    }
    let _shown = Shown(name, bytes);
    target(bytes);
}

/// The name of a target, the target, and an input for it.
#[cfg(test)]
type Seed = (&'static str, fn(&[u8]), Vec<u8>);

/// The parts of a stream of requests, each with the target that reads such a part.
#[cfg(test)]
fn seeds(input: &[u8]) -> Vec<Seed> {
    let line_end = memchr::memchr(b'\n', input).unwrap_or(input.len());
    let body = memchr::memmem::find(input, b"\r\n\r\n").map_or(&[][..], |at| &input[at + 4..]);
    let mut random = Random::of(input);
    let mut habits = || [random.below(256) as u8, random.below(256) as u8];
    let mut seeds: Vec<Seed> = vec![
        ("head", head, input.to_vec()),
        ("readings", readings, input.to_vec()),
        ("connection", connection, [&habits(), input].concat()),
        ("connection", connection, [&habits(), input, b"GET /users/1 HTTP/1.1\r\nHost: a\r\n\r\n"].concat()),
        ("reply", reply, input.to_vec()),
    ];
    seeds.extend(input[..line_end].split(|&byte| byte == b' ').nth(1).map(|it| ("target", target as _, it.to_vec())));
    if !body.is_empty() {
        seeds.push(("chunked", chunked, body.to_vec()));
        seeds.push(("target", target, body.to_vec()));
    }
    seeds
}

/// Words that have a meaning somewhere in HTTP.
#[cfg(test)]
pub(super) const WORDS: [&[u8]; 40] = [
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\r",
    b" ",
    b"\t",
    b":",
    b",",
    b";",
    b"=",
    b"\"",
    b"\\",
    b"\0",
    b"\x7f",
    b"\xff",
    b"%00",
    b"%2F",
    b"%",
    b"?",
    b"0\r\n\r\n",
    b"ffffffffffffffff",
    b"18446744073709551616",
    b"HTTP/1.0",
    b"HTTP/1.1",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"HEAD ",
    b"POST ",
    b"Host: a\r\n",
    b"Content-Length: 2\r\n",
    b"Content-Length: ",
    b"Transfer-Encoding: chunked\r\n",
    b"chunked",
    b"Connection: close\r\n",
    b"keep-alive",
    b"Expect: 100-continue\r\n",
    b"http://",
    b"[::1]",
    b"2\r\nhi\r\n",
    b"1;a=\"b\\\"c\"\r\nx\r\n",
    b"a&b=c+d",
];

/// Makes a random change.
#[cfg(test)]
pub(super) fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    let len = random.below(8).min(bytes.len() - at);
    let line = |bytes: &[u8], at: usize| bytes[..at].iter().rposition(|&byte| byte == b'\n').map_or(0, |lf| lf + 1);
    match random.below(9) {
        0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        1 if at < bytes.len() => bytes[at] = random.below(256) as u8,
        2 => drop(bytes.drain(at..at + len)),
        3 => bytes.truncate(at),
        // A stretch is repeated, at its place or elsewhere.
        4 => {
            let stretch = bytes[at..at + len].to_vec();
            let to = random.below(bytes.len() + 1);
            bytes.splice(to..to, stretch);
        }
        5 => {
            let from = line(bytes, at);
            let twice = bytes[from..at + bytes[at..].iter().take_while(|&&byte| byte != b'\n').count()].to_vec();
            bytes.splice(from..from, [&twice[..], b"\n"].concat());
        }
        6 => {
            let (from, word) = (line(bytes, at), WORDS[random.below(WORDS.len())]);
            bytes.splice(from..from, word.iter().copied());
        }
        7 => {
            let word = WORDS[random.below(WORDS.len())];
            bytes.splice(at..at + len.min(word.len()), word.iter().copied());
        }
        _ => {
            let word = WORDS[random.below(WORDS.len())];
            bytes.splice(at..at, word.iter().copied());
        }
    }
}

/// Numbers that look random and are the same each time (xorshift).
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    /// Seeded with a hash of `bytes` (FNV-1a).
    pub(super) fn of(bytes: &[u8]) -> Self {
        let hash = bytes
            .iter()
            .fold(0xcbf2_9ce4_8422_2325, |hash: u64, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Self(hash | 1 << 63)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}
