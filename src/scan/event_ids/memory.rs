//! The memory of a table's ids, reserved from the engine's pool.

use std::sync::Arc;

use datafusion::error::Result;
use datafusion::execution::memory_pool::{
    MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};

/// The ids take at most this fraction of the engine's memory.
const PART_OF_MEMORY: usize = 8;

/// What is reserved, and how much may be.
pub(super) struct Memory {
    most: usize,
    reservation: MemoryReservation,
}

impl Memory {
    pub(super) fn of(pool: &Arc<dyn MemoryPool>) -> Self {
        let most = match pool.memory_limit() {
            MemoryLimit::Finite(limit) => limit / PART_OF_MEMORY,
            MemoryLimit::Infinite | MemoryLimit::Unknown => usize::MAX,
        };
        Self {
            most,
            // Not as one that spills: those share what sorts and groups may have.
            reservation: MemoryConsumer::new("event ids").register(pool),
        }
    }

    /// Reserves `bytes`; false where that is too much.
    pub(super) fn reserve(&mut self, bytes: usize) -> bool {
        self.reservation.size() + bytes <= self.most && self.reservation.try_grow(bytes).is_ok()
    }

    /// Whether so many bytes of one kind leave room for the other.
    pub(super) fn may_have(&self, bytes: usize) -> bool {
        bytes <= self.most / 2
    }

    /// Reserves what is needed whatever it takes.
    pub(super) fn take(&mut self, bytes: usize) {
        self.reservation.grow(bytes);
    }

    /// Reserves `bytes` beyond what the ids may take; the engine's error where it has no more.
    pub(super) fn try_take(&mut self, bytes: usize) -> Result<()> {
        self.reservation.try_grow(bytes)
    }

    pub(super) fn free(&mut self, bytes: usize) {
        self.reservation.shrink(bytes);
    }
}
