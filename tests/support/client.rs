//! A plain client, over TCP or over a unix socket.

use std::fmt::Debug;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv, sockopt};

#[cfg(target_os = "linux")]
use super::proc_net_tcp;
use super::{LIMIT, get};

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A client that sends what the test wants and nothing else.
#[derive(Debug)]
pub(crate) struct Client {
    stream: Stream,
    /// Bytes that have come and were not looked at yet.
    received: Vec<u8>,
    consumed: usize,
}

/// A whole reply.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) content: Vec<u8>,
}

impl Reply {
    #[track_caller]
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.content).expect("the content is text")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        field(&self.head, name)
    }

    /// Whether the server says that this is the last reply.
    pub(crate) fn closes(&self) -> bool {
        self.header("connection") == Some("close")
    }
}

fn field<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let lines = head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
    lines.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
}

impl Client {
    #[track_caller]
    pub(crate) fn tcp(address: SocketAddr) -> Self {
        Self::connected(TcpStream::connect_timeout(&address, LIMIT).expect("the server can be reached"))
    }

    /// Uses a socket that the test has connected.
    #[track_caller]
    pub(crate) fn connected(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("TCP_NODELAY can be set");
        stream.set_read_timeout(Some(LIMIT)).expect("a timeout can be set");
        stream.set_write_timeout(Some(LIMIT)).expect("a timeout can be set");
        Self::new(Stream::Tcp(stream))
    }

    #[track_caller]
    pub(crate) fn unix(path: &Path) -> Self {
        let stream = UnixStream::connect(path).expect("the server can be reached");
        stream.set_read_timeout(Some(LIMIT)).expect("a timeout can be set");
        stream.set_write_timeout(Some(LIMIT)).expect("a timeout can be set");
        Self::new(Stream::Unix(stream))
    }

    fn new(stream: Stream) -> Self {
        Self { stream, received: Vec::new(), consumed: 0 }
    }

    /// The TCP socket, for uses that have no method here.
    #[track_caller]
    pub(crate) fn socket(&self) -> &TcpStream {
        match &self.stream {
            Stream::Tcp(stream) => stream,
            Stream::Unix(_) => panic!("it is a unix socket"),
        }
    }

    /// Makes reads and writes fail instead of waiting.
    #[track_caller]
    pub(crate) fn set_nonblocking(&self) {
        let result = match &self.stream {
            Stream::Tcp(stream) => stream.set_nonblocking(true),
            Stream::Unix(stream) => stream.set_nonblocking(true),
        };
        result.expect("a socket can be made so");
    }

    #[track_caller]
    pub(crate) fn local(&self) -> SocketAddr {
        self.socket().local_addr().expect("it is connected")
    }

    /// A second client of the same socket, so that one thread can write while another reads.
    #[track_caller]
    pub(crate) fn share(&self) -> Self {
        Self::new(match &self.stream {
            Stream::Tcp(stream) => Stream::Tcp(stream.try_clone().expect("a descriptor is free")),
            Stream::Unix(stream) => Stream::Unix(stream.try_clone().expect("a descriptor is free")),
        })
    }

    /// Makes the kernel's receive buffer as small as possible, so that the server writes in small pieces.
    #[track_caller]
    pub(crate) fn set_receive_buffer(&self, bytes: usize) {
        sockopt::set_socket_recv_buffer_size(self.socket(), bytes).expect("SO_RCVBUF can be set");
    }

    #[track_caller]
    pub(crate) fn set_send_buffer(&self, bytes: usize) {
        sockopt::set_socket_send_buffer_size(self.socket(), bytes).expect("SO_SNDBUF can be set");
    }

    // ---- sending ----------------------------------------------------------------------------------------------------

