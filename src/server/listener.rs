//! Listening sockets. Those of TCP are made with plain system calls, since the server sets their options before it
//! binds them.

use std::fs::{self, Metadata};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mio::net::{TcpListener, UnixListener};
use mio::{Interest, Registry, Token};
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};

use super::error::{Error, Result};
use super::socket::Socket;
use crate::config::Config;
use crate::exchange::Endpoint;

/// A source of connections: a [`Listener`], or a script in a test.
pub(super) trait Accept {
    /// Takes the next connection; `WouldBlock` if none waits.
    fn accept(&self) -> io::Result<(Socket, Endpoint)>;
}

/// A socket that listens.
#[derive(Debug)]
pub(super) enum Listener {
    Tcp(TcpListener),
    /// A unix socket with its file. Dropping the last listener removes the file before it closes the socket: after that
    /// the path could already belong to a new server.
    Unix(Arc<SocketFile>, UnixListener),
}

/// The file of a unix socket. Dropping this removes the file, unless another server has put its own in that place.
///
/// A path does not say whose file is there, so the device and the inode are compared. The socket that is bound to the
/// file holds its inode, so the kernel gives this number to no other file before the socket is closed.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    /// `None` if the file was removed as soon as it was made.
    bound: Option<FileId>,
}

/// What tells a file from all others of a running system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

impl Listener {
    /// Listens on the first of the addresses that can be bound. `others` already listen for the same server.
    pub(super) fn tcp(addresses: impl ToSocketAddrs, backlog: i32, others: &[Self]) -> Result<Self> {
        first_that_binds(addresses, |address| {
            let address = Address::beside(address, others);
            Ok(Self::Tcp(listen(address.bind()?, backlog)?))
        })
    }

    /// As [`tcp`](Self::tcp), once for each of `count` workers. `others` already listen for one of them.
    pub(super) fn tcp_for_each(
        addresses: impl ToSocketAddrs,
        backlog: i32,
        count: usize,
        others: &[Self],
    ) -> Result<Vec<Self>> {
        first_that_binds(addresses, |address| listen_tcp_for_each(Address::beside(address, others), backlog, count))
    }

    /// Listens on a unix socket. Replaces a socket file on which no server listens any more.
    pub(super) fn unix(path: &Path, backlog: i32) -> Result<Self> {
        let failed = |source| Error::Bind { address: path.display().to_string(), source };
        remove_stale(path).map_err(failed)?;
        // This listens already, with a backlog of mio's. The server's own comes below.
        let listener = UnixListener::bind(path).map_err(failed)?;
        let file = SocketFile { path: path.to_owned(), bound: FileId::at(path) };
        net::listen(&listener, backlog).map_err(|errno| failed(errno.into()))?;
        Ok(Self::Unix(Arc::new(file), listener))
    }

    /// Takes a TCP socket that already listens: from a supervisor, or with options that the caller has set.
    pub(super) fn passed(listener: std::net::TcpListener) -> Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self::Tcp(TcpListener::from_std(listener)))
    }

    /// Copies the descriptor for each of `count` workers: they accept from the same queue.
    ///
    /// A copy that is closed before the others stays in its poll, since epoll(7) watches the socket and not the
    /// descriptor. Its events still come and are ignored, since no listener has their token any more.
    pub(super) fn share(self, count: usize) -> io::Result<Vec<Self>> {
        let mut shared = Vec::with_capacity(count);
        for _ in 1..count {
            shared.push(match &self {
                Self::Tcp(listener) => Self::Tcp(TcpListener::from_std(listener.as_fd().try_clone_to_owned()?.into())),
                Self::Unix(file, listener) => {
                    let copy = UnixListener::from_std(listener.as_fd().try_clone_to_owned()?.into());
                    Self::Unix(Arc::clone(file), copy)
                }
            });
        }
        shared.push(self);
        Ok(shared)
    }

    pub(super) fn local(&self) -> Endpoint {
        match self {
            Self::Tcp(listener) => listener.local_addr().map_or(Endpoint::Unix, Endpoint::from),
            Self::Unix(..) => Endpoint::Unix,
        }
    }

    /// Applies the settings that were made after `bind`. Accepted sockets inherit `TCP_NODELAY`, which saves a system
    /// call per connection.
    pub(super) fn configure(&self, config: &Config) -> io::Result<()> {
        match self {
            Self::Tcp(listener) => {
                sockopt::set_tcp_nodelay(listener, config.nodelay)?;
                relisten(listener, config)
            }
            Self::Unix(_, listener) => relisten(listener, config),
        }
    }

    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match self {
            Self::Tcp(listener) => registry.register(listener, token, Interest::READABLE),
            Self::Unix(_, listener) => registry.register(listener, token, Interest::READABLE),
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
            Self::Unix(_, listener) => {
                let (stream, _) = listener.accept()?;
                Ok((Socket::Unix(stream), Endpoint::Unix))
            }
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.bound.is_some() && FileId::at(&self.path) == self.bound {
            // If the file is already gone, there is nothing to do.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl FileId {
    fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }

    /// The file at this path, if there is one. A symbolic link is a file of its own.
    fn at(path: &Path) -> Option<Self> {
        fs::symlink_metadata(path).ok().map(|metadata| Self::of(&metadata))
    }
}

