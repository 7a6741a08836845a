//! Properties of content in any pieces, and of full duplex in any order of events.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::bench::{Bench, Fate};
use super::live::{NEXT, bench, bench_with};
use super::properties::cases;
use super::reader::read_head;
use crate::config::Config;
use crate::exchange::{CloseReason, SendError};
use crate::limits::{CHANNEL_BYTES, HIGH_WATER, MAX_READ};

/// Content, and how it comes.
#[derive(Clone, Debug)]
struct Content {
    len: usize,
    /// The sizes of its chunks, repeated as needed; if empty, the content has a length.
    chunks: Vec<usize>,
    extension: &'static str,
}

fn any_content(max: usize) -> impl Strategy<Value = Content> {
    let chunks = prop_oneof![Just(Vec::new()), vec(prop_oneof![1..20_usize, 1..5_000_usize, 1..70_000_usize], 1..4)];
    let len = prop_oneof![1 => 0..3_usize, 2 => 0..300_usize, 2 => 0..max];
    (len, chunks, select(vec!["", ";a", ";a=\"b c\""])).prop_map(|(len, chunks, extension)| Content {
        len,
        chunks,
        extension,
    })
}

impl Content {
    /// Only letters, and no two neighbours are equal.
    fn bytes(&self) -> Vec<u8> {
        (0..self.len).map(|at| b'a' + (at * 7 + at / 26) as u8 % 26).collect()
    }

    fn fields(&self) -> String {
        if self.chunks.is_empty() {
            format!("Content-Length: {}", self.len)
        } else {
            "Transfer-Encoding: chunked".to_owned()
        }
    }

    fn framed(&self) -> Vec<u8> {
        let bytes = self.bytes();
        if self.chunks.is_empty() {
            return bytes;
        }
        let (mut rest, mut out) = (&bytes[..], Vec::new());
        // This keeps the number of pieces small.
        let mut sizes = self.chunks.iter().map(|size| (*size).max(self.len / 500)).cycle();
        while !rest.is_empty() {
            let (chunk, behind) = rest.split_at(sizes.next().map_or(1, |size| size.min(rest.len())));
            out.extend_from_slice(format!("{:X}{}\r\n", chunk.len(), self.extension).as_bytes());
            out.extend_from_slice(chunk);
            out.extend_from_slice(b"\r\n");
            rest = behind;
        }
        out.extend_from_slice(format!("0{}\r\n\r\n", self.extension).as_bytes());
        out
    }
}

/// Cuts `bytes` into pieces of these sizes, repeated as needed. If there are very many pieces, the last one takes the
/// rest.
fn pieces<'a>(mut bytes: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let mut all = Vec::new();
    for size in sizes.iter().cycle().take(400) {
        let (piece, rest) = bytes.split_at((*size).min(bytes.len()));
        all.push(piece);
        bytes = rest;
    }
    all.push(bytes);
    all.retain(|piece| !piece.is_empty());
    all
}

