//! Whether an answer has a row for every group of events, so that a time without a row has none.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan};

use crate::query::Statement;

/// The table of events.
const EVENTS: &str = "logs";

impl Statement {
    /// Whether a group without a row in the answer has no events: the answer is a grouping of events, and no row of it was
    /// dropped, by HAVING or LIMIT for example.
    pub fn has_every_group(&self) -> bool {
        match grouping(&self.plan) {
            Some(input) => reads_all_events(input),
            None => false,
        }
    }
}

/// What is grouped, if nothing behind the grouping drops rows.
fn grouping(plan: &LogicalPlan) -> Option<&LogicalPlan> {
    match plan {
        LogicalPlan::Projection(_) | LogicalPlan::Sort(_) | LogicalPlan::SubqueryAlias(_) => {
            // A sort may keep only the first rows.
            let is_cut = matches!(plan, LogicalPlan::Sort(sort) if sort.fetch.is_some());
            grouping(plan.inputs().first()?).filter(|_| !is_cut)
        }
        LogicalPlan::Aggregate(aggregate) => {
            let groups = &aggregate.group_expr;
            let has_subtotals = groups.iter().any(|e| matches!(e, Expr::GroupingSet(_)));
            (!has_subtotals).then_some(&*aggregate.input)
        }
        _ => None,
    }
}

/// Whether a plan reads the events and nothing else, without a LIMIT.
fn reads_all_events(plan: &LogicalPlan) -> bool {
    let mut reads_events = false;
    let walked = plan.apply(|node| {
        let fits = match node {
            LogicalPlan::TableScan(scan) => {
                reads_events = true;
                scan.table_name.table() == EVENTS && scan.fetch.is_none()
            }
            LogicalPlan::Projection(_) | LogicalPlan::Filter(_) | LogicalPlan::SubqueryAlias(_) => {
                true
            }
            _ => false,
        };
        Ok(match fits {
            true => TreeNodeRecursion::Continue,
            false => TreeNodeRecursion::Stop,
        })
    });
    reads_events && walked.is_ok_and(|recursion| recursion == TreeNodeRecursion::Continue)
}

#[cfg(test)]
mod tests {
    use crate::query::Engine;
    use crate::window::{Size, Window};

    #[tokio::test]
    async fn only_whole_groupings_of_events_have_every_group() {
        let scratch = tempfile::tempdir().unwrap();
        let engine = Engine::new(1 << 26, scratch.path()).unwrap();
        let window = Window::parse(Size::Day, chrono_tz::UTC, "2026-11-20").unwrap();
        let session = engine.session(chrono_tz::UTC).unwrap();
        let session = session.expect_logs().unwrap();
        let session = session.with_window(window.range()).unwrap();
        let bucket = "SELECT time_bucket('5 minutes', timestamp) AS t, count(*) AS n FROM logs";
        for (sql, expected) in [
            (format!("{bucket} GROUP BY 1 ORDER BY 1"), true),
            (format!("{bucket} WHERE level(message) = 'ERROR' GROUP BY 1"), true),
            (format!("WITH a AS ({bucket} GROUP BY 1) SELECT t, n * 2 AS n FROM a"), true),
            (format!("{bucket} GROUP BY 1 HAVING count(*) > 5"), false),
            (format!("{bucket} GROUP BY 1 ORDER BY 2 DESC LIMIT 5"), false),
            (format!("SELECT t, n FROM ({bucket} GROUP BY 1) WHERE n > 5"), false),
            (
                "SELECT time_bucket('5 minutes', timestamp) AS t, count(*) AS n FROM (SELECT * FROM logs LIMIT 9) GROUP BY 1".to_owned(),
                false,
            ),
            ("SELECT timestamp AS t, 1 AS n FROM logs".to_owned(), false),
            ("SELECT hour_local AS t, count(*) AS n FROM hours GROUP BY 1".to_owned(), false),
        ] {
            let statement = session.statement(&sql, "SQL").await.unwrap();
            assert_eq!(statement.has_every_group(), expected, "{sql}");
        }
    }
}
