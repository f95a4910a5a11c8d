//! The program `logtally`: its allocator's settings, then the command line, or a Lambda function's invocations.

use std::process::ExitCode;

#[cfg(all(target_os = "linux", target_env = "gnu"))]
use logtally::query::total_memory;

fn main() -> ExitCode {
    set_up_memory();
    allow_open_files();
    #[cfg(feature = "lambda")]
    if logtally::lambda::is_function() {
        return logtally::lambda::main();
    }
    logtally::cli::main()
}

/// Keeps freed memory for the next batch. By default the C library returns each batch of some megabytes to the system
/// and requests it again. The page faults then take a third of the time of a query that reads every message. A small
/// container has no memory to keep: there each batch is returned, and what is split among many threads stays little.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn set_up_memory() {
    const SMALL: u64 = 1 << 30;
    let (largest_block, arenas) = match total_memory() < SMALL {
        true => (128 << 10, Some(2)),
        false => (32 << 20, None),
    };
    // SAFETY: no other thread has started, and mallopt only refuses values that it does not support.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, largest_block);
        libc::mallopt(libc::M_TRIM_THRESHOLD, largest_block);
        if let Some(arenas) = arenas {
            libc::mallopt(libc::M_ARENA_MAX, arenas);
        }
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn set_up_memory() {}

/// Allows as many open files as the system does: what a query spills between partitions is a file for each batch.
#[cfg(target_os = "linux")]
fn allow_open_files() {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: both calls read or write `limit` only, and without success nothing changes.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn allow_open_files() {}
