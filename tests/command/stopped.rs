//! A process that is stopped for longer than its timeouts.

use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, waitpid};

use crate::{Client, Demo};

/// The timeouts of the server. They are long enough for the clients to connect before the server is stopped.
const TIMEOUT: Duration = Duration::from_secs(3);

/// While the process is stopped, every timeout passes, and every client sends. The server must read before it judges.
#[test]
fn requests_that_come_while_it_is_stopped_are_answered() {
    for workers in ["1", "2"] {
        let demo = Demo::start(&["--idle-timeout=3s", "--head-timeout=3s", "--workers", workers]);
        let mut silent = demo.connect();
        let mut clients: Vec<Client> = (0..24).map(|_| demo.connect()).collect();
        for (i, client) in clients.iter_mut().enumerate() {
            match i % 3 {
                0 => client.send("GET /plaintext HTTP/1.1\r\n"),
                1 => assert_eq!(client.ask("GET /", "", "").status, 200),
                _ => {}
            }
        }
        demo.process.signal(Signal::STOP);
        let stopped = waitpid(Some(Pid::from_child(&demo.process.child)), WaitOptions::UNTRACED);
        assert!(stopped.expect("it is ours").is_some_and(|(_, status)| status.stopped()), "it is not stopped");
        for (i, client) in clients.iter_mut().enumerate() {
            client.send(if i % 3 == 0 { "" } else { "GET /plaintext HTTP/1.1\r\n" });
            client.send("Host: localhost\r\n\r\n");
        }
        clients[0].expect_silence(TIMEOUT + Duration::from_secs(1));
        demo.process.signal(Signal::CONT);
        for (i, client) in clients.iter_mut().enumerate() {
            let reply = client.reply(true);
            assert_eq!((reply.status, reply.content.as_str()), (200, "Hello, World!"), "client {i}");
        }
        assert!(silent.is_closed(), "a client that sends nothing still expires");
    }
}
