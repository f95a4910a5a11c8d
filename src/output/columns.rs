//! An answer's columns as Athena reads them: their types, and the conversion of values.
//!
//! Athena's timestamps have milliseconds and no zone, it has no unsigned integers, and Hive's column names are in lower
//! case (<https://docs.aws.amazon.com/athena/latest/ug/data-types.html>). A value that does not fit is an error, never
//! another value.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, ListArray, MapArray, PrimitiveArray, RecordBatch, StructArray,
};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    ArrowTimestampType, DECIMAL128_MAX_PRECISION, DataType, Field, FieldRef, Fields, Schema,
    SchemaRef, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType,
};
use arrow::error::ArrowError;

use crate::error::{Class, Error, Result};
use crate::query::in_words_of_sql;

/// The columns of an answer as Athena reads them. Errors (SQL) name the column and what to do about it.
pub fn athena_schema(schema: &Schema) -> Result<SchemaRef> {
    if schema.fields().is_empty() {
        return Err(Error::new(Class::Sql, "the answer has no columns"));
    }
    let fields = lower_case(schema.fields(), None).map_err(sql_error)?;
    let fields = schema.fields().iter().zip(fields).map(|(field, name)| {
        let data_type = athena_type(field.data_type(), field.name()).map_err(sql_error)?;
        Ok(Field::new(name, data_type, true))
    });
    Ok(Arc::new(Schema::new(fields.collect::<Result<Vec<_>>>()?)))
}

fn sql_error(message: String) -> Error {
    Error::new(Class::Sql, message)
}

/// Hive's names of columns, or of the fields of a column, in lower case. An error where two become the same, or one is
/// empty.
fn lower_case(fields: &Fields, column: Option<&str>) -> Result<Vec<String>, String> {
    let (one, two) = match column {
        None => (
            "a column of the answer".to_owned(),
            "two columns".to_owned(),
        ),
        Some(column) => (
            format!("a field of the column {column:?}"),
            format!("two fields of the column {column:?}"),
        ),
    };
    let mut first_names: BTreeMap<String, &str> = BTreeMap::new();
    let mut names = Vec::with_capacity(fields.len());
    for field in fields {
        let name = field.name().to_lowercase();
        if name.is_empty() {
            return Err(format!("{one} has no name: give it one with AS"));
        }
        if let Some(other) = first_names.insert(name.clone(), field.name()) {
            return Err(format!(
                "{two} would be named {name:?} in Athena, which ignores case: {other:?} and {:?}. Give one another name with AS",
                field.name()
            ));
        }
        names.push(name);
    }
    Ok(names)
}

/// SQL's name of a type; for a nested type only its kind.
pub fn sql_type(data_type: &DataType) -> String {
    match data_type {
        DataType::Dictionary(_, values) => return sql_type(values),
        DataType::Null => "null",
        DataType::Boolean => "boolean",
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => "smallint",
        DataType::Int32 | DataType::UInt16 => "integer",
        DataType::Int64 | DataType::UInt32 | DataType::UInt64 => "bigint",
        DataType::Float16 | DataType::Float32 => "real",
        DataType::Float64 => "double precision",
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => "text",
        DataType::Date32 | DataType::Date64 => "date",
        DataType::Time32(_) | DataType::Time64(_) => "time",
        DataType::Timestamp(_, None) => "timestamp",
        DataType::Timestamp(_, Some(_)) => "timestamp with time zone",
        DataType::Interval(_) | DataType::Duration(_) => "interval",
        DataType::Struct(_) => "struct",
        DataType::Map(_, _) => "map",
        DataType::Union(_, _) => "JSON",
        other if other.is_nested() => "array",
        other => return other.to_string(),
    }
    .to_owned()
}

