//! No descriptor is free.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use monoloop::Server;
use rustix::process::{Resource, getrlimit};

use crate::support::{Client, Event, FewDescriptors, Log, SocketPath, TestServer, gate, in_a_process_of_its_own};
use crate::{A_SECOND, ACCEPT_PAUSE, ByHand, Kind, OUT_OF_DESCRIPTORS, any_file, basics, descriptors};

#[test]
fn without_a_free_descriptor_accepting_pauses_and_goes_on() {
    in_a_process_of_its_own("descriptors::without_a_free_descriptor_accepting_pauses_and_goes_on", || {
        run_out_of_descriptors(Kind::Tcp);
        run_out_of_descriptors(Kind::Unix);
    });
}

fn run_out_of_descriptors(kind: Kind) {
    let mut server = ByHand::start(|_, _| {});
    let before = descriptors();
    let mut first = server.connect(kind);
    server.ask(&mut first);
    let waiting = server.queue(kind, 3);
    let few = FewDescriptors::leave(0);
    server.turn_until("descriptors run out", |server| server.troubles() > 0);
    for _ in 0..100 {
        server.turn();
        assert_eq!(server.running.next_deadline(), Some(ACCEPT_PAUSE), "it does not spin");
    }
    assert_eq!(server.troubles(), 1, "nothing is tried again too early");
    server.ask(&mut first);

    server.hand.advance(ACCEPT_PAUSE);
    server.turn();
    assert_eq!(server.troubles(), 2, "it is tried again after the pause");

    // A client that leaves makes room at once and without a pause: one descriptor at its end, and one at the server's.
    drop(first);
    server.turn_until("the slot is freed", |server| server.closed() == 1);
    assert_eq!(server.opened(), 1);
    assert_eq!(server.running.next_deadline(), Some(Duration::ZERO), "it goes on at once");
    server.turn();
    assert_eq!((server.opened(), server.troubles()), (3, 3), "for the third there is no descriptor");

    // With a higher limit the waiting client is served too: the listener was not lost.
    drop(few);
    server.hand.advance(ACCEPT_PAUSE);
    server.turn();
    assert_eq!((server.opened(), server.troubles()), (4, 3));
    for (i, mut client) in waiting.into_iter().enumerate() {
        server.reply(&mut client, &format!("hello {i}"));
    }
    server.close_all();
    assert_eq!(descriptors(), before, "none is lost");
}

#[test]
fn a_descriptor_that_someone_else_gives_back_is_found_by_the_timer() {
    in_a_process_of_its_own("descriptors::a_descriptor_that_someone_else_gives_back_is_found_by_the_timer", || {
        find_descriptors(Kind::Tcp);
        find_descriptors(Kind::Unix);
    });
}

fn find_descriptors(kind: Kind) {
    let (ours, theirs) = (any_file(), Mutex::new(Some(any_file())));
    let mut server = ByHand::start(|app, _| {
        app.get("/release", move |_, _, res| {
            drop(theirs.lock().expect("no one panics").take());
            res.text("released")
        });
    });
    let mut first = server.connect(kind);
    server.ask(&mut first);
    let mut waiting = server.queue(kind, 2);
    let _few = FewDescriptors::leave(0);
    server.turn_until("descriptors run out", |server| server.troubles() > 0);

    // Another thread gives the descriptor back. The loop cannot know of that before it tries.
    thread::spawn(|| drop(ours)).join().expect("it is closed");
    for _ in 0..20 {
        server.turn();
    }
    assert_eq!(server.opened(), 1);
    server.hand.advance(ACCEPT_PAUSE);
    server.turn();
    assert_eq!((server.opened(), server.troubles()), (2, 2));
    server.reply(&mut waiting[0], "hello 0");

    // A handler gives the descriptor back.
    first.get("/release");
    server.reply(&mut first, "released");
    assert_eq!(server.opened(), 2);
    server.hand.advance(ACCEPT_PAUSE);
    server.turn();
    assert_eq!(server.opened(), 3);
    server.reply(&mut waiting[1], "hello 1");
}

#[test]
fn without_a_free_descriptor_no_listener_is_lost() {
    in_a_process_of_its_own("descriptors::without_a_free_descriptor_no_listener_is_lost", || {
        let mut server = ByHand::start(|_, _| {});
        let waiting = [Kind::Tcp, Kind::Unix].map(|kind| server.queue(kind, 3));
        let few = FewDescriptors::leave(0);
        for pauses in 1..=3 {
            for _ in 0..20 {
                server.turn();
                assert_eq!(server.running.next_deadline(), Some(ACCEPT_PAUSE), "it does not spin");
            }
            assert_eq!(server.troubles(), 2 * pauses, "each is tried once and then pauses");
            server.hand.advance(ACCEPT_PAUSE);
        }
        drop(few);
        server.turn();
        assert_eq!(server.opened(), 6);
        for clients in waiting {
            for (i, mut client) in clients.into_iter().enumerate() {
                server.reply(&mut client, &format!("hello {i}"));
            }
        }
    });
}

