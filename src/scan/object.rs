//! One object on its way from bytes to batches.

use std::sync::Arc;

use arrow::array::RecordBatch;
use bytes::Bytes;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};

use super::batch::{BatchBuilder, Message};
use super::events::{LONGEST_EVENT, Splitter, Step};
use super::inflate::{Damage, StreamInflater};
use super::text::{Text, TextClaim};
use crate::error::{Class, Error};
use crate::window::Range;

/// The text that a streamed object is read in.
const STREAM_TEXT: usize = 1 << 20;

/// The names of the counters that a scan leaves in the plan's metrics.
pub mod counters {
    /// Objects read to their end.
    pub const OBJECTS: &str = "objects_read";
    /// Compressed bytes of the objects read to their end.
    pub const BYTES: &str = "bytes_read";
    /// Events of the window in the objects read to their end.
    pub const EVENTS: &str = "events";
    /// Events in the window whose message is no UTF-8.
    pub const INVALID_UTF8: &str = "invalid_utf8_events";
    /// Lines before an object's first timestamp.
    pub const STRAY_LINES: &str = "lines_before_first_timestamp";
}

/// The counters of a partition.
#[derive(Clone)]
pub(super) struct Counts {
    objects: Count,
    bytes: Count,
    events: Count,
    invalid_utf8: Count,
    stray_lines: Count,
}

impl Counts {
    /// Counters in `metrics`, all zero.
    pub(super) fn new(metrics: &ExecutionPlanMetricsSet, partition: usize) -> Self {
        let count = |name| MetricBuilder::new(metrics).counter(name, partition);
        Self {
            objects: count(counters::OBJECTS),
            bytes: count(counters::BYTES),
            events: count(counters::EVENTS),
            invalid_utf8: count(counters::INVALID_UTF8),
            stray_lines: count(counters::STRAY_LINES),
        }
    }
}

