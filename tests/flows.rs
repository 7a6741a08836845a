//! What flows between threads, sockets and the loop: replies that others give, content that is pushed, protocols, timers.
//! A kernel and threads matter here; the protocol itself is tested in `src/h1/tests`.

mod support;

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use monoloop::exchange::{
    Abort, BodySender, BodySink, Duplex, Intake, Output, Protocol, Responder, Resumer, SendError, Trailers, Waker,
    from_iter, try_from_iter,
};
use monoloop::server::{CloseReason, Handle};
use monoloop::{Config, Method, Response, Result, Router, Sent, Server};
use support::{Client, Event, LIMIT, SocketPath, TestServer, assert_same, gate, get, pattern, test_config};

const MIB: usize = 1 << 20;

/// A server with routes, and what its handlers hand out.
fn start<T: Send + 'static>(
    setup: impl FnOnce(&mut Router<()>, &mut Config, Sender<T>) + Send + 'static,
) -> (TestServer, Receiver<T>) {
    let (hand_out, handed_out) = channel();
    (TestServer::start(move |app, config| setup(app, config, hand_out)), handed_out)
}

#[track_caller]
fn next<T>(from: &Receiver<T>) -> T {
    from.recv_timeout(LIMIT).expect("it comes in time")
}

/// A route that defers its reply and hands the responder out.
fn defer(app: &mut Router<()>, hand_out: Sender<Responder>) {
    app.get("/later/:name", move |_, _, res| {
        let (sent, responder) = res.defer();
        hand_out.send(responder).expect("the test waits for it");
        Ok(sent)
    });
    app.get("/now", |_, _, res| res.text("now"));
}

/// Content in chunks, to its end.
#[track_caller]
fn read_chunks(client: &mut Client) -> Vec<u8> {
    let mut content = Vec::new();
    loop {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let mut byte = [0];
            assert_eq!(client.read_some(&mut byte).expect("a byte in time"), 1, "cut off after {line:?}");
            line.push(byte[0]);
        }
        let line = std::str::from_utf8(&line[..line.len() - 2]).expect("a size");
        let size = usize::from_str_radix(line, 16).expect("a size");
        let from = content.len();
        client.read_content(size + 2, MIB, |_, bytes| content.extend_from_slice(bytes));
        assert!(content.ends_with(b"\r\n"));
        content.truncate(from + size);
        if size == 0 {
            return content;
        }
    }
}

/// Reads until the connection ends, and says how.
fn read_to_the_end(client: &mut Client) -> (Vec<u8>, io::Result<()>) {
    let (mut all, mut room) = (Vec::new(), vec![0; 64 * 1024]);
    loop {
        match client.read_some(&mut room) {
            Ok(0) => return (all, Ok(())),
            Ok(count) => all.extend_from_slice(&room[..count]),
            Err(error) => return (all, Err(error)),
        }
    }
}

// ---- deferred replies -----------------------------------------------------------------------------------------------

#[test]
fn a_thread_answers_while_the_loop_sleeps() {
    let (server, responders) = start(|app, _, hand_out| defer(app, hand_out));
    let (mut one, mut two) = (server.connect(), server.connect());
    one.get("/later/one");
    let first = next(&responders);
    two.get("/later/two");
    let second = next(&responders);
    assert_eq!(server.connect().ask("/now").text(), "now", "nobody else waits");
    second.text("second");
    assert_eq!(two.reply().text(), "second");
    thread::spawn(move || first.text("first"));
    assert_eq!(one.reply().text(), "first");
    assert_eq!(one.ask("/now").text(), "now", "the connection goes on");
}

#[test]
fn many_threads_answer_many_clients() {
    const CLIENTS: usize = 200;
    let (server, responders) = start(|app, _, hand_out: Sender<(String, Responder)>| {
        app.get("/later/:name", move |_, req, res| {
            let name = req.param_str("name").unwrap_or_default().into_owned();
            let (sent, responder) = res.defer();
            hand_out.send((name, responder)).expect("the test waits for it");
            Ok(sent)
        });
    });
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| server.connect()).collect();
    for round in 0..3 {
        for (i, client) in clients.iter_mut().enumerate() {
            client.get(&format!("/later/{round}-{i}"));
        }
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let mine: Vec<_> = (0..CLIENTS / 4).map(|_| next(&responders)).collect();
                thread::spawn(move || mine.into_iter().for_each(|(name, responder)| responder.text(name)))
            })
            .collect();
        for (i, client) in clients.iter_mut().enumerate() {
            assert_eq!(client.reply().text(), format!("{round}-{i}"));
        }
        threads.into_iter().for_each(|thread| thread.join().expect("it only answers"));
    }
}

