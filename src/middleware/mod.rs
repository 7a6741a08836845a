//! Ready-made middleware. Add it with [`Routes::with`](crate::router::Routes::with).

mod cors;
mod origins;
#[cfg(test)]
mod tests;

pub use cors::Cors;
