//! The command line and the environment, read into [`Settings`].
//!
//! Every option stands once, in [`GROUPS`]: parsing, the environment and the help all come from there.

use std::ffi::OsString;
use std::fmt::Write;

use lexopt::Arg;
use monoloop::Config;

use crate::values;

/// What was asked for.
#[derive(Debug)]
pub(crate) enum Command {
    Demo(Box<Settings>),
    Help,
    Version,
}

/// All that options set.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    /// At least one.
    pub(crate) hosts: Vec<String>,
    pub(crate) port: u16,
    pub(crate) unix: Vec<String>,
    /// `None`: one per core.
    pub(crate) workers: Option<usize>,
    pub(crate) log: String,
    pub(crate) config: Config,
}

/// An option that takes a value, and its twin in the environment.
struct Opt {
    name: &'static str,
    /// What stands for the value in the help.
    value: &'static str,
    env: &'static str,
    /// What it is if nobody sets it; in parentheses where that is no value of its own.
    default: &'static str,
    /// What an empty variable means, and whether the option may be repeated.
    kind: Kind,
    help: &'static str,
    set: fn(&mut Settings, &str) -> Result<(), &'static str>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The last one wins; an empty variable is one that is not set, as in Node.
    One,
    /// As `One`, but an empty variable is a value.
    OneOrEmpty,
    /// Each adds to the others; the variable separates them by commas.
    Many,
}

use Kind::{Many, One, OneOrEmpty};