// ---- some are kept for the application ------------------------------------------------------------------------------

#[test]
fn connections_do_not_take_the_descriptors_that_are_kept_for_files() {
    in_a_process_of_its_own("descriptors::connections_do_not_take_the_descriptors_that_are_kept_for_files", || {
        keep_descriptors(Kind::Tcp);
        keep_descriptors(Kind::Unix);
    });
}

fn keep_descriptors(kind: Kind) {
    const CLIENTS: usize = 24;
    let before = descriptors();
    // The limit must be known when the server starts. The poll and the listeners take some more, and each client takes
    // one at either end.
    let few = FewDescriptors::leave(60);
    let limit = getrlimit(Resource::Nofile).current.expect("it was set") as usize;
    let mut server = ByHand::start(|app, _| app.reserve_descriptors(1));
    let reserve = limit / 8;
    let mut waiting = server.queue(kind, CLIENTS);
    let held: Vec<File> = (descriptors()..limit - reserve - 5).map(|_| any_file()).collect();
    server.turn_until("it has no descriptor to spare", |server| troubles_of(&server.log) > 0);
    let opened = server.opened();
    assert!((3..=8).contains(&opened) && opened < CLIENTS, "{opened} are served");
    let free: Vec<File> = (0..reserve - 2).map(|_| any_file()).collect();
    drop(free);
    for _ in 0..100 {
        server.turn();
        assert_eq!(server.running.next_deadline(), Some(ACCEPT_PAUSE), "it does not spin");
    }
    assert_eq!(
        (troubles_of(&server.log), server.troubles(), server.opened()),
        (1, 0, opened),
        "nothing is tried too early"
    );

    // A client that leaves makes room for one, or for two with its own end. Then those that are kept are left again.
    let first = waiting.remove(0);
    drop(first);
    server.turn_until("another is served", |server| server.opened() > opened);
    let opened = server.opened();
    // Files of others go, and the timer notices it.
    drop(held);
    server.hand.advance(ACCEPT_PAUSE);
    server.turn_until("all are served", |server| server.opened() == CLIENTS);
    assert!(opened < CLIENTS && server.troubles() == 0);
    for (i, mut client) in waiting.into_iter().enumerate() {
        server.reply(&mut client, &format!("hello {}", i + 1));
    }
    server.close_all();
    drop(server);
    drop(few);
    assert_eq!(descriptors(), before, "none is lost");
}

#[test]
fn a_drain_serves_all_that_wait_while_descriptors_are_kept_for_files() {
    let name = "descriptors::a_drain_serves_all_that_wait_while_descriptors_are_kept_for_files";
    in_a_process_of_its_own(name, || {
        let (gate, door) = gate();
        let _few = FewDescriptors::leave(60);
        let limit = getrlimit(Resource::Nofile).current.expect("it was set") as usize;
        let server = TestServer::start(move |app, config| {
            basics(app);
            config.raise_descriptor_limit = false;
            app.reserve_descriptors(1);
            app.get("/gate", move |_, _, res| {
                door.pass();
                res.text("open")
            });
        });
        let mut blocker = server.connect();
        blocker.get("/gate");
        gate.wait();
        let mut waiting: Vec<Client> = (0..8).map(|_| server.connect()).collect();
        for (i, client) in waiting.iter_mut().enumerate() {
            client.get(&format!("/hello/{i}"));
            client.wait_delivered();
        }
        // Some of them find a descriptor.
        let _held: Vec<File> = (descriptors()..limit - limit / 8 - 3).map(|_| any_file()).collect();
        server.handle().shutdown();
        gate.open();
        assert_eq!(blocker.reply().text(), "open");
        server.log.wait_event(&Event::Trouble(None));
        drop(blocker);
        for (i, mut client) in waiting.into_iter().enumerate() {
            assert_eq!(client.reply().text(), format!("hello {i}"));
            client.expect_eof();
        }
        assert_eq!(server.log.count(|event| *event == OUT_OF_DESCRIPTORS), 0);
        server.join().expect("the drain ends before its timeout");
    });
}

/// How often the server had no descriptor to spare, although some were free.
fn troubles_of(log: &Log) -> usize {
    log.count(|event| *event == Event::Trouble(None))
}

// ---- the same in real time ------------------------------------------------------------------------------------------

#[test]
fn while_clients_wait_for_a_descriptor_the_loop_sleeps() {
    in_a_process_of_its_own("descriptors::while_clients_wait_for_a_descriptor_the_loop_sleeps", || {
        sleep_without(Kind::Tcp)
    });
}

#[test]
fn while_clients_of_a_unix_socket_wait_for_a_descriptor_the_loop_sleeps() {
    let name = "descriptors::while_clients_of_a_unix_socket_wait_for_a_descriptor_the_loop_sleeps";
    in_a_process_of_its_own(name, || sleep_without(Kind::Unix));
}

