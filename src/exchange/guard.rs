//! The wall between the loop and application code: handlers, observers, hooks. The errors and panic payloads that come
//! from there are application code, too: they may panic when they are formatted or dropped.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::http::Printable;

/// Runs application code. A panic becomes a sentence about it.
///
/// After a panic, state that the code had borrowed may be half changed. The documentation tells users so.
#[inline(always)]
pub(crate) fn guard<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(call)).map_err(describe)
}

/// Drops a value of the application. If that panics, the panic is logged.
pub(crate) fn dispose<T>(value: T) {
    if let Err(panic) = guard(|| drop(value)) {
        fault!("a value could not be dropped: {panic}");
    }
}

#[cold]
fn describe(payload: Box<dyn Any + Send>) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let sentence = format!("panicked: {}", Printable(text.unwrap_or("no message")));
    // Dropping a payload may panic, and the payload of that panic may do the same. So the second one is never dropped.
    if let Err(endless) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(endless);
    }
    sentence
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_panic_cannot_forge_a_line_of_a_log() {
        let name = "x\n[ERROR] \u{202e}";
        let panic = guard(|| panic!("no user {name}")).unwrap_err();
        assert_eq!(panic, r"panicked: no user x\x0a[ERROR] \u202e");
    }
}
