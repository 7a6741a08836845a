//! Attacks on `monoloop serve`, over real sockets. Files and directories are moved while clients ask for them. Some
//! files may not be read, or are no regular files. And the server runs out of descriptors.
#![cfg(all(feature = "cli", target_os = "linux"))]

mod support;

use std::fs::{self, File, Permissions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, RenameFlags, inotify, makedev, mknodat, renameat, renameat_with};
use support::serve::{Folder, Serve, can_do_without, without, works};
use support::{Client, LIMIT};

const SECRET: &str = "the secret";

// ---- a race ---------------------------------------------------------------------------------------------------------

/// How long the files are moved about.
const RACE: Duration = Duration::from_millis(1500);

#[test]
fn no_rename_lets_a_client_out_of_the_directory() {
    race(&[], &["--symlinks=inside", "--cached-files=0"]);
}

#[test]
fn no_rename_lets_a_client_out_of_the_directory_if_no_link_is_followed() {
    race(&[], &["--symlinks=never", "--cached-files=0"]);
}

/// If the kernel has no openat2(2), the server opens each directory of the path itself.
#[test]
fn no_rename_lets_a_client_out_of_the_directory_on_an_old_kernel() {
    if can_do_without() {
        race(&without("openat2"), &["--symlinks=inside", "--cached-files=0"]);
        race(&without("openat2"), &["--symlinks=never", "--cached-files=0"]);
    }
}

