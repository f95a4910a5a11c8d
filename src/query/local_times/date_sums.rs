//! A date plus an interval is a local time, as in PostgreSQL: `date '2026-11-21' + interval '9 hours'` is nine o'clock. The
//! engine's sum is a date, and loses the hours.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Operator, cast};
use datafusion::sql::sqlparser::ast::BinaryOperator;

/// Plans sums of dates and intervals, before the engine gives them a type.
#[derive(Debug)]
pub struct DateSums;

impl ExprPlanner for DateSums {
    fn plan_binary_op(
        &self,
        expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let op = match expr.op {
            BinaryOperator::Plus => Operator::Plus,
            BinaryOperator::Minus => Operator::Minus,
            _ => return Ok(PlannerResult::Original(expr)),
        };
        let is_date = |side: &Expr| {
            matches!(
                side.get_type(schema),
                Ok(DataType::Date32 | DataType::Date64)
            )
        };
        let is_interval = |side: &Expr| matches!(side.get_type(schema), Ok(DataType::Interval(_)));
        let midnight = |date| cast(date, DataType::Timestamp(TimeUnit::Millisecond, None));
        let (left, right) = if is_date(&expr.left) && is_interval(&expr.right) {
            (midnight(expr.left), expr.right)
        } else if op == Operator::Plus && is_interval(&expr.left) && is_date(&expr.right) {
            (expr.left, midnight(expr.right))
        } else {
            return Ok(PlannerResult::Original(expr));
        };
        let sum = BinaryExpr::new(Box::new(left), op, Box::new(right));
        Ok(PlannerResult::Planned(Expr::BinaryExpr(sum)))
    }
}
