//! Processes and their output. Every wait has an end, and no child outlives its test.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Pid;

use super::LIMIT;

/// The longest time that a tool may run.
pub(crate) const RUN: Duration = Duration::from_secs(30);

/// A child with its output, line by line. It is killed at the end of the test, also if the test fails.
pub(crate) struct Process {
    child: Child,
    output: Receiver<Vec<u8>>,
    errors: Receiver<Vec<u8>>,
}

/// How a process ended, and the rest of its output.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) code: Option<i32>,
    pub(crate) output: Vec<u8>,
    pub(crate) errors: String,
}

impl End {
    #[track_caller]
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.output).expect("the output is text")
    }

    /// The output, if the process ended well.
    #[track_caller]
    pub(crate) fn success(&self) -> &str {
        assert_eq!(self.code, Some(0), "{}{}", self.text(), self.errors);
        self.text()
    }

    /// The output, if the process ended well and printed no error.
    #[track_caller]
    pub(crate) fn clean(&self) -> &str {
        assert!(self.code == Some(0) && self.errors.is_empty(), "{:?}: {}{}", self.code, self.text(), self.errors);
        self.text()
    }

    /// The output of a client that prints the head first.
    #[track_caller]
    pub(crate) fn head_and_content(&self) -> (&str, &[u8]) {
        let end = self.output.windows(4).position(|window| window == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no head: {}", self.errors)) + 4;
        (std::str::from_utf8(&self.output[..end]).expect("the head is text"), &self.output[end..])
    }
}

impl Process {
    #[track_caller]
    pub(crate) fn start(command: Command) -> Self {
        Self::start_with(command, Stdio::null())
    }

    #[track_caller]
    pub(crate) fn start_with(mut command: Command, input: impl Into<Stdio>) -> Self {
        command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let output = lines_of(child.stdout.take().expect("it is piped"));
        let errors = lines_of(child.stderr.take().expect("it is piped"));
        Self { child, output, errors }
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// The next line of its standard output.
    #[track_caller]
    pub(crate) fn line(&mut self) -> String {
        self.line_or_end().unwrap_or_else(|error| self.has_no_line(error))
    }

    /// The next line of its standard output; `None` at the end of it.
    #[track_caller]
    pub(crate) fn next_line(&mut self) -> Option<String> {
        match self.line_or_end() {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(error) => self.has_no_line(error),
        }
    }

    #[track_caller]
    fn line_or_end(&self) -> Result<String, RecvTimeoutError> {
        let line = self.output.recv_timeout(LIMIT)?;
        Ok(String::from_utf8(line).expect("the output is text").trim_end().to_owned())
    }

    #[track_caller]
    fn has_no_line(&self, error: RecvTimeoutError) -> ! {
        let errors: Vec<u8> = self.errors.try_iter().flatten().collect();
        panic!("no line of output: {error}; {}", String::from_utf8_lossy(&errors))
    }

    /// Waits until the process ends.
    #[track_caller]
    pub(crate) fn end(&mut self) -> End {
        let until = Instant::now() + RUN;
        let output = rest_of(&self.output, until);
        let errors = rest_of(&self.errors, until);
        let errors_so_far = String::from_utf8_lossy(errors.as_ref().unwrap_or_else(|so_far| so_far)).into_owned();
        let (Ok(output), Ok(_)) = (&output, &errors) else {
            let so_far = output.unwrap_or_else(|so_far| so_far);
            let start = String::from_utf8_lossy(&so_far[..so_far.len().min(1000)]);
            panic!("it does not end; so far {} bytes: {start}; {errors_so_far}", so_far.len());
        };
        // Both ends of its pipes are closed, so the process has ended or is about to.
        let status = self.child.wait().expect("it is ours");
        End { code: status.code(), output: output.clone(), errors: errors_so_far }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines, each with its end.
fn lines_of(stream: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, lines) = mpsc::channel();
    let mut stream = BufReader::new(stream);
    thread::spawn(move || {
        loop {
            let mut line = Vec::new();
            match stream.read_until(b'\n', &mut line) {
                Ok(1..) if sender.send(line).is_ok() => {}
                _ => return,
            }
        }
    });
    lines
}

/// All lines until the stream ends, or the lines that came if it does not end.
fn rest_of(lines: &Receiver<Vec<u8>>, until: Instant) -> Result<Vec<u8>, Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        match lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(line) => bytes.extend_from_slice(&line),
            Err(RecvTimeoutError::Disconnected) => return Ok(bytes),
            Err(RecvTimeoutError::Timeout) => return Err(bytes),
        }
    }
}
