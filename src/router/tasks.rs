//! Work that no request asks for: tasks that other threads post, and timers. All of it runs on the loop's thread, with
//! access to the state.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering as Memory};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::exchange::{LoopControl, dispose, guard};
use crate::http::Moment;

type Task<S> = Box<dyn FnOnce(&mut S) + Send>;
type Repeated<S> = Box<dyn FnMut(&mut S) + Send>;
type LocalTask<S> = Box<dyn FnOnce(&mut S)>;
type LocalRepeated<S> = Box<dyn FnMut(&mut S)>;

/// A timer that can be cancelled: see [`Routes::every`](super::Routes::every) and
/// [`Routes::once`](super::Routes::once).
///
/// Dropping this handle does not cancel the timer.
#[derive(Clone, Debug, Default)]
pub struct Timer(Arc<AtomicBool>);

impl Timer {
    /// Cancels the timer: no further call begins. If another thread cancels it, a call that has already begun goes on.
    pub fn cancel(&self) {
        self.0.store(true, Memory::Release);
    }

    fn is_cancelled(&self) -> bool {
        self.0.load(Memory::Acquire)
    }
}

/// The tasks that other threads have posted for the state and that have not been run yet, and the way to the loop that
/// runs them.
pub(super) struct Tasks<S> {
    posted: Mutex<Queue<S>>,
}

struct Queue<S> {
    waiting: VecDeque<Posted<S>>,
    /// The router was dropped, so no task will be run.
    closed: bool,
    /// The loop that serves the router, once there is one.
    control: Option<LoopControl>,
    /// Someone has asked for a shutdown before there was a loop.
    stopped: bool,
}

/// The router's end of its tasks. When it is dropped, so are all tasks that were not run.
pub(super) struct Inbox<S>(Arc<Tasks<S>>);

/// What another thread has posted.
enum Posted<S> {
    Task(Task<S>),
    Once(Duration, Task<S>, Timer),
    Every(Duration, Repeated<S>, Timer),
}

/// A timer whose delay has not begun yet.
pub(super) struct NewTimer<S> {
    delay: Duration,
    job: Job<S>,
    timer: Timer,
}

/// What a timer calls.
enum Job<S> {
    Once(LocalTask<S>),
    Every(Duration, LocalRepeated<S>),
}

impl<S> Tasks<S> {
    pub(super) fn post(&self, task: Task<S>) {
        self.push(Posted::Task(task));
    }

    pub(super) fn once(&self, delay: Duration, task: Task<S>) -> Timer {
        let timer = Timer::default();
        self.push(Posted::Once(delay, task, timer.clone()));
        timer
    }

    pub(super) fn every(&self, period: Duration, task: Repeated<S>) -> Timer {
        let timer = Timer::default();
        self.push(Posted::Every(period, task, timer.clone()));
        timer
    }

    fn push(&self, posted: Posted<S>) {
        let mut queue = self.queue();
        if queue.closed {
            drop(queue);
            return dispose(posted);
        }
        queue.waiting.push_back(posted);
        // Ringing takes no lock, and the loop does not wait for this one for long.
        if let Some(control) = &queue.control {
            control.ring();
        }
    }

    /// Asks the loop to drain, or remembers it until there is a loop.
    pub(super) fn ask_shutdown(&self) {
        let mut queue = self.queue();
        match &queue.control {
            Some(control) => control.shutdown(),
            None => queue.stopped = true,
        }
    }

    /// Whether the loop has begun to drain, or will do so when it begins.
    pub(super) fn is_draining(&self) -> bool {
        let queue = self.queue();
        queue.control.as_ref().map_or(queue.stopped, LoopControl::is_draining)
    }

