//! An answer's columns as Athena reads them: which type stands for which, and the values turned into them.
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

/// The names of columns, or of the fields of a column, as Hive has them. An error where two become one, or one is empty.
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

/// What SQL calls a type; of a nested one only its kind.
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

/// The type that Athena reads in place of another; or, in an error, what to write instead. `column` is the column's
/// name, with those of its fields behind dots.
fn athena_type(data_type: &DataType, column: &str) -> Result<DataType, String> {
    let unreadable = |advice: &str| {
        let what = match data_type {
            DataType::Union(_, _) => "JSON of no fixed type".to_owned(),
            other => other.to_string(),
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
                return unreadable(&format!(
                    "cast it to a decimal of at most 38 digits, such as DECIMAL(38, {scale})"
                ));
            }
        },
        // A dictionary of strings is a string in the file.
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
            return unreadable("give the struct a field");
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
                return unreadable("its entries are no keys and values");
            };
            let [key, value] = &fields[..] else {
                return unreadable("its entries are no keys and values");
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
            return unreadable("write seconds as a number, such as extract(epoch FROM …)");
        }
        DataType::Time32(_) | DataType::Time64(_) => {
            return unreadable("write it as text, with ::text");
        }
        DataType::Union(_, _) => {
            return unreadable(
                "take the value as text with ->> or json_get_str, or as a number with json_get_int or json_get_float",
            );
        }
    })
}

/// A decimal in Athena's bounds: at most 38 digits, of which `scale` are behind the point and none is left out before
/// it.
fn athena_decimal(precision: u8, scale: i8) -> Option<DataType> {
    let (precision, scale) = match scale {
        0.. => (precision.max(scale.unsigned_abs()), scale),
        _ => (precision.saturating_add(scale.unsigned_abs()), 0),
    };
    (precision <= DECIMAL128_MAX_PRECISION).then_some(DataType::Decimal128(precision, scale))
}

/// The batch in the columns of [`athena_schema`]. A value that does not fit is an error (SQL) that names it.
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

/// A batch of these columns, which are those of the schema.
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

/// Arrow's own cast, but for what it would do in another way: fields go by their place, as their names may have changed
/// case, and times before 1970 are cut towards the past like all others.
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
        // Of a time with a zone this keeps the instant, in UTC.
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
mod tests {
    use super::*;
    use arrow::array::{
        Decimal256Array, DictionaryArray, Int8Array, Int64Array, RunArray, StringArray,
        TimestampSecondArray, UInt32Array, UInt64Array, new_null_array,
    };
    use arrow::datatypes::{Int32Type, IntervalUnit, i256};
    use arrow::util::display::array_value_to_string;
    use proptest::prelude::*;

    fn schema_of(data_type: DataType) -> Result<SchemaRef> {
        athena_schema(&Schema::new(vec![Field::new("C", data_type, false)]))
    }

