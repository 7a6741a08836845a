//! The cookies that a client keeps.

use std::time::Duration;

use crate::{Router, TestClient};

/// A client that keeps cookies. Its application sets the cookie that the content says, and tells which ones came.
fn client() -> TestClient<Router<()>> {
    let mut app = Router::new(());
    for path in ["/", "/shop", "/shop/", "/shop/cart", "/shopping"] {
        app.get(path, |_, req, res| res.text(req.header("Cookie").unwrap_or("none")));
        app.post(path, |_, req, res| {
            let lines = String::from_utf8_lossy(req.body()).into_owned();
            lines.lines().fold(res, |res, line| res.append_header("Set-Cookie", line)).empty()
        });
    }
    TestClient::new(app).keep_cookies()
}

/// The cookies that the client sends to `path`.
fn sent(client: &mut TestClient<Router<()>>, path: &str) -> String {
    client.get(path).send().text().to_owned()
}

#[test]
fn cookies_are_kept_by_name_and_path() {
    let mut client = client();
    client.post("/").body("a=1\nb=2; Path=/shop; HttpOnly; Secure; SameSite=Lax\na=3").send();
    assert_eq!(sent(&mut client, "/"), "a=3", "the last one counts");
    assert_eq!(sent(&mut client, "/shopping"), "a=3", "/shop is no beginning of it");
    for path in ["/shop", "/shop/", "/shop/cart"] {
        assert_eq!(sent(&mut client, path), "b=2; a=3", "{path}: the longer path comes first");
    }
    client.post("/").body("b=root").send();
    assert_eq!(sent(&mut client, "/shop"), "b=2; a=3; b=root");
    assert_eq!(sent(&mut client, "/shop?b=1"), "b=2; a=3; b=root");
    assert_eq!(client.cookie("c"), None);
}

#[test]
fn a_cookie_without_a_path_is_for_the_folder_of_the_request() {
    let mut client = client();
    client.post("/shop/cart").body("a=1\nb=2; Path=relative").send();
    assert_eq!(sent(&mut client, "/shop"), "a=1; b=2");
    assert_eq!(sent(&mut client, "/"), "none");
}

#[test]
fn cookies_expire_in_virtual_time() {
    let mut client = client();
    // The date is Sun, 06 Nov 1994 08:49:37 GMT. An age counts more than a date.
    let lines = "age=1; Max-Age=10\ndate=1; Expires=Sun, 06 Nov 1994 08:49:57 GMT\n\
                 hyphens=1; expires=Sun, 06-Nov-1994 08:49:57 GMT\n\
                 both=1; Max-Age=30; Expires=Thu, 01 Jan 1970 00:00:00 GMT\nbad=1; Max-Age=soon; Expires=never\n\
                 long=1; Max-Age=99999999999999999999";
    client.post("/").body(lines).send();
    let mut steps = [9, 1, 10, 10].map(|seconds| {
        client.advance(Duration::from_secs(seconds));
        sent(&mut client, "/")
    });
    steps.iter_mut().for_each(|step| *step = step.replace("=1", ""));
    let expected =
        ["age; date; hyphens; both; bad; long", "date; hyphens; both; bad; long", "both; bad; long", "bad; long"];
    assert_eq!(steps, expected);
    assert_eq!((client.cookie("age"), client.cookie("bad")), (None, Some("1")));
}

#[test]
fn cookies_are_removed_by_an_end_in_the_past() {
    let mut client = client();
    for end in ["Max-Age=0", "Max-Age=-1", "Expires=Thu, 01 Jan 1970 00:00:00 GMT"] {
        client.post("/").body("a=1").send();
        assert_eq!(sent(&mut client, "/"), "a=1");
        client.post("/").body(format!("a=; {end}; Path=/elsewhere")).send();
        assert_eq!(client.cookie("a"), Some("1"), "another path is another cookie");
        client.post("/").body(format!("a=; {end}")).send();
        assert_eq!((sent(&mut client, "/").as_str(), client.cookie("a")), ("none", None), "{end}");
    }
    client.post("/").body("a=1\nb=2").send();
    client.clear_cookies();
    assert_eq!(sent(&mut client, "/"), "none");
}

#[test]
fn cookies_of_a_request_come_first_and_replace_those_of_their_name() {
    let mut client = client();
    client.post("/").body("a=1\nb=2").send();
    assert_eq!(client.get("/").cookie("a", "mine").cookie("c", "3").send().text(), "a=mine; c=3; b=2");
    assert_eq!(client.get("/").header("cookie", "by=hand").send().text(), "by=hand");
    assert_eq!(sent(&mut client, "/"), "a=1; b=2");
}

#[test]
fn only_a_client_that_is_asked_to_keeps_cookies() {
    let mut app = Router::new(());
    app.get("/", |_, req, res| {
        let came = req.header("Cookie").unwrap_or("none").to_owned();
        res.append_header("Set-Cookie", "a=1; Path=/").append_header("Set-Cookie", "b = 2 ;HttpOnly").text(came)
    });
    let mut client = TestClient::new(app);
    let reply = client.get("/").send();
    assert!(reply.cookies().eq([("a", "1"), ("b", "2")]));
    assert_eq!((reply.cookie("b"), reply.cookie("c")), (Some("2"), None));
    assert_eq!(client.get("/").send().text(), "none");
}

#[cfg(feature = "websocket")]
#[test]
fn a_websocket_sends_the_cookies_that_are_kept() {
    use crate::websocket::WebSocket;

    struct Silent;
    impl<S> WebSocket<S> for Silent {
        fn message(
            &mut self,
            _: &mut S,
            _: crate::websocket::Message<'_>,
            _: &mut crate::websocket::Socket<'_>,
        ) -> crate::Result<()> {
            Ok(())
        }
    }

    let mut app = Router::new(String::new());
    app.get("/", |_, _, res| res.header("Set-Cookie", "session=a1").empty());
    app.websocket("/ws", |seen: &mut String, req, offer| {
        *seen = req.header("Cookie").unwrap_or("none").to_owned();
        Ok((offer, Silent))
    });
    let mut client = TestClient::new(app).keep_cookies();
    client.get("/").send();
    client.websocket("/ws").open();
    assert_eq!(client.app().state(), "session=a1");
}

#[test]
fn the_query_and_the_token_of_a_request() {
    let mut app = Router::new(());
    app.get("/", |_, req, res| res.text(format!("{} {}", req.target(), req.header("Authorization").unwrap_or("none"))));
    let mut client = TestClient::new(app);
    let none: [(&str, &str); 0] = [];
    assert_eq!(client.get("/").query(none).send().text(), "/ none");
    let reply = client.get("/?a=1").query([("b", "x y")]).query([("c", "&")]).bearer("t0k.en").send();
    assert_eq!(reply.assert_status(200).text(), "/?a=1&b=x+y&c=%26 Bearer t0k.en");
}
