//! Where an answer goes: stdout, or a file or an object, which appears whole or not at all.

use std::fs::{File, Permissions};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tempfile::NamedTempFile;

use crate::aws::Account;
use crate::error::{Class, Error, Result};
use crate::job::{Location, ensure_path};
use crate::store::{Body, Store, Stores};
use crate::temporary::{self, Temporary};

/// What `--output` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// stdout.
    Stdout,
    /// A file on this machine.
    File(PathBuf),
    /// An object of a bucket; the location is its key.
    Object(Location),
}

impl Destination {
    /// Reads the option; `-`, or no option, is stdout.
    ///
    /// # Errors
    /// What can't be written, found out before the query is computed: usage for a wrong name, output for a folder that does
    /// not exist.
    pub fn parse(output: Option<&str>) -> Result<Self> {
        let text = match output {
            None | Some("-") => return Ok(Self::Stdout),
            Some(text) => text,
        };
        if text.starts_with("s3://") {
            let location = Location::parse(text, Path::new("/"));
            let location = location.map_err(|error| Error::usage(format!("--output: {error}")))?;
            let has_key =
                matches!(&location, Location::S3 { prefix, .. } if !prefix.as_ref().is_empty());
            return match has_key && !text.ends_with('/') {
                true => Ok(Self::Object(location)),
                false => Err(Error::usage(format!(
                    "--output {text} names no object: expected s3://bucket/key, such as {}/answer.csv",
                    text.trim_end_matches('/')
                ))),
            };
        }
        ensure_path(text).map_err(|error| Error::usage(format!("--output: {error}")))?;
        let file = Path::new(text.strip_prefix("file://").unwrap_or(text));
        if file.is_dir() {
            return Err(Error::usage(format!(
                "--output {text} is a folder: expected the name of a file, such as {}",
                file.join("answer.csv").display()
            )));
        }
        // A link stays, and the file that it leads to is replaced.
        let file = match file.is_symlink() {
            true => std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned()),
            false => file.to_owned(),
        };
        let folder = folder(&file);
        match folder.is_dir() {
            true => Ok(Self::File(file)),
            false => Err(Error::new(
                Class::Output,
                format!(
                    "can't write {text}: the folder {} does not exist",
                    folder.display()
                ),
            )),
        }
    }

    /// Opens it: of an object, the bucket is looked up.
    pub async fn open(&self, stores: &Stores) -> Result<Target> {
        Ok(match self {
            Self::Stdout => Target::Stdout,
            Self::File(file) => match std::fs::metadata(file).map(|meta| meta.file_type()) {
                Ok(kind) if kind.is_char_device() || kind.is_fifo() => Target::Device(file.clone()),
                _ => Target::File(file.clone()),
            },
            Self::Object(location) => {
                let store = stores.open(location, Account::Output).await?;
                Target::Object(Box::new(store))
            }
        })
    }
}

/// A destination that can be written.
#[derive(Debug, Clone)]
pub enum Target {
    /// stdout.
    Stdout,
    /// A file, which is replaced when the answer is whole.
    File(PathBuf),
    /// A device or a pipe, which nothing takes the place of.
    Device(PathBuf),
    /// The object at the root of this store, which is put when the answer is whole.
    Object(Box<Store>),
}

impl Target {
    /// Its name, for messages.
    pub fn name(&self) -> String {
        match self {
            Self::Stdout => "the answer".to_owned(),
            Self::File(file) | Self::Device(file) => file.display().to_string(),
            Self::Object(store) => store.display(store.root()),
        }
    }

    /// A file that takes the place of this target when it is published; `scratch` is a folder for temporary files. `None` for
    /// what is written as it comes.
    pub fn draft(&self, scratch: &Path) -> Result<Option<Draft>> {
        let folder = match self {
            Self::Stdout | Self::Device(_) => return Ok(None),
            Self::File(file) => folder(file),
            Self::Object(_) => scratch,
        };
        let file = new_file(folder).map_err(|error| write_error(&self.name(), error))?;
        Ok(Some(Draft {
            _noted: temporary::note(file.path()),
            file,
            target: self.clone(),
        }))
    }

    /// Writes all of these bytes.
    pub async fn put(&self, bytes: Vec<u8>, content_type: &str) -> Result<()> {
        let failed = |error| write_error(&self.name(), error);
        match self {
            Self::Object(store) => put(store, Body::Bytes(Bytes::from(bytes)), content_type).await,
            Self::Device(file) => std::fs::write(file, bytes).map_err(failed),
            Self::Stdout | Self::File(_) => {
                let Some(draft) = self.draft(Path::new("."))? else {
                    return Ok(());
                };
                std::fs::write(draft.path(), bytes).map_err(failed)?;
                draft.publish(content_type).await
            }
        }
    }
}

/// A file that is being written. If it is dropped, it is removed.
pub struct Draft {
    file: NamedTempFile,
    _noted: Temporary,
    target: Target,
}

impl Draft {
    /// The file, at its start.
    pub fn file(&self) -> Result<File> {
        let file = self.file.reopen();
        file.map_err(|error| write_error(&self.target.name(), error))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Puts it in the place of its target.
    pub async fn publish(self, content_type: &str) -> Result<()> {
        let name = self.target.name();
        match self.target {
            Target::File(file) => self
                .file
                .persist(file)
                .map(drop)
                .map_err(|error| write_error(&name, error.error)),
            Target::Object(store) => {
                let body = Body::File(self.file.path().to_owned());
                put(&store, body, content_type).await
            }
            Target::Stdout | Target::Device(_) => Ok(()),
        }
    }
}

async fn put(store: &Store, body: Body, content_type: &str) -> Result<()> {
    let key = store.root();
    let seen = store.as_it_is(key).await?;
    store.put_if(key, body, content_type, &seen).await.map(drop)
}

/// A temporary file that others may read as any new file.
pub fn new_file(folder: &Path) -> std::io::Result<NamedTempFile> {
    tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)
        // Its own text has the name of the temporary file.
        .map_err(|error| error.kind().into())
}

fn folder(file: &Path) -> &Path {
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// Why a file could not be written.
pub fn write_error(name: &str, error: std::io::Error) -> Error {
    Error::new(Class::Output, format!("can't write {name}")).caused_by(error)
}
