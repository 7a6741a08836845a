//! The trie of segments: one node per prefix of a route.
//!
//! Looking a path up walks down one segment at a time, the literal child first, then `:param`, then `*rest`, and steps
//! back where that led nowhere. Each node is visited at most once, so a lookup is bounded by the number of routes,
//! and is a few steps in practice.

use super::path::{Pattern, Segment, decode};
use crate::exchange::MAX_PARAMS;

/// Nodes in one vector; the first is the root.
#[derive(Debug)]
pub(super) struct Trie {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    /// Sorted by length, then by text.
    literals: Vec<(Box<str>, u32)>,
    param: Option<u32>,
    /// The endpoint of `*rest` here.
    rest: Option<u32>,
    /// The endpoint of the path that ends here.
    endpoint: Option<u32>,
}

/// An endpoint, and where in the path its parameters lie.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) endpoint: usize,
    pub(super) spans: [(u32, u32); MAX_PARAMS],
}

impl Default for Trie {
    fn default() -> Self {
        Self { nodes: vec![Node::default()] }
    }
}

impl Trie {
    /// The endpoint of this path: the one that is there, or else `new`.
    pub(super) fn insert(&mut self, pattern: &Pattern, new: usize) -> usize {
        let mut at = 0;
        for segment in pattern.segments() {
            at = match segment {
                Segment::Literal(literal) => self.literal_child(at, literal),
                Segment::Param => self.param_child(at),
                Segment::Rest => return *self.nodes[at].rest.get_or_insert(new as u32) as usize,
            };
        }
        *self.nodes[at].endpoint.get_or_insert(new as u32) as usize
    }

    fn literal_child(&mut self, at: usize, literal: &str) -> usize {
        match self.nodes[at].position(literal) {
            Ok(index) => self.nodes[at].literals[index].1 as usize,
            Err(index) => {
                let child = self.push();
                self.nodes[at].literals.insert(index, (literal.into(), child));
                child as usize
            }
        }
    }

    fn param_child(&mut self, at: usize) -> usize {
        if self.nodes[at].param.is_none() {
            self.nodes[at].param = Some(self.push());
        }
        self.nodes[at].param.expect("it was just put there") as usize
    }

    fn push(&mut self) -> u32 {
        self.nodes.push(Node::default());
        self.nodes.len() as u32 - 1
    }

    /// Looks up a raw path.
    #[inline]
    pub(super) fn find(&self, path: &str) -> Option<Found> {
        let path = path.strip_prefix('/').map(|rest| Rest { path, from: path.len() - rest.len() })?;
        let mut spans = [(0, 0); MAX_PARAMS];
        let endpoint = self.walk(&self.nodes[0], path, 0, &mut spans)?;
        Some(Found { endpoint: endpoint as usize, spans })
    }

    fn walk(&self, node: &Node, rest: Rest<'_>, params: usize, spans: &mut [(u32, u32); MAX_PARAMS]) -> Option<u32> {
        let end = rest.segment_end();
        let segment = &rest.path[rest.from..end];
        let next = (end < rest.path.len()).then_some(Rest { path: rest.path, from: end + 1 });
        if let Some(child) = node.literal(segment)
            && let Some(endpoint) = self.step(child, next, params, spans)
        {
            return Some(endpoint);
        }
        if let (Some(child), false) = (node.param, segment.is_empty()) {
            spans[params] = (rest.from as u32, end as u32);
            if let Some(endpoint) = self.step(child, next, params + 1, spans) {
                return Some(endpoint);
            }
        }
        if node.rest.is_some() {
            spans[params] = (rest.from as u32, rest.path.len() as u32);
        }
        node.rest
    }

    /// One segment further down, or the end.
    #[inline]
    fn step(
        &self,
        child: u32,
        next: Option<Rest<'_>>,
        params: usize,
        spans: &mut [(u32, u32); MAX_PARAMS],
    ) -> Option<u32> {
        let child = &self.nodes[child as usize];
        match next {
            Some(rest) => self.walk(child, rest, params, spans),
            None => child.endpoint,
        }
    }
}

