//! Doing what a plan says, window by window: export, ask, write. Nothing is put before every answer is there.

use std::collections::BTreeMap;
use std::path::Path as FilePath;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use bytes::Bytes;
use datafusion::physical_plan::ExecutionPlan;
use futures::StreamExt;
use object_store::path::Path;
use sha2::{Digest, Sha256};

use super::{
    Action, Environment, Force, Plan, WindowPlan, exporter, hex, question, refuse_shrunk,
    settled_at, source_store,
};
use crate::aws::Account;
use crate::error::{Class, Error, Result};
use crate::export::{ExportRequest, Exported};
use crate::job::{ImageFormat, Job, Query};
use crate::layout;
use crate::output::parquet::{Metadata, Spool, Spooled};
use crate::output::picture::{Caption, Series};
use crate::progress::Step;
use crate::query::{ScanReport, Session, Statement};
use crate::receipt::{ExportReport, OutputKind, OutputReport, ReadReport, Receipt, Status};
use crate::scan::LogsTable;
use crate::scan::fetch::ObjectCache;
use crate::store::{Body, Condition, Store, Written};

/// Compressed objects kept on disk between the questions of a job. Fargate gives 20 GiB of disk.
const MOST_CACHED: u64 = 8 << 30;

const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// How the run of a window ended.
#[derive(Debug)]
pub struct Outcome {
    /// The window's id.
    pub window: String,
    /// The receipt, or what went wrong.
    pub result: Result<Receipt>,
    /// Whether it was done before.
    pub skipped: bool,
    /// The charts of the answers, for a terminal: one for each query that has any.
    pub series: Vec<Series>,
}

/// Runs every window of a plan in turn; a failed one does not keep the others from being done. `tell` hears of each as
/// it ends.
pub async fn execute(
    environment: &Environment,
    job: &Job,
    plan: &Plan,
    force: Force,
    mut tell: impl FnMut(&WindowPlan, &Outcome),
) -> Vec<Outcome> {
    let mut outcomes = Vec::with_capacity(plan.windows.len());
    for window in &plan.windows {
        let id = window.report.id.clone();
        let outcome = match (&window.action, &window.last) {
            (Action::Skip, Some(last)) => Outcome {
                window: id,
                result: Ok(last.clone()),
                skipped: true,
                series: Vec::new(),
            },
            _ => {
                environment.progress.report(Step::Window { id: &id });
                let done = run_window(environment, job, plan, window, force).await;
                environment.progress.report(Step::Done);
                let (result, series) = match done {
                    Ok((receipt, series)) => (Ok(receipt), series),
                    Err(error) => (Err(error), Vec::new()),
                };
                Outcome {
                    window: id,
                    result,
                    skipped: false,
                    series,
                }
            }
        };
        tell(window, &outcome);
        outcomes.push(outcome);
    }
    outcomes
}

/// How long each step took.
#[derive(Default)]
struct Stopwatch(BTreeMap<String, f64>);

impl Stopwatch {
    fn stop(&mut self, step: &str, since: Instant) {
        let seconds = self.0.entry(step.to_owned()).or_default();
        *seconds = ((*seconds + since.elapsed().as_secs_f64()) * 1000.0).round() / 1000.0;
    }
}

