//! A query that is planned once, before its tables are there, and bound to the tables of each window.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use datafusion::catalog::information_schema::INFORMATION_SCHEMA;
use datafusion::common::TableReference;
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::datasource::{TableType, provider_as_source, source_as_provider};
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, TableScan};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use super::order::fix_order;
use super::parameters::Parameters;
use super::planning::on_own_thread;
use super::{Session, Statement};
use crate::error::{Class, Error, Result};

/// A planned query, without the tables and the values of the parameters that it runs with.
#[derive(Debug, Clone)]
pub struct PreparedQuery {
    plan: LogicalPlan,
    parameters: Arc<Parameters>,
    sql: String,
    origin: String,
}

impl Session {
    /// Plans a query; `origin` is where its text is from. It can name every table of this session, also those that are
    /// only expected. Errors: as of [`Session::statement`], and `Sql` for a statement that tells of tables or of a plan.
    pub async fn prepare(&self, sql: &str, origin: &str) -> Result<PreparedQuery> {
        refuse_what_is_no_question(sql, origin)?;
        let (session, sql, origin) = (self.clone(), sql.to_owned(), origin.to_owned());
        on_own_thread(async move {
            let plan = session.plan(&sql, &origin).await?;
            Ok(PreparedQuery {
                plan,
                parameters: Arc::clone(&session.parameters),
                sql,
                origin,
            })
        })
        .await
    }

    /// Gives a query the tables and the window of this session, and its rows an order that is always the same, so that
    /// the same answer is the same bytes. A table that this session only expects stays so: the statement then tells its
    /// columns, and can't run.
    pub async fn bind(&self, query: &PreparedQuery) -> Result<Statement> {
        let (mut session, query) = (self.clone(), query.clone());
        session.parameters = Arc::clone(&query.parameters);
        on_own_thread(async move {
            let bound = async {
                let tables = session.tables_of(&query.plan).await?;
                let plan = with_tables(query.plan.clone(), &tables)?;
                let plan = session.fill_in_parameters(plan)?;
                let columns = session.columns(&plan)?;
                let (plan, in_order) = fix_order(plan)?;
                Ok(Statement {
                    plan,
                    columns,
                    in_order,
                    sql: query.sql.as_str().into(),
                    origin: query.origin.as_str().into(),
                })
            };
            bound
                .await
                .map_err(|error| session.explain(&query.origin, &query.sql, error))
        })
        .await
    }

