//! Errors about the shape of a query: what may stand where, and what fits to what.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::place::{Place, Sql};
use super::types::in_postgres_words;
use super::{Said, calls, one_of, parts};

pub(super) fn said(message: &str, sql: &Sql<'_>) -> Option<Said> {
    grouping(message, sql)
        .or_else(|| operators(message, sql))
        .or_else(|| branches(message, sql))
        .or_else(|| limits(message, sql))
}

fn grouping(message: &str, sql: &Sql<'_>) -> Option<Said> {
    if let Some([_, rest]) = parts(
        "Column in {} must be in GROUP BY or an aggregate function: {}",
        message,
    ) {
        let (_, rest) = rest.split_once("column \"")?;
        let (column, _) = rest.split_once("\" must appear")?;
        let name = column.rsplit_once('.').map_or(column, |(_, name)| name);
        let said = Said::new(format!(
            "column \"{name}\" must appear in the GROUP BY clause or be used in an aggregate function"
        ));
        let star = (0..sql.tokens.len()).find(|at| {
            sql.is(*at, &Token::Mul)
                && at.checked_sub(1).is_some_and(|before| {
                    sql.is_word(before, "SELECT")
                        || sql.is(before, &Token::Comma)
                        || sql.is_word(before, "DISTINCT")
                })
        });
        if sql.find(name).is_none()
            && let Some(star) = star
        {
            return Some(said.at(sql.place(star)).hint(
                "name the columns instead of *, each in GROUP BY or in an aggregate function",
            ));
        }
        let place = sql.find(name).and_then(|at| sql.place(at));
        return Some(match sql.find("GROUP") {
            Some(_) => said.hint(format!(
                "add {name} to GROUP BY, or write an aggregate such as min({name})"
            )),
            None => said.hint(format!(
                "add GROUP BY {name}, or write an aggregate such as min({name})"
            )),
        })
        .map(|said| said.at(place));
    }
    if message.starts_with("Aggregate functions are not allowed in the WHERE clause") {
        let start = sql.find("WHERE");
        let place = start.and_then(|start| aggregate_behind(start, sql));
        return Some(
            Said::new("aggregate functions are not allowed in WHERE")
                .at(place)
                .hint("a condition on groups stands in HAVING, behind GROUP BY: … GROUP BY log_group HAVING count(*) > 3"),
        );
    }
    if let Some([rest]) = parts("Aggregate function calls cannot be nested: '{}", message) {
        let inner = rest.split('\'').next().unwrap_or(rest);
        let outer = rest
            .split_once("nested inside '")
            .and_then(|(_, outer)| outer.split('(').next());
        let place = outer
            .and_then(|outer| sql.call(outer))
            .and_then(|at| sql.place(at));
        return Some(
            Said::new("aggregate function calls cannot be nested")
                .at(place)
                .hint(format!(
                    "compute {} in a sub-select, and the other over its rows",
                    in_postgres_words(inner).replace("count(1)", "count(*)")
                )),
        );
    }
    if let Some([position, last]) = parts(
        "Cannot find column with position {} in SELECT clause. Valid columns: 1 to {}",
        message,
    ) {
        return Some(position_of("GROUP", position, last, sql));
    }
    if let Some([position, last]) = parts(
        "Order by column out of bounds, specified: {}, max: {}",
        message,
    ) {
        return Some(position_of("ORDER", position, last, sql));
    }
    if message.contains("multiple arguments") && message.to_uppercase().contains("DISTINCT") {
        let columns = sql.call("count").map(|call| sql.arguments(call));
        let columns: String = columns
            .unwrap_or_default()
            .iter()
            .skip(1)
            .map(|it| it.token.to_string().replace(',', ", "))
            .collect();
        let place = sql.call("count").and_then(|at| sql.place(at));
        return Some(
            Said::new("count(DISTINCT …) takes one value")
                .at(place)
                .hint(format!(
                    "put the columns into brackets: count(DISTINCT ({columns}))"
                )),
        );
    }
    None
}

