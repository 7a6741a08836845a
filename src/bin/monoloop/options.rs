//! The table of all options. The command line, the environment variables and the help all follow it.

#[cfg(feature = "live")]
use std::net::SocketAddr;

use monoloop::Config;
use monoloop::files::Symlinks;
use monoloop::limits::CACHED_FILES;
use monoloop::server::LogFormat;

#[cfg(feature = "live")]
use crate::record::RecordSettings;
#[cfg(feature = "live")]
use crate::replay::ReplaySettings;
use crate::values;

/// The values of all options.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    /// There is at least one.
    pub(crate) hosts: Vec<String>,
    pub(crate) port: u16,
    pub(crate) unix: Vec<String>,
    /// `None` means one per core.
    pub(crate) workers: Option<usize>,
    /// The path of the health check.
    pub(crate) health: Option<String>,
    pub(crate) log: String,
    pub(crate) access_log: Option<LogFormat>,
    /// The address of the live page.
    #[cfg(feature = "live")]
    pub(crate) live: Option<SocketAddr>,
    pub(crate) config: Config,
    pub(crate) files: FileSettings,
    #[cfg(feature = "live")]
    pub(crate) record: RecordSettings,
    #[cfg(feature = "live")]
    pub(crate) replay: ReplaySettings,
    /// The options that were set and that change what the application answers, for a recording. Each ends with a NUL,
    /// which no argument and no variable can have.
    pub(crate) of_application: String,
}

impl Settings {
    /// Notes an option that was set, if it changes what the application answers.
    pub(crate) fn note_for_application(&mut self, group: &Group, opt: &Opt, value: &str) {
        if group.only == Some("serve") || opt.name == "health" {
            self.of_application.push_str(&format!("--{}={value}\0", opt.name));
        }
    }
}

/// The values of the options of `serve`.
#[derive(Clone, Debug, Default)]
pub(crate) struct FileSettings {
    pub(crate) index: Vec<String>,
    pub(crate) listing: bool,
    pub(crate) single_page: bool,
    pub(crate) hidden: bool,
    pub(crate) symlinks: Symlinks,
    pub(crate) precompressed: bool,
    /// Pattern and value.
    pub(crate) cache_control: Vec<(String, String)>,
    pub(crate) headers: Vec<(String, String)>,
    /// Extension and type.
    pub(crate) media_types: Vec<(String, String)>,
    /// `None` means no CORS; an empty list means every origin.
    pub(crate) cors: Option<Vec<String>>,
    pub(crate) cached: usize,
}

/// Options that the help shows together.
pub(crate) struct Group {
    pub(crate) title: &'static str,
    /// The only command that takes these options; `None` means that all commands do.
    pub(crate) only: Option<&'static str>,
    pub(crate) options: &'static [Opt],
}

/// An option, and the environment variable that sets it too.
pub(crate) struct Opt {
    pub(crate) name: &'static str,
    /// The name for the value in the help.
    pub(crate) value: &'static str,
    pub(crate) env: &'static str,
    /// The value if the option is not set. In parentheses it is a description and not a value.
    pub(crate) default: &'static str,
    pub(crate) kind: Kind,
    pub(crate) help: &'static str,
    pub(crate) set: fn(&mut Settings, &str) -> Result<(), &'static str>,
}

/// Whether an option may be repeated, what an empty variable means, and whether the option needs a value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The last value is used. An empty variable counts as not set, as in Node.
    One,
    /// As `One`, but an empty variable counts as a value.
    OneOrEmpty,
    /// Every value is used. In the variable, commas separate the values.
    Many,
    /// As `Many`, but line breaks separate the values in the variable, because a value may contain commas.
    Lines,
    /// Without a value the option means `on`. A value follows after `=`.
    Switch,
}

use Kind::{Lines, Many, One, OneOrEmpty, Switch};

