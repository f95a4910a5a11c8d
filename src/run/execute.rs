//! Doing what a plan says, window by window: take the lease, export, compute, publish. While one window waits for its
//! export, the answers of the one before are computed.

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::mpsc;

use super::compute::{Stopwatch, WindowRun};
use super::history::read_receipt;
use super::publish::Publisher;
use super::settled::{is_published, settled_at};
use super::{Action, Environment, Force, Plan, WindowPlan, clean, verifier};
use crate::chart::build::ChartData;
use crate::error::{Class, Error, Result};
use crate::export::{ExportRequest, Exported};
use crate::layout::StagingKeys;
use crate::progress::Step;
use crate::receipt::Receipt;
use crate::state::lease::HeldWindow;
use crate::state::{Failure, Phase, Unfinished, WindowState};
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
}

/// Runs every window of a plan in turn; a failed one does not keep the others from being done. `ended` is called with each
/// outcome as it comes.
pub async fn execute(
    environment: &Environment,
    plan: &Plan<'_>,
    ended: impl FnMut(&WindowPlan, &Outcome),
) -> Result<Vec<Outcome>> {
    let runner = Runner {
        environment,
        plan,
        verifier: verifier(environment, plan.job).await?,
        staging_keys: StagingKeys::of(plan.job)?,
    };
    let (exported, to_compute) = mpsc::channel(1);
    let ((), outcomes) = tokio::join!(
        runner.export_all(exported),
        runner.compute_all(to_compute, ended)
    );
    let keys = &runner.staging_keys;
    clean::expired(environment, plan.job, &plan.output, &plan.source, keys).await;
    Ok(outcomes)
}

/// A window on its way from exporting to computing.
enum Next<'a> {
    /// It is done already.
    Skip(Box<Receipt>),
    Compute(Box<ExportedWindow<'a>>),
}

/// A window that is held and exported.
struct ExportedWindow<'a> {
    held: HeldWindow,
    publisher: Publisher<'a>,
    exported: Exported,
    started_at: DateTime<Utc>,
    stopwatch: Stopwatch,
}

type Exporting<'a> = (&'a WindowPlan, Result<Next<'a>>);

/// What the windows of a plan have in common.
struct Runner<'a> {
    environment: &'a Environment,
    plan: &'a Plan<'a>,
    verifier: Option<Verifier>,
    staging_keys: StagingKeys,
}

impl<'a> Runner<'a> {
    /// Exports the windows one after the other. Dropping `exported` at the end ends [`Self::compute_all`].
    async fn export_all(&self, exported: mpsc::Sender<Exporting<'a>>) {
        for window in &self.plan.windows {
            let next = match &window.last {
                Some(last) if window.action == Action::Skip => {
                    self.tidy_up(window, last).await;
                    Ok(Next::Skip(Box::new(last.clone())))
                }
                _ => self.begin(window).await,
            };
            if exported.send((window, next)).await.is_err() {
                return;
            }
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
            Ok(Next::Compute(exported)) => self.finish(window, *exported).await,
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
        }
    }

    /// Takes the window and exports it.
    async fn begin(&self, window: &'a WindowPlan) -> Result<Next<'a>> {
        let id = window.report.id.as_str();
        self.environment.progress.report(Step::Window { id });
        let started_at = self.environment.clock.now();
        let mut stopwatch = Stopwatch::default();
        let held = self.hold(window, started_at).await?;
        let there = match read_receipt(&self.plan.output, &window.window).await {
            Ok(there) => there,
            Err(error) => return Err(self.fail(held, error).await),
        };
        if there != window.last {
            return self.give_back(window, held, there).await;
        }
        let exporting = while_held(&held, self.export(window, &held));
        match stopwatch.time("export", exporting).await {
            Ok((publisher, exported)) => Ok(Next::Compute(Box::new(ExportedWindow {
                held,
                publisher,
                exported,
                started_at,
                stopwatch,
            }))),
            Err(error) => Err(self.fail(held, error).await),
        }
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

    async fn export(
        &self,
        window: &'a WindowPlan,
        held: &HeldWindow,
    ) -> Result<(Publisher<'a>, Exported)> {
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
        let request = ExportRequest {
            keys: &self.staging_keys,
            window: &window.window,
            reuse_since: match window.action {
                Action::Skip | Action::Compute => Some(settled_at(job, &window.window)),
                // Only what this run, or the one that it resumes, exported itself.
                Action::ExportAndCompute => began_at,
            },
            takes_empty: self.plan.force == Force::Export,
            journal: held,
        };
        let exported = self
            .plan
            .exporter
            .export(&request, self.environment.progress.as_ref())
            .await?;
        Ok((publisher, exported))
    }

    /// Computes the answers of a window, publishes them, and gives the window back.
    async fn finish(
        &self,
        window: &WindowPlan,
        exported: ExportedWindow<'a>,
    ) -> Result<(Receipt, Vec<ChartData>)> {
        let ExportedWindow {
            held,
            publisher,
            exported,
            started_at,
            stopwatch,
        } = exported;
        let run = WindowRun {
            environment: self.environment,
            plan: self.plan,
            verifier: self.verifier.as_ref(),
            window,
            held: &held,
            publisher: &publisher,
            started_at,
        };
        match while_held(&held, run.run(exported, stopwatch)).await {
            Ok((receipt, series)) => {
                publisher.delete_old_parts(&receipt).await;
                self.complete(held, &receipt).await;
                Ok((receipt, series))
            }
            Err(error) => Err(self.fail(held, error).await),
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
        self.complete(held, receipt).await;
        Ok(())
    }

    /// Tidies up behind a receipt and gives the lease back. What fails is left to the next run.
    async fn complete(&self, held: HeldWindow, receipt: &Receipt) {
        let now = self.environment.clock.now();
        let deleted = clean::superseded(&held.state(), &self.plan.source, receipt, now).await;
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

    /// Records in the state what went wrong, and gives the lease back.
    async fn fail(&self, held: HeldWindow, error: Error) -> Error {
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

/// Does the work, for as long as the lease is held.
async fn while_held<T>(held: &HeldWindow, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        done = work => done,
        lost = held.lost() => Err(lost),
    }
}
