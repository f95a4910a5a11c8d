//! What depends on how an answer is divided: its local files, its keys, the order in which its objects are put, what
//! happens to the objects of an earlier answer, and which answers one table can read.

use std::collections::HashSet;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::runtime::SpawnedTask;
use datafusion::execution::memory_pool::MemoryPool;
use object_store::path::Path;
use sha2::{Digest, Sha256};

use super::archive::Numbered;
use super::parquet::{Metadata, Spool, Spooled, only_file};
use super::partitioned::{self, Destination, Partitioned};
use crate::error::{Class, Error, Result};
use crate::job::{Division, Name};
use crate::layout::{self, AnswerKeys, Keys};
use crate::query::Session;
use crate::store::{Store, Written};
use crate::window::Size;

impl Division {
    /// Checks that an answer of these columns can be divided so. Errors (usage): the answer does not have a column, a
    /// column is not text, or no column stays in the files.
    pub fn check(&self, schema: &Schema) -> Result<()> {
        match self {
            Self::Whole | Self::BySize(_) => Ok(()),
            Self::Numbered { by, .. } if by.is_empty() => Ok(()),
            Self::ByValue(columns) | Self::Numbered { by: columns, .. } => {
                partitioned::columns(schema, columns).map(drop)
            }
        }
    }

    /// Begins the local files of an answer, to be divided when they are complete. What they hold in memory is reserved in
    /// the pool. Numbered files are written by [`archive`](super::archive), which has an order of rows of its own.
    pub fn spool(
        &self,
        path: PathBuf,
        schema: SchemaRef,
        metadata: &Metadata,
        pool: &Arc<dyn MemoryPool>,
    ) -> Result<Spool> {
        let spool = Spool::create(path, schema, metadata, pool)?;
        Ok(match self {
            Self::Whole | Self::ByValue(_) => spool,
            Self::BySize(bytes)
            | Self::Numbered {
                file_size: bytes, ..
            } => spool.with_file_size(*bytes),
        })
    }

    /// Divides what that spool wrote. Further files are in a new folder below `folder`. Errors (SQL): a value can't
    /// name a folder, or there are too many values.
    pub async fn divide(
        &self,
        spooled: Vec<Spooled>,
        session: &Session,
        metadata: &Metadata,
        folder: &FilePath,
        answer: AnswerKeys<'_>,
    ) -> Result<Divided> {
        match self {
            Self::Whole => Ok(Divided::Whole(only_file(spooled)?)),
            Self::ByValue(columns) => {
                let whole = only_file(spooled)?;
                let to = Destination::of(answer);
                let folder = new_folder(folder)?;
                let partitioned =
                    partitioned::split(session, &whole, columns, metadata, &folder, &to).await?;
                Ok(Divided::ByValue { whole, partitioned })
            }
            Self::BySize(_) => Ok(Divided::BySize {
                generation: generation(&spooled).await?,
                parts: spooled,
            }),
            Self::Numbered { .. } => Err(Error::new(
                Class::Unexpected,
                "numbered files are divided when they are written",
            )),
        }
    }

    /// The key that readers begin with; `None` where they list the answer's folder.
    pub fn fixed_key(&self, answer: AnswerKeys<'_>) -> Option<Path> {
        match self {
            Self::Whole => Some(answer.file()),
            Self::ByValue(_) | Self::Numbered { .. } => None,
            Self::BySize(_) => Some(answer.parts_list()),
        }
    }

    /// The keys of the answer that depend on its rows; `None` where none does.
    pub fn keys_by_rows(&self, answer: AnswerKeys<'_>) -> Option<KeysByRows> {
        match self {
            Self::Whole => None,
            Self::ByValue(columns) => Some(KeysByRows {
                folder: answer.folder(),
                pattern: answer.pattern_of_files(columns.iter().map(Name::as_str)),
            }),
            Self::BySize(_) => Some(KeysByRows {
                folder: answer.parts_folder(),
                pattern: answer.pattern_of_parts(),
            }),
            Self::Numbered { by, .. } => Some(KeysByRows {
                folder: answer.folder(),
                pattern: answer.pattern_of_numbered(by.iter().map(Name::as_str)),
            }),
        }
    }

