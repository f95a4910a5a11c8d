//! Refuses texts and JSON that are compared with numbers, as PostgreSQL does: the engine would compare the numbers as texts, so
//! that `message->>'ms' > 100` is true of 9. It refuses itself what is computed with texts.

use arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{Between, InList};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator};

use super::errors::in_postgres_words;
use super::errors::place::at;
use crate::error::{Class, Error};

/// An error (SQL) that names the first such place.
pub(super) fn refuse_texts_for_numbers(plan: &LogicalPlan, sql: &str) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        let schema = merge_schema(&node.inputs());
        for expression in node.expressions() {
            expression.apply(|part| {
                check(part, &schema, sql)?;
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .map(drop)
}

fn check(part: &Expr, schema: &DFSchema, sql: &str) -> Result<()> {
    match part {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if compares(*op) => {
            pair(left, &op.to_string(), right, schema, sql)
        }
        Expr::Between(Between {
            expr, low, high, ..
        }) => {
            pair(expr, ">=", low, schema, sql)?;
            pair(expr, "<=", high, schema, sql)
        }
        Expr::InList(InList { expr, list, .. }) => list
            .iter()
            .try_for_each(|value| pair(expr, "=", value, schema, sql)),
        _ => Ok(()),
    }
}

fn compares(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(
        op,
        Eq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom | Lt | LtEq | NotEq
    )
}

/// What an operand is, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    /// A text or JSON that the rows have. A text that is written in the query is of any type.
    Text,
    Other,
}

fn kind(operand: &Expr, schema: &DFSchema) -> Kind {
    let is_written = matches!(operand.clone().unalias_nested().data, Expr::Literal(..));
    match operand.get_type(schema) {
        Ok(of) if of.is_numeric() => Kind::Number,
        Ok(of) if is_text(&of) && !is_written => Kind::Text,
        _ => Kind::Other,
    }
}

fn is_text(of: &DataType) -> bool {
    match of {
        DataType::Dictionary(_, values) => is_text(values),
        // What `->` gives.
        DataType::Union(..) => true,
        of => of.is_string(),
    }
}

fn pair(left: &Expr, op: &str, right: &Expr, schema: &DFSchema, sql: &str) -> Result<()> {
    let (text, is_left) = match (kind(left, schema), kind(right, schema)) {
        (Kind::Text, Kind::Number) => (left, true),
        (Kind::Number, Kind::Text) => (right, false),
        _ => return Ok(()),
    };
    let words = |operand: &Expr| -> Result<String> {
        Ok(match operand.get_type(schema)? {
            DataType::Union(..) => "json".to_owned(),
            of => in_postgres_words(&of.to_string()),
        })
    };
    let what = format!(
        "operator does not exist: {} {op} {}",
        words(left)?,
        words(right)?
    );
    let number = as_number(text);
    let hint = match (is_left, right) {
        (true, Expr::Literal(value, _)) => format!("write {number} {op} {value}"),
        _ => format!("make it a number: {number}"),
    };
    let error = Error::new(Class::Sql, what).with_hint(hint);
    Err(at(text, error.into(), sql))
}

/// How a text is written as a number.
fn as_number(text: &Expr) -> String {
    let plain = text.clone().unalias_nested().data;
    match &plain {
        Expr::ScalarFunction(call) if call.name().starts_with("json_") => {
            match json_arguments(&plain) {
                Some(arguments) => format!("json_get_float({})", arguments.join(", ")),
                None => "json_get_float(message, 'ms')".to_owned(),
            }
        }
        Expr::Column(column) => format!("{}::double precision", column.name()),
        _ => "(…)::double precision".to_owned(),
    }
}

/// The arguments of `message->'request'->>'ms'`: `message`, `'request'`, `'ms'`.
fn json_arguments(value: &Expr) -> Option<Vec<String>> {
    match value.clone().unalias_nested().data {
        Expr::ScalarFunction(call) if call.name().starts_with("json_") => {
            let (inner, steps) = call.args.split_first()?;
            let mut arguments = json_arguments(inner)?;
            for step in steps {
                let Expr::Literal(value, _) = step else {
                    return None;
                };
                arguments.push(match value.try_as_str() {
                    Some(Some(name)) => format!("'{name}'"),
                    _ => value.to_string(),
                });
            }
            Some(arguments)
        }
        Expr::Column(column) => Some(vec![column.name().to_owned()]),
        Expr::ScalarFunction(call) if call.args.len() == 1 => {
            let inner = json_arguments(&call.args[0])?;
            Some(vec![format!("{}({})", call.name(), inner.first()?)])
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::query::Engine;

    #[tokio::test]
    async fn texts_are_no_numbers() {
        let engine = Engine::new(1 << 26, &std::env::temp_dir()).unwrap();
        let session = engine.session(chrono_tz::UTC).unwrap();
        let session = session.expect_logs().unwrap();
        let mut wrong = Vec::new();
        for (sql, expected, hint) in [
            (
                "message->>'ms' > 100",
                "operator does not exist: text > bigint",
                "json_get_float(message, 'ms') > 100",
            ),
            (
                "message->'request'->>'ms' * 2 > 1",
                "operator does not exist: text * bigint",
                "json_get_float(message, 'request', 'ms')",
            ),
            (
                "message->'ms' > 100",
                "operator does not exist: json > bigint",
                "json_get_float(message, 'ms') > 100",
            ),
            (
                "message->>'a' + message->>'b' = 1",
                "operator does not exist: text + text",
                "texts are joined by ||",
            ),
            (
                "100 < message->>'ms'",
                "bigint < text",
                "make it a number: json_get_float(message, 'ms')",
            ),
            (
                "message->>'ms' BETWEEN 1 AND 5",
                "text >= bigint",
                "json_get_float(message, 'ms') >= 1",
            ),
            (
                "message->>'status' IN (500, 502)",
                "text = bigint",
                "json_get_float(message, 'status') = 500",
            ),
            (
                "message = 5",
                "text = bigint",
                "message::double precision = 5",
            ),
            (
                "message_json(message)->>'ms' > 5",
                "text > bigint",
                "json_get_float(message_json(message), 'ms') > 5",
            ),
            (
                "(SELECT avg(message->'request'->>'ms') FROM logs) > 5",
                "function avg can't take text",
                "avg(json_get_float(message, 'request', 'ms'))",
            ),
            (
                "(SELECT p95(message->'ms') FROM logs) > 5",
                "function p95 can't take json",
                "p95(json_get_float(message, 'ms'))",
            ),
            (
                "(SELECT sum(message->>'ms') FROM logs) > 5",
                "function sum can't take text",
                "sum(json_get_float(message, 'ms'))",
            ),
        ] {
            let query = format!("SELECT * FROM logs WHERE {sql}");
            let planned = match session.statement(&query, "SQL").await {
                Ok(statement) => session.rehearse(&statement).await,
                Err(error) => Err(error),
            };
            let error = planned.expect_err(sql);
            let said = format!("{error} {}", error.hint().unwrap_or_default());
            if !said.contains(expected) || !said.contains(hint) {
                wrong.push(format!("{sql}: {said}"));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
        for sql in [
            "(message->>'ms')::double precision > 100",
            "(message->'ms')::int + 1 > 100",
            "json_get_int(message, 'ms') > 100",
            "message->>'ms' = '100'",
            "message->>'ms' > message->>'other'",
            "5 = '5'",
            "hour_of_day(timestamp) = '5'",
            "(SELECT count(message->>'ms') FROM logs) > 5",
            "(SELECT max(message->>'ms') FROM logs) > '5'",
            "message || 5 = 'x'",
        ] {
            let query = format!("SELECT * FROM logs WHERE {sql}");
            let planned = session.statement(&query, "SQL").await;
            planned.unwrap_or_else(|error| panic!("{sql}: {error}"));
        }
    }
}
