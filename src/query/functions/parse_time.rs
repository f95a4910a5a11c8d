//! `parse_time(text [, format] [, near])`: the instant of the time that a message has in itself.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, TimestampMillisecondArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Field, FieldRef, Float64Type, Int64Type, TimestampMillisecondType,
};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature,
    Volatility,
};

use super::message_time::{Reader, WrittenInstant};
use super::parse::documentation;
use super::time::{instants_in, with_clock};
use crate::error::{Class, Error};
use crate::window::local_clock::LocalClock;
use crate::window::zone::Zone;

const EXPECTED: &str = "expected a text or a number, then perhaps a template that is written as a text, and an instant of the same year, as in parse_time(message), parse_time(message, '%d/%b/%Y:%H:%M:%S') or parse_time(message, timestamp)";

/// The function for a session in a zone, whose clock has the times without one.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ParseTime {
    session_zone: Arc<str>,
    signature: Signature,
}

impl ParseTime {
    pub(super) fn new(session_zone: &Arc<str>) -> Self {
        Self {
            session_zone: Arc::clone(session_zone),
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for ParseTime {
    fn name(&self) -> &str {
        "parse_time"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [text, rest @ ..] = types else {
            return plan_err!("parse_time has no arguments: {EXPECTED}");
        };
        let text = match text {
            _ if text.is_string() || text.is_null() => DataType::Utf8View,
            DataType::Dictionary(_, values) if values.is_string() => DataType::Utf8View,
            _ if text.is_integer() => DataType::Int64,
            _ if text.is_numeric() => DataType::Float64,
            // What is an instant already.
            DataType::Timestamp(_, Some(_)) => instants_in(&self.session_zone),
            other => return plan_err!("parse_time of type {other}: {EXPECTED}"),
        };
        let near = instants_in(&self.session_zone);
        let rest = match rest {
            [] => vec![],
            [format] if format.is_string() => vec![format.clone()],
            [DataType::Timestamp(..) | DataType::Null | DataType::Date32] => vec![near],
            [
                format,
                DataType::Timestamp(..) | DataType::Null | DataType::Date32,
            ] if format.is_string() => {
                vec![format.clone(), near]
            }
            _ => return plan_err!("parse_time: {EXPECTED}"),
        };
        Ok(std::iter::once(text).chain(rest).collect())
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(instants_in(&self.session_zone))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        // The template is checked when the query is planned, which is before anything is exported.
        if let Some(second) = args.arg_fields.get(1)
            && second.data_type().is_string()
        {
            match args.scalar_arguments[1] {
                Some(template) => drop(reader(template)?),
                None => return Err(refused(EXPECTED)),
            }
        }
        let data_type = self.return_type(&[])?;
        Ok(Arc::new(Field::new(self.name(), data_type, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let (text, rest) = args.args.split_first().ok_or_else(|| refused(EXPECTED))?;
        let (reader, near) = match rest {
            [] => (None, None),
            [ColumnarValue::Scalar(template)] if template.data_type().is_string() => {
                (Some(reader(template)?), None)
            }
            [near] => (None, Some(near)),
            [ColumnarValue::Scalar(template), near] => (Some(reader(template)?), Some(near)),
            _ => return Err(refused(EXPECTED)),
        };
        let near = near.map(|near| near.to_array(rows)).transpose()?;
        let near = near
            .as_ref()
            .map(|near| near.as_primitive::<TimestampMillisecondType>());
        let zone: Zone = match self.session_zone.parse() {
            Ok(zone) => zone,
            Err(error) => return exec_err!("parse_time: {error}"),
        };
        let read = |array: &ArrayRef| {
            let near =
                |row: usize| near.and_then(|near| near.is_valid(row).then(|| near.value(row)));
            let instants =
                with_clock(zone, |clock| instants(array, reader.as_ref(), &near, clock))?;
            Ok(Arc::new(instants.with_timezone(Arc::clone(&self.session_zone))) as ArrayRef)
        };
        match (text, near.is_some()) {
            (ColumnarValue::Scalar(_), false) => super::over_array(text, read),
            _ => Ok(ColumnarValue::Array(read(&text.to_array(rows)?)?)),
        }
    }

    fn documentation(&self) -> Option<&Documentation> {
        documentation(self.name())
    }
}

fn refused(what: &str) -> DataFusionError {
    Error::new(Class::Sql, format!("parse_time: {what}")).into()
}

fn reader(template: &ScalarValue) -> Result<Reader> {
    match template.try_as_str() {
        Some(Some(template)) => Reader::parse(template).map_err(|error| refused(&error)),
        _ => Err(refused(EXPECTED)),
    }
}

/// The instants of texts or numbers, NULL for what is no time.
fn instants(
    array: &ArrayRef,
    reader: Option<&Reader>,
    near: &dyn Fn(usize) -> Option<i64>,
    clock: &mut LocalClock,
) -> Result<TimestampMillisecondArray> {
    let of = |row: usize, time: Option<WrittenInstant>, clock: &mut LocalClock| {
        time.and_then(|time| time.instant_ms(clock, near(row)))
    };
    Ok(match array.data_type() {
        DataType::Utf8View => {
            let texts = array.as_string_view().iter().enumerate();
            let find = |text: &str| match reader {
                Some(reader) => reader.read(text),
                None => WrittenInstant::find(text),
            };
            texts
                .map(|(row, text)| of(row, text.and_then(find), clock))
                .collect()
        }
        DataType::Int64 => {
            let numbers = array.as_primitive::<Int64Type>().iter().enumerate();
            numbers
                .map(|(row, number)| {
                    let time = number.and_then(|number| WrittenInstant::of_epoch(number as f64));
                    of(row, time, clock)
                })
                .collect()
        }
        DataType::Float64 => {
            let numbers = array.as_primitive::<Float64Type>().iter().enumerate();
            numbers
                .map(|(row, number)| of(row, number.and_then(WrittenInstant::of_epoch), clock))
                .collect()
        }
        _ => {
            let instants = cast(
                array,
                &DataType::Timestamp(arrow::datatypes::TimeUnit::Millisecond, None),
            )?;
            instants.as_primitive().clone()
        }
    })
}
