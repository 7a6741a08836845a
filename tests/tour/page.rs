//! The template becomes the document. Its lines that begin with `@` are directives, and all others are text:
//!
//! ```text
//! @rows get until accept4           what happens next in the scene `get`, up to the next call of this name
//! @rows get through sendto          the same with that call, and with what the log says after it
//! @rows get                         the rest of the scene
//! @skip get until socket            passes over rows in the same way, and shows none
//! @code src/x.rs | fn a | let b     the lines from the first one with `fn a` to the next one with `let b`
//! @code src/x.rs | fn a | = | b | ^    }
//!                                   the line with `fn a`; `// ...`; from the next line with `b` to one that is `    }`
//! ```
//!
//! Every row of a scene must be shown or passed over, so that nothing is left out by mistake.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use crate::rows::Row;
use crate::scenes::Scene;

pub(crate) fn fill(template: &str, scenes: &[Scene], root: &Path) -> String {
    let mut left: HashMap<&str, &[Row]> = scenes.iter().map(|scene| (scene.name, &scene.rows[..])).collect();
    let mut made = String::new();
    for line in template.lines() {
        let filled = match line.split_once(' ') {
            Some(("@rows", what)) => block("text", &lines_of(take(&mut left, what))),
            Some(("@skip", what)) => {
                take(&mut left, what);
                continue;
            }
            Some(("@code", what)) => code(what, root),
            _ => line.to_owned(),
        };
        made += &filled;
        made.push('\n');
    }
    for (scene, rows) in left {
        assert!(rows.is_empty(), "the template leaves out the end of `{scene}`:\n{}", lines_of(rows).join("\n"));
    }
    made
}

/// Takes the rows that a directive names.
fn take<'r>(left: &mut HashMap<&str, &'r [Row]>, what: &str) -> &'r [Row] {
    let words: Vec<&str> = what.split(' ').collect();
    let rows = left.get_mut(words[0]).unwrap_or_else(|| panic!("there is no scene for `{what}`"));
    let count = match words[1..] {
        [] => rows.len(),
        ["until", name] => 1 + find(&rows[1..], name, what),
        ["through", name] => {
            let after = 1 + find(rows, name, what);
            after + rows[after..].iter().take_while(|row| row.name == "state").count()
        }
        _ => panic!("`{what}` is no directive"),
    };
    let (taken, rest) = rows.split_at(count);
    *rows = rest;
    taken
}

fn find(rows: &[Row], name: &str, what: &str) -> usize {
    let found = rows.iter().position(|row| row.name == name);
    found.unwrap_or_else(|| panic!("`{what}` finds no `{name}` in\n{}", lines_of(rows).join("\n")))
}

fn lines_of(rows: &[Row]) -> Vec<&str> {
    rows.iter().flat_map(|row| row.lines.iter().map(String::as_str)).collect()
}

fn block(language: &str, lines: &[&str]) -> String {
    format!("```{language}\n{}\n```", lines.join("\n"))
}

/// A quote in the form that the documents of the course use: a link to the first line, and then the lines, indented
/// less by the same amount.
fn code(what: &str, root: &Path) -> String {
    let parts: Vec<&str> = what.split(" | ").collect();
    let (file, ranges) = parts.split_first().expect("a quote has a file");
    let text = fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    let lines: Vec<&str> = text.lines().collect();
    let mut quoted: Vec<&str> = Vec::new();
    let (mut first, mut at) = (0, 0);
    assert!(ranges.len().is_multiple_of(2), "@code {what}: each part needs its first line and its last");
    for range in ranges.chunks(2) {
        let from = find_line(&lines, at, range[0], what);
        let to = if range[1] == "=" { from } else { find_line(&lines, from, range[1], what) };
        match quoted.is_empty() {
            true => first = from + 1,
            false => quoted.push("// ..."),
        }
        quoted.extend(&lines[from..=to]);
        at = to + 1;
    }
    let indent = |line: &&str| line.len() - line.trim_start().len();
    let of_code = quoted.iter().filter(|line| !line.is_empty() && **line != "// ...");
    let less = of_code.map(indent).min().unwrap_or(0);
    let shown: Vec<String> = quoted.iter().map(|line| shifted(line, less)).collect();
    let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
    format!("[{file}:{first}](../{file}#L{first})\n{}", block("rust", &shown))
}

fn find_line(lines: &[&str], from: usize, wanted: &str, what: &str) -> usize {
    let is_wanted = |line: &&str| match wanted.strip_prefix('^') {
        Some(whole) => *line == whole,
        None => line.contains(wanted),
    };
    let found = lines[from..].iter().position(is_wanted);
    from + found.unwrap_or_else(|| panic!("@code {what}: there is no line with `{wanted}`"))
}

/// A line indented less. The mark of lines that are left out has no indentation to lose.
fn shifted(line: &str, less: usize) -> String {
    if line == "// ..." { line.to_owned() } else { line.get(less..).unwrap_or_default().to_owned() }
}
