//! The engine's file source for exported objects: each object a stream of batches, in bounded memory.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use chrono_tz::Tz;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{
    FileOpenFuture, FileOpener, FileScanConfig, FileSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::{DisplayFormatType, ExecutionPlan};
use datafusion_datasource::projection::{ProjectionOpener, SplitProjection};
use futures::StreamExt;
use object_store::ObjectStore;

use super::batch::BatchBuilder;
use super::budget::Claim;
use super::bundle::{Bundle, BundleReader, Reading};
use super::columns::{KeptObjects, Wanted};
use super::edges::EdgeLog;
use super::fetch::ObjectFetcher;
use super::object::{Counts, EventFilter};
use super::patterns::{columns_read, over_columns_read};
use super::record_object::Deduplication;
use super::report::ReadLog;
use super::tally::Tally;
use crate::job::{OriginColumns, RecordShape};
use crate::window::Range;

/// Gzip makes logs about this many times smaller.
pub const COMPRESSION: u64 = 6;

/// The indices of columns in [`file_schema`].
const TIMESTAMP: usize = 0;
pub(super) const MESSAGE: usize = 1;

/// The columns of the table, whose instants are shown in a zone. The first two are what the objects hold, the others what their keys say.
///
/// The log group and the log stream are columns of the file, and no partition columns of the engine: those have one value
/// for a file, so that each stream of a few events would be a file and a batch of its own.
pub fn file_schema(zone: Tz, origins: OriginColumns) -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8View, true);
    let mut fields = vec![
        Field::new(
            "timestamp",
            DataType::Timestamp(TimeUnit::Millisecond, Some(zone.name().into())),
            false,
        ),
        Field::new("message", DataType::Utf8View, false),
        text("log_group"),
        Field::new("log_stream", DataType::Utf8View, false),
    ];
    fields.extend(origins.names().map(text));
    Arc::new(Schema::new(fields))
}

/// How exported objects are read.
#[derive(Clone)]
pub struct LogSource {
    pub(super) table_schema: TableSchema,
    /// The columns and expressions that a query asks for.
    pub(super) projection: ProjectionExprs,
    /// The same over the columns that are read.
    read_columns: SplitProjection,
    pub(super) filter: EventFilter,
    /// The text before a key in messages, `s3://bucket/` or `/`.
    pub(super) place: Arc<str>,
    claim: Arc<Claim>,
    fetcher: Arc<ObjectFetcher>,
    pub(super) read: ReadLog,
    pub(super) tally: Option<Arc<Tally>>,
    pub(super) edges: Option<EdgeLog>,
    pub(super) kept: Option<Arc<KeptObjects>>,
    /// Whether columns of the objects are kept, as every scan does that reads its objects to their end.
    pub(super) keeps: bool,
    duplicates: Option<Deduplication>,
    shape: Arc<RecordShape>,
    batch_size: usize,
    pub(super) metrics: ExecutionPlanMetricsSet,
    /// What is reported to the process that sent the scan.
    #[cfg(feature = "cluster")]
    reported: Option<Arc<super::wire::Reported>>,
}

impl LogSource {
    /// A source of all columns of `table_schema`, which are those of [`file_schema`]. It notes in `read` what it has read.
    pub(super) fn new(
        table_schema: TableSchema,
        filter: EventFilter,
        place: Arc<str>,
        claim: Arc<Claim>,
        fetcher: Arc<ObjectFetcher>,
        read: ReadLog,
    ) -> Self {
        let read_columns = SplitProjection::unprojected(&table_schema);
        Self {
            projection: read_columns.source.clone(),
            read_columns,
            table_schema,
            filter,
            place,
            claim,
            fetcher,
            read,
            tally: None,
            edges: None,
            kept: None,
            keeps: false,
            duplicates: None,
            shape: Arc::default(),
            batch_size: 8192,
            metrics: ExecutionPlanMetricsSet::new(),
            #[cfg(feature = "cluster")]
            reported: None,
        }
    }

    /// The same source with the columns and expressions of a projection, which reports to the process that sent it.
    #[cfg(feature = "cluster")]
    pub(super) fn received(
        self,
        projection: ProjectionExprs,
        reported: Arc<super::wire::Reported>,
    ) -> Result<Self> {
        Ok(Self {
            reported: Some(reported),
            ..self.projected(projection)?
        })
    }

    /// The same source with the columns and expressions of a projection.
    fn projected(self, projection: ProjectionExprs) -> Result<Self> {
        let table = self.table_schema.file_schema();
        let over_read = over_columns_read(&projection, table)?;
        Ok(Self {
            read_columns: SplitProjection::new(&columns_read(table), &over_read),
            projection,
            ..self
        })
    }

    /// The same source, which also tallies the events of each object that was read to its end.
    pub(super) fn tallied(mut self, tally: Option<Arc<Tally>>) -> Self {
        self.tally = tally;
        self
    }

    /// The same source, which reads kept columns in place of objects, and with `keeps` those of the others are kept.
    pub(super) fn keeping(mut self, kept: Option<Arc<KeptObjects>>, keeps: bool) -> Self {
        self.kept = kept;
        self.keeps = keeps;
        self
    }

    /// The same source of objects of subscriptions, whose events count once.
    pub(super) fn without_duplicates(mut self, duplicates: Option<Deduplication>) -> Self {
        self.duplicates = duplicates;
        self
    }

