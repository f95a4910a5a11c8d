//! One delivered object of lines: bytes → text → lines → events → batches.

use std::ops::Range;
use std::sync::Arc;

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryReservation;

use super::line::{Event, EventOrigin, Lines};
use crate::error::Error;
use crate::job::RecordShape;
use crate::layout::delivered;
use crate::scan::batch::{BatchBuilder, Message, Origin};
use crate::scan::budget::Claim;
use crate::scan::event_ids::{Candidate, EventId};
use crate::scan::fetch::Content;
use crate::scan::foreign;
use crate::scan::object::{BLOCK, Counts, EventFilter, FillOutcome, ObjectName, head_of};
use crate::scan::record_object::{
    Deduplication, Input, decoded, opened, unescaped, without_line_ends,
};
use crate::scan::records::{JsonText, LONGEST_RECORD};
use crate::scan::report::ObjectReport;
use crate::scan::tally::ObjectTally;
use crate::scan::text::ObjectText;

/// The lines whose ids are compared with those of other objects together.
const PIECE_EVENTS: usize = 1024;

/// A line that grows beyond this many bytes reserves memory: most are smaller by far.
const LONG_LINE: usize = 4 * BLOCK;

/// The bytes of a line for each byte of it: its text, which grows by doubling, its message without escapes, and the row.
const BYTES_OF_LINE: usize = 4;

/// A reader of a delivered object of lines.
pub(in crate::scan) struct DeliveredReader {
    name: ObjectName,
    /// Its place in the table's list.
    number: u32,
    filter: EventFilter,
    lines: Lines,
    text: ObjectText,
    input: Input,
    /// Behind the lines whose events were found.
    at: usize,
    /// How much of the text was dropped.
    dropped: u64,
    head: Vec<u8>,
    /// The events that were found together, with the places of their lines, and whether each is a row.
    found: Vec<(usize, Event)>,
    counts_as_row: Vec<bool>,
    /// The first of them that is no row yet.
    next: usize,
    /// The number of events in the lines before.
    place: u32,
    candidates: Vec<Candidate>,
    claimed: Vec<bool>,
    origin: OriginOfLines,
    unescaped: String,
    report: ObjectReport,
    counts: Counts,
    tally: Option<ObjectTally>,
    /// The memory of a line that is long.
    reserved: MemoryReservation,
    duplicates: Deduplication,
}

/// Where the events come from: as their lines say it, or else as the job and the key do.
struct OriginOfLines {
    log_group: Option<Arc<str>>,
    account: Option<String>,
    /// The log group, the log stream and the account of the last event, as its line has them; `None` where a batch has none yet.
    last: Option<[Vec<u8>; 3]>,
}

impl DeliveredReader {
    /// A reader of the object at `number` of the table's list, which has `bytes`.
    pub(in crate::scan) fn new(
        (name, number): (ObjectName, u32),
        filter: EventFilter,
        (bytes, content): (u64, Content),
        (shape, log_group): (&RecordShape, Option<Arc<str>>),
        claim: &Arc<Claim>,
        counts: Counts,
        duplicates: Deduplication,
    ) -> Self {
        let (text, input) = opened(&name, content, claim);
        let account = delivered::account(name.key.as_ref()).map(str::to_owned);
        Self {
            tally: counts.tally_of(&name.key, filter.window),
            lines: Lines::new(shape),
            head: head_of(text.bytes()).to_vec(),
            origin: OriginOfLines {
                log_group,
                account,
                last: None,
            },
            name,
            number,
            filter,
            text,
            input,
            at: 0,
            dropped: 0,
            found: Vec::with_capacity(PIECE_EVENTS),
            counts_as_row: Vec::new(),
            next: 0,
            place: 0,
            candidates: Vec::new(),
            claimed: Vec::new(),
            unescaped: String::new(),
            report: ObjectReport {
                bytes,
                ..ObjectReport::default()
            },
            counts,
            reserved: duplicates.ids.memory_of("a line"),
            duplicates,
        }
    }

