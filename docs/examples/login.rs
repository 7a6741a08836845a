//! A login with a session in a cookie, and forms that another site cannot send.
//!
//! ```text
//! LOGIN_PASSWORD=secret cargo run --example login     and LOGIN_HTTPS=1, if a terminator of TLS is in front
//! open http://localhost:3000                          any name, and that password
//! cargo test --example login
//! ```
//!
//! There is one password for all, so that the example stays short. For real users, store an Argon2 hash of each
//! password, and compare on a thread, since that takes long on purpose: see the example `blocking`.
//!
//! Here, each form has a token. `middleware::SameOrigin` does without, and needs one line for all forms.

use std::collections::HashMap;
use std::env;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::time::{Duration, SystemTime};

use monoloop::http::escape_html;
use monoloop::router::Next;
use monoloop::{Cookie, Error, Method, Request, Response, Result, Router, Sent, Server};
use serde::Deserialize;
use subtle::ConstantTimeEq;

/// A session ends when it was not used for this long.
const LIFE: Duration = Duration::from_secs(30 * 60);

/// How long the form for the login can be filled in.
const FORM_LIFE: Duration = Duration::from_secs(10 * 60);

/// More sessions than this are refused, so that they cannot take all memory.
const MAX_SESSIONS: usize = 10_000;

/// Wrong passwords of a client in a minute.
const MAX_FAILURES: u32 = 10;

/// Largest content of a form, in bytes.
const MAX_FORM: u64 = 4096;

struct Site {
    sessions: HashMap<String, Session>,
    failures: HashMap<Option<IpAddr>, u32>,
    password: String,
    is_https: bool,
}

struct Session {
    user: String,
    motto: String,
    /// What each form of this session must contain. Another site does not know it.
    csrf: String,
    ends: SystemTime,
}

#[derive(Deserialize)]
struct Login {
    csrf: String,
    user: String,
    password: String,
}

fn main() -> monoloop::server::Result<()> {
    let address = env::args().nth(1).unwrap_or("127.0.0.1:3000".into());
    let password = env::var("LOGIN_PASSWORD").expect("set LOGIN_PASSWORD");
    let server = Server::bind(address.as_str())?;
    println!("listening on http://{}", server.local_addr());
    server.run(app(password, env::var_os("LOGIN_HTTPS").is_some()))
}

fn app(password: String, is_https: bool) -> Router<Site> {
    let mut app = Router::new(Site { sessions: HashMap::new(), failures: HashMap::new(), password, is_https });
    app.with(|_, _, res| {
        // No cache keeps a page of a user, no other site frames it, and no script runs on it.
        let policy = "default-src 'none'; form-action 'self'; frame-ancestors 'none'";
        ControlFlow::Continue(res.header("Cache-Control", "no-store").header("Content-Security-Policy", policy))
    });
    app.every(Duration::from_secs(60), |site| site.failures.clear());
    app.get("/login", login_form);
    app.post("/login", login).max_content(MAX_FORM);
    app.get("/", home).with(signed_in);
    app.post("/motto", set_motto).with(signed_in).max_content(MAX_FORM);
    app.post("/logout", logout).with(signed_in).max_content(MAX_FORM);
    app
}

// ---- the session ----------------------------------------------------------------------------------------------------

/// Lets a request through that has a session, and leads all others to the login. A form must also have the token of the
/// session. `SameSite=Lax` alone would do for the browsers of today.
fn signed_in<'r>(site: &mut Site, req: &Request<'_>, res: Response<'r>) -> Next<'r> {
    let Ok(session) = site.session(req) else {
        return ControlFlow::Break(res.status(303).redirect("/login"));
    };
    let is_form = !matches!(req.method(), Method::Get | Method::Head);
    if is_form && !req.form().is_ok_and(|form| is_same(&form.get("csrf").unwrap_or_default(), &session.csrf)) {
        return ControlFlow::Break(Err(Error::new(403, "The form is too old")));
    }
    session.ends = req.now() + LIFE;
    ControlFlow::Continue(res)
}

impl Site {
    fn session(&mut self, req: &Request<'_>) -> Result<&mut Session> {
        let session = self.sessions.get_mut(req.cookie("session").unwrap_or_default());
        session.filter(|session| req.now() < session.ends).ok_or_else(|| Error::new(401, "Log in first"))
    }
}

