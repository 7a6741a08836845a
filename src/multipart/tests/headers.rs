//! Headers of parts: names, file names, and what else they say.

use super::fuzzing::sow;
use crate::multipart::Part;
use crate::multipart::fault::Fault;

#[track_caller]
fn check(header: &str, expected: Result<(&str, Option<&str>), Fault>) {
    let lines = format!("{header}\r\n\r\n");
    let part = Part::read(lines.as_bytes());
    let names = part.as_ref().map(|part| (part.name(), part.file_name())).map_err(|fault| *fault);
    assert_eq!(names, expected, "{header}");
    sow(format!("--b\r\n{lines}x\r\n--b--\r\n").as_bytes());
}

#[test]
fn a_part_has_the_names_of_its_disposition() {
    for (disposition, name, file_name) in [
        (r#"form-data; name="a""#, "a", None),
        (r#"form-data; name="a"; filename="b.txt""#, "a", Some("b.txt")),
        (r#"form-data; filename="b.txt"; name="a""#, "a", Some("b.txt")),
        ("FORM-DATA;NAME=a;FileName=b.txt", "a", Some("b.txt")),
        (r#"form-data; name=""; filename="""#, "", Some("")),
        (r#"form-data; name="a;b=c"; x=y"#, "a;b=c", None),
        ("form-data; name=\"caf\u{e9}\"; filename=\"\u{65e5}\u{672c}.txt\"", "caf\u{e9}", Some("\u{65e5}\u{672c}.txt")),
    ] {
        check(&format!("Content-Disposition: {disposition}"), Ok((name, file_name)));
        check(&format!("X-A: b\r\ncontent-disposition:\t{disposition} \r\nX-B:"), Ok((name, file_name)));
    }
}

/// Browsers write `%22`, `%0D` and `%0A`, and nothing else; other clients put a backslash before a quote.
#[test]
fn names_are_decoded_as_they_are_encoded() {
    for (encoded, name) in [
        ("a%22b", "a\"b"),
        ("a%0D%0Ab%0a%0d", "a\r\nb\n\r"),
        ("100%", "100%"),
        ("%2", "%2"),
        ("%20%25%2F%00", "%20%25%2F%00"),
        ("%%22", "%\""),
        (r#"a\"b\\c"#, r#"a"b\c"#),
        (r"C:\new\table.txt", r"C:\new\table.txt"),
        (r"\\server\share", r"\server\share"),
        (r"a\%22", r#"a\""#),
        ("\u{e9}%22\u{1f600}", "\u{e9}\"\u{1f600}"),
        ("a\tb", "a\tb"),
    ] {
        check(&format!("Content-Disposition: form-data; name=\"{encoded}\""), Ok((name, None)));
        let header = format!("Content-Disposition: form-data; name=\"x\"; filename=\"{encoded}\"");
        check(&header, Ok(("x", Some(name))));
    }
}

/// A browser leaves a backslash as it is, also before the quote that ends the name.
#[test]
fn a_name_may_end_with_a_backslash() {
    for (parameters, name, file_name) in [
        (r#"name="a\""#, r"a\", None),
        (r#"name="a\"; filename="b.txt""#, r"a\", Some("b.txt")),
        (r#"name="a"; filename="b\""#, "a", Some(r"b\")),
        (r#"name="a\"; filename="b\\c%22\""#, r"a\", Some(r#"b\\c"\"#)),
        (r#"name="a\"; filename="; x=y""#, r"a\", Some("; x=y")),
        (r#"name="\"; filename="\""#, r"\", Some(r"\")),
    ] {
        check(&format!("Content-Disposition: form-data; {parameters}"), Ok((name, file_name)));
    }
    for parameters in [r#"name="a\"; name="b""#, r#"name="a\""; x"#, r#"name="a"; filename="\"#] {
        check(&format!("Content-Disposition: form-data; {parameters}"), Err(Fault::Disposition));
    }
}

#[test]
fn an_extended_file_name_counts_before_another() {
    for (parameters, file_name) in [
        ("filename*=UTF-8''caf%C3%A9.txt", "caf\u{e9}.txt"),
        ("filename*=utf-8'en'a%22b", "a\"b"),
        ("filename*=UTF-8''", ""),
        ("filename=plain.txt; filename*=UTF-8''other.txt", "other.txt"),
        ("filename*=UTF-8''other.txt; filename=\"plain.txt\"", "other.txt"),
        // So the `HttpClient` of .NET sends it.
        (r#"filename="=?utf-8?B?w6kudHh0?="; filename*=utf-8''%C3%A9.txt"#, "\u{e9}.txt"),
    ] {
        check(&format!("Content-Disposition: form-data; name=a; {parameters}"), Ok(("a", Some(file_name))));
    }
    for parameters in [
        "filename*=a.txt",
        "filename*=\"UTF-8''a\"",
        "filename*=UTF-8''%ff",
        "filename*=iso-8859-1''%e9",
        "filename*=UTF-8'a",
    ] {
        check(&format!("Content-Disposition: form-data; name=a; {parameters}"), Err(Fault::Disposition));
    }
}

#[test]
fn a_part_that_is_no_field_is_refused() {
    for header in [
        "Content-Type: text/plain",
        "Content-Disposition: form-data",
        "Content-Disposition: form-data; filename=\"a\"",
        "Content-Disposition: attachment; name=\"a\"",
        "Content-Disposition: name=\"a\"",
        "Content-Disposition: form-data; name",
        "Content-Disposition: form-data; name=\"a",
        "Content-Disposition: form-data; name=\"a\"b\"",
        "Content-Disposition: form-data; name=a b",
        "Content-Disposition: form-data; name=",
        "Content-Disposition: form-data, form-data; name=a",
        // Two readers could take different ones.
        "Content-Disposition: form-data; name=a; name=a",
        "Content-Disposition: form-data; name=a; filename=b; filename=c",
        "Content-Disposition: form-data; name=a; filename*=UTF-8''b; filename*=UTF-8''c",
        "Content-Disposition: form-data; name=a\r\nContent-Disposition: form-data; name=b",
    ] {
        check(header, Err(Fault::Disposition));
    }
}

#[test]
fn a_header_that_is_no_header_is_refused() {
    for header in [
        "Content-Disposition",
        "Content-Disposition : form-data; name=a",
        ": form-data; name=a",
        "Content-Disposition: form-data;\r\n name=a",
        "Content-Disposition: form-data; name=a\r\nX-A: \0",
        "Content-Disposition: form-data; name=a\r\nX-A: a\nb",
        "Content-Disposition: form-data; name=a\r\nX-A: a\rb",
        "Content-Disposition: form-data; name=a\r\nX A: b",
        "--b--",
    ] {
        check(header, Err(Fault::Header));
    }
    for header in [&b"\xff"[..], b"A: \xe9\r\n\r\n", b"A: 1", b""] {
        assert_eq!(Part::read(header).map(drop), Err(Fault::Header));
    }
    assert_eq!(Part::read(b"\r\n").map(drop), Err(Fault::Disposition));
}

#[test]
fn content_that_is_encoded_once_more_is_refused() {
    for (encoding, is_taken) in
        [("7bit", true), ("8BIT", true), ("binary", true), ("base64", false), ("quoted-printable", false), ("", false)]
    {
        let expected = if is_taken { Ok(("a", None)) } else { Err(Fault::TransferEncoding) };
        check(&format!("Content-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: {encoding}"), expected);
    }
}

#[test]
fn a_part_shows_its_field_lines() {
    let header = b"Content-Disposition: form-data; name=\"a\"; filename=\"../b\"\r\n\
        CONTENT-type:  image/png \r\nX-A:1\r\nx-a: 2\r\n\r\n";
    let part = Part::read(header).expect("a header");
    assert_eq!((part.content_type(), part.is_file(), part.safe_name()), (Some("image/png"), true, "b".to_owned()));
    assert_eq!((part.header("x-A"), part.header("x-b")), (Some("1"), None));
    let lines: Vec<_> = part.headers().skip(1).collect();
    assert_eq!(lines, [("CONTENT-type", "image/png"), ("X-A", "1"), ("x-a", "2")]);
    assert_eq!(format!("{part:?}"), r#"Part { name: "a", file_name: Some("../b"), content_type: Some("image/png") }"#);
    let plain = Part::read(b"Content-Disposition: form-data; name=a\r\n\r\n").expect("a header");
    assert_eq!((plain.content_type(), plain.is_file(), plain.safe_name()), (None, false, "unnamed".to_owned()));
}
