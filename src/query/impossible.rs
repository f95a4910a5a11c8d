//! Refuses arguments with which a function or a pattern never works, and which the engine takes: it would give NULL, or
//! another answer than the one that is meant. PostgreSQL refuses them too.

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::{ScalarFunction, WindowFunction};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Like, LogicalPlan, Operator};

use super::errors::in_postgres_words;
use super::errors::place::{at_name, at_text};
use super::functions::time::zone_of;
use super::postgres::json_path::{self, PathStep, is_path};
use crate::error::{Class, Error};

/// An error (SQL) that names the first such argument.
pub(super) fn refuse_impossible(plan: &LogicalPlan, sql: &str) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        let schema = merge_schema(&node.inputs());
        for expression in node.expressions() {
            expression.apply(|part| {
                match part {
                    Expr::WindowFunction(window) => window_function(window, &schema, sql)?,
                    Expr::Like(like) => pattern(like, sql)?,
                    Expr::ScalarFunction(call) => member(call, sql)?,
                    Expr::Cast(cast) => zone(cast.field.data_type(), sql)?,
                    Expr::BinaryExpr(BinaryExpr { op, right, .. }) if is_like(*op) => {
                        ends_in_escape(right, '\\', sql)?;
                    }
                    _ => {}
                }
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .map(drop)
}

fn window_function(window: &WindowFunction, schema: &DFSchema, sql: &str) -> Result<()> {
    let name = window.fun.name();
    let arguments = &window.params.args[..];
    let refused = |what: String, hint: &str| {
        let error = Error::new(Class::Sql, what).with_hint(hint);
        Err(at_name(name, error.into(), sql))
    };
    match (name, arguments) {
        ("nth_value", [_, Expr::Literal(number, _)]) => {
            let is_positive = whole(number).is_none_or(|number| number > 0);
            match is_positive {
                true => Ok(()),
                false => refused(
                    format!("argument of nth_value must be greater than zero, not {number}"),
                    "the first row is nth_value(x, 1); from the end it is nth_value(x, 1) OVER (ORDER BY … DESC)",
                ),
            }
        }
        ("lag" | "lead", [value, _, default]) => {
            let types = (value.get_type(schema), default.get_type(schema));
            let (Ok(of_value), Ok(of_default)) = types else {
                return Ok(());
            };
            // A text that is written in the query is of any type that it can be read as.
            let is_unknown = matches!(default, Expr::Literal(..)) && of_default.is_string();
            match is_unknown || of_default.is_null() || kind(&of_value) == kind(&of_default) {
                true => Ok(()),
                false => refused(
                    format!(
                        "the default of {name} has another type than its values: {} and {}",
                        in_postgres_words(&of_value.to_string()),
                        in_postgres_words(&of_default.to_string())
                    ),
                    "give it the type of the values, such as 'none' for a text, or cast the values",
                ),
            }
        }
        _ => Ok(()),
    }
}

/// An error for a path behind `->` or `->>`, which the engine takes for the name of a member, so that it is always NULL.
/// Those of functions are steps by now.
fn member(call: &ScalarFunction, sql: &str) -> Result<()> {
    let is_json = call.name().starts_with("json_");
    for argument in call.args.iter().skip(1).filter(|_| is_json) {
        let name = match argument {
            Expr::Literal(value, _) => value.try_as_str().flatten(),
            _ => None,
        };
        let Some(name) = name.filter(|name| is_path(name)) else {
            continue;
        };
        let steps: Vec<String> = json_path::steps(name)
            .unwrap_or_default()
            .iter()
            .map(|step| match step {
                PathStep::Member(name) => format!("'{name}'"),
                PathStep::Element(index) => index.to_string(),
            })
            .collect();
        let Some((last, path)) = steps.split_last() else {
            continue;
        };
        let path: String = path.iter().map(|step| format!("->{step}")).collect();
        let what = format!("'{name}' is a path of another engine: expected the names of members");
        let hint = format!("write message{path}->>{last}, or json_as_text(message, '{name}')");
        let error = Error::new(Class::Sql, what).with_hint(hint);
        return Err(at_text(name, error.into(), sql));
    }
    Ok(())
}

/// An error for a type with a zone that does not exist.
fn zone(of: &DataType, sql: &str) -> Result<()> {
    match of {
        DataType::Timestamp(_, Some(zone)) => match zone_of(of) {
            Ok(_) => Ok(()),
            Err(error) => Err(at_text(zone, error, sql)),
        },
        _ => Ok(()),
    }
}

fn whole(number: &ScalarValue) -> Option<i64> {
    match number.cast_to(&DataType::Int64) {
        Ok(ScalarValue::Int64(number)) if number.is_some() => number,
        _ => None,
    }
}

/// Types whose values can be taken for each other.
fn kind(of: &DataType) -> &'static str {
    match of {
        _ if of.is_numeric() => "number",
        DataType::Dictionary(_, values) => kind(values),
        _ if of.is_string() => "text",
        DataType::Boolean => "boolean",
        _ if of.is_temporal() => "time",
        _ => "other",
    }
}

fn is_like(op: Operator) -> bool {
    use Operator::{ILikeMatch, LikeMatch, NotILikeMatch, NotLikeMatch};
    matches!(op, LikeMatch | NotLikeMatch | ILikeMatch | NotILikeMatch)
}

fn pattern(like: &Like, sql: &str) -> Result<()> {
    ends_in_escape(&like.pattern, like.escape_char.unwrap_or('\\'), sql)
}

/// An error for a pattern whose last letter escapes one that is not there.
fn ends_in_escape(pattern: &Expr, escape: char, sql: &str) -> Result<()> {
    let text = match pattern {
        Expr::Literal(value, _) => value.try_as_str().flatten(),
        _ => None,
    };
    let Some(text) = text else {
        return Ok(());
    };
    let escapes = text.chars().rev().take_while(|c| *c == escape).count();
    if escapes % 2 == 0 {
        return Ok(());
    }
    let what = format!("LIKE pattern must not end with an escape character: '{text}'");
    let hint = format!("write {escape}{escape} for the character itself");
    let error = DataFusionError::from(Error::new(Class::Sql, what).with_hint(hint));
    Err(at_text(text, error, sql))
}
