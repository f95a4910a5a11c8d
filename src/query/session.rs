//! The engine (memory, spilling) and its sessions, which are all made in the same way.

use std::num::NonZeroUsize;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

#[cfg(feature = "cluster")]
use arrow::datatypes::TimeUnit;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use chrono_tz::Tz;
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList,
    SchemaProvider, TableProvider,
};
use datafusion::common::config::{ConfigNonZeroUsize, Dialect};
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
#[cfg(feature = "cluster")]
use datafusion::execution::session_state::SessionState;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::execution::{FunctionRegistry, SendableRecordBatchStream};
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::{LogicalPlanBuilder, ScalarUDF, WindowUDF};
use datafusion::prelude::{Expr, ParquetReadOptions, SessionConfig, SessionContext, cast, ident};
use datafusion::sql::sqlparser::ast::Statement as SqlStatement;

use super::archived::{ArchivedColumns, ArchivedLogs};
use super::bound::Bound;
#[cfg(feature = "cluster")]
use super::cluster::Cluster;
use super::compacted::CompactSorts;
use super::distinct::DistinctBytes;
#[cfg(feature = "cluster")]
use super::functions::time::Convert;
use super::grouped_patterns::GroupedPatterns;
use super::lists::SoundLists;
use super::local_times::{DateSums, LocalTimes};
use super::memory::Division;
use super::parameters::Parameters;
use super::parquet_table::ParquetTable;
use super::pool::SharedPool;
use super::prepared::Unbound;
use super::tables::{PreviousAnswers, TableKind, Tables};
use super::temporary_views::Views;
use super::{functions, views};
use crate::disk::free_bytes;
use crate::error::{Class, Error, Result};
use crate::job::{Format, OriginColumns};
use crate::scan::deferred::DeferredLogs;
use crate::scan::{LogsTable, LogsTables};
use crate::store::Store;
use crate::window::Range;

/// The most bytes that queries spill to disk. On a smaller disk it is half of what is free, as cached objects and the answers
/// need room too.
const MAX_SPILL_BYTES: u64 = 100 << 30;

/// The memory and the scratch folder that sessions share.
#[derive(Debug, Clone)]
pub struct Engine {
    runtime: Arc<RuntimeEnv>,
    /// In bytes.
    memory: usize,
    division: Division,
    /// The workers that share its scans.
    #[cfg(feature = "cluster")]
    cluster: Option<Arc<Cluster>>,
}

impl Engine {
    /// An engine with `memory` bytes for queries that spills to the folder `scratch`.
    pub fn new(memory: u64, scratch: &FilePath) -> Result<Self> {
        let free = free_bytes(scratch).unwrap_or(u64::MAX);
        Self::with_disk(
            memory,
            DiskManagerMode::Directories(vec![scratch.to_owned()]),
            MAX_SPILL_BYTES.min(free / 2),
        )
    }

    /// An engine for queries over no rows, which never spills and needs no disk.
    pub fn without_disk(memory: u64) -> Result<Self> {
        Self::with_disk(memory, DiskManagerMode::Disabled, 0)
    }

