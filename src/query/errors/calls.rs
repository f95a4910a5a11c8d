//! Errors about functions: unknown ones, and arguments that they can't take.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::place::Sql;
use super::types::in_postgres_words;
use super::{Names, Said, habits, nearest, one_of, parts, plain};
use crate::numbers::counted;

pub(super) fn said(message: &str, sql: &Sql<'_>, names: &Names) -> Option<Said> {
    if let Some([rest]) = parts("Invalid function '{}", message) {
        let name = rest.split('\'').next().unwrap_or(rest);
        return Some(no_function(name, sql, names));
    }
    let said = if let Some([name, errors]) = parts(
        "Function '{}' failed to match any signature, errors: {}",
        message,
    ) {
        no_signature(name, errors, sql)
    } else if let Some([name, inner]) = parts(
        "Function '{}' user-defined coercion failed with: {}",
        message,
    ) {
        let (inner, types) = without_candidates(inner);
        match own_words(inner) {
            Some(inner) => Said::new(with_name(name, &plain(inner))),
            None => not_with(name, types, sql),
        }
    } else if let Some([name, _]) = parts(
        "Failed to coerce arguments to satisfy a call to '{}' function: coercion from {}",
        message,
    ) {
        not_with(name, without_candidates(message).1, sql)
    } else if let Some([name]) = parts(
        "'{}' does not support zero arguments",
        without_candidates(message).0.trim_end_matches('.'),
    ) {
        no_arguments(name)
    } else if let Some([name, received]) = parts(
        "The function '{}' expected zero argument but received {}",
        without_candidates(message).0.trim_end_matches('.'),
    ) {
        Said::new(format!(
            "function {name} takes no arguments, but has {received}"
        ))
        .hint(format!("write {name}()"))
    } else if let Some([of]) = parts(
        "Min/Max accumulator not implemented for type {}",
        message.trim_end_matches('.'),
    ) {
        let name = match sql.call("max") {
            Some(_) => "max",
            None => "min",
        };
        let place = sql.call(name).and_then(|at| sql.place(at));
        Said::new(format!(
            "function {name} can't take {}",
            in_postgres_words(of)
        ))
        .at(place)
        .hint_if(numeric_hint(name, sql))
    } else if let Some([name, of]) = parts(
        "{} does not support type {}",
        without_candidates(message).0.trim_end_matches('.'),
    ) {
        let of = in_postgres_words(of);
        let bracket = (0..sql.tokens.len()).find(|at| sql.is(*at, &Token::LBracket));
        match name {
            "array_element" => Said::new(format!("type {of} has no elements")).at(bracket.and_then(|at| sql.place(at))).hint("a letter of a text is substr(message, 1, 1), a part of it split_part(message, ' ', 1)"),
            _ => Said::new(format!("function {name} can't take {of}")).at(sql.call(name).and_then(|at| sql.place(at))),
        }
    } else if message.starts_with("Substring without for/from") {
        let call = sql.call("substr").or_else(|| sql.call("substring"));
        Said::new("substr takes 2 or 3 arguments, but has 1")
            .at(call.and_then(|at| sql.place(at)))
            .hint("write substr(message, 1, 20)")
    } else if let Some([position, _]) =
        parts("Argument #{} must be an INTEGER or NULL, got {}", message)
    {
        Said::new(format!(
            "argument {position} of a series must be a whole number"
        ))
        .hint("write generate_series(1, 10)")
    } else if let Some([name, rest]) = parts("Function '{}' {}", message) {
        let (found, types) = without_candidates(rest);
        match expected_arguments(name, found) {
            Some(said) => match of_name(name) {
                Some(hint) => said.hint(hint),
                None => said.hint_if(candidates(rest)),
            },
            None if rest.contains("does not support zero arguments") => no_arguments(name),
            None if message.contains(" requires ") => no_signature(name, message, sql),
            None => not_with(name, types, sql),
        }
    } else if let Some([name, position, expected, got]) = parts(
        "Unexpected argument type to '{}' at position {}, expected {}, got {}",
        message,
    ) {
        let got = in_postgres_words(got.trim_end_matches('.'));
        let operator = match name {
            "json_as_text" => "->>",
            "json_get" => "->",
            name => name,
        };
        let expected = expected
            .trim_start_matches("a ")
            .replace("string", "text")
            .replace("int", "number");
        let hint = match got.as_str() {
            "record" => "a member of a report is lambda_report(message)['duration_ms']".to_owned(),
            _ => format!(
                "write {operator} with a text such as message, and the name of a member in single quotes: message->>'level'"
            ),
        };
        let place = sql.only(|at| sql.written(at) == operator);
        Said::new(format!(
            "{operator} can't take {got} as argument {position}: expected {expected}"
        ))
        .at(place)
        .hint(hint)
    } else if let Some([name]) = parts("[return_type] {} not supported for Null", message) {
        let name = name.to_lowercase();
        let place = sql.call(&name).and_then(|at| sql.place(at));
        Said::new(format!("{name}(*) does not exist: only count takes *"))
            .at(place)
            .hint(format!("write {name}(x) of a column"))
    } else if let Some([_, rest]) = parts("Calling {}: {}", message) {
        let clause = rest.split(" not supported").next().unwrap_or(rest);
        Said::new(format!(
            "{clause} is not supported among the arguments of a function"
        ))
    } else {
        return None;
    };
    let call = name_in(message).and_then(|name| {
        let written = ALIASES
            .iter()
            .filter(|(of, _)| *of == name)
            .map(|(_, alias)| *alias);
        let mut written = [name].into_iter().chain(written);
        written.find_map(|name| sql.call(name))
    });
    let place = call.and_then(|call| sql.place(call));
    let said = match said.place {
        None => said.at(place),
        Some(_) => said,
    };
    // The engine's own name of a function may be another than the one that is written.
    let (named, written) = (name_in(message), call.and_then(|call| sql.word(call)));
    Some(match (named, written) {
        (Some(name), Some(written)) if !written.eq_ignore_ascii_case(name) => Said {
            text: said.text.replace(name, &written.to_lowercase()),
            hint: said.hint.map(|hint| {
                hint.replace(&format!("{name}("), &format!("{}(", written.to_lowercase()))
            }),
            ..said
        },
        _ => said,
    })
}

