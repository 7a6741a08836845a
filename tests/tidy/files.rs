//! These rules say how long a file may be, how wide its lines, what it may hold, and where it belongs.

use std::fs;

use crate::report;
use crate::sources::{Source, TESTS, document, has_word, read, read_all, root, sources};

/// Nobody reads a longer file in one sitting. Its tests count, too.
const MAX_LINES: usize = 500;

#[test]
fn a_file_can_be_read_in_one_sitting() {
    let files: Vec<Source> =
        ["src", "tests", "benches", "docs"].iter().flat_map(|folder| read_all(folder, &["rs"])).collect();
    let length = |file: &Source| file.text.lines().count();
    let mut problems = Vec::new();
    for file in files.iter().filter(|file| length(file) > MAX_LINES) {
        problems.push(format!(
            "{}: the file has {} lines, more than {MAX_LINES}: split it where its subject changes",
            file.name,
            length(file)
        ));
    }
    report(problems);
}

/// A wider line does not fit beside a second window. rustfmt wraps code, but no comments, strings or macros.
pub(crate) const MAX_COLUMNS: usize = 120;

#[test]
fn a_line_of_code_fits_beside_a_second_window() {
    let mut problems = Vec::new();
    // A student's solution of an exercise of the course is the student's own.
    let is_ours = |file: &Source| !file.name.ends_with("/exercise.rs");
    let files = ["src", "tests", "benches", "docs"].iter().flat_map(|folder| read_all(folder, &["rs"]));
    for file in files.filter(is_ours) {
        for (number, line) in (1..).zip(file.text.lines()) {
            let columns = line.chars().count();
            if columns > MAX_COLUMNS {
                problems.push(format!(
                    "{}:{number}: the line has {columns} columns, more than {MAX_COLUMNS}: wrap the comment, or break \
                     the string with a backslash at the end of the line",
                    file.name
                ));
            }
        }
    }
    report(problems);
}

#[test]
fn unit_tests_are_at_the_end_of_their_file() {
    let misplaced = |file: &Source| {
        let (_, tests) = file.text.split_once(TESTS)?;
        (tests.trim_end().lines().skip(1).position(|line| line == "}") != Some(tests.trim_end().lines().count() - 2))
            .then(|| format!("{}: move `mod tests` to the end, because these rules read nothing after it", file.name))
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
        // How many tests run at once.
        ".cargo",
        ".gitignore",
        ".ci",
    ];
    // Git makes one of them, and .gitignore names the other.
    let ignored = [".git", "target"];
    let mut problems = Vec::new();
    for entry in fs::read_dir(root()).expect("the repository can be read") {
        let name = entry.expect("the repository can be read").file_name().into_string().expect("names are UTF-8");
        if !allowed.contains(&name.as_str()) && !ignored.contains(&name.as_str()) {
            problems.push(format!("{name}: move it into a folder, or allow it in tests/tidy/files.rs with a reason"));
        }
    }
    report(problems);
}

#[test]
fn nothing_is_left_for_later() {
    // The marks are in pieces, so that the rule does not find itself.
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("to", "do!"), concat!("unimpl", "emented!")];
    let mut problems = Vec::new();
    for folder in ["src", "tests", "benches", "docs"] {
        for file in read_all(folder, &["rs", "md", "py", "lua"]) {
            for (number, line) in file.text.lines().enumerate() {
                for mark in marks.iter().filter(|mark| has_word(line, mark)) {
                    problems.push(format!(
                        "{}:{}: `{mark}` leaves work for later: do it, or say what is missing",
                        file.name,
                        number + 1
                    ));
                }
            }
        }
    }
    report(problems);
}

/// What writes into a pipe that its reader has closed dies of SIGPIPE, or not: that is a race. With `pipefail` it ends
/// the script. `sed -n 1p` reads to the end.
#[test]
fn no_reader_in_a_script_closes_its_pipe_early() {
    let hasty = ["| head", "| grep -q", "| grep -m"];
    let scripts = ["src", "tests", "benches", "docs"].iter().flat_map(|folder| read_all(folder, &["sh"]));
    let mut problems = Vec::new();
    for script in scripts.chain([document(".ci/run")]) {
        for (number, line) in (1..).zip(script.text.lines()) {
            if hasty.iter().any(|reader| line.contains(reader)) {
                problems.push(format!(
                    "{}:{number}: the reader ends before its pipe does: read it all with sed, or a file",
                    script.name
                ));
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
                problems.push(format!(
                    "src/limits.rs: {line}: say its unit, its reason, and what other servers use, in a comment above it"
                ));
            }
        }
        before = line;
    }
    report(problems);
    assert!(count > 0, "src/limits.rs has no constants any more: change this rule");
}
