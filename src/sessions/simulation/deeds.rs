//! Requests whose replies take time, requests whose content a sink takes, and requests for another protocol.

use super::random::Random;
use super::script::{Body, Draft, Taste, draft};
use crate::config::Config;
use crate::exchange::CloseReason;
use crate::limits::MAX_DISCARD;

/// Traits of a reply, besides those that its message has.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Traits {
    /// The reply is streamed: something may cut it short.
    pub(super) streams: bool,
    /// The reply is never whole.
    pub(super) fails: bool,
    /// If the client or the application is late, an error that ends the connection may come instead.
    pub(super) late: bool,
    /// Early hints may come before the reply.
    pub(super) hints: bool,
    /// The content has heartbeats in it.
    pub(super) beats: bool,
    /// The reply has a trailer.
    pub(super) trailers: bool,
    /// The protocol changes. The message ends where the other protocol ends.
    pub(super) upgrades: bool,
    /// The reply is a file that is truncated before it is sent, meanwhile, or afterwards.
    pub(super) shrinks: bool,
    /// If the reply is the last one, it does not say so.
    pub(super) unannounced: bool,
}

/// A random request of these three kinds.
pub(super) fn lasting(random: &mut Random, taste: &Taste, config: &Config) -> Draft {
    match random.below(100) {
        0..45 => reply(random, taste),
        45..80 => upload(random, taste, config),
        _ => upgrade(random, taste),
    }
}

/// A request without content, whose reply is streamed or put off.
fn reply(random: &mut Random, taste: &Taste) -> Draft {
    let most = if random.percent(50) { 500 } else { taste.reply };
    let length = if random.percent(20) { most } else { random.size(most) };
    if random.percent(taste.ending) {
        let fails = ["pullfail", "pulllenfail", "pushfail", "deferpullfail", "deferpushfail"];
        let deed = random.pick(&[fails[0], fails[1], fails[2], fails[3], fails[4], "deferpanic", "never", "never"]);
        let late = deed.starts_with("defer") || deed == "never";
        let (status, reason) = match deed {
            "deferpanic" => (500, CloseReason::Panicked),
            "never" => (503, CloseReason::ReplyTimeout),
            _ => (200, CloseReason::StreamFailed),
        };
        let fails = reason == CloseReason::StreamFailed;
        let hints = late || deed == "pushfail";
        let traits = Traits { streams: fails, fails, late, hints, unannounced: fails, ..Traits::default() };
        let version = if random.percent(30) && fails { "HTTP/1.0" } else { "HTTP/1.1" };
        return Draft { status, traits, version, ends: Some(reason), ..draft("GET", deed, length) };
    }
    let deeds = [
        "pull",
        "pulllen",
        "pulltrail",
        "push",
        "pushtrail",
        "beat",
        "defer",
        "deferdrop",
        "defererror",
        "deferpull",
        "deferpush",
    ];
    let deed = random.pick(&deeds);
    let late = deed.starts_with("defer");
    let status = match deed {
        "deferdrop" => 500,
        "defererror" => 409,
        _ => 200,
    };
    let mut draft = Draft { status, ..draft("GET", deed, length) };
    let hints = late || matches!(deed, "push" | "pushtrail" | "beat");
    let streams = !matches!(deed, "defer" | "deferdrop" | "defererror");
    draft.traits = Traits { streams, late, hints, beats: deed == "beat", ..Traits::default() };
    if deed.ends_with("trail") && random.percent(70) {
        draft.fields.push("TE: trailers".to_owned());
        draft.traits.trailers = true;
    }
    if random.percent(15) {
        draft.version = "HTTP/1.0";
        draft.ends = Some(CloseReason::NotPersistent);
        if random.percent(50) && matches!(deed, "pull" | "push" | "beat") {
            draft.fields.push("Connection: keep-alive".to_owned());
            draft.ends = Some(CloseReason::HandlerClosed);
        }
    } else if random.percent(5) {
        draft.method = "HEAD";
        draft.traits.trailers = false;
    }
    draft
}

