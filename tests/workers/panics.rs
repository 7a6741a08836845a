//! A panic outside a handler.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use monoloop::Workers;
use monoloop::http::Moment;
use monoloop::server::{Clock, RunningWorkers, SystemClock, WorkersHandle};
use rustix::process::{Resource, Rlimit, Signal, setrlimit};

use crate::support::{LIMIT, test_config};
use crate::{TestWorkers, app_with_gate, gates};

/// The system's clock, until it breaks. The loop reads the clock outside all handlers.
struct Fuse {
    clock: SystemClock,
    burnt: Arc<AtomicBool>,
}

impl Clock for Fuse {
    fn now(&mut self) -> Moment {
        assert!(!self.burnt.load(Ordering::SeqCst), "the clock is broken");
        self.clock.now()
    }
}

/// The child process that must be taken down. Worker 0 is in a handler that does not return, and the clock of worker 1
/// breaks. The main thread does not call `run`, so a panic in that thread would not end the process.
fn break_worker_1() {
    let (gates, doors) = gates(2);
    let workers = TestWorkers::start_with(2, test_config(), move |worker, server| {
        let burnt = Arc::new(AtomicBool::new(false));
        let clock = Fuse { clock: SystemClock::new(), burnt: Arc::clone(&burnt) };
        let mut app = app_with_gate(worker, &doors);
        app.get("/burn", move |_, _, res| {
            burnt.store(true, Ordering::SeqCst);
            res.empty()
        });
        server.clock(clock).start(app)
    });
    let (mut busy, mut broken) = (workers.connect_to(0), workers.connect_to(1));
    busy.get("/gate");
    gates[0].wait();
    broken.get("/burn");
    thread::park_timeout(LIMIT);
    println!("still alive");
}

#[test]
fn a_panic_outside_a_handler_takes_the_process_down() {
    const CHILD: &str = "MONOLOOP_TEST_CHILD";
    if std::env::var_os(CHILD).is_some() {
        // A core dump would only be in the way.
        setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).expect("it may be lowered");
        return break_worker_1();
    }
    let mut child = Command::new(std::env::current_exe().expect("it runs"));
    child.args(["--exact", "panics::a_panic_outside_a_handler_takes_the_process_down", "--nocapture"]).env(CHILD, "1");
    let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs again");
    let (mut output, mut errors) = (String::new(), String::new());
    child.stderr.take().expect("it is piped").read_to_string(&mut errors).expect("it is text");
    child.stdout.take().expect("it is piped").read_to_string(&mut output).expect("it is text");
    let status = child.wait().expect("it is ours");
    assert_eq!(status.signal(), Some(Signal::ABORT.as_raw()), "{status}: {errors}");
    assert!(!output.contains("still alive"), "at once: {output}");
    assert!(errors.contains("thread 'worker-1'"), "{errors}");
    let expected = "monoloop: worker 1 panicked: the clock is broken\n\
        monoloop: the process ends, because the other workers would serve only a part of the connections\n";
    assert!(errors.ends_with(expected), "{errors}");
}

#[test]
fn workers_and_their_handles_can_be_sent() {
    fn is_sent<T: Send>() {}
    fn is_shared<T: Send + Sync + Clone + 'static>() {}
    is_sent::<Workers>();
    is_sent::<RunningWorkers>();
    is_shared::<WorkersHandle>();
}
