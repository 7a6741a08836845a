//! Accepting from listeners that return what a test wants.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;

use mio::net::UnixStream;

use super::*;
use crate::limits::ACCEPT_BUDGET;

/// A listener that returns what the test put in: a connection from this port, or an error. Then it would block.
#[derive(Clone, Default)]
struct Script {
    steps: Rc<RefCell<VecDeque<Result<u16, Errno>>>>,
    /// What it returns for ever after that, instead of an error that it would block.
    endless: Option<Result<u16, Errno>>,
    calls: Rc<Cell<usize>>,
}

impl Script {
    fn endless(step: Result<u16, Errno>) -> Self {
        Self { endless: Some(step), ..Self::default() }
    }

    fn put(&self, steps: impl IntoIterator<Item = Result<u16, Errno>>) {
        self.steps.borrow_mut().extend(steps);
    }
}

impl Accept for Script {
    fn accept(&self) -> io::Result<(Socket, Endpoint)> {
        self.calls.set(self.calls.get() + 1);
        assert!(self.calls.get() < 10 * ACCEPT_BUDGET, "accepting does not end");
        let step = self.steps.borrow_mut().pop_front().or(self.endless);
        let port = step.unwrap_or(Err(Errno::AGAIN))?;
        let (socket, _) = UnixStream::pair()?;
        Ok((Socket::Unix(socket), SocketAddr::from(([127, 0, 0, 1], port)).into()))
    }
}

/// The result of an attempt, in a form that can be compared.
#[derive(Debug, PartialEq)]
enum Brought {
    Port(u16),
    Trouble(Errno),
}
use Brought::{Port, Trouble};

fn acceptor<const N: usize>(scripts: [&Script; N]) -> Acceptor<Script> {
    let mut acceptor = Acceptor::new();
    for (i, script) in scripts.into_iter().enumerate() {
        acceptor.add(script.clone(), Token(i));
        assert!(acceptor.mark_ready(Token(i)));
    }
    acceptor
}

/// Accepts for one tick, as `EventLoop::accept` does, and returns all results.
fn tick(acceptor: &mut Acceptor<Script>, now: Moment) -> Vec<Brought> {
    if acceptor.paused_until().is_some_and(|until| now >= until) {
        acceptor.resume();
    }
    let mut brought = Vec::new();
    for _ in 0..ACCEPT_BUDGET {
        if !acceptor.is_ready() {
            break;
        }
        match acceptor.accept(now) {
            Accepted::Connection(_, peer) => brought.push(Port(peer.port().unwrap())),
            Accepted::Nothing => {}
            Accepted::Trouble(error) => brought.push(Trouble(Errno::from_io_error(&error).unwrap())),
        }
    }
    brought
}

const NOW: Moment = Moment::from_nanos(1_000_000_000);

#[test]
fn a_connection_that_died_in_the_queue_does_not_hold_up_the_next() {
    use Errno as E;
    let dead = [E::CONNABORTED, E::CONNABORTED, E::CONNABORTED, E::INTR, E::PROTO, E::HOSTUNREACH, E::PERM];
    let script = Script::default();
    script.put(dead.map(Err));
    script.put([Ok(1), Err(E::CONNABORTED), Ok(2)]);
    let mut acceptor = acceptor([&script]);
    assert_eq!(tick(&mut acceptor, NOW), [Port(1), Port(2)]);
    assert_eq!(acceptor.paused_until(), None);
    assert!(acceptor.is_exhausted());
}

#[test]
fn an_endless_stream_of_dead_connections_does_not_hold_up_the_tick() {
    let script = Script::endless(Err(Errno::CONNABORTED));
    let mut acceptor = acceptor([&script]);
    for ticks in 1..=3 {
        assert_eq!(tick(&mut acceptor, NOW), []);
        assert_eq!(script.calls.get(), ticks * ACCEPT_BUDGET);
        assert!(acceptor.is_ready(), "accepting goes on in the next tick");
    }
}

