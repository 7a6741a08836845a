//! The thread of the caller: lets the workers begin, and sleeps until there is a reason to end them.

use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mio::{Events, Poll, Token, Waker};

use super::group::{Group, WorkersHandle};
use super::worker::{Ended, Ready, Worker, take_down};
use crate::config::Config;
use crate::exchange::{DrainCause, Endpoint, guard};
use crate::server::error::{Error, Result};
use crate::server::handle::Shared;
#[cfg(feature = "signals")]
use crate::server::signals::Signals;

const WAKER: Token = Token(0);
/// The first; they count down.
#[cfg(feature = "signals")]
const SIGNALS: Token = Token(2);

/// Workers that are set up, and the supervisor that begins and ends them. If it is dropped, they are cut off.
pub struct RunningWorkers {
    group: Arc<Group>,
    poll: Poll,
    events: Events,
    #[cfg(feature = "signals")]
    signals: Option<Signals>,
    local: Vec<Endpoint>,

    threads: Vec<JoinHandle<()>>,
    /// One for each worker that was not let in yet.
    gates: Vec<Sender<()>>,
    /// Reach the loops of those that are ready.
    loops: Vec<Arc<Shared>>,
    /// Brings the index of each worker that has ended, and how.
    ends: Receiver<Ended>,
    /// Workers that have not ended.
    serving: usize,

    /// A signal has come.
    signalled: bool,
    /// How many connections were cut, and whether by a signal.
    forced: Option<(usize, bool)>,
    failed: Option<Error>,
}

impl RunningWorkers {
    /// Without workers yet. What they are told goes through the group, what they tell through `ends`.
    pub(super) fn new(local: Vec<Endpoint>, ends: Receiver<Ended>) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        Ok(Self {
            group: Arc::new(Group::new(waker)),
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

    /// Starts the thread of a worker. Whatever panics in it and is not caught there ends the process.
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

    /// Waits until all are set up, and from then on listens to signals if the configuration says so. It waits for all
    /// also when one has failed: when the error is returned, nothing may be left that listens.
    pub(super) fn wait_until_ready(&mut self, reports: &Receiver<Ready>, config: &Config) -> Result<()> {
        let mut failed: Option<(usize, _)> = None;
        for (index, report) in reports {
            match report {
                Ok(shared) => self.loops.push(shared),
                Err(error) if failed.as_ref().is_none_or(|(first, _)| index < *first) => failed = Some((index, error)),
                Err(error) => log::error!("worker {index}: {error}"),
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

    /// A handle to all of them, for other threads.
    pub fn handle(&self) -> WorkersHandle {
        WorkersHandle(Arc::clone(&self.group))
    }

    /// The first address that they listen on; none once they drain.
    pub fn local_addr(&self) -> Option<Endpoint> {
        self.local_addrs().next()
    }

    /// All addresses that they listen on; none once they drain.
    pub fn local_addrs(&self) -> impl Iterator<Item = Endpoint> {
        self.local.iter().copied().filter(|_| self.draining().is_none())
    }

    /// What made them drain, once they do.
    pub fn draining(&self) -> Option<DrainCause> {
        self.group.orders().stop
    }

    /// Lets the workers serve, if they do not yet, and sleeps until there is news of them or for them, but not longer
    /// than `timeout`. Tells whether they go on. The workers do not need it to serve, but to be stopped.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn turn(&mut self, timeout: Option<Duration>) -> Result<bool> {
        // First, so that who was told to stop before it began finds the order at its first tick.
        self.obey_handles();
        for gate in self.gates.drain(..) {
            // A worker waits for nothing else, so it is there.
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
            (None, Some((connections, signalled))) => Err(Error::Forced { connections, signalled }),
            (None, None) => Ok(false),
        }
    }

    /// Runs until the workers begin to [drain](Self::draining), and tells whether they go on: then [`run`](Self::run)
    /// brings them to their end.
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

    /// Runs until the workers were shut down and all have drained. A SIGTERM, a SIGINT or [`WorkersHandle::shutdown`]
    /// is for all of them, and each has the same time; a second signal cuts what is left of all.
    ///
    /// # Errors
    /// [`Error::Worker`] when the loop of one failed; the others were cut. [`Error::Forced`] when the drain was cut
    /// short, with the connections of all. [`Error::Io`] when the supervisor's own poll fails.
    ///
    /// # Aborts
    /// A panic of a worker that is not one of a handler, an observer or a hook aborts the process: see
    /// [`Workers`](super::Workers).
    pub fn run(mut self) -> Result<()> {
        while self.turn(None)? {}
        Ok(())
    }

    /// A signal that interrupts it is an empty batch.
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

    /// The name of a signal that has come. Those that come together are one wish, not two.
    #[cfg(feature = "signals")]
    fn take_signal(&mut self) -> Option<&'static str> {
        let signals = self.signals.as_mut()?;
        let names: Vec<_> = self.events.iter().filter_map(|event| signals.take(event.token())).collect();
        names.first().copied()
    }

    /// Someone asked the workers to stop. Asking again changes nothing, but a second signal cuts.
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
        self.loops.iter().for_each(|shared| shared.wake());
    }

    fn take_end(&mut self, worker: usize, result: Result<()>) {
        match result {
            Ok(()) => {}
            Err(Error::Forced { connections, signalled }) => {
                let (before, by_signal) = self.forced.unwrap_or_default();
                self.forced = Some((before + connections, by_signal || signalled));
            }
            Err(error) => {
                log::error!("worker {worker}: {error}; all others are cut off");
                self.failed.get_or_insert(Error::Worker { worker, source: error.into() });
                self.stop(DrainCause::Handle);
                self.cut(false);
            }
        }
        // None ends alone, whyever it did.
        self.stop(DrainCause::Handle);
    }

    fn join(&mut self) {
        for thread in self.threads.drain(..) {
            // It cannot have panicked: see `spawn`.
            let _ = thread.join();
        }
    }
}

impl Drop for RunningWorkers {
    fn drop(&mut self) {
        // Who waits at its gate goes home when nobody is there to open it; who serves is cut off.
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

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;
    use crate::config::Config;
    use crate::router::Router;
    use crate::server::Workers;

    /// A poll fails only when its arguments are wrong, so here they are.
    #[test]
    fn a_loop_that_fails_takes_the_others_with_it() {
        let config = Config { signals: false, ..Config::default() };
        let workers = Workers::bind("127.0.0.1:0", 3).unwrap().config(config);
        let address = workers.local_addr().to_string();
        let running = workers.serve(|index, server| {
            let mut running = server.serve(Router::new(()))?;
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
