//! Row groups, encoded on threads of their own while their rows come.
//!
//! Rows that wait to be encoded, and pages that wait for their place in the file, are in memory: both are reserved in the
//! engine's pool, so that the query that gives the rows leaves room for them.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use datafusion::common::human_readable_size;
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::{
    MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves,
};
use parquet::errors::ParquetError;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::batch_bytes::bytes_of;
use crate::query::ROW_GROUPS;

/// The most bytes of rows that wait to be encoded.
const MOST_WAITING: usize = 192 << 20;

/// The unit of memory in which rows wait for their turn.
const UNIT: usize = 1 << 10;

/// The memory of all row groups of an answer.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    reservation: Arc<MemoryReservation>,
    /// The bytes of the pool.
    size: usize,
    /// How many answers are written at a time, and share what one may take.
    shared_by: usize,
    /// A permit for each unit of rows that may wait.
    turns: Arc<Semaphore>,
    most_waiting: usize,
}

impl Memory {
    pub(super) fn of(pool: &Arc<dyn MemoryPool>) -> Self {
        let size = match pool.memory_limit() {
            MemoryLimit::Finite(bytes) => bytes,
            _ => usize::MAX,
        };
        let most_waiting = most_waiting(size);
        Self {
            reservation: Arc::new(MemoryConsumer::new(ROW_GROUPS).register(pool)),
            size,
            shared_by: 1,
            turns: Arc::new(Semaphore::new(most_waiting)),
            most_waiting,
        }
    }

    /// The memory of one of `several` answers that are written at a time.
    pub(super) fn shared_by(self, several: usize) -> Self {
        let several = several.max(1);
        let most_waiting = most_waiting(self.size / several);
        Self {
            shared_by: several,
            turns: Arc::new(Semaphore::new(most_waiting)),
            most_waiting,
            ..self
        }
    }

    /// Whether the row groups have so much that some should be written before others begin.
    pub(super) fn is_scarce(&self) -> bool {
        self.reservation.size() > self.size / self.shared_by / 8
    }

    fn hold(&self) -> Held {
        Held {
            reservation: Arc::clone(&self.reservation),
            bytes: 0,
        }
    }

    /// Waits while many rows wait.
    async fn queue(&self, rows: RecordBatch) -> Result<WaitingRows, ParquetError> {
        let bytes = bytes_of(&rows);
        let units = bytes.div_ceil(UNIT).min(self.most_waiting);
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        let turn = Arc::clone(&self.turns).acquire_many_owned(units).await;
        let mut held = self.hold();
        held.resize(bytes);
        Ok(WaitingRows {
            rows,
            _turn: turn.map_err(|closed| ParquetError::External(closed.into()))?,
            _held: held,
        })
    }

    /// Errors: one row group has most of the pool.
    fn check(&self, pages: usize) -> Result<(), ParquetError> {
        let most = self.size / 2;
        if pages <= most {
            return Ok(());
        }
        let error = DataFusionError::ResourcesExhausted(format!(
            "a row group of the Parquet file needs {} and can have {} of {}",
            human_readable_size(pages),
            human_readable_size(most),
            human_readable_size(self.size),
        ));
        Err(ParquetError::External(error.into()))
    }
}

/// The units of rows that may wait in a pool of this many bytes.
fn most_waiting(bytes: usize) -> usize {
    (bytes / 16).clamp(UNIT, MOST_WAITING) / UNIT
}

/// A part of the memory, given back when it is dropped.
struct Held {
    reservation: Arc<MemoryReservation>,
    bytes: usize,
}

impl Held {
    /// Never fails, as the memory is in use already: what reserves next finds that much less.
    fn resize(&mut self, bytes: usize) {
        match bytes.checked_sub(self.bytes) {
            Some(more) => self.reservation.grow(more),
            None => self.reservation.shrink(self.bytes - bytes),
        }
        self.bytes = bytes;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.resize(0);
    }
}

/// Rows on their way to the encoder.
struct WaitingRows {
    rows: RecordBatch,
    _turn: OwnedSemaphorePermit,
    _held: Held,
}

/// A row group whose rows come.
pub(super) struct OpenRowGroup {
    sender: UnboundedSender<WaitingRows>,
    encoding: Encoding,
    rows: usize,
    bytes: usize,
}

/// A row group that has all its rows.
pub(super) type Encoding = SpawnedTask<Result<EncodedRowGroup, ParquetError>>;

/// A row group that can be appended to its file.
pub(super) struct EncodedRowGroup {
    pub(super) columns: Vec<ArrowColumnChunk>,
    _held: Held,
}

impl OpenRowGroup {
    /// Begins the row group of this number.
    pub(super) fn begin(
        encoders: &Arc<ArrowRowGroupWriterFactory>,
        schema: &Arc<Schema>,
        number: usize,
        memory: &Memory,
    ) -> Self {
        let (sender, receiver) = unbounded_channel();
        let (encoders, schema, memory) = (Arc::clone(encoders), Arc::clone(schema), memory.clone());
        Self {
            sender,
            encoding: SpawnedTask::spawn_blocking(move || {
                encode(&encoders, &schema, number, receiver, &memory)
            }),
            rows: 0,
            bytes: 0,
        }
    }

    /// Adds rows. An error of the encoder appears when the row group is [complete](Self::complete).
    pub(super) async fn add(
        &mut self,
        rows: RecordBatch,
        memory: &Memory,
    ) -> Result<(), ParquetError> {
        self.rows += rows.num_rows();
        self.bytes += bytes_of(&rows);
        // The encoder ends early only with an error.
        let _ = self.sender.send(memory.queue(rows).await?);
        Ok(())
    }

    /// Whether it has at least this many rows or bytes of values, or its encoder has failed.
    pub(super) fn is_full(&self, rows: usize, bytes: usize) -> bool {
        self.rows >= rows || self.bytes >= bytes || self.sender.is_closed()
    }

    /// The same without further rows.
    pub(super) fn complete(self) -> Encoding {
        self.encoding
    }
}

/// The pages depend on the rows and on how they are cut into batches, and not on when they come.
fn encode(
    encoders: &ArrowRowGroupWriterFactory,
    schema: &Schema,
    number: usize,
    mut receiver: UnboundedReceiver<WaitingRows>,
    memory: &Memory,
) -> Result<EncodedRowGroup, ParquetError> {
    let mut held = memory.hold();
    let mut writers = encoders.create_column_writers(number)?;
    while let Some(waiting) = receiver.blocking_recv() {
        let mut next = writers.iter_mut();
        for (field, column) in schema.fields().iter().zip(waiting.rows.columns()) {
            for leaf in compute_leaves(field, column)? {
                if let Some(writer) = next.next() {
                    writer.write(&leaf)?;
                }
            }
        }
        let bytes = writers.iter().map(ArrowColumnWriter::memory_size).sum();
        held.resize(bytes);
        memory.check(bytes)?;
    }
    let columns = writers.into_iter().map(ArrowColumnWriter::close);
    Ok(EncodedRowGroup {
        columns: columns.collect::<Result<_, _>>()?,
        _held: held,
    })
}
