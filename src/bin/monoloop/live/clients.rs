//! The clients that the page can start. Each experiment is one thread with plain, blocking sockets: it is what a client
//! on another machine would be. Their number and their time are bounded.

use std::io::{self, ErrorKind, Read, Write};
use std::mem;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use monoloop::http::Moment;
use monoloop::server::{Clock, SystemClock};

use super::orders::Experiment;

/// Most experiments at a time.
const MAX_RUNNING: usize = 8;

/// Most threads at a time, with those of experiments that were told to stop. One that connects while the backlog is
/// full learns of that only when the kernel gives up.
const MAX_THREADS: usize = 2 * MAX_RUNNING;

/// The longest time of an experiment. A head that drips ends before that, by its timeout.
const LONGEST: Duration = Duration::from_secs(25);

/// How long a client waits before it looks whether it is to stop.
const NAP: Duration = Duration::from_millis(50);

/// How many polite clients there are.
const POLITE: usize = 50;

/// A wait for a reply that is told of. In less, nobody would see that the loop was blocked.
const LONG: Duration = Duration::from_secs(1);

/// How long the client of a head that drips stays after the reply: longer than the linger timeout, which so is seen.
const STAY: Duration = Duration::from_secs(3);

/// How many members the room has.
const MEMBERS: usize = 24;

/// The experiments that run.
#[derive(Debug)]
pub(super) struct Clients {
    /// Each thread holds a copy until it ends, so the number of copies tells how many run.
    stop: Arc<AtomicBool>,
    /// The same for all threads, also those that were told to stop.
    threads: Arc<()>,
}

impl Clients {
    pub(super) fn new() -> Self {
        Self { stop: Arc::default(), threads: Arc::default() }
    }

    /// How many experiments run.
    pub(super) fn running(&self) -> usize {
        Arc::strong_count(&self.stop) - 1
    }

    /// Starts an experiment against the server at this address. It calls `report` with a sentence on what it measures,
    /// and when it cannot go on.
    ///
    /// # Errors
    /// One sentence, if too many run already or the system denies a thread.
    pub(super) fn start(
        &self,
        what: Experiment,
        server: SocketAddr,
        report: impl Fn(Report) + Send + 'static,
    ) -> Result<(), String> {
        if self.running() >= MAX_RUNNING {
            return Err(format!("{MAX_RUNNING} experiments run already. Wait for the end of one, or stop them all."));
        }
        let threads = Arc::clone(&self.threads);
        if Arc::strong_count(&threads) - 1 > MAX_THREADS {
            return Err("Experiments that were stopped have not ended yet. Wait for them.".to_owned());
        }
        let (stop, report) = (Arc::clone(&self.stop), Box::new(report));
        let mut stage = Stage { server, stop, report, clock: SystemClock::new() };
        let play = move || {
            // A server that ends or refuses ends the experiment too; the page shows why.
            if let Err(error) = stage.play(what) {
                log::debug!("the experiment {what:?} ended: {error}");
            }
            drop(threads);
        };
        let thread = thread::Builder::new().name(format!("experiment {what:?}")).spawn(play);
        thread.map(drop).map_err(|error| format!("The system denies a thread: {error}."))
    }

    /// Ends all experiments, and lets new ones begin at once.
    pub(super) fn stop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.stop = Arc::default();
    }
}

/// Threads must not outlive the page for long.
impl Drop for Clients {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What an experiment has to say, in one sentence.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Report {
    /// Its clients have measured something.
    Measured(String),
    /// It cannot go on.
    Failed(String),
}

/// What an experiment knows. Its clock starts with it.
struct Stage {
    server: SocketAddr,
    stop: Arc<AtomicBool>,
    report: Box<dyn Fn(Report) + Send>,
    clock: SystemClock,
}

impl Stage {
    fn play(&mut self, what: Experiment) -> io::Result<()> {
        match what {
            Experiment::Polite => self.polite(),
            Experiment::Slow => self.slow(),
            Experiment::Drip => self.drip(),
            Experiment::Pipeline => self.pipeline(),
            Experiment::Broadcast => self.broadcast(),
            Experiment::Block => self.block(),
        }
    }

