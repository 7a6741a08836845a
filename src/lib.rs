//! An HTTP/1.1 server on one thread: one mio poll loop, one slab of connections, no async runtime and no lock.
//!
//! ```no_run
//! fn main() -> monoloop::server::Result<()> {
//!     monoloop::serve("127.0.0.1:3000", |_req, res| res.text("Hello, World!\n"))
//! }
//! ```
//!
//! Handlers run on the thread of the loop, one after the other, and borrow the state of the application as `&mut S`. So
//! the state needs no lock, and a handler must not block. A [`Router`] finds the handler of a request:
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
//! The [guides](guide) explain one part each, from [the first steps](guide::getting_started) to
//! [production](guide::operating). If your first handlers do not compile, [this one](guide::errors) has the messages of
//! the compiler, and what helps.
//!
//! # How do I ...
//!
//! | I want to | item | guide |
//! |---|---|---|
//! | find a handler by method and path | [`Router`], [`Routes::get`] | [routing](guide::routing) |
//! | read a parameter, the query, a header field, text | [`Request`] | [requests][replies] |
//! | read a cookie | [`Request::cookie`] | [requests][replies] |
//! | answer JSON, or read it | [`Response::json`], [`Request::json`] | [requests][replies] |
//! | set a cookie, or remove one | [`Response::cookie`], [`Cookie`] | [requests][replies] |
//! | read a form | [`Request::form`], [`Request::form_as`] | [requests][replies] |
//! | read query or parameters as a struct | [`Request::query_as`], [`Request::params_as`] | [requests][replies] |
//! | answer in the format that the client prefers | [`Request::accepts`] | [requests][replies] |
//! | take a form with files | [`Routes::upload`], [`multipart`] | [bodies][streaming] |
//! | answer an error | [`Error`], [`OptionExt`], [`ResultExt`], [`Router::on_error`] | [requests][replies] |
//! | have a browser save the content | [`Response::attachment`] | [requests][replies] |
//! | spare a client what it has (`ETag`, 304) | [`Response::etag`], [`Response::if_changed`] | [requests][replies] |
//! | guard all routes, some, or one | [`Routes::guard`], [`Registered::guard`] | [routing](guide::routing) |
//! | run code before each handler, or after it | [`Routes::with`], [`Routes::after`] | [routing](guide::routing) |
//! | hand a value on to the handler | [`Request::set`], [`Request::get`] | [routing](guide::routing) |
//! | answer where there is no route | [`Routes::not_found`] | [routing](guide::routing) |
//! | serve several hosts | [`Router::host`] | [routing](guide::routing) |
//! | allow other origins (CORS) | [`middleware::Cors`] | [routing](guide::routing) |
//! | refuse forms of other sites (CSRF) | [`middleware::SameOrigin`] | [routing](guide::routing) |
//! | put foreign text into HTML or a link | [`http::escape_html`], [`http::encode_segment`] | [requests][replies] |
//! | take an upload, however long | [`Routes::sink`] | [bodies][streaming] |
//! | stream a reply | [`Response::stream`], [`Response::channel`] | [bodies][streaming] |
//! | stream values as JSON, one a line | [`Response::json_lines`] | [bodies][streaming] |
//! | answer later, from another thread | [`Response::defer`] | [bodies][streaming] |
//! | send events to browsers | [`sse`] | [bodies][streaming] |
//! | speak WebSocket | [`Routes::websocket`], [`websocket`] | [WebSocket](guide::websocket) |
//! | send a message to many WebSockets | [`websocket::Room`] | [WebSocket](guide::websocket) |
//! | upgrade to another protocol | [`Routes::upgrade`] | [bodies][streaming] |
//! | serve files | [`Files`], [`Response::file`] | [files](guide::files) |
//! | run a task later, or again and again | [`Routes::once`], [`Routes::every`] | [routing](guide::routing) |
//! | change the state from another thread | [`Router::handle`], [`Handle::post`] | [embedding](guide::embedding) |
//! | understand why it does not compile | | [errors](guide::errors) |
//! | test an application | [`TestClient`] | [testing](guide::testing) |
//! | set limits and timeouts | [`Config`], [`Registered::max_content`] | [the command](guide::command) |
//! | stop the server | [`Router::handle`], [`Handle::shutdown`], SIGTERM | [operating](guide::operating) |
//! | write an access log | [`server::AccessLog`] | [operating](guide::operating) |
//! | record what clients did, and replay it | [`Server::record`], [`recording`] | [the command](guide::command) |
//! | collect metrics | [`server::Observer`], [`server::FinishedReply`] | [operating](guide::operating) |
//! | look into the loop while it runs | [`Running::inspect`], [`Running::observe`] | [embedding](guide::embedding) |
//! | refuse a connection | [`Server::on_connection`] | [operating](guide::operating) |
//! | use several cores | [`Workers`] | [workers](guide::workers) |
//! | turn the loop in a program of my own | [`Server::start`], [`server::Running`] | [embedding](guide::embedding) |
//! | serve without a router | [`serve`], [`exchange::Service`] | [embedding](guide::embedding) |
//! | put a service in front of a router | [`exchange::Delegate`] | [embedding](guide::embedding) |
//! | find what Node calls by another name | | [from Node](guide::from_node) |
//!
//! # Features
//!
//! Seven features are on by default: `json` (the methods named `json`, and those that read a query, a form or
//! parameters as a type), `files` (static files: `Files` and `Response::file`), `multipart` (forms with files:
//! `Routes::upload`), `websocket` (`Routes::websocket`), `signals` (the drain on SIGTERM and SIGINT), `live` (the loop
//! made visible, and recordings: `Running::inspect`, `Server::record`) and `cli` (the `monoloop` command).
//! `websocket-deflate` is off: it compresses WebSocket messages. `default-features = false` leaves the core.
//!
//! # For contributors
//!
//! `docs/ARCHITECTURE.md` in the repository shows the way of the bytes, and says in what order to read the code.
//! `docs/course/README.md` is a course for those who have never written an event loop. It ends with twenty changes to
//! make.
//!
//! [replies]: guide::requests_and_replies
//! [streaming]: guide::streaming
//! [`Routes::get`]: router::Routes::get
//! [`Routes::with`]: router::Routes::with
//! [`Routes::guard`]: router::Routes::guard
//! [`Routes::after`]: router::Routes::after
//! [`Routes::not_found`]: router::Routes::not_found
//! [`Registered::guard`]: router::Registered::guard
//! [`Routes::sink`]: router::Routes::sink
//! [`Routes::upgrade`]: router::Routes::upgrade
//! [`Routes::once`]: router::Routes::once
//! [`Routes::every`]: router::Routes::every
//! [`Registered::max_content`]: router::Registered::max_content
#![cfg_attr(feature = "json", doc = "[`Response::json`]: Response::json\n[`Request::json`]: Request::json")]
#![cfg_attr(feature = "json", doc = "[`Response::json_lines`]: Response::json_lines")]
#![cfg_attr(feature = "live", doc = "[`Running::inspect`]: server::Running::inspect")]
#![cfg_attr(feature = "live", doc = "[`Running::observe`]: server::Running::observe")]
#![cfg_attr(feature = "live", doc = "[`Server::record`]: Server::record\n[`recording`]: mod@recording")]
#![cfg_attr(feature = "multipart", doc = "[`Routes::upload`]: router::Routes::upload\n[`multipart`]: mod@multipart")]
#![cfg_attr(feature = "json", doc = "[`Request::form_as`]: Request::form_as")]
#![cfg_attr(feature = "json", doc = "[`Request::query_as`]: Request::query_as")]
#![cfg_attr(feature = "json", doc = "[`Request::params_as`]: Request::params_as")]
#![cfg_attr(feature = "files", doc = "[`Response::file`]: Response::file\n[`Files`]: Files")]
#![cfg_attr(feature = "websocket", doc = "[`Routes::websocket`]: router::Routes::websocket")]
#![cfg_attr(feature = "websocket", doc = "[`websocket`]: mod@websocket\n[`websocket::Room`]: websocket::Room")]
//! [`Response::json`]: #features
//! [`Request::json`]: #features
//! [`Response::json_lines`]: #features
//! [`Request::form_as`]: #features
//! [`Request::query_as`]: #features
//! [`Request::params_as`]: #features
//! [`Response::file`]: #features
//! [`Files`]: #features
//! [`Running::inspect`]: #features
//! [`Running::observe`]: #features
//! [`Server::record`]: #features
//! [`recording`]: #features
//! [`Routes::upload`]: #features
//! [`multipart`]: #features
//! [`Routes::websocket`]: #features
//! [`websocket`]: #features
//! [`websocket::Room`]: #features

