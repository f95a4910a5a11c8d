//! The rows of an answer on their way to a client: a batch at a time, each row appended to what is sent, and no further batch
//! taken until the client has read.

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
use crate::error::Error;

/// The most rows that are encoded before what is written is looked at.
const ROWS_AT_A_TIME: usize = 256;

/// A column of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its heading.
    pub name: String,
    /// Its type.
    pub kind: Kind,
}

/// The columns of a schema under their headings.
pub fn columns(schema: &Schema, headings: &[String]) -> Vec<Column> {
    let fields = schema.fields().iter().enumerate();
    fields
        .map(|(at, field)| Column {
            name: headings.get(at).unwrap_or(field.name()).clone(),
            kind: Kind::of(field.data_type()),
        })
        .collect()
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
            let Some(batch) = self.batches.next().await else {
                return Ok(None);
            };
            let batch =
                batch.map_err(|error| Refusal::of(&Error::from_engine(error), &self.sql))?;
            self.present = Some(self.encoded(&batch)?);
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
