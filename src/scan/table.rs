//! The table provider: which objects a question needs, which events of them, and how they are packed into partitions.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use chrono_tz::Tz;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::datasource::TableType;
use datafusion::datasource::physical_plan::{
    FileGroup, FileScanConfigBuilder, wrap_partition_type_in_dict, wrap_partition_value_in_dict,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;

use super::budget::Budget;
use super::bundle::{Bundle, as_file, bundles};
use super::cache::ObjectCache;
use super::fetch::ObjectFetcher;
use super::object::EventFilter;
use super::source::{LogSource, file_schema};
use super::tally::Tally;
use crate::layout::cloudwatch::LogObject;
use crate::store::Store;
use crate::window::Range;
use object_store::ObjectMeta;

/// A query with a smaller limit reads the objects one after the other, instead of several at a time.
const FEW_ROWS: usize = 10_000;

/// `logs(timestamp, message, log_group, log_stream)` over a list of exported objects.
#[derive(Debug, Clone)]
pub struct LogsTable {
    objects: Arc<Vec<LogObject>>,
    range: Range,
    url: ObjectStoreUrl,
    place: Arc<str>,
    table_schema: TableSchema,
    budget: Arc<Budget>,
    is_remote: bool,
    counts_odd_messages: bool,
    tally: Option<Arc<Tally>>,
    cache: Option<Arc<ObjectCache>>,
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
        Self {
            objects: Arc::new(objects),
            range,
            url: store.url().clone(),
            place: store.location().display_key(&root).into(),
            table_schema: table_schema(Tz::UTC),
            budget: Budget::new(pool),
            is_remote: !store.location().is_local(),
            counts_odd_messages: false,
            tally: None,
            cache: None,
        }
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

    /// Tallies the events by log group and hour while queries read them; the table's range must be that of a window.
    pub fn tallied(mut self) -> (Self, Arc<Tally>) {
        let tally = Arc::new(Tally::new(&self.objects, self.range));
        self.tally = Some(Arc::clone(&tally));
        (self, tally)
    }

    /// The table with its instants shown in a zone.
    pub fn in_zone(mut self, zone: Tz) -> Self {
        self.table_schema = table_schema(zone);
        self
    }

    /// The columns of every such table in a zone.
    pub fn columns(zone: Tz) -> SchemaRef {
        Arc::clone(table_schema(zone).table_schema())
    }

    /// Its objects.
    pub fn objects(&self) -> &[LogObject] {
        &self.objects
    }

    /// The objects that may have events of `range`, and that pass the filters over log group and log stream alone.
    fn select(
        &self,
        state: &dyn Session,
        filters: &[Expr],
        range: Range,
    ) -> Result<Vec<&LogObject>> {
        let mut selected: Vec<&LogObject> = self
            .objects
            .iter()
            .filter(|object| object.may_have(range))
            .collect();
        let filters: Vec<&Expr> = filters
            .iter()
            .filter(|filter| is_about_objects(filter))
            .collect();
        if filters.is_empty() || selected.is_empty() {
            return Ok(selected);
        }
        let schema = Arc::new(Schema::new(partition_fields()));
        let df_schema = DFSchema::try_from(Arc::clone(&schema))?;
        let filters = filters
            .into_iter()
            .map(|filter| state.create_physical_expr(filter.clone(), &df_schema))
            .collect::<Result<Vec<_>>>()?;
        let mut keep = vec![true; selected.len()];
        // The dictionary's keys have 16 bits.
        let most = usize::from(u16::MAX);
        for (objects, keep) in selected.chunks(most).zip(keep.chunks_mut(most)) {
            let values = |value: fn(&LogObject) -> ScalarValue| {
                ScalarValue::iter_to_array(objects.iter().map(|object| value(object)))
            };
            let batch = RecordBatch::try_new(
                Arc::clone(&schema),
                vec![values(log_group)?, values(log_stream)?],
            )?;
            for filter in &filters {
                let verdict = filter.evaluate(&batch)?.into_array(batch.num_rows())?;
                let verdict = verdict.as_boolean();
                for (row, keep) in keep.iter_mut().enumerate() {
                    *keep &= verdict.is_valid(row) && verdict.value(row);
                }
            }
        }
        let mut keep = keep.into_iter();
        selected.retain(|_| keep.next().unwrap_or(true));
        Ok(selected)
    }
}

fn log_group(object: &LogObject) -> ScalarValue {
    wrap_partition_value_in_dict(ScalarValue::Utf8(object.log_group.clone()))
}

fn log_stream(object: &LogObject) -> ScalarValue {
    wrap_partition_value_in_dict(ScalarValue::Utf8(Some(object.log_stream.clone())))
}

fn partition_fields() -> Vec<Field> {
    vec![
        Field::new(
            "log_group",
            wrap_partition_type_in_dict(DataType::Utf8),
            true,
        ),
        Field::new(
            "log_stream",
            wrap_partition_type_in_dict(DataType::Utf8),
            false,
        ),
    ]
}

fn table_schema(zone: Tz) -> TableSchema {
    let partition_fields: Vec<_> = partition_fields().into_iter().map(Arc::new).collect();
    TableSchema::builder(file_schema(zone))
        .with_table_partition_cols(partition_fields)
        .build()
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
        Ok(filters
            .iter()
            .map(
                |filter| match is_about_objects(filter) || time_range(filter).is_some() {
                    true => TableProviderFilterPushDown::Exact,
                    false => TableProviderFilterPushDown::Unsupported,
                },
            )
            .collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let range = filters
            .iter()
            .filter_map(time_range)
            .fold(self.range, Range::intersect);
        let objects = self.select(state, filters, range)?;
        if objects.is_empty() || range.is_empty() {
            let schema = match projection {
                Some(projection) => Arc::new(self.schema().project(projection)?),
                None => self.schema(),
            };
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let few_rows = limit.is_some_and(|rows| rows <= FEW_ROWS);
        let partitions = match few_rows {
            true => 1,
            false => state.config().target_partitions(),
        };
        let claim = Budget::claim(&self.budget, objects.len());
        let groups = match few_rows {
            // Few rows need few objects.
            true => pack(bundles(&objects, partitions, |_, _| false), partitions),
            false => pack(bundles(&objects, partitions, alike(projection)), partitions),
        };
        let fetcher = match self.is_remote {
            false => ObjectFetcher::local(Arc::clone(&claim)),
            // No object is requested ahead.
            true if few_rows => {
                ObjectFetcher::new(Arc::clone(&claim), Vec::new(), self.cache.clone())
            }
            true => ObjectFetcher::new(
                Arc::clone(&claim),
                opening_order(&groups)?,
                self.cache.clone(),
            ),
        };
        let filter = EventFilter {
            window: self.range,
            rows: range,
            messages: self.counts_odd_messages,
        };
        let source = LogSource::new(
            self.table_schema.clone(),
            filter,
            Arc::clone(&self.place),
            claim,
            Arc::new(fetcher),
        )
        .tallied(self.tally.clone());
        let config = FileScanConfigBuilder::new(self.url.clone(), Arc::new(source))
            .with_file_groups(groups)
            .with_limit(limit)
            // One partition reads in the order of the keys, so that the same query has the same answer.
            .with_preserve_order(partitions == 1)
            .with_projection_indices(projection.cloned())?
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

/// Compares two objects by those columns of a projection that have one value for a whole object.
fn alike(projection: Option<&Vec<usize>>) -> impl Fn(&LogObject, &LogObject) -> bool + use<> {
    let asked_for = |column| projection.is_none_or(|projection| projection.contains(&column));
    let of_file = file_schema(Tz::UTC).fields().len();
    let (log_group, log_stream) = (asked_for(of_file), asked_for(of_file + 1));
    move |one, other| {
        (!log_group || one.log_group == other.log_group)
            && (!log_stream || one.log_stream == other.log_stream)
    }
}

/// Packs bundles into at most `partitions` groups of about the same size, the largest first; a single group keeps their
/// order.
fn pack(bundles: Vec<(&LogObject, Bundle)>, partitions: usize) -> Vec<FileGroup> {
    let partitions = partitions.clamp(1, bundles.len().max(1));
    let files = bundles.into_iter().map(|(first, bundle)| {
        // The value of a column that is not projected does not matter.
        as_file(bundle, vec![log_group(first), log_stream(first)])
    });
    let mut files: Vec<_> = files.collect();
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

/// The order in which the engine opens the objects: the same as `LogSource::reorder_files`.
fn opening_order(groups: &[FileGroup]) -> Result<Vec<ObjectMeta>> {
    let mut files: Vec<_> = groups.iter().flat_map(FileGroup::iter).collect();
    if groups.len() > 1 {
        files.sort_by_key(|file| std::cmp::Reverse(file.object_meta.size));
    }
    let mut order = Vec::new();
    for file in files {
        let bundle = Bundle::of(file)?;
        order.extend(bundle.members().iter().map(|member| member.meta.clone()));
    }
    Ok(order)
}

/// Whether the filter can be decided for each object as a whole, without reading it.
fn is_about_objects(filter: &Expr) -> bool {
    let columns = filter.column_refs();
    !columns.is_empty()
        && columns
            .iter()
            .all(|column| matches!(column.name(), "log_group" | "log_stream"))
        && !filter.is_volatile()
}

/// The half-open range that a comparison of the timestamp with a literal means; `None` for any other filter.
fn time_range(filter: &Expr) -> Option<Range> {
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
            LogObject::new(meta, None).unwrap()
        };
        let objects: Vec<_> = [1, 2, 3, 90, 4, 80].into_iter().map(object).collect();
        let packed = |objects: &[LogObject], partitions| {
            let objects: Vec<&LogObject> = objects.iter().collect();
            pack(bundles(&objects, partitions, |_, _| false), partitions)
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
