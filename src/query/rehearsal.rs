//! A job's query tried without rows, before anything is exported: what fails over no rows fails over any.
//!
//! The query is planned to the end over empty tables, and its expressions are evaluated over batches without rows. That
//! computes what is constant, and reads patterns, units, widths and percentiles.

mod expressions;
mod unplanned;

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::datasource::empty::EmptyTable;
use datafusion::datasource::provider_as_source;
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::window::{
    PlainAggregateWindowExpr, SlidingAggregateWindowExpr, StandardWindowExpr,
};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};

use self::expressions::Trial;
use self::unplanned::unplanned;
use super::errors::place::{at, at_name};
use super::prepared::is_unbound;
use super::{Session, Statement};
use crate::error::{Class, Error, Result};

impl Session {
    /// Tries a query that is bound to tables, also to those that are only expected.
    ///
    /// # Errors
    /// `Sql` for what fails over any rows.
    pub async fn rehearse(&self, statement: &Statement) -> Result<()> {
        let state = self.context.state();
        let tried: EngineResult<()> = async {
            let plan = state.optimize(&without_rows(statement.plan.clone())?)?;
            try_expressions(&plan, &state, &statement.sql)?;
            let planned = state.query_planner().create_physical_plan(&plan, &state);
            try_functions_of_rows(planned.await?.as_ref(), &statement.sql)
        }
        .await;
        tried.map_err(|error| self.explain(&statement.origin, &statement.sql, error))
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
            if let Some(unplanned) = unplanned(node, &expression) {
                return Err(unplanned.error(sql));
            }
            if let Some(failure) = trial.failure(&expression, true) {
                return Err(at(&failure.part, failure.error, sql));
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

/// Makes what gathers the rows of each aggregate and window function, which reads the arguments that have to be constant.
fn try_functions_of_rows(plan: &dyn ExecutionPlan, sql: &str) -> EngineResult<()> {
    if let Some(aggregation) = plan.downcast_ref::<AggregateExec>() {
        for aggregate in aggregation.aggr_expr() {
            try_aggregate(aggregate, sql)?;
        }
    }
    let windows = match plan.downcast_ref::<WindowAggExec>() {
        Some(windows) => windows.window_expr(),
        None => plan
            .downcast_ref::<BoundedWindowAggExec>()
            .map_or(&[][..], BoundedWindowAggExec::window_expr),
    };
    for window in windows {
        let window = window.as_any();
        if let Some(window) = window.downcast_ref::<StandardWindowExpr>() {
            let function = window.get_standard_func_expr();
            let name = function.name().split('(').next().unwrap_or_default();
            let made = function.create_evaluator();
            made.map_err(|error| at_name(name, error, sql))?;
        } else if let Some(window) = window.downcast_ref::<PlainAggregateWindowExpr>() {
            try_aggregate(window.get_aggregate_expr(), sql)?;
        } else if let Some(window) = window.downcast_ref::<SlidingAggregateWindowExpr>() {
            try_aggregate(window.get_aggregate_expr(), sql)?;
        }
    }
    for input in plan.children() {
        try_functions_of_rows(input.as_ref(), sql)?;
    }
    Ok(())
}

fn try_aggregate(aggregate: &AggregateFunctionExpr, sql: &str) -> EngineResult<()> {
    let name = aggregate.fun().name();
    match aggregate.create_accumulator() {
        Ok(_) => Ok(()),
        // The engine evaluates the argument over no columns.
        Err(error) if matches!(error.find_root(), DataFusionError::Internal(_)) => {
            let what = format!(
                "{name}: an argument depends on the rows: expected a constant, such as 0.95"
            );
            Err(at_name(name, Error::new(Class::Sql, what).into(), sql))
        }
        Err(error) => Err(at_name(name, error, sql)),
    }
}

#[cfg(test)]
mod tests;
