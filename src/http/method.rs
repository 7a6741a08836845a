use std::fmt;

use super::extension::ExtensionMethod;
use crate::limits::MAX_EXTENSION_METHODS;

/// A request method (RFC 9110 §9, RFC 5789). Methods are case-sensitive.
///
/// The server knows eight methods by itself. A program can add others, such as those of WebDAV:
/// [`Routes::on`](crate::router::Routes::on) does so, and [`extension`](Self::extension). The server answers any other
/// token with 501.
///
/// ```
/// use monoloop::Method;
///
/// assert_eq!(Method::from_token("PATCH"), Some(Method::Patch));
/// assert_eq!(Method::from_token("patch"), None);
/// assert_eq!(Method::extension("REPORT").as_str(), "REPORT");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
    /// Any other method that the program has added.
    Extension(ExtensionMethod),
}

impl Method {
    /// The methods that the server knows by itself, in the order in which `Allow` lists them.
    pub const ALL: [Self; 8] =
        [Self::Get, Self::Head, Self::Post, Self::Put, Self::Delete, Self::Options, Self::Patch, Self::Trace];

    /// The method that `token` names, if the server knows it or the program has added it. Case matters.
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
            _ => return ExtensionMethod::find(token).map(Self::Extension),
        })
    }

    /// The method of this name. If the server does not know it, it is added to the methods that all servers of this
    /// process accept, for as long as the process runs. A router that has no route for it still answers it with 501.
    ///
    /// ```
    /// use monoloop::Method;
    ///
    /// assert_eq!(Method::extension("GET"), Method::Get);
    /// assert_eq!(Method::extension("PROPFIND"), Method::from_token("PROPFIND").unwrap());
    /// ```
    ///
    /// # Panics
    /// - If `name` is not a token (RFC 9110 §5.6.2), or is longer than 32 bytes.
    /// - If it is a known method in another case, such as `get`: a client that means GET never sends that.
    /// - If it is `CONNECT`, which asks for a tunnel, or `PRI`, which begins the preface of HTTP/2 (RFC 9113 §3.4).
    /// - If the process has [56](crate::limits::MAX_EXTENSION_METHODS) extension methods already.
    #[doc(alias("custom", "webdav"))]
    pub fn extension(name: &str) -> Self {
        if let Some(known) = Self::ALL.into_iter().find(|known| known.as_str().eq_ignore_ascii_case(name)) {
            assert_eq!(known.as_str(), name, "the case of a method matters, and no client sends it so");
            return known;
        }
        assert_ne!(name, "CONNECT", "CONNECT asks for a tunnel, and this server makes none");
        assert_ne!(name, "PRI", "PRI is reserved for the preface of HTTP/2");
        Self::Extension(ExtensionMethod::add(name))
    }

    /// A number that belongs to this method alone, less than 64: its place in [`ALL`](Self::ALL), or a larger one. The
    /// compiler makes nothing of this match, because a method is that number already.
    #[inline(always)]
    pub(crate) const fn index(self) -> u8 {
        match self {
            Self::Get => 0,
            Self::Head => 1,
            Self::Post => 2,
            Self::Put => 3,
            Self::Delete => 4,
            Self::Options => 5,
            Self::Patch => 6,
            Self::Trace => 7,
            Self::Extension(method) => method.index(),
        }
    }

    /// The method as a request line contains it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
            Self::Patch => "PATCH",
            Self::Trace => "TRACE",
            Self::Extension(method) => method.as_str(),
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
pub(crate) struct MethodSet(u64);

// Each method has a bit.
const _: () = assert!(Method::ALL.len() + MAX_EXTENSION_METHODS <= u64::BITS as usize);

impl MethodSet {
    /// No method.
    pub(crate) const EMPTY: Self = Self(0);

    /// This set plus `method`.
    #[must_use]
    pub(crate) const fn with(self, method: Method) -> Self {
        Self(self.0 | Self::bit(method))
    }

