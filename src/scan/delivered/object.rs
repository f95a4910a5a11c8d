//! One delivered object of lines: bytes → text → lines → events → batches.

use std::ops::Range;
use std::sync::Arc;

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryReservation;

use super::line::{Event, EventOrigin, LineOrigin, Lines};
use crate::error::Error;
use crate::job::RecordShape;
use crate::layout::delivered;
use crate::scan::batch::{BatchBuilder, Message, Origin, without_line_ends};
use crate::scan::budget::Claim;
use crate::scan::event_ids::{Candidate, EventId, Stream};
use crate::scan::fetch::Content;
use crate::scan::foreign;
use crate::scan::input::{Input, opened};
use crate::scan::object::{BLOCK, Counts, EventFilter, FillOutcome, ObjectName, head_of};
use crate::scan::record_object::{Deduplication, decoded, push_escaped, push_plain};
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
    /// The events that were found together, and whether each is a row.
    found: Vec<FoundEvent>,
    counts_as_row: Vec<bool>,
    /// The first of them that is no row yet.
    next: usize,
    /// The number of events in the lines before.
    place: u32,
    /// Events of one log stream whose ids are compared with those of others, and that stream.
    candidates: Vec<Candidate>,
    claimed: Vec<bool>,
    claiming: (SaidOrigin, Stream),
    origin: OriginOfLines,
    report: ObjectReport,
    counts: Counts,
    tally: Option<ObjectTally>,
    /// The memory of a line that is long.
    reserved: MemoryReservation,
    duplicates: Deduplication,
}

/// An event of a line.
struct FoundEvent {
    /// The place of the line.
    start: usize,
    event: Event,
    /// Read while the line is in the processor's cache.
    id: Option<EventId>,
}

/// Where the events come from: as their lines say it, or else as the job and the key do.
struct OriginOfLines {
    log_group: Option<Arc<str>>,
    account: Option<String>,
    /// What the lines say.
    said: SaidOrigin,
    /// Whether the batch that is being made has it for the events that follow.
    has_begun: bool,
}

