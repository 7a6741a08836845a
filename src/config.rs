//! The settings of a server. Each default is a constant of [`limits`](crate::limits), with its reason.

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
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Longest request target in bytes; above it 414. Default 8 KiB.
    pub max_target: usize,
    /// Longest request head in bytes; above it 431. Default 16 KiB.
    pub max_head: usize,
    /// Largest content that is buffered for a handler, in bytes; above it 413. Default 1 MiB; on 32 bits 512 MiB at most.
    pub max_content: u64,
    /// Largest content that a handler may write to memory, in bytes; above it its writer fails. Default 8 MiB.
    pub max_response_buffer: usize,

    /// Longest silence of a socket while nothing is owed to the client (then see `send_timeout`). Default 30 s. Between requests the connection is closed silently,
    /// within a request with a 408. A proxy in front must keep its idle connections for a shorter time than this, or
    /// it will now and then send a request into a connection that is just being closed.
    pub idle_timeout: Duration,
    /// Longest silence between two requests; `None` (the default) means as `idle_timeout`.
    pub keep_alive_timeout: Option<Duration>,
    /// From the first byte of a request head to its end, however it drips. Default 10 s, then 408.
    pub head_timeout: Duration,
    /// How long content may be behind `min_content_rate`, from the end of its head on: then 408. What a client sends
    /// faster it may save up for a pause, up to `idle_timeout`. Default 10 s.
    pub content_timeout: Duration,
    /// Bytes per second of content that a client has to send in the long run. Default 500; 0 means any, so that only
    /// `idle_timeout` holds.
    pub min_content_rate: u32,
    /// How long a client may be behind `min_send_rate` while bytes are owed to it that the kernel does not take: then
    /// the connection is closed. It is also the most that a client which takes more can save up. Default 60 s.
    ///
    /// Progress is seen in steps: a kernel says that it has room when it has much of it (64 KiB on the loopback, a
    /// sixteenth of its buffer elsewhere). So leave it long: it is the rate only for who takes a step in this time.
    pub send_timeout: Duration,
    /// Bytes per second of its replies that a client has to take in the long run. Default 500; 0 means any, so that only
    /// `idle_timeout` holds.
    pub min_send_rate: u32,
    /// How long the application may take for a reply that it has deferred: then the client gets a 503. So long may
    /// content be paused, too. Default 60 s.
    pub reply_timeout: Duration,
    /// How long input is still read and thrown away after an error reply. Default 2 s.
    pub linger_timeout: Duration,
    /// How long a drain may take before what is left is cut. Default 10 s.
    pub drain_timeout: Duration,
    /// How long the server goes on as before after the drain was asked for, so that a load balancer can take it out
    /// first. Default zero. Counted before `drain_timeout`.
    pub drain_delay: Duration,

    /// Most connections at a time; further ones wait in the kernel's backlog. `None` (the default): as many as there
    /// are descriptors.
    pub max_connections: Option<usize>,
    /// Queue of `listen(2)`. Default 4096; the kernel caps it at `net.core.somaxconn`.
    pub backlog: i32,
    /// Sets `TCP_NODELAY`, so that a small reply never waits for an acknowledgement. Default on.
    pub nodelay: bool,
    /// Value of the `Server` field of each reply; `None` sends none. Default `monoloop`.
    pub server_name: Option<String>,
    /// Drains on SIGTERM and SIGINT, and cuts at the second one. Default on; without the feature `signals` it does
    /// nothing.
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
            drain_delay: Duration::ZERO,
            max_connections: None,
            backlog: limits::BACKLOG,
            nodelay: true,
            server_name: Some("monoloop".to_owned()),
            signals: true,
            raise_descriptor_limit: true,
        }
    }
}
