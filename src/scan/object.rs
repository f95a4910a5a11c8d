//! One object on its way from bytes to batches.

use std::borrow::Cow;
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
use super::columns::ObjectKeeper;
use super::edges::{EdgeLog, Edges};
use super::events::{LONGEST_EVENT, Split, Splitter};
use super::fetch::Content;
use super::foreign;
use super::inflate::{Damage, StreamInflater};
use super::report::{ObjectReport, ReadLog};
use super::tally::{ObjectTally, Tally};
use super::text::ObjectText;
use crate::error::{Class, Error};
use crate::layout;
use crate::layout::lines::{MARK, unmarked};
use crate::pattern::PatternWriter;
use crate::window::Range;

/// A streamed object's text is inflated in blocks of this size, which stay in the processor's cache until they are
/// read.
pub(super) const BLOCK: usize = 512 << 10;

/// The most blocks that are inflated and not read yet.
pub(super) const BLOCKS_AHEAD: usize = 2;

/// CloudWatch takes no events that are older than this, so a program that logs as it runs has none that is so much older
/// than the one before it.
const OLDEST_EVENT_MS: i64 = 14 * 24 * 3_600_000;

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
    /// Events that are more than two weeks older than the one before them.
    pub const BACKDATED: &str = "backdated_events";
    /// Further copies of events, which a subscription delivered more than once.
    pub const DUPLICATES: &str = "duplicate_events";
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
    backdated: Count,
    duplicates: Count,
    /// Where the events are tallied by hour, too.
    tally: Option<Arc<Tally>>,
    /// Where the first and last events of the objects are noted, too.
    edges: Option<EdgeLog>,
    /// What is reported to the process that sent the scan.
    #[cfg(feature = "cluster")]
    reported: Option<Arc<super::wire::Reported>>,
}

impl Counts {
    /// Counters in `metrics`, all zero.
    pub(super) fn new(
        metrics: &ExecutionPlanMetricsSet,
        partition: usize,
        read: ReadLog,
        tally: Option<Arc<Tally>>,
        edges: Option<EdgeLog>,
    ) -> Self {
        let count = |name| MetricBuilder::new(metrics).counter(name, partition);
        Self {
            read,
            objects: count(counters::OBJECTS),
            bytes: count(counters::BYTES),
            events: count(counters::EVENTS),
            invalid_utf8: count(counters::INVALID_UTF8),
            stray_lines: count(counters::STRAY_LINES),
            backdated: count(counters::BACKDATED),
            duplicates: count(counters::DUPLICATES),
            tally,
            edges,
            #[cfg(feature = "cluster")]
            reported: None,
        }
    }

    /// The same counters, which also report to the process that sent the scan.
    #[cfg(feature = "cluster")]
    pub(super) fn reporting(mut self, reported: Option<Arc<super::wire::Reported>>) -> Self {
        self.reported = reported;
        self
    }

    /// Counts an object that was read to its end.
    pub(super) fn add(&self, number: usize, report: ObjectReport) {
        self.objects.add(1);
        self.bytes.add(report.bytes as usize);
        self.events.add(report.events as usize);
        self.invalid_utf8.add(report.invalid_utf8_events as usize);
        self.stray_lines
            .add(report.lines_before_first_timestamp as usize);
        self.backdated.add(report.backdated_events as usize);
        self.duplicates.add(report.duplicate_events as usize);
        self.read.add(number, report);
        #[cfg(feature = "cluster")]
        if let Some(reported) = &self.reported {
            reported.add(number, report);
        }
    }

    /// The tally of an object whose events of `own` are read, where it is still to be tallied.
    pub(super) fn tally_of(&self, key: &Path, own: Range) -> Option<ObjectTally> {
        self.tally.as_ref()?.of_object(key, own)
    }

    /// Adds the tally of an object that was read to its end.
    pub(super) fn add_tally(&self, number: usize, object: &ObjectTally) {
        if let Some(tally) = &self.tally {
            tally.add(object);
        }
        #[cfg(feature = "cluster")]
        if let Some(reported) = &self.reported {
            reported.add_hours(number, object.hours());
        }
        #[cfg(not(feature = "cluster"))]
        let _ = number;
    }

    /// Notes the earliest and the latest times of the parts of an object that was read to its end.
    pub(super) fn add_edges(&self, number: usize, parts: impl Iterator<Item = (i64, i64)>) {
        if self.edges.is_some() {
            let mut edges = Edges::NONE;
            for (first_ms, last_ms) in parts {
                edges.add(first_ms);
                edges.add(last_ms);
            }
            self.note_edges(number, edges);
        }
    }

