//! The files that a job is read from, with what to write instead where one can't be read.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::Path;

use super::checked::nearest;

/// The text of a file on this machine. The error says what else may have been meant.
///
/// # Errors
/// A message without the file's own name.
pub fn read_local(file: &Path) -> Result<String, String> {
    if file.is_dir() {
        let extension = file.extension().and_then(OsStr::to_str).unwrap_or("toml");
        return Err(format!(
            "it is a folder: expected a file{}",
            such_as(file, extension)
        ));
    }
    std::fs::read_to_string(file).map_err(|error| format!("{error}{}", hint(file, &error)))
}

/// An error if the text of a query's `sql` is not the name of a file: it says what to write.
pub(super) fn ensure_file_name(text: &str) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err(
            "sql is empty: expected the name of a file, such as sql = \"errors.sql\"".to_owned(),
        );
    }
    if is_sql(text) {
        return Err(
            "sql has the query itself: expected the name of a file that has it, such as sql = \"errors.sql\""
                .to_owned(),
        );
    }
    Ok(())
}

/// Whether a text is SQL rather than the name of a file or a location.
pub fn is_sql(text: &str) -> bool {
    let mut words = text.split(|c: char| c.is_whitespace() || matches!(c, '(' | '*' | '"' | '\''));
    let first = words.find(|word| !word.is_empty()).unwrap_or_default();
    let is_query = [
        "select", "with", "from", "values", "explain", "show", "describe",
    ]
    .iter()
    .any(|keyword| first.eq_ignore_ascii_case(keyword));
    is_query && text.contains(char::is_whitespace) || text.trim().contains('\n')
}

/// The location that is meant by the syntax of a shell or of IAM, which would otherwise be the name of a folder.
pub(super) fn meant_location(text: &str) -> Option<String> {
    if let Some(path) = text.strip_prefix("~/") {
        return Some(format!("\"${{HOME}}/{path}\""));
    }
    if let Some(bucket) = text.strip_prefix("arn:aws:s3:::") {
        return Some(format!("\"s3://{bucket}\""));
    }
    let variable = text.strip_prefix('$')?;
    let end = variable
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(variable.len());
    let (name, rest) = variable.split_at(end);
    (!name.is_empty()).then(|| format!("\"${{{name}}}{rest}\""))
}

/// What a file that can't be read may have been meant to be.
fn hint(file: &Path, error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => similar_file(file),
        _ => String::new(),
    }
}

/// `; did you mean night.toml?`, the file beside a missing one whose name is the most similar.
fn similar_file(missing: &Path) -> String {
    let names = files_beside(
        missing,
        missing
            .extension()
            .and_then(OsStr::to_str)
            .unwrap_or_default(),
    );
    let wanted = missing
        .file_stem()
        .and_then(OsStr::to_str)
        .unwrap_or_default();
    let stems = names
        .iter()
        .filter_map(|name| Path::new(name).file_stem()?.to_str());
    let Some(stem) = nearest(wanted, stems) else {
        return String::new();
    };
    let extension = missing.extension().unwrap_or_default();
    let near = missing.with_file_name(stem).with_extension(extension);
    format!("; did you mean {}?", near.display())
}

/// `, such as jobs/night.toml`, the first file in a folder with this extension.
fn such_as(folder: &Path, extension: &str) -> String {
    let names = files_beside(&folder.join("x"), extension);
    names.first().map_or_else(String::new, |name| {
        format!(", such as {}", folder.join(name).display())
    })
}

/// The names of the files with this extension beside a file, sorted.
fn files_beside(file: &Path, extension: &str) -> Vec<String> {
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let entries = std::fs::read_dir(folder.unwrap_or(Path::new(".")))
        .into_iter()
        .flatten()
        .flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names
        .filter(|name| Path::new(name).extension() == Some(OsStr::new(extension)))
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_names_the_one_that_is_alike() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        std::fs::write(file("night.toml"), "").unwrap();
        let error = read_local(&file("nigth.toml")).unwrap_err();
        assert!(error.ends_with("night.toml?"), "{error}");
        let error = read_local(&file("other.toml")).unwrap_err();
        assert!(!error.contains("did you mean"), "{error}");
        let error = read_local(folder.path()).unwrap_err();
        assert!(
            error.contains("is a folder") && error.contains("night.toml"),
            "{error}"
        );
    }

    #[test]
    fn sql_is_told_from_names() {
        for sql in [
            "SELECT 1",
            "with a as (select 1) select 2",
            "a\nb",
            "VALUES (1)",
            "select(1) + 1",
        ] {
            assert!(is_sql(sql), "{sql}");
        }
        for name in ["select.sql", "errors.sql", "s3://acme/select", "select", ""] {
            assert!(!is_sql(name), "{name}");
        }
    }

    #[test]
    fn syntax_of_shells_is_no_location() {
        for (text, meant) in [
            ("~/x", "\"${HOME}/x\""),
            ("$HOME/x", "\"${HOME}/x\""),
            ("arn:aws:s3:::acme/x", "\"s3://acme/x\""),
        ] {
            assert_eq!(meant_location(text).as_deref(), Some(meant));
        }
        for fine in ["x", "${HOME}/x", "./~/x", "$", "s3://acme"] {
            assert_eq!(meant_location(fine), None, "{fine}");
        }
    }
}
