//! One delivered object of Parquet: row groups → rows → batches.
//!
//! Row groups without events of the times that are wanted are left out by their statistics, and of the others only the columns that
//! the rows need are read. A message is the row as JSON, so that it is the same as in the output format `json`, but for the names that
//! Parquet's columns have.

use std::ops::Range as Bounds;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray};
use arrow::compute::{can_cast_types, cast, filter_record_batch};
use arrow::datatypes::{DataType, Int64Type, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use arrow::json::LineDelimitedWriter;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::parquet::arrow::ParquetRecordBatchStreamBuilder;
use datafusion::parquet::arrow::ProjectionMask;
use datafusion::parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use datafusion::parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use datafusion::parquet::arrow::async_reader::{AsyncFileReader, ParquetRecordBatchStream};
use datafusion::parquet::errors::{ParquetError, Result as ParquetResult};
use datafusion::parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, RowGroupMetaData};
use futures::future::BoxFuture;
use futures::{FutureExt, TryFutureExt, TryStreamExt};
use object_store::{
    GetOptions, GetRange, OBJECT_STORE_COALESCE_DEFAULT, ObjectMeta, ObjectStore, coalesce_ranges,
};

use super::time::{Unit, day_of, of_count, of_date_and_time, of_text};
use crate::error::Error;
use crate::job::{DATE, RecordShape, TIME_NAMES};
use crate::layout::delivered;
use crate::parquet_footer;
use crate::scan::batch::{BatchBuilder, Message, Origin};
use crate::scan::event_ids::EventIds;
use crate::scan::object::{Counts, EventFilter, FillOutcome, ObjectName, read_error};
use crate::scan::report::ObjectReport;
use crate::scan::tally::ObjectTally;
use crate::window::Range;

/// More than any zone is apart from UTC.
const ONE_DAY: Duration = Duration::from_secs(24 * 3600);

/// As much of the end of a file is requested for its footer.
const FOOTER: usize = 64 << 10;

/// The rows that are decoded at a time, of fewer bytes than [`BATCH_BYTES`].
const BATCH_ROWS: usize = 4096;

/// The bytes of the rows that are decoded at a time, as far as the footer shows them.
const BATCH_BYTES: usize = 8 << 20;

/// The bytes of decoded rows for each byte of them: their columns, those of the window, and their messages as JSON, which is built
/// in one text and copied.
const COPIES_OF_ROWS: usize = 4;

/// Reads the object that was listed, in ranges: one that replaced it has other events.
struct ListedObject {
    objects: Arc<dyn ObjectStore>,
    meta: ObjectMeta,
}

impl ListedObject {
    async fn range(&self, range: Bounds<u64>) -> ParquetResult<bytes::Bytes> {
        let options = GetOptions {
            if_match: self.meta.e_tag.clone(),
            range: Some(GetRange::Bounded(range)),
            ..GetOptions::default()
        };
        let got = self.objects.get_opts(&self.meta.location, options);
        let read = got.and_then(object_store::GetResult::bytes).await;
        read.map_err(|error| ParquetError::External(Box::new(error)))
    }
}

impl AsyncFileReader for ListedObject {
    fn get_bytes(&mut self, range: Bounds<u64>) -> BoxFuture<'_, ParquetResult<bytes::Bytes>> {
        async move { self.range(range).await }.boxed()
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Bounds<u64>>,
    ) -> BoxFuture<'_, ParquetResult<Vec<bytes::Bytes>>> {
        let object = &*self;
        async move {
            let read = |range| object.range(range);
            coalesce_ranges(&ranges, read, OBJECT_STORE_COALESCE_DEFAULT).await
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        let size = self.meta.size;
        async move {
            let metadata = parquet_footer::load(self, size, FOOTER, PageIndexPolicy::Skip).await?;
            Ok(Arc::new(metadata))
        }
        .boxed()
    }
}

/// Where the parts of an event are among the columns of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Columns {
    time: TimeColumns,
    /// `None`, and the message is the whole row.
    message: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum TimeColumns {
    One(String),
    DateAndTime(String, String),
}

