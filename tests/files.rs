//! Files that are large, that are read slowly, and that change while they are sent, by `monoloop serve` and over real
//! sockets. `src/files/` tests what a request selects. These tests are about the kernel and the file system.
#![cfg(all(feature = "cli", target_os = "linux"))]

mod support;

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

use support::serve::{Folder, Serve, can_do_without, without};
use support::{Client, LIMIT, SocketPath, assert_same, get, pattern};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// A request with one more field line.
fn get_with(target: &str, field: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: test\r\n{field}\r\n\r\n")
}

// ---- more than 32 bits ----------------------------------------------------------------------------------------------

#[test]
fn a_file_of_5_gib_is_served_from_any_place() {
    const LENGTH: u64 = 5 << 30;
    let folder = Folder::new();
    let file = folder.sparse("large.bin", LENGTH);
    // Also at both sides of the largest numbers of 31 and 32 bits.
    let marks: [(u64, &[u8]); 5] = [
        (0, b"beginning!"),
        ((1 << 31) - 5, b"at 2 GiB.."),
        ((1 << 32) - 5, b"at 4 GiB.."),
        (5_000_000_000, b"0123456789"),
        (LENGTH - 10, b"theend...!"),
    ];
    for (at, mark) in marks {
        file.write_all_at(mark, at).expect("there is room for a page");
    }
    let server = Serve::start(&folder, &[]);
    let mut client = server.connect();

    client.send("HEAD /large.bin HTTP/1.1\r\nHost: test\r\n\r\n");
    let (status, head) = client.try_head().expect("a head");
    assert!(status == 200 && head.contains("\r\nContent-Length: 5368709120\r\n"), "{head}");
    assert!(head.contains("\r\nAccept-Ranges: bytes\r\n"), "{head}");

    for (at, mark) in marks {
        client.send(get_with("/large.bin", &format!("Range: bytes={at}-{}", at + 9)));
        let reply = client.reply();
        assert_eq!((reply.status, reply.content.as_slice()), (206, mark), "at {at}");
        assert_eq!(reply.header("content-range"), Some(&*format!("bytes {at}-{}/{LENGTH}", at + 9)));
    }
    let table: [(&str, u16, Option<&str>, &str); 6] = [
        ("bytes=-10", 206, Some("bytes 5368709110-5368709119/5368709120"), "theend...!"),
        ("bytes=5368709116-", 206, Some("bytes 5368709116-5368709119/5368709120"), "...!"),
        ("bytes=5368709116-99999999999999999999999", 206, Some("bytes 5368709116-5368709119/5368709120"), "...!"),
        ("bytes=5000000005-5000000005", 206, Some("bytes 5000000005-5000000005/5368709120"), "5"),
        ("bytes=5368709120-", 416, Some("bytes */5368709120"), "{\"error\":\"Range not satisfiable\"}"),
        ("bytes=18446744073709551615-", 416, Some("bytes */5368709120"), "{\"error\":\"Range not satisfiable\"}"),
    ];
    for (range, status, content_range, content) in table {
        client.send(get_with("/large.bin", &format!("Range: {range}")));
        let reply = client.reply();
        assert_eq!((reply.status, reply.header("content-range"), reply.text()), (status, content_range, content));
    }

    client.send(get_with("/large.bin", "Range: bytes=5000000000-5000000009,0-9,-10"));
    let reply = client.reply();
    assert_eq!(reply.status, 206);
    let at = |text: &str| reply.text().find(text).unwrap_or_else(|| panic!("no {text} in {}", reply.text()));
    assert!(at("bytes 5000000000-5000000009/5368709120\r\n\r\n0123456789") < at("bytes 0-9/5368709120\r\n\r\nbegin"));
    assert!(at("\r\n\r\nbeginning!") < at("bytes 5368709110-5368709119/5368709120\r\n\r\ntheend...!"));

    // The rest of a download that was broken off after 4 GiB: zeroes, except for the marks.
    let from: u64 = 4_990_000_000;
    client.send(get_with("/large.bin", &format!("Range: bytes={from}-5010000000")));
    let (status, head) = client.try_head().expect("a head");
    assert!(status == 206 && head.contains("\r\nContent-Length: 20000001\r\n"), "{head}");
    let mut others = Vec::new();
    client.read_content(20_000_001, 256 * KIB, |at, bytes| {
        others.extend(bytes.iter().enumerate().filter(|(_, byte)| **byte != 0).map(|(i, byte)| (at + i, *byte)));
    });
    let expected: Vec<(usize, u8)> = (0..10).map(|i| (10_000_000 + i, b'0' + i as u8)).collect();
    assert_eq!(others, expected);

    // A client that begins to read and leaves does no harm.
    client.get("/large.bin");
    assert!(client.try_head().expect("a head").1.contains("\r\nContent-Length: 5368709120\r\n"));
    client.read_content(MIB, 64 * KIB, |_, _| {});
    drop(client);
    assert_eq!(server.connect().ask("/nothing").status, 404);
    server.end();
}

