//! Who gets the page, and who does not.

use std::process::Command;

use crate::support::Client;
use crate::support::process::Process;
use crate::{Demo, says, shake_hands};

#[test]
fn the_way_to_the_page_is_a_redirect() {
    let demo = Demo::start();
    let reply = demo.connect().ask("/_live");
    assert_eq!((reply.status, reply.header("location")), (307, Some(&*demo.url())));
}

#[test]
fn a_page_of_another_origin_gets_no_feed() {
    let demo = Demo::start();
    let page = demo.page;
    for (fields, status) in [
        (format!("Host: {page}\r\n"), 101),
        (format!("Host: {page}\r\nOrigin: http://{page}\r\n"), 101),
        (format!("Host: localhost:{0}\r\nOrigin: http://localhost:{0}\r\n", page.port()), 101),
        (format!("Host: {page}\r\nOrigin: http://{}\r\n", demo.address), 403),
        (format!("Host: {page}\r\nOrigin: https://attacker.example\r\n"), 403),
        (format!("Host: {page}\r\nOrigin: null\r\n"), 403),
        ("Host: attacker.example\r\nOrigin: http://attacker.example\r\n".to_owned(), 403),
    ] {
        assert_eq!(shake_hands(page, &fields).0, status, "{fields}");
    }
}

#[test]
fn only_the_page_blocks_the_loop() {
    let demo = Demo::start();
    let mut client = demo.connect();
    client
        .send("POST /_live/block HTTP/1.1\r\nHost: a\r\nOrigin: http://attacker.example\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(client.reply().status, 403);
    let mut feed = demo.feed();
    feed.start("block");
    feed.wait("reply of the blocking handler", |message| says(message, " was answered with 200 in 2."));
    client.send("POST /_live/block HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(client.reply().status, 403, "one click blocks it once");
}

#[test]
fn a_name_of_another_host_gets_nothing() {
    let demo = Demo::start();
    for path in ["/_live", "/_live/live.js", "/_live/feed", "/none"] {
        let mut client = Client::tcp(demo.page);
        client.send(format!("GET {path} HTTP/1.1\r\nHost: attacker.example:{}\r\n\r\n", demo.page.port()));
        assert_eq!(client.reply().status, 403, "{path}");
    }
}

#[test]
fn only_a_single_loop_of_the_demo_can_be_shown() {
    for (args, problem) in [
        (&["demo", "--live", "--workers=2"][..], "--live shows one event loop: use it with --workers 1"),
        (&["demo", "--live", "--workers=auto"], "--live shows one event loop: use it with --workers 1"),
        (&["serve", "--live"], "serve has no option --live"),
        (
            &["demo", "--live=everywhere"],
            "invalid value \"everywhere\" for --live: expected on, off, a port, or an address such as 127.0.0.1:3001",
        ),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_monoloop"));
        command.env_clear().args(args);
        let end = Process::start(command).end();
        assert_eq!((end.code, end.errors.lines().next()), (Some(2), Some(&*format!("monoloop: {problem}"))));
    }
}

#[test]
fn a_port_that_is_taken_is_named() {
    let demo = Demo::start();
    let mut command = Command::new(env!("CARGO_BIN_EXE_monoloop"));
    command.env_clear().args(["demo", "--port=0"]).arg(format!("--live={}", demo.page.port()));
    let end = Process::start(command).end();
    let problem = format!("Port {} is already in use\n", demo.page.port());
    assert_eq!((end.code, end.errors), (Some(1), problem));
}
