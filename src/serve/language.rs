//! What a statement is, by its first words: a query, which is planned, or one of the commands of a connection that clients
//! send around queries.

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

use super::copy::{CopyForm, Layout};
use super::errors::Refusal;

/// A statement of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// A query, or a view that lasts as long as the connection.
    Query,
    /// `SET name = value`
    Set {
        /// The setting.
        name: String,
        /// The value; `None` for `DEFAULT`, and for `RESET name`.
        value: Option<String>,
        /// Whether it holds up to the end of the transaction.
        is_local: bool,
        /// Whether it was written as `RESET`.
        is_reset: bool,
    },
    /// `RESET ALL`
    ResetAll,
    /// `SHOW name`
    Show(String),
    /// `SHOW ALL`
    ShowAll,
    /// `BEGIN`, with the word that answers it.
    Begin(&'static str),
    /// `COMMIT`
    Commit,
    /// `ROLLBACK`
    Rollback,
    /// `ROLLBACK TO SAVEPOINT`
    RollbackTo,
    /// A command that has nothing to do here, with the words that answer it.
    Nothing(&'static str),
    /// `COPY … TO STDOUT`
    Copy {
        /// The query, with blanks before it, so that places in it stay what they are.
        query: String,
        /// How the rows are written.
        form: CopyForm,
    },
    /// `DECLARE name CURSOR FOR query`
    Declare {
        /// The cursor.
        name: String,
        /// The query, with blanks before it.
        query: String,
    },
    /// `FETCH n FROM name`
    Fetch {
        /// The cursor.
        name: String,
        /// How many rows; `None` for all.
        count: Option<usize>,
        /// Whether the rows are dropped (`MOVE`).
        is_move: bool,
    },
    /// `CLOSE name`; `None` for all.
    Close(Option<String>),
    /// `DEALLOCATE name`; `None` for all.
    Deallocate(Option<String>),
    /// `DISCARD ALL`
    DiscardAll,
}

impl Command {
    /// A statement.
    ///
    /// # Errors
    /// A command of a connection that is not written as it has to be, or that can't be had here.
    pub fn parse(sql: &str) -> Result<Self, Refusal> {
        let words = Words::new(sql);
        let first = words.upper(0);
        match first.as_str() {
            "SET" => set(&words),
            "RESET" => Ok(match words.upper(1).as_str() {
                "ALL" => Self::ResetAll,
                "TIME" => reset("TimeZone".to_owned()),
                "SESSION" => Self::Nothing("RESET"),
                _ => reset(words.name(1, sql)?.0),
            }),
            "SHOW" => Ok(match words.upper(1).as_str() {
                "ALL" => Self::ShowAll,
                "TIME" => Self::Show("TimeZone".to_owned()),
                "TRANSACTION" => Self::Show("transaction_isolation".to_owned()),
                // As `query` answers them.
                "TABLES" | "COLUMNS" | "FUNCTIONS" => Self::Query,
                _ => Self::Show(words.name(1, sql)?.0),
            }),
            "BEGIN" => Ok(Self::Begin("BEGIN")),
            "START" if words.upper(1) == "TRANSACTION" => Ok(Self::Begin("START TRANSACTION")),
            "COMMIT" | "END" => Ok(Self::Commit),
            "ABORT" => Ok(Self::Rollback),
            "ROLLBACK" => {
                let is_to = words.all(1).any(|word| word == "TO");
                Ok(if is_to { Self::RollbackTo } else { Self::Rollback })
            }
            "SAVEPOINT" => Ok(Self::Nothing("SAVEPOINT")),
            "RELEASE" => Ok(Self::Nothing("RELEASE")),
            "LISTEN" | "NOTIFY" => Err(Refusal::new("0A000", format!(
                "{first} can't be had here: nothing is ever notified"
            ))),
            "UNLISTEN" => Ok(Self::Nothing("UNLISTEN")),
            "CLOSE" => Ok(Self::Close(match words.upper(1).as_str() {
                "ALL" => None,
                _ => Some(words.identifier(1, sql)?),
            })),
            "DEALLOCATE" => {
                let at = if words.upper(1) == "PREPARE" { 2 } else { 1 };
                Ok(Self::Deallocate(match words.upper(at).as_str() {
                    "ALL" => None,
                    _ => Some(words.identifier(at, sql)?),
                }))
            }
            "DISCARD" => Ok(match words.upper(1).as_str() {
                "ALL" => Self::DiscardAll,
                _ => Self::Nothing("DISCARD"),
            }),
            "PREPARE" | "EXECUTE" => Err(Refusal::new("0A000", format!(
                "{first} in SQL can't be had here"
            ))
            .with_hint("prepare the statement with the functions of the client, which the protocol has messages for")),
            "DECLARE" => declare(&words, sql),
            "FETCH" => fetch(&words, sql, false),
            "MOVE" => fetch(&words, sql, true),
            "COPY" => copy(&words, sql),
            _ => Ok(Self::Query),
        }
    }
}

/// The words of a statement, with their places.
struct Words<'a> {
    sql: &'a str,
    tokens: Vec<TokenWithSpan>,
}

