//! The `monoloop` command: from the command line to the exit code.
//!
//! `cli` says what was asked for, `demo` is the application, and here the server is started, announced and brought to
//! its end. Standard output tells how it goes, standard error what went wrong.

#![forbid(unsafe_code)]

mod cli;
mod demo;
mod values;

use std::env;
use std::fmt::Display;
use std::io::{self, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::process::ExitCode;

use cli::{Command, Settings};
use monoloop::server::{self, DrainCause, Running};
use monoloop::{Endpoint, Router, Server};

/// The exit code after a usage error; a failure while running is 1.
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
            env_logger::Builder::new().parse_filters(&settings.log).init();
            run(&settings, demo::app())
        }
        Err(problem) => {
            complain(format_args!("monoloop: {problem}\nTry 'monoloop --help'."));
            ExitCode::from(USAGE)
        }
    }
}

fn run<S>(settings: &Settings, app: Router<S>) -> ExitCode {
    match serve(settings, app) {
        Ok(()) => {
            say("All connections closed. Goodbye.");
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain(explain(&error));
            ExitCode::FAILURE
        }
    }
}

fn serve<S>(settings: &Settings, app: Router<S>) -> server::Result<()> {
    let server = listen(settings)?.config(settings.config.clone());
    let tcp = server.local_addrs().filter(|local| matches!(local, Endpoint::Tcp(_)));
    let tcp = tcp.map(|local| format!("http://{local}"));
    let addresses: Vec<String> = tcp.chain(settings.unix.iter().map(|path| format!("unix:{path}"))).collect();
    let running = server.serve(app)?;

    say("Available routes:");
    for route in running.app().routes() {
        say(format_args!("  {route}"));
    }
    for address in addresses {
        say(format_args!("listening on {address}"));
    }
    run_and_announce(running)
}

/// Runs to the end, and says when that is in sight. (An observer could say it too, but would be told of each request.)
fn run_and_announce<S>(mut running: Running<S>) -> server::Result<()> {
    let mut announced = false;
    loop {
        let goes_on = running.turn(None);
        if let (false, Some(DrainCause::Signal(name))) = (announced, running.draining()) {
            say(format_args!("{name} received. Shutting down gracefully..."));
            announced = true;
        }
        if !goes_on? {
            return Ok(());
        }
    }
}

/// Binds all addresses.
fn listen(settings: &Settings) -> server::Result<Server> {
    let (first, others) = settings.hosts.split_first().expect("there is a default host");
    let mut server = Server::bind(&resolve(first, settings.port)?[..])?;
    for host in others {
        server = server.also_bind(&resolve(host, settings.port)?[..])?;
    }
    for path in &settings.unix {
        server = server.also_bind_unix(path)?;
    }
    Ok(server)
}

/// The addresses of a host. Looked up here, so that an error can name the host.
fn resolve(host: &str, port: u16) -> server::Result<Vec<SocketAddr>> {
    let failed = |source| server::Error::Bind { address: host.to_owned(), source };
    Ok((host, port).to_socket_addrs().map_err(failed)?.collect())
}

/// One sentence about why the server ended, or did not begin.
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
        other => other.to_string(),
    }
}

/// Writes a line to standard output. Whoever read it may be gone: that is no reason to stop serving.
fn say(line: impl Display) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Writes a line to standard error, likewise.
fn complain(line: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}
