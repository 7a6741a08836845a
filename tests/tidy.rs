//! Checks the walls of the code, that is, which part may know which, and what the documents promise. Each failure says
//! what to do.
//!
//! It reads the sources as text, so it is quick and sometimes naive. If it is in the way of something good, change the
//! rule here, with a reason, in the same commit.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

#[path = "support/modules.rs"]
mod modules;

use modules::Modules;

// ---- walls ------------------------------------------------------------------------------------------------------

/// Folders and files of `src/`, from the bottom to the top. A module may name those before it in this list, and itself.
/// (The command is a crate of its own: it can name only what is public.)
const LAYERS: [&str; 15] = [
    "limits",
    "config",
    "http",
    "buffer",
    "wire",
    "exchange",
    "sse",
    "h1",
    "sessions",
    "testing",
    "router",
    "middleware",
    "files",
    "server",
    "guide",
];

/// What may look up, and why: `(file, module that it names, reason)`.
const LOOKING_UP: [(&str, &str, &str); 0] = [];

#[test]
fn a_module_knows_only_those_below_it() {
    let reexports = reexports();
    let mut problems = Vec::new();
    for file in library() {
        let module = file.module();
        let level =
            level(module).unwrap_or_else(|| panic!("{}: put `{module}` into LAYERS in tests/tidy.rs", file.name));
        for (line, text) in file.code() {
            for named in crate_paths(text) {
                let home = reexports.iter().find(|(name, _)| *name == named).map_or(named, |(_, home)| home.as_str());
                let Some(below) = self::level(home) else {
                    problems.push(format!("{}:{line}: `crate::{named}` has no place in LAYERS", file.name));
                    continue;
                };
                let allowed = LOOKING_UP.iter().any(|(name, up, _)| *name == file.name && *up == home);
                if below > level && !allowed {
                    problems.push(format!(
                        "{}:{line}: `{module}` names `{home}`, which stands above it: move what both need down, or let \
                         the upper one call the lower one through a trait",
                        file.name
                    ));
                }
            }
            if text.contains("super::super::") || (file.is_root_of_module() && has_word(text, "super::")) {
                problems.push(format!("{}:{line}: write `crate::` so that the wall is seen", file.name));
            }
        }
    }
    report(problems);
}

/// The circles between files of one folder that are allowed, and why: the files as a failure lists them.
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
        "a circle of types: a reply holds the mailbox, whose letters are functions of a response, which borrows the reply",
    ),
    (&["testing/mod.rs", "testing/request.rs"], "the client makes a request, and the request is sent by that client"),
    (&["demo/mod.rs", "demo/streams.rs"], "the handlers of the example take its state, as those of a user would"),
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
            "{:?} are a circle: move what both need down, or add this list to CIRCLES with a reason:{links}",
            circle.files.iter().collect::<Vec<_>>()
        ));
    }
    let is_circle = |known: &[&str]| circles.iter().any(|circle| circle.files.iter().eq(known.iter()));
    for (known, _) in CIRCLES.iter().filter(|(known, _)| !is_circle(known)) {
        problems.push(format!("{known:?} are no circle any more: take them out of CIRCLES"));
    }
    report(problems);
}

/// The crate's root may repeat what users need most.
#[test]
fn a_public_name_has_one_home() {
    let files = library().into_iter().chain([document("src/lib.rs")]);
    let files: Vec<_> = files.map(|file| (file.name.replacen("src/", "", 1), without_comments(&file))).collect();
    let modules = Modules::read(files.iter().map(|(name, code)| (&name[..], code.clone())));
    let problem = |(name, homes)| format!("`{name}` is public in {homes:?}: keep it where a user would look");
    report(modules.public_twice().into_iter().map(problem).collect());
}

