//! No path may lead to a file outside the directory, or past a middleware that guards a part of it.

use std::ops::ControlFlow;
use std::os::unix::fs::symlink;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::{Folder, app, ask, cases};
use crate::files::Files;
use crate::http::Error;
use crate::router::Routes;
use crate::testing::TestReply;
use crate::{Router, TestClient};

const SECRET: &[u8] = b"SECRET-THAT-NOBODY-MUST-SEE";

/// Makes a directory `root` with files, and beside it files that must not be served. The content of each file is its
/// name, or `SECRET` if it must not be served.
fn folder() -> Folder {
    let folder = Folder::new("paths");
    for name in ["file.txt", "index.html", "dir/index.html", "dir/file.txt", "dir/sub/x", "private/x", "private/y"] {
        folder.write(format!("root/{name}"), name);
    }
    for name in [".well-known/acme", "a b/x", "new\r\nSet-Cookie: a=b/x", "http:/x", "evil.com/x", "x..y/z.", "100%/x"]
    {
        folder.write(format!("root/{name}"), name);
    }
    for name in ["secret.txt", "etc/passwd", "root/.hidden", "root/.git/config", "root/dir/.hidden", "root/.../x"] {
        folder.write(name, SECRET);
    }
    for name in ["root/.well-known/.hidden", "root/dir/.well-known/x", "root/a\\b", "rooted/secret.txt"] {
        folder.write(name, SECRET);
    }
    symlink("../secret.txt", folder.path("root/out")).unwrap();
    symlink("..", folder.path("root/outdir")).unwrap();
    symlink(folder.path("secret.txt"), folder.path("root/absolute")).unwrap();
    folder
}

fn files(folder: &Folder) -> Files {
    Files::new(folder.path("root")).unwrap()
}

#[track_caller]
fn assert_no_secret(reply: &TestReply, target: &str) {
    assert!(memchr::memmem::find(reply.body(), SECRET).is_none(), "{target}: {reply:?}");
    for (name, value) in reply.headers() {
        assert!(!value.contains("SECRET") && !name.eq_ignore_ascii_case("set-cookie"), "{target}: {reply:?}");
    }
}

/// The outcome of a request in short: the status code, with the content or the Location.
#[track_caller]
fn outcome(app: &mut Router<()>, target: &str) -> String {
    let reply = ask(app, &format!("GET {target}"), &[]);
    assert_no_secret(&reply, target);
    match reply.status() {
        200 => format!("200 {}", reply.text()),
        301 => format!("301 {}", reply.header("Location").unwrap_or_default()),
        status => status.to_string(),
    }
}

