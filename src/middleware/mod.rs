//! Ready middleware, to be added by [`Routes::with`](crate::router::Routes::with).

mod cors;

pub use cors::Cors;
