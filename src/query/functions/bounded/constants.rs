//! An optimizer rule: a large constant is not repeated for more rows than memory allows. The engine makes a column of a
//! constant by copying it for each row of a batch, so that `range(1, 1000000)` beside events would take gigabytes.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::logical_expr::expr::Alias;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

use super::too_large;

/// The most rows of a batch.
const ROWS: usize = 8192;

/// Functions that make a column of a constant argument as it is.
const CHOOSE: [&str; 7] = [
    "coalesce", "nvl", "nvl2", "ifnull", "nullif", "greatest", "least",
];

/// The rule.
#[derive(Debug)]
pub struct BoundedConstants {
    function: Arc<ScalarUDF>,
    limit: usize,
}

impl BoundedConstants {
    /// The rule with a bound in bytes.
    pub(super) fn new(limit: usize) -> Self {
        // Volatile, so that the engine does not take it for the constant again.
        let signature = Signature::any(1, Volatility::Volatile);
        let function = Arc::new(ScalarUDF::from(Constant { signature, limit }));
        Self { function, limit }
    }

    /// A constant that a column is made of, bounded where it is large.
    fn bounded(&self, expr: Expr) -> Expr {
        match expr {
            Expr::Literal(value, metadata) if value.size() > self.limit / ROWS => {
                self.function.call(vec![Expr::Literal(value, metadata)])
            }
            Expr::Alias(Alias {
                expr,
                relation,
                name,
                metadata,
            }) => Expr::Alias(Alias {
                expr: Box::new(self.bounded(*expr)),
                relation,
                name,
                metadata,
            }),
            other => other,
        }
    }

    /// The same for what an expression makes columns of within it.
    fn within(&self, expr: Expr) -> Transformed<Expr> {
        match expr {
            Expr::Case(mut case) => {
                for (_, then) in &mut case.when_then_expr {
                    **then = self.bounded(std::mem::take(then));
                }
                if let Some(otherwise) = &mut case.else_expr {
                    **otherwise = self.bounded(std::mem::take(otherwise));
                }
                Transformed::yes(Expr::Case(case))
            }
            Expr::ScalarFunction(mut call) if CHOOSE.contains(&call.name()) => {
                let args = std::mem::take(&mut call.args).into_iter();
                call.args = args.map(|arg| self.bounded(arg)).collect();
                Transformed::yes(Expr::ScalarFunction(call))
            }
            other => Transformed::no(other),
        }
    }
}

impl OptimizerRule for BoundedConstants {
    fn name(&self) -> &str {
        "bounded_constants"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let has_large = plan.expressions().iter().any(|expr| {
            let found = expr.exists(|part| {
                Ok(matches!(part, Expr::Literal(value, _) if value.size() > self.limit / ROWS))
            });
            found.unwrap_or(false)
        });
        let is_bounded = plan.expressions().iter().all(|expr| {
            let found = expr.exists(|part| {
                Ok(matches!(part, Expr::ScalarFunction(call) if call.func == self.function))
            });
            found.unwrap_or(false)
        });
        if !has_large
            || is_bounded
            || matches!(plan, LogicalPlan::Values(_) | LogicalPlan::Limit(_))
        {
            return Ok(Transformed::no(plan));
        }
        let names = NamePreserver::new(&plan);
        let makes_columns = !matches!(plan, LogicalPlan::Filter(_) | LogicalPlan::Join(_));
        plan.map_expressions(|expr| {
            let name = names.save(&expr);
            let expr = expr.transform_up(|part| Ok(self.within(part))).data()?;
            let expr = match makes_columns {
                true => self.bounded(expr),
                false => expr,
            };
            Ok(Transformed::yes(name.restore(expr)))
        })
    }
}

/// A constant, or an error where it would be repeated for too many rows.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Constant {
    signature: Signature,
    limit: usize,
}

impl ScalarUDFImpl for Constant {
    fn name(&self) -> &str {
        "constant"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, args: &[DataType]) -> Result<DataType> {
        Ok(args.first().cloned().unwrap_or(DataType::Null))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::clone(&args.arg_fields[0]))
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let value = args.args.swap_remove(0);
        let bytes = match &value {
            ColumnarValue::Scalar(value) => value.size(),
            ColumnarValue::Array(_) => 0,
        };
        match bytes.saturating_mul(args.number_rows) > self.limit {
            true => Err(too_large("a constant", self.limit, args.number_rows)),
            false => Ok(value),
        }
    }
}
