//! Each exercise must compile, fail as it is shipped, and pass with its solution.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// The folders in `exercises/` that hold an exercise.
fn exercises() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("exercises");
    let entries = fs::read_dir(folder).expect("the folder can be read");
    let names = entries.map(|entry| entry.expect("the folder can be read").file_name().into_string().expect("UTF-8"));
    names.filter(|name| name.starts_with(|first: char| first.is_ascii_digit())).collect()
}

/// Runs cargo for the package of the exercises, in the target directory of this test.
fn cargo(arguments: &[&str]) -> Output {
    let this = env::current_exe().expect("the path of a running program is known");
    let target = this.ancestors().nth(3).expect("a test is three folders deep");
    let mut command = Command::new(env::var_os("CARGO").expect("cargo runs this test"));
    command.args(arguments).args(["--quiet", "--locked", "--package", "exercises", "--target-dir"]).arg(target);
    command.current_dir(env!("CARGO_MANIFEST_DIR")).env("CARGO_TERM_COLOR", "never");
    command.output().expect("cargo runs")
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn every_exercise_is_complete() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("exercises");
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).expect("it can be read");
    let mut problems = Vec::new();
    for name in exercises() {
        for file in [format!("{name}/exercise.rs"), format!("{name}/test.rs"), format!("solutions/{name}.rs")] {
            if !folder.join(&file).is_file() {
                problems.push(format!("exercises/{file} is missing"));
            }
        }
        if !manifest.contains(&format!("name = \"{name}\"")) {
            problems.push(format!("exercises/Cargo.toml has no [[test]] with the name {name}"));
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
    assert!(!exercises().is_empty(), "there are no exercises any more");
}

#[test]
fn every_exercise_fails_as_it_is_shipped() {
    let built = cargo(&["test", "--no-run", "--tests"]);
    assert!(built.status.success(), "an exercise does not compile:\n{}", text(&built));
    let solved: Vec<String> =
        exercises().into_iter().filter(|name| cargo(&["test", "--test", name]).status.success()).collect();
    assert!(solved.is_empty(), "these exercises need no work: {solved:?}");
}

#[test]
fn every_solution_passes() {
    let tested = cargo(&["test", "--tests", "--features", "solutions"]);
    assert!(tested.status.success(), "{}", text(&tested));
}
