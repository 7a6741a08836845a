//! Many clients of server-sent events on one thread.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};

use crate::reply::{Framing, Reply};
use crate::{PATIENCE, Result, cpu_seconds};

const REQUEST: &[u8] = b"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n";

/// Clients that connect before the first replies are awaited, so that the server's queue does not overflow.
const BATCH: usize = 256;

/// A burst of events is over when nothing has come for this long. The window begins and ends in such a silence, so it
/// holds whole bursts. A server that spreads its events over the second is never silent.
const SILENCE: Duration = Duration::from_millis(50);

/// The longest wait for a silence.
const NO_SILENCE: Duration = Duration::from_secs(2);

struct Client {
    stream: mio::net::TcpStream,
    reply: Reply,
    counter: Counter,
}

/// Opens the connections, and lets events come for `warmup`. It then prints `begin`, counts for `seconds`, prints
/// `end`, and waits for a line of its input, or the end of the input. Meanwhile the caller can look at the server.
pub(crate) fn events(address: SocketAddr, count: usize, warmup: Duration, seconds: Duration) -> Result<String> {
    let mut crowd = Crowd { poll: Poll::new()?, events: Events::with_capacity(1024), clients: Vec::new() };
    while crowd.clients.len() < count {
        crowd.grow(address, BATCH.min(count - crowd.clients.len()))?;
    }
    let began = Instant::now();
    crowd.listen(began + warmup, &mut |_| {})?;

    println!("begin");
    let (began, cpu) = (Instant::now(), cpu_seconds());
    let mut arrivals = Vec::new();
    crowd.listen(began + seconds, &mut |client| arrivals.push((client, began.elapsed().as_secs_f64())))?;
    let (seconds, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    println!("end");
    std::io::stdin().read_line(&mut String::new())?;

    Ok(figures(&arrivals, count, seconds, cpu))
}

struct Crowd {
    poll: Poll,
    events: Events,
    clients: Vec<Client>,
}

impl Crowd {
    /// Connects more clients, and waits until each has a reply that has begun.
    fn grow(&mut self, address: SocketAddr, count: usize) -> Result<()> {
        let first = self.clients.len();
        for index in first..first + count {
            let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
            stream.write_all(REQUEST)?;
            stream.set_nonblocking(true)?;
            let mut stream = mio::net::TcpStream::from_std(stream);
            self.poll.registry().register(&mut stream, Token(index), Interest::READABLE)?;
            self.clients.push(Client { stream, reply: Reply::new(), counter: Counter::default() });
        }
        let end = Instant::now() + PATIENCE;
        while self.clients[first..].iter().any(|client| client.reply.head.is_none()) {
            if Instant::now() > end {
                return Err(format!("there is no reply for some client of {}", first + count).into());
            }
            self.turn(&mut |_| {})?;
        }
        self.clients[first..].iter().try_for_each(Client::check)
    }

    /// Counts until the first silence after `end`.
    fn listen(&mut self, end: Instant, heard: &mut impl FnMut(usize)) -> Result<()> {
        loop {
            let is_silent = self.turn(heard)?;
            let now = Instant::now();
            if now > end && is_silent || now > end + NO_SILENCE {
                return Ok(());
            }
        }
    }

    /// Takes the events that have come, and calls `heard` with the client of each. Returns whether nothing came for a
    /// while.
    fn turn(&mut self, heard: &mut impl FnMut(usize)) -> Result<bool> {
        match self.poll.poll(&mut self.events, Some(SILENCE)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(false),
            result => result?,
        }
        for event in &self.events {
            let Token(index) = event.token();
            self.clients[index].read(|| heard(index))?;
        }
        Ok(self.events.is_empty())
    }
}

impl Client {
    fn check(&self) -> Result<()> {
        let head = self.reply.head.as_ref().ok_or("there is no head yet")?;
        head.check(Framing::Chunked, "text/event-stream")
    }

    fn read(&mut self, mut heard: impl FnMut()) -> Result<()> {
        let mut buffer = [0; 4096];
        loop {
            let length = match self.stream.read(&mut buffer) {
                Ok(0) => return Err("the server closes a stream of events".into()),
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            self.reply.feed(&buffer[..length], |content| {
                self.counter.feed(content, &mut heard);
                Ok(())
            })?;
            if self.reply.is_done() {
                self.check()?;
                return Err("a stream of events has ended".into());
            }
            // If the socket had less than there was room for, it is empty; epoll reports it when more comes.
            if length < buffer.len() {
                return Ok(());
            }
        }
    }
}

/// Finds the ends of events: blank lines after a field `data`. A comment is no event.
#[derive(Default)]
struct Counter {
    line: Vec<u8>,
    has_data: bool,
}

impl Counter {
    fn feed(&mut self, content: &[u8], heard: &mut impl FnMut()) {
        for &byte in content {
            if byte != b'\n' {
                self.line.push(byte);
                continue;
            }
            match self.line.as_slice() {
                b"" | b"\r" => {
                    if std::mem::take(&mut self.has_data) {
                        heard();
                    }
                }
                line => self.has_data |= line.starts_with(b"data"),
            }
            self.line.clear();
        }
    }
}

/// How evenly the events came: the difference of each client's intervals from a second, and the time from the first
/// client to the last if all get their events in a burst.
fn figures(arrivals: &[(usize, f64)], count: usize, seconds: f64, cpu: f64) -> String {
    let mut last = vec![None; count];
    let mut each = vec![0_u32; count];
    let mut misses = Vec::new();
    for &(client, at) in arrivals {
        each[client] += 1;
        if let Some(before) = last[client].replace(at) {
            misses.push((at - before - 1.0_f64).abs());
        }
    }
    let bursts = arrivals.chunk_by(|(_, before), (_, after)| after - before < SILENCE.as_secs_f64());
    let mut spreads: Vec<f64> = bursts.map(|burst| burst[burst.len() - 1].1 - burst[0].1).collect();
    let bursts = spreads.len();
    let (fewest, most) = (each.iter().min().unwrap_or(&0), each.iter().max().unwrap_or(&0));
    let [miss_p50, miss_p99, miss_max] = [0.5, 0.99, 1.0].map(|share| quantile(&mut misses, share));
    let [spread_p50, spread_max] = [0.5, 1.0].map(|share| quantile(&mut spreads, share));
    format!(
        concat!(
            r#"{{"events":{},"seconds":{},"cpu_seconds":{},"fewest":{},"most":{},"bursts":{},"spread_p50":{},"#,
            r#""spread_max":{},"miss_p50":{},"miss_p99":{},"miss_max":{}}}"#
        ),
        arrivals.len(),
        seconds,
        cpu,
        fewest,
        most,
        bursts,
        spread_p50,
        spread_max,
        miss_p50,
        miss_p99,
        miss_max,
    )
}

fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(((values.len().max(1) - 1) as f64 * share).round() as usize).copied().unwrap_or(0.0)
}
