//! Work that takes long must not keep a polite client from its answer for long: work that other clients cause, letters
//! of other threads, timers.
//!
//! The loop waits at a gate until all of that work and the polite request have come. Then the gate is opened, and the
//! handler of the polite request looks at how much CPU time the loop's thread has spent since. So these tests measure
//! no time on the wall, and no wait of a client for its core. Each piece of work takes a fixed CPU time, on any machine
//! and in any build.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use monoloop::exchange::Responder;
use monoloop::{Config, Router};
use rustix::time::{ClockId, clock_gettime};

use crate::support::{Client, Gate, TestServer, gate, get, wait_all_delivered};
use crate::{BAR, basics};

/// The CPU time of one call.
const CALL: Duration = Duration::from_millis(2);

/// The CPU time of this thread until now.
fn spent() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().expect("it is positive"), time.tv_nsec.try_into().expect("it is positive"))
}

/// Computes for so long.
fn burn(time: Duration) {
    let end = spent() + time;
    while spent() < end {}
}

/// A server whose loop can be held, and that can be asked how much CPU time it has spent since.
struct Held {
    server: TestServer,
    gate: Gate,
    blocker: Client,
}

impl Held {
    #[track_caller]
    fn start(setup: impl FnOnce(&mut Router<()>, &mut Config) + Send + 'static) -> Self {
        let (gate, door) = gate();
        let begin = Arc::new(AtomicU64::new(0));
        let opened = Arc::clone(&begin);
        let server = TestServer::start(move |app, config| {
            basics(app);
            app.get("/gate", move |_, _, res| {
                door.pass();
                opened.store(spent().as_nanos() as u64, Ordering::Relaxed);
                res.text("open")
            });
            app.get("/polite", move |_, _, res| {
                let since = spent() - Duration::from_nanos(begin.load(Ordering::Relaxed));
                res.text(since.as_nanos().to_string())
            });
            app.get("/burn", |_, _, res| {
                burn(CALL);
                res.text("burnt")
            });
            setup(app, config);
        });
        let (blocker, _) = server.connect_known();
        Self { server, gate, blocker }
    }

    /// Connections that the server has accepted.
    #[track_caller]
    fn clients(&self, count: usize) -> Vec<Client> {
        (0..count).map(|_| self.server.connect_known().0).collect()
    }

    /// Holds the loop until the work has come, and after that a polite request. Returns the CPU time that the loop has
    /// spent before it answered that.
    #[track_caller]
    fn polite(&mut self, mut client: Client, bring_work: impl FnOnce()) -> Duration {
        self.blocker.get("/gate");
        self.gate.wait();
        bring_work();
        client.get("/polite");
        client.wait_delivered();
        self.gate.open();
        assert_eq!(self.blocker.reply().text(), "open");
        Duration::from_nanos(client.reply().text().parse().expect("a number"))
    }
}

#[track_caller]
fn assert_within(found: Duration, call: Duration, what: &str) {
    let bar = BAR + call;
    assert!(found <= bar, "{what}: {found:?} of CPU time before the polite answer, more than {bar:?}");
}

/// Sends so many requests at once, and waits until the server's kernel has them.
#[track_caller]
fn pipeline(clients: &mut [Client], request: &str, count: usize) {
    clients.iter_mut().for_each(|client| client.send(request.repeat(count)));
    wait_all_delivered(clients);
}

/// Unbounded, a turn takes 64 requests: half a second before the polite client has its turn.
#[test]
fn pipelined_requests_that_take_long_leave_turns_to_others() {
    const CLIENTS: usize = 4;
    const PIPELINED: usize = 64;
    let mut held = Held::start(|_, _| {});
    for is_fresh in [false, true] {
        let mut attackers = held.clients(CLIENTS);
        // A fresh client still waits in the kernel's queue.
        let polite = if is_fresh { None } else { held.clients(1).pop() };
        let polite = polite.unwrap_or_else(|| held.server.connect());
        let found = held.polite(polite, || pipeline(&mut attackers, &get("/burn"), PIPELINED));
        for client in &mut attackers {
            (0..PIPELINED).for_each(|_| assert_eq!(client.reply().text(), "burnt"));
        }
        assert_within(found, CALL, if is_fresh { "fresh" } else { "kept" });
    }
}

