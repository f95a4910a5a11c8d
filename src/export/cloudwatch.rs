//! CloudWatch Logs, exported to S3 by its own export tasks, one log group after the other.

use std::sync::Arc;

use async_trait::async_trait;
use object_store::path::Path;

use super::queue;
use super::service::{ExportService, LogGroup, ServiceError, ServiceErrorKind, TaskRequest};
use super::staging::{self, Manifest};
use super::{ExportRequest, Exported, ExportedGroup, LogExporter};
use crate::clock::Clock;
use crate::error::{Class, Error, Result};
use crate::job::{CloudWatch, Location};
use crate::layout;
use crate::progress::{Progress, Step};
use crate::store::Store;

/// CreateExportTask takes a name of at most 512 characters.
const LONGEST_TASK_NAME: usize = 512;

/// PutLogEvents takes events of up to two weeks ago, also into a group that was made since.
const OLDEST_EVENT_MS: i64 = 14 * 24 * 3_600_000;

/// S3 keys have at most 1024 bytes; what CloudWatch appends to the prefix takes up to 512 of a stream's name and 50.
const LONGEST_PREFIX: usize = 1024 - 512 - 50;

/// Log groups of CloudWatch Logs.
pub struct CloudWatchExporter {
    service: Arc<dyn ExportService>,
    staging: Store,
    bucket: String,
    settings: CloudWatch,
    clock: Arc<dyn Clock>,
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
        })
    }

    /// The groups that the job's names and globs mean, each once, by name.
    async fn expand(&self) -> Result<Vec<LogGroup>> {
        let mut groups: Vec<LogGroup> = Vec::new();
        for pattern in &self.settings.log_groups {
            let known = self
                .service
                .groups(pattern.literal_prefix())
                .await
                .map_err(cannot_list)?;
            let mut matching: Vec<LogGroup> = known
                .into_iter()
                .filter(|group| pattern.matches(&group.name))
                .collect();
            if matching.is_empty() {
                return Err(Error::usage(match pattern.is_name() {
                    true => format!("the log group {:?} does not exist", pattern.as_str()),
                    false => format!("no log group matches {:?}", pattern.as_str()),
                }));
            }
            groups.append(&mut matching);
        }
        groups.sort_by(|a, b| a.name.cmp(&b.name));
        groups.dedup_by(|a, b| a.name == b.name);
        Ok(groups)
    }

    async fn export_group(
        &self,
        group: &LogGroup,
        request: &ExportRequest<'_>,
        tell: &(dyn Fn(&str) + Sync),
    ) -> Result<ExportedGroup> {
        let mut range = request.window.range().padded(self.settings.pad);
        // Nothing is later than now, and the service refuses an end before the group was made. The start stays: agents
        // ship lines that are older than their group.
        let now = self.clock.now().timestamp_millis();
        range.end_ms = range.end_ms.min(now).max(group.created_ms + 1);
        range.start_ms = range.start_ms.max(0);
        let window_id = request.window.id();
        let new_attempt = || {
            let id = staging::new_attempt_id();
            let root = self.staging.root();
            layout::attempt(root, request.job, &window_id, &group.name, &id)
        };
        let attempt = new_attempt();
        if attempt.as_ref().len() > LONGEST_PREFIX {
            return Err(Error::usage(format!(
                "the prefix for exports of {} has {} bytes, {LONGEST_PREFIX} is the most: choose a shorter staging location or job name",
                group.name,
                attempt.as_ref().len()
            )));
        }
        let mut name = format!("logtally {} {window_id} {}", request.job, group.name);
        name.truncate(LONGEST_TASK_NAME);
        let new_task = || TaskRequest {
            name: name.clone(),
            log_group: group.name.clone(),
            log_stream_prefix: self.settings.log_stream_prefix.clone(),
            from_ms: range.start_ms,
            to_ms: range.end_ms,
            bucket: self.bucket.clone(),
            prefix: new_attempt().to_string(),
        };
        let service = self.service.as_ref();
        let clock = self.clock.as_ref();
        let patience = self.settings.give_up_after;
        let done =
            queue::run_export(service, clock, &group.name, &new_task, patience, tell).await?;
        let attempt = layout::join(&Path::default(), &done.request.prefix);
        let (task_id, as_of) = (&done.task_id, done.asked_at);
        let mut manifest = Manifest::new(&group.name, request.window, range, task_id, as_of);
        manifest.log_stream_prefix = self.settings.log_stream_prefix.clone();
        staging::complete(&self.staging, &attempt, manifest).await
    }
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
        Ok(self
            .expand()
            .await?
            .into_iter()
            .map(|group| group.name)
            .collect())
    }

    async fn export(
        &self,
        request: &ExportRequest<'_>,
        progress: &dyn Progress,
    ) -> Result<Exported> {
        let groups = self.expand().await?;
        let range = request.window.range();
        let stream_prefix = self.settings.log_stream_prefix.as_deref();
        let mut kept = staging::kept_attempts(&self.staging, request, stream_prefix).await?;
        let mut exported = Exported::default();
        let of = groups.len();
        for (index, group) in groups.iter().enumerate() {
            if group.created_ms >= range.end_ms.saturating_add(OLDEST_EVENT_MS) {
                exported.skipped.push(group.name.clone());
                continue;
            }
            let tell = |state: &str| {
                progress.report(Step::Exporting {
                    group: &group.name,
                    number: index + 1,
                    of,
                    state,
                });
            };
            let done = match kept.remove(&group.name) {
                Some(kept) => {
                    tell("using the export that was kept");
                    kept
                }
                None => {
                    tell("asking for the export");
                    self.export_group(group, request, &tell).await?
                }
            };
            if done.objects.is_empty() {
                tracing::warn!(
                    log_group = group.name,
                    task = done.task_id,
                    "the export has no events: the group had none, its retention has expired, or no stream has the prefix"
                );
            }
            exported.groups.push(done);
        }
        Ok(exported)
    }
}
