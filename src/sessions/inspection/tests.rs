//! What a real loop shows only for a moment: queues that are not empty, and connections that have ended.

use super::{Queue, QueueLengths};
use crate::exchange::{Observer, Watch};
use crate::limits::TURN_REQUESTS;
use crate::testing::VirtualLoop;
use crate::{Config, Router};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn each_connection_says_in_which_queue_it_waits() {
    let mut app = Router::new(());
    app.get("/", |(), _, res| res.text("hi"));
    let mut virtual_loop = VirtualLoop::new(Config::default());
    let [greedy, polite, idle] = [(); 3].map(|()| virtual_loop.connect());
    for connected in [&polite, &greedy] {
        virtual_loop.act(connected, &mut app, |wire| wire.inbound.extend(GET.bytes()));
    }
    // One uses up its turn, and then two more have events.
    virtual_loop.deliver(&greedy, |wire| wire.inbound.extend(GET.repeat(5 * TURN_REQUESTS).bytes()));
    virtual_loop.sessions_mut().pump_runnable(&mut app);
    virtual_loop.deliver(&polite, |wire| wire.inbound.extend(GET.bytes()));
    virtual_loop.deliver(&idle, |wire| wire.inbound.extend(GET.bytes()));
    let sessions = virtual_loop.sessions();
    let queues: Vec<_> = sessions.views().map(|view| (view.slot, view.queue)).collect();
    let expected = [(greedy.key, Some(Queue::UsedUp)), (polite.key, Some(Queue::Polite)), (idle.key, Some(Queue::New))];
    assert_eq!(queues, expected);
    let lengths = QueueLengths { polite: 1, new: 1, used_up: 1, ..QueueLengths::default() };
    assert_eq!(sessions.queue_lengths(), lengths);
    assert!(sessions.views().any(|view| view.readable));

    virtual_loop.turn(&mut app);
    assert_eq!(virtual_loop.sessions().queue_lengths(), QueueLengths::default());
    assert!(virtual_loop.sessions().views().all(|view| view.queue.is_none() && view.deadline.is_some()));
}

#[test]
fn a_connection_that_has_ended_is_shown_until_it_is_reaped() {
    let mut app = Router::new(());
    let mut virtual_loop = VirtualLoop::new(Config::default());
    let _connected = virtual_loop.connect();
    virtual_loop.sessions_mut().cut();
    let sessions = virtual_loop.sessions();
    let views: Vec<_> = sessions.views().map(|view| (view.phase, view.deadline)).collect();
    assert_eq!(views, [(crate::h1::PhaseName::Closed, None)]);
    assert_eq!(sessions.queue_lengths().ended, 1);
    virtual_loop.sessions_mut().reap(&mut app);
    assert_eq!(virtual_loop.sessions().views().count(), 0);
}

#[test]
fn when_the_last_observer_has_gone_a_request_costs_what_it_did_before() {
    struct Nothing;
    impl Observer for Nothing {}

    let mut app = Router::new(());
    app.get("/", |(), _, res| res.text("hi"));
    let mut virtual_loop = VirtualLoop::new(Config::default());
    let connected = virtual_loop.connect();
    let [first, second] = [(); 2].map(|()| {
        let watch = &mut virtual_loop.sessions_mut().watch;
        watch.lend(Watch::new(vec![Box::new(Nothing)]))
    });
    for (leaving, is_kept) in [(first, true), (second, false)] {
        virtual_loop.act(&connected, &mut app, |wire| wire.inbound.extend(GET.bytes()));
        let sessions = virtual_loop.sessions_mut();
        assert!(sessions.reply.account.is_kept);
        assert!(sessions.remove_observer(leaving) && !sessions.remove_observer(leaving));
        assert_eq!((sessions.watch.is_some(), sessions.reply.account.is_kept), (is_kept, is_kept));
    }
}