impl Columns {
    /// Finds them in a file. An error in words where it has no time.
    fn of(schema: &SchemaRef, shape: &RecordShape) -> Result<Self, String> {
        let names: Vec<&str> = schema
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect();
        let find = |wanted: &str| {
            let known = names
                .iter()
                .find(|name| as_column(name) == as_column(wanted));
            known.map(|name| (*name).to_owned())
        };
        let dated = |wanted: &str, name: String| match find(DATE) {
            Some(date) if wanted == "time" => TimeColumns::DateAndTime(date, name),
            _ => TimeColumns::One(name),
        };
        let time = match &shape.time {
            Some(wanted) => find(wanted).map(|name| dated(wanted, name)),
            None => TIME_NAMES
                .iter()
                .find_map(|wanted| find(wanted).map(|name| dated(wanted, name))),
        };
        let Some(time) = time else {
            let wanted = match &shape.time {
                Some(wanted) => format!("{wanted:?}, as [source] time says"),
                None => format!(
                    "one of {}, or [source] time with the name that it has",
                    TIME_NAMES.join(", ")
                ),
            };
            return Err(format!(
                "has the columns {}, without the time: expected {wanted}",
                names.join(", ")
            ));
        };
        let message = shape.message.as_deref().and_then(find);
        if let Some(name) = &message
            && let Ok(field) = schema.field_with_name(name)
            && !can_cast_types(field.data_type(), &DataType::Utf8)
        {
            return Err(format!(
                "has a column {name} of the type {}, which is no message: expected in [source] message a column of texts or numbers, or no such key for the whole row",
                field.data_type()
            ));
        }
        Ok(Self { time, message })
    }

    fn of_time(&self) -> Vec<&str> {
        match &self.time {
            TimeColumns::One(name) => vec![name],
            TimeColumns::DateAndTime(date, of_day) => vec![date, of_day],
        }
    }
}

/// A name as a column has it: `timestamp(ms)` is `timestamp_ms` there.
fn as_column(name: &str) -> String {
    let plain = |character: char| match character.is_ascii_alphanumeric() {
        true => character.to_ascii_lowercase(),
        false => '_',
    };
    let name: String = name.chars().map(plain).collect();
    name.trim_matches('_').to_owned()
}

/// A reader of a delivered Parquet object.
pub(in crate::scan) struct RowReader {
    name: ObjectName,
    /// Its place in the table's list.
    number: u32,
    filter: EventFilter,
    columns: Columns,
    rows: ParquetRecordBatchStream<ListedObject>,
    /// The rows of events that are being added: their times, their messages, and the next one.
    times: Vec<i64>,
    messages: Option<StringArray>,
    next: usize,
    /// The rows that were decoded before.
    decoded: u64,
    numbers: RowNumbers,
    /// Whether row groups with events of the window were left out, as no row is asked for.
    is_partial: bool,
    account: Option<String>,
    log_group: Option<Arc<str>>,
    report: ObjectReport,
    counts: Counts,
    tally: Option<ObjectTally>,
    _reserved: MemoryReservation,
}

