//! Kinds of sockets: TCP, unix, IPv6, passed listeners, several addresses.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::mpsc::channel;
use std::thread;

use monoloop::server::CloseReason;
use monoloop::{Endpoint, Server, Workers};

use crate::support::{Client, Event, LIMIT, SocketPath, TestServer, assert_same, get, pattern};
use crate::{basics, post, start};

/// One connection, many requests: one after the other, in pieces, and many at once.
fn keeps_alive_and_pipelines(client: &mut Client) {
    for name in ["one", "two", "three"] {
        let reply = client.ask(&format!("/hello/{name}"));
        assert_eq!((reply.status, reply.text()), (200, &*format!("hello {name}")));
        assert_eq!(reply.header("connection"), None);
    }
    let content = pattern(300_000);
    client.send(post("/echo", &content));
    assert_same(&client.reply().content, &content, "content in many segments");

    let many: String = (0..500).map(|i| get(&format!("/hello/{i}"))).collect();
    let mut writer = client.share();
    let writing = thread::spawn(move || writer.send(many));
    for i in 0..500 {
        assert_eq!(client.reply().text(), format!("hello {i}"));
    }
    writing.join().expect("the server takes everything");

    let mixed = [post("/echo", b"first"), get("/hello/second").into(), post("/echo", &content[..1000])].concat();
    client.send(mixed);
    assert_eq!(client.reply().text(), "first");
    assert_eq!(client.reply().text(), "hello second");
    assert_same(&client.reply().content, &content[..1000], "the third");
}

#[test]
fn tcp_connections_are_kept_alive_and_pipelined() {
    let server = start();
    let (mut client, id) = server.connect_known();
    keeps_alive_and_pipelines(&mut client);
    drop(client);
    assert_eq!(server.log.wait_closed(id), CloseReason::ClientClosed);
}

#[test]
fn unix_connections_are_kept_alive_and_pipelined() {
    let path = SocketPath::new();
    let bound = path.path().to_owned();
    let server = TestServer::start_on(move || Server::bind_unix(bound), |app, _| basics(app));
    let mut client = Client::unix(path.path());
    keeps_alive_and_pipelines(&mut client);
    assert_eq!(client.ask("/peer").text(), "unix");
    assert_eq!(client.ask("/local").text(), "unix");
    assert!(path.path().exists());
    drop(client);
    drop(server);
    assert!(!path.path().exists(), "the socket file is removed at the end");
}

#[test]
fn a_socket_file_that_nobody_listens_on_is_replaced_and_a_used_one_is_not() {
    let path = SocketPath::new();
    drop(std::os::unix::net::UnixListener::bind(path.path()).expect("a fresh path can be bound"));
    let bound = path.path().to_owned();
    let _server = TestServer::start_on(move || Server::bind_unix(bound), |app, _| basics(app));
    let error = Server::bind_unix(path.path()).expect_err("someone listens there");
    assert!(error.to_string().ends_with("is already in use"), "{error}");
    assert_eq!(Client::unix(path.path()).ask("/hello/you").text(), "hello you");
}

/// A new server has put its own socket in the place of ours, as `mv new.sock server.sock` does.
#[test]
fn the_socket_file_of_another_server_is_left_at_the_end() {
    let path = SocketPath::new();
    let bound = path.path().to_owned();
    let server = TestServer::start_on(move || Server::bind_unix(bound), |app, _| basics(app));
    assert_eq!(Client::unix(path.path()).ask("/hello/old").text(), "hello old");

    let other = SocketPath::new();
    let bound = other.path().to_owned();
    let new = TestServer::start_on(move || Server::bind_unix(bound), |app, _| basics(app));
    std::fs::rename(other.path(), path.path()).expect("both are in the temporary directory");
    drop(server);
    assert!(path.path().exists(), "the old server left the file");
    assert_eq!(Client::unix(path.path()).ask("/hello/new").text(), "hello new");
    drop(new);
    assert!(path.path().exists(), "the new server left the file too: its own is at another path");
}

/// The file was removed, and another server has bound the path since then.
#[test]
fn a_socket_file_that_was_made_anew_is_left_at_the_end() {
    let path = SocketPath::new();
    for workers in [false, true] {
        let old = path.path().to_owned();
        let stop: Box<dyn FnOnce()> = if workers {
            let workers = Workers::bind_unix(old, 2).expect("the path is free");
            Box::new(move || drop(workers))
        } else {
            let server = Server::bind_unix(old).expect("the path is free");
            Box::new(move || drop(server))
        };
        std::fs::remove_file(path.path()).expect("it is there");
        let new = Server::bind_unix(path.path()).expect("the path is free again");
        stop();
        assert!(path.path().exists(), "with workers: {workers}");
        drop(new);
        assert!(!path.path().exists(), "its own server removes it; with workers: {workers}");
    }
}

#[test]
fn ipv6_serves_ipv4_too_and_shows_it_as_such() {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        return eprintln!("skipped: this machine has no IPv6");
    }
    let server = TestServer::start_on(|| Server::bind("[::]:0"), |app, _| basics(app));
    let port = server.address().port();
    for ip in [Ipv4Addr::LOCALHOST.into(), std::net::IpAddr::from(Ipv6Addr::LOCALHOST)] {
        let mut client = Client::tcp(SocketAddr::new(ip, port));
        assert_eq!(client.ask("/peer").text(), client.local().to_string());
        assert_eq!(client.ask("/local").text(), SocketAddr::new(ip, port).to_string());
        server.log.wait_for("it is opened", |event| match event {
            Event::Opened(_, peer) if *peer == Endpoint::Tcp(client.local()) => Some(()),
            _ => None,
        });
    }
}