/// A request whose content a sink takes, or does not.
fn upload(random: &mut Random, taste: &Taste, config: &Config) -> Draft {
    let most = if random.percent(40) { 2_000 } else { taste.content };
    let length = if random.percent(taste.full) { most } else { random.size(most) };
    let chunked = random.percent(50);
    let body = if chunked { Body::Chunked(length) } else { Body::Length(length) };
    let expects = random.percent(20);
    let short = !chunked && length as u64 <= MAX_DISCARD;
    let with = |draft: Draft| Draft { body, ..draft };
    let mut upload = if random.percent(taste.ending) {
        refused(random, length, body, short && !expects)
    } else {
        let deeds = ["sink", "sink", "sinkdefer", "sinkboth", "sinkearly", "sinkstream", "echo", "echo", "stall"];
        let deed = random.pick(&deeds);
        let streams = matches!(deed, "sinkdefer" | "sinkboth" | "sinkstream" | "echo");
        let hints = matches!(deed, "sinkdefer" | "sinkboth");
        let traits = Traits { streams, late: true, hints, ..Traits::default() };
        let reply: Option<&'static [u8]> = (!streams).then_some(b"taken");
        with(Draft { traits, reply, ..draft("POST", deed, length) })
    };
    if expects {
        upload.fields.push("Expect: 100-continue".to_owned());
    }
    if upload.deed == "nowpull" && !chunked && length as u64 > config.max_content {
        // The server refuses it for its length.
        upload.deed = "sink";
        upload.ends = None;
        upload.traits = Traits { late: true, ..Traits::default() };
        upload.reply = Some(b"taken");
    }
    upload
}

/// A request whose content is not taken, or not all of it. `keeps` says that the connection survives unwanted content.
fn refused(random: &mut Random, length: usize, body: Body, keeps: bool) -> Draft {
    let chunked = matches!(body, Body::Chunked(_));
    let unread = (!keeps).then_some(CloseReason::ContentUnread);
    let short = !chunked && length as u64 <= MAX_DISCARD;
    let with = |draft: Draft| Draft { body, ..draft };
    let unannounced = Traits { unannounced: true, ..Traits::default() };
    match random.below(7) {
        0 => with(Draft { status: 409, ends: unread, ..draft("POST", "sinkrefuse", length) }),
        1 => {
            let reply: Option<&'static [u8]> = Some(b"taken");
            with(Draft { reply, ends: unread, ..draft("POST", "sinknone", length) })
        }
        2 => {
            let traits = Traits { streams: true, late: true, ..Traits::default() };
            with(Draft { ends: unread, traits, ..draft("POST", "sinknonepull", length) })
        }
        3 => {
            let traits = Traits { streams: true, late: true, ..Traits::default() };
            with(Draft { ends: unread, traits, ..draft("POST", "nowpull", length) })
        }
        4 if length > 1 => {
            let traits = Traits { late: true, ..Traits::default() };
            let ends = Some(CloseReason::BadRequest);
            with(Draft { status: 413, ends, traits, ..draft("POST", "sinklarge", length) })
        }
        5 if short => {
            let traits = Traits { streams: true, late: true, ..unannounced };
            let ends = Some(CloseReason::StreamFailed);
            with(Draft { ends, traits, ..draft("POST", "sinkfailstream", length) })
        }
        _ => {
            let ends = (!short).then_some(CloseReason::ContentUnread);
            let traits = Traits { late: true, ..Traits::default() };
            // With a known length it would be random whether the rest is short enough to be discarded.
            let body = if short { body } else { Body::Chunked(length) };
            Draft { status: 409, ends, traits, body, ..draft("POST", "sinkfail", length) }
        }
    }
}

/// A request for another protocol.
fn upgrade(random: &mut Random, taste: &Taste) -> Draft {
    let length = random.size(taste.content.min(200_000));
    let fields = vec!["Connection: upgrade".to_owned(), "Upgrade: echo".to_owned()];
    if random.percent(20) {
        return Draft { fields, ..draft("GET", "upgradenot", length) };
    }
    let fails = random.percent(25);
    let (deed, reason) = match fails {
        true => ("upgradefail", CloseReason::ProtocolFailed),
        false => ("upgrade", CloseReason::ProtocolEnded),
    };
    let traits = Traits { upgrades: true, unannounced: true, late: true, ..Traits::default() };
    Draft { status: 101, fields, traits, ends: Some(reason), ..draft("GET", deed, length) }
}