impl RowReader {
    /// Opens the object at `number` of the table's list.
    pub(in crate::scan) async fn open(
        objects: &Arc<dyn ObjectStore>,
        meta: ObjectMeta,
        (name, number): (ObjectName, u32),
        filter: EventFilter,
        (shape, log_group): (&RecordShape, Option<Arc<str>>),
        counts: Counts,
        ids: &EventIds,
    ) -> Result<Self> {
        let bytes = meta.size;
        let mut object = ListedObject {
            objects: Arc::clone(objects),
            meta,
        };
        let metadata = ArrowReaderMetadata::load_async(&mut object, ArrowReaderOptions::new());
        let metadata = metadata.await.map_err(|error| failed(&name, error))?;
        let columns = Columns::of(metadata.schema(), shape)
            .map_err(|wrong| Error::damaged(format!("{name} {wrong}")))?;
        let builder = ParquetRecordBatchStreamBuilder::new_with_metadata(object, metadata);
        let meets = |range: Range| {
            groups_with(&builder, &columns, range).map_err(|error| failed(&name, error))
        };
        let (counted, wanted) = (meets(filter.window)?, meets(filter.rows)?);
        let mut projected = columns.of_time();
        let mask = match (filter.messages, &columns.message) {
            (true, None) => ProjectionMask::all(),
            (is_read, message) => {
                projected.extend(message.as_deref().filter(|_| is_read));
                ProjectionMask::columns(builder.parquet_schema(), projected)
            }
        };
        let sizes = wanted
            .iter()
            .map(|group| GroupSize::of(builder.metadata().row_group(*group), &mask));
        let largest = sizes.fold(GroupSize::default(), GroupSize::max);
        let batch_rows = largest.batch_rows();
        let reserved = ids.memory_of("a row group");
        reserved.try_resize(largest.memory(batch_rows))?;
        let all = builder.metadata().row_groups().iter();
        let all = all.map(|group| u64::try_from(group.num_rows()).unwrap_or_default());
        let numbers = RowNumbers::new(all, &wanted);
        let rows = builder
            .with_row_groups(wanted.clone())
            .with_projection(mask)
            .with_batch_size(batch_rows)
            .build()
            .map_err(|error| failed(&name, error))?;
        let mut tally = counts.tally_of(&name.key, filter.window);
        if let Some(tally) = &mut tally {
            tally.begin_stream([log_group.as_deref().unwrap_or_default(), ""]);
        }
        Ok(Self {
            is_partial: wanted != counted,
            tally,
            account: delivered::account(name.key.as_ref()).map(str::to_owned),
            name,
            number,
            filter,
            columns,
            rows,
            times: Vec::new(),
            messages: None,
            next: 0,
            decoded: 0,
            numbers,
            log_group,
            report: ObjectReport {
                bytes,
                ..ObjectReport::default()
            },
            counts,
            _reserved: reserved,
        })
    }

    /// Adds events to a batch, until it is full or the object ends.
    pub(in crate::scan) async fn fill(&mut self, batch: &mut BatchBuilder) -> Result<FillOutcome> {
        batch.begin_origin(Origin {
            account: self.account.as_deref(),
            log_group: self.log_group.as_deref(),
            log_stream: "",
        });
        loop {
            if self.push(batch) {
                return Ok(FillOutcome::Batch);
            }
            let next = self.rows.try_next().await;
            match next.map_err(|error| failed(&self.name, error))? {
                Some(rows) => self.begin(&rows)?,
                None if self.is_partial => return Ok(FillOutcome::ObjectEnd),
                None => {
                    self.counts.add(self.number as usize, self.report);
                    if let Some(tally) = &self.tally {
                        self.counts.add_tally(self.number as usize, tally);
                    }
                    return Ok(FillOutcome::ObjectEnd);
                }
            }
        }
    }

    /// Finds the events of some rows.
    fn begin(&mut self, rows: &RecordBatch) -> Result<()> {
        let wrong = |what: String| Error::damaged(format!("{}: {what}", self.name));
        let number = |row: usize| self.numbers.number(self.decoded + row as u64);
        let times = times_of(rows, &self.columns.time, number).map_err(wrong)?;
        self.decoded += rows.num_rows() as u64;
        self.next = 0;
        let is_counted: Vec<bool> = times
            .iter()
            .map(|ms| self.filter.window.contains(*ms))
            .collect();
        let counted = times.iter().zip(&is_counted).filter(|(_, is)| **is);
        self.times = counted.map(|(ms, _)| *ms).collect();
        self.report.events += self.times.len() as u64;
        if let Some(tally) = &mut self.tally {
            self.times.iter().for_each(|ms| tally.add(*ms));
        }
        self.messages = match self.filter.messages {
            false => None,
            true => {
                let rows = filter_record_batch(rows, &BooleanArray::from(is_counted))?;
                Some(
                    messages_of(&rows, self.columns.message.as_deref()).map_err(|error| {
                        Error::damaged(format!(
                            "{}: no messages can be made of its rows: {error}",
                            self.name
                        ))
                    })?,
                )
            }
        };
        Ok(())
    }