    fn queue(&self) -> MutexGuard<'_, Queue<S>> {
        self.posted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Inbox<S> {
    pub(super) fn new() -> Self {
        let queue = Queue { waiting: VecDeque::new(), closed: false, control: None, stopped: false };
        Self(Arc::new(Tasks { posted: Mutex::new(queue) }))
    }

    /// The end of the queue for other threads.
    pub(super) fn tasks(&self) -> Arc<Tasks<S>> {
        Arc::clone(&self.0)
    }

    /// A loop begins to serve the router. It learns of what was asked before.
    pub(super) fn begin(&self, control: &LoopControl) {
        let mut queue = self.0.queue();
        if !queue.waiting.is_empty() {
            control.ring();
        }
        if std::mem::take(&mut queue.stopped) {
            control.shutdown();
        }
        queue.control = Some(control.clone());
    }

    /// Runs a posted task; returns whether there are more.
    pub(super) fn run(&self, state: &mut S, timers: &mut Timers<S>, now: Moment) -> bool {
        // A separate statement: the lock must not be held while the task runs.
        let next = self.0.queue().waiting.pop_front();
        match next {
            None => return false,
            Some(Posted::Once(delay, task, timer)) => timers.begin(NewTimer::once(delay, task, &timer), now),
            Some(Posted::Every(period, task, timer)) => timers.begin(NewTimer::every(period, task, &timer), now),
            Some(Posted::Task(task)) => {
                if let Err(panic) = guard(|| task(state)) {
                    fault!("a posted task {panic}");
                }
            }
        }
        !self.0.queue().waiting.is_empty()
    }
}

impl<S> Drop for Inbox<S> {
    fn drop(&mut self) {
        let mut queue = self.0.queue();
        queue.closed = true;
        let left = std::mem::take(&mut queue.waiting);
        drop(queue);
        left.into_iter().for_each(dispose);
    }
}

impl<S> NewTimer<S> {
    pub(super) fn once(delay: Duration, task: LocalTask<S>, timer: &Timer) -> Self {
        Self { delay, job: Job::Once(task), timer: timer.clone() }
    }

    pub(super) fn every(period: Duration, task: LocalRepeated<S>, timer: &Timer) -> Self {
        // A timer with a period of zero would be due all the time.
        let period = period.max(Duration::from_millis(1));
        Self { delay: period, job: Job::Every(period, task), timer: timer.clone() }
    }
}

/// The timers of an application. There are few of them, so a heap is good enough.
pub(super) struct Timers<S> {
    /// Timers that were set before the loop has told the time.
    new: Vec<NewTimer<S>>,
    running: BinaryHeap<Begun<S>>,
    next_number: u64,
    /// The number of running timers at which cancelled ones are searched and removed.
    swept_at: usize,
}

/// With fewer timers than this, cancelled ones are not searched.
const MIN_SWEEP: usize = 64;

/// A timer whose delay has begun.
struct Begun<S> {
    due: Moment,
    /// Timers that are due at the same time are called in the order of their numbers.
    number: u64,
    job: Job<S>,
    timer: Timer,
}

impl<S> Timers<S> {
    pub(super) const fn new() -> Self {
        Self { new: Vec::new(), running: BinaryHeap::new(), next_number: 0, swept_at: MIN_SWEEP }
    }

    /// Sets a timer; its delay begins at the next call of [`run`](Self::run).
    pub(super) fn add(&mut self, new: NewTimer<S>) {
        self.new.push(new);
    }

    /// Takes over the timers of a part that is mounted.
    pub(super) fn append(&mut self, part: &mut Self) {
        self.new.append(&mut part.new);
    }

    fn begin(&mut self, new: NewTimer<S>, now: Moment) {
        let NewTimer { delay, job, timer } = new;
        self.push(now + delay, job, timer);
    }

    fn push(&mut self, due: Moment, job: Job<S>, timer: Timer) {
        // Cancelled timers are removed here, long before they are due. The threshold doubles, so that the cost per
        // timer stays constant.
        if self.running.len() >= self.swept_at {
            let mut running = std::mem::take(&mut self.running).into_vec();
            running.extract_if(.., |timer| timer.timer.is_cancelled()).for_each(dispose);
            self.running = running.into();
            self.swept_at = (2 * self.running.len()).max(MIN_SWEEP);
        }
        self.running.push(Begun { due, number: self.next_number, job, timer });
        self.next_number += 1;
    }

