//! These functions read the sources and the documents as text.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The unit tests of a file begin like this.
pub(crate) const TESTS: &str = "\n#[cfg(test)]\nmod tests {\n";

/// Holds the text of a file. Its name is the path from the top of the repository.
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) text: String,
}

impl Source {
    /// Finds the folder or file right below `src/`.
    pub(crate) fn module(&self) -> &str {
        let rest = self.name.strip_prefix("src/").unwrap_or(&self.name);
        rest.split(['/', '.']).next().unwrap_or_default()
    }

    /// Tells whether `super::` in this file means the crate.
    pub(crate) fn is_root_of_module(&self) -> bool {
        let depth = self.name.matches('/').count();
        depth == 1 || (depth == 2 && self.name.ends_with("/mod.rs"))
    }

    fn without_tests(&self) -> &str {
        self.text.split(TESTS).next().unwrap_or_default()
    }

    /// Numbers the lines, without comments and unit tests.
    pub(crate) fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.without_tests().lines().map(without_comment).enumerate().map(|(at, line)| (at + 1, line))
    }
}

pub(crate) fn without_comments(file: &Source) -> String {
    file.code().map(|(_, line)| format!("{line}\n")).collect()
}

/// Cuts the line at `//`, unless that is within a string.
fn without_comment(line: &str) -> &str {
    for (at, _) in line.match_indices("//") {
        if line[..at].matches('"').count().is_multiple_of(2) {
            return &line[..at];
        }
    }
    line
}

/// Reads everything in `src/` except tests.
pub(crate) fn sources() -> Vec<Source> {
    let mut files = read_all("src", &["rs"]);
    files.retain(|file| !file.name.contains("/tests/") && !file.name.ends_with("/tests.rs"));
    files
}

/// Reads the library without its landing page, `src/lib.rs`.
pub(crate) fn library() -> Vec<Source> {
    let mut files = sources();
    files.retain(|file| !file.name.starts_with("src/bin/") && file.name != "src/lib.rs");
    files
}

/// Lists what `src/lib.rs` re-exports, and from where.
pub(crate) fn reexports() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for statement in read("src/lib.rs").split(';').filter_map(|text| text.trim().strip_prefix("pub use ")) {
        let (home, names) = statement.split_once("::").expect("lib.rs re-exports from modules");
        let names = names.trim_matches(['{', '}']).split(',').map(str::trim).filter(|name| !name.is_empty());
        found.extend(names.map(|name| (name.to_owned(), home.to_owned())));
    }
    found
}

/// Finds the first name after each `crate::`, also within braces.
pub(crate) fn crate_paths(line: &str) -> Vec<&str> {
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

pub(crate) fn word(text: &str) -> &str {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()
}

/// Tells whether `text` has `word` without a letter before or after it.
pub(crate) fn has_word(text: &str, word: &str) -> bool {
    let is_letter = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back().is_some_and(is_letter) && word.starts_with(is_letter);
        let after = text[at + word.len()..].chars().next().is_some_and(is_letter) && word.ends_with(is_letter);
        !before && !after
    })
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[track_caller]
pub(crate) fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub(crate) fn document(name: &str) -> Source {
    Source { name: name.to_owned(), text: read(name) }
}

/// Reads the files below a folder that have one of these extensions, in the order of their names. It leaves out what
/// cargo and cargo-fuzz make.
pub(crate) fn read_all(folder: &str, extensions: &[&str]) -> Vec<Source> {
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
