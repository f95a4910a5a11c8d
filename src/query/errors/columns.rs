//! Errors about names: columns, tables, members of structs.

use datafusion::common::Diagnostic;
use datafusion::sql::sqlparser::tokenizer::Token;

use super::habits::{self, NO_FILES};
use super::place::{Place, SpanStart, Sql};
use super::types::in_postgres_words;
use super::{Names, Said, nearest, one_of, parts};
use crate::query::functions::Report;

pub(super) fn said(
    message: &str,
    sql: &Sql<'_>,
    names: &Names,
    found: Option<&Diagnostic>,
) -> Option<Said> {
    if let Some([rest]) = parts("No field named {}", message) {
        return Some(no_column(
            rest,
            sql,
            names,
            found.and_then(SpanStart::span_start),
        ));
    }
    if let Some([name]) = parts("Ambiguous reference to unqualified field {}", message) {
        return Some(ambiguous(name, found));
    }
    if let Some([name]) = parts("table function '{}' not found", message) {
        let said = Said::new(format!("the function \"{name}\" of tables does not exist"));
        let hint = match name {
            "values" => "write FROM (VALUES (1), (2)) AS t(n)".to_owned(),
            name => habits::for_function(name)
                .unwrap_or_else(|| format!("the tables are {}", one_of(&names.tables))),
        };
        return Some(said.hint(hint));
    }
    if let Some([name]) = parts("table '{}' not found", message) {
        return Some(no_table(name, sql, names));
    }
    if let Some([name]) = parts("Schema contains duplicate qualified field name {}", message) {
        let table = name.rsplit_once('.').map_or(name, |(table, _)| table);
        let said = Said::new(format!("the table name \"{table}\" is used more than once"));
        let place = sql.find_last(table).and_then(|at| sql.place(at));
        return Some(
            said.at(place)
                .hint("give each a name of its own: FROM logs AS a JOIN logs AS b ON …"),
        );
    }
    if message.starts_with("EXCLUDE or EXCEPT contains duplicate column names") {
        return Some(
            Said::new("EXCLUDE names a column more than once")
                .at(sql.find("EXCLUDE").and_then(|at| sql.place(at))),
        );
    }
    if let Some([name]) = parts(
        "Schema contains duplicate unqualified field name {}",
        message,
    ) {
        return Some(
            Said::new(format!("the column name \"{name}\" is used more than once"))
                .hint("give each a name of its own with AS"),
        );
    }
    if let Some([_, name, _]) = parts(
        "Projections require unique expression names but the expression \"{}\" at position {} have the same name{}",
        message,
    )
    .map(|[name, at, rest]: [&str; 3]| [at, name, rest])
    {
        let alias = name.rsplit_once(" AS ").map(|(_, alias)| alias);
        let name = alias.filter(|alias| !alias.contains(')')).unwrap_or(name);
        let name = in_postgres_words(name);
        return Some(
            Said::new(format!("two columns have the name \"{name}\""))
                .hint("give each a name of its own with AS"),
        );
    }
    if let Some([member]) = parts("Field {} not found in struct", message) {
        return Some(no_member(member, sql));
    }
    if message.starts_with("Cannot access field at argument")
        || message.starts_with("Dot access not supported")
    {
        let said = match message.contains("type Utf8") {
            true => Said::new("a text has no members"),
            false => Said::new("this value has no members"),
        };
        let is_member = |at: &usize| {
            sql.is(*at, &Token::LBracket)
                || sql.is(*at, &Token::Period) && sql.word(*at + 1).is_some()
        };
        let bracket = (0..sql.tokens.len()).find(is_member);
        return Some(said.at(bracket.and_then(|at| sql.place(at))).hint(
            "write message->>'level' for a member of JSON, (lambda_report(message)).duration_ms for one of a report",
        ));
    }
    None
}