#[test]
fn only_the_server_knows_sockets_signals_and_mio() {
    let words =
        ["mio", "signal_hook", "TcpStream", "TcpListener", "UdpSocket", "UnixStream", "UnixListener", "UnixDatagram"];
    only_in(&words, &["src/server/"], "pass bytes, or an `Endpoint`, through src/server/ instead");
}

#[test]
fn only_the_server_and_the_files_ask_the_kernel() {
    only_in(&["rustix"], &["src/server/", "src/files/"], "there is nothing of it that others need");
}

#[test]
fn only_one_file_reads_the_clock() {
    let words = ["Instant::now", "SystemTime::now", ".elapsed(", "clock_gettime"];
    only_in(&words, &["src/server/clock.rs"], "take a `Moment` as an argument instead");
}

#[test]
fn only_the_head_parser_knows_httparse() {
    const HOME: &str = "src/wire/request/head.rs";
    only_in(&["httparse"], &[HOME], "let this file parse, and check there what httparse lets through");
}

#[test]
fn httparse_stays_as_strict_as_it_is() {
    // Every flag of its configuration only loosens, and its chunk sizes are lenient: ours stand in src/wire/body/decoder.rs.
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
    // A rule about something that no longer exists would hold for ever and mean nothing.
    for home in homes {
        let lives = |file: &Source| file.name.starts_with(home) && words.iter().any(|word| file.text.contains(word));
        assert!(sources().iter().any(lives), "nothing in {home} uses {words:?} any more: change this rule");
    }
}

// ---- files ------------------------------------------------------------------------------------------------------

/// A longer file cannot be read in one sitting. Its tests count, too.
const MAX_LINES: usize = 500;

/// What may be longer, and why.
const LONGER: [(&str, &str); 1] = [("tests/tidy.rs", "it is a list of rules, and each of them is read by itself")];

#[test]
fn a_file_can_be_read_in_one_sitting() {
    let files: Vec<Source> = ["src", "tests", "benches"].iter().flat_map(|folder| read_all(folder, &["rs"])).collect();
    let length = |file: &Source| file.text.lines().count();
    let may_be_longer = |file: &&Source| LONGER.iter().any(|(name, _)| *name == file.name);
    let mut problems = Vec::new();
    for file in files.iter().filter(|file| length(file) > MAX_LINES && !may_be_longer(file)) {
        problems.push(format!("{}: {} lines, more than {MAX_LINES}: look for the seam", file.name, length(file)));
    }
    for (name, _) in LONGER {
        if !files.iter().any(|file| file.name == name && length(file) > MAX_LINES) {
            problems.push(format!("{name} is not longer than {MAX_LINES} lines any more: take it out of LONGER"));
        }
    }
    report(problems);
}

#[test]
fn unit_tests_stand_at_the_end_of_their_file() {
    let misplaced = |file: &Source| {
        let (_, tests) = file.text.split_once(TESTS)?;
        (tests.trim_end().lines().skip(1).position(|line| line == "}") != Some(tests.trim_end().lines().count() - 2))
            .then(|| {
                format!("{}: move `mod tests` to the end, since tests/tidy.rs skips the rest of the file", file.name)
            })
    };
    report(sources().iter().filter_map(misplaced).collect());
}

#[test]
fn the_top_of_the_repository_holds_what_belongs_there() {
    let allowed = [
        "Cargo.toml",
        "Cargo.lock",
        "src",
        "tests",
        "benches",
        "docs",
        "README.md",
        "CHANGELOG.md",
        "LICENSE-MIT",
        "LICENSE-APACHE",
        "rustfmt.toml",
        ".gitignore",
        ".ci",
    ];
    // Git's own folder, and what .gitignore names.
    let ignored = [".git", "target"];
    let mut problems = Vec::new();
    for entry in fs::read_dir(root()).expect("the repository can be read") {
        let name = entry.expect("the repository can be read").file_name().into_string().expect("names are UTF-8");
        if !allowed.contains(&name.as_str()) && !ignored.contains(&name.as_str()) {
            problems.push(format!("{name}: move it into a folder, or allow it in tests/tidy.rs with a reason"));
        }
    }
    report(problems);
}

