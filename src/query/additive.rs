//! Whether an answer's columns are additive: counts and sums are, maxima and averages are not.

use datafusion::common::{Column, DFSchemaRef};
use datafusion::logical_expr::{BinaryExpr, Distinct, Expr, LogicalPlan, Operator};

use super::Statement;

impl Statement {
    /// Whether the values of all these columns can be added up over the answer's rows: yes for `count` and `sum`, no for
    /// any other aggregate (`max`, `avg`, `count(DISTINCT …)`), `None` where the SQL does not say.
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
            expression_adds_up(projection.expr.get(index)?, &[&*projection.input])
        }
        LogicalPlan::Aggregate(aggregate) => {
            let groups = &aggregate.group_expr;
            if groups.iter().any(|e| matches!(e, Expr::GroupingSet(_))) {
                return None;
            }
            let expression = groups.iter().chain(&aggregate.aggr_expr).nth(index)?;
            expression_adds_up(expression, &[&*aggregate.input])
        }
        LogicalPlan::Join(join) => {
            let column = column_at(&join.schema, index)?;
            column_adds_up(&column, &[&*join.left, &*join.right])
        }
        LogicalPlan::Union(union) => {
            let inputs = union.inputs.iter();
            let each: Vec<_> = inputs.map(|input| output_adds_up(input, index)).collect();
            all_add_up(&each)
        }
        LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Distinct(Distinct::All(_)) => output_adds_up(plan.inputs().first()?, index),
        _ => None,
    }
}

fn column_at(schema: &DFSchemaRef, index: usize) -> Option<Column> {
    schema.iter().nth(index).map(Column::from)
}

/// Whether a column of one of these plans adds up.
fn column_adds_up(column: &Column, inputs: &[&LogicalPlan]) -> Option<bool> {
    inputs.iter().find_map(|input| {
        let index = input.schema().maybe_index_of_column(column)?;
        Some(output_adds_up(input, index))
    })?
}

fn expression_adds_up(expression: &Expr, inputs: &[&LogicalPlan]) -> Option<bool> {
    match expression {
        Expr::Column(column) => column_adds_up(column, inputs),
        Expr::Alias(alias) => expression_adds_up(&alias.expr, inputs),
        Expr::Cast(cast) => expression_adds_up(&cast.expr, inputs),
        Expr::TryCast(cast) => expression_adds_up(&cast.expr, inputs),
        Expr::AggregateFunction(aggregate) => {
            let name = aggregate.func.name();
            Some(matches!(name, "count" | "sum") && !aggregate.params.distinct)
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let sides = [
                expression_adds_up(left, inputs),
                expression_adds_up(right, inputs),
            ];
            match op {
                Operator::Plus | Operator::Minus => all_add_up(&sides),
                _ => false_if_any(&sides),
            }
        }
        Expr::ScalarFunction(function) => {
            let args = function.args.iter();
            // A literal replaces NULL, as in coalesce(events, 0).
            let each: Vec<_> = args
                .filter(|arg| !matches!(arg, Expr::Literal(..)))
                .map(|arg| expression_adds_up(arg, inputs))
                .collect();
            match function.func.name() {
                "coalesce" => all_add_up(&each),
                _ => false_if_any(&each),
            }
        }
        _ => None,
    }
}

/// For an expression whose value may not add up although its parts do: `Some(false)` if any part is, else `None`.
fn false_if_any(parts: &[Option<bool>]) -> Option<bool> {
    all_add_up(parts).filter(|adds_up| !adds_up)
}

#[cfg(test)]
mod tests {
    use crate::query::Engine;

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
                "SELECT t.k, coalesce(c.y, 0) AS y FROM t LEFT JOIN
                 (SELECT k, count(*) FILTER (WHERE n > 2) AS y FROM t GROUP BY k) AS c ON c.k = t.k",
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
            ("SELECT sum(n) / count(*) AS y FROM t", None),
        ] {
            let sql = format!("WITH t AS (SELECT * FROM {t}) SELECT * FROM ({sql})");
            let statement = session.statement(&sql, "SQL").await.unwrap();
            assert_eq!(statement.adds_up(&["y".to_owned()]), expected, "{sql}");
        }
    }
}
