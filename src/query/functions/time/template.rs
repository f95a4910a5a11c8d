//! Templates of `to_char`: PostgreSQL's (`YYYY-MM-DD HH24:MI`), and those with `%` of chrono.

use std::fmt::{self, Write};

use chrono::format::{Item, StrftimeItems};
use chrono::{DateTime, Datelike, FixedOffset, NaiveDateTime, Timelike};
use chrono_tz::Tz;
use thiserror::Error;

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

/// How the letters of names are written, as the template's are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// `MON`
    Upper,
    /// `Mon`
    Capital,
    /// `mon`
    Lower,
}

/// A part of a time in PostgreSQL's templates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of PostgreSQL's manual")]
pub enum Field {
    Hour24,
    Hour12,
    Minute,
    Second,
    SecondOfDay,
    /// The fraction of a second to so many digits.
    Fraction(usize),
    HalfOfDay,
    HalfOfDayWithDots,
    YearWithComma,
    /// The last digits of the year.
    Year(usize),
    IsoYear(usize),
    Era,
    EraWithDots,
    Century,
    Month,
    MonthName,
    ShortMonthName,
    RomanMonth,
    Day,
    DayName,
    ShortDayName,
    DayOfYear,
    IsoDayOfYear,
    DayOfWeek,
    IsoDayOfWeek,
    WeekOfMonth,
    WeekOfYear,
    IsoWeek,
    JulianDay,
    Quarter,
    Zone,
    Offset,
    OffsetHours,
    OffsetMinutes,
}

/// Longer ones before those that they begin with.
const FIELDS: [(&str, Field); 51] = [
    ("HH24", Field::Hour24),
    ("HH12", Field::Hour12),
    ("HH", Field::Hour12),
    ("MI", Field::Minute),
    ("SSSSS", Field::SecondOfDay),
    ("SSSS", Field::SecondOfDay),
    ("SS", Field::Second),
    ("MS", Field::Fraction(3)),
    ("US", Field::Fraction(6)),
    ("FF1", Field::Fraction(1)),
    ("FF2", Field::Fraction(2)),
    ("FF3", Field::Fraction(3)),
    ("FF4", Field::Fraction(4)),
    ("FF5", Field::Fraction(5)),
    ("FF6", Field::Fraction(6)),
    ("A.M.", Field::HalfOfDayWithDots),
    ("P.M.", Field::HalfOfDayWithDots),
    ("AM", Field::HalfOfDay),
    ("PM", Field::HalfOfDay),
    ("A.D.", Field::EraWithDots),
    ("B.C.", Field::EraWithDots),
    ("AD", Field::Era),
    ("BC", Field::Era),
    ("Y,YYY", Field::YearWithComma),
    ("YYYY", Field::Year(4)),
    ("YYY", Field::Year(3)),
    ("YY", Field::Year(2)),
    ("Y", Field::Year(1)),
    ("IYYY", Field::IsoYear(4)),
    ("IYY", Field::IsoYear(3)),
    ("IY", Field::IsoYear(2)),
    ("IDDD", Field::IsoDayOfYear),
    ("ID", Field::IsoDayOfWeek),
    ("IW", Field::IsoWeek),
    ("I", Field::IsoYear(1)),
    ("CC", Field::Century),
    ("MONTH", Field::MonthName),
    ("MON", Field::ShortMonthName),
    ("MM", Field::Month),
    ("RM", Field::RomanMonth),
    ("DAY", Field::DayName),
    ("DDD", Field::DayOfYear),
    ("DD", Field::Day),
    ("DY", Field::ShortDayName),
    ("D", Field::DayOfWeek),
    ("WW", Field::WeekOfYear),
    ("W", Field::WeekOfMonth),
    ("J", Field::JulianDay),
    ("Q", Field::Quarter),
    ("TZH", Field::OffsetHours),
    ("TZM", Field::OffsetMinutes),
];

/// Behind those that they begin.
const LAST_FIELDS: [(&str, Field); 2] = [("TZ", Field::Zone), ("OF", Field::Offset)];

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
    let mut fields = FIELDS.iter().chain(&LAST_FIELDS);
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

