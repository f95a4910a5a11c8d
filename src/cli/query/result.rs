//! What `query` writes: a table to be read, CSV and JSON for programs.

mod csv;

use std::collections::HashSet;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use arrow::util::pretty::pretty_format_batches;
use datafusion::execution::SendableRecordBatchStream;
use datafusion_functions_json::{JSON_UNION_DATA_TYPE, JsonUnionEncoder, JsonUnionValue};
use futures::StreamExt;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::error::{Class, Error, Result};
use crate::query::Statement;

/// More rows than this are no longer read as a table, and a table is held in memory until its widths are known.
const MOST_TABLE_ROWS: usize = 10_000;

/// The widest cell of a table that no terminal shows, in columns of a terminal.
const WIDEST_CELL: usize = 120;

/// A cell has this many columns however narrow the terminal is.
const NARROWEST_CELL: usize = 8;

/// How CSV and JSON have a time without a zone. Each time has three digits of milliseconds: a reader that looks at the
/// first rows to find a column's form would take others for text.
const LOCAL_TIME: &str = "%Y-%m-%dT%H:%M:%S%.3f";

/// How CSV and JSON have an instant: on the wall clock of its zone, with the offset.
const INSTANT: &str = "%Y-%m-%dT%H:%M:%S%.3f%:z";

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Columns that line up, in lines that fit the terminal; what is longer is cut, and ends with …
    Table,
    /// Comma-separated values with a header, whole
    Csv,
    /// An array of objects, whole
    Json,
}

impl Format {
    /// The format that a file's name ends in. An error (usage) if it ends in another.
    pub fn of_file(file: Option<&Path>) -> Result<Self> {
        let Some((file, extension)) = file.and_then(|file| Some((file, file.extension()?))) else {
            return Ok(Format::Table);
        };
        match extension.to_ascii_lowercase().to_str() {
            Some("txt") => Ok(Format::Table),
            Some("csv") => Ok(Format::Csv),
            Some("json") => Ok(Format::Json),
            _ => Err(Error::usage(format!(
                "--output {} ends with .{}, which is no format of query: expected .csv, .json or .txt, or --format",
                file.display(),
                extension.display()
            ))),
        }
    }
}

/// The rows that a question gives.
pub struct QueryResult {
    pub statement: Statement,
    pub batches: SendableRecordBatchStream,
}

impl QueryResult {
    /// Writes all of it; `columns` is the width of the terminal that shows it.
    pub async fn write(
        mut self,
        format: Format,
        columns: Option<usize>,
        out: &mut impl Write,
    ) -> Result<()> {
        let written = match format {
            Format::Table => self.write_table(columns, out).await,
            Format::Csv => self.write_csv(out).await,
            Format::Json => self.write_json(out).await,
        };
        match written.and_then(|()| out.flush().map_err(write_error)) {
            Err(Stop::Done) => Ok(()),
            Err(Stop::Failed(error)) => Err(error),
            Ok(()) => Ok(()),
        }
    }

    async fn next(&mut self) -> Result<Option<RecordBatch>, Stop> {
        let batch = self.batches.next().await.transpose();
        let batch = batch.map_err(|error| Stop::Failed(Error::from_engine(error)))?;
        batch.map(|batch| json_as_text(&batch)).transpose()
    }

