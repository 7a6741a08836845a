//! `login`: a visitor with curl's cookie jar, and what another site could send.

use crate::Example;
use crate::support::serve::Folder;

/// A visitor, with a jar for cookies.
struct Visitor {
    site: Example,
    jar: String,
    _folder: Folder,
}

impl Visitor {
    fn new() -> Option<Self> {
        let folder = Folder::new();
        let jar = folder.path("cookies").to_str().expect("it is text").to_owned();
        let site = Example::start("login", |command| command.env("LOGIN_PASSWORD", "secret"))?;
        Some(Self { site, jar, _folder: folder })
    }

    /// What curl prints, with the cookies of the jar, and the status after it.
    #[track_caller]
    fn curl(&self, options: &[&str], path: &str) -> String {
        let cookies = ["-b", &self.jar, "-c", &self.jar, "-w", " %{http_code}"];
        self.site.curl(&[&cookies[..], options].concat(), path)
    }

    #[track_caller]
    fn post(&self, path: &str, fields: &[(&str, &str)]) -> String {
        let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let options: Vec<&str> = fields.iter().flat_map(|field| ["--data-urlencode", field]).collect();
        self.curl(&[&["-i"][..], &options].concat(), path)
    }

    /// The token in the form of a page.
    #[track_caller]
    fn token(&self, path: &str) -> String {
        let page = self.curl(&[], path);
        let (_, rest) = page.split_once("name=csrf value=").unwrap_or_else(|| panic!("no token: {page}"));
        rest.split('>').next().expect("there is a first").to_owned()
    }

    #[track_caller]
    fn log_in(&self) {
        let token = self.token("/login");
        let reply = self.post("/login", &[("csrf", &token), ("user", "<Ann>"), ("password", "secret")]);
        assert!(reply.ends_with(" 303") && reply.contains("\r\nLocation: /\r\n"), "{reply}");
    }
}

#[test]
fn a_visitor_logs_in_and_out() {
    let Some(visitor) = Visitor::new() else { return };
    assert!(visitor.curl(&["-i"], "/").contains("\r\nLocation: /login\r\n"));
    visitor.log_in();
    let home = visitor.curl(&["-i"], "/");
    assert!(home.contains("Hello, &lt;Ann&gt;!") && home.contains("\r\nCache-Control: no-store\r\n"), "{home}");

    let token = visitor.token("/");
    let reply = visitor.post("/motto", &[("csrf", &token), ("motto", "a & b")]);
    assert!(reply.ends_with(" 303"), "{reply}");
    assert!(visitor.curl(&[], "/").contains("Your motto: a &amp; b\n"));

    let reply = visitor.post("/logout", &[("csrf", &token)]);
    assert!(reply.ends_with(" 303") && reply.contains("session=;"), "{reply}");
    assert!(visitor.curl(&["-i"], "/").contains("\r\nLocation: /login\r\n"));
    visitor.site.stop();
}

#[test]
fn a_cookie_is_kept_from_scripts_and_other_sites() {
    let Some(visitor) = Visitor::new() else { return };
    let token = visitor.token("/login");
    let reply = visitor.post("/login", &[("csrf", &token), ("user", "Ann"), ("password", "secret")]);
    let cookie = reply.lines().find_map(|line| line.strip_prefix("Set-Cookie: session=")).expect("a session");
    for attribute in ["; Path=/", "; HttpOnly", "; SameSite=Lax", "; Max-Age=1800"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    visitor.site.stop();
}

#[test]
fn a_form_of_another_site_does_nothing() {
    let Some(visitor) = Visitor::new() else { return };
    visitor.curl(&[], "/login");
    let login = [("user", "Ann"), ("password", "secret"), ("csrf", "00000000000000000000000000000000")];
    assert!(visitor.post("/login", &login).ends_with(" 403"));
    assert!(visitor.post("/login", &login[..2]).ends_with(" 422"));
    visitor.log_in();
    for path in ["/motto", "/logout"] {
        let reply = visitor.post(path, &[("csrf", login[2].1), ("motto", "theirs")]);
        assert!(reply.ends_with(" 403"), "{path}: {reply}");
    }
    assert!(visitor.curl(&[], "/").contains("Your motto: \n"));
    visitor.site.stop();
}

#[test]
fn guesses_are_few() {
    let Some(visitor) = Visitor::new() else { return };
    let token = visitor.token("/login");
    let guess = |password| visitor.post("/login", &[("csrf", &token), ("user", "Ann"), ("password", password)]);
    for _ in 0..10 {
        assert!(guess("Secret").ends_with(" 403"));
    }
    let reply = guess("secret");
    assert!(reply.ends_with(" 429") && reply.contains("\r\nRetry-After: 60\r\n"), "{reply}");
    visitor.site.stop();
}
