//! What no client can bring about.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};

use mio::net::UnixStream;

use super::Server;
use super::event_loop::EventLoop;
use super::socket::Socket;
use crate::config::Config;
use crate::exchange::{ConnectionId, Endpoint, Observer};

/// What an observer was told of connections.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

impl Observer for Told {
    fn connection_opened(&mut self, id: ConnectionId, _: &Endpoint) {
        self.0.lock().unwrap().push(format!("opened {id}"));
    }

    fn server_error(&mut self, error: &io::Error) {
        self.0.lock().unwrap().push(format!("{:?}", error.kind()));
    }
}

/// The kernel refuses when it is out of memory or of `max_user_watches`, which no test can bring about for itself alone.
/// It refuses a plain file too, and that can be put in the place of a socket.
#[test]
fn a_connection_that_the_poll_does_not_take_is_given_up_and_the_next_is_served() {
    let told = Told::default();
    let config = Config { signals: false, ..Config::default() };
    let server = Server::bind("127.0.0.1:0").unwrap().config(config).observer(told.clone());
    let mut event_loop = EventLoop::new(server).unwrap();
    let program = std::env::current_exe().unwrap();
    for _ in 0..3 {
        let descriptor = OwnedFd::from(File::open(&program).unwrap());
        let socket = std::os::unix::net::UnixStream::from(descriptor);
        event_loop.open(Socket::Unix(UnixStream::from_std(socket)), Endpoint::Unix);
        assert!(event_loop.sessions.is_empty());
        assert_eq!(event_loop.next_deadline(), None, "it is not tried again");
    }
    let (socket, _client) = UnixStream::pair().unwrap();
    event_loop.open(Socket::Unix(socket), Endpoint::Unix);
    assert_eq!(event_loop.sessions.len(), 1);
    let denied = format!("{:?}", ErrorKind::PermissionDenied);
    assert_eq!(*told.0.lock().unwrap(), [&denied, &denied, &denied, "opened 4"]);
}
