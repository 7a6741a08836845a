//! Third-party clients are served: curl, wrk and Node.

use std::process::{Command, Stdio};

use crate::{ALICE, BOB, Demo, End, Process};

#[test]
fn curl_is_served() {
    let Some(mut curl) = tool("curl") else { return };
    let demo = Demo::start(&[]);
    let base = format!("http://{}", demo.address);
    let (users, echo) = (format!("{base}/users"), format!("{base}/echo"));
    curl.args(["-sS", "-m", "8", "-w", "\n%{http_code} %{num_connects}\n"]);
    curl.args([&format!("{users}/1"), "--next", "-sS", "-m", "8", "-w", "\n%{http_code} %{num_connects}\n"]);
    curl.args(["--json", r#"{"name":"Dora"}"#, &users, "--next", "-sS", "-m", "8", "-w", "\n%{http_code}\n"]);
    curl.args(["-H", "Expect: 100-continue", "-H", "Transfer-Encoding: chunked", "-d", "in chunks", &echo]);
    let end = Process::start(curl).end();
    let expected = format!("{ALICE}\n200 1\n{{\"id\":4,\"name\":\"Dora\"}}\n201 0\nin chunks\n200\n");
    assert_eq!(end, End { code: Some(0), output: expected, errors: String::new() });
}

#[test]
fn wrk_finds_no_errors() {
    let Some(mut wrk) = tool("wrk") else { return };
    let demo = Demo::start(&[]);
    wrk.args(["-t1", "-c64", "-d1s", &format!("http://{}/plaintext", demo.address)]);
    let end = Process::start(wrk).end();
    assert_eq!(end.code, Some(0), "{end:?}");
    assert!(end.output.contains(" requests in ") && !end.output.contains("\n  0 requests in "), "{}", end.output);
    assert!(!end.output.contains("Socket errors") && !end.output.contains("Non-2xx"), "{}", end.output);
}

#[test]
fn node_fetch_is_served() {
    let Some(mut node) = tool("node") else { return };
    // Only a client that keeps its connections alive finishes all of this in time. There are two connections, whatever
    // the server: fetch opens a second one while it still finishes its first reply.
    let demo = Demo::start(&["--max-connections=2"]);
    let script = r#"
        const base = process.argv[1];
        const show = async (reply) => console.log(reply.status, await reply.text());
        const json = { 'Content-Type': 'application/json' };
        await show(await fetch(`${base}/users/2`));
        await show(await fetch(`${base}/users`, { method: 'POST', headers: json, body: '{"name":"Dora"}' }));
        await show(await fetch(`${base}/users/4`));
        await show(await fetch(`${base}/users/4`, { method: 'DELETE' }));
        await show(await fetch(`${base}/users/4`));
        console.log((await fetch(base, { method: 'HEAD' })).headers.get('access-control-allow-origin'));
        process.exit(0);
    "#;
    node.args(["--input-type=module", "-e", script, &format!("http://{}", demo.address)]);
    let end = Process::start(node).end();
    let dora = r#"{"id":4,"name":"Dora"}"#;
    let expected = format!(
        "200 {BOB}\n201 {dora}\n200 {dora}\n200 {{\"success\":true,\"deleted\":4}}\n\
         404 {{\"error\":\"User not found\"}}\n*\n"
    );
    assert_eq!(end, End { code: Some(0), output: expected, errors: String::new() });
}

/// Returns the tool if it is installed. A run of CI must have all tools.
fn tool(name: &str) -> Option<Command> {
    let known = Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if known.is_ok() {
        return Some(Command::new(name));
    }
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{name} is not installed");
    eprintln!("skipped: {name} is not installed");
    None
}
