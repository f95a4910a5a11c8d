//! The keys and values of the objects before: a logger writes the same keys in the same order, so the key behind another
//! is mostly the one that stood there the last time, and texts such as levels and routes come again.

use super::bytes::has_digit;
use super::keys::{Keeps, keeps};

/// Longer keys, with their quotes and colon, are read anew each time.
const LONGEST: usize = 32;

/// What is kept of this many keys, by the key before.
const PLACES: usize = 128;

/// What the scanner has to find out about a key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) keeps: Keeps,
    pub(super) has_digit: bool,
    /// Where the key behind this one is kept.
    pub(super) next: u8,
}

/// A key as it was written, `"name":`.
#[derive(Debug, Clone, Copy)]
struct SeenKey {
    text: [u8; LONGEST],
    /// Of the text; 0 if there is none yet.
    length: usize,
    known: Known,
}

/// A text in quotes, up to the second quote, in which nothing is replaced.
#[derive(Debug, Clone, Copy)]
struct SeenText {
    text: [u8; LONGEST],
    /// Of the text; 0 if there is none yet.
    length: usize,
}

/// The last key that stood behind each key, and texts that stay as they are.
#[derive(Debug)]
pub(super) struct Seen {
    keys: [SeenKey; PLACES],
    texts: [SeenText; PLACES],
}

impl Default for Seen {
    fn default() -> Self {
        let key = SeenKey {
            text: [0; LONGEST],
            length: 0,
            known: Known {
                keeps: Keeps::Nothing,
                has_digit: false,
                next: Self::FIRST,
            },
        };
        let text = SeenText {
            text: [0; LONGEST],
            length: 0,
        };
        Self {
            keys: [key; PLACES],
            texts: [text; PLACES],
        }
    }
}

impl Seen {
    /// Where the first key of an object is kept.
    pub(super) const FIRST: u8 = 0;

    /// The length of the key that is kept at a place, `"name":`, if a text begins with it and a value may follow.
    #[inline]
    pub(super) fn key(&self, place: u8, text: &[u8]) -> Option<(usize, Known)> {
        let begin: &[u8; LONGEST] = text.first_chunk()?;
        let [first, second] = places(place);
        let is_same = |seen: &SeenKey| {
            seen.length > 0
                && first_difference(begin, &seen.text) >= seen.length
                && !matches!(text.get(seen.length), None | Some(b'=' | b':' | b'/'))
        };
        let mut seen = &self.keys[first];
        if !is_same(seen) {
            seen = &self.keys[second];
            if !is_same(seen) {
                return None;
            }
        }
        Some((seen.length, seen.known))
    }

    /// Keeps a key of the form `"name":` at a place; returns what there is to know about it.
    #[inline(never)]
    pub(super) fn put_key(&mut self, place: u8, written: &[u8], name: &[u8]) -> Known {
        let mut known = Known {
            keeps: keeps(name),
            has_digit: has_digit(name),
            next: Self::FIRST,
        };
        let is_plain = matches!(written, [b'"', .., b'"', b':']) && written.len() == name.len() + 3;
        if is_plain && written.len() <= LONGEST {
            known.next = hash(name);
            let mut text = [0; LONGEST];
            text[..written.len()].copy_from_slice(written);
            let [first, second] = places(place);
            let new = SeenKey {
                text,
                length: written.len(),
                known,
            };
            self.keys[second] = std::mem::replace(&mut self.keys[first], new);
        }
        known
    }

    /// The length of the text that a text begins with, up to its quote, if it stays as it is.
    #[inline]
    pub(super) fn text(&self, text: &[u8]) -> Option<usize> {
        let begin: &[u8; LONGEST] = text.first_chunk()?;
        let seen = &self.texts[place_of(begin)];
        let is_same = first_difference(begin, &seen.text) >= seen.length;
        (seen.length > 0 && is_same).then_some(seen.length)
    }

    /// Keeps a text that stays as it is, up to its quote; `text` goes on behind it.
    pub(super) fn put_text(&mut self, text: &[u8], length: usize) {
        if let Some(begin) = text.first_chunk()
            && length <= LONGEST
        {
            self.texts[place_of(begin)] = SeenText {
                text: *begin,
                length,
            };
        }
    }
}

/// Where a key is kept that stands behind another: two kinds of objects may alternate.
#[inline]
fn places(behind: u8) -> [usize; 2] {
    let first = usize::from(behind) % PLACES;
    [first, first ^ 1]
}

/// The same for the same name.
fn hash(name: &[u8]) -> u8 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let hash = name.iter().fold(0u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(ODD)
    });
    (hash >> 56) as u8
}

/// Where a text is kept: by its first bytes.
#[inline]
fn place_of(text: &[u8; LONGEST]) -> usize {
    let begin = u32::from_le_bytes([text[0], text[1], text[2], text[3]]);
    (begin.wrapping_mul(0x9e37_79b1) >> 24) as usize % PLACES
}

/// The first place at which two texts differ.
#[inline]
fn first_difference(one: &[u8; LONGEST], other: &[u8; LONGEST]) -> usize {
    let halves = |text: &[u8; LONGEST]| {
        let (first, second) = text.split_at(LONGEST / 2);
        [first, second].map(|half| half.try_into().map_or(0, u128::from_le_bytes))
    };
    let ([a, b], [c, d]) = (halves(one), halves(other));
    match a ^ c {
        0 => LONGEST / 2 + (b ^ d).trailing_zeros() as usize / 8,
        different => different.trailing_zeros() as usize / 8,
    }
}
