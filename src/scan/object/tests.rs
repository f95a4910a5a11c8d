use super::*;
use crate::scan::budget::Budget;
use crate::scan::source::file_schema;
use arrow::array::AsArray;
use arrow::datatypes::TimestampMillisecondType;
use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool, UnboundedMemoryPool};
use flate2::{Compression, write::GzEncoder};
use std::io::Write;

/// The times and messages of events.
type Events = Vec<(i64, String)>;

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// Lambda's blank lines, Hangul, a stack trace, events out of order, an empty message.
fn sample() -> (Vec<u8>, Events) {
    let events: Events = (0..40)
        .map(|n| {
            let ms = 1_700_000_000_000 + (n * 7919) % 5000;
            let message = match n % 5 {
                0 => format!("START RequestId: {n}\n"),
                1 => format!("{{\"level\":\"INFO\",\"message\":\"주문 {n}\"}}"),
                2 => {
                    format!("Traceback {n}\n  File \"a.py\"\n\nValueError: 재고가 부족합니다\n")
                }
                3 => "\n".to_owned(),
                _ => "x".repeat(n as usize * 20),
            };
            (ms, message)
        })
        .collect();
    let mut text = Vec::new();
    for (ms, message) in &events {
        crate::layout::cloudwatch::write_line(&mut text, *ms, message).unwrap();
    }
    let expected = events
        .into_iter()
        .map(|(ms, message)| (ms, message.trim_end_matches('\n').to_owned()))
        .collect();
    (text, expected)
}

fn unbounded() -> Arc<dyn MemoryPool> {
    Arc::new(UnboundedMemoryPool::default())
}

/// The rows of an object, and what was counted.
fn read(content: Content, window: Range, pool: &Arc<dyn MemoryPool>) -> Result<(Events, Counts)> {
    let name = ObjectName {
        place: "s3://acme/".into(),
        key: "a.gz".into(),
    };
    let filter = EventFilter {
        window,
        rows: window,
        messages: true,
        masks: false,
        requested: Range::ALL,
    };
    let metrics = ExecutionPlanMetricsSet::new();
    let counts = Counts::new(&metrics, 0, ReadLog::default(), None, None);
    let claim = Budget::claim(&Budget::new(pool), 1);
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(async {
        let mut reader = ObjectReader::new(name, 0, filter, 1, content, &claim, counts.clone());
        let schema = Arc::new(file_schema(chrono_tz::UTC, Default::default()).project(&[0, 1])?);
        let mut batch = BatchBuilder::new(schema, &[0, 1], 7);
        let mut found = Vec::new();
        loop {
            let filled = reader.fill(&mut batch).await?;
            let batch = batch.finish()?;
            let timestamps = batch.column(0).as_primitive::<TimestampMillisecondType>();
            let messages = batch.column(1).as_string_view();
            for row in 0..batch.num_rows() {
                found.push((timestamps.value(row), messages.value(row).to_owned()));
            }
            if filled == FillOutcome::ObjectEnd {
                return Ok((found, counts));
            }
        }
    })
}

fn in_pieces(compressed: &[u8], piece: usize) -> Content {
    let pieces: Vec<_> = compressed
        .chunks(piece)
        .map(|piece| Ok(Bytes::copy_from_slice(piece)))
        .collect();
    Content::Pieces(futures::stream::iter(pieces).boxed())
}

fn streamed(compressed: &[u8], piece: usize) -> Result<Events> {
    let read = read(in_pieces(compressed, piece), Range::ALL, &unbounded());
    read.map(|(found, _)| found)
}

fn whole(compressed: &[u8], pool: Arc<dyn MemoryPool>) -> Result<Events> {
    let content = Content::Whole(Bytes::copy_from_slice(compressed));
    read(content, Range::ALL, &pool).map(|(found, _)| found)
}

#[test]
fn every_piece_size_gives_the_same_events() {
    let (text, expected) = sample();
    let one = gzip(&text);
    for piece in 1..200 {
        assert_eq!(
            streamed(&one, piece).unwrap(),
            expected,
            "pieces of {piece}"
        );
    }
    assert_eq!(whole(&one, unbounded()).unwrap(), expected);
}

#[test]
fn members_may_end_anywhere_in_a_line_or_a_character() {
    let (text, expected) = sample();
    for cut in 1..text.len() {
        let mut compressed = gzip(&text[..cut]);
        compressed.extend(gzip(&text[cut..]));
        assert_eq!(
            streamed(&compressed, 1000).unwrap(),
            expected,
            "cut at {cut}"
        );
    }
    let many: Vec<u8> = text.chunks(3).flat_map(gzip).collect();
    assert_eq!(streamed(&many, 11).unwrap(), expected);
    assert_eq!(whole(&many, unbounded()).unwrap(), expected);
}

