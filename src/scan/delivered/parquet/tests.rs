//! Delivered Parquet objects with their times in every form.

use super::*;
use crate::scan::report::ReadLog;
use crate::scan::source::file_schema;
use arrow::array::{
    BinaryArray, Int64Array, StructArray, TimestampMicrosecondArray, TimestampMillisecondArray,
};
use arrow::datatypes::{Field, TimestampMillisecondType};
use chrono::DateTime;
use datafusion::execution::memory_pool::{MemoryPool, UnboundedMemoryPool};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::file::properties::WriterProperties;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};

const KEY: &str = "AWSLogs/aws-account-id=111122223333/CloudFront/E1.2026-11-21-22.a.parquet";

fn texts<const N: usize>(values: [&str; N]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

/// A file with two rows in each group.
fn parquet(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let rows = RecordBatch::try_from_iter(columns).unwrap();
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(2))
        .build();
    let mut out = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut out, rows.schema(), Some(properties)).unwrap();
    writer.write(&rows).unwrap();
    writer.close().unwrap();
    out
}

struct Table {
    shape: RecordShape,
    window: Range,
    rows: Range,
    messages: bool,
    read: ReadLog,
}

impl Table {
    fn new() -> Self {
        Self {
            shape: RecordShape::default(),
            window: Range::ALL,
            rows: Range::ALL,
            messages: true,
            read: ReadLog::default(),
        }
    }

    fn read(&self, object: Vec<u8>) -> Result<Vec<(i64, String)>, String> {
        let pool: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
        let ids = EventIds::new(&pool);
        let metrics = ExecutionPlanMetricsSet::new();
        let counts = Counts::new(&metrics, 0, self.read.clone(), None, None);
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let reading = async {
            let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
            let key = Path::from(KEY);
            objects.put(&key, PutPayload::from(object)).await.unwrap();
            let meta = objects.head(&key).await.unwrap();
            let name = ObjectName {
                place: "s3://acme/".into(),
                key,
            };
            let filter = EventFilter {
                window: self.window,
                rows: self.rows,
                messages: self.messages,
                masks: false,
                requested: Range::ALL,
            };
            let shape = (&self.shape, Some(Arc::from("web")));
            let opened = RowReader::open(&objects, meta, (name, 0), filter, shape, counts, &ids);
            let mut reader = opened.await?;
            let origins = crate::job::OriginColumns {
                account: true,
                region: false,
            };
            let schema = file_schema(chrono_tz::UTC, origins);
            let mut batch = BatchBuilder::new(schema, &[0, 1, 2, 3, 4], 3);
            let mut found = Vec::new();
            loop {
                let filled = reader.fill(&mut batch).await?;
                let batch = batch.finish()?;
                let times = batch.column(0).as_primitive::<TimestampMillisecondType>();
                let messages = batch.column(1).as_string_view();
                for (row, time) in times.values().iter().enumerate() {
                    assert_eq!(batch.column(2).as_string_view().value(row), "web");
                    assert_eq!(batch.column(4).as_string_view().value(row), "111122223333");
                    found.push((*time, messages.value(row).to_owned()));
                }
                if filled == FillOutcome::ObjectEnd {
                    return Ok(found);
                }
            }
        };
        let read = runtime.unwrap().block_on(reading);
        read.map_err(|error: DataFusionError| Error::from_engine(error).to_string())
    }
}

fn ms(text: &str) -> i64 {
    text.parse::<DateTime<chrono::Utc>>()
        .unwrap()
        .timestamp_millis()
}

/// The columns that Athena's documentation gives to CloudFront's logs in Parquet are texts.
#[test]
fn columns_of_cloudfront_are_read_as_the_lines_are() {
    let file = parquet(vec![
        (
            "date",
            texts(["2026-11-20", "2026-11-21", "2026-11-21", "2026-11-22"]),
        ),
        (
            "time",
            texts(["22:05:09", "00:00:00", "23:59:59", "00:00:00"]),
        ),
        ("x_edge_location", texts(["a", "b\"", "c", "d"])),
    ]);
    let rows = Table::new().read(file).unwrap();
    let times: Vec<i64> = rows.iter().map(|row| row.0).collect();
    let expected = [
        "2026-11-20T22:05:09Z",
        "2026-11-21T00:00:00Z",
        "2026-11-21T23:59:59Z",
        "2026-11-22T00:00:00Z",
    ];
    assert_eq!(times, expected.map(ms));
    assert_eq!(
        rows[1].1,
        r#"{"date":"2026-11-21","time":"00:00:00","x_edge_location":"b\""}"#
    );
}

