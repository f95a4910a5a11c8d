//! The most bytes that a function's result can have, from the sizes of its arguments.

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::Result;
use datafusion::logical_expr::ColumnarValue;

/// What a value other than a text or a list takes, as text or as a list's element.
const PLAIN_VALUE: i64 = 64;

/// How large a function's result can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Growth {
    /// A value as often as a number says: `repeat`, `array_repeat`.
    Times,
    /// As many characters as a number says: `lpad`, `rpad`.
    Padded,
    /// A text in place of each occurrence of another: `replace`.
    Replaced,
    /// The same for a regular expression; the new text can have the found one in it.
    ReplacedByPattern,
    /// All arguments: `concat`.
    Joined,
    /// The same, with the first between each two of the others: `concat_ws`.
    Separated,
    /// A list of a length: `array_resize`.
    Resized,
    /// The numbers of an interval: `range`, `generate_series`.
    Series,
}

impl Growth {
    /// The functions, by the engine's name.
    pub(super) const ALL: [(&str, Self); 11] = [
        ("repeat", Self::Times),
        ("lpad", Self::Padded),
        ("rpad", Self::Padded),
        ("replace", Self::Replaced),
        ("regexp_replace", Self::ReplacedByPattern),
        ("concat", Self::Joined),
        ("concat_ws", Self::Separated),
        ("array_repeat", Self::Times),
        ("array_resize", Self::Resized),
        ("range", Self::Series),
        ("generate_series", Self::Series),
    ];

    /// Whether a result can be far smaller than the most that the arguments allow.
    pub(super) fn is_rarely_reached(self) -> bool {
        matches!(self, Self::Replaced | Self::ReplacedByPattern)
    }

    /// The most bytes of a row's result.
    pub(super) fn most_bytes(self, sizes: &[Sizes], row: usize) -> u64 {
        let signed = |index: usize| sizes.get(index).map(|sizes| sizes.of_row(row));
        let size = |index: usize| signed(index).unwrap_or(0).max(0).unsigned_abs();
        let product = u64::saturating_mul;
        match self {
            Self::Times => product(size(0).max(1), size(1)),
            Self::Padded => {
                // Without a third argument the fill is a blank.
                let of_character = size(2).clamp(1, 4);
                product(size(1), of_character).saturating_add(size(0))
            }
            Self::Replaced => {
                // The empty text is not replaced.
                let occurrences = size(0).checked_div(size(1)).unwrap_or(0);
                product(occurrences, size(2)).saturating_add(size(0))
            }
            Self::ReplacedByPattern => {
                // A reference to what was found takes two bytes, `\1`; what is found in all places is the text at the most.
                let found = product(size(2) / 2, size(0));
                // Without flags, only the first occurrence.
                let occurrences = if sizes.len() > 3 { size(0) + 1 } else { 1 };
                let plain = product(occurrences, size(2)).saturating_add(size(0));
                plain.saturating_add(found)
            }
            Self::Joined | Self::Separated => {
                let all =
                    (0..sizes.len()).fold(0_u64, |sum, index| sum.saturating_add(size(index)));
                let separators = match self {
                    Self::Separated => sizes.len().saturating_sub(2) as u64,
                    _ => 0,
                };
                all.saturating_add(product(size(0), separators))
            }
            Self::Resized => product(size(1), size(2).max(16)).saturating_add(size(0)),
            Self::Series => {
                let (start, stop) = match sizes.len() {
                    1 => (0, signed(0).unwrap_or(0)),
                    _ => (signed(0).unwrap_or(0), signed(1).unwrap_or(0)),
                };
                let step = signed(2).unwrap_or(1).unsigned_abs().max(1);
                product(start.abs_diff(stop) / step, 8)
            }
        }
    }
}

/// For each row, the value of a number, or the bytes of any other value; NULL is 0.
pub(super) enum Sizes {
    Same(i64),
    Each(Vec<i64>),
}

impl Sizes {
    pub(super) fn of(arg: &ColumnarValue) -> Result<Self> {
        Ok(match arg {
            ColumnarValue::Array(array) => Self::Each(each(array.as_ref())?),
            ColumnarValue::Scalar(value) => {
                let array = value.to_array()?;
                Self::Same(each(array.as_ref())?.first().copied().unwrap_or(0))
            }
        })
    }

    fn of_row(&self, row: usize) -> i64 {
        match self {
            Self::Same(size) => *size,
            Self::Each(sizes) => sizes.get(row).copied().unwrap_or(0),
        }
    }
}

fn each(array: &dyn Array) -> Result<Vec<i64>> {
    let rows = 0..array.len();
    let of_row = |size: &dyn Fn(usize) -> i64| {
        let rows = rows.clone();
        rows.map(|row| if array.is_null(row) { 0 } else { size(row) })
            .collect()
    };
    let bytes = |bytes: usize| i64::try_from(bytes).unwrap_or(i64::MAX);
    Ok(match array.data_type() {
        DataType::Utf8 => {
            let texts = array.as_string::<i32>();
            of_row(&|row| i64::from(texts.value_length(row)))
        }
        DataType::LargeUtf8 => {
            let texts = array.as_string::<i64>();
            of_row(&|row| texts.value_length(row))
        }
        DataType::Utf8View => {
            // The lower half of a view's first eight bytes is the length.
            let views = array.as_string_view().views();
            of_row(&|row| i64::from(views[row] as u32))
        }
        DataType::Dictionary(_, values) => each(cast(array, values)?.as_ref())?,
        kind if kind.is_integer() => {
            let numbers = cast(array, &DataType::Int64)?;
            let numbers = numbers.as_primitive::<Int64Type>();
            of_row(&|row| numbers.value(row))
        }
        DataType::List(_) => {
            let lists = array.as_list::<i32>();
            of_row(&|row| bytes(lists.value(row).len() * 16))
        }
        _ => of_row(&|_| PLAIN_VALUE),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_result_is_larger_than_its_bound() {
        let bound = |growth: Growth, sizes: &[i64]| {
            let sizes: Vec<_> = sizes.iter().map(|size| Sizes::Same(*size)).collect();
            growth.most_bytes(&sizes, 0)
        };
        assert_eq!(bound(Growth::Times, &[3, 5]), 15);
        assert_eq!(bound(Growth::Times, &[3, -5]), 0);
        assert_eq!(bound(Growth::Times, &[i64::MAX, 5]), u64::MAX);
        assert_eq!(bound(Growth::Padded, &[3, 10]), 13);
        assert_eq!(bound(Growth::Padded, &[3, 10, 9]), 43);
        // "aaaa" with "b" for "aa", and with "b" for "".
        assert_eq!(bound(Growth::Replaced, &[4, 2, 1]), 6);
        assert_eq!(bound(Growth::Replaced, &[4, 0, 1]), 4);
        assert_eq!(bound(Growth::ReplacedByPattern, &[4, 1, 2]), 10);
        assert_eq!(bound(Growth::ReplacedByPattern, &[4, 1, 2, 1]), 18);
        assert_eq!(bound(Growth::Separated, &[1, 2, 3]), 7);
        assert_eq!(bound(Growth::Joined, &[1, 2, 3]), 6);
        assert_eq!(bound(Growth::Series, &[10]), 80);
        assert_eq!(bound(Growth::Series, &[i64::MIN, i64::MAX]), u64::MAX);
    }
}
