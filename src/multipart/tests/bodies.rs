//! Bodies: boundaries, what comes around them, and where a body ends.

use super::fuzzing::sow;
use super::play::{Outcome, Piece, play};
use super::reference;
use crate::limits::{MAX_AROUND_PARTS, MAX_PART_HEADER};
use crate::multipart::fault::Fault;

/// A part: its header without the empty line, its content, and whether it is whole.
type Row<'a> = (&'a str, &'a str, bool);

/// Feeds a body of the boundary `b` in all ways.
#[track_caller]
fn check(name: &str, body: &[u8], parts: &[Row<'_>], end: Result<(), Fault>) {
    let piece = |&(header, content, is_whole): &Row<'_>| Piece {
        header: format!("{header}\r\n").into_bytes(),
        content: content.as_bytes().to_vec(),
        is_whole,
    };
    let expected = Outcome { parts: parts.iter().map(piece).collect(), end };
    assert_eq!(play("b", body, &[usize::MAX]), expected, "{name}: whole");
    assert_eq!(play("b", body, &[1]), expected, "{name}: byte by byte");
    // A long row is long at one place, so its beginning and its end are what matters.
    for cut in (1..body.len()).filter(|&cut| cut < 100 || cut + 100 > body.len()) {
        assert_eq!(play("b", body, &[cut, usize::MAX]), expected, "{name}: cut at {cut}");
    }
    assert_eq!(reference::read("b", body), expected, "{name}: the slow reader");
    sow(body);
}

const A: &str = "A: 1\r\n";
const WHOLE: Row<'_> = (A, "x", true);

