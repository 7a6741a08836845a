//! Ready-made middleware, for [`Routes::with`](crate::router::Routes::with), and guards, for
//! [`Routes::guard`](crate::router::Routes::guard).

mod cors;
mod origins;
mod same_origin;
#[cfg(test)]
mod tests;

pub use cors::Cors;
pub use same_origin::SameOrigin;
