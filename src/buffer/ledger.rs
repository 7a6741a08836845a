use crate::limits::{MEMORY_FOR_SMALL, MEMORY_RELIEF, POOL_MAX_BUFFER};

/// The memory of all connections of a loop, against one limit, in bytes.
///
/// Each connection has a [`Charge`]: what it held at the end of its last turn. The sum of the charges is here. So it
/// costs nothing if a connection holds nothing before and after its turn, and the sum can be too small only by what one
/// turn brings.
///
/// The last part of the limit, one in [`MEMORY_FOR_SMALL`], is for connections that hold little. So large content and
/// large replies cannot take the memory that small requests need.
#[derive(Debug)]
pub(crate) struct Ledger {
    limit: usize,
    charged: usize,
    /// What was refused since the last report.
    refused: u64,
    /// In so many rounds memory is still looked for, because something was refused a moment ago.
    rounds: u8,
    /// About a second has passed since connections were last looked at for memory.
    pub(crate) relief_is_due: bool,
}

/// What a connection was charged, in units of 64 bytes: its idle state has four bytes to spare for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Charge(u32);

const UNIT: usize = 64;

/// Rounds of a second in which memory is looked for after something was refused: until a client that did nothing then
/// has used up its time ([`MEMORY_PATIENCE`](crate::limits::MEMORY_PATIENCE)).
const ROUNDS: u8 = 3;

impl Charge {
    /// The charge for so many bytes, rounded up.
    pub(crate) const fn of(bytes: usize) -> Self {
        let units = bytes.div_ceil(UNIT);
        Self(if units > u32::MAX as usize { u32::MAX } else { units as u32 })
    }

    pub(crate) const fn is_none(self) -> bool {
        self.0 == 0
    }

    pub(crate) const fn bytes(self) -> usize {
        (self.0 as usize).saturating_mul(UNIT)
    }
}

impl Ledger {
    pub(crate) const fn new(limit: usize) -> Self {
        Self { limit, charged: 0, refused: 0, rounds: 0, relief_is_due: false }
    }

    pub(crate) const fn limit(&self) -> usize {
        self.limit
    }

    /// The sum of all charges.
    pub(crate) const fn charged(&self) -> usize {
        self.charged
    }

    /// Replaces the charge of a connection. Returns whether it grew.
    pub(crate) const fn charge(&mut self, charge: &mut Charge, bytes: usize) -> bool {
        let (before, after) = (*charge, Charge::of(bytes));
        self.charged = (self.charged - before.bytes()).saturating_add(after.bytes());
        *charge = after;
        after.0 > before.0
    }

    /// The most that may be in use for a connection that holds `bytes`.
    pub(crate) const fn limit_for(&self, bytes: usize) -> usize {
        if bytes > POOL_MAX_BUFFER { self.limit - self.limit / MEMORY_FOR_SMALL } else { self.limit }
    }

    /// What a reply may still take. Every reply may be small: it is written at once, and most clients take it.
    ///
    /// After a refusal only small ones are made until memory was looked for, a second later at most. Otherwise many
    /// large ones would be made nearly whole, one after the other, before each is refused.
    pub(crate) fn room_for_reply(&self) -> usize {
        if self.refused > 0 && self.is_tight() {
            return POOL_MAX_BUFFER;
        }
        self.limit_for(usize::MAX).saturating_sub(self.charged).max(POOL_MAX_BUFFER)
    }

    /// Whether so much is in use that buffers should not be larger than what they hold.
    pub(crate) const fn is_tight(&self) -> bool {
        self.charged > self.limit / 2
    }

    /// Notes that something was refused, or a connection was ended, for want of memory.
    pub(crate) const fn note_refusal(&mut self) {
        self.refused += 1;
    }

    /// Whether memory is short: something was refused, or soon will be.
    pub(crate) const fn is_short(&self) -> bool {
        self.refused > 0 || self.rounds > 0 || self.charged > self.limit - self.limit / MEMORY_RELIEF
    }

    /// About a second has passed.
    pub(crate) const fn begin_round(&mut self) {
        self.relief_is_due = self.is_short();
        self.rounds = if self.refused > 0 { ROUNDS } else { self.rounds.saturating_sub(1) };
    }

    /// What was refused since the last call.
    pub(crate) const fn take_refused(&mut self) -> u64 {
        self.relief_is_due = false;
        std::mem::replace(&mut self.refused, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_follows_each_charge() {
        let mut ledger = Ledger::new(1 << 20);
        let (mut one, mut other) = (Charge::default(), Charge::default());
        assert!(ledger.charge(&mut one, 1) && ledger.charge(&mut other, 1000));
        assert_eq!((one.bytes(), other.bytes(), ledger.charged()), (64, 1024, 1088));
        assert!(!ledger.charge(&mut other, 1024), "the same charge is no growth");
        assert!(!ledger.charge(&mut one, 0) && one.is_none());
        assert!(!ledger.charge(&mut other, 10));
        assert_eq!(ledger.charged(), 64);
    }

    #[test]
    fn the_last_part_of_the_limit_is_for_those_that_hold_little() {
        let mut ledger = Ledger::new(8 << 20);
        assert_eq!((ledger.limit_for(POOL_MAX_BUFFER), ledger.limit_for(POOL_MAX_BUFFER + 1)), (8 << 20, 7 << 20));
        assert_eq!(ledger.room_for_reply(), 7 << 20);
        ledger.charge(&mut Charge::default(), 7 << 20);
        assert_eq!(ledger.room_for_reply(), POOL_MAX_BUFFER, "a small reply is always possible");
        assert!(ledger.is_tight() && ledger.is_short());
    }

    #[test]
    fn memory_is_looked_for_until_stalled_clients_have_used_up_their_time() {
        let mut ledger = Ledger::new(1 << 20);
        ledger.note_refusal();
        let mut rounds = Vec::new();
        for _ in 0..6 {
            ledger.begin_round();
            rounds.push((ledger.relief_is_due, ledger.take_refused()));
        }
        assert_eq!(rounds, [(true, 1), (true, 0), (true, 0), (true, 0), (false, 0), (false, 0)]);
        assert!(!ledger.is_short());
    }

    #[test]
    fn no_amount_overflows() {
        let mut ledger = Ledger::new(usize::MAX);
        let mut charge = Charge::default();
        assert!(ledger.charge(&mut charge, usize::MAX));
        assert!(!ledger.charge(&mut charge, 0));
        assert_eq!((ledger.charged(), ledger.limit_for(1)), (0, usize::MAX));
    }
}