/// `[::]` leaves IPv4 to the listener that has the port there, and only then.
#[test]
fn ipv6_leaves_ipv4_to_a_listener_that_has_the_same_port() {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        return eprintln!("skipped: this machine has no IPv6");
    }
    let (tell, told) = channel();
    let bind = move || {
        let first = Server::bind("127.0.0.1:0")?;
        let Endpoint::Tcp(address) = first.local_addr() else { unreachable!("it is TCP") };
        let server = first.also_bind((Ipv6Addr::UNSPECIFIED, address.port()))?.also_bind("[::]:0")?;
        tell.send(server.local_addrs().collect::<Vec<_>>()).expect("the test waits for it");
        Ok(server)
    };
    let _server = TestServer::start_on(bind, |app, _| basics(app));
    let ports: Vec<u16> = told.recv_timeout(LIMIT).expect("it is bound").iter().map(port_of).collect();
    assert_eq!(ports[0], ports[1]);
    for address in [
        SocketAddr::from((Ipv4Addr::LOCALHOST, ports[0])),
        SocketAddr::from((Ipv6Addr::LOCALHOST, ports[1])),
        SocketAddr::from((Ipv6Addr::LOCALHOST, ports[2])),
        SocketAddr::from((Ipv4Addr::LOCALHOST, ports[2])),
    ] {
        assert_eq!(Client::tcp(address).ask("/local").text(), address.to_string());
    }
    // Another address of IPv4 has nobody who listens at the first port.
    std::net::TcpStream::connect((Ipv4Addr::new(127, 0, 0, 2), ports[0])).expect_err("only IPv6 was left");
}

fn port_of(endpoint: &Endpoint) -> u16 {
    match endpoint {
        Endpoint::Tcp(address) => address.port(),
        Endpoint::Unix => unreachable!("it is TCP"),
    }
}

#[test]
fn a_passed_listener_is_served() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let server = TestServer::start_on(move || Server::from_listener(listener), |app, _| basics(app));
    assert_eq!(server.address(), address);
    assert_eq!(server.connect().ask("/local").text(), address.to_string());
}

#[test]
fn several_addresses_are_served_and_announced() {
    let path = SocketPath::new();
    let bound = path.path().to_owned();
    let (tell, told) = channel();
    let bind = move || {
        let server = Server::bind("127.0.0.1:0")?.also_bind("127.0.0.1:0")?.also_bind_unix(bound)?;
        tell.send((server.local_addr(), server.local_addrs().collect::<Vec<_>>())).expect("the test waits for it");
        Ok(server)
    };
    let server = TestServer::start_on(bind, |app, _| basics(app));
    let (first, all) = told.recv_timeout(LIMIT).expect("it is bound");
    assert_eq!((first, all.len(), all[2]), (all[0], 3, Endpoint::Unix));
    assert_ne!(all[0], all[1]);
    let announced: Vec<_> = server.log.events().into_iter().take(3).collect();
    assert_eq!(announced, all.iter().map(|local| Event::Listening(*local)).collect::<Vec<_>>());
    for local in all {
        let mut client = match local {
            Endpoint::Tcp(address) => Client::tcp(address),
            Endpoint::Unix => Client::unix(path.path()),
        };
        assert_eq!(client.ask("/local").text(), local.to_string());
    }
}

#[test]
fn an_address_in_use_is_named_in_the_error() {
    let server = start();
    let error = Server::bind(server.address()).expect_err("the port is taken");
    assert_eq!(error.to_string(), format!("{} is already in use", server.address()));
}

/// `monoloop::serve` tells nobody its port, so it gets an address in 127/8 of its own. It stops at SIGTERM.
#[cfg(all(target_os = "linux", feature = "signals"))]
#[test]
fn the_three_line_server_serves_until_sigterm() {
    use rustix::process::{Signal, getpid, kill_process};

    let [.., a, b] = std::process::id().to_be_bytes();
    let ip = Ipv4Addr::new(127, 77, a, b);
    let (end, ended) = channel();
    let thread = thread::spawn(move || {
        let result = monoloop::serve((ip, 0), |_req, res| res.text("Hello, World!"));
        end.send(result.map_err(|error| error.to_string())).expect("the test waits for it");
    });
    let listening = || crate::support::proc_net_tcp().into_iter().find(|entry| entry.listens && entry.local.ip() == ip);
    let limit = std::time::Instant::now() + LIMIT;
    let address = loop {
        match listening() {
            Some(entry) => break entry.local,
            None => assert!(std::time::Instant::now() < limit, "it does not listen"),
        }
        thread::yield_now();
    };
    let mut client = Client::tcp(address);
    assert_eq!(client.ask("/whatever?page=1").text(), "Hello, World!");
    client.send(post("/", b"content"));
    assert_eq!(client.reply().text(), "Hello, World!");
    kill_process(getpid(), Signal::TERM).expect("one may signal oneself");
    client.expect_eof();
    drop(client);
    assert_eq!(ended.recv_timeout(LIMIT).expect("it ends"), Ok(()));
    thread.join().expect("it does not panic");
}

#[test]
fn a_request_knows_both_its_ends() {
    let server = start();
    let mut client = server.connect();
    assert_eq!(client.ask("/peer").text(), client.local().to_string());
    assert_eq!(client.ask("/local").text(), server.address().to_string());
}