    /// Adds events to a batch, until it is full or the object ends.
    pub(in crate::scan) async fn fill(&mut self, batch: &mut BatchBuilder) -> Result<FillOutcome> {
        // Events of other objects may be in the batch since.
        self.origin.last = None;
        loop {
            if self.push(batch) {
                return Ok(FillOutcome::Batch);
            }
            if self.find()? {
                continue;
            }
            if matches!(self.input, Input::Done) {
                self.counts.add(self.number as usize, self.report);
                if let Some(tally) = &self.tally {
                    self.counts.add_tally(self.number as usize, tally);
                }
                return Ok(FillOutcome::ObjectEnd);
            }
            self.read_block().await?;
        }
    }

    /// Finds the events of the next lines, and which of them are rows. False where the text has no whole line more.
    fn find(&mut self) -> Result<bool> {
        self.found.clear();
        self.next = 0;
        let is_last = matches!(self.input, Input::Done);
        let bytes = self.text.bytes();
        while self.found.len() < PIECE_EVENTS && self.at < bytes.len() {
            let rest = &bytes[self.at..];
            let (line, taken) = match memchr::memchr(b'\n', rest) {
                Some(end) => (&rest[..end], end + 1),
                None if is_last => (rest, rest.len()),
                None => break,
            };
            // Of a text that is all there, too.
            if line.len() > LONGEST_RECORD {
                return Err(too_long(&self.name, self.dropped + self.at as u64));
            }
            if line.len() > LONG_LINE && self.reserved.size() < BYTES_OF_LINE * line.len() {
                self.reserved.try_resize(BYTES_OF_LINE * line.len())?;
            }
            let event = self.lines.event(without_line_ends(line));
            match event {
                Ok(Some(event)) => self.found.push((self.at, event)),
                Ok(None) => {}
                Err(wrong) => {
                    let is_first = self.place == 0 && self.found.is_empty();
                    let looks_like = is_first.then(|| foreign::no_log(&self.head)).flatten();
                    let at = self.dropped + self.at as u64;
                    return Err(wrong_line(&self.name, at, &wrong, looks_like));
                }
            }
            self.at += taken;
        }
        self.claim()?;
        Ok(!self.found.is_empty())
    }

    /// Finds out which of the events are rows of the table: those of its times, of each the copy that counts where it has an id.
    fn claim(&mut self) -> Result<()> {
        self.counts_as_row.clear();
        self.candidates.clear();
        let bytes = self.text.bytes();
        for ((start, event), place) in self.found.iter().zip(self.place..) {
            let is_in_window = self.filter.window.contains(event.timestamp_ms);
            self.counts_as_row.push(is_in_window);
            let id = event.origin.as_ref().and_then(|origin| origin.id.as_ref());
            if let (true, Some(id)) = (is_in_window, id.filter(|id| !id.at.is_empty())) {
                self.candidates.push(Candidate {
                    id: EventId::of(&bytes[behind(*start, &id.at)]),
                    timestamp_ms: event.timestamp_ms,
                    place,
                });
            }
        }
        if !self.candidates.is_empty() {
            let Deduplication { ids, disk } = &self.duplicates;
            ids.claim(disk, self.number, &self.candidates, &mut self.claimed)?;
            for (candidate, is_own) in self.candidates.iter().zip(&self.claimed) {
                self.counts_as_row[(candidate.place - self.place) as usize] = *is_own;
            }
        }
        self.place += self.found.len() as u32;
        Ok(())
    }

    /// Adds the events that were found. True where the batch is full.
    fn push(&mut self, batch: &mut BatchBuilder) -> bool {
        while let Some((start, event)) = self.found.get(self.next) {
            let counts = self.counts_as_row[self.next];
            self.next += 1;
            let timestamp_ms = event.timestamp_ms;
            if !counts {
                let is_copy = self.filter.window.contains(timestamp_ms);
                self.report.duplicate_events += u32::from(is_copy);
                continue;
            }
            let tally = self.tally.as_mut();
            self.origin
                .begin((self.text.bytes(), *start), event, batch, tally);
            if let Some(tally) = &mut self.tally {
                tally.add(timestamp_ms);
            }
            let message = match self.filter.messages {
                true => self.text.message(behind(*start, &event.message.at)),
                false => Message::Text(""),
            };
            let is_broken = matches!(message, Message::Broken(_));
            self.report.events += 1;
            self.report.invalid_utf8_events += u32::from(is_broken);
            if !self.filter.rows.contains(timestamp_ms) {
                continue;
            }
            let message = shown(message, &event.message, &mut self.unescaped);
            if batch.push(timestamp_ms, message) {
                return true;
            }
        }
        false
    }

