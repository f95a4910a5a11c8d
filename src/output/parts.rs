//! Parts of an answer that workers write: each worker those of its sections, with credentials of its own. Nothing reads them
//! before the run that ordered them has put the list of all.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion_proto::protobuf;
use object_store::path::Path;
use prost::Message;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::division::PutPart;
use super::parquet::{CONTENT_TYPE, Metadata, Spool, Spooled};
use crate::aws::Account;
use crate::error::{Class, Error, Result};
use crate::job::{Encryption, Location};
use crate::layout::PartKeys;
use crate::query::cluster::{Section, SectionWriter, WriteOrder, WriteSections};
use crate::store::{Body, Condition, Store, Stores, Written};

/// What the parts of an answer have in common, and where they belong. It has no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartsOrder {
    bucket: String,
    encryption: Option<Encryption>,
    keys: PartKeys,
    /// The columns, as the engine writes them to other processes.
    columns: Vec<u8>,
    metadata: Metadata,
    file_size: u64,
}

impl PartsOrder {
    /// Parts of a size with these keys; `None` in a folder, since the folder of a worker may be on another machine.
    ///
    /// # Errors
    /// `Unexpected` for columns that can't be sent.
    pub fn new(
        store: &Store,
        keys: PartKeys,
        columns: &Schema,
        metadata: &Metadata,
        file_size: u64,
    ) -> Result<Option<Self>> {
        let Location::S3 { bucket, .. } = store.location() else {
            return Ok(None);
        };
        let columns = protobuf::Schema::try_from(columns).map_err(wrong)?;
        Ok(Some(Self {
            bucket: bucket.clone(),
            encryption: store.encryption_of_puts().cloned(),
            keys,
            columns: columns.encode_to_vec(),
            metadata: metadata.clone(),
            file_size,
        }))
    }

    /// The order as workers get it.
    ///
    /// # Errors
    /// `Unexpected`, where it can't be written.
    pub fn to_workers(&self) -> Result<WriteOrder> {
        Ok(WriteOrder {
            order: serde_json::to_vec(self).map_err(wrong)?.into(),
            least_text: self.file_size,
        })
    }

    fn from_coordinator(order: &[u8]) -> Result<Self> {
        serde_json::from_slice(order).map_err(wrong)
    }

    fn columns(&self) -> Result<SchemaRef> {
        let columns = protobuf::Schema::decode(&self.columns[..]).map_err(wrong)?;
        let columns = Schema::try_from(&columns).map_err(wrong)?;
        Ok(Arc::new(columns))
    }
}

fn wrong(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    let what = "what workers are to write, or have written, can't be sent";
    Error::new(Class::Unexpected, what).caused_by(cause)
}

/// A part that was put, as a worker reports it.
#[derive(Debug, Serialize, Deserialize)]
struct PartReport {
    key: String,
    etag: Option<String>,
    bytes: u64,
    rows: u64,
}

impl PutPart {
    fn to_report(&self) -> Result<String> {
        let report = PartReport {
            key: self.written.key.to_string(),
            etag: self.written.etag.clone(),
            bytes: self.written.bytes,
            rows: self.rows,
        };
        serde_json::to_string(&report).map_err(wrong)
    }

    /// The part that a worker reports.
    ///
    /// # Errors
    /// `Unexpected` for what no worker writes.
    pub fn from_report(report: &str) -> Result<Self> {
        let report: PartReport = serde_json::from_str(report).map_err(wrong)?;
        Ok(Self {
            written: Written {
                key: Path::parse(&report.key).map_err(wrong)?,
                etag: report.etag,
                bytes: report.bytes,
            },
            rows: report.rows,
        })
    }
}

/// Writes the sections of a worker.
#[derive(Debug)]
pub struct PartsWriter {
    stores: Stores,
    scratch: PathBuf,
}

impl PartsWriter {
    /// A writer whose files are in a folder until they are put.
    pub fn new(stores: Stores, scratch: PathBuf) -> Self {
        Self { stores, scratch }
    }
}

