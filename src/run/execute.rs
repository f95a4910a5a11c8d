//! Doing what a plan says, window by window: take the lease, export, ask, write. Nothing is put before every answer is
//! there, and while one window waits for its export, the answers of the one before are computed.

use std::collections::BTreeMap;
use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::mpsc;

use super::answer::{Asking, Objects, count_all, count_by_hour, draw};
use super::history::read_receipt;
use super::publish::Publisher;
use super::settled::{is_published, settled_at};
use super::{
    Action, Environment, Force, Plan, WindowPlan, clean, compare, counter, exporter, output_store,
    question, source_store,
};
use crate::chart::build::{Caption, Series, Verified};
use crate::error::{Class, Error, Result};
use crate::export::{ExportRequest, Exported, LogExporter};
use crate::job::{Job, Source, Verify};
use crate::layout;
use crate::progress::Step;
use crate::query::Session;
use crate::receipt::{Change, ExportReport, ReadReport, Receipt, Status};
use crate::scan::LogsTable;
use crate::scan::cache::ObjectCache;
use crate::state::lease::HeldWindow;
use crate::state::{Failure, Phase, Unfinished, WindowState};
use crate::store::Store;
use crate::verify::{self, IndependentCount, Verification};

/// Compressed objects kept on disk between the questions of a job. Fargate gives 20 GiB of disk.
const MOST_CACHED: u64 = 8 << 30;

/// The exports of a run that ended in the middle are gone on with, unless it began longer ago: then its answer would be
/// older than whoever runs it anew expects.
const RESUME_WITHIN: TimeDelta = TimeDelta::hours(24);

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
) -> Result<Vec<Outcome>> {
    let runner = Runner {
        environment,
        job,
        plan,
        force,
        output: output_store(environment, job).await?,
        source: source_store(environment, job).await?,
        exporter: exporter(environment, job).await?,
        counter: counter(environment, job).await?,
    };
    let (exported, mut to_answer) = mpsc::channel(1);
    let exporting = async {
        // Closed when the last window is on its way.
        let exported = exported;
        for window in &plan.windows {
            let next = match &window.last {
                Some(last) if window.action == Action::Skip => {
                    runner.tidy_up(window, last).await;
                    Ok(Next::Skip(Box::new(last.clone())))
                }
                _ => runner.begin(window).await,
            };
            if exported.send((window, next)).await.is_err() {
                return;
            }
        }
    };
    let answering = async {
        let mut outcomes = Vec::with_capacity(plan.windows.len());
        while let Some((window, next)) = to_answer.recv().await {
            let skipped = matches!(next, Ok(Next::Skip(_)));
            let done = match next {
                Ok(Next::Skip(last)) => Ok((*last, Vec::new())),
                Ok(Next::Answer(begun)) => runner.finish(*begun).await,
                Err(error) => Err(error),
            };
            let (result, series) = match done {
                Ok((receipt, series)) => (Ok(receipt), series),
                Err(error) => (Err(error), Vec::new()),
            };
            environment.progress.report(Step::Done);
            let outcome = Outcome {
                window: window.report.id.clone(),
                result,
                skipped,
                series,
            };
            tell(window, &outcome);
            outcomes.push(outcome);
        }
        outcomes
    };
    let ((), outcomes) = tokio::join!(exporting, answering);
    clean::expired(environment, job, &runner.output, &runner.source).await;
    Ok(outcomes)
}

/// A window on its way from exporting to answering.
enum Next<'a> {
    /// It is done already.
    Skip(Box<Receipt>),
    Answer(Box<Begun<'a>>),
}

/// A window that is held and exported.
struct Begun<'a> {
    window: &'a WindowPlan,
    held: HeldWindow,
    publisher: Publisher<'a>,
    exported: Exported,
    started_at: DateTime<Utc>,
    stopwatch: Stopwatch,
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

/// What the windows of a plan have in common.
struct Runner<'a> {
    environment: &'a Environment,
    job: &'a Job,
    plan: &'a Plan,
    force: Force,
    output: Store,
    source: Store,
    exporter: Box<dyn LogExporter>,
    counter: Option<Arc<dyn IndependentCount>>,
}

