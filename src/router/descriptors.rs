//! What an application says about descriptors: which it can close, and how many it needs.

use super::Routes;

impl<S> Routes<S> {
    /// Calls `close` when no descriptor is free for a waiting connection. The function must close open descriptors that
    /// are not needed now, and return whether there were any. It must not block.
    pub fn when_descriptors_run_out(&mut self, close: impl Fn() -> bool + 'static) {
        self.keepers.push(Box::new(close));
    }

    /// Keeps at least `count` descriptors free for the handlers: the server stops accepting connections before it takes
    /// the last ones, and further clients wait in the backlog. A mounted `Files` asks for 16. An
    /// application that calls [`Response::file`](crate::Response), or opens descriptors in another way, can ask for
    /// them here. If this is called more than once, the greatest number counts. The [guide](crate::guide::operating)
    /// says how many are kept.
    ///
    /// ```
    /// let mut app = monoloop::Router::new(());
    /// app.reserve_descriptors(16);
    /// ```
    pub fn reserve_descriptors(&mut self, count: usize) {
        self.reserve = self.reserve.max(count);
    }
}
