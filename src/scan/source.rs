//! The engine's file source for exported objects: each object a stream of batches, in bounded memory.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{
    FileOpenFuture, FileOpener, FileScanConfig, FileSource,
};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_plan::DisplayFormatType;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion_datasource::projection::{ProjectionOpener, SplitProjection};
use futures::StreamExt;
use object_store::ObjectStore;

use super::batch::BatchBuilder;
use super::fetch::{Content, Fetcher};
use super::object::{Counts, ObjectReader, unreadable};
use super::text::TextClaim;
use crate::window::Range;

/// What the objects themselves hold: `timestamp` and `message`.
pub fn file_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new(
            "timestamp",
            DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
            false,
        ),
        Field::new("message", DataType::Utf8View, false),
    ]))
}

/// How exported objects are read.
#[derive(Clone)]
pub struct LogSource {
    table_schema: TableSchema,
    projection: SplitProjection,
    /// Which events are in the table.
    window: Range,
    /// Which of them are rows.
    range: Range,
    /// What stands before a key in messages to people, `s3://bucket/` or `/`.
    place: Arc<str>,
    claim: Arc<TextClaim>,
    fetcher: Arc<Fetcher>,
    batch_size: usize,
    metrics: ExecutionPlanMetricsSet,
}

impl LogSource {
    /// A source of all columns of `table_schema`, whose file columns are those of [`file_schema`].
    /// Of the events in `window`, only those in `range` are rows; all are counted.
    pub fn new(
        table_schema: TableSchema,
        window: Range,
        range: Range,
        place: Arc<str>,
        claim: Arc<TextClaim>,
        fetcher: Arc<Fetcher>,
    ) -> Self {
        Self {
            projection: SplitProjection::unprojected(&table_schema),
            table_schema,
            window,
            range,
            place,
            claim,
            fetcher,
            batch_size: 8192,
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }
}

impl FileSource for LogSource {
    fn create_file_opener(
        &self,
        object_store: Arc<dyn ObjectStore>,
        _base_config: &FileScanConfig,
        partition: usize,
    ) -> Result<Arc<dyn FileOpener>> {
        let file_schema = self.table_schema.file_schema();
        let indices = &self.projection.file_indices;
        let opener = Arc::new(LogOpener {
            objects: object_store,
            schema: Arc::new(file_schema.project(indices)?),
            indices: indices.clone(),
            window: self.window,
            range: self.range,
            place: Arc::clone(&self.place),
            claim: Arc::clone(&self.claim),
            fetcher: Arc::clone(&self.fetcher),
            batch_size: self.batch_size,
            counts: Counts::new(&self.metrics, partition),
        });
        ProjectionOpener::try_new(self.projection.clone(), opener, file_schema)
    }

    fn table_schema(&self) -> &TableSchema {
        &self.table_schema
    }

    fn with_batch_size(&self, batch_size: usize) -> Arc<dyn FileSource> {
        Arc::new(Self {
            batch_size,
            ..self.clone()
        })
    }

    fn projection(&self) -> Option<&ProjectionExprs> {
        Some(&self.projection.source)
    }

    fn try_pushdown_projection(
        &self,
        projection: &ProjectionExprs,
    ) -> Result<Option<Arc<dyn FileSource>>> {
        let merged = self.projection.source.try_merge(projection)?;
        Ok(Some(Arc::new(Self {
            projection: SplitProjection::new(self.table_schema.file_schema(), &merged),
            ..self.clone()
        })))
    }

    fn metrics(&self) -> &ExecutionPlanMetricsSet {
        &self.metrics
    }

    fn file_type(&self) -> &str {
        "cloudwatch-export"
    }

    fn fmt_extra(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.range {
            Range::ALL => Ok(()),
            Range { start_ms, end_ms } => write!(f, ", timestamp_ms=[{start_ms}, {end_ms})"),
        }
    }

    /// gzip can't be read from the middle.
    fn supports_repartitioning(&self) -> bool {
        false
    }

    /// The largest first, so that no partition is left alone with a large one at the end.
    fn reorder_files(&self, mut files: Vec<PartitionedFile>) -> Vec<PartitionedFile> {
        files.sort_by_key(|file| std::cmp::Reverse(file.object_meta.size));
        files
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        datafusion::physical_plan::apply_expression_roots(self.projection.source.iter(), f)
    }
}

struct LogOpener {
    objects: Arc<dyn ObjectStore>,
    schema: SchemaRef,
    indices: Vec<usize>,
    window: Range,
    range: Range,
    place: Arc<str>,
    claim: Arc<TextClaim>,
    fetcher: Arc<Fetcher>,
    batch_size: usize,
    counts: Counts,
}

impl FileOpener for LogOpener {
    fn open(&self, file: PartitionedFile) -> Result<FileOpenFuture> {
        let objects = Arc::clone(&self.objects);
        let own = file.extension::<Range>().copied().unwrap_or(Range::ALL);
        let object = file.object_meta;
        let place = Arc::clone(&self.place);
        let claim = Arc::clone(&self.claim);
        let fetcher = Arc::clone(&self.fetcher);
        let mut reader = ObjectReader::new(
            format!("{place}{}", object.location),
            self.window.intersect(own),
            self.range.intersect(own),
            BatchBuilder::new(Arc::clone(&self.schema), &self.indices, self.batch_size),
            object.size,
            self.counts.clone(),
        );
        Ok(Box::pin(async move {
            claim.open();
            let content = fetcher
                .fetch(&objects, &object)
                .await
                .map_err(|error| unreadable(reader.name(), error))?;
            match content {
                Content::Whole(compressed) => reader.read_whole(compressed, &claim),
                Content::Pieces(pieces) => reader.read_stream(pieces),
            }
            let batches = futures::stream::try_unfold(reader, |mut reader| async move {
                let batch = reader.next_batch().await?;
                Ok(batch.map(|batch| (batch, reader)))
            });
            Ok(batches.boxed())
        }))
    }
}
