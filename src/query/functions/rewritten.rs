//! What a message is without its values, or without personal data: `pattern`, `pattern_id`, `mask`.

use super::pattern::PatternWriter;
use super::text_column::TextColumn;
use super::{one_text, over_array};
use crate::mask::masked;
use arrow::array::{Array, ArrayRef, AsArray, StringViewArray, make_view};
use arrow::buffer::Buffer;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, DocSection, Documentation, ScalarFunctionArgs, ScalarUDFImpl, Signature,
    Volatility,
};
use sha2::{Digest, Sha256};
use std::sync::{Arc, LazyLock};

/// What is made of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Rewriting {
    Pattern,
    PatternId,
    Mask,
}

/// `pattern(message)`, `pattern_id(message)` and `mask(message)`, as Utf8View.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Rewritten {
    rewriting: Rewriting,
    signature: Signature,
}

impl Rewritten {
    pub(super) fn all() -> [Self; 3] {
        [Rewriting::Pattern, Rewriting::PatternId, Rewriting::Mask].map(|rewriting| Rewritten {
            rewriting,
            signature: Signature::user_defined(Volatility::Immutable),
        })
    }
}

impl ScalarUDFImpl for Rewritten {
    fn name(&self) -> &str {
        match self.rewriting {
            Rewriting::Pattern => "pattern",
            Rewriting::PatternId => "pattern_id",
            Rewriting::Mask => "mask",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        one_text(self.name(), types)
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [messages] = args.args.as_slice() else {
            return exec_err!("{}: expected one text", self.name());
        };
        over_array(messages, |array| {
            let messages = array.as_string_view();
            let texts = match self.rewriting {
                Rewriting::Pattern => Patterns::default().texts(messages),
                Rewriting::PatternId => Patterns::default().ids(messages),
                Rewriting::Mask => masked_texts(messages),
            };
            Ok(texts?)
        })
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(match self.rewriting {
            Rewriting::Pattern => &PATTERN,
            Rewriting::PatternId => &PATTERN_ID,
            Rewriting::Mask => &MASK,
        })
    }
}

fn documentation(description: &str, syntax: &str, example: &str) -> Documentation {
    let section = DocSection {
        include: true,
        label: "Messages",
        description: None,
    };
    Documentation::builder(section, description, syntax)
        .with_sql_example(example)
        .with_argument("message", "A text, such as a message of `logs`.")
        .build()
}

static PATTERN: LazyLock<Documentation> = LazyLock::new(|| {
    documentation(
        "The message without what changes from event to event: numbers, ids, times, addresses and quoted texts are marks, so that GROUP BY finds the kinds of messages.",
        "pattern(message)",
        "SELECT pattern('order 1234 of kim@example.com took 12ms')\n-- order <*> of <email> took <duration>",
    )
});

static PATTERN_ID: LazyLock<Documentation> = LazyLock::new(|| {
    documentation(
        "A short id of the message's pattern, the same everywhere: the first 12 hexadecimal digits of its SHA-256.",
        "pattern_id(message)",
        "SELECT pattern_id('order 1234 handled')\n-- 90a91af6fbee",
    )
});

static MASK: LazyLock<Documentation> = LazyLock::new(|| {
    documentation(
        "The message with marks in place of telephone numbers, e-mail addresses, card numbers, Korean resident numbers, tokens, passwords and AWS keys.",
        "mask(message)",
        "SELECT mask('kim@example.com called from 010-1234-5678')\n-- <email> called from <phone>",
    )
});

/// A column of patterns, in which each is there once as long as the same few alternate.
#[derive(Default)]
struct Patterns {
    writer: PatternWriter,
    bytes: Vec<u8>,
    views: Vec<u128>,
    recent: Recent,
}

/// The patterns that were seen last: the place of each in the column's bytes, and what was made of it.
struct Recent {
    places: Vec<Option<(usize, usize, u128)>>,
}

impl Default for Recent {
    fn default() -> Self {
        Self {
            places: vec![None; Self::PLACES],
        }
    }
}

impl Recent {
    const PLACES: usize = 256;

