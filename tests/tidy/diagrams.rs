//! The pictures of docs/diagrams/ that are drawn from the text of the sources: the rooms and their walls, and the tick.

use std::collections::{BTreeMap, BTreeSet};

use crate::sources::{crate_paths, library, read, reexports, word};
use crate::svg::Side::{Bottom, Left, Right, Top};
use crate::svg::{Edge, Node, Picture, Side, check};
use crate::walls::LAYERS;

const COMMAND: &str = "cargo test --test tidy diagrams";

// ---- the rooms ------------------------------------------------------------------------------------------------------

const fn room(name: &'static str, kind: &'static str, text: &'static str, at: (f64, f64)) -> Node {
    Node { name, text, kind, at, size: (158.0, 62.0) }
}

/// The rooms of the library, which are the folders and files of `src/`. The guides have no code, so they are no room.
const ROOMS: [Node; 18] = [
    room("testing", "other", "a loop in memory", (223.0, 206.0)),
    room("server", "end", "sockets and the loop", (496.0, 96.0)),
    room("recording", "other", "what a server did", (36.0, 206.0)),
    room("sessions", "work", "turns and deadlines", (36.0, 316.0)),
    room("websocket", "other", "one more protocol", (223.0, 316.0)),
    room("multipart", "other", "forms with files", (410.0, 316.0)),
    room("middleware", "other", "guards and CORS", (597.0, 316.0)),
    room("files", "other", "static files", (784.0, 316.0)),
    room("h1", "work", "one connection", (128.0, 432.0)),
    room("sse", "other", "server-sent events", (410.0, 432.0)),
    room("router", "work", "from path to handler", (644.0, 432.0)),
    room("exchange", "work", "request and reply", (410.0, 542.0)),
    room("wire", "work", "HTTP/1.1 as bytes", (410.0, 638.0)),
    room("buffer", "work", "bytes that wait", (410.0, 734.0)),
    room("http", "go", "the vocabulary", (410.0, 830.0)),
    room("config", "go", "the settings", (597.0, 830.0)),
    room("fault", "go", "errors with no logger", (36.0, 830.0)),
    room("limits", "go", "every constant", (410.0, 926.0)),
];

/// What the colour of a room says.
const KINDS: [(&str, &str); 4] = [
    ("end", "the loop, which knows the kernel"),
    ("work", "each request passes through"),
    ("other", "for some programs only"),
    ("go", "the ground, which all may know"),
];

/// Which room names which, by all the sources.
fn known() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let layer = |name: &str| LAYERS.into_iter().find(|layer| *layer == name);
    let reexports = reexports();
    let mut known = BTreeMap::<_, BTreeSet<_>>::new();
    for file in library() {
        let from = layer(file.module()).unwrap_or_else(|| panic!("LAYERS has no place for {}", file.name));
        let of_from = known.entry(from).or_default();
        for named in file.code().flat_map(|(_, text)| crate_paths(text)) {
            let home = reexports.iter().find(|(name, _)| *name == named).map_or(named, |(_, home)| home.as_str());
            of_from.extend(layer(home).filter(|home| *home != from));
        }
    }
    known
}

/// All rooms that a room knows, also those that it knows only through others.
fn reached<'a>(known: &BTreeMap<&'a str, BTreeSet<&'a str>>, from: &str) -> BTreeSet<&'a str> {
    let direct = &known[from];
    direct.iter().copied().chain(direct.iter().flat_map(|room| reached(known, room))).collect()
}

#[test]
fn the_picture_of_the_rooms_shows_which_knows_which() {
    let known = known();
    let without_code: Vec<_> = known.iter().filter(|(_, rooms)| rooms.is_empty()).map(|(room, _)| *room).collect();
    assert_eq!(without_code, ["guide", "limits"], "of these rooms the picture leaves out the guide alone");
    let (drawn, rooms): (BTreeSet<_>, BTreeSet<_>) =
        (ROOMS.iter().map(|room| room.name).collect(), known.keys().copied().filter(|room| *room != "guide").collect());
    assert_eq!(drawn, rooms, "give each room its place in ROOMS in tests/tidy/diagrams.rs");

    let mut edges = Vec::new();
    for (from, to) in known.iter().flat_map(|(from, rooms)| rooms.iter().map(|to| (*from, *to))) {
        let through_another = known[from].iter().any(|other| *other != to && reached(&known, other).contains(to));
        if !through_another {
            edges.push(edge_down(from, to));
        }
    }
    let list = edges.iter().map(|edge| format!("{} knows {}", edge.from, edge.to)).collect::<Vec<_>>().join(", ");
    let mut picture = Picture::new(
        (980.0, 1024.0),
        "The rooms of the library and their walls",
        "Drawn from LAYERS in tests/tidy/walls.rs and from each `crate::` in src/",
        &format!("The folders of src/, each above those that it knows. {list}."),
    );
    picture.graph(&ROOMS, &edges);
    picture.text(
        "small",
        (640.0, 594.0),
        "start",
        "An arrow leads from a room to one that it knows.\nWhat it knows through another room, too,\nhas no arrow \
         of its own. No arrow leads up.",
    );
    picture.text(
        "small",
        (640.0, 664.0),
        "start",
        "Only server knows mio, sockets and signals.\nThe command is a crate of its own above all rooms.",
    );
    picture.legend((150.0, 590.0), &KINDS);
    check("rooms.svg", &picture.finish(), COMMAND);
}

