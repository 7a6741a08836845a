//! Content that is pushed, pulled or taken in pieces.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Instant;

use monoloop::exchange::{Abort, BodySender, Duplex, Intake, Resumer, SendError, Trailers, from_iter, try_from_iter};
use monoloop::{Method, Result};

use crate::support::{LIMIT, TestServer, assert_same, pattern};
use crate::{Halting, MIB, next, read_chunks, read_to_the_end, start};

/// The thread that pushes can be ahead by what memory and the kernel hold, and no more.
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
    // When everything is full, the thread makes no more progress.
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
fn a_thread_that_pushes_learns_that_the_client_is_gone() {
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

/// A client that cannot tell half of the content from all of it gets a reset.
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
    // Another thread calls the resumers one after the other, until all content has come.
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

/// Sends content back. If it cannot be sent yet, the client has to wait.
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
fn an_echo_comes_back_while_more_is_sent() {
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