#[test]
fn a_reset_cancels_and_a_half_close_does_not() {
    let (server, responders) = start(|app, _, hand_out| defer(app, hand_out));
    let mut leaving = server.connect();
    leaving.get("/later/gone");
    let responder = next(&responders);
    let (tell, told) = channel();
    responder.on_cancel(move || tell.send(()).expect("the test waits for it"));
    assert!(!responder.is_cancelled());
    leaving.reset();
    next(&told);
    assert!(responder.is_cancelled());
    responder.text("nobody hears it");

    let mut waiting = server.connect();
    waiting.get("/later/half");
    let responder = next(&responders);
    waiting.half_close();
    let since = Instant::now();
    while !responder.is_half_closed() {
        assert!(since.elapsed() < LIMIT, "the loop hears of the FIN");
        thread::yield_now();
    }
    assert!(!responder.is_cancelled());
    responder.text("here it is");
    assert_eq!(waiting.reply().text(), "here it is");
    waiting.expect_end();
}

#[test]
fn a_unix_client_that_hangs_up_cancels() {
    let path = SocketPath::new();
    let bind = path.path().to_owned();
    let (hand_out, responders) = channel();
    let _server = TestServer::start_on(|| Server::bind_unix(bind), move |app, _| defer(app, hand_out));
    let mut client = Client::unix(path.path());
    client.get("/later/gone");
    let responder: Responder = next(&responders);
    let (tell, told) = channel();
    responder.on_cancel(move || tell.send(()).expect("the test waits for it"));
    drop(client);
    next(&told);
}

#[test]
fn a_late_answer_does_not_reach_who_took_over_the_slot() {
    let (server, responders) = start(|app, _, hand_out| defer(app, hand_out));
    let (mut gone, id) = server.connect_known();
    gone.get("/later/gone");
    let late = next(&responders);
    gone.reset();
    server.log.wait_closed(id);
    // The slab gives the slot that became free last.
    let mut heir = server.connect();
    heir.get("/later/heir");
    let own = next(&responders);
    late.text("not yours");
    own.text("yours");
    assert_eq!(heir.reply().text(), "yours");
}

#[test]
fn early_hints_come_before_the_reply() {
    let (server, responders) = start(|app, _, hand_out| defer(app, hand_out));
    let mut client = server.connect();
    client.get("/later/hints");
    let responder = next(&responders);
    responder.early_hints([("Link", "</a.css>; rel=preload")]).expect("nothing is wrong with it");
    let (status, head) = client.try_head().expect("an interim reply in time");
    assert_eq!(status, 103, "{head}");
    assert!(head.contains("Link: </a.css>; rel=preload\r\n"), "{head}");
    responder.text("and here it is");
    assert_eq!(client.reply().text(), "and here it is");
}

#[test]
fn a_deferred_reply_is_given_in_a_drain_and_says_close() {
    let (server, responders) = start(|app, _, hand_out| defer(app, hand_out));
    let (mut client, mut idle) = (server.connect(), server.connect());
    assert_eq!(idle.ask("/now").text(), "now");
    client.get("/later/drain");
    let responder = next(&responders);
    server.handle().shutdown();
    // Now the drain has begun for all.
    idle.expect_eof();
    drop(idle);
    responder.text("before the end");
    let reply = client.reply();
    assert_eq!((reply.text(), reply.closes()), ("before the end", true));
    client.expect_end();
    server.join().expect("the drain ends well");
}

// ---- pushed and pulled content --------------------------------------------------------------------------------------

