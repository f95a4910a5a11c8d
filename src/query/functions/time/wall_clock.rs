//! What a wall clock shows at an instant: `local_time`, `hour_of_day`, `utc_offset`.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int32Array, StringBuilder, TimestampMillisecondArray};
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::super::{described, over_array};
use super::{instant_type, map_instants, milliseconds, out_of_range, with_clock, zone_of};
use crate::window::buckets::hour_of_day;
use crate::window::local_clock::{DAY_MS, HOUR_MS, LocalClock, MINUTE_MS, SECOND_MS};

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
pub struct WallClock {
    part: ClockPart,
    session_zone: Arc<str>,
    signature: Signature,
}

impl WallClock {
    /// All of them, for a session in a zone.
    pub fn all(session_zone: &Arc<str>) -> [Self; 3] {
        [
            ClockPart::LocalTime,
            ClockPart::HourOfDay,
            ClockPart::UtcOffset,
        ]
        .map(|part| Self::new(part, session_zone))
    }

    /// `hour_of_day`.
    pub fn hour_of_day(session_zone: &Arc<str>) -> Self {
        Self::new(ClockPart::HourOfDay, session_zone)
    }

    fn new(part: ClockPart, session_zone: &Arc<str>) -> Self {
        WallClock {
            part,
            session_zone: Arc::clone(session_zone),
            signature: Signature::user_defined(Volatility::Immutable),
        }
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
        Ok(vec![instant_type(
            self.name(),
            timestamp,
            &self.session_zone,
        )?])
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.part {
            ClockPart::LocalTime => DataType::Timestamp(TimeUnit::Millisecond, None),
            ClockPart::HourOfDay => DataType::Int32,
            ClockPart::UtcOffset => DataType::Utf8,
        })
    }

    fn documentation(&self) -> Option<&Documentation> {
        described::of(self.name())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [timestamps] = args.args.as_slice() else {
            return exec_err!("{}: expected one timestamp", self.name());
        };
        with_clock(zone_of(&timestamps.data_type())?, |clock| {
            over_array(timestamps, |array| {
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
                    ClockPart::UtcOffset => utc_offsets(&instants, clock)?,
                })
            })
        })
    }
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