    /// Adds the events that were found. True where the batch is full.
    fn push(&mut self, batch: &mut BatchBuilder) -> bool {
        while let Some(timestamp_ms) = self.times.get(self.next) {
            let at = self.next;
            self.next += 1;
            if !self.filter.rows.contains(*timestamp_ms) {
                continue;
            }
            let message = match &self.messages {
                Some(messages) if messages.is_valid(at) => messages.value(at),
                _ => "",
            };
            if batch.push(
                *timestamp_ms,
                Message::Text(message.trim_end_matches(['\n', '\r'])),
            ) {
                return true;
            }
        }
        false
    }
}

/// Where the rows that are read are in the file, since row groups are left out.
struct RowNumbers {
    /// Of each row group that is read: the rows that are read before it, and those of the file before it.
    groups: Vec<(u64, u64)>,
}

impl RowNumbers {
    /// Of the row groups of a file, with the rows of each, those that are read.
    fn new(rows: impl Iterator<Item = u64>, read: &[usize]) -> Self {
        let (mut of_file, mut of_read) = (0, 0);
        let mut groups = Vec::with_capacity(read.len());
        for (group, rows) in rows.enumerate() {
            if read.contains(&group) {
                groups.push((of_read, of_file));
                of_read += rows;
            }
            of_file += rows;
        }
        Self { groups }
    }

    /// The number of a row in the file, from 1, by the number of rows that were read before it.
    fn number(&self, before: u64) -> u64 {
        let group = self.groups.partition_point(|(read, _)| *read <= before);
        let group = group.checked_sub(1).and_then(|at| self.groups.get(at));
        let (read, of_file) = group.copied().unwrap_or_default();
        of_file + (before - read) + 1
    }
}

/// What the columns of a row group that are read take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct GroupSize {
    /// As they are in the object: all of them are read at once.
    compressed: usize,
    /// Of each row, as it is decoded. A text that a dictionary has once for all rows counts less.
    of_row: usize,
    rows: usize,
}

impl GroupSize {
    fn of(group: &RowGroupMetaData, mask: &ProjectionMask) -> Self {
        let bytes = |size: i64| usize::try_from(size).unwrap_or_default();
        let read = group.columns().iter().enumerate();
        let read = read.filter(|(leaf, _)| mask.leaf_included(*leaf));
        let (compressed, decoded) =
            read.fold((0_usize, 0_usize), |(compressed, decoded), (_, column)| {
                (
                    bytes(column.compressed_size()).saturating_add(compressed),
                    bytes(column.uncompressed_size()).saturating_add(decoded),
                )
            });
        let rows = bytes(group.num_rows());
        Self {
            compressed,
            of_row: decoded.div_ceil(rows.max(1)),
            rows,
        }
    }

    fn max(self, other: Self) -> Self {
        Self {
            compressed: self.compressed.max(other.compressed),
            of_row: self.of_row.max(other.of_row),
            rows: self.rows.max(other.rows),
        }
    }

    /// The rows that are decoded at a time.
    fn batch_rows(self) -> usize {
        (BATCH_BYTES / self.of_row.max(1)).clamp(1, BATCH_ROWS)
    }

    /// The memory of a row group, and of the rows that are decoded at a time.
    fn memory(self, batch_rows: usize) -> usize {
        let of_batch = self.of_row.saturating_mul(batch_rows.min(self.rows));
        of_batch
            .saturating_mul(COPIES_OF_ROWS)
            .saturating_add(self.compressed)
    }
}

/// The error of an object that can't be read: one that is no Parquet is damaged, one that can't be reached is not.
fn failed(name: &ObjectName, error: ParquetError) -> DataFusionError {
    match error {
        ParquetError::External(cause) => match cause.downcast::<object_store::Error>() {
            Ok(error) => read_error(name, *error),
            Err(cause) => unreadable(name).caused_by(cause).into(),
        },
        error => unreadable(name).caused_by(error).into(),
    }
}

