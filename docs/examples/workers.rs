//! One loop per core. Run it: `cargo run --example workers`, then several times `curl http://127.0.0.1:3000/`.

use std::sync::Arc;
use std::thread;

use monoloop::{Router, Workers};

/// What a worker has for itself. It may hold an `Rc` or a `RefCell`: it never leaves the thread in which it was made.
struct State {
    worker: usize,
    visits: u64,
    greetings: Arc<[&'static str]>,
}

fn main() -> monoloop::server::Result<()> {
    let count = thread::available_parallelism()?.get();
    let workers = Workers::bind("127.0.0.1:3000", count)?;
    println!("{count} workers are listening on http://{}", workers.local_addr());

    // What is the same for all is made once. The closure is called in each thread, and hands out a reference to it.
    let greetings: Arc<[&str]> = ["Hello", "Hallo", "Bonjour"].into();
    workers.run(move |worker, server| {
        let mut app = Router::new(State { worker, visits: 0, greetings: Arc::clone(&greetings) });
        app.get("/", |state, _, res| {
            let greeting = state.greetings[state.visits as usize % state.greetings.len()];
            state.visits += 1;
            res.text(format!("{greeting}, visitor {} of worker {}!\n", state.visits, state.worker))
        });
        server.start(app)
    })
}
