//! Exercise 8: which session has a turn. Your file is `exercise.rs`.

#[cfg(not(feature = "solutions"))]
#[path = "exercise.rs"]
mod exercise;
#[cfg(feature = "solutions")]
#[path = "../solutions/08_turns.rs"]
mod exercise;

use exercise::{After, Turns};

/// Sessions that have used up a turn and wait for the next one.
fn greedy(turns: &mut Turns, keys: &[usize]) {
    for &key in keys {
        turns.add(key);
    }
    let had = turns.next_tick(keys.len());
    assert_eq!(had, keys, "at first, all are polite, and have their turns in order");
    for &key in keys {
        turns.note(key, After::UsedUp { turns: 1 });
    }
}

#[test]
fn a_polite_session_does_not_wait_for_the_greedy_ones() {
    let mut turns = Turns::default();
    greedy(&mut turns, &[1, 2, 3]);
    turns.add(4);
    assert_eq!(turns.next_tick(10), [4, 1, 2, 3]);
}

#[test]
fn those_that_are_greedy_have_the_rest_of_the_time() {
    let mut turns = Turns::default();
    greedy(&mut turns, &[70, 50, 60, 80]);
    turns.add(1);
    turns.add(90);
    assert_eq!(turns.next_tick(5), [1, 90, 70, 50, 60]);
    assert_eq!(turns.next_tick(5), [80]);
}

#[test]
fn a_greedy_session_does_not_starve() {
    let mut turns = Turns::default();
    greedy(&mut turns, &[1, 2]);
    // There are always more polite ones than fit. None of them loses its place to a greedy one.
    (10..18).for_each(|key| turns.add(key));
    for had in [[10, 11, 1], [12, 13, 2], [14, 15, 1], [16, 17, 2]] {
        assert_eq!(turns.next_tick(2), had);
        turns.note(had[2], After::UsedUp { turns: 1 });
    }
    turns.add(18);
    assert_eq!(turns.next_tick(0), [1], "also if there is no time at all");
    assert_eq!(turns.next_tick(9), [18, 2]);
}

#[test]
fn those_without_a_turn_keep_their_places() {
    let mut turns = Turns::default();
    for key in [5, 6, 7, 8] {
        turns.add(key);
    }
    assert_eq!(turns.next_tick(2), [5, 6]);
    turns.add(5);
    assert_eq!(turns.next_tick(3), [7, 8, 5]);
}

#[test]
fn a_session_that_is_added_twice_has_one_turn() {
    let mut turns = Turns::default();
    for key in [5, 6, 7, 6, 5, 7] {
        turns.add(key);
    }
    assert_eq!(turns.next_tick(10), [5, 6, 7]);
    greedy(&mut turns, &[1]);
    turns.add(1);
    assert_eq!(turns.next_tick(10), [1]);
    assert!(turns.next_tick(10).is_empty());
}

#[test]
fn a_long_turn_is_made_up_by_as_many_short_ones() {
    let mut turns = Turns::default();
    turns.add(1);
    assert_eq!(turns.next_tick(1), [1]);
    turns.note(1, After::UsedUp { turns: 3 });
    for short in 1..=3 {
        turns.add(2);
        assert_eq!(turns.next_tick(10), [2, 1], "before short turn {short}");
        turns.note(2, After::Done);
        turns.note(1, After::Done);
        turns.add(1);
    }
    turns.add(2);
    assert_eq!(turns.next_tick(10), [1, 2], "it is polite again, and was there first");
}

/// How many turns that end as `Done` the session 1 must have, after turns that took as long as `used_up`, until it
/// is polite.
fn owed(used_up: &[u32]) -> usize {
    let mut turns = Turns::default();
    turns.add(1);
    for &long in used_up {
        assert_eq!(turns.next_tick(1), [1]);
        turns.note(1, After::UsedUp { turns: long });
    }
    for done in 0..20 {
        // The session 2 is polite, and comes after 1 only if 1 is polite, too.
        turns.add(1);
        turns.add(2);
        let had = turns.next_tick(10);
        [1, 2].iter().for_each(|key| turns.note(*key, After::Done));
        if had == [1, 2] {
            return done;
        }
    }
    panic!("it is never polite again");
}

#[test]
fn long_turns_do_not_add_up() {
    for (used_up, expected) in [(&[1, 1, 1][..], 1), (&[2, 2], 2), (&[1, 3], 3), (&[4, 2, 4], 4)] {
        assert_eq!(owed(used_up), expected, "after turns of {used_up:?}");
    }
}

#[test]
fn each_session_makes_up_for_its_own_turns() {
    let mut turns = Turns::default();
    turns.add(1);
    turns.add(2);
    assert_eq!(turns.next_tick(10), [1, 2]);
    turns.note(1, After::UsedUp { turns: 2 });
    turns.note(2, After::UsedUp { turns: 1 });
    assert_eq!(turns.next_tick(10), [1, 2]);
    turns.note(1, After::Done);
    turns.note(2, After::Done);
    // Now 2 is polite, and 1 owes another short turn.
    turns.add(1);
    turns.add(2);
    assert_eq!(turns.next_tick(10), [2, 1]);
}
