//! The library of queries on the command line: `--list`, and `@NAME` in place of SQL.

use std::fmt::Write;

use crate::error::{Error, Result};
use crate::job::{BuiltIn, library};
use crate::query::{Parameter, Parameters, Session};

/// The query that `@NAME` stands for; `None` for SQL.
///
/// # Errors
/// `Usage` for a name that no query has.
pub(super) fn named(sql: &str) -> Result<Option<&'static BuiltIn>> {
    let name = sql.trim().trim_end_matches(';').strip_prefix('@');
    name.map(find).transpose()
}

/// The session and the SQL that a text stands for at a prompt: of `@NAME`, the query of that name with the defaults of the
/// parameters that were not `given`; else those that are there.
///
/// # Errors
/// `Usage` for a name that no query has, and for a parameter without a default.
pub(in crate::cli) fn named_or<'a>(
    sql: &'a str,
    session: &Session,
    given: &Parameters,
) -> Result<(Session, &'a str)> {
    let Some(query) = named(sql)? else {
        return Ok((session.clone(), sql));
    };
    let mut parameters = given.clone();
    add_defaults(query, &mut parameters)?;
    Ok((session.clone().with_parameters(parameters), query.sql))
}

fn find(name: &str) -> Result<&'static BuiltIn> {
    BuiltIn::find(name).map_err(|expected| {
        Error::usage(format!("{name:?} is no query of the library: {expected}"))
    })
}

/// Adds the defaults of a query's parameters that were not given.
///
/// # Errors
/// `Usage` for a parameter that has no default.
pub(super) fn add_defaults(query: &BuiltIn, parameters: &mut Parameters) -> Result<()> {
    for parameter in &query.header.parameters {
        let name = parameter.name.as_str();
        if parameters.iter().any(|(given, _)| given == name) {
            continue;
        }
        let Some(default) = &parameter.default else {
            return Err(Error::usage(format!(
                "@{} needs -p {name}=…: {}",
                query.name, parameter.about
            )));
        };
        parameters
            .add(name, Parameter::any(default))
            .map_err(Error::usage)?;
    }
    Ok(())
}

/// A line for each query; or, of a name, the header and the SQL.
///
/// # Errors
/// `Usage` for a name that no query has.
pub(super) fn list(name: &str) -> Result<String> {
    if !name.is_empty() {
        return find(name.trim_start_matches('@')).map(|query| query.sql.to_owned());
    }
    let names = library().iter().map(|query| query.name.len());
    let width = names.max().unwrap_or_default();
    let mut list = String::new();
    for query in library() {
        let _ = writeln!(list, "{:width$}  {}", query.name, query.header.summary);
    }
    Ok(list)
}
