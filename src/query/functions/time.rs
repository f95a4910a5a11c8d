//! The SQL functions of local time, and what the engine's own functions and casts of time are replaced by.
//!
//! A timestamp with a zone is an instant, shown on the wall clock of its zone; the column `timestamp` has the job's zone.
//! A timestamp without a zone is what a wall clock shows. Timestamps may have any unit.
//!
//! Each thread keeps its clock from batch to batch, since the zone's offsets cost more to find than a small batch does.

mod bucket;
mod by_template;
mod convert;
mod date_bin;
mod from_unixtime;
mod interval;
mod now;
mod parts;
mod series;
mod template;
mod to_char;
mod wall_clock;
mod window_buckets;

pub use bucket::TimeBucket;
pub use by_template::ByTemplate;
pub use convert::{Convert, ticks_of};
pub use date_bin::{Bins, DateBin};
pub use from_unixtime::FromUnixtime;
pub use interval::AddInterval;
pub use now::Now;
pub use parts::DatePart;
pub use series::register_series;
pub use template::{Field, Piece, Template};
pub use to_char::{ToChar, bad_template};
pub use wall_clock::WallClock;
pub use window_buckets::WindowBuckets;

use std::cell::Cell;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, TimestampMillisecondArray};
use arrow::datatypes::{
    DataType, TimeUnit, TimestampMicrosecondType, TimestampNanosecondType, TimestampSecondType,
};
use chrono_tz::Tz;
use datafusion::common::config::ConfigOptions;
use datafusion::common::{DataFusionError, Result, exec_err, plan_err};

use crate::window::local_clock::{LocalClock, OutOfRange};
use crate::window::zone::Zone;

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

/// The zone of a type of instants.
///
/// # Errors
/// A type without a zone, or with one that is unknown.
pub fn zone_of(data_type: &DataType) -> Result<Zone> {
    match data_type {
        DataType::Timestamp(_, Some(zone)) => match zone.parse() {
            Ok(zone) => Ok(zone),
            Err(error) => plan_err!("{error}"),
        },
        other => exec_err!("argument of type {other}: expected a timestamp with a zone"),
    }
}

/// Instants in milliseconds on the clock of `zone`.
pub fn instants_in(zone: &Arc<str>) -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some(Arc::clone(zone)))
}

/// The type that an argument for an instant is cast to. Anything without a zone is of the session's.
///
/// Instants keep their type: a cast would round those before 1970 up to a millisecond rather than down.
fn instant_type(function: &str, given: &DataType, session_zone: &Arc<str>) -> Result<DataType> {
    match given {
        DataType::Timestamp(_, Some(_)) => Ok(given.clone()),
        DataType::Timestamp(_, None)
        | DataType::Date32
        | DataType::Date64
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Null => Ok(instants_in(session_zone)),
        other => plan_err!("{function} of type {other}: expected a timestamp"),
    }
}

fn out_of_range(error: OutOfRange) -> DataFusionError {
    DataFusionError::Execution(error.to_string())
}

/// Timestamps of any unit as milliseconds since 1970. Seconds that do not fit saturate, and are then out of range.
fn milliseconds(array: &ArrayRef) -> Result<TimestampMillisecondArray> {
    let DataType::Timestamp(unit, zone) = array.data_type() else {
        return exec_err!(
            "argument of type {}: expected a timestamp",
            array.data_type()
        );
    };
    let milliseconds: TimestampMillisecondArray = match unit {
        TimeUnit::Second => array
            .as_primitive::<TimestampSecondType>()
            .unary(|instant| instant.saturating_mul(1_000)),
        TimeUnit::Millisecond => array.as_primitive().clone(),
        TimeUnit::Microsecond => array
            .as_primitive::<TimestampMicrosecondType>()
            .unary(|instant| instant.div_euclid(1_000)),
        TimeUnit::Nanosecond => array
            .as_primitive::<TimestampNanosecondType>()
            .unary(|instant| instant.div_euclid(1_000_000)),
    };
    Ok(milliseconds.with_timezone_opt(zone.clone()))
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

/// Calls `work` with this thread's clock of a zone.
pub fn with_clock<T>(
    zone: impl Into<Zone>,
    work: impl FnOnce(&mut LocalClock) -> Result<T>,
) -> Result<T> {
    thread_local! {
        static LAST: Cell<Option<LocalClock>> = const { Cell::new(None) };
    }
    let zone = zone.into();
    let last = LAST.take().filter(|last| last.zone() == zone);
    let mut clock = last.unwrap_or_else(|| LocalClock::new(zone));
    let done = work(&mut clock);
    LAST.set(Some(clock));
    done
}
