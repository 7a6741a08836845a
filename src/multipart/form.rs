//! A form that an application takes while it arrives.

use super::Part;
use crate::exchange::{Abort, Intake, Response, Sent};
use crate::http::Result;

/// Takes a form part by part, as it comes: see [`Routes::multipart`](crate::router::Routes::multipart). Nothing is kept
/// but what this type keeps.
///
/// For each part, [`part`](Self::part) is called, then [`data`](Self::data) any number of times, then
/// [`part_end`](Self::part_end). At last either [`end`](Self::end) or [`abort`](Self::abort) is called, exactly once.
///
/// ```
/// use monoloop::exchange::Intake;
/// use monoloop::multipart::{Form, Limits, Part};
/// use monoloop::{Error, Method, Response, Result, Router, Sent, TestClient};
///
/// /// Counts the bytes of each file.
/// #[derive(Default)]
/// struct Sizes(Vec<(String, usize)>);
///
/// impl<S> Form<S> for Sizes {
///     fn part(&mut self, _: &mut S, part: &Part<'_>) -> Result<()> {
///         match part.file_name() {
///             Some(name) => self.0.push((name.to_owned(), 0)),
///             None => return Err(Error::bad_request("Only files have sizes")),
///         }
///         Ok(())
///     }
///
///     fn data(&mut self, _: &mut S, piece: &[u8], _: &mut Intake<'_>) -> Result<()> {
///         self.0.last_mut().unwrap().1 += piece.len();
///         Ok(())
///     }
///
///     fn end(self: Box<Self>, _: &mut S, res: Response<'_>) -> Result<Sent> {
///         res.text(format!("{:?}", self.0))
///     }
/// }
///
/// let mut app = Router::new(());
/// app.multipart(Method::Post, "/sizes", Limits::new(), |_, _| Ok(Sizes::default()));
///
/// let mut client = TestClient::new(app);
/// let reply = client.post("/sizes").multipart([("x", Some("a.txt"), "hello"), ("y", Some("b.txt"), "")]).send();
/// assert_eq!(reply.text(), r#"[("a.txt", 5), ("b.txt", 0)]"#);
/// ```
#[doc(alias("upload", "busboy", "PartSink"))]
#[allow(unused_variables, reason = "the default methods do nothing; their arguments are named for the reader")]
pub trait Form<S> {
    /// A part begins. Its header is whole; its content comes by [`data`](Self::data).
    ///
    /// # Errors
    /// An error becomes the reply, and the rest of the form is not taken. [`abort`](Self::abort) is called.
    fn part(&mut self, state: &mut S, part: &Part<'_>) -> Result<()>;

    /// Takes a piece of the content of this part, which may be short but is not empty.
    ///
    /// If it [pauses](Intake::pause) the form, what has been read already still comes: at most the rest of one read,
    /// which may have several parts.
    ///
    /// # Errors
    /// As [`part`](Self::part).
    fn data(&mut self, state: &mut S, piece: &[u8], intake: &mut Intake<'_>) -> Result<()>;

    /// This part is whole.
    ///
    /// # Errors
    /// As [`part`](Self::part).
    fn part_end(&mut self, state: &mut S) -> Result<()> {
        Ok(())
    }

    /// Gives the reply, when the form is whole.
    ///
    /// # Errors
    /// An error becomes the reply.
    fn end(self: Box<Self>, state: &mut S, res: Response<'_>) -> Result<Sent>;

    /// The form will never be whole.
    fn abort(self: Box<Self>, state: &mut S, why: Abort) {}
}

impl<S, T: Form<S> + ?Sized> Form<S> for Box<T> {
    fn part(&mut self, state: &mut S, part: &Part<'_>) -> Result<()> {
        (**self).part(state, part)
    }

    fn data(&mut self, state: &mut S, piece: &[u8], intake: &mut Intake<'_>) -> Result<()> {
        (**self).data(state, piece, intake)
    }

    fn part_end(&mut self, state: &mut S) -> Result<()> {
        (**self).part_end(state)
    }

    fn end(self: Box<Self>, state: &mut S, res: Response<'_>) -> Result<Sent> {
        (*self).end(state, res)
    }

    fn abort(self: Box<Self>, state: &mut S, why: Abort) {
        (*self).abort(state, why);
    }
}