/// The thread that pushes cannot be further ahead than what may be in memory and in the kernel.
#[test]
fn a_thread_that_pushes_waits_for_a_client_that_reads_slowly() {
    const TOTAL: usize = 64 * MIB;
    let pushed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&pushed);
    let server = TestServer::start(move |app, _| {
        app.get("/push", move |_, _, res| {
            let (sent, sender) = res.channel()?;
            let count = Arc::clone(&count);
            thread::spawn(move || {
                let content = pattern(TOTAL);
                for piece in content.chunks(100_000) {
                    sender.send_blocking(piece.to_vec()).expect("the client takes all");
                    count.fetch_add(piece.len(), Ordering::Relaxed);
                }
                sender.finish();
            });
            Ok(sent)
        });
    });
    let mut client = server.connect();
    client.set_receive_buffer(64 * 1024);
    client.get("/push");
    let (status, head) = client.try_head().expect("a head in time");
    assert!(status == 200 && head.contains("Transfer-Encoding: chunked\r\n"), "{head}");
    // It makes no more progress when everything is full.
    let mut before = usize::MAX;
    let since = Instant::now();
    while pushed.load(Ordering::Relaxed) != before {
        before = pushed.load(Ordering::Relaxed);
        for _ in 0..100 {
            server.connect().ask("/none");
        }
        assert!(since.elapsed() < LIMIT);
    }
    assert!(before < TOTAL / 2, "{before} bytes were pushed though nobody reads");
    assert_same(&read_chunks(&mut client), &pattern(TOTAL), "what was pushed");
}

#[test]
fn whoever_pushes_learns_that_the_client_is_gone() {
    let (server, senders) = start(|app, _, hand_out: Sender<BodySender>| {
        app.get("/push", move |_, _, res| {
            let (sent, sender) = res.channel()?;
            hand_out.send(sender).expect("the test waits for it");
            Ok(sent)
        });
    });
    let mut client = server.connect();
    client.get("/push");
    let sender = next(&senders);
    let (tell, told) = channel();
    sender.on_close(move || tell.send(()).expect("the test waits for it"));
    sender.send("something").expect("it is taken");
    assert_eq!(client.try_head().expect("a head in time").0, 200);
    let blocked = thread::spawn(move || {
        loop {
            if let Err(error) = sender.send_blocking(vec![0; MIB]) {
                return error;
            }
        }
    });
    client.wait_readable();
    client.reset();
    next(&told);
    assert!(matches!(blocked.join().expect("it does not panic"), SendError::Closed));
}

/// A client that cannot tell half of the content from all of it is told by a reset.
#[test]
fn content_that_fails_never_looks_whole() {
    let server = TestServer::start(|app, _| {
        let pieces = || [Ok(pattern(100_000)), Err(io::Error::other("no more"))];
        app.get("/fails", move |_, _, res| res.stream(try_from_iter(pieces())));
        app.get("/dropped", |_, _, res| {
            let (sent, sender) = res.channel()?;
            sender.send(pattern(1000))?;
            Ok(sent)
        });
    });
    for target in ["/fails", "/dropped"] {
        for version in ["1.0", "1.1"] {
            let mut client = server.connect();
            client.send(format!("GET {target} HTTP/{version}\r\nHost: test\r\n\r\n"));
            let (bytes, end) = read_to_the_end(&mut client);
            assert_eq!(end.map_err(|error| error.kind()), Err(io::ErrorKind::ConnectionReset), "{target} {version}");
            assert!(!bytes.ends_with(b"0\r\n\r\n"));
        }
    }
}

#[test]
fn a_client_of_1_0_gets_a_stream_to_the_end_of_the_connection() {
    let server = TestServer::start(|app, _| {
        app.get("/count", |_, _, res| res.stream(from_iter((0..100_000).map(|number| format!("{number}\n")))));
    });
    let mut client = server.connect();
    client.send("GET /count HTTP/1.0\r\n\r\n");
    let (bytes, end) = read_to_the_end(&mut client);
    end.expect("a clean end");
    let text = String::from_utf8(bytes).expect("text");
    let (head, content) = text.split_once("\r\n\r\n").expect("a head");
    assert!(
        head.contains("Connection: close") && !head.contains("Transfer-Encoding") && !head.contains("Content-Length")
    );
    assert!(content.lines().eq((0..100_000).map(|number| number.to_string())));
}

