//! An object's kept columns on their way to batches, with the same counts as if the object was read.

use std::collections::{HashSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use super::block::{Block, Damaged, Events, Wanted};
use super::keeper::ObjectKeeper;
use super::{Kept, Needs};
use crate::pattern::PatternCoder;
use crate::scan::batch::BatchBuilder;
use crate::scan::object::{Counts, EventFilter, FillOutcome, ObjectName};
use crate::scan::report::ObjectReport;
use crate::scan::tally::ObjectTally;
use crate::window;

/// After this many blocks, other tasks have a turn: a timeout, or a signal to stop.
const BLOCKS_AT_ONCE: usize = 64;

/// Reads the kept columns of an object.
pub(in crate::scan) struct KeptReader {
    kept: Kept,
    number: usize,
    filter: EventFilter,
    /// The columns that the batches have.
    wanted: Wanted,
    report: ObjectReport,
    counts: Counts,
    tally: Option<ObjectTally>,
    /// What finds the patterns where they are wanted and not kept.
    coder: Option<PatternCoder>,
    /// Keeps the object anew, with its patterns.
    keeper: Option<ObjectKeeper>,
    /// The blocks that were begun.
    begun: usize,
    /// The events of these blocks but the last, which are done with.
    done: u64,
    events: Events,
    /// The rows of the present block that are not in a batch yet.
    rows: VecDeque<Range<usize>>,
    buffer: Vec<u8>,
}

impl KeptReader {
    /// A reader of the object at `number` of the table's list, which has `compressed_bytes`.
    pub(in crate::scan) fn new(
        kept: Kept,
        name: &ObjectName,
        number: usize,
        (filter, wanted): (EventFilter, Wanted),
        compressed_bytes: u64,
        counts: Counts,
    ) -> Self {
        let summary = &kept.entry.summary;
        let report = ObjectReport {
            bytes: compressed_bytes,
            lines_before_first_timestamp: summary.stray_lines,
            backdated_events: summary.backdated_events,
            ..ObjectReport::default()
        };
        let finds_patterns = wanted.patterns && !summary.has_patterns();
        Self {
            tally: counts.tally_of(&name.key, filter.window),
            coder: finds_patterns.then(PatternCoder::default),
            keeper: None,
            kept,
            number,
            filter,
            wanted,
            report,
            counts,
            begun: 0,
            done: 0,
            events: Events::default(),
            rows: VecDeque::new(),
            buffer: Vec::new(),
        }
    }

    /// The same reader, which keeps the object anew.
    pub(in crate::scan) fn keeping(mut self, keeper: Option<ObjectKeeper>) -> Self {
        self.keeper = keeper;
        self
    }

    /// What a scan needs of the kept columns.
    pub(in crate::scan) fn needs(filter: &EventFilter, wanted: Wanted) -> Needs {
        Needs {
            // Patterns that are not kept are found in them.
            messages: wanted.messages || wanted.patterns,
            checked: filter.messages,
        }
    }

    /// The events whose rows are in batches: as many from the object's first on.
    pub(in crate::scan) fn done(&self) -> u64 {
        self.done
    }

    /// Gives the columns up, which are damaged.
    pub(in crate::scan) fn forget(self) {
        self.kept.forget();
    }

    /// Adds events to a batch, until it is full or the object ends. An error leaves the batch without events of the block that is
    /// damaged.
    pub(in crate::scan) async fn fill(
        &mut self,
        batch: &mut BatchBuilder,
    ) -> Result<FillOutcome, Damaged> {
        loop {
            // Where few events are rows, a batch is filled from many blocks.
            if self.begun % BLOCKS_AT_ONCE == BLOCKS_AT_ONCE - 1 {
                tokio::task::yield_now().await;
            }
            while let Some(rows) = self.rows.front_mut() {
                let taken = batch.extend(&self.events, rows.clone());
                rows.start += taken;
                if rows.start == rows.end {
                    self.rows.pop_front();
                }
                if batch.is_full() {
                    return Ok(FillOutcome::Batch);
                }
            }
            if let Some(before) = self.begun.checked_sub(1) {
                let before = self.kept.entry.blocks().get(before);
                self.done += before.map_or(0, |block| u64::from(block.rows));
            }
            let entry = Arc::clone(&self.kept.entry);
            let Some(block) = entry.blocks().get(self.begun) else {
                self.count();
                if let Some(keeper) = self.keeper.take() {
                    let summary = &self.kept.entry.summary;
                    keeper.complete(summary.stray_lines, summary.backdated_events);
                }
                return Ok(FillOutcome::ObjectEnd);
            };
            self.begin(block)?;
            self.begun += 1;
        }
    }

    /// Counts the events of a block, and reads those that are rows.
    fn begin(&mut self, block: &Block) -> Result<(), Damaged> {
        let EventFilter {
            window,
            rows,
            messages,
            ..
        } = self.filter;
        let own = window::Range {
            start_ms: block.first_ms,
            end_ms: block.last_ms.saturating_add(1),
        };
        let in_window = Overlap::of(own, window);
        let in_rows = Overlap::of(own, rows);
        let keeps = self.keeper.is_some();
        if in_window == Overlap::None && !keeps {
            return Ok(());
        }
        let needs_times =
            in_window == Overlap::Part || in_rows == Overlap::Part || self.tally.is_some();
        let makes_rows = in_rows != Overlap::None;
        let finds_patterns = self.coder.is_some() && (makes_rows || keeps);
        let wanted = Wanted {
            times: needs_times || keeps || (makes_rows && self.wanted.times),
            messages: finds_patterns || (makes_rows && self.wanted.messages),
            patterns: makes_rows && self.wanted.patterns && self.coder.is_none(),
        };
        let entry = Arc::clone(&self.kept.entry);
        entry.read(block, wanted, &mut self.buffer, &mut self.events)?;
        if let Some(coder) = self.coder.as_mut().filter(|_| finds_patterns) {
            let events = &mut self.events;
            let mut patterns = std::mem::take(&mut events.patterns);
            for row in 0..events.ends.len() {
                coder.push(events.message(row), &mut patterns);
            }
            events.patterns = patterns;
        }
        self.keep(block)?;
        if in_window == Overlap::None {
            return Ok(());
        }
        let times = &self.events.times;
        let counted = |time: &&i64| in_window == Overlap::All || window.contains(**time);
        self.report.events += match in_window {
            Overlap::All => u64::from(block.rows),
            _ => times.iter().filter(counted).count() as u64,
        };
        if messages && block.broken > 0 {
            self.report.invalid_utf8_events += match in_window {
                Overlap::All => block.broken,
                _ => {
                    let broken = entry.read_broken(block)?.into_iter();
                    let times = broken.filter_map(|row| times.get(row as usize));
                    times.filter(counted).count() as u32
                }
            };
        }
        if let Some(tally) = &mut self.tally {
            times
                .iter()
                .filter(counted)
                .for_each(|time| tally.add(*time));
        }
        match in_rows {
            Overlap::None => {}
            Overlap::All => self.rows.push_back(0..block.rows as usize),
            Overlap::Part => self.rows.extend(runs(times, rows)),
        }
        Ok(())
    }

    /// Keeps the events of a block anew.
    fn keep(&mut self, block: &Block) -> Result<(), Damaged> {
        let Some(keeper) = &mut self.keeper else {
            return Ok(());
        };
        let broken: HashSet<u32> = match block.broken {
            0 => HashSet::new(),
            _ => self.kept.entry.read_broken(block)?.into_iter().collect(),
        };
        let Events {
            times, patterns, ..
        } = &self.events;
        let rows = (0..).zip(times).zip(&patterns.codes);
        for ((row, time), code) in rows {
            let message = self.events.message(row as usize);
            let pattern = Some(patterns.text(*code));
            if !keeper.push(*time, message, pattern, broken.contains(&row)) {
                self.keeper = None;
                break;
            }
        }
        Ok(())
    }

    fn count(&self) {
        self.counts.add(self.number, self.report);
        if let Some(tally) = &self.tally {
            self.counts.add_tally(self.number, tally);
        }
        let blocks = self.kept.entry.blocks().iter();
        self.counts.add_edges(
            self.number,
            blocks.map(|block| (block.first_ms, block.last_ms)),
        );
    }
}

/// How much of one range lies in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Overlap {
    None,
    Part,
    All,
}

impl Overlap {
    fn of(range: window::Range, other: window::Range) -> Self {
        let common = range.intersect(other);
        match common {
            _ if common.is_empty() => Self::None,
            _ if common == range => Self::All,
            _ => Self::Part,
        }
    }
}

/// The rows whose times are in a range, as runs of neighbours.
fn runs(times: &[i64], range: window::Range) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (row, _) in (0..).zip(times).filter(|(_, time)| range.contains(**time)) {
        match runs.last_mut() {
            Some(run) if run.end == row => run.end += 1,
            _ => runs.push(row..row + 1),
        }
    }
    runs
}
