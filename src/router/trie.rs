//! The trie of segments: one node per prefix of a route.
//!
//! A look-up walks down one segment at a time: it tries the literal child first, then `:param`, then `*rest`, and steps
//! back from a dead end. Each node is visited at most once. So the number of routes bounds a look-up, which takes a few
//! steps in practice.

use std::borrow::Cow;

use percent_encoding::percent_decode;

use super::path::{Pattern, Segment};
use crate::exchange::Spans;

/// The nodes in one vector; the first one is the root.
#[derive(Debug)]
pub(super) struct Trie {
    nodes: Vec<Node>,
    /// The endpoints of paths without parameters and percent signs, by their whole text. A walk would find the same
    /// endpoint, since it tries literals first.
    exact: Literals,
}

#[derive(Debug, Default)]
struct Node {
    literals: Literals,
    param: Option<u32>,
    /// The endpoint of the path that goes on with `*rest` here.
    rest: Option<u32>,
    /// The endpoint of the path that ends here.
    endpoint: Option<u32>,
}

/// Maps texts to nodes or endpoints: a hash table, each slot of which has the index of an entry.
#[derive(Debug, Default)]
struct Literals {
    slots: Box<[u32]>,
    entries: Vec<(Box<[u8]>, u32)>,
    /// The length of the longest text in bytes.
    longest: usize,
}

const FREE: u32 = u32::MAX;

/// Size in bytes of the buffer on the stack in which a segment of a request is decoded. Few routes have a longer
/// segment.
const ROOM: usize = 128;

impl Default for Trie {
    fn default() -> Self {
        Self { nodes: vec![Node::default()], exact: Literals::default() }
    }
}

impl Trie {
    /// Returns the endpoint of this path. If the path has none, it becomes `new`.
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

    /// Looks up a raw path and returns its endpoint. The positions of the parameters are written to `spans`.
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

/// A look-up in progress.
struct Walk<'a> {
    nodes: &'a [Node],
    path: &'a [u8],
    spans: &'a mut Spans,
}

impl Walk<'_> {
    /// Looks up the rest of the path from `from` on, below the node `at`. `params` parameters were found before.
    ///
    /// Nearly always only one child of a node can match, and the loop goes on with it. [`fork`](Self::fork) tries
    /// several.
    fn down(&mut self, mut at: u32, mut from: usize, mut params: usize) -> Option<u32> {
        // After the last segment there is no slash, so `from` is then one more than the length of the path.
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

    /// Tries the ways in order: the literal child, `:param`, `*rest`.
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

    /// Returns the endpoint of `*rest`, if there is one, and notes the span of the rest.
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
    /// Whether the text has a percent sign.
    is_encoded: bool,
}

impl<'p> Part<'p> {
    /// Reads the segment that begins at `from`; it ends before the next slash, or at the end of the path.
    #[inline]
    fn read(path: &'p [u8], from: usize) -> Self {
        let rest = &path[from..];
        // One search finds either byte: nearly always there is no percent sign before the slash.
        let len = rest.iter().position(|&byte| byte == b'/' || byte == b'%').unwrap_or(rest.len());
        match rest.get(len) {
            Some(b'%') => Self { text: until_slash(rest), is_encoded: true },
            _ => Self { text: &rest[..len], is_encoded: false },
        }
    }
}

/// The bytes before the first slash.
#[cold]
fn until_slash(rest: &[u8]) -> &[u8] {
    rest.split(|&byte| byte == b'/').next().unwrap_or_default()
}

impl Literals {
    /// The value of this text.
    #[inline]
    fn get(&self, text: &[u8]) -> Option<u32> {
        let mut slot = self.home(text);
        loop {
            let entry = *self.slots.get(slot)?;
            // A free slot has no entry.
            let (known, value) = self.entries.get(entry as usize)?;
            if **known == *text {
                return Some(*value);
            }
            slot = self.next(slot);
        }
    }

