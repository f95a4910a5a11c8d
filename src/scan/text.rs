//! An object's text: its memory, and which of its messages are UTF-8.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::batch::Message;
use super::budget::{Buffer, Claim};
use super::inflate::{Inflated, WholeInflater, likely_text_bytes};

/// Text is checked for UTF-8 in pieces of about this size: a call for each message would cost more than the check, and
/// a piece is still in the processor's cache when its events are found.
const PIECE: usize = 32 << 10;

/// The text of an object, or the part of it that was inflated and is still needed.
pub struct ObjectText {
    memory: Memory,
    /// The piece of the text that was last checked, and whether all of it is UTF-8.
    checked: Range<usize>,
    is_utf8: bool,
}

enum Memory {
    /// From the budget, for the whole text.
    Budgeted(Buffer),
    /// For a little text at a time.
    Own(Vec<u8>),
    /// The object itself, which is text and all there.
    Shared(Bytes),
}

impl ObjectText {
    /// An empty text with room for pieces.
    pub fn with_capacity(capacity: usize) -> Self {
        Self::new(Memory::Own(Vec::with_capacity(capacity)))
    }

    /// The text of an object that is not compressed.
    pub(super) fn shared(object: Bytes) -> Self {
        Self::new(Memory::Shared(object))
    }

    fn new(memory: Memory) -> Self {
        Self {
            memory,
            checked: 0..0,
            is_utf8: false,
        }
    }

    /// The whole text of an object; `None` where the budget has no memory for it, or where it is damaged.
    pub(super) fn inflated(compressed: &[u8], claim: &Arc<Claim>) -> Option<Self> {
        let mut buffer = claim.buffer(likely_text_bytes(compressed)?)?;
        let mut rest = compressed;
        loop {
            let inflated =
                WholeInflater::of_thread(|inflater| inflater.inflate(&mut rest, &mut buffer.bytes));
            match inflated {
                Inflated::Whole => return Some(Self::new(Memory::Budgeted(buffer))),
                // The object has several gzip members, and only the length of the last one is known beforehand.
                Inflated::NoRoom if buffer.grow() => {}
                Inflated::NoRoom | Inflated::Damaged => return None,
            }
        }
    }

    /// The text in a buffer, to which more may be appended.
    pub(super) fn budgeted(buffer: Buffer) -> Self {
        Self::new(Memory::Budgeted(buffer))
    }

    /// Its buffer, if it is in one. A check of its text is forgotten.
    pub(super) fn buffer(&mut self) -> Option<&mut Buffer> {
        self.checked = 0..0;
        match &mut self.memory {
            Memory::Budgeted(buffer) => Some(buffer),
            Memory::Own(_) | Memory::Shared(_) => None,
        }
    }

    /// Its bytes without a copy.
    pub(super) fn into_bytes(self) -> Bytes {
        match self.memory {
            Memory::Budgeted(buffer) => Bytes::from_owner(buffer),
            Memory::Own(bytes) => bytes.into(),
            Memory::Shared(bytes) => bytes,
        }
    }

    /// All bytes.
    pub fn bytes(&self) -> &[u8] {
        match &self.memory {
            Memory::Budgeted(buffer) => &buffer.bytes,
            Memory::Own(bytes) => bytes,
            Memory::Shared(bytes) => bytes,
        }
    }

    /// Drops `done` bytes in front and appends `more`.
    pub fn advance(&mut self, done: usize, more: &[u8]) {
        self.drop_front(done);
        self.append(more);
    }

    /// Drops `done` bytes in front.
    pub fn drop_front(&mut self, done: usize) {
        self.checked = 0..0;
        match &mut self.memory {
            Memory::Budgeted(buffer) => drop(buffer.bytes.drain(..done)),
            Memory::Own(bytes) => drop(bytes.drain(..done)),
            Memory::Shared(bytes) => *bytes = bytes.slice(done..),
        }
    }

    /// Appends `more`, in memory of its own.
    pub fn append(&mut self, more: &[u8]) {
        self.checked = 0..0;
        match &mut self.memory {
            Memory::Own(bytes) => bytes.extend_from_slice(more),
            // What is there of a budget is not to be exceeded.
            Memory::Budgeted(_) | Memory::Shared(_) => {
                self.memory = Memory::Own([self.bytes(), more].concat());
            }
        }
    }

    /// The message at a place in the text. Messages must be requested in the order of the text.
    #[inline]
    pub fn message(&mut self, at: Range<usize>) -> Message<'_> {
        if at.start < self.checked.start || at.end > self.checked.end {
            self.check(at.clone());
        }
        let piece = &self.bytes()[self.checked.clone()];
        let within = at.start - self.checked.start..at.end - self.checked.start;
        if self.is_utf8 {
            // SAFETY: the piece was checked to be UTF-8, and the text has not changed since.
            let piece = unsafe { std::str::from_utf8_unchecked(piece) };
            if let Some(text) = piece.get(within.clone()) {
                return Message::Text(text);
            }
        }
        Message::of(&piece[within])
    }

    /// Checks the message, with as many whole lines behind it as make a piece.
    fn check(&mut self, at: Range<usize>) {
        let bytes = self.bytes();
        let most = bytes.len().min(at.start + PIECE).max(at.end);
        let behind = &bytes[at.end..most];
        let end = at.end + memchr::memrchr(b'\n', behind).unwrap_or(0);
        self.is_utf8 = simdutf8::basic::from_utf8(&bytes[at.start..end]).is_ok();
        self.checked = at.start..end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(bytes: &[u8]) -> ObjectText {
        let mut text = ObjectText::with_capacity(0);
        text.advance(0, bytes);
        text
    }

    fn is_text(message: Message<'_>) -> bool {
        matches!(message, Message::Text(_))
    }

    #[test]
    fn a_place_within_a_character_is_not_text() {
        let mut text = text("한글".as_bytes());
        assert!(is_text(text.message(0..3)));
        assert!(!is_text(text.message(1..6)));
        assert!(!is_text(text.message(0..4)));
    }

    #[test]
    fn a_check_is_not_used_again_when_the_text_changes() {
        let mut text = text(b"all of it\n");
        assert!(is_text(text.message(0..9)));
        text.advance(9, b"caf\xe9 au lait\n");
        assert!(!is_text(text.message(1..9)));
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
                    Message::Text(text) | Message::Shown(text) | Message::Known(text, _) => {
                        text.as_bytes()
                    }
                    Message::Broken(bytes) => bytes,
                };
                prop_assert_eq!(found, &bytes[place]);
            }
        }
    }
}
