//! The id of an event, and the log stream that it is of. Pure.

use sha2::{Digest, Sha256};

use crate::scan::digits;

/// The length of the ids that CloudWatch writes, decimal digits.
const DIGITS: usize = 56;

/// The highest bits of a number in three words that 56 digits do not need.
const SPARE: u32 = 3;

/// The id of an event. Those of CloudWatch are in the order of their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventId(pub(super) [u64; 3]);

impl EventId {
    /// The id that a text is. As many decimal digits as CloudWatch's ids have are kept exactly, of any other text its SHA-256.
    #[inline]
    pub fn of(text: &[u8]) -> Self {
        let digits = <&[u8; DIGITS]>::try_from(text).ok();
        digits
            .and_then(Self::of_digits)
            .unwrap_or_else(|| Self::of_text(text))
    }

    /// Seven numbers of eight digits, which have 27 bits, one behind the other.
    #[inline]
    fn of_digits(digits: &[u8; DIGITS]) -> Option<Self> {
        let mut numbers = [0; DIGITS / 8];
        for (number, digits) in numbers.iter_mut().zip(digits.as_chunks().0) {
            *number = digits::eight(*digits)?;
        }
        let [a, b, c, d, e, f, g] = numbers;
        Some(Self([
            a << 34 | b << 7 | c >> 20,
            c << 44 | d << 17 | e >> 10,
            e << 54 | f << 27 | g,
        ]))
    }

    #[cold]
    fn of_text(text: &[u8]) -> Self {
        let [high, middle, low] = words_of_hash(Sha256::digest(text).into());
        // Digits have none of these bits.
        Self([high | !(u64::MAX >> SPARE), middle, low])
    }

    /// What tells the event from all others of the table, also of other streams.
    #[inline]
    pub(super) fn in_stream(self, stream: &Stream) -> Self {
        let mut parts = self.0;
        for (part, mask) in parts.iter_mut().zip(&stream.0) {
            *part ^= mask;
        }
        Self(parts)
    }
}

/// A log stream, by the SHA-256 of its names. Two ids of different streams are the same in their streams only where these
/// hashes differ by just what the ids do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Stream([u64; 3]);

impl Stream {
    /// The stream with these names, of the account, the log group and itself.
    pub fn of(names: [Option<&str>; 3]) -> Self {
        let mut hash = Sha256::new();
        for name in names {
            let name = name.unwrap_or_default();
            hash.update((name.len() as u64).to_le_bytes());
            hash.update(name);
        }
        let [high, middle, low] = words_of_hash(hash.finalize().into());
        Self([high & (u64::MAX >> SPARE), middle, low])
    }
}

fn words_of_hash(hash: [u8; 32]) -> [u64; 3] {
    let mut words = [0; 3];
    for (word, bytes) in words.iter_mut().zip(hash.as_chunks().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ids_are_the_same_only_where_their_texts_are() {
        let long = "9".repeat(57);
        let texts = [
            "31953106606966983378809025079804211143289615424298221568",
            "31953106606966983378809025079804211143289615424298221569",
            "41953106606966983378809025079804211143289615424298221568",
            "3195310660696698337880902507980421114328961542429822156x",
            &"0".repeat(55),
            &"0".repeat(56),
            &"0".repeat(57),
            &"9".repeat(56),
            "0",
            "00",
            "1",
            "01",
            "",
            "a",
            "b",
            "10000000000000000000",
            "1 ",
            &long,
            &"9".repeat(58),
        ];
        let ids: Vec<EventId> = texts
            .iter()
            .map(|text| EventId::of(text.as_bytes()))
            .collect();
        for (one, first) in ids.iter().zip(texts) {
            for (other, second) in ids.iter().zip(texts) {
                assert_eq!(one == other, first == second, "{first:?} and {second:?}");
            }
        }
    }

    #[test]
    fn names_of_streams_do_not_run_together() {
        let names = [
            [Some("1"), Some("a"), Some("b")],
            [Some("1"), Some("ab"), None],
            [Some("1a"), None, Some("b")],
            [None, Some("1a"), Some("b")],
            [None, None, None],
        ];
        let streams = names.map(Stream::of);
        for (place, stream) in streams.iter().enumerate() {
            assert!(!streams[..place].contains(stream), "{place}");
        }
        assert_eq!(Stream::of([None; 3]), Stream::of([Some(""), None, None]));
    }

    proptest! {
        #[test]
        fn ids_of_digits_have_the_order_of_their_numbers(one in "[0-9]{56}", other in "[0-9]{56}", same in 0_usize..56) {
            let other = format!("{}{}", &one[..same], &other[same..]);
            let [first, second] = [&one, &other].map(|text| EventId::of(text.as_bytes()));
            prop_assert_eq!(first.cmp(&second), one.cmp(&other));
            prop_assert_eq!(first.0[0] >> (u64::BITS - SPARE), 0);
        }
    }
}
