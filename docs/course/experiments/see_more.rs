//! A head and a content, written by two calls: what is on the network after the first one?
//!
//!     cargo run -q --bin see_more

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use rustix::net::{SendFlags, send};

const HEAD: &[u8] = b"HEAD ";
const CONTENT: &[u8] = b"CONTENT";

fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut reader = TcpStream::connect(listener.local_addr()?)?;
    let (mut writer, _) = listener.accept()?;
    // Without this, the kernel itself would wait for an answer before it sends another small segment (Nagle).
    writer.set_nodelay(true)?;

    println!("write(head): the reader finds {}", after(&mut reader, || writer.write(HEAD))?);
    println!("write(content): the reader finds {}", after(&mut reader, || writer.write(CONTENT))?);
    println!();
    println!(
        "send(head, MORE): the reader finds {}",
        after(&mut reader, || Ok(send(&writer, HEAD, SendFlags::MORE)?))?
    );
    println!("write(content): the reader finds {}", after(&mut reader, || writer.write(CONTENT))?);
    println!();
    let slices = [IoSlice::new(HEAD), IoSlice::new(CONTENT)];
    println!("writev(head, content): the reader finds {}", after(&mut reader, || writer.write_vectored(&slices))?);
    Ok(())
}

/// Writes, and tells what a single read finds then.
fn after(reader: &mut TcpStream, write: impl FnOnce() -> io::Result<usize>) -> io::Result<String> {
    write()?;
    // Tcp(7) lets bytes be held back for 200 ms. What has left is at the other end of a loopback at once.
    reader.set_read_timeout(Some(Duration::from_millis(20)))?;
    let mut buffer = [0; 64];
    match reader.read(&mut buffer) {
        Ok(count) => Ok(format!("{:?}", String::from_utf8_lossy(&buffer[..count]))),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok("nothing".to_owned()),
        Err(error) => Err(error),
    }
}