/// What is left of a path: `path[from..]`.
#[derive(Clone, Copy)]
struct Rest<'a> {
    path: &'a str,
    from: usize,
}

impl Rest<'_> {
    #[inline]
    fn segment_end(self) -> usize {
        let bytes = self.path.as_bytes();
        (self.from..bytes.len()).find(|&at| bytes[at] == b'/').unwrap_or(bytes.len())
    }
}

impl Node {
    fn position(&self, segment: &str) -> Result<usize, usize> {
        self.literals.binary_search_by(|(literal, _)| {
            literal.len().cmp(&segment.len()).then_with(|| literal.as_bytes().cmp(segment.as_bytes()))
        })
    }

    /// The child for this segment, which is percent-decoded first.
    #[inline]
    fn literal(&self, segment: &str) -> Option<u32> {
        if self.literals.is_empty() {
            return None;
        }
        self.position(&decode(segment)).ok().map(|index| self.literals[index].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trie(paths: &[&str]) -> Trie {
        let mut trie = Trie::default();
        for (i, path) in paths.iter().enumerate() {
            assert_eq!(trie.insert(&Pattern::parse(path), i), i, "{path}");
        }
        trie
    }

    /// The path that was found, and its parameters.
    fn find<'p>(paths: &[&'p str], path: &'p str) -> Option<(&'p str, Vec<&'p str>)> {
        let found = trie(paths).find(path)?;
        let count = Pattern::parse(paths[found.endpoint]).names().len();
        let params = found.spans[..count].iter().map(|&(start, end)| &path[start as usize..end as usize]).collect();
        Some((paths[found.endpoint], params))
    }

    #[test]
    fn what_matches_what() {
        let paths = [
            "/",
            "/users",
            "/users/:id",
            "/users/me",
            "/users/:id/posts/:post",
            "/users/me/x",
            "/files/*rest",
            "/caf\u{e9}",
        ];
        let cases: &[(&str, Option<(&str, &[&str])>)] = &[
            ("/", Some(("/", &[]))),
            ("/users", Some(("/users", &[]))),
            ("/users/", None),
            ("/users/1", Some(("/users/:id", &["1"]))),
            ("/users/me", Some(("/users/me", &[]))),
            ("/users/mee", Some(("/users/:id", &["mee"]))),
            ("/users/me/x", Some(("/users/me/x", &[]))),
            // The literal `me` leads nowhere here: a step back to `:id`.
            ("/users/me/posts/7", Some(("/users/:id/posts/:post", &["me", "7"]))),
            ("/users/1/posts", None),
            ("/users/1/posts/", None),
            ("/users//posts/1", None),
            ("/files", None),
            ("/files/", Some(("/files/*rest", &[""]))),
            ("/files/a/b", Some(("/files/*rest", &["a/b"]))),
            ("/%75sers", Some(("/users", &[]))),
            ("/users%2Fme", None),
            ("/users/a%2Fb", Some(("/users/:id", &["a%2Fb"]))),
            ("/caf%C3%A9", Some(("/caf\u{e9}", &[]))),
            ("//users", None),
            ("/nothing", None),
            ("*", None),
            ("", None),
        ];
        for (path, expected) in cases {
            let expected = expected.map(|(pattern, params)| (pattern, params.to_vec()));
            assert_eq!(find(&paths, path), expected, "{path}");
        }
    }

    #[test]
    fn one_path_is_one_endpoint_whatever_its_parameters_are_called() {
        let mut trie = trie(&["/a/:x"]);
        assert_eq!(trie.insert(&Pattern::parse("/a/:y"), 1), 0);
    }

    #[test]
    fn many_routes() {
        let paths: Vec<String> = (0..500).flat_map(|i| [format!("/r{i}/:id"), format!("/r{i}/x/y")]).collect();
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        assert_eq!(find(&paths, "/r499/7"), Some(("/r499/:id", vec!["7"])));
        assert_eq!(find(&paths, "/r0/x/y"), Some(("/r0/x/y", vec![])));
        assert_eq!(find(&paths, "/r500/7"), None);
    }
}
