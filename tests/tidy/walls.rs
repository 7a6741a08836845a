//! These rules say which part of the code may know which.

use std::collections::BTreeSet;

use crate::modules::Modules;
use crate::report;
use crate::sources::{Source, crate_paths, document, has_word, library, reexports, sources, without_comments};

/// These are the folders and files of `src/`, from the bottom to the top. A module may name itself, and those before it
/// in this list. The command is a crate of its own, so it can name only what is public.
pub(crate) const LAYERS: [&str; 19] = [
    "limits",
    "fault",
    "config",
    "http",
    "buffer",
    "wire",
    "exchange",
    "sse",
    "h1",
    "sessions",
    // It takes the places of the loop and the socket, and the server lets it write down what both do.
    "recording",
    "router",
    "websocket",
    "multipart",
    "testing",
    "middleware",
    "files",
    "server",
    "guide",
];

/// These files may name a module above them: `(file, module that it names, reason)`.
const LOOKING_UP: [(&str, &str, &str); 0] = [];

#[test]
fn a_module_knows_only_those_below_it() {
    let reexports = reexports();
    let mut problems = Vec::new();
    for file in library() {
        let module = file.module();
        let level =
            level(module).unwrap_or_else(|| panic!("{}: put `{module}` into LAYERS in tests/tidy/walls.rs", file.name));
        for (line, text) in file.code() {
            for named in crate_paths(text) {
                let home = reexports.iter().find(|(name, _)| *name == named).map_or(named, |(_, home)| home.as_str());
                let Some(below) = self::level(home) else {
                    problems
                        .push(format!("{}:{line}: LAYERS has no place for `crate::{named}`: put it there", file.name));
                    continue;
                };
                let allowed = LOOKING_UP.iter().any(|(name, up, _)| *name == file.name && *up == home);
                if below > level && !allowed {
                    problems.push(format!(
                        "{}:{line}: `{module}` names `{home}`, which is above it: move what both need down, or let the \
                         upper one call the lower one through a trait",
                        file.name
                    ));
                }
            }
            if text.contains("super::super::") || (file.is_root_of_module() && has_word(text, "super::")) {
                problems.push(format!("{}:{line}: write `crate::`, so that a reader sees the wall", file.name));
            }
        }
    }
    report(problems);
}

/// These files of one folder may know each other in a circle, each time for a reason. A failure lists the files in the
/// form that belongs here.
const CIRCLES: [(&[&str], &str); 3] = [
    (
        &[
            "exchange/body_writer.rs",
            "exchange/flow/channel.rs",
            "exchange/flow/mailbox.rs",
            "exchange/flow/responder.rs",
            "exchange/flow/stream.rs",
            "exchange/reply.rs",
            "exchange/response.rs",
        ],
        "a reply holds the mailbox, its letters are functions of a response, and the response borrows the reply",
    ),
    (&["testing/mod.rs", "testing/request.rs"], "the client makes a request, and the request has that client send it"),
    (
        &["demo/mod.rs", "demo/sockets.rs", "demo/streams.rs"],
        "the handlers of the example take its state, as those of a user would",
    ),
];

#[test]
fn the_files_of_a_folder_know_each_other_in_one_direction() {
    let is_command = |file: &Source| file.name.starts_with("src/bin/");
    let is_test = |file: &Source| file.name.contains("/simulation/");
    let (command, library): (Vec<_>, Vec<_>) = sources().into_iter().partition(is_command);
    let mut circles = Vec::new();
    for (folder, files) in [("src/", library), ("src/bin/monoloop/", command)] {
        let files = files.iter().filter(|file| !is_test(file));
        let files = files.map(|file| (file.name.strip_prefix(folder).unwrap_or(&file.name), without_comments(file)));
        circles.extend(Modules::read(files).circles());
    }
    let is_allowed = |files: &BTreeSet<String>| CIRCLES.iter().any(|(known, _)| files.iter().eq(known.iter()));
    let mut problems = Vec::new();
    for circle in circles.iter().filter(|circle| !is_allowed(&circle.files)) {
        let links: String = circle.links.iter().map(|(from, to)| format!("\n    {from} names {to}")).collect();
        problems.push(format!(
            "{:?} know each other in a circle: move what they share down, or add this list to CIRCLES with a \
             reason:{links}",
            circle.files.iter().collect::<Vec<_>>()
        ));
    }
    let is_circle = |known: &[&str]| circles.iter().any(|circle| circle.files.iter().eq(known.iter()));
    for (known, _) in CIRCLES.iter().filter(|(known, _)| !is_circle(known)) {
        problems.push(format!("{known:?} form no circle any more: take them out of CIRCLES"));
    }
    report(problems);
}

