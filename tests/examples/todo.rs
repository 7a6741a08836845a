//! `todo`: everyone reads, and changes need the token.

use crate::Example;

/// What curl prints after the content.
const STATUS: [&str; 2] = ["-w", " %{http_code}"];

const JSON: [&str; 2] = ["-H", "Content-Type: application/json"];

const TOKEN: [&str; 2] = ["-H", "Authorization: Bearer t0ken"];

fn start() -> Option<Example> {
    Example::start("todo", |command| command.env("TODO_TOKEN", "t0ken"))
}

#[test]
fn a_todo_is_made_changed_listed_and_removed() {
    let Some(todo) = start() else { return };
    let change = |options: &[&str], path: &str| todo.curl(&[&TOKEN[..], &STATUS, options].concat(), path);
    let json = |method, json, path: &str| change(&[&JSON[..], &["-X", method, "-d", json]].concat(), path);

    let milk = r#"{"id":1,"title":"milk","done":false} 201"#;
    assert_eq!(json("POST", r#"{"title":" milk "}"#, "/todos"), milk);
    assert_eq!(json("POST", r#"{"title":"tea"}"#, "/todos"), r#"{"id":2,"title":"tea","done":false} 201"#);
    assert_eq!(json("PATCH", r#"{"done":true}"#, "/todos/1"), r#"{"id":1,"title":"milk","done":true} 200"#);
    assert_eq!(todo.curl(&[], "/todos?done=true"), r#"[{"id":1,"title":"milk","done":true}]"#);
    assert_eq!(todo.curl(&[], "/todos/2"), r#"{"id":2,"title":"tea","done":false}"#);
    assert_eq!(change(&["-X", "DELETE"], "/todos/2"), " 204");
    assert_eq!(change(&["-X", "DELETE"], "/todos/2"), r#"{"error":"No such to-do"} 404"#);
    todo.stop();
}

#[test]
fn what_is_not_allowed_changes_nothing() {
    let Some(todo) = start() else { return };
    let post = |options: &[&str]| todo.curl(&[&STATUS[..], options].concat(), "/todos");
    let milk = ["-d", r#"{"title":"milk"}"#];

    assert_eq!(post(&[&JSON[..], &milk].concat()), r#"{"error":"A token is needed"} 401"#);
    let wrong = ["-H", "Authorization: Bearer t0keN"];
    assert_eq!(post(&[&JSON[..], &milk, &wrong].concat()), r#"{"error":"A token is needed"} 401"#);
    // The type that curl sends by default is that of a form.
    assert!(post(&[&TOKEN[..], &milk].concat()).ends_with(" 415"));
    for (content, status, what) in [
        ("{", 400, "line 1"),
        (r#"{"titel":"milk"}"#, 422, "titel"),
        (r#"{"title":7}"#, 422, "title"),
        (r#"{"title":"   "}"#, 422, "title: 1 to 200 characters"),
    ] {
        let reply = post(&[&JSON[..], &TOKEN, &["-d", content]].concat());
        assert!(reply.contains(what) && reply.ends_with(&format!(" {status}")), "{content}: {reply}");
    }
    assert!(todo.curl(&STATUS, "/todos?done=perhaps").ends_with(" 400"));
    assert!(todo.curl(&STATUS, "/todos/one").ends_with(" 400"));
    assert_eq!(todo.curl(&[], "/todos"), "[]");
    todo.stop();
}
