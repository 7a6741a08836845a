//! The load generator of `benches/websocket/run.py`. It compares what the server answers before it measures, counts
//! bytes while it does, and prints one line of JSON.
//!
//! ```text
//! websocket-load echo PORT PATH CONNECTIONS text|binary SIZE BATCH WARMUP SECONDS
//! websocket-load broadcast PORT PATH MEMBERS SIZE BATCH WARMUP SECONDS
//! websocket-load slow PORT PATH ECHO_PATH MEMBERS SIZE STOPPED MESSAGES
//! websocket-load idle PORT PATH SOCKETS plain|deflate
//! ```
//!
//! It prints `begin` before a measurement and `end` after it, with no message on its way, and waits for a line of its
//! input each time, so that the caller can look at the server.
//!
//! It shares a machine with the server, so it must cost little. One core is enough for it while the server has another.

mod crowd;
mod echo;
mod frame;
mod idle;
mod open;
mod room;

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use open::Target;
use room::Talk;
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
        ["echo", port, path, connections, kind, size, batch, warmup, seconds] => {
            let opcode = if kind == "binary" { frame::BINARY } else { frame::TEXT };
            let load =
                echo::Load { connections: connections.parse()?, opcode, size: size.parse()?, batch: batch.parse()? };
            echo::echo(target(port, path)?, &load, time(warmup)?, time(seconds)?)
        }
        ["broadcast", port, path, members, size, batch, warmup, seconds] => {
            let talk = Talk { members: members.parse()?, size: size.parse()?, batch: batch.parse()? };
            room::broadcast(target(port, path)?, &talk, time(warmup)?, time(seconds)?)
        }
        ["slow", port, path, echo, members, size, stopped, messages] => {
            let talk = Talk { members: members.parse()?, size: size.parse()?, batch: 1 };
            room::slow(target(port, path)?, target(port, echo)?, &talk, stopped.parse()?, messages.parse()?)
        }
        ["idle", port, path, sockets, kind] => {
            let target = Target { has_deflate: kind == "deflate", ..target(port, path)? };
            idle::idle(target, sockets.parse()?)
        }
        _ => Err("websocket-load echo|broadcast|slow|idle PORT ...".into()),
    }
}

fn target<'a>(port: &str, path: &'a str) -> Result<Target<'a>> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse()?));
    Ok(Target { address, path, has_deflate: false, is_far: false })
}

fn time(seconds: &str) -> Result<Duration> {
    Ok(Duration::from_secs_f64(seconds.parse()?))
}

/// Lets the caller look at the server.
fn pause(word: &str) -> Result<()> {
    println!("{word}");
    match std::io::stdin().read_line(&mut String::new())? {
        0 => Err("the caller has gone".into()),
        _ => Ok(()),
    }
}

/// Time and CPU time of this process from here on.
struct Measure {
    began: Instant,
    cpu: f64,
}

impl Measure {
    fn begin() -> Result<Self> {
        pause("begin")?;
        Ok(Self { began: Instant::now(), cpu: cpu_seconds() })
    }

    /// The members of a JSON object.
    fn end(self, what: &str, count: usize) -> Result<String> {
        let (seconds, cpu) = (self.began.elapsed().as_secs_f64(), cpu_seconds() - self.cpu);
        pause("end")?;
        Ok(format!(r#""{what}":{count},"seconds":{seconds},"cpu_seconds":{cpu}"#))
    }
}

/// The CPU time of this process in seconds, including time in the kernel.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(((values.len().max(1) - 1) as f64 * share).round() as usize).copied().unwrap_or(0.0)
}