/// A thread swaps directories, links and files as fast as the kernel can, while clients ask for paths through them. No
/// client may get the secret. It gets the right content or none.
#[track_caller]
fn race(words: &[String], options: &[&str]) {
    let world = Folder::new();
    for (path, content) in [
        ("outside/file", SECRET),
        ("outside/b/file", SECRET),
        ("outside/a/b/file", SECRET),
        ("served/a/b/file", "public"),
        ("served/a/b/other", "public"),
        ("served/other/file", "public"),
    ] {
        world.write(path, content);
    }
    // Each of these is swapped with the link beside it. The test names directories by descriptors, since their paths
    // change.
    let open = |path: &str| File::open(world.path(path)).expect("it is there");
    let (served, a, b, outside) = (open("served"), open("served/a"), open("served/a/b"), open("outside"));
    let absolute = world.path("outside").display().to_string();
    let swaps = [
        (&a, "b", "to-outside-b", "../outside/b"),
        (&served, "a", "to-outside-a", "../outside/a"),
        (&b, "file", "to-secret", "../outside/file"),
        (&served, "other", "to-absolute", &absolute),
        (&b, "other", "to-proc", "/proc/self/cwd"),
    ];
    for (_, _, link, target) in swaps {
        symlink(target, world.path("served").join(link)).expect("a link can be made");
    }
    // Links that point upwards, while the directories that contain them are moved.
    for (name, target) in [("a/b/up", "../../other/file"), ("a/up", "../a/b/../b/file"), ("round", "a/b/../../a/b")] {
        symlink(target, world.path("served").join(name)).expect("a link can be made");
    }
    // A directory is moved outside while the server resolves a path through it, with `..` after it.
    fs::create_dir_all(world.path("served/deep/x")).expect("a folder can be made");
    symlink("deep/x/../../a/b/file", world.path("served/climb")).expect("a link can be made");
    symlink("deep/x/../file", world.path("served/climb-little")).expect("a link can be made");
    world.write("served/deep/file", "public");
    symlink("../../outside/file", world.path("served/deep/climb")).expect("a link can be made");
    let deep = open("served/deep");

    let program = Path::new(env!("CARGO_BIN_EXE_monoloop"));
    let server = Serve::start_in(words, program, &world.path("served"), options);
    let targets = [
        "/a/b/file",
        "/a/b/other",
        "/a/file",
        "/a/b/up",
        "/a/up",
        "/round/file",
        "/other/file",
        "/to-outside-b/file",
        "/to-outside-a/b/file",
        "/to-secret",
        "/to-absolute/file",
        "/climb",
        "/climb-little",
        "/deep/climb",
    ];
    let over = AtomicBool::new(false);
    let renames = AtomicUsize::new(0);
    let [found, missing] = [AtomicUsize::new(0), AtomicUsize::new(0)];
    thread::scope(|scope| {
        // If a thread panics, the other threads end too.
        struct AtEnd<'a>(&'a AtomicBool);
        impl Drop for AtEnd<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        scope.spawn(|| {
            let _end = AtEnd(&over);
            while !over.load(Ordering::Relaxed) {
                for (directory, name, link, _) in swaps {
                    renameat_with(directory, name, &served, link, RenameFlags::EXCHANGE).expect("both are there");
                    let _ = renameat(&deep, "x", &outside, "x").and_then(|()| renameat(&outside, "x", &deep, "x"));
                    renames.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        for i in 0..3 {
            let mut client = server.connect();
            let (over, found, missing) = (&over, &found, &missing);
            scope.spawn(move || {
                let _end = AtEnd(over);
                let until = Instant::now() + RACE;
                while Instant::now() < until && !over.load(Ordering::Relaxed) {
                    for target in targets.iter().cycle().skip(i).take(targets.len()) {
                        let reply = client.ask(target);
                        match (reply.status, reply.text()) {
                            (200, "public") => found.fetch_add(1, Ordering::Relaxed),
                            (404, text) if !text.contains(SECRET) => missing.fetch_add(1, Ordering::Relaxed),
                            (status, text) => panic!("{target}: {status} {text}"),
                        };
                    }
                }
            });
        }
    });
    let [renames, found, missing] = [renames, found, missing].map(AtomicUsize::into_inner);
    println!("{options:?}: {renames} renames, {found} found, {missing} missing");
    assert!(renames > 100 && found > 10 && missing > 10, "{renames} renames, {found} found, {missing} missing");
    server.end();
}

// ---- what may not be read, and what is no file ----------------------------------------------------------------------

/// Root may read everything, so if the test runs as root, the server runs as another user.
#[test]
fn a_file_that_may_not_be_read_is_a_403() {
    let folder = Folder::new();
    fs::set_permissions(folder.path(""), Permissions::from_mode(0o755)).expect("it is ours");
    for (path, mode) in [
        ("readable.txt", 0o644),
        ("closed.txt", 0o000),
        ("closed/index.html", 0o644),
        ("dark/index.html", 0o644),
        ("dark/file.txt", 0o644),
        ("index-closed/index.html", 0o000),
        ("coded.txt", 0o644),
        ("coded.txt.gz", 0o000),
    ] {
        let path = folder.write(path, "content");
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("it is ours");
    }
    symlink("closed.txt", folder.path("link")).expect("a link can be made");
    // One directory cannot be entered; another can be entered, but not read.
    for (name, mode) in [("closed", 0o600), ("dark", 0o711), ("index-closed", 0o755)] {
        fs::set_permissions(folder.path(name), Permissions::from_mode(mode)).expect("it is ours");
    }

    let mut words = Vec::new();
    let mut program = PathBuf::from(env!("CARGO_BIN_EXE_monoloop"));
    let elsewhere = Folder::new();
    if rustix::process::geteuid().is_root() {
        let user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
        if !works(&[&user[..], &["true"]].concat()) {
            return;
        }
        words = user.map(str::to_owned).to_vec();
        // Other users may not enter the directory of the build.
        fs::set_permissions(elsewhere.path(""), Permissions::from_mode(0o755)).expect("it is ours");
        // Not by this process: a child of another test may hold the copy open for a moment, and then it cannot be run.
        let copied = Command::new("cp").arg(&program).arg(elsewhere.path("monoloop")).status();
        assert!(copied.expect("cp is there").success(), "there is room for it");
        program = elsewhere.path("monoloop");
    }
    let server = Serve::start_by(&words, &program, &folder, &["--listing"]);
    let mut client = server.connect();
    for (target, status) in [
        ("/readable.txt", 200),
        ("/closed.txt", 403),
        ("/link", 403),
        ("/closed/", 403),
        ("/closed/index.html", 403),
        ("/closed/nothing", 403),
        ("/dark/", 200),
        ("/dark/file.txt", 200),
        ("/dark/nothing", 404),
        ("/index-closed/", 403),
        ("/nothing", 404),
        ("/readable.txt/x", 404),
    ] {
        let reply = client.ask(target);
        assert_eq!(reply.status, status, "{target}: {}", reply.text());
        let tells = reply.text().contains("ermission") || reply.text().contains("/tmp");
        assert!(!tells, "{target}: {}", reply.text());
    }
    // The server may not read the compressed file, and still sends the other one.
    client.send("GET /coded.txt HTTP/1.1\r\nHost: test\r\nAccept-Encoding: gzip\r\n\r\n");
    let reply = client.reply();
    assert_eq!((reply.status, reply.header("content-encoding"), reply.text()), (200, None, "content"));
    drop(client);
    server.end();
}

#[test]
fn what_is_no_regular_file_is_a_404_and_blocks_no_client() {
    let folder = Folder::new();
    folder.write("file.txt", "file");
    folder.write("folder/file.txt", "file");
    for (name, target) in [("self", "self"), ("ping", "pong"), ("pong", "ping"), ("dir-loop", "."), ("to-fifo", "fifo")]
    {
        symlink(target, folder.path(name)).expect("a link can be made");
    }
    mknodat(CWD, folder.path("fifo"), FileType::Fifo, Mode::from_raw_mode(0o666), 0).expect("a FIFO can be made");
    mknodat(CWD, folder.path("index.fifo"), FileType::Fifo, Mode::from_raw_mode(0o666), 0).expect("so can another");
    // An opening for reading would release a writer that waits at a FIFO. The kernel tells of each.
    let flags = inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC;
    let mut opened = File::from(inotify::init(flags).expect("files can be watched"));
    for name in ["fifo", "index.fifo"] {
        inotify::add_watch(&opened, folder.path(name), inotify::WatchFlags::OPEN).expect("it can be watched");
    }
    let _listener = UnixListener::bind(folder.path("socket")).expect("a socket can be made");
    let mut targets =
        vec!["/self", "/self/x", "/ping", "/ping/x", "/fifo", "/fifo/", "/to-fifo", "/socket", "/socket/"];
    // Devices, as /dev/zero and /dev/tty are. Only root may make one, and not everywhere.
    let mut device = |target: &'static str, major, minor| {
        let path = folder.path(&target[1..]);
        match mknodat(CWD, path, FileType::CharacterDevice, Mode::from_raw_mode(0o666), makedev(major, minor)) {
            Ok(()) => targets.push(target),
            Err(error) => eprintln!("skipped: {target} cannot be made: {error}"),
        }
    };
    device("/zero", 1, 5);
    device("/tty", 5, 0);
    device("/nobody-drives-it", 250, 99);
    for options in [&["--listing"][..], &["--symlinks=follow", "--index=index.fifo"], &["--symlinks=never"]] {
        let server = Serve::start(&folder, options);
        let mut client = server.connect();
        for target in &targets {
            let reply = client.ask(target);
            assert_eq!(reply.status, 404, "{target}, {options:?}: {}", reply.text());
            assert_eq!(client.ask("/folder/file.txt").text(), "file", "{target}, {options:?}");
        }
        let reply = client.ask("/");
        match options {
            ["--listing"] => {
                let is_listed = |name: &str| reply.text().contains(&format!(">{name}<"));
                assert!(is_listed("file.txt") && is_listed("folder/"), "{}", reply.text());
                assert!(!["fifo", "socket", "zero", "self", "ping"].into_iter().any(is_listed), "{}", reply.text());
            }
            _ => assert_eq!(reply.status, 404, "{options:?}"),
        }
        drop(client);
        server.end();
        let found = opened.read(&mut [0; 64]).map_err(|error| error.kind());
        assert_eq!(found, Err(ErrorKind::WouldBlock), "no FIFO was opened, {options:?}");
    }
}

// ---- no descriptor is free ------------------------------------------------------------------------------------------

/// The largest number of descriptors that the server may have open.
const DESCRIPTORS: usize = 40;

/// The number of those that clients and kept files may take: a quarter is kept free to open files.
const COMMON: usize = DESCRIPTORS - DESCRIPTORS / 4;

#[track_caller]
fn with_few_descriptors(folder: &Folder, options: &[&str]) -> Serve {
    with_descriptors(DESCRIPTORS, folder, options)
}

#[track_caller]
fn with_descriptors(count: usize, folder: &Folder, options: &[&str]) -> Serve {
    let limit = format!("ulimit -n {count} && exec \"$@\"");
    let words = ["sh", "-c", &limit, "sh"].map(str::to_owned);
    Serve::start_by(&words, Path::new(env!("CARGO_BIN_EXE_monoloop")), folder, options)
}

/// A folder with many files that are too large for the memory of the cache, so the server keeps them open.
fn many_files() -> Folder {
    let folder = Folder::new();
    for i in 0..2 * DESCRIPTORS {
        folder.write(&format!("{i}.bin"), [i as u8; 20_000]);
    }
    folder.write("small.txt", "small");
    folder
}

/// Asks for files until the server has as many open as it keeps: never one of those that it needs to open others.
#[track_caller]
fn fill_with_files(server: &Serve, client: &mut Client) {
    for i in 0..2 * DESCRIPTORS {
        let reply = client.ask(&format!("/{i}.bin"));
        assert_eq!((reply.status, reply.content.len(), reply.content[0]), (200, 20_000, i as u8));
        // A file that is not kept is closed after the client has it, but before the next reply.
        assert_eq!(client.ask("/nothing").status, 404);
        assert!(server.descriptors(DESCRIPTORS) <= COMMON, "{} descriptors", server.descriptors(DESCRIPTORS));
    }
    // A file is looked at by one descriptor before it is opened by the next.
    assert!(server.descriptors(DESCRIPTORS) >= COMMON - 1, "{} descriptors", server.descriptors(DESCRIPTORS));
}

#[test]
fn files_that_are_kept_open_give_way_to_clients() {
    let folder = many_files();
    let server = with_few_descriptors(&folder, &[]);
    let mut first = server.connect();
    for _ in 0..3 {
        fill_with_files(&server, &mut first);
        // The first client may get a descriptor of the reserve, and the second one gets that of a kept file.
        for mut other in [server.connect(), server.connect()] {
            let reply = other.ask("/1.bin");
            assert_eq!((reply.status, reply.content.len()), (200, 20_000));
        }
        assert!(server.descriptors(DESCRIPTORS) < DESCRIPTORS / 2, "{} descriptors", server.descriptors(DESCRIPTORS));
    }
}

#[test]
fn files_that_are_kept_open_give_way_to_others() {
    let folder = many_files();
    let server = with_few_descriptors(&folder, &[]);
    let mut client = server.connect();
    for _ in 0..2 {
        for i in 0..2 * DESCRIPTORS {
            let reply = client.ask(&format!("/{i}.bin"));
            assert_eq!((reply.status, reply.content.len()), (200, 20_000), "{i}.bin");
            assert_eq!(reply.content[0], i as u8);
        }
    }
    drop(client);
    server.end();
}

/// Large files that slow clients download take the reserve, too.
#[test]
fn without_a_free_descriptor_a_file_is_a_503_for_now() {
    let folder = many_files();
    for i in 0..DESCRIPTORS {
        folder.sparse(&format!("{i}.large"), 64 << 20);
    }
    let server = with_few_descriptors(&folder, &[]);
    let mut client = server.connect();
    assert_eq!(client.ask("/small.txt").text(), "small");
    let mut others: Vec<Client> = (0..DESCRIPTORS / 2 - 2).map(|_| server.connect()).collect();
    others.iter_mut().for_each(|other| assert_eq!(other.ask("/small.txt").text(), "small"));
    // Each takes the head of its download and leaves the content, until no file can be opened.
    let refused = others.iter_mut().enumerate().find_map(|(i, other)| {
        other.get(&format!("/{i}.large"));
        (other.try_head().expect("a head").0 == 503).then_some(i)
    });
    assert!(refused.is_some_and(|i| i >= DESCRIPTORS / 4 - 2), "{refused:?}");
    for target in ["/1.bin", "/folder/", "/2.bin"] {
        let reply = client.ask(target);
        assert_eq!(reply.status, 503, "{target}: {}", reply.text());
    }
    // The server knows these files, and cannot look at them now. It sends them as they were, also a second later, and
    // another second later.
    let known = Instant::now();
    while known.elapsed() < Duration::from_millis(2_100) {
        assert_eq!(client.ask("/small.txt").text(), "small");
    }
    // When clients leave, files can be opened again. The test notices that they have left when it works.
    others.truncate(2);
    let end = Instant::now() + LIMIT;
    let reply = loop {
        let reply = client.ask("/1.bin");
        if reply.status != 503 {
            break reply;
        }
        assert!(Instant::now() < end, "still {}", reply.text());
    };
    assert_eq!((reply.status, reply.content.len()), (200, 20_000));
    assert_eq!(server.connect().ask("/2.bin").status, 200);
}

/// More clients than descriptors, and more files than the cache keeps. Clients that find no place wait in the backlog,
/// so those that have one always get their files.
#[test]
fn however_many_clients_come_those_who_are_served_get_their_files() {
    const CLIENTS: usize = 200;
    const EACH: usize = 20;
    let folder = Folder::new();
    // Every tenth is too large for the memory of the cache.
    let content = |i: usize| format!("{i:>width$}", width = if i.is_multiple_of(10) { 17_000 } else { 10 });
    for i in 0..CLIENTS * EACH {
        folder.write(&format!("{i}.txt"), content(i));
    }
    let server = with_descriptors(64, &folder, &[]);
    let served = AtomicUsize::new(0);
    thread::scope(|scope| {
        for first in (0..CLIENTS * EACH).step_by(EACH) {
            let (address, content, served) = (server.address, &content, &served);
            scope.spawn(move || {
                let mut client = Client::tcp(address);
                for i in first..first + EACH {
                    let reply = client.ask(&format!("/{i}.txt"));
                    assert!(
                        reply.status == 200 && reply.text() == content(i),
                        "{i}: {} {}",
                        reply.status,
                        reply.text()
                    );
                    served.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(served.into_inner(), CLIENTS * EACH);
}
