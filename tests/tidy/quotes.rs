//! These rules keep the quotes of code in `docs/` true. A quote is a block of code below a line with just a link:
//!
//! ```text
//! [src/sessions/session.rs:210](../../src/sessions/session.rs#L210)
//! ```
//!
//! The block must be in that file at that line, word for word. A line `// ...` in it leaves out lines of the file. All
//! lines may be indented less by the same amount. A link in the text, such as ``[`pump`](../src/x.rs#L210)``, must lead
//! to the line that defines what it names.
//!
//! `MONOLOOP_QUOTES=write cargo test --test tidy quotes` corrects the numbers of the lines.

use std::collections::BTreeMap;
use std::{env, fs};

use crate::documents::resolve;
use crate::report;
use crate::sources::{Source, has_word, read, read_all, root};

#[test]
fn the_quotes_are_true() {
    let writes = env::var("MONOLOOP_QUOTES").is_ok_and(|value| value == "write");
    let mut files = BTreeMap::new();
    let mut problems = Vec::new();
    for document in read_all("docs", &["md"]) {
        let mut lines: Vec<String> = document.text.lines().map(str::to_owned).collect();
        for pointer in pointers(&document) {
            let Pointer { at, ref path, line, .. } = pointer;
            let place = format!("{}:{}", document.name, at + 1);
            if !root().join(path).is_file() {
                problems.push(format!("{place}: there is no file {path}: correct the link"));
                continue;
            }
            let file = files.entry(path.clone()).or_insert_with(|| read(path));
            let file: Vec<&str> = file.lines().collect();
            match pointer.look_up(&file) {
                Found::Here => {}
                Found::At(new) if writes => lines[at] = pointer.moved(&lines[at], new),
                Found::At(new) => problems.push(format!(
                    "{place}: what it quotes is now at {path}:{new}, not at {line}: run \
                     MONOLOOP_QUOTES=write cargo test --test tidy quotes"
                )),
                Found::Gone(what) => {
                    problems.push(format!("{place}: {path} has no `{what}` any more: quote what is there now"));
                }
            }
        }
        let text = lines.join("\n") + "\n";
        if writes && text != document.text {
            fs::write(root().join(&document.name), text).expect("the document can be written");
        }
    }
    report(problems);
}

/// A link to a line of a file.
struct Pointer {
    /// The index of its line in the document.
    at: usize,
    /// The target as the document writes it, without the line.
    target: String,
    /// The file, from the top of the repository.
    path: String,
    line: usize,
    what: What,
}

enum What {
    Quote(Vec<String>),
    Name(String),
}

/// The result of looking for what a pointer points to.
#[derive(Debug, PartialEq)]
enum Found {
    Here,
    At(usize),
    Gone(String),
}

/// Finds the pointers of a document.
fn pointers(document: &Source) -> Vec<Pointer> {
    let lines: Vec<&str> = document.text.lines().collect();
    let mut found = Vec::new();
    let mut within = false;
    for (at, line) in lines.iter().enumerate() {
        within ^= line.trim_start().starts_with("```");
        if within {
            continue;
        }
        for (label, target, number) in links_to_lines(line) {
            let Some(path) = resolve(&document.name, target) else { continue };
            let what = if let Some(name) = label.strip_prefix('`').and_then(|name| name.strip_suffix('`')) {
                What::Name(name.trim_end_matches("()").rsplit("::").next().unwrap_or_default().to_owned())
            } else if line.starts_with('[') && line.ends_with(')') && label == format!("{path}:{number}") {
                What::Quote(block_after(&lines[at + 1..]))
            } else if label.contains('/') && label.contains(':') {
                // Its label differs from its target, so it is found nowhere.
                What::Quote(vec![format!("[{label}]: write the path and line of the target in the brackets")])
            } else {
                continue;
            };
            found.push(Pointer { at, target: target.to_owned(), path, line: number, what });
        }
    }
    found
}

/// Finds each `[label](target#Lnumber)`.
fn links_to_lines(line: &str) -> impl Iterator<Item = (&str, &str, usize)> {
    line.match_indices("](").filter_map(|(middle, _)| {
        let label = &line[line[..middle].rfind('[')? + 1..middle];
        let target = line[middle + 2..].split(')').next()?;
        let (path, number) = target.split_once("#L")?;
        Some((label, path, number.parse().ok()?))
    })
}

/// Reads the block of code that begins at once, or after one empty line. Without one, the quote is empty.
fn block_after(lines: &[&str]) -> Vec<String> {
    let from = usize::from(lines.first().is_some_and(|line| line.is_empty()));
    match lines.get(from) {
        Some(line) if line.starts_with("```") => {}
        _ => return Vec::new(),
    }
    lines[from + 1..].iter().take_while(|line| !line.starts_with("```")).map(|&line| line.to_owned()).collect()
}

impl Pointer {
    fn look_up(&self, file: &[&str]) -> Found {
        let is_there = |index: usize| match &self.what {
            What::Quote(block) => is_quoted_at(block, file, index),
            What::Name(name) => defines(file[index], name),
        };
        if self.line.checked_sub(1).is_some_and(|index| index < file.len() && is_there(index)) {
            return Found::Here;
        }
        let nearest = (0..file.len()).filter(|&index| is_there(index)).min_by_key(|index| index.abs_diff(self.line));
        match (nearest, &self.what) {
            (Some(index), _) => Found::At(index + 1),
            (None, What::Name(name)) => Found::Gone(name.clone()),
            (None, What::Quote(block)) => Found::Gone(first_missing(block, file)),
        }
    }

