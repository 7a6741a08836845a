//! Events for many clients: `GET /events` takes them, and `POST /events` sends one of as many bytes as its content
//! says.

use monoloop::sse::{self, Broadcast, Event, Slow};
use monoloop::{Error, Request, Response, Result, Router, Sent, Server};

fn main() -> monoloop::server::Result<()> {
    let mut app = Router::new(Broadcast::new(Slow::Skip));
    app.get("/plaintext", |_, _, res| res.text("Hello, World!"));
    app.get("/events", listen);
    app.post("/events", send);
    let server = Server::bind("127.0.0.1:0")?;
    println!("listening on http://{}", server.local_addr());
    server.run(app)
}

fn listen(clients: &mut Broadcast, _: &Request<'_>, res: Response<'_>) -> Result<Sent> {
    let (sent, sender) = sse::start(res)?;
    clients.add(sender);
    Ok(sent)
}

/// The largest event, in bytes.
const LARGEST: usize = 1 << 20;

fn send(clients: &mut Broadcast, req: &Request<'_>, res: Response<'_>) -> Result<Sent> {
    let length = std::str::from_utf8(req.body()).ok().and_then(|text| text.parse().ok());
    let length = length.filter(|length| *length <= LARGEST);
    let length = length.ok_or_else(|| Error::bad_request(format!("the content is a number up to {LARGEST}")))?;
    let taken = clients.send(&Event::new("x".repeat(length)))?;
    res.text(taken.to_string())
}
