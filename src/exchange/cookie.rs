//! Cookies that a reply sets or removes (RFC 6265).

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Draft, Response};
use crate::http::{http_date, is_token};
use crate::limits::{MAX_COOKIE, MAX_COOKIE_ATTRIBUTE};

/// A cookie for [`Response::cookie`], with the attributes that are safe for a session: `Path=/`, `HttpOnly` and
/// `SameSite=Lax`.
///
/// ```
/// use monoloop::exchange::SameSite;
/// use monoloop::{Cookie, Router, TestClient};
/// use std::time::Duration;
///
/// const DAY: Duration = Duration::from_secs(86_400);
///
/// let mut app = Router::new(());
/// app.post("/login", |_, _, res| res.cookie(Cookie::new("session", "31d4d96e407aad42").max_age(DAY)).text("hello"));
/// app.post("/theme", |_, _, res| res.cookie(Cookie::new("theme", "dark").http_only(false)).text("done"));
/// app.get("/widget", |_, _, res| res.cookie(Cookie::new("id", "7").same_site(SameSite::None)).text("framed"));
///
/// let mut client = TestClient::new(app);
/// let set = |reply: monoloop::testing::TestReply| reply.header("Set-Cookie").unwrap().to_owned();
/// assert_eq!(
///     set(client.post("/login").send()),
///     "session=31d4d96e407aad42; Path=/; Max-Age=86400; HttpOnly; SameSite=Lax"
/// );
/// assert_eq!(set(client.post("/theme").send()), "theme=dark; Path=/; SameSite=Lax");
/// assert_eq!(set(client.get("/widget").send()), "id=7; Path=/; Secure; HttpOnly; SameSite=None");
/// ```
///
/// Without [`max_age`](Self::max_age) or [`expires`](Self::expires) the browser keeps it for its own session.
///
/// # Secure
/// A cookie with [`secure(true)`](Self::secure) is only sent over HTTPS. This server does not encrypt, so it cannot
/// know whether a TLS terminator in front of it does: ask for `Secure` in production. It is there without being asked
/// for where browsers would else refuse the cookie: with `SameSite=None`, with `Partitioned`, and with a name that
/// begins with `__Secure-` or `__Host-`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a cookie is set by `Response::cookie`"]
pub struct Cookie<'c> {
    name: Cow<'c, str>,
    value: Cow<'c, str>,
    path: Cow<'c, str>,
    domain: Option<Cow<'c, str>>,
    max_age: Option<Duration>,
    expires: Option<SystemTime>,
    /// `None` if nobody has said it.
    secure: Option<bool>,
    http_only: bool,
    same_site: SameSite,
    partitioned: bool,
}

/// With which requests from pages of other sites a browser sends a cookie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SameSite {
    /// With none, not even when a link leads here.
    Strict,
    /// When a link leads here, but not with the forms, frames and scripts of other sites. So a cookie does not let
    /// another site act for its visitors (CSRF), as long as a GET changes nothing.
    #[default]
    Lax,
    /// With all. Then the application must recognise forged requests itself.
    None,
}

