//! The table provider: which objects a question needs, which events of them, and how they are packed into partitions.

use std::sync::{Arc, OnceLock};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, StringViewArray};
use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use chrono_tz::Tz;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::datasource::TableType;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::filter::FilterExecBuilder;

use super::budget::Budget;
use super::bundle::{Bundle, bundles, single};
use super::cache::ObjectCache;
use super::columns::{Columns, Keep, KeptObjects, Needs};
use super::edges::{EdgeLog, may_meet};
use super::event_ids::EventIds;
use super::fetch::{ObjectFetcher, OpeningOrder};
use super::object::EventFilter;
use super::record_object::Deduplication;
use super::report::ReadLog;
use super::source::{LogSource, MESSAGE, file_schema};
use super::tally::Tally;
use crate::job::{OriginColumns, RecordShape};
use crate::layout::cloudwatch::{LogObject, ObjectFormat};
use crate::store::Store;
use crate::window::Range;

/// How many processes share the scans of a session: an extension of its configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Processes(pub usize);

/// Filters about objects are decided for so many of them at a time.
const OBJECTS_AT_ONCE: usize = 8192;

/// A query with a smaller limit reads the objects one after the other, instead of several at a time.
const FEW_ROWS: usize = 10_000;

/// `logs(timestamp, message, log_group, log_stream)` over a list of exported objects.
#[derive(Debug, Clone)]
pub struct LogsTable {
    objects: Arc<Vec<LogObject>>,
    range: Range,
    url: ObjectStoreUrl,
    place: Arc<str>,
    zone: Tz,
    origins: OriginColumns,
    table_schema: TableSchema,
    budget: Arc<Budget>,
    is_remote: bool,
    read: ReadLog,
    counts_odd_messages: bool,
    masks: bool,
    tally: Option<Arc<Tally>>,
    /// Where the objects are exports of other programs that may have events in common.
    edges: Option<EdgeLog>,
    /// Whether the objects are of several windows, so that the edges show which have events of this one.
    is_of_several: bool,
    cache: Option<Arc<ObjectCache>>,
    keeping: Option<Arc<Keeping>>,
    /// Whether objects that were read to their end are left out.
    skips_read: bool,
    /// Its bytes, and those of all tables that are read with it: they share the memory and the partitions of one.
    share: (u64, u64),
    /// The ids of its events, where some objects are of subscriptions or of delivered logs, which have an event once or more.
    ids: Option<Arc<EventIds>>,
    /// How objects of delivered logs have their events.
    shape: Arc<RecordShape>,
}

/// Where the columns of the objects are kept, and which.
#[derive(Debug)]
struct Keeping {
    columns: Arc<Columns>,
    keep: Keep,
    /// What is kept, found out by the first scan.
    kept: OnceLock<Arc<KeptObjects>>,
}

impl LogsTable {
    /// The events of `range` in the objects of a store, which the engine must know by its URL.
    pub fn new(
        store: &Store,
        mut objects: Vec<LogObject>,
        range: Range,
        pool: &Arc<dyn MemoryPool>,
    ) -> Self {
        objects.retain(|object| object.may_have(range));
        let root = object_store::path::Path::default();
        let is_subscribed = |object: &LogObject| object.format != ObjectFormat::Export;
        let ids = objects.iter().any(is_subscribed);
        let edges = !ids && may_meet(&objects);
        Self {
            ids: ids.then(|| Arc::new(EventIds::new(pool))),
            zone: Tz::UTC,
            origins: OriginColumns::default(),
            range,
            url: store.url().clone(),
            place: store.location().display_key(&root).into(),
            table_schema: file_schema(Tz::UTC, OriginColumns::default()).into(),
            budget: Budget::new(pool),
            is_remote: !store.location().is_local(),
            read: ReadLog::default(),
            counts_odd_messages: false,
            masks: false,
            edges: edges.then(EdgeLog::default),
            is_of_several: false,
            objects: Arc::new(objects),
            tally: None,
            cache: None,
            keeping: None,
            skips_read: false,
            share: (1, 1),
            shape: Arc::default(),
        }
    }

