//! Content: its length, the chunked coding, expectations, and content that nobody reads (RFC 9112 §6, §7).

use super::bench::{Bench, Fate, bench, small};
use super::fuzzing::compare_decoders;
use super::heads::run_each_byte;
use super::table::After::{Closes, Errs, FinErrs, Open};
use super::table::{Row, run};
use crate::config::Config;
use crate::h1::body::BodyDecoder;
use crate::h1::framing::Framing;
use crate::limits::{MAX_BUFFERED, MAX_CHUNK_EXTENSIONS, MAX_CHUNK_LINE, MAX_DISCARD, MAX_TRAILERS};

const BAD: &[&str] = &["400"];
const HI: &[&str] = &["200 hi"];

/// Rows of one kind: only what stands behind the common part of the head differs.
#[track_caller]
fn run_all(front: &str, rows: &[(&str, &[u8], &[&str], super::table::After)]) {
    let inputs: Vec<Vec<u8>> = rows.iter().map(|row| [front.as_bytes(), row.1].concat()).collect();
    let table: Vec<Row<'_>> = rows.iter().zip(&inputs).map(|(row, input)| (row.0, &input[..], row.2, row.3)).collect();
    run(&table);
}

const POST: &str = "POST /echo HTTP/1.1\r\nHost: a\r\n";
const CHUNKED: &str = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

