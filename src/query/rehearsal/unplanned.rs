//! What the optimizer leaves in a plan and the engine can't carry out, said in terms of SQL.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Diagnostic, Span};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Expr, LogicalPlan};

use crate::error::{Class, Error};
use crate::query::errors::place::{column, word};

/// A part of a plan that can't be carried out.
pub struct Unplanned {
    what: String,
    span: Option<Span>,
    keyword: &'static str,
}

impl Unplanned {
    /// The error, with its place in the SQL.
    pub fn error(self, sql: &str) -> DataFusionError {
        let span = self.span.or_else(|| word(self.keyword, sql));
        let span = span.or_else(|| column(&self.what, sql));
        // What `= ANY (SELECT …)` is written as.
        let span = span
            .or_else(|| word("ANY", sql))
            .or_else(|| word("ALL", sql));
        let diagnostic = Diagnostic::new_error(self.what.clone(), span);
        DataFusionError::from(Error::new(Class::Sql, self.what)).with_diagnostic(diagnostic)
    }
}

/// The first part of a node's expression that can't be carried out.
pub fn unplanned(node: &LogicalPlan, expression: &Expr) -> Option<Unplanned> {
    let mut found = None;
    let visited = expression.apply(|part| {
        found = match part {
            Expr::Exists(_) => Some(Unplanned {
                what: "EXISTS can be computed only as a condition of WHERE: expected it there, or (SELECT count(*) …) > 0, or a join".to_owned(),
                span: None,
                keyword: "EXISTS",
            }),
            Expr::InSubquery(_) => Some(Unplanned {
                what: "IN (SELECT …) can be computed only as a condition of WHERE: expected it there, or a join".to_owned(),
                span: None,
                keyword: "IN",
            }),
            Expr::ScalarSubquery(subquery) => {
                subquery.outer_ref_columns.first().map(of_outer_query)
            }
            Expr::OuterReferenceColumn(..) => Some(of_outer_query(part)),
            Expr::WindowFunction(_) if matches!(node, LogicalPlan::Filter(_) | LogicalPlan::TableScan(_)) => Some(Unplanned {
                what: "a window function can't be a condition of WHERE: expected it in a sub-select, whose column the condition names".to_owned(),
                span: None,
                keyword: "OVER",
            }),
            _ => None,
        };
        Ok(match found {
            None => TreeNodeRecursion::Continue,
            Some(_) => TreeNodeRecursion::Stop,
        })
    });
    debug_assert!(visited.is_ok());
    found
}

fn of_outer_query(column: &Expr) -> Unplanned {
    let (name, span) = match column {
        Expr::OuterReferenceColumn(_, column) | Expr::Column(column) => {
            (column.flat_name(), column.spans.first())
        }
        other => (other.to_string(), None),
    };
    Unplanned {
        what: format!(
            "a sub-select reads {name} of the query around it, which can be computed only for an aggregate over rows with equal columns: expected a join"
        ),
        span,
        keyword: "LATERAL",
    }
}
