//! Members of rooms whose clients do not take what they are sent.

use super::probe::{Client, all, calls, client, closed, join, open, secs, text};
use crate::exchange::CloseReason;
use crate::limits::{CHANNEL_BYTES, HIGH_WATER};
use crate::testing::{TestMessage, TestSocket};

/// Sends messages of 1 KiB to a room, each in a call of its own.
fn flood(client: &mut Client, author: &mut TestSocket, room: usize, count: usize) {
    let message = format!("say {room} {}", "m".repeat(1024));
    (0..count).for_each(|_| author.send(client, &message));
}

/// Most messages of 1 KiB that a member may hold: in its inbox, in its output, the ones that cross the marks, and those
/// that give it a chance.
const MOST: usize = (CHANNEL_BYTES + HIGH_WATER) / 1024 + 4;

#[test]
fn a_slow_member_is_dropped_with_1013_and_the_others_lose_nothing() {
    let mut client = client();
    let [mut slow, mut good] = ["slow", "good"].map(|name| join(&mut client, name));
    let mut author = open(&mut client, "author");
    slow.set_window(&mut client, 0);
    flood(&mut client, &mut author, 0, 300);
    assert_eq!(all(&mut good).len(), 300);
    let world = client.app().state();
    assert_eq!((world.sizes(), world.rooms[0].dropped(), world.rooms[0].skipped()), ([1, 0, 0], 1, 0));
    slow.set_window(&mut client, usize::MAX);
    let got = all(&mut slow);
    assert_eq!(got.last(), Some(&closed(1013, "the client is too slow")));
    let whole = TestMessage::Text("m".repeat(1024));
    let taken = got.iter().filter(|message| **message == whole).count();
    assert!((100..=MOST).contains(&taken) && taken == got.len() - 1, "{taken} of {}", got.len());
    let said = calls(&mut client).iter().filter(|call| *call == "2 have taken it").count();
    assert_eq!(said, taken, "it gets all that was taken for it");
    slow.close(&mut client, 1013, "");
    assert_eq!(calls(&mut client), ["slow close 1013 \"the client is too slow\" clean ProtocolEnded"]);
}

#[test]
fn a_slow_member_is_skipped_until_it_has_taken_half() {
    let mut client = client();
    let mut slow = open(&mut client, "slow");
    slow.send(&mut client, "join 1");
    let mut author = open(&mut client, "author");
    slow.set_window(&mut client, 0);
    flood(&mut client, &mut author, 1, 300);
    let world = client.app().state();
    let skipped = world.rooms[1].skipped() as usize;
    assert_eq!((world.sizes(), world.rooms[1].dropped()), ([0, 1, 0], 0));
    assert!((300 - MOST..200).contains(&skipped), "{skipped} were skipped");
    slow.set_window(&mut client, usize::MAX);
    assert_eq!(all(&mut slow).len(), 300 - skipped);
    flood(&mut client, &mut author, 1, 10);
    assert_eq!((all(&mut slow).len(), slow.ended()), (10, None));
    assert_eq!(client.app().state().rooms[1].skipped() as usize, skipped);
}

/// A client that has taken nothing of what its own handler has sent is as slow as any other.
#[test]
fn a_member_that_is_full_of_its_own_messages_is_slow() {
    for own in ["fill", "bytes 200000"] {
        let mut client = client();
        let mut slow = join(&mut client, "slow");
        let mut author = open(&mut client, "author");
        slow.set_window(&mut client, 0);
        slow.send(&mut client, own);
        flood(&mut client, &mut author, 0, 300);
        let world = client.app().state();
        assert_eq!((world.sizes(), world.rooms[0].dropped()), ([0, 0, 0], 1), "{own}");
    }
}

#[test]
fn a_dropped_member_leaves_its_other_rooms_too() {
    let mut client = client();
    let mut slow = join(&mut client, "slow");
    slow.send(&mut client, "join 1;join 2");
    let mut author = open(&mut client, "author");
    slow.set_window(&mut client, 0);
    flood(&mut client, &mut author, 0, 300);
    let world = client.app().state();
    assert_eq!((world.sizes(), world.rooms.each_ref().map(|room| room.dropped())), ([0, 0, 0], [1, 0, 0]));
    assert_eq!(slow.ended(), None, "it has its time to take what it is owed");
}

#[test]
fn a_dropped_member_cannot_join_again() {
    let mut client = client();
    let mut slow = join(&mut client, "slow");
    let mut author = open(&mut client, "author");
    slow.set_window(&mut client, 0);
    flood(&mut client, &mut author, 0, 300);
    // Its handler is called in the turn in which the rest leaves.
    slow.send(&mut client, "join 0");
    slow.set_window(&mut client, usize::MAX);
    assert_eq!(client.app().state().sizes(), [0, 0, 0]);
    assert_eq!(all(&mut slow).last(), Some(&closed(1013, "the client is too slow")));
}