/// Paths below the mount point, and their outcomes; a Location is given without the mount point.
#[rustfmt::skip]
const BOTH: &[(&str, &str)] = &[
    ("/file.txt", "200 file.txt"),
    ("/", "200 index.html"),
    // Dot segments, plain and encoded; they are decoded only once.
    ("/./file.txt", "200 file.txt"),
    ("/%2e/file.txt", "200 file.txt"),
    ("/dir/../file.txt", "200 file.txt"),
    ("/dir/%2e%2E/file.txt", "200 file.txt"),
    ("/dir/.%2e/file.txt", "200 file.txt"),
    ("/nothing/%2e./file.txt", "200 file.txt"),
    ("/file.txt/../dir/file.txt", "200 dir/file.txt"),
    ("/file.txt/..", "200 index.html"),
    ("/../secret.txt", "404"),
    ("/../../../../../../etc/passwd", "404"),
    ("/../rooted/secret.txt", "404"),
    ("/dir/../../secret.txt", "404"),
    ("/%2e%2e/secret.txt", "404"),
    ("/%2E%2E/%2e%2e/secret.txt", "404"),
    ("/.%2e/secret.txt", "404"),
    ("/%2e./secret.txt", "404"),
    ("/%252e%252e/secret.txt", "404"),
    ("/%25%32%65%25%32%65/secret.txt", "404"),
    ("/....//secret.txt", "404"),
    ("/..;/secret.txt", "404"),
    ("/.;/file.txt", "404"),
    ("/.../", "404"),
    ("/.../x", "404"),
    // Invalid UTF-8, above all overlong forms of dots and slashes.
    ("/%c0%ae%c0%ae/secret.txt", "400"),
    ("/..%c0%afsecret.txt", "400"),
    ("/%e0%80%ae%e0%80%ae/secret.txt", "400"),
    ("/%f0%80%80%ae/secret.txt", "400"),
    ("/%ff", "400"),
    ("/%ed%a0%80", "400"),
    ("/%u002e%u002e/secret.txt", "400"),
    ("/%", "400"),
    ("/%2", "400"),
    // Full-width dots and slashes are ordinary characters.
    ("/%ef%bc%8e%ef%bc%8e/secret.txt", "404"),
    ("/..%ef%bc%8fsecret.txt", "404"),
    // Separators of other operating systems.
    ("/..\\secret.txt", "400"),
    ("/..%5csecret.txt", "404"),
    ("/%5c..%5csecret.txt", "404"),
    ("/dir%5cfile.txt", "404"),
    ("/a%5cb", "404"),
    ("/C:/secret.txt", "404"),
    ("/C:%5csecret.txt", "404"),
    ("/file.txt::$DATA", "404"),
    // NUL, which ends a string in C, and encoded slashes, which do not separate segments.
    ("/%00", "400"),
    ("/file.txt%00.html", "400"),
    ("/dir%2ffile.txt", "404"),
    ("/..%2fsecret.txt", "404"),
    ("/%2e%2e%2fsecret.txt", "404"),
    ("/%2e%2e%2Fsecret.txt/../file.txt", "200 file.txt"),
    ("/%2fetc%2fpasswd", "404"),
    ("/dir/..%2f..%2fsecret.txt", "404"),
    // Characters that other operating systems ignore in a name.
    ("/file.txt.", "404"),
    ("/file.txt%20", "404"),
    ("/file.txt..", "404"),
    ("/FILE.TXT", "404"),
    ("/x..y/z.", "200 x..y/z."),
    ("/dir.", "404"),
    // A file is not a directory.
    ("/file.txt/", "404"),
    ("/file.txt/.", "404"),
    ("/file.txt/x", "404"),
    // Empty segments.
    ("//file.txt", "200 file.txt"),
    ("///dir///file.txt", "200 dir/file.txt"),
    ("//etc/passwd", "404"),
    ("//", "200 index.html"),
    // Directories by a path that is not canonical.
    ("/dir/", "200 dir/index.html"),
    ("/dir/.", "200 dir/index.html"),
    ("/dir/sub/..", "200 dir/index.html"),
    ("/dir", "301 /dir/"),
    ("/dir/sub", "301 /dir/sub/"),
    ("//dir", "301 /dir/"),
    ("///dir//sub", "301 /dir/sub/"),
    ("/./dir", "301 /dir/"),
    ("/nothing/../dir", "301 /dir/"),
    ("/%64ir", "301 /dir/"),
    ("//evil.com", "301 /evil.com/"),
    ("//evil.com/../evil.com", "301 /evil.com/"),
    ("///evil.com//%2e%2e//evil.com", "301 /evil.com/"),
    ("/%2f/../evil.com", "301 /evil.com/"),
    ("/http:", "301 /http%3A/"),
    ("/a%20b", "301 /a%20b/"),
    ("/100%25", "301 /100%25/"),
    ("/new%0d%0aSet-Cookie:%20a=b", "301 /new%0D%0ASet-Cookie%3A%20a=b/"),
    ("/dir?", "301 /dir/?"),
    ("/dir?a=b&c=%20/../..", "301 /dir/?a=b&c=%20/../.."),
    ("//dir?//evil.com", "301 /dir/?//evil.com"),
    ("/file.txt?../secret.txt", "200 file.txt"),
    ("/dir/sub/", "404"),
    // Hidden files, and `/.well-known`, which is served.
    ("/.hidden", "404"),
    ("/%2ehidden", "404"),
    ("/.git/config", "404"),
    ("/.git/../file.txt", "200 file.txt"),
    ("/dir/.hidden", "404"),
    ("/dir/%2Ehidden", "404"),
    ("/.well-known/acme", "200 .well-known/acme"),
    ("/%2ewell-known/acme", "200 .well-known/acme"),
    ("/.well-known", "301 /.well-known/"),
    ("/.well-known/.hidden", "404"),
    ("/dir/.well-known/x", "404"),
    // Links that lead outside.
    ("/out", "404"),
    ("/out/", "404"),
    ("/outdir", "404"),
    ("/outdir/secret.txt", "404"),
    ("/outdir/root/file.txt", "404"),
    ("/absolute", "404"),
];

#[test]
fn a_path_has_the_same_outcome_under_every_mount_point() {
    let folder = folder();
    // The mount point, the prefix of the request, and whether `Root` walks each path itself.
    for (mounted, asked, walks) in [
        ("/", "", false),
        ("/assets", "/assets", false),
        ("/assets", "/assets", true),
        ("/\u{e9}/b", "/%C3%A9/%62", true),
    ] {
        let files = files(&folder);
        if walks {
            files.root.walk_here();
        }
        let mut app = app(mounted, files);
        for (path, expected) in BOTH {
            let expected = expected.replace("301 ", &format!("301 {asked}"));
            assert_eq!(
                outcome(&mut app, &format!("{asked}{path}")),
                expected,
                "{path:?} in {mounted:?}, walked: {walks}"
            );
        }
    }
}

