//! The files of `monoloop serve`, with the clients that people use: curl, wget, and Chromium under its driver.
#![cfg(all(feature = "cli", target_os = "linux"))]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::browser::Browser;
use support::process::{End, Process};
use support::serve::{Folder, Serve, works};
use support::{assert_same, pattern};

// ---- curl -----------------------------------------------------------------------------------------------------------

/// Runs curl, which prints the content, and after it the status.
#[track_caller]
fn curl(options: &[&str], url: &str) -> End {
    let mut curl = Command::new("curl");
    curl.args(["-sS", "-m", "25", "-w", " %{http_code}"]).args(options).arg(url);
    Process::start(curl).end()
}

fn has_curl() -> bool {
    works(&["curl", "--version"])
}

/// Small enough to be stored in one block.
fn gzip(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("it is small");
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&(!length).to_le_bytes());
    bytes.extend_from_slice(content);
    bytes.extend_from_slice(&crc32(content).to_le_bytes());
    bytes.extend_from_slice(&u32::from(length).to_le_bytes());
    bytes
}

/// CRC-32/IEEE, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |sum: u32, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| if sum & 1 == 1 { (sum >> 1) ^ 0xEDB8_8320 } else { sum >> 1 })
    })
}

#[test]
fn curl_resumes_a_download() {
    if !has_curl() {
        return;
    }
    let (folder, saved) = (Folder::new(), Folder::new());
    let content = pattern(3_000_000);
    folder.write("large.bin", &content);
    let mut server = Serve::start(&folder, &["--access-log=common"]);
    let file = saved.path("large.bin");
    let path = file.display().to_string();
    for kept in [0, 1, 1_234_567, 2_999_999] {
        fs::write(&file, &content[..kept]).expect("there is room");
        let status = if kept == 0 { " 200" } else { " 206" };
        assert_eq!(curl(&["-C", "-", "-o", &path], &server.url("/large.bin")).success(), status, "from {kept}");
        assert_same(&fs::read(&file).expect("curl has saved it"), &content, kept);
        let line = server.line();
        assert!(line.ends_with(&format!("{status} {}", content.len() - kept)), "{line}");
    }
    // A whole file is not sent again.
    let end = curl(&["-C", "-", "-o", &path], &server.url("/large.bin"));
    assert!(end.output.ends_with(b" 416"), "{end:?}");
    assert_same(&fs::read(&file).expect("it is still there"), &content, "whole");
    server.end();
}

#[test]
fn curl_gets_parts() {
    if !has_curl() {
        return;
    }
    let folder = Folder::new();
    let content: String = (0..100).map(|i| format!("{i:09}\n")).collect();
    folder.write("lines.txt", &content);
    let server = Serve::start(&folder, &[]);
    let url = server.url("/lines.txt");
    let get = |range| String::from_utf8(curl(&["-i", "-r", range], &url).output).expect("it is text");
    // Parts that are near each other are sent as one.
    let near = get("0-9,20-29");
    assert!(near.contains("\r\nContent-Range: bytes 0-29/1000\r\n"), "{near}");
    assert!(near.ends_with("\r\n\r\n000000000\n000000001\n000000002\n 206"), "{near}");
    let far = get("0-9,200-209");
    assert!(far.contains("\r\nContent-Type: multipart/byteranges; boundary="), "{far}");
    for (range, part) in [("0-9", "000000000\n"), ("200-209", "000000020\n")] {
        let part = format!("Content-Range: bytes {range}/1000\r\n\r\n{part}\r\n--");
        assert!(far.contains(&part), "{part} in {far}");
    }
    assert!(get("-10").ends_with("\r\n\r\n000000099\n 206"));
    server.end();
}

#[test]
fn curl_unpacks_files_that_are_stored_compressed() {
    if !has_curl() {
        return;
    }
    let folder = Folder::new();
    folder.write("page.css", "body { color: plain }");
    folder.write("page.css.gz", gzip(b"body { color: packed }"));
    let server = Serve::start(&folder, &[]);
    let url = server.url("/page.css");
    assert_eq!(curl(&[], &url).success(), "body { color: plain } 200");
    assert_eq!(curl(&["--compressed"], &url).success(), "body { color: packed } 200");
    let head = curl(&["--compressed", "-I"], &url);
    let head = head.success();
    for line in ["Content-Encoding: gzip", "Vary: Accept-Encoding", "Content-Type: text/css; charset=utf-8"] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{line} in {head}");
    }
    server.end();
}

