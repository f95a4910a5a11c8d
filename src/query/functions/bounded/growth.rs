//! The most bytes that a function's result can have, from the sizes of its arguments.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::Result;
use datafusion::logical_expr::ColumnarValue;

/// What a value other than a text or a list takes, and the least that an element of a list does.
const ELEMENT: u64 = 8;

/// The most bytes that a letter of a template for times makes: `TMMonth`, `Q`, `US`.
const OF_TEMPLATE: u64 = 4;

/// What the parts of a text take for each of its bytes.
const OF_PART: u64 = 12;

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
    /// All arguments: `concat`, `||`, lists.
    Joined,
    /// The same, with the first between each two of the others: `concat_ws`.
    Separated,
    /// A list of a length: `array_resize`.
    Resized,
    /// A list with another value for some of its elements: `array_replace_all`.
    ReplacedElements,
    /// A time by a template: `to_char`.
    Templated,
    /// A list as text, with a separator: `array_to_string`.
    Listed,
    /// A text in parts: `string_to_array`.
    Split,
    /// The numbers of an interval: `range`, `generate_series`.
    Series,
}

impl Growth {
    /// The functions, by the engine's name.
    pub(super) const ALL: [(&str, Self); 23] = [
        ("repeat", Self::Times),
        ("lpad", Self::Padded),
        ("rpad", Self::Padded),
        ("replace", Self::Replaced),
        ("regexp_replace", Self::ReplacedByPattern),
        ("concat", Self::Joined),
        ("concat_ws", Self::Separated),
        ("overlay", Self::Joined),
        ("to_char", Self::Templated),
        ("array_repeat", Self::Times),
        ("array_resize", Self::Resized),
        ("array_append", Self::Joined),
        ("array_prepend", Self::Joined),
        ("array_concat", Self::Joined),
        ("array_union", Self::Joined),
        ("make_array", Self::Joined),
        ("array_replace", Self::Joined),
        ("array_replace_n", Self::ReplacedElements),
        ("array_replace_all", Self::ReplacedElements),
        ("array_to_string", Self::Listed),
        ("string_to_array", Self::Split),
        ("range", Self::Series),
        ("generate_series", Self::Series),
    ];

    /// Whether a result can be far smaller than the most that the arguments allow.
    pub(super) fn is_rarely_reached(self) -> bool {
        matches!(
            self,
            Self::Replaced | Self::ReplacedByPattern | Self::ReplacedElements | Self::Split
        )
    }

    /// The most bytes of a row's result.
    pub(super) fn most_bytes(self, sizes: &[Sizes], row: usize) -> u64 {
        let number = |index: usize| sizes.get(index).map(|sizes| sizes.number(row));
        let count = |index: usize| number(index).unwrap_or(0).max(0).unsigned_abs();
        let size = |index: usize| sizes.get(index).map_or(0, |sizes| sizes.bytes(row));
        let product = u64::saturating_mul;
        let all = || (0..sizes.len()).fold(0_u64, |sum, index| sum.saturating_add(size(index)));
        match self {
            Self::Times => product(size(0).max(1), count(1)),
            Self::Padded => {
                // Without a third argument the fill is a blank.
                let of_character = size(2).clamp(1, 4);
                product(count(1), of_character).saturating_add(size(0))
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
            Self::ReplacedElements => {
                let elements = size(0) / ELEMENT;
                product(elements, size(2)).saturating_add(size(0))
            }
            Self::Joined => all(),
            Self::Separated => {
                let separators = sizes.len().saturating_sub(2) as u64;
                all().saturating_add(product(size(0), separators))
            }
            Self::Templated => product(size(1), OF_TEMPLATE),
            Self::Resized => product(count(1), size(2).max(ELEMENT)).saturating_add(size(0)),
            Self::Listed => {
                let elements = size(0) / ELEMENT;
                product(elements, size(1).max(size(2))).saturating_add(product(size(0), 3))
            }
            Self::Split => product(size(0), OF_PART).saturating_add(size(0)),
            Self::Series => {
                let (start, stop) = match sizes.len() {
                    1 => (0, number(0).unwrap_or(0)),
                    _ => (number(0).unwrap_or(0), number(1).unwrap_or(0)),
                };
                let step = number(2).unwrap_or(1).unsigned_abs().max(1);
                product(start.abs_diff(stop) / step, ELEMENT)
            }
        }
    }
}

/// For each row, the bytes of an argument, and its value if it is a number; those of NULL are 0.
pub(super) struct Sizes {
    /// One for all rows where the argument is the same for all.
    bytes: Vec<u64>,
    numbers: Vec<i64>,
}

impl Sizes {
    pub(super) fn of(arg: &ColumnarValue) -> Result<Self> {
        match arg {
            ColumnarValue::Array(array) => Self::of_array(array),
            ColumnarValue::Scalar(value) => Self::of_array(&value.to_array()?),
        }
    }

