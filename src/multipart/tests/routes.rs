//! Routes of forms, with a client in memory.

use std::time::Duration;

use crate::exchange::{Abort, Intake, Response, Resumer, Sent};
use crate::multipart::{Form, Limits, Part};
use crate::{Error, Method, Request, Result, Router, TestClient};

/// What the forms of a test have seen.
#[derive(Default)]
struct Seen {
    lines: Vec<String>,
    paused: Option<Resumer>,
}

/// Notes what it gets, and does what the names of the parts say.
struct Notes {
    name: String,
}

impl Form<Seen> for Notes {
    fn part(&mut self, seen: &mut Seen, part: &Part<'_>) -> Result<()> {
        self.name = part.name().to_owned();
        seen.lines.push(format!("part {} {:?}", part.name(), part.file_name()));
        if part.name() == "fail" { Err(Error::new(418, "No such part, please")) } else { Ok(()) }
    }

    fn data(&mut self, seen: &mut Seen, piece: &[u8], intake: &mut Intake<'_>) -> Result<()> {
        seen.lines.push(format!("data {}", piece.escape_ascii()));
        match self.name.as_str() {
            "pause" => seen.paused = Some(intake.pause()),
            "fail-data" => return Err(Error::new(418, "No such data, please")),
            _ => {}
        }
        Ok(())
    }

    fn part_end(&mut self, seen: &mut Seen) -> Result<()> {
        seen.lines.push("part end".to_owned());
        if self.name == "fail-end" { Err(Error::new(418, "No such end, please")) } else { Ok(()) }
    }

    fn end(self: Box<Self>, seen: &mut Seen, res: Response<'_>) -> Result<Sent> {
        seen.lines.push("end".to_owned());
        res.text("done")
    }

    fn abort(self: Box<Self>, seen: &mut Seen, why: Abort) {
        seen.lines.push(format!("abort {why:?}"));
    }
}

fn client(limits: Limits) -> TestClient<Router<Seen>> {
    let mut app = Router::new(Seen::default());
    app.multipart(Method::Post, "/form", limits, |_, _| Ok(Notes { name: String::new() }));
    app.get("/", |_, _, res| res.text("alive"));
    TestClient::new(app)
}

fn seen(client: &mut TestClient<Router<Seen>>) -> Vec<String> {
    std::mem::take(&mut client.app_mut().state_mut().lines)
}

const TYPE: &str = "multipart/form-data; boundary=b";

/// The head of a chunked request, so that its content can come in any pieces.
const HEAD: &str = "POST /form HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=b\r\n\
    Transfer-Encoding: chunked\r\n\r\n";

fn part(name: &str) -> String {
    format!("--b\r\nContent-Disposition: form-data; name={name}\r\n\r\n")
}

fn chunk(content: &str) -> String {
    format!("{:x}\r\n{content}\r\n", content.len())
}

#[test]
fn a_form_gets_its_parts_as_they_come() {
    let mut client = client(Limits::new());
    client.write(HEAD).write(chunk(&(part("a") + "one"))).write(chunk("two\r\n-"));
    assert_eq!(seen(&mut client), ["part a None", "data one", "data two"]);
    client.write(chunk("-")).write(chunk("x\r\n")).write(chunk("--b\r\n"));
    assert_eq!(seen(&mut client), ["data \\r\\n--", "data x", "part end"]);
    client.write(chunk("Content-Disposition: form-data; name=b; filename=\"c.txt\"\r\n"));
    assert!(seen(&mut client).is_empty() && client.read().is_empty());
    client.write(chunk("\r\n\r\n--b--\r\n")).write("0\r\n\r\n");
    assert_eq!(seen(&mut client), ["part b Some(\"c.txt\")", "part end", "end"]);
    assert_eq!(client.read_reply().expect("a reply").text(), "done");
    assert_eq!(client.get("/").send().text(), "alive");
}

