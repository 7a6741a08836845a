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

/// Texts and what they lead to: a hash table, each slot of which holds the index of an entry.
#[derive(Debug, Default)]
struct Literals {
    slots: Box<[u32]>,
    entries: Vec<(Box<[u8]>, u32)>,
    /// How long the longest text is.
    longest: usize,
}

const FREE: u32 = u32::MAX;

/// Bytes in which a segment of a request is decoded: few routes have a longer one.
const ROOM: usize = 128;

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
        if is_plain && self.exact.get(pattern.as_str().as_bytes()).is_none() {
            self.exact.insert(pattern.as_str(), endpoint);
        }
        endpoint as usize
    }

    fn literal_child(&mut self, at: usize, literal: &str) -> usize {
        if let Some(child) = self.nodes[at].literals.get(literal.as_bytes()) {
            return child as usize;
        }
        let child = self.push();
        self.nodes[at].literals.insert(literal, child);
        child as usize
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
    pub(super) fn find(&self, path: &[u8], spans: &mut Spans) -> Option<usize> {
        if let Some(endpoint) = self.exact.get(path) {
            return Some(endpoint as usize);
        }
        self.find_by_segments(path, spans)
    }

    #[inline(never)]
    fn find_by_segments(&self, path: &[u8], spans: &mut Spans) -> Option<usize> {
        if path.first() != Some(&b'/') {
            return None;
        }
        Walk { nodes: &self.nodes, path, spans }.down(0, 1, 0).map(|endpoint| endpoint as usize)
    }
}

/// One look-up on its way.
struct Walk<'a> {
    nodes: &'a [Node],
    path: &'a [u8],
    spans: &'a mut Spans,
}

impl Walk<'_> {
    /// Looks up what begins at `from`, below the node `at`; so many parameters were taken on the way.
    ///
    /// Nearly always a node leaves one way only, and going on is a turn of the loop. [`fork`](Self::fork) is for the others.
    fn down(&mut self, mut at: u32, mut from: usize, mut params: usize) -> Option<u32> {
        // Behind the last segment there is no slash, and `from` is one too many.
        while from <= self.path.len() {
            let node = &self.nodes[at as usize];
            let part = Part::read(self.path, from);
            let end = from + part.text.len();
            let param = node.param.filter(|_| end > from);
            at = match (node.literal(&part), param) {
                (Some(child), None) if node.rest.is_none() => child,
                (None, Some(child)) if node.rest.is_none() => {
                    self.spans[params] = (from as u32, end as u32);
                    params += 1;
                    child
                }
                (None, None) => return self.rest(node.rest, from, params),
                (literal, param) => return self.fork([literal, param, node.rest], from, end, params),
            };
            from = end + 1;
        }
        self.nodes[at as usize].endpoint
    }

    /// Tries one way after another: the literal child, `:param`, `*rest`.
    fn fork(&mut self, ways: [Option<u32>; 3], from: usize, end: usize, params: usize) -> Option<u32> {
        let [literal, param, rest] = ways;
        if let Some(child) = literal
            && let Some(endpoint) = self.down(child, end + 1, params)
        {
            return Some(endpoint);
        }
        if let Some(child) = param {
            self.spans[params] = (from as u32, end as u32);
            if let Some(endpoint) = self.down(child, end + 1, params + 1) {
                return Some(endpoint);
            }
        }
        self.rest(rest, from, params)
    }

    /// The endpoint of `*rest`, if there is one.
    #[inline]
    fn rest(&mut self, rest: Option<u32>, from: usize, params: usize) -> Option<u32> {
        if rest.is_some() {
            self.spans[params] = (from as u32, self.path.len() as u32);
        }
        rest
    }
}

/// A segment of a request's path, still raw.
struct Part<'p> {
    text: &'p [u8],
    /// Whether there is a percent sign in it.
    is_encoded: bool,
}

impl<'p> Part<'p> {
    /// The one that begins at `from`: it lasts until the next slash, or to the end.
    #[inline]
    fn read(path: &'p [u8], from: usize) -> Self {
        let rest = &path[from..];
        // One look for both: nearly always there is no percent sign before the slash.
        let len = rest.iter().position(|&byte| byte == b'/' || byte == b'%').unwrap_or(rest.len());
        match rest.get(len) {
            Some(b'%') => Self { text: until_slash(rest), is_encoded: true },
            _ => Self { text: &rest[..len], is_encoded: false },
        }
    }
}

