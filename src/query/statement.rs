//! A query: planned and checked, its parameters filled in, and run as a stream of batches.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{ParamValues, ScalarValue, plan_datafusion_err};
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::execution::context::SQLOptions;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionState;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::physical_plan::common::spawn_buffered;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::sql::parser;
use futures::StreamExt;

use super::Session;
use super::chains::refuse_long_chains;
#[cfg(feature = "cluster")]
use super::cluster::failed_worker;
use super::dropped::refuse_dropped_clauses;
use super::errors::place::at_parameter;
use super::errors::refuse_commands;
use super::expansion::refuse_expansion;
use super::headings;
use super::impossible::refuse_impossible;
use super::numbers::refuse_texts_for_numbers;
use super::order::{in_order, settle_choices};
use super::parameters;
use super::planning::on_own_thread;
use super::postgres::{names_buckets, translate};
use super::previous;
use super::star;
use crate::error::{Class, Error, Result};
use crate::scan::{ScanReport, ScanReports, planned_bytes};

/// A planned query.
#[derive(Debug, Clone)]
pub struct Statement {
    pub(super) plan: LogicalPlan,
    pub(super) columns: SchemaRef,
    /// Whether to run in one partition, so that the rows come in the order of the objects' keys: where the answer has that
    /// order, or is chosen by it.
    pub(super) in_order: bool,
    /// The text of the query, and where it is from, for errors.
    pub(super) sql: Arc<str>,
    pub(super) origin: Arc<str>,
}

impl Session {
    /// Plans a query. `origin` names the source of its text in errors.
    ///
    /// # Errors
    /// `Sql` if the engine refuses it; `Usage` if it needs a window and the session has none.
    pub async fn statement(&self, sql: &str, origin: &str) -> Result<Statement> {
        let (session, sql, origin) = (self.clone(), sql.to_owned(), origin.to_owned());
        on_own_thread(async move {
            let plan = session.plan(&sql, &origin).await?;
            session
                .fill_in_parameters(plan)
                .and_then(|plan| {
                    let columns = session.columns(&plan)?;
                    let (plan, in_order) = settle_choices(plan)?;
                    Ok(Statement {
                        plan,
                        columns,
                        in_order,
                        sql: sql.as_str().into(),
                        origin: origin.as_str().into(),
                    })
                })
                .map_err(|error| session.explain(&origin, &sql, error))
        })
        .await
    }

    /// The plan of a view's query, with its parameters.
    pub(super) async fn view_plan(&self, sql: &str, origin: &str) -> Result<LogicalPlan> {
        let (session, sql, origin) = (self.clone(), sql.to_owned(), origin.to_owned());
        on_own_thread(async move {
            let plan = session.plan(&sql, &origin).await?;
            session
                .fill_in_parameters(plan)
                .map_err(|error| session.explain(&origin, &sql, error))
        })
        .await
    }

    /// Plans a query; its parameters have no values yet.
    pub(super) async fn plan(&self, sql: &str, origin: &str) -> Result<LogicalPlan> {
        tracing::debug!(origin, "planning");
        let state = self.context.state();
        // Editors on Windows write a byte order mark at the start of a file.
        let sql = sql.strip_prefix('\u{feff}').unwrap_or(sql);
        let mut plan = self.logical_plan(&state, sql, true).await;
        // What looks like a number may have to be a text.
        if self.parameters.are_ambiguous() && !plan.as_ref().is_ok_and(|plan| self.has_types(plan))
        {
            let as_texts = self.logical_plan(&state, sql, false).await;
            plan = match as_texts {
                Ok(as_texts) if self.has_types(&as_texts) => Ok(as_texts),
                _ => plan,
            };
        }
        let plan = plan.map_err(|error| self.explain(origin, sql, error))?;
        let unknown = placeholders(&plan).into_iter().find(|name| {
            !parameters::BUILT_IN.contains(&name.as_str()) && !self.parameters.knows(name)
        });
        if let Some(name) = unknown {
            let written = match name.starts_with(':') {
                true => name,
                false => format!("${name}"),
            };
            let what = format!("parameter {written} does not exist");
            let own = self.parameters.iter().map(|(name, _)| name);
            let all: Vec<&str> = parameters::BUILT_IN.into_iter().chain(own).collect();
            let hint = format!(
                "the parameters are ${}; write other values into the query, or give them with -p name=value",
                all.join(", $")
            );
            let error = Error::new(Class::Sql, what).with_hint(hint);
            let error = at_parameter(&written, error.into(), sql);
            return Err(self.explain(origin, sql, error));
        }
        if self.range().is_none()
            && placeholders(&plan)
                .iter()
                .any(|name| name.starts_with("window_"))
        {
            return Err(needs_window("$window_start and $window_end need").during(origin));
        }
        Ok(plan)
    }

