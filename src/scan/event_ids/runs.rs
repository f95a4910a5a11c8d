//! Runs of events: the ids of a record ascend, and no other record of its log stream has ids between its first and its last. So none
//! of them came twice, which shows at the two ids, and no event is looked up. Their ids are only noted, one behind the other,
//! for a record that comes between.

use std::collections::{BTreeMap, HashMap};

use datafusion::error::Result;
use datafusion::execution::DiskManager;

use super::Candidate;
use super::file::{ENTRY, SpillFile};
use super::id::{EventId, Stream};
use crate::scan::budget::in_large_pages;

/// The bytes of a run beside its ids: an entry of a tree, whose nodes are filled to two thirds.
const RUN: usize = 3 * size_of::<((u32, EventId), Span)>() / 2;

/// The bytes of a stream: an entry of a map, which is filled to half.
const STREAM: usize = 2 * size_of::<(Stream, u32)>();

/// The ids that are noted in one block of memory, at first and later: in 4 MiB, which has a large page.
const FIRST_BLOCK: usize = 1 << 10;
const BLOCK: usize = 1 << 17;

/// Ids of one log stream in their order, in one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    first: EventId,
    last: EventId,
    /// The place of its object in the table's list, and that of its first event in the object.
    pub(super) object: u32,
    place: u32,
    events: u32,
}

impl Run {
    /// The run that the events of an object are; `None` where they are none.
    pub(super) fn of(object: u32, events: &[Candidate]) -> Option<Self> {
        let (first, last) = (events.first()?, events.last()?);
        let ascend = events.windows(2).all(|two| two[0].id < two[1].id);
        let are_neighbours = last.place.checked_sub(first.place)? as usize + 1 == events.len();
        (ascend && are_neighbours).then_some(Self {
            first: first.id,
            last: last.id,
            object,
            place: first.place,
            events: u32::try_from(events.len()).ok()?,
        })
    }

    /// The first and the last id.
    pub(super) fn ends(&self) -> (EventId, EventId) {
        (self.first, self.last)
    }
}

/// What is known of the ids from a first one on.
#[derive(Debug, Clone, Copy)]
struct Span {
    last: EventId,
    /// The run that they are, and where its ids are noted; `None` where each id was looked up.
    run: Option<(Run, Noted)>,
}

/// Where the ids of a run are noted.
#[derive(Debug, Clone, Copy)]
struct Noted {
    block: u32,
    at: u32,
}

/// The runs of a table's events.
#[derive(Default)]
pub(super) struct Runs {
    streams: HashMap<Stream, u32>,
    /// Spans by stream and first id. Those of a stream have no id in common.
    spans: BTreeMap<(u32, EventId), Span>,
    blocks: Vec<Block>,
    file: Option<SpillFile>,
    /// The bytes of all that is in memory.
    bytes: usize,
}

/// Ids that are noted, each with its time.
enum Block {
    InMemory(Vec<(EventId, i64)>),
    /// At a place in the file.
    Stored(u64),
}

/// What the spans of a stream say of the ids of a record.
pub(super) enum Known {
    /// They are a run, and none of them came before.
    New(Run),
    /// They are those of the same run, in another scan.
    Same,
    /// Each must be looked up, beside those of the spans that begin at these ids.
    Overlaps(Vec<EventId>),
}

impl Runs {
    /// Compares the ids of a record, which are those from `first` to `last`, with those of its stream.
    pub(super) fn known(
        &self,
        stream: &Stream,
        (first, last): (EventId, EventId),
        run: Option<Run>,
    ) -> Known {
        let number = self.streams.get(stream);
        let spans = number.into_iter().flat_map(|number| {
            let before = self.spans.range(..=(*number, last)).rev();
            before.take_while(move |((of, _), span)| of == number && span.last >= first)
        });
        let overlaps: Vec<_> = spans.collect();
        match (&overlaps[..], run) {
            ([], Some(run)) => Known::New(run),
            ([(_, span)], Some(run)) if span.run.is_some_and(|(known, _)| known == run) => {
                Known::Same
            }
            _ => Known::Overlaps(overlaps.iter().map(|((_, first), _)| *first).collect()),
        }
    }

    /// The most bytes that a span takes beside the ids that are noted.
    pub(super) const SPAN: usize = RUN + STREAM;

    /// The most bytes that a run takes.
    pub(super) fn bytes_for(&self, run: &Run) -> usize {
        Self::SPAN + self.bytes_of_block(run.events as usize)
    }

    /// The bytes of the block that so many ids need beside those that are there.
    fn bytes_of_block(&self, ids: usize) -> usize {
        match self.blocks.last() {
            Some(Block::InMemory(block)) if block.capacity() - block.len() >= ids => 0,
            None => ids.max(FIRST_BLOCK) * ENTRY,
            _ => ids.max(BLOCK) * ENTRY,
        }
    }

