//! Tests of the parts of the loop that can be driven without a poll.

use std::time::Duration;

use mio::net::UnixStream;
use slab::Slab;

use super::deadlines::Wheel;
use super::session::Session;
use super::socket::Socket;
use crate::exchange::{ConnectionId, Endpoint};
use crate::http::{Millis, Moment};
use crate::limits::{WHEEL_SLOT, WHEEL_SLOTS};

fn sessions(count: u64) -> Slab<Session> {
    let session = |id| {
        let (socket, _) = UnixStream::pair().unwrap();
        let idle = Millis::from(Duration::from_secs(30));
        Session::new(Socket::Unix(socket), Endpoint::Unix, ConnectionId(id), idle, Moment::ZERO)
    };
    let mut slab = Slab::new();
    (1..=count).for_each(|id| {
        slab.insert(session(id));
    });
    slab
}

fn at(millis: u64) -> Moment {
    Moment::from_nanos(millis * 1_000_000)
}

/// Everything that comes up by `now`.
fn pop_all(wheel: &mut Wheel, sessions: &mut Slab<Session>, now: Moment) -> Vec<usize> {
    let mut keys: Vec<usize> = std::iter::from_fn(|| wheel.pop(sessions, now)).collect();
    keys.sort_unstable();
    keys
}

#[test]
fn a_session_comes_up_at_its_deadline_and_not_more_than_a_slot_later() {
    for millis in [0, 1, 249, 250, 251, 10_000, 30_000, 127_000] {
        let (mut wheel, mut sessions) = (Wheel::new(), sessions(1));
        wheel.arm(&mut sessions, 0, at(millis));
        let next = wheel.next().unwrap();
        assert!(next >= at(millis) && next.since(at(millis)) <= WHEEL_SLOT, "{millis} ms: {next:?}");
        assert!(pop_all(&mut wheel, &mut sessions, Moment::from_nanos(next.as_nanos() - 1)).is_empty());
        assert_eq!(pop_all(&mut wheel, &mut sessions, next), [0]);
        assert_eq!(wheel.next(), None);
    }
}

#[test]
fn an_earlier_deadline_moves_the_entry_and_a_later_one_does_not() {
    let (mut wheel, mut sessions) = (Wheel::new(), sessions(1));
    wheel.arm(&mut sessions, 0, at(30_000));
    wheel.arm(&mut sessions, 0, at(2_000));
    assert_eq!(wheel.next(), Some(at(2_000)));
    wheel.arm(&mut sessions, 0, at(40_000));
    assert_eq!(pop_all(&mut wheel, &mut sessions, at(2_000)), [0]);
    assert_eq!(pop_all(&mut wheel, &mut sessions, at(50_000)), [0; 0]);
}

#[test]
fn a_deadline_beyond_the_wheel_is_looked_at_within_a_round() {
    let (mut wheel, mut sessions) = (Wheel::new(), sessions(1));
    wheel.arm(&mut sessions, 0, at(86_400_000));
    let round = WHEEL_SLOT * WHEEL_SLOTS as u32;
    assert!(wheel.next().unwrap() <= Moment::ZERO + round);
    assert_eq!(pop_all(&mut wheel, &mut sessions, Moment::ZERO + round), [0]);
}

#[test]
fn after_a_long_sleep_everything_that_was_due_comes_up_once() {
    let (mut wheel, mut sessions) = (Wheel::new(), sessions(3));
    for (key, millis) in [1_000, 60_000, 127_000].into_iter().enumerate() {
        wheel.arm(&mut sessions, key, at(millis));
    }
    assert_eq!(pop_all(&mut wheel, &mut sessions, at(10_000_000)), [0, 1, 2]);
    assert_eq!(wheel.next(), None);
    wheel.arm(&mut sessions, 1, at(10_000_100));
    assert_eq!(pop_all(&mut wheel, &mut sessions, at(10_000_250)), [1]);
}

#[test]
fn any_sequence_of_arming_and_disarming_agrees_with_a_plain_list() {
    const SESSIONS: u64 = 40;
    let (mut wheel, mut sessions) = (Wheel::new(), sessions(SESSIONS));
    // The turn in which each session comes up, kept the obvious way.
    let mut due: Vec<Option<u64>> = vec![None; SESSIONS as usize];
    let (mut now, mut seed) = (0_u64, 0x9e37_79b9_7f4a_7c15_u64);
    let mut random = |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    let slot = WHEEL_SLOT.as_millis() as u64;
    for _ in 0..20_000 {
        let key = random(SESSIONS) as usize;
        match random(10) {
            0 => {
                wheel.disarm(&mut sessions, key);
                due[key] = None;
            }
            1..=6 => {
                let deadline = now + random(100_000);
                wheel.arm(&mut sessions, key, at(deadline));
                let turn = deadline.div_ceil(slot).max(now / slot + 1);
                due[key] = Some(due[key].map_or(turn, |known| known.min(turn)));
            }
            _ => {
                now += random(3_000);
                let expected: Vec<usize> = (0..due.len()).filter(|&key| due[key] <= Some(now / slot)).collect();
                let expected: Vec<usize> = expected.into_iter().filter(|&key| due[key].is_some()).collect();
                assert_eq!(pop_all(&mut wheel, &mut sessions, at(now)), expected, "at {now} ms");
                expected.iter().for_each(|&key| due[key] = None);
            }
        }
        // It may wake too early for one that was disarmed, but never too late.
        let earliest = due.iter().flatten().min().map(|turn| at(turn * slot));
        assert!(earliest.is_none_or(|earliest| wheel.next().is_some_and(|next| next <= earliest)));
    }
}
