//! Two programs that cost the same, measured on a machine that becomes slower while it is measured.
//!
//!     cargo run -q --bin see_ratio
//!
//! The machine is made up, so that it does the same in each run: a real one does this when it gets hot, or when a
//! neighbour begins to work.

/// Time that a run takes, in microseconds. Each run makes the machine one percent slower.
struct Machine {
    runs: u32,
}

impl Machine {
    fn run(&mut self, cost: f64) -> f64 {
        self.runs += 1;
        cost * (1.0 + 0.01 * f64::from(self.runs))
    }
}

const COST: f64 = 1000.0;
const RUNS: usize = 20;

fn main() {
    let mut machine = Machine { runs: 0 };
    let first: f64 = (0..RUNS).map(|_| machine.run(COST)).sum();
    let second: f64 = (0..RUNS).map(|_| machine.run(COST)).sum();
    println!("all runs of A, and then all of B: B takes {:.2} times as long", second / first);

    let mut machine = Machine { runs: 0 };
    let mut ratios: Vec<f64> = (0..RUNS)
        .map(|i| {
            // Each pair runs in another order than the one before, so that neither is always the first.
            let (one, other) = (machine.run(COST), machine.run(COST));
            if i % 2 == 0 { other / one } else { one / other }
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    let median = (ratios[RUNS / 2 - 1] + ratios[RUNS / 2]) / 2.0;
    println!("A and B in turn, the median of the ratios: B takes {median:.2} times as long");
    println!("the smallest and the largest of them: {:.2} and {:.2}", ratios[0], ratios[RUNS - 1]);
}
