//! Errors about values: casts, numbers, patterns, zones, memory. Most are found while the query runs.

use std::collections::BTreeSet;

use datafusion::sql::sqlparser::tokenizer::Token;

use super::place::{Place, Sql};
use super::types::in_postgres_words;
use super::{Said, cut, habits, parts, plain};
use crate::window::written_time::NoTime;

pub(super) fn said(message: &str, sql: &Sql<'_>) -> Option<Said> {
    casts(message, sql)
        .or_else(|| numbers(message, sql))
        .or_else(|| patterns(message, sql))
        .or_else(|| grouping_sets(message))
        .or_else(|| full_disk(message))
        .or_else(|| inner_statement(message))
        .or_else(|| others(message, sql))
}

/// A statement in the place of a sub-select.
fn inner_statement(message: &str) -> Option<Said> {
    let [statement] = parts("Query {} not implemented yet", message)?;
    let word = statement.split_whitespace().next()?;
    Some(Said::new(format!(
        "{word} is not allowed: a query can only read"
    )))
}

/// The limit of `query/session.rs`.
fn full_disk(message: &str) -> Option<Said> {
    let (_, behind) = message.split_once("The used disk space during the spilling process")?;
    let limit = behind
        .split_once("limit of ")
        .and_then(|(_, limit)| limit.split_once(". "))?
        .0;
    let said = Said::new(format!(
        "the query spills more than {limit} to disk: expected at most half of what was free there"
    ));
    Some(said.hint(
        "read fewer columns, windows or log groups, or give the folder of temporary files (TMPDIR) more room",
    ))
}

fn grouping_sets(message: &str) -> Option<Said> {
    let [most, found] = parts(
        "The number of grouping_set in grouping_sets exceeds the maximum limit {}, found {}",
        message,
    )?;
    Some(Said::new(format!(
        "the grouping sets multiply to {found}: expected at most {most}"
    )))
}

fn casts(message: &str, sql: &Sql<'_>) -> Option<Said> {
    let unread = parts("Cannot cast string '{}' to value of {} type", message)
        .or_else(|| parts("Cannot cast value '{}' to value of {} type", message))
        .or_else(|| {
            let [text, of, _] = parts("Cannot parse value '{}' as {}: {}", message)?;
            Some([text, of])
        });
    if let Some([text, of]) = unread {
        return Some(not_of_type(text, &in_postgres_words(of), sql));
    }
    if let Some([text]) = parts("Invalid input syntax for type interval: \"{}\"", message) {
        let said = not_of_type(&text.replace("\\\"", "\""), "interval", sql);
        return Some(
            said.hint("write interval '7 days', interval '90 minutes' or interval '1 day 2 hours'"),
        );
    }
    if let Some([text, of, _]) = parts("Cannot parse value '{}' to {}: {}", message) {
        return Some(not_of_type(text, &in_postgres_words(of), sql));
    }
    let too_large = parts("Can't cast value {} to type {}", message)
        .or_else(|| parts("Cannot cast value {} to type {}", message));
    if let Some([value, of]) = too_large {
        let of = in_postgres_words(of);
        let place = cast_to(&of, sql);
        let hint = match &*of {
            "bigint" => {
                "cast to numeric or double precision, or write TRY_CAST for NULL where it does not fit"
            }
            _ => {
                "cast to bigint or double precision, or write TRY_CAST for NULL where it does not fit"
            }
        };
        return Some(
            Said::new(format!("value {value} is out of range for type {of}"))
                .at(place)
                .hint(hint),
        );
    }
    let no_cast = parts("Unsupported CAST from {} to {}", message)
        .or_else(|| parts("Cannot cast {} to {}", message))
        .or_else(|| parts("Casting from {} to {} not supported", message));
    if let Some([from, to]) = no_cast {
        let (from, to) = (in_postgres_words(from), in_postgres_words(to));
        let said = Said::new(format!("cannot cast type {from} to {to}")).at(cast_to(&to, sql));
        return Some(match from.starts_with("timestamp") {
            true => said.hint("write extract(epoch FROM timestamp) for seconds, timestamp::bigint for milliseconds since 1970"),
            false => said,
        });
    }
    if let Some([name]) = parts("Unsupported SQL type {}", message) {
        return Some(no_type(name, sql));
    }
    None
}

