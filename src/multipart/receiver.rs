//! From content to a form: decodes what comes, counts it, and calls the application.

use super::boundary::Delimiter;
use super::decoder::{Decoder, Event};
use super::fault::Fault;
use super::limits::Tally;
use super::{Form, Limits, Part};
use crate::exchange::{Abort, BodySink, Intake, Response, Sent, Trailers};
use crate::http::Result;

/// The sink of a form.
pub(super) struct Receiver<F> {
    decoder: Decoder,
    tally: Tally,
    form: Box<F>,
    /// What is wrong with the form.
    fault: Option<Fault>,
}

impl<F> Receiver<F> {
    pub(super) fn new(delimiter: &Delimiter, limits: Limits, form: F) -> Self {
        Self { decoder: Decoder::new(delimiter), tally: Tally::new(limits), form: Box::new(form), fault: None }
    }

    /// Takes the next step with a piece. Returns how much of it was used.
    fn step<S>(&mut self, state: &mut S, piece: &[u8], intake: &mut Intake<'_>) -> Result<usize>
    where
        F: Form<S>,
    {
        let Self { decoder, tally, form, fault } = self;
        let mut noted = |found| {
            *fault = Some(found);
            found
        };
        let (used, event) = decoder.decode(piece).map_err(&mut noted)?;
        match event {
            Some(Event::Header(header)) => {
                let part = Part::read(header).map_err(&mut noted)?;
                tally.part(&part).map_err(&mut noted)?;
                form.part(state, &part)?;
            }
            Some(Event::Content(content)) => {
                tally.content(content).map_err(&mut noted)?;
                form.data(state, content, intake)?;
            }
            Some(Event::PartEnd) => form.part_end(state)?,
            None => {}
        }
        Ok(used)
    }
}

impl<S, F: Form<S>> BodySink<S> for Receiver<F> {
    fn data(&mut self, state: &mut S, mut piece: &[u8], intake: &mut Intake<'_>) -> Result<()> {
        while !piece.is_empty() {
            let used = self.step(state, piece, intake)?;
            piece = &piece[used..];
        }
        Ok(())
    }

    fn end(self: Box<Self>, state: &mut S, _: Trailers<'_>, res: Response<'_>) -> Result<Sent> {
        if self.decoder.is_complete() {
            return self.form.end(state, res);
        }
        self.form.abort(state, Fault::Incomplete.abort());
        Err(Fault::Incomplete.into())
    }

    fn abort(self: Box<Self>, state: &mut S, why: Abort) {
        let why = self.fault.map_or(why, Fault::abort);
        self.form.abort(state, why);
    }
}
