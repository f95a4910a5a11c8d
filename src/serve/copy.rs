//! The rows of `COPY … TO STDOUT`: as text, as CSV, or binary.
//!
//! Source: <https://www.postgresql.org/docs/15/sql-copy.html>.

use bytes::{BufMut, BytesMut};

use super::encode::{Form, Values};

/// The formats.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Layout {
    /// Values between tabulators.
    #[default]
    Text,
    /// Comma-separated values.
    Csv,
    /// PostgreSQL's own.
    Binary,
}

/// How the rows are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyForm {
    /// The format.
    pub layout: Layout,
    /// What stands between two values.
    pub delimiter: u8,
    /// What stands for NULL.
    pub null: String,
    /// Whether the names of the columns come first.
    pub has_header: bool,
    /// What stands around a value of CSV.
    pub quote: u8,
    /// What stands before a quote within one; the quote itself where unset.
    pub escape: Option<u8>,
    /// Whether it stands around each value.
    pub quotes_all: bool,
}

impl Default for CopyForm {
    fn default() -> Self {
        Self {
            layout: Layout::Text,
            delimiter: b'\t',
            null: "\\N".to_owned(),
            has_header: false,
            quote: b'"',
            escape: None,
            quotes_all: false,
        }
    }
}

/// What a binary copy begins with: the signature, no flags, no extension.
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

impl CopyForm {
    /// The form of the values.
    pub fn form(&self) -> Form {
        match self.layout {
            Layout::Binary => Form::Binary,
            _ => Form::Text,
        }
    }

    /// What stands before the rows.
    pub fn head(&self, names: &[&str], out: &mut BytesMut) {
        if self.layout == Layout::Binary {
            out.put_slice(SIGNATURE);
        }
        if !self.has_header {
            return;
        }
        for (at, name) in names.iter().enumerate() {
            if at > 0 {
                out.put_u8(self.delimiter);
            }
            self.put(name.as_bytes(), names.len() == 1, out);
        }
        out.put_u8(b'\n');
    }

    /// What stands behind them.
    pub fn tail(&self, out: &mut BytesMut) {
        if self.layout == Layout::Binary {
            out.put_i16(-1);
        }
    }

    /// A row.
    pub fn row(&self, columns: &[Values], row: usize, scratch: &mut BytesMut, out: &mut BytesMut) {
        if self.layout == Layout::Binary {
            out.put_i16(i16::try_from(columns.len()).unwrap_or(i16::MAX));
            for column in columns {
                column.put(row, out);
            }
            return;
        }
        for (at, column) in columns.iter().enumerate() {
            if at > 0 {
                out.put_u8(self.delimiter);
            }
            if column.is_null(row) {
                out.put_slice(self.null.as_bytes());
                continue;
            }
            scratch.clear();
            column.write(row, scratch);
            self.put(scratch, columns.len() == 1, out);
        }
        out.put_u8(b'\n');
    }

    fn put(&self, value: &[u8], is_alone: bool, out: &mut BytesMut) {
        match self.layout {
            Layout::Csv => self.put_csv(value, is_alone, out),
            _ => self.put_text(value, out),
        }
    }

    fn put_text(&self, value: &[u8], out: &mut BytesMut) {
        for byte in value {
            let letter = match byte {
                b'\x08' => b'b',
                b'\x0c' => b'f',
                b'\n' => b'n',
                b'\r' => b'r',
                b'\t' => b't',
                b'\x0b' => b'v',
                b'\\' => b'\\',
                byte if *byte == self.delimiter => *byte,
                byte => {
                    out.put_u8(*byte);
                    continue;
                }
            };
            out.put_slice(&[b'\\', letter]);
        }
    }

    /// `\.` alone in a line would be the end.
    fn put_csv(&self, value: &[u8], is_alone: bool, out: &mut BytesMut) {
        let is_special = |byte: &u8| [self.delimiter, self.quote, b'\n', b'\r'].contains(byte);
        let quoted = self.quotes_all
            || value == self.null.as_bytes()
            || is_alone && value == b"\\."
            || value.iter().any(is_special);
        if !quoted {
            out.put_slice(value);
            return;
        }
        let escape = self.escape.unwrap_or(self.quote);
        out.put_u8(self.quote);
        for byte in value {
            if *byte == self.quote || *byte == escape {
                out.put_u8(escape);
            }
            out.put_u8(*byte);
        }
        out.put_u8(self.quote);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringArray};

    use super::*;
    use crate::serve::types::Kind;

    fn written(form: &CopyForm) -> Vec<u8> {
        let texts: ArrayRef = Arc::new(StringArray::from(vec![
            Some("a\tb\\"),
            Some("x,\"y\"\n"),
            None,
            Some(""),
        ]));
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3), Some(4)]));
        let values = |column: &ArrayRef| {
            Values::new(
                column,
                &Kind::of(column.data_type()),
                form.form(),
                chrono_tz::UTC,
            )
            .unwrap()
        };
        let columns = [values(&texts), values(&numbers)];
        let (mut out, mut scratch) = (BytesMut::new(), BytesMut::new());
        form.head(&["m", "n"], &mut out);
        for row in 0..4 {
            form.row(&columns, row, &mut scratch, &mut out);
        }
        form.tail(&mut out);
        out.to_vec()
    }

    #[test]
    fn texts_are_those_of_postgresql() {
        let text = written(&CopyForm::default());
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "a\\tb\\\\\t1\nx,\"y\"\\n\t\\N\n\\N\t3\n\t4\n"
        );
        let csv = CopyForm {
            layout: Layout::Csv,
            delimiter: b',',
            null: String::new(),
            has_header: true,
            ..CopyForm::default()
        };
        let text = String::from_utf8(written(&csv)).unwrap();
        assert_eq!(text, "m,n\na\tb\\,1\n\"x,\"\"y\"\"\n\",\n,3\n\"\",4\n");
        let binary = CopyForm {
            layout: Layout::Binary,
            ..CopyForm::default()
        };
        let bytes = written(&binary);
        assert!(bytes.starts_with(b"PGCOPY\n\xff\r\n\0") && bytes.ends_with(&[255, 255]));
    }
}
