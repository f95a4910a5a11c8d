//! The memory of objects that are held whole, compressed and as text: one budget for all partitions.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use datafusion::execution::memory_pool::{
    MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};

/// The most bytes of all objects that are held whole at one time, for any number of partitions.
const MOST: usize = 192 << 20;

/// The budget is at most this fraction of the engine's memory: sorts and groups need the rest.
const PART_OF_MEMORY: usize = 4;

/// An object needs a buffer for its compressed bytes and one for its text.
const BUFFERS_OF_AN_OBJECT: usize = 2;

/// A buffer more than this many times too large is left to a larger object.
const TOO_LARGE_BY: usize = 4;

/// The budget of a table's scans, reserved from the engine's memory pool. An object that does not fit is read as a
/// stream instead of waiting.
#[derive(Debug)]
pub struct Budget {
    most: usize,
    state: Mutex<BudgetState>,
}

#[derive(Debug)]
struct BudgetState {
    reservation: MemoryReservation,
    idle: Vec<Vec<u8>>,
    /// Objects that the running scans have still to open.
    pending: usize,
}

impl Budget {
    /// A budget out of `pool`.
    pub fn new(pool: &Arc<dyn MemoryPool>) -> Arc<Self> {
        let most = match pool.memory_limit() {
            MemoryLimit::Finite(limit) => MOST.min(limit / PART_OF_MEMORY),
            MemoryLimit::Infinite | MemoryLimit::Unknown => MOST,
        };
        Arc::new(Self {
            most,
            state: Mutex::new(BudgetState {
                reservation: MemoryConsumer::new("logs").register(pool),
                idle: Vec::new(),
                pending: 0,
            }),
        })
    }

    /// The claim of a scan that will open this many objects.
    pub fn claim(budget: &Arc<Self>, objects: usize) -> Arc<Claim> {
        budget.state().pending += objects;
        Arc::new(Claim {
            budget: Arc::clone(budget),
            pending: Mutex::new(objects),
        })
    }

    fn take(&self, bytes: usize) -> Option<Vec<u8>> {
        let mut state = self.state();
        let fitting = bytes..=bytes.saturating_mul(TOO_LARGE_BY);
        let fits = (0..state.idle.len())
            .filter(|at| fitting.contains(&state.idle[*at].capacity()))
            .min_by_key(|at| state.idle[*at].capacity());
        if let Some(at) = fits {
            return Some(state.idle.swap_remove(at));
        }
        // Objects of about the same size follow one another, and new memory costs more than the texts' checksums.
        let roomy = bytes + bytes / 8;
        let room = [roomy, bytes]
            .into_iter()
            .find(|room| state.reserve(*room, self.most))?;
        drop(state);
        let buffer = Vec::with_capacity(room);
        in_large_pages(&buffer);
        Some(buffer)
    }

    fn grow(&self, buffer: &mut Vec<u8>) -> bool {
        let more = buffer.capacity().max(1);
        let reserved = self.state().reserve(more, self.most);
        if reserved {
            buffer.reserve_exact(buffer.capacity() + more - buffer.len());
        }
        reserved
    }

    /// Keeps the memory for a pending object, or else frees it.
    fn give_back(&self, mut buffer: Vec<u8>) {
        let mut state = self.state();
        if state.idle.len() < BUFFERS_OF_AN_OBJECT * state.pending {
            buffer.clear();
            state.idle.push(buffer);
        } else {
            state.free(buffer);
        }
    }

    fn state(&self) -> MutexGuard<'_, BudgetState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BudgetState {
    /// Reserves `bytes`, for which idle buffers are freed; false where there is no room.
    fn reserve(&mut self, bytes: usize, most: usize) -> bool {
        loop {
            if self.reservation.size() + bytes <= most && self.reservation.try_grow(bytes).is_ok() {
                return true;
            }
            match self.idle.pop() {
                Some(buffer) => self.free(buffer),
                None => return false,
            }
        }
    }