impl Opt {
    /// The option with the name for its value, as the help shows it.
    pub(crate) fn usage(&self) -> String {
        match self.kind {
            Switch => format!("--{}[={}]", self.name, self.value),
            _ => format!("--{} {}", self.name, self.value),
        }
    }
}

#[rustfmt::skip] // Each option has one line for its names, one for its help and one for its setter.
pub(crate) const GROUPS: &[Group] = &[
    Group { title: "Addresses", only: None, options: &[
        Opt { name: "host", value: "HOST", env: "MONOLOOP_HOST", default: "127.0.0.1", kind: Many,
            help: "Name or address to listen on; may be repeated",
            set: |to, text| { to.hosts.push(values::host(text)?.to_owned()); Ok(()) } },
        Opt { name: "port", value: "PORT", env: "PORT", default: "3000", kind: One,
            help: "Port of all hosts; 0 takes a free port and prints it",
            set: |to, text| { to.port = values::port(text)?; Ok(()) } },
        Opt { name: "unix", value: "PATH", env: "MONOLOOP_UNIX", default: "(none)", kind: Many,
            help: "Unix socket to listen on as well; may be repeated",
            set: |to, text| { to.unix.push(values::path(text)?.to_owned()); Ok(()) } },
        Opt { name: "backlog", value: "COUNT", env: "MONOLOOP_BACKLOG", default: "4096", kind: One,
            help: "Most connections that the kernel queues; the kernel also has its own limit",
            set: |to, text| { to.config.backlog = values::backlog(text)?; Ok(()) } },
    ] },
    Group { title: "Files", only: Some("serve"), options: &[
        Opt { name: "index", value: "NAME", env: "MONOLOOP_INDEX", default: "index.html", kind: Many,
            help: "File to send for a directory; may be repeated, the first that exists is used",
            set: |to, text| { to.files.index.push(values::file_name(text)?.to_owned()); Ok(()) } },
        Opt { name: "listing", value: "on|off", env: "MONOLOOP_LISTING", default: "off", kind: Switch,
            help: "Lists a directory that has no index, in HTML or JSON",
            set: |to, text| { to.files.listing = values::switch(text)?; Ok(()) } },
        Opt { name: "spa", value: "on|off", env: "MONOLOOP_SPA", default: "off", kind: Switch,
            help: "Sends the index for a page that does not exist, for a single-page application",
            set: |to, text| { to.files.single_page = values::switch(text)?; Ok(()) } },
        Opt { name: "hidden", value: "on|off", env: "MONOLOOP_HIDDEN", default: "off", kind: Switch,
            help: "Serves names that begin with a dot, not only /.well-known",
            set: |to, text| { to.files.hidden = values::switch(text)?; Ok(()) } },
        Opt { name: "symlinks", value: "WHICH", env: "MONOLOOP_SYMLINKS", default: "inside", kind: One,
            help: "Symbolic links to follow: never (none), inside (the directory) or follow (all)",
            set: |to, text| { to.files.symlinks = values::symlinks(text)?; Ok(()) } },
        Opt { name: "precompressed", value: "on|off", env: "MONOLOOP_PRECOMPRESSED", default: "on", kind: Switch,
            help: "Sends NAME.br, NAME.zst or NAME.gz for NAME to clients that accept that coding",
            set: |to, text| { to.files.precompressed = values::switch(text)?; Ok(()) } },
        Opt { name: "cache-control", value: "RULE", env: "MONOLOOP_CACHE_CONTROL", default: "(none)", kind: Lines,
            help: "Sets VALUE, or PATTERN=VALUE as in '*.css=max-age=3600'; the first match counts",
            set: |to, text| { to.files.cache_control.push(values::cache_rule(text)?); Ok(()) } },
        Opt { name: "header", value: "LINE", env: "MONOLOOP_HEADER", default: "(none)", kind: Lines,
            help: "Field line to add to every reply ('X-Frame-Options: DENY'); may be repeated",
            set: |to, text| { to.files.headers.push(values::header(text)?); Ok(()) } },
        Opt { name: "mime", value: "EXT=TYPE", env: "MONOLOOP_MIME", default: "(none)", kind: Many,
            help: "Media type of an extension ('md=text/plain; charset=utf-8'); may be repeated",
            set: |to, text| { to.files.media_types.push(values::media_type(text)?); Ok(()) } },
        Opt { name: "cors", value: "ORIGINS", env: "MONOLOOP_CORS", default: "off", kind: Switch,
            help: "Lets pages of other origins read replies: on (all), or a comma-separated list",
            set: |to, text| { to.files.cors = values::origins(text)?; Ok(()) } },
        Opt { name: "cached-files", value: "COUNT", env: "MONOLOOP_CACHED_FILES", default: "512", kind: One,
            help: "Most files to keep open, or in memory if they are small; 0: none",
            set: |to, text| { to.files.cached = values::number(text)?; Ok(()) } },
    ] },
    #[cfg(feature = "live")]
    Group { title: "Live page", only: Some("demo"), options: &[
        Opt { name: "live", value: "ADDRESS", env: "MONOLOOP_LIVE", default: "off", kind: Switch,
            help: "Serves a page that shows the event loop at work, by default on 127.0.0.1:3001",
            set: |to, text| { to.live = values::live(text)?; Ok(()) } },
    ] },
    Group { title: "Event loops", only: None, options: &[
        Opt { name: "workers", value: "COUNT", env: "MONOLOOP_WORKERS", default: "1", kind: One,
            help: "Event loops, each with its own thread and its own state; auto: one per core",
            set: |to, text| { to.workers = values::workers(text)?; Ok(()) } },
    ] },
    Group { title: "Timeouts (500ms, 30s, 2m, 1h; a plain number is seconds)", only: None, options: &[
        Opt { name: "idle-timeout", value: "TIME", env: "MONOLOOP_IDLE_TIMEOUT", default: "30s", kind: One,
            help: "Longest time in which no byte comes or goes",
            set: |to, text| { to.config.idle_timeout = values::timeout(text)?; Ok(()) } },
        Opt { name: "keep-alive-timeout", value: "TIME", env: "MONOLOOP_KEEP_ALIVE_TIMEOUT",
            default: "(as --idle-timeout)", kind: One,
            help: "Longest wait for the next request of a connection",
            set: |to, text| { to.config.keep_alive_timeout = Some(values::timeout(text)?); Ok(()) } },
        Opt { name: "head-timeout", value: "TIME", env: "MONOLOOP_HEAD_TIMEOUT", default: "10s", kind: One,
            help: "Longest time from the first byte of a request head to its last",
            set: |to, text| { to.config.head_timeout = values::timeout(text)?; Ok(()) } },
        Opt { name: "content-timeout", value: "TIME", env: "MONOLOOP_CONTENT_TIMEOUT", default: "10s", kind: One,
            help: "How long request content may come more slowly than its minimum rate",
            set: |to, text| { to.config.content_timeout = values::timeout(text)?; Ok(()) } },
        Opt { name: "send-timeout", value: "TIME", env: "MONOLOOP_SEND_TIMEOUT", default: "60s", kind: One,
            help: "How long a client may read its replies more slowly than the minimum rate",
            set: |to, text| { to.config.send_timeout = values::timeout(text)?; Ok(()) } },
        Opt { name: "reply-timeout", value: "TIME", env: "MONOLOOP_REPLY_TIMEOUT", default: "60s", kind: One,
            help: "How long the application may take for a deferred reply; after that 503",
            set: |to, text| { to.config.reply_timeout = values::timeout(text)?; Ok(()) } },
        Opt { name: "linger-timeout", value: "TIME", env: "MONOLOOP_LINGER_TIMEOUT", default: "2s", kind: One,
            help: "How long the server discards input after an error reply",
            set: |to, text| { to.config.linger_timeout = values::duration(text)?; Ok(()) } },
        Opt { name: "drain-timeout", value: "TIME", env: "MONOLOOP_DRAIN_TIMEOUT", default: "10s", kind: One,
            help: "How long requests may take after SIGTERM before the server cuts them",
            set: |to, text| { to.config.drain_timeout = values::duration(text)?; Ok(()) } },
        Opt { name: "drain-grace", value: "TIME", env: "MONOLOOP_DRAIN_GRACE", default: "500ms", kind: One,
            help: "How long idle connections may ask once more after SIGTERM",
            set: |to, text| { to.config.drain_grace = values::duration(text)?; Ok(()) } },
        Opt { name: "drain-delay", value: "TIME", env: "MONOLOOP_DRAIN_DELAY", default: "0s", kind: One,
            help: "How long the server still serves as before after SIGTERM",
            set: |to, text| { to.config.drain_delay = values::duration(text)?; Ok(()) } },
    ] },
    Group { title: "Limits (bytes: 16384, 16k, 1m)", only: None, options: &[
        Opt { name: "max-head", value: "SIZE", env: "MONOLOOP_MAX_HEAD", default: "16k", kind: One,
            help: "Longest request head; a longer one gets 431",
            set: |to, text| { to.config.max_head = values::capacity(text)?; Ok(()) } },
        Opt { name: "max-target", value: "SIZE", env: "MONOLOOP_MAX_TARGET", default: "8k", kind: One,
            help: "Longest request target; a longer one gets 414",
            set: |to, text| { to.config.max_target = values::capacity(text)?; Ok(()) } },
        Opt { name: "max-content", value: "SIZE", env: "MONOLOOP_MAX_CONTENT", default: "1m", kind: One,
            help: "Largest content of a request; a larger one gets 413",
            set: |to, text| { to.config.max_content = values::bytes(text)?; Ok(()) } },
        Opt { name: "min-content-rate", value: "RATE", env: "MONOLOOP_MIN_CONTENT_RATE", default: "500", kind: One,
            help: "Bytes per second of content that a client must send; 0: no minimum",
            set: |to, text| { to.config.min_content_rate = values::rate(text)?; Ok(()) } },
        Opt { name: "min-send-rate", value: "RATE", env: "MONOLOOP_MIN_SEND_RATE", default: "500", kind: One,
            help: "Bytes per second of its replies that a client must read; 0: no minimum",
            set: |to, text| { to.config.min_send_rate = values::rate(text)?; Ok(()) } },
        Opt { name: "max-response-buffer", value: "SIZE", env: "MONOLOOP_MAX_RESPONSE_BUFFER", default: "8m",
            kind: One,
            help: "Largest content that a handler may write to memory",
            set: |to, text| { to.config.max_response_buffer = values::capacity(text)?; Ok(()) } },
        Opt { name: "max-memory", value: "SIZE", env: "MONOLOOP_MAX_MEMORY", default: "(a quarter of the memory)",
            kind: One,
            help: "Most memory that all connections hold together; beyond it 503",
            set: |to, text| { to.config.max_memory = Some(values::capacity(text)?); Ok(()) } },
        Opt { name: "max-connections", value: "COUNT", env: "MONOLOOP_MAX_CONNECTIONS",
            default: "(as many as there are descriptors)", kind: One,
            help: "Most connections of each worker at a time; more connections wait in the backlog",
            set: |to, text| { to.config.max_connections = Some(values::count(text)?); Ok(()) } },
    ] },
    Group { title: "Server name, health check and logs", only: None, options: &[
        Opt { name: "server-name", value: "TEXT", env: "MONOLOOP_SERVER_NAME", default: "monoloop", kind: OneOrEmpty,
            help: "Value of the Server field in replies; empty: no such field",
            set: |to, text| { to.config.server_name = values::server_name(text)?.map(str::to_owned); Ok(()) } },
        Opt { name: "health", value: "PATH", env: "MONOLOOP_HEALTH", default: "(none)", kind: One,
            help: "Path that answers 200, and 503 as soon as the server is asked to stop",
            set: |to, text| { to.health = Some(values::route(text)?.to_owned()); Ok(()) } },
        Opt { name: "log", value: "FILTER", env: "RUST_LOG", default: "warn", kind: One,
            help: "Log level (off, error, warn, info, debug, trace) or filter (monoloop=debug,warn)",
            set: |to, text| { to.log = values::log_filter(text)?.to_owned(); Ok(()) } },
        Opt { name: "access-log", value: "FORMAT", env: "MONOLOOP_ACCESS_LOG", default: "(none)", kind: One,
            help: "Writes a line for each reply to standard output: common, combined or json",
            set: |to, text| { to.access_log = values::log_format(text)?; Ok(()) } },
    ] },
    #[cfg(feature = "live")]
    Group { title: "Recording", only: None, options: &[
        Opt { name: "record", value: "FILE", env: "MONOLOOP_RECORD", default: "(none)", kind: One,
            help: "Writes down all that the event loop does, to be replayed; empties FILE first",
            set: |to, text| { to.record.file = Some(values::path(text)?.to_owned()); Ok(()) } },
        Opt { name: "record-peer", value: "ADDRESS", env: "MONOLOOP_RECORD_PEER", default: "(all)", kind: One,
            help: "Records only the connections from an address, an address with a port, or unix",
            set: |to, text| { to.record.peer = Some(values::peer(text)?); Ok(()) } },
        Opt { name: "record-max", value: "SIZE", env: "MONOLOOP_RECORD_MAX", default: "16m", kind: One,
            help: "Largest recording; when it is full, it ends and the server goes on",
            set: |to, text| { to.record.max = values::bytes(text)?; Ok(()) } },
        Opt { name: "record-secrets", value: "on|off", env: "MONOLOOP_RECORD_SECRETS", default: "off", kind: Switch,
            help: "Records cookies and credentials as they are, and not as asterisks",
            set: |to, text| { to.record.secrets = values::switch(text)?; Ok(()) } },
    ] },
    #[cfg(feature = "live")]
    Group { title: "Replay", only: Some("replay"), options: &[
        Opt { name: "step", value: "on|off", env: "MONOLOOP_STEP", default: "off", kind: Switch,
            help: "Waits for Enter after each step of a connection",
            set: |to, text| { to.replay.step = values::switch(text)?; Ok(()) } },
        Opt { name: "to", value: "NUMBER", env: "MONOLOOP_TO", default: "(the last step)", kind: One,
            help: "Stops after the step of this number",
            set: |to, text| { to.replay.to = Some(values::count(text)?); Ok(()) } },
        Opt { name: "json", value: "on|off", env: "MONOLOOP_JSON", default: "off", kind: Switch,
            help: "Writes each step as a JSON object in one line",
            set: |to, text| { to.replay.json = values::switch(text)?; Ok(()) } },
        Opt { name: "quiet", value: "on|off", env: "MONOLOOP_QUIET", default: "off", kind: Switch,
            help: "Shows no step, only whether all happened as it was recorded",
            set: |to, text| { to.replay.quiet = values::switch(text)?; Ok(()) } },
        Opt { name: "dir", value: "DIR", env: "MONOLOOP_DIR", default: "(the one that was recorded)", kind: One,
            help: "Directory whose files are served in a replay of serve",
            set: |to, text| { to.replay.dir = Some(values::path(text)?.to_owned()); Ok(()) } },
    ] },
];

const _: () = assert!(CACHED_FILES == 512, "correct the default");

pub(crate) fn all() -> impl Iterator<Item = &'static Opt> {
    GROUPS.iter().flat_map(|group| group.options)
}