/// A sandbox may refuse accept(2) for ever.
#[test]
fn a_listener_that_is_refused_for_ever_pauses() {
    for errno in [Errno::PERM, Errno::OPNOTSUPP] {
        let script = Script::endless(Err(errno));
        let mut acceptor = acceptor([&script]);
        assert_eq!(tick(&mut acceptor, NOW), [Trouble(errno)]);
        assert_eq!(script.calls.get(), MAX_REFUSALS as usize + 1);
        assert!(!acceptor.is_ready());
        for pauses in 1..=10 {
            assert_eq!(tick(&mut acceptor, NOW + ACCEPT_PAUSE * pauses), [Trouble(errno)]);
            assert_eq!(script.calls.get(), (MAX_REFUSALS + 1 + pauses) as usize, "one call after each pause");
        }
        // Once it is permitted, all is as before.
        script.put([Ok(1), Err(errno), Ok(2)]);
        assert_eq!(tick(&mut acceptor, NOW + ACCEPT_PAUSE * 11)[..2], [Port(1), Port(2)]);
        // In the last round before closing, there is no pause.
        acceptor.mark_all_ready();
        assert!(tick(&mut acceptor, NOW + ACCEPT_PAUSE * 12).is_empty());
        assert_eq!(acceptor.paused_until(), None);
    }
}

#[test]
fn trouble_is_logged_at_most_once_a_second() {
    let script = Script::default();
    let mut acceptor = acceptor([&script]);
    let mut logged = Vec::new();
    // For three seconds, a connection is accepted, and the next one finds no descriptor, 100 times a second.
    for at in 0..300 {
        let now = NOW + Duration::from_millis(10) * at;
        script.put([Ok(1), Err(Errno::MFILE)]);
        acceptor.resume();
        acceptor.mark_ready(Token(0));
        assert_eq!(tick(&mut acceptor, now), [Port(1), Trouble(Errno::MFILE)]);
        if acceptor.is_news(now) {
            logged.push(at);
        }
    }
    assert_eq!(logged, [0, 100, 200]);
    // As long as no connection is accepted, there is no further news.
    assert!(acceptor.is_news(NOW + Duration::from_secs(60)));
    assert!(!acceptor.is_news(NOW + Duration::from_secs(120)));
}

#[test]
fn accepting_pauses_when_any_resource_is_missing_and_goes_on_after_the_pause() {
    for errno in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::INVAL] {
        let script = Script::default();
        script.put([Ok(1), Err(errno), Err(errno), Ok(2)]);
        let mut acceptor = acceptor([&script]);
        assert_eq!(tick(&mut acceptor, NOW), [Port(1), Trouble(errno)]);
        assert_eq!(acceptor.paused_until(), Some(NOW + ACCEPT_PAUSE));

        // Nothing ends the pause early, not even new clients.
        for _ in 0..10 {
            acceptor.mark_ready(Token(0));
            assert!(!acceptor.is_ready() && !acceptor.is_exhausted());
            assert_eq!(tick(&mut acceptor, NOW), []);
        }
        assert_eq!(script.calls.get(), 2, "{errno}");

        let later = NOW + ACCEPT_PAUSE;
        assert_eq!(tick(&mut acceptor, later), [Trouble(errno)], "the resource is still missing");
        assert_eq!(acceptor.paused_until(), Some(later + ACCEPT_PAUSE));
        assert_eq!(tick(&mut acceptor, later + ACCEPT_PAUSE), [Port(2)]);
        assert!(acceptor.is_exhausted());
    }
}

#[test]
fn a_closed_connection_ends_the_pause_at_once() {
    let script = Script::default();
    script.put([Err(Errno::MFILE), Ok(1)]);
    let mut acceptor = acceptor([&script]);
    assert_eq!(tick(&mut acceptor, NOW), [Trouble(Errno::MFILE)]);
    acceptor.resume();
    assert!(acceptor.is_ready());
    assert_eq!(tick(&mut acceptor, NOW), [Port(1)]);

    // Without a pause a closed connection changes nothing: it does not cause a useless call of accept(2).
    acceptor.resume();
    assert!(!acceptor.is_ready());
}

