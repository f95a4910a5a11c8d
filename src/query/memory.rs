//! How much memory queries may take by default, a part of what the machine has or what the control groups (cgroups) of a
//! container allow, and how a query divides what it may take.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Class, Error, Result};

/// What the program itself takes: its heap without queries, and the parts of its code that are in use.
const OF_PROGRAM: u64 = 40 << 20;

/// The least memory in which the program can run a query.
const LEAST_TOTAL: u64 = 60 << 20;

/// The default memory of queries in bytes.
///
/// # Errors
/// `Sql` where the machine or container has too little for any query.
pub fn available_memory() -> Result<u64> {
    part_for_queries(total_memory())
}

/// The bytes that the machine has, or that the container or the Lambda function may use.
pub fn total_memory() -> u64 {
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    let machine = match system.total_memory() {
        0 => 1 << 30,
        bytes => bytes,
    };
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limit = limit_of(&groups, Path::new("/sys/fs/cgroup"));
    let function = std::env::var("AWS_LAMBDA_FUNCTION_MEMORY_SIZE").ok();
    let function = function.and_then(|mib| mib.parse::<u64>().ok());
    machine
        .min(limit.unwrap_or(u64::MAX))
        .min(function.map_or(u64::MAX, |mib| mib.saturating_mul(1 << 20)))
}

/// 70 % of what the program itself does not take. The engine's operators take more than the pool counts: a table of groups
/// is counted after it has grown, and while it grows its old memory is there too.
fn part_for_queries(total: u64) -> Result<u64> {
    if total < LEAST_TOTAL {
        let what = format!(
            "the memory of {} MiB, which this machine or container has, is too small for a query: expected at least 64 MiB",
            total >> 20
        );
        return Err(Error::new(Class::Sql, what));
    }
    Ok((total - OF_PROGRAM) / 10 * 7)
}

/// How a query divides its memory. With little memory it takes less at a time, and has fewer threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Division {
    /// The partitions of a plan, each of which has operators of its own.
    pub(super) partitions: usize,
    /// The rows of a batch.
    pub(super) batch_rows: usize,
    /// The bytes that a sort keeps free to merge its rows before it spills them.
    pub(super) merge_bytes: usize,
    /// The most spilled runs that a sort merges at a time.
    pub(super) merged_runs: usize,
}

impl Division {
    /// The division of `memory` bytes on a machine with `cores` cores.
    pub(super) fn of(memory: usize, cores: usize) -> Self {
        let partitions = (memory / LEAST_OF_PARTITION).clamp(1, cores.max(1));
        let each = memory / partitions;
        let rows = (each / OF_ROW).clamp(BATCH_ROWS.0, BATCH_ROWS.1);
        // A power of two, rounded down.
        let batch_rows = 1 << rows.ilog2();
        Self {
            partitions,
            batch_rows,
            merge_bytes: (each / 16).min(MOST_MERGE_BYTES),
            merged_runs: (each / (OF_ROW_OF_RUN * batch_rows)).clamp(4, 64),
        }
    }
}

/// A further partition needs as much memory.
const LEAST_OF_PARTITION: usize = 96 << 20;

/// A row of a batch for each of these bytes of a partition's memory.
const OF_ROW: usize = 16 << 10;

/// The fewest and the most rows of a batch; the latter is the engine's default.
const BATCH_ROWS: (usize, usize) = (512, 8192);

/// The engine's default.
const MOST_MERGE_BYTES: usize = 10 << 20;

/// A run that is merged has up to two batches in memory, and their sorted keys: four times the 512 bytes that a row of
/// `logs` has at the most on average.
const OF_ROW_OF_RUN: usize = 2 << 10;

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
    fn a_small_container_keeps_what_the_program_takes() {
        for (total, part) in [(64, 16), (128, 61), (512, 330), (10_240, 7140)] {
            assert_eq!(
                part_for_queries(total * MIB).unwrap() / MIB,
                part,
                "{total}"
            );
        }
        let error = part_for_queries(32 * MIB).unwrap_err();
        assert_eq!(error.class(), Class::Sql);
        assert!(error.to_string().contains("of 32 MiB"), "{error}");
    }

    #[test]
    fn little_memory_is_divided_into_small_parts() {
        let division = |mib: usize, cores| {
            let division = Division::of(mib << 20, cores);
            let Division {
                partitions,
                batch_rows,
                merge_bytes,
                merged_runs,
            } = division;
            (partitions, batch_rows, merge_bytes >> 10, merged_runs)
        };
        assert_eq!(division(16, 2), (1, 1024, 1024, 8));
        assert_eq!(division(100, 8), (1, 4096, 6400, 12));
        assert_eq!(division(256, 2), (2, 8192, 8192, 8));
        assert_eq!(division(16 << 10, 8), (8, 8192, 10 << 10, 64));
        assert_eq!(division(1, 1), (1, 512, 64, 4));
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
