//! Rooms: which members get a message, in which order, and which ones count.

use std::rc::Rc;

use super::probe::{all, app_with, calls, client, closed, join, open, secs, text};
use crate::TestClient;
use crate::testing::{TestMessage, TestSocket};

#[test]
fn a_message_reaches_all_members_once_and_nobody_else() {
    let mut client = client();
    let [mut ann, mut bob] = ["ann", "bob"].map(|name| join(&mut client, name));
    let mut eve = open(&mut client, "eve");
    ann.send(&mut client, "join 0;say 0 hello");
    for member in [&mut ann, &mut bob] {
        assert_eq!(all(member), [text("hello")]);
    }
    assert_eq!(all(&mut eve), []);
    eve.send(&mut client, "say 0 from outside;leave 0");
    assert_eq!((all(&mut ann), all(&mut eve)), (vec![text("from outside")], vec![]));
    assert_eq!(calls(&mut client)[3..5], ["ann message join 0;say 0 hello", "2 have taken it"]);
}

#[test]
fn the_author_can_be_left_out() {
    let mut client = client();
    let [mut ann, mut bob] = ["ann", "bob"].map(|name| join(&mut client, name));
    ann.send(&mut client, "others 0 hello");
    assert_eq!((all(&mut ann), all(&mut bob)), (vec![], vec![text("hello")]));
    let mut eve = open(&mut client, "eve");
    eve.send(&mut client, "others 0 from outside");
    assert_eq!((all(&mut ann), all(&mut bob)), (vec![text("from outside")], vec![text("from outside")]));
    eve.send(&mut client, "join 1;others 0 from another room");
    assert_eq!((all(&mut ann).len(), all(&mut bob).len(), all(&mut eve).len()), (1, 1, 0));
}

#[test]
fn the_size_is_right_at_each_moment() {
    let mut client = client();
    let sizes = |client: &super::probe::Client| client.app().state().sizes();
    let mut ann = open(&mut client, "ann");
    ann.send(&mut client, "join 0;join 0;join 1;leave 2");
    assert_eq!(sizes(&client), [1, 1, 0]);
    let mut bob = join(&mut client, "bob");
    assert_eq!(sizes(&client), [2, 1, 0]);
    ann.send(&mut client, "leave 0;leave 0");
    assert_eq!(sizes(&client), [1, 1, 0]);
    ann.send(&mut client, "join 0;say 0 x;leave 0;join 0;close 1000;join 0;join 2;leave 0");
    assert_eq!(sizes(&client), [1, 0, 0], "who closes has left");
    assert_eq!(all(&mut ann), [text("x"), closed(1000, "")], "what was given before goes first");
    bob.cut(&mut client);
    assert_eq!(sizes(&client), [0, 0, 0]);
    let mut carl = join(&mut client, "carl");
    assert_eq!(sizes(&client), [1, 0, 0]);
    carl.half_close(&mut client);
    assert_eq!(sizes(&client), [0, 0, 0]);
}

#[test]
fn a_room_closes_all_its_members_after_what_they_were_given() {
    let mut client = client();
    let [mut ann, mut bob] = ["ann", "bob"].map(|name| join(&mut client, name));
    bob.send(&mut client, "join 1");
    let mut eve = open(&mut client, "eve");
    eve.send(&mut client, "say 0 last;shut 0 4000 closing time;say 0 too late");
    let sizes = client.app().state().sizes();
    assert_eq!(sizes, [0, 0, 0]);
    for socket in [&mut ann, &mut bob] {
        assert_eq!(all(socket), [text("last"), closed(4000, "closing time")]);
        socket.close(&mut client, 4000, "");
    }
    assert_eq!(all(&mut eve), []);
    let ends: Vec<String> = calls(&mut client).into_iter().filter(|call| call.contains("close")).collect();
    assert_eq!(ends, ["ann", "bob"].map(|name| format!("{name} close 4000 \"closing time\" clean ProtocolEnded")));
    eve.send(&mut client, "join 0;shut 0 1005 no such code");
    assert_eq!(client.app().state().sizes(), [0, 0, 0], "eve has failed");
    assert_eq!(all(&mut eve), [closed(1011, "Internal error")]);
}

#[test]
fn whatever_happens_in_which_order_the_size_is_that_of_a_set() {
    let mut client = client();
    let mut sockets: Vec<Option<TestSocket>> = (0..12).map(|at| Some(open(&mut client, &at.to_string()))).collect();
    let mut rooms = [const { Vec::<usize>::new() }; 3];
    // A sequence without a pattern that repeats soon, the same in each run.
    let mut random = 1_u32;
    let mut next = |below: usize| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 16) as usize % below
    };
    for _ in 0..3_000 {
        let (at, room) = (next(12), next(3));
        let Some(socket) = &mut sockets[at] else {
            sockets[at] = Some(open(&mut client, &at.to_string()));
            continue;
        };
        match next(12) {
            0..5 => {
                socket.send(&mut client, &format!("join {room}"));
                if !rooms[room].contains(&at) {
                    rooms[room].push(at);
                }
            }
            5..8 => {
                socket.send(&mut client, &format!("leave {room}"));
                rooms[room].retain(|member| *member != at);
            }
            8..10 => {
                sockets.iter_mut().flatten().for_each(|socket| drop(all(socket)));
                sockets[at].as_mut().unwrap().send(&mut client, &format!("say {room} x"));
                for (at, socket) in sockets.iter_mut().enumerate() {
                    let got = socket.as_mut().map_or(0, |socket| all(socket).len());
                    assert_eq!(got, usize::from(rooms[room].contains(&at)));
                }
            }
            how => {
                match how {
                    10 => socket.cut(&mut client),
                    _ => socket.send(&mut client, "close 1000"),
                }
                sockets[at] = None;
                rooms.iter_mut().for_each(|room| room.retain(|member| *member != at));
            }
        }
        assert_eq!(client.app().state().sizes(), rooms.each_ref().map(Vec::len));
    }
}