/// `invalid input syntax for type integer: "x"`.
fn not_of_type(text: &str, of: &str, sql: &Sql<'_>) -> Said {
    let said = Said::new(format!(
        "invalid input syntax for type {of}: \"{}\"",
        cut(text)
    ));
    match sql.text(text) {
        // It is written in the query.
        Some(place) => said.at(Some(place)),
        None => said
            .at(cast_to(of, sql).or_else(|| compared_number(sql)))
            .hint(format!(
                "TRY_CAST(x AS {of}) gives NULL for texts that are none"
            )),
    }
}

/// A text of the query or of the data that is no time.
pub(super) fn no_time(error: &NoTime, sql: &Sql<'_>) -> Said {
    let said = Said::new(NoTime(cut(&error.0)).to_string());
    if let Some(place) = sql.text(&error.0) {
        return said.at(Some(place));
    }
    let functions = [
        "date_trunc",
        "extract",
        "date_part",
        "hour_of_day",
        "local_time",
        "time_bucket",
        "utc_offset",
        "to_timestamp",
        "to_char",
    ];
    let call = || {
        sql.only(|at| {
            functions.iter().any(|name| sql.is_word(at, name)) && sql.is(at + 1, &Token::LParen)
        })
    };
    said.at(cast_to("timestamp", sql).or_else(call))
        .hint("TRY_CAST(x AS timestamptz) gives NULL for texts that are none")
}

/// The only number that is compared with something.
fn compared_number(sql: &Sql<'_>) -> Option<Place> {
    sql.only(|at| {
        let Some(before) = at.checked_sub(1) else {
            return false;
        };
        let compares = matches!(
            sql.tokens[before].token,
            Token::Eq | Token::Neq | Token::Lt | Token::LtEq | Token::Gt | Token::GtEq
        );
        compares && is_number(at, sql)
    })
}

/// The only cast to a type.
fn cast_to(of: &str, sql: &Sql<'_>) -> Option<Place> {
    let names: &[&str] = match of {
        "smallint" => &["smallint", "int2", "tinyint"],
        "integer" => &["int", "integer", "int4"],
        "bigint" => &["bigint", "int8"],
        "real" => &["real", "float4"],
        "double precision" => &["double", "float", "float8"],
        "boolean" => &["boolean", "bool"],
        "interval" => &["interval"],
        "date" => &["date"],
        "text" => &["text", "varchar"],
        _ if of.starts_with("numeric") => &["numeric", "decimal"],
        _ if of.starts_with("timestamp") => &["timestamp", "timestamptz"],
        _ => &[],
    };
    sql.only(|at| {
        let is_cast = at
            .checked_sub(1)
            .is_some_and(|before| sql.is(before, &Token::DoubleColon) || sql.is_word(before, "AS"));
        is_cast && names.iter().any(|name| sql.is_word(at, name))
    })
}

fn no_type(name: &str, sql: &Sql<'_>) -> Said {
    let name = name.trim_matches('"');
    let bare = name.split('(').next().unwrap_or(name);
    let at = (1..sql.tokens.len()).find(|at| sql.is_word(*at, bare));
    let said = Said::new(format!("type \"{}\" does not exist", name.to_lowercase()))
        .at(at.and_then(|at| sql.place(at)));
    match habits::for_type(name) {
        Some(hint) => said.hint(hint),
        None => said.hint("the types are text, boolean, smallint, integer, bigint, real, double precision, numeric, date, time, timestamp, timestamptz, interval and lists such as text[]"),
    }
}

