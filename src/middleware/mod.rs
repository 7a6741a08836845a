//! Ready-made middleware. Add it with [`Routes::with`](crate::router::Routes::with).

mod cors;

pub use cors::Cors;
