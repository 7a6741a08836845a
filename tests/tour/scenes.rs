//! The scenes of the tour: what clients do, each with a server of its own.
//!
//! A client goes on only when the server rests, and the clock of the server stands still. So the server does the same
//! in every run. Where a kernel decides (how much of a large reply it takes at once), [`slow`] leaves out what varies.

use std::io::{Read, Write};
use std::net::TcpStream;

use rustix::process::Signal;

use crate::calls::Entry;
use crate::rows::{Row, rows, without_numbers};
use crate::server::Server;

/// The rows of a run.
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    pub(crate) rows: Vec<Row>,
}

/// Plays a scene with a server of this name, and returns what the document shows of it.
type Play = fn(&str) -> Vec<Row>;

pub(crate) fn play_all() -> Vec<Scene> {
    let scenes: [(&'static str, Play); 8] = [
        ("get", get),
        ("last", last),
        ("split", split),
        ("pipeline", pipeline),
        ("slow", slow),
        ("bad", bad),
        ("later", later),
        ("drain", drain),
    ];
    scenes.map(|(name, play)| Scene { name, rows: shown(name, play(name)) }).into()
}

/// The rows that the document shows of a scene. The first one shows all. The others leave out what it has taught: that
/// a reply has left, and an event that the beginning of the turn repeats.
fn shown(name: &str, rows: Vec<Row>) -> Vec<Row> {
    if name == "get" {
        return rows;
    }
    let text = |row: Option<&Row>| row.map_or(String::new(), |row| row.lines[0].clone());
    let repeats = |at: usize| text(rows.get(at)).replace(": event: ", ": the turn begins: ") == text(rows.get(at + 1));
    let is_known = |at: usize| {
        let line = &rows[at].lines[0];
        line.contains(": event: ") && repeats(at) || line.contains(": the reply ") && line.contains(" has left")
    };
    (0..rows.len()).filter(|at| !is_known(*at)).map(|at| rows[at].clone()).collect()
}

const HELLO: &str = "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n";
const LATER: &str = "GET /later HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn get(name: &str) -> Vec<Row> {
    let mut server = Server::start(name);
    let mut client = server.client();
    for _ in 0..2 {
        send(&mut client, HELLO);
        server.rest_after("sendto");
        expect(&mut client, "Hello, World!");
    }
    drop(client);
    server.rest_after("close");
    // This scene alone shows how the loop goes to sleep.
    let all = server.events().into_iter();
    rows(&all.filter(|entry| !is_empty_poll(entry) || entry.is_nap()).collect::<Vec<_>>(), true)
}

