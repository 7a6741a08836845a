//! One worker, in its own thread.

use std::io::{self, Write};
use std::process;
use std::ptr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

use super::SetUpError;
use super::group::Group;
use crate::exchange::{dispose, guard};
use crate::server::Running;
use crate::server::error::Result;
use crate::server::handle::Shared;

/// The index of a worker that was set up, and how to reach its loop; or why it was not.
pub(super) type Ready = (usize, Result<Arc<Shared>, SetUpError>);

/// The index of a worker that has ended, and how.
pub(super) type Ended = (usize, Result<()>);

/// A worker, in its own thread, and how it talks with the supervisor.
pub(super) struct Worker {
    pub(super) index: usize,
    pub(super) group: Arc<Group>,
    /// Tells that it is ready. The supervisor waits until nobody has one any more.
    pub(super) report: Sender<Ready>,
    /// Opens when it may serve; breaks when it shall go.
    pub(super) gate: Receiver<()>,
    pub(super) end: Sender<Ended>,
}

impl Worker {
    /// The life of a worker: sets up, waits for the others, serves, tells how it ended.
    pub(super) fn work<S, E: Into<SetUpError>>(self, set_up: impl FnOnce() -> Result<Running<S>, E>) {
        let Self { index, group, report, gate, end } = self;
        let made = guard(|| set_up().map_err(Into::into));
        let made = made.unwrap_or_else(|panic| Err(format!("its set-up {panic}").into()));
        // Another server would hear of no order to stop.
        let is_ours = |running: &Running<S>| running.event_loop.shared.group().is_some_and(|own| ptr::eq(own, &*group));
        let made = made.and_then(|running| match is_ours(&running) {
            true => Ok(running),
            false => Err("its set-up serves another server than the one it was given".into()),
        });
        let mut running = match made {
            Ok(running) => running,
            Err(error) => {
                let _ = report.send((index, Err(error)));
                return;
            }
        };
        let _ = report.send((index, Ok(Arc::clone(&running.event_loop.shared))));
        drop(report);
        let result = match gate.recv() {
            Ok(()) => running.run_to_the_end(),
            Err(_) => Ok(()),
        };
        // Others may still have requests in flight: a state that panics when it is dropped is no reason to abort them.
        dispose(running);
        let _ = end.send((index, result));
        group.supervisor().wake();
    }
}

/// Ends the process after a panic in the thread of a worker.
///
/// The kernel would go on to deal connections to the socket of a worker that is no more, or, once that is closed, the
/// others would serve with a part of the cores, behind a health check that is answered by whoever lives. A supervisor
/// outside (systemd, Kubernetes) can start a process again; it cannot start a thread again. This is an abort and not an
/// exit, because an abort waits for nobody: no handler that is still at work, no destructor, no `atexit`; and it leaves
/// a core to look at, if the system is told to keep one.
pub(super) fn take_down(index: usize, panic: &str) -> ! {
    // Not by `log`: the logger may be what panicked, and there may be none.
    let message = format!(
        "monoloop: worker {index} {panic}\n\
         monoloop: the process ends, since the other workers would serve only a part of the connections\n"
    );
    let _ = io::stderr().write_all(message.as_bytes());
    process::abort()
}
