//! The order of an answer's rows, and what a query chooses by it: always the same, so that the same answer is the same bytes.

mod in_turn;

#[cfg(feature = "cluster")]
pub(super) use in_turn::is_in_turn;
pub(super) use in_turn::{UnionsInTurn, in_turn};

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::DFSchemaRef;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::{
    Distinct, DistinctOn, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, WindowFrame,
    WindowFrameUnits, WindowFunctionDefinition,
};

/// The plan with its rows in an order that is always the same, and whether it must run in one partition for that.
///
/// The remaining columns break the ties of a sort. A query without a sort is sorted by all its columns if the engine would
/// mix its rows. If it only reads, it runs in one partition, in the order of the objects' keys.
pub(super) fn fix_order(plan: LogicalPlan) -> EngineResult<(LogicalPlan, bool)> {
    let (plan, only_reads) = match () {
        () if is_sorted(&plan) => (break_ties(plan)?, false),
        () if mixes_rows(&plan)? => (sort_below_limit(plan)?, false),
        () => (plan, true),
    };
    let (plan, chooses_by_order) = settle_choices(plan)?;
    Ok((plan, only_reads || chooses_by_order))
}

/// The plan with what it chooses among equal rows settled, at every level, and whether it must run in one partition for that.
///
/// The rows that a `LIMIT` takes of a sort, and that `DISTINCT ON` takes, are decided by all their columns. Where the order
/// in which rows come decides (`array_agg`, `row_number`, a `LIMIT` without a sort), the rows come in the order of the
/// objects' keys, from one partition, and those of a `UNION ALL` in the order of its branches.
pub(super) fn settle_choices(plan: LogicalPlan) -> EngineResult<(LogicalPlan, bool)> {
    let mut by_order = false;
    // A `LIMIT` at the top, without a sort, asks for any rows.
    let mut is_top = true;
    let settled = plan.transform_down_with_subqueries(|node| {
        is_top &= matches!(node, LogicalPlan::Projection(_) | LogicalPlan::Limit(_));
        let takes_any = is_top;
        for expression in node.expressions() {
            by_order |= expression.exists(|part| Ok(depends_on_order(part)))?;
        }
        let node = match node {
            LogicalPlan::Limit(mut limit) if is_sorted(&limit.input) => {
                limit.input = Arc::new(break_ties(Arc::unwrap_or_clone(limit.input))?);
                LogicalPlan::Limit(limit)
            }
            LogicalPlan::Limit(limit) => {
                by_order |= !takes_any;
                LogicalPlan::Limit(limit)
            }
            LogicalPlan::Distinct(Distinct::On(distinct)) => {
                LogicalPlan::Distinct(Distinct::On(with_ties_broken(distinct)?))
            }
            other => return Ok(Transformed::no(other)),
        };
        Ok(Transformed::yes(node))
    })?;
    let sorted = settled.data.transform_down_with_subqueries(|node| {
        node.map_expressions(|expression| {
            expression.transform_up(|part| Ok(sorted_if_distinct(part)))
        })
    })?;
    Ok((sorted.data, by_order))
}

/// Whether an expression's value depends on the order of rows that its own `ORDER BY` leaves equal.
fn depends_on_order(expression: &Expr) -> bool {
    let gathers = |name: &str| {
        matches!(
            name,
            "array_agg" | "string_agg" | "first_value" | "last_value" | "nth_value"
        )
    };
    match expression {
        Expr::AggregateFunction(aggregate) => gathers(aggregate.func.name()),
        Expr::WindowFunction(window) => match &window.fun {
            // Of rows, a frame takes some of those that are equal, unless it takes all; of values, all or none.
            WindowFunctionDefinition::AggregateUDF(aggregate) => {
                let frame = &window.params.window_frame;
                gathers(aggregate.name())
                    || frame.units == WindowFrameUnits::Rows && !takes_all_rows(frame)
            }
            WindowFunctionDefinition::WindowUDF(function) => !matches!(
                function.name(),
                "rank" | "dense_rank" | "percent_rank" | "cume_dist" | "invocation_number"
            ),
        },
        _ => false,
    }
}

