//! A room: what one member says comes to all of them, to the speaker too. The next message is said when all have the
//! last one.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::crowd::{Crowd, send};
use crate::open::{Target, check, content, expect};
use crate::{Measure, Result, frame, quantile};

/// What is said, and how many hear it.
pub(crate) struct Talk {
    pub(crate) members: usize,
    /// Bytes of a message.
    pub(crate) size: usize,
    /// Messages that are said at once, with one write.
    pub(crate) batch: usize,
}

/// A message to all members for as long as the time goes on.
pub(crate) fn broadcast(target: Target<'_>, talk: &Talk, warmup: Duration, seconds: Duration) -> Result<String> {
    let mut room = Room::open(target, talk, 0, None)?;
    room.speak(|_, time| time < warmup)?;
    let measure = Measure::begin()?;
    let messages = room.speak(|_, time| time < seconds)?;
    Ok(format!("{{{}}}", measure.end("deliveries", messages * talk.batch * talk.members)?))
}

/// Messages to all members, then as many when some of them do not read any more; and an echo beside both.
pub(crate) fn slow(
    target: Target<'_>,
    echo: Target<'_>,
    talk: &Talk,
    stopped: usize,
    messages: usize,
) -> Result<String> {
    let mut room = Room::open(target, talk, stopped, Some(echo))?;
    room.speak(|number, _| number < messages / 4)?;
    room.take_waits();

    let measure = Measure::begin()?;
    room.speak(|number, _| number < messages)?;
    let before = format!("{},{}", measure.end("deliveries", messages * talk.members)?, room.take_waits());

    room.stop_reading()?;
    let measure = Measure::begin()?;
    room.speak(|number, _| number < messages)?;
    let deliveries = messages * (talk.members - stopped);
    let beside = format!("{},{}", measure.end("deliveries", deliveries)?, room.take_waits());
    let rest = room.crowd.rest_of(talk.members - stopped..talk.members, SILENCE)?;
    let missed = rest.iter().filter(|&&bytes| bytes < messages * room.length).count();
    Ok(format!(r#"{{"before":{{{before}}},"beside":{{{beside}}},"missed":{missed}}}"#))
}

/// After this long, nothing more comes to a member that was slow.
const SILENCE: Duration = Duration::from_millis(500);

struct Room {
    crowd: Crowd,
    /// The frame of the speaker, and the length of what comes to each member.
    message: Vec<u8>,
    length: usize,
    /// The members are the first sockets; the last of them stop to read.
    members: usize,
    stopped: usize,
    is_stopped: bool,
    /// Bytes that each member has received.
    received: Vec<usize>,
    /// If there is an echo, it is the socket after the members: what it sends, the number of answers, and the longest
    /// wait for one during each message.
    echo: Option<Vec<u8>>,
    echoes: usize,
    waits: Vec<f64>,
}

/// Bytes of the echo's message.
const ECHO: usize = 64;

impl Room {
    fn open(target: Target<'_>, talk: &Talk, stopped: usize, echo: Option<Target<'_>>) -> Result<Self> {
        let mut opened = target.open(talk.members - stopped)?;
        opened.append(&mut Target { is_far: true, ..target }.open(stopped)?);
        let said = content(talk.size);
        // A server answers a handshake before, or after, its socket is a member. All are, when each has heard the last.
        let message = frame::masked(frame::TEXT, &said).repeat(talk.batch);
        let answer = frame::plain(frame::TEXT, &said).repeat(talk.batch);
        opened[0].write_all(&message)?;
        for stream in &mut opened {
            expect(stream, &answer)?;
        }
        if let Some(target) = echo {
            let mut neighbour = target.open(1)?;
            check(&mut neighbour[0], frame::TEXT, &content(ECHO))?;
            opened.append(&mut neighbour);
        }
        Ok(Self {
            crowd: Crowd::new(opened)?,
            message,
            length: answer.len(),
            members: talk.members,
            stopped,
            is_stopped: false,
            received: vec![0; talk.members],
            echo: echo.map(|_| frame::masked(frame::TEXT, &content(ECHO))),
            echoes: 0,
            waits: Vec::new(),
        })
    }

    /// Says messages for as long as `goes_on`, which gets the number of messages so far and the time. Meanwhile the
    /// echo asks without a pause. Returns the number of messages.
    fn speak(&mut self, goes_on: impl Fn(usize, Duration) -> bool) -> Result<usize> {
        let (began, mut messages) = (Instant::now(), 0);
        let listening = if self.is_stopped { self.members - self.stopped } else { self.members };
        let answer = frame::plain(frame::TEXT, &content(ECHO)).len();
        self.received.fill(0);
        let (mut asked, mut asking) = (began, false);
        while goes_on(messages, began.elapsed()) {
            self.crowd.send(0, &self.message)?;
            let mut missing = listening * self.length;
            if let (Some(question), false) = (&self.echo, asking) {
                self.crowd.send(self.members, question)?;
                (asked, asking) = (Instant::now(), true);
            }
            let (mut echo_missing, mut longest) = (answer, 0.0_f64);
            // The echo of the last message is awaited too.
            while missing > 0 || asking {
                let (echo, echoes, received) = (&self.echo, &mut self.echoes, &mut self.received);
                let is_done = missing == 0;
                self.crowd.turn(|index, socket, length| {
                    if let Some(count) = received.get_mut(index) {
                        *count += length;
                        missing = missing.checked_sub(length).ok_or("more comes than was said")?;
                        return Ok(());
                    }
                    echo_missing = echo_missing.checked_sub(length).ok_or("more comes back than was sent")?;
                    if echo_missing == 0 {
                        longest = longest.max(asked.elapsed().as_secs_f64());
                        *echoes += 1;
                        asking = !is_done;
                        if let (Some(question), true) = (echo, asking) {
                            send(socket, question)?;
                            (asked, echo_missing) = (Instant::now(), answer);
                        }
                    }
                    Ok(())
                })?;
            }
            messages += 1;
            self.waits.push(longest);
        }
        if self.received[..listening].iter().any(|&bytes| bytes != messages * self.length) {
            return Err("not every member has heard every message".into());
        }
        Ok(messages)
    }

    fn stop_reading(&mut self) -> Result<()> {
        self.is_stopped = true;
        (self.members - self.stopped..self.members).try_for_each(|index| self.crowd.leave(index))
    }

    fn take_waits(&mut self) -> String {
        let (mut waits, echoes) = (std::mem::take(&mut self.waits), std::mem::take(&mut self.echoes));
        let [middle, most] = [0.5, 1.0].map(|share| quantile(&mut waits, share));
        format!(r#""echoes":{echoes},"wait":{middle},"longest_wait":{most}"#)
    }
}
