//! The input of the benchmarks: the same bytes and the same routes for counting instructions and for measuring time.
//! All of it is fixed.

#![allow(dead_code, reason = "each benchmark uses its own part of it")]

use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use monoloop::middleware::Cors;
use monoloop::{Router, TestClient};

/// The date of every reply: the example of RFC 9110 §5.6.7, as in a [`TestClient`].
pub(crate) fn date() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(784_111_777)
}

// ---- requests -------------------------------------------------------------------------------------------------------

/// A request with the `Host` field and no other.
pub(crate) const PLAIN: &str = "GET /plaintext HTTP/1.1\r\nHost: 127.0.0.1:3000\r\n\r\n";

/// A request with the 20 field lines of a browser. The Python programs send the same fields.
pub(crate) static BROWSER: LazyLock<String> = LazyLock::new(|| {
    let fields = include_str!("../browser-fields.txt").replace('\n', "\r\n");
    format!("GET /plaintext HTTP/1.1\r\nHost: 127.0.0.1:3000\r\n{fields}\r\n")
});

/// A request for a file of less than a kilobyte.
pub(crate) const FILE: &str = "GET /files/hello.rs HTTP/1.1\r\nHost: 127.0.0.1:3000\r\n\r\n";

/// A request with content of known length.
pub(crate) const POST: &str = "POST /echo HTTP/1.1\r\nHost: 127.0.0.1:3000\r\nContent-Type: application/json\r\n\
    Content-Length: 51\r\n\r\n{\"id\":1,\"name\":\"Alice\",\"email\":\"alice@example.com\"}";

/// A request with the same content in two chunks.
pub(crate) const POST_CHUNKED: &str = "POST /echo HTTP/1.1\r\nHost: 127.0.0.1:3000\r\n\
    Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n\
    8\r\n{\"id\":1,\r\n2b\r\n\"name\":\"Alice\",\"email\":\"alice@example.com\"}\r\n0\r\n\r\n";

/// A body in the chunked coding: `count` chunks of `size` bytes each.
pub(crate) fn chunked(count: usize, size: usize) -> Vec<u8> {
    let chunk = format!("{size:x}\r\n{}\r\n", "x".repeat(size));
    format!("{}0\r\n\r\n", chunk.repeat(count)).into_bytes()
}

// ---- applications ---------------------------------------------------------------------------------------------------

/// A client of an application that answers all of these requests.
pub(crate) fn client(cors: bool) -> TestClient<Router<()>> {
    let mut app = Router::new(());
    if cors {
        app.with(Cors::any().middleware());
    }
    app.get("/", |_, _, res| res.text("Welcome"));
    app.get("/plaintext", |_, _, res| res.text("Hello, World!"));
    app.get("/users/:id", |_, req, res| res.text(req.param_str("id").unwrap_or_default()));
    app.post("/echo", |_, req, res| res.send(req.body()));
    #[cfg(feature = "files")]
    app.mount(
        "/files",
        monoloop::Files::new(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/examples")).expect("the directory is there"),
    );
    TestClient::new(app)
}

// ---- routes ---------------------------------------------------------------------------------------------------------

/// A kind of routes: their patterns, and paths that they match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Routes {
    Static,
    Param,
    CatchAll,
}

impl Routes {
    /// The pattern of the route with this number, as monoloop writes it.
    pub(crate) fn pattern(self, number: usize) -> String {
        match self {
            Self::Static => format!("/api/resource{number}/list"),
            Self::Param => format!("/api/resource{number}/:id"),
            Self::CatchAll => format!("/api/resource{number}/*rest"),
        }
    }

    /// A path that the route with this number matches.
    pub(crate) fn path(self, number: usize) -> String {
        match self {
            Self::Static => format!("/api/resource{number}/list"),
            Self::Param => format!("/api/resource{number}/12345"),
            Self::CatchAll => format!("/api/resource{number}/a/b/style.css"),
        }
    }

    /// The same routes for matchit, which has another syntax.
    pub(crate) fn matchit(self, count: usize) -> matchit::Router<usize> {
        let mut router = matchit::Router::new();
        for number in 0..count {
            let pattern = self.pattern(number).replace(":id", "{id}").replace("*rest", "{*rest}");
            router.insert(pattern, number).expect("no two routes match the same paths");
        }
        router
    }

    /// An application with `count` of these routes.
    pub(crate) fn router(self, count: usize) -> Router<()> {
        let mut app = Router::new(());
        for number in 0..count {
            app.get(&self.pattern(number), |_, _, res| res.empty());
        }
        app
    }
}
