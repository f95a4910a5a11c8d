//! An analyzer rule: texts joined by `||`, in any number, are one bounded function. The engine joins two at a time, and
//! each doubling of a doubled text takes twice the memory. What the engine's planner makes of `[a, b]` and of lists joined
//! by `||` are calls of its own functions, whatever the session has; they become the bounded ones.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, LargeStringBuilder, StringBuilder, StringViewBuilder,
};
use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::optimizer::AnalyzerRule;

use super::Bounded;
use super::growth::Growth;

/// The rule. It runs behind the engine's type coercion, which makes all joined texts the same type.
#[derive(Debug)]
pub struct BoundedOperators {
    join: Arc<ScalarUDF>,
    /// The bounded functions by name.
    functions: HashMap<&'static str, Arc<ScalarUDF>>,
}

impl BoundedOperators {
    /// The rule with bounded functions and a bound in bytes.
    pub(super) fn new(functions: HashMap<&'static str, Arc<ScalarUDF>>, limit: usize) -> Self {
        let inner = Arc::new(ScalarUDF::from(Join {
            signature: Signature::variadic_any(Volatility::Immutable),
        }));
        let join = Bounded {
            inner,
            growth: Growth::Joined,
            limit,
        };
        Self {
            join: Arc::new(ScalarUDF::from(join)),
            functions,
        }
    }

    /// The function that joins.
    #[cfg(feature = "cluster")]
    pub(super) fn into_join(self) -> Arc<ScalarUDF> {
        self.join
    }

    fn bounded(&self, expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
        match expr {
            Expr::ScalarFunction(mut call) => match self.functions.get(call.name()) {
                Some(bounded) if !Arc::ptr_eq(bounded, &call.func) => {
                    call.func = Arc::clone(bounded);
                    Ok(Transformed::yes(Expr::ScalarFunction(call)))
                }
                _ => Ok(Transformed::no(Expr::ScalarFunction(call))),
            },
            other => self.join(other, schema),
        }
    }

    fn join(&self, expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
        if !is_join(&expr) {
            return Ok(Transformed::no(expr));
        }
        let mut parts = Vec::new();
        parts_of(expr.clone(), &mut parts);
        let kind = parts[0].get_type(schema)?;
        let is_text = matches!(
            kind,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
        );
        for part in &parts {
            if !is_text || part.get_type(schema)? != kind {
                return Ok(Transformed::no(expr));
            }
        }
        Ok(Transformed::yes(self.join.call(parts)))
    }
}

fn is_join(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::BinaryExpr(BinaryExpr {
            op: Operator::StringConcat,
            ..
        })
    )
}

/// The texts that are joined, in order.
fn parts_of(joined: Expr, parts: &mut Vec<Expr>) {
    let mut behind = vec![joined];
    while let Some(next) = behind.pop() {
        match next {
            Expr::BinaryExpr(BinaryExpr {
                left,
                op: Operator::StringConcat,
                right,
            }) => behind.extend([*right, *left]),
            part => parts.push(part),
        }
    }
}

impl AnalyzerRule for BoundedOperators {
    fn name(&self) -> &str {
        "bounded_operators"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| {
            let mut schema = merge_schema(&node.inputs());
            if let LogicalPlan::TableScan(scan) = &node {
                let name = scan.table_name.clone();
                let source = DFSchema::try_from_qualified_schema(name, &scan.source.schema())?;
                schema.merge(&source);
            }
            node.map_expressions(|expr| expr.transform_down(|part| self.bounded(part, &schema)))
        })
        .data()
    }
}

/// `||` of any number of texts: NULL where one of them is.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Join {
    signature: Signature,
}

impl ScalarUDFImpl for Join {
    fn name(&self) -> &str {
        "||"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, args: &[DataType]) -> Result<DataType> {
        Ok(args.first().cloned().unwrap_or(DataType::Utf8))
    }

    /// The engine's name for what the operator makes, so that columns keep theirs.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let names: Vec<String> = args
            .iter()
            .map(|arg| arg.schema_name().to_string())
            .collect();
        Ok(names.join(" || "))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let rows = arrays.first().map_or(0, |array| array.len());
        let joined: ArrayRef = match args.return_type() {
            DataType::Utf8View => {
                let arrays: Vec<_> = arrays.iter().map(|array| array.as_string_view()).collect();
                let mut out = StringViewBuilder::with_capacity(rows);
                join_rows(
                    &arrays,
                    rows,
                    |array, row| array.value(row),
                    |text| out.append_option(text),
                );
                Arc::new(out.finish())
            }
            DataType::LargeUtf8 => {
                let arrays: Vec<_> = arrays
                    .iter()
                    .map(|array| array.as_string::<i64>())
                    .collect();
                let mut out = LargeStringBuilder::new();
                join_rows(
                    &arrays,
                    rows,
                    |array, row| array.value(row),
                    |text| out.append_option(text),
                );
                Arc::new(out.finish())
            }
            _ => {
                let arrays: Vec<_> = arrays
                    .iter()
                    .map(|array| array.as_string::<i32>())
                    .collect();
                let mut out = StringBuilder::new();
                join_rows(
                    &arrays,
                    rows,
                    |array, row| array.value(row),
                    |text| out.append_option(text),
                );
                Arc::new(out.finish())
            }
        };
        let is_scalar = args
            .args
            .iter()
            .all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        match is_scalar {
            true => Ok(ColumnarValue::Scalar(
                datafusion::common::ScalarValue::try_from_array(&joined, 0)?,
            )),
            false => Ok(ColumnarValue::Array(joined)),
        }
    }
}

/// Gives each row's texts, joined, to `put`.
fn join_rows<'a, A: Array>(
    arrays: &[&'a A],
    rows: usize,
    value: impl Fn(&'a A, usize) -> &'a str,
    mut put: impl FnMut(Option<&str>),
) {
    let mut text = String::new();
    for row in 0..rows {
        if arrays.iter().any(|array| array.is_null(row)) {
            put(None);
            continue;
        }
        text.clear();
        for array in arrays {
            text.push_str(value(array, row));
        }
        put(Some(&text));
    }
}