fn no_arguments(name: &str) -> Said {
    Said::new(format!("function {name} has no arguments: expected some")).hint_if(of_name(name))
}

/// What functions are written as that the engine names otherwise.
const ALIASES: [(&str, &str); 8] = [
    ("strpos", "instr"),
    ("strpos", "position"),
    ("substr", "substring"),
    ("character_length", "length"),
    ("character_length", "char_length"),
    ("make_array", "make_list"),
    ("nvl", "ifnull"),
    ("btrim", "trim"),
];

/// The first name in single quotes.
fn name_in(message: &str) -> Option<&str> {
    message.split('\'').nth(1)
}

fn no_function(name: &str, sql: &Sql<'_>, names: &Names) -> Said {
    let call = sql.call(name);
    let said = Said::new(format!("function {name} does not exist"))
        .at(call.and_then(|call| sql.place(call)));
    if let Some(hint) = special(name, call, sql).or_else(|| habits::for_function(name)) {
        return said.hint(hint);
    }
    let of_engine = |name: &&str| {
        ![
            "arrow_",
            "union_",
            "list_",
            "json_from",
            "json_union",
            "scalar_to",
            "cast_to",
            "try_cast_to",
            "with_metadata",
            "file_row",
            "input_file",
        ]
        .iter()
        .any(|start| name.starts_with(start))
    };
    let all = names.functions.iter().map(String::as_str).filter(of_engine);
    match nearest(name, all) {
        Some(near) => said.hint(format!("did you mean {near}?")),
        None => said.hint("docs/sql.md and the README list the functions for logs; those for texts, numbers and times are PostgreSQL's"),
    }
}

