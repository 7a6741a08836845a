//! A reverse proxy: a thread for each request asks the server behind, and both bodies are streamed.
//!
//! ```text
//! python3 -m http.server 8000
//! cargo run --manifest-path docs/examples/heavy/Cargo.toml --bin proxy -- 127.0.0.1:3000 http://127.0.0.1:8000
//! curl localhost:3000
//! ```
//!
//! A thread for each request is simple, and costs memory: this is for dozens of requests at a time, not for thousands.
//! It adds no cache and balances nothing; nginx and HAProxy are better at that.

use std::env;
use std::io::Read;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use monoloop::exchange::{ContentReader, ReadSink, Responder, to_reader};
use monoloop::{Error, Method, Request, Response, Result, Router, Sent, Server};
use ureq::http::{self, HeaderMap};
use ureq::{Agent, SendBody};

/// Requests at a time. Further ones get a 503.
const THREADS: usize = 64;

/// Fields that describe one connection, and not the message (RFC 9110 §7.6.1).
const OF_CONNECTION: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

struct Proxy {
    behind: String,
    agent: Agent,
    /// Each thread has a clone, so the count of clones tells how many there are.
    threads: Arc<()>,
}

fn main() -> monoloop::server::Result<()> {
    let mut args = env::args().skip(1);
    let address = args.next().unwrap_or("127.0.0.1:3000".into());
    let behind = args.next().unwrap_or("http://127.0.0.1:8000".into());
    let server = Server::bind(address.as_str())?;
    println!("listening on http://{}", server.local_addr());
    server.run(app(behind))
}

fn app(behind: String) -> Router<Proxy> {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_connect(Some(Duration::from_secs(5)))
        .timeout_recv_response(Some(Duration::from_secs(30)));
    let mut app = Router::new(Proxy { behind, agent: config.build().into(), threads: Arc::new(()) });
    for method in [Method::Get, Method::Head, Method::Post, Method::Put, Method::Patch, Method::Delete, Method::Options]
    {
        app.duplex(method, "/", forward);
        app.duplex(method, "/*path", forward);
    }
    app
}

/// Leaves the request to a thread. The sink that is returned gives the thread the content.
fn forward(proxy: &mut Proxy, req: &Request<'_>, res: Response<'_>) -> Result<(Sent, ReadSink)> {
    let thread = Arc::clone(&proxy.threads);
    if Arc::strong_count(&thread) > THREADS + 1 {
        return Err(Error::new(503, "Too many requests at a time").with_header("Retry-After", "1"));
    }
    let mut head = http::Request::builder()
        .method(req.method().as_str())
        .uri(format!("{}{}", proxy.behind, req.target()))
        // What the client itself says of these cannot be trusted.
        .header("x-forwarded-for", req.peer().ip().map(|ip| ip.to_string()).unwrap_or_default())
        .header("x-forwarded-host", req.header("host").unwrap_or_default())
        .header("x-forwarded-proto", if req.is_encrypted() { "https" } else { "http" });
    let named = req.header("connection").unwrap_or_default();
    for (name, value) in req.headers() {
        let is_forwarded = name.get(..12).is_some_and(|start| start.eq_ignore_ascii_case("x-forwarded-"));
        // The client has got its 100 Continue from this server.
        if !is_forwarded && !name.eq_ignore_ascii_case("expect") && !is_of_connection(name, named) {
            head = head.header(name, value);
        }
    }
    let has_content =
        req.header("transfer-encoding").is_some() || req.header("content-length").is_some_and(|n| n != "0");
    let (sent, responder) = res.defer();
    let (sink, content) = to_reader();
    let agent = proxy.agent.clone();
    thread::spawn(move || {
        ask(&agent, head, has_content.then_some(content), responder);
        drop(thread);
    });
    Ok((sent, sink))
}

/// Asks the server behind, and hands its reply on. This runs on a thread and may block.
fn ask(agent: &Agent, head: http::request::Builder, content: Option<ContentReader>, responder: Responder) {
    // With the client's `Content-Length`, the content has this length; without one it is sent in chunks.
    let body = content.map_or(SendBody::none(), SendBody::from_owned_reader);
    let reply = head.body(body).map_err(ureq::Error::from).and_then(|request| agent.run(request));
    let (head, content) = match reply {
        Ok(reply) => reply.into_parts(),
        Err(ureq::Error::Timeout(_)) => return responder.error(Error::new(504, "The server behind is too slow")),
        Err(error) => return responder.error(Error::new(502, "The server behind does not answer").with_source(error)),
    };
    let sender = responder.channel(move |res| copy_fields(&head.headers, res.status(head.status.as_u16())));
    let mut content = content.into_reader();
    let mut piece = vec![0; 32 << 10];
    loop {
        match content.read(&mut piece) {
            Ok(0) => return sender.finish(),
            Ok(length) if sender.send_blocking(piece[..length].to_vec()).is_ok() => {}
            // The client is gone, or the server behind is. A sender that is dropped cuts the reply, so that the client
            // does not take half of it for all.
            Ok(_) | Err(_) => return,
        }
    }
}

fn copy_fields<'r>(fields: &HeaderMap, mut res: Response<'r>) -> Response<'r> {
    let named = fields.get("connection").and_then(|value| value.to_str().ok()).unwrap_or_default();
    for (name, value) in fields {
        if let (false, Ok(value)) = (is_of_connection(name.as_str(), named), value.to_str()) {
            res = res.append_header(name.as_str(), value);
        }
    }
    res
}

/// Whether a field is not handed on: it is of the connection, or the `Connection` field names it.
fn is_of_connection(name: &str, named: &str) -> bool {
    OF_CONNECTION.iter().any(|known| name.eq_ignore_ascii_case(known))
        || named.split(',').any(|known| name.eq_ignore_ascii_case(known.trim()))
}
