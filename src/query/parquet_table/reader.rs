//! Reading Parquet files as they were listed, with errors that name the file.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::{
    ParquetFileMetrics, ParquetFileReaderFactory,
};
use datafusion::error::Result as EngineResult;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::parquet::arrow::arrow_reader::ArrowReaderOptions;
use datafusion::parquet::arrow::async_reader::{AsyncFileReader, MetadataFetch};
use datafusion::parquet::errors::{ParquetError, Result};
use datafusion::parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::future::BoxFuture;
use futures::{FutureExt, TryFutureExt};
use object_store::{
    GetOptions, GetRange, OBJECT_STORE_COALESCE_DEFAULT, ObjectMeta, ObjectStore, coalesce_ranges,
};

use crate::error::{Class, Error};
use crate::parquet_footer;

/// As much of the end of a file is requested at first: one request for the footer, which has the statistics of all columns.
const FOOTER: usize = 64 << 10;

/// What a file of a scan has beside what the engine notes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::query) struct FileOfTable {
    /// Its name in errors.
    pub(in crate::query) name: Arc<str>,
    /// The key of its metadata that says which window it is of.
    pub(in crate::query) window_key: Arc<str>,
}

/// Opens the files of a store by its own client.
#[derive(Debug)]
pub(in crate::query) struct NamedFiles {
    objects: Arc<dyn ObjectStore>,
    /// Whether the store is a folder, which other machines may have as a copy, with other tags.
    is_folder: bool,
}

impl NamedFiles {
    pub(in crate::query) fn new(objects: Arc<dyn ObjectStore>, url: &ObjectStoreUrl) -> Self {
        Self {
            objects,
            is_folder: *url == ObjectStoreUrl::local_filesystem(),
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
        let key = file.object_meta.location.as_ref();
        let name = file.extension::<FileOfTable>();
        Ok(Box::new(NamedFile {
            name: name.map_or_else(|| key.into(), |file| Arc::clone(&file.name)),
            footer: metadata_size_hint.unwrap_or(FOOTER),
            listed: ListedFile {
                metrics: ParquetFileMetrics::new(partition_index, key, metrics),
                tag: file.object_meta.e_tag.clone().filter(|_| !self.is_folder),
                meta: file.object_meta,
                objects: Arc::clone(&self.objects),
            },
        }))
    }
}

/// A file as it was listed: other requests for it, also of other processes, have the same bytes, or an error.
struct ListedFile {
    objects: Arc<dyn ObjectStore>,
    meta: ObjectMeta,
    /// The ETag that the object must have.
    tag: Option<String>,
    metrics: ParquetFileMetrics,
}

impl ListedFile {
    async fn range(&self, range: Range<u64>) -> object_store::Result<Bytes> {
        let options = GetOptions {
            if_match: self.tag.clone(),
            range: Some(GetRange::Bounded(range)),
            ..GetOptions::default()
        };
        let got = self.objects.get_opts(&self.meta.location, options).await?;
        got.bytes().await
    }

    async fn ranges(&self, ranges: &[Range<u64>]) -> object_store::Result<Vec<Bytes>> {
        let bytes: u64 = ranges.iter().map(|range| range.end - range.start).sum();
        self.metrics.bytes_scanned.add(bytes as usize);
        match self.tag {
            // On disk, one task reads all of them.
            None => self.objects.get_ranges(&self.meta.location, ranges).await,
            Some(_) => {
                let read = |range| self.range(range);
                coalesce_ranges(ranges, read, OBJECT_STORE_COALESCE_DEFAULT).await
            }
        }
    }
}

impl MetadataFetch for &ListedFile {
    fn fetch(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes>> {
        let listed = *self;
        async move {
            let read = listed.ranges(std::slice::from_ref(&range)).await;
            let read = read.map_err(|error| ParquetError::External(Box::new(error)))?;
            Ok(read.into_iter().next().unwrap_or_default())
        }
        .boxed()
    }
}

struct NamedFile {
    name: Arc<str>,
    /// The bytes of its end that are requested at first.
    footer: usize,
    listed: ListedFile,
}

impl fmt::Debug for NamedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NamedFile({})", self.name)
    }
}

/// A file that is no Parquet is damaged; one that can't be reached is not.
fn named(name: &str, error: ParquetError) -> ParquetError {
    let cause = match error {
        ParquetError::External(cause) => cause,
        error => {
            let what = format!("can't read {name} as Parquet");
            return ParquetError::External(Box::new(Error::damaged(what).caused_by(error)));
        }
    };
    let changed = |how: &str| {
        Error::new(Class::Source, format!("{name} {how}")).with_hint("run the query again")
    };
    let error = match cause.downcast_ref::<object_store::Error>() {
        Some(object_store::Error::NotFound { .. }) => {
            changed("is gone: it was there when the query began")
        }
        Some(object_store::Error::Precondition { .. }) => {
            changed("was replaced by another object after the query began")
        }
        _ => Error::new(Class::Source, format!("can't read {name} as Parquet")).caused_by(cause),
    };
    ParquetError::External(Box::new(error))
}

impl AsyncFileReader for NamedFile {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes>> {
        let name = Arc::clone(&self.name);
        async move { (&mut &self.listed).fetch(range).await }
            .map_err(move |error| named(&name, error))
            .boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, Result<Vec<Bytes>>> {
        async move {
            let read = self.listed.ranges(&ranges).await;
            read.map_err(|error| named(&self.name, ParquetError::External(Box::new(error))))
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>>> {
        let pages = options.map_or(
            PageIndexPolicy::Skip,
            ArrowReaderOptions::column_index_policy,
        );
        async move {
            let size = self.listed.meta.size;
            let metadata = parquet_footer::load(&self.listed, size, self.footer, pages).await;
            metadata
                .map(Arc::new)
                .map_err(|error| named(&self.name, error))
        }
        .boxed()
    }
}

impl Drop for ListedFile {
    fn drop(&mut self) {
        let ratio = &self.metrics.scan_efficiency_ratio;
        ratio.add_part(self.metrics.bytes_scanned.value());
        ratio.set_total(self.meta.size as usize);
    }
}
