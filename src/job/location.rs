//! Locations of objects: `s3://bucket/prefix`, `file:///path` or a plain path.

use std::fmt;
use std::path::{Component, Path as FilePath, PathBuf};

use object_store::path::Path;

/// A bucket with a prefix, or a folder on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Location {
    /// `s3://bucket/prefix`
    S3 {
        /// The bucket's name.
        bucket: String,
        /// The prefix of every key; may be empty.
        prefix: Path,
    },
    /// An absolute path without `.` and `..`.
    Local(PathBuf),
}

impl Location {
    /// Parses a location. A relative path is relative to `base`.
    ///
    /// # Errors
    /// A message with the text and the expected form.
    pub fn parse(text: &str, base: &FilePath) -> Result<Self, String> {
        if text.is_empty() {
            return Err("a location is empty: expected s3://bucket/prefix or a path".to_owned());
        }
        if let Some(rest) = text.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            let named = (3..=63).contains(&bucket.len())
                && bucket.bytes().all(|b| {
                    b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.'
                });
            if !named {
                return Err(format!(
                    "{text:?} has no valid bucket name: expected s3://bucket/prefix, with a bucket name of 3 to 63 lowercase letters, digits, hyphens and dots"
                ));
            }
            let prefix = Path::parse(prefix.trim_matches('/'))
                .map_err(|error| format!("{text:?} is not a valid location: {error}"))?;
            return Ok(Self::S3 {
                bucket: bucket.to_owned(),
                prefix,
            });
        }
        let path = match text.strip_prefix("file://") {
            Some(path) if path.starts_with('/') => path,
            _ => {
                ensure_path(text)?;
                text
            }
        };
        let absolute = std::path::absolute(base.join(path))
            .map_err(|error| format!("{text:?} is not a valid location: {error}"))?;
        Ok(Self::Local(normalize(&absolute)))
    }

    /// Whether it is on this machine.
    pub fn is_local(&self) -> bool {
        matches!(self, Self::Local(_))
    }

    /// How everything below it begins: `s3://bucket/prefix/`, or an absolute path with a slash at its end.
    pub fn beginning(&self) -> String {
        let location = match self {
            Self::S3 { bucket, prefix } => format!("s3://{bucket}/{prefix}"),
            Self::Local(path) => path.display().to_string(),
        };
        format!("{}/", location.trim_end_matches('/'))
    }

    /// The location of a folder below this one.
    pub fn below(&self, folder: &str) -> Self {
        match self {
            Self::S3 { bucket, prefix } => Self::S3 {
                bucket: bucket.clone(),
                prefix: prefix.clone().join(folder),
            },
            Self::Local(path) => Self::Local(path.join(folder)),
        }
    }

    /// The location's full key in its store, which is the bucket or the root of the file system.
    pub fn key(&self) -> Result<Path, String> {
        match self {
            Self::S3 { prefix, .. } => Ok(prefix.clone()),
            Self::Local(path) => Path::from_absolute_path(path)
                .map_err(|error| format!("{} can't be a location: {error}", path.display())),
        }
    }

    /// A key of this location's store for messages: `s3://bucket/key`, or a path, relative if it is below the working
    /// folder.
    pub fn display_key(&self, key: &Path) -> String {
        match self {
            Self::S3 { bucket, .. } => format!("s3://{bucket}/{key}"),
            Self::Local(_) => shorten(FilePath::new(&format!("/{key}"))),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S3 { bucket, prefix } if prefix.as_ref().is_empty() => write!(f, "s3://{bucket}"),
            Self::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
            Self::Local(path) => f.write_str(&shorten(path)),
        }
    }
}