fn resume(bench: &mut Bench) {
    while let Some(resumer) = bench.router.state_mut().live.resumers.pop() {
        resumer.resume();
        bench.turn();
    }
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn a_sink_gets_the_content_in_any_pieces_and_its_end_once(
        content in any_content(40_000),
        sizes in vec(prop_oneof![1..10_usize, 1..3_000_usize], 1..5),
        pauses: bool,
    ) {
        let head = format!("POST /sink HTTP/1.1\r\nHost: a\r\n{}\r\n\r\n", content.fields());
        let bytes = [head.as_bytes(), &content.framed(), NEXT.as_bytes()].concat();
        let mut bench = bench();
        bench.router.state_mut().live.pauses = pauses;
        for piece in pieces(&bytes, &sizes) {
            bench.send(piece);
            resume(&mut bench);
        }
        let live = &bench.router.state().live;
        assert!(live.pieces.concat() == content.bytes());
        assert_eq!((live.ended.len(), live.aborted.len(), bench.fate()), (1, 0, Fate::Open));
        let replies = bench.replies();
        assert!(replies[0].content == content.bytes() && replies[1].text() == "hello" && replies.len() == 2);
        bench.restart();
    }

    #[test]
    fn a_sink_whose_content_is_cut_off_anywhere_is_aborted_once(
        content in any_content(3_000),
        sizes in vec(1..500_usize, 1..5),
        at in any::<prop::sample::Index>(),
        how in 0..4_u8,
        pauses: bool,
    ) {
        let framed = content.framed();
        prop_assume!(!framed.is_empty());
        let head = format!("POST /sink HTTP/1.1\r\nHost: a\r\n{}\r\n\r\n", content.fields());
        let bytes = [head.as_bytes(), &framed[..at.index(framed.len())]].concat();
        let mut bench = bench();
        bench.router.state_mut().live.pauses = pauses;
        for piece in pieces(&bytes, &sizes) {
            bench.send(piece);
            if how != 3 {
                resume(&mut bench);
            }
        }
        match how {
            0 => _ = bench.fin(),
            1 => _ = bench.reset(),
            2 => _ = bench.cut(),
            _ => _ = bench.wait(Duration::from_secs(200)),
        }
        bench.turn();
        let live = &bench.router.state().live;
        assert!(content.bytes().starts_with(&live.pieces.concat()));
        assert_eq!((live.ended.len(), live.aborted.len(), live.opened, bench.fate()), (0, 1, 1, Fate::Closed));
        assert!(bench.statuses().iter().all(|status| matches!(status, 400 | 408 | 503)), "{:?}", bench.statuses());
        // A call to continue after the end does no harm.
        resume(&mut bench);
        bench.restart();
    }
}

/// An event of a duplex exchange.
#[derive(Clone, Copy, Debug)]
enum Op {
    Send(usize),
    Read(usize),
    Answer,
    Push(usize),
    Resume,
    Wait(u64),
    Fin,
    Reset,
}

fn any_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => prop_oneof![0..50_usize, 0..100_000_usize].prop_map(Op::Send),
        6 => prop_oneof![0..300_usize, 0..100_000_usize].prop_map(Op::Read),
        2 => Just(Op::Answer),
        4 => (1..5_usize).prop_map(Op::Push),
        4 => Just(Op::Resume),
        2 => (0..4_000_u64).prop_map(Op::Wait),
        1 => Just(Op::Fin),
        1 => Just(Op::Reset),
    ]
}

/// A duplex that sends back what comes, and its client.
struct Echo {
    bench: Bench,
    wire: Vec<u8>,
    sent: usize,
}

impl Echo {
    fn apply(&mut self, op: Op) {
        let Self { bench, wire, sent } = self;
        match op {
            Op::Send(count) => {
                let count = count.min(wire.len() - *sent);
                bench.send(&wire[*sent..*sent + count]);
                *sent += count;
            }
            Op::Read(count) => _ = bench.read(count),
            Op::Answer => {
                let live = &mut bench.router.state_mut().live;
                if let Some(responder) = live.responders.pop_front() {
                    live.senders.push(responder.channel(|res| res));
                }
            }
            Op::Push(count) => (0..count).for_each(|_| self.push()),
            Op::Resume => _ = bench.router.state_mut().live.resumers.pop(),
            Op::Wait(millis) => _ = bench.wait(Duration::from_millis(millis)),
            Op::Fin => _ = bench.fin(),
            Op::Reset => _ = bench.reset(),
        }
        self.bench.turn();
        let [input, output, incoming] = self.bench.held_memory();
        assert!(input <= 2 * MAX_READ && incoming <= 4096, "{input} and {incoming} bytes of memory");
        assert!(output <= 2 * (HIGH_WATER + CHANNEL_BYTES + MAX_READ), "{output} bytes of memory");
    }

    /// Sends the next piece back, and the end after the last one.
    fn push(&mut self) {
        let live = &mut self.bench.router.state_mut().live;
        let Some(sender) = live.senders.last() else { return };
        match live.queue.pop_front() {
            Some(piece) => match sender.send(piece.clone()) {
                Err(SendError::Full(_)) => live.queue.push_front(piece),
                Ok(()) | Err(SendError::Closed) => {}
            },
            None if live.is_whole => live.senders.pop().into_iter().for_each(|sender| sender.finish()),
            None => {}
        }
    }

