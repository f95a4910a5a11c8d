//! The statements that are asked: of the arguments, of a file, of the library, or from standard input.

use std::io::{IsTerminal, Read};

use super::{QueryArgs, library};
use crate::error::{Class, Error, Result};
use crate::job::BuiltIn;
use crate::query::{Parameters, ScriptStatement, statements};
use crate::run::job_file::load_sql;

/// The statements that are asked.
pub(super) struct Asked {
    text: String,
    /// The query of the library that it is.
    pub(super) named: Option<&'static BuiltIn>,
    /// Where the text is from, for errors.
    pub(super) origin: String,
    pub(super) statements: Vec<ScriptStatement>,
}

impl Asked {
    /// Of the arguments, a file or standard input.
    pub(super) async fn read(args: &QueryArgs, sql: Option<&str>) -> Result<Self> {
        let text = question(args, sql).await?;
        let named = library::named(&text)?;
        let file = args.file.as_deref();
        let origin = match named {
            Some(named) => named.origin(),
            None => file.map_or_else(|| "SQL".to_owned(), |file| file.display().to_string()),
        };
        let text = named.map_or(text, |named| named.sql.to_owned());
        let statements = statements(&text);
        if statements.is_empty() {
            return Err(no_question());
        }
        Ok(Self {
            text,
            named,
            origin,
            statements,
        })
    }

    /// An error (usage) for a parameter that no statement uses, and for several answers where only one can be written.
    pub(super) fn check(&self, args: &QueryArgs, parameters: &Parameters) -> Result<()> {
        if let [unused, ..] = parameters.unused_in(&self.text).as_slice() {
            return Err(Error::usage(format!(
                "-p {unused}: no statement uses ${unused}"
            )));
        }
        let goes_to_file = args.print.output().is_some_and(|file| file != "-");
        let is_query = |one: &&ScriptStatement| !creates_view(one.written(&self.text));
        let mut queries = self.statements.iter().filter(is_query);
        match (queries.next(), queries.next()) {
            (Some(_), Some(second)) if goes_to_file || args.chart.is_some() => {
                let option = if args.chart.is_some() {
                    "--chart"
                } else {
                    "--output"
                };
                Err(Error::usage(format!(
                    "{}:{}:{}: {option} is for one answer, and this statement is a second query: expected one query, behind any number of CREATE TEMP VIEW",
                    self.origin, second.line, second.column
                )))
            }
            _ => Ok(()),
        }
    }
}

fn creates_view(sql: &str) -> bool {
    let first = sql.split_whitespace().next();
    first.is_some_and(|word| word.eq_ignore_ascii_case("CREATE"))
}

/// The SQL of the arguments, of a file, or of standard input.
async fn question(args: &QueryArgs, sql: Option<&str>) -> Result<String> {
    let sql = match (sql, &args.file) {
        (Some(sql), _) => sql.to_owned(),
        (None, Some(file)) => load_sql(file).await?,
        (None, None) => {
            // On a thread of its own, which a signal need not wait for.
            let (sent, sql) = tokio::sync::oneshot::channel();
            std::thread::spawn(move || sent.send(sql_from_stdin()));
            sql.await.map_err(|error| {
                Error::new(Class::Unexpected, "can't read the question").caused_by(error)
            })??
        }
    };
    match sql.trim_start_matches('\u{feff}').trim() {
        "" => Err(no_question()),
        _ => Ok(sql),
    }
}

fn sql_from_stdin() -> Result<String> {
    let mut stdin = std::io::stdin();
    if stdin.is_terminal() {
        return Err(no_question());
    }
    let mut sql = String::new();
    stdin.read_to_string(&mut sql).map_err(|error| {
        Error::usage("can't read the question from standard input").caused_by(error)
    })?;
    Ok(sql)
}

fn no_question() -> Error {
    Error::usage(
        "no question: expected SQL as the last argument, such as \"SELECT count(*) FROM logs\", in a file with -f, or on standard input",
    )
}
