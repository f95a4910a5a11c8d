//! Values against what PostgreSQL writes for them.

use std::sync::Arc;

use arrow::array::{
    Decimal128Array, Float32Array, Float64Array, Int64Array, StringArray, TimestampMillisecondArray,
};
use arrow::datatypes::{Int64Type, TimeUnit};
use proptest::prelude::*;

use super::*;

fn written(column: ArrayRef, form: Form, zone: Tz) -> Vec<Option<Vec<u8>>> {
    let kind = Kind::of(column.data_type());
    let values = Values::new(&column, &kind, form, zone).unwrap();
    let value = |row| {
        let mut out = BytesMut::new();
        (!values.is_null(row)).then(|| {
            values.write(row, &mut out);
            out.to_vec()
        })
    };
    (0..column.len()).map(value).collect()
}

fn texts(column: ArrayRef, zone: Tz) -> Vec<String> {
    let written = written(column, Form::Text, zone).into_iter();
    let text =
        |value: Option<Vec<u8>>| String::from_utf8(value.unwrap_or_else(|| b"NULL".to_vec()));
    written.map(|value| text(value).unwrap()).collect()
}

/// From `SELECT` in psql of PostgreSQL 15.
#[test]
fn numbers_are_written_as_postgresql_does() {
    let doubles = [
        0.0,
        -0.0,
        0.1,
        1.0,
        1e14,
        1e15,
        123_456_789_012_345_680.0,
        1e-4,
        1e-5,
        1.5e300,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
    ];
    assert_eq!(
        texts(Arc::new(Float64Array::from(doubles.to_vec())), Tz::UTC),
        [
            "0",
            "-0",
            "0.1",
            "1",
            "100000000000000",
            "1e+15",
            "1.2345678901234568e+17",
            "0.0001",
            "1e-05",
            "1.5e+300",
            "NaN",
            "Infinity",
            "-Infinity"
        ]
    );
    let singles = Float32Array::from(vec![0.1, 1e5, 1e6, 16_777_216.0]);
    assert_eq!(
        texts(Arc::new(singles), Tz::UTC),
        ["0.1", "100000", "1e+06", "1.6777216e+07"]
    );
    let decimals = Decimal128Array::from(vec![Some(12_345), Some(-5), None]);
    let decimals = decimals.with_precision_and_scale(10, 2).unwrap();
    assert_eq!(
        texts(Arc::new(decimals), Tz::UTC),
        ["123.45", "-0.05", "NULL"]
    );
}

#[test]
fn times_are_written_in_the_zone() {
    let ms = TimestampMillisecondArray::from(vec![
        1_795_219_200_000,
        1_795_219_200_250,
        0,
        -62_135_596_800_001,
        -1_000_000_000_000,
    ]);
    let instants: ArrayRef = Arc::new(ms.clone().with_timezone("Asia/Seoul"));
    assert_eq!(
        texts(Arc::clone(&instants), Tz::Asia__Seoul),
        [
            "2026-11-21 09:00:00+09",
            "2026-11-21 09:00:00.25+09",
            "1970-01-01 09:00:00+09",
            "0001-01-01 08:27:51.999+08:27:52",
            "1938-04-25 07:13:20+09"
        ]
    );
    assert_eq!(
        texts(instants, Tz::America__St_Johns)[0],
        "2026-11-20 20:30:00-03:30"
    );
    assert_eq!(
        texts(Arc::new(ms), Tz::UTC)[3],
        "0001-12-31 23:59:59.999 BC"
    );
    let days: ArrayRef = Arc::new(Date32Array::from(vec![0, 20_778, -719_163]));
    assert_eq!(
        texts(days, Tz::UTC),
        ["1970-01-01", "2026-11-21", "0001-12-31 BC"]
    );
}

#[test]
fn arrays_are_quoted_where_they_have_to_be() {
    let items = vec![
        Some("a"),
        Some("b c"),
        None,
        Some("null"),
        Some(""),
        Some("q\"\\"),
        Some("{,}"),
    ];
    let offsets = arrow::buffer::OffsetBuffer::from_lengths([items.len()]);
    let item = Arc::new(arrow::datatypes::Field::new("item", DataType::Utf8, true));
    let list = ListArray::new(item, offsets, Arc::new(StringArray::from(items)), None);
    assert_eq!(
        texts(Arc::new(list), Tz::UTC),
        ["{a,\"b c\",NULL,\"null\",\"\",\"q\\\"\\\\\",\"{,}\"}"]
    );
    let numbers = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), None])]);
    let binary = written(Arc::new(numbers), Form::Binary, Tz::UTC);
    let expected = [
        &1_i32.to_be_bytes()[..],
        &1_i32.to_be_bytes(),
        &20_u32.to_be_bytes(),
        &2_i32.to_be_bytes(),
        &1_i32.to_be_bytes(),
        &8_i32.to_be_bytes(),
        &1_i64.to_be_bytes(),
        &(-1_i32).to_be_bytes(),
    ];
    assert_eq!(binary[0].as_deref().unwrap(), expected.concat());
}

/// From `numeric_send` of PostgreSQL 15.
#[test]
fn binary_numbers_are_groups_of_four_digits() {
    for (text, expected) in [
        ("0", vec![0, 0, 0, 0]),
        ("1", vec![1, 0, 0, 0, 1]),
        ("-12345.67", vec![3, 1, 0x4000, 2, 1, 2345, 6700]),
        ("0.0001", vec![1, -1, 0, 4, 1]),
        ("10000", vec![1, 1, 0, 0, 1]),
        ("0.00", vec![0, 0, 0, 2]),
    ] {
        let mut out = BytesMut::new();
        binary::numeric(text, &mut out);
        let expected: Vec<u8> = expected
            .iter()
            .flat_map(|n: &i16| n.to_be_bytes())
            .collect();
        assert_eq!(out.to_vec(), expected, "{text}");
    }
}

proptest! {
    /// A double is read again as itself, an instant is the one of chrono.
    #[test]
    fn texts_mean_their_values(double: f64, ms in -62_000_000_000_000_i64..253_000_000_000_000) {
        let text = &texts(Arc::new(Float64Array::from(vec![double])), Tz::UTC)[0];
        let read: f64 = text.parse().unwrap();
        prop_assert!(read == double || read.is_nan() && double.is_nan(), "{text}");
        let zone = Tz::America__New_York;
        let column = TimestampMillisecondArray::from(vec![ms]).with_timezone(zone.name());
        let text = &texts(Arc::new(column), zone)[0];
        let at = chrono::DateTime::from_timestamp_millis(ms).unwrap().with_timezone(&zone);
        prop_assert!(text.starts_with(&at.format("%Y-%m-%d %H:%M:%S").to_string()), "{text} {at}");
        let binary = written(Arc::new(Int64Array::from(vec![ms])), Form::Binary, zone);
        prop_assert_eq!(binary[0].clone().unwrap(), ms.to_be_bytes());
        let micro = DataType::Timestamp(TimeUnit::Microsecond, None);
        prop_assert_eq!(Kind::of(&micro), Kind::Timestamp);
    }
}
