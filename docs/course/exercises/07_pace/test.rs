//! Exercise 7: a minimum rate. Your file is `exercise.rs`. The time is made up, so the tests take none.

#[cfg(not(feature = "solutions"))]
#[path = "exercise.rs"]
mod exercise;
#[cfg(feature = "solutions")]
#[path = "../solutions/07_pace.rs"]
mod exercise;

use std::time::Duration;

use exercise::{GRACE, MOST, Moment, Pace, RATE};

fn at(seconds: u64) -> Moment {
    Moment::from_secs(seconds)
}

/// A client that sends so many bytes each second, from the second 101 on. Returns the second in which its time is over,
/// or `None` if that does not happen within a day.
fn expires(bytes_per_second: usize) -> Option<u64> {
    let mut pace = Pace::begin(at(100));
    (101..100 + 24 * 3600).find(|&second| {
        let is_over = pace.due() <= at(second);
        pace.progress(bytes_per_second, at(second));
        is_over
    })
}

#[test]
fn a_silent_client_has_the_grace() {
    assert_eq!(Pace::begin(at(100)).due(), at(100) + GRACE);
    assert_eq!(expires(0), Some(105));
}

#[test]
fn a_client_that_keeps_the_rate_is_never_cut() {
    assert_eq!(expires(RATE as usize), None);
    assert_eq!(expires(100_000), None);
}

#[test]
fn a_client_that_drips_is_cut_soon() {
    assert_eq!(expires(1), Some(106), "a byte buys two milliseconds, not five seconds");
}

#[test]
fn a_client_at_half_the_rate_has_twice_the_grace() {
    assert!(matches!(expires(RATE as usize / 2), Some(109..=111)), "{:?}", expires(RATE as usize / 2));
}

#[test]
fn bytes_buy_the_time_that_they_take_at_the_rate() {
    let mut pace = Pace::begin(at(100));
    pace.progress(RATE as usize, at(101));
    assert_eq!(pace.due(), at(106));
    pace.progress(RATE as usize / 2, at(101));
    assert_eq!(pace.due(), at(106) + Duration::from_millis(500));
    pace.progress(1, at(104));
    assert_eq!(pace.due(), at(106) + Duration::from_millis(502), "it does not matter when they came");
}

#[test]
fn a_burst_makes_up_for_a_pause_but_not_for_a_long_one() {
    let mut pace = Pace::begin(at(100));
    pace.progress(1_000_000, at(101));
    assert_eq!(pace.due(), at(101) + MOST, "a megabyte would buy half an hour");
    pace.progress(1_000_000, at(102));
    assert_eq!(pace.due(), at(102) + MOST);
}

#[test]
fn a_burst_pays_once() {
    let mut pace = Pace::begin(at(100));
    pace.progress(1_000_000, at(101));
    let over = (102..200).find(|&second| {
        pace.progress(1, at(second));
        pace.due() <= at(second)
    });
    assert_eq!(over, Some(112), "what could not be saved in the second 101 is lost, and a byte buys two milliseconds");
}

#[test]
fn a_client_that_is_late_gets_no_new_grace() {
    let mut pace = Pace::begin(at(100));
    pace.progress(1, at(107));
    assert_eq!(pace.due(), at(105) + Duration::from_millis(2), "a byte does not buy the two seconds before it");
    pace.progress(5 * RATE as usize, at(107));
    assert_eq!(pace.due(), at(110) + Duration::from_millis(2), "many bytes do");
}

#[test]
fn progress_never_takes_time_away() {
    let mut pace = Pace::begin(at(100));
    pace.progress(1_000_000, at(101));
    pace.forgive(Duration::from_secs(7));
    let due = pace.due();
    pace.progress(1, at(101));
    assert_eq!(pace.due(), due, "the time is beyond the most that can be saved, so nothing is added and nothing taken");
}

#[test]
fn a_loop_that_did_not_listen_forgives() {
    let mut pace = Pace::begin(at(100));
    pace.forgive(Duration::from_secs(3));
    assert_eq!(pace.due(), at(108));
    pace.forgive(Duration::from_millis(20_500));
    assert_eq!(pace.due(), at(128) + Duration::from_millis(500), "what is forgiven has no limit, and adds up");
    pace.progress(RATE as usize, at(127));
    assert_eq!(pace.due(), at(129) + Duration::from_millis(500));
    assert_eq!(Pace::begin(at(200)).due(), at(205), "another client");
}

#[test]
fn no_number_of_bytes_is_too_large() {
    let mut pace = Pace::begin(at(100));
    pace.progress(usize::MAX, at(101));
    assert_eq!(pace.due(), at(101) + MOST);
    let mut pace = Pace::begin(at(100));
    pace.progress(1 << 32, at(101));
    assert_eq!(pace.due(), at(101) + MOST, "4 GiB are a lot of bytes, and 0 in 32 bits");
}
