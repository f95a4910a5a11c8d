//! Keeps an object's columns while it is read.

use std::io;
use std::sync::Arc;

use super::Columns;
use super::block::{Block, BlockWriter};
use super::key::ObjectKey;
use super::pack::{PackWriter, PatternsKept, Summary};
use crate::scan::budget::{Claim, Reservation};

/// Takes the events of an object in their order. One that is dropped before the object is complete leaves nothing.
pub(in crate::scan) struct ObjectKeeper {
    columns: Arc<Columns>,
    key: ObjectKey,
    /// `None` when the object was given up.
    writer: Option<PackWriter>,
    summary: Summary,
    blocks: Vec<Block>,
    bytes: u64,
    _memory: Reservation,
}

impl ObjectKeeper {
    /// A keeper for the object; `None` where it can't be kept.
    pub(super) fn begin(
        columns: &Arc<Columns>,
        key: ObjectKey,
        summary: Summary,
        claim: &Arc<Claim>,
    ) -> Option<Self> {
        let memory = claim.reserve(BlockWriter::MEMORY)?;
        let writer = columns.begin(key);
        let writer = writer.inspect_err(not_kept).ok().flatten()?;
        Some(Self {
            columns: Arc::clone(columns),
            key,
            writer: Some(writer),
            summary,
            blocks: Vec::new(),
            bytes: 0,
            _memory: memory,
        })
    }

    /// Whether messages are kept.
    pub(in crate::scan) fn keeps_messages(&self) -> bool {
        self.summary.has_messages
    }

    /// Whether patterns are kept.
    pub(in crate::scan) fn keeps_patterns(&self) -> bool {
        self.summary.patterns != PatternsKept::No
    }

    /// Adds an event, whose message was UTF-8 unless it `is_broken`, with its pattern where patterns are kept. False where the
    /// object is given up, as there is no more room.
    #[inline]
    pub(in crate::scan) fn push(
        &mut self,
        timestamp_ms: i64,
        message: &str,
        pattern: Option<&[u8]>,
        is_broken: bool,
    ) -> bool {
        let Some(writer) = &mut self.writer else {
            return false;
        };
        let message = self.summary.has_messages.then_some(message);
        match writer
            .blocks()
            .push(timestamp_ms, message, pattern, is_broken)
        {
            false => true,
            true => self.write(),
        }
    }

    /// Writes the events that were collected.
    #[cold]
    fn write(&mut self) -> bool {
        let is_written = self.try_write().inspect_err(not_kept).unwrap_or(false);
        if !is_written {
            self.give_up();
        }
        is_written
    }

    fn try_write(&mut self) -> io::Result<bool> {
        let Some(writer) = &mut self.writer else {
            return Ok(false);
        };
        let blocks = writer.encode(self.bytes)?;
        let bytes = blocks.iter().map(Block::bytes).sum();
        if !self.columns.reserve(writer, self.bytes, bytes)? {
            return Ok(false);
        }
        writer.write(&blocks)?;
        self.bytes += bytes;
        self.blocks.extend(blocks);
        Ok(true)
    }

    /// Keeps the object, all of whose events were added.
    pub(in crate::scan) fn complete(mut self, stray_lines: u32, backdated_events: u32) {
        if self.write()
            && let Some(mut writer) = self.writer.take()
        {
            let patterns = match (
                self.summary.patterns,
                writer.blocks().has_too_many_patterns(),
            ) {
                (PatternsKept::Of(grammar), true) => PatternsKept::TooMany(grammar),
                (patterns, _) => patterns,
            };
            let summary = Summary {
                stray_lines,
                backdated_events,
                patterns,
                ..self.summary
            };
            let entry = writer.add(self.key, summary, std::mem::take(&mut self.blocks));
            self.columns.end(self.key, writer, Ok(entry));
        }
    }

    fn give_up(&mut self) {
        if let Some(writer) = self.writer.take() {
            self.columns.end(self.key, writer, Err(self.bytes));
        }
    }
}

impl Drop for ObjectKeeper {
    fn drop(&mut self) {
        self.give_up();
    }
}

fn not_kept(error: &io::Error) {
    tracing::debug!("the columns of an object are not kept: {error}");
}
