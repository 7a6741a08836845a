//! Work that no request asks for, as a part of the tick: letters and tasks of other threads, and timers.

use super::event_loop::EventLoop;
use crate::exchange::{Service, guard};
use crate::http::Moment;
use crate::limits::{POSTED_BUDGET, TIMER_BUDGET};
use crate::sessions::Happened;

impl EventLoop {
    /// Delivers the letters of other threads, and runs the tasks that they have posted.
    #[inline]
    pub(super) fn take_post(&mut self, service: &mut dyn Service) {
        if self.has_posted || self.sessions.mailbox().is_rung() {
            self.deliver_post(service);
        }
    }

    #[cold]
    fn deliver_post(&mut self, service: &mut dyn Service) {
        // Work that is posted from here on rings again, so none is missed.
        self.sessions.deliver(service);
        let more = self.run_posted(service);
        self.has_posted = more || self.sessions.has_letters();
        self.next_timer = Moment::ZERO;
    }

    /// Runs the tasks of other threads, for no longer than a part of the tick. Returns whether there are more.
    fn run_posted(&mut self, service: &mut dyn Service) -> bool {
        let (now, end) = (self.sessions.now(), self.sessions.begin_part());
        for _ in 0..POSTED_BUDGET {
            self.sessions.note(Happened::Posted(now));
            let more = guard(|| service.run_posted(now)).unwrap_or_else(|panic| {
                fault!("a posted task {panic}");
                true
            });
            if !more || self.sessions.is_over(end) {
                return more;
            }
        }
        true
    }

    /// Runs the timers of the application that are due.
    #[inline]
    pub(super) fn run_timers(&mut self, service: &mut dyn Service) {
        if self.is_timer_due() {
            self.run_due_timers(service);
        }
    }

    /// Runs timers for no longer than a part of the tick; the rest are due in the next one.
    #[cold]
    fn run_due_timers(&mut self, service: &mut dyn Service) {
        let end = self.sessions.begin_part();
        for _ in 0..TIMER_BUDGET {
            self.run_next_timer(service);
            if !self.is_timer_due() || self.sessions.is_over(end) {
                return;
            }
        }
    }

    fn is_timer_due(&self) -> bool {
        self.next_timer <= self.sessions.now()
    }

    /// Runs a timer if one is due, and notes when the next one is.
    pub(super) fn run_next_timer(&mut self, service: &mut dyn Service) {
        let now = self.sessions.now();
        self.sessions.note(Happened::Timers(now));
        let next = guard(|| service.run_timers(now)).unwrap_or_else(|panic| {
            fault!("a timer {panic}");
            None
        });
        self.next_timer = next.unwrap_or(Moment::MAX);
    }

    /// Lets the next tick ask the application for its timers, since they may have changed.
    pub(super) const fn ask_timers(&mut self) {
        self.next_timer = Moment::ZERO;
    }
}
