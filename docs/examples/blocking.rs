//! Work that blocks, beside a loop that must not: a few threads do it, and the replies are deferred.
//!
//! ```text
//! cargo run --example blocking
//! curl localhost:3000/word/42          one line of a file that is read by a thread
//! curl localhost:3000/stats            answered at once, whatever the threads are doing
//! ```

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;

use monoloop::exchange::Responder;
use monoloop::server::Handle;
use monoloop::{Error, Router, Server};

/// More threads would only wait for the same disk.
const THREADS: usize = 4;

/// Jobs that may wait for a thread; who comes then is told to come again.
const QUEUE: usize = 64;

/// Something to be done by a thread.
struct Job {
    line: usize,
    responder: Responder,
}

/// The state of the loop: only its own thread touches it, so it needs no lock.
struct App {
    jobs: SyncSender<Job>,
    lines_read: usize,
}

fn main() -> monoloop::server::Result<()> {
    let (jobs, queue) = sync_channel::<Job>(QUEUE);
    let mut app = Router::new(App { jobs, lines_read: 0 });
    app.get("/stats", |app, _, res| res.text(format!("{} lines were read\n", app.lines_read)));
    app.get("/word/:line", |app, req, res| {
        let line = req.param("line")?;
        let (sent, responder) = res.defer();
        match app.jobs.try_send(Job { line, responder }) {
            Ok(()) => Ok(sent),
            // The responder comes back with the job, and answers.
            Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) => {
                job.responder.error(Error::new(503, "Too much to do").with_header("Retry-After", "1"));
                Ok(sent)
            }
        }
    });

    let server = Server::bind("127.0.0.1:3000")?;
    let address = server.local_addr();
    let running = server.start(app)?;
    let queue = Arc::new(Mutex::new(queue));
    for _ in 0..THREADS {
        let (queue, handle) = (Arc::clone(&queue), running.handle());
        thread::spawn(move || {
            // The lock is held while a thread waits for a job, not while it works.
            while let Some(job) = { queue.lock().ok().and_then(|queue| queue.recv().ok()) } {
                work(job, &handle);
            }
        });
    }
    println!("listening on http://{address}");
    running.run()
}

/// Does a job, on a thread of the pool.
fn work(job: Job, handle: &Handle<App>) {
    let Job { line, responder } = job;
    if responder.is_cancelled() {
        return; // The client is gone: nobody wants to know any more.
    }
    match read_line(line) {
        Ok(Some(text)) => {
            // The state is the loop's, so the loop changes it.
            handle.post(|app| app.lines_read += 1);
            responder.text(format!("{text}\n"));
        }
        Ok(None) => responder.error(Error::not_found("There is no such line")),
        Err(error) => responder.error(error.into()),
    }
}

/// Blocks for as long as the disk takes.
fn read_line(number: usize) -> std::io::Result<Option<String>> {
    BufReader::new(File::open("/usr/share/dict/words").or_else(|_| File::open("Cargo.lock"))?)
        .lines()
        .nth(number)
        .transpose()
}
