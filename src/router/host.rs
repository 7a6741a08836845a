//! The hosts that have routes of their own.

use super::trie::Trie;
use crate::exchange::Request;

/// Which routes a request is looked up in: the number of a host, counted from 1, or [`ANY_HOST`].
pub(super) type Site = usize;

/// The routes for all hosts that have none of their own.
pub(super) const ANY_HOST: Site = 0;

/// The hosts that have routes of their own.
#[derive(Debug, Default)]
pub(super) struct Hosts(Vec<Host>);

#[derive(Debug)]
struct Host {
    name: Name,
    trie: Trie,
}

/// A host name, or all names below one.
#[derive(Debug, PartialEq, Eq)]
struct Name {
    /// As it was registered.
    shown: String,
    /// What a host is compared with: a name, or the end of a name with its dot. In lower case.
    text: String,
    is_end: bool,
}

impl Hosts {
    /// The number of a host, which is added if it is new.
    ///
    /// # Panics
    /// If `name` is not the name of a host.
    pub(super) fn add(&mut self, name: &str) -> Site {
        let name = Name::parse(name);
        let index = self.0.iter().position(|host| host.name.text == name.text).unwrap_or_else(|| {
            self.0.push(Host { name, trie: Trie::default() });
            self.0.len() - 1
        });
        index + 1
    }

    /// The name of a host as it was registered.
    pub(super) fn name(&self, site: Site) -> Option<&str> {
        Some(&self.0.get(site.checked_sub(1)?)?.name.shown)
    }

    /// The routes of a host.
    pub(super) fn trie(&self, site: Site) -> Option<&Trie> {
        Some(&self.0.get(site.checked_sub(1)?)?.trie)
    }

    /// The routes of a host, mutably.
    pub(super) fn trie_mut(&mut self, site: Site) -> Option<&mut Trie> {
        Some(&mut self.0.get_mut(site.checked_sub(1)?)?.trie)
    }

    /// The host that a request asks for: the whole name before the end of one, and a longer end before a shorter one.
    #[inline]
    pub(super) fn of(&self, request: &Request<'_>) -> Site {
        if self.0.is_empty() { ANY_HOST } else { self.find(request) }
    }

    #[cold]
    fn find(&self, request: &Request<'_>) -> Site {
        let Some(authority) = request.host() else { return ANY_HOST };
        let asked = host_of(authority);
        let fitting = self.0.iter().enumerate().filter(|(_, host)| host.name.fits(asked));
        let best = fitting.max_by_key(|(_, host)| (!host.name.is_end, host.name.text.len()));
        best.map_or(ANY_HOST, |(index, _)| index + 1)
    }
}

impl Name {
    /// # Panics
    /// If it is not the name of a host, such as `example.org`, or of all hosts below one, such as `*.example.org`.
    fn parse(shown: &str) -> Self {
        let (text, is_end) = match shown.strip_prefix('*') {
            Some(end) => (end, true),
            None => (shown, false),
        };
        let name = if is_end { text.strip_prefix('.').unwrap_or_default() } else { text };
        let is_address = name.starts_with('[') && name.ends_with(']');
        let is_name = name.split('.').all(|label| {
            !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        });
        assert!(
            is_name || (is_address && !is_end),
            "not the name of a host, without a port: {shown:?}. `*.` may be in front of it; a name in other letters is \
             written as clients send it (`xn--...`)"
        );
        Self { shown: shown.to_owned(), text: text.to_ascii_lowercase(), is_end }
    }

    /// Whether it is this host, or one of these.
    fn fits(&self, host: &str) -> bool {
        let from = match self.is_end {
            false if host.len() == self.text.len() => 0,
            // Something is before the dot.
            true if host.len() > self.text.len() => host.len() - self.text.len(),
            _ => return false,
        };
        host.as_bytes()[from..].eq_ignore_ascii_case(self.text.as_bytes())
    }
}

/// The host of an authority that the parser has accepted, without its port and without the dot of the root.
fn host_of(authority: &str) -> &str {
    let host = match authority.rfind(':') {
        // The last colon of an IPv6 address is before its bracket.
        Some(colon) if !authority[colon..].contains(']') => &authority[..colon],
        _ => authority,
    };
    host.strip_suffix('.').unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_fits_its_host_in_any_case_with_any_port() {
        let cases: [(&str, &[&str], &[&str]); 4] = [
            (
                "api.example.org",
                &[
                    "api.example.org",
                    "API.Example.ORG",
                    "api.example.org:8080",
                    "api.example.org.",
                    "api.example.org.:80",
                ],
                &["example.org", "x.api.example.org", "api.example.orgs", "", "api.example.org..", "apixexample.org"],
            ),
            (
                "*.Example.org",
                &["a.example.org", "a.b.example.org:1", "-.EXAMPLE.org."],
                &["example.org", ".example.org", "aexample.org", "a.example.org.evil", "a.example.com"],
            ),
            ("[::1]", &["[::1]", "[::1]:80"], &["::1", "[::11]", "[::1"]),
            ("localhost", &["localhost", "localhost:"], &["local", "localhost.localdomain"]),
        ];
        for (name, same, others) in cases {
            let name = Name::parse(name);
            same.iter().for_each(|host| assert!(name.fits(host_of(host)), "{name:?} is {host}"));
            others.iter().for_each(|host| assert!(!name.fits(host_of(host)), "{name:?} is not {host}"));
        }
    }

    #[test]
    fn what_is_not_a_host_panics() {
        for name in
            ["", "*", "*.", "a:80", "http://a", "a/b", "a..b", ".a", "a.*.b", "*a.b", "b\u{fc}cher.example", "*.[::1]"]
        {
            assert!(std::panic::catch_unwind(|| Name::parse(name)).is_err(), "{name}");
        }
    }
}