/// A kernel of 32 bits refuses to open such a file if this flag is missing. A kernel of 64 bits sets it by itself, so a
/// missing flag shows only here. The path is looked up first, and what was found is then opened for reading.
#[test]
fn the_flag_for_large_files_is_set() {
    if !can_do_without() {
        return;
    }
    let folder = Folder::new();
    let trace = folder.path("trace").into_os_string().into_string().expect("it is text");
    folder.write("site/small.txt", "small");
    let words = ["strace", "-f", "--seccomp-bpf", "-qq", "-e", "trace=openat,openat2", "-o", &trace].map(str::to_owned);
    let server = Serve::start_in(&words, Path::new(env!("CARGO_BIN_EXE_monoloop")), &folder.path("site"), &[]);
    assert_eq!(server.connect().ask("/small.txt").text(), "small");
    server.end();
    let trace = fs::read_to_string(trace).expect("strace has written it");
    let calls: Vec<&str> = trace.lines().skip_while(|line| !line.contains("\"small.txt\"")).take(2).collect();
    let [found, opened] = calls[..] else { panic!("the file was found and opened: {trace}") };
    assert!(found.contains("openat2(") && found.contains("O_PATH"), "{found}");
    assert!(opened.contains("\"/proc/self/fd/") && opened.contains("O_LARGEFILE"), "{opened}");
}

/// Sixty-four requests of a few bytes each must not make the server look at thousands of files for each of them.
#[test]
fn a_listing_costs_one_look_at_the_directory_a_second() {
    const FILES: usize = 500;
    const REQUESTS: usize = 64;
    if !can_do_without() {
        return;
    }
    let folder = Folder::new();
    let trace = folder.path("trace").into_os_string().into_string().expect("it is text");
    for i in 0..FILES {
        folder.write(&format!("site/{i}.txt"), "");
    }
    let calls = "trace=getdents64,newfstatat,statx,openat2";
    let words = ["strace", "-f", "--seccomp-bpf", "-qq", "-e", calls, "-o", &trace].map(str::to_owned);
    let program = Path::new(env!("CARGO_BIN_EXE_monoloop"));
    let server = Serve::start_in(&words, program, &folder.path("site"), &["--listing"]);
    let mut client = server.connect();
    client.send("HEAD / HTTP/1.1\r\nHost: test\r\n\r\n".repeat(REQUESTS));
    for _ in 0..REQUESTS {
        let (status, head) = client.try_head().expect("a head");
        assert!(status == 200 && !head.contains("Content-Length"), "{head}");
    }
    client.get("/marker");
    assert_eq!(client.reply().status, 404);
    let start = Instant::now();
    client.send(get("/").repeat(REQUESTS));
    let first = client.reply();
    let is_listed = |i| first.text().contains(&format!("<a href=\"./{i}.txt\">"));
    assert!(first.status == 200 && (0..FILES).all(is_listed), "{}", first.text());
    (1..REQUESTS).for_each(|_| assert_same(&client.reply().content, &first.content, "a listing"));
    let looks = start.elapsed().as_secs() as usize + 2;
    server.end();
    let trace = fs::read_to_string(trace).expect("strace has written it");
    let (heads, gets) = trace.split_once("\"marker\"").expect("the request between them is seen");
    assert_eq!(heads.matches("getdents64(").count(), 0, "{heads}");
    let count = |name| gets.lines().filter(|line| line.contains(name) && line.contains(".txt\"")).count();
    let looked_at = count("newfstatat(") + count("statx(");
    assert!((FILES..=looks * FILES).contains(&looked_at), "{looked_at} files were looked at, with {looks} looks");
    assert!(gets.matches("getdents64(").count() <= looks * 3);
}

// ---- a directory that is made anew ----------------------------------------------------------------------------------

