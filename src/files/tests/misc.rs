//! The field lines of a file's reply, and the replies to paths that name no file.

use std::fs::Permissions;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;

use super::{Folder, app, ask};
use crate::Router;
use crate::files::Files;
use crate::testing::TestReply;

/// Makes a directory with these files. The content of each file is its name.
fn folder(names: &[&str]) -> Folder {
    let folder = Folder::new("misc");
    names.iter().for_each(|name| folder.write(name, name));
    folder
}

fn field<'r>(reply: &'r TestReply, name: &str) -> Vec<&'r str> {
    reply.header_all(name).collect()
}

/// Status code and content.
#[track_caller]
fn answer(app: &mut Router<()>, line: &str, fields: &[&str]) -> String {
    let reply = ask(app, line, fields);
    format!("{} {}", reply.status(), reply.text())
}

#[test]
fn the_media_type_follows_from_the_extension() {
    let rows = [
        ("a.html", "text/html; charset=utf-8"),
        ("a.htm", "text/html; charset=utf-8"),
        ("A.HTML", "text/html; charset=utf-8"),
        ("a.css", "text/css; charset=utf-8"),
        ("a.js", "text/javascript; charset=utf-8"),
        ("a.txt", "text/plain; charset=utf-8"),
        ("a.md", "text/markdown; charset=utf-8"),
        ("a.csv", "text/csv; charset=utf-8"),
        ("a.json", "application/json"),
        ("a.wasm", "application/wasm"),
        ("a.svg", "image/svg+xml"),
        ("a.png", "image/png"),
        ("a.jpg", "image/jpeg"),
        ("a.webp", "image/webp"),
        ("a.avif", "image/avif"),
        // Not `image/x-icon`: this type is the registered one.
        ("a.ico", "image/vnd.microsoft.icon"),
        ("a.woff2", "font/woff2"),
        ("a.pdf", "application/pdf"),
        ("a.mp4", "video/mp4"),
        ("a.tar.gz", "application/gzip"),
        ("a.tar.zst", "application/zstd"),
        ("a.mjs", "text/javascript; charset=utf-8"),
        ("a.xml", "text/xml"),
        ("a.rss", "application/rss+xml"),
        ("a.js.map", "application/json"),
        ("a.webmanifest", "application/manifest+json"),
        ("a.yaml", "application/yaml"),
        ("a.vcf", "text/vcard; charset=utf-8"),
        ("a.rs", "text/plain; charset=utf-8"),
        ("a.jxl", "image/jxl"),
        ("a.otf", "font/otf"),
        ("a.m3u8", "application/vnd.apple.mpegurl"),
        ("a.ts", "video/mp2t"),
        ("a.mpd", "application/dash+xml"),
        ("a.m4s", "video/iso.segment"),
        ("a.m4a", "audio/mp4"),
        ("a.vtt", "text/vtt; charset=utf-8"),
        ("a.glb", "model/gltf-binary"),
        ("a.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        ("a.exe", "application/octet-stream"),
        ("a.html.bak", "application/octet-stream"),
        ("a.nobody-knows", "application/octet-stream"),
        ("Makefile", "application/octet-stream"),
        ("html", "application/octet-stream"),
        ("a.", "application/octet-stream"),
        ("dir.html/Makefile", "application/octet-stream"),
    ];
    let folder = folder(&rows.map(|(name, _)| name));
    let mut app = app("/", Files::new(folder.path("")).unwrap().media_type("own", "text/x-own; charset=latin1"));
    for (name, expected) in rows {
        for method in ["GET", "HEAD"] {
            let reply = ask(&mut app, &format!("{method} /{name}"), &[]);
            assert_eq!(field(&reply, "Content-Type"), [expected], "{name}");
            assert_eq!(field(&reply, "X-Content-Type-Options"), ["nosniff"], "{name}");
        }
    }
    folder.write("a.OWN", "own");
    assert_eq!(field(&ask(&mut app, "GET /a.OWN", &[]), "Content-Type"), ["text/x-own; charset=latin1"]);
}

#[test]
fn the_cache_control_depends_on_the_name_of_the_file() {
    let folder =
        folder(&["index.html", "app-1.js", "fonts/a.woff2", "sub/fonts/a.woff2", "404.html", "dir/index.html"]);
    let files = Files::new(folder.path("")).unwrap().cache_control("app-*.js", "max-age=31536000, immutable");
    let files = files.cache_control("/fonts/*", "max-age=60").cache_control("*.html", "no-cache");
    let mut app = app("/assets", files.cache_control("*.js", "never reached"));
    for (path, expected) in [
        ("/app-1.js", Some("max-age=31536000, immutable")),
        ("/fonts/a.woff2", Some("max-age=60")),
        ("/x/../fonts/a.woff2", Some("max-age=60")),
        ("/sub/fonts/a.woff2", None),
        ("/", Some("no-cache")),
        ("/dir/", Some("no-cache")),
    ] {
        let reply = ask(&mut app, &format!("GET /assets{path}"), &[]);
        assert_eq!((reply.status(), reply.header("Cache-Control")), (200, expected), "{path}");
    }
}

/// The `Cache-Control` of the page itself does not apply to the missing path.
#[test]
fn a_404_page_is_sent_with_no_cache() {
    let folder = folder(&["404.html"]);
    let mut app = app("/", Files::new(folder.path("")).unwrap().cache_control("*", "max-age=3600"));
    let reply = ask(&mut app, "GET /nothing", &[]);
    assert_eq!((reply.status(), field(&reply, "Cache-Control")), (404, vec!["no-cache"]));
    let reply = ask(&mut app, "GET /404.html", &[]);
    assert_eq!((reply.status(), field(&reply, "Cache-Control")), (200, vec!["max-age=3600"]));
}

#[test]
fn only_get_head_and_options_are_answered() {
    let folder = folder(&["file.txt", "dir/x", "404.html"]);
    for (prefix, at) in [("/", ""), ("/assets", "/assets")] {
        let mut app = app(prefix, Files::new(folder.path("")).unwrap());
        for path in ["/file.txt", "/dir", "/dir/", "/nothing", "/../x", "/"] {
            for method in ["POST", "PUT", "PATCH", "DELETE", "TRACE"] {
                let reply = ask(&mut app, &format!("{method} {at}{path}"), &[]);
                assert_eq!(reply.status(), 405, "{method} {path}");
                assert_eq!(field(&reply, "Allow"), ["GET, HEAD, OPTIONS"], "{method} {path}");
            }
            let reply = ask(&mut app, &format!("OPTIONS {at}{path}"), &[]);
            assert_eq!((reply.status(), field(&reply, "Allow")), (204, vec!["GET, HEAD, OPTIONS"]), "{path}");
        }
    }
}

#[test]
fn head_has_all_fields_that_get_has() {
    let folder = folder(&["file.txt", "dir/x", "page.html", "page.html.gz", "with-index/index.html"]);
    folder.write("large.bin", vec![b'x'; 100_000]);
    folder.write("empty.txt", "");
    for with_page in [false, true] {
        if with_page {
            folder.write("404.html", "not here");
        }
        for entries in [512, 0] {
            let files = Files::new(folder.path(""))
                .unwrap()
                .listing(true)
                .cache_control("*", "no-cache")
                .cache(entries, 1 << 20);
            let mut app = app("/assets", files);
            let is_listing = |target: &str| ["/", "/dir/"].contains(&target);
            let targets = ["", "/", "/file.txt", "/empty.txt", "/large.bin", "/dir", "/dir/", "/nothing", "/page.html"];
            for target in targets.iter().chain(&["/with-index/", "/..", "/x%2fy"]) {
                for fields in [&["Accept-Encoding: gzip"][..], &["If-None-Match: *"], &["If-Match: \"x\""], &[]] {
                    let get = ask(&mut app, &format!("GET /assets{target}"), fields);
                    let head = ask(&mut app, &format!("HEAD /assets{target}"), fields);
                    assert_eq!(head.status(), get.status(), "{target} with {fields:?}");
                    // The length of a listing is known only once it is made.
                    let is_known = |name: &str| !name.eq_ignore_ascii_case("Content-Length") || !is_listing(target);
                    let expected = get.headers().filter(|(name, _)| is_known(name));
                    assert!(head.headers().eq(expected), "{target} with {fields:?}: {head:?} and {get:?}");
                    assert!(head.body().is_empty());
                }
            }
        }
    }
}

#[test]
fn a_directory_is_answered_with_its_first_index() {
    let folder = folder(&["b.html", "both/a.html", "both/b.html", "none/x", "odd/a.html/x", "odd/b.html"]);
    let mut own = app("/", Files::new(folder.path("")).unwrap().index(["a.html", "b.html"]));
    assert_eq!(answer(&mut own, "GET /", &[]), "200 b.html");
    assert_eq!(answer(&mut own, "GET /both/", &[]), "200 both/a.html");
    assert_eq!(answer(&mut own, "GET /odd/", &[]), "200 odd/b.html", "a directory is no index");
    assert!(answer(&mut own, "GET /none/", &[]).starts_with("404 "));
    folder.fifo("none/a.html");
    assert!(answer(&mut own, "GET /none/", &[]).starts_with("404 "), "nor is a FIFO");
    let mut none = app("/", Files::new(folder.path("")).unwrap().index(Vec::<String>::new()));
    assert!(answer(&mut none, "GET /both/", &[]).starts_with("404 "));
}

#[test]
fn a_single_page_application_gets_its_index_for_unknown_paths() {
    let folder = folder(&["index.html", "app.js", "dir/x", "dir.d/index.html"]);
    for (prefix, at) in [("/", ""), ("/assets", "/assets")] {
        let mut app = app(prefix, Files::new(folder.path("")).unwrap().single_page(true));
        let html = "Accept: text/html,application/xhtml+xml,*/*;q=0.8";
        let rows: [(&str, &[&str], &str); 18] = [
            ("/users/7", &[], "200 index.html"),
            ("/users/7/", &[], "200 index.html"),
            ("/users?x=a.b", &[], "200 index.html"),
            ("/app.js", &[], "200 app.js"),
            ("/gone.js", &[], "404"),
            ("/v1.2/users", &[], "200 index.html"),
            ("/gone.js", &["Accept: */*"], "404"),
            ("/users/a.b@example.org", &[html], "200 index.html"),
            ("/users/7", &["Accept: application/json"], "200 index.html"),
            ("/dir", &[], "301"),
            ("/dir/", &[], "200 index.html"),
            ("/dir.d/", &[], "200 dir.d/index.html"),
            ("/dir/.", &[], "200 index.html"),
            ("/dir/f.txt/..", &[], "200 index.html"),
            ("/gone%2ejs", &[], "404"),
            ("/gone.js", &["Accept: text/html;q=0"], "404"),
            ("/gone.js", &["Accept: text/htmlx"], "404"),
            ("/gone.js", &["Accept: image/png, TEXT/HTML;q=0.1"], "200 index.html"),
        ];
        for (path, fields, expected) in rows {
            let found = answer(&mut app, &format!("GET {at}{path}"), fields);
            assert!(found == expected || found.starts_with(&format!("{expected} ")), "{path}: {found}");
            let head = ask(&mut app, &format!("HEAD {at}{path}"), fields);
            assert_eq!(head.status().to_string(), expected[..3], "HEAD {path}");
        }
        // A reply that depends on `Accept` says so in `Vary`.
        for (path, fields, expected) in
            [("/gone.js", &[][..], 404), ("/gone.js", &[html], 200), ("/users/7", &[html], 200), ("/app.js", &[], 200)]
        {
            let reply = ask(&mut app, &format!("GET {at}{path}"), fields);
            assert_eq!((reply.status(), field(&reply, "Vary").contains(&"Accept")), (expected, path == "/gone.js"));
        }
        // The reply is the index, with its type and its tag.
        let tag = ask(&mut app, &format!("GET {at}/"), &[]).header("ETag").unwrap().to_owned();
        let reply = ask(&mut app, &format!("GET {at}/users/7"), &[]);
        assert_eq!(field(&reply, "Content-Type"), ["text/html; charset=utf-8"]);
        let none_match = format!("If-None-Match: {tag}");
        assert_eq!(ask(&mut app, &format!("GET {at}/users/7"), &[&none_match]).status(), 304);
    }
    // A hidden file stays hidden, and a listing does not take the place of a missing index.
    let mut app = app("/", Files::new(folder.path("")).unwrap().single_page(true));
    folder.write(".env", "SECRET");
    assert!(!answer(&mut app, "GET /.env", &["Accept: text/html"]).contains("SECRET"));
    std::fs::remove_file(folder.path("index.html")).unwrap();
    let mut without = super::app("/", Files::new(folder.path("")).unwrap().single_page(true).listing(true));
    assert_eq!(ask(&mut without, "GET /users/7", &[]).status(), 404, "a listing is no index");
}

#[test]
fn a_missing_path_gets_the_404_page() {
    let folder = folder(&["404.html", "errors/none.html", "dir/404.html", "x/y"]);
    let files = || Files::new(folder.path("")).unwrap();
    let default = "404 {\"error\":\"Not found\"}";
    let rows: [(&str, Files, &str); 6] = [
        ("the default", files(), "404 404.html"),
        ("another page", files().not_found_page(Some("errors/none.html")), "404 errors/none.html"),
        ("a path with a leading slash", files().not_found_page(Some("/errors/none.html")), "404 errors/none.html"),
        ("no page", files().not_found_page(None), default),
        ("a page that does not exist", files().not_found_page(Some("gone.html")), default),
        ("a page that is a directory", files().not_found_page(Some("x")), default),
    ];
    for (name, files, expected) in rows {
        let mut app = app("/", files);
        for path in ["/nothing", "/x/", "/dir/nothing", "/.hidden", "/..%2fx", "/404.html/"] {
            assert_eq!(answer(&mut app, &format!("GET {path}"), &[]), expected, "{name}: {path}");
        }
    }
    // The page replaces neither a 400 nor the 404 of another route.
    let mut app = app("/", files());
    app.get("/own", |_, _, _| Err(crate::Error::not_found("No such thing")));
    assert_eq!(answer(&mut app, "GET /own", &[]), "404 {\"error\":\"No such thing\"}");
    assert!(answer(&mut app, "GET /%ff", &[]).starts_with("400 "));
}

#[test]
fn routes_and_several_directories_can_be_mounted_together() {
    let (one, two) = (folder(&["a.txt", "api/x"]), folder(&["b.txt"]));
    let mut app = app("/", Files::new(one.path("")).unwrap());
    app.mount("/two", Files::new(two.path("")).unwrap());
    app.get("/api/users", |_, _, res| res.text("users"));
    app.post("/api/users", |_, _, res| res.text("posted"));
    for (line, expected) in [
        ("GET /a.txt", "200 a.txt"),
        ("GET /two/b.txt", "200 b.txt"),
        ("GET /api/users", "200 users"),
        ("GET /api/x", "200 api/x"),
        ("POST /api/users", "200 posted"),
    ] {
        assert_eq!(answer(&mut app, line, &[]), expected, "{line}");
    }
    assert_eq!(ask(&mut app, "GET /two/a.txt", &[]).status(), 404);
}

#[test]
fn a_directory_that_cannot_be_served_is_an_error_at_once() {
    let folder = folder(&["a.txt", "x/y"]);
    for (name, kind) in [
        ("missing", ErrorKind::NotFound),
        ("missing/too", ErrorKind::NotFound),
        ("a.txt", ErrorKind::NotADirectory),
        ("a.txt/x", ErrorKind::NotADirectory),
    ] {
        let error = Files::new(folder.path(name)).expect_err(name);
        assert_eq!((error.kind(), error.directory()), (kind, folder.path(name).as_path()), "{name}");
        let text = error.to_string();
        assert!(text.starts_with(&format!("cannot serve {}: ", folder.path(name).display())), "{text}");
        assert_eq!((format!("{error:?}"), crate::server::Error::from(error).to_string()), (text.clone(), text));
    }
    let relative = Files::new("no-such-directory").expect_err("it is missing");
    assert_eq!(relative.directory(), std::env::current_dir().unwrap().join("no-such-directory"));

    // A directory in which nothing may be opened. Root may open all.
    std::fs::set_permissions(folder.path("x"), Permissions::from_mode(0o600)).unwrap();
    let closed = Files::new(folder.path("x")).map_err(|error| error.kind());
    let expected = if rustix::process::geteuid().is_root() { Ok(()) } else { Err(ErrorKind::PermissionDenied) };
    assert_eq!(closed.map(drop), expected);
    std::fs::set_permissions(folder.path("x"), Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn a_directory_may_appear_later_if_the_application_says_so() {
    let folder = folder(&[]);
    let mut app = app("/", Files::lazy(folder.path("later")));
    assert_eq!(answer(&mut app, "GET /a.txt", &[]), "404 {\"error\":\"Not found\"}");
    folder.write("later/a.txt", "here");
    assert_eq!(answer(&mut app, "GET /a.txt", &[]), "200 here");
}
