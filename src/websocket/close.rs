//! The codes and reasons of Close frames (RFC 6455 §5.5.1, §7.4).

use super::failure::Failure;
use super::frame::{self, MAX_CONTROL, Opcode};

/// Whether a Close frame may carry this code. 1004 has no meaning; 1005, 1006 and 1015 say on one side how the
/// connection ended, and are never sent (RFC 6455 §7.4.1). Codes from 3000 on are those of libraries and applications.
pub(crate) const fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// Most bytes of a reason: the payload of a control frame without the code.
pub(crate) const MAX_REASON: usize = MAX_CONTROL - 2;

/// Reads the payload of a Close frame: nothing, or a code and perhaps a reason.
///
/// # Errors
/// 1002 for half a code or one that may not be sent, 1007 for a reason that is not UTF-8 (RFC 6455 §8.1).
pub(crate) fn parse(payload: &[u8]) -> Result<(Option<u16>, &str), Failure> {
    match payload {
        [] => Ok((None, "")),
        [_] => Err(Failure::HALF_A_CODE),
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            if !may_be_sent(code) {
                return Err(Failure::protocol("a Close frame has a code that may not be sent"));
            }
            Ok((Some(code), std::str::from_utf8(reason).map_err(|_| Failure::NOT_UTF8)?))
        }
    }
}

/// As much of a reason as a Close frame can have: at most [`MAX_REASON`] bytes, cut between two characters.
pub(crate) fn shortened(reason: &str) -> &str {
    let mut len = reason.len().min(MAX_REASON);
    while !reason.is_char_boundary(len) {
        len -= 1;
    }
    &reason[..len]
}

/// Appends a Close frame. A reason that is too long is [shortened].
///
/// # Panics
/// In debug builds, if the code [may not be sent](may_be_sent).
pub(crate) fn encode(out: &mut Vec<u8>, code: u16, reason: &str) {
    debug_assert!(may_be_sent(code), "{code} may not be sent");
    let reason = shortened(reason);
    frame::encode_header(out, Opcode::Close, true, false, 2 + reason.len());
    out.extend(code.to_be_bytes());
    out.extend_from_slice(reason.as_bytes());
}

/// Appends a Close frame without a code: the answer to one that has none (RFC 6455 §5.5.1).
pub(crate) fn encode_empty(out: &mut Vec<u8>) {
    frame::encode_header(out, Opcode::Close, true, false, 0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::websocket::failure::code;

    #[test]
    fn a_code_may_be_sent_if_it_is_registered_or_of_an_application() {
        let sendable: Vec<u16> = (0..=u16::MAX).filter(|&code| may_be_sent(code)).collect();
        let wanted: Vec<u16> = (1000..1004).chain(1007..1015).chain(3000..5000).collect();
        assert_eq!(sendable, wanted);
    }

    #[test]
    fn what_is_encoded_is_parsed() {
        let long = "é".repeat(100);
        for (code, reason, kept) in [(1000, "", ""), (4999, "bye", "bye"), (1001, &long[..], &long[..122])] {
            let mut frame = Vec::new();
            encode(&mut frame, code, reason);
            assert_eq!(frame[..2], [0x88, frame.len() as u8 - 2]);
            assert_eq!(parse(&frame[2..]), Ok((Some(code), kept)));
        }
        let mut frame = Vec::new();
        encode_empty(&mut frame);
        assert_eq!((&frame[..], parse(&frame[2..])), (&[0x88, 0][..], Ok((None, ""))));
    }

    #[test]
    fn a_bad_payload_is_a_failure() {
        assert_eq!(parse(b"\x03"), Err(Failure::HALF_A_CODE));
        assert_eq!(parse(b"\x03\xed").unwrap_err().code, code::PROTOCOL_ERROR);
        assert_eq!(parse(b"\x03\xe8\xff").unwrap_err().code, code::INVALID_DATA);
    }
}
