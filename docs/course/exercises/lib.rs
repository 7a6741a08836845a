//! The exercises are tests: each folder has an `exercise.rs` for you, and a `test.rs` that says when it is solved.
//!
//! What is here serves the tests: it asks the kernel how the thread of a server waits.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

/// All threads of this process that bear one name. A thread that has got no name bears that of the one that started it.
pub struct Threads {
    /// At most 15 bytes, since the kernel keeps no more.
    name: &'static str,
}

impl Threads {
    /// Finds the threads in `/proc`. Returns `None` with a line of output where there is no such folder, as on macOS.
    pub fn named(name: &'static str) -> Option<Self> {
        let exists = fs::exists("/proc/self/task").is_ok_and(|exists| exists);
        if !exists {
            println!("skipped: how {name} waits can only be seen on Linux");
        }
        exists.then_some(Self { name })
    }

    /// How many threads there are now.
    pub fn count(&self) -> usize {
        self.folders().len()
    }

    /// How often they have gone to sleep by themselves.
    pub fn sleeps(&self) -> u64 {
        let statuses = self.folders().into_iter().map(|folder| fs::read_to_string(format!("{folder}/status")));
        statuses.filter_map(|status| sleeps(&status.ok()?)).sum()
    }

    /// Whether all of them go to sleep within five seconds.
    pub fn fall_asleep(&self) -> bool {
        let end = Instant::now() + Duration::from_secs(5);
        while Instant::now() < end {
            // The state comes after the name, which is in parentheses (proc(5)).
            let stats = self.folders().into_iter().map(|folder| fs::read_to_string(format!("{folder}/stat")));
            if stats.into_iter().all(|text| text.is_ok_and(|text| text.contains(") S "))) {
                return true;
            }
            thread::sleep(Duration::from_millis(1));
        }
        false
    }

    fn folders(&self) -> Vec<String> {
        let entries = fs::read_dir("/proc/self/task").expect("it was there a moment ago");
        let folders = entries.filter_map(|entry| entry.ok()?.path().into_os_string().into_string().ok());
        let bears_name = |folder: &String| {
            fs::read_to_string(format!("{folder}/comm")).is_ok_and(|name| name.trim_end() == self.name)
        };
        folders.filter(bears_name).collect()
    }
}

/// What the calling thread has cost so far.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// How often it has gone to sleep by itself.
    pub sleeps: u64,
    /// How long it was on a processor.
    pub busy: Duration,
}

impl Cost {
    /// Asks the kernel. Returns `None` with a line of output where it does not tell, as on macOS.
    pub fn so_far() -> Option<Self> {
        let read = |file| fs::read_to_string(format!("/proc/thread-self/{file}")).ok();
        // The first number of `schedstat` is the time on a processor in nanoseconds.
        let busy = read("schedstat").and_then(|text| text.split(' ').next()?.parse().ok()).map(Duration::from_nanos);
        let cost = read("status").and_then(|text| sleeps(&text)).zip(busy).map(|(sleeps, busy)| Self { sleeps, busy });
        if cost.is_none() {
            println!("skipped: what a thread costs can only be seen on Linux");
        }
        cost
    }
}

/// Finds the number of sleeps in the text of a file `status` (proc(5)).
fn sleeps(status: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")?.trim().parse().ok())
}