fn unreadable(name: &ObjectName) -> Error {
    Error::damaged(format!("can't read {name} as Parquet"))
}

/// The row groups that may have events of a range of time.
fn groups_with(
    builder: &ParquetRecordBatchStreamBuilder<ListedObject>,
    columns: &Columns,
    range: Range,
) -> ParquetResult<Vec<usize>> {
    let groups = builder.metadata().row_groups();
    let name = match &columns.time {
        TimeColumns::One(name) | TimeColumns::DateAndTime(name, _) => name,
    };
    let statistics =
        StatisticsConverter::try_new(name, builder.schema(), builder.parquet_schema())?;
    let least = statistics.row_group_mins(groups)?;
    let most = statistics.row_group_maxes(groups)?;
    let without_time = statistics.row_group_null_counts(groups)?;
    let is_date = matches!(columns.time, TimeColumns::DateAndTime(..));
    let may_have = |group: &usize| {
        // A row without a time is damage, whatever the others have.
        let has_all = without_time.is_valid(*group) && without_time.value(*group) == 0;
        let known = times_between(&least, &most, *group, is_date);
        known
            .filter(|_| has_all)
            .is_none_or(|known| !known.intersect(range).is_empty())
    };
    Ok((0..groups.len()).filter(may_have).collect())
}

/// The times that a row group has, by its least and its greatest value; `None` where they do not say it: as texts, only dates are in
/// the order of time, and counts only where they are of one unit.
fn times_between(least: &ArrayRef, most: &ArrayRef, group: usize, is_date: bool) -> Option<Range> {
    let (least, most) = (least.slice(group, 1), most.slice(group, 1));
    if least.is_null(0) || most.is_null(0) {
        return None;
    }
    match least.data_type() {
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 if is_date => {
            let day = |value: &ArrayRef| {
                let text = cast(value, &DataType::Utf8).ok()?;
                day_of(text.as_string::<i32>().value(0).as_bytes())
            };
            let days = Range {
                start_ms: day(&least)?.start_ms,
                end_ms: day(&most)?.end_ms,
            };
            // The time of day may have a zone.
            Some(days.padded(ONE_DAY, ONE_DAY))
        }
        DataType::Timestamp(..) => Some(Range {
            start_ms: milliseconds(&least)
                .ok()?
                .as_primitive::<Int64Type>()
                .value(0),
            // A finer unit is cut off.
            end_ms: milliseconds(&most)
                .ok()?
                .as_primitive::<Int64Type>()
                .value(0)
                + 1,
        }),
        integer if integer.is_integer() => {
            let count = |value: &ArrayRef| {
                let value = cast(value, &DataType::Int64).ok()?;
                let value = value.as_primitive::<Int64Type>();
                value.is_valid(0).then(|| value.value(0))
            };
            let (least, most) = (count(&least)?, count(&most)?);
            (Unit::of(least) == Unit::of(most)).then_some(())?;
            Some(Range {
                start_ms: of_count(least)?,
                end_ms: of_count(most)? + 1,
            })
        }
        _ => None,
    }
}

/// Instants as milliseconds since 1970.
fn milliseconds(instants: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let instants = cast(instants, &DataType::Timestamp(TimeUnit::Millisecond, None))?;
    cast(&instants, &DataType::Int64)
}

