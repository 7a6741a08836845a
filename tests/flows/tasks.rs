//! Tasks that threads post to the loop, and timers.

use std::os::fd::{AsFd, AsRawFd};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use monoloop::server::Handle;
use monoloop::{Router, Server, TestClient, Workers};

use crate::next;
use crate::support::{LIMIT, test_config};

/// Runs a server with a state in a thread. Returns its handle, and the thread, which returns the state at the end.
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
        app.once(Duration::from_millis(10), move |_| {
            let _ = again.send(0);
        });
        app
    });
    assert_eq!((next(&told), next(&told), next(&told)), (0, 1, 2));
    let (tell, later) = channel();
    handle.once(Duration::from_millis(30), move |count| {
        let _ = tell.send(*count);
    });
    assert!(next(&later) >= 2);
    let cancelled = handle.once(Duration::from_secs(3600), |_| unreachable!("it was cancelled"));
    cancelled.cancel();
    handle.shutdown();
    server.join().expect("the server ends");
}

/// A program that polls the loop's descriptor in its own loop sleeps in that poll, and not in the server's.
#[test]
fn a_task_did_not_wake_a_program_that_polls_the_loop_itself() {
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

/// Serves in a thread, and returns the state once the server has ended.
fn serve_to_the_end<S: Clone + Send + 'static>(app: impl FnOnce() -> Router<S> + Send + 'static) -> S {
    let (tell, told) = channel();
    thread::spawn(move || {
        let server = Server::bind("127.0.0.1:0").expect("a free port").config(test_config());
        let mut running = server.start(app()).expect("a poll");
        while running.turn(None).expect("the poll works") {}
        tell.send(running.app().state().clone()).expect("the test waits for it");
    });
    next(&told)
}

#[test]
fn what_is_posted_before_the_start_is_done_after_it() {
    let state = serve_to_the_end(|| {
        let mut app = Router::new(Vec::new());
        let handle = app.handle();
        for number in 0..3 {
            handle.post(move |list: &mut Vec<u32>| list.push(number));
        }
        let last = handle.clone();
        let _timer = handle.once(Duration::from_millis(1), move |list| {
            list.push(3);
            last.shutdown();
        });
        app.state_mut().push(100);
        app
    });
    assert_eq!(state, [100, 0, 1, 2, 3]);
}

#[test]
fn a_shutdown_before_the_start_ends_the_server_when_it_starts() {
    let is_draining = serve_to_the_end(|| {
        let mut app = Router::new(false);
        let handle = app.handle();
        assert!(!handle.is_draining());
        handle.shutdown();
        *app.state_mut() = handle.is_draining();
        app
    });
    assert!(is_draining);
}

#[test]
fn a_router_that_is_served_as_a_service_has_a_handle_that_works() {
    let (tell, told) = channel();
    thread::spawn(move || {
        let mut app = Router::new(0);
        let (handle, stopping) = (app.handle(), app.handle());
        handle.post(|count| *count += 1);
        let _timer = app.once(Duration::from_millis(1), move |_| {
            let last = stopping.clone();
            stopping.post(move |count| {
                *count += 1;
                last.shutdown();
            });
        });
        let server = Server::bind("127.0.0.1:0").expect("a free port").config(test_config());
        let result = server.run_service(&mut app);
        tell.send((result.is_ok(), *app.state())).expect("the test waits for it");
    });
    assert_eq!(next(&told), (true, 2));
}

#[test]
fn a_worker_can_stop_all_workers_by_the_handle_of_its_application() {
    let (tell, told) = channel();
    let workers = Workers::bind("127.0.0.1:0", 2).expect("a free port").config(test_config());
    thread::spawn(move || {
        let result = workers.run(|worker, server| {
            let app = Router::new(());
            if worker == 1 {
                app.handle().shutdown();
            }
            server.start(app)
        });
        tell.send(result.is_ok()).expect("the test waits for it");
    });
    assert!(next(&told));
}

#[test]
fn handlers_post_tasks_and_stop_the_server_also_in_a_test_client() {
    let mut app = Router::new(0);
    let (posting, stopping) = (app.handle(), app.handle());
    app.get("/post", move |count, _, res| {
        posting.post(|count| *count += 1);
        res.text(count.to_string())
    });
    app.get("/stop", move |_, _, res| {
        stopping.shutdown();
        res.text("bye")
    });
    let handle = app.handle();
    let mut client = TestClient::new(app);
    assert_eq!(client.get("/post").send().text(), "0");
    assert_eq!((client.get("/post").send().text(), handle.is_draining()), ("1", false));
    assert_eq!(client.get("/stop").send().status(), 200);
    client.advance(Duration::ZERO);
    assert!(handle.is_draining() && client.is_half_closed());
}
