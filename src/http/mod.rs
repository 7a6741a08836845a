//! The vocabulary of HTTP: methods, status codes, versions, field lines, dates, errors. No I/O, no state machine.

mod date;
mod error;
mod fields;
mod method;
mod moment;
mod status;
mod token;
mod version;

pub(crate) use date::DateText;
pub use error::{Error, OptionExt, Result};
pub use fields::Fields;
pub use method::{Method, MethodSet};
pub(crate) use moment::Millis;
pub use moment::Moment;
pub use status::reason_phrase;
pub(crate) use status::status_line;
pub(crate) use token::{classes, is_field_value, is_name, is_token, is_token_byte};
pub use version::Version;
