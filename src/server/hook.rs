use std::time::Duration;

use crate::exchange::{Endpoint, guard};

/// What the hook of [`Server::on_connection`](super::Server::on_connection) decides about a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decision {
    /// The server serves the connection.
    Accept,
    /// The server serves the connection, with this idle timeout in place of the one in [`Config`](crate::Config).
    AcceptWithIdleTimeout(Duration),
    /// The server closes the connection at once.
    Refuse,
}

/// The function of the application that decides about each connection.
pub(super) type Hook = Box<dyn FnMut(&Endpoint) -> Decision>;

/// Asks the hook about a connection. If the hook panics, the connection is refused.
pub(super) fn ask(hook: &mut Option<Hook>, peer: &Endpoint) -> Decision {
    let Some(hook) = hook else { return Decision::Accept };
    guard(|| hook(peer)).unwrap_or_else(|panic| {
        fault!("the on_connection hook {panic}");
        Decision::Refuse
    })
}
