//! `previous('hourly_count', '7 days')`: the answer of an earlier window as a table. In a plan it is a table of the session
//! with a name of its own, so that it is bound to the answer of each window as every table is.

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Ident, ObjectName, TableAlias, TableFactor, Value,
    VisitMut, VisitorMut,
};

use crate::error::{Class, Error};

/// The function's name.
const PREVIOUS: &str = "previous";

/// The name of the table of an earlier answer; the parts can't be taken for each other, as no query has a space in its name.
fn name_of(query: &str, span: &str) -> String {
    format!("{PREVIOUS} {query} {span}")
}

/// The query and the span in the name of such a table.
pub(super) fn parts_of(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix(PREVIOUS)?
        .strip_prefix(' ')?
        .split_once(' ')
}

/// Puts the names of tables in place of calls of the function.
pub(super) fn name_tables(statement: &mut Statement) -> datafusion::error::Result<()> {
    let named = match statement {
        Statement::Statement(statement) => statement.visit(&mut Namer),
        Statement::Explain(explained) => return name_tables(&mut explained.statement),
        _ => ControlFlow::Continue(()),
    };
    match named {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(wrong().into()),
    }
}

fn wrong() -> Error {
    Error::new(
        Class::Sql,
        "previous takes the name of a query and how much earlier its window is, both as texts",
    )
    .with_hint("write FROM previous('hourly_count', '7 days') AS before")
}

struct Namer;

impl VisitorMut for Namer {
    type Break = ();

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let TableFactor::Table {
            name, alias, args, ..
        } = factor
        else {
            return ControlFlow::Continue(());
        };
        let Some(called) = args else {
            return ControlFlow::Continue(());
        };
        if !name.to_string().eq_ignore_ascii_case(PREVIOUS) {
            return ControlFlow::Continue(());
        }
        let [query, span] = called.args.as_slice() else {
            return ControlFlow::Break(());
        };
        let (Some(query), Some(span)) = (text(query), text(span)) else {
            return ControlFlow::Break(());
        };
        let table = Ident::with_quote('"', name_of(&query, &span));
        *name = ObjectName::from(vec![table]);
        *args = None;
        alias.get_or_insert_with(|| TableAlias {
            explicit: true,
            name: Ident::new(PREVIOUS),
            columns: Vec::new(),
            at: None,
        });
        ControlFlow::Continue(())
    }
}

fn text(argument: &FunctionArg) -> Option<String> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value))) => match &value.value {
            Value::SingleQuotedString(text) => Some(text.clone()),
            _ => None,
        },
        _ => None,
    }
}