// ---- content in pieces ----------------------------------------------------------------------------------------------

/// Hands out the resumer of each piece.
struct Halting {
    bytes: usize,
    resumers: Sender<Resumer>,
    aborted: Sender<Abort>,
}

impl BodySink<()> for Halting {
    fn data(&mut self, _: &mut (), piece: &[u8], intake: &mut Intake<'_>) -> Result<()> {
        self.bytes += piece.len();
        let _ = self.resumers.send(intake.pause());
        Ok(())
    }

    fn end(self: Box<Self>, _: &mut (), _: Trailers<'_>, res: Response<'_>) -> Result<Sent> {
        res.text(self.bytes.to_string())
    }

    fn abort(self: Box<Self>, _: &mut (), why: Abort) {
        let _ = self.aborted.send(why);
    }
}

fn start_halting() -> (TestServer, Receiver<Resumer>, Receiver<Abort>) {
    let ((resumers, resumed), (aborted, aborts)) = (channel(), channel());
    let server = TestServer::start(move |app, _| {
        app.sink(Method::Post, "/halting", move |_, _| {
            Ok(Halting { bytes: 0, resumers: resumers.clone(), aborted: aborted.clone() })
        });
    });
    (server, resumed, aborts)
}

#[test]
fn paused_content_stays_with_the_client() {
    const TOTAL: usize = 64 * MIB;
    let (server, resumers, _aborts) = start_halting();
    let mut client = server.connect();
    client.send(format!("POST /halting HTTP/1.1\r\nHost: test\r\nContent-Length: {TOTAL}\r\n\r\n"));
    let mut writer = client.share();
    let (tell, told) = channel();
    let writing = thread::spawn(move || {
        writer.send(vec![b'x'; TOTAL]);
        tell.send(()).expect("the test waits for it");
    });
    let first = next(&resumers);
    for _ in 0..200 {
        server.connect().ask("/none");
    }
    assert!(told.try_recv().is_err(), "64 MiB do not fit in the kernel's buffers");
    assert!(resumers.try_recv().is_err(), "no piece comes while it is paused");
    // From another thread, one after the other, until all has come.
    let resuming = thread::spawn(move || {
        first.resume();
        while let Ok(resumer) = resumers.recv_timeout(LIMIT) {
            drop(resumer);
        }
    });
    assert_eq!(client.reply().text(), TOTAL.to_string());
    next(&told);
    writing.join().expect("all was written");
    drop((client, server));
    resuming.join().expect("it only resumes");
}

#[test]
fn a_sink_whose_client_is_gone_is_told_so_although_it_is_paused() {
    let (server, resumers, aborts) = start_halting();
    let mut client = server.connect();
    client.send("POST /halting HTTP/1.1\r\nHost: test\r\nContent-Length: 1000\r\n\r\nsome");
    let resumer = next(&resumers);
    client.reset();
    assert_eq!(next(&aborts), Abort::ClientGone);
    resumer.resume();
    assert_eq!(server.connect().ask("/none").status, 404);
}

/// Sends back what comes; what cannot be sent yet waits with the client.
struct Echo(BodySender);

impl Duplex<()> for Echo {
    fn data(&mut self, _: &mut (), piece: &[u8], intake: &mut Intake<'_>) -> Result<()> {
        self.0.send(piece.to_vec())?;
        if self.0.is_full() {
            let resumer = intake.pause();
            self.0.on_room(move || resumer.resume());
        }
        Ok(())
    }

    fn end(self: Box<Self>, _: &mut (), _: Trailers<'_>) -> Result<()> {
        self.0.finish();
        Ok(())
    }
}

