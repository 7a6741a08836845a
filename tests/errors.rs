//! The mistakes of docs/ERRORS.md, as the compiler sees them: each does not compile, for the reason that the document
//! gives. On stable Rust, rustdoc only looks whether an example fails.

#![cfg(feature = "json")]

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

use serde_json::Value;

const DOCUMENT: &str = include_str!("../docs/ERRORS.md");

/// The default features without `cli`. Only the command has it, and its dependencies take as long to check as the
/// library does.
const LIBRARY: &str = ", default-features = false, features = [\"files\", \"json\", \"live\", \"multipart\", \
                       \"signals\", \"websocket\"]";

/// A mistake, and what the document says of it.
struct Mistake {
    name: String,
    /// Whether it is one only without the default features.
    without_features: bool,
    program: String,
    /// The message: its first line has the code. The others are parts of what follows.
    message: Vec<String>,
}

/// Reads the mistakes from the document: each chapter has one, followed by its message.
fn mistakes() -> Vec<Mistake> {
    let chapters = DOCUMENT.split("\n## ").skip(1);
    chapters
        .map(|chapter| {
            let title = chapter.lines().next().unwrap_or_default();
            let mut blocks = chapter.split("```").skip(1).step_by(2);
            let (kind, code) = blocks.next().and_then(|block| block.split_once('\n')).expect("a program comes first");
            let (label, message) = blocks.next().and_then(|block| block.split_once('\n')).expect("then its message");
            assert_eq!(label, "text", "{title}: the message comes after the program");
            let without_features = kind == "rust,ignore";
            let message: Vec<_> = message.lines().map(bare).collect();
            if !without_features {
                let code = message[0].strip_prefix("error[").and_then(|rest| rest.split(']').next());
                assert_eq!(kind.strip_prefix("rust,compile_fail,"), code, "{title}");
            }
            let program = if code.contains("fn main") { code.to_owned() } else { format!("fn main() {{\n{code}}}\n") };
            let name = title.to_lowercase().replace(' ', "-");
            Mistake { name, without_features, program: format!("#![allow(unused)]\n{program}"), message }
        })
        .collect()
}

/// A line of a message without the number of its line, and without the margin.
fn bare(line: &str) -> String {
    let line = line.trim_start().trim_start_matches(|c: char| c.is_ascii_digit());
    line.trim_start_matches(['|', ' ']).trim_end().to_owned()
}

/// Checks programs as those of a package that takes this one by its path. Returns the messages of each, by its name.
fn messages(mistakes: &[&Mistake], package: &str, dependency: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(package);
    fs::create_dir_all(folder.join("src/bin")).expect("the folder is ours");
    let mut manifest = format!(
        "[package]\nname = \"{package}\"\nedition = \"2024\"\n[workspace]\n[dependencies]\n\
         serde_json = \"1\"\nmonoloop = {{ path = {root:?}{dependency} }}\n"
    );
    for Mistake { name, program, .. } in mistakes {
        fs::write(folder.join(format!("src/bin/{name}.rs")), program).expect("the folder is ours");
        write!(manifest, "[[bin]]\nname = {name:?}\npath = \"src/bin/{name}.rs\"\n").expect("a string takes all");
    }
    fs::write(folder.join("Cargo.toml"), manifest).expect("the folder is ours");
    fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).expect("the lock file is there");
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["check", "--offline", "--keep-going", "--bins", "--message-format", "json"])
        .env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("mistakes"))
        .env("CARGO_INCREMENTAL", "0")
        .current_dir(&folder)
        .output()
        .expect("cargo runs this test");
    let lines = String::from_utf8(output.stdout).expect("cargo writes JSON");
    let read = lines.lines().filter_map(|line| {
        let line: Value = serde_json::from_str(line).ok()?;
        let (name, level) = (line["target"]["name"].as_str()?, line["message"]["level"].as_str()?);
        let rendered = line["message"]["rendered"].as_str().filter(|_| level == "error")?;
        Some((name.to_owned(), rendered.to_owned()))
    });
    let read: Vec<_> = read.collect();
    assert!(!read.is_empty(), "nothing was checked: {}", String::from_utf8_lossy(&output.stderr));
    read
}

/// Whether the compiler is the one whose messages the document quotes.
fn is_quoted_compiler() -> bool {
    let quoted = DOCUMENT.split("(rustc").nth(1).and_then(|rest| rest.split(',').next()).expect("it names a version");
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output().expect("rustc is there").stdout;
    let version = String::from_utf8_lossy(&version).into_owned();
    let is_quoted = version.starts_with(&format!("rustc {}.", quoted.trim()));
    if !is_quoted {
        println!("only the codes are compared: this is {version}");
    }
    is_quoted
}

/// What is wrong with the quote of a message. Without `words`, only the code counts.
fn problem(mistake: &Mistake, messages: &[(String, String)], words: bool) -> Option<String> {
    // Some mistakes also have a message without a code, which can come first.
    let is_of_it = |(name, message): &&(String, String)| *name == mistake.name && message.starts_with("error[");
    let of_it = messages.iter().filter(is_of_it).map(|(_, message)| message);
    let message: String = of_it.cloned().collect();
    let code = mistake.message[0].split(':').next()?;
    let lines: Vec<_> = message.lines().map(bare).collect();
    let mut rest = lines.iter();
    let lacks = |line: &&String| if words { !rest.any(|real| real == *line) } else { false };
    let lacking = mistake.message.iter().find(lacks);
    if message.starts_with(code) && lacking.is_none() {
        return None;
    }
    Some(format!("{}: the compiler does not say {:?}, but\n{message}", mistake.name, lacking.map_or(code, |line| line)))
}

#[test]
fn each_mistake_has_the_message_that_the_document_quotes() {
    let mistakes = mistakes();
    assert!(mistakes.len() >= 18, "{} mistakes", mistakes.len());
    let (without, with): (Vec<_>, Vec<_>) = mistakes.iter().partition(|mistake| mistake.without_features);
    assert_eq!(without.len(), 1, "JSON");
    let mut printed = messages(&with, "mistakes", LIBRARY);
    printed.extend(messages(&without, "mistakes-without-features", ", default-features = false"));
    let words = is_quoted_compiler();
    let problems: Vec<_> = mistakes.iter().filter_map(|mistake| problem(mistake, &printed, words)).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
}
