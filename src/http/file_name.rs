/// The longest name of a file, in bytes. File systems take 255 (NAME_MAX), which leaves room for a number or a suffix.
const MAX_NAME: usize = 200;

/// The most bytes of an extension that is kept when a name is cut.
const MAX_EXTENSION: usize = 20;

/// Cuts the name of a file that is too long before its extension.
pub(crate) fn cut_file_name(name: &str) -> String {
    if name.len() <= MAX_NAME {
        return name.to_owned();
    }
    let extension = name.rfind('.').map_or("", |dot| &name[dot..]);
    let extension = if extension.len() <= MAX_EXTENSION { extension } else { "" };
    let room = MAX_NAME - extension.len();
    let end = (0..=room).rev().find(|&end| name.is_char_boundary(end)).unwrap_or(0);
    [&name[..end], extension].concat()
}
