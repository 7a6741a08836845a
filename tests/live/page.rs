//! The page in Chromium, as a student uses it.

use serde_json::json;

use crate::Demo;
use crate::support::browser::Browser;

/// The browser with the page open, and the server.
#[track_caller]
fn open() -> Option<(Browser, Demo)> {
    let mut browser = Browser::start()?;
    let demo = Demo::start();
    browser.open(&demo.url());
    browser.wait("document.getElementById('link').textContent === 'Connected.' && document.body.dataset.frame");
    Some((browser, demo))
}

#[track_caller]
fn text(browser: &mut Browser, id: &str) -> String {
    let text = browser.run(&format!("return document.getElementById('{id}').textContent"));
    text.as_str().expect("a text").to_owned()
}

#[test]
fn the_page_shows_the_phases() {
    let Some((mut browser, demo)) = open() else { return };
    browser.click("[data-what=slow]");
    browser.click("[data-what=drip]");
    browser.wait("document.querySelector('#slots .slot.exchange.held')?.textContent === 'X'");
    browser.wait("document.querySelector('#slots .slot.head')?.textContent === 'H'");
    assert!(text(&mut browser, "lesson").contains("head timeout"));
    // A tap shows the label, and so do the arrow keys.
    browser.click("#slots .slot.head");
    browser.wait("document.getElementById('detail').textContent.includes('the head timeout: the whole head must')");
    browser.run("document.querySelector('#slots .slot.active').parentElement.focus()");
    browser.keys("#slots", "\u{e011}");
    browser.wait("document.querySelector('#slots .slot.active').id === 'slot-0'");
    browser.wait("document.querySelector('#detail h3').textContent.startsWith('Slot 0: connection ')");
    let selected = "return [...document.querySelectorAll('#slots [aria-selected=true]')].map(of => of.id)";
    assert_eq!(browser.run(selected), json!(["slot-0"]), "one slot is looked at");
    browser.click("#slots .slot.held");
    browser.wait("document.getElementById('detail').textContent.includes('yes: it is not read until its client')");
    browser.wait("[...document.querySelectorAll('#sentences .rare')].some(of => of.textContent.includes('is held'))");
    browser.click("#stop");
    browser.wait("document.getElementById('slab-count').textContent.startsWith('0 connections')");
    assert_eq!(browser.console(), Vec::<String>::new(), "neither errors nor what the policy has prevented");
    assert_eq!(demo.end().code, Some(0));
}

#[test]
fn the_page_steps_through_ticks() {
    let Some((mut browser, demo)) = open() else { return };
    browser.click("#pause");
    browser
        .wait("document.body.classList.contains('paused') && document.getElementById('pause').ariaPressed === 'true'");
    let tick = "return Number(document.body.dataset.frame)";
    let before = browser.run(tick).as_u64().expect("a number");
    let mut client = demo.connect();
    client.get("/users");
    for step in 1..=5 {
        browser.click("#step");
        browser.wait(&format!("document.body.dataset.frame === '{}'", before + step));
    }
    assert_eq!(client.reply().status, 200);
    browser
        .wait("document.getElementById('sentences').textContent.includes('GET /users on connection 1 was answered')");
    browser.click("#pause");
    browser.wait("document.querySelector('[data-delay=\"0\"]').ariaPressed === 'true'");
    browser.click("[data-delay=\"100\"]");
    browser.wait("document.querySelector('[data-delay=\"100\"]').ariaPressed === 'true'");
    assert_eq!(browser.console(), Vec::<String>::new());
}

