//! Batches as the values of rows: in the text form that PostgreSQL writes, and in its binary form.
//!
//! A column is brought to one of a few layouts once for a batch; then each value is appended to the buffer of what is sent,
//! without a copy between. Source of the forms: PostgreSQL 15, the functions `…out` and `…send` of each type in
//! `src/backend/utils/adt/`.

mod binary;
pub(super) mod text;

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryViewArray, BooleanArray, Date32Array, Float32Array,
    Float64Array, Int16Array, Int32Array, Int64Array, IntervalMonthDayNanoArray, ListArray,
    StringViewArray, Time64MicrosecondArray,
};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    DataType, Date32Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    IntervalMonthDayNanoType, IntervalUnit, Time64MicrosecondType, TimeUnit,
    TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use arrow::util::display::FormatOptions;
use bytes::{BufMut, BytesMut};
use chrono_tz::Tz;

use super::types::Kind;
use crate::values::intervals::in_words;
use crate::values::{Holds, held};

/// How the values of a column are sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Form {
    /// As text.
    #[default]
    Text,
    /// As PostgreSQL keeps them.
    Binary,
}

/// The values of a column of a batch.
pub struct Values {
    layout: Layout,
    form: Form,
    nulls: Option<arrow::buffer::NullBuffer>,
}

enum Layout {
    Bool(BooleanArray),
    Int2(Int16Array),
    Int4(Int32Array),
    Int8(Int64Array),
    Oid(Int64Array),
    Float4(Float32Array),
    Float8(Float64Array),
    /// Decimal digits as text.
    Numeric(StringViewArray),
    /// Texts, and what has the same text in both forms.
    Text(StringViewArray),
    Bytes(BinaryViewArray),
    Date(Date32Array),
    Time(Time64MicrosecondArray),
    /// Microseconds since 1970, and the zone of their text.
    Timestamp(Int64Array, Option<text::Offsets>),
    Interval(IntervalMonthDayNanoArray),
    List(ListArray, Box<Values>, Kind),
}

impl Values {
    /// The values of a column as a type, which is [that of its data](Kind::of), in a form. Instants are written as text in a
    /// zone.
    ///
    /// # Errors
    /// A value that the type does not have, such as an instant beyond the year 294276.
    pub fn new(column: &ArrayRef, kind: &Kind, form: Form, zone: Tz) -> Result<Self, ArrowError> {
        let column = plain(column)?;
        let nulls = column.logical_nulls();
        let to = |data_type: DataType| exactly(&column, &data_type);
        let layout = match kind {
            Kind::Bool => Layout::Bool(column.as_boolean().clone()),
            Kind::Int2 => Layout::Int2(to(DataType::Int16)?.as_primitive::<Int16Type>().clone()),
            Kind::Int4 => Layout::Int4(to(DataType::Int32)?.as_primitive::<Int32Type>().clone()),
            Kind::Int8 => Layout::Int8(to(DataType::Int64)?.as_primitive::<Int64Type>().clone()),
            Kind::Oid => Layout::Oid(to(DataType::Int64)?.as_primitive::<Int64Type>().clone()),
            Kind::Float4 => {
                Layout::Float4(to(DataType::Float32)?.as_primitive::<Float32Type>().clone())
            }
            Kind::Float8 => {
                Layout::Float8(to(DataType::Float64)?.as_primitive::<Float64Type>().clone())
            }
            Kind::Numeric => Layout::Numeric(
                exactly(&to(DataType::Utf8)?, &DataType::Utf8View)?
                    .as_string_view()
                    .clone(),
            ),
            Kind::Text => Layout::Text(to(DataType::Utf8View)?.as_string_view().clone()),
            Kind::Bytes => Layout::Bytes(to(DataType::BinaryView)?.as_binary_view().clone()),
            Kind::Date => Layout::Date(to(DataType::Date32)?.as_primitive::<Date32Type>().clone()),
            Kind::Time => {
                let us = to(DataType::Time64(TimeUnit::Microsecond))?;
                Layout::Time(us.as_primitive::<Time64MicrosecondType>().clone())
            }
            Kind::Timestamp => Layout::Timestamp(microseconds(&column)?, None),
            Kind::Instant => {
                Layout::Timestamp(microseconds(&column)?, Some(text::Offsets::new(zone)))
            }
            Kind::Interval => match in_words(&column) {
                Some(words) if form == Form::Text => {
                    let words = exactly(&words, &DataType::Utf8View)?;
                    Layout::Text(words.as_string_view().clone())
                }
                _ => {
                    let parts = to(DataType::Interval(IntervalUnit::MonthDayNano))?;
                    Layout::Interval(parts.as_primitive::<IntervalMonthDayNanoType>().clone())
                }
            },
            Kind::Json => {
                let json = held(&column, Holds::Text)?;
                Layout::Text(
                    exactly(&json, &DataType::Utf8View)?
                        .as_string_view()
                        .clone(),
                )
            }
            Kind::List(of) => {
                let item = Arc::new(item_of(&column));
                let list = to(DataType::List(item))?;
                let list = list.as_list::<i32>().clone();
                let inner = Self::new(list.values(), of, form, zone)?;
                Layout::List(list, Box::new(inner), of.as_ref().clone())
            }
        };
        Ok(Self {
            layout,
            form,
            nulls,
        })
    }

