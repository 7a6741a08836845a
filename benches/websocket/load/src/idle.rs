//! Sockets that have said a little, and are then silent.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::open::{Target, content};
use crate::{Result, frame, pause};

/// Bytes of the messages: one that stays as it is, and one that is worth to be compressed.
const SIZES: [usize; 2] = [64, 2048];

/// Opens a socket; then the caller looks at the server's memory, and again when there are `count` more.
pub(crate) fn idle(target: Target<'_>, count: usize) -> Result<String> {
    let mut sockets = target.open(1)?;
    talk(&mut sockets[0], target.has_deflate)?;
    pause("begin")?;
    let mut others = target.open(count)?;
    for stream in &mut others {
        talk(stream, target.has_deflate)?;
    }
    sockets.append(&mut others);
    pause("end")?;
    // The last to be opened may have pushed none of the others out.
    for stream in &mut sockets {
        talk(stream, target.has_deflate)?;
    }
    Ok(format!(r#"{{"sockets":{count}}}"#))
}

/// An exchange of each size. How an answer is compressed is left to the server, so frames are counted.
fn talk(stream: &mut TcpStream, has_deflate: bool) -> Result<()> {
    for size in SIZES {
        let content = content(size);
        let make = if has_deflate { frame::stored } else { frame::masked };
        stream.write_all(&make(frame::TEXT, &content))?;
        let mut received = Vec::new();
        let mut room = [0; 4096];
        loop {
            let length = stream.read(&mut room)?;
            received.extend(&room[..length]);
            match frame::count(&received) {
                _ if length == 0 => return Err("the server closes a socket".into()),
                (0, _) => {}
                (1, end) if end == received.len() => break,
                _ => return Err("more comes back than was sent".into()),
            }
        }
        if has_deflate && size == SIZES[1] && received.len() >= size {
            return Err("the server compresses nothing".into());
        }
        if !has_deflate && received != frame::plain(frame::TEXT, &content) {
            return Err("the message that comes back is another one".into());
        }
    }
    Ok(())
}
