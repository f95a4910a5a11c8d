//! Refuses SQL whose operators make a chain that no stack holds: `a OR b OR c …` is a tree as deep as it is long, which the
//! parser, the engine and even freeing it walk recursively.

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::error::{Class, Error, Result};
use crate::numbers::{counted, format_number};

/// The most operators of a query. Lists of values have none, so `IN` and `VALUES` may be of any length.
const MOST_OPERATORS: usize = 10_000;

/// An error (SQL) for SQL with too many operators.
pub(super) fn refuse_long_chains(sql: &str) -> Result<()> {
    // What can't be cut into tokens is the parser's to refuse.
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize();
    let operators = tokens
        .unwrap_or_default()
        .iter()
        .filter(|it| links(it))
        .count();
    if operators <= MOST_OPERATORS {
        return Ok(());
    }
    let what = format!(
        "the SQL has {}: expected at most {}; a long list of conditions is shorter as IN (…) or a join with VALUES",
        counted(operators as u64, "operator"),
        format_number(MOST_OPERATORS as f64, 0)
    );
    Err(Error::new(Class::Sql, what))
}

/// Whether a token can make a tree deeper.
fn links(token: &Token) -> bool {
    match token {
        Token::Word(word) => matches!(
            word.keyword,
            Keyword::AND
                | Keyword::AT
                | Keyword::BETWEEN
                | Keyword::COLLATE
                | Keyword::EXCEPT
                | Keyword::ILIKE
                | Keyword::IN
                | Keyword::INTERSECT
                | Keyword::IS
                | Keyword::JOIN
                | Keyword::LIKE
                | Keyword::NOT
                | Keyword::OR
                | Keyword::OVERLAPS
                | Keyword::SELECT
                | Keyword::SIMILAR
                | Keyword::UNION
        ),
        Token::EOF
        | Token::Number(..)
        | Token::Char(_)
        | Token::SingleQuotedString(_)
        | Token::DollarQuotedString(_)
        | Token::NationalStringLiteral(_)
        | Token::EscapedStringLiteral(_)
        | Token::UnicodeStringLiteral(_)
        | Token::HexStringLiteral(_)
        | Token::Placeholder(_)
        | Token::Comma
        | Token::Whitespace(_)
        | Token::SemiColon
        | Token::Period
        // The parser itself bounds how deep brackets are nested.
        | Token::LParen
        | Token::RParen
        | Token::RBracket
        | Token::LBrace
        | Token::RBrace => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_are_counted_and_values_are_not() {
        let chain = |n: usize, operator: &str| {
            let terms = vec!["n"; n].join(operator);
            refuse_long_chains(&format!("VALUES ({terms})"))
        };
        for operator in [" OR ", "+", "||", " UNION ALL ", "::int::", "->>", " is "] {
            let error = chain(MOST_OPERATORS + 2, operator).unwrap_err();
            assert_eq!(error.class(), Class::Sql, "{operator}");
            chain(MOST_OPERATORS / 2, operator).unwrap();
        }
        chain(200_000, ", ").unwrap();
        chain(200_000, "), (").unwrap();
    }
}
