//! Reads a whole stream of frames slowly and by the letter of RFC 6455, to judge the decoder. It shares no code with
//! it: it takes byte after byte, and asks after each one whether anything is wrong.

use super::play::{Outcome, Seen};
use crate::websocket::assemble::Limits;

/// What a decoder must say about this stream. The numbers of the outcome are the earliest possible ones.
pub(super) fn read(stream: &[u8], limits: &Limits) -> Outcome {
    let mut reader = Reader { stream, at: 0, limits, message: None, outcome: Outcome::default() };
    // Both ends of a stream, its last byte and a Close frame, are no failures.
    if let Err(Stop::Fails(code)) = reader.frames() {
        reader.outcome.failure = Some((code, reader.at));
    }
    reader.outcome
}

enum Stop {
    NoMoreBytes,
    Closed,
    Fails(u16),
}

struct Reader<'a> {
    stream: &'a [u8],
    at: usize,
    limits: &'a Limits,
    message: Option<Message>,
    outcome: Outcome,
}

struct Message {
    opcode: u8,
    is_deflated: bool,
    bytes: Vec<u8>,
    frames: usize,
}

impl Reader<'_> {
    fn byte(&mut self) -> Result<u8, Stop> {
        let byte = *self.stream.get(self.at).ok_or(Stop::NoMoreBytes)?;
        self.at += 1;
        Ok(byte)
    }

    fn frames(&mut self) -> Result<(), Stop> {
        loop {
            let first = self.byte()?;
            let (fin, opcode) = (first >= 0x80, first % 16);
            let is_control = opcode >= 8;
            let is_reserved = !matches!(opcode, 0 | 1 | 2 | 8 | 9 | 10);
            let may_have_rsv1 = self.limits.deflate && matches!(opcode, 1 | 2);
            let has_bad_bit = first & 0b0011_0000 != 0 || (first & 0b0100_0000 != 0 && !may_have_rsv1);
            let is_out_of_turn = !is_control && (opcode == 0) != self.message.is_some();
            if is_reserved || has_bad_bit || is_out_of_turn || (is_control && !fin) {
                return Err(Stop::Fails(1002));
            }
            let is_deflated = first & 0b0100_0000 != 0;
            let len = self.length(opcode, is_deflated)?;
            let key = [self.byte()?, self.byte()?, self.byte()?, self.byte()?];
            if is_control {
                self.control(opcode, len, key)?;
            } else {
                self.data(opcode, is_deflated, fin, len, key)?;
            }
        }
    }

    /// Reads the length, and fails as soon as all lengths that it can still become are wrong.
    fn length(&mut self, opcode: u8, is_deflated: bool) -> Result<usize, Stop> {
        let second = self.byte()?;
        let short = second % 128;
        if second < 128 || (opcode >= 8 && short > 125) || (opcode == 8 && short == 1) {
            return Err(Stop::Fails(1002));
        }
        let is_deflated = self.message.as_ref().map_or(is_deflated, |message| message.is_deflated);
        let more = if is_deflated { self.limits.max_message / 64 + 64 } else { 0 };
        let most = self.limits.max_message as u128 + more as u128;
        let has = self.message.as_ref().map_or(0, |message| message.bytes.len()) as u128;
        let (digits, least): (u32, u128) = match short {
            126 => (2, 126),
            127 => (8, 65_536),
            _ => (0, 0),
        };
        let mut value = u128::from(if digits == 0 { short } else { 0 });
        for left in (0..=digits).rev() {
            let smallest = value << (8 * left);
            let largest = smallest + (1 << (8 * left)) - 1;
            if smallest >= 1 << 63 || largest < least {
                return Err(Stop::Fails(1002));
            }
            if opcode < 8 && smallest + has > most {
                return Err(Stop::Fails(1009));
            }
            if left > 0 {
                value = value * 256 + u128::from(self.byte()?);
            }
        }
        Ok(value as usize)
    }

    fn control(&mut self, opcode: u8, len: usize, key: [u8; 4]) -> Result<(), Stop> {
        let mut payload = Vec::new();
        for at in 0..len {
            payload.push(self.byte()? ^ key[at % 4]);
        }
        let event = match opcode {
            9 => Seen::Ping(payload),
            10 => Seen::Pong(payload),
            _ if payload.is_empty() => Seen::Close(None, String::new()),
            _ => {
                let reason = payload.split_off(2);
                let code = u16::from(payload[0]) * 256 + u16::from(payload[1]);
                if !((1000..=1014).contains(&code) && !(1004..=1006).contains(&code) || (3000..5000).contains(&code)) {
                    return Err(Stop::Fails(1002));
                }
                Seen::Close(Some(code), String::from_utf8(reason).map_err(|_| Stop::Fails(1007))?)
            }
        };
        self.outcome.seen.push((event, self.at));
        if opcode == 8 { Err(Stop::Closed) } else { Ok(()) }
    }

    fn data(&mut self, opcode: u8, is_deflated: bool, fin: bool, len: usize, key: [u8; 4]) -> Result<(), Stop> {
        let message = self.message.get_or_insert_with(|| Message { opcode, is_deflated, bytes: Vec::new(), frames: 0 });
        message.frames += 1;
        if message.frames > self.limits.max_fragments {
            return Err(Stop::Fails(1009));
        }
        let is_text = message.opcode == 1 && !message.is_deflated;
        for at in 0..len {
            let byte = self.byte()? ^ key[at % 4];
            let bytes = &mut self.message.as_mut().expect("it was just put there").bytes;
            bytes.push(byte);
            // The last four bytes are enough: no character is longer, and those before it were looked at.
            let from = bytes.len().saturating_sub(4);
            let from = (from..bytes.len()).find(|&at| bytes[at] & 0xc0 != 0x80).unwrap_or(from);
            if is_text && std::str::from_utf8(&bytes[from..]).is_err_and(|error| error.error_len().is_some()) {
                return Err(Stop::Fails(1007));
            }
        }
        if !fin {
            return Ok(());
        }
        let Message { opcode, is_deflated, bytes, .. } = self.message.take().expect("it was just put there");
        let event = match (is_deflated, opcode) {
            (true, opcode) => Seen::Deflated { text: opcode == 1, bytes },
            (_, 1) => Seen::Text(String::from_utf8(bytes).map_err(|_| Stop::Fails(1007))?),
            _ => Seen::Binary(bytes),
        };
        self.outcome.seen.push((event, self.at));
        Ok(())
    }
}
