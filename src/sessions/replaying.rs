//! What a replay does to sessions in the place of a loop: it gives each turn when the recording says so, with what went
//! into it then. The queues and the timer wheel decide nothing here.

use super::Sessions;
use super::happenings::Cause;
use super::queues::Queues;
use super::session::Session;
use super::transport::Transport;
use super::witness::TurnBegins;
use crate::exchange::{Letter, Service, Ticket, dispose};
use crate::http::Moment;

/// What became of an attempt to repeat something with a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeated {
    Done,
    /// The session has ended, or there never was one.
    Ended,
    /// The application has posted no such letter.
    NoLetter,
}

/// Nobody gets this letter. It only says that letters wait.
const FOR_NOBODY: Ticket = Ticket { slot: u32::MAX, serial: 0 };

impl<T: Transport> Sessions<T> {
    /// Gives the session with this key the turn that was recorded. `letters` are those that wait for any session.
    pub(crate) fn repeat_turn(
        &mut self,
        key: usize,
        turn: &TurnBegins,
        letters: &mut Vec<(Ticket, Letter)>,
        service: &mut dyn Service,
    ) -> Repeated {
        self.set_now(turn.at);
        self.time.set_last_reading(turn.began);
        self.file_bytes = turn.file_bytes;
        self.draining = turn.draining;
        self.interrupted = turn.interrupted;
        let Some(session) = self.slab.get_mut(key).filter(|session| !session.closed) else { return Repeated::Ended };
        session.readiness = turn.readiness;
        self.letters.extend(turn.letters_wait.then_some((FOR_NOBODY, Letter::Wake)));
        let done = self.give_turn(key, turn.cause, letters, service);
        // No loop follows that would look into them.
        self.letters.clear();
        self.queues = Queues::default();
        done
    }

    fn give_turn(
        &mut self,
        key: usize,
        cause: Cause,
        letters: &mut Vec<(Ticket, Letter)>,
        service: &mut dyn Service,
    ) -> Repeated {
        match cause {
            Cause::Runnable => self.witnessed_turn(key, service, &mut |session, _| session.queued = false),
            Cause::Deadline => {
                self.note_cause(cause);
                self.timed_turn(key, service, &mut Session::expire);
            }
            Cause::Memory => {
                self.note_cause(cause);
                self.timed_turn(key, service, &mut Session::give_up);
            }
            Cause::Answer | Cause::Unanswered | Cause::Interim | Cause::Wake | Cause::Resume => {
                let Some(letter) = self.find_letter(key, cause, letters) else { return Repeated::NoLetter };
                self.deliver_to(key, letter, service);
            }
        }
        Repeated::Done
    }

    /// Takes the first letter of this kind that the session awaits.
    fn find_letter(&self, key: usize, cause: Cause, letters: &mut Vec<(Ticket, Letter)>) -> Option<Letter> {
        let connection = &self.slab.get(key)?.connection;
        let is_it = |(to, letter): &(Ticket, Letter)| {
            to.slot as usize == key && Cause::of(letter) == cause && connection.awaits(*to)
        };
        let place = letters.iter().position(is_it)?;
        Some(letters.remove(place).1)
    }

    /// Moves the letters that the application has posted since to the end of `into`. Those that nobody awaits any more
    /// are dropped.
    pub(crate) fn take_letters(&mut self, into: &mut Vec<(Ticket, Letter)>) {
        let mut new = Vec::new();
        self.mailbox.take(&mut new);
        self.outbox.take(&mut new);
        for (to, letter) in new {
            match self.slab.get(to.slot as usize).is_some_and(|session| session.connection.awaits(to)) {
                true => into.push((to, letter)),
                false => dispose(letter),
            }
        }
    }

    /// Cuts the session with this key, as the end of a drain does. `queued` says whether it was in a queue.
    pub(crate) fn repeat_cut(&mut self, key: usize, queued: bool) -> Repeated {
        let Some(session) = self.slab.get_mut(key) else { return Repeated::Ended };
        session.queued = queued;
        self.cut_session(key);
        Repeated::Done
    }

    /// Removes the session with this key at this time.
    pub(crate) fn repeat_end(&mut self, key: usize, at: Moment, service: &mut dyn Service) -> Repeated {
        if !self.slab.contains(key) {
            return Repeated::Ended;
        }
        self.set_now(at);
        self.ended.retain(|&ended| ended as usize != key);
        self.remove(key, service);
        Repeated::Done
    }
}