#[test]
fn what_is_sent_comes_back_while_more_is_sent() {
    const TOTAL: usize = 32 * MIB;
    let server = TestServer::start(|app, _| {
        app.duplex(Method::Post, "/echo", |_, _, res| {
            let (sent, sender) = res.channel()?;
            Ok((sent, Echo(sender)))
        });
    });
    let mut client = server.connect();
    client.send("POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(client.try_head().expect("the head comes before any content").0, 200);
    let mut writer = client.share();
    let writing = thread::spawn(move || {
        for piece in pattern(TOTAL).chunks(77_777) {
            writer.send([format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat());
        }
        writer.send("0\r\n\r\n");
    });
    assert_same(&read_chunks(&mut client), &pattern(TOTAL), "the echo");
    writing.join().expect("all was written");
    assert_eq!(client.ask("/none").status, 404, "the connection goes on");
}

// ---- other protocols ------------------------------------------------------------------------------------------------

/// An echo; and a waker for whoever wants to say something.
struct Parrot {
    wakers: Sender<Waker>,
    closed: Sender<CloseReason>,
    called: usize,
}

impl Protocol<()> for Parrot {
    fn on_data(&mut self, _: &mut (), bytes: &[u8], out: &mut Output<'_>) -> io::Result<usize> {
        out.write(bytes);
        Ok(bytes.len())
    }

    fn on_writable(&mut self, _: &mut (), out: &mut Output<'_>) -> io::Result<()> {
        if self.called == 0 {
            let _ = self.wakers.send(out.waker());
        } else if self.called == 1 {
            // Later calls say that the client has taken what it was owed.
            out.write(b"woken");
        }
        self.called += 1;
        Ok(())
    }

    fn on_drain(&mut self, _: &mut (), out: &mut Output<'_>) -> io::Result<()> {
        out.write(b"bye");
        out.close();
        Ok(())
    }

    fn on_close(self: Box<Self>, _: &mut (), why: CloseReason) {
        let _ = self.closed.send(why);
    }
}

const UPGRADE: &str =
    "GET /parrot HTTP/1.1\r\nHost: test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: parrot\r\n\r\n";

fn parrot(app: &mut Router<()>) -> (Receiver<Waker>, Receiver<CloseReason>) {
    let ((wakers, woken), (closed, ends)) = (channel(), channel());
    app.upgrade("/parrot", "parrot", move |_, _, res| {
        Ok((res, Parrot { wakers: wakers.clone(), closed: closed.clone(), called: 0 }))
    });
    (woken, ends)
}

fn start_parrot() -> (TestServer, Receiver<Waker>, Receiver<CloseReason>) {
    let (hand_out, handed_out) = channel();
    let server = TestServer::start(move |app, _| hand_out.send(parrot(app)).expect("the test waits for it"));
    let (wakers, ends) = next(&handed_out);
    (server, wakers, ends)
}

#[track_caller]
fn expect_bytes(client: &mut Client, expected: &[u8]) {
    let mut found = Vec::new();
    client.read_content(expected.len(), MIB, |_, bytes| found.extend_from_slice(bytes));
    assert_same(&found, expected, "what the protocol says");
}

#[test]
fn another_protocol_takes_over() {
    let (server, wakers, ends) = start_parrot();
    let (mut client, id) = server.connect_known();
    client.send([UPGRADE.as_bytes(), b"sent with the head"].concat());
    let (status, head) = client.try_head().expect("a head in time");
    assert_eq!(status, 101, "{head}");
    assert!(head.contains("Connection: upgrade\r\n") && head.contains("Upgrade: parrot\r\n"), "{head}");
    assert!(!head.contains("Content-Length") && !head.contains("Transfer-Encoding"), "{head}");
    expect_bytes(&mut client, b"sent with the head");
    server.log.wait_event(&Event::Upgraded(id));
    let waker = next(&wakers);
    thread::spawn(move || waker.wake());
    expect_bytes(&mut client, b"woken");

    // Much more than anything on the way can hold, and nobody reads until all is written.
    let sent = pattern(32 * MIB);
    let (mut writer, copy) = (client.share(), sent.clone());
    let writing = thread::spawn(move || writer.send(copy));
    expect_bytes(&mut client, &sent);
    writing.join().expect("all was written");
    client.half_close();
    client.expect_end();
    assert_eq!(next(&ends), CloseReason::ProtocolEnded);
}

#[test]
fn another_protocol_is_told_of_a_reset_and_of_the_drain() {
    let (server, _wakers, ends) = start_parrot();
    let mut one = server.connect();
    one.send(UPGRADE);
    assert_eq!(one.try_head().expect("a head in time").0, 101);
    one.reset();
    assert_eq!(next(&ends), CloseReason::SocketError);
    let mut two = server.connect();
    two.send(UPGRADE);
    assert_eq!(two.try_head().expect("a head in time").0, 101);
    server.handle().shutdown();
    expect_bytes(&mut two, b"bye");
    two.expect_end();
    assert_eq!(next(&ends), CloseReason::ProtocolEnded);
    server.join().expect("the drain ends well");
    assert!(ends.try_recv().is_err(), "each is told once");
}

// ---- tasks and timers -----------------------------------------------------------------------------------------------

/// A server with a state of its own, in a thread: its handle, and at its end its state.
fn serve_with<S: Clone + Send + 'static>(
    app: impl FnOnce() -> Router<S> + Send + 'static,
) -> (Handle<S>, thread::JoinHandle<S>) {
    let (started, starting) = channel();
    let thread = thread::spawn(move || {
        let server = Server::bind("127.0.0.1:0").expect("a free port").config(test_config());
        let mut running = server.start(app()).expect("a poll");
        started.send(running.handle()).expect("the test waits for it");
        while running.turn(None).expect("the poll works") {}
        running.app().state().clone()
    });
    (next(&starting), thread)
}

#[test]
fn tasks_of_many_threads_are_all_done() {
    const EACH: usize = 5_000;
    let (handle, server) = serve_with(|| Router::new([0_usize; 4]));
    let posting: Vec<_> = (0..4)
        .map(|thread| {
            let handle = handle.clone();
            thread::spawn(move || {
                for number in 0..EACH {
                    handle.post(move |counts: &mut [usize; 4]| {
                        assert_eq!(counts[thread], number, "in the order in which they were posted");
                        counts[thread] += 1;
                    });
                }
            })
        })
        .collect();
    posting.into_iter().for_each(|thread| thread.join().expect("it only posts"));
    let (tell, told) = channel();
    handle.post(move |_| tell.send(()).expect("the test waits for it"));
    next(&told);
    handle.shutdown();
    assert_eq!(server.join().expect("the server ends"), [EACH; 4]);
}

#[test]
fn timers_wake_a_loop_that_has_nothing_else_to_do() {
    let (tell, told) = channel();
    let again = tell.clone();
    let (handle, server) = serve_with(move || {
        let mut app = Router::new(0_u32);
        app.every(Duration::from_millis(20), move |count| {
            *count += 1;
            let _ = tell.send(*count);
        });
        app.after(Duration::from_millis(10), move |_| {
            let _ = again.send(0);
        });
        app
    });
    assert_eq!((next(&told), next(&told), next(&told)), (0, 1, 2));
    let (tell, later) = channel();
    handle.after(Duration::from_millis(30), move |count| {
        let _ = tell.send(*count);
    });
    assert!(next(&later) >= 2);
    let cancelled = handle.after(Duration::from_secs(3600), |_| unreachable!("it was cancelled"));
    cancelled.cancel();
    handle.shutdown();
    server.join().expect("the server ends");
}

/// Whoever polls the loop's descriptor in a loop of its own sleeps there, and not in the server's poll.
#[test]
fn a_task_did_not_wake_who_polls_the_loop_from_outside() {
    let mut running = Server::bind("127.0.0.1:0")
        .expect("a free port")
        .config(test_config())
        .start(Router::new(0_u32))
        .expect("a poll");
    let handle = running.handle();
    for expected in 1..=3 {
        assert!(running.turn(Some(Duration::ZERO)).expect("the poll works"));
        assert_eq!(running.next_deadline(), None, "it may sleep for ever");
        let handle = handle.clone();
        let posting = thread::spawn(move || handle.post(|count| *count += 1));
        let (mut poll, mut events) = (Poll::new().expect("a poll"), Events::with_capacity(8));
        let descriptor = running.as_fd().as_raw_fd();
        poll.registry().register(&mut SourceFd(&descriptor), Token(0), Interest::READABLE).expect("epoll in epoll");
        poll.poll(&mut events, Some(LIMIT)).expect("the outer poll works");
        assert!(!events.is_empty(), "the descriptor is readable");
        posting.join().expect("it only posts");
        assert!(running.turn(Some(Duration::ZERO)).expect("the poll works"));
        assert_eq!(*running.app().state(), expected);
    }
}

/// What the client has pipelined behind a request that waits is answered behind it.
#[test]
fn pipelined_requests_wait_for_a_deferred_reply() {
    let (server, responders) = start(|app, _, hand_out| defer(app, hand_out));
    let mut client = server.connect();
    client.send([get("/later/one"), get("/now"), get("/later/two"), get("/now")].concat());
    next(&responders).text("one");
    assert_eq!((client.reply().text().to_owned(), client.reply().text().to_owned()), ("one".into(), "now".into()));
    next(&responders).text("two");
    assert_eq!((client.reply().text().to_owned(), client.reply().text().to_owned()), ("two".into(), "now".into()));
}

/// Both were there before the loop looked at the connection: one event tells of both, and no other comes.
#[test]
fn a_reset_that_came_with_the_request_was_not_noticed() {
    let (gate, door) = gate();
    let (server, responders) = start(move |app, _, hand_out| {
        defer(app, hand_out);
        app.get("/gate", move |_, _, res| {
            door.pass();
            res.text("open")
        });
    });
    let (mut leaving, id) = server.connect_known();
    let mut other = server.connect();
    other.get("/gate");
    gate.wait();
    leaving.get("/later/gone");
    leaving.reset();
    gate.open();
    assert_eq!(other.reply().text(), "open");
    assert_eq!(server.log.wait_closed(id), CloseReason::SocketError);
    assert!(responders.try_iter().all(|responder| responder.is_cancelled()));
}

/// Raw TCP, for a client that sends a request and a FIN in one go.
#[test]
fn a_request_with_its_fin_gets_its_deferred_reply() {
    let (server, responders) = start(|app, _, hand_out| defer(app, hand_out));
    let mut stream = std::net::TcpStream::connect(server.address()).expect("it connects");
    stream.set_read_timeout(Some(LIMIT)).expect("a limit");
    stream.write_all(get("/later/fin").as_bytes()).expect("it is sent");
    stream.shutdown(std::net::Shutdown::Write).expect("a FIN");
    next(&responders).text("all the same");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("the whole reply");
    assert!(reply.ends_with("all the same"), "{reply}");
}

#[test]
fn a_loop_that_nobody_turns_any_more_ends_what_lives_on_it() {
    let (hand_out, handed_out) = channel();
    let (started, starting) = channel();
    let (stop, stopped) = channel::<()>();
    let thread = thread::spawn(move || {
        let mut app = Router::new(());
        let (_wakers, ends) = parrot(&mut app);
        let (aborted, aborts) = channel();
        let (resumers, _resumed) = channel();
        app.sink(Method::Post, "/halting", move |_, _| {
            Ok(Halting { bytes: 0, resumers: resumers.clone(), aborted: aborted.clone() })
        });
        defer(&mut app, hand_out);
        let server = Server::bind("127.0.0.1:0").expect("a free port").config(test_config());
        let mut running = server.start(app).expect("a poll");
        started.send(running.local_addr()).expect("the test waits for it");
        while stopped.try_recv().is_err() {
            running.turn(Some(Duration::from_millis(1))).expect("the poll works");
        }
        drop(running);
        (ends.try_iter().collect::<Vec<_>>(), aborts.try_iter().collect::<Vec<_>>())
    });
    let Some(monoloop::Endpoint::Tcp(address)) = next(&starting) else { panic!("it listens on TCP") };
    let (mut one, mut two, mut three) = (Client::tcp(address), Client::tcp(address), Client::tcp(address));
    one.send(UPGRADE);
    assert_eq!(one.try_head().expect("a head in time").0, 101);
    two.send("POST /halting HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n");
    assert_eq!(two.try_head().expect("a head in time").0, 100);
    three.get("/later/never");
    let responder: Responder = next(&handed_out);
    stop.send(()).expect("the loop looks for it");
    let (ends, aborts) = thread.join().expect("the loop ends");
    assert_eq!((ends, aborts), (vec![CloseReason::Cut], vec![Abort::Cut]));
    assert!(responder.is_cancelled());
    responder.text("nobody hears it");
}