/// Hints that depend on the arguments.
fn special(name: &str, call: Option<usize>, sql: &Sql<'_>) -> Option<String> {
    match name {
        "extract" => {
            let arguments = sql.arguments(call?);
            let is_pattern = arguments
                .iter()
                .any(|it| matches!(it.token, Token::SingleQuotedString(_)));
            Some(match is_pattern {
                true => {
                    "write regexp_match(message, 'id=(\\d+)')[1] for a part of a text".to_owned()
                }
                false => "write extract(hour FROM timestamp)".to_owned(),
            })
        }
        _ => None,
    }
}

/// What the engine says in front of the forms that it knows, and the types of the arguments.
fn without_candidates(text: &str) -> (&str, Option<&str>) {
    let Some((before, behind)) =
        text.split_once(" No function matches the given name and argument types '")
    else {
        return (text, None);
    };
    let call = behind
        .split_once("'. You might")
        .map_or(behind, |(call, _)| call);
    (before, Some(call))
}

/// The forms that the engine knows, as a hint.
fn candidates(text: &str) -> Option<String> {
    let (_, forms) = text.split_once("Candidate functions:")?;
    let forms: Vec<String> = forms
        .lines()
        .map(str::trim)
        .filter(|form| !form.is_empty())
        .map(in_postgres_words)
        .collect();
    let has_kind = |form: &String| {
        [
            "UserDefined",
            "Any",
            "Comparable",
            "Numeric(",
            "Coercible",
            ": ",
        ]
        .iter()
        .any(|kind| form.contains(kind))
    };
    let are_words = !forms.iter().any(has_kind);
    (are_words && !forms.is_empty() && forms.len() < 4).then(|| format!("write {}", one_of(&forms)))
}

/// A sentence of a function of this crate, which says what it expected.
fn own_words(inner: &str) -> Option<&str> {
    let inner = super::without_stages(inner).trim_end_matches('.');
    (inner.contains("expected") || inner.contains("expects")).then_some(inner)
}

fn with_name(name: &str, sentence: &str) -> String {
    match sentence.starts_with(name) {
        true => sentence.to_owned(),
        false => format!("{name}: {sentence}"),
    }
}

/// `function sum(text) does not exist`.
fn not_with(name: &str, call: Option<&str>, sql: &Sql<'_>) -> Said {
    let call = call.map_or_else(|| format!("{name}(…)"), in_postgres_words);
    let said = Said::new(format!(
        "function {call} does not exist with arguments of these types"
    ));
    if let Some(types) = call.strip_prefix(&format!("{name}(")) {
        let types = types.trim_end_matches(')');
        if types.is_empty() {
            return no_arguments(name);
        }
        let of_times = types.contains("timestamp");
        return match name {
            "coalesce" | "greatest" | "least" | "nullif" | "nvl" => {
                said.hint("give all arguments one type, with a cast such as x::text")
            }
            "make_array" => Said::new(format!("the values of an array have the types {types}"))
                .hint("give all values one type, with a cast such as x::text"),
            _ if of_times && types.contains("text") => {
                said.hint("cast the text to a time: '2026-11-21 09:00'::timestamptz")
            }
            "string_agg" => said.hint("write string_agg(x, ',')"),
            "ntile" => said.hint("write ntile(4) OVER (ORDER BY timestamp)"),
            _ => of_numbers(name, types, sql, said),
        };
    }
    said
}

fn of_numbers(name: &str, types: &str, sql: &Sql<'_>, said: Said) -> Said {
    const OTHERS: [&str; 8] = [
        "array_", "list_", "regexp_", "string_", "bool_", "map", "json_", "to_",
    ];
    let is_of_numbers = !OTHERS.iter().any(|start| name.starts_with(start));
    if let Some(hint) = of_name(name) {
        return said.hint(hint);
    }
    match is_of_numbers && (types.contains("text") || types.contains("json")) {
        true => said.hint_if(numeric_hint(name, sql)),
        false => said.hint("cast the arguments to the types that it takes"),
    }
}

