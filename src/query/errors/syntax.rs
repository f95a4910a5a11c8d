//! Errors of the parser, and what it takes for another thing than was meant.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::place::{Place, Sql};
use super::signs::{BEGINNING, of_token, other_language};
use super::{Said, nearest, parts, plain};

/// An error of the parser.
pub(super) fn said(message: &str, sql: &Sql<'_>) -> Said {
    let (message, place) = with_place(message);
    if let Some(said) = unended(message, place) {
        return said;
    }
    if let Some(said) = other_language(sql) {
        return said;
    }
    if message.contains("MATCH_CONDITION") {
        let at = sql.find("ASOF").and_then(|at| sql.place(at));
        return Said::new("ASOF JOIN is not supported")
            .at(at)
            .hint("join by time_bucket('1 minute', timestamp)");
    }
    let is_cte = sql.is_word(0, "WITH") && sql.is(2, &Token::LParen) && sql.is_word(3, "SELECT");
    if is_cte {
        let name = sql.written(1);
        return Said::new("WITH has no AS")
            .at(sql.place(2))
            .hint(format!("write WITH {name} AS (SELECT …)"));
    }
    let found = place.and_then(|place| sql.index_at(place));
    let end = found.unwrap_or(sql.tokens.len());
    let said = comma(end, sql)
        .or_else(|| found.and_then(|at| of_token(at, sql)))
        .or_else(|| typing_error(end, sql))
        .or_else(|| found.and_then(|at| order_of_clauses(at, sql)))
        .or_else(|| brackets(end, sql))
        .or_else(|| case_without_end(sql))
        .or_else(|| missing_operand(end, sql));
    if let Some(said) = said {
        return said;
    }
    let expected = expected(message);
    match found {
        Some(at) => {
            let written = sql.written(at);
            Said::new(match expected {
                Some(expected) => format!("syntax error at \"{written}\": expected {expected}"),
                None => format!("syntax error at \"{written}\""),
            })
            .at(place)
        }
        None if message.contains("found: EOF") => Said::new(match expected {
            Some(expected) => format!("the query ends too early: expected {expected}"),
            None => "the query ends too early".to_owned(),
        })
        .at(sql.end()),
        None => Said::new(plain(message)).at(place),
    }
}