    /// The same table, whose objects of delivered logs have their events in this way.
    pub fn of_shape(mut self, shape: Arc<RecordShape>) -> Self {
        self.shape = shape;
        self
    }

    /// The same table, which shares the memory of another, and has a share of the partitions.
    pub(super) fn sharing(mut self, other: &Self, share: (u64, u64)) -> Self {
        self.budget = Arc::clone(&other.budget);
        self.share = share;
        self
    }

    /// Keeps columns of the events while queries read the objects, and reads those that are kept in place of the objects.
    pub fn keeping(mut self, columns: Arc<Columns>, keep: Keep) -> Self {
        self.keeping = Some(Arc::new(Keeping {
            columns,
            keep,
            kept: OnceLock::new(),
        }));
        self
    }

    /// The same table with those objects only that no query has read to their end yet.
    pub fn unread(&self) -> Self {
        Self {
            skips_read: true,
            ..self.clone()
        }
    }

    fn kept(&self) -> Option<Arc<KeptObjects>> {
        let keeping = self.keeping.as_ref()?;
        let kept = keeping.kept.get_or_init(|| {
            let objects = (&self.objects[..], &*self.place, self.masks);
            let kept = KeptObjects::new(&keeping.columns, keeping.keep, objects, !self.is_remote);
            Arc::new(kept)
        });
        Some(Arc::clone(kept))
    }

    /// Caches the objects of a remote store on disk, for the next query.
    pub fn with_cache(mut self, cache: ObjectCache) -> Self {
        if self.is_remote {
            self.cache = Some(Arc::new(cache));
        }
        self
    }

    /// Checks the messages also where a query does not read them, to count those that are not UTF-8.
    pub fn counting_odd_messages(mut self) -> Self {
        self.counts_odd_messages = true;
        self
    }

    /// Has the messages without personal data and secrets if `masks`: no filter, function or answer sees the text as it is.
    pub fn masking(mut self, masks: bool) -> Self {
        self.masks = masks;
        self
    }

    /// Notes the times of the events in each object while queries read it. The objects are of several windows, so that later
    /// queries skip those without events of the table's range.
    pub fn noting_times(self) -> Self {
        Self {
            edges: Some(self.edges.unwrap_or_default()),
            is_of_several: true,
            ..self
        }
    }

    /// The objects that were read to their end, with the times of their events, if they were noted.
    pub fn times(&self) -> Vec<(LogObject, Range)> {
        let times = self.edges.as_ref().map(EdgeLog::times).unwrap_or_default();
        let read = self.objects.iter().zip(times);
        read.filter_map(|(object, times)| Some((object.clone(), times?)))
            .collect()
    }

    /// Tallies the events by log group and hour while queries read them; the table's range must be that of a window.
    pub fn tallied(mut self) -> (Self, Arc<Tally>) {
        let tally = Arc::new(Tally::new(&self.objects, self.range));
        self.tally = Some(Arc::clone(&tally));
        (self, tally)
    }

    /// The table with its instants shown in a zone.
    pub fn in_zone(mut self, zone: Tz) -> Self {
        self.zone = zone;
        self.table_schema = file_schema(zone, self.origins).into();
        self
    }

    /// The table with further columns that say where events come from: NULL where an object does not say it.
    pub fn with_origins(mut self, origins: OriginColumns) -> Self {
        self.origins = origins;
        let zone = self.zone;
        self.in_zone(zone)
    }

    /// The columns of every such table in a zone.
    pub fn columns(zone: Tz, origins: OriginColumns) -> SchemaRef {
        file_schema(zone, origins)
    }

    /// Its objects.
    pub fn objects(&self) -> &[LogObject] {
        &self.objects
    }

    /// Which of its objects all scans together have read.
    pub fn read_log(&self) -> &ReadLog {
        &self.read
    }

