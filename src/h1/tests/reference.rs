//! The grammar of HTTP, read slowly and obviously: over the whole input at once, line by line and word by word, as the
//! RFCs write it down. This shares no code with the decoders that it judges, and allocates wherever that is clearer.

mod chunked;
mod target;

use std::collections::BTreeSet;

pub(super) use chunked::{Chunked, Lines, chunked};
pub(super) use target::{Strictness, Target, is_authority, is_secured, pairs, percent_decode, target};

use crate::config::Config;
use crate::http::{Method, Version};
use crate::limits::{MAX_EMPTY_LINES, MAX_FIELDS, MAX_METHOD};

/// The status codes of all rules that a message breaks. A server may notice any of them first.
pub(super) type Statuses = BTreeSet<u16>;

// ---- a connection -----------------------------------------------------------------------------------------------

/// What a server must understand of a client's bytes if it buffers every content.
#[derive(Debug)]
pub(super) struct Conversation {
    pub(super) requests: Vec<Understood>,
    pub(super) end: Ending,
    /// What came of the last message, if it has begun and is not understood.
    pub(super) rest: Option<Vec<u8>>,
}

/// A request that must get a reply.
#[derive(Debug)]
pub(super) struct Understood {
    pub(super) head: Head,
    pub(super) content: Vec<u8>,
    pub(super) trailers: Lines,
    /// The request is well-formed and refused, so no handler sees its content.
    pub(super) refused: Option<u16>,
}

/// What comes after the last request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Another request may follow.
    Between,
    /// The last request asked for that, or was refused before its content.
    Last,
    /// A head has begun and not ended.
    WithinHead,
    /// Content has begun and not ended.
    WithinContent,
    /// A message that breaks a rule.
    Broken(Statuses),
}

pub(super) fn conversation(bytes: &[u8], config: &Config) -> Conversation {
    let mut requests = Vec::new();
    let mut rest = bytes;
    let mut message;
    let end = loop {
        message = None;
        let mut empty_lines = 0;
        while let Some(behind) = rest.strip_prefix(b"\r\n") {
            (rest, empty_lines) = (behind, empty_lines + 1);
        }
        if empty_lines > MAX_EMPTY_LINES {
            break Ending::Broken([400].into());
        }
        match rest.first() {
            None => break Ending::Between,
            Some(b'\r') if rest.len() == 1 => break Ending::Between,
            Some(b'\r' | b'\n') => break Ending::Broken([400].into()),
            Some(_) => {}
        }
        message = Some(rest.to_vec());
        let head = match head(rest, config) {
            None => break Ending::WithinHead,
            Some(Err(statuses)) => break Ending::Broken(statuses),
            Some(Ok(head)) => head,
        };
        rest = &rest[head.len..];
        let (goes_on, framing) = (head.persistent, head.framing);
        let mut understood = Understood { head, content: Vec::new(), trailers: Vec::new(), refused: None };
        if understood.head.expectation == Expectation::Other {
            understood.refused = Some(417);
            requests.push(understood);
            if framing != Framing::None || !goes_on {
                break Ending::Last;
            }
            continue;
        }
        match framing {
            Framing::None => {}
            Framing::Length(length) if length > config.max_content => understood.refused = Some(413),
            Framing::Length(length) => match rest.split_at_checked(length as usize) {
                None => break Ending::WithinContent,
                Some((content, behind)) => (understood.content, rest) = (content.to_vec(), behind),
            },
            Framing::Chunked => match chunked(rest, config.max_content) {
                Chunked::Whole { content, trailers, len } => {
                    (understood.content, understood.trailers, rest) = (content, trailers, &rest[len..]);
                }
                Chunked::TooLarge => understood.refused = Some(413),
                Chunked::Unfinished { .. } => break Ending::WithinContent,
                Chunked::Broken(status) => break Ending::Broken([status].into()),
            },
        }
        let refused = understood.refused.is_some();
        requests.push(understood);
        if refused || !goes_on {
            break Ending::Last;
        }
    };
    Conversation { requests, end, rest: message }
}

// ---- request heads ----------------------------------------------------------------------------------------------