    /// The place for a pattern: two patterns may have the same.
    fn place(&mut self, pattern: &[u8]) -> &mut Option<(usize, usize, u128)> {
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
        &mut self.places[(hash >> 32) as usize % Self::PLACES]
    }
}

impl Patterns {
    fn texts(self, messages: &StringViewArray) -> Result<ArrayRef, ArrowError> {
        self.column(messages, true, |pattern, start| {
            make_view(pattern, 0, start)
        })
    }

    fn ids(self, messages: &StringViewArray) -> Result<ArrayRef, ArrowError> {
        self.column(messages, false, |pattern, _| {
            make_view(id(pattern).as_bytes(), 0, 0)
        })
    }

    /// A view for each message: `view` makes it of a pattern and its place in the bytes.
    fn column(
        mut self,
        messages: &StringViewArray,
        keeps_bytes: bool,
        view: impl Fn(&[u8], u32) -> u128,
    ) -> Result<ArrayRef, ArrowError> {
        self.views.reserve_exact(messages.len());
        for message in messages {
            let Some(message) = message else {
                self.views.push(0);
                continue;
            };
            let start = self.bytes.len();
            self.writer.write(message, &mut self.bytes);
            let (seen, pattern) = self.bytes.split_at(start);
            let place = self.recent.place(pattern);
            let found = place.filter(|(from, to, _)| seen[*from..*to] == *pattern);
            let view = match found {
                Some((_, _, view)) => {
                    self.bytes.truncate(start);
                    view
                }
                None => {
                    let offset =
                        u32::try_from(start).map_err(|_| ArrowError::OffsetOverflowError(start))?;
                    let view = view(pattern, offset);
                    *place = Some((start, self.bytes.len(), view));
                    view
                }
            };
            self.views.push(view);
        }
        // The engine counts a batch by the memory that it holds.
        self.bytes.shrink_to_fit();
        let buffers = match keeps_bytes && !self.bytes.is_empty() {
            true => vec![Buffer::from_vec(self.bytes)],
            false => Vec::new(),
        };
        let nulls = messages.nulls().cloned();
        Ok(Arc::new(StringViewArray::try_new(
            self.views.into(),
            buffers,
            nulls,
        )?))
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

fn masked_texts(messages: &StringViewArray) -> Result<ArrayRef, ArrowError> {
    let mut column = TextColumn::new(messages);
    for (row, message) in messages.iter().enumerate() {
        if let Some(message) = message {
            column.set(row, masked(message));
        }
    }
    Ok(Arc::new(column.finish()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages() -> StringViewArray {
        StringViewArray::from_iter([
            Some("order 1234 of kim@example.com took 12ms"),
            None,
            Some("order 7 of lee@example.com took 1.5s"),
            Some("x"),
            Some(""),
        ])
    }

    #[test]
    fn a_pattern_that_repeats_is_there_once() {
        let patterns = Patterns::default().texts(&messages()).unwrap();
        let texts: Vec<_> = patterns.as_string_view().iter().collect();
        let of_order = Some("order <*> of <email> took <duration>");
        assert_eq!(texts, [of_order, None, of_order, Some("x"), Some("")]);
        assert_eq!(patterns.as_string_view().data_buffers()[0].len(), 37);
    }

    #[test]
    fn an_id_is_that_of_the_pattern() {
        let ids = Patterns::default().ids(&messages()).unwrap();
        let ids: Vec<_> = ids.as_string_view().iter().collect();
        assert_eq!(ids[0], ids[2]);
        assert_eq!(ids[3], Some("2d711642b726"));
        assert_eq!(ids[4], Some("e3b0c44298fc"));
        assert_eq!(ids[1], None);
    }

    #[test]
    fn more_patterns_than_are_kept_stay_apart() {
        let words = |n: usize| {
            let (first, last) = ("a".repeat(1 + n % 50), "b".repeat(1 + n / 50));
            format!("{first} is none of the others {last}")
        };
        let messages = StringViewArray::from_iter_values((0..2000).map(words));
        let patterns = Patterns::default().texts(&messages).unwrap();
        assert_eq!(patterns.as_string_view(), &messages);
    }
}