/// As `rm -rf dist && build` does, also if the server was started in that directory.
#[test]
fn a_directory_that_is_removed_and_made_anew_is_served() {
    for (from, directory) in [("", "dist"), ("dist", "."), ("dist", ""), ("dist", "../dist"), ("dist/sub", "..")] {
        let folder = Folder::new();
        folder.write("dist/sub/file.txt", "old");
        let go = format!("cd '{}' && exec \"$@\"", folder.path(from).display());
        let words = ["sh", "-c", &go, "sh"].map(str::to_owned);
        let directory = if directory.is_empty() { folder.path("dist") } else { directory.into() };
        let server = Serve::start_in(&words, Path::new(env!("CARGO_BIN_EXE_monoloop")), &directory, &[]);
        let mut client = server.connect();
        assert_eq!(client.ask("/sub/file.txt").text(), "old");
        fs::remove_dir_all(folder.path("dist")).expect("it is ours");
        folder.write("dist/sub/file.txt", "new");
        let end = Instant::now() + LIMIT;
        // What is sent is at most a second old.
        while client.ask("/sub/file.txt").text() != "new" {
            assert!(Instant::now() < end, "{} in {from:?}: the old directory is served", directory.display());
        }
        drop(client);
        server.end();
    }
}

// ---- slow readers ---------------------------------------------------------------------------------------------------

#[test]
fn clients_that_read_late_get_all_of_a_file_and_delay_no_other_client() {
    let folder = Folder::new();
    let content = pattern(6 * MIB);
    folder.write("large.bin", &content);
    folder.write("small.txt", "small");
    let server = Serve::start(&folder, &[]);
    let mut slow: Vec<Client> = (0..50)
        .map(|_| {
            let mut client = server.connect();
            client.get("/large.bin");
            client
        })
        .collect();
    // Each client has its head, so each has been sent as much of the file as the kernel takes.
    for client in &slow {
        client.wait_readable();
    }
    let mut other = server.connect();
    for _ in 0..20 {
        assert_eq!(other.ask("/small.txt").text(), "small");
    }
    // Some clients read now, and the server does not forget the others meanwhile.
    for round in 0..2 {
        for client in slow.iter_mut().skip(round).step_by(2) {
            let (status, head) = client.try_head().expect("a head");
            assert!(status == 200 && head.contains("\r\nContent-Length: 6291456\r\n"), "{head}");
            client.read_content(content.len(), 256 * KIB, |at, bytes| {
                assert_same(bytes, &content[at..at + bytes.len()], at);
            });
        }
        assert_eq!(other.ask("/small.txt").text(), "small");
    }
    for client in &mut slow {
        assert_eq!(client.ask("/small.txt").text(), "small", "the connection is still of use");
    }
    drop(slow);
    drop(other);
    server.end();
}

/// What the clients do not read stays in the page cache, not in the memory of the server.
#[test]
fn slow_clients_of_a_large_file_cost_little_memory() {
    const CLIENTS: usize = 200;
    /// In bytes: 20 KiB for each client.
    const GROWTH: u64 = 4 << 20;
    let folder = Folder::new();
    folder.sparse("large.bin", 1 << 30);
    let server = Serve::start(&folder, &[]);
    let mut first = server.connect();
    first.send(get_with("/large.bin", "Range: bytes=0-9"));
    assert_eq!(first.reply().content, [0; 10]);

    let before = server.memory("VmRSS");
    let mut slow: Vec<Client> = (0..CLIENTS)
        .map(|_| {
            let mut client = server.connect();
            client.get("/large.bin");
            client
        })
        .collect();
    for client in &mut slow {
        assert_eq!(client.try_head().expect("a head").0, 200);
    }
    for _ in 0..5 {
        for client in &mut slow {
            client.read_content(64 * KIB, 16 * KIB, |_, bytes| assert!(bytes.iter().all(|byte| *byte == 0)));
        }
    }
    let peak = server.memory("VmHWM");
    assert!(peak <= before + GROWTH, "{before} bytes before, and {peak} at the highest");
    // There is one open file for all clients.
    assert!(server.descriptors(usize::MAX) < CLIENTS + 30, "{} descriptors", server.descriptors(usize::MAX));
    drop(slow);
    drop(first);
    server.end();
}

// ---- files that change ----------------------------------------------------------------------------------------------

#[derive(Clone, Copy, Debug, PartialEq)]
enum Change {
    Shrinks,
    IsEmptied,
    Grows,
    IsReplaced,
    IsDeleted,
}

const LENGTH: usize = 8 * MIB;

/// The rest of a file that shrinks. It is more than the kernel takes from the server at once, and it is whole pages:
/// the kernel fills the last page with zeroes after the new end, also where that page is being sent already.
const SHRUNK: usize = 6 * MIB;

#[test]
fn a_file_that_changes_while_it_is_sent_is_sent_as_it_was_or_not_to_its_end() {
    change_files(&[]);
}

/// The same test with read and write, where the kernel cannot send files.
#[test]
fn a_file_that_changes_while_it_is_read_and_written_is_sent_as_it_was_or_not_to_its_end() {
    if can_do_without() {
        change_files(&without("sendfile"));
    }
}