#[test]
fn nothing_is_left_for_later() {
    // In pieces, so that this file does not find itself.
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("to", "do!"), concat!("unimpl", "emented!")];
    let mut problems = Vec::new();
    for folder in ["src", "tests", "benches", "docs"] {
        for file in read_all(folder, &["rs", "md", "py", "lua"]) {
            for (number, line) in file.text.lines().enumerate() {
                for mark in marks.iter().filter(|mark| has_word(line, mark)) {
                    problems.push(format!("{}:{}: {mark}: do it, or say what is missing", file.name, number + 1));
                }
            }
        }
    }
    report(problems);
}

#[test]
fn every_limit_says_why() {
    let limits = read("src/limits.rs");
    let mut problems = Vec::new();
    let mut before = "";
    let mut count = 0;
    for line in limits.lines() {
        if line.starts_with("pub const ") || line.starts_with("pub(crate) const ") {
            count += 1;
            if !before.starts_with("/// ") {
                problems.push(format!("src/limits.rs: {line}: say its unit, why, and what other servers use"));
            }
        }
        before = line;
    }
    report(problems);
    assert!(count > 0, "src/limits.rs has no constants any more: change this rule");
}

// ---- documents --------------------------------------------------------------------------------------------------

#[test]
fn the_way_of_the_bytes_names_what_exists() {
    let way = way_of_the_bytes("docs/ARCHITECTURE.md", &read("docs/ARCHITECTURE.md"));
    let code: String = sources().into_iter().map(|file| file.text).collect();
    let mut problems = Vec::new();
    let mut count = 0;
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    for path in way.split(|c| !is_path(c)).filter(|word| word.contains("::")) {
        let (module, item) = path.split_once("::").expect("it was just found");
        let exists = if module.starts_with(char::is_uppercase) {
            has_word(&code, &format!("fn {item}"))
        } else if item.starts_with(char::is_uppercase) {
            let code: String = read_all(&format!("src/{module}"), &["rs"]).into_iter().map(|file| file.text).collect();
            ["struct", "trait"].iter().any(|kind| has_word(&code, &format!("{kind} {item}")))
        } else {
            root().join(format!("src/{module}/{}.rs", item.replace("::", "/"))).exists()
        };
        count += 1;
        if !exists {
            problems.push(format!("`{path}` in the way of the bytes is not in the code: correct the picture"));
        }
    }
    report(problems);
    assert!(count > 0, "the picture names no module any more: change this rule");
}

#[test]
fn the_guide_has_every_option_of_the_command() {
    const GUIDE: &str = "docs/guide/command.md";
    let (table, guide) = (read("src/bin/monoloop/options.rs"), read(GUIDE));
    let mut problems = Vec::new();
    let mut count = 0;
    for option in table.split("Opt { name: \"").skip(1) {
        let name = option.split('"').next().unwrap_or_default();
        let value = |field: &str| {
            let (_, rest) = option.split_once(&format!("{field}: \"")).expect("each option has each field");
            rest.split('"').next().unwrap_or_default().to_owned()
        };
        let flag = match option.split("set:").next().unwrap_or_default().contains("kind: Switch") {
            true => format!("`--{name}[={}]`", value("value").replace('|', "\\|")),
            false => format!("`--{name} {}`", value("value")),
        };
        let env = format!("`{}`", value("env"));
        // A default in parentheses is a sentence; the guide may put it in its own words.
        let default = Some(value("default")).filter(|default| !default.starts_with('('));
        count += 1;
        let row = guide.lines().find(|line| line.contains(&flag));
        match row {
            None => problems.push(format!("add a row with {flag} to the table in {GUIDE}")),
            Some(row) if !row.contains(&env) => problems.push(format!("name {env} in the row of {flag} in {GUIDE}")),
            Some(row) if default.as_ref().is_some_and(|default| !row.contains(&format!("| {default} |"))) => {
                problems.push(format!("the default of {flag} is {}: correct {GUIDE}", default.unwrap_or_default()));
            }
            Some(_) => {}
        }
    }
    report(problems);
    assert!(count > 0, "the table of options has changed its shape: change this rule");
}