    /// Each kind of type that a question can answer, with the one that is written.
    fn readable() -> Vec<(DataType, DataType)> {
        use DataType::*;
        let field = |name: &str, data_type: &DataType| Field::new(name, data_type.clone(), true);
        let list_of = |data_type: &DataType| List(Arc::new(field("element", data_type)));
        let item = |data_type: &DataType| Arc::new(field("item", data_type));
        let dictionary = |values: &DataType| Dictionary(Box::new(UInt16), Box::new(values.clone()));
        let ms = Timestamp(TimeUnit::Millisecond, None);
        let entries = |names: [&str; 3], key: DataType, value: DataType| {
            let fields = vec![
                Field::new(names[1], key, false),
                Field::new(names[2], value, true),
            ];
            Map(Arc::new(Field::new_struct(names[0], fields, false)), false)
        };
        let athena_entries = ["key_value", "key", "value"];
        let runs = Arc::new(Field::new("run_ends", Int32, false));
        let same = [
            Boolean,
            Int32,
            Int64,
            Float32,
            Float64,
            Utf8,
            Utf8View,
            Binary,
            BinaryView,
            Date32,
            dictionary(&Utf8),
            ms.clone(),
            Decimal128(38, 10),
        ];
        let mut cases: Vec<(DataType, DataType)> =
            same.into_iter().map(|same| (same.clone(), same)).collect();
        cases.extend([
            (Null, Utf8),
            (Int8, Int32),
            (Int16, Int32),
            (UInt8, Int32),
            (UInt16, Int32),
            (UInt32, Int64),
            (UInt64, Int64),
            (Float16, Float32),
            (LargeUtf8, Utf8),
            (LargeBinary, Binary),
            (FixedSizeBinary(4), Binary),
            (Date64, Date32),
            (Decimal32(9, 2), Decimal128(9, 2)),
            (Decimal64(18, 3), Decimal128(18, 3)),
            (Decimal256(38, 4), Decimal128(38, 4)),
            (Decimal128(10, -3), Decimal128(13, 0)),
            (Decimal128(2, 5), Decimal128(5, 5)),
            (dictionary(&LargeUtf8), Utf8),
            (dictionary(&dictionary(&UInt64)), Int64),
            (RunEndEncoded(runs, item(&UInt8)), Int32),
            (List(item(&UInt8)), list_of(&Int32)),
            (LargeList(item(&LargeUtf8)), list_of(&Utf8)),
            (ListView(item(&Int8)), list_of(&Int32)),
            (LargeListView(item(&Int8)), list_of(&Int32)),
            (FixedSizeList(item(&Float16), 2), list_of(&Float32)),
            (
                List(item(&Struct(vec![field("A", &UInt64)].into()))),
                list_of(&Struct(vec![field("a", &Int64)].into())),
            ),
            (
                entries(
                    ["entries", "keys", "values"],
                    dictionary(&LargeUtf8),
                    UInt64,
                ),
                entries(athena_entries, Utf8, Int64),
            ),
        ]);
        for unit in [
            TimeUnit::Second,
            TimeUnit::Microsecond,
            TimeUnit::Nanosecond,
        ] {
            cases.push((Timestamp(unit, None), ms.clone()));
            cases.push((Timestamp(unit, Some("Asia/Seoul".into())), ms.clone()));
        }
        cases
    }

    #[test]
    fn types_become_ones_that_athena_knows() {
        for (from, to) in readable() {
            let schema = schema_of(from.clone()).unwrap();
            assert_eq!(schema.field(0).data_type(), &to, "{from}");
            assert_eq!(schema.field(0).name(), "c");
            for rows in [0, 3] {
                let nulls = new_null_array(&from, rows);
                let converted =
                    convert(&nulls, &to).unwrap_or_else(|error| panic!("{from}: {error}"));
                assert_eq!(converted.data_type(), &to);
                assert_eq!(
                    (converted.len(), converted.logical_null_count()),
                    (rows, rows),
                    "{from}"
                );
            }
        }
    }

    #[test]
    fn what_athena_can_not_read_is_an_error_that_says_what_to_cast() {
        let union = DataType::Union(
            [(0, Arc::new(Field::new("a", DataType::Int64, true)))]
                .into_iter()
                .collect(),
            arrow::datatypes::UnionMode::Sparse,
        );
        let inside = |data_type: &DataType| {
            DataType::Struct(vec![Field::new("In", data_type.clone(), true)].into())
        };
        for (odd, advice) in [
            (DataType::Interval(IntervalUnit::DayTime), "extract(epoch"),
            (DataType::Duration(TimeUnit::Millisecond), "extract(epoch"),
            (DataType::Time32(TimeUnit::Second), "::text"),
            (DataType::Time64(TimeUnit::Nanosecond), "::text"),
            (union, "->>"),
            (DataType::Decimal256(76, 40), "DECIMAL(38, 38)"),
            (DataType::Decimal128(38, -2), "DECIMAL(38, 0)"),
            (DataType::Struct(Fields::empty()), "a field"),
        ] {
            for (data_type, name) in [(odd.clone(), "\"C\""), (inside(&odd), "\"C.in\"")] {
                let error = schema_of(data_type).unwrap_err();
                let text = error.to_string();
                assert!(text.contains(name) && text.contains(advice), "{text}");
                assert_eq!(error.class(), Class::Sql);
            }
        }
    }