// ---- pages ----------------------------------------------------------------------------------------------------------

fn home(site: &mut Site, req: &Request<'_>, res: Response<'_>) -> Result<Sent> {
    let Session { user, motto, csrf, .. } = site.session(req)?;
    let (user, motto) = (escape_html(user), escape_html(motto));
    res.html(format!(
        r#"<!doctype html><title>Home</title><p>Hello, {user}! Your motto: {motto}
<form method=post action=/motto><input type=hidden name=csrf value={csrf}><input name=motto><button>Set</button></form>
<form method=post action=/logout><input type=hidden name=csrf value={csrf}><button>Log out</button></form>"#
    ))
}

/// A 303 after a form: when the page is loaded again, the form is not sent again.
fn set_motto(site: &mut Site, req: &Request<'_>, res: Response<'_>) -> Result<Sent> {
    let motto = req.form()?.get("motto").unwrap_or_default();
    site.session(req)?.motto = motto.chars().take(200).collect();
    res.status(303).redirect("/")
}

/// Nobody has a session yet, so the token of this form is in a cookie. Else another site could log a visitor in, with a
/// name of its own.
fn login_form(site: &mut Site, _: &Request<'_>, res: Response<'_>) -> Result<Sent> {
    let csrf = random()?;
    let cookie = Cookie::new("login", csrf.as_str()).max_age(FORM_LIFE).secure(site.is_https);
    res.cookie(cookie).html(format!(
        r#"<!doctype html><title>Log in</title><form method=post action=/login>
<input type=hidden name=csrf value={csrf}><input name=user required><input name=password type=password required>
<button>Log in</button></form>"#
    ))
}

fn login(site: &mut Site, req: &Request<'_>, res: Response<'_>) -> Result<Sent> {
    let Login { csrf, user, password } = req.form_as()?;
    if !req.cookie("login").is_some_and(|known| is_same(&csrf, known)) {
        return Err(Error::new(403, "The form is too old"));
    }
    let failures = site.failures.entry(req.client().ip()).or_default();
    if *failures >= MAX_FAILURES {
        return Err(Error::new(429, "Too many attempts").with_header("Retry-After", "60"));
    }
    if !is_same(&password, &site.password) || !(1..=50).contains(&user.len()) {
        *failures += 1;
        return Err(Error::new(403, "Wrong name or password"));
    }
    let now = req.now();
    site.sessions.retain(|_, session| now < session.ends);
    if site.sessions.len() >= MAX_SESSIONS {
        return Err(Error::new(503, "Too many sessions").with_header("Retry-After", "60"));
    }
    // A new id at each login: nobody can know it from before.
    let (id, csrf) = (random()?, random()?);
    site.sessions.insert(id.clone(), Session { user, motto: String::new(), csrf, ends: now + LIFE });
    let cookie = Cookie::new("session", id).max_age(LIFE).secure(site.is_https);
    res.cookie(cookie).remove_cookie("login").status(303).redirect("/")
}

fn logout(site: &mut Site, req: &Request<'_>, res: Response<'_>) -> Result<Sent> {
    site.sessions.remove(req.cookie("session").unwrap_or_default());
    res.remove_cookie("session").status(303).redirect("/login")
}

// ---- tools ----------------------------------------------------------------------------------------------------------

/// Compares in a time that does not tell where the texts differ.
fn is_same(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

/// 128 bits that nobody can guess.
fn random() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use monoloop::TestClient;

    #[test]
    fn a_session_ends_when_it_is_not_used() {
        let mut client = TestClient::new(app("secret".into(), false)).keep_cookies();
        client.get("/login").send();
        let token = client.cookie("login").expect("a token").to_owned();
        let form = [("csrf", token.as_str()), ("user", "Ann"), ("password", "secret")];
        assert_eq!(client.post("/login").form(form).send().header("Location"), Some("/"));
        // A client that does not obey the `Max-Age` of the cookie.
        let id = client.cookie("session").expect("a session").to_owned();
        for _ in 0..3 {
            client.advance(LIFE / 2);
            assert_eq!(client.get("/").cookie("session", &id).send().status(), 200);
        }
        client.advance(LIFE);
        assert_eq!(client.get("/").cookie("session", &id).send().header("Location"), Some("/login"));
    }
}