    /// This session's tables in place of those of a plan that are of the session in which it was planned.
    async fn tables_of(&self, plan: &LogicalPlan) -> EngineResult<Tables> {
        let mut names = Vec::new();
        plan.apply_with_subqueries(|node| {
            if let LogicalPlan::TableScan(scan) = node
                && is_of_session(scan)
            {
                names.push(scan.table_name.clone());
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        let mut tables = Tables::new();
        for name in names {
            let table = self.context.table_provider(name.clone()).await?;
            tables.insert(name, table);
        }
        Ok(tables)
    }
}

/// An error for `EXPLAIN`, `SHOW` and `DESCRIBE`, whose rows are for a person who looks at them.
fn refuse_what_is_no_question(sql: &str, origin: &str) -> Result<()> {
    let tokens =
        Tokenizer::new(&PostgreSqlDialect {}, sql.trim_start_matches('\u{feff}')).tokenize();
    let tokens = tokens.unwrap_or_default();
    let first = tokens.iter().find_map(|token| match token {
        Token::Word(word) => Some(word.value.to_uppercase()),
        _ => None,
    });
    match first {
        Some(word) if ["EXPLAIN", "SHOW", "DESCRIBE", "DESC"].contains(&&*word) => Err(Error::new(
            Class::Sql,
            format!(
                "{origin}: {word} is no question of a job: expected SELECT, or `logtally query` for {word}"
            ),
        )),
        _ => Ok(()),
    }
}

type Tables = HashMap<TableReference, Arc<dyn TableProvider>>;

/// Whether a scan is of a table that each session has of its own. A recursive query's working table and what a table
/// function gives are parts of the plan, whatever they are named.
fn is_of_session(scan: &TableScan) -> bool {
    scan.table_name.schema() == Some(INFORMATION_SCHEMA) || is_unbound(scan)
}

/// Whether a scan is of a table that is only expected.
pub(super) fn is_unbound(scan: &TableScan) -> bool {
    source_as_provider(&scan.source).is_ok_and(|table| table.is::<Unbound>())
}

fn with_tables(plan: LogicalPlan, tables: &Tables) -> EngineResult<LogicalPlan> {
    let bound = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::TableScan(scan) if is_of_session(&scan) => {
            let Some(table) = tables.get(&scan.table_name) else {
                return Ok(Transformed::no(LogicalPlan::TableScan(scan)));
            };
            let source = provider_as_source(Arc::clone(table));
            // A view becomes the plan that it stands for.
            let table = LogicalPlanBuilder::scan(scan.table_name, source, scan.projection)?;
            table.build().map(Transformed::yes)
        }
        other => Ok(Transformed::no(other)),
    });
    bound.map(|bound| bound.data)
}

/// A table of which only the columns are known.
#[derive(Debug)]
pub(super) struct Unbound(SchemaRef);

impl Unbound {
    pub(super) fn new(schema: SchemaRef) -> Self {
        Self(schema)
    }
}

#[async_trait]
impl TableProvider for Unbound {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.0)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _: &dyn datafusion::catalog::Session,
        _: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let columns: Vec<&str> = self
            .0
            .fields()
            .iter()
            .map(|field| &**field.name())
            .collect();
        let what = format!(
            "a query runs over a table that was only expected, with the columns {}",
            columns.join(", ")
        );
        Err(Error::new(Class::Unexpected, what).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::Engine;
    use crate::window::{Range, Size, Window};
    use arrow::array::{AsArray, Int64Array, RecordBatch};
    use arrow::datatypes::{DataType, Field, Int64Type, Schema};
    use chrono_tz::Tz;
    use datafusion::datasource::MemTable;
    use futures::TryStreamExt;

    fn engine() -> Engine {
        Engine::new(64 << 20, &std::env::temp_dir()).unwrap()
    }

    fn day(id: &str) -> Range {
        let zone: Tz = "Europe/Berlin".parse().unwrap();
        Window::parse(Size::Day, zone, id).unwrap().range()
    }

    fn answer() -> SchemaRef {
        Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]))
    }

    fn expecting() -> Session {
        let session = engine().session("Europe/Berlin".parse().unwrap()).unwrap();
        let session = session.expect_logs().unwrap();
        let session = session.expect_window(day("2026-11-20")).unwrap();
        session.expect_table("answer", answer()).unwrap();
        session
    }

    /// A session of a window, with an answer of these rows.
    fn bound(window: &str, rows: &[i64]) -> Session {
        let session = engine().session("Europe/Berlin".parse().unwrap()).unwrap();
        let session = session.with_window(day(window)).unwrap();
        let column = Arc::new(Int64Array::from(rows.to_vec()));
        let batch = RecordBatch::try_new(answer(), vec![column]).unwrap();
        let table = MemTable::try_new(answer(), vec![vec![batch]]).unwrap();
        session
            .context
            .register_table("answer", Arc::new(table))
            .unwrap();
        session
    }

    async fn number(session: &Session, query: &PreparedQuery) -> Result<i64> {
        let statement = session.bind(query).await?;
        let batches = session.run(&statement).await?.batches;
        let batches: Vec<RecordBatch> = batches.try_collect().await.map_err(Error::from_engine)?;
        Ok(batches[0].column(0).as_primitive::<Int64Type>().value(0))
    }

    #[tokio::test]
    async fn one_plan_runs_over_the_tables_and_parameters_of_each_window() {
        let sql = "WITH RECURSIVE logs AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM logs WHERE n < 3) \
                   SELECT (SELECT count(*) FROM hours) * 1000 \
                        + (SELECT sum(n) FROM public.answer AS a WHERE EXISTS (SELECT 1 FROM answer WHERE n = a.n)) * 10 \
                        + (SELECT max(n) FROM logs) \
                        + ($window_end::bigint - $window_start::bigint) / 3600000 * 1000000 AS n";
        let query = expecting().prepare(sql, "SQL").await.unwrap();
        for (window, rows, expected) in [
            ("2026-11-20", &[1, 2][..], 24_024_033),
            ("2026-10-25", &[5], 25_025_053),
            ("2026-03-29", &[0], 23_023_003),
        ] {
            let session = bound(window, rows);
            assert_eq!(
                number(&session, &query).await.unwrap(),
                expected,
                "{window}"
            );
        }
    }

    #[tokio::test]
    async fn the_list_of_tables_is_that_of_the_session_in_which_a_query_runs() {
        let sql = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'";
        let query = expecting().prepare(sql, "SQL").await.unwrap();
        // `hours` and the answer; `logs` is only expected.
        let session = bound("2026-11-20", &[1]);
        assert_eq!(number(&session, &query).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_table_that_is_only_expected_has_columns_and_no_rows() {
        let session = expecting();
        let query = session
            .prepare("SELECT n FROM answer", "SQL")
            .await
            .unwrap();
        let statement = session.bind(&query).await.unwrap();
        assert_eq!(statement.schema(), answer());
        let error = session.run(&statement).await.map(drop).unwrap_err();
        assert_eq!(error.class(), Class::Unexpected);
    }
}