    /// Notes the earliest and the latest time of an object that was read to its end.
    fn note_edges(&self, number: usize, edges: Edges) {
        if let Some(log) = &self.edges {
            log.add(number, edges);
            #[cfg(feature = "cluster")]
            if let Some(reported) = &self.reported {
                reported.add_edges(number, edges);
            }
        }
    }
}

/// The error of an object that could not be read.
pub(super) fn read_error(name: &ObjectName, error: object_store::Error) -> DataFusionError {
    let changed = |how: &str| Error::new(Class::Source, format!("{name} {how}"));
    let error = match error {
        object_store::Error::NotFound { .. } => changed("is gone: it was there when the run began"),
        object_store::Error::Precondition { .. } => {
            changed("was replaced by another object after the run began")
        }
        error => Error::new(Class::Source, format!("could not read {name}")).caused_by(error),
    };
    error.into()
}

/// Which events of an object are read, and what of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EventFilter {
    /// The times of the events that are counted.
    pub(super) window: Range,
    /// The times of those that are rows.
    pub(super) rows: Range,
    /// Whether their messages are read.
    pub(super) messages: bool,
    /// Whether the messages of rows are without personal data and secrets.
    pub(super) masks: bool,
    /// The times of every event of the object, as far as they are known.
    pub(super) requested: Range,
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
    edges: Option<Edges>,
    /// An event that is older than this is more than two weeks older than the one before it.
    oldest_ms: i64,
    /// Whether lines that begin like an event and are none have a mark.
    is_marked: bool,
    /// The beginning of a text that is read as a stream.
    head: Vec<u8>,
    /// Keeps the columns of its events.
    keeper: Option<ObjectKeeper>,
    /// What finds the patterns that are kept, and the last of them.
    patterns: Option<Box<(PatternWriter, Vec<u8>)>>,
    /// The first events that are only counted, as another reader has made rows of them.
    done: u64,
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
        let tally = counts.tally_of(&name.key, filter.window);
        Self {
            keeper: None,
            patterns: None,
            done: 0,
            is_marked: layout::is_written_here(&name.key),
            edges: counts.edges.is_some().then_some(Edges::NONE),
            oldest_ms: i64::MIN,
            head: Vec::new(),
            name,
            number,
            filter,
            splitter: Splitter::new(filter.requested),
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

    /// The same reader, which also keeps the columns of its events.
    pub(super) fn keeping(mut self, keeper: Option<ObjectKeeper>) -> Self {
        let keeps_patterns = keeper.as_ref().is_some_and(ObjectKeeper::keeps_patterns);
        self.patterns = keeps_patterns.then(Box::default);
        self.keeper = keeper;
        self
    }

    /// The same reader, which makes no rows of the first `done` events.
    pub(super) fn behind(mut self, done: u64) -> Self {
        self.done = done;
        self
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
            ..
        } = self.filter;
        loop {
            let last = matches!(self.input, Input::Done);
            match self.splitter.next(self.text.bytes(), last) {
                Split::Event(event) => {
                    if let Some(edges) = &mut self.edges {
                        edges.add(event.timestamp_ms);
                    }
                    match event.timestamp_ms < self.oldest_ms {
                        // Events of a folder have any order.
                        true => self.report.backdated_events += u32::from(!self.is_marked),
                        false => self.oldest_ms = event.timestamp_ms - OLDEST_EVENT_MS,
                    }
                    let is_done = self.done > 0;
                    self.done -= u64::from(is_done);
                    let in_window = window.contains(event.timestamp_ms);
                    if !in_window && self.keeper.is_none() {
                        continue;
                    }
                    let message = match messages || self.keeps_messages() {
                        true => self.text.message(event.message),
                        false => Message::Text(""),
                    };
                    let without_marks;
                    let message = match self.is_marked {
                        true => {
                            without_marks = unmarked_of(message);
                            without_marks.as_deref().map_or(message, Message::of)
                        }
                        false => message,
                    };
                    let is_broken = matches!(message, Message::Broken(_));
                    let shown;
                    let message = match &mut self.keeper {
                        None => message,
                        Some(keeper) => {
                            let keeps_messages = keeper.keeps_messages();
                            shown = match keeps_messages {
                                true => message.shown(self.filter.masks),
                                false => Cow::Borrowed(""),
                            };
                            let pattern = self.patterns.as_deref_mut().map(|(writer, pattern)| {
                                pattern.clear();
                                // A long message leaves no memory behind.
                                pattern.shrink_to(BLOCK);
                                writer.write(&shown, pattern);
                                &pattern[..]
                            });
                            if !keeper.push(event.timestamp_ms, &shown, pattern, is_broken) {
                                self.keeper = None;
                            }
                            match (keeps_messages, pattern) {
                                (true, Some(pattern)) => Message::Known(&shown, pattern),
                                (true, None) => Message::Shown(&shown),
                                (false, _) => message,
                            }
                        }
                    };
                    if !in_window {
                        continue;
                    }
                    self.report.events += 1;
                    self.report.invalid_utf8_events += u32::from(messages && is_broken);
                    if let Some(tally) = &mut self.tally {
                        tally.add(event.timestamp_ms);
                    }
                    if !is_done
                        && rows.contains(event.timestamp_ms)
                        && batch.push(event.timestamp_ms, message)
                    {
                        return Ok(FillOutcome::Batch);
                    }
                }
                Split::NeedsText if last => {
                    self.refuse_foreign()?;
                    self.count();
                    if let Some(keeper) = self.keeper.take() {
                        let stray_lines = self.splitter.stray_lines();
                        keeper.complete(
                            u32::try_from(stray_lines).unwrap_or(u32::MAX),
                            self.report.backdated_events,
                        );
                    }
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

    /// An error (damaged) where the object has text and no event in it: it is no export.
    fn refuse_foreign(&self) -> Result<()> {
        if self.splitter.has_events() || self.splitter.stray_lines() == 0 {
            return Ok(());
        }
        let head = match &self.head[..] {
            [] => head_of(self.text.bytes()),
            head => head,
        };
        let message = format!(
            "{} is no object of an export: no line begins with a time as CloudWatch writes it, \"2024-02-13T21:01:04.792Z \". It looks like {}",
            self.name,
            foreign::inflated(head)
        );
        Err(Error::damaged(message).into())
    }

    fn keeps_messages(&self) -> bool {
        let keeper = self.keeper.as_ref();
        keeper.is_some_and(ObjectKeeper::keeps_messages)
    }

    fn count(&self) {
        let stray_lines = self.splitter.stray_lines();
        let report = ObjectReport {
            lines_before_first_timestamp: u32::try_from(stray_lines).unwrap_or(u32::MAX),
            ..self.report
        };
        self.counts.add(self.number, report);
        if let Some(tally) = &self.tally {
            self.counts.add_tally(self.number, tally);
        }
        if let Some(edges) = self.edges {
            self.counts.note_edges(self.number, edges);
        }
    }

    /// Drops the text that is no longer needed and appends the next block.
    async fn read_block(&mut self) -> Result<()> {
        let Input::Stream { blocks, .. } = &mut self.input else {
            return Ok(());
        };
        if let Some(block) = blocks.recv().await.transpose()? {
            if self.head.is_empty() {
                self.head = head_of(&block).to_vec();
            }
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

/// The message without its marks, if it may have some.
fn unmarked_of(message: Message<'_>) -> Option<Vec<u8>> {
    let bytes = match message {
        Message::Text(text) | Message::Shown(text) | Message::Known(text, _) => text.as_bytes(),
        Message::Broken(bytes) => bytes,
    };
    memchr::memchr(MARK, bytes).map(|_| unmarked(bytes).into_owned())
}

pub(super) fn head_of(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(foreign::HEAD)]
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
    let damaged = |damage: Damage, piece: &[u8]| {
        let looks_like = match damage {
            Damage::NotGzip => foreign::not_inflated(head_of(piece)),
            _ => None,
        };
        let hint = looks_like.map(|what| format!(". It looks like {what}"));
        let message = format!("{name}: {damage}{}", hint.unwrap_or_default());
        DataFusionError::from(Error::damaged(message))
    };
    let in_rest = |damage| damaged(damage, b"");
    let mut block = Vec::with_capacity(BLOCK);
    while block.len() < BLOCK {
        if piece.is_empty() {
            let next = pieces.try_next().await;
            match next.map_err(|error| read_error(name, error))? {
                Some(next) => *piece = next,
                None => {
                    while block.len() < BLOCK && inflater.drain(&mut block).map_err(in_rest)? {}
                    if block.len() < BLOCK {
                        inflater.finish().map_err(in_rest)?;
                    }
                    break;
                }
            }
        }
        let inflated = inflater.inflate(piece, &mut block);
        let taken = inflated.map_err(|damage| damaged(damage, piece))?;
        *piece = piece.slice(taken..);
    }
    Ok(block)
}

#[cfg(test)]
mod tests;
