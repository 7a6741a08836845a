//! Which pages may open a WebSocket. Browsers send `Origin` with each handshake and ask nobody else (RFC 6454, RFC 6455
//! §10.2), so a server that does not look lets every page of the web act for its visitors.

use crate::http::{Error, Fields, Origin, Result};

/// The origins whose pages may open a WebSocket. A request without `Origin` comes from a program that is not a browser,
/// and is always allowed; the origin `null` never is, except with [`Any`](Self::Any).
///
/// ```
/// use monoloop::websocket::Origins;
///
/// let origins = Origins::list(["https://example.com", "http://localhost:3000"]);
/// assert_ne!(origins, Origins::default());
/// assert_eq!(Origins::default(), Origins::Same);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origins {
    /// The origin's host and port must be those of the request. Behind a proxy, that needs the proxy to pass `Host` on.
    /// The scheme is not compared, since a TLS terminator changes it.
    #[default]
    Same,
    /// Those of a [list](Self::list).
    Listed(OriginList),
    /// All origins. Then only the application protects the visitors that have cookies.
    Any,
}

/// Some origins: see [`Origins::list`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginList(Vec<Origin>);

impl Origins {
    /// These origins, such as `https://example.com` or `http://localhost:3000`. Scheme, host and port must be the same;
    /// the default port of `http` and `https` may be left out.
    ///
    /// The list takes the place of [`Same`](Self::Same). So name the origin of your own pages, too.
    ///
    /// # Panics
    /// If one of them is not an origin: it has no scheme, a path, a `*`, or the like.
    #[track_caller]
    pub fn list<T: AsRef<str>>(origins: impl IntoIterator<Item = T>) -> Self {
        let mut list = Vec::new();
        for text in origins {
            let text = text.as_ref();
            match Origin::parse(text.as_bytes()) {
                Some(origin) => list.push(origin),
                None if text.contains('*') => panic!("{text:?} is a pattern: name each origin, or use Origins::Any"),
                None => panic!("{text:?} is no origin like https://example.com"),
            }
        }
        Self::Listed(OriginList(list))
    }

    /// Checks the `Origin` of a request for the authority `host`.
    ///
    /// # Errors
    /// A 403 that says how to allow the origin.
    pub(super) fn check(&self, fields: Fields<'_>, host: Option<&str>) -> Result<()> {
        let mut origins = fields.all("Origin");
        let (first, more) = (origins.next(), origins.next());
        let Some(text) = first.filter(|_| *self != Self::Any) else { return Ok(()) };
        let origin = Origin::parse(text).filter(|_| more.is_none());
        let is_allowed = match (self, &origin) {
            (Self::Same, Some(origin)) => host.is_some_and(|host| origin.is_of(host)),
            (Self::Listed(list), Some(origin)) => list.0.contains(origin),
            _ => false,
        };
        if is_allowed { Ok(()) } else { Err(forbidden(text, origin.is_some(), host, self)) }
    }
}

#[cold]
fn forbidden(text: &[u8], is_origin: bool, host: Option<&str>, origins: &Origins) -> Error {
    let text = String::from_utf8_lossy(text);
    let message = match origins {
        _ if !is_origin => format!("The origin {text:?} may not open a WebSocket here"),
        Origins::Same => format!(
            "The origin {text:?} may not open a WebSocket of the host {:?}. To allow it, name it in Origins::list, or, \
             if a proxy has changed the host, let it pass Host on",
            host.unwrap_or_default()
        ),
        _ => format!("The origin {text:?} may not open a WebSocket here. To allow it, name it in Origins::list"),
    };
    Error::new(403, message)
}
