//! A folder that is watched: whether anything in it was opened.

use std::ffi::CString;
use std::fs::File;
use std::io::Read;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Linux reports what happens in the folder from when this is made.
pub struct Watch(File);

impl Watch {
    /// Watches a folder, and not the folders in it.
    pub fn new(folder: &Path) -> Self {
        let path = CString::new(folder.as_os_str().as_bytes()).expect("no NUL byte");
        // SAFETY: the call has no arguments in memory.
        let descriptor = unsafe { libc::inotify_init1(libc::IN_NONBLOCK | libc::IN_CLOEXEC) };
        assert!(descriptor >= 0, "{}", std::io::Error::last_os_error());
        // SAFETY: the descriptor was just made, and nothing else has it.
        let file = File::from(unsafe { OwnedFd::from_raw_fd(descriptor) });
        let events = libc::IN_OPEN | libc::IN_CREATE | libc::IN_MODIFY | libc::IN_DELETE;
        // SAFETY: `path` ends in a NUL byte.
        let added = unsafe { libc::inotify_add_watch(descriptor, path.as_ptr(), events) };
        assert!(added >= 0, "{}", std::io::Error::last_os_error());
        Self(file)
    }

    /// Whether something happened since the last call.
    pub fn was_touched(&mut self) -> bool {
        let mut events = [0; 4096];
        let mut touched = false;
        // Without further events it would block.
        while self.0.read(&mut events).is_ok_and(|bytes| bytes > 0) {
            touched = true;
        }
        touched
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_opened_or_made_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("canary");
        std::fs::write(&file, "x").unwrap();
        let mut watch = Watch::new(folder.path());
        assert!(!watch.was_touched());
        std::fs::read(&file).unwrap();
        assert!(watch.was_touched());
        assert!(!watch.was_touched());
        std::fs::write(folder.path().join("other"), "x").unwrap();
        assert!(watch.was_touched());
    }
}
