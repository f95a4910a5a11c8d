//! Whether an answer's columns are additive: counts and sums are; maxima, averages, ratios, ranks and running totals are not.
//!
//! A column adds up if each event counts in one row of the answer at the most. So it matters also whether a join repeats
//! rows: a running total by a self-join is a sum too.

mod complete;
mod repeats;

use datafusion::common::{Column, DFSchemaRef, ScalarValue};
use datafusion::logical_expr::expr::{AggregateFunction, Case};
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator};

use self::repeats::{appears_once, is_half, is_unique_in_join, repeats_rows};
use super::Statement;

impl Statement {
    /// Whether the values of all these columns can be added up over the answer's rows: yes for `count` and `sum` of events
    /// that are in one row each, no for any other aggregate or window function and for ratios, `None` where the SQL does
    /// not say.
    pub fn adds_up(&self, columns: &[String]) -> Option<bool> {
        let fields = self.plan.schema().fields();
        let each: Vec<Option<bool>> = columns
            .iter()
            .map(|name| {
                let is_it = |field: &str| field == name || field.to_lowercase() == *name;
                let index = fields.iter().position(|field| is_it(field.name()))?;
                output_adds_up(&self.plan, index)
            })
            .collect();
        all_add_up(&each)
    }
}

/// `Some(false)` if any is, `Some(true)` if all are.
fn all_add_up(parts: &[Option<bool>]) -> Option<bool> {
    match parts {
        _ if parts.contains(&Some(false)) => Some(false),
        _ if parts.contains(&None) => None,
        _ => Some(true),
    }
}

/// Whether the column at `index` of a plan's output adds up.
fn output_adds_up(plan: &LogicalPlan, index: usize) -> Option<bool> {
    match plan {
        LogicalPlan::Projection(projection) => {
            expression_adds_up(projection.expr.get(index)?, &projection.input)
        }
        LogicalPlan::Aggregate(aggregate) => {
            let groups = &aggregate.group_expr;
            // Subtotals count an event again.
            if groups.iter().any(|e| matches!(e, Expr::GroupingSet(_))) {
                return None;
            }
            let expression = groups.iter().chain(&aggregate.aggr_expr).nth(index)?;
            expression_adds_up(expression, &aggregate.input)
        }
        // Running totals, ranks, shares: each looks at other rows too.
        LogicalPlan::Window(window) => match index < window.input.schema().fields().len() {
            true => output_adds_up(&window.input, index),
            false => Some(false),
        },
        LogicalPlan::Join(join) => {
            let column = column_at(&join.schema, index)?;
            let (side, is_left) = match join.left.schema().maybe_index_of_column(&column) {
                Some(_) => (&join.left, true),
                None => (&join.right, false),
            };
            match is_half(join) || is_unique_in_join(join, !is_left) {
                true => column_adds_up(&column, side),
                false => None,
            }
        }
        LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::SubqueryAlias(_) => output_adds_up(plan.inputs().first()?, index),
        // The parts of a union may overlap, as a total beside its parts does; `DISTINCT` drops rows.
        _ => None,
    }
}

fn column_at(schema: &DFSchemaRef, index: usize) -> Option<Column> {
    schema.iter().nth(index).map(Column::from)
}

fn column_adds_up(column: &Column, input: &LogicalPlan) -> Option<bool> {
    output_adds_up(input, input.schema().maybe_index_of_column(column)?)
}

fn expression_adds_up(expression: &Expr, input: &LogicalPlan) -> Option<bool> {
    let adds_up = |expression: &Expr| expression_adds_up(expression, input);
    match expression {
        Expr::Column(column) => column_adds_up(column, input),
        Expr::Alias(alias) => adds_up(&alias.expr),
        Expr::Cast(cast) => adds_up(&cast.expr),
        Expr::TryCast(cast) => adds_up(&cast.expr),
        Expr::Negative(negated) => adds_up(negated),
        Expr::AggregateFunction(aggregate) => aggregate_adds_up(aggregate, input),
        Expr::WindowFunction(_) => Some(false),
        Expr::Case(case) => case_adds_up(case, input),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::Plus | Operator::Minus => {
                all_add_up(&[part(left, input), part(right, input)])
            }
            Operator::Multiply if is_number(right) => adds_up(left),
            Operator::Multiply if is_number(left) => adds_up(right),
            // A share of something.
            Operator::Divide | Operator::Modulo => Some(false),
            _ => false_if_any(&[adds_up(left), adds_up(right)]),
        },
        Expr::ScalarFunction(function) => {
            let args = &function.args;
            match function.func.name() {
                "coalesce" => {
                    all_add_up(&args.iter().map(|arg| part(arg, input)).collect::<Vec<_>>())
                }
                "nullif" => adds_up(args.first()?),
                _ => false_if_any(&args.iter().map(adds_up).collect::<Vec<_>>()),
            }
        }
        _ => None,
    }
}

