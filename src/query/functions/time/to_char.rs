//! `to_char`: a time as text, by a template.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit, TimestampNanosecondType};
use chrono::{DateTime, TimeDelta, TimeZone};
use datafusion::common::{DataFusionError, Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::super::described;
use super::template::{BadTemplate, Shown, Template};
use super::{instant_type, milliseconds, out_of_range, zone_of};
use crate::window::local_clock::OutOfRange;
use crate::window::zone::Zone;

/// `to_char(time, template)` and `date_format`, over timestamps, dates, times of day and texts that are times.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct ToChar {
    session_zone: Arc<str>,
    signature: Signature,
    aliases: [String; 1],
}

impl ToChar {
    /// For a session in a zone.
    pub fn new(session_zone: &Arc<str>) -> Self {
        Self {
            session_zone: Arc::clone(session_zone),
            signature: Signature::user_defined(Volatility::Immutable),
            aliases: ["date_format".to_owned()],
        }
    }
}

impl ScalarUDFImpl for ToChar {
    fn name(&self) -> &str {
        "to_char"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [time, template] = types else {
            return plan_err!(
                "to_char has {} arguments: expected a time and a template, as in to_char(timestamp, 'YYYY-MM-DD HH24:MI')",
                types.len()
            );
        };
        if !template.is_string() && !template.is_null() {
            return plan_err!("to_char: template of type {template}: expected a text");
        }
        let time = match time {
            DataType::Timestamp(..)
            | DataType::Date32
            | DataType::Date64
            | DataType::Time32(_)
            | DataType::Time64(_) => time.clone(),
            other => instant_type(self.name(), other, &self.session_zone)?,
        };
        Ok(vec![time, DataType::Utf8])
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn documentation(&self) -> Option<&Documentation> {
        described::of(self.name())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [times, templates] = args.args.as_slice() else {
            return exec_err!("to_char: expected a time and a template");
        };
        let rows = match (times, templates) {
            (ColumnarValue::Scalar(_), ColumnarValue::Scalar(_)) => 1,
            _ => args.number_rows,
        };
        let times = times.to_array(rows)?;
        // A constant template is read once.
        let (templates, constant) = match templates {
            ColumnarValue::Scalar(template) => (template.to_array()?, true),
            ColumnarValue::Array(templates) => (Arc::clone(templates), false),
        };
        let templates = cast(&templates, &DataType::Utf8)?;
        let templates = templates.as_string::<i32>();
        let mut last: Option<(&str, Template)> = None;
        let mut texts = StringBuilder::new();
        let mut text = String::new();
        let shown = shown(&times)?;
        for row in 0..times.len() {
            let at = if constant { 0 } else { row };
            if times.is_null(row) || templates.is_null(at) {
                texts.append_null();
                continue;
            }
            let source = templates.value(at);
            if last.as_ref().is_none_or(|(read, _)| *read != source) {
                last = Some((source, Template::parse(source).map_err(bad_template)?));
            }
            text.clear();
            let written = match &last {
                Some((_, template)) => template.write(&shown(row)?, &mut text),
                None => Ok(()),
            };
            if written.is_err() {
                return exec_err!(
                    "to_char: a time of type {} can't be written by the template '{source}': expected one without parts that it does not have, such as a zone",
                    times.data_type()
                );
            }
            texts.append_value(&text);
        }
        let texts: ArrayRef = Arc::new(texts.finish());
        Ok(match args.args.iter().all(is_scalar) {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&texts, 0)?),
            false => ColumnarValue::Array(texts),
        })
    }
}

fn is_scalar(value: &ColumnarValue) -> bool {
    matches!(value, ColumnarValue::Scalar(_))
}

/// The engine's error for a template.
pub fn bad_template(error: BadTemplate) -> DataFusionError {
    DataFusionError::Plan(error.to_string())
}

/// What each row of an array shows.
fn shown(times: &ArrayRef) -> Result<impl Fn(usize) -> Result<Shown>> {
    let zone = match times.data_type() {
        DataType::Timestamp(_, Some(_)) => Some(zone_of(times.data_type())?),
        _ => None,
    };
    let times = match times.data_type() {
        DataType::Timestamp(..) => Arc::clone(times),
        // A time of day is one of 1970-01-01.
        DataType::Time32(_) | DataType::Time64(_) => {
            let nanos = cast(times, &DataType::Time64(TimeUnit::Nanosecond))?;
            let nanos = cast(&nanos, &DataType::Int64)?;
            cast(&nanos, &DataType::Timestamp(TimeUnit::Nanosecond, None))?
        }
        _ => cast(times, &DataType::Timestamp(TimeUnit::Millisecond, None))?,
    };
    let ms = milliseconds(&times)?;
    let nanos = match times.data_type() {
        DataType::Timestamp(TimeUnit::Microsecond | TimeUnit::Nanosecond, zone) => {
            let to = DataType::Timestamp(TimeUnit::Nanosecond, zone.clone());
            Some(cast(&times, &to)?)
        }
        _ => None,
    };
    Ok(move |row| {
        let ms = ms.value(row);
        let utc =
            DateTime::from_timestamp_millis(ms).ok_or_else(|| out_of_range(OutOfRange(ms)))?;
        let behind = nanos.as_ref().map_or(0, |nanos| {
            let nanos = nanos.as_primitive::<TimestampNanosecondType>();
            nanos.value(row).rem_euclid(1_000_000)
        });
        let utc = utc.naive_utc() + TimeDelta::nanoseconds(behind);
        Ok(match zone {
            Some(Zone::Named(zone)) => Shown::In(zone.from_utc_datetime(&utc)),
            Some(Zone::Fixed(offset)) => Shown::At(offset.from_utc_datetime(&utc)),
            None => Shown::Local(utc),
        })
    })
}
