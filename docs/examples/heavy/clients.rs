//! Both programs as their users run them, with curl as the client. A run of CI must have curl.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use monoloop::exchange::{from_iter, to_reader};
use monoloop::{Config, Method, Router, Server};

/// The longest wait.
const LIMIT: Duration = Duration::from_secs(20);

const MIB: usize = 1 << 20;

// ---- programs -------------------------------------------------------------------------------------------------------

/// A program on a free port. It is killed at the end of the test, also if the test fails.
struct Program {
    child: Child,
    url: String,
}

impl Program {
    /// `None` without curl.
    fn start(path: &str, argument: &str) -> Option<Self> {
        let curl = Command::new("curl").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if curl.is_err() {
            assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "curl is not installed");
            eprintln!("skipped: curl is not installed");
            return None;
        }
        let mut child = Command::new(path)
            .args(["127.0.0.1:0", argument])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it was built");
        let output = child.stdout.take().expect("it is piped");
        let mut program = Self { child, url: String::new() };
        let (tell, told) = channel();
        thread::spawn(move || {
            let mut line = String::new();
            BufReader::new(output).read_line(&mut line).map(|_| tell.send(line))
        });
        let line = told.recv_timeout(LIMIT).expect("it listens in time");
        line.trim_end().strip_prefix("listening on ").expect("it listens").clone_into(&mut program.url);
        Some(program)
    }

    /// What curl prints for a path, in which bytes that are no UTF-8 are replaced.
    fn curl(&self, options: &[&str], path: &str) -> String {
        let url = format!("{}{path}", self.url);
        let output = Command::new("curl").args(["-sS", "-m", "20"]).args(options).arg(url).output().expect("curl runs");
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            text += &format!("curl: {}", output.status.code().unwrap_or_default());
        }
        text
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder for the files of a test. It is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("monoloop-examples-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).expect("the folder for temporary files can be written");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

// ---- sqlite ---------------------------------------------------------------------------------------------------------

#[test]
fn notes_are_kept() {
    let folder = Folder::new("notes");
    let file = folder.0.join("notes.db");
    let database = file.to_str().expect("it is text");
    let Some(notes) = Program::start(env!("CARGO_BIN_EXE_sqlite"), database) else { return };
    let add =
        |json: &str| notes.curl(&["-H", "Content-Type: application/json", "-d", json, "-w", " %{http_code}"], "/notes");
    assert_eq!(add(r#"{"name":"a","text":"it's"}"#), r#"{"id":1,"name":"a","text":"it's"} 201"#);
    assert_eq!(add(r#"{"name":"b","text":""}"#), r#"{"id":2,"name":"b","text":""} 201"#);
    assert_eq!(add(r#"{"name":"a","text":""}"#), r#"{"error":"That name is taken"} 409"#);
    assert!(add(r#"{"name":"a"}"#).ends_with(" 422"));
    assert!(add(r#"{"name":"a","text":"","x":1}"#).ends_with(" 422"));
    assert!(add("{").ends_with(" 400"));
    assert!(add(&format!(r#"{{"name":"{}","text":""}}"#, "x".repeat(70_000))).ends_with(" 413"));
    assert_eq!(notes.curl(&[], "/notes?after=1&limit=1"), r#"[{"id":2,"name":"b","text":""}]"#);
    let wrong = notes.curl(&["-w", " %{http_code}"], "/notes?limit=many");
    assert!(wrong.contains("limit") && wrong.ends_with(" 400"), "{wrong}");
    assert_eq!(notes.curl(&["-X", "DELETE", "-w", "%{http_code}"], "/notes/1"), "204");
    assert_eq!(notes.curl(&["-X", "DELETE", "-w", " %{http_code}"], "/notes/1"), r#"{"error":"No such note"} 404"#);
    drop(notes);

    let Some(notes) = Program::start(env!("CARGO_BIN_EXE_sqlite"), database) else { return };
    assert_eq!(notes.curl(&[], "/notes"), r#"[{"id":2,"name":"b","text":""}]"#);
}

// ---- proxy ----------------------------------------------------------------------------------------------------------

/// A server behind the proxy, for as long as the test runs. Its address is returned.
fn behind() -> String {
    let (tell, told) = channel();
    thread::spawn(move || {
        let mut app = Router::new(());
        app.get("/head", |_, req, res| {
            let named = |name| req.header(name).unwrap_or("none");
            let seen = [named("x-forwarded-for"), named("x-forwarded-host"), named("x-secret"), named("accept")];
            res.append_header("Set-Cookie", "a=1").append_header("Set-Cookie", "b=2").text(seen.join("|"))
        });
        app.get("/big", |_, _, res| res.stream(from_iter((0..64).map(|_| vec![b'x'; MIB]))));
        app.get("/cut", |_, _, res| {
            let (sent, sender) = res.channel()?;
            sender.send("half")?;
            // It is dropped without `finish`, which cuts the reply.
            Ok(sent)
        });
        app.get("/teapot", |_, _, res| res.status(418).text("short and stout"));
        app.duplex(Method::Post, "/count", |_, req, res| {
            let framing = if req.header("content-length").is_some() { "length" } else { "chunks" };
            let (sent, responder) = res.defer();
            let (sink, mut content) = to_reader();
            thread::spawn(move || {
                let mut room = vec![0; 64 << 10];
                let mut sum = 0;
                loop {
                    match content.read(&mut room) {
                        Ok(0) => return responder.text(format!("{sum} by {framing}")),
                        Ok(length) => sum += length,
                        Err(error) => return responder.error(error.into()),
                    }
                }
            });
            Ok((sent, sink))
        });
        let mut config = Config::default();
        config.signals = false;
        let server = Server::bind("127.0.0.1:0").expect("a free port").config(config);
        tell.send(format!("http://{}", server.local_addr())).expect("the test waits for it");
        server.run(app).expect("it serves until the tests end");
    });
    told.recv_timeout(LIMIT).expect("it listens in time")
}

#[test]
fn a_head_goes_both_ways_without_what_is_of_the_connection() {
    let Some(proxy) = Program::start(env!("CARGO_BIN_EXE_proxy"), &behind()) else { return };
    let host = proxy.url.trim_start_matches("http://");
    let options = ["-i", "-H", "X-Forwarded-For: 6.6.6.6", "-H", "Connection: x-secret", "-H", "X-Secret: 1"];
    let reply = proxy.curl(&options, "/head");
    assert!(reply.ends_with(&format!("127.0.0.1|{host}|none|*/*")), "{reply}");
    assert_eq!(reply.to_ascii_lowercase().matches("set-cookie: ").count(), 2, "{reply}");
    assert_eq!(proxy.curl(&["-w", " %{http_code}"], "/teapot"), "short and stout 418");
    assert_eq!(proxy.curl(&["-I", "-o", "/dev/null", "-w", "%{http_code}"], "/head"), "200");
}

#[test]
fn content_flows_both_ways() {
    let Some(proxy) = Program::start(env!("CARGO_BIN_EXE_proxy"), &behind()) else { return };
    let folder = Folder::new("content");
    let file = folder.0.join("content");
    fs::write(&file, vec![b'x'; 64 * MIB]).expect("there is room");
    let data = format!("@{}", file.display());
    let length = 64 * MIB;
    let count = |options: &[&str]| proxy.curl(&[&["-X", "POST"], options].concat(), "/count");
    assert_eq!(count(&["--data-binary", &data]), format!("{length} by length"));
    let chunked = ["-H", "Transfer-Encoding: chunked", "--data-binary", &data];
    assert_eq!(count(&chunked), format!("{length} by chunks"));
    assert_eq!(count(&[]), "0 by chunks");
    assert_eq!(proxy.curl(&["-o", "/dev/null", "-w", "%{size_download}"], "/big"), length.to_string());
}

#[test]
fn a_reply_that_breaks_off_is_not_taken_for_a_whole_one() {
    let Some(proxy) = Program::start(env!("CARGO_BIN_EXE_proxy"), &behind()) else { return };
    let reply = proxy.curl(&[], "/cut");
    assert!(reply.contains("curl: "), "curl took it for whole: {reply}");
}

#[test]
fn nothing_behind_is_a_502() {
    let Some(proxy) = Program::start(env!("CARGO_BIN_EXE_proxy"), "http://127.0.0.1:1") else { return };
    let reply = proxy.curl(&["-w", " %{http_code}"], "/");
    assert_eq!(reply, r#"{"error":"The server behind does not answer"} 502"#);
}
