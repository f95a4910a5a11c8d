//! An optimizer rule for `WHERE lambda_report(message) IS NOT NULL`, which tests for a report without reading its values.
//!
//! The engine moves a filter below the projection that computes its operand. So `lambda_report(message) AS report …
//! WHERE report IS NOT NULL` would parse each report twice: once for the filter and once for the projection. With this
//! rule the filter only looks at the start of the message.

use super::of_message::OfMessage;
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

/// Rewrites `lambda_report(message) IS [NOT] NULL` in filters. They name no columns, so the rewrite changes no name.
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
                plan.map_expressions(|predicate| predicate.transform_up(rewrite_null_test))
            }
            _ => Ok(Transformed::no(plan)),
        }
    }
}

fn rewrite_null_test(expr: Expr) -> Result<Transformed<Expr>> {
    let is_report = match &expr {
        Expr::IsNotNull(inner) | Expr::IsNull(inner) => is_report_test(inner),
        _ => None,
    };
    Ok(match (is_report, &expr) {
        (Some(is_report), Expr::IsNull(_)) => Transformed::yes(is_report.is_not_true()),
        (Some(is_report), _) => Transformed::yes(is_report.is_true()),
        (None, _) => Transformed::no(expr),
    })
}

/// The cheaper test in place of a call of `lambda_report`.
fn is_report_test(expr: &Expr) -> Option<Expr> {
    let Expr::ScalarFunction(call) = expr.clone().unalias() else {
        return None;
    };
    let function = call.func.inner().downcast_ref::<OfMessage>()?;
    Some(function.whether_there()?.call(call.args))
}