/// Whether a frame is a whole partition, as that of `OVER ()` is.
fn takes_all_rows(frame: &WindowFrame) -> bool {
    frame.start_bound.is_unbounded() && frame.end_bound.is_unbounded()
}

/// `array_agg(DISTINCT x)` in the order of its values, which it gathers in that of a hash table.
fn sorted_if_distinct(expression: Expr) -> Transformed<Expr> {
    match expression {
        Expr::AggregateFunction(mut aggregate)
            if aggregate.params.distinct
                && aggregate.params.order_by.is_empty()
                && matches!(aggregate.func.name(), "array_agg" | "string_agg") =>
        {
            let value = aggregate.params.args[0].clone();
            let name = Expr::AggregateFunction(aggregate.clone())
                .schema_name()
                .to_string();
            aggregate.params.order_by = vec![value.sort(true, true)];
            Transformed::yes(Expr::AggregateFunction(aggregate).alias(name))
        }
        other => Transformed::no(other),
    }
}

/// Of the rows of a `DISTINCT ON` that are equal in its `ORDER BY`, the first by the selected values.
fn with_ties_broken(distinct: DistinctOn) -> EngineResult<DistinctOn> {
    let mut sort = match distinct.sort_expr {
        Some(sort) => sort,
        None => distinct
            .on_expr
            .iter()
            .map(|on| on.clone().sort(true, true))
            .collect(),
    };
    for selected in &distinct.select_expr {
        let selected = selected.clone().unalias();
        let is_known = sort.iter().any(|key| key.expr == selected);
        if !is_known && is_sortable(&selected.get_type(distinct.input.schema())?) {
            sort.push(selected.sort(true, true));
        }
    }
    Ok(DistinctOn {
        sort_expr: Some(sort),
        ..distinct
    })
}

/// Whether a sort decides the order of the plan's rows.
fn is_sorted(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Sort(_) => true,
        // By its keys, of each of which there is one row.
        LogicalPlan::Distinct(Distinct::On(distinct)) => distinct.sort_expr.is_some(),
        LogicalPlan::Projection(_) | LogicalPlan::Limit(_) | LogicalPlan::SubqueryAlias(_) => {
            plan.inputs().first().is_some_and(|input| is_sorted(input))
        }
        _ => false,
    }
}

fn break_ties(plan: LogicalPlan) -> EngineResult<LogicalPlan> {
    plan.transform_down(|node| match node {
        LogicalPlan::Sort(mut sort) => {
            let sorted: BTreeSet<String> =
                sort.expr.iter().map(|key| key.expr.to_string()).collect();
            let ties = columns_to_sort_by(sort.input.schema());
            let ties = ties
                .into_iter()
                .filter(|column| !sorted.contains(&column.to_string()));
            sort.expr.extend(ties.map(|column| column.sort(true, true)));
            Ok(Transformed::new(
                LogicalPlan::Sort(sort),
                true,
                TreeNodeRecursion::Stop,
            ))
        }
        // It has its own sort, and those below it are others.
        LogicalPlan::Distinct(_) => Ok(Transformed::new(node, false, TreeNodeRecursion::Stop)),
        other => Ok(Transformed::no(other)),
    })
    .map(|transformed| transformed.data)
}

fn sort_below_limit(plan: LogicalPlan) -> EngineResult<LogicalPlan> {
    if let LogicalPlan::Limit(mut limit) = plan {
        let input = Arc::unwrap_or_clone(limit.input);
        limit.input = Arc::new(sort_below_limit(input)?);
        return Ok(LogicalPlan::Limit(limit));
    }
    let keys: Vec<_> = columns_to_sort_by(plan.schema())
        .into_iter()
        .map(|column| column.sort(true, true))
        .collect();
    match keys.is_empty() {
        true => Ok(plan),
        false => LogicalPlanBuilder::from(plan).sort(keys)?.build(),
    }
}