    /// The methods of both sets.
    #[must_use]
    pub(crate) const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether `method` is in the set.
    pub(crate) const fn contains(self, method: Method) -> bool {
        self.0 & Self::bit(method) != 0
    }

    /// The methods of the set: first those of [`Method::ALL`] in that order, then the others by name.
    pub(crate) fn iter(self) -> impl Iterator<Item = Method> {
        let mut others: Vec<Method> = Vec::new();
        // Their own order depends on what else the process has registered.
        for method in ExtensionMethod::all().map(Method::Extension) {
            let place = others.partition_point(|known| known.as_str() < method.as_str());
            others.insert(place, method);
        }
        Method::ALL.into_iter().chain(others).filter(move |&method| self.contains(method))
    }

    const fn bit(method: Method) -> u64 {
        1 << method.index()
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
    fn a_set_lists_extension_methods_by_name_after_the_others() {
        let [b, a] = ["X-UNIT-B", "X-UNIT-A"].map(Method::extension);
        let set = MethodSet::EMPTY.with(b).with(Method::Trace).with(a);
        assert_eq!(set.to_string(), "TRACE, X-UNIT-A, X-UNIT-B");
        assert!(set.contains(a) && !MethodSet::EMPTY.with(b).contains(a));
        assert_eq!(set.iter().collect::<Vec<_>>(), [Method::Trace, a, b]);
    }

    #[test]
    fn a_method_is_its_index() {
        for (place, method) in Method::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(method.index()), place);
        }
        assert!((8..64).contains(&Method::extension("X-UNIT-A").index()));
        assert_eq!((size_of::<Method>(), size_of::<Option<Method>>()), (1, 1), "it is in each request and each record");
    }

    /// Other tests need these tokens to be unknown, so none of them is added here.
    #[test]
    fn only_an_exact_upper_case_token_names_a_method() {
        for method in Method::ALL {
            assert_eq!(Method::from_token(method.as_str()), Some(method));
            assert_eq!(Method::from_token(&method.as_str().to_lowercase()), None);
            assert_eq!(Method::extension(method.as_str()), method);
        }
        for token in ["", "G", "GETT", "PROPFIND", "CONNECT"] {
            assert_eq!(Method::from_token(token), None, "{token}");
        }
    }

    #[test]
    fn an_extension_method_is_found_by_its_exact_name() {
        let method = Method::extension("X-UNIT-Find");
        assert_eq!((method.as_str(), format!("{method:?}")), ("X-UNIT-Find", "Extension(X-UNIT-Find)".to_owned()));
        assert_eq!(Method::from_token("X-UNIT-Find"), Some(method));
        for token in ["X-UNIT-FIND", "x-unit-find", "X-UNIT-Fin", "X-UNIT-Finds", "X-UNIT-Find "] {
            assert_eq!(Method::from_token(token), None, "{token}");
        }
        let longest = "X".repeat(crate::limits::MAX_METHOD);
        assert_eq!(Method::extension(&longest).as_str(), longest);
    }

    #[test]
    fn what_cannot_be_a_method_is_not_added() {
        let long = "X".repeat(crate::limits::MAX_METHOD + 1);
        for (name, why) in [
            ("", "is not a token"),
            ("A B", "is not a token"),
            ("A\r\nB", "is not a token"),
            ("caf\u{e9}", "is not a token"),
            (&long, "is longer than 32 bytes"),
            ("get", "the case of a method matters"),
            ("Options", "the case of a method matters"),
            ("CONNECT", "CONNECT asks for a tunnel"),
            ("PRI", "PRI is reserved"),
        ] {
            let refused = std::panic::catch_unwind(|| Method::extension(name)).unwrap_err();
            let text = refused.downcast_ref::<String>().expect("a text");
            assert!(text.contains(why), "{name:?}: {text}");
            assert_eq!(Method::from_token(name), None, "{name:?}");
        }
    }
}