/// What the planner says of syntax that it does not take.
pub(super) fn of_plan(message: &str, sql: &Sql<'_>) -> Option<Said> {
    if message.contains("only supports a single SQL statement") {
        let second = (0..sql.tokens.len()).find(|at| sql.is(*at, &Token::SemiColon));
        return Some(
            Said::new("several statements: expected one query")
                .at(second.and_then(|at| sql.place(at + 1)))
                .hint("ask them one after the other, or join their rows with UNION ALL"),
        );
    }
    if message.starts_with("No SQL statements were provided") {
        return Some(Said::new("no query").hint(BEGINNING));
    }
    let at = |word: &str| sql.find(word).and_then(|at| sql.place(at));
    for (start, words, text, hint) in [
        (
            "Unsupported ast node in sqltorel: RLike",
            &["RLIKE", "REGEXP"][..],
            "RLIKE and REGEXP are not supported",
            "write message ~ 'x', and message ~* 'x' without regard to case",
        ),
        (
            "Unsupported ast node in sqltorel: Convert",
            &["CONVERT", "TRY_CONVERT"],
            "CONVERT is not supported",
            "write CAST(x AS bigint), or TRY_CAST for NULL where it fails",
        ),
        (
            "Unsupported ast node Pivot",
            &["PIVOT"],
            "PIVOT is not supported",
            "write a column for each value: count(*) FILTER (WHERE level(message) = 'ERROR') AS errors",
        ),
        (
            "Unsupported ast node Unpivot",
            &["UNPIVOT"],
            "UNPIVOT is not supported",
            "write a SELECT for each column, joined by UNION ALL",
        ),
        (
            "Unsupported ast node MatchRecognize",
            &["MATCH_RECOGNIZE"],
            "MATCH_RECOGNIZE is not supported",
            "compare with the row before by lag(x) OVER (ORDER BY timestamp)",
        ),
        (
            "ANY in LIKE expression",
            &["ANY", "SOME", "ALL"],
            "LIKE ANY is not supported",
            "write message LIKE '%a%' OR message LIKE '%b%', or message ~ 'a|b'",
        ),
        (
            "TOP",
            &["TOP"],
            "TOP is not supported",
            "write LIMIT 5 at the end of the query",
        ),
        (
            "Unsupported SQL unary operator PGAbs",
            &[],
            "@ does not begin a name or a parameter",
            "columns have plain names: timestamp, message, log_group, log_stream; parameters are $window_start, $window_end and $timezone",
        ),
        (
            "Unsupported binary operator: PGOverlap",
            &[],
            "operator does not exist: &&",
            "conditions are joined by AND",
        ),
        (
            "Unsupported SQL unary operator BitwiseNot",
            &[],
            "operator does not exist: ~ before a value",
            "write message ~ 'x' to match a regular expression",
        ),
        (
            "Unsupported SQL unary operator BangNot",
            &["!"],
            "operator does not exist: !",
            "write NOT",
        ),
    ] {
        if message.starts_with(start) {
            let place = words.iter().find_map(|word| at(word));
            let sign = ["@", "&&", "~", "!"]
                .into_iter()
                .find(|sign| place.is_none() && text.contains(sign));
            let of_sign = sign.and_then(|sign| {
                sql.place((0..sql.tokens.len()).find(|at| sql.written(*at) == *sign)?)
            });
            return Some(Said::new(text).at(place.or(of_sign)).hint(hint));
        }
    }
    if let Some([statement]) = parts("Unsupported SQL statement: {}", message) {
        let word = statement.split(' ').next().unwrap_or(statement);
        return Some(
            Said::new(format!("{word} is not allowed: a query can only read"))
                .at(sql.place(0))
                .hint(BEGINNING),
        );
    }
    if let Some([clause]) = parts(
        "{} is not supported: the engine would leave it out without a word",
        message,
    ) {
        return Some(
            Said::new(format!("{clause} is not supported")).at(at(clause.split(' ').next()?)),
        );
    }
    None
}

/// The message without the place at its end, and the place.
fn with_place(message: &str) -> (&str, Option<Place>) {
    let Some((before, behind)) = message.rsplit_once(" at Line: ") else {
        return (message, None);
    };
    let Some((line, column)) = behind.split_once(", Column: ") else {
        return (message, None);
    };
    let digits = column.trim_end_matches(|c: char| !c.is_ascii_digit());
    match (line.parse(), digits.parse()) {
        (Ok(line), Ok(column)) => (before, Some(Place { line, column })),
        _ => (message, None),
    }
}

/// What has no end: a text, a name, a comment.
fn unended(message: &str, place: Option<Place>) -> Option<Said> {
    let (what, hint) = if message.contains("Unterminated string literal") {
        (
            "a text in single quotes has no end",
            "a single quote within a text is written twice: 'it''s'",
        )
    } else if message.contains("Expected close delimiter") {
        (
            "a name in double quotes has no end",
            "texts are in single quotes; double quotes are for names",
        )
    } else if message.contains("multi-line comment") {
        (
            "a comment has no end",
            "a comment is /* … */, or -- to the end of the line",
        )
    } else if message.contains("Unterminated") {
        ("a text has no end", "texts are in single quotes")
    } else {
        return None;
    };
    Some(Said::new(what).at(place).hint(hint))
}

