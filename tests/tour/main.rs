//! `docs/TOUR.md` is true: this program makes it again, from a run of the example `tour` under strace, and compares.
//!
//! `template.md` has the text. Its lines that begin with `@` are filled: from the runs ([`scenes`]), and from the
//! sources ([`page`] says how). `MONOLOOP_TOUR=write cargo test --test tour` writes the document.
#![cfg(all(feature = "cli", target_os = "linux"))]

#[path = "../support/built.rs"]
mod built;

mod calls;
mod page;
mod rows;
mod scenes;
mod server;

use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, fs};

const DOCUMENT: &str = "docs/TOUR.md";

#[test]
fn the_tour_tells_what_happens() {
    if !strace_works() {
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let template = fs::read_to_string(root.join("tests/tour/template.md")).expect("it is there");
    let made = page::fill(&template, &scenes::play_all(), root);
    let path = root.join(DOCUMENT);
    if env::var("MONOLOOP_TOUR").is_ok_and(|value| value == "write") {
        fs::write(&path, made).expect("the document can be written");
        return;
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    if let Some((number, is, was)) = first_difference(&made, &there) {
        panic!(
            "{DOCUMENT}:{number} differs from what the program does now.\n  document: {was}\n   program: {is}\n\
             Look whether the text in tests/tour/template.md is still true, and run\n\
             MONOLOOP_TOUR=write cargo test --test tour"
        );
    }
}

/// The first line that differs: its number, as it is now, and as it is in the document.
fn first_difference<'t>(now: &'t str, document: &'t str) -> Option<(usize, &'t str, &'t str)> {
    let (mut now, mut document) = (now.lines(), document.lines());
    for number in 1.. {
        match (now.next(), document.next()) {
            (None, None) => return None,
            (is, was) if is == was => {}
            (is, was) => return Some((number, is.unwrap_or("(the end)"), was.unwrap_or("(the end)"))),
        }
    }
    None
}

/// Whether strace is installed and may trace here. A run of CI must have it.
fn strace_works() -> bool {
    let works = Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).stderr(Stdio::null()).status();
    if works.is_ok_and(|status| status.success()) {
        return true;
    }
    assert_ne!(env::var("CI").as_deref(), Ok("true"), "strace is not installed, or may not trace");
    eprintln!("skipped: strace is not installed, or may not trace");
    false
}
