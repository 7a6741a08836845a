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
        // The client cannot send before it has the reply to the request before.
        let sent = free.max(i as u64 * period);
        free = server.ask(sent);
        // Is this what a user would say?
        waits.push(free - sent);
    }
    waits
}

/// Runs two programs `runs` times each, and returns how many times as long the second one takes. A program returns the
/// time that its run took. `runs` is even.
///
/// The machine may get slower meanwhile, others may use it for a while, and what runs as the second of two may be
/// slower for that alone. All of that can happen at once.
pub fn ratio(first: &mut dyn FnMut() -> f64, second: &mut dyn FnMut() -> f64, runs: usize) -> f64 {
    let one: f64 = (0..runs).map(|_| first()).sum();
    let other: f64 = (0..runs).map(|_| second()).sum();
    other / one
}
