//! Conditional requests for files (RFC 9110 §13), and the age from which a file's validators are strong.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::site::{Reply, Site, now};
use super::{Folder, app, numbered};
use crate::files::Files;

/// When the files of these tests were modified: Sun, 09 Sep 2001 01:46:40 GMT.
const MODIFIED: u64 = 1_000_000_000;

/// The three forms of that moment (RFC 9110 §5.6.7).
const FORMS: [&str; 3] =
    ["Sun, 09 Sep 2001 01:46:40 GMT", "Sunday, 09-Sep-01 01:46:40 GMT", "Sun Sep  9 01:46:40 2001"];
const EARLIER: &str = "Sun, 09 Sep 2001 01:46:39 GMT";
const LATER: &str = "Sun, 09 Sep 2001 01:46:41 GMT";
const FUTURE: &str = "Fri, 31 Dec 9999 23:59:59 GMT";

/// A directory with a file of ten bytes that is kept in memory, and a large one that is not.
fn folder() -> Folder {
    let folder = Folder::new("conditions");
    folder.write("small.txt", "0123456789");
    folder.write("large.bin", numbered(100_000));
    folder.set_modified("small.txt", MODIFIED);
    folder.set_modified("large.bin", MODIFIED);
    folder
}

/// Requests a file with these conditions by GET and HEAD. `{tag}` in a field is replaced by the file's tag without
/// `W/`.
#[track_caller]
fn check(site: &mut Site, path: &str, name: &str, fields: &[&str], expected: u16) {
    let tag = site.ask::<&str>(&format!("HEAD {path}"), &[]).tag();
    let tag = tag.trim_start_matches("W/");
    let fields: Vec<String> = fields.iter().map(|field| field.replace("{tag}", tag)).collect();
    for method in ["GET", "HEAD"] {
        let reply = site.ask(&format!("{method} {path}"), &fields);
        assert_eq!(reply.status, expected, "{name}: {method} {path} with {fields:?}: {reply:?}");
    }
}

#[track_caller]
fn check_all(rows: &[(&str, &[&str], u16)]) {
    let folder = folder();
    for files in [Files::new(folder.path("")).unwrap(), Files::new(folder.path("")).unwrap().cache(0, 0)] {
        let mut site = Site::of(files);
        for (name, fields, expected) in rows {
            check(&mut site, "/small.txt", name, fields, *expected);
            check(&mut site, "/large.bin", name, fields, *expected);
        }
    }
}

#[test]
fn if_match() {
    check_all(&[
        ("its tag", &["If-Match: {tag}"], 200),
        ("any", &["If-Match: *"], 200),
        ("its tag, as a weak one", &["If-Match: W/{tag}"], 412),
        ("another", &["If-Match: \"x\""], 412),
        ("one of a list", &["If-Match: \"x\", {tag}"], 200),
        ("one of a list without spaces", &["If-Match: W/\"x\",\"\",{tag},\"y\""], 200),
        ("one of several lines", &["If-Match: \"x\"", "If-Match: {tag}"], 200),
        ("none of several lines", &["If-Match: \"x\"", "If-Match: \"y\""], 412),
        ("no tag at all", &["If-Match: x"], 412),
        ("nothing", &["If-Match: "], 412),
        ("a tag that does not end", &["If-Match: \"x"], 412),
        ("a letter after the tag", &["If-Match: {tag}x"], 412),
    ]);
}