    /// Calls a timer that is due, if there is one; returns when the next one is due.
    pub(super) fn run(&mut self, state: &mut S, now: Moment) -> Option<Moment> {
        for new in std::mem::take(&mut self.new) {
            self.begin(new, now);
        }
        if self.running.peek().is_some_and(|next| next.due <= now)
            && let Some(Begun { due, job, timer, .. }) = self.running.pop()
        {
            match job {
                cancelled if timer.is_cancelled() => dispose(cancelled),
                Job::Once(task) => call(|| task(state)),
                Job::Every(period, mut task) => {
                    call(|| task(state));
                    // The next call is due at a multiple of the period; missed calls are skipped.
                    let missed = now.since(due).as_nanos() / period.as_nanos();
                    let missed = u32::try_from(missed).unwrap_or(u32::MAX);
                    let next = due + period.saturating_mul(missed) + period;
                    self.push(next, Job::Every(period, task), timer);
                }
            }
        }
        self.running.peek().map(|next| next.due)
    }
}

fn call(task: impl FnOnce()) {
    if let Err(panic) = guard(task) {
        fault!("a timer {panic}");
    }
}

impl<S> fmt::Debug for Timers<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timers({})", self.new.len() + self.running.len())
    }
}

// The heap returns the greatest timer, so the one that is due first, or was set first, must compare as the greatest.
impl<S> Ord for Begun<S> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.due, other.number).cmp(&(self.due, self.number))
    }
}

impl<S> PartialOrd for Begun<S> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<S> PartialEq for Begun<S> {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl<S> Eq for Begun<S> {}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::exchange::Controlled;

    fn at(millis: u64) -> Moment {
        Moment::from_nanos(millis * 1_000_000)
    }

    fn note(text: &'static str) -> impl FnMut(&mut Vec<&'static str>) + Send {
        move |notes| notes.push(text)
    }

    #[test]
    fn timers_are_called_when_they_are_due_in_the_order_in_which_they_were_set() {
        let (mut timers, mut notes) = (Timers::new(), Vec::new());
        let timer = Timer::default();
        timers.add(NewTimer::once(Duration::from_millis(20), Box::new(note("late")), &timer));
        timers.add(NewTimer::once(Duration::from_millis(10), Box::new(note("a")), &timer));
        timers.add(NewTimer::once(Duration::from_millis(10), Box::new(note("b")), &timer));
        assert_eq!(timers.run(&mut notes, at(100)), Some(at(110)), "the delays begin at the first run");
        assert_eq!(timers.run(&mut notes, at(109)), Some(at(110)));
        assert!(notes.is_empty());
        assert_eq!(timers.run(&mut notes, at(110)), Some(at(110)), "one call at a time");
        assert_eq!(timers.run(&mut notes, at(110)), Some(at(120)));
        assert_eq!(notes, ["a", "b"]);
        assert_eq!(timers.run(&mut notes, at(1_000)), None);
        assert_eq!(notes, ["a", "b", "late"]);
    }

    #[test]
    fn a_repeated_timer_keeps_its_period_and_skips_missed_calls() {
        let (mut timers, mut notes) = (Timers::new(), Vec::new());
        let timer = Timer::default();
        timers.add(NewTimer::every(Duration::from_millis(10), Box::new(note("tick")), &timer));
        assert_eq!(timers.run(&mut notes, at(0)), Some(at(10)));
        assert_eq!(timers.run(&mut notes, at(13)), Some(at(20)));
        assert_eq!(timers.run(&mut notes, at(57)), Some(at(60)));
        assert_eq!(notes.len(), 2);
        timer.cancel();
        assert_eq!(timers.run(&mut notes, at(60)), None);
        assert_eq!(notes.len(), 2);
    }