/// A longer README cannot be read in one sitting.
const MAX_README_LINES: usize = 250;

#[test]
fn the_readme_can_be_read_in_one_sitting() {
    let lines = read("README.md").lines().count();
    assert!(lines <= MAX_README_LINES, "README.md has {lines} lines: move a chapter into a guide");
}

#[test]
fn the_readme_shows_the_commands() {
    let readme = read("README.md");
    for command in ["cargo run --release -- demo", "cargo run --release -- serve", "cargo test"] {
        let shown = readme.lines().any(|line| line.split('#').next().unwrap_or_default().trim() == command);
        assert!(shown, "README.md must show `{command}` on a line of its own: it is all that a newcomer needs");
    }
}

/// The documents that are pages of the crate's documentation, too: those in `docs/guide/`, and two from `docs/`.
fn guides() -> Vec<Source> {
    let mut guides = read_all("docs/guide", &["md"]);
    guides.extend(["docs/STREAMING.md", "docs/FILES.md"].map(document));
    guides
}

fn document(name: &str) -> Source {
    Source { name: name.to_owned(), text: read(name) }
}

#[test]
fn every_guide_is_a_page_of_the_documentation_and_in_the_lists() {
    let pages = read("src/guide.rs");
    let lists = ["README.md", "docs/guide/README.md"].map(|name| (name, links(&read(name))));
    let mut problems = Vec::new();
    for guide in guides() {
        if !pages.contains(&format!("\"../{}\"", guide.name)) {
            problems.push(format!("{}: add it to src/guide.rs", guide.name));
        }
        for (list, links) in &lists {
            let is_link = |link: &String| resolve(list, link).is_some_and(|target| target == guide.name);
            if guide.name != "docs/guide/README.md" && !links.iter().any(is_link) {
                problems.push(format!("{}: add it to the list in {list}", guide.name));
            }
        }
    }
    report(problems);
}

/// A relative path between files is a broken link on a page of the documentation: see `src/guide.rs`.
#[test]
fn the_links_of_a_guide_lead_somewhere_in_the_documentation_too() {
    let known = read("docs/guide/links.txt");
    let known: BTreeSet<&str> = known.lines().filter_map(definition).map(|(label, _)| label).collect();
    let mut problems = Vec::new();
    let mut count = 0;
    for guide in guides() {
        let text = without_code(&guide.text);
        for (label, target) in text.lines().filter_map(definition) {
            count += 1;
            if !target.contains("://") && !known.contains(label) {
                problems.push(format!("{}: define [{label}] in docs/guide/links.txt, too", guide.name));
            }
        }
        let defined: BTreeSet<&str> = text.lines().filter_map(definition).map(|(label, _)| label).collect();
        for label in text.split("][").skip(1).filter_map(|rest| rest.split(']').next()) {
            if !defined.contains(label) {
                problems.push(format!("{}: define [{label}] at its end", guide.name));
            }
        }
        for target in inline_links(&text).filter(|target| !target.contains("://") && !target.starts_with('#')) {
            problems.push(format!("{}: write [text][label] instead of ({target}), and define the label", guide.name));
        }
    }
    report(problems);
    assert!(count > 0, "the guides define no links any more: change this rule");
}