    /// The plan with the values of its parameters in this session.
    pub(super) fn fill_in_parameters(&self, plan: LogicalPlan) -> EngineResult<LogicalPlan> {
        let plan = match self.parameters.is_empty() {
            true => plan,
            false => self.parameters.fill_in(plan)?,
        };
        let zone: Arc<str> = self.timezone().name().into();
        let instant = |ms| ScalarValue::TimestampMillisecond(Some(ms), Some(Arc::clone(&zone)));
        let mut values = vec![("timezone", ScalarValue::from(self.timezone().name()))];
        if let Some(range) = self.range() {
            values.push(("window_start", instant(range.start_ms)));
            values.push(("window_end", instant(range.end_ms)));
        }
        plan.with_param_values(ParamValues::from(values))
    }

    /// The columns of a plan's answer, with the types that the analyzer finds: that of a UNION or a CASE is the common one of
    /// all its branches. It also finds a text that is no time, before anything is exported.
    pub(super) fn columns(&self, plan: &LogicalPlan) -> EngineResult<SchemaRef> {
        let state = self.context.state();
        let options = state.config_options();
        let analyzer = state.analyzer();
        let analyzed = analyzer.execute_and_check(plan.clone(), options, |_, _| {})?;
        let columns = plan.schema().fields().iter();
        let columns = columns.zip(analyzed.schema().fields());
        let columns: Vec<Field> = columns
            .map(|(column, analyzed)| {
                let nullable = column.is_nullable() || analyzed.is_nullable();
                let column = column.as_ref().clone().with_nullable(nullable);
                column.with_data_type(analyzed.data_type().clone())
            })
            .collect();
        let metadata = plan.schema().metadata().clone();
        Ok(Arc::new(Schema::new_with_metadata(columns, metadata)))
    }

    /// Whether the functions of a plan take the values that it gives them.
    fn has_types(&self, plan: &LogicalPlan) -> bool {
        let filled = self.fill_in_parameters(plan.clone());
        filled.and_then(|plan| self.columns(&plan)).is_ok()
    }

