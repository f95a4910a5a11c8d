//! Expressions evaluated over no rows, and the smallest part that fails.

use arrow::array::RecordBatch;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::expr::Case;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator};
use datafusion::physical_expr::create_physical_expr;

use crate::error::{Class, Error};

/// A part of an expression that fails over any rows.
pub struct Failure {
    /// The smallest such part.
    pub part: Expr,
    /// How it fails.
    pub error: DataFusionError,
}

/// Where expressions are evaluated.
pub struct Trial<'a> {
    state: &'a SessionState,
    schema: DFSchema,
}

impl<'a> Trial<'a> {
    /// For the expressions of a node, over the columns that they can name.
    pub fn over_input(node: &LogicalPlan, state: &'a SessionState) -> EngineResult<Self> {
        let schema = match node {
            LogicalPlan::TableScan(scan) => {
                DFSchema::try_from_qualified_schema(scan.table_name.clone(), &scan.source.schema())?
            }
            _ => {
                let mut schema = DFSchema::empty();
                for input in node.inputs() {
                    schema.merge(input.schema());
                }
                schema
            }
        };
        Ok(Self { state, schema })
    }

    /// The first part that fails. Where `is_certain` is false, as in the branches of CASE, only parts that read columns are
    /// tried: a constant there may be meant to fail for the rows that reach it.
    pub fn failure(&self, expression: &Expr, is_certain: bool) -> Option<Failure> {
        let mut failure = None;
        let visited = expression.apply(|part| {
            let mut next = TreeNodeRecursion::Continue;
            if !is_and_or(part) && is_alone(part) {
                if is_certain || part.any_column_refs() {
                    failure = self.smallest_failure(part);
                }
                if !part.exists(|part| Ok(part.short_circuits()))? {
                    next = TreeNodeRecursion::Jump;
                }
            }
            if failure.is_none()
                && let Some((always, sometimes)) = branches(part)
            {
                let always = always.into_iter().map(|part| (part, is_certain));
                let sometimes = sometimes.into_iter().map(|part| (part, false));
                failure = always
                    .chain(sometimes)
                    .find_map(|(part, is_certain)| self.failure(part, is_certain));
                next = TreeNodeRecursion::Jump;
            }
            if failure.is_some() {
                next = TreeNodeRecursion::Stop;
            }
            Ok(next)
        });
        debug_assert!(visited.is_ok());
        failure
    }

    fn smallest_failure(&self, part: &Expr) -> Option<Failure> {
        let error = self.evaluate(part).err()?;
        let mut smaller = None;
        let visited = part.apply_children(|child| {
            smaller = match is_alone(child) {
                true => self.smallest_failure(child),
                false => None,
            };
            Ok(match smaller {
                None => TreeNodeRecursion::Continue,
                Some(_) => TreeNodeRecursion::Stop,
            })
        });
        debug_assert!(visited.is_ok());
        smaller.or_else(|| {
            Some(Failure {
                part: part.clone(),
                error,
            })
        })
    }

    fn evaluate(&self, part: &Expr) -> EngineResult<()> {
        let divides_by_zero = part.exists(|part| Ok(is_division_by_zero(part)))?;
        if divides_by_zero {
            return Err(Error::new(
                Class::Sql,
                "division by zero: expected a divisor that is another number, or nullif(…, 0)",
            )
            .into());
        }
        let context = PhysicalPlanningContext::default();
        let properties = self.state.execution_props();
        let physical = create_physical_expr(part, &self.schema, properties, &context)?;
        let no_rows = RecordBatch::new_empty(self.schema.inner().clone());
        physical.evaluate(&no_rows).map(drop)
    }
}

fn is_and_or(part: &Expr) -> bool {
    matches!(
        part,
        Expr::BinaryExpr(BinaryExpr {
            op: Operator::And | Operator::Or,
            ..
        })
    )
}

/// Whether a part can be evaluated by itself, row by row.
fn is_alone(part: &Expr) -> bool {
    let needs_more = part.exists(|part| {
        #[expect(deprecated, reason = "the engine has it still")]
        let needs_more = matches!(
            part,
            Expr::AggregateFunction(_)
                | Expr::WindowFunction(_)
                | Expr::GroupingSet(_)
                | Expr::Unnest(_)
                | Expr::Wildcard { .. }
                | Expr::Placeholder(_)
                | Expr::OuterReferenceColumn(..)
                | Expr::Exists(_)
                | Expr::InSubquery(_)
                | Expr::SetComparison(_)
                | Expr::ScalarSubquery(_)
                | Expr::HigherOrderFunction(_)
                | Expr::Lambda(_)
                | Expr::LambdaVariable(_)
        );
        Ok(needs_more)
    });
    matches!(needs_more, Ok(false))
}

/// The parts that every row evaluates, and those that some rows do, of CASE and of functions such as `coalesce`.
fn branches(part: &Expr) -> Option<(Vec<&Expr>, Vec<&Expr>)> {
    match part {
        Expr::Case(Case {
            expr,
            when_then_expr,
            else_expr,
        }) => {
            let mut sometimes = when_then_expr.iter().flat_map(|(when, then)| [when, then]);
            let first = sometimes.next();
            let always = expr.iter().chain(first).map(AsRef::as_ref).collect();
            let sometimes = sometimes.chain(else_expr).map(AsRef::as_ref).collect();
            Some((always, sometimes))
        }
        Expr::ScalarFunction(function) if function.func.short_circuits() => {
            function.func.conditional_arguments(&function.args)
        }
        _ => None,
    }
}

/// Whether a part divides an integer or a decimal by a zero that is written in the query. Over no rows it does not fail.
fn is_division_by_zero(part: &Expr) -> bool {
    let Expr::BinaryExpr(BinaryExpr {
        op: Operator::Divide | Operator::Modulo,
        right,
        ..
    }) = part
    else {
        return false;
    };
    let Expr::Literal(divisor, _) = right.as_ref() else {
        return false;
    };
    let is_exact = divisor.data_type().is_integer() || divisor.data_type().is_decimal();
    is_exact && ScalarValue::new_zero(&divisor.data_type()).is_ok_and(|zero| zero == *divisor)
}
