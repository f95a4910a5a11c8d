//! Whether the values of an answer's column can be added up: counts and sums can, the highest of something can't.

use datafusion::common::{Column, DFSchemaRef};
use datafusion::logical_expr::{BinaryExpr, Distinct, Expr, LogicalPlan, Operator};

use super::Statement;

impl Statement {
    /// Whether values of each of these columns can be added up over the answer's rows: yes for `count` and `sum`, no
    /// for any other aggregate (`max`, `avg`, `count(DISTINCT …)`), `None` where the SQL does not tell.
    pub fn adds_up(&self, columns: &[String]) -> Option<bool> {
        let fields = self.plan.schema().fields();
        let answers: Vec<Option<bool>> = columns
            .iter()
            .map(|name| {
                let is_it = |field: &str| field == name || field.to_lowercase() == *name;
                let index = fields.iter().position(|field| is_it(field.name()))?;
                of_output(&self.plan, index)
            })
            .collect();
        all(&answers)
    }
}

/// No if any says no, yes if all say yes.
fn all(answers: &[Option<bool>]) -> Option<bool> {
    match answers {
        _ if answers.contains(&Some(false)) => Some(false),
        _ if answers.contains(&None) => None,
        _ => Some(true),
    }
}

/// Of the column at `index` of what a plan gives.
fn of_output(plan: &LogicalPlan, index: usize) -> Option<bool> {
    match plan {
        LogicalPlan::Projection(projection) => {
            of_expression(projection.expr.get(index)?, &[&*projection.input])
        }
        LogicalPlan::Aggregate(aggregate) => {
            let groups = &aggregate.group_expr;
            if groups.iter().any(|e| matches!(e, Expr::GroupingSet(_))) {
                return None;
            }
            let expression = groups.iter().chain(&aggregate.aggr_expr).nth(index)?;
            of_expression(expression, &[&*aggregate.input])
        }
        LogicalPlan::Join(join) => {
            let column = column_at(&join.schema, index)?;
            of_column(&column, &[&*join.left, &*join.right])
        }
        LogicalPlan::Union(union) => {
            let inputs = union.inputs.iter();
            let answers: Vec<_> = inputs.map(|input| of_output(input, index)).collect();
            all(&answers)
        }
        LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Distinct(Distinct::All(_)) => of_output(plan.inputs().first()?, index),
        _ => None,
    }
}

fn column_at(schema: &DFSchemaRef, index: usize) -> Option<Column> {
    schema.iter().nth(index).map(Column::from)
}

/// Of a column of one of these plans.
fn of_column(column: &Column, inputs: &[&LogicalPlan]) -> Option<bool> {
    inputs.iter().find_map(|input| {
        let index = input.schema().maybe_index_of_column(column)?;
        Some(of_output(input, index))
    })?
}

fn of_expression(expression: &Expr, inputs: &[&LogicalPlan]) -> Option<bool> {
    match expression {
        Expr::Column(column) => of_column(column, inputs),
        Expr::Alias(alias) => of_expression(&alias.expr, inputs),
        Expr::Cast(cast) => of_expression(&cast.expr, inputs),
        Expr::TryCast(cast) => of_expression(&cast.expr, inputs),
        Expr::AggregateFunction(aggregate) => {
            let name = aggregate.func.name();
            Some(matches!(name, "count" | "sum") && !aggregate.params.distinct)
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let sides = [of_expression(left, inputs), of_expression(right, inputs)];
            match op {
                Operator::Plus | Operator::Minus => all(&sides),
                _ => no_if_any(&sides),
            }
        }
        Expr::ScalarFunction(function) => {
            let args = function.args.iter();
            // What stands in for NULL is no value of its own.
            let answers: Vec<_> = args
                .filter(|arg| !matches!(arg, Expr::Literal(..)))
                .map(|arg| of_expression(arg, inputs))
                .collect();
            match function.func.name() {
                "coalesce" => all(&answers),
                _ => no_if_any(&answers),
            }
        }
        _ => None,
    }
}

/// Of an expression that may make something else of values that can be added up, but not the other way round.
fn no_if_any(answers: &[Option<bool>]) -> Option<bool> {
    all(answers).filter(|adds_up| !adds_up)
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
