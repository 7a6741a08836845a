//! How often the clock is read.

use std::time::{Duration, UNIX_EPOCH};

use crate::support::get;
use crate::{Counts, Pair, START, Steps, patient, routes};

#[test]
fn the_clock_is_read_once_per_tick_and_after_each_call_that_others_wait_for() {
    check_readings(false);
}

/// An observer hears how long each tick took, how long the application was at work for each request, and when the last
/// byte of a reply had left. So the clock is read once more per tick, twice per request, and once for all replies that
/// leave with one write.
#[test]
fn an_observer_makes_the_clock_be_read_for_what_it_hears() {
    check_readings(true);
}

#[track_caller]
fn check_readings(is_observed: bool) {
    const BATCH: u64 = 30;
    let clock = Steps { step: Duration::from_micros(1), ..Steps::default() };
    let clocks = clock.clone();
    let mut pair = Pair::new(move |app, server| {
        routes(app);
        let server = server.config(patient()).clock(clocks);
        if is_observed { server.observer(Counts::default()) } else { server }
    });
    assert_eq!(clock.readings.get(), 1, "one reading at the start");
    let request = get("/plaintext");
    let length = pair.first_reply(request.as_bytes()).len();
    for round in 0..300 {
        let before = (clock.readings.get(), pair.turns);
        let requests = match round % 3 {
            0 => {
                pair.exchange(request.as_bytes(), length);
                1
            }
            1 => {
                pair.exchange(request.repeat(BATCH as usize).as_bytes(), BATCH as usize * length);
                BATCH
            }
            _ => {
                pair.turn();
                0
            }
        };
        let ticks = pair.turns - before.1;
        // Nobody waits for the turn of the only session, so nobody asks how long its last request takes.
        let followed = requests.saturating_sub(1);
        let observed = ticks + 2 * requests + requests.min(1);
        let expected = ticks + followed + if is_observed { observed } else { 0 };
        assert_eq!(clock.readings.get() - before.0, expected, "round {round}, {ticks} ticks");
    }
}

#[test]
fn the_time_of_day_is_read_once_per_second() {
    let clock = Steps { step: Duration::from_millis(100), ..Steps::default() };
    let counts = Counts::default();
    let (clocks, observer) = (clock.clone(), counts.clone());
    let mut pair = Pair::new(move |app, server| {
        routes(app);
        server.config(patient()).clock(clocks).observer(observer)
    });
    assert_eq!(clock.wall_readings.get(), 1, "one reading at the start");
    let mut seconds = Vec::new();
    for _ in 0..500 {
        // The tick begins with the next reading.
        seconds.push((START + clock.now.get() + clock.step).as_secs());
        pair.turn();
    }
    seconds.dedup();
    assert!(seconds.len() > 15, "{seconds:?}");
    assert_eq!(clock.wall_readings.get(), 1 + seconds.len() as u64);
}

#[test]
fn the_date_is_that_of_the_tick() {
    let clock = Steps { step: Duration::from_millis(400), ..Steps::default() };
    let clocks = clock.clone();
    let mut pair = Pair::new(move |app, server| {
        routes(app);
        server.config(patient()).clock(clocks)
    });
    for _ in 0..20 {
        let reply = String::from_utf8(pair.first_reply(get("/plaintext").as_bytes())).expect("text");
        let date = reply.lines().find_map(|line| line.strip_prefix("Date: ")).expect("a Date");
        let date = httpdate::parse_http_date(date).expect("an IMF-fixdate");
        // The reply was written in this tick or an earlier one.
        let now = UNIX_EPOCH + START + clock.now.get();
        let past = now.duration_since(date).expect("it is not in the future");
        // A tick in which a connection is accepted reads the clock four times.
        assert!(past < Duration::from_secs(1) + 4 * clock.step, "{past:?}");
    }
}
