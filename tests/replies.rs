//! What real clients make of cookies, of names for downloads and of entity tags.
#![cfg(all(feature = "cli", target_os = "linux"))]

mod support;

use std::cell::Cell;
use std::fs;
use std::process::Command;
use std::rc::Rc;
use std::time::Duration;

use monoloop::exchange::SameSite;
use monoloop::{Cookie, Router};
use serde_json::json;
use support::TestServer;
use support::browser::Browser;
use support::process::Process;
use support::serve::{Folder, works};

/// An application that sets cookies, and one page.
fn cookies(app: &mut Router<()>) {
    app.get("/", |_, _, res| res.html("<!DOCTYPE html><title>page</title>"));
    app.get("/set", |_, _, res| {
        let hour = Duration::from_secs(3600);
        let res = res.cookie(Cookie::new("session", "31d4:/=@!").max_age(hour)).cookie(("replaced", "1"));
        let res = res.cookie(("replaced", "2")).cookie(Cookie::new("theme", "dark").http_only(false));
        let res = res.cookie(Cookie::new("strict", "1").same_site(SameSite::Strict)).cookie(("quoted", "\"q\""));
        res.cookie(Cookie::new("below", "1").path("/below")).text("set")
    });
    app.get("/remove", |_, _, res| {
        res.remove_cookie("session").remove_cookie("quoted").cookie(Cookie::removal("below").path("/below")).text("")
    });
    app.get("/remove/:name", |_, req, res| res.remove_cookie(&req.param::<String>("name")?).text(""));
    app.get("/below/remove", |_, _, res| res.cookie(Cookie::removal("below").path("/below")).text(""));
    for path in ["/show", "/below/show"] {
        app.get(path, |_, req, res| {
            let mut cookies: Vec<&str> = req.header("cookie").unwrap_or_default().split("; ").collect();
            cookies.sort_unstable();
            res.text(cookies.join(" "))
        });
    }
}

const ALL: &str = "quoted=\"q\" replaced=2 session=31d4:/=@! strict=1 theme=dark";
const LEFT: &str = "replaced=2 strict=1 theme=dark";

#[test]
fn curl_keeps_the_cookies_and_forgets_those_that_are_removed() {
    if !works(&["curl", "--version"]) {
        return;
    }
    let folder = Folder::new();
    let server = TestServer::start(|app, _| cookies(app));
    let jar = folder.path("jar").display().to_string();
    let get = |path: &str| {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "-m", "25", "-b", &jar, "-c", &jar]).arg(format!("http://{}{path}", server.address()));
        Process::start(curl).end().success().to_owned()
    };
    assert_eq!(get("/set"), "set");
    assert_eq!((get("/show"), get("/below/show")), (ALL.to_owned(), format!("below=1 {ALL}")));
    // Of several removals in one reply, curl 7.88 heeds the last one only.
    for path in ["/remove/session", "/remove/quoted", "/below/remove"] {
        get(path);
    }
    assert_eq!((get("/show"), get("/below/show")), (LEFT.to_owned(), LEFT.to_owned()));
}

#[test]
fn chromium_keeps_the_cookies_and_forgets_those_that_are_removed() {
    let Some(mut browser) = Browser::start() else { return };
    let server = TestServer::start(|app, _| cookies(app));
    browser.open(&format!("http://{}/", server.address()));
    let script = "
        const get = async path => (await fetch(path)).text();
        await get('/set');
        const found = [document.cookie, await get('/show'), await get('/below/show')];
        await get('/remove');
        return [...found, await get('/show'), await get('/below/show')];";
    // A script sees the one that is not HttpOnly.
    assert_eq!(browser.run(script), json!(["theme=dark", ALL, format!("below=1 {ALL}"), LEFT, LEFT]));
}

/// A browser asks with `If-None-Match` by itself, and its page gets the content that it has.
#[test]
fn chromium_gets_the_content_of_a_tag_once() {
    let Some(mut browser) = Browser::start() else { return };
    let server = TestServer::start(|app, _| {
        cookies(app);
        let made = Rc::new(Cell::new(0));
        app.get("/tagged", move |_, req, res| {
            res.header("Cache-Control", "no-cache").etag("v1").if_changed(req, |res| {
                made.set(made.get() + 1);
                res.text(format!("made {} times", made.get()))
            })
        });
    });
    browser.open(&format!("http://{}/", server.address()));
    let script = "
        const get = async () => {
            const reply = await fetch('/tagged');
            return [reply.status, await reply.text()];
        };
        return [await get(), await get(), await get()];";
    let once = json!([200, "made 1 times"]);
    assert_eq!(browser.run(script), json!([once, once, once]));
}

#[test]
fn a_download_gets_the_name_that_was_given() {
    const NAMES: [(&str, &str); 5] = [
        ("report.pdf", "report.pdf"),
        ("two words; and=more, 'quoted'.txt", "two words; and=more, 'quoted'.txt"),
        ("/etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("a\r\nb\0c", "a__b_c"),
    ];
    if !works(&["curl", "--version"]) {
        return;
    }
    let server = TestServer::start(|app, _| {
        app.get("/download/:number", |_, req, res| {
            res.attachment(NAMES[req.param::<usize>("number")?].0).send("content")
        });
    });
    for (number, (given, expected)) in NAMES.iter().enumerate() {
        let folder = Folder::new();
        let mut curl = Command::new("curl");
        curl.args(["-sS", "-m", "25", "-OJ"]).current_dir(folder.path(""));
        Process::start({
            curl.arg(format!("http://{}/download/{number}", server.address()));
            curl
        })
        .end()
        .success();
        let saved: Vec<_> = fs::read_dir(folder.path("")).expect("it is there").map(|entry| entry.unwrap()).collect();
        let names: Vec<_> = saved.iter().map(|entry| entry.file_name().into_string().unwrap()).collect();
        assert_eq!(names, [*expected], "{given:?}");
    }
}
