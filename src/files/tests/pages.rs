//! Listings of directories that are long, that change, or that are asked for again and again.

use std::fs::{self, File};
use std::os::unix::fs::symlink;

use super::Folder;
use super::site::{Site, now};
use crate::files::Files;
use crate::limits::{LISTINGS, MAX_LISTED, MAX_NAME_BYTES, MAX_NAMES};

fn touch(folder: &Folder, name: &str) {
    File::create(folder.path(name)).expect("there is room");
}

fn site(folder: &Folder) -> Site {
    Site::of(Files::new(folder.path("")).unwrap().listing(true))
}

/// A page in JSON.
#[derive(Debug, serde::Deserialize)]
struct Page {
    entries: Vec<Entry>,
    first: usize,
    total: usize,
    next: Option<String>,
    truncated: bool,
}

#[derive(Debug, serde::Deserialize)]
struct Entry {
    name: String,
}

impl Page {
    #[track_caller]
    fn get(site: &mut Site, target: &str) -> Self {
        let reply = site.ask(&format!("GET {target}"), &["Accept: application/json"]);
        assert_eq!(reply.status, 200, "{target}");
        serde_json::from_slice(&reply.content).expect("it is such a page")
    }

    fn names(&self) -> Vec<&str> {
        self.entries.iter().map(|entry| entry.name.as_str()).collect()
    }

    /// The target of the next page.
    fn next(&self) -> Option<String> {
        self.next.as_ref().map(|next| next.replace("./", "/"))
    }
}

/// Follows the references to the next pages. Before each one, `change` gets the number of the page.
#[track_caller]
fn all_pages(site: &mut Site, mut change: impl FnMut(usize)) -> Vec<String> {
    let (mut names, mut next, mut second) = (Vec::new(), Some("/".to_owned()), now() + 60);
    for number in 0.. {
        let Some(target) = next else { break };
        assert!(number < 100, "the pages do not end: {target}");
        change(number);
        second += 1;
        let page = Page::get(site.set_date(second), &target);
        assert!(page.entries.len() <= MAX_LISTED && page.first <= page.total, "{target}");
        assert_eq!(page.truncated, page.next.is_some(), "{target}");
        names.extend(page.names().into_iter().map(str::to_owned));
        next = page.next();
    }
    names
}

#[test]
fn the_pages_of_a_long_directory_have_each_name_once_and_in_order() {
    let folder = Folder::new("long");
    // Names that differ only in case, with a common beginning, and with what a query must not contain.
    let special = ["a", "A", "b+c", "b c", "B&c=d", "b%2B", "b#", "\u{fc}", "\u{dc}"];
    special.iter().for_each(|name| touch(&folder, name));
    for i in 0..2 * MAX_LISTED {
        touch(&folder, &format!("A long name, {i:05}"));
    }
    for name in ["zz", "Dir", "dir+"] {
        fs::create_dir(folder.path(name)).unwrap();
    }
    symlink("Dir", folder.path("b-link-to-dir")).unwrap();
    symlink("nowhere", folder.path("b-dangling")).unwrap();
    let names = all_pages(&mut site(&folder), |_| {});
    let key = |name: &str| (!["zz", "Dir", "dir+"].contains(&name), name.to_ascii_lowercase(), name.to_owned());
    assert_eq!(names.len(), 2 * MAX_LISTED + special.len() + 4);
    assert!(
        names.is_sorted_by(|a, b| key(a) < key(b)),
        "{:?}",
        names.windows(2).find(|two| key(&two[0]) >= key(&two[1]))
    );
}

/// The reference to a page says after which name it begins, so no name is passed over.
#[test]
fn no_name_is_missed_if_others_come_and_go_between_the_pages() {
    let folder = Folder::new("changing");
    (0..3 * MAX_LISTED).for_each(|i| touch(&folder, &format!("{i:05}")));
    let removed = [0, MAX_LISTED - 1, MAX_LISTED];
    let names = all_pages(&mut site(&folder), |page| match page {
        // Some names before the next page go, also the one after which it begins.
        1 => removed.iter().for_each(|i| fs::remove_file(folder.path(format!("{i:05}"))).unwrap()),
        2 => (0..10).for_each(|i| touch(&folder, &format!("00000-{i}"))),
        _ => {}
    });
    let mut expected: Vec<String> = (0..3 * MAX_LISTED).map(|i| format!("{i:05}")).collect();
    expected.remove(MAX_LISTED);
    assert_eq!(names, expected);
}

