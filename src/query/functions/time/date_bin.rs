//! `date_bin` of instants: bins of days are of the calendar.

use std::sync::Arc;

use arrow::array::{Array, PrimitiveArray};
use arrow::datatypes::{DataType, TimeUnit, TimestampMillisecondType};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::super::over_array;
use super::{map_instants, milliseconds, with_clock, zone_of};
use crate::window::buckets::Width;
use crate::window::local_clock::DAY_MS;

/// How the bins of a call of `date_bin` over instants are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bins {
    /// As by `time_bucket` of the same width.
    Buckets,
    /// So many days of the calendar each.
    Days(i64),
    /// So many seconds each, from an origin: as the engine finds them.
    Seconds,
}

impl Bins {
    /// The bins of a constant stride, with or without an origin.
    ///
    /// # Errors
    /// A stride whose bins on the wall clock are not settled by it.
    pub fn of(stride: &ScalarValue, has_origin: bool) -> Result<Self> {
        let (months, days, nanos) = match stride {
            ScalarValue::IntervalMonthDayNano(Some(stride)) => {
                (stride.months, stride.days, stride.nanoseconds)
            }
            ScalarValue::IntervalDayTime(Some(stride)) => {
                (0, stride.days, i64::from(stride.milliseconds) * 1_000_000)
            }
            _ => return Ok(Bins::Seconds),
        };
        let is_bucket = Width::of_interval(months, days, nanos).is_ok();
        match (months, days, nanos) {
            (0, 0, _) if has_origin => Ok(Bins::Seconds),
            (0, 0, _) if is_bucket => Ok(Bins::Buckets),
            // Weeks are counted from the origin, 1970-01-01, a Thursday.
            (0, 1.., 0) if has_origin || days != 1 => Ok(Bins::Days(i64::from(days))),
            (0, 1, 0) => Ok(Bins::Buckets),
            (1.., 0, 0) if !has_origin && 12 % months == 0 => Ok(Bins::Buckets),
            (0, 0, _) => plan_err!(
                "date_bin: bins of {stride} do not begin at the same local times each day: expected an origin as the third argument, or time_bucket('1 hour', timestamp)"
            ),
            _ => plan_err!(
                "date_bin: bins of {stride}: expected days, or hours and less, or time_bucket('1 month', timestamp)"
            ),
        }
    }
}

/// `date_bin` with a stride of days over an instant and an origin, in milliseconds.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct DateBin {
    days: i64,
    signature: Signature,
}

impl DateBin {
    /// Bins of so many days.
    pub fn new(days: i64) -> Self {
        Self {
            days,
            signature: Signature::any(2, Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for DateBin {
    fn name(&self) -> &str {
        "date_bin_days"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [DataType::Timestamp(_, zone), _] => {
                Ok(DataType::Timestamp(TimeUnit::Millisecond, zone.clone()))
            }
            _ => exec_err!("date_bin: expected an instant and an origin"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [instants, ColumnarValue::Scalar(origin)] = args.args.as_slice() else {
            return exec_err!("date_bin: expected a constant origin");
        };
        let origin = milliseconds(&origin.to_array()?)?;
        let width = self.days * DAY_MS;
        with_clock(zone_of(&instants.data_type())?, |clock| {
            over_array(instants, |array| {
                let instants = milliseconds(array)?;
                let origin = match origin.is_valid(0) {
                    true => map_instants(&origin, |instant| clock.local_ms(instant))?[0],
                    false => {
                        return Ok(arrow::array::new_null_array(
                            args.return_field.data_type(),
                            array.len(),
                        ));
                    }
                };
                let starts = map_instants(&instants, |instant| {
                    let local = clock.local_ms(instant)?;
                    clock.first_instant(local - (local - origin).rem_euclid(width))
                })?;
                let starts = PrimitiveArray::<TimestampMillisecondType>::new(
                    starts.into(),
                    instants.nulls().cloned(),
                );
                Ok(Arc::new(
                    starts.with_data_type(args.return_field.data_type().clone()),
                ))
            })
        })
    }
}
