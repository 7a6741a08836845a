//! Reads the command line and the environment into [`Settings`].

use std::ffi::OsString;
use std::fmt::Write;

use lexopt::Arg;

use crate::options::{self, GROUPS, Group, Kind, Opt, Settings};

/// The command that the user has given.
#[derive(Debug)]
pub(crate) enum Command {
    Demo(Box<Settings>),
    /// The files of a directory.
    Serve(OsString, Box<Settings>),
    /// What was recorded in a file.
    #[cfg(feature = "live")]
    Replay(OsString, Box<Settings>),
    Help,
    Version,
}

/// Reads the arguments (without the name of the program) and the environment. An error is one sentence.
pub(crate) fn parse(
    args: impl IntoIterator<Item = OsString, IntoIter: 'static>,
    env: impl Fn(&str) -> Option<OsString>,
) -> Result<Command, String> {
    let mut parser = lexopt::Parser::from_args(args);
    let mut words = Vec::new();
    let mut given: Vec<(&Opt, String)> = Vec::new();
    while let Some(arg) = parser.next().map_err(|error| error.to_string())? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            Arg::Short('V') | Arg::Long("version") => return Ok(Command::Version),
            Arg::Long(name) => {
                let Some(opt) = options::all().find(|opt| opt.name == name) else {
                    return Err(format!("unknown option --{name}"));
                };
                let value = match opt.kind {
                    Kind::Switch => Ok(parser.optional_value().unwrap_or_else(|| "on".into())),
                    _ => parser.value(),
                };
                given.push((opt, text(value, opt)?));
            }
            Arg::Short(letter) => return Err(format!("unknown option -{letter}")),
            Arg::Value(word) => words.push(word),
        }
    }
    let mut words = words.into_iter();
    let Some(command) = words.next() else { return Err("no command was given".to_owned()) };
    let parsed = match command.to_str() {
        Some(name @ "demo") => Command::Demo(Box::new(settle(name, &given, env)?)),
        Some(name @ "serve") => {
            let directory = words.next().unwrap_or_else(|| ".".into());
            Command::Serve(directory, Box::new(settle(name, &given, env)?))
        }
        #[cfg(feature = "live")]
        Some(name @ "replay") => {
            let file = words.next().ok_or("replay needs a file")?;
            Command::Replay(file, Box::new(settle(name, &given, env)?))
        }
        _ => return Err(format!("unknown command {command:?}")),
    };
    match words.next() {
        None => Ok(parsed),
        Some(word) => Err(format!("unexpected argument {word:?}")),
    }
}

/// The help. It has every option, because it is made from the table.
pub(crate) fn help() -> String {
    let mut help = String::from(HELP);
    #[cfg(feature = "live")]
    for (after, line) in REPLAY {
        help = help.replace(after, &format!("{after}{line}"));
    }
    for Group { title, only, options } in GROUPS {
        let only = only.map_or(String::new(), |command| format!(" (only {command})"));
        let _ = write!(help, "\n{title}{only}:\n");
        for opt in *options {
            let Opt { env, default, help: about, .. } = opt;
            let default = default.trim_matches(['(', ')']);
            let _ = writeln!(help, "  {:<27} {about}\n{:29} [default: {default}] [env: {env}]", opt.usage(), "");
        }
    }
    help.push_str("\nAn option overrides its environment variable. If an option may be repeated, commas separate\n");
    help.push_str("the values in the variable; for --cache-control and --header, line breaks separate them.\n");
    help.push_str("The exit code is 0 after a clean end, 1 after a failure, and 2 after a usage error.");
    help
}

const HELP: &str = "\
monoloop: an HTTP/1.1 server with one event loop on one thread

Usage: monoloop serve [DIR] [OPTIONS]
       monoloop demo [OPTIONS]

Commands:
  serve [DIR]                 Serve the files of a directory, by default the current one
  demo                        Run the example API, which keeps its users in memory

Options:
  -h, --help                  Print this help
  -V, --version               Print the version
";

/// Lines of the help, each with the line that it follows.
#[cfg(feature = "live")]
const REPLAY: [(&str, &str); 2] = [
    ("       monoloop demo [OPTIONS]\n", "       monoloop replay FILE [OPTIONS]\n"),
    (
        "  demo                        Run the example API, which keeps its users in memory\n",
        "  replay FILE                 Do once more what --record has written, step by step\n",
    ),
];

