//! These rules check the walls of the code, the files, and what the documents promise. A wall says which part of the
//! code may know which. Each failure says what to do.
//!
//! The rules read the sources as text, so they are quick and sometimes naive. If a rule is in the way of something
//! good, change it here, with a reason, in the same commit.

mod diagrams;
mod documents;
mod files;
mod http;
mod modules;
mod quotes;
mod sources;
#[path = "../support/svg.rs"]
mod svg;
mod walls;

#[track_caller]
fn report(problems: Vec<String>) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}
