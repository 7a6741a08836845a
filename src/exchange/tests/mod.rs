//! What handlers can say of a reply, as a client sees it.

mod attachments;
mod conditions;
mod cookies;
#[cfg(feature = "json")]
mod json_lines;
mod properties;

use crate::testing::TestReply;
use crate::{Response, Result, Router, Sent, TestClient};

/// The reply of a handler to a GET.
#[track_caller]
fn reply_of(handler: impl Fn(Response<'_>) -> Result<Sent> + 'static) -> TestReply {
    let mut app = Router::new(());
    app.get("/", move |_, _, res| handler(res));
    TestClient::new(app).get("/").send()
}

fn all<'r>(reply: &'r TestReply, name: &str) -> Vec<&'r str> {
    reply.header_all(name).collect()
}
