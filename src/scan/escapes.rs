//! Where a text of JSON ends, and which of its bytes are escaped. Pure.
//!
//! A message that is JSON itself has a backslash in front of each of its quotes, some twenty in one message. A search that stops
//! at each of them takes longer than inflating the text. So the quotes and backslashes of 64 bytes are looked at together, as
//! the bits of two numbers (the method of simdjson: Langdale and Lemire, "Parsing gigabytes of JSON per second").

/// The bytes that are looked at together: one for each bit of a number.
pub(super) const BLOCK: usize = 64;

/// The end of a text, whose first byte is at `from`: the place of the quote that closes it, and whether there are escapes in it.
/// `None` where it does not end.
#[inline]
pub fn end_of_text(text: &[u8], from: usize) -> Option<(usize, bool)> {
    let mut at = from;
    let mut has_escapes = false;
    let mut escapes = Escapes::default();
    loop {
        let rest = text.get(at..)?;
        let padded;
        let block = match rest.first_chunk::<BLOCK>() {
            Some(block) => block,
            None if rest.is_empty() => return None,
            None => {
                padded = padded_block(rest);
                &padded
            }
        };
        let Marks {
            quotes,
            backslashes,
        } = Marks::of(block);
        let closing = match backslashes | escapes.carried {
            0 => quotes,
            _ => quotes & !escapes.escaped(backslashes),
        };
        if closing != 0 {
            let end = closing.trailing_zeros();
            let before = (1 << end) - 1;
            return Some((at + end as usize, has_escapes || backslashes & before != 0));
        }
        has_escapes |= backslashes != 0;
        at += BLOCK;
    }
}

/// The last bytes of a text, with zeros behind them.
#[cold]
fn padded_block(rest: &[u8]) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    block[..rest.len()].copy_from_slice(rest);
    block
}

/// The places of quotes and of backslashes in a block, the first byte as the lowest bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Marks {
    quotes: u64,
    pub(super) backslashes: u64,
}

impl Marks {
    #[cfg(target_arch = "x86_64")]
    #[inline]
    pub(super) fn of(block: &[u8; BLOCK]) -> Self {
        // SAFETY: every processor of this kind has SSE2.
        unsafe { Self::in_vectors(block) }
    }

    /// 16 bytes at once.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "sse2")]
    #[inline]
    fn in_vectors(block: &[u8; BLOCK]) -> Self {
        use std::arch::x86_64::{
            __m128i, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_set1_epi8,
        };
        let [quote, backslash] = [b'"', b'\\'].map(|byte| _mm_set1_epi8(byte.cast_signed()));
        let mut marks = Self {
            quotes: 0,
            backslashes: 0,
        };
        for (part, bytes) in block.as_chunks::<16>().0.iter().enumerate() {
            // SAFETY: these are 16 bytes that can be read, and the load needs no alignment.
            let bytes = unsafe { _mm_loadu_si128(bytes.as_ptr().cast::<__m128i>()) };
            let bits_of = |byte: __m128i| {
                let bits = _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, byte));
                u64::from(bits.cast_unsigned()) << (16 * part)
            };
            marks.quotes |= bits_of(quote);
            marks.backslashes |= bits_of(backslash);
        }
        marks
    }

    #[cfg(not(target_arch = "x86_64"))]
    #[inline]
    pub(super) fn of(block: &[u8; BLOCK]) -> Self {
        Self::in_words(block)
    }

    /// The same with eight bytes at once, for any processor.
    #[cfg(any(test, not(target_arch = "x86_64")))]
    #[inline]
    fn in_words(block: &[u8; BLOCK]) -> Self {
        let mut marks = Self {
            quotes: 0,
            backslashes: 0,
        };
        for (part, word) in block.as_chunks::<8>().0.iter().enumerate() {
            let word = u64::from_le_bytes(*word);
            marks.quotes |= bits_of(word, b'"') << (8 * part);
            marks.backslashes |= bits_of(word, b'\\') << (8 * part);
        }
        marks
    }
}

/// Which bytes of a word are this one, a bit for each.
#[cfg(any(test, not(target_arch = "x86_64")))]
#[inline]
fn bits_of(word: u64, byte: u8) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let other = word ^ (0x0101_0101_0101_0101 * u64::from(byte));
    // The highest bit of each byte that is zero.
    let same = !(((other & LOW) + LOW) | other | LOW);
    // Gathers the eight bits in the highest byte.
    (same >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

/// Which bytes are escaped, block after block.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Escapes {
    /// 1 where the first byte of the next block is escaped.
    carried: u64,
}

impl Escapes {
    /// The bytes behind a backslash that is not escaped itself.
    ///
    /// Of a run of backslashes, each second one is escaped. Subtracting the run from the odd bits turns those of a run, so that
    /// what is left are its backslashes that begin an escape, whether it begins at an odd or an even place.
    #[inline]
    pub(super) fn escaped(&mut self, backslashes: u64) -> u64 {
        const ODD: u64 = 0xaaaa_aaaa_aaaa_aaaa;
        let may_begin = backslashes & !self.carried;
        let begin_and_behind = ((may_begin << 1) | ODD).wrapping_sub(may_begin) ^ ODD;
        let escaped = begin_and_behind ^ (backslashes | self.carried);
        self.carried = (begin_and_behind & backslashes) >> 63;
        escaped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The same one byte after the other.
    fn end_by_bytes(text: &[u8], from: usize) -> Option<(usize, bool)> {
        let mut at = from;
        let mut has_escapes = false;
        loop {
            match text.get(at)? {
                b'"' => return Some((at, has_escapes)),
                b'\\' => {
                    has_escapes = true;
                    at += 2;
                }
                _ => at += 1,
            }
        }
    }

    fn with_escapes() -> impl Strategy<Value = Vec<u8>> {
        let part = prop_oneof![
            4 => proptest::collection::vec(any::<u8>(), 0..40),
            3 => (0_usize..70).prop_map(|backslashes| vec![b'\\'; backslashes]),
            1 => Just(b"\"".to_vec()),
        ];
        proptest::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn a_text_ends_at_the_first_quote_that_is_not_escaped(text in with_escapes(), from in 0_usize..100) {
            let from = from.min(text.len());
            prop_assert_eq!(end_of_text(&text, from), end_by_bytes(&text, from));
        }

        #[test]
        fn words_have_the_marks_of_vectors(block: [u8; 32], marks in with_escapes()) {
            let mut bytes = [0; BLOCK];
            bytes[..32].copy_from_slice(&block);
            for (byte, mark) in bytes[32..].iter_mut().zip(marks) {
                *byte = mark;
            }
            prop_assert_eq!(Marks::in_words(&bytes), Marks::of(&bytes));
        }
    }
}
