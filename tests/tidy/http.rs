//! These rules check `docs/HTTP.md`: each rule of HTTP there names tests that exist, and no table of the tests is
//! missing.

use std::collections::BTreeSet;
use std::fs;

use crate::report;
use crate::sources::{has_word, read, root, word};

/// Each table in `docs/HTTP.md` has this head.
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
            problems.push(format!("docs/HTTP.md:{number}: write three cells, and no vertical bar in them: {row}"));
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
                problems.push(format!(
                    "docs/HTTP.md:{number}: the row names `{path}`, which does not exist: correct the row, or write \
                     the test"
                ));
            }
        }
    }
    report(problems);
    assert!(count > 0, "docs/HTTP.md has no rows below {RULES:?} any more: change this rule");
}

/// These files in `src/h1/tests/` run tables.
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

/// Finds the rows of all tables below [`RULES`], with their line numbers.
fn rules(http: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut within = false;
    http.lines().enumerate().filter_map(move |(at, line)| {
        let begins = line == RULES;
        let row = within && line.starts_with('|') && !line.starts_with("|---");
        within = begins || (within && line.starts_with('|'));
        // Any other table has a wrong head, so its lines count as bad rows.
        let strange = line.starts_with('|') && !begins && !within;
        (row || strange).then_some((at + 1, line))
    })
}

/// Finds the texts between backticks.
fn code_spans(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// Tells whether there is a test function by this path. The top of `docs/HTTP.md` explains such paths.
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

/// Tells whether `text` has the function `name`, with `#[test]` among its attributes.
fn has_test(text: &str, name: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let at = lines.iter().position(|line| line.starts_with(&format!("fn {name}()")));
    at.is_some_and(|at| {
        lines[..at].iter().rev().take_while(|line| line.starts_with("#[")).any(|line| *line == "#[test]")
    })
}
