//! Clients that ask without a pause, until they are told to end.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::PATIENCE;
use crate::support::{Client, get};

/// Clients, each in a thread of its own.
pub(crate) struct Load {
    clients: Vec<JoinHandle<Outcomes>>,
    shared: Arc<Shared>,
    begin: Instant,
}

struct Shared {
    /// The clients end, once there were enough requests.
    is_over: AtomicBool,
    least: usize,
    asked: AtomicUsize,
}

/// How many requests ended in each way.
#[derive(Debug, Default)]
pub(crate) struct Outcomes {
    by_way: BTreeMap<String, usize>,
    connections: usize,
    /// The longest time that a client has waited for an answer, and connected for it.
    longest: Duration,
    seconds: f64,
}

impl Load {
    /// Starts clients that keep their connections for this many requests each. They send at least `least` requests
    /// together.
    pub(crate) fn start(
        clients: usize,
        requests_each: usize,
        least: usize,
        connect: impl Fn() -> io::Result<Client> + Send + Sync + 'static,
    ) -> Self {
        let shared = Arc::new(Shared { is_over: AtomicBool::new(false), least, asked: AtomicUsize::new(0) });
        let connect = Arc::new(connect);
        let clients = (0..clients).map(|_| {
            let (shared, connect) = (Arc::clone(&shared), Arc::clone(&connect));
            thread::spawn(move || ask_on(&shared, requests_each, &*connect))
        });
        Self { clients: clients.collect(), shared, begin: Instant::now() }
    }

    /// Waits until so many more requests were sent: clients go on asking.
    #[track_caller]
    pub(crate) fn wait_for_more(&self, count: usize) {
        let asked = || self.shared.asked.load(Ordering::Relaxed);
        let (before, end) = (asked(), Instant::now() + PATIENCE);
        while asked() < before + count {
            assert!(Instant::now() < end, "the clients do not go on: {} of {count} requests", asked() - before);
            assert!(!self.clients.iter().any(JoinHandle::is_finished), "a client has ended");
            thread::yield_now();
        }
    }

    /// Lets the clients end, and returns what came of all their requests.
    #[track_caller]
    pub(crate) fn end(self) -> Outcomes {
        self.shared.is_over.store(true, Ordering::Relaxed);
        let mut all = Outcomes::default();
        for client in self.clients {
            let one = client.join().expect("a client does not panic");
            for (way, count) in one.by_way {
                *all.by_way.entry(way).or_default() += count;
            }
            all.connections += one.connections;
            all.longest = all.longest.max(one.longest);
        }
        all.seconds = self.begin.elapsed().as_secs_f64();
        all
    }
}

impl Shared {
    /// Counts one more request, if there shall be one.
    fn next(&self) -> bool {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        asked < self.least || !self.is_over.load(Ordering::Relaxed)
    }
}

fn ask_on(shared: &Shared, requests_each: usize, connect: impl Fn() -> io::Result<Client>) -> Outcomes {
    let mut outcomes = Outcomes::default();
    let mut open: Option<(Client, usize)> = None;
    while shared.next() {
        let begin = Instant::now();
        let (client, asked) = match open.take() {
            Some((client, asked)) => (Ok(client), asked),
            None => (connect(), 0),
        };
        outcomes.connections += usize::from(asked == 0);
        let answer = client.and_then(|mut client| Ok((ask(&mut client, asked % 2 == 1)?, client)));
        outcomes.longest = outcomes.longest.max(begin.elapsed());
        match answer {
            Ok(((status, closes), client)) => {
                outcomes.count(format!("status {status}"));
                open = Some((client, asked + 1)).filter(|(_, asked)| !closes && *asked < requests_each);
            }
            Err(error) => outcomes.count(format!("{error} (request {} of its connection)", asked + 1)),
        }
    }
    outcomes
}

/// A proxy may send a GET to another server if it gets no answer, but not a POST (RFC 9110 §9.2.2), so a POST that is
/// lost cannot hide.
const POST: &str = "POST /upload HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello";

fn ask(client: &mut Client, is_post: bool) -> io::Result<(u16, bool)> {
    client.try_send(if is_post { POST.to_owned() } else { get("/plaintext") }.as_bytes())?;
    let reply = client.try_reply()?;
    let closes = reply.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    Ok((reply.status, closes))
}

impl Outcomes {
    fn count(&mut self, way: String) {
        *self.by_way.entry(way).or_default() += 1;
    }

    /// Takes the number of requests that ended in this way.
    pub(crate) fn take(&mut self, way: &str) -> usize {
        self.by_way.remove(way).unwrap_or_default()
    }

    /// As [`take`](Self::take), for all ways that begin so.
    pub(crate) fn take_all(&mut self, start: &str) -> usize {
        let mut taken = 0;
        self.by_way.retain(|way, count| {
            let stays = !way.starts_with(start);
            taken += if stays { 0 } else { *count };
            stays
        });
        taken
    }

    /// Checks that there were requests, and that a 200 answered each of them.
    #[track_caller]
    pub(crate) fn assert_all_answered(&self, least: usize) {
        let ways: Vec<&str> = self.by_way.keys().map(String::as_str).collect();
        assert_eq!(ways, ["status 200"], "{self}");
        assert!(self.by_way["status 200"] >= least, "{self}");
    }
}

impl Display for Outcomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ways: Vec<_> = self.by_way.iter().map(|(way, count)| format!("{count} x {way}")).collect();
        let Self { connections, longest, seconds, .. } = self;
        write!(f, "{} on {connections} connections in {seconds:.1} s, ", ways.join(", "))?;
        write!(f, "the longest wait {} ms", longest.as_millis())
    }
}