    /// The folder of the parts of this answer and of others, where it has parts.
    pub fn parts_folder(&self, answer: AnswerKeys<'_>) -> Option<Path> {
        match self {
            Self::Whole | Self::ByValue(_) | Self::Numbered { .. } => None,
            Self::BySize(_) => Some(answer.parts_folder()),
        }
    }

    /// The parts that the answer's present list names; none where there is no list.
    pub async fn listed_parts(&self, store: &Store, answer: AnswerKeys<'_>) -> Result<Vec<Path>> {
        match self {
            Self::Whole | Self::ByValue(_) | Self::Numbered { .. } => Ok(Vec::new()),
            Self::BySize(_) => {
                let list = answer.parts_list();
                let text = store.get(&list).await?.unwrap_or_default();
                let text = String::from_utf8_lossy(&text);
                Ok(answer
                    .of_job()
                    .read_parts_list(answer.query(), &list, &text))
            }
        }
    }

    /// The keys among `there` to delete once the answer is put: parts and numbered files of earlier answers that are not
    /// in use. Files by value stay, since [`Divided::objects`] replaces them.
    pub fn outdated<'a>(
        &self,
        answer: AnswerKeys<'_>,
        there: impl Iterator<Item = &'a Path>,
        is_in_use: impl Fn(&Path) -> bool,
    ) -> Vec<&'a Path> {
        match self {
            Self::Whole | Self::ByValue(_) => Vec::new(),
            Self::BySize(_) => there
                .filter(|key| answer.is_part(key) && !is_in_use(key))
                .collect(),
            Self::Numbered { .. } => there
                .filter(|key| answer.columns_of_numbered(key).is_some() && !is_in_use(key))
                .collect(),
        }
    }
}

/// Keys of an answer that depend on its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeysByRows {
    /// The folder that they are below.
    pub folder: Path,
    /// A pattern of them, for display.
    pub pattern: Path,
}

/// An answer in local files, divided.
#[derive(Debug)]
pub enum Divided {
    /// In one file.
    Whole(Spooled),
    /// In a file for each combination of values.
    ByValue {
        /// All rows in one file, for the queries that read this answer.
        whole: Spooled,
        /// The files that are put.
        partitioned: Partitioned,
    },
    /// In parts of a size.
    BySize {
        /// The parts, in the order of the rows.
        parts: Vec<Spooled>,
        /// Differs between answers of different bytes.
        generation: u64,
    },
    /// In parts of a size that workers have put, in the order of the rows; at least one.
    Put(Vec<PutPart>),
    /// In numbered files of a size.
    Numbered(Numbered),
}

/// A part of an answer that is at its place already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutPart {
    /// The object.
    pub written: Written,
    /// Its rows.
    pub rows: u64,
}

/// An object of an answer.
#[derive(Debug)]
pub struct AnswerObject<'a> {
    /// Its key.
    pub key: Path,
    /// What is put there.
    pub content: ObjectContent<'a>,
}

