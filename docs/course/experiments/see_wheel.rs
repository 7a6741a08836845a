//! A thousand busy sessions for a minute of made-up time: how often does the wheel of step 7 make an entry?
//!
//!     cargo run -q --bin see_wheel

#![allow(dead_code, reason = "the file of the step has more than this needs")]

#[path = "../steps/07_deadlines/deadlines.rs"]
mod deadlines;

use deadlines::{Moment, TimerLink, Wheel};

const SESSIONS: usize = 1000;
const IDLE: Moment = Moment::from_secs(2);
/// Each session reads or writes in each tick.
const TICK: Moment = Moment::from_millis(50);
const MINUTE: Moment = Moment::from_secs(60);

fn main() {
    let mut wheel = Wheel::new();
    let mut links = vec![TimerLink::default(); SESSIONS];
    let (mut now, mut activities, mut entries, mut looks) = (Moment::ZERO, 0_u32, 0_u32, 0_u32);
    while now < MINUTE {
        now += TICK;
        for (key, link) in links.iter_mut().enumerate() {
            activities += 1;
            entries += u32::from(wheel.arm(key, link, now + IDLE));
        }
        for (key, link) in wheel.take(now) {
            looks += 1;
            if links[key] == link {
                links[key] = TimerLink::default();
            }
        }
    }
    println!("{SESSIONS} sessions, {activities} times a byte came or went");
    println!("a timer that is set anew each time: {activities} entries moved");
    println!("the wheel: {entries} entries made, {looks} sessions looked at");
}
