//! The protocols of the simulated application: an echo that sets alarms, pauses its input, gives silent clients up,
//! says goodbye, and is woken by others. Each checks that everything happens, and not too early, and once.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::affairs::{Affairs, Shared, Whose, lock};
use super::application::content;
use super::errands::What;
use super::live::Live;
use super::random::Random;
use crate::exchange::{CloseReason, LiveKey, LocalWaker, MessageRecord, Output, ProtocolEvent};
use crate::http::Moment;

#[derive(Debug)]
pub(super) struct Protocol {
    pub(super) whose: Whose,
    length: usize,
    pub(super) taken: usize,
    until: usize,
    pub(super) greeted: bool,
    /// It ends when it is woken.
    closing: bool,
    pub(super) closed: Option<CloseReason>,
    temper: Temper,
    began: Moment,
    /// When its alarm is due, if one is set.
    pub(super) alarm: Option<Moment>,
    /// When it was last told of an alarm. Before that, the idle timeout was off.
    pub(super) rung: Moment,
    /// When its connection closes at the latest, if it has said goodbye.
    pub(super) goodbye: Option<Moment>,
    /// It was told that the client has closed its side.
    ended: bool,
    /// It has asked for the end of its connection.
    asked: bool,
    /// It has given a client up that was silent for so long.
    pub(super) gave_up: Option<Duration>,
    /// How many messages it has reported.
    pub(super) reported: usize,
    waker: Option<LocalWaker>,
    /// It was woken on the loop's own thread and was not told yet.
    pub(super) woken: bool,
    /// Set when it has ended. Errands can wait for it.
    released: Arc<AtomicBool>,
}

/// What a protocol likes to do.
#[derive(Clone, Copy, Debug)]
struct Temper {
    /// How many of a hundred calls set an alarm.
    alarms: usize,
    /// The longest time of an alarm or a goodbye.
    longest: Duration,
    /// How long a client may be silent.
    patience: Option<Duration>,
    /// How many of a hundred calls pause input.
    pauses: usize,
    /// How many of a hundred pauses are too long.
    stalls: usize,
    /// How many of a hundred calls wake another protocol.
    wakes: usize,
    /// How many of a hundred calls change the memory that it holds.
    memory: usize,
    /// How many of a hundred ends are goodbyes.
    goodbyes: usize,
    /// How many of a hundred calls say goodbye although there is more to come.
    early: usize,
}

impl Temper {
    fn new(random: &mut Random, fails: bool) -> Self {
        let longest = Duration::from_millis(random.pick(&[1, 30, 700, 3_000, 20_000]));
        Self {
            alarms: random.pick(&[0, 0, 20, 90]),
            longest,
            patience: random.percent(15).then_some(longest / 2),
            pauses: random.pick(&[0, 0, 10, 40]),
            stalls: random.pick(&[0, 0, 5]),
            wakes: random.pick(&[0, 10, 60]),
            memory: random.pick(&[0, 0, 20]),
            goodbyes: random.pick(&[0, 50, 100]),
            early: if fails { 0 } else { random.pick(&[0, 0, 0, 5]) },
        }
    }
}

impl Live {
    pub(super) fn upgrade(&mut self, shared: &Shared, whose: Whose, fails: bool, length: usize) -> LiveKey {
        let mut affairs = lock(shared);
        let until = if fails { affairs.random.size(length) } else { usize::MAX };
        let temper = Temper::new(&mut affairs.random, fails);
        self.protocols.push(Protocol {
            whose,
            length,
            taken: 0,
            until,
            greeted: false,
            closing: false,
            closed: None,
            temper,
            began: affairs.now,
            alarm: None,
            rung: Moment::ZERO,
            goodbye: None,
            ended: false,
            asked: false,
            gave_up: None,
            reported: 0,
            waker: None,
            woken: false,
            released: Arc::default(),
        });
        LiveKey(self.protocols.len() as u32 - 1)
    }

    pub(super) fn protocol(
        &mut self,
        shared: &Shared,
        key: LiveKey,
        event: ProtocolEvent<'_>,
        out: &mut Output<'_>,
    ) -> io::Result<usize> {
        let protocol = &mut self.protocols[key.0 as usize];
        // The clock locks the affairs, too.
        let hurries = lock(shared).random.percent(20) && out.is_time_over();
        let mut affairs = lock(shared);
        affairs.note(|| {
            format!("protocol of {:?}: {event:?} at {}", protocol.whose, protocol.taken).chars().take(90).collect()
        });
        let result = protocol.told(&mut affairs, event, hurries, out);
        let wakes = affairs.random.percent(protocol.temper.wakes);
        if wakes {
            self.wake_any(&mut affairs.random);
        }
        result
    }

