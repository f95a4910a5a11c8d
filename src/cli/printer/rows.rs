//! The rows of an answer, batch by batch, in the values that a format has and under the names that the asker wrote.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;

use super::stop::Stop;
use super::texts::Kind;
use crate::batch_bytes::slices;
use crate::error::Error;
use crate::values::{Holds, held, held_type};

/// The bytes of values that are written at a time. The rows of a batch may share one long text, such as `max(message)` beside each
/// of them, and have it once each where they are written.
const WRITTEN_BYTES: usize = 8 << 20;

/// The rows of an answer.
pub struct Rows {
    batches: SendableRecordBatchStream,
    schema: SchemaRef,
    kinds: Vec<Kind>,
    holds: Holds,
    /// What of the last batch was not taken yet.
    rest: VecDeque<RecordBatch>,
    /// Rows so far.
    count: u64,
}

impl Rows {
    /// Those of a stream, whose columns have these names, in the values of a format.
    pub fn new(
        batches: SendableRecordBatchStream,
        mut names: Vec<String>,
        holds: Holds,
    ) -> Result<Self, Stop> {
        if holds != Holds::Text {
            tell_apart(&mut names);
        }
        let columns = batches.schema();
        let columns = columns.fields();
        let fields = columns.iter().zip(names).map(|(column, name)| {
            let data_type = held_type(column.data_type(), holds)?;
            Ok(Field::new(name, data_type, true))
        });
        let fields = fields.collect::<Result<Vec<_>, Stop>>()?;
        let kinds = columns.iter().map(|column| Kind::of(column.data_type()));
        Ok(Self {
            kinds: kinds.collect(),
            schema: Arc::new(Schema::new(fields)),
            batches,
            holds,
            rest: VecDeque::new(),
            count: 0,
        })
    }

    /// The columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The names of the columns.
    pub fn names(&self) -> Vec<String> {
        let fields = self.schema.fields().iter();
        fields.map(|field| field.name().clone()).collect()
    }

    /// How the columns are laid out.
    pub fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    /// How many rows there were so far.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The next batch.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, Stop> {
        let batch = loop {
            if let Some(batch) = self.rest.pop_front() {
                break batch;
            }
            let next = self.batches.next().await.transpose();
            match next.map_err(Error::from_engine)? {
                Some(batch) => self.rest = slices(&batch, WRITTEN_BYTES).into(),
                None => return Ok(None),
            }
        };
        self.count += batch.num_rows() as u64;
        let columns = batch
            .columns()
            .iter()
            .map(|column| held(column, self.holds));
        let columns: Vec<ArrayRef> = columns.collect::<Result<_, _>>()?;
        let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &rows)?;
        Ok(Some(batch))
    }
}

/// Gives columns of one name different ones, with a warning: `message`, `message_1`. Readers of these formats keep only one of
/// several columns of a name, or fail.
fn tell_apart(names: &mut [String]) {
    let mut taken: HashSet<String> = names.iter().cloned().collect();
    let mut seen = HashSet::new();
    for name in names {
        if seen.insert(name.clone()) {
            continue;
        }
        let numbered = (1..).map(|number| format!("{name}_{number}"));
        let Some(new) = numbered.into_iter().find(|new| !taken.contains(new)) else {
            continue;
        };
        tracing::warn!(
            "the answer has several columns {name:?}: the next is written as {new:?}; AS gives it another name"
        );
        taken.insert(new.clone());
        seen.insert(new.clone());
        *name = new;
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, StringViewArray};
    use datafusion::physical_plan::stream::RecordBatchStreamAdapter;

    use super::*;

    #[tokio::test]
    async fn rows_that_share_a_long_text_come_a_few_at_a_time() {
        let long = "x".repeat(WRITTEN_BYTES / 4);
        let texts = StringViewArray::from_iter_values([&long]);
        let (views, buffers) = (texts.views()[0], texts.data_buffers().to_vec());
        let texts = StringViewArray::new(vec![views; 30].into(), buffers, None);
        let batch = RecordBatch::try_from_iter([("longest", Arc::new(texts) as ArrayRef)]).unwrap();
        let batches = futures::stream::iter([Ok(batch.clone())]);
        let batches = RecordBatchStreamAdapter::new(batch.schema(), batches);
        let names = vec!["longest".to_owned()];
        let rows = Rows::new(Box::pin(batches), names, Holds::Text);
        let Ok(mut rows) = rows else {
            panic!("no rows");
        };
        while let Ok(Some(some)) = rows.next().await {
            assert!(some.num_rows() <= 4, "{}", some.num_rows());
            assert_eq!(some.column(0).as_string_view().value(0), long);
        }
        assert_eq!(rows.count(), 30);
    }

    #[test]
    fn columns_of_one_name_are_told_apart() {
        let mut names = ["n", "message", "message", "message_1", "message"].map(str::to_owned);
        tell_apart(&mut names);
        assert_eq!(
            names,
            ["n", "message", "message_2", "message_1", "message_3"]
        );
    }
}