/// Counts and sums, where each row that they count is in one group, and is there once.
fn aggregate_adds_up(aggregate: &AggregateFunction, input: &LogicalPlan) -> Option<bool> {
    let params = &aggregate.params;
    if !matches!(aggregate.func.name(), "count" | "sum") || params.distinct {
        return Some(false);
    }
    let mut columns = params.args.iter().flat_map(Expr::column_refs).peekable();
    if columns.peek().is_none() {
        return (!repeats_rows(input)).then_some(true);
    }
    let is_sum = aggregate.func.name() == "sum";
    let mut each = Vec::new();
    for column in columns {
        // The sum of running totals or of averages is none of events.
        if is_sum && column_adds_up(column, input) == Some(false) {
            return Some(false);
        }
        each.push(appears_once(input, column).then_some(true));
    }
    all_add_up(&each)
}

/// Each value is one that adds up, or nothing.
fn case_adds_up(case: &Case, input: &LogicalPlan) -> Option<bool> {
    let branches = case.when_then_expr.iter().map(|(_, then)| then);
    let values: Vec<_> = branches
        .chain(&case.else_expr)
        .map(|value| part(value, input))
        .collect();
    all_add_up(&values)
}

/// As [`expression_adds_up`] for a part of a sum: a zero and NULL add nothing.
fn part(expression: &Expr, input: &LogicalPlan) -> Option<bool> {
    match expression {
        Expr::Literal(value, _) if value.is_null() || is_zero(value) => Some(true),
        Expr::Cast(cast) => part(&cast.expr, input),
        other => expression_adds_up(other, input),
    }
}

fn is_zero(value: &ScalarValue) -> bool {
    ScalarValue::new_zero(&value.data_type()).is_ok_and(|zero| zero == *value)
}

fn is_number(expression: &Expr) -> bool {
    match expression {
        Expr::Literal(value, _) => value.data_type().is_numeric(),
        Expr::Cast(cast) => is_number(&cast.expr),
        Expr::Negative(negated) => is_number(negated),
        _ => false,
    }
}

/// For an expression whose value may not add up although its parts do: `Some(false)` if any part is, else `None`.
fn false_if_any(parts: &[Option<bool>]) -> Option<bool> {
    all_add_up(parts).filter(|adds_up| !adds_up)
}

#[cfg(test)]
mod tests {
    use crate::job::built_in;
    use crate::query::Engine;
    use crate::window::{Size, Window};

