//! What Tab completes: tables, columns, functions, keywords, commands and their arguments.

use std::collections::HashSet;

use super::commands::COMMANDS;
use super::keywords::{KEYWORDS, is_keyword};
use super::tokens::{Kind, Token, is_of_word, tokens};
use super::vocabulary::Vocabulary;
use crate::chart::text::controls;
use crate::query::name_in_sql;

/// What can stand at a place of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Completion {
    /// These texts, in place of what stands from `start` to the cursor.
    Words {
        /// In bytes of the line.
        start: usize,
        /// In the order in which they are listed.
        words: Vec<String>,
    },
    /// The name of a file.
    File,
}

impl Completion {
    fn none(cursor: usize) -> Self {
        Self::Words {
            start: cursor,
            words: Vec::new(),
        }
    }

    fn of(start: usize, typed: &str, words: impl IntoIterator<Item = String>) -> Self {
        let typed = typed.to_lowercase();
        let mut seen = HashSet::new();
        // A name that acts on the terminal is not offered: it would be shown as it is.
        let fits =
            |word: &String| word.to_lowercase().starts_with(&typed) && !word.contains(controls);
        Self::Words {
            start,
            words: words
                .into_iter()
                .filter(|word| fits(word) && seen.insert(word.clone()))
                .collect(),
        }
    }
}

/// Completes the line `line` at `cursor`, in bytes; `before` are the lines of the statement above it.
pub fn complete(vocabulary: &Vocabulary, before: &str, line: &str, cursor: usize) -> Completion {
    let typed = &line[..cursor];
    if before.trim().is_empty() && typed.trim_start().starts_with(['\\', '.']) {
        return command(vocabulary, typed);
    }
    let whole = format!("{before}{line}");
    let cursor_in_whole = before.len() + cursor;
    // A statement that ends before the cursor has no part in the one that is typed.
    let all: Vec<Token> = tokens(&whole).collect();
    let start = all
        .iter()
        .take_while(|token| token.end() <= cursor_in_whole)
        .filter(|token| token.is(';'))
        .last()
        .map_or(0, Token::end);
    let tokens: Vec<Token> = all
        .into_iter()
        .filter(|token| token.start >= start)
        .collect();
    let at_cursor = tokens
        .iter()
        .find(|token| token.start < cursor_in_whole && cursor_in_whole <= token.end());
    let is_inside = |token: &Token| token.is_open || cursor_in_whole < token.end();
    let quoted = match at_cursor {
        Some(token) if matches!(token.kind, Kind::Text | Kind::Comment) && is_inside(token) => {
            return Completion::none(cursor);
        }
        Some(token) => token.kind == Kind::QuotedName && is_inside(token),
        None => false,
    };
    let word_start = match (quoted, at_cursor) {
        (true, Some(token)) => token.start.saturating_sub(before.len()),
        _ => typed.rfind(|c| !is_of_word(c)).map_or(0, |place| {
            place + typed[place..].chars().next().map_or(1, char::len_utf8)
        }),
    };
    let word = &typed[word_start..];
    let in_front: Vec<&Token> = tokens
        .iter()
        .filter(|token| !token.is_blank() && token.end() <= before.len() + word_start)
        .collect();
    let place = Place {
        vocabulary,
        tokens: &tokens,
        in_front: &in_front,
    };
    Completion::of(word_start, word, place.words(word))
}

/// A command, or its argument.
fn command(vocabulary: &Vocabulary, typed: &str) -> Completion {
    let begin = typed.len() - typed.trim_start().len();
    let text = &typed[begin..];
    let Some((name, _)) = text.split_once(char::is_whitespace) else {
        let mut names: Vec<String> = COMMANDS
            .iter()
            .filter(|entry| entry.name.starts_with('\\'))
            .map(|entry| entry.name.to_owned())
            .collect();
        names.sort();
        return Completion::of(begin, text, names);
    };
    let start = typed
        .rfind(char::is_whitespace)
        .map_or(0, |place| place + 1);
    let word = &typed[start..];
    let fixed = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let words: Vec<String> = match name {
        r"\d" | r"\d+" | r"\dt" | ".schema" | ".tables" => {
            let tables = vocabulary.tables.iter();
            tables.map(|(table, _)| table.clone()).collect()
        }
        r"\df" | r"\df+" => vocabulary.functions.clone(),
        r"\x" => fixed(&["on", "off", "auto"]),
        r"\timing" | ".timer" => fixed(&["on", "off"]),
        r"\chart" if text.split_whitespace().count() <= 2 && !text.trim_end().contains(".png") => {
            fixed(&["bar", "line", "stacked-bar", "heatmap"])
        }
        r"\window" => {
            let mut words = vec!["last".to_owned(), "all".to_owned()];
            words.extend(vocabulary.windows.iter().rev().cloned());
            words
        }
        r"\i" | r"\o" | r"\g" | r"\e" | r"\chart" | ".read" | ".output" | ".once" => {
            return Completion::File;
        }
        _ => Vec::new(),
    };
    Completion::of(start, word, words)
}

