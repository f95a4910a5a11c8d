//! Objects of a subscription in every packing and in every piece size.

use super::*;
use crate::scan::budget::Budget;
use crate::scan::report::ReadLog;
use crate::scan::source::file_schema;
use crate::window::Range;
use arrow::array::AsArray;
use arrow::datatypes::TimestampMillisecondType;
use bytes::Bytes;
use datafusion::execution::disk_manager::DiskManagerBuilder;
use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool, UnboundedMemoryPool};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use flate2::{Compression, write::GzEncoder};
use futures::StreamExt;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::io::Write;

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn base64(bytes: &[u8]) -> String {
    String::from_utf8(crate::scan::layers::base64(bytes)).unwrap()
}

/// A row: time, message, log group, log stream, account.
type Row = (i64, String, Option<String>, String, Option<String>);

fn record(group: &str, first: u64, messages: &[&str]) -> Value {
    let events: Vec<Value> = (first..)
        .zip(messages)
        .map(|(id, message)| {
            let id_text = format!("3195310660696698337880902507980421114328{id:016}");
            json!({"id": id_text, "timestamp": 1_432_826_855_000_u64 + id, "message": message})
        })
        .collect();
    json!({
        "messageType": "DATA_MESSAGE", "owner": "123456789012", "logGroup": group,
        "logStream": format!("{group}/1"), "subscriptionFilters": ["all"], "logEvents": events,
    })
}

fn rows_of(group: &str, first: i64, messages: &[&str]) -> Vec<Row> {
    let rows = (first..).zip(messages).map(|(id, message)| {
        (
            1_432_826_855_000 + id,
            (*message).to_owned(),
            Some(group.to_owned()),
            format!("{group}/1"),
            Some("123456789012".to_owned()),
        )
    });
    rows.collect()
}

struct Table {
    pool: Arc<dyn MemoryPool>,
    duplicates: Deduplication,
    window: Range,
    read: ReadLog,
}

impl Table {
    fn new(pool: Arc<dyn MemoryPool>) -> Self {
        Self {
            duplicates: Deduplication {
                ids: Arc::new(EventIds::new(&pool)),
                disk: Arc::new(DiskManagerBuilder::default().build().unwrap()),
            },
            pool,
            window: Range::ALL,
            read: ReadLog::default(),
        }
    }

    fn unbounded() -> Self {
        Self::new(Arc::new(UnboundedMemoryPool::default()))
    }

    /// The rows of an object, in batches of three.
    fn read(
        &self,
        number: u32,
        content: Content,
        format: ObjectFormat,
    ) -> Result<Vec<Row>, String> {
        let name = ObjectName {
            place: "s3://acme/".into(),
            key: "logs/2015/05/28/15/x".into(),
        };
        let filter = EventFilter {
            window: self.window,
            rows: self.window,
            messages: true,
            masks: false,
            requested: Range::ALL,
        };
        let metrics = ExecutionPlanMetricsSet::new();
        let counts = Counts::new(&metrics, 0, self.read.clone(), None, None);
        let claim = Budget::claim(&Budget::new(&self.pool), 1);
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let reading = async {
            let mut reader = RecordReader::new(
                (name, number),
                filter,
                (1, content),
                format,
                &claim,
                counts,
                self.duplicates.clone(),
            );
            let origins = crate::job::OriginColumns {
                account: true,
                region: false,
            };
            let schema = file_schema(chrono_tz::UTC, origins);
            let mut batch = BatchBuilder::new(schema, &[0, 1, 2, 3, 4], 3);
            // As for each object of a bundle.
            batch.begin_origin(Origin {
                account: None,
                log_group: None,
                log_stream: "",
            });
            let mut found = Vec::new();
            loop {
                let filled = reader.fill(&mut batch).await?;
                let batch = batch.finish()?;
                let times = batch.column(0).as_primitive::<TimestampMillisecondType>();
                for (row, time) in times.values().iter().enumerate() {
                    let text = |column: usize| {
                        let column = batch.column(column).as_string_view().iter();
                        column
                            .map(|text| text.map(str::to_owned))
                            .nth(row)
                            .flatten()
                    };
                    let (message, stream) = (text(1), text(3));
                    found.push((
                        *time,
                        message.unwrap_or_default(),
                        text(2),
                        stream.unwrap_or_default(),
                        text(4),
                    ));
                }
                if filled == FillOutcome::ObjectEnd {
                    return Ok(found);
                }
            }
        };
        runtime
            .unwrap()
            .block_on(reading)
            .map_err(|error: DataFusionError| Error::from_engine(error).to_string())
    }

