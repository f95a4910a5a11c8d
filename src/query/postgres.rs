//! What the engine reads otherwise than PostgreSQL, or not at all, put into its terms before it plans the query:
//!
//! - `SIMILAR TO`, whose pattern it takes for a regular expression, and the paths of `#>` and `#>>`, which it takes for
//!   names of members
//! - `x = ANY (ARRAY[…])`, casts of arrays and members of a struct: [`arrays`]
//! - paths of JSON in functions: [`json_path`]
//! - `buckets('5 minutes')` and series of times as tables: [`tables`]
//! - `FETCH FIRST 5 ROWS ONLY`, which is `LIMIT 5`

mod arrays;
pub(super) mod json_path;
mod tables;

pub(super) use tables::names_buckets;

use std::mem;
use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, LimitClause, Query, TableFactor, Value, ValueWithSpan, VisitMut,
    VisitorMut,
};

use crate::error::{Class, Error, Result};

/// Puts a statement into the engine's terms. An error (SQL) names a pattern or a path that is not a constant text.
pub(super) fn translate(statement: &mut Statement) -> Result<()> {
    let translated = match statement {
        Statement::Statement(statement) => statement.visit(&mut Translation),
        Statement::Explain(explained) => return translate(&mut explained.statement),
        _ => ControlFlow::Continue(()),
    };
    match translated {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Translation;

impl VisitorMut for Translation {
    type Break = Error;

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        let translated = match expr {
            Expr::SimilarTo { .. } => similar_to(expr),
            Expr::BinaryOp {
                op: BinaryOperator::HashArrow | BinaryOperator::HashLongArrow,
                ..
            } => path(expr),
            Expr::Function(_) => json_path::translate(expr),
            other => {
                arrays::translate(other);
                Ok(())
            }
        };
        match translated {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        match tables::translate(factor) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        match fetch(query) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

/// `FETCH FIRST 5 ROWS ONLY` as `LIMIT 5`, and `FETCH FIRST ROW ONLY` as `LIMIT 1`.
fn fetch(query: &mut Query) -> Result<()> {
    let Some(fetch) = query.fetch.take() else {
        return Ok(());
    };
    if fetch.with_ties || fetch.percent {
        let what = "FETCH FIRST … WITH TIES or PERCENT is not supported: expected a number of rows, as in FETCH FIRST 5 ROWS ONLY";
        return Err(unreadable(what.to_owned()));
    }
    let rows = fetch.quantity.unwrap_or_else(|| {
        let one = Value::Number("1".to_owned(), false);
        Expr::Value(one.into())
    });
    match &mut query.limit_clause {
        Some(LimitClause::LimitOffset { limit, .. }) if limit.is_none() => *limit = Some(rows),
        None => {
            query.limit_clause = Some(LimitClause::LimitOffset {
                limit: Some(rows),
                offset: None,
                limit_by: Vec::new(),
            });
        }
        Some(_) => {
            let what = "LIMIT and FETCH FIRST in one query: expected one of them";
            return Err(unreadable(what.to_owned()));
        }
    }
    Ok(())
}

/// `x SIMILAR TO 'a%'` as `x ~ '^(?:a.*)$'`.
fn similar_to(expr: &mut Expr) -> Result<()> {
    let Expr::SimilarTo {
        negated,
        expr: operand,
        pattern,
        escape_char,
    } = expr
    else {
        return Ok(());
    };
    let escape = match escape_char {
        None => Some('\\'),
        Some(written) => {
            let text = text_of(&written.value).unwrap_or_default();
            let mut letters = text.chars();
            match (letters.next(), letters.next()) {
                (escape, None) => escape,
                _ => {
                    return Err(unreadable(format!(
                        "ESCAPE {written}: expected one character"
                    )));
                }
            }
        }
    };
    let Some(written) = constant(pattern) else {
        return Err(unreadable(format!(
            "SIMILAR TO {pattern}: expected a pattern that is written as a text, such as 'a%', or ~ and a regular expression"
        )));
    };
    let text = text_of(&written.value).unwrap_or_default();
    let Some(regex) = regex_of(&text, escape) else {
        return Err(unreadable(format!(
            "SIMILAR TO pattern must not end with an escape character: '{text}'"
        )));
    };
    let regex = Value::SingleQuotedString(regex);
    *expr = Expr::BinaryOp {
        left: mem::replace(operand, Box::new(null())),
        op: match negated {
            false => BinaryOperator::PGRegexMatch,
            true => BinaryOperator::PGRegexNotMatch,
        },
        right: Box::new(Expr::Value(ValueWithSpan {
            value: regex,
            span: written.span,
        })),
    };
    // Other operators bind more tightly than the one that it has become.
    *expr = Expr::Nested(Box::new(mem::replace(expr, null())));
    Ok(())
}

/// The regular expression of a pattern; `None` where it ends in a character that escapes none.
fn regex_of(pattern: &str, escape: Option<char>) -> Option<String> {
    let mut regex = String::from("(?s)^(?:");
    let mut letters = pattern.chars();
    let mut in_class = false;
    while let Some(letter) = letters.next() {
        match letter {
            _ if Some(letter) == escape => {
                let literal = letters.next()?;
                if literal.is_ascii_punctuation() {
                    regex.push('\\');
                }
                regex.push(literal);
            }
            ']' => {
                in_class = false;
                regex.push(letter);
            }
            _ if in_class => regex.push(letter),
            '[' => {
                in_class = true;
                regex.push(letter);
            }
            '%' => regex += ".*",
            '_' => regex.push('.'),
            '.' | '^' | '$' | '\\' => {
                regex.push('\\');
                regex.push(letter);
            }
            other => regex.push(other),
        }
    }
    Some(regex + ")$")
}

/// `x #>> '{a,b}'` as `x -> 'a' ->> 'b'`.
fn path(expr: &mut Expr) -> Result<()> {
    let Expr::BinaryOp { left, op, right } = expr else {
        return Ok(());
    };
    let steps = constant(right).and_then(|written| {
        let text = text_of(&written.value)?;
        let inner = text.trim().strip_prefix('{')?.strip_suffix('}')?;
        let is_plain = !inner.is_empty() && !inner.contains(['"', '\\', '{', '}']);
        is_plain.then(|| (inner.to_owned(), written.span))
    });
    let Some((steps, span)) = steps else {
        return Err(unreadable(format!(
            "{op} {right}: expected a path that is written as a text, such as '{{order,id}}', or -> and ->> for each of its steps"
        )));
    };
    let last = match op {
        BinaryOperator::HashLongArrow => BinaryOperator::LongArrow,
        _ => BinaryOperator::Arrow,
    };
    let mut value = mem::replace(&mut **left, null());
    let mut steps = steps.split(',').map(str::trim).peekable();
    while let Some(step) = steps.next() {
        let step_value = match step.parse::<i64>() {
            Ok(_) => Value::Number(step.to_owned(), false),
            Err(_) => Value::SingleQuotedString(step.to_owned()),
        };
        value = Expr::BinaryOp {
            left: Box::new(value),
            op: match steps.peek() {
                Some(_) => BinaryOperator::Arrow,
                None => last.clone(),
            },
            right: Box::new(Expr::Value(ValueWithSpan {
                value: step_value,
                span,
            })),
        };
    }
    *expr = Expr::Nested(Box::new(value));
    Ok(())
}

fn constant(expr: &Expr) -> Option<&ValueWithSpan> {
    match expr {
        Expr::Value(written) => text_of(&written.value).map(|_| written),
        Expr::Nested(inner) => constant(inner),
        _ => None,
    }
}

fn text_of(value: &Value) -> Option<String> {
    value.clone().into_string()
}

fn null() -> Expr {
    Expr::Value(Value::Null.into())
}

fn unreadable(what: String) -> Error {
    Error::new(Class::Sql, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::Engine;
    use arrow::array::AsArray;
    use futures::TryStreamExt;

    pub(super) async fn text(sql: &str) -> Result<Option<String>> {
        let scratch = tempfile::tempdir().unwrap();
        let engine = Engine::new(1 << 26, scratch.path()).unwrap();
        let session = engine.session(chrono_tz::UTC).unwrap();
        let sql = format!("SELECT arrow_cast({sql}, 'Utf8')");
        let statement = session.statement(&sql, "SQL").await?;
        let batches = session.run(&statement).await?.batches;
        let batches: Vec<_> = batches.try_collect().await.map_err(Error::from_engine)?;
        let column = batches[0].column(0).as_string::<i32>().clone();
        Ok(column.iter().next().flatten().map(str::to_owned))
    }

    #[tokio::test]
    async fn similar_to_is_a_pattern_for_the_whole_text() {
        for (sql, expected) in [
            ("'abc' SIMILAR TO 'a%'", "true"),
            ("'abc' SIMILAR TO 'b'", "false"),
            ("'abc' SIMILAR TO '_bc'", "true"),
            ("'abc' SIMILAR TO '(a|x)b?c+'", "true"),
            ("'xabc' SIMILAR TO 'abc'", "false"),
            ("'abc' NOT SIMILAR TO 'a%'", "false"),
            ("'a.c' SIMILAR TO 'a.c'", "true"),
            ("'abc' SIMILAR TO 'a.c'", "false"),
            ("'a%' SIMILAR TO 'a\\%'", "true"),
            ("'ab' SIMILAR TO 'a\\%'", "false"),
            ("'a_b' SIMILAR TO 'a#_b' ESCAPE '#'", "true"),
            ("'a%' SIMILAR TO 'a[%_]'", "true"),
            (r"E'a\nb' SIMILAR TO 'a%b'", "true"),
        ] {
            let found = text(sql).await.unwrap();
            assert_eq!(found.as_deref(), Some(expected), "{sql}");
        }
        let error = text("'ab' SIMILAR TO ('a' || 'b')").await.unwrap_err();
        assert_eq!(error.class(), Class::Sql);
        assert!(error.to_string().contains("expected a pattern"), "{error}");
    }

    #[tokio::test]
    async fn fetch_first_is_a_limit() {
        for (sql, expected) in [
            ("FETCH FIRST 2 ROWS ONLY", "1,2"),
            ("FETCH FIRST ROW ONLY", "1"),
            ("OFFSET 1 FETCH NEXT 1 ROW ONLY", "2"),
        ] {
            let rows = format!("SELECT n FROM (VALUES (3), (1), (2)) AS t(n) ORDER BY n {sql}");
            let joined = format!("(SELECT string_agg(n::text, ',') FROM ({rows}) AS top)");
            let found = text(&joined).await.unwrap();
            assert_eq!(found.as_deref(), Some(expected), "{sql}");
        }
        let error = text("(SELECT 1 FETCH FIRST 1 ROW WITH TIES)").await;
        assert!(error.unwrap_err().to_string().contains("WITH TIES"));
    }

    #[tokio::test]
    async fn a_path_leads_to_a_member_of_a_member() {
        let json = r#"'{"a":{"b":[1,{"c":"x"}]}}'"#;
        for (path, expected) in [
            ("#>> '{a,b,0}'", Some("1")),
            ("#>> '{a, b, 1, c}'", Some("x")),
            ("#>> '{a}' IS NOT NULL", Some("true")),
            ("#>> '{a,nope}'", None),
        ] {
            let found = text(&format!("{json} {path}")).await.unwrap();
            assert_eq!(found.as_deref(), expected, "{path}");
        }
        let error = text(&format!("{json} #>> 'a'")).await.unwrap_err();
        assert_eq!(error.class(), Class::Sql);
        assert!(error.to_string().contains("expected a path"), "{error}");
    }
}
