//! What other threads do while a test waits for it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use crate::exchange::{BodySender, BodySink, CloseReason, Intake, Responder, Response, Resumer, Sent, Trailers};
use crate::http::Method;
use crate::sse::{self, Event};
use crate::{Config, Router, TestClient};

/// A client of an application that gives each deferred request to a thread, which does `work`.
fn deferring(work: impl Fn(Responder) + Clone + Send + 'static) -> TestClient<Router<()>> {
    let mut app = Router::new(());
    app.get("/", move |_, _, res| {
        let ((sent, responder), work) = (res.defer(), work.clone());
        thread::spawn(move || work(responder));
        Ok(sent)
    });
    TestClient::new(app)
}

/// A client of an application whose content a thread pushes.
fn pushing(work: impl Fn(BodySender) + Clone + Send + 'static) -> TestClient<Router<()>> {
    let mut app = Router::new(());
    app.get("/", move |_, _, res| {
        let ((sent, sender), work) = (res.channel()?, work.clone());
        thread::spawn(move || work(sender));
        Ok(sent)
    });
    TestClient::new(app)
}

/// The message of the panic of `call`.
#[track_caller]
fn panic_of<T>(call: impl FnOnce() -> T) -> String {
    let Err(panic) = catch_unwind(AssertUnwindSafe(call)) else { panic!("it does not panic") };
    *panic.downcast::<String>().expect("the message has values in it")
}

#[test]
fn the_answer_of_a_thread_is_awaited_while_virtual_time_stands_still() {
    let (go, gate) = channel::<()>();
    let gate = std::sync::Arc::new(std::sync::Mutex::new(gate));
    let mut client = deferring(move |responder| {
        gate.lock().unwrap().recv().unwrap();
        responder.text("late");
    });
    let opener = thread::spawn(move || (0..3).for_each(|_| go.send(()).unwrap()));
    for _ in 0..3 {
        let reply = client.get("/").send();
        assert_eq!((reply.text(), reply.header("Date")), ("late", Some("Sun, 06 Nov 1994 08:49:37 GMT")));
    }
    opener.join().unwrap();
}

#[test]
fn a_responder_that_is_dropped_and_a_thread_that_panics_are_a_500() {
    assert_eq!(deferring(drop).get("/").send().status(), 500);
    assert_eq!(deferring(|_responder| panic!("on purpose")).get("/").send().status(), 500);
}

#[test]
fn an_answer_that_never_comes_fails_and_says_what_was_awaited() {
    let mut app = Router::new(None);
    app.get("/never", |kept, _, res| {
        let (sent, responder) = res.defer();
        *kept = Some(responder);
        Ok(sent)
    });
    let mut client = TestClient::new(app);
    client.set_wait_limit(Duration::from_millis(1));
    let text = panic_of(|| client.get("/never").send());
    assert!(text.starts_with("no whole reply to GET /never: \"\" came, and after 1ms of real time"), "{text}");
    assert!(text.contains("the reply is deferred, and its Responder has neither answered nor been dropped"), "{text}");
    // The test is the one that answers: then it does not wait.
    client.app_mut().state_mut().take().unwrap().text("at last");
    assert_eq!(client.read_reply().unwrap().text(), "at last");
}

#[test]
fn a_limit_of_the_reply_does_not_pass_in_real_time() {
    let mut app = Router::new(None);
    app.get("/", |kept, _, res| {
        let (sent, responder) = res.defer();
        *kept = Some(responder);
        Ok(sent)
    });
    let config = Config { reply_timeout: Duration::from_millis(1), ..Config::default() };
    let mut client = TestClient::with_config(app, config);
    client.set_wait_limit(Duration::from_millis(50));
    panic_of(|| client.get("/").send());
    assert!(client.read_reply().is_none());
    client.advance(Duration::from_secs(1));
    assert_eq!(client.read_reply().unwrap().status(), 503);
}

#[test]
fn content_that_a_thread_pushes_is_awaited_to_its_end() {
    let mut client = pushing(|sender| {
        (0..1000).for_each(|number| sender.send_blocking(format!("{number}\n")).unwrap());
        sender.finish();
    });
    let text = client.get("/").send().text().to_owned();
    assert!(text.lines().eq((0..1000).map(|number| number.to_string())));
    // More than a channel holds: the thread waits for the client, and the client for the thread.
    let mut client = pushing(|sender| {
        (0..100).for_each(|_| sender.send_blocking(vec![b'x'; 100_000]).unwrap());
        sender.finish();
    });
    assert_eq!(client.get("/").send().body().len(), 10_000_000);
}

#[test]
fn an_answer_that_begins_a_channel_is_awaited_to_its_end() {
    let mut client = deferring(|responder| {
        let sender = responder.channel(|res| res.status(201));
        sender.send_blocking("pushed").unwrap();
        sender.finish();
    });
    let reply = client.get("/").send();
    assert_eq!((reply.status(), reply.text()), (201, "pushed"));
}

#[test]
fn a_sender_that_is_dropped_cuts_the_reply() {
    let mut client = pushing(|sender| {
        sender.send_blocking("half").unwrap();
        drop(sender);
    });
    let text = panic_of(|| client.get("/").send());
    assert!(text.contains("half") && text.contains("the connection has ended"), "{text}");
    assert_eq!(client.ended(), Some(CloseReason::StreamFailed));
    assert_eq!(client.get("/").open().status(), 200, "the head came");
}

