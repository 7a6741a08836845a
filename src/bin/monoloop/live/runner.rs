//! The thread of the observed loop: it turns the loop, and between two ticks it shows a frame and follows orders.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use monoloop::Handle;
use monoloop::http::Moment;
use monoloop::server::{self, Clock, DrainCause, ObserverId, Running, SystemClock};

use super::clock::Held;
use super::frame::{self, Speed};
use super::notes::{NoteTaker, Notes};
use super::orders::LoopOrder;
use super::shared::Shared;
use super::viewers::Viewers;

/// The time between two frames at full speed.
const FRAME: Duration = Duration::from_millis(100);

/// A frame that took long is followed by a longer time without one. So frames take a hundredth of a core at most.
const SHARE: u32 = 100;

/// The longest time without a frame. On a busy machine or after a stop of the process, a frame takes long because the
/// thread does not run: that costs nothing, and the page must not stand still for it.
const LONGEST: Duration = Duration::from_secs(2);

/// How long a paused loop waits before it looks whether a signal came, or whether the pages took the last frame.
const NAP: Duration = Duration::from_millis(20);

/// How long the tick of a single step waits for an event.
const STEP: Duration = Duration::from_millis(250);

/// What the thread knows besides the loop.
pub(super) struct Runner {
    shared: Arc<Shared>,
    orders: Receiver<LoopOrder>,
    held: Held,
    viewers: Handle<Viewers>,
    /// A signal has asked the server to stop. The loop itself learns of it in its next tick.
    signalled: Arc<AtomicBool>,
    /// Clients of the page may run, and a signal ends them.
    has_clients: bool,
    /// Real time, which goes on while the loop is kept from its next tick.
    real: SystemClock,
    pace: Pace,
    view: Option<View>,
}

/// When the next tick may begin.
#[derive(Clone, Copy, Debug, Default)]
struct Pace {
    /// Slow motion: the time between two ticks.
    delay: Duration,
    paused: bool,
    /// A paused loop has been told to run one tick.
    step: bool,
}

/// What there is only while a page is open.
struct View {
    observer: ObserverId,
    notes: Rc<RefCell<Notes>>,
    /// When the next frame may be made, in the time of the loop.
    next: Moment,
    /// When a timer of the loop brings a tick, so that what has changed is shown.
    reminder: Option<Moment>,
}

impl Runner {
    pub(super) fn new(
        shared: Arc<Shared>,
        orders: Receiver<LoopOrder>,
        held: Held,
        viewers: Handle<Viewers>,
        signalled: Arc<AtomicBool>,
    ) -> Self {
        let (real, pace) = (SystemClock::new(), Pace::default());
        Self { shared, orders, held, viewers, signalled, has_clients: true, real, pace, view: None }
    }

    /// Turns the loop until the server has ended.
    pub(super) fn run<S>(mut self, mut running: Running<S>, on_drain: impl FnOnce(DrainCause)) -> server::Result<()> {
        let mut on_drain = Some(on_drain);
        loop {
            // Without a page, as `Running::run` does it.
            let result = match self.view.is_none() {
                true => running.turn(None),
                false => self.turn_in_view(&mut running),
            };
            if let Some(cause) = running.draining() {
                if let Some(tell) = on_drain.take() {
                    tell(cause);
                }
                self.follow_drain(&running);
            }
            if !matches!(result, Ok(true)) {
                self.show_last(&running);
                return result.map(drop);
            }
            self.after_turn(&mut running);
        }
    }

    /// Follows the drain: what the page cannot start any more, and what need not end by itself.
    fn follow_drain<S>(&mut self, running: &Running<S>) {
        if !self.shared.is_closed() && running.inspect().cut_in().is_some() {
            self.shared.set_closed();
        }
        // The clients of the page are part of the command. After a signal nobody has to wait for them.
        if self.has_clients && self.signalled.load(Ordering::Relaxed) {
            self.has_clients = false;
            self.viewers.post(Viewers::stop_clients);
        }
    }

    /// A tick that is shown. Only that of a single step must come back.
    #[cold]
    #[inline(never)]
    fn turn_in_view<S>(&mut self, running: &mut Running<S>) -> server::Result<bool> {
        let timeout = self.pace.step.then_some(STEP);
        self.pace.step = false;
        running.turn(timeout)
    }

    /// What comes between two ticks. Without a page it reads one flag.
    #[inline]
    fn after_turn<S>(&mut self, running: &mut Running<S>) {
        if self.view.is_some() || self.shared.is_watched() {
            self.attend(running);
        }
    }

    #[cold]
    fn attend<S>(&mut self, running: &mut Running<S>) {
        self.take_orders();
        if !self.shared.is_watched() {
            return self.end_view(running);
        }
        if self.view.is_none() {
            self.begin_view(running);
        }
        if !self.is_slow(running) {
            return self.show_in_time(running);
        }
        self.hold(running);
        // An order to pause may have come at the last moment.
        while self.is_slow(running) && self.pace.paused && !self.pace.step && self.shared.is_watched() {
            self.hold(running);
        }
    }

    // ---- orders -----------------------------------------------------------------------------------------------------

    fn take_orders(&mut self) {
        while let Ok(order) = self.orders.try_recv() {
            self.obey(order);
        }
    }