    #[track_caller]
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes.as_ref()).expect("the server takes what is sent");
    }

    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut sent = 0;
        while sent < bytes.len() {
            sent += self.write_some(&bytes[sent..])?;
        }
        Ok(())
    }

    /// One write.
    pub(crate) fn write_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            let result = match &mut self.stream {
                Stream::Tcp(stream) => stream.write(bytes),
                Stream::Unix(stream) => stream.write(bytes),
            };
            match result {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    #[track_caller]
    pub(crate) fn get(&mut self, target: &str) {
        self.send(get(target));
    }

    /// Sends a GET and reads the reply.
    #[track_caller]
    pub(crate) fn ask(&mut self, target: &str) -> Reply {
        self.get(target);
        self.reply()
    }

    /// Closes our side of the socket.
    #[track_caller]
    pub(crate) fn half_close(&self) {
        match &self.stream {
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Write).expect("it is connected"),
            Stream::Unix(stream) => stream.shutdown(Shutdown::Write).expect("it is connected"),
        }
    }

    /// Holds data back, so that it leaves in one segment with what comes next, or with FIN.
    #[cfg(target_os = "linux")]
    #[track_caller]
    pub(crate) fn cork(&self) {
        sockopt::set_tcp_cork(self.socket(), true).expect("TCP_CORK can be set");
    }

    /// Closes with a reset.
    #[track_caller]
    pub(crate) fn reset(self) {
        sockopt::set_socket_linger(self.socket(), Some(Duration::ZERO)).expect("SO_LINGER can be set");
    }

    /// Waits until the server's kernel has everything that was sent, even if the server has not read it.
    #[cfg(target_os = "linux")]
    #[track_caller]
    pub(crate) fn wait_delivered(&self) {
        wait_all_delivered(std::slice::from_ref(self));
    }

    // ---- receiving --------------------------------------------------------------------------------------------------

    /// One read, of at most `room.len()` bytes; 0 at EOF.
    pub(crate) fn read_some(&mut self, room: &mut [u8]) -> io::Result<usize> {
        loop {
            let result = match &mut self.stream {
                Stream::Tcp(stream) => stream.read(room),
                Stream::Unix(stream) => stream.read(room),
            };
            match result {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    /// Whether something waits in the socket, including EOF and errors.
    pub(crate) fn is_readable(&self) -> bool {
        let mut room = [0];
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        let result = match &self.stream {
            Stream::Tcp(stream) => recv(stream, &mut room, flags),
            Stream::Unix(stream) => recv(stream, &mut room, flags),
        };
        !matches!(result, Err(Errno::AGAIN))
    }

    /// Waits until something has come, and leaves it in the socket.
    #[track_caller]
    pub(crate) fn wait_readable(&self) {
        let count = loop {
            match self.socket().peek(&mut [0]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => break result.expect("the server answers"),
            }
        };
        assert_eq!(count, 1, "something in place of EOF");
    }

    fn fill(&mut self) -> io::Result<usize> {
        if self.consumed >= self.received.len() / 2 {
            self.received.drain(..self.consumed);
            self.consumed = 0;
        }
        let mut room = [0; 64 * 1024];
        let count = self.read_some(&mut room)?;
        self.received.extend_from_slice(&room[..count]);
        Ok(count)
    }

    fn rest(&self) -> &[u8] {
        &self.received[self.consumed..]
    }

    /// Bytes that came together with a head or a reply.
    pub(crate) fn unlooked(&self) -> usize {
        self.rest().len()
    }

    /// Reads a head, and leaves what follows it.
    pub(crate) fn try_head(&mut self) -> io::Result<(u16, String)> {
        let head = self.look_at_head()?;
        self.consumed += head.len();
        let status = head.get(9..12).and_then(|digits| digits.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("no status line: {head:?}")))?;
        Ok((status, head))
    }

    fn look_at_head(&mut self) -> io::Result<String> {
        let mut searched = 0;
        loop {
            let found = self.rest()[searched..].windows(4).position(|window| window == b"\r\n\r\n");
            if let Some(at) = found {
                return String::from_utf8(self.rest()[..searched + at + 4].to_vec()).map_err(io::Error::other);
            }
            searched = self.rest().len().saturating_sub(3);
            self.fill_more()?;
        }
    }

    fn fill_more(&mut self) -> io::Result<()> {
        if self.fill()? > 0 {
            return Ok(());
        }
        let start = &self.rest()[..self.rest().len().min(500)];
        Err(io::Error::new(ErrorKind::UnexpectedEof, format!("EOF after {:?}", String::from_utf8_lossy(start))))
    }

    /// Reads a reply with a `Content-Length`. If it is not yet whole, nothing is lost.
    pub(crate) fn try_reply(&mut self) -> io::Result<Reply> {
        let head = self.look_at_head()?;
        let length = match field(&head, "content-length") {
            Some(length) => length.parse().map_err(io::Error::other)?,
            None => 0,
        };
        while self.rest().len() < head.len() + length {
            self.fill_more()?;
        }
        let (status, head) = self.try_head()?;
        let content = self.rest()[..length].to_vec();
        self.consumed += length;
        Ok(Reply { status, head, content })
    }

    #[track_caller]
    pub(crate) fn reply(&mut self) -> Reply {
        match self.try_reply() {
            Ok(reply) => reply,
            Err(error) => panic!("no reply: {error}"),
        }
    }

    /// Reads content of `length` bytes in reads of at most `step`, giving each piece and its offset to `look`.
    #[track_caller]
    pub(crate) fn read_content(&mut self, length: usize, step: usize, mut look: impl FnMut(usize, &[u8])) {
        let mut at = 0;
        let mut room = vec![0; step];
        while at < length {
            if self.rest().is_empty() {
                let most = step.min(length - at);
                let count = self.read_some(&mut room[..most]).expect("the content arrives");
                assert!(count > 0, "EOF at {at} of {length}");
                look(at, &room[..count]);
                at += count;
            } else {
                let most = self.rest().len().min(length - at);
                look(at, &self.rest()[..most]);
                self.consumed += most;
                at += most;
            }
        }
    }

    /// Checks that the server closed its side, and that nothing came before that.
    #[track_caller]
    pub(crate) fn expect_eof(&mut self) {
        assert_eq!(String::from_utf8_lossy(self.rest()), "", "nothing is left over");
        match self.fill() {
            Ok(0) => {}
            Ok(_) => panic!("bytes in place of EOF: {:?}", String::from_utf8_lossy(self.rest())),
            Err(error) => panic!("no EOF: {error}"),
        }
    }

    /// Waits until the server ends this connection, by EOF or by a reset.
    #[track_caller]
    pub(crate) fn expect_end(&mut self) {
        assert_eq!(String::from_utf8_lossy(self.rest()), "", "nothing is left over");
        match self.fill() {
            Ok(0) => {}
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {}
            Ok(_) => panic!("bytes in place of the end: {:?}", String::from_utf8_lossy(self.rest())),
            Err(error) => panic!("no end: {error}"),
        }
    }
}

/// Waits until the server's kernel has everything that these clients have sent. All of them are looked up together,
/// because the list of sockets is long on a busy machine.
#[cfg(target_os = "linux")]
#[track_caller]
pub(crate) fn wait_all_delivered(clients: &[Client]) {
    let end = Instant::now() + LIMIT;
    let ends = |client: &Client| (client.local(), client.socket().peer_addr().expect("it is connected"));
    let mut waiting: Vec<_> = clients.iter().map(ends).collect();
    loop {
        for entry in proc_net_tcp().iter().filter(|entry| entry.unacknowledged == 0) {
            waiting.retain(|ends| *ends != (entry.local, entry.remote));
        }
        if waiting.is_empty() {
            return;
        }
        assert!(Instant::now() < end, "what was sent does not arrive: {waiting:?}");
        thread::yield_now();
    }
}
