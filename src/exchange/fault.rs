//! How a client is told which part of what it sent is wrong.

use crate::http::excerpt;

/// The longest parts of a message, in characters. They may quote what the client has sent.
const MAX_PATH: usize = 100;
const MAX_REASON: usize = 200;

/// The message that names a part by its path, such as `users[2].age`, and then says what is wrong with it. For an empty
/// path the whole is meant.
pub(super) fn message(path: &str, reason: &str) -> String {
    let reason = excerpt(reason, MAX_REASON);
    match path {
        "" => reason,
        path => format!("{}: {reason}", excerpt(path, MAX_PATH)),
    }
}