#[test]
fn if_none_match() {
    check_all(&[
        ("its tag", &["If-None-Match: {tag}"], 304),
        ("its tag, as a weak one", &["If-None-Match: W/{tag}"], 304),
        ("any", &["If-None-Match: *"], 304),
        ("another", &["If-None-Match: \"x\""], 200),
        ("an empty one", &["If-None-Match: \"\""], 200),
        ("one of a list", &["If-None-Match: \"x\", W/\"y\" ,\t{tag}"], 304),
        ("a tag with a comma before it", &["If-None-Match: \"a,b\", {tag}"], 304),
        ("tags whose text looks like `W/` and `*`", &["If-None-Match: \"W/\", \"*\""], 200),
        ("empty members of the list", &["If-None-Match: ,, ,{tag},"], 304),
        ("one of several lines", &["If-None-Match: \"x\"", "If-None-Match: W/{tag}, \"y\""], 304),
        ("after a malformed line", &["If-None-Match: x", "If-None-Match: {tag}"], 304),
        ("no tag at all", &["If-None-Match: x"], 200),
        ("nothing", &["If-None-Match: "], 200),
        ("a small w", &["If-None-Match: w/{tag}"], 200),
        ("a space in it", &["If-None-Match: W/ {tag}"], 200),
        ("no comma", &["If-None-Match: \"x\" {tag}"], 200),
        ("a tag that does not end", &["If-None-Match: \"x, {tag}"], 200),
        ("in any case", &["iF-nONE-mATCH: {tag}"], 304),
    ]);
}

#[test]
fn if_modified_since() {
    let [imf, rfc850, asctime] = FORMS.map(|date| format!("If-Modified-Since: {date}"));
    let field = |date: &str| format!("If-Modified-Since: {date}");
    check_all(&[
        ("not since", &[&imf], 304),
        ("not since, in the form of RFC 850", &[&rfc850], 304),
        ("not since, in the form of asctime", &[&asctime], 304),
        ("since", &[&field(EARLIER)], 200),
        ("not since later", &[&field(LATER)], 304),
        ("not since the future", &[&field(FUTURE)], 304),
        ("no date", &[&field("yesterday")], 200),
        ("nothing", &["If-Modified-Since: "], 200),
        ("a number", &[&field("1000000000")], 200),
        ("another zone", &[&field("Sun, 09 Sep 2001 01:46:40 +0000")], 200),
        ("the 31st of February", &[&field("Sat, 31 Feb 2024 01:46:40 GMT")], 200),
        ("a parameter after the date", &[&field("Sun, 09 Sep 2001 01:46:41 GMT; length=10")], 200),
        ("twice", &[&imf, &imf], 200),
        ("a list", &[&field(&format!("{LATER}, {LATER}"))], 200),
    ]);
}

#[test]
fn if_unmodified_since() {
    let [imf, rfc850, asctime] = FORMS.map(|date| format!("If-Unmodified-Since: {date}"));
    let field = |date: &str| format!("If-Unmodified-Since: {date}");
    check_all(&[
        ("not since", &[&imf], 200),
        ("not since, in the form of RFC 850", &[&rfc850], 200),
        ("not since, in the form of asctime", &[&asctime], 200),
        ("since", &[&field(EARLIER)], 412),
        ("since, in the form of RFC 850", &[&field("Sunday, 09-Sep-01 01:46:39 GMT")], 412),
        ("since, in the form of asctime", &[&field("Sun Sep  9 01:46:39 2001")], 412),
        ("not since later", &[&field(LATER)], 200),
        ("not since the future", &[&field(FUTURE)], 200),
        ("no date", &[&field("yesterday")], 200),
        ("nothing", &["If-Unmodified-Since: "], 200),
        ("twice", &[&field(EARLIER), &field(EARLIER)], 200),
        ("a list", &[&field(&format!("{EARLIER}, {EARLIER}"))], 200),
    ]);
}

