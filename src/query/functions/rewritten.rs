//! What a message is without its values, or without personal data: `pattern`, `pattern_id`, `mask`.

use super::text_column::TextColumn;
use super::{one_text, over_array};
use crate::mask::masked;
use crate::pattern::{PatternCoder, Patterns};
use arrow::array::{Array, ArrayRef, AsArray, StringViewArray};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, DocSection, Documentation, ScalarFunctionArgs, ScalarUDFImpl, Signature,
    Volatility,
};
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
                Rewriting::Pattern => patterns_of(messages).texts(messages.nulls().cloned()),
                Rewriting::PatternId => patterns_of(messages).ids(messages.nulls().cloned()),
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

fn patterns_of(messages: &StringViewArray) -> Patterns {
    let (mut coder, mut patterns) = (PatternCoder::default(), Patterns::default());
    patterns.codes.reserve_exact(messages.len());
    for message in messages {
        match message {
            Some(message) => coder.push(message, &mut patterns),
            None => patterns.codes.push(0),
        }
    }
    patterns
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

    #[test]
    fn a_null_stays_null() {
        let messages = StringViewArray::from_iter([None, Some("took 12ms"), None]);
        let patterns = patterns_of(&messages).texts(messages.nulls().cloned());
        let patterns = patterns.unwrap();
        let texts: Vec<_> = patterns.as_string_view().iter().collect();
        assert_eq!(texts, [None, Some("took <duration>"), None]);
        let nothing = StringViewArray::new_null(2);
        let ids = patterns_of(&nothing).ids(nothing.nulls().cloned()).unwrap();
        assert_eq!(ids.null_count(), 2);
    }
}