    /// What is odd about what was read so far, each as a sentence.
    pub fn oddities(&self) -> Vec<String> {
        let edges = self.edges.as_ref();
        let note = edges.and_then(|edges| edges.note(&self.objects, self.range));
        let read = self.read.read().total();
        read.oddities().into_iter().chain(note).collect()
    }

    /// A note where exports of one stream have events in common, as far as they were read.
    pub fn common_events(&self) -> Option<String> {
        self.edges.as_ref()?.note(&self.objects, self.range)
    }

    /// What a scan with these filters reads. Each filter is evaluated just once: as a range of time, for each object as a
    /// whole, or for each row.
    fn select(&self, state: &dyn Session, filters: &[Expr]) -> Result<Selection> {
        let mut range = self.range;
        let mut about_objects = Vec::new();
        let mut about_rows = Vec::new();
        for filter in filters {
            match time_range(filter) {
                Some(times) => range = range.intersect(times),
                // An object of a subscription has events of several log groups, and one of delivered logs may have.
                None if self.ids.is_none() && is_about_objects(filter) => {
                    about_objects.push(filter);
                }
                None => about_rows.push(filter.clone()),
            }
        }
        let known = match self.is_of_several {
            true => self.edges.as_ref().map(EdgeLog::times),
            false => None,
        };
        let known = known.unwrap_or_default();
        let may_have = |(number, object): &(u32, &LogObject)| {
            let times = known.get(*number as usize).copied().flatten();
            let has_none = times.is_some_and(|times| times.intersect(range).is_empty());
            object.may_have(range) && !has_none
        };
        let numbers = (0..).zip(self.objects.iter());
        let mut numbers: Vec<u32> = numbers.filter(may_have).map(|(number, _)| number).collect();
        if self.skips_read {
            let read = self.read.read();
            numbers.retain(|number| !read.has(*number as usize));
        }
        for filter in about_objects {
            match self.decide(state, filter, &numbers) {
                Ok(verdicts) => {
                    let mut verdicts = verdicts.into_iter();
                    numbers.retain(|_| verdicts.next().unwrap_or(false));
                }
                // It may fail for an object that has no such rows, or for rows that another filter takes away.
                Err(error) => {
                    tracing::debug!(%error, %filter, "a filter is left to the rows");
                    about_rows.push(filter.clone());
                }
            }
        }
        Ok(Selection {
            numbers,
            range,
            about_rows,
        })
    }

    /// Whether each of these objects passes the filter. A verdict that is NULL lets no row pass.
    fn decide(&self, state: &dyn Session, filter: &Expr, numbers: &[u32]) -> Result<Vec<bool>> {
        let schema = Arc::new(Schema::new(self.schema().fields()[2..].to_vec()));
        let df_schema = DFSchema::try_from(Arc::clone(&schema))?;
        let filter = state.create_physical_expr(filter.clone(), &df_schema)?;
        let mut verdicts = Vec::with_capacity(numbers.len());
        for numbers in numbers.chunks(OBJECTS_AT_ONCE) {
            let objects = numbers.iter().map(|number| &self.objects[*number as usize]);
            let groups = objects.clone().map(|object| object.group_name());
            let streams = objects.clone().map(|object| Some(object.log_stream()));
            let mut columns: Vec<ArrayRef> = vec![
                Arc::new(StringViewArray::from_iter(groups)),
                Arc::new(StringViewArray::from_iter(streams)),
            ];
            for name in self.origins.names() {
                let values = objects.clone().map(|object| {
                    let origin = object.origin.as_deref()?;
                    Some(match name {
                        "account" => &*origin.account,
                        _ => &*origin.region,
                    })
                });
                columns.push(Arc::new(StringViewArray::from_iter(values)));
            }
            let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;
            let verdict = filter.evaluate(&batch)?.into_array(batch.num_rows())?;
            let passes = |verdict: &BooleanArray, row| verdict.is_valid(row) && verdict.value(row);
            // A constant NULL may have no type.
            match verdict.as_boolean_opt() {
                Some(verdict) => {
                    verdicts.extend((0..batch.num_rows()).map(|row| passes(verdict, row)));
                }
                None => verdicts.resize(verdicts.len() + batch.num_rows(), false),
            }
        }
        Ok(verdicts)
    }

