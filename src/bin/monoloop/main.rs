//! The `monoloop` command: from the command line to the exit code.
//!
//! `cli` reads the command line; `demo` and `serve` are the applications. This file starts the server, announces it,
//! and runs it to its end. The command reports progress on standard output and errors on standard error.

#![forbid(unsafe_code)]

mod assets;
mod cli;
mod demo;
mod health;
#[cfg(feature = "live")]
mod live;
mod logging;
mod options;
#[cfg(feature = "live")]
mod record;
#[cfg(feature = "live")]
mod replay;
mod serve;
mod speech;
mod values;

use std::env;
use std::fmt::Display;
use std::io;
use std::net::{Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

use cli::Command;
use demo::Demo;
#[cfg(feature = "live")]
use live::Live;
use monoloop::limits::MAX_WORKERS;
use monoloop::server::{self, AccessLog, DrainCause, Running, RunningWorkers};
use monoloop::{Endpoint, Router, Server, Workers};
use options::Settings;
use signal_hook::consts::{SIGHUP, SIGUSR1, SIGUSR2};
#[cfg(feature = "live")]
use signal_hook::consts::{SIGINT, SIGTERM};
use speech::{Speaker, complain, say, strong};

/// The exit code after a usage error. After a failure at run time it is 1.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    match cli::parse(env::args_os().skip(1), |name| env::var_os(name)) {
        Ok(Command::Help) => {
            say(cli::help());
            ExitCode::SUCCESS
        }
        Ok(Command::Version) => {
            say(concat!("monoloop ", env!("CARGO_PKG_VERSION")));
            ExitCode::SUCCESS
        }
        Ok(Command::Demo(settings)) => {
            let _log = logging::start(&settings);
            #[cfg(feature = "live")]
            if let Some(address) = settings.live {
                return run_demo_live(&settings, address);
            }
            run_demo(&settings, demo::app, |_| {})
        }
        Ok(Command::Serve(directory, settings)) => {
            let _log = logging::start(&settings);
            match serve::Site::new(directory, &settings) {
                Ok(site) => {
                    let about = site.describe();
                    #[cfg(feature = "live")]
                    let recorded = record::About::new("serve", Some(site.directory()), &settings);
                    let app = Application::new(Arc::new(move || site.app()), |_| {}, about, false);
                    #[cfg(feature = "live")]
                    let app = app.recorded(recorded, &settings);
                    run(&settings, app)
                }
                Err(problem) => {
                    complain(problem);
                    ExitCode::FAILURE
                }
            }
        }
        #[cfg(feature = "live")]
        Ok(Command::Replay(file, settings)) => {
            let _log = logging::start(&settings);
            replay::run(&file, &settings.replay)
        }
        Err(problem) => misused(problem),
    }
}

fn misused(problem: impl Display) -> ExitCode {
    complain(format_args!("monoloop: {problem}\nTry 'monoloop --help'."));
    ExitCode::from(USAGE)
}

/// The application. Each event loop makes its own.
struct Application<S> {
    make: Arc<dyn Fn() -> Router<S> + Send + Sync>,
    /// Gives the application a handle to its loop.
    connect: fn(&mut Running<S>),
    /// The lines about the application that are printed at the start.
    about: Vec<String>,
    /// Requests change the state of the application.
    has_state: bool,
    /// Sets more of a server before it starts.
    prepare: Prepare,
    /// Turns the event loop, if there is only one.
    turn: TurnLoop<S>,
}

type Prepare = Box<dyn Fn(Server) -> server::Result<Server> + Send + Sync>;

type TurnLoop<S> = Box<dyn FnOnce(Running<S>, &mut Speaker) -> server::Result<()>>;

impl<S> Application<S> {
    fn new(
        make: Arc<dyn Fn() -> Router<S> + Send + Sync>,
        connect: fn(&mut Running<S>),
        about: Vec<String>,
        has_state: bool,
    ) -> Self {
        let turn = |running, speaker: &mut Speaker| {
            run_and_announce(running, Running::run_until_drain, Running::draining, Running::run, speaker)
        };
        Self { make, connect, about, has_state, prepare: Box::new(Ok), turn: Box::new(turn) }
    }

    /// Records what the server does, if the settings say so.
    #[cfg(feature = "live")]
    fn recorded(mut self, about: record::About, settings: &Settings) -> Self {
        let (prepare, recording) = (self.prepare, settings.record.clone());
        self.prepare = Box::new(move |server| record::add(prepare(server)?, &recording, &about));
        self
    }
}

