//! Doing what a plan says, window by window: take the lease, export, compute, publish. While one window waits for its
//! export, the answers of the one before are computed.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::mpsc;

use super::archive::{ArchivedWindow, to_compute_of};
use super::compute::WindowRun;
use super::history::read_receipt;
use super::plan::Work;
use super::publish::Publisher;
use super::settled::{is_published, settled_at};
use super::sources::{OpenSource, WindowRequest};
use super::stopwatch::{Step as TimedStep, Steps, Stopwatch};
use super::{
    Action, Environment, Force, Plan, Request, Selection, WindowPlan, clean, notify, plan,
    verifiers,
};
use crate::chart::build::ChartData;
use crate::error::{Class, Error, Result};
use crate::export::{Ahead, Exported, LONGEST_STRETCH, Reuse};
use crate::job::{Job, Source, Via};
use crate::progress::Step;
use crate::receipt::Receipt;
use crate::state::lease::{self, HeldWindow};
use crate::state::{Attempt, AttemptStage, Failure, Phase, Unfinished, WindowState};
use crate::verify::Verifier;

/// An interrupted run's exports are resumed only this long: older ones would give an answer staler than the caller
/// expects.
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
    pub series: Vec<ChartData>,
    /// The steps that were done, also of a window that failed.
    pub steps: Vec<TimedStep>,
}

/// Runs every window of a plan in turn; a failed one does not keep the others from being done. `ended` is called with each
/// outcome as it comes.
pub async fn execute(
    environment: &Environment,
    plan: &Plan<'_>,
    ended: impl FnMut(&WindowPlan, &Outcome),
) -> Result<Vec<Outcome>> {
    if let Some(left) = &plan.left_undone {
        tracing::warn!("{left}");
    }
    let runner = Runner {
        environment,
        plan,
        verifiers: match plan.work {
            // Without all sources no answer is computed, and one that can't be reached can't be asked for a count.
            Work::Answers if plan.sources.are_all_there() => {
                verifiers(environment, plan.job).await?
            }
            Work::Answers | Work::Archives => Vec::new(),
        },
        steps: Mutex::default(),
    };
    let (exported, to_compute) = mpsc::channel(1);
    let ((), outcomes) = tokio::join!(
        runner.export_all(exported),
        runner.compute_all(to_compute, ended)
    );
    for window in &plan.to_tidy {
        if let Some(last) = &window.last {
            runner.tidy_up(window, last).await;
        }
    }
    if plan.sources.can_be_told_apart() {
        clean::expired(environment, plan.job, &plan.output, &plan.sources).await;
    }
    Ok(outcomes)
}

/// Exports the windows of a job as a run of them does, each under its lease, and computes no answers. An export that was made
/// after the window settled is kept.
///
/// # Errors
/// As of a run up to the answers; `Usage` for a source that exports nothing.
pub async fn export_fresh(
    environment: &Environment,
    job: &Job,
    selection: Selection,
) -> Result<()> {
    if job.is_read_in_place() {
        let kind = match job.sources.iter().map(|source| &source.logs).next() {
            Some(Source::Subscription(_)) => "subscription",
            Some(Source::Delivered(_)) => "delivered",
            _ => "exported",
        };
        return Err(Error::usage(format!(
            "[source] kind of the job {} is {kind:?}: its objects are written by another program, so nothing can be exported first",
            job.name
        )));
    }
    let request = Request {
        selection,
        force: Force::No,
        provisional: true,
    };
    let plan = plan(environment, job, &request).await?;
    let runner = Runner {
        environment,
        plan: &plan,
        verifiers: Vec::new(),
        steps: Mutex::default(),
    };
    for window in &plan.windows {
        runner.export_only(window).await?;
    }
    environment.progress.report(Step::Done);
    Ok(())
}

/// A window on its way from exporting to computing.
enum Next<'a> {
    /// It is done already.
    Skip(Box<Receipt>),
    Compute(Box<ReadyWindow<'a>>),
}

/// A window that is held, and whose events are there.
struct ReadyWindow<'a> {
    held: HeldWindow,
    publisher: Publisher<'a>,
    events: WindowEvents,
    started_at: DateTime<Utc>,
    stopwatch: Stopwatch,
}

