//! One connection that moves many bytes.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_recv_buffer_size;

use crate::reply::{Framing, Reply};
use crate::{Result, cpu_seconds};

/// The number of bytes after which the content repeats itself, and the length of a chunk. It is a prime, and so no
/// buffer of a server has this length. If a server sends a buffer twice or leaves one out, the content is wrong.
const PERIOD: usize = 65_521;

/// Room for one read.
const READ: usize = 256 << 10;

/// Room for one read of a slow reader, and the size of its socket's buffer. Otherwise the kernel would read ahead.
const SLOW_READ: usize = 64 << 10;
const SLOW_SOCKET: usize = 256 << 10;

const CONTENT_TYPE: &str = "application/x-repeating";

/// Sends content and takes it back at the same time, on two threads.
pub(crate) fn echo(stream: TcpStream, bytes: u64, is_chunked: bool, rate: Option<f64>) -> Result<String> {
    if rate.is_some() {
        set_socket_recv_buffer_size(&stream, SLOW_SOCKET)?;
    }
    let framing = if is_chunked { Framing::Chunked } else { Framing::Length(bytes) };
    let pattern = pattern();
    let sent = AtomicU64::new(0);
    let watch = Watch::start();
    let most_ahead = thread::scope(|scope| {
        let sender = scope.spawn(|| send(&stream, &pattern, bytes, is_chunked, &sent));
        let received = receive_back(&stream, &pattern, bytes, framing, rate, &sent);
        if received.is_err() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        let sent = sender.join().expect("the sender does not panic");
        // What the server said matters more than that it stopped reading.
        received.and_then(|ahead| sent.map(|()| ahead))
    })?;
    Ok(watch.figures(bytes, most_ahead))
}

/// Reads a generated stream. Its length is checked, but not its bytes, which the server chooses.
pub(crate) fn big(stream: TcpStream, mib: u64) -> Result<String> {
    let bytes = mib << 20;
    let watch = Watch::start();
    let request = format!("GET /big?mib={mib} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    (&stream).write_all(request.as_bytes())?;
    let mut received = 0;
    receive(&stream, Framing::Length(bytes), "", READ, |piece| {
        received += piece.len() as u64;
        Ok(())
    })?;
    if received != bytes {
        return Err(format!("{received} bytes instead of {bytes}").into());
    }
    Ok(watch.figures(bytes, 0))
}

fn send(mut stream: &TcpStream, pattern: &[u8], bytes: u64, is_chunked: bool, sent: &AtomicU64) -> Result<()> {
    let framing = if is_chunked { "Transfer-Encoding: chunked".into() } else { format!("Content-Length: {bytes}") };
    let head = format!("POST /echo HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {CONTENT_TYPE}\r\n{framing}\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    // All chunks are equal except the last, which is shorter.
    let whole = piece(&pattern[..PERIOD], is_chunked);
    for _ in 0..bytes / PERIOD as u64 {
        stream.write_all(&whole)?;
        sent.fetch_add(PERIOD as u64, Ordering::Relaxed);
    }
    let rest = (bytes % PERIOD as u64) as usize;
    if rest > 0 {
        stream.write_all(&piece(&pattern[..rest], is_chunked))?;
        sent.fetch_add(rest as u64, Ordering::Relaxed);
    }
    if is_chunked {
        stream.write_all(b"0\r\n\r\n")?;
    }
    Ok(())
}

/// The bytes of one write.
fn piece(content: &[u8], is_chunked: bool) -> Vec<u8> {
    if is_chunked {
        [format!("{:x}\r\n", content.len()).as_bytes(), content, b"\r\n"].concat()
    } else {
        content.to_vec()
    }
}

/// Compares everything that comes back. Returns the largest number of bytes that were sent and not yet read back.
fn receive_back(
    stream: &TcpStream,
    pattern: &[u8],
    bytes: u64,
    framing: Framing,
    rate: Option<f64>,
    sent: &AtomicU64,
) -> Result<u64> {
    let began = Instant::now();
    let (mut received, mut most_ahead) = (0, 0);
    receive(stream, framing, CONTENT_TYPE, if rate.is_some() { SLOW_READ } else { READ }, |piece| {
        let phase = (received % PERIOD as u64) as usize;
        if received + piece.len() as u64 > bytes || piece != &pattern[phase..phase + piece.len()] {
            return Err(format!("what comes back after byte {received} is not what was sent").into());
        }
        received += piece.len() as u64;
        // The count is behind the kernel by one piece at most.
        most_ahead = most_ahead.max(sent.load(Ordering::Relaxed).saturating_sub(received));
        if let Some(rate) = rate {
            let due = Duration::from_secs_f64(received as f64 / rate);
            thread::sleep(due.saturating_sub(began.elapsed()));
        }
        Ok(())
    })?;
    if received != bytes {
        return Err(format!("{received} bytes came back of {bytes}").into());
    }
    Ok(most_ahead)
}

/// Reads a reply to its end, and checks its head.
fn receive(
    mut stream: &TcpStream,
    framing: Framing,
    content_type: &str,
    room: usize,
    mut content: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let mut reply = Reply::new();
    let mut is_checked = false;
    let mut buffer = vec![0; room];
    while !reply.is_done() {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Err("the server closes the connection before the end of its reply".into());
        }
        let fed = reply.feed(&buffer[..length], &mut content);
        if let (false, Some(head)) = (is_checked, &reply.head) {
            head.check(framing, content_type)?;
            is_checked = true;
        }
        fed?;
    }
    Ok(())
}

/// Bytes without a pattern, repeated so that a read can begin anywhere in the period.
fn pattern() -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let period: Vec<u8> = (0..PERIOD)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect();
    period.iter().copied().cycle().take(PERIOD + READ).collect()
}

struct Watch {
    began: Instant,
    cpu: f64,
}

impl Watch {
    fn start() -> Self {
        Self { began: Instant::now(), cpu: cpu_seconds() }
    }

    fn figures(&self, bytes: u64, most_ahead: u64) -> String {
        let (seconds, cpu) = (self.began.elapsed().as_secs_f64(), cpu_seconds() - self.cpu);
        format!(r#"{{"bytes":{bytes},"seconds":{seconds},"cpu_seconds":{cpu},"most_ahead":{most_ahead}}}"#)
    }
}
