//! Step 10: the whole, with counters.
//!
//!     cargo run --bin 10_measured [ADDRESS [CLIENTS]]
//!
//! New: it counts what it asks of the kernel, and says so at its end. A short read is the last one (`session.rs`).
//! Buffers are lent (`pools.rs`), requests are answered where they lie, and replies are written where they are sent
//! from, so that a request costs no allocation. The files have the places and names of `src/` now: `MAP.md` leads from
//! one to the other.

mod app;
mod connection;
mod counters;
#[path = "../07_deadlines/deadlines.rs"]
mod deadlines;
mod drain;
mod event_loop;
mod head;
#[path = "../09_ends/orders.rs"]
mod orders;
mod output;
mod phase;
mod pools;
mod receive;
mod session;
mod sessions;
#[path = "../08_fairness/turns.rs"]
mod turns;

use std::{env, io};

use mio::net::TcpListener;

use app::App;
use event_loop::EventLoop;
use orders::Orders;

fn main() -> io::Result<()> {
    let mut arguments = env::args().skip(1);
    let address = arguments.next().unwrap_or("127.0.0.1:0".into()).parse().expect("ADDRESS is like 127.0.0.1:7000");
    let clients = arguments.next().map_or(usize::MAX, |count| count.parse().expect("CLIENTS is a number"));

    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    let mut lines = None;
    let mut event_loop = EventLoop::new(listener, |waker| {
        let (orders, receiver) = Orders::read(waker);
        lines = Some(receiver);
        orders
    })?;
    let mut app = App { requests: 0, lines: lines.expect("the orders were read") };
    while event_loop.sessions.served < clients && !event_loop.is_done() {
        event_loop.tick(&mut app)?;
    }
    event_loop.sessions.counters.requests = app.requests;
    println!("{}", event_loop.sessions.counters);
    Ok(())
}
