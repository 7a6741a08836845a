//! Opens the file of a recording. open(2) of a named pipe waits until its other end is opened, which may never happen.
//! Nothing here waits for that without a limit.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{Errno, retry_on_intr};

use crate::limits::RECORDING_PATIENCE;

/// open(2) does not wait, and a terminal does not become that of the process.
#[allow(clippy::cast_possible_wrap, reason = "they are the bits of a C int")]
const FLAGS: i32 = OFlags::NONBLOCK.union(OFlags::NOCTTY).bits() as i32;

/// Opens a file to be written, and empties it. A new one may be read by its owner only.
///
/// # Errors
/// Those of open(2), and when nobody has opened a named pipe to read it.
pub(super) fn create(path: &Path) -> io::Result<File> {
    let opened = File::options().write(true).create(true).truncate(true).mode(0o600).custom_flags(FLAGS).open(path);
    let file = opened.map_err(|error| match Errno::from_io_error(&error) {
        Some(Errno::NXIO) if is_pipe(path) => io::Error::new(error.kind(), "nobody reads this named pipe"),
        _ => error,
    })?;
    let_calls_wait(&file)?;
    Ok(file)
}

fn is_pipe(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo())
}

/// Opens a file to be read. The writer of a named pipe has [`RECORDING_PATIENCE`] to open it.
///
/// # Errors
/// Those of open(2), and when nobody has opened a named pipe to write into it.
pub(super) fn open(path: &Path) -> io::Result<impl Read> {
    let file = File::options().read(true).custom_flags(FLAGS).open(path)?;
    let is_pipe = file.metadata()?.file_type().is_fifo();
    let begin = if is_pipe && !has_bytes_soon(&file)? { begin_of_pipe(&file)? } else { Vec::new() };
    let_calls_wait(&file)?;
    Ok(io::Cursor::new(begin).chain(file))
}

fn has_bytes_soon(pipe: &File) -> io::Result<bool> {
    let patience = Timespec { tv_sec: RECORDING_PATIENCE.as_secs().cast_signed(), tv_nsec: 0 };
    Ok(retry_on_intr(|| poll(&mut [PollFd::new(pipe, PollFlags::IN)], Some(&patience)))? > 0)
}

/// Reads what there is, to learn whether there is a writer: without one, it is the end.
fn begin_of_pipe(mut pipe: &File) -> io::Result<Vec<u8>> {
    let mut byte = [0];
    match pipe.read(&mut byte) {
        Ok(0) => Err(io::Error::new(ErrorKind::TimedOut, "nobody writes into this named pipe")),
        Ok(_) => Ok(byte.to_vec()),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Makes the calls that follow wait, as they do for other files.
fn let_calls_wait(file: &File) -> io::Result<()> {
    let flags = fcntl_getfl(file)?;
    Ok(fcntl_setfl(file, flags - OFlags::NONBLOCK)?)
}