#[test]
fn curl_asks_whether_a_file_has_changed() {
    if !has_curl() {
        return;
    }
    let (folder, saved) = (Folder::new(), Folder::new());
    folder.write("file.txt", "first");
    let server = Serve::start(&folder, &["--cached-files=0"]);
    let url = server.url("/file.txt");
    let tag = saved.path("tag").display().to_string();
    assert_eq!(curl(&["--etag-save", &tag], &url).success(), "first 200");
    assert_eq!(curl(&["--etag-compare", &tag], &url).success(), " 304");
    assert_eq!(curl(&["--time-cond", "1 Jan 2100"], &url).success(), " 304");
    assert_eq!(curl(&["--time-cond", "1 Jan 2000"], &url).success(), "first 200");
    // curl sends the time of the file that it is given.
    let copy = saved.path("copy.txt").display().to_string();
    assert_eq!(curl(&["-R", "-o", &copy], &url).success(), " 200");
    assert_eq!(curl(&["-z", &copy], &url).success(), " 304");
    folder.write("file.txt", "second");
    assert_eq!(curl(&["--etag-compare", &tag, "--etag-save", &tag], &url).success(), "second 200");
    assert_eq!(curl(&["--etag-compare", &tag], &url).success(), " 304");
    server.end();
}

#[test]
fn curl_asks_as_a_page_of_another_origin_would() {
    if !has_curl() {
        return;
    }
    let folder = Folder::new();
    folder.write("data.json", "[1]");
    let ask = |server: &Serve, origin: &str| {
        let origin = format!("Origin: {origin}");
        let headers = "Access-Control-Request-Headers: content-type,x-own,x-requested-with";
        let options = ["-i", "-X", "OPTIONS", "-H", &origin, "-H", "Access-Control-Request-Method: GET", "-H", headers];
        curl(&options, &server.url("/data.json")).success().to_owned()
    };
    let server = Serve::start(&folder, &["--cors"]);
    let reply = ask(&server, "https://any.example");
    for line in [
        "HTTP/1.1 204 No Content",
        "Access-Control-Allow-Origin: *",
        "Access-Control-Allow-Methods: GET, HEAD",
        "Access-Control-Allow-Headers: content-type,x-own,x-requested-with",
        "Access-Control-Max-Age: 7200",
    ] {
        assert!(reply.contains(&format!("{line}\r\n")), "{line} in {reply}");
    }
    server.end();
    let server = Serve::start(&folder, &["--cors=http://localhost:3000,https://*.app.example"]);
    for (origin, is_allowed) in [
        ("http://localhost:3000", true),
        ("https://www.app.example", true),
        ("https://app.example", false),
        ("https://any.example", false),
    ] {
        let reply = ask(&server, origin);
        let allowed = format!("Access-Control-Allow-Origin: {origin}\r\n");
        assert_eq!(reply.contains(&allowed), is_allowed, "{reply}");
        assert!(reply.contains("Vary: Origin\r\n"), "{reply}");
    }
    server.end();
}

// ---- wget -----------------------------------------------------------------------------------------------------------

/// Runs wget in a folder; it writes its messages to standard error.
#[track_caller]
fn wget(folder: &Folder, options: &[&str], url: &str) -> End {
    let mut wget = Command::new("wget");
    wget.args(["--no-config", "--no-hsts", "-nv", "-T", "10", "-t", "1"])
        .args(options)
        .arg(url)
        .current_dir(folder.path(""));
    Process::start(wget).end()
}

fn has_wget() -> bool {
    works(&["wget", "--version"])
}

