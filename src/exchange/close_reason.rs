use std::fmt;

/// Why a connection ended: for logs, metrics and tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// The client closed its side between two requests.
    ClientClosed,
    /// The client closed its side in the middle of a request.
    ClientClosedEarly,
    /// The client sent `Connection: close`, or spoke HTTP/1.0 without keep-alive.
    NotPersistent,
    /// A handler asked for it by `Connection: close`.
    HandlerClosed,
    /// The application did not read the content, and it was too long to be discarded.
    ContentUnread,
    /// The request broke a rule of HTTP, or a limit.
    BadRequest,
    /// The handler panicked.
    Panicked,
    /// No byte was received or sent for the idle timeout.
    IdleTimeout,
    /// The request head did not end in time.
    HeadTimeout,
    /// The content of a request came too slowly.
    ContentTimeout,
    /// The client took its replies too slowly.
    SendTimeout,
    /// The application did not give a reply that it had deferred, or did not go on with content that it had paused.
    ReplyTimeout,
    /// The server was short of memory, and the connection asked for more, or held some for a client that neither sent
    /// nor took anything.
    OutOfMemory,
    /// A source, a sender or a sink failed after the reply had begun.
    StreamFailed,
    /// A file that was being sent has fewer bytes than were announced.
    FileShrank,
    /// The protocol that had taken over the connection has ended.
    ProtocolEnded,
    /// The protocol that had taken over the connection has failed.
    ProtocolFailed,
    /// The client reset the connection or hung up in the middle of it, or the socket reported another error.
    SocketError,
    /// The server is draining.
    Drained,
    /// The drain had a deadline, or a second signal came, and the connection was cut.
    Cut,
    /// The `on_connection` hook refused it.
    Refused,
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ClientClosed => "the client closed an idle connection",
            Self::ClientClosedEarly => "the client closed in the middle of a request",
            Self::NotPersistent => "the client did not ask for another request",
            Self::HandlerClosed => "the handler asked to close",
            Self::ContentUnread => "the request had more content than is worth discarding",
            Self::BadRequest => "the request was malformed or over a limit",
            Self::Panicked => "the handler panicked",
            Self::IdleTimeout => "no byte was received or sent for too long",
            Self::HeadTimeout => "the request head took too long",
            Self::ContentTimeout => "the content came too slowly",
            Self::SendTimeout => "the client took its replies too slowly",
            Self::ReplyTimeout => "the application took too long with a reply",
            Self::OutOfMemory => "the server ran short of memory",
            Self::StreamFailed => "the application failed in the middle of a reply",
            Self::FileShrank => "a file has shrunk while it was sent",
            Self::ProtocolEnded => "the upgraded protocol has ended",
            Self::ProtocolFailed => "the upgraded protocol failed",
            Self::SocketError => "the client reset it, or the socket failed",
            Self::Drained => "the server is draining",
            Self::Cut => "the server was cut off",
            Self::Refused => "the connection was refused",
        })
    }
}
