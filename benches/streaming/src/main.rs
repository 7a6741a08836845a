//! The client of `benches/streaming/run.py`. It checks what it gets, and prints one line of JSON.
//!
//! ```text
//! streaming-client echo PORT BYTES chunked|length [BYTES_PER_SECOND]   reads no faster than that, if it is given
//! streaming-client big PORT MIB
//! streaming-client events PORT CLIENTS WARMUP SECONDS
//! ```
//!
//! It shares a machine with the server, so it must cost little. One core is enough for it while the server has another.

mod events;
mod reply;
mod transfer;

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// The longest wait for the server.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(figures) => {
            println!("{figures}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result<String> {
    match *arguments {
        ["echo", port, bytes, framing, ref rate @ ..] => {
            let is_chunked = match framing {
                "chunked" => true,
                "length" => false,
                _ => return Err("neither chunked nor length".into()),
            };
            let rate = rate.first().map(|rate| rate.parse()).transpose()?;
            transfer::echo(connect(port)?, bytes.parse()?, is_chunked, rate)
        }
        ["big", port, mib] => transfer::big(connect(port)?, mib.parse()?),
        ["events", port, clients, warmup, seconds] => {
            let address = address(port)?;
            let [warmup, seconds] = [warmup.parse()?, seconds.parse()?].map(Duration::from_secs_f64);
            events::events(address, clients.parse()?, warmup, seconds)
        }
        _ => Err("streaming-client echo|big|events PORT ...".into()),
    }
}

fn address(port: &str) -> Result<SocketAddr> {
    Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse()?)))
}

fn connect(port: &str) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address(port)?, PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// The CPU time of this process in seconds, including time in the kernel.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