#[test]
fn text_of_many_blocks_is_whole_however_they_cut_it() {
    let (text, expected) = sample();
    // Neither the lines nor the characters are aligned with the blocks.
    let times = 3 * BLOCK / text.len();
    let found = streamed(&gzip(&text.repeat(times)), 1 << 14).unwrap();
    assert_eq!(found.len(), times * expected.len());
    assert!(found.chunks(expected.len()).all(|part| part == expected));
    // A text that ends with a block.
    let line = format!("{}\n", "x".repeat(BLOCK - 26));
    let text = format!("2026-11-21T00:00:00.000Z {line}");
    assert_eq!(streamed(&gzip(text.as_bytes()), 100).unwrap().len(), 1);
}

#[test]
fn without_memory_for_the_whole_text_it_is_read_as_a_stream() {
    let (text, expected) = sample();
    assert_eq!(
        whole(&gzip(&text), Arc::new(GreedyMemoryPool::new(10))).unwrap(),
        expected
    );
}

#[test]
fn every_cut_is_damage_that_names_the_object() {
    let (text, _) = sample();
    let compressed = gzip(&text);
    for end in 0..compressed.len() {
        let error = streamed(&compressed[..end], 64).map(|_| ()).unwrap_err();
        let error = Error::from_engine(error);
        assert_eq!(error.class(), Class::Damaged, "cut at {end}");
        assert!(error.to_string().starts_with("s3://acme/a.gz: "), "{error}");
        assert!(whole(&compressed[..end], unbounded()).is_err());
    }
}

#[test]
fn only_events_of_the_window_are_rows_and_odd_ones_are_counted() {
    let mut text = b"lost\n".to_vec();
    for (ms, message) in [
        (999, "before"),
        (1000, "first"),
        (1999, "last"),
        (2000, "after"),
    ] {
        crate::layout::cloudwatch::write_line(&mut text, ms, message).unwrap();
    }
    text.extend(b"1970-01-01T00:00:01.500Z caf\xe9\n1970-01-01T00:00:09.000Z caf\xe9\n");
    let window = Range {
        start_ms: 1000,
        end_ms: 2000,
    };
    let (found, counts) = read(in_pieces(&gzip(&text), 100), window, &unbounded()).unwrap();
    let messages: Vec<&str> = found.iter().map(|(_, message)| message.as_str()).collect();
    assert_eq!(messages, ["first", "last", "caf\u{fffd}"]);
    assert_eq!(counts.events.value(), 3);
    assert_eq!(counts.invalid_utf8.value(), 1);
    assert_eq!(counts.stray_lines.value(), 1);
}

/// A function that logged the output of another program, in an export whose times are not known.
#[test]
fn events_of_weeks_before_their_neighbours_are_counted() {
    let text = "2024-02-13T21:01:04.792Z output:\n2019-01-01T00:00:00.000Z old\n\
                2019-01-01T00:00:01.000Z old\n2024-02-01T00:00:00.000Z late\n\
                2024-03-13T21:01:04.792Z a month later\n";
    let window = Range {
        start_ms: 1_707_782_400_000,
        end_ms: 1_707_868_800_000,
    };
    let object = gzip(text.as_bytes());
    let (found, counts) = read(in_pieces(&object, 100), window, &unbounded()).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(counts.backdated.value(), 2);
}

#[test]
fn text_without_an_event_is_damage_that_says_what_it_looks_like() {
    let subscription = b"{\"messageType\":\"DATA_MESSAGE\",\"logEvents\":[]}".repeat(BLOCK / 20);
    let twice = gzip(b"2024-02-13T21:01:04.792Z x\n");
    for (text, expected) in [
        (&subscription[..], "records of a subscription"),
        (&twice[..], "compressed twice"),
        (b"started\n\nstopped\n", "plain text"),
    ] {
        let object = gzip(text);
        for read in [streamed(&object, 100), whole(&object, unbounded())] {
            let error = Error::from_engine(read.unwrap_err());
            assert_eq!(error.class(), Class::Damaged);
            let told = error.to_string();
            assert!(
                told.starts_with("s3://acme/a.gz is no object of an export"),
                "{told}"
            );
            assert!(told.contains(expected), "{told}");
        }
    }
    for empty in [&b""[..], b"\n", b"\n\n\r\n"] {
        assert_eq!(streamed(&gzip(empty), 100).unwrap(), []);
    }
    let plain = Error::from_engine(streamed(b"2024-02-13T21:01:04.792Z x\n", 100).unwrap_err());
    let told = plain.to_string();
    assert!(
        told.contains("not gzip data. It looks like the text of an export"),
        "{told}"
    );
}

#[test]
fn an_event_that_never_ends_is_damage() {
    let mut text = b"2026-11-21T00:00:00.000Z ".to_vec();
    text.resize(LONGEST_EVENT + 100, b'x');
    let error = Error::from_engine(streamed(&gzip(&text), 1000).map(|_| ()).unwrap_err());
    assert_eq!(error.class(), Class::Damaged);
    assert!(
        error
            .to_string()
            .contains("s3://acme/a.gz has an event of more than 16 MiB"),
        "{error}"
    );
}
