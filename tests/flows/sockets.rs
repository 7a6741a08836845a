//! WebSockets and rooms with a kernel: other threads reach a room, and a client that does not read fills its socket.

use std::net::SocketAddr;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Instant;

use monoloop::server::Handle;
use monoloop::websocket::{Closed, Message, Room, Slow, Socket, WebSocket};
use monoloop::{Endpoint, Result, Router, Server};

use crate::next;
use crate::support::{Client, LIMIT, test_config};

/// The state: the room, and how sockets have ended.
struct World {
    room: Room,
    ends: Vec<u16>,
}

struct Member;

impl WebSocket<World> for Member {
    fn open(&mut self, world: &mut World, ws: &mut Socket<'_>) -> Result<()> {
        world.room.join(ws);
        Ok(())
    }

    fn message(&mut self, world: &mut World, message: Message<'_>, _: &mut Socket<'_>) -> Result<()> {
        world.room.send(message);
        Ok(())
    }

    fn close(self: Box<Self>, world: &mut World, end: Closed<'_>) {
        world.ends.push(end.code);
    }
}

/// How many are in the room, the codes of the sockets that have ended, and how many of these were dropped.
type Outcome = (usize, Vec<u16>, u64);

/// Runs a server with a room in a thread. Returns what reaches it, and the thread.
fn serve() -> (SocketAddr, Handle<World>, thread::JoinHandle<Outcome>) {
    let (started, starting) = channel();
    let thread = thread::spawn(move || {
        let mut app = Router::new(World { room: Room::new(Slow::Drop), ends: Vec::new() });
        app.websocket("/ws", |_, _, offer| Ok((offer, Member)));
        let server = Server::bind("127.0.0.1:0").expect("a free port").config(test_config());
        let Endpoint::Tcp(address) = server.local_addr() else { panic!("it listens on TCP") };
        let mut running = server.start(app).expect("a poll");
        started.send((address, running.handle())).expect("the test waits for it");
        while running.turn(None).expect("the poll works") {}
        let World { room, ends } = running.app().state();
        (room.len(), ends.clone(), room.dropped())
    });
    let (address, handle) = next(&starting);
    (address, handle, thread)
}

/// Opens a socket.
fn open(address: SocketAddr) -> Client {
    let mut client = Client::tcp(address);
    client.send(
        "GET /ws HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    assert_eq!(client.try_head().expect("a reply").0, 101);
    client
}

/// What the loop says about its state, once it has come to the question.
fn ask<T: Send + 'static>(handle: &Handle<World>, question: impl FnOnce(&mut World) -> T + Send + 'static) -> T {
    let (tell, told) = channel();
    handle.post(move |world| tell.send(question(world)).expect("the test waits for it"));
    next(&told)
}

/// Waits until the state is as the test wants it.
#[track_caller]
fn wait_until(handle: &Handle<World>, is_so: impl Fn(&World) -> bool + Copy + Send + 'static) {
    let end = Instant::now() + LIMIT;
    while !ask(handle, move |world| is_so(world)) {
        assert!(Instant::now() < end, "it does not come to that");
    }
}

#[track_caller]
fn expect_bytes(client: &mut Client, expected: &[u8]) {
    let mut found = Vec::new();
    client.read_content(expected.len(), 1 << 20, |_, bytes| found.extend_from_slice(bytes));
    assert!(found == expected, "{}", found[..found.len().min(200)].escape_ascii());
}

#[test]
fn other_threads_reach_a_room_and_a_loop_that_sleeps_wakes() {
    let (address, handle, server) = serve();
    let mut clients = [open(address), open(address)];
    // The members have joined when the loop has come to this.
    wait_until(&handle, |world| world.room.len() == 2);
    for round in 0..50 {
        let text = format!("{round:02}");
        let frame = [b"\x81\x02", text.as_bytes()].concat();
        let handle = handle.clone();
        thread::spawn(move || handle.post(move |world| assert_eq!(world.room.send(&text), 2)));
        clients.iter_mut().for_each(|client| expect_bytes(client, &frame));
    }
    clients[0].send(b"\x81\x85\0\0\0\0hello");
    clients.iter_mut().for_each(|client| expect_bytes(client, b"\x81\x05hello"));
    let [first, mut second] = clients;
    first.reset();
    wait_until(&handle, |world| world.room.len() == 1);
    handle.shutdown();
    expect_bytes(&mut second, b"\x88\x18\x03\xe9the server is stopping");
    drop(second);
    let (len, mut ends, dropped) = server.join().expect("the server ends");
    ends.sort_unstable();
    assert_eq!((len, &ends[..], dropped), (0, &[1001, 1006][..], 0));
}

#[test]
fn a_client_that_does_not_read_is_dropped_and_its_neighbour_gets_all() {
    const MESSAGE: usize = 32 * 1024;
    let (address, handle, server) = serve();
    let (mut slow, mut good) = (open(address), open(address));
    wait_until(&handle, |world| world.room.len() == 2);
    let mut sent = 0_usize;
    let frame = [&[0x82, 126, 0x80, 0][..], &[b'x'; MESSAGE]].concat();
    while ask(&handle, |world| world.room.dropped()) == 0 {
        assert!(sent < 2_000, "the kernel does not hold so much");
        ask(&handle, |world| _ = world.room.send(&[b'x'; MESSAGE]));
        expect_bytes(&mut good, &frame);
        sent += 1;
    }
    assert_eq!(ask(&handle, |world| world.room.len()), 1);
    // It reads what it was sent before, and then why it was dropped.
    let (mut got, mut room) = (Vec::new(), vec![0; 1 << 20]);
    let end = b"\x88\x18\x03\xf5the client is too slow";
    while !got.ends_with(end) {
        let count = slow.read_some(&mut room).expect("it comes in time");
        assert!(count > 0, "it ends after {} bytes", got.len());
        got.extend_from_slice(&room[..count]);
    }
    assert_eq!((got.len() - end.len()) % frame.len(), 0, "whole messages");
    ask(&handle, |world| _ = world.room.send("more"));
    expect_bytes(&mut good, b"\x81\x04more");
    drop((slow, good));
    wait_until(&handle, |world| world.ends.len() == 2);
    handle.shutdown();
    let (len, mut ends, dropped) = server.join().expect("the server ends");
    ends.sort_unstable();
    assert_eq!((len, &ends[..], dropped), (0, &[1006, 1013][..], 1));
}
