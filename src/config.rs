//! The settings of a server. Most defaults are constants of [`limits`](crate::limits), which gives their reasons.

use std::time::Duration;

use crate::limits;

/// Makes [`Config`], its defaults and its setters, so that each setting is described once. A row has the description,
/// the name, the parameter of the setter, the type of the field and its default. A setter calls `into` on its
/// parameter, unless the row ends with another expression.
macro_rules! settings {
    ($(#[$of_struct:meta])* pub struct Config {$(
        $(#[$doc:meta])*
        $name:ident $(<$life:lifetime>)? ($param:ident: $arg:ty): $field:ty = $default:expr $(, $convert:expr)?;
    )*}) => {
        $(#[$of_struct])*
        pub struct Config {
            $($(#[$doc])* pub $name: $field,)*
        }

        impl Default for Config {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }

        /// The setters: `Config::new()` with those that you need. Each has the name of its field.
        impl Config {
            /// The defaults.
            pub fn new() -> Self {
                Self::default()
            }

            $(
                $(#[$doc])*
                #[must_use]
                pub fn $name $(<$life>)? (mut self, $param: $arg) -> Self {
                    self.$name = settings!(@value $param $(, $convert)?);
                    self
                }
            )*
        }
    };
    (@value $param:ident) => { $param.into() };
    (@value $param:ident, $convert:expr) => { $convert };
}

settings! {
    /// Limits, timeouts and switches of a [`Server`](crate::Server). Sizes are in bytes.
    ///
    /// ```
    /// use monoloop::Config;
    /// use std::time::Duration;
    ///
    /// let config = Config::new().idle_timeout(Duration::from_secs(5)).max_content(10 << 20).max_connections(1000);
    /// assert_eq!(config.max_content, 10_485_760);
    /// ```
    ///
    /// Each setting is a field and a method of the same name. A setting that can be `None` takes its value with or
    /// without `Some`:
    ///
    /// ```
    /// # use monoloop::Config;
    /// let mut config = Config::new().server_name("shop").max_memory(64 << 20);
    /// assert_eq!(config.server_name.as_deref(), Some("shop"));
    /// config.max_memory = None;
    /// assert_eq!(Config::new().server_name(None).server_name, None);
    /// ```
    #[doc(alias("settings", "options", "timeout", "limit"))]
    #[derive(Clone, Debug)]
    #[non_exhaustive]
    pub struct Config {
        /// The longest request target in bytes; a longer one gets a 414. Default 8 KiB.
        max_target(bytes: usize): usize = limits::MAX_TARGET;
        /// The longest request head in bytes; a longer one gets a 431. Default 16 KiB.
        max_head(bytes: usize): usize = limits::MAX_HEAD;
        /// The largest content that is buffered for a handler, in bytes; larger content gets a 413. Default 1 MiB. On
        /// 32-bit systems it cannot exceed 512 MiB.
        max_content(bytes: u64): u64 = limits::MAX_CONTENT;
        /// The largest content that a handler may write to memory, in bytes; beyond it, the writer fails. Default 8
        /// MiB.
        max_response_buffer(bytes: usize): usize = limits::MAX_RESPONSE_BUFFER;

        /// The longest silence of a socket while no bytes are owed to the client (otherwise see `send_timeout`).
        /// Default 30 s. Between requests the server then closes the connection silently; within a request it sends a
        /// 408 first. A proxy in front must close its idle connections earlier than that. Otherwise it sometimes sends
        /// a request on a connection that the server is just closing.
        idle_timeout(time: Duration): Duration = limits::IDLE_TIMEOUT;
        /// The longest silence between two requests. With `None` (the default) it is `idle_timeout`.
        keep_alive_timeout(time: impl Into<Option<Duration>>): Option<Duration> = None;
        /// The longest time from the first byte of a request head to its end, however slowly its bytes come; then 408.
        /// Default 10 s.
        head_timeout(time: Duration): Duration = limits::HEAD_TIMEOUT;
        /// How long a client may fall short of `min_content_rate`, counted from the end of the request head; then 408.
        /// A client that sends faster saves up time for a pause, up to `idle_timeout`. Default 10 s.
        content_timeout(time: Duration): Duration = limits::CONTENT_TIMEOUT;
        /// The minimum rate at which a client must send content, in bytes per second on average. Default 500. With 0
        /// there is no minimum rate, and only `idle_timeout` applies.
        min_content_rate(bytes_per_second: u32): u32 = limits::MIN_CONTENT_RATE;
        /// How long a client may fall short of `min_send_rate` while the kernel does not take the bytes that are owed
        /// to it; then the connection is closed. A client that takes bytes faster saves up at most this time. Default
        /// 60 s.
        ///
        /// The server sees progress only in steps: a kernel reports room when it has much of it (64 KiB on the
        /// loopback, a sixteenth of its buffer elsewhere). So keep this timeout long: the minimum rate is fair only to
        /// clients that take at least one step in this time.
        send_timeout(time: Duration): Duration = limits::SEND_TIMEOUT;
        /// The minimum rate at which a client must take its replies, in bytes per second on average. Default 500. With
        /// 0 there is no minimum rate, and only `idle_timeout` applies.
        min_send_rate(bytes_per_second: u32): u32 = limits::MIN_SEND_RATE;
        /// How long the application may take for a reply that it has deferred; then the client gets a 503. Content may
        /// be paused for the same time. Default 60 s.
        reply_timeout(time: Duration): Duration = limits::REPLY_TIMEOUT;
        /// How long the server still reads and discards input after an error reply. Default 2 s.
        linger_timeout(time: Duration): Duration = limits::LINGER_TIMEOUT;
        /// How long a drain may take before the server cuts the remaining connections. Default 10 s.
        drain_timeout(time: Duration): Duration = limits::DRAIN_TIMEOUT;
        /// How long a connection that has nothing to answer stays open in a drain, so that its client can ask once
        /// more. A proxy often has a request on its way, on a connection that it keeps or has just opened, when the
        /// server is told to stop. After the reply, or after this time, the connection is closed. This time is a part
        /// of `drain_timeout`. Default 500 ms.
        drain_grace(time: Duration): Duration = limits::DRAIN_GRACE;
        /// How long the server goes on as before after a drain was requested, so that a load balancer can remove it
        /// first. This time comes before `drain_timeout`. Default zero.
        drain_delay(time: Duration): Duration = Duration::ZERO;

        /// The most memory in bytes that all connections hold together: request content that is buffered, replies that
        /// have not left, channels, and what an observer keeps of requests until their replies have left. Shared and
        /// static content of replies, and files, are not counted, nor is the memory of the application and of the
        /// kernel.
        ///
        /// Beyond it, the server refuses a client that needs more: content and large replies get a 503 with
        /// `Retry-After`, and a connection that grows nevertheless ends. One eighth is for those that hold at most 64
        /// KiB, so small requests go on being answered. While memory is short, a connection ends whose client lets it
        /// hold some and neither sends nor takes anything for two seconds.
        ///
        /// With `None` (the default) it is a quarter of the memory that the process may use: of the machine, of its
        /// control group, or of `RLIMIT_AS`, whichever is least. [Workers](crate::server::Workers) share it equally. A
        /// [`TestClient`](crate::TestClient) has no such limit unless it is set.
        max_memory(bytes: impl Into<Option<usize>>): Option<usize> = None;

        /// The most connections at a time; further ones wait in the kernel's backlog. With `None` (the default) only
        /// the number of descriptors limits them.
        max_connections(count: impl Into<Option<usize>>): Option<usize> = None;
        /// The length of the queue of `listen(2)`. Default 4096; the kernel caps it at `net.core.somaxconn`.
        backlog(connections: i32): i32 = limits::BACKLOG;
        /// Sets `TCP_NODELAY`, so that a small reply never waits for an acknowledgement. Default on.
        nodelay(on: bool): bool = true;
        /// The value of the `Server` field in each reply; with `None` the field is not sent. Default `monoloop`.
        server_name<'n>(name: impl Into<Option<&'n str>>): Option<String> = Some("monoloop".to_owned()),
            name.into().map(str::to_owned);
        /// Makes SIGTERM and SIGINT start a drain, and a second such signal end it at once. Default on. Without the
        /// feature `signals` this has no effect.
        signals(on: bool): bool = true;
        /// Raises the soft limit of open descriptors to the hard one when the server starts. Default on.
        raise_descriptor_limit(on: bool): bool = true;
    }
}