/// What lies before the first slash.
#[cold]
fn until_slash(rest: &[u8]) -> &[u8] {
    rest.split(|&byte| byte == b'/').next().unwrap_or_default()
}

impl Literals {
    /// What the text leads to.
    #[inline]
    fn get(&self, text: &[u8]) -> Option<u32> {
        let mut slot = self.home(text);
        loop {
            let entry = *self.slots.get(slot)?;
            // There is none for a slot that is free.
            let (known, value) = self.entries.get(entry as usize)?;
            if **known == *text {
                return Some(*value);
            }
            slot = self.next(slot);
        }
    }

    /// What a percent-encoded text leads to. It allocates only for routes that have a segment longer than [`ROOM`].
    #[cold]
    fn get_encoded(&self, text: &[u8]) -> Option<u32> {
        let mut room = [0; ROOM];
        let mut len = 0;
        for byte in percent_decode(text) {
            match room.get_mut(len) {
                // What is longer than all that are known is none of them.
                _ if len == self.longest => return None,
                Some(place) => *place = byte,
                None => return self.get(&Cow::from(percent_decode(text))),
            }
            len += 1;
        }
        self.get(&room[..len])
    }

    /// Adds a text that is not there yet.
    fn insert(&mut self, text: &str, value: u32) {
        self.longest = self.longest.max(text.len());
        self.entries.push((text.as_bytes().into(), value));
        // At least half of the slots are free.
        if self.entries.len() * 2 > self.slots.len() {
            self.slots = vec![FREE; (self.entries.len() * 4).next_power_of_two()].into();
            (0..self.entries.len()).for_each(|entry| self.place(entry));
        } else {
            self.place(self.entries.len() - 1);
        }
    }

    fn place(&mut self, entry: usize) {
        let mut slot = self.home(&self.entries[entry].0);
        while self.slots[slot] != FREE {
            slot = self.next(slot);
        }
        self.slots[slot] = entry as u32;
    }

    /// The slot where a text stands unless others stand there already.
    #[inline]
    fn home(&self, text: &[u8]) -> usize {
        // The high bits of a product depend on all bits of its factors.
        ((u128::from(hash(text)) * self.slots.len() as u128) >> 64) as usize
    }

    #[inline]
    fn next(&self, slot: usize) -> usize {
        (slot + 1) & (self.slots.len() - 1)
    }
}

/// Multiplies eight bytes at a time. Clients choose what is looked up, but only routes are ever put in; so nobody can
/// make the chains longer, and a hash that withstands that is not needed.
#[inline]
fn hash(text: &[u8]) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let (words, _) = text.as_chunks();
    // The last eight bytes are taken whole, though some of them are in a word before.
    let last = match text.last_chunk() {
        Some(last) => u64::from_le_bytes(*last),
        None => text.iter().fold(0, |word, &byte| word << 8 | u64::from(byte)),
    };
    let mix = |hash: u64, word: u64| (hash.rotate_left(23) ^ word).wrapping_mul(ODD);
    let hash = words.iter().fold(text.len() as u64, |hash, &word| mix(hash, u64::from_le_bytes(word)));
    mix(hash, last)
}

