/// The proof that a reply is finished: what a handler returns.
///
/// Only finishing a [`Response`](super::Response) makes one. A handler that returns a `Sent` of another request, and
/// has not finished this one, causes a 500.
#[derive(Debug)]
#[must_use = "return it from the handler"]
pub struct Sent(());

impl Sent {
    pub(super) const fn new() -> Self {
        Self(())
    }
}
