//! The wall between the loop and code that is not ours: a handler, an observer, a hook, and the errors and panic payloads
//! that come from there, which may panic once more when they are shown or dropped.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs foreign code; a panic becomes a sentence about it.
///
/// What the code had borrowed may be half changed: that is the application's to bear, and the documentation says so.
#[inline(always)]
pub(crate) fn guard<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(call)).map_err(describe)
}

/// Drops a foreign value.
pub(crate) fn dispose<T>(value: T) {
    if let Err(panic) = guard(|| drop(value)) {
        log::error!("a value that cannot be dropped: {panic}");
    }
}

#[cold]
fn describe(payload: Box<dyn Any + Send>) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let sentence = format!("panicked: {}", text.unwrap_or("no message"));
    // A payload whose drop panics would be caught with a payload of its own, and so on: that one is left alone.
    if let Err(endless) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(endless);
    }
    sentence
}