    async fn write_table(
        &mut self,
        columns: Option<usize>,
        out: &mut impl Write,
    ) -> Result<(), Stop> {
        let widest = columns.unwrap_or(WIDEST_CELL);
        let schema = self.statement.schema();
        let fields = schema.fields();
        let mut table: Vec<Vec<String>> = fields
            .iter()
            .map(|field| vec![cell(field.name(), widest)])
            .collect();
        let mut rows = 0;
        while let Some(batch) = self.next().await? {
            let room = MOST_TABLE_ROWS - rows;
            let shown = batch.num_rows().min(room);
            rows += shown;
            for (cells, column) in table.iter_mut().zip(batch.columns()) {
                let options = FormatOptions::default();
                let formatter = ArrayFormatter::try_new(column, &options).map_err(format_error)?;
                for row in 0..shown {
                    let text = formatter.value(row).try_to_string().map_err(format_error)?;
                    cells.push(cell(&text, widest));
                }
            }
            if batch.num_rows() > room {
                tracing::warn!(
                    "only the first {MOST_TABLE_ROWS} rows are shown; --format csv or json has them all"
                );
                break;
            }
        }
        if let Some(columns) = columns {
            fit(&mut table, columns);
        }
        let table = lines_up(&table, rows).map_err(format_error)?;
        writeln!(out, "{table}").map_err(write_error)
    }

    async fn write_csv(&mut self, out: &mut impl Write) -> Result<(), Stop> {
        let empty = json_as_text(&RecordBatch::new_empty(self.statement.schema()))?;
        let mut text = csv::header(&empty.schema());
        out.write_all(text.as_bytes()).map_err(write_error)?;
        while let Some(batch) = self.next().await? {
            text.clear();
            csv::append_rows(&batch, &mut text).map_err(format_error)?;
            out.write_all(text.as_bytes()).map_err(write_error)?;
        }
        Ok(())
    }

    async fn write_json(&mut self, out: &mut impl Write) -> Result<(), Stop> {
        one_key_each(&self.statement.schema()).map_err(Stop::Failed)?;
        let mut writer = arrow::json::WriterBuilder::new()
            .with_explicit_nulls(true)
            .with_timestamp_format(LOCAL_TIME.to_owned())
            .with_timestamp_tz_format(INSTANT.to_owned())
            .build::<_, arrow::json::writer::JsonArray>(&mut *out);
        while let Some(batch) = self.next().await? {
            writer.write(&batch).map_err(format_error)?;
        }
        writer.finish().map_err(format_error)?;
        writeln!(out).map_err(write_error)
    }
}

/// An error (SQL) where two columns have one name: most readers of JSON keep only the last of them.
fn one_key_each(schema: &Schema) -> Result<()> {
    let mut names = HashSet::new();
    let twice = schema
        .fields()
        .iter()
        .find(|field| !names.insert(field.name()));
    match twice {
        None => Ok(()),
        Some(field) => Err(Error::new(
            Class::Sql,
            format!(
                "the answer has several columns {:?}, which JSON can't tell apart: give each a name of its own with AS",
                field.name()
            ),
        )),
    }
}

/// The batch with the values of `message->'member'`, a union that no format can hold, as the text of their JSON. A `null` is
/// NULL, like a member that is not there.
fn json_as_text(batch: &RecordBatch) -> Result<RecordBatch, Stop> {
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        let union = (*column.data_type() == *JSON_UNION_DATA_TYPE)
            .then(|| JsonUnionEncoder::from_union(column.as_union().clone()))
            .flatten();
        match union {
            None => {
                fields.push(Arc::clone(field));
                columns.push(Arc::clone(column));
            }
            Some(union) => {
                let texts = (0..union.len()).map(|row| json_text(union.get_value(row)));
                let texts: ArrayRef = Arc::new(texts.collect::<StringArray>());
                fields.push(Arc::new(Field::new(field.name(), DataType::Utf8, true)));
                columns.push(texts);
            }
        }
    }
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &rows)
        .map_err(format_error)
}

fn json_text(value: JsonUnionValue<'_>) -> Option<String> {
    use serde_json::Value;
    Some(match value {
        JsonUnionValue::JsonNull => return None,
        JsonUnionValue::Bool(value) => value.to_string(),
        JsonUnionValue::Int(value) => value.to_string(),
        JsonUnionValue::Float(value) => Value::from(value).to_string(),
        JsonUnionValue::Str(value) => Value::from(value).to_string(),
        JsonUnionValue::Array(json) | JsonUnionValue::Object(json) => json.to_owned(),
    })
}

