//! The same as `telling` without the feature `live`: there is no witness, and each of these calls is nothing.

use std::time::Duration;

use super::Sessions;
use super::happenings::{Cause, Happened};
use super::transport::Transport;

#[allow(clippy::unused_self, reason = "the other `Sessions` uses it")]
impl<T> Sessions<T> {
    #[inline(always)]
    pub(super) const fn note_cause(&self, _: Cause) {}

    #[inline(always)]
    pub(crate) const fn note(&self, _: Happened) {}

    #[inline(always)]
    pub(super) const fn witness_is_behind(&self) -> bool {
        false
    }
}

#[allow(clippy::unused_self, reason = "the other `Sessions` uses it")]
impl<T: Transport> Sessions<T> {
    #[inline(always)]
    pub(super) const fn note_opened(&self, _: usize, _: Duration) {}

    #[inline(always)]
    pub(super) const fn note_cut(&self, _: usize) {}

    #[inline(always)]
    pub(super) const fn note_leaving(&self, _: usize) -> bool {
        false
    }

    #[inline(always)]
    pub(super) const fn note_left(&self) {}
}