/// An error where the text is no path on this machine but an address, as of a web page or of another program's storage:
/// taken as a path, it would be a folder of that name.
///
/// # Errors
/// A message with the text and what to write instead.
pub fn ensure_path(text: &str) -> Result<(), String> {
    let is_on_windows = text.starts_with(r"\\")
        || matches!(text.as_bytes(), [drive, b':', b'\\' | b'/', ..] if drive.is_ascii_alphabetic());
    if is_on_windows {
        return Err(format!(
            "{text:?} is a path on Windows: expected s3://bucket/prefix, file:///path or a path such as /data/logs"
        ));
    }
    let Some((scheme, rest)) = text.split_once(':') else {
        return Ok(());
    };
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let lower = scheme.to_ascii_lowercase();
    let is_known = matches!(lower.as_str(), "s3" | "s3a" | "s3n" | "file" | "arn");
    if !is_scheme || !(is_known || rest.starts_with('/')) {
        return Ok(());
    }
    let path = rest.trim_start_matches('/');
    let instead = match lower.as_str() {
        "s3" | "s3a" | "s3n" => format!("s3://{path}"),
        "file" => "file:///absolute/path, or a path without \"file:\"".to_owned(),
        "arn" => match rest.strip_prefix("aws:s3:::") {
            Some(path) => format!("s3://{path}"),
            None => "s3://bucket/prefix".to_owned(),
        },
        _ => format!("s3://bucket/prefix, file:///path or a path, not {scheme:?}"),
    };
    Err(format!(
        "{text:?} is not a valid location: expected {instead}"
    ))
}

/// The path, relative to the working folder if it is below it.
fn shorten(path: &FilePath) -> String {
    let below = std::env::current_dir()
        .ok()
        .and_then(|here| path.strip_prefix(here).ok().map(PathBuf::from))
        .filter(|below| !below.as_os_str().is_empty());
    below
        .unwrap_or_else(|| path.to_owned())
        .display()
        .to_string()
}

/// Resolves `.` and `..` in the text alone, since the folders may not exist yet.
fn normalize(path: &FilePath) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Location, String> {
        Location::parse(text, FilePath::new("/jobs"))
    }

    #[test]
    fn buckets_folders_and_urls() {
        let s3 = parse("s3://acme-logs//exports/").unwrap();
        assert_eq!(s3.to_string(), "s3://acme-logs/exports");
        assert_eq!(parse("s3://acme").unwrap().to_string(), "s3://acme");
        assert_eq!(
            parse("../out/./x").unwrap(),
            Location::Local("/out/x".into())
        );
        assert_eq!(
            parse("file:///data").unwrap(),
            Location::Local("/data".into())
        );
        for bad in [
            "",
            "s3://",
            "s3://A_B/x",
            "s3:///x",
            "https://x/y",
            "file://host/x",
            "gs://x/y",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses_of_other_kinds_are_no_paths() {
        for (text, expected) in [
            ("s3:/bucket/x", "expected s3://bucket/x"),
            ("s3:bucket/x", "expected s3://bucket/x"),
            ("s3:///bucket/x", "bucket name"),
            ("S3://bucket/x", "expected s3://bucket/x"),
            ("s3a://bucket/x", "expected s3://bucket/x"),
            ("arn:aws:s3:::bucket/x", "expected s3://bucket/x"),
            ("gs://bucket/x", "not \"gs\""),
            ("hdfs:/data", "not \"hdfs\""),
            ("git+ssh://host/x", "not \"git+ssh\""),
            ("https://bucket.s3.amazonaws.com/x", "not \"https\""),
            ("file:data", "expected file:///absolute/path"),
            ("file:/data", "expected file:///absolute/path"),
            ("file://host/data", "expected file:///absolute/path"),
            ("FILE:///data", "expected file:///absolute/path"),
            (r"C:\logs", "a path on Windows"),
            ("C:/logs", "a path on Windows"),
            (r"\\server\logs", "a path on Windows"),
        ] {
            let told = parse(text).unwrap_err();
            assert!(told.contains(&format!("{text:?}")), "{told}");
            assert!(told.contains(expected), "{told}");
        }
        for path in [
            "a:b",
            "2024-02-13T21:01/x",
            "./s3:/x",
            "/s3:/x",
            "c:",
            "x y:/z",
            ":/x",
        ] {
            assert!(parse(path).unwrap().is_local(), "{path}");
        }
    }

    #[test]
    fn keys_are_shown_with_their_bucket() {
        let s3 = parse("s3://acme/x").unwrap();
        assert_eq!(s3.display_key(&Path::from("x/y")), "s3://acme/x/y");
        let local = parse("/out").unwrap();
        assert_eq!(local.display_key(&Path::from("out/y")), "/out/y");
    }
}
