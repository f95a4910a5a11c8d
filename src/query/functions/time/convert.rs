//! Casts between texts, instants and local times, which the engine makes otherwise: it reads a time without seconds as
//! none, gives a local time the value of UTC, and refuses local times that a clock change skips or repeats.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Date32Array, PrimitiveArray};
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowTimestampType, DataType, Date32Type, Int64Type, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use chrono::DateTime;
use datafusion::common::{DataFusionError, Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::super::over_array;
use super::{map_instants, milliseconds, out_of_range, with_clock, zone_of};
use crate::window::local_clock::{DAY_MS, LocalClock, OutOfRange, SECOND_MS};
use crate::window::written_time::{NoTime, WrittenTime};
use crate::window::zone::Zone;

/// A cast of its only argument:
/// - a text, a local time or a date to an instant;
/// - an instant to a local time or a date;
/// - a text to a local time.
///
/// An instant has the zone of its type. What names no zone is of that zone, or of the session's.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Convert {
    to: DataType,
    session_zone: Zone,
    /// Whether a text that is no time is NULL rather than an error.
    lenient: bool,
    signature: Signature,
}

impl Convert {
    /// A cast to a type, in a session of a zone.
    pub fn new(to: DataType, session_zone: impl Into<Zone>, lenient: bool) -> Self {
        Self {
            to,
            session_zone: session_zone.into(),
            lenient,
            signature: Signature::any(1, Volatility::Immutable),
        }
    }

    fn convert(&self, array: &ArrayRef) -> Result<ArrayRef> {
        match (array.data_type(), &self.to) {
            (from, DataType::Timestamp(..))
                if from.is_string() || matches!(from, DataType::Dictionary(..)) =>
            {
                self.read_texts(array)
            }
            (DataType::Timestamp(_, None), DataType::Timestamp(_, Some(_))) => {
                with_clock(zone_of(&self.to)?, |clock| {
                    shift(array, &self.to, |local| {
                        clock.instant_ms(local).map(|instant| instant - local)
                    })
                })
            }
            (DataType::Timestamp(..), DataType::Timestamp(_, None)) => {
                with_clock(zone_of(array.data_type())?, |clock| {
                    shift(array, &self.to, |instant| {
                        clock.span(instant).map(|span| span.offset_ms)
                    })
                })
            }
            (DataType::Timestamp(..), DataType::Date32) => {
                with_clock(zone_of(array.data_type())?, |clock| {
                    let instants = milliseconds(array)?;
                    let days =
                        map_instants(&instants, |instant| clock.local_ms(instant).map(day_of))?;
                    let days = Date32Array::new(days.into(), instants.nulls().cloned());
                    Ok(Arc::new(days) as ArrayRef)
                })
            }
            (DataType::Date32 | DataType::Date64, DataType::Timestamp(_, Some(_))) => {
                let days = cast(array, &DataType::Date32)?;
                let days = days.as_primitive::<Date32Type>();
                let midnights: PrimitiveArray<TimestampMillisecondType> =
                    days.unary(|day| i64::from(day) * DAY_MS);
                self.convert(&(Arc::new(midnights) as ArrayRef))
            }
            (from, to) => exec_err!("a value of type {from} is no {to}"),
        }
    }

    fn read_texts(&self, array: &ArrayRef) -> Result<ArrayRef> {
        let DataType::Timestamp(unit, zone) = &self.to else {
            return exec_err!("a text can't be read as {}", self.to);
        };
        let zone = match zone {
            Some(_) => zone_of(&self.to)?,
            None => self.session_zone,
        };
        let texts = cast(array, &DataType::Utf8View)?;
        let texts = texts.as_string_view();
        with_clock(zone, |clock| {
            let read = texts.iter().map(|text| match text {
                None => Ok(None),
                Some(text) => match WrittenTime::parse(text) {
                    Ok(written) => self.ticks(written, *unit, clock).map(Some),
                    Err(_) if self.lenient => Ok(None),
                    Err(error) => Err(no_time(&error)),
                },
            });
            let ticks: Vec<Option<i64>> = read.collect::<Result<_>>()?;
            timestamps(ticks, *unit, &self.to)
        })
    }

    fn ticks(&self, written: WrittenTime, unit: TimeUnit, clock: &mut LocalClock) -> Result<i64> {
        let ms = match &self.to {
            DataType::Timestamp(_, Some(_)) => written.instant_ms(clock),
            _ => written.local_ms(clock),
        };
        ticks_of(ms.map_err(out_of_range)?, written.nanos, unit)
    }
}

