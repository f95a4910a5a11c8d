//! The user's editor, for a query that is too long for a line.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::NamedTempFile;

use crate::error::{Class, Error, Result};

/// The editor where neither `VISUAL` nor `EDITOR` is set.
const DEFAULT: &str = "vi";

/// Opens an editor over a text; `scratch` is a folder for temporary files. `None` if the text was not changed.
pub async fn edit(text: &str, scratch: &Path) -> Result<Option<String>> {
    let file = temporary(text, scratch).map_err(|error| {
        let scratch = scratch.display();
        Error::new(Class::Output, format!("can't write a file in {scratch}")).caused_by(error)
    })?;
    let edited = edit_file(file.path().to_owned()).await?;
    Ok((edited.trim_end() != text.trim_end()).then_some(edited))
}

/// Opens an editor over a file, and reads what it has then.
pub async fn edit_file(file: PathBuf) -> Result<String> {
    let editor = editor(|name| std::env::var_os(name));
    // The editor has the terminal until it ends.
    let work = tokio::task::spawn_blocking(move || run(&editor, &file));
    work.await.map_err(|error| {
        Error::new(Class::Unexpected, "can't wait for the editor").caused_by(error)
    })?
}

fn temporary(text: &str, scratch: &Path) -> std::io::Result<NamedTempFile> {
    // Editors colour a file by its ending.
    let mut file = tempfile::Builder::new()
        .suffix(".sql")
        .tempfile_in(scratch)?;
    file.write_all(text.as_bytes())?;
    if !text.is_empty() && !text.ends_with('\n') {
        file.write_all(b"\n")?;
    }
    Ok(file)
}

fn editor(variable: impl Fn(&str) -> Option<OsString>) -> OsString {
    ["VISUAL", "EDITOR"]
        .into_iter()
        .filter_map(variable)
        .find(|editor| !editor.is_empty())
        .unwrap_or_else(|| DEFAULT.into())
}

/// The variable is a command with its options, such as `code --wait`, which a shell takes apart as for git and psql.
fn run(editor: &OsString, file: &Path) -> Result<String> {
    let mut command = editor.clone();
    command.push(" \"$@\"");
    let name = editor.display();
    let status = Command::new("sh")
        .arg("-c")
        .arg(command)
        .arg(editor)
        .arg(file)
        .status()
        .map_err(|error| Error::usage(format!("can't start the editor {name}")).caused_by(error))?;
    if !status.success() {
        return Err(Error::usage(format!(
            "the editor {name} ended with {status}, and nothing is run: expected an editor in VISUAL or EDITOR"
        )));
    }
    std::fs::read_to_string(file)
        .map_err(|error| Error::usage(format!("can't read {}", file.display())).caused_by(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visual_goes_before_editor() {
        let named = |visual: &'static str, editor_variable: &'static str| {
            editor(|name| match name {
                "VISUAL" => Some(visual.into()),
                _ => Some(editor_variable.into()),
            })
        };
        assert_eq!(named("code --wait", "nano"), "code --wait");
        assert_eq!(named("", "nano"), "nano");
        assert_eq!(named("", ""), "vi");
    }

    #[test]
    fn an_editor_has_options_and_its_failure_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a b.sql");
        std::fs::write(&file, "SELECT 1\n").unwrap();
        let edited = run(&"sed -i s/1/2/".into(), &file).unwrap();
        assert_eq!(edited, "SELECT 2\n");
        let error = run(&"false".into(), &file).unwrap_err().to_string();
        assert!(
            error.contains("the editor false ended with exit status: 1"),
            "{error}"
        );
    }
}