/// RFC 9110 §13.2.2, step by step.
#[test]
fn the_order_of_conditions() {
    let (since, not_since) = (format!("If-Modified-Since: {EARLIER}"), format!("If-Modified-Since: {LATER}"));
    let (failed, passed) = (format!("If-Unmodified-Since: {EARLIER}"), format!("If-Unmodified-Since: {LATER}"));
    let invalid = "If-Unmodified-Since: never";
    let (same, other) = ("If-None-Match: {tag}", "If-None-Match: \"x\"");
    check_all(&[
        ("a tag that matches beats a date", &["If-Match: {tag}", &failed], 200),
        ("a tag that does not match beats a date", &["If-Match: \"x\"", &passed], 412),
        ("both kinds of tags hold", &["If-Match: {tag}", same], 304),
        ("the precondition comes first", &["If-Match: \"x\"", same], 412),
        ("also if it is last in the head", &[same, "If-Match: \"x\""], 412),
        ("a date fails before a tag is looked at", &[&failed, same], 412),
        ("a date passes", &[&passed, same], 304),
        ("no date is no condition", &[invalid, &not_since], 304),
        ("a tag that matches beats being modified", &[same, &since], 304),
        ("a tag that does not match beats being unmodified", &[other, &not_since], 200),
        ("so does a malformed one", &["If-None-Match: x", &not_since], 200),
        ("both dates", &[&passed, &not_since], 304),
        ("the precondition comes before a range", &["If-Match: \"x\"", "Range: bytes=0-1"], 412),
        ("being unmodified comes before a range", &[same, "Range: bytes=0-1"], 304),
        ("and before a range that does not exist", &[&not_since, "Range: bytes=1000000-"], 304),
        ("an If-Range that is false does not undo it", &[same, "Range: bytes=0-1", "If-Range: \"x\""], 304),
    ]);
}

#[test]
fn a_tag_in_a_list_may_have_bytes_beyond_ascii() {
    let folder = folder();
    let mut site = Site::of(Files::new(folder.path("")).unwrap());
    let tag = site.ask::<&str>("GET /small.txt", &[]).tag();
    let request = format!("GET /small.txt HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"\u{e9}\", {tag}\r\n\r\n");
    assert_eq!(site.ask_raw(false, request.as_bytes()).status, 304);
}

#[test]
fn a_304_has_only_the_fields_that_a_cache_updates() {
    let folder = folder();
    folder.write("small.txt.gz", "gz");
    let files = || Files::new(folder.path("")).unwrap().cache_control("*", "max-age=60");
    for mut site in [Site::of(files()), Site::of(files().cache(0, 0))] {
        for (accepts, varies) in [("Accept: */*", false), ("Accept-Encoding: gzip", true)] {
            let path = if varies { "/small.txt" } else { "/large.bin" };
            let full = site.ask(&format!("GET {path}"), &[accepts]);
            let not_modified = format!("If-None-Match: {}", full.tag());
            for method in ["GET", "HEAD"] {
                let reply = site.ask(&format!("{method} {path}"), &[accepts, &not_modified]);
                assert_eq!(reply.status, 304);
                for name in ["ETag", "Cache-Control", "Vary", "Date"] {
                    assert_eq!(reply.field(name), full.field(name), "{name}");
                }
                let expected: &[&str] = if varies {
                    &["cache-control", "date", "etag", "server", "vary"]
                } else {
                    &["cache-control", "date", "etag", "server"]
                };
                let mut names = reply.names();
                names.retain(|name| name != "server");
                assert_eq!(names, expected.iter().filter(|name| **name != "server").copied().collect::<Vec<_>>());
            }
        }
    }
}

#[test]
fn conditions_are_ignored_if_the_reply_would_not_be_a_200() {
    let folder = folder();
    let without = app("/", Files::new(folder.path("")).unwrap());
    let mut site = Site::new(without);
    for fields in [["If-Match: \"x\""], ["If-None-Match: *"], ["If-Unmodified-Since: Sun, 09 Sep 1990 01:46:40 GMT"]] {
        assert_eq!(site.ask("GET /nothing", &fields).status, 404, "{fields:?}");
        assert_eq!(site.ask("POST /small.txt", &fields).status, 405, "{fields:?}");
        assert_eq!(site.ask("PUT /small.txt", &fields).status, 405, "{fields:?}");
        assert_eq!(site.ask("DELETE /nothing", &fields).status, 405, "{fields:?}");
    }
    folder.write("404.html", "not here");
    folder.write("dir/index.html", "dir");
    let tag = site.ask::<&str>("GET /404.html", &[]).tag();
    for field in [format!("If-None-Match: {tag}"), "If-None-Match: *".into(), "If-Match: \"x\"".into()] {
        let reply = site.ask("GET /nothing", &[&field]);
        assert_eq!((reply.status, reply.text().as_str()), (404, "not here"), "{field}");
        assert_eq!(site.ask("GET /dir", &[&field]).status, 301, "{field}");
    }
}

