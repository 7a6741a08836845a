//! The example `upload`, over real sockets: with curl, with what a browser sends, and with a client that leaves.
#![cfg(all(feature = "cli", feature = "multipart", target_os = "linux"))]

mod support;
#[path = "../docs/examples/upload.rs"]
#[allow(dead_code, reason = "its `main` listens on a fixed port")]
mod upload;

use std::fs;
use std::io::Read;
use std::process::Command;

use support::process::Process;
use support::serve::{Folder, works};
use support::{Event, TestServer};

/// Starts the example. It stores files in the folder.
fn start(folder: &Folder) -> TestServer {
    let directory = folder.path("uploads");
    TestServer::start(move |app, _| *app = upload::app(&directory).expect("the directory can be made"))
}

fn names(folder: &Folder) -> Vec<String> {
    let entries = fs::read_dir(folder.path("uploads")).expect("it is there");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    names.sort_unstable();
    names
}

/// Runs curl, and returns what it prints: the reply, and its status.
#[track_caller]
fn curl(server: &TestServer, path: &str, options: &[&str]) -> String {
    let mut curl = Command::new("curl");
    curl.args(["-sS", "-m", "25", "-w", "\n%{http_code}"]).args(options);
    curl.arg(format!("http://{}{path}", server.address()));
    Process::start(curl).end().clean().to_owned()
}

#[test]
fn curl_uploads_files() {
    if !works(&["curl", "--version"]) {
        return;
    }
    let folder = Folder::new();
    let server = start(&folder);
    let content = support::pattern(3 << 20);
    let long = folder.write("a long one.bin", &content);
    let quoted = folder.write("say \"hi\"; caf\u{e9}.txt", "hello\r\n--\r\n");
    let files = [
        format!("file=@{}", long.display()),
        format!("file=@\"{}\"", quoted.display().to_string().replace('"', "\\\"")),
    ];

    // In one request, and a second time under other names.
    for _ in 0..2 {
        let sent = curl(&server, "/", &["-F", "note=From the beach", "-F", &files[0], "-F", &files[1]]);
        assert!(sent.ends_with("\n303"), "{sent}");
    }
    let expected = ["a long one-2.bin", "a long one.bin", "say _hi_; caf\u{e9}-2.txt", "say _hi_; caf\u{e9}.txt"];
    assert_eq!(names(&folder), expected);
    for name in &expected[..2] {
        support::assert_same(&fs::read(folder.path("uploads").join(name)).expect("a file"), &content, name);
    }
    // The page leads to each of them.
    let page = curl(&server, "/", &[]);
    assert!(page.contains("<a href=\"/files/say%20_hi_%3B%20caf%C3%A9.txt\">say _hi_; caf\u{e9}.txt</a>"), "{page}");
    let file = curl(&server, "/files/say%20_hi_%3B%20caf%C3%A9-2.txt", &["-D", "-"]);
    assert!(file.contains("Content-Disposition: attachment\r\n") && file.ends_with("hello\r\n--\r\n\n200"), "{file}");
    let missing = curl(&server, "/files/none.txt", &["-D", "-"]);
    assert!(
        !missing.contains("Content-Disposition") && missing.ends_with("{\"error\":\"Not found\"}\n404"),
        "{missing}"
    );

    // Chunked, and with a name that leads out of the directory.
    let up = format!("file=@{};filename=../../up.bin", long.display());
    let sent = curl(&server, "/", &["-H", "Transfer-Encoding: chunked", "-H", "Expect: 100-continue", "-F", &up]);
    assert!(sent.ends_with("\n303"), "{sent}");
    support::assert_same(&fs::read(folder.path("uploads/up.bin")).expect("a file"), &content, "chunked");
}

#[test]
fn curl_learns_what_is_wrong() {
    if !works(&["curl", "--version"]) {
        return;
    }
    let folder = Folder::new();
    let server = start(&folder);
    for (options, answer) in [
        (&["-F", "other=x"][..], "{\"error\":\"The form has no field \\\"other\\\"\"}\n400"),
        (&["-F", "note=x"], "{\"error\":\"Choose a file\"}\n422"),
        (&["-F", "file=;filename="], "{\"error\":\"Choose a file\"}\n422"),
        (&["-d", "note=x"], "{\"error\":\"Expected multipart/form-data\"}\n415"),
        (&["-F", "file=x;encoder=base64;filename=x"], "not supported\"}\n415"),
        (&["-F", "file=x;filename=x", "-H", "Sec-Fetch-Site: cross-site"], "from another site\"}\n403"),
    ] {
        let said = curl(&server, "/", options);
        assert!(said.ends_with(answer), "{options:?}: {said}");
    }
    let many: Vec<_> = (0..21).flat_map(|_| ["-F", "note=x"]).collect();
    assert_eq!(curl(&server, "/", &many), "{\"error\":\"The form has more than 20 parts\"}\n413");
    assert!(names(&folder).is_empty());
}

/// The form of the page as Chromium sends it: no file was chosen in the second field.
#[test]
fn a_browser_uploads_a_file() {
    let folder = Folder::new();
    let server = start(&folder);
    let boundary = "----WebKitFormBoundaryx3G8sPBXcYDCYyRc";
    let body = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\ncaf\u{e9}\r\n\
         --{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a%22b\\c.txt\"\r\n\
         Content-Type: text/plain\r\n\r\nhello\n\r\n\
         --{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n\r\n--{boundary}--\r\n"
    );
    let mut client = server.connect();
    client.send(format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary={boundary}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    assert_eq!(client.reply().status, 303);
    assert_eq!(names(&folder), ["c.txt"]);
    assert_eq!(fs::read_to_string(folder.path("uploads/c.txt")).expect("a file"), "hello\n");
}

#[test]
fn a_client_that_leaves_in_the_middle_leaves_nothing() {
    let folder = Folder::new();
    let server = start(&folder);
    let (mut client, id) = server.connect_known();
    client.send(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 100000\r\n\
         Expect: 100-continue\r\n\r\n",
    );
    let mut interim = [0; b"HTTP/1.1 100 Continue\r\n\r\n".len()];
    client.socket().read_exact(&mut interim).expect("the form is awaited");
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    client.send("--b\r\nContent-Disposition: form-data; name=file; filename=x\r\n\r\nhalf of it");
    drop(client);
    server.log.wait_for("the connection ends", |event| match event {
        Event::Closed(known, why) if *known == id => Some(*why),
        _ => None,
    });
    assert_eq!(server.connect().ask("/").status, 200);
    assert!(names(&folder).is_empty());
}
