//! Expressions evaluated over no rows, and the smallest part that fails.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Schema};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::expr::Case;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator};
use datafusion::physical_expr::create_physical_expr;

use crate::error::{Class, Error};
use crate::query::functions::time::zone_of;

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
                    failure = self.smallest_failure(part, is_certain);
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

    fn smallest_failure(&self, part: &Expr, is_certain: bool) -> Option<Failure> {
        let error = self.evaluate(part, is_certain).err()?;
        // The engine may evaluate a branch over no rows that no row reaches. Branches are tried for themselves.
        let fails_in_branch = part.exists(|part| {
            Ok(branches(part).is_some() && self.evaluate(part, is_certain).is_err())
        });
        if !matches!(fails_in_branch, Ok(false)) {
            return None;
        }
        let mut smaller = None;
        let visited = part.apply_children(|child| {
            smaller = match is_alone(child) {
                true => self.smallest_failure(child, is_certain),
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

    fn evaluate(&self, part: &Expr, is_certain: bool) -> EngineResult<()> {
        part.apply(|part| {
            refuse_what_no_rows_show(part)?;
            Ok(match branches(part) {
                None => TreeNodeRecursion::Continue,
                Some(_) => TreeNodeRecursion::Jump,
            })
        })?;
        if is_certain && divides_by_zero(part)? {
            let what = "division by zero: expected another divisor, or nullif(…, 0)";
            return Err(Error::new(Class::Sql, what).into());
        }
        let batch = match part.any_column_refs() {
            true => RecordBatch::new_empty(Arc::clone(self.schema.inner())),
            // A constant is computed.
            false => one_row()?,
        };
        self.evaluate_over(part, &self.schema, &batch)?;
        part.apply(|part| {
            if let Some(sample) = sample(part, &self.schema)? {
                self.evaluate_over(&sample, &DFSchema::empty(), &one_row()?)?;
            }
            Ok(TreeNodeRecursion::Continue)
        })
        .map(drop)
    }

    fn evaluate_over(
        &self,
        part: &Expr,
        schema: &DFSchema,
        batch: &RecordBatch,
    ) -> EngineResult<()> {
        let context = PhysicalPlanningContext::default();
        let properties = self.state.execution_props();
        let physical = create_physical_expr(part, schema, properties, &context)?;
        match physical.evaluate(batch) {
            // A fault of the engine is none of the query.
            Err(error) if matches!(error.find_root(), DataFusionError::Internal(_)) => Ok(()),
            evaluated => evaluated.map(drop),
        }
    }
}

fn one_row() -> EngineResult<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    Ok(RecordBatch::try_new_with_options(
        Arc::new(Schema::empty()),
        Vec::new(),
        &options,
    )?)
}

/// Functions that can be computed of any values of their first arguments, with their number. They read the others only
/// where the first have values.
const OF_ANY_VALUE: [(&str, usize); 7] = [
    ("regexp_count", 1),
    ("regexp_instr", 1),
    ("split_part", 1),
    ("overlay", 1),
    ("substr", 1),
    ("to_char", 1),
    ("generate_series", 2),
];

/// A call of such a function with constants, for values that stand for all.
fn sample(part: &Expr, schema: &DFSchema) -> EngineResult<Option<Expr>> {
    let Expr::ScalarFunction(call) = part else {
        return Ok(None);
    };
    let mut functions = OF_ANY_VALUE.iter();
    let Some((_, count)) = functions.find(|(name, _)| *name == call.name()) else {
        return Ok(None);
    };
    let mut call = call.clone();
    for value in call.args.iter_mut().take(*count) {
        if value.any_column_refs() {
            let of_type = value.get_type(schema)?;
            *value = Expr::Literal(ScalarValue::new_default(&of_type)?, None);
        }
    }
    let is_constant = call.args.iter().all(|argument| !argument.any_column_refs());
    Ok(is_constant.then_some(Expr::ScalarFunction(call)))
}

/// Errors that evaluating over no rows does not find.
fn refuse_what_no_rows_show(part: &Expr) -> EngineResult<()> {
    if let Expr::Cast(cast) = part
        && let to @ DataType::Timestamp(_, Some(_)) = cast.field.data_type()
    {
        zone_of(to)?;
    }
    if let Expr::ScalarFunction(call) = part
        && let [_, Expr::Literal(template, _)] = &*call.args
        && matches!(
            call.name(),
            "to_date"
                | "to_timestamp"
                | "to_timestamp_seconds"
                | "to_timestamp_millis"
                | "to_timestamp_micros"
                | "to_timestamp_nanos"
        )
        && let Some(Some(template)) = template.try_as_str()
        && !template.contains('%')
    {
        let what = format!(
            "{}: the template '{template}' has no part of a time: expected those with %, such as '%Y-%m-%d %H:%M:%S'",
            call.name()
        );
        return Err(Error::new(Class::Sql, what).into());
    }
    Ok(())
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

fn divides_by_zero(part: &Expr) -> EngineResult<bool> {
    let mut divides = false;
    part.apply(|part| {
        divides |= is_division_by_zero(part);
        Ok(match branches(part) {
            None => TreeNodeRecursion::Continue,
            Some(_) => TreeNodeRecursion::Jump,
        })
    })?;
    Ok(divides)
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
