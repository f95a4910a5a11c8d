//! The place in the SQL of an error. The plan has places of columns only, so the text is searched for what the error is
//! about: a text, a function, an operator, a clause.

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
    let message = error.strip_backtrace();
    let mut texts = texts(part);
    // The text that the message quotes, or else the last.
    texts.sort_by_key(|text| quotes(&message, text));
    let mut texts = texts.iter().rev();
    let found = texts.find_map(|text| text_in(&tokens, text));
    let found = found.or_else(|| match part {
        Expr::ScalarFunction(function) => word_in(&tokens, function.name()),
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
    let found = word(name, sql);
    with_place(error, found)
}

/// The error with the place of what its message names, where it has none: a text, a function, or a clause such as LIMIT.
pub fn named(error: DataFusionError, sql: &str) -> DataFusionError {
    if error.diagnostic().is_some() {
        return error;
    }
    let message = error.strip_backtrace();
    let tokens = tokens(sql);
    let of_text = position(&tokens, |token| match token {
        Token::SingleQuotedString(text) => quotes(&message, text),
        _ => false,
    });
    let found = of_text.or_else(|| {
        position(&tokens, |token| match token {
            Token::Word(word) if word.keyword == Keyword::LIMIT => message.contains("LIMIT"),
            Token::Word(word) if word.keyword == Keyword::OFFSET => message.contains("OFFSET"),
            Token::Word(word) => quotes(&message, &word.value.to_lowercase()),
            _ => false,
        })
    });
    with_place(error, found)
}

/// The place of the first text in single quotes that is `text`.
pub fn of_text(text: &str, sql: &str) -> Option<Span> {
    text_in(&tokens(sql), text)
}

/// The place of a keyword, or of a name.
pub fn word(word: &str, sql: &str) -> Option<Span> {
    word_in(&tokens(sql), word)
}

/// Whether a message quotes a text, or shows it in a line of its own, as errors of regular expressions do.
fn quotes(message: &str, text: &str) -> bool {
    let quotes = [("'", "'"), ("\"", "\""), ("\n    ", "\n")];
    let mut quotes = quotes.iter();
    !text.is_empty()
        && quotes.any(|(open, close)| message.contains(&format!("{open}{text}{close}")))
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

fn text_in(tokens: &[TokenWithSpan], text: &str) -> Option<Span> {
    position(tokens, |token| match token {
        Token::SingleQuotedString(written) => written == text,
        _ => false,
    })
}

fn word_in(tokens: &[TokenWithSpan], name: &str) -> Option<Span> {
    position(tokens, |token| match token {
        Token::Word(word) => word.value.eq_ignore_ascii_case(name),
        _ => false,
    })
}

/// The texts that are written in an expression, but for empty ones.
fn texts(part: &Expr) -> Vec<String> {
    let mut texts = Vec::new();
    let visited = part.apply(|part| {
        if let Expr::Literal(value, _) = part
            && let Some(Some(text)) = value.try_as_str()
            && !text.is_empty()
        {
            texts.push(text.to_owned());
        }
        Ok(TreeNodeRecursion::Continue)
    });
    debug_assert!(visited.is_ok());
    texts
}
