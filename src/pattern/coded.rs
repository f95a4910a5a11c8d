//! The patterns of many messages: each text once as long as the same few alternate, and for each message which it has.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringViewArray, make_view};
use arrow::buffer::{Buffer, NullBuffer};
use arrow::error::ArrowError;
use sha2::{Digest, Sha256};

use super::PatternWriter;

/// The patterns of some messages, in the order of these.
#[derive(Debug, Default)]
pub struct Patterns {
    /// The texts, one behind the other: UTF-8.
    pub bytes: Vec<u8>,
    /// Where each text ends in the bytes.
    pub ends: Vec<usize>,
    /// Which text each message has.
    pub codes: Vec<u32>,
}

impl Patterns {
    /// Drops all, and keeps the memory for others, unless a long message took it.
    pub fn clear(&mut self) {
        const MOST_BYTES: usize = 1 << 20;
        self.bytes.clear();
        self.bytes.shrink_to(MOST_BYTES);
        self.ends.clear();
        self.codes.clear();
    }

    /// The text of this number.
    ///
    /// # Panics
    /// Where there is none.
    pub fn text(&self, code: u32) -> &[u8] {
        &self.bytes[self.place(code as usize)]
    }

    fn place(&self, number: usize) -> Range<usize> {
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        start..self.ends[number]
    }

    /// The patterns of the messages as Utf8View.
    ///
    /// # Errors
    /// Where the texts have more than 4 GiB.
    pub fn texts(&self, nulls: Option<NullBuffer>) -> Result<ArrayRef, ArrowError> {
        let views = (0..self.ends.len()).map(|number| {
            let place = self.place(number);
            let start = u32::try_from(place.start)
                .map_err(|_| ArrowError::OffsetOverflowError(place.start))?;
            Ok(make_view(&self.bytes[place], 0, start))
        });
        let views = views.collect::<Result<Vec<u128>, ArrowError>>()?;
        let buffers = match self.bytes.is_empty() {
            true => Vec::new(),
            // The engine counts a batch by the memory that it holds.
            false => vec![Buffer::from(&self.bytes[..])],
        };
        self.array(&views, buffers, nulls)
    }

    /// The ids of the patterns as Utf8View.
    ///
    /// # Errors
    /// None that a column of ids has.
    pub fn ids(&self, nulls: Option<NullBuffer>) -> Result<ArrayRef, ArrowError> {
        let view = |number| {
            let id = id(&self.bytes[self.place(number)]);
            make_view(id.as_bytes(), 0, 0)
        };
        let views: Vec<u128> = (0..self.ends.len()).map(view).collect();
        self.array(&views, Vec::new(), nulls)
    }

    fn array(
        &self,
        views: &[u128],
        buffers: Vec<Buffer>,
        nulls: Option<NullBuffer>,
    ) -> Result<ArrayRef, ArrowError> {
        // Where all messages are NULL, there is no text.
        let view = |code: &u32| views.get(*code as usize).copied().unwrap_or(0);
        let views: Vec<u128> = self.codes.iter().map(view).collect();
        let array = StringViewArray::try_new(views.into(), buffers, nulls)?;
        Ok(Arc::new(array))
    }
}