#[test]
fn content_that_does_not_end_fails_and_says_so_or_is_opened() {
    let mut client = pushing(|sender| {
        sender.send_blocking("begun").unwrap();
        std::mem::forget(sender);
    });
    client.set_wait_limit(Duration::from_millis(20));
    let text = panic_of(|| client.get("/").send());
    assert!(text.contains("the content of the reply does not end") && text.contains("use `open`"), "{text}");
    client.set_wait_limit(Duration::from_secs(10)).reconnect();
    let reply = client.get("/").open();
    assert_eq!((reply.status(), reply.body()), (200, &b""[..]));
    assert_eq!(client.read_until("begun\r\n"), b"5\r\nbegun\r\n");
}

/// Content that never pauses must not keep the test beyond its limit.
#[test]
fn content_without_an_end_is_bounded_though_it_always_comes() {
    let mut client = pushing(|sender| while sender.send_blocking("more and more").is_ok() {});
    client.set_wait_limit(Duration::from_millis(20));
    let text = panic_of(|| client.get("/").send());
    assert!(text.contains("the content of the reply does not end"), "{text}");
    assert!(text.len() < 2000, "{} bytes", text.len());
}

#[test]
fn events_of_a_thread_are_read_as_they_come() {
    let mut app = Router::new(());
    app.get("/", |_, _, res| {
        let (sent, sender) = sse::start(res)?;
        thread::spawn(move || {
            (1..=3).for_each(|number| assert!(sender.send(&Event::new(number.to_string())).unwrap()));
            sender.finish();
        });
        Ok(sent)
    });
    let mut client = TestClient::new(app);
    assert_eq!(client.get("/").open().status(), 200);
    // How many events share a chunk depends on the thread.
    assert!(client.read_until("data: 1\n\n").ends_with(b"\r\ndata: 1\n\n"));
    assert!(!client.read_until("data: 2\n\n").is_empty());
    client.read_until("\r\n0\r\n\r\n");
    let text = panic_of(|| client.read_until("data: 4"));
    assert!(text.starts_with(r#""data: 4" does not come: "" came, and no thread"#), "{text}");
}

/// Takes content, and gives a thread the end of its pause after the first piece.
struct Pausing(bool);

impl BodySink<()> for Pausing {
    fn data(&mut self, _: &mut (), _: &[u8], intake: &mut Intake<'_>) -> crate::Result<()> {
        if !std::mem::replace(&mut self.0, true) {
            let resumer: Resumer = intake.pause();
            thread::spawn(move || resumer.resume());
        }
        Ok(())
    }

    fn end(self: Box<Self>, _: &mut (), _: Trailers<'_>, res: Response<'_>) -> crate::Result<Sent> {
        res.text("taken")
    }
}

#[test]
fn a_pause_that_a_thread_ends_is_awaited() {
    let mut app = Router::new(());
    app.sink(Method::Post, "/", |_, _| Ok(Pausing(false)));
    let mut client = TestClient::new(app);
    assert_eq!(client.post("/").body(vec![b'x'; 1_000_000]).send().text(), "taken");
}

#[test]
fn what_no_thread_can_mend_fails_at_once() {
    let (end, gate): (_, Receiver<()>) = channel();
    let mut app = Router::new(());
    app.post("/", |_, _, res| res.empty());
    let mut client = TestClient::new(app);
    client.set_wait_limit(Duration::MAX);
    let text = panic_of(|| client.post("/").header("Content-Length", "10").body("short").send());
    assert!(text.ends_with("the connection has ended: None"), "{text}");
    drop((end, gate));
}

#[test]
fn tasks_of_other_threads_are_done_while_the_test_waits_for_what_they_do() {
    let mut client = TestClient::new(Router::new(0));
    let handle = client.handle();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let handle = handle.clone();
            thread::spawn(move || (0..100).for_each(|_| handle.post(|count| *count += 1)))
        })
        .collect();
    client.wait_until(|app| *app.state() == 400);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    client.wait_until(|app| *app.state() == 400);
}

#[test]
fn a_state_that_does_not_come_fails_within_the_limit() {
    let mut client = TestClient::new(Router::new(0));
    let handle = client.handle();
    client.set_wait_limit(Duration::from_millis(20));
    let text = panic_of(|| client.wait_until(|app| *app.state() == 1));
    assert_eq!(text, "what the test waits for did not become true within 20ms of real time");
    handle.post(|count| *count += 1);
    client.wait_until(|app| *app.state() == 1);
    // A task that always posts another one must not keep the test beyond its limit.
    fn again(handle: crate::Handle<i32>) {
        let next = handle.clone();
        handle.post(move |_| drop(thread::spawn(move || again(next))));
    }
    again(handle);
    panic_of(|| client.wait_until(|app| *app.state() == 2));
}

#[test]
fn a_handler_and_its_thread_post_and_shut_down() {
    let mut app = Router::new(Vec::new());
    let handle = app.handle();
    app.post("/stop", move |log: &mut Vec<&str>, _, res| {
        log.push("handler");
        handle.post(|log| log.push("task"));
        handle.shutdown();
        let (sent, responder) = res.defer();
        let handle = handle.clone();
        thread::spawn(move || {
            handle.post(|log| log.push("thread"));
            responder.text("stopping");
        });
        Ok(sent)
    });
    let mut client = TestClient::new(app);
    assert_eq!(client.post("/stop").send().text(), "stopping");
    client.wait_until(|app| app.state().len() == 3);
    assert_eq!(client.app().state()[..], ["handler", "task", "thread"]);
    assert!(client.handle().is_draining() && client.is_half_closed());
}
