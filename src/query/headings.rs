//! The names of an answer's columns as the query writes them: `count(*)`, `p95(ms)`. The engine's own names have its types and
//! the tables of columns, as in `time_bucket(Utf8("1 hour"),logs.timestamp)`.

use arrow::datatypes::Schema;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    Expr, Query, Select, SelectItem, SetExpr, Statement as SqlStatement,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use super::star;

/// As deep as the engine parses.
const RECURSION_LIMIT: usize = 500;

/// The headings of a query's answer, whose columns the engine names by `columns`.
pub(super) fn of(sql: &str, columns: &Schema) -> Vec<String> {
    let fields = columns.fields().iter();
    let mut names: Vec<String> = fields.map(|field| field.name().clone()).collect();
    if let Some(items) = items(sql) {
        put(&items, &mut names);
    }
    names
}

/// An item of a select list.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    /// A column, or something with an alias: the engine's name is the asker's.
    Named,
    /// An expression, as it is written.
    Expression(String),
    /// Any number of columns.
    Star,
}

/// Puts expressions at the places of their columns. Behind the last star they are counted from the end; between two stars their
/// places are unknown.
fn put(items: &[Item], names: &mut [String]) {
    let is_star = |item: &Item| *item == Item::Star;
    let first = items.iter().position(is_star);
    if first.is_none() && items.len() != names.len() {
        return;
    }
    let from_start = items.iter().take(first.unwrap_or(items.len()));
    let last = items.iter().rposition(is_star);
    let from_end = last.map_or(&[] as &[Item], |last| &items[last + 1..]);
    let expression = |item: &Item| match item {
        Item::Expression(text) => Some(text.clone()),
        Item::Named | Item::Star => None,
    };
    let behind = names.len().saturating_sub(from_end.len());
    for (item, name) in from_start.zip(names.iter_mut()) {
        *name = expression(item).unwrap_or_else(|| std::mem::take(name));
    }
    for (item, name) in from_end.iter().zip(names.iter_mut().skip(behind)) {
        *name = expression(item).unwrap_or_else(|| std::mem::take(name));
    }
}

/// The select list of a query; `None` if it has none, or one whose text is not found.
fn items(sql: &str) -> Option<Vec<Item>> {
    let sql = sql.strip_prefix('\u{feff}').unwrap_or(sql);
    let Statement::Statement(statement) = star::parse(sql, RECURSION_LIMIT).ok()? else {
        return None;
    };
    let SqlStatement::Query(query) = *statement else {
        return None;
    };
    let select = first_select(&query)?;
    let texts = item_texts(sql)?;
    if texts.len() != select.projection.len() {
        return None;
    }
    let items = select.projection.iter().zip(texts);
    let items = items.map(|(item, text)| match item {
        SelectItem::UnnamedExpr(Expr::Identifier(_) | Expr::CompoundIdentifier(_)) => Item::Named,
        SelectItem::UnnamedExpr(_) => Item::Expression(text),
        SelectItem::ExprWithAlias { .. } | SelectItem::ExprWithAliases { .. } => Item::Named,
        SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => Item::Star,
    });
    Some(items.collect())
}

/// The query that names the columns: of a UNION, the first.
fn first_select(query: &Query) -> Option<&Select> {
    let mut body = query.body.as_ref();
    loop {
        match body {
            SetExpr::Select(select) => return Some(select),
            SetExpr::SetOperation { left, .. } => body = left,
            _ => return None,
        }
    }
}

/// The texts of the first select list outside of brackets, with single spaces and without comments.
fn item_texts(sql: &str) -> Option<Vec<String>> {
    let dialect = PostgreSqlDialect {};
    let tokens = Tokenizer::new(&dialect, sql).with_unescape(false);
    let mut tokens = { tokens }.tokenize().ok()?.into_iter();
    let mut depth = 0_usize;
    tokens.find(|token| {
        depth = depth_behind(token, depth);
        depth == 0 && keyword(token) == Some(Keyword::SELECT)
    })?;
    let mut texts = vec![String::new()];
    let mut depth = 0_usize;
    let mut before = Keyword::SELECT;
    for token in tokens {
        let word = keyword(&token);
        let is_end = match word {
            // `IS DISTINCT FROM`
            Some(Keyword::FROM) => before != Keyword::DISTINCT,
            Some(word) => ENDS.contains(&word),
            None => matches!(token, Token::SemiColon),
        };
        if depth == 0 && is_end {
            break;
        }
        depth = depth_behind(&token, depth);
        let text = texts.last_mut()?;
        match &token {
            Token::Comma if depth == 0 => texts.push(String::new()),
            Token::Whitespace(_) if text.is_empty() || text.ends_with(' ') => {}
            Token::Whitespace(_) => text.push(' '),
            token => text.push_str(&token.to_string()),
        }
        if !matches!(token, Token::Whitespace(_)) {
            before = word.unwrap_or(Keyword::NoKeyword);
        }
    }
    let trimmed = texts.iter().map(|text| without_quantifier(text.trim_end()));
    Some(trimmed.map(str::to_owned).collect())
}