fn first_that_binds<T>(addresses: impl ToSocketAddrs, bind: impl Fn(SocketAddr) -> io::Result<T>) -> Result<T> {
    let resolved = addresses.to_socket_addrs().map_err(|source| Error::Bind { address: "the address".into(), source });
    let mut failed = None;
    for address in resolved? {
        match bind(address) {
            Ok(bound) => return Ok(bound),
            Err(source) => failed = Some(Error::Bind { address: address.to_string(), source }),
        }
    }
    Err(failed.unwrap_or_else(|| Error::Bind {
        address: "the address".into(),
        source: io::Error::other("it resolves to nothing"),
    }))
}

fn relisten(listener: impl AsFd, config: &Config) -> io::Result<()> {
    Ok(net::listen(listener, config.backlog.max(1))?)
}

/// Makes one socket for each worker, all on the same address. The kernel then distributes the connections among them by
/// a hash of their addresses (`SO_REUSEPORT` in socket(7)).
///
/// Two servers that set the option would share the port, and each would get connections that are meant for the other.
/// So the address is first bound without the option, which fails if another server listens there. Port 0 becomes an
/// actual port in the same step. (The check cannot tell apart two servers that start at the same moment: neither of
/// them listens yet.)
#[cfg(any(target_os = "linux", target_os = "android"))]
fn listen_tcp_for_each(address: Address, backlog: i32, count: usize) -> io::Result<Vec<Listener>> {
    let alone = address.bind()?;
    if count == 1 {
        return Ok(vec![Listener::Tcp(listen(alone, backlog)?)]);
    }
    let address = Address { socket: net::getsockname(&alone)?.try_into()?, ..address };
    let mut sockets = Vec::with_capacity(count);
    for _ in 0..count {
        let socket = address.unbound()?;
        sockopt::set_socket_reuseport(&socket, true)?;
        net::bind(&socket, &address.socket)?;
        sockets.push(socket);
    }
    // This socket has reserved the port until now. It has never listened, so no connection can be lost with it.
    drop(alone);
    sockets.into_iter().map(|socket| Ok(Listener::Tcp(listen(socket, backlog)?))).collect()
}

/// Makes one socket for all workers. On other systems `SO_REUSEPORT` lets sockets share a port, but the kernel does not
/// distribute the connections.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn listen_tcp_for_each(address: Address, backlog: i32, count: usize) -> io::Result<Vec<Listener>> {
    Listener::Tcp(listen(address.bind()?, backlog)?).share(count)
}

/// A TCP address, and whether an IPv6 socket on it leaves IPv4 to others.
#[derive(Clone, Copy, Debug)]
struct Address {
    socket: SocketAddr,
    only_ipv6: bool,
}

