//! Arrow batches of events: only the projected columns, and only valid UTF-8.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, RecordBatch, RecordBatchOptions, StringViewBuilder, TimestampMillisecondArray,
    UInt32Array,
};
use arrow::buffer::Buffer;
use arrow::compute::take;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

use super::columns::Events;
use super::patterns::{PATTERN, PATTERN_ID};
use super::unescape::{append_unescaped, unescape};
use crate::layout::cloudwatch::LogObject;
use crate::mask::masked;
use crate::pattern::{PatternCoder, Patterns};

/// A batch with this many bytes of messages for each of the rows that it can have is full: 4 MiB for 8192 rows.
const FULL_BYTES_OF_ROW: usize = 512;

/// Collects events, and copies only what the columns need.
pub struct BatchBuilder {
    /// The projected file columns, in order.
    schema: SchemaRef,
    columns: Vec<Column>,
    rows: usize,
    full_rows: usize,
    full_bytes: usize,
    /// The bytes of the names that began in this batch: those of a record can be as long as any message.
    name_bytes: usize,
    /// The bytes of messages that the next batch probably has.
    likely_bytes: usize,
    /// The patterns of the messages, where a column is made of them.
    patterns: Option<(PatternCoder, Patterns)>,
    /// Whether messages are without personal data and secrets.
    masks: bool,
}

/// The message of an event, as it was exported.
#[derive(Debug, Clone, Copy)]
pub enum Message<'a> {
    /// UTF-8.
    Text(&'a str),
    /// Not UTF-8: broken parts become replacement characters.
    Broken(&'a [u8]),
    /// As rows have it: nothing is left to mask.
    Shown(&'a str),
    /// The same, and its pattern.
    Known(&'a str, &'a [u8]),
}

impl<'a> Message<'a> {
    /// Checks whether the bytes are UTF-8.
    #[inline]
    pub fn of(bytes: &'a [u8]) -> Self {
        match simdutf8::basic::from_utf8(bytes) {
            Ok(text) => Self::Text(text),
            Err(_) => Self::Broken(bytes),
        }
    }

    /// The message as rows have it.
    pub fn shown(self, masks: bool) -> Cow<'a, str> {
        let text = match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Broken(bytes) => String::from_utf8_lossy(bytes),
            Self::Shown(text) | Self::Known(text, _) => return Cow::Borrowed(text),
        };
        match masks {
            true => Cow::Owned(masked(&text).into_owned()),
            false => text,
        }
    }
}

/// A message or a line without the line ends at its end.
#[inline]
pub(super) fn without_line_ends(line: &[u8]) -> &[u8] {
    let end = line
        .iter()
        .rposition(|byte| !matches!(byte, b'\n' | b'\r'))
        .map_or(0, |last| last + 1);
    &line[..end]
}

enum Column {
    Timestamp(Vec<i64>),
    Message {
        bytes: Vec<u8>,
        ends: Vec<usize>,
    },
    /// The patterns of the messages.
    Pattern,
    /// The ids of these patterns.
    PatternId,
    /// What is the same for all events of an object, or of a record in it.
    OfObject {
        what: OriginColumn,
        runs: Vec<Run>,
    },
}

/// What a column says of where an event comes from.
#[derive(Clone, Copy)]
enum OriginColumn {
    LogGroup,
    LogStream,
    Account,
    Region,
}

/// Where events come from.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The account of the log group, if known.
    pub account: Option<&'a str>,
    /// The log group, if known.
    pub log_group: Option<&'a str>,
    /// The log stream.
    pub log_stream: &'a str,
}

/// A value from a row on, up to the next run.
struct Run {
    from: usize,
    value: Option<String>,
}

/// The account and Region of an exported object.
fn origin(object: &LogObject) -> Option<&crate::layout::Origin> {
    object.origin.as_deref()
}

