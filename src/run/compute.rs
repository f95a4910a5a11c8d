//! From a window's exported objects to its receipt: compute the answers, compare, verify, draw, publish. Nothing is put
//! before every answer is there.

use std::collections::BTreeMap;
use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Utc};
use tempfile::TempDir;

use super::answer::{Answer, Objects, Picture, QueryRun, count_all, count_by_hour, draw};
use super::earlier_export::Comparison;
use super::publish::Publisher;
use super::queries::reads_again;
use super::{Environment, Plan, WindowPlan, compare};
use crate::chart::build::{Caption, ChartData, Verified};
use crate::error::{Class, Error, Result};
use crate::export::Exported;
use crate::job::{Source, Verify};
use crate::progress::Step;
use crate::query::{Session, in_time};
use crate::receipt::{Change, ExportReport, OutputReport, Receipt, Status};
use crate::scan::cache::ObjectCache;
use crate::scan::{Hours, LogsTable, ScanReport, Tally};
use crate::state::Phase;
use crate::state::lease::HeldWindow;
use crate::store::Store;
use crate::verify::{self, Verification, Verifier};
use crate::window::Range;

/// Compressed objects kept on disk between the queries of a job. Fargate gives 20 GiB of disk.
const MOST_CACHED: u64 = 8 << 30;

/// How long each step took, in seconds, by its name.
#[derive(Default)]
pub(super) struct Stopwatch(BTreeMap<String, f64>);

impl Stopwatch {
    /// Does the work, and adds its time to the step. The work is boxed: a run is a future of many such steps, which would
    /// overflow the stack of a thread if each was held in the next.
    pub(super) fn time<T>(
        &mut self,
        step: &str,
        work: impl Future<Output = T>,
    ) -> impl Future<Output = T> {
        let work = Box::pin(work);
        async move {
            let since = Instant::now();
            let done = work.await;
            let seconds = self.0.entry(step.to_owned()).or_default();
            *seconds = ((*seconds + since.elapsed().as_secs_f64()) * 1000.0).round() / 1000.0;
            done
        }
    }
}

/// The run of a window that is held and exported.
pub(super) struct WindowRun<'a> {
    pub(super) environment: &'a Environment,
    pub(super) plan: &'a Plan<'a>,
    pub(super) verifier: Option<&'a Verifier>,
    pub(super) window: &'a WindowPlan,
    pub(super) held: &'a HeldWindow,
    pub(super) publisher: &'a Publisher<'a>,
    pub(super) started_at: DateTime<Utc>,
}

/// The answers of a window, and what they are of.
pub(super) struct Computed<'a> {
    session: Session,
    answers: Vec<Answer<'a>>,
    pub(super) read: ScanReport,
    /// The events of each log group by hour.
    pub(super) tallies: BTreeMap<Option<String>, Hours>,
    /// Holds the answers' files.
    folder: TempDir,
}

