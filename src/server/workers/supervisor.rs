//! The supervisor, in the thread of the caller. It lets the workers begin, and sleeps until it has to stop them.

use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mio::{Events, Poll, Token, Waker};

use super::worker::{Ended, Ready, Worker, take_down};
use crate::config::Config;
use crate::exchange::{Controlled, DrainCause, Endpoint, guard};
use crate::server::control::{Control, Group};
use crate::server::drain::Forced;
use crate::server::error::{Error, Result};
#[cfg(feature = "signals")]
use crate::server::signals::Signals;

const WAKER: Token = Token(0);
/// The token of the first signal; the tokens of the others count down from it.
#[cfg(feature = "signals")]
const SIGNALS: Token = Token(2);

/// Workers that are set up, and the supervisor that starts and stops them. If it is dropped, the workers are cut off.
pub struct RunningWorkers {
    group: Arc<Group>,
    poll: Poll,
    events: Events,
    #[cfg(feature = "signals")]
    signals: Option<Signals>,
    local: Vec<Endpoint>,

    threads: Vec<JoinHandle<()>>,
    /// One for each worker that may not serve yet.
    gates: Vec<Sender<()>>,
    /// The loops of the workers that are ready, to wake them.
    loops: Vec<Arc<Control>>,
    /// Receives the index and the result of each worker that has ended.
    ends: Receiver<Ended>,
    /// Workers that have not ended.
    serving: usize,

    /// A signal has come.
    signalled: bool,
    /// The drains of some workers were cut short. This counts the connections of all.
    forced: Option<Forced>,
    failed: Option<Error>,
}

impl RunningWorkers {
    /// Makes a supervisor of so many workers, which are still to be spawned. It gives its orders through the group; the
    /// workers report through `ends`.
    pub(super) fn new(workers: usize, local: Vec<Endpoint>, ends: Receiver<Ended>) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        Ok(Self {
            group: Arc::new(Group::new(waker, workers)),
            poll,
            events: Events::with_capacity(4),
            #[cfg(feature = "signals")]
            signals: None,
            local,
            threads: Vec::new(),
            gates: Vec::new(),
            loops: Vec::new(),
            ends,
            serving: 0,
            signalled: false,
            forced: None,
            failed: None,
        })
    }

    pub(super) const fn group(&self) -> &Arc<Group> {
        &self.group
    }

    /// Starts the thread of a worker. A panic that `work` does not catch ends the process.
    pub(super) fn spawn(
        &mut self,
        open: Sender<()>,
        worker: Worker,
        work: impl FnOnce(Worker) + Send + 'static,
    ) -> Result<()> {
        let index = worker.index;
        let body = move || guard(|| work(worker)).unwrap_or_else(|panic| take_down(index, &panic));
        self.threads.push(thread::Builder::new().name(format!("worker-{index}")).spawn(body)?);
        self.gates.push(open);
        Ok(())
    }

    /// Waits until all workers are set up, and then listens to signals if the configuration says so. It waits for all
    /// even if one has failed: when it returns the error, no socket may still listen.
    pub(super) fn wait_until_ready(&mut self, reports: &Receiver<Ready>, config: &Config) -> Result<()> {
        let mut failed: Option<(usize, _)> = None;
        for (index, report) in reports {
            match report {
                Ok(control) => self.loops.push(control),
                Err(error) if failed.as_ref().is_none_or(|(first, _)| index < *first) => failed = Some((index, error)),
                Err(error) => fault!("worker {index}: {error}"),
            }
        }
        self.serving = self.loops.len();
        if let Some((worker, source)) = failed {
            return Err(Error::Worker { worker, source });
        }
        self.register_signals(config)
    }

    #[cfg(feature = "signals")]
    fn register_signals(&mut self, config: &Config) -> Result<()> {
        if config.signals {
            self.signals = Some(Signals::register(self.poll.registry(), SIGNALS)?);
        }
        Ok(())
    }

    #[cfg(not(feature = "signals"))]
    fn register_signals(&mut self, _: &Config) -> Result<()> {
        Ok(())
    }

    /// A handle to all workers, for other threads.
    pub fn handle(&self) -> WorkersHandle {
        WorkersHandle(Arc::clone(&self.group))
    }

    /// The first address that the workers listen on; `None` once they are asked to drain.
    pub fn local_addr(&self) -> Option<Endpoint> {
        self.local_addrs().next()
    }

    /// All addresses that the workers listen on; none once they are asked to drain.
    pub fn local_addrs(&self) -> impl Iterator<Item = Endpoint> {
        self.local.iter().copied().filter(|_| self.draining().is_none())
    }

    /// The cause of the drain; `None` until something asks the workers to drain.
    pub fn draining(&self) -> Option<DrainCause> {
        self.group.orders().stop
    }

    /// Lets the workers begin to serve if they have not yet. Then it sleeps, at most for `timeout`, until a worker ends
    /// or a signal or a handle asks for a shutdown. Returns whether the workers go on. They serve without further
    /// turns, but only a turn can stop them.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn turn(&mut self, timeout: Option<Duration>) -> Result<bool> {
        // This comes first, so that a worker that is stopped before it begins finds the order in its first tick.
        self.obey_handles();
        for gate in self.gates.drain(..) {
            // The worker waits for nothing else, so it receives this.
            let _ = gate.send(());
        }
        if self.serving > 0 {
            self.wait(timeout)?;
        }
        self.obey_handles();
        #[cfg(feature = "signals")]
        if let Some(name) = self.take_signal() {
            self.stop(DrainCause::Signal(name));
            self.signalled = true;
        }
        while let Ok((worker, result)) = self.ends.try_recv() {
            self.serving -= 1;
            self.take_end(worker, result);
        }
        if self.serving > 0 {
            return Ok(true);
        }
        self.join();
        match (self.failed.take(), self.forced.take()) {
            (Some(error), _) => Err(error),
            (None, Some(forced)) => Err(forced.into()),
            (None, None) => Ok(false),
        }
    }

    /// Runs until the workers are asked to [drain](Self::draining), and returns whether they go on. If they do, call
    /// [`run`](Self::run) to finish the drain.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_until_drain(&mut self) -> Result<bool> {
        while self.draining().is_none() {
            if !self.turn(None)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Runs until the workers have been shut down and all have drained. A SIGTERM, a SIGINT or
    /// [`WorkersHandle::shutdown`] stops all workers, and each has the same time to drain. A second signal cuts the
    /// connections that are left.
    ///
    /// # Errors
    /// [`Error::Worker`] when the loop of one worker failed; the others were cut off. [`Error::Forced`] when the drain
    /// was cut short; it counts the connections of all workers. [`Error::Io`] when the supervisor's own poll fails.
    ///
    /// # Aborts
    /// A panic of a worker outside handlers, observers and hooks aborts the process: see [`Workers`](super::Workers).
    pub fn run(mut self) -> Result<()> {
        while self.turn(None)? {}
        Ok(())
    }

    /// Polls. If a signal interrupts the poll, there are no events.
    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {
                self.events.clear();
                Ok(())
            }
            result => result,
        }
    }

    fn obey_handles(&mut self) {
        if self.group.supervisor().take_shutdown() {
            self.stop(DrainCause::Handle);
        }
    }

    /// The name of a signal that has come. Signals that come together count as one request to stop, not as two.
    #[cfg(feature = "signals")]
    fn take_signal(&mut self) -> Option<&'static str> {
        let signals = self.signals.as_mut()?;
        let names: Vec<_> = self.events.iter().filter_map(|event| signals.take(event.token())).collect();
        names.first().copied()
    }

    /// Asks the workers to drain. A second call changes nothing, unless it is for a second signal: that cuts the
    /// connections.
    fn stop(&mut self, cause: DrainCause) {
        if self.group.order_stop(cause) {
            log::info!("draining all workers: {cause:?}");
            self.wake_all();
        } else if matches!(cause, DrainCause::Signal(_)) && self.signalled {
            self.cut(true);
        }
    }

    fn cut(&self, signalled: bool) {
        self.group.order_cut(signalled);
        self.wake_all();
    }

    fn wake_all(&self) {
        self.loops.iter().for_each(|control| control.wake());
    }

    fn take_end(&mut self, worker: usize, result: Result<()>) {
        match result {
            Ok(()) => {}
            Err(Error::Forced { connections, signalled }) => {
                let forced = self.forced.get_or_insert_default();
                forced.connections += connections;
                forced.signalled |= signalled;
            }
            Err(error) => {
                fault!("worker {worker}: {error}; all others are cut off");
                self.failed.get_or_insert(Error::Worker { worker, source: error.into() });
                self.stop(DrainCause::Handle);
                self.cut(false);
            }
        }
        // When one worker ends, all end, whatever the reason.
        self.stop(DrainCause::Handle);
    }

    fn join(&mut self) {
        for thread in self.threads.drain(..) {
            // The thread cannot have panicked: see `spawn`.
            let _ = thread.join();
        }
    }
}