    /// With `numbers`, parameters that may be numbers are numbers.
    async fn logical_plan(
        &self,
        state: &SessionState,
        sql: &str,
        numbers: bool,
    ) -> EngineResult<LogicalPlan> {
        refuse_commands(sql)?;
        refuse_long_chains(sql)?;
        let limit = state.config().options().sql_parser.recursion_limit.get();
        let mut statement = star::parse(sql, limit)?;
        self.bound.write_into(&mut statement);
        if let (Some(translation), parser::Statement::Statement(statement)) =
            (&self.translation, &mut statement)
        {
            translation.translate(statement)?;
        }
        refuse_dropped_clauses(&statement)?;
        refuse_expansion(&statement)?;
        if names_buckets(&statement) && self.range().is_none() {
            return Err(needs_window("buckets needs").into());
        }
        translate(&mut statement)?;
        self.parameters.write_into(&mut statement, numbers);
        previous::name_tables(&mut statement)?;
        let tables = state.resolve_table_references(&statement)?;
        let names_hours = tables
            .iter()
            .any(|table| table.schema().is_none() && table.table() == "hours");
        if names_hours && self.range().is_none() {
            return Err(needs_window("the table hours needs").into());
        }
        // The engine has its information_schema in every catalogue.
        let own = &state.config_options().catalog.default_catalog;
        if let Some(other) = tables
            .iter()
            .find(|table| table.catalog().is_some_and(|it| it != own))
        {
            return Err(plan_datafusion_err!("table '{other}' not found"));
        }
        let plan = state.statement_to_plan(statement).await?;
        // A query only reads: it changes no tables, writes no files and sets no options.
        SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false)
            .verify_plan(&plan)
            .map_err(|_| {
                let what =
                    "a statement that changes something is not allowed: a query can only read";
                Error::new(Class::Sql, what).with_hint("write SELECT, or WITH … SELECT")
            })?;
        refuse_impossible(&plan, sql)?;
        refuse_texts_for_numbers(&plan, sql)?;
        Ok(plan)
    }

    /// What a query runs with: the memory pool of the session, which may be another than the engine's.
    pub(super) fn task(&self, state: &SessionState) -> Result<Arc<TaskContext>> {
        let engine = state.runtime_env();
        if Arc::ptr_eq(&engine.memory_pool, self.pool()) {
            return Ok(state.task_ctx());
        }
        let runtime = RuntimeEnvBuilder::from_runtime_env(engine)
            .with_memory_pool(Arc::clone(self.pool()))
            .build_arc()
            .map_err(Error::from_engine)?;
        Ok(Arc::new(TaskContext::from(state).with_runtime(runtime)))
    }

    /// Starts a query. Where a worker fails before the first row, it is run once more, on those that are left.
    pub async fn run(&self, statement: &Statement) -> Result<Execution> {
        // Planning and starting take much of a stack, which those who wait for rows need not have.
        let started = Box::pin(self.start(statement, None)).await?;
        let plan = Arc::new(Mutex::new(Arc::clone(&started.plan)));
        let schema = started.batches.schema();
        let running = Running {
            session: self.clone(),
            query: statement.clone(),
            batches: started.batches,
            plan: Arc::clone(&plan),
            may_run_again: true,
        };
        let batches = futures::stream::unfold(running, |mut running| async move {
            let next = running.next().await?;
            Some((next, running))
        });
        Ok(Execution {
            batches: Box::pin(RecordBatchStreamAdapter::new(schema, batches)),
            plan: SharedPlan(plan),
            pool: Arc::clone(self.pool()),
        })
    }

    async fn start(
        &self,
        statement: &Statement,
        #[cfg_attr(
            not(feature = "cluster"),
            expect(unused_variables, reason = "one feature reads it")
        )]
        without: Option<&str>,
    ) -> Result<Started> {
        #[cfg(feature = "cluster")]
        if let Some(started) = self.start_on_workers(statement, without).await? {
            return Ok(started);
        }
        let mut state = self.context.state();
        if statement.in_order {
            state = in_order(state);
        }
        let task = self.task(&state)?;
        let (session, query) = (self.clone(), statement.clone());
        let plan = on_own_thread(async move {
            match state.create_physical_plan(&query.plan).await {
                Ok(plan) => Ok(plan),
                Err(error) => Err(session.why(&query, error).await),
            }
        })
        .await?;
        self.started(statement, plan, task)
    }

    /// Starts a query whose scans are divided among the workers `without` one; `None` where all of it stays in this process.
    #[cfg(feature = "cluster")]
    async fn start_on_workers(
        &self,
        statement: &Statement,
        without: Option<&str>,
    ) -> Result<Option<Started>> {
        let Some(cluster) = self.cluster.clone() else {
            return Ok(None);
        };
        let stays = match () {
            () if statement.in_order => Some("rows in the order of the objects come from one scan"),
            () if statement.is_plan() => Some("the plan is that of one machine"),
            () => None,
        };
        if let Some(reason) = stays {
            tracing::info!("reads on this machine: {reason}");
            return Ok(None);
        }
        let ready = cluster.ready(without).await?;
        let (session, query, state) = (self.clone(), statement.clone(), self.context.state());
        let divided = on_own_thread(async move {
            let (formats, memory) = (&session.formats, session.memory());
            let divided = cluster.divide(&query.plan, &state, formats, &ready, memory);
            Ok(divided.await.unwrap_or_else(|error| {
                // Planned for one process, the query may work, or its error names the place in the SQL.
                tracing::info!("reads on this machine: {}", error.strip_backtrace());
                None
            }))
        })
        .await?;
        let Some((plan, state)) = divided else {
            return Ok(None);
        };
        let task = self.task(&state)?;
        self.started(statement, plan, task).map(Some)
    }

    pub(super) fn started(
        &self,
        statement: &Statement,
        plan: Arc<dyn ExecutionPlan>,
        task: Arc<TaskContext>,
    ) -> Result<Started> {
        let batches = execute_stream(Arc::clone(&plan), task)
            .map_err(|error| self.explain(&statement.origin, &statement.sql, error))?;
        // In a task of its own: a function that computes for long would keep the caller from its timeout and from signals.
        let batches = spawn_buffered(batches, 1);
        Ok(Started { plan, batches })
    }

    /// Why a query failed. If the engine does not say where, the query is tried without rows, which names the part that fails
    /// over any rows.
    pub(super) async fn why(&self, query: &Statement, error: DataFusionError) -> Error {
        let is_of_query = Error::own_within(&error).is_none()
            && !matches!(
                error.find_root(),
                DataFusionError::ObjectStore(_) | DataFusionError::ResourcesExhausted(_)
            );
        // The plan has the place of some column in a part that it can't carry out.
        let is_vague = error
            .strip_backtrace()
            .contains("Physical plan does not support");
        let told = self.explain(&query.origin, &query.sql, error);
        if !is_of_query || told.excerpt().is_some() && !is_vague {
            return told;
        }
        let (session, query) = (self.clone(), query.clone());
        let tried = on_own_thread(async move { session.rehearse(&query).await });
        match tried.await {
            Err(placed) if placed.excerpt().is_some() || is_vague => placed,
            _ => told,
        }
    }
}

/// A plan that was started.
pub(super) struct Started {
    plan: Arc<dyn ExecutionPlan>,
    pub(super) batches: SendableRecordBatchStream,
}

/// A query on its way to rows.
struct Running {
    session: Session,
    query: Statement,
    batches: SendableRecordBatchStream,
    plan: Arc<Mutex<Arc<dyn ExecutionPlan>>>,
    /// Whether it can be run again: no row has left, and it was not run again yet.
    may_run_again: bool,
}

