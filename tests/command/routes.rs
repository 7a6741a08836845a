//! The demo answers its routes.

use rustix::process::Signal;

use crate::{ALICE, BOB, CHARLIE, Demo};

#[test]
fn every_route_answers() {
    let demo = Demo::start(&[]);
    let mut client = demo.connect();
    let users = format!(r#"{{"users":[{ALICE},{BOB},{CHARLIE}]}}"#);
    let erin = r#"{"id":4,"name":"Erin"}"#;
    let large = format!(r#"{{"name":"{}"}}"#, "x".repeat(1000));
    let table = [
        ("GET /", "", 200, r#"{"message":"Welcome to the API","version":"1.0"}"#),
        ("GET /users", "", 200, &users),
        ("GET /users/1", "", 200, ALICE),
        ("GET /users/3", "", 200, CHARLIE),
        ("GET /users/99", "", 404, r#"{"error":"User not found"}"#),
        ("GET /users/me", "", 400, r#"{"error":"Invalid parameter: id"}"#),
        ("POST /users", r#"{"name":"Erin","id":77}"#, 201, erin),
        ("POST /users", "{", 400, r#"{"error":"Invalid JSON: EOF while parsing an object at line 1 column 1"}"#),
        ("POST /users", "[]", 422, r#"{"error":"invalid type: sequence, expected struct Fields"}"#),
        ("POST /users", "", 400, r#"{"error":"Invalid JSON: there is no content"}"#),
        ("POST /users", &large, 413, r#"{"error":"A user may have at most 512 bytes as JSON"}"#),
        ("PUT /users/4", r#"{"id":5}"#, 200, erin),
        ("PUT /users/99", "{}", 404, r#"{"error":"User not found"}"#),
        ("PUT /users/4", "null", 422, r#"{"error":"invalid type: null, expected struct Fields"}"#),
        ("DELETE /users/4", "", 200, r#"{"success":true,"deleted":4}"#),
        ("DELETE /users/4", "", 404, r#"{"error":"User not found"}"#),
        ("GET /nothing", "", 404, r#"{"error":"Not found"}"#),
        ("PATCH /users", "", 405, r#"{"error":"Method not allowed"}"#),
        ("GET /fail", "", 500, r#"{"error":"Internal server error"}"#),
        ("GET /plaintext", "", 200, "Hello, World!"),
        ("GET /json", "", 200, r#"{"message":"Hello, World!"}"#),
        ("POST /echo", "as it came", 200, "as it came"),
    ];
    for (request, content, status, expected) in table {
        let reply = client.ask(request, "", content);
        assert_eq!((reply.status, reply.content.as_str()), (status, expected), "of {request} {content}");
    }
}

#[test]
fn a_user_must_be_announced_as_json() {
    let demo = Demo::start(&[]);
    let mut client = demo.connect();
    for (field, status) in [
        ("Content-Type: application/json\r\n", 201),
        ("Content-Type: application/x-www-form-urlencoded\r\n", 415),
        ("Origin: https://evil.example\r\n", 415),
    ] {
        assert_eq!(client.ask("POST /users", field, "{}").status, status, "{field}");
    }
}

#[test]
fn a_created_user_can_be_read_changed_and_deleted() {
    let demo = Demo::start(&[]);
    let mut client = demo.connect();
    let created = client.ask("POST /users", "", r#"{"role":"admin","email":"d@example.com","name":"Dora"}"#);
    let dora = r#"{"id":4,"name":"Dora","email":"d@example.com","role":"admin"}"#;
    assert_eq!((created.status, created.content.as_str()), (201, dora));
    assert_eq!(client.ask("GET /users/4", "", "").content, dora);
    assert!(client.ask("GET /users", "", "").content.ends_with(&format!(",{dora}]}}")));

    let changed = r#"{"id":4,"name":"Dora","email":"d@example.org","role":"admin"}"#;
    assert_eq!(client.ask("PUT /users/4", "", r#"{"email":"d@example.org"}"#).content, changed);
    assert_eq!(demo.connect().ask("GET /users/4", "", "").content, changed);

    assert_eq!(client.ask("DELETE /users/4", "", "").content, r#"{"success":true,"deleted":4}"#);
    assert_eq!(client.ask("GET /users/4", "", "").status, 404);
    assert!(client.ask("POST /users", "", "{}").content.starts_with(r#"{"id":5"#));
}

#[test]
fn replies_have_their_content_types() {
    let demo = Demo::start(&[]);
    let mut client = demo.connect();
    assert_eq!(client.ask("GET /plaintext", "", "").field("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(client.ask("GET /json", "", "").field("content-type"), Some("application/json"));
    assert_eq!(client.ask("GET /users/99", "", "").field("content-type"), Some("application/json"));
    let echo = client.ask("POST /echo", "Content-Type: text/x-mine; a=b\r\n", "x");
    assert_eq!(echo.field("content-type"), Some("text/x-mine; a=b"));
    assert_eq!(client.ask("POST /echo", "", "x").field("content-type"), Some("application/octet-stream"));
}

#[test]
fn head_has_the_head_of_get() {
    let demo = Demo::start(&[]);
    let mut client = demo.connect();
    let reply = client.ask("HEAD /plaintext", "", "");
    assert_eq!((reply.status, reply.field("content-length"), reply.content.as_str()), (200, Some("13"), ""));
    assert_eq!(client.ask("GET /plaintext", "", "").content, "Hello, World!", "nothing is left of the one before");
}

#[test]
fn every_origin_is_allowed() {
    let demo = Demo::start(&[]);
    let mut client = demo.connect();
    let origin = "Origin: https://app.example\r\n";
    for (request, status) in [("GET /users/1", 200), ("GET /nothing", 404), ("GET /fail", 500), ("PATCH /users", 405)] {
        let reply = client.ask(request, origin, "");
        assert_eq!((reply.status, reply.field("access-control-allow-origin")), (status, Some("*")), "of {request}");
    }
    let asked =
        format!("{origin}Access-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: content-type\r\n");
    let preflight = client.ask("OPTIONS /users/1", &asked, "");
    assert_eq!((preflight.status, preflight.content.as_str()), (204, ""));
    assert_eq!(preflight.field("access-control-allow-origin"), Some("*"));
    let methods = preflight.field("access-control-allow-methods").expect("a preflight names methods");
    for method in ["GET", "POST", "PUT", "DELETE", "OPTIONS"] {
        assert!(methods.split(", ").any(|allowed| allowed == method), "{method} in {methods}");
    }
    let headers = preflight.field("access-control-allow-headers").expect("a preflight names header fields");
    assert!(headers.to_ascii_lowercase().contains("content-type"), "{headers}");
}

#[test]
fn the_reason_of_a_failure_is_only_logged() {
    let mut demo = Demo::start(&[]);
    let reply = demo.connect().ask("GET /fail", "", "");
    assert!(!reply.content.contains("/fail"), "{}", reply.content);
    demo.process.signal(Signal::TERM);
    assert!(demo.process.end().errors.contains("/fail was asked for"));
}
