//! Opens sockets: the handshake of a client (RFC 6455, section 4.1), and an exchange that is compared byte by byte.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::{PATIENCE, Result, frame};

/// The key of section 1.3, and the answer to it.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Clients that connect before the first replies are awaited, so that the server's queue does not overflow.
const BATCH: usize = 256;

/// What the kernel takes at once in bytes: more than any batch, so that no write has to wait.
const SEND_BUFFER: usize = 200_000;

/// For a far socket: bytes that may come and wait, of which the kernel makes twice as many, and bytes of a segment.
const FAR_BUFFER: usize = 4096;
const FAR_SEGMENT: u32 = 1448;

const MAX_HEAD: usize = 4096;

/// Where to connect, and how.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) path: &'a str,
    /// Offers compression as browsers do, and needs it.
    pub(crate) has_deflate: bool,
    /// The kernel keeps little for this socket, at both ends, as for a client behind a network. For one on the loopback
    /// device, that of the server would keep some megabytes.
    pub(crate) is_far: bool,
}

impl Target<'_> {
    /// Opens sockets that block.
    pub(crate) fn open(self, count: usize) -> Result<Vec<TcpStream>> {
        let mut opened = Vec::with_capacity(count);
        while opened.len() < count {
            let first = opened.len();
            for _ in 0..BATCH.min(count - first) {
                opened.push(self.begin()?);
            }
            for stream in &mut opened[first..] {
                self.finish(stream)?;
            }
        }
        Ok(opened)
    }

    fn begin(self) -> Result<TcpStream> {
        let made = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        made.set_send_buffer_size(SEND_BUFFER)?;
        // Sockets that are reset at the end leave no ports in TIME-WAIT, which the next server would miss.
        made.set_linger(Some(Duration::ZERO))?;
        if self.is_far {
            made.set_recv_buffer_size(FAR_BUFFER)?;
            made.set_tcp_mss(FAR_SEGMENT)?;
        }
        made.connect(&self.address.into())?;
        let mut stream = TcpStream::from(made);
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let extension = if self.has_deflate {
            "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
        } else {
            ""
        };
        let (path, address) = (self.path, self.address);
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{extension}\r\n"
        );
        stream.write_all(request.as_bytes())?;
        Ok(stream)
    }

    /// Reads the reply, and nothing after it: a server has nothing to say yet.
    fn finish(self, stream: &mut TcpStream) -> Result<()> {
        let mut head = Vec::new();
        let mut room = [0; 1024];
        while !head.ends_with(b"\r\n\r\n") {
            let length = stream.read(&mut room)?;
            head.extend(&room[..length]);
            if length == 0 || head.len() > MAX_HEAD {
                return Err(format!("no handshake: {:?}", String::from_utf8_lossy(&head)).into());
            }
        }
        let head = String::from_utf8(head)?;
        let has_field = |name: &str, part: &str| {
            let mut fields = head.lines().filter_map(|line| line.split_once(": "));
            fields.any(|(found, value)| found.eq_ignore_ascii_case(name) && value.contains(part))
        };
        if !head.starts_with("HTTP/1.1 101 ") || !has_field("sec-websocket-accept", ACCEPT) {
            return Err(format!("a wrong handshake: {head:?}").into());
        }
        if has_field("sec-websocket-extensions", "permessage-deflate") != self.has_deflate {
            return Err(format!("compression is not what was asked for: {head:?}").into());
        }
        Ok(())
    }
}

/// Sends a frame, and compares what comes back.
pub(crate) fn check(stream: &mut TcpStream, opcode: u8, content: &[u8]) -> Result<()> {
    stream.write_all(&frame::masked(opcode, content))?;
    expect(stream, &frame::plain(opcode, content))
}

/// Compares what comes with what should come.
pub(crate) fn expect(stream: &mut TcpStream, expected: &[u8]) -> Result<()> {
    let mut received = vec![0; expected.len()];
    stream.read_exact(&mut received)?;
    if received == expected { Ok(()) } else { Err("the message that comes back is another one".into()) }
}

/// What each message says: text, so that the server has to check it.
pub(crate) fn content(size: usize) -> Vec<u8> {
    (b'a'..=b'z').cycle().take(size).collect()
}
