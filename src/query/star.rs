//! `SELECT * EXCLUDE (a, b)`, and `EXCEPT` for it: all columns but some. The engine carries it out, but its parser reads it
//! only in dialects that read `->>` otherwise than PostgreSQL. So it is taken out of the tokens, and put into the statement.

use std::ops::ControlFlow;

use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::{
    ExcludeSelectItem, Ident, ObjectName, Select, SelectItem, Statement as SqlStatement, VisitMut,
    VisitorMut, WildcardAdditionalOptions,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::{Span, Token, TokenWithSpan, Tokenizer};

use crate::error::{Class, Error};

/// The one statement of a text.
pub(super) fn parse(sql: &str, recursion_limit: usize) -> EngineResult<Statement> {
    let dialect = PostgreSqlDialect {};
    let tokens = Tokenizer::new(&dialect, sql).tokenize_with_location();
    let tokens = tokens.map_err(|error| sql_error(error.into()))?;
    let (tokens, exclusions) = without_exclusions(tokens);
    let mut statements = DFParserBuilder::new(tokens)
        .with_dialect(&dialect)
        .with_recursion_limit(recursion_limit)
        .build()?
        .parse_statements()?;
    if statements.len() > 1 {
        let what = "The context currently only supports a single SQL statement";
        return Err(DataFusionError::NotImplemented(what.to_owned()));
    }
    let Some(mut statement) = statements.pop_front() else {
        let what = "No SQL statements were provided in the query string";
        return Err(DataFusionError::Plan(what.to_owned()));
    };
    if !exclusions.is_empty() {
        exclude(&mut statement, exclusions)?;
    }
    Ok(statement)
}

fn sql_error(error: ParserError) -> DataFusionError {
    DataFusionError::SQL(Box::new(error), None)
}

/// Columns that a star leaves out.
struct Exclusion {
    star: Span,
    columns: Vec<Ident>,
}

/// The tokens without `EXCLUDE (…)`.
fn without_exclusions(tokens: Vec<TokenWithSpan>) -> (Vec<TokenWithSpan>, Vec<Exclusion>) {
    // Where it is no star, the word is of something else.
    let solid: Vec<usize> = (0..tokens.len())
        .filter(|at| !matches!(tokens[*at].token, Token::Whitespace(_)))
        .collect();
    let mut exclusions = Vec::new();
    let mut dropped = vec![false; tokens.len()];
    let mut at = 0;
    while at + 1 < solid.len() {
        if let Some((exclusion, length)) = exclusion(&tokens, &solid[at..]) {
            let (first, last) = (solid[at + 1], solid[at + length - 1]);
            dropped[first..=last].fill(true);
            exclusions.push(exclusion);
            at += length;
        } else {
            at += 1;
        }
    }
    let kept = tokens.into_iter().zip(dropped);
    let kept = kept.filter(|(_, is_dropped)| !is_dropped);
    (kept.map(|(token, _)| token).collect(), exclusions)
}

/// The exclusion that begins with a star at the first of some tokens, and how many of them it has.
fn exclusion(tokens: &[TokenWithSpan], solid: &[usize]) -> Option<(Exclusion, usize)> {
    let token = |at: usize| solid.get(at).map(|at| &tokens[*at]);
    let star = token(0).filter(|it| it.token == Token::Mul)?.span;
    let Token::Word(word) = &token(1)?.token else {
        return None;
    };
    let is_except = word.value.eq_ignore_ascii_case("EXCEPT");
    if !is_except && !word.value.eq_ignore_ascii_case("EXCLUDE") {
        return None;
    }
    let ident = |at: usize| match &token(at)?.token {
        Token::Word(word) => Some(match word.quote_style {
            Some(quote) => Ident::with_quote(quote, word.value.clone()),
            None => Ident::new(word.value.to_lowercase()),
        }),
        _ => None,
    };
    if token(2)?.token != Token::LParen {
        // `EXCEPT SELECT` joins two queries.
        let column = ident(2).filter(|_| !is_except)?;
        let columns = vec![column];
        return Some((Exclusion { star, columns }, 3));
    }
    if is_except && ["select", "with", "values"].contains(&&*ident(3)?.value) {
        return None;
    }
    let mut columns = Vec::new();
    let mut at = 3;
    loop {
        columns.push(ident(at)?);
        match token(at + 1)?.token {
            Token::Comma => at += 2,
            Token::RParen => return Some((Exclusion { star, columns }, at + 2)),
            _ => return None,
        }
    }
}

/// Puts exclusions at their stars.
fn exclude(statement: &mut Statement, exclusions: Vec<Exclusion>) -> EngineResult<()> {
    let mut stars = Stars(exclusions);
    match statement {
        Statement::Statement(statement) => visit(statement, &mut stars),
        Statement::Explain(explained) => return exclude(&mut explained.statement, stars.0),
        _ => {}
    }
    match stars.0.first() {
        None => Ok(()),
        Some(left) => {
            let columns: Vec<String> = left.columns.iter().map(ToString::to_string).collect();
            let what = format!(
                "EXCLUDE ({}) stands behind no star of SELECT: expected SELECT * EXCLUDE (…)",
                columns.join(", ")
            );
            Err(Error::new(Class::Sql, what).into())
        }
    }
}

fn visit(statement: &mut SqlStatement, stars: &mut Stars) {
    // Nothing breaks it off.
    let _: ControlFlow<()> = statement.visit(stars);
}

/// The exclusions whose stars were not found yet.
struct Stars(Vec<Exclusion>);

impl Stars {
    fn put(&mut self, options: &mut WildcardAdditionalOptions) {
        let span = options.wildcard_token.0.span;
        let found = self.0.iter().position(|exclusion| exclusion.star == span);
        if let Some(found) = found {
            let columns = self.0.swap_remove(found).columns.into_iter();
            let columns = columns.map(|column| ObjectName::from(vec![column]));
            options.opt_exclude = Some(ExcludeSelectItem::Multiple(columns.collect()));
        }
    }
}

impl VisitorMut for Stars {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in &mut select.projection {
            if let SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options) = item
            {
                self.put(options);
            }
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use crate::error::Result;
    use crate::query::Engine;

    async fn columns(sql: &str) -> Result<String> {
        let engine = Engine::new(1 << 26, &std::env::temp_dir()).unwrap();
        let session = engine.session(chrono_tz::UTC)?.expect_logs()?;
        let statement = session.statement(sql, "SQL").await?;
        let schema = statement.schema();
        let names: Vec<&str> = schema
            .fields()
            .iter()
            .map(|it| it.name().as_str())
            .collect();
        Ok(names.join(" "))
    }

    #[tokio::test]
    async fn a_star_can_leave_columns_out() {
        for (sql, expected) in [
            (
                "SELECT * EXCLUDE (message) FROM logs",
                "timestamp log_group log_stream",
            ),
            (
                "SELECT * EXCLUDE message FROM logs",
                "timestamp log_group log_stream",
            ),
            (
                "SELECT * exclude (Message, \"log_group\") FROM logs",
                "timestamp log_stream",
            ),
            (
                "SELECT * EXCEPT (message) FROM logs",
                "timestamp log_group log_stream",
            ),
            (
                "SELECT a.* EXCLUDE (timestamp, message), 1 AS n FROM logs AS a",
                "log_group log_stream n",
            ),
            (
                "SELECT * FROM (SELECT * /* all but */ EXCLUDE(message) FROM logs) AS a JOIN (SELECT * EXCLUDE (timestamp) FROM logs) AS b USING (log_stream, log_group)",
                "timestamp log_group log_stream message",
            ),
            (
                "SELECT * FROM logs EXCEPT SELECT * FROM logs",
                "timestamp message log_group log_stream",
            ),
            ("SELECT * FROM (SELECT 2 * 3 AS exclude) AS t", "exclude"),
            (
                "SELECT message->>'level' AS l, * EXCLUDE (message) FROM logs WHERE message->>'level' = 'ERROR'",
                "l timestamp log_group log_stream",
            ),
        ] {
            assert_eq!(columns(sql).await.unwrap(), expected, "{sql}");
        }
    }

    #[tokio::test]
    async fn what_a_star_leaves_out_is_there() {
        for (sql, expected) in [
            ("SELECT * EXCLUDE (mesage) FROM logs", "mesage"),
            (
                "SELECT * EXCLUDE (message, message) FROM logs",
                "more than once",
            ),
            ("SELECT 2 * EXCLUDE (message) FROM logs", "SELECT * EXCLUDE"),
        ] {
            let error = columns(sql).await.unwrap_err().to_string();
            assert!(error.contains(expected), "{sql}: {error}");
        }
    }
}