    fn with_disk(memory: u64, mode: DiskManagerMode, most_spilled: u64) -> Result<Self> {
        let bytes = usize::try_from(memory).unwrap_or(usize::MAX);
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let division = Division::of(bytes, cores);
        let disk = DiskManagerBuilder::default()
            .with_mode(mode)
            .with_max_temp_directory_size(most_spilled)
            .with_max_spill_merge_fan_in(division.merged_runs);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(SharedPool::new(bytes)))
            .with_disk_manager_builder(disk)
            .build_arc()
            .map_err(Error::from_engine)?;
        Ok(Self {
            runtime,
            memory: bytes,
            division,
            #[cfg(feature = "cluster")]
            cluster: None,
        })
    }

    /// The same engine, whose sessions share their scans with workers.
    #[cfg(feature = "cluster")]
    pub fn with_cluster(mut self, cluster: Cluster) -> Self {
        self.cluster = Some(Arc::new(cluster));
        self
    }

    /// The memory and the disk that all queries share.
    #[cfg(feature = "cluster")]
    pub(super) fn runtime(&self) -> &Arc<RuntimeEnv> {
        &self.runtime
    }

    /// How many partitions of a plan run at a time.
    #[cfg(feature = "cluster")]
    pub(super) fn partitions(&self) -> usize {
        self.division.partitions
    }

    /// The functions that only rules name, and no query, in a zone: as far as a name has one form there. Others, such as a cast
    /// of a text that may be no time, keep a plan in its process.
    #[cfg(feature = "cluster")]
    pub(super) fn unnamed_functions(memory: usize, zone: Tz) -> Vec<Arc<ScalarUDF>> {
        let instant =
            |zone: Tz| DataType::Timestamp(TimeUnit::Millisecond, Some(zone.name().into()));
        let casts = [
            instant(zone),
            instant(Tz::UTC),
            DataType::Timestamp(TimeUnit::Millisecond, None),
            DataType::Date32,
        ];
        let casts = casts.map(|to| Arc::new(ScalarUDF::from(Convert::new(to, zone, false))));
        let others = [
            super::distinct::row_bytes(),
            super::lists::mark(),
            functions::joined(memory),
            functions::logfmt_value(),
            functions::is_lambda_report(),
        ];
        casts.into_iter().chain(others).collect()
    }

    /// What a worker carries a plan out with: the functions of a session in this zone, over the formats of a job, and those
    /// that only rules name. `config` has what the engine needs besides.
    ///
    /// # Errors
    /// `Unexpected`: those of the engine.
    #[cfg(feature = "cluster")]
    pub(super) fn state_of_worker(
        &self,
        config: SessionConfig,
        timezone: Tz,
        formats: &[Format],
    ) -> Result<SessionState> {
        let context = self.context(config, timezone)?;
        context.register_udf(functions::parse_as(formats));
        for function in Self::unnamed_functions(self.memory, timezone) {
            context.register_udf(function.as_ref().clone());
        }
        Ok(context.state())
    }

    /// The memory pool that queries share.
    pub fn pool(&self) -> &Arc<dyn MemoryPool> {
        &self.runtime.memory_pool
    }

    /// Makes a store known to sessions by its URL.
    pub fn add_store(&self, store: &Store) {
        self.runtime
            .register_object_store(store.url().as_ref(), Arc::clone(store.objects()));
    }

    /// A session in a zone, with all functions and without tables.
    pub fn session(&self, timezone: Tz) -> Result<Session> {
        let context = self.context(SessionConfig::new(), timezone)?;
        let tables = Arc::new(Tables::default());
        let schema = Arc::clone(&tables) as _;
        let config = context.copied_config();
        let catalog = &config.options().catalog;
        context
            .catalog(&catalog.default_catalog)
            .ok_or_else(|| Error::new(Class::Unexpected, "the engine has no catalog"))?
            .register_schema(&catalog.default_schema, schema)
            .map_err(Error::from_engine)?;
        Ok(Session {
            context,
            tables,
            parameters: Arc::default(),
            views: Views::default(),
            bound: Arc::default(),
            translation: None,
            timezone,
            range: None,
            memory: self.memory,
            pool: Arc::clone(self.pool()),
            #[cfg(feature = "cluster")]
            cluster: self.cluster.clone(),
            #[cfg(feature = "cluster")]
            formats: Arc::default(),
        })
    }

    /// The engine in a zone, with all functions and rules.
    fn context(&self, config: SessionConfig, timezone: Tz) -> Result<SessionContext> {
        let mut config = config
            .with_target_partitions(self.division.partitions)
            .with_batch_size(self.division.batch_rows)
            .with_sort_spill_reservation_bytes(self.division.merge_bytes)
            .with_information_schema(true)
            .with_collect_statistics(false);
        let options = config.options_mut();
        options.execution.time_zone = Some(timezone.name().to_owned());
        // In the default dialect `message->>'level' = 'ERROR'` means `message->>('level' = 'ERROR')`.
        options.sql_parser.dialect = Dialect::PostgreSQL;
        options.sql_parser.collect_spans = true;
        // A value that is not there is behind all others, in both directions: a list of the highest has values.
        "nulls_last".clone_into(&mut options.sql_parser.default_null_ordering);
        // The members of what a function makes of a message would each be computed in the scan, with a call of the function
        // for each of them.
        options.optimizer.enable_leaf_expression_pushdown = false;
        // Rows between partitions that do not fit the memory are spilled to a file for each batch. With several batches in a
        // file, two threads that spill have a file each, and the reader waits for the wrong one, forever:
        // https://github.com/apache/datafusion/issues/24883
        options.execution.max_spill_file_size_bytes =
            ConfigNonZeroUsize::try_new(1).map_err(Error::from_engine)?;
        let state = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(Arc::clone(&self.runtime))
            .with_default_features()
            .with_physical_optimizer_rule(Arc::new(CompactSorts))
            .build();
        let mut context = SessionContext::new_with_state(state);
        context
            .register_function_rewrite(Arc::new(functions::WithoutDescription))
            .and_then(|()| datafusion_functions_json::register_all(&mut context))
            .map_err(Error::from_engine)?;
        for function in functions::all(timezone) {
            context.register_udf(function.as_ref().clone());
        }
        functions::register_series(&mut context, &timezone.name().into())
            .and_then(|()| functions::bound_all(&mut context, self.memory))
            .and_then(|()| functions::register_coalesce(&mut context))
            .and_then(|()| functions::describe_others(&mut context))
            .map_err(Error::from_engine)?;
        context.add_analyzer_rule(Arc::new(LocalTimes));
        context.add_analyzer_rule(Arc::new(views::InvocationTimes));
        context
            .register_expr_planner(Arc::new(DateSums))
            .map_err(Error::from_engine)?;
        for percentile in functions::percentiles() {
            context.register_udaf(percentile);
        }
        context.register_udwf(WindowUDF::from(functions::InvocationNumber::default()));
        // Before what rewrites the expressions that it knows.
        context.add_optimizer_rule(Arc::new(ArchivedColumns));
        context.add_optimizer_rule(Arc::new(GroupedPatterns));
        context.add_optimizer_rule(Arc::new(functions::ReportFilter));
        context
            .register_function_rewrite(Arc::new(SoundLists))
            .and_then(|()| context.register_function_rewrite(Arc::new(functions::LogfmtMembers)))
            .and_then(|()| context.register_function_rewrite(Arc::new(DistinctBytes)))
            .map_err(Error::from_engine)?;
        Ok(context)
    }
}

