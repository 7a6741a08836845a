//! The page of the demo, which tries out all of its routes in a browser. It uses no framework and nothing of another
//! server.

use monoloop::Router;
use serde::Serialize;

use crate::assets::File;

const PAGE: File = File { path: "/", content_type: "text/html; charset=utf-8", content: include_str!("page.html") };

const PARTS: [File; 3] = [
    File { path: "/page.css", content_type: "text/css; charset=utf-8", content: include_str!("page.css") },
    File { path: "/page.js", content_type: "text/javascript; charset=utf-8", content: include_str!("page.js") },
    File { path: "/page.svg", content_type: "image/svg+xml", content: include_str!("page.svg") },
];

#[derive(Serialize)]
struct Welcome {
    message: &'static str,
    version: &'static str,
}

/// Adds the page and its parts.
pub(super) fn add<S>(app: &mut Router<S>) {
    app.get(PAGE.path, |_, req, res| {
        // A cache must not give the page to a client that wants JSON.
        let res = res.header("Vary", "Accept");
        // JSON is first, so that a client without a preference gets it. A client that accepts neither gets it, too.
        match req.accepts(&["application/json", "text/html"]) {
            Some("text/html") => PAGE.send(req, res),
            _ => res.json(&Welcome { message: "Welcome to the API", version: "1.0" }),
        }
    });
    for part in &PARTS {
        app.get(part.path, |_, req, res| part.send(req, res));
    }
}

#[cfg(test)]
mod tests {
    use super::super::app;
    use super::*;
    use monoloop::{Method, TestClient};

    const JSON: &str = r#"{"message":"Welcome to the API","version":"1.0"}"#;

    #[test]
    fn a_browser_gets_the_page_and_all_others_get_json() {
        let mut client = TestClient::new(app());
        for (accept, content_type, content) in [
            ("text/html,*/*;q=0.8", "text/html; charset=utf-8", PAGE.content),
            ("*/*", "application/json", JSON),
            ("application/json", "application/json", JSON),
            ("image/png", "application/json", JSON),
        ] {
            let reply = client.get("/").header("Accept", accept).send();
            assert_eq!((reply.status(), reply.header("content-type")), (200, Some(content_type)), "of {accept}");
            assert_eq!((reply.text(), reply.header("vary")), (content, Some("Accept")), "of {accept}");
            let head = client.head("/").header("Accept", accept).send();
            let length = content.len().to_string();
            assert_eq!((head.header("content-length"), head.text()), (Some(length.as_str()), ""), "of {accept}");
            assert_eq!((head.header("content-type"), head.header("vary")), (Some(content_type), Some("Accept")));
        }
    }

    #[test]
    fn a_file_is_not_sent_again() {
        let mut client = TestClient::new(app());
        for path in ["/", "/page.css", "/page.js", "/page.svg"] {
            let reply = client.get(path).header("Accept", "text/html").send();
            let tag = reply.header("etag").expect("each file has a tag").to_owned();
            assert_eq!((reply.status(), reply.header("cache-control")), (200, Some("no-cache")), "of {path}");
            for (known, status) in [
                (tag.clone(), 304),
                (format!("W/{tag}"), 304),
                (format!("\"other\", {tag}"), 304),
                ("\"other,*,\"".to_owned(), 200),
                ("*".to_owned(), 304),
                ("\"other\"".to_owned(), 200),
                (tag.trim_matches('"').to_owned(), 200),
                (String::new(), 200),
            ] {
                let request = client.get(path).header("Accept", "text/html").header("If-None-Match", &known);
                let reply = request.send();
                assert_eq!((reply.status(), reply.header("etag")), (status, Some(&*tag)), "of {path} with {known}");
                assert_eq!((reply.body().is_empty(), reply.header("vary").is_some()), (status == 304, path == "/"));
            }
        }
    }

    #[test]
    fn a_page_may_use_only_its_own_server() {
        let mut client = TestClient::new(app());
        for path in ["/", "/page.css", "/page.js", "/page.svg"] {
            let reply = client.get(path).header("Accept", "text/html").send();
            let policy = reply.header("content-security-policy").expect("each file has a policy");
            assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"), "{policy}");
            assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
            assert_eq!(reply.header("referrer-policy"), Some("no-referrer"));
        }
        for file in PARTS.iter().chain([&PAGE]).filter(|file| file.path != "/page.svg") {
            assert!(!file.content.contains("://"), "{} names another server", file.path);
        }
    }

    /// All sources together, for their users: the page is read on a phone, and the program is meant to be small.
    #[test]
    fn the_page_is_small() {
        let bytes: usize = PARTS.iter().chain([&PAGE]).map(|file| file.content.len()).sum();
        assert!(bytes <= 12_800, "the page has {bytes} bytes");
    }

    /// A button is named after its request.
    #[test]
    fn there_is_a_button_for_each_route() {
        let pages = PARTS.map(|part| part.path);
        for route in app().routes() {
            let (method, path) = (route.method(), route.path());
            if pages.contains(&path) || path.starts_with("/ws/") || ["/upload", "/big", "/events"].contains(&path) {
                continue;
            }
            let known = path.split(':').next().unwrap_or_default();
            let method = method.expect("the demo has no route for any method").as_str();
            let button = format!(">{method} {known}");
            assert!(PAGE.content.contains(&button), "page.html has no button for {method} {path}");
        }
    }

    #[test]
    fn each_button_asks_a_route() {
        let mut client = TestClient::new(app());
        let buttons: Vec<&str> = PAGE
            .content
            .split("</button>")
            .filter_map(|text| text.rsplit('>').next())
            .filter(|text| text.contains(" /"))
            .collect();
        assert!(buttons.len() >= 10, "{buttons:?}");
        for button in buttons {
            let (method, target) = button.split_once(' ').expect("a method and a target");
            let method = Method::from_token(method).expect("a method");
            // The reply to `/slow` needs an event loop, which this client has not connected.
            let status = client.request(method, target).body("{}").send().status();
            assert!(!matches!(status, 400..=405), "{button} is answered with {status}");
        }
    }
}
