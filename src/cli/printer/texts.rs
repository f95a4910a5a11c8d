//! A column's values as a reader sees them.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Float64Type};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use std::sync::Arc;

/// What stands for no value.
pub const NULL: &str = "NULL";

/// How a column is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// To the right, and never cut.
    Number,
    /// A time, a length of time, a truth value: never cut.
    Whole,
    /// To the left; it may be cut.
    Text,
}

impl Kind {
    /// The kind of a type.
    pub fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Dictionary(_, values) => Self::of(values),
            DataType::RunEndEncoded(_, values) => Self::of(values.data_type()),
            DataType::Boolean => Self::Whole,
            other if other.is_numeric() => Self::Number,
            other if other.is_temporal() => Self::Whole,
            _ => Self::Text,
        }
    }
}

/// Numbers that are no integers, rounded to 15 digits: beyond those a `double precision` has only what it is not exact by.
pub fn rounded(column: &ArrayRef) -> ArrayRef {
    if *column.data_type() != DataType::Float64 {
        return Arc::clone(column);
    }
    let round = |number: f64| match number.is_finite() && number.fract() != 0.0 {
        true => format!("{number:.14e}").parse().unwrap_or(number),
        false => number,
    };
    let rounded = column
        .as_primitive::<Float64Type>()
        .unary::<_, Float64Type>(round);
    Arc::new(rounded)
}

/// The texts of a column.
pub struct Texts<'a> {
    nulls: Option<NullBuffer>,
    formatter: ArrayFormatter<'a>,
}

impl<'a> Texts<'a> {
    /// Those of a column.
    pub fn new(column: &'a ArrayRef) -> Result<Self, ArrowError> {
        const OPTIONS: FormatOptions<'static> = FormatOptions::new();
        Ok(Self {
            nulls: column.logical_nulls(),
            formatter: ArrayFormatter::try_new(column, &OPTIONS)?,
        })
    }

    /// The text of a row; `None` for NULL.
    pub fn text(&self, row: usize) -> Result<Option<String>, ArrowError> {
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return Ok(None);
        }
        self.formatter.value(row).try_to_string().map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::Float64Array;

    #[test]
    fn a_reader_sees_numbers_without_what_they_are_not_exact_by() {
        let numbers = [
            0.1 + 0.2,
            665.910_000_000_000_1,
            1e300,
            9_007_199_254_740_993.0,
            7.0,
            -0.125,
        ];
        let column: ArrayRef = Arc::new(Float64Array::from(numbers.to_vec()));
        let column = rounded(&column);
        let texts = Texts::new(&column).unwrap();
        let shown: Vec<_> = (0..numbers.len())
            .map(|row| texts.text(row).unwrap().unwrap())
            .collect();
        assert_eq!(
            shown,
            [
                "0.3",
                "665.91",
                "1e300",
                "9007199254740992.0",
                "7.0",
                "-0.125"
            ]
        );
    }
}