/// Puts statements that are written otherwise into the words of a session.
pub trait Translate: std::fmt::Debug + Send + Sync {
    /// Changes a statement before it is checked and planned.
    fn translate(&self, statement: &mut SqlStatement) -> Result<()>;
}

/// The tables and parameters that a query can use.
#[derive(Clone)]
pub struct Session {
    pub(super) context: SessionContext,
    pub(super) tables: Arc<Tables>,
    pub(super) parameters: Arc<Parameters>,
    pub(super) views: Views,
    pub(super) bound: Arc<Bound>,
    pub(super) translation: Option<Arc<dyn Translate>>,
    timezone: Tz,
    range: Option<Range>,
    /// What its queries may take, in bytes.
    memory: usize,
    pool: Arc<dyn MemoryPool>,
    /// The workers that share its scans.
    #[cfg(feature = "cluster")]
    pub(super) cluster: Option<Arc<Cluster>>,
    /// The formats that its function `parse_as` has.
    #[cfg(feature = "cluster")]
    pub(super) formats: Arc<[Format]>,
}

impl Session {
    pub(super) fn memory(&self) -> usize {
        self.memory
    }

    /// The memory pool that its queries share with those of all sessions of its engine.
    pub fn pool(&self) -> &Arc<dyn MemoryPool> {
        &self.pool
    }

    /// The zone of local time.
    pub fn timezone(&self) -> Tz {
        self.timezone
    }

    /// The window's interval; `None` for a session without a window.
    pub fn range(&self) -> Option<Range> {
        self.range
    }

