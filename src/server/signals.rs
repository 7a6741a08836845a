//! SIGTERM and SIGINT as readable sockets: the signal handler writes a byte and the event loop reads it. This needs no
//! thread and no unsafe code.

use std::io::{self, Read};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use mio::net::UnixStream;
use mio::{Interest, Registry, Token};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::{SigId, flag, low_level};

const SIGNALS: [(i32, &str); 2] = [(SIGTERM, "SIGTERM"), (SIGINT, "SIGINT")];

/// The number of servers in this process that listen to signals.
static LISTENING: AtomicUsize = AtomicUsize::new(0);

/// True while no server listens to signals: then a signal again has its default effect. (An installed handler stays, so
/// without this flag a signal could no longer stop the process.)
static NOBODY: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// The reading ends of the pipes. Dropping this unregisters them.
pub(super) struct Signals {
    pipes: Vec<Pipe>,
}

struct Pipe {
    name: &'static str,
    token: Token,
    reader: UnixStream,
    registered: SigId,
}

impl Signals {
    /// Registers a pipe for each signal, with tokens that count down from `first`.
    pub(super) fn register(registry: &Registry, first: Token) -> io::Result<Self> {
        keep_defaults()?;
        let mut signals = Self { pipes: Vec::new() };
        LISTENING.fetch_add(1, Ordering::AcqRel);
        NOBODY.get().expect("it was just set").store(false, Ordering::Release);
        for (i, (signal, name)) in SIGNALS.into_iter().enumerate() {
            let (reader, writer) = StdUnixStream::pair()?;
            reader.set_nonblocking(true)?;
            let mut reader = UnixStream::from_std(reader);
            let token = Token(first.0 - i);
            registry.register(&mut reader, token, Interest::READABLE)?;
            let registered = low_level::pipe::register(signal, writer)?;
            signals.pipes.push(Pipe { name, token, reader, registered });
        }
        Ok(signals)
    }

    /// The name of the signal that this event reports.
    pub(super) fn take(&mut self, token: Token) -> Option<&'static str> {
        let pipe = self.pipes.iter_mut().find(|pipe| pipe.token == token)?;
        let mut bytes = [0; 16];
        let mut came = false;
        while let Ok(1..) = pipe.reader.read(&mut bytes) {
            came = true;
        }
        came.then_some(pipe.name)
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for pipe in &self.pipes {
            low_level::unregister(pipe.registered);
        }
        if LISTENING.fetch_sub(1, Ordering::AcqRel) == 1 {
            NOBODY.get().expect("it was set on registration").store(true, Ordering::Release);
        }
    }
}

/// Makes signals have their default effect while no server listens to them. Only the first call in a process acts.
fn keep_defaults() -> io::Result<()> {
    if NOBODY.get().is_none() {
        let nobody = Arc::new(AtomicBool::new(false));
        if NOBODY.set(Arc::clone(&nobody)).is_ok() {
            for (signal, _) in SIGNALS {
                flag::register_conditional_default(signal, Arc::clone(&nobody))?;
            }
        }
    }
    Ok(())
}