/// A place in a statement.
struct Place<'a> {
    vocabulary: &'a Vocabulary,
    /// The statement, with what stands behind the cursor.
    tokens: &'a [Token<'a>],
    /// What is in front of the word that is completed, without white space.
    in_front: &'a [&'a Token<'a>],
}

impl Place<'_> {
    fn words(&self, word: &str) -> Vec<String> {
        if let [.., owner, point] = self.in_front
            && point.is('.')
        {
            return self.members(&name_of(owner));
        }
        let tables = || self.tables_and_named();
        if self.expects_table() {
            return tables();
        }
        let is_upper = !word.chars().any(char::is_lowercase);
        let keywords = KEYWORDS.iter().map(|keyword| match is_upper {
            true => (*keyword).to_owned(),
            false => keyword.to_lowercase(),
        });
        // At the start of a statement nothing has a column.
        if self.in_front.is_empty() {
            return keywords.filter(|word| begins_statement(word)).collect();
        }
        let functions = self.vocabulary.functions.iter();
        let mut words = self.columns();
        words.extend(functions.map(|function| format!("{function}(")));
        words.extend(tables());
        words.extend(keywords);
        words
    }

    /// What stands behind `owner.`: the columns of a table or of what an alias stands for.
    fn members(&self, owner: &str) -> Vec<String> {
        let sources = self.sources();
        let table = sources
            .iter()
            .find(|(_, alias)| alias.eq_ignore_ascii_case(owner))
            .map_or(owner, |(table, _)| table);
        let columns = self.vocabulary.columns(table);
        if !columns.is_empty() {
            return columns.iter().map(|column| name_in_sql(column)).collect();
        }
        let of_schema = |(name, _): &(String, Vec<String>)| {
            name.strip_prefix(&format!("{owner}.")).map(str::to_owned)
        };
        self.vocabulary
            .tables
            .iter()
            .filter_map(of_schema)
            .collect()
    }

    /// The columns of the tables of the statement; of all tables where it names none yet.
    fn columns(&self) -> Vec<String> {
        let sources = self.sources();
        let named: Vec<&[String]> = sources
            .iter()
            .map(|(table, _)| self.vocabulary.columns(table))
            .filter(|columns| !columns.is_empty())
            .collect();
        let of_any = || {
            let tables = self.vocabulary.tables.iter();
            tables
                .filter(|(name, _)| !name.contains('.'))
                .map(|(_, columns)| columns.as_slice())
                .collect()
        };
        let lists = if named.is_empty() { of_any() } else { named };
        lists
            .into_iter()
            .flatten()
            .map(|column| name_in_sql(column))
            .collect()
    }

    fn tables_and_named(&self) -> Vec<String> {
        let tables = self.vocabulary.tables.iter();
        let mut names = self.named_parts();
        names.extend(tables.map(|(name, _)| name.clone()));
        names
    }

    /// The names that `WITH` gives to parts of the statement.
    fn named_parts(&self) -> Vec<String> {
        let tokens: Vec<&Token> = self
            .tokens
            .iter()
            .filter(|token| !token.is_blank())
            .collect();
        let named = tokens.windows(3).filter_map(|three| match three {
            [name, word, open]
                if is_word(word, &["as"])
                    && (open.is('(') || is_word(open, &["materialized", "not"])) =>
            {
                Some(name_in_sql(&name_of(name)))
            }
            _ => None,
        });
        named.collect()
    }

    /// The tables of the statement, each with its alias, which is its own name where it has none.
    fn sources(&self) -> Vec<(String, String)> {
        let tokens: Vec<&Token> = self
            .tokens
            .iter()
            .filter(|token| !token.is_blank())
            .collect();
        let mut sources = Vec::new();
        let mut is_list = false;
        for (place, token) in tokens.iter().enumerate() {
            let is_source = is_word(token, &["from", "join"]) || (is_list && token.is(','));
            if token.kind == Kind::Word && is_keyword(token.text) {
                is_list = is_word(token, &["from"]);
            }
            let Some(table) = tokens
                .get(place + 1)
                .filter(|table| is_source && is_name(table))
            else {
                continue;
            };
            let behind = tokens.get(place + 2).copied();
            let alias = match behind {
                Some(word) if is_word(word, &["as"]) => tokens.get(place + 3).copied(),
                other => other,
            };
            let alias = alias.filter(|alias| is_name(alias)).unwrap_or(table);
            sources.push((name_of(table), name_of(alias)));
        }
        sources
    }

    /// Whether the name of a table is expected.
    fn expects_table(&self) -> bool {
        let Some(last) = self.in_front.last() else {
            return false;
        };
        if is_word(last, &["from", "join", "table", "describe", "desc"]) {
            // `ORDER BY n DESC` is no `DESC logs`.
            return !is_word(last, &["desc"]) || self.in_front.len() == 1;
        }
        let clause = self.in_front.iter().rev().find(|token| {
            token.kind == Kind::Word && is_keyword(token.text) && !is_word(token, &["as"])
        });
        last.is(',') && clause.is_some_and(|clause| is_word(clause, &["from"]))
    }
}