impl<'a> Words<'a> {
    fn new(sql: &'a str) -> Self {
        let mut tokens = Vec::new();
        // What can't be read is a query, which is explained where it is planned.
        let _ =
            Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize_with_location_into_buf(&mut tokens);
        tokens.retain(|it| !matches!(it.token, Token::Whitespace(_) | Token::EOF));
        Self { sql, tokens }
    }

    fn token(&self, at: usize) -> Option<&Token> {
        self.tokens.get(at).map(|it| &it.token)
    }

    /// A word in upper case, as keywords are compared; empty for anything else.
    fn upper(&self, at: usize) -> String {
        match self.token(at) {
            Some(Token::Word(word)) if word.quote_style.is_none() => word.value.to_uppercase(),
            _ => String::new(),
        }
    }

    fn all(&self, from: usize) -> impl Iterator<Item = String> {
        (from..self.tokens.len()).map(|at| self.upper(at))
    }

    /// The name at a place: in lower case if it has no quotes.
    fn identifier(&self, at: usize, sql: &str) -> Result<String, Refusal> {
        match self.token(at) {
            Some(Token::Word(word)) if word.quote_style.is_some() => Ok(word.value.clone()),
            Some(Token::Word(word)) => Ok(word.value.to_lowercase()),
            _ => Err(self.unexpected(at, sql, "a name")),
        }
    }

    /// A name of parts, such as `logtally.window`, and the place behind it.
    fn name(&self, at: usize, sql: &str) -> Result<(String, usize), Refusal> {
        let mut name = self.identifier(at, sql)?;
        let mut next = at + 1;
        while self.token(next) == Some(&Token::Period) {
            name = format!("{name}.{}", self.identifier(next + 1, sql)?);
            next += 2;
        }
        Ok((name, next))
    }

    fn unexpected(&self, at: usize, sql: &str, expected: &str) -> Refusal {
        let found = match self.token(at) {
            Some(token) => format!("at \"{token}\""),
            None => "at the end".to_owned(),
        };
        let place = self.tokens.get(at).map(|it| it.span.start);
        Refusal {
            position: place.map(|place| characters(sql, place) + 1),
            ..Refusal::new(
                "42601",
                format!("syntax error {found}: expected {expected}"),
            )
        }
    }

    /// The text from a word up to another, with blanks before it.
    fn text(&self, from: usize, to: usize) -> String {
        let end = |at: usize| {
            self.tokens
                .get(at)
                .map(|it| characters(self.sql, it.span.start))
        };
        let start = end(from).unwrap_or(usize::MAX);
        let end = end(to).unwrap_or(usize::MAX);
        let blank = |(at, c): (usize, char)| match c {
            '\n' => '\n',
            _ if at < start => ' ',
            c => c,
        };
        self.sql.chars().take(end).enumerate().map(blank).collect()
    }
}

