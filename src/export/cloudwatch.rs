//! CloudWatch Logs, exported to S3 by its own export tasks, one log group after the other.

mod completeness;
pub mod empty_export;
mod via;

use std::ops::ControlFlow;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use object_store::path::Path;
use tokio::sync::OnceCell;

use super::deadline::Deadline;
use super::service::{ExportService, GroupClass, LogGroup, Origin, ServiceError, ServiceErrorKind};
use super::staging::{self, Manifest};
use super::task::{TaskRunner, TaskSpec};
use super::{ExportRequest, Exported, ExportedGroup, LogExporter};
use crate::clock::Clock;
use crate::error::{Class, Error, Result};
use crate::job::{CloudWatch, GroupPattern, Location, Via, nearest};
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

/// The most log groups to search for a name like a wrong one. A page has 50.
const MOST_NAMES: usize = 1000;

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
    /// The job's log groups, listed once.
    groups: OnceCell<Vec<LogGroup>>,
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
            settings,
            clock,
            groups: OnceCell::new(),
        })
    }

    /// The log groups that the job's names and globs match, each once, by name.
    async fn log_groups(&self, report: &(dyn Fn(&str) + Sync)) -> Result<&[LogGroup]> {
        let groups = self
            .groups
            .get_or_try_init(|| self.list_groups(report))
            .await?;
        Ok(groups)
    }

    async fn list_groups(&self, report: &(dyn Fn(&str) + Sync)) -> Result<Vec<LogGroup>> {
        let what = "the list of the log groups".to_owned();
        let deadline = self.deadline(what, report);
        let deadline = deadline.of_first_contact(self.service.endpoint());
        let mut groups: Vec<LogGroup> = Vec::new();
        for pattern in &self.settings.log_groups {
            let before = groups.len();
            let listed = deadline
                .pages(
                    |page| self.service.groups(pattern.literal_prefix(), page),
                    |page| {
                        groups.extend(
                            page.into_iter()
                                .filter(|group| pattern.matches(&group.name)),
                        );
                        ControlFlow::Continue(())
                    },
                )
                .await?;
            listed.map_err(cannot_list)?;
            let found = &groups[before..];
            if found.is_empty() {
                return Err(self.no_such_group(pattern, &deadline).await);
            }
            if found
                .iter()
                .all(|group| group.class == GroupClass::Delivery)
            {
                return Err(Error::usage(format!(
                    "[source] log_groups: {:?} is {OF_DELIVERY}",
                    pattern.as_str()
                )));
            }
        }
        groups.sort_by(|a, b| a.name.cmp(&b.name));
        groups.dedup_by(|a, b| a.name == b.name);
        Ok(groups)
    }

    /// An error (usage) that suggests the existing name most like the missing one.
    async fn no_such_group(&self, pattern: &GroupPattern, deadline: &Deadline<'_>) -> Error {
        let mut names = Vec::new();
        // After an error there is nothing to suggest.
        let _ = deadline
            .pages(
                |page| self.service.groups("", page),
                |page| {
                    names.extend(page.into_iter().map(|group| group.name));
                    match names.len() < MOST_NAMES {
                        true => ControlFlow::Continue(()),
                        false => ControlFlow::Break(()),
                    }
                },
            )
            .await;
        let text = pattern.as_str();
        let missing = match pattern.is_name() {
            true => format!("the log group {text:?} does not exist"),
            false => format!("no log group matches {text:?}"),
        };
        let hint = nearest(text, names.iter().map(String::as_str))
            .map_or(String::new(), |name| format!("; did you mean {name:?}?"));
        Error::usage(format!("[source] log_groups: {missing}{hint}"))
    }

    /// Whether the job names the group itself, not only a glob that it matches.
    fn is_named(&self, group: &LogGroup) -> bool {
        let mut patterns = self.settings.log_groups.iter();
        patterns.any(|pattern| pattern.is_name() && pattern.matches(&group.name))
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
        let give_up_after = self.settings.give_up_after;
        Deadline::new(self.clock.as_ref(), what, give_up_after, report)
    }

    /// Exports through an export task alone.
    async fn export_group(
        &self,
        group: &LogGroup,
        request: &ExportRequest<'_>,
        report: &(dyn Fn(&str) + Sync),
    ) -> Result<ExportedGroup> {
        let deadline = self.deadline(format!("the export of {}", group.name), report);
        let window = request.window.range();
        let since = request.reuse_since;
        let attempt = self
            .run_task(group, request, window, since, &deadline)
            .await?;
        self.complete(group, request, attempt, &deadline).await
    }

    /// Runs a task for the padded window, and returns the attempt once its task is COMPLETED. An earlier attempt is
    /// continued where it was requested at or after `since` and covers `needed`.
    async fn run_task(
        &self,
        group: &LogGroup,
        request: &ExportRequest<'_>,
        needed: Range,
        since: Option<DateTime<Utc>>,
        deadline: &Deadline<'_>,
    ) -> Result<Attempt> {
        check_prefix(group, request)?;
        let root = self.staging.root();
        let window_id = request.window.id();
        let mut task_name = format!("logtally {} {window_id} {}", request.keys.job(), group.name);
        task_name.truncate(LONGEST_TASK_NAME);
        let spec = TaskSpec {
            log_group: group,
            log_stream_prefix: self.settings.log_stream_prefix.as_deref(),
            window: needed,
            padded: request.window.range().padded(self.settings.pad),
            task_name: &task_name,
            bucket: &self.bucket,
            staging: root,
            new_prefix: &|| request.keys.relative(&new_attempt(group, request)),
            reuse_since: since,
        };
        let runner = TaskRunner {
            service: self.service.as_ref(),
            journal: request.journal,
            deadline,
        };
        runner.run(&spec).await
    }

    /// Lists the objects of the attempt's task, and completes the attempt.
    async fn complete(
        &self,
        group: &LogGroup,
        request: &ExportRequest<'_>,
        attempt: Attempt,
        deadline: &Deadline<'_>,
    ) -> Result<ExportedGroup> {
        let prefix = layout::join(self.staging.root(), &attempt.prefix);
        let listed = self.staging.list_logs(&prefix, Some(&group.name)).await?;
        let objects: Vec<LogObject> = listed
            .into_iter()
            .filter(|object| !layout::is_in_piece(&object.key()))
            .collect();
        let is_empty = objects.is_empty();
        let note = self
            .check_completeness(group, request, &attempt, is_empty, deadline)
            .await?;
        let range = attempt.range;
        self.complete_with(request, attempt, range, objects, note)
            .await
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

fn cannot_list(error: ServiceError) -> Error {
    let class = match error.kind {
        ServiceErrorKind::Invalid => Class::Usage,
        _ => Class::Source,
    };
    Error::new(
        class,
        format!("could not list the log groups: {}", error.message),
    )
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
        Ok(groups.iter().find_map(|group| group.origin.clone()))
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
        let range = request.window.range();
        let stream_prefix = self.settings.log_stream_prefix.as_deref();
        let is_of_group = |manifest: &Manifest| {
            manifest.log_stream_prefix.as_deref() == stream_prefix
                && groups.iter().any(|group| {
                    group.name == manifest.log_group
                        && Origin::may_be_same(group.origin.as_ref(), manifest.origin.as_ref())
                })
        };
        let mut kept = staging::kept_attempts(&self.staging, request, is_of_group).await?;
        let mut exported = Exported::default();
        let of = groups.len();
        for (index, group) in groups.iter().enumerate() {
            if group.created_ms >= range.end_ms.saturating_add(OLDEST_EVENT_MS) {
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
            if let Some(kept) = kept.remove(&group.name) {
                report("using the export that was kept");
                exported.groups.push(kept);
                continue;
            }
            report("requesting the export");
            let done = match self.settings.via {
                Via::ExportTask => self.export_group(group, request, &report).await,
                Via::Events => self.export_events(group, request, &report).await,
                Via::Auto => self.export_either_way(group, request, &report).await,
            };
            match done {
                Err(error) if self.is_gone(group, &error, &report).await => {
                    let why = "it was deleted since the log groups were listed";
                    exported.note(format!("{} was left out: {why}", group.name));
                }
                done => exported.groups.push(done?),
            }
        }
        Ok(exported)
    }
}

#[cfg(test)]
mod tests;
