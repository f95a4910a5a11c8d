//! The memory pool of queries. The engine's own fair pool lets operators that spill take all of it, so that what reads their
//! rows, such as a merge of sorted partitions, gets nothing and the query fails: with more memory more of it is kept, and
//! the query fails where less memory succeeds. Here a part is left to what can't spill.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::{fmt, iter};

use datafusion::common::human_readable_size;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{
    MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};

/// What a sort merges its runs with. It takes what it gets, and with less it merges fewer runs at a time. Each of several
/// gets its share, as one that gets nothing fails.
const MERGES: &str = "ExternalSorterMerge";

/// What writes an answer's file reserves under this name. It can't wait for memory, as its rows are there already.
pub const ROW_GROUPS: &str = "ParquetRowGroups";

/// Memory for operators that spill, for merges, for what writes an answer's file, and for all others.
#[derive(Debug)]
pub struct SharedPool {
    size: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The number of operators that can spill.
    spilling: usize,
    /// Bytes of operators that can spill.
    spillable: usize,
    /// Bytes of all others.
    fixed: usize,
    /// The number of merges.
    merges: usize,
    /// Bytes of merges, which are among the fixed ones.
    merging: usize,
    /// The number of answers that are written to files.
    writers: usize,
    /// Bytes of their row groups, which are among the fixed ones.
    row_groups: usize,
}

impl SharedPool {
    /// A pool of this many bytes.
    pub fn new(size: usize) -> Self {
        Self {
            size,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The most bytes that a reservation may have now.
    fn most(&self, state: &State, reservation: &MemoryReservation) -> usize {
        let consumer = reservation.consumer();
        if consumer.can_spill() {
            // What is left to the others, or more where they have more.
            let others = state.fixed.max(self.size / 2);
            return self.size.saturating_sub(others) / state.spilling.max(1);
        }
        if !is_merge(consumer) {
            let reserved = state.fixed + state.spillable;
            return self.size.saturating_sub(reserved) + reservation.size();
        }
        // While operators spill, their rows are not merged for the last time, and the answer has none yet.
        let is_last = state.spillable < self.size / 16;
        let row_groups = match state.writers {
            1.. if is_last => self.size / 4,
            _ => 0,
        };
        // Rows of several merges are merged once more.
        let kept = self.size / if is_last && state.merges > 1 { 4 } else { 8 };
        // A merge that has begun does not fail when row groups take what it left to them.
        let of_others =
            kept + row_groups + state.fixed + state.spillable - state.row_groups.min(row_groups);
        let share = self.size.saturating_sub(of_others - state.merging) / state.merges.max(1);
        share.min(self.size.saturating_sub(of_others) + reservation.size())
    }
}

impl MemoryPool for SharedPool {
    fn name(&self) -> &str {
        "shared"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        let mut state = self.state();
        state.spilling += usize::from(consumer.can_spill());
        state.merges += usize::from(is_merge(consumer));
        state.writers += usize::from(is_writer(consumer));
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        let mut state = self.state();
        state.spilling -= usize::from(consumer.can_spill());
        state.merges -= usize::from(is_merge(consumer));
        state.writers -= usize::from(is_writer(consumer));
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.state().grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, bytes: usize) {
        for part in self.state().parts_of(reservation.consumer()) {
            *part -= bytes;
        }
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let mut state = self.state();
        let most = self.most(&state, reservation);
        if reservation.size().saturating_add(additional) > most {
            tracing::trace!(
                consumer = reservation.consumer().name(),
                size = reservation.size(),
                additional,
                most,
                ?state,
                "no memory"
            );
            return Err(DataFusionError::ResourcesExhausted(format!(
                "{} needs {} and can have {} of {}",
                reservation.consumer().name(),
                human_readable_size(reservation.size().saturating_add(additional)),
                human_readable_size(most),
                human_readable_size(self.size),
            )));
        }
        state.grow(reservation, additional);
        Ok(())
    }

    fn reserved(&self) -> usize {
        let state = self.state();
        state.spillable + state.fixed
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.size)
    }
}

impl State {
    fn grow(&mut self, reservation: &MemoryReservation, additional: usize) {
        for part in self.parts_of(reservation.consumer()) {
            *part += additional;
        }
    }

    /// What counts the bytes of a consumer.
    fn parts_of(&mut self, consumer: &MemoryConsumer) -> impl Iterator<Item = &mut usize> {
        let kind = match consumer.can_spill() {
            true => &mut self.spillable,
            false => &mut self.fixed,
        };
        let part = match consumer {
            merge if is_merge(merge) => Some(&mut self.merging),
            writer if is_writer(writer) => Some(&mut self.row_groups),
            _ => None,
        };
        iter::once(kind).chain(part)
    }
}

fn is_merge(consumer: &MemoryConsumer) -> bool {
    consumer.name().starts_with(MERGES)
}

fn is_writer(consumer: &MemoryConsumer) -> bool {
    consumer.name() == ROW_GROUPS
}

impl fmt::Display for SharedPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shared({})", human_readable_size(self.size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn what_spills_leaves_memory_to_what_does_not() {
        let pool: Arc<dyn MemoryPool> = Arc::new(SharedPool::new(1600));
        let register = |name: &str, spills| {
            let consumer = MemoryConsumer::new(name).with_can_spill(spills);
            consumer.register(&pool)
        };
        let (one, other) = (register("groups", true), register("sort", true));
        one.try_grow(400).unwrap();
        assert!(one.try_grow(1).is_err(), "half of the part for two");
        other.try_grow(400).unwrap();
        let merge = register("ExternalSorterMerge[0]", false);
        merge.try_grow(600).unwrap();
        assert!(merge.try_grow(1).is_err(), "an eighth is left to others");
        let join = register("HashJoinInput", false);
        join.try_grow(200).unwrap();
        let error = join.try_grow(1).unwrap_err().to_string();
        assert!(
            error.contains("HashJoinInput needs 201.0 B and can have 200.0 B"),
            "{error}"
        );
        assert_eq!(pool.reserved(), 1600);
        // Where the others have more than half, what spills gets less.
        other.free();
        join.try_grow(300).unwrap();
        assert!(other.try_grow(251).is_err());
        other.try_grow(100).unwrap();
        drop((one, merge, join));
        other.try_grow(700).unwrap();
        drop(other);
        assert_eq!(pool.reserved(), 0);
    }

    #[test]
    fn a_merge_leaves_memory_to_row_groups() {
        let pool: Arc<dyn MemoryPool> = Arc::new(SharedPool::new(1600));
        let register = |name: &str| MemoryConsumer::new(name).register(&pool);
        let (merge, file) = (register("ExternalSorterMerge[0]"), register(ROW_GROUPS));
        merge.try_grow(900).unwrap();
        file.grow(400);
        merge.try_grow(100).unwrap();
        assert!(
            merge.try_grow(1).is_err(),
            "a quarter and an eighth are left"
        );
        file.shrink(400);
        assert!(merge.try_grow(1).is_err());
        drop(file);
        merge.try_grow(400).unwrap();
    }

    #[test]
    fn each_merge_has_its_share() {
        let pool: Arc<dyn MemoryPool> = Arc::new(SharedPool::new(1600));
        let register = |name: &str| MemoryConsumer::new(name).register(&pool);
        let merges = [
            register("ExternalSorterMerge[0]"),
            register("ExternalSorterMerge[1]"),
        ];
        let join = register("HashJoinInput");
        join.try_grow(400).unwrap();
        for merge in &merges {
            merge.try_grow(400).unwrap();
            assert!(merge.try_grow(1).is_err());
        }
    }
}
