//! Which origins may use the server.

use std::fmt;
use std::net::Ipv6Addr;
use std::sync::Arc;

use crate::http::Origin;

/// The origins that [`Cors`](super::Cors) allows.
#[derive(Clone)]
pub(super) enum Origins {
    Any,
    List(Vec<Listed>),
    Matching(Arc<dyn Fn(&str) -> bool + Send + Sync>),
}

/// One of a list.
#[derive(Clone, Debug)]
pub(super) enum Listed {
    /// This origin, as browsers write it.
    Exactly(String),
    /// All hosts below one, such as `https://*.example.org`.
    Below { scheme: String, suffix: String },
}

impl Origins {
    /// Whether the `Origin` of a request is one of them.
    pub(super) fn allow(&self, origin: &str) -> bool {
        match self {
            Self::Any => true,
            Self::List(list) => list.iter().any(|listed| listed.is(origin)),
            Self::Matching(is_allowed) => is_allowed(origin),
        }
    }

    /// Why they cannot be allowed to send credentials.
    pub(super) fn objection(&self) -> Option<&'static str> {
        match self {
            Self::Any => Some("every site could act for its visitors: name the origins by Cors::list"),
            Self::List(list) if list.iter().any(|listed| listed.is("null")) => {
                Some("every site can take the origin null: leave it out of the list")
            }
            Self::List(_) | Self::Matching(_) => None,
        }
    }
}

impl Listed {
    /// Reads an origin such as `https://app.example`, all below a host such as `https://*.example.org`, or `null`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text == "null" {
            return Some(Self::Exactly(text.to_owned()));
        }
        let read = |text: &str| Origin::parse(text.as_bytes()).filter(|origin| is_authority(&origin.authority));
        let Some((scheme, host)) = text.split_once("://*.") else {
            let Origin { scheme, authority } = read(text)?;
            return Some(Self::Exactly(format!("{scheme}://{authority}")));
        };
        let Origin { scheme, authority } = read(&format!("{scheme}://{host}"))?;
        Some(Self::Below { scheme: format!("{scheme}://"), suffix: format!(".{authority}") })
    }

    pub(super) fn is(&self, origin: &str) -> bool {
        match self {
            Self::Exactly(listed) => listed == origin,
            Self::Below { scheme, suffix } => {
                let rest = origin.strip_prefix(&**scheme);
                rest.and_then(|authority| authority.strip_suffix(&**suffix)).is_some_and(is_host)
            }
        }
    }
}

/// Whether it is a host, perhaps with a port. An origin without one would never match a browser's, or too many of them.
fn is_authority(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !text.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    let is_whole_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        // A name that ends with a dot is absolute.
        None => is_host(host.strip_suffix('.').unwrap_or(host)),
    };
    is_whole_host && port.is_none_or(is_port)
}

/// Whether it can be the beginning of a host: nothing in it ends the host, and no label of it is empty.
fn is_host(text: &str) -> bool {
    let is_of_label = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    text.split('.').all(|label| !label.is_empty() && label.bytes().all(is_of_label))
}

impl fmt::Debug for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("Any"),
            Self::List(list) => write!(f, "List({list:?})"),
            Self::Matching(_) => f.write_str("Matching"),
        }
    }
}
