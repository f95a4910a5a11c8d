//! CloudWatch Logs, exported to S3 by its own export tasks, one log group after the other.

mod completeness;
mod earlier;
pub mod empty_export;
mod groups;
mod stretch;
mod task_objects;
mod via;

use std::ops::ControlFlow;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use object_store::ObjectMeta;
use object_store::path::Path;
use tokio::sync::OnceCell;

use self::earlier::{DELETED, is_newer_than, standing};
use self::groups::ListedGroups;
use self::stretch::Stretches;
use super::deadline::{Deadline, Patience};
use super::service::{ExportService, GroupClass, LogGroup, Origin};
use super::staging::{self, Manifest};
use super::task::{MOST_TASKS, TaskRunner, TaskSpec};
use super::turns::ExportSlot;
use super::{ExportRequest, Exported, ExportedGroup, LogExporter};
use crate::clock::Clock;
use crate::error::{Class, Error, Result};
use crate::job::{CloudWatch, Location, Via, split_group_arn};
use crate::layout;
use crate::layout::cloudwatch::LogObject;
use crate::progress::{Progress, Step};
use crate::state::{Attempt, AttemptStage};
use crate::store::Store;
use crate::window::Range;

/// CreateExportTask takes a name of at most 512 characters.
const LONGEST_TASK_NAME: usize = 512;

/// PutLogEvents accepts events of up to two weeks ago, also for a log group that was created later.
const OLDEST_EVENT_MS: i64 = 14 * 24 * 3_600_000;

/// Why some log groups can't be exported.
const OF_DELIVERY: &str =
    "of the class Delivery, whose events CloudWatch can neither export nor return";

/// S3 keys have at most 1024 bytes. CloudWatch appends up to 512 bytes of a stream's name, and 50 more, to the prefix.
const LONGEST_PREFIX: usize = 1024 - 512 - 50;

/// Log groups of CloudWatch Logs.
pub struct CloudWatchExporter {
    service: Arc<dyn ExportService>,
    staging: Store,
    bucket: String,
    settings: CloudWatch,
    clock: Arc<dyn Clock>,
    /// How long all exports together wait without progress.
    patience: Patience,
    /// The same for the export slot alone, where events are the other way.
    slot_patience: Patience,
    slot: Arc<ExportSlot>,
    /// The job's log groups, listed once.
    listed: OnceCell<ListedGroups>,
    stretches: Stretches,
}

impl CloudWatchExporter {
    /// Exports what `settings` names to `staging`, which must be on S3.
    pub fn new(
        service: Arc<dyn ExportService>,
        staging: Store,
        settings: CloudWatch,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let bucket = match staging.location() {
            Location::S3 { bucket, .. } => bucket.clone(),
            local => {
                return Err(Error::usage(format!(
                    "CloudWatch exports to S3 only, not to {local}"
                )));
            }
        };
        Ok(Self {
            service,
            staging,
            bucket,
            patience: Patience::new(settings.give_up_after),
            slot_patience: Patience::new(settings.give_up_after / 2),
            slot: Arc::default(),
            settings,
            clock,
            listed: OnceCell::new(),
            stretches: Stretches::default(),
        })
    }

    /// The same through a slot that other sources of the job use too.
    pub fn sharing(mut self, slot: &Arc<ExportSlot>) -> Self {
        self.slot = Arc::clone(slot);
        self
    }

    /// Whether the export failed with `error` because the group was deleted since the groups were listed. A group that
    /// the job names must exist.
    async fn is_gone(
        &self,
        group: &LogGroup,
        error: &Error,
        report: &(dyn Fn(&str) + Sync),
    ) -> bool {
        if error.class() != Class::Usage || self.is_named(group) {
            return false;
        }
        let mut is_there = false;
        let listed = self
            .deadline(format!("the log group {}", group.name), report)
            .pages(
                |page| self.service.groups(&group.name, page),
                |page| {
                    is_there |= page.iter().any(|other| other.name == group.name);
                    match is_there {
                        true => ControlFlow::Break(()),
                        false => ControlFlow::Continue(()),
                    }
                },
            )
            .await;
        matches!(listed, Ok(Ok(()))) && !is_there
    }

    fn deadline<'a>(&'a self, what: String, report: &'a (dyn Fn(&str) + Sync)) -> Deadline<'a> {
        Deadline::new(self.clock.as_ref(), what, &self.patience, report)
    }

    /// Exports through an export task alone, which may be of several windows.
    async fn export_group(
        &self,
        group: &LogGroup,
        request: &ExportRequest<'_>,
        report: &(dyn Fn(&str) + Sync),
    ) -> Result<ExportedGroup> {
        let deadline = || self.deadline(format!("the export of {}", group.name), report);
        // What is there already needs no slot.
        if let Some(shared) = self.shared(group, request, &deadline()).await? {
            return Ok(shared);
        }
        let _own = self.slot.queue(report).await;
        let deadline = deadline();
        if let Some(shared) = self
            .export_stretch(group, request, &deadline, &deadline)
            .await?
        {
            return Ok(shared);
        }
        let window = request.window.range();
        let began = self.clock.now();
        let attempt = self
            .run_task(group, request, window, began, &deadline)
            .await?;
        self.complete(group, request, attempt, None, &deadline)
            .await
    }

