//! Replies that send files: whole files, parts of one, files that are rolled back, and files that are truncated.
//!
//! All files hold the beginning of the same noise. They have no names, so nothing of them remains.

use std::fs::File;
use std::io::Write;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::affairs::{Shared, Whose, lock};
use super::application::{LARGEST, SLACK, content, offset, panic_quietly};
use super::deeds::Traits;
use super::errands::What;
use super::random::Random;
use super::script::{Draft, Taste, draft as plain};
use crate::exchange::{CloseReason, Representation, Request, Response, Sent};
use crate::http::conditional::{Conditions, Validators};
use crate::http::{Error, Result};
use crate::limits::RANGE_GAP;

/// The lengths of the files.
const LENGTHS: [usize; 5] = [1, 700, 5 << 10, 70_000, LARGEST];

/// The status of an error whose reply is a file, and the length of that file.
pub(super) const GONE: u16 = 410;
pub(super) const GONE_LENGTH: usize = LENGTHS[3];

// ---- what clients ask for ---------------------------------------------------------------------------------------

/// A request for a file, or for parts of one.
pub(super) fn draft(random: &mut Random, taste: &Taste, connection: usize, number: usize) -> Draft {
    let lengths: Vec<usize> = LENGTHS.into_iter().filter(|length| *length <= 3 * taste.reply).collect();
    let length = random.pick(&lengths);
    let whole = |deed| Draft { reply: Some(content(0, 0, length)), ..plain("GET", deed, length) };
    match random.below(20) {
        0..5 => whole("file"),
        5 | 6 => whole("filenow"),
        7..9 => part(random, taste, connection, number),
        9..12 => parts(random, taste),
        12 => Draft { status: 409, ..plain("GET", "fileundo", length) },
        13 => Draft { status: 409, ..plain("GET", "fileleft", length) },
        14 => Draft { status: GONE, reply: Some(content(0, 0, GONE_LENGTH)), ..plain("GET", "filegone", 0) },
        15 if random.percent(taste.ending) => {
            Draft { status: 500, ends: Some(CloseReason::Panicked), ..plain("GET", "filepanic", length) }
        }
        16 => Draft { traits: Traits { late: true, hints: true, ..Traits::default() }, ..whole("deferfile") },
        17 => Draft { method: "HEAD", reply: None, ..whole("file") },
        _ if random.percent(50) => {
            Draft { traits: Traits { shrinks: true, ..Traits::default() }, ..whole("fileshrink") }
        }
        _ => whole("file"),
    }
}

fn part(random: &mut Random, taste: &Taste, connection: usize, number: usize) -> Draft {
    let (length, start) = (random.size(taste.reply), offset(connection, number));
    let fields = vec![format!("Range: bytes={start}-{}", start + length - 1)];
    let reply = Some(content(connection, number, length));
    Draft { status: 206, fields, reply, ..plain("GET", "filepart", length) }
}

/// A request for parts that are so far apart that the server does not merge them.
fn parts(random: &mut Random, taste: &Taste) -> Draft {
    let count = random.within(2..=4);
    let mut parts = Vec::new();
    let mut at = 0;
    for _ in 0..count {
        let start = at + RANGE_GAP as usize + random.size(3_000);
        at = start + random.size(taste.reply / count);
        parts.push((start, at));
    }
    let ranges: Vec<String> = parts.iter().map(|(start, end)| format!("{start}-{}", end - 1)).collect();
    let fields = vec![format!("Range: bytes={}", ranges.join(","))];
    Draft { status: 206, fields, parts, ..plain("GET", "fileparts", 0) }
}

// ---- how they are answered --------------------------------------------------------------------------------------

pub(super) fn answer(
    shared: &Shared,
    whose: Whose,
    (deed, length): (&str, usize),
    request: &Request<'_>,
    response: Response<'_>,
) -> Result<Sent> {
    match deed {
        "file" => leave(length, response),
        "filenow" => response.represent(&Conditions::of(request.headers()), &stored(length)),
        "filepart" | "fileparts" => leave(LARGEST + SLACK, response),
        "fileundo" => {
            let _ = response.represent(&Conditions::default(), &stored(length))?;
            Err(Error::new(409, "Undone as asked"))
        }
        "fileleft" => {
            let _ = leave(length, response)?;
            Err(Error::new(409, "Undone as asked"))
        }
        "filepanic" => {
            let _ = leave(length, response)?;
            panic_quietly()
        }
        "filegone" => Err(Error::new(GONE, "It is gone")),
        "fileshrink" => leave_shrinking(shared, whose, length, response),
        _ => Err(Error::not_found("Nothing is here")),
    }
}

/// Leaves a file to be sent.
pub(super) fn leave(length: usize, response: Response<'_>) -> Result<Sent> {
    response.leave_file(stored(length))
}

/// Leaves a file that no other reply uses, and that is truncated at once or later.
fn leave_shrinking(shared: &Shared, whose: Whose, length: usize, response: Response<'_>) -> Result<Sent> {
    let file = make(length);
    let also = file.try_clone().map_err(Error::internal)?;
    let mut affairs = lock(shared);
    let left = affairs.random.below(length);
    match affairs.random.percent(30) {
        true => shrink(&also, left),
        false => affairs.put_off(whose, What::Shrink(also, left)),
    }
    drop(affairs);
    response.leave_file(represent(Arc::new(file), length))
}

pub(super) fn shrink(file: &File, length: usize) {
    file.set_len(length as u64).expect("our own file can be truncated");
}

// ---- the files --------------------------------------------------------------------------------------------------

/// A file that all replies of this length share.
fn stored(length: usize) -> Representation {
    static FILES: Mutex<Vec<(usize, Arc<File>)>> = Mutex::new(Vec::new());
    let mut files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, file)) = files.iter().find(|(known, _)| *known == length) {
        return represent(Arc::clone(file), length);
    }
    let file = Arc::new(make(length));
    files.push((length, Arc::clone(&file)));
    represent(file, length)
}

fn represent(file: Arc<File>, length: usize) -> Representation {
    let validators = Validators { tag: "\"as it was\"", weak: false, modified: Some(0) };
    Representation::of_file(file, length as u64, &validators).render()
}

/// Makes a file without a name.
fn make(length: usize) -> File {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("monoloop-simulation-{}-{number}", std::process::id()));
    let file = File::options().read(true).write(true).create_new(true).open(&path);
    let mut file = file.expect("a temporary file can be made");
    std::fs::remove_file(&path).expect("it was just made");
    file.write_all(content(0, 0, length)).expect("a temporary file can be written");
    file
}
