//! A process that is stopped for longer than its timeouts.

use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, waitpid};

use crate::{Client, Demo};

/// The timeouts of the server. They are long enough for the clients to connect before the server is stopped.
const TIMEOUT: Duration = Duration::from_secs(3);

/// A server with its clients, of which some have begun a request.
struct Crowd {
    demo: Demo,
    silent: Client,
    clients: Vec<Client>,
}

impl Crowd {
    #[track_caller]
    fn start(workers: &str) -> Self {
        let demo = Demo::start(&["--idle-timeout=3s", "--head-timeout=3s", "--workers", workers]);
        let silent = demo.connect();
        let mut clients: Vec<Client> = (0..24).map(|_| demo.connect()).collect();
        for (i, client) in clients.iter_mut().enumerate() {
            match i % 3 {
                0 => client.send("GET /plaintext HTTP/1.1\r\n"),
                1 => assert_eq!(client.ask("GET /", "", "").status, 200),
                _ => {}
            }
        }
        Self { demo, silent, clients }
    }

    /// Stops the server. Then every client sends what its request lacks.
    #[track_caller]
    fn stop(&mut self) {
        self.demo.process.signal(Signal::STOP);
        let stopped = waitpid(Some(Pid::from_child(&self.demo.process.child)), WaitOptions::UNTRACED);
        assert!(stopped.expect("it is ours").is_some_and(|(_, status)| status.stopped()), "it is not stopped");
        for (i, client) in self.clients.iter_mut().enumerate() {
            client.send(if i % 3 == 0 { "" } else { "GET /plaintext HTTP/1.1\r\n" });
            client.send("Host: localhost\r\n\r\n");
        }
    }

    /// Lets the server go on. The clients have their replies, and the silent one expires.
    #[track_caller]
    fn go_on(mut self) {
        self.demo.process.signal(Signal::CONT);
        for (i, client) in self.clients.iter_mut().enumerate() {
            let reply = client.reply(true);
            assert_eq!((reply.status, reply.content.as_str()), (200, "Hello, World!"), "client {i}");
        }
        assert!(self.silent.is_closed(), "a client that sends nothing still expires");
    }
}

/// While the process is stopped, every timeout passes, and every client sends. The server must read before it judges.
/// The timeouts of both servers pass in the same wait.
#[test]
fn requests_that_come_while_it_is_stopped_are_answered() {
    // Each is stopped as soon as its clients are there, long before their timeouts.
    let mut crowds = ["1", "2"].map(|workers| {
        let mut crowd = Crowd::start(workers);
        crowd.stop();
        crowd
    });
    // The last of them was stopped last, so the timeouts of the other have passed when its own have.
    let [first, last] = &mut crowds;
    last.clients[0].expect_silence(TIMEOUT + Duration::from_secs(1));
    first.clients[0].expect_silence(Duration::from_millis(1));
    crowds.into_iter().for_each(Crowd::go_on);
}
