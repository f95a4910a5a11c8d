//! The temporary files and folders of this process. Each is removed when what uses it is dropped. A process that was stopped
//! may end within a computation that drops nothing: then it removes them all.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

static PRESENT: Present = Present(Mutex::new(BTreeSet::new()));

struct Present(Mutex<BTreeSet<PathBuf>>);

impl Present {
    fn paths(&self) -> MutexGuard<'_, BTreeSet<PathBuf>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&'static self, path: &Path) -> Temporary {
        self.paths().insert(path.to_owned());
        Temporary {
            path: path.to_owned(),
            among: self,
        }
    }

    fn remove_all(&self) {
        for path in std::mem::take(&mut *self.paths()) {
            // What can't be removed, or was renamed a moment ago, stays.
            let _ = match path.is_dir() {
                true => std::fs::remove_dir_all(path),
                false => std::fs::remove_file(path),
            };
        }
    }
}

/// A temporary file or folder that [`remove_all`] removes if it is called before this is dropped.
#[must_use]
pub struct Temporary {
    path: PathBuf,
    among: &'static Present,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        self.among.paths().remove(&self.path);
    }
}

impl std::fmt::Debug for Temporary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Temporary").field(&self.path).finish()
    }
}

/// Notes the file or folder at `path`.
pub fn note(path: &Path) -> Temporary {
    PRESENT.note(path)
}

/// Removes all that are present, as far as that is possible. For the end of the process.
pub fn remove_all() {
    PRESENT.remove_all();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_dropped_stays() {
        static NOTED: Present = Present(Mutex::new(BTreeSet::new()));
        let folder = tempfile::tempdir().unwrap();
        let [published, file, inner] =
            ["published", "file", "inner"].map(|name| folder.path().join(name));
        std::fs::write(&published, "").unwrap();
        std::fs::write(&file, "").unwrap();
        std::fs::create_dir(&inner).unwrap();
        std::fs::write(inner.join("file"), "").unwrap();
        drop(NOTED.note(&published));
        let _present = [&file, &inner].map(|path| NOTED.note(path));
        NOTED.remove_all();
        assert!(published.exists() && !file.exists() && !inner.exists());
    }
}
