//! Delivered objects of lines in every packing and in every piece size.

use super::*;
use crate::scan::budget::Budget;
use crate::scan::event_ids::EventIds;
use crate::scan::report::ReadLog;
use crate::scan::source::file_schema;
use crate::scan::tally::Tally;
use arrow::array::{Array, AsArray};
use arrow::datatypes::TimestampMillisecondType;
use bytes::Bytes;
use datafusion::execution::disk_manager::DiskManagerBuilder;
use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool, UnboundedMemoryPool};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use flate2::{Compression, write::GzEncoder};
use futures::StreamExt;
use proptest::prelude::*;
use serde_json::json;
use std::io::Write;

use crate::window::Range as Times;

/// A row: time, message, log group, log stream, account.
type Row = (i64, String, Option<String>, String, Option<String>);

const KEY: &str = "AWSLogs/111122223333/PCS/us-east-2/abc/slurmctld/25.11/2026/11/21/22/x.log.gz";

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zstd(text: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(text, 3).unwrap()
}

/// A line of Lambda's logs of the class Delivery.
fn lambda(id: u64, message: &str) -> String {
    json!({
        "accountId": "123456789012", "logGroup": "/aws/lambda/pay", "logStream": "2026/11/21/[$LATEST]0067",
        "id": format!("3195310660696698337880902507980421114328{id:016}"),
        "timestamp": 1_795_298_709_000_u64 + id, "message": message,
    })
    .to_string()
}