async fn run_window(
    environment: &Environment,
    job: &Job,
    plan: &Plan,
    window_plan: &WindowPlan,
    force: Force,
) -> Result<(Receipt, Vec<Series>)> {
    let started_at = environment.clock.now();
    let mut stopwatch = Stopwatch::default();
    let window = &window_plan.window;
    let provisional = window_plan.report.provisional;
    let output = environment
        .stores
        .open(&job.output, Account::Output)
        .await?;
    let publisher = Publisher::prepare(&output, job, window_plan).await?;

    let since = Instant::now();
    let request = ExportRequest {
        job: job.name.as_str(),
        window,
        reuse_since: (window_plan.action == Action::Compute).then(|| settled_at(job, window)),
    };
    let exported = exporter(environment, job)
        .await?
        .export(&request, environment.progress.as_ref())
        .await?;
    stopwatch.stop("export", since);

    let since = Instant::now();
    let store = source_store(environment, job).await?;
    let folder = tempfile::tempdir_in(environment.scratch.path()).map_err(|error| {
        Error::new(Class::Output, "can't make a temporary folder").caused_by(error)
    })?;
    let logs = LogsTable::new(
        &store,
        exported.objects(),
        window.range(),
        environment.engine.pool(),
    );
    let logs = match job.queries.len() {
        0 | 1 => logs,
        _ => logs.with_cache(ObjectCache::new(folder.path().to_owned(), MOST_CACHED)),
    };
    let objects = Objects::of(&logs);
    let session = environment
        .engine
        .session(job.timezone)?
        .with_logs(logs, Some(&store))?
        .with_window(window.range())?;
    let mut read = None;
    let mut answers = Vec::with_capacity(job.queries.len());
    for query in &job.queries {
        let asking = Asking {
            environment,
            session: &session,
            query,
            objects,
        };
        let answer = asking
            .answer(folder.path(), job, &window_plan.report.id, &mut read)
            .await?;
        session
            .add_answer(query.name.as_str(), &answer.spooled.path)
            .await?;
        answers.push(answer);
    }
    let read = match read {
        Some(read) => read,
        None => count_all(environment, &session, objects).await?,
    };
    stopwatch.stop("query", since);
    refuse_shrunk(window_plan.last.as_ref(), plan, read.events, force, window)?;

    let since = Instant::now();
    let groups: Vec<String> = exported
        .groups
        .iter()
        .filter_map(|group| group.log_group.clone())
        .collect();
    let caption = Caption {
        job: job.name.as_str(),
        window,
        groups: &groups,
        as_of: exported.groups.iter().filter_map(|group| group.as_of).max(),
        provisional,
    };
    let pictures = answers
        .iter()
        .map(|answer| draw(answer, &caption))
        .collect::<Result<Vec<_>>>()?;
    stopwatch.stop("draw", since);

    let since = Instant::now();
    let mut outputs = Vec::new();
    for (answer, pictures) in answers.iter().zip(pictures) {
        outputs.push(publisher.answer(environment, answer).await?);
        for picture in pictures {
            outputs.extend(publisher.picture(environment, picture).await?);
        }
    }
    stopwatch.stop("write", since);

    let receipt = Receipt {
        status: Status::Done,
        job: job.name.to_string(),
        window: window_plan.report.clone(),
        started_at,
        finished_at: environment.clock.now(),
        as_of: caption.as_of,
        exports: export_reports(&exported, &store),
        skipped_log_groups: exported.skipped,
        read: ReadReport {
            objects: read.objects,
            bytes: read.bytes,
            events: read.events,
            invalid_utf8_events: read.invalid_utf8_events,
            lines_before_first_timestamp: read.lines_before_first_timestamp,
        },
        outputs,
        seconds: stopwatch.0,
        job_sha256: plan.job_sha256.clone(),
        source_sha256: plan.source_sha256.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    publisher.receipt(&receipt).await?;
    let series = answers
        .into_iter()
        .filter_map(|answer| answer.series.into_iter().next())
        .collect();
    Ok((receipt, series))
}

fn export_reports(exported: &Exported, store: &Store) -> Vec<ExportReport> {
    exported
        .groups
        .iter()
        .map(|group| ExportReport {
            log_group: group.log_group.clone(),
            task_id: group.task_id.clone(),
            prefix: store.display(&group.prefix),
            reused: group.reused,
            objects: group.objects.len(),
            bytes: group.objects.iter().map(|object| object.meta.size).sum(),
        })
        .collect()
}

/// How much there is to read.
#[derive(Debug, Clone, Copy)]
struct Objects {
    count: usize,
    bytes: u64,
}

impl Objects {
    fn of(logs: &LogsTable) -> Self {
        Self {
            count: logs.objects().len(),
            bytes: logs.objects().iter().map(|object| object.meta.size).sum(),
        }
    }
}

/// An answer in a local file, with what its charts show.
struct Answer<'a> {
    query: &'a Query,
    spooled: Spooled,
    series: Vec<Series>,
}

/// A question on its way to an answer.
#[derive(Clone, Copy)]
struct Asking<'a> {
    environment: &'a Environment,
    session: &'a Session,
    query: &'a Query,
    objects: Objects,
}

