//! The tables of steps: every state can be reached, every exchange can end, and nothing comes back from the end.

mod diagrams;

use std::time::UNIX_EPOCH;

use super::exchange::{Exchange, Outcome, outcome};
use super::incoming::Flow;
use super::phase::{Phase, Search};
use super::states::{Awaiting, ContentState, Discarding, Ending, ReplyState, Streaming};
use super::upgraded::Upgraded;
use crate::buffer::{OutputQueue, Pace};
use crate::exchange::{CloseReason, LiveKey, Mailbox, Reply, RequestFacts, Response, Rest, from_iter};
use crate::http::Moment;
use crate::wire::Framing;

/// The reply of a loop, from which samples are made.
fn new_reply() -> Reply {
    Reply::new(None, 0, UNIX_EPOCH, Mailbox::new(|| {}))
}

/// One value of each state of content.
fn contents() -> Vec<ContentState> {
    let (address, pace) = (new_reply().address(), Pace::default());
    let flow = Flow::new(LiveKey(0), address, Framing::Chunked, 0, pace, Moment::ZERO);
    vec![
        ContentState::Collected(Box::default()),
        ContentState::Taken(Box::new(flow)),
        ContentState::Discarded(Discarding { left: 1, pace }),
        ContentState::Unread,
        ContentState::Done,
    ]
}

/// One value of each state of a reply, and one for each kind of a whole reply.
fn replies() -> Vec<ReplyState> {
    let (mut reply, mut output) = (new_reply(), OutputQueue::default());
    let (since, close, takes_trailers) = (Moment::ZERO, None, false);
    reply.begin(RequestFacts::unknown(None), output.mark());
    let (draft, address) = (reply.put_aside(), reply.address());
    let awaiting =
        Awaiting { address: address.clone(), draft, waited: None, since, close, takes_trailers, account: None };
    reply.begin(RequestFacts::unknown(None), output.mark());
    let source = from_iter(std::iter::empty::<&str>());
    let _sent = Response::new(&mut reply, &mut output).stream(source).expect("nothing is wrong with the head");
    let Some(Rest::Stream(stream)) = reply.take_rest() else { panic!("the reply goes on as a stream") };
    let streaming = Streaming {
        address,
        stream,
        method: None,
        status: 200,
        account: None,
        since,
        close,
        drained: false,
        silent: false,
    };
    vec![
        ReplyState::Unbegun,
        ReplyState::Awaited(Box::new(awaiting)),
        ReplyState::Streaming(Box::new(streaming)),
        ReplyState::Whole(None),
        ReplyState::Whole(Some(Ending::at_once(CloseReason::NotPersistent))),
    ]
}

type Pair = (usize, usize);

/// All states of an exchange, as positions in the samples of both machines.
struct Machines {
    contents: Vec<ContentState>,
    replies: Vec<ReplyState>,
}

impl Machines {
    fn new() -> Self {
        Self { contents: contents(), replies: replies() }
    }

    /// The pairs with which an exchange begins, as `admission` and `head` open it.
    fn first(&self) -> Vec<Pair> {
        let begins = |&(content, reply): &Pair| match (&self.contents[content], &self.replies[reply]) {
            // Content that is collected waits for its reply, and a sink may have a reply of any kind.
            (ContentState::Collected(_), reply) => matches!(reply, ReplyState::Unbegun),
            (ContentState::Taken(_), reply) => !matches!(reply, ReplyState::Unbegun),
            // Any other content leaves an exchange open only if the reply goes on, or the content is to be thrown away.
            (ContentState::Discarded(_), ReplyState::Whole(None)) => true,
            (_, reply) => matches!(reply, ReplyState::Awaited(_) | ReplyState::Streaming(_)),
        };
        self.pairs().filter(begins).collect()
    }

    fn pairs(&self) -> impl Iterator<Item = Pair> {
        let replies = self.replies.len();
        (0..self.contents.len()).flat_map(move |content| (0..replies).map(move |reply| (content, reply)))
    }

    fn is_open(&self, (content, reply): Pair) -> bool {
        outcome(&self.contents[content], &self.replies[reply]) == Outcome::Open
    }

    /// The pairs to which one step of one machine leads.
    fn steps(&self, (content, reply): Pair) -> impl Iterator<Item = Pair> {
        self.pairs().filter(move |&(next_content, next_reply)| {
            let content_steps = self.contents[content].leads_to(&self.contents[next_content]) && next_reply == reply;
            let reply_steps = self.replies[reply].leads_to(&self.replies[next_reply]) && next_content == content;
            // While the application makes the reply, it is `Unbegun` and its content stays as it is.
            content_steps || reply_steps
        })
    }