fn begins_statement(word: &str) -> bool {
    [
        "SELECT", "WITH", "EXPLAIN", "SHOW", "DESCRIBE", "TABLE", "VALUES", "CREATE",
    ]
    .contains(&word.to_uppercase().as_str())
}

fn is_word(token: &Token, words: &[&str]) -> bool {
    token.kind == Kind::Word
        && words
            .iter()
            .any(|word| token.text.eq_ignore_ascii_case(word))
}

fn is_name(token: &Token) -> bool {
    token.kind == Kind::QuotedName || token.kind == Kind::Word && !is_keyword(token.text)
}

/// The name that a token stands for.
fn name_of(token: &Token) -> String {
    match token.kind {
        Kind::QuotedName => token.text.trim_matches('"').replace("\"\"", "\""),
        _ => token.text.to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vocabulary() -> Vocabulary {
        let table = |name: &str, columns: &[&str]| {
            let columns = columns.iter().map(|column| (*column).to_owned()).collect();
            (name.to_owned(), columns)
        };
        Vocabulary {
            tables: vec![
                table("logs", &["timestamp", "message", "log_group"]),
                table("hourly_errors", &["hour", "n", "count(*)"]),
                table("information_schema.tables", &["table_name"]),
            ],
            functions: vec!["level".to_owned(), "local_time".to_owned()],
            windows: vec!["2026-11-20".to_owned(), "2026-11-21".to_owned()],
        }
    }

    /// What is offered at the `|` of a text, whose lines but the last are above.
    fn offered(text: &str) -> Vec<String> {
        let (start, end) = text.split_once('|').unwrap();
        let (before, line) = start.rsplit_once('\n').unwrap_or(("", start));
        let before = match before {
            "" => String::new(),
            before => format!("{before}\n"),
        };
        match complete(&vocabulary(), &before, &format!("{line}{end}"), line.len()) {
            Completion::Words { words, .. } => words,
            Completion::File => vec!["a file".to_owned()],
        }
    }

    #[test]
    fn a_name_that_acts_on_the_terminal_is_not_offered() {
        let mut vocabulary = vocabulary();
        let columns = ["n", "n\u{1b}[2J"].map(str::to_owned).to_vec();
        vocabulary.tables = vec![("files".to_owned(), columns)];
        let line = "SELECT n FROM files WHERE ";
        let offered = complete(&vocabulary, "", line, line.len());
        let Completion::Words { words, .. } = offered else {
            panic!("no words");
        };
        assert!(words.contains(&"n".to_owned()), "{words:?}");
        assert!(
            !words.iter().any(|word| word.contains('\u{1b}')),
            "{words:?}"
        );
    }

    #[test]
    fn what_can_stand_at_a_place_is_offered() {
        for (text, expected) in [
            ("sel|", &["select"][..]),
            ("SEL|", &["SELECT"]),
            (
                "SELECT * FROM |",
                &["logs", "hourly_errors", "information_schema.tables"],
            ),
            ("SELECT * FROM lo|", &["logs"]),
            ("SELECT * FROM logs, h|", &["hourly_errors"]),
            ("SELECT mes| FROM logs", &["message"]),
            (
                "SELECT l| FROM logs",
                &[
                    "log_group",
                    "level(",
                    "local_time(",
                    "logs",
                    "last",
                    "left",
                    "like",
                    "limit",
                ],
            ),
            ("SELECT l.m| FROM logs AS l", &["message"]),
            ("SELECT l.m| FROM logs l", &["message"]),
            (
                "SELECT e.| FROM logs l JOIN hourly_errors e ON true",
                &["hour", "n", "\"count(*)\""],
            ),
            ("SELECT hourly_errors.h|", &["hour"]),
            ("SELECT * FROM information_schema.t|", &["tables"]),
            ("WITH slow AS (SELECT 1)\nSELECT * FROM sl|", &["slow"]),
            ("SELECT 'a|", &[]),
            ("SELECT 1 -- a|", &[]),
            (
                "SELECT 1; SELECT * FROM logs WHERE m|",
                &["message", "minute", "month"],
            ),
            ("SELECT\n  mess|\nFROM logs", &["message"]),
            ("SELECT \"me|", &[]),
            (r"\ti|", &[r"\timing"]),
            (r"\d h|", &["hourly_errors"]),
            (r"\df le|", &["level"]),
            (r"\x |", &["on", "off", "auto"]),
            (r"\chart h|", &["heatmap"]),
            (r"\chart line er|", &["a file"]),
            (r"\window 2026-11-2|", &["2026-11-21", "2026-11-20"]),
            (r"\i que|", &["a file"]),
            ("DESCRIBE l|", &["logs"]),
            (
                "SELECT n FROM hourly_errors ORDER BY n desc l|",
                &[
                    "level(",
                    "local_time(",
                    "logs",
                    "last",
                    "left",
                    "like",
                    "limit",
                ],
            ),
        ] {
            assert_eq!(offered(text), expected, "{text}");
        }
    }
}