/// A `..` above "/" leads to "/" again. Above any other mount point it leads out of the files.
#[test]
fn a_path_that_climbs_out_of_the_mount_is_a_404() {
    let folder = folder();
    let (mut top, mut below) = (app("/", files(&folder)), app("/assets", files(&folder)));
    for (path, at_top) in [
        ("/../file.txt", "200 file.txt"),
        ("/dir/../../file.txt", "200 file.txt"),
        ("/%2e%2e/dir", "301 /dir/"),
        ("/..", "200 index.html"),
        ("/../", "200 index.html"),
        ("/../assets/file.txt", "404"),
    ] {
        assert_eq!(outcome(&mut top, path), at_top, "{path}");
        assert_eq!(outcome(&mut below, &format!("/assets{path}")), "404", "{path}");
    }
    assert_eq!(outcome(&mut below, "/assets"), "301 /assets/");
    assert_eq!(outcome(&mut below, "/assets?a=/../b"), "301 /assets/?a=/../b");
    assert_eq!(outcome(&mut below, "//assets"), "404");
    assert_eq!(outcome(&mut below, "/assetsfile.txt"), "404");
    assert_eq!(outcome(&mut below, "/"), "404");
}

#[test]
fn a_target_in_absolute_form_does_not_leave_the_directory() {
    let folder = folder();
    let mut app = app("/", files(&folder));
    for (target, expected) in [
        ("http://localhost/file.txt", "200 file.txt"),
        ("http://localhost", "200 index.html"),
        ("HTTP://localhost/dir/../file.txt", "200 file.txt"),
        ("http://localhost/../secret.txt", "404"),
        ("http://localhost/%2e%2e/%2e%2e/secret.txt", "404"),
        ("http://localhost/dir", "301 /dir/"),
        ("http://localhost//evil.com", "301 /evil.com/"),
        ("http://localhost/..\\secret.txt", "400"),
        ("file:///etc/passwd", "400"),
        ("../secret.txt", "400"),
    ] {
        assert_eq!(outcome(&mut app, target), expected, "{target}");
    }
}

#[test]
fn a_path_may_be_very_long_and_have_very_many_segments() {
    let folder = folder();
    let mut app = app("/", files(&folder));
    for (name, path, expected) in [
        ("a name of 255 bytes", format!("/{}", "a".repeat(255)), "404"),
        ("a name of 256 bytes", format!("/{}", "a".repeat(256)), "404"),
        ("a name that is too long with a suffix", format!("/{}", "a".repeat(253)), "404"),
        ("a name as long as a target may be", format!("/{}", "a".repeat(8191)), "404"),
        ("a target that is too long", format!("/{}", "a".repeat(8192)), "414"),
        ("more segments than a path has bytes", "/a".repeat(4096), "404"),
        ("nothing but slashes", "/".repeat(8192), "200 index.html"),
        ("up and down", format!("{}/file.txt", "/dir/..".repeat(1100)), "200 file.txt"),
        ("up and up", format!("{}/file.txt", "/..".repeat(2700)), "200 file.txt"),
        ("up and up, encoded", format!("{}/secret.txt", "/%2e%2e".repeat(1100)), "404"),
        ("dots", format!("/{}", ".".repeat(8000)), "404"),
        ("long, and then back", format!("/{}/../file.txt", "a".repeat(8000)), "200 file.txt"),
        ("encoded all over", format!("/{}", "%61".repeat(2700)), "404"),
    ] {
        assert_eq!(outcome(&mut app, &path), expected, "{name}");
    }
}