    /// The columns that a scan has to read for a projection and the filters over its rows: those of the projection first.
    fn columns_for(&self, projection: Option<&Vec<usize>>, about_rows: &[Expr]) -> Vec<usize> {
        let schema = self.schema();
        let all = || (0..schema.fields().len()).collect();
        let mut columns = projection.cloned().unwrap_or_else(all);
        for filter in about_rows {
            for column in filter.column_refs() {
                if let Ok(index) = schema.index_of(column.name())
                    && !columns.contains(&index)
                {
                    columns.push(index);
                }
            }
        }
        columns
    }
}

/// Which filters a scan evaluates. `scan` evaluates every filter that it gets, so that one which the optimizer rewrites behind
/// this promise is kept too. What gains nothing by it stays with the engine.
pub(crate) fn pushed_down(filters: &[&Expr]) -> Vec<TableProviderFilterPushDown> {
    let pushed = filters.iter().map(|filter| {
        match is_about_objects(filter) || time_range(filter).is_some() {
            true => TableProviderFilterPushDown::Exact,
            false => TableProviderFilterPushDown::Unsupported,
        }
    });
    pushed.collect()
}

/// What a scan reads.
struct Selection {
    /// The places of the objects in the table's list.
    numbers: Vec<u32>,
    /// The times of the events.
    range: Range,
    /// The filters that are evaluated for each row.
    about_rows: Vec<Expr>,
}

#[async_trait]
impl TableProvider for LogsTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.table_schema.table_schema())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(pushed_down(filters))
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Selection {
            numbers,
            range,
            about_rows,
        } = self.select(state, filters)?;
        if numbers.is_empty() || range.is_empty() {
            let schema = match projection {
                Some(projection) => Arc::new(self.schema().project(projection)?),
                None => self.schema(),
            };
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        // A filter over the rows may need all of them for a few.
        let limit = limit.filter(|_| about_rows.is_empty());
        let columns = self.columns_for(projection, &about_rows);
        let few_rows = limit.is_some_and(|rows| rows <= FEW_ROWS);
        let processes = state.config().get_extension::<Processes>();
        let processes = processes.map_or(1, |processes| processes.0.max(1));
        let partitions = match few_rows {
            true => 1,
            false => {
                let all = state.config().target_partitions();
                let (own, of) = self.share;
                let own = (all as u64).saturating_mul(own).div_ceil(of.max(1));
                // One partition has an order, so that several processes can't share it.
                let least = if processes > 1 { all.min(2) } else { 1 };
                usize::try_from(own).unwrap_or(all).clamp(least, all)
            }
        };
        // Enough for the partitions of every process that reads a part of them.
        let readers = partitions * processes;
        let claim = Budget::claim(&self.budget, numbers.len());
        let groups = match few_rows {
            // Few rows need few objects.
            true => pack(single(&self.objects, &numbers), partitions),
            false => pack(bundles(&self.objects, &numbers, readers), partitions),
        };
        // Kept columns have no ids.
        let kept = match self.ids {
            Some(_) => None,
            None => self.kept(),
        };
        let needs = Needs {
            messages: columns.contains(&MESSAGE),
            checked: columns.contains(&MESSAGE) || self.counts_odd_messages,
        };
        let is_kept = |number: &u32| {
            let kept = kept.as_ref();
            kept.is_some_and(|kept| kept.has(*number as usize, needs))
        };
        let fetcher = match self.is_remote {
            false => ObjectFetcher::local(Arc::clone(&claim)),
            true => {
                let order = match few_rows {
                    // No object is requested ahead.
                    true => OpeningOrder::default(),
                    false => {
                        let mut order = opening_order(&groups)?;
                        // Rows of Parquet are requested when it is known which.
                        let is_rows = |number: &u32| {
                            let object = &self.objects[*number as usize];
                            object.format == ObjectFormat::DeliveredRows
                        };
                        order.retain(|number| !is_kept(number) && !is_rows(number));
                        OpeningOrder::new(&self.objects, order)
                    }
                };
                ObjectFetcher::new(Arc::clone(&claim), order, self.cache.clone())
            }
        };
        let filter = EventFilter {
            window: self.range,
            rows: range,
            messages: self.counts_odd_messages,
            masks: self.masks,
            requested: Range::ALL,
        };
        let source = LogSource::new(
            self.table_schema.clone(),
            filter,
            Arc::clone(&self.place),
            claim,
            Arc::new(fetcher),
            self.read.clone(),
        )
        .tallied(self.tally.clone())
        .with_edges(self.edges.clone())
        .of_shape(Arc::clone(&self.shape))
        .without_duplicates(self.ids.as_ref().map(|ids| Deduplication {
            ids: Arc::clone(ids),
            disk: Arc::clone(&state.runtime_env().disk_manager),
        }))
        // A few rows are found before an object's end, and only objects that were read to their end are kept.
        .keeping(kept, !few_rows);
        let asked_for = projection.map_or(columns.len(), Vec::len);
        let config = FileScanConfigBuilder::new(self.url.clone(), Arc::new(source))
            .with_file_groups(groups)
            .with_limit(limit)
            // One partition reads in the order of the keys, so that the same query has the same answer.
            .with_preserve_order(partitions == 1)
            .with_projection_indices(Some(columns))?
            .build();
        let scan: Arc<dyn ExecutionPlan> = DataSourceExec::from_data_source(config);
        let Some(filter) = conjunction(about_rows) else {
            return Ok(scan);
        };
        let filter = state.create_physical_expr(filter, &DFSchema::try_from(scan.schema())?)?;
        let filtered = FilterExecBuilder::new(filter, scan)
            .with_batch_size(state.config().batch_size())
            .apply_projection(Some((0..asked_for).collect()))?
            .build()?;
        Ok(Arc::new(filtered))
    }
}

