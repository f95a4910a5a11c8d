//! An object's text: the memory that it is in, and which of its messages are UTF-8.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use datafusion::execution::memory_pool::{
    MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};

use super::batch::Message;
use super::inflate::{WholeInflater, likely_text_bytes};

/// The text of all objects that are inflated whole at one time, over all partitions.
const WHOLE_TEXT_BUDGET: usize = 160 << 20;

/// And at most this part of the engine's memory, as those who sort or group need the rest.
const PART_OF_MEMORY: usize = 4;

/// Text is looked at for UTF-8 in pieces of about this size: a call for each message would cost more than the look, and
/// a piece is still in the processor's cache when the events in it are found.
const PIECE: usize = 32 << 10;

/// The text of an object, or as much of it as was inflated.
pub(super) struct Text {
    bytes: Vec<u8>,
    /// Where the memory goes back to.
    claim: Option<Arc<TextClaim>>,
    /// The piece of the text that was last looked at, and whether all of it is UTF-8.
    looked_at: Range<usize>,
    is_utf8: bool,
}

impl Text {
    /// Room for text that comes in pieces.
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self::new(Vec::with_capacity(capacity), None)
    }

    fn new(bytes: Vec<u8>, claim: Option<Arc<TextClaim>>) -> Self {
        Self {
            bytes,
            claim,
            looked_at: 0..0,
            is_utf8: false,
        }
    }

    /// The whole text of an object; `None` where there is no memory for it or anything is wrong with it.
    pub(super) fn inflated(compressed: &[u8], claim: &Arc<TextClaim>) -> Option<Self> {
        thread_local! {
            static INFLATER: std::cell::RefCell<WholeInflater> = std::cell::RefCell::default();
        }
        let expected = likely_text_bytes(compressed)?;
        let mut text = Self::new(claim.budget.take(expected)?, Some(Arc::clone(claim)));
        INFLATER
            .with_borrow_mut(|inflater| inflater.inflate(compressed, &mut text.bytes, expected))
            .then_some(text)
    }

    /// All of it.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// To change it; what was known of it is forgotten.
    pub(super) fn edit(&mut self) -> &mut Vec<u8> {
        self.looked_at = 0..0;
        &mut self.bytes
    }

    /// The message at a place in the text. They are asked for in the order of the text.
    #[inline]
    pub(super) fn message(&mut self, at: Range<usize>) -> Message<'_> {
        if at.start < self.looked_at.start || at.end > self.looked_at.end {
            self.look(at.clone());
        }
        let piece = &self.bytes[self.looked_at.clone()];
        let within = at.start - self.looked_at.start..at.end - self.looked_at.start;
        if self.is_utf8 {
            // SAFETY: the piece was found to be UTF-8, and the text has not changed since.
            let piece = unsafe { std::str::from_utf8_unchecked(piece) };
            if let Some(text) = piece.get(within.clone()) {
                return Message::Text(text);
            }
        }
        Message::of(&piece[within])
    }

    /// Looks at the message and as many whole lines behind it as make a piece.
    fn look(&mut self, at: Range<usize>) {
        let most = self.bytes.len().min(at.start + PIECE).max(at.end);
        let behind = &self.bytes[at.end..most];
        let end = at.end + memchr::memrchr(b'\n', behind).unwrap_or(0);
        self.is_utf8 = simdutf8::basic::from_utf8(&self.bytes[at.start..end]).is_ok();
        self.looked_at = at.start..end;
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        if let Some(claim) = &self.claim {
            claim.budget.give_back(std::mem::take(&mut self.bytes));
        }
    }
}

/// The memory for objects that are inflated whole: one budget over all partitions of all scans of a table, known to the
/// engine's memory pool. What does not fit is read as a stream instead of waiting.
#[derive(Debug)]
pub struct TextBudget {
    most: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    reservation: MemoryReservation,
    idle: Vec<Vec<u8>>,
    /// How many objects the scans under way have yet to open.
    to_come: usize,
}