#[test]
fn times_of_every_type_are_read() {
    let at = [
        ms("2026-11-21T22:05:09.123Z"),
        ms("2026-11-21T22:05:10.123Z"),
    ];
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("event_timestamp", Arc::new(Int64Array::from(at.to_vec()))),
        ("timestamp_ms", texts(["1795298709123", "1795298710123"])),
        (
            "timestamp",
            Arc::new(TimestampMillisecondArray::from(at.to_vec())),
        ),
        (
            "timestamp",
            Arc::new(TimestampMicrosecondArray::from(
                at.map(|ms| ms * 1000).to_vec(),
            )),
        ),
        (
            "timestamp",
            texts(["2026-11-21T22:05:09.123Z", "2026-11-22T07:05:10.123+09:00"]),
        ),
    ];
    for column in columns {
        let name = column.0;
        let rows = Table::new().read(parquet(vec![column])).unwrap();
        assert_eq!(
            rows.iter().map(|row| row.0).collect::<Vec<_>>(),
            at,
            "{name}"
        );
    }
    let seconds: ArrayRef = Arc::new(Int64Array::from(at.map(|ms| ms / 1000).to_vec()));
    let rows = Table::new()
        .read(parquet(vec![("event_timestamp", seconds)]))
        .unwrap();
    assert_eq!(rows[0].0, ms("2026-11-21T22:05:09Z"));
}

fn counted(from: i64) -> Vec<u8> {
    let times: ArrayRef = Arc::new(Int64Array::from_iter_values((0..6).map(|n| from + n)));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(
        (0..6).map(|n| format!("m{n}")),
    ));
    parquet(vec![("event_timestamp", times), ("message", texts)])
}

#[test]
fn row_groups_without_wanted_times_are_left_out_and_the_others_are_counted_exactly() {
    let from = ms("2026-11-21T22:05:09Z");
    let part = |start: i64, end: i64| Range {
        start_ms: from + start,
        end_ms: from + end,
    };
    let mut table = Table::new();
    table.shape.message = Some("message".to_owned());
    table.window = part(1, 5);
    let messages = |rows: Vec<(i64, String)>| rows.into_iter().map(|row| row.1).collect::<Vec<_>>();
    table.rows = table.window;
    assert_eq!(
        messages(table.read(counted(from)).unwrap()),
        ["m1", "m2", "m3", "m4"]
    );
    assert_eq!(table.read.complete(1).unwrap().events, 4);
    // Where row groups of the window are left out, the object has not been read to its end.
    table.read = ReadLog::default();
    table.rows = part(2, 3);
    assert_eq!(messages(table.read(counted(from)).unwrap()), ["m2"]);
    assert!(table.read.complete(1).is_none());
    // Without messages, only the column of the time is read.
    table.rows = table.window;
    table.messages = false;
    assert_eq!(messages(table.read(counted(from)).unwrap()), [""; 4]);
}

#[test]
fn rows_that_are_large_are_decoded_a_few_at_a_time() {
    let size = |of_row| GroupSize {
        compressed: 1000,
        of_row,
        rows: 2000,
    };
    for (of_row, rows) in [
        (0, BATCH_ROWS),
        (100, BATCH_ROWS),
        (BATCH_BYTES / 10, 10),
        (BATCH_BYTES + 1, 1),
    ] {
        let size = size(of_row);
        assert_eq!(size.batch_rows(), rows);
        let memory = 1000 + COPIES_OF_ROWS * rows.min(2000) * of_row;
        assert_eq!(size.memory(rows), memory);
    }
    // As many as there are, however they are decoded.
    let message = "x".repeat(3 << 20);
    let from = ms("2026-11-21T22:05:09Z");
    let times: ArrayRef = Arc::new(Int64Array::from_iter_values(from..from + 6));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(
        (0..6).map(|n| format!("{n}{message}")),
    ));
    let file = parquet(vec![("event_timestamp", times), ("text", texts)]);
    let rows = Table::new().read(file).unwrap();
    let firsts: String = rows
        .iter()
        .map(|(_, row)| row.split("\"text\":\"").nth(1).unwrap_or_default())
        .map(|text| &text[..1])
        .collect();
    assert_eq!(firsts, "012345");
}

#[test]
fn a_date_may_be_that_of_another_zone() {
    let dates = texts(["2026-11-22", "2026-11-22"]);
    let times = texts(["07:05:09+09:00", "08:05:09+09:00"]);
    let mut table = Table::new();
    table.window = Range {
        start_ms: ms("2026-11-21T22:00:00Z"),
        end_ms: ms("2026-11-21T23:00:00Z"),
    };
    table.rows = table.window;
    let rows = table.read(parquet(vec![("date", dates), ("time", times)]));
    assert_eq!(rows.unwrap().len(), 1);
}