#[test]
fn the_order_is_the_same_for_each_member_across_rooms() {
    let mut client = client();
    let [mut ann, mut bob] = ["ann", "bob"].map(|name| join(&mut client, name));
    for member in [&mut ann, &mut bob] {
        member.send(&mut client, "join 1");
    }
    for round in 0..10 {
        bob.send(&mut client, &format!("say 0 {round}a;say 1 {round}b;say 0 {round}c"));
    }
    let wanted: Vec<_> = (0..10).flat_map(|round| ["a", "b", "c"].map(|at| text(&format!("{round}{at}")))).collect();
    assert_eq!((all(&mut ann), all(&mut bob)), (wanted.clone(), wanted));
}

#[test]
fn what_a_handler_sends_itself_goes_before_what_it_gives_to_a_room_in_that_call() {
    let mut client = client();
    let mut ann = join(&mut client, "ann");
    ann.send(&mut client, "say 0 second;echo first");
    assert_eq!(all(&mut ann), [text("first"), text("second")]);
}

#[test]
fn a_socket_can_say_something_when_it_opens_and_when_it_has_ended() {
    let mut client = client();
    let mut ann = join(&mut client, "ann");
    let mut bob = client.websocket("/ws?name=bob&open=join+0;say+0+hi&close=say+bye").open();
    assert_eq!((all(&mut ann), all(&mut bob)), (vec![text("hi")], vec![text("hi")]));
    bob.close(&mut client, 1000, "");
    assert_eq!((all(&mut ann), all(&mut bob)), (vec![text("bye")], vec![closed(1000, "")]));
    let mut carl = client.websocket("/ws?name=carl&open=join+0&close=panic").open();
    carl.cut(&mut client);
    assert_eq!(client.app().state().sizes(), [1, 0, 0]);
}

#[test]
fn a_room_is_reached_from_http_and_from_timers() {
    let mut app = app_with(|route| route);
    app.post("/say", |world, req, res| {
        let taken = world.rooms[0].send(&String::from_utf8_lossy(req.body()).into_owned());
        res.text(taken.to_string())
    });
    app.every(secs(7), |world| _ = world.rooms[0].send("tick"));
    let mut client = TestClient::new(app);
    let [mut ann, mut bob] = ["ann", "bob"].map(|name| join(&mut client, name));
    assert_eq!(client.post("/say").body("from HTTP").send().text(), "2");
    client.advance(secs(15));
    for member in [&mut ann, &mut bob] {
        assert_eq!(all(member), ["from HTTP", "tick", "tick"].map(text));
    }
}

#[test]
fn large_and_binary_messages_are_shared() {
    let mut app = app_with(|route| route);
    app.post("/bytes", |world, req, res| {
        world.rooms[0].send(req.body());
        world.rooms[0].send(&vec![1; 100_000]);
        world.rooms[0].send("");
        res.empty()
    });
    let mut client = TestClient::new(app);
    let mut members: Vec<_> = (0..1_000).map(|at| join(&mut client, &at.to_string())).collect();
    client.post("/bytes").body(vec![7; 20_000]).send();
    let wanted = [TestMessage::Binary(vec![7; 20_000]), TestMessage::Binary(vec![1; 100_000]), text("")];
    for member in &mut members {
        assert_eq!(all(member), wanted);
    }
    members.iter_mut().step_by(2).for_each(|member| member.cut(&mut client));
    assert_eq!(client.app().state().sizes(), [500, 0, 0]);
    client.post("/bytes").send();
    assert!(members.iter_mut().skip(1).step_by(2).all(|member| all(member).len() == 3));
}

/// A socket that lives long joins many rooms that live shortly.
#[test]
fn a_socket_forgets_a_room_that_is_gone() {
    use crate::websocket::{Message, Room, Slow, Socket, WebSocket};

    struct Player;

    impl WebSocket<Vec<Room>> for Player {
        fn message(&mut self, games: &mut Vec<Room>, _: Message<'_>, ws: &mut Socket<'_>) -> crate::Result<()> {
            let mut game = Room::new(Slow::Drop);
            game.join(ws);
            game.send("welcome");
            *games = vec![game];
            let rooms = ws.known_member().map_or(0, |member| Rc::clone(member).rooms());
            ws.send(&rooms.to_string())
        }
    }

    let mut app = crate::Router::new(Vec::new());
    app.websocket("/ws", |_, _, offer| Ok((offer, Player)));
    let mut client = TestClient::new(app);
    let mut socket = client.websocket("/ws").open();
    for _ in 0..3 {
        socket.send(&mut client, "next");
        assert_eq!(all(&mut socket), ["1", "welcome"].map(text));
        assert_eq!(client.app().state()[0].len(), 1);
    }
    socket.cut(&mut client);
    assert_eq!(client.app().state()[0].len(), 0);
}
