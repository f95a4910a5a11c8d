//! A job's query tried without rows, before anything is exported: what fails over no rows fails over any.
//!
//! The query is planned to the end over empty tables, and its expressions are evaluated over batches without rows. That
//! computes what is constant, and reads patterns, units, widths and percentiles.

mod expressions;
mod place;

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::datasource::empty::EmptyTable;
use datafusion::datasource::provider_as_source;
use datafusion::error::Result as EngineResult;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};

use self::expressions::Trial;
pub(super) use self::place::of_text;
use self::place::{at, at_name};
use super::prepared::{PreparedQuery, is_unbound};
use super::statement::{explain, located};
use super::{Session, Statement};
use crate::error::Result;

impl Session {
    /// Tries a query that is bound to tables, also to those that are only expected.
    ///
    /// # Errors
    /// `Sql` for what fails over any rows.
    pub async fn rehearse(&self, query: &PreparedQuery, statement: &Statement) -> Result<()> {
        let state = self.context.state();
        let tried: EngineResult<()> = async {
            let plan = state.optimize(&without_rows(statement.plan.clone())?)?;
            try_expressions(&plan, &state, &query.sql)?;
            let planned = state.query_planner().create_physical_plan(&plan, &state);
            try_functions_of_rows(planned.await?.as_ref(), &query.sql)
        }
        .await;
        tried.map_err(|error| explain(&query.origin, located(error, &query.sql)))
    }
}

/// The plan with empty tables in place of those that are only expected.
fn without_rows(plan: LogicalPlan) -> EngineResult<LogicalPlan> {
    let emptied = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::TableScan(mut scan) if is_unbound(&scan) => {
            let table = EmptyTable::new(scan.source.schema());
            scan.source = provider_as_source(Arc::new(table));
            Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
        }
        other => Ok(Transformed::no(other)),
    });
    emptied.map(|emptied| emptied.data)
}

fn try_expressions(plan: &LogicalPlan, state: &SessionState, sql: &str) -> EngineResult<()> {
    plan.apply_with_subqueries(|node| {
        let trial = Trial::over_input(node, state)?;
        for expression in node.expressions() {
            if let Some(failure) = trial.failure(&expression, true) {
                return Err(at(&failure.part, failure.error, sql));
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

/// Makes what gathers the rows of each aggregate and window function, which checks the arguments that have to be constant.
fn try_functions_of_rows(plan: &dyn ExecutionPlan, sql: &str) -> EngineResult<()> {
    if let Some(aggregation) = plan.downcast_ref::<AggregateExec>() {
        for aggregate in aggregation.aggr_expr() {
            let made = aggregate.create_accumulator();
            made.map_err(|error| at_name(aggregate.fun().name(), error, sql))?;
        }
    }
    let windows = match plan.downcast_ref::<WindowAggExec>() {
        Some(windows) => windows.window_expr(),
        None => plan
            .downcast_ref::<BoundedWindowAggExec>()
            .map_or(&[][..], BoundedWindowAggExec::window_expr),
    };
    for window in windows {
        let no_rows = RecordBatch::new_empty(plan.children()[0].schema());
        let name = window.name().split('(').next().unwrap_or_default();
        let evaluated = window.evaluate(&no_rows);
        evaluated.map_err(|error| at_name(name, error, sql))?;
    }
    for input in plan.children() {
        try_functions_of_rows(input.as_ref(), sql)?;
    }
    Ok(())
}
