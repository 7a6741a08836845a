//! What the loop counts. A count is the same on a slow machine and on a fast one, so two of them can be compared.

use std::fmt;

/// Calls of the kernel, and the requests for which they were made.
#[derive(Debug, Default)]
pub struct Counters {
    pub requests: u64,
    pub polls: u64,
    pub accepts: u64,
    pub reads: u64,
    pub writes: u64,
}

impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { requests, polls, accepts, reads, writes } = self;
        write!(f, "{requests} requests, {polls} polls, {accepts} accepts, {reads} reads, {writes} writes")
    }
}
