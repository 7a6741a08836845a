//! How often the clock is read.

use std::time::{Duration, UNIX_EPOCH};

use crate::support::get;
use crate::{Counts, Pair, START, Steps, patient, routes};

#[test]
fn the_clock_is_read_once_per_tick_and_the_time_of_day_once_per_second() {
    let clock = Steps { step: Duration::from_millis(100), ..Steps::default() };
    let counts = Counts::default();
    let (clocks, observer) = (clock.clone(), counts.clone());
    let mut pair = Pair::new(move |app, server| {
        routes(app);
        server.config(patient()).clock(clocks).observer(observer)
    });
    assert_eq!((clock.readings.get(), clock.wall_readings.get()), (1, 1), "one reading of each at the start");

    let request = get("/plaintext");
    let length = pair.first_reply(request.as_bytes()).len();
    for round in 0..500 {
        match round % 3 {
            0 => pair.exchange(request.as_bytes(), length),
            1 => pair.exchange(request.repeat(70).as_bytes(), 70 * length),
            _ => pair.turn(),
        }
        assert_eq!(clock.readings.get(), counts.ticks.get() + 1);
    }

    // The time of day is read when the `Date` field changes and at no other time. The time of each tick is known.
    let ticks = counts.ticks.get();
    let second = |tick: u64| (START + clock.step * (tick as u32 + 1)).as_secs();
    let mut seconds: Vec<_> = (1..=ticks).map(second).collect();
    seconds.dedup();
    assert!(seconds.len() > 15, "{ticks} ticks");
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
        assert!(past < Duration::from_secs(1) + clock.step, "{past:?}");
    }
}
