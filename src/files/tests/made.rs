//! Files that the kernel makes while they are read. What they say of their size is not true.
#![cfg(any(target_os = "linux", target_os = "android"))]

use std::fs::{self, File};
use std::path::Path;

use super::site::{Reply, Site};
use super::{Folder, app};
use crate::files::Files;
use crate::limits::{CACHED_FILE_BYTES, MADE_FILE_BYTES};

/// Whether this system has such a file; if not, the output says so.
fn exists(path: &str) -> bool {
    let exists = fs::read(path).is_ok_and(|content| !content.is_empty());
    if !exists {
        eprintln!("skipped: there is no {path} here");
    }
    exists
}

/// A site with the directory of a file, and one with a handler that sends the file.
fn sites(path: &str) -> [(Site, String); 3] {
    let (directory, name) = path.rsplit_once('/').expect("an absolute path");
    let files = |cached| Files::new(directory).unwrap().cache(cached, 1 << 20).not_found_page(None);
    let mut single = app("/nothing", Files::new(".").unwrap());
    let owned = path.to_owned();
    single.get("/it", move |_, _, res| res.file(Path::new(&owned)));
    let target = format!("/{name}");
    [(Site::of(files(512)), target.clone()), (Site::of(files(0)), target), (Site::new(single), "/it".to_owned())]
}

#[test]
fn a_file_is_sent_as_it_reads_whatever_its_size_says() {
    let paths = [
        // Of size 0.
        "/proc/version",
        "/proc/filesystems",
        // Only a read that takes it whole gets the content.
        "/proc/sys/kernel/ostype",
        // Of size 4096.
        "/sys/devices/virtual/net/lo/mtu",
        "/sys/devices/system/cpu/possible",
        // Of the right size.
        "/sys/kernel/notes",
    ];
    for path in paths.into_iter().filter(|path| exists(path)) {
        let content = fs::read(path).unwrap();
        for (mut site, target) in sites(path) {
            let get = format!("GET {target}");
            let whole = site.ask::<&str>(&get, &[]);
            assert_eq!((whole.status, &whole.content), (200, &content), "{path}");
            let has_true_size = fs::metadata(path).unwrap().len() == content.len() as u64;
            assert_eq!(whole.field("Last-Modified").is_some(), has_true_size, "{path}");
            let head = site.ask::<&str>(&format!("HEAD {target}"), &[]);
            assert_eq!(head.field("Content-Length"), Some(&*content.len().to_string()), "{path}");
            let part = site.ask(&get, &["Range: bytes=1-2"]);
            assert_eq!((part.status, &*part.content), (206, &content[1..3]), "{path}");
        }
    }
}

/// A file above the limit, and one that gives nothing at its end.
#[test]
fn a_long_file_whose_size_is_not_true_is_refused() {
    const PATH: &str = "/proc/kallsyms";
    if exists(PATH) && fs::read(PATH).unwrap().len() as u64 > MADE_FILE_BYTES {
        for (mut site, target) in sites(PATH) {
            assert_eq!(site.get(&target).0, 404);
        }
    }
}

/// A large file of a known size, in which nothing was ever written, is an ordinary file.
#[test]
fn a_file_without_a_block_is_sent_whole() {
    let folder = Folder::new("holes");
    for size in [0, 1, 5000, CACHED_FILE_BYTES, CACHED_FILE_BYTES + 1, 1_000_000] {
        File::create(folder.path("hole")).unwrap().set_len(size).unwrap();
        for (mut site, target) in sites(folder.path("hole").to_str().unwrap()) {
            let whole = site.ask::<&str>(&format!("GET {target}"), &[]);
            assert_eq!((whole.status, whole.content.len() as u64), (200, size));
            assert!(whole.field("Last-Modified").is_some() && whole.content.iter().all(|byte| *byte == 0));
        }
    }
}

/// The content of `/proc/self/comm` is the name of a thread, and a change of it changes neither size nor times.
#[test]
fn a_change_that_no_time_tells_is_noticed() {
    let name = |thread: &str| fs::write("/proc/thread-self/comm", thread).unwrap();
    let thread = fs::read_link("/proc/thread-self").unwrap();
    let path = Path::new("/proc").join(thread).join("comm");
    for (mut site, target) in sites(path.to_str().unwrap()) {
        let second = super::site::now() + 60;
        name("first");
        let get = format!("GET {target}");
        let first = site.set_date(second).ask::<&str>(&get, &[]);
        assert_eq!(first.text(), "first\n");
        name("other");
        let condition = [format!("If-None-Match: {}", first.tag())];
        let other: Reply = site.set_date(second + 1).ask(&get, &condition);
        assert_eq!((other.status, &*other.text()), (200, "other\n"));
        let condition = [format!("If-None-Match: {}", other.tag())];
        assert_eq!(site.set_date(second + 2).ask(&get, &condition).status, 304);
    }
}