/// The type that a column has in the file, or an error that says what to write instead. `column` is the column's name,
/// for a field followed by its path with dots.
fn athena_type(data_type: &DataType, column: &str) -> Result<DataType, String> {
    let not_readable = |advice: &str| {
        let what = match data_type {
            DataType::Union(_, _) => "JSON of no fixed type".to_owned(),
            other => in_words_of_sql(&other.to_string()),
        };
        Err(format!(
            "the column {column:?} is {what}, which Athena can't read: {advice}"
        ))
    };
    Ok(match data_type {
        DataType::Boolean
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64
        | DataType::Utf8
        | DataType::Utf8View
        | DataType::Binary
        | DataType::BinaryView
        | DataType::Date32 => data_type.clone(),
        DataType::Int8 | DataType::Int16 | DataType::UInt8 | DataType::UInt16 => DataType::Int32,
        DataType::UInt32 | DataType::UInt64 => DataType::Int64,
        DataType::Float16 => DataType::Float32,
        DataType::Null | DataType::LargeUtf8 => DataType::Utf8,
        DataType::LargeBinary | DataType::FixedSizeBinary(_) => DataType::Binary,
        DataType::Date64 => DataType::Date32,
        DataType::Timestamp(_, _) => DataType::Timestamp(TimeUnit::Millisecond, None),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => match athena_decimal(*precision, *scale) {
            Some(decimal) => decimal,
            None => {
                let scale = (*scale).clamp(0, 38);
                return not_readable(&format!(
                    "cast it to a decimal of at most 38 digits, such as DECIMAL(38, {scale})"
                ));
            }
        },
        // In the file, a dictionary of strings is a string.
        DataType::Dictionary(_, values) if **values == DataType::Utf8 => data_type.clone(),
        DataType::Dictionary(_, values) => athena_type(values, column)?,
        DataType::RunEndEncoded(_, values) => athena_type(values.data_type(), column)?,
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => {
            let item = athena_type(item.data_type(), column)?;
            DataType::List(Arc::new(Field::new("element", item, true)))
        }
        DataType::Struct(fields) if fields.is_empty() => {
            return not_readable("give the struct a field");
        }
        DataType::Struct(fields) => {
            let names = lower_case(fields, Some(column))?;
            let fields = fields.iter().zip(names).map(|(field, name)| {
                let inner = athena_type(field.data_type(), &format!("{column}.{name}"))?;
                Ok(Field::new(name, inner, true))
            });
            DataType::Struct(fields.collect::<Result<Fields, String>>()?)
        }
        DataType::Map(entries, _) => {
            let DataType::Struct(fields) = entries.data_type() else {
                return not_readable("its entries are no keys and values");
            };
            let [key, value] = &fields[..] else {
                return not_readable("its entries are no keys and values");
            };
            let key = athena_type(key.data_type(), &format!("{column}.key"))?;
            let value = athena_type(value.data_type(), &format!("{column}.value"))?;
            let entries = DataType::Struct(Fields::from(vec![
                Field::new("key", key, false),
                Field::new("value", value, true),
            ]));
            DataType::Map(Arc::new(Field::new("key_value", entries, false)), false)
        }
        DataType::Interval(_) | DataType::Duration(_) => {
            return not_readable("write seconds as a number, such as extract(epoch FROM …)");
        }
        DataType::Time32(_) | DataType::Time64(_) => {
            return not_readable("write it as text, with ::text");
        }
        DataType::Union(_, _) => {
            return not_readable(
                "take the value as text with ->> or json_get_str, or as a number with json_get_int or json_get_float",
            );
        }
    })
}

/// The decimal as Athena can have it, with at most 38 digits and a scale of at least 0; `None` where it has more
/// digits.
fn athena_decimal(precision: u8, scale: i8) -> Option<DataType> {
    let (precision, scale) = match scale {
        0.. => (precision.max(scale.unsigned_abs()), scale),
        _ => (precision.saturating_add(scale.unsigned_abs()), 0),
    };
    (precision <= DECIMAL128_MAX_PRECISION).then_some(DataType::Decimal128(precision, scale))
}