/// Runs the demo, whose application is made by `make`. `adapt` may change how it runs.
fn run_demo(
    settings: &Settings,
    make: impl Fn() -> Router<Demo> + Send + Sync + 'static,
    adapt: impl FnOnce(&mut Application<Demo>),
) -> ExitCode {
    let health = settings.health.clone();
    if let Some(path) = health.as_deref().filter(|path| make().routes().any(|known| known.path() == *path)) {
        return misused(format_args!("{path} cannot be the health check: it is a route of the demo"));
    }
    let make = move || {
        let mut app = make();
        health::add(&mut app, health.as_deref());
        app
    };
    let routes = make().routes().map(|route| format!("  {route}")).collect();
    let about = [vec!["Available routes:".to_owned()], routes].concat();
    let mut app = Application::new(Arc::new(make), demo::connect, about, true);
    adapt(&mut app);
    #[cfg(feature = "live")]
    let app = app.recorded(record::About::new("demo", None, settings), settings);
    run(settings, app)
}

/// Runs the demo with the page that shows its event loop.
#[cfg(feature = "live")]
fn run_demo_live(settings: &Settings, address: SocketAddr) -> ExitCode {
    let live = match Live::start(address) {
        Ok(live) => live,
        Err(error) => {
            logging::complain(explain(&error));
            return ExitCode::FAILURE;
        }
    };
    let (page, routes) = (live.address(), live.routes());
    let make = move || {
        let mut app = demo::app();
        routes.add(&mut app);
        app
    };
    run_demo(settings, make, |app| {
        let held = live.held();
        app.prepare = Box::new(move |server| Ok(server.clock(held.clock())));
        app.turn = Box::new(move |running, speaker| {
            let signalled = note_signals()?;
            live.connect(&running);
            // From this line on the buttons of the page work.
            say(format_args!("live page on {}", strong(&format!("http://{page}/_live"))));
            live.run(running, signalled, |cause| tell_drain(cause, speaker))
        });
    })
}

/// The warning for several workers whose application has a state.
const OWN_STATE: &str = ", each with its own state: one connection may not see what another connection changes.";

fn run<S: 'static>(settings: &Settings, app: Application<S>) -> ExitCode {
    let mut speaker = Speaker::default();
    match serve_app(settings, app, &mut speaker) {
        Ok(()) => {
            speaker.say("All connections closed. Goodbye.");
            ExitCode::SUCCESS
        }
        Err(error) => {
            logging::complain(explain(&error));
            ExitCode::FAILURE
        }
    }
}

fn serve_app<S: 'static>(settings: &Settings, app: Application<S>, speaker: &mut Speaker) -> server::Result<()> {
    ignore_other_signals()?;
    let access_log = settings.access_log.map(|format| AccessLog::new(format, io::stdout())).transpose()?;
    let Application { make, connect, about, has_state, prepare, turn } = app;
    let start = move |server: Server| -> server::Result<Running<S>> {
        let server = match &access_log {
            Some(log) => server.observer(log.clone()),
            None => server,
        };
        let mut running = prepare(server)?.start(make())?;
        connect(&mut running);
        Ok(running)
    };
    match settings.workers.unwrap_or_else(cores) {
        1 => serve_alone(settings, &about, start, turn, speaker),
        count => {
            let state = if has_state { OWN_STATE } else { "" };
            let about = [vec![format!("{count} workers{state}")], about].concat();
            serve_with_workers(settings, count, &about, start, speaker)
        }
    }
}

/// Ignores the signals that end a process by default and mean something to other servers: reload, open the logs again,
/// upgrade. Scripts send them by habit, and a terminal sends SIGHUP when it closes.
fn ignore_other_signals() -> io::Result<()> {
    for signal in [SIGHUP, SIGUSR1, SIGUSR2] {
        // A signal only sets this flag, which nobody reads. Ignoring it in the kernel would need unsafe code.
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))?;
    }
    Ok(())
}

/// Becomes true when a signal asks the server to stop. The loop learns of it in its next tick, and the live page can
/// keep it from that tick.
#[cfg(feature = "live")]
fn note_signals() -> io::Result<Arc<AtomicBool>> {
    let signalled = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&signalled))?;
    }
    Ok(signalled)
}

/// Runs one event loop, in this thread.
fn serve_alone<S>(
    settings: &Settings,
    about: &[String],
    start: impl Fn(Server) -> server::Result<Running<S>>,
    turn: TurnLoop<S>,
    speaker: &mut Speaker,
) -> server::Result<()> {
    let server =
        listen(settings, |addresses| Server::bind(addresses), |server, addresses| server.also_bind(addresses))?;
    let server = settings.unix.iter().try_fold(server, Server::also_bind_unix)?.config(settings.config.clone());
    let addresses = addresses(settings, server.local_addrs());
    let running = start(server)?;
    // `start` holds a clone of the access log. Dropped here, it lets the log end together with the loop.
    drop(start);

    announce(about, &addresses);
    turn(running, speaker)
}

