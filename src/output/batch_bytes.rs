//! The bytes of a batch's values, and batches cut to a number of bytes: the same for the same rows, whatever the
//! engine's threads did.

use std::sync::Arc;

use arrow::array::{Array, ArrayData, ArrayRef, ByteView, GenericByteViewArray, RecordBatch};
use arrow::datatypes::{BinaryViewType, ByteViewType, DataType, StringViewType};

use super::columns::batch_of;
use crate::error::Result;

/// The batch with buffers that hold only its own values. The batches of a sort share the buffers of all sorted rows,
/// which would be counted, and kept in memory, with each batch.
pub(super) fn compact(batch: RecordBatch) -> Result<RecordBatch> {
    let columns = batch.columns().iter().map(|column| {
        let compacted = match column.data_type() {
            DataType::Utf8View => compacted::<StringViewType>(column),
            DataType::BinaryView => compacted::<BinaryViewType>(column),
            _ => None,
        };
        compacted.unwrap_or_else(|| Arc::clone(column))
    });
    batch_of(batch.schema_ref(), columns.collect())
}

/// The views with buffers of their own; `None` where most bytes of their present buffers are in use.
fn compacted<T: ByteViewType>(column: &ArrayRef) -> Option<ArrayRef> {
    let views = column.as_any().downcast_ref::<GenericByteViewArray<T>>()?;
    let held: usize = views.data_buffers().iter().map(|buffer| buffer.len()).sum();
    (held > 2 * views.total_buffer_bytes_used()).then(|| Arc::new(views.gc()) as ArrayRef)
}

/// The bytes of a batch's values, independent of the buffers that they are in. Which buffers those are may depend on
/// the timing of threads; where a row group ends, and so the bytes of a file, must not.
pub(super) fn bytes_of(batch: &RecordBatch) -> usize {
    let columns = batch.columns().iter();
    columns
        .map(|column| bytes_of_values(&column.to_data()))
        .sum()
}

fn bytes_of_values(values: &ArrayData) -> usize {
    let own = values.get_slice_memory_size().unwrap_or_default();
    own + bytes_behind_views(values)
}

/// The bytes of the values behind an array's views, which Arrow's size of a slice leaves out.
fn bytes_behind_views(values: &ArrayData) -> usize {
    let own: usize = match values.data_type() {
        DataType::Utf8View | DataType::BinaryView => {
            let views = &values.buffer::<u128>(0)[..values.len()];
            views
                .iter()
                .map(|view| ByteView::from(*view).length as usize)
                .sum()
        }
        _ => 0,
    };
    let parts = values.child_data().iter();
    own + parts.map(bytes_behind_views).sum::<usize>()
}

/// Splits the batch into slices of equally many rows and about `bytes` bytes.
pub(super) fn slices(batch: &RecordBatch, bytes: usize) -> Vec<RecordBatch> {
    let rows = batch.num_rows();
    let count = bytes_of(batch).div_ceil(bytes.max(1)).clamp(1, rows.max(1));
    let each = rows.div_ceil(count).max(1);
    let starts = (0..rows).step_by(each);
    starts
        .map(|start| batch.slice(start, each.min(rows - start)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{StringViewArray, StructArray};
    use arrow::datatypes::Field;

    #[test]
    fn a_batch_counts_its_values_wherever_they_are() {
        let text = "a text of more than twelve bytes";
        let many = StringViewArray::from_iter_values((0..1000).map(|n| format!("{text} {n}")));
        let of = |column: ArrayRef| RecordBatch::try_from_iter([("c", column)]).unwrap();
        let few = StringViewArray::from_iter_values((0..10).map(|n| format!("{text} {n}")));
        let few: ArrayRef = Arc::new(few);
        let shared = of(Arc::new(many.slice(0, 10)));
        let own = of(Arc::clone(&few));
        assert_ne!(shared.get_array_memory_size(), own.get_array_memory_size());
        assert_eq!(bytes_of(&shared), bytes_of(&own));
        assert_eq!(bytes_of(&own), 10 * (16 + text.len() + 2));
        let field = Arc::new(Field::new("text", DataType::Utf8View, false));
        let within: ArrayRef = Arc::new(StructArray::from(vec![(field, few)]));
        assert_eq!(bytes_of(&of(within)), bytes_of(&own));
    }
}
