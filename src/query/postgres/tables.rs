//! Functions as tables in the engine's terms:
//!
//! - `FROM buckets('5 minutes')`, the table of the window's buckets, is a query over `window_buckets`
//! - `FROM generate_series(a, b, interval '5 minutes')` unfolds the list of that function; the engine's own table takes
//!   nothing but constants

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident,
    ObjectName, TableAlias, TableAliasColumnDef, TableFactor, Value, Visit, Visitor,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use std::ops::ControlFlow;

use super::unreadable;
use crate::error::{Error, Result};

const BUCKETS: &str = "buckets";
const SERIES: &str = "generate_series";

/// Whether a statement reads the table of the window's buckets.
pub(in super::super) fn names_buckets(statement: &Statement) -> bool {
    struct Finder;
    impl Visitor for Finder {
        type Break = ();

        fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
            match call(factor) {
                Some((BUCKETS, _)) => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    match statement {
        Statement::Statement(statement) => statement.visit(&mut Finder).is_break(),
        Statement::Explain(explained) => names_buckets(&explained.statement),
        _ => false,
    }
}

/// Puts a table into the engine's terms.
pub(super) fn translate(factor: &mut TableFactor) -> Result<()> {
    let Some((name, arguments)) = call(factor) else {
        return Ok(());
    };
    let arguments: Vec<Expr> = match arguments {
        Some(arguments) => arguments.into_iter().cloned().collect(),
        None => return Ok(()),
    };
    match name {
        BUCKETS => buckets(factor, &arguments),
        _ if is_of_times(&arguments) => {
            series(factor, arguments);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The function that stands for a table, and its arguments where they are all plain.
fn call(factor: &TableFactor) -> Option<(&'static str, Option<Vec<&Expr>>)> {
    let (name, arguments) = match factor {
        TableFactor::Table {
            name,
            args: Some(arguments),
            with_ordinality: false,
            ..
        } => (name, &arguments.args),
        TableFactor::Function { name, args, .. } => (name, args),
        _ => return None,
    };
    let [part] = name.0.as_slice() else {
        return None;
    };
    let name = part.as_ident()?.value.to_lowercase();
    let name = [BUCKETS, SERIES].into_iter().find(|it| *it == name)?;
    let arguments = arguments.iter().map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    });
    Some((name, arguments.collect()))
}

/// Whether a series is of times: its step is no number.
fn is_of_times(arguments: &[Expr]) -> bool {
    match arguments {
        [_, _, step] => {
            !matches!(step, Expr::Value(value) if matches!(value.value, Value::Number(..)))
                && !matches!(step, Expr::UnaryOp { .. })
        }
        _ => false,
    }
}

fn alias_of(factor: &mut TableFactor) -> Option<TableAlias> {
    match factor {
        TableFactor::Table { alias, .. } | TableFactor::Function { alias, .. } => alias.take(),
        _ => None,
    }
}

fn alias(name: &str) -> TableAlias {
    TableAlias {
        explicit: true,
        name: Ident::new(name),
        columns: Vec::new(),
        at: None,
    }
}

fn buckets(factor: &mut TableFactor, arguments: &[Expr]) -> Result<()> {
    let [width] = arguments else {
        return Err(unreadable(format!(
            "buckets has {} arguments: expected a width, as in buckets('5 minutes')",
            arguments.len()
        )));
    };
    // Each start is there once, and DISTINCT says so to those that look at the plan.
    let sql = format!(
        "SELECT b AS bucket_utc, local_time(b) AS bucket_local, utc_offset(b) AS utc_offset, hour_of_day(b) AS hour_of_day \
         FROM (SELECT DISTINCT b FROM unnest(window_buckets({width}, $window_start, $window_end)) AS w(b)) AS w"
    );
    let parsed = Parser::new(&PostgreSqlDialect {}).try_with_sql(&sql);
    let query = parsed.and_then(|mut parser| parser.parse_query());
    let query = query.map_err(|error| Error::from_engine(error.into()))?;
    let alias = alias_of(factor).unwrap_or_else(|| alias(BUCKETS));
    *factor = TableFactor::Derived {
        lateral: false,
        subquery: query,
        alias: Some(alias),
        sample: None,
    };
    Ok(())
}

/// The list of the function unfolded. As in PostgreSQL, its column has the name of the table.
fn series(factor: &mut TableFactor, arguments: Vec<Expr>) {
    let mut alias = alias_of(factor).unwrap_or_else(|| alias(SERIES));
    if alias.columns.is_empty() {
        alias.columns.push(TableAliasColumnDef {
            name: alias.name.clone(),
            data_type: None,
        });
    }
    let arguments = arguments
        .into_iter()
        .map(|argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)));
    let list = Function {
        name: ObjectName::from(vec![Ident::new(SERIES)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: arguments.collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    };
    *factor = TableFactor::UNNEST {
        alias: Some(alias),
        array_exprs: vec![Expr::Function(list)],
        with_offset: false,
        with_offset_alias: None,
        with_ordinality: false,
    };
}