    fn free(&mut self, buffer: Vec<u8>) {
        self.reservation.shrink(buffer.capacity());
    }

    fn opened(&mut self, objects: usize) {
        self.pending -= objects;
        while self.idle.len() > BUFFERS_OF_AN_OBJECT * self.pending
            && let Some(buffer) = self.idle.pop()
        {
            self.free(buffer);
        }
    }
}

/// A scan's claim to the budget. No memory is kept for a scan whose last object was read, or which was dropped, so that
/// a sort gets the memory of the scan before it.
#[derive(Debug)]
pub struct Claim {
    budget: Arc<Budget>,
    pending: Mutex<usize>,
}

impl Claim {
    /// Reports that one of the objects is opened. A plan that is run again opens more than were announced.
    pub(super) fn open(&self) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        if *pending > 0 {
            *pending -= 1;
            self.budget.state().opened(1);
        }
    }

    /// An empty buffer for at least `bytes`; `None` where the budget is full.
    pub(super) fn buffer(self: &Arc<Self>, bytes: usize) -> Option<Buffer> {
        Some(Buffer {
            bytes: self.budget.take(bytes)?,
            claim: Arc::clone(self),
        })
    }

    /// The most bytes of the budget.
    pub(super) fn budget(&self) -> usize {
        self.budget.most
    }

    /// Reserves `bytes` for memory that is allocated elsewhere; `None` where the budget is full.
    pub(super) fn reserve(self: &Arc<Self>, bytes: usize) -> Option<Reservation> {
        let budget = Arc::clone(&self.budget);
        let reserved = budget.state().reserve(bytes, budget.most);
        reserved.then(|| Reservation { budget, bytes })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let pending = *self
            .pending
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        self.budget.state().opened(pending);
    }
}

/// A buffer from the budget, which gets it back when it is dropped.
#[derive(Debug)]
pub(super) struct Buffer {
    /// May be filled up to its capacity, and not beyond.
    pub(super) bytes: Vec<u8>,
    claim: Arc<Claim>,
}

impl Buffer {
    /// Doubles the capacity; false where the budget is full.
    pub(super) fn grow(&mut self) -> bool {
        self.claim.budget.grow(&mut self.bytes)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        self.claim.budget.give_back(bytes);
    }
}

