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
/// time that its run took.
///
/// The machine may get slower meanwhile, others may use it for a while, and what runs as the second of two may be
/// slower for that alone.
pub fn ratio(first: &mut dyn FnMut() -> f64, second: &mut dyn FnMut() -> f64, runs: usize) -> f64 {
    let mut ratios: Vec<f64> = (0..runs)
        .map(|i| {
            // The runs of a pair are neighbours in time, and each program is the first in every other pair.
            if i % 2 == 0 {
                let one = first();
                second() / one
            } else {
                let other = second();
                other / first()
            }
        })
        .collect();
    // The median does not care how wrong a wrong pair is.
    ratios.sort_by(f64::total_cmp);
    match runs % 2 {
        0 => (ratios[runs / 2 - 1] + ratios[runs / 2]) / 2.0,
        _ => ratios[runs / 2],
    }
}
