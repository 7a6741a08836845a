//! Counts user-space instructions and compares them with committed figures. Each row of the table says what a piece of
//! work costs. A run fails if a count is more than 5 % above that figure. It also fails if a count is more than 5 %
//! below: an outdated figure would hide the next regression of that size, so commit the better one.
//!
//! It counts all rows, or those whose name contains a word. It needs valgrind, and takes seconds once it is built:
//!
//!     cargo bench --features internals --bench instructions
//!     cargo bench --features internals --bench instructions -- route
//!
//! Each row is counted in a separate process under callgrind, which counts only within [`under_callgrind`]. The data
//! are fixed, time is virtual, the environment is empty, and nothing hashes with random keys. So two runs give the same
//! figure.
//!
//! What a figure depends on besides our code:
//!
//! - It depends on the compiler and the versions of the dependencies. An update of these needs new figures. (Debug
//!   information makes no difference, so CI counts in the profile `release`, most of which is built anyway.)
//! - It depends a little on the machine. httparse, memchr and the C library choose variants of a function by the
//!   features of the processor; the C library (`memcpy` and others) may also differ from one release to the next.
//!   Valgrind emulates features up to AVX2 and shows none beyond. So x86-64 machines with AVX2 should agree within the
//!   tolerance. On an older machine some rows may fail, and on another architecture no row is counted.
//! - It does not depend on the load of the machine, its clock rate or its kernel.
//!
//! A whole request goes through `TestClient`: session, connection, router and handler are those of a server, but there
//! is no socket and no poll. `benches/measure.py instructions` counts them too.

mod support;

use std::hint::black_box;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use monoloop::Config;
use monoloop::internals::{Encoder, HeadParser, decode_chunks, exchange, find_route};
use support::{BROWSER, FILE, PLAIN, POST, POST_CHUNKED, Routes, chunked, client, date};

/// What is counted, how many instructions it may take, and how to do it.
struct Row {
    name: &'static str,
    committed: u64,
    /// Prepares the input and calls [`counted`] once.
    run: fn(),
}

const fn row(name: &'static str, committed: u64, run: fn()) -> Row {
    Row { name, committed, run }
}

/// Instructions, rounded to whole ones: per head, per path, per reply, per body, per request.
const TABLE: [Row; 17] = [
    row("parse: Host only", 391, || parse(PLAIN)),
    row("parse: 20 browser fields", 3068, || parse(&BROWSER)),
    row("route: static, among 10", 119, || route(Routes::Static, 10, true)),
    row("route: parameter, among 10", 528, || route(Routes::Param, 10, true)),
    row("route: static, among 500", 119, || route(Routes::Static, 500, true)),
    row("route: parameter, among 500", 544, || route(Routes::Param, 500, true)),
    row("route: a miss, among 500", 403, || route(Routes::Static, 500, false)),
    row("encode: head and 13 bytes", 266, encode),
    row("chunks: 64 of 1 KiB", 9682, || decode(64, 1024)),
    row("chunks: 1024 of 3 bytes", 118_994, || decode(1024, 3)),
    row("request: Host only", 1921, || request(PLAIN, 1, false)),
    row("request: Host only, CORS", 2093, || request(PLAIN, 1, true)),
    row("request: 20 browser fields", 4838, || request(&BROWSER, 1, false)),
    row("request: pipelined x16, each", 1054, || request(PLAIN, 16, false)),
    row("request: POST, Content-Length", 2609, || request(POST, 1, false)),
    row("request: a small file, kept", 3291, || request(FILE, 1, false)),
    row("request: POST, chunked", 4459, || request(POST_CHUNKED, 1, false)),
];

/// How far a count may be from the committed figure, in percent.
const TOLERANCE: u64 = 5;

// ---- the work -------------------------------------------------------------------------------------------------------

fn parse(head: &str) {
    let config = Config::default();
    // The head is on the heap, as in a server. The linker chooses the address of a constant, and the check of UTF-8,
    // word by word, depends on that address.
    let head = head.as_bytes().to_vec();
    let mut parser = HeadParser::default();
    counted(1, || parser.parse(black_box(&head), &config));
}

fn route(routes: Routes, count: usize, hit: bool) {
    let app = routes.router(count);
    let path = routes.path(if hit { count / 2 } else { count });
    assert_eq!(find_route(&app, &path).is_some(), hit);
    counted(1, || find_route(&app, black_box(&path)));
}

fn encode() {
    let mut encoder = Encoder::new(date());
    counted(1, || encoder.text(black_box("Hello, World!")));
}

