use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// One end of a connection.
///
/// ```
/// use monoloop::Endpoint;
/// use std::net::SocketAddr;
///
/// let mapped: SocketAddr = "[::ffff:192.0.2.1]:80".parse().unwrap();
/// assert_eq!(Endpoint::from(mapped).to_string(), "192.0.2.1:80");
/// assert_eq!(Endpoint::Unix.ip(), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// An IP address and a port; an IPv4-mapped IPv6 address is shown as IPv4.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix,
}

impl Endpoint {
    /// The IP address. A unix socket has none.
    pub const fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(address) => Some(address.ip()),
            Self::Unix => None,
        }
    }

    /// The port. A unix socket has none.
    pub const fn port(&self) -> Option<u16> {
        match self {
            Self::Tcp(address) => Some(address.port()),
            Self::Unix => None,
        }
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(mut address: SocketAddr) -> Self {
        if let SocketAddr::V6(v6) = address
            && let Some(v4) = v6.ip().to_ipv4_mapped()
        {
            address = SocketAddr::from((v4, v6.port()));
        }
        Self::Tcp(address)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix => f.write_str("unix"),
        }
    }
}

/// Both ends of a connection. The transport knows them, and the protocol core only passes them on.
pub(crate) trait Endpoints {
    /// The client's end.
    fn peer(&self) -> Endpoint;

    /// The server's end. Each call asks the kernel.
    fn local(&self) -> Endpoint;
}
