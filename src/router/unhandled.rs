//! The router's own answers for requests that have no handler. They are prepared when the routes are registered,
//! because scanners and bots request them again and again, and they should cost little.

use crate::exchange::{PreparedField, Response, Sent};
use crate::http::{Error, Method, MethodSet, PreparedError, Result};

/// The answers for a path that has no handler for the method.
pub(super) struct Unhandled {
    allowed: MethodSet,
    allow: PreparedField,
    not_allowed: PreparedError,
    /// The answer to a GET on a path that offers other protocols (426).
    other_protocol: Option<PreparedError>,
}

impl Unhandled {
    /// Prepares the answers of a path with these methods, and the one to a GET on a path with other protocols.
    pub(super) fn new(allowed: MethodSet, other_protocol: Option<Error>) -> Self {
        let names = allowed.to_string();
        let allow = PreparedField::new("Allow", &names);
        let not_allowed = Error::new(405, "Method not allowed").with_header("Allow", names);
        Self {
            allowed,
            allow,
            not_allowed: PreparedError::new(not_allowed),
            other_protocol: other_protocol.map(PreparedError::new),
        }
    }

    /// As [`answer`](Self::answer), where other routes answer more methods. Such an answer is not prepared.
    pub(super) fn answer_beside(&self, others: MethodSet, method: Method, response: Response<'_>) -> Result<Sent> {
        let allowed = self.allowed.union(others);
        if allowed == self.allowed {
            return self.answer(method, response);
        }
        Self::new(allowed, self.other_protocol.as_ref().map(PreparedError::get)).answer(method, response)
    }

    /// Answers a request with this method.
    pub(super) fn answer(&self, method: Method, response: Response<'_>) -> Result<Sent> {
        match (method, &self.other_protocol) {
            (Method::Get | Method::Head, Some(other_protocol)) => Err(other_protocol.get()),
            (Method::Options, _) => response.status(204).prepared(&self.allow).empty(),
            _ => Err(self.not_allowed.get()),
        }
    }
}

/// The answers for paths without an endpoint.
pub(super) struct NoEndpoint {
    pub(super) not_found: PreparedError,
    /// The answer to `OPTIONS *`: it names all methods that any route answers.
    pub(super) all: Unhandled,
    /// The answer to TRACE, which no path supports.
    pub(super) trace: Unhandled,
}

impl NoEndpoint {
    /// Prepares the answers of a table whose routes answer these methods.
    pub(super) fn new(allowed: MethodSet) -> Self {
        Self {
            not_found: PreparedError::new(Error::not_found("Not found")),
            all: Unhandled::new(allowed, None),
            trace: Unhandled::new(MethodSet::EMPTY.with(Method::Options), None),
        }
    }
}
