//! The life of a worker, in its own thread.

use std::error::Error as StdError;
use std::io;
use std::process;
use std::ptr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

use crate::exchange::{dispose, guard};
use crate::server::control::{Control, Group};
use crate::server::error::Result;
use crate::server::log_writer::LogWriter;
use crate::server::running::Running;

/// The application's error when the set-up of a worker fails.
pub(super) type SetUpError = Box<dyn StdError + Send + Sync>;

/// The index of a worker, with its loop after the set-up, or the reason why the set-up failed.
pub(super) type Ready = (usize, Result<Arc<Control>, SetUpError>);

/// The index of a worker that has ended, and its result.
pub(super) type Ended = (usize, Result<()>);

/// A worker, and its channels to the supervisor.
pub(super) struct Worker {
    pub(super) index: usize,
    pub(super) group: Arc<Group>,
    /// Reports that the worker is ready. The supervisor waits until all workers have dropped this sender.
    pub(super) report: Sender<Ready>,
    /// Receives a message when the worker may serve. If the sender is dropped instead, the worker ends.
    pub(super) gate: Receiver<()>,
    pub(super) end: Sender<Ended>,
}

impl Worker {
    /// Sets the worker up, waits for the others, serves, and reports how it ended.
    pub(super) fn work<S, E: Into<SetUpError>>(self, set_up: impl FnOnce() -> Result<Running<S>, E>) {
        let Self { index, group, report, gate, end } = self;
        let made = guard(|| set_up().map_err(Into::into));
        let made = made.unwrap_or_else(|panic| Err(format!("its set-up {panic}").into()));
        // A server outside the group would never receive an order to stop.
        let is_ours =
            |running: &Running<S>| running.event_loop.control.group().is_some_and(|own| ptr::eq(own, &*group));
        let made = made.and_then(|running| match is_ours(&running) {
            true => Ok(running),
            false => Err("its set-up returned a server other than its own".into()),
        });
        let mut running = match made {
            Ok(running) => running,
            Err(error) => {
                let _ = report.send((index, Err(error)));
                return;
            }
        };
        let _ = report.send((index, Ok(Arc::clone(&running.event_loop.control))));
        drop(report);
        let result = match gate.recv() {
            Ok(()) => running.run_to_the_end(),
            Err(_) => Ok(()),
        };
        // Other workers may still serve requests, so a state that panics when it is dropped must not end the process.
        dispose(running);
        let _ = end.send((index, result));
        group.supervisor().wake();
    }
}

/// Aborts the process after a panic in the thread of a worker.
///
/// Otherwise the kernel would still give connections to the socket of the dead worker. If that socket were closed, the
/// other workers would serve with only some of the cores. A health check would not notice, because a living worker
/// answers it. A supervisor outside the process (systemd, Kubernetes) can restart a process, but not a thread.
///
/// This is an abort and not an exit, because an abort does not wait: not for a handler that still runs, a destructor
/// or `atexit`. It also leaves a core dump, if the system is set up to keep one.
pub(super) fn take_down(index: usize, panic: &str) -> ! {
    // This does not use `log`: the logger may be what panicked, or there may be no logger.
    let message = format!(
        "monoloop: worker {index} {panic}\n\
         monoloop: the process ends, because the other workers would serve only a part of the connections\n"
    );
    // Nor does it wait long for a pipe that nobody reads.
    if let Ok(errors) = LogWriter::new(io::stderr(), |_| String::new()) {
        errors.push(message);
        errors.finish();
    }
    process::abort()
}