#[rustfmt::skip] // One option is one line of a table and one of help.
const GROUPS: [(&str, &[Opt]); 5] = [
    ("Where it listens", &[
        Opt { name: "host", value: "HOST", env: "MONOLOOP_HOST", default: "127.0.0.1", kind: Many,
            help: "Name or address to listen on; may be repeated",
            set: |to, text| { to.hosts.push(values::host(text)?.to_owned()); Ok(()) } },
        Opt { name: "port", value: "PORT", env: "PORT", default: "3000", kind: One,
            help: "Port of every host; 0 takes a free one and prints it",
            set: |to, text| { to.port = values::port(text)?; Ok(()) } },
        Opt { name: "unix", value: "PATH", env: "MONOLOOP_UNIX", default: "(none)", kind: Many,
            help: "Unix socket to listen on as well; may be repeated",
            set: |to, text| { to.unix.push(values::path(text)?.to_owned()); Ok(()) } },
        Opt { name: "backlog", value: "COUNT", env: "MONOLOOP_BACKLOG", default: "4096", kind: One,
            help: "Connections that the kernel queues; it has a limit of its own",
            set: |to, text| { to.config.backlog = values::backlog(text)?; Ok(()) } },
    ]),
    ("How many it is", &[
        Opt { name: "workers", value: "COUNT", env: "MONOLOOP_WORKERS", default: "1", kind: One,
            help: "Loops, each with a thread and a state (users) of its own; auto: one per core",
            set: |to, text| { to.workers = values::workers(text)?; Ok(()) } },
    ]),
    ("Timeouts (500ms, 30s, 2m, 1h; a plain number is seconds)", &[
        Opt { name: "idle-timeout", value: "TIME", env: "MONOLOOP_IDLE_TIMEOUT", default: "30s", kind: One,
            help: "Longest silence of a connection",
            set: |to, text| { to.config.idle_timeout = values::timeout(text)?; Ok(()) } },
        Opt { name: "keep-alive-timeout", value: "TIME", env: "MONOLOOP_KEEP_ALIVE_TIMEOUT",
            default: "(as --idle-timeout)", kind: One,
            help: "Longest silence between two requests",
            set: |to, text| { to.config.keep_alive_timeout = Some(values::timeout(text)?); Ok(()) } },
        Opt { name: "head-timeout", value: "TIME", env: "MONOLOOP_HEAD_TIMEOUT", default: "10s", kind: One,
            help: "From the first byte of a request head to its last",
            set: |to, text| { to.config.head_timeout = values::timeout(text)?; Ok(()) } },
        Opt { name: "content-timeout", value: "TIME", env: "MONOLOOP_CONTENT_TIMEOUT", default: "10s", kind: One,
            help: "How long content may be behind its minimum rate",
            set: |to, text| { to.config.content_timeout = values::timeout(text)?; Ok(()) } },
        Opt { name: "send-timeout", value: "TIME", env: "MONOLOOP_SEND_TIMEOUT", default: "60s", kind: One,
            help: "How long a client may be behind the minimum rate of its replies",
            set: |to, text| { to.config.send_timeout = values::timeout(text)?; Ok(()) } },
        Opt { name: "reply-timeout", value: "TIME", env: "MONOLOOP_REPLY_TIMEOUT", default: "60s", kind: One,
            help: "How long the application may take for a deferred reply; then 503",
            set: |to, text| { to.config.reply_timeout = values::timeout(text)?; Ok(()) } },
        Opt { name: "linger-timeout", value: "TIME", env: "MONOLOOP_LINGER_TIMEOUT", default: "2s", kind: One,
            help: "How long input is discarded after an error reply",
            set: |to, text| { to.config.linger_timeout = values::duration(text)?; Ok(()) } },
        Opt { name: "drain-timeout", value: "TIME", env: "MONOLOOP_DRAIN_TIMEOUT", default: "10s", kind: One,
            help: "How long requests may take after SIGTERM before they are cut",
            set: |to, text| { to.config.drain_timeout = values::duration(text)?; Ok(()) } },
        Opt { name: "drain-delay", value: "TIME", env: "MONOLOOP_DRAIN_DELAY", default: "0s", kind: One,
            help: "How long everything goes on as before after SIGTERM",
            set: |to, text| { to.config.drain_delay = values::duration(text)?; Ok(()) } },
    ]),
    ("Limits (bytes: 16384, 16k, 1m)", &[
        Opt { name: "max-head", value: "SIZE", env: "MONOLOOP_MAX_HEAD", default: "16k", kind: One,
            help: "Longest request head; above it 431",
            set: |to, text| { to.config.max_head = values::capacity(text)?; Ok(()) } },
        Opt { name: "max-target", value: "SIZE", env: "MONOLOOP_MAX_TARGET", default: "8k", kind: One,
            help: "Longest request target; above it 414",
            set: |to, text| { to.config.max_target = values::capacity(text)?; Ok(()) } },
        Opt { name: "max-content", value: "SIZE", env: "MONOLOOP_MAX_CONTENT", default: "1m", kind: One,
            help: "Largest content of a request; above it 413",
            set: |to, text| { to.config.max_content = values::size(text)? as u64; Ok(()) } },
        Opt { name: "min-content-rate", value: "RATE", env: "MONOLOOP_MIN_CONTENT_RATE", default: "500", kind: One,
            help: "Bytes per second of content that a client must send; 0: any",
            set: |to, text| { to.config.min_content_rate = values::rate(text)?; Ok(()) } },
        Opt { name: "min-send-rate", value: "RATE", env: "MONOLOOP_MIN_SEND_RATE", default: "500", kind: One,
            help: "Bytes per second of its replies that a client must take; 0: any",
            set: |to, text| { to.config.min_send_rate = values::rate(text)?; Ok(()) } },
        Opt { name: "max-response-buffer", value: "SIZE", env: "MONOLOOP_MAX_RESPONSE_BUFFER", default: "8m",
            kind: One,
            help: "Largest content that a handler may write to memory",
            set: |to, text| { to.config.max_response_buffer = values::capacity(text)?; Ok(()) } },
        Opt { name: "max-connections", value: "COUNT", env: "MONOLOOP_MAX_CONNECTIONS",
            default: "(as many as there are descriptors)", kind: One,
            help: "Connections of each worker at a time; further ones wait",
            set: |to, text| { to.config.max_connections = Some(values::count(text)?); Ok(()) } },
    ]),
    ("What it tells", &[
        Opt { name: "server-name", value: "TEXT", env: "MONOLOOP_SERVER_NAME", default: "monoloop", kind: OneOrEmpty,
            help: "Value of the Server field of replies; empty: none",
            set: |to, text| { to.config.server_name = values::server_name(text)?.map(str::to_owned); Ok(()) } },
        Opt { name: "log", value: "FILTER", env: "RUST_LOG", default: "warn", kind: One,
            help: "Level (off, error, warn, info, debug, trace) or filter (monoloop=debug,warn)",
            set: |to, text| { to.log = values::log_filter(text)?.to_owned(); Ok(()) } },
    ]),
];

