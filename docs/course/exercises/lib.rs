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
        let line = "voluntary_ctxt_switches:";
        let number = |text: &str| text.lines().find_map(|each| each.strip_prefix(line)?.trim().parse::<u64>().ok());
        self.folders().iter().filter_map(|folder| number(&fs::read_to_string(format!("{folder}/status")).ok()?)).sum()
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