/// The line from a room to one below it. Lines that meet at a room are spread over its side.
fn edge_down(from: &'static str, to: &'static str) -> Edge {
    let place = |name| ROOMS.iter().find(|room| room.name == name).expect("each room is in ROOMS").at;
    let ((x, y), (below_x, below_y)) = (place(from), place(to));
    assert!(y < below_y, "{from} knows {to}, so the picture must show it above");
    let aside = ((below_x - x) / 1000.0).clamp(-0.35, 0.35);
    // Another room is below `wire`.
    let out = if (from, to) == ("wire", "config") { Right(0.5) } else { Bottom(0.5 + aside) };
    Edge { from, to, cause: "", out, into: Top(0.5 - aside), bend: 46.0, label: (0.0, 0.0) }
}

// ---- the tick -------------------------------------------------------------------------------------------------------

const fn part(name: &'static str, kind: &'static str, text: &'static str, column: f64, y: f64) -> Node {
    Node { name, text, kind, at: (32.0 + 188.0 * column, y), size: (164.0, 78.0) }
}

/// The parts of a tick, in their order.
const TICK: [Node; 13] = [
    part("wait", "go", "sleeps until an event\nor a deadline", 0.0, 96.0),
    part("read_clock", "work", "its reading is the\ntime of the tick", 1.0, 96.0),
    part("take_events", "work", "notes what the kernel\nhas reported", 2.0, 96.0),
    part("accept", "work", "takes the connections\nthat wait", 3.0, 96.0),
    part("pump_runnable", "work", "gives the sessions\ntheir turns", 4.0, 96.0),
    part("take_post", "other", "delivers letters, and\nruns posted tasks", 4.0, 208.0),
    part("run_timers", "other", "runs the timers of\nthe application", 4.0, 320.0),
    part("expire_deadlines", "end", "ends what is overdue", 4.0, 432.0),
    part("relieve", "end", "ends sessions while\nmemory is short", 3.0, 432.0),
    part("drain", "end", "takes the next step\nof a drain", 2.0, 432.0),
    part("reap", "end", "removes the sessions\nthat have ended", 1.0, 432.0),
    part("announce_sleep", "gone", "from now on, letters\nmust wake the loop", 0.0, 432.0),
    part("tell_tick", "gone", "tells the observers,\nif there are any", 0.0, 264.0),
];

/// Calls in the function `tick` that are no parts of it.
const NO_PARTS: [&str; 5] = ["now", "part", "inspect", "mailbox", "is_some"];

/// The methods that the function `tick` calls or gives to `part`, in their order.
fn calls_of_tick() -> Vec<String> {
    let source = read("src/server/event_loop.rs");
    let (_, rest) = source.split_once("fn tick").expect("there is a tick");
    let body = rest.split_once("\n    }\n").expect("it ends").0;
    let mut calls = Vec::new();
    for line in body.lines().skip(1) {
        for (at, _) in line.match_indices('.') {
            let name = word(&line[at + 1..]);
            if line[at + 1 + name.len()..].starts_with('(') {
                calls.push(name.to_owned());
            }
        }
        calls.extend(line.split_once("Self::").map(|(_, method)| word(method).to_owned()));
    }
    calls
}

#[test]
fn the_picture_of_the_tick_shows_its_calls() {
    let mut calls = calls_of_tick();
    calls.retain(|call| !NO_PARTS.contains(&&**call));
    let parts = TICK.map(|part| part.name);
    assert_eq!(calls, parts, "put each call of `EventLoop::tick` into TICK or NO_PARTS in tests/tidy/diagrams.rs");

    let mut picture = Picture::new(
        (980.0, 542.0),
        "One tick of the event loop",
        "Drawn from EventLoop::tick in src/server/event_loop.rs",
        &format!("A circle of calls, one after the other: {}, and again from the beginning.", parts.join(", ")),
    );
    let next = TICK.iter().skip(1).chain(&TICK[..1]);
    let edges: Vec<Edge> = TICK.iter().zip(next).map(|(from, to)| edge_between(from, to)).collect();
    picture.graph(&TICK, &edges);
    picture.text("title", (490.0, 262.0), "middle", "Only wait sleeps.");
    picture.text(
        "",
        (490.0, 292.0),
        "middle",
        "All other parts do what there is to do, without waiting.\nEach ends when its time is over. What is left makes \
         the next\npoll return at once, so nobody waits for long.",
    );
    check("tick.svg", &picture.finish(), COMMAND);
}

fn edge_between(from: &Node, to: &Node) -> Edge {
    let ((x, y), (next_x, next_y)) = (from.at, to.at);
    let (out, into): (Side, Side) = if x == next_x {
        if next_y > y { (Bottom(0.5), Top(0.5)) } else { (Top(0.5), Bottom(0.5)) }
    } else if next_x > x {
        (Right(0.5), Left(0.5))
    } else {
        (Left(0.5), Right(0.5))
    };
    Edge { from: from.name, to: to.name, cause: "", out, into, bend: 8.0, label: (0.0, 0.0) }
}