impl WindowRun<'_> {
    /// Computes the answers and publishes them. The receipt, and a chart of each query for a terminal.
    pub(super) async fn run(
        &self,
        mut exported: Exported,
        mut stopwatch: Stopwatch,
    ) -> Result<(Receipt, Vec<ChartData>)> {
        self.held.note(|state| state.phase = Phase::Asking);
        let mut computed = stopwatch.time("query", self.compute(&exported)).await?;
        if let Some(last) = self.last_of_same_source() {
            let comparing = self.keep_events(last, &mut exported, &computed);
            match stopwatch.time("compare", comparing).await? {
                Comparison::NothingLost => {}
                Comparison::Kept => {
                    drop(computed);
                    computed = stopwatch.time("query", self.compute(&exported)).await?;
                    if let Some(error) = self.lost_events(last, &computed) {
                        return Err(error);
                    }
                }
                Comparison::Lost(error) => return self.keep_previous(last, error).await,
            }
        }
        let Computed {
            session,
            answers,
            read,
            tallies,
            folder: _folder,
        } = computed;

        let outlives = exported.groups.iter().any(|group| group.outlives);
        let groups: Vec<String> = exported
            .groups
            .iter()
            .filter_map(|group| group.log_group.clone())
            .collect();
        let verifying = self.verify(&session, &groups, read.events, outlives);
        let verification = stopwatch.time("verify", verifying).await?;

        let caption = Caption {
            job: self.plan.job.name.as_str(),
            window: &self.window.window,
            groups: &groups,
            as_of: as_of(&exported),
            provisional: self.window.report.provisional,
            settled_after: self.plan.job.window.settled_after,
            verified: &Verified::of(verification.as_ref()),
        };
        let drawing = async {
            answers
                .iter()
                .map(|answer| {
                    let query = answer.query.name.as_str();
                    self.environment.progress.report(Step::Drawing { query });
                    draw(answer, &caption)
                })
                .collect()
        };
        let pictures: Vec<_> = stopwatch.time::<Result<_>>("draw", drawing).await?;

        let publishing = self.publish(&answers, &pictures);
        let outputs = stopwatch.time("write", publishing).await?;
        let receipt = self.receipt(exported, read, &tallies, verification, outputs, stopwatch);
        self.publisher.receipt(self.held, &receipt).await?;
        let series = answers
            .into_iter()
            .filter_map(|answer| answer.series.into_iter().next());
        Ok((receipt, series.collect()))
    }

    /// A folder of this window's own, removed when it is dropped.
    fn folder(&self) -> Result<TempDir> {
        let scratch = self.environment.scratch.path();
        tempfile::tempdir_in(scratch).map_err(|error| {
            let what = format!("can't make a temporary folder in {}", scratch.display());
            Error::new(Class::Output, what).caused_by(error)
        })
    }

    /// The session of the window's queries, how much there is to read in it, and the tally of what is read.
    fn session(
        &self,
        exported: &Exported,
        folder: &FilePath,
    ) -> Result<(Session, Objects, Arc<Tally>)> {
        let (engine, job, source) = (&self.environment.engine, self.plan.job, &self.plan.source);
        let range = self.window.window.range();
        let logs = LogsTable::new(source, exported.objects(), range, engine.pool())
            .counting_odd_messages();
        let (logs, tally) = logs.tallied();
        let logs = match reads_again(job, &self.plan.queries) {
            true => logs.with_cache(ObjectCache::new(folder.to_owned(), MOST_CACHED)),
            false => logs,
        };
        let objects = Objects::of(&logs);
        let session = engine
            .session(job.timezone)?
            .with_logs(logs, Some(source))?
            .with_window(range)?;
        Ok((session, objects, tally))
    }

    /// The answers in the order of their queries, with the earlier ones that their charts are compared with, and what was
    /// read.
    async fn compute(&self, exported: &Exported) -> Result<Computed<'_>> {
        let limit = self.plan.job.limits.timeout;
        in_time("[run] timeout", limit, self.compute_all(exported)).await
    }

    async fn compute_all(&self, exported: &Exported) -> Result<Computed<'_>> {
        let folder = self.folder()?;
        let (session, objects, tally) = self.session(exported, folder.path())?;
        let (job, window) = (self.plan.job, &self.window.window);
        let progress = self.environment.progress.as_ref();
        let mut answers = Vec::with_capacity(self.plan.queries.len());
        for query in &self.plan.queries {
            let run = QueryRun {
                progress,
                session: &session,
                name: query.query.name.as_str(),
                objects: &objects,
            };
            let keys = self.plan.output.keys.of_answer(run.name, window);
            let answer = run.answer(query, folder.path(), keys).await?;
            let files = answer.files.in_order().iter();
            let files: Vec<&FilePath> = files.map(|file| &*file.path).collect();
            session
                .add_answer(answer.query.name.as_str(), &files, &query.table)
                .await?;
            answers.push(answer);
        }
        let read = match objects.all_read() {
            Some(read) => read,
            None => count_all(progress, &session, &objects).await?,
        };
        for answer in &mut answers {
            let (output, series) = (&self.plan.output, &mut answer.series);
            compare::compare_with_earlier(output, job, window, answer.query, series).await?;
        }
        Ok(Computed {
            tallies: tally.by_group()?,
            session,
            answers,
            read,
            folder,
        })
    }

    /// Compares the count with an independent one, where there is one. Exports that outlive their source may have more
    /// events.
    async fn verify(
        &self,
        session: &Session,
        groups: &[String],
        counted: u64,
        outlives: bool,
    ) -> Result<Option<Verification>> {
        let (Source::CloudWatch(settings), Some(verifier)) = (&self.plan.job.source, self.verifier)
        else {
            return Ok(None);
        };
        let method = settings.verify_method();
        let counted_by_hour = match method {
            Verify::Insights => count_by_hour(session).await?,
            Verify::Metrics | Verify::Off => Vec::new(),
        };
        let request = verify::VerifyRequest {
            method,
            log_groups: groups,
            log_stream_prefix: settings.log_stream_prefix.as_deref(),
            range: self.window.window.range(),
            counted,
            counted_by_hour: &counted_by_hour,
        };
        let clock = self.environment.clock.as_ref();
        self.environment.progress.report(Step::Verifying);
        let verification = verifier.verify(clock, &request).await;
        let verification = verification.map(|verification| match outlives {
            true => verification.of_deleted_events(&counted_by_hour),
            false => verification,
        });
        if let Some(verification) = &verification
            && verification.agrees != Some(true)
        {
            tracing::warn!(
                window = self.window.report.id,
                expected = verification.expected,
                counted,
                "not verified: {}",
                verification.note.as_deref().unwrap_or("the counts differ")
            );
        }
        Ok(verification)
    }

    /// Puts answers and charts, then the copies of the charts that are the latest.
    async fn publish(
        &self,
        answers: &[Answer<'_>],
        pictures: &[Vec<Picture>],
    ) -> Result<Vec<OutputReport>> {
        let mut outputs = Vec::new();
        for (answer, pictures) in answers.iter().zip(pictures) {
            let put = self.publisher.answer(self.held, answer);
            outputs.extend(put.await?);
            for picture in pictures {
                let put = self.publisher.picture(self.held, picture);
                outputs.push(put.await?);
            }
        }
        for pictures in pictures {
            self.publisher.latest(self.held, pictures).await?;
        }
        Ok(outputs)
    }

    /// The notes on the exports; and in the receipt of the run's own window, which earlier ones are not done.
    fn notes(&self, exported: &Exported) -> Vec<String> {
        let left_undone = self.plan.left_undone.clone();
        let left_undone = left_undone.filter(|_| !self.window.is_looked_back_at);
        exported
            .all_notes()
            .into_iter()
            .chain(left_undone)
            .collect()
    }

    fn receipt(
        &self,
        exported: Exported,
        read: ScanReport,
        tallies: &BTreeMap<Option<String>, Hours>,
        verification: Option<Verification>,
        outputs: Vec<OutputReport>,
        stopwatch: Stopwatch,
    ) -> Receipt {
        let Plan {
            job,
            source,
            job_sha256,
            source_sha256,
            ..
        } = self.plan;
        let WindowPlan { report, last, .. } = self.window;
        Receipt {
            status: Status::Done,
            job: job.name.to_string(),
            window: report.clone(),
            started_at: self.started_at,
            finished_at: self.environment.clock.now(),
            as_of: as_of(&exported),
            origin: self.plan.origin.clone(),
            exports: export_reports(&exported, source, tallies, self.window.window.range()),
            notes: self.notes(&exported),
            skipped_log_groups: exported.skipped,
            verification,
            reexports: self.window.reexports,
            change: last.as_ref().map(|last| Change::since(last, read.events)),
            read,
            outputs,
            seconds: stopwatch.0,
            job_sha256: job_sha256.clone(),
            source_sha256: source_sha256.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

/// When the first of the exports was asked for: events that came in later may be missing.
fn as_of(exported: &Exported) -> Option<DateTime<Utc>> {
    exported.groups.iter().filter_map(|group| group.as_of).min()
}

fn export_reports(
    exported: &Exported,
    store: &Store,
    tallies: &BTreeMap<Option<String>, Hours>,
    window: Range,
) -> Vec<ExportReport> {
    let hours = |group: &Option<String>| tallies.get(group).cloned();
    exported
        .groups
        .iter()
        .map(|group| ExportReport {
            log_group: group.log_group.clone(),
            task_id: group.task_id.clone(),
            prefix: store.display(&group.prefix),
            as_of: group.as_of,
            reused: group.reused,
            objects: group.objects.len(),
            bytes: group.objects.iter().map(|object| object.size).sum(),
            hours: Some(hours(&group.log_group).unwrap_or_else(|| Hours::none(window))),
        })
        .collect()
}
