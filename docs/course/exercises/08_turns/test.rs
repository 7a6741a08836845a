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
fn a_greedy_session_does_not_starve() {
    let mut turns = Turns::default();
    greedy(&mut turns, &[1, 2]);
    for expected in [1, 2, 1, 2] {
        // There are more polite ones than fit.
        for key in 10..20 {
            turns.add(key);
        }
        let had = turns.next_tick(3);
        assert_eq!(had.iter().filter(|key| **key < 10).collect::<Vec<_>>(), [&expected]);
        turns.note(expected, After::UsedUp { turns: 1 });
    }
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
    for key in [5, 6, 5] {
        turns.add(key);
    }
    assert_eq!(turns.next_tick(10), [5, 6]);
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
