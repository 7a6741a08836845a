//! `site`: the pages, the API beside them, and errors for people and for programs.

use crate::Example;
use crate::support::serve::Folder;

/// What curl prints after the content.
const STATUS: [&str; 2] = ["-w", " %{http_code} %{content_type}"];

const BROWSER: [&str; 2] = ["-H", "Accept: text/html,application/xhtml+xml,*/*;q=0.8"];

/// A site with an index and a script.
fn start() -> Option<(Example, Folder)> {
    let folder = Folder::new();
    folder.write("index.html", "<p>index");
    folder.write("assets/app-1f2e.js", "run()");
    let path = folder.path("");
    let site = Example::start("site", |command| command.arg(path))?;
    Some((site, folder))
}

#[test]
fn pages_of_the_script_are_the_index() {
    let Some((site, _folder)) = start() else { return };
    for path in ["/", "/some/page"] {
        assert_eq!(site.curl(&STATUS, path), "<p>index 200 text/html; charset=utf-8", "{path}");
    }
    let index = site.curl(&["-i"], "/");
    assert!(index.contains("\r\nCache-Control: no-cache\r\n"), "{index}");
    assert!(index.contains("\r\nContent-Security-Policy: default-src 'self'; frame-ancestors 'none'\r\n"), "{index}");
    let script = site.curl(&["-i"], "/assets/app-1f2e.js");
    assert!(script.contains("\r\nCache-Control: public, max-age=31536000, immutable\r\n"), "{script}");
    site.stop();
}

#[test]
fn the_api_answers_beside_the_pages() {
    let Some((site, _folder)) = start() else { return };
    assert_eq!(site.curl(&["-X", "POST"], "/api/likes"), r#"{"likes":1}"#);
    assert_eq!(site.curl(&[], "/api/likes"), r#"{"likes":1}"#);
    site.stop();
}

#[test]
fn an_error_is_html_for_a_browser_and_json_for_others() {
    let Some((site, _folder)) = start() else { return };
    let json = r#"{"error":"There is no such call"} 404 application/json"#;
    for path in ["/api/none", "/api", "/api/likes/1"] {
        assert_eq!(site.curl(&STATUS, path), json, "{path}");
    }
    let page = site.curl(&[&STATUS[..], &BROWSER].concat(), "/api/none");
    assert!(page.contains("There is no such call") && page.ends_with(" 404 text/html; charset=utf-8"), "{page}");
    assert!(site.curl(&STATUS, "/assets/none.js").ends_with(" 404 application/json"));
    assert!(site.curl(&[&["-X", "DELETE"], &STATUS[..]].concat(), "/api/likes").ends_with(" 405 application/json"));
    // The same fields as on all other replies.
    let error = site.curl(&["-i"], "/api/none");
    assert!(error.contains("\r\nX-Content-Type-Options: nosniff\r\n"), "{error}");
    site.stop();
}