impl Running {
    async fn next(&mut self) -> Option<EngineResult<RecordBatch>> {
        loop {
            let error = match self.batches.next().await? {
                Ok(batch) => {
                    self.may_run_again &= batch.num_rows() == 0;
                    return Some(Ok(batch));
                }
                Err(error) => error,
            };
            let failed = failed_worker(&error).filter(|_| std::mem::take(&mut self.may_run_again));
            let error = self.session.why(&self.query, error).await;
            let Some(failed) = failed else {
                return Some(Err(error.into()));
            };
            tracing::warn!("the query is run once more: {}", error.message());
            match Box::pin(self.session.start(&self.query, Some(&failed))).await {
                Ok(Started { plan, batches }) => {
                    *self.plan.lock().unwrap_or_else(PoisonError::into_inner) = plan;
                    self.batches = batches;
                }
                // Without any other worker, the one that has no room says what helps.
                Err(none) if none.class() == Class::Workers && error.class() != none.class() => {
                    return Some(Err(error.into()));
                }
                Err(error) => return Some(Err(error.into())),
            }
        }
    }
}

/// No worker, in a process that has none.
#[cfg(not(feature = "cluster"))]
fn failed_worker(_: &DataFusionError) -> Option<String> {
    None
}

/// The plan of a query that runs, which is another one when it is run again.
#[derive(Debug, Clone)]
struct SharedPlan(Arc<Mutex<Arc<dyn ExecutionPlan>>>);

impl SharedPlan {
    fn get(&self) -> Arc<dyn ExecutionPlan> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A question that runs.
pub struct Execution {
    /// The rows.
    pub batches: SendableRecordBatchStream,
    /// The memory pool of the session.
    pub pool: Arc<dyn MemoryPool>,
    plan: SharedPlan,
}

impl Execution {
    /// Whether workers share the reading.
    #[cfg(feature = "cluster")]
    pub fn is_shared(&self) -> bool {
        self.plan
            .get()
            .is::<datafusion_distributed::DistributedExec>()
    }

    /// What its scans have read so far; final once `batches` has ended.
    pub fn scans(&self) -> ScanReports {
        ScanReports::of(&self.plan.get())
    }

    /// What can be asked for the progress of its scans, also while `batches` is read.
    pub fn progress(&self) -> ScanProgress {
        ScanProgress(self.plan.clone())
    }
}

/// How far the scans of a running query are.
#[derive(Debug, Clone)]
pub struct ScanProgress(SharedPlan);

impl ScanProgress {
    /// What the scans have read so far.
    pub fn so_far(&self) -> ScanReport {
        ScanReports::of(&self.0.get()).total()
    }

    /// The compressed bytes of the objects that they read in all.
    pub fn bytes(&self) -> u64 {
        planned_bytes(&self.0.get())
    }
}

impl Statement {
    /// The answer's columns.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.columns)
    }

    /// The names of the answer's columns, as the query writes them.
    pub fn headings(&self) -> Vec<String> {
        headings::of(&self.sql, &self.columns)
    }

    /// Whether the answer is a plan (`EXPLAIN`), and not rows.
    pub fn is_plan(&self) -> bool {
        matches!(self.plan, LogicalPlan::Explain(_) | LogicalPlan::Analyze(_))
    }

    /// What it reads of `logs`.
    pub fn reads_of_logs(&self) -> LogsRead {
        let mut read = LogsRead {
            scans: 0,
            is_whole: true,
            messages: false,
        };
        let visited = self.plan.apply_with_subqueries(|node| {
            match node {
                LogicalPlan::TableScan(scan) => {
                    read.scans += usize::from(scan.table_name.table() == "logs");
                }
                LogicalPlan::Filter(_) | LogicalPlan::Limit(_) => read.is_whole = false,
                _ => {}
            }
            node.apply_expressions(|expr| {
                read.messages |= expr
                    .column_refs()
                    .iter()
                    .any(|column| column.name() == "message");
                Ok(TreeNodeRecursion::Continue)
            })
        });
        debug_assert!(visited.is_ok());
        read
    }
}

/// What a query reads of `logs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogsRead {
    /// How often.
    pub scans: usize,
    /// Whether each of them surely reads every object.
    pub is_whole: bool,
    /// Whether it may read messages.
    pub messages: bool,
}

fn needs_window(what: &str) -> Error {
    Error::usage(format!(
        "{what} a window: expected --window 2026-11-21, or --from and --to"
    ))
}

/// The names of a plan's parameters, without the dollar sign.
fn placeholders(plan: &LogicalPlan) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let visited = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                if let Expr::Placeholder(placeholder) = expr {
                    names.insert(placeholder.id.trim_start_matches('$').to_owned());
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    debug_assert!(visited.is_ok());
    names
}
