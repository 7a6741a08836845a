//! `embed`: the terminal and curl set the same target, and `quit` ends the program.

use std::io::{Write, pipe};

use crate::{Example, wait_until};

#[test]
fn the_terminal_and_a_client_set_the_same_target() {
    let (terminal, mut keyboard) = pipe().expect("a pipe");
    let Some(example) = Example::start_with("embed", |command| command, terminal) else { return };
    let target = || example.curl(&[], "/").split_once(" of ").expect("a target").1.trim_end().to_owned();
    let put = |target: &str| example.curl(&["-X", "PUT", "-d", target, "-w", "%{http_code}"], "/target");

    assert_eq!(target(), "20.0");
    assert_eq!(put("25.5"), "204");
    assert_eq!(target(), "25.5");
    for wrong in ["31", "warm", "NaN", ""] {
        assert_eq!(put(wrong), r#"{"error":"A target is between 5 and 30"}422"#, "{wrong}");
    }
    // One line in two pieces, and then three lines in one piece.
    keyboard.write_all(b"1").expect("it is read");
    assert_eq!(target(), "25.5");
    keyboard.write_all(b"0\n").expect("it is read");
    wait_until(|| target() == "10.0");
    keyboard.write_all(b"warm\n12\nquit\n").expect("it is read");
    example.end();
}

#[test]
fn the_loop_of_the_program_goes_on_without_a_terminal() {
    let Some(example) = Example::start("embed", |command| command) else { return };
    let temperature = || example.curl(&[], "/").split(' ').next().map(|text| text.parse::<f64>().expect("a number"));
    // The loop does its own work beside the server: the temperature approaches the target.
    let first = temperature();
    wait_until(|| temperature() > first);
    example.stop();
}
