//! `extract` and `date_part` of instants, in the local time of their zone.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, Int32Array};
use arrow::datatypes::DataType;
use chrono::{DateTime, Datelike, NaiveDate};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::super::over_array;
use super::{map_instants, milliseconds, with_clock, zone_of};
use crate::window::local_clock::{DAY_MS, HOUR_MS, MINUTE_MS, OutOfRange};

/// A part of a local time that is found without looking at every instant's date: events follow each other, so that the
/// next one is mostly of the same day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Part {
    Minute,
    Day,
    DayOfWeek,
    IsoDayOfWeek,
    DayOfYear,
    Week,
    Month,
    Quarter,
    Year,
    IsoYear,
}

impl Part {
    /// By the names that the engine takes.
    fn named(name: &str) -> Option<Self> {
        Some(match name.trim().to_ascii_lowercase().as_str() {
            "minute" | "minutes" | "min" | "mins" | "m" => Part::Minute,
            "day" | "days" | "d" => Part::Day,
            "dow" => Part::DayOfWeek,
            "isodow" => Part::IsoDayOfWeek,
            "doy" => Part::DayOfYear,
            "week" | "weeks" | "w" => Part::Week,
            "month" | "months" | "mon" | "mons" => Part::Month,
            "quarter" | "qtr" => Part::Quarter,
            "year" | "years" | "y" | "yr" | "yrs" => Part::Year,
            "isoyear" => Part::IsoYear,
            _ => return None,
        })
    }

    fn of_date(self, date: NaiveDate) -> i32 {
        // Small numbers all, but the years, which are i32.
        match self {
            Part::Minute => 0,
            Part::Day => date.day() as i32,
            Part::DayOfWeek => date.weekday().num_days_from_sunday() as i32,
            Part::IsoDayOfWeek => date.weekday().number_from_monday() as i32,
            Part::DayOfYear => date.ordinal() as i32,
            Part::Week => date.iso_week().week() as i32,
            Part::Month => date.month() as i32,
            Part::Quarter => date.quarter() as i32,
            Part::Year => date.year(),
            Part::IsoYear => date.iso_week().year(),
        }
    }
}

/// A part of the date, or the minute, of an instant.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct DatePart {
    part: Part,
    signature: Signature,
}

impl DatePart {
    /// The part of this name; `None` for those that the engine finds.
    pub fn named(name: &str) -> Option<Self> {
        Some(Self {
            part: Part::named(name)?,
            signature: Signature::any(1, Volatility::Immutable),
        })
    }
}

impl ScalarUDFImpl for DatePart {
    fn name(&self) -> &str {
        match self.part {
            Part::Minute => "minute",
            Part::Day => "day",
            Part::DayOfWeek => "dow",
            Part::IsoDayOfWeek => "isodow",
            Part::DayOfYear => "doy",
            Part::Week => "week",
            Part::Month => "month",
            Part::Quarter => "quarter",
            Part::Year => "year",
            Part::IsoYear => "isoyear",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int32)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [instants] = args.args.as_slice() else {
            return exec_err!("{}: expected one timestamp", self.name());
        };
        with_clock(zone_of(&instants.data_type())?, |clock| {
            over_array(instants, |array| {
                let instants = milliseconds(array)?;
                let values = match self.part {
                    Part::Minute => map_instants(&instants, |instant| {
                        let minute = clock.local_ms(instant)?.rem_euclid(HOUR_MS) / MINUTE_MS;
                        Ok(minute as i32)
                    })?,
                    part => {
                        let mut day = Day::default();
                        map_instants(&instants, |instant| {
                            day.value(clock.local_ms(instant)?, part)
                        })?
                    }
                };
                let values = Int32Array::new(values.into(), instants.nulls().cloned());
                Ok(Arc::new(values))
            })
        })
    }
}

/// The last local day, and the value of all its times.
#[derive(Default)]
struct Day {
    local: Range<i64>,
    value: i32,
}

impl Day {
    #[inline]
    fn value(&mut self, local_ms: i64, part: Part) -> Result<i32, OutOfRange> {
        if !self.local.contains(&local_ms) {
            let time = DateTime::from_timestamp_millis(local_ms).ok_or(OutOfRange(local_ms))?;
            let midnight = local_ms - local_ms.rem_euclid(DAY_MS);
            self.local = midnight..midnight + DAY_MS;
            self.value = part.of_date(time.date_naive());
        }
        Ok(self.value)
    }
}