/// The time of a file's last change, which only the kernel sets.
fn changed(folder: &Folder, name: &str) -> u64 {
    u64::try_from(std::fs::metadata(folder.path(name)).unwrap().ctime()).unwrap()
}

/// Whether the tag of a reply is weak, and the tag without `W/`.
fn seen(reply: &Reply) -> (bool, String) {
    let tag = reply.tag();
    (tag.starts_with("W/"), tag.trim_start_matches("W/").to_owned())
}

/// A file may change again in the same second without a change of its times. Until then its validators are weak.
#[test]
fn a_young_file_has_weak_validators_and_an_old_one_strong_ones() {
    let folder = folder();
    for files in [Files::new(folder.path("")).unwrap(), Files::new(folder.path("")).unwrap().cache(0, 0)] {
        let mut site = Site::of(files);
        for path in ["small.txt", "large.bin"] {
            let (changed, request) = (changed(&folder, path), format!("GET /{path}"));
            let mut tags = Vec::new();
            // This includes a clock before the change, and a clock that is set back after the file was old.
            for (age, weak) in [(-1000, true), (0, true), (1, true), (4, false), (100, false), (1, true), (100, false)]
            {
                site.set_date(changed.checked_add_signed(age).unwrap());
                let reply = site.ask::<&str>(&request, &[]);
                let (is_weak, tag) = seen(&reply);
                assert_eq!(is_weak, weak, "{path} at an age of {age} s");
                let strong_only = if weak { 412 } else { 200 };
                assert_eq!(site.ask(&request, &[format!("If-Match: {tag}")]).status, strong_only, "at {age} s");
                assert_eq!(site.ask(&request, &["If-Match: *"]).status, 200, "at {age} s");
                for none_match in [format!("If-None-Match: W/{tag}"), format!("If-None-Match: {tag}")] {
                    assert_eq!(site.ask(&request, &[none_match]).status, 304, "at {age} s");
                }
                let part = if weak { 200 } else { 206 };
                for if_range in [format!("If-Range: {tag}"), format!("If-Range: {}", FORMS[0])] {
                    let reply = site.ask(&request, &["Range: bytes=0-1".to_owned(), if_range]);
                    assert_eq!(reply.status, part, "at {age} s");
                }
                let if_range = format!("If-Range: W/{tag}");
                assert_eq!(site.ask(&request, &["Range: bytes=0-1".to_owned(), if_range]).status, 200, "at {age} s");
                tags.push(tag);
            }
            tags.dedup();
            assert_eq!(tags.len(), 1, "only its strength changes: {tags:?}");
        }
    }
}

#[test]
fn a_change_of_metadata_makes_the_validators_weak_again() {
    let folder = folder();
    let mut site = Site::of(Files::new(folder.path("")).unwrap());
    let (weak, before) = seen(&site.ask::<&str>("GET /small.txt", &[]));
    assert!(!weak);
    let path = folder.path("small.txt");
    // The kernel's clock may tick too slowly for the first change to show in the times.
    let old = std::fs::metadata(&path).unwrap().ctime_nsec();
    while std::fs::metadata(&path).unwrap().ctime_nsec() == old {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    }
    site.set_date(changed(&folder, "small.txt") + 1);
    let (weak, after) = seen(&site.ask::<&str>("GET /small.txt", &[]));
    assert!(weak && before != after, "{before} {after}");
    site.set_date(now() + 60);
    assert_eq!(seen(&site.ask::<&str>("GET /small.txt", &[])), (false, after));
}