#[test]
fn a_form_that_breaks_a_rule_is_refused() {
    let limits = Limits::new().max_content(2000).max_file(4).max_fields(10).max_parts(3);
    let file = "--b\r\nContent-Disposition: form-data; name=f; filename=g\r\n\r\n";
    let long = format!("{}x\r\n--b--{}", part("a"), " ".repeat(2000));
    let (a, whole) = (part("a"), "x\r\n");
    for (name, content, status, message, last) in [
        ("nothing", String::new(), 400, "The form has no last boundary line", "abort Malformed"),
        ("half", format!("{a}x"), 400, "The form has no last boundary line", "abort Malformed"),
        ("LF", "--b\n".to_owned(), 400, "A boundary line of the form is malformed", "abort Malformed"),
        ("no header", "--b\r\nx\r\n\r\n".to_owned(), 400, "The header of a part is malformed", "abort Malformed"),
        (
            "no name",
            "--b\r\n\r\nx".to_owned(),
            400,
            "A part has no valid Content-Disposition: form-data with a name",
            "abort Malformed",
        ),
        (
            "base64",
            "--b\r\nContent-Transfer-Encoding: base64\r\n\r\nx".to_owned(),
            415,
            "The Content-Transfer-Encoding of a part is not supported",
            "abort Malformed",
        ),
        ("a long file", format!("{file}12345"), 413, "A file is longer than 4 bytes", "abort TooLarge"),
        ("long fields", format!("{a}1234\r\n{a}56789"), 413, "The fields are longer than 10 bytes", "abort TooLarge"),
        ("a long name", part("12345678901"), 413, "The fields are longer than 10 bytes", "abort TooLarge"),
        (
            "many parts",
            format!("{a}{whole}{file}{whole}{a}{whole}{file}{whole}"),
            413,
            "The form has more than 3 parts",
            "abort TooLarge",
        ),
        ("a part that fails", part("fail"), 418, "No such part, please", "abort Failed"),
        ("data that fail", part("fail-data") + "x", 418, "No such data, please", "abort Failed"),
        ("an end that fails", part("fail-end") + "x\r\n--b", 418, "No such end, please", "abort Failed"),
        ("a long form", long, 413, "The content is too large", "abort TooLarge"),
    ] {
        let mut client = client(limits);
        client.write(HEAD);
        if !content.is_empty() {
            client.write(chunk(&content));
        }
        client.write("0\r\n\r\n");
        let reply = client.read_reply().expect("a reply");
        let said = reply.text().to_owned();
        assert_eq!((reply.status(), said.contains(message)), (status, true), "{name}: {said}");
        let lines = seen(&mut client);
        assert_eq!(lines.last().map(String::as_str), Some(last), "{name}");
        let ends = lines.iter().filter(|line| line.starts_with("abort") || *line == "end");
        assert_eq!(ends.count(), 1, "{name}");
    }
}

#[test]
fn what_fits_the_limits_is_taken() {
    let limits = Limits::new().max_file(4).max_fields(8).max_parts(4);
    let mut client = client(limits);
    let form = [("a", None, "123"), ("f", Some("g"), "1234"), ("b", None, "456"), ("f", Some("h"), "5678")];
    assert_eq!(client.post("/form").multipart(form).send().text(), "done");
}

/// Nothing of the content is read, and no form is made.
#[test]
fn what_is_no_form_is_refused_at_its_head() {
    for (fields, status, message) in [
        ("", 415, "Expected multipart/form-data"),
        ("Content-Type: application/json\r\n", 415, "Expected multipart/form-data"),
        ("Content-Type: multipart/mixed; boundary=b\r\n", 415, "Expected multipart/form-data"),
        ("Content-Type: multipart/form-data\r\n", 400, "The Content-Type has no valid boundary"),
        (
            "Content-Type: multipart/form-data; boundary=b\r\nContent-Type: multipart/form-data; boundary=c\r\n",
            400,
            "The Content-Type has no valid boundary",
        ),
    ] {
        let mut client = client(Limits::new());
        let expects = "POST /form HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n";
        client.write(format!("{expects}{fields}\r\n"));
        let answer = String::from_utf8(client.read()).expect("text");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.contains(message), "{fields}: {answer}");
        assert!(seen(&mut client).is_empty(), "{fields}");
    }
    let mut client = client(Limits::new().max_content(999_999));
    client.write(format!("POST /form HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\nContent-Type: {TYPE}\r\n\r\n"));
    assert_eq!(client.read_reply().expect("a reply").status(), 413);
    assert!(seen(&mut client).is_empty());
}

#[test]
fn a_request_without_content_is_no_form() {
    let mut client = client(Limits::new());
    let reply = client.post("/form").header("Content-Type", TYPE).send();
    assert_eq!(reply.status(), 400);
    assert_eq!(seen(&mut client), ["abort Malformed"]);
    assert_eq!(client.post("/form").send().status(), 415);
}

#[test]
fn a_client_that_leaves_aborts_its_form() {
    let mut one = client(Limits::new());
    one.write(HEAD).write(chunk(&(part("a") + "x"))).reset();
    assert_eq!(seen(&mut one), ["part a None", "data x", "abort ClientGone"]);
    let mut slow = client(Limits::new());
    slow.write(HEAD).write(chunk(&(part("a") + "x"))).advance(Duration::from_secs(60));
    assert_eq!(seen(&mut slow), ["part a None", "data x", "abort TimedOut"]);
}

