//! The pictures of docs/diagrams/, drawn from the tables of steps. Each pair of phases or states is looked up, so a
//! changed table changes its picture, and a step without a cause fails.

#[path = "../../../../tests/support/svg.rs"]
mod svg;

use super::*;
use svg::Side::{Bottom, Left, Right, Top};
use svg::{Edge, Node, Picture, Side, check, check_edges};

const COMMAND: &str = "cargo test --lib diagrams";

const fn node(name: &'static str, kind: &'static str, text: &'static str, at: (f64, f64), size: (f64, f64)) -> Node {
    Node { name, text, kind, at, size }
}

const fn edge(
    (from, out): (&'static str, Side),
    (to, into): (&'static str, Side),
    bend: f64,
    label: (f64, f64),
    cause: &'static str,
) -> Edge {
    Edge { from, to, cause, out, into, bend, label }
}

/// The steps that a table allows between samples, by the names of both.
fn steps<T: ToString>(samples: &[T], leads_to: impl Fn(&T, &T) -> bool) -> Vec<(String, String)> {
    // All samples of an exchange are one phase.
    let name = |sample: &T| sample.to_string().split('(').next().unwrap_or_default().to_owned();
    let mut steps = Vec::new();
    for from in samples {
        for to in samples.iter().filter(|to| leads_to(from, to)) {
            let step = (name(from), name(to));
            if !steps.contains(&step) {
                steps.push(step);
            }
        }
    }
    steps
}

// ---- the phases -----------------------------------------------------------------------------------------------------

const PHASES: [Node; 6] = [
    node("Head", "go", "between two requests,\nor within a head", (110.0, 214.0), (164.0, 84.0)),
    node("Exchange", "work", "content or reply\nis still to come", (386.0, 116.0), (188.0, 84.0)),
    node("Upgraded", "other", "another protocol\nhas taken over", (386.0, 342.0), (188.0, 84.0)),
    node("Ending", "end", "the last reply\nis in the queue", (680.0, 214.0), (164.0, 84.0)),
    node("HalfClosed", "end", "all is sent, and our\nside is closed", (680.0, 410.0), (164.0, 84.0)),
    node("Closed", "gone", "the socket can go", (680.0, 596.0), (164.0, 66.0)),
];

const PHASE_EDGES: [Edge; 9] = [
    edge(
        ("Head", Top(0.8)),
        ("Exchange", Left(0.3)),
        60.0,
        (-8.0, -12.0),
        "its content or its reply\nis still to come",
    ),
    edge(("Exchange", Left(0.75)), ("Head", Right(0.22)), 60.0, (36.0, 14.0), "content done, reply whole"),
    edge(
        ("Head", Right(0.82)),
        ("Ending", Left(0.6)),
        60.0,
        (0.0, 0.0),
        "no reply follows: the client has closed its side,\nits time is over, or it has broken a rule",
    ),
    edge(("Head", Bottom(0.5)), ("Upgraded", Left(0.5)), 70.0, (-34.0, 22.0), "101 is queued"),
    edge(("Exchange", Right(0.5)), ("Ending", Top(0.5)), 60.0, (24.0, -14.0), "the last reply is whole"),
    edge(("Upgraded", Right(0.5)), ("Ending", Left(0.88)), 50.0, (6.0, 24.0), "the protocol\nhas ended"),
    edge(
        ("Ending", Bottom(0.5)),
        ("HalfClosed", Top(0.5)),
        20.0,
        (0.0, 0.0),
        "all is sent, and the client\nmay still be sending",
    ),
    edge(
        ("Ending", Right(0.5)),
        ("Closed", Right(0.5)),
        80.0,
        (0.0, 0.0),
        "all is sent,\nand the client\nhas nothing\nmore to send",
    ),
    edge(
        ("HalfClosed", Bottom(0.5)),
        ("Closed", Top(0.5)),
        20.0,
        (0.0, 10.0),
        "the client closes its side,\nor its time is over",
    ),
];

/// In these phases it can happen that the socket fails, or that a reply cannot go on. One line is for all of them.
const FAILING: [&str; 3] = ["Head", "Exchange", "Upgraded"];

#[test]
fn the_picture_of_the_phases_shows_their_table() {
    let failing = FAILING.map(|phase| (phase, "Closed", "it fails"));
    let drawn = PHASE_EDGES.iter().map(|edge| (edge.from, edge.to, edge.cause)).chain(failing);
    check_edges(&steps(&phases(), Phase::leads_to), drawn);

    let mut picture = Picture::new(
        (980.0, 690.0),
        "The phases of a connection",
        "Drawn from Phase::leads_to in src/h1/connection/phase.rs",
        "Six boxes: Head, Exchange, Upgraded, Ending, HalfClosed, Closed. Head leads to Exchange and back, to \
         Upgraded, and to Ending. Exchange and Upgraded lead to Ending. Ending leads to HalfClosed or Closed, and \
         HalfClosed leads to Closed. Every phase leads to Closed if the socket fails.",
    );
    picture.rect("frame", (26.0, 84.0), (928.0, 446.0));
    let begin = (48.0, 256.0);
    picture.text("small", (74.0, 247.0), "middle", "accept");
    picture.curve("line", (begin, Right(0.0)), ((110.0, 256.0), Left(0.0)), 10.0);
    let (out, into) = ((130.0, 214.0), (172.0, 214.0));
    picture.curve("faint", (out, Top(0.0)), (into, Top(0.0)), 52.0);
    picture.label((130.0, 152.0), "answered at once:\nno step");
    picture.curve("line", ((300.0, 530.0), Bottom(0.0)), ((680.0, 629.0), Left(0.0)), 96.0);
    picture.label((400.0, 598.0), "from any of these phases:\nthe socket fails, or a reply cannot go on");
    picture.graph(&PHASES, &PHASE_EDGES);
    check("phases.svg", &picture.finish(), COMMAND);
}

// ---- the exchange ---------------------------------------------------------------------------------------------------

const CONTENT: [Node; 5] = [
    node("Collected", "work", "kept until\nit is whole", (60.0, 140.0), (170.0, 78.0)),
    node("Taken", "work", "a sink takes it\npiece by piece", (60.0, 300.0), (170.0, 78.0)),
    node("Discarded", "work", "thrown away, to keep\nthe connection", (390.0, 400.0), (180.0, 78.0)),
    node("Done", "go", "all has come", (710.0, 140.0), (170.0, 78.0)),
    node("Unread", "end", "not read any more", (710.0, 300.0), (170.0, 78.0)),
];

const CONTENT_EDGES: [Edge; 7] = [
    edge(("Collected", Right(0.35)), ("Done", Left(0.35)), 80.0, (0.0, 0.0), "all has come, and the handler is called"),
    edge(("Collected", Right(0.75)), ("Unread", Left(0.25)), 150.0, (-150.0, -32.0), "too long, broken or late"),
    edge(("Taken", Right(0.25)), ("Done", Left(0.75)), 150.0, (-150.0, 32.0), "the sink has all"),
    edge(
        ("Taken", Right(0.6)),
        ("Unread", Left(0.6)),
        80.0,
        (-110.0, 8.0),
        "broken, late, or the sink has failed\nwith much to come",
    ),
    edge(
        ("Taken", Bottom(0.5)),
        ("Discarded", Left(0.5)),
        60.0,
        (-6.0, 22.0),
        "the sink has failed\nwith little to come",
    ),
    edge(("Discarded", Right(0.4)), ("Unread", Bottom(0.4)), 60.0, (0.0, 14.0), "it comes too slowly"),
    edge(("Discarded", Top(0.6)), ("Done", Bottom(0.3)), 66.0, (62.0, -34.0), "all has come"),
];

const REPLY: [Node; 5] = [
    node("Unbegun", "work", "the application makes\nit, or is to be asked", (60.0, 580.0), (180.0, 78.0)),
    node("Awaited", "work", "it was put off", (60.0, 760.0), (180.0, 78.0)),
    node("Streaming", "work", "its content is\nbeing produced", (390.0, 760.0), (180.0, 78.0)),
    node("Whole", "go", "in the queue,\nall of it", (710.0, 580.0), (170.0, 78.0)),
    node("Last", "end", "in the queue, and\nnone follows", (710.0, 760.0), (170.0, 78.0)),
];

const REPLY_EDGES: [Edge; 9] = [
    edge(("Unbegun", Bottom(0.3)), ("Awaited", Top(0.3)), 30.0, (-2.0, 0.0), "the handler\nhas deferred it"),
    edge(("Awaited", Top(0.7)), ("Unbegun", Bottom(0.7)), 30.0, (22.0, 0.0), "an answer\nhas come"),
    edge(("Unbegun", Right(0.8)), ("Streaming", Top(0.3)), 70.0, (-62.0, -8.0), "the handler has\nbegun a stream"),
    edge(("Unbegun", Right(0.25)), ("Whole", Left(0.25)), 80.0, (0.0, 0.0), "finished by the handler"),
    edge(("Unbegun", Right(0.5)), ("Last", Left(0.25)), 190.0, (42.0, 24.0), "finished, and\nthe connection ends"),
    edge(("Streaming", Right(0.25)), ("Whole", Bottom(0.3)), 70.0, (42.0, -36.0), "the source\nhas ended"),
    edge(("Streaming", Right(0.7)), ("Last", Left(0.7)), 40.0, (0.0, 24.0), "ended, and the\nconnection ends"),
    edge(("Whole", Bottom(0.7)), ("Last", Top(0.7)), 30.0, (0.0, 0.0), "the content fails\nafter that"),
    edge(("Last", Bottom(0.35)), ("Last", Bottom(0.65)), 40.0, (0.0, 12.0), "another reason to end counts more"),
];

#[test]
fn the_picture_of_an_exchange_shows_both_tables_and_their_pairs() {
    let machines = Machines::new();
    let causes = |edges: &'static [Edge]| edges.iter().map(|edge| (edge.from, edge.to, edge.cause));
    check_edges(&steps(&machines.contents, ContentState::leads_to), causes(&CONTENT_EDGES));
    check_edges(&steps(&machines.replies, ReplyState::leads_to), causes(&REPLY_EDGES));

    let mut picture = Picture::new(
        (980.0, 1226.0),
        "The two machines of an exchange",
        "Drawn from ContentState::leads_to, ReplyState::leads_to, Exchange::is_possible and outcome in \
         src/h1/connection/",
        "Above, the states of the content: Collected, Taken, Discarded, Done, Unread. In the middle, the states of the \
         reply: Unbegun, Awaited, Streaming, Whole, Last. Below, a table of all pairs: content is collected only while \
         the reply is unbegun; the exchange is over when the content is done and the reply is whole. An exchange can \
         begin in any of these states; dots in the table show with which pairs.",
    );
    picture.rect("frame", (26.0, 84.0), (928.0, 430.0));
    picture.text("small", (44.0, 108.0), "start", "the content of the request");
    picture.rect("frame", (26.0, 532.0), (928.0, 384.0));
    picture.text("small", (936.0, 556.0), "end", "the reply");
    for (nodes, edges) in [(CONTENT, &CONTENT_EDGES[..]), (REPLY, &REPLY_EDGES[..])] {
        picture.graph(&nodes, edges);
    }
    draw_beginnings(&mut picture, &machines);
    draw_pairs(&mut picture, machines);
    check("exchange.svg", &picture.finish(), COMMAND);
}

/// Where an exchange can begin: each such state has a short arrow from a dot.
fn draw_beginnings(picture: &mut Picture, machines: &Machines) {
    let first = machines.first();
    let contents = first.iter().map(|pair| machines.contents[pair.0].to_string());
    let names: Vec<String> = contents.chain(first.iter().map(|pair| machines.replies[pair.1].to_string())).collect();
    for node in CONTENT.iter().chain(&REPLY).filter(|node| names.iter().any(|name| name == node.name)) {
        let ((x, y), (w, h)) = (node.at, node.size);
        match node.name {
            "Collected" | "Taken" | "Unbegun" | "Awaited" => picture.beginning((x, y + h / 2.0), Left(0.5)),
            "Discarded" | "Streaming" => picture.beginning((x + w / 2.0, y + h), Bottom(0.5)),
            _ => picture.beginning((x + w, y + h / 2.0), Right(0.5)),
        }
    }
    picture.text("label", (920.0, 162.0), "middle", "no content");
    picture.text("label", (886.0, 398.0), "middle", "answered already,\nmuch to come");
    picture.text("label", (492.0, 500.0), "start", "answered already, little to come");
    picture.text(
        "small",
        (44.0, 880.0),
        "start",
        "An arrow from a dot: an exchange can begin in this state. The reply begins as Unbegun\nif the content is \
         collected first, and else as what the handler has left.",
    );
}

/// The table of all pairs: what becomes of an exchange with this content and this reply.
fn draw_pairs(picture: &mut Picture, machines: Machines) {
    const AT: (f64, f64) = (200.0, 984.0);
    const CELL: (f64, f64) = (148.0, 44.0);
    picture.text(
        "small",
        (32.0, 946.0),
        "start",
        "which pairs are possible, and what they mean; an exchange can begin with those that have a dot",
    );
    let place = |column: usize, row: usize| (AT.0 + CELL.0 * column as f64, AT.1 + CELL.1 * row as f64);
    for (column, reply) in machines.replies.iter().enumerate() {
        let (x, y) = place(column, 0);
        picture.text("name", (x + CELL.0 / 2.0 - 4.0, y - 12.0), "middle", &reply.to_string());
    }
    let first = machines.first();
    let mut exchange = Exchange::default();
    let mut replies = machines.replies;
    for (row, content) in machines.contents.into_iter().enumerate() {
        let (x, y) = place(0, row);
        picture.text("name", (x - 16.0, y + CELL.1 / 2.0 + 3.0), "end", &content.to_string());
        exchange.content = content;
        for (column, reply) in replies.iter_mut().enumerate() {
            std::mem::swap(&mut exchange.reply, reply);
            let (kind, text) = match (exchange.is_possible(), outcome(&exchange.content, &exchange.reply)) {
                (false, _) => ("none", "not possible"),
                (true, Outcome::Open) => ("work", "it goes on"),
                (true, Outcome::NextRequest) => ("go", "the next request"),
                (true, Outcome::Last(_)) => ("end", "the connection ends"),
            };
            std::mem::swap(&mut exchange.reply, reply);
            let (x, y) = place(column, row);
            picture.rect(&format!("box {kind}"), (x, y), (CELL.0 - 8.0, CELL.1 - 8.0));
            picture.text("small", (x + CELL.0 / 2.0 - 4.0, y + CELL.1 / 2.0), "middle", text);
            if first.contains(&(row, column)) {
                picture.dot((x + 9.0, y + 9.0));
            }
        }
    }
}
