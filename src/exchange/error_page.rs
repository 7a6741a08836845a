//! Error replies, as those get them who asked: HTML for people, JSON for programs.

use super::{Request, Response, Sent};
use crate::http::{Error, Result, escape_html, is_plain_json, reason_phrase};

/// Writes the default error reply: `{"error":"..."}`, or a small page for a client that prefers HTML, as browsers do. A
/// [`Service`](super::Service) of your own can call it in [`render`](super::Service::render).
///
/// # Errors
/// A mistake that was made with the head.
pub fn render_error(error: &Error, request: Option<&Request<'_>>, response: Response<'_>) -> Result<Sent> {
    let prefers_html = request.map(Request::prefers_html).or_else(|| response.prefers_html());
    // The reply depends on this field. What was not understood had none.
    let response = if prefers_html.is_some() { response.header("Vary", "Accept") } else { response };
    match prefers_html {
        Some(true) => render_html(error, response),
        _ => render_json(error, response),
    }
}

/// The error as JSON.
pub(super) fn render_json(error: &Error, response: Response<'_>) -> Result<Sent> {
    let response = response.header("Content-Type", "application/json");
    match error.message() {
        plain if is_plain_json(plain) => response.send_joined(["{\"error\":\"", plain, "\"}"]),
        _ => response.send(error.to_json()),
    }
}

/// The error as a page.
fn render_html(error: &Error, response: Response<'_>) -> Result<Sent> {
    let page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{0} {1}</title>\n<h1>{0} {1}</h1>\n\
         <p>{2}</p>\n</html>\n",
        error.status(),
        reason_phrase(error.status()),
        escape_html(error.message())
    );
    response.html(page)
}