/// Where the events of a window are.
enum WindowEvents {
    /// In the objects of the exports of each source.
    Exported(Vec<Exported>),
    /// In the archive of an earlier run.
    Archived(Box<ArchivedWindow>),
}

type Exporting<'a> = (&'a WindowPlan, Result<Next<'a>>);

/// What the windows of a plan have in common.
struct Runner<'a> {
    environment: &'a Environment,
    plan: &'a Plan<'a>,
    /// Of each source, in their order.
    verifiers: Vec<Option<Verifier>>,
    /// The steps of each window that is under way, by its id.
    steps: Mutex<HashMap<String, Steps>>,
}

impl<'a> Runner<'a> {
    /// Exports the windows one after the other. Dropping `exported` at the end ends [`Self::compute_all`].
    async fn export_all(&self, exported: mpsc::Sender<Exporting<'a>>) {
        let windows = &self.plan.windows;
        let mut behind_stretch = 0;
        for (at, window) in windows.iter().enumerate() {
            if at >= behind_stretch {
                behind_stretch = self.stretch_from(at).await;
            }
            let ahead = windows.get(at + 1..behind_stretch).unwrap_or_default();
            let next = match &window.last {
                Some(last) if window.action == Action::Skip => {
                    self.tidy_up(window, last).await;
                    Ok(Next::Skip(Box::new(last.clone())))
                }
                _ => self.begin(window, ahead).await,
            };
            match &next {
                Err(error) if window.is_looked_back_at && error.class() == Class::Held => {
                    let window = &window.report.id;
                    tracing::info!(window, "an earlier window is left to another run: {error}");
                    continue;
                }
                _ => {}
            }
            if exported.send((window, next)).await.is_err() {
                return;
            }
        }
    }

    /// The place behind the last of the windows from `first` on that one export may be of: in a row, settled, and left to
    /// this run.
    async fn stretch_from(&self, first: usize) -> usize {
        let windows = &self.plan.windows;
        let may_share =
            |window: &WindowPlan| window.action != Action::Skip && !window.report.provisional;
        let mut behind = first + 1;
        if !self.takes_tasks() || !windows.get(first).is_some_and(may_share) {
            return behind;
        }
        let start = windows[first].window.start();
        while let Some(next) = windows.get(behind)
            && may_share(next)
            && windows[behind - 1].window.end() == next.window.start()
            && next.window.end() - start <= LONGEST_STRETCH
            && self.is_untouched(next).await
        {
            behind += 1;
        }
        behind
    }