impl BatchBuilder {
    /// A builder of batches of `schema`, whose columns are at `indices` of `patterns::columns_read`, which
    /// are in the same places of `schema`.
    pub fn new(schema: SchemaRef, indices: &[usize], full_rows: usize) -> Self {
        let columns: Vec<Column> = indices
            .iter()
            .enumerate()
            .map(|(place, index)| match index {
                0 => Column::Timestamp(Vec::new()),
                1 => Column::Message {
                    bytes: Vec::new(),
                    ends: Vec::new(),
                },
                2 => Column::of_object(OriginColumn::LogGroup),
                3 => Column::of_object(OriginColumn::LogStream),
                _ => match schema.field(place).name().as_str() {
                    PATTERN => Column::Pattern,
                    PATTERN_ID => Column::PatternId,
                    "region" => Column::of_object(OriginColumn::Region),
                    _ => Column::of_object(OriginColumn::Account),
                },
            })
            .collect();
        let has_patterns = columns
            .iter()
            .any(|column| matches!(column, Column::Pattern | Column::PatternId));
        Self {
            schema,
            columns,
            rows: 0,
            full_rows,
            full_bytes: full_rows * FULL_BYTES_OF_ROW,
            name_bytes: 0,
            likely_bytes: 0,
            patterns: has_patterns.then(Default::default),
            masks: false,
        }
    }

    /// The same builder, whose messages are without personal data and secrets if `masks`.
    pub fn masking(mut self, masks: bool) -> Self {
        self.masks = masks;
        self
    }

    /// Whether it has no events.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Begins an object: the next events are its.
    pub fn begin(&mut self, object: &LogObject) {
        for column in &mut self.columns {
            if let Column::OfObject { what, runs } = column {
                let stream;
                let value = match what {
                    OriginColumn::LogGroup => object.group_name(),
                    OriginColumn::LogStream => {
                        stream = object.log_stream();
                        Some(&*stream)
                    }
                    OriginColumn::Account => origin(object).map(|origin| &*origin.account),
                    OriginColumn::Region => origin(object).map(|origin| &*origin.region),
                };
                self.name_bytes += begin_run(runs, self.rows, value);
            }
        }
    }

    /// The same where an object has events of several origins: the next events are of this one.
    pub fn begin_origin(&mut self, origin: Origin<'_>) {
        for column in &mut self.columns {
            if let Column::OfObject { what, runs } = column {
                let value = match what {
                    OriginColumn::LogGroup => origin.log_group,
                    OriginColumn::LogStream => Some(origin.log_stream),
                    OriginColumn::Account => origin.account,
                    // Records do not say it.
                    OriginColumn::Region => None,
                };
                self.name_bytes += begin_run(runs, self.rows, value);
            }
        }
    }

    /// Adds an event. True where the batch is full.
    #[inline]
    pub fn push(&mut self, timestamp_ms: i64, message: Message<'_>) -> bool {
        let masks = self.masks;
        if let Some((coder, patterns)) = &mut self.patterns {
            if let Message::Known(_, pattern) = message {
                coder.push_known(pattern, patterns);
            } else {
                let shown = message.shown(masks);
                coder.push(&shown, patterns);
                return self.push_with(timestamp_ms, |bytes| {
                    bytes.extend_from_slice(shown.as_bytes());
                });
            }
        }
        self.push_with(timestamp_ms, |bytes| match message {
            Message::Text(text) if masks => bytes.extend_from_slice(masked(text).as_bytes()),
            Message::Text(text) | Message::Shown(text) | Message::Known(text, _) => {
                bytes.extend_from_slice(text.as_bytes());
            }
            Message::Broken(message) => {
                let text = String::from_utf8_lossy(message);
                match masks {
                    true => bytes.extend_from_slice(masked(&text).as_bytes()),
                    false => bytes.extend_from_slice(text.as_bytes()),
                }
            }
        })
    }

    /// Adds an event whose message has the escapes of JSON, and line ends at its end that rows do not have. True where the batch is full.
    #[inline]
    pub fn push_escaped(&mut self, timestamp_ms: i64, message: &str) -> bool {
        let masks = self.masks;
        if self.patterns.is_some() {
            let mut text = String::new();
            unescape(message, &mut text);
            return self.push(
                timestamp_ms,
                Message::Text(text.trim_end_matches(['\n', '\r'])),
            );
        }
        self.push_with(timestamp_ms, |bytes| {
            if masks {
                let mut text = String::new();
                unescape(message, &mut text);
                let text = text.trim_end_matches(['\n', '\r']);
                bytes.extend_from_slice(masked(text).as_bytes());
            } else {
                let start = bytes.len();
                append_unescaped(message, bytes);
                let length = without_line_ends(&bytes[start..]).len();
                bytes.truncate(start + length);
            }
        })
    }

