//! What the document shows of a run: calls, bytes and lines of the log, without what differs from run to run.

use std::collections::HashMap;

use crate::calls::Entry;

/// A call or a line of the log, as lines of the document.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    /// The name of the call, or `state` or `signal`.
    pub(crate) name: String,
    pub(crate) lines: Vec<String>,
}

/// Characters that are shown of a longer line.
const MAX_SHOWN: usize = 60;

/// Makes rows of what has happened, without some calls of the start. With `full`, the first message of each side is
/// shown line by line; all others are shown on one line.
pub(crate) fn rows(entries: &[Entry], full: bool) -> Vec<Row> {
    let mut names = Names { shown: [!full; 2], ..Names::default() };
    entries.iter().filter_map(|entry| names.row(entry)).collect()
}

/// The names of the descriptors: they say more than numbers, which can differ from run to run.
#[derive(Default)]
struct Names {
    of: HashMap<String, String>,
    pairs: usize,
    sockets: usize,
    /// Whether a message was shown line by line, of those that came and of those that went.
    shown: [bool; 2],
}

impl Names {
    fn row(&mut self, entry: &Entry) -> Option<Row> {
        let single = |name: &str, line: String| Some(Row { name: name.to_owned(), lines: vec![line] });
        match entry {
            // The clock stands still, so they say nothing that the poll does not.
            Entry::State(line) if line.starts_with("tick: ") => None,
            Entry::State(line) => single("state", format!("state  {}", without_port(line))),
            Entry::Signal(name) => single("signal", format!("signal {name}")),
            Entry::Call { name, args, .. } if name == "close" && !self.of.contains_key(args) => None,
            // signal-hook looks whether it may write.
            Entry::Call { name, args, .. } if name == "sendto" && args.contains("\"\", 0, ") => None,
            Entry::Call { name, args, result, aside } => {
                let carries_bytes = ["recvfrom", "sendto", "writev"].contains(&&**name);
                let (args, bytes) = if carries_bytes { take_strings(args) } else { (args.clone(), Vec::new()) };
                let args = self.named_args(name, &args);
                let result = self.named_result(name, result);
                let label = if *aside { "thread" } else { "call  " };
                let mut lines = vec![format!("{label} {name}({args}) = {result}")];
                let direction = if name == "recvfrom" { "in " } else { "out" };
                let shown = &mut self.shown[usize::from(name == "recvfrom")];
                for text in &bytes {
                    // The byte of a signal is no message.
                    let is_first = !*shown && text.contains("HTTP");
                    *shown |= is_first;
                    let message = if is_first { lines_of(text) } else { messages_of(text) };
                    lines.extend(message.iter().map(|line| format!("{direction}      {}", shortened(line))));
                }
                Some(Row { name: name.clone(), lines })
            }
        }
    }

    fn named_args(&mut self, name: &str, args: &str) -> String {
        let (first, rest) = args.split_once(", ").unwrap_or((args, ""));
        let takes_descriptor = !["socket", "socketpair", "epoll_create1", "eventfd2"].contains(&name);
        let first = if takes_descriptor { self.name(first) } else { first.to_owned() };
        let rest = match name {
            "epoll_ctl" => {
                let (operation, rest) = rest.split_once(", ").expect("epoll_ctl has an operation");
                let (descriptor, event) = rest.split_once(", ").expect("epoll_ctl has an event");
                format!("{operation}, {}, {}", self.name(descriptor), events(event))
            }
            "epoll_wait" => events(rest),
            "socketpair" => {
                let (before, pair) = rest.rsplit_once('[').expect("socketpair makes a pair");
                let (reader, writer) = pair.trim_end_matches(']').split_once(", ").expect("a pair has two ends");
                let signal = ["sigterm", "sigint"][self.pairs];
                self.pairs += 1;
                self.of.insert(reader.to_owned(), signal.to_owned());
                self.of.insert(writer.to_owned(), format!("{signal}'s other end"));
                format!("{before}[{signal}, {signal}'s other end]")
            }
            _ => rest.to_owned(),
        };
        let args = if rest.is_empty() { first } else { format!("{first}, {rest}") };
        without_pointers(&without_address(&args))
    }

    fn named_result(&mut self, name: &str, result: &str) -> String {
        let made = match name {
            _ if result.starts_with('-') => return result.to_owned(),
            "socket" => "listener".to_owned(),
            "epoll_create1" => "poll".to_owned(),
            "eventfd2" => "waker".to_owned(),
            "accept4" => {
                self.sockets += 1;
                if self.sockets == 1 { "socket".to_owned() } else { format!("socket {}", self.sockets) }
            }
            _ => return result.to_owned(),
        };
        self.of.insert(result.to_owned(), made.clone());
        made
    }

