//! Deleting what is no longer needed: exports that this job made, and temporary files of interrupted runs.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use object_store::path::Path;

use super::history::read_receipt;
use super::settled::settled_at;
use super::sources::{OpenSource, Sources};
use super::{Environment, Output};
use crate::aws::logs::Origin;
use crate::error::{Class, Error, Result};
use crate::job::Job;
use crate::layout::{self, StagingKeys};
use crate::output::WindowKeys;
use crate::receipt::Receipt;
use crate::state::lease::{self, HeldWindow};
use crate::state::{Attempt, AttemptStage, WindowState};
use crate::store::Store;
use crate::window::Window;

/// An export task ends within a day, so that one that was asked for longer ago writes nothing any more.
const TASKS_END_WITHIN: TimeDelta = TimeDelta::hours(25);

/// Deletes the temporary files and unfinished uploads that an interrupted run left beside its outputs.
pub(super) async fn interrupted(output: &Output, job: &Job, window: &Window) -> Result<()> {
    let WindowKeys { by_rows, mut fixed } = WindowKeys::of(&output.keys, job, window, true);
    fixed.push(output.keys.state(&window.id()));
    let folders: Vec<Path> = by_rows.into_iter().map(|keys| keys.folder).collect();
    output.store.sweep(&fixed, &folders).await
}

/// Deletes the temporary file of a run that was killed while it wrote its first state. On S3 such a run leaves nothing.
pub(super) async fn unwritten_state(output: &Output, window: &Window) -> Result<()> {
    let (store, key) = (&output.store, output.keys.state(&window.id()));
    match store.location().is_local() {
        true => store.sweep(&[key], &[]).await,
        false => Ok(()),
    }
}

/// Deletes the exports that the receipt does not list, and returns the prefixes of those that the state need not name any
/// more. An export that can't be deleted stays in it for the next run; so does one whose task may still write objects.
pub(super) async fn superseded(
    state: &WindowState,
    sources: &Sources<'_>,
    receipt: &Receipt,
    now: DateTime<Utc>,
) -> HashSet<String> {
    let mut deleted = delete(sources, unneeded(state, receipt, Some(sources), now)).await;
    let attempts = state.attempts.iter();
    for attempt in attempts.filter(|attempt| may_write_later(attempt, now)) {
        deleted.remove(&attempt.prefix);
    }
    deleted
}

/// Whether the task of an attempt that was given up may run on and write objects: its answer was lost, or it was not
/// listed, or it is not as dead as the service said.
fn may_write_later(attempt: &Attempt, now: DateTime<Utc>) -> bool {
    attempt.stage == AttemptStage::Abandoned && now - attempt.asked_at < TASKS_END_WITHIN
}

/// The attempts that the receipt does not list and that are not written to any more. The caller must hold the window,
/// since only the holder fetches events without an export task. Those of a source that the job does not have any more stay.
pub(super) fn unneeded<'a>(
    state: &'a WindowState,
    receipt: &Receipt,
    sources: Option<&Sources<'_>>,
    now: DateTime<Utc>,
) -> impl Iterator<Item = &'a Attempt> {
    state.attempts.iter().filter(move |attempt| {
        let may_write = match (attempt.stage, &attempt.task_id) {
            (AttemptStage::Complete | AttemptStage::Abandoned, _) => false,
            (AttemptStage::Asked, None) => false,
            (AttemptStage::Intended | AttemptStage::Asked, _) => {
                now - attempt.asked_at < TASKS_END_WITHIN
            }
        };
        let is_of_origin = Origin::may_be_same(attempt.origin.as_ref(), receipt.origin.as_ref());
        !may_write
            && is_of_origin
            && !receipt.lists(attempt)
            && sources.is_none_or(|sources| sources.owner(attempt).is_some())
    })
}

/// Deletes the exports of windows that settled longer ago than a source's `keep`. A failure is a warning: the next run
/// tries again.
pub(super) async fn expired(
    environment: &Environment,
    job: &Job,
    output: &Output,
    sources: &Sources<'_>,
) {
    for source in sources.iter() {
        let Some(keep) = source.source.keep else {
            continue;
        };
        let retention = Retention {
            job,
            output,
            sources,
            source,
            keep: TimeDelta::from_std(keep).unwrap_or(TimeDelta::MAX),
            now: environment.clock.now(),
        };
        retention.delete_all_expired().await;
    }
}