impl Drop for RunningWorkers {
    fn drop(&mut self) {
        // A worker that waits at its gate ends when the sender is dropped; a worker that serves is cut off.
        self.gates.clear();
        self.stop(DrainCause::Handle);
        self.cut(false);
        self.join();
    }
}

impl fmt::Debug for RunningWorkers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningWorkers").field("local", &self.local).field("serving", &self.serving).finish()
    }
}

/// Controls running [`Workers`](super::Workers) from other threads, as a [`Handle`](crate::Handle) controls one server.
#[derive(Clone)]
pub struct WorkersHandle(Arc<Group>);

impl WorkersHandle {
    /// Begins to drain all workers, like SIGTERM: they finish their requests, and then `run` returns. A second call
    /// changes nothing. The thread in [`run`](RunningWorkers::run) passes the order on to the workers.
    pub fn shutdown(&self) {
        self.0.supervisor().ask_shutdown();
    }

    /// Whether the drain has begun, for any cause: see [`Handle::is_draining`](crate::Handle::is_draining).
    pub fn is_draining(&self) -> bool {
        self.0.supervisor().is_draining()
    }
}

impl fmt::Debug for WorkersHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WorkersHandle")
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;
    use crate::config::Config;
    use crate::router::Router;
    use crate::server::Workers;

    /// A poll fails only if its arguments are wrong, so this test makes them wrong.
    #[test]
    fn when_one_loop_fails_the_other_workers_end_too() {
        let config = Config { signals: false, ..Config::default() };
        let workers = Workers::bind("127.0.0.1:0", 3).unwrap().config(config);
        let address = workers.local_addr().to_string();
        let running = workers.start(|index, server| {
            let mut running = server.start(Router::new(()))?;
            if index == 1 {
                running.event_loop.break_poll();
            }
            Ok::<_, Error>(running)
        });
        let error = running.unwrap().run().unwrap_err();
        assert!(matches!(error, Error::Worker { worker: 1, .. }), "{error}");
        assert!(error.to_string().starts_with("worker 1: the event loop failed: "), "{error}");
        assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    }
}