/// Reads arguments (without the name of the program) and environment; the error is one sentence.
pub(crate) fn parse(
    args: impl IntoIterator<Item = OsString, IntoIter: 'static>,
    env: impl Fn(&str) -> Option<OsString>,
) -> Result<Command, String> {
    let mut parser = lexopt::Parser::from_args(args);
    let mut command = None;
    let mut given: Vec<(&Opt, String)> = Vec::new();
    while let Some(arg) = parser.next().map_err(|error| error.to_string())? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            Arg::Short('V') | Arg::Long("version") => return Ok(Command::Version),
            Arg::Long(name) => {
                let Some(opt) = options().find(|opt| opt.name == name) else {
                    return Err(format!("unknown option --{name}"));
                };
                given.push((opt, text(parser.value(), opt)?));
            }
            Arg::Short(letter) => return Err(format!("unknown option -{letter}")),
            Arg::Value(word) if command.is_none() => command = Some(word),
            Arg::Value(word) => return Err(format!("unexpected argument {word:?}")),
        }
    }
    match command {
        None => Err("no command was given".to_owned()),
        Some(word) if word == "demo" => Ok(Command::Demo(Box::new(settle(&given, env)?))),
        Some(word) => Err(format!("unknown command {word:?}")),
    }
}

/// The help: readable, and complete because it is made from the table.
pub(crate) fn help() -> String {
    let mut help = String::from(HELP);
    for (title, options) in GROUPS {
        let _ = write!(help, "\n{title}:\n");
        for Opt { name, value, env, default, help: about, .. } in options {
            let option = format!("--{name} {value}");
            let default = default.trim_matches(['(', ')']);
            let _ = writeln!(help, "  {option:<27} {about}\n{:29} [default: {default}] [env: {env}]", "");
        }
    }
    help.push_str("\nAn option wins over its variable. Where an option may be repeated, commas separate the values\n");
    help.push_str("in the variable. Exit code: 0 after a clean end, 1 after a failure, 2 after a wrong option.");
    help
}

const HELP: &str = "\
monoloop: an HTTP/1.1 server, one loop on one thread

Usage: monoloop <COMMAND> [OPTIONS]

Commands:
  demo                        Run the example API, which keeps its users in memory

Options:
  -h, --help                  Print this help
  -V, --version               Print the version
";

fn options() -> impl Iterator<Item = &'static Opt> {
    GROUPS.iter().flat_map(|(_, options)| *options)
}

/// Sets each option from the command line, else from the environment, else to its default.
fn settle(given: &[(&Opt, String)], env: impl Fn(&str) -> Option<OsString>) -> Result<Settings, String> {
    let mut settings = Settings::default();
    for opt in options() {
        let mut given = given.iter().filter(|(other, _)| other.name == opt.name).peekable();
        if given.peek().is_some() {
            for (_, value) in given {
                set(&mut settings, opt, &format!("--{}", opt.name), value)?;
            }
        } else if let Some(value) = env(opt.env).filter(|value| opt.kind == OneOrEmpty || !value.is_empty()) {
            let value = value.into_string().map_err(|_| format!("the value of {} is not valid UTF-8", opt.env))?;
            let values = if opt.kind == Many { value.split(',').collect() } else { vec![value.as_str()] };
            for value in values {
                set(&mut settings, opt, opt.env, value)?;
            }
        } else if !opt.default.starts_with('(') {
            set(&mut settings, opt, opt.name, opt.default)?;
        }
    }
    Ok(settings)
}

