//! Exercise 10: an honest measurement. Your file is `exercise.rs`.

#[cfg(not(feature = "solutions"))]
#[path = "exercise.rs"]
mod exercise;
#[cfg(feature = "solutions")]
#[path = "../solutions/10_honest.rs"]
mod exercise;

use std::cell::Cell;

use exercise::{Server, measure, ratio};

/// Takes 100 µs for a request, and answers none from one second to two.
struct Stalls;

impl Server for Stalls {
    fn ask(&mut self, at: u64) -> u64 {
        let begins = if (1_000_000..2_000_000).contains(&at) { 2_000_000 } else { at };
        begins + 100
    }
}

/// 5 ms between two requests: a second has 200.
#[test]
fn a_stall_of_a_second_is_in_the_figures_of_all_who_would_have_asked_meanwhile() {
    let waits = measure(&mut Stalls, 5000, 1000);
    assert_eq!(waits.len(), 1000);
    assert_eq!((waits[0], waits[199], waits[999]), (100, 100, 100), "before it and after it");
    assert_eq!(waits[200], 1_000_100, "the first one");
    assert_eq!(waits[300], 500_000 + 101 * 100, "one in the middle: the others before it are answered first");
    let long = waits.iter().filter(|wait| **wait > 50_000).count();
    assert!((190..=200).contains(&long), "{long} waits of more than 50 ms");
}

/// What a run does to the next ones.
struct Machine {
    runs: Cell<u32>,
    /// Each run makes the machine slower by this part.
    drift: f64,
    /// Every second run is slower by this part.
    second: f64,
    /// This run takes fifty times as long.
    neighbour: u32,
}

impl Machine {
    fn ratio(&self, one: f64, other: f64) -> f64 {
        let run = |cost: f64| {
            let n = self.runs.replace(self.runs.get() + 1);
            let second = if n % 2 == 1 { 1.0 + self.second } else { 1.0 };
            let neighbour = if n == self.neighbour { 50.0 } else { 1.0 };
            cost * (1.0 + self.drift * f64::from(n)) * second * neighbour
        };
        ratio(&mut || run(one), &mut || run(other), 40)
    }
}

fn quiet() -> Machine {
    Machine { runs: Cell::new(0), drift: 0.0, second: 0.0, neighbour: u32::MAX }
}

#[track_caller]
fn check(machine: &Machine) {
    for (one, other) in [(100.0, 100.0), (100.0, 110.0), (110.0, 100.0)] {
        machine.runs.set(0);
        let (found, expected) = (machine.ratio(one, other), other / one);
        assert!((found / expected - 1.0).abs() < 0.01, "{found:.3} in place of {expected:.3}");
    }
}

#[test]
fn a_quiet_machine_gives_the_ratio() {
    check(&quiet());
}

#[test]
fn a_machine_that_gets_slower_does_not_favour_the_first() {
    check(&Machine { drift: 0.01, ..quiet() });
}

#[test]
fn a_neighbour_who_disturbs_one_run_does_not_count() {
    check(&Machine { neighbour: 13, ..quiet() });
    check(&Machine { neighbour: 60, ..quiet() });
}

#[test]
fn it_does_not_matter_who_runs_as_the_second_of_two() {
    check(&Machine { second: 0.1, ..quiet() });
}
