//! The listing of a directory: in HTML for people, in JSON for programs.

use std::fmt::Write;
use std::ops::Range;

use percent_encoding::{AsciiSet, utf8_percent_encode};
use rustix::fs::Dir;
use rustix::io::Errno;

use super::names::{Names, State};
use super::open_file::Metadata;
use crate::http::{SEGMENT, encode_segment, escape_html, iso_date, push_json_string};
use crate::limits::MAX_LISTED;

/// As [`SEGMENT`], in a query, where a plus sign would be a space.
const QUERY: &AsciiSet = &SEGMENT.add(b'+');

/// One page of the listing of a directory.
pub(super) struct Page<'a> {
    names: &'a Names,
    places: Range<usize>,
    listed: Vec<(&'a str, State)>,
}

impl<'a> Page<'a> {
    /// A page with the names at these places; `directory` and `target` are for [`Names::listed`].
    pub(super) fn new(
        names: &'a Names,
        places: Range<usize>,
        directory: &Dir,
        target: impl Fn(&str) -> Option<Metadata>,
    ) -> Result<Self, Errno> {
        let listed = names.listed(places.clone(), directory, target)?;
        Ok(Self { names, places, listed })
    }

    /// An object whose `entries` are like `{"name":"...","type":"file","size":1,"modified":"2026-01-01T00:00:00Z"}`.
    /// `first` is the place of the first one among `total` names, and `next` the reference to the next page, or `null`.
    /// `truncated` says whether names are missing after these.
    pub(super) fn to_json(&self) -> String {
        let mut json = String::from("{\"entries\":[");
        for (i, (name, State { is_directory, size, modified })) in self.listed.iter().enumerate() {
            json.push_str(if i > 0 { ",{\"name\":" } else { "{\"name\":" });
            push_json_string(&mut json, name);
            let _ = match is_directory {
                true => write!(json, ",\"type\":\"directory\""),
                false => write!(json, ",\"type\":\"file\",\"size\":{size}"),
            };
            let (day, time) = iso_date(*modified);
            let _ = write!(json, ",\"modified\":\"{day}T{time}Z\"}}");
        }
        let next = self.next().map_or("null".to_owned(), |next| format!("\"{next}\""));
        let (first, total) = (self.places.start + 1, self.names.len());
        let truncated = self.names.is_partial() || self.places.end < total;
        let _ = write!(json, "],\"first\":{first},\"total\":{total},\"next\":{next},\"truncated\":{truncated}}}");
        json
    }

    /// An HTML page. `path` is the decoded path of the directory, with a slash at its end. With `is_top`, the page has
    /// no link to the parent.
    pub(super) fn to_html(&self, path: &str, is_top: bool) -> String {
        let (path, other_pages) = (escape_html(path), self.other_pages());
        let mut html = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n<title>Index of {path}</title>\n\
             <style>{STYLE}</style>\n</head>\n<body>\n<h1>Index of {path}</h1>\n{other_pages}<table>\n\
             <thead><tr><th>Name</th><th>Size</th><th>Modified (UTC)</th></tr></thead>\n<tbody>\n"
        );
        if !is_top {
            html.push_str("<tr><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n");
        }
        for (name, State { is_directory, size, modified }) in &self.listed {
            let slash = if *is_directory { "/" } else { "" };
            let (href, name) = (encode_segment(name), escape_html(name));
            let size = if *is_directory { String::new() } else { human_size(*size) };
            let (day, time) = iso_date(*modified);
            let _ = writeln!(
                html,
                "<tr><td><a href=\"./{href}{slash}\">{name}{slash}</a></td><td>{size}</td><td>{day} {}</td></tr>",
                &time[..5]
            );
        }
        let _ = write!(html, "</tbody>\n</table>\n{other_pages}</body>\n</html>\n");
        html
    }

    /// Says which part of the directory this page shows, with links to all other parts; empty if it shows everything.
    /// A program that follows links comes from each page to every other one in a single step, so a limit of its depth
    /// does not matter.
    fn other_pages(&self) -> String {
        let (Range { start, end }, total) = (self.places.clone(), self.names.len());
        let mut text = String::new();
        if start > 0 || end < total {
            let _ = match end - start {
                0 => write!(text, "<p>No name comes after the one in the address. There are {}.", thousands(total)),
                _ => {
                    let (first, last) = (thousands(start + 1), thousands(end));
                    write!(text, "<p>Names {first} to {last} of {}.", thousands(total))
                }
            };
            let left_out = end - start - self.listed.len();
            if left_out > 0 {
                let _ = write!(text, " {} that cannot be requested are left out.", thousands(left_out));
            }
            if start > 0 {
                let _ = write!(text, " <a href=\"{}\">Previous</a>", self.reference(start.saturating_sub(MAX_LISTED)));
            }
            if let Some(next) = self.next() {
                let _ = write!(text, " <a href=\"{next}\">Next</a>");
            }
            text.push_str("</p>\n<p>All pages:");
            for (i, first) in (0..total).step_by(MAX_LISTED).enumerate() {
                let _ = write!(text, " <a href=\"{}\">{}</a>", self.reference(first), i + 1);
            }
            text.push_str("</p>\n");
        }
        if self.names.is_partial() {
            let total = thousands(total);
            let _ = writeln!(text, "<p>The directory has more names. Only {total} of them are listed on any page.</p>");
        }
        text
    }

    fn next(&self) -> Option<String> {
        (self.places.end < self.names.len()).then(|| self.reference(self.places.end))
    }

    /// The reference to the page that begins at a place. It names the name before, and not a number. So a client that
    /// goes from page to page misses no name, even if files are added or removed meanwhile.
    fn reference(&self, first: usize) -> String {
        match self.names.before(first) {
            Some(before) => format!("./?after={}", utf8_percent_encode(&before, QUERY)),
            None => "./".to_owned(),
        }
    }
}

/// A number with a comma between each three digits.
fn thousands(number: usize) -> String {
    match (number / 1000, number % 1000) {
        (0, _) => number.to_string(),
        (above, below) => format!("{},{below:03}", thousands(above)),
    }
}

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.3rem;overflow-wrap:anywhere}\
table{border-collapse:collapse;width:100%}\
th,td{text-align:left;padding:.2rem .6rem;border-bottom:1px solid #8884;vertical-align:top}\
td:first-child{overflow-wrap:anywhere}\
td:nth-child(n+2){white-space:nowrap;font-variant-numeric:tabular-nums}\
th:nth-child(2),td:nth-child(2){text-align:right}\
a{text-decoration:none}a:hover{text-decoration:underline}";

/// A size for people to read: in bytes below 1024, else with one decimal place in a power of 1024.
fn human_size(bytes: u64) -> String {
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    // Tenths as an integer, because printing a floating-point number would link 17 KB of std.
    let tenths = |shift: u32| {
        let unit = 1_u64 << shift;
        bytes / unit * 10 + (bytes % unit * 10 + unit / 2) / unit
    };
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40), ("PiB", 50), ("EiB", 60)];
    let fitting = units.into_iter().map(|(unit, shift)| (unit, tenths(shift))).find(|&(_, tenths)| tenths < 10_240);
    let (unit, tenths) = fitting.unwrap_or(("EiB", tenths(60)));
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_shown_in_powers_of_1024() {
        for (bytes, expected) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (2000, "2.0 KiB"),
            (1_048_524, "1023.9 KiB"),
            (1_048_525, "1.0 MiB"),
            ((1 << 20) - 1, "1.0 MiB"),
            (5 << 30, "5.0 GiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(human_size(bytes), expected, "{bytes}");
        }
    }
}
