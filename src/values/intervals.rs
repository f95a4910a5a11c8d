//! Lengths of time as PostgreSQL writes them: `7 days 17:31:07.353`.

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, DurationMillisecondType, IntervalDayTimeType,
    IntervalMonthDayNanoType, IntervalUnit, IntervalYearMonthType, TimeUnit,
};
use std::sync::Arc;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// The column as texts, if it is one of lengths of time.
pub fn in_words(column: &ArrayRef) -> Option<ArrayRef> {
    let texts = match column.data_type() {
        DataType::Duration(_) => {
            let ms = cast(column, &DataType::Duration(TimeUnit::Millisecond)).ok()?;
            texts(ms.as_primitive::<DurationMillisecondType>(), |ms| {
                length(0, ms / DAY_MS, ms % DAY_MS)
            })
        }
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            texts(column.as_primitive::<IntervalMonthDayNanoType>(), |it| {
                length(it.months.into(), it.days.into(), it.nanoseconds / 1_000_000)
            })
        }
        DataType::Interval(IntervalUnit::DayTime) => {
            texts(column.as_primitive::<IntervalDayTimeType>(), |it| {
                length(0, it.days.into(), it.milliseconds.into())
            })
        }
        DataType::Interval(IntervalUnit::YearMonth) => {
            texts(column.as_primitive::<IntervalYearMonthType>(), |months| {
                length(months.into(), 0, 0)
            })
        }
        _ => return None,
    };
    Some(Arc::new(texts))
}

fn texts<T: ArrowPrimitiveType>(
    column: &PrimitiveArray<T>,
    text: impl Fn(T::Native) -> String,
) -> StringArray {
    column.iter().map(|value| value.map(&text)).collect()
}

fn length(months: i64, days: i64, ms: i64) -> String {
    let mut parts = Vec::new();
    for (number, one, several) in [
        (months / 12, "year", "years"),
        (months % 12, "mon", "mons"),
        (days, "day", "days"),
    ] {
        match number {
            0 => {}
            1 => parts.push(format!("1 {one}")),
            number => parts.push(format!("{number} {several}")),
        }
    }
    if ms != 0 || parts.is_empty() {
        let sign = if ms < 0 { "-" } else { "" };
        let ms = ms.unsigned_abs();
        let (seconds, fraction) = (ms / 1000, ms % 1000);
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        let mut time = format!("{sign}{hours:02}:{minutes:02}:{:02}", seconds % 60);
        if fraction != 0 {
            time += format!(".{fraction:03}").trim_end_matches('0');
        }
        parts.push(time);
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_written_as_in_postgresql() {
        for (months, days, ms, expected) in [
            (0, 7, 63_067_353, "7 days 17:31:07.353"),
            (0, 0, 0, "00:00:00"),
            (0, 1, 0, "1 day"),
            (0, 0, 500, "00:00:00.5"),
            (0, -7, -63_067_000, "-7 days -17:31:07"),
            (14, 0, 0, "1 year 2 mons"),
            (1, 0, 90_000_000, "1 mon 25:00:00"),
        ] {
            assert_eq!(length(months, days, ms), expected);
        }
    }
}
