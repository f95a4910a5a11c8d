//! The free room of a disk.

use std::path::Path;

/// The bytes that a user may still write to the disk that has a folder.
///
/// # Errors
/// Why they are not known, in words.
#[cfg(target_os = "linux")]
pub fn free_bytes(folder: &Path) -> Result<u64, String> {
    use std::ffi::CString;
    use std::os::unix::ffi::OsStrExt;

    let path = CString::new(folder.as_os_str().as_bytes()).map_err(|error| error.to_string())?;
    let mut found = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: `path` ends in a NUL byte, and `found` has room for what is written.
    if unsafe { libc::statvfs(path.as_ptr(), found.as_mut_ptr()) } != 0 {
        return Err(std::io::Error::last_os_error().to_string());
    }
    // SAFETY: the call has succeeded, and so has written all of it.
    let found = unsafe { found.assume_init() };
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// The bytes that a user may still write to the disk that has a folder.
///
/// # Errors
/// Always: they are known on Linux only.
#[cfg(not(target_os = "linux"))]
pub fn free_bytes(_folder: &Path) -> Result<u64, String> {
    Err("this system is not asked for it".to_owned())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_disk_has_room() {
        assert!(free_bytes(Path::new("/")).is_ok());
        assert!(free_bytes(Path::new("/no/such/folder")).is_err());
    }
}
