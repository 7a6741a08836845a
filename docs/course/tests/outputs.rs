//! Runs the commands that the chapters show, and compares what they print.
//!
//! A block of the kind `console` has lines with `$ command`, each followed by its output. The commands run in this
//! folder, by `sh`. Standard error goes where standard output goes. A command must succeed. In the output, `...` within
//! a line matches any text, and a line with just `...` any number of lines. If `<!-- needs strace -->` is above the
//! block, it is left out on a machine without that program, unless `CI=true` says that the machine must have it.
//!
//! `COURSE=06 cargo test --test outputs` runs the blocks of one chapter.

use std::env;
use std::fs;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// No command of a chapter may take longer.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn the_chapters_show_what_their_commands_print() {
    let chosen = env::var("COURSE").unwrap_or_default();
    let mut problems = Vec::new();
    let mut count = 0;
    for chapter in chapters() {
        let name = chapter.strip_prefix(folder()).expect("it was found there").display().to_string();
        let text = fs::read_to_string(&chapter).expect("a chapter can be read");
        for command in commands(&text).into_iter().filter(|_| name.starts_with(&chosen)) {
            count += 1;
            let place = format!("{name}:{}: $ {}", command.line, command.text);
            if let Some(tool) = command.needs.iter().find(|tool| !has_tool(tool)) {
                println!("{place}: left out, because this machine has no {tool}");
                assert!(env::var("CI").as_deref() != Ok("true"), "CI=true, so the machine must have {tool}");
                continue;
            }
            match run(&command.text) {
                Ok(output) if matches(&command.output, &output) => {}
                Ok(output) => problems.push(format!("{place}\nhas printed:\n{}\n", output.join("\n"))),
                Err(error) => problems.push(format!("{place}\n{error}\n")),
            }
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
    assert!(count > 0, "no chapter has a command any more");
}

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The Markdown files here and in `exercises/`, in the order of their names.
fn chapters() -> Vec<PathBuf> {
    let folders = [folder().to_owned(), folder().join("exercises")];
    let entries = folders.iter().flat_map(|folder| fs::read_dir(folder).expect("the folder can be read"));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("the folder can be read").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    paths.sort();
    paths
}

/// A command that a chapter shows.
struct Shown {
    /// Its line in the chapter.
    line: usize,
    text: String,
    output: Vec<String>,
    needs: Vec<String>,
}

fn commands(chapter: &str) -> Vec<Shown> {
    let mut found: Vec<Shown> = Vec::new();
    let mut block: Option<&str> = None;
    let mut needs = Vec::new();
    for (line, text) in (1..).zip(chapter.lines()) {
        match (block, text.strip_prefix("```")) {
            (None, Some(kind)) => block = Some(kind),
            (Some(_), Some(_)) => (block, needs) = (None, Vec::new()),
            (Some("console"), None) => match text.strip_prefix("$ ") {
                Some(text) => {
                    let needs = needs.clone();
                    found.push(Shown { line, text: text.to_owned(), output: Vec::new(), needs });
                }
                None => {
                    let command = found.last_mut().expect("a block of the kind console begins with a command");
                    command.output.push(text.to_owned());
                }
            },
            (None, None) if text.starts_with("<!-- needs ") => {
                let tools = text.trim_start_matches("<!-- needs ").trim_end_matches(" -->");
                needs = tools.split_whitespace().map(str::to_owned).collect();
            }
            (None, None) if !text.is_empty() => needs = Vec::new(),
            _ => {}
        }
    }
    found
}

/// The commands in folds, with the line of the fold, that differ from those of the `sh` block above the fold. Commands
/// are run before the fold is opened.
fn hidden_commands(chapter: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let mut shown: Vec<&str> = Vec::new();
    let mut lines = (1..).zip(chapter.lines());
    while let Some((number, line)) = lines.next() {
        if line == "```sh" {
            shown = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```").collect();
        } else if line.starts_with("<details>") {
            let fold = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "</details>");
            let run: Vec<&str> = fold.filter_map(|line| line.strip_prefix("$ ")).collect();
            if shown != run {
                problems.push(format!("{number}: above the fold: {shown:?}; in it: {run:?}"));
            }
            shown.clear();
        } else if !line.is_empty() {
            shown.clear();
        }
    }
    problems
}

fn has_tool(tool: &str) -> bool {
    let output = Command::new("sh").args(["-c", &format!("command -v {tool}")]).output();
    output.is_ok_and(|output| output.status.success())
}

/// Runs a command by the shell. Returns the lines that it printed.
fn run(text: &str) -> Result<Vec<String>, String> {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("exec 2>&1; {text}")]).current_dir(folder());
    // The commands are cargo's own: they find what is built already, and never change the lock file.
    command.env("CARGO_TARGET_DIR", target()).env("CARGO_TERM_COLOR", "never").env_remove("RUST_LOG");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
    let mut child = command.spawn().expect("there is a shell");
    let mut stdout = child.stdout.take().expect("it is piped");
    let (sender, receiver) = mpsc::channel();
    let reader = thread::spawn(move || {
        let mut output = Vec::new();
        let _ = stdout.read_to_end(&mut output);
        let _ = sender.send(());
        String::from_utf8_lossy(&output).into_owned()
    });
    let in_time = receiver.recv_timeout(PATIENCE).is_ok();
    if !in_time {
        let group = rustix::process::Pid::from_child(&child);
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let status = child.wait().expect("a child can be waited for");
    let output = reader.join().expect("the reader does not panic");
    let lines: Vec<String> = output.lines().map(str::to_owned).collect();
    match (in_time, status.success()) {
        (false, _) => Err(format!("has not ended within {PATIENCE:?}; it has printed:\n{output}")),
        (true, false) => Err(format!("has failed ({status}); it has printed:\n{output}")),
        (true, true) => Ok(lines),
    }
}

/// The target directory of this build: the test is in `TARGET/debug/deps/`.
fn target() -> PathBuf {
    let this = env::current_exe().expect("the path of a running program is known");
    this.ancestors().nth(3).expect("a test is three folders deep").to_owned()
}

/// Tells whether the output is what the chapter shows.
fn matches(shown: &[String], output: &[String]) -> bool {
    match shown.split_first() {
        None => output.is_empty(),
        Some((first, rest)) if first == "..." => (0..=output.len()).any(|skipped| matches(rest, &output[skipped..])),
        Some((first, rest)) => {
            output.first().is_some_and(|line| matches_line(first, line)) && matches(rest, &output[1..])
        }
    }
}

fn matches_line(shown: &str, line: &str) -> bool {
    match shown.trim_end().split_once("...") {
        None => shown.trim_end() == line.trim_end(),
        Some((begin, rest)) => line.strip_prefix(begin).is_some_and(|line| {
            (0..=line.len()).any(|at| line.is_char_boundary(at) && matches_line(rest, &line[at..]))
        }),
    }
}

#[test]
fn a_command_is_shown_above_the_fold_that_has_its_output() {
    let mut problems = Vec::new();
    for chapter in chapters() {
        let text = fs::read_to_string(&chapter).expect("a chapter can be read");
        problems.extend(hidden_commands(&text).iter().map(|problem| format!("{}:{problem}", chapter.display())));
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn dots_match_any_text_and_any_lines() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    for (shown, output, expected) in [
        ("a\nb", "a\nb", true),
        ("a\nb", "a\nc", false),
        ("a", "a\nb", false),
        ("a\n...", "a\nb\nc", true),
        ("...\nc", "a\nb\nc", true),
        ("...\nb", "a\nb\nc", false),
        ("took ... ms", "took 12 ms", true),
        ("took ... ms", "took 12 s", false),
        ("... of ... bytes", "1 of 2 bytes", true),
    ] {
        assert_eq!(matches(&lines(shown), &lines(output)), expected, "{shown:?} {output:?}");
    }
}

#[test]
fn the_commands_of_a_chapter_are_found_with_their_output() {
    let chapter =
        "```text\n$ no\n```\n\n<!-- needs strace -->\n\n```console\n$ a\n1\n\n2\n$ b\n```\n\n```console\n$ c\n```\n";
    let found: Vec<String> = commands(chapter)
        .iter()
        .map(|shown| format!("{} {} {:?} {:?}", shown.line, shown.text, shown.output, shown.needs))
        .collect();
    assert_eq!(
        found,
        [r#"8 a ["1", "", "2"] ["strace"]"#, r#"12 b [] ["strace"]"#, r#"16 c [] []"#],
        "line, command, output, needs"
    );
}

#[test]
fn a_command_that_is_only_in_a_fold_is_found() {
    let fold = |inner: &str| format!("<details><summary>What it prints</summary>\n\n{inner}\n</details>\n");
    let console = fold("```console\n$ a\n1\n```\n");
    for (chapter, expected) in [
        (fold("The answer\n"), 0),
        (console.clone(), 1),
        (format!("```sh\na\n```\n\n{console}"), 0),
        (format!("```sh\na\n```\n\nText\n\n{console}"), 1),
        (format!("```sh\na\n```\n\n{console}\n{console}"), 1),
        (format!("```sh\na\nb\n```\n\n{console}"), 1),
    ] {
        assert_eq!(hidden_commands(&chapter).len(), expected, "{chapter}");
    }
}
