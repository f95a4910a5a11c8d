//! One object on its way from bytes to batches.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use tokio::sync::mpsc;

use super::batch::{BatchBuilder, Message};
use super::budget::Claim;
use super::events::{LONGEST_EVENT, Split, Splitter};
use super::fetch::Content;
use super::inflate::{Damage, StreamInflater};
use super::report::{ObjectReport, ReadLog};
use super::tally::{ObjectTally, Tally};
use super::text::ObjectText;
use crate::error::{Class, Error};
use crate::window::Range;

/// A streamed object's text is inflated in blocks of this size, which stay in the processor's cache until they are
/// read.
const BLOCK: usize = 512 << 10;

/// The most blocks that are inflated and not read yet.
const BLOCKS_AHEAD: usize = 2;

/// The names of the counters that a scan leaves in the plan's metrics.
pub mod counters {
    /// Objects read to their end.
    pub const OBJECTS: &str = "objects_read";
    /// Compressed bytes of the objects read to their end.
    pub const BYTES: &str = "bytes_read";
    /// Events of the window in the objects read to their end.
    pub const EVENTS: &str = "events";
    /// Events of the window whose message is not UTF-8.
    pub const INVALID_UTF8: &str = "invalid_utf8_events";
    /// Lines before an object's first timestamp.
    pub const STRAY_LINES: &str = "lines_before_first_timestamp";
}

/// The counters of a partition, and the record of which objects were read.
#[derive(Clone)]
pub(super) struct Counts {
    read: ReadLog,
    objects: Count,
    bytes: Count,
    events: Count,
    invalid_utf8: Count,
    stray_lines: Count,
    /// Where the events are tallied by hour, too.
    tally: Option<Arc<Tally>>,
}

impl Counts {
    /// Counters in `metrics`, all zero.
    pub(super) fn new(
        metrics: &ExecutionPlanMetricsSet,
        partition: usize,
        read: ReadLog,
        tally: Option<Arc<Tally>>,
    ) -> Self {
        let count = |name| MetricBuilder::new(metrics).counter(name, partition);
        Self {
            read,
            objects: count(counters::OBJECTS),
            bytes: count(counters::BYTES),
            events: count(counters::EVENTS),
            invalid_utf8: count(counters::INVALID_UTF8),
            stray_lines: count(counters::STRAY_LINES),
            tally,
        }
    }

    /// Counts an object that was read to its end.
    fn add(&self, number: usize, report: ObjectReport) {
        self.objects.add(1);
        self.bytes.add(report.bytes as usize);
        self.events.add(report.events as usize);
        self.invalid_utf8.add(report.invalid_utf8_events as usize);
        self.stray_lines
            .add(report.lines_before_first_timestamp as usize);
        self.read.add(number, report);
    }
}

/// The error of an object that could not be read.
pub(super) fn read_error(name: &ObjectName, error: object_store::Error) -> DataFusionError {
    let message = match &error {
        object_store::Error::NotFound { .. } => {
            format!("{name} is gone: it was there when the run began")
        }
        object_store::Error::Precondition { .. } => {
            format!("{name} was replaced by another object after the run began")
        }
        _ => format!("could not read {name}"),
    };
    Error::new(Class::Source, message).caused_by(error).into()
}

/// Which events of an object are read, and what of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct EventFilter {
    /// The times of the events that are counted.
    pub(super) window: Range,
    /// The times of those that are rows.
    pub(super) rows: Range,
    /// Whether their messages are read.
    pub(super) messages: bool,
}

/// One object on its way from bytes to batches.
pub(super) struct ObjectReader {
    name: ObjectName,
    /// Its place in the table's list.
    number: usize,
    filter: EventFilter,
    splitter: Splitter,
    text: ObjectText,
    input: Input,
    report: ObjectReport,
    counts: Counts,
    tally: Option<ObjectTally>,
}

/// The name of an object in errors.
#[derive(Debug, Clone)]
pub(super) struct ObjectName {
    /// The text before the key, `s3://bucket/` or `/`.
    pub(super) place: Arc<str>,
    pub(super) key: Path,
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.place, self.key)
    }
}

enum Input {
    /// All text is there.
    Done,
    /// More text follows.
    Stream {
        blocks: mpsc::Receiver<Result<Vec<u8>>>,
        inflating: SpawnedTask<()>,
    },
}

/// Why a reader stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FillOutcome {
    /// The batch is full; there may be more events.
    Batch,
    /// The object has no more events.
    ObjectEnd,
}

impl ObjectReader {
    /// A reader of the object at `number` of the table's list, which has `compressed_bytes`.
    pub(super) fn new(
        name: ObjectName,
        number: usize,
        filter: EventFilter,
        compressed_bytes: u64,
        content: Content,
        claim: &Arc<Claim>,
        counts: Counts,
    ) -> Self {
        let whole = match &content {
            Content::Whole(compressed) => ObjectText::inflated(compressed, claim),
            Content::Pieces(_) => None,
        };
        let (text, input) = match (whole, content) {
            (Some(text), _) => (text, Input::Done),
            // Too large for the budget, or damaged: reading it as a stream shows where.
            (None, Content::Whole(compressed)) => {
                let once = futures::stream::once(async { Ok(compressed) });
                Self::streamed(&name, once.boxed())
            }
            (None, Content::Pieces(pieces)) => Self::streamed(&name, pieces),
        };
        let tally = counts.tally.as_ref();
        let tally = tally.map(|tally| tally.of_object(&name.key, filter.window));
        Self {
            name,
            number,
            filter,
            splitter: Splitter::default(),
            text,
            input,
            report: ObjectReport {
                bytes: compressed_bytes,
                ..ObjectReport::default()
            },
            counts,
            tally,
        }
    }

