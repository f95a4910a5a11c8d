//! Which plans are divided among workers, and how: the scans of `logs` by their files, each file whole, and those of Parquet
//! tables by files, or ranges of large ones.

use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result as EngineResult;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, ScalarUDF};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::placeholder_row::PlaceholderRowExec;
use datafusion_distributed::{
    DesiredTaskCountEvent, DesiredTaskCountEventResponse, DistributedLeafExec,
    ScaleUpLeafNodeEvent, ScaleUpLeafNodeEventResponse,
};

use super::table_scan;
use crate::query::functions::undescribed;
use crate::query::order::is_in_turn;
use crate::scan::Processes;
use crate::scan::wire::{deal, most_parts, scan_of};

/// Why a plan stays in this process; `None` for a plan that workers can read.
///
/// A worker has the functions of a session in the same zone, with the formats of the same job. A function of any other
/// session, or another leaf than a scan of `logs` or of a Parquet table, would be another one there. `unnamed` are those that
/// only rules name.
pub(super) fn why_it_stays(
    plan: &Arc<dyn ExecutionPlan>,
    state: &SessionState,
    unnamed: &[Arc<ScalarUDF>],
) -> Option<String> {
    let strange = |expr: &Arc<dyn PhysicalExpr>| strange_function(expr, state, unnamed);
    let mut reason = None;
    let mut scans = 0;
    let mut tables = None;
    let visited = plan.apply(|node| {
        if let Some((_, source)) = scan_of(node) {
            scans += 1;
            if let Some(alone) = source.read_alone() {
                reason = Some(alone.to_owned());
            }
        } else if let Some(table) = table_scan::scan_of(node) {
            tables = Some(tables.unwrap_or(0) + table_scan::cost(table));
        } else if node.children().is_empty() && !is_small(node) {
            reason = Some(format!(
                "it reads {}, which is no scan of logs or of a Parquet table",
                node.name()
            ));
        }
        node.apply_expressions(&mut |expr| {
            if let Some(function) = strange(expr)? {
                reason = Some(format!("workers have no function {function}"));
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        if let Some(aggregate) = node.downcast_ref::<AggregateExec>() {
            for aggregate in aggregate.aggr_expr() {
                let own = state.aggregate_functions().get(aggregate.fun().name());
                if own.is_none_or(|own| **own != *aggregate.fun()) {
                    reason = Some(format!(
                        "workers have no function {}",
                        aggregate.fun().name()
                    ));
                }
                for expr in aggregate.expressions() {
                    if let Some(function) = strange(&expr)? {
                        reason = Some(format!("workers have no function {function}"));
                    }
                }
            }
        }
        Ok(match reason {
            Some(_) => TreeNodeRecursion::Stop,
            None => TreeNodeRecursion::Continue,
        })
    });
    let too_little = match tables {
        _ if scans > 0 => None,
        None => Some("it reads no logs"),
        Some(cost) if table_scan::is_small(cost) => {
            Some("the Parquet files that it reads are small")
        }
        Some(_) => None,
    };
    match (visited, reason) {
        (Err(error), _) => Some(error.to_string()),
        (_, Some(reason)) => Some(reason),
        (_, None) => too_little.map(str::to_owned),
    }
}

/// Whether rows of a plan come in the order of its inputs, one behind the other.
pub(super) fn comes_in_turn(plan: &Arc<dyn ExecutionPlan>) -> EngineResult<bool> {
    plan.exists(|node| Ok(is_in_turn(node)))
}

/// Whether a subquery in the place of a value may have several rows. That is an error, which only the plan of one process
/// has: in several processes such a subquery is joined, and each of its rows would be one of the answer.
pub(super) fn may_have_several_rows(query: &LogicalPlan) -> EngineResult<bool> {
    query.exists(|node| {
        let mut found = false;
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                let below = match expr {
                    Expr::ScalarSubquery(subquery) => {
                        found |= subquery.subquery.max_rows().is_none_or(|rows| rows > 1);
                        Some(&subquery.subquery)
                    }
                    Expr::InSubquery(list) => Some(&list.subquery.subquery),
                    Expr::Exists(exists) => Some(&exists.subquery.subquery),
                    Expr::SetComparison(compared) => Some(&compared.subquery.subquery),
                    _ => None,
                };
                if let Some(below) = below {
                    found |= may_have_several_rows(below)?;
                }
                Ok(match found {
                    true => TreeNodeRecursion::Stop,
                    false => TreeNodeRecursion::Continue,
                })
            })
        })?;
        Ok(found)
    })
}