    fn records(&self, number: u32, object: &[u8]) -> Result<Vec<Row>, String> {
        let content = Content::Whole(Bytes::copy_from_slice(object));
        self.read(number, content, ObjectFormat::Records)
    }
}

fn in_pieces(object: &[u8], piece: usize) -> Content {
    let pieces: Vec<_> = object
        .chunks(piece)
        .map(|piece| Ok(Bytes::copy_from_slice(piece)))
        .collect();
    Content::Pieces(futures::stream::iter(pieces).boxed())
}

/// Two records and a control message, and their rows.
fn sample() -> (Vec<Vec<u8>>, Vec<Row>) {
    let first = [
        "plain",
        "two\nlines\n",
        "\"quoted\" \\ 한글 😀",
        "\n",
        "{\"a\":\"b\"}",
    ];
    let trimmed = [
        "plain",
        "two\nlines",
        "\"quoted\" \\ 한글 😀",
        "",
        "{\"a\":\"b\"}",
    ];
    let second = ["x", "y"];
    let control = json!({
        "messageType": "CONTROL_MESSAGE", "owner": "CloudwatchLogs", "logGroup": "", "logStream": "",
        "subscriptionFilters": [], "logEvents": [{
            "id": "", "timestamp": 1_432_826_855_000_u64,
            "message": "CWL CONTROL MESSAGE: Checking health of destination Firehose.",
        }],
    });
    let records = [record("/a", 0, &first), control, record("/b", 10, &second)];
    let rows = [rows_of("/a", 0, &trimmed), rows_of("/b", 10, &second)].concat();
    let records = records.map(|record| record.to_string().into_bytes());
    (records.to_vec(), rows)
}

#[test]
fn every_packing_and_piece_size_gives_the_same_rows() {
    let (records, rows) = sample();
    let plain = records.concat();
    let members: Vec<u8> = records.iter().flat_map(|record| gzip(record)).collect();
    for packed in [plain.clone(), gzip(&plain), members.clone(), gzip(&members)] {
        assert_eq!(Table::unbounded().records(0, &packed).unwrap(), rows);
        // No memory for whole objects.
        let small = Table::new(Arc::new(GreedyMemoryPool::new(64 << 10)));
        assert_eq!(small.records(0, &packed).unwrap(), rows);
        for piece in [1, 2, 3, 10, 100] {
            let content = in_pieces(&packed, piece);
            let read = Table::unbounded().read(0, content, ObjectFormat::Records);
            assert_eq!(read.unwrap(), rows);
        }
    }
}

