//! The engine (memory, spilling) and its sessions, which are all made in the same way.

use std::num::NonZeroUsize;
use std::path::Path as FilePath;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use chrono_tz::Tz;
use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::common::config::Dialect;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, MemoryPool, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{FunctionRegistry, SendableRecordBatchStream};
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::AggregateUDF;
use datafusion::prelude::{Expr, ParquetReadOptions, SessionConfig, SessionContext, cast, ident};

use super::distinct::DistinctBytes;
use super::lists::SoundLists;
use super::local_times::{DateSums, LocalTimes};
use super::prepared::Unbound;
use super::{functions, views};
use crate::error::{Error, Result};
use crate::scan::LogsTable;
use crate::store::Store;
use crate::window::Range;

/// The most bytes that queries spill to disk.
const MAX_SPILL_BYTES: u64 = 100 << 30;

/// The memory and the scratch folder that sessions share.
#[derive(Debug, Clone)]
pub struct Engine {
    runtime: Arc<RuntimeEnv>,
    /// In bytes.
    memory: usize,
    partitions: usize,
}

impl Engine {
    /// An engine with `memory` bytes for queries that spills to the folder `scratch`.
    pub fn new(memory: u64, scratch: &FilePath) -> Result<Self> {
        let bytes = usize::try_from(memory).unwrap_or(usize::MAX);
        const NAMED_IN_ERRORS: NonZeroUsize = NonZeroUsize::new(3).unwrap();
        let pool = TrackConsumersPool::new(FairSpillPool::new(bytes), NAMED_IN_ERRORS);
        let disk = DiskManagerBuilder::default()
            .with_mode(DiskManagerMode::Directories(vec![scratch.to_owned()]))
            .with_max_temp_directory_size(MAX_SPILL_BYTES);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(pool))
            .with_disk_manager_builder(disk)
            .build_arc()
            .map_err(Error::from_engine)?;
        let partitions = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Ok(Self {
            runtime,
            memory: bytes,
            partitions,
        })
    }

    /// The memory pool that queries share.
    pub fn pool(&self) -> &Arc<dyn MemoryPool> {
        &self.runtime.memory_pool
    }

    /// A session in a zone, with all functions and without tables.
    pub fn session(&self, timezone: Tz) -> Result<Session> {
        let mut config = SessionConfig::new()
            .with_target_partitions(self.partitions)
            .with_information_schema(true)
            .with_collect_statistics(false);
        let options = config.options_mut();
        options.execution.time_zone = Some(timezone.name().to_owned());
        // In the default dialect `message->>'level' = 'ERROR'` means `message->>('level' = 'ERROR')`.
        options.sql_parser.dialect = Dialect::PostgreSQL;
        options.sql_parser.collect_spans = true;
        // A value that is not there is behind all others, in both directions: a list of the highest has values.
        "nulls_last".clone_into(&mut options.sql_parser.default_null_ordering);
        let mut context = SessionContext::new_with_config_rt(config, Arc::clone(&self.runtime));
        datafusion_functions_json::register_all(&mut context).map_err(Error::from_engine)?;
        for function in functions::all(timezone) {
            context.register_udf(function.as_ref().clone());
        }
        functions::bound_all(&mut context, self.memory).map_err(Error::from_engine)?;
        context.add_analyzer_rule(Arc::new(LocalTimes));
        context
            .register_expr_planner(Arc::new(DateSums))
            .map_err(Error::from_engine)?;
        context.register_udaf(AggregateUDF::from(functions::ExactPercentile::default()));
        context.add_optimizer_rule(Arc::new(functions::ReportFilter));
        context
            .register_function_rewrite(Arc::new(SoundLists))
            .and_then(|()| context.register_function_rewrite(Arc::new(DistinctBytes)))
            .map_err(Error::from_engine)?;
        Ok(Session {
            context,
            timezone,
            range: None,
        })
    }
}

/// The tables and parameters that a query can use.
#[derive(Clone)]
pub struct Session {
    pub(super) context: SessionContext,
    timezone: Tz,
    range: Option<Range>,
}

impl Session {
    /// The zone of local time.
    pub fn timezone(&self) -> Tz {
        self.timezone
    }

    /// The window's interval; `None` for a session without a window.
    pub fn range(&self) -> Option<Range> {
        self.range
    }

    /// Registers `logs`, and `store` as the store of its objects.
    pub fn with_logs(self, logs: LogsTable, store: Option<&Store>) -> Result<Self> {
        if let Some(store) = store {
            self.context
                .register_object_store(store.url().as_ref(), Arc::clone(store.objects()));
        }
        self.register("logs", Arc::new(logs.in_zone(self.timezone)))?;
        Ok(self)
    }

    /// Gives the session a window: the view `hours`, `$window_start` and `$window_end`.
    pub fn with_window(mut self, range: Range) -> Result<Self> {
        let hours = views::hours(self.timezone, range).map_err(Error::from_engine)?;
        self.register("hours", hours)?;
        self.range = Some(range);
        Ok(self)
    }

    /// Makes `logs` a table that queries can be [prepared](Self::prepare) over, and not run.
    pub fn expect_logs(self) -> Result<Self> {
        self.expect_table("logs", LogsTable::columns(self.timezone))?;
        Ok(self)
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
        self.register(name, Arc::new(Unbound::new(schema)))
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
        let read: Vec<Expr> = answer
            .schema()
            .fields()
            .iter()
            .zip(columns.fields())
            .map(|(read, column)| {
                let value = ident(read.name());
                match read.data_type() == column.data_type() {
                    true => value,
                    false => in_utc(value, read.data_type(), column.data_type()).alias(read.name()),
                }
            })
            .collect();
        let answer = answer.select(read).map_err(Error::from_engine)?;
        self.register(name, answer.into_view())
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

    /// The schema that holds the session's tables.
    pub(super) fn tables(&self) -> Option<Arc<dyn SchemaProvider>> {
        let state = self.context.state();
        let catalog = &state.config_options().catalog;
        let tables = self.context.catalog(&catalog.default_catalog)?;
        tables.schema(&catalog.default_schema)
    }

    fn register(&self, name: &str, table: Arc<dyn TableProvider>) -> Result<()> {
        self.context
            .register_table(datafusion::common::TableReference::bare(name), table)
            .map(|_| ())
            .map_err(Error::from_engine)
    }
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
