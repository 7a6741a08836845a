//! What the name of a file determines: its media type, its coding, and its `Cache-Control`.

use super::media_types;
use crate::http::coding::Coding;
use crate::http::{is_field_value, is_media_type};

/// Media types by extension, and `Cache-Control` by path.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    types: Vec<(String, String)>,
    cache_control: Vec<(String, String)>,
}

impl Rules {
    /// # Panics
    /// If `media_type` is not a media type.
    pub(super) fn add_type(&mut self, extension: &str, media_type: &str) {
        assert!(is_media_type(media_type), "not a media type: {media_type:?}");
        self.types.push((extension.trim_start_matches('.').to_ascii_lowercase(), media_type.to_owned()));
    }

    /// # Panics
    /// If `value` is not a valid field value.
    pub(super) fn add_cache_control(&mut self, pattern: &str, value: &str) {
        assert!(is_field_value(value.as_bytes()), "not a field value: {value:?}");
        self.cache_control.push((pattern.to_owned(), value.to_owned()));
    }

    /// The media type of a file, by the extension of its name.
    pub(super) fn media_type(&self, path: &str) -> String {
        let extension = extension(path).to_ascii_lowercase();
        if let Some((_, media_type)) = self.types.iter().rev().find(|(known, _)| *known == extension) {
            return media_type.clone();
        }
        match media_types::media_type(&extension) {
            None => "application/octet-stream".to_owned(),
            // XML names its own encoding, and a `charset` here would override it (RFC 7303 §3.2).
            Some(xml @ "text/xml") => xml.to_owned(),
            // Without a `charset`, a browser guesses the encoding, and mostly guesses wrong.
            Some(kind) if kind.starts_with("text/") => format!("{kind}; charset=utf-8"),
            Some(other) => other.to_owned(),
        }
    }

    /// The coding in which a file is stored, if its name says so and `media_type` is the type of the decoded content.
    pub(super) fn coding(path: &str, media_type: &str) -> Option<Coding> {
        let is_drawing = media_type.split(';').next().is_some_and(|kind| kind.eq_ignore_ascii_case("image/svg+xml"));
        (is_drawing && extension(path).eq_ignore_ascii_case("svgz")).then_some(Coding::Gzip)
    }

    /// The `Cache-Control` of a file: the value of the first pattern that matches.
    pub(super) fn cache_control(&self, path: &str) -> Option<&str> {
        let name = path.rsplit('/').next().unwrap_or_default();
        let fits = |pattern: &str| {
            // No name has a slash, so a pattern with one is meant for the whole path.
            let text = if pattern.contains('/') { path } else { name };
            is_match(pattern.strip_prefix('/').unwrap_or(pattern).as_bytes(), text.as_bytes())
        };
        self.cache_control.iter().find(|(pattern, _)| fits(pattern)).map(|(_, value)| value.as_str())
    }
}

/// The text after the last dot of the name; empty if there is no dot.
fn extension(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.rsplit_once('.').map_or("", |(_, extension)| extension)
}

/// Whether `text` matches a pattern in which `*` matches any text, including none.
fn is_match(pattern: &[u8], text: &[u8]) -> bool {
    let mut pieces = pattern.split(|&byte| byte == b'*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut pieces: Vec<_> = pieces.collect();
    // Without a star, the whole pattern is the first piece.
    let Some(last) = pieces.pop() else { return rest.is_empty() };
    for piece in pieces.into_iter().filter(|piece| !piece.is_empty()) {
        match rest.windows(piece.len()).position(|window| window == piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_media_type_follows_from_the_extension() {
        let mut rules = Rules::default();
        let check = |rules: &Rules, path: &str, expected: &str| assert_eq!(rules.media_type(path), expected, "{path}");
        check(&rules, "a/b.html", "text/html; charset=utf-8");
        check(&rules, "STYLE.CSS", "text/css; charset=utf-8");
        check(&rules, "x.tar.gz", "application/gzip");
        check(&rules, "picture.svg", "image/svg+xml");
        check(&rules, "data.json", "application/json");
        check(&rules, "a.js", "text/javascript; charset=utf-8");
        check(&rules, "a.mjs", "text/javascript; charset=utf-8");
        check(&rules, "feed.xml", "text/xml");
        check(&rules, "page.html/Makefile", "application/octet-stream");
        check(&rules, "what.is-this", "application/octet-stream");
        rules.add_type(".HTML", "application/xhtml+xml");
        rules.add_type("html", "text/x-mine; charset=latin1");
        check(&rules, "a.html", "text/x-mine; charset=latin1");
    }

    #[test]
    fn only_an_svgz_of_type_svg_has_a_coding() {
        for (path, media_type, expected) in [
            ("a/b.svgz", "image/svg+xml", Some(Coding::Gzip)),
            ("B.SVGZ", "Image/SVG+XML; charset=utf-8", Some(Coding::Gzip)),
            ("b.svgz", "application/gzip", None),
            ("b.svg", "image/svg+xml", None),
            ("b.svgz.gz", "application/gzip", None),
            ("b.svgz/a", "image/svg+xml", None),
            ("svgz", "image/svg+xml", None),
        ] {
            assert_eq!(Rules::coding(path, media_type), expected, "{path}, {media_type}");
        }
    }

    #[test]
    fn the_first_pattern_that_matches_gives_the_cache_control() {
        let mut rules = Rules::default();
        assert_eq!(rules.cache_control("a.css"), None);
        for (pattern, value) in
            [("*.css", "1"), ("/fonts/*", "2"), ("index.html", "3"), ("app-*.min.*", "4"), ("lib/*", "6"), ("*", "5")]
        {
            rules.add_cache_control(pattern, value);
        }
        for (path, expected) in [
            ("x/a.css", "1"),
            ("fonts/a.css", "1"),
            ("fonts/x/a.woff", "2"),
            ("x/fonts/a.woff", "5"),
            ("lib/x/a.js", "6"),
            ("x/lib/a.js", "5"),
            ("x/index.html", "3"),
            ("app-1.min.js", "4"),
            ("app-.min.", "4"),
            ("app-min.js", "5"),
        ] {
            assert_eq!(rules.cache_control(path), Some(expected), "{path}");
        }
    }

    #[test]
    fn a_star_matches_any_text_and_no_text() {
        let check = |pattern: &str, text: &str| is_match(pattern.as_bytes(), text.as_bytes());
        assert!(check("*", "") && check("a*", "a") && check("*a*", "bab") && check("a*a", "aa") && check("**", "x"));
        assert!(!check("a*a", "a") && !check("a", "ab") && !check("", "a") && !check("*b*c", "acb"));
    }
}
