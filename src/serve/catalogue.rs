//! PostgreSQL's catalogue over the tables of a session: what clients ask for the lists of tables, columns, types and functions.
//!
//! A query that names the catalogue is planned as every other, by the same checks, in a session that has the
//! [tables] and [functions] of the catalogue beside its own. What such queries write that the engine does not
//! read is put into its terms [before](rewrite).

mod functions;
mod rewrite;
mod tables;

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{
    Expr, ObjectName, ObjectNamePart, TableFactor, Visit, Visitor,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use crate::error::{Error, Result};
use crate::query::{Function, Session, SessionTable};

/// What the catalogue is of.
pub struct Facts {
    /// The tables of the session.
    pub tables: Vec<SessionTable>,
    /// The functions of the session.
    pub functions: Vec<Function>,
    /// The names of the cursors of the connection.
    pub cursors: Vec<String>,
    /// The settings of the connection.
    pub settings: Vec<(&'static str, String)>,
    /// The name under which the client knows the database.
    pub database: String,
    /// The name of the client's user.
    pub user: String,
    /// The number of the connection.
    pub number: i32,
    /// Whether the connection is encrypted.
    pub is_encrypted: bool,
}

/// A session with the catalogue beside its own tables.
///
/// # Errors
/// `Unexpected`: those of the engine.
pub fn session(of: &Session, facts: &Facts) -> Result<Session> {
    let schemas = tables::schemas(facts).map_err(Error::from_engine)?;
    let schemas = schemas.map(|(name, schema)| match name {
        // The engine has an information_schema of its own, in other words.
        tables::STANDARD => (rewrite::STANDARD, schema),
        name => (name, schema),
    });
    let functions = functions::all(facts);
    let translation = rewrite::Rewrite {
        database: facts.database.clone(),
    };
    of.fork_with(&schemas, functions, Arc::new(translation))
}

/// Whether a query names a table or a function of the catalogue.
pub fn is_named_in(sql: &str) -> bool {
    let lower = sql.to_lowercase();
    // Most queries have none of these letters, and need not be read twice.
    let hints = [
        "pg_",
        "information_schema",
        "current_",
        "_user",
        "user",
        "version",
        "quote_",
        "regclass",
        "regtype",
        "to_reg",
        "set_config",
        "format_type",
        "parse_ident",
        "_description",
        "_privilege",
        "inet_",
        "txid_",
    ];
    if !hints.iter().any(|hint| lower.contains(hint)) {
        return false;
    }
    let statements = Parser::new(&PostgreSqlDialect {})
        .with_recursion_limit(200)
        .try_with_sql(sql);
    let Ok(statements) = statements.and_then(|mut parser| parser.parse_statements()) else {
        // What can't be read is explained where it is planned.
        return false;
    };
    statements.visit(&mut Names).is_break()
}

/// Finds the first name of the catalogue.
struct Names;

impl Visitor for Names {
    type Break = ();

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        match rewrite::table_of(relation) {
            Some(_) => ControlFlow::Break(()),
            None => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table {
                name,
                args: Some(_),
                ..
            }
            | TableFactor::Function { name, .. }
                if is_function(name) =>
            {
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let is_named = match expr {
            Expr::Function(function) => is_function(&function.name),
            Expr::Cast { data_type, .. } => rewrite::is_registered(data_type),
            _ => false,
        };
        if is_named {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

fn is_function(name: &ObjectName) -> bool {
    let parts: Vec<String> = name
        .0
        .iter()
        .filter_map(ObjectNamePart::as_ident)
        .map(|part| part.value.to_lowercase())
        .collect();
    match parts.as_slice() {
        [schema, _] => [tables::CATALOGUE, tables::STANDARD].contains(&schema.as_str()),
        [name] => functions::is_named(name),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
