//! What a client is sent where a statement fails: PostgreSQL's code of the error (SQLSTATE), the message, the hint, and the
//! place in the SQL.
//!
//! Source of the codes: <https://www.postgresql.org/docs/15/errcodes-appendix.html>.

use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::response::{ErrorResponse, NoticeResponse};

use crate::chart::text::printable;
use crate::error::{Class, Error};

/// The name of the SQL in errors of this crate.
pub const ORIGIN: &str = "SQL";

/// An error as a client is sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The five characters of its code.
    pub code: &'static str,
    /// One sentence.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
    /// The place in the SQL, in characters from 1.
    pub position: Option<usize>,
}

/// Why the work for a statement ended before its end.
#[derive(Debug)]
pub enum End {
    /// The statement fails, and the connection goes on.
    Refused(Refusal),
    /// The connection ends with this error.
    Fatal(Refusal),
    /// The client is gone.
    Gone,
}

impl Refusal {
    /// An error of a code.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: None,
            position: None,
        }
    }

    /// The same with what to write instead.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// An error of this crate over the SQL of a client.
    pub fn of(error: &Error, sql: &str) -> Self {
        let message = error.message();
        let (place, message) = without_place(&message);
        Self {
            code: code(error.class(), message),
            message: message.to_owned(),
            hint: error.hint().map(str::to_owned),
            position: place.map(|place| position(sql, place)),
        }
    }

    /// The message of the protocol.
    pub fn response(&self, severity: &str) -> PgWireBackendMessage {
        PgWireBackendMessage::ErrorResponse(ErrorResponse::new(self.fields(severity)))
    }

    /// The same as a notice, which ends nothing.
    pub fn notice(&self) -> PgWireBackendMessage {
        PgWireBackendMessage::NoticeResponse(NoticeResponse::new(self.fields("WARNING")))
    }

    /// Clients print messages as they are, and a text of the protocol ends at its first zero: both can stand in a value or a name
    /// that the message quotes.
    fn fields(&self, severity: &str) -> Vec<(u8, String)> {
        let text = |text: &str| printable(text).into_owned();
        let mut fields = vec![
            (b'S', severity.to_owned()),
            (b'V', severity.to_owned()),
            (b'C', self.code.to_owned()),
            (b'M', text(&self.message)),
        ];
        fields.extend(self.hint.as_deref().map(|hint| (b'H', text(hint))));
        fields.extend(self.position.map(|at| (b'P', at.to_string())));
        fields
    }
}

impl From<Refusal> for End {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<std::io::Error> for End {
    /// What can't be sent has no reader.
    fn from(_: std::io::Error) -> Self {
        Self::Gone
    }
}

/// Line and column, both from 1, in front of a message: `SQL:1:8: column "x" does not exist`.
fn without_place(message: &str) -> (Option<(usize, usize)>, &str) {
    let Some(rest) = message.strip_prefix(ORIGIN) else {
        return (None, message);
    };
    if let Some(rest) = rest.strip_prefix(": ") {
        return (None, rest);
    }
    let placed = rest.strip_prefix(':').and_then(|rest| {
        let (place, rest) = rest.split_once(": ")?;
        let (line, column) = place.split_once(':')?;
        Some(((line.parse().ok()?, column.parse().ok()?), rest))
    });
    match placed {
        Some((place, rest)) => (Some(place), rest),
        None => (None, message),
    }
}

/// A line and a column as the number of a character, from 1.
fn position(sql: &str, (line, column): (usize, usize)) -> usize {
    let before = sql.split_inclusive('\n').take(line.saturating_sub(1));
    before.map(|line| line.chars().count()).sum::<usize>() + column
}

fn code(class: Class, message: &str) -> &'static str {
    let has = |part: &str| message.contains(part);
    match class {
        Class::Usage => match () {
            () if has("parameter $") => "42P02",
            () => "22023",
        },
        Class::Damaged => "XX001",
        Class::Source | Class::Output | Class::ExportLate | Class::Held | Class::Workers => "58030",
        Class::Interrupted | Class::Terminated => "57P01",
        Class::Unexpected => "XX000",
        Class::Sql => match () {
            () if has("takes longer than") => "57014",
            () if has("needs more memory") || has("more memory than") => "53200",
            () if has("not allowed") || has("can only read") => "25006",
            () if message.starts_with("parameter $") => "42P02",
            () if has("does not exist") && has("column") => "42703",
            () if has("does not exist") && has("function") => "42883",
            () if has("does not exist") && has("type") => "42704",
            () if has("does not exist") && has("table") => "42P01",
            () if has("there is a table") => "42P07",
            () if has("ambiguous") => "42702",
            () if has("zero") && has("divi") => "22012",
            () if has("GROUP BY") => "42803",
            () if has("is no time") || has("is no date") => "22007",
            () if has("too large") || has("out of range") => "22003",
            () if has("can't be read as") || has("invalid input") || has("is no number") => "22P02",
            () if has("can't be carried out") => "0A000",
            // The parser and the checks behind it.
            () => "42601",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_a_number_of_characters() {
        let sql = "SELECT 'é',\n  nope FROM logs";
        let error = Error::new(Class::Sql, "SQL:2:3: column \"nope\" does not exist")
            .with_hint("write message");
        let refusal = Refusal::of(&error, sql);
        assert_eq!(refusal.position, Some(15));
        assert_eq!(sql.chars().skip(14).take(4).collect::<String>(), "nope");
        assert_eq!(refusal.message, "column \"nope\" does not exist");
        assert_eq!(
            (refusal.code, refusal.hint.as_deref()),
            ("42703", Some("write message"))
        );
    }

    #[test]
    fn a_message_quotes_no_character_that_ends_it_or_acts_on_a_terminal() {
        let refusal = Refusal::new("22P02", "a\0b\u{1b}[2J").with_hint("c\0d\u{202e}");
        let fields = refusal.fields("ERROR");
        let text = |kind: u8| &fields.iter().find(|(of, _)| *of == kind).unwrap().1;
        assert_eq!(text(b'M'), "a\\u{0}b\\u{1b}[2J");
        assert_eq!(text(b'H'), "c\\u{0}d\\u{202e}");
    }

    #[test]
    fn other_texts_have_no_place() {
        for (message, expected) in [
            ("SQL: no rows", "no rows"),
            ("SQL:a:b: text", "SQL:a:b: text"),
            ("the object is cut", "the object is cut"),
        ] {
            assert_eq!(without_place(message), (None, expected));
        }
        let damaged = Error::damaged("exports/a.gz: cut");
        assert_eq!(Refusal::of(&damaged, "").code, "XX001");
    }
}
