//! Where in a JSON text a value is: the path from the root, such as `users[2].age`.
//!
//! `serde_json` says at which line and column it has stopped. The path follows from the text before. The crate
//! `serde_path_to_error` notes the path while it reads, but it compiles the reading of each type a second time, and
//! allocates for each key.

use std::fmt::Write;

/// A container around the position, and what of it has come last.
enum Container<'j> {
    Array(usize),
    /// The key is `None` until it has come.
    Object(Option<&'j str>),
}

/// The path to the value that ends at, or goes on after, a position in a valid JSON text. It is empty for the root.
///
/// `line` begins with 1, and `column` is the number of bytes of that line before the position. A key is as it is in the
/// text, with its escapes.
pub(super) fn path_at(json: &[u8], line: usize, column: usize) -> String {
    let Some(line_start) = start_of_line(json, line) else { return String::new() };
    let before = &json[..json.len().min(line_start + column)];
    let mut open = Vec::new();
    let mut at = 0;
    while let Some(&byte) = before.get(at) {
        at += 1;
        match (byte, open.last_mut()) {
            (b'[', _) => open.push(Container::Array(0)),
            (b'{', _) => open.push(Container::Object(None)),
            (b']' | b'}', _) => drop(open.pop()),
            (b',', Some(Container::Array(index))) => *index += 1,
            (b',', Some(Container::Object(key))) => *key = None,
            (b'"', container) => {
                let text = &before[at..];
                let end = end_of_string(text);
                at += end + 1;
                if let Some(Container::Object(key @ None)) = container {
                    *key = std::str::from_utf8(&text[..end]).ok();
                }
            }
            _ => {}
        }
    }
    written(&open)
}

fn start_of_line(json: &[u8], line: usize) -> Option<usize> {
    match line {
        0 => None,
        1 => Some(0),
        line => memchr::memchr_iter(b'\n', json).nth(line - 2).map(|end| end + 1),
    }
}

/// How long the string is that began before `text`. All of it, if it does not end there.
fn end_of_string(text: &[u8]) -> usize {
    let mut is_escaped = false;
    let end = text.iter().position(|&byte| {
        let ends = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        ends
    });
    end.unwrap_or(text.len())
}