/// Whether a command has an option. A replay has the log beside its own: its settings are those of the recording.
fn applies(command: &str, group: &Group, opt: &Opt) -> bool {
    match group.only {
        Some(only) => only == command,
        None => command != "replay" || opt.name == "log",
    }
}

/// Sets each option of a command from the command line, else from the environment, else to its default.
fn settle(command: &str, given: &[(&Opt, String)], env: impl Fn(&str) -> Option<OsString>) -> Result<Settings, String> {
    let mut settings = Settings::default();
    for group in GROUPS {
        for opt in group.options {
            let applies = applies(command, group, opt);
            let mut given = given.iter().filter(|(other, _)| other.name == opt.name).peekable();
            if !applies {
                match given.peek() {
                    Some(_) => return Err(format!("{command} has no option --{}", opt.name)),
                    None => continue,
                }
            }
            if given.peek().is_some() {
                for (_, value) in given {
                    set(&mut settings, opt, &format!("--{}", opt.name), value)?;
                    settings.note_for_application(group, opt, value);
                }
            } else if !set_from_env(&mut settings, group, opt, &env)? && !opt.default.starts_with('(') {
                set(&mut settings, opt, opt.name, opt.default)?;
            }
        }
    }
    #[cfg(feature = "live")]
    check_for_one_loop(&settings)?;
    Ok(settings)
}

/// Checks the options that are about a single event loop.
#[cfg(feature = "live")]
fn check_for_one_loop(settings: &Settings) -> Result<(), String> {
    let (live, record) = (settings.live.is_some(), settings.record.file.is_some());
    let problem = match settings.workers {
        // A replay runs the demo as it is without the page.
        _ if live && record => "--live and --record cannot be used together",
        Some(1) => return Ok(()),
        _ if live => "--live shows one event loop: use it with --workers 1",
        _ if record => "--record records one event loop: use it with --workers 1",
        _ => return Ok(()),
    };
    Err(problem.to_owned())
}