/// Whether a leaf is encoded by the engine itself.
fn is_small(leaf: &Arc<dyn ExecutionPlan>) -> bool {
    let is_in_memory = || {
        let source = leaf.downcast_ref::<DataSourceExec>()?.data_source();
        source.downcast_ref::<MemorySourceConfig>()
    };
    leaf.is::<EmptyExec>() || leaf.is::<PlaceholderRowExec>() || is_in_memory().is_some()
}

/// The first function of an expression that is not the session's own of that name.
fn strange_function(
    expr: &Arc<dyn PhysicalExpr>,
    state: &SessionState,
    unnamed: &[Arc<ScalarUDF>],
) -> EngineResult<Option<String>> {
    let mut strange = None;
    expr.apply(|expr| {
        if let Some(call) = expr.downcast_ref::<ScalarFunctionExpr>()
            && !has(state, call.fun())
            && !unnamed.iter().any(|own| **own == *call.fun())
        {
            strange = Some(call.fun().name().to_owned());
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(strange)
}

fn has(state: &SessionState, function: &ScalarUDF) -> bool {
    let own = state.scalar_functions().get(function.name());
    own.is_some_and(|own| **undescribed(own) == *function)
}

/// Divides a scan of `logs` among all processes, and one of a table among as many as it is worth, if its rows have no order.
pub(super) fn desired_parts(
    event: DesiredTaskCountEvent<'_>,
) -> Option<EngineResult<DesiredTaskCountEventResponse>> {
    let processes = event.session_config.get_extension::<Processes>();
    let processes = processes.map_or(1, |processes| processes.0);
    if let Some(table) = table_scan::scan_of(event.plan) {
        return Some(Ok(match table_scan::is_whole(table) {
            true => DesiredTaskCountEventResponse::maximum(1),
            // Where other scans of the plan are divided more, it is too.
            false => DesiredTaskCountEventResponse::desired(table_scan::parts_of(table, processes)),
        }));
    }
    let (config, _) = scan_of(event.plan)?;
    Some(Ok(match most_parts(config).min(processes) {
        0 | 1 => DesiredTaskCountEventResponse::maximum(1),
        parts => DesiredTaskCountEventResponse::desired(parts),
    }))
}

/// Deals the files of a scan out. The engine's own handler would cut objects of logs into ranges of bytes, and forget which
/// objects were listed.
pub(super) fn dealt(
    event: ScaleUpLeafNodeEvent<'_>,
) -> Option<EngineResult<ScaleUpLeafNodeEventResponse>> {
    let parts = match (table_scan::scan_of(event.plan), event.task_count) {
        (Some(table), parts) => table_scan::deal(table, parts),
        (None, parts) => {
            let (config, _) = scan_of(event.plan)?;
            match parts {
                0 | 1 => vec![Arc::clone(event.plan)],
                parts => deal(config, parts),
            }
        }
    };
    let dealt = DistributedLeafExec::try_new(Arc::clone(event.plan), parts);
    Some(dealt.map(|dealt| ScaleUpLeafNodeEventResponse::new(Arc::new(dealt))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::Engine;

    #[tokio::test]
    async fn subqueries_of_one_row_are_told_from_others() {
        let session = Engine::without_disk(64 << 20).unwrap();
        let session = session.session(chrono_tz::UTC).unwrap();
        let from = "FROM (VALUES (1), (2)) AS t(n)";
        for (condition, expected) in [
            (format!("n > (SELECT max(n) {from})"), false),
            (format!("n > (SELECT n {from} LIMIT 1)"), false),
            (format!("n IN (SELECT n {from})"), false),
            (format!("n > (SELECT n {from})"), true),
            (format!("n > (SELECT max(n) {from} GROUP BY n)"), true),
            (
                format!("n IN (SELECT n {from} WHERE n = (SELECT n {from}))"),
                true,
            ),
            (
                format!("EXISTS (SELECT n {from} WHERE n = (SELECT n {from}))"),
                true,
            ),
        ] {
            let sql = format!("SELECT count(*) {from} WHERE {condition}");
            let statement = session.statement(&sql, "SQL").await.unwrap();
            let found = may_have_several_rows(&statement.plan).unwrap();
            assert_eq!(found, expected, "{condition}");
        }
    }
}