impl TextBudget {
    /// A budget out of `pool`.
    pub fn new(pool: &Arc<dyn MemoryPool>) -> Arc<Self> {
        let most = match pool.memory_limit() {
            MemoryLimit::Finite(limit) => WHOLE_TEXT_BUDGET.min(limit / PART_OF_MEMORY),
            MemoryLimit::Infinite | MemoryLimit::Unknown => WHOLE_TEXT_BUDGET,
        };
        Arc::new(Self {
            most,
            state: Mutex::new(State {
                reservation: MemoryConsumer::new("logs").register(pool),
                idle: Vec::new(),
                to_come: 0,
            }),
        })
    }

    /// A scan's claim to the budget, which will open so many objects.
    pub fn claim(budget: &Arc<Self>, objects: usize) -> Arc<TextClaim> {
        budget.state().to_come += objects;
        Arc::new(TextClaim {
            budget: Arc::clone(budget),
            to_come: Mutex::new(objects),
        })
    }

    fn take(&self, bytes: usize) -> Option<Vec<u8>> {
        let mut state = self.state();
        let fits = (0..state.idle.len())
            .filter(|at| state.idle[*at].capacity() >= bytes)
            .min_by_key(|at| state.idle[*at].capacity());
        if let Some(at) = fits {
            return Some(state.idle.swap_remove(at));
        }
        // Objects of about the same size follow one another, and fresh memory costs more than the texts' checksums.
        let roomy = bytes + bytes / 8;
        loop {
            // Given back before the larger one is taken, so that both are never held.
            let outgrown = state.idle.pop();
            let was_idle = outgrown.is_some();
            state.free(outgrown.unwrap_or_default());
            for room in [roomy, bytes] {
                if state.reservation.size() + room <= self.most
                    && state.reservation.try_grow(room).is_ok()
                {
                    return Some(Vec::with_capacity(room));
                }
            }
            if !was_idle {
                return None;
            }
        }
    }

