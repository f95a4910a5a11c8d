//! From a question to its answer: a local Parquet file, and what its charts show.

use std::path::Path as FilePath;
use std::time::Duration;

use arrow::array::RecordBatch;
use bytes::Bytes;
use datafusion::physical_plan::ExecutionPlan;
use futures::StreamExt;
use sha2::{Digest, Sha256};

use super::fingerprint::hex;
use super::{Environment, question};
use crate::error::{Class, Error, Result};
use crate::job::{ImageFormat, Job, Query};
use crate::output::parquet::{Metadata, Spool, Spooled};
use crate::output::partitioned::{self, Partitioned};
use crate::output::picture::{Caption, Series};
use crate::progress::Step;
use crate::query::{ScanReport, Session, Statement};
use crate::scan::LogsTable;

const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// How much there is to read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Objects {
    pub(super) count: usize,
    pub(super) bytes: u64,
}

impl Objects {
    pub(super) fn of(logs: &LogsTable) -> Self {
        Self {
            count: logs.objects().len(),
            bytes: logs.objects().iter().map(|object| object.meta.size).sum(),
        }
    }
}

/// An answer in a local file, with what its charts show.
pub(super) struct Answer<'a> {
    pub(super) query: &'a Query,
    pub(super) spooled: Spooled,
    /// The same in several files, where the query asks for it.
    pub(super) partitioned: Option<Partitioned>,
    pub(super) series: Vec<Series>,
}

/// A question on its way to an answer.
#[derive(Clone, Copy)]
pub(super) struct Asking<'a> {
    pub(super) environment: &'a Environment,
    pub(super) session: &'a Session,
    pub(super) query: &'a Query,
    pub(super) objects: Objects,
}

impl<'a> Asking<'a> {
    pub(super) async fn answer(
        self,
        folder: &FilePath,
        job: &Job,
        window_id: &str,
        read: &mut Option<ScanReport>,
    ) -> Result<Answer<'a>> {
        let query = self.query;
        let question = question::check(self.session, query).await?;
        let metadata = Metadata {
            job: job.name.to_string(),
            window: window_id.to_owned(),
            sql_sha256: hex(&Sha256::digest(&query.sql)),
        };
        let path = folder.join(format!("{}.parquet", query.name));
        let mut spool = Spool::create(path, question.schema, &metadata)?;
        let mut series: Vec<Series> = query
            .charts
            .iter()
            .map(|chart| Series::new(chart, query.name.as_str()))
            .collect();
        let report = self
            .each_batch(&question.statement, async |batch| {
                // As the engine gives it: its types say more of times than those of the file.
                series
                    .iter_mut()
                    .try_for_each(|series| series.add(&batch))?;
                spool.write(&batch).await.map(drop)
            })
            .await
            .map_err(|error| match error.class() {
                Class::Sql => error.during(&query.sql_origin),
                _ => error,
            })?;
        *read = read.or(report);
        let spooled = spool.finish().await?;
        let partitioned = match &query.partition_by[..] {
            [] => None,
            by => {
                let parts = tempfile::tempdir_in(folder).map_err(|error| {
                    let what = format!("can't make a temporary folder in {}", folder.display());
                    Error::new(Class::Output, what).caused_by(error)
                })?;
                // It goes with the folder that it is in, when all is put.
                Some(partitioned::split(&spooled, by, &metadata, &parts.keep()).await?)
            }
        };
        Ok(Answer {
            query,
            spooled,
            partitioned,
            series,
        })
    }

    /// Runs the statement; answers what a scan of it counted, where one read every object.
    async fn each_batch(
        self,
        statement: &Statement,
        mut take: impl AsyncFnMut(RecordBatch) -> Result<()>,
    ) -> Result<Option<ScanReport>> {
        let (mut batches, plan) = self.session.run(statement).await?;
        let mut ticks = tokio::time::interval(PROGRESS_EVERY);
        loop {
            tokio::select! {
                batch = batches.next() => match batch {
                    Some(batch) => take(batch.map_err(Error::from_engine)?).await?,
                    None => break,
                },
                _ = ticks.tick() => self.report(&plan),
            }
        }
        let complete = ScanReport::of_each(&plan)
            .into_iter()
            .find(|report| report.objects == self.objects.count);
        Ok(complete)
    }

    fn report(self, plan: &std::sync::Arc<dyn ExecutionPlan>) {
        let reports = ScanReport::of_each(plan);
        let scans = reports.len().max(1);
        self.environment.progress.report(Step::Reading {
            query: self.query.name.as_str(),
            objects: reports.iter().map(|report| report.objects).sum(),
            of_objects: self.objects.count * scans,
            bytes: reports.iter().map(|report| report.bytes).sum(),
            of_bytes: self.objects.bytes * scans as u64,
        });
    }
}

/// Reads everything once more where no question read all of it: damage and odd lines are to be known all the same.
pub(super) async fn count_all(
    environment: &Environment,
    session: &Session,
    objects: Objects,
) -> Result<ScanReport> {
    if objects.count == 0 {
        return Ok(ScanReport::default());
    }
    let query = Query {
        name: crate::job::Name::new("count").map_err(Error::usage)?,
        sql: "SELECT count(message) FROM logs".to_owned(),
        sql_origin: "the count of all events".to_owned(),
        partition_by: Vec::new(),
        charts: Vec::new(),
    };
    let asking = Asking {
        environment,
        session,
        query: &query,
        objects,
    };
    let statement = session.statement(&query.sql, &query.sql_origin).await?;
    asking
        .each_batch(&statement, async |_| Ok(()))
        .await?
        .ok_or_else(|| {
            Error::new(
                Class::Unexpected,
                "the count of all events did not read every object",
            )
        })
}

/// A chart in a file format.
pub(super) struct Picture {
    pub(super) query: String,
    pub(super) chart: String,
    pub(super) format: ImageFormat,
    pub(super) bytes: Bytes,
}

pub(super) fn draw(answer: &Answer<'_>, caption: &Caption<'_>) -> Result<Vec<Picture>> {
    let mut pictures = Vec::new();
    for series in &answer.series {
        let chart = series.picture(caption);
        chart.warn_of_missing_glyphs();
        for format in &series.chart().formats {
            let drawn = match format {
                ImageFormat::Png => chart.to_png(),
                ImageFormat::Svg => chart.to_svg().map(String::into_bytes),
            };
            let bytes = drawn
                .map_err(|error| Error::new(Class::Unexpected, "can't draw").caused_by(error))?;
            pictures.push(Picture {
                query: answer.query.name.to_string(),
                chart: series.chart().name.to_string(),
                format: *format,
                bytes: bytes.into(),
            });
        }
    }
    Ok(pictures)
}
