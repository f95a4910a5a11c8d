//! A format that is written batch by batch, in memory that does not grow with the answer.

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;

use super::stop::Stop;

/// Writes batches as bytes.
pub trait Encoder {
    /// Adds what comes before the rows.
    fn begin(&mut self, schema: &Schema, out: &mut Vec<u8>) -> Result<(), Stop>;

    /// Adds the rows of a batch.
    fn rows(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), Stop>;

    /// Adds what comes behind the rows.
    fn end(&mut self, _out: &mut Vec<u8>) -> Result<(), Stop> {
        Ok(())
    }
}
