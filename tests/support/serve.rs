//! `monoloop serve` in a process, and tools for its tests. Every wait has an end, and no child outlives its test.

use std::fmt::Write as _;
use std::fs::{self, File, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::{Pid, Signal, kill_process};

use super::Client;
use super::process::Process;

// ---- tools ----------------------------------------------------------------------------------------------------------

/// Whether a command succeeds, which shows that a tool is installed and permitted. A run of CI must have all tools.
pub(crate) fn works(command: &[&str]) -> bool {
    let mut tool = Command::new(command[0]);
    tool.args(&command[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let works = tool.status().is_ok_and(|status| status.success());
    if !works {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{} is not installed, or may not do it", command[0]);
        eprintln!("skipped: {} is not installed, or may not do what it is for", command[0]);
    }
    works
}

/// The words of a command that makes the kernel refuse a system call to the server, so that the server uses its
/// fallback.
pub(crate) fn without(call: &str) -> Vec<String> {
    let words = ["strace", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e"];
    let mut words: Vec<String> = words.map(str::to_owned).to_vec();
    words.extend([format!("trace={call}"), "-e".to_owned(), format!("inject={call}:error=ENOSYS")]);
    words
}

/// Whether [`without`] works here.
pub(crate) fn can_do_without() -> bool {
    works(&["strace", "-f", "--seccomp-bpf", "-o", "/dev/null", "true"])
}

// ---- files ----------------------------------------------------------------------------------------------------------

/// A directory for a test. It is removed at the end.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    #[track_caller]
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("monoloop-serve-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).expect("the folder for temporary files can be written");
        Self(path.canonicalize().expect("it was just made"))
    }

    /// The path of something in the directory; "" is the directory itself.
    pub(crate) fn path(&self, inner: impl AsRef<Path>) -> PathBuf {
        self.0.join(inner)
    }

    /// Writes a file, and the directories on the way to it.
    #[track_caller]
    pub(crate) fn write(&self, inner: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(inner);
        fs::create_dir_all(path.parent().expect("it is in a folder")).expect("a folder can be made");
        fs::write(&path, content).expect("there is room for a file");
        path
    }

    /// Makes a file of zeroes that takes no room on the disk.
    #[track_caller]
    pub(crate) fn sparse(&self, inner: &str, length: u64) -> File {
        let file = File::create(self.path(inner)).expect("a file can be made");
        file.set_len(length).expect("it may be so long");
        file
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if fs::remove_dir_all(&self.0).is_ok() {
            return;
        }
        // A test may have removed permissions, also those of the directory itself.
        for entry in fs::read_dir(&self.0).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                let _ = fs::set_permissions(entry.path(), Permissions::from_mode(0o700));
            }
        }
        let _ = fs::remove_dir_all(&self.0);
    }
}

// ---- the server -----------------------------------------------------------------------------------------------------

/// `monoloop serve`, on a free port, without the environment variables of the tests.
pub(crate) struct Serve {
    process: Process,
    /// The server itself, which may be a child of the process that was started.
    pid: Pid,
    pub(crate) address: SocketAddr,
    /// The lines that it printed before it listened, and its address.
    pub(crate) banner: String,
}

impl Serve {
    #[track_caller]
    pub(crate) fn start(folder: &Folder, options: &[&str]) -> Self {
        Self::start_by(&[], Path::new(env!("CARGO_BIN_EXE_monoloop")), folder, options)
    }

    /// The words of another command that starts the program.
    #[track_caller]
    pub(crate) fn start_by(words: &[String], program: &Path, folder: &Folder, options: &[&str]) -> Self {
        Self::start_in(words, program, &folder.path(""), options)
    }

    #[track_caller]
    pub(crate) fn start_in(words: &[String], program: &Path, directory: &Path, options: &[&str]) -> Self {
        let (first, rest) =
            words.split_first().map_or((program.as_os_str(), &[][..]), |(first, rest)| (first.as_ref(), rest));
        let mut command = Command::new(first);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).args(rest);
        if !words.is_empty() {
            command.arg(program);
        }
        command.arg("serve").arg(directory).args(["--port", "0"]).args(options);
        let mut process = Process::start(command);
        let mut banner = String::new();
        let address = loop {
            let line = process.line();
            let _ = writeln!(banner, "{line}");
            if let Some(address) = line.strip_prefix("listening on http://") {
                break address.parse().expect("an address");
            }
        };
        // The command also prints its other addresses, before it serves.
        let others = options.iter().filter(|option| option.starts_with("--unix")).count();
        for _ in 0..others {
            let _ = writeln!(banner, "{}", process.line());
        }
        let pid = process.pid();
        let pid = if first == "strace" { child_of(pid) } else { pid };
        Self { process, pid, address, banner }
    }

    #[track_caller]
    pub(crate) fn connect(&self) -> Client {
        Client::tcp(self.address)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The next line of its log.
    #[track_caller]
    pub(crate) fn line(&mut self) -> String {
        self.process.line()
    }

    /// As [`memory`].
    #[track_caller]
    pub(crate) fn memory(&self, name: &str) -> u64 {
        memory(self.pid, name)
    }

    /// The number of open descriptors below a limit. A descriptor inherited from the parent may have a higher number.
    #[track_caller]
    pub(crate) fn descriptors(&self, limit: usize) -> usize {
        let entries = fs::read_dir(format!("/proc/{}/fd", self.pid.as_raw_nonzero())).expect("Linux has it");
        let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<usize>().ok());
        numbers.filter(|number| *number < limit).count()
    }

    /// Ends it by SIGTERM: it is still alive, drains, and has printed no error. Returns the rest of its output.
    #[track_caller]
    pub(crate) fn end(mut self) -> String {
        kill_process(self.pid, Signal::TERM).expect("it is alive");
        let end = self.process.end();
        assert_eq!((end.code, end.errors.as_str()), (Some(0), ""), "{}", String::from_utf8_lossy(&end.output));
        String::from_utf8(end.output).expect("the output is text")
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        // If strace ended first, the server would go on. The number is not used again before the test has waited for
        // strace.
        if self.pid != self.process.pid() && self.process.is_alive() {
            let _ = kill_process(self.pid, Signal::KILL);
        }
    }
}

/// A field of `/proc/PID/status`, in bytes.
#[track_caller]
pub(crate) fn memory(pid: Pid, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).expect("Linux has it");
    let value = status.lines().find_map(|line| line.strip_prefix(name)).expect("it is told");
    1024 * value.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<u64>().expect("a number")
}

#[track_caller]
fn child_of(parent: Pid) -> Pid {
    let path = format!("/proc/{0}/task/{0}/children", parent.as_raw_nonzero());
    let children = fs::read_to_string(path).expect("Linux has it");
    let child = children.split_whitespace().next().and_then(|pid| Pid::from_raw(pid.parse().ok()?));
    child.expect("it has started the server")
}
