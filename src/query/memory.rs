//! How much memory queries may take by default: a part of what the machine has, or what the control groups (cgroups) of a
//! container allow.

use std::fs;
use std::path::{Path, PathBuf};

/// What the program itself, requests and the engine's work beside its memory pool take in a small container.
const RESERVE: u64 = 256 << 20;

/// The default memory of queries in bytes.
pub fn available_memory() -> u64 {
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    let machine = match system.total_memory() {
        0 => 1 << 30,
        bytes => bytes,
    };
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limit = limit_of(&groups, Path::new("/sys/fs/cgroup"));
    part_for_queries(machine.min(limit.unwrap_or(u64::MAX)))
}

/// 70 % of the memory; of less than 850 MiB the reserve is left, but never more than half.
fn part_for_queries(total: u64) -> u64 {
    let reserve = RESERVE.min(total / 2).max(total / 10 * 3);
    total - reserve
}

/// The least limit of a process's control groups and all groups that these are in. `groups` is `/proc/self/cgroup`, `root`
/// where the groups are mounted.
fn limit_of(groups: &str, root: &Path) -> Option<u64> {
    let limits = groups.lines().filter_map(|line| {
        // `4:memory:/path` in version 1, `0::/path` in version 2.
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        let (mount, file) = match controllers {
            "" => (root.to_owned(), "memory.max"),
            list if list.split(',').any(|one| one == "memory") => {
                (root.join("memory"), "memory.limit_in_bytes")
            }
            _ => return None,
        };
        // Where a container sees its own group as the root, the path is that of the host and leads nowhere.
        let group: PathBuf = mount.join(path.trim_start_matches('/'));
        let ancestors = group
            .ancestors()
            .take_while(|ancestor| ancestor.starts_with(&mount));
        ancestors
            .filter_map(|ancestor| fs::read_to_string(ancestor.join(file)).ok())
            // Without a limit, version 2 has the text `max`, and version 1 a number beyond all memory.
            .filter_map(|limit| limit.trim().parse::<u64>().ok())
            .min()
    });
    limits.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_small_container_keeps_a_reserve() {
        for (total, part) in [(64, 32), (512, 256), (800, 544), (10_000, 7000)] {
            assert_eq!(part_for_queries(total * MIB) / MIB, part, "{total}");
        }
    }

    #[test]
    fn the_least_limit_of_all_groups_above_counts() {
        let root = tempfile::tempdir().unwrap();
        let limit = |group: &str, file: &str, text: &str| {
            let group = root.path().join(group);
            fs::create_dir_all(&group).unwrap();
            fs::write(group.join(file), format!("{text}\n")).unwrap();
        };
        limit("", "cgroup.controllers", "memory");
        limit("task", "memory.max", "400");
        limit("task/inner", "memory.max", "500");
        limit("task/inner/own", "memory.max", "max");
        limit("memory", "memory.limit_in_bytes", "9223372036854771712");
        limit("memory/task", "memory.limit_in_bytes", "300");
        limit("memory/task/own", "memory.limit_in_bytes", "600");
        let seen = |groups: &str| limit_of(groups, root.path());
        assert_eq!(seen("0::/task/inner/own\n"), Some(400));
        assert_eq!(
            seen("9:name=systemd:/task\n4:memory:/task/own\n"),
            Some(300)
        );
        assert_eq!(seen("4:cpu,memory:/task\n0::/task\n"), Some(300));
        // A path of the host, which the container does not have.
        assert_eq!(
            seen("4:memory:/docker/5cf4\n"),
            Some(9_223_372_036_854_771_712)
        );
        assert_eq!(seen("0::/\n"), None);
    }
}
