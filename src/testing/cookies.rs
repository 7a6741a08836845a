//! A client that keeps cookies.

use super::{TestClient, TestReply};
use crate::exchange::Service;

impl<A: Service> TestClient<A> {
    /// Makes the client keep the cookies that replies to its requests set, and send them back, as a browser does.
    /// They expire in virtual time, and belong to the path that they name. `Domain`, `Secure`, `HttpOnly` and
    /// `SameSite` have no meaning here. All connections of the client share the cookies.
    ///
    /// ```
    /// use monoloop::{Router, TestClient};
    ///
    /// let mut app = Router::new(());
    /// app.post("/login", |_, _, res| res.header("Set-Cookie", "session=a1b2; Path=/; Max-Age=3600").empty());
    /// app.get("/", |_, req, res| res.text(req.header("Cookie").unwrap_or("nobody")));
    ///
    /// let mut client = TestClient::new(app).keep_cookies();
    /// assert_eq!(client.get("/").send().text(), "nobody");
    /// client.post("/login").send();
    /// assert_eq!(client.cookie("session"), Some("a1b2"));
    /// assert_eq!(client.get("/").send().text(), "session=a1b2");
    /// client.advance(std::time::Duration::from_secs(3600));
    /// assert_eq!(client.get("/").send().text(), "nobody");
    /// ```
    #[doc(alias("cookie", "jar", "session"))]
    #[must_use]
    pub fn keep_cookies(mut self) -> Self {
        self.jar.get_or_insert_default();
        self
    }

    /// The value of a cookie that the client keeps, of any path.
    ///
    /// # Panics
    /// If it [keeps](Self::keep_cookies) none.
    #[track_caller]
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let Some(jar) = &self.jar else { panic!("the client keeps no cookies: call `keep_cookies` first") };
        jar.get(name, self.virtual_loop.date())
    }

    /// Forgets all cookies, like a browser of someone else. If it [keeps](Self::keep_cookies) none, nothing happens.
    pub fn clear_cookies(&mut self) -> &mut Self {
        if let Some(jar) = &mut self.jar {
            jar.clear();
        }
        self
    }

    /// The `Cookie` line of a request: cookies of its own, and those kept for its path that have other names.
    pub(super) fn cookie_line(&self, target: &str, mut cookies: Vec<(String, String)>) -> String {
        if let Some(jar) = &self.jar {
            jar.add_to(&mut cookies, target, self.virtual_loop.date());
        }
        if cookies.is_empty() {
            return String::new();
        }
        let pairs: Vec<_> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("Cookie: {}\r\n", pairs.join("; "))
    }

    /// Keeps the cookies of a reply, if the client keeps any.
    pub(super) fn note_cookies(&mut self, target: &str, reply: &TestReply) {
        let now = self.virtual_loop.date();
        if let Some(jar) = &mut self.jar {
            reply.header_all("Set-Cookie").for_each(|line| jar.note(line, target, now));
        }
    }
}
