//! Waiting for other threads: in real time, because they live in it.

use std::time::{Duration, Instant};

use super::TestClient;
use crate::exchange::{Service, real_time};
use crate::h1::Awaited;
use crate::router::Router;
use crate::router::handle::Handle;

/// A limit that no test outlives. Instants have an end.
const FOREVER: Duration = Duration::from_secs(365 * 86_400);

/// Bytes that a message shows of what came.
const MOST_SHOWN: usize = 1000;

impl<S> TestClient<Router<S>> {
    /// A handle to the application, as a server gives it: see [`Handle`]. What is posted is done in the next call of
    /// the client that makes the server work. Timers obey virtual time, and a shutdown is a [drain](Self::drain).
    ///
    /// ```
    /// # use monoloop::{Router, TestClient};
    /// # use std::time::Duration;
    /// let mut client = TestClient::new(Router::new(0));
    /// let handle = client.handle();
    /// handle.post(|count| *count += 1);
    /// let timer = handle.every(Duration::from_secs(60), |count| *count += 10);
    /// client.advance(Duration::from_secs(150));
    /// assert_eq!(*client.app().state(), 21);
    /// timer.cancel();
    /// handle.shutdown();
    /// client.read();
    /// assert!(client.is_half_closed() && handle.is_draining());
    /// ```
    #[doc(alias("post", "shutdown"))]
    pub fn handle(&self) -> Handle<S> {
        self.app.handle()
    }
}

impl<A: Service> TestClient<A> {
    /// Sets how long each call waits for other threads, in real time; 10 seconds by default. These calls wait:
    /// [`send`](super::TestRequest::send) and [`open`](super::TestRequest::open), [`wait_until`](Self::wait_until),
    /// and [`read_until`](Self::read_until). Virtual time stands still meanwhile.
    pub const fn set_wait_limit(&mut self, limit: Duration) -> &mut Self {
        self.wait_limit = limit;
        self
    }

    /// Waits, in real time, until other threads have brought the application into a state: by answers, by content that
    /// they push, or by tasks that they [post](crate::server::Handle::post). It returns at once if the application is
    /// in this state already.
    ///
    /// ```
    /// use monoloop::{Router, TestClient};
    ///
    /// let mut app = Router::new(Vec::<u64>::new());
    /// let handle = app.handle();
    /// app.post("/jobs", move |_, _, res| {
    ///     let handle = handle.clone();
    ///     std::thread::spawn(move || {
    ///         let answer = (1..=20).product();    // something that takes time
    ///         handle.post(move |answers| answers.push(answer));
    ///     });
    ///     res.status(202).empty()
    /// });
    ///
    /// let mut client = TestClient::new(app);
    /// client.post("/jobs").send().assert_status(202);
    /// client.wait_until(|app| app.state().len() == 1);
    /// ```
    ///
    /// # Panics
    /// If the application is not in this state within the [limit](Self::set_wait_limit).
    #[track_caller]
    pub fn wait_until(&mut self, mut is_so: impl FnMut(&A) -> bool) -> &mut Self {
        let until = self.wait_ends();
        self.turn();
        while !is_so(&self.app) {
            if !self.await_work(until) {
                panic!("what the test waits for did not become true within {:?} of real time", self.wait_limit);
            }
        }
        self
    }

    /// Takes what the server has sent, up to the first `end` in it, and waits for other threads until that has come.
    /// What follows `end` is left. This is for content that has no end of its own, such as server-sent events.
    ///
    /// ```
    /// # use monoloop::{Router, TestClient, sse::{self, Event}};
    /// let mut app = Router::new(());
    /// app.get("/ticks", |_, _, res| {
    ///     let (sent, sender) = sse::start(res)?;
    ///     std::thread::spawn(move || {
    ///         let mut ticks = 1..;
    ///         while sender.send(&Event::new(ticks.next().unwrap().to_string())).is_ok_and(|is_open| is_open) {}
    ///     });
    ///     Ok(sent)
    /// });
    /// let mut client = TestClient::new(app);
    /// assert_eq!(client.get("/ticks").open().status(), 200);
    /// client.read_until("data: 2\n\n");
    /// ```
    ///
    /// # Panics
    /// If `end` does not come within the [limit](Self::set_wait_limit), or no thread can send it any more.
    #[track_caller]
    pub fn read_until(&mut self, end: impl AsRef<[u8]>) -> Vec<u8> {
        let (until, end) = (self.wait_ends(), end.as_ref());
        self.turn();
        loop {
            let found = memchr::memmem::find(&self.connection.link.wire().outbound, end);
            if let Some(at) = found {
                return self.connection.link.wire_mut().outbound.drain(..at + end.len()).collect();
            }
            let why = match self.awaited() {
                Some(_) if self.await_work(until) => continue,
                Some(awaited) => self.why(awaited),
                None => "no thread is to send more".to_owned(),
            };
            panic!("\"{}\" does not come: {} came, and {why}", end.escape_ascii(), self.shown())
        }
    }

    /// The end of a wait that begins now.
    pub(super) fn wait_ends(&self) -> Instant {
        real_time() + self.wait_limit.min(FOREVER)
    }

    pub(super) fn await_work(&mut self, until: Instant) -> bool {
        self.virtual_loop.await_work(&mut self.app, until)
    }

    pub(super) fn awaited(&self) -> Option<Awaited> {
        self.virtual_loop.awaited(&self.connection)
    }

    /// What has come and was not taken, for a message: the last bytes of it.
    pub(super) fn shown(&self) -> String {
        let outbound = &self.connection.link.wire().outbound;
        match outbound.len().checked_sub(MOST_SHOWN) {
            None | Some(0) => format!("\"{}\"", outbound.escape_ascii()),
            Some(left_out) => format!("\"({left_out} bytes)...{}\"", outbound[left_out..].escape_ascii()),
        }
    }

    /// Says what the client has waited for in vain, and what the test can do.
    pub(super) fn why(&self, awaited: Awaited) -> String {
        let what = match awaited {
            Awaited::Reply => {
                "the reply is deferred, and its Responder has neither answered nor been dropped. If the test or a \
                 timer is to answer, use `write`, let it answer or `advance`, and take the reply by `read_reply`"
            }
            Awaited::Content => {
                "the content of the reply does not end: its source, such as a BodySender, has neither finished nor \
                 been dropped. If it is not meant to end yet, use `open` in place of `send`"
            }
            Awaited::Resumption => {
                "the content of the request is paused, and its Resumer has neither been used nor dropped"
            }
        };
        format!("after {:?} of real time (virtual time stood still), {what}", self.wait_limit)
    }
}