/// Deletes exports that are older than a source keeps them.
struct Retention<'a> {
    job: &'a Job,
    output: &'a Output,
    sources: &'a Sources<'a>,
    source: &'a OpenSource<'a>,
    keep: TimeDelta,
    now: DateTime<Utc>,
}

impl Retention<'_> {
    async fn delete_all_expired(&self) {
        let (job, staging) = (self.job, &self.source.store);
        let section = self.source.source;
        let warn = |window: &str, error: Error| {
            tracing::warn!(window, %error, "could not delete exports that are older than {section} keep");
        };
        match exported_windows(job, staging, &self.source.keys).await {
            Ok(windows) => {
                for window in windows {
                    match self.delete_expired(&window).await {
                        // Another run holds the lease; the next run retries.
                        Err(error) if error.class() == Class::Held => {}
                        Err(error) => warn(&window.id(), error),
                        Ok(()) => {}
                    }
                }
            }
            Err(error) => warn("all", error),
        }
    }

    fn is_over(&self, since: DateTime<Utc>) -> bool {
        since
            .checked_add_signed(self.keep)
            .is_some_and(|until| until <= self.now)
    }

    async fn delete_expired(&self, window: &Window) -> Result<()> {
        let (job, output) = (self.job, self.output);
        if !self.is_over(settled_at(job, window)) {
            return Ok(());
        }
        let receipt = read_receipt(output, window).await?;
        if receipt.is_none_or(|receipt| receipt.window.provisional) {
            return Ok(());
        }
        let key = output.keys.state(&window.id());
        let is_own = |attempt: &Attempt| {
            let owner = self.sources.owner(attempt);
            owner.is_some_and(|owner| std::ptr::eq(owner, self.source))
        };
        let is_old = |attempt: &&Attempt| self.is_over(attempt.asked_at) && is_own(attempt);
        match lease::read(&output.store, &key).await? {
            Some((state, _)) if state.attempts.iter().any(|attempt| is_old(&attempt)) => {}
            _ => return Ok(()),
        }
        // A lease in the state may be of a run that was killed here, so it is taken over rather than skipped.
        let held = HeldWindow::take(&output.store, &key, job.limits.lease, |_| {}, &|_| {}).await?;
        let state = held.state();
        let deleted = delete(self.sources, state.attempts.iter().filter(is_old)).await;
        tracing::info!(
            window = window.id(),
            exports = deleted.len(),
            "deleted exports that are older than {} keep",
            self.source.source
        );
        held.release(move |state| {
            state
                .attempts
                .retain(|attempt| !deleted.contains(&attempt.prefix));
        })
        .await
    }
}

/// The windows that have a folder in the staging location, also those of another size, which the job had before. Any other
/// folder is reported and left alone.
async fn exported_windows(job: &Job, staging: &Store, keys: &StagingKeys) -> Result<Vec<Window>> {
    let folder = keys.of_job();
    let mut windows = Vec::new();
    let mut strange = Vec::new();
    for id in staging.folders_in(&folder).await? {
        match Window::of_any_size(job.timezone, &id) {
            Some(window) => windows.push(window),
            None => strange.push(id),
        }
    }
    if !strange.is_empty() {
        tracing::warn!(
            "{} has folders that are no windows of the job, and [source] keep leaves them alone: {}",
            staging.display(&folder),
            strange.join(", ")
        );
    }
    Ok(windows)
}

async fn delete<'a>(
    sources: &Sources<'_>,
    attempts: impl Iterator<Item = &'a Attempt>,
) -> HashSet<String> {
    let mut deleted = HashSet::new();
    for attempt in attempts {
        let Some(OpenSource { store: staging, .. }) = sources.owner(attempt) else {
            continue;
        };
        let prefix = layout::join(staging.root(), &attempt.prefix);
        if !layout::is_in_attempt(&prefix) {
            let prefix = staging.display(&prefix);
            tracing::warn!(prefix, "a state names this as an export, which it is not");
            continue;
        }
        match staging.delete_below(&prefix).await {
            Ok(()) => _ = deleted.insert(attempt.prefix.clone()),
            Err(error) => tracing::warn!(
                log_group = attempt.log_group,
                %error,
                "could not delete an export that is no longer needed"
            ),
        }
    }
    deleted
}