#[test]
fn every_link_of_the_documents_leads_to_a_file_and_a_heading() {
    let mut documents = read_all("docs", &["md"]);
    documents.extend(["README.md", "CHANGELOG.md"].map(document));
    let mut problems = Vec::new();
    let mut count = 0;
    for document in &documents {
        for link in links(&document.text) {
            let Some(target) = resolve(&document.name, &link) else { continue };
            count += 1;
            if !root().join(&target).exists() {
                problems.push(format!("{}: there is no {target} for the link {link}", document.name));
                continue;
            }
            let Some((_, anchor)) = link.split_once('#') else { continue };
            if !target.ends_with(".md") || !without_code(&read(&target)).lines().any(|line| is_heading(line, anchor)) {
                problems.push(format!("{}: {target} has no heading for the link {link}", document.name));
            }
        }
    }
    report(problems);
    assert!(count > 0, "the documents have no links any more: change this rule");
}

/// Where the links of a document lead: those in its text, and those that are defined at its end.
fn links(text: &str) -> Vec<String> {
    let text = without_code(text);
    let defined = text.lines().filter_map(definition).map(|(_, target)| target);
    inline_links(&text).chain(defined).map(str::to_owned).collect()
}

/// The targets of `[text](target)`.
fn inline_links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

/// The label and the target of `[label]: target`.
fn definition(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix('[')?.split_once("]: ")
}