/// `rest` is the name, and what the engine says behind it.
fn no_column(rest: &str, sql: &Sql<'_>, names: &Names, found: Option<Place>) -> Said {
    let name = rest.lines().next().unwrap_or(rest);
    let name = name.split(". Did you mean").next().unwrap_or(name);
    let name = name.trim_end_matches('.');
    let bare = unquoted(name.rsplit_once('.').map_or(name, |(_, column)| column));
    let fields = rest.split_once("Valid fields are ");
    let fields: Vec<String> = fields
        .map(|(_, fields)| {
            fields
                .trim_end_matches('.')
                .split(", ")
                .map(unquoted)
                .collect()
        })
        .unwrap_or_default();
    let last = sql.find_last(&bare).and_then(|at| sql.place(at));
    let place = found.or(last);
    let at = place.and_then(|place| sql.index_at(place));
    let said = |text: String| Said::new(text).at(place);
    let missing = format!("column \"{}\" does not exist", unquoted(name));
    if let Some(at) = at
        && let Some(hinted) = of_habit(at, &bare, sql, &fields)
    {
        return said(hinted.0.unwrap_or(missing)).hint(hinted.1);
    }
    let is_function = names.functions.contains(&bare);
    if is_function && at.is_some_and(|at| !sql.is(at + 1, &Token::LParen)) {
        return said(missing).hint(format!("{bare} is a function: write {bare}(…)"));
    }
    if fields.is_empty() && sql.find("FROM").is_none() {
        return said(missing).hint("the query has no FROM: write FROM logs");
    }
    let columns = of_one_table(&fields);
    let near = nearest(&bare, columns.iter().map(|column| bare_name(column)));
    let near = near.and_then(|near| columns.iter().find(|column| bare_name(column) == near));
    match (near, columns.is_empty()) {
        (Some(near), _) => said(missing).hint(format!("did you mean {near}?")),
        (None, false) => said(missing).hint(format!("the columns are {}", columns.join(", "))),
        (None, true) => said(missing),
    }
}

/// What is said of a name that is no column at a token, with what to write instead.
fn of_habit(
    at: usize,
    name: &str,
    sql: &Sql<'_>,
    fields: &[String],
) -> Option<(Option<String>, String)> {
    let token = &sql.tokens[at].token;
    let Token::Word(word) = token else {
        return None;
    };
    let before = at.checked_sub(1).map(|at| &sql.tokens[at].token);
    let is_near = nearest(name, fields.iter().map(|field| bare_name(field))).is_some();
    if word.quote_style.is_some() {
        if let Some(column) = fields
            .iter()
            .find(|it| bare_name(it).eq_ignore_ascii_case(name))
        {
            return Some((
                None,
                format!(
                    "names in double quotes keep their case: write {}",
                    bare_name(column)
                ),
            ));
        }
        let text = word.value.replace('\'', "''");
        let hint = format!("a text is in single quotes: '{text}'; double quotes are for names");
        return (!is_near).then_some((None, hint));
    }
    if word
        .value
        .contains(['‘', '’', '“', '”', '„', '«', '»', '＇', '´'])
    {
        let bare = word.value.trim_matches(|c: char| !c.is_alphanumeric());
        return Some((
            Some(format!("\"{}\" has typographic quotes", word.value)),
            format!("a text is in plain single quotes: '{bare}'"),
        ));
    }
    let is_of_function = at > 1 && sql.is_word(at - 2, name);
    if let Some(Token::Arrow | Token::LongArrow | Token::HashArrow | Token::HashLongArrow) = before
        && !is_of_function
    {
        let arrow = sql.written(at - 1);
        return Some((
            None,
            format!("the name of a member is a text in single quotes: {arrow}'{name}'"),
        ));
    }
    let inside = (0..at)
        .rev()
        .take(4)
        .find(|call| sql.is(call + 1, &Token::LParen));
    if let Some(function) = inside
        .and_then(|call| sql.word(call))
        .map(str::to_lowercase)
    {
        if function.starts_with("json_") {
            return Some((
                None,
                format!("the name of a member is a text in single quotes: '{name}'"),
            ));
        }
        if [
            "date_part",
            "date_trunc",
            "datepart",
            "datetrunc",
            "time_bucket",
            "date_bin",
        ]
        .contains(&&*function)
            && is_unit(name)
        {
            return Some((
                None,
                format!("the unit is a text in single quotes: {function}('{name}', …)"),
            ));
        }
    }
    if name == "lambda_report" {
        return Some((
            None,
            "lambda_report is a function: lambda_report(message)['duration_ms']".to_owned(),
        ));
    }
    if is_alias(name, sql)
        && (sql.find("WHERE").is_some_and(|start| start < at)
            || sql.find("HAVING").is_some_and(|start| start < at))
    {
        return Some((
            None,
            format!(
                "\"{name}\" is named by SELECT, which is computed behind WHERE and HAVING: write its expression there, or select from a sub-select"
            ),
        ));
    }
    if sql.is(at + 1, &Token::Arrow) && !fields.is_empty() || is_of_function {
        return Some((None, "functions of an element can't be written; unnest the list in a sub-select: SELECT unnest(list) AS x".to_owned()));
    }
    let function = match name {
        "level" | "severity" | "lvl" | "log_level" => "level(message)",
        "request_id" | "requestid" => "request_id(message)",
        "trace_id" | "traceid" => "trace_id(message)",
        "log_type" | "logtype" | "type" => "log_type(message)",
        "duration" | "duration_ms" | "billed_ms" | "memory_mb" => {
            "lambda_report(message)['duration_ms']"
        }
        "hour" | "hour_local" => "time_bucket('1 hour', timestamp), or hour_of_day(timestamp)",
        "day" | "date" => "timestamp::date",
        "time" | "ts" | "_time" | "eventtime" | "event_time" | "datetime" | "ingestion_time" => {
            "timestamp"
        }
        "msg" | "text" | "line" | "body" | "_raw" | "log" | "raw" => "message",
        "stream" | "logstream" | "host" | "source" => "log_stream",
        "group" | "loggroup" | "service" | "index" => "log_group",
        _ => return None,
    };
    let is_of_logs = fields.iter().any(|field| bare_name(field) == "message");
    is_of_logs.then(|| (None, format!("write {function}")))
}

