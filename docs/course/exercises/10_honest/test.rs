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

/// Takes longer for each request than the period.
struct Overloaded;

impl Server for Overloaded {
    fn ask(&mut self, at: u64) -> u64 {
        at + 7000
    }
}

#[test]
fn each_request_to_an_overloaded_server_waits_longer() {
    let waits = measure(&mut Overloaded, 5000, 100);
    let expected: Vec<u64> = (0..100).map(|i| 7000 + i * 2000).collect();
    assert_eq!(waits, expected);
}

/// How often each program runs.
const RUNS: usize = 40;

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
        let counts = [Cell::new(0), Cell::new(0)];
        let run = |program: usize, cost: f64| {
            counts[program].set(counts[program].get() + 1);
            let n = self.runs.replace(self.runs.get() + 1);
            let second = if n % 2 == 1 { 1.0 + self.second } else { 1.0 };
            let neighbour = if n == self.neighbour { 50.0 } else { 1.0 };
            cost * (1.0 + self.drift * f64::from(n)) * second * neighbour
        };
        let found = ratio(&mut || run(0, one), &mut || run(1, other), RUNS);
        assert_eq!(counts.map(Cell::into_inner), [RUNS, RUNS], "so often each program was to run");
        found
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
    check(&Machine { drift: 0.03, ..quiet() });
}

#[test]
fn a_neighbour_who_disturbs_one_run_does_not_count() {
    for neighbour in 0..2 * RUNS as u32 {
        check(&Machine { neighbour, ..quiet() });
    }
}

#[test]
fn it_does_not_matter_who_runs_as_the_second_of_two() {
    check(&Machine { second: 0.1, ..quiet() });
}

#[test]
fn all_of_it_can_happen_at_once() {
    for neighbour in [5, 30, 71] {
        check(&Machine { drift: 0.005, second: 0.05, neighbour, ..quiet() });
    }
}
