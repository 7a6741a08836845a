//! monoloop with the routes of step 8 that the experiments need, so that they can be made with it, too.
//!
//!     cargo run -q --bin paused_monoloop -- ADDRESS CLIENTS

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use monoloop::server::{CloseReason, ConnectionId, Observer};
use monoloop::{Handle, Router, Server, server};

/// Ends the server when so many connections have ended.
struct Countdown {
    left: Rc<Cell<usize>>,
    handle: Handle<u64>,
}

impl Observer for Countdown {
    fn connection_closed(&mut self, _: ConnectionId, _: CloseReason) {
        self.left.set(self.left.get() - 1);
        if self.left.get() == 0 {
            self.handle.shutdown();
        }
    }
}

fn main() -> server::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or("127.0.0.1:0".into());
    let clients = arguments.next().map_or(usize::MAX, |count| count.parse().expect("CLIENTS is a number"));

    // The state is the number of requests that were answered.
    let mut app = Router::new(0_u64);
    app.get("/", |requests, _, res| {
        *requests += 1;
        res.text("hello\n")
    });
    app.get("/block/:millis", |requests, req, res| {
        *requests += 1;
        thread::sleep(Duration::from_millis(req.param("millis")?));
        res.text("the others have waited\n")
    });
    app.get("/count", |requests, _, res| {
        *requests += 1;
        res.text(format!("{requests} requests\n"))
    });
    app.get("/pause", |requests, _, res| {
        *requests += 1;
        println!("paused");
        io::stdin().read_line(&mut String::new())?;
        res.text(format!("{requests} requests\n"))
    });
    let countdown = Countdown { left: Rc::new(Cell::new(clients)), handle: app.handle() };
    let running = Server::bind(address)?.observer(countdown).start(app)?;
    println!("listening on {}", running.local_addr().expect("it is bound to TCP"));
    running.run()
}
