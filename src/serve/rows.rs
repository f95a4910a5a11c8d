//! The rows of an answer on their way to a client: a batch at a time, each row appended to what is sent, and no further batch
//! taken until the client has read.

use std::collections::VecDeque;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use bytes::{BufMut, BytesMut};
use chrono_tz::Tz;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::copy::{CopyDone, CopyOutResponse};
use pgwire::messages::data::{FieldDescription, RowDescription};

use super::copy::CopyForm;
use super::encode::{Form, Values};
use super::errors::{End, Refusal};
use super::types::Kind;
use super::wire::Wire;
use crate::batch_bytes::slices;
use crate::error::Error;

/// The most rows that are encoded before what is written is looked at.
const ROWS_AT_A_TIME: usize = 256;

/// The bytes of values that are encoded before what is written is looked at. The rows of a batch may share one long text, and
/// have it once each where they are sent.
const BYTES_AT_A_TIME: usize = 8 << 20;

/// The most columns whose number the protocol can say.
const MOST_COLUMNS: usize = i16::MAX as usize;

/// A column of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its heading.
    pub name: String,
    /// Its type.
    pub kind: Kind,
}

/// The columns of a schema under their headings.
///
/// # Errors
/// More columns than the protocol has.
pub fn columns(schema: &Schema, headings: &[String]) -> Result<Vec<Column>, Refusal> {
    let count = schema.fields().len();
    if count > MOST_COLUMNS {
        return Err(Refusal::new(
            "54011",
            format!("the answer has {count} columns: expected at most {MOST_COLUMNS}"),
        ));
    }
    let fields = schema.fields().iter().enumerate();
    let columns = fields.map(|(at, field)| Column {
        // Where the protocol has a name, it ends at its first zero; a Parquet file can have any name.
        name: headings
            .get(at)
            .unwrap_or(field.name())
            .replace('\0', "\u{fffd}"),
        kind: Kind::of(field.data_type()),
    });
    Ok(columns.collect())
}

/// The form of a column among those that a client asks for: none for text, one for all, or one for each.
pub fn form_of(forms: &[i16], column: usize) -> Form {
    let code = match forms {
        [] => 0,
        [all] => *all,
        each => each.get(column).copied().unwrap_or(0),
    };
    if code == 1 { Form::Binary } else { Form::Text }
}

/// What describes rows to a client.
pub fn description(columns: &[Column], forms: &[i16]) -> PgWireBackendMessage {
    let fields = columns.iter().enumerate();
    let fields = fields.map(|(at, column)| {
        FieldDescription::new(
            column.name.clone(),
            0,
            0,
            column.kind.oid(),
            column.kind.length(),
            -1,
            i16::from(form_of(forms, at) == Form::Binary),
        )
    });
    PgWireBackendMessage::RowDescription(RowDescription::new(fields.collect()))
}

/// An answer that is under way.
pub struct Rows {
    /// Its columns.
    pub columns: Vec<Column>,
    batches: SendableRecordBatchStream,
    zone: Tz,
    forms: Vec<i16>,
    present: Option<Batch>,
    /// What of the last batch was not encoded yet.
    rest: VecDeque<RecordBatch>,
    /// The query, for the places of errors.
    sql: String,
}

/// A batch whose rows are sent up to one of them.
struct Batch {
    batch: RecordBatch,
    values: Vec<Values>,
    rows: usize,
    next: usize,
}

/// How far the rows of an answer were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// The number of rows.
    pub rows: u64,
    /// Whether these are the last ones.
    pub is_end: bool,
}

impl Rows {
    /// The rows of a stream.
    pub fn new(columns: Vec<Column>, batches: SendableRecordBatchStream, zone: Tz) -> Self {
        Self {
            columns,
            batches,
            zone,
            forms: Vec::new(),
            present: None,
            rest: VecDeque::new(),
            sql: String::new(),
        }
    }

    /// The same rows as those of a query.
    pub fn of(mut self, sql: &str) -> Self {
        sql.clone_into(&mut self.sql);
        self
    }

    /// The same rows in forms that a client asks for.
    pub fn in_forms(mut self, forms: Vec<i16>) -> Self {
        self.forms = forms;
        self
    }

    /// Sends the next rows in other forms.
    pub fn set_forms(&mut self, forms: &[i16]) -> Result<(), Refusal> {
        if self.forms != forms {
            self.forms = forms.to_vec();
            if let Some(Batch { batch, next, .. }) = self.present.take() {
                let encoded = self.encoded(&batch)?;
                self.present = Some(Batch { next, ..encoded });
            }
        }
        Ok(())
    }

    /// The present batch, or the next that has rows; `None` at the end.
    async fn batch(&mut self) -> Result<Option<&mut Batch>, End> {
        while self
            .present
            .as_ref()
            .is_none_or(|batch| batch.next >= batch.rows)
        {
            if let Some(batch) = self.rest.pop_front() {
                self.present = Some(self.encoded(&batch)?);
                continue;
            }
            let Some(batch) = self.batches.next().await else {
                return Ok(None);
            };
            let batch =
                batch.map_err(|error| Refusal::of(&Error::from_engine(error), &self.sql))?;
            self.rest = slices(&batch, BYTES_AT_A_TIME).into();
        }
        Ok(self.present.as_mut())
    }