fn decode(count: usize, size: usize) {
    let body = chunked(count, size);
    assert_eq!(decode_chunks(&body), count * size);
    counted(1, || decode_chunks(black_box(&body)));
}

/// A request on a kept connection, sent `depth` times at once.
fn request(request: &str, depth: usize, cors: bool) {
    let mut client = client(cors);
    client.write(request);
    let reply = client.read_reply().expect("a reply");
    assert_eq!((reply.status(), reply.header("Access-Control-Allow-Origin").is_some()), (200, cors));
    let batch = request.repeat(depth);
    counted(depth, || exchange(&mut client, black_box(batch.as_bytes())));
}

// ---- under callgrind ------------------------------------------------------------------------------------------------

/// How often a piece of work is done.
const ROUNDS: u64 = 100;

/// Rounds that are not counted. The first ones allocate the buffers of the pools and link functions at their first
/// call.
const WARM_UP: u64 = 10;

/// Does the work, and prints how many units the counted part had.
fn counted<R>(units: usize, mut work: impl FnMut() -> R) {
    rounds(WARM_UP, &mut work);
    under_callgrind(&mut work);
    println!("{}", ROUNDS * units as u64);
}

/// Callgrind finds this function by its name, [`COUNTED`].
#[inline(never)]
fn under_callgrind<R>(work: &mut impl FnMut() -> R) {
    rounds(ROUNDS, work);
}

const COUNTED: &str = "instructions::under_callgrind*";

#[inline(always)]
fn rounds<R>(count: u64, work: &mut impl FnMut() -> R) {
    for _ in 0..count {
        black_box(work());
    }
}

/// Starts another process of this program that counts a row.
fn count(row: &Row) -> u64 {
    let profile = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("callgrind.{}", std::process::id()));
    let output = Command::new("valgrind")
        .args(["--quiet", "--tool=callgrind", &format!("--toggle-collect={COUNTED}")])
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(std::env::current_exe().expect("this program has a path"))
        .args([RUN, row.name])
        // The size of the environment would move the stack.
        .env_clear()
        .stderr(Stdio::inherit())
        .output()
        .expect("valgrind starts");
    assert!(output.status.success(), "{}: valgrind ended with {}", row.name, output.status);
    let units: u64 = String::from_utf8_lossy(&output.stdout).trim().parse().expect("a run prints its number of units");
    let text = std::fs::read_to_string(&profile).expect("callgrind has written its profile");
    let _ = std::fs::remove_file(&profile);
    let total = text.lines().find_map(|line| line.strip_prefix("totals: ")).expect("a profile has its totals");
    let total: u64 = total.trim().parse().expect("a total is a number");
    assert!(total > 0, "{}: callgrind knows no function by the name {COUNTED}", row.name);
    (total + units / 2) / units
}

/// The option for the process that is counted.
const RUN: &str = "--run";

// ---- the verdict ----------------------------------------------------------------------------------------------------

fn main() -> ExitCode {
    // `cargo bench` adds `--bench`.
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if let [RUN, name] = args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        let row = TABLE.iter().find(|row| row.name == name).expect("a row of the table");
        (row.run)();
        return ExitCode::SUCCESS;
    }
    if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        println!("skipped: the figures are those of Linux on x86-64");
        return ExitCode::SUCCESS;
    }
    if Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_err() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "valgrind is not installed");
        println!("skipped: valgrind is not installed");
        return ExitCode::SUCCESS;
    }

    println!("{:<32}{:>12}{:>12}{:>10}", "instructions", "committed", "counted", "change");
    let mut failures = Vec::new();
    for row in TABLE.iter().filter(|row| args.is_empty() || args.iter().any(|arg| row.name.contains(arg))) {
        let (committed, counted) = (row.committed, count(row));
        let change = (counted as f64 / committed as f64 - 1.0) * 100.0;
        println!("{:<32}{committed:>12}{counted:>12}{change:>+9.1}%", row.name);
        failures.extend(verdict(row, counted));
    }
    println!();
    for failure in &failures {
        eprintln!("{failure}");
    }
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The failure of a count that is outside of the tolerance.
fn verdict(row: &Row, counted: u64) -> Option<String> {
    let Row { name, committed, .. } = row;
    let advice = if counted * 100 > committed * (100 + TOLERANCE) {
        "Make it cheaper again, or commit the new figure and say in the message what it buys."
    } else if counted * 100 < committed * (100 - TOLERANCE) {
        "Commit the better figure, so that it is kept."
    } else {
        return None;
    };
    Some(format!("{name}: counted {counted}, but benches/instructions.rs has {committed}. {advice}"))
}
