//! Where the text of a job or of its SQL is: on this machine, in a bucket, or on standard input. A job's relative paths
//! are relative to it.

use std::fmt;
use std::path::{Path as FilePath, PathBuf};

use object_store::path::Path;

use super::location::{Location, ensure_path};

/// A text file, an object with a text, or standard input.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TextFile {
    /// A file on this machine.
    Local(PathBuf),
    /// `s3://bucket/key`
    S3 {
        /// The bucket's name.
        bucket: String,
        /// The object's key.
        key: Path,
    },
    /// `-`
    Stdin,
}

impl TextFile {
    /// The file that an argument names: `s3://bucket/key`, `-` or a path.
    ///
    /// # Errors
    /// A message with the text and the expected form.
    pub fn parse(argument: &FilePath) -> Result<Self, String> {
        match argument.to_str() {
            Some("-") => Ok(Self::Stdin),
            Some(url) if url.starts_with("s3://") => Self::of_url(url),
            Some(text) => ensure_path(text).map(|()| Self::Local(argument.to_owned())),
            None => Ok(Self::Local(argument.to_owned())),
        }
    }

    fn of_url(url: &str) -> Result<Self, String> {
        match Location::parse(url, FilePath::new("/"))? {
            Location::S3 { bucket, prefix } if !prefix.as_ref().is_empty() => Ok(Self::S3 {
                bucket,
                key: prefix,
            }),
            _ => Err(format!(
                "{url:?} names no file: expected s3://bucket/folder/file"
            )),
        }
    }

    /// Its name in messages.
    pub fn name(&self) -> String {
        match self {
            Self::Stdin => "standard input".to_owned(),
            _ => self.to_string(),
        }
    }

    /// The location that this file calls `text`. A relative one is relative to the file's folder; on standard input, to
    /// the working folder.
    ///
    /// # Errors
    /// A message with the text and the expected form.
    pub fn location(&self, text: &str) -> Result<Location, String> {
        match self {
            Self::S3 { bucket, key } if is_relative(text) => {
                let key = beside(key, text)?;
                Location::parse(&format!("s3://{bucket}/{key}"), FilePath::new("/"))
            }
            _ => Location::parse(text, &self.folder()),
        }
    }

    /// The text file that this file calls `text`.
    ///
    /// # Errors
    /// A message with the text and the expected form.
    pub fn file(&self, text: &str) -> Result<Self, String> {
        match self {
            _ if text.starts_with("s3://") => Self::of_url(text),
            Self::S3 { bucket, key } if is_relative(text) => {
                Self::of_url(&format!("s3://{bucket}/{}", beside(key, text)?))
            }
            _ => ensure_path(text).map(|()| Self::Local(self.folder().join(text))),
        }
    }

    /// The folder on this machine that relative paths are relative to.
    fn folder(&self) -> PathBuf {
        match self {
            Self::Local(file) => file.parent().map_or_else(PathBuf::new, FilePath::to_owned),
            Self::S3 { .. } | Self::Stdin => PathBuf::new(),
        }
    }
}

fn is_relative(text: &str) -> bool {
    !text.is_empty() && !text.starts_with('/') && !text.contains("://")
}

/// The key that `text` means beside an object: `..` leads to the folder above.
fn beside(key: &Path, text: &str) -> Result<String, String> {
    let mut parts: Vec<&str> = key.as_ref().split('/').collect();
    parts.pop();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop().ok_or_else(|| {
                    format!("{text:?} leads out of the bucket, relative to the job file {key}")
                })?;
            }
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

/// As an argument names it.
impl fmt::Display for TextFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(file) => write!(f, "{}", file.display()),
            Self::S3 { bucket, key } => write!(f, "s3://{bucket}/{key}"),
            Self::Stdin => f.write_str("-"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(argument: &str) -> TextFile {
        TextFile::parse(FilePath::new(argument)).unwrap()
    }

    #[test]
    fn a_job_in_a_bucket_finds_what_is_beside_it() {
        let job = file("s3://acme/jobs/night/job.toml");
        assert_eq!(job.to_string(), "s3://acme/jobs/night/job.toml");
        let sql = |text: &str| job.file(text).map(|file| file.to_string());
        for (text, expected) in [
            ("errors.sql", "s3://acme/jobs/night/errors.sql"),
            ("./sql/errors.sql", "s3://acme/jobs/night/sql/errors.sql"),
            ("../errors.sql", "s3://acme/jobs/errors.sql"),
            ("s3://other/errors.sql", "s3://other/errors.sql"),
            ("/etc/errors.sql", "/etc/errors.sql"),
        ] {
            assert_eq!(sql(text).as_deref(), Ok(expected), "{text}");
        }
        assert!(
            sql("../../../errors.sql")
                .unwrap_err()
                .contains("out of the bucket")
        );
        let location = |text: &str| job.location(text).map(|location| location.to_string());
        assert_eq!(
            location("../../answers").as_deref(),
            Ok("s3://acme/answers")
        );
        assert_eq!(location("s3://x-y-z/a").as_deref(), Ok("s3://x-y-z/a"));
        assert_eq!(location("/tmp/answers").as_deref(), Ok("/tmp/answers"));
        assert!(location("").is_err());
    }

    #[test]
    fn a_job_on_this_machine_finds_what_is_beside_it() {
        let job = file("jobs/night.toml");
        assert_eq!(job.file("a.sql").unwrap(), file("jobs/a.sql"));
        assert_eq!(
            job.file("s3://acme/a.sql").unwrap(),
            file("s3://acme/a.sql")
        );
        let here = std::env::current_dir().unwrap();
        assert_eq!(
            job.location("../out").unwrap(),
            Location::Local(here.join("out"))
        );
        let stdin = file("-");
        assert_eq!(
            (stdin.to_string(), stdin.name()),
            ("-".into(), "standard input".into())
        );
        assert_eq!(
            stdin.location("out").unwrap(),
            Location::Local(here.join("out"))
        );
        assert_eq!(stdin.file("a.sql").unwrap(), file("a.sql"));
    }

    #[test]
    fn a_bucket_alone_is_no_file() {
        for url in ["s3://acme", "s3://acme/", "s3://", "s3://A_B/x"] {
            assert!(TextFile::parse(FilePath::new(url)).is_err(), "{url}");
        }
    }
}
