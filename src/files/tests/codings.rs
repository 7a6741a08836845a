//! Coded files beside a file ("neighbours"), such as `app.js.br` beside `app.js`.

use std::os::unix::fs::symlink;

use super::Folder;
use super::site::{Reply, Site, now};
use crate::files::{Files, Symlinks};

/// When the plain file was modified.
const MODIFIED: u64 = 1_000_000_000;

/// Makes a file in all codings. The content of each is the name of its coding.
fn folder() -> Folder {
    let folder = Folder::new("codings");
    for (name, content) in
        [("a.js", "identity"), ("a.js.br", "br"), ("a.js.zst", "zstd"), ("a.js.gz", "gzip"), ("b.js", "identity")]
    {
        folder.write(name, content);
        folder.set_modified(name, MODIFIED);
    }
    folder.write("b.js.gz", "gzip");
    folder
}

fn sites(folder: &Folder) -> [Site; 2] {
    [Site::of(Files::new(folder.path("")).unwrap()), Site::of(Files::new(folder.path("")).unwrap().cache(0, 0))]
}

#[track_caller]
fn accepting(site: &mut Site, path: &str, accepts: &[&str]) -> Reply {
    let fields: Vec<String> = accepts.iter().map(|value| format!("Accept-Encoding: {value}")).collect();
    site.ask(&format!("GET {path}"), &fields)
}

#[test]
fn the_coding_that_the_client_prefers_is_sent() {
    let folder = folder();
    for mut site in sites(&folder) {
        let rows: [(&[&str], &str); 26] = [
            (&[], "identity"),
            (&[""], "identity"),
            (&["identity"], "identity"),
            (&["deflate"], "identity"),
            (&["gzip"], "gzip"),
            (&["x-gzip"], "gzip"),
            (&["GZip"], "gzip"),
            (&["br"], "br"),
            (&["zstd"], "zstd"),
            (&["gzip, deflate, br, zstd"], "br"),
            (&["gzip, zstd"], "zstd"),
            (&["gzip", "br"], "br"),
            (&["*"], "br"),
            (&["*, br;q=0"], "zstd"),
            (&["gzip;q=1, br;q=0.5, zstd;q=0.8"], "gzip"),
            (&["gzip;q=0.8,br;q=0.801"], "br"),
            (&["gzip ; q=0.5 , identity;q=0.2"], "gzip"),
            (&["gzip;q=0.5, identity"], "identity"),
            (&["gzip;q=0.5, identity;q=0"], "gzip"),
            (&["gzip;q=0"], "identity"),
            (&["gzip;q=0.000, br;q=0"], "identity"),
            (&["*;q=0, gzip"], "gzip"),
            // Malformed members, and names that only look like a coding, are ignored.
            (&["gzip;q=1.1"], "identity"),
            (&["gzip;q=0.0001"], "identity"),
            (&["gzipped, brotli, zst"], "identity"),
            (&["identity;q=0, br"], "br"),
        ];
        for (accepts, expected) in rows {
            let reply = accepting(&mut site, "/a.js", accepts);
            assert_eq!((reply.status, reply.text().as_str()), (200, expected), "{accepts:?}");
            let coding = Some(expected).filter(|coding| *coding != "identity");
            assert_eq!(reply.field("Content-Encoding"), coding, "{accepts:?}");
            // The media type does not depend on the coding.
            assert_eq!(reply.field("Content-Type"), Some("text/javascript; charset=utf-8"), "{accepts:?}");
        }
        // Only existing codings are sent. A client that refuses all of them gets the plain file (RFC 9110 §12.5.3).
        for (accepts, expected) in
            [("br, gzip;q=0.1", "gzip"), ("br, zstd", "identity"), ("identity;q=0, br", "identity")]
        {
            assert_eq!(accepting(&mut site, "/b.js", &[accepts]).text(), expected, "{accepts}");
        }
    }
}

#[test]
fn every_reply_of_a_file_in_several_codings_has_vary() {
    let folder = folder();
    folder.write("alone.js", "alone");
    let [mut site, _] = sites(&folder);
    for accepts in ["gzip", "br", "identity", "deflate"] {
        let accepts = format!("Accept-Encoding: {accepts}");
        let tag = site.ask("GET /b.js", &[&accepts]).tag();
        let none_match = format!("If-None-Match: {tag}");
        for (method, field, expected) in [
            ("GET", "Accept: */*", 200),
            ("HEAD", "Accept: */*", 200),
            ("GET", none_match.as_str(), 304),
            ("HEAD", none_match.as_str(), 304),
            ("GET", "Range: bytes=0-0", 206),
        ] {
            let reply = site.ask(&format!("{method} /b.js"), &[accepts.as_str(), field]);
            assert_eq!((reply.status, reply.field("Vary")), (expected, Some("Accept-Encoding")), "{accepts}, {field}");
        }
        assert_eq!(site.ask("GET /alone.js", &[&accepts]).field("Vary"), None);
    }
    // The reply varies even if the request has no `Accept-Encoding`.
    assert_eq!(site.ask::<&str>("GET /b.js", &[]).field("Vary"), Some("Accept-Encoding"));
}

