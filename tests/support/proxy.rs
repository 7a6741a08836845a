//! HAProxy and nginx, with a configuration of the test. They listen on a unix socket, so that no port has to be
//! guessed.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Instant;

use super::process::Process;
use super::serve::{Folder, works};
use super::{Client, LIMIT};

/// Debian installs servers in folders that are not in the PATH of an ordinary user.
const FOLDERS: [&str; 4] = ["/usr/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin"];

/// A proxy that runs.
pub(crate) struct Proxy {
    process: Process,
    folder: Folder,
}

/// Finds a program, or says that the test is skipped.
fn find(name: &str) -> Option<PathBuf> {
    let found = FOLDERS.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.exists());
    let program = found.unwrap_or_else(|| name.into());
    works(&[program.to_str().expect("it is text"), "-v"]).then_some(program)
}

impl Proxy {
    /// HAProxy. In its configuration, FOLDER becomes that of the test; it has to listen on `FOLDER/web.sock`. `None` if
    /// it is not installed.
    #[track_caller]
    pub(crate) fn haproxy(configuration: &str) -> Option<Self> {
        let program = find("haproxy")?;
        let folder = Folder::new();
        let file = folder.write("haproxy.cfg", filled_in(configuration, &folder));
        let mut command = Command::new(program);
        command.arg("-db").arg("-f").arg(file);
        Some(Self::start(command, folder))
    }

    /// As [`haproxy`](Self::haproxy), for nginx. Its process must stay in the foreground, and be one.
    #[track_caller]
    pub(crate) fn nginx(configuration: &str) -> Option<Self> {
        let program = find("nginx")?;
        let folder = Folder::new();
        let file = folder.write("nginx.conf", filled_in(configuration, &folder));
        let mut command = Command::new(program);
        command.arg("-e").arg("stderr").arg("-p").arg(folder.path("")).arg("-c").arg(file);
        Some(Self::start(command, folder))
    }

    #[track_caller]
    fn start(command: Command, folder: Folder) -> Self {
        let mut proxy = Self { process: Process::start(command), folder };
        let end = Instant::now() + LIMIT;
        while UnixStream::connect(proxy.path()).is_err() {
            assert!(proxy.process.is_alive(), "the proxy has ended: {:?}", proxy.process.end());
            assert!(Instant::now() < end, "the proxy does not listen");
            thread::yield_now();
        }
        proxy
    }

    /// Where it listens.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path("web.sock")
    }

    /// What connects to it.
    pub(crate) fn connector(&self) -> impl Fn() -> io::Result<Client> + Send + Sync + 'static {
        let path = self.path();
        move || Ok(Client::unix(&path))
    }

    #[track_caller]
    pub(crate) fn assert_alive(&mut self) {
        assert!(self.process.is_alive(), "the proxy has ended: {:?}", self.process.end());
    }
}

fn filled_in(configuration: &str, folder: &Folder) -> String {
    configuration.replace("FOLDER", &folder.path("").to_string_lossy())
}