    /// Adds an event, whose message is appended only if it is a column.
    #[inline]
    fn push_with(&mut self, timestamp_ms: i64, append: impl FnOnce(&mut Vec<u8>)) -> bool {
        if self.rows == 0 {
            self.make_room();
        }
        self.rows += 1;
        let mut full = self.rows >= self.full_rows || self.name_bytes >= self.full_bytes;
        let mut append = Some(append);
        for column in &mut self.columns {
            match column {
                Column::Timestamp(values) => values.push(timestamp_ms),
                Column::Message { bytes, ends } => {
                    if let Some(append) = append.take() {
                        append(bytes);
                    }
                    ends.push(bytes.len());
                    full |= bytes.len() >= self.full_bytes;
                }
                Column::Pattern | Column::PatternId | Column::OfObject { .. } => {}
            }
        }
        full || self.has_full_patterns()
    }

    fn has_full_patterns(&self) -> bool {
        let patterns = self.patterns.as_ref();
        patterns.is_some_and(|(_, patterns)| patterns.bytes.len() >= self.full_bytes)
    }

    /// Adds the events of these rows, as far as the batch has room, and at least one; how many. Their messages are as rows have
    /// them, and they have what the columns need.
    pub fn extend(&mut self, events: &Events, rows: Range<usize>) -> usize {
        if self.rows == 0 {
            self.make_room();
        }
        let room = self.full_rows.saturating_sub(self.rows).max(1);
        let mut end = rows.end.min(rows.start + room);
        let start_of = |row: usize| match row.checked_sub(1) {
            Some(before) => events.ends[before] as usize,
            None => 0,
        };
        for column in &mut self.columns {
            if let Column::Message { bytes, ends } = column {
                let start = start_of(rows.start);
                let room = self.full_bytes.saturating_sub(bytes.len());
                let fits = |end: &u32| *end as usize - start < room;
                let whole = events.ends[rows.start..end].partition_point(fits);
                // With the message that makes it full.
                end = end.min(rows.start + whole + 1);
                let before = bytes.len();
                bytes.extend_from_slice(&events.text.as_bytes()[start..start_of(end)]);
                let taken = events.ends[rows.start..end].iter();
                ends.extend(taken.map(|end| before + *end as usize - start));
            }
        }
        for column in &mut self.columns {
            if let Column::Timestamp(values) = column {
                values.extend_from_slice(&events.times[rows.start..end]);
            }
        }
        if let Some((coder, patterns)) = &mut self.patterns {
            add_patterns(&events.patterns, rows.start..end, coder, patterns);
        }
        self.rows += end - rows.start;
        end - rows.start
    }

    /// Whether it is time to finish the batch.
    pub fn is_full(&self) -> bool {
        let is_full = |column: &Column| match column {
            Column::Message { bytes, .. } => bytes.len() >= self.full_bytes,
            Column::Timestamp(_)
            | Column::Pattern
            | Column::PatternId
            | Column::OfObject { .. } => false,
        };
        self.rows >= self.full_rows
            || self.name_bytes >= self.full_bytes
            || self.has_full_patterns()
            || self.columns.iter().any(is_full)
    }

    /// Room for a full batch, as far as it is known how much that is.
    #[cold]
    fn make_room(&mut self) {
        for column in &mut self.columns {
            match column {
                Column::Timestamp(values) => values.reserve_exact(self.full_rows),
                Column::Message { bytes, ends } => {
                    bytes.reserve(self.likely_bytes);
                    ends.reserve_exact(self.full_rows);
                }
                Column::Pattern | Column::PatternId | Column::OfObject { .. } => {}
            }
        }
    }

    /// The batch of what was added, and an empty builder.
    pub fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let rows = std::mem::take(&mut self.rows);
        self.name_bytes = 0;
        let mut patterns = match &mut self.patterns {
            Some((_, patterns)) => std::mem::take(patterns),
            None => Patterns::default(),
        };
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.columns.len());
        for (column, field) in self.columns.iter_mut().zip(self.schema.fields()) {
            columns.push(match column {
                Column::Timestamp(values) => {
                    let values = without_spare_room(std::mem::take(values));
                    let values = TimestampMillisecondArray::from(values);
                    Arc::new(values.with_data_type(field.data_type().clone()))
                }
                Column::Message { bytes, ends } => {
                    let text = without_spare_room(std::mem::take(bytes));
                    // The next batch is about as long as this one.
                    self.likely_bytes = text.len() + text.len() / 8;
                    message_views(text, ends)
                }
                Column::Pattern => patterns.texts(None)?,
                Column::PatternId => patterns.ids(None)?,
                Column::OfObject { runs, .. } => of_runs(runs, rows)?,
            });
        }
        if let Some((_, next)) = &mut self.patterns {
            patterns.clear();
            *next = patterns;
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
    }
}

