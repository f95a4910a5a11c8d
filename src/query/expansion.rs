//! Refuses short SQL whose plan would be huge: the engine puts each part of a WITH where its name is, as often as it is there,
//! and makes a group for each subset of the columns of a CUBE. Planning takes memory that no pool counts.

use std::collections::{HashMap, VecDeque};
use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{Expr, ObjectName, Query, Visit, Visitor};

use crate::error::{Class, Error, Result};
use crate::numbers::format_number;

/// The most queries and tables of a plan in which the parts of each WITH are in place of their names.
const MOST_PARTS: u64 = 5000;

/// The most columns of a CUBE: 4096 subsets.
const MOST_CUBED: usize = 12;

/// An error (SQL) for a statement whose plan would be too large.
pub(super) fn refuse_expansion(statement: &Statement) -> Result<()> {
    let statement = match statement {
        Statement::Statement(statement) => statement,
        Statement::Explain(explained) => return refuse_expansion(&explained.statement),
        _ => return Ok(()),
    };
    match statement.visit(&mut Expansion::default()) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(why) => Err(Error::new(Class::Sql, why)),
    }
}

/// The queries that are being visited, the innermost last.
#[derive(Default)]
struct Expansion(Vec<Scope>);

/// A query.
#[derive(Default)]
struct Scope {
    /// The parts of its WITH that are still to be visited, in their order.
    to_come: VecDeque<String>,
    /// The size of each part that was visited.
    parts: HashMap<String, u64>,
    /// The queries and tables of it so far.
    size: u64,
}

impl Expansion {
    fn size_of(&self, name: &str) -> u64 {
        let mut scopes = self.0.iter().rev();
        let part = scopes.find_map(|scope| scope.parts.get(name));
        part.copied().unwrap_or(1)
    }
}

impl Visitor for Expansion {
    type Break = String;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<String> {
        let parts = query.with.iter().flat_map(|with| &with.cte_tables);
        self.0.push(Scope {
            to_come: parts.map(|part| part.alias.name.value.clone()).collect(),
            parts: HashMap::new(),
            size: 1,
        });
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<String> {
        let ended = self.0.pop().unwrap_or_default();
        if ended.size > MOST_PARTS {
            return ControlFlow::Break(format!(
                "the query is too large: with the parts of WITH in place of their names, it reads more than {} tables",
                format_number(MOST_PARTS as f64, 0)
            ));
        }
        if let Some(outer) = self.0.last_mut() {
            match outer.to_come.pop_front() {
                Some(name) => {
                    outer.parts.insert(name, ended.size);
                }
                None => outer.size = outer.size.saturating_add(ended.size),
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<String> {
        let size = match &relation.0[..] {
            [name] => name.as_ident().map_or(1, |name| self.size_of(&name.value)),
            _ => 1,
        };
        if let Some(scope) = self.0.last_mut() {
            scope.size = scope.size.saturating_add(size);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<String> {
        match expr {
            Expr::Cube(columns) if columns.len() > MOST_CUBED => ControlFlow::Break(format!(
                "CUBE has {} columns, and so 2 to the power of {} groupings: expected at most {MOST_CUBED} columns",
                columns.len(),
                columns.len()
            )),
            _ => ControlFlow::Continue(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::star;

    fn refused(sql: &str) -> Option<String> {
        let statement = star::parse(sql, 50).unwrap();
        let error = refuse_expansion(&statement).err()?;
        assert_eq!(error.class(), Class::Sql);
        Some(error.to_string())
    }

    fn doubled(levels: usize) -> String {
        let mut sql = "WITH t0 AS (SELECT 1 AS x)".to_owned();
        for level in 1..=levels {
            let above = level - 1;
            sql += &format!(", t{level} AS (SELECT a.x FROM t{above} AS a, t{above} AS b)");
        }
        sql + &format!(" SELECT count(*) FROM t{levels}")
    }

    #[test]
    fn parts_that_multiply_are_refused() {
        assert_eq!(refused(&doubled(8)), None);
        for levels in [12, 40, 200] {
            let error = refused(&doubled(levels)).expect("refused");
            assert!(error.contains("more than 5,000 tables"), "{error}");
            let explained = refused(&format!("EXPLAIN {}", doubled(levels)));
            assert_eq!(explained, Some(error));
        }
        // In a sub-select of a part, of a condition and of a column.
        let inner = doubled(20);
        for sql in [
            format!("WITH t AS (SELECT * FROM ({inner}) AS s) SELECT * FROM t"),
            format!("SELECT 1 FROM logs WHERE 1 IN ({inner})"),
            format!("SELECT ({inner}) AS n"),
        ] {
            assert!(refused(&sql).is_some(), "{sql}");
        }
    }

    #[test]
    fn parts_that_follow_each_other_are_not() {
        let parts = (1..300).map(|n| format!(", t{n} AS (SELECT * FROM t{})", n - 1));
        let parts: String = parts.collect();
        assert_eq!(
            refused(&format!(
                "WITH t0 AS (SELECT 1 AS x){parts} SELECT * FROM t299"
            )),
            None
        );
        let recursive = "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t WHERE n < 9) SELECT * FROM t";
        assert_eq!(refused(recursive), None);
        // The name of an inner part is that part's.
        let shadowed = format!(
            "WITH t40 AS (SELECT 1 AS x) SELECT * FROM t40, ({}) AS s",
            doubled(5)
        );
        assert_eq!(refused(&shadowed), None);
    }

    #[test]
    fn a_large_cube_is_refused() {
        let cube = |columns: usize| {
            let columns: Vec<_> = (0..columns).map(|n| format!("c{n}")).collect();
            refused(&format!(
                "SELECT 1 FROM logs GROUP BY CUBE ({})",
                columns.join(", ")
            ))
        };
        assert_eq!(cube(12), None);
        assert!(cube(40).expect("refused").contains("CUBE has 40 columns"));
    }
}
