//! An HTTP/1.1 server on one thread: one mio poll loop, one slab of connections, no async runtime and no lock.
//!
//! ```no_run
//! fn main() -> monoloop::server::Result<()> {
//!     monoloop::serve("127.0.0.1:3000", |_req, res| res.text("Hello, World!\n"))
//! }
//! ```
//!
//! Handlers run on the thread of the loop, one after the other, and borrow the state of the application as `&mut S`.
//! They must not block. A [`Router`] finds them:
//!
//! ```no_run
//! use monoloop::{Router, Server};
//!
//! # fn main() -> monoloop::server::Result<()> {
//! let mut app = Router::new(0_u64);
//! app.get("/count/:step", |count, req, res| {
//!     *count += req.param::<u64>("step")?;
//!     res.text(count.to_string())
//! });
//! Server::bind("127.0.0.1:3000")?.run(app)
//! # }
//! ```
//!
//! What flows (content taken piece by piece, replies that are streamed or given later, other protocols) stands in
//! [`exchange`], and events for browsers in [`sse`].
//!
//! Where to go on: [`Router`] and [`router::Routes`] for paths and middleware, [`Request`] and [`Response`] for what a
//! handler sees, [`Error`] for what it may return by `?`, [`Config`] for limits and timeouts, [`Server`] and [`Handle`]
//! for starting and stopping, [`Workers`] for one loop per core, [`server::Observer`] for watching, [`TestClient`] for the tests of an application.
//!
//! # The way of the bytes
//!
//! ```text
//!     socket ─read→ buffer::Receive → h1::head → h1::framing ─────────────┐     (Service::admit sees the head of
//!                                                     │                   │     a request with content: a 404
//!                                                     └→ h1::body ────────┤     or a 405 does not wait for it)
//!                                                            │            ▼
//!                        exchange::Service → router → middleware → handler(&mut S, &Request, Response)
//!                                                            │            │
//!                                                            └→ BodySink, piece by piece
//!                                                                         │
//!     socket ←write─ buffer::OutputQueue ← exchange::encode ← Response, BodySource, BodySender, Responder
//!        ↑
//!        └─sendfile─ buffer::FileRange ← exchange::representation ← files::Files, Response::file
//! ```
//!
//! # In which order to read the code
//!
//! 1. [`limits`]: every constant, with its reason.
//! 2. `server/event_loop.rs`: the tick. Then `sessions/mod.rs`, what a tick does with its sessions, and
//!    `sessions/session.rs`, the pump of one.
//! 3. `h1/connection/mod.rs`: the state machines of one connection; `h1/state.rs`: the table of their joint states; then
//!    `h1/connection/requests.rs`, from bytes to a request that can be answered.
//! 4. `h1/head.rs`, `h1/framing.rs`, `h1/body.rs`: the parsers.
//! 5. `exchange/service.rs` and `exchange/conduct.rs`: the call into the application; `exchange/response.rs`: its reply.
//! 6. `router/routes.rs`, `router/service.rs` and `router/trie.rs`: from a path to a handler.
//! 7. `files/answer.rs` and `files/find.rs`: from a path to a file, and `exchange/representation.rs`: what of it is sent.
//! 8. `sessions/deadlines.rs`, `server/accept.rs`, `server/drain.rs`: time, overload and the end.
//!
//! `docs/ARCHITECTURE.md` in the repository is the guided tour.
//!
//! # Features
//!
//! `json` ([`Request`] and [`Response`] get a `json` method), `files` (static files: `Files` and `Response::file`), `signals`
//! (the drain on SIGTERM and SIGINT) and `cli` (the `monoloop` command) are on by default; `default-features = false` leaves
//! the core.

#![forbid(unsafe_code)]

pub mod buffer;
mod config;
pub mod exchange;
#[cfg(feature = "files")]
pub mod files;
// As tests, its examples need JSON and files.
#[cfg(all(doc, any(not(doctest), all(feature = "files", feature = "json"))))]
pub mod guide;
mod h1;
pub mod http;
pub mod limits;
pub mod middleware;
pub mod router;
pub mod server;
mod sessions;
pub mod sse;
pub mod testing;

/// Parts of the machine by themselves, for `benches/`. They may change or go at any time.
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals {
    pub use crate::exchange::internals::Encoder;
    pub use crate::h1::internals::{HeadParser, decode_chunks};
    pub use crate::router::internals::find_route;
    pub use crate::testing::internals::exchange;
}

/// The bodies of the fuzz targets in `tests/fuzz/`.
#[cfg(all(any(test, fuzzing), feature = "json"))]
#[doc(hidden)]
pub use h1::fuzzing;

pub use config::Config;
pub use exchange::{BodyWriter, Endpoint, Request, Response, Sent};
#[cfg(feature = "files")]
pub use files::Files;
pub use http::{Error, Method, OptionExt, Result};
pub use router::Router;
pub use server::{Handle, Server, Workers, serve};
pub use testing::TestClient;

/// Runs the examples of the README as tests.
#[cfg(all(doctest, feature = "json"))]
#[doc = include_str!("../README.md")]
struct Readme;
