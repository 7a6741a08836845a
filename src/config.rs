//! The settings of a server. Most defaults are constants of [`limits`](crate::limits), which gives their reasons.

use std::time::Duration;

use crate::limits;

/// Limits, timeouts and switches of a [`Server`](crate::Server).
///
/// ```
/// use monoloop::Config;
/// use std::time::Duration;
///
/// let mut config = Config::default();
/// config.idle_timeout = Duration::from_secs(5);
/// config.max_content = 10 << 20;
/// ```
#[doc(alias("settings", "options", "timeout", "limit"))]
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The longest request target in bytes; a longer one gets a 414. Default 8 KiB.
    pub max_target: usize,
    /// The longest request head in bytes; a longer one gets a 431. Default 16 KiB.
    pub max_head: usize,
    /// The largest content that is buffered for a handler, in bytes; larger content gets a 413. Default 1 MiB. On
    /// 32-bit systems it cannot exceed 512 MiB.
    pub max_content: u64,
    /// The largest content that a handler may write to memory, in bytes; beyond it, the writer fails. Default 8 MiB.
    pub max_response_buffer: usize,

    /// The longest silence of a socket while no bytes are owed to the client (otherwise see `send_timeout`). Default 30
    /// s. Between requests the server then closes the connection silently; within a request it sends a 408 first. A
    /// proxy in front must close its idle connections earlier than that. Otherwise it sometimes sends a request on a
    /// connection that the server is just closing.
    pub idle_timeout: Duration,
    /// The longest silence between two requests. With `None` (the default) it is `idle_timeout`.
    pub keep_alive_timeout: Option<Duration>,
    /// The longest time from the first byte of a request head to its end, however slowly its bytes come; then 408.
    /// Default 10 s.
    pub head_timeout: Duration,
    /// How long a client may fall short of `min_content_rate`, counted from the end of the request head; then 408. A
    /// client that sends faster saves up time for a pause, up to `idle_timeout`. Default 10 s.
    pub content_timeout: Duration,
    /// The minimum rate at which a client must send content, in bytes per second on average. Default 500. With 0 there
    /// is no minimum rate, and only `idle_timeout` applies.
    pub min_content_rate: u32,
    /// How long a client may fall short of `min_send_rate` while the kernel does not take the bytes that are owed to
    /// it; then the connection is closed. A client that takes bytes faster saves up at most this time. Default 60 s.
    ///
    /// The server sees progress only in steps: a kernel reports room when it has much of it (64 KiB on the loopback, a
    /// sixteenth of its buffer elsewhere). So keep this timeout long: the minimum rate is fair only to clients that
    /// take at least one step in this time.
    pub send_timeout: Duration,
    /// The minimum rate at which a client must take its replies, in bytes per second on average. Default 500. With 0
    /// there is no minimum rate, and only `idle_timeout` applies.
    pub min_send_rate: u32,
    /// How long the application may take for a reply that it has deferred; then the client gets a 503. Content may be
    /// paused for the same time. Default 60 s.
    pub reply_timeout: Duration,
    /// How long the server still reads and discards input after an error reply. Default 2 s.
    pub linger_timeout: Duration,
    /// How long a drain may take before the server cuts the remaining connections. Default 10 s.
    pub drain_timeout: Duration,
    /// How long a connection that has nothing to answer stays open in a drain, so that its client can ask once more. A
    /// proxy often has a request on its way, on a connection that it keeps or has just opened, when the server is told
    /// to stop. After the reply, or after this time, the connection is closed. This time is a part of `drain_timeout`.
    /// Default 500 ms.
    pub drain_grace: Duration,
    /// How long the server goes on as before after a drain was requested, so that a load balancer can remove it first.
    /// This time comes before `drain_timeout`. Default zero.
    pub drain_delay: Duration,

    /// The most memory in bytes that all connections hold together: request content that is buffered, replies that have
    /// not left, channels, and what an observer keeps of requests until their replies have left. Shared and static
    /// content of replies, and files, are not counted, nor is the memory of the application and of the kernel.
    ///
    /// Beyond it, the server refuses a client that needs more: content and large replies get a 503 with `Retry-After`,
    /// and a connection that grows nevertheless ends. One eighth is for those that hold at most 64 KiB, so small
    /// requests go on being answered. While memory is short, a connection ends whose client lets it hold some and
    /// neither sends nor takes anything for two seconds.
    ///
    /// With `None` (the default) it is a quarter of the memory that the process may use: of the machine, of its control
    /// group, or of `RLIMIT_AS`, whichever is least. [Workers](crate::server::Workers) share it equally. A
    /// [`TestClient`](crate::TestClient) has no such limit unless it is set.
    pub max_memory: Option<usize>,

    /// The most connections at a time; further ones wait in the kernel's backlog. With `None` (the default) only the
    /// number of descriptors limits them.
    pub max_connections: Option<usize>,
    /// The length of the queue of `listen(2)`. Default 4096; the kernel caps it at `net.core.somaxconn`.
    pub backlog: i32,
    /// Sets `TCP_NODELAY`, so that a small reply never waits for an acknowledgement. Default on.
    pub nodelay: bool,
    /// The value of the `Server` field in each reply; with `None` the field is not sent. Default `monoloop`.
    pub server_name: Option<String>,
    /// Makes SIGTERM and SIGINT start a drain, and a second such signal end it at once. Default on. Without the feature
    /// `signals` this has no effect.
    pub signals: bool,
    /// Raises the soft limit of open descriptors to the hard one when the server starts. Default on.
    pub raise_descriptor_limit: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_target: limits::MAX_TARGET,
            max_head: limits::MAX_HEAD,
            max_content: limits::MAX_CONTENT,
            max_response_buffer: limits::MAX_RESPONSE_BUFFER,
            idle_timeout: limits::IDLE_TIMEOUT,
            keep_alive_timeout: None,
            head_timeout: limits::HEAD_TIMEOUT,
            content_timeout: limits::CONTENT_TIMEOUT,
            min_content_rate: limits::MIN_CONTENT_RATE,
            send_timeout: limits::SEND_TIMEOUT,
            min_send_rate: limits::MIN_SEND_RATE,
            reply_timeout: limits::REPLY_TIMEOUT,
            linger_timeout: limits::LINGER_TIMEOUT,
            drain_timeout: limits::DRAIN_TIMEOUT,
            drain_grace: limits::DRAIN_GRACE,
            drain_delay: Duration::ZERO,
            max_memory: None,
            max_connections: None,
            backlog: limits::BACKLOG,
            nodelay: true,
            server_name: Some("monoloop".to_owned()),
            signals: true,
            raise_descriptor_limit: true,
        }
    }
}
