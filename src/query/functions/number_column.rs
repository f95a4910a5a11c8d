//! Builds a column of numbers in which few rows have a value.

use arrow::array::{ArrowPrimitiveType, BooleanBufferBuilder, PrimitiveArray};
use arrow::buffer::NullBuffer;

/// A column of numbers, NULL but for the rows that are set.
///
/// Arrow's builders append row after row; as one message in ten is a report, touching only the rows that have a value
/// is cheaper.
pub(super) struct NumberColumn<T: ArrowPrimitiveType> {
    values: Vec<T::Native>,
    validity: BooleanBufferBuilder,
}

impl<T: ArrowPrimitiveType> NumberColumn<T> {
    pub(super) fn new(rows: usize) -> Self {
        let mut validity = BooleanBufferBuilder::new(rows);
        validity.append_n(rows, false);
        NumberColumn {
            values: vec![T::Native::default(); rows],
            validity,
        }
    }

    pub(super) fn set(&mut self, row: usize, value: Option<T::Native>) {
        if let Some(value) = value {
            self.values[row] = value;
            self.validity.set_bit(row, true);
        }
    }

    pub(super) fn finish(mut self) -> PrimitiveArray<T> {
        let nulls = NullBuffer::new(self.validity.finish());
        PrimitiveArray::new(self.values.into(), Some(nulls))
    }
}
