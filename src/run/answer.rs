//! From a planned query to its answer: local Parquet files, and what its charts show.

use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use bytes::Bytes;
use chrono::DateTime;
use futures::StreamExt;

use super::queries::PlannedQuery;
use crate::chart::build::{Caption, ChartData};
use crate::error::{Class, Error, Result};
use crate::job::{ImageFormat, Query};
use crate::layout::AnswerKeys;
use crate::output::archive::{ArchiveSpool, Numbered};
use crate::output::division::Divided;
#[cfg(not(feature = "cluster"))]
use crate::output::division::PutPart;
use crate::output::parquet::Metadata;
use crate::progress::{Progress, Step};
use crate::query::{Session, Statement, TableKind};
use crate::scan::{LogsTable, LogsTables, ScanReport, ScanReports};
use crate::store::Store;
use crate::verify::HourCount;

const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// How many objects a window has, their compressed bytes, and which of them were read.
#[derive(Debug, Clone)]
pub(super) struct Objects {
    count: usize,
    bytes: u64,
    /// Of each source, in their order.
    tables: Vec<LogsTable>,
}

impl Objects {
    pub(super) fn of(tables: &[LogsTable]) -> Self {
        let objects = || tables.iter().flat_map(LogsTable::objects);
        Self {
            count: objects().count(),
            bytes: objects().map(|object| object.size).sum(),
            tables: tables.to_vec(),
        }
    }

    /// The objects of each source.
    pub(super) fn tables(&self) -> &[LogsTable] {
        &self.tables
    }

    /// Notes where several exports have the same events, as far as they were read; of each source.
    pub(super) fn common_events(&self) -> Vec<Option<String>> {
        self.tables.iter().map(LogsTable::common_events).collect()
    }

    /// The objects that were not read to their end yet.
    fn unread(&self) -> Self {
        let (mut count, mut bytes) = (0, 0);
        for table in &self.tables {
            let read = table.read_log().read();
            for (number, object) in (0..).zip(table.objects()) {
                if !read.has(number) {
                    count += 1;
                    bytes += object.size;
                }
            }
        }
        Self {
            count,
            bytes,
            tables: self.tables.iter().map(LogsTable::unread).collect(),
        }
    }

    /// What was read of each source, if every object was read to its end, by whichever query.
    pub(super) fn all_read(&self) -> Option<Vec<ScanReport>> {
        let tables = self.tables.iter();
        let complete = tables.map(|table| table.read_log().complete(table.objects().len()));
        complete.collect()
    }
}

/// An answer in local files, with what its charts show.
pub(super) struct Answer<'a> {
    pub(super) query: &'a Query,
    pub(super) files: Divided,
    pub(super) series: Vec<ChartData>,
}

/// A query that runs over a window's objects and reports its progress.
#[derive(Clone, Copy)]
pub(super) struct QueryRun<'a> {
    pub(super) progress: &'a dyn Progress,
    pub(super) session: &'a Session,
    /// What progress is reported of.
    pub(super) name: &'a str,
    pub(super) objects: &'a Objects,
}

impl QueryRun<'_> {
    /// Computes the answer of a planned query into files in `folder`, or has workers put its parts into `store`: once more
    /// where rows that have left are of workers that were lost, since the answer is not published yet.
    pub(super) async fn answer<'q>(
        self,
        planned: &PlannedQuery<'q>,
        folder: &FilePath,
        place: (&Store, AnswerKeys<'_>),
    ) -> Result<Answer<'q>> {
        match Box::pin(self.answer_once(planned, folder, place)).await {
            Err(lost) if lost.class() == Class::Workers => {
                tracing::warn!("{} is computed once more: {}", self.name, lost.message());
                Box::pin(self.answer_once(planned, folder, place)).await
            }
            answered => answered,
        }
    }

    async fn answer_once<'q>(
        self,
        planned: &PlannedQuery<'q>,
        folder: &FilePath,
        place: (&Store, AnswerKeys<'_>),
    ) -> Result<Answer<'q>> {
        let (_, keys) = place;
        let query = planned.query;
        let statement = self.session.bind(&planned.prepared).await?;
        let metadata = Metadata::new(keys.of_job().job(), &keys.window().id(), &query.sql);
        if let Some(archive) = planned.archive {
            let columns = &planned.columns;
            let spool =
                ArchiveSpool::create(self.session, archive, columns, &metadata, folder, keys)?;
            let archived = self.archive(&statement, spool).await;
            return Ok(Answer {
                query,
                files: Divided::Numbered(archived.map_err(|error| error.during("[archive]"))?),
                series: Vec::new(),
            });
        }
        // Of its columns rather than of its SQL.
        let of_query = |error: Error| match error.class() {
            Class::Sql if !error.is_explained() => error.during(&query.sql_origin),
            _ => error,
        };
        #[cfg(feature = "cluster")]
        let put = Box::pin(self.put_by_workers(planned, &statement, place, &metadata));
        #[cfg(feature = "cluster")]
        let put = put.await.map_err(of_query)?;
        #[cfg(not(feature = "cluster"))]
        let put: Option<Vec<PutPart>> = None;
        let is_empty = put.as_ref().is_some_and(Vec::is_empty);
        if let Some(parts) = put.filter(|_| !is_empty) {
            return Ok(Answer {
                query,
                files: Divided::Put(parts),
                series: Vec::new(),
            });
        }
        let path = folder.join(format!("{}.parquet", query.name));
        let division = &query.division;
        let mut spool = division.spool(
            path,
            Arc::clone(&planned.columns),
            &metadata,
            self.session.pool(),
        )?;
        let mut series = series_of(query, &statement);
        // Workers put no part without rows, which readers of an answer without rows want.
        if !is_empty {
            let written = self.each_batch(&statement, async |batch| {
                // As the engine gives it: its types say more of times than those of the file.
                series
                    .iter_mut()
                    .try_for_each(|series| series.add(&batch))?;
                spool.write(&batch).await.map(drop)
            });
            written.await.map_err(of_query)?;
        }
        let spooled = spool.finish().await?;
        let files = division
            .divide(spooled, self.session, &metadata, folder, keys)
            .await
            .map_err(|error| error.during(format_args!("[[query]] {}", query.name)))?;
        Ok(Answer {
            query,
            files,
            series,
        })
    }

    /// Writes the events of a window, in the order in which they are read.
    async fn archive(self, statement: &Statement, mut spool: ArchiveSpool<'_>) -> Result<Numbered> {
        self.each_batch(statement, async |batch| spool.write(&batch).await)
            .await?;
        spool.finish().await
    }

    /// Runs the statement, and hands each batch to `take`.
    async fn each_batch(
        self,
        statement: &Statement,
        mut take: impl AsyncFnMut(RecordBatch) -> Result<()>,
    ) -> Result<()> {
        let mut execution = Box::pin(self.session.run(statement)).await?;
        let mut ticks = tokio::time::interval(PROGRESS_EVERY);
        loop {
            tokio::select! {
                batch = execution.batches.next() => match batch {
                    Some(batch) => take(batch.map_err(Error::from_engine)?).await?,
                    None => return Ok(()),
                },
                _ = ticks.tick() => self.report(&execution.scans()),
            }
        }
    }

    fn report(self, read: &ScanReports) {
        // Each source is a scan of its own.
        let scans = (read.scans() / self.objects.tables.len().max(1)).max(1);
        let total = read.total();
        self.progress.report(Step::Reading {
            query: self.name,
            objects: total.objects,
            of_objects: self.objects.count * scans,
            bytes: total.bytes,
            of_bytes: self.objects.bytes * scans as u64,
        });
    }
}