/// A document without its blocks of code.
fn without_code(text: &str) -> String {
    let mut within = false;
    let mut kept = String::new();
    for line in text.lines() {
        let fence = line.trim_start().starts_with("```");
        within ^= fence;
        if !within && !fence {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

/// The file that a link in `document` leads to, as from the top of the repository; nothing if it leads elsewhere.
fn resolve(document: &str, link: &str) -> Option<String> {
    if link.contains("://") {
        return None;
    }
    let path = link.split('#').next().unwrap_or_default();
    if path.is_empty() {
        return Some(document.to_owned());
    }
    let mut folders: Vec<&str> = document.split('/').collect();
    folders.pop();
    for part in path.split('/') {
        match part {
            ".." => drop(folders.pop()),
            part => folders.push(part),
        }
    }
    Some(folders.join("/"))
}

/// Whether a line is the heading with this anchor: in lower case, with hyphens, and without punctuation.
fn is_heading(line: &str, anchor: &str) -> bool {
    let Some(heading) = line.strip_prefix('#') else { return false };
    let heading = heading.trim_start_matches('#').trim().to_lowercase();
    let heading: String = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect();
    heading.replace(' ', "-") == anchor
}

/// Head of every table in `docs/HTTP.md`.
const RULES: &str = "| RFC section | what the rule says and what monoloop does | test |";

#[test]
fn every_rule_of_http_names_tests_that_exist() {
    let http = read("docs/HTTP.md");
    let mut problems = Vec::new();
    let mut count = 0;
    for (number, row) in rules(&http) {
        if !row.contains('§') {
            problems.push(format!(
                "docs/HTTP.md:{number}: begin a row with RFC and section (9112 §2.2), and a table with {RULES:?}: {row}"
            ));
            continue;
        }
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [section, rule, tests] = cells[..] else {
            problems
                .push(format!("docs/HTTP.md:{number}: a row has three cells (write no vertical bar in them): {row}"));
            continue;
        };
        if !section.contains('§') || rule.is_empty() {
            problems.push(format!("docs/HTTP.md:{number}: say the section, and what monoloop does: {row}"));
        }
        let named = code_spans(tests);
        if named.is_empty() {
            problems.push(format!("docs/HTTP.md:{number}: name the test that proves it, as `file::name`: {row}"));
        }
        for path in named {
            count += 1;
            if !test_exists(path) {
                problems
                    .push(format!("docs/HTTP.md:{number}: there is no test `{path}`: correct the row, or write it"));
            }
        }
    }
    report(problems);
    assert!(count > 0, "docs/HTTP.md has no rows below {RULES:?} any more: change this rule");
}

/// The files in `src/h1/tests/` that run tables.
const TABLES: [&str; 12] = [
    "heads",
    "fields",
    "bytes",
    "targets",
    "framing",
    "bodies",
    "chunks",
    "trailers",
    "expectations",
    "limits",
    "pipelines",
    "replies",
];

/// A reader cannot find the rule that a table proves if the table is not in the document.
#[test]
fn every_table_of_the_protocol_is_in_the_rules_of_http() {
    let http = read("docs/HTTP.md");
    let named: BTreeSet<&str> = rules(&http).flat_map(|(_, row)| code_spans(row)).collect();
    let mut problems = Vec::new();
    for stem in TABLES {
        let file = read(&format!("src/h1/tests/{stem}.rs"));
        let mut count = 0;
        for test in file.split("\n#[test]\n").skip(1) {
            let body = test.split("\n}\n").next().unwrap_or_default();
            let runs_table =
                ["run(", "run_all(", "run_with(", "run_each_byte("].iter().any(|call| has_word(body, call));
            let name = body.strip_prefix("fn ").map(word).unwrap_or_default();
            let path = format!("{stem}::{name}");
            count += usize::from(runs_table);
            if runs_table && !named.contains(&path[..]) {
                problems
                    .push(format!("`{path}` runs a table: add a row to docs/HTTP.md that says which rule it proves"));
            }
        }
        if count == 0 {
            problems.push(format!("src/h1/tests/{stem}.rs runs no table any more: change this rule"));
        }
    }
    report(problems);
}

/// The rows of all tables below [`RULES`], with their line numbers.
fn rules(http: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut within = false;
    http.lines().enumerate().filter_map(move |(at, line)| {
        let begins = line == RULES;
        let row = within && line.starts_with('|') && !line.starts_with("|---");
        within = begins || (within && line.starts_with('|'));
        // Any other table has a changed head, and its lines are reported as bad rows.
        let strange = line.starts_with('|') && !begins && !within;
        (row || strange).then_some((at + 1, line))
    })
}

/// The texts between backticks.
fn code_spans(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// Whether there is a test function by this path, as the top of `docs/HTTP.md` explains it.
fn test_exists(path: &str) -> bool {
    let Some((file, name)) = path.rsplit_once("::") else { return false };
    let homes = match file.strip_suffix("::tests") {
        Some(module) => {
            let module = module.replace("::", "/");
            vec![format!("src/{module}.rs"), format!("src/{module}/mod.rs"), format!("src/{module}/tests.rs")]
        }
        None => {
            let module = file.replace("::", "/");
            vec![format!("src/h1/tests/{module}.rs"), format!("tests/{module}.rs"), format!("src/{module}.rs")]
        }
    };
    homes.iter().filter_map(|home| fs::read_to_string(root().join(home)).ok()).any(|text| has_test(&text, name))
}

/// Whether `text` has the function `name`, with `#[test]` among its attributes.
fn has_test(text: &str, name: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let at = lines.iter().position(|line| line.starts_with(&format!("fn {name}()")));
    at.is_some_and(|at| {
        lines[..at].iter().rev().take_while(|line| line.starts_with("#[")).any(|line| *line == "#[test]")
    })
}

// ---- reading the sources ----------------------------------------------------------------------------------------

/// How the unit tests of a file begin.
const TESTS: &str = "\n#[cfg(test)]\nmod tests {\n";

/// A file as text, named as from the top of the repository.
struct Source {
    name: String,
    text: String,
}

impl Source {
    /// The folder or file right below `src/`.
    fn module(&self) -> &str {
        let rest = self.name.strip_prefix("src/").unwrap_or(&self.name);
        rest.split(['/', '.']).next().unwrap_or_default()
    }

    /// Whether `super::` in this file means the crate.
    fn is_root_of_module(&self) -> bool {
        let depth = self.name.matches('/').count();
        depth == 1 || (depth == 2 && self.name.ends_with("/mod.rs"))
    }

    fn without_tests(&self) -> &str {
        self.text.split(TESTS).next().unwrap_or_default()
    }

    /// Numbered lines without comments and unit tests.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.without_tests().lines().map(without_comment).enumerate().map(|(at, line)| (at + 1, line))
    }
}

fn without_comments(file: &Source) -> String {
    file.code().map(|(_, line)| format!("{line}\n")).collect()
}

/// The line up to `//`, unless that stands within a string.
fn without_comment(line: &str) -> &str {
    for (at, _) in line.match_indices("//") {
        if line[..at].matches('"').count().is_multiple_of(2) {
            return &line[..at];
        }
    }
    line
}

/// Everything in `src/` except tests.
fn sources() -> Vec<Source> {
    let mut files = read_all("src", &["rs"]);
    files.retain(|file| !file.name.contains("/tests/") && !file.name.ends_with("/tests.rs"));
    files
}

/// The library without its landing page.
fn library() -> Vec<Source> {
    let mut files = sources();
    files.retain(|file| !file.name.starts_with("src/bin/") && file.name != "src/lib.rs");
    files
}

fn level(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| *layer == module)
}

/// What `src/lib.rs` re-exports, and from where.
fn reexports() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for statement in read("src/lib.rs").split(';').filter_map(|text| text.trim().strip_prefix("pub use ")) {
        let (home, names) = statement.split_once("::").expect("lib.rs re-exports from modules");
        let names = names.trim_matches(['{', '}']).split(',').map(str::trim).filter(|name| !name.is_empty());
        found.extend(names.map(|name| (name.to_owned(), home.to_owned())));
    }
    found
}

/// The first name after each `crate::`, also within braces.
fn crate_paths(line: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (at, start) in line.match_indices("crate::") {
        let rest = &line[at + start.len()..];
        match rest.strip_prefix('{') {
            None => found.push(word(rest)),
            Some(list) => {
                let list = list.split('}').next().unwrap_or_default();
                found.extend(list.split(',').map(str::trim).map(word).filter(|name| !name.is_empty()));
            }
        }
    }
    found
}

fn word(text: &str) -> &str {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()
}

/// Whether `text` has `word` without a letter before or after it.
fn has_word(text: &str, word: &str) -> bool {
    let is_letter = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back().is_some_and(is_letter) && word.starts_with(is_letter);
        let after = text[at + word.len()..].chars().next().is_some_and(is_letter) && word.ends_with(is_letter);
        !before && !after
    })
}