/// What follows a select list.
const ENDS: [Keyword; 13] = [
    Keyword::WHERE,
    Keyword::GROUP,
    Keyword::HAVING,
    Keyword::ORDER,
    Keyword::LIMIT,
    Keyword::OFFSET,
    Keyword::FETCH,
    Keyword::UNION,
    Keyword::INTERSECT,
    Keyword::EXCEPT,
    Keyword::WINDOW,
    Keyword::INTO,
    Keyword::FOR,
];

/// `x` of `DISTINCT x`, the first item of a list.
fn without_quantifier(text: &str) -> &str {
    let behind = ["distinct ", "all "].into_iter().find_map(|word| {
        let (head, behind) = text.split_at_checked(word.len())?;
        head.eq_ignore_ascii_case(word).then_some(behind)
    });
    behind.unwrap_or(text)
}

fn keyword(token: &Token) -> Option<Keyword> {
    match token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.keyword),
        _ => None,
    }
}

fn depth_behind(token: &Token, depth: usize) -> usize {
    match token {
        Token::LParen | Token::LBracket | Token::LBrace => depth + 1,
        Token::RParen | Token::RBracket | Token::RBrace => depth.saturating_sub(1),
        _ => depth,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headings(sql: &str, names: &[&str]) -> Vec<String> {
        let mut names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        if let Some(items) = items(sql) {
            put(&items, &mut names);
        }
        names
    }

    #[test]
    fn headings_are_what_the_query_writes() {
        for (sql, names, expected) in [
            (
                "SELECT count(*), P95(ms) , logs.message, level(message) AS \"Level\" FROM logs",
                &["count(*)", "p95(logs.ms)", "message", "Level"][..],
                &["count(*)", "P95(ms)", "message", "Level"][..],
            ),
            (
                "select\n  time_bucket( '1 hour',\n timestamp) -- hours\n, message->>'level' from logs",
                &["a", "b"],
                &["time_bucket( '1 hour', timestamp)", "message->>'level'"],
            ),
            (
                "WITH x AS (SELECT 1 + 1, 2) SELECT DISTINCT a + 1, \"B\" FROM x UNION ALL SELECT 1, 2",
                &["x.a + Int64(1)", "B"],
                &["a + 1", "B"],
            ),
            (
                "SELECT 'it''s' || a, a IS DISTINCT FROM b, extract(day FROM t), [1, 2] FROM x",
                &["1", "2", "3", "4"],
                &[
                    "'it''s' || a",
                    "a IS DISTINCT FROM b",
                    "extract(day FROM t)",
                    "[1, 2]",
                ],
            ),
            (
                "SELECT 1 + 1, *, count(*) OVER () FROM x",
                &["Int64(1)", "a", "b", "count"],
                &["1 + 1", "a", "b", "count(*) OVER ()"],
            ),
            ("SELECT * EXCLUDE (a) FROM x", &["b", "c"], &["b", "c"]),
            // Without a select list that can be read, the engine's names stay.
            ("(SELECT 1 + 1) UNION SELECT 2", &["two"], &["two"]),
            (
                "VALUES (1, 2)",
                &["column1", "column2"],
                &["column1", "column2"],
            ),
            ("SELECT 1 + 1; SELECT 2", &["two"], &["two"]),
            (
                "EXPLAIN SELECT 1",
                &["plan_type", "plan"],
                &["plan_type", "plan"],
            ),
        ] {
            assert_eq!(headings(sql, names), expected, "{sql}");
        }
    }
}