    /// Adds a run.
    pub(super) fn add(&mut self, stream: &Stream, run: Run, events: &[Candidate]) {
        let in_block = self.bytes_of_block(events.len());
        if in_block > 0 {
            let block = Vec::with_capacity(in_block / ENTRY);
            in_large_pages(&block);
            self.blocks.push(Block::InMemory(block));
            self.bytes += in_block;
        }
        let mut noted = Noted {
            block: self.blocks.len() as u32 - 1,
            at: 0,
        };
        if let Some(Block::InMemory(block)) = self.blocks.last_mut() {
            noted.at = block.len() as u32;
            block.extend(events.iter().map(|event| (event.id, event.timestamp_ms)));
        }
        let span = Span {
            last: run.last,
            run: Some((run, noted)),
        };
        self.insert(stream, run.first, span);
    }

    /// Adds a span of ids that are looked up, in place of those that begin at these ids.
    pub(super) fn look_up(
        &mut self,
        stream: &Stream,
        (mut first, mut last): (EventId, EventId),
        replaced: &[EventId],
    ) {
        if let Some(number) = self.streams.get(stream) {
            for known in replaced {
                if let Some(span) = self.spans.remove(&(*number, *known)) {
                    first = first.min(*known);
                    last = last.max(span.last);
                    self.bytes -= RUN;
                }
            }
        }
        self.insert(stream, first, Span { last, run: None });
    }

    fn insert(&mut self, stream: &Stream, first: EventId, span: Span) {
        let next = self.streams.len() as u32;
        let number = *self.streams.entry(*stream).or_insert_with(|| {
            self.bytes += STREAM;
            next
        });
        self.spans.insert((number, first), span);
        self.bytes += RUN;
    }

    /// Whether a span of looked-up ids has all of these already.
    pub(super) fn are_looked_up(
        &self,
        stream: &Stream,
        (first, last): (EventId, EventId),
        overlaps: &[EventId],
    ) -> bool {
        let number = self.streams.get(stream);
        let span = |known: &EventId| self.spans.get(&(*number?, *known));
        match overlaps {
            [known] => span(known)
                .is_some_and(|span| span.run.is_none() && *known <= first && span.last >= last),
            _ => false,
        }
    }

    /// The events of the run of a stream that begins at an id, with the place of their object; `None` where they are looked up.
    pub(super) fn events(
        &mut self,
        stream: &Stream,
        first: EventId,
    ) -> Result<Option<(u32, Vec<Candidate>)>> {
        let number = self.streams.get(stream);
        let span = number.and_then(|number| self.spans.get(&(*number, first)));
        match span.and_then(|span| span.run) {
            Some((run, noted)) => self.events_of(run, noted).map(Some),
            None => Ok(None),
        }
    }

    fn events_of(&mut self, run: Run, noted: Noted) -> Result<(u32, Vec<Candidate>)> {
        let (at, count) = (noted.at as usize, run.events as usize);
        let read;
        let noted = match &self.blocks[noted.block as usize] {
            Block::InMemory(block) => &block[at..at + count],
            Block::Stored(place) => {
                let place = place + (at * ENTRY) as u64;
                let entries = match &mut self.file {
                    Some(file) => file.read(place, count)?,
                    None => Vec::new(),
                };
                let entries = entries.into_iter();
                read = entries
                    .map(|(id, time)| (id, time.cast_signed()))
                    .collect::<Vec<_>>();
                &read[..]
            }
        };
        let events = noted
            .iter()
            .zip(run.place..)
            .map(|((id, time), place)| Candidate {
                id: *id,
                timestamp_ms: *time,
                place,
            });
        Ok((run.object, events.collect()))
    }

    /// The streams, each with the first ids of its runs.
    pub(super) fn all(&self) -> Vec<(Stream, EventId)> {
        let mut streams = vec![Stream::default(); self.streams.len()];
        for (stream, number) in &self.streams {
            streams[*number as usize] = *stream;
        }
        let runs = self.spans.iter().filter(|(_, span)| span.run.is_some());
        runs.map(|((number, first), _)| (streams[*number as usize], *first))
            .collect()
    }

    /// Writes the oldest block of ids in memory to the file; its bytes. `None` where there is none.
    pub(super) fn spill(&mut self, disk: &DiskManager) -> Result<Option<usize>> {
        let mut blocks = self.blocks.iter_mut();
        let in_memory = blocks.find_map(|block| match block {
            Block::InMemory(ids) => Some((ids.capacity() * ENTRY, block)),
            Block::Stored(_) => None,
        });
        let Some((bytes, block)) = in_memory else {
            return Ok(None);
        };
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(SpillFile::new(disk)?),
        };
        if let Block::InMemory(ids) = block {
            let entries = ids.iter().map(|(id, time)| (*id, time.cast_unsigned()));
            *block = Block::Stored(file.write(entries)?);
        }
        self.bytes -= bytes;
        Ok(Some(bytes))
    }

    /// All bytes in memory.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether some ids were written to the file.
    #[cfg(test)]
    pub(super) fn have_file(&self) -> bool {
        self.file.is_some()
    }
}