/// Packs bundles into at most `partitions` groups of about the same size, the largest first; a single group keeps their
/// order.
fn pack(bundles: Vec<Bundle>, partitions: usize) -> Vec<FileGroup> {
    let partitions = partitions.clamp(1, bundles.len().max(1));
    let mut files: Vec<_> = bundles.into_iter().map(Bundle::into_file).collect();
    if partitions > 1 {
        files.sort_by_key(|file| std::cmp::Reverse(file.object_meta.size));
    }
    let mut groups = vec![(0u64, Vec::new()); partitions];
    for file in files {
        if let Some((bytes, group)) = groups.iter_mut().min_by_key(|(bytes, _)| *bytes) {
            *bytes += file.object_meta.size.max(1);
            group.push(file);
        }
    }
    groups
        .into_iter()
        .map(|(_, group)| FileGroup::new(group))
        .collect()
}

/// The numbers of the objects in the order in which the engine opens them: the same as `LogSource::reorder_files`.
pub(super) fn opening_order(groups: &[FileGroup]) -> Result<Vec<u32>> {
    let mut files: Vec<_> = groups.iter().flat_map(FileGroup::iter).collect();
    if groups.len() > 1 {
        files.sort_by_key(|file| std::cmp::Reverse(file.object_meta.size));
    }
    let mut order = Vec::new();
    for file in files {
        order.extend_from_slice(Bundle::of(file)?.numbers());
    }
    Ok(order)
}

/// Whether the filter can be decided for each object as a whole, without reading it: it reads no other columns than those
/// that say where events come from, or none, as the constant that is left of `log_group NOT IN ('a', NULL)`.
fn is_about_objects(filter: &Expr) -> bool {
    let is_known = |expr: &Expr| match expr {
        Expr::Column(column) => {
            matches!(column.name(), "log_group" | "log_stream")
                || OriginColumns::NAMES.contains(&column.name())
        }
        Expr::OuterReferenceColumn(..)
        | Expr::ScalarSubquery(_)
        | Expr::Exists(_)
        | Expr::InSubquery(_)
        | Expr::SetComparison(_)
        | Expr::Placeholder(_) => false,
        _ => true,
    };
    !filter.is_volatile() && !filter.exists(|expr| Ok(!is_known(expr))).unwrap_or(true)
}

