//! From the name of a file at the client to one that can be used here.

use crate::http::{cut_file_name, is_unprintable};

/// The name of a file that has none.
const UNNAMED: &str = "unnamed";

/// Makes a file name of one that a client has sent: a name for one file, in any directory, on any system.
///
/// - Only what comes after the last `/` or `\` counts: some clients send a path, and others try to leave the directory.
/// - No control character, NUL included, and none that changes the direction of text.
/// - None of the characters `< > : " | ? *`, which Windows forbids or gives a meaning; `_` takes their place.
/// - No dot at the beginning, so the file is not hidden, and is not `.` or `..`; no dot or space at the end.
/// - At most 200 bytes. The extension is kept.
/// - If nothing is left, or a name of a device of Windows (`CON`, `NUL`, `COM1`), it begins with `unnamed`.
///
/// The name says nothing about what is in the file, and two files can have the same one.
///
/// ```
/// use monoloop::multipart::safe_name;
///
/// assert_eq!(safe_name("Holiday photo.jpg"), "Holiday photo.jpg");
/// assert_eq!(safe_name("../../etc/passwd"), "passwd");
/// assert_eq!(safe_name(r"C:\Users\Ann\report.pdf"), "report.pdf");
/// assert_eq!(safe_name(".."), "unnamed");
/// ```
#[doc(alias("sanitize", "basename", "secure_filename"))]
pub fn safe_name(file_name: &str) -> String {
    let last = file_name.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = last.chars().filter(|&c| !is_unprintable(c)).map(replace).collect();
    let name = name.trim_matches(is_edge).trim_start_matches(|c: char| c == '.' || c.is_whitespace());
    let name = cut_file_name(name);
    let name = name.trim_end_matches(is_edge);
    let stem = name.split('.').next().unwrap_or_default().trim_end();
    match name {
        "" => UNNAMED.to_owned(),
        name if is_device(stem) => format!("{UNNAMED}-{name}"),
        name => name.to_owned(),
    }
}

fn replace(c: char) -> char {
    if matches!(c, '<' | '>' | ':' | '"' | '|' | '?' | '*') { '_' } else { c }
}

fn is_edge(c: char) -> bool {
    c == '.' || c.is_whitespace()
}

/// Whether Windows opens a device by this name, with any extension.
fn is_device(stem: &str) -> bool {
    let is_numbered = |stem: &str| match stem.as_bytes() {
        [a, b, c, b'1'..=b'9'] => [b"com", b"lpt"].contains(&&[*a, *b, *c].map(|byte| byte.to_ascii_lowercase())),
        _ => false,
    };
    ["con", "prn", "aux", "nul"].iter().any(|device| stem.eq_ignore_ascii_case(device)) || is_numbered(stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_safe() {
        for (sent, safe) in [
            ("a.txt", "a.txt"),
            ("", "unnamed"),
            (".", "unnamed"),
            ("..", "unnamed"),
            ("...", "unnamed"),
            (". . .", "unnamed"),
            ("/", "unnamed"),
            ("a/", "unnamed"),
            ("../../etc/passwd", "passwd"),
            ("..\\..\\boot.ini", "boot.ini"),
            ("/etc/passwd\0.png", "passwd.png"),
            ("a\0b", "ab"),
            (".htaccess", "htaccess"),
            (" ..  .profile", "profile"),
            ("a.txt. . ", "a.txt"),
            ("a\r\nb\tc\u{7f}.txt", "abc.txt"),
            ("gpj.\u{202e}exe", "gpj.exe"),
            ("a:b.txt:stream", "a_b.txt_stream"),
            ("<a>|\"b\"?*", "_a___b___"),
            ("caf\u{e9} \u{65e5}\u{672c}.png", "caf\u{e9} \u{65e5}\u{672c}.png"),
            ("con", "unnamed-con"),
            ("NUL.txt", "unnamed-NUL.txt"),
            ("Com1.tar.gz", "unnamed-Com1.tar.gz"),
            ("com0", "com0"),
            ("lpt9 .x", "unnamed-lpt9 .x"),
            ("console", "console"),
            ("-rf", "-rf"),
        ] {
            assert_eq!(safe_name(sent), safe, "{sent:?}");
        }
    }

    #[test]
    fn long_names_are_cut_before_the_extension() {
        for (sent, safe) in [
            (format!("{}.tar.gz", "a".repeat(300)), format!("{}.gz", "a".repeat(197))),
            ("a".repeat(300), "a".repeat(200)),
            (format!("a.{}", "b".repeat(300)), format!("a.{}", "b".repeat(198))),
            // A character is not cut.
            ("\u{e9}".repeat(150) + ".x", "\u{e9}".repeat(99) + ".x"),
            (format!("{}. {}", "a".repeat(198), "b".repeat(50)), "a".repeat(198)),
        ] {
            assert_eq!(safe_name(&sent), safe, "{sent}");
        }
    }

    /// The name is one component of a path and not hidden, whatever the client sends.
    #[test]
    fn every_name_is_one_component() {
        let pieces = ["..", ".", "/", "\\", "\0", " ", "a", "con", "\u{2028}", ":", "\u{3000}", "x.y", "\u{e9}"];
        let mut names = vec![String::new()];
        for _ in 0..3 {
            names = names.iter().flat_map(|name| pieces.map(|piece| format!("{name}{piece}"))).collect();
        }
        for name in names {
            let safe = safe_name(&name);
            let components: Vec<_> = std::path::Path::new(&safe).components().collect();
            assert_eq!(components, [std::path::Component::Normal(safe.as_ref())], "{name:?}");
            assert!(
                !safe.starts_with('.') && !safe.ends_with(['.', ' ']) && !safe.contains(['\\', '\0', ':']),
                "{name:?}"
            );
            assert_eq!(safe_name(&safe), safe, "{name:?}");
        }
    }
}