/// The number of characters before a place.
fn characters(sql: &str, place: Location) -> usize {
    let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX).saturating_sub(1);
    let before = sql.split_inclusive('\n').take(number(place.line));
    before.map(|line| line.chars().count()).sum::<usize>() + number(place.column)
}

fn reset(name: String) -> Command {
    Command::Set {
        name,
        value: None,
        is_local: false,
        is_reset: true,
    }
}

fn set(words: &Words<'_>) -> Result<Command, Refusal> {
    let sql = words.sql;
    let scope = words.upper(1);
    let is_local = scope == "LOCAL";
    let at = if is_local || scope == "SESSION" { 2 } else { 1 };
    match words.upper(at).as_str() {
        "CHARACTERISTICS" | "AUTHORIZATION" | "TRANSACTION" => {
            return match words
                .all(at)
                .collect::<Vec<_>>()
                .windows(2)
                .any(|pair| pair == ["READ", "WRITE"])
            {
                true => Err(Refusal::new(
                    "25006",
                    "a transaction can't be READ WRITE: queries only read",
                )),
                false => Ok(Command::Nothing("SET")),
            };
        }
        "CONSTRAINTS" => return Ok(Command::Nothing("SET")),
        _ => {}
    }
    let (name, next) = match words.upper(at).as_str() {
        "TIME" if words.upper(at + 1) == "ZONE" => ("TimeZone".to_owned(), at + 2),
        "NAMES" => ("client_encoding".to_owned(), at + 1),
        _ => {
            let (name, next) = words.name(at, sql)?;
            let is_equal = words.token(next) == Some(&Token::Eq);
            if !is_equal && words.upper(next) != "TO" {
                return Err(words.unexpected(next, sql, "TO or = and a value"));
            }
            (name, next + 1)
        }
    };
    let mut values = Vec::new();
    let mut sign = "";
    for it in words.tokens.get(next..).unwrap_or_default() {
        match &it.token {
            Token::Comma => {}
            Token::Minus => sign = "-",
            Token::Plus => sign = "",
            Token::Number(number, _) => {
                values.push(format!("{}{number}", std::mem::take(&mut sign)));
            }
            Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text) => {
                values.push(text.clone());
            }
            Token::Word(word) if word.keyword == Keyword::INTERVAL => {}
            Token::Word(word) => values.push(word.value.clone()),
            _ => return Err(words.unexpected(next, sql, "a value")),
        }
    }
    let value = match values.as_slice() {
        [] => return Err(words.unexpected(next, sql, "a value")),
        [only]
            if words.tokens.len() == next + 1
                && ["DEFAULT", "LOCAL"].contains(&words.upper(next).as_str())
                && !only.is_empty() =>
        {
            None
        }
        values => Some(values.join(", ")),
    };
    Ok(Command::Set {
        name,
        value,
        is_local,
        is_reset: false,
    })
}

fn declare(words: &Words<'_>, sql: &str) -> Result<Command, Refusal> {
    let name = words.identifier(1, sql)?;
    let is_for = |at: &usize| words.upper(*at) == "FOR";
    let Some(at) = (2..words.tokens.len()).find(is_for) else {
        return Err(words.unexpected(words.tokens.len(), sql, "CURSOR FOR and a query"));
    };
    if words.all(2).take(at).any(|word| word == "SCROLL") && words.upper(2) != "NO" {
        let what = "a cursor can't scroll here: expected DECLARE name CURSOR FOR";
        return Err(Refusal::new("0A000", what));
    }
    Ok(Command::Declare {
        name,
        query: words.text(at + 1, usize::MAX),
    })
}