/// This waits a second, since it measures what the loop does while nothing happens.
fn sleep_without(kind: Kind) {
    /// The number of clients that find a descriptor at first.
    const FREE: usize = 3;
    const CLIENTS: usize = 12;
    const PERIOD: Duration = Duration::from_secs(1);
    let before = descriptors();
    let path = SocketPath::new();
    let (gate, door) = gate();
    let server = {
        let path = path.path().to_owned();
        let bind = move || match kind {
            Kind::Tcp => Server::bind("127.0.0.1:0"),
            Kind::Unix => Server::bind_unix(path),
        };
        TestServer::start_on(bind, move |app, config| {
            basics(app);
            config.raise_descriptor_limit = false;
            app.get("/gate", move |_, _, res| {
                door.pass();
                res.text("open")
            });
        })
    };
    let connect = || match kind {
        Kind::Tcp => server.connect(),
        Kind::Unix => Client::unix(path.path()),
    };
    let mut blocker = connect();
    blocker.get("/gate");
    gate.wait();
    let mut clients = Vec::new();
    for i in 0..CLIENTS {
        let mut client = connect();
        client.get(&format!("/hello/{i}"));
        clients.push(client);
    }
    let processor_time = ProcessorTime::new();
    let held = any_file();
    let few = FewDescriptors::leave(FREE as u64);
    gate.open();
    assert_eq!(blocker.reply().text(), "open");
    let mut clients = clients.into_iter().enumerate();
    let mut served = Vec::new();
    for (i, mut client) in clients.by_ref().take(FREE) {
        assert_eq!(client.reply().text(), format!("hello {i}"));
        served.push(client);
    }

    // The others wait in the backlog. One tick comes at the end of each pause, and a few more for what was on its way.
    let troubles = || server.log.count(|event| *event == OUT_OF_DESCRIPTORS);
    server.log.wait_event(&OUT_OF_DESCRIPTORS);
    let before_it = (troubles(), server.log.ticks(), processor_time.used());
    let start = Instant::now();
    thread::sleep(PERIOD);
    let (troubles, ticks) = (troubles() - before_it.0, server.log.ticks() - before_it.1);
    let (used, elapsed) = (processor_time.used() - before_it.2, start.elapsed());
    let pauses = (elapsed.as_millis() / ACCEPT_PAUSE.as_millis()) as usize + 1;
    assert!(troubles <= pauses, "tried {troubles} times in {elapsed:?}");
    assert!(ticks <= pauses + 4, "{ticks} ticks in {elapsed:?}");
    assert!(used * 5 <= elapsed, "{used:?} of {elapsed:?} on the processor");
    let opened = |event: &Event| matches!(event, Event::Opened(..));
    assert_eq!(server.log.count(opened), 1 + FREE, "no one else is taken meanwhile");

    // Another thread gives back one more descriptor, and a client that leaves frees one more slot.
    let (i, mut client) = clients.next().expect("some wait");
    let freed = Instant::now();
    thread::spawn(|| drop(held)).join().expect("it is closed");
    assert_eq!(client.reply().text(), format!("hello {i}"));
    let taken = freed.elapsed();
    assert!(taken < A_SECOND, "it took {taken:?}");
    served.push(client);
    let (i, mut client) = clients.next().expect("some wait");
    let freed = Instant::now();
    drop(blocker);
    assert_eq!(client.reply().text(), format!("hello {i}"));
    let taken = freed.elapsed();
    assert!(taken < A_SECOND, "it took {taken:?}");
    served.push(client);

    // Now each client that has its reply leaves, and its descriptors go to the others.
    drop(served);
    for (i, mut client) in clients {
        assert_eq!(client.reply().text(), format!("hello {i}"));
    }
    assert_eq!(server.log.count(opened), 1 + CLIENTS);
    drop(few);
    server.handle().shutdown();
    server.join().expect("it drains");
    drop(processor_time);
    assert_eq!(descriptors(), before, "none is lost");
}

/// The processor time of this process. The file is open before descriptors run out.
struct ProcessorTime(File);

impl ProcessorTime {
    #[track_caller]
    fn new() -> Self {
        Self(File::open("/proc/self/stat").expect("Linux has it"))
    }

    /// It advances in steps of 10 ms.
    #[track_caller]
    fn used(&self) -> Duration {
        let mut room = [0; 1024];
        let count = self.0.read_at(&mut room, 0).expect("it can be read again");
        let text = String::from_utf8_lossy(&room[..count]);
        // The name of the program is in parentheses; utime and stime are the 12th and 13th field after it.
        let (_, fields) = text.rsplit_once(") ").expect("the fields are those of proc(5)");
        let times = fields.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().expect("a number"));
        Duration::from_millis(10 * times.sum::<u64>())
    }
}
