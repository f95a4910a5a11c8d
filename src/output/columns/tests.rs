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

/// Each kind of type that a query can return, with the type that is written.
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
            let converted = convert(&nulls, &to).unwrap_or_else(|error| panic!("{from}: {error}"));
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
fn names_that_differ_only_in_case_are_refused() {
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
        // Matched by name, these two would be exchanged.
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
