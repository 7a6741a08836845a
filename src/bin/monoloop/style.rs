//! Emphasis, for who reads on a terminal. What goes to a pipe or a file is plain.

use std::env;
use std::io::{self, IsTerminal};

/// Text that should catch the eye.
pub(crate) fn strong(text: &str) -> String {
    match is_wanted() {
        true => format!("\x1b[1;36m{text}\x1b[0m"),
        false => text.to_owned(),
    }
}

/// On a terminal that knows colours, unless its user does not want them (no-color.org).
fn is_wanted() -> bool {
    let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    io::stdout().is_terminal() && !is_set("NO_COLOR") && env::var_os("TERM").is_none_or(|term| term != "dumb")
}
