//! One object of a subscription on its way from bytes to batches.

use std::borrow::Cow;
use std::sync::Arc;

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::DiskManager;
use datafusion::execution::memory_pool::MemoryReservation;

use super::batch::{BatchBuilder, Message, Origin, without_line_ends};
use super::budget::Claim;
use super::event_ids::{Candidate, EventId, EventIds, Stream};
use super::fetch::Content;
use super::foreign;
use super::input::{Input, opened};
use super::layers::{NotUnpacked, unpacked};
use super::object::{BLOCK, Counts, EventFilter, FillOutcome, ObjectName, head_of};
use super::records::{
    Found, JsonText, LONGEST_RECORD, Record, Records, begins_with_record, unescape,
};
use super::report::ObjectReport;
use super::tally::ObjectTally;
use super::text::ObjectText;
use crate::error::Error;
use crate::layout::cloudwatch::ObjectFormat;

/// The events of a record whose messages are checked for UTF-8 together.
const PIECE_EVENTS: usize = 1024;

/// A record that grows beyond this many bytes of text reserves memory: most are smaller by far.
const LONG_RECORD: usize = 4 * BLOCK;

/// The bytes of a record with its events and their ids for each byte of its text.
const BYTES_OF_RECORD: usize = 5;

/// The ids of a table's events, and where they go if memory is short.
#[derive(Debug, Clone)]
pub(super) struct Deduplication {
    pub(super) ids: Arc<EventIds>,
    pub(super) disk: Arc<DiskManager>,
}

/// A reader of an object of a subscription.
pub(super) struct RecordReader {
    name: ObjectName,
    /// Its place in the table's list.
    number: u32,
    filter: EventFilter,
    content: Parser,
    text: ObjectText,
    input: Input,
    /// How much of the text was dropped.
    dropped: u64,
    head: Vec<u8>,
    report: ObjectReport,
    counts: Counts,
    tally: Option<ObjectTally>,
    /// The memory of a record that is long.
    reserved: MemoryReservation,
    /// The memory of a record's base64, where its text is long.
    reserved_inner: MemoryReservation,
    duplicates: Deduplication,
}

/// How the text has its events.
enum Parser {
    Records(Box<RecordParser>),
    Lines { at: usize, arrived_ms: i64 },
}

/// The record that is being read.
#[derive(Default)]
struct RecordParser {
    records: Records,
    /// Its first event that is no row yet; behind the last one where another record is next.
    next: usize,
    /// For each event of it, whether it is the copy that counts.
    counts: Vec<bool>,
    /// The number of events in the records before it, and with it.
    place: u32,
    end: u32,
    /// Whether the batch that is being made has the record's origin.
    has_begun: bool,
    candidates: Vec<Candidate>,
    claimed: Vec<bool>,
    /// The records that the last one has in base64, and their text.
    inner: Option<Records>,
    inner_text: Vec<u8>,
}

impl RecordReader {
    /// A reader of the object at `number` of the table's list, which has `bytes`.
    pub(super) fn new(
        (name, number): (ObjectName, u32),
        filter: EventFilter,
        (bytes, content): (u64, Content),
        format: ObjectFormat,
        claim: &Arc<Claim>,
        counts: Counts,
        duplicates: Deduplication,
    ) -> Self {
        let (text, input) = opened(&name, content, claim);
        Self {
            tally: counts.tally_of(&name.key, filter.window),
            content: match format {
                ObjectFormat::Messages { arrived_ms } => Parser::Lines { at: 0, arrived_ms },
                _ => Parser::Records(Box::default()),
            },
            head: head_of(text.bytes()).to_vec(),
            name,
            number,
            filter,
            text,
            input,
            dropped: 0,
            report: ObjectReport {
                bytes,
                ..ObjectReport::default()
            },
            counts,
            reserved: duplicates.ids.memory_of("a record"),
            reserved_inner: duplicates.ids.memory_of("a record"),
            duplicates,
        }
    }

    /// Adds events to a batch, until it is full or the object ends.
    pub(super) async fn fill(&mut self, batch: &mut BatchBuilder) -> Result<FillOutcome> {
        if let Parser::Records(parser) = &mut self.content {
            // Events of other objects may be in the batch since.
            parser.has_begun = false;
        }
        loop {
            if self.fill_from_text(batch)? {
                return Ok(FillOutcome::Batch);
            }
            let is_last = self.input.is_done();
            if is_last && self.is_at_end()? {
                self.counts.add(self.number as usize, self.report);
                if let Some(tally) = &self.tally {
                    self.counts.add_tally(self.number as usize, tally);
                }
                return Ok(FillOutcome::ObjectEnd);
            }
            if !is_last {
                self.read_block().await?;
            }
        }
    }