#[test]
fn last_modified_is_never_later_than_date() {
    let folder = folder();
    for name in ["small.txt", "large.bin"] {
        folder.set_modified(name, now() + 86_400);
    }
    for files in [Files::new(folder.path("")).unwrap(), Files::new(folder.path("")).unwrap().cache(0, 0)] {
        let mut site = Site::of(files);
        let first = now() + 60;
        for second in [first, first + 1, first + 2] {
            site.set_date(second);
            for path in ["small.txt", "large.bin"] {
                let reply = site.ask::<&str>(&format!("GET /{path}"), &[]);
                let date = |name| httpdate::parse_http_date(reply.field(name).unwrap()).unwrap();
                assert!(date("Last-Modified") <= date("Date"), "{reply:?}");
            }
        }
    }
}

#[test]
fn a_file_may_be_older_than_1970() {
    let folder = folder();
    let file = std::fs::File::open(folder.path("small.txt")).unwrap();
    file.set_modified(std::time::UNIX_EPOCH - std::time::Duration::from_secs(86_400)).unwrap();
    let mut site = Site::of(Files::new(folder.path("")).unwrap().listing(true));
    let reply = site.ask::<&str>("GET /small.txt", &[]);
    assert_eq!((reply.status, reply.field("Last-Modified")), (200, None));
    assert_eq!(site.ask("GET /", &["Accept: application/json"]).status, 200);
}

/// Reproducible builds set all times to 0 or 1, so a new file would look as old as the one before it.
#[test]
fn a_modification_time_that_says_nothing_is_no_validator() {
    const FIRST: &str = "Thu, 01 Jan 1970 00:00:01 GMT";
    for second in [0, 1] {
        let folder = folder();
        for files in [Files::new(folder.path("")).unwrap(), Files::new(folder.path("")).unwrap().cache(0, 0)] {
            let mut site = Site::of(files);
            for name in ["small.txt", "large.bin"] {
                folder.set_modified(name, second);
                let path = format!("/{name}");
                let reply = site.set_date(now() + 60).ask::<&str>(&format!("GET {path}"), &[]);
                assert_eq!((reply.status, reply.field("Last-Modified")), (200, None), "{name}, {second}");
                for (field, status) in [
                    (&format!("If-Modified-Since: {FIRST}"), 200),
                    (&format!("If-Modified-Since: {FUTURE}"), 200),
                    (&"If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT".to_owned(), 200),
                    (&"If-None-Match: {tag}".to_owned(), 304),
                    (&"If-Match: {tag}".to_owned(), 200),
                ] {
                    check(&mut site, &path, "without a date", &[field], status);
                }
                let ranged = |date: &str| ["Range: bytes=0-1".to_owned(), format!("If-Range: {date}")];
                assert_eq!(site.ask(&format!("GET {path}"), &ranged(FIRST)).status, 200);
                assert_eq!(site.ask(&format!("GET {path}"), &ranged(&reply.tag())).status, 206);

                // Another file of the same size and time is another one.
                let content = vec![b'x'; reply.content.len()];
                folder.write("new", &content);
                folder.set_modified("new", second);
                std::fs::rename(folder.path("new"), folder.path(name)).unwrap();
                let fields = [format!("If-None-Match: {}", reply.tag()), format!("If-Modified-Since: {FUTURE}")];
                let new = site.set_date(now() + 61).ask(&format!("GET {path}"), &fields);
                assert_eq!((new.status, &new.content), (200, &content), "{name}, {second}");
            }
        }
    }
    // The second after that is a time like any other.
    let folder = folder();
    folder.set_modified("small.txt", 2);
    let mut site = Site::of(Files::new(folder.path("")).unwrap());
    let reply = site.ask::<&str>("GET /small.txt", &[]);
    assert_eq!(reply.field("Last-Modified"), Some("Thu, 01 Jan 1970 00:00:02 GMT"));
}
