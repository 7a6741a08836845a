//! may_minihttp with one worker.

use std::io::{self, Read, Write};

use compare_servers::{BIG, PLAINTEXT, address};
use may_minihttp::{HttpServer, HttpService, Request, Response};
use serde::Serialize;

#[derive(Serialize)]
struct Message {
    message: &'static str,
}

#[derive(Clone)]
struct Answers;

impl HttpService for Answers {
    fn call(&mut self, request: Request, response: &mut Response) -> io::Result<()> {
        match (request.method(), request.path()) {
            ("GET", "/plaintext") => response.header("Content-Type: text/plain").body(PLAINTEXT),
            ("GET", "/json") => {
                response.header("Content-Type: application/json");
                response.body_vec(serde_json::to_vec(&Message { message: "Hello, World!" })?);
            }
            ("POST", "/echo") => {
                let mut content = Vec::new();
                request.body().read_to_end(&mut content)?;
                response.header("Content-Type: application/octet-stream").body_vec(content);
            }
            ("GET", "/big") => response.header("Content-Type: application/octet-stream").body_vec(BIG.to_vec()),
            _ => {
                response.status_code(404, "Not Found");
            }
        }
        Ok(())
    }
}

fn main() {
    may::config().set_workers(1);
    let server = HttpServer(Answers).start(address()).expect("the port is free");
    if server.join().is_err() {
        let _ = writeln!(io::stderr(), "may_minihttp ended");
    }
}
