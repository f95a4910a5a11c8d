//! Calendar units without a zone, and their ids: `2026-11-21T05`, `2026-11-21`, `2026-W47`, `2026-11`.

use std::fmt;

use chrono::{Datelike, Days, Months, NaiveDate, NaiveDateTime, TimeDelta, Timelike, Weekday};
use serde::{Deserialize, Serialize};

/// The calendar unit of a job's windows.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Size {
    /// A local clock hour.
    Hour,
    /// A local calendar day.
    #[default]
    Day,
    /// An ISO 8601 week, from Monday.
    Week,
    /// A calendar month.
    Month,
}

impl Size {
    /// An id of this size, for error messages.
    pub(super) fn example(self) -> &'static str {
        match self {
            Size::Hour => "2026-11-21T05",
            Size::Day => "2026-11-21",
            Size::Week => "2026-W47",
            Size::Month => "2026-11",
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Size::Hour => "hour",
            Size::Day => "day",
            Size::Week => "week",
            Size::Month => "month",
        })
    }
}

/// A calendar unit without a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Unit {
    /// The local time of the unit's first second.
    pub(super) local_start: NaiveDateTime,
}

impl Unit {
    /// The unit of `size` that contains the local time.
    pub fn holding(size: Size, local: NaiveDateTime) -> Self {
        let date = local.date();
        let midnight = |date: NaiveDate| date.and_time(chrono::NaiveTime::MIN);
        let local_start = match size {
            Size::Hour => midnight(date) + TimeDelta::hours(i64::from(local.hour())),
            Size::Day => midnight(date),
            Size::Week => midnight(date.week(Weekday::Mon).first_day()),
            Size::Month => midnight(date - Days::new(u64::from(date.day0()))),
        };
        Self { local_start }
    }

    /// Parses an id of `size`, such as `2026-11-21` for a day.
    pub fn parse(size: Size, id: &str) -> Option<Self> {
        let at = |date: Option<NaiveDate>, hour: u32| date?.and_hms_opt(hour, 0, 0);
        let number = |text: &str, digits: usize| {
            (text.len() == digits && text.bytes().all(|b| b.is_ascii_digit()))
                .then(|| text.parse::<u32>().ok())
                .flatten()
        };
        let date = |text: &str| {
            let mut parts = text.splitn(3, '-');
            let year = number(parts.next()?, 4)?;
            let month = number(parts.next()?, 2)?;
            let day = number(parts.next()?, 2)?;
            NaiveDate::from_ymd_opt(year as i32, month, day)
        };
        let local_start = match size {
            Size::Hour => {
                let (day, hour) = id.split_once('T')?;
                at(date(day), number(hour, 2)?)
            }
            Size::Day => at(date(id), 0),
            Size::Week => {
                let (year, week) = id.split_once("-W")?;
                let year = number(year, 4)? as i32;
                at(
                    NaiveDate::from_isoywd_opt(year, number(week, 2)?, Weekday::Mon),
                    0,
                )
            }
            Size::Month => {
                let (year, month) = id.split_once('-')?;
                let year = number(year, 4)? as i32;
                at(NaiveDate::from_ymd_opt(year, number(month, 2)?, 1), 0)
            }
        }?;
        Some(Self { local_start })
    }

    /// The unit `count` units later, or earlier if `count` is negative; `None` at the end of the calendar.
    pub fn step(self, size: Size, count: i32) -> Option<Self> {
        let start = self.local_start;
        let local_start = match size {
            Size::Hour => start.checked_add_signed(TimeDelta::hours(count.into()))?,
            Size::Day => start.checked_add_signed(TimeDelta::days(count.into()))?,
            Size::Week => start.checked_add_signed(TimeDelta::weeks(count.into()))?,
            Size::Month if count >= 0 => {
                start.checked_add_months(Months::new(count.unsigned_abs()))?
            }
            Size::Month => start.checked_sub_months(Months::new(count.unsigned_abs()))?,
        };
        Some(Self { local_start })
    }

    /// The local date of its start.
    pub fn local_date(self) -> NaiveDate {
        self.local_start.date()
    }

    /// The id, as in keys and on the command line.
    pub fn id(self, size: Size) -> String {
        let format = match size {
            Size::Hour => "%Y-%m-%dT%H",
            Size::Day => "%Y-%m-%d",
            Size::Week => "%G-W%V",
            Size::Month => "%Y-%m",
        };
        self.local_start.format(format).to_string()
    }
}