    /// Registers `parse_as` over the formats of a job.
    pub fn with_formats(
        #[cfg_attr(
            not(feature = "cluster"),
            expect(unused_mut, reason = "one feature sets it")
        )]
        mut self,
        formats: &[Format],
    ) -> Self {
        self.context.register_udf(functions::parse_as(formats));
        #[cfg(feature = "cluster")]
        {
            self.formats = formats.into();
        }
        self
    }

    /// Registers `logs`, and `store` as the store of its objects.
    pub fn with_logs(self, logs: LogsTable, store: Option<&Store>) -> Result<Self> {
        if let Some(store) = store {
            self.context
                .register_object_store(store.url().as_ref(), Arc::clone(store.objects()));
        }
        let logs = Arc::new(logs.in_zone(self.timezone));
        self.tables.put("logs", TableKind::Logs, logs);
        Ok(self.with_views_of_logs())
    }

    /// Registers `logs` of several stores, each as the store of its objects.
    pub fn with_logs_of(self, tables: &[LogsTable], stores: &[&Store]) -> Result<Self> {
        if let ([logs], [store]) = (tables, stores) {
            return self.with_logs(logs.clone(), Some(store));
        }
        for store in stores {
            self.context
                .register_object_store(store.url().as_ref(), Arc::clone(store.objects()));
        }
        let logs = Arc::new(LogsTables::new(tables).in_zone(self.timezone));
        self.tables.put("logs", TableKind::Logs, logs);
        Ok(self.with_views_of_logs())
    }

    /// Makes the views over `logs`, which are planned where a query names them.
    fn with_views_of_logs(self) -> Self {
        for (name, view) in views::of_logs(&self.context) {
            self.defer(name, TableKind::View, Arc::new(view));
        }
        self
    }

    /// Registers `logs` whose objects are listed when a query reads them.
    pub fn with_deferred_logs(self, logs: DeferredLogs) -> Self {
        self.tables.put("logs", TableKind::Logs, Arc::new(logs));
        self.with_views_of_logs()
    }

    /// Registers `logs` that read archives where they can.
    pub fn with_archived_logs(self, logs: ArchivedLogs) -> Self {
        self.tables.put("logs", TableKind::Logs, Arc::new(logs));
        self.with_views_of_logs()
    }

    /// Gives the queries of the session parameters of their own.
    pub fn with_parameters(mut self, parameters: Parameters) -> Self {
        self.parameters = Arc::new(parameters);
        self
    }

    /// Gives the queries of the session values of `$1`, `$2` ….
    pub fn with_bound(mut self, bound: Bound) -> Self {
        self.bound = Arc::new(bound);
        self
    }

    /// Gives the queries of the session a memory pool of their own.
    pub fn with_pool(mut self, pool: Arc<dyn MemoryPool>) -> Self {
        self.pool = pool;
        self
    }

    /// The same tables in a session whose views are its own.
    pub fn fork(&self) -> Self {
        let (forked, _) = self.fork_with_catalog();
        forked
    }

    /// The same tables in a session that has other schemas and functions beside them, and reads statements in other words.
    ///
    /// # Errors
    /// `Unexpected`: those of the engine.
    pub fn fork_with(
        &self,
        schemas: &[(&str, Arc<dyn SchemaProvider>)],
        functions: Vec<ScalarUDF>,
        translation: Arc<dyn Translate>,
    ) -> Result<Self> {
        let (mut forked, catalog) = self.fork_with_catalog();
        for (name, schema) in schemas {
            catalog
                .register_schema(name, Arc::clone(schema))
                .map_err(Error::from_engine)?;
        }
        for function in functions {
            forked.context.register_udf(function);
        }
        forked.translation = Some(translation);
        Ok(forked)
    }

    fn fork_with_catalog(&self) -> (Self, Arc<MemoryCatalogProvider>) {
        let tables = Arc::new(self.tables.fork());
        let before = self.context.state();
        let names = before.config_options().catalog.clone();
        let catalog = Arc::new(MemoryCatalogProvider::new());
        let added = catalog.register_schema(&names.default_schema, Arc::clone(&tables) as _);
        debug_assert!(added.is_ok(), "a catalog in memory takes any schema");
        let catalogs = MemoryCatalogProviderList::new();
        catalogs.register_catalog(names.default_catalog, Arc::clone(&catalog) as _);
        let state = SessionStateBuilder::new_from_existing(before)
            .with_catalog_list(Arc::new(catalogs))
            .build();
        let forked = Self {
            context: SessionContext::new_with_state(state),
            tables,
            views: Views::default(),
            ..self.clone()
        };
        (forked, catalog)
    }

    /// Gives the queries of the session the earlier answers of a job: `previous('hourly_count', '7 days')`.
    pub fn with_previous(self, answers: Arc<dyn PreviousAnswers>) -> Self {
        self.tables.find_previous(answers);
        self
    }

    /// A table of which only the columns are known.
    pub fn expected(schema: SchemaRef) -> Arc<dyn TableProvider> {
        Arc::new(Unbound::new(schema))
    }

    /// Adds a table, such as a lookup table.
    pub fn add_table(&self, name: &str, kind: TableKind, table: Arc<dyn TableProvider>) {
        self.tables.put(name, kind, table);
    }

    /// Gives the session a window: the view `hours`, `$window_start` and `$window_end`.
    pub fn with_window(mut self, range: Range) -> Result<Self> {
        let hours = views::hours(self.timezone, range).map_err(Error::from_engine)?;
        self.tables.put("hours", TableKind::Hours, hours);
        self.range = Some(range);
        Ok(self)
    }

    /// Makes `logs` a table that queries can be [prepared](Self::prepare) over, and not run.
    pub fn expect_logs(self) -> Result<Self> {
        self.expect_logs_with(OriginColumns::default())
    }

    /// The same for `logs` with further columns that say where an event comes from.
    pub fn expect_logs_with(self, origins: OriginColumns) -> Result<Self> {
        self.expect_table("logs", LogsTable::columns(self.timezone, origins))?;
        Ok(self.with_views_of_logs())
    }

    /// The same for `logs` that may be read from archives, whose files promise no value.
    pub fn expect_archived_logs(self, origins: OriginColumns) -> Result<Self> {
        self.expect_table("logs", ArchivedLogs::columns(self.timezone, origins))?;
        Ok(self.with_views_of_logs())
    }

    /// The same for the window: the table `hours` is expected, and `$window_start` and `$window_end` are those of `range`.
    pub fn expect_window(mut self, range: Range) -> Result<Self> {
        let hours = views::hours(self.timezone, range).map_err(Error::from_engine)?;
        self.expect_table("hours", hours.schema())?;
        self.range = Some(range);
        Ok(self)
    }

    /// The same for any table, such as an earlier answer; `schema` is that of the table that is bound later.
    pub fn expect_table(&self, name: &str, schema: SchemaRef) -> Result<()> {
        let table = Arc::new(Unbound::new(schema));
        self.tables.put(name, TableKind::Answer, table);
        Ok(())
    }

    /// The columns of an answer as a table: those that its file has, of which the ones that were computed as instants are
    /// instants again. Parquet keeps them in UTC, without their zone.
    pub fn columns_of_answer(&self, computed: &Schema, as_read: &Schema) -> SchemaRef {
        let zone: Arc<str> = self.timezone.name().into();
        let fields = computed.fields().iter().zip(as_read.fields());
        let fields: Vec<Field> = fields
            .map(|(computed, read)| {
                let data_type = with_zone(computed.data_type(), read.data_type(), &zone);
                read.as_ref().clone().with_data_type(data_type)
            })
            .collect();
        Arc::new(Schema::new(fields))
    }

    /// Registers an answer in local Parquet files as a table of these columns.
    pub async fn add_answer(
        &self,
        name: &str,
        files: &[&FilePath],
        columns: &Schema,
    ) -> Result<()> {
        let files: Vec<String> = files
            .iter()
            .map(|file| file.to_string_lossy().into_owned())
            .collect();
        let answer = self
            .context
            .read_parquet(files, ParquetReadOptions::default())
            .await
            .map_err(Error::from_engine)?;
        let read = as_columns(answer.schema().as_arrow(), columns);
        let answer = answer.select(read).map_err(Error::from_engine)?;
        self.tables.put(name, TableKind::Answer, answer.into_view());
        Ok(())
    }

    /// Parquet files of answers as a table of these columns, behind which come some of the files' folders.
    pub fn answers(
        files: ParquetTable,
        columns: &Schema,
        folders: &[&str],
    ) -> Result<Arc<dyn TableProvider>> {
        let as_read = files.schema();
        let of_folders = folders.iter().map(|name| ident(*name));
        let read = as_columns(&as_read, columns).into_iter().chain(of_folders);
        let plan = LogicalPlanBuilder::scan("answers", provider_as_source(Arc::new(files)), None)
            .and_then(|plan| plan.project(read.collect::<Vec<_>>()))
            .and_then(LogicalPlanBuilder::build)
            .map_err(Error::from_engine)?;
        Ok(Arc::new(ViewTable::new(plan, None)))
    }

    /// The rows of local Parquet files, sorted by some columns with NULL first; of one file without such columns, as they
    /// are. The sort uses the engine's memory and spills.
    pub async fn sorted_files(
        &self,
        files: &[PathBuf],
        by: &[&str],
    ) -> Result<SendableRecordBatchStream> {
        let config = self.context.copied_config();
        let config = match by.is_empty() {
            true => config.with_target_partitions(1),
            false => config,
        };
        let context = SessionContext::new_with_config_rt(config, self.context.runtime_env());
        let files = files.iter().map(|file| file.to_string_lossy().into_owned());
        let files: Vec<String> = files.collect();
        let rows = context.read_parquet(files, ParquetReadOptions::default());
        let rows = rows.await.map_err(Error::from_engine)?;
        let order: Vec<_> = by
            .iter()
            .map(|column| ident(*column).sort(true, true))
            .collect();
        let rows = match order.is_empty() {
            true => rows,
            false => rows.sort(order).map_err(Error::from_engine)?,
        };
        rows.execute_stream().await.map_err(Error::from_engine)
    }

    /// The rows of a local Parquet file, sorted by some columns with NULL first. Equal rows keep the file's order. The
    /// sort uses the engine's memory and spills.
    pub async fn sorted_file(
        &self,
        file: &FilePath,
        by: &[impl AsRef<str>],
    ) -> Result<SendableRecordBatchStream> {
        // Upper case: an answer has no such column.
        const NUMBER: &str = "NUMBER";
        // With one partition, the row numbers are in the file's order.
        let config = self.context.copied_config().with_target_partitions(1);
        let context = SessionContext::new_with_config_rt(config, self.context.runtime_env());
        let path = file.to_string_lossy();
        let rows = context
            .read_parquet(path.as_ref(), ParquetReadOptions::default())
            .await;
        let order = by.iter().map(|column| ident(column.as_ref()));
        let order = order.chain([ident(NUMBER)]);
        let order: Vec<_> = order.map(|column| column.sort(true, true)).collect();
        let sorted = rows
            .and_then(|rows| rows.window(vec![row_number().alias(NUMBER)]))
            .and_then(|rows| rows.sort(order))
            .and_then(|rows| rows.drop_columns(&[format!("\"{NUMBER}\"")]))
            .map_err(Error::from_engine)?;
        sorted.execute_stream().await.map_err(Error::from_engine)
    }
}