impl Address {
    /// `[::]` serves IPv4 too, whatever the system's default is. But if one of the `others` listens on an IPv4 address
    /// of this port, `[::]` would take that address as well, and the kernel denies it. Then it serves IPv6 only (RFC
    /// 3493 §5.3).
    fn beside(socket: SocketAddr, others: &[Listener]) -> Self {
        let is_ipv4_of_this_port = |other: &Listener| match other.local() {
            Endpoint::Tcp(other) => other.ip().to_canonical().is_ipv4() && other.port() == socket.port(),
            Endpoint::Unix => false,
        };
        let is_any_ipv6 = socket.is_ipv6() && socket.ip().is_unspecified();
        Self { socket, only_ipv6: is_any_ipv6 && others.iter().any(is_ipv4_of_this_port) }
    }

    /// Makes a socket that does not share its address and does not listen yet.
    fn bind(&self) -> io::Result<OwnedFd> {
        let socket = self.unbound()?;
        net::bind(&socket, &self.socket)?;
        Ok(socket)
    }

    fn unbound(&self) -> io::Result<OwnedFd> {
        let family = if self.socket.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let socket = tcp_socket(family)?;
        // A restarted server must not wait until the old connections have left TIME_WAIT (socket(7), `SO_REUSEADDR`).
        sockopt::set_socket_reuseaddr(&socket, true)?;
        if self.socket.is_ipv6() {
            sockopt::set_ipv6_v6only(&socket, self.only_ipv6)?;
        }
        Ok(socket)
    }
}

fn listen(socket: OwnedFd, backlog: i32) -> io::Result<TcpListener> {
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
    let found = match fs::symlink_metadata(path) {
        Err(_) => return Ok(()),
        Ok(metadata) if metadata.file_type().is_socket() => metadata,
        Ok(_) => return Err(io::Error::new(io::ErrorKind::AlreadyExists, "it exists and is not a socket")),
    };
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => remove_if_same(path, &found),
        _ => Err(io::ErrorKind::AddrInUse.into()),
    }
}

/// Removes the file at `path` if it is still the one that was `found` there. If not, another server has started at the
/// same moment.
///
/// No socket holds the inode of a dead server's file, so a new file may have the same number. Its time tells them
/// apart.
fn remove_if_same(path: &Path, found: &Metadata) -> io::Result<()> {
    let identity = |metadata: &Metadata| (FileId::of(metadata), metadata.ctime(), metadata.ctime_nsec());
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(metadata) if identity(&metadata) == identity(found) => fs::remove_file(path),
        _ => Err(io::ErrorKind::AddrInUse.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    /// A path in the temporary directory. Its file is removed at the end.
    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            Self(std::env::temp_dir().join(format!("monoloop-listener-{name}-{}.sock", std::process::id())))
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    /// Two servers found the same dead file. One has replaced it before the other removes it.
    #[test]
    fn a_stale_file_that_was_replaced_meanwhile_is_left() {
        let place = Place::new("replaced");
        drop(UnixListener::bind(&place.0).expect("a fresh path can be bound"));
        let found = fs::symlink_metadata(&place.0).expect("it is there");
        fs::remove_file(&place.0).expect("it is ours");
        // The time of a file may advance in steps of some milliseconds.
        let _other = loop {
            let other = UnixListener::bind(&place.0).expect("the path is free");
            let made = fs::symlink_metadata(&place.0).expect("it is there");
            if (made.ctime(), made.ctime_nsec()) != (found.ctime(), found.ctime_nsec()) {
                break other;
            }
            fs::remove_file(&place.0).expect("it is ours");
        };
        let error = remove_if_same(&place.0, &found).expect_err("it belongs to another server");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(place.0.exists());
    }

    #[test]
    fn a_stale_file_that_is_gone_meanwhile_is_no_error() {
        let place = Place::new("gone");
        drop(UnixListener::bind(&place.0).expect("a fresh path can be bound"));
        let found = fs::symlink_metadata(&place.0).expect("it is there");
        fs::remove_file(&place.0).expect("it is ours");
        remove_if_same(&place.0, &found).expect("there is nothing to remove");
    }
}
