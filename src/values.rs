//! Values as each kind of format can hold them: JSON without a type and lengths of time as text, nested values as JSON.

pub mod intervals;

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, ListArray, MapArray, StringArray, StructArray, new_empty_array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, TimeUnit};
use arrow::error::ArrowError;
use arrow::json::writer::{EncoderOptions, make_encoder};
use datafusion_functions_json::{JSON_UNION_DATA_TYPE, JsonUnionEncoder, JsonUnionValue};

/// How files have a time without a zone. Each time has three digits of milliseconds: a reader that looks at the first rows
/// to find a column's form would take others for text.
pub const LOCAL_TIME: &str = "%Y-%m-%dT%H:%M:%S%.3f";

/// How files have an instant: on the wall clock of its zone, with the offset.
pub const INSTANT: &str = "%Y-%m-%dT%H:%M:%S%.3f%:z";

/// Which values a format has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// Texts: nested values are their JSON.
    Text,
    /// JSON's.
    Json,
    /// Parquet's: no lengths of time, seconds as milliseconds.
    Parquet,
    /// Arrow's, in the forms that every reader of Arrow has.
    Arrow,
}

/// The column in values that a format has.
pub fn held(column: &ArrayRef, holds: Holds) -> Result<ArrayRef, ArrowError> {
    let converted = convert(column, holds)?;
    match holds {
        Holds::Text if converted.data_type().is_nested() => json_of(&converted),
        _ => Ok(converted),
    }
}

/// The type of [`held`] values.
pub fn held_type(data_type: &DataType, holds: Holds) -> Result<DataType, ArrowError> {
    Ok(held(&new_empty_array(data_type), holds)?
        .data_type()
        .clone())
}

fn convert(column: &ArrayRef, holds: Holds) -> Result<ArrayRef, ArrowError> {
    use DataType as T;
    let data_type = column.data_type();
    if *data_type == *JSON_UNION_DATA_TYPE {
        return Ok(json_as_text(column));
    }
    if holds != Holds::Arrow
        && let Some(texts) = intervals::in_words(column)
    {
        return Ok(texts);
    }
    let is_file = matches!(holds, Holds::Parquet | Holds::Arrow);
    let to = match data_type {
        T::Struct(fields) => return convert_struct(column.as_struct(), fields, holds),
        T::List(item) => return convert_list(column.as_list(), item, holds),
        T::Map(entries, sorted) => return convert_map(column.as_map(), entries, *sorted, holds),
        T::LargeList(item)
        | T::ListView(item)
        | T::LargeListView(item)
        | T::FixedSizeList(item, _) => {
            return convert(&cast(column, &T::List(Arc::clone(item)))?, holds);
        }
        T::RunEndEncoded(_, values) => {
            return convert(&cast(column, values.data_type())?, holds);
        }
        // Readers that are older than these types have only the others.
        T::Utf8View if holds == Holds::Arrow => T::Utf8,
        T::BinaryView if holds == Holds::Arrow => T::Binary,
        T::Timestamp(TimeUnit::Second, zone) if holds == Holds::Parquet => {
            T::Timestamp(TimeUnit::Millisecond, zone.clone())
        }
        T::Time32(TimeUnit::Second) if holds == Holds::Parquet => T::Time32(TimeUnit::Millisecond),
        T::Float16 if is_file => T::Float32,
        T::Date64 => T::Date32,
        T::Null if holds == Holds::Parquet => T::Utf8,
        T::Decimal32(precision, scale) | T::Decimal64(precision, scale) if is_file => {
            return convert(&cast(column, &T::Decimal128(*precision, *scale))?, holds);
        }
        // Neither format has a scale below zero.
        T::Decimal128(precision, scale) if is_file && *scale < 0 => {
            T::Decimal256(precision.saturating_add(scale.unsigned_abs()).min(76), 0)
        }
        T::Decimal256(precision, scale) if is_file && *scale < 0 => {
            T::Decimal256(precision.saturating_add(scale.unsigned_abs()).min(76), 0)
        }
        // A file of Arrow has one dictionary for all batches.
        T::Dictionary(_, values) => return convert(&cast(column, values)?, holds),
        _ => return Ok(Arc::clone(column)),
    };
    cast(column, &to)
}