/// Converts the batch to the columns of [`athena_schema`]. An error (SQL) names a value that does not fit.
pub fn to_athena(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| {
            convert(column, field.data_type()).map_err(|error| {
                Error::new(
                    Class::Sql,
                    format!(
                        "a value of the column {:?} does not fit {}: {error}",
                        field.name(),
                        field.data_type()
                    ),
                )
            })
        })
        .collect::<Result<Vec<_>>>()?;
    batch_of(schema, columns)
}

/// A batch of these columns, which have the types of the schema.
pub(super) fn batch_of(schema: &SchemaRef, columns: Vec<ArrayRef>) -> Result<RecordBatch> {
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(|error| {
        let names: Vec<&str> = schema
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect();
        let what = format!("can't make rows of the columns {}", names.join(", "));
        Error::new(Class::Unexpected, what).caused_by(error)
    })
}

/// Arrow's cast, with two differences: fields are matched by position, since the case of their names may differ, and
/// times before 1970 are rounded down like all others.
fn convert(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    match (array.data_type(), to) {
        (from, to) if from == to => Ok(Arc::clone(array)),
        (DataType::Struct(_), DataType::Struct(fields)) => {
            Ok(Arc::new(convert_fields(array.as_struct(), fields)?))
        }
        (DataType::List(_), DataType::List(item)) => {
            let list = array.as_list::<i32>();
            Ok(Arc::new(ListArray::try_new(
                Arc::clone(item),
                list.offsets().clone(),
                convert(list.values(), item.data_type())?,
                list.nulls().cloned(),
            )?))
        }
        (
            DataType::LargeList(item)
            | DataType::ListView(item)
            | DataType::LargeListView(item)
            | DataType::FixedSizeList(item, _),
            DataType::List(_),
        ) => convert(&strict_cast(array, &DataType::List(Arc::clone(item)))?, to),
        (DataType::Map(_, _), DataType::Map(entries, sorted)) => {
            convert_map(array.as_map(), entries, *sorted)
        }
        (DataType::Dictionary(_, values), to) => convert(&strict_cast(array, values)?, to),
        (DataType::RunEndEncoded(_, values), to) => {
            convert(&strict_cast(array, values.data_type())?, to)
        }
        (DataType::Timestamp(TimeUnit::Microsecond, _), DataType::Timestamp(_, _)) => {
            Ok(to_milliseconds::<TimestampMicrosecondType>(array, 1_000))
        }
        (DataType::Timestamp(TimeUnit::Nanosecond, _), DataType::Timestamp(_, _)) => {
            Ok(to_milliseconds::<TimestampNanosecondType>(array, 1_000_000))
        }
        // A time with a zone keeps its instant, in UTC.
        (_, to) => strict_cast(array, to),
    }
}

fn strict_cast(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    let strict = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    cast_with_options(array, to, &strict)
}

fn convert_fields(array: &StructArray, fields: &Fields) -> Result<StructArray, ArrowError> {
    let columns = array.columns().iter().zip(fields);
    let columns: Result<Vec<ArrayRef>, ArrowError> = columns
        .map(|(column, field)| convert(column, field.data_type()))
        .collect();
    StructArray::try_new(fields.clone(), columns?, array.nulls().cloned())
}

fn convert_map(map: &MapArray, entries: &FieldRef, sorted: bool) -> Result<ArrayRef, ArrowError> {
    let DataType::Struct(fields) = entries.data_type() else {
        return Err(ArrowError::CastError(format!("{entries} is no entry")));
    };
    Ok(Arc::new(MapArray::try_new(
        Arc::clone(entries),
        map.offsets().clone(),
        convert_fields(map.entries(), fields)?,
        map.nulls().cloned(),
        sorted,
    )?))
}

fn to_milliseconds<T: ArrowTimestampType>(array: &ArrayRef, per_millisecond: i64) -> ArrayRef {
    let milliseconds: PrimitiveArray<TimestampMillisecondType> = array
        .as_primitive::<T>()
        .unary(|time| time.div_euclid(per_millisecond));
    Arc::new(milliseconds)
}

#[cfg(test)]
mod tests;
