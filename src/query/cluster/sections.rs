//! Sections of a plan whose rows are those of its objects one by one: parts of it whose rows, one behind the other, are the
//! rows of the plan in their order.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::Result as EngineResult;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

use crate::query::order::is_in_turn;
use crate::scan::wire::{cut, scan_of};

/// Why a plan that was made to come in order can't be cut into sections; `None` for one that can.
pub(super) fn why_uncut(plan: &Arc<dyn ExecutionPlan>) -> EngineResult<Option<String>> {
    let mut reason = None;
    let several = |node: &Arc<dyn ExecutionPlan>| node.output_partitioning().partition_count() > 1;
    plan.apply(|node| {
        if !is_row_by_row(node) || node.fetch().is_some() {
            reason = Some(format!("{} is no matter of single rows", node.name()));
        } else if several(node) && (!node.is::<UnionExec>() || Arc::ptr_eq(node, plan)) {
            reason = Some(format!("the rows of {} have no order", node.name()));
        }
        Ok(match reason {
            Some(_) => TreeNodeRecursion::Stop,
            None => TreeNodeRecursion::Continue,
        })
    })?;
    Ok(reason)
}

/// Whether a plan makes of each row of its inputs one row at most, in their order.
fn is_row_by_row(node: &Arc<dyn ExecutionPlan>) -> bool {
    scan_of(node).is_some()
        || is_in_turn(node)
        || node.is::<EmptyExec>()
        || node.is::<FilterExec>()
        || node.is::<ProjectionExec>()
        || node.is::<CooperativeExec>()
        // Its branches come in turn.
        || node.is::<UnionExec>()
}

/// Cuts a plan into sections of about the same size. Each is the plan over some of its objects.
pub(super) fn sections_of(
    plan: &Arc<dyn ExecutionPlan>,
    sections: usize,
) -> EngineResult<Vec<Arc<dyn ExecutionPlan>>> {
    let mut scans = Vec::new();
    collect_scans(plan, &mut scans);
    let configs: Vec<_> = scans
        .iter()
        .filter_map(|scan| Some(scan_of(scan)?.0))
        .collect();
    let sections = cut(&configs, sections).into_iter();
    sections.map(|scans| over(plan, scans)).collect()
}

fn collect_scans(plan: &Arc<dyn ExecutionPlan>, scans: &mut Vec<Arc<dyn ExecutionPlan>>) {
    if scan_of(plan).is_some() {
        scans.push(Arc::clone(plan));
    }
    for child in plan.children() {
        collect_scans(child, scans);
    }
}

/// The plan over other scans, in the order in which it has its own. Where there is none, nothing is read.
fn over(
    plan: &Arc<dyn ExecutionPlan>,
    scans: Vec<Option<Arc<dyn ExecutionPlan>>>,
) -> EngineResult<Arc<dyn ExecutionPlan>> {
    let mut scans = scans.into_iter();
    let replaced = Arc::clone(plan).transform_down(|node| {
        if scan_of(&node).is_none() {
            return Ok(Transformed::no(node));
        }
        let scan = scans.next().flatten();
        let scan = scan.unwrap_or_else(|| Arc::new(EmptyExec::new(node.schema())));
        Ok(Transformed::new(scan, true, TreeNodeRecursion::Jump))
    });
    replaced.data()
}