    /// Drops the text that is no longer needed and appends the next block.
    async fn read_block(&mut self) -> Result<()> {
        let Input::Stream { blocks, .. } = &mut self.input else {
            return Ok(());
        };
        if let Some(block) = blocks.recv().await.transpose()? {
            if self.head.len() < foreign::HEAD && self.dropped == 0 {
                let wanted = foreign::HEAD - self.head.len();
                self.head
                    .extend_from_slice(&block[..block.len().min(wanted)]);
            }
            let done = std::mem::take(&mut self.at);
            self.text.advance(done, &block);
            self.dropped += done as u64;
            let there = self.text.bytes().len();
            if there > LONGEST_RECORD {
                return Err(too_long(&self.name, self.dropped));
            }
            if there > LONG_LINE {
                self.reserved.try_resize(BYTES_OF_LINE * there)?;
            }
        } else if let Input::Stream { unpacking, .. } =
            std::mem::replace(&mut self.input, Input::Done)
        {
            // A task that panicked has not sent all text.
            unpacking
                .join_unwind()
                .await
                .map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))?;
        }
        Ok(())
    }
}

impl OriginOfLines {
    /// Begins the origin of an event in a batch, if it is another one than that of the event before.
    fn begin(
        &mut self,
        (text, start): (&[u8], usize),
        event: &Event,
        batch: &mut BatchBuilder,
        tally: Option<&mut ObjectTally>,
    ) {
        let none = EventOrigin::default();
        let origin = event.origin.as_deref().unwrap_or(&none);
        let raw = |part: &Option<JsonText>| match part {
            Some(part) => &text[behind(start, &part.at)],
            None => &[][..],
        };
        let parts = [&origin.log_group, &origin.log_stream, &origin.account];
        let is_same =
            |last: &[Vec<u8>; 3]| last.iter().zip(parts).all(|(last, part)| last == raw(part));
        if self.last.as_ref().is_some_and(is_same) {
            return;
        }
        let value = |part: &Option<JsonText>| {
            let part = part.as_ref()?;
            let at = behind(start, &part.at);
            let escaped = part.escaped;
            Some(decoded(&JsonText { at, escaped }, text).into_owned())
        };
        let log_group = value(&origin.log_group);
        let log_stream = value(&origin.log_stream).unwrap_or_default();
        let account = value(&origin.account);
        let log_group = log_group.as_deref().or(self.log_group.as_deref());
        batch.begin_origin(Origin {
            account: account.as_deref().or(self.account.as_deref()),
            log_group,
            log_stream: &log_stream,
        });
        if let Some(tally) = tally {
            tally.begin_stream([log_group.unwrap_or_default(), &log_stream]);
        }
        self.last = Some(parts.map(|part| raw(part).to_vec()));
    }
}

/// The place in the text of a place in a line.
fn behind(start: usize, at: &Range<usize>) -> Range<usize> {
    start + at.start..start + at.end
}

/// A message as rows have it: without escapes, and without the line ends at its end.
fn shown<'m>(message: Message<'m>, text: &JsonText, buffer: &'m mut String) -> Message<'m> {
    match message {
        Message::Text(message) | Message::Shown(message) if text.escaped => {
            Message::Text(unescaped(message, buffer))
        }
        Message::Broken(message) if text.escaped => {
            Message::Text(unescaped(&String::from_utf8_lossy(message), buffer))
        }
        Message::Text(message) | Message::Shown(message) => {
            Message::Text(message.trim_end_matches(['\n', '\r']))
        }
        Message::Broken(message) => Message::Broken(without_line_ends(message)),
    }
}

/// The error of a line that is longer than any event.
fn too_long(name: &ObjectName, at: u64) -> DataFusionError {
    Error::damaged(format!(
        "{name} has a line of more than {} MiB at byte {at} of its text: expected an event on each line, and none is as long",
        LONGEST_RECORD >> 20
    ))
    .into()
}

/// The error of a line without an event that can be read.
fn wrong_line(
    name: &ObjectName,
    at: u64,
    wrong: &str,
    looks_like: Option<String>,
) -> DataFusionError {
    let mut message = format!("{name}: the line at byte {at} of its text {wrong}");
    if let Some(looks_like) = looks_like {
        message += &format!(". The object looks like {looks_like}");
    }
    Error::damaged(message).into()
}

#[cfg(test)]
mod tests;
