/// A server, as a client sees it that measures it. Times are in microseconds.
pub trait Server {
    /// Sends a request at this time, and returns when the reply comes. The client can send nothing before that.
    fn ask(&mut self, at: u64) -> u64;
}

/// Is to send `count` requests, one each `period`, the first at 0. Returns how long each took, as a user would say who
/// wanted it at the time at which it was due.
pub fn measure(server: &mut dyn Server, period: u64, count: usize) -> Vec<u64> {
    let mut waits = Vec::new();
    let mut free = 0;
    for i in 0..count {
        let due = i as u64 * period;
        free = server.ask(free.max(due));
        // A request that could not be sent in time has waited already.
        waits.push(free - due);
    }
    waits
}

/// Runs two programs `runs` times each, and returns how many times as long the second one takes. A program returns the
/// time that its run took. `runs` is even.
///
/// The machine may get slower meanwhile, others may use it for a while, and what runs as the second of two may be
/// slower for that alone. All of that can happen at once.
pub fn ratio(first: &mut dyn FnMut() -> f64, second: &mut dyn FnMut() -> f64, runs: usize) -> f64 {
    let mut ratios: Vec<f64> = (0..runs / 2)
        .map(|_| {
            // A B B A: each is once the first of two and once the second, and both have their middle at one time.
            let (one, other) = (first(), second());
            let (other, one) = (other + second(), one + first());
            other / one
        })
        .collect();
    // The median does not care how wrong a wrong ratio is. (A median of single pairs would: half of the pairs are too
    // high and half too low, and one wrong pair moves the middle from between them to one of them.)
    ratios.sort_by(f64::total_cmp);
    let count = ratios.len();
    (ratios[(count - 1) / 2] + ratios[count / 2]) / 2.0
}
