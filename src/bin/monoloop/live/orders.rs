//! What a page may ask for. It comes as a small JSON object in a text message; anything else is refused.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The longest time between two ticks in slow motion, in milliseconds. A client would give up after a longer one.
const MAX_DELAY: u64 = 2000;

/// An order of a page. All have braces: serde refuses no unknown field of a variant without them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "order", rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum Order {
    /// Slow motion: so many milliseconds between two ticks; 0 is full speed.
    Speed { delay: u64 },
    /// The loop stops before its next tick.
    Pause {},
    /// The loop goes on, as fast as it was before the pause.
    Resume {},
    /// A paused loop runs one tick.
    Step {},
    /// Something is to happen.
    Start { what: Experiment },
    /// All experiments end.
    Stop {},
    /// The server drains, and the command ends.
    Drain {},
}

/// What the page can make happen. `clients.rs` plays the clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Experiment {
    /// Fifty clients that each send a request and take its reply, again and again.
    Polite,
    /// A client that asks for much and reads little.
    Slow,
    /// A client that sends a request head byte by byte.
    Drip,
    /// A client that sends 64 requests at once.
    Pipeline,
    /// A room of WebSockets, in which one of them speaks.
    Broadcast,
    /// A request whose handler blocks the loop.
    Block,
}

/// What the thread of the observed loop has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LoopOrder {
    Speed(Duration),
    Pause,
    Resume,
    Step,
    /// No page is open any more.
    Alone,
}

impl Order {
    /// Reads an order.
    ///
    /// # Errors
    /// One sentence that says what is wrong with it.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        match serde_json::from_str(text) {
            Ok(Self::Speed { delay }) if delay > MAX_DELAY => Err(format!("delay must be a number up to {MAX_DELAY}")),
            Ok(order) => Ok(order),
            Err(error) => Err(format!("this is no order: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_read_or_refused() {
        for (text, order) in [
            (r#"{"order":"speed","delay":0}"#, Order::Speed { delay: 0 }),
            (r#"{"order":"speed","delay":2000}"#, Order::Speed { delay: 2000 }),
            (r#"{"order":"pause"}"#, Order::Pause {}),
            (r#"{"order":"resume"}"#, Order::Resume {}),
            (r#"{"order":"step"}"#, Order::Step {}),
            (r#"{"order":"start","what":"drip"}"#, Order::Start { what: Experiment::Drip }),
            (r#"{"order":"stop"}"#, Order::Stop {}),
            (r#"{"order":"drain"}"#, Order::Drain {}),
        ] {
            assert_eq!(Order::read(text), Ok(order), "{text}");
        }
        for (text, problem) in [
            ("", "this is no order: "),
            ("[]", "this is no order: "),
            ("{}", "this is no order: missing field"),
            (r#"{"order":"dance"}"#, "this is no order: unknown variant"),
            (r#"{"order":"start","what":"flood"}"#, "this is no order: unknown variant"),
            (r#"{"order":"start"}"#, "this is no order: missing field"),
            (r#"{"order":"speed","delay":-1}"#, "this is no order: invalid"),
            (r#"{"order":"speed","delay":2001}"#, "delay must be a number up to 2000"),
            (r#"{"order":"speed","delay":1,"more":2}"#, "this is no order: unknown field"),
            (r#"{"order":"drain","more":2}"#, "this is no order: unknown field"),
        ] {
            let refused = Order::read(text).expect_err(text);
            assert!(refused.starts_with(problem), "{text}: {refused}");
        }
    }
}
