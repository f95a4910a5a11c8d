//! The rows of the last answer, which `\chart` draws without reading the logs again.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use datafusion::error::Result;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, stream};

use crate::batch_bytes::{bytes_of, compact};
use crate::query::Statement;

/// An answer of more bytes is not kept: it has more points than a chart shows.
const MOST_BYTES: usize = 16 << 20;

/// An answer with its rows.
pub struct Kept {
    /// Its statement.
    pub statement: Statement,
    rows: Arc<Mutex<Rows>>,
}

#[derive(Default)]
struct Rows {
    batches: Vec<RecordBatch>,
    bytes: usize,
    is_whole: bool,
}

impl Rows {
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        if self.bytes > MOST_BYTES {
            return Ok(());
        }
        self.bytes += bytes_of(batch);
        match self.bytes > MOST_BYTES {
            true => self.batches.clear(),
            // The batch may be a view into objects that are far larger.
            false => self.batches.push(compact(batch.clone())?),
        }
        Ok(())
    }
}

impl Kept {
    /// Keeps the rows of an answer while they pass.
    pub fn new(
        statement: &Statement,
        batches: SendableRecordBatchStream,
    ) -> (Self, SendableRecordBatchStream) {
        let rows = Arc::new(Mutex::new(Rows::default()));
        let (schema, shared) = (batches.schema(), Arc::clone(&rows));
        let end = Arc::clone(&rows);
        let passing = batches.map(move |batch| {
            let batch = batch?;
            lock(&shared).add(&batch)?;
            Ok(batch)
        });
        let at_end = stream::once(async move {
            lock(&end).is_whole = true;
            None
        });
        let passing = passing.map(Some).chain(at_end);
        let passing = passing.filter_map(|batch| async { batch });
        let kept = Self {
            statement: statement.clone(),
            rows,
        };
        let passing = RecordBatchStreamAdapter::new(schema, passing);
        (kept, Box::pin(passing))
    }

    /// The rows again; `None` where they were too many, or the query did not end.
    pub fn rows(&self) -> Option<SendableRecordBatchStream> {
        let rows = lock(&self.rows);
        if !rows.is_whole || rows.bytes > MOST_BYTES {
            return None;
        }
        let batches: Vec<Result<RecordBatch>> = rows.batches.iter().cloned().map(Ok).collect();
        let schema = self.statement.schema();
        let again = RecordBatchStreamAdapter::new(schema, stream::iter(batches));
        Some(Box::pin(again))
    }
}

fn lock(rows: &Mutex<Rows>) -> impl std::ops::DerefMut<Target = Rows> {
    rows.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use super::*;
    use crate::query::Engine;

    /// An answer that was read up to a number of batches, as it is kept.
    async fn kept(sql: &str, batches: usize) -> Option<usize> {
        let engine = Engine::new(256 << 20, &std::env::temp_dir()).unwrap();
        let session = engine.session(chrono_tz::UTC).unwrap();
        let statement = session.statement(sql, "SQL").await.unwrap();
        let execution = session.run(&statement).await.unwrap();
        let (kept, passing) = Kept::new(&statement, execution.batches);
        let read: Vec<RecordBatch> = passing.take(batches).try_collect().await.unwrap();
        assert!(!read.is_empty());
        let again: Vec<RecordBatch> = kept.rows()?.try_collect().await.unwrap();
        Some(again.iter().map(RecordBatch::num_rows).sum())
    }

    #[tokio::test]
    async fn whole_answers_that_are_small_are_kept() {
        let series = "SELECT n FROM unnest(generate_series(1, 100000)) AS s(n)";
        assert_eq!(kept(series, usize::MAX).await, Some(100_000));
        assert_eq!(kept(series, 1).await, None);
        let large =
            "SELECT lpad(n::text, 500, 'x') AS m FROM unnest(generate_series(1, 100000)) AS s(n)";
        assert_eq!(kept(large, usize::MAX).await, None);
    }
}