    fn name(&self, descriptor: &str) -> String {
        self.of.get(descriptor).cloned().unwrap_or_else(|| descriptor.to_owned())
    }
}

/// `{events=EPOLLIN, data={u32=0, u64=0}}` is `{EPOLLIN, token 0}`, and the largest tokens have names.
fn events(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some((before, event)) = rest.split_once("{events=") {
        let (flags, data) = event.split_once(", data={u32=").expect("strace writes it so");
        let (_, token) = data.split_once("u64=").expect("strace writes it so");
        let (token, after) = token.split_once("}}").expect("strace writes it so");
        let token = match u64::MAX - token.parse::<u64>().expect("a token is a number") {
            0 => "WAKER",
            1 => "SIGNALS",
            2 => "SIGNALS - 1",
            16 => "LISTENERS",
            _ => token,
        };
        shown += &format!("{before}{{{flags}, token {token}}}");
        rest = after;
    }
    shown + rest
}

/// Takes the strings out of the arguments, and leaves a mark in the place of each.
fn take_strings(args: &str) -> (String, Vec<String>) {
    let mut strings = Vec::new();
    let mut left = String::new();
    let mut rest = args;
    while let Some((before, text)) = rest.split_once('"') {
        let mut escaped = false;
        let end = text.find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        let (text, after) = text.split_at(end.expect("strace closes its strings"));
        left += before;
        left += "…";
        if !text.is_empty() {
            strings.push(text.to_owned());
        }
        rest = after[1..].trim_start_matches("...");
    }
    (left + rest, strings)
}

/// The lines of a message, as strace writes them.
fn lines_of(bytes: &str) -> Vec<String> {
    bytes.replace("\\\"", "\"").split_inclusive("\\n").map(str::to_owned).collect()
}

/// The messages in what was read or written, each on one line.
fn messages_of(bytes: &str) -> Vec<String> {
    let marked = ["HTTP/1.1 200", "GET /"]
        .iter()
        .fold(bytes.to_owned(), |text, start| text.replace(start, &format!("{MARK}{start}")));
    marked.split(MARK).filter(|message| !message.is_empty()).map(on_one_line).collect()
}

/// Comes in no message.
const MARK: char = '\u{1}';

/// A message without the fields that every reply has.
fn on_one_line(message: &str) -> String {
    let mut shown = String::new();
    for line in lines_of(message) {
        let is_known = ["Server: ", "Date: ", "Content-Type: "].iter().any(|name| line.starts_with(name));
        match is_known {
            true if shown.ends_with('…') => {}
            true => shown.push('…'),
            false => shown += &line,
        }
    }
    shown
}

fn shortened(line: &str) -> String {
    match line.char_indices().nth(2 * MAX_SHOWN) {
        Some(_) => line.chars().take(MAX_SHOWN).collect::<String>() + "…",
        None => line.to_owned(),
    }
}

/// A row with `N` in the place of each large number, of more than three digits: a kernel or a moment has chosen it.
pub(crate) fn without_numbers(row: &Row) -> Row {
    let lines = row.lines.iter().map(|line| {
        let mut shown = String::new();
        let mut rest = line.as_str();
        while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
            let end = rest[at..].find(|c: char| !c.is_ascii_digit()).map_or(rest.len(), |end| at + end);
            shown += &rest[..at];
            shown += if end - at > 3 { "N" } else { &rest[at..end] };
            rest = &rest[end..];
        }
        shown + rest
    });
    Row { name: row.name.clone(), lines: lines.collect() }
}

/// `{sa_family=AF_INET, sin_port=htons(4711), sin_addr=inet_addr("127.0.0.1")}` is `{127.0.0.1:PORT}`.
fn without_address(args: &str) -> String {
    match args.split_once("{sa_family=AF_INET, ") {
        Some((before, rest)) => {
            let (_, after) = rest.split_once('}').expect("an address ends");
            format!("{before}{{127.0.0.1:PORT}}{after}")
        }
        None => args.to_owned(),
    }
}

fn without_port(line: &str) -> String {
    match line.split_once("127.0.0.1:") {
        Some((before, rest)) => {
            format!("{before}127.0.0.1:PORT{}", rest.trim_start_matches(|c: char| c.is_ascii_digit()))
        }
        None => line.to_owned(),
    }
}

/// An address in memory differs from run to run, and says nothing.
fn without_pointers(args: &str) -> String {
    args.split(", ").map(|arg| if arg.starts_with("0x") { "…" } else { arg }).collect::<Vec<_>>().join(", ")
}