struct Table {
    pool: Arc<dyn MemoryPool>,
    duplicates: Deduplication,
    shape: RecordShape,
    log_group: Option<Arc<str>>,
    window: Times,
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
            shape: RecordShape::default(),
            log_group: None,
            window: Times::ALL,
            read: ReadLog::default(),
        }
    }

    fn unbounded() -> Self {
        Self::new(Arc::new(UnboundedMemoryPool::default()))
    }

    /// The rows of an object, in batches of three.
    fn read(&self, number: u32, content: Content) -> Result<Vec<Row>, String> {
        let name = ObjectName {
            place: "s3://acme/".into(),
            key: KEY.into(),
        };
        let filter = EventFilter {
            window: self.window,
            rows: self.window,
            messages: true,
            masks: false,
            requested: Times::ALL,
        };
        let metrics = ExecutionPlanMetricsSet::new();
        let counts = Counts::new(&metrics, 0, self.read.clone(), None::<Arc<Tally>>, None);
        let claim = Budget::claim(&Budget::new(&self.pool), 1);
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let reading = async {
            let mut reader = DeliveredReader::new(
                (name, number),
                filter,
                (1, content),
                (&self.shape, self.log_group.clone()),
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
            let mut found = Vec::new();
            loop {
                // As for each object of a bundle.
                batch.begin_origin(Origin {
                    account: None,
                    log_group: None,
                    log_stream: "",
                });
                let filled = reader.fill(&mut batch).await?;
                let batch = batch.finish()?;
                let times = batch.column(0).as_primitive::<TimestampMillisecondType>();
                for (row, time) in times.values().iter().enumerate() {
                    let text = |column: usize| {
                        let column = batch.column(column).as_string_view();
                        column.is_valid(row).then(|| column.value(row).to_owned())
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

    fn whole(&self, number: u32, object: &[u8]) -> Result<Vec<Row>, String> {
        self.read(number, Content::Whole(Bytes::copy_from_slice(object)))
    }
}

fn in_pieces(object: &[u8], piece: usize) -> Content {
    let pieces: Vec<_> = object
        .chunks(piece)
        .map(|piece| Ok(Bytes::copy_from_slice(piece)))
        .collect();
    Content::Pieces(futures::stream::iter(pieces).boxed())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// In gzip of one or several members, in zstd and as text, whole and in pieces.
    #[test]
    fn every_packing_has_the_same_rows(
        messages in proptest::collection::vec("[a-zé\"\\\\]{0,20}", 0..12),
        ends_with_newline in any::<bool>(),
        piece in 1_usize..200,
    ) {
        let lines: Vec<String> = (0..).zip(&messages).map(|(id, message)| lambda(id, message)).collect();
        let mut text = lines.join("\n");
        if ends_with_newline && !lines.is_empty() {
            text.push('\n');
        }
        let half = text.len() / 2;
        let (first, second) = text.as_bytes().split_at(half);
        let expected: Vec<Row> = (0..).zip(&messages).map(|(id, message)| (
            1_795_298_709_000 + id,
            message.clone(),
            Some("/aws/lambda/pay".to_owned()),
            "2026/11/21/[$LATEST]0067".to_owned(),
            Some("123456789012".to_owned()),
        )).collect();
        for packed in [
            text.clone().into_bytes(),
            gzip(text.as_bytes()),
            [gzip(first), gzip(second)].concat(),
            zstd(text.as_bytes()),
            [zstd(first), zstd(second)].concat(),
        ] {
            let whole = Table::unbounded().whole(0, &packed);
            prop_assert_eq!(whole.as_ref(), Ok(&expected));
            let streamed = Table::unbounded().read(0, in_pieces(&packed, piece));
            prop_assert_eq!(streamed.as_ref(), Ok(&expected));
        }
    }
}

#[test]
fn an_event_with_an_id_that_came_twice_is_one_row_and_one_without_counts() {
    let table = Table::unbounded();
    let first = format!("{}\n{}\n", lambda(1, "a"), lambda(2, "b"));
    let again = format!("{}\n{}\n", lambda(2, "b"), lambda(3, "c"));
    assert_eq!(table.whole(0, first.as_bytes()).unwrap().len(), 2);
    assert_eq!(table.whole(1, again.as_bytes()).unwrap().len(), 1);
    // In each scan.
    assert_eq!(table.whole(1, again.as_bytes()).unwrap().len(), 1);
    let total = table.read.read().total();
    assert_eq!((total.events, total.duplicate_events), (3, 1));
    let vended = "{\"event_timestamp\":1795298709123,\"id\":\"1\"}\n";
    let table = Table::unbounded();
    let rows = table.whole(0, vended.repeat(2).as_bytes()).unwrap();
    assert_eq!(rows.len(), 2);
}

#[test]
fn records_without_an_origin_have_that_of_the_job_and_the_key() {
    let mut table = Table::unbounded();
    table.log_group = Some("/aws/vendedlogs/pcs".into());
    let text = format!(
        "{{\"event_timestamp\":1795298709123}}\n{}\n",
        lambda(1, "a")
    );
    let rows = table.whole(0, text.as_bytes()).unwrap();
    let origin = |row: &Row| {
        (
            row.2.clone().unwrap(),
            row.3.clone(),
            row.4.clone().unwrap(),
        )
    };
    let of_job = (
        "/aws/vendedlogs/pcs".to_owned(),
        String::new(),
        "111122223333".to_owned(),
    );
    assert_eq!(origin(&rows[0]), of_job);
    assert_eq!(origin(&rows[1]).0, "/aws/lambda/pay");
    assert_eq!(origin(&rows[1]).2, "123456789012");
}

#[test]
fn only_events_of_the_window_count() {
    let mut table = Table::unbounded();
    table.window = Times {
        start_ms: 1_795_298_709_001,
        end_ms: 1_795_298_709_003,
    };
    let text = (0..5).map(|id| lambda(id, "x") + "\n").collect::<String>();
    let rows = table.whole(0, text.as_bytes()).unwrap();
    let times: Vec<i64> = rows.iter().map(|row| row.0 - 1_795_298_709_000).collect();
    assert_eq!(times, [1, 2]);
    assert_eq!(table.read.read().total().events, 2);
}

#[test]
fn broken_utf8_is_counted_and_shown() {
    let table = Table::unbounded();
    let mut text = lambda(1, "caf_ \\\"x").into_bytes();
    let at = text.windows(4).position(|four| four == b"caf_").unwrap() + 3;
    text[at] = 0xe9;
    let rows = table.whole(0, &text).unwrap();
    assert_eq!(rows[0].1, "caf\u{fffd} \\\"x");
    assert_eq!(table.read.read().total().invalid_utf8_events, 1);
}

#[test]
fn damage_is_an_error_with_the_object_and_the_place() {
    let good = lambda(1, "a") + "\n";
    let place = format!(
        "s3://acme/{KEY}: the line at byte {} of its text ",
        good.len()
    );
    for (object, expected) in [
        (
            gzip((good.clone() + "{\"timestamp\":\"soon\"}\n").as_bytes()),
            format!("{place}has timestamp = \"soon\""),
        ),
        (
            zstd((good.clone() + "hello\n").as_bytes()),
            format!("{place}is no JSON object"),
        ),
        (
            (good.clone() + "{\"timestamp\":17").into_bytes(),
            format!("{place}is no JSON object: expected a comma"),
        ),
        (
            b"hello\nworld\n".to_vec(),
            "the line at byte 0 of its text is no JSON and does not begin with a time".to_owned(),
        ),
        (
            b"{\"messageType\":\"DATA_MESSAGE\",\"logEvents\":[]}".to_vec(),
            "The object looks like records of a subscription".to_owned(),
        ),
        (
            b"PAR1\x15\x04".to_vec(),
            "The object looks like a Parquet file".to_owned(),
        ),
        (
            gzip(good.repeat(100).as_bytes())[..50].to_vec(),
            "cut off".to_owned(),
        ),
        (
            zstd(good.repeat(100).as_bytes())[..50].to_vec(),
            "the zstd data is cut off after 50 bytes".to_owned(),
        ),
    ] {
        for content in [
            Content::Whole(Bytes::from(object.clone())),
            in_pieces(&object, 7),
        ] {
            let told = Table::unbounded().read(0, content).unwrap_err();
            assert!(told.contains(&expected), "{told}, expected {expected}");
        }
    }
}

#[test]
fn a_long_line_takes_memory_of_the_engine_and_is_no_event_beyond_a_bound() {
    let line = format!(
        "{{\"timestamp\":1795298709123,\"a\":\"{}\"}}",
        "x".repeat(3 << 20)
    );
    let packed = gzip(line.as_bytes());
    let table = Table::unbounded();
    let rows = table.read(0, in_pieces(&packed, 1000)).unwrap();
    assert_eq!(rows[0].1.len(), line.len());
    let little = Table::new(Arc::new(GreedyMemoryPool::new(1 << 20)));
    assert!(little.read(0, in_pieces(&packed, 1000)).is_err());
    let endless = gzip(&b"x".repeat(LONGEST_RECORD + (4 << 20)));
    for content in [
        in_pieces(&endless, 10_000),
        Content::Whole(Bytes::from(endless.clone())),
    ] {
        let told = Table::unbounded().read(0, content).unwrap_err();
        assert!(
            told.contains("has a line of more than 64 MiB at byte 0"),
            "{told}"
        );
    }
}

#[test]
fn line_ends_between_members_divide_the_lines() {
    let packed = |pack: fn(&[u8]) -> Vec<u8>| {
        let [first, second] = [1, 2].map(|id| pack(lambda(id, "x").as_bytes()));
        [&first[..], b"\n", &second, b"\n"].concat()
    };
    let text = "#Fields: timestamp x\n1795298709 a";
    let fields = [&gzip(text.as_bytes())[..], b"\n", &gzip(b"1795298710 b")].concat();
    for object in [packed(gzip), packed(zstd), fields] {
        let whole = Table::unbounded().whole(0, &object).unwrap();
        assert_eq!(whole.len(), 2);
        let streamed = Table::unbounded().read(0, in_pieces(&object, 3)).unwrap();
        assert_eq!(streamed, whole);
    }
}