    fn obey(&mut self, order: LoopOrder) {
        log::debug!("the live page orders: {order:?}");
        match order {
            LoopOrder::Speed(delay) => self.pace = Pace { delay, ..Pace::default() },
            LoopOrder::Pause => self.pace.paused = true,
            LoopOrder::Resume => self.pace.paused = false,
            LoopOrder::Step => (self.pace.paused, self.pace.step) = (true, true),
            LoopOrder::Alone => self.pace = Pace::default(),
        }
    }

    /// Whether the next tick has to wait. A drain is never paused, and a signal ends slow motion, too.
    fn is_slow<S>(&mut self, running: &Running<S>) -> bool {
        if self.signalled.load(Ordering::Relaxed) {
            self.pace = Pace::default();
        }
        if running.draining().is_some() || self.shared.is_drained() {
            self.pace.paused = false;
        }
        self.pace.paused || !self.pace.delay.is_zero()
    }

    /// Shows the last tick, and keeps the loop from the next one for as long as the pace says. The time of the loop
    /// stands still meanwhile, except in a drain: its timeout must hold.
    fn hold<S>(&mut self, running: &mut Running<S>) {
        let begin = self.real.now();
        self.shared.set_held(true);
        let mut is_shown = self.show(running);
        let mut told = self.speed();
        while self.is_slow(running) && !self.pace.step && self.shared.is_watched() {
            let rest = match self.pace.paused {
                true => NAP,
                false => self.pace.delay.saturating_sub(self.real.now().since(begin)).min(NAP),
            };
            if rest.is_zero() {
                break;
            }
            match self.orders.recv_timeout(rest) {
                Ok(order) => self.obey(order),
                Err(RecvTimeoutError::Timeout) => {}
                // The thread of the page has ended, so no order will come.
                Err(RecvTimeoutError::Disconnected) => self.pace = Pace::default(),
            }
            // The pages show what they have ordered.
            if !is_shown || told != self.speed() {
                is_shown = self.show(running);
                told = self.speed();
            }
        }
        self.shared.set_held(false);
        self.take_orders();
        if running.draining().is_none() {
            self.held.add(self.real.now().since(begin));
        }
    }

    // ---- frames -----------------------------------------------------------------------------------------------------

    fn begin_view<S>(&mut self, running: &mut Running<S>) {
        let notes = Rc::<RefCell<Notes>>::default();
        let observer = running.observe(NoteTaker(Rc::clone(&notes)));
        // It was told of what is there already. That is in the frame, and no news.
        notes.take();
        running.time_parts(true);
        self.view = Some(View { observer, notes, next: Moment::ZERO, reminder: None });
    }

    fn end_view<S>(&mut self, running: &mut Running<S>) {
        if let Some(view) = self.view.take() {
            running.unobserve(view.observer);
            running.time_parts(false);
        }
        self.pace = Pace::default();
    }

    fn speed(&self) -> Speed {
        let Pace { delay, paused, .. } = self.pace;
        Speed { paused, delay: delay.as_millis() as u64, single: paused || !delay.is_zero() }
    }

    /// At full speed: shows a frame if it is time for one, and makes sure that there will be one if it is not.
    fn show_in_time<S>(&mut self, running: &Running<S>) {
        let now = running.inspect().now();
        let Some(view) = &mut self.view else { return };
        view.reminder = view.reminder.filter(|at| now < *at);
        let mut rest = view.next.since(now);
        if rest.is_zero() {
            if self.show(running) {
                return;
            }
            // The pages have not taken the last one yet.
            rest = NAP;
        }
        let Some(view) = self.view.as_mut().filter(|view| view.reminder.is_none()) else { return };
        view.reminder = Some(now + rest);
        drop(running.handle().once(rest, |_| {}));
    }

    /// Makes a frame, unless the last one is still on its way. Returns whether it did.
    fn show<S>(&mut self, running: &Running<S>) -> bool {
        let speed = self.speed();
        let Some(view) = &mut self.view else { return false };
        if !self.shared.begin_frame() {
            return false;
        }
        let begin = self.real.now();
        let inspection = running.inspect();
        match frame::make(&inspection, &view.notes, speed) {
            Ok(frame) => self.viewers.post(move |viewers| viewers.show(frame)),
            Err(error) => log::error!("cannot make a frame of the live page: {error}"),
        }
        view.next = inspection.now() + rest_after(self.real.now().since(begin));
        true
    }

    /// Shows how the loop ended, even if the frame before it is still on its way.
    fn show_last<S>(&mut self, running: &Running<S>) {
        self.shared.end_frame();
        self.show(running);
    }
}

/// The time without a frame after one that took so long.
fn rest_after(took: Duration) -> Duration {
    took.saturating_mul(SHARE).clamp(FRAME, LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_that_took_long_is_followed_by_a_rest_that_is_bounded() {
        for (took, rest) in [(0, 100), (1, 100), (2, 200), (20, 2000), (30_000, 2000)]
            .map(|(a, b)| (Duration::from_millis(a), Duration::from_millis(b)))
        {
            assert_eq!(rest_after(took), rest, "{took:?}");
        }
        assert_eq!(rest_after(Duration::MAX), LONGEST);
    }
}