#[test]
fn wget_continues_downloads_and_keeps_files_that_are_up_to_date() {
    if !has_wget() {
        return;
    }
    let (folder, saved) = (Folder::new(), Folder::new());
    let content = pattern(1_000_000);
    folder.write("large.bin", &content);
    let mut server = Serve::start(&folder, &["--access-log=common"]);
    let url = server.url("/large.bin");
    let statuses = |server: &mut Serve, expected: &[&str]| {
        for expected in expected {
            let line = server.line();
            assert!(line.contains(&format!("\" {expected} ")), "{expected} in {line}");
        }
    };
    let file = saved.write("large.bin", &content[..400_000]);
    wget(&saved, &["-c"], &url).success();
    assert_same(&fs::read(&file).expect("wget has saved it"), &content, "continued");
    statuses(&mut server, &["206"]);

    fs::remove_file(&file).expect("it is ours");
    wget(&saved, &["-N"], &url).success();
    statuses(&mut server, &["200"]);
    let modified = |path| fs::metadata(path).and_then(|metadata| metadata.modified()).expect("it is there");
    let known = modified(&file);
    wget(&saved, &["-N"], &url).success();
    statuses(&mut server, &["304"]);
    assert_eq!(modified(&file), known);
    assert_same(&fs::read(&file).expect("it is still there"), &content, "kept");
    server.end();
}

#[test]
fn wget_copies_a_directory_by_its_listing() {
    if !has_wget() {
        return;
    }
    let (folder, saved) = (Folder::new(), Folder::new());
    let mut names = [
        "site/file.txt",
        "site/with space & more.txt",
        "site/a#b?c%41.txt",
        "site/colon:name.txt",
        "site/\u{fc}ml\u{e4}ut.txt",
        "site/quote'\".txt",
        "site/sub/deep/er/file.bin",
        "site/sub/file.bin",
    ];
    for name in names.iter().chain(&["outside.txt"]) {
        folder.write(name, name);
    }
    let server = Serve::start(&folder, &["--listing"]);
    let options = ["-r", "-np", "-nH", "-l", "9", "--restrict-file-names=nocontrol", "--no-iri"];
    let end = wget(&saved, &options, &server.url("/site/"));
    end.success();
    // wget names saved files in its own way, so each file contains its name.
    let mut found = Vec::new();
    contents(&saved.path(""), &mut found);
    found.retain(|content| !content.starts_with("<!DOCTYPE html>"));
    found.sort_unstable();
    names.sort_unstable();
    assert_eq!(found, names, "{}", end.errors);
    server.end();
}

/// A long directory is listed in pages. Each has links to all others, so a depth of two is enough: a page, and a file.
#[test]
fn wget_copies_a_directory_that_has_several_pages() {
    if !has_wget() {
        return;
    }
    const FILES: usize = 4_500;
    let (folder, saved) = (Folder::new(), Folder::new());
    for i in 0..FILES {
        folder.write(&format!("site/file + {i}.txt"), i.to_string());
    }
    let server = Serve::start(&folder, &["--listing"]);
    let end = wget(&saved, &["-r", "-np", "-nH", "-l", "2", "-nv"], &server.url("/site/"));
    end.success();
    let mut found = Vec::new();
    contents(&saved.path(""), &mut found);
    found.retain(|content| !content.starts_with("<!DOCTYPE html>"));
    found.sort_unstable_by_key(|content| content.parse::<usize>().expect("a number"));
    let expected: Vec<String> = (0..FILES).map(|i| i.to_string()).collect();
    assert!(found == expected, "{} of {FILES} files", found.len());
    server.end();
}

/// The contents of all files below a directory.
fn contents(directory: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(directory).expect("it is there") {
        let path = entry.expect("it can be read").path();
        match path.is_dir() {
            true => contents(&path, found),
            false => found.push(fs::read_to_string(path).expect("it is text")),
        }
    }
}

// ---- Chromium -------------------------------------------------------------------------------------------------------

/// A page with the usual parts. It loads its script as a module, so the type of the script is checked, and so is that
/// of the style sheet.
const PAGE: &str = r#"<!DOCTYPE html>
<html><head><meta charset="utf-8"><title>first</title>
<link rel="stylesheet" href="/style/main.css">
<script type="module" src="script/main.js"></script>
</head><body><p id="text">ümläut</p>
<img id="bitmap" src="images/three%20by%20two.bmp"><img id="drawing" src="images/drawing.svg">
</body></html>"#;

