//! The file that keeps what was typed, for each user.

use std::ffi::OsString;
use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// `$XDG_STATE_HOME/logtally/history`, by default `~/.local/state/logtally/history`; `None` without a home.
/// Source: the XDG Base Directory Specification, which takes only absolute paths.
pub fn path() -> Option<PathBuf> {
    path_in(|name| std::env::var_os(name))
}

fn path_in(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let folder = |name| {
        let folder = variable(name).map(PathBuf::from)?;
        folder.is_absolute().then_some(folder)
    };
    let state = folder("XDG_STATE_HOME").or_else(|| Some(folder("HOME")?.join(".local/state")))?;
    Some(state.join("logtally/history"))
}

/// Makes the file and its folder, for their owner only: queries can name what is secret.
pub fn make(file: &Path) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(file)
        .map(drop)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_file_is_below_the_state_folder_or_the_home() {
        let path = |state: Option<&str>, home: Option<&str>| {
            let path = path_in(|name| match name {
                "XDG_STATE_HOME" => state.map(OsString::from),
                _ => home.map(OsString::from),
            });
            path.map(|path| path.display().to_string())
                .unwrap_or_default()
        };
        assert_eq!(path(Some("/s"), Some("/h")), "/s/logtally/history");
        assert_eq!(path(None, Some("/h")), "/h/.local/state/logtally/history");
        assert_eq!(
            path(Some("relative"), Some("/h")),
            "/h/.local/state/logtally/history"
        );
        assert_eq!(path(None, None), "");
        assert_eq!(path(Some(""), Some("")), "");
    }

    #[test]
    fn the_file_is_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state/logtally/history");
        make(&file).unwrap();
        make(&file).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&file), 0o600);
        assert_eq!(mode(file.parent().unwrap()), 0o700);
    }
}