#[test]
fn content_length() {
    let table: &[Row<'_>] = &[
        ("two bytes", b"Content-Length: 2\r\n\r\nhi", HI, Open),
        ("none", b"Content-Length: 0\r\n\r\n", &["200 "], Open),
        ("not told is none", b"\r\n", &["200 "], Open),
        ("leading zeros are decimal", b"Content-Length: 0002\r\n\r\nhi", HI, Open),
        ("not octal", b"Content-Length: 010\r\n\r\n0123456789", &["200 0123456789"], Open),
        ("white space around it", b"Content-Length: \t 2 \t\r\n\r\nhi", HI, Open),
        ("a name in any case", b"cONTENT-lENGTH: 2\r\n\r\nhi", HI, Open),
        (
            "content that looks like a request",
            b"Content-Length: 18\r\n\r\nGET / HTTP/1.1\r\n\r\n",
            &["200 GET / HTTP/1.1\r\n\r\n"],
            Open,
        ),
        ("content of CRLF", b"Content-Length: 4\r\n\r\n\r\n\r\n", &["200 \r\n\r\n"], Open),
        ("a plus sign", b"Content-Length: +2\r\n\r\nhi", BAD, Errs),
        ("a minus sign", b"Content-Length: -2\r\n\r\nhi", BAD, Errs),
        ("minus zero", b"Content-Length: -0\r\n\r\n", BAD, Errs),
        ("hexadecimal", b"Content-Length: 0x2\r\n\r\nhi", BAD, Errs),
        ("an underscore", b"Content-Length: 0_2\r\n\r\nhi", BAD, Errs),
        ("a space within", b"Content-Length: 0 2\r\n\r\nhi", BAD, Errs),
        ("a list", b"Content-Length: 2,10\r\n\r\nhi", BAD, Errs),
        ("a list of equals", b"Content-Length: 2, 2\r\n\r\nhi", BAD, Errs),
        ("an empty list member", b"Content-Length: 2,\r\n\r\nhi", BAD, Errs),
        ("a semicolon", b"Content-Length: 2;\r\n\r\nhi", BAD, Errs),
        ("a fraction", b"Content-Length: 2.0\r\n\r\nhi", BAD, Errs),
        ("an exponent", b"Content-Length: 2e0\r\n\r\nhi", BAD, Errs),
        ("quotes", b"Content-Length: \"2\"\r\n\r\nhi", BAD, Errs),
        ("a word", b"Content-Length: two\r\n\r\nhi", BAD, Errs),
        ("empty", b"Content-Length:\r\n\r\nhi", BAD, Errs),
        ("digits of another script", b"Content-Length: \xd9\xa2\r\n\r\nhi", BAD, Errs),
        ("2 to the 64", b"Content-Length: 18446744073709551616\r\n\r\nhi", BAD, Errs),
        ("2 to the 64 and 2", b"Content-Length: 18446744073709551618\r\n\r\nhi", BAD, Errs),
        ("a hundred digits", &[b"Content-Length: ".as_slice(), &[b'9'; 100], b"\r\n\r\n"].concat(), BAD, Errs),
        ("twice", b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi!", BAD, Errs),
        ("twice and equal", b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi", BAD, Errs),
        ("twice, one of them zero", b"Content-Length: 0\r\nContent-Length: 2\r\n\r\nhi", BAD, Errs),
        (
            "as much as there may be",
            &[b"Content-Length: 64\r\n\r\n".as_slice(), &[b'x'; 64]].concat(),
            &["200 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"],
            Open,
        ),
        ("one byte more", &[b"Content-Length: 65\r\n\r\n".as_slice(), &[b'x'; 65]].concat(), &["413"], Errs),
        ("too much, decided before it comes", b"Content-Length: 65\r\n\r\n", &["413"], Errs),
        ("2 to the 64 less one", b"Content-Length: 18446744073709551615\r\n\r\n", &["413"], Errs),
        ("FIN before the content", b"Content-Length: 2\r\n\r\n", BAD, FinErrs),
        ("FIN within the content", b"Content-Length: 3\r\n\r\nhi", BAD, FinErrs),
        ("no space behind the colon", b"Content-Length:2\r\n\r\nhi", HI, Open),
        ("two zeros", b"Content-Length: 00\r\n\r\n", &["200 "], Open),
        ("many zeros in front", b"Content-Length: 00000000000000000000000000000002\r\n\r\nhi", HI, Open),
        (
            "bytes behind content of none begin the next request",
            b"Content-Length: 0\r\n\r\nXGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            &["200 ", "501"],
            Errs,
        ),
        ("content behind no length is a request that is none", b"\r\n{\"a\":\"b\"}\r\n\r\n", &["200 ", "400"], Errs),
        ("the name with an underscore is another", b"Content_Length: 50\r\nContent-Length: 2\r\n\r\nhi", HI, Open),
        ("a tab in the name", b"Content\tLength: 50\r\nContent-Length: 2\r\n\r\nhi", BAD, Errs),
        ("one more with a space before the colon", b"Content-Length: 2\r\nContent-Length : 1\r\n\r\nhi", BAD, Errs),
        ("one more with NEL before the colon", b"Content-Length: 2\r\nContent-Length\x85: 1\r\n\r\nhi", BAD, Errs),
        ("a plus sign and an underscore", b"Content-Length: +0_2\r\n\r\nhi", BAD, Errs),
        ("a space behind a sign", b"Content-Length: + 2\r\n\r\nhi", BAD, Errs),
        ("octal by its prefix", b"Content-Length: 0o2\r\n\r\nhi", BAD, Errs),
        ("binary by its prefix", b"Content-Length: 0b10\r\n\r\nhi", BAD, Errs),
        ("hexadecimal digits", b"Content-Length: a\r\n\r\n0123456789", BAD, Errs),
        ("a letter behind it", b"Content-Length: 2x\r\n\r\nhi", BAD, Errs),
        ("a space and a zero in front", b"Content-Length: 0 0 2\r\n\r\nhi", BAD, Errs),
        ("a tab within", b"Content-Length: 0\t2\r\n\r\nhi", BAD, Errs),
        ("a fraction without a digit in front", b"Content-Length: .2\r\n\r\nhi", BAD, Errs),
        ("a list with a zero in front", b"Content-Length: 0, 2\r\n\r\nhi", BAD, Errs),
        ("a list with a zero at its end", b"Content-Length: 2, 0\r\n\r\nhi", BAD, Errs),
        ("a list of three equals", b"Content-Length: 2, 2, 2\r\n\r\nhi", BAD, Errs),
        ("an empty list member in front", b"Content-Length: ,2\r\n\r\nhi", BAD, Errs),
        ("a parameter", b"Content-Length: 2;a=b\r\n\r\nhi", BAD, Errs),
        ("single quotes", b"Content-Length: '2'\r\n\r\nhi", BAD, Errs),
        ("a NUL behind it", b"Content-Length: 2\0\r\n\r\nhi", BAD, Errs),
        ("a no-break space in front", b"Content-Length: \xa02\r\n\r\nhi", BAD, Errs),
        ("a full-width digit", b"Content-Length: \xef\xbc\x92\r\n\r\nhi", BAD, Errs),
        ("a superscript digit", b"Content-Length: \xc2\xb2\r\n\r\nhi", BAD, Errs),
        ("nothing but spaces", b"Content-Length: \t \r\n\r\nhi", BAD, Errs),
        ("over two lines", b"Content-Length:\r\n 2\r\n\r\nhi", BAD, Errs),
        ("2 to the 65", b"Content-Length: 36893488147419103232\r\n\r\nhi", BAD, Errs),
        ("far below zero", b"Content-Length: -123456789123456789123456789\r\n\r\n", BAD, Errs),
        ("twice, the first of them empty", b"Content-Length:\r\nContent-Length: 2\r\n\r\nhi", BAD, Errs),
        ("twice, the second of them empty", b"Content-Length: 2\r\nContent-Length:\r\n\r\nhi", BAD, Errs),
        ("twice, with other fields between", b"Content-Length: 2\r\nX: y\r\ncontent-length: 2\r\n\r\nhi", BAD, Errs),
        ("twice, zero and then what follows", b"Content-Length: 2\r\nContent-Length: 0\r\n\r\nhi", BAD, Errs),
        ("2 to the 63", b"Content-Length: 9223372036854775808\r\n\r\n", &["413"], Errs),
        ("2 to the 32 and 2", b"Content-Length: 4294967298\r\n\r\nhi", &["413"], Errs),
    ];
    run_all(POST, table);
}

#[test]
fn content_of_other_requests() {
    let table: &[Row<'_>] = &[
        ("GET with content", b"GET /query HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", &["200 none"], Open),
        (
            "GET with chunks",
            b"GET /query HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n\
            0\r\n\r\n",
            &["200 none"],
            Open,
        ),
        ("HEAD with content", b"HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", &["200 "], Open),
        ("1.0 with content", b"POST /echo HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi", HI, Closes),
        (
            "1.0 with content that stays",
            b"POST /echo HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\
            \r\nhi",
            HI,
            Open,
        ),
        (
            "a form",
            b"POST /form HTTP/1.1\r\nHost: a\r\n\
            Content-Type: Application/x-www-form-urlencoded; charset=utf-8\r\nContent-Length: 12\r\n\r\n\
                name=A+%26%42",
            &["200 A &"],
            Errs,
        ),
        (
            "a form of another type",
            b"POST /form HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\n\
            Content-Length: 6\r\n\r\nname=A",
            &["415"],
            Open,
        ),
        (
            "a handler that closes",
            b"POST /close HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n\
            hi",
            &["200 bye"],
            Closes,
        ),
        (
            "HEAD with chunks",
            b"HEAD / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            &["200 "],
            Open,
        ),
        ("PUT with content", b"PUT /any HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", &["200 PUT"], Open),
        ("PATCH with content", b"PATCH /any HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", &["200 PATCH"], Open),
        (
            "DELETE with content",
            b"DELETE /any HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
            &["200 DELETE"],
            Open,
        ),
        (
            "DELETE with chunks",
            b"DELETE /any HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            &["200 DELETE"],
            Open,
        ),
        (
            "GET with content that begins a request",
            b"GET /query HTTP/1.1\r\nHost: a\r\nContent-Length: 18\r\n\r\nGET / HTTP/1.1\r\nHo",
            &["200 none"],
            Open,
        ),
        (
            "HEAD with content that is a request",
            b"HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 27\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            &["200 "],
            Open,
        ),
        (
            "1.0 with content that is a request",
            b"POST /echo HTTP/1.0\r\nContent-Length: 18\r\n\r\nGET / HTTP/1.1\r\n\r\n",
            &["200 GET / HTTP/1.1\r\n\r\n"],
            Closes,
        ),
    ];
    // The form is one byte longer than it says; what is left over begins a request that is none.
    let (mut table, wrong) = (table.to_vec(), table.iter().position(|row| row.0 == "a form").expect("it is there"));
    let fixed = String::from_utf8_lossy(table[wrong].1).replace("Length: 12", "Length: 13");
    table[wrong] = ("a form", fixed.as_bytes(), &["200 A &B"], Open);
    run(&table);
}

#[test]
fn transfer_encoding() {
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
            "and a length behind it",
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
        &[("on 1.0 that stays", b"Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", BAD, Errs)],
    );
}

#[test]
fn good_chunks() {
    let table: &[Row<'_>] = &[
        ("one", b"2\r\nhi\r\n0\r\n\r\n", HI, Open),
        ("none", b"0\r\n\r\n", &["200 "], Open),
        ("several", b"1\r\nh\r\n1\r\ni\r\n5\r\n, you\r\n0\r\n\r\n", &["200 hi, you"], Open),
        ("a size in lower case", b"a\r\n0123456789\r\n0\r\n\r\n", &["200 0123456789"], Open),
        ("a size in upper case", b"A\r\n0123456789\r\n0\r\n\r\n", &["200 0123456789"], Open),
        ("leading zeros", b"0002\r\nhi\r\n000\r\n\r\n", HI, Open),
        ("many leading zeros", b"00000000000000000002\r\nhi\r\n00000000000000000000\r\n\r\n", HI, Open),
        ("data of CRLF", b"4\r\n\r\n\r\n\r\n0\r\n\r\n", &["200 \r\n\r\n"], Open),
        ("data that looks like the end", b"5\r\n0\r\n\r\n\r\n0\r\n\r\n", &["200 0\r\n\r\n"], Open),
        ("an extension", b"2;a\r\nhi\r\n0;b\r\n\r\n", HI, Open),
        ("an extension with a value", b"2;a=b\r\nhi\r\n0;c=d;e\r\n\r\n", HI, Open),
        ("a quoted value", b"2;a=\"b;c=\\\"d\\\\ \t\xff\"\r\nhi\r\n0\r\n\r\n", HI, Open),
        ("an empty quoted value", b"2;a=\"\"\r\nhi\r\n0\r\n\r\n", HI, Open),
        ("white space around ; and =", b"2 ;\ta =\t\"b\" \t; c\r\nhi\r\n0\r\n\r\n", HI, Open),
        ("a trailer", b"2\r\nhi\r\n0\r\nX: y\r\n\r\n", HI, Open),
        ("trailers", b"2\r\nhi\r\n0\r\nX:\r\nY:  z \t\xff\r\n\r\n", HI, Open),
        ("a length in the trailers", b"2\r\nhi\r\n0\r\nContent-Length: 50\r\n\r\n", HI, Open),
        (
            "framing and Host in the trailers",
            b"2\r\nhi\r\n0\r\nTransfer-Encoding: gzip\r\nHost: b\r\nConnection: close\r\n\r\n",
            HI,
            Open,
        ),
        ("a size of sixteen digits", b"0000000000000002\r\nhi\r\n0\r\n\r\n", HI, Open),
        ("the last size in many zeros", b"2\r\nhi\r\n0000000000000000000000\r\n\r\n", HI, Open),
        ("an extension with a quoted semicolon", b"2;a=\";\";b\r\nhi\r\n0\r\n\r\n", HI, Open),
        ("white space behind the semicolon", b"2; some; more=stuff\r\nhi\r\n0\r\n\r\n", HI, Open),
        ("an extension that looks like a size", b"2;5=6\r\nhi\r\n0\r\n\r\n", HI, Open),
        ("credentials in the trailers", b"2\r\nhi\r\n0\r\nAuthorization: Basic YTpi\r\nCookie: a=b\r\n\r\n", HI, Open),
        ("a type in the trailers", b"2\r\nhi\r\n0\r\nContent-Type: text/x\r\nContent-Encoding: gzip\r\n\r\n", HI, Open),
        ("a coding in the trailers", b"2\r\nhi\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n", HI, Open),
        ("an expectation in the trailers", b"2\r\nhi\r\n0\r\nExpect: tea\r\n\r\n", HI, Open),
        ("a trailer that looks like a request", b"2\r\nhi\r\n0\r\nX:GET / HTTP/1.1\r\n\r\n", HI, Open),
        ("a byte behind the end", b"2\r\nhi\r\n0\r\n\r\n\0", &["200 hi", "400"], Errs),
        ("an empty line behind the end", b"2\r\nhi\r\n0\r\n\r\n\r\n", HI, Open),
        (
            "a request behind the end",
            b"2\r\nhi\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            &["200 hi", "200 hello"],
            Open,
        ),
    ];
    run_all(CHUNKED, table);
}

#[test]
fn bad_chunks() {
    let table: &[(&str, &[u8])] = &[
        ("no size", b"\r\nhi\r\n0\r\n\r\n"),
        ("an empty line in front", b"\r\n2\r\nhi\r\n0\r\n\r\n"),
        ("a space before the size", b" 2\r\nhi\r\n0\r\n\r\n"),
        ("a space behind the size", b"2 \r\nhi\r\n0\r\n\r\n"),
        ("a tab behind the size", b"2\t\r\nhi\r\n0\r\n\r\n"),
        ("a plus sign", b"+2\r\nhi\r\n0\r\n\r\n"),
        ("a minus sign", b"-2\r\nhi\r\n0\r\n\r\n"),
        ("0x", b"0x2\r\nhi\r\n0\r\n\r\n"),
        ("h", b"2h\r\nhi\r\n0\r\n\r\n"),
        ("an underscore", b"0_2\r\nhi\r\n0\r\n\r\n"),
        ("a letter that is no digit", b"g\r\nhi\r\n0\r\n\r\n"),
        ("a comma", b"2,\r\nhi\r\n0\r\n\r\n"),
        ("a full-width digit", b"\xef\xbc\x92\r\nhi\r\n0\r\n\r\n"),
        ("a NUL behind the size", b"2\0\r\nhi\r\n0\r\n\r\n"),
        ("bare LF behind the size", b"2\nhi\r\n0\r\n\r\n"),
        ("bare CR behind the size", b"2\rhi\r\n0\r\n\r\n"),
        ("CR CR LF behind the size", b"2\r\r\nhi\r\n0\r\n\r\n"),
        ("too little data", b"3\r\nhi\r\n0\r\n\r\n"),
        ("too much data", b"1\r\nhi\r\n0\r\n\r\n"),
        ("bare LF behind the data", b"2\r\nhi\n0\r\n\r\n"),
        ("bare CR behind the data", b"2\r\nhi\r0\r\n\r\n"),
        ("nothing behind the data", b"2\r\nhi0\r\n\r\n"),
        ("two bytes that are no CRLF", b"2\r\nhiXX0\r\n\r\n"),
        ("an empty extension", b"2;\r\nhi\r\n0\r\n\r\n"),
        ("two semicolons", b"2;;a\r\nhi\r\n0\r\n\r\n"),
        ("an extension without a name", b"2;=a\r\nhi\r\n0\r\n\r\n"),
        ("an empty value", b"2;a=\r\nhi\r\n0\r\n\r\n"),
        ("two equals signs", b"2;a==b\r\nhi\r\n0\r\n\r\n"),
        ("two names", b"2;a b\r\nhi\r\n0\r\n\r\n"),
        ("a quoted name", b"2;\"a\"\r\nhi\r\n0\r\n\r\n"),
        ("a quote that does not end", b"2;a=\"b\r\nhi\r\n0\r\n\r\n"),
        ("bytes behind a quote", b"2;a=\"b\"c\r\nhi\r\n0\r\n\r\n"),
        ("an escaped CR", b"2;a=\"\\\r\n\"\r\nhi\r\n0\r\n\r\n"),
        ("a NUL in an extension", b"2;a\0\r\nhi\r\n0\r\n\r\n"),
        ("a NUL in a quote", b"2;a=\"\0\"\r\nhi\r\n0\r\n\r\n"),
        ("bare LF in an extension", b"2;a\nhi\r\n0\r\n\r\n"),
        ("bare LF hides in an extension", b"2;a=\"\n\"\r\nhi\r\n0\r\n\r\n"),
        ("bare CR in an extension", b"2;a\rb\r\nhi\r\n0\r\n\r\n"),
        ("white space at the end of an extension", b"2;a \r\nhi\r\n0\r\n\r\n"),
        ("an extension that is not ASCII", b"2;\xc3\xa9\r\nhi\r\n0\r\n\r\n"),
        ("bare LF behind the last chunk", b"2\r\nhi\r\n0\n\r\n"),
        ("bare LF for the last line", b"2\r\nhi\r\n0\r\n\n"),
        ("bare CR for the last line", b"2\r\nhi\r\n0\r\n\rX"),
        ("a trailer without a colon", b"2\r\nhi\r\n0\r\nX\r\n\r\n"),
        ("a trailer without a name", b"2\r\nhi\r\n0\r\n: y\r\n\r\n"),
        ("a trailer with a space before the colon", b"2\r\nhi\r\n0\r\nX : y\r\n\r\n"),
        ("a trailer with a space in front", b"2\r\nhi\r\n0\r\n X: y\r\n\r\n"),
        ("a folded trailer", b"2\r\nhi\r\n0\r\nX: y\r\n z\r\n\r\n"),
        ("a trailer with a bare LF", b"2\r\nhi\r\n0\r\nX: y\n\r\n"),
        ("a trailer with a bare CR", b"2\r\nhi\r\n0\r\nX: y\rz\r\n\r\n"),
        ("a trailer with a NUL", b"2\r\nhi\r\n0\r\nX: \0\r\n\r\n"),
        ("a request for a trailer", b"2\r\nhi\r\n0\r\nGET / HTTP/1.1\r\n\r\n"),
        ("a tab before the size", b"\t2\r\nhi\r\n0\r\n\r\n"),
        ("a vertical tab before the size", b"\x0b2\r\nhi\r\n0\r\n\r\n"),
        ("a NUL before the size", b"\x002\r\nhi\r\n0\r\n\r\n"),
        ("many spaces before the last size", b"2\r\nhi\r\n           0\r\n\r\n"),
        ("a space behind the last size", b"2\r\nhi\r\n0 \r\n\r\n"),
        ("a sign before the last size", b"2\r\nhi\r\n+0\r\n\r\n"),
        ("a minus sign before the last size", b"2\r\nhi\r\n-0\r\n\r\n"),
        ("0x before the last size", b"2\r\nhi\r\n0x0\r\n\r\n"),
        ("a sign and 0x", b"-0x0\r\n\r\n"),
        ("an empty size for the last", b"2\r\nhi\r\n\r\n\r\n"),
        ("an empty line between two chunks", b"2\r\nhi\r\n\r\n0\r\n\r\n"),
        ("a size that is a number in front only", b"2these\r\nhi\r\n0\r\n\r\n"),
        ("an underscore within", b"1_0\r\n0123456789abcdef\r\n0\r\n\r\n"),
        ("a fraction", b"2.0\r\nhi\r\n0\r\n\r\n"),
        ("two sizes", b"2 2\r\nhi\r\n0\r\n\r\n"),
        ("a digit of another script", b"\xd9\xa2\r\nhi\r\n0\r\n\r\n"),
        ("no size but an extension", b";a=b\r\nhi\r\n0\r\n\r\n"),
        ("a space for the size", b" ;a=b\r\nhi\r\n0\r\n\r\n"),
        ("an extension without a semicolon", b"2 a=b\r\nhi\r\n0\r\n\r\n"),
        ("bare LF before an extension", b"2\n;a\r\nhi\r\n0\r\n\r\n"),
        ("bare CR before an extension", b"2\r;a\r\nhi\r\n0\r\n\r\n"),
        ("two CRs before an extension", b"2\r\r;a\r\nhi\r\n0\r\n\r\n"),
        ("CR and a byte before an extension", b"2\rX;a\r\nhi\r\n0\r\n\r\n"),
        ("bare LF behind a semicolon", b"2;\nhi\r\n0\r\n\r\n"),
        ("bare CR behind a semicolon", b"2;\rhi\r\n0\r\n\r\n"),
        ("two CRs behind an extension", b"2;a\r\rhi\r\n0\r\n\r\n"),
        ("two CRs behind a value", b"2;a=b\r\rhi\r\n0\r\n\r\n"),
        ("CR and a byte behind an extension", b"2;a\rXhi\r\n0\r\n\r\n"),
        ("CRLF within a quote", b"2;a=\"\r\n\"\r\nhi\r\n0\r\n\r\n"),
        ("a bracket in an extension", b"2;a[=x\r\nhi\r\n0\r\n\r\n"),
        ("a bracket in a value", b"2;a=[\r\nhi\r\n0\r\n\r\n"),
        ("a control byte in a value", b"2;a=\x01\r\nhi\r\n0\r\n\r\n"),
        ("a DEL in a quote", b"2;a=\"\x7f\"\r\nhi\r\n0\r\n\r\n"),
        ("a value of two words", b"2;a=b c\r\nhi\r\n0\r\n\r\n"),
        ("an empty extension of the last chunk", b"2\r\nhi\r\n0;\r\n\r\n"),
        ("a comma for the semicolon", b"2,a=b\r\nhi\r\n0\r\n\r\n"),
        ("CR and a byte behind the data", b"2\r\nhi\rX0\r\n\r\n"),
        ("two CRs behind the data", b"2\r\nhi\r\r0\r\n\r\n"),
        ("a byte and LF behind the data", b"2\r\nhiX\n0\r\n\r\n"),
        ("LF CR behind the data", b"2\r\nhi\n\r0\r\n\r\n"),
        ("a space behind the data", b"2\r\nhi \r\n0\r\n\r\n"),
        ("CR CR LF behind the last chunk", b"2\r\nhi\r\n0\r\r\n\r\n"),
        ("bare LF twice behind the last chunk", b"2\r\nhi\r\n0\n\n"),
        ("two bytes for the last line", b"2\r\nhi\r\n0\r\n\x01\x02"),
        ("CR and a byte behind a trailer", b"2\r\nhi\r\n0\r\nX: y\r\n\rX"),
        ("CR CR LF behind a trailer", b"2\r\nhi\r\n0\r\nX: y\r\r\n\r\n"),
        ("a trailer with a tab before the colon", b"2\r\nhi\r\n0\r\nX\t: y\r\n\r\n"),
        ("a trailer with a tab in front", b"2\r\nhi\r\n0\r\n\tX: y\r\n\r\n"),
        ("a trailer with a DEL", b"2\r\nhi\r\n0\r\nX: \x7f\r\n\r\n"),
        ("a trailer whose name is not ASCII", b"2\r\nhi\r\n0\r\nX\xc3\xa9: y\r\n\r\n"),
        ("a trailer whose name is no token", b"2\r\nhi\r\n0\r\nX(Y): z\r\n\r\n"),
    ];
    let table: Vec<Row<'_>> = table.iter().map(|(name, input)| (*name, *input, BAD, Errs)).collect();
    run_all(CHUNKED, &table);
    let table: &[Row<'_>] = &[
        ("a size of 2 to the 64", b"10000000000000000\r\n", &["413"], Errs),
        ("a size of 2 to the 64 and 2", b"10000000000000002\r\nhi\r\n0\r\n\r\n", &["413"], Errs),
        ("a size of 2 to the 64 less one", b"FFFFFFFFFFFFFFFF\r\n", &["413"], Errs),
        ("a size that wraps to zero", b"FFFFFFFFFFFFFFFF0\r\nhi\r\n0\r\n\r\n", &["413"], Errs),
        ("a size that wraps below zero", b"FFFFFFFFFFFFFFFE\r\nhi\r\n0\r\n\r\n", &["413"], Errs),
        ("a size of 2 to the 63", b"8000000000000000\r\nhi\r\n0\r\n\r\n", &["413"], Errs),
        ("a size of 2 to the 32 and 2", b"100000002\r\nhi\r\n0\r\n\r\n", &["413"], Errs),
        ("FIN before the first chunk", b"", BAD, FinErrs),
        ("FIN within a size", b"2", BAD, FinErrs),
        ("FIN within data", b"3\r\nhi", BAD, FinErrs),
        ("FIN behind data", b"2\r\nhi\r\n", BAD, FinErrs),
        ("FIN behind the last chunk", b"2\r\nhi\r\n0\r\n", BAD, FinErrs),
        ("FIN before the last LF", b"2\r\nhi\r\n0\r\n\r", BAD, FinErrs),
        ("FIN within the trailers", b"2\r\nhi\r\n0\r\nX: y\r\n", BAD, FinErrs),
    ];
    run_all(CHUNKED, table);
}

#[test]
fn bounds_of_chunks() {
    let line = MAX_CHUNK_LINE as usize;
    let extension = |bytes: usize| format!("2;{}\r\nhi\r\n0\r\n\r\n", "a".repeat(bytes - 4)).into_bytes();
    let digits = |bytes: usize| format!("{}2\r\nhi\r\n0\r\n\r\n", "0".repeat(bytes - 3)).into_bytes();
    let trailer = |bytes: u32| format!("2\r\nhi\r\n0\r\nX:{}\r\n\r\n", "y".repeat(bytes as usize - 6)).into_bytes();
    let many = |lines: usize, value: usize| {
        let front = format!("1;{}\r\nx\r\n", "a".repeat(value)).repeat(lines);
        format!("{front}0\r\n\r\n").into_bytes()
    };
    let sizes = |count: usize| format!("{}0\r\n\r\n", "1\r\nx\r\n".repeat(count)).into_bytes();
    let all = "x".repeat(64);
    let all = format!("200 {all}");
    let table: &[Row<'_>] = &[
        ("the longest line", &extension(line), HI, Open),
        ("a line that is too long", &extension(line + 1), BAD, Errs),
        ("a line without an end", &[b'0'; 300], BAD, Errs),
        ("the longest size", &digits(line), HI, Open),
        ("a size that is too long", &digits(line + 1), BAD, Errs),
        ("the longest trailers", &trailer(MAX_TRAILERS), HI, Open),
        ("trailers that are too long", &trailer(MAX_TRAILERS + 2), &["431"], Errs),
        ("as many chunks as fit", &sizes(64), &[&all], Open),
        ("one byte too many", &sizes(65), &["413"], Errs),
        (
            "one chunk that is too large",
            &[b"41\r\n".as_slice(), &[b'x'; 65], b"\r\n0\r\n\r\n"].concat(),
            &["413"],
            Errs,
        ),
    ];
    run_all(CHUNKED, table);
    // Extensions over a whole body.
    let mut bench = bench();
    let lines = MAX_CHUNK_EXTENSIONS as usize / 200;
    bench.send(CHUNKED).send(many(lines - 1, 190));
    assert_eq!((bench.statuses(), bench.fate()), (vec![200], Fate::Open));
    bench.restart();
    bench.send(CHUNKED).send(many(lines + 8, 198));
    assert_eq!((bench.statuses(), bench.fate()), (vec![400], Fate::Lingers));
}

#[test]
fn expectations() {
    let table: &[Row<'_>] = &[
        (
            "100-continue with content",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\
            Content-Length: 2\r\n\r\nhi",
            HI,
            Open,
        ),
        (
            "100-Continue in any case",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nexpect: 100-CONTINUE\r\n\
            Content-Length: 2\r\n\r\nhi",
            HI,
            Open,
        ),
        (
            "100-continue with chunks",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\
            Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            HI,
            Open,
        ),
        (
            "100-continue without content",
            b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
            &["200 hello"],
            Open,
        ),
        (
            "100-continue on 1.0",
            b"POST /echo HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n\
            hi",
            HI,
            Closes,
        ),
        ("something else", b"GET / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n", &["417"], Open),
        ("nothing", b"GET / HTTP/1.1\r\nHost: a\r\nExpect:\r\n\r\n", &["200 hello"], Open),
        ("a list of nothing", b"GET / HTTP/1.1\r\nHost: a\r\nExpect: ,\t,\r\n\r\n", &["200 hello"], Open),
        (
            "100-continue behind an empty member",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: , 100-continue\r\nContent-Length: 2\r\n\r\nhi",
            HI,
            Open,
        ),
        (
            "100-continue twice in a list",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue,100-Continue,\r\nContent-Length: 2\r\n\r\nhi",
            HI,
            Open,
        ),
        (
            "something else with content",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: tea\r\nContent-Length: 2\r\n\
            \r\nhi",
            &["417"],
            Errs,
        ),
        (
            "two",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: tea\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\
            \r\nhi",
            &["417"],
            Errs,
        ),
        (
            "a list",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue, tea\r\nContent-Length: 2\r\n\r\n\
            hi",
            &["417"],
            Errs,
        ),
        (
            "100-continue for too much",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\
            Content-Length: 65\r\n\r\n",
            &["413"],
            Errs,
        ),
        (
            "100-continue for nothing there",
            b"POST /nowhere HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\
            Content-Length: 2\r\n\r\n",
            &["404"],
            Errs,
        ),
        (
            "100-continue for a GET route",
            b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\
            Content-Length: 2\r\n\r\n",
            &["405"],
            Errs,
        ),
        (
            "100-continue twice",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
            HI,
            Open,
        ),
        (
            "100-continue and a request behind",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhiGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            &["200 hi", "200 hello"],
            Open,
        ),
        (
            "100-continue of HEAD",
            b"HEAD / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
            &["200 "],
            Open,
        ),
        (
            "100-continue and the last request",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
            HI,
            Closes,
        ),
        (
            "100-continue and a bad length",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: +2\r\n\r\nhi",
            BAD,
            Errs,
        ),
        (
            "100-continue on 1.0 that stays",
            b"POST /echo HTTP/1.0\r\nConnection: keep-alive\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
            HI,
            Open,
        ),
        ("something else on 1.0", b"GET / HTTP/1.0\r\nExpect: tea\r\n\r\n", &["417"], Closes),
        ("something else for nothing there", b"GET /nowhere HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n", &["417"], Open),
        ("another status code", b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n", &["417"], Open),
        ("100-continue with a letter more", b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continued\r\n\r\n", &["417"], Open),
        ("100-continue with a parameter", b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue;a=b\r\n\r\n", &["417"], Open),
        ("100-continue behind a word", b"GET / HTTP/1.1\r\nHost: a\r\nExpect: x 100-continue\r\n\r\n", &["417"], Open),
        ("100-continue in quotes", b"GET / HTTP/1.1\r\nHost: a\r\nExpect: \"100-continue\"\r\n\r\n", &["417"], Open),
        (
            "100-continue over two lines",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect:\r\n 100-continue\r\nContent-Length: 2\r\n\r\nhi",
            BAD,
            Errs,
        ),
        (
            "something else with chunks",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: tea\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            &["417"],
            Errs,
        ),
    ];
    run(table);
}

#[test]
fn a_100_is_sent_once_and_only_to_who_waits_for_it() {
    const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
    let head = |line: &str, fields: &str| format!("{line}\r\nHost: a\r\nExpect: 100-continue\r\n{fields}\r\n");
    let cases = [
        ("1.1", head("POST /echo HTTP/1.1", "Content-Length: 3\r\n"), true),
        ("chunks", head("POST /echo HTTP/1.1", "Transfer-Encoding: chunked\r\n"), true),
        ("closing", head("POST /echo HTTP/1.1", "Content-Length: 3\r\nConnection: close\r\n"), true),
        ("1.0", head("POST /echo HTTP/1.0", "Content-Length: 3\r\n"), false),
        ("no content", head("POST /echo HTTP/1.1", ""), false),
        ("no content told", head("POST /echo HTTP/1.1", "Content-Length: 0\r\n"), false),
        ("too large", head("POST /echo HTTP/1.1", "Content-Length: 1000000000\r\n"), false),
        ("no route", head("POST /nowhere HTTP/1.1", "Content-Length: 3\r\n"), false),
        ("another method", head("POST / HTTP/1.1", "Content-Length: 3\r\n"), false),
        ("another expectation", head("POST /echo HTTP/1.1", "Expect: tea\r\nContent-Length: 3\r\n"), false),
        ("broken", head("POST /echo HTTP/1.1", "Content-Length: +3\r\n"), false),
    ];
    for (name, head, expected) in cases {
        let mut bench = bench();
        bench.send(&head);
        assert_eq!(bench.sent.starts_with(CONTINUE), expected, "{name}: {}", bench.sent.escape_ascii());
        if expected {
            assert_eq!(bench.sent, CONTINUE, "{name}");
            let content = if name == "chunks" { ["1\r\nx\r\n", "2\r\nyz\r\n", "0\r\n\r\n"] } else { ["x", "y", "z"] };
            content.iter().for_each(|piece| {
                bench.send(piece);
            });
            let reply = bench.only_reply();
            assert_eq!((reply.status, reply.continues, &*reply.text()), (200, 1, "xyz"), "{name}");
        }
        // Content that has begun to come was not waited for.
        bench.restart();
        bench.send([head.as_bytes(), b"x"].concat());
        assert!(!bench.sent.starts_with(CONTINUE), "{name}: content has come already");
    }
}

#[test]
fn a_100_stands_behind_the_replies_before_it() {
    let mut bench = bench();
    bench.send(
        "GET / HTTP/1.1\r\nHost: a\r\n\r\nPOST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\
        Content-Length: 1\r\n\r\n",
    );
    bench.send("x");
    let replies = bench.replies();
    assert_eq!(replies.iter().map(|reply| reply.continues).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn content_that_nobody_reads() {
    let table: &[Row<'_>] = &[
        ("of a 404", b"POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", &["404"], Open),
        ("of a 405", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", &["405"], Open),
        ("of OPTIONS", b"OPTIONS / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", &["204 "], Open),
        (
            "that looks like a request",
            b"POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 27\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            &["404"],
            Open,
        ),
        (
            "more than the limit of content, but short",
            &[b"POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 65\r\n\r\n".as_slice(), &[b'x'; 65]].concat(),
            &["413"],
            Errs,
        ),
        ("of TRACE", b"TRACE / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", &["405"], Open),
        (
            "in chunks",
            b"POST /nowhere HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            &["404"],
            Errs,
        ),
        (
            "of the last request",
            b"POST /nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\n",
            &["404"],
            Errs,
        ),
        ("of a last request on 1.0", b"POST /nowhere HTTP/1.0\r\nContent-Length: 2\r\n\r\nh", &["404"], Errs),
        (
            "of a last request, all there",
            b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
            &["405"],
            Errs,
        ),
        ("of OPTIONS *", b"OPTIONS * HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", &["204 "], Open),
        (
            "of OPTIONS in chunks",
            b"OPTIONS / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            &["204 "],
            Errs,
        ),
        (
            "of OPTIONS, looking like a request",
            b"OPTIONS / HTTP/1.1\r\nHost: a\r\nContent-Length: 27\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            &["204 "],
            Open,
        ),
        ("of HEAD of no path", b"HEAD /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", &["404 "], Open),
        (
            "of TRACE in chunks",
            b"TRACE / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            &["405"],
            Errs,
        ),
        (
            "that is refused as far as its length goes",
            b"POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: +2\r\n\r\nhi",
            BAD,
            Errs,
        ),
    ];
    // A close while the client is still sending would be a reset, and take the reply from it (RFC 9112 §9.6).
    run(table);
    for (length, after) in [(MAX_DISCARD, Fate::Open), (MAX_DISCARD + 1, Fate::Lingers)] {
        let mut bench = bench();
        bench.send(format!("POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"));
        assert_eq!((bench.statuses(), bench.fate()), (vec![404], after), "{length}: the reply does not wait");
        if after == Fate::Open {
            bench.send(vec![b'G'; length as usize]).send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            assert_eq!((bench.statuses(), bench.fate()), (vec![404, 200], Fate::Open));
        }
        bench.restart();
    }
}

#[test]
fn content_of_a_megabyte_comes_whole() {
    let content: Vec<u8> = (0..1 << 20).map(|i: u32| (i % 251) as u8).collect();
    let chunked: Vec<u8> = content
        .chunks(10_007)
        .flat_map(|chunk| [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat())
        .chain(*b"0\r\n\r\n")
        .collect();
    let by_length = [format!("{POST}Content-Length: {}\r\n\r\n", content.len()).as_bytes(), &content].concat();
    let by_chunks = [CHUNKED.as_bytes(), &chunked].concat();
    for input in [by_length, by_chunks] {
        for step in [1400, 65_536, usize::MAX] {
            let mut bench = bench();
            for piece in input.chunks(step) {
                bench.send(piece);
            }
            let reply = bench.only_reply();
            assert_eq!((reply.status, bench.fate()), (200, Fate::Open));
            assert!(reply.content == content, "in steps of {step}");
            bench.restart();
            bench.send(&input[..input.len() - 1]).fin();
            assert_eq!((bench.statuses(), bench.fate()), (vec![400], Fate::Closed), "without the last byte");
            bench.restart();
        }
    }
}

#[test]
fn content_over_the_limit_is_not_collected() {
    let mut bench = Bench::new(small());
    bench.send(CHUNKED);
    for _ in 0..1000 {
        bench.send("10\r\n0123456789abcdef\r\n");
    }
    assert_eq!(bench.statuses(), [413]);
    assert!(bench.replies()[0].closes());
    bench.restart();
}

/// A machine of 32 bits cannot hold it, so no setting may let a client ask for that.
#[test]
fn more_than_fits_in_memory_is_refused_whatever_the_limit_is() {
    let mut bench = Bench::new(Config { max_content: u64::MAX, ..Config::default() });
    for length in [MAX_BUFFERED + 1, u64::MAX] {
        bench.send(format!("{POST}Content-Length: {length}\r\n\r\n"));
        assert_eq!(bench.statuses(), [413], "a length of {length}");
        bench.restart();
        bench.send(format!("{CHUNKED}{length:x}\r\n"));
        assert_eq!(bench.statuses(), [413], "a chunk of {length}");
        bench.restart();
    }
    bench.send(format!("{POST}Content-Length: {MAX_BUFFERED}\r\n\r\nhi"));
    assert_eq!(bench.statuses(), [] as [u16; 0], "as much as there may be is waited for");
    bench.restart();
}

/// Each byte that comes is counted in 64 bits, however few a pointer has.
#[test]
fn content_of_more_than_32_bits_ends_where_it_says() {
    const LENGTH: u64 = (1 << 32) + 2;
    let piece = vec![b'x'; 1 << 20];
    let chunked = || {
        let mut decoder = BodyDecoder::new(Framing::Chunked);
        let line = decoder.decode(b"100000002\r\n").expect("a size");
        assert!(line.consumed == 11 && !line.end);
        decoder
    };
    for mut decoder in [BodyDecoder::new(Framing::Length(LENGTH)), chunked()] {
        let mut left = LENGTH;
        while left > 0 {
            assert_eq!(decoder.announced(), left);
            let decoded = decoder.decode(&piece).expect("it is content");
            // What is beyond the end of a chunk is another's: the CRLF would be there.
            let expected = left.min(piece.len() as u64);
            assert_eq!((decoded.content.len() as u64, decoded.trailers), (expected, &[][..]));
            left -= expected;
            assert_eq!(decoded.end, left == 0 && decoder.has_length());
        }
        if !decoder.has_length() {
            assert!(decoder.decode(b"\r\n0\r\n\r\n").expect("the end").end);
        }
    }
}

/// Each of these is two messages for one reader and a single one for another. For us it is none.
#[test]
fn messages_of_two_lengths() {
    const HIDDEN: &str = "GET /any HTTP/1.1\r\nHost: a\r\n\r\n";
    let len = HIDDEN.len();
    let (short, long) = (5, 5 + len);
    let fields = |first: &str, second: &str| format!("{POST}{first}\r\n{second}\r\n\r\n");
    let end = format!("0\r\n\r\n{HIDDEN}");
    let chunk = format!("{len:x}\r\n{HIDDEN}\r\n0\r\n\r\n");
    let by_length = format!("Content-Length: {long}");
    let cases = [
        ("a request behind the last chunk", fields(&by_length, "Transfer-Encoding: chunked") + &end),
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
        ("a coding with a space behind it", fields(&by_length, "Transfer-Encoding: chunked ") + &end),
        ("a coding with a tab in front", fields(&by_length, "Transfer-Encoding:\tchunked") + &end),
        ("a coding behind a comma", fields(&by_length, "Transfer-Encoding: ,chunked") + &end),
        ("a coding in another case", fields(&by_length, "TRANSFER-ENCODING: cHUNKED") + &end),
        ("a coding in quotes", fields(&by_length, "Transfer-Encoding: \"chunked\"") + &end),
        ("a coding behind a vertical tab", fields(&by_length, "Transfer-Encoding:\x0bchunked") + &end),
        ("a coding with a CR behind it", fields(&by_length, "Transfer-Encoding: chunked\r") + &end),
        ("a coding behind a bare LF", fields(&by_length, "X: y\nTransfer-Encoding: chunked") + &end),
        ("a coding behind a bare CR", fields(&by_length, "X: y\rTransfer-Encoding: chunked") + &end),
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

/// Each ends a line, or a chunk, for one reader and not for another.
#[test]
fn messages_of_two_ends() {
    const HIDDEN: &str = "GET /any HTTP/1.1\r\nHost: a\r\n\r\n";
    let rest = format!("{:x}\r\nE\r\n0\r\n\r\n{HIDDEN}\r\n0\r\n\r\n", HIDDEN.len() + 8);
    let mut cases = Vec::new();
    for (name, end) in
        [("LF", "\n"), ("CR", "\r"), ("nothing", ""), ("two bytes", "XX"), ("CR X", "\rX"), ("CR CR", "\r\r")]
    {
        cases.push((format!("{name} behind a size"), format!("{CHUNKED}2{end};a\r\n{rest}")));
        cases.push((format!("{name} behind an extension"), format!("{CHUNKED}2;a={end}hi\r\n{rest}")));
        cases.push((format!("{name} behind the data"), format!("{CHUNKED}2\r\nhi{end}{rest}")));
        cases.push((format!("{name} behind the data, which is longer"), format!("{CHUNKED}2\r\nhi...{end}{rest}")));
        cases.push((format!("{name} behind the last chunk"), format!("{CHUNKED}0{end}X:{HIDDEN}")));
    }
    let table: Vec<Row<'_>> = cases.iter().map(|(name, input)| (&name[..], input.as_bytes(), BAD, Errs)).collect();
    run(&table);
}

#[test]
fn every_byte_around_a_chunk_size() {
    run_each_byte(CHUNKED, "0\r\n\r\n", |byte| match byte {
        b'0' => (&["200 "], Open),
        // A size of ten and more, in sixteens: more than 64, or too little data.
        b'1'..=b'4' => (BAD, FinErrs),
        b'5'..=b'9' | b'a'..=b'f' | b'A'..=b'F' => (&["413"], Errs),
        _ => (BAD, Errs),
    });
    run_each_byte(&format!("{CHUNKED}2"), "\r\nhi\r\n0\r\n\r\n", |byte| match byte {
        b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F' => (BAD, FinErrs),
        _ => (BAD, Errs),
    });
}

/// The usual line of a chunk is taken at once, and means what it means byte by byte: all short inputs, first in a body and
/// behind the data of a chunk.
#[test]
fn every_short_line_of_a_chunk() {
    const BYTES: &[u8] = b"0a\r\n;";
    for number in 0..BYTES.len().pow(6) {
        let line: Vec<u8> = (0..6).map(|at| BYTES[number / BYTES.len().pow(at) % BYTES.len()]).collect();
        compare_decoders(&line, || usize::MAX);
        let mut lens = [4].into_iter();
        compare_decoders(&[b"1\r\nx", &line[..]].concat(), || lens.next().unwrap_or(usize::MAX));
    }
}