fn written(open: &[Container<'_>]) -> String {
    let mut path = String::new();
    for container in open {
        // Writing to a `String` cannot fail.
        match container {
            Container::Array(index) => drop(write!(path, "[{index}]")),
            Container::Object(Some(key)) if path.is_empty() => path.push_str(key),
            Container::Object(Some(key)) => drop(write!(path, ".{key}")),
            Container::Object(None) => {}
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::*;

    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only the reading of the fields matters")]
    struct Team {
        name: String,
        users: Vec<User>,
        scores: BTreeMap<String, Vec<u8>>,
        parent: Option<Box<Team>>,
        pair: (u8, bool),
        kind: Kind,
    }

    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only the reading of the fields matters")]
    struct User {
        age: u8,
        email: Option<String>,
    }

    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only the reading of the fields matters")]
    enum Kind {
        Plain,
        Level(u8),
        Range { from: u8, to: u8 },
    }

    fn team(kind: Value, parent: Value) -> Value {
        let users = json!([{"age": 1}, {"email": "a,\"b]", "age": 2}, {"age": 3, "email": null, "more": [[], {}]}]);
        let scores = json!({"a": [], "b.c \u{e4}\n": [1, 2], "": [3]});
        json!({"name": "[{\\", "users": users, "scores": scores, "parent": parent, "pair": [1, true], "kind": kind})
    }

    fn teams() -> Vec<Value> {
        let inner = team(json!({"Range": {"from": 1, "to": 2}}), Value::Null);
        vec![team(json!("Plain"), json!(null)), team(json!({"Level": 1}), inner.clone()), inner]
    }

    /// Puts `other` in the place of the value that the walk over `value` meets as number `at`, or removes it.
    fn replace(value: &mut Value, at: &mut usize, other: Option<&Value>) {
        if *at == 0 {
            *value = other.cloned().unwrap_or_default();
        }
        *at = at.wrapping_sub(1);
        match value {
            Value::Array(values) => values.iter_mut().for_each(|value| replace(value, at, other)),
            Value::Object(values) => {
                let names: Vec<_> = values.keys().cloned().collect();
                for name in names {
                    if *at == 0 && other.is_none() {
                        values.remove(&name);
                        *at = usize::MAX;
                    } else if let Some(value) = values.get_mut(&name) {
                        replace(value, at, other);
                    }
                }
            }
            _ => {}
        }
    }

    fn rivals_path(json: &str) -> String {
        let mut reader = serde_json::Deserializer::from_str(json);
        let path = serde_path_to_error::deserialize::<_, Team>(&mut reader).expect_err(json).path().to_string();
        if path == "." { String::new() } else { path }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 4000, ..ProptestConfig::default() })]

        #[test]
        fn the_path_is_that_of_the_crate(
            of in 0..3_usize,
            mut at in 0..60_usize,
            other in prop::sample::select(vec![
                None,
                Some(json!(null)), Some(json!(true)), Some(json!(-1)), Some(json!(300)), Some(json!(1.5)),
                Some(json!("x\"\\")), Some(json!([])), Some(json!(["x"])), Some(json!({})), Some(json!({"x": [1]})),
            ]),
            is_pretty in any::<bool>(),
        ) {
            let mut value = teams().swap_remove(of);
            replace(&mut value, &mut at, other.as_ref());
            let json = if is_pretty { format!("{value:#}") } else { value.to_string() };
            if let Err(error) = serde_json::from_str::<Team>(&json) && error.is_data() {
                let path = path_at(json.as_bytes(), error.line(), error.column());
                // A key is shown as it is in the text.
                let (path, rivals) = (path.replace("\\n", "\n"), rivals_path(&json));
                // The name of a variant may be a key, and then ours is more precise.
                let is_variant = error.to_string().starts_with("unknown variant") && path == format!("{rivals}.x");
                prop_assert!(path == rivals || is_variant, "{:?} or {:?}: {} in {}", path, rivals, error, json);
            }
        }

        #[test]
        fn any_text_and_any_position_give_some_path(
            json in "[\\[\\]{}\",:\\\\a1 \n]{0,40}",
            line in 0..4_usize,
            column in 0..50_usize,
        ) {
            prop_assert!(path_at(json.as_bytes(), line, column).len() <= 40 * 5);
        }
    }

    #[test]
    fn the_path_leads_to_the_value_before_the_position() {
        for (before, path) in [
            ("", ""),
            ("1", ""),
            ("[", "[0]"),
            ("[1", "[0]"),
            ("[1,", "[1]"),
            ("[[],[", "[1][0]"),
            ("[[],[]", "[1]"),
            ("[]", ""),
            ("{", ""),
            ("{\"a\"", "a"),
            ("{\"a\":{", "a"),
            ("{\"a\":{\"b\":[0,{\"c,\\\"\":\"]", "a.b[1].c,\\\""),
            ("{\"a\":1}", ""),
            ("{\"a\":[1,2]", "a"),
            ("{\"a\":1,\"b\":2", "b"),
            (" [ {\"x\" : 1} , 2", "[1]"),
        ] {
            assert_eq!(path_at(before.as_bytes(), 1, before.len()), path, "{before}");
            let lines = format!("\n\n{before}");
            assert_eq!(path_at(lines.as_bytes(), 3, before.len()), path, "{before}");
        }
    }

    #[test]
    fn a_long_and_deep_text_is_read() {
        let deep = "[".repeat(1 << 20) + "1";
        assert_eq!(path_at(deep.as_bytes(), 1, deep.len()).len(), 3 << 20);
        let wide = format!("[{}1", "{\"a\":[1,\"\\\\\"]},".repeat(1 << 16));
        assert_eq!(path_at(wide.as_bytes(), 1, wide.len()), "[65536]");
    }
}
