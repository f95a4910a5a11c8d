//! An answer as CSV or TSV, in which an empty text and NULL are different, as in PostgreSQL: `""`, and nothing.

use std::fmt::Write;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Schema};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::encoder::Encoder;
use super::stop::Stop;
use crate::values::{INSTANT, LOCAL_TIME};

/// Values in lines, with a separator between them. One that has the separator, a quote or a new line is in quotes, as in
/// RFC 4180.
pub struct Separated {
    separator: char,
    value: String,
}

impl Separated {
    /// Comma-separated values.
    pub fn by_commas() -> Self {
        Self::by(',')
    }

    /// Values with tabs between them.
    pub fn by_tabs() -> Self {
        Self::by('\t')
    }

    fn by(separator: char) -> Self {
        Self {
            separator,
            value: String::new(),
        }
    }
}

impl Encoder for Separated {
    fn begin(&mut self, schema: &Schema, out: &mut Vec<u8>) -> Result<(), Stop> {
        for (number, field) in schema.fields().iter().enumerate() {
            if number > 0 {
                push(out, self.separator);
            }
            append(field.name(), self.separator, out);
        }
        out.push(b'\n');
        Ok(())
    }

    fn rows(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), Stop> {
        let options = FormatOptions::default()
            .with_timestamp_format(Some(LOCAL_TIME))
            .with_timestamp_tz_format(Some(INSTANT));
        let columns = batch.columns().iter();
        let columns: Vec<_> = columns
            .map(|column| Column::new(column.as_ref(), &options))
            .collect::<Result<_, ArrowError>>()?;
        for row in 0..batch.num_rows() {
            for (number, column) in columns.iter().enumerate() {
                if number > 0 {
                    push(out, self.separator);
                }
                if column
                    .nulls
                    .as_ref()
                    .is_some_and(|nulls| nulls.is_null(row))
                {
                    continue;
                }
                let value = match &column.values {
                    Values::Texts(texts) => texts.value(row),
                    Values::Formatted(formatter) => {
                        self.value.clear();
                        write!(self.value, "{}", formatter.value(row))
                            .map_err(|_| unwritable(column.data_type))?;
                        &self.value
                    }
                };
                append(value, self.separator, out);
            }
            out.push(b'\n');
        }
        Ok(())
    }
}

struct Column<'a> {
    /// Those of a dictionary, or of a column that is NULL throughout, are not in the array's own buffer.
    nulls: Option<NullBuffer>,
    values: Values<'a>,
    data_type: &'a DataType,
}

enum Values<'a> {
    Texts(&'a arrow::array::StringViewArray),
    Formatted(ArrayFormatter<'a>),
}

impl<'a> Column<'a> {
    fn new(array: &'a dyn Array, options: &FormatOptions<'a>) -> Result<Self, ArrowError> {
        Ok(Self {
            nulls: array.logical_nulls(),
            values: match array.as_string_view_opt() {
                Some(texts) => Values::Texts(texts),
                None => Values::Formatted(ArrayFormatter::try_new(array, options)?),
            },
            data_type: array.data_type(),
        })
    }
}

/// A value that its formatter refuses, such as a time beyond the calendar.
fn unwritable(data_type: &DataType) -> ArrowError {
    ArrowError::CsvError(format!("a value of the type {data_type} has no text"))
}

fn push(out: &mut Vec<u8>, separator: char) {
    out.extend_from_slice(separator.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Adds a value, in quotes where it needs them. An empty text does, to be no NULL.
fn append(text: &str, separator: char, out: &mut Vec<u8>) {
    let needs_quotes = text.is_empty() || text.contains(['"', separator, '\n', '\r']);
    if !needs_quotes {
        return out.extend_from_slice(text.as_bytes());
    }
    out.push(b'"');
    for (number, part) in text.split('"').enumerate() {
        if number > 0 {
            out.extend_from_slice(b"\"\"");
        }
        out.extend_from_slice(part.as_bytes());
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Float64Array, StringArray, StringViewArray};
    use std::sync::Arc;

    #[test]
    fn an_empty_text_is_no_null() {
        let texts = vec![Some(""), None, Some("a,\"b\"\r\nc"), Some("NULL")];
        let numbers =
            Float64Array::from(vec![Some(1.5), Some(f64::NAN), None, Some(f64::INFINITY)]);
        let as_views = StringViewArray::from(texts.clone());
        let columns: [(&str, ArrayRef); 3] = [
            ("text, quoted", Arc::new(StringArray::from(texts))),
            ("view", Arc::new(as_views)),
            ("n", Arc::new(numbers)),
        ];
        let batch = RecordBatch::try_from_iter_with_nullable(
            columns.map(|(name, column)| (name, column, true)),
        )
        .unwrap();
        for (mut encoder, expected) in [
            (
                Separated::by_commas(),
                "\"text, quoted\",view,n\n\"\",\"\",1.5\n,,NaN\n\"a,\"\"b\"\"\r\nc\",\"a,\"\"b\"\"\r\nc\",\nNULL,NULL,inf\n",
            ),
            (
                Separated::by_tabs(),
                "text, quoted\tview\tn\n\"\"\t\"\"\t1.5\n\t\tNaN\n\"a,\"\"b\"\"\r\nc\"\t\"a,\"\"b\"\"\r\nc\"\t\nNULL\tNULL\tinf\n",
            ),
        ] {
            let mut out = Vec::new();
            assert!(encoder.begin(&batch.schema(), &mut out).is_ok());
            assert!(encoder.rows(&batch, &mut out).is_ok());
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
