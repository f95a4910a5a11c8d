//! The run's own folder in the system's folder of temporary files, and the folders of runs that were killed.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use tempfile::TempDir;

use crate::error::{Class, Error, Result};
use crate::temporary::{self, Temporary};

/// The prefix of these folders' names.
const PREFIX: &str = "logtally-scratch-";

/// A file in each of them. A folder with such a name and without this file is not deleted.
const MARKER: &str = ".logtally-scratch";

/// A folder of temporary files, which dropping it deletes.
#[derive(Debug)]
pub struct Scratch {
    folder: TempDir,
    /// It is held as long as the folder is there, and is gone when the process was killed.
    _lock: Option<File>,
    _noted: Option<Temporary>,
}

impl Scratch {
    /// Makes a folder for this run in the system's folder of temporary files, and removes those of runs that have ended.
    ///
    /// # Errors
    /// `Output`, with the variable that names another folder.
    pub fn new() -> Result<Self> {
        let parent = std::env::temp_dir();
        make(&parent).map_err(|error| {
            let parent = parent.display();
            let what = format!(
                "can't make a temporary folder in {parent}: expected a folder that can be written, or another one in TMPDIR"
            );
            Error::new(Class::Output, what).caused_by(error)
        })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl From<TempDir> for Scratch {
    fn from(folder: TempDir) -> Self {
        Self {
            folder,
            _lock: None,
            _noted: None,
        }
    }
}

fn make(parent: &Path) -> io::Result<Scratch> {
    sweep(parent);
    loop {
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
        match use_folder(folder.path()) {
            Ok(lock) => {
                return Ok(Scratch {
                    _lock: Some(lock),
                    _noted: Some(temporary::note(folder.path())),
                    folder,
                });
            }
            // Another run swept it before it was locked.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
}

fn use_folder(folder: &Path) -> io::Result<File> {
    let lock = File::open(folder)?;
    lock.lock()?;
    File::create(folder.join(MARKER))?;
    Ok(lock)
}

/// Removes the folders of runs that were killed. Folders of other users are skipped silently.
fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder && name.as_encoded_bytes().starts_with(PREFIX.as_bytes()) {
            let _ = remove_unused(&entry.path());
        }
    }
}

fn remove_unused(folder: &Path) -> io::Result<()> {
    let lock = File::open(folder)?;
    if lock.try_lock().is_err() {
        return Ok(());
    }
    if folder.join(MARKER).exists() {
        fs::remove_dir_all(folder)
    } else {
        // A run that was killed before it could mark its folder: it is empty.
        fs::remove_dir(folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(parent: &Path, name: &str, files: &[&str]) -> std::path::PathBuf {
        let folder = parent.join(name);
        fs::create_dir(&folder).unwrap();
        for file in files {
            fs::write(folder.join(file), "x").unwrap();
        }
        folder
    }

    #[test]
    fn only_what_a_killed_run_left_is_removed() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path();
        let used = folder(path, "logtally-scratch-used", &[MARKER, "spill"]);
        let lock = File::open(&used).unwrap();
        lock.lock().unwrap();
        let left = folder(path, "logtally-scratch-left", &[MARKER, "spill"]);
        let empty = folder(path, "logtally-scratch-empty", &[]);
        let foreign = folder(path, "logtally-scratch-notes", &["notes.txt"]);
        let other = folder(path, "logtally", &[MARKER]);
        sweep(path);
        assert!(used.join("spill").exists());
        assert!(!left.exists() && !empty.exists());
        assert!(foreign.join("notes.txt").exists());
        assert!(other.join(MARKER).exists());
        drop(lock);
        sweep(path);
        assert!(!used.exists());
    }
}