/// Runs several event loops, each with its own thread and its own application.
fn serve_with_workers<S: 'static>(
    settings: &Settings,
    count: usize,
    about: &[String],
    start: impl Fn(Server) -> server::Result<Running<S>> + Send + Sync + 'static,
    speaker: &mut Speaker,
) -> server::Result<()> {
    let bind = |addresses: &[SocketAddr]| Workers::bind(addresses, count);
    let workers = listen(settings, bind, |workers, addresses| workers.also_bind(addresses))?;
    let workers = settings.unix.iter().try_fold(workers, Workers::also_bind_unix)?.config(settings.config.clone());
    let addresses = addresses(settings, workers.local_addrs());
    let running = workers.start(move |_, server| start(server))?;

    announce(about, &addresses);
    run_and_announce(running, RunningWorkers::run_until_drain, RunningWorkers::draining, RunningWorkers::run, speaker)
}

/// The number of cores that this process may use, at most [`MAX_WORKERS`].
fn cores() -> usize {
    thread::available_parallelism().map_or(1, |cores| cores.get().min(MAX_WORKERS))
}

/// The addresses that the server listens on, in the form in which they are printed.
fn addresses(settings: &Settings, local: impl Iterator<Item = Endpoint>) -> Vec<String> {
    let tcp = local.filter(|local| matches!(local, Endpoint::Tcp(_))).map(|local| format!("http://{local}"));
    tcp.chain(settings.unix.iter().map(|path| format!("unix:{path}"))).collect()
}

fn announce(about: &[String], addresses: &[String]) {
    about.iter().for_each(say);
    for address in addresses {
        say(format_args!("listening on {}", strong(address)));
    }
}

/// Runs to the end, and prints a line when a signal begins the drain. (An observer could do this too, but it would be
/// called for each request.)
fn run_and_announce<R>(
    mut running: R,
    run_until_drain: impl FnOnce(&mut R) -> server::Result<bool>,
    draining: impl FnOnce(&R) -> Option<DrainCause>,
    run: impl FnOnce(R) -> server::Result<()>,
    speaker: &mut Speaker,
) -> server::Result<()> {
    let goes_on = run_until_drain(&mut running)?;
    // Without connections, the drain begins and ends in the same tick.
    if let Some(cause) = draining(&running) {
        tell_drain(cause, speaker);
    }
    if goes_on { run(running) } else { Ok(()) }
}

fn tell_drain(cause: DrainCause, speaker: &mut Speaker) {
    if let DrainCause::Signal(name) = cause {
        speaker.say(format_args!("{name} received. Shutting down gracefully..."));
    }
}

/// Binds all hosts: the first makes the server, the others are added. `::` comes last, since it leaves IPv4 to the
/// addresses that were bound before it.
fn listen<T>(
    settings: &Settings,
    bind: impl Fn(&[SocketAddr]) -> server::Result<T>,
    also_bind: impl Fn(T, &[SocketAddr]) -> server::Result<T>,
) -> server::Result<T> {
    let hosts: server::Result<Vec<_>> = settings.hosts.iter().map(|host| resolve(host, settings.port)).collect();
    let is_any = |addresses: &Vec<SocketAddr>| addresses.iter().any(|address| address.ip() == Ipv6Addr::UNSPECIFIED);
    // A sort would add 10 KB to the executable file.
    let (any, mut hosts): (Vec<_>, Vec<_>) = hosts?.into_iter().partition(is_any);
    hosts.extend(any);
    let (first, others) = hosts.split_first().expect("there is a default host");
    others.iter().try_fold(bind(first)?, |server, addresses| also_bind(server, addresses))
}

/// Looks up the addresses of a host. This is done here, so that an error can name the host.
fn resolve(host: &str, port: u16) -> server::Result<Vec<SocketAddr>> {
    let failed = |source| server::Error::Bind { address: host.to_owned(), source };
    Ok((host, port).to_socket_addrs().map_err(failed)?.collect())
}

/// One sentence that says why the server failed, or why it did not start.
fn explain(error: &server::Error) -> String {
    match error {
        server::Error::Forced { signalled: true, .. } => "Forced shutdown by a second signal".to_owned(),
        server::Error::Forced { signalled: false, .. } => "Forced shutdown after timeout".to_owned(),
        server::Error::Bind { address, source } if source.kind() == io::ErrorKind::AddrInUse => {
            match address.parse::<SocketAddr>() {
                Ok(address) => format!("Port {} is already in use", address.port()),
                Err(_) => error.to_string(),
            }
        }
        #[cfg(feature = "live")]
        server::Error::Recording(source) => format!("Cannot record: {source}"),
        other => other.to_string(),
    }
}
