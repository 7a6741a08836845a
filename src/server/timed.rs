//! A tick whose parts are timed. Without the feature `live`, all this is nothing.

use std::io;
use std::time::Duration;

use super::event_loop::EventLoop;
use super::laps::Part;
use crate::exchange::Service;

impl EventLoop {
    /// Runs one tick, in which the parts are timed if that is asked for. So the tick is compiled twice. Its parts are
    /// marked to be inlined, because calls of them would cost each request dozens of instructions.
    #[inline(always)]
    pub(super) fn next_tick(&mut self, service: &mut dyn Service, max_wait: Option<Duration>) -> io::Result<()> {
        #[cfg(feature = "live")]
        {
            self.laps.ticks += 1;
            if self.laps.on {
                return self.timed_tick(service, max_wait);
            }
        }
        self.tick::<false>(service, max_wait)
    }

    /// Notes that a part of the tick has ended, if the parts are timed.
    #[inline(always)]
    pub(super) fn lap<const TIMED: bool>(&mut self, part: Part) {
        #[cfg(feature = "live")]
        if TIMED {
            // The time of the tick is the clock reading after the wait.
            let now = match part {
                Part::Waiting => self.sessions.now(),
                _ => self.sessions.read_clock(),
            };
            self.laps.end(part, now);
        }
        #[cfg(not(feature = "live"))]
        let _ = part;
    }

    #[cfg(feature = "live")]
    #[cold]
    #[inline(never)]
    fn timed_tick(&mut self, service: &mut dyn Service, max_wait: Option<Duration>) -> io::Result<()> {
        let now = self.sessions.read_clock();
        self.laps.begin(now);
        self.tick::<true>(service, max_wait)
    }
}
