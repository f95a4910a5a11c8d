//! Lines of JSON as columns: the members of their objects. A member that has texts in some lines is text in all.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::json::ReaderBuilder;
use arrow::json::reader::infer_json_schema;
use serde_json::Value;

use super::LookupText;
use super::csv::data_type;
use crate::error::{Error, Result};

pub(super) fn batch(texts: &[LookupText], types: &BTreeMap<String, String>) -> Result<RecordBatch> {
    for text in texts {
        check_lines(text)?;
    }
    let names: Vec<&str> = texts.iter().map(|text| text.name.as_str()).collect();
    let names = names.join(", ");
    let all: Vec<&[u8]> = texts.iter().map(|text| text.text.as_slice()).collect();
    let all = all.join(&b'\n');
    let failed = |error| Error::damaged(format!("can't read {names}")).caused_by(error);
    let (found, _) = infer_json_schema(Cursor::new(&all), None).map_err(failed)?;
    if let Some(unknown) = types.keys().find(|name| found.index_of(name).is_err()) {
        return Err(Error::usage(format!(
            "{names} has no member {unknown:?}, whose type is set"
        )));
    }
    let fields = found.fields().iter().map(|field| {
        let of_type = types.get(field.name()).and_then(|name| data_type(name));
        // A member that is NULL in every line.
        let found = match field.data_type() {
            DataType::Null => DataType::Utf8,
            other => other.clone(),
        };
        Field::new(field.name(), of_type.unwrap_or(found), true)
    });
    let mut fields: Vec<Field> = fields.collect();
    // The order in which members are found is not always the same.
    fields.sort_by(|one, other| one.name().cmp(other.name()));
    let schema = Arc::new(Schema::new(fields));
    let rows = ReaderBuilder::new(Arc::clone(&schema))
        .with_coerce_primitive(true)
        .build(Cursor::new(&all))
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(failed)?;
    let rows = concat_batches(&schema, &rows).map_err(failed)?;
    let columns = rows
        .columns()
        .iter()
        .map(|column| match column.data_type() {
            DataType::Utf8 => cast(column, &DataType::Utf8View),
            _ => Ok(Arc::clone(column)),
        });
    let columns = columns.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let fields = schema.fields().iter().zip(&columns);
    let fields =
        fields.map(|(field, column)| Field::new(field.name(), column.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    RecordBatch::try_new(schema, columns).map_err(failed)
}

/// An error (damaged) with the line that is no object.
fn check_lines(text: &LookupText) -> Result<()> {
    for (number, line) in (1..).zip(text.text.split(|byte| *byte == b'\n')) {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let found = match serde_json::from_slice(line) {
            Ok(Value::Object(_)) => continue,
            Ok(other) => format!("{other}: expected an object"),
            Err(error) => format!("no JSON: {error}"),
        };
        return Err(Error::damaged(format!("{}:{number}: {found}", text.name)));
    }
    Ok(())
}