/// A cache must not take one coding for another (RFC 9110 §8.8.3.3).
#[test]
fn each_coding_has_its_own_tag() {
    let folder = folder();
    for mut site in sites(&folder) {
        let codings = ["identity", "gzip", "br", "zstd"];
        let mut tags: Vec<String> =
            codings.iter().map(|coding| accepting(&mut site, "/a.js", &[coding]).tag()).collect();
        for (i, tag) in tags.iter().enumerate() {
            for (j, coding) in codings.iter().enumerate() {
                let fields = [format!("If-None-Match: {tag}"), format!("Accept-Encoding: {coding}")];
                let expected = if i == j { 304 } else { 200 };
                assert_eq!(site.ask("GET /a.js", &fields).status, expected, "{coding} with the tag of {}", codings[i]);
            }
        }
        tags.sort();
        tags.dedup();
        assert_eq!(tags.len(), codings.len());
    }
}

#[test]
fn a_stale_neighbour_is_not_sent() {
    let folder = folder();
    for (modified, expected) in [(MODIFIED - 1, "identity"), (MODIFIED, "gzip"), (MODIFIED + 1, "gzip")] {
        folder.set_modified("b.js.gz", modified);
        for mut site in sites(&folder) {
            assert_eq!(accepting(&mut site, "/b.js", &["gzip"]).text(), expected, "{modified}");
        }
    }
}

#[test]
fn a_neighbour_that_is_made_changed_or_removed_is_noticed() {
    let folder = folder();
    folder.write("c.js", "identity");
    folder.set_modified("c.js", MODIFIED);
    for mut site in sites(&folder) {
        let mut second = now() + 60;
        let mut check = |expected: &str| {
            second += 1;
            let reply = accepting(site.set_date(second), "/c.js", &["gzip"]);
            assert_eq!(reply.text(), expected);
            // The reply has `Vary` exactly while there is more than one form of the file.
            assert_eq!(reply.field("Vary").is_some(), expected != "identity");
        };
        check("identity");
        folder.write("c.js.gz", "gzip");
        check("gzip");
        folder.write("c.js.gz", "a longer gzip");
        check("a longer gzip");
        folder.set_modified("c.js.gz", MODIFIED - 1);
        check("identity");
        folder.set_modified("c.js.gz", MODIFIED + 1);
        check("a longer gzip");
        std::fs::remove_file(folder.path("c.js.gz")).unwrap();
        check("identity");
    }
}

#[test]
fn only_a_regular_file_inside_is_a_neighbour() {
    let outside = Folder::new("outside");
    outside.write("secret.gz", "SECRET");
    let folder = Folder::new("neighbours");
    for name in ["dir.js", "fifo.js", "out.js", "inside.js", "loop.js", "dangling.js"] {
        folder.write(name, "identity");
        folder.set_modified(name, MODIFIED);
    }
    folder.write("dir.js.gz/index.html", "no file");
    folder.fifo("fifo.js.gz");
    folder.write("inside", "gzip");
    symlink(outside.path("secret.gz"), folder.path("out.js.gz")).unwrap();
    symlink("inside", folder.path("inside.js.gz")).unwrap();
    symlink("loop.js.gz", folder.path("loop.js.gz")).unwrap();
    symlink("nowhere", folder.path("dangling.js.gz")).unwrap();
    for mut site in sites(&folder) {
        for (path, expected) in [
            ("/dir.js", "identity"),
            ("/fifo.js", "identity"),
            ("/out.js", "identity"),
            ("/loop.js", "identity"),
            ("/dangling.js", "identity"),
            ("/inside.js", "gzip"),
        ] {
            let reply = accepting(&mut site, path, &["gzip"]);
            assert_eq!((reply.status, reply.text().as_str()), (200, expected), "{path}");
        }
    }
    let mut never = Site::of(Files::new(folder.path("")).unwrap().symlinks(Symlinks::Never));
    assert_eq!(accepting(&mut never, "/inside.js", &["gzip"]).text(), "identity");
}

#[test]
fn a_neighbour_can_be_requested_by_its_own_name() {
    let folder = folder();
    for mut site in sites(&folder) {
        let reply = accepting(&mut site, "/a.js.gz", &["gzip"]);
        assert_eq!((reply.text().as_str(), reply.field("Content-Encoding")), ("gzip", None));
        assert_eq!(reply.field("Content-Type"), Some("application/gzip"));
    }
}