/// The field with the type of the converted values, all of which may be NULL.
fn field_of(field: &FieldRef, values: &ArrayRef) -> FieldRef {
    let data_type = values.data_type().clone();
    Arc::new(Field::new(field.name(), data_type, true))
}

fn convert_struct(
    column: &StructArray,
    fields: &Fields,
    holds: Holds,
) -> Result<ArrayRef, ArrowError> {
    let columns = column.columns().iter().map(|part| convert(part, holds));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let fields = fields
        .iter()
        .zip(&columns)
        .map(|(field, part)| field_of(field, part));
    let fields: Fields = fields.collect();
    Ok(Arc::new(match fields.is_empty() {
        true => StructArray::new_empty_fields(column.len(), column.nulls().cloned()),
        false => StructArray::try_new(fields, columns, column.nulls().cloned())?,
    }))
}

fn convert_list(column: &ListArray, item: &FieldRef, holds: Holds) -> Result<ArrayRef, ArrowError> {
    let values = convert(column.values(), holds)?;
    Ok(Arc::new(ListArray::try_new(
        field_of(item, &values),
        column.offsets().clone(),
        values,
        column.nulls().cloned(),
    )?))
}

fn convert_map(
    column: &MapArray,
    entries: &FieldRef,
    sorted: bool,
    holds: Holds,
) -> Result<ArrayRef, ArrowError> {
    let DataType::Struct(fields) = entries.data_type() else {
        return Err(ArrowError::CastError(format!("{entries} is no entry")));
    };
    let mut keys = convert(column.keys(), holds)?;
    if matches!(holds, Holds::Text | Holds::Json) {
        // The names of JSON's members are texts.
        keys = cast(&keys, &DataType::Utf8)?;
    }
    let values = convert(column.values(), holds)?;
    let names: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
    let name = |place: usize, default| names.get(place).copied().unwrap_or(default);
    let fields = Fields::from(vec![
        Field::new(name(0, "key"), keys.data_type().clone(), false),
        Field::new(name(1, "value"), values.data_type().clone(), true),
    ]);
    let nulls = column.entries().nulls().cloned();
    let entries_of = StructArray::try_new(fields.clone(), vec![keys, values], nulls)?;
    let entries = Field::new(entries.name(), DataType::Struct(fields), false);
    Ok(Arc::new(MapArray::try_new(
        Arc::new(entries),
        column.offsets().clone(),
        entries_of,
        column.nulls().cloned(),
        sorted,
    )?))
}

/// Nested values as the text of their JSON.
fn json_of(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let options = EncoderOptions::default()
        .with_explicit_nulls(true)
        .with_timestamp_format(LOCAL_TIME.to_owned())
        .with_timestamp_tz_format(INSTANT.to_owned());
    let field = Arc::new(Field::new("value", column.data_type().clone(), true));
    let mut encoder = make_encoder(&field, column.as_ref(), &options)?;
    let mut json = Vec::new();
    let texts = (0..column.len()).map(|row| {
        if encoder.is_null(row) {
            return None;
        }
        json.clear();
        encoder.encode(row, &mut json);
        Some(String::from_utf8_lossy(&json).into_owned())
    });
    Ok(Arc::new(texts.collect::<StringArray>()))
}

/// The values of `message->'member'`, a union that no format can hold, as the text of their JSON. A `null` is NULL, like a
/// member that is not there.
fn json_as_text(column: &ArrayRef) -> ArrayRef {
    let union = JsonUnionEncoder::from_union(column.as_union().clone());
    let texts: StringArray = match &union {
        Some(union) => (0..column.len())
            .map(|row| json_text(union.get_value(row)))
            .collect(),
        None => StringArray::new_null(column.len()),
    };
    Arc::new(texts)
}

fn json_text(value: JsonUnionValue<'_>) -> Option<String> {
    use serde_json::Value;
    Some(match value {
        JsonUnionValue::JsonNull => return None,
        JsonUnionValue::Bool(value) => value.to_string(),
        JsonUnionValue::Int(value) => value.to_string(),
        JsonUnionValue::Float(value) => Value::from(value).to_string(),
        JsonUnionValue::Str(value) => Value::from(value).to_string(),
        JsonUnionValue::Array(json) | JsonUnionValue::Object(json) => json.to_owned(),
    })
}
