//! An instant plus or minus an interval, as in PostgreSQL: months and days are of the calendar, so `1 day` keeps the
//! local time of day; hours and less are so many seconds.

use arrow::array::{Array, ArrayRef, AsArray, TimestampMillisecondArray, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit};
use chrono::{DateTime, Months};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::super::over_array;
use super::convert::shift;
use super::{milliseconds, out_of_range, with_clock, zone_of};
use crate::window::local_clock::{DAY_MS, LocalClock, OutOfRange};

/// `timestamp + interval` or `timestamp - interval`, over an instant. What of the interval is less than a millisecond is
/// cut.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct AddInterval {
    /// Whether the interval is subtracted.
    minus: bool,
    signature: Signature,
}

impl AddInterval {
    /// The sum, or the difference.
    pub fn new(minus: bool) -> Self {
        Self {
            minus,
            signature: Signature::any(2, Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for AddInterval {
    fn name(&self) -> &str {
        match self.minus {
            false => "add_interval",
            true => "subtract_interval",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [instant @ DataType::Timestamp(_, Some(_)), _] => Ok(instant.clone()),
            _ => exec_err!("{}: expected an instant and an interval", self.name()),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [instants, interval] = args.args.as_slice() else {
            return exec_err!("{}: expected an instant and an interval", self.name());
        };
        let zone = zone_of(&instants.data_type())?;
        let interval = interval.cast_to(&DataType::Interval(IntervalUnit::MonthDayNano), None)?;
        with_clock(zone, |clock| match &interval {
            ColumnarValue::Scalar(value) => {
                let interval = value.to_array()?;
                let interval = interval.as_primitive::<IntervalMonthDayNanoType>();
                let step = interval
                    .is_valid(0)
                    .then(|| Step::of(interval.value(0), self.minus));
                over_array(instants, |array| add(array, step, clock))
            }
            ColumnarValue::Array(intervals) => {
                let array = instants.to_array(intervals.len())?;
                add_each(&array, intervals, self.minus, clock).map(ColumnarValue::Array)
            }
        })
    }
}

/// What is added to an instant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    months: i64,
    days: i64,
    ms: i64,
}

impl Step {
    pub(super) fn of(interval: IntervalMonthDayNano, minus: bool) -> Self {
        let sign = if minus { -1 } else { 1 };
        Self {
            months: sign * i64::from(interval.months),
            days: sign * i64::from(interval.days),
            // What is less than a millisecond is cut.
            ms: sign * (interval.nanoseconds / 1_000_000),
        }
    }

    fn is_time(self) -> bool {
        self.months == 0 && self.days == 0
    }

    pub(super) fn from(self, instant_ms: i64, clock: &mut LocalClock) -> Result<i64, OutOfRange> {
        let date = match self.is_time() {
            true => instant_ms,
            false => {
                let local_ms = plus_months(clock.local_ms(instant_ms)?, self.months)?;
                clock.instant_ms(local_ms.saturating_add(self.days.saturating_mul(DAY_MS)))?
            }
        };
        date.checked_add(self.ms).ok_or(OutOfRange(instant_ms))
    }
}

/// The same day of another month, or its last day.
fn plus_months(local_ms: i64, months: i64) -> Result<i64, OutOfRange> {
    if months == 0 {
        return Ok(local_ms);
    }
    let distance = u32::try_from(months.unsigned_abs()).map(Months::new);
    let date = DateTime::from_timestamp_millis(local_ms);
    let moved = date
        .zip(distance.ok())
        .and_then(|(date, distance)| match months < 0 {
            true => date.checked_sub_months(distance),
            false => date.checked_add_months(distance),
        });
    let moved = moved.ok_or(OutOfRange(local_ms))?;
    Ok(moved.timestamp_millis())
}

fn add(array: &ArrayRef, step: Option<Step>, clock: &mut LocalClock) -> Result<ArrayRef> {
    let (data_type, Some(step)) = (array.data_type(), step) else {
        return Ok(new_null_array(array.data_type(), array.len()));
    };
    shift(array, data_type, |instant| {
        step.from(instant, clock).map(|moved| moved - instant)
    })
}

fn add_each(
    array: &ArrayRef,
    intervals: &ArrayRef,
    minus: bool,
    clock: &mut LocalClock,
) -> Result<ArrayRef> {
    let instants = milliseconds(array)?;
    let intervals = intervals.as_primitive::<IntervalMonthDayNanoType>().iter();
    let moved =
        instants
            .iter()
            .zip(intervals)
            .map(|(instant, interval)| match (instant, interval) {
                (Some(instant), Some(interval)) => {
                    let moved = Step::of(interval, minus).from(instant, clock);
                    moved.map(Some).map_err(out_of_range)
                }
                _ => Ok(None),
            });
    let moved: TimestampMillisecondArray = moved.collect::<Result<_>>()?;
    let moved = moved.with_data_type(instants.data_type().clone());
    Ok(cast(&moved, array.data_type())?)
}