fn in_case(text: &str, case: Case) -> String {
    match case {
        Case::Upper => text.to_uppercase(),
        Case::Capital => text.to_owned(),
        Case::Lower => text.to_lowercase(),
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

const ROMAN: [&str; 12] = [
    "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII",
];

/// The Julian day of the day before 0001-01-01.
const JULIAN_DAY_0: i32 = 1_721_425;

impl Field {
    fn text(self, shown: &Shown, case: Case, bare: bool) -> String {
        let time = shown.local();
        let number = |value: u32, width: usize| match bare {
            true => value.to_string(),
            false => format!("{value:0width$}"),
        };
        let name = |name: String, width: usize| match bare {
            true => in_case(&name, case),
            false => format!("{:width$}", in_case(&name, case)),
        };
        let last_digits = |year: i32, digits: usize| {
            let year = year.unsigned_abs();
            match digits {
                4 => number(year, 4),
                _ => number(year % 10_u32.pow(digits as u32), digits),
            }
        };
        let afternoon = time.hour() >= 12;
        let offset = shown.offset();
        match self {
            Field::Hour24 => number(time.hour(), 2),
            Field::Hour12 => number(time.hour12().1, 2),
            Field::Minute => number(time.minute(), 2),
            Field::Second => number(time.second(), 2),
            Field::SecondOfDay => time.num_seconds_from_midnight().to_string(),
            Field::Fraction(digits) => {
                let nanos = format!("{:09}", time.nanosecond());
                nanos[..digits].to_owned()
            }
            Field::HalfOfDay => in_case(if afternoon { "PM" } else { "AM" }, upper_or_lower(case)),
            Field::HalfOfDayWithDots => in_case(
                if afternoon { "P.M." } else { "A.M." },
                upper_or_lower(case),
            ),
            Field::Era => in_case(
                if time.year() > 0 { "AD" } else { "BC" },
                upper_or_lower(case),
            ),
            Field::EraWithDots => in_case(
                if time.year() > 0 { "A.D." } else { "B.C." },
                upper_or_lower(case),
            ),
            Field::YearWithComma => {
                let year = time.year().unsigned_abs();
                format!("{},{:03}", year / 1_000, year % 1_000)
            }
            Field::Year(digits) => last_digits(time.year(), digits),
            Field::IsoYear(digits) => last_digits(time.iso_week().year(), digits),
            Field::Century => number((time.year().unsigned_abs() + 99) / 100, 2),
            Field::Month => number(time.month(), 2),
            Field::MonthName => name(time.format("%B").to_string(), "September".len()),
            Field::ShortMonthName => in_case(&time.format("%b").to_string(), case),
            Field::RomanMonth => {
                let roman = ROMAN[time.month0() as usize];
                name(in_case(roman, upper_or_lower(case)), "VIII".len())
            }
            Field::Day => number(time.day(), 2),
            Field::DayName => name(time.format("%A").to_string(), "Wednesday".len()),
            Field::ShortDayName => in_case(&time.format("%a").to_string(), case),
            Field::DayOfYear => number(time.ordinal(), 3),
            Field::IsoDayOfYear => {
                let day = (time.iso_week().week() - 1) * 7 + time.weekday().number_from_monday();
                number(day, 3)
            }
            Field::DayOfWeek => time.weekday().number_from_sunday().to_string(),
            Field::IsoDayOfWeek => time.weekday().number_from_monday().to_string(),
            Field::WeekOfMonth => (time.day0() / 7 + 1).to_string(),
            Field::WeekOfYear => number(time.ordinal0() / 7 + 1, 2),
            Field::IsoWeek => number(time.iso_week().week(), 2),
            Field::JulianDay => (time.num_days_from_ce() + JULIAN_DAY_0).to_string(),
            Field::Quarter => (time.month0() / 3 + 1).to_string(),
            Field::Zone => match case {
                Case::Lower => shown.abbreviation().to_lowercase(),
                _ => shown.abbreviation(),
            },
            Field::Offset => {
                let seconds = offset.unwrap_or_default();
                let minutes = seconds.abs() / 60;
                let mut text = format!("{}{:02}", sign(seconds), minutes / 60);
                if minutes % 60 != 0 {
                    // Writing to a string can't fail.
                    let _ = write!(text, ":{:02}", minutes % 60);
                }
                text
            }
            Field::OffsetHours => {
                let seconds = offset.unwrap_or_default();
                format!("{}{:02}", sign(seconds), seconds.abs() / 3600)
            }
            Field::OffsetMinutes => {
                format!("{:02}", offset.unwrap_or_default().abs() / 60 % 60)
            }
        }
    }
}

fn sign(seconds: i32) -> char {
    if seconds < 0 { '-' } else { '+' }
}

/// `Am` is no way to write it.
fn upper_or_lower(case: Case) -> Case {
    match case {
        Case::Lower => Case::Lower,
        _ => Case::Upper,
    }
}