/// `Function 'f' expects 2 arguments but received 1`.
fn expected_arguments(name: &str, found: &str) -> Option<Said> {
    let found = found.trim_end_matches('.');
    let counts = parts("expects {} arguments but received {}", found);
    let counts = counts.or_else(|| parts("expects at least {} arguments but received {}", found));
    let [expected, received] = counts?;
    let received: u64 = received.trim_end_matches('.').parse().ok()?;
    let expected: u64 = expected.parse().ok()?;
    Some(Said::new(format!(
        "function {name} takes {}, but has {received}",
        counted(expected, "argument")
    )))
}

/// None of several forms of a function fits.
fn no_signature(name: &str, errors: &str, sql: &Sql<'_>) -> Said {
    let mut received: Option<String> = None;
    let mut expected: Vec<String> = Vec::new();
    for error in errors.split("Function '").skip(1) {
        let Some([_, requires, rest]) = parts("{}' requires {}, but received {}", error) else {
            continue;
        };
        let data_type = rest.split_once("(DataType: ").map_or(rest, |(_, of)| of);
        let data_type = end_of_type(data_type);
        let data_type = in_postgres_words(data_type);
        // One of several arguments; a text is the one that fits nowhere.
        if received.is_none() || data_type == "text" {
            received = Some(data_type);
        }
        let requires = in_postgres_words(requires);
        if !expected.contains(&requires) {
            expected.push(requires);
        }
    }
    let numbers = counts_of(errors);
    let Some(received) = received else {
        return Said::new(match numbers {
            Some((counts, received)) if counts == "1" => {
                format!("function {name} takes 1 argument, but has {received}")
            }
            Some((counts, received)) => {
                format!("function {name} takes {counts} arguments, but has {received}")
            }
            None => format!("function {name} can't take these arguments"),
        })
        .hint_if(of_name(name));
    };
    let displayed = match name {
        "substr" if sql.call("substring").is_some() => "substring",
        name => name,
    };
    let said = Said::new(format!(
        "function {displayed} can't take {received}: expected {}",
        one_of(&expected)
    ));
    if let Some(hint) = of_name(name) {
        let of_member = match name {
            "percentile_cont" => sql.member(),
            _ => None,
        };
        return match of_member.and_then(getter) {
            Some(getter) => said.hint(format!(
                "a member of JSON is a text: write {getter}, or cast it: (…)::double precision"
            )),
            None => said.hint(hint),
        };
    }
    let is_numeric = expected
        .iter()
        .any(|of| of == "double precision" || of == "bigint");
    match (&*received, is_numeric) {
        ("text" | "json", true) => said.hint_if(numeric_hint(name, sql)),
        ("boolean", true) => said.hint("count the rows where a condition holds: count(*) FILTER (WHERE level(message) = 'ERROR')"),
        (time, true) if time.starts_with("timestamp") => said.hint("write extract(epoch FROM timestamp) for the seconds since 1970"),
        _ => said,
    }
    .at(sql.call(name).or_else(|| sql.call(displayed)).and_then(|call| sql.place(call)))
}

