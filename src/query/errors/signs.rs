//! Signs and words of other engines and other languages, which the parser does not take.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::place::{Place, Sql};
use super::{Said, nearest};

/// What begins a query.
pub(super) const BEGINNING: &str = "SQL begins with SELECT or WITH: SELECT count(*) FROM logs";

/// What is no SQL at all.
pub(super) fn other_language(sql: &Sql<'_>) -> Option<Said> {
    let text = sql.text.trim_start();
    let start = || sql.place(0).or(Some(Place { line: 1, column: 1 }));
    let first = sql.word(0).map(str::to_lowercase).unwrap_or_default();
    if text.starts_with(['\\', '.']) {
        let command = text.split_whitespace().next().unwrap_or(text);
        let describes = text.contains(char::is_whitespace)
            || command.contains("schema")
            || command == ".columns";
        let hint = match describes {
            true => "SHOW COLUMNS FROM logs lists the columns of a table, SHOW TABLES the tables",
            false => "SHOW TABLES lists the tables, SHOW COLUMNS FROM logs the columns of one",
        };
        let program = match command.starts_with('\\') {
            true => "psql",
            false => "another program",
        };
        return Some(
            Said::new(format!("{command} is a command of {program}, and no SQL"))
                .at(start())
                .hint(hint),
        );
    }
    let has_pipe = sql.tokens.iter().any(|it| it.token == Token::Pipe);
    let is_select = ["select", "with", "values", "explain", "from"].contains(&&*first);
    if is_select {
        return None;
    }
    let insights = [
        "fields", "filter", "stats", "parse", "sort", "display", "dedup", "limit", "pattern",
    ];
    let example = "SELECT time_bucket('1 hour', timestamp) AS hour, count(*) FROM logs WHERE message LIKE '%ERROR%' GROUP BY 1 ORDER BY 1";
    if insights.contains(&&*first) && (has_pipe || text.contains('@')) {
        return Some(
            Said::new("this is a query of CloudWatch Logs Insights, and no SQL")
                .at(start())
                .hint(format!("write {example}")),
        );
    }
    if has_pipe
        || text.starts_with('{')
        || ["index", "source", "sourcetype", "search"].contains(&&*first)
    {
        return Some(
            Said::new("this is a query of another language, and no SQL")
                .at(start())
                .hint(format!("write {example}")),
        );
    }
    if sql.is(1, &Token::Period) || sql.is(1, &Token::LParen) || sql.tokens.is_empty() {
        return Some(Said::new("this is no SQL").at(start()).hint(BEGINNING));
    }
    let near = nearest(&first, ["select", "with", "values", "explain", "describe"]);
    match (near, first.is_empty()) {
        (Some(near), _) if near != first => Some(
            Said::new(format!("syntax error at \"{}\"", sql.written(0)))
                .at(start())
                .hint(format!("did you mean {}?", near.to_uppercase())),
        ),
        (Some(_), _) => None,
        (None, false) if sql.find("FROM").is_some() => Some(
            Said::new("the query has no SELECT")
                .at(start())
                .hint("write SELECT in front of the columns: SELECT message FROM logs"),
        ),
        _ => Some(
            Said::new(format!("syntax error at \"{}\"", sql.written(0)))
                .at(start())
                .hint(BEGINNING),
        ),
    }
}