fn position_of(clause: &str, position: &str, last: &str, sql: &Sql<'_>) -> Said {
    let start = sql.find_last(clause).unwrap_or(0);
    let number = (start..sql.tokens.len()).find(|at| sql.written(*at) == position);
    let columns = match last {
        "1" => "one column".to_owned(),
        last => format!("{last} columns"),
    };
    Said::new(format!(
        "{clause} BY position {position} is not in the select list, which has {columns}"
    ))
    .at(number.and_then(|at| sql.place(at)))
}

fn aggregate_behind(start: usize, sql: &Sql<'_>) -> Option<Place> {
    let names = [
        "count",
        "sum",
        "avg",
        "min",
        "max",
        "array_agg",
        "string_agg",
        "median",
        "percentile_cont",
        "stddev",
    ];
    let calls = |at: &usize| {
        sql.is(*at + 1, &Token::LParen) && names.iter().any(|name| sql.is_word(*at, name))
    };
    sql.place((start..sql.tokens.len()).find(calls)?)
}

fn operators(message: &str, sql: &Sql<'_>) -> Option<Said> {
    let operation = parts(
        "Cannot infer common argument type for comparison operation {}",
        message,
    )
    .or_else(|| {
        parts(
            "Cannot infer common argument type for logical boolean operation {}",
            message,
        )
    })
    .or_else(|| {
        parts(
            "Cannot infer common argument type for regex operation {}",
            message,
        )
    })
    .or_else(|| {
        parts(
            "Cannot coerce arithmetic expression {} to valid types",
            message,
        )
    })
    .or_else(|| {
        parts(
            "Cannot infer common string type for string concat operation {}",
            message,
        )
    })
    .or_else(|| {
        let [operation, _] = parts(
            "Cannot get result type for temporal operation {}: {}",
            message,
        )?;
        Some([operation])
    })
    .or_else(|| {
        let [operation, _] = parts(
            "Cannot get result type for arithmetic operation {}: {}",
            message,
        )?;
        Some([operation])
    })
    .or_else(|| {
        parts(
            "Cannot infer common argument type for bitwise operation {}",
            message,
        )
    });
    if let Some([left, right]) = parts(
        "There isn't a common type to coerce {} and {} in LIKE expression",
        message,
    ) {
        let operation = format!(
            "{} LIKE {}",
            in_postgres_words(left),
            in_postgres_words(right)
        );
        let place = sql
            .find("LIKE")
            .or_else(|| sql.find("ILIKE"))
            .and_then(|at| sql.place(at));
        let hint = operator_hint(&operation, sql)
            .unwrap_or_else(|| "cast the value to text: x::text LIKE '5%'".to_owned());
        return Some(
            Said::new(format!("operator does not exist: {operation}"))
                .at(place)
                .hint(hint),
        );
    }
    if let Some([left, right]) = parts("expr type {} can't cast to {} in InSubquery", message) {
        let place = sql.find("IN").and_then(|at| sql.place(at));
        let what = format!(
            "IN can't compare {} with {}",
            in_postgres_words(left),
            in_postgres_words(right)
        );
        return Some(Said::new(what).at(place).hint("write one value before IN and one column in the sub-select; for several columns a join, or EXISTS"));
    }
    if let Some([of]) = parts("Join condition must be boolean type, but got {}", message) {
        let place = sql.find("ON").and_then(|at| sql.place(at));
        return Some(
            Said::new(format!(
                "argument of ON must be type boolean, not type {}",
                in_postgres_words(of)
            ))
            .at(place)
            .hint("write a condition, such as a.log_stream = b.log_stream"),
        );
    }
    if let Some([window]) = parts("The window {} is not defined!", message) {
        let place = sql.find_last(window).and_then(|at| sql.place(at));
        return Some(
            Said::new(format!("window \"{window}\" does not exist"))
                .at(place)
                .hint("write OVER (PARTITION BY log_stream ORDER BY timestamp)"),
        );
    }
    if message.starts_with("SELECT DISTINCT ON expressions must match initial ORDER BY") {
        let place = sql.find("ORDER").and_then(|at| sql.place(at));
        return Some(
            Said::new("ORDER BY must begin with the columns of DISTINCT ON")
                .at(place)
                .hint("write SELECT DISTINCT ON (log_group) … ORDER BY log_group, timestamp"),
        );
    }
    if let Some([operation]) = operation {
        let operation = in_postgres_words(operation);
        let said = Said::new(format!("operator does not exist: {operation}"));
        let hint = operator_hint(&operation, sql);
        let operator = operation
            .split_whitespace()
            .find(|word| !word.chars().any(char::is_alphanumeric))
            .unwrap_or_default();
        let place = sql
            .only(|at| sql.written(at) == operator)
            .filter(|_| !operator.is_empty());
        // `a = 'x' || b = 'y'` compares with what is joined.
        let joins = sql.only(|at| sql.is(at, &Token::StringConcat));
        let place = place.or(joins.filter(|_| operation.contains("boolean")));
        return Some(said.at(place).hint_if(hint));
    }
    if message.starts_with("Unary operator '-' only supports") {
        return Some(
            Said::new("operator does not exist: - before a value of this type")
                .at(sql.only(|at| sql.is(at, &Token::Minus)))
                .hint("cast it to a number: -x::double precision"),
        );
    }
    if let Some([of]) = parts(
        "Unary operator 'NOT' requires a boolean expression, got {}",
        message,
    ) {
        return Some(
            Said::new(format!(
                "argument of NOT must be type boolean, not type {}",
                in_postgres_words(of)
            ))
            .at(sql.find("NOT").and_then(|at| sql.place(at)))
            .hint("write a condition, such as NOT level(message) = 'ERROR'"),
        );
    }
    if let Some([_, of]) = parts(
        "Cannot create filter with non-boolean predicate '{}' returning {}",
        message,
    ) {
        let place = sql.find("WHERE").and_then(|at| sql.place(at + 1));
        return Some(
            Said::new(format!(
                "argument of WHERE must be type boolean, not type {}",
                in_postgres_words(of)
            ))
            .at(place)
            .hint("write a condition, such as message LIKE '%timeout%' or length(message) > 0"),
        );
    }
    if let Some([type_of, list]) = parts(
        "Can not find compatible types to compare {} with [{}]",
        message,
    ) {
        let (type_of, list) = (in_postgres_words(type_of), in_postgres_words(list));
        let said = Said::new(format!(
            "the values of IN have the types {list}, which can't be compared with {type_of}"
        ));
        let place = sql.find("IN").and_then(|at| sql.place(at));
        let hint = match list.contains("[]") {
            true => "write the values without ARRAY: IN ('a', 'b'), or = ANY (ARRAY['a', 'b'])",
            false => "give all values one type, such as '2026-11-21 09:00' for a time",
        };
        return Some(said.at(place).hint(hint));
    }
    if let Some([of, bound]) = parts(
        "Failed to coerce types {} and {} in BETWEEN expression.",
        message,
    ) {
        let (of, bound) = (in_postgres_words(of), in_postgres_words(bound));
        let place = sql.find("BETWEEN").and_then(|at| sql.place(at));
        let operation = format!("{of} >= {bound}");
        let hint = operator_hint(&operation, sql);
        return Some(
            Said::new(format!("BETWEEN can't compare {of} with {bound}"))
                .at(place)
                .hint_if(hint),
        );
    }
    None
}

