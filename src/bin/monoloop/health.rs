//! The route by which a load balancer asks whether the server wants more requests.

use monoloop::{Request, Response, Result, Router, Sent};

/// Adds the route to an application, if there is a path for it.
pub(crate) fn add<S: 'static>(app: &mut Router<S>, path: Option<&str>) {
    if let Some(path) = path {
        app.get(path, |_, req, res| answer(req, res));
    }
}

fn answer(req: &Request<'_>, res: Response<'_>) -> Result<Sent> {
    let (status, text) = if req.is_draining() { (503, "draining\n") } else { (200, "ok\n") };
    res.status(status).header("Cache-Control", "no-store").text(text)
}