/// Signs and words of other engines.
pub(super) fn of_token(at: usize, sql: &Sql<'_>) -> Option<Said> {
    let before = at.checked_sub(1);
    let written = sql.written(at);
    let word = written.to_uppercase();
    let previous = before
        .map(|at| sql.written(at).to_uppercase())
        .unwrap_or_default();
    let (text, hint): (String, &str) = match &*word {
        "?" => (
            "a query takes no values for ?".to_owned(),
            "write the value itself, or $window_start, $window_end or $timezone",
        ),
        "`" => (
            "names are not in backticks".to_owned(),
            "write the name as it is, or in double quotes: \"message\"",
        ),
        "{" if ["$", "{"].contains(&&*previous) || sql.is(at + 1, &Token::LBrace) => (
            "a template is not filled in".to_owned(),
            "write the value itself, or $window_start, $window_end or $timezone",
        ),
        "{" => (
            "braces are no SQL".to_owned(),
            "write named_struct('a', 1) for a struct, ARRAY[1, 2] for a list",
        ),
        "/" if previous == "/" || sql.is(at + 1, &Token::Div) => (
            "operator does not exist: //".to_owned(),
            "write / to divide, and -- for a comment",
        ),
        "/" => (
            "regular expressions are not between slashes".to_owned(),
            "write message ~ 'ERROR', and message ~* 'error' without regard to case",
        ),
        "*" if previous == "*" => (
            "operator does not exist: **".to_owned(),
            "write power(2, 3)",
        ),
        "#" => (
            "operator does not exist: #".to_owned(),
            "a comment begins with --",
        ),
        "!" | "!!" => ("operator does not exist: !".to_owned(), "write NOT"),
        "|" | "|>" => (
            "a query has no pipes".to_owned(),
            "write one SELECT … FROM … WHERE … GROUP BY … ORDER BY … LIMIT",
        ),
        "=" if ["=", "!=", "<>", "<", ">"].contains(&&*previous) => (
            format!("operator does not exist: {previous} ="),
            "write =, <>, <= or >=",
        ),
        "," if at > 1 && sql.is_word(at - 2, "LIMIT") => {
            let offset = sql.written(at - 1);
            let rows = sql.written(at + 1);
            return Some(
                Said::new("LIMIT takes one number")
                    .at(sql.place(at))
                    .hint(format!("write LIMIT {rows} OFFSET {offset}")),
            );
        }
        "BY" => return None,
        "MATCH_RECOGNIZE" => (
            "MATCH_RECOGNIZE is not supported".to_owned(),
            "compare with the row before by lag(x) OVER (ORDER BY timestamp)",
        ),
        "ROLLUP" | "WITH"
            if word == "ROLLUP" || sql.is_word(at + 1, "ROLLUP") || sql.is_word(at + 1, "CUBE") =>
        {
            (
                "WITH ROLLUP is not supported".to_owned(),
                "write GROUP BY ROLLUP (log_group, log_stream)",
            )
        }
        "TIMEZONE" if previous == "AT" => (
            "AT TIMEZONE is not SQL".to_owned(),
            "write AT TIME ZONE 'UTC'",
        ),
        "SAMPLE" => (
            "SAMPLE is not supported".to_owned(),
            "write WHERE random() < 0.01",
        ),
        "TO" if previous != "SIMILAR" && sql.find("CAST").is_some() => {
            ("CAST has no TO".to_owned(), "write CAST(x AS bigint)")
        }
        "<" if before.is_some_and(|at| {
            ["STRUCT", "MAP", "ARRAY"]
                .iter()
                .any(|of| sql.is_word(at, of))
        }) =>
        {
            (
                format!("type {} with < > does not exist", previous.to_lowercase()),
                "-> and ->> read a text as JSON as it is: message->'order'->>'id'",
            )
        }
        "EXCLUDE" | "EXCEPT" | "REPLACE" | "RENAME" if previous == "*" => return None,
        "(" if ["REPLACE", "RENAME"].contains(&&*previous) => (
            format!("* {previous} is not supported"),
            "name the columns, or leave some out with * EXCLUDE (message)",
        ),
        "(" if previous == "FILTER" => (
            "FILTER takes a condition with WHERE".to_owned(),
            "write count(*) FILTER (WHERE level(message) = 'ERROR')",
        ),
        _ => {
            if previous == "GLOB" || word == "GLOB" {
                (
                    "GLOB is not supported".to_owned(),
                    "write message LIKE '%x%'",
                )
            } else if previous == "CONTAINS" || word == "CONTAINS" {
                (
                    "CONTAINS is no operator".to_owned(),
                    "write message LIKE '%x%', or contains(message, 'x')",
                )
            } else if previous == "FROM" && at > 1 && sql.is_word(at - 2, "AS") {
                (
                    "AS has no name behind it".to_owned(),
                    "write a name, as in SELECT message AS text FROM logs",
                )
            } else if previous == "PARTITION"
                || word == "PARTITION"
                || previous == "BY"
                    && at > 2
                    && sql.is_word(at - 2, "PARTITION")
                    && sql.is_word(at - 3, "OVER")
            {
                (
                    "OVER takes its window in brackets".to_owned(),
                    "write row_number() OVER (PARTITION BY log_stream ORDER BY timestamp)",
                )
            } else if word == "AND" && ["PRECEDING", "FOLLOWING", "ROW"].contains(&&*previous) {
                (
                    "a window frame with two ends is written with BETWEEN".to_owned(),
                    "write ROWS BETWEEN 3 PRECEDING AND CURRENT ROW",
                )
            } else if word == "SELECT" && previous == "AS" {
                (
                    "WITH takes its query in brackets".to_owned(),
                    "write WITH errors AS (SELECT …) SELECT … FROM errors",
                )
            } else if previous == "IS" {
                (
                    format!("IS can't compare with {written}"),
                    "write = for a value, IS NULL or IS NOT NULL",
                )
            } else if previous == "IN" && word != "(" {
                (
                    "IN takes a list in brackets".to_owned(),
                    "write IN ('a', 'b')",
                )
            } else if word == ")" && previous == "(" && at >= 2 && sql.is_word(at - 2, "IN") {
                (
                    "IN has an empty list".to_owned(),
                    "write at least one value, such as IN (NULL), which no row has",
                )
            } else if previous == "ON" && at >= 2 && sql.is_word(at - 2, "DISTINCT") {
                (
                    "DISTINCT ON takes its columns in brackets".to_owned(),
                    "write SELECT DISTINCT ON (log_group) log_group, message … ORDER BY log_group, timestamp",
                )
            } else if is_glued(at, sql) {
                (
                    "a length of time is no number with a letter".to_owned(),
                    "write interval '1 hour', and time_bucket('5 minutes', timestamp)",
                )
            } else {
                return None;
            }
        }
    };
    Some(Said::new(text).at(sql.place(at)).hint(hint))
}

/// Whether a word stands right behind a number, as in `5m`.
fn is_glued(at: usize, sql: &Sql<'_>) -> bool {
    let Some(before) = at.checked_sub(1) else {
        return false;
    };
    matches!(sql.tokens[before].token, Token::Number(..))
        && sql.word(at).is_some()
        && sql.tokens[before].span.end == sql.tokens[at].span.start
}