#[test]
fn statistics_say_nothing_where_they_are_not_in_the_order_of_time() {
    // Seconds and milliseconds in one row group, and zones in texts.
    let mixed: ArrayRef = Arc::new(Int64Array::from(vec![1_795_298_709, 1_795_298_709_123]));
    let mut table = Table::new();
    table.window = Range {
        start_ms: 1_795_298_709_000,
        end_ms: 1_795_298_709_124,
    };
    table.rows = table.window;
    assert_eq!(
        table
            .read(parquet(vec![("event_timestamp", mixed)]))
            .unwrap()
            .len(),
        2
    );
    let zones = texts(["2026-11-22T07:05:09+09:00", "2026-11-21T22:05:09Z"]);
    assert_eq!(
        table
            .read(parquet(vec![("timestamp", zones)]))
            .unwrap()
            .len(),
        2
    );
}

#[test]
fn texts_that_do_not_say_that_they_are_keep_what_is_no_utf8() {
    let times = texts(["1795298709123", "1795298709124"]);
    let bytes = vec![&b"caf\xe9"[..], b"plain"];
    let bytes: ArrayRef = Arc::new(BinaryArray::from(bytes));
    let mut table = Table::new();
    table.shape.message = Some("text".to_owned());
    let rows = table.read(parquet(vec![("event_timestamp", times), ("text", bytes)]));
    let messages: Vec<String> = rows.unwrap().into_iter().map(|row| row.1).collect();
    assert_eq!(messages, ["caf\u{fffd}", "plain"]);
}

fn nested() -> ArrayRef {
    let member = Arc::new(Field::new("a", DataType::Utf8, true));
    Arc::new(StructArray::from(vec![(member, texts(["x"]))]))
}

#[test]
fn damage_is_an_error_with_the_object_and_the_row() {
    for (file, expected) in [
        (
            parquet(vec![("event_timestamp", texts(["1795298709123", "soon"]))]),
            "row 2 has event_timestamp = \"soon\"",
        ),
        (
            parquet(vec![("a", texts(["1"])), ("b", texts(["2"]))]),
            "has the columns a, b, without the time",
        ),
        (
            parquet(vec![(
                "event_timestamp",
                Arc::new(Int64Array::from(vec![None, Some(5)])) as ArrayRef,
            )]),
            "row 1 has event_timestamp = NULL: expected a time",
        ),
        (
            parquet(vec![(
                "timestamp",
                Arc::new(TimestampMillisecondArray::from(vec![
                    Some(1_795_298_709_000),
                    None,
                ])) as ArrayRef,
            )]),
            "row 2 has timestamp = NULL",
        ),
        (
            parquet(vec![(
                "timestamp",
                Arc::new(StringArray::from(vec![Some("1795298709"), Some(""), None])) as ArrayRef,
            )]),
            "row 2 has timestamp = \"\"",
        ),
        (
            parquet(vec![
                (
                    "date",
                    Arc::new(StringArray::from(vec![None, Some("2026-11-21")])) as ArrayRef,
                ),
                ("time", texts(["22:05:09", "22:05:10"])),
            ]),
            "row 1 has date = NULL",
        ),
        (b"no parquet".to_vec(), "as Parquet"),
        (
            parquet(vec![
                ("event_timestamp", texts(["1795298709123"])),
                ("nested", nested()),
            ]),
            "has a column nested of the type Struct",
        ),
    ] {
        let mut table = Table::new();
        table.shape.message = Some("nested".to_owned());
        let told = table.read(file).unwrap_err();
        assert!(told.contains(expected) && told.contains(KEY), "{told}");
    }
    // Also where its row group would not be read.
    let times: Vec<_> = [Some(1_795_298_709_000), None].into();
    let mut table = Table::new();
    table.window = Range {
        start_ms: 0,
        end_ms: 1,
    };
    table.rows = table.window;
    let file = parquet(vec![(
        "event_timestamp",
        Arc::new(Int64Array::from(times)) as ArrayRef,
    )]);
    let told = table.read(file).unwrap_err();
    assert!(told.contains("row 2 has event_timestamp = NULL"), "{told}");
    // A row is counted from the beginning of the file, although row groups before it are left out.
    let from = 1_795_298_709_000;
    table.window = Range {
        start_ms: from + 2,
        end_ms: from + 9,
    };
    table.rows = table.window;
    let times: Vec<_> = [0, 1, 2, 3].map(|ms| Some(from + ms)).into();
    let times = [times, vec![Some(from + 4), None]].concat();
    let file = parquet(vec![(
        "event_timestamp",
        Arc::new(Int64Array::from(times)) as ArrayRef,
    )]);
    let told = table.read(file).unwrap_err();
    assert!(told.contains("row 6 has event_timestamp = NULL"), "{told}");
    let mut table = Table::new();
    table.shape.time = Some("at".to_owned());
    let told = table.read(counted(1_795_298_709_000)).unwrap_err();
    assert!(
        told.contains("expected \"at\", as [source] time says"),
        "{told}"
    );
}