/// The time of each row. An error in words for a row that has none, with its `number` in the file.
fn times_of(
    rows: &RecordBatch,
    time: &TimeColumns,
    number: impl Fn(usize) -> u64,
) -> Result<Vec<i64>, String> {
    let column = |name: &str| {
        let column = rows.column_by_name(name).cloned();
        column.ok_or_else(|| format!("its column {name} is nested in another one"))
    };
    let expected = "expected a time, such as 1795298709123, 1795298709 or 2026-11-21T22:05:09.123Z";
    let is_null = |row: usize, name: &str| {
        let row = number(row);
        format!("row {row} has {name} = NULL: {expected}, in each row")
    };
    let unreadable = |row: usize, name: &str, value: &str| {
        let row = number(row);
        format!("row {row} has {name} = {value:?}: {expected}")
    };
    match time {
        TimeColumns::One(name) => {
            let values = column(name)?;
            let data_type = values.data_type().clone();
            let of_type = |error: ArrowError| {
                format!(
                    "its column {name} is {data_type}: expected a time, a text or a number ({error})"
                )
            };
            if let Some(row) = (0..values.len()).find(|row| values.is_null(*row)) {
                return Err(is_null(row, name));
            }
            if let DataType::Timestamp(..) = data_type {
                let times = milliseconds(&values).map_err(of_type)?;
                let times = times.as_primitive::<Int64Type>();
                let time = |row| times.is_valid(row).then(|| times.value(row));
                return (0..times.len())
                    .map(|row| time(row).ok_or_else(|| unreadable(row, name, "too far away")))
                    .collect();
            }
            if data_type.is_integer() {
                let counts = cast(&values, &DataType::Int64).map_err(of_type)?;
                let counts = counts.as_primitive::<Int64Type>();
                let time = |row: usize| {
                    let count = counts.is_valid(row).then(|| counts.value(row));
                    let shown = || count.map_or("too large".to_owned(), |count| count.to_string());
                    count
                        .and_then(of_count)
                        .ok_or_else(|| unreadable(row, name, &shown()))
                };
                return (0..counts.len()).map(time).collect();
            }
            let texts = texts(&values).map_err(of_type)?;
            let time = |row: usize| {
                let text = text_of(&texts, row);
                of_text(text.as_bytes()).ok_or_else(|| unreadable(row, name, text))
            };
            (0..texts.len()).map(time).collect()
        }
        TimeColumns::DateAndTime(date, of_day) => {
            let of_type = |error: ArrowError| format!("its columns {date} and {of_day}: {error}");
            let dates = texts(&column(date)?).map_err(of_type)?;
            let times = texts(&column(of_day)?).map_err(of_type)?;
            let time = |row: usize| {
                let (day, time) = (text_of(&dates, row), text_of(&times, row));
                let ms = of_date_and_time(day.as_bytes(), time.as_bytes());
                let ms = ms.or_else(|| of_text(time.as_bytes()));
                ms.ok_or_else(|| match (dates.is_null(row), times.is_null(row)) {
                    (_, true) => is_null(row, of_day),
                    (true, false) => is_null(row, date),
                    (false, false) => unreadable(row, of_day, &format!("{day} {time}")),
                })
            };
            (0..times.len()).map(time).collect()
        }
    }
}

fn texts(values: &ArrayRef) -> Result<StringArray, ArrowError> {
    // Some writers have texts without saying that they are. What is no UTF-8 in them would be NULL by a cast.
    if let DataType::Binary | DataType::LargeBinary | DataType::BinaryView = values.data_type() {
        let values = cast(values, &DataType::LargeBinary)?;
        let texts = values.as_binary::<i64>().iter();
        return Ok(texts
            .map(|text| text.map(String::from_utf8_lossy))
            .collect());
    }
    let values = cast(values, &DataType::Utf8)?;
    Ok(values.as_string::<i32>().clone())
}

fn text_of(texts: &StringArray, row: usize) -> &str {
    match texts.is_valid(row) {
        true => texts.value(row),
        false => "",
    }
}

/// The message of each row: a column, or the row as JSON, without what is NULL in it.
fn messages_of(rows: &RecordBatch, column: Option<&str>) -> Result<StringArray, ArrowError> {
    if let Some(column) = column.and_then(|name| rows.column_by_name(name)) {
        return texts(column);
    }
    let mut lines = Vec::new();
    let mut writer = LineDelimitedWriter::new(&mut lines);
    writer.write(rows)?;
    writer.finish()?;
    let lines = String::from_utf8_lossy(&lines);
    Ok(lines.lines().map(Some).collect())
}

#[cfg(test)]
mod tests;