fn fetch(words: &Words<'_>, sql: &str, is_move: bool) -> Result<Command, Refusal> {
    let mut at = 1;
    let mut count = Some(1);
    let backward = ["BACKWARD", "PRIOR", "FIRST", "LAST", "ABSOLUTE", "RELATIVE"];
    loop {
        match (words.upper(at).as_str(), words.token(at)) {
            ("NEXT" | "FORWARD", _) => {}
            ("ALL", _) => count = None,
            (word, _) if backward.contains(&word) => {
                return Err(Refusal::new(
                    "0A000",
                    format!("a cursor goes forward only, and {word} does not"),
                ));
            }
            (_, Some(Token::Number(number, _))) => {
                count = Some(
                    number
                        .parse()
                        .map_err(|_| words.unexpected(at, sql, "a number of rows"))?,
                );
            }
            _ => break,
        }
        at += 1;
    }
    if ["FROM", "IN"].contains(&words.upper(at).as_str()) {
        at += 1;
    }
    Ok(Command::Fetch {
        name: words.identifier(at, sql)?,
        count,
        is_move,
    })
}

/// `COPY (query) TO STDOUT`, `COPY table (columns) TO STDOUT`, with their options in either spelling.
fn copy(words: &Words<'_>, sql: &str) -> Result<Command, Refusal> {
    let only_out = || {
        Refusal::new(
            "25006",
            "COPY is not allowed but to the client: expected COPY (SELECT …) TO STDOUT",
        )
    };
    let (query, to) = match words.token(1) {
        Some(Token::LParen) => {
            let end =
                closing(words, 1).ok_or_else(|| words.unexpected(words.tokens.len(), sql, ")"))?;
            (words.text(2, end), end + 1)
        }
        _ => {
            let (_, end) = words.name(1, sql)?;
            let name = |from: usize, to: usize| words.text(from, to).trim().to_owned();
            match words.token(end) {
                Some(Token::LParen) => {
                    let close =
                        closing(words, end).ok_or_else(|| words.unexpected(end, sql, ")"))?;
                    let columns = name(end + 1, close);
                    (format!("SELECT {columns} FROM {}", name(1, end)), close + 1)
                }
                _ => (format!("SELECT * FROM {}", name(1, end)), end),
            }
        }
    };
    if words.upper(to) != "TO" || words.upper(to + 1) != "STDOUT" {
        return Err(only_out());
    }
    let form = copy_form(words, to + 2)?;
    Ok(Command::Copy { query, form })
}

/// The place of the bracket that closes the one at a place.
fn closing(words: &Words<'_>, open: usize) -> Option<usize> {
    let mut depth = 0;
    (open..words.tokens.len()).find(|at| {
        match words.token(*at) {
            Some(Token::LParen) => depth += 1,
            Some(Token::RParen) => depth -= 1,
            _ => {}
        }
        depth == 0
    })
}