/// What an object of an answer holds.
#[derive(Debug)]
pub enum ObjectContent<'a> {
    /// Rows.
    File(&'a Spooled),
    /// No rows, in place of a file that only the earlier answer has, and that is deleted later.
    LeftOver(&'a Spooled),
    /// Rows that are there already.
    Put(&'a PutPart),
    /// The URLs of the answer's parts.
    PartsList(String),
}

impl Divided {
    /// The files of all rows and columns, in the order of the rows; none of what is put already.
    pub fn in_order(&self) -> &[Spooled] {
        match self {
            Self::Put(_) => &[],
            Self::Whole(file) | Self::ByValue { whole: file, .. } => std::slice::from_ref(file),
            Self::BySize { parts, .. } => parts,
            Self::Numbered(numbered) => &numbered.files,
        }
    }

    /// The objects to put, in this order. `there` has the keys of the objects that exist already.
    ///
    /// By value: a file of values that only the earlier answer has is replaced by one without rows. By size: parts have
    /// keys that no other answer has, and are put before the list that names them, so that readers switch from the
    /// earlier answer to this one when the list is put. Numbered: files that only the earlier answer has are replaced by
    /// ones without rows, which are deleted behind the receipt.
    pub fn objects<'a, 'k>(
        &'a self,
        answer: AnswerKeys<'_>,
        there: impl Iterator<Item = &'k Path>,
    ) -> Vec<AnswerObject<'a>> {
        let file = |key: Path, file: &'a Spooled| AnswerObject {
            key,
            content: ObjectContent::File(file),
        };
        match self {
            Self::Whole(whole) => vec![file(answer.file(), whole)],
            Self::ByValue { partitioned, .. } => {
                let keys: Vec<Path> = partitioned.keys(answer).collect();
                let put: HashSet<&Path> = keys.iter().collect();
                let columns = partitioned.columns.len();
                let gone = there.filter(|key| {
                    let of_key = answer.columns_of(key);
                    of_key.is_some_and(|of_key| of_key.len() == columns) && !put.contains(key)
                });
                let gone: Vec<Path> = gone.cloned().collect();
                let files = keys.into_iter().zip(partitioned.files.values());
                let emptied = gone.into_iter().map(|key| (key, &partitioned.empty));
                files
                    .chain(emptied)
                    .map(|(key, spooled)| file(key, spooled))
                    .collect()
            }
            Self::Numbered(numbered) => {
                let keys: Vec<Path> = numbered.keys(answer).collect();
                let put: HashSet<&Path> = keys.iter().collect();
                let gone = there
                    .filter(|key| answer.columns_of_numbered(key).is_some() && !put.contains(key));
                let gone: Vec<Path> = gone.cloned().collect();
                let emptied = gone.into_iter().map(|key| AnswerObject {
                    key,
                    content: ObjectContent::LeftOver(&numbered.empty),
                });
                // First what is gone, so that an event that moves to another file is never in two of them.
                let files = keys.into_iter().zip(&numbered.files);
                emptied
                    .chain(files.map(|(key, spooled)| file(key, spooled)))
                    .collect()
            }
            Self::BySize { parts, generation } => {
                let keys = (0..parts.len()).map(|number| answer.part(*generation, number));
                let files = keys.zip(parts);
                with_their_list(answer, files.map(|(key, part)| file(key, part)).collect())
            }
            Self::Put(parts) => {
                let there = parts.iter().map(|part| AnswerObject {
                    key: part.written.key.clone(),
                    content: ObjectContent::Put(part),
                });
                with_their_list(answer, there.collect())
            }
        }
    }
}

/// The parts of an answer, and behind them the list that names them.
fn with_their_list<'a>(
    answer: AnswerKeys<'_>,
    mut parts: Vec<AnswerObject<'a>>,
) -> Vec<AnswerObject<'a>> {
    let keys: Vec<Path> = parts.iter().map(|part| part.key.clone()).collect();
    parts.push(AnswerObject {
        key: answer.parts_list(),
        content: ObjectContent::PartsList(answer.write_parts_list(&keys)),
    });
    parts
}

/// Makes a new folder, which is deleted with the folder that it is in.
fn new_folder(below: &FilePath) -> Result<PathBuf> {
    let made = tempfile::tempdir_in(below).map_err(|error| {
        let what = format!("can't make a temporary folder in {}", below.display());
        Error::new(Class::Output, what).caused_by(error)
    });
    Ok(made?.keep())
}

/// A number that differs between files of different bytes.
pub async fn generation(files: &[Spooled]) -> Result<u64> {
    let paths: Vec<PathBuf> = files.iter().map(|file| file.path.clone()).collect();
    let hash = SpawnedTask::spawn_blocking(move || {
        let mut hash = Sha256::new();
        let mut block = vec![0; 1 << 20];
        for path in paths {
            let mut file = File::open(path)?;
            while let read @ 1.. = file.read(&mut block)? {
                hash.update(&block[..read]);
            }
        }
        Ok(hash.finalize())
    });
    let hash = hash.join_unwind().await.map_err(io::Error::other);
    let hash = hash.flatten().map_err(|error: io::Error| {
        Error::new(Class::Output, "can't read the parts of an answer").caused_by(error)
    })?;
    Ok(hash[..8]
        .iter()
        .fold(0, |all, byte| all << 8 | u64::from(*byte)))
}