/// A comma before what is no part of a list.
fn comma(end: usize, sql: &Sql<'_>) -> Option<Said> {
    let before = end.checked_sub(1)?;
    let opens = ["SELECT", "BY", "DISTINCT"]
        .iter()
        .any(|word| sql.is_word(before, word));
    if sql.is(end, &Token::Comma) && (opens || sql.is(before, &Token::LParen)) {
        return Some(
            Said::new(format!(
                "there is a comma too many behind {}",
                sql.written(before)
            ))
            .at(sql.place(end))
            .hint("take the comma out, or write what is missing before it"),
        );
    }
    let is_end = sql.tokens.get(end).is_none_or(|it| match &it.token {
        Token::Word(word) => [
            "FROM", "WHERE", "GROUP", "ORDER", "HAVING", "LIMIT", "UNION", "AS", "ON",
        ]
        .contains(&&*word.value.to_uppercase()),
        Token::RParen | Token::RBracket | Token::SemiColon | Token::Comma => true,
        _ => false,
    });
    // The parser may have taken the word behind the comma for a column.
    let behind = match sql.is(before, &Token::Comma) {
        true => is_end.then_some(before),
        false => (before > 0 && sql.is(before - 1, &Token::Comma) && sql.is_word(before, "FROM"))
            .then(|| before - 1),
    }?;
    let next = match sql.tokens.get(behind + 1) {
        Some(_) => format!("before {}", sql.written(behind + 1)),
        None => "at the end".to_owned(),
    };
    Some(
        Said::new(format!("there is a comma too many {next}"))
            .at(sql.place(behind))
            .hint("take the comma out, or write what is missing behind it"),
    )
}

/// The words that stand between the parts of a query.
const CLAUSES: [&str; 12] = [
    "select", "from", "where", "group", "having", "order", "limit", "offset", "join", "union",
    "distinct", "between",
];

/// A clause with a letter too many or too few, which the parser takes for a name.
fn typing_error(end: usize, sql: &Sql<'_>) -> Option<Said> {
    let words = (0..=end.min(sql.tokens.len().checked_sub(1)?))
        .rev()
        .take(5);
    for at in words {
        let Some(Token::Word(word)) = sql.tokens.get(at).map(|it| &it.token) else {
            continue;
        };
        let written = word.value.to_lowercase();
        let is_free =
            word.quote_style.is_none() && written.len() > 3 && !CLAUSES.contains(&&*written);
        let is_name = sql.is(at + 1, &Token::LParen)
            || sql.is(at + 1, &Token::Period)
            || ["logs", "hours", "level"].contains(&&*written);
        if !is_free || is_name {
            continue;
        }
        if let Some(near) = nearest(&written, CLAUSES) {
            return Some(
                Said::new(format!("syntax error at \"{}\"", word.value))
                    .at(sql.place(at))
                    .hint(format!("did you mean {}?", near.to_uppercase())),
            );
        }
    }
    None
}

/// Clauses in another order than SQL's.
fn order_of_clauses(at: usize, sql: &Sql<'_>) -> Option<Said> {
    let word = sql.word(at)?.to_uppercase();
    let has = |word: &str| sql.find(word).is_some_and(|found| found < at);
    let said = |text: String| Some(Said::new(text).at(sql.place(at)));
    if ["GROUP", "ORDER"].contains(&&*word) && !sql.is_word(at + 1, "BY") {
        return said(format!("{word} is written with BY"))
            .map(|said| said.hint(format!("write {word} BY {}", sql.written(at + 1))));
    }
    let order = [
        "SELECT", "FROM", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT",
    ];
    // A SELECT may begin a sub-select whose bracket is missing.
    let rank = order
        .iter()
        .position(|it| *it == word && word != "SELECT")?;
    let before = order[rank + 1..].iter().find(|later| has(later));
    let name = |word: &str| match word {
        "GROUP" | "ORDER" => format!("{word} BY"),
        other => other.to_owned(),
    };
    if word == "FROM" && at == 0 {
        return said("the query begins with FROM".to_owned())
            .map(|said| said.hint("write SELECT * FROM logs"));
    }
    match before {
        Some(before) => {
            said(format!("{} stands behind {}", name(&word), name(before))).map(|said| {
                said.hint(
                    "the order is SELECT … FROM … WHERE … GROUP BY … HAVING … ORDER BY … LIMIT",
                )
            })
        }
        None if has(&word) && word == "WHERE" => said("WHERE is written twice".to_owned())
            .map(|said| said.hint("join the conditions by AND")),
        None => None,
    }
}