    /// Each side does what it can until nothing more happens.
    fn complete(&mut self) {
        self.apply(Op::Read(usize::MAX));
        self.apply(Op::Send(usize::MAX));
        for _ in 0..2_000 {
            let before = (self.bench.sent.len(), self.bench.taken(), self.bench.router.state().live.queue.len());
            [Op::Answer, Op::Push(4), Op::Resume, Op::Resume].into_iter().for_each(|op| self.apply(op));
            let live = &self.bench.router.state().live;
            let after = (self.bench.sent.len(), self.bench.taken(), live.queue.len());
            if before == after && live.resumers.is_empty() {
                return;
            }
        }
        panic!("it does not come to an end");
    }
}

/// The content of the chunks that came, and whether the last chunk came.
fn unchunk(mut bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut content = Vec::new();
    while let Some(end) = bytes.windows(2).position(|window| window == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).unwrap(), 16).unwrap();
        bytes = &bytes[end + 2..];
        if size == 0 {
            assert!(b"\r\n".starts_with(bytes), "{}", bytes.escape_ascii());
            return (content, bytes.len() == 2);
        }
        content.extend_from_slice(&bytes[..size.min(bytes.len())]);
        bytes = bytes.get(size..).unwrap_or_default();
        assert!(bytes.starts_with(b"\r\n") || b"\r\n".starts_with(bytes), "{}", bytes.escape_ascii());
        bytes = bytes.get(2..).unwrap_or_default();
    }
    (content, false)
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn a_duplex_on_any_schedule_sends_back_what_came(
        content in any_content(300_000),
        ops in vec(any_op(), 0..40),
        by_hand: bool,
        pauses: bool,
    ) {
        let path = if by_hand { "/duplex/queue" } else { "/duplex" };
        let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\n{}\r\n\r\n", content.fields());
        let mut bench = bench_with(Config { max_response_buffer: MAX_READ + 4096, ..Config::default() });
        bench.router.state_mut().live.pauses = pauses;
        bench.set_window(0);
        let mut echo = Echo { bench, wire: [head.as_bytes(), &content.framed()].concat(), sent: 0 };
        let (mut fin, mut reset, mut waited) = (false, false, 0);
        for &op in &ops {
            match op {
                // What the client sends after its FIN does not count.
                Op::Send(_) if fin => continue,
                Op::Fin if fin => continue,
                Op::Fin => fin = true,
                Op::Reset => reset = true,
                Op::Wait(millis) => waited += millis,
                _ => {}
            }
            echo.apply(op);
            if reset {
                break;
            }
        }
        let gave_up = fin && echo.sent < echo.wire.len();
        if fin {
            echo.sent = echo.wire.len();
        }
        echo.complete();
        let Echo { mut bench, .. } = echo;
        let expected = content.bytes();
        let late = waited >= 9_000;
        if !reset && !gave_up && !late {
            let reply = bench.only_reply();
            let is_whole = reply.status == 200 && reply.content == expected;
            assert!(is_whole, "{} of {} bytes", reply.content.len(), expected.len());
            assert_eq!(bench.reason(), fin.then_some(CloseReason::ClientClosed));
            if !fin {
                bench.send(NEXT);
                assert_eq!(bench.statuses(), [200, 200]);
            }
        } else if !bench.sent.is_empty() {
            let mut rest = &bench.sent[..];
            // Even the head may be cut off.
            if bench.sent.windows(4).any(|window| window == b"\r\n\r\n") {
                let (status, ..) = read_head(&mut rest);
                if status == 200 {
                    let (came, whole) = unchunk(rest);
                    assert!(expected.starts_with(&came));
                    let (found, all) = (came.len(), expected.len());
                    assert!(!whole || found == all, "{found} of {all} bytes look whole");
                } else {
                    assert!(matches!(status, 400 | 408 | 503), "{status}");
                }
            }
        }
        bench.restart();
    }
}