fn numbers(message: &str, sql: &Sql<'_>) -> Option<Said> {
    if message.contains("Divide by zero")
        || message.contains("divide by zero")
        || message.starts_with("division by zero")
    {
        let divides = |at: usize| {
            (sql.is(at, &Token::Div) || sql.is(at, &Token::Mod)) && !is_number(at + 1, sql)
        };
        let of_zero = (0..sql.tokens.len()).find(|at| {
            (sql.is(*at, &Token::Div) || sql.is(*at, &Token::Mod)) && sql.written(*at + 1) == "0"
        });
        let place = of_zero
            .and_then(|at| sql.place(at))
            .or_else(|| sql.only(divides));
        return Some(
            Said::new("division by zero")
                .at(place)
                .hint("divide by nullif(x, 0): NULL where x is 0"),
        );
    }
    if let Some([what]) = parts("Overflow happened on: {}", message) {
        return Some(
            Said::new(format!("number out of range: {what}"))
                .hint("compute with double precision: x::double precision * y"),
        );
    }
    if message.contains("square root of a negative") {
        let place = sql.call("sqrt").and_then(|at| sql.place(at));
        return Some(Said::new("cannot take square root of a negative number").at(place));
    }
    None
}

fn is_number(at: usize, sql: &Sql<'_>) -> bool {
    matches!(
        sql.tokens.get(at).map(|it| &it.token),
        Some(Token::Number(..))
    )
}

fn patterns(message: &str, sql: &Sql<'_>) -> Option<Said> {
    let of_escape = [
        "LIKE does not support escape_char",
        "Invalid escape character in LIKE",
    ];
    if of_escape.iter().any(|start| message.starts_with(start)) {
        let place = sql.find("ESCAPE").and_then(|at| sql.place(at));
        let said = Said::new("the escape character of LIKE can only be the backslash");
        return Some(said.at(place).hint("write it without ESCAPE: LIKE 'a\\%b'"));
    }
    if message.contains("did not compile: CompiledTooBig") {
        let said = Said::new(
            "a regular expression is too large: its repetitions in each other make more than 10 MiB",
        );
        return Some(said.hint("repeat fewer times, such as (…){1,100}"));
    }
    let (_, behind) = message.split_once("regex parse error:")?;
    let pattern = behind.lines().map(str::trim).find(|line| !line.is_empty());
    let why = behind.split_once("error: ")?.1.lines().next()?;
    let pattern = pattern.unwrap_or_default();
    let said = Said::new(format!(
        "invalid regular expression \"{}\": {why}",
        cut(pattern)
    ));
    let place = sql.text(pattern).or_else(|| {
        sql.only(|at| matches!(&sql.tokens[at].token, Token::SingleQuotedString(text) if text.contains(pattern) && !pattern.is_empty()))
    });
    let hint = match why {
        _ if why.starts_with("look-around") => {
            "take the part in brackets with regexp_match(message, 'a(b)')[1]"
        }
        _ if why.starts_with("backreferences") => {
            "write the text again in place of the back reference"
        }
        _ => {
            "a character with a meaning is written behind a backslash, as in '\\(' or '\\['; LIKE '%(%' needs none"
        }
    };
    Some(said.at(place).hint(hint))
}