    pub(super) fn protocol_closed(&mut self, shared: &Shared, key: LiveKey, why: CloseReason) {
        self.protocols[key.0 as usize].is_closed(&mut lock(shared), why);
        if lock(shared).random.percent(30) {
            self.wake_any(&mut lock(shared).random);
        }
    }

    /// Wakes one of the protocols on the loop's own thread; perhaps it has ended.
    pub(super) fn wake_any(&mut self, random: &mut Random) {
        if self.protocols.is_empty() {
            return;
        }
        let which = random.below(self.protocols.len());
        let protocol = &mut self.protocols[which];
        if let Some(waker) = &protocol.waker {
            waker.wake();
            protocol.woken |= protocol.closed.is_none();
        }
    }

    /// The protocol that a connection speaks.
    pub(super) fn protocol_of(&self, connection: usize) -> Option<&Protocol> {
        self.protocols.iter().rev().find(|protocol| protocol.whose.0 == connection && protocol.closed.is_none())
    }

    /// The protocol that a connection has spoken last.
    pub(super) fn last_protocol_of(&self, connection: usize) -> Option<&Protocol> {
        self.protocols.iter().rev().find(|protocol| protocol.whose.0 == connection)
    }
}

impl Protocol {
    /// Is told of an event. `hurries` says that its time is over.
    fn told(
        &mut self,
        affairs: &mut Affairs,
        event: ProtocolEvent<'_>,
        hurries: bool,
        out: &mut Output<'_>,
    ) -> io::Result<usize> {
        if self.closed.is_some() || self.asked || !(self.greeted || matches!(event, ProtocolEvent::Writable)) {
            affairs.blame(format!("{:?}: {self:?} is told of {event:?}", self.whose));
        }
        self.check_silence(affairs, out);
        let mut understood = 0;
        let ends = match event {
            ProtocolEvent::Writable if self.closing => {
                self.woken = false;
                self.close(out);
                return Ok(0);
            }
            ProtocolEvent::Writable => {
                self.write(affairs, out);
                false
            }
            ProtocolEvent::Data(bytes) => {
                understood = self.echo(affairs, bytes, hurries, out)?;
                self.taken == self.length
            }
            ProtocolEvent::Blocked => {
                if out.owed() == 0 {
                    affairs.blame(format!("{:?}: it is blocked, and nothing is owed", self.whose));
                }
                false
            }
            ProtocolEvent::Alarm => {
                self.ring(affairs, out)?;
                false
            }
            ProtocolEvent::End => {
                if std::mem::replace(&mut self.ended, true) {
                    affairs.blame(format!("{:?}: told twice of the end", self.whose));
                }
                true
            }
            ProtocolEvent::Drain => true,
        };
        if ends {
            self.end(affairs, out);
        } else if affairs.random.percent(self.temper.early) {
            self.say_goodbye(affairs, out);
        }
        if !self.asked {
            self.wish(affairs, out);
        }
        Ok(understood)
    }

    /// The server cannot have listened before the protocol began, or while it paused input.
    fn check_silence(&self, affairs: &mut Affairs, out: &Output<'_>) {
        let resumed = affairs.resumed.get(self.whose.0).copied().unwrap_or_default();
        let most = match affairs.pauses(self.whose) {
            0 => affairs.now.since(self.began.max(resumed)),
            _ => Duration::ZERO,
        };
        if out.silence() > most {
            affairs.blame(format!("{:?}: silent for {:?}, not {most:?}", self.whose, out.silence()));
        }
    }

    fn write(&mut self, affairs: &mut Affairs, out: &mut Output<'_>) {
        self.woken = false;
        out.write(if self.greeted { "!" } else { "?" });
        if !self.greeted {
            self.greeted = true;
            self.waker = Some(out.local_waker());
            if self.temper.patience.is_some() {
                self.set_alarm(affairs, out);
            }
        }
        if affairs.random.percent(30) {
            affairs.put_off(self.whose, What::Wake(out.waker(), None));
        }
    }

