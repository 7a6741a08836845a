//! Chromium under its driver. Every wait has an end, and no browser outlives its test.

use std::process::Command;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::process::{Process, RUN};
use super::serve::works;
use super::{Client, LIMIT};

/// A browser that WebDriver controls.
pub(crate) struct Browser {
    _driver: Process,
    client: Client,
    session: String,
    // The last field, because the next browser may start when this one has ended.
    _place: Place,
}

/// A place for a browser. Chromium fills a processor by itself, so only a few run at once, and all other tests may wait
/// at the same time.
struct Place;

/// How many places are taken.
static TAKEN: Mutex<usize> = Mutex::new(0);
static LEFT: Condvar = Condvar::new();

impl Place {
    const MOST: usize = 2;

    /// Waits for a place. A test that has one gives it back at its end, which comes because each wait of it has an end.
    fn take() -> Self {
        let taken = LEFT.wait_while(Self::taken(), |taken| *taken >= Self::MOST);
        *taken.unwrap_or_else(PoisonError::into_inner) += 1;
        Self
    }

    fn taken() -> MutexGuard<'static, usize> {
        TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *Self::taken() -= 1;
        LEFT.notify_one();
    }
}

/// One of its tabs.
pub(crate) struct Tab(String);

impl Browser {
    /// Returns `None` if no browser is installed. A run of CI must have one.
    #[track_caller]
    pub(crate) fn start() -> Option<Self> {
        if !works(&["chromedriver", "--version"]) || !works(&["chromium", "--version"]) {
            return None;
        }
        let place = Place::take();
        let (driver, port) = start_driver();
        let mut client = Client::tcp(([127, 0, 0, 1], port).into());
        client.socket().set_read_timeout(Some(2 * RUN)).expect("a timeout can be set");
        let args = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--mute-audio"];
        let capabilities = json!({
            "browserName": "chrome",
            "goog:chromeOptions": { "args": args },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let wanted = json!({ "capabilities": { "alwaysMatch": capabilities } });
        let reply = ask(&mut client, "POST", "/session", &wanted);
        let session = format!("/session/{}", reply["sessionId"].as_str().expect("a session"));
        Some(Self { _driver: driver, client, session, _place: place })
    }

    #[track_caller]
    pub(crate) fn open(&mut self, url: &str) {
        self.command("POST", "/url", &json!({ "url": url }));
    }

    /// Runs a script whose value is a promise.
    #[track_caller]
    pub(crate) fn run(&mut self, script: &str) -> Value {
        let script = format!(
            "const done = arguments[0]; (async () => {{ {script} }})().then(done, error => done('failed: ' + error));"
        );
        self.command("POST", "/execute/async", &json!({ "script": script, "args": [] }))
    }

    /// Waits until an expression of JavaScript is true. It is computed at each change of the document.
    #[track_caller]
    pub(crate) fn wait(&mut self, expression: &str) {
        let found = self.run(&format!(
            "return await new Promise(resolve => {{
                 const limit = setTimeout(() => end('not true: ' + document.body.innerText), {});
                 const end = result => {{ observer.disconnect(); clearTimeout(limit); resolve(result); }};
                 const look = () => {{ if ({expression}) end(true); }};
                 const observer = new MutationObserver(look);
                 observer.observe(document,
                     {{ subtree: true, childList: true, characterData: true, attributes: true }});
                 look();
             }});",
            LIMIT.as_millis()
        ));
        assert_eq!(found, json!(true), "{expression}");
    }

    /// Clicks on the only element that a selector of CSS finds, as a user does.
    #[track_caller]
    pub(crate) fn click(&mut self, selector: &str) {
        let element = self.find(selector);
        self.command("POST", &format!("{element}/click"), &json!({}));
    }

    /// Types into an element. `\u{e004}` is Tab and `\u{e007}` is Enter. A file input takes the path of a file.
    #[track_caller]
    pub(crate) fn keys(&mut self, selector: &str, text: &str) {
        let element = self.find(selector);
        self.command("POST", &format!("{element}/value"), &json!({ "text": text }));
    }

    #[track_caller]
    fn find(&mut self, selector: &str) -> String {
        let found = self.command("POST", "/elements", &json!({ "using": "css selector", "value": selector }));
        let [element] = &found.as_array().expect("a list")[..] else { panic!("not one {selector}: {found}") };
        let (_, id) = element.as_object().and_then(|element| element.iter().next()).expect("an element");
        format!("/element/{}", id.as_str().expect("an identifier"))
    }

    /// Sends a command of the Chrome DevTools Protocol.
    #[track_caller]
    pub(crate) fn devtools(&mut self, command: &str, parameters: &Value) {
        self.command("POST", "/goog/cdp/execute", &json!({ "cmd": command, "params": parameters }));
    }

    /// What the console of the tab has shown since this was asked last. It also shows what a policy has prevented.
    #[track_caller]
    pub(crate) fn console(&mut self) -> Vec<String> {
        let entries = self.command("POST", "/se/log", &json!({ "type": "browser" }));
        let entries = entries.as_array().expect("a list");
        entries.iter().map(|entry| entry["message"].as_str().expect("a text").to_owned()).collect()
    }

    #[track_caller]
    pub(crate) fn tab(&mut self) -> Tab {
        Tab(self.command("GET", "/window", &json!({})).as_str().expect("a handle").to_owned())
    }

    /// Opens a tab and switches to it.
    #[track_caller]
    pub(crate) fn open_tab(&mut self, url: &str) -> Tab {
        let new = self.command("POST", "/window/new", &json!({ "type": "tab" }));
        let tab = Tab(new["handle"].as_str().expect("a handle").to_owned());
        self.switch(&tab);
        self.open(url);
        tab
    }

    #[track_caller]
    pub(crate) fn switch(&mut self, tab: &Tab) {
        self.command("POST", "/window", &json!({ "handle": tab.0 }));
    }

    /// Closes the current tab. The next command must be a switch.
    #[track_caller]
    pub(crate) fn close_tab(&mut self) {
        self.command("DELETE", "/window", &json!({}));
    }

    #[track_caller]
    fn command(&mut self, method: &str, path: &str, content: &Value) -> Value {
        ask(&mut self.client, method, &format!("{}{path}", self.session), content)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends the browser when the session ends. A browser that does not end in time ends with its driver.
        let head = format!("DELETE {} HTTP/1.1\r\nHost: localhost\r\n\r\n", self.session);
        if self.client.try_send(head.as_bytes()).is_ok() {
            let _ = self.client.try_reply();
        }
    }
}

/// Sends a command of WebDriver, and returns its value.
#[track_caller]
fn ask(client: &mut Client, method: &str, path: &str, content: &Value) -> Value {
    let content = content.to_string();
    let length = content.len();
    client.send(format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{content}"
    ));
    let reply = client.reply();
    let mut value: Value = serde_json::from_slice(&reply.content).expect("WebDriver answers in JSON");
    assert_eq!(reply.status, 200, "{path}: {value}");
    value["value"].take()
}

/// Starts the driver. Returns it with its port. A driver takes a free port for IPv6, and then the same one for IPv4,
/// which another test may use. Then it ends, and the next driver gets another port.
#[track_caller]
fn start_driver() -> (Process, u16) {
    for _ in 0..20 {
        let mut driver = Command::new("chromedriver");
        driver.arg("--port=0");
        let mut driver = Process::start(driver);
        while let Some(line) = driver.next_line() {
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                return (driver, port.trim_end_matches('.').parse().expect("a port"));
            }
        }
        let end = driver.end();
        assert!(end.errors.contains("Address already in use"), "{end:?}");
    }
    panic!("each port of the driver is in use")
}
