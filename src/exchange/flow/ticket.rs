/// Names an exchange that is not finished: the slot of its connection, and a number that no other exchange of the loop
/// ever has. Whoever comes late finds another number, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) slot: u32,
    pub(crate) serial: u64,
}