#[test]
fn no_spelling_of_a_path_bypasses_a_middleware() {
    let folder = folder();
    for (prefix, guarded) in [("/assets", "/assets/private"), ("/", "/private"), ("/assets", "/:any/private")] {
        let mut part = Routes::new();
        part.with(|(), _, _| ControlFlow::Break(Err(Error::new(401, "Who are you?"))));
        let mut app = app(prefix, files(&folder));
        app.mount(guarded, part);
        let at = prefix.trim_end_matches('/');
        assert_eq!(outcome(&mut app, &format!("{at}/file.txt")), "200 file.txt");
        for path in [
            "/private/x",
            "/private/",
            "/private",
            "/./private/x",
            "//private/x",
            "///./private//x",
            "/x/../private/y",
            "/%2e/private/x",
            "/x/%2e%2e/private/x",
            "/private/../private/x",
            "/private/./x",
            "/dir/sub/../../private/x",
            "/%70rivate/x",
            "/%2e/%70rivate/x",
            "/.%2fx/../private/x",
            "/x/..//private",
            "/private/.",
            "/x/../private/..//private/x",
            "/private/?a",
        ] {
            for method in ["GET", "HEAD"] {
                let reply = ask(&mut app, &format!("{method} {at}{path}"), &[]);
                assert_eq!(reply.status(), 401, "{method} {path} past the guard of {guarded}: {reply:?}");
            }
        }
        // Paths that do not resolve to the guarded part may be refused too, and are never served.
        for path in ["/private%2fx", "/./private%2fx", "/..%2fprivate/x", "/%2e%2e%2fassets/private/x", "/private%5cx"]
        {
            let status = ask(&mut app, &format!("GET {at}{path}"), &[]).status();
            assert!(matches!(status, 401 | 404), "{path}: {status}");
        }
        for path in ["/../private/x", "/x/../../private/x", "/../assets/private/x", "/%2e%2e/%2e/private/x"] {
            let status = ask(&mut app, &format!("GET {at}{path}"), &[]).status();
            assert!(matches!(status, 401 | 404), "{path}: {status}");
        }
    }
}

#[test]
fn a_prefix_with_a_parameter_does_not_lead_to_another_host() {
    let folder = folder();
    let mut app = app("/:a/:b", files(&folder));
    for (target, expected) in [
        ("/u/v/file.txt", "200 file.txt"),
        ("/u/v/dir?x", "301 /u/v/dir/?x"),
        ("/u/v", "301 /u/v/"),
        ("//evil.com", "404"),
        ("//evil.com/dir", "404"),
        ("/evil.com//dir", "404"),
        ("/%2Fevil.com/v/dir", "301 /%2Fevil.com/v/dir/"),
        ("/%5Cevil.com/v/dir", "301 /%5Cevil.com/v/dir/"),
    ] {
        assert_eq!(outcome(&mut app, target), expected, "{target}");
    }
}

#[test]
fn hidden_files_are_served_if_that_is_on() {
    let folder = Folder::new("hidden");
    folder.write(".hidden", "hidden");
    folder.write("a/.b/.c", "c");
    let mut app = app("/", Files::new(folder.path("")).unwrap().hidden(true));
    for (path, expected) in
        [("/.hidden", "200 hidden"), ("/a/.b/.c", "200 c"), ("/a/.b", "301 /a/.b/"), ("/a/../.hidden", "200 hidden")]
    {
        assert_eq!(outcome(&mut app, path), expected, "{path}");
    }
}

/// Pieces from which the test makes hostile paths.
#[rustfmt::skip]
const PIECES: &[&str] = &[
    "/", "/", "/", "/", "//", ".", "..", "%2e", "%2E%2e", "...", "%252e", "%2f", "%5c", "\\", "%00", "%c0%ae", "%0d%0a",
    "dir", "sub", "file.txt", "index.html", "secret.txt", "root", "rooted", "assets", "out", "outdir", "absolute",
    "etc", "passwd", "private", ".hidden", ".git", ".well-known", "http:", "evil.com", "@", ":", ";", "~", "%20", " ",
    "*", "?", "#", "%", "%ff", "\u{e9}", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "a b", "100%25", "C:",
];

proptest! {
    #![proptest_config(cases(50))]

    /// One folder serves many paths, because making a folder takes longer than a request.
    #[test]
    fn no_path_leads_outside_fails_or_redirects_to_another_host(
        paths in vec(vec(select(PIECES), 0..12), 60),
        at_top: bool,
        listing: bool,
    ) {
        let folder = folder();
        let prefix = if at_top { "/" } else { "/assets" };
        let app = app(prefix, files(&folder).listing(listing));
        let mut client = TestClient::new(app);
        for pieces in paths {
            let target = format!("{}/{}", prefix.trim_end_matches('/'), pieces.concat());
            let reply = client.get(&target).send();
            assert_no_secret(&reply, &target);
            assert!(matches!(reply.status(), 200 | 301 | 400 | 404), "{target}: {reply:?}");
            let Some(location) = reply.header("Location") else { continue };
            assert!(location.starts_with('/') && !location.starts_with("//"), "{target}: {location}");
            let reply = client.get(location).send();
            assert!(matches!(reply.status(), 200 | 404), "{target} led to {location}, and that to {reply:?}");
        }
    }
}