#[track_caller]
fn change_files(words: &[String]) {
    let (folder, path) = (Folder::new(), SocketPath::new());
    let content = pattern(LENGTH);
    folder.write("small.txt", "small");
    let unix = format!("--unix={}", path.path().display());
    let server = Serve::start_by(words, Path::new(env!("CARGO_BIN_EXE_monoloop")), &folder, &[&unix]);
    for is_unix in [false, true] {
        for change in [Change::Shrinks, Change::IsEmptied, Change::Grows, Change::IsReplaced, Change::IsDeleted] {
            let what = format!("{change:?}, unix socket: {is_unix}");
            let name = format!("{change:?}-{is_unix}.bin");
            folder.write(&name, &content);
            let mut client = match is_unix {
                true => Client::unix(path.path()),
                false => {
                    let client = server.connect();
                    client.set_receive_buffer(64 * KIB);
                    client
                }
            };
            client.get(&format!("/{name}"));
            let (status, head) = client.try_head().expect("a head");
            assert!(status == 200 && head.contains("\r\nContent-Length: 8388608\r\n"), "{what}: {head}");
            client.read_content(100 * KIB, 16 * KIB, |at, bytes| assert_same(bytes, &content[at..][..bytes.len()], at));
            make(change, &folder, &name);
            let rest = &content[100 * KIB..];
            match change {
                Change::Shrinks | Change::IsEmptied => {
                    let got = read_until_it_ends(&mut client, rest, &what);
                    // After a reset the kernel may discard what was not read.
                    let most = if change == Change::Shrinks { SHRUNK } else { LENGTH };
                    assert!(100 * KIB + got <= most && got < rest.len(), "{what}: {got} bytes");
                }
                _ => {
                    client.read_content(rest.len(), 256 * KIB, |at, bytes| {
                        assert_same(bytes, &rest[at..][..bytes.len()], (&what, at));
                    });
                    assert_eq!(client.ask("/small.txt").text(), "small", "{what}");
                }
            }
            assert_eq!(server.connect().ask("/small.txt").text(), "small", "{what}");
        }
    }
    server.end();
}

#[track_caller]
fn make(change: Change, folder: &Folder, name: &str) {
    let path = folder.path(name);
    let open = |options: &mut OpenOptions| options.open(&path).expect("it may be written");
    match change {
        Change::Shrinks => open(OpenOptions::new().write(true)).set_len(SHRUNK as u64).expect("it can be cut"),
        Change::IsEmptied => open(OpenOptions::new().write(true)).set_len(0).expect("it can be cut"),
        Change::Grows => open(OpenOptions::new().append(true)).write_all(&[b'x'; MIB]).expect("there is room"),
        Change::IsReplaced => {
            let new = folder.write("new", vec![b'n'; LENGTH]);
            fs::rename(new, path).expect("it can be renamed");
        }
        Change::IsDeleted => fs::remove_file(path).expect("it can be removed"),
    }
}

/// Reads until the server ends the connection, and checks that every byte is `expected`. Returns the number of bytes.
#[track_caller]
fn read_until_it_ends(client: &mut Client, expected: &[u8], what: &str) -> usize {
    let mut room = vec![0; 256 * KIB];
    let mut at = 0;
    // The client has read these bytes together with the head.
    client.read_content(client.unlooked().min(expected.len()), 256 * KIB, |from, bytes| {
        assert_same(bytes, &expected[from..][..bytes.len()], (what, from));
        at += bytes.len();
    });
    loop {
        match client.read_some(&mut room) {
            Ok(0) => return at,
            Ok(count) => {
                assert!(at + count <= expected.len(), "{what}: more than was announced");
                assert_same(&room[..count], &expected[at..][..count], (what, at));
                at += count;
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return at,
            Err(error) => panic!("{what}: no end after {at} bytes: {error}"),
        }
    }
}

/// A reply announces its length when it begins. The next reply is about the file as it is then.
#[test]
fn a_file_that_is_written_again_and_again_is_never_sent_as_a_mixture() {
    let folder = Folder::new();
    let server = Serve::start(&folder, &["--cached-files", "0"]);
    let mut client = server.connect();
    for (i, length) in [10, 100 * KIB, 0, MIB, 16 * KIB, 16 * KIB + 1].into_iter().enumerate() {
        let content = vec![b'a' + i as u8; length];
        let new = folder.write("new", &content);
        fs::rename(new, folder.path("file.bin")).expect("it can be renamed");
        client.send(get("/file.bin").repeat(3));
        for _ in 0..3 {
            let reply = client.reply();
            assert_eq!(reply.status, 200);
            assert_same(&reply.content, &content, length);
        }
    }
    drop(client);
    server.end();
}