    /// Runs a task for the padded window, and returns the attempt once its task is COMPLETED. An earlier attempt, or one
    /// of this run since `began`, is continued where it covers `needed`.
    async fn run_task(
        &self,
        group: &LogGroup,
        request: &ExportRequest<'_>,
        needed: Range,
        began: DateTime<Utc>,
        deadline: &Deadline<'_>,
    ) -> Result<Attempt> {
        check_prefix(group, request)?;
        let root = self.staging.root();
        let task_name = task_name(request, &request.window.id(), group);
        let spec = TaskSpec {
            log_group: group,
            log_stream_prefix: self.settings.log_stream_prefix.as_deref(),
            window: needed,
            padded: request
                .window
                .range()
                .padded(self.settings.pad, self.settings.pad_after),
            task_name: &task_name,
            bucket: &self.bucket,
            staging: root,
            new_prefix: &|| request.keys.relative(&new_attempt(group, request)),
            reuse: request.reuse,
            began,
            most_tasks: MOST_TASKS,
        };
        let runner = TaskRunner {
            service: self.service.as_ref(),
            journal: request.journal,
            deadline,
            turns: &self.slot.turns,
        };
        runner.run(&spec).await
    }

    /// Lists the objects of the attempt's task, and completes the attempt, with a further note for the receipt.
    async fn complete(
        &self,
        group: &LogGroup,
        request: &ExportRequest<'_>,
        attempt: Attempt,
        further: Option<String>,
        deadline: &Deadline<'_>,
    ) -> Result<ExportedGroup> {
        let (objects, unread) = self
            .task_objects(group, request, &attempt, deadline)
            .await?;
        let is_empty = objects.is_empty() && unread.is_none();
        let note = self
            .check_completeness(group, request, &attempt, is_empty, deadline)
            .await?;
        let note = joined([note, unread, further]);
        let range = attempt.range;
        self.complete_with(request, attempt, range, objects, note)
            .await
    }

    /// The objects below an attempt's prefix, and a note on those that can't be read. CloudWatch takes streams that are
    /// named `.` or `..`, and S3 such keys; but no path can hold them.
    async fn listed(&self, prefix: &Path) -> Result<(Vec<ObjectMeta>, Option<String>)> {
        let (listed, skipped) = self.staging.list_with_skipped(prefix).await?;
        let note = skipped.note(&self.staging.display(prefix));
        if let Some(note) = &note {
            tracing::warn!("{note}");
        }
        Ok((listed, note))
    }

    /// Writes the attempt's manifest.
    async fn complete_with(
        &self,
        request: &ExportRequest<'_>,
        mut attempt: Attempt,
        range: Range,
        objects: Vec<LogObject>,
        note: Option<String>,
    ) -> Result<ExportedGroup> {
        let prefix = layout::join(self.staging.root(), &attempt.prefix);
        let task_id = attempt.task_id.as_deref().unwrap_or(via::NO_TASK);
        let (log_group, asked_at) = (&attempt.log_group, attempt.asked_at);
        let manifest = Manifest {
            log_stream_prefix: attempt.log_stream_prefix.clone(),
            task_range: attempt.task_id.is_some().then_some(attempt.range),
            origin: attempt.origin.clone(),
            note,
            ..Manifest::new(log_group, request.window, range, task_id, asked_at)
        };
        let exported = staging::complete(&self.staging, &prefix, manifest, objects).await?;
        // A later run sees the manifest, if it does not see this.
        attempt.stage = AttemptStage::Complete;
        request.journal.note(attempt);
        Ok(exported)
    }
}

/// The name of a task, shown in the console.
fn task_name(request: &ExportRequest<'_>, windows: &str, group: &LogGroup) -> String {
    let mut name = format!("logtally {} {windows} {}", request.keys.job(), group.name);
    name.truncate(LONGEST_TASK_NAME);
    name
}

/// Several notes for the receipt as one.
fn joined(notes: [Option<String>; 3]) -> Option<String> {
    let notes: Vec<String> = notes.into_iter().flatten().collect();
    (!notes.is_empty()).then(|| notes.join("; "))
}

/// The account and Region of these log groups, of those that are named by themselves: log groups of linked accounts say in their names
/// whose they are. Of such ones alone it is that of all; `None` where they have several.
fn common_origin(groups: &[LogGroup]) -> Option<&Origin> {
    let is_linked = |group: &&LogGroup| split_group_arn(&group.name).is_some();
    let has_own = groups.iter().any(|group| !is_linked(&group));
    let asked = groups.iter().filter(|group| !has_own || !is_linked(group));
    let mut origins = asked.filter_map(|group| group.origin.as_ref());
    let first = origins.next()?;
    origins.all(|origin| origin == first).then_some(first)
}