/// Columns that are read, each as the column of its name and type.
fn as_columns(read: &Schema, columns: &Schema) -> Vec<Expr> {
    let columns = columns.fields().iter().map(|column| {
        let name = column.name();
        match read.field_with_name(name) {
            Ok(read) if read.data_type() != column.data_type() => {
                in_utc(ident(name), read.data_type(), column.data_type()).alias(name)
            }
            _ => ident(name),
        }
    });
    columns.collect()
}

/// The type of a column that is read, with the zone where it was computed with one.
fn with_zone(computed: &DataType, read: &DataType, zone: &Arc<str>) -> DataType {
    let field = |computed: &Field, read: &FieldRef| {
        let data_type = with_zone(computed.data_type(), read.data_type(), zone);
        Arc::new(read.as_ref().clone().with_data_type(data_type))
    };
    match (computed, read) {
        (DataType::Timestamp(_, Some(_)), DataType::Timestamp(unit, None)) => {
            DataType::Timestamp(*unit, Some(Arc::clone(zone)))
        }
        (DataType::Struct(computed), DataType::Struct(read)) => {
            let fields = computed.iter().zip(read);
            DataType::Struct(fields.map(|(one, other)| field(one, other)).collect())
        }
        (
            DataType::List(computed)
            | DataType::LargeList(computed)
            | DataType::ListView(computed)
            | DataType::LargeListView(computed)
            | DataType::FixedSizeList(computed, _),
            DataType::List(read),
        ) => DataType::List(field(computed, read)),
        (DataType::Map(computed, _), DataType::Map(read, sorted)) => {
            DataType::Map(field(computed, read), *sorted)
        }
        _ => read.clone(),
    }
}

