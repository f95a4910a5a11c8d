//! The SQL functions of local time in the job's zone: `time_bucket`, `local_time`, `hour_of_day`, `utc_offset`; and `now`.
//!
//! The zone is the session's `execution.time_zone`. Timestamps may have any unit; without a zone they are UTC.
//!
//! Each thread keeps its clock from batch to batch, since the zone's offsets cost more to find than a small batch does.

use super::over_array;
use crate::window::buckets::{Buckets, Width, hour_of_day};
use crate::window::local_clock::{DAY_MS, HOUR_MS, LocalClock, MINUTE_MS, OutOfRange, SECOND_MS};
use arrow::array::{
    Array, ArrayRef, AsArray, Int32Array, StringBuilder, TimestampMillisecondArray,
};
use arrow::datatypes::{
    DataType, Field, FieldRef, IntervalUnit, TimeUnit, TimestampMicrosecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use chrono_tz::Tz;
use datafusion::common::config::ConfigOptions;
use datafusion::common::{DataFusionError, Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use std::cell::Cell;
use std::fmt::Write;
use std::sync::Arc;

/// `time_bucket(width, timestamp)`: the first instant of the bucket of local time that contains an instant, as
/// Timestamp(ms, UTC).
///
/// The width is a constant: a text such as `'15 minutes'`, or an interval; see [`Width`].
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct TimeBucket {
    signature: Signature,
}

impl TimeBucket {
    pub(super) fn new() -> Self {
        TimeBucket {
            signature: reads_session_zone(),
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
        Ok(vec![width, instant_type(self.name(), timestamp)?])
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(utc_milliseconds())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        // Check the width when the query is planned, which is before anything is exported.
        if let Some(Some(width)) = args.scalar_arguments.first() {
            width_of(width)?;
        }
        Ok(Arc::new(Field::new(self.name(), utc_milliseconds(), true)))
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
        let (zone, width) = (session_zone(&args.config_options)?, width_of(width)?);
        let last = LAST.take().filter(|last| last.are_of(zone, width));
        let mut buckets = last.unwrap_or_else(|| Buckets::new(zone, width));
        let starts = over_array(timestamps, |array| {
            let instants = milliseconds(array)?;
            let starts = map_instants(&instants, |instant| buckets.start(instant))?;
            let starts = TimestampMillisecondArray::new(starts.into(), instants.nulls().cloned());
            Ok(Arc::new(starts.with_timezone("UTC")))
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

/// The part of a wall clock that a function returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum ClockPart {
    LocalTime,
    HourOfDay,
    UtcOffset,
}

/// The functions of one timestamp:
/// - `local_time(timestamp)`: the local time, as Timestamp(ms) without a zone;
/// - `hour_of_day(timestamp)`: the local hour, 0 to 23, as Int32;
/// - `utc_offset(timestamp)`: the offset from UTC as text: `+09:00`, or `-04:56:02` if it has seconds.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct WallClock {
    part: ClockPart,
    signature: Signature,
}

impl WallClock {
    pub(super) fn all() -> [Self; 3] {
        [
            ClockPart::LocalTime,
            ClockPart::HourOfDay,
            ClockPart::UtcOffset,
        ]
        .map(|part| WallClock {
            part,
            signature: reads_session_zone(),
        })
    }
}

impl ScalarUDFImpl for WallClock {
    fn name(&self) -> &str {
        match self.part {
            ClockPart::LocalTime => "local_time",
            ClockPart::HourOfDay => "hour_of_day",
            ClockPart::UtcOffset => "utc_offset",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [timestamp] = types else {
            return plan_err!(
                "{} has {} arguments: expected one timestamp",
                self.name(),
                types.len()
            );
        };
        Ok(vec![instant_type(self.name(), timestamp)?])
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.part {
            ClockPart::LocalTime => DataType::Timestamp(TimeUnit::Millisecond, None),
            ClockPart::HourOfDay => DataType::Int32,
            ClockPart::UtcOffset => DataType::Utf8,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [timestamps] = args.args.as_slice() else {
            return exec_err!("{}: expected one timestamp", self.name());
        };
        thread_local! {
            static LAST: Cell<Option<LocalClock>> = const { Cell::new(None) };
        }
        let zone = session_zone(&args.config_options)?;
        let last = LAST.take().filter(|last| last.zone() == zone);
        let mut clock = last.unwrap_or_else(|| LocalClock::new(zone));
        let values = over_array(timestamps, |array| {
            let instants = milliseconds(array)?;
            let nulls = instants.nulls().cloned();
            Ok(match self.part {
                ClockPart::LocalTime => {
                    let local = map_instants(&instants, |instant| clock.local_ms(instant))?;
                    Arc::new(TimestampMillisecondArray::new(local.into(), nulls))
                }
                ClockPart::HourOfDay => {
                    let hours = map_instants(&instants, |instant| {
                        clock.local_ms(instant).map(hour_of_day)
                    })?;
                    Arc::new(Int32Array::new(hours.into(), nulls))
                }
                ClockPart::UtcOffset => utc_offsets(&instants, &mut clock)?,
            })
        });
        LAST.set(Some(clock));
        values
    }
}

/// `now()` and `current_timestamp`: the start of the query, as Timestamp(ms, UTC) like the column `timestamp`. The
/// engine's own `now()` is in nanoseconds and the session's zone, so `timestamp` can't be subtracted from it.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Now {
    signature: Signature,
    aliases: [String; 1],
}

impl Now {
    pub(super) fn new() -> Self {
        Self {
            signature: Signature::nullary(Volatility::Stable),
            aliases: ["current_timestamp".to_owned()],
        }
    }
}

impl ScalarUDFImpl for Now {
    fn name(&self) -> &str {
        "now"
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(utc_milliseconds())
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let Some(began) = info.query_execution_start_time() else {
            return Ok(ExprSimplifyResult::Original(args));
        };
        let now =
            ScalarValue::TimestampMillisecond(Some(began.timestamp_millis()), Some("UTC".into()));
        Ok(ExprSimplifyResult::Simplified(Expr::Literal(now, None)))
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        exec_err!("now() has no value: expected the start time of the query")
    }
}

/// Stable, not immutable: the value depends on the session's zone.
fn reads_session_zone() -> Signature {
    Signature::user_defined(Volatility::Stable)
}

/// The session's zone: `execution.time_zone`, or UTC where unset.
///
/// # Errors
/// A name that is not in the tz database.
pub fn session_zone(config: &ConfigOptions) -> Result<Tz> {
    let Some(name) = &config.execution.time_zone else {
        return Ok(Tz::UTC);
    };
    match name.parse() {
        Ok(zone) => Ok(zone),
        Err(_) => exec_err!(
            "execution.time_zone is '{name}': expected the IANA name of a time zone, such as 'Asia/Seoul' or 'UTC'"
        ),
    }
}

fn utc_milliseconds() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
}

/// The type that an argument for an instant is cast to.
///
/// Timestamps keep their type. A cast would look up each one in chrono if it has no zone, and would round those before
/// 1970 up to a millisecond rather than down.
fn instant_type(function: &str, given: &DataType) -> Result<DataType> {
    match given {
        DataType::Timestamp(..) => Ok(given.clone()),
        DataType::Date32
        | DataType::Date64
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Null => Ok(utc_milliseconds()),
        other => plan_err!("{function} of type {other}: expected a timestamp"),
    }
}

fn width_of(value: &ScalarValue) -> Result<Width> {
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

fn out_of_range(error: OutOfRange) -> DataFusionError {
    DataFusionError::Execution(error.to_string())
}

/// Timestamps of any unit as milliseconds since 1970. Seconds that do not fit saturate, and are then out of range.
fn milliseconds(array: &ArrayRef) -> Result<TimestampMillisecondArray> {
    Ok(match array.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => array
            .as_primitive::<TimestampSecondType>()
            .unary(|instant| instant.saturating_mul(1_000)),
        DataType::Timestamp(TimeUnit::Millisecond, _) => array.as_primitive().clone(),
        DataType::Timestamp(TimeUnit::Microsecond, _) => array
            .as_primitive::<TimestampMicrosecondType>()
            .unary(|instant| instant.div_euclid(1_000)),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => array
            .as_primitive::<TimestampNanosecondType>()
            .unary(|instant| instant.div_euclid(1_000_000)),
        other => return exec_err!("argument of type {other}: expected a timestamp"),
    })
}

/// One value for each row. `value` is not called for NULL.
fn map_instants<T: Default>(
    instants: &TimestampMillisecondArray,
    mut value: impl FnMut(i64) -> Result<T, OutOfRange>,
) -> Result<Vec<T>> {
    let mut values = Vec::with_capacity(instants.len());
    match instants.nulls() {
        None => {
            for instant in instants.values() {
                values.push(value(*instant).map_err(out_of_range)?);
            }
        }
        Some(nulls) => {
            for (instant, valid) in instants.values().iter().zip(nulls) {
                values.push(if valid {
                    value(*instant).map_err(out_of_range)?
                } else {
                    T::default()
                });
            }
        }
    }
    Ok(values)
}

fn utc_offsets(instants: &TimestampMillisecondArray, clock: &mut LocalClock) -> Result<ArrayRef> {
    let mut texts = StringBuilder::with_capacity(instants.len(), instants.len() * "+09:00".len());
    let mut text = String::new();
    let mut last_offset = None;
    for instant in instants {
        let Some(instant) = instant else {
            texts.append_null();
            continue;
        };
        let offset_ms = clock.span(instant).map_err(out_of_range)?.offset_ms;
        if last_offset.replace(offset_ms) != Some(offset_ms) {
            text = offset_text(offset_ms);
        }
        texts.append_value(&text);
    }
    Ok(Arc::new(texts.finish()))
}

/// An offset from UTC as in ISO 8601. Seconds, which only local mean times have, are left out if they are zero.
fn offset_text(offset_ms: i64) -> String {
    let sign = if offset_ms < 0 { '-' } else { '+' };
    let distance = offset_ms.abs();
    let (hours, minutes) = (distance / HOUR_MS, distance % HOUR_MS / MINUTE_MS);
    let seconds = distance % MINUTE_MS / SECOND_MS;
    debug_assert!(distance < DAY_MS);
    let mut text = format!("{sign}{hours:02}:{minutes:02}");
    if seconds != 0 {
        // Writing to a string can't fail.
        let _ = write!(text, ":{seconds:02}");
    }
    text
}
