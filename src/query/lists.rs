//! An analyzer rule: `IN` means what SQL says it means where there is a NULL or a column in its list, or on its left.
//!
//! The engine joins two lists of the same operand without a look at NULL: `x IN ('a', NULL) AND x NOT IN ('b', NULL)` becomes
//! `x IN ('a')`, which is false where it was NULL, and `x NOT IN ('a') OR x NOT IN ('b')` becomes true, also where `x` is
//! NULL. So a NULL is taken out of its list, and operands that may be NULL are made such that no two of them are the same.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, Operator, ReturnFieldArgs, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};

/// Rewrites lists, wherever they stand.
#[derive(Debug)]
pub struct SoundLists;

impl FunctionRewrite for SoundLists {
    fn name(&self) -> &str {
        "sound_lists"
    }

    fn rewrite(
        &self,
        expr: Expr,
        schema: &DFSchema,
        _: &ConfigOptions,
    ) -> Result<Transformed<Expr>> {
        Ok(match expr {
            Expr::InList(list) => Transformed::yes(sound(list, schema)),
            // The engine makes a list of this first.
            Expr::BinaryExpr(BinaryExpr { left, op, right })
                if op == Operator::Or
                    && let (Some(one), Some(other)) = (equality(&left), equality(&right))
                    && one.0 == other.0
                    && may_be_null(one.0, schema) =>
            {
                let [one, other] = [*left, *right].map(|equal| apart(equal, schema));
                Transformed::yes(one.or(other))
            }
            other => Transformed::no(other),
        })
    }
}

/// A list in a form that the engine leaves as it is, or can join rightly.
pub(super) fn sound(list: InList, schema: &DFSchema) -> Expr {
    let InList {
        expr,
        list,
        negated,
    } = list;
    let (nulls, values): (Vec<Expr>, Vec<Expr>) = list.into_iter().partition(is_null);
    let unknown = || lit(ScalarValue::Boolean(None));
    if values.is_empty() && !nulls.is_empty() {
        return unknown();
    }
    let is_fixed = values
        .iter()
        .all(|value| matches!(value, Expr::Literal(..)));
    let operand = match is_fixed && !may_be_null(&expr, schema) {
        true => *expr,
        false => marked(*expr),
    };
    let listed = operand.in_list(values, negated);
    match (nulls.is_empty(), negated) {
        (true, _) => listed,
        (false, false) => listed.or(unknown()),
        (false, true) => listed.and(unknown()),
    }
}

fn is_null(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(value, _) => value.is_null(),
        Expr::Cast(cast) => is_null(&cast.expr),
        _ => false,
    }
}

fn may_be_null(expr: &Expr, schema: &DFSchema) -> bool {
    expr.nullable(schema).unwrap_or(true)
}

/// The column and the literal of `column = literal`.
fn equality(expr: &Expr) -> Option<(&Expr, &Expr)> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if *op == Operator::Eq => {
            match (left.as_ref(), right.as_ref()) {
                (Expr::Column(_), Expr::Literal(..)) => Some((left, right)),
                (Expr::Literal(..), Expr::Column(_)) => Some((right, left)),
                _ => None,
            }
        }
        _ => None,
    }
}

/// An equality as a list that is joined with no other one.
fn apart(equal: Expr, schema: &DFSchema) -> Expr {
    match equality(&equal) {
        Some((column, literal)) => {
            let list = InList::new(Box::new(column.clone()), vec![literal.clone()], false);
            sound(list, schema)
        }
        None => equal,
    }
}

static MARK: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Arc::new(ScalarUDF::from(Mark::new())));

/// The function that tells operands apart, which no query can name.
#[cfg(feature = "cluster")]
pub(super) fn mark() -> Arc<ScalarUDF> {
    Arc::clone(&MARK)
}

/// The operand, with a number that no other one has.
fn marked(operand: Expr) -> Expr {
    static NEXT: AtomicI64 = AtomicI64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    MARK.call(vec![operand, lit(number)])
}

/// The function that gives back its first argument, and that no query can name.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Mark {
    signature: Signature,
}

impl Mark {
    fn new() -> Self {
        Self {
            signature: Signature::any(2, Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for Mark {
    fn name(&self) -> &str {
        "operand"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(arguments[0].clone())
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        Ok(Arc::clone(&arguments.arg_fields[0]))
    }

    fn invoke_with_args(&self, mut arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(arguments.args.swap_remove(0))
    }
}
