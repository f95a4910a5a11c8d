//! The arguments of `query` without a name, told apart: what is queried, and the SQL behind it.

use std::path::Path;

use crate::error::{Error, Result};
use crate::job::is_sql;

/// The jobs and locations of the arguments, at least one, and the SQL. The SQL is the last argument, if that is no job file,
/// no address and nothing that exists on this machine.
///
/// # Errors
/// `Usage` for arguments in the wrong order, a second text of SQL, SQL that is not in quotes.
pub fn split(words: &[String], has_file: bool) -> Result<(Vec<&str>, Option<&str>)> {
    let (subjects, sql) = match words {
        [] => return Err(no_subject("")),
        [only] if is_sql(only) => return Err(no_subject(only)),
        [subjects @ .., last] if !subjects.is_empty() && !is_subject(last) => {
            (subjects, Some(last.as_str()))
        }
        all => (all, None),
    };
    if let Some((at, sql)) = (0..).zip(subjects).find(|(_, word)| is_sql(word)) {
        let mut others: Vec<&str> = words.iter().map(String::as_str).collect();
        others.remove(at);
        return Err(Error::usage(format!(
            "the arguments of query are in the wrong order: expected the job or location first, and then the SQL: query {} {}",
            others.join(" "),
            in_quotes(sql)
        )));
    }
    let mut more = subjects.iter().skip(1);
    if let (Some(word), Some(_)) = (more.find(|word| !is_subject(word)), sql) {
        return Err(match is_sql(&format!("{word} x")) {
            true => Error::usage(
                "the SQL is several arguments: expected it as one argument in quotes, such as \"SELECT count(*) FROM logs\"",
            ),
            false => Error::usage(format!(
                "{word:?} is no job or location, and not the last argument, which is the SQL: expected job files (*.toml), folders, Parquet files or s3://bucket/prefix before it"
            )),
        });
    }
    if let Some(sql) = sql {
        check_sql(sql, has_file)?;
    }
    Ok((subjects.iter().map(String::as_str).collect(), sql))
}

fn check_sql(sql: &str, has_file: bool) -> Result<()> {
    let file = sql.trim().trim_start_matches('@');
    if file.ends_with(".sql") && is_one_word(sql) {
        return Err(Error::usage(format!(
            "{file:?} is the name of a file: expected -f {file} in place of the SQL"
        )));
    }
    if has_file {
        return Err(Error::usage(format!(
            "both a file with SQL (-f) and {}: expected one of them",
            in_quotes(sql)
        )));
    }
    Ok(())
}

fn no_subject(sql: &str) -> Error {
    Error::usage(format!(
        "query has no job or location: expected one before the SQL: query JOB {}",
        in_quotes(sql)
    ))
}

/// Whether a text is a job file or a location. A file of SQL is neither.
fn is_subject(text: &str) -> bool {
    text == "-"
        || is_one_word(text) && (text.ends_with(".toml") || text.contains("://"))
        || !text.is_empty() && !text.ends_with(".sql") && Path::new(text).exists()
}

fn is_one_word(text: &str) -> bool {
    let text = text.trim();
    !text.is_empty() && !text.contains(char::is_whitespace)
}

/// The SQL as an argument, cut if it is long.
fn in_quotes(sql: &str) -> String {
    const LONGEST: usize = 60;
    let mut short: String = sql.trim().chars().take(LONGEST).collect();
    if short.len() < sql.trim().len() {
        short.push('…');
    }
    format!("\"{}\"", short.replace('\n', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQL: &str = "SELECT count(*) FROM logs";

    fn words(text: &[&str]) -> Vec<String> {
        text.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_last_argument_is_the_sql_if_it_is_no_subject() {
        for (arguments, subjects, sql) in [
            (&["night.toml", SQL][..], &["night.toml"][..], Some(SQL)),
            (
                &["s3://acme/a", "s3://acme/b", SQL],
                &["s3://acme/a", "s3://acme/b"],
                Some(SQL),
            ),
            (
                &["night.toml", "src", "TABLE logs"],
                &["night.toml", "src"],
                Some("TABLE logs"),
            ),
            (&["night.toml", "src"], &["night.toml", "src"], None),
            (&["nothing"], &["nothing"], None),
            (&["-", SQL], &["-"], Some(SQL)),
            (&["night.toml", "@name"], &["night.toml"], Some("@name")),
            (&["night.toml", ""], &["night.toml"], Some("")),
        ] {
            let arguments = words(arguments);
            let found = split(&arguments, false).unwrap();
            assert_eq!(found, (subjects.to_vec(), sql), "{arguments:?}");
        }
    }

    #[test]
    fn arguments_in_the_wrong_place_are_noticed() {
        for (arguments, expected) in [
            (
                &[SQL, "night.toml"][..],
                "query night.toml \"SELECT count(*) FROM logs\"",
            ),
            (&[SQL, "s3://acme/x"], "query s3://acme/x"),
            (&[SQL], "query JOB \"SELECT"),
            (&["night.toml", "errors.sql"], "-f errors.sql"),
            (&["night.toml", "@errors.sql"], "-f errors.sql"),
            (
                &["night.toml", "SELECT", "count(*)", "FROM", "logs"],
                "as one argument in quotes",
            ),
            (
                &["night.toml", "nothing", SQL],
                "\"nothing\" is no job or location",
            ),
        ] {
            let error = split(&words(arguments), false).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let error = split(&words(&["night.toml", SQL]), true).unwrap_err();
        assert!(
            error.to_string().contains("both a file with SQL (-f)"),
            "{error}"
        );
    }
}
