//! Python's `websockets` and Node's `ws`.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::demo::Demo;
use crate::support::process::Process;
use crate::support::serve::works;

/// How a client is started.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Python,
    Node,
}

pub(crate) const KINDS: [Kind; 2] = [Kind::Python, Kind::Node];

/// The interpreters that may have the package. Debian's is for the interpreter of Debian alone.
const PYTHONS: [&str; 2] = ["python3", "/usr/bin/python3"];

/// Where Debian, and npm with `--global`, put packages. Node of another origin does not look there by itself.
const NODE_PATH: &str = "/usr/share/nodejs:/usr/local/lib/node_modules:/usr/lib/node_modules";

impl Kind {
    /// The interpreter, if it has the package. A run of CI must have it.
    #[track_caller]
    fn interpreter(self) -> Option<&'static str> {
        match self {
            Self::Python => {
                let check = ["-c", "import websockets"];
                let found = PYTHONS.into_iter().find(|python| {
                    let mut command = Command::new(python);
                    command.args(check).stdout(Stdio::null()).stderr(Stdio::null());
                    command.status().is_ok_and(|status| status.success())
                });
                found.or_else(|| works(&[PYTHONS[1], check[0], check[1]]).then_some(PYTHONS[1]))
            }
            Self::Node => {
                let path = format!("NODE_PATH={NODE_PATH}");
                works(&["env", &path, "node", "-e", "require('ws')"]).then_some("node")
            }
        }
    }

    /// Starts a case of the script, with a unix socket to connect to if it is not the server itself. `None` if the
    /// package is not installed.
    #[track_caller]
    pub(crate) fn start(self, case: &str, url: &str, socket: Option<&Path>) -> Option<Process> {
        let mut command = Command::new(self.interpreter()?);
        let script = match self {
            Self::Python => "client.py",
            Self::Node => "client.js",
        };
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/websocket").join(script));
        command.args([case, url]).args(socket).env("NODE_PATH", NODE_PATH).env("PYTHONDONTWRITEBYTECODE", "1");
        Some(Process::start(command))
    }
}

/// Runs a case against the demo alone.
#[track_caller]
fn run(kind: Kind, case: &str) {
    let demo = Demo::start();
    let Some(mut client) = kind.start(case, &format!("ws://{}", demo.address), None) else { return };
    assert_eq!(client.end().clean(), "done\n");
    demo.tell_to_stop();
    demo.expect_end();
}

/// The server is stopped when the client is ready.
#[track_caller]
fn drain(kind: Kind) {
    let demo = Demo::start();
    let Some(mut client) = kind.start("drain", &format!("ws://{}", demo.address), None) else { return };
    assert_eq!(client.line(), "ready");
    demo.tell_to_stop();
    assert_eq!(client.end().clean(), "done\n");
    demo.expect_end();
}

#[test]
fn python_gets_back_what_it_sends() {
    run(Kind::Python, "echoes");
}

#[test]
fn node_gets_back_what_it_sends() {
    run(Kind::Node, "echoes");
}

#[test]
fn python_gets_pongs() {
    run(Kind::Python, "pings");
}

#[test]
fn node_gets_pongs() {
    run(Kind::Node, "pings");
}

#[test]
fn python_gets_its_close_code_back() {
    run(Kind::Python, "closes");
}

#[test]
fn node_gets_its_close_code_back() {
    run(Kind::Node, "closes");
}

#[test]
fn python_hears_why_it_is_refused() {
    run(Kind::Python, "refusals");
}

#[test]
fn node_hears_why_it_is_refused() {
    run(Kind::Node, "refusals");
}

#[test]
fn python_hears_that_the_server_stops() {
    drain(Kind::Python);
}

#[test]
fn node_hears_that_the_server_stops() {
    drain(Kind::Node);
}
