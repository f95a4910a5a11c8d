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

use super::deadline::Patience;
use super::service::{ExportService, GroupClass, LogGroup, ServiceError, ServiceErrorKind};
use super::staging::{self, Manifest};
use super::task::{Order, Queue};
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

/// PutLogEvents takes events of up to two weeks ago, also into a group that was made since.
const OLDEST_EVENT_MS: i64 = 14 * 24 * 3_600_000;

/// So many log groups are looked at for one whose name is like a wrong one. A page has 50.
const MOST_NAMES: usize = 1000;

/// Why some groups can't be taken.
const OF_DELIVERY: &str =
    "of the class Delivery, whose events CloudWatch hands on and neither exports nor gives";

/// S3 keys have at most 1024 bytes; what CloudWatch appends to the prefix takes up to 512 of a stream's name and 50.
const LONGEST_PREFIX: usize = 1024 - 512 - 50;

/// Log groups of CloudWatch Logs.
pub struct CloudWatchExporter {
    service: Arc<dyn ExportService>,
    staging: Store,
    bucket: String,
    settings: CloudWatch,
    clock: Arc<dyn Clock>,
    /// The groups that the job means, asked for once.
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

    /// The groups that the job's names and globs mean, each once, by name.
    async fn log_groups(&self, tell: &(dyn Fn(&str) + Sync)) -> Result<&[LogGroup]> {
        let groups = self.groups.get_or_try_init(|| self.expand(tell)).await?;
        Ok(groups)
    }

