//! Valid requests, as values.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::app::Seen;
use super::super::fuzzing::Random;
use crate::http::{Method, Version};

/// A request as values. It says what a handler must see, and is never parsed.
#[derive(Clone, Debug)]
pub(super) struct Valid {
    empty_lines: usize,
    method: Method,
    pub(super) target: Target,
    version: Version,
    host: Option<String>,
    connection: Option<&'static str>,
    pub(super) expects: bool,
    /// Each line: name, white space, value, white space.
    fields: Vec<(String, String, Vec<u8>, String)>,
    pub(super) body: Body,
    /// The seed by which the field lines are shuffled.
    order: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Target {
    /// The scheme and the authority of an absolute form.
    absolute: Option<(&'static str, String)>,
    asterisk: bool,
    /// The path after its first slash. The flag says whether a character is percent-encoded without need.
    path: Vec<(char, bool)>,
    /// Whether the first slash is left out, where that is allowed.
    bare: bool,
    query: Option<String>,
}

#[derive(Clone, Debug)]
pub(super) enum Body {
    None,
    Length { content: Vec<u8>, zeros: usize },
    Chunked { coding: &'static str, chunks: Vec<(Vec<u8>, String)>, last: String, trailers: Vec<String>, upper: bool },
}

pub(super) fn bytes_of(stream: &[Valid]) -> Vec<u8> {
    stream.iter().flat_map(|request| [request.head_after_empty_lines(), request.body.bytes()].concat()).collect()
}

impl Valid {
    pub(super) fn head_after_empty_lines(&self) -> Vec<u8> {
        [b"\r\n".repeat(self.empty_lines), self.head()].concat()
    }

    pub(super) fn head(&self) -> Vec<u8> {
        let mut head = format!("{} {} {}\r\n", self.method, self.target.text(), self.version).into_bytes();
        for (name, before, value, behind) in self.lines() {
            head.extend([name.as_bytes(), b":", before.as_bytes(), &value, behind.as_bytes(), b"\r\n"].concat());
        }
        head.extend(b"\r\n");
        head
    }

    /// All field lines, in the order in which they are sent.
    pub(super) fn lines(&self) -> Vec<(String, String, Vec<u8>, String)> {
        let line =
            |name: &str, value: &str| (name.to_owned(), " ".to_owned(), value.as_bytes().to_vec(), String::new());
        let mut lines = self.fields.clone();
        lines.extend(self.host.as_ref().map(|host| line("Host", host)));
        lines.extend(self.connection.map(|value| line("Connection", value)));
        lines.extend(self.expects.then(|| line("Expect", "100-Continue")));
        match &self.body {
            Body::None => {}
            Body::Length { content, zeros } => {
                lines.push(line("Content-length", &format!("{}{}", "0".repeat(*zeros), content.len())));
            }
            Body::Chunked { coding, .. } => lines.push(line("Transfer-Encoding", coding)),
        }
        let mut random = Random::of(&self.order.to_le_bytes());
        for i in (1..lines.len()).rev() {
            lines.swap(i, random.below(i + 1));
        }
        lines
    }

    pub(super) fn seen(&self) -> Seen {
        Seen {
            method: self.method,
            target: self.target.text(),
            path: self.target.decoded(),
            host: self.target.absolute.as_ref().map(|(_, authority)| authority).or(self.host.as_ref()).cloned(),
            fields: self.lines().into_iter().map(|(name, _, value, _)| (name, value)).collect(),
            content: self.body.content(),
            trailers: self.body.trailers(),
        }
    }

    pub(super) const fn persists(&self) -> bool {
        match (self.version, self.connection) {
            (Version::Http11, None) => true,
            (Version::Http10, None) => false,
            (_, Some(value)) => !value.eq_ignore_ascii_case("close"),
        }
    }
}

impl Target {
    pub(super) fn text(&self) -> String {
        if self.asterisk {
            return "*".to_owned();
        }
        let mut text =
            self.absolute.as_ref().map(|(scheme, authority)| format!("{scheme}{authority}")).unwrap_or_default();
        if !(self.bare && self.path.is_empty() && self.absolute.is_some()) {
            text.push('/');
        }
        for &(c, encoded) in &self.path {
            let raw = c.is_ascii_graphic() && !"#\"<>\\{}`%?".contains(c);
            match raw && !encoded {
                true => text.push(c),
                false => c.to_string().bytes().for_each(|byte| text += &format!("%{byte:02x}")),
            }
        }
        text + &self.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default()
    }

    pub(super) fn decoded(&self) -> String {
        match self.asterisk {
            true => "*".to_owned(),
            false => std::iter::once('/').chain(self.path.iter().map(|(c, _)| *c)).collect(),
        }
    }
}

impl Body {
    pub(super) fn content(&self) -> Vec<u8> {
        match self {
            Self::None => Vec::new(),
            Self::Length { content, .. } => content.clone(),
            Self::Chunked { chunks, .. } => chunks.iter().flat_map(|(data, _)| data.clone()).collect(),
        }
    }

    pub(super) fn trailers(&self) -> Vec<(String, Vec<u8>)> {
        let Self::Chunked { trailers, .. } = self else { return Vec::new() };
        let lines = trailers.iter().map(|line| line.split_once(':').expect("a field line"));
        lines.map(|(name, value)| (name.to_owned(), value.trim_matches([' ', '\t']).into())).collect()
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let Self::Chunked { chunks, last, trailers, upper, .. } = self else { return self.content() };
        let mut bytes = Vec::new();
        for (data, extensions) in chunks {
            let size = if *upper { format!("{:X}", data.len()) } else { format!("00{:x}", data.len()) };
            bytes.extend([size.as_bytes(), extensions.as_bytes(), b"\r\n", data, b"\r\n"].concat());
        }
        bytes.extend(format!("0{last}\r\n").bytes());
        trailers.iter().for_each(|line| bytes.extend(format!("{line}\r\n").bytes()));
        bytes.extend(b"\r\n");
        bytes
    }
}

/// A few requests, of which only the last may end the connection.
pub(super) fn valid_stream() -> impl Strategy<Value = Vec<Valid>> {
    vec(valid_request(), 1..5).prop_map(|mut stream| {
        let last = stream.len() - 1;
        stream[..last].iter_mut().filter(|request| !request.persists()).for_each(|request| {
            request.connection = Some("x, Keep-Alive");
        });
        stream
    })
}

pub(super) fn valid_request() -> impl Strategy<Value = Valid> {
    let line = (any_name(), "[ \t]{0,2}", any_value(), "[ \t]{0,2}");
    let body = prop_oneof![Just(Body::None), valid_length(), valid_chunks()];
    let connections = vec![None, None, None, Some("close"), Some("keep-alive"), Some("x, Keep-Alive")];
    (
        (0..=4_usize, select(Method::ALL.to_vec()), any_target(), any::<bool>()),
        (prop_oneof![1 => Just(Version::Http10), 4 => Just(Version::Http11)], option::of(any_authority())),
        (select(connections), option::weighted(0.1, Just(()))),
        prop_oneof![9 => vec(line.clone(), 0..5), 1 => vec(line, 5..60)],
        body,
        any::<u64>(),
    )
        .prop_map(
            |(
                (empty_lines, method, mut target, asterisk),
                (version, host),
                (connection, expects),
                fields,
                body,
                order,
            )| {
                target.asterisk = asterisk && method == Method::Options;
                if target.asterisk {
                    target.absolute = None;
                }
                let host = match version {
                    Version::Http10 => host,
                    Version::Http11 => Some(host.unwrap_or_else(|| "localhost:".to_owned())),
                };
                let body = match (version, body) {
                    (Version::Http10, Body::Chunked { chunks, .. }) => {
                        Body::Length { content: chunks.into_iter().flat_map(|(data, _)| data).collect(), zeros: 1 }
                    }
                    (_, body) => body,
                };
                let expects = expects.is_some();
                Valid { empty_lines, method, target, version, host, connection, expects, fields, body, order }
            },
        )
}

pub(super) fn valid_length() -> impl Strategy<Value = Body> {
    let long = (80..40_000_usize).prop_map(|len| (0..len).map(|i| (i % 251) as u8).collect());
    let content = prop_oneof![9 => vec(any::<u8>(), 0..80), 1 => long];
    (content, 0..3_usize).prop_map(|(content, zeros)| Body::Length { content, zeros })
}

pub(super) fn valid_chunks() -> impl Strategy<Value = Body> {
    const EXTENSIONS: &str = concat!(
        "([ \t]{0,2};[ \t]{0,2}[a-zA-Z0-9!#$%&'*+.^_`|~-]{1,6}",
        "([ \t]?=[ \t]?([a-z0-9!#$-]{1,5}|\"([\t !#-\\[\\]-~]|\\\\[\t -~]){0,6}\"))?){0,2}"
    );
    let chunk = (vec(any::<u8>(), 1..40), EXTENSIONS);
    let coding = select(vec!["chunked", "Chunked", "CHUNKED", ", chunked", "chunked\t,"]);
    (coding, vec(chunk, 0..6), EXTENSIONS, vec("X[A-Za-z!#$-]{0,8}:[\t -~]{0,12}", 0..3), any::<bool>())
        .prop_map(|(coding, chunks, last, trailers, upper)| Body::Chunked { coding, chunks, last, trailers, upper })
}

pub(super) fn any_target() -> impl Strategy<Value = Target> {
    let c = prop_oneof![
        6 => proptest::char::range('a', 'z'),
        3 => proptest::char::range('!', '~'),
        2 => Just('/'),
        2 => any::<char>().prop_filter("no path holds NUL", |c| *c != '\0'),
    ];
    let absolute = (select(vec!["http://", "HTTP://", "hTTp://"]), any_authority());
    let query = "[!\"$-~]{0,20}";
    (option::weighted(0.2, absolute), vec((c, any::<bool>()), 0..12), any::<bool>(), option::of(query))
        .prop_map(|(absolute, path, bare, query)| Target { absolute, asterisk: false, path, bare, query })
}

pub(super) fn any_authority() -> impl Strategy<Value = String> {
    let host = prop_oneof![
        "[a-zA-Z0-9._~-]{1,12}",
        "[!$&'()*+;=a-z]{1,6}(%[0-9a-fA-F]{2}){0,2}",
        any::<[u8; 4]>().prop_map(|[a, b, c, d]| format!("{a}.{b}.{c}.{d}")),
        any::<[u16; 8]>().prop_map(|groups| format!("[{}]", std::net::Ipv6Addr::from(groups))),
        vec(prop_oneof![Just(0_u16), any::<u16>()], 8).prop_map(|groups| {
            let groups: [u16; 8] = groups.try_into().expect("there are eight");
            format!("[{}]", std::net::Ipv6Addr::from(groups))
        }),
    ];
    let port = prop_oneof![2 => one_of(&["", ":"]), 1 => any::<u16>().prop_map(|port| format!(":{port}"))];
    (host, port).prop_map(|(host, port)| host + &port)
}

/// One of these texts.
pub(super) fn one_of(texts: &[&'static str]) -> impl Strategy<Value = String> + Clone + use<> {
    select(texts.to_vec()).prop_map(str::to_owned)
}

/// The name of a field that concerns only the application.
pub(super) fn any_name() -> impl Strategy<Value = String> + Clone {
    prop_oneof!["X-[A-Za-z0-9!#$%&'*+.^_`|~-]{0,12}", one_of(&["Accept", "cookie", "Content-Type", "Upgrade", "TE"])]
}

/// A field value without white space around it.
pub(super) fn any_value() -> impl Strategy<Value = Vec<u8>> + Clone {
    let byte = prop_oneof![8 => b' '..=b'~', 1 => 0x80..=0xff_u8, 1 => Just(b'\t')];
    vec(byte, 0..25).prop_map(|mut value| {
        while let [b' ' | b'\t', ..] = value[..] {
            value.remove(0);
        }
        while let [.., b' ' | b'\t'] = value[..] {
            value.pop();
        }
        value
    })
}