impl Node {
    /// The child for this segment, which is percent-decoded first.
    #[inline]
    fn literal(&self, part: &Part<'_>) -> Option<u32> {
        match (&*self.literals.entries, part.is_encoded) {
            ([], _) => None,
            // To compare is cheaper than to hash.
            ([(only, child)], false) => (**only == *part.text).then_some(*child),
            (_, false) => self.literals.get(part.text),
            (_, true) => self.literals.get_encoded(part.text),
        }
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
        let endpoint = trie(paths).find(path.as_bytes(), &mut spans)?;
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
    fn a_segment_of_any_length_is_decoded() {
        for len in [1, ROOM - 1, ROOM, ROOM + 1, 3 * ROOM] {
            let (known, encoded) = (format!("/{}", "a".repeat(len)), "%61".repeat(len));
            let paths = [known.as_str(), "/b"];
            assert_eq!(find(&paths, &format!("/{encoded}")), Some((known.as_str(), vec![])), "{len}");
            assert_eq!(find(&paths, &format!("/{encoded}%61")), None, "{len}");
            assert_eq!(find(&paths, "/%62"), Some(("/b", vec![])));
        }
    }

    #[test]
    fn steps_back_where_a_way_leads_nowhere() {
        let paths = ["/a/b/c", "/a/:x/d", "/:x/b/:y", "/:x/*rest", "/a/b/:y/e", "/only/:x/end", "/only/*rest"];
        type Case<'a> = (&'a str, Option<(&'a str, &'a [&'a str])>);
        let cases: &[Case<'_>] = &[
            ("/a/b/c", Some(("/a/b/c", &[]))),
            ("/a/b/d", Some(("/a/:x/d", &["b"]))),
            ("/%61/%62/%64", Some(("/a/:x/d", &["%62"]))),
            ("/a/b/x", Some(("/:x/b/:y", &["a", "x"]))),
            ("/a/b/c/e", Some(("/a/b/:y/e", &["c"]))),
            ("/a/b/x/f", Some(("/:x/*rest", &["a", "b/x/f"]))),
            ("/a/x/e", Some(("/:x/*rest", &["a", "x/e"]))),
            ("/a/", Some(("/:x/*rest", &["a", ""]))),
            ("/only/1/end", Some(("/only/:x/end", &["1"]))),
            ("/only/1/2", Some(("/only/*rest", &["1/2"]))),
            ("/only//end", Some(("/only/*rest", &["/end"]))),
            ("/%6fnly/1/2", Some(("/only/*rest", &["1/2"]))),
            ("/a", None),
            ("//a", None),
        ];
        for (path, expected) in cases {
            let expected = expected.map(|(pattern, params)| (pattern, params.to_vec()));
            assert_eq!(find(&paths, path), expected, "{path}");
        }
    }

    /// The order in which segments are tried, where they match this path: the least of these is found.
    fn order(pattern: &str, path: &str) -> Option<Vec<u8>> {
        let mut parts = path.strip_prefix('/')?.split('/');
        let pattern = Pattern::parse(pattern);
        let mut order = Vec::new();
        for segment in pattern.segments() {
            let part = parts.next()?;
            order.push(match segment {
                Segment::Literal(literal)
                    if *percent_decode(part.as_bytes()).collect::<Vec<_>>() == *literal.as_bytes() =>
                {
                    0
                }
                Segment::Param if !part.is_empty() => 1,
                Segment::Rest => return Some([&order[..], &[2]].concat()),
                _ => return None,
            });
        }
        parts.next().is_none().then_some(order)
    }

    #[test]
    fn finds_what_trying_every_pattern_finds() {
        const PARTS: [&str; 6] = ["", "a", "b", "%61", "%2525", "x%"];
        let tables: [&[&str]; 4] = [
            &["/a/b", "/a/:x", "/:x/b", "/:x/:y/a", "/a/*rest", "/b/:x/*rest"],
            &["/:x", "/:x/a/:y", "/:x/a/b", "/a/a/a/:y", "/*rest"],
            &["/a", "/a/", "/a/%2525", "/a/b/:x/a", "/a/:x/a"],
            &["/%2525/:x", "/:x/%2525", "/x%25", "/b/*rest", "/b/b/b/b"],
        ];
        for (table, number) in tables.iter().flat_map(|table| (0..6_usize.pow(4)).map(move |number| (table, number))) {
            let parts: Vec<&str> = (0..4).map(|at| PARTS[number / 6_usize.pow(at) % 6]).collect();
            for path in (0..=4).map(|count| format!("/{}", parts[..count].join("/"))) {
                let matching = table.iter().filter_map(|&pattern| Some((order(pattern, &path)?, pattern)));
                let found = find(table, &path).map(|(pattern, _)| pattern.to_owned());
                assert_eq!(found.as_deref(), matching.min().map(|(_, pattern)| pattern), "{path} among {table:?}");
            }
        }
    }

    #[test]
    fn one_path_is_one_endpoint_whatever_its_parameters_are_called() {
        let mut trie = trie(&["/a/:x"]);
        assert_eq!(trie.insert(&Pattern::parse("/a/:y"), 1), 0);
    }

    #[test]
    fn paths_that_are_alike_do_not_make_long_chains() {
        for alike in [|i| format!("/somewhere/{i}/settings"), |i| format!("/{i}"), |i| format!("/api/v1/users/{i:08}")]
        {
            let mut literals = Literals::default();
            (0..10_000).for_each(|i: u32| literals.insert(&alike(i), i));
            assert!((0..10_000).all(|i| literals.get(alike(i).as_bytes()) == Some(i)));
            let runs = literals.slots.split(|&slot| slot == FREE).map(<[u32]>::len);
            assert!(runs.max() < Some(60), "a run of {:?} slots for {}", literals.slots.len(), alike(0));
        }
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
