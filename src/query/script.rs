//! A text of several statements, taken apart at its semicolons.

use std::ops::Range;

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

/// One statement of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptStatement {
    /// Its SQL without the semicolon. What stands before it in the text is blank here, so that places in it, such as those
    /// of errors, are places in the text.
    pub sql: String,
    /// The line of its first word in the text, from 1.
    pub line: u64,
    /// The column of its first word, in characters from 1.
    pub column: u64,
    /// Where it is in the text, in bytes, from its first word up to its semicolon.
    pub range: Range<usize>,
    /// Whether a semicolon ends it. Only the last statement of a text can be without.
    pub has_end: bool,
}

impl ScriptStatement {
    /// The statement alone, as it is written.
    pub fn written<'a>(&self, text: &'a str) -> &'a str {
        text.get(self.range.clone()).unwrap_or_default().trim_end()
    }
}

/// The statements of a text, in their order. A semicolon in a quoted text or name, in a comment or between `$$` ends none.
/// Empty statements are left out; what can't be taken apart, such as a quote without its end, is the last statement.
pub fn statements(text: &str) -> Vec<ScriptStatement> {
    let without_mark = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mark = text.len() - without_mark.len();
    let mut tokens = Vec::new();
    // An error is of what is behind the last token.
    let broken = Tokenizer::new(&PostgreSqlDialect {}, without_mark)
        .tokenize_with_location_into_buf(&mut tokens)
        .is_err();
    let offsets = Offsets::new(without_mark);
    let mut found = Vec::new();
    let mut first: Option<Location> = None;
    let mut add = |first: Option<Location>, end: usize, has_end: bool| {
        if let Some(start) = first {
            let range = offsets.at(start)..end;
            found.push(ScriptStatement {
                sql: blanked(without_mark, &range),
                line: start.line,
                column: start.column,
                range: range.start + mark..range.end + mark,
                has_end,
            });
        }
    };
    for TokenWithSpan { token, span } in &tokens {
        match token {
            Token::Whitespace(_) | Token::EOF => {}
            Token::SemiColon => add(first.take(), offsets.at(span.start), true),
            _ => first = first.or(Some(span.start)),
        }
    }
    if broken && first.is_none() {
        let behind = tokens.last().map(|last| last.span.end);
        let behind = behind.unwrap_or(Location { line: 1, column: 1 });
        first = Some(behind);
    }
    add(first, without_mark.len(), false);
    found
}

/// The text of a range behind as many lines and columns of nothing as stand before it.
pub(super) fn blanked(text: &str, range: &Range<usize>) -> String {
    let (before, rest) = text.split_at(range.start);
    let before = before.chars().map(|c| match c {
        '\n' => '\n',
        _ => ' ',
    });
    let statement = &rest[..range.end - range.start];
    before.chain(statement.chars()).collect()
}

/// The places in bytes of lines and columns.
pub(super) struct Offsets<'a> {
    text: &'a str,
    /// Where each line begins.
    lines: Vec<usize>,
}

impl<'a> Offsets<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        let lines = std::iter::once(0).chain(breaks).collect();
        Self { text, lines }
    }

    /// The tokenizer counts lines and columns from 1, columns in characters.
    pub(super) fn at(&self, place: Location) -> usize {
        let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX).saturating_sub(1);
        let end = self.text.len();
        let line = self.lines.get(number(place.line)).copied().unwrap_or(end);
        let rest = &self.text[line..];
        let column = rest.char_indices().nth(number(place.column));
        column.map_or(end, |(at, _)| line + at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(text: &str) -> Vec<&str> {
        let all = statements(text);
        all.iter().map(|one| one.written(text)).collect()
    }

    #[test]
    fn semicolons_end_statements_where_they_are_no_text() {
        for (text, expected) in [
            ("", &[][..]),
            (" ; ;\n-- none;\n", &[]),
            ("SELECT 1", &["SELECT 1"]),
            ("SELECT 1;", &["SELECT 1"]),
            ("SELECT 1; SELECT 2 ;", &["SELECT 1", "SELECT 2"]),
            ("SELECT ';' ; SELECT \";\"", &["SELECT ';'", "SELECT \";\""]),
            ("SELECT 'it''s; so'; 2", &["SELECT 'it''s; so'", "2"]),
            (r"SELECT E'a\'; b'; 2", &[r"SELECT E'a\'; b'", "2"]),
            (
                "SELECT $$;$$; SELECT $a$ ;$$; $a$",
                &["SELECT $$;$$", "SELECT $a$ ;$$; $a$"],
            ),
            (
                "SELECT 1 -- ;\n; SELECT /* ; /* ; */ */ 2",
                &["SELECT 1 -- ;", "SELECT /* ; /* ; */ */ 2"],
            ),
            ("-- head\nSELECT $p;", &["SELECT $p"]),
            ("SELECT 'é; 한'; SELECT 2", &["SELECT 'é; 한'", "SELECT 2"]),
            ("\u{feff}SELECT 1; SELECT 2", &["SELECT 1", "SELECT 2"]),
            (
                "SELECT 1; SELECT 'no end; 2",
                &["SELECT 1", "SELECT 'no end; 2"],
            ),
            ("SELECT 1; 'no end; 2", &["SELECT 1", "'no end; 2"]),
        ] {
            assert_eq!(written(text), expected, "{text}");
        }
    }

    #[test]
    fn places_are_those_of_the_whole_text() {
        let text = "SELECT 1;\n  SELECT 'é', x\n FROM logs; SELECT 3";
        let all = statements(text);
        let places: Vec<_> = all
            .iter()
            .map(|one| (one.line, one.column, one.has_end))
            .collect();
        assert_eq!(places, [(1, 1, true), (2, 3, true), (3, 13, false)]);
        assert_eq!(all[1].sql, "         \n  SELECT 'é', x\n FROM logs");
    }

    proptest! {
        /// Whatever stands in it: the statements come in order, and nothing but blanks, comments and semicolons is between.
        #[test]
        fn any_text_is_taken_apart(text in "([;'\"$\\-/* \n\\\\aé0]|--|/\\*|\\*/|\\$\\$){0,40}") {
            let mut end = 0;
            for statement in statements(&text) {
                prop_assert!(statement.range.start >= end && statement.range.start < statement.range.end);
                end = statement.range.end;
                let is_blank = |c: char| c == ' ' || c == '\n';
                let behind = statement.sql.trim_start_matches(is_blank);
                prop_assert!(text[statement.range.clone()].trim_start_matches(is_blank).starts_with(behind));
            }
            prop_assert!(end <= text.len());
        }
    }
}
