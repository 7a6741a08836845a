//! Range requests for files (RFC 9110 §14). The tests check every byte of the replies.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::site::{Reply, Site, now};
use super::{Folder, app, cases, numbered};
use crate::Router;
use crate::files::Files;

const SMALL: usize = 1000;
const LARGE: usize = 100_000;

/// When the files of these tests were modified: Sun, 09 Sep 2001 01:46:40 GMT.
const MODIFIED: u64 = 1_000_000_000;
const DATE: &str = "Sun, 09 Sep 2001 01:46:40 GMT";

fn folder() -> Folder {
    let folder = Folder::new("ranges");
    for (name, length) in [("small.bin", SMALL), ("large.bin", LARGE), ("empty.bin", 0)] {
        folder.write(name, numbered(length));
        folder.set_modified(name, MODIFIED);
    }
    folder
}

/// Runs `action` for a small and a large file, with their lengths: with the cache, without it, and as replies of a
/// handler.
fn each(mut action: impl FnMut(&mut Site, &str, usize)) {
    let folder = folder();
    for files in [Files::new(folder.path("")).unwrap(), Files::new(folder.path("")).unwrap().cache(0, 0)] {
        let mut site = Site::of(files);
        action(&mut site, "/small.bin", SMALL);
        action(&mut site, "/large.bin", LARGE);
    }
    // The same files as replies of a handler.
    let mut app = Router::new(());
    for name in ["small.bin", "large.bin"] {
        let path = folder.path(name);
        app.get(&format!("/{name}"), move |_, _, res| res.file(&path));
    }
    let mut site = Site::new(app);
    action(&mut site, "/small.bin", SMALL);
    action(&mut site, "/large.bin", LARGE);
}

/// A part of a reply, with what its head announced.
#[derive(Debug, PartialEq, Eq)]
struct Part {
    content_type: String,
    first: usize,
    last: usize,
    length: usize,
    content: Vec<u8>,
}

/// Parses `bytes first-last/length`.
#[track_caller]
fn content_range(value: &str) -> (usize, usize, usize) {
    let (range, length) = value.strip_prefix("bytes ").and_then(|value| value.split_once('/')).expect(value);
    let (first, last) = range.split_once('-').expect(value);
    let number = |text: &str| text.parse().expect(value);
    (number(first), number(last), number(length))
}