fn columns_to_sort_by(schema: &DFSchemaRef) -> Vec<Expr> {
    schema
        .iter()
        .filter(|(_, field)| is_sortable(field.data_type()))
        .map(|(qualifier, field)| Expr::Column((qualifier, field).into()))
        .collect()
}

fn is_sortable(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_sortable(values),
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            is_sortable(item.data_type())
        }
        DataType::Struct(fields) => fields.iter().all(|field| is_sortable(field.data_type())),
        _ => !data_type.is_nested() && !matches!(data_type, DataType::Null),
    }
}

/// Whether the order of a plan's rows depends on which thread is first.
fn mixes_rows(plan: &LogicalPlan) -> EngineResult<bool> {
    let mut mixes = false;
    plan.apply(|node| {
        let only_reads = matches!(
            node,
            LogicalPlan::Projection(_)
                | LogicalPlan::Filter(_)
                | LogicalPlan::Limit(_)
                | LogicalPlan::SubqueryAlias(_)
                | LogicalPlan::TableScan(_)
                | LogicalPlan::Values(_)
                | LogicalPlan::EmptyRelation(_)
                | LogicalPlan::Explain(_)
                | LogicalPlan::Analyze(_)
        );
        mixes |= !only_reads;
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(mixes)
}

#[cfg(test)]
mod tests {
    use crate::query::Engine;
    use arrow::util::pretty::pretty_format_batches;
    use futures::TryStreamExt;

    /// Whether a query runs in one partition, and its answer.
    async fn asked(sql: &str, of_a_job: bool) -> (bool, String) {
        let scratch = tempfile::tempdir().unwrap();
        let engine = Engine::new(1 << 26, scratch.path()).unwrap();
        let session = engine.session(chrono_tz::UTC).unwrap();
        let t = "(VALUES (1, 'b', 7), (1, 'a', 7), (1, 'c', 7), (2, 'z', 1), (2, 'y', 1)) AS t(k, s, n)";
        let sql = format!("WITH t AS (SELECT * FROM {t}) {sql}");
        let statement = match of_a_job {
            true => {
                let query = session.prepare(&sql, "SQL").await.unwrap();
                session.bind(&query).await.unwrap()
            }
            false => session.statement(&sql, "SQL").await.unwrap(),
        };
        let batches = session.run(&statement).await.unwrap().batches;
        let batches: Vec<_> = batches.try_collect().await.unwrap();
        let lines = pretty_format_batches(&batches).unwrap().to_string();
        let rows = lines.lines().skip(3).filter(|line| line.starts_with('|'));
        let rows: Vec<String> = rows
            .map(|row| row.trim_matches('|').split_whitespace().collect::<String>())
            .collect();
        (statement.in_order, rows.join(" "))
    }

    #[tokio::test]
    async fn what_is_chosen_among_equal_rows_is_settled_at_every_level() {
        for (sql, in_order, expected) in [
            (
                "SELECT DISTINCT ON (k) k, s FROM t ORDER BY k DESC, n",
                false,
                "2|y 1|a",
            ),
            ("SELECT DISTINCT ON (k) s FROM t", false, "a y"),
            (
                "SELECT s FROM (SELECT * FROM t ORDER BY n DESC LIMIT 2) AS top ORDER BY s",
                false,
                "a b",
            ),
            (
                "SELECT max(s) FROM t WHERE s IN (SELECT s FROM t ORDER BY n LIMIT 1)",
                false,
                "y",
            ),
            (
                "SELECT k, array_agg(s ORDER BY n) FROM t GROUP BY k ORDER BY k",
                true,
                "1|[b,a,c] 2|[z,y]",
            ),
            ("SELECT string_agg(s, '') FROM t", true, "baczy"),
            ("SELECT array_agg(DISTINCT n) FROM t", true, "[1,7]"),
            (
                "SELECT k, first_value(s ORDER BY n) FROM t GROUP BY k ORDER BY k",
                true,
                "1|b 2|z",
            ),
            (
                "SELECT s FROM (SELECT s, row_number() OVER (PARTITION BY k ORDER BY n) AS r FROM t) AS numbered WHERE r = 1 ORDER BY s",
                true,
                "b z",
            ),
            (
                "SELECT s, lag(s) OVER (ORDER BY n) AS before FROM t ORDER BY s LIMIT 1",
                true,
                "a|b",
            ),
            (
                "SELECT count(*) FROM (SELECT * FROM t LIMIT 2) AS some",
                true,
                "2",
            ),
            (
                "SELECT k, rank() OVER (ORDER BY k), sum(n) OVER (ORDER BY k) FROM t ORDER BY k LIMIT 1",
                false,
                "1|1|21",
            ),
            (
                "SELECT k, sum(n) OVER () FROM t ORDER BY k LIMIT 1",
                false,
                "1|23",
            ),
            (
                "SELECT k, sum(n) OVER (ORDER BY k ROWS 1 PRECEDING) FROM t ORDER BY k LIMIT 1",
                true,
                "1|7",
            ),
            (
                "SELECT k, count(*) FROM t GROUP BY k ORDER BY k",
                false,
                "1|3 2|2",
            ),
        ] {
            for of_a_job in [false, true] {
                let found = asked(sql, of_a_job).await;
                assert_eq!(found, (in_order, expected.to_owned()), "{sql}");
            }
        }
        assert!(!asked("SELECT s FROM t LIMIT 1", false).await.0);
    }

    /// The rows of each branch are the same in their keys, and the first branch has the most to do.
    #[tokio::test]
    async fn the_branches_of_a_union_come_in_turn() {
        let many = "SELECT 0 AS n, 'first' AS s FROM generate_series(1, 20000)";
        let union = format!("{many} UNION ALL SELECT 0, 'second' UNION ALL SELECT 0, 'third'");
        for (sql, expected) in [
            (
                format!(
                    "SELECT s FROM (SELECT s, row_number() OVER (ORDER BY n) AS r FROM ({union}) AS u) AS r WHERE r >= 20000 ORDER BY r"
                ),
                "first second third",
            ),
            (
                format!("SELECT first_value(s) AS s FROM ({union}) AS u"),
                "first",
            ),
            (
                format!("SELECT last_value(s) AS s FROM ({union}) AS u"),
                "third",
            ),
            (
                format!("SELECT array_length(array_agg(s)) AS s FROM ({union}) AS u"),
                "20002",
            ),
            (
                format!(
                    "SELECT count(DISTINCT s) AS s FROM (SELECT * FROM ({union}) AS u LIMIT 20000) AS some"
                ),
                "1",
            ),
            (
                format!(
                    "SELECT before AS s FROM (SELECT s, lag(s) OVER (ORDER BY n) AS before FROM ({union}) AS u) AS l WHERE s = 'third'"
                ),
                "second",
            ),
            (
                format!(
                    "SELECT string_agg(s, '+') AS s FROM (SELECT s FROM ({union}) AS u GROUP BY s, n ORDER BY s) AS g"
                ),
                "first+second+third",
            ),
        ] {
            for of_a_job in [false, true] {
                assert_eq!(
                    asked(&sql, of_a_job).await,
                    (true, expected.to_owned()),
                    "{sql}"
                );
            }
        }
    }

    #[tokio::test]
    async fn nested_values_are_sorted_too() {
        let sql = "SELECT DISTINCT make_array(n, k) AS l, named_struct('s', s) AS v FROM t";
        let expected = "[1,2]|{s:y} [1,2]|{s:z} [7,1]|{s:a} [7,1]|{s:b} [7,1]|{s:c}";
        assert_eq!(asked(sql, true).await, (false, expected.to_owned()));
    }
}