#[test]
fn a_drain_is_seen_to_its_end() {
    let Some((mut browser, mut demo)) = open() else { return };
    browser.click("[data-what=polite]");
    browser.wait("document.querySelectorAll('#slots .slot.idle').length >= 40");
    browser.click("#drain");
    browser.wait("document.getElementById('drain').textContent === 'Drain: sure?'");
    // A client that is owed something holds up the end.
    let mut client = demo.connect();
    client.get("/big?mib=64");
    browser.wait("document.querySelector('#slots .held')");
    browser.click("#drain");
    browser.wait("document.getElementById('drain').disabled");
    browser.wait("document.getElementById('stage').textContent === 'drain: closing'");
    browser.wait(
        "/^[0-9]+ connections? .* left; .* cut off in .* s at the latest/.test(left.textContent) && !left.hidden",
    );
    browser.run(
        "window.lessons = []; new MutationObserver(() => lessons.push(lesson.textContent))
        .observe(lesson, { childList: true })",
    );
    browser.click("[data-what=pipeline]");
    browser.wait("lessons.length");
    let refusal = "The server drains, so it accepts no client any more.";
    assert_eq!(browser.run("return lessons"), json!([refusal]), "no lesson before it");
    drop(client);
    browser.wait("document.getElementById('stage').textContent === 'ended' && left.hidden");
    browser
        .wait("document.getElementById('link').textContent.startsWith('The server has ended: all connections are ')");
    assert_eq!(demo.process.end().code, Some(0));
}

#[test]
fn a_handler_that_blocks_is_noticed() {
    let Some((mut browser, _demo)) = open() else { return };
    browser.click("[data-what=block]");
    browser.wait("document.getElementById('link').textContent.includes('a handler blocks the loop')");
    browser.wait("document.getElementById('link').textContent === 'Connected.'");
    browser.wait("document.getElementById('sentences').textContent.includes('POST /_live/block on connection ')");
}

#[test]
fn a_tap_tells_what_a_word_means() {
    let Some((mut browser, _demo)) = open() else { return };
    for (word, meaning) in [
        ("#legend li:first-child", "between two requests; it holds no buffer"),
        ("#parts [data-part=reap]", "removes what has ended from the slab"),
        ("#queues div:first-child", "have used up one, with work left over"),
        ("#counts div:first-child", "replies that were not sent as a whole"),
    ] {
        let id = &word[..word.find(' ').expect("it has two parts")];
        let hidden = format!("return document.querySelector('{id} + details').open");
        assert_eq!(browser.run(&hidden), json!(false));
        browser.wait(&format!("document.querySelector('{word}')?.title"));
        browser.click(word);
        browser.wait(&format!("document.querySelector('{id} + details[open] dl').textContent.includes('{meaning}')"));
    }
    assert_eq!(browser.console(), Vec::<String>::new());
}

#[test]
fn without_the_colours_of_the_page_shapes_tell_the_same() {
    let Some((mut browser, _demo)) = open() else { return };
    let forced = json!([{ "name": "forced-colors", "value": "active" }]);
    browser.devtools("Emulation.setEmulatedMedia", &json!({ "features": forced }));
    let style = |of: &str, property: &str| format!("getComputedStyle(document.querySelector('{of}')).{property}");
    let of_slot = |class: &str| style(&format!("#legend .slot{class}"), "borderWidth");
    for (one, other) in [
        (style("#speed [aria-pressed=true]", "backgroundColor"), style("#step", "backgroundColor")),
        (of_slot(".held"), of_slot(".idle")),
        (of_slot(".queued"), of_slot(".idle")),
        (style("#wheel i", "backgroundColor"), style("#wheel", "backgroundColor")),
    ] {
        assert_eq!(browser.run(&format!("return {one} !== {other}")), json!(true), "{one} and {other}");
    }
}

#[test]
fn the_page_fits_a_phone() {
    let Some((mut browser, _demo)) = open() else { return };
    for width in [360, 768, 1280] {
        let size = json!({ "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500 });
        browser.devtools("Emulation.setDeviceMetricsOverride", &size);
        let wide = "return [...document.querySelectorAll('body *')].filter(of => !of.closest('.unseen'))
            .filter(of => of.getBoundingClientRect().right > innerWidth + 1).map(of => of.id || of.tagName)";
        assert_eq!(browser.run(wide), json!([]), "at {width} pixels");
        let small = "return [...document.querySelectorAll('button')]
            .filter(of => of.getBoundingClientRect().height < 32).map(of => of.textContent)";
        assert_eq!(browser.run(small), json!([]), "a finger hits each button at {width} pixels");
    }
}
