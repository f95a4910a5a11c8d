//! An answer as JSON: an array of objects, or an object on each line.
//!
//! Numbers have all their digits, also those that JavaScript would round (beyond 2^53). NaN and infinities, which JSON
//! lacks, are null.

use std::io::Write;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Schema};
use arrow::error::ArrowError;
use arrow::json::writer::{JsonFormat, LineDelimited, Writer, WriterBuilder};

use super::encoder::Encoder;
use super::stop::Stop;
use crate::values::{INSTANT, LOCAL_TIME};

/// An array, with an object on each of its lines.
#[derive(Debug, Default)]
pub struct Objects;

impl JsonFormat for Objects {
    fn start_stream<W: Write>(&self, writer: &mut W) -> Result<(), ArrowError> {
        Ok(writer.write_all(b"[")?)
    }

    fn start_row<W: Write>(&self, writer: &mut W, is_first: bool) -> Result<(), ArrowError> {
        match is_first {
            true => Ok(()),
            false => Ok(writer.write_all(b",\n")?),
        }
    }

    fn end_stream<W: Write>(&self, writer: &mut W) -> Result<(), ArrowError> {
        Ok(writer.write_all(b"]\n")?)
    }
}

/// Writes rows as objects.
pub struct Json<F: JsonFormat> {
    writer: Writer<Vec<u8>, F>,
    /// NaN and infinities so far.
    nulls: u64,
}

impl Json<Objects> {
    /// An array.
    pub fn array() -> Self {
        Self::new()
    }
}

impl Json<LineDelimited> {
    /// An object on each line.
    pub fn lines() -> Self {
        Self::new()
    }
}

impl<F: JsonFormat> Json<F> {
    fn new() -> Self {
        let writer = WriterBuilder::new()
            .with_explicit_nulls(true)
            .with_timestamp_format(LOCAL_TIME.to_owned())
            .with_timestamp_tz_format(INSTANT.to_owned())
            .build(Vec::new());
        Self { writer, nulls: 0 }
    }
}

impl<F: JsonFormat> Encoder for Json<F> {
    fn begin(&mut self, _: &Schema, _: &mut Vec<u8>) -> Result<(), Stop> {
        Ok(())
    }

    fn rows(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), Stop> {
        self.nulls += batch.columns().iter().map(no_numbers).sum::<u64>();
        self.writer.write(batch)?;
        out.append(self.writer.get_mut());
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Stop> {
        self.writer.finish()?;
        out.append(self.writer.get_mut());
        if self.nulls > 0 {
            tracing::warn!(
                values = self.nulls,
                "NaN and infinities are null in JSON, which has no such numbers: --format csv has them"
            );
        }
        Ok(())
    }
}

/// How many values of a column, or of what is nested in it, are NaN or infinite.
fn no_numbers(column: &ArrayRef) -> u64 {
    match column.data_type() {
        DataType::Float64 => count(column),
        DataType::Float16 | DataType::Float32 => {
            cast(column, &DataType::Float64).map_or(0, |column| count(&column))
        }
        DataType::Struct(_) => column.as_struct().columns().iter().map(no_numbers).sum(),
        DataType::List(_) => no_numbers(column.as_list::<i32>().values()),
        DataType::Map(..) => no_numbers(column.as_map().values()),
        _ => 0,
    }
}

fn count(column: &ArrayRef) -> u64 {
    let values = column.as_primitive::<Float64Type>();
    values
        .iter()
        .flatten()
        .filter(|value| !value.is_finite())
        .count() as u64
}