/// The parts of a 206, of which there may be one or several.
#[track_caller]
fn parts(reply: &Reply) -> Vec<Part> {
    assert_eq!(reply.status, 206, "{reply:?}");
    let content_type = reply.field("Content-Type").expect("a type").to_owned();
    let Some(boundary) = content_type.strip_prefix("multipart/byteranges; boundary=") else {
        let (first, last, length) = content_range(reply.field("Content-Range").expect("a range"));
        return vec![Part { content_type, first, last, length, content: reply.content.clone() }];
    };
    assert_eq!(reply.field("Content-Range"), None, "only the parts have one (RFC 9110 §15.3.7.2)");
    assert!((1..=70).contains(&boundary.len()) && boundary.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    let (mut found, mut rest) = (Vec::new(), reply.content.as_slice());
    let delimiter = format!("\r\n--{boundary}");
    loop {
        rest = rest.strip_prefix(delimiter.as_bytes()).expect("a boundary after the part");
        if rest.starts_with(b"--") {
            assert_eq!(rest, b"--\r\n", "nothing follows the last boundary");
            return found;
        }
        rest = rest.strip_prefix(b"\r\n").expect("a line that ends");
        let end = memchr::memmem::find(rest, b"\r\n\r\n").expect("the head of a part");
        let head = std::str::from_utf8(&rest[..end]).expect("a head that is text");
        let lines: Vec<_> = head.split("\r\n").map(|line| line.split_once(": ").expect("a field line")).collect();
        let [("Content-Type", content_type), ("Content-Range", range)] = lines[..] else { panic!("{lines:?}") };
        let (first, last, length) = content_range(range);
        let (content, behind) = rest[end + 4..].split_at(last + 1 - first);
        found.push(Part { content_type: content_type.to_owned(), first, last, length, content: content.to_vec() });
        rest = behind;
    }
}

/// Returns the ranges of the parts, and checks their bytes against `whole`.
#[track_caller]
fn ranges_of(reply: &Reply, whole: &[u8]) -> Vec<(usize, usize)> {
    let parts = parts(reply);
    let several = parts.len() > 1;
    assert_eq!(several, reply.field("Content-Type").unwrap().starts_with("multipart/"), "only several are multipart");
    for part in &parts {
        assert_eq!(part.length, whole.len());
        assert!(part.content == whole[part.first..=part.last], "{}-{}", part.first, part.last);
        assert_eq!(part.content_type, "application/octet-stream");
    }
    parts.iter().map(|part| (part.first, part.last)).collect()
}

/// Replaces `L` with the length of the file, and `M` with the position of its last byte.
fn fill(value: &str, length: usize) -> String {
    value.replace('L', &length.to_string()).replace('M', &(length - 1).to_string())
}

#[test]
fn a_range_gets_exactly_the_parts_that_it_names() {
    each(|site, path, length| {
        let (whole, last) = (numbered(length), length - 1);
        let rows: [(&str, &[(usize, usize)]); 24] = [
            ("0-0", &[(0, 0)]),
            ("0-499", &[(0, 499)]),
            ("500-999", &[(500, 999)]),
            ("500-", &[(500, last)]),
            ("0-", &[(0, last)]),
            ("M-", &[(last, last)]),
            ("-1", &[(last, last)]),
            ("-500", &[(length - 500, last)]),
            ("-L", &[(0, last)]),
            ("-99999999999999999999999999", &[(0, last)]),
            ("10-99999999999999999999999999", &[(10, last)]),
            ("M-18446744073709551615", &[(last, last)]),
            ("00-0009", &[(0, 9)]),
            ("0-0,-1", &[(0, 0), (last, last)]),
            ("0-9, 200-209\t,\t400-409", &[(0, 9), (200, 209), (400, 409)]),
            ("900-909,0-9", &[(900, 909), (0, 9)]),
            (",0-9,,", &[(0, 9)]),
            // Only some of the parts exist.
            ("L-,0-9", &[(0, 9)]),
            ("0-9,999999-,-0,400-409", &[(0, 9), (400, 409)]),
            // Parts that overlap, or are close together, are sent as one.
            ("0-9,5-20,21-30", &[(0, 30)]),
            ("0-9,90-99", &[(0, 99)]),
            ("0-9,91-99", &[(0, 9), (91, 99)]),
            ("90-99,0-9", &[(0, 99)]),
            ("91-99,0-9", &[(91, 99), (0, 9)]),
        ];
        for (set, expected) in rows {
            let field = format!("Range: bytes={}", fill(set, length));
            let reply = site.ask(&format!("GET {path}"), &[&field]);
            assert_eq!(ranges_of(&reply, &whole), expected, "{path}: {field}");
        }
    });
}

#[test]
fn a_206_says_all_that_the_200_says() {
    let folder = folder();
    for files in [Files::new(folder.path("")).unwrap(), Files::new(folder.path("")).unwrap().cache(0, 0)] {
        let mut site = Site::of(files.cache_control("*", "no-cache"));
        for path in ["/small.bin", "/large.bin"] {
            let full = site.ask::<&str>(&format!("GET {path}"), &[]);
            for range in ["0-9", "0-9,500-509"] {
                let reply = site.ask(&format!("GET {path}"), &[format!("Range: bytes={range}")]);
                for name in
                    ["ETag", "Last-Modified", "Date", "Cache-Control", "Accept-Ranges", "X-Content-Type-Options"]
                {
                    assert!(full.field(name).is_some(), "{name}");
                    assert_eq!(reply.field(name), full.field(name), "{name}");
                }
            }
        }
    }
}

#[test]
fn a_boundary_is_never_used_twice() {
    let folder = folder();
    let mut site = Site::of(Files::new(folder.path("")).unwrap());
    let mut boundary = || {
        let reply = site.ask("GET /small.bin", &["Range: bytes=0-9,500-509"]);
        reply.field("Content-Type").unwrap().to_owned()
    };
    assert_ne!(boundary(), boundary());
}

#[test]
fn a_range_of_which_nothing_exists_is_a_416() {
    each(|site, path, length| {
        for set in ["L-", "L-L", "-0", "99999999999999999999999999-", "L-,-0, 999999-9999999"] {
            let field = format!("Range: bytes={}", fill(set, length));
            let reply = site.ask(&format!("GET {path}"), &[&field]);
            assert_eq!(reply.status, 416, "{path}: {field}");
            assert_eq!(reply.field("Content-Range"), Some(format!("bytes */{length}").as_str()), "{path}: {field}");
            assert_eq!(site.ask(&format!("HEAD {path}"), &[&field]).status, 200, "HEAD {path}: {field}");
        }
    });
}

#[test]
fn a_malformed_or_repeated_range_is_ignored() {
    each(|site, path, length| {
        let whole = numbered(length);
        for value in [
            "",
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes=-",
            "bytes=--1",
            "bytes=a-b",
            "bytes=0",
            "bytes=5-4",
            "bytes=0-1,5-4",
            "bytes=0-1;2-3",
            "bytes=+0-1",
            "bytes=0x0-1",
            "bytes=0 - 1",
            "bytes=0-1-2",
            "bytes =0-1",
            "bytes:0-1",
            "0-1",
            "lines=0-1",
            "bytes=0-1 x",
            "bytes=\u{663}-\u{664}",
        ] {
            let reply = site.ask(&format!("GET {path}"), &[format!("Range: {value}")]);
            assert_eq!(reply.status, 200, "{path}: {value:?}");
            assert!(reply.content == whole && reply.field("Content-Range").is_none(), "{path}: {value:?}");
        }
        let reply = site.ask(&format!("GET {path}"), &["Range: bytes=0-1", "Range: bytes=0-1"]);
        assert!(reply.status == 200 && reply.content == whole, "twice");
        for value in ["BYTES=0-1", "Bytes= 0-1"] {
            assert_eq!(site.ask(&format!("GET {path}"), &[format!("range: {value}")]).status, 206, "{value:?}");
        }
    });
}

#[test]
fn a_range_bomb_brings_no_more_than_the_whole() {
    each(|site, path, length| {
        let apart: Vec<String> = (0..1000).map(|i| format!("{}-{}", i % 10 * 100, i % 10 * 100)).collect();
        let bombs = [
            vec!["0-"; 32].join(","),
            vec!["0-"; 1200].join(","),
            ["-1", "0-"].repeat(16).join(","),
            (0..32).map(|i| format!("{i}-")).collect::<Vec<_>>().join(","),
            (0..32).rev().map(|i| format!("0-{}", i * 30)).collect::<Vec<_>>().join(","),
            apart.join(","),
            vec![","; 6000].concat() + "0-0",
        ];
        for bomb in bombs {
            let reply = site.ask(&format!("GET {path}"), &[format!("Range: bytes={bomb}")]);
            assert!(matches!(reply.status, 200 | 206), "{}", reply.status);
            assert!(reply.content.len() <= length, "{} bytes for {}", reply.content.len(), &bomb[..40]);
            if reply.status == 206 {
                assert_eq!(ranges_of(&reply, &numbered(length)).len(), 1);
            }
        }
        // The most parts that are allowed, far apart: each part has a small head.
        let most: Vec<String> = (0..32).map(|i| i * length / 32).map(|at| format!("{at}-{at}")).collect();
        let reply = site.ask(&format!("GET {path}"), &[format!("Range: bytes={}", most.join(","))]);
        assert!(reply.status == 206 && reply.content.len() < 32 * 200, "{}", reply.content.len());
    });
}

#[test]
fn head_ignores_a_range() {
    each(|site, path, length| {
        for range in ["bytes=0-1", "bytes=0-1,500-501", "bytes=99999999-"] {
            let reply = site.ask(&format!("HEAD {path}"), &[format!("Range: {range}")]);
            assert_eq!((reply.status, reply.field("Content-Range")), (200, None), "{range}");
            assert_eq!(reply.field("Content-Length"), Some(length.to_string().as_str()), "{range}");
        }
    });
}

#[test]
fn if_range_needs_exactly_what_is_there() {
    each(|site, path, _| {
        let tag = site.ask::<&str>(&format!("GET {path}"), &[]).tag();
        let later = "Sun, 09 Sep 2001 01:46:41 GMT";
        for (name, value, expected) in [
            ("its tag", tag.clone(), 206),
            ("its tag, as a weak one", format!("W/{tag}"), 200),
            ("another", "\"x\"".to_owned(), 200),
            ("a list", format!("\"x\", {tag}"), 200),
            ("any", "*".to_owned(), 200),
            ("without its quotes", tag.trim_matches('"').to_owned(), 200),
            ("its date", DATE.to_owned(), 206),
            ("its date in another form", "Sunday, 09-Sep-01 01:46:40 GMT".to_owned(), 206),
            ("a date before", "Sun, 09 Sep 2001 01:46:39 GMT".to_owned(), 200),
            ("a date after", later.to_owned(), 200),
            ("no date", "yesterday".to_owned(), 200),
            ("nothing", String::new(), 200),
        ] {
            let if_range = format!("If-Range: {value}");
            let reply = site.ask(&format!("GET {path}"), &["Range: bytes=0-9", &if_range]);
            assert_eq!(reply.status, expected, "{name}");
            // If `If-Range` does not match, the whole file is sent, and the range is not an error.
            let expected = if expected == 206 { 416 } else { 200 };
            let reply = site.ask(&format!("GET {path}"), &["Range: bytes=99999999-", &if_range]);
            assert_eq!(reply.status, expected, "{name}, with a range that is not there");
            assert_eq!(site.ask(&format!("GET {path}"), &[&if_range]).status, 200, "{name}, without a range");
        }
        let twice = [format!("If-Range: {tag}"), format!("If-Range: {tag}"), "Range: bytes=0-9".to_owned()];
        assert_eq!(site.ask(&format!("GET {path}"), &twice).status, 200);
    });
}

#[test]
fn a_file_that_has_changed_is_not_continued() {
    let folder = folder();
    let mut site = Site::of(Files::new(folder.path("")).unwrap());
    let tag = site.ask::<&str>("GET /large.bin", &[]).tag();
    let fields = ["Range: bytes=50000-".to_owned(), format!("If-Range: {tag}")];
    assert_eq!(site.ask("GET /large.bin", &fields).status, 206);
    folder.write("large.bin", vec![b'x'; LARGE]);
    site.set_date(now() + 61);
    let reply = site.ask("GET /large.bin", &fields);
    assert!(reply.status == 200 && reply.content == vec![b'x'; LARGE]);
}

#[test]
fn an_empty_file_has_no_parts() {
    let folder = folder();
    for files in [Files::new(folder.path("")).unwrap(), Files::new(folder.path("")).unwrap().cache(0, 0)] {
        let mut site = Site::of(files);
        let reply = site.ask::<&str>("GET /empty.bin", &[]);
        assert_eq!((reply.status, reply.field("Content-Length")), (200, Some("0")));
        for set in ["0-", "0-0", "5-9"] {
            let reply = site.ask("GET /empty.bin", &[format!("Range: bytes={set}")]);
            assert_eq!((reply.status, reply.field("Content-Range")), (416, Some("bytes */0")), "{set}");
        }
        // A suffix of an empty file is the whole file.
        assert_eq!(site.ask("GET /empty.bin", &["Range: bytes=-5"]).status, 200);
    }
}

#[test]
fn parts_are_of_the_coding_that_is_sent() {
    let folder = folder();
    folder.write("text.txt", numbered(5000));
    folder.write("text.txt.gz", vec![b'z'; 300]);
    folder.write("text.txt.br", vec![b'b'; 20_000]);
    for mut site in
        [Site::of(Files::new(folder.path("")).unwrap()), Site::of(Files::new(folder.path("")).unwrap().cache(0, 0))]
    {
        for (accepts, coding, content) in [
            ("gzip", Some("gzip"), vec![b'z'; 300]),
            ("br", Some("br"), vec![b'b'; 20_000]),
            ("identity", None, numbered(5000)),
        ] {
            let accepts = format!("Accept-Encoding: {accepts}");
            let full = site.ask("GET /text.txt", &[&accepts]);
            for range in ["Range: bytes=10-19", "Range: bytes=10-19,200-209"] {
                let if_range = format!("If-Range: {}", full.tag());
                let reply = site.ask("GET /text.txt", &[accepts.as_str(), range, &if_range]);
                assert_eq!(reply.field("Content-Encoding"), coding, "{accepts}");
                assert_eq!((reply.field("Vary"), reply.tag()), (Some("Accept-Encoding"), full.tag()), "{accepts}");
                for part in parts(&reply) {
                    assert_eq!(part.length, content.len(), "{accepts}");
                    assert!(part.content == content[part.first..=part.last], "{accepts}");
                    assert_eq!(part.content_type, "text/plain; charset=utf-8");
                }
            }
            let reply = site.ask("GET /text.txt", &[&accepts, "Range: bytes=25000-"]);
            assert_eq!(reply.field("Content-Range"), Some(format!("bytes */{}", content.len()).as_str()), "{accepts}");
        }
        // The tag of one coding is not valid for another coding.
        let gzip = site.ask("GET /text.txt", &["Accept-Encoding: gzip"]).tag();
        let fields = ["Range: bytes=0-9".to_owned(), "Accept-Encoding: br".to_owned(), format!("If-Range: {gzip}")];
        assert_eq!(site.ask("GET /text.txt", &fields).status, 200);
    }
}

#[test]
fn only_a_200_is_sent_in_parts() {
    let folder = folder();
    folder.write("404.html", "this is not here");
    let (path, mut app) = (folder.path("small.bin"), app("/", Files::new(folder.path("")).unwrap()));
    app.get("/gone", move |_, _, res| res.status(410).file(&path));
    let mut site = Site::new(app);
    for range in ["bytes=0-3", "bytes=0-1,500-501", "bytes=99999-"] {
        let reply = site.ask("GET /nothing", &[format!("Range: {range}")]);
        assert_eq!((reply.status, reply.text().as_str()), (404, "this is not here"), "{range}");
        let reply = site.ask("GET /gone", &[format!("Range: {range}")]);
        assert!(reply.status == 410 && reply.content == numbered(SMALL), "{range}");
    }
}

/// A part as a client requests it; without a beginning it is a suffix.
type Asked = (Option<usize>, Option<usize>);

fn any_part(most: usize) -> impl Strategy<Value = Asked> {
    let at = move || prop_oneof![0..300_usize, 0..most];
    (option::weighted(0.85, at()), option::weighted(0.8, at()))
}

/// The bytes that the part means; `None` if it is not valid.
fn meant((first, last): Asked, length: usize) -> Option<std::ops::Range<usize>> {
    match (first, last) {
        (None, None) => None,
        (None, Some(suffix)) => Some(length.saturating_sub(suffix)..length),
        (Some(first), Some(last)) if last < first => None,
        (Some(first), last) => Some(first.min(length)..last.map_or(length, |last| (last + 1).min(length))),
    }
}

proptest! {
    #![proptest_config(cases(40))]

    /// The reply has every byte that was requested, and has no byte twice.
    #[test]
    fn every_requested_byte_is_sent_once(sets in vec(vec(any_part(1200), 1..36), 30)) {
        let folder = folder();
        let (mut site, whole) = (Site::of(Files::new(folder.path("")).unwrap()), numbered(SMALL));
        for set in sets {
            let text = |number: Option<usize>| number.map_or(String::new(), |number| number.to_string());
            let spec = |(first, last): &_| format!("{}-{}", text(*first), text(*last));
            let specs: Vec<String> = set.iter().map(spec).collect();
            let field = format!("Range: bytes={}", specs.join(","));
            let reply = site.ask("GET /small.bin", &[&field]);
            let meant: Option<Vec<_>> = set.iter().map(|asked| meant(*asked, SMALL)).collect();
            let Some(meant) = meant.filter(|meant| meant.len() <= 32) else {
                assert!(reply.status == 200 && reply.content == whole, "{field}");
                continue;
            };
            if meant.iter().all(|range| range.is_empty()) {
                assert_eq!(reply.status, 416, "{field}");
                continue;
            }
            let mut sent = [0; SMALL];
            for (first, last) in ranges_of(&reply, &whole) {
                sent[first..=last].iter_mut().for_each(|count| *count += 1);
            }
            assert!(sent.iter().all(|count| *count <= 1), "a byte came twice: {field}");
            assert!(meant.iter().cloned().flatten().all(|at| sent[at] == 1), "a byte did not come: {field}");
        }
    }
}
