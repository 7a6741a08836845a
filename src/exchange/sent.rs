/// The proof that a reply is finished: what a handler returns.
///
/// It cannot be made otherwise than by finishing a [`Response`](super::Response), and it is not believed either: a `Sent`
/// that was kept from an earlier request while this one was not finished is a 500.
#[derive(Debug)]
#[must_use = "return it from the handler"]
pub struct Sent(());

impl Sent {
    pub(super) const fn new() -> Self {
        Self(())
    }
}
