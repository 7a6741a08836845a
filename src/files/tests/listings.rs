//! Replies to requests for a directory without an index.

use std::os::unix::fs::symlink;

use super::{Folder, app, ask};
use crate::files::{Files, Symlinks};
use crate::testing::TestReply;

/// Names with a special meaning in HTML or in a URI. The content of each file is its name.
const NASTY: [&str; 22] = [
    "<img src=x onerror=1>.txt",
    "javascript:alert(1)",
    "a&b\"c'.txt",
    "&lt;script&gt;",
    "100%.txt",
    "100%25.txt",
    "%2e%2e",
    "%2F",
    "#?.txt",
    "a b.txt",
    " begins and ends with a space ",
    "caf\u{e9}.txt",
    "\u{202e}txt.exe",
    "line\nbreak\r.txt",
    "tab\t\u{1}.txt",
    "a;b=c,d@e:f$g!h*i(j)",
    "http:",
    "mailto:a@example.org",
    "<script>alert(1)<script>",
    "~x",
    "x..",
    "[::1]",
];

fn folder() -> Folder {
    let folder = Folder::new("listing");
    for name in NASTY {
        folder.write(format!("dir/{name}"), name);
    }
    folder
}

/// All texts between `before` and the `after` that follows it.
fn between<'a>(html: &'a str, before: &'a str, after: &'a str) -> impl Iterator<Item = &'a str> {
    html.split(before).skip(1).map(move |rest| rest.split_once(after).expect(after).0)
}

fn unescape(text: &str) -> String {
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'");
    text.replace("&amp;", "&")
}

fn hrefs(reply: &TestReply) -> Vec<String> {
    between(reply.text(), "<a href=\"", "\"").map(unescape).collect()
}

/// The names that are shown.
fn names(reply: &TestReply) -> Vec<String> {
    let anchors = between(reply.text(), "<a href=\"", "</a>");
    anchors.map(|anchor| unescape(anchor.split_once("\">").expect("a start tag that ends").1)).collect()
}

#[test]
fn each_link_of_a_listing_leads_to_its_file() {
    let folder = folder();
    for (prefix, at) in [("/", ""), ("/assets", "/assets")] {
        let mut app = app(prefix, Files::new(folder.path("")).unwrap().listing(true));
        let directory = format!("{at}/dir/");
        let reply = ask(&mut app, &format!("GET {directory}"), &[]);
        let (hrefs, names) = (hrefs(&reply), names(&reply));
        assert_eq!((hrefs[0].as_str(), names[0].as_str()), ("../", "../"));
        let mut expected: Vec<&str> = NASTY.to_vec();
        let mut shown: Vec<&str> = names[1..].iter().map(String::as_str).collect();
        expected.sort_unstable();
        shown.sort_unstable();
        assert_eq!(shown, expected);
        for (href, name) in hrefs.iter().zip(&names).skip(1) {
            // The link is relative, has no scheme, and no character in it ends the path.
            let relative = href.strip_prefix("./").expect("a link into this directory");
            assert!(!relative.contains(['/', ':', '?', '#', '"', '<', '>', '&', '\'', ' ']), "{href}");
            let reply = ask(&mut app, &format!("GET {directory}{relative}"), &[]);
            assert_eq!((reply.status(), reply.text()), (200, name.as_str()), "{href}");
        }
    }
}

/// The page has no element but its own, and its policy allows no script.
#[test]
fn names_in_a_listing_are_never_markup() {
    let folder = folder();
    folder.write("<script>alert(1)<b>/x", "x");
    let mut app = app("/", Files::new(folder.path("")).unwrap().listing(true));
    let plain = ["!DOCTYPE", "html", "head", "meta", "title", "style", "body", "h1", "table", "thead", "tr", "th"];
    let plain = [&plain[..], &["tbody", "td", "a", "p"]].concat();
    for target in ["/dir/", "/%3Cscript%3Ealert(1)%3Cb%3E/", "/"] {
        let reply = ask(&mut app, &format!("GET {target}"), &[]);
        assert_eq!(reply.status(), 200, "{target}");
        for tag in reply.text().split('<').skip(1) {
            let name = tag.trim_start_matches('/').split([' ', '>']).next().unwrap();
            assert!(plain.contains(&name), "{target}: <{tag}");
        }
        assert_eq!(reply.header("Content-Type"), Some("text/html; charset=utf-8"));
        assert_eq!(reply.header("X-Content-Type-Options"), Some("nosniff"));
        assert_eq!(reply.header("Vary"), Some("Accept"));
        let policy = reply.header("Content-Security-Policy").expect("a policy");
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("script-src"), "{policy}");
    }
    let top = ask(&mut app, "GET /", &[]);
    assert!(!hrefs(&top).contains(&"../".to_owned()), "the top directory has no link to a parent");
    assert_eq!(names(&top), ["<script>alert(1)<b>/", "dir/"]);
}