/// A value on one line of at most `widest` columns, without control characters: those in a message could move the cursor
/// or colour all that follows.
fn cell(text: &str, widest: usize) -> String {
    let mut cell = String::new();
    let mut width = 0;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let c = match c {
            '\r' if chars.peek() == Some(&'\n') => continue,
            '\n' => '↵',
            '\t' => ' ',
            c if c.is_control() => '\u{fffd}',
            c => c,
        };
        width += c.width().unwrap_or(0);
        if width > widest {
            while cell.width() >= widest {
                cell.pop();
            }
            cell.push('…');
            break;
        }
        cell.push(c);
    }
    cell
}

/// Cuts the widest columns, so that a line of the table has at most `columns`.
fn fit(table: &mut [Vec<String>], columns: usize) {
    let widest = |cells: &Vec<String>| cells.iter().map(|cell| cell.width()).max().unwrap_or(0);
    let widths: Vec<usize> = table.iter().map(widest).collect();
    // A border and a space at either side of a cell.
    let room = columns.saturating_sub(3 * widths.len() + 1);
    let fits = |most: &usize| widths.iter().map(|width| width.min(most)).sum::<usize>() <= room;
    let most = (NARROWEST_CELL..=columns).rev().find(fits);
    let most = most.unwrap_or(NARROWEST_CELL);
    for text in table.iter_mut().flatten() {
        if text.width() > most {
            *text = cell(text, most);
        }
    }
}

/// The table of columns, each with its name first.
fn lines_up(columns: &[Vec<String>], rows: usize) -> Result<impl std::fmt::Display, ArrowError> {
    let mut fields = Vec::new();
    let mut arrays: Vec<ArrayRef> = Vec::new();
    for column in columns {
        let (name, cells) = column
            .split_first()
            .unwrap_or((const { &String::new() }, &[]));
        fields.push(Field::new(name, DataType::Utf8, false));
        arrays.push(Arc::new(StringArray::from_iter_values(cells)));
    }
    let rows = RecordBatchOptions::new().with_row_count(Some(rows));
    let batch = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &rows)?;
    pretty_format_batches(&[batch])
}

/// Why writing an answer ends early.
enum Stop {
    /// The reader has closed the pipe, which is no error (`| head`).
    Done,
    Failed(Error),
}

fn write_error(error: std::io::Error) -> Stop {
    match error.kind() {
        std::io::ErrorKind::BrokenPipe => Stop::Done,
        _ => Stop::Failed(Error::new(Class::Output, "can't write the answer").caused_by(error)),
    }
}

fn format_error(error: ArrowError) -> Stop {
    match error {
        ArrowError::IoError(_, error) => write_error(error),
        error => Stop::Failed(Error::new(
            Class::Sql,
            format!(
                "the answer can't be written in this format: {error}. Cast its columns, for instance to text with ::text"
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_one_line_and_no_wider_than_they_may_be() {
        for (text, widest, expected) in [
            ("plain", 5, "plain"),
            ("too wide", 5, "too …"),
            ("결제 실패", 6, "결제 …"),
            ("결제실패", 6, "결제…"),
            ("a\tb\r\nc\nd\u{1b}[2J", 20, "a b↵c↵d\u{fffd}[2J"),
            ("", 5, ""),
        ] {
            assert_eq!(cell(text, widest), expected, "{text:?}");
        }
    }

    #[test]
    fn a_table_fits_its_terminal_and_only_wide_columns_are_cut() {
        let wide = "a message of some length".to_owned();
        let mut table = vec![
            vec!["level".to_owned(), "ERROR".to_owned()],
            vec!["message".to_owned(), wide.clone()],
        ];
        fit(&mut table, 25);
        assert_eq!(table[0], ["level", "ERROR"]);
        assert_eq!(table[1], ["message", "a message of…"]);
        let drawn = lines_up(&table, 1).unwrap().to_string();
        assert!(drawn.lines().all(|line| line.width() <= 25), "{drawn}");
    }
}
