//! The place in the SQL of an expression that fails. The plan has places of columns only, so the text is searched for what
//! the expression has: its texts, its function, its operator.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Diagnostic, Span};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

/// The error with the place of an expression in the SQL, where it is found.
pub fn at(part: &Expr, error: DataFusionError, sql: &str) -> DataFusionError {
    let tokens = tokens(sql);
    let of_text = texts(part).into_iter().rev().find_map(|text| {
        position(
            &tokens,
            |token| matches!(token, Token::SingleQuotedString(written) if *written == text),
        )
    });
    let found = of_text.or_else(|| match part {
        Expr::ScalarFunction(function) => name_in(&tokens, function.name()),
        Expr::BinaryExpr(BinaryExpr {
            op: Operator::Divide,
            ..
        }) => position(&tokens, |token| *token == Token::Div),
        Expr::BinaryExpr(BinaryExpr {
            op: Operator::Modulo,
            ..
        }) => position(&tokens, |token| *token == Token::Mod),
        _ => None,
    });
    with_place(error, found)
}

/// The error with the place of a function of this name.
pub fn at_name(name: &str, error: DataFusionError, sql: &str) -> DataFusionError {
    let found = name_in(&tokens(sql), name);
    with_place(error, found)
}

/// The place of a keyword.
pub fn keyword(word: &str, sql: &str) -> Option<Span> {
    name_in(&tokens(sql), word)
}

/// The error with the place of what its message names, where it has none: a text, a function, or a clause such as LIMIT.
pub fn named(error: DataFusionError, sql: &str) -> DataFusionError {
    if error.diagnostic().is_some() {
        return error;
    }
    let message = error.strip_backtrace();
    let tokens = tokens(sql);
    let quotes = [("'", "'"), ("\"", "\""), ("\n    ", "\n")];
    let is_quoted = |text: &str| {
        let mut quotes = quotes.iter();
        !text.is_empty()
            && quotes.any(|(open, close)| message.contains(&format!("{open}{text}{close}")))
    };
    let of_text = position(
        &tokens,
        |token| matches!(token, Token::SingleQuotedString(text) if is_quoted(text)),
    );
    let found = of_text.or_else(|| {
        position(&tokens, |token| match token {
            Token::Word(word) if word.keyword == Keyword::LIMIT => message.contains("LIMIT"),
            Token::Word(word) if word.keyword == Keyword::OFFSET => message.contains("OFFSET"),
            Token::Word(word) => is_quoted(&word.value.to_lowercase()),
            _ => false,
        })
    });
    with_place(error, found)
}

/// The place of the first single-quoted text in the SQL that is `text`.
pub fn of_text(text: &str, sql: &str) -> Option<Span> {
    position(
        &tokens(sql),
        |token| matches!(token, Token::SingleQuotedString(written) if written == text),
    )
}

fn with_place(error: DataFusionError, span: Option<Span>) -> DataFusionError {
    match span {
        Some(span) => {
            let diagnostic = Diagnostic::new_error(error.strip_backtrace(), Some(span));
            error.with_diagnostic(diagnostic)
        }
        None => error,
    }
}

fn tokens(sql: &str) -> Vec<TokenWithSpan> {
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize_with_location();
    tokens.unwrap_or_default()
}

fn position(tokens: &[TokenWithSpan], is_it: impl Fn(&Token) -> bool) -> Option<Span> {
    let token = tokens.iter().find(|token| is_it(&token.token))?;
    Span::try_from_sqlparser_span(token.span)
}

/// The place of a function's name, or of any word that is.
fn name_in(tokens: &[TokenWithSpan], name: &str) -> Option<Span> {
    position(
        tokens,
        |token| matches!(token, Token::Word(word) if word.value.eq_ignore_ascii_case(name)),
    )
}

/// The texts that are written in an expression.
fn texts(part: &Expr) -> Vec<String> {
    let mut texts = Vec::new();
    let visited = part.apply(|part| {
        if let Expr::Literal(value, _) = part
            && let Some(Some(text)) = value.try_as_str()
        {
            texts.push(text.to_owned());
        }
        Ok(TreeNodeRecursion::Continue)
    });
    debug_assert!(visited.is_ok());
    texts
}
