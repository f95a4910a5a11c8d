//! The parts of a time in PostgreSQL's templates, and how each is written.

use std::fmt::Write;

use chrono::{Datelike, Timelike};

use super::Shown;

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

/// The letters of each, longer ones before those that they begin with.
pub const FIELDS: [(&str, Field); 53] = [
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
    ("TZ", Field::Zone),
    ("OF", Field::Offset),
];

/// A name with the letters of a case.
pub fn in_case(text: &str, case: Case) -> String {
    match case {
        Case::Upper => text.to_uppercase(),
        Case::Capital => text.to_owned(),
        Case::Lower => text.to_lowercase(),
    }
}

const ROMAN: [&str; 12] = [
    "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII",
];

/// The Julian day of the day before 0001-01-01.
const JULIAN_DAY_0: i32 = 1_721_425;

impl Field {
    /// The part of a time, with its letters in a case, and without padding where it is `bare`.
    pub fn text(self, shown: &Shown, case: Case, bare: bool) -> String {
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
            Field::Century => number(time.year().unsigned_abs().div_ceil(100), 2),
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