fn last(name: &str) -> Vec<Row> {
    let mut server = Server::start(name);
    let mut client = server.client();
    send(&mut client, "GET /hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    server.rest_after("close");
    expect_end(&mut client, "Hello, World!");
    from("recvfrom", rows_of(&server.events()))
}

fn split(name: &str) -> Vec<Row> {
    let mut server = Server::start(name);
    let mut client = server.client();
    let (first, second) = HELLO.split_at(14);
    send(&mut client, first);
    server.rest_after("recvfrom");
    send(&mut client, second);
    server.rest_after("sendto");
    expect(&mut client, "Hello, World!");
    from("recvfrom", rows_of(&server.events()))
}

fn pipeline(name: &str) -> Vec<Row> {
    let mut server = Server::start(name);
    let mut client = server.client();
    send(&mut client, &HELLO.repeat(3));
    server.rest_after("sendto");
    expect(&mut client, "Hello, World!");
    from("recvfrom", rows_of(&server.events()))
}

fn bad(name: &str) -> Vec<Row> {
    let mut server = Server::start(name);
    let mut client = server.client();
    send(&mut client, &HELLO.replace("Host:", "Host :"));
    server.rest_after("shutdown");
    expect_end(&mut client, "}");
    drop(client);
    server.rest_after("close");
    from("recvfrom", rows_of(&server.events()))
}

fn later(name: &str) -> Vec<Row> {
    let mut server = Server::start(name);
    let mut client = server.client();
    send(&mut client, LATER);
    server.rest_after("recvfrom");
    server.press_enter();
    server.rest_after("sendto");
    expect(&mut client, "Here you are.");
    from("recvfrom", rows_of(&server.events()))
}

fn drain(name: &str) -> Vec<Row> {
    let mut server = Server::start(name);
    let mut idle = server.client();
    let mut waiting = server.client();
    send(&mut waiting, LATER);
    server.rest_after("recvfrom");
    server.signal(Signal::TERM);
    server.rest_after("close");
    server.press_enter();
    server.rest_after("shutdown");
    expect_end(&mut waiting, "Here you are.");
    drop(waiting);
    server.rest_after("close");
    send(&mut idle, HELLO);
    server.rest_after("shutdown");
    expect_end(&mut idle, "Hello, World!");
    drop(idle);
    from("signal", rows_of(&server.end()))
}

// ---- the slow reader ------------------------------------------------------------------------------------------------

/// What the client's kernel keeps, in bytes.
const CLIENT_ROOM: usize = 8 << 10;

/// How much the kernel takes of a large reply, and how often it tells that there is room again, depends on its version
/// and on the moment. So this scene shows numbers as `N`, and of many ticks that are alike the first and the last.
///
/// If the last write happens to be smaller than the low-water mark, the state changes one write earlier, and the scene
/// is played again.
fn slow(name: &str) -> Vec<Row> {
    (0..TRIES).find_map(|_| play_slow(name)).expect("some time the last write is large")
}

/// How often the last write may be small. It is in at most one run of three.
const TRIES: usize = 20;

fn play_slow(name: &str) -> Option<Vec<Row>> {
    let mut server = Server::start(name);
    let mut client = server.client_with_room(CLIENT_ROOM);
    send(&mut client, "GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n");
    server.rest_after("writev");
    let stalled = server.seen();
    // The client reads until the kernel of the server tells that there is room.
    let mut piece = [0; 4 << 10];
    let mut left = head_and_content(&mut client, &mut piece);
    while !server.events()[stalled..].iter().any(|entry| entry.is_call("writev")) {
        client.read_exact(&mut piece).expect("there is more");
        left -= piece.len();
    }
    server.rest_after("writev");
    client.read_exact(&mut vec![0; left]).expect("the rest comes");
    server.rest_after("writev");
    let events = server.events();
    // The names of the descriptors come from the beginning.
    let (before, all) = (rows_of(&events[..stalled]), rows_of(&events));
    let (first, rest) = all.split_at(before.len());
    let shown = [without_count(first), resumed(rest), last_change(rest)?].concat();
    Some(from("recvfrom", shown))
}

/// Reads the first piece of a large reply. Returns how many bytes are still to come.
#[track_caller]
fn head_and_content(client: &mut TcpStream, piece: &mut [u8]) -> usize {
    client.read_exact(piece).expect("the reply has begun");
    let text = String::from_utf8_lossy(piece);
    let (head, _) = text.split_once("\r\n\r\n").expect("the head is in the first piece");
    let (_, length) = head.split_once("Content-Length: ").expect("the reply has a length");
    let length: usize = length.lines().next().and_then(|length| length.parse().ok()).expect("it is a number");
    head.len() + 4 + length - piece.len()
}

/// The rows with `N` for the number of bytes that the last write has written, and for those that follow from it.
fn without_count(rows: &[Row]) -> Vec<Row> {
    let write = rows.iter().rposition(|row| row.name == "writev").expect("the server writes");
    let count = rows[write].lines[0].rsplit(" = ").next().expect("a call has a result");
    let mut shown = rows.to_vec();
    for (at, row) in shown.iter_mut().enumerate().skip(write) {
        row.lines.iter_mut().for_each(|line| *line = line.replace(count, "N"));
        if at > write {
            *row = without_numbers(row);
        }
    }
    shown
}

/// The first tick after the client has read.
fn resumed(rows: &[Row]) -> Vec<Row> {
    let next = 1 + rows[1..].iter().position(|row| row.name == "epoll_wait").expect("there is another tick");
    let mut shown = without_count(&rows[..next]);
    shown.push(Row { name: "gap".into(), lines: vec!["       ⋮".into()] });
    shown
}

/// The last write, and what the log says of it: lines that come once. `None` if one of them has come before.
fn last_change(rows: &[Row]) -> Option<Vec<Row>> {
    let write = rows.iter().rposition(|row| row.name == "writev").expect("the server writes");
    let end = rows[write..].iter().position(|row| row.name == "epoll_wait").map_or(rows.len(), |end| write + end);
    let same: Vec<Row> = rows.iter().map(without_numbers).collect();
    let comes_once = |row: &Row| row.name == "state" && same.iter().filter(|other| *other == row).count() == 1;
    let shown = without_count(&rows[write..end]);
    same.iter().position(comes_once).is_some_and(|first| first > write).then(|| {
        let (call, log) = shown.split_first().expect("there is a write");
        [&[without_numbers(call)], log].concat()
    })
}

// ---- help -----------------------------------------------------------------------------------------------------------

#[track_caller]
fn send(client: &mut TcpStream, bytes: &str) {
    client.write_all(bytes.as_bytes()).expect("the kernel takes it");
}

/// Reads a part of the reply; it has all come.
#[track_caller]
fn expect(client: &mut TcpStream, end: &str) {
    let mut room = [0; 4 << 10];
    let count = client.read(&mut room).expect("the reply has come");
    assert!(room[..count].ends_with(end.as_bytes()), "{}", String::from_utf8_lossy(&room[..count]));
}

#[track_caller]
fn expect_end(client: &mut TcpStream, end: &str) {
    let mut reply = String::new();
    client.read_to_string(&mut reply).expect("the reply has come, and the end");
    assert!(reply.ends_with(end), "{reply}");
}

/// The rows of a scene, without the polls in which nothing came, and with one of two ticks that are the same. (After a
/// half-close, Linux tells twice that the socket can be written, or once.)
fn rows_of(entries: &[Entry]) -> Vec<Row> {
    let entries: Vec<Entry> = entries.iter().filter(|entry| !is_empty_poll(entry)).cloned().collect();
    let all = rows(&entries, false);
    let mut ticks: Vec<&[Row]> = all.chunk_by(|_, next| next.name != "epoll_wait").collect();
    ticks.dedup();
    ticks.concat()
}

/// The rows from the tick with the first row of this name. What comes before it, other scenes have shown.
#[track_caller]
fn from(name: &str, rows: Vec<Row>) -> Vec<Row> {
    let ticks: Vec<&[Row]> = rows.chunk_by(|_, next| next.name != "epoll_wait").collect();
    let first = ticks.iter().position(|tick| tick.iter().any(|row| row.name == name));
    ticks[first.expect("it happens")..].concat()
}

fn is_empty_poll(entry: &Entry) -> bool {
    matches!(entry, Entry::Call { name, result, .. } if name == "epoll_wait" && result == "0")
}
