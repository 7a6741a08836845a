//! Errors of an application that has no logger are on standard error. Each test runs a part of this program again, as
//! the process of such an application.

use std::env;
use std::process::{Command, Output};
use std::time::Duration;

use monoloop::{Error, Router, TestClient};

const PART: &str = "MONOLOOP_TEST_PART";

/// Runs a part, and returns the lines of its standard error that the library has written.
#[track_caller]
fn faults_of(part: &str) -> Vec<String> {
    let mut command = Command::new(env::current_exe().expect("it has a path"));
    // The harness would keep what is written otherwise.
    command.args(["--exact", "an_application", "--nocapture", "--test-threads=1"]);
    let Output { status, stderr, .. } = command.env(PART, part).output().expect("it runs");
    let text = String::from_utf8(stderr).expect("text");
    assert!(status.success(), "{text}");
    text.lines().filter_map(|line| line.strip_prefix("monoloop: ")).map(str::to_owned).collect()
}

fn application() -> TestClient<Router<()>> {
    let mut app = Router::new(());
    app.get("/fail", |_, _, _| Err(Error::internal("the disk\nis full")));
    app.get("/panic", |_, _, _| panic!("no user"));
    app.get("/nothing", |_, _, _| Err(Error::not_found("no such thing")));
    app.get("/long", |_, _, _| Err(Error::internal("x".repeat(100_000))));
    TestClient::new(app)
}

/// The process that the tests below start. As a test of its own it runs no part.
#[test]
fn an_application() {
    let ask = |client: &mut TestClient<_>, path: &str| client.get(path).send().status();
    match env::var(PART).as_deref() {
        Ok("each") => {
            let mut client = application();
            let statuses = ["/fail", "/panic", "/nothing", "/long"].map(|path| ask(&mut client, path));
            assert_eq!(statuses, [500, 500, 404, 500]);
        }
        Ok("timer") => {
            let mut app = Router::new(());
            let _timer = app.once(Duration::from_secs(1), |()| panic!("too late"));
            TestClient::new(app).advance(Duration::from_secs(2));
        }
        Ok("many") => {
            let mut client = application();
            (0..50).for_each(|_| assert_eq!(ask(&mut client, "/fail"), 500));
            client.advance(Duration::from_secs(2));
            assert_eq!(ask(&mut client, "/fail"), 500);
        }
        Ok("clients") => (0..30).for_each(|_| assert_eq!(ask(&mut application(), "/fail"), 500)),
        Ok("logger") => {
            log::set_max_level(log::LevelFilter::Error);
            assert_eq!(ask(&mut application(), "/fail"), 500);
        }
        _ => {}
    }
}

#[test]
fn what_failed_is_told_line_by_line_and_in_bounds() {
    let faults = faults_of("each");
    assert_eq!(faults.len(), 3, "{faults:#?}");
    assert_eq!(faults[0], r"500 Internal server error: the disk\x0ais full");
    assert_eq!(faults[1], "500 Internal server error: panicked: no user");
    assert!(faults[2].ends_with("xxx") && faults[2].len() == 2048, "{} bytes", faults[2].len());
}

#[test]
fn what_no_request_asked_for_is_told_too() {
    assert_eq!(faults_of("timer"), ["a timer panicked: too late"]);
}

#[test]
fn many_errors_in_a_second_are_counted_and_not_told() {
    let faults = faults_of("many");
    let error = r"500 Internal server error: the disk\x0ais full";
    assert_eq!(faults[..10], [error; 10]);
    assert_eq!(faults[10..], ["40 more errors in the last second", error]);
}

#[test]
fn a_program_that_has_a_logger_or_says_so_gets_nothing_on_standard_error() {
    assert!(faults_of("logger").is_empty());
}

/// The tests of a program are one process, and the error of the last one matters as much as that of the first.
#[test]
fn each_test_client_tells_its_errors() {
    assert_eq!(faults_of("clients"), [r"500 Internal server error: the disk\x0ais full"; 30]);
}