    /// Whether the value of a row is NULL.
    pub fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }

    /// Appends the value of a row with its length before it, as a message of rows has it.
    pub fn put(&self, row: usize, out: &mut BytesMut) {
        if self.is_null(row) {
            out.put_i32(-1);
            return;
        }
        let start = out.len();
        out.put_i32(0);
        self.write(row, out);
        let length = i32::try_from(out.len() - start - 4).unwrap_or(i32::MAX);
        out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    }

    /// Appends the value of a row, which is not NULL.
    pub fn write(&self, row: usize, out: &mut BytesMut) {
        match self.form {
            Form::Text => self.write_text(row, out),
            Form::Binary => self.write_binary(row, out),
        }
    }

    fn write_text(&self, row: usize, out: &mut BytesMut) {
        match &self.layout {
            Layout::Bool(values) => out.put_u8(if values.value(row) { b't' } else { b'f' }),
            Layout::Int2(values) => text::integer(values.value(row).into(), out),
            Layout::Int4(values) => text::integer(values.value(row).into(), out),
            Layout::Int8(values) | Layout::Oid(values) => text::integer(values.value(row), out),
            Layout::Float4(values) => {
                text::float(f64::from(values.value(row)), values.value(row), out);
            }
            Layout::Float8(values) => text::float(values.value(row), values.value(row), out),
            Layout::Numeric(values) | Layout::Text(values) => {
                out.put_slice(values.value(row).as_bytes());
            }
            Layout::Bytes(values) => text::bytes(values.value(row), out),
            Layout::Date(values) => text::date(values.value(row).into(), out),
            Layout::Time(values) => text::time(values.value(row), out),
            Layout::Timestamp(values, offsets) => {
                text::timestamp(values.value(row), offsets.as_ref(), out);
            }
            Layout::Interval(values) => {
                let value = values.value(row);
                out.put_slice(format!("{value:?}").as_bytes());
            }
            Layout::List(lists, values, _) => {
                let (from, to) = range(lists, row);
                text::list(values, from..to, out);
            }
        }
    }

    fn write_binary(&self, row: usize, out: &mut BytesMut) {
        match &self.layout {
            Layout::Bool(values) => out.put_u8(values.value(row).into()),
            Layout::Int2(values) => out.put_i16(values.value(row)),
            Layout::Int4(values) => out.put_i32(values.value(row)),
            Layout::Int8(values) => out.put_i64(values.value(row)),
            Layout::Oid(values) => {
                out.put_u32(u32::try_from(values.value(row)).unwrap_or_default());
            }
            Layout::Float4(values) => out.put_f32(values.value(row)),
            Layout::Float8(values) => out.put_f64(values.value(row)),
            Layout::Numeric(values) => binary::numeric(values.value(row), out),
            Layout::Text(values) => out.put_slice(values.value(row).as_bytes()),
            Layout::Bytes(values) => out.put_slice(values.value(row)),
            Layout::Date(values) => out.put_i32(values.value(row) - text::DAYS_TO_2000),
            Layout::Time(values) => out.put_i64(values.value(row)),
            Layout::Timestamp(values, _) => {
                out.put_i64(values.value(row).saturating_sub(text::MICROSECONDS_TO_2000));
            }
            Layout::Interval(values) => binary::interval(values.value(row), out),
            Layout::List(lists, values, of) => {
                let (from, to) = range(lists, row);
                binary::list(values, from..to, of.oid(), out);
            }
        }
    }
}

fn range(lists: &ListArray, row: usize) -> (usize, usize) {
    let offsets = lists.value_offsets();
    let place = |offset: i32| usize::try_from(offset).unwrap_or_default();
    (place(offsets[row]), place(offsets[row + 1]))
}

/// The field of a list's values.
fn item_of(column: &ArrayRef) -> arrow::datatypes::Field {
    match column.data_type() {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => item.as_ref().clone(),
        other => arrow::datatypes::Field::new("item", other.clone(), true),
    }
}

/// A column without a dictionary.
fn plain(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match column.data_type() {
        DataType::Dictionary(_, values) => exactly(column, values),
        DataType::RunEndEncoded(_, values) => exactly(column, values.data_type()),
        DataType::Null => exactly(column, &DataType::Utf8),
        _ => Ok(Arc::clone(column)),
    }
}

/// The column as another type, with an error for a value that this does not have.
fn exactly(column: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
    if column.data_type() == data_type {
        return Ok(Arc::clone(column));
    }
    let options = CastOptions {
        safe: false,
        format_options: FormatOptions::default(),
    };
    cast_with_options(column, data_type, &options)
}

fn microseconds(column: &ArrayRef) -> Result<Int64Array, ArrowError> {
    let zone = match column.data_type() {
        DataType::Timestamp(_, zone) => zone.clone(),
        _ => None,
    };
    let us = exactly(column, &DataType::Timestamp(TimeUnit::Microsecond, zone))?;
    let us = us.as_primitive::<TimestampMicrosecondType>();
    Ok(us.reinterpret_cast::<Int64Type>())
}

#[cfg(test)]
mod tests;