#[test]
fn a_page_says_which_part_it_is_and_links_to_all_others() {
    let folder = Folder::new("parts");
    (0..MAX_LISTED).for_each(|i| touch(&folder, &format!("{i:05}")));
    let mut site = site(&folder);
    let mut second = now() + 60;
    let (_, whole) = site.set_date(second).get("/");
    assert!(!whole.contains("<p>"), "all names are on this page");
    (MAX_LISTED..2 * MAX_LISTED + 1).for_each(|i| touch(&folder, &format!("{i:05}")));
    symlink("nowhere", folder.path("00000-dangling")).unwrap();
    second += 1;
    let links = |page: &str| page.matches("<a href=\"./?after=01998\">").count();
    let (_, first) = site.set_date(second).get("/");
    assert!(first.contains("<p>Names 1 to 2,000 of 4,002. 1 that cannot be requested are left out."), "{first}");
    assert!(first.contains(">Next</a>") && !first.contains(">Previous</a>") && links(&first) == 4, "{first}");
    let (_, other) = site.get("/?after=01998");
    assert!(other.contains("<p>Names 2,001 to 4,000 of 4,002. <a href=\"./\">Previous</a>"), "{other}");
    assert!(other.contains(" <a href=\"./?after=03998\">Next</a>"), "{other}");
    let (_, last) = site.get("/?after=03998");
    assert!(last.contains("<p>Names 4,001 to 4,002 of 4,002. <a href=\"./?after=01998\">Previous</a></p>"), "{last}");
    assert!(last.contains("<p>All pages: <a href=\"./\">1</a> <a href=\"./?after=01998\">2</a>") && links(&last) == 4);
    let (_, beyond) = site.get("/?after=zzz");
    assert!(beyond.contains("<p>No name comes after the one in the address. There are 4,002."), "{beyond}");
}

#[test]
fn a_directory_is_read_once_in_a_second() {
    let folder = Folder::new("seconds");
    touch(&folder, "a");
    let (mut site, second) = (site(&folder), now() + 60);
    let names = |site: &mut Site| Page::get(site, "/").names().join(" ");
    assert_eq!(names(site.set_date(second)), "a");
    touch(&folder, "b");
    let (_, html) = site.get("/");
    assert_eq!((names(&mut site).as_str(), html.contains("./b")), ("a", false), "as it was in this second");
    assert_eq!(names(site.set_date(second + 1)), "a b");
    // What no one asks for any more is dropped with the files that no one asks for.
    site.wait(60);
    touch(&folder, "c");
    assert_eq!(names(&mut site), "a b c", "the date is the same, but the listing was dropped");
    // Only a few directories are kept.
    for i in 0..=LISTINGS {
        fs::create_dir(folder.path(format!("dir{i}"))).unwrap();
        assert_eq!(Page::get(&mut site, &format!("/dir{i}/")).total, 0);
    }
    assert_eq!(Page::get(&mut site, "/").entries.len(), 3 + LISTINGS + 1);
}

#[test]
fn the_paths_under_which_a_directory_is_listed_are_told_apart() {
    let folder = Folder::new("paths");
    folder.write("dir/x", "x");
    symlink("dir", folder.path("link")).unwrap();
    let mut site = site(&folder);
    for target in ["/dir/", "/link/", "/dir/", "/link/"] {
        assert!(site.get(target).1.contains(&format!("<h1>Index of {target}</h1>")), "{target}");
    }
}

#[test]
fn the_reply_to_a_head_has_all_fields_but_the_length() {
    let folder = Folder::new("head");
    touch(&folder, "x");
    let mut site = site(&folder);
    for accept in ["text/html", "application/json"] {
        let fields = [format!("Accept: {accept}")];
        let head = site.ask("HEAD /?after=a", &fields);
        let mut names = head.names();
        names.push("content-length".to_owned());
        names.sort();
        let get = site.ask("GET /?after=a", &fields);
        assert_eq!((head.status, names, head.field("Content-Type")), (200, get.names(), get.field("Content-Type")));
    }
    assert_eq!(site.ask::<&str>("HEAD /nothing/", &[]).status, 404);
}

/// So the time that a listing takes is bounded, and no listing looks complete that is not.
#[test]
fn of_a_very_large_directory_a_part_is_read_and_the_page_says_so() {
    let folder = Folder::new("large");
    let long = "n".repeat(240);
    (0..MAX_NAME_BYTES / 240 + 10).for_each(|i| touch(&folder, &format!("{long}{i:06}")));
    fs::create_dir(folder.path("many")).unwrap();
    (0..MAX_NAMES + 10).for_each(|i| touch(&folder, &format!("many/{i}")));
    let mut site = site(&folder);
    for target in ["/", "/many/"] {
        let page = Page::get(&mut site, target);
        assert!(page.truncated && page.total <= MAX_NAMES, "{target}: {}", page.total);
        let (_, html) = site.get(target);
        assert!(html.contains("<p>The directory has more names. Only "), "{target}");
        // The last page has no next one, and does not look complete either.
        let last = Page::get(&mut site, &format!("{target}?after=zzz"));
        assert!(last.truncated && last.next.is_none() && last.entries.is_empty(), "{target}");
    }
}