#[test]
fn a_listener_in_trouble_does_not_hold_up_the_other() {
    let (broken, sound) = (Script::endless(Err(Errno::INVAL)), Script::default());
    for scripts in [[&broken, &sound], [&sound, &broken]] {
        let mut acceptor = acceptor(scripts);
        let token = Token(usize::from(acceptor.listeners[1].listener.endless.is_none()));
        sound.put([Ok(1), Ok(2)]);
        let mut brought = tick(&mut acceptor, NOW);
        brought.retain(|one| *one != Trouble(Errno::INVAL));
        assert_eq!(brought, [Port(1), Port(2)]);

        // The sound listener accepts while the other one pauses.
        sound.put([Ok(3)]);
        assert!(acceptor.mark_ready(token) && acceptor.is_ready());
        assert_eq!(tick(&mut acceptor, NOW), [Port(3)]);
        assert_eq!(tick(&mut acceptor, NOW + ACCEPT_PAUSE), [Trouble(Errno::INVAL)], "it is tried again");
    }
}

#[test]
fn trouble_at_a_second_listener_does_not_make_the_pause_longer() {
    let scripts = [Script::default(), Script::default()];
    scripts.iter().for_each(|script| script.put([Err(Errno::MFILE), Ok(1)]));
    let mut acceptor = Acceptor::new();
    scripts.iter().enumerate().for_each(|(i, script)| acceptor.add(script.clone(), Token(i)));
    acceptor.mark_ready(Token(0));
    assert_eq!(tick(&mut acceptor, NOW), [Trouble(Errno::MFILE)]);
    acceptor.mark_ready(Token(1));
    assert_eq!(tick(&mut acceptor, NOW + ACCEPT_PAUSE / 2), [Trouble(Errno::MFILE)]);
    assert_eq!(tick(&mut acceptor, NOW + ACCEPT_PAUSE), [Port(1), Port(1)]);
}

#[test]
fn a_listener_without_clients_does_not_hold_up_the_other() {
    let (empty, busy) = (Script::default(), Script::default());
    for scripts in [[&empty, &busy], [&busy, &empty]] {
        busy.put([Ok(1), Ok(2)]);
        let mut acceptor = acceptor(scripts);
        assert_eq!(tick(&mut acceptor, NOW), [Port(1), Port(2)]);
        assert!(acceptor.is_exhausted());
    }
    assert_eq!(empty.calls.get(), 2, "it is tried once for each event");

    let mut acceptor = acceptor([&empty, &busy]);
    busy.put([Err(Errno::MFILE), Ok(3)]);
    assert_eq!(tick(&mut acceptor, NOW), [Trouble(Errno::MFILE)]);
    assert_eq!(tick(&mut acceptor, NOW + ACCEPT_PAUSE), [Port(3)]);
    assert_eq!(empty.calls.get(), 3, "the end of the other's pause does not count as an event");
}

#[test]
fn a_flood_at_one_listener_does_not_shut_out_the_other() {
    let floods = [Script::endless(Ok(1)), Script::endless(Ok(2))];
    let mut acceptor = acceptor([&floods[0], &floods[1]]);
    let brought = tick(&mut acceptor, NOW);
    assert_eq!(brought.len(), ACCEPT_BUDGET);
    assert_eq!(brought.iter().filter(|one| **one == Port(1)).count(), ACCEPT_BUDGET / 2);
    // The same holds when only one connection can be accepted now and then, as at `max_connections`.
    let next = |acceptor: &mut Acceptor<Script>| match acceptor.accept(NOW) {
        Accepted::Connection(_, peer) => peer.port().unwrap(),
        _ => panic!("no connection"),
    };
    assert_ne!(next(&mut acceptor), next(&mut acceptor));
}
