//! The bytes of a batch's values, and batches cut to a number of bytes: the same for the same rows, whatever the
//! engine's threads did.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayData, ArrayRef, ByteView, GenericByteViewArray, RecordBatch, RecordBatchOptions,
    UInt32Array, make_array,
};
use arrow::compute::take;
use arrow::datatypes::{BinaryViewType, ByteViewType, DataType, StringViewType};
use arrow::error::ArrowError;
use datafusion::common::utils::memory::get_record_batch_memory_size;

/// The batch with buffers that hold only its own values, unless most of its present buffers are those. The slices of a
/// batch share its buffers, as do the batches of a sort; they would be counted, and kept in memory, with each.
pub fn compact(batch: RecordBatch) -> Result<RecordBatch, ArrowError> {
    if get_record_batch_memory_size(&batch) <= 2 * bytes_of(&batch) {
        return Ok(batch);
    }
    let columns = batch.columns().iter().map(compacted);
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(batch.schema(), columns, &options)
}

/// The values in buffers of their own.
fn compacted(values: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    Ok(match values.data_type() {
        DataType::Utf8View => without_others::<StringViewType>(values),
        DataType::BinaryView => without_others::<BinaryViewType>(values),
        kind => {
            let rows = u32::try_from(values.len()).unwrap_or(u32::MAX);
            let copied = take(values, &UInt32Array::from_iter_values(0..rows), None)?;
            match kind.is_nested() {
                true => with_parts_compacted(copied.to_data())?,
                false => copied,
            }
        }
    })
}

/// Views into buffers without the values of other arrays.
fn without_others<T: ByteViewType>(values: &ArrayRef) -> ArrayRef {
    let views = values.as_any().downcast_ref::<GenericByteViewArray<T>>();
    views.map_or_else(|| Arc::clone(values), |views| Arc::new(views.gc()))
}

/// Lists and structs whose own rows are copied already, with their parts compacted.
fn with_parts_compacted(values: ArrayData) -> Result<ArrayRef, ArrowError> {
    let parts = values.child_data().iter().map(|part| {
        let part = make_array(part.clone());
        match part.data_type() {
            DataType::Utf8View => Ok(without_others::<StringViewType>(&part).to_data()),
            DataType::BinaryView => Ok(without_others::<BinaryViewType>(&part).to_data()),
            kind if kind.is_nested() => Ok(with_parts_compacted(part.to_data())?.to_data()),
            _ => Ok(part.to_data()),
        }
    });
    let parts = parts.collect::<Result<Vec<_>, ArrowError>>()?;
    Ok(make_array(values.into_builder().child_data(parts).build()?))
}

/// The bytes of a batch's values, independent of the buffers that they are in. Which buffers those are may depend on
/// the timing of threads; where a row group ends, and so the bytes of a file, must not.
pub fn bytes_of(batch: &RecordBatch) -> usize {
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
pub fn slices(batch: &RecordBatch, bytes: usize) -> Vec<RecordBatch> {
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
    use arrow::array::{ListBuilder, StringViewArray, StringViewBuilder, StructArray};
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

    #[test]
    fn a_compact_slice_holds_its_own_values_only() {
        let text = "a text of more than twelve bytes";
        let texts: ArrayRef = Arc::new(StringViewArray::from_iter_values(
            (0..10_000).map(|n| format!("{text} {n}")),
        ));
        let numbers: ArrayRef = Arc::new(UInt32Array::from_iter_values(0..10_000));
        let mut lists = ListBuilder::new(StringViewBuilder::new());
        for n in 0..10_000 {
            lists.append_value([Some(format!("{text} of a list {n}")), None]);
        }
        let lists: ArrayRef = Arc::new(lists.finish());
        let columns = [("texts", texts), ("numbers", numbers), ("lists", lists)];
        let all = RecordBatch::try_from_iter(columns).unwrap();
        let slice = all.slice(5000, 10);
        let own = compact(slice.clone()).unwrap();
        assert_eq!(own, slice);
        assert!(get_record_batch_memory_size(&slice) > 1_000_000);
        assert!(
            get_record_batch_memory_size(&own) < 5000,
            "{}",
            get_record_batch_memory_size(&own)
        );
        // What holds little else is not copied.
        let whole = compact(all.clone()).unwrap();
        assert!(whole.column(0).to_data().ptr_eq(&all.column(0).to_data()));
    }
}