#[test]
fn directories_come_first_and_only_names_that_can_be_requested_are_listed() {
    let outside = Folder::new("outside");
    outside.write("secret", "secret");
    let folder = Folder::new("listed");
    for name in ["b", "A", "c.txt", "dir/x", "Zoo/x", ".hidden", ".git/x", ".well-known/x", "back\\slash"] {
        folder.write(name, "x");
    }
    folder.fifo("fifo");
    symlink(outside.path("secret"), folder.path("out")).unwrap();
    symlink("nowhere", folder.path("dangling")).unwrap();
    symlink("b", folder.path("link")).unwrap();
    symlink("dir", folder.path("link-to-dir")).unwrap();
    let listed = |files: Files| names(&ask(&mut app("/", files.listing(true)), "GET /", &[]));
    let files = || Files::new(folder.path("")).unwrap();
    assert_eq!(listed(files()), [".well-known/", "dir/", "link-to-dir/", "Zoo/", "A", "b", "c.txt", "link"]);
    assert_eq!(listed(files().symlinks(Symlinks::Never)), [".well-known/", "dir/", "Zoo/", "A", "b", "c.txt"]);
    assert!(listed(files().symlinks(Symlinks::Follow)).contains(&"out".to_owned()));
    assert!(listed(files().hidden(true)).contains(&".git/".to_owned()));
    // Each listed name can be requested.
    let mut app = app("/", files().listing(true));
    for name in listed(files()) {
        let status = ask(&mut app, &format!("GET /{name}"), &[]).status();
        assert_eq!(status, 200, "{name}");
    }
}

#[test]
fn a_directory_is_listed_only_if_that_is_on_and_it_has_no_index() {
    let folder = folder();
    let mut without = app("/", Files::new(folder.path("")).unwrap());
    assert_eq!(ask(&mut without, "GET /dir/", &[]).status(), 404);
    assert_eq!(ask(&mut without, "GET /", &["Accept: application/json"]).status(), 404);
    let mut with = app("/", Files::new(folder.path("")).unwrap().listing(true));
    folder.write("dir/index.html", "index");
    assert_eq!(ask(&mut with, "GET /dir/", &[]).text(), "index");
    assert_eq!(ask(&mut with, "GET /dir/", &["Accept: application/json"]).text(), "index");
    for path in ["/nothing/", "/dir/x../", "/dir/x..//"] {
        assert_eq!(ask(&mut with, &format!("GET {path}"), &[]).status(), 404, "{path}");
    }
}

#[test]
fn a_listing_ignores_conditions_and_ranges() {
    let folder = folder();
    let mut app = app("/", Files::new(folder.path("")).unwrap().listing(true));
    let whole = ask(&mut app, "GET /dir/", &[]);
    for field in ["Range: bytes=0-1", "If-None-Match: *", "If-Modified-Since: Fri, 31 Dec 9999 23:59:59 GMT"] {
        assert_eq!(ask(&mut app, "GET /dir/", &[field]), whole, "{field}");
    }
}

#[cfg(feature = "json")]
#[test]
fn a_client_that_prefers_json_gets_it() {
    let folder = folder();
    folder.write("dir/sub/x", "x");
    folder.set_modified("dir/x..", 1_000_000_000);
    let mut app = app("/", Files::new(folder.path("")).unwrap().listing(true));
    for (accept, is_json) in [
        ("application/json", true),
        ("application/json, text/html;q=0.9", true),
        ("application/*", true),
        ("application/json, text/plain, */*", true),
        ("text/html;q=0.5, application/json", true),
        ("text/html;q=0, */*", true),
        ("application/*, text/html;q=0.9", true),
        ("text/*, application/json;q=0.5", false),
        ("text/html, application/json;q=0.9", false),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", false),
        ("*/*", false),
        ("application/json;q=0", false),
        ("image/png", false),
    ] {
        let reply = ask(&mut app, "GET /dir/", &[&format!("Accept: {accept}")]);
        let expected = if is_json { "application/json" } else { "text/html; charset=utf-8" };
        assert_eq!(reply.header("Content-Type"), Some(expected), "{accept}");
        assert_eq!(reply.header("Vary"), Some("Accept"), "{accept}");
        assert_eq!(reply.header("X-Content-Type-Options"), Some("nosniff"), "{accept}");
    }
    let listing: serde_json::Value = ask(&mut app, "GET /dir/", &["Accept: application/json"]).json();
    assert_eq!(listing["truncated"], false);
    let entries = listing["entries"].as_array().expect("a list");
    assert_eq!((&entries[0]["name"], &entries[0]["type"]), (&"sub".into(), &"directory".into()));
    let mut listed: Vec<&str> = entries[1..].iter().map(|entry| entry["name"].as_str().expect("a name")).collect();
    let mut expected: Vec<&str> = NASTY.to_vec();
    listed.sort_unstable();
    expected.sort_unstable();
    assert_eq!(listed, expected);
    let known = entries.iter().find(|entry| entry["name"] == "x..").expect("it is listed");
    let expected = serde_json::json!({
        "name": "x..", "type": "file", "size": 3, "modified": "2001-09-09T01:46:40Z",
    });
    assert_eq!(*known, expected);
}
