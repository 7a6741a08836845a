//! The guarded call into the application. Whatever the application does, exactly one reply is in the output afterwards.

use super::error_page::render_json;
use super::guard::{dispose, guard};
use super::{Admission, Reply, Request, Response, Sent, Service, held};
use crate::buffer::OutputQueue;
#[cfg(feature = "files")]
use crate::http::conditional::Conditions;
use crate::http::{Error, Result};
use crate::wire::ProtocolError;

/// What a call led to, besides what `reply` says.
#[derive(Debug)]
pub(crate) struct Called {
    /// The error that was sent as the reply.
    pub(crate) error: Option<Error>,
    pub(crate) panicked: bool,
    /// The application's reply wanted more memory than there is.
    pub(crate) out_of_memory: bool,
}

/// Calls the application. Afterwards `output` has exactly one whole reply, or the beginning of one whose
/// [rest](super::Rest) is in `reply`.
///
/// The caller has begun `reply`, or lets it go on. There is no `request` if none was made of a message, or if the reply
/// was put off and nobody has kept it.
#[inline(always)]
pub(crate) fn call_guarded(
    service: &mut dyn Service,
    reply: &mut Reply,
    output: &mut OutputQueue,
    request: Option<&Request<'_>>,
    call: impl FnOnce(&mut dyn Service, Response<'_>) -> Result<Sent>,
) -> Called {
    let (error, panicked) = match guard(|| call(service, Response::new(reply, output))) {
        // What `reply` has recorded counts, not the value: the `Sent` may be of another request.
        Ok(Ok(Sent { .. })) if reply.finished() && !reply.is_held() => {
            return Called { error: None, panicked: false, out_of_memory: false };
        }
        Ok(Ok(Sent { .. })) => match conclude(service, reply, output, request, None) {
            Ok(()) => return Called { error: None, panicked: false, out_of_memory: false },
            Err(error) => (error, false),
        },
        Ok(Err(error)) => (error, false),
        Err(panic) => (Error::internal(panic), true),
    };
    let out_of_memory = reply.is_out_of_memory();
    let error = if out_of_memory { for_want_of_memory(error) } else { error };
    answer_error(service, &error, panicked, reply, output, request);
    Called { error: Some(error), panicked, out_of_memory }
}

/// Finishes a reply that the handler has left to the loop, and shows it to the service if it is held. `error` is the
/// error of which it was made.
///
/// # Errors
/// When the handler has left nothing to do, or when something of this fails.
#[cold]
fn conclude(
    service: &mut dyn Service,
    reply: &mut Reply,
    output: &mut OutputQueue,
    request: Option<&Request<'_>>,
    error: Option<&Error>,
) -> Result<()> {
    if !reply.finished() {
        // Conditions are for what was asked for, and not for a page about an error.
        complete(reply, output, request.filter(|_| error.is_none()))?;
    }
    if reply.is_held() { held::show(service, reply, output, request, error) } else { Ok(()) }
}

/// Finishes a reply that the handler has left to the loop.
fn complete(reply: &mut Reply, output: &mut OutputQueue, request: Option<&Request<'_>>) -> Result<()> {
    #[cfg(feature = "files")]
    if let Some(file) = reply.take_file() {
        let conditions = request.map(|request| Conditions::of(request.headers())).unwrap_or_default();
        return Response::new(reply, output).represent(&conditions, &file).map(|Sent { .. }| ());
    }
    let _ = (reply, output, request);
    Err(Error::internal("the handler returned without finishing this reply"))
}

/// The error for a reply that failed because memory is short, whatever the application made of that.
#[cold]
fn for_want_of_memory(error: Error) -> Error {
    match error.status() {
        500 => Error::from(ProtocolError::OutOfMemory).with_source(error.to_string()),
        _ => error,
    }
}

/// Takes back what the application wrote and puts an error reply in its place.
#[cold]
fn answer_error(
    service: &mut dyn Service,
    error: &Error,
    panicked: bool,
    reply: &mut Reply,
    output: &mut OutputQueue,
    request: Option<&Request<'_>>,
) {
    log_error(error);
    for attempt in 0..3 {
        output.roll_back(reply.mark);
        reply.restart();
        reply.draft.rare.close |= panicked;
        let written = match attempt {
            0 => {
                reply.draft.rare.status = error.status();
                error.headers().for_each(|(name, value)| reply.draft.set_field(name, value, true));
                guard(|| service.render(error, request.copied(), Response::new(reply, output)))
            }
            _ => {
                // What looks at replies may be what makes this one fail, and so may the fields of the middleware.
                reply.draft.rare.follow_up.is_held = false;
                if attempt == 2 {
                    reply.draft.fields.clear();
                }
                let internal = Error::internal("the error could not be rendered");
                reply.draft.rare.status = internal.status();
                Ok(render_json(&internal, Response::new(reply, output)))
            }
        };
        match written {
            Ok(Ok(Sent { .. })) if reply.is_put_off() => fault!("the error renderer has put its reply off"),
            Ok(Ok(Sent { .. })) if reply.finished() && !reply.is_held() => return,
            Ok(Ok(Sent { .. })) => match conclude(service, reply, output, request, Some(error)) {
                Ok(()) => return,
                Err(second) => {
                    log_error(&second);
                    dispose(second);
                }
            },
            Ok(Err(second)) => {
                log_error(&second);
                dispose(second);
            }
            Err(panic) => fault!("the error renderer {panic}"),
        }
    }
    unreachable!("a reply without header fields can always be encoded");
}

/// Logs an error. The application wrote its source, and the code that formats it.
pub(crate) fn log_error(error: &Error) {
    // A mistake of the client, or a status that the application chose, is not a failure of the server.
    let is_failure = error.status() == 500;
    if let Err(panic) = guard(|| if is_failure { fault!("{error:?}") } else { log::debug!("error {error:?}") }) {
        fault!("an error could not be formatted: {panic}");
    }
}

/// Asks the application what to do with the content of a request, guarded.
///
/// # Errors
/// The panic of the application.
pub(crate) fn admit(service: &mut dyn Service, request: &Request<'_>) -> Result<Admission> {
    guard(|| service.admit(request)).map_err(Error::internal)
}