/// What to write for functions whose arguments are often in another order or of other kinds.
fn of_name(name: &str) -> Option<&'static str> {
    Some(match name {
        "substr" => {
            "write regexp_match(message, 'id=(\\d+)')[1] for a part by a regular expression, substr(message, 1, 20) by numbers"
        }
        "date_trunc" => "write date_trunc('hour', timestamp): the unit first",
        "date_part" => "write date_part('hour', timestamp), or extract(hour FROM timestamp)",
        "date_bin" => "write time_bucket('5 minutes', timestamp)",
        "generate_series" => {
            "write generate_series(a, b, interval '1 hour') of times, generate_series(1, 10) of numbers"
        }
        "percentile_cont" => {
            "write percentile_cont(x, 0.95), or percentile_cont(0.95) WITHIN GROUP (ORDER BY x)"
        }
        "decode" => {
            "write decode(x, 'base64'), or CASE WHEN x = 'a' THEN 'b' END to choose among values"
        }
        "md5" => "write md5(x) of one text",
        "nullif" => "write nullif(x, 0)",
        "bool_and" | "bool_or" => "write a condition, as in bool_or(level(message) = 'ERROR')",
        "regexp_replace" => "write regexp_replace(message, '\\d+', '#', 'g')",
        "split_part" => "write split_part(message, ' ', 2)",
        "string_to_array" => "write string_to_array(message, ' ')",
        "array_to_string" => "write array_to_string(list, ',')",
        "to_date" => "write to_date(x, '%Y-%m-%d')",
        "to_char" => "write to_char(timestamp, 'YYYY-MM-DD HH24:MI')",
        _ => return None,
    })
}

/// The numbers of arguments that the forms of a function take, and how many there are.
fn counts_of(errors: &str) -> Option<(String, String)> {
    let mut counts: Vec<String> = Vec::new();
    let mut received = None;
    for error in errors.split("expects ").skip(1) {
        let (count, rest) = error.split_once(" arguments but received ")?;
        if !counts.iter().any(|it| it == count) {
            counts.push(count.to_owned());
        }
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        received = Some(digits);
    }
    counts.sort();
    Some((one_of(&counts), received?))
}

/// A type, up to the bracket that closes what it stands in.
fn end_of_type(text: &str) -> &str {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' if depth == 0 => return &text[..at],
            ')' => depth -= 1,
            _ => {}
        }
    }
    text
}

/// What to write where a function of numbers has a text: for a member of JSON the getter of it.
pub(super) fn numeric_hint(name: &str, sql: &Sql<'_>) -> Option<String> {
    let call = sql.call(name)?;
    let arguments = sql.arguments(call);
    let name = sql.word(call).unwrap_or(name).to_lowercase();
    let mut depth = 0;
    let end = arguments.iter().position(|it| {
        match it.token {
            Token::LParen | Token::LBracket => depth += 1,
            Token::RParen | Token::RBracket => depth -= 1,
            _ => {}
        }
        depth == 0 && it.token == Token::Comma
    });
    let (first, rest) = arguments.split_at(end.unwrap_or(arguments.len()));
    let rest: String = rest
        .iter()
        .map(|it| it.token.to_string().replace(',', ", "))
        .collect();
    match getter(first) {
        Some(getter) => Some(format!(
            "a member of JSON is a text: write {name}({getter}{rest}), or cast it with ::double precision"
        )),
        None => {
            let value: String = match first {
                [only] => only.token.to_string(),
                _ => "x".to_owned(),
            };
            Some(format!(
                "cast it: {name}({value}::double precision{rest}), or TRY_CAST for NULL where it is no number"
            ))
        }
    }
}

/// `json_get_float(message, 'a', 'b')` for `message->'a'->>'b'`.
pub(super) fn getter(tokens: &[TokenWithSpan]) -> Option<String> {
    let mut tokens = tokens.iter().map(|it| &it.token).peekable();
    let mut column = match tokens.next()? {
        Token::Word(word) => word.to_string(),
        _ => return None,
    };
    if tokens.next_if(|it| **it == Token::Period).is_some() {
        column = format!("{column}.{}", tokens.next()?);
    }
    let mut path = String::new();
    while let Some(arrow) = tokens.next() {
        if !matches!(arrow, Token::Arrow | Token::LongArrow) {
            return None;
        }
        match tokens.next()? {
            step @ (Token::SingleQuotedString(_) | Token::Number(..)) => {
                path += &format!(", {step}");
            }
            _ => return None,
        }
    }
    (!path.is_empty()).then(|| format!("json_get_float({column}{path})"))
}

impl Said {
    pub(super) fn hint_if(self, hint: Option<impl Into<String>>) -> Self {
        match hint {
            Some(hint) => self.hint(hint),
            None => self,
        }
    }
}