/// The picture: from the socket to the socket.
#[track_caller]
fn way_of_the_bytes(name: &str, text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let from = lines.iter().position(|line| line.contains("socket ─read→"));
    let to = lines.iter().position(|line| line.contains("socket ←write─"));
    match (from, to) {
        (Some(from), Some(to)) if from < to => lines[from..=to].join("\n"),
        _ => panic!("{name} has no picture of the way of the bytes: restore it"),
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[track_caller]
fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The files below a folder that have one of these extensions, in the order of their names. The output of cargo and
/// cargo-fuzz is left out.
fn read_all(folder: &str, extensions: &[&str]) -> Vec<Source> {
    let mut paths = BTreeSet::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.expect("a folder can be read").path()) {
            if path.is_dir() {
                let made = ["target", "corpus", "artifacts", "coverage"].iter().any(|made| path.ends_with(made));
                folders.extend(Some(path).filter(|_| !made));
            } else if path.extension().is_some_and(|extension| extensions.iter().any(|known| extension == *known)) {
                paths.insert(path);
            }
        }
    }
    paths
        .into_iter()
        .map(|path| Source { name: name(&path), text: fs::read_to_string(&path).expect("it is text") })
        .collect()
}

fn name(path: &Path) -> String {
    let path = path.strip_prefix(root()).expect("it was found below");
    path.to_str().expect("names are UTF-8").to_owned()
}

#[track_caller]
fn report(problems: Vec<String>) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}