/// A reservation for memory that is not a [`Buffer`], until it is dropped.
#[derive(Debug)]
pub(super) struct Reservation {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Reservation {
    /// Ties the reservation to the bytes that it is for.
    pub(super) fn with(self, bytes: Bytes) -> Bytes {
        struct Reserved(
            Bytes,
            #[expect(dead_code, reason = "dropped with the bytes")] Reservation,
        );
        impl AsRef<[u8]> for Reserved {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }
        Bytes::from_owner(Reserved(bytes, self))
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.state().reservation.shrink(self.bytes);
    }
}

/// Requests pages of 2 MiB, since each page of 4 KiB costs a page fault: touching 68 MiB for the first time took 24 ms
/// in small pages and 6 ms in large ones, while inflating that much takes about 40 ms.
#[cfg(target_os = "linux")]
pub(super) fn in_large_pages<T>(buffer: &Vec<T>) {
    const LARGE: usize = 2 << 20;
    let start = (buffer.as_ptr() as usize).next_multiple_of(LARGE);
    let bytes = buffer.capacity() * size_of::<T>();
    let end = (buffer.as_ptr() as usize + bytes) / LARGE * LARGE;
    if start < end {
        // SAFETY: the pages are wholly within the buffer, and the advice does not change their content. A system
        // without large pages ignores it.
        unsafe { libc::madvise(start as *mut _, end - start, libc::MADV_HUGEPAGE) };
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn in_large_pages<T>(_: &Vec<T>) {}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::execution::memory_pool::{GreedyMemoryPool, UnboundedMemoryPool};

    fn unbounded() -> Arc<dyn MemoryPool> {
        Arc::new(UnboundedMemoryPool::default())
    }

    #[test]
    fn memory_is_used_again_while_objects_are_pending() {
        let pool = unbounded();
        let claim = Budget::claim(&Budget::new(&pool), 3);
        claim.open();
        claim.open();
        let (a, b) = (claim.buffer(1000).unwrap(), claim.buffer(500).unwrap());
        let (c, place) = (claim.buffer(900).unwrap(), b.bytes.as_ptr());
        let two = a.bytes.capacity() + b.bytes.capacity();
        assert_eq!(pool.reserved(), two + c.bytes.capacity());
        drop((a, b, c));
        assert_eq!(pool.reserved(), two, "one object is pending");
        let again = claim.buffer(400).unwrap();
        assert_eq!(again.bytes.as_ptr(), place);
        claim.open();
        assert_eq!(pool.reserved(), 562, "the last one is on its way");
        drop(again);
        assert_eq!(pool.reserved(), 0);
    }

    #[test]
    fn small_objects_leave_large_buffers_to_large_ones() {
        let pool = unbounded();
        let claim = Budget::claim(&Budget::new(&pool), 2);
        drop(claim.buffer(10_000));
        let small = claim.buffer(100).unwrap();
        assert!(small.bytes.capacity() < 200);
        assert!(claim.buffer(9_000).unwrap().bytes.capacity() >= 10_000);
    }

    #[test]
    fn a_dropped_scan_keeps_no_memory() {
        let pool = unbounded();
        let budget = Budget::new(&pool);
        let (one, other) = (Budget::claim(&budget, 2), Budget::claim(&budget, 1));
        one.open();
        drop((0..4).map(|_| one.buffer(100).unwrap()).collect::<Vec<_>>());
        assert_eq!(pool.reserved(), 4 * 112);
        drop(one);
        assert_eq!(pool.reserved(), 2 * 112);
        other.open();
        other.open();
        assert_eq!(pool.reserved(), 0);
    }

    #[test]
    fn outgrown_memory_is_replaced_and_no_more_than_the_budget_is_taken() {
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(1000 * PART_OF_MEMORY));
        let claim = Budget::claim(&Budget::new(&pool), 10);
        let (a, b) = (claim.buffer(300).unwrap(), claim.buffer(300).unwrap());
        assert!(claim.buffer(500).is_none());
        drop((a, b));
        let mut a = claim.buffer(330).unwrap();
        assert_eq!(
            pool.reserved(),
            674,
            "a little more does not need new memory"
        );
        let c = claim.buffer(600).unwrap();
        assert_eq!(c.bytes.capacity(), 600);
        assert_eq!(pool.reserved(), a.bytes.capacity() + 600);
        assert!(claim.buffer(1001).is_none());
        assert!(!a.grow(), "there is no room for twice as much");
        drop(c);
        a.bytes.extend_from_slice(b"kept");
        assert!(a.grow());
        assert_eq!((&a.bytes[..], a.bytes.capacity()), (&b"kept"[..], 674));
        assert_eq!(pool.reserved(), 674);
    }

    #[test]
    fn reserved_bytes_count_until_the_last_part_is_dropped() {
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(1000 * PART_OF_MEMORY));
        let claim = Budget::claim(&Budget::new(&pool), 10);
        let bytes = claim
            .reserve(600)
            .unwrap()
            .with(Bytes::from_static(b"text"));
        assert!(claim.reserve(401).is_none() && claim.buffer(401).is_none());
        let part = bytes.slice(1..3);
        drop(bytes);
        assert_eq!((&part[..], pool.reserved()), (&b"ex"[..], 600));
        drop(part);
        assert_eq!(pool.reserved(), 0);
        drop(claim.buffer(800));
        assert!(claim.reserve(900).is_some(), "idle memory is freed for it");
    }
}
