//! What the simulated application keeps as long as an exchange lives: sinks, and protocols (see `protocols`). Each of
//! them checks that it gets what the client has sent, in order, and exactly one end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::affairs::{Shared, Whose, lock};
use super::application::content;
use super::errands::{How, What, begin_answer};
use super::protocols::Protocol;
use super::sources::{Plan, Pull};
use crate::exchange::{Abort, BodySender, Intake, LiveKey, Response, SendError, Sent};
use crate::http::{Error, Result};

/// All sinks and protocols, live ones and ended ones.
#[derive(Default)]
pub(super) struct Live {
    pub(super) sinks: Vec<Sink>,
    pub(super) protocols: Vec<Protocol>,
}

pub(super) struct Sink {
    pub(super) whose: Whose,
    deed: String,
    length: usize,
    pub(super) taken: usize,
    /// Where it fails, if it does.
    until: usize,
    /// How it ended: its content came whole, or why it did not.
    pub(super) ended: Option<std::result::Result<(), Abort>>,
    sender: Option<BodySender>,
    /// Set when the sink has ended. Errands can wait for it.
    released: Arc<AtomicBool>,
}

/// How the reply to an upload is given, at its head or at its end.
const HOWS: [How; 3] = [How::Text, How::Pull, How::Push];

impl Live {
    // ---- sinks ------------------------------------------------------------------------------------------------------

    /// Opens a sink for a request with content.
    pub(super) fn open(
        &mut self,
        shared: &Shared,
        whose: Whose,
        (deed, length): (&str, usize),
        res: Response<'_>,
    ) -> Result<(Sent, Option<LiveKey>)> {
        let (how, known, until) = {
            let random = &mut lock(shared).random;
            (random.pick(&HOWS), random.percent(30), random.size(length.max(1)))
        };
        let mut sender = None;
        let plan = Plan { known, ..Plan::new(whose, length) };
        // Content that the handler does not accept may end the connection, and then the reply announces that.
        let res = if deed.starts_with("sinknone") { res } else { res.accept_content() };
        let sent = match deed {
            "sinkrefuse" => return Err(Error::new(409, "Refused as asked")),
            "sinknone" => return Ok((res.text("taken")?, None)),
            "sinknonepull" => return Ok((res.stream(Pull::new(shared, plan))?, None)),
            "sinkearly" => res.text("taken")?,
            "sinkstream" | "sinkfailstream" => res.stream(Pull::new(shared, plan))?,
            "sinkboth" => {
                let (sent, responder) = res.defer();
                begin_answer(shared, plan, how, responder);
                sent
            }
            "echo" => {
                let (sent, pushes) = res.channel()?;
                sender = Some(pushes);
                sent
            }
            _ => res.later(),
        };
        let until = if deed.starts_with("sinkfail") { until } else { usize::MAX };
        let released = Arc::default();
        let deed = deed.to_owned();
        self.sinks.push(Sink { whose, deed, length, taken: 0, until, ended: None, sender, released });
        Ok((sent, Some(LiveKey(self.sinks.len() as u32 - 1))))
    }

    pub(super) fn content(
        &mut self,
        shared: &Shared,
        key: LiveKey,
        piece: &[u8],
        intake: &mut Intake<'_>,
    ) -> Result<()> {
        let sink = &mut self.sinks[key.0 as usize];
        let (whose, from) = (sink.whose, sink.taken);
        sink.taken += piece.len();
        let right = sink.taken <= sink.length && piece == &content(whose.0, whose.1, sink.length)[from..sink.taken];
        if !right || piece.is_empty() || sink.ended.is_some() {
            lock(shared).blame(format!("{whose:?}: a piece of {} at {from}, ended: {:?}", piece.len(), sink.ended));
        }
        if lock(shared).pauses(whose) > 0 {
            lock(shared).blame(format!("{whose:?}: content comes although it is paused"));
        }
        if sink.taken >= sink.until {
            return Err(Error::new(409, "Failed as asked"));
        }
        if sink.deed == "stall" {
            let flag = Arc::clone(&sink.released);
            lock(shared).park(whose, flag, What::Resume(intake.pause()));
        } else if sink.sender.is_some() {
            sink.pass_on(shared, piece, intake);
        }
        let mut affairs = lock(shared);
        while affairs.random.percent(15) {
            affairs.put_off(whose, What::Resume(intake.pause()));
        }
        Ok(())
    }

    pub(super) fn content_end(
        &mut self,
        shared: &Shared,
        key: LiveKey,
        response: Option<Response<'_>>,
    ) -> Result<Option<Sent>> {
        let sink = &mut self.sinks[key.0 as usize];
        let whose = sink.whose;
        if sink.taken != sink.length || sink.ended.is_some() {
            lock(shared).blame(format!("{whose:?}: the end came at {} of {}", sink.taken, sink.length));
        }
        sink.ended = Some(Ok(()));
        sink.released.store(true, Ordering::Relaxed);
        if let Some(sender) = sink.sender.take() {
            sender.finish();
        }
        let put_off = !matches!(&*sink.deed, "sinkearly" | "sinkstream" | "sinkfailstream" | "sinkboth" | "echo");
        if put_off != response.is_some() {
            lock(shared).blame(format!("{whose:?}: the response of {} is there: {}", sink.deed, response.is_some()));
        }
        let Some(res) = response else { return Ok(None) };
        if sink.deed != "sinkdefer" {
            return res.text("taken").map(Some);
        }
        let (sent, responder) = res.defer();
        let how = lock(shared).random.pick(&HOWS);
        begin_answer(shared, Plan::new(whose, sink.length), how, responder);
        Ok(Some(sent))
    }

    pub(super) fn content_abort(&mut self, shared: &Shared, key: LiveKey, why: Abort) {
        let sink = &mut self.sinks[key.0 as usize];
        let before = sink.ended.replace(Err(why));
        sink.released.store(true, Ordering::Relaxed);
        sink.sender = None;
        let mut affairs = lock(shared);
        affairs.note(|| format!("sink of {:?}: aborted, {why:?}", sink.whose));
        if let Some(before) = before {
            affairs.blame(format!("{:?}: a sink that had ended ({before:?}) is aborted: {why:?}", sink.whose));
        }
    }

    /// The sink of a connection.
    pub(super) fn sink_of(&self, connection: usize) -> Option<&Sink> {
        self.sinks.iter().find(|sink| sink.whose.0 == connection && sink.ended.is_none())
    }
}

impl Sink {
    /// Sends back what came. If the sender is full, it pauses the content until there is room.
    fn pass_on(&mut self, shared: &Shared, piece: &[u8], intake: &mut Intake<'_>) {
        let Some(sender) = &self.sender else { return };
        if let Err(SendError::Full(_)) = sender.send(piece.to_vec()) {
            lock(shared).blame(format!("{:?}: content comes although its echo is full", self.whose));
        }
        if sender.is_full() {
            let (resumer, watcher, connection) = (intake.pause(), Arc::clone(shared), self.whose.0);
            sender.on_room(move || {
                lock(&watcher).has_resumed(connection);
                resumer.resume();
            });
        }
    }
}
