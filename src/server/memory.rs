//! How much memory the process may use: that of the machine, of its control groups, or its address space, whichever is
//! least. It is read once, when a loop is made.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Resource, getrlimit};

use super::control::Group;
use super::event_loop::Parts;
use crate::limits::{MEMORY_SHARE, MEMORY_UNKNOWN};

/// Sets the memory limit of a loop that is to be made.
pub(super) fn limited(mut parts: Parts) -> Parts {
    parts.config.max_memory = Some(limit_of_loop(parts.config.max_memory, parts.group.as_deref()));
    parts
}

/// The most memory for the connections of one loop: an equal part of what was configured, or of a share of what the
/// process may use.
fn limit_of_loop(configured: Option<usize>, group: Option<&Group>) -> usize {
    let of_process = configured.unwrap_or_else(|| {
        let available = available(Path::new("/"), getrlimit(Resource::As).current);
        log::debug!("the process may use {available} bytes of memory");
        usize::try_from(available).unwrap_or(usize::MAX) / MEMORY_SHARE
    });
    (of_process / group.map_or(1, Group::workers)).max(1)
}

/// Bytes of memory that the process may use. `root` is the directory of the system.
fn available(root: &Path, address_space: Option<u64>) -> u64 {
    let physical = fs::read_to_string(root.join("proc/meminfo")).ok().and_then(|text| total(&text));
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let groups = limits_of_groups(&groups).into_iter();
    let groups = groups.filter_map(|file| fs::read_to_string(root.join(file)).ok()?.trim().parse().ok());
    groups.chain(physical).chain(address_space).min().unwrap_or(MEMORY_UNKNOWN)
}

/// The memory of the machine in bytes, by `/proc/meminfo` (proc_meminfo(5)).
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The files with the limits of the control groups of this process and of their ancestors, by `/proc/self/cgroup`
/// (cgroups(7)). In a container the path may be that of the host, and only the last ancestor exists.
fn limits_of_groups(groups: &str) -> Vec<PathBuf> {
    let limits = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?.trim_start_matches('/'));
        let (mount, file) = match controllers {
            "" => ("sys/fs/cgroup", "memory.max"),
            list if list.split(',').any(|name| name == "memory") => ("sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            _ => return None,
        };
        // The longest path is the group itself; the shortest is empty.
        let ancestors = Path::new(path).ancestors();
        Some(ancestors.map(move |ancestor| Path::new(mount).join(ancestor).join(file)).collect::<Vec<_>>())
    });
    limits.flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: &str = "MemTotal:       2000000 kB\nMemFree:         7 kB\n";

    /// A name, the files of the system, the limit of the address space, and what the process may use.
    type Row<'a> = (&'a str, &'a [File<'a>], Option<u64>, u64);

    /// Path and text.
    type File<'a> = (&'a str, &'a str);

    /// A directory of a system with these files. It is removed at the end.
    struct System(PathBuf);

    impl System {
        fn new(name: &str, files: &[File<'_>]) -> Self {
            let root = std::env::temp_dir().join(format!("monoloop-memory-{name}-{}", std::process::id()));
            for (path, text) in files {
                let path = root.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            Self(root)
        }
    }

    impl Drop for System {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_least_limit_counts() {
        let meminfo = ("proc/meminfo", MACHINE);
        let group = ("proc/self/cgroup", "0::/a/b\n");
        let (own, above) = ("sys/fs/cgroup/a/b/memory.max", "sys/fs/cgroup/a/memory.max");
        let v1 = ("proc/self/cgroup", "5:cpu:/x\n4:cpuset,memory:/a\n0::/\n");
        let own_v1 = "sys/fs/cgroup/memory/a/memory.limit_in_bytes";
        let rows: [Row; 10] = [
            ("nothing", &[], None, MEMORY_UNKNOWN),
            ("machine", &[meminfo], None, 2_048_000_000),
            ("address-space", &[meminfo], Some(64 << 20), 64 << 20),
            ("group", &[meminfo, group, (own, "33554432\n")], None, 32 << 20),
            ("no-limit", &[meminfo, group, (own, "max\n")], None, 2_048_000_000),
            ("ancestor", &[meminfo, group, (own, "max\n"), (above, "1048576\n")], None, 1 << 20),
            ("container", &[meminfo, group, ("sys/fs/cgroup/memory.max", "4096\n")], None, 4096),
            ("v1", &[meminfo, v1, (own_v1, "8388608\n")], None, 8 << 20),
            ("v1-no-limit", &[meminfo, v1, (own_v1, "9223372036854771712\n")], None, 2_048_000_000),
            ("broken", &[("proc/meminfo", "MemTotal: much"), group, (own, "-1")], None, MEMORY_UNKNOWN),
        ];
        for (name, files, address_space, expected) in rows {
            let system = System::new(name, files);
            assert_eq!(available(&system.0, address_space), expected, "{name}");
        }
    }

    #[test]
    fn this_machine_has_a_limit() {
        assert!(limit_of_loop(None, None) > 1 << 20);
        assert_eq!(limit_of_loop(Some(1000), None), 1000);
    }
}