/// The crate's root may repeat what users need most.
#[test]
fn a_public_name_has_one_home() {
    let files = library().into_iter().chain([document("src/lib.rs")]);
    let files: Vec<_> = files.map(|file| (file.name.replacen("src/", "", 1), without_comments(&file))).collect();
    let modules = Modules::read(files.iter().map(|(name, code)| (&name[..], code.clone())));
    let problem = |(name, homes)| format!("`{name}` is public in {homes:?}: keep it only where a user looks for it");
    report(modules.public_twice().into_iter().map(problem).collect());
}

#[test]
fn only_the_server_knows_sockets_and_mio() {
    let words = ["mio", "TcpStream", "TcpListener", "UdpSocket", "UnixStream", "UnixListener", "UnixDatagram"];
    // The clients that the live page starts are threads with blocking sockets: they are what comes from outside.
    let homes = ["src/server/", "src/bin/monoloop/live/clients.rs"];
    only_in(&words, &homes, "pass bytes, or an `Endpoint`, through src/server/ instead");
}

/// The command decides for its whole process which signals it ignores. A library must not.
#[test]
fn only_the_server_and_the_command_know_signals() {
    only_in(&["signal_hook"], &["src/server/", "src/bin/monoloop/main.rs"], "let the server tell of the drain instead");
}

#[test]
fn only_the_server_and_the_files_ask_the_kernel() {
    // open(2) of a named pipe needs a flag that the standard library does not have.
    let homes = ["src/server/", "src/files/", "src/recording/place.rs"];
    only_in(&["rustix"], &homes, "let these ask, because no other part needs to");
}

#[test]
fn only_the_clock_reads_the_time() {
    let words = ["Instant::now", "SystemTime::now", ".elapsed(", "clock_gettime"];
    let homes = ["src/exchange/clock.rs", "src/server/clock.rs"];
    only_in(&words, &homes, "take a `Moment` as an argument, or read the `Clock`, instead");
}

#[test]
fn only_the_head_parser_knows_httparse() {
    const HOME: &str = "src/wire/request/head.rs";
    only_in(&["httparse"], &[HOME], "let this file parse, and check there what httparse lets through");
}

#[test]
fn httparse_stays_as_strict_as_it_is() {
    // Each flag of its configuration makes httparse more lenient. It also reads chunk sizes leniently, so
    // src/wire/body/decoder.rs reads them itself.
    let words = ["ParserConfig", "parse_chunk_size"];
    let mut problems = Vec::new();
    for file in sources() {
        for (line, text) in file.code() {
            for word in words.iter().filter(|word| has_word(text, word)) {
                problems.push(format!("{}:{line}: `{word}` is lenient: leave httparse at its defaults", file.name));
            }
        }
    }
    report(problems);
}

#[track_caller]
fn only_in(words: &[&str], homes: &[&str], advice: &str) {
    let mut problems = Vec::new();
    for file in sources().iter().filter(|file| !homes.iter().any(|home| file.name.starts_with(home))) {
        for (line, text) in file.code() {
            for word in words.iter().filter(|word| has_word(text, word)) {
                problems.push(format!("{}:{line}: `{word}` belongs only in {}: {advice}", file.name, homes.join(", ")));
            }
        }
    }
    report(problems);
    // A rule about what no longer exists holds for ever and means nothing.
    for home in homes {
        let lives = |file: &Source| file.name.starts_with(home) && words.iter().any(|word| file.text.contains(word));
        assert!(sources().iter().any(lives), "nothing in {home} uses {words:?} any more: change this rule");
    }
}

fn level(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| *layer == module)
}