    /// Text in blocks, inflated by a task of its own while this one finds the events.
    fn streamed(
        name: &ObjectName,
        pieces: BoxStream<'static, object_store::Result<Bytes>>,
    ) -> (ObjectText, Input) {
        let (inflated, blocks) = mpsc::channel(BLOCKS_AHEAD);
        let inflating = inflate_stream(name.clone(), pieces.fuse().boxed(), inflated);
        let input = Input::Stream {
            blocks,
            inflating: SpawnedTask::spawn(inflating),
        };
        (ObjectText::with_capacity(2 * BLOCK), input)
    }

    /// Adds events to a batch, until it is full or the object ends.
    pub(super) async fn fill(&mut self, batch: &mut BatchBuilder) -> Result<FillOutcome> {
        let EventFilter {
            window,
            rows,
            messages,
        } = self.filter;
        loop {
            let last = matches!(self.input, Input::Done);
            match self.splitter.next(self.text.bytes(), last) {
                Split::Event(event) => {
                    if !window.contains(event.timestamp_ms) {
                        continue;
                    }
                    self.report.events += 1;
                    if let Some(tally) = &mut self.tally {
                        tally.add(event.timestamp_ms);
                    }
                    let message = match messages {
                        true => self.text.message(event.message),
                        false => Message::Text(""),
                    };
                    self.report.invalid_utf8_events +=
                        u32::from(matches!(message, Message::Broken(_)));
                    if rows.contains(event.timestamp_ms) && batch.push(event.timestamp_ms, message)
                    {
                        return Ok(FillOutcome::Batch);
                    }
                }
                Split::NeedsText if last => {
                    self.count();
                    return Ok(FillOutcome::ObjectEnd);
                }
                Split::NeedsText => self.read_block().await?,
                Split::TooLong(_) => {
                    let message = format!(
                        "{} has an event of more than {} MiB, which CloudWatch can't have exported",
                        self.name,
                        LONGEST_EVENT >> 20
                    );
                    return Err(Error::damaged(message).into());
                }
            }
        }
    }

    fn count(&self) {
        let stray_lines = self.splitter.stray_lines();
        let report = ObjectReport {
            lines_before_first_timestamp: u32::try_from(stray_lines).unwrap_or(u32::MAX),
            ..self.report
        };
        self.counts.add(self.number, report);
        if let (Some(tally), Some(object)) = (&self.counts.tally, &self.tally) {
            tally.add(object);
        }
    }

    /// Drops the text that is no longer needed and appends the next block.
    async fn read_block(&mut self) -> Result<()> {
        let Input::Stream { blocks, .. } = &mut self.input else {
            return Ok(());
        };
        if let Some(block) = blocks.recv().await.transpose()? {
            let done = self.splitter.keep_from();
            self.text.advance(done, &block);
            self.splitter.dropped(done);
        } else if let Input::Stream { inflating, .. } =
            std::mem::replace(&mut self.input, Input::Done)
        {
            // A task that panicked has not sent all text.
            inflating
                .join_unwind()
                .await
                .map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))?;
        }
        Ok(())
    }
}

/// Inflates an object block by block, until the receiver is dropped.
async fn inflate_stream(
    name: ObjectName,
    mut pieces: BoxStream<'static, object_store::Result<Bytes>>,
    blocks: mpsc::Sender<Result<Vec<u8>>>,
) {
    let mut inflater = StreamInflater::default();
    let mut piece = Bytes::new();
    let mut is_last = false;
    while !is_last {
        let block = next_block(&name, &mut inflater, &mut pieces, &mut piece).await;
        // Only the last block is not full.
        is_last = !block.as_ref().is_ok_and(|block| block.len() >= BLOCK);
        if blocks.send(block).await.is_err() {
            return;
        }
    }
}

/// The next block of text, full unless it is the last one.
async fn next_block(
    name: &ObjectName,
    inflater: &mut StreamInflater,
    pieces: &mut BoxStream<'static, object_store::Result<Bytes>>,
    piece: &mut Bytes,
) -> Result<Vec<u8>> {
    let damaged =
        |damage: Damage| DataFusionError::from(Error::damaged(format!("{name}: {damage}")));
    let mut block = Vec::with_capacity(BLOCK);
    while block.len() < BLOCK {
        if piece.is_empty() {
            let next = pieces.try_next().await;
            match next.map_err(|error| read_error(name, error))? {
                Some(next) => *piece = next,
                None => {
                    while block.len() < BLOCK && inflater.drain(&mut block).map_err(damaged)? {}
                    if block.len() < BLOCK {
                        inflater.finish().map_err(damaged)?;
                    }
                    break;
                }
            }
        }
        let taken = inflater.inflate(piece, &mut block).map_err(damaged)?;
        *piece = piece.slice(taken..);
    }
    Ok(block)
}

#[cfg(test)]
mod tests {
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
    fn read(
        content: Content,
        window: Range,
        pool: &Arc<dyn MemoryPool>,
    ) -> Result<(Events, Counts)> {
        let name = ObjectName {
            place: "s3://acme/".into(),
            key: "a.gz".into(),
        };
        let filter = EventFilter {
            window,
            rows: window,
            messages: true,
        };
        let metrics = ExecutionPlanMetricsSet::new();
        let counts = Counts::new(&metrics, 0, ReadLog::default(), None);
        let claim = Budget::claim(&Budget::new(pool), 1);
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(async {
            let mut reader = ObjectReader::new(name, 0, filter, 1, content, &claim, counts.clone());
            let schema = Arc::new(file_schema(chrono_tz::UTC).project(&[0, 1])?);
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
}