#[test]
fn chromium_shows_a_page_with_all_its_parts() {
    let Some(mut browser) = Browser::start() else { return };
    let folder = Folder::new();
    folder.write("index.html", PAGE);
    folder.write("style/main.css", "@import url(more.css); p { color: rgb(1, 2, 3) }");
    folder.write("style/main.css.gz", gzip(b"@import url(more.css); p { color: rgb(4, 5, 6) }"));
    folder.write("style/more.css", "p { margin-left: 17px }");
    folder.write("script/main.js", "import { title } from './more.mjs'; document.title = title;");
    folder.write("script/more.mjs", "export const title = 'changed by a module';");
    folder.write("images/three by two.bmp", bitmap(3, 2));
    let drawing =
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"20\" height=\"10\"><rect width=\"9\" height=\"9\"/></svg>";
    folder.write("images/drawing.svg", drawing);
    let mut server = Serve::start(&folder, &["--access-log=common"]);
    browser.open(&server.url("/"));
    // All modules have run when this event comes.
    let seen = browser.run(
        "const of = id => document.getElementById(id);
         const style = getComputedStyle(of('text'));
         const size = image => [image.complete, image.naturalWidth, image.naturalHeight];
         return [document.title, of('text').textContent, style.color, style.marginLeft, document.characterSet,
             ...size(of('bitmap')), ...size(of('drawing'))];",
    );
    let colour = "rgb(4, 5, 6)";
    let expected =
        json!(["changed by a module", "\u{fc}ml\u{e4}ut", colour, "17px", "UTF-8", true, 3, 2, true, 20, 10]);
    assert_eq!(seen, expected);

    // The page is loaded again: the browser asks whether the files have changed, and gets no content. It does not
    // always ask for the favicon.
    let asks_again = "return await Promise.all(['/style/main.css', '/images/drawing.svg'].map(async path =>
        (await fetch(path, { cache: 'no-cache' })).status));";
    assert_eq!(browser.run(asks_again), json!([200, 200]), "it does not tell that it was a 304");
    let end = Instant::now() + Duration::from_secs(10);
    let mut missing = vec!["main.css HTTP/1.1\" 304", "drawing.svg HTTP/1.1\" 304"];
    while !missing.is_empty() {
        assert!(Instant::now() < end, "the log does not have {missing:?}");
        let line = server.line();
        assert!(line.contains("\" 200 ") || line.contains("\" 304 ") || line.contains("/favicon.ico"), "{line}");
        missing.retain(|part| !line.contains(part));
    }
    drop(browser);
    server.end();
}

/// A page of one server uses the files of another. The field lines that it adds make the browser ask first.
#[test]
fn chromium_lets_a_page_read_from_another_origin() {
    let Some(mut browser) = Browser::start() else { return };
    let folder = Folder::new();
    folder.write("index.html", "<!DOCTYPE html><title>page</title>");
    folder.write("data.json", "[1]");
    let page = Serve::start(&folder, &[]);
    let all = Serve::start(&folder, &["--cors"]);
    let own = format!("--cors=https://other.example,http://{}", page.address);
    let listed = Serve::start(&folder, &[&own]);
    let others = Serve::start(&folder, &["--cors=https://other.example,https://*.other.example"]);
    let script = "
        const headers = { 'Content-Type': 'application/json', 'X-Requested-With': 'XMLHttpRequest', 'X-Own': '1' };
        const read = async (url, options) => {
            try {
                const reply = await fetch(url, options);
                return [reply.status, await reply.text(), reply.headers.has('ETag')];
            } catch (error) {
                return error.name;
            }
        };";
    let mut read = |server: &Serve, path: &str, options: &str| {
        browser.open(&page.url("/"));
        browser.run(&format!("{script} return await read('{}', {options});", server.url(path)))
    };
    let found = json!([200, "[1]", true]);
    let refused = json!("TypeError");
    for (server, expected) in [(&all, &found), (&listed, &found), (&others, &refused), (&page, &found)] {
        assert_eq!(read(server, "/data.json", "{ headers }"), *expected);
        assert_eq!(read(server, "/data.json", "{}"), *expected);
    }
    // Errors can be read, too, and methods that change something are not allowed.
    assert_eq!(read(&all, "/nothing", "{ headers }")[0], json!(404));
    assert_eq!(read(&all, "/data.json", "{ method: 'DELETE' }"), refused);
    drop(browser);
    for server in [page, all, listed, others] {
        server.end();
    }
}

