//! The cookies that a client keeps, as RFC 6265 §5 says, for one host.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::http::parse_http_date;

/// The cookies that a client keeps, in the order in which they were made.
#[derive(Debug, Default)]
pub(super) struct Jar(Vec<Cookie>);

#[derive(Debug)]
struct Cookie {
    name: String,
    value: String,
    path: String,
    /// When it goes; `None` if it lasts for as long as the client.
    expires: Option<SystemTime>,
}

impl Jar {
    /// Obeys a `Set-Cookie` line of the reply to `target`.
    pub(super) fn note(&mut self, line: &str, target: &str, now: SystemTime) {
        let Some((name, value)) = name_and_value(line) else { return };
        let (mut path, mut max_age, mut expires) = (None, None, None);
        for attribute in line.split(';').skip(1) {
            let (key, value) = attribute.split_once('=').unwrap_or((attribute, ""));
            let value = value.trim();
            match key.trim().to_ascii_lowercase().as_str() {
                "path" => path = Some(value).filter(|path| path.starts_with('/')),
                "max-age" => max_age = end_of_age(value, now).or(max_age),
                "expires" => expires = date(value).or(expires),
                _ => {}
            }
        }
        let path = path.unwrap_or_else(|| default_path(target)).to_owned();
        let cookie = Cookie { name: name.to_owned(), value: value.to_owned(), path, expires: max_age.or(expires) };
        // A cookie that takes the place of another has its age (§5.3, step 11).
        match self.0.iter_mut().find(|kept| (&kept.name, &kept.path) == (&cookie.name, &cookie.path)) {
            Some(kept) => *kept = cookie,
            None => self.0.push(cookie),
        }
        self.0.retain(|cookie| cookie.lives(now));
    }

    /// Adds the cookies for a target to those that a request has of its own, unless it has one of the same name. Those
    /// with longer paths come first (§5.4).
    pub(super) fn add_to(&self, cookies: &mut Vec<(String, String)>, target: &str, now: SystemTime) {
        let mut kept: Vec<_> = self.0.iter().filter(|it| it.lives(now) && it.is_for(path(target))).collect();
        kept.retain(|kept| cookies.iter().all(|(name, _)| *name != kept.name));
        kept.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        cookies.extend(kept.iter().map(|kept| (kept.name.clone(), kept.value.clone())));
    }

    /// The value of a cookie of this name, of any path.
    pub(super) fn get(&self, name: &str, now: SystemTime) -> Option<&str> {
        let cookie = self.0.iter().find(|cookie| cookie.name == name && cookie.lives(now))?;
        Some(&cookie.value)
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

impl Cookie {
    fn lives(&self, now: SystemTime) -> bool {
        self.expires.is_none_or(|end| end > now)
    }

    /// Whether its path matches that of a request (§5.1.4).
    fn is_for(&self, path: &str) -> bool {
        let rest = path.strip_prefix(&self.path);
        rest.is_some_and(|rest| rest.is_empty() || self.path.ends_with('/') || rest.starts_with('/'))
    }
}

/// Name and value of a `Set-Cookie` line (§5.2). There is none without a name.
pub(super) fn name_and_value(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split(';').next()?.split_once('=')?;
    Some((name.trim(), value.trim())).filter(|(name, _)| !name.is_empty())
}

/// Whether a server may set this value, without quotes (§4.1.1).
pub(super) fn is_cookie_value(value: &str) -> bool {
    value.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\'))
}

/// The path of a target in origin form.
fn path(target: &str) -> &str {
    target.split('?').next().unwrap_or_default()
}

/// The path of a cookie that names none: that of the request, up to its last slash (§5.1.4).
fn default_path(target: &str) -> &str {
    match path(target).rsplit_once('/') {
        Some((folder, _)) if folder.starts_with('/') => folder,
        _ => "/",
    }
}

/// When a cookie of this `Max-Age` goes (§5.2.2): in the past if the age is not positive.
fn end_of_age(seconds: &str, now: SystemTime) -> Option<SystemTime> {
    let digits = seconds.strip_prefix('-').unwrap_or(seconds);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if digits.len() < seconds.len() {
        return Some(UNIX_EPOCH);
    }
    // An age that no number holds is longer than any test.
    let age = digits.parse::<u32>().unwrap_or(u32::MAX);
    Some(now + Duration::from_secs(age.into()))
}

/// A date of a cookie: those of HTTP, and Netscape's with hyphens (§5.1.1).
fn date(value: &str) -> Option<SystemTime> {
    let second = parse_http_date(value).or_else(|| parse_http_date(&value.replace('-', " ")))?;
    Some(UNIX_EPOCH + Duration::from_secs(second))
}
