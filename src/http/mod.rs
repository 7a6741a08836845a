//! The vocabulary of HTTP: methods, status codes, versions, field lines, dates, errors. This module does no I/O and has
//! no state machine.

#[cfg(feature = "files")]
pub(crate) mod coding;
pub(crate) mod conditional;
mod count;
mod date;
mod error;
mod escape;
mod extension;
mod fields;
mod file_name;
mod media;
mod method;
mod moment;
mod origin;
mod path;
mod printable;
#[cfg(feature = "files")]
pub(crate) mod range;
mod status;
mod token;
mod version;

pub(crate) use count::Count;
pub(crate) use date::{DateText, http_date, iso_date, parse_http_date};
pub use error::{Error, OptionExt, Result, ResultExt};
pub(crate) use error::{PreparedError, is_plain_json, push_json_string};
#[cfg(feature = "files")]
pub(crate) use escape::SEGMENT;
pub use escape::{encode_segment, escape_html};
pub use extension::ExtensionMethod;
#[cfg(test)]
pub(crate) use fields::TestFields;
pub use fields::{Fields, FieldsIter};
pub(crate) use fields::{Line, LineShape, lines, trim};
pub(crate) use file_name::cut_file_name;
pub(crate) use media::{MediaType, split_list};
pub use method::Method;
pub(crate) use method::MethodSet;
pub(crate) use moment::Millis;
pub use moment::Moment;
pub(crate) use origin::Origin;
pub(crate) use path::{
    Remaining, collect_text, decode_segment, decodes_to, is_directory, may_resolve, plain_text, target_text,
};
#[cfg(feature = "files")]
pub(crate) use path::{ResolvedPath, decode_resolved};
#[cfg(feature = "json")]
pub(crate) use printable::excerpt;
pub(crate) use printable::{Printable, is_unprintable, write_escape};
pub use status::reason_phrase;
pub(crate) use status::status_line;
pub(crate) use token::{classes, is_field_value, is_name, is_token, is_token_byte};
pub use token::{is_field_line, is_media_type};
pub use version::Version;
