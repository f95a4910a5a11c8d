//! Parses the command line, runs the command, and turns its end into an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    keep_freed_memory();
    logtally::cli::main()
}

/// Batches of some megabytes come and go by the thousand. The C library's allocator gives each back to the system and
/// asks for it again, which for a question that reads every message costs a third of its time in page faults.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn keep_freed_memory() {
    const BLOCKS_UP_TO: i32 = 32 << 20;
    // SAFETY: no other thread is there yet, and the allocator ignores what it can't do.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, BLOCKS_UP_TO);
        libc::mallopt(libc::M_TRIM_THRESHOLD, BLOCKS_UP_TO);
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn keep_freed_memory() {}
