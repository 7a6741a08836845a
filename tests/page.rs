//! The page of `monoloop demo`, in Chromium. Its buttons are clicked and its fields are typed into, as users do it.
#![cfg(all(feature = "cli", target_os = "linux"))]

mod support;

use std::net::SocketAddr;
use std::process::Command;

use rustix::process::{Signal, kill_process};
use serde_json::json;
use support::browser::Browser;
use support::pattern;
use support::process::Process;
use support::serve::Folder;

/// `monoloop demo`.
struct Demo {
    process: Process,
    address: SocketAddr,
}

impl Demo {
    /// Starts it on a free port.
    #[track_caller]
    fn start() -> Self {
        Self::start_at(0)
    }

    #[track_caller]
    fn start_at(port: u16) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_monoloop"));
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.args(["demo", "--port", &port.to_string(), "--access-log", "common"]);
        let mut process = Process::start(command);
        loop {
            if let Some(address) = process.line().strip_prefix("listening on http://") {
                return Self { address: address.parse().expect("an address"), process };
            }
        }
    }

    fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    #[track_caller]
    fn signal(&self, signal: Signal) {
        kill_process(self.process.pid(), signal).expect("it is ours");
    }

    /// Kills it, and returns its port.
    #[track_caller]
    fn kill(mut self) -> u16 {
        self.signal(Signal::KILL);
        self.process.end();
        self.address.port()
    }
}

/// Waits until an element contains a text.
#[track_caller]
fn shows(browser: &mut Browser, id: &str, text: &str) {
    browser.wait(&format!("document.getElementById('{id}').textContent.includes({})", json!(text)));
}

/// The text in the field for a message.
#[track_caller]
fn typed(browser: &mut Browser) -> String {
    let value = browser.run("return document.getElementById('text').value");
    value.as_str().expect("a text").to_owned()
}

/// The key that sends a form.
const ENTER: char = '\u{e007}';

/// Gives the visitor of an open page a name.
#[track_caller]
fn join(browser: &mut Browser, name: &str) {
    shows(browser, "chat-status", "Connected. ");
    browser.keys("#name", &format!("{name}{ENTER}"));
    shows(browser, "log", &format!("You are {name}."));
}

// ---- routes, events, files ------------------------------------------------------------------------------------------

