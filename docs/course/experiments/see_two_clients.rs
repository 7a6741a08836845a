//! Two clients at once. The first one connects and says nothing; the second one wants an answer.
//!
//!     cargo run -q --bin see_two_clients -- STEP

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use course::Server;

fn main() {
    let step = std::env::args().nth(1).unwrap_or("01_blocking".into());
    let server = Server::start(&step, 2);

    let quiet = server.connect();
    println!("client A: connected, and says nothing");
    let mut eager = server.connect();
    eager.write_all(b"hello").expect("the kernel takes five bytes");
    println!("client B: connected, and has sent hello");
    // No answer within this time is taken for no answer. Where there is one, it comes in far less.
    match answer(&mut eager, Duration::from_secs(3)) {
        Some(text) => println!("client B: got {text}"),
        None => {
            println!("client B: has waited three seconds, and got nothing");
            quiet.shutdown(Shutdown::Write).expect("the connection is open");
            println!("client A: left");
            let text = answer(&mut eager, course::PATIENCE).expect("now the server has time");
            println!("client B: got {text}");
        }
    }
    drop((quiet, eager));
    server.finish();
}

/// Waits for five bytes, for so long at most.
fn answer(client: &mut TcpStream, patience: Duration) -> Option<String> {
    client.set_read_timeout(Some(patience)).expect("the time is not zero");
    let mut bytes = [0; 5];
    match client.read_exact(&mut bytes) {
        Ok(()) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
        Err(error) => panic!("client B: {error}"),
    }
}
