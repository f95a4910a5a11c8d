//! An answer as Parquet, with the compression, the row groups and the statistics of a job's answers.
//!
//! Its columns differ from those of a job's answers, which follow Athena's rules: names are as they were written, instants
//! are instants (`isAdjustedToUTC`) with their full precision, and unsigned integers stay so. Lengths of time, which Parquet
//! lacks, are text.

use std::path::Path;
use std::sync::Arc;

use datafusion::execution::memory_pool::MemoryPool;

use super::rows::Rows;
use super::stop::Stop;
use crate::output::parquet::Spool;

/// Writes all rows to a file. What it holds in memory is reserved in the pool.
pub async fn write(rows: &mut Rows, file: &Path, pool: &Arc<dyn MemoryPool>) -> Result<(), Stop> {
    let mut spool = Spool::ad_hoc(file.to_owned(), Arc::clone(rows.schema()), pool)?;
    while let Some(batch) = rows.next().await? {
        spool.write(&batch).await?;
    }
    spool.finish().await?;
    Ok(())
}
