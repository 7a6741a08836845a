//! Parses the values of options. All functions are pure; an error says what was expected instead.

#[cfg(feature = "live")]
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use log::LevelFilter;
use monoloop::files::Symlinks;
use monoloop::http::{is_field_line, is_media_type};
use monoloop::limits::MAX_WORKERS;
use monoloop::middleware::Cors;
use monoloop::server::LogFormat;

#[cfg(feature = "live")]
use crate::record::Peer;

type Result<T> = std::result::Result<T, &'static str>;

const TOO_LARGE: &str = "it is too large";
const DURATION: &str = "expected a duration such as 30s, 500ms, 2m or 1h";
const SIZE: &str = "expected a size in bytes such as 16384, 16k or 1m";
const COUNT: &str = "expected a whole number";
const FILTER: &str = "expected a level (off, error, warn, info, debug, trace) or a list such as monoloop=debug,warn";

/// A duration: a whole number and `ms`, `s`, `m` or `h`. A number without a unit is in seconds.
pub(crate) fn duration(text: &str) -> Result<Duration> {
    let (number, unit) = split_unit(text);
    let number = whole(number, DURATION)?;
    let seconds_per_unit = match unit {
        "ms" => return Ok(Duration::from_millis(number)),
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(DURATION),
    };
    number.checked_mul(seconds_per_unit).map(Duration::from_secs).ok_or(TOO_LARGE)
}

/// A duration that must not be zero, because zero would close every connection at once.
pub(crate) fn timeout(text: &str) -> Result<Duration> {
    match duration(text)? {
        Duration::ZERO => Err("it must be longer than zero"),
        timeout => Ok(timeout),
    }
}

/// A size in bytes: a whole number and an optional `k`, `m` or `g` (powers of 1024), in upper or lower case.
pub(crate) fn bytes(text: &str) -> Result<u64> {
    let (number, unit) = split_unit(text);
    let number = whole(number, SIZE)?;
    let bytes_per_unit = match unit {
        "" => 1,
        "k" | "K" => 1 << 10,
        "m" | "M" => 1 << 20,
        "g" | "G" => 1 << 30,
        _ => return Err(SIZE),
    };
    number.checked_mul(bytes_per_unit).ok_or(TOO_LARGE)
}

/// A size of something in memory: as [`bytes`], but it must fit into a `usize`.
pub(crate) fn size(text: &str) -> Result<usize> {
    bytes(text).and_then(|bytes| usize::try_from(bytes).map_err(|_| TOO_LARGE))
}

/// A size that must not be zero, because the server could then serve nothing.
pub(crate) fn capacity(text: &str) -> Result<usize> {
    match size(text)? {
        0 => Err("it must be more than zero"),
        size => Ok(size),
    }
}

/// A rate in bytes per second; 0 means no minimum.
pub(crate) fn rate(text: &str) -> Result<u32> {
    bytes(text).and_then(|rate| u32::try_from(rate).map_err(|_| TOO_LARGE))
}

/// A number of things, at least one.
pub(crate) fn count(text: &str) -> Result<usize> {
    match whole(text, COUNT)? {
        0 => Err("it must be more than zero"),
        count => usize::try_from(count).map_err(|_| TOO_LARGE),
    }
}

/// As [`count`], in the type that `listen(2)` takes.
pub(crate) fn backlog(text: &str) -> Result<i32> {
    count(text).and_then(|count| i32::try_from(count).map_err(|_| TOO_LARGE))
}

/// A number of workers; `auto` means one per core.
pub(crate) fn workers(text: &str) -> Result<Option<usize>> {
    const WORKERS: &str = "expected auto or a whole number from 1 to 1024";
    const _: () = assert!(MAX_WORKERS == 1024, "correct the sentence");
    match text {
        "auto" => Ok(None),
        text => count(text).ok().filter(|count| *count <= MAX_WORKERS).map(Some).ok_or(WORKERS),
    }
}

/// A port; 0 means a free port.
pub(crate) fn port(text: &str) -> Result<u16> {
    const PORT: &str = "expected a port number from 0 to 65535";
    whole(text, PORT).and_then(|port| u16::try_from(port).map_err(|_| PORT))
}

/// A host name or an IP address. An IPv6 address may have brackets.
pub(crate) fn host(text: &str) -> Result<&str> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    match bare.is_empty() || bare.contains(|c: char| c.is_whitespace() || c.is_control() || "[]/".contains(c)) {
        true => Err("expected a host name or an IP address"),
        false => Ok(bare),
    }
}

/// A path in the file system.
pub(crate) fn path(text: &str) -> Result<&str> {
    match text.is_empty() || text.contains('\0') {
        true => Err("expected a path"),
        false => Ok(text),
    }
}

/// The value of the `Server` field; an empty text means that there is no such field.
pub(crate) fn route(text: &str) -> Result<&str> {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"?#%:*".contains(&byte);
    let segments = text.strip_prefix('/').map(|rest| rest.split('/'));
    match segments.map(|mut all| all.all(|one| one.bytes().all(is_plain) && one != "." && one != "..")) {
        Some(true) => Ok(text),
        _ => Err("expected a path such as /healthz"),
    }
}

pub(crate) fn server_name(text: &str) -> Result<Option<&str>> {
    match text.contains(char::is_control) {
        true => Err("expected text without control characters"),
        false => Ok(Some(text).filter(|text| !text.is_empty())),
    }
}

/// Whose connections are recorded: an address, an address with a port, or unix sockets.
#[cfg(feature = "live")]
pub(crate) fn peer(text: &str) -> Result<Peer> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    match (text, bare.parse(), text.parse()) {
        ("unix", ..) => Ok(Peer::Unix),
        (_, Ok(host), _) => Ok(Peer::Host(host)),
        (_, _, Ok(socket)) => Ok(Peer::Socket(socket)),
        _ => Err("expected an IP address, perhaps with a port, or unix"),
    }
}