impl<'c> Cookie<'c> {
    /// A cookie of this name and value.
    ///
    /// The name must be a token. The value must be of visible ASCII characters without `"`, `,`, `;` and `\`; only a
    /// pair of quotes may be around it (RFC 6265 §4.1.1). Text of any other kind must be encoded, for example by
    /// percent-encoding or as Base64.
    pub fn new(name: impl Into<Cow<'c, str>>, value: impl Into<Cow<'c, str>>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
            path: Cow::Borrowed("/"),
            domain: None,
            max_age: None,
            expires: None,
            secure: None,
            http_only: true,
            same_site: SameSite::default(),
            partitioned: false,
        }
    }

    /// A cookie that removes the one of this name. Browsers remove it only if path, domain and `Partitioned` are the
    /// same as when it was set, so repeat those that were not the default.
    ///
    /// ```
    /// # use monoloop::{Cookie, Router};
    /// # let mut app = Router::new(());
    /// app.post("/logout", |_, _, res| res.cookie(Cookie::removal("session").path("/app")).redirect("/"));
    /// ```
    pub fn removal(name: impl Into<Cow<'c, str>>) -> Self {
        Self::new(name, "").max_age(Duration::ZERO).expires(UNIX_EPOCH)
    }

    /// Sets below which path the cookie is sent, instead of `/`: percent-encoded, as in a request. It protects nothing,
    /// since pages of other paths can read the cookie.
    pub fn path(mut self, path: impl Into<Cow<'c, str>>) -> Self {
        self.path = path.into();
        self
    }

    /// Makes browsers send the cookie to this host and to all hosts below it, such as `example.org`. Without this, they
    /// send it only to the host that has set it.
    pub fn domain(mut self, domain: impl Into<Cow<'c, str>>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// Sets how long the browser keeps the cookie, in whole seconds, rounded up. Zero removes it.
    pub const fn max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }

    /// Sets until when the browser keeps the cookie, in whole seconds. [`max_age`](Self::max_age) does not depend on
    /// the browser's clock, and wins if both are set.
    pub const fn expires(mut self, at: SystemTime) -> Self {
        self.expires = Some(at);
        self
    }

    /// Sets whether the cookie is only sent over HTTPS. See [Secure](#secure).
    pub const fn secure(mut self, secure: bool) -> Self {
        self.secure = Some(secure);
        self
    }

    /// Sets whether scripts cannot read the cookie. They cannot, unless this is called with `false`.
    pub const fn http_only(mut self, http_only: bool) -> Self {
        self.http_only = http_only;
        self
    }

    /// Sets with which requests from other sites it is sent, instead of `Lax`.
    pub const fn same_site(mut self, same_site: SameSite) -> Self {
        self.same_site = same_site;
        self
    }

    /// Gives the cookie to each site that embeds this one separately (`Partitioned`, CHIPS). Such cookies need
    /// [`SameSite::None`] in most cases.
    pub const fn partitioned(mut self) -> Self {
        self.partitioned = true;
        self
    }

    /// Whether browsers refuse the cookie without `Secure`.
    fn needs_secure(&self) -> bool {
        self.partitioned || self.same_site == SameSite::None || Promise::of(&self.name).is_some()
    }

    /// The first mistake for which it cannot be sent, or for which browsers would ignore it.
    fn mistake(&self) -> Option<String> {
        let Self { name, value, path, .. } = self;
        let mistake = if !is_token(name.as_bytes()) {
            format!("{name:?} is not the name of a cookie")
        } else if let Some(bad) = unquoted(value).chars().find(|&c| !is_cookie_octet(c)) {
            format!("the value of the cookie {name} contains {bad:?}: encode it (RFC 6265, section 4.1.1)")
        } else if name.len() + value.len() > MAX_COOKIE {
            let length = name.len() + value.len();
            format!("the cookie {name} has {length} bytes, and browsers ignore one of more than {MAX_COOKIE}")
        } else if !is_path(path) {
            format!("{path:?} is not the path of a cookie")
        } else if let Some(domain) = self.domain.as_deref().filter(|domain| !is_domain(domain)) {
            format!("{domain:?} is not the domain of a cookie")
        } else if self.secure == Some(false) && self.needs_secure() {
            format!("browsers refuse the cookie {name} without Secure")
        } else {
            return Promise::of(name).and_then(|promise| promise.broken_by(self));
        };
        Some(mistake)
    }

    /// The value of the `Set-Cookie` line (RFC 6265 §4.1.1).
    fn render(&self) -> String {
        let mut line = format!("{}={}; Path={}", self.name, self.value, self.path);
        // Writing to a `String` cannot fail.
        if let Some(domain) = &self.domain {
            let _ = write!(line, "; Domain={domain}");
        }
        if let Some(age) = self.max_age {
            let _ = write!(line, "; Max-Age={}", age.as_secs().saturating_add(u64::from(age.subsec_nanos() > 0)));
        }
        if let Some(at) = self.expires {
            let second = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            let _ = write!(line, "; Expires={}", http_date(second));
        }
        if self.secure.unwrap_or_else(|| self.needs_secure()) {
            line.push_str("; Secure");
        }
        if self.http_only {
            line.push_str("; HttpOnly");
        }
        line.push_str(match self.same_site {
            SameSite::Strict => "; SameSite=Strict",
            SameSite::Lax => "; SameSite=Lax",
            SameSite::None => "; SameSite=None",
        });
        if self.partitioned {
            line.push_str("; Partitioned");
        }
        line
    }
}

impl<'c, N: Into<Cow<'c, str>>, V: Into<Cow<'c, str>>> From<(N, V)> for Cookie<'c> {
    /// A cookie of this name and value, with the safe attributes.
    fn from((name, value): (N, V)) -> Self {
        Self::new(name, value)
    }
}

/// What the name of a cookie promises by its prefix (draft-ietf-httpbis-rfc6265bis §4.1.3). Browsers ignore a cookie
/// that does not keep it. Each of them needs `Secure`.
#[derive(Clone, Copy, Debug)]
struct Promise {
    prefix: &'static str,
    /// It belongs to one host: path `/`, and no domain.
    host: bool,
    http_only: bool,
}

/// The longer ones first, since one begins with another.
const PROMISES: [Promise; 4] = [
    Promise { prefix: "__Host-Http-", host: true, http_only: true },
    Promise { prefix: "__Host-", host: true, http_only: false },
    Promise { prefix: "__Http-", host: false, http_only: true },
    Promise { prefix: "__Secure-", host: false, http_only: false },
];

