//! What Linux tells of its sockets.

use std::fmt::Debug;
use std::net::SocketAddr;

/// A line of `/proc/net/tcp`.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    pub(crate) listens: bool,
    /// Bytes that were written and that the other kernel has not acknowledged.
    pub(crate) unacknowledged: u64,
    /// Bytes that were received and not read.
    pub(crate) unread: u64,
    pub(crate) inode: u64,
}

/// All IPv4 sockets of this machine.
#[track_caller]
pub(crate) fn proc_net_tcp() -> Vec<Entry> {
    let text = std::fs::read_to_string("/proc/net/tcp").expect("Linux has it");
    text.lines().skip(1).filter_map(parse_entry).collect()
}

fn parse_entry(line: &str) -> Option<Entry> {
    let words: Vec<_> = line.split_whitespace().collect();
    let address = |word: &str| {
        let (ip, port) = word.split_once(':')?;
        let ip = u32::from_str_radix(ip, 16).ok()?.to_ne_bytes();
        Some(SocketAddr::from((ip, u16::from_str_radix(port, 16).ok()?)))
    };
    let (unacknowledged, unread) = words.get(4)?.split_once(':')?;
    Some(Entry {
        local: address(words.get(1)?)?,
        remote: address(words.get(2)?)?,
        listens: *words.get(3)? == "0A",
        unacknowledged: u64::from_str_radix(unacknowledged, 16).ok()?,
        unread: u64::from_str_radix(unread, 16).ok()?,
        inode: words.get(9)?.parse().ok()?,
    })
}