    /// Sends back what came, and changes it where it is. Returns how many bytes it has understood.
    fn echo(
        &mut self,
        affairs: &mut Affairs,
        bytes: &mut [u8],
        hurries: bool,
        out: &mut Output<'_>,
    ) -> io::Result<usize> {
        let (connection, number) = self.whose;
        let (from, to) = (self.taken, self.taken + bytes.len());
        if to > self.length || bytes != &content(connection, number, self.length)[from..to] {
            affairs.blame(format!("{:?}: not what was said: {} bytes at {from}", self.whose, bytes.len()));
        }
        if affairs.pauses(self.whose) > 0 {
            affairs.blame(format!("{:?}: bytes come although input is paused", self.whose));
        }
        let mut understood = if to >= self.length { bytes.len() } else { bytes.len() - bytes.len() % 5 };
        if hurries {
            understood = understood.min(5 * affairs.random.below(3));
        }
        out.write(&bytes[..understood]);
        // What it has used is its own.
        bytes[..understood].fill(0);
        self.taken += understood;
        if self.taken >= self.until {
            return Err(io::Error::other("failed as asked"));
        }
        out.report_message(MessageRecord { received: true, is_text: true, bytes: understood as u64 });
        self.reported += 1;
        Ok(understood)
    }

    fn ring(&mut self, affairs: &mut Affairs, out: &mut Output<'_>) -> io::Result<()> {
        match self.alarm.take() {
            Some(due) if due <= affairs.now => {}
            other => affairs.blame(format!("{:?}: an alarm that is not due: {other:?}", self.whose)),
        }
        self.rung = affairs.now;
        if self.goodbye.is_some() {
            affairs.blame(format!("{:?}: an alarm after the goodbye", self.whose));
        }
        if let Some(patience) = self.temper.patience {
            if out.silence() >= patience {
                self.gave_up = Some(patience);
                return Err(ErrorKind::TimedOut.into());
            }
            self.set_alarm(affairs, out);
        }
        if affairs.random.percent(50) {
            out.write("!");
        }
        Ok(())
    }

    /// Ends in one way or the other.
    fn end(&mut self, affairs: &mut Affairs, out: &mut Output<'_>) {
        if self.goodbye.is_some() {
            // The goodbye goes on.
        } else if affairs.random.percent(self.temper.goodbyes) {
            self.say_goodbye(affairs, out);
        } else if affairs.random.percent(50) {
            self.close(out);
        } else {
            self.closing = true;
            affairs.put_off(self.whose, What::Wake(out.waker(), None));
        }
    }

    fn close(&mut self, out: &mut Output<'_>) {
        out.close();
        self.asked = true;
    }

    fn say_goodbye(&mut self, affairs: &mut Affairs, out: &mut Output<'_>) {
        let after = self.any_time(affairs);
        out.close_when(after);
        (self.goodbye, self.alarm) = (Some(affairs.now + after), None);
    }

    fn set_alarm(&mut self, affairs: &mut Affairs, out: &mut Output<'_>) {
        let after = self.any_time(affairs);
        out.set_alarm(after);
        if self.goodbye.is_none() {
            self.alarm = Some(affairs.now + after);
        }
    }

    fn any_time(&self, affairs: &mut Affairs) -> Duration {
        Duration::from_micros(affairs.random.size(self.temper.longest.as_micros() as usize) as u64)
    }

    /// Does at random what has nothing to do with the call.
    fn wish(&mut self, affairs: &mut Affairs, out: &mut Output<'_>) {
        if affairs.random.percent(self.temper.alarms) {
            self.set_alarm(affairs, out);
        }
        while affairs.random.percent(self.temper.pauses) {
            let pause = What::Resume(out.pause());
            match affairs.random.percent(self.temper.stalls) {
                true => affairs.park(self.whose, Arc::clone(&self.released), pause),
                false => affairs.put_off(self.whose, pause),
            }
        }
        if affairs.random.percent(self.temper.memory) {
            out.set_memory(affairs.random.below(20_000));
        }
    }

    fn is_closed(&mut self, affairs: &mut Affairs, why: CloseReason) {
        if let Some(before) = self.closed.replace(why) {
            affairs.blame(format!("{:?}: a protocol is closed twice: {before:?}, {why:?}", self.whose));
        }
        self.released.store(true, Ordering::Relaxed);
        self.woken = false;
        let is_over = |due: Option<Moment>| due.is_none_or(|due| due <= affairs.now);
        let fault = match why {
            CloseReason::ProtocolEnded => {
                !(self.asked || self.goodbye.is_some() && (self.ended || is_over(self.goodbye)))
            }
            CloseReason::IdleTimeout => !(self.gave_up.is_some() || is_over(self.alarm) && is_over(self.goodbye)),
            _ => false,
        };
        if fault {
            affairs.blame(format!("{:?}: closed too early, {why:?}: {self:?}", self.whose));
        }
    }
}
