//! tiny_http; one thread answers. (The server also has a thread for each connection.)

use std::io::{Cursor, Result};

use compare_servers::{BIG, PLAINTEXT, address};
use serde::Serialize;
use tiny_http::{Header, Method, Request, Response, Server, StatusCode};

#[derive(Serialize)]
struct Message {
    message: &'static str,
}

fn main() {
    let server = Server::http(address()).expect("the port is free");
    for request in server.incoming_requests() {
        // A client that has gone is no reason to stop.
        let _ = answer(request);
    }
}

fn answer(mut request: Request) -> Result<()> {
    match (request.method(), request.url()) {
        (Method::Get, "/plaintext") => request.respond(reply("text/plain", PLAINTEXT.as_bytes())),
        (Method::Get, "/json") => {
            let json = serde_json::to_vec(&Message { message: "Hello, World!" })?;
            request.respond(reply("application/json", &json))
        }
        (Method::Post, "/echo") => {
            let mut content = Vec::with_capacity(request.body_length().unwrap_or(0));
            request.as_reader().read_to_end(&mut content)?;
            request.respond(reply("application/octet-stream", &content))
        }
        (Method::Get, "/big") => request.respond(reply("application/octet-stream", &BIG)),
        _ => request.respond(Response::empty(404)),
    }
}

fn reply<'a>(content_type: &str, content: &'a [u8]) -> Response<Cursor<&'a [u8]>> {
    let header = Header::from_bytes("Content-Type", content_type).expect("a valid header");
    // Without the threshold, larger content would be chunked.
    Response::new(StatusCode(200), vec![header], Cursor::new(content), Some(content.len()), None)
        .with_chunked_threshold(usize::MAX)
}