/// Brackets that are not closed, or that close nothing.
fn brackets(end: usize, sql: &Sql<'_>) -> Option<Said> {
    let mut open: Vec<usize> = Vec::new();
    for (at, token) in sql.tokens.iter().enumerate() {
        match token.token {
            Token::LParen | Token::LBracket => open.push(at),
            Token::RParen | Token::RBracket if open.pop().is_none() => {
                let bracket = sql.written(at);
                return Some(
                    Said::new(format!("the bracket {bracket} closes none"))
                        .at(sql.place(at))
                        .hint("take it out, or open it before"),
                );
            }
            _ => {}
        }
    }
    let at = open.into_iter().rev().find(|at| *at < end)?;
    let closing = match sql.is(at, &Token::LParen) {
        true => ")",
        false => "]",
    };
    // At the last token, the parser has come to the end and gone back.
    let before = match end + 1 < sql.tokens.len() {
        true => format!(" before {}", sql.written(end)),
        false => " at the end".to_owned(),
    };
    Some(
        Said::new(format!("the bracket {} is not closed", sql.written(at)))
            .at(sql.place(at))
            .hint(format!("write {closing}{before}")),
    )
}

fn case_without_end(sql: &Sql<'_>) -> Option<Said> {
    let count = |word: &str| {
        (0..sql.tokens.len())
            .filter(|at| sql.is_word(*at, word))
            .count()
    };
    (count("CASE") > count("END")).then(|| {
        let at = sql.find_last("CASE").and_then(|at| sql.place(at));
        Said::new("CASE has no END")
            .at(at)
            .hint("write CASE WHEN … THEN … ELSE … END")
    })
}

/// An operator in front of a word that can't be its operand.
fn missing_operand(end: usize, sql: &Sql<'_>) -> Option<Said> {
    let ends = [
        "AND", "OR", "THEN", "FROM", "WHERE", "GROUP", "ORDER", "LIMIT", "END", "ELSE",
    ];
    let begins = ["WHERE", "AND", "OR", "ON", "HAVING", "WHEN"];
    let operator = (0..end.min(sql.tokens.len().checked_sub(1)?))
        .rev()
        .take(4)
        .find(|at| {
            let joins = ["AND", "OR"].iter().any(|word| sql.is_word(*at + 1, word));
            if joins && begins.iter().any(|word| sql.is_word(*at, word)) {
                return true;
            }
            let is_operator = matches!(
                sql.tokens[*at].token,
                Token::Eq
                    | Token::Neq
                    | Token::Lt
                    | Token::LtEq
                    | Token::Gt
                    | Token::GtEq
                    | Token::Plus
                    | Token::Minus
                    | Token::Div
                    | Token::StringConcat
            );
            is_operator && ends.iter().any(|word| sql.is_word(*at + 1, word))
        })?;
    let written = sql.written(operator);
    let next = sql.written(operator + 1);
    Some(
        Said::new(format!("there is no value between {written} and {next}"))
            .at(sql.place(operator)),
    )
}

/// What the parser expected, in words.
fn expected(message: &str) -> Option<String> {
    let behind = message
        .split_once("Expected: ")
        .or_else(|| message.split_once("Expected "))?
        .1;
    let expected = behind.split(", found: ").next()?.trim();
    Some(match expected {
        "end of statement" => return None,
        "an SQL statement" => "SELECT".to_owned(),
        "SELECT, VALUES, or a subquery in the query body" => "SELECT".to_owned(),
        "identifier" => "a name".to_owned(),
        "joined table" => "a table or a sub-select in brackets".to_owned(),
        "[NOT] NULL | TRUE | FALSE | DISTINCT | [form] NORMALIZED FROM after IS" => {
            "NULL, TRUE, FALSE or DISTINCT FROM".to_owned()
        }
        other => other.trim_end_matches(" after IS").to_owned(),
    })
}