/// The half-open range that a comparison of the timestamp with a literal means; `None` for any other filter.
pub(crate) fn time_range(filter: &Expr) -> Option<Range> {
    let is_timestamp =
        |expr: &Expr| matches!(expr, Expr::Column(column) if column.name() == "timestamp");
    let literal = |expr: &Expr| match expr {
        Expr::Literal(ScalarValue::TimestampMillisecond(Some(ms), _), _) => Some(*ms),
        _ => None,
    };
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let (op, ms) = match (is_timestamp(left), is_timestamp(right)) {
                (true, false) => (*op, literal(right)?),
                (false, true) => (op.swap()?, literal(left)?),
                _ => return None,
            };
            let next = ms.saturating_add(1);
            let (start_ms, end_ms) = match op {
                Operator::GtEq => (ms, i64::MAX),
                Operator::Gt => (next, i64::MAX),
                Operator::LtEq => (i64::MIN, next),
                Operator::Lt => (i64::MIN, ms),
                Operator::Eq => (ms, next),
                _ => return None,
            };
            Some(Range { start_ms, end_ms })
        }
        Expr::Between(between) if !between.negated && is_timestamp(&between.expr) => Some(Range {
            start_ms: literal(&between.low)?,
            end_ms: literal(&between.high)?.saturating_add(1),
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::prelude::{col, lit};

    fn at(ms: i64) -> Expr {
        lit(ScalarValue::TimestampMillisecond(
            Some(ms),
            Some("UTC".into()),
        ))
    }

    #[test]
    fn comparisons_of_the_timestamp_are_ranges() {
        let ts = || col("timestamp");
        let cases = [
            (ts().gt_eq(at(5)), Some((5, i64::MAX))),
            (ts().gt(at(5)), Some((6, i64::MAX))),
            (ts().lt(at(5)), Some((i64::MIN, 5))),
            (ts().lt_eq(at(5)), Some((i64::MIN, 6))),
            (ts().eq(at(5)), Some((5, 6))),
            (at(5).lt(ts()), Some((6, i64::MAX))),
            (ts().between(at(5), at(7)), Some((5, 8))),
            (ts().not_between(at(5), at(7)), None),
            (ts().not_eq(at(5)), None),
            (col("message").eq(lit("x")), None),
        ];
        for (filter, expected) in cases {
            let found = time_range(&filter).map(|range| (range.start_ms, range.end_ms));
            assert_eq!(found, expected, "{filter}");
        }
    }

    #[test]
    fn packing_spreads_the_large_ones() {
        let object = |size: u64| {
            let meta = object_store::ObjectMeta {
                location: format!("t/s/{size:06}.gz").into(),
                last_modified: Default::default(),
                size,
                e_tag: None,
                version: None,
            };
            LogObject::new(&meta, None).unwrap()
        };
        let objects: Vec<_> = [1, 2, 3, 90, 4, 80].into_iter().map(object).collect();
        let packed = |objects: &[LogObject], partitions| {
            let numbers: Vec<u32> = (0..objects.len() as u32).collect();
            pack(single(&Arc::new(objects.to_vec()), &numbers), partitions)
        };
        let sizes = |groups: Vec<FileGroup>| -> Vec<Vec<u64>> {
            groups
                .iter()
                .map(|group| group.iter().map(|file| file.object_meta.size).collect())
                .collect()
        };
        assert_eq!(sizes(packed(&objects, 2)), [vec![90], vec![80, 4, 3, 2, 1]]);
        assert_eq!(sizes(packed(&objects, 1)), [vec![1, 2, 3, 90, 4, 80]]);
        assert_eq!(packed(&objects[..2], 8).len(), 2);
    }
}