    /// Each client has one request under way at most. One after the other asks, and all of them measure their waits.
    fn polite(&mut self) -> io::Result<()> {
        let mut clients = Vec::new();
        for _ in 0..POLITE {
            let socket = self.connect()?;
            socket.set_nonblocking(true)?;
            clients.push(Polite { socket, asked: None, received: Vec::new(), ended: false });
            if !self.pause(Duration::from_millis(10)) {
                break;
            }
        }
        let mut longest = Duration::ZERO;
        'rounds: while self.goes_on(Duration::from_secs(20)) {
            for next in 0..clients.len() {
                // Only in its turn a client learns that the server has closed. So one sees such connections linger.
                if clients[next].ended {
                    break 'rounds;
                }
                clients[next].ask(self.clock.now())?;
                if !self.pause(Duration::from_millis(10)) {
                    break 'rounds;
                }
                self.measure(&mut clients, &mut longest)?;
            }
        }
        let mut sockets: Vec<_> = clients.into_iter().map(|client| client.socket).collect();
        sockets.iter().try_for_each(|socket| socket.set_nonblocking(false))?;
        take_rest(&mut sockets)
    }

    /// Takes the replies that have come, and notes the longest wait. It is told when nobody waits for long any more.
    fn measure(&mut self, clients: &mut [Polite], longest: &mut Duration) -> io::Result<()> {
        let mut waits_on = false;
        for client in clients {
            let Some(asked) = client.asked.filter(|_| !client.ended) else { continue };
            client.take_reply()?;
            let wait = self.clock.now().since(asked);
            match client.asked {
                None => *longest = wait.max(*longest),
                Some(_) => waits_on |= wait >= LONG && !client.ended,
            }
        }
        if *longest >= LONG && !waits_on {
            let wait = mem::take(longest).as_secs_f64();
            let text = format!("The polite clients had to wait for up to {wait:.2} s, as they measured it.");
            (self.report)(Report::Measured(text));
        }
        Ok(())
    }

    /// Asks for 64 MiB at once, and reads 64 KiB each half second: enough for the minimum rate.
    fn slow(&mut self) -> io::Result<()> {
        let mut client = self.connect()?;
        client.write_all("GET /big?mib=1 HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(64).as_bytes())?;
        let mut piece = vec![0; 64 * 1024];
        while self.goes_on(Duration::from_secs(20)) && self.read_some(&mut client, &mut piece)? > 0 {
            self.pause(Duration::from_millis(500));
        }
        Ok(())
    }

    /// Sends a head byte by byte, and never its end. After the reply it leaves its side open for a while.
    fn drip(&mut self) -> io::Result<()> {
        let mut client = self.connect()?;
        let head = b"GET /users HTTP/1.1\r\nHost: localhost\r\nX-Slowly: ";
        let mut bytes = head.iter().chain(b"drip-".iter().cycle());
        client.set_nonblocking(true)?;
        while self.goes_on(LONGEST) {
            client.write_all(&[*bytes.next().expect("it goes round")])?;
            // The 408 ends it.
            match client.read(&mut [0; 512]) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Ok(1..) => {
                    self.pause(STAY);
                    return Ok(());
                }
                _ => return Ok(()),
            }
            self.pause(Duration::from_millis(250));
        }
        Ok(())
    }