fn operator_hint(operation: &str, sql: &Sql<'_>) -> Option<String> {
    let operator = |op: &str| operation.contains(&format!(" {op} "));
    let (left, right) = operation.split_once(' ').map(|_| {
        let words: Vec<&str> = operation.split(' ').collect();
        let at = words
            .iter()
            .position(|word| {
                !word.chars().any(char::is_alphanumeric) || ["AND", "OR", "LIKE"].contains(word)
            })
            .unwrap_or(0);
        (
            words[..at].join(" "),
            words.get(at + 1..).unwrap_or_default().join(" "),
        )
    })?;
    let has = |of: &str| left.starts_with(of) || right.starts_with(of);
    let is_number = |of: &str| {
        [
            "bigint",
            "integer",
            "smallint",
            "double precision",
            "real",
            "numeric",
        ]
        .iter()
        .any(|it| of.starts_with(it))
    };
    if has("interval") {
        return Some(match has("text") {
            true => "write date '2026-11-21' + interval '1 day' for a date and a length of time"
                .to_owned(),
            false => "write the length itself, such as interval '2 hours'".to_owned(),
        });
    }
    let compares = ["=", "<>", "!=", "<", "<=", ">", ">="]
        .iter()
        .any(|op| operator(op));
    if operator("AND") || operator("OR") {
        return Some("each side is a condition, such as level(message) = 'ERROR'".to_owned());
    }
    if operator("+") && left == "text" && right == "text" {
        return Some("texts are joined by ||".to_owned());
    }
    if has("timestamp") || has("date") {
        if left.starts_with("timestamp") && right.starts_with("timestamp") {
            return Some("the time between two times is b - a".to_owned());
        }
        if compares && (is_number(&left) || is_number(&right)) {
            return Some("compare with a time: '2026-11-21 09:00', to_timestamp(seconds) or to_timestamp_millis(milliseconds)".to_owned());
        }
        if (operator("+") || operator("-")) && has("text") {
            return Some(
                "write interval '1 hour' for a length of time, date '2026-11-21' for a date"
                    .to_owned(),
            );
        }
        if operator("LIKE") {
            return Some("write timestamp::date = '2026-11-21', or to_char(timestamp, 'YYYY-MM-DD HH24:MI') LIKE '2026-11-21 09:%'".to_owned());
        }
        if is_number(&left) || is_number(&right) {
            return Some(
                "add an interval, such as interval '7 days' or interval '1 hour'".to_owned(),
            );
        }
        return Some("compare with a time, such as '2026-11-21 09:00'".to_owned());
    }
    if has("boolean") && has("text") {
        return Some(
            "|| joins texts, and conditions are joined by OR; a text is compared with a text"
                .to_owned(),
        );
    }
    if has("text") || has("json") {
        if operator("-")
            && sql.tokens.iter().any(|it| it.token == Token::Minus)
            && left == "text"
            && right == "text"
        {
            return Some("a member of JSON is message->>'level', with ->>".to_owned());
        }
        if let Some(getter) = sql.member().and_then(calls::getter) {
            return Some(format!(
                "a member of JSON is a text: write {getter}, or cast it: (…)::double precision"
            ));
        }
        return Some("cast the text: x::double precision, or TRY_CAST(x AS double precision) for NULL where it is no number".to_owned());
    }
    if operation.contains("[]") {
        return Some(
            "an element of a list is list[1]; unnest(list) gives each in a row of its own"
                .to_owned(),
        );
    }
    None
}

