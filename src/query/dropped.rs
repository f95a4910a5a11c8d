//! Refuses what the engine's parser takes and its planner drops without a word: the answer would be that of another query.

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{Query, Select, TableFactor, Visit, Visitor};

use crate::error::{Class, Error, Result};

/// An error (SQL) that names the first such clause.
pub(super) fn refuse_dropped_clauses(statement: &Statement) -> Result<()> {
    let found = match statement {
        Statement::Statement(statement) => statement.visit(&mut Dropped),
        Statement::Explain(explained) => return refuse_dropped_clauses(&explained.statement),
        _ => ControlFlow::Continue(()),
    };
    match found {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(clause) => {
            let what =
                format!("{clause} is not supported: the engine would leave it out without a word");
            let error = Error::new(Class::Sql, what);
            Err(match clause {
                "TABLESAMPLE" => error.with_hint("write WHERE random() < 0.01"),
                _ => error,
            })
        }
    }
}

struct Dropped;

impl Dropped {
    /// Stops at the first clause that is there.
    fn none_of<const N: usize>(clauses: [(bool, &'static str); N]) -> ControlFlow<&'static str> {
        match clauses.into_iter().find(|(is_there, _)| *is_there) {
            Some((_, clause)) => ControlFlow::Break(clause),
            None => ControlFlow::Continue(()),
        }
    }
}

impl Visitor for Dropped {
    type Break = &'static str;

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<&'static str> {
        match factor {
            TableFactor::Table {
                with_hints,
                version,
                with_ordinality,
                partitions,
                sample,
                index_hints,
                ..
            } => Self::none_of([
                (sample.is_some(), "TABLESAMPLE"),
                (*with_ordinality, "WITH ORDINALITY"),
                (version.is_some(), "a version of a table"),
                (!partitions.is_empty(), "PARTITION of a table"),
                (!with_hints.is_empty(), "WITH (…) behind a table"),
                (!index_hints.is_empty(), "a hint for an index"),
            ]),
            TableFactor::Derived { sample, .. } => {
                Self::none_of([(sample.is_some(), "TABLESAMPLE")])
            }
            TableFactor::UNNEST {
                with_offset,
                with_ordinality,
                ..
            } => Self::none_of([
                (*with_ordinality, "WITH ORDINALITY"),
                (*with_offset, "WITH OFFSET"),
            ]),
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<&'static str> {
        Self::none_of([
            (!query.locks.is_empty(), "FOR UPDATE or FOR SHARE"),
            (
                query.for_clause.is_some(),
                "FOR XML, FOR JSON or FOR BROWSE",
            ),
            (query.settings.is_some(), "SETTINGS"),
            (query.format_clause.is_some(), "FORMAT"),
        ])
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<&'static str> {
        Self::none_of([
            (select.prewhere.is_some(), "PREWHERE"),
            (!select.connect_by.is_empty(), "CONNECT BY"),
            (select.value_table_mode.is_some(), "AS STRUCT or AS VALUE"),
        ])
    }
}
