//! Replies that the application wants to see before they are sent.
//!
//! The handler has encoded such a reply already. So the content is cut off, the head is taken back, the application
//! looks at what the head says, and both are put together again.

use super::draft::Shape;
use super::{Outgoing, Reply, Request, Response, Rest, Service, dispose, guard};
use crate::buffer::{OutputQueue, Tail};
use crate::http::{Error, Result};
use crate::wire::reply::{BodyLength, ContentType};

/// Shows a reply to the service, and puts it together again. `error` is the error of which it was made.
///
/// # Errors
/// When the service panics, or makes a mistake with the head. Then the reply has to be made again.
#[cold]
pub(super) fn show(
    service: &mut dyn Service,
    reply: &mut Reply,
    output: &mut OutputQueue,
    request: Option<&Request<'_>>,
    error: Option<&Error>,
) -> Result<()> {
    // Nobody asked for what was not understood, and the head of a reply that is put off is still to come.
    let (Some(request), Some(mut shape)) = (request, reply.draft.rare.follow_up.shape.take()) else { return Ok(()) };
    // What was announced is not there if the reply gets another status.
    if matches!(reply.draft.rare.status, 204 | 205 | 304) {
        shape.length = BodyLength::Known(0);
    }
    let tail = output.cut_off(shape.content);
    output.roll_back(reply.mark);
    let draft = &mut reply.draft;
    if !draft.fields.has.content_type && !shape.content_type.value().is_empty() {
        draft.fields.push("Content-Type", shape.content_type.value());
    }
    let content = if reply.rest.is_none() { tail.as_slice() } else { None };
    let mut outgoing = Outgoing { draft: &mut reply.draft, content, replaced: None, error };
    let shown = guard(|| service.outgoing(*request, &mut outgoing));
    let replaced = outgoing.replaced;
    let done = match shown {
        Ok(()) => reply.draft.seal(),
        Err(panic) => Err(Error::internal(panic)),
    };
    match (done, replaced) {
        (Err(error), _) => {
            tail.free();
            Err(error)
        }
        (Ok(()), Some(content)) => {
            tail.free();
            reply.rest.take().into_iter().for_each(dispose);
            Response::new(reply, output).finish_unusual(ContentType::BYTES, content).map(drop)
        }
        (Ok(()), None) => put_together(reply, output, shape, tail),
    }
}

/// Encodes the head again, and puts the content after it.
fn put_together(reply: &mut Reply, output: &mut OutputQueue, shape: Shape, tail: Tail) -> Result<()> {
    let has_content = reply.draft.has_content();
    let streams = matches!(reply.rest, Some(Rest::Stream(_)));
    let length = match shape.length {
        // It has none, whatever was said before (RFC 9110 §15.3.6).
        _ if reply.draft.rare.status == 205 => BodyLength::Known(0),
        _ if has_content && !streams => BodyLength::Known(tail.len()),
        length => length,
    };
    if let Err(error) = check(reply, length, has_content && streams) {
        tail.free();
        return Err(error);
    }
    if length == BodyLength::CloseDelimited && has_content {
        reply.draft.rare.close = true;
    }
    reply.head().encode(output.inline(), ContentType::NONE, length);
    match (has_content, streams) {
        (true, true) => {}
        (true, false) => {
            let length = tail.len();
            output.append(tail);
            let _ = reply.finish(length);
        }
        (false, _) => {
            tail.free();
            reply.rest.take().into_iter().for_each(dispose);
            let _ = reply.finish(0);
        }
    }
    Ok(())
}

/// Checks that a `Content-Length` is true that the application has set, also for content that is still to come.
///
/// # Errors
/// When it is not, or when nobody knows.
fn check(reply: &Reply, length: BodyLength, is_to_come: bool) -> Result<()> {
    match length {
        BodyLength::Known(length) => reply.draft.check_length(length),
        _ if is_to_come && reply.draft.fields.has.content_length.is_some() => {
            Err(Error::internal("the content has a Content-Length, but nobody knows how long it will be"))
        }
        _ => Ok(()),
    }
}