    /// Every pair that can be reached from `from`, in the order in which it is found.
    fn reached(&self, mut from: Vec<Pair>) -> Vec<Pair> {
        let mut at = 0;
        while let Some(&pair) = from.get(at) {
            let new: Vec<Pair> = self.steps(pair).filter(|next| !from.contains(next)).collect();
            from.extend(new);
            at += 1;
        }
        from
    }
}

#[test]
fn every_state_of_an_exchange_can_be_reached_and_every_exchange_can_end() {
    let machines = Machines::new();
    let reached = machines.reached(machines.first());
    for (content, state) in machines.contents.iter().enumerate() {
        assert!(reached.iter().any(|pair| pair.0 == content), "no exchange reaches {state}");
    }
    for (reply, state) in machines.replies.iter().enumerate() {
        assert!(reached.iter().any(|pair| pair.1 == reply), "no exchange reaches {state}");
    }
    for pair in reached {
        let ends = machines.reached(vec![pair]).into_iter().any(|next| !machines.is_open(next));
        assert!(ends, "{} and {} never end", machines.contents[pair.0], machines.replies[pair.1]);
    }
}

#[test]
fn an_exchange_is_over_when_its_content_is_done_and_its_reply_is_whole() {
    let machines = Machines::new();
    for pair in machines.pairs() {
        let (content, reply) = (&machines.contents[pair.0], &machines.replies[pair.1]);
        let expected = match (content, reply) {
            (ContentState::Done, ReplyState::Whole(None)) => Outcome::NextRequest,
            (ContentState::Done, ReplyState::Whole(Some(ending))) => Outcome::Last(*ending),
            // What the client still sends must not cost it the reply.
            (ContentState::Discarded(_) | ContentState::Unread, ReplyState::Whole(Some(ending))) => {
                Outcome::Last(Ending { linger: true, ..*ending })
            }
            (ContentState::Unread, ReplyState::Whole(None)) => {
                Outcome::Last(Ending::lingering(CloseReason::ContentUnread))
            }
            _ => Outcome::Open,
        };
        assert_eq!(outcome(content, reply), expected, "{content} and {reply}");
    }
}

/// A sample of each phase, and samples of an exchange that goes on, that is over, and whose reply is the last one.
fn phases() -> Vec<Phase> {
    // A new phase does not compile here, so that it gets a sample below, and with it a place in the picture.
    let _: fn(&Phase) = |phase| match phase {
        Phase::Head(_) | Phase::Exchange(_) | Phase::Upgraded(_) => {}
        Phase::Ending { .. } | Phase::HalfClosed { .. } | Phase::Closed { .. } => {}
    };
    let exchange = |content, reply| Phase::Exchange(Box::new(Exchange { content, reply }));
    let reason = CloseReason::HandlerClosed;
    let ending = Ending::at_once(reason);
    vec![
        Phase::Head(Search::default()),
        exchange(ContentState::Collected(Box::default()), ReplyState::Unbegun),
        exchange(ContentState::Done, ReplyState::Whole(None)),
        exchange(ContentState::Done, ReplyState::Whole(Some(ending))),
        Phase::Upgraded(Box::new(Upgraded::new(LiveKey(0), new_reply().address().ticket, Moment::ZERO))),
        Phase::ending(ending, false),
        Phase::HalfClosed { reason, left: 0 },
        Phase::closed(reason),
    ]
}

#[test]
fn the_phases_follow_each_other_as_the_picture_says() {
    let leads: Vec<String> = phases()
        .iter()
        .map(|from| {
            let next: Vec<String> =
                phases().iter().filter(|next| from.leads_to(next)).map(ToString::to_string).collect();
            format!("{from}: {}", next.join(", "))
        })
        .collect();
    let any = "Exchange(Collected, Unbegun), Exchange(Done, Whole), Exchange(Done, Last)";
    assert_eq!(
        leads,
        [
            format!("Head: {any}, Upgraded, Ending, Closed"),
            "Exchange(Collected, Unbegun): Closed".to_owned(),
            "Exchange(Done, Whole): Head, Ending, Closed".to_owned(),
            "Exchange(Done, Last): Ending, Closed".to_owned(),
            "Upgraded: Ending, Closed".to_owned(),
            "Ending: HalfClosed, Closed".to_owned(),
            "HalfClosed: Closed".to_owned(),
            "Closed: ".to_owned(),
        ]
    );
}

#[test]
fn nothing_comes_back_from_the_end() {
    for from in phases().iter().rev().take(3) {
        for next in phases().iter().take(5) {
            assert!(!from.leads_to(next), "{from} leads to {next}");
        }
    }
}