/// What a consumer of Kinesis, or a Lambda function, keeps of its own events. The data is that of AWS's documentation.
#[test]
fn records_in_the_base64_of_a_consumers_events_are_read() {
    let data = "H4sIAAAAAAAAAHWPwQqCQBCGX0Xm7EFtK+smZBEUgXoLCdMhFtKV3akI8d0bLYmibvPPN3wz00CJxmQnTO41whwWQRIctmEcB6sQbFC3CjW3XW8kxpOpP+OC22d1Wml1qZkQGtoMsScxaczKN3plG8zlaHIta5KqWsozoTYw3/djzwhpLwivWFGHGpAFe7DL68JlBUk+l7KSN7tCOEJ4M3/qOI49vMHj+zCKdlFqLaU2ZHV2a4Ct/an0/ivdX8oYc1UVX860fQDQiMdxRQEAAA==";
    let row = |ms: i64, message: &str| {
        let (group, stream) = ("testLogGroup".to_owned(), "testLogStream".to_owned());
        (
            ms,
            message.to_owned(),
            Some(group),
            stream,
            Some("123456789123".to_owned()),
        )
    };
    let documented = [
        row(1_440_442_987_000, "[ERROR] First test message"),
        row(1_440_442_987_001, "[ERROR] Second test message"),
    ];
    let plain = record("/a", 0, &["x"]).to_string();
    let of_lambda = json!({"awslogs": {"data": data}}).to_string();
    let of_kinesis =
        json!({"Records": [{"kinesis": {"partitionKey": "1", "data": data}}]}).to_string();
    let requested =
        json!({"Records": [{"Data": data, "PartitionKey": "1"}, {"Data": data}]}).to_string();
    for event in [&of_lambda, &of_kinesis, &requested] {
        let rows = Table::unbounded().records(0, event.as_bytes()).unwrap();
        assert_eq!(rows, documented);
        // Twice, with a plain record between.
        let object = [event, &plain, event].map(String::as_str).concat();
        for piece in [1, 50, 1000] {
            let content = in_pieces(object.as_bytes(), piece);
            let rows = Table::unbounded()
                .read(0, content, ObjectFormat::Records)
                .unwrap();
            assert_eq!(rows, [&documented[..], &rows_of("/a", 0, &["x"])].concat());
        }
    }
    let rows = Table::unbounded().records(0, data.as_bytes()).unwrap();
    assert_eq!(rows, documented);
    let cut = json!({"awslogs": {"data": &data[..100]}}).to_string();
    let error = Table::unbounded().records(0, cut.as_bytes()).unwrap_err();
    assert!(
        error.contains("the base64 at byte 20 of its text: the gzip data is cut off"),
        "{error}"
    );
}