    /// Adds the events of the text that is there. True where the batch is full.
    fn fill_from_text(&mut self, batch: &mut BatchBuilder) -> Result<bool> {
        let last = self.input.is_done();
        match &mut self.content {
            Parser::Lines { at, arrived_ms } => {
                if self.dropped == 0 && *at == 0 && begins_with_record(&self.head) {
                    return Err(damaged(format!(
                        "{} has records, and no messages alone: expected [source] without messages_only",
                        self.name
                    )));
                }
                let bytes = self.text.bytes();
                while *at < bytes.len() {
                    let rest = &bytes[*at..];
                    let (line, taken) = match memchr::memchr(b'\n', rest) {
                        Some(end) => (&rest[..end], end + 1),
                        None if last => (rest, rest.len()),
                        None => break,
                    };
                    *at += taken;
                    let line = without_line_ends(line);
                    if line.is_empty() || !self.filter.window.contains(*arrived_ms) {
                        continue;
                    }
                    let message = Message::of(line);
                    let is_broken = matches!(message, Message::Broken(_));
                    self.report.events += 1;
                    self.report.invalid_utf8_events += u32::from(self.filter.messages && is_broken);
                    if let Some(tally) = &mut self.tally {
                        tally.add(*arrived_ms);
                    }
                    if self.filter.rows.contains(*arrived_ms) && batch.push(*arrived_ms, message) {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Parser::Records(parser) => {
                let bytes = self.text.bytes();
                let place = |at: usize| self.dropped + at as u64;
                loop {
                    if parser.next >= parser.record().events.len() {
                        let found = match parser.next_inner() {
                            Some(found) => found,
                            None => parser.records.next(bytes, last),
                        };
                        match found {
                            Found::Record if !parser.record().encoded.is_empty() => {
                                if parser.inner.is_some() {
                                    let (name, at) =
                                        (&self.name, place(parser.records.record().at.start));
                                    return Err(damaged(format!(
                                        "{name}: the base64 of the record at byte {at} of its text has base64 in place of events again"
                                    )));
                                }
                                let reserved = &self.reserved_inner;
                                parser.unpack(bytes, reserved).map_err(|(at, why)| match why {
                                    NotUnpacked::NoMemory(error) => *error,
                                    NotUnpacked::Wrong(wrong) => {
                                        let (name, at) = (&self.name, place(at));
                                        damaged(format!(
                                            "{name}: the base64 at byte {at} of its text: {wrong}"
                                        ))
                                    }
                                })?;
                            }
                            Found::Record => parser.begin_record(
                                bytes,
                                self.number,
                                self.filter,
                                &self.duplicates,
                            )?,
                            Found::NeedsText if parser.inner.is_some() => {
                                parser.end_inner();
                                self.reserved_inner.free();
                            }
                            Found::NeedsText => return Ok(false),
                            Found::Wrong { at, expected } => {
                                let at = match parser.inner {
                                    Some(_) => place(parser.records.record().at.start),
                                    None => place(at),
                                };
                                let records = parser.records.count();
                                let known = (records, &self.head[..]);
                                return Err(wrong_record(&self.name, known, at, expected));
                            }
                        }
                        continue;
                    }
                    let tally = self.tally.as_mut();
                    if parser.push(bytes, batch, self.filter, &mut self.report, tally) {
                        return Ok(true);
                    }
                }
            }
        }
    }

    /// Whether nothing is left of a text to which no more comes. An error (damaged) where it ends within a record.
    fn is_at_end(&self) -> Result<bool> {
        let Parser::Records(parser) = &self.content else {
            return Ok(true);
        };
        let there = self.text.bytes().len();
        if parser.records.keep_from() < there {
            let at = self.dropped + parser.records.keep_from() as u64;
            let end = self.dropped + there as u64;
            return Err(damaged(format!(
                "{} is cut off: the record at byte {at} of its text does not end before the text ends, at byte {end}",
                self.name
            )));
        }
        Ok(true)
    }

    /// Drops the text that is no longer needed and appends the next block.
    async fn read_block(&mut self) -> Result<()> {
        let done = match &mut self.content {
            Parser::Lines { at, .. } => std::mem::take(at),
            Parser::Records(parser) => {
                let done = parser.records.keep_from();
                parser.records.dropped(done);
                done
            }
        };
        let kept = self.text.bytes().len() - done;
        self.dropped += done as u64;
        if !self.input.read(&self.name, &mut self.text, done).await? {
            return Ok(());
        }
        let there = self.text.bytes();
        if self.head.len() < foreign::HEAD && self.dropped == 0 {
            self.head = head_of(there).to_vec();
        }
        if kept > 0 && there.len() > LONG_RECORD {
            self.reserved.try_resize(BYTES_OF_RECORD * there.len())?;
        }
        if kept > LONGEST_RECORD {
            return Err(damaged(format!(
                "{} has a record of more than {} MiB at byte {} of its text, which no subscription sends",
                self.name,
                LONGEST_RECORD >> 20,
                self.dropped
            )));
        }
        Ok(())
    }
}

impl RecordParser {
    /// The record that was found last.
    fn record(&self) -> &Record {
        self.inner.as_ref().unwrap_or(&self.records).record()
    }

    /// What follows in the text of a record's base64; `None` where there is none.
    fn next_inner(&mut self) -> Option<Found> {
        let inner = self.inner.as_mut()?;
        let found = inner.next(&self.inner_text, true);
        let is_cut = found == Found::NeedsText && inner.keep_from() < self.inner_text.len();
        Some(match is_cut {
            false => found,
            true => Found::Wrong {
                at: inner.keep_from(),
                expected: "a whole record in the base64 of a consumer",
            },
        })
    }

    /// Begins the text of the record's base64. An error, with the place, where it can't be unpacked.
    fn unpack(
        &mut self,
        bytes: &[u8],
        reserved: &MemoryReservation,
    ) -> Result<(), (usize, NotUnpacked)> {
        self.inner_text.clear();
        for text in &self.records.record().encoded {
            // Some programs write `=` and `/` as escapes.
            let encoded = decoded(text, bytes);
            let unpacked = unpacked(encoded.as_bytes(), &mut self.inner_text, |there| {
                if there > LONG_RECORD {
                    reserved.try_resize(BYTES_OF_RECORD * there)?;
                }
                Ok(())
            });
            unpacked.map_err(|wrong| (text.at.start, wrong))?;
        }
        self.inner = Some(Records::default());
        self.next = 0;
        Ok(())
    }

    fn end_inner(&mut self) {
        self.inner = None;
        // That of a short one is used again.
        self.inner_text.clear();
        self.inner_text.shrink_to(LONG_RECORD);
        // The record around it has no events of its own.
        self.next = 0;
    }

    /// Begins the record that was found: finds out which of its events are rows.
    fn begin_record(
        &mut self,
        bytes: &[u8],
        object: u32,
        filter: EventFilter,
        duplicates: &Deduplication,
    ) -> Result<()> {
        let (records, bytes) = match &self.inner {
            Some(inner) => (inner, &self.inner_text[..]),
            None => (&self.records, bytes),
        };
        let record = records.record();
        self.place = self.end;
        self.end += record.events.len() as u32;
        self.next = 0;
        self.has_begun = false;
        claim(
            record,
            bytes,
            (object, self.place),
            filter,
            duplicates,
            (&mut self.candidates, &mut self.claimed),
            &mut self.counts,
        )
    }

    /// Adds the events of the record. True where the batch is full.
    fn push(
        &mut self,
        bytes: &[u8],
        batch: &mut BatchBuilder,
        filter: EventFilter,
        report: &mut ObjectReport,
        mut tally: Option<&mut ObjectTally>,
    ) -> bool {
        let (records, bytes) = match &self.inner {
            Some(inner) => (inner, &self.inner_text[..]),
            None => (&self.records, bytes),
        };
        let record = records.record();
        // Places are counted from the first message that is no row yet, to about as many as a batch has.
        let rest = record.events.get(self.next..).unwrap_or_default();
        let start = rest
            .first()
            .map_or(record.at.end, |event| event.message.at.start);
        let last = rest.get(..PIECE_EVENTS).unwrap_or(rest).last();
        let end = last.map_or(record.at.end, |event| event.message.at.end);
        let raw = &bytes[start..end.max(start)];
        let whole = match filter.messages {
            true => simdutf8::basic::from_utf8(raw).ok(),
            false => None,
        };
        if !self.has_begun {
            self.has_begun = true;
            let text = |text: &Option<JsonText>| text.as_ref().map(|text| decoded(text, bytes));
            let (account, group) = (text(&record.owner), text(&record.log_group));
            let stream = text(&record.log_stream).unwrap_or_default();
            batch.begin_origin(Origin {
                account: account.as_deref(),
                log_group: group.as_deref(),
                log_stream: &stream,
            });
            if let Some(tally) = &mut tally {
                tally.begin_stream([group.as_deref().unwrap_or_default(), &*stream]);
            }
        }
        let mut is_full = false;
        for event in &rest[..rest.len().min(PIECE_EVENTS)] {
            let counts = self.counts.get(self.next).copied().unwrap_or(false);
            self.next += 1;
            if !counts {
                let is_copy = filter.window.contains(event.timestamp_ms);
                report.duplicate_events += u32::from(is_copy);
                continue;
            }
            let at = event.message.at.start - start..event.message.at.end - start;
            let message = match whole.and_then(|whole| whole.get(at.clone())) {
                _ if !filter.messages => Message::Text(""),
                Some(text) => Message::Text(text),
                // Another message of the record is not UTF-8, or this one.
                None => Message::of(&raw[at]),
            };
            report.events += 1;
            report.invalid_utf8_events += u32::from(matches!(message, Message::Broken(_)));
            if let Some(tally) = &mut tally {
                tally.add(event.timestamp_ms);
            }
            if !filter.rows.contains(event.timestamp_ms) {
                continue;
            }
            let push = match event.message.escaped && filter.messages {
                true => push_escaped,
                false => push_plain,
            };
            if push(batch, event.timestamp_ms, message) {
                is_full = true;
                break;
            }
        }
        is_full
    }
}

/// Finds out which events of a record are rows of the table: those of its times, of each the copy that counts.
fn claim(
    record: &Record,
    bytes: &[u8],
    (object, place): (u32, u32),
    filter: EventFilter,
    duplicates: &Deduplication,
    (candidates, claimed): (&mut Vec<Candidate>, &mut Vec<bool>),
    counts: &mut Vec<bool>,
) -> Result<()> {
    counts.clear();
    candidates.clear();
    for (event, number) in record.events.iter().zip(place..) {
        let is_in_window = filter.window.contains(event.timestamp_ms);
        counts.push(is_in_window);
        // A program that has no id for an event may write an empty one.
        let id = event.id.as_ref().filter(|id| !id.at.is_empty());
        if let (true, Some(id)) = (is_in_window, id) {
            candidates.push(Candidate {
                id: EventId::of(&bytes[id.at.clone()]),
                timestamp_ms: event.timestamp_ms,
                place: number,
            });
        }
    }
    if !candidates.is_empty() {
        let names = [&record.owner, &record.log_group, &record.log_stream]
            .map(|name| name.as_ref().map(|name| decoded(name, bytes)));
        let stream = Stream::of(names.each_ref().map(Option::as_deref));
        let Deduplication { ids, disk } = duplicates;
        ids.claim(disk, (object, &stream), candidates, claimed)?;
    } else {
        claimed.clear();
    }
    for (candidate, is_own) in candidates.iter().zip(&*claimed) {
        counts[(candidate.place - place) as usize] = *is_own;
    }
    Ok(())
}

pub(super) fn decoded<'t>(text: &JsonText, bytes: &'t [u8]) -> Cow<'t, str> {
    let raw = String::from_utf8_lossy(&bytes[text.at.clone()]);
    if !text.escaped {
        return raw;
    }
    let mut decoded = String::with_capacity(raw.len());
    unescape(&raw, &mut decoded);
    Cow::Owned(decoded)
}

/// Adds an event whose message is as it stands in the text, but for the line ends at its end.
#[inline]
pub(super) fn push_plain(
    batch: &mut BatchBuilder,
    timestamp_ms: i64,
    message: Message<'_>,
) -> bool {
    let message = match message {
        Message::Text(text) | Message::Shown(text) | Message::Known(text, _) => {
            Message::Text(text.trim_end_matches(['\n', '\r']))
        }
        Message::Broken(bytes) => Message::Broken(without_line_ends(bytes)),
    };
    batch.push(timestamp_ms, message)
}

/// Adds an event whose message has escapes, as exports have it: without them, and without the line ends at its end.
#[inline]
pub(super) fn push_escaped(
    batch: &mut BatchBuilder,
    timestamp_ms: i64,
    message: Message<'_>,
) -> bool {
    match message {
        Message::Text(text) | Message::Shown(text) | Message::Known(text, _) => {
            batch.push_escaped(timestamp_ms, text)
        }
        Message::Broken(bytes) => batch.push_escaped(timestamp_ms, &String::from_utf8_lossy(bytes)),
    }
}

fn damaged(message: String) -> DataFusionError {
    Error::damaged(message).into()
}

/// The error of a text that is no record at a place.
fn wrong_record(
    name: &ObjectName,
    (records, head): (u64, &[u8]),
    at: u64,
    expected: &str,
) -> DataFusionError {
    if records > 0 || begins_with_record(head) {
        return damaged(format!(
            "{name}: byte {at} of its text is no part of a record: expected {expected}"
        ));
    }
    let hint = match foreign::no_log(head) {
        Some(_) => "",
        None => {
            ". A job reads messages alone, as Firehose's message extraction leaves them, with messages_only = true in [source]"
        }
    };
    damaged(format!(
        "{name} is no object of a subscription: byte {at} of its text is no part of a record: expected {expected}. It looks like {}{hint}",
        foreign::unpacked(head)
    ))
}

#[cfg(test)]
mod tests;