    /// Sends 64 requests with one write, and then takes the replies.
    fn pipeline(&mut self) -> io::Result<()> {
        let mut client = self.connect()?;
        self.pause(Duration::from_millis(500));
        client.write_all("GET /users/1 HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(64).as_bytes())?;
        self.take_replies(&mut client, 64)?;
        self.pause(Duration::from_secs(2));
        client.shutdown(Shutdown::Write)
    }

    /// Members join the chat one by one. Then one says something each second, and the loop tells all others.
    fn broadcast(&mut self) -> io::Result<()> {
        let mut members = Vec::new();
        if !self.join(&mut members)? || self.chat(&mut members)? {
            members.iter_mut().try_for_each(|member| member.write_all(&frame(CLOSE, "")))?;
        }
        take_rest(&mut members)
    }

    /// Lets the members join. Returns whether all of them have.
    fn join(&mut self, members: &mut Vec<TcpStream>) -> io::Result<bool> {
        for number in 1..=MEMBERS {
            let mut member = self.connect()?;
            write!(
                member,
                "GET /ws/chat?name=member%20{number} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
                 Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
            )?;
            members.push(member);
            if !self.pause(Duration::from_millis(40)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Lets the members talk. Returns whether it is they who end it, and not the server.
    fn chat(&mut self, members: &mut [TcpStream]) -> io::Result<bool> {
        let mut speakers = (0..MEMBERS).cycle();
        let mut heard = vec![0; 16 * 1024];
        while self.goes_on(Duration::from_secs(15)) {
            for member in &mut *members {
                member.set_nonblocking(true)?;
                match member.read(&mut heard) {
                    Ok(0) => return Ok(false),
                    // The server closes all of them in a drain, and each has to answer.
                    Ok(count) if heard[..count].contains(&CLOSE) => {
                        members.iter_mut().try_for_each(|member| {
                            member.set_nonblocking(false)?;
                            member.write_all(&frame(CLOSE, ""))
                        })?;
                        return Ok(false);
                    }
                    Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
                    _ => member.set_nonblocking(false)?,
                }
            }
            let speaker = speakers.next().expect("it goes round");
            members[speaker].write_all(&frame(TEXT, "Hello, everybody!"))?;
            self.pause(Duration::from_secs(1));
        }
        Ok(true)
    }

    /// The request itself is quick. Its handler sleeps.
    fn block(&mut self) -> io::Result<()> {
        let mut client = self.connect()?;
        client.write_all(b"POST /_live/block HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")?;
        self.take_replies(&mut client, 1).map(drop)
    }

    // ---- what all of them need --------------------------------------------------------------------------------------

    /// Connects, and waits for that no longer than the experiment may last.
    fn connect(&mut self) -> io::Result<TcpStream> {
        let left = LONGEST.saturating_sub(self.clock.now().since(Moment::ZERO)).max(NAP);
        let client = match TcpStream::connect_timeout(&self.server, left) {
            Ok(client) => client,
            Err(error) => {
                if self.goes_on(LONGEST) {
                    (self.report)(Report::Failed(format!("A client of this page cannot connect: {error}.")));
                }
                return Err(error);
            }
        };
        client.set_nodelay(true)?;
        client.set_read_timeout(Some(NAP))?;
        client.set_write_timeout(Some(left))?;
        Ok(client)
    }

    /// Whether the experiment goes on: it is not told to stop, and is younger than this.
    fn goes_on(&mut self, longest: Duration) -> bool {
        !self.stop.load(Ordering::Relaxed) && self.clock.now().since(Moment::ZERO) < longest
    }

    /// Sleeps for this time, or until the experiment is told to stop. Returns whether it goes on.
    fn pause(&mut self, time: Duration) -> bool {
        let until = self.clock.now() + time;
        loop {
            let rest = until.since(self.clock.now());
            if rest.is_zero() || !self.goes_on(LONGEST) {
                return self.goes_on(LONGEST);
            }
            thread::sleep(rest.min(NAP));
        }
    }

    /// Reads what comes next. Returns 0 when the server has closed, or the experiment is over.
    fn read_some(&mut self, client: &mut TcpStream, piece: &mut [u8]) -> io::Result<usize> {
        while self.goes_on(LONGEST) {
            match client.read(piece) {
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                result => return result,
            }
        }
        Ok(0)
    }

    /// Takes as many replies as these, each with a `Content-Length`. Returns whether they came.
    fn take_replies(&mut self, client: &mut TcpStream, count: usize) -> io::Result<bool> {
        let (mut received, mut piece) = (Vec::new(), [0; 4096]);
        for _ in 0..count {
            let length = loop {
                if let Some(length) = whole_reply(&received) {
                    break length;
                }
                match self.read_some(client, &mut piece)? {
                    0 => return Ok(false),
                    count => received.extend_from_slice(&piece[..count]),
                }
            };
            received.drain(..length);
        }
        Ok(true)
    }
}

/// A polite client. Its socket does not block, so that the thread sees when each reply comes.
struct Polite {
    socket: TcpStream,
    /// When it sent the request that is under way.
    asked: Option<Moment>,
    received: Vec<u8>,
    /// The server has closed its side.
    ended: bool,
}

impl Polite {
    /// Sends a request, unless one is under way.
    fn ask(&mut self, now: Moment) -> io::Result<()> {
        if self.asked.is_none() {
            self.socket.write_all(b"GET /users HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
            self.asked = Some(now);
        }
        Ok(())
    }

    /// Takes what has come. When that is the whole reply, no request is under way.
    fn take_reply(&mut self) -> io::Result<()> {
        let mut piece = [0; 4096];
        match self.socket.read(&mut piece) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Ok(0) => self.ended = true,
            result => self.received.extend_from_slice(&piece[..result?]),
        }
        if let Some(length) = whole_reply(&self.received) {
            self.received.drain(..length);
            self.asked = None;
        }
        Ok(())
    }
}

/// Ends the connections of clients as polite ones do: our side is closed, and all that comes is taken until the server
/// closes its side. A socket that is closed while some of that is unread would end with a reset (tcp(7)).
fn take_rest(clients: &mut [TcpStream]) -> io::Result<()> {
    let mut piece = [0; 16 * 1024];
    for client in &mut *clients {
        client.shutdown(Shutdown::Write)?;
    }
    for client in clients {
        // The loop may be paused or blocked. Then none of them can end so.
        while client.read(&mut piece)? > 0 {}
    }
    Ok(())
}

/// The length of the first reply, if all of it has come.
fn whole_reply(received: &[u8]) -> Option<usize> {
    let end = received.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    Some(end + length_in(&received[..end])).filter(|length| *length <= received.len())
}

/// The `Content-Length` of a head, or 0.
fn length_in(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let line = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    line.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}

/// The first bytes of a whole message of text, and of a Close frame (RFC 6455 §5.2). What the chat says is ASCII and
/// short, so neither comes up within a message.
const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;

/// A masked frame, as clients send them. The mask is zero: it hides nothing from anybody here.
fn frame(first: u8, content: &str) -> Vec<u8> {
    let length = u8::try_from(content.len()).ok().filter(|length| *length < 126).expect("it is short");
    [&[first, 0x80 | length, 0, 0, 0, 0], content.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_client_that_cannot_connect_says_so() {
        // Nobody ever listens on port 0. A port that was free a moment ago may be another test's now.
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let (send, reports) = mpsc::channel();
        let report = move |report| send.send(report).expect("somebody waits for it");
        // It must live until the report has come: its end stops its clients, and these report nothing then.
        let clients = Clients::new();
        clients.start(Experiment::Pipeline, address, report).expect("it starts");
        let Ok(Report::Failed(why)) = reports.recv_timeout(LONGEST) else { panic!("it does not fail") };
        assert!(why.starts_with("A client of this page cannot connect: "), "{why}");
    }

    #[test]
    fn a_reply_is_whole_with_its_content() {
        for (received, length) in [
            ("", None),
            ("HTTP/1.1 200 OK\r\n", None),
            ("HTTP/1.1 204 No Content\r\n\r\n", Some(27)),
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\na", None),
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabHTTP", Some(40)),
        ] {
            assert_eq!(whole_reply(received.as_bytes()), length, "{received:?}");
        }
    }
}
