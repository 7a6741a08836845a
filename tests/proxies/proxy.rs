//! HAProxy and nginx, each in front of some servers.

use std::net::SocketAddr;

use crate::support::proxy::Proxy;

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

/// HAProxy with its defaults, and one more option if it is not empty. `None` if it is not installed.
#[track_caller]
pub(crate) fn haproxy(servers: &[SocketAddr], option: &str) -> Option<Proxy> {
    let lines: String = (0..).zip(servers).map(|(i, server)| format!("    server app{i} {server}\n")).collect();
    Proxy::haproxy(&HAPROXY.replace("OPTION", option).replace("SERVERS", &lines))
}

/// nginx that never takes a server out, and keeps connections to them. `None` if it is not installed.
#[track_caller]
pub(crate) fn nginx(servers: &[SocketAddr]) -> Option<Proxy> {
    let lines: String = servers.iter().map(|server| format!("        server {server} max_fails=0;\n")).collect();
    Proxy::nginx(&NGINX.replace("SERVERS", &lines))
}
