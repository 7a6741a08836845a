//! Notes in SQLite. The connection is the state: every handler gets it as `&mut Connection`.
//!
//! ```text
//! cargo run --manifest-path docs/examples/heavy/Cargo.toml --bin sqlite -- 127.0.0.1:3000 notes.db
//! curl --json '{"name":"milk","text":"two bottles"}' localhost:3000/notes
//! curl localhost:3000/notes/1
//! curl 'localhost:3000/notes?after=0&limit=10'
//! curl -X DELETE localhost:3000/notes/1
//! ```
//!
//! A query blocks the loop. That is right for queries that take microseconds, as those of a local SQLite file with an
//! index do. Let a thread do the longer ones: see the example `blocking`.

use std::env;
use std::error::Error as StdError;
use std::time::Duration;

use monoloop::{Error, Request, Response, Result, Router, Sent, Server};
use rusqlite::{Connection, ErrorCode, Row, params};
use serde::{Deserialize, Serialize};

/// Largest content of a request, in bytes.
const MAX_NOTE: u64 = 64 << 10;

#[derive(Serialize)]
struct Note {
    id: i64,
    name: String,
    text: String,
}

/// What a client sends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewNote {
    name: String,
    text: String,
}

/// Which notes a client wants.
#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    after: i64,
    limit: Option<u16>,
}

fn main() -> Result<(), Box<dyn StdError>> {
    let mut args = env::args().skip(1);
    let address = args.next().unwrap_or("127.0.0.1:3000".into());
    let db = Connection::open(args.next().unwrap_or("notes.db".into()))?;
    let server = Server::bind(address.as_str())?;
    println!("listening on http://{}", server.local_addr());
    Ok(server.run(app(db)?)?)
}

fn app(db: Connection) -> rusqlite::Result<Router<Connection>> {
    // The loop waits while SQLite does. So it waits for another process that writes only shortly, and then says 503.
    db.busy_timeout(Duration::from_millis(100))?;
    db.execute_batch(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = NORMAL;
         CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, text TEXT NOT NULL);",
    )?;
    let mut app = Router::new(db);
    app.get("/notes", list);
    app.get("/notes/:id", |db, req, res| {
        let mut query = db.prepare_cached("SELECT id, name, text FROM notes WHERE id = ?").map_err(failed)?;
        res.json(&query.query_row([req.param::<i64>("id")?], note).map_err(failed)?)
    });
    app.post("/notes", add).max_content(MAX_NOTE);
    app.delete("/notes/:id", |db, req, res| {
        match db.execute("DELETE FROM notes WHERE id = ?", [req.param::<i64>("id")?]).map_err(failed)? {
            0 => Err(Error::not_found("No such note")),
            _ => res.status(204).empty(),
        }
    });
    Ok(app)
}

fn list(db: &mut Connection, req: &Request<'_>, res: Response<'_>) -> Result<Sent> {
    let Page { after, limit } = req.query_as()?;
    let limit = limit.unwrap_or(50).min(200);
    let mut query =
        db.prepare_cached("SELECT id, name, text FROM notes WHERE id > ? ORDER BY id LIMIT ?").map_err(failed)?;
    let notes = query.query_map(params![after, limit], note).and_then(Iterator::collect::<rusqlite::Result<Vec<_>>>);
    res.json(&notes.map_err(failed)?)
}

fn add(db: &mut Connection, req: &Request<'_>, res: Response<'_>) -> Result<Sent> {
    let NewNote { name, text } = req.json()?;
    // The values are parameters and never part of the statement. Several statements that belong together go into
    // `db.transaction()`.
    db.execute("INSERT INTO notes (name, text) VALUES (?, ?)", params![name, text]).map_err(failed)?;
    let id = db.last_insert_rowid();
    res.status(201).header("Location", format!("/notes/{id}")).json(&Note { id, name, text })
}

fn note(row: &Row<'_>) -> rusqlite::Result<Note> {
    Ok(Note { id: row.get(0)?, name: row.get(1)?, text: row.get(2)? })
}

/// `?` alone would make a 500 of each error. The client gets no word of SQLite.
fn failed(error: rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        _ if error == rusqlite::Error::QueryReturnedNoRows => Error::not_found("No such note"),
        Some(ErrorCode::ConstraintViolation) => Error::new(409, "That name is taken"),
        Some(ErrorCode::DatabaseBusy) => Error::new(503, "Busy").with_header("Retry-After", "1"),
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use monoloop::TestClient;
    use serde_json::{Value, json};

    #[test]
    fn a_name_is_there_once() {
        let db = Connection::open_in_memory().expect("memory");
        let mut client = TestClient::new(app(db).expect("a new database"));
        let note = json!({"name": "milk", "text": "'); DROP TABLE notes; --"});
        assert_eq!(client.post("/notes").json(&note).send().status(), 201);
        assert_eq!(client.post("/notes").json(&note).send().status(), 409);
        let found: Value = client.get("/notes/1").send().json();
        assert_eq!((&found["name"], &found["text"]), (&note["name"], &note["text"]));
        assert_eq!(client.delete("/notes/1").send().status(), 204);
        assert_eq!(client.get("/notes/1").send().status(), 404);
    }
}
