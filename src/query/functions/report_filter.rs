//! `WHERE lambda_report(message) IS NOT NULL` asks whether a message is a report, and nothing of what the report says.
//!
//! The engine moves a filter below the projection that computes what it is about, so `lambda_report(message) AS report …
//! WHERE report IS NOT NULL` computes the reports once to look whether they are there, and once more for what is left.
//! This rule makes the first a look at how the message begins.

use super::of_message::OfMessage;
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

/// Rewrites `lambda_report(message) IS [NOT] NULL` in filters, where no column is named after it.
#[derive(Debug)]
pub struct ReportFilter;

impl OptimizerRule for ReportFilter {
    fn name(&self) -> &str {
        "report_filter"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        match plan {
            LogicalPlan::Filter(_) => {
                plan.map_expressions(|predicate| predicate.transform_up(look))
            }
            _ => Ok(Transformed::no(plan)),
        }
    }
}

fn look(expr: Expr) -> Result<Transformed<Expr>> {
    let is_report = match &expr {
        Expr::IsNotNull(inner) | Expr::IsNull(inner) => whether_report(inner),
        _ => None,
    };
    Ok(match (is_report, &expr) {
        (Some(is_report), Expr::IsNull(_)) => Transformed::yes(is_report.is_not_true()),
        (Some(is_report), _) => Transformed::yes(is_report.is_true()),
        (None, _) => Transformed::no(expr),
    })
}

/// The cheaper question, in place of `lambda_report(…)`.
fn whether_report(expr: &Expr) -> Option<Expr> {
    let Expr::ScalarFunction(call) = expr.clone().unalias() else {
        return None;
    };
    let function = call.func.inner().downcast_ref::<OfMessage>()?;
    Some(function.whether_there()?.call(call.args))
}