    /// Puts another number into the line of the document.
    fn moved(&self, line: &str, number: usize) -> String {
        let Self { target, path, line: old, .. } = self;
        line.replace(&format!("({target}#L{old})"), &format!("({target}#L{number})"))
            .replace(&format!("[{path}:{old}]"), &format!("[{path}:{number}]"))
    }
}

/// Tells whether the block is in the file, with its first line at `index`.
fn is_quoted_at(block: &[String], file: &[&str], index: usize) -> bool {
    let Some(first) = block.first().filter(|first| !first.trim().is_empty()) else { return false };
    let Some(less) = indent(file[index]).checked_sub(indent(first)) else { return false };
    let mut parts = block.split(|line| is_gap(line));
    let is_part_at = |part: &[String], at: usize| {
        let rest = file.get(at..at + part.len());
        rest.is_some_and(|rest| part.iter().zip(rest).all(|(line, &there)| is_same(line, there, less)))
    };
    let begin = parts.next().unwrap_or_default();
    if !is_part_at(begin, index) {
        return false;
    }
    let mut at = index + begin.len();
    parts.all(|part| {
        let next = (at..file.len()).find(|&next| is_part_at(part, next));
        at = next.unwrap_or(at) + part.len();
        next.is_some()
    })
}

fn is_gap(line: &str) -> bool {
    line.trim() == "// ..."
}

fn is_same(line: &str, there: &str, less: usize) -> bool {
    line.trim() == there.trim() && (line.trim().is_empty() || indent(line) + less == indent(there))
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Finds the line of a block that keeps it from being a quote: the first that the file lacks, or else the first of all.
fn first_missing(block: &[String], file: &[&str]) -> String {
    let is_missing = |line: &&String| !is_gap(line) && !file.iter().any(|there| there.trim() == line.trim());
    let line = block.iter().find(is_missing).or(block.first());
    line.map_or("(nothing is quoted)", |line| line.trim()).to_owned()
}

/// Tells whether a line of Rust defines an item, a field or a variant of this name.
fn defines(line: &str, name: &str) -> bool {
    let kinds = ["fn", "struct", "enum", "trait", "const", "static", "type", "mod", "union"];
    let mut rest = line.trim_start();
    if rest.starts_with("//") {
        return false;
    }
    if let Some(public) = rest.strip_prefix("pub") {
        rest = if public.starts_with('(') { public.split_once(')').map_or("", |(_, rest)| rest) } else { public };
    }
    let rest = rest.trim_start();
    let is_member =
        rest.strip_prefix(name).is_some_and(|rest| rest.starts_with([':', ',', '(']) || rest.starts_with(" {"));
    is_member || kinds.iter().any(|kind| has_word(rest, &format!("{kind} {name}")))
}

#[test]
fn a_quote_is_found_where_it_has_moved_and_missed_where_it_is_gone() {
    let file = ["", "impl A {", "    fn f() {", "        one();", "        two();", "    }", "}", "struct Last(u8);"];
    let pointer = |line, block: &str| Pointer {
        at: 0,
        target: "../a.rs".to_owned(),
        path: "a.rs".to_owned(),
        line,
        what: What::Quote(block.lines().map(str::to_owned).collect()),
    };
    for (line, block, found) in [
        (3, "fn f() {\n    one();", Found::Here),
        (2, "fn f() {\n    one();", Found::At(3)),
        (99, "        one();", Found::At(4)),
        (0, "impl A {", Found::At(2)),
        (2, "impl A {\n    // ...\n}", Found::Here),
        (3, "fn f() {\n    // ...\n    two();\n}", Found::Here),
        (3, "fn f() {\n    // ...\n    one();\n    // ...\n    one();", Found::Gone("fn f() {".to_owned())),
        (3, "fn f() {\none();", Found::Gone("fn f() {".to_owned())),
        (3, "fn f() {\n    three();", Found::Gone("three();".to_owned())),
        (3, "", Found::Gone("(nothing is quoted)".to_owned())),
    ] {
        assert_eq!(pointer(line, block).look_up(&file), found, "{line}: {block}");
    }
    let moved = pointer(2, "").moved("[a.rs:2](../a.rs#L2)", 3);
    assert_eq!(moved, "[a.rs:3](../a.rs#L3)");
}

#[test]
fn a_definition_is_told_from_a_use() {
    for line in ["pub(crate) fn pump(&mut self) {", "    struct pump;", "    pump: u8,", "    pump(u8),", "pump {"] {
        assert!(defines(line, "pump"), "{line}");
    }
    for line in ["pump;", "self.pump(cx)", "fn pump_many() {", "// fn pump", "pump_it: u8,"] {
        assert!(!defines(line, "pump"), "{line}");
    }
}

#[test]
fn the_pointers_of_a_document_are_found() {
    let text = "[src/a.rs:3](../src/a.rs#L3)\n\n```rust\nfn a() {}\n```\n\n\
                See [`A::b()`](../src/a.rs#L9), and [c](../c.md#L).\n\
                ```text\n[src/a.rs:3](../src/a.rs#L3)\n```\n[src/b.rs:3](../src/a.rs#L3)\n";
    let found = pointers(&Source { name: "docs/x.md".to_owned(), text: text.to_owned() });
    let short: Vec<String> = found
        .iter()
        .map(|pointer| match &pointer.what {
            What::Quote(block) => format!("{}:{} {}", pointer.path, pointer.line, block.join("|")),
            What::Name(name) => format!("{}:{} is {name}", pointer.path, pointer.line),
        })
        .collect();
    let wrong = "src/a.rs:3 [src/b.rs:3]: write the path and line of the target in the brackets";
    assert_eq!(short, ["src/a.rs:3 fn a() {}", "src/a.rs:9 is b", wrong]);
}