/// Sets an option from its variable. Returns whether the variable is set.
fn set_from_env(
    settings: &mut Settings,
    group: &Group,
    opt: &Opt,
    env: impl Fn(&str) -> Option<OsString>,
) -> Result<bool, String> {
    let value = env(opt.env).filter(|value| opt.kind == Kind::OneOrEmpty || !value.is_empty());
    let Some(value) = value else { return Ok(false) };
    let value = value.into_string().map_err(|_| format!("the value of {} is not valid UTF-8", opt.env))?;
    let values: Vec<&str> = match opt.kind {
        Kind::Many => value.split(',').collect(),
        Kind::Lines => value.lines().filter(|line| !line.trim().is_empty()).collect(),
        Kind::One | Kind::OneOrEmpty | Kind::Switch => vec![&value],
    };
    for value in values {
        set(settings, opt, opt.env, value)?;
        settings.note_for_application(group, opt, value);
    }
    Ok(true)
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

    use monoloop::Config;
    use monoloop::files::Symlinks;
    use monoloop::server::LogFormat;

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
    fn an_option_overrides_the_environment_and_the_environment_the_default() {
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
        let args = "--unix=/a --unix=/b --backlog=1 --workers=4 --idle-timeout=2 --keep-alive-timeout=3s \
            --head-timeout=4s --linger-timeout=0 --reply-timeout=9s --drain-timeout=200ms --drain-grace=3ms \
            --drain-delay=5m --health=/up --max-head=1k --max-target=2k --max-content=0 --content-timeout=7s \
            --send-timeout=8s --min-content-rate=1k --min-send-rate=0 --max-response-buffer=3k --max-connections=6 \
            --max-memory=64m \
            --server-name=";
        let Settings { unix, workers, config, health, .. } =
            settings(&args.split_whitespace().collect::<Vec<_>>(), &[]);
        let seconds = Duration::from_secs;
        assert_eq!((unix, workers), (vec!["/a".to_owned(), "/b".to_owned()], Some(4)));
        assert_eq!((config.backlog, config.max_connections, config.server_name), (1, Some(6), None));
        assert_eq!((config.idle_timeout, config.keep_alive_timeout), (seconds(2), Some(seconds(3))));
        assert_eq!((config.head_timeout, config.linger_timeout), (seconds(4), Duration::ZERO));
        assert_eq!((config.drain_timeout, config.drain_delay), (Duration::from_millis(200), seconds(300)));
        assert_eq!((config.drain_grace, health.as_deref()), (Duration::from_millis(3), Some("/up")));
        assert_eq!((config.max_head, config.max_target, config.max_content), (1024, 2048, 0));
        assert_eq!((config.max_response_buffer, config.max_memory), (3072, Some(64 << 20)));
        assert_eq!((config.content_timeout, config.send_timeout), (seconds(7), seconds(8)));
        assert_eq!(config.reply_timeout, seconds(9));
        assert_eq!((config.min_content_rate, config.min_send_rate), (1024, 0));
    }

    #[track_caller]
    fn serve(args: &[&str], env: &[(&str, &str)]) -> (OsString, Settings) {
        match run(&[&["serve"], args].concat(), env) {
            Ok(Command::Serve(directory, settings)) => (directory, *settings),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_option_of_serve_sets_what_it_names() {
        let (directory, settings) = serve(&[], &[]);
        assert_eq!(directory, ".");
        let files = settings.files;
        assert_eq!((files.index, files.symlinks, files.cached), (vec!["index.html".to_owned()], Symlinks::Inside, 512));
        assert_eq!((files.listing, files.single_page, files.hidden, files.precompressed), (false, false, false, true));
        assert!(files.cors.is_none() && files.headers.is_empty() && settings.access_log.is_none());

        let args = "/srv --index=a.html --index b.html --listing --spa=on --hidden --symlinks never \
            --precompressed=off --cache-control=*.css=max-age=60,public --cache-control no-cache --header X-A:b \
            --mime md=text/plain --cors=https://a.example,https://b.example --cached-files 0 --access-log json";
        let (directory, settings) = serve(&args.split_whitespace().collect::<Vec<_>>(), &[]);
        assert_eq!((directory, settings.access_log), ("/srv".into(), Some(LogFormat::Json)));
        let files = settings.files;
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(
            (files.index, files.symlinks, files.cached),
            (vec!["a.html".into(), "b.html".into()], Symlinks::Never, 0)
        );
        assert_eq!((files.listing, files.single_page, files.hidden, files.precompressed), (true, true, true, false));
        assert_eq!(files.cache_control, [pair("*.css", "max-age=60,public"), pair("*", "no-cache")]);
        assert_eq!((files.headers, files.media_types), (vec![pair("X-A", "b")], vec![pair("md", "text/plain")]));
        assert_eq!(files.cors.unwrap(), ["https://a.example", "https://b.example"]);
    }

    #[test]
    fn variables_set_the_options_of_serve_too() {
        let env = [
            ("MONOLOOP_LISTING", "yes"),
            ("MONOLOOP_SPA", "0"),
            ("MONOLOOP_CORS", "on"),
            ("MONOLOOP_INDEX", "a,b"),
            ("MONOLOOP_HEADER", "X-A: 1, 2\nX-B: c\n"),
            ("MONOLOOP_CACHE_CONTROL", "*.js=no-store\nmax-age=1, public"),
            ("MONOLOOP_MIME", "a=b/c,d=e/f"),
            ("MONOLOOP_SYMLINKS", "follow"),
            ("MONOLOOP_ACCESS_LOG", "common"),
        ];
        let (_, Settings { files, access_log, .. }) = serve(&["--spa"], &env);
        assert_eq!((files.listing, files.single_page, files.symlinks), (true, true, Symlinks::Follow));
        assert_eq!((files.cors, access_log, files.index.len()), (Some(vec![]), Some(LogFormat::Common), 2));
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(files.headers, [pair("X-A", "1, 2"), pair("X-B", "c")]);
        assert_eq!(files.cache_control, [pair("*.js", "no-store"), pair("*", "max-age=1, public")]);
        assert_eq!(files.media_types, [pair("a", "b/c"), pair("d", "e/f")]);
    }

    #[test]
    fn auto_leaves_the_number_of_workers_to_the_machine() {
        assert_eq!(settings(&["--workers", "auto"], &[]).workers, None);
        assert_eq!(settings(&[], &[("MONOLOOP_WORKERS", "auto")]).workers, None);
        assert_eq!(settings(&["--workers=2"], &[("MONOLOOP_WORKERS", "auto")]).workers, Some(2));
        assert_eq!(settings(&[], &[("MONOLOOP_WORKERS", "")]).workers, Some(1));
    }

    #[test]
    #[cfg(feature = "live")]
    fn the_live_page_has_an_address() {
        let address = |args: &[&str], env| settings(args, env).live.map(|address| address.to_string());
        assert_eq!(address(&[], &[]), None);
        for (value, expected) in [
            ("--live", Some("127.0.0.1:3001")),
            ("--live=on", Some("127.0.0.1:3001")),
            ("--live=off", None),
            ("--live=0", Some("127.0.0.1:0")),
            ("--live=1", Some("127.0.0.1:1")),
            ("--live=0.0.0.0:81", Some("0.0.0.0:81")),
            ("--live=[::1]:81", Some("[::1]:81")),
        ] {
            assert_eq!(address(&[value], &[]).as_deref(), expected, "{value}");
        }
        assert_eq!(address(&[], &[("MONOLOOP_LIVE", "4000")]).as_deref(), Some("127.0.0.1:4000"));
        for value in ["localhost", "1.2.3.4", "65536", "localhost:80"] {
            let expected = "expected on, off, a port, or an address such as 127.0.0.1:3001";
            let expected = format!("invalid value \"{value}\" for --live: {expected}");
            assert_eq!(run(&["demo", &format!("--live={value}")], &[]).unwrap_err(), expected);
        }
        let alone = "--live shows one event loop: use it with --workers 1";
        assert_eq!(run(&["demo", "--live", "--workers=2"], &[]).unwrap_err(), alone);
        assert_eq!(run(&["demo", "--live"], &[("MONOLOOP_WORKERS", "auto")]).unwrap_err(), alone);
    }

    #[test]
    fn an_empty_variable_counts_as_not_set_except_for_the_server_name() {
        let settings = settings(&[], &[("PORT", ""), ("MONOLOOP_UNIX", ""), ("MONOLOOP_SERVER_NAME", "")]);
        assert_eq!((settings.port, settings.unix.len(), settings.config.server_name), (3000, 0, None));
    }

    #[test]
    fn usage_errors_are_explained() {
        let table = [
            ("", "no command was given"),
            ("--port 1", "no command was given"),
            ("dance", "unknown command \"dance\""),
            ("demo --spa", "demo has no option --spa"),
            ("serve a b", "unexpected argument \"b\""),
            ("serve --listing=perhaps", "invalid value \"perhaps\" for --listing: expected on or off"),
            (
                "serve --header=X",
                "invalid value \"X\" for --header: expected a field line such as X-Frame-Options: DENY",
            ),
            (
                "serve --header=Connection:x",
                "invalid value \"Connection:x\" for --header: only the server may set this field",
            ),
            ("serve --mime=md", "invalid value \"md\" for --mime: expected EXTENSION=TYPE such as md=text/plain"),
            ("serve --symlinks=some", "invalid value \"some\" for --symlinks: expected never, inside or follow"),
            ("serve --index=a/b", "invalid value \"a/b\" for --index: expected the name of a file"),
            ("serve --access-log=x", "invalid value \"x\" for --access-log: expected common, combined or json"),
            (
                "serve --cors=example",
                "invalid value \"example\" for --cors: expected on, off, or origins such as https://a.example",
            ),
            ("demo --health=up", "invalid value \"up\" for --health: expected a path such as /healthz"),
            ("serve --health=/:up", "invalid value \"/:up\" for --health: expected a path such as /healthz"),
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
    fn help_and_version_override_everything_else() {
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
        for opt in options::all() {
            assert_eq!(help.matches(&format!("  {} ", opt.usage())).count(), 1, "{}", opt.name);
            assert_eq!(help.matches(&format!("[env: {}]", opt.env)).count(), 1, "{}", opt.env);
        }
        assert!(help.lines().all(|line| line.len() <= 112), "{help}");
        let mut seen = HashSet::new();
        assert!(options::all().all(|opt| seen.insert(opt.name) && seen.insert(opt.env)));
    }
}