/// A value without a zone, which is in UTC, as a type with zones.
fn in_utc(value: Expr, read: &DataType, column: &DataType) -> Expr {
    let utc = with_zone(column, read, &"UTC".into());
    cast(cast(value, utc), column.clone())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use arrow::array::AsArray;
    use arrow::datatypes::Int64Type;
    use futures::TryStreamExt;

    use super::*;

    /// Rows of queries over groups of long texts, with little memory.
    async fn groups(engine: &Engine, sql: &str) -> Result<Vec<i64>> {
        let session = engine.session(chrono_tz::UTC)?;
        let sql = format!(
            "WITH t AS (SELECT lpad((n % 20000)::text, 300, 'x') AS m, n % 7 AS k \
             FROM unnest(generate_series(1, 40000)) AS s(n)) {sql}"
        );
        let query = session.prepare(&sql, "SQL").await?;
        let statement = session.bind(&query).await?;
        let batches = session.run(&statement).await?.batches;
        let batches: Vec<_> = batches.try_collect().await.map_err(Error::from_engine)?;
        let counts = batches.iter().flat_map(|batch| {
            let counts = batch.columns().last().unwrap();
            counts.as_primitive::<Int64Type>().values().to_vec()
        });
        Ok(counts.collect())
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn more_memory_is_never_worse() {
        for (partitions, least) in [(1, 8 << 20), (2, 24 << 20)] {
            let mut memory = least;
            for _ in 0..10 {
                let mut engine = Engine::new(memory, &std::env::temp_dir()).unwrap();
                engine.division.partitions = partitions;
                let counts = groups(&engine, "SELECT m, count(*) AS n FROM t GROUP BY 1").await;
                let counts = counts.unwrap_or_else(|error| panic!("{memory} bytes: {error}"));
                assert!(
                    counts.len() == 20_000 && counts.iter().all(|n| *n == 2),
                    "{memory} bytes"
                );
                memory = memory / 5 * 6;
            }
        }
    }

    /// With several spilled batches in a file it hangs in one of some attempts.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn rows_that_are_spilled_between_partitions_arrive() {
        let mut engine = Engine::new(16 << 20, &std::env::temp_dir()).unwrap();
        engine.division.partitions = 2;
        // It does not hang each time.
        let state = engine.session(chrono_tz::UTC).unwrap().context.state();
        let options = &state.config_options().execution;
        assert_eq!(options.max_spill_file_size_bytes.get(), 1);
        for _ in 0..4 {
            let sql = "SELECT k, count(DISTINCT m) AS n FROM t GROUP BY 1";
            let counts = tokio::time::timeout(Duration::from_secs(300), groups(&engine, sql));
            let counts = counts.await.expect("the query hangs").unwrap();
            assert!(
                counts.len() == 7 && counts.iter().all(|n| *n > 5000),
                "{counts:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_sort_reads_batches_that_hold_their_own_rows() {
        let engine = Engine::new(64 << 20, &std::env::temp_dir()).unwrap();
        let session = engine.session(chrono_tz::UTC).unwrap();
        let sql = "SELECT n % 5 AS m, count(*) FROM unnest(generate_series(1, 10)) AS s(n) GROUP BY 1 ORDER BY 1";
        let plan = session.context.sql(sql).await.unwrap();
        let plan = plan.create_physical_plan().await.unwrap();
        let shown = datafusion::physical_plan::displayable(plan.as_ref());
        let shown = shown.indent(false).to_string();
        let mut lines = shown.lines().map(str::trim);
        assert!(lines.any(|line| line.starts_with("SortExec")), "{shown}");
        assert_eq!(lines.next(), Some("CompactedExec"), "{shown}");
    }
}
