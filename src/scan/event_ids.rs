//! The ids of events that a table has rows of, so that an event that was delivered twice is one row.
//!
//! CloudWatch Logs and Firehose deliver at least once, so the same event may be in several objects. Which of its copies
//! counts is decided once for a table: the copy that is read first. Every later scan of the table finds the same. An event is the
//! same where its log stream and its id are.
//!
//! Looking up each id in memory that is in no cache takes longer than anything else that is done with an event. So `runs` compares
//! records by their first and last ids, and only those of records that overlap are looked up, in `slices`. Ids are kept
//! exactly, in `memory` that is bounded, and in a `file`(mod@file) beyond it.

mod file;
mod id;
mod memory;
mod owners;
mod runs;
mod slices;

use std::sync::{Arc, Mutex, PoisonError};

use datafusion::error::Result;
use datafusion::execution::DiskManager;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};

pub use id::{EventId, Stream};
use memory::Memory;
use runs::{Known, Run, Runs};
use slices::Slices;

/// An event of an object that may be a row.
#[derive(Debug, Clone, Copy)]
pub struct Candidate {
    /// Its id.
    pub id: EventId,
    /// Its time, milliseconds since 1970-01-01T00:00Z.
    pub timestamp_ms: i64,
    /// Which of the events of its object it is.
    pub place: u32,
}

/// The ids of a table's events, each with the copy of the event that counts.
pub struct EventIds {
    pool: Arc<dyn MemoryPool>,
    state: Mutex<State>,
}

impl std::fmt::Debug for EventIds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EventIds")
    }
}

struct State {
    memory: Memory,
    /// `None` where memory is too short to know the runs: then all ids are looked up.
    runs: Option<Runs>,
    slices: Slices,
}

impl EventIds {
    /// No ids, in memory of `pool`.
    pub fn new(pool: &Arc<dyn MemoryPool>) -> Self {
        Self {
            pool: Arc::clone(pool),
            state: Mutex::new(State {
                memory: Memory::of(pool),
                runs: Some(Runs::default()),
                slices: Slices::default(),
            }),
        }
    }

    /// No memory yet of the pool that has the ids, for something else.
    pub fn memory_of(&self, name: &str) -> MemoryReservation {
        MemoryConsumer::new(name).register(&self.pool)
    }

    /// Finds out which of an object's events of a log stream are rows: for each, in turn, whether it is the copy that counts.
    /// `object` is the object's place in the table's list.
    ///
    /// # Errors
    /// `Output`: the temporary file; the engine's error where one slice does not fit the memory.
    pub fn claim(
        &self,
        disk: &DiskManager,
        (object, stream): (u32, &Stream),
        events: &[Candidate],
        counts: &mut Vec<bool>,
    ) -> Result<()> {
        counts.clear();
        let run = Run::of(object, events);
        let ids = || events.iter().map(|event| event.id);
        let ends = match &run {
            Some(run) => Some(run.ends()),
            None => ids().min().zip(ids().max()),
        };
        let Some(ends) = ends else {
            return Ok(());
        };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match state.is_run(disk, stream, ends, run, events)? {
            true => counts.resize(events.len(), true),
            false => state.claim(disk, (object, stream), events, counts)?,
        }
        Ok(())
    }
}

impl State {
    /// Whether the events are a run of which none came before, or not in another place. Else, they are to be looked up, beside those
    /// whose runs overlap.
    fn is_run(
        &mut self,
        disk: &DiskManager,
        stream: &Stream,
        ends: (EventId, EventId),
        run: Option<Run>,
        events: &[Candidate],
    ) -> Result<bool> {
        let Some(runs) = &self.runs else {
            return Ok(false);
        };
        match runs.known(stream, ends, run) {
            Known::Same => Ok(true),
            Known::New(run) => {
                let bytes = |runs: &Runs| runs.bytes_for(&run);
                self.change_runs(disk, bytes, |runs| runs.add(stream, run, events))
            }
            Known::Overlaps(overlaps) => {
                if !runs.are_looked_up(stream, ends, &overlaps) {
                    for first in &overlaps {
                        self.look_up_run(disk, stream, *first)?;
                    }
                    let change = |runs: &mut Runs| runs.look_up(stream, ends, &overlaps);
                    self.change_runs(disk, |_| Runs::SPAN, change)?;
                }
                Ok(false)
            }
        }
    }

    /// Changes the runs, which takes at most `bytes`. False where there is no memory for them: then none is known, and all
    /// ids are looked up.
    fn change_runs(
        &mut self,
        disk: &DiskManager,
        bytes: impl Fn(&Runs) -> usize,
        change: impl FnOnce(&mut Runs),
    ) -> Result<bool> {
        while let Some(runs) = &mut self.runs {
            let bytes = bytes(runs);
            let leaves_room = self.memory.may_have(runs.bytes() + bytes);
            if leaves_room && self.memory.reserve(bytes) {
                let before = runs.bytes();
                change(runs);
                self.memory.free(bytes + before - runs.bytes());
                return Ok(true);
            }
            let spilled = match runs.spill(disk)? {
                None if leaves_room => self.slices.spill(disk)?,
                spilled => spilled,
            };
            match spilled {
                Some(freed) => self.memory.free(freed),
                None => self.look_up_all(disk)?,
            }
        }
        Ok(false)
    }

    /// Looks up the events of each run, and forgets the runs.
    fn look_up_all(&mut self, disk: &DiskManager) -> Result<()> {
        let all = self.runs.as_ref().map(Runs::all).unwrap_or_default();
        for (stream, first) in all {
            self.look_up_run(disk, &stream, first)?;
        }
        if let Some(runs) = self.runs.take() {
            self.memory.free(runs.bytes());
        }
        Ok(())
    }

    /// Looks up the events of a run: they were read first.
    fn look_up_run(&mut self, disk: &DiskManager, stream: &Stream, first: EventId) -> Result<()> {
        let run = match &mut self.runs {
            Some(runs) => runs.events(stream, first)?,
            None => None,
        };
        match run {
            Some((object, events)) => self.claim(disk, (object, stream), &events, &mut Vec::new()),
            None => Ok(()),
        }
    }

    fn claim(
        &mut self,
        disk: &DiskManager,
        (object, stream): (u32, &Stream),
        events: &[Candidate],
        counts: &mut Vec<bool>,
    ) -> Result<()> {
        let memory = (&mut self.memory, disk);
        self.slices.claim(memory, (object, stream), events, counts)
    }
}

#[cfg(test)]
mod tests;
