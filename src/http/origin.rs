/// A serialised origin (RFC 6454 §6.2), in lower case and without the default port of its scheme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) scheme: String,
    pub(crate) authority: String,
}

impl Origin {
    /// Returns `None` for anything else, such as `null`.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let (scheme, authority) = std::str::from_utf8(text).ok()?.split_once("://")?;
        let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        let is_other = |byte: u8| !byte.is_ascii_graphic() || b"/?#@,*\\".contains(&byte);
        if !is_scheme || authority.is_empty() || authority.bytes().any(is_other) {
            return None;
        }
        let scheme = scheme.to_ascii_lowercase();
        let authority = without_default_port(authority, &scheme).to_ascii_lowercase();
        Some(Self { scheme, authority })
    }

    /// Whether it is that of a page of this host.
    pub(crate) fn is_of(&self, host: &str) -> bool {
        matches!(&self.scheme[..], "http" | "https")
            && without_default_port(host, &self.scheme).eq_ignore_ascii_case(&self.authority)
    }
}

fn without_default_port<'a>(authority: &'a str, scheme: &str) -> &'a str {
    let port = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => return authority,
    };
    // An empty port is the default one, too (RFC 3986 §3.2.3).
    authority.strip_suffix(port).or(authority.strip_suffix(':')).unwrap_or(authority)
}
