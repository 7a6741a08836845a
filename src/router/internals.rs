//! The look-up of a route alone, for measurements.

use std::hint::black_box;

use super::Routes;
use crate::exchange::Spans;

/// Looks up a raw path and the positions of its parameters; returns the index of the endpoint.
#[inline(never)]
pub fn find_route<S>(routes: &Routes<S>, path: &str) -> Option<usize> {
    let mut spans = Spans::default();
    let endpoint = routes.trie.find(path.as_bytes(), &mut spans);
    black_box(&spans);
    endpoint
}