#[test]
fn parts_are_between_boundary_lines() {
    let rows: [(&str, &str, &[Row<'_>]); 14] = [
        ("one part", "--b\r\nA: 1\r\n\r\nx\r\n--b--\r\n", &[WHOLE]),
        ("two parts", "--b\r\nA: 1\r\n\r\nx\r\n--b\r\nA: 1\r\n\r\nyz\r\n--b--\r\n", &[WHOLE, (A, "yz", true)]),
        ("no part", "--b--\r\n", &[]),
        ("no line break at the end", "--b\r\nA: 1\r\n\r\nx\r\n--b--", &[WHOLE]),
        ("an empty part", "--b\r\nA: 1\r\n\r\n\r\n--b--", &[(A, "", true)]),
        ("an empty part without content", "--b\r\nA: 1\r\n\r\n--b--", &[(A, "", true)]),
        ("a part without a header", "--b\r\n\r\nx\r\n--b--", &[("", "x", true)]),
        ("two lines of header", "--b\r\nA: 1\r\nB: 2\r\n\r\nx\r\n--b--", &[("A: 1\r\nB: 2\r\n", "x", true)]),
        ("line breaks in content", "--b\r\nA: 1\r\n\r\n\r\nx\r\n\r\n\r\n--b--", &[(A, "\r\nx\r\n\r\n", true)]),
        ("a preamble", "hello\r\n--b\r\nA: 1\r\n\r\nx\r\n--b--", &[WHOLE]),
        ("an empty preamble", "\r\n--b\r\nA: 1\r\n\r\nx\r\n--b--", &[WHOLE]),
        ("a preamble like a boundary", "-\r\n--\r\n--B\r\n--b\r\nA: 1\r\n\r\nx\r\n--b--", &[WHOLE]),
        ("an epilogue", "--b\r\nA: 1\r\n\r\nx\r\n--b--\r\nbye\r\n--b\r\nA: 1\r\n\r\ny", &[WHOLE]),
        ("an empty epilogue", "--b\r\nA: 1\r\n\r\nx\r\n--b-- \t\r\n", &[WHOLE]),
    ];
    for (name, body, parts) in rows {
        check(name, body.as_bytes(), parts, Ok(()));
    }
}

#[test]
fn white_space_after_a_boundary_means_nothing() {
    for padding in [" ", "\t", " \t  "] {
        let body = format!("--b{padding}\r\nA: 1\r\n\r\nx\r\n--b{padding}\r\nA: 1\r\n\r\nx\r\n--b--{padding}\r\n");
        check(padding, body.as_bytes(), &[WHOLE, WHOLE], Ok(()));
    }
}

#[test]
fn content_may_look_like_a_boundary() {
    for content in [
        "-",
        "--",
        "--a",
        "--B",
        "x--b",
        "--\r\n",
        "\r",
        "\n",
        "\r\n",
        "\r\r\n",
        "\r\n-",
        "\r\n--",
        "\r\n--a",
        "\n--b",
        "\r--b",
        "\r\n\r\n--",
        "\r\n--\r\n--",
        "-\r\n-b",
        "\r\n -b",
        "\r\n--\r",
        "--\r\n-\r\n--\r\n",
        "\r\n- -b--",
        "A: 1\r\n\r\n",
        "\0\x7f",
    ] {
        let body = format!("--b\r\nA: 1\r\n\r\n{content}\r\n--b--");
        check(content, body.as_bytes(), &[(A, content, true)], Ok(()));
        let body = format!("--b\r\nA: 1\r\n\r\n{content}{content}\r\n--b\r\nA: 1\r\n\r\n{content}\r\n--b--");
        let twice = content.repeat(2);
        check(content, body.as_bytes(), &[(A, &twice, true), (A, content, true)], Ok(()));
    }
}

#[test]
fn a_body_that_breaks_off_is_incomplete() {
    let rows: [(&str, &str, &[Row<'_>]); 17] = [
        ("nothing", "", &[]),
        ("only line breaks", "\r\n\r\n", &[]),
        ("no boundary", "hello", &[]),
        ("another boundary", "--c\r\nA: 1\r\n\r\nx\r\n--c--", &[]),
        ("in a preamble", "hello\r\n--", &[]),
        ("in the first boundary", "--", &[]),
        ("after the first boundary", "--b", &[]),
        ("in its line", "--b\r", &[]),
        ("after its line", "--b\r\n", &[]),
        ("in a header", "--b\r\nA: 1\r\n", &[]),
        ("after a header", "--b\r\nA: 1\r\n\r\n", &[(A, "", false)]),
        ("in content", "--b\r\nA: 1\r\n\r\nx", &[(A, "x", false)]),
        ("in the next boundary", "--b\r\nA: 1\r\n\r\nx\r\n--", &[(A, "x", false)]),
        ("after the next boundary", "--b\r\nA: 1\r\n\r\nx\r\n--b", &[WHOLE]),
        ("before the last hyphen", "--b\r\nA: 1\r\n\r\nx\r\n--b-", &[WHOLE]),
        ("after a boundary line", "--b\r\nA: 1\r\n\r\nx\r\n--b\r\n", &[WHOLE]),
        ("in the last line break", "--b\r\nA: 1\r\n\r\nx\r\n--b--\r", &[WHOLE]),
    ];
    for (name, body, parts) in rows {
        check(name, body.as_bytes(), parts, Err(Fault::Incomplete));
    }
}

/// A line that begins with the boundary is a boundary line. Readers that take it for content, and readers that do not,
/// see other parts.
#[test]
fn a_boundary_line_is_nothing_but_a_boundary() {
    for line in ["--bc", "--b-", "--b-x", "--b -", "--b- -", "--b\n", "--b\r\r\n", "--b\rx", "--b \n", "--b\0\r\n"] {
        let ends_early = line == "--b-";
        let body = format!("{line}\r\nA: 1\r\n\r\nx\r\n--b--");
        check(line, body.as_bytes(), &[], Err(Fault::BoundaryLine));
        let body = format!("--b\r\nA: 1\r\n\r\nx\r\n{line}{}", if ends_early { "\r" } else { "" });
        check(line, body.as_bytes(), &[WHOLE], Err(Fault::BoundaryLine));
    }
    for end in ["--b---", "--b--x", "--b--\n", "--b-- \n", "--b--\r\r\n"] {
        let body = format!("--b\r\nA: 1\r\n\r\nx\r\n{end}");
        check(end, body.as_bytes(), &[WHOLE], Err(Fault::BoundaryLine));
    }
}

#[test]
fn lines_end_with_cr_and_lf() {
    check("no CR", b"--b\nA: 1\n\nx\n--b--\n", &[], Err(Fault::BoundaryLine));
    check("no CR in a header", b"--b\r\nA: 1\n\nx\r\n--b--", &[], Err(Fault::Incomplete));
    check("no CR before a boundary", b"--b\r\nA: 1\r\n\r\nx\n--b--", &[(A, "x\n--b--", false)], Err(Fault::Incomplete));
    check("no LF", b"--b\r\nA: 1\r\r\rx\r\n--b--", &[], Err(Fault::Incomplete));
}

#[test]
fn what_comes_around_the_parts_has_a_limit() {
    let most = "p".repeat(MAX_AROUND_PARTS);
    let (part, last) = ("--b\r\nA: 1\r\n\r\nx\r\n", "--b--");
    check("the longest preamble", format!("{most}\r\n{part}{last}").as_bytes(), &[WHOLE], Ok(()));
    check("a longer one", format!("{most}p\r\n{part}{last}").as_bytes(), &[], Err(Fault::Around));
    check("no boundary at all", format!("{most}p").as_bytes(), &[], Err(Fault::Around));
    let line = MAX_AROUND_PARTS - 1;
    check("the longest epilogue", format!("{part}{last}\r\n{}", &most[..line]).as_bytes(), &[WHOLE], Ok(()));
    check("a longer one", format!("{part}{last}\r\n{most}").as_bytes(), &[WHOLE], Err(Fault::Around));
    let spaces = most.replace('p', " ");
    check("the longest padding", format!("--b{spaces}\r\nA: 1\r\n\r\nx\r\n--b--").as_bytes(), &[WHOLE], Ok(()));
    check(
        "longer ones",
        format!("--b {}\r\nA: 1\r\n\r\nx\r\n--b  ", &spaces[2..]).as_bytes(),
        &[WHOLE],
        Err(Fault::Around),
    );
    check("after the last one", format!("{part}{last} {spaces}").as_bytes(), &[WHOLE], Err(Fault::Around));
}

#[test]
fn the_header_of_a_part_has_a_limit() {
    let too_large = Err(Fault::HeaderTooLarge(MAX_PART_HEADER));
    let most = format!("A: {}\r\n", "a".repeat(MAX_PART_HEADER - "A: \r\n\r\n".len()));
    check("the longest header", format!("--b\r\n{most}\r\nx\r\n--b--").as_bytes(), &[(&most, "x", true)], Ok(()));
    check("a longer one", format!("--b\r\nA{most}\r\nx\r\n--b--").as_bytes(), &[], too_large);
    check("one that does not end", format!("--b\r\n{most}aaa").as_bytes(), &[], too_large);
    check("many lines", format!("--b\r\n{}", "A: 1\r\n".repeat(2000)).as_bytes(), &[], too_large);
}

/// The longest boundary, and one that looks like the hyphens before it.
#[test]
fn any_boundary_is_found() {
    for boundary in ["--", "-", "b".repeat(70).as_str(), "a b", "'()+_,-./:=?"] {
        let content = format!("\r\n-{boundary}\r\n--{}", &boundary[1..]);
        let content = if boundary.starts_with("--") || boundary == "-" { "\r\n-\r\n-" } else { content.as_str() };
        let body = format!("--{boundary}\r\nA: 1\r\n\r\n{content}\r\n--{boundary}--");
        let expected = reference::read(boundary, body.as_bytes());
        assert_eq!(expected.end, Ok(()), "{boundary}");
        assert_eq!(expected.parts[0].content, content.as_bytes(), "{boundary}");
        for cut in 1..body.len() {
            assert_eq!(play(boundary, body.as_bytes(), &[cut, usize::MAX]), expected, "{boundary}, cut at {cut}");
            assert_eq!(play(boundary, body.as_bytes(), &[cut]), expected, "{boundary}, in pieces of {cut}");
        }
    }
}