    #[test]
    fn names_that_differ_only_in_case_are_told() {
        let fields = vec![
            Field::new("Events", DataType::Int64, false),
            Field::new("events", DataType::Int64, false),
        ];
        let error = athena_schema(&Schema::new(fields.clone()))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("\"Events\"") && error.contains("\"events\""),
            "{error}"
        );
        let error = schema_of(DataType::Struct(fields.into()))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("\"C\"") && error.contains("\"Events\""),
            "{error}"
        );
        let unnamed = Schema::new(vec![Field::new("", DataType::Int64, false)]);
        let error = athena_schema(&unnamed).unwrap_err().to_string();
        assert_eq!(
            error,
            "a column of the answer has no name: give it one with AS"
        );
    }

    fn written(column: ArrayRef) -> Result<ArrayRef> {
        let batch = RecordBatch::try_from_iter([("c", column)]).unwrap();
        let schema = athena_schema(&batch.schema()).unwrap();
        to_athena(&batch, &schema).map(|batch| Arc::clone(batch.column(0)))
    }

    #[test]
    fn values_stay_what_they_are() {
        let runs: RunArray<Int32Type> = ["a", "a", "b"].into_iter().collect();
        let numbers =
            ListArray::from_iter_primitive::<arrow::datatypes::UInt8Type, _, _>([Some(vec![
                Some(1),
                None,
                Some(255),
            ])]);
        let fields = Fields::from(vec![
            // Swapped by name, these would be exchanged.
            Field::new("B", DataType::UInt32, true),
            Field::new("a", DataType::Utf8, true),
        ]);
        let row = StructArray::new(
            fields,
            vec![
                Arc::new(UInt32Array::from(vec![u32::MAX])),
                Arc::new(StringArray::from(vec!["x"])),
            ],
            None,
        );
        let wide = Decimal256Array::from(vec![i256::from_i128(12_345)])
            .with_precision_and_scale(38, 2)
            .unwrap();
        let seconds = TimestampSecondArray::from(vec![-1]).with_timezone("Asia/Seoul");
        let cases: [(ArrayRef, &str); 7] = [
            (Arc::new(runs), "a"),
            (Arc::new(numbers), "[1, , 255]"),
            (Arc::new(row), "{b: 4294967295, a: x}"),
            (Arc::new(wide), "123.45"),
            (Arc::new(seconds), "1969-12-31T23:59:59"),
            (Arc::new(Int8Array::from(vec![-128])), "-128"),
            (
                Arc::new(Int64Array::from(vec![i64::MIN])),
                "-9223372036854775808",
            ),
        ];
        for (array, expected) in cases {
            let converted = written(array).unwrap();
            assert_eq!(array_value_to_string(&converted, 0).unwrap(), expected);
        }
    }

    #[test]
    fn a_value_that_does_not_fit_is_an_error_and_not_another_value() {
        let cases: [(ArrayRef, &str); 3] = [
            (
                Arc::new(UInt64Array::from(vec![1, u64::MAX])),
                "18446744073709551615",
            ),
            (
                Arc::new(ListArray::from_iter_primitive::<
                    arrow::datatypes::UInt64Type,
                    _,
                    _,
                >([Some(vec![Some(1 << 63)])])),
                "9223372036854775808",
            ),
            (
                Arc::new(TimestampSecondArray::from(vec![i64::MAX])),
                "9223372036854775807",
            ),
        ];
        for (array, value) in cases {
            let error = written(array).unwrap_err();
            let text = error.to_string();
            assert!(text.contains("\"c\"") && text.contains(value), "{text}");
            assert_eq!(error.class(), Class::Sql);
        }
    }

    proptest! {
        #[test]
        fn times_are_cut_towards_the_past(nanoseconds: i64) {
            let array = PrimitiveArray::<TimestampNanosecondType>::from(vec![nanoseconds])
                .with_timezone("Asia/Seoul");
            let array: ArrayRef = Arc::new(array);
            let keys = PrimitiveArray::<Int32Type>::from(vec![0]);
            let dictionary = DictionaryArray::new(keys, Arc::clone(&array));
            for array in [array, Arc::new(dictionary)] {
                let converted = written(array).unwrap();
                let milliseconds = converted.as_primitive::<TimestampMillisecondType>().value(0);
                let cut = i128::from(nanoseconds) - i128::from(milliseconds) * 1_000_000;
                prop_assert!((0..1_000_000).contains(&cut));
            }
        }
    }
}