fn others(message: &str, sql: &Sql<'_>) -> Option<Said> {
    let zone = parts("Invalid timezone \"{}\": {}", message)
        .map(|[zone, _]| zone)
        .or_else(|| parts("Invalid timezone '{}'", message).map(|[zone]| zone));
    if let Some(zone) = zone {
        return Some(
            Said::new(format!("time zone \"{zone}\" does not exist"))
                .at(sql.text(zone))
                .hint("write a name such as 'Asia/Seoul' or an offset such as '+09:00'"),
        );
    }
    if let Some([unit]) = parts("Date part '{}' not supported", message) {
        return Some(no_unit(unit, sql));
    }
    if let Some([text, template, _]) = parts(
        "Error parsing timestamp from '{}' using format '{}': {}",
        message,
    ) {
        let said = Said::new(format!(
            "\"{}\" is no time of the template '{template}'",
            cut(text)
        ));
        let place = sql.text(template).or_else(|| sql.text(text));
        return Some(
            said.at(place)
                .hint("the template has parts with %, such as '%Y-%m-%d %H:%M:%S'"),
        );
    }
    if let Some([unit, _]) = parts(
        "Unsupported date_trunc granularity: '{}'. Supported values are: {}",
        message,
    ) {
        return Some(no_unit(unit, sql));
    }
    if message.starts_with("Unable to cast to Date32 for converting") {
        let call = sql.call("to_date").and_then(|at| sql.place(at));
        return Some(Said::new("a text of the data is no date").at(call).hint("write to_date(x, '%Y-%m-%d') for a template, TRY_CAST(x AS date) for NULL where it is none"));
    }
    if let Some([value, precision, _]) = parts(
        "{} is too large to store in a Decimal128 of precision {}. Max is {}",
        message,
    ) {
        return Some(
            Said::new(format!(
                "value {value} is out of range for type numeric({precision})"
            ))
            .at(cast_to("numeric", sql)),
        );
    }
    if let Some([name]) = parts(
        "'{}' is not a variable which can be viewed with 'SHOW'",
        message,
    ) {
        let place = sql.find(name).and_then(|at| sql.place(at));
        return Some(
            Said::new(format!("there is no {name} to show"))
                .at(place)
                .hint("SHOW TABLES lists the tables, SHOW COLUMNS FROM logs their columns"),
        );
    }
    if let Some([text, _]) = parts("Error parsing timestamp from '{}': {}", message) {
        return Some(not_of_type(text, "timestamp", sql));
    }
    if message.starts_with("negative count not allowed")
        || message.starts_with("negative substring length not allowed")
    {
        let call = sql.call("substr").or_else(|| sql.call("substring"));
        return Some(
            Said::new("negative substring length not allowed")
                .at(call.and_then(|at| sql.place(at)))
                .hint("write substr(x, 5) for all that is behind the fourth letter"),
        );
    }
    if message.starts_with("field position must not be zero") {
        let call = sql.call("split_part").and_then(|at| sql.place(at));
        return Some(
            Said::new("field position must not be zero")
                .at(call)
                .hint("the first part is split_part(x, ' ', 1), the last split_part(x, ' ', -1)"),
        );
    }
    if let Some([value]) = parts(
        "Percentile value must be between 0.0 and 1.0 inclusive, {} is invalid",
        message,
    ) {
        let call = sql
            .call("percentile_cont")
            .or_else(|| sql.call("approx_percentile_cont"))
            .or_else(|| sql.call("quantile_cont"));
        let said = Said::new(format!("percentile value {value} is not between 0 and 1"))
            .at(call.and_then(|at| sql.place(at)));
        let fraction = value
            .parse::<f64>()
            .ok()
            .filter(|value| (5.0..=100.0).contains(value));
        return Some(said.hint_if(
            fraction.map(|percent| format!("write {} for {value} percent", percent / 100.0)),
        ));
    }
    if message.starts_with("NTILE requires a positive integer") {
        let call = sql.call("ntile").and_then(|at| sql.place(at));
        return Some(Said::new("argument of ntile must be greater than zero").at(call));
    }
    if let Some([index]) = parts(
        "There is only support Literal types for field at idx: {} in Window Function",
        message,
    ) {
        let names = ["lag", "lead", "nth_value", "ntile"];
        let call = names.into_iter().find_map(|name| sql.call(name));
        let name = call
            .and_then(|at| sql.word(at))
            .unwrap_or("the window function")
            .to_lowercase();
        let which = match index {
            "0" => "first",
            "1" => "second",
            _ => "third",
        };
        return Some(
            Said::new(format!(
                "the {which} argument of {name} must be a value that is written in the query"
            ))
            .at(call.and_then(|at| sql.place(at)))
            .hint(format!("write the value, as in {name}(x, 1, 'none')")),
        );
    }
    if let Some([frame]) = parts("Invalid window frame: {}", message) {
        let place = sql.find("BETWEEN").and_then(|at| sql.place(at));
        return Some(
            Said::new(format!("invalid window frame: {}", plain(frame)))
                .at(place)
                .hint("write ROWS BETWEEN 6 PRECEDING AND CURRENT ROW"),
        );
    }
    if message.starts_with("string_agg delimiter must be a string literal")
        || message.starts_with("The second argument of the string_agg")
    {
        let call = sql.call("string_agg").and_then(|at| sql.place(at));
        return Some(
            Said::new("the delimiter of string_agg must be a text that is written in the query")
                .at(call)
                .hint("write string_agg(x, ',')"),
        );
    }
    if message.starts_with("Expected a signed integer literal for the second argument of nth_value")
        || message.starts_with("Expected an integer value")
    {
        let call = ["nth_value", "lag", "lead", "ntile"]
            .into_iter()
            .find_map(|name| sql.call(name));
        let name = call
            .and_then(|at| sql.word(at))
            .unwrap_or("lag")
            .to_lowercase();
        return Some(
            Said::new(format!(
                "the second argument of {name} must be a whole number that is written in the query"
            ))
            .at(call.and_then(|at| sql.place(at)))
            .hint(format!("write {name}(x, 2)")),
        );
    }
    None
}

