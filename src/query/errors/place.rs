//! The place in the SQL of an error. The plan has places of columns only, so the text is searched for what the error is
//! about: a text, a function, an operator, a clause.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Diagnostic, Span};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

/// A line and a column, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub line: u64,
    pub column: u64,
}

impl From<Location> for Place {
    fn from(at: Location) -> Self {
        Self {
            line: at.line,
            column: at.column,
        }
    }
}

/// Where a diagnostic begins.
pub(super) trait SpanStart {
    fn span_start(&self) -> Option<Place>;
}

impl SpanStart for Diagnostic {
    fn span_start(&self) -> Option<Place> {
        let start = self.span?.start;
        Some(Place {
            line: start.line,
            column: start.column,
        })
    }
}

/// SQL and its tokens, without the white space between them.
pub(in crate::query) struct Sql<'a> {
    pub text: &'a str,
    pub tokens: Vec<TokenWithSpan>,
}

impl<'a> Sql<'a> {
    pub fn new(text: &'a str) -> Self {
        Self {
            text,
            tokens: tokens(text),
        }
    }

    /// The place of a token.
    pub fn place(&self, at: usize) -> Option<Place> {
        self.tokens.get(at).map(|token| token.span.start.into())
    }

    /// The place behind the last token.
    pub fn end(&self) -> Option<Place> {
        let last = self.tokens.iter().rev();
        let last = last.clone().find(|it| it.token != Token::SemiColon);
        last.map(|token| token.span.end.into())
    }

    /// The token at a place.
    pub fn index_at(&self, place: Place) -> Option<usize> {
        let is_it = |token: &TokenWithSpan| Place::from(token.span.start) == place;
        self.tokens.iter().position(is_it)
    }

    /// A word's letters, whatever it means.
    pub fn word(&self, at: usize) -> Option<&str> {
        match &self.tokens.get(at)?.token {
            Token::Word(word) => Some(&word.value),
            _ => None,
        }
    }

    pub fn is_word(&self, at: usize, word: &str) -> bool {
        self.word(at)
            .is_some_and(|it| it.eq_ignore_ascii_case(word))
    }

    pub fn is(&self, at: usize, token: &Token) -> bool {
        self.tokens.get(at).is_some_and(|it| it.token == *token)
    }

    /// A token as it is written.
    pub fn written(&self, at: usize) -> String {
        self.tokens
            .get(at)
            .map(|it| it.token.to_string())
            .unwrap_or_default()
    }

    /// The place of the first text in single quotes.
    pub fn text(&self, text: &str) -> Option<Place> {
        let is_it = |token: &TokenWithSpan| matches!(&token.token, Token::SingleQuotedString(written) if written == text);
        self.place(self.tokens.iter().position(is_it)?)
    }

    /// Where a word stands, the first time.
    pub fn find(&self, word: &str) -> Option<usize> {
        (0..self.tokens.len()).find(|at| self.is_word(*at, word))
    }

    /// Where a word stands, the last time.
    pub fn find_last(&self, word: &str) -> Option<usize> {
        (0..self.tokens.len())
            .rev()
            .find(|at| self.is_word(*at, word))
    }

    /// Where a function is called.
    pub fn call(&self, name: &str) -> Option<usize> {
        let calls = |at: &usize| self.is_word(*at, name) && self.is(at + 1, &Token::LParen);
        (0..self.tokens.len()).find(calls)
    }

    /// The tokens between the brackets of a call.
    pub fn arguments(&self, call: usize) -> &[TokenWithSpan] {
        let mut depth = 0;
        for (at, token) in self.tokens.iter().enumerate().skip(call + 1) {
            match token.token {
                Token::LParen => depth += 1,
                Token::RParen => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return self.tokens.get(call + 2..at).unwrap_or_default();
            }
        }
        &[]
    }

    /// The tokens of the first `message->'a'->>'b'`.
    pub fn member(&self) -> Option<&[TokenWithSpan]> {
        let is_arrow = |at: usize| self.is(at, &Token::Arrow) || self.is(at, &Token::LongArrow);
        let first = (1..self.tokens.len()).find(|at| is_arrow(*at))?;
        let mut end = first;
        while is_arrow(end) {
            end += 2;
        }
        self.tokens.get(first - 1..end)
    }

    /// The only token that is so; `None` where there are several.
    pub fn only(&self, is_it: impl Fn(usize) -> bool) -> Option<Place> {
        let mut found = (0..self.tokens.len()).filter(|at| is_it(*at));
        match (found.next(), found.next()) {
            (Some(only), None) => self.place(only),
            _ => None,
        }
    }
}

/// The place of what a message names: a text that it quotes, the function or the clause that it begins with, a name that it
/// quotes, a column with its table.
pub(super) fn named(message: &str, sql: &Sql<'_>) -> Option<Place> {
    let tokens = 0..sql.tokens.len();
    let text = tokens.clone().find(|at| match &sql.tokens[*at].token {
        Token::SingleQuotedString(text) => quotes(message, text),
        _ => false,
    });
    let name = || {
        tokens.clone().find(|at| match &sql.tokens[*at].token {
            Token::Word(word) if word.keyword == Keyword::LIMIT => message.contains("LIMIT"),
            Token::Word(word) if word.keyword == Keyword::OFFSET => message.contains("OFFSET"),
            Token::Word(word) => quotes(message, &word.value.to_lowercase()),
            _ => false,
        })
    };
    let column = || {
        let mut words = message.split([' ', ',', '(', ')']);
        words.find_map(|word| sql.find_last(word.split_once('.')?.1))
    };
    let found = text.or_else(|| first_word(message, sql));
    sql.place(found.or_else(name).or_else(column)?)
}

/// The function or the clause that a message begins with.
fn first_word(message: &str, sql: &Sql<'_>) -> Option<usize> {
    let word = message.split([' ', ':', '(']).next()?;
    let is_clause = word.len() > 1 && word.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    sql.call(word)
        .or_else(|| sql.find(word).filter(|_| is_clause))
}

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

/// The error with the place of a text.
pub fn at_text(text: &str, error: DataFusionError, sql: &str) -> DataFusionError {
    let found = text_in(&tokens(sql), text);
    with_place(error, found)
}

/// The error with the place of a parameter.
pub fn at_parameter(written: &str, error: DataFusionError, sql: &str) -> DataFusionError {
    let is_it = |token: &Token| match token {
        Token::Placeholder(name) => name == written,
        Token::Colon => written.starts_with(':'),
        _ => false,
    };
    let found = position(&tokens(sql), is_it);
    with_place(error, found)
}

/// The place of the first column that a message names with its table.
pub fn column(message: &str, sql: &str) -> Option<Span> {
    let tokens = tokens(sql);
    let mut names = message.split(' ').filter_map(|word| word.split_once('.'));
    names.find_map(|(table, column)| {
        let is_word = |token: &TokenWithSpan, name: &str| match &token.token {
            Token::Word(word) => word.value.eq_ignore_ascii_case(name),
            _ => false,
        };
        let at = tokens.windows(3).position(|three| {
            is_word(&three[0], table)
                && three[1].token == Token::Period
                && is_word(&three[2], column)
        })?;
        Span::try_from_sqlparser_span(tokens[at].span)
    })
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
    let tokens = tokens.unwrap_or_default().into_iter();
    tokens
        .filter(|token| !matches!(token.token, Token::Whitespace(_) | Token::EOF))
        .collect()
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
