//! A to-do list as a JSON API. Everyone can read it; changes need a bearer token.
//!
//! ```text
//! export TODO_TOKEN=$(openssl rand -hex 16)
//! cargo run --example todo
//! curl -H "Authorization: Bearer $TODO_TOKEN" --json '{"title":"milk"}' localhost:3000/todos
//! curl -H "Authorization: Bearer $TODO_TOKEN" --json '{"done":true}' -X PATCH localhost:3000/todos/1
//! curl 'localhost:3000/todos?done=true'
//! curl -H "Authorization: Bearer $TODO_TOKEN" -X DELETE localhost:3000/todos/1
//! cargo test --example todo
//! ```

use std::collections::BTreeMap;
use std::env;

use monoloop::{Error, OptionExt, Request, Response, Result, Router, Sent, Server};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

/// The state. Every handler gets it as `&mut Todos`, without a lock.
struct Todos {
    by_id: BTreeMap<u64, Todo>,
    last_id: u64,
    token: String,
}

#[derive(Serialize)]
struct Todo {
    id: u64,
    title: String,
    done: bool,
}

// What clients send. A name that is not here is an error, so that a typing error is not ignored.

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewTodo {
    title: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    title: Option<String>,
    done: Option<bool>,
}

#[derive(Deserialize)]
struct Filter {
    done: Option<bool>,
}

fn main() -> monoloop::server::Result<()> {
    let address = env::args().nth(1).unwrap_or("127.0.0.1:3000".into());
    let token = env::var("TODO_TOKEN").expect("set TODO_TOKEN to the token that clients must send");
    let server = Server::bind(address.as_str())?;
    println!("listening on http://{}", server.local_addr());
    server.run(app(token))
}

fn app(token: String) -> Router<Todos> {
    let mut app = Router::new(Todos { by_id: BTreeMap::new(), last_id: 0, token });
    app.get("/todos", |todos, req, res| {
        let Filter { done } = req.query_as()?;
        res.json(&todos.by_id.values().filter(|todo| done.is_none_or(|done| todo.done == done)).collect::<Vec<_>>())
    });
    app.get("/todos/:id", |todos, req, res| {
        res.json(todos.by_id.get(&req.param("id")?).or_not_found("No such to-do")?)
    });
    app.post("/todos", add).guard(authorize);
    app.patch("/todos/:id", change).guard(authorize);
    app.delete("/todos/:id", |todos, req, res| {
        todos.by_id.remove(&req.param("id")?).or_not_found("No such to-do")?;
        res.status(204).empty()
    })
    .guard(authorize);
    app
}

/// Lets a request through that has the token.
fn authorize(todos: &mut Todos, req: &Request<'_>) -> Result<()> {
    let sent = req.bearer().unwrap_or_default();
    // `==` would stop at the first byte that differs, and its time would tell a client how much of a guess is right.
    if !bool::from(sent.as_bytes().ct_eq(todos.token.as_bytes())) {
        return Err(Error::new(401, "A token is needed").with_header("WWW-Authenticate", "Bearer"));
    }
    Ok(())
}

fn add(todos: &mut Todos, req: &Request<'_>, res: Response<'_>) -> Result<Sent> {
    let NewTodo { title } = req.json()?; // 415, 400 or 422, and what is wrong
    let title = check_title(title)?;
    todos.last_id += 1;
    let id = todos.last_id;
    let todo = todos.by_id.entry(id).or_insert(Todo { id, title, done: false });
    res.status(201).header("Location", format!("/todos/{id}")).json(todo)
}

fn change(todos: &mut Todos, req: &Request<'_>, res: Response<'_>) -> Result<Sent> {
    let Change { title, done } = req.json()?;
    // Nothing is changed before all is known to be right.
    let title = title.map(check_title).transpose()?;
    let todo = todos.by_id.get_mut(&req.param("id")?).or_not_found("No such to-do")?;
    todo.title = title.unwrap_or_else(|| std::mem::take(&mut todo.title));
    todo.done = done.unwrap_or(todo.done);
    res.json(todo)
}

fn check_title(title: String) -> Result<String> {
    match title.trim().chars().count() {
        1..=200 => Ok(title.trim().to_owned()),
        _ => Err(Error::new(422, "title: 1 to 200 characters")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use monoloop::TestClient;
    use monoloop::testing::TestReply;
    use serde_json::{Value, json};

    fn client() -> TestClient<Router<Todos>> {
        TestClient::new(app("t0ken".into()))
    }

    fn add(client: &mut TestClient<Router<Todos>>, todo: Value) -> TestReply {
        client.post("/todos").bearer("t0ken").json(&todo).send()
    }

    #[test]
    fn a_todo_is_made_changed_and_removed() {
        let mut client = client();
        let made = add(&mut client, json!({"title": " milk "}));
        assert_eq!((made.status(), made.header("Location")), (201, Some("/todos/1")));
        let changed = client.patch("/todos/1").bearer("t0ken").json(&json!({"done": true})).send();
        assert_eq!(changed.json::<Value>(), json!({"id": 1, "title": "milk", "done": true}));
        assert_eq!(client.get("/todos?done=false").send().text(), "[]");
        assert_eq!(client.delete("/todos/1").bearer("t0ken").send().status(), 204);
        assert_eq!(client.get("/todos/1").send().status(), 404);
    }

    #[test]
    fn nothing_changes_without_the_token() {
        let mut client = client();
        for token in ["t0keN", "t0ke", ""] {
            let reply = client.post("/todos").bearer(token).json(&json!({"title": "x"})).send();
            assert_eq!((reply.status(), reply.header("WWW-Authenticate")), (401, Some("Bearer")), "{token}");
        }
        assert_eq!(client.delete("/todos/1").send().status(), 401);
        assert!(client.app().state().by_id.is_empty());
    }

    #[test]
    fn the_reply_says_what_is_wrong() {
        let mut client = client();
        for (todo, what) in
            [(json!({"title": ""}), "title"), (json!({"titel": "x"}), "titel"), (json!({"title": 7}), "title")]
        {
            let reply = add(&mut client, todo);
            assert!(reply.status() == 422 && reply.text().contains(what), "{}", reply.text());
        }
        let form = client.post("/todos").bearer("t0ken").form([("title", "x")]).send();
        assert_eq!(form.status(), 415);
    }
}