/// Everything that a head says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) method: Method,
    pub(super) version: Version,
    pub(super) target: Target,
    /// It comes from an absolute-form target, or else from Host.
    pub(super) authority: Option<Vec<u8>>,
    pub(super) fields: Vec<(String, Vec<u8>)>,
    pub(super) len: usize,
    pub(super) framing: Framing,
    pub(super) persistent: bool,
    pub(super) asked_keep_alive: bool,
    pub(super) expectation: Expectation,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    None,
    Length(u64),
    Chunked,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expectation {
    None,
    Continue,
    Other,
}

/// Reads the head at the front of `bytes`, which do not begin with an empty line; `None` if it has no end.
pub(super) fn head(bytes: &[u8], config: &Config) -> Option<Result<Head, Statuses>> {
    // A bare LF is forbidden, but it ends the line all the same: what follows is not part of that line.
    let mut lines: Vec<&[u8]> = Vec::new();
    let mut len = 0;
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        lines.push(line.strip_suffix(b"\n")?);
        len += line.len();
        if matches!(line, b"\r\n" | b"\n") {
            return Some(whole_head(&lines, len, config));
        }
    }
    None
}

/// The `lines` have no LF, and the blank one is included.
fn whole_head(lines: &[&[u8]], len: usize, config: &Config) -> Result<Head, Statuses> {
    let mut wrong = Statuses::new();
    let lines: Vec<&[u8]> = lines
        .iter()
        .map(|line| {
            line.strip_suffix(b"\r").unwrap_or_else(|| {
                wrong.insert(400);
                line
            })
        })
        .collect();
    let fields = &lines[1..lines.len() - 1];
    if len > config.max_head || fields.len() > MAX_FIELDS {
        wrong.insert(431);
    }
    let line = request_line(lines[0], config, &mut wrong);
    let mut read = Vec::new();
    for field in fields {
        match field_line(field) {
            Some(field) => read.push(field),
            None => {
                wrong.insert(400);
            }
        }
    }
    let Some((method, target, version)) = line else { return Err(wrong) };
    let values = |name: &str| -> Vec<&[u8]> {
        read.iter().filter(|(line, _)| line.eq_ignore_ascii_case(name)).map(|(_, value)| &value[..]).collect()
    };

    let host = values("host");
    if host.len() > 1 || (host.is_empty() && version == Version::Http11) || host.iter().any(|host| !is_authority(host))
    {
        wrong.insert(400);
    }
    let options = members(&values("connection"));
    let has_option = |option: &str| options.iter().any(|known| known.eq_ignore_ascii_case(option.as_bytes()));
    let asked_keep_alive = has_option("keep-alive");
    let persistent = !has_option("close") && (version == Version::Http11 || asked_keep_alive);

    let expectations = members(&values("expect"));
    let expectation = match () {
        () if expectations.iter().any(|member| !member.eq_ignore_ascii_case(b"100-continue")) => Expectation::Other,
        () if expectations.is_empty() || version == Version::Http10 => Expectation::None,
        () => Expectation::Continue,
    };

    let lengths = values("content-length");
    let codings = values("transfer-encoding");
    let length = match lengths[..] {
        [] => None,
        [value] => match std::str::from_utf8(value).ok().and_then(number) {
            Some(length) => Some(length),
            None => {
                wrong.insert(400);
                None
            }
        },
        _ => {
            wrong.insert(400);
            None
        }
    };
    let framing = if codings.is_empty() {
        length.filter(|&length| length > 0).map_or(Framing::None, Framing::Length)
    } else {
        if version == Version::Http10 || !lengths.is_empty() {
            wrong.insert(400);
        }
        let codings: Vec<String> =
            members(&codings).iter().map(|coding| String::from_utf8_lossy(coding).to_ascii_lowercase()).collect();
        let tokens = codings.iter().all(|coding| is_token(coding.as_bytes()) && coding != "identity");
        let once = codings.iter().filter(|coding| *coding == "chunked").count() == 1;
        if !tokens || !once || codings.last().is_none_or(|last| last != "chunked") {
            wrong.insert(400);
        } else if codings.len() > 1 {
            wrong.insert(501);
        }
        Framing::Chunked
    };
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let authority = target.authority.clone().or_else(|| host.first().map(|host| host.to_vec()));
    Ok(Head {
        method,
        version,
        target,
        authority,
        len,
        framing,
        persistent,
        asked_keep_alive,
        expectation,
        fields: read,
    })
}

