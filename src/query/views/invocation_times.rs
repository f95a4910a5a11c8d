//! An analyzer rule: comparisons of `start` and `end` of the view `lambda_invocations` also restrict the times of the lines
//! that it reads.
//!
//! The engine can't move a filter below the grouping of lines to invocations. The lines of an invocation lie between its
//! start and its end, and the two are at most 15 minutes apart, the longest timeout of a function. The filter stays above
//! the view, so what the scan reads beyond it does no harm.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, Result, ScalarValue};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprSchemable, Filter, LogicalPlan, LogicalPlanBuilder, Operator,
    SubqueryAlias, WindowFunctionDefinition,
};
use datafusion::optimizer::AnalyzerRule;

const VIEW: &str = "lambda_invocations";

/// How far a line may be from the times that its report says, by rounding and late words about a failure.
const SLACK_MS: i64 = 60_000;

/// The longest timeout of a function.
const LONGEST_MS: i64 = 15 * 60_000;

/// The rule. It comes behind the one that gives times without a zone theirs.
#[derive(Debug)]
pub struct InvocationTimes;

impl AnalyzerRule for InvocationTimes {
    fn name(&self) -> &str {
        "invocation_times"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let restricted = plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Filter(filter) => restrict(filter),
            other => Ok(Transformed::no(other)),
        });
        restricted.map(|restricted| restricted.data)
    }
}

fn restrict(filter: Filter) -> Result<Transformed<LogicalPlan>> {
    let bounds = split_conjunction(&filter.predicate)
        .into_iter()
        .flat_map(|comparison| bounds(comparison, &filter));
    let bounds: Vec<Bound> = bounds.collect();
    if bounds.is_empty() {
        return Ok(Transformed::no(LogicalPlan::Filter(filter)));
    }
    let input = view_with(Arc::unwrap_or_clone(filter.input), &bounds)?;
    let changed = input.transformed;
    let filter = Filter::try_new(filter.predicate, Arc::new(input.data))?;
    Ok(Transformed::new_transformed(
        LogicalPlan::Filter(filter),
        changed,
    ))
}

/// What the times of lines are at least or at most.
struct Bound {
    is_lower: bool,
    instant: Expr,
    /// How far beyond the instant.
    slack_ms: i64,
}

impl Bound {
    /// The comparison of the lines' timestamp.
    fn of_lines(&self, timestamp: &Column) -> Expr {
        let slack = Expr::Literal(
            ScalarValue::new_interval_mdn(0, 0, self.slack_ms * 1_000_000),
            None,
        );
        let timestamp = Expr::Column(timestamp.clone());
        match self.is_lower {
            true => timestamp.gt_eq(self.instant.clone() - slack),
            false => timestamp.lt_eq(self.instant.clone() + slack),
        }
    }
}

/// The bounds that a comparison of `start` or `end` with an instant sets.
fn bounds(comparison: &Expr, filter: &Filter) -> Vec<Bound> {
    let of = |column: &Expr, operator: Operator, instant: &Expr| {
        let Expr::Column(column) = column else {
            return Vec::new();
        };
        let is_instant = matches!(
            instant.get_type(filter.input.schema()),
            Ok(DataType::Timestamp(_, Some(_)))
        );
        if !is_instant || !instant.column_refs().is_empty() || instant.is_volatile() {
            return Vec::new();
        }
        let (lower_ms, upper_ms) = match column.name() {
            "start" => (SLACK_MS, LONGEST_MS + SLACK_MS),
            "end" => (LONGEST_MS + SLACK_MS, SLACK_MS),
            _ => return Vec::new(),
        };
        let bound = |is_lower, slack_ms| Bound {
            is_lower,
            instant: instant.clone(),
            slack_ms,
        };
        match operator {
            Operator::Gt | Operator::GtEq => vec![bound(true, lower_ms)],
            Operator::Lt | Operator::LtEq => vec![bound(false, upper_ms)],
            Operator::Eq => vec![bound(true, lower_ms), bound(false, upper_ms)],
            _ => Vec::new(),
        }
    };
    match comparison {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let mut bounds = of(left, *op, right);
            if let Some(swapped) = op.swap() {
                bounds.extend(of(right, swapped, left));
            }
            bounds
        }
        Expr::Between(between) if !between.negated => {
            let mut bounds = of(&between.expr, Operator::GtEq, &between.low);
            bounds.extend(of(&between.expr, Operator::LtEq, &between.high));
            bounds
        }
        _ => Vec::new(),
    }
}

/// The view below a filter, whatever it is called there, reading only the lines within the bounds.
fn view_with(plan: LogicalPlan, bounds: &[Bound]) -> Result<Transformed<LogicalPlan>> {
    let LogicalPlan::SubqueryAlias(alias) = plan else {
        return Ok(Transformed::no(plan));
    };
    let input = Arc::unwrap_or_clone(alias.input);
    let input = match alias.alias.table() == VIEW && joins_invocations(&input)? {
        true => lines_within(input, bounds)?,
        false => view_with(input, bounds)?,
    };
    input.map_data(|input| {
        let alias = SubqueryAlias::try_new(Arc::new(input), alias.alias)?;
        Ok(LogicalPlan::SubqueryAlias(alias))
    })
}

/// Whether a plan is the view's, and not that of another table of its name.
fn joins_invocations(plan: &LogicalPlan) -> Result<bool> {
    plan.exists(|node| {
        let LogicalPlan::Window(window) = node else {
            return Ok(false);
        };
        Ok(window.window_expr.iter().any(|expression| {
            matches!(expression.clone().unalias(), Expr::WindowFunction(function)
                if matches!(&function.fun, WindowFunctionDefinition::WindowUDF(udf) if udf.name() == "invocation_number"))
        }))
    })
}

fn lines_within(plan: LogicalPlan, bounds: &[Bound]) -> Result<Transformed<LogicalPlan>> {
    plan.transform_up(|node| match node {
        LogicalPlan::TableScan(scan) if scan.table_name.table() == "logs" => {
            let timestamp = Column::new(Some(scan.table_name.clone()), "timestamp");
            let within = bounds.iter().map(|bound| bound.of_lines(&timestamp));
            let Some(within) = within.reduce(Expr::and) else {
                return Ok(Transformed::no(LogicalPlan::TableScan(scan)));
            };
            let lines = LogicalPlanBuilder::from(LogicalPlan::TableScan(scan)).filter(within)?;
            lines.build().map(Transformed::yes)
        }
        other => Ok(Transformed::no(other)),
    })
}