#[test]
fn each_button_shows_the_reply_to_its_request() {
    let Some(mut browser) = Browser::start() else { return };
    let demo = Demo::start();
    browser.open(&demo.url());
    let dora = r#"{"id":4,"name":"Dora","email":"dora@example.com"}"#;
    let table = [
        ("GET /", "200 OK", r#"{"message":"Welcome to the API","version":"1.0"}"#),
        ("GET /users", "200 OK", r#"{"users":[{"id":1,"name":"Alice","#),
        ("GET /users/1", "200 OK", r#"{"id":1,"name":"Alice","email":"alice@example.com"}"#),
        ("POST /users", "201 Created", dora),
        ("PUT /users/2", "200 OK", r#"{"id":2,"name":"Bob","email":"bob@example.org"}"#),
        ("DELETE /users/3", "200 OK", r#"{"success":true,"deleted":3}"#),
        ("POST /echo", "200 OK", "\n\nThis comes back."),
        ("GET /slow?ms=1000", "200 OK", r#"{"slept_ms":1000}"#),
        ("GET /fail", "500 Internal Server Error", r#"{"error":"Internal server error"}"#),
        ("GET /plaintext", "200 OK", "content-type: text/plain; charset=utf-8\n"),
        ("GET /json", "200 OK", "content-type: application/json\n"),
    ];
    let names = browser.run("return [...document.querySelectorAll('#routes button')].map(of => of.textContent)");
    assert_eq!(names, json!(table.map(|(name, ..)| name)));
    for (number, (name, status, content)) in (1..).zip(table) {
        browser.click(&format!("#routes button:nth-child({number})"));
        shows(&mut browser, "reply-status", &format!("{name}: {status}, in "));
        shows(&mut browser, "reply", content);
    }
    // Chromium reports each reply with an error status.
    let console = browser.console();
    assert!(console.len() == 1 && console[0].contains("/fail"), "{console:?}");

    // A reply that comes after the one to a later request is not shown.
    browser.run("performance.clearResourceTimings()");
    browser.click("#routes button:nth-child(8)");
    browser.click("#routes button:nth-child(1)");
    shows(&mut browser, "reply-status", "GET /: 200 OK");
    browser.run(
        "await new Promise(resolve => new PerformanceObserver(list => {
             if (list.getEntries().some(entry => entry.name.includes('/slow'))) resolve();
         }).observe({ type: 'resource', buffered: true }));",
    );
    shows(&mut browser, "reply-status", "GET /: 200 OK");

    // The keyboard does the same.
    browser.keys("body", "\u{e004}");
    let focused = "const { activeElement: of } = document; return [of.textContent, getComputedStyle(of).outlineStyle];";
    assert_eq!(browser.run(focused), json!(["GET /users", "solid"]), "the next after the last click");
    browser.keys("#routes button:nth-child(2)", &ENTER.to_string());
    shows(&mut browser, "reply-status", "GET /users: 200 OK");

    demo.kill();
    browser.click("#routes button:nth-child(2)");
    shows(&mut browser, "reply-status", "GET /users: no reply. Is the server running?");
    assert_eq!(browser.run("return document.getElementById('reply').textContent"), json!(""));
}

#[test]
fn events_are_shown_while_the_page_listens() {
    let Some(mut browser) = Browser::start() else { return };
    let demo = Demo::start();
    browser.open(&demo.url());
    for round in 0..2 {
        browser.click("#listen");
        shows(&mut browser, "events-status", "Listening.");
        browser.wait(&format!("document.getElementById('events').childElementCount >= {}", 2 * round + 2));
        shows(&mut browser, "listen", "Stop");
        browser.click("#listen");
        shows(&mut browser, "events-status", "Not listening.");
        shows(&mut browser, "listen", "Start");
    }
    let lines = browser.run("return [...document.querySelectorAll('#events p')].map(of => of.textContent)");
    let ticks = lines.as_array().expect("a list").iter().map(|line| {
        line.as_str().and_then(|line| line.strip_prefix("tick ")).expect("a tick").parse::<u64>().expect("a number")
    });
    let ticks: Vec<u64> = ticks.collect();
    assert!(ticks.is_sorted_by(|a, b| a < b) && ticks[1] == ticks[0] + 1, "{ticks:?}");
    assert_eq!(browser.console(), [""; 0]);
}

#[test]
fn a_file_is_uploaded_with_its_progress() {
    let Some(mut browser) = Browser::start() else { return };
    let folder = Folder::new();
    let content = pattern(3_000_000);
    let file = folder.write("three million.bin", &content);
    let demo = Demo::start();
    browser.open(&demo.url());
    let submit = "#upload button:not([type])";
    browser.click(submit);
    shows(&mut browser, "upload-status", "Choose a file first.");

    browser.run(
        "window.seen = [];
         const percent = document.getElementById('percent');
         new MutationObserver(() => seen.push(parseInt(percent.textContent))).observe(percent, { childList: true });",
    );
    browser.keys("#file", file.to_str().expect("its name is UTF-8"));
    browser.click(submit);
    shows(&mut browser, "upload-status", "3000000 bytes came in ");
    shows(&mut browser, "upload-status", &format!("CRC-32: {:08x}.", crc32fast::hash(&content)));
    shows(&mut browser, "percent", "100 %");
    let seen = browser.run("return seen");
    let seen: Vec<u64> = seen.as_array().expect("a list").iter().filter_map(|percent| percent.as_u64()).collect();
    assert!(seen.is_sorted() && seen.first() == Some(&0) && seen.last() == Some(&100), "{seen:?}");
    assert_eq!(browser.run("return document.getElementById('progress').value"), json!(100));

    // A server that does not read can only take a part of it.
    demo.signal(Signal::STOP);
    browser.click("#zeroes");
    shows(&mut browser, "upload-status", "Uploading …");
    browser.click("#cancel");
    shows(&mut browser, "upload-status", "It was cancelled.");
    demo.signal(Signal::CONT);
    browser.click("#zeroes");
    shows(&mut browser, "upload-status", "67108864 bytes came in ");
    shows(&mut browser, "upload-status", "CRC-32: b2eb30ed.");
    assert_eq!(browser.console(), [""; 0]);

    demo.signal(Signal::STOP);
    browser.click("#zeroes");
    demo.kill();
    shows(&mut browser, "upload-status", "The connection was lost.");
    assert_eq!(browser.run("return document.getElementById('progress').value < 100"), json!(true));
}

#[test]
fn a_download_leaves_the_page_as_it_is() {
    let Some(mut browser) = Browser::start() else { return };
    let folder = Folder::new();
    let mut demo = Demo::start();
    browser.open(&demo.url());
    browser.devtools("Browser.setDownloadBehavior", &json!({ "behavior": "allow", "downloadPath": folder.path("") }));
    browser.keys("#text", "still there");
    browser.click("a[href='/big?mib=1']");
    let line = loop {
        let line = demo.process.line();
        if line.contains("/big") {
            break line;
        }
    };
    assert!(line.ends_with("\"GET /big?mib=1 HTTP/1.1\" 200 1048576"), "{line}");
    assert_eq!(typed(&mut browser), "still there");
    assert_eq!(browser.console(), [""; 0]);
}

// ---- chat -----------------------------------------------------------------------------------------------------------

#[test]
fn two_tabs_talk_to_each_other() {
    let Some(mut browser) = Browser::start() else { return };
    let demo = Demo::start();
    browser.open(&demo.url());
    let first = browser.tab();
    join(&mut browser, "Ann");
    let second = browser.open_tab(&demo.url());
    join(&mut browser, "Bob");
    shows(&mut browser, "chat-status", "Connected. 2 people are here.");
    browser.keys("#text", &format!("  Hello Ann {ENTER}"));
    shows(&mut browser, "log", "Bob Hello Ann");
    assert_eq!(typed(&mut browser), "");

    browser.switch(&first);
    shows(&mut browser, "log", "Bob has joined.");
    shows(&mut browser, "log", "Bob Hello Ann");
    // Markup is text like any other, whoever sees it.
    let markup = "<img src=x onerror=alert(1)><b>&amp;\u{fc}";
    browser.keys("#text", &format!("{markup}{ENTER}"));
    for (tab, kind) in [(&first, "own"), (&second, "")] {
        browser.switch(tab);
        shows(&mut browser, "log", &format!("Ann {markup}"));
        let last = "const { lastChild: of } = document.getElementById('log');
                    return [of.className, of.childElementCount, document.images.length];";
        assert_eq!(browser.run(last), json!([kind, 1, 0]));
        assert_eq!(browser.console(), [""; 0]);
    }

    browser.close_tab();
    browser.switch(&first);
    shows(&mut browser, "log", "Bob has left.");
    shows(&mut browser, "chat-status", "Connected. Nobody else is here.");
    assert_eq!(browser.console(), [""; 0]);
}

#[test]
fn both_tabs_come_back_after_a_restart() {
    let Some(mut browser) = Browser::start() else { return };
    let demo = Demo::start();
    browser.open(&demo.url());
    let first = browser.tab();
    join(&mut browser, "Ann");
    browser.keys("#text", "not sent yet");
    let second = browser.open_tab(&demo.url());
    join(&mut browser, "Bob");
    shows(&mut browser, "chat-status", "2 people are here.");

    // The kernel takes what the page sends, but nobody hears it.
    demo.signal(Signal::STOP);
    browser.keys("#text", &format!("unheard{ENTER}"));
    assert_eq!(typed(&mut browser), "");
    browser.keys("#text", "and more");
    let port = demo.kill();
    shows(&mut browser, "chat-status", "Not connected. Trying again …");
    assert_eq!(typed(&mut browser), "unheard and more");
    browser.switch(&first);
    shows(&mut browser, "chat-status", "Not connected. Trying again …");
    browser.keys("#text", &ENTER.to_string());
    assert_eq!(typed(&mut browser), "not sent yet");

    let _demo = Demo::start_at(port);
    shows(&mut browser, "chat-status", "Connected. ");
    browser.switch(&second);
    shows(&mut browser, "chat-status", "Connected. 2 people are here.");
    browser.switch(&first);
    shows(&mut browser, "chat-status", "Connected. 2 people are here.");
    browser.keys("#text", &ENTER.to_string());
    shows(&mut browser, "log", "Ann not sent yet");
    assert_eq!(typed(&mut browser), "");
    browser.switch(&second);
    shows(&mut browser, "log", "Ann not sent yet");
    assert_eq!(typed(&mut browser), "unheard and more");
}

#[test]
fn a_browser_that_is_online_again_connects_at_once() {
    let Some(mut browser) = Browser::start() else { return };
    let demo = Demo::start();
    browser.open(&demo.url());
    join(&mut browser, "Ann");
    // Without timers, the page does not try again by itself.
    browser.run("window.kept = setTimeout; window.setTimeout = () => 0");
    browser.devtools("Network.enable", &json!({}));
    let network =
        |offline| json!({ "offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1 });
    browser.devtools("Network.emulateNetworkConditions", &network(true));
    let port = demo.kill();
    shows(&mut browser, "chat-status", "This browser is offline. Trying again …");
    browser.run("window.setTimeout = kept");
    let _demo = Demo::start_at(port);
    browser.devtools("Network.emulateNetworkConditions", &network(false));
    shows(&mut browser, "chat-status", "Connected. Nobody else is here.");
}

/// The page took a welcome for success, and asked four times a second.
#[test]
fn a_server_that_drops_each_guest_after_the_welcome_is_asked_less_and_less_often() {
    let Some(mut browser) = Browser::start() else { return };
    let demo = Demo::start();
    browser.open(&demo.url());
    join(&mut browser, "Ann");
    // The page waits for no time, and says how long it would have waited.
    browser.run(
        "const { setTimeout } = window;
         const delays = [];
         window.eighth = new Promise(resolve => {
             window.setTimeout = (task, time) => {
                 if (time === 10_000) return;
                 if (delays.push(time) < 8) setTimeout(task);
                 else resolve(delays);
             };
         });
         window.WebSocket = class {
             constructor() {
                 setTimeout(() => {
                     this.onopen();
                     this.onmessage({ data: JSON.stringify({ kind: 'welcome', name: 'Ann', here: 1 }) });
                     this.onclose({ code: 1011 });
                 });
             }
             close() {}
         };",
    );
    demo.kill();
    let delays = browser.run("return await eighth");
    let delays: Vec<f64> = delays.as_array().expect("a list").iter().filter_map(|delay| delay.as_f64()).collect();
    assert!(delays[0] <= 250.0 && delays[7] >= 2500.0, "{delays:?}");
}

// ---- how it looks, and what it may do -------------------------------------------------------------------------------

/// Fills the page with what is wide: a long name, a long word, and a long reply.
#[track_caller]
fn fill(browser: &mut Browser) {
    join(browser, "An-unusually-long-name-x");
    browser.keys("#text", &format!("{}{ENTER}", "x".repeat(1000)));
    shows(browser, "log", "xxx");
    browser.click("#routes button:nth-child(2)");
    shows(browser, "reply", "charlie@example.com");
    browser.click("#listen");
    shows(browser, "events", "tick ");
    browser.click("#zeroes");
    shows(browser, "upload-status", " bytes came in ");
}

/// The sum of all layout shifts, as browsers measure them: 0 if nothing has moved by itself.
const SHIFTS: &str = "
    const shifts = [];
    const observer = new PerformanceObserver(list => shifts.push(...list.getEntries()));
    observer.observe({ type: 'layout-shift', buffered: true });
    window.sumOfShifts = async () => {
        for (let i = 0; i < 2; i += 1) await new Promise(requestAnimationFrame);
        shifts.push(...observer.takeRecords());
        return shifts.reduce((sum, shift) => sum + shift.value, 0);
    };";

#[test]
fn the_page_fits_on_a_phone_and_nothing_moves() {
    let Some(mut browser) = Browser::start() else { return };
    let demo = Demo::start();
    let phone = json!({ "width": 320, "height": 640, "deviceScaleFactor": 1, "mobile": true });
    browser.devtools("Emulation.setDeviceMetricsOverride", &phone);
    browser.open(&demo.url());
    browser.run(SHIFTS);
    fill(&mut browser);
    let widths = browser.run(
        "const isWide = of => of.scrollWidth > of.clientWidth;
         return [innerWidth, document.documentElement.scrollWidth,
             [...document.querySelectorAll('.box')].filter(isWide).map(of => of.id)];",
    );
    assert_eq!(widths, json!([320, 320, []]));
    let small = "return [...document.querySelectorAll('button, a, input')].filter(of => {
        const { height, width, right } = of.getBoundingClientRect();
        return height < 44 || width < 44 || right > 320;
    }).map(of => of.outerHTML);";
    assert_eq!(browser.run(small), json!([]), "a finger does not find them");
    assert_eq!(browser.run("return await sumOfShifts()"), json!(0));
    assert_eq!(browser.console(), [""; 0]);
}

/// Texts whose contrast is lower than 4.5 (WCAG 2.2, 1.4.3).
const HARD_TO_READ: &str = "
    const light = colour => {
        const parts = colour.match(/[\\d.]+/g).slice(0, 3).map(part => part / 255);
        const [r, g, b] = parts.map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const back = of => {
        const { backgroundColor } = getComputedStyle(of);
        return backgroundColor === 'rgba(0, 0, 0, 0)' ? back(of.parentElement) : backgroundColor;
    };
    const contrast = of => {
        const [low, high] = [light(getComputedStyle(of).color), light(back(of))].sort((a, b) => a - b);
        return (high + 0.05) / (low + 0.05);
    };
    const texts = [...document.body.querySelectorAll('*')].filter(of => of.checkVisibility()
        && [...of.childNodes].some(node => node.nodeType === Node.TEXT_NODE && node.data.trim()));
    const bad = texts.filter(of => contrast(of) < 4.5).map(of => `${of.outerHTML}: ${contrast(of)}`);
    return [getComputedStyle(document.body).backgroundColor, texts.length > 30, bad];";

#[test]
fn the_page_can_be_read_by_day_and_by_night_and_is_labelled() {
    let Some(mut browser) = Browser::start() else { return };
    let demo = Demo::start();
    browser.open(&demo.url());
    fill(&mut browser);
    for (scheme, back) in [("light", "rgb(243, 244, 246)"), ("dark", "rgb(18, 20, 23)")] {
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        browser.devtools("Emulation.setEmulatedMedia", &media);
        assert_eq!(browser.run(HARD_TO_READ), json!([back, true, []]), "{scheme}");
    }
    let unlabelled = "return [...document.querySelectorAll('input, [tabindex], progress')]
        .filter(of => !of.labels?.length && !of.ariaLabel).map(of => of.outerHTML);";
    assert_eq!(browser.run(unlabelled), json!([]));
    assert_eq!(browser.run("return document.getElementById('log').role"), json!("log"), "it is live by its role");
    assert_eq!(browser.console(), [""; 0]);
}

/// Each attempt works on a page without a policy. The other server allows every origin.
#[test]
fn the_browser_runs_nothing_and_asks_nobody_that_the_policy_does_not_allow() {
    let Some(mut browser) = Browser::start() else { return };
    let (demo, other) = (Demo::start(), Demo::start());
    browser.open(&demo.url());
    assert_eq!(browser.console(), [""; 0]);
    let prevented = browser.run(&format!(
        "const other = '{}';
         const seen = [];
         addEventListener('securitypolicyviolation', event => seen.push(event.effectiveDirective));
         const attempt = async act => {{ try {{ await act(); }} catch {{ return; }} }};
         const add = (name, fields) => document.body.append(Object.assign(document.createElement(name), fields));
         const loads = name => new Promise((resolve, reject) => add(name,
             {{ src: other + 'page.' + (name === 'img' ? 'svg' : 'js'), onload: resolve, onerror: reject }}));
         await attempt(() => fetch(other + 'json'));
         await attempt(() => new Promise((resolve, reject) => Object.assign(new EventSource(other + 'events'),
             {{ onopen: resolve, onerror: reject }})));
         await attempt(() => loads('img'));
         await attempt(() => loads('script'));
         await attempt(() => {{ document.body.innerHTML = '<p>gone</p>'; }});
         await attempt(() => eval('window.ran = 1'));
         await attempt(() => add('script', {{ text: 'window.ran = 1' }}));
         await attempt(() => document.body.setAttribute('style', 'display: none'));
         await attempt(() => add('base', {{ href: other }}));
         // A violation is told by a task of its own.
         await new Promise(resolve => setTimeout(resolve));
         return [[...new Set(seen)].sort(), window.ran ?? 'nothing ran', document.baseURI === location.href,
             getComputedStyle(document.body).display, document.getElementById('chat-status') !== null];",
        other.url()
    ));
    let directives = ["base-uri", "connect-src", "img-src", "require-trusted-types-for", "style-src-attr"];
    assert_eq!(prevented, json!([directives, "nothing ran", true, "block", true]));
    assert_ne!(browser.console(), [""; 0], "it shows what was prevented");
}