#[test]
fn base64_may_have_escapes_and_no_base64_in_it() {
    let rows = rows_of("/a", 0, &["a/b", "c"]);
    let plain = record("/a", 0, &["a/b", "c"]).to_string();
    let data = base64(&gzip(plain.as_bytes()));
    let escaped = data.replace('/', "\\/").replace('=', "\\u003d");
    let of_lambda = |data: &str| format!(r#"{{"awslogs":{{"data":"{data}"}}}}"#);
    let object = of_lambda(&escaped);
    assert_eq!(
        Table::unbounded().records(0, object.as_bytes()).unwrap(),
        rows
    );

    let nested = of_lambda(&base64(&gzip(of_lambda(&data).as_bytes())));
    let error = Table::unbounded()
        .records(0, nested.as_bytes())
        .unwrap_err();
    assert!(
        error.contains("has base64 in place of events again"),
        "{error}"
    );
}

#[test]
fn events_without_an_id_all_count() {
    let mut without = record("/a", 0, &["a", "a", "a"]);
    for (event, id) in without["logEvents"]
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .zip([json!(""), json!(null), json!("")])
    {
        event["id"] = id;
    }
    let found = Table::unbounded().records(0, without.to_string().as_bytes());
    assert_eq!(found.unwrap(), rows_of("/a", 0, &["a", "a", "a"]));
}

#[test]
fn a_record_of_more_events_than_a_piece_has_all_of_them() {
    let messages: Vec<String> = (0..3 * PIECE_EVENTS)
        .map(|n| match n % 3 {
            0 => format!("한글 {n}"),
            1 => format!("a \"{n}\""),
            _ => n.to_string(),
        })
        .collect();
    let messages: Vec<&str> = messages.iter().map(String::as_str).collect();
    let object = record("/a", 0, &messages).to_string();
    let found = Table::unbounded().records(0, object.as_bytes());
    assert_eq!(found.unwrap(), rows_of("/a", 0, &messages));
}

#[test]
fn an_event_that_came_twice_is_one_row_in_each_scan() {
    let table = Table::unbounded();
    let one = record("/a", 0, &["a", "b"]).to_string();
    // CloudWatch sent one record again with another one's events.
    let again = record("/a", 1, &["b", "c"]).to_string();
    let object = [one.as_bytes(), again.as_bytes(), one.as_bytes()].concat();
    for _ in 0..2 {
        assert_eq!(
            table.records(0, &object).unwrap(),
            rows_of("/a", 0, &["a", "b", "c"])
        );
        assert_eq!(table.records(1, &gzip(one.as_bytes())).unwrap(), []);
        let other = record("/a", 2, &["c", "d"]).to_string();
        assert_eq!(
            table.records(2, other.as_bytes()).unwrap(),
            rows_of("/a", 3, &["d"])
        );
    }
    let read = table.read.complete(3).unwrap();
    assert_eq!((read.events, read.duplicate_events), (4, 6));
}

#[test]
fn only_events_of_the_window_count_and_are_rows() {
    let mut table = Table::unbounded();
    table.window = Range {
        start_ms: 1_432_826_855_001,
        end_ms: 1_432_826_855_003,
    };
    let object = record("/a", 0, &["a", "b", "c", "d"]).to_string();
    let object = [object.as_bytes(), object.as_bytes()].concat();
    assert_eq!(
        table.records(0, &object).unwrap(),
        rows_of("/a", 1, &["b", "c"])
    );
    let read = table.read.complete(1).unwrap();
    assert_eq!((read.events, read.duplicate_events), (2, 2));
}

#[test]
fn a_message_that_is_not_utf8_has_replacement_characters() {
    let text = record("/a", 0, &["good ☃", "bad \\ @"]).to_string();
    let broken: Vec<u8> = text
        .bytes()
        .map(|byte| if byte == b'@' { 0xe9 } else { byte })
        .collect();
    let table = Table::unbounded();
    let rows = table.records(0, &broken).unwrap();
    assert_eq!(rows, rows_of("/a", 0, &["good ☃", "bad \\ \u{fffd}"]));
    assert_eq!(table.read.complete(1).unwrap().invalid_utf8_events, 1);
}

#[test]
fn damage_is_an_error_with_the_object_and_the_place() {
    let (records, _) = sample();
    let plain = records.concat();
    let packed = gzip(&plain);
    let place = records[0].len();
    let cut = &plain[..place + 10];
    let not_json = [&plain[..], b"garbage"].concat();
    for (object, expected) in [
        (
            cut,
            format!(
                "s3://acme/logs/2015/05/28/15/x is cut off: the record at byte {place} of its text does not end before the text ends, at byte {}",
                place + 10
            ),
        ),
        (
            &packed[..packed.len() - 9],
            "s3://acme/logs/2015/05/28/15/x: the gzip data is cut off after".to_owned(),
        ),
        (
            &not_json,
            format!(
                "s3://acme/logs/2015/05/28/15/x: byte {} of its text is no part of a record",
                plain.len()
            ),
        ),
        (
            b"2024-02-13T21:01:04.792Z x\n",
            "s3://acme/logs/2015/05/28/15/x is no object of a subscription: byte 0".to_owned(),
        ),
        (b"hello\nworld\n", "It looks like plain text".to_owned()),
    ] {
        let error = Table::unbounded().records(0, object).unwrap_err();
        assert!(error.contains(&expected), "{error}");
        for piece in [1, 1000] {
            let read = Table::unbounded().read(0, in_pieces(object, piece), ObjectFormat::Records);
            let error = read.unwrap_err();
            assert!(error.contains(&expected), "{error}");
        }
    }
}

#[test]
fn messages_alone_have_the_time_of_their_object() {
    let format = ObjectFormat::Messages { arrived_ms: 7 };
    let row = |message: &str| (7, message.to_owned(), None, String::new(), None);
    for piece in [1, 4, 100] {
        let object = gzip("one\r\n\ntwo 한글\n{\"a\":1}".as_bytes());
        let rows = Table::unbounded().read(0, in_pieces(&object, piece), format);
        assert_eq!(
            rows.unwrap(),
            [row("one"), row("two 한글"), row("{\"a\":1}")]
        );
        // A line end between gzip members divides their lines.
        let members = [&gzip(b"one")[..], b"\n", &gzip(b"two"), b"\n"].concat();
        let rows = Table::unbounded().read(0, in_pieces(&members, piece), format);
        assert_eq!(rows.unwrap(), [row("one"), row("two")]);
    }
}

#[test]
fn many_members_have_the_rows_and_the_damage_that_a_stream_has() {
    // More text than is inflated at once.
    let messages = ["a message of some \"length\" \\ 한글"; 50];
    let records = (0..200).map(|record_number| record("/a", record_number * 50, &messages));
    let members: Vec<Vec<u8>> = records
        .map(|record| gzip(record.to_string().as_bytes()))
        .collect();
    let good = members.concat();
    let middle = members[..100].concat().len();
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut object = good.clone();
        change(&mut object);
        object
    };
    for object in [
        good.clone(),
        gzip(&good),
        members.join(&b"\n"[..]),
        gzip(&members.join(&b"\n\n"[..])),
        changed(&|object| object.extend([b'\n', 0, 0])),
        changed(&|object| object.extend(b"garbage")),
        changed(&|object| object[middle] = 0),
        changed(&|object| object[middle - 5] ^= 1),
        changed(&|object| object.truncate(middle + 20)),
        changed(&|object| object.truncate(middle)),
        gzip(&changed(&|object| object.truncate(middle + 20))),
        changed(&|object| drop(object.splice(middle..middle, gzip(b"")))),
        changed(&|object| drop(object.splice(middle..middle, gzip(b"{\"cut\":")))),
        changed(&|object| drop(object.splice(middle..middle, *b"no member"))),
    ] {
        let [whole, streamed] = [
            Content::Whole(Bytes::from(object.clone())),
            in_pieces(&object, 1000),
        ]
        .map(|content| Table::unbounded().read(0, content, ObjectFormat::Records));
        // Damage is found at or before a place.
        let place = |error: String| error.split(" at or before").next().map(str::to_owned);
        assert_eq!(whole.map_err(place), streamed.map_err(place));
    }
    assert_eq!(Table::unbounded().records(0, &good).unwrap().len(), 10_000);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn records_cut_into_any_pieces_have_every_event_once(
        written in proptest::collection::vec((0_u64..30, proptest::collection::vec(any::<String>(), 0..6)), 0..8),
        piece in 1_usize..300,
        packing in 0_usize..4,
    ) {
        let records: Vec<Vec<u8>> = written.iter().map(|(first, messages)| {
            let messages: Vec<&str> = messages.iter().map(String::as_str).collect();
            record("/a", *first, &messages).to_string().into_bytes()
        }).collect();
        let members: Vec<u8> = records.iter().flat_map(|record| gzip(record)).collect();
        let packed = match packing {
            0 => records.concat(),
            1 => gzip(&records.concat()),
            2 => members,
            _ => gzip(&members),
        };
        let mut seen = std::collections::BTreeSet::new();
        let mut expected = Vec::new();
        for (first, messages) in &written {
            for (id, message) in (*first..).zip(messages) {
                if seen.insert(id) {
                    let message = message.trim_end_matches(['\n', '\r']);
                    expected.extend(rows_of("/a", id as i64, &[message]));
                }
            }
        }
        // Nothing is no record, and no gzip data.
        if !records.is_empty() {
            let rows = Table::unbounded().read(0, in_pieces(&packed, piece), ObjectFormat::Records);
            prop_assert_eq!(rows.unwrap(), expected);
        }
    }
}