    /// The same source, whose delivered objects have their events in this way.
    pub(super) fn of_shape(mut self, shape: Arc<RecordShape>) -> Self {
        self.shape = shape;
        self
    }

    /// Why one process reads all of the scan; `None` where several may share it.
    #[cfg(feature = "cluster")]
    pub fn read_alone(&self) -> Option<&'static str> {
        // The copies of an event may be in any of the objects. Other records than those of exports have ids, or none at all.
        self.duplicates.as_ref().map(
            |_| "events of subscriptions and of delivered logs may come twice, which only a process that reads all of their objects finds",
        )
    }

    /// The same source, which also notes the first and last events of each object that was read to its end.
    pub(super) fn with_edges(mut self, edges: Option<EdgeLog>) -> Self {
        self.edges = edges;
        self
    }
}

impl LogSource {
    /// The counters of a partition.
    fn counts(&self, partition: usize) -> Counts {
        let counts = Counts::new(
            &self.metrics,
            partition,
            self.read.clone(),
            self.tally.clone(),
            self.edges.clone(),
        );
        #[cfg(feature = "cluster")]
        let counts = counts.reporting(self.reported.clone());
        counts
    }
}

/// The compressed bytes of the objects that a plan's scans of `logs` read.
pub fn planned_bytes(plan: &Arc<dyn ExecutionPlan>) -> u64 {
    #[cfg(feature = "cluster")]
    if let Some(divided) = plan.downcast_ref::<datafusion_distributed::DistributedLeafExec>() {
        return planned_bytes(divided.original());
    }
    let scan = plan.downcast_ref::<DataSourceExec>();
    let own = scan.and_then(|scan| scan.downcast_to_file_source::<LogSource>());
    let own = own.map_or(0, |(config, _)| {
        let files = config.file_groups.iter().flat_map(|group| group.files());
        files.map(|file| file.object_meta.size).sum()
    });
    let children = plan.children().into_iter().map(planned_bytes);
    own + children.sum::<u64>()
}

impl FileSource for LogSource {
    fn create_file_opener(
        &self,
        object_store: Arc<dyn ObjectStore>,
        _base_config: &FileScanConfig,
        partition: usize,
    ) -> Result<Arc<dyn FileOpener>> {
        let table = self.table_schema.file_schema();
        let columns = columns_read(table);
        let indices = &self.read_columns.file_indices;
        let reads_patterns = indices.iter().any(|index| *index >= table.fields().len());
        let reading = Reading {
            objects: object_store,
            place: Arc::clone(&self.place),
            filter: EventFilter {
                messages: self.filter.messages || indices.contains(&MESSAGE) || reads_patterns,
                ..self.filter
            },
            claim: Arc::clone(&self.claim),
            fetcher: Arc::clone(&self.fetcher),
            counts: self.counts(partition),
            wanted: Wanted {
                times: indices.contains(&TIMESTAMP),
                messages: indices.contains(&MESSAGE),
                patterns: reads_patterns,
            },
            kept: self.kept.clone(),
            keeps: self.keeps,
            duplicates: self.duplicates.clone(),
            shape: Arc::clone(&self.shape),
        };
        let opener = Arc::new(LogOpener {
            reading: Arc::new(reading),
            schema: Arc::new(columns.project(indices)?),
            indices: indices.clone(),
            batch_size: self.batch_size,
        });
        ProjectionOpener::try_new(self.read_columns.clone(), opener, &columns)
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
        Some(&self.projection)
    }

    fn try_pushdown_projection(
        &self,
        projection: &ProjectionExprs,
    ) -> Result<Option<Arc<dyn FileSource>>> {
        let merged = self.projection.try_merge(projection)?;
        Ok(Some(Arc::new(self.clone().projected(merged)?)))
    }

    fn metrics(&self) -> &ExecutionPlanMetricsSet {
        &self.metrics
    }

    fn file_type(&self) -> &str {
        "cloudwatch-export"
    }

    fn fmt_extra(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.filter.rows {
            Range::ALL => Ok(()),
            Range { start_ms, end_ms } => write!(f, ", timestamp_ms=[{start_ms}, {end_ms})"),
        }
    }

    /// gzip can't be read from the middle.
    fn supports_repartitioning(&self) -> bool {
        false
    }

    /// The largest file first, so that no partition ends long after the others.
    fn reorder_files(&self, mut files: Vec<PartitionedFile>) -> Vec<PartitionedFile> {
        files.sort_by_key(|file| std::cmp::Reverse(file.object_meta.size));
        files
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        datafusion::physical_plan::apply_expression_roots(self.projection.iter(), f)
    }
}

struct LogOpener {
    reading: Arc<Reading>,
    schema: SchemaRef,
    indices: Vec<usize>,
    batch_size: usize,
}

impl FileOpener for LogOpener {
    fn open(&self, file: PartitionedFile) -> Result<FileOpenFuture> {
        let batch = BatchBuilder::new(Arc::clone(&self.schema), &self.indices, self.batch_size)
            .masking(self.reading.filter.masks);
        let reader = BundleReader::new(Arc::clone(&self.reading), Bundle::of(&file)?, batch);
        let batches = futures::stream::try_unfold(reader, |mut reader| async move {
            let batch = reader.next_batch().await?;
            Ok(batch.map(|batch| (batch, reader)))
        });
        Ok(Box::pin(std::future::ready(Ok(batches.boxed()))))
    }
}
