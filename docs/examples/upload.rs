//! A page on which people leave files, and a list of those that are there.
//!
//! ```text
//! cargo run --example upload                                    then open http://127.0.0.1:3000
//! curl -F note='From the beach' -F file=@photo.jpg http://127.0.0.1:3000/
//! ```
//!
//! The files are streamed to the directory `uploads`. However long they are, the program holds one piece of one file in
//! memory. A file appears in the list when it is whole.

use std::ops::ControlFlow;
use std::path::Path;
use std::{fs, io};

use monoloop::http::{encode_segment, escape_html};
use monoloop::middleware::SameOrigin;
use monoloop::multipart::{Limits, Uploaded, Uploads};
use monoloop::router::Routes;
use monoloop::{Error, Files, Method, Response, Result, Router, Sent, Server};

fn main() -> monoloop::server::Result<()> {
    Server::bind("127.0.0.1:3000")?.run(app(Path::new("uploads"))?)
}

/// The application, with its files in `directory`.
pub(crate) fn app(directory: &Path) -> io::Result<Router<()>> {
    let mut app = Router::new(());
    app.guard(SameOrigin::new().guard()); // a page of another site leaves no files here
    let limits = Limits::new().max_content(1 << 30).max_parts(20);
    let uploads = Uploads::to(directory)?.limits(limits).check(|part| match part.name() {
        "note" | "file" => Ok(()),
        name => Err(Error::bad_request(format!("The form has no field {name:?}"))), // at once, before its content
    });

    let at = directory.to_owned();
    app.get("/", move |_, _, res| res.html(page(&at)?));
    let at = directory.to_owned();
    app.upload(Method::Post, "/", uploads, |_, _| Ok(()), move |_, (), form, res| keep(&at, form, res));
    app.mount("/files", downloads(directory)?);
    Ok(app)
}

/// Keeps the files of a form. They are whole now, but temporary: what is not kept here is removed.
///
/// The request is gone by now. The function before this one returns what the reply depends on, such as the user, or the
/// format that the client wants: `|_, req| Ok(req.accepts(&["text/html", "application/json"]))`.
fn keep(directory: &Path, form: Uploaded, res: Response<'_>) -> Result<Sent> {
    if form.files().is_empty() {
        return Err(Error::new(422, "Choose a file"));
    }
    let note = form.get("note").unwrap_or_default().to_owned();
    for file in form.into_files() {
        let path = file.save_in(directory)?; // under its safe name, and a number if that is taken
        println!("{}: {note:?}", path.display());
    }
    res.status(303).redirect("/")
}

/// The files, for all who want them. They are the work of strangers, so no browser may run what is in them: an HTML
/// page among them would act for this site.
fn downloads(directory: &Path) -> io::Result<Routes<()>> {
    let mut files = Routes::new();
    files.with(|_, _, res| {
        let res = res.header("Content-Security-Policy", "sandbox").header("X-Content-Type-Options", "nosniff");
        ControlFlow::Continue(res)
    });
    files.after(|_, _, reply| {
        if matches!(reply.status(), 200 | 206) {
            reply.header("Content-Disposition", "attachment"); // all else is no file to be saved, such as a 404
        }
    });
    files.mount("/", Files::new(directory)?);
    Ok(files)
}

fn page(directory: &Path) -> io::Result<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            names.push(name); // the others are still on their way
        }
    }
    names.sort_unstable();
    let item = |name: &String| format!("<li><a href=\"/files/{}\">{}</a>\n", encode_segment(name), escape_html(name));
    let list: String = names.iter().map(item).collect();
    Ok(format!(
        r#"<!doctype html>
<meta charset="utf-8">
<title>File drop</title>
<h1>File drop</h1>
<form method="post" enctype="multipart/form-data">
<p><label>Note: <input name="note"></label>
<p><input type="file" name="file" multiple required>
<p><button>Upload</button>
</form>
<ul>
{list}</ul>
"#
    ))
}
