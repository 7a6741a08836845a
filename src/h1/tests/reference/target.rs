//! Request targets, authorities, percent-encoding and forms, read slowly.

use crate::http::Method;

/// The parts of a request target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::h1::tests) struct Target {
    pub(in crate::h1::tests) text: String,
    pub(in crate::h1::tests) raw_path: String,
    pub(in crate::h1::tests) path: String,
    pub(in crate::h1::tests) query: Option<String>,
    pub(in crate::h1::tests) authority: Option<Vec<u8>>,
}

/// Whether it is meant for a secured connection (RFC 9110 §7.4), which ours is not.
pub(in crate::h1::tests) fn is_secured(text: &str) -> bool {
    text.to_ascii_lowercase().starts_with("https://")
}

/// The forms of a target (RFC 9112 §3.2), except the one for CONNECT, and whether the target is for this connection.
pub(in crate::h1::tests) fn target(method: Method, text: &str) -> Option<Target> {
    if text == "*" && method == Method::Options {
        let (raw_path, path) = ("*".to_owned(), "*".to_owned());
        return Some(Target { text: text.to_owned(), raw_path, path, query: None, authority: None });
    }
    if is_secured(text) {
        return None;
    }
    let scheme = Some("http://").filter(|scheme| text.to_ascii_lowercase().starts_with(scheme));
    let (authority, rest) = match scheme {
        None => (None, text),
        Some(scheme) => {
            let behind = &text[scheme.len()..];
            let len = behind.chars().take_while(|c| !"/?".contains(*c)).map(char::len_utf8).sum();
            let (authority, rest) = behind.split_at(len);
            (Some(authority), rest)
        }
    };
    if authority.is_some_and(|authority| !is_authority(authority.as_bytes())) {
        return None;
    }
    let (raw_path, query) = match rest.find('?') {
        Some(at) => (&rest[..at], Some(&rest[at + 1..])),
        None => (rest, None),
    };
    let raw_path = if raw_path.is_empty() && authority.is_some() { "/" } else { raw_path };
    let never = |c: char| !c.is_ascii_graphic() || c == '#';
    if !raw_path.starts_with('/')
        || raw_path.chars().any(|c| never(c) || "\"<>\\{}`".contains(c))
        || query.is_some_and(|query| query.chars().any(never))
    {
        return None;
    }
    let path = String::from_utf8(percent_decode(raw_path.as_bytes(), Strictness::EveryTriplet)?).ok()?;
    (!path.contains('\0')).then(|| Target {
        text: text.to_owned(),
        raw_path: raw_path.to_owned(),
        path,
        query: query.map(str::to_owned),
        authority: authority.map(|authority| authority.as_bytes().to_vec()),
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::h1::tests) enum Strictness {
    /// A percent sign without two hexadecimal digits is an error.
    EveryTriplet,
    /// A lone percent sign is kept as it is (WHATWG URL).
    Lenient,
}

pub(in crate::h1::tests) fn percent_decode(bytes: &[u8], strictness: Strictness) -> Option<Vec<u8>> {
    let mut decoded = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let triplet = bytes.get(at..at + 3).and_then(|triplet| std::str::from_utf8(triplet).ok());
        let digits = triplet.and_then(|triplet| triplet.strip_prefix('%'));
        let digits = digits.filter(|digits| digits.chars().all(|c| c.is_ascii_hexdigit()));
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None if bytes[at] == b'%' && strictness == Strictness::EveryTriplet => return None,
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    Some(decoded)
}

/// `application/x-www-form-urlencoded` (WHATWG URL §5.1).
pub(in crate::h1::tests) fn pairs(bytes: &[u8]) -> Vec<(String, String)> {
    let decode = |bytes: &[u8]| {
        let spaced: Vec<u8> = bytes.iter().map(|&byte| if byte == b'+' { b' ' } else { byte }).collect();
        let decoded = percent_decode(&spaced, Strictness::Lenient).unwrap_or_default();
        String::from_utf8_lossy(&decoded).into_owned()
    };
    let sequences = bytes.split(|&byte| byte == b'&').filter(|sequence| !sequence.is_empty());
    sequences
        .map(|sequence| match sequence.iter().position(|&byte| byte == b'=') {
            Some(at) => (decode(&sequence[..at]), decode(&sequence[at + 1..])),
            None => (decode(sequence), String::new()),
        })
        .collect()
}

/// `uri-host [ ":" port ]`. The host is not empty and has no comma, and the port fits in 16 bits.
pub(in crate::h1::tests) fn is_authority(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    // Only an address in brackets has colons within the host.
    let from = text.find(']').unwrap_or(0);
    let (host, port) = match text[from..].find(':') {
        Some(at) => (&text[..from + at], &text[from + at + 1..]),
        None => (text, ""),
    };
    let is_port = port.chars().all(|c| c.is_ascii_digit()) && port.trim_start_matches('0').len() <= 5;
    if !is_port || format!("0{port}").parse::<u128>().is_ok_and(|port| port > 65535) {
        return false;
    }
    match host.strip_prefix('[') {
        Some(address) => address.strip_suffix(']').is_some_and(is_ipv6),
        None => !host.is_empty() && is_reg_name(host),
    }
}

/// `*( unreserved / pct-encoded / sub-delims )` (RFC 3986 §3.2.2).
fn is_reg_name(text: &str) -> bool {
    let mut stretches = text.split('%');
    let plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "-._~!$&'()*+;=".contains(c));
    stretches.next().is_some_and(plain)
        && stretches.all(|stretch| {
            stretch.len() >= 2 && stretch.chars().take(2).all(|c| c.is_ascii_hexdigit()) && plain(&stretch[2..])
        })
}

/// `IPv6address` (RFC 3986 §3.2.2): eight groups, or fewer around one `::`.
fn is_ipv6(text: &str) -> bool {
    // The number of groups in a stretch without `::`, if it is well-formed. An IPv4 address may end it and counts as
    // two.
    let groups = |text: &str, ends: bool| -> Option<usize> {
        if text.is_empty() {
            return Some(0);
        }
        let parts: Vec<&str> = text.split(':').collect();
        let mut count = 0;
        for (i, part) in parts.iter().enumerate() {
            let is_h16 = (1..=4).contains(&part.len()) && part.chars().all(|c| c.is_ascii_hexdigit());
            count += match is_h16 {
                true => 1,
                false if ends && i + 1 == parts.len() && is_ipv4(part) => 2,
                false => return None,
            };
        }
        Some(count)
    };
    match text.split_once("::") {
        None => groups(text, true) == Some(8),
        Some((front, back)) => {
            groups(front, false).zip(groups(back, true)).is_some_and(|(front, back)| front + back <= 7)
        }
    }
}

fn is_ipv4(text: &str) -> bool {
    let is_octet = |octet: &str| (0..=255).any(|number: u16| number.to_string() == octet);
    text.split('.').count() == 4 && text.split('.').all(is_octet)
}