    fn of_array(array: &ArrayRef) -> Result<Self> {
        Ok(Self {
            bytes: bytes(array)?,
            numbers: match array.data_type() {
                kind if kind.is_integer() => {
                    let numbers = cast(array, &DataType::Int64)?;
                    let numbers = numbers.as_primitive::<Int64Type>();
                    let value = |row: usize| match numbers.is_null(row) {
                        true => 0,
                        false => numbers.value(row),
                    };
                    (0..array.len()).map(value).collect()
                }
                _ => Vec::new(),
            },
        })
    }

    /// The argument of all rows is the first where there is one.
    fn at<T: Copy + Default>(values: &[T], row: usize) -> T {
        let value = values.get(row).or(match values {
            [one] => Some(one),
            _ => None,
        });
        value.copied().unwrap_or_default()
    }

    fn bytes(&self, row: usize) -> u64 {
        Self::at(&self.bytes, row)
    }

    fn number(&self, row: usize) -> i64 {
        Self::at(&self.numbers, row)
    }
}

/// The bytes of each row's value.
fn bytes(array: &ArrayRef) -> Result<Vec<u64>> {
    let of_row = |size: &dyn Fn(usize) -> u64| -> Vec<u64> {
        let size = |row| if array.is_null(row) { 0 } else { size(row) };
        (0..array.len()).map(size).collect()
    };
    Ok(match array.data_type() {
        DataType::Utf8 => {
            let texts = array.as_string::<i32>();
            of_row(&|row| u64::from(texts.value_length(row).unsigned_abs()))
        }
        DataType::LargeUtf8 => {
            let texts = array.as_string::<i64>();
            of_row(&|row| texts.value_length(row).unsigned_abs())
        }
        DataType::Utf8View => {
            // The lower half of a view's first eight bytes is the length.
            let views = array.as_string_view().views();
            of_row(&|row| u64::from(views[row] as u32))
        }
        DataType::Dictionary(_, values) => bytes(&cast(array, values)?)?,
        DataType::List(_) => {
            let lists = array.as_list::<i32>();
            let ends = ends_of_elements(lists.values())?;
            let offsets = lists.value_offsets();
            let end = |row: usize| ends[offsets[row].unsigned_abs() as usize];
            of_row(&|row| end(row + 1) - end(row))
        }
        DataType::LargeList(_) => {
            let lists = array.as_list::<i64>();
            let ends = ends_of_elements(lists.values())?;
            let offsets = lists.value_offsets();
            let end = |row: usize| ends[usize::try_from(offsets[row]).unwrap_or(0)];
            of_row(&|row| end(row + 1) - end(row))
        }
        DataType::Struct(_) => {
            let mut sum = vec![0; array.len()];
            for field in array.as_struct().columns() {
                for (sum, bytes) in sum.iter_mut().zip(bytes(field)?) {
                    *sum += bytes;
                }
            }
            of_row(&|row| sum[row])
        }
        _ => of_row(&|_| ELEMENT),
    })
}

/// The bytes of all elements before each place.
fn ends_of_elements(elements: &ArrayRef) -> Result<Vec<u64>> {
    let mut end = 0_u64;
    let mut ends = vec![0];
    for bytes in bytes(elements)? {
        end += bytes.max(ELEMENT);
        ends.push(end);
    }
    Ok(ends)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_result_is_larger_than_its_bound() {
        let bound = |growth: Growth, sizes: &[i64]| {
            let same = |size: &i64| Sizes {
                bytes: vec![size.unsigned_abs()],
                numbers: vec![*size],
            };
            let sizes: Vec<_> = sizes.iter().map(same).collect();
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