impl Column {
    fn of_object(what: OriginColumn) -> Self {
        Self::OfObject {
            what,
            runs: Vec::new(),
        }
    }
}

/// Adds the patterns of these rows, each text once.
fn add_patterns(
    from: &Patterns,
    rows: Range<usize>,
    coder: &mut PatternCoder,
    patterns: &mut Patterns,
) {
    let mut added: Vec<Option<u32>> = vec![None; from.ends.len()];
    for code in &from.codes[rows] {
        let place = &mut added[*code as usize];
        match place {
            Some(known) => patterns.codes.push(*known),
            None => {
                coder.push_known(from.text(*code), patterns);
                *place = patterns.codes.last().copied();
            }
        }
    }
}

/// Begins a run of a value at row `from`, if it is another one than before. The bytes of the value that it has more than before.
fn begin_run(runs: &mut Vec<Run>, from: usize, value: Option<&str>) -> usize {
    let owned = || value.map(str::to_owned);
    match runs.last_mut() {
        Some(last) if last.value.as_deref() == value => return 0,
        // The object or the record before had no events.
        Some(last) if last.from == from => last.value = owned(),
        _ => runs.push(Run {
            from,
            value: owned(),
        }),
    }
    value.map_or(0, str::len)
}

/// The values of `rows` rows, each text once. The last run goes on in the next batch.
fn of_runs(runs: &mut Vec<Run>, rows: usize) -> Result<ArrayRef, ArrowError> {
    let mut values = StringViewBuilder::with_capacity(runs.len());
    let mut of_row = Vec::with_capacity(rows);
    let ends = runs.iter().skip(1).map(|run| run.from).chain([rows]);
    for ((number, run), end) in (0..).zip(&*runs).zip(ends) {
        values.append_option(run.value.as_deref());
        of_row.resize(end, number);
    }
    runs.drain(..runs.len().saturating_sub(1));
    if let Some(last) = runs.last_mut() {
        last.from = 0;
    }
    take(&values.finish(), &UInt32Array::from(of_row), None)
}

/// The engine counts a batch by the memory that it holds, so a small one must not hold that of a full one.
fn without_spare_room<T>(mut values: Vec<T>) -> Vec<T> {
    if values.len() < values.capacity() / 2 {
        values.shrink_to_fit();
    }
    values
}

