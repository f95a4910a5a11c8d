//! The table `logs` over archives and exports: what a window's archive has is read from its columns, and the rest from the
//! objects of its export.
//!
//! Columns of an archive stand for expressions over an event. [`ArchivedColumns`] puts them in place of these expressions in a
//! plan, and `scan` computes them again where a window has no such column.

mod columns;
mod scan;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use chrono_tz::Tz;
use datafusion::catalog::{Session as EngineSession, TableProvider};
use datafusion::common::Column;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::datasource::TableType;
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::{Expr, LogicalPlan, TableProviderFilterPushDown, Volatility};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use super::Session;
use super::parquet_table::ParquetTable;
use super::planning::on_own_thread;
use crate::error::{Class, Error, Result};
use crate::job::OriginColumns;
use crate::scan::LogsTable;
use crate::scan::table::pushed_down;
use crate::window::Range;

pub use columns::ArchivedColumns;

/// An expression over one event, as the optimizer leaves it.
#[derive(Debug, Clone, PartialEq)]
pub struct EventExpression {
    /// The expression over unqualified columns of `logs`; `None` where the optimizer takes it apart, so that it can't be
    /// recognised in a plan.
    expr: Option<Expr>,
    /// Its type.
    data_type: DataType,
}

impl Session {
    /// The expression `sql` over an event, which `query` selects from `logs` alone. `origin` names its source in errors.
    ///
    /// # Errors
    /// `Sql` for what the engine refuses; `Usage` for what is no expression over one event, or has another value each time.
    pub async fn event_expression(
        &self,
        sql: &str,
        query: &str,
        origin: &str,
    ) -> Result<EventExpression> {
        refuse_several(sql, origin)?;
        let (session, query, origin) = (self.clone(), query.to_owned(), origin.to_owned());
        on_own_thread(async move {
            let plan = session.plan(&query, &origin).await?;
            refuse_other_rows(&plan, &origin)?;
            let columns = session.columns(&plan);
            let columns = columns.map_err(|error| session.explain(&origin, &query, error))?;
            let optimized = session.context.state().optimize(&plan);
            let optimized = optimized.map_err(|error| session.explain(&origin, &query, error))?;
            Ok(EventExpression {
                expr: expression_of(optimized),
                data_type: columns.field(0).data_type().clone(),
            })
        })
        .await
    }
}

/// An error (usage) for a text that is not one expression.
fn refuse_several(sql: &str, origin: &str) -> Result<()> {
    let dialect = PostgreSqlDialect {};
    let parsed = Parser::new(&dialect)
        .try_with_sql(sql)
        .and_then(|mut parser| {
            parser.parse_expr()?;
            Ok(parser.peek_token().token)
        });
    match parsed {
        Ok(Token::EOF) => {}
        // What the engine says of the whole query is better.
        Err(_) if !sql.contains(';') && balanced(sql) => {}
        Ok(other) => {
            return Err(Error::usage(format!(
                "{origin}: {other} follows an expression: expected one expression over an event, such as level(message)"
            )));
        }
        Err(_) => {
            return Err(Error::usage(format!(
                "{origin} is {sql:?}: expected one expression over an event, such as level(message)"
            )));
        }
    }
    let tokens = Tokenizer::new(&dialect, sql).tokenize().unwrap_or_default();
    let parameter = tokens
        .iter()
        .find(|token| matches!(token, Token::Placeholder(_)));
    match parameter {
        Some(parameter) => Err(Error::usage(format!(
            "{origin} has the parameter {parameter}: expected an expression whose value depends on the event alone"
        ))),
        None => Ok(()),
    }
}

/// Whether no parenthesis is closed that was not opened.
fn balanced(sql: &str) -> bool {
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize();
    let mut open = 0_i64;
    for token in tokens.unwrap_or_default() {
        match token {
            Token::LParen => open += 1,
            Token::RParen => open -= 1,
            _ => {}
        }
        if open < 0 {
            return false;
        }
    }
    open == 0
}

