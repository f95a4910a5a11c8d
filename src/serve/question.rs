//! A query of a client: planned over the tables of its connection or over the catalogue, described, and run.

use std::sync::Arc;

use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use futures::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::catalogs::Tables;
use super::errors::{ORIGIN, Refusal};
use super::rows::{Column, Rows, columns};
use crate::error::{Class, Error};
use crate::query::{Bound, BoundType, Command, Session, SharedPool, Statement};

/// The statements that run at a time, and the memory of each.
///
/// A statement that wants all memory ends itself and no other: each has a pool of its own, so that what one takes is never
/// missing to another. Others wait for their turn.
#[derive(Clone)]
pub struct Turns {
    turns: Arc<Semaphore>,
    /// In bytes.
    memory: usize,
}

impl Turns {
    /// So many statements at a time, each with so much memory.
    pub fn new(count: usize, memory: usize) -> Self {
        Self {
            turns: Arc::new(Semaphore::new(count)),
            memory,
        }
    }

    async fn take(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        turn.map_err(|_| Refusal::new("57P01", "the server ends"))
    }
}

/// The most memory of a query over the catalogue, in bytes: as many of them run as there are connections.
const MOST_OF_CATALOGUE: usize = 32 << 20;

/// What a query is planned as.
pub enum Planned {
    /// A query.
    Question(Box<Question>),
    /// A view was created, which has no rows.
    ViewCreated,
}

/// A query that is planned.
pub struct Question {
    /// Its columns.
    pub columns: Vec<Column>,
    session: Session,
    statement: Statement,
    /// Whether it reads the catalogue only, which needs no turn: a list of tables comes at once, whatever else runs.
    is_small: bool,
}

/// Plans a query with the values of its parameters. `catalogue` is the session of the queries that name the catalogue, where
/// this one does.
pub async fn plan(
    tables: &Tables,
    catalogue: Option<&Session>,
    sql: &str,
    bound: Bound,
) -> Result<Planned, Refusal> {
    let session = catalogue
        .unwrap_or(&tables.session)
        .clone()
        .with_bound(bound);
    let planned = session.command(sql, ORIGIN).await;
    let planned = planned.map_err(|error| Refusal::of(&tables.in_words(error), sql))?;
    Ok(match planned {
        Command::ViewCreated(_) => Planned::ViewCreated,
        Command::Query(statement) => Planned::Question(Box::new(Question {
            columns: columns(&statement.schema(), &statement.headings())?,
            session,
            statement,
            is_small: catalogue.is_some(),
        })),
    })
}

/// The columns of a query whose parameters have no values yet.
pub async fn describe(
    tables: &Tables,
    catalogue: Option<&Session>,
    sql: &str,
    types: &[BoundType],
) -> Result<Vec<Column>, Refusal> {
    let mut refused = None;
    for bound in Bound::examples(types) {
        let session = catalogue
            .unwrap_or(&tables.session)
            .clone()
            .with_bound(bound);
        match session.statement(sql, ORIGIN).await {
            Ok(statement) => return columns(&statement.schema(), &statement.headings()),
            Err(error) => {
                let error = tables.in_words(error);
                refused.get_or_insert_with(|| Refusal::of(&error, sql));
            }
        }
    }
    Err(refused.unwrap_or_else(|| Refusal::new("XX000", "the query has no columns")))
}

impl Question {
    /// The heading of its answer in the message that ends it.
    pub fn tag(&self) -> &'static str {
        if self.statement.is_plan() {
            "EXPLAIN"
        } else {
            "SELECT"
        }
    }

    /// Starts it when its turn comes. Its rows are computed on the present runtime, wherever they are sent from.
    pub async fn run(&self, tables: &Tables, turns: &Turns, sql: &str) -> Result<Rows, Refusal> {
        let turn = match self.is_small {
            true => None,
            false => Some(turns.take().await?),
        };
        let memory = match self.is_small {
            true => turns.memory.min(MOST_OF_CATALOGUE),
            false => turns.memory,
        };
        let pool = Arc::new(SharedPool::new(memory));
        let session = self.session.clone().with_pool(pool);
        let running = session.run(&self.statement).await;
        let execution = running.map_err(|error| Refusal::of(&in_words_of(tables, error), sql))?;
        let zone = session.timezone();
        let batches = computed_here(execution.batches, turn);
        Ok(Rows::new(self.columns.clone(), batches, zone).of(sql))
    }
}

/// Computes batches in a task of the present runtime, up to two ahead of the reader: one that waits for it, and one in the task's
/// hands. The task is aborted where the stream is dropped. The turn ends with the task, when nothing computes any more.
fn computed_here(
    mut batches: SendableRecordBatchStream,
    turn: Option<OwnedSemaphorePermit>,
) -> SendableRecordBatchStream {
    let mut builder = RecordBatchReceiverStream::builder(batches.schema(), 1);
    let sender = builder.tx();
    builder.spawn(async move {
        let _turn = turn;
        while let Some(batch) = batches.next().await {
            let is_last = batch.is_err();
            if sender.send(batch).await.is_err() || is_last {
                break;
            }
        }
        Ok(())
    });
    builder.build()
}

fn in_words_of(tables: &Tables, error: Error) -> Error {
    match error.class() {
        Class::Usage => tables.in_words(error),
        _ => error,
    }
}
