//! `time_bucket`, which `date_trunc` and most uses of `date_bin` become too.

use std::cell::Cell;
use std::sync::Arc;

use arrow::array::{Array, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field, FieldRef, IntervalUnit, TimeUnit};
use datafusion::common::{DataFusionError, Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature,
    Volatility,
};

use super::super::{described, over_array};
use super::{instant_type, map_instants, milliseconds, zone_of};
use crate::window::buckets::{Buckets, Width};

/// `time_bucket(width, timestamp)`: the first instant of the bucket of local time that contains an instant, in
/// milliseconds and the instant's zone.
///
/// The width is a constant: a text such as `'15 minutes'`, or an interval; see [`Width`].
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct TimeBucket {
    session_zone: Arc<str>,
    signature: Signature,
}

impl TimeBucket {
    /// For a session in a zone.
    pub fn new(session_zone: &Arc<str>) -> Self {
        TimeBucket {
            session_zone: Arc::clone(session_zone),
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for TimeBucket {
    fn name(&self) -> &str {
        "time_bucket"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [width, timestamp] = types else {
            return plan_err!(
                "time_bucket has {} arguments: expected a width and a timestamp, as in time_bucket('1 hour', timestamp)",
                types.len()
            );
        };
        let width = match width {
            DataType::Interval(_) => DataType::Interval(IntervalUnit::MonthDayNano),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => width.clone(),
            other => {
                return plan_err!(
                    "time_bucket: invalid width of type {other}: expected a text such as '1 hour', or an interval"
                );
            }
        };
        let timestamp = instant_type(self.name(), timestamp, &self.session_zone)?;
        Ok(vec![width, timestamp])
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types.get(1) {
            Some(DataType::Timestamp(_, zone)) => {
                Ok(DataType::Timestamp(TimeUnit::Millisecond, zone.clone()))
            }
            _ => exec_err!("time_bucket: expected a width and a timestamp"),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        // Check the width when the query is planned, which is before anything is exported.
        if let Some(Some(width)) = args.scalar_arguments.first() {
            width_of(width)?;
        }
        let types: Vec<DataType> = args
            .arg_fields
            .iter()
            .map(|field| field.data_type().clone())
            .collect();
        let data_type = self.return_type(&types)?;
        Ok(Arc::new(Field::new(self.name(), data_type, true)))
    }

    fn documentation(&self) -> Option<&Documentation> {
        described::of(self.name())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [ColumnarValue::Scalar(width), timestamps] = args.args.as_slice() else {
            return exec_err!(
                "time_bucket: expected a constant width, such as '1 hour', and a timestamp"
            );
        };
        thread_local! {
            static LAST: Cell<Option<Buckets>> = const { Cell::new(None) };
        }
        let (zone, width) = (zone_of(&timestamps.data_type())?, width_of(width)?);
        let last = LAST.take().filter(|last| last.are_of(zone, width));
        let mut buckets = last.unwrap_or_else(|| Buckets::new(zone, width));
        let starts = over_array(timestamps, |array| {
            let instants = milliseconds(array)?;
            let starts = map_instants(&instants, |instant| buckets.start(instant))?;
            let starts = TimestampMillisecondArray::new(starts.into(), instants.nulls().cloned());
            Ok(Arc::new(
                starts.with_data_type(args.return_field.data_type().clone()),
            ))
        });
        LAST.set(Some(buckets));
        starts
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        // A later instant never has an earlier bucket.
        Ok(match inputs {
            [width, timestamp] if width.sort_properties == SortProperties::Singleton => {
                timestamp.sort_properties
            }
            _ => SortProperties::Unordered,
        })
    }
}

pub(super) fn width_of(value: &ScalarValue) -> Result<Width> {
    let width = match value {
        ScalarValue::IntervalMonthDayNano(Some(interval)) => {
            Width::of_interval(interval.months, interval.days, interval.nanoseconds)
        }
        ScalarValue::IntervalDayTime(Some(interval)) => Width::of_interval(
            0,
            interval.days,
            i64::from(interval.milliseconds) * 1_000_000,
        ),
        ScalarValue::IntervalYearMonth(Some(months)) => Width::of_interval(*months, 0, 0),
        text => match text.try_as_str() {
            Some(Some(text)) => Width::parse(text),
            _ => {
                return plan_err!(
                    "time_bucket: invalid width {value}: expected a text such as '1 hour'"
                );
            }
        },
    };
    width.map_err(|error| DataFusionError::Plan(error.to_string()))
}