fn branches(message: &str, sql: &Sql<'_>) -> Option<Said> {
    let union = || {
        sql.find("UNION")
            .or_else(|| sql.find("INTERSECT"))
            .or_else(|| sql.find("EXCEPT"))
    };
    if message.contains("queries have different number of columns") {
        let place = union().and_then(|at| sql.place(at));
        let said = Said::new("each UNION query must have the same number of columns").at(place);
        return Some(said.hint("write NULL AS name for a column that one of them lacks"));
    }
    if let Some([first, second, _]) = parts(
        "Incompatible inputs for Union: Previous inputs were of type {}, but got incompatible type {} on column {}",
        message,
    ) {
        let place = union().and_then(|at| sql.place(at));
        return Some(
            Said::new(format!(
                "UNION types {} and {} cannot be matched",
                in_postgres_words(first),
                in_postgres_words(second)
            ))
            .at(place)
            .hint("the columns are matched by their order; cast one of them, such as x::text"),
        );
    }
    if let Some([then, other]) = parts(
        "Failed to coerce then ({}) and else ({}) to common types in CASE WHEN expression",
        message,
    ) {
        let place = sql.find("CASE").and_then(|at| sql.place(at));
        let types = [in_postgres_words(then), in_postgres_words(other)].map(|types| {
            let mut each: Vec<String> = types.split(", ").map(str::to_owned).collect();
            each.dedup();
            each.join(", ")
        });
        return Some(
            Said::new(format!(
                "CASE types {} and {} cannot be matched",
                types[0], types[1]
            ))
            .at(place)
            .hint("give all branches one type, with a cast such as x::text"),
        );
    }
    if message.starts_with("Too many columns! The subquery should only return one column") {
        let inner = (0..sql.tokens.len())
            .find(|at| sql.is(*at, &Token::LParen) && sql.is_word(at + 1, "SELECT"));
        return Some(
            Said::new("subquery must return only one column")
                .at(inner.and_then(|at| sql.place(at)))
                .hint("select one column in it"),
        );
    }
    if let Some([row, column, was, found]) = parts(
        "Inconsistent data type across values list at row {} column {}. Was {} but found {}",
        message,
    ) {
        let _ = row;
        let column: u64 = column.parse().ok()?;
        return Some(
            Said::new(format!(
                "VALUES types {} and {} cannot be matched in column {}",
                in_postgres_words(was),
                in_postgres_words(found),
                column + 1
            ))
            .hint("cast the first value, such as timestamptz '2026-11-21'"),
        );
    }
    if message.starts_with("Inconsistent data length across values list") {
        return Some(
            Said::new("VALUES lists must all be the same length")
                .at(sql.find("VALUES").and_then(|at| sql.place(at))),
        );
    }
    if message.contains("does not support logical expression Wildcard") {
        let star = (1..sql.tokens.len()).find(|at| {
            sql.is(*at, &Token::Mul)
                && (sql.is(*at - 1, &Token::LParen) || sql.is_word(*at - 1, "DISTINCT"))
                && !(sql.is(*at - 1, &Token::LParen) && *at > 1 && sql.is_word(*at - 2, "count"))
        });
        return Some(
            Said::new("only count takes *")
                .at(star.and_then(|at| sql.place(at)))
                .hint("write the column, as in max(timestamp)"),
        );
    }
    if message.starts_with("Scalar subquery returned more than one row") {
        let inner = sql.only(|at| sql.is(at, &Token::LParen) && sql.is_word(at + 1, "SELECT"));
        return Some(
            Said::new("more than one row returned by a subquery used as an expression")
                .at(inner)
                .hint("take one of them with LIMIT 1, or an aggregate such as max(x), or write IN (SELECT …)"),
        );
    }
    None
}

fn limits(message: &str, sql: &Sql<'_>) -> Option<Said> {
    let clause = ["LIMIT", "OFFSET"]
        .into_iter()
        .find(|clause| message.contains(clause))?;
    let said =
        |text: String| Some(Said::new(text).at(sql.find_last(clause).and_then(|at| sql.place(at))));
    if message.contains("must be >=") {
        return said(format!("{clause} must not be negative"));
    }
    if let Some([_, of]) = parts("Expected {} to be an integer or null, but got {}", message) {
        return said(format!(
            "argument of {clause} must be a whole number, not {}",
            in_postgres_words(of)
        ));
    }
    if message.contains("Unsupported")
        || message.contains("not support")
        || message.contains("subquer")
    {
        let expected = one_of(&["a number".to_owned(), "a computation of numbers".to_owned()]);
        return said(format!("argument of {clause} must be {expected}"));
    }
    None
}
