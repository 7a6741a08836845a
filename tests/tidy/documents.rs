//! These rules check the documents: what they name exists, and each link leads somewhere.

use std::collections::BTreeSet;

use crate::files::MAX_COLUMNS;
use crate::report;
use crate::sources::{Source, document, has_word, read, read_all, root, sources};

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
            problems.push(format!("the way of the bytes names `{path}`, which the code lacks: correct the picture"));
        }
    }
    report(problems);
    assert!(count > 0, "the picture names no module any more: change this rule");
}

/// Finds the picture that leads from the socket to the socket.
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
        // A default in parentheses is a sentence, and the guide may put it in its own words.
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

/// A document that no list names is read by nobody.
#[test]
fn every_document_is_in_the_lists() {
    let lists = ["README.md", "docs/guide/README.md"].map(|name| (name, read(name)));
    let is_entry = |name: &str| name.strip_prefix("docs/").is_some_and(|name| !name.contains('/'));
    let entries = read_all("docs", &["md"]).into_iter().map(|document| document.name).filter(|name| is_entry(name));
    let entries: Vec<String> = entries.chain(["docs/course/README.md".to_owned()]).collect();
    let mut problems = Vec::new();
    for entry in &entries {
        for (list, text) in &lists {
            let mut links = links(text).into_iter().filter_map(|link| resolve(list, &link));
            if !links.any(|link| link == *entry) && !text.contains(&format!("`{entry}`")) {
                problems.push(format!("{entry}: add this document to the list in {list}"));
            }
        }
    }
    report(problems);
    assert!(entries.len() > 10, "docs has only {} documents: change this rule", entries.len());
}

/// Nobody reads a longer README in one sitting.
const MAX_README_LINES: usize = 250;

#[test]
fn the_readme_can_be_read_in_one_sitting() {
    let lines = read("README.md").lines().count();
    assert!(
        lines <= MAX_README_LINES,
        "README.md has {lines} lines, more than {MAX_README_LINES}: move a chapter into a guide"
    );
}

#[test]
fn the_readme_shows_the_commands() {
    let readme = read("README.md");
    for command in ["cargo run --release -- demo", "cargo run --release -- serve", "cargo test"] {
        let shown = readme.lines().any(|line| line.split('#').next().unwrap_or_default().trim() == command);
        assert!(shown, "README.md lacks a line with just `{command}`: show it, because newcomers need it");
    }
}

/// Reads the documents in `docs/`, the README and the changelog.
fn documents() -> Vec<Source> {
    let mut documents = read_all("docs", &["md"]);
    documents.extend(["README.md", "CHANGELOG.md"].map(document));
    documents
}

/// Markdown cannot wrap a table or the definition of a link, and a reader may copy code as it is.
#[test]
fn a_line_of_prose_fits_beside_a_second_window() {
    let mut problems = Vec::new();
    for document in documents() {
        for (number, line) in (1..).zip(without_code(&document.text).lines()) {
            let columns = line.chars().count();
            let can_be_wrapped = line.trim_start().chars().take(MAX_COLUMNS).any(|c| c == ' ');
            let is_prose = !line.trim_start().starts_with('|') && definition(line).is_none();
            if columns > MAX_COLUMNS && can_be_wrapped && is_prose {
                let name = &document.name;
                problems.push(format!(
                    "{name}:{number}: the line has {columns} columns, more than {MAX_COLUMNS}: wrap the paragraph"
                ));
            }
        }
    }
    report(problems);
}

/// Reads the documents that are also pages of the crate's documentation: those in `docs/guide/`, and some of `docs/`.
fn guides() -> Vec<Source> {
    let mut guides = read_all("docs/guide", &["md"]);
    guides.extend(["docs/STREAMING.md", "docs/WEBSOCKET.md", "docs/FILES.md", "docs/ERRORS.md"].map(document));
    guides
}

#[test]
fn every_guide_is_a_page_of_the_documentation_and_in_the_lists() {
    let pages = read("src/guide.rs");
    let lists = ["README.md", "docs/guide/README.md"].map(|name| (name, links(&read(name))));
    let mut problems = Vec::new();
    for guide in guides() {
        if !pages.contains(&format!("\"../{}\"", guide.name)) {
            problems.push(format!("{}: add this guide to src/guide.rs", guide.name));
        }
        for (list, links) in &lists {
            let is_link = |link: &String| resolve(list, link).is_some_and(|target| target == guide.name);
            if guide.name != "docs/guide/README.md" && !links.iter().any(is_link) {
                problems.push(format!("{}: add this guide to the list in {list}", guide.name));
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
    let mut problems = Vec::new();
    let mut count = 0;
    for document in documents() {
        for link in links(&document.text) {
            let Some(target) = resolve(&document.name, &link) else { continue };
            count += 1;
            if !root().join(&target).exists() {
                problems.push(format!(
                    "{}: the link {link} leads to {target}, which does not exist: correct it",
                    document.name
                ));
                continue;
            }
            let Some((_, anchor)) = link.split_once('#') else { continue };
            // The rules about quotes check which line this is.
            if target.ends_with(".rs") && anchor.strip_prefix('L').is_some_and(|line| line.parse::<u32>().is_ok()) {
                continue;
            }
            if !target.ends_with(".md") || !without_code(&read(&target)).lines().any(|line| is_heading(line, anchor)) {
                problems
                    .push(format!("{}: the link {link} leads to no heading of {target}: correct it", document.name));
            }
        }
    }
    report(problems);
    assert!(count > 0, "the documents have no links any more: change this rule");
}

/// Lists where the links of a document lead: those in its text, and the definitions at its end.
fn links(text: &str) -> Vec<String> {
    let text = without_code(text);
    let defined = text.lines().filter_map(definition).map(|(_, target)| target);
    inline_links(&text).chain(defined).map(str::to_owned).collect()
}

/// Lists the targets of `[text](target)`.
fn inline_links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

/// Splits `[label]: target` into the label and the target.
fn definition(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix('[')?.split_once("]: ")
}

/// Puts empty lines in place of the blocks of code.
fn without_code(text: &str) -> String {
    let mut within = false;
    let mut kept = String::new();
    for line in text.lines() {
        let fence = line.trim_start().starts_with("```");
        within ^= fence;
        if !within && !fence {
            kept.push_str(line);
        }
        kept.push('\n');
    }
    kept
}

/// Finds the file to which a link in `document` leads, as a path from the top of the repository. A link to another site
/// leads to no file.
pub(crate) fn resolve(document: &str, link: &str) -> Option<String> {
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

/// Tells whether a line is the heading with this anchor. An anchor is in lower case, with hyphens, and without
/// punctuation.
fn is_heading(line: &str, anchor: &str) -> bool {
    let Some(heading) = line.strip_prefix('#') else { return false };
    let heading = heading.trim_start_matches('#').trim().to_lowercase();
    let heading: String = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect();
    heading.replace(' ', "-") == anchor
}