/// Unbounded, 1,024 tasks are called in a tick: 0.2 s.
#[test]
fn many_tasks_of_other_threads_leave_turns_to_clients() {
    const TASKS: usize = 2_000;
    const TASK: Duration = Duration::from_micros(200);
    let mut held = Held::start(|_, _| {});
    let polite = held.clients(1).pop().expect("one");
    let (handle, done) = (held.server.handle(), Arc::new(AtomicU64::new(0)));
    let found = held.polite(polite, || {
        for _ in 0..TASKS {
            let done = Arc::clone(&done);
            handle.post(move |()| {
                burn(TASK);
                done.fetch_add(1, Ordering::Relaxed);
            });
        }
    });
    // This task comes after all others.
    let (told, all) = std::sync::mpsc::channel();
    handle.post(move |()| told.send(()).expect("the test waits"));
    all.recv_timeout(crate::LIMIT).expect("all tasks are called");
    assert_eq!(done.load(Ordering::Relaxed), TASKS as u64, "none is lost");
    assert_within(found, TASK, "tasks");
}

/// Unbounded, all deferred replies are made in a tick: 0.2 s.
#[test]
fn many_deferred_replies_leave_turns_to_clients() {
    const DEFERRED: usize = 100;
    let waiting: Arc<Mutex<Vec<Responder>>> = Arc::default();
    let added = Arc::clone(&waiting);
    let mut held = Held::start(move |app, _| {
        app.get("/deferred", move |_, _, res| {
            let (sent, responder) = res.defer();
            added.lock().expect("no one panics").push(responder);
            Ok(sent)
        });
    });
    let mut clients = held.clients(DEFERRED);
    pipeline(&mut clients, &get("/deferred"), 1);
    let mut polite = held.clients(1).pop().expect("one");
    // The server has had all requests before this one.
    assert_eq!(polite.ask("/hello/you").text(), "hello you");
    let responders = std::mem::take(&mut *waiting.lock().expect("no one panics"));
    assert_eq!(responders.len(), DEFERRED);
    let found = held.polite(polite, || {
        for responder in responders {
            responder.respond(|res| {
                burn(CALL);
                res.text("late")
            });
        }
    });
    clients.iter_mut().for_each(|client| assert_eq!(client.reply().text(), "late"));
    assert_within(found, CALL, "deferred replies");
}

/// Unbounded, 64 timers are called in a tick: 0.13 s.
#[test]
fn many_timers_that_are_due_leave_turns_to_clients() {
    const TIMERS: usize = 128;
    let mut held = Held::start(|_, _| {});
    let polite = held.clients(1).pop().expect("one");
    let (handle, done) = (held.server.handle(), Arc::new(AtomicU64::new(0)));
    let found = held.polite(polite, || {
        for _ in 0..TIMERS {
            let done = Arc::clone(&done);
            handle.once(Duration::ZERO, move |()| {
                burn(CALL);
                done.fetch_add(1, Ordering::Relaxed);
            });
        }
    });
    let (told, all) = std::sync::mpsc::channel();
    handle.once(Duration::ZERO, move |()| told.send(()).expect("the test waits"));
    all.recv_timeout(crate::LIMIT).expect("all timers are called");
    assert_eq!(done.load(Ordering::Relaxed), TIMERS as u64, "none is lost");
    assert_within(found, CALL, "timers");
}

// ---- files ----------------------------------------------------------------------------------------------------------

/// Unbounded, four connections get 64 listings each before the polite client has its turn. How long a listing takes
/// depends on the build, so one alone is measured first.
#[cfg(feature = "cli")]
#[test]
fn pipelined_listings_leave_turns_to_others() {
    use crate::support::serve::Folder;

    const NAMES: usize = 500;
    const PIPELINED: usize = 64;
    let folder = Folder::new();
    std::fs::create_dir(folder.path("links")).expect("a folder can be made");
    for number in 0..NAMES {
        folder.write(&format!("files/{number}"), "");
        std::os::unix::fs::symlink("nothing", folder.path(format!("links/{number}"))).expect("a link can be made");
    }
    let directory = folder.path("");
    let mut held = Held::start(move |app, _| {
        app.mount("/of", monoloop::Files::new(directory).expect("the directory is there").listing(true))
    });
    for target in ["/of/files/", "/of/links/"] {
        let mut attackers = held.clients(4);
        let head = get(target).replace("GET", "HEAD");
        let mut list = |attackers: &mut [Client], count: usize| {
            let polite = held.clients(1).pop().expect("one");
            let found = held.polite(polite, || pipeline(attackers, &head, count));
            for client in attackers {
                for _ in 0..count {
                    assert_eq!(client.try_head().expect("it is answered").0, 200);
                }
            }
            found
        };
        let call = list(&mut attackers[..1], 1);
        let found = list(&mut attackers, PIPELINED);
        assert_within(found, call, target);
    }
}