/// `method SP request-target SP HTTP-version` (RFC 9112 §3); `None` if something is wrong with it.
fn request_line(line: &[u8], config: &Config, wrong: &mut Statuses) -> Option<(Method, Target, Version)> {
    let words: Vec<&[u8]> = line.split(|&byte| byte == b' ').collect();
    // If the second space is missing, all of the line may be taken for the target, its CR too.
    let cr = usize::from(words.len() == 2);
    if words.get(1).is_some_and(|target| target.len() + cr > config.max_target) {
        wrong.insert(414);
    }
    // No known method is so long, whatever else is wrong with it.
    if words[0].len() >= MAX_METHOD {
        wrong.insert(501);
    }
    let method = std::str::from_utf8(words[0]).ok();
    let known = method.and_then(|method| Method::ALL.into_iter().find(|known| known.as_str() == method));
    if !is_token(words[0]) {
        wrong.insert(400);
    } else if known.is_none() {
        wrong.insert(501);
    }
    let [_, target_bytes, version] = words[..] else {
        wrong.insert(400);
        return None;
    };
    let version = match version {
        b"HTTP/1.0" => Some(Version::Http10),
        b"HTTP/1.1" => Some(Version::Http11),
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => {
            wrong.insert(505);
            None
        }
        _ => {
            wrong.insert(400);
            None
        }
    };
    let text = std::str::from_utf8(target_bytes).ok();
    // Further faults must be found, too.
    let text = text.map(|text| match is_secured(text) {
        true => {
            wrong.insert(421);
            format!("http{}", &text["https".len()..])
        }
        false => text.to_owned(),
    });
    let target = text.and_then(|text| target(known.unwrap_or(Method::Get), &text));
    if target.is_none() {
        wrong.insert(400);
    }
    Some((known?, target?, version?))
}

/// `field-name ":" OWS field-value OWS` (RFC 9112 §5).
fn field_line(line: &[u8]) -> Option<(String, Vec<u8>)> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    let (name, value) = (&line[..colon], trim(&line[colon + 1..]));
    (is_token(name) && value.iter().all(|&byte| is_value_byte(byte)))
        .then(|| (String::from_utf8_lossy(name).into_owned(), value.to_vec()))
}

/// `#element` over all lines of a field, without the empty ones (RFC 9110 §5.6.1).
fn members<'a>(values: &[&'a [u8]]) -> Vec<&'a [u8]> {
    let all = values.iter().flat_map(|value| value.split(|&byte| byte == b','));
    all.map(trim).filter(|member| !member.is_empty()).collect()
}

fn trim(bytes: &[u8]) -> &[u8] {
    let is_text = |byte: &u8| !matches!(byte, b' ' | b'\t');
    let Some(from) = bytes.iter().position(is_text) else { return &[] };
    let to = bytes.iter().rposition(is_text).unwrap_or(from);
    &bytes[from..=to]
}

/// `1*DIGIT`, if the number fits.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    let digits = text.trim_start_matches('0');
    // Numbers with as many digits as 2 to the 64 fit in 128 bits.
    (is_number && digits.len() <= 20).then(|| format!("0{digits}").parse::<u128>().ok()?.try_into().ok()).flatten()
}

/// `tchar` (RFC 9110 §5.6.2).
fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// `field-vchar / SP / HTAB` (RFC 9110 §5.5).
const fn is_value_byte(byte: u8) -> bool {
    matches!(byte, b'\t' | b' ' | 0x21..=0x7e | 0x80..)
}

// ---- dates ------------------------------------------------------------------------------------------------------

/// `IMF-fixdate` (RFC 9110 §5.6.7), computed by counting days through the calendar.
pub(super) fn date(second: u64) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let (days, second) = (second / 86_400, second % 86_400);
    let weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][(days % 7) as usize];
    let (mut year, mut month, mut left) = (1970, 0, days);
    loop {
        let february = if is_leap(year) { 29 } else { 28 };
        let len = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month];
        if left < len {
            break;
        }
        left -= len;
        (year, month) = if month == 11 { (year + 1, 0) } else { (year, month + 1) };
    }
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{weekday}, {:02} {} {year:04} {hour:02}:{minute:02}:{second:02} GMT", left + 1, MONTHS[month])
}
