//! Forms whose files go to the disk.

use std::cell::RefCell;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::exchange::{ConnectionId, Intake, Observer, Response, Sent, Service};
use crate::limits::FILE_DESCRIPTORS;
use crate::multipart::file::disk_error;
use crate::multipart::{Form, FormFile, Limits, Part, Uploaded, Uploads};
use crate::{Error, Method, OptionExt, Result, Router, TestClient};

/// A directory for a test. It is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("monoloop-multipart-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).expect("the folder for temporary files can be written");
        Self(path)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).expect("it is there");
        let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name().into_string();
        let mut names: Vec<_> = entries.map(|entry| name(entry).expect("UTF-8")).collect();
        names.sort_unstable();
        names
    }

    fn content(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

type Handler = fn(&Path, Uploaded) -> Result<String>;

/// An application that stores files in `folder`, and does with a form what `handler` says.
fn client(folder: &Folder, handler: Handler) -> TestClient<Router<PathBuf>> {
    let mut app = Router::new(folder.0.clone());
    let uploads = Uploads::to(&folder.0).expect("it is there").limits(Limits::new().max_file(1 << 20));
    let uploads = uploads.check(|part| match part.name() {
        "refused" => Err(Error::new(415, "Not this one")),
        _ => Ok(()),
    });
    let begin = |_: &mut PathBuf, req: &crate::Request<'_>| req.param::<u32>("number");
    app.upload(Method::Post, "/:number", uploads, begin, move |folder: &mut PathBuf, number, form, res| {
        res.text(format!("{number}: {}", handler(folder, form)?))
    });
    app.get("/", |_, _, res| res.text("alive"));
    TestClient::new(app)
}

fn keep_all(folder: &Path, form: Uploaded) -> Result<String> {
    let mut said: Vec<String> = form.fields().map(|(name, text)| format!("{name}={text}")).collect();
    if form.get("tag").is_some() {
        said.push(format!("{:?}, {:?}", form.get("tag"), form.all("tag").collect::<Vec<_>>()));
    }
    for file in form.into_files() {
        said.push(format!("{} {} {:?} {}", file.name(), file.file_name(), file.content_type(), file.len()));
        let path = file.save_in(folder)?;
        said.push(path.file_name().expect("a file").to_string_lossy().into_owned());
    }
    Ok(said.join(", "))
}

#[test]
fn files_are_stored_and_fields_are_kept() {
    let folder = Folder::new();
    let mut client = client(&folder, keep_all);
    let long = "0123456789".repeat(30_000);
    let form =
        [("title", None, "My cat"), ("a", Some("../cat.png"), "meow"), ("none", Some(""), ""), ("b", Some("c"), &long)];
    let octets = "Some(\"application/octet-stream\")";
    assert_eq!(
        client.post("/7").multipart(form).send().text(),
        format!("7: title=My cat, a ../cat.png {octets} 4, cat.png, b c {octets} 300000, c")
    );
    assert_eq!(folder.names(), ["c", "cat.png"]);
    assert_eq!((folder.content("cat.png").as_str(), folder.content("c") == long), ("meow", true));

    // Another file of that name gets another one.
    for _ in 0..2 {
        client.post("/7").multipart([("a", Some("cat.png"), "purr"), ("b", Some("c"), "")]).send();
    }
    assert_eq!(folder.names(), ["c", "c-2", "c-3", "cat-2.png", "cat-3.png", "cat.png"]);
    assert_eq!((folder.content("cat-3.png").as_str(), folder.content("cat.png").as_str()), ("purr", "meow"));
}

#[test]
fn a_file_is_kept_only_where_nothing_is() {
    let folder = Folder::new();
    fs::write(folder.0.join("cat.png"), "old").expect("it can be written");
    let save: Handler = |folder, mut form| {
        let file = form.take_file("a").or_status(422, "Choose a file")?;
        file.save(folder.join("cat.png")).map(|()| "saved".to_owned())
    };
    let mut first = client(&folder, save);
    let reply = first.post("/7").multipart([("a", Some("x"), "new")]).send();
    assert_eq!((reply.status(), folder.content("cat.png").as_str()), (409, "old"));
    assert_eq!(first.post("/7").multipart([("b", Some("x"), "new")]).send().status(), 422);
    assert_eq!(first.post("/7").multipart([("a", Some(""), "")]).send().status(), 422);
    assert_eq!(folder.names(), ["cat.png"]);

    let mut second = client(&folder, |folder, mut form| {
        let file = form.take_file("a").or_status(422, "Choose a file")?;
        file.replace(folder.join("cat.png")).map(|()| "replaced".to_owned())
    });
    assert_eq!(second.post("/7").multipart([("a", Some("x"), "new")]).send().text(), "7: replaced");
    assert_eq!((folder.names(), folder.content("cat.png").as_str()), (vec!["cat.png".to_owned()], "new"));

    let mut third = client(&folder, |folder, mut form| {
        let file = form.take_file("a").or_status(422, "Choose a file")?;
        file.save(folder.join("no/such/directory")).map(|()| "saved".to_owned())
    });
    assert_eq!(third.post("/7").multipart([("a", Some("x"), "new")]).send().status(), 500);
    assert_eq!(folder.names(), ["cat.png"]);
}

/// Another thread, such as a worker that serves the directory, must not see a file that only takes the name.
#[test]
fn a_file_appears_as_a_whole() {
    let folder = Folder::new();
    let mut client = client(&folder, |folder, form| Ok(format!("{:?}", form.into_files().remove(0).save_in(folder)?)));
    let names: Vec<_> = (0..300).map(|number| format!("file-{number}")).collect();
    let paths: Vec<_> = names.iter().map(|name| folder.0.join(name)).collect();
    let watcher = std::thread::spawn(move || {
        let until = Instant::now() + Duration::from_secs(20);
        let first_seen = |path: &PathBuf| loop {
            match fs::read(path) {
                Ok(content) => break Some(content.len()),
                Err(_) if Instant::now() > until => break None,
                Err(_) => {}
            }
        };
        paths.iter().map(first_seen).collect::<Vec<_>>()
    });
    for name in &names {
        client.post("/7").multipart([("a", Some(name.as_str()), "whole")]).send().assert_status(200);
    }
    assert_eq!(watcher.join().expect("it ends"), vec![Some(5); names.len()]);
}

/// FAT has no second names, so there a file is kept in another way, with the same result.
#[test]
fn a_file_system_without_links_keeps_files() {
    let folder = Folder::new();
    let part = Part::read(b"Content-Disposition: form-data; name=a; filename=b\r\n\r\n").expect("a part");
    let save = |content: &str, path: &str| {
        let mut file = FormFile::create(&folder.0, &part).expect("a file");
        file.write(content.as_bytes()).expect("there is room");
        file.save_without_link(&folder.0.join(path)).map_err(|error| error.kind())
    };
    assert_eq!(save("one", "cat.png"), Ok(()));
    assert_eq!(save("two", "cat.png"), Err(io::ErrorKind::AlreadyExists));
    assert_eq!(save("three", "no/such/directory"), Err(io::ErrorKind::NotFound));
    assert_eq!((folder.names(), folder.content("cat.png").as_str()), (vec!["cat.png".to_owned()], "one"));
}

#[test]
fn what_is_not_kept_is_removed() {
    let folder = Folder::new();
    let form = [("a", Some("x"), "one"), ("b", Some("y"), "two")];
    let handlers: [(Handler, u16); 3] = [
        (|_, form| Ok(form.files().iter().map(|file| file.path().exists().to_string()).collect()), 200),
        (|_, _| Err(Error::new(422, "No")), 422),
        (|_, form| panic!("of {} files none is wanted", form.files().len()), 500),
    ];
    for (handler, status) in handlers {
        let mut client = client(&folder, handler);
        let reply = client.post("/7").multipart(form).send();
        assert_eq!(reply.status(), status);
        assert!(status != 200 || reply.text() == "7: truetrue", "{}", reply.text());
        assert!(folder.names().is_empty(), "{status}: {:?}", folder.names());
        assert_eq!(client.get("/").send().text(), "alive");
    }
}

#[test]
fn a_field_may_have_several_values() {
    let folder = Folder::new();
    let mut client = client(&folder, keep_all);
    let form = [("tag", None, "a"), ("other", None, ""), ("tag", None, "b")];
    assert_eq!(client.post("/7").multipart(form).send().text(), "7: tag=a, other=, tag=b, Some(\"a\"), [\"a\", \"b\"]");
}

/// Only the file that is just written has a descriptor.
#[test]
fn a_file_that_is_whole_is_closed() {
    let folder = Folder::new();
    let mut client = client(&folder, |_, mut form| {
        let mut file = form.take_file("a").or_status(422, "Choose a file")?;
        Ok(format!("{:?}", file.write(b"more")))
    });
    let reply = client.post("/7").multipart([("a", Some("x"), "one")]).send();
    assert_eq!(reply.text(), "7: Err(500 Internal server error: the file was finished)");
}

const HEAD: &str = "POST /7 HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=b\r\n\
    Content-Length: 100000\r\n\r\n--b\r\nContent-Disposition: form-data; name=a; filename=x\r\n\r\n";

#[test]
fn a_form_that_fails_leaves_nothing() {
    let folder = Folder::new();
    let mut client = client(&folder, keep_all);
    for (name, end) in
        [("malformed", "\r\n--bad"), ("refused", "\r\n--b\r\nContent-Disposition: form-data; name=refused\r\n\r\n")]
    {
        client.reconnect().write(HEAD).write("half of it");
        let names = folder.names();
        assert!(names.len() == 1 && names[0].starts_with(".upload-"), "{name}: {names:?}");
        client.write(end);
        assert!(matches!(client.read_reply().map(|reply| reply.status()), Some(400 | 415)), "{name}");
        assert!(folder.names().is_empty(), "{name}");
    }
    client.reconnect().write(HEAD).write("half of it");
    assert_eq!(folder.names().len(), 1);
    client.reset();
    assert!(folder.names().is_empty());

    client.reconnect();
    let long = [("a", Some("x"), "0123456789abcdef".repeat(1 << 16) + "1")];
    assert_eq!(client.post("/7").multipart(long).send().status(), 413);
    assert!(folder.names().is_empty());
    let reply = client.post("/7").multipart([("a", Some("x"), &b"one"[..]), ("b", None, b"\xff")]).send();
    assert_eq!((reply.status(), reply.text().contains("A field of the form is not UTF-8")), (400, true));
    assert!(folder.names().is_empty());
    // What is wrong with the head shows before any content.
    client.write(HEAD.replace("/7", "/seven"));
    assert_eq!(client.read_reply().map(|reply| reply.status()), Some(400));
    assert!(folder.names().is_empty());
}

/// The errors that a server has seen.
#[derive(Clone, Default)]
struct Errors(Rc<RefCell<Vec<String>>>);

impl Observer for Errors {
    fn request_failed(&mut self, _: ConnectionId, error: &Error) {
        self.0.borrow_mut().push(format!("{error:?}"));
    }
}

#[test]
fn a_directory_that_is_gone_is_an_error_of_the_server() {
    let folder = Folder::new();
    let errors = Errors::default();
    let mut client = client(&folder, keep_all).observer(errors.clone());
    fs::remove_dir_all(&folder.0).expect("it can be removed");
    let reply = client.post("/7").multipart([("a", Some("x"), "one")]).send();
    assert_eq!((reply.status(), reply.text().contains("The file could not be stored")), (500, true));
    assert!(errors.0.borrow()[0].contains("No such file or directory"), "{:?}", errors.0.borrow());
    assert_eq!(client.get("/").send().text(), "alive");
    assert!(Uploads::to("/dev/null/uploads").is_err());
}

/// Writes each part to a device on which there is no room.
#[cfg(target_os = "linux")]
struct Full(Option<FormFile>);

#[cfg(target_os = "linux")]
impl Form<PathBuf> for Full {
    fn part(&mut self, folder: &mut PathBuf, part: &Part<'_>) -> Result<()> {
        self.0 = Some(FormFile::on_device(folder, part, "/dev/full"));
        Ok(())
    }

    fn data(&mut self, _: &mut PathBuf, piece: &[u8], _: &mut Intake<'_>) -> Result<()> {
        self.0.as_mut().map_or(Ok(()), |file| file.write(piece))
    }

    fn end(self: Box<Self>, _: &mut PathBuf, res: Response<'_>) -> Result<Sent> {
        res.text("stored")
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_a_507_and_the_server_goes_on() {
    let folder = Folder::new();
    let mut app = Router::new(folder.0.clone());
    app.multipart(Method::Post, "/", Limits::new(), |_, _| Ok(Full(None)));
    app.get("/", |_, _, res| res.text("alive"));
    let errors = Errors::default();
    let mut client = TestClient::new(app).observer(errors.clone());
    let reply = client.post("/").multipart([("a", Some("x"), "one")]).send();
    assert_eq!((reply.status(), reply.text().contains("The server has no room for this file")), (507, true));
    assert!(errors.0.borrow()[0].contains("No space left on device"), "{:?}", errors.0.borrow());
    assert!(folder.names().is_empty());
    assert_eq!(client.get("/").send().text(), "alive");
}

#[test]
#[cfg(target_os = "linux")]
fn descriptors_that_run_out_are_a_503_and_some_are_reserved() {
    for (number, status) in [(23, 503), (24, 503), (28, 507), (122, 507), (13, 500)] {
        assert_eq!(disk_error(io::Error::from_raw_os_error(number)).status(), status, "error {number}");
    }
    let folder = Folder::new();
    let mut client = client(&folder, keep_all);
    assert_eq!(client.app_mut().descriptor_reserve(), FILE_DESCRIPTORS);
}