fn no_unit(unit: &str, sql: &Sql<'_>) -> Said {
    let place = sql
        .text(unit)
        .or_else(|| sql.find(unit).and_then(|at| sql.place(at)));
    Said::new(format!("unit \"{unit}\" is not recognized")).at(place).hint("the units are year, quarter, month, week, day, hour, minute, second, millisecond, dow, isodow, doy and epoch")
}

/// A query that needs more memory than there is. What holds it is named by what it does.
pub(super) fn out_of_memory(why: &str, memory: usize) -> Said {
    let mut work = BTreeSet::new();
    for (part, does) in [
        ("Sort", "a sort"),
        ("TopK", "a sort"),
        ("GroupedHashAggregate", "GROUP BY or DISTINCT"),
        ("AggregateStream", "an aggregate such as count(DISTINCT …)"),
        ("Join", "a join"),
        ("Window", "a window function"),
    ] {
        if why.lines().take(4).any(|line| line.contains(part)) {
            work.insert(does);
        }
    }
    let work: Vec<String> = work.into_iter().map(str::to_owned).collect();
    let what = match work.is_empty() {
        true => String::new(),
        false => format!(", for {}", work.join(" and ")),
    };
    Said::new(format!(
        "the query needs more memory than the {} that it may take{what}",
        size(memory)
    ))
    .hint("raise [run] memory, read fewer columns (message is the largest), fewer windows or log groups, or write approx_distinct(x) for count(DISTINCT x)")
}

/// `512 MiB`.
fn size(bytes: usize) -> String {
    let mib = bytes as f64 / f64::from(1 << 20);
    match mib >= 10_240.0 {
        true => format!("{:.0} GiB", mib / 1024.0),
        false => format!("{mib:.0} MiB"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_the_engine_are_said_in_words() {
        for (message, expected) in [
            (
                "Io error: The used disk space during the spilling process has exceeded the allowable limit of 20.0 MB. \
                 Please try increasing the config: `runtime.max_temp_directory_size`",
                "the query spills more than 20.0 MB to disk: expected at most half of what was free there",
            ),
            (
                "failed to call 'regex_match_dyn_scalar' Regular expression did not compile: CompiledTooBig(10485760)",
                "a regular expression is too large: its repetitions in each other make more than 10 MiB",
            ),
            (
                "The number of grouping_set in grouping_sets exceeds the maximum limit 4096, found 20736",
                "the grouping sets multiply to 20736: expected at most 4096",
            ),
            (
                "Query DELETE FROM logs RETURNING * not implemented yet",
                "DELETE is not allowed: a query can only read",
            ),
        ] {
            let said = said(message, &Sql::new("SELECT 1")).expect(message);
            assert_eq!(said.text, expected);
        }
    }
}
