//! CSV as columns. A column has the type that all its values have: numbers, booleans, dates, times, or else text.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow::compute::{CastOptions, cast_with_options, concat_batches};
use arrow::csv::ReaderBuilder;
use arrow::csv::reader::Format;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::util::display::FormatOptions;

use super::{LookupText, TextFormat};
use crate::error::{Error, Result};

/// The rows of all texts. Each has a line of names, and all have the same.
pub(super) fn batch(texts: &[LookupText], types: &BTreeMap<String, String>) -> Result<RecordBatch> {
    let mut batches = Vec::new();
    let mut first: Option<(&LookupText, SchemaRef)> = None;
    for text in texts {
        let columns = columns(text)?;
        if let Some((other, names)) = &first
            && names != &columns
        {
            return Err(Error::damaged(format!(
                "{}:1: the columns are ({}), and those of {} are ({}): expected the same in every file of a table",
                text.name,
                listed(&columns),
                other.name,
                listed(names)
            )));
        }
        first = first.or(Some((text, Arc::clone(&columns))));
        batches.extend(rows(text, &columns)?);
    }
    let Some((text, columns)) = first else {
        return Err(Error::usage("a lookup table has no file"));
    };
    if let Some(unknown) = types.keys().find(|name| columns.index_of(name).is_err()) {
        return Err(Error::usage(format!(
            "{} has no column {unknown:?}, whose type is set: expected one of {}",
            text.name,
            listed(&columns)
        )));
    }
    let texts = concat_batches(&columns, &batches)
        .map_err(|error| Error::damaged(format!("can't read {}", text.name)).caused_by(error))?;
    typed(&texts, types, &text.name)
}

fn listed(columns: &Schema) -> String {
    let names = columns.fields().iter().map(|field| field.name().as_str());
    names.collect::<Vec<_>>().join(", ")
}

fn format(text: &LookupText) -> Format {
    let delimiter = match text.format {
        TextFormat::Tsv => b'\t',
        TextFormat::Csv | TextFormat::Ndjson => b',',
    };
    Format::default()
        .with_header(true)
        .with_delimiter(delimiter)
}

/// The names in the first line, all of them texts for now.
fn columns(text: &LookupText) -> Result<SchemaRef> {
    let head = format(text).infer_schema(text.text.as_slice(), Some(0));
    let (head, _) = head.map_err(|error| {
        Error::damaged(format!(
            "{}:1: can't read the names of the columns",
            text.name
        ))
        .caused_by(error)
    })?;
    let mut columns: Vec<Field> = Vec::new();
    for field in head.fields() {
        let name = field.name().trim();
        let wrong = match name {
            "" => Some("a column has no name".to_owned()),
            name if columns.iter().any(|other| other.name() == name) => {
                Some(format!("two columns are named {name:?}"))
            }
            _ => None,
        };
        if let Some(wrong) = wrong {
            return Err(Error::damaged(format!(
                "{}:1: {wrong}: expected a line with a name for each column",
                text.name
            )));
        }
        columns.push(Field::new(name, DataType::Utf8, true));
    }
    if columns.is_empty() {
        return Err(Error::damaged(format!(
            "{} is empty: expected a line with the names of the columns, and a line for each row",
            text.name
        )));
    }
    Ok(Arc::new(Schema::new(columns)))
}

fn rows(text: &LookupText, columns: &SchemaRef) -> Result<Vec<RecordBatch>> {
    let reader = ReaderBuilder::new(Arc::clone(columns)).with_format(format(text));
    let rows = reader
        .build(text.text.as_slice())
        .and_then(|rows| rows.collect::<Result<Vec<_>, _>>());
    rows.map_err(|error| {
        // `Csv error: incorrect number of fields for line 3, expected 2 got 3`
        let said = error.to_string();
        let said = said.rsplit("error: ").next().unwrap_or(&said);
        let line = said.split_once("line ").map(|(_, rest)| rest);
        let line: String = line
            .unwrap_or_default()
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        match line.is_empty() {
            true => Error::damaged(format!("can't read {}: {said}", text.name)),
            false => Error::damaged(format!("{}:{line}: {said}", text.name)),
        }
    })
}