/// The id of a pattern: twelve hexadecimal digits, the first of its SHA-256, which fit into a view without a buffer.
fn id(pattern: &[u8]) -> String {
    const BYTES: usize = 6;
    let hash = Sha256::digest(pattern);
    hash[..BYTES]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Adds messages to [`Patterns`].
#[derive(Debug)]
pub struct PatternCoder {
    /// On the heap, as it has some kilobytes, and what holds a coder is moved along.
    writer: Box<PatternWriter>,
    /// The number of the text that was seen last at each place.
    recent: Box<[u32]>,
}

impl Default for PatternCoder {
    fn default() -> Self {
        Self {
            writer: Box::default(),
            recent: vec![0; Self::PLACES].into(),
        }
    }
}

impl PatternCoder {
    const PLACES: usize = 1024;

    /// Adds a message.
    #[inline]
    pub fn push(&mut self, message: &str, patterns: &mut Patterns) {
        let start = patterns.bytes.len();
        self.writer.write(message, &mut patterns.bytes);
        self.settle(start, patterns);
    }

    /// Adds a message with this pattern.
    #[inline]
    pub fn push_known(&mut self, pattern: &[u8], patterns: &mut Patterns) {
        let start = patterns.bytes.len();
        patterns.bytes.extend_from_slice(pattern);
        self.settle(start, patterns);
    }

    /// Gives the text behind `start` a number, and drops it where it is there before.
    #[inline]
    fn settle(&mut self, start: usize, patterns: &mut Patterns) {
        let (before, pattern) = patterns.bytes.split_at(start);
        let recent = &mut self.recent[place(pattern)];
        // A number of other patterns is of another text, or of none.
        let is_there = match patterns.ends.get(*recent as usize) {
            Some(end) => {
                let start = recent.checked_sub(1);
                let start = start.map_or(0, |before| patterns.ends[before as usize]);
                before[start..*end] == *pattern
            }
            None => false,
        };
        match is_there {
            true => patterns.bytes.truncate(start),
            false => {
                *recent = patterns.ends.len() as u32;
                patterns.ends.push(patterns.bytes.len());
            }
        }
        patterns.codes.push(*recent);
    }
}

/// The place of a pattern: two patterns may have the same.
fn place(pattern: &[u8]) -> usize {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let (chunks, rest) = pattern.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let hash = chunks
        .iter()
        .chain([&last])
        .fold(pattern.len() as u64, |hash, chunk| {
            (hash ^ u64::from_le_bytes(*chunk))
                .wrapping_mul(ODD)
                .rotate_left(29)
        });
    (hash >> 32) as usize % PatternCoder::PLACES
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::AsArray;

    fn coded<'a>(messages: impl IntoIterator<Item = &'a str>) -> Patterns {
        let (mut coder, mut patterns) = (PatternCoder::default(), Patterns::default());
        for message in messages {
            coder.push(message, &mut patterns);
        }
        patterns
    }

    #[test]
    fn a_pattern_that_repeats_is_there_once() {
        let patterns = coded([
            "order 1234 of kim@example.com took 12ms",
            "order 7 of lee@example.com took 1.5s",
            "x",
            "",
        ]);
        assert_eq!(patterns.codes, [0, 0, 1, 2]);
        let of_order = "order <*> of <email> took <duration>";
        let texts = patterns.texts(None).unwrap();
        let texts: Vec<_> = texts.as_string_view().iter().flatten().collect();
        assert_eq!(texts, [of_order, of_order, "x", ""]);
        assert_eq!(patterns.bytes.len(), of_order.len() + 1);
    }

    #[test]
    fn an_id_is_that_of_the_pattern() {
        let patterns = coded(["took 12ms", "took 1.5s", "x", ""]);
        let ids = patterns.ids(None).unwrap();
        let ids: Vec<_> = ids.as_string_view().iter().flatten().collect();
        assert_eq!(ids[0], ids[1]);
        assert_eq!(ids[2..], ["2d711642b726", "e3b0c44298fc"]);
    }

    #[test]
    fn more_patterns_than_are_found_again_stay_apart() {
        let words = |n: usize| {
            let (first, last) = ("a".repeat(1 + n % 50), "b".repeat(1 + n / 50));
            format!("{first} is none of the others {last}")
        };
        let messages: Vec<String> = (0..4000).map(words).collect();
        let texts = coded(messages.iter().map(String::as_str)).texts(None);
        let expected = StringViewArray::from_iter_values(&messages);
        assert_eq!(texts.unwrap().as_string_view(), &expected);
    }

    #[test]
    fn other_patterns_are_added_behind_what_was_cleared() {
        let mut coder = PatternCoder::default();
        let mut patterns = Patterns::default();
        for round in [["one", "two"], ["two", "one"]] {
            patterns.clear();
            for message in round {
                coder.push(message, &mut patterns);
            }
            coder.push_known(round[1].as_bytes(), &mut patterns);
            assert_eq!(patterns.codes, [0, 1, 1]);
            assert_eq!(patterns.text(1), round[1].as_bytes());
        }
    }
}
