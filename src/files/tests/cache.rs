//! The cache of files: what it keeps, and that replies are at most a second old.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::rc::Rc;

use super::site::{Site, now};
use super::{Folder, app};
use crate::files::Files;
use crate::files::cache::Cache;
use crate::files::resource::{Resource, Variant};
use crate::limits::CACHED_FILE_BYTES;

/// Sizes of files that are kept in memory, of files that are kept open, and the two sizes at the limit.
const SIZES: [usize; 4] = [10, CACHED_FILE_BYTES as usize, CACHED_FILE_BYTES as usize + 1, 300_000];

/// The content of a file; for two different bytes, every byte differs.
fn content(byte: u8, length: usize) -> String {
    String::from_utf8(vec![byte; length]).unwrap()
}

/// A change to the file `name` of a given size. The function returns the status code and the content to expect then.
type Change = (&'static str, fn(&Folder, usize) -> (u16, Option<String>));

/// All changes. A change that keeps the size sets the file's times, because two changes in one tick of the kernel's
/// clock look the same.
const CHANGES: [Change; 12] = [
    ("edited", |folder, size| {
        folder.write("name", content(b'b', size));
        folder.set_modified("name", 1_100_000_000);
        (200, Some(content(b'b', size)))
    }),
    ("replaced by another", |folder, size| {
        folder.write("new", content(b'c', size));
        fs::rename(folder.path("new"), folder.path("name")).unwrap();
        (200, Some(content(b'c', size)))
    }),
    ("cut short", |folder, _| {
        fs::File::options().write(true).open(folder.path("name")).unwrap().set_len(5).unwrap();
        (200, Some(content(b'a', 5)))
    }),
    ("emptied", |folder, _| {
        folder.write("name", "");
        (200, Some(String::new()))
    }),
    ("grown", |folder, size| {
        folder.write("name", content(b'd', size + 1));
        (200, Some(content(b'd', size + 1)))
    }),
    ("grown beyond what is kept in memory", |folder, _| {
        folder.write("name", content(b'e', 200_000));
        (200, Some(content(b'e', 200_000)))
    }),
    ("deleted", |folder, _| {
        fs::remove_file(folder.path("name")).unwrap();
        (404, None)
    }),
    ("made a directory", |folder, _| {
        fs::remove_file(folder.path("name")).unwrap();
        fs::create_dir(folder.path("name")).unwrap();
        (301, None)
    }),
    ("made a FIFO", |folder, _| {
        fs::remove_file(folder.path("name")).unwrap();
        folder.fifo("name");
        (404, None)
    }),
    ("made a link that leads out", |folder, _| {
        fs::remove_file(folder.path("name")).unwrap();
        symlink("/etc/passwd", folder.path("name")).unwrap();
        (404, None)
    }),
    ("made unreadable", |folder, size| {
        fs::set_permissions(folder.path("name"), fs::Permissions::from_mode(0o000)).unwrap();
        // Root can read every file.
        let is_readable = fs::File::open(folder.path("name")).is_ok();
        if is_readable { (200, Some(content(b'a', size))) } else { (403, None) }
    }),
    ("moved away with its directory", |folder, _| {
        fs::rename(folder.path(""), folder.path("").with_extension("moved")).unwrap();
        fs::create_dir(folder.path("")).unwrap();
        fs::remove_dir_all(folder.path("").with_extension("moved")).unwrap();
        (404, None)
    }),
];

#[test]
fn a_reply_is_at_most_a_second_old() {
    for size in SIZES {
        for kept in [true, false] {
            for (name, change) in CHANGES {
                let folder = Folder::new("cache");
                folder.write("name", content(b'a', size));
                let files = Files::new(folder.path("")).unwrap();
                let mut site = Site::of(if kept { files } else { files.cache(0, 0) });
                let second = now() + 60;
                // The first request opens the file, and the second one finds it in the cache.
                for _ in 0..2 {
                    assert_eq!(site.set_date(second).get("/name"), (200, content(b'a', size)));
                }
                let (status, now_there) = change(&folder, size);
                // In the same second the reply may be the old or the new content, but not a mixture.
                let (same_second, text) = site.get("/name");
                let is_old = (same_second, &text) == (200, &content(b'a', size));
                let is_new = same_second == status && now_there.as_ref().is_none_or(|there| *there == text);
                assert!(is_old || is_new, "{name}, {size} bytes, kept: {kept}: {same_second}, {} bytes", text.len());
                for later in [1, 2] {
                    let (found, text) = site.set_date(second + later).get("/name");
                    assert_eq!(found, status, "{name}, {size} bytes, kept: {kept}");
                    assert!(
                        now_there.as_ref().is_none_or(|there| *there == text),
                        "{name}, {size} bytes, kept: {kept}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_new_file_is_served_at_once() {
    for cache in [512, 0] {
        let folder = Folder::new("made");
        let mut site = Site::of(Files::new(folder.path("")).unwrap().cache(cache, 1 << 20).listing(true));
        assert_eq!(site.get("/name").0, 404);
        folder.write("name", "new");
        assert_eq!(site.get("/name"), (200, "new".to_owned()), "in the same second");
        assert_eq!(site.get("/").0, 200);
        folder.write("index.html", "index");
        assert_eq!(site.get("/"), (200, "index".to_owned()), "in the same second");
        fs::create_dir(folder.path("dir")).unwrap();
        assert_eq!(site.get("/dir").0, 301);
        fs::remove_dir(folder.path("dir")).unwrap();
        assert_eq!(site.get("/dir").0, 404);
        folder.write("404.html", "not here");
        assert_eq!(site.get("/dir"), (404, "not here".to_owned()));
    }
}

#[test]
fn an_index_that_comes_before_another_is_noticed() {
    let folder = Folder::new("indexes");
    folder.write("b.html", "b");
    let mut site = Site::of(Files::new(folder.path("")).unwrap().index(["a.html", "b.html"]));
    let second = now() + 60;
    assert_eq!(site.set_date(second).get("/"), (200, "b".to_owned()));
    folder.write("a.html", "a");
    assert_eq!(site.set_date(second + 1).get("/"), (200, "a".to_owned()));
    fs::remove_file(folder.path("a.html")).unwrap();
    assert_eq!(site.set_date(second + 2).get("/"), (200, "b".to_owned()));
    // With no index left, the path is a 404.
    fs::remove_file(folder.path("b.html")).unwrap();
    assert_eq!(site.set_date(second + 3).get("/").0, 404);
}

#[test]
fn a_clock_that_is_set_back_does_not_keep_old_entries() {
    let folder = Folder::new("back");
    folder.write("name", "old");
    let mut site = Site::of(Files::new(folder.path("")).unwrap());
    assert_eq!(site.set_date(now() + 1000).get("/name").1, "old");
    folder.write("name", "newer");
    assert_eq!(site.set_date(now() + 10).get("/name").1, "newer");
}

#[test]
fn more_files_than_the_cache_can_keep_are_served() {
    let folder = Folder::new("many");
    let names: Vec<String> = (0..20).map(|i| format!("{i}.txt")).collect();
    for (i, name) in names.iter().enumerate() {
        folder.write(name, content(b'a' + i as u8, if i % 2 == 0 { 100 } else { 20_000 }));
    }
    for (entries, bytes) in [(1, 1 << 20), (3, 1 << 20), (512, 3000), (512, 0), (0, 1 << 20), (512, usize::MAX)] {
        let mut site = Site::of(Files::new(folder.path("")).unwrap().cache(entries, bytes));
        for round in 0..3 {
            site.set_date(now() + 60 + round / 2);
            for (i, name) in names.iter().enumerate() {
                let expected = content(b'a' + i as u8, if i % 2 == 0 { 100 } else { 20_000 });
                assert_eq!(site.get(&format!("/{name}")), (200, expected), "{name} with {entries} and {bytes}");
            }
        }
    }
}

#[test]
fn a_server_without_descriptors_closes_cached_files_and_goes_on() {
    let folder = Folder::new("freed");
    folder.write("small", "small");
    folder.write("large", content(b'a', 100_000));
    let mut second_mount = app("/", Files::new(folder.path("")).unwrap());
    second_mount.mount("/other", Files::new(folder.path("")).unwrap());
    let mut site = Site::new(second_mount);
    assert!(!site.free_descriptors(), "no descriptor is kept yet");
    for _ in 0..3 {
        for prefix in ["", "/other"] {
            assert_eq!(site.get(&format!("{prefix}/small")), (200, "small".to_owned()));
            assert_eq!(site.get(&format!("{prefix}/large")), (200, content(b'a', 100_000)));
        }
        assert!(site.free_descriptors(), "descriptors were closed");
        assert!(!site.free_descriptors(), "no descriptor is left");
    }
    let mut without = Site::of(Files::new(folder.path("")).unwrap().cache(0, 0));
    assert_eq!(without.get("/large").0, 200);
    without.free_descriptors();
    assert_eq!(without.get("/large").0, 200);
}

/// The same file may have another type under another name.
#[test]
fn an_index_with_another_name_for_the_same_file_gets_fields_of_its_own() {
    let folder = Folder::new("same");
    folder.write("page", "page");
    symlink("page", folder.path("a.html")).unwrap();
    symlink("page", folder.path("b.txt")).unwrap();
    let files = Files::new(folder.path("")).unwrap().index(["a.html", "b.txt"]).cache_control("*.html", "max-age=9");
    let mut site = Site::of(files);
    let second = now() + 60;
    let reply = site.set_date(second).ask::<&str>("GET /", &[]);
    assert_eq!(
        (reply.field("Content-Type"), reply.field("Cache-Control")),
        (Some("text/html; charset=utf-8"), Some("max-age=9"))
    );
    fs::remove_file(folder.path("a.html")).unwrap();
    let reply = site.set_date(second + 1).ask::<&str>("GET /", &[]);
    assert_eq!((reply.field("Content-Type"), reply.field("Cache-Control")), (Some("text/plain; charset=utf-8"), None));
}

/// How many descriptors of this process lead into a folder.
#[cfg(target_os = "linux")]
fn open_in(folder: &Folder) -> usize {
    let folder = fs::canonicalize(folder.path("")).unwrap();
    let entries = fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    entries.filter(|target| target.starts_with(&folder)).count()
}

/// A deleted file that is open keeps its place on the disk, and its file system cannot be unmounted.
#[test]
#[cfg(target_os = "linux")]
fn a_file_that_nobody_asks_for_is_closed() {
    use crate::exchange::Service;
    use crate::http::Moment;
    let folder = Folder::new("idle");
    folder.write("gone", content(b'a', 100_000));
    folder.write("used", content(b'b', 100_000));
    folder.write("small", "small");
    let mut site = Site::of(Files::new(folder.path("")).unwrap());
    assert_eq!(site.app.run_timers(Moment::ZERO), None, "no timer while nothing is open");
    let mut second = now() + 60;
    for _ in 0..2 {
        for path in ["/gone", "/used", "/small"] {
            assert_eq!(site.set_date(second).get(path).0, 200);
        }
        assert_eq!(open_in(&folder), 3, "two files, and the directory");
        fs::remove_file(folder.path("gone")).unwrap();
        for _ in 0..2 {
            second += 14;
            assert_eq!(site.wait(14).set_date(second).get("/used").0, 200);
            assert_eq!(open_in(&folder), 3, "28 seconds later at most");
        }
        second += 13;
        assert_eq!(site.wait(13).set_date(second).get("/used").0, 200);
        assert_eq!(open_in(&folder), 2, "41 seconds later");
        site.wait(41);
        assert_eq!(open_in(&folder), 0, "all is closed");
        assert_eq!(site.app.run_timers(Moment::ZERO), None, "no timer is left");
        second += 41;
        folder.write("gone", content(b'a', 100_000));
    }
    // Without a cache, only the directory is open.
    let mut site = Site::of(Files::new(folder.path("")).unwrap().cache(0, 0));
    assert_eq!((site.get("/used").0, site.get("/nothing").0), (200, 404));
    assert_eq!(open_in(&folder), 1);
    site.wait(11);
    assert_eq!(open_in(&folder), 0);
    assert_eq!(site.app.run_timers(Moment::ZERO), None, "no timer is left");
}

// ---- the bounds of the cache itself -----------------------------------------------------------------------------

fn resource(bytes: usize) -> Rc<Resource> {
    Rc::new(Resource { path: "".into(), plain: Rc::new(Variant::of_bytes(bytes)), coded: Vec::new() })
}

/// Which of these paths the cache keeps. This look-up marks them as used.
fn kept(cache: &mut Cache, paths: usize) -> Vec<usize> {
    (0..paths).filter(|i| cache.get(&i.to_string(), 0).is_some()).collect()
}

#[test]
fn no_more_entries_than_allowed_are_kept() {
    let mut cache = Cache::new(3, 1 << 20);
    for i in 0..100 {
        cache.put(&i.to_string(), &resource(10), 0);
        assert!(cache.get(&i.to_string(), 0).is_some_and(|(_, fresh)| fresh), "the newest is there");
    }
    assert_eq!(kept(&mut cache, 100).len(), 3);
    // A path that is put again replaces its entry.
    (0..10).for_each(|second| cache.put("99", &resource(10), second));
    assert_eq!(kept(&mut cache, 100).len(), 3);
    assert!(cache.get("99", 9).is_some_and(|(_, fresh)| fresh) && cache.get("99", 10).is_some_and(|(_, fresh)| !fresh));
    cache.remove("99");
    cache.remove("99");
    assert_eq!(kept(&mut cache, 100).len(), 2);
    assert!(!cache.close_files(), "an entry in memory has no descriptor to close");
    assert_eq!(kept(&mut cache, 100).len(), 2);
}

#[test]
fn no_more_bytes_than_allowed_are_kept() {
    let mut cache = Cache::new(1000, 100_000);
    for i in 0..100 {
        cache.put(&i.to_string(), &resource(10_000), 0);
    }
    let there = kept(&mut cache, 100).len();
    assert!((5..10).contains(&there), "{there} times 10,000 bytes");
    cache.put("0", &resource(99_999), 0);
    assert_eq!(kept(&mut cache, 100).len(), there, "an entry that is too large removes no other");
    cache.put("0", &resource(90_000), 0);
    assert_eq!(kept(&mut cache, 100), [0], "an entry that just fits removes all others");
    // If an entry grows too large, the cache removes it and does not keep its old state.
    cache.put("0", &resource(200_000), 0);
    assert!(kept(&mut cache, 100).is_empty());
    (0..5).for_each(|i| cache.put(&i.to_string(), &resource(1_000), 0));
    assert_eq!(kept(&mut cache, 100).len(), 5, "the bytes of removed entries are free again");
}

#[test]
fn a_used_entry_outlives_entries_that_are_requested_once() {
    let mut cache = Cache::new(4, 1 << 20);
    cache.put("used", &resource(10), 0);
    for i in 0..100 {
        assert!(cache.get("used", 0).is_some(), "after {i} others");
        cache.put(&i.to_string(), &resource(10), 0);
    }
}

#[test]
fn a_path_that_is_requested_once_a_second_counts_as_used() {
    let mut cache = Cache::new(4, 1 << 20);
    for second in 0..100 {
        // A request does the same: the entry was checked in an earlier second, so it is checked and put again.
        assert!(cache.get("used", second).is_some() || second == 0, "in second {second}");
        cache.put("used", &resource(10), second);
        (0..3).for_each(|i| cache.put(&format!("{second} {i}"), &resource(10), second));
    }
}