    fn encoded(&self, batch: &RecordBatch) -> Result<Batch, Refusal> {
        let columns = batch.columns().iter().zip(&self.columns).enumerate();
        let values = columns.map(|(at, (values, column))| {
            Values::new(values, &column.kind, form_of(&self.forms, at), self.zone).map_err(
                |error| {
                    let what = format!(
                        "a value of the column {:?} can't be sent as {}: {error}",
                        column.name,
                        column.kind.sql_name()
                    );
                    Refusal::new("22003", what)
                },
            )
        });
        Ok(Batch {
            values: values.collect::<Result<_, _>>()?,
            batch: batch.clone(),
            rows: batch.num_rows(),
            next: 0,
        })
    }

    /// Sends at most a number of rows.
    pub async fn send(&mut self, wire: &mut Wire, most: Option<usize>) -> Result<Sent, End> {
        let mut rows = 0;
        loop {
            let left = most.map_or(usize::MAX, |most| most - rows);
            if left == 0 {
                break;
            }
            let Some(batch) = self.batch().await? else {
                return Ok(sent(rows, true));
            };
            let count = (batch.rows - batch.next).min(left).min(ROWS_AT_A_TIME);
            let out = wire.buffer();
            for row in batch.next..batch.next + count {
                put_row(&batch.values, row, out);
            }
            batch.next += count;
            rows += count;
            if wire.is_full() {
                wire.flush().await?;
            }
        }
        Ok(sent(rows, false))
    }

    /// Drops at most a number of rows.
    pub async fn skip(&mut self, most: Option<usize>) -> Result<Sent, End> {
        let mut rows = 0;
        while most.is_none_or(|most| rows < most) {
            let Some(batch) = self.batch().await? else {
                return Ok(sent(rows, true));
            };
            let count = (batch.rows - batch.next).min(most.map_or(usize::MAX, |most| most - rows));
            batch.next += count;
            rows += count;
        }
        Ok(sent(rows, false))
    }

    /// Sends all rows as those of a `COPY`.
    pub async fn copy(mut self, wire: &mut Wire, form: &CopyForm) -> Result<u64, End> {
        let binary = i16::from(form.form() == Form::Binary);
        self.forms = vec![binary];
        let count = i16::try_from(self.columns.len()).unwrap_or(i16::MAX);
        let codes = vec![binary; self.columns.len()];
        let response = CopyOutResponse::new(i8::from(binary == 1), count, codes);
        wire.put(PgWireBackendMessage::CopyOutResponse(response))?;
        let (mut data, mut scratch) = (BytesMut::new(), BytesMut::new());
        let names: Vec<&str> = self.columns.iter().map(|it| it.name.as_str()).collect();
        form.head(&names, &mut data);
        // The head of a binary copy is in the message of its first row, as PostgreSQL has it.
        if binary == 0 && !data.is_empty() {
            put_copy_data(&mut data, wire.buffer());
        }
        let mut rows: u64 = 0;
        while let Some(batch) = self.batch().await? {
            let count = (batch.rows - batch.next).min(ROWS_AT_A_TIME);
            for row in batch.next..batch.next + count {
                // A message for each row, as PostgreSQL has it: some clients rely on that.
                form.row(&batch.values, row, &mut scratch, &mut data);
                put_copy_data(&mut data, wire.buffer());
            }
            batch.next += count;
            rows += count as u64;
            if wire.is_full() {
                wire.flush().await?;
            }
        }
        form.tail(&mut data);
        if !data.is_empty() {
            put_copy_data(&mut data, wire.buffer());
        }
        wire.put(PgWireBackendMessage::CopyDone(CopyDone::new()))?;
        Ok(rows)
    }
}

fn sent(rows: usize, is_end: bool) -> Sent {
    Sent {
        rows: rows as u64,
        is_end,
    }
}

/// The message of a row.
fn put_row(columns: &[Values], row: usize, out: &mut BytesMut) {
    out.put_u8(b'D');
    let start = out.len();
    out.put_i32(0);
    out.put_i16(i16::try_from(columns.len()).unwrap_or(i16::MAX));
    for column in columns {
        column.put(row, out);
    }
    let length = i32::try_from(out.len() - start).unwrap_or(i32::MAX);
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

/// The message of a part of a copy, whose data is taken.
fn put_copy_data(data: &mut BytesMut, out: &mut BytesMut) {
    out.put_u8(b'd');
    out.put_i32(i32::try_from(data.len() + 4).unwrap_or(i32::MAX));
    out.put_slice(data);
    data.clear();
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field};

    use super::*;

    #[test]
    fn a_name_that_the_protocol_would_end_early_is_whole() {
        let schema = Schema::new(vec![Field::new("a\0b", DataType::Int32, true)]);
        assert_eq!(columns(&schema, &[]).unwrap()[0].name, "a\u{fffd}b");
    }

    #[test]
    fn more_columns_than_the_protocol_has_are_refused() {
        let fields =
            (0..=MOST_COLUMNS).map(|at| Field::new(format!("c{at}"), DataType::Int32, true));
        let schema = Schema::new(fields.collect::<Vec<_>>());
        assert_eq!(columns(&schema, &[]).unwrap_err().code, "54011");
    }
}
