use std::str::FromStr;

/// What a parameter of a path can become: everything that implements [`FromStr`].
///
/// This trait only exists for the message of the compiler where the type is not known: see
/// [`Request::param`](super::Request::param).
#[diagnostic::on_unimplemented(
    message = "a parameter of a path cannot become `{Self}`",
    label = "say which type it becomes: `let id: u64 = req.param(..)?`, or `req.param::<u64>(..)?`",
    note = "each type that implements `FromStr` will do; `req.param_str(..)` gives the text"
)]
pub trait FromParam: Sized {
    /// The value, unless the text of the parameter is not valid.
    fn from_param(text: &str) -> Option<Self>;
}

#[diagnostic::do_not_recommend]
impl<T: FromStr> FromParam for T {
    fn from_param(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}
