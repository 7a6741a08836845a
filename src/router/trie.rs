//! The trie of segments: one node per prefix of a route.
//!
//! Looking a path up walks down one segment at a time, the literal child first, then `:param`, then `*rest`, and steps
//! back where that led nowhere. Each node is visited at most once, so a lookup is bounded by the number of routes,
//! and is a few steps in practice.

use std::borrow::Cow;

use percent_encoding::percent_decode;

use super::path::{Pattern, Segment};
use crate::exchange::Spans;

/// Nodes in one vector; the first is the root.
#[derive(Debug)]
pub(super) struct Trie {
    nodes: Vec<Node>,
    /// The endpoints of paths without parameters and without percent signs, by their whole text: the walk would come to
    /// the same one, since it tries literals first.
    exact: Literals,
}

#[derive(Debug, Default)]
struct Node {
    literals: Literals,
    param: Option<u32>,
    /// The endpoint of `*rest` here.
    rest: Option<u32>,
    /// The endpoint of the path that ends here.
    endpoint: Option<u32>,
}

/// Texts and what they lead to, sorted by [`key`].
#[derive(Debug, Default)]
struct Literals {
    keys: Vec<u128>,
    texts: Vec<Box<str>>,
    values: Vec<u32>,
}

impl Default for Trie {
    fn default() -> Self {
        Self { nodes: vec![Node::default()], exact: Literals::default() }
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
        let endpoint = *self.nodes[at].endpoint.get_or_insert(new as u32);
        let is_plain = pattern.names().is_empty() && !pattern.as_str().contains('%');
        if is_plain && let Err(at) = self.exact.position(pattern.as_str().as_bytes()) {
            self.exact.insert(at, pattern.as_str(), endpoint);
        }
        endpoint as usize
    }

    fn literal_child(&mut self, at: usize, literal: &str) -> usize {
        match self.nodes[at].literals.position(literal.as_bytes()) {
            Ok(index) => self.nodes[at].literals.values[index] as usize,
            Err(index) => {
                let child = self.push();
                self.nodes[at].literals.insert(index, literal, child);
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

    /// Looks up a raw path: the endpoint. Where its parameters lie goes to `spans`.
    #[inline]
    pub(super) fn find(&self, path: &str, spans: &mut Spans) -> Option<usize> {
        if let Ok(at) = self.exact.position(path.as_bytes()) {
            return Some(self.exact.values[at] as usize);
        }
        if !path.starts_with('/') {
            return None;
        }
        self.walk(&self.nodes[0], path, 1, 0, spans).map(|endpoint| endpoint as usize)
    }

    /// Looks up `path[from..]` below `node`; so many parameters were taken on the way.
    fn walk(&self, node: &Node, path: &str, from: usize, params: usize, spans: &mut Spans) -> Option<u32> {
        let rest = &path.as_bytes()[from..];
        let len = rest.iter().position(|&byte| byte == b'/').unwrap_or(rest.len());
        let (segment, end) = (&rest[..len], from + len);
        if let Some(child) = node.literal(segment)
            && let Some(endpoint) = self.step(child, path, end, params, spans)
        {
            return Some(endpoint);
        }
        if let (Some(child), false) = (node.param, segment.is_empty()) {
            spans[params] = (from as u32, end as u32);
            if let Some(endpoint) = self.step(child, path, end, params + 1, spans) {
                return Some(endpoint);
            }
        }
        if node.rest.is_some() {
            spans[params] = (from as u32, path.len() as u32);
        }
        node.rest
    }

    /// A segment has ended at `end`: one further down, or this is the end of the path.
    #[inline]
    fn step(&self, child: u32, path: &str, end: usize, params: usize, spans: &mut Spans) -> Option<u32> {
        let child = &self.nodes[child as usize];
        match end < path.len() {
            true => self.walk(child, path, end + 1, params, spans),
            false => child.endpoint,
        }
    }
}

impl Literals {
    /// Where the literal stands, or else would stand.
    #[inline]
    fn position(&self, text: &[u8]) -> Result<usize, usize> {
        let key = key(text);
        let first = match self.keys.len() {
            0..=8 => self.keys.iter().take_while(|&&known| known < key).count(),
            _ => self.keys.partition_point(|&known| known < key),
        };
        let mut at = first;
        while self.keys.get(at) == Some(&key) {
            // Up to 16 bytes, key and length are the whole text.
            let literal = self.texts[at].as_bytes();
            if literal.len() == text.len() && (text.len() <= 16 || literal == text) {
                return Ok(at);
            }
            at += 1;
        }
        Err(first)
    }

    fn insert(&mut self, at: usize, literal: &str, value: u32) {
        self.keys.insert(at, key(literal.as_bytes()));
        self.texts.insert(at, literal.into());
        self.values.insert(at, value);
    }
}

/// By what literals are sorted: their first and last eight bytes, which tell nearly all of them apart.
#[inline]
fn key(text: &[u8]) -> u128 {
    match (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        (Some(first), Some(last)) => {
            u128::from(u64::from_ne_bytes(*first)) << 64 | u128::from(u64::from_ne_bytes(*last))
        }
        _ => text.iter().fold(0, |key, &byte| key << 8 | u128::from(byte)),
    }
}

impl Node {
    /// The child for this segment, which is percent-decoded first.
    #[inline]
    fn literal(&self, segment: &[u8]) -> Option<u32> {
        if self.literals.keys.is_empty() {
            return None;
        }
        let found = match segment.contains(&b'%') {
            false => self.literals.position(segment),
            true => self.literals.position(&Cow::from(percent_decode(segment))),
        };
        found.ok().map(|at| self.literals.values[at])
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
        let mut spans = Spans::default();
        let endpoint = trie(paths).find(path, &mut spans)?;
        let count = Pattern::parse(paths[endpoint]).names().len();
        let params = spans[..count].iter().map(|&(start, end)| &path[start as usize..end as usize]).collect();
        Some((paths[endpoint], params))
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
            "/th%C3%A9",
            "/a%2Fb/x",
            "/100%",
        ];
        type Case<'a> = (&'a str, Option<(&'a str, &'a [&'a str])>);
        let cases: &[Case<'_>] = &[
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
            ("/th%c3%A9", Some(("/th%C3%A9", &[]))),
            ("/th%25C3%25A9", None),
            ("/a%2Fb/x", Some(("/a%2Fb/x", &[]))),
            ("/a/b/x", None),
            ("/100%25", Some(("/100%", &[]))),
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