/// Views into the messages' own bytes. Empties `ends`.
fn message_views(bytes: Vec<u8>, ends: &mut Vec<usize>) -> ArrayRef {
    let mut builder = StringViewBuilder::with_capacity(ends.len());
    let block = builder.append_block(Buffer::from_vec(bytes));
    let mut start = 0;
    for end in ends.drain(..) {
        // SAFETY: the range is inside the block, which holds at most the bytes of a full batch and one event, and it was checked to
        // be UTF-8, or made so, when it was copied there.
        unsafe { builder.append_view_unchecked(block, start as u32, (end - start) as u32) };
        start = end;
    }
    Arc::new(builder.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::source::file_schema;
    use arrow::array::AsArray;

    fn builder(indices: &[usize]) -> BatchBuilder {
        let schema = Arc::new(
            file_schema(chrono_tz::UTC, Default::default())
                .project(indices)
                .unwrap(),
        );
        BatchBuilder::new(schema, indices, 3)
    }

    #[test]
    fn only_the_columns_asked_for_are_built() {
        let mut count = builder(&[]);
        assert!(!count.push(1, Message::of(b"a")));
        assert!(!count.push(2, Message::of(b"b")));
        assert!(count.push(3, Message::of(b"c")));
        assert_eq!(count.finish().unwrap().num_rows(), 3);

        let mut both = builder(&[0, 1]);
        both.push(7, Message::of("짧은".as_bytes()));
        both.push(8, Message::of(b"a message of more than twelve bytes"));
        let batch = both.finish().unwrap();
        let messages: Vec<_> = batch.column(1).as_string_view().iter().flatten().collect();
        assert_eq!(messages, ["짧은", "a message of more than twelve bytes"]);
        assert!(both.is_empty());
    }

    #[test]
    fn long_names_of_records_fill_a_batch() {
        let mut builder = builder(&[3]);
        let name = "s".repeat(3 * FULL_BYTES_OF_ROW);
        for (stream, is_full) in [("a", false), (&name, true)] {
            builder.begin_origin(Origin {
                account: None,
                log_group: None,
                log_stream: stream,
            });
            assert_eq!(builder.push(1, Message::of(b"")), is_full);
        }
        assert_eq!(builder.finish().unwrap().num_rows(), 2);
        // The same name goes on, and is there once.
        assert!(!builder.push(1, Message::of(b"")));
    }

    #[test]
    fn invalid_utf8_is_kept_readable() {
        // The last two would be one character if they were joined.
        let broken: [&[u8]; 3] = [b"caf\xe9 latte", b"\xed\x95", b"\x9c"];
        let mut builder = builder(&[1]);
        for message in broken {
            assert!(matches!(Message::of(message), Message::Broken(_)));
            builder.push(1, Message::of(message));
        }
        let batch = builder.finish().unwrap();
        let messages: Vec<_> = batch.column(0).as_string_view().iter().flatten().collect();
        assert_eq!(messages, ["caf\u{fffd} latte", "\u{fffd}", "\u{fffd}"]);
    }

    #[test]
    fn messages_are_masked_where_that_is_asked_for() {
        let mut builder = builder(&[1]).masking(true);
        for message in [
            &b"call 010-1234-5678"[..],
            b"caf\xe9 kim@example.com",
            b"nothing",
        ] {
            builder.push(1, Message::of(message));
        }
        let batch = builder.finish().unwrap();
        let messages: Vec<_> = batch.column(0).as_string_view().iter().flatten().collect();
        assert_eq!(messages, ["call <phone>", "caf\u{fffd} <email>", "nothing"]);
    }

    #[test]
    fn a_small_batch_holds_little_memory() {
        let schema = Arc::new(
            file_schema(chrono_tz::UTC, Default::default())
                .project(&[0, 1])
                .unwrap(),
        );
        let mut builder = BatchBuilder::new(schema, &[0, 1], 8192);
        for _ in 0..2 {
            for n in 0..10 {
                builder.push(n, Message::of(b"a message of more than twelve bytes"));
            }
            let batch = builder.finish().unwrap();
            assert!(batch.get_array_memory_size() < 2000);
        }
    }

    #[test]
    fn what_is_the_same_for_an_object_is_there_once_and_goes_on_in_the_next_batch() {
        let object = |group: Option<&str>, stream: &str| {
            let meta = object_store::ObjectMeta {
                location: format!("task/{stream}/000000.gz").into(),
                last_modified: Default::default(),
                size: 1,
                e_tag: None,
                version: None,
            };
            LogObject::new(&meta, group).unwrap()
        };
        let mut builder = builder(&[3, 2]);
        let mut found = Vec::new();
        for (group, stream, events) in [
            (Some("/ecs/web"), "a", 1),
            (Some("/ecs/web"), "nothing in it", 0),
            (None, "a stream of more than twelve bytes", 5),
            (Some("/ecs/api"), "b", 1),
        ] {
            builder.begin(&object(group, stream));
            for n in 0..events {
                if builder.push(n, Message::Text("")) {
                    found.push(builder.finish().unwrap());
                }
            }
        }
        found.push(builder.finish().unwrap());
        let rows = found.iter().flat_map(|batch| {
            let [streams, groups] = [0, 1].map(|column| batch.column(column).as_string_view());
            let rows = streams.iter().zip(groups.iter());
            rows.collect::<Vec<_>>()
        });
        let rows: Vec<_> = rows.collect();
        let long = (Some("a stream of more than twelve bytes"), None);
        let mut expected = vec![(Some("a"), Some("/ecs/web"))];
        expected.extend([long; 5]);
        expected.push((Some("b"), Some("/ecs/api")));
        assert_eq!(rows, expected);
        assert_eq!(found.len(), 3);
    }

    #[test]
    fn long_messages_fill_a_batch_early() {
        let mut builder = builder(&[1]);
        assert!(builder.push(1, Message::of(&vec![b'x'; 3 * FULL_BYTES_OF_ROW])));
    }
}
