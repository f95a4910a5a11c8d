//! An optimizer rule: patterns of messages that events are grouped by are computed below the grouping, where a scan of `logs`
//! has them as a column. The engine moves projections into a scan, and leaves what a grouping computes.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, Result};
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, Projection};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

use crate::scan::deferred::DeferredLogs;
use crate::scan::patterns::FUNCTIONS;
use crate::scan::{LogsTable, LogsTables};

/// Puts a projection below a grouping of `logs` by patterns.
#[derive(Debug)]
pub struct GroupedPatterns;

impl OptimizerRule for GroupedPatterns {
    fn name(&self) -> &str {
        "grouped_patterns"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        match plan {
            LogicalPlan::Aggregate(aggregate)
                if has_patterns(&aggregate) && is_of_logs(&aggregate.input) =>
            {
                over_projection(aggregate).map(Transformed::yes)
            }
            other => Ok(Transformed::no(other)),
        }
    }
}

/// Whether a grouping computes patterns, for which its input has no column of the same name.
fn has_patterns(aggregate: &Aggregate) -> bool {
    let input = aggregate.input.schema();
    let patterns = aggregate.group_expr.iter().filter_map(pattern_in);
    let mut names = patterns.map(|pattern| pattern.schema_name().to_string());
    let is_new = |name: String| !input.has_column_with_unqualified_name(&name);
    names.next().is_some_and(is_new) && names.all(is_new)
}

/// The pattern of a column that a grouping computes, without its alias.
fn pattern_in(key: &Expr) -> Option<&Expr> {
    match key {
        Expr::Alias(alias) => pattern_in(&alias.expr),
        Expr::ScalarFunction(call) => {
            let is_pattern = FUNCTIONS.iter().any(|(name, _)| *name == call.name());
            (is_pattern && matches!(call.args[..], [Expr::Column(_)])).then_some(key)
        }
        _ => None,
    }
}

/// Whether a plan is a scan of `logs`, or columns of one.
fn is_of_logs(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::TableScan(scan) => source_as_provider(&scan.source).is_ok_and(|table| {
            let table: &dyn TableProvider = table.as_ref();
            table.is::<LogsTable>() || table.is::<LogsTables>() || table.is::<DeferredLogs>()
        }),
        LogicalPlan::SubqueryAlias(alias) => is_of_logs(&alias.input),
        LogicalPlan::Projection(projection) => {
            let mut columns = projection.expr.iter();
            columns.all(|expr| matches!(expr, Expr::Column(_))) && is_of_logs(&projection.input)
        }
        _ => false,
    }
}

/// The grouping over a projection that has its patterns beside the columns that it reads.
fn over_projection(aggregate: Aggregate) -> Result<LogicalPlan> {
    let mut patterns = Vec::new();
    let keys = aggregate.group_expr.into_iter().map(|key| {
        let Some(pattern) = pattern_in(&key).cloned() else {
            return key;
        };
        let name = pattern.schema_name().to_string();
        let column = Expr::Column(Column::new_unqualified(&name));
        let pattern = pattern.alias(name);
        if !patterns.contains(&pattern) {
            patterns.push(pattern);
        }
        match key {
            Expr::Alias(alias) => column.alias_qualified(alias.relation, alias.name),
            _ => column,
        }
    });
    let keys: Vec<Expr> = keys.collect();
    let read = keys.iter().chain(&aggregate.aggr_expr);
    let read: Vec<&Column> = read.flat_map(Expr::column_refs).collect();
    let columns = aggregate.input.schema().columns().into_iter();
    let columns = columns
        .filter(|column| read.contains(&column))
        .map(Expr::Column);
    let columns = columns.chain(patterns).collect();
    let projection = Projection::try_new(columns, aggregate.input)?;
    let input = Arc::new(LogicalPlan::Projection(projection));
    let aggregate = Aggregate::try_new(input, keys, aggregate.aggr_expr)?;
    Ok(LogicalPlan::Aggregate(aggregate))
}
