//! Lengths of calendar time, as in `--last 7d` and `compare = "7 days"`.

use std::fmt;
use std::str::FromStr;

use chrono::{Datelike, Months, NaiveDateTime, TimeDelta};

use super::Size;

/// A length of calendar time: a count of hours, days, weeks or months.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub(super) count: u32,
    pub(super) unit: Size,
}

impl Span {
    /// The calendar unit that it counts.
    pub fn unit(self) -> Size {
        self.unit
    }

    /// `local` minus this span; `None` at the end of the calendar.
    pub fn before(self, local: NaiveDateTime) -> Option<NaiveDateTime> {
        let count = i64::from(self.count);
        match self.unit {
            Size::Hour => local.checked_sub_signed(TimeDelta::try_hours(count)?),
            Size::Day => local.checked_sub_signed(TimeDelta::try_days(count)?),
            Size::Week => local.checked_sub_signed(TimeDelta::try_weeks(count)?),
            Size::Month => local.checked_sub_months(Months::new(self.count)),
        }
    }

    /// `local` minus this span, with the same day of the month; `None` where that month has no such day.
    pub fn same_before(self, local: NaiveDateTime) -> Option<NaiveDateTime> {
        let is_same =
            |earlier: &NaiveDateTime| self.unit != Size::Month || earlier.day() == local.day();
        self.before(local).filter(is_same)
    }

    /// Its length in windows of `size`; `None` unless it is the same whole number everywhere in the calendar.
    pub fn windows(self, size: Size) -> Option<i32> {
        let each = match (self.unit, size) {
            (Size::Hour, Size::Hour) | (Size::Day, Size::Day) => 1,
            (Size::Week, Size::Week) | (Size::Month, Size::Month) => 1,
            (Size::Day, Size::Hour) => 24,
            (Size::Week, Size::Hour) => 7 * 24,
            (Size::Week, Size::Day) => 7,
            (Size::Day, Size::Week) if self.count.is_multiple_of(7) => {
                return i32::try_from(self.count / 7).ok();
            }
            _ => return None,
        };
        i32::try_from(self.count).ok()?.checked_mul(each)
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is not a valid span of time: expected a count and a unit, such as 24h, 7d, 2w or 3mo"
            )
        };
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (count, unit) = text.split_at(digits);
        let unit = match unit {
            "h" | " hour" | " hours" => Size::Hour,
            "d" | " day" | " days" => Size::Day,
            "w" | " week" | " weeks" => Size::Week,
            "mo" | " month" | " months" => Size::Month,
            "" if !count.is_empty() => {
                return Err(format!(
                    "{text:?} has no unit: expected one such as {text}h, {text}d, {text}w or {text}mo"
                ));
            }
            _ => return Err(wrong()),
        };
        match count.parse() {
            Ok(0) | Err(_) => Err(wrong()),
            Ok(count) => Ok(Self { count, unit }),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.unit {
            Size::Hour => "h",
            Size::Day => "d",
            Size::Week => "w",
            Size::Month => "mo",
        };
        write!(f, "{}{unit}", self.count)
    }
}
