//! Compressed messages, and their negotiation.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::websocket::deflate::Deflater;
use crate::websocket::extension::negotiate;
use crate::websocket::failure::code;

const ANSWER: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/// The value of the answer's field, `""` for none, or the status of the error.
fn answer(values: &[&str]) -> String {
    match negotiate(values.iter().map(|value| value.as_bytes())) {
        Ok(Some(agreed)) => agreed.to_string(),
        Ok(None) => String::new(),
        Err(error) => error.status().to_string(),
    }
}

#[test]
fn an_offer_is_accepted_if_all_its_parameters_are_good() {
    let plain = [
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; client_max_window_bits=8",
        "permessage-deflate; client_max_window_bits=\"15\"",
        "permessage-deflate;client_no_context_takeover ;\tserver_no_context_takeover",
        " , permessage-deflate ,, ",
        "x-webkit-deflate-frame, permessage-deflate",
        "permessage-deflate; server_max_window_bits=8, permessage-deflate",
        "permessage-deflate, permessage-deflate; server_max_window_bits=10",
        "a; b=c; b=\"d\\e\", permessage-deflate",
    ];
    for value in plain {
        assert_eq!(answer(&[value]), ANSWER, "{value}");
    }
    for bits in 9..=15 {
        let quoted = format!("permessage-deflate; server_max_window_bits=\"{bits}\"; client_max_window_bits");
        for value in [format!("permessage-deflate; server_max_window_bits={bits}"), quoted] {
            assert_eq!(answer(&[&value]), format!("{ANSWER}; server_max_window_bits={bits}"), "{value}");
        }
    }
    assert_eq!(answer(&["foo", "permessage-deflate"]), ANSWER);
    assert_eq!(answer(&["foo;", "permessage-deflate"]), "400");
}

#[test]
fn any_other_offer_is_passed_over() {
    let parameters = [
        "server_max_window_bits",
        "server_max_window_bits=8",
        "server_max_window_bits=16",
        "server_max_window_bits=09",
        "server_max_window_bits=010",
        "server_max_window_bits=1",
        "server_max_window_bits=9x",
        "server_max_window_bits=10; server_max_window_bits=10",
        "client_max_window_bits=7",
        "client_max_window_bits=16",
        "client_max_window_bits=+9",
        "client_max_window_bits; client_max_window_bits",
        "client_max_window_bits=9; client_max_window_bits",
        "server_no_context_takeover=1",
        "client_no_context_takeover=true",
        "server_no_context_takeover; server_no_context_takeover",
        "client_no_context_takeover; client_no_context_takeover",
        "Server_no_context_takeover",
        "foo",
        "foo=bar",
    ];
    for parameter in parameters {
        assert_eq!(answer(&[&format!("permessage-deflate; {parameter}")]), "", "{parameter}");
        let second = format!("permessage-deflate; {parameter}, permessage-deflate; server_max_window_bits=12");
        assert_eq!(answer(&[&second]), format!("{ANSWER}; server_max_window_bits=12"), "{parameter}");
    }
    for value in ["", ",", "foo", "permessage-deflate2", "Permessage-Deflate", "x; permessage-deflate"] {
        assert_eq!(answer(&[value]), "", "{value}");
    }
    assert_eq!(answer(&[]), "");
}

#[test]
fn what_is_not_a_list_of_extensions_is_a_400() {
    let values = [
        ";",
        "=",
        "foo;",
        "foo;;bar",
        "foo; =1",
        "foo; a=",
        "foo; a=\"",
        "foo; a=\"\"",
        "foo; a=\"b",
        "foo; a=\"b c\"",
        "foo; a=\"b\\",
        "foo; a=\"b\\,\"",
        "foo; a=b=c",
        "foo bar",
        "foo; a b",
        "foo; a=\"b\"c",
        "f\u{f6}o",
        "\"foo\"",
    ];
    for value in values {
        assert_eq!(answer(&[value]), "400", "{value}");
        assert_eq!(answer(&[&format!("permessage-deflate, {value}")]), "400", "{value}");
    }
}

/// Text that compresses well, but not too well.
fn sentences(len: usize) -> Vec<u8> {
    let mut number = 1_u32;
    let mut text = Vec::new();
    while text.len() < len {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        text.extend(format!("{{\"id\":{},\"name\":\"user {}\"}},", number >> 16, number >> 28).bytes());
    }
    text.truncate(len);
    text
}

fn inflated(bytes: &[u8], max: usize) -> Result<Vec<u8>, u16> {
    let mut into = b"before".to_vec();
    match Deflater::default().inflate(bytes, max, &mut into) {
        Ok(()) => Ok(into.split_off(6)),
        Err(failure) => {
            assert_eq!(into, b"before");
            Err(failure.code)
        }
    }
}

