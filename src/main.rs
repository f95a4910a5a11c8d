//! The program `logtally`: its allocator's settings, then [`logtally::cli::main`].

use std::process::ExitCode;

fn main() -> ExitCode {
    keep_freed_memory();
    logtally::cli::main()
}

/// Keeps freed memory for the next batch. By default the C library returns each batch of some megabytes to the system
/// and requests it again. The page faults then take a third of the time of a query that reads every message.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn keep_freed_memory() {
    const LARGEST_BLOCK: i32 = 32 << 20;
    // SAFETY: no other thread has started, and mallopt only refuses values that it does not support.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGEST_BLOCK);
        libc::mallopt(libc::M_TRIM_THRESHOLD, LARGEST_BLOCK);
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn keep_freed_memory() {}