/// The origin that lines say, which those behind them mostly have too.
#[derive(Default, PartialEq, Eq)]
struct SaidOrigin {
    account: Option<String>,
    log_group: Option<String>,
    log_stream: Option<String>,
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
                said: SaidOrigin::default(),
                has_begun: false,
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
            claiming: Default::default(),
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
        self.origin.has_begun = false;
        loop {
            if self.push(batch) {
                return Ok(FillOutcome::Batch);
            }
            if self.find()? {
                continue;
            }
            if self.input.is_done() {
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
        let is_last = self.input.is_done();
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
                Ok(Some(event)) => {
                    let id = event.id.as_ref().filter(|id| !id.at.is_empty());
                    let id = id.map(|id| EventId::of(&line[id.at.clone()]));
                    let start = self.at;
                    self.found.push(FoundEvent { start, event, id });
                }
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
        let found = std::mem::take(&mut self.found);
        for (FoundEvent { start, event, id }, place) in found.iter().zip(self.place..) {
            let timestamp_ms = event.timestamp_ms;
            let is_in_window = self.filter.window.contains(timestamp_ms);
            self.counts_as_row.push(is_in_window);
            self.begin_stream(*start, &event.origin)?;
            if let (true, Some(id)) = (is_in_window, *id) {
                self.candidates.push(Candidate {
                    id,
                    timestamp_ms,
                    place,
                });
            }
        }
        self.claim_candidates()?;
        self.place += found.len() as u32;
        self.found = found;
        Ok(())
    }

    /// Begins the log stream of the events that follow. Those before are claimed where it is another one.
    #[inline]
    fn begin_stream(&mut self, start: usize, origin: &LineOrigin) -> Result<()> {
        if let LineOrigin::Said(origin) = origin {
            let said = SaidOrigin::of(self.text.bytes(), start, origin);
            if said != self.claiming.0 {
                self.claim_candidates()?;
                let stream = Stream::of(said.names());
                self.claiming = (said, stream);
            }
        }
        Ok(())
    }

    fn claim_candidates(&mut self) -> Result<()> {
        if self.candidates.is_empty() {
            return Ok(());
        }
        let Deduplication { ids, disk } = &self.duplicates;
        let stream = (self.number, &self.claiming.1);
        ids.claim(disk, stream, &self.candidates, &mut self.claimed)?;
        for (candidate, is_own) in self.candidates.iter().zip(&self.claimed) {
            self.counts_as_row[(candidate.place - self.place) as usize] = *is_own;
        }
        self.candidates.clear();
        Ok(())
    }

    /// Adds the events that were found. True where the batch is full.
    fn push(&mut self, batch: &mut BatchBuilder) -> bool {
        while let Some(FoundEvent { start, event, .. }) = self.found.get(self.next) {
            let counts = self.counts_as_row[self.next];
            self.next += 1;
            let timestamp_ms = event.timestamp_ms;
            // The next line may say the same as one whose event is no row.
            self.origin.read(self.text.bytes(), *start, &event.origin);
            if !counts {
                let is_copy = self.filter.window.contains(timestamp_ms);
                self.report.duplicate_events += u32::from(is_copy);
                continue;
            }
            self.origin.begin(batch, self.tally.as_mut());
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
            let push = match event.message.escaped && self.filter.messages {
                true => push_escaped,
                false => push_plain,
            };
            if push(batch, timestamp_ms, message) {
                return true;
            }
        }
        false
    }

    /// Drops the text that is no longer needed and appends the next block.
    async fn read_block(&mut self) -> Result<()> {
        let done = std::mem::take(&mut self.at);
        let kept = self.text.bytes().len() - done;
        self.dropped += done as u64;
        if !self.input.read(&self.name, &mut self.text, done).await? {
            return Ok(());
        }
        let there = self.text.bytes();
        if self.head.len() < foreign::HEAD && self.dropped == 0 {
            self.head = head_of(there).to_vec();
        }
        if kept > LONGEST_RECORD {
            return Err(too_long(&self.name, self.dropped));
        }
        if kept > 0 && there.len() > LONG_LINE {
            self.reserved.try_resize(BYTES_OF_LINE * there.len())?;
        }
        Ok(())
    }
}

impl OriginOfLines {
    /// Reads what a line that begins at `start` says.
    #[inline]
    fn read(&mut self, text: &[u8], start: usize, origin: &LineOrigin) {
        let said = match origin {
            LineOrigin::AsBefore => return,
            LineOrigin::Unsaid => SaidOrigin::default(),
            LineOrigin::Said(origin) => SaidOrigin::of(text, start, origin),
        };
        if said != self.said {
            self.said = said;
            self.has_begun = false;
        }
    }

    /// Begins the origin in a batch, if it is another one than that of the event before.
    #[inline]
    fn begin(&mut self, batch: &mut BatchBuilder, tally: Option<&mut ObjectTally>) {
        if self.has_begun {
            return;
        }
        self.has_begun = true;
        let said = &self.said;
        let log_group = said.log_group.as_deref().or(self.log_group.as_deref());
        let log_stream = said.log_stream.as_deref().unwrap_or_default();
        batch.begin_origin(Origin {
            account: said.account.as_deref().or(self.account.as_deref()),
            log_group,
            log_stream,
        });
        if let Some(tally) = tally {
            tally.begin_stream([log_group.unwrap_or_default(), log_stream]);
        }
    }
}

impl SaidOrigin {
    fn of(text: &[u8], start: usize, origin: &EventOrigin) -> Self {
        let value = |part: &Option<JsonText>| {
            let part = part.as_ref()?;
            let at = behind(start, &part.at);
            let escaped = part.escaped;
            Some(decoded(&JsonText { at, escaped }, text).into_owned())
        };
        Self {
            account: value(&origin.account),
            log_group: value(&origin.log_group),
            log_stream: value(&origin.log_stream),
        }
    }

    fn names(&self) -> [Option<&str>; 3] {
        [&self.account, &self.log_group, &self.log_stream].map(Option::as_deref)
    }
}

/// The place in the text of a place in a line.
fn behind(start: usize, at: &Range<usize>) -> Range<usize> {
    start + at.start..start + at.end
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