    async fn expand(&self, tell: &(dyn Fn(&str) + Sync)) -> Result<Vec<LogGroup>> {
        let what = "the list of the log groups".to_owned();
        let patience = self.patience(what, tell);
        let patience = patience.of_first_contact(self.service.endpoint());
        let mut groups: Vec<LogGroup> = Vec::new();
        for pattern in &self.settings.log_groups {
            let before = groups.len();
            let listed = patience
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
                return Err(self.no_such_group(pattern, &patience).await);
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

    /// An error that names the existing group most like the one meant.
    async fn no_such_group(&self, pattern: &GroupPattern, patience: &Patience<'_>) -> Error {
        let mut names = Vec::new();
        // Where they can't be listed, there is nothing to suggest.
        let _ = patience
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

    /// Whether the job names the group, rather than a glob that it matches.
    fn is_named(&self, group: &LogGroup) -> bool {
        let mut patterns = self.settings.log_groups.iter();
        patterns.any(|pattern| pattern.is_name() && pattern.matches(&group.name))
    }

    /// Whether what failed with `error` failed because the group was deleted since the groups were listed. One that the
    /// job names must not be.
    async fn is_gone(&self, group: &LogGroup, error: &Error, tell: &(dyn Fn(&str) + Sync)) -> bool {
        if error.class() != Class::Usage || self.is_named(group) {
            return false;
        }
        let mut is_there = false;
        let listed = self
            .patience(format!("the log group {}", group.name), tell)
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

    fn patience<'a>(&'a self, what: String, tell: &'a (dyn Fn(&str) + Sync)) -> Patience<'a> {
        Patience::new(self.clock.as_ref(), what, self.settings.give_up_after, tell)
    }

    /// By an export task alone.
    async fn export_group(
        &self,
        group: &LogGroup,
        request: &ExportRequest<'_>,
        tell: &(dyn Fn(&str) + Sync),
    ) -> Result<ExportedGroup> {
        let patience = self.patience(format!("the export of {}", group.name), tell);
        let window = request.window.range();
        let since = request.reuse_since;
        let attempt = self
            .run_task(group, request, window, since, &patience)
            .await?;
        self.complete(group, request, attempt, &patience).await
    }

    /// Has a task export the window, padded, and returns the attempt whose task is COMPLETED. One that was asked for at
    /// or after `since` will do if it has all of `needed`.
    async fn run_task(
        &self,
        group: &LogGroup,
        request: &ExportRequest<'_>,
        needed: Range,
        since: Option<DateTime<Utc>>,
        patience: &Patience<'_>,
    ) -> Result<Attempt> {
        check_prefix(group, request)?;
        let root = self.staging.root();
        let window_id = request.window.id();
        let mut task_name = format!("logtally {} {window_id} {}", request.keys.job(), group.name);
        task_name.truncate(LONGEST_TASK_NAME);
        let order = Order {
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
        let queue = Queue {
            service: self.service.as_ref(),
            journal: request.journal,
            patience,
        };
        queue.export(&order).await
    }

    /// Lists what the attempt's task wrote, and completes it.
    async fn complete(
        &self,
        group: &LogGroup,
        request: &ExportRequest<'_>,
        attempt: Attempt,
        patience: &Patience<'_>,
    ) -> Result<ExportedGroup> {
        let prefix = layout::join(self.staging.root(), &attempt.prefix);
        let listed = self.staging.list_logs(&prefix, Some(&group.name)).await?;
        let objects: Vec<LogObject> = listed
            .into_iter()
            .filter(|object| !layout::is_in_piece(&object.meta.location))
            .collect();
        let is_empty = objects.is_empty();
        let note = self
            .doubt(group, request, &attempt, is_empty, patience)
            .await?;
        let range = attempt.range;
        self.complete_with(request, attempt, range, objects, note)
            .await
    }

    /// Writes the attempt's manifest, and records that it is complete.
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
            note,
            ..Manifest::new(log_group, request.window, range, task_id, asked_at)
        };
        let exported = staging::complete(&self.staging, &prefix, manifest, objects).await?;
        attempt.stage = AttemptStage::Complete;
        request.journal.record(attempt).await?;
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
        let tell = |state: &str| tracing::warn!("listing the log groups: {state}");
        let groups = self.log_groups(&tell).await?;
        Ok(groups.iter().map(|group| group.name.clone()).collect())
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
        let mut kept = staging::kept_attempts(&self.staging, request, stream_prefix).await?;
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
            let tell = |state: &str| {
                progress.report(Step::Exporting {
                    group: &group.name,
                    number: index + 1,
                    of,
                    state,
                });
            };
            if let Some(kept) = kept.remove(&group.name) {
                tell("using the export that was kept");
                staging::record_kept(&self.staging, request.journal, &kept).await?;
                exported.groups.push(kept);
                continue;
            }
            tell("asking for the export");
            let done = match self.settings.via {
                Via::ExportTask => self.export_group(group, request, &tell).await,
                Via::Events => self.export_events(group, request, &tell).await,
                Via::Auto => self.export_either_way(group, request, &tell).await,
            };
            match done {
                Err(error) if self.is_gone(group, &error, &tell).await => {
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
mod tests {
    use super::*;
    use crate::aws::{Account, Aws};
    use crate::clock::TestClock;
    use crate::export::fake::{Call, FakeLogs, Fate};
    use crate::job::{AwsSettings, GroupPattern, Verify, Via};
    use crate::layout::StagingKeys;
    use crate::progress::Silent;
    use crate::state::{Journal, MemoryJournal};
    use crate::store::Stores;
    use crate::window::{Size, Window};
    use chrono::Utc;
    use chrono_tz::Tz;
    use object_store::memory::InMemory;
    use std::time::Duration;

    const HOUR: Duration = Duration::from_secs(3600);

    fn instant(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    /// CloudWatch Logs with groups `/a` and `/b`, a bucket, and a job that exports 2026-11-20 in UTC a day later.
    struct Cloud {
        clock: Arc<TestClock>,
        logs: Arc<FakeLogs>,
        staging: Store,
        keys: StagingKeys,
        settings: CloudWatch,
        journal: MemoryJournal,
        reuse_since: Option<DateTime<Utc>>,
        takes_empty: bool,
    }

    impl Cloud {
        async fn new() -> Self {
            let clock = Arc::new(TestClock::at(instant("2026-11-21T15:00:00Z")));
            let objects = Arc::new(InMemory::new());
            let logs = FakeLogs::new(clock.clone(), "acme-logs", objects.clone());
            for group in ["/a", "/b"] {
                logs.add_group(group, instant("2026-01-01T00:00:00Z"));
            }
            let location = Location::parse("s3://acme-logs/exports", "/".as_ref()).unwrap();
            let stores = Stores::new(Arc::new(Aws::new(AwsSettings::default()))).unwrap();
            let stores = stores.with_objects("acme-logs", objects).unwrap();
            Self {
                clock,
                logs: Arc::new(logs),
                keys: StagingKeys::new(&location, "night").unwrap(),
                staging: stores.open(&location, Account::Source).await.unwrap(),
                settings: CloudWatch {
                    log_groups: vec![GroupPattern::new("/a").unwrap()],
                    log_stream_prefix: None,
                    staging: location,
                    via: Via::ExportTask,
                    give_up_after: 6 * HOUR,
                    pad: HOUR,
                    verify: Verify::Off,
                },
                journal: MemoryJournal::default(),
                reuse_since: Some(instant("2026-11-21T12:00:00Z")),
                takes_empty: false,
            }
        }

        fn exporter(&self) -> CloudWatchExporter {
            let (logs, clock) = (self.logs.clone(), self.clock.clone());
            let settings = self.settings.clone();
            CloudWatchExporter::new(logs, self.staging.clone(), settings, clock).unwrap()
        }

        async fn export(&self) -> Result<Exported> {
            self.export_by(&self.exporter()).await
        }

        async fn export_by(&self, exporter: &CloudWatchExporter) -> Result<Exported> {
            let window = Window::parse(Size::Day, Tz::UTC, "2026-11-20").unwrap();
            let request = ExportRequest {
                keys: &self.keys,
                window: &window,
                reuse_since: self.reuse_since,
                takes_empty: self.takes_empty,
                journal: &self.journal,
            };
            exporter.export(&request, &Silent).await
        }

        fn put(&self, stream: &str, at: &str) {
            self.logs.put("/a", stream, instant(at), "hello");
        }

        fn stages(&self) -> Vec<AttemptStage> {
            let attempts = self.journal.attempts("/a");
            attempts.iter().map(|attempt| attempt.stage).collect()
        }

        async fn manifests(&self) -> usize {
            let listed = self.staging.list(self.staging.root()).await.unwrap();
            let manifests = listed.iter().filter(|o| layout::is_manifest(&o.location));
            manifests.count()
        }
    }

    #[tokio::test]
    async fn an_export_is_complete_with_its_manifest_and_taken_again() {
        let cloud = Cloud::new().await;
        for hour in 0..24 {
            cloud.put("web/1", &format!("2026-11-20T{hour:02}:00:00Z"));
            cloud.put("web/2", &format!("2026-11-20T{hour:02}:30:00Z"));
        }
        let first = cloud.export().await.unwrap();
        assert_eq!(first.objects().len(), 2);
        assert_eq!(cloud.stages(), [AttemptStage::Complete]);
        assert_eq!(cloud.manifests().await, 1);
        let attempt = &cloud.journal.attempts("/a")[0];
        assert_eq!(attempt.task_id, first.groups[0].task_id);
        assert_eq!(
            layout::join(cloud.staging.root(), &attempt.prefix),
            first.groups[0].prefix
        );

        // A run that was killed between the manifest and its record.
        let left = Attempt {
            stage: AttemptStage::Asked,
            ..attempt.clone()
        };
        cloud.journal.record(left).await.unwrap();
        let again = cloud.export().await.unwrap();
        assert!(again.groups[0].reused);
        assert_eq!(again.objects(), first.objects());
        assert_eq!(cloud.logs.own_tasks().len(), 1);
        assert_eq!(cloud.stages(), [AttemptStage::Complete]);
    }

    #[tokio::test]
    async fn what_a_failed_task_wrote_is_never_read() {
        let cloud = Cloud::new().await;
        for stream in ["1", "2", "3"] {
            cloud.put(stream, "2026-11-20T12:00:00Z");
        }
        cloud.logs.doom([Fate::Failed, Fate::Cancelled]);
        let exported = cloud.export().await.unwrap();
        assert_eq!(exported.objects().len(), 3);
        let everything = cloud.staging.list(cloud.staging.root()).await.unwrap();
        let written = everything
            .iter()
            .filter(|o| layout::cloudwatch::holds_events(&o.location));
        assert_eq!(written.count(), 2 + 2 + 3, "the failed ones left objects");
        let read = staging::objects_below(&cloud.staging, cloud.staging.root(), None);
        assert_eq!(read.await.unwrap().len(), 3);
    }

    #[tokio::test]
    async fn a_task_that_a_killed_run_saw_through_needs_its_manifest_only() {
        let cloud = Cloud::new().await;
        cloud.put("web", "2026-11-20T12:00:00Z");
        let first = cloud.export().await.unwrap();
        let attempt = cloud.journal.attempts("/a").remove(0);
        let manifest = layout::manifest(&first.groups[0].prefix);
        let written = cloud.staging.get(&manifest).await.unwrap();
        for stage in [AttemptStage::Intended, AttemptStage::Asked] {
            cloud.staging.delete(&manifest).await.unwrap();
            let task_id = attempt
                .task_id
                .clone()
                .filter(|_| stage == AttemptStage::Asked);
            let left = Attempt {
                stage,
                task_id,
                ..attempt.clone()
            };
            cloud.journal.record(left).await.unwrap();
            let again = cloud.export().await.unwrap();
            assert_eq!(again.objects(), first.objects());
            assert_eq!(cloud.staging.get(&manifest).await.unwrap(), written);
            assert_eq!(cloud.logs.own_tasks().len(), 1);
            assert_eq!(cloud.stages(), [AttemptStage::Complete]);
        }
    }

    #[tokio::test]
    async fn a_group_without_events_is_fine() {
        let cloud = Cloud::new().await;
        // Before the window, behind it, and in another group.
        cloud.put("early", "2026-11-18T12:00:00Z");
        cloud.put("late", "2026-11-21T12:00:00Z");
        cloud
            .logs
            .put("/b", "web", instant("2026-11-20T12:00:00Z"), "hello");
        let exported = cloud.export().await.unwrap();
        assert!(exported.objects().is_empty());
        assert_eq!(cloud.stages(), [AttemptStage::Complete]);
    }

    #[tokio::test]
    async fn an_empty_export_of_a_group_that_had_events_is_an_error_with_its_causes() {
        let cloud = Cloud::new().await;
        cloud.put("web", "2026-11-20T12:00:00Z");
        cloud.put("web", "2026-11-20T13:00:00Z");
        cloud.logs.expire("/a", instant("2026-11-21T00:00:00Z"));
        let error = cloud.export().await.unwrap_err();
        assert_eq!(error.class(), Class::Source);
        for expected in [
            "/a",
            "2026-11-20T13:00:00",
            "retention",
            "log_stream_prefix",
            "timezone",
        ] {
            assert!(error.to_string().contains(expected), "{error}");
        }
        // The next run asks again instead of taking the empty export for an answer.
        assert_eq!(cloud.stages(), [AttemptStage::Abandoned]);
        assert_eq!(cloud.manifests().await, 0);
        cloud.export().await.unwrap_err();
        assert_eq!(cloud.logs.own_tasks().len(), 2);
    }

    #[tokio::test]
    async fn a_wrong_empty_export_is_taken_where_that_is_forced() {
        let mut cloud = Cloud::new().await;
        cloud.put("web", "2026-11-20T12:00:00Z");
        cloud.logs.expire("/a", instant("2026-11-21T00:00:00Z"));
        let error = cloud.export().await.unwrap_err();
        assert!(error.to_string().contains("--force=export"), "{error}");
        cloud.takes_empty = true;
        let exported = cloud.export().await.unwrap();
        assert!(exported.objects().is_empty());
        let note = exported.all_notes().remove(0);
        assert!(note.contains("2026-11-20T12:00:00"), "{note}");
        // It is kept, and what was said of it too.
        cloud.takes_empty = false;
        let kept = cloud.export().await.unwrap();
        assert!(kept.groups[0].reused);
        assert_eq!(kept.all_notes(), [note]);
    }

    #[tokio::test]
    async fn what_retention_has_deleted_is_no_answer_of_no_events() {
        // The streams of long ago are gone too, so nothing but the retention tells of it.
        let mut cloud = Cloud::new().await;
        cloud.logs.set_retention("/a", 30);
        cloud.clock.sleep(24 * 60 * HOUR).await;
        for via in [Via::ExportTask, Via::Events, Via::Auto] {
            cloud.settings.via = via;
            let error = cloud.export().await.unwrap_err();
            assert_eq!(error.class(), Class::Source);
            for expected in ["/a", "2026-11-20", "30 days"] {
                assert!(error.to_string().contains(expected), "{error}");
            }
        }
        assert_eq!(cloud.manifests().await, 0);

        // The group did not exist then.
        cloud.settings.log_groups = vec![GroupPattern::new("/new").unwrap()];
        cloud
            .logs
            .add_group("/new", instant("2026-11-21T00:00:00Z"));
        cloud.logs.set_retention("/new", 30);
        cloud.export().await.unwrap();
    }

    #[tokio::test]
    async fn a_window_that_retention_cuts_is_exported_with_a_note() {
        // At 15:00 of the next day, the events from before 15:00 may be deleted.
        let cloud = Cloud::new().await;
        cloud.logs.set_retention("/a", 1);
        cloud.put("web", "2026-11-20T20:00:00Z");
        let exported = cloud.export().await.unwrap();
        assert_eq!(exported.objects().len(), 1);
        let notes = exported.all_notes();
        assert_eq!(notes.len(), 1);
        for expected in ["/a", "2026-11-20T15:00:", "for a day"] {
            assert!(notes[0].contains(expected), "{notes:?}");
        }

        let cloud = Cloud::new().await;
        cloud.logs.set_retention("/a", 2);
        cloud.put("web", "2026-11-20T20:00:00Z");
        assert_eq!(cloud.export().await.unwrap().all_notes(), [""; 0]);
    }

    #[tokio::test]
    async fn no_events_through_the_logs_api_are_doubted_too() {
        let mut cloud = Cloud::new().await;
        cloud.put("web/1", "2026-11-20T12:00:00Z");
        cloud.settings.log_stream_prefix = Some("wbe/".to_owned());
        for via in [Via::Events, Via::Auto] {
            cloud.settings.via = via;
            let error = cloud.export().await.unwrap_err();
            assert_eq!(error.class(), Class::Source);
            assert!(error.to_string().contains("\"wbe/\""), "{error}");
            assert!(
                cloud
                    .stages()
                    .iter()
                    .all(|stage| *stage == AttemptStage::Abandoned)
            );
        }
        cloud.settings.log_stream_prefix = Some("web/".to_owned());
        assert_eq!(cloud.export().await.unwrap().objects().len(), 1);
    }

    #[tokio::test]
    async fn a_group_that_was_deleted_meanwhile_is_left_out() {
        for via in [Via::ExportTask, Via::Events, Via::Auto] {
            let mut cloud = Cloud::new().await;
            cloud.settings.via = via;
            cloud.settings.log_groups = vec![GroupPattern::new("/[ab]").unwrap()];
            cloud.put("web", "2026-11-20T12:00:00Z");
            let exporter = cloud.exporter();
            assert_eq!(exporter.groups().await.unwrap(), ["/a", "/b"]);
            cloud.logs.delete_group("/b");
            let exported = cloud.export_by(&exporter).await.unwrap();
            assert_eq!(exported.objects().len(), 1);
            assert_eq!(exported.groups.len(), 1);
            let notes = exported.all_notes();
            assert!(notes[0].starts_with("/b was left out"), "{notes:?}");
        }
        // One that the job names must be there.
        let cloud = Cloud::new().await;
        let exporter = cloud.exporter();
        exporter.groups().await.unwrap();
        cloud.logs.delete_group("/a");
        let error = cloud.export_by(&exporter).await.unwrap_err();
        assert_eq!(error.class(), Class::Usage);
    }

    #[tokio::test]
    async fn groups_of_the_class_delivery_are_left_out_or_an_error() {
        for via in [Via::ExportTask, Via::Events, Via::Auto] {
            let mut cloud = Cloud::new().await;
            cloud.settings.via = via;
            cloud.logs.set_class("/b", GroupClass::Delivery);
            cloud.settings.log_groups = vec![GroupPattern::new("/[ab]").unwrap()];
            cloud.put("web", "2026-11-20T12:00:00Z");
            let exported = cloud.export().await.unwrap();
            assert_eq!(exported.groups.len(), 1);
            let notes = exported.all_notes();
            assert!(
                notes[0].contains("/b") && notes[0].contains("Delivery"),
                "{notes:?}"
            );
            for named in ["/b", "/[b]"] {
                cloud.settings.log_groups = vec![GroupPattern::new(named).unwrap()];
                let error = cloud.exporter().groups().await.unwrap_err();
                assert_eq!(error.class(), Class::Usage);
                assert!(error.to_string().contains(named), "{error}");
            }
        }
    }

    #[tokio::test]
    async fn a_group_that_is_not_there_is_told_with_the_nearest() {
        let mut cloud = Cloud::new().await;
        cloud
            .logs
            .add_group("/aws/lambda/checkout", instant("2026-01-01T00:00:00Z"));
        for wrong in ["/aws/lamda/checkout", "/aws/lamda/check*"] {
            cloud.settings.log_groups = vec![GroupPattern::new(wrong).unwrap()];
            let error = cloud.exporter().groups().await.unwrap_err();
            assert_eq!(error.class(), Class::Usage);
            for expected in [
                "[source] log_groups",
                wrong,
                "did you mean \"/aws/lambda/checkout\"?",
            ] {
                assert!(error.to_string().contains(expected), "{error}");
            }
        }
        // Nothing is suggested where nobody knows.
        let refused = ServiceErrorKind::Refused;
        cloud.logs.fail(Call::Groups, 1..2, refused, "AccessDenied");
        let error = cloud.exporter().groups().await.unwrap_err();
        assert!(!error.to_string().contains("mean"), "{error}");
    }

    #[tokio::test]
    async fn a_service_that_never_answers_is_given_up_in_minutes() {
        let cloud = Cloud::new().await;
        let began = cloud.clock.now();
        let lost = ServiceErrorKind::NoAnswer;
        cloud
            .logs
            .fail(Call::Groups, 0..9999, lost, "no answer: connection refused");
        let error = cloud.exporter().groups().await.unwrap_err();
        assert_eq!(error.class(), Class::Source);
        for expected in ["the fake", "2 minutes", "connection refused"] {
            assert!(error.to_string().contains(expected), "{error}");
        }
        let took = cloud.clock.now() - began;
        assert!(took < chrono::TimeDelta::minutes(3), "{took}");

        // One that has said anything at all is there, and is waited for.
        let cloud = Cloud::new().await;
        let throttled = ServiceErrorKind::Throttled;
        cloud
            .logs
            .fail(Call::Groups, 0..1, throttled, "Rate exceeded");
        cloud.logs.fail(Call::Groups, 1..60, lost, "no answer");
        assert_eq!(cloud.exporter().groups().await.unwrap(), ["/a"]);
        assert!(cloud.clock.now() - began > chrono::TimeDelta::minutes(10));
    }

    #[tokio::test]
    async fn an_empty_export_is_no_error_where_nobody_knows() {
        // A stream that reaches across the window may have been silent in it.
        let cloud = Cloud::new().await;
        cloud.put("web", "2026-11-19T12:00:00Z");
        cloud.put("web", "2026-11-21T02:30:00Z");
        assert!(cloud.export().await.unwrap().objects().is_empty());

        // An event that came an hour ago may not be exportable yet.
        let cloud = Cloud::new().await;
        let (at, now) = (instant("2026-11-20T12:00:00Z"), cloud.clock.now());
        cloud
            .logs
            .put_late("/a", "web", at, now - chrono::TimeDelta::hours(1), "late");
        cloud.logs.expire("/a", instant("2026-11-21T00:00:00Z"));
        assert!(cloud.export().await.unwrap().objects().is_empty());

        // The streams can't be listed.
        let cloud = Cloud::new().await;
        cloud.put("web", "2026-11-20T12:00:00Z");
        cloud.logs.expire("/a", instant("2026-11-21T00:00:00Z"));
        let kind = ServiceErrorKind::Refused;
        cloud.logs.fail(Call::Streams, 0..1, kind, "AccessDenied");
        assert!(cloud.export().await.unwrap().objects().is_empty());
    }

    #[tokio::test]
    async fn a_stream_prefix_that_no_stream_has_is_an_error_for_a_named_group() {
        let mut cloud = Cloud::new().await;
        for number in 0..120 {
            cloud.put(&format!("web/{number}"), "2026-11-20T12:00:00Z");
        }
        cloud.settings.log_stream_prefix = Some("wbe/".to_owned());
        let kind = ServiceErrorKind::Throttled;
        cloud.logs.fail(Call::Streams, 1..4, kind, "Rate exceeded");
        let error = cloud.export().await.unwrap_err();
        assert_eq!(error.class(), Class::Source);
        assert!(error.to_string().contains("\"wbe/\""), "{error}");
        // A glob may well match groups of other things.
        cloud.settings.log_groups = vec![GroupPattern::new("/[a]").unwrap()];
        assert!(cloud.export().await.unwrap().objects().is_empty());
        cloud.settings.log_stream_prefix = Some("web/1".to_owned());
        assert_eq!(cloud.export().await.unwrap().objects().len(), 1 + 10 + 20);
    }

    #[tokio::test]
    async fn a_group_that_was_made_after_the_window_is_skipped_and_listed() {
        let mut cloud = Cloud::new().await;
        // Two weeks after the window, and just before that: events may be older than their group.
        cloud
            .logs
            .add_group("/new", instant("2026-12-05T00:00:00Z"));
        cloud
            .logs
            .add_group("/newish", instant("2026-12-04T23:59:59Z"));
        cloud.clock.sleep(24 * 30 * HOUR).await;
        cloud.settings.log_groups = vec![GroupPattern::new("*").unwrap()];
        let exported = cloud.export().await.unwrap();
        assert_eq!(exported.skipped, ["/new"]);
        let groups: Vec<_> = exported
            .groups
            .iter()
            .filter_map(|group| group.log_group.as_deref())
            .collect();
        assert_eq!(groups, ["/a", "/b", "/newish"]);
    }

    #[tokio::test]
    async fn groups_are_listed_once_whatever_any_page_answers() {
        let mut cloud = Cloud::new().await;
        for number in 0..120 {
            let made = instant("2026-01-01T00:00:00Z");
            cloud.logs.add_group(&format!("/many/{number:03}"), made);
        }
        cloud.settings.log_groups = vec![GroupPattern::new("/many/*").unwrap()];
        let logs = &cloud.logs;
        logs.fail(
            Call::Groups,
            0..2,
            ServiceErrorKind::Throttled,
            "Rate exceeded",
        );
        logs.fail(Call::Groups, 3..9, ServiceErrorKind::Transient, "503");
        let exporter = cloud.exporter();
        assert_eq!(exporter.groups().await.unwrap().len(), 120);
        let requests = logs.requests(Call::Groups);
        assert_eq!(requests, 2 + 1 + 6 + 2, "no page is asked for twice");
        assert_eq!(exporter.groups().await.unwrap().len(), 120);
        assert_eq!(logs.requests(Call::Groups), requests);

        logs.fail(Call::Groups, 0..9999, ServiceErrorKind::Throttled, "Rate");
        let error = cloud.exporter().groups().await.unwrap_err();
        assert_eq!(error.class(), Class::ExportLate);
        assert!(error.to_string().contains("log groups"), "{error}");
    }
}