/// Whether something is switched on.
pub(crate) fn switch(text: &str) -> Result<bool> {
    match text.to_ascii_lowercase().as_str() {
        "on" | "yes" | "true" | "1" => Ok(true),
        "off" | "no" | "false" | "0" => Ok(false),
        _ => Err("expected on or off"),
    }
}

/// The address of the live page: `on`, `off`, a port, or an IP address with a port.
#[cfg(feature = "live")]
pub(crate) fn live(text: &str) -> Result<Option<SocketAddr>> {
    const ADDRESS: &str = "expected on, off, a port, or an address such as 127.0.0.1:3001";
    let local = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    // A port comes first, since 0 and 1 are switches, too.
    match (port(text), switch(text)) {
        (Ok(port), _) => Ok(Some(local(port))),
        (_, Ok(on)) => Ok(on.then(|| local(3001))),
        _ => text.parse().map(Some).map_err(|_| ADDRESS),
    }
}

/// A number of things, which may be zero.
pub(crate) fn number(text: &str) -> Result<usize> {
    whole(text, COUNT).and_then(|number| usize::try_from(number).map_err(|_| TOO_LARGE))
}

/// The name of a file, without a path.
pub(crate) fn file_name(text: &str) -> Result<&str> {
    match text.is_empty() || text.contains(['/', '\0']) || matches!(text, "." | "..") {
        true => Err("expected the name of a file"),
        false => Ok(text),
    }
}

/// Which symbolic links the server follows.
pub(crate) fn symlinks(text: &str) -> Result<Symlinks> {
    match text {
        "never" => Ok(Symlinks::Never),
        "inside" => Ok(Symlinks::Inside),
        "follow" => Ok(Symlinks::Follow),
        _ => Err("expected never, inside or follow"),
    }
}

/// A pattern and a `Cache-Control` value. The text before the first `=` is a pattern if it contains `*`, `/` or a dot.
/// Without a pattern, the value applies to all files.
pub(crate) fn cache_rule(text: &str) -> Result<(String, String)> {
    let (pattern, value) = match text.split_once('=') {
        Some((pattern, value)) if pattern.contains(['*', '/', '.']) => (pattern, value),
        _ => ("*", text),
    };
    match !pattern.is_empty() && !value.trim().is_empty() && is_field_line("Cache-Control", value) {
        true => Ok((pattern.trim().to_owned(), value.trim().to_owned())),
        false => Err("expected a value such as max-age=3600, or a pattern before it such as *.css=max-age=3600"),
    }
}

/// A field line, split into its name and value.
pub(crate) fn header(text: &str) -> Result<(String, String)> {
    const OURS: [&str; 5] = ["connection", "content-length", "content-range", "transfer-encoding", "upgrade"];
    let (name, value) = text.split_once(':').unwrap_or_default();
    let value = value.trim();
    if !is_field_line(name, value) {
        return Err("expected a field line such as X-Frame-Options: DENY");
    }
    match OURS.iter().any(|ours| ours.eq_ignore_ascii_case(name)) {
        true => Err("only the server may set this field"),
        false => Ok((name.to_owned(), value.to_owned())),
    }
}

/// An extension and a media type.
pub(crate) fn media_type(text: &str) -> Result<(String, String)> {
    let (extension, media_type) = text.split_once('=').unwrap_or_default();
    let (extension, media_type) = (extension.trim().trim_start_matches('.'), media_type.trim());
    match !extension.is_empty() && !extension.contains('/') && is_media_type(media_type) {
        true => Ok((extension.to_owned(), media_type.to_owned())),
        false => Err("expected EXTENSION=TYPE such as md=text/plain"),
    }
}

/// The origins whose pages may read replies. `None` means that CORS is off; an empty list means all origins.
pub(crate) fn origins(text: &str) -> Result<Option<Vec<String>>> {
    if text == "*" {
        return Ok(Some(Vec::new()));
    }
    if let Ok(on) = switch(text) {
        return Ok(on.then(Vec::new));
    }
    let origins: Vec<String> = text.split(',').map(|origin| origin.trim().to_owned()).collect();
    match origins.iter().all(|origin| Cors::can_list(origin)) {
        true => Ok(Some(origins)),
        false => Err("expected on, off, or origins such as https://a.example"),
    }
}

/// The format of the access log.
pub(crate) fn log_format(text: &str) -> Result<Option<LogFormat>> {
    match text {
        "common" => Ok(Some(LogFormat::Common)),
        "combined" => Ok(Some(LogFormat::Combined)),
        "json" => Ok(Some(LogFormat::Json)),
        _ => Err("expected common, combined or json"),
    }
}

/// A filter as in `RUST_LOG`. It is checked here, because the logger would only skip a part that it cannot parse.
pub(crate) fn log_filter(text: &str) -> Result<&str> {
    let directives = text.split('/').next().unwrap_or_default();
    let is_good = |directive: &str| match directive.split_once('=') {
        Some((target, level)) => !target.is_empty() && (level.is_empty() || level.parse::<LevelFilter>().is_ok()),
        None => !directive.contains(char::is_whitespace),
    };
    let is_filter = !directives.trim().is_empty() && directives.split(',').all(|part| is_good(part.trim()));
    if is_filter { Ok(text) } else { Err(FILTER) }
}

/// Splits a text into its leading digits and the rest.
fn split_unit(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

/// A whole number that has only digits: `str::parse` would accept `+5` too.
fn whole(text: &str, expected: &'static str) -> Result<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(expected);
    }
    text.parse().map_err(|_| TOO_LARGE)
}

#[cfg(test)]
mod tests;