    /// Whether some source is exported by tasks. Other exports are of one window each, so no states are read for them.
    fn takes_tasks(&self) -> bool {
        let mut sources = self.plan.sources.iter();
        let with_tasks = |source: &OpenSource<'_>| match &source.source.logs {
            Source::CloudWatch(settings) => settings.via != Via::Events,
            Source::Exported { .. }
            | Source::Directory { .. }
            | Source::Subscription(_)
            | Source::Delivered(_) => false,
        };
        self.plan.work == Work::Answers && sources.any(with_tasks)
    }

    /// Whether no other run holds a window, and none that ended early has begun to export it.
    async fn is_untouched(&self, window: &WindowPlan) -> bool {
        let output = &self.plan.output;
        let key = output.keys.state(&window.report.id);
        match lease::read(&output.store, &key).await {
            Ok(None) => true,
            Ok(Some((state, _))) => {
                let of_run = state.unfinished.map(|run| run.began_at);
                let is_begun = |attempt: &Attempt| {
                    let is_of_run = of_run.is_some() && attempt.of_run == of_run;
                    !attempt.is_over() || (is_of_run && attempt.stage == AttemptStage::Complete)
                };
                state.lease.is_none() && !state.attempts.iter().any(is_begun)
            }
            // The run that takes the window reports it.
            Err(_) => false,
        }
    }

    /// Computes and publishes the answers of each window that was exported.
    async fn compute_all(
        &self,
        mut exported: mpsc::Receiver<Exporting<'a>>,
        mut ended: impl FnMut(&WindowPlan, &Outcome),
    ) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(self.plan.windows.len());
        while let Some((window, next)) = exported.recv().await {
            let outcome = self.outcome(window, next).await;
            self.environment.progress.report(Step::Done);
            ended(window, &outcome);
            outcomes.push(outcome);
        }
        outcomes
    }

    async fn outcome(&self, window: &WindowPlan, next: Result<Next<'a>>) -> Outcome {
        let skipped = matches!(next, Ok(Next::Skip(_)));
        let done = match next {
            Ok(Next::Skip(last)) => Ok((*last, Vec::new())),
            Ok(Next::Compute(ready)) => self.finish(window, *ready).await,
            Err(error) => Err(error),
        };
        let (result, series) = match done {
            Ok((receipt, series)) => (Ok(receipt), series),
            Err(error) => (Err(error), Vec::new()),
        };
        Outcome {
            window: window.report.id.clone(),
            result,
            skipped,
            series,
            steps: std::mem::take(&mut lock(&self.steps(&window.report.id))),
        }
    }

    /// The steps of a window so far.
    fn steps(&self, window: &str) -> Steps {
        let mut steps = lock(&self.steps);
        Arc::clone(steps.entry(window.to_owned()).or_default())
    }

    /// Takes the window and exports it.
    async fn begin(&self, window: &'a WindowPlan, ahead: &'a [WindowPlan]) -> Result<Next<'a>> {
        let id = window.report.id.as_str();
        self.environment.progress.report(Step::Window { id });
        let started_at = self.environment.clock.now();
        let mut stopwatch = Stopwatch::with(self.steps(id));
        let held = match self.hold(window, started_at).await {
            Ok(held) => held,
            Err(error) => {
                if self.plan.work == Work::Answers {
                    notify::not_taken(self.environment, self.plan.job, id, &error).await;
                }
                return Err(error);
            }
        };
        let there = match read_receipt(&self.plan.output, &window.window).await {
            Ok(there) => there,
            Err(error) => return Err(self.fail(window, held, error).await),
        };
        if there != window.last {
            return self.give_back(window, held, there).await;
        }
        if self.plan.work == Work::Answers {
            match self.find_archive(window, &held).await {
                Ok(None) => {}
                Ok(Some((publisher, archived))) => {
                    return Ok(Next::Compute(Box::new(ReadyWindow {
                        held,
                        publisher,
                        events: WindowEvents::Archived(Box::new(archived)),
                        started_at,
                        stopwatch,
                    })));
                }
                Err(error) => return Err(self.fail(window, held, error).await),
            }
        }
        let exporting = while_held(&held, self.export(window, ahead, &held));
        match stopwatch.time("export", exporting).await {
            Ok((publisher, exported)) => Ok(Next::Compute(Box::new(ReadyWindow {
                held,
                publisher,
                events: WindowEvents::Exported(exported),
                started_at,
                stopwatch,
            }))),
            Err(error) => Err(self.fail(window, held, error).await),
        }
    }

    /// The archive that the answers can be computed of in place of an export.
    async fn find_archive<'w>(
        &self,
        window: &'w WindowPlan,
        held: &HeldWindow,
    ) -> Result<Option<(Publisher<'w>, ArchivedWindow)>>
    where
        'a: 'w,
    {
        let (output, job) = (&self.plan.output, self.plan.job);
        let Some(archived) = to_compute_of(self.plan, window).await? else {
            return Ok(None);
        };
        match held.found().unfinished {
            Some(_) => clean::interrupted(output, job, &window.window).await?,
            None => clean::unwritten_state(output, &window.window).await?,
        }
        let publisher = Publisher::prepare(self.environment, output, job, window).await?;
        Ok(Some((publisher, archived)))
    }

    /// Gives back a window of which another run has put a receipt since the plan was made.
    async fn give_back(
        &self,
        window: &WindowPlan,
        held: HeldWindow,
        there: Option<Receipt>,
    ) -> Result<Next<'a>> {
        // This run has done nothing: the state stays as it was found.
        let found = held.found().clone();
        held.release(move |state| {
            let lease = state.lease.take();
            *state = WindowState { lease, ..found };
        })
        .await?;
        match there {
            // Another run has already published this window, such as a nightly run one of a backfill.
            Some(there) if self.is_what_was_wanted(window, &there) => {
                Ok(Next::Skip(Box::new(there)))
            }
            _ => Err(Error::new(
                Class::Held,
                "another run did this window while this one was getting ready",
            )),
        }
    }

    /// Whether another run's receipt is as good as this run's own would be. A run of a single window reports that it was
    /// started twice.
    fn is_what_was_wanted(&self, window: &WindowPlan, there: &Receipt) -> bool {
        self.plan.windows.len() > 1
            && self.plan.force == Force::No
            && there.job_sha256 == self.plan.job_sha256
            && there.window.provisional <= window.report.provisional
    }

    async fn hold(&self, window: &WindowPlan, started_at: DateTime<Utc>) -> Result<HeldWindow> {
        let id = window.report.id.as_str();
        let (output, job) = (&self.plan.output, self.plan.job);
        let key = output.keys.state(id);
        let waiting = |state: &str| {
            self.environment
                .progress
                .report(Step::Waiting { window: id, state });
        };
        let (source_sha256, force) = (&self.plan.source_sha256, self.plan.force);
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
        HeldWindow::take(&output.store, &key, job.limits.lease, begin, &waiting).await
    }

    /// Exports a window, and leaves its state as it was but for the exports.
    async fn export_only(&self, window: &WindowPlan) -> Result<()> {
        let id = window.report.id.as_str();
        self.environment.progress.report(Step::Window { id });
        let held = self.hold(window, self.environment.clock.now()).await?;
        let exported = while_held(&held, self.export(window, &[], &held)).await;
        let found = held.found().clone();
        held.release(move |state| {
            state.phase = found.phase;
            state.unfinished = found.unfinished;
            state.failure = found.failure;
        })
        .await?;
        exported.map(drop)
    }

    async fn export<'w>(
        &self,
        window: &'w WindowPlan,
        ahead: &[WindowPlan],
        held: &HeldWindow,
    ) -> Result<(Publisher<'w>, Vec<Exported>)>
    where
        'a: 'w,
    {
        let (output, job) = (&self.plan.output, self.plan.job);
        match held.found().unfinished {
            Some(_) => clean::interrupted(output, job, &window.window).await?,
            None => clean::unwritten_state(output, &window.window).await?,
        }
        let publisher = Publisher::prepare(self.environment, output, job, window).await?;
        let began_at = held
            .state()
            .unfinished
            .map(|unfinished| unfinished.began_at);
        let ahead: Vec<Ahead> = ahead
            .iter()
            .map(|ahead| Ahead {
                window: ahead.window.clone(),
                reuse: match ahead.action {
                    Action::Skip | Action::Compute => Reuse::Since(settled_at(job, &ahead.window)),
                    Action::ExportAndCompute => Reuse::Nothing,
                },
            })
            .collect();
        let request = WindowRequest {
            window: &window.window,
            reuse: match (window.action, began_at) {
                (Action::Skip | Action::Compute, _) => {
                    Reuse::Since(settled_at(job, &window.window))
                }
                // Only what this run, or the one that it resumes, exported itself.
                (Action::ExportAndCompute, Some(began_at)) => Reuse::OfRun(began_at),
                (Action::ExportAndCompute, None) => Reuse::Nothing,
            },
            takes_empty: self.plan.force == Force::Export,
            journal: held,
            ahead: &ahead,
        };
        let progress = self.environment.progress.as_ref();
        let exported = Box::pin(self.plan.sources.export(&request, progress)).await?;
        Ok((publisher, exported))
    }

    /// Computes the answers of a window, publishes them, and gives the window back.
    async fn finish(
        &self,
        window: &WindowPlan,
        ready: ReadyWindow<'a>,
    ) -> Result<(Receipt, Vec<ChartData>)> {
        let ReadyWindow {
            held,
            publisher,
            events,
            started_at,
            stopwatch,
        } = ready;
        let run = WindowRun {
            environment: self.environment,
            plan: self.plan,
            verifiers: &self.verifiers,
            window,
            held: &held,
            publisher: &publisher,
            started_at,
        };
        let working = async {
            match (events, self.plan.work, &window.last) {
                (WindowEvents::Exported(exported), Work::Answers, _) => {
                    Box::pin(run.run(exported, stopwatch)).await
                }
                (WindowEvents::Exported(exported), Work::Archives, _) => {
                    Ok((run.archive(exported, stopwatch).await?, Vec::new()))
                }
                (WindowEvents::Archived(archived), _, Some(last)) => {
                    run.run_archived(&archived, last, stopwatch).await
                }
                (WindowEvents::Archived(_), _, None) => Err(Error::new(
                    Class::Unexpected,
                    "an archive without a receipt is read",
                )),
            }
        };
        match while_held(&held, working).await {
            Ok((receipt, series)) => {
                publisher.delete_old_parts(&receipt).await;
                self.complete(window, held, &receipt).await;
                Ok((receipt, series))
            }
            Err(error) => Err(self.fail(window, held, error).await),
        }
    }

    /// Does what a run that was killed after its receipt left undone.
    async fn tidy_up(&self, window: &WindowPlan, receipt: &Receipt) {
        if window.is_at_rest {
            return;
        }
        match self.try_tidy_up(window, receipt).await {
            // Another run holds the lease; the next run retries.
            Err(error) if error.class() == Class::Held => {}
            Err(error) => {
                tracing::warn!(window = receipt.window.id, %error, "could not tidy up behind a run that was killed");
            }
            Ok(()) => {}
        }
    }

    async fn try_tidy_up(&self, window: &WindowPlan, receipt: &Receipt) -> Result<()> {
        let (output, job) = (&self.plan.output, self.plan.job);
        let key = output.keys.state(&receipt.window.id);
        let held = HeldWindow::take(&output.store, &key, job.limits.lease, |_| {}, &|_| {}).await?;
        let now = read_receipt(output, &window.window).await?;
        if now.as_ref() != Some(receipt) {
            return held.release(|_| {}).await;
        }
        clean::interrupted(output, job, &window.window).await?;
        self.complete(window, held, receipt).await;
        Ok(())
    }

    /// Reports a window, tidies up behind its receipt and gives the lease back. What fails is left to the next run.
    async fn complete(&self, window: &WindowPlan, held: HeldWindow, receipt: &Receipt) {
        let place = (self.plan.job, &self.plan.output);
        if self.plan.work == Work::Answers {
            notify::done(self.environment, place, &held, window, receipt).await;
        }
        let (sources, now) = (&self.plan.sources, self.environment.clock.now());
        let deleted = match sources.can_be_told_apart() {
            true => {
                let place = (sources, self.plan.job.timezone);
                clean::superseded(&held.state(), place, receipt, now).await
            }
            false => HashSet::new(),
        };
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

    /// Gives back a window whose answers are not concerned by what went wrong.
    async fn leave(&self, held: HeldWindow, error: Error) -> Error {
        let found = held.found().clone();
        let released = held.release(move |state| {
            let lease = state.lease.take();
            *state = WindowState { lease, ..found };
        });
        if error.class() != Class::Held
            && let Err(unreleased) = released.await
        {
            tracing::warn!(error = %unreleased, "could not give the window back");
        }
        error
    }

    /// Reports what went wrong, records it in the state, and gives the lease back.
    async fn fail(&self, window: &WindowPlan, held: HeldWindow, error: Error) -> Error {
        if self.plan.work == Work::Archives {
            return self.leave(held, error).await;
        }
        if error.class() != Class::Held {
            let (environment, job) = (self.environment, self.plan.job);
            notify::failed(environment, job, &held, &window.report.id, &error).await;
        }
        let failure = Failure {
            at: self.environment.clock.now(),
            exit_code: error.class().exit_code(),
            error: error.to_string(),
            remedy: error.remedy(),
        };
        if error.class() != Class::Held
            && let Err(unrecorded) = held.release(|state| state.failure = Some(failure)).await
        {
            tracing::warn!(error = %unrecorded, "could not note the failure");
        }
        error
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Does the work, for as long as the lease is held.
async fn while_held<T>(held: &HeldWindow, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        done = work => done,
        lost = held.lost() => Err(lost),
    }
}
