//! Which addresses workers listen on, and who shares them.

use std::io::ErrorKind;
use std::net::TcpListener;

use monoloop::{Endpoint, Server, Workers};

use crate::support::{Client, SocketPath, test_config};
use crate::{TestWorkers, app, app_with_gate, assert_nobody_listens, gates};

#[test]
fn an_address_that_workers_have_is_in_use_for_all_others() {
    let workers = TestWorkers::start(2);
    let address = workers.address;
    let in_use = format!("{address} is already in use");
    assert_eq!(Server::bind(address).expect_err("one server").to_string(), in_use);
    for count in [1, 2] {
        assert_eq!(Workers::bind(address, count).expect_err("more workers").to_string(), in_use);
    }
    assert_eq!(TcpListener::bind(address).expect_err("anybody else").kind(), ErrorKind::AddrInUse);
    assert_eq!(workers.connect().ask("/worker").status, 200);

    // The address is free again after the workers end, although they closed some connections first.
    let mut client = workers.connect();
    workers.handle.shutdown();
    client.expect_eof();
    drop(client);
    workers.join().expect("they drain");
    drop(Workers::bind(address, 2).expect("it is free"));
    drop(Server::bind(address).expect("it is free"));
}

/// A single server shares its port with no other, even if that other server offers it.
#[cfg(target_os = "linux")]
#[test]
fn a_single_server_does_not_share_its_port() {
    use rustix::net::{AddressFamily, SocketType, bind, socket, sockopt};

    let join = |address: Endpoint| {
        let Endpoint::Tcp(address) = address else { unreachable!("it is TCP") };
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        sockopt::set_socket_reuseaddr(&socket, true).unwrap();
        sockopt::set_socket_reuseport(&socket, true).unwrap();
        bind(&socket, &address)
    };
    let server = Server::bind("127.0.0.1:0").expect("a port is free");
    assert_eq!(join(server.local_addr()), Err(rustix::io::Errno::ADDRINUSE));
    let Endpoint::Tcp(address) = server.local_addr() else { unreachable!("it is TCP") };
    let taken = Workers::bind(address, 2).expect_err("it is taken");
    assert_eq!(taken.to_string(), format!("{address} is already in use"));
    let workers = Workers::bind("127.0.0.1:0", 1).expect("a port is free");
    assert_eq!(join(workers.local_addr()), Err(rustix::io::Errno::ADDRINUSE));
    // The test can tell the difference; the documentation warns of this case.
    let workers = Workers::bind("127.0.0.1:0", 2).expect("a port is free");
    assert_eq!(join(workers.local_addr()), Ok(()));
}

#[test]
fn a_unix_socket_is_shared_and_its_file_goes_with_the_last() {
    let path = SocketPath::new();
    let (gates, doors) = gates(2);
    let workers = Workers::bind_unix(path.path(), 2).expect("the path is free").config(test_config());
    assert_eq!(workers.local_addr(), Endpoint::Unix);
    let error = Workers::bind_unix(path.path(), 2).expect_err("someone listens there");
    assert!(error.to_string().ends_with("is already in use"), "{error}");
    let running = workers.start(move |worker, server| server.start(app_with_gate(worker, &doors)));
    let workers = TestWorkers::run(running.expect("they start"));

    // A busy worker cannot take the next connection, so the other worker must.
    let mut first = Client::unix(path.path());
    let busy: usize = first.ask("/worker").text().parse().unwrap();
    first.get("/gate");
    gates[busy].wait();
    let mut second = Client::unix(path.path());
    assert_eq!(second.ask("/worker").text(), (1 - busy).to_string());

    workers.handle.shutdown();
    second.expect_eof();
    // Its worker has closed its copy of the socket. The busy worker still takes what is in the queue.
    let mut third = Client::unix(path.path());
    third.get("/worker");
    gates[busy].open();
    assert_eq!(first.reply().text(), "open");
    assert_eq!(third.reply().text(), busy.to_string());
    first.expect_eof();
    third.expect_eof();
    drop((first, second, third));
    workers.join().expect("they drain");
    assert!(!path.path().exists(), "the socket file is removed at the end");
}

#[test]
fn a_passed_listener_and_several_addresses_are_served() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let passed = listener.local_addr().expect("it is bound");
    let path = SocketPath::new();
    let workers = Workers::from_listener(listener, 2).and_then(|workers| workers.also_bind("127.0.0.1:0"));
    let workers = workers.and_then(|workers| workers.also_bind_unix(path.path())).expect("they can be had");
    let workers = workers.config(test_config());
    let all: Vec<_> = workers.local_addrs().collect();
    assert_eq!((all.len(), all[0], all[2]), (3, Endpoint::Tcp(passed), Endpoint::Unix));
    let Endpoint::Tcp(second) = all[1] else { panic!("{all:?}") };
    let workers = TestWorkers::run(workers.start(|worker, server| server.start(app(worker))).expect("they start"));
    for mut client in [Client::tcp(passed), Client::tcp(second), Client::unix(path.path())] {
        assert_eq!(client.ask("/worker").status, 200);
    }
    workers.handle.shutdown();
    workers.join().expect("they drain");
    assert_nobody_listens(passed);
    assert_nobody_listens(second);
}

#[test]
fn zero_and_too_many_workers_are_refused() {
    for count in [0, 1025, usize::MAX] {
        let error = Workers::bind("127.0.0.1:0", count).expect_err("it is impossible");
        let expected = format!("cannot listen on the address with {count} workers: 1 to 1024 are possible");
        assert_eq!(error.to_string(), expected);
    }
}