#[test]
fn a_dropped_member_that_takes_nothing_is_cut_when_it_does_not_answer_in_time() {
    let mut client = client();
    let mut slow = join(&mut client, "slow");
    let mut author = open(&mut client, "author");
    slow.set_window(&mut client, 0);
    flood(&mut client, &mut author, 0, 300);
    client.advance(secs(4));
    assert_eq!(slow.ended(), None);
    client.advance(secs(2));
    assert_eq!(slow.ended(), Some(CloseReason::ProtocolEnded));
    let end = "slow close 1013 \"the client is too slow\" unclean ProtocolEnded";
    assert_eq!(calls(&mut client).last().unwrap(), end);
}

/// However much it is owed, a client that takes nothing is told of the end within the call, and cut in time.
#[test]
fn a_client_that_takes_nothing_holds_up_no_end() {
    for (owed, how, code) in [
        ("bytes 1000;join 1", "room", 4000),
        ("fill;join 1", "room", 4000),
        ("fill;bytes 1000000;join 1", "room", 4000),
        ("fill", "drain", 1001),
        ("fill;join 1;say 1 waits", "drain", 1001),
        ("bytes 1000", "drain", 1001),
    ] {
        let mut client = client();
        let mut author = open(&mut client, "author");
        let mut slow = open(&mut client, "slow");
        slow.set_window(&mut client, 0);
        slow.send(&mut client, owed);
        match how {
            "room" => author.send(&mut client, "shut 1 4000 go"),
            _ => _ = client.drain(),
        }
        assert_eq!(slow.ended(), None);
        client.advance(secs(6));
        assert_eq!(slow.ended(), Some(CloseReason::ProtocolEnded), "{owed}, {how}");
        let calls = calls(&mut client);
        let end = calls.iter().find(|call| call.starts_with("slow close")).expect("it has ended");
        assert!(end.starts_with(&format!("slow close {code} ")), "{owed}, {how}: {end}");
    }
}

#[test]
fn a_burst_in_one_call_loses_nothing_and_drops_nobody_who_takes_it() {
    let mut client = client();
    let mut members: Vec<_> = (0..50).map(|at| join(&mut client, &at.to_string())).collect();
    members[0].send(&mut client, "burst 1024");
    assert_eq!(client.app().state().sizes(), [50, 0, 0]);
    for member in &mut members {
        assert_eq!((all(member).len(), member.ended()), (1024, None));
    }
    members[0].send(&mut client, "say 0 more");
    assert!(members.iter_mut().all(|member| all(member) == [text("more")]));
}

#[test]
fn a_member_gets_no_message_of_a_room_within_one_that_comes_in_parts() {
    let mut client = client();
    let [mut ann, mut bob] = ["ann", "bob"].map(|name| join(&mut client, name));
    ann.send(&mut client, "part one ");
    bob.send(&mut client, "say 0 between");
    assert_eq!((all(&mut ann), all(&mut bob)), (vec![], vec![text("between")]));
    ann.send(&mut client, "part two ");
    assert_eq!(all(&mut ann), []);
    ann.send(&mut client, "last three;echo after");
    assert_eq!(all(&mut ann), [text("one two three"), text("between"), text("after")]);
}

#[test]
fn a_member_that_never_ends_its_message_in_parts_holds_no_more_than_a_slow_one() {
    let mut client = client();
    let mut endless = join(&mut client, "endless");
    let mut author = open(&mut client, "author");
    endless.send(&mut client, "part begun");
    flood(&mut client, &mut author, 0, 300);
    let world = client.app().state();
    assert_eq!((world.sizes(), world.rooms[0].dropped()), ([0, 0, 0], 1));
    endless.send(&mut client, "last  and ended");
    let got = all(&mut endless);
    assert_eq!((&got[0], got.last()), (&text("begun and ended"), Some(&closed(1013, "the client is too slow"))));
}

/// A message of one byte takes more than a hundred bytes of memory while it waits.
#[test]
fn short_messages_that_wait_are_counted_by_their_memory() {
    let mut client = client();
    let mut slow = open(&mut client, "slow");
    slow.set_window(&mut client, 0);
    slow.send(&mut client, "join 1;fill");
    let mut author = open(&mut client, "author");
    (0..2000).for_each(|_| author.send(&mut client, "say 1 x"));
    let taken = 2000 - client.app().state().rooms[1].skipped() as usize;
    assert!((100..CHANNEL_BYTES / 100).contains(&taken), "{taken} were taken");
}