/// A prefix that no other attempt has.
fn new_attempt(group: &LogGroup, request: &ExportRequest<'_>) -> Path {
    let id = staging::new_attempt_id();
    request.keys.attempt(&request.window.id(), &group.name, &id)
}

fn check_prefix(group: &LogGroup, request: &ExportRequest<'_>) -> Result<()> {
    let bytes = new_attempt(group, request).as_ref().len();
    if bytes <= LONGEST_PREFIX {
        return Ok(());
    }
    Err(Error::usage(format!(
        "the prefix for exports of {} has {bytes} bytes, {LONGEST_PREFIX} is the most: choose a shorter staging location or job name",
        group.name,
    )))
}

impl CloudWatchExporter {
    /// Whether an export is of the job's log groups and streams.
    fn is_of_source(&self, origin: Option<&Origin>, manifest: &Manifest) -> bool {
        manifest.log_stream_prefix == self.settings.log_stream_prefix
            && self.is_matched(&manifest.log_group)
            && (split_group_arn(&manifest.log_group).is_some()
                || Origin::may_be_same(origin, manifest.origin.as_ref()))
    }
}

#[async_trait]
impl LogExporter for CloudWatchExporter {
    async fn groups(&self) -> Result<Vec<String>> {
        let report = |state: &str| tracing::warn!("listing the log groups: {state}");
        let groups = self.log_groups(&report).await?;
        Ok(groups.iter().map(|group| group.name.clone()).collect())
    }

    async fn origin(&self) -> Result<Option<Origin>> {
        let report = |state: &str| tracing::warn!("listing the log groups: {state}");
        let groups = self.log_groups(&report).await?;
        Ok(common_origin(groups).cloned())
    }

    async fn deleted_until(&self) -> Result<Option<DateTime<Utc>>> {
        let report = |state: &str| tracing::warn!("listing the log groups: {state}");
        let (groups, now) = (self.log_groups(&report).await?, self.clock.now());
        let deleted_until = groups
            .iter()
            .map(|group| completeness::deleted_until(group, now));
        // `None` is less than any instant.
        Ok(deleted_until.min().flatten())
    }

    async fn check_without_events(
        &self,
        request: &ExportRequest<'_>,
        group: &ExportedGroup,
    ) -> Result<Option<String>> {
        self.check_stretch_without_events(request, group).await
    }

    async fn export(
        &self,
        request: &ExportRequest<'_>,
        progress: &dyn Progress,
    ) -> Result<Exported> {
        let listing = |state: &str| {
            progress.report(Step::Exporting {
                group: "log groups",
                number: 0,
                of: 0,
                state,
            });
        };
        let groups = self.log_groups(&listing).await?;
        let origin = common_origin(groups);
        // Also of groups that were deleted since.
        let is_of_source = |manifest: &Manifest| self.is_of_source(origin, manifest);
        let mut earlier = staging::newest_exports(&self.staging, request, is_of_source).await?;
        let mut exported = Exported::default();
        let mut completed = None;
        let unmatched = self.listed.get().map(|listed| &listed.unmatched);
        for note in unmatched.into_iter().flatten() {
            exported.note(note.clone());
        }
        let of = groups.len();
        for (index, group) in groups.iter().enumerate() {
            let earlier = earlier.remove(&group.name);
            if earlier.is_none() && is_newer_than(group, request.window) {
                exported.skipped.push(group.name.clone());
                continue;
            }
            if group.class == GroupClass::Delivery {
                exported.note(format!("{} was left out: it is {OF_DELIVERY}", group.name));
                continue;
            }
            let report = |state: &str| {
                progress.report(Step::Exporting {
                    group: &group.name,
                    number: index + 1,
                    of,
                    state,
                });
            };
            staging::note_complete(&self.staging, request.journal, &group.name).await?;
            match self
                .export_or_keep(group, earlier, request, &report)
                .await?
            {
                Some(group) => {
                    if !group.reused && group.stretch.is_none() {
                        completed = Some(self.clock.now());
                    }
                    exported.groups.push(group);
                }
                None => {
                    let why = "it was deleted since the log groups were listed";
                    exported.note(format!("{} was left out: {why}", group.name));
                }
            }
        }
        if self.settings.via != Via::Events {
            self.list_again(request, &mut exported.groups, completed)
                .await?;
        }
        let of_deleted = earlier.into_values();
        let of_deleted = of_deleted.map(|kept| standing(kept, request.window, DELETED));
        exported.groups.extend(of_deleted);
        exported
            .groups
            .sort_by(|a, b| a.log_group.cmp(&b.log_group));
        Ok(exported)
    }
}

#[cfg(test)]
mod tests;