fn set(settings: &mut Settings, opt: &Opt, source: &str, value: &str) -> Result<(), String> {
    (opt.set)(settings, value).map_err(|problem| format!("invalid value {value:?} for {source}: {problem}"))
}

fn text(value: Result<OsString, lexopt::Error>, opt: &Opt) -> Result<String, String> {
    let value = value.map_err(|_| format!("option --{} needs a value", opt.name))?;
    value.into_string().map_err(|_| format!("the value of --{} is not valid UTF-8", opt.name))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use super::*;

    fn run(args: &[&str], env: &[(&str, &str)]) -> Result<Command, String> {
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        let env: Vec<(String, String)> = env.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        parse(args, move |name| env.iter().find(|(known, _)| known == name).map(|(_, value)| value.into()))
    }

    #[track_caller]
    fn settings(args: &[&str], env: &[(&str, &str)]) -> Settings {
        match run(&[&["demo"], args].concat(), env) {
            Ok(Command::Demo(settings)) => *settings,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_defaults_of_the_help_are_those_of_the_library() {
        let settings = settings(&[], &[]);
        assert_eq!(format!("{:?}", settings.config), format!("{:?}", Config::default()));
        assert_eq!(
            (settings.hosts, settings.port, settings.log),
            (vec!["127.0.0.1".to_owned()], 3000, "warn".to_owned())
        );
        assert!(settings.unix.is_empty());
        assert_eq!(settings.workers, Some(1));
    }

    #[test]
    fn an_option_wins_over_the_environment_and_that_over_the_default() {
        let env = [("PORT", "1"), ("MONOLOOP_HOST", "::1,[::2]"), ("MONOLOOP_MAX_HEAD", "1k"), ("RUST_LOG", "info")];
        let from_env = settings(&[], &env);
        assert_eq!((from_env.port, from_env.config.max_head, from_env.log.as_str()), (1, 1024, "info"));
        assert_eq!(from_env.hosts, ["::1", "::2"]);

        let args = ["--port", "2", "--host=a", "--host", "b", "--max-head=2k", "--log=off", "--port=3"];
        let from_args = settings(&args, &env);
        assert_eq!((from_args.port, from_args.config.max_head, from_args.log.as_str()), (3, 2048, "off"));
        assert_eq!(from_args.hosts, ["a", "b"]);
    }

    #[test]
    fn every_option_sets_what_it_names() {
        let args = "--unix=/a --unix=/b --backlog=1 --workers=4 --idle-timeout=2 --keep-alive-timeout=3s --head-timeout=4s \
            --linger-timeout=0 --reply-timeout=9s --drain-timeout=200ms --drain-delay=5m --max-head=1k --max-target=2k --max-content=0 \
            --content-timeout=7s --send-timeout=8s --min-content-rate=1k --min-send-rate=0 --max-response-buffer=3k --max-connections=6 --server-name=";
        let Settings { unix, workers, config, .. } = settings(&args.split_whitespace().collect::<Vec<_>>(), &[]);
        let seconds = Duration::from_secs;
        assert_eq!((unix, workers), (vec!["/a".to_owned(), "/b".to_owned()], Some(4)));
        assert_eq!((config.backlog, config.max_connections, config.server_name), (1, Some(6), None));
        assert_eq!((config.idle_timeout, config.keep_alive_timeout), (seconds(2), Some(seconds(3))));
        assert_eq!((config.head_timeout, config.linger_timeout), (seconds(4), Duration::ZERO));
        assert_eq!((config.drain_timeout, config.drain_delay), (Duration::from_millis(200), seconds(300)));
        assert_eq!((config.max_head, config.max_target, config.max_content), (1024, 2048, 0));
        assert_eq!(config.max_response_buffer, 3072);
        assert_eq!((config.content_timeout, config.send_timeout), (seconds(7), seconds(8)));
        assert_eq!(config.reply_timeout, seconds(9));
        assert_eq!((config.min_content_rate, config.min_send_rate), (1024, 0));
    }

    #[test]
    fn the_workers_may_be_left_to_the_machine() {
        assert_eq!(settings(&["--workers", "auto"], &[]).workers, None);
        assert_eq!(settings(&[], &[("MONOLOOP_WORKERS", "auto")]).workers, None);
        assert_eq!(settings(&["--workers=2"], &[("MONOLOOP_WORKERS", "auto")]).workers, Some(2));
        assert_eq!(settings(&[], &[("MONOLOOP_WORKERS", "")]).workers, Some(1));
    }

    #[test]
    fn an_empty_variable_is_not_set_but_for_the_server_name() {
        let settings = settings(&[], &[("PORT", ""), ("MONOLOOP_UNIX", ""), ("MONOLOOP_SERVER_NAME", "")]);
        assert_eq!((settings.port, settings.unix.len(), settings.config.server_name), (3000, 0, None));
    }

    #[test]
    fn mistakes_are_explained() {
        let table = [
            ("", "no command was given"),
            ("--port 1", "no command was given"),
            ("dance", "unknown command \"dance\""),
            ("demo now", "unexpected argument \"now\""),
            ("demo --prot=1", "unknown option --prot"),
            ("demo -p 1", "unknown option -p"),
            ("demo --port", "option --port needs a value"),
            ("demo --port=", "invalid value \"\" for --port: expected a port number from 0 to 65535"),
            ("demo --port -1", "invalid value \"-1\" for --port: expected a port number from 0 to 65535"),
            ("demo --max-head=0", "invalid value \"0\" for --max-head: it must be more than zero"),
        ];
        for (args, expected) in table {
            let args: Vec<_> = args.split_whitespace().collect();
            assert_eq!(run(&args, &[]).unwrap_err(), expected, "of {args:?}");
        }
        let table = [
            ("PORT", "http", "expected a port number from 0 to 65535"),
            ("MONOLOOP_WORKERS", "0", "expected auto or a whole number from 1 to 1024"),
            ("MONOLOOP_IDLE_TIMEOUT", "0", "it must be longer than zero"),
            ("MONOLOOP_MAX_CONTENT", "99999999999g", "it is too large"),
        ];
        for (name, value, expected) in table {
            let expected = format!("invalid value \"{value}\" for {name}: {expected}");
            assert_eq!(run(&["demo"], &[(name, value)]).unwrap_err(), expected);
        }
        let expected = "invalid value \"\" for MONOLOOP_HOST: expected a host name or an IP address";
        assert_eq!(run(&["demo"], &[("MONOLOOP_HOST", "a,,b")]).unwrap_err(), expected);
    }

    #[test]
    fn help_and_version_win() {
        for args in [&["--help"][..], &["-h"], &["demo", "--help"], &["demo", "--port", "1", "-h"], &["dance", "-h"]] {
            assert!(matches!(run(args, &[("PORT", "bad")]), Ok(Command::Help)), "{args:?}");
        }
        for args in [&["--version"][..], &["-V"], &["demo", "-V"]] {
            assert!(matches!(run(args, &[]), Ok(Command::Version)), "{args:?}");
        }
    }

    #[test]
    fn the_help_names_every_option_once_and_fits_a_terminal() {
        let help = help();
        for opt in options() {
            assert_eq!(help.matches(&format!("--{} {}", opt.name, opt.value)).count(), 1, "{}", opt.name);
            assert_eq!(help.matches(&format!("[env: {}]", opt.env)).count(), 1, "{}", opt.env);
        }
        assert!(help.lines().all(|line| line.len() <= 112), "{help}");
        let mut seen = HashSet::new();
        assert!(options().all(|opt| seen.insert(opt.name) && seen.insert(opt.env)));
    }
}