fn is_unit(name: &str) -> bool {
    const UNITS: [&str; 14] = [
        "year",
        "quarter",
        "month",
        "week",
        "day",
        "hour",
        "minute",
        "second",
        "millisecond",
        "microsecond",
        "dow",
        "isodow",
        "doy",
        "epoch",
    ];
    UNITS.contains(&name.trim_end_matches('s'))
}

/// Whether SELECT names something so.
fn is_alias(name: &str, sql: &Sql<'_>) -> bool {
    (1..sql.tokens.len()).any(|at| sql.is_word(at, name) && sql.is_word(at - 1, "AS"))
}

/// Without the table in front where there is one only, and each once.
fn of_one_table(fields: &[String]) -> Vec<String> {
    let table = |field: &String| field.rsplit_once('.').map(|(table, _)| table.to_owned());
    let mut tables: Vec<_> = fields.iter().filter_map(table).collect();
    tables.dedup();
    let mut columns: Vec<String> = Vec::new();
    for field in fields {
        let column = match tables.len() > 1 {
            true => field.clone(),
            false => bare_name(field).to_owned(),
        };
        if !columns.contains(&column) {
            columns.push(column);
        }
    }
    columns
}

fn bare_name(field: &str) -> &str {
    field.rsplit_once('.').map_or(field, |(_, column)| column)
}

fn unquoted(name: &str) -> String {
    name.replace('"', "")
}

fn ambiguous(name: &str, found: Option<&Diagnostic>) -> Said {
    let notes = found.map(|found| &found.notes[..]).unwrap_or_default();
    let candidates: Vec<String> = notes
        .iter()
        .filter_map(|note| parts("possible column {}", &note.message))
        .map(|[column]| unquoted(column))
        .collect();
    let said = Said::new(format!("column reference \"{name}\" is ambiguous"));
    match candidates.is_empty() {
        true => said.hint(format!("write the table in front: a.{name}")),
        false => said.hint(format!("write {}", one_of(&candidates))),
    }
}

fn no_table(name: &str, sql: &Sql<'_>, names: &Names) -> Said {
    let name = name.trim_start_matches("datafusion.");
    let name = name.trim_start_matches("public.");
    let bare = bare_name(name);
    let at = (0..sql.tokens.len()).find(|at| match &sql.tokens[*at].token {
        Token::SingleQuotedString(text) => text == name,
        _ => sql.is_word(*at, name) || sql.is_word(*at, bare),
    });
    let said =
        Said::new(format!("table \"{name}\" does not exist")).at(at.and_then(|at| sql.place(at)));
    let file = name.to_lowercase();
    let ends = [
        ".csv", ".parquet", ".json", ".ndjson", ".jsonl", ".gz", ".tsv", ".txt", ".log", ".zst",
    ];
    if file.contains('/') || ends.iter().any(|end| file.ends_with(end)) {
        return said.hint(NO_FILES);
    }
    let near = nearest(name, names.tables.iter().map(String::as_str)).or_else(|| {
        names
            .tables
            .iter()
            .map(String::as_str)
            .find(|table| *table == bare)
    });
    match near {
        Some(near) => said.hint(format!("did you mean {near}?")),
        None => said.hint(format!("the tables are {}", one_of(&names.tables))),
    }
}

fn no_member(member: &str, sql: &Sql<'_>) -> Said {
    let written = || sql.find_last(member).and_then(|at| sql.place(at));
    let place = sql.text(member).or_else(written);
    let said = Said::new(format!("member \"{member}\" does not exist")).at(place);
    if sql.call("lambda_report").is_none() {
        return said;
    }
    let members = Report::members();
    match nearest(member, members.iter().copied()) {
        Some(near) => said.hint(format!("did you mean '{near}'?")),
        None => said.hint(format!(
            "the members of a report are {}",
            members.join(", ")
        )),
    }
}
