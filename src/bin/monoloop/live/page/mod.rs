//! The page: its files, and the clients that get them. It uses no framework and nothing of another server.

use std::net::{IpAddr, SocketAddr};
use std::ops::ControlFlow;

use monoloop::{Error, Request, Router};

use super::viewers::{Viewer, Viewers};
use crate::assets::File;

const HTML: &str = "text/html; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

const FILES: [File; 10] = [
    File { path: "/_live", content_type: HTML, content: include_str!("live.html") },
    File { path: "/_live/live.css", content_type: "text/css; charset=utf-8", content: include_str!("live.css") },
    File { path: "/_live/live.js", content_type: JS, content: include_str!("live.js") },
    File { path: "/_live/slots.js", content_type: JS, content: include_str!("slots.js") },
    File { path: "/_live/figures.js", content_type: JS, content: include_str!("figures.js") },
    File { path: "/_live/texts.js", content_type: JS, content: include_str!("texts.js") },
    File { path: "/_live/dom.js", content_type: JS, content: include_str!("dom.js") },
    File { path: "/_live/units.js", content_type: JS, content: include_str!("units.js") },
    File { path: "/_live/words.js", content_type: JS, content: include_str!("words.js") },
    File { path: "/_live/live.svg", content_type: "image/svg+xml", content: include_str!("../../demo/page/page.svg") },
];

/// The longest order of a page, in bytes.
const MAX_ORDER: usize = 1024;

/// The application of the second loop, which listens on this address.
pub(super) fn app(viewers: Viewers, address: SocketAddr) -> Router<Viewers> {
    let mut app = Router::new(viewers);
    app.with(move |_, req, res| match is_for_us(req, address.ip()) {
        true => ControlFlow::Continue(res.header("Cross-Origin-Resource-Policy", "same-origin")),
        false => ControlFlow::Break(Err(Error::new(
            403,
            "The live page answers to the names of this machine only; --live=ADDRESS adds an address",
        ))),
    });
    for file in &FILES {
        app.get(file.path, |_, req, res| file.send(req, res));
    }
    app.websocket("/_live/feed", |_, _, offer| Ok((offer, Viewer))).max_message(MAX_ORDER);
    app
}

/// Whether a request names this machine or the address that was given. A page of another site can make its own name
/// lead here (DNS rebinding), and then its requests are of the same origin. But they bear that name.
fn is_for_us(req: &Request<'_>, given: IpAddr) -> bool {
    let Some(host) = req.host() else { return false };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    match name.parse::<IpAddr>() {
        // Who listens on all addresses is reached by any of them. An address is no name that DNS could lead here.
        Ok(address) => address.is_loopback() || address == given || given.is_unspecified(),
        Err(_) => name.eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use monoloop::TestClient;

    use super::*;

    fn client(address: &str) -> TestClient<Router<Viewers>> {
        let address = address.parse().expect("an address");
        TestClient::new(app(Viewers::new(Default::default(), channel().0), address))
    }

    #[test]
    fn a_page_may_use_only_its_own_server() {
        let mut client = client("127.0.0.1:3001");
        for file in &FILES {
            let reply = client.get(file.path).header("Host", "127.0.0.1:3001").send();
            assert_eq!((reply.status(), reply.text()), (200, file.content));
            let policy = reply.header("content-security-policy").expect("each file has a policy");
            assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"), "{policy}");
            let is_plain = !file.content.contains("://") || file.path.ends_with(".svg");
            assert!(is_plain, "{} names another server", file.path);
        }
    }

    #[test]
    fn only_names_of_this_machine_are_answered() {
        for (given, host, is_answered) in [
            ("127.0.0.1:3001", "127.0.0.1:3001", true),
            ("127.0.0.1:3001", "LOCALHOST:3001", true),
            ("127.0.0.1:3001", "[::1]:3001", true),
            ("127.0.0.1:3001", "localhost", true),
            ("127.0.0.1:3001", "attacker.example", false),
            ("127.0.0.1:3001", "localhost.attacker.example:3001", false),
            ("127.0.0.1:3001", "192.0.2.1:3001", false),
            ("192.0.2.1:3001", "192.0.2.1:3001", true),
            ("192.0.2.1:3001", "192.0.2.2:3001", false),
            ("192.0.2.1:3001", "attacker.example:3001", false),
            ("0.0.0.0:3001", "192.0.2.1:3001", true),
            ("0.0.0.0:3001", "attacker.example:3001", false),
        ] {
            let mut client = client(given);
            for path in ["/_live", "/_live/feed", "/_live/none"] {
                let status = client.get(path).header("Host", host).send().status();
                assert_eq!(status != 403, is_answered, "{path} of {host}, given {given}: {status}");
            }
        }
    }
}