// The seventeen links above are there twice: the first definition counts, and without its feature a method is not
// there.

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

// First, because its macro is known to what comes after it.
#[macro_use]
mod fault;

pub mod buffer;
mod config;
pub mod exchange;
#[cfg(feature = "files")]
#[cfg_attr(docsrs, doc(cfg(feature = "files")))]
pub mod files;
// As tests, its examples need JSON, files, forms and WebSocket. It belongs to no feature, so it gets no badge.
#[cfg_attr(docsrs, doc(auto_cfg = false))]
#[cfg(all(
    doc,
    any(not(doctest), all(feature = "files", feature = "json", feature = "multipart", feature = "websocket"))
))]
pub mod guide;
mod h1;
pub mod http;
pub mod limits;
pub mod middleware;
#[cfg(feature = "multipart")]
#[cfg_attr(docsrs, doc(cfg(feature = "multipart")))]
pub mod multipart;
#[cfg(feature = "live")]
#[cfg_attr(docsrs, doc(cfg(feature = "live")))]
pub mod recording;
pub mod router;
pub mod server;
mod sessions;
pub mod sse;
pub mod testing;
#[cfg(feature = "websocket")]
#[cfg_attr(docsrs, doc(cfg(feature = "websocket")))]
pub mod websocket;
mod wire;

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
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing {
    #[cfg(feature = "json")]
    pub use crate::h1::fuzzing::{chunked, connection, head, readings, reply, target};
    #[cfg(feature = "multipart")]
    pub use crate::multipart::fuzzing::multipart;
    #[cfg(feature = "websocket")]
    pub use crate::websocket::fuzzing::websocket;
}

pub use config::Config;
pub use exchange::{BodyWriter, Cookie, Endpoint, Request, Response, Sent};
#[cfg(feature = "files")]
#[cfg_attr(docsrs, doc(cfg(feature = "files")))]
pub use files::Files;
pub use http::{Error, Method, OptionExt, Result, ResultExt};
pub use router::{Router, handler};
pub use server::{Handle, Server, Workers, serve};
pub use testing::TestClient;

/// Runs the examples of the README as tests.
#[cfg(all(doctest, feature = "json"))]
#[doc = include_str!("../README.md")]
struct Readme;