#[test]
fn a_form_can_pause() {
    let mut client = client(Limits::new());
    client.write(HEAD).write(chunk(&(part("pause") + "one")));
    client.write(chunk("two\r\n--b--")).write("0\r\n\r\n").advance(Duration::from_secs(5));
    assert_eq!(seen(&mut client), ["part pause None", "data one"]);
    client.app_mut().state_mut().paused = None;
    client.advance(Duration::ZERO);
    // What was read together comes together, and nothing after it.
    assert_eq!(seen(&mut client), ["data two", "part end"]);
    assert!(client.read().is_empty());
    client.app_mut().state_mut().paused = None;
    client.advance(Duration::ZERO);
    assert_eq!(seen(&mut client), ["end"]);
    assert_eq!(client.read_reply().expect("a reply").text(), "done");
}

/// A factory may choose between forms.
#[test]
fn a_boxed_form_is_a_form() {
    let mut app = Router::new(Seen::default());
    app.multipart(Method::Put, "/form/:kind", Limits::new(), |_, req: &Request<'_>| {
        let form: Box<dyn Form<Seen>> = match req.param_str("kind").as_deref() {
            Some("notes") => Box::new(Notes { name: String::new() }),
            _ => return Err(Error::not_found("No such kind of form")),
        };
        Ok(form)
    });
    let mut client = TestClient::new(app);
    let form = [("fail-end", None, "x")];
    assert_eq!(client.put("/form/other").multipart(form).send().status(), 404);
    assert_eq!(client.put("/form/notes").multipart(form).send().status(), 418);
    assert_eq!(seen(&mut client), ["part fail-end None", "data x", "part end", "abort Failed"]);
    assert_eq!(client.put("/form/notes").multipart([("a", Some("b"), "")]).send().text(), "done");
    assert_eq!(seen(&mut client), ["part a Some(\"b\")", "part end", "end"]);
}

// ---- forms that are in memory as a whole ----------------------------------------------------------------------------

fn whole() -> TestClient<Router<()>> {
    let mut app = Router::new(());
    app.post("/", |_, req, res| {
        let form = req.multipart()?;
        let files: Vec<_> = form.files().map(|file| (file.name(), file.file_name(), file.content())).collect();
        let picture = form.file("picture").map(|file| (file.safe_name(), file.content_type(), file.text()));
        let titles: Vec<_> = form.all("title").collect();
        res.text(format!("{:?} {titles:?} {picture:?} {files:?} of {}", form.get("title"), form.parts().len()))
    });
    TestClient::new(app)
}

#[test]
fn a_small_form_is_read_as_a_whole() {
    let mut client = whole();
    let form = [
        ("picture", Some(""), &b""[..]),
        ("title", Some("title.txt"), b"no field"),
        ("title", None, b"\xff"),
        ("title", None, b"one"),
        ("picture", Some("a/b.png"), b"\r\n-- boundary-0"),
        ("title", None, b""),
    ];
    assert_eq!(
        client.post("/").multipart(form).send().text(),
        "Some(\"one\") [\"one\", \"\"] Some((\"b.png\", Some(\"application/octet-stream\"), \
         Some(\"\\r\\n-- boundary-0\"))) [(\"title\", Some(\"title.txt\"), [110, 111, 32, 102, 105, 101, 108, 100]), \
         (\"picture\", Some(\"a/b.png\"), [13, 10, 45, 45, 32, 98, 111, 117, 110, 100, 97, 114, 121, 45, 48])] of 6"
    );
    let none: [(&str, Option<&str>, &str); 0] = [];
    assert_eq!(client.post("/").multipart(none).send().text(), "None [] None [] of 0");
}

#[test]
fn a_small_form_that_breaks_a_rule_is_refused() {
    let mut client = whole();
    for (content_type, body, status) in [
        ("text/plain", "--b--".to_owned(), 415),
        ("multipart/form-data", "--b--".to_owned(), 400),
        (TYPE, String::new(), 400),
        (TYPE, "--c--".to_owned(), 400),
        (TYPE, format!("{}x", part("a")), 400),
        (TYPE, "--b\r\nA: 1\r\n\r\nx\r\n--b--".to_owned(), 400),
        (TYPE, format!("{}--b--", (part("a") + "\r\n").repeat(1001)), 413),
        (TYPE, format!("{}--b--", (part("a") + "\r\n").repeat(1000)), 200),
    ] {
        let reply = client.post("/").header("Content-Type", content_type).body(body.clone()).send();
        assert_eq!(reply.status(), status, "{content_type}: {:.80}", body);
    }
    assert_eq!(client.post("/").send().status(), 415);
}