/// The file is stored in its coding, and has no other form.
#[test]
fn an_svgz_is_sent_as_gzip_to_every_client() {
    let folder = Folder::new("drawings");
    for (name, content) in
        [("a.svgz", "0123456789"), ("B.SVGZ", "other"), ("a.svgz.br", "twice"), ("a.svgz.gz", "twice")]
    {
        folder.write(name, content);
        folder.set_modified(name, MODIFIED);
    }
    for mut site in sites(&folder) {
        for accepts in [&[][..], &["gzip, br"], &["identity"], &["gzip;q=0"]] {
            let reply = accepting(&mut site, "/a.svgz", accepts);
            assert_eq!((reply.status, reply.text().as_str()), (200, "0123456789"), "{accepts:?}");
            assert_eq!(reply.field("Content-Type"), Some("image/svg+xml"), "{accepts:?}");
            assert_eq!(reply.field("Content-Encoding"), Some("gzip"), "{accepts:?}");
            assert_eq!(reply.field("Vary"), None, "{accepts:?}");
        }
        let none_match = format!("If-None-Match: {}", accepting(&mut site, "/a.svgz", &[]).tag());
        for (line, field, status, content, coding) in [
            ("HEAD /a.svgz", "Accept: */*", 200, "", Some("gzip")),
            ("GET /a.svgz", "Range: bytes=2-4", 206, "234", Some("gzip")),
            ("GET /a.svgz", none_match.as_str(), 304, "", None),
            ("HEAD /a.svgz", none_match.as_str(), 304, "", None),
            ("GET /B.SVGZ", "Accept: */*", 200, "other", Some("gzip")),
        ] {
            let reply = site.ask(line, &[field, "Accept-Encoding: br"]);
            assert_eq!((reply.status, reply.text().as_str()), (status, content), "{line}, {field}");
            assert_eq!((reply.field("Content-Encoding"), reply.field("Vary")), (coding, None), "{line}, {field}");
        }
        for (line, field, status) in
            [("GET /a.svgz", "Range: bytes=90-", 416), ("GET /a.svgz", "If-Match: \"other\"", 412)]
        {
            let reply = site.ask(line, &[field]);
            assert_eq!((reply.status, reply.field("Content-Encoding")), (status, None), "{field}");
        }
        assert_eq!(accepting(&mut site, "/a.svgz.gz", &["gzip"]).field("Content-Encoding"), None);
    }
}

/// A media type that is set for the extension describes the stored bytes.
#[test]
fn an_svgz_of_another_type_has_no_coding() {
    let folder = Folder::new("archives");
    folder.write("a.svgz", "plain");
    folder.write("a.svgz.br", "br");
    for (media_type, content, coding) in [
        ("application/gzip", "br", Some("br")),
        ("image/svg+xml", "plain", Some("gzip")),
        ("image/svg+xml; charset=utf-8", "plain", Some("gzip")),
    ] {
        let mut site = Site::of(Files::new(folder.path("")).unwrap().media_type("svgz", media_type));
        let reply = accepting(&mut site, "/a.svgz", &["br"]);
        assert_eq!((reply.text().as_str(), reply.field("Content-Encoding")), (content, coding), "{media_type}");
        assert_eq!(reply.field("Content-Type"), Some(media_type));
        let reply = accepting(&mut site, "/a.svgz", &[]);
        let coding = coding.filter(|coding| *coding == "gzip");
        assert_eq!((reply.text().as_str(), reply.field("Content-Encoding")), ("plain", coding), "{media_type}");
    }
}

#[test]
fn an_index_and_a_404_page_have_codings_too() {
    let folder = folder();
    for name in ["index.html", "404.html"] {
        folder.write(name, "identity");
        folder.write(format!("{name}.br"), "br");
    }
    for mut site in sites(&folder) {
        for (path, status) in [("/", 200), ("/nothing", 404)] {
            let reply = accepting(&mut site, path, &["br"]);
            assert_eq!((reply.status, reply.text().as_str()), (status, "br"), "{path}");
            assert_eq!(reply.field("Content-Encoding"), Some("br"), "{path}");
            assert_eq!(reply.field("Content-Type"), Some("text/html; charset=utf-8"), "{path}");
            assert_eq!(accepting(&mut site, path, &["gzip"]).text(), "identity", "{path}");
        }
    }
}

#[test]
fn neighbours_are_ignored_if_precompressed_is_off() {
    let folder = folder();
    let mut site = Site::of(Files::new(folder.path("")).unwrap().precompressed(false));
    let reply = accepting(&mut site, "/a.js", &["br, gzip"]);
    assert_eq!((reply.text().as_str(), reply.field("Vary")), ("identity", None));
}
