//! Reading Parquet files, with errors that name the file.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::{
    DefaultParquetFileReaderFactory, ParquetFileReaderFactory,
};
use datafusion::error::Result as EngineResult;
use datafusion::parquet::arrow::arrow_reader::ArrowReaderOptions;
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::parquet::errors::{ParquetError, Result};
use datafusion::parquet::file::metadata::ParquetMetaData;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt;
use futures::future::BoxFuture;

use crate::error::Error;
use crate::store::Store;

/// Opens the files of a store by its own client.
#[derive(Debug)]
pub(super) struct NamedFiles {
    store: Store,
    files: DefaultParquetFileReaderFactory,
}

impl NamedFiles {
    pub(super) fn new(store: &Store) -> Self {
        Self {
            files: DefaultParquetFileReaderFactory::new(Arc::clone(store.objects())),
            store: store.clone(),
        }
    }
}

impl ParquetFileReaderFactory for NamedFiles {
    fn create_reader(
        &self,
        partition_index: usize,
        file: PartitionedFile,
        metadata_size_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> EngineResult<Box<dyn AsyncFileReader + Send>> {
        let name = self.store.display(&file.object_meta.location).into();
        let reader =
            self.files
                .create_reader(partition_index, file, metadata_size_hint, metrics)?;
        Ok(Box::new(NamedFile { name, reader }))
    }
}

struct NamedFile {
    name: Arc<str>,
    reader: Box<dyn AsyncFileReader + Send>,
}

impl fmt::Debug for NamedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NamedFile({})", self.name)
    }
}

/// A file that is no Parquet is damaged; one that can't be reached is not.
fn named(name: &str, error: ParquetError) -> Error {
    let what = format!("can't read {name} as Parquet");
    match error {
        ParquetError::External(cause) => {
            Error::new(crate::error::Class::Source, what).caused_by(cause)
        }
        error => Error::damaged(what).caused_by(error),
    }
}

fn in_parquet(name: &str, error: ParquetError) -> ParquetError {
    ParquetError::External(Box::new(named(name, error)))
}

impl AsyncFileReader for NamedFile {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes>> {
        let name = Arc::clone(&self.name);
        let read = self.reader.get_bytes(range);
        read.map(move |read| read.map_err(|error| in_parquet(&name, error)))
            .boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, Result<Vec<Bytes>>> {
        let name = Arc::clone(&self.name);
        let read = self.reader.get_byte_ranges(ranges);
        read.map(move |read| read.map_err(|error| in_parquet(&name, error)))
            .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>>> {
        let name = Arc::clone(&self.name);
        let read = self.reader.get_metadata(options);
        read.map(move |read| read.map_err(|error| in_parquet(&name, error)))
            .boxed()
    }
}
