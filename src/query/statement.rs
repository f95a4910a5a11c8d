//! A query: planned and checked, its parameters filled in, and run as a stream of batches.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Diagnostic, ParamValues, ScalarValue};
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};

use super::Session;
use super::chains::refuse_long_chains;
use super::dropped::refuse_dropped_clauses;
use super::order::settle_choices;
use super::planning::on_own_thread;
use super::postgres::translate;
use super::rehearsal::{named, of_text};
use crate::error::{Class, Error, Result};
use crate::scan::ScanReports;
use crate::window::written_time::NoTime;

/// A planned query.
#[derive(Debug, Clone)]
pub struct Statement {
    pub(super) plan: LogicalPlan,
    pub(super) columns: SchemaRef,
    /// Whether to run in one partition, so that the rows come in the order of the objects' keys: where the answer has that
    /// order, or is chosen by it.
    pub(super) in_order: bool,
}

/// The parameters of a query.
const PARAMETERS: [&str; 3] = ["window_start", "window_end", "timezone"];

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
                .with_parameters(plan)
                .and_then(|plan| {
                    let columns = session.columns(&plan)?;
                    let (plan, in_order) = settle_choices(plan)?;
                    Ok(Statement {
                        plan,
                        columns,
                        in_order,
                    })
                })
                .map_err(|error| explain(&origin, located(error, &sql)))
        })
        .await
    }

    /// Plans a query; its parameters have no values yet.
    pub(super) async fn plan(&self, sql: &str, origin: &str) -> Result<LogicalPlan> {
        tracing::debug!(origin, "planning");
        let state = self.context.state();
        // Editors on Windows write a byte order mark at the start of a file.
        let sql = sql.strip_prefix('\u{feff}').unwrap_or(sql);
        let plan = self
            .logical_plan(&state, sql)
            .await
            .map_err(|error| self.with_table_names(explain(origin, located(error, sql))))?;
        let unknown: Vec<String> = placeholders(&plan)
            .into_iter()
            .filter(|name| !PARAMETERS.contains(&name.as_str()))
            .map(|name| format!("${name}"))
            .collect();
        if !unknown.is_empty() {
            return Err(Error::new(
                Class::Sql,
                format!(
                    "{origin}: unknown parameter {}: expected ${}",
                    unknown.join(", "),
                    PARAMETERS.join(", $")
                ),
            ));
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
    pub(super) fn with_parameters(&self, plan: LogicalPlan) -> EngineResult<LogicalPlan> {
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

    /// Adds the names of all tables to the error for an unknown table.
    fn with_table_names(&self, error: Error) -> Error {
        let text = error.to_string();
        let is_table = text.contains("table '") && text.ends_with("' not found");
        let Some(schema) = self.tables().filter(|_| is_table) else {
            return error;
        };
        let mut tables = schema.table_names();
        tables.sort_unstable();
        Error::new(
            error.class(),
            format!("{text}: expected one of {}", tables.join(", ")),
        )
    }

    async fn logical_plan(&self, state: &SessionState, sql: &str) -> EngineResult<LogicalPlan> {
        refuse_long_chains(sql)?;
        let dialect = state.config().options().sql_parser.dialect;
        let mut statement = state.sql_to_statement(sql, &dialect)?;
        refuse_dropped_clauses(&statement)?;
        translate(&mut statement)?;
        let tables = state.resolve_table_references(&statement)?;
        let names_hours = tables
            .iter()
            .any(|table| table.schema().is_none() && table.table() == "hours");
        if names_hours && self.range().is_none() {
            return Err(needs_window("the table hours needs").into());
        }
        let plan = state.statement_to_plan(statement).await?;
        // A query only reads: it changes no tables, writes no files and sets no options.
        SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false)
            .verify_plan(&plan)
            .map_err(|error| {
                let refused = error.strip_backtrace();
                let refused = refused.rsplit(": ").next().unwrap_or_default();
                Error::new(
                    Class::Sql,
                    format!("a query can only read, {refused} is not allowed"),
                )
            })?;
        Ok(plan)
    }

    /// Starts a query.
    pub async fn run(&self, statement: &Statement) -> Result<Execution> {
        let mut state = self.context.state();
        if statement.in_order {
            let config = state
                .config()
                .clone()
                .with_target_partitions(1)
                // The default would replace the catalog that has the tables with an empty one.
                .with_create_default_catalog_and_schema(false);
            state = SessionStateBuilder::new_from_existing(state)
                .with_config(config)
                .build();
        }
        let task = state.task_ctx();
        let logical = statement.plan.clone();
        let plan = on_own_thread(async move {
            let plan = state.create_physical_plan(&logical).await;
            plan.map_err(Error::from_engine)
        })
        .await?;
        let batches = execute_stream(Arc::clone(&plan), task).map_err(Error::from_engine)?;
        Ok(Execution { batches, plan })
    }
}

/// A question that runs.
pub struct Execution {
    /// The rows.
    pub batches: SendableRecordBatchStream,
    plan: Arc<dyn ExecutionPlan>,
}

impl Execution {
    /// What its scans have read so far; final once `batches` has ended.
    pub fn scans(&self) -> ScanReports {
        ScanReports::of(&self.plan)
    }
}

impl Statement {
    /// The answer's columns.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.columns)
    }

    /// Whether it certainly reads every object of `logs`, each once.
    pub fn reads_logs_once(&self) -> bool {
        let mut scans = 0;
        let mut skips = false;
        let visited = self.plan.apply_with_subqueries(|node| {
            match node {
                LogicalPlan::TableScan(scan) => {
                    scans += usize::from(scan.table_name.table() == "logs");
                }
                LogicalPlan::Filter(_) | LogicalPlan::Limit(_) => skips = true,
                _ => {}
            }
            Ok(TreeNodeRecursion::Continue)
        });
        debug_assert!(visited.is_ok());
        scans == 1 && !skips
    }
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

/// The engine's error, with the line and column in the SQL where known.
pub(super) fn explain(origin: &str, error: DataFusionError) -> Error {
    let diagnostic = error.diagnostic().cloned();
    let own = Error::from_engine(error);
    let mut text = own.to_string();
    let mut place = origin.to_owned();
    if let Some(diagnostic) = diagnostic {
        if let Some(span) = diagnostic.span {
            place = format!("{origin}:{}:{}", span.start.line, span.start.column);
        }
        for help in diagnostic.helps {
            text = format!("{}. {}", text.trim_end_matches('.'), help.message);
        }
    }
    Error::new(own.class(), text).during(place)
}

/// The error with its place in the SQL, where it names what is found there. The plan has places of columns only.
pub(super) fn located(error: DataFusionError, sql: &str) -> DataFusionError {
    let no_time = match error.find_root() {
        DataFusionError::External(root) => root.downcast_ref::<NoTime>().cloned(),
        _ => None,
    };
    let Some(no_time) = no_time else {
        return named(error, sql);
    };
    let said = Error::new(Class::Sql, no_time.to_string());
    let diagnostic = Diagnostic::new_error(no_time.to_string(), of_text(&no_time.0, sql));
    DataFusionError::from(said).with_diagnostic(diagnostic)
}