/// The columns with their types.
fn typed(texts: &RecordBatch, types: &BTreeMap<String, String>, name: &str) -> Result<RecordBatch> {
    let mut fields = Vec::new();
    let mut columns: Vec<ArrayRef> = Vec::new();
    for (field, column) in texts.schema().fields().iter().zip(texts.columns()) {
        let column = match types.get(field.name()) {
            Some(of_type) => as_type(column, of_type, field.name(), name)?,
            None => found_type(column),
        };
        fields.push(Field::new(field.name(), column.data_type().clone(), true));
        columns.push(column);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
        .map_err(|error| Error::damaged(format!("can't read {name}")).caused_by(error))
}

/// Whether a text is a value of a type.
type IsOfType = fn(&str) -> bool;

/// The types that values may have, the narrowest first. A code such as `007` is no number.
fn candidates() -> [(IsOfType, DataType); 5] {
    [
        (|value| matches!(value, "true" | "false"), DataType::Boolean),
        (is_integer, DataType::Int64),
        (is_number, DataType::Float64),
        (is_date, DataType::Date32),
        (
            is_time,
            DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
        ),
    ]
}

fn is_integer(value: &str) -> bool {
    let digits = value.strip_prefix('-').unwrap_or(value);
    let has_zero = digits.len() > 1 && digits.starts_with('0');
    !has_zero
        && !digits.is_empty()
        && digits.bytes().all(|b| b.is_ascii_digit())
        && value.parse::<i64>().is_ok()
}

fn is_number(value: &str) -> bool {
    let digits = value.strip_prefix('-').unwrap_or(value);
    let mut bytes = digits.bytes();
    let has_zero = digits.starts_with('0') && digits.len() > 1 && !digits.starts_with("0.");
    !has_zero
        && digits.starts_with(|first: char| first.is_ascii_digit())
        && bytes.all(|b| b.is_ascii_digit() || b".eE+-".contains(&b))
        // A number of more digits is a code, and would lose some of them.
        && digits.bytes().filter(u8::is_ascii_digit).count() <= 17
        && value.parse::<f64>().is_ok_and(f64::is_finite)
}

fn is_date(value: &str) -> bool {
    value.len() == 10 && chrono::NaiveDate::parse_from_str(value, "%Y-%m-%d").is_ok()
}

/// A time with its offset: what it means depends on no zone.
fn is_time(value: &str) -> bool {
    chrono::DateTime::parse_from_rfc3339(value).is_ok()
}

fn found_type(column: &ArrayRef) -> ArrayRef {
    let Some(texts) = column.as_any().downcast_ref::<StringArray>() else {
        return Arc::clone(column);
    };
    let has_values = texts.null_count() < texts.len();
    let fits = |is_it: &fn(&str) -> bool| texts.iter().flatten().all(is_it);
    let fitting = candidates()
        .into_iter()
        .find(|(is_it, _)| has_values && fits(is_it));
    let data_type = fitting.map_or(DataType::Utf8View, |(_, data_type)| data_type);
    cast(column, &data_type)
        .or_else(|_| cast(column, &DataType::Utf8View))
        .unwrap_or_else(|_| Arc::clone(column))
}

fn cast(column: &ArrayRef, to: &DataType) -> Result<ArrayRef, arrow::error::ArrowError> {
    let options = CastOptions {
        safe: false,
        format_options: FormatOptions::default(),
    };
    cast_with_options(column, to, &options)
}

/// A column as a type that is named. An error (usage) names the first value that is not of it.
fn as_type(column: &ArrayRef, of_type: &str, name: &str, file: &str) -> Result<ArrayRef> {
    let data_type = data_type(of_type).ok_or_else(|| {
        Error::usage(format!(
            "the type of the column {name:?} of {file} is {of_type:?}: expected text, bigint, double, boolean, date or timestamp"
        ))
    })?;
    cast(column, &data_type).map_err(|_| {
        let texts = column.as_any().downcast_ref::<StringArray>();
        let is_wrong = |row: &usize| {
            column.is_valid(*row) && cast(&column.slice(*row, 1), &data_type).is_err()
        };
        let row = (0..column.len()).find(is_wrong);
        let value = texts
            .zip(row)
            .map(|(texts, row)| texts.value(row).to_owned());
        Error::usage(format!(
            "{:?} in the column {name:?} of {file} is no {of_type}",
            value.unwrap_or_default()
        ))
    })
}

/// The type of a name of SQL.
pub(super) fn data_type(name: &str) -> Option<DataType> {
    Some(match name {
        "text" => DataType::Utf8View,
        "bigint" | "integer" | "int" => DataType::Int64,
        "double" | "double precision" => DataType::Float64,
        "boolean" => DataType::Boolean,
        "date" => DataType::Date32,
        "timestamp" => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
        _ => return None,
    })
}