#[async_trait]
impl WriteSections for PartsWriter {
    async fn begin(&self, section: Section<'_>) -> Result<Box<dyn SectionWriter>> {
        let order = PartsOrder::from_coordinator(section.order)?;
        let location = Location::S3 {
            bucket: order.bucket.clone(),
            prefix: Path::default(),
        };
        let store = self.stores.open(&location, Account::Output).await;
        let store = store.map_err(|error| error.during("a worker"))?;
        let folder = tempfile::tempdir_in(&self.scratch).map_err(|error| {
            let what = format!(
                "can't make a temporary folder in {}",
                self.scratch.display()
            );
            Error::new(Class::Output, what).caused_by(error)
        })?;
        let path = folder.path().join("part.parquet");
        let spool = Spool::create(path, order.columns()?, &order.metadata, section.pool)?;
        let spool = spool
            .with_file_size(order.file_size)
            .one_of(section.at_a_time);
        Ok(Box::new(OpenSection {
            spool,
            parts: Parts {
                store: store.encrypting(order.encryption),
                keys: order.keys,
                generation: section.generation,
                section: section.number,
                put: 0,
            },
            _folder: folder,
        }))
    }
}

/// A section on its way to parts.
struct OpenSection {
    spool: Spool,
    parts: Parts,
    /// Holds the files that are not put yet.
    _folder: TempDir,
}

#[async_trait]
impl SectionWriter for OpenSection {
    async fn write(&mut self, rows: RecordBatch) -> Result<Vec<String>> {
        self.spool.write(&rows).await?;
        self.parts.put(self.spool.take_full()).await
    }

    async fn finish(self: Box<Self>) -> Result<Vec<String>> {
        let Self {
            spool, mut parts, ..
        } = *self;
        let files = spool.finish().await?.into_iter();
        // A spool without rows makes a file for readers to find. Here the other sections may have rows.
        let with_rows = files.filter(|file| file.rows > 0);
        parts.put(with_rows.collect()).await
    }
}

/// The parts of a section that are put.
struct Parts {
    store: Store,
    keys: PartKeys,
    generation: u64,
    section: usize,
    /// How many there are.
    put: usize,
}

impl Parts {
    /// Puts files as the next parts, and deletes them here. Reports of them.
    async fn put(&mut self, files: Vec<Spooled>) -> Result<Vec<String>> {
        let mut reports = Vec::with_capacity(files.len());
        for file in files {
            reports.push(self.put_file(file).await?.to_report()?);
        }
        Ok(reports)
    }

    async fn put_file(&mut self, file: Spooled) -> Result<PutPart> {
        let (section, number) = (self.section, self.put);
        let key = self.keys.part_of_section(self.generation, section, number);
        let key =
            key.ok_or_else(|| wrong(format!("{number} parts of one section are too many")))?;
        let body = Body::File(file.path.clone());
        // A try that was given up has other keys, and nothing else has these.
        let put = self
            .store
            .put_if(&key, body, CONTENT_TYPE, &Condition::Absent);
        let written = put.await?;
        self.put += 1;
        // It takes room until the section ends, no more.
        if let Err(error) = std::fs::remove_file(&file.path) {
            tracing::warn!(file = %file.path.display(), %error, "a temporary file stays for a while");
        }
        Ok(PutPart {
            written,
            rows: file.rows,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_reported_as_it_was_put() {
        let part = PutPart {
            written: Written {
                key: Path::parse("x/j/parts/q/dt=2026-11-21/q-00112233445566ff-1000000.parquet")
                    .unwrap(),
                etag: Some("\"e\"".to_owned()),
                bytes: 7,
            },
            rows: 3,
        };
        let report = part.to_report().unwrap();
        assert_eq!(PutPart::from_report(&report).unwrap(), part);
        assert!(PutPart::from_report("{}").is_err());
    }
}