/// Without ranges a browser can only seek in the part that it has already.
#[test]
fn chromium_seeks_in_a_recording() {
    let Some(mut browser) = Browser::start() else { return };
    const SECONDS: u32 = 120;
    let folder = Folder::new();
    folder.write("index.html", "<!DOCTYPE html><title>sound</title>");
    let sound = wave(SECONDS);
    let length = sound.len();
    folder.write("sound.wav", sound);
    let server = Serve::start(&folder, &["--access-log=json"]);
    browser.open(&server.url("/"));
    let seen = browser.run(
        "const audio = new Audio('/sound.wav');
         audio.preload = 'metadata';
         const event = name => new Promise((resolve, reject) => {
             audio.addEventListener(name, resolve, { once: true });
             audio.addEventListener('error', () => reject(audio.error.message), { once: true });
         });
         document.body.append(audio);
         await event('loadedmetadata');
         const places = [];
         for (const place of [60, 5, 119]) {
             const seeked = event('seeked');
             audio.currentTime = place;
             await seeked;
             places.push(audio.currentTime);
         }
         const last = audio.seekable.end(0);
         audio.remove();
         return [audio.duration, last, ...places];",
    );
    assert_eq!(seen, json!([120, 120, 60, 5, 119]));
    // A read that the browser gives up for another place is cut short. The last place is so near the end that the
    // browser gets everything from there.
    browser.open("about:blank");
    drop(browser);
    let output = server.end();
    let log: Vec<&str> = output.lines().collect();
    let parts: Vec<(u64, u64)> = log
        .iter()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|json| json["target"] == "/sound.wav")
        .map(|json| (json["status"].as_u64().expect("a number"), json["bytes"].as_u64().expect("a number")))
        .collect();
    println!("{parts:?}");
    let is_part = |&(status, bytes): &(u64, u64)| status == 206 && bytes < length as u64;
    assert!(parts.iter().any(is_part), "{parts:?}");
    assert!(parts.iter().all(|(status, _)| *status == 206), "{parts:?}");
}

/// An uncompressed picture of one colour.
fn bitmap(width: u16, height: u16) -> Vec<u8> {
    let row = (3 * usize::from(width)).next_multiple_of(4);
    let size = row * usize::from(height);
    let mut bytes = b"BM".to_vec();
    let words: [u32; 4] = [54 + size as u32, 0, 54, 40];
    words.iter().for_each(|word| bytes.extend_from_slice(&word.to_le_bytes()));
    for word in [u32::from(width), u32::from(height), 1 | 24 << 16, 0, size as u32, 2835, 2835, 0, 0] {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes.resize(54 + size, 0x80);
    bytes
}

/// A recording of a tone: 16 bits, one channel.
fn wave(seconds: u32) -> Vec<u8> {
    const RATE: u32 = 44_100;
    let size = 2 * RATE * seconds;
    let mut bytes = Vec::with_capacity(44 + size as usize);
    let number = |bytes: &mut Vec<u8>, number: u32| bytes.extend_from_slice(&number.to_le_bytes());
    bytes.extend_from_slice(b"RIFF");
    number(&mut bytes, 36 + size);
    bytes.extend_from_slice(b"WAVEfmt ");
    for word in [16, 1 | 1 << 16, RATE, 2 * RATE, 2 | 16 << 16] {
        number(&mut bytes, word);
    }
    bytes.extend_from_slice(b"data");
    number(&mut bytes, size);
    for i in 0..RATE * seconds {
        let sample = if i / 50 % 2 == 0 { 3000_i16 } else { -3000 };
        bytes.extend_from_slice(&sample.to_le_bytes());
    }
    bytes
}
