//! An answer that workers write: tried, tried once more without a worker that has failed, its reports in the order of its rows.

use datafusion::error::Result as EngineResult;
use futures::TryStreamExt;

use super::PlannedSections;
use super::failure::failed_worker;
use super::write_parts::{Reports, WriteOrder};
use crate::error::{Class, Result};
use crate::query::planning::on_own_thread;
use crate::query::statement::Started;
use crate::query::{Session, Statement};

/// Sections that are being written.
struct Writing {
    started: Started,
    sections: usize,
}

impl Session {
    /// Has workers write the rows of a query that are those of the objects one by one, in their order. Answers with the
    /// reports of the parts in the order of the rows; `None` where the rows are for this process to write.
    ///
    /// Where a worker fails, all of it is written once more by those that are left. So there may be parts that are in no
    /// report, also where this ends with an error.
    ///
    /// # Errors
    /// Those of the query, and of putting the parts; `Workers` if no worker answers, or one is lost for the second time.
    pub async fn write_parts(
        &self,
        statement: &Statement,
        order: &WriteOrder,
    ) -> Result<Option<Vec<String>>> {
        let Some(writing) = self.start_writing(statement, order, None).await? else {
            return Ok(None);
        };
        let error = match writing.reports().await {
            Ok(reports) => return Ok(Some(reports)),
            Err(error) => error,
        };
        let failed = failed_worker(&error);
        let error = self.why(statement, error).await;
        let Some(failed) = failed else {
            return Err(error);
        };
        tracing::warn!("the query is run once more: {}", error.message());
        let writing = match self.start_writing(statement, order, Some(&failed)).await {
            // Without any other worker, the one that has no room says what helps.
            Err(none) if none.class() == Class::Workers && error.class() != none.class() => {
                return Err(error);
            }
            again => again?,
        };
        match writing {
            None => Ok(None),
            Some(writing) => match writing.reports().await {
                Ok(reports) => Ok(Some(reports)),
                Err(error) => Err(self.why(statement, error).await),
            },
        }
    }

    /// Starts to write with the workers `without` one; `None` where the rows stay in this process.
    async fn start_writing(
        &self,
        statement: &Statement,
        order: &WriteOrder,
        without: Option<&str>,
    ) -> Result<Option<Writing>> {
        // What comes in any other order is sorted, or mixed by grouping: it is no matter of single rows.
        let Some(cluster) = self.cluster.clone().filter(|_| statement.in_order) else {
            return Ok(None);
        };
        let ready = cluster.ready(without).await?;
        let (session, query, order) = (self.clone(), statement.clone(), order.clone());
        let planned = on_own_thread(async move {
            let (state, memory) = (session.context.state(), session.memory());
            // Parts of a try that has failed have other keys.
            let order = (&order, fastrand::u64(..));
            let workers = (&ready, memory);
            let planned =
                cluster.divide_writing(&query.plan, &state, &session.formats, workers, order);
            Ok(planned.await.unwrap_or_else(|error| {
                // Planned for one process, the query may work, or its error names the place in the SQL.
                tracing::info!("writes on this machine: {}", error.strip_backtrace());
                None
            }))
        })
        .await?;
        let Some(PlannedSections {
            plan,
            state,
            sections,
        }) = planned
        else {
            return Ok(None);
        };
        let started = self.started(statement, plan, self.task(&state)?)?;
        Ok(Some(Writing { started, sections }))
    }
}

impl Writing {
    /// The reports of all parts, once these are there.
    async fn reports(self) -> EngineResult<Vec<String>> {
        let mut reports = Reports::of(self.sections);
        let mut batches = self.started.batches;
        while let Some(batch) = batches.try_next().await? {
            reports.add(&batch)?;
        }
        Ok(reports.in_order()?)
    }
}