impl<'a> Asking<'a> {
    async fn answer(
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
                let batch = spool.write(&batch).await?;
                series.iter_mut().try_for_each(|series| series.add(&batch))
            })
            .await
            .map_err(|error| match error.class() {
                Class::Sql => error.during(&query.sql_origin),
                _ => error,
            })?;
        *read = read.or(report);
        Ok(Answer {
            query,
            spooled: spool.finish().await?,
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
async fn count_all(
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
struct Picture {
    query: String,
    chart: String,
    format: ImageFormat,
    bytes: Bytes,
}

fn draw(answer: &Answer<'_>, caption: &Caption<'_>) -> Result<Vec<Picture>> {
    let mut pictures = Vec::new();
    for series in &answer.series {
        let chart = series.picture(caption);
        let missing = chart.missing_glyphs();
        if !missing.is_empty() {
            let missing: String = missing.into_iter().collect();
            tracing::warn!(
                chart = series.chart().name.as_str(),
                missing,
                "the font lacks these characters; boxes stand for them"
            );
        }
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

/// Puts a window's outputs, each on condition that it is still what it was when the run of the window began.
struct Publisher<'a> {
    output: &'a Store,
    job: &'a Job,
    window: &'a WindowPlan,
    seen: BTreeMap<Path, Condition>,
}

impl<'a> Publisher<'a> {
    async fn prepare(output: &'a Store, job: &'a Job, window: &'a WindowPlan) -> Result<Self> {
        let keys = super::keys(output, job, &window.window, window.is_latest);
        let seen = futures::future::try_join_all(keys.into_iter().map(|key| async move {
            let condition = output.as_it_is(&key).await?;
            Ok::<_, Error>((key, condition))
        }))
        .await?;
        Ok(Self {
            output,
            job,
            window,
            seen: seen.into_iter().collect(),
        })
    }

    async fn answer(&self, environment: &Environment, answer: &Answer<'_>) -> Result<OutputReport> {
        let query = answer.query.name.as_str();
        let key = layout::answer(
            self.output.root(),
            self.job.name.as_str(),
            query,
            &self.window.window,
        );
        let body = Body::File(answer.spooled.path.clone());
        let mut report = self
            .put(
                environment,
                OutputKind::Parquet,
                query,
                key,
                body,
                "application/vnd.apache.parquet",
            )
            .await?;
        report.rows = Some(answer.spooled.rows);
        Ok(report)
    }

    async fn picture(
        &self,
        environment: &Environment,
        picture: Picture,
    ) -> Result<Vec<OutputReport>> {
        let Picture {
            query,
            chart,
            format,
            bytes,
        } = picture;
        let (root, job) = (self.output.root(), self.job.name.as_str());
        let dated = layout::chart(
            root,
            job,
            &query,
            &chart,
            &self.window.window,
            format.extension(),
        );
        let body = Body::Bytes(bytes);
        let content_type = format.content_type();
        let kind = OutputKind::Chart;
        let put = self.put(environment, kind, &query, dated, body.clone(), content_type);
        let mut reports = vec![put.await?];
        if self.window.is_latest {
            let key = latest_key(self.output, self.job, &query, &chart, format);
            let location = self.output.display(&key);
            let condition = self.seen.get(&key).unwrap_or(&Condition::Absent);
            let put = self.output.try_put_if(&key, body, content_type, condition);
            match put.await? {
                Some(written) => reports.push(self.report(kind, &query, location, written)),
                // The run of another window was faster. The next one of either puts it right.
                None => tracing::warn!(
                    chart = location,
                    "another run has put this chart meanwhile; its stays"
                ),
            }
        }
        Ok(reports)
    }

    async fn receipt(&self, receipt: &Receipt) -> Result<()> {
        let json = serde_json::to_vec_pretty(receipt).map_err(|error| {
            Error::new(Class::Unexpected, "can't write the receipt").caused_by(error)
        })?;
        let key = layout::receipt(
            self.output.root(),
            self.job.name.as_str(),
            &self.window.report.id,
        );
        let condition = self.seen.get(&key).unwrap_or(&Condition::Absent);
        let body = Body::Bytes(Bytes::from(json));
        self.output
            .put_if(&key, body, "application/json", condition)
            .await?;
        Ok(())
    }

    async fn put(
        &self,
        environment: &Environment,
        kind: OutputKind,
        query: &str,
        key: Path,
        body: Body,
        content_type: &str,
    ) -> Result<OutputReport> {
        let location = self.output.display(&key);
        environment
            .progress
            .report(Step::Writing { target: &location });
        let condition = self.seen.get(&key).unwrap_or(&Condition::Absent);
        let written = self
            .output
            .put_if(&key, body, content_type, condition)
            .await?;
        Ok(self.report(kind, query, location, written))
    }

    fn report(
        &self,
        kind: OutputKind,
        query: &str,
        location: String,
        written: Written,
    ) -> OutputReport {
        OutputReport {
            kind,
            query: query.to_owned(),
            location,
            key: layout::relative(self.output.root(), &written.key),
            etag: written.etag,
            rows: None,
            bytes: written.bytes,
        }
    }
}

fn latest_key(output: &Store, job: &Job, query: &str, chart: &str, format: ImageFormat) -> Path {
    layout::latest_chart(
        output.root(),
        job.name.as_str(),
        query,
        chart,
        format.extension(),
    )
}
