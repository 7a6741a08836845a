//! Listening sockets: made by hand, because the backlog and the options are ours to set.

use std::fs;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use mio::net::{TcpListener, UnixListener};
use mio::{Interest, Registry, Token};
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};

use super::error::{Error, Result};
use super::socket::Socket;
use crate::config::Config;
use crate::exchange::Endpoint;

/// Where connections come from: a [`Listener`], or a script in a test.
pub(super) trait Accept {
    /// Takes the next one; `WouldBlock` if none waits.
    fn accept(&self) -> io::Result<(Socket, Endpoint)>;
}

/// A socket that listens.
#[derive(Debug)]
pub(super) enum Listener {
    Tcp(TcpListener),
    /// With the path that is removed at the end, if we made it.
    Unix(UnixListener, Option<PathBuf>),
}

impl Listener {
    /// Listens on the first of the addresses that can be bound.
    pub(super) fn tcp(addresses: impl ToSocketAddrs, backlog: i32) -> Result<Self> {
        let resolved =
            addresses.to_socket_addrs().map_err(|source| Error::Bind { address: "the address".into(), source });
        let mut failed = None;
        for address in resolved? {
            match bind_tcp(address, backlog) {
                Ok(listener) => return Ok(Self::Tcp(listener)),
                Err(source) => failed = Some(Error::Bind { address: address.to_string(), source }),
            }
        }
        Err(failed.unwrap_or_else(|| Error::Bind {
            address: "the address".into(),
            source: io::Error::other("it resolves to nothing"),
        }))
    }

    /// Listens on a unix socket. A socket file that nobody listens on any more is replaced.
    pub(super) fn unix(path: &Path, backlog: i32) -> Result<Self> {
        let failed = |source| Error::Bind { address: path.display().to_string(), source };
        remove_stale(path).map_err(failed)?;
        let listener = UnixListener::bind(path).map_err(failed)?;
        net::listen(&listener, backlog).map_err(|errno| failed(errno.into()))?;
        Ok(Self::Unix(listener, Some(path.to_owned())))
    }

    /// Takes a TCP socket that listens already: from a supervisor, or with options of its own.
    pub(super) fn passed(listener: std::net::TcpListener) -> Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self::Tcp(TcpListener::from_std(listener)))
    }

    pub(super) fn local(&self) -> Endpoint {
        match self {
            Self::Tcp(listener) => listener.local_addr().map_or(Endpoint::Unix, Endpoint::from),
            Self::Unix(..) => Endpoint::Unix,
        }
    }

    /// Takes over the settings that came after `bind`. `TCP_NODELAY` is inherited by what is accepted, which saves a
    /// system call per connection.
    pub(super) fn configure(&self, config: &Config) -> io::Result<()> {
        match self {
            Self::Tcp(listener) => {
                sockopt::set_tcp_nodelay(listener, config.nodelay)?;
                relisten(listener, config)
            }
            Self::Unix(listener, _) => relisten(listener, config),
        }
    }

    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match self {
            Self::Tcp(listener) => registry.register(listener, token, Interest::READABLE),
            Self::Unix(listener, _) => registry.register(listener, token, Interest::READABLE),
        }
    }
}

impl Accept for Listener {
    fn accept(&self) -> io::Result<(Socket, Endpoint)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept()?;
                Ok((Socket::Tcp(stream), address.into()))
            }
            Self::Unix(listener, _) => {
                let (stream, _) = listener.accept()?;
                Ok((Socket::Unix(stream), Endpoint::Unix))
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Unix(_, Some(path)) = self {
            // Whoever removed it before did our work.
            let _ = fs::remove_file(path);
        }
    }
}

fn relisten(listener: impl AsFd, config: &Config) -> io::Result<()> {
    Ok(net::listen(listener, config.backlog.max(1))?)
}

fn bind_tcp(address: SocketAddr, backlog: i32) -> io::Result<TcpListener> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = tcp_socket(family)?;
    // A server that is restarted must not wait for the connections of its predecessor to fade.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        // `[::]` serves IPv4 too, whatever the system's default is.
        sockopt::set_ipv6_v6only(&socket, false)?;
    }
    net::bind(&socket, &address)?;
    net::listen(&socket, backlog)?;
    let listener = std::net::TcpListener::from(socket);
    listener.set_nonblocking(true)?;
    Ok(TcpListener::from_std(listener))
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn tcp_socket(family: AddressFamily) -> io::Result<OwnedFd> {
    Ok(net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn tcp_socket(family: AddressFamily) -> io::Result<OwnedFd> {
    let socket = net::socket_with(family, SocketType::STREAM, SocketFlags::empty(), None)?;
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    Ok(socket)
}

/// Removes a socket file that a dead server left: one that refuses connections.
fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(_) => return Ok(()),
        Ok(metadata) if metadata.file_type().is_socket() => {}
        Ok(_) => return Err(io::Error::new(io::ErrorKind::AlreadyExists, "it exists and is no socket")),
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        _ => Err(io::ErrorKind::AddrInUse.into()),
    }
}