/// The charts of a query, without values yet.
fn series_of(query: &Query, statement: &Statement) -> Vec<ChartData> {
    let charts = query.charts.iter();
    let series = charts.map(|chart| {
        let may_count = statement.adds_up(&chart.y) == Some(true);
        ChartData::new(chart, query.name.as_str())
            .may_count(may_count)
            .absent_is_zero(may_count && statement.has_every_group())
    });
    series.collect()
}

/// Reads the objects that the queries of a job did not read to their end, so that damage is always detected.
pub(super) async fn count_all(
    progress: &dyn Progress,
    session: &Session,
    objects: &Objects,
) -> Result<Vec<ScanReport>> {
    let unread = objects.unread();
    // Upper case: no query has such a name.
    let tables = LogsTables::new(&unread.tables);
    session.add_table("UNREAD", TableKind::Logs, Arc::new(tables));
    let sql = "SELECT count(message) FROM \"UNREAD\"";
    let statement = session.statement(sql, "the count of all events").await?;
    let run = QueryRun {
        progress,
        session,
        name: "count",
        objects: &unread,
    };
    run.each_batch(&statement, async |_| Ok(())).await?;
    objects.all_read().ok_or_else(|| {
        Error::new(
            Class::Unexpected,
            format!(
                "the count of all events read {} of {} objects",
                objects.count - objects.unread().count,
                objects.count
            ),
        )
    })
}

/// The window's events of a source by hour of UTC, in order, hours without events left out.
pub(super) async fn count_by_hour(session: &Session, logs: &LogsTable) -> Result<Vec<HourCount>> {
    let logs = logs.clone().in_zone(session.timezone());
    session.add_table("COUNTED", TableKind::Logs, Arc::new(logs));
    let sql = "SELECT timestamp::bigint / 3600000 AS hour, count(*) AS events FROM \"COUNTED\" GROUP BY 1 ORDER BY 1";
    let statement = session.statement(sql, "the count by hour").await?;
    let mut batches = session.run(&statement).await?.batches;
    let mut counts = Vec::new();
    while let Some(batch) = batches.next().await {
        let batch = batch.map_err(Error::from_engine)?;
        let hours = batch.column(0).as_primitive::<Int64Type>();
        let events = batch.column(1).as_primitive::<Int64Type>();
        for (hour, events) in hours.values().iter().zip(events.values()) {
            counts.push(HourCount {
                hour_utc: DateTime::from_timestamp(hour * 3600, 0).unwrap_or_default(),
                events: events.unsigned_abs(),
            });
        }
    }
    Ok(counts)
}

/// A chart in a file format.
pub(super) struct Picture {
    pub(super) query: String,
    pub(super) chart: String,
    pub(super) format: ImageFormat,
    /// The title, and the line below it.
    pub(super) headline: String,
    pub(super) bytes: Bytes,
}

pub(super) fn draw(answer: &Answer<'_>, caption: &Caption<'_>) -> Result<Vec<Picture>> {
    let mut pictures = Vec::new();
    for series in &answer.series {
        // The answer is whole and the export paid for, so they are published without this chart.
        if let Err(error) = series.fits() {
            tracing::warn!("left out: {error}");
            continue;
        }
        let chart = series.figure(caption);
        chart.warn_of_missing_glyphs();
        for format in &series.chart().formats {
            let bytes = chart.encode(*format)?;
            pictures.push(Picture {
                query: answer.query.name.to_string(),
                chart: series.chart().name.to_string(),
                format: *format,
                headline: chart.headline(),
                bytes: bytes.into(),
            });
        }
    }
    Ok(pictures)
}