fn copy_form(words: &Words<'_>, from: usize) -> Result<CopyForm, Refusal> {
    let sql = words.sql;
    let mut form = CopyForm::default();
    let mut at = from;
    let text = |at: usize| match words.token(at) {
        Some(Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text)) => {
            Some(text.clone())
        }
        Some(Token::Word(word)) => Some(word.value.to_lowercase()),
        Some(Token::Number(number, _)) => Some(number.clone()),
        _ => None,
    };
    // The value of an option, behind an optional AS.
    let value = |at: usize| {
        let at = if words.upper(at) == "AS" { at + 1 } else { at };
        text(at)
            .map(|text| (text, at + 1))
            .ok_or_else(|| words.unexpected(at, sql, "a value"))
    };
    let byte = |name: &str, text: &str| match text.as_bytes() {
        [byte] => Ok(*byte),
        _ => Err(Refusal::new(
            "22023",
            format!("COPY {name} is {text:?}: expected one character of one byte"),
        )),
    };
    let mut quote = None;
    let mut null = None;
    let mut delimiter = None;
    while let Some(token) = words.token(at) {
        if matches!(token, Token::LParen | Token::RParen | Token::Comma) {
            at += 1;
            continue;
        }
        let option = words.upper(at);
        at += 1;
        match option.as_str() {
            "WITH" => {}
            "CSV" => form.layout = Layout::Csv,
            "BINARY" => form.layout = Layout::Binary,
            "FORMAT" => {
                let (name, next) = value(at)?;
                at = next;
                form.layout = match name.as_str() {
                    "csv" => Layout::Csv,
                    "text" => Layout::Text,
                    "binary" => Layout::Binary,
                    _ => {
                        return Err(Refusal::new(
                            "22023",
                            format!(
                                "COPY format {name:?} is unknown: expected text, csv or binary"
                            ),
                        ));
                    }
                };
            }
            "HEADER" => {
                form.has_header = true;
                if let Some(set) = text(at)
                    .filter(|it| ["true", "false", "on", "off", "0", "1"].contains(&it.as_str()))
                {
                    form.has_header = ["true", "on", "1"].contains(&set.as_str());
                    at += 1;
                }
            }
            "DELIMITER" => {
                let (text, next) = value(at)?;
                at = next;
                delimiter = Some(byte("DELIMITER", &text)?);
            }
            "NULL" => {
                let (text, next) = value(at)?;
                at = next;
                null = Some(text);
            }
            "QUOTE" => {
                let (text, next) = value(at)?;
                at = next;
                quote = Some(byte("QUOTE", &text)?);
            }
            "ESCAPE" => {
                let (text, next) = value(at)?;
                at = next;
                form.escape = Some(byte("ESCAPE", &text)?);
            }
            "ENCODING" => {
                let (text, next) = value(at)?;
                at = next;
                if !["utf8", "utf-8"].contains(&text.to_lowercase().as_str()) {
                    return Err(Refusal::new(
                        "22023",
                        format!("COPY encoding {text:?} can't be had: expected UTF8"),
                    ));
                }
            }
            "FORCE_QUOTE" | "FORCE" => {
                if words.upper(at) == "QUOTE" {
                    at += 1;
                }
                match words.token(at) {
                    Some(Token::Mul) => at += 1,
                    _ => {
                        return Err(Refusal::new(
                            "0A000",
                            "COPY FORCE_QUOTE takes all columns only: expected FORCE_QUOTE *",
                        ));
                    }
                }
                form.quotes_all = true;
            }
            _ => {
                return Err(words.unexpected(
                    at - 1,
                    sql,
                    "an option of COPY, such as FORMAT csv or HEADER",
                ));
            }
        }
    }
    let is_csv = form.layout == Layout::Csv;
    form.delimiter = delimiter.unwrap_or(if is_csv { b',' } else { b'\t' });
    form.null = null.unwrap_or_else(|| if is_csv { "" } else { "\\N" }.to_owned());
    form.quote = quote.unwrap_or(b'"');
    if form.has_header && form.layout == Layout::Binary {
        return Err(Refusal::new(
            "0A000",
            "COPY in the format binary has no header",
        ));
    }
    Ok(form)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str, value: Option<&str>) -> Command {
        Command::Set {
            name: name.to_owned(),
            value: value.map(str::to_owned),
            is_local: false,
            is_reset: false,
        }
    }

    #[test]
    fn commands_of_clients_are_read() {
        for (sql, expected) in [
            ("SELECT 1", Command::Query),
            ("with t as (select 1) table t", Command::Query),
            ("CREATE TEMP VIEW v AS SELECT 1", Command::Query),
            (
                "SET logtally.window = '2026-11-21'",
                set("logtally.window", Some("2026-11-21")),
            ),
            (
                "set session TimeZone to 'Asia/Seoul'",
                set("timezone", Some("Asia/Seoul")),
            ),
            ("SET TIME ZONE 'UTC'", set("TimeZone", Some("UTC"))),
            ("SET TIME ZONE LOCAL", set("TimeZone", None)),
            (
                "SET extra_float_digits = 3",
                set("extra_float_digits", Some("3")),
            ),
            ("SET x TO -3", set("x", Some("-3"))),
            (
                "SET search_path TO public, pg_catalog",
                set("search_path", Some("public, pg_catalog")),
            ),
            ("SET datestyle = DEFAULT", set("datestyle", None)),
            ("SET NAMES 'utf8'", set("client_encoding", Some("utf8"))),
            (
                "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
                Command::Nothing("SET"),
            ),
            ("RESET ALL", Command::ResetAll),
            ("SHOW TABLES", Command::Query),
            (
                "SHOW transaction isolation level",
                Command::Show("transaction_isolation".to_owned()),
            ),
            (
                "show logtally.window",
                Command::Show("logtally.window".to_owned()),
            ),
            (
                "BEGIN ISOLATION LEVEL REPEATABLE READ",
                Command::Begin("BEGIN"),
            ),
            (
                "START TRANSACTION READ ONLY",
                Command::Begin("START TRANSACTION"),
            ),
            ("end", Command::Commit),
            ("ROLLBACK TO SAVEPOINT a", Command::RollbackTo),
            ("ROLLBACK", Command::Rollback),
            ("CLOSE ALL", Command::Close(None)),
            (
                "DEALLOCATE \"_pg3_0\"",
                Command::Deallocate(Some("_pg3_0".to_owned())),
            ),
            (
                "DECLARE c NO SCROLL CURSOR WITH HOLD FOR SELECT 1",
                Command::Declare {
                    name: "c".to_owned(),
                    query: format!("{}SELECT 1", " ".repeat(41)),
                },
            ),
            (
                "FETCH FORWARD 100 FROM c",
                Command::Fetch {
                    name: "c".to_owned(),
                    count: Some(100),
                    is_move: false,
                },
            ),
            (
                "FETCH ALL IN \"C\"",
                Command::Fetch {
                    name: "C".to_owned(),
                    count: None,
                    is_move: false,
                },
            ),
            ("-- a comment\nSELECT 'SET'", Command::Query),
        ] {
            assert_eq!(Command::parse(sql), Ok(expected), "{sql}");
        }
    }

    #[test]
    fn copies_go_to_the_client_only() {
        let form = |sql: &str| match Command::parse(sql) {
            Ok(Command::Copy { query, form }) => (query.trim().to_owned(), form),
            other => panic!("{sql}: {other:?}"),
        };
        let (query, text) = form("COPY (SELECT a, (b) FROM t) TO STDOUT");
        assert_eq!(
            (query.as_str(), text.layout, text.delimiter),
            ("SELECT a, (b) FROM t", Layout::Text, b'\t')
        );
        let (query, csv) = form(
            "COPY logs (message, log_group) TO STDOUT WITH (FORMAT csv, HEADER, DELIMITER ';', NULL 'x', FORCE_QUOTE *)",
        );
        assert_eq!(query, "SELECT message, log_group FROM logs");
        assert_eq!(
            (
                csv.layout,
                csv.delimiter,
                csv.null.as_str(),
                csv.has_header,
                csv.quotes_all
            ),
            (Layout::Csv, b';', "x", true, true)
        );
        let (query, csv) = form("copy public.logs to stdout with csv header delimiter as ','");
        assert_eq!(
            (query.as_str(), csv.layout, csv.has_header),
            ("SELECT * FROM public.logs", Layout::Csv, true)
        );
        for sql in [
            "COPY logs FROM STDIN",
            "COPY logs TO '/tmp/out'",
            "COPY logs TO PROGRAM 'cat'",
            "COPY (SELECT 1) TO 's3://acme/x'",
            "COPY logs TO STDOUT WITH (FORMAT parquet)",
            "COPY (SELECT 1 TO STDOUT",
        ] {
            assert!(Command::parse(sql).is_err(), "{sql}");
        }
    }
}