    /// The value of a percent-encoded text. This allocates only if some route has a segment longer than [`ROOM`].
    #[cold]
    fn get_encoded(&self, text: &[u8]) -> Option<u32> {
        let mut room = [0; ROOM];
        let mut len = 0;
        for byte in percent_decode(text) {
            match room.get_mut(len) {
                // The text is longer than every known text, so it is none of them.
                _ if len == self.longest => return None,
                Some(place) => *place = byte,
                None => return self.get(&Cow::from(percent_decode(text))),
            }
            len += 1;
        }
        self.get(&room[..len])
    }

    /// Adds a text, which must be new.
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

    /// The first slot to try for a text.
    #[inline]
    fn home(&self, text: &[u8]) -> usize {
        // This takes the high bits of a product, because they depend on all bits of the hash.
        ((u128::from(hash(text)) * self.slots.len() as u128) >> 64) as usize
    }

    #[inline]
    fn next(&self, slot: usize) -> usize {
        (slot + 1) & (self.slots.len() - 1)
    }
}

/// Hashes eight bytes at a time by multiplication. Clients choose the texts that are looked up, but only routes are
/// inserted. So no client can make the chains longer, and the hash need not resist attacks.
#[inline]
fn hash(text: &[u8]) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let (words, _) = text.as_chunks();
    // The last eight bytes are taken as one word, although some of them are in the word before, too.
    let last = match text.last_chunk() {
        Some(last) => u64::from_le_bytes(*last),
        None => text.iter().fold(0, |word, &byte| word << 8 | u64::from(byte)),
    };
    let mix = |hash: u64, word: u64| (hash.rotate_left(23) ^ word).wrapping_mul(ODD);
    let hash = words.iter().fold(text.len() as u64, |hash, &word| mix(hash, u64::from_le_bytes(word)));
    mix(hash, last)
}

impl Node {
    /// The literal child for this segment, which is percent-decoded first.
    #[inline]
    fn literal(&self, part: &Part<'_>) -> Option<u32> {
        match (&*self.literals.entries, part.is_encoded) {
            ([], _) => None,
            // With one literal, a comparison is cheaper than a hash.
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

    /// The pattern that was found, and its parameters.
    fn find<'p>(paths: &[&'p str], path: &'p str) -> Option<(&'p str, Vec<&'p str>)> {
        let mut spans = Spans::default();
        let endpoint = trie(paths).find(path.as_bytes(), &mut spans)?;
        let count = Pattern::parse(paths[endpoint]).names().len();
        let params = spans[..count].iter().map(|&(start, end)| &path[start as usize..end as usize]).collect();
        Some((paths[endpoint], params))
    }

    #[test]
    fn a_path_finds_the_first_pattern_that_matches() {
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
            // The literal `me` is a dead end here, so the walk steps back to `:id`.
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
    fn a_look_up_steps_back_from_a_dead_end() {
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

    /// The priorities of a pattern's segments, if it matches this path. The pattern with the least list must be found.
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
    fn a_look_up_finds_the_same_as_a_trial_of_every_pattern() {
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
    fn patterns_that_differ_only_in_parameter_names_share_an_endpoint() {
        let mut trie = trie(&["/a/:x"]);
        assert_eq!(trie.insert(&Pattern::parse("/a/:y"), 1), 0);
    }

    #[test]
    fn similar_paths_do_not_make_long_chains() {
        for alike in [|i| format!("/somewhere/{i}/settings"), |i| format!("/{i}"), |i| format!("/api/v1/users/{i:08}")]
        {
            let mut literals = Literals::default();
            (0..10_000).for_each(|i: u32| literals.insert(&alike(i), i));
            assert!((0..10_000).all(|i| literals.get(alike(i).as_bytes()) == Some(i)));
            let runs = literals.slots.split(|&slot| slot == FREE).map(<[u32]>::len);
            assert!(runs.max() < Some(60), "too long a run in {:?} slots for {}", literals.slots.len(), alike(0));
        }
    }

    #[test]
    fn each_of_many_routes_is_found() {
        let paths: Vec<String> = (0..500).flat_map(|i| [format!("/r{i}/:id"), format!("/r{i}/x/y")]).collect();
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        assert_eq!(find(&paths, "/r499/7"), Some(("/r499/:id", vec!["7"])));
        assert_eq!(find(&paths, "/r0/x/y"), Some(("/r0/x/y", vec![])));
        assert_eq!(find(&paths, "/r500/7"), None);
    }
}
