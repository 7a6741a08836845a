/// Names an exchange that is not finished: by the slot of its connection, and by a number that no other exchange of the
/// loop ever has. A letter that comes too late finds another number there, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) slot: u32,
    pub(crate) serial: u64,
}
