//! HAProxy and nginx, each in front of some servers. They listen on a unix socket, so that no port has to be guessed.

use std::io;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Instant;

use crate::PATIENCE;
use crate::support::Client;
use crate::support::process::Process;
use crate::support::serve::{Folder, works};

/// Debian installs servers in folders that are not in the PATH of an ordinary user.
const FOLDERS: [&str; 4] = ["/usr/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin"];

/// The capital words are replaced.
const HAPROXY: &str = "\
defaults
    mode http
    balance roundrobin
    OPTION
    timeout connect 5s
    timeout client 30s
    timeout server 30s

frontend web
    bind unix@FOLDER/web.sock
    default_backend app

backend app
SERVERS";

const NGINX: &str = "\
daemon off;
master_process off;
pid FOLDER/nginx.pid;
error_log stderr error;
events {}
http {
    access_log off;
    client_body_temp_path FOLDER/client_body;
    proxy_temp_path FOLDER/proxy;
    fastcgi_temp_path FOLDER/fastcgi;
    uwsgi_temp_path FOLDER/uwsgi;
    scgi_temp_path FOLDER/scgi;
    upstream app {
SERVERS
        keepalive 16;
    }
    server {
        listen unix:FOLDER/web.sock;
        location / {
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
        }
    }
}
";

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
    /// HAProxy with its defaults, and one more option if it is not empty. `None` if it is not installed.
    #[track_caller]
    pub(crate) fn haproxy(servers: &[SocketAddr], option: &str) -> Option<Self> {
        let program = find("haproxy")?;
        let folder = Folder::new();
        let lines: String = (0..).zip(servers).map(|(i, server)| format!("    server app{i} {server}\n")).collect();
        let text = HAPROXY.replace("OPTION", option).replace("SERVERS", &lines);
        let file = folder.write("haproxy.cfg", text.replace("FOLDER", &folder.path("").to_string_lossy()));
        let mut command = Command::new(program);
        command.arg("-db").arg("-f").arg(file);
        Some(Self::start(command, folder))
    }

    /// nginx that never takes a server out, and keeps connections to them. `None` if it is not installed.
    #[track_caller]
    pub(crate) fn nginx(servers: &[SocketAddr]) -> Option<Self> {
        let program = find("nginx")?;
        let folder = Folder::new();
        let lines: String = servers.iter().map(|server| format!("        server {server} max_fails=0;\n")).collect();
        let text = NGINX.replace("SERVERS", &lines).replace("FOLDER", &folder.path("").to_string_lossy());
        let file = folder.write("nginx.conf", text);
        let mut command = Command::new(program);
        command.arg("-e").arg("stderr").arg("-p").arg(folder.path("")).arg("-c").arg(file);
        Some(Self::start(command, folder))
    }

    #[track_caller]
    fn start(command: Command, folder: Folder) -> Self {
        let mut proxy = Self { process: Process::start(command), folder };
        let end = Instant::now() + PATIENCE;
        while UnixStream::connect(proxy.path()).is_err() {
            assert!(proxy.process.is_alive(), "the proxy has ended: {:?}", proxy.process.end());
            assert!(Instant::now() < end, "the proxy does not listen");
            thread::yield_now();
        }
        proxy
    }

    fn path(&self) -> PathBuf {
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
