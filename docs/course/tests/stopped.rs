//! Each step with a loop goes on after it was stopped, as by Ctrl-Z and `fg` in a shell. The poll returns `Interrupted`
//! then (signal(7)).

#![cfg(target_os = "linux")]

use course::Server;

const LOOPS: [&str; 8] =
    ["03_echo", "04_states", "05_parsing", "06_backpressure", "07_deadlines", "08_fairness", "09_ends", "10_measured"];

#[test]
fn a_loop_that_was_stopped_goes_on() {
    for step in LOOPS {
        let server = Server::start(step, 1);
        // In the poll, and then stopped there (proc(5)).
        server.wait_for_state('S');
        server.signal("-STOP");
        server.wait_for_state('T');
        server.signal("-CONT");
        // It serves its one client, and ends without an error.
        drop(server.connect());
        server.finish();
    }
}
