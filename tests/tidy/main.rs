//! Checks the walls of the code, that is, which part may know which, and what the documents promise. Each failure says
//! what to do.
//!
//! It reads the sources as text, so it is quick and sometimes naive. If it is in the way of something good, change the
//! rule here, with a reason, in the same commit.

mod documents;
mod files;
mod http;
mod modules;
mod sources;
mod walls;

#[track_caller]
fn report(problems: Vec<String>) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}