#[test]
fn the_examples_of_the_rfc_are_inflated() {
    // RFC 7692 §7.2.3.1, §7.2.3.3, §7.2.3.4, §7.2.3.5, §7.2.3.6; §7.2.3.2 needs a message before it.
    let examples: [(&[u8], &str); 5] = [
        (b"\xf2\x48\xcd\xc9\xc9\x07\x00", "Hello"),
        (b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", "Hello"),
        (b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", "Hello"),
        (b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", "Hello"),
        (b"\x00", ""),
    ];
    for (bytes, text) in examples {
        assert_eq!(inflated(bytes, 5).as_deref(), Ok(text.as_bytes()), "{}", bytes.escape_ascii());
    }
}

#[test]
fn bad_data_is_a_1007_and_too_much_a_1009() {
    // A block of type 3; a reference to what is before the start, as in RFC 7692 §7.2.3.2; a stored block whose length
    // is not confirmed.
    for bytes in [&b"\x07"[..], b"\xf2\x00\x11\x00\x00", b"\x00\x05\x00\x00\x00Hello"] {
        assert_eq!(inflated(bytes, 100), Err(code::INVALID_DATA), "{}", bytes.escape_ascii());
    }
    assert_eq!(inflated(b"\xf2\x48\xcd\xc9\xc9\x07\x00", 4), Err(code::TOO_BIG));
    assert_eq!(inflated(b"\xf2\x48\xcd\xc9\xc9\x07\x00", 0), Err(code::TOO_BIG));
    assert_eq!(inflated(b"\x00", 0), Ok(vec![]));
}

#[test]
fn a_bomb_gets_no_more_room_than_the_limit() {
    let mut bomb = Vec::new();
    assert!(Deflater::default().deflate(&vec![0; 5_000_000], 15, &mut bomb));
    assert!(bomb.len() < 60_000, "{}", bomb.len());
    let mut deflater = Deflater::default();
    let mut into = Vec::new();
    assert_eq!(deflater.inflate(&bomb, 65_536, &mut into).unwrap_err().code, code::TOO_BIG);
    assert!(into.is_empty() && into.capacity() <= 65_537, "{}", into.capacity());
    // The next message knows nothing of it.
    assert_eq!(deflater.inflate(b"\xf2\x48\xcd\xc9\xc9\x07\x00", 5, &mut into), Ok(()));
    assert_eq!(into, b"Hello");
}

#[test]
fn each_window_is_kept_and_each_message_is_for_itself() {
    let mut deflater = Deflater::default();
    for len in [20, 100, 600, 5000, 70_000] {
        let text = sentences(len);
        for bits in 9..=15 {
            let (mut first, mut second) = (Vec::new(), b"before".to_vec());
            let is_shorter = deflater.deflate(&text, bits, &mut first);
            assert_eq!(deflater.deflate(&text, bits, &mut second), is_shorter);
            if !is_shorter {
                assert!(len <= 20 && first.is_empty() && second == b"before");
                continue;
            }
            assert_eq!(first, second[6..], "{len} bytes, {bits} bits");
            assert!(first.len() < len && !first.ends_with(b"\x00\x00\xff\xff"));
            // A decompressor with this window fails on a reference that leads out of it.
            let mut strict = Decompress::new_with_window_bits(false, bits);
            let mut out = Vec::with_capacity(len + 1);
            let bytes = [&first[..], b"\x00\x00\xff\xff"].concat();
            for piece in bytes.chunks(100) {
                let before = strict.total_in();
                let status = strict.decompress_vec(piece, &mut out, FlushDecompress::Sync).unwrap();
                assert_eq!((status, strict.total_in() - before), (Status::Ok, piece.len() as u64));
            }
            assert!(out == text, "{len} bytes, {bits} bits");
            let mut ours = Vec::new();
            assert_eq!(deflater.inflate(&first, len, &mut ours), Ok(()));
            assert!(ours == text, "{len} bytes, {bits} bits");
        }
    }
}

#[test]
fn what_does_not_get_shorter_is_not_compressed() {
    let mut deflater = Deflater::default();
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    })
    .take(100_000)
    .collect();
    for bytes in [&b""[..], b"a", b"Hello", &noise] {
        let mut into = b"before".to_vec();
        assert!(!deflater.deflate(bytes, 15, &mut into));
        assert_eq!(into, b"before");
    }
}

/// All levels of zlib, as other peers use them.
#[test]
fn what_other_levels_compress_is_inflated() {
    let text = sentences(100_000);
    for level in 0..=9 {
        let mut compress = Compress::new(Compression::new(level), false);
        let mut bytes = Vec::with_capacity(text.len() + 1000);
        compress.compress_vec(&text, &mut bytes, FlushCompress::Sync).unwrap();
        assert_eq!(compress.total_in(), text.len() as u64);
        bytes.truncate(bytes.len() - 4);
        assert!(inflated(&bytes, text.len()).unwrap() == text, "level {level}");
        assert_eq!(inflated(&bytes, text.len() - 1), Err(code::TOO_BIG), "level {level}");
    }
}
