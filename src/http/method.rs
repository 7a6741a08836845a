use std::fmt;

/// A request method (RFC 9110 §9, RFC 5789). Methods are case-sensitive. The server answers any other token with 501.
///
/// ```
/// use monoloop::Method;
///
/// assert_eq!(Method::from_token("PATCH"), Some(Method::Patch));
/// assert_eq!(Method::from_token("patch"), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Method {
    /// `GET`
    Get,
    /// `HEAD`
    Head,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `DELETE`
    Delete,
    /// `OPTIONS`
    Options,
    /// `PATCH`
    Patch,
    /// `TRACE`: a [`Router`](crate::Router) always answers it with 405.
    Trace,
}

impl Method {
    /// All known methods, in the order in which `Allow` lists them.
    pub const ALL: [Self; 8] =
        [Self::Get, Self::Head, Self::Post, Self::Put, Self::Delete, Self::Options, Self::Patch, Self::Trace];

    /// The method that `token` names, if it is a known one. Only upper case matches.
    #[inline(always)]
    pub fn from_token(token: &str) -> Option<Self> {
        Some(match token.as_bytes() {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"POST" => Self::Post,
            b"PUT" => Self::Put,
            b"DELETE" => Self::Delete,
            b"OPTIONS" => Self::Options,
            b"PATCH" => Self::Patch,
            b"TRACE" => Self::Trace,
            _ => return None,
        })
    }

    /// The method as a request line contains it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
            Self::Patch => "PATCH",
            Self::Trace => "TRACE",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A set of methods; its `Display` is the value of an `Allow` field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MethodSet(u8);

impl MethodSet {
    /// No method.
    pub(crate) const EMPTY: Self = Self(0);

    /// This set plus `method`.
    #[must_use]
    pub(crate) const fn with(self, method: Method) -> Self {
        Self(self.0 | 1 << method as u8)
    }

    /// The methods of both sets.
    #[must_use]
    pub(crate) const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether `method` is in the set.
    pub(crate) const fn contains(self, method: Method) -> bool {
        self.0 & (1 << method as u8) != 0
    }

    /// The methods of the set, in the order of [`Method::ALL`].
    pub(crate) fn iter(self) -> impl Iterator<Item = Method> {
        Method::ALL.into_iter().filter(move |&method| self.contains(method))
    }
}

impl fmt::Display for MethodSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, method) in self.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            f.write_str(method.as_str())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_shows_its_methods_in_one_order_whatever_was_added_first() {
        let set = MethodSet::EMPTY.with(Method::Post).with(Method::Get);
        assert_eq!(set.to_string(), "GET, POST");
        assert_eq!(set.union(MethodSet::EMPTY.with(Method::Head)).to_string(), "GET, HEAD, POST");
        assert_eq!(MethodSet::EMPTY.to_string(), "");
    }

    #[test]
    fn only_an_exact_upper_case_token_names_a_method() {
        for method in Method::ALL {
            assert_eq!(Method::from_token(method.as_str()), Some(method));
            assert_eq!(Method::from_token(&method.as_str().to_lowercase()), None);
        }
        for token in ["", "G", "GETT", "PROPFIND", "CONNECT"] {
            assert_eq!(Method::from_token(token), None, "{token}");
        }
    }
}