impl<'a> Runner<'a> {
    /// Takes the window and exports it.
    async fn begin(&self, window: &'a WindowPlan) -> Result<Next<'a>> {
        let id = window.report.id.as_str();
        self.environment.progress.report(Step::Window { id });
        let started_at = self.environment.clock.now();
        let mut stopwatch = Stopwatch::default();
        let held = self.hold(window, started_at).await?;
        let there = match read_receipt(&self.output, self.job, &window.window).await {
            Ok(there) => there,
            Err(error) => return Err(self.fail(held, error).await),
        };
        if there != window.last {
            // This run has done nothing: the state stays as it was found.
            let found = held.found().clone();
            held.release(move |state| {
                let lease = state.lease.take();
                *state = WindowState { lease, ..found };
            })
            .await?;
            return match there {
                // A nightly run was at a window of a backfill: so much the better.
                Some(there) if self.is_what_was_wanted(window, &there) => {
                    Ok(Next::Skip(Box::new(there)))
                }
                _ => Err(Error::new(
                    Class::Held,
                    "another run did this window while this one was getting ready",
                )),
            };
        }
        let since = Instant::now();
        let exported = while_held(&held, self.export(window, &held)).await;
        stopwatch.stop("export", since);
        match exported {
            Ok((publisher, exported)) => Ok(Next::Answer(Box::new(Begun {
                window,
                held,
                publisher,
                exported,
                started_at,
                stopwatch,
            }))),
            Err(error) => Err(self.fail(held, error).await),
        }
    }

    /// Whether a receipt that came while this run was getting ready is as good as its own. A run of one window says that
    /// it was called twice.
    fn is_what_was_wanted(&self, window: &WindowPlan, there: &Receipt) -> bool {
        self.plan.windows.len() > 1
            && self.force == Force::No
            && there.job_sha256 == self.plan.job_sha256
            && there.window.provisional <= window.report.provisional
    }

    async fn hold(&self, window: &WindowPlan, started_at: DateTime<Utc>) -> Result<HeldWindow> {
        let id = window.report.id.as_str();
        let key = layout::state(self.output.root(), self.job.name.as_str(), id);
        let tell = |state: &str| {
            self.environment
                .progress
                .report(Step::Waiting { window: id, state });
        };
        let (source_sha256, force) = (&self.plan.source_sha256, self.force);
        let begin = |state: &mut WindowState| {
            let resumed = state.unfinished.take().filter(|unfinished| {
                force != Force::Export
                    && !is_published(unfinished, window.last.as_ref())
                    && unfinished.source_sha256 == *source_sha256
                    && started_at - unfinished.began_at < RESUME_WITHIN
            });
            state.unfinished = Some(resumed.unwrap_or_else(|| Unfinished {
                began_at: started_at,
                source_sha256: source_sha256.clone(),
                replaces: window.last.as_ref().map(|last| last.started_at),
            }));
            state.phase = Phase::Exporting;
            state.failure = None;
        };
        let length = self.job.limits.lease;
        HeldWindow::take(&self.output, &key, length, begin, &tell).await
    }

    async fn export(
        &self,
        window: &'a WindowPlan,
        held: &HeldWindow,
    ) -> Result<(Publisher<'a>, Exported)> {
        match held.found().unfinished {
            Some(_) => clean::interrupted(&self.output, self.job, &window.window).await?,
            None => clean::unwritten_state(&self.output, self.job, &window.window).await?,
        }
        let publisher =
            Publisher::prepare(self.environment, &self.output, self.job, window).await?;
        let began_at = held
            .state()
            .unfinished
            .map(|unfinished| unfinished.began_at);
        let request = ExportRequest {
            job: self.job.name.as_str(),
            window: &window.window,
            reuse_since: match window.action {
                Action::Skip | Action::Compute => Some(settled_at(self.job, &window.window)),
                // Only what this run, or the one that it goes on with, exported itself.
                Action::ExportAndCompute => began_at,
            },
            takes_empty: self.force == Force::Export,
            journal: held,
        };
        let exported = self
            .exporter
            .export(&request, self.environment.progress.as_ref())
            .await?;
        Ok((publisher, exported))
    }

    /// Answers the questions and publishes the answers.
    async fn finish(&self, begun: Begun<'a>) -> Result<(Receipt, Vec<Series>)> {
        let Begun {
            window,
            held,
            publisher,
            exported,
            started_at,
            stopwatch,
        } = begun;
        let answering = Answering {
            runner: self,
            window,
            held: &held,
            publisher: &publisher,
            started_at,
        };
        match while_held(&held, answering.run(exported, stopwatch)).await {
            Ok((receipt, series)) => {
                publisher.delete_old_parts(&receipt).await;
                self.complete(held, &receipt).await;
                Ok((receipt, series))
            }
            Err(error) => Err(self.fail(held, error).await),
        }
    }

    /// Does what a run that was killed after its receipt could not do any more.
    async fn tidy_up(&self, window: &WindowPlan, receipt: &Receipt) {
        if window.is_at_rest {
            return;
        }
        match self.try_tidy_up(window, receipt).await {
            // Somebody is at it.
            Err(error) if error.class() == Class::Held => {}
            Err(error) => {
                tracing::warn!(window = receipt.window.id, %error, "could not tidy up behind a run that was killed");
            }
            Ok(()) => {}
        }
    }

    async fn try_tidy_up(&self, window: &WindowPlan, receipt: &Receipt) -> Result<()> {
        let key = layout::state(
            self.output.root(),
            self.job.name.as_str(),
            &receipt.window.id,
        );
        let length = self.job.limits.lease;
        let held = HeldWindow::take(&self.output, &key, length, |_| {}, &|_| {}).await?;
        let now = read_receipt(&self.output, self.job, &window.window).await?;
        if now.as_ref() != Some(receipt) {
            return held.release(|_| {}).await;
        }
        clean::interrupted(&self.output, self.job, &window.window).await?;
        self.complete(held, receipt).await;
        Ok(())
    }

    /// The receipt is there: tidies up and gives the lease back. What fails now is left to the next run.
    async fn complete(&self, held: HeldWindow, receipt: &Receipt) {
        let now = self.environment.clock.now();
        let deleted = clean::superseded(&held.state(), &self.source, receipt, now).await;
        let released = held.release(move |state| {
            state.phase = Phase::Done;
            state.unfinished = None;
            state
                .attempts
                .retain(|attempt| !deleted.contains(&attempt.prefix));
        });
        if let Err(error) = released.await {
            tracing::warn!(window = receipt.window.id, %error, "could not tidy up behind the run");
        }
    }

    /// Says in the state what went wrong, and gives the lease back.
    async fn fail(&self, held: HeldWindow, error: Error) -> Error {
        let failure = Failure {
            at: self.environment.clock.now(),
            exit_code: error.class().exit_code(),
            error: error.to_string(),
            yields_to_force: error.yields_to_force(),
        };
        if error.class() != Class::Held
            && let Err(unsaid) = held.release(|state| state.failure = Some(failure)).await
        {
            tracing::warn!(error = %unsaid, "could not note the failure");
        }
        error
    }
}

/// Does the work, for as long as the lease is held.
async fn while_held<T>(held: &HeldWindow, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        done = work => done,
        lost = held.lost() => Err(lost),
    }
}

