//! From a question to its answer: local Parquet files, and what its charts show.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path as FilePath, PathBuf};
use std::time::Duration;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMillisecondType};
use bytes::Bytes;
use chrono::DateTime;
use datafusion::common::runtime::SpawnedTask;
use datafusion::physical_plan::ExecutionPlan;
use futures::StreamExt;
use sha2::{Digest, Sha256};

use super::fingerprint::hex;
use super::{Environment, question};
use crate::chart::build::{Caption, ChartData};
use crate::error::{Class, Error, Result};
use crate::job::{ImageFormat, Job, Name, Query};
use crate::layout;
use crate::output::parquet::{Metadata, Spool, Spooled};
use crate::output::partitioned::{self, Destination, Partitioned, Values};
use crate::progress::Step;
use crate::query::{Session, Statement};
use crate::scan::{LogsTable, ScanReport};
use crate::verify::HourCount;
use crate::window::Window;

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

/// An answer in local files, with what its charts show.
pub(super) struct Answer<'a> {
    pub(super) query: &'a Query,
    /// In the order of its rows: one file, or as many as the query's size of files makes of it.
    pub(super) files: Vec<Spooled>,
    /// The same by the values of columns, where the query asks for it.
    pub(super) partitioned: Option<Partitioned>,
    pub(super) series: Vec<ChartData>,
}

impl Answer<'_> {
    /// What tells the parts of this answer from those of any other: hexadecimal digits, the same for the same bytes.
    pub(super) async fn generation(&self) -> Result<String> {
        let files: Vec<PathBuf> = self.files.iter().map(|file| file.path.clone()).collect();
        let hash = SpawnedTask::spawn_blocking(move || {
            let mut hash = Sha256::new();
            let mut block = vec![0; 1 << 20];
            for file in files {
                let mut file = File::open(file)?;
                while let read @ 1.. = file.read(&mut block)? {
                    hash.update(&block[..read]);
                }
            }
            Ok(hash.finalize())
        });
        let hash = hash.join_unwind().await.map_err(io::Error::other);
        let hash = hash.flatten().map_err(|error: io::Error| {
            Error::new(Class::Output, "can't read the parts of an answer").caused_by(error)
        })?;
        Ok(hex(&hash[..layout::GENERATION_DIGITS / 2]))
    }
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
        window: &Window,
        read: &mut Option<ScanReport>,
    ) -> Result<Answer<'a>> {
        let query = self.query;
        let question = question::check(self.session, query).await?;
        let metadata = Metadata {
            job: job.name.to_string(),
            window: window.id(),
            sql_sha256: hex(&Sha256::digest(&query.sql)),
        };
        let path = folder.join(format!("{}.parquet", query.name));
        let mut spool = Spool::create(path, question.schema, &metadata)?
            .with_file_size(query.file_size.unwrap_or(u64::MAX));
        let mut series: Vec<ChartData> = query
            .charts
            .iter()
            .map(|chart| {
                let may_count = question.statement.adds_up(&chart.y) != Some(false);
                ChartData::new(chart, query.name.as_str()).may_count(may_count)
            })
            .collect();
        let reports = self
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
        *read = read.or(self.whole(&reports));
        let files = spool.finish().await?;
        let partitioned = match &files[..] {
            [whole] if !query.partition_by.is_empty() => {
                let divided = self.divide(whole, &metadata, folder, job, window).await;
                Some(
                    divided
                        .map_err(|error| error.during(format_args!("[[query]] {}", query.name)))?,
                )
            }
            _ => None,
        };
        Ok(Answer {
            query,
            files,
            partitioned,
            series,
        })
    }

    /// The answer by the values of columns, in files of a folder of their own.
    async fn divide(
        self,
        whole: &Spooled,
        metadata: &Metadata,
        folder: &FilePath,
        job: &Job,
        window: &Window,
    ) -> Result<Partitioned> {
        let by = &self.query.partition_by;
        let root = job.output.key().map_err(Error::usage)?;
        let key = |values: &Values| {
            let columns = by.iter().map(Name::as_str);
            let values = columns.zip(values.iter().map(Option::as_deref));
            let (job, query) = (job.name.as_str(), self.query.name.as_str());
            layout::partitioned_answer(&root, job, query, window, values)
        };
        let destination = Destination {
            location: &job.output,
            key: &key,
            ignores_case: job.output.is_local() && cfg!(target_os = "macos"),
        };
        let folder = tempfile::tempdir_in(folder).map_err(|error| {
            let what = format!("can't make a temporary folder in {}", folder.display());
            Error::new(Class::Output, what).caused_by(error)
        })?;
        // It goes with the folder that it is in, when all is put.
        let folder = folder.keep();
        partitioned::split(self.session, whole, by, metadata, &folder, &destination).await
    }

    /// Runs the statement; answers what each of its scans counted.
    async fn each_batch(
        self,
        statement: &Statement,
        mut take: impl AsyncFnMut(RecordBatch) -> Result<()>,
    ) -> Result<Vec<ScanReport>> {
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
        Ok(ScanReport::of_each(&plan))
    }

    /// What a scan counted that read every object to its end.
    fn whole(self, reports: &[ScanReport]) -> Option<ScanReport> {
        let mut reports = reports.iter().copied();
        reports.find(|report| report.objects == self.objects.count)
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
        file_size: None,
        charts: Vec::new(),
    };
    let asking = Asking {
        environment,
        session,
        query: &query,
        objects,
    };
    let statement = session.statement(&query.sql, &query.sql_origin).await?;
    let reports = asking.each_batch(&statement, async |_| Ok(())).await?;
    asking.whole(&reports).ok_or_else(|| {
        let read = reports.iter().map(|report| report.objects).max();
        Error::new(
            Class::Unexpected,
            format!(
                "the count of all events read {} of {} objects",
                read.unwrap_or_default(),
                objects.count
            ),
        )
    })
}

/// The window's events by hour of UTC, in order, hours without events left out.
pub(super) async fn count_by_hour(session: &Session) -> Result<Vec<HourCount>> {
    let sql = "SELECT arrow_cast(date_trunc('hour', timestamp), 'Timestamp(Millisecond, None)') AS hour_utc, \
               count(*) AS events FROM logs GROUP BY 1 ORDER BY 1";
    let statement = session.statement(sql, "the count by hour").await?;
    let (mut batches, _) = session.run(&statement).await?;
    let mut counts = Vec::new();
    while let Some(batch) = batches.next().await {
        let batch = batch.map_err(Error::from_engine)?;
        let hours = batch.column(0).as_primitive::<TimestampMillisecondType>();
        let events = batch.column(1).as_primitive::<Int64Type>();
        for (hour, events) in hours.values().iter().zip(events.values()) {
            counts.push(HourCount {
                hour_utc: DateTime::from_timestamp_millis(*hour).unwrap_or_default(),
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
    pub(super) bytes: Bytes,
}

pub(super) fn draw(answer: &Answer<'_>, caption: &Caption<'_>) -> Result<Vec<Picture>> {
    let mut pictures = Vec::new();
    for series in &answer.series {
        // The answer is whole, and the export was paid for: no reason to publish neither.
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
                bytes: bytes.into(),
            });
        }
    }
    Ok(pictures)
}