    #[tokio::test]
    async fn counts_and_sums_add_up_through_whatever_passes_them_on() {
        let scratch = tempfile::tempdir().unwrap();
        let engine = Engine::new(1 << 26, scratch.path()).unwrap();
        let session = engine.session(chrono_tz::UTC).unwrap();
        let t = "(VALUES (1, 'a', 2), (1, 'b', 3)) AS t(k, s, n)";
        for (sql, expected) in [
            ("SELECT count(*) AS y FROM t", Some(true)),
            ("SELECT k, sum(n) AS y FROM t GROUP BY k ORDER BY y LIMIT 3", Some(true)),
            (
                "SELECT u.k, coalesce(c.y, 0) AS y FROM (SELECT DISTINCT k FROM t) AS u LEFT JOIN
                 (SELECT k, count(*) FILTER (WHERE n > 2) AS y FROM t GROUP BY k) AS c ON c.k = u.k",
                Some(true),
            ),
            (
                "WITH c AS (SELECT s, count(*) AS a, sum(n) AS b FROM t GROUP BY s)
                 SELECT CAST(a + b AS BIGINT) AS \"Y\" FROM c",
                Some(true),
            ),
            ("SELECT k, max(n) AS y FROM t GROUP BY k", Some(false)),
            ("SELECT count(DISTINCT s) AS y FROM t", Some(false)),
            ("SELECT round(avg(n)) AS y FROM t", Some(false)),
            ("SELECT count(*) / max(n) AS y FROM t", Some(false)),
            ("SELECT length(s) AS y FROM t", None),
            ("SELECT n AS y FROM t", None),
            ("SELECT sum(n) / count(*) AS y FROM t", Some(false)),
            ("SELECT k, -count(*) AS y FROM t GROUP BY k", Some(true)),
            ("SELECT k, 100 * count(*) AS y FROM t GROUP BY k", Some(true)),
            ("SELECT k, sum(CASE WHEN n > 2 THEN 1 ELSE 0 END) AS y FROM t GROUP BY k", Some(true)),
            ("SELECT k, CASE WHEN k = 1 THEN count(*) ELSE 0 END AS y FROM t GROUP BY k", Some(true)),
            ("SELECT k, CASE WHEN count(*) > 1 THEN 1 ELSE 0 END AS y FROM t GROUP BY k", None),
            ("SELECT k, CASE WHEN k = 1 THEN max(n) ELSE 0 END AS y FROM t GROUP BY k", Some(false)),
            ("SELECT k, count(*) + 1 AS y FROM t GROUP BY k", None),
            ("SELECT k, coalesce(sum(n), 1) AS y FROM t GROUP BY k", None),
            // Percentages, in several spellings.
            ("SELECT k, 100.0 * count(*) FILTER (WHERE n > 2) / count(*) AS y FROM t GROUP BY k", Some(false)),
            ("SELECT k, round(100.0 * count(*) / (SELECT count(*) FROM t)) AS y FROM t GROUP BY k", Some(false)),
            ("SELECT k, count(*) * 100 / sum(count(*)) OVER () AS y FROM t GROUP BY k", Some(false)),
            // Running totals and ranks.
            ("SELECT k, sum(count(*)) OVER (ORDER BY k) AS y FROM t GROUP BY k", Some(false)),
            ("SELECT n, sum(1) OVER (ORDER BY n) AS y FROM t", Some(false)),
            ("SELECT k, rank() OVER (ORDER BY count(*)) AS y FROM t GROUP BY k", Some(false)),
            ("SELECT n, row_number() OVER () AS y FROM t", Some(false)),
            ("SELECT k, y - lag(y) OVER (ORDER BY k) AS y FROM (SELECT k, count(*) AS y FROM t GROUP BY k)", Some(false)),
            ("SELECT k, y FROM (SELECT k, count(*) AS y, rank() OVER (ORDER BY k) AS r FROM t GROUP BY k) WHERE r < 3", Some(true)),
            ("SELECT k, sum(r) AS y FROM (SELECT k, rank() OVER (ORDER BY n) AS r FROM t) GROUP BY k", Some(false)),
            (
                "SELECT a.k, sum(b.c) AS y FROM (SELECT k, count(*) AS c FROM t GROUP BY k) AS a
                 JOIN (SELECT k, count(*) AS c FROM t GROUP BY k) AS b ON b.k <= a.k GROUP BY a.k",
                None,
            ),
            ("SELECT a.k, count(*) AS y FROM t AS a JOIN t AS b ON b.k <= a.k GROUP BY a.k", None),
            ("SELECT a.k, count(*) AS y FROM t AS a JOIN t AS b ON b.k = a.k GROUP BY a.k", None),
            // A total beside each row, and beside its parts.
            ("SELECT k, total.y FROM t CROSS JOIN (SELECT count(*) AS y FROM t) AS total", None),
            ("SELECT s, count(*) AS y FROM t GROUP BY s UNION ALL SELECT 'all', count(*) FROM t", None),
            ("SELECT k, s, count(*) AS y FROM t GROUP BY ROLLUP (k, s)", None),
            ("SELECT DISTINCT count(*) AS y FROM t GROUP BY k", None),
            // A join with what is there once for each key.
            (
                "SELECT names.name, count(*) AS y FROM t JOIN (VALUES (1, 'one'), (2, 'two')) AS names(k, name)
                 ON names.k = t.k GROUP BY names.name",
                Some(true),
            ),
            (
                "SELECT names.name, count(*) AS y FROM t JOIN (VALUES (1, 'one'), (1, 'uno')) AS names(k, name)
                 ON names.k = t.k GROUP BY names.name",
                None,
            ),
            (
                "SELECT a.k, b.y FROM (SELECT DISTINCT k FROM t) AS a
                 LEFT JOIN (SELECT k, max(n) AS m FROM t GROUP BY k) AS m ON m.k = a.k
                 LEFT JOIN (SELECT k, count(*) AS y FROM t GROUP BY k) AS b ON b.k = a.k",
                Some(true),
            ),
        ] {
            let sql = format!("WITH t AS (SELECT * FROM {t}) SELECT * FROM ({sql})");
            let statement = session.statement(&sql, "SQL").await.unwrap();
            assert_eq!(statement.adds_up(&["y".to_owned()]), expected, "{sql}");
        }
    }

    /// The charts of built-in queries have totals.
    #[tokio::test]
    async fn the_counts_of_built_in_queries_add_up() {
        let scratch = tempfile::tempdir().unwrap();
        let engine = Engine::new(1 << 26, scratch.path()).unwrap();
        let window = Window::parse(Size::Day, chrono_tz::UTC, "2026-11-20").unwrap();
        let session = engine.session(chrono_tz::UTC).unwrap();
        let session = session.expect_logs().unwrap();
        let session = session.with_window(window.range()).unwrap();
        for (name, columns) in [
            ("hourly_count", &["events"][..]),
            ("hourly_errors", &["events", "errors", "no_level"]),
            ("hourly_levels", &["events"]),
            ("hour_of_day", &["events"]),
        ] {
            let statement = session
                .statement(built_in(name).unwrap(), name)
                .await
                .unwrap();
            for column in columns {
                let adds_up = statement.adds_up(&[(*column).to_owned()]);
                assert_eq!(adds_up, Some(true), "{name}.{column}");
            }
        }
    }
}
