//! How a message is framed: transfer codings, and messages that have two lengths or two ends (RFC 9112 §6, §11.2).

use super::bodies::{BAD, CHUNKED, HI, POST};
use super::table::After::{Errs, Open};
use super::table::{Row, run, run_all};

#[test]
fn chunked_is_the_only_transfer_coding() {
    const END: &str = "\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
    let good = [
        "chunked",
        "Chunked",
        "CHUNKED",
        "cHuNkEd",
        "\tchunked",
        "chunked\t",
        " \tchunked\t ",
        "chunked,",
        ", chunked",
        ",chunked",
        ",,chunked , ,",
        ",\t,chunked",
    ];
    let bad = [
        "",
        ",",
        "identity",
        "chunked, identity",
        "identity, chunked",
        "chunked, chunked",
        "chunked,chunked",
        "gzip",
        "chunked, gzip",
        "xchunked",
        "chunkedx",
        "chunked;q=1",
        "chunked;",
        "chunked x",
        "\"chunked\"",
        "chunked=1",
        "cow",
        "chun ked",
        "c\u{212a}hunked",
        "gzip;q=1, chunked",
        "'chunked'",
        "chunk",
        "chunkedchunked",
        "chunked chunked",
        "x chunked",
        "cow chunked bar",
        "%63hunked",
        "=?utf-8?B?Y2h1bmtlZA==?=",
        "\"gzip, chunked\"",
        "chunked, gzip, chunked",
        "identity, chunked, identity",
        "identity, chunked, identity, chunked",
        "gzip, identity, chunked",
        "chunked, identity, ",
        "chunked; q=1",
        "chunked;q=\"1\"",
        "chunked, ;",
        "deflate",
        "compress",
        "x-gzip",
        "pigeons",
        "trailers",
        "\u{b}chunked",
        "\u{c}chunked",
        "chunked\u{b}",
        "chunked\0",
        "chunked\r",
        "chunked\u{7f}",
        "chunked\u{a0}",
        "\u{85}chunked",
        "ch\u{96}nked",
        ":chunked",
        ": chunked",
        "chunked\r\n \r\n",
    ];
    let unknown = [
        "gzip, chunked",
        "cow,chunked",
        "trailers, chunked",
        "deflate, chunked",
        "compress, chunked",
        "x-a, gzip, chunked",
        "gzip, , chunked",
        ", gzip, chunked,",
    ];
    let all = good.iter().map(|value| (value, HI, Open));
    let all = all.chain(bad.iter().map(|value| (value, BAD, Errs)));
    let all = all.chain(unknown.iter().map(|value| (value, &["501"][..], Errs)));
    let rows: Vec<_> = all
        .map(|(value, replies, after)| (*value, format!("{POST}Transfer-Encoding: {value}{END}"), replies, after))
        .collect();
    let table: Vec<Row<'_>> = rows.iter().map(|row| (row.0, row.1.as_bytes(), row.2, row.3)).collect();
    run(&table);
    let table: &[Row<'_>] = &[
        ("with a length", b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", BAD, Errs),
        (
            "and a length after it",
            b"Transfer-Encoding: chunked\r\nContent-Length: 12\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            BAD,
            Errs,
        ),
        ("and a length of zero", b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n", BAD, Errs),
        (
            "two lines of chunked",
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            BAD,
            Errs,
        ),
        (
            "chunked, then identity",
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
            BAD,
            Errs,
        ),
        (
            "two lines that make a list",
            b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            &["501"],
            Errs,
        ),
        (
            "a name with an underscore is another",
            b"Transfer_Encoding: chunked\r\nContent-Length: 2\r\n\r\nhi",
            HI,
            Open,
        ),
        ("a space before the colon", b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", BAD, Errs),
        ("not ASCII around it", b"Transfer-Encoding: \xa0chunked\r\n\r\n0\r\n\r\n", BAD, Errs),
        (
            "a length of what one chunk has",
            b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            BAD,
            Errs,
        ),
        ("a length and xchunked", b"Transfer-Encoding: xchunked\r\nContent-Length: 2\r\n\r\nhi", BAD, Errs),
        ("a length and identity", b"Transfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nhi", BAD, Errs),
        ("a length and gzip", b"Content-Length: 2\r\nTransfer-Encoding: gzip\r\n\r\nhi", BAD, Errs),
        ("a length and an empty coding", b"Transfer-Encoding:\r\nContent-Length: 2\r\n\r\nhi", BAD, Errs),
        ("a length and an empty list", b"Content-Length: 2\r\nTransfer-Encoding: ,\r\n\r\nhi", BAD, Errs),
        (
            "a length and three empty lines",
            b"Content-Length: 2\r\nTransfer-Encoding:\r\nTransfer-Encoding:\r\nTransfer-Encoding:\r\n\r\nhi",
            BAD,
            Errs,
        ),
        (
            "a length and an empty list member",
            b"Transfer-Encoding: , chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
            BAD,
            Errs,
        ),
        ("a length and another case", b"Transfer-Encoding: Chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", BAD, Errs),
        (
            "a length and a parameter",
            b"Transfer-Encoding: chunked;a=b\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
            BAD,
            Errs,
        ),
        ("a bad length and a coding", b"Transfer-Encoding: chunked\r\nContent-Length: 5x\r\n\r\n0\r\n\r\n", BAD, Errs),
        (
            "an empty line and then chunked",
            b"Transfer-Encoding:\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            HI,
            Open,
        ),
        (
            "chunked and then an empty line",
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding:\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            HI,
            Open,
        ),
        (
            "identity, then chunked",
            b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            BAD,
            Errs,
        ),
        ("chunked, then gzip", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n", BAD, Errs),
        ("over two lines", b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", BAD, Errs),
        ("over two lines by a tab", b"Transfer-Encoding:\r\n\tchunked\r\n\r\n0\r\n\r\n", BAD, Errs),
        ("over three lines", b"Transfer-Encoding:\r\n \r\n chunked\r\n\r\n0\r\n\r\n", BAD, Errs),
        ("over two lines, by a bare LF", b"Transfer-Encoding:\n chunked\r\n\r\n0\r\n\r\n", BAD, Errs),
        ("the second line of another field", b"X: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", BAD, Errs),
        ("a colon in front", b":Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", BAD, Errs),
        ("a space for the hyphen", b"Transfer Encoding: chunked\r\n\r\n0\r\n\r\n", BAD, Errs),
        ("a backslash for the hyphen", b"Transfer\\Encoding: chunked\r\n\r\n0\r\n\r\n", BAD, Errs),
        ("a word before the colon", b"Transfer-Encoding x: chunked\r\n\r\n0\r\n\r\n", BAD, Errs),
        ("an encoded name is another", b"Transfer-%45ncoding: chunked\r\nContent-Length: 2\r\n\r\nhi", HI, Open),
        (
            "named as an option of the connection",
            b"Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            HI,
            Open,
        ),
    ];
    run_all(POST, table);
    run_all(
        "POST /echo HTTP/1.0\r\n",
        &[
            ("on 1.0", b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", BAD, Errs),
            ("on 1.0 with a length", b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", BAD, Errs),
            ("an unknown one on 1.0", b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", BAD, Errs),
        ],
    );
    run_all(
        "GET / HTTP/1.0\r\n",
        &[(
            "on 1.0 with keep-alive",
            b"Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            BAD,
            Errs,
        )],
    );
}

/// Some readers find two messages in each of these, and others find one. monoloop refuses them all.
#[test]
fn a_message_with_two_lengths_is_refused() {
    const HIDDEN: &str = "GET /any HTTP/1.1\r\nHost: a\r\n\r\n";
    let len = HIDDEN.len();
    let (short, long) = (5, 5 + len);
    let fields = |first: &str, second: &str| format!("{POST}{first}\r\n{second}\r\n\r\n");
    let end = format!("0\r\n\r\n{HIDDEN}");
    let chunk = format!("{len:x}\r\n{HIDDEN}\r\n0\r\n\r\n");
    let by_length = format!("Content-Length: {long}");
    let cases = [
        ("a request after the last chunk", fields(&by_length, "Transfer-Encoding: chunked") + &end),
        ("the same with the fields exchanged", fields("Transfer-Encoding: chunked", &by_length) + &end),
        ("a request within a chunk", fields("Content-Length: 4", "Transfer-Encoding: chunked") + &chunk),
        ("the same, exchanged", fields("Transfer-Encoding: chunked", "Content-Length: 4") + &chunk),
        ("a length that is short", fields(&format!("Content-Length: {short}"), "Transfer-Encoding: chunked") + &end),
        ("a byte more than the chunks", fields("Content-Length: 6", "Transfer-Encoding: chunked") + "0\r\n\r\nX"),
        ("a length of nothing", fields("Content-Length: 0", "Transfer-Encoding: chunked") + &chunk),
        ("a HEAD", fields(&by_length, "Transfer-Encoding: chunked") + "0\r\n\r\nHEAD / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("two lengths", fields("Content-Length: 5", &by_length) + &end),
        ("two lengths, exchanged", fields(&by_length, "Content-Length: 5") + &end),
        ("a length of none and one", fields("Content-Length: 0", &format!("Content-Length: {len}")) + HIDDEN),
        ("a length with a sign", fields(&format!("Content-Length: +{long}"), "Transfer-Encoding: chunked") + &end),
        ("a length with a letter", fields(&format!("Content-Length: {long}x"), "Transfer-Encoding: chunked") + &end),
        ("a length with a space before its colon", fields(&format!("Content-Length : {len}"), "X: y") + HIDDEN),
        ("a list of lengths", fields(&format!("Content-Length: 0, {len}"), "X: y") + HIDDEN),
        ("an empty length", fields("Content-Length:", "X: y") + HIDDEN),
        ("a coding over two lines", fields("Transfer-Encoding:\r\n chunked", &by_length) + &end),
        ("a coding with a space after it", fields(&by_length, "Transfer-Encoding: chunked ") + &end),
        ("a coding with a tab in front", fields(&by_length, "Transfer-Encoding:\tchunked") + &end),
        ("a coding after a comma", fields(&by_length, "Transfer-Encoding: ,chunked") + &end),
        ("a coding in another case", fields(&by_length, "TRANSFER-ENCODING: cHUNKED") + &end),
        ("a coding in quotes", fields(&by_length, "Transfer-Encoding: \"chunked\"") + &end),
        ("a coding after a vertical tab", fields(&by_length, "Transfer-Encoding:\x0bchunked") + &end),
        ("a coding with a CR after it", fields(&by_length, "Transfer-Encoding: chunked\r") + &end),
        ("a coding after a bare LF", fields(&by_length, "X: y\nTransfer-Encoding: chunked") + &end),
        ("a coding after a bare CR", fields(&by_length, "X: y\rTransfer-Encoding: chunked") + &end),
        ("a coding with a space before its colon", fields(&by_length, "Transfer-Encoding : chunked") + &end),
        ("two codings", fields("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", &by_length) + &end),
        (
            "two codings, chunked last",
            fields("Transfer-Encoding: cow\r\nTransfer-Encoding: chunked", &by_length) + &end,
        ),
        ("chunked twice", fields("Transfer-Encoding: chunked", "Transfer-Encoding: chunked") + &end),
    ];
    let table: Vec<Row<'_>> = cases.iter().map(|(name, input)| (*name, input.as_bytes(), BAD, Errs)).collect();
    run(&table);
}

/// In each of these, a line or a chunk ends for some readers and not for others.
#[test]
fn a_message_with_two_ends_is_refused() {
    const HIDDEN: &str = "GET /any HTTP/1.1\r\nHost: a\r\n\r\n";
    let rest = format!("{:x}\r\nE\r\n0\r\n\r\n{HIDDEN}\r\n0\r\n\r\n", HIDDEN.len() + 8);
    let mut cases = Vec::new();
    for (name, end) in
        [("LF", "\n"), ("CR", "\r"), ("nothing", ""), ("two bytes", "XX"), ("CR X", "\rX"), ("CR CR", "\r\r")]
    {
        cases.push((format!("{name} after a size"), format!("{CHUNKED}2{end};a\r\n{rest}")));
        cases.push((format!("{name} after an extension"), format!("{CHUNKED}2;a={end}hi\r\n{rest}")));
        cases.push((format!("{name} after the data"), format!("{CHUNKED}2\r\nhi{end}{rest}")));
        cases.push((format!("{name} after the data, which is longer"), format!("{CHUNKED}2\r\nhi...{end}{rest}")));
        cases.push((format!("{name} after the last chunk"), format!("{CHUNKED}0{end}X:{HIDDEN}")));
    }
    let table: Vec<Row<'_>> = cases.iter().map(|(name, input)| (&name[..], input.as_bytes(), BAD, Errs)).collect();
    run(&table);
}