    /// Keeps the memory for an object that is to come, or else frees it.
    fn give_back(&self, mut bytes: Vec<u8>) {
        let mut state = self.state();
        if state.idle.len() < state.to_come {
            bytes.clear();
            state.idle.push(bytes);
        } else {
            state.free(bytes);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn free(&mut self, bytes: Vec<u8>) {
        self.reservation.shrink(bytes.capacity());
    }

    fn come(&mut self, objects: usize) {
        self.to_come -= objects;
        while self.idle.len() > self.to_come
            && let Some(bytes) = self.idle.pop()
        {
            self.free(bytes);
        }
    }
}

/// A scan's claim to memory for its texts. When its last object was read, or it is given up, nothing is kept for it, so
/// that a sort has the memory of the scan before it.
#[derive(Debug)]
pub struct TextClaim {
    budget: Arc<TextBudget>,
    to_come: Mutex<usize>,
}

impl TextClaim {
    /// One of the objects is opened. A plan that is run once more opens more than were announced.
    pub(super) fn open(&self) {
        let mut to_come = self.to_come.lock().unwrap_or_else(PoisonError::into_inner);
        if *to_come > 0 {
            *to_come -= 1;
            self.budget.state().come(1);
        }
    }
}

impl Drop for TextClaim {
    fn drop(&mut self) {
        let to_come = *self
            .to_come
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        self.budget.state().come(to_come);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::execution::memory_pool::{GreedyMemoryPool, UnboundedMemoryPool};
    use proptest::prelude::*;

    fn unbounded() -> Arc<dyn MemoryPool> {
        Arc::new(UnboundedMemoryPool::default())
    }

    fn text(bytes: &[u8]) -> Text {
        let mut text = Text::with_capacity(0);
        text.edit().extend_from_slice(bytes);
        text
    }

    fn is_text(message: Message<'_>) -> bool {
        matches!(message, Message::Text(_))
    }

    #[test]
    fn memory_is_used_again_while_objects_are_to_come() {
        let pool = unbounded();
        let budget = TextBudget::new(&pool);
        let claim = TextBudget::claim(&budget, 3);
        claim.open();
        claim.open();
        let (a, b) = (budget.take(1000).unwrap(), budget.take(500).unwrap());
        let reserved = pool.reserved();
        assert_eq!(reserved, a.capacity() + b.capacity());
        budget.give_back(b);
        assert_eq!(pool.reserved(), reserved);
        budget.give_back(a);
        assert_eq!(pool.reserved(), 562, "there is one object for two buffers");
        claim.open();
        assert_eq!(pool.reserved(), 0, "the last one is on its way");
        let again = budget.take(400).unwrap();
        budget.give_back(again);
        assert_eq!(pool.reserved(), 0);
    }

    #[test]
    fn a_scan_that_is_given_up_keeps_no_memory() {
        let pool = unbounded();
        let budget = TextBudget::new(&pool);
        let (one, other) = (TextBudget::claim(&budget, 2), TextBudget::claim(&budget, 1));
        one.open();
        let (a, b) = (budget.take(100).unwrap(), budget.take(100).unwrap());
        budget.give_back(a);
        budget.give_back(b);
        assert_eq!(pool.reserved(), 224);
        drop(one);
        assert_eq!(pool.reserved(), 112);
        other.open();
        other.open();
        assert_eq!(pool.reserved(), 0);
    }

    #[test]
    fn outgrown_memory_is_replaced_and_no_more_than_the_budget_is_taken() {
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(1000 * PART_OF_MEMORY));
        let budget = TextBudget::new(&pool);
        let _claim = TextBudget::claim(&budget, 10);
        let (a, b) = (budget.take(300).unwrap(), budget.take(300).unwrap());
        assert!(budget.take(500).is_none());
        budget.give_back(a);
        budget.give_back(b);
        let a = budget.take(330).unwrap();
        assert_eq!(
            pool.reserved(),
            674,
            "a little more is no reason for fresh memory"
        );
        assert_eq!(budget.take(600).unwrap().capacity(), 600);
        assert_eq!(pool.reserved(), a.capacity() + 600);
        assert!(budget.take(1001).is_none());
    }

    #[test]
    fn a_place_within_a_character_is_no_text() {
        let mut text = text("한글".as_bytes());
        assert!(is_text(text.message(0..3)));
        assert!(!is_text(text.message(1..6)));
        assert!(!is_text(text.message(0..4)));
    }

    #[test]
    fn what_was_known_is_forgotten_when_the_text_changes() {
        let mut text = text(b"all of it\n");
        assert!(is_text(text.message(0..9)));
        text.edit()[4] = 0xff;
        assert!(!is_text(text.message(0..9)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn messages_are_text_just_where_they_are_utf8(
            lines in proptest::collection::vec(
                (
                    prop_oneof![Just(&b"caf\xe9"[..]), Just("주문".as_bytes()), Just(&b"order"[..]), Just(&b"\x80"[..])],
                    prop_oneof![0usize..20, 0usize..3000, 0usize..PIECE],
                ),
                1..60,
            ),
        ) {
            let mut bytes = Vec::new();
            let mut places = Vec::new();
            for (word, times) in &lines {
                let start = bytes.len();
                bytes.extend(word.repeat(*times));
                places.push(start..bytes.len());
                bytes.push(b'\n');
            }
            let mut text = text(&bytes);
            for place in places {
                let expected = std::str::from_utf8(&bytes[place.clone()]).is_ok();
                let message = text.message(place.clone());
                prop_assert_eq!(is_text(message), expected, "{:?}", place);
                let found = match message {
                    Message::Text(text) => text.as_bytes(),
                    Message::Broken(bytes) => bytes,
                };
                prop_assert_eq!(found, &bytes[place]);
            }
        }
    }
}