/// A window whose events are in objects, on its way to a receipt.
struct Answering<'a> {
    runner: &'a Runner<'a>,
    window: &'a WindowPlan,
    held: &'a HeldWindow,
    publisher: &'a Publisher<'a>,
    started_at: DateTime<Utc>,
}

impl Answering<'_> {
    async fn run(
        &self,
        exported: Exported,
        mut stopwatch: Stopwatch,
    ) -> Result<(Receipt, Vec<Series>)> {
        let Runner {
            environment,
            job,
            plan,
            force,
            source,
            ..
        } = self.runner;
        let window = &self.window.window;
        self.held.note(|state| state.phase = Phase::Asking);

        let since = Instant::now();
        let scratch = environment.scratch.path();
        let folder = tempfile::tempdir_in(scratch).map_err(|error| {
            let what = format!("can't make a temporary folder in {}", scratch.display());
            Error::new(Class::Output, what).caused_by(error)
        })?;
        let logs = LogsTable::new(
            source,
            exported.objects(),
            window.range(),
            environment.engine.pool(),
        )
        .counting_odd_messages();
        let logs = match question::reads_again(&environment.engine, job, window.range()).await? {
            true => logs.with_cache(ObjectCache::new(folder.path().to_owned(), MOST_CACHED)),
            false => logs,
        };
        let objects = Objects::of(&logs);
        let session = environment
            .engine
            .session(job.timezone)?
            .with_logs(logs, Some(source))?
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
            let answer = asking.answer(folder.path(), job, window, &mut read).await?;
            let files: Vec<&FilePath> = answer.files.iter().map(|file| &*file.path).collect();
            session.add_answer(query.name.as_str(), &files).await?;
            answers.push(answer);
        }
        let read = match read {
            Some(read) => read,
            None => count_all(environment, &session, objects).await?,
        };
        for answer in &mut answers {
            let (output, series) = (&self.runner.output, &mut answer.series);
            compare::hold_against(output, job, window, answer.query, series).await?;
        }
        stopwatch.stop("query", since);
        if let Some(error) = shrunk(self.window, plan, read.events, *force) {
            return match (&self.window.last, self.window.redos) {
                (Some(last), 1..) => self.keep_disputed(last, &error).await,
                _ => Err(error),
            };
        }

        let since = Instant::now();
        let groups: Vec<String> = exported
            .groups
            .iter()
            .filter_map(|group| group.log_group.clone())
            .collect();
        let verification = self.verify(&groups, read.events, &session).await?;
        stopwatch.stop("verify", since);

        let since = Instant::now();
        let caption = Caption {
            job: job.name.as_str(),
            window,
            groups: &groups,
            // What came in after the first of the exports may be missing.
            as_of: exported.groups.iter().filter_map(|group| group.as_of).min(),
            provisional: self.window.report.provisional,
            settled_after: job.window.settled_after,
            verified: &Verified::of(verification.as_ref()),
        };
        let pictures = answers
            .iter()
            .map(|answer| draw(answer, &caption))
            .collect::<Result<Vec<_>>>()?;
        stopwatch.stop("draw", since);

        let since = Instant::now();
        let mut outputs = Vec::new();
        for (answer, pictures) in answers.iter().zip(&pictures) {
            let put = self.publisher.answer(self.held, answer);
            outputs.extend(put.await?);
            for picture in pictures {
                let put = self.publisher.picture(self.held, picture);
                outputs.push(put.await?);
            }
        }
        for pictures in &pictures {
            self.publisher.latest(self.held, pictures).await?;
        }
        stopwatch.stop("write", since);

        let receipt = Receipt {
            status: Status::Done,
            job: job.name.to_string(),
            window: self.window.report.clone(),
            started_at: self.started_at,
            finished_at: environment.clock.now(),
            as_of: caption.as_of,
            exports: export_reports(&exported, source),
            notes: exported.all_notes(),
            skipped_log_groups: exported.skipped,
            verification,
            redos: self.window.redos,
            change: self
                .window
                .last
                .as_ref()
                .map(|last| Change::since(last, read.events)),
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
        self.publisher.receipt(self.held, &receipt).await?;
        let series = answers
            .into_iter()
            .filter_map(|answer| answer.series.into_iter().next())
            .collect();
        Ok((receipt, series))
    }

    /// Another export could not settle a dispute, since it has fewer events: the answers stay, and the receipt counts
    /// the try, so that there is an end to them.
    async fn keep_disputed(&self, last: &Receipt, why: &Error) -> Result<(Receipt, Vec<Series>)> {
        tracing::warn!(window = self.window.report.id, "{why}");
        let receipt = Receipt {
            started_at: self.started_at,
            finished_at: self.runner.environment.clock.now(),
            redos: self.window.redos,
            ..last.clone()
        };
        self.publisher.receipt(self.held, &receipt).await?;
        Ok((receipt, Vec::new()))
    }

    /// Holds the count against an independent one, where the job asks for that.
    async fn verify(
        &self,
        groups: &[String],
        counted: u64,
        session: &Session,
    ) -> Result<Option<Verification>> {
        let Runner {
            environment,
            job,
            counter,
            ..
        } = self.runner;
        let (Source::CloudWatch(settings), Some(counter)) = (&job.source, counter) else {
            return Ok(None);
        };
        let counted_by_hour = match settings.verify {
            Verify::Insights => count_by_hour(session).await?,
            Verify::Metrics | Verify::Off => Vec::new(),
        };
        let request = verify::VerifyRequest {
            method: settings.verify,
            log_groups: groups,
            log_stream_prefix: settings.log_stream_prefix.as_deref(),
            range: self.window.window.range(),
            counted,
            counted_by_hour: &counted_by_hour,
        };
        let clock = environment.clock.as_ref();
        let verification = verify::verify(counter.as_ref(), clock, &request).await;
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
}

/// An export of the same source that shrank since the last run is one that retention has eaten from: it must not
/// replace the answer.
fn shrunk(window: &WindowPlan, plan: &Plan, events: u64, force: Force) -> Option<Error> {
    match &window.last {
        Some(last)
            if force == Force::No
                && last.source_sha256 == plan.source_sha256
                && events < last.read.events =>
        {
            Some(Error::new(
                Class::Source,
                format!(
                    "the events of window {} went from {} in the last run to {events}: its answers stay as they are, since retention may have deleted events. --force replaces them",
                    window.window, last.read.events
                ),
            )
            .unless_forced())
        }
        _ => None,
    }
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