/// An error (usage) for a plan that does more than to compute a column of each event.
fn refuse_other_rows(plan: &LogicalPlan, origin: &str) -> Result<()> {
    let mut wrong = None;
    let visited = plan.apply_with_subqueries(|node| {
        match node {
            LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_) => {}
            LogicalPlan::TableScan(scan) if scan.table_name.table() == "logs" => {}
            _ => wrong = Some("it is not computed from one event"),
        }
        for expression in node.expressions() {
            expression.apply(|part| {
                match part {
                    Expr::ScalarSubquery(_)
                    | Expr::Exists(_)
                    | Expr::InSubquery(_)
                    | Expr::SetComparison(_) => wrong = Some("it has a query of its own"),
                    Expr::ScalarFunction(call)
                        if call.func.signature().volatility != Volatility::Immutable =>
                    {
                        wrong = Some("its value depends on when it is computed");
                    }
                    _ => {}
                }
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        Ok(TreeNodeRecursion::Continue)
    });
    debug_assert!(visited.is_ok());
    match wrong {
        Some(wrong) => Err(Error::usage(format!(
            "{origin}: {wrong}: expected an expression over one event, such as level(message)"
        ))),
        None => Ok(()),
    }
}

/// The one expression of a projection over `logs`.
fn expression_of(plan: LogicalPlan) -> Option<Expr> {
    let LogicalPlan::Projection(projection) = plan else {
        return None;
    };
    let ([expr], LogicalPlan::TableScan(_)) = (&projection.expr[..], projection.input.as_ref())
    else {
        return None;
    };
    let expr = expr.clone().unalias();
    // A column is read as it is, and a constant needs no column.
    let is_computed = !matches!(expr, Expr::Column(_)) && expr.any_column_refs();
    is_computed.then(|| unqualified(expr))
}

/// An expression with the bare names of its columns.
fn unqualified(expr: Expr) -> Expr {
    let bare = |part: Expr| {
        Ok(match part {
            Expr::Column(column) => {
                Transformed::yes(Expr::Column(Column::new_unqualified(column.name)))
            }
            other => Transformed::no(other),
        })
    };
    match expr.clone().transform(bare) {
        Ok(bare) => bare.data,
        Err(_) => expr,
    }
}

/// A column of a job's archive, and the expression that it stands for.
#[derive(Debug, Clone)]
pub struct ArchivedColumn {
    /// Its name in the files.
    pub name: String,
    /// The expression.
    pub expression: EventExpression,
}

impl ArchivedColumn {
    /// Its name and the type of the expression.
    pub fn field(&self) -> Field {
        Field::new(&self.name, self.expression.data_type.clone(), true)
    }

    /// Its name in plans. No other column has it, as names of archives are in lower case.
    fn in_plans(&self) -> String {
        format!("ARCHIVED_{}", self.name)
    }

    /// Whether a value in the files is the value of the expression, and not a coarser one.
    fn is_exact(&self) -> bool {
        is_kept(&self.expression.data_type)
    }
}

/// Whether Parquet for Athena keeps every value of a type as it is.
fn is_kept(data_type: &DataType) -> bool {
    match data_type {
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::Float32
        | DataType::Float64
        | DataType::Utf8
        | DataType::Utf8View
        | DataType::LargeUtf8
        | DataType::Date32
        | DataType::Timestamp(TimeUnit::Second | TimeUnit::Millisecond, _)
        | DataType::Decimal128(..) => true,
        DataType::Struct(fields) => fields.iter().all(|field| {
            is_kept(field.data_type()) && *field.name() == field.name().to_lowercase()
        }),
        DataType::List(item) => is_kept(item.data_type()),
        _ => false,
    }
}

/// What a query needs of events, beside their log group, log stream and time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// Whether it reads messages.
    pub message: bool,
    /// The archived columns that it reads, by their places.
    pub columns: BTreeSet<usize>,
    /// Whether the order of the events matters.
    pub in_order: bool,
}

/// Events of a part of time.
#[derive(Debug)]
pub enum Events {
    /// In exported objects.
    Exported(LogsTable),
    /// In the archive of a window.
    Archived(ArchivedEvents),
}

/// The archive of a window.
#[derive(Debug)]
pub struct ArchivedEvents {
    /// Its files: those of `logs`, the archived columns that they have, and the position.
    pub files: ParquetTable,
    /// The times that are wanted of it; `None`, and all are.
    pub range: Option<Range>,
    /// Whether its rows are in the order in which the export is read.
    pub is_in_reading_order: bool,
    /// For each archived column, whether the files have it.
    pub has: Vec<bool>,
}

/// Finds the events that a query reads.
#[async_trait]
pub trait OpenEvents: fmt::Debug + Send + Sync {
    /// The parts of time, in their order. Called for each scan.
    async fn open(&self, needs: &Needs) -> Result<Vec<Events>>;
}

/// `logs(timestamp, message, log_group, log_stream)` over archives and exports.
#[derive(Debug, Clone)]
pub struct ArchivedLogs {
    /// The columns of `logs`, and in a plan that reads archived columns, all of these behind them.
    schema: SchemaRef,
    zone: Tz,
    origins: OriginColumns,
    /// The number of columns of `logs`.
    of_logs: usize,
    columns: Arc<[ArchivedColumn]>,
    events: Arc<dyn OpenEvents>,
}

impl ArchivedLogs {
    /// The events that `events` finds, with their instants in a zone. `columns` stand for expressions in that zone.
    pub fn new(
        zone: Tz,
        origins: OriginColumns,
        columns: Vec<ArchivedColumn>,
        events: Arc<dyn OpenEvents>,
    ) -> Self {
        let schema = Self::columns(zone, origins);
        Self {
            of_logs: schema.fields().len(),
            schema,
            zone,
            origins,
            columns: columns.into(),
            events,
        }
    }

    /// The columns of every such table in a zone. Files of Parquet promise no value.
    pub fn columns(zone: Tz, origins: OriginColumns) -> SchemaRef {
        let fields = LogsTable::columns(zone, origins);
        let fields = fields.fields().iter();
        let fields = fields.map(|field| field.as_ref().clone().with_nullable(true));
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// The same with the archived columns behind those of `logs`.
    fn widened(&self) -> Self {
        let of_logs = self.schema.fields().iter().take(self.of_logs).cloned();
        let own = self.columns.iter().map(|column| {
            let data_type = column.expression.data_type.clone();
            Arc::new(Field::new(column.in_plans(), data_type, true))
        });
        Self {
            schema: Arc::new(Schema::new(of_logs.chain(own).collect::<Vec<_>>())),
            ..self.clone()
        }
    }

    /// The archived columns that a plan can read in place of their expressions: their places and expressions.
    fn replaceable(&self) -> impl Iterator<Item = (usize, &Expr)> {
        let columns = self.columns.iter().enumerate();
        columns.filter_map(|(place, column)| {
            let expr = column.expression.expr.as_ref()?;
            column.is_exact().then_some((place, expr))
        })
    }
}

#[async_trait]
impl TableProvider for ArchivedLogs {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Filters that a scan of exports does not evaluate still say which parts of archives are not needed.
    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> EngineResult<Vec<TableProviderFilterPushDown>> {
        let pushed = pushed_down(filters).into_iter().zip(filters);
        let pushed = pushed.map(|(pushed, filter)| match pushed {
            TableProviderFilterPushDown::Unsupported if self.is_for_archives(filter) => {
                TableProviderFilterPushDown::Inexact
            }
            // Archives may lack these columns.
            _ if is_about_origin(filter) => TableProviderFilterPushDown::Unsupported,
            other => other,
        });
        Ok(pushed.collect())
    }

    async fn scan(
        &self,
        state: &dyn EngineSession,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let all = || (0..self.schema.fields().len()).collect();
        let projected: Vec<usize> = projection.cloned().unwrap_or_else(all);
        let filters = self.sorted_out(filters);
        let wide = self.with_columns_of(&projected, &filters.rest)?;
        let needs = Needs {
            message: wide.contains(&1),
            columns: wide
                .iter()
                .filter_map(|place| place.checked_sub(self.of_logs))
                .collect(),
            in_order: state.config().target_partitions() == 1,
        };
        let events = self.events.open(&needs).await?;
        let columns = (&wide[..], projected.len());
        self.plan(state, events, columns, &filters, limit).await
    }
}

impl ArchivedLogs {
    /// Whether a filter is about archived columns alone.
    fn is_for_archives(&self, filter: &Expr) -> bool {
        let of_archive = |name: &str| {
            let mut columns = self.columns.iter();
            columns.any(|column| column.in_plans() == name)
        };
        let columns = filter.column_refs();
        !columns.is_empty()
            && columns.iter().all(|column| of_archive(column.name()))
            && !filter.is_volatile()
    }
}

/// Whether a filter reads the account or the Region.
fn is_about_origin(filter: &Expr) -> bool {
    let columns = filter.column_refs();
    let mut names = columns.iter().map(|column| column.name());
    names.any(|name| OriginColumns::NAMES.contains(&name))
}

/// A query with a smaller limit reads one part behind the other, so that its answer is always the same.
const FEW_ROWS: usize = 10_000;

fn wants_few(limit: Option<usize>) -> bool {
    limit.is_some_and(|rows| rows <= FEW_ROWS)
}

/// An error of planning, with what went wrong.
fn unexpected(what: &str) -> datafusion::error::DataFusionError {
    Error::new(Class::Unexpected, what).into()
}