/// How the answers of a table are divided: no table can read answers of two kinds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DividedBy {
    /// In one file.
    Nothing,
    /// By the values of these columns.
    Values(Vec<String>),
    /// By the size of the files.
    Size,
    /// In numbered files, in folders of the values of these columns.
    Numbered(Vec<String>),
}

impl From<&Division> for DividedBy {
    fn from(division: &Division) -> Self {
        match division {
            Division::Whole => Self::Nothing,
            Division::ByValue(columns) => {
                Self::Values(columns.iter().map(ToString::to_string).collect())
            }
            Division::BySize(_) => Self::Size,
            Division::Numbered { by, .. } => {
                Self::Numbered(by.iter().map(ToString::to_string).collect())
            }
        }
    }
}

impl fmt::Display for DividedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("one file"),
            Self::Values(columns) => write!(f, "divided by ({})", columns.join(", ")),
            Self::Size => f.write_str("divided by size"),
            Self::Numbered(columns) if columns.is_empty() => f.write_str("in numbered files"),
            Self::Numbered(columns) => {
                write!(f, "in numbered files by ({})", columns.join(", "))
            }
        }
    }
}

/// A query's answer in its last folder.
#[derive(Debug, PartialEq, Eq)]
pub struct NewestAnswer {
    /// The key that readers begin with.
    pub key: Path,
    /// A file of its rows.
    pub file: Path,
    /// The columns of the folders that it is in, those of its window first.
    columns: Vec<String>,
    kind: FileKind,
}

/// What the key of an answer is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileKind {
    /// The one file of some rows.
    File,
    /// A list of parts.
    PartsList,
    /// One of several numbered files.
    Numbered,
}

impl NewestAnswer {
    /// The newest answer of a query; `None` where it has none.
    pub async fn find(store: &Store, keys: &Keys, query: &str) -> Result<Option<Self>> {
        let owned = |columns: Vec<&str>| columns.into_iter().map(str::to_owned).collect();
        let is_answer = |key: &Path| {
            keys.columns_of_answer(query, key).is_some()
                || keys.columns_of_parts_list(query, key).is_some()
                || keys.columns_of_numbered(query, key).is_some()
        };
        let Some(key) = store
            .last(&keys.answers_folder(query), |_| true, is_answer)
            .await?
        else {
            return Ok(None);
        };
        let of_file = keys.columns_of_answer(query, &key);
        let of_file = of_file.map(|columns| (columns, FileKind::File));
        let of_numbered = keys.columns_of_numbered(query, &key);
        let of_numbered = of_numbered.map(|columns| (columns, FileKind::Numbered));
        if let Some((columns, kind)) = of_file.or(of_numbered) {
            return Ok(Some(Self {
                file: key.clone(),
                columns: owned(columns),
                kind,
                key,
            }));
        }
        let columns = keys.columns_of_parts_list(query, &key).map(owned);
        let (Some(columns), Some(text)) = (columns, store.get(&key).await?) else {
            return Ok(None);
        };
        let parts = keys.read_parts_list(query, &key, &String::from_utf8_lossy(&text));
        Ok(parts.into_iter().next().map(|file| Self {
            key,
            file,
            columns,
            kind: FileKind::PartsList,
        }))
    }

    /// How it is divided; `None` where it is not of a window of this size.
    pub fn divided_by(&self, size: Size) -> Option<DividedBy> {
        let columns: Vec<&str> = self.columns.iter().map(String::as_str).collect();
        let of_values = columns.strip_prefix(layout::partition_keys(size))?;
        let of_values = || of_values.iter().map(ToString::to_string).collect();
        Some(match (self.kind, of_values()) {
            (FileKind::PartsList, _) => DividedBy::Size,
            (FileKind::Numbered, columns) => DividedBy::Numbered(columns),
            (FileKind::File, columns) if columns.is_empty() => DividedBy::Nothing,
            (FileKind::File, columns) => DividedBy::Values(columns),
        })
    }
}

#[cfg(test)]
mod tests;