    #[test]
    fn a_timer_that_panics_is_called_again() {
        let (mut timers, mut count) = (Timers::new(), 0);
        let task = |count: &mut u32| {
            *count += 1;
            std::panic::resume_unwind(Box::new("as asked"));
        };
        timers.add(NewTimer::every(Duration::ZERO, Box::new(task), &Timer::default()));
        for now in [0, 1, 2] {
            assert_eq!(timers.run(&mut count, at(now)), Some(at(now + 1)), "a period of zero is one millisecond");
        }
        assert_eq!(count, 2);
    }

    #[test]
    fn posted_tasks_run_in_order_and_a_panic_does_not_stop_them() {
        let (inbox, mut timers, mut notes) = (Inbox::new(), Timers::new(), Vec::new());
        let tasks = inbox.tasks();
        tasks.post(Box::new(note("one")));
        tasks.post(Box::new(|_: &mut Vec<&str>| std::panic::resume_unwind(Box::new("as asked"))));
        tasks.once(Duration::from_millis(1), Box::new(note("later")));
        tasks.post(Box::new(note("two")));
        for left in [3, 2, 1, 0] {
            assert_eq!(inbox.run(&mut notes, &mut timers, at(7)), left > 0, "one task at a time");
        }
        assert_eq!(notes, ["one", "two"]);
        assert_eq!(timers.run(&mut notes, at(7)), Some(at(8)));
        assert_eq!(timers.run(&mut notes, at(8)), None);
        assert_eq!(notes, ["one", "two", "later"]);
    }

    /// A loop that only counts what it is asked for.
    #[derive(Default)]
    struct Asked {
        rung: AtomicUsize,
        stopped: AtomicUsize,
    }

    impl Controlled for Asked {
        fn ring(&self) {
            self.rung.fetch_add(1, Memory::Relaxed);
        }

        fn ask_shutdown(&self) {
            self.stopped.fetch_add(1, Memory::Relaxed);
        }

        fn is_draining(&self) -> bool {
            self.stopped.load(Memory::Relaxed) > 0
        }
    }

    #[test]
    fn what_was_asked_before_the_loop_began_is_done_when_it_begins() {
        let (inbox, asked) = (Inbox::<()>::new(), Arc::new(Asked::default()));
        let counts = |asked: &Asked| (asked.rung.load(Memory::Relaxed), asked.stopped.load(Memory::Relaxed));
        let tasks = inbox.tasks();
        tasks.post(Box::new(|()| {}));
        tasks.post(Box::new(|()| {}));
        assert!(!tasks.is_draining());
        tasks.ask_shutdown();
        assert!(tasks.is_draining());
        inbox.begin(&LoopControl::new(Arc::clone(&asked) as Arc<dyn Controlled>));
        assert_eq!(counts(&asked), (1, 1));
        tasks.post(Box::new(|()| {}));
        tasks.ask_shutdown();
        assert_eq!((counts(&asked), tasks.is_draining()), ((2, 2), true));
    }

    #[test]
    fn tasks_that_were_not_run_are_dropped_with_the_router() {
        let (inbox, kept) = (Inbox::<()>::new(), Arc::new(()));
        let tasks = inbox.tasks();
        let task = |kept: &Arc<()>| {
            let kept = Arc::clone(kept);
            Box::new(move |_: &mut ()| drop(kept))
        };
        tasks.post(task(&kept));
        assert_eq!(Arc::strong_count(&kept), 2);
        drop(inbox);
        tasks.post(task(&kept));
        assert_eq!(Arc::strong_count(&kept), 1);
    }

    #[test]
    fn cancelled_timers_are_removed_before_they_are_due() {
        let (mut timers, kept) = (Timers::<()>::new(), Arc::new(()));
        for now in 0..10_000 {
            let (timer, kept) = (Timer::default(), Arc::clone(&kept));
            timers.add(NewTimer::once(Duration::from_secs(3600), Box::new(move |()| drop(kept)), &timer));
            timers.run(&mut (), at(now));
            timer.cancel();
        }
        assert!(Arc::strong_count(&kept) <= 2 * MIN_SWEEP, "{} are left", Arc::strong_count(&kept));
    }
}
