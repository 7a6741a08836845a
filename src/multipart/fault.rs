//! What can be wrong with a form.

use std::borrow::Cow;

use crate::exchange::Abort;
use crate::http::{Count, Error};

/// Why a form is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The content is of another media type.
    OtherType,
    /// The `Content-Type` has no boundary, or a malformed one, or several.
    Boundary,
    /// Too much comes before, between or after the parts: probably the boundary is another one.
    Around,
    /// A boundary line goes on with something else than its end.
    BoundaryLine,
    /// The content has ended before its last boundary line.
    Incomplete,
    /// The header of a part is malformed, or not UTF-8.
    Header,
    /// A part does not say by `Content-Disposition` which field of the form it is.
    Disposition,
    /// The content of a part is encoded in a way that is deprecated since RFC 7578 §4.7.
    TransferEncoding,
    /// The text of a field is not UTF-8.
    Text,
    /// The header of a part is longer than this.
    HeaderTooLarge(usize),
    /// There are more parts than this.
    TooManyParts(usize),
    /// A file is longer than this.
    FileTooLarge(u64),
    /// The fields that are no files are longer than this together.
    FieldsTooLarge(u64),
}

impl Fault {
    const fn status(self) -> u16 {
        match self {
            Self::OtherType | Self::TransferEncoding => 415,
            Self::HeaderTooLarge(_) | Self::TooManyParts(_) | Self::FileTooLarge(_) | Self::FieldsTooLarge(_) => 413,
            _ => 400,
        }
    }

    fn message(self) -> Cow<'static, str> {
        let message = match self {
            Self::OtherType => "Expected multipart/form-data",
            Self::Boundary => "The Content-Type has no valid boundary",
            Self::Around => "The form does not begin or end with its boundary",
            Self::BoundaryLine => "A boundary line of the form is malformed",
            Self::Incomplete => "The form has no last boundary line",
            Self::Header => "The header of a part is malformed",
            Self::Disposition => "A part has no valid Content-Disposition: form-data with a name",
            Self::TransferEncoding => "The Content-Transfer-Encoding of a part is not supported",
            Self::Text => "A field of the form is not UTF-8",
            Self::HeaderTooLarge(max) => {
                return format!("The header of a part is longer than {}", Count(max, "byte")).into();
            }
            Self::TooManyParts(max) => return format!("The form has more than {}", Count(max, "part")).into(),
            Self::FileTooLarge(max) => return format!("A file is longer than {}", Count(max, "byte")).into(),
            Self::FieldsTooLarge(max) => return format!("The fields are longer than {}", Count(max, "byte")).into(),
        };
        message.into()
    }

    /// What a form in the making is told.
    pub(super) const fn abort(self) -> Abort {
        if self.status() == 413 { Abort::TooLarge } else { Abort::Malformed }
    }
}

// A user cannot have one, so the compiler should not name it where `?` fails.
#[diagnostic::do_not_recommend]
impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::new(fault.status(), fault.message())
    }
}
