use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

/// A client, and what it is owed.
struct Client {
    socket: TcpStream,
    owed: Vec<u8>,
}

/// Sends back what each client sends, until `clients` of them have connected and left. It starts no thread. A client
/// whose socket fails has left, too.
///
/// Returns how often a call has found nothing to do.
pub fn serve(listener: &TcpListener, clients: usize) -> io::Result<usize> {
    listener.set_nonblocking(true)?;
    let mut connected: Vec<Client> = Vec::new();
    let (mut left, mut in_vain) = (0, 0);
    while left < clients {
        let mut is_idle = true;
        match listener.accept() {
            Ok((socket, _)) => {
                socket.set_nonblocking(true)?;
                connected.push(Client { socket, owed: Vec::new() });
                is_idle = false;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => in_vain += 1,
            Err(error) => return Err(error),
        }
        connected.retain_mut(|client| match client.try_once() {
            Ok(0) => {
                left += 1;
                false
            }
            Ok(_) => {
                is_idle = false;
                true
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                in_vain += 1;
                true
            }
            Err(_) => {
                left += 1;
                false
            }
        });
        // Without this, the loop would take all the time of a processor. With it, a byte may wait for a millisecond.
        if is_idle {
            thread::sleep(Duration::from_millis(1));
        }
    }
    Ok(in_vain)
}

impl Client {
    /// Makes one call: sends what is owed, or else reads. A result of 0 means that the client has left.
    fn try_once(&mut self) -> io::Result<usize> {
        if self.owed.is_empty() {
            let mut buffer = [0; 4096];
            let count = self.socket.read(&mut buffer)?;
            self.owed.extend_from_slice(&buffer[..count]);
            return Ok(count);
        }
        let count = self.socket.write(&self.owed)?;
        self.owed.drain(..count);
        Ok(count)
    }
}