impl ScalarUDFImpl for Convert {
    fn name(&self) -> &str {
        match &self.to {
            // Of a name, a worker has one form: that of the session's zone, and this one.
            DataType::Timestamp(_, Some(zone)) if &**zone == "UTC" => "to_instant_in_utc",
            DataType::Timestamp(_, Some(_)) => "to_instant",
            DataType::Timestamp(_, None) => "to_wall_clock",
            _ => "to_local_date",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.to.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.as_slice() {
            [argument] => over_array(argument, |array| self.convert(array)),
            _ => exec_err!("{}: expected one argument", self.name()),
        }
    }
}

/// The error for a text in the data that is no time.
fn no_time(error: &NoTime) -> DataFusionError {
    DataFusionError::External(Box::new(error.clone()))
}

/// A time as a number of a unit since 1970.
///
/// # Errors
/// A time that does not fit: nanoseconds end in 2262.
pub fn ticks_of(ms: i64, nanos: u32, unit: TimeUnit) -> Result<i64> {
    let ticks = |per_ms: i64, behind: u32| ms.checked_mul(per_ms)?.checked_add(i64::from(behind));
    let ticks = match unit {
        TimeUnit::Second => Some(ms.div_euclid(SECOND_MS)),
        TimeUnit::Millisecond => Some(ms),
        TimeUnit::Microsecond => ticks(1_000, nanos / 1_000),
        TimeUnit::Nanosecond => ticks(1_000_000, nanos),
    };
    match ticks {
        Some(ticks) => Ok(ticks),
        None => exec_err!(
            "{} does not fit a timestamp in nanoseconds: expected a time of the years 1678 to 2261, or one in milliseconds, such as '9999-12-31'::timestamp(3)",
            DateTime::from_timestamp_millis(ms)
                .unwrap_or_default()
                .format("%Y-%m-%d")
        ),
    }
}

/// The day of a local time, since 1970-01-01.
fn day_of(local_ms: i64) -> i32 {
    // Local times are known for less than 100 million days.
    local_ms.div_euclid(DAY_MS) as i32
}

/// Timestamps moved by what `by` says of each in milliseconds, as another type of timestamps.
pub(super) fn shift(
    array: &ArrayRef,
    to: &DataType,
    mut by: impl FnMut(i64) -> Result<i64, OutOfRange>,
) -> Result<ArrayRef> {
    let DataType::Timestamp(unit, _) = to else {
        return exec_err!("a timestamp is no {to}");
    };
    let times = milliseconds(array)?;
    if *unit == TimeUnit::Millisecond {
        let nulls = times.nulls().cloned();
        let moved = map_instants(&times, |ms| by(ms).map(|distance| ms + distance))?;
        let moved = PrimitiveArray::<TimestampMillisecondType>::new(moved.into(), nulls);
        return Ok(Arc::new(moved.with_data_type(to.clone())));
    }
    let nanos = nanos_behind(array)?;
    let moved = times.iter().enumerate().map(|(row, ms)| {
        let Some(ms) = ms else {
            return Ok(None);
        };
        let moved = ms + by(ms).map_err(out_of_range)?;
        ticks_of(moved, nanos.get(row).copied().unwrap_or_default(), *unit).map(Some)
    });
    timestamps(moved.collect::<Result<_>>()?, *unit, to)
}

/// The nanoseconds of each timestamp behind its millisecond; empty for units that have none.
fn nanos_behind(array: &ArrayRef) -> Result<Vec<u32>> {
    let (per_ms, nanos_per_tick) = match array.data_type() {
        DataType::Timestamp(TimeUnit::Microsecond, _) => (1_000, 1_000),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => (1_000_000, 1),
        _ => return Ok(Vec::new()),
    };
    let ticks = cast(array, &DataType::Int64)?;
    let ticks = ticks.as_primitive::<Int64Type>().values().iter();
    // Less than a million.
    let nanos = ticks.map(|tick| (tick.rem_euclid(per_ms) * nanos_per_tick) as u32);
    Ok(nanos.collect())
}

fn timestamps(ticks: Vec<Option<i64>>, unit: TimeUnit, to: &DataType) -> Result<ArrayRef> {
    fn of<T: ArrowTimestampType>(ticks: Vec<Option<i64>>, to: &DataType) -> ArrayRef {
        let array: PrimitiveArray<T> = ticks.into_iter().collect();
        Arc::new(array.with_data_type(to.clone()))
    }
    Ok(match unit {
        TimeUnit::Second => of::<TimestampSecondType>(ticks, to),
        TimeUnit::Millisecond => of::<TimestampMillisecondType>(ticks, to),
        TimeUnit::Microsecond => of::<TimestampMicrosecondType>(ticks, to),
        TimeUnit::Nanosecond => of::<TimestampNanosecondType>(ticks, to),
    })
}
