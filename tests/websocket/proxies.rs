//! Through nginx and HAProxy. Their configurations, beside this file, are what `docs/WEBSOCKET.md` recommends.

use std::path::PathBuf;

use crate::clients::KINDS;
use crate::demo::Demo;
use crate::support::proxy::Proxy;

const NGINX: &str = include_str!("nginx.conf");
const HAPROXY: &str = include_str!("haproxy.cfg");

/// The name by which clients know the server.
const NAME: &str = "example.com";

type Start = fn(&str) -> Option<Proxy>;

/// A demo, and a proxy before it.
#[track_caller]
fn start(proxy: Start, configuration: &str) -> Option<(Demo, Proxy, PathBuf)> {
    let demo = Demo::start();
    let proxy = proxy(&configuration.replace("SERVER", &demo.address.to_string()))?;
    let path = proxy.path();
    Some((demo, proxy, path))
}

/// Both clients have all cases through the proxy.
#[track_caller]
fn clients_notice_no_difference(proxy: Start, configuration: &str) {
    let Some((demo, mut proxy, path)) = start(proxy, configuration) else { return };
    let url = format!("ws://{NAME}");
    for kind in KINDS {
        for case in ["echoes", "pings", "closes", "refusals"] {
            let Some(mut client) = kind.start(case, &url, Some(&path)) else { continue };
            assert_eq!(client.end().clean(), "done\n", "{case}");
        }
    }
    let mut clients: Vec<_> = KINDS.iter().filter_map(|kind| kind.start("drain", &url, Some(&path))).collect();
    for client in &mut clients {
        assert_eq!(client.line(), "ready");
    }
    demo.tell_to_stop();
    for mut client in clients {
        assert_eq!(client.end().clean(), "done\n");
    }
    proxy.assert_alive();
    demo.expect_end();
}

/// The server compares the origin of a page with the name that the client has used, so the proxy must pass that on.
#[track_caller]
fn the_origin_is_compared_with_the_name_that_the_client_uses(proxy: Start, configuration: &str) {
    let Some((_demo, proxy, _)) = start(proxy, configuration) else { return };
    let connect = proxy.connector();
    for (origin, status) in [(NAME, 101), ("elsewhere.example", 403)] {
        let mut client = connect().expect("it listens");
        let request = format!(
            "GET /ws/echo HTTP/1.1\r\nHost: {NAME}\r\nOrigin: http://{origin}\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        client.try_send(request.as_bytes()).expect("it is connected");
        let (found, head) = client.try_head().expect("there is a reply");
        assert_eq!(found, status, "{head}");
    }
}

#[test]
fn clients_behind_nginx_notice_no_difference() {
    clients_notice_no_difference(Proxy::nginx, NGINX);
}

#[test]
fn clients_behind_haproxy_notice_no_difference() {
    clients_notice_no_difference(Proxy::haproxy, HAPROXY);
}

#[test]
fn nginx_passes_the_name_on() {
    the_origin_is_compared_with_the_name_that_the_client_uses(Proxy::nginx, NGINX);
}

#[test]
fn haproxy_passes_the_name_on() {
    the_origin_is_compared_with_the_name_that_the_client_uses(Proxy::haproxy, HAPROXY);
}
