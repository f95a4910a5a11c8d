//! Templates of `to_char`: PostgreSQL's (`YYYY-MM-DD HH24:MI`), and those with `%` of chrono.

mod fields;

use std::fmt::{self, Write};

use chrono::format::{Item, StrftimeItems};
use chrono::{DateTime, FixedOffset, NaiveDateTime};
use chrono_tz::Tz;
use thiserror::Error;

pub use fields::Field;
use fields::{Case, FIELDS, in_case};

/// A template that is not understood.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("to_char: the template {template:?} has {part:?}, {why}")]
pub struct BadTemplate {
    template: String,
    part: String,
    why: &'static str,
}

const UNKNOWN: &str = "which is no part of a time: expected PostgreSQL's, such as 'YYYY-MM-DD HH24:MI', with text in double quotes, or those with %, such as '%Y-%m-%d %H:%M'";

/// A time to write: what the wall clock shows, and where it stands.
#[derive(Debug, Clone, Copy)]
pub enum Shown {
    /// In a zone of the tz database.
    In(DateTime<Tz>),
    /// At an offset from UTC.
    At(DateTime<FixedOffset>),
    /// Without a zone.
    Local(NaiveDateTime),
}

impl Shown {
    fn local(&self) -> NaiveDateTime {
        match self {
            Shown::In(time) => time.naive_local(),
            Shown::At(time) => time.naive_local(),
            Shown::Local(time) => *time,
        }
    }

    fn offset(&self) -> Option<i32> {
        use chrono::Offset;
        match self {
            Shown::In(time) => Some(time.offset().fix().local_minus_utc()),
            Shown::At(time) => Some(time.offset().local_minus_utc()),
            Shown::Local(_) => None,
        }
    }

    /// The zone's abbreviation, such as `KST`.
    fn abbreviation(&self) -> String {
        match self {
            Shown::In(time) => time.format("%Z").to_string(),
            Shown::At(time) => time.format("%Z").to_string(),
            Shown::Local(_) => String::new(),
        }
    }
}

/// A template, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Template {
    /// With `%`.
    Chrono(Vec<Item<'static>>),
    /// PostgreSQL's.
    Postgres(Vec<Piece>),
}

/// A piece of PostgreSQL's template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Text as it stands.
    Text(String),
    /// A part of the time.
    Part {
        /// Which.
        field: Field,
        /// Its letters.
        case: Case,
        /// Without padding (`FM`).
        bare: bool,
        /// As an ordinal number (`TH`).
        ordinal: Option<Case>,
    },
}

impl Template {
    /// Reads a template. One with a `%` is chrono's.
    ///
    /// # Errors
    /// A part that is unknown.
    pub fn parse(template: &str) -> Result<Self, BadTemplate> {
        let bad = |part: &str, why| BadTemplate {
            template: template.to_owned(),
            part: part.to_owned(),
            why,
        };
        if template.contains('%') {
            let items = StrftimeItems::new(template).parse_to_owned();
            return match items {
                Ok(items) => Ok(Template::Chrono(items)),
                Err(_) => Err(bad("%", "with an unknown letter behind it")),
            };
        }
        let mut pieces = Vec::new();
        let mut rest = template;
        while let Some(first) = rest.chars().next() {
            if first == '"' {
                let (text, after) = quoted(rest);
                push_text(&mut pieces, &text);
                rest = after;
            } else if let Some((piece, after)) = part(rest) {
                pieces.push(piece);
                rest = after;
            } else if first.is_ascii_alphabetic() {
                let word = rest.split(|c: char| !c.is_ascii_alphanumeric()).next();
                return Err(bad(word.unwrap_or_default(), UNKNOWN));
            } else {
                // A backslash stands before a double quote that is meant.
                let text = match rest.strip_prefix("\\\"") {
                    Some(_) => "\"",
                    None => &rest[..first.len_utf8()],
                };
                push_text(&mut pieces, text);
                rest = rest
                    .strip_prefix("\\\"")
                    .unwrap_or(&rest[first.len_utf8()..]);
            }
        }
        Ok(Template::Postgres(pieces))
    }

    /// Writes a time.
    ///
    /// # Errors
    /// `%Z` and the like for a time without a zone.
    pub fn write(&self, shown: &Shown, out: &mut String) -> fmt::Result {
        match self {
            Template::Chrono(items) => {
                let items = items.iter();
                match shown {
                    Shown::In(time) => write!(out, "{}", time.format_with_items(items)),
                    Shown::At(time) => write!(out, "{}", time.format_with_items(items)),
                    Shown::Local(time) => write!(out, "{}", time.format_with_items(items)),
                }
            }
            Template::Postgres(pieces) => {
                for piece in pieces {
                    match piece {
                        Piece::Text(text) => out.push_str(text),
                        Piece::Part {
                            field,
                            case,
                            bare,
                            ordinal,
                        } => {
                            let text = field.text(shown, *case, *bare);
                            out.push_str(&text);
                            if let Some(case) = ordinal {
                                out.push_str(&in_case(ordinal_suffix(&text), *case));
                            }
                        }
                    }
                }
                Ok(())
            }
        }
    }
}

fn push_text(pieces: &mut Vec<Piece>, text: &str) {
    match pieces.last_mut() {
        Some(Piece::Text(before)) => before.push_str(text),
        _ => pieces.push(Piece::Text(text.to_owned())),
    }
}

/// The text in double quotes at the start, and what is behind it. Without an end it is all of the rest, as in PostgreSQL.
fn quoted(rest: &str) -> (String, &str) {
    let mut text = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (text, &rest[at + 1..]),
            '\\' => text.extend(chars.next().map(|(_, c)| c)),
            c => text.push(c),
        }
    }
    (text, "")
}

/// The part at the start of the rest of a template, with what modifies it.
fn part(rest: &str) -> Option<(Piece, &str)> {
    let (bare, rest) = match strip(rest, "FM") {
        Some((_, rest)) => (true, rest),
        None => (false, rest),
    };
    let mut fields = FIELDS.iter();
    let (letters, after, field) = fields.find_map(|(name, field)| {
        let (letters, after) = strip(rest, name)?;
        Some((letters, after, *field))
    })?;
    let (ordinal, after) = match strip(after, "TH") {
        // `DDTHH24` means a T between the date and the time, not 21ST.
        Some((letters, after)) if !after.starts_with(|c: char| c.is_ascii_alphanumeric()) => {
            (Some(case_of(letters)), after)
        }
        _ => (None, after),
    };
    let piece = Piece::Part {
        field,
        case: case_of(letters),
        bare,
        ordinal,
    };
    Some((piece, after))
}

fn strip<'a>(text: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
    let (start, rest) = text.split_at_checked(name.len())?;
    start.eq_ignore_ascii_case(name).then_some((start, rest))
}

fn case_of(letters: &str) -> Case {
    let mut letters = letters.chars().filter(char::is_ascii_alphabetic);
    let is_upper = |c: Option<char>| c.is_some_and(|c| c.is_ascii_uppercase());
    match (is_upper(letters.next()), is_upper(letters.next())) {
        (true, true) => Case::Upper,
        (true, false) => Case::Capital,
        (false, _) => Case::Lower,
    }
}

fn ordinal_suffix(number: &str) -> &'static str {
    let digits: Vec<u8> = number.bytes().filter(u8::is_ascii_digit).collect();
    match digits.as_slice() {
        [.., b'1', _] => "th",
        [.., b'1'] => "st",
        [.., b'2'] => "nd",
        [.., b'3'] => "rd",
        _ => "th",
    }
}
