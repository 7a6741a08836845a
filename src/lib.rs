//! x
pub mod buffer;
mod config;
pub mod exchange;
mod h1;
pub mod http;
pub mod limits;
pub mod middleware;
pub mod router;
pub mod server;

pub use config::Config;
pub use exchange::{BodyWriter, Endpoint, Request, Response, Sent};
pub use http::{Error, Method, OptionExt, Result};
pub use router::Router;
pub use server::{Handle, Server, serve};