impl Promise {
    /// Browsers compare prefixes without regard to case.
    fn of(name: &str) -> Option<Self> {
        let begins = |prefix: &str| name.get(..prefix.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix));
        PROMISES.into_iter().find(|promise| begins(promise.prefix))
    }

    fn broken_by(self, cookie: &Cookie<'_>) -> Option<String> {
        let Self { prefix, host, http_only } = self;
        let without = if host && cookie.domain.is_some() {
            "no domain"
        } else if host && cookie.path != "/" {
            "the path /"
        } else if http_only && !cookie.http_only {
            "HttpOnly"
        } else {
            return None;
        };
        Some(format!("browsers refuse the cookie {}: its prefix {prefix} asks for {without}", cookie.name))
    }
}

impl Response<'_> {
    /// Sets a cookie: a [`Cookie`], or a name and a value.
    ///
    /// ```
    /// use monoloop::{Router, TestClient};
    ///
    /// let mut app = Router::new(());
    /// app.get("/", |_, _, res| res.cookie(("theme", "dark")).text("as you like it"));
    ///
    /// let reply = TestClient::new(app).get("/").send();
    /// assert_eq!(reply.header("Set-Cookie"), Some("theme=dark; Path=/; HttpOnly; SameSite=Lax"));
    /// ```
    ///
    /// The last one counts: the cookie replaces one of the same name, path and domain that was set before, also by
    /// `append_header`. A browser would keep the last one, too, but it need not (RFC 6265 §4.1.1).
    ///
    /// A mistake, such as a character that a cookie cannot contain, makes the reply a 500, and the log says why.
    #[doc(alias("set-cookie", "set_cookie", "session"))]
    pub fn cookie<'c>(self, cookie: impl Into<Cookie<'c>>) -> Self {
        self.reply.draft.set_cookie(&cookie.into());
        self
    }

    /// Removes a cookie that was set with the path `/` and without a domain. For any other, set a
    /// [`Cookie::removal`].
    #[doc(alias("clear_cookie", "delete_cookie", "logout"))]
    pub fn remove_cookie(self, name: &str) -> Self {
        self.cookie(Cookie::removal(name))
    }
}

impl Draft {
    /// Adds the line of a cookie, and removes that of the same cookie.
    fn set_cookie(&mut self, cookie: &Cookie<'_>) {
        if let Some(mistake) = cookie.mistake() {
            return self.blame(mistake);
        }
        let line = cookie.render();
        let others = self.fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
        let (same, others): (Vec<_>, Vec<_>) = others.map(|(_, line)| line).partition(|other| is_same(other, &line));
        if !same.is_empty() {
            let others: Vec<String> = others.into_iter().map(str::to_owned).collect();
            self.fields.remove("set-cookie");
            others.iter().for_each(|other| self.fields.push("Set-Cookie", other));
        }
        self.fields.push("Set-Cookie", &line);
    }
}

/// Whether two `Set-Cookie` values are of one cookie for a browser (RFC 6265 §5.3).
fn is_same(one: &str, other: &str) -> bool {
    let name = |line: &str| line.split(['=', ';']).next().unwrap_or_default().trim().to_owned();
    let domain = |line| attribute(line, "domain").map(|value| value.trim_start_matches('.').to_ascii_lowercase());
    name(one) == name(other) && domain(one) == domain(other) && attribute(one, "path") == attribute(other, "path")
}

/// The value of an attribute of a `Set-Cookie` value. The last one counts (RFC 6265 §5.3).
fn attribute<'l>(line: &'l str, name: &str) -> Option<&'l str> {
    let attributes = line.split(';').skip(1).filter_map(|attribute| attribute.split_once('='));
    attributes.filter(|(found, _)| found.trim().eq_ignore_ascii_case(name)).last().map(|(_, value)| value.trim())
}

/// The value of a cookie without the quotes that may be around it.
fn unquoted(value: &str) -> &str {
    value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value)
}

/// `cookie-octet` (RFC 6265 §4.1.1): visible ASCII without these four.
const fn is_cookie_octet(c: char) -> bool {
    c.is_ascii_graphic() && !matches!(c, '"' | ',' | ';' | '\\')
}

/// Whether it can be the path of a cookie (`path-value`, RFC 6265 §4.1.1). The grammar allows spaces, but no path of a
/// request has one, and browsers cut them off at the end.
fn is_path(text: &str) -> bool {
    text.starts_with('/')
        && text.len() <= MAX_COOKIE_ATTRIBUTE
        && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b';')
}

/// Whether it is a host name (RFC 1034 §3.5, RFC 1123 §2.1). Browsers ignore a dot before it, but the grammar has none.
fn is_domain(domain: &str) -> bool {
    let is_label = |label: &str| {
        matches!(label.len(), 1..=63)
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    domain.len() <= 253 && domain.split('.').all(is_label)
}
