//! An answer as CSV, in which an empty text and NULL are different, as in PostgreSQL: `""`, and nothing.

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::{INSTANT, LOCAL_TIME};

/// The line of the columns' names.
pub(super) fn header(schema: &Schema) -> String {
    let names: Vec<String> = schema
        .fields()
        .iter()
        .map(|field| quoted(field.name()))
        .collect();
    format!("{}\n", names.join(","))
}

/// Adds a line for each row.
pub(super) fn append_rows(batch: &RecordBatch, lines: &mut String) -> Result<(), ArrowError> {
    let options = FormatOptions::default()
        .with_timestamp_format(Some(LOCAL_TIME))
        .with_timestamp_tz_format(Some(INSTANT));
    let nested = batch
        .columns()
        .iter()
        .find(|column| column.data_type().is_nested());
    if let Some(column) = nested {
        let message = format!("CSV has no values of the type {}", column.data_type());
        return Err(ArrowError::CsvError(message));
    }
    let columns = batch.columns().iter();
    let columns: Vec<_> = columns
        // Those of a dictionary or of a column that is NULL throughout are not in the array's own buffer.
        .map(|column| {
            Ok((
                column.logical_nulls(),
                ArrayFormatter::try_new(column, &options)?,
            ))
        })
        .collect::<Result<_, ArrowError>>()?;
    for row in 0..batch.num_rows() {
        for (number, (nulls, formatter)) in columns.iter().enumerate() {
            if number > 0 {
                lines.push(',');
            }
            if nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)) {
                lines.push_str(&quoted(&formatter.value(row).try_to_string()?));
            }
        }
        lines.push('\n');
    }
    Ok(())
}

/// A value in quotes where it needs them. An empty text does, to be no NULL.
fn quoted(text: &str) -> String {
    let needs_quotes = text.is_empty() || text.contains(['"', ',', '\n', '\r']);
    match needs_quotes {
        false => text.to_owned(),
        true => format!("\"{}\"", text.replace('"', "\"\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Float64Array, StringArray};
    use std::sync::Arc;

    #[test]
    fn an_empty_text_is_no_null() {
        let texts = StringArray::from(vec![Some(""), None, Some("a,\"b\"\r\nc"), Some("NULL")]);
        let numbers =
            Float64Array::from(vec![Some(1.5), Some(f64::NAN), None, Some(f64::INFINITY)]);
        let columns: [(&str, ArrayRef); 2] =
            [("text, quoted", Arc::new(texts)), ("n", Arc::new(numbers))];
        let batch = RecordBatch::try_from_iter_with_nullable(
            columns.map(|(name, column)| (name, column, true)),
        )
        .unwrap();
        let mut text = header(&batch.schema());
        append_rows(&batch, &mut text).unwrap();
        assert_eq!(
            text,
            "\"text, quoted\",n\n\"\",1.5\n,NaN\n\"a,\"\"b\"\"\r\nc\",\nNULL,inf\n"
        );
    }
}