/// What a person wants to know of an object that could not be read.
pub(super) fn unreadable(name: &str, error: object_store::Error) -> DataFusionError {
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

/// One object on its way from bytes to batches.
pub(super) struct ObjectReader {
    name: String,
    window: Range,
    range: Range,
    splitter: Splitter,
    builder: BatchBuilder,
    text: Text,
    input: Input,
    finished: bool,
    events: usize,
    invalid_utf8: usize,
    compressed_bytes: u64,
    counts: Counts,
}

enum Input {
    /// All text is in the buffer.
    Done,
    /// More is to come.
    Stream {
        pieces: BoxStream<'static, object_store::Result<Bytes>>,
        piece: Bytes,
        inflater: Box<StreamInflater>,
    },
}

impl ObjectReader {
    /// A reader of nothing yet: [`read_whole`](Self::read_whole) or [`read_stream`](Self::read_stream) comes next.
    ///
    /// Events of `window` are counted, those of `range` are rows. `name` is what the object is called in errors, `bytes`
    /// its compressed size.
    pub(super) fn new(
        name: String,
        window: Range,
        range: Range,
        builder: BatchBuilder,
        bytes: u64,
        counts: Counts,
    ) -> Self {
        Self {
            name,
            window,
            range,
            splitter: Splitter::default(),
            builder,
            text: Text::with_capacity(0),
            input: Input::Done,
            finished: false,
            events: 0,
            invalid_utf8: 0,
            compressed_bytes: bytes,
            counts,
        }
    }

    /// What the object is called in errors.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Reads an object that is in memory, whole if its text may be.
    pub(super) fn read_whole(&mut self, compressed: Bytes, claim: &Arc<TextClaim>) {
        match Text::inflated(&compressed, claim) {
            Some(text) => self.text = text,
            None => {
                self.read_stream(futures::stream::once(async { Ok(compressed) }).boxed());
            }
        }
    }

    /// Reads an object as it comes.
    pub(super) fn read_stream(&mut self, pieces: BoxStream<'static, object_store::Result<Bytes>>) {
        self.text = Text::with_capacity(STREAM_TEXT);
        self.input = Input::Stream {
            pieces,
            piece: Bytes::new(),
            inflater: Box::default(),
        };
    }

    pub(super) async fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        if self.finished {
            return Ok(None);
        }
        loop {
            let last = matches!(self.input, Input::Done);
            match self.splitter.next(self.text.bytes(), last) {
                Step::Event(event) => {
                    if !self.window.contains(event.timestamp_ms) {
                        continue;
                    }
                    let message = self.text.message(event.message);
                    self.events += 1;
                    self.invalid_utf8 += usize::from(matches!(message, Message::Broken(_)));
                    if self.range.contains(event.timestamp_ms)
                        && self.builder.push(event.timestamp_ms, message)
                    {
                        return self.builder.finish().map(Some).map_err(Into::into);
                    }
                }
                Step::NeedsText if last => {
                    self.finished = true;
                    self.counts.objects.add(1);
                    self.counts.bytes.add(self.compressed_bytes as usize);
                    self.counts.events.add(self.events);
                    self.counts.invalid_utf8.add(self.invalid_utf8);
                    self.counts
                        .stray_lines
                        .add(self.splitter.stray_lines() as usize);
                    self.text = Text::with_capacity(0);
                    return match self.builder.is_empty() {
                        true => Ok(None),
                        false => self.builder.finish().map(Some).map_err(Into::into),
                    };
                }
                Step::NeedsText => self.read_on().await?,
                Step::TooLong(_) => {
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

    /// Drops the text that is done with and inflates more behind the rest.
    async fn read_on(&mut self) -> Result<()> {
        let text = self.text.edit();
        let done = self.splitter.keep_from();
        text.drain(..done);
        self.splitter.dropped(done);
        if text.capacity() - text.len() < STREAM_TEXT / 2 {
            text.reserve(STREAM_TEXT.max(text.len()));
        }
        let damaged = |damage: Damage| {
            DataFusionError::from(Error::damaged(format!("{}: {damage}", self.name)))
        };
        let Input::Stream {
            pieces,
            piece,
            inflater,
        } = &mut self.input
        else {
            return Ok(());
        };
        let before = text.len();
        while text.len() == before {
            if piece.is_empty() {
                match pieces
                    .try_next()
                    .await
                    .map_err(|error| unreadable(&self.name, error))?
                {
                    Some(next) => *piece = next,
                    None => {
                        if !inflater.drain(text).map_err(damaged)? {
                            inflater.finish().map_err(damaged)?;
                            self.input = Input::Done;
                        }
                        return Ok(());
                    }
                }
            }
            let taken = inflater.inflate(piece, text).map_err(damaged)?;
            *piece = piece.slice(taken..);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::source::file_schema;
    use crate::scan::text::TextBudget;
    use arrow::array::AsArray;
    use arrow::datatypes::TimestampMillisecondType;
    use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool, UnboundedMemoryPool};
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    type Found = Vec<(i64, String)>;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// Lambda's blank lines, Hangul, a stack trace, events out of order, an empty message.
    fn sample() -> (Vec<u8>, Found) {
        let events: Found = (0..40)
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
            crate::layout::write_line(&mut text, *ms, message).unwrap();
        }
        let expected = events
            .into_iter()
            .map(|(ms, message)| (ms, message.trim_end_matches('\n').to_owned()))
            .collect();
        (text, expected)
    }

    fn reader(indices: &[usize], window: Range, batch_size: usize) -> ObjectReader {
        let schema = Arc::new(file_schema().project(indices).unwrap());
        ObjectReader::new(
            "s3://acme/a.gz".into(),
            window,
            window,
            BatchBuilder::new(schema, indices, batch_size),
            1,
            Counts::new(&ExecutionPlanMetricsSet::new(), 0),
        )
    }

    fn rows(reader: &mut ObjectReader) -> Result<Found> {
        let mut found = Vec::new();
        while let Some(batch) = futures::executor::block_on(reader.next_batch())? {
            let timestamps = batch.column(0).as_primitive::<TimestampMillisecondType>();
            let messages = batch.column(1).as_string_view();
            for row in 0..batch.num_rows() {
                found.push((timestamps.value(row), messages.value(row).to_owned()));
            }
        }
        Ok(found)
    }

    fn streamed(compressed: &[u8], piece: usize) -> Result<(Found, ObjectReader)> {
        let pieces: Vec<_> = compressed
            .chunks(piece)
            .map(|piece| Ok(Bytes::copy_from_slice(piece)))
            .collect();
        let mut reader = reader(&[0, 1], Range::ALL, 7);
        reader.read_stream(futures::stream::iter(pieces).boxed());
        rows(&mut reader).map(|found| (found, reader))
    }

    fn whole(compressed: &[u8], pool: Arc<dyn MemoryPool>) -> Result<Found> {
        let mut reader = reader(&[0, 1], Range::ALL, 7);
        let claim = TextBudget::claim(&TextBudget::new(&pool), 1);
        reader.read_whole(Bytes::copy_from_slice(compressed), &claim);
        rows(&mut reader)
    }

    #[test]
    fn every_piece_size_gives_the_same_events() {
        let (text, expected) = sample();
        let one = gzip(&text);
        for piece in 1..200 {
            assert_eq!(
                streamed(&one, piece).unwrap().0,
                expected,
                "pieces of {piece}"
            );
        }
        assert_eq!(
            whole(&one, Arc::new(UnboundedMemoryPool::default())).unwrap(),
            expected
        );
    }

    #[test]
    fn members_may_end_anywhere_in_a_line_or_a_character() {
        let (text, expected) = sample();
        for cut in 1..text.len() {
            let mut compressed = gzip(&text[..cut]);
            compressed.extend(gzip(&text[cut..]));
            assert_eq!(
                streamed(&compressed, 1000).unwrap().0,
                expected,
                "cut at {cut}"
            );
        }
        let many: Vec<u8> = text.chunks(3).flat_map(gzip).collect();
        assert_eq!(streamed(&many, 11).unwrap().0, expected);
        assert_eq!(
            whole(&many, Arc::new(UnboundedMemoryPool::default())).unwrap(),
            expected
        );
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
            assert!(whole(&compressed[..end], Arc::new(UnboundedMemoryPool::default())).is_err());
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
            crate::layout::write_line(&mut text, ms, message).unwrap();
        }
        text.extend(b"1970-01-01T00:00:01.500Z caf\xe9\n1970-01-01T00:00:09.000Z caf\xe9\n");
        let window = Range {
            start_ms: 1000,
            end_ms: 2000,
        };
        let mut reader = reader(&[0, 1], window, 100);
        reader.read_stream(futures::stream::iter([Ok(Bytes::from(gzip(&text)))]).boxed());
        let found = rows(&mut reader).unwrap();
        let messages: Vec<&str> = found.iter().map(|(_, message)| message.as_str()).collect();
        assert_eq!(messages, ["first", "last", "caf\u{fffd}"]);
        assert_eq!(reader.counts.events.value(), 3);
        assert_eq!(reader.counts.invalid_utf8.value(), 1);
        assert_eq!(reader.counts.stray_lines.value(), 1);
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
