//! Without an export task: `via = "events"` fetches the events themselves, `via = "auto"` does so where that is faster
//! or the only way.

use chrono::{DateTime, TimeDelta, Utc};

use super::{CloudWatchExporter, check_prefix, new_attempt};
use crate::error::{Class, Error, Result};
use crate::export::cloudwatch::empty_export::EXPORTABLE_AFTER;
use crate::export::deadline::Patience;
use crate::export::filter_events::{Fetched, Wanted, fetch};
use crate::export::service::{GroupClass, LogGroup};
use crate::export::{ExportRequest, ExportedGroup};
use crate::layout;
use crate::layout::cloudwatch::LogObject;
use crate::state::{Attempt, AttemptStage};
use crate::window::Range;

/// What a manifest says instead of a task's id.
pub(super) const NO_TASK: &str = "events";

/// With "auto", a window that takes more pages than these is left to a task. They are half a minute's requests, and
/// hold a hundred megabytes at the most.
const FEW_PAGES: u32 = 100;

/// With "auto", a window that seems to have more bytes than this is left to a task at once.
const FEW_BYTES: f64 = 256e6;

impl CloudWatchExporter {
    /// By single events alone.
    pub(super) async fn export_events(
        &self,
        group: &LogGroup,
        request: &ExportRequest<'_>,
        tell: &(dyn Fn(&str) + Sync),
    ) -> Result<ExportedGroup> {
        if group.class != GroupClass::Standard {
            return Err(Error::usage(format!(
                "the log group {} is of the class Infrequent Access, whose events the Logs API does not give: \
                 expected [source] via = \"export-task\" or \"auto\"",
                group.name
            )));
        }
        let patience = self.patience(format!("the events of {}", group.name), tell);
        self.all_events(group, request, &patience).await
    }

    /// By single events, by a task, or partly by both: see `via` in the documents.
    pub(super) async fn export_either_way(
        &self,
        group: &LogGroup,
        request: &ExportRequest<'_>,
        tell: &(dyn Fn(&str) + Sync),
    ) -> Result<ExportedGroup> {
        if group.class != GroupClass::Standard {
            return self.export_group(group, request, tell).await;
        }
        let window = request.window.range();
        let now = self.clock.now();
        let patience = self.patience(format!("the export of {}", group.name), tell);
        if exportable_until(window, now) <= window.start_ms {
            return self.all_events(group, request, &patience).await;
        }
        let since = asked_since(request, now);
        if self.open_tasks(group, request, since).next().is_none()
            && seems_small(group, window, now)
            && let Some(done) = self
                .events(group, request, Some(FEW_PAGES), &patience)
                .await?
        {
            return Ok(done);
        }
        match self.slot_in_time(group, request, &patience, tell).await? {
            Some(attempt) => {
                self.complete_fresh(group, request, attempt, &patience)
                    .await
            }
            None => self.all_events(group, request, &patience).await,
        }
    }

    /// Has a task export the window, as far as that can be exported yet. `None` where the slot did not come in half the
    /// time: the other half is for the events.
    async fn slot_in_time(
        &self,
        group: &LogGroup,
        request: &ExportRequest<'_>,
        patience: &Patience<'_>,
        tell: &(dyn Fn(&str) + Sync),
    ) -> Result<Option<Attempt>> {
        let window = request.window.range();
        // What an unfinished attempt of an earlier run was asked for too early to have is fetched as events.
        let needed = Range {
            end_ms: window.start_ms,
            ..window
        };
        let half = Patience::new(
            self.clock.as_ref(),
            format!("the export of {}", group.name),
            self.settings.give_up_after / 2,
            tell,
        );
        let since = asked_since(request, self.clock.now());
        let late = match self
            .run_task(group, request, needed, Some(since), &half)
            .await
        {
            Err(error) if error.class() == Class::ExportLate => error,
            other => return other.map(Some),
        };
        let mut open = self.open_tasks(group, request, since);
        if open.any(|attempt| attempt.stage == AttemptStage::Asked) {
            let attempt = self
                .run_task(group, request, needed, Some(since), patience)
                .await?;
            return Ok(Some(attempt));
        }
        tracing::info!(log_group = group.name, %late, "fetching events instead");
        Ok(None)
    }

    /// The attempts, of this run or an earlier one, that were asked for at or after `since` and whose task is under way,
    /// or may be.
    fn open_tasks(
        &self,
        group: &LogGroup,
        request: &ExportRequest<'_>,
        since: DateTime<Utc>,
    ) -> impl Iterator<Item = Attempt> {
        let attempts = request.journal.attempts(&group.name).into_iter();
        attempts.filter(move |attempt| {
            let is_open = match attempt.stage {
                AttemptStage::Intended => true,
                AttemptStage::Asked => attempt.task_id.is_some(),
                AttemptStage::Complete | AttemptStage::Abandoned => false,
            };
            is_open && attempt.asked_at >= since
        })
    }

    /// Completes an attempt whose task is done with the events that it was too early for. Each event is taken from
    /// one of the two, by its own time.
    async fn complete_fresh(
        &self,
        group: &LogGroup,
        request: &ExportRequest<'_>,
        attempt: Attempt,
        patience: &Patience<'_>,
    ) -> Result<ExportedGroup> {
        let window = request.window.range();
        let pad_ms = i64::try_from(self.settings.pad.as_millis()).unwrap_or(i64::MAX);
        let asked_until = attempt.range.end_ms.saturating_sub(pad_ms);
        let exportable = exportable_until(window, attempt.asked_at);
        if exportable >= window.end_ms && attempt.range.end_ms >= window.end_ms {
            return self.complete(group, request, attempt, patience).await;
        }
        let cut_ms = exportable.min(asked_until).max(window.start_ms);
        let fresh = Range {
            start_ms: cut_ms,
            ..window
        };
        let exported = Range {
            end_ms: cut_ms,
            ..attempt.range
        };
        let prefix = layout::join(self.staging.root(), &attempt.prefix);
        let wanted = Wanted {
            log_group: &group.name,
            log_stream_prefix: attempt.log_stream_prefix.as_deref(),
            range: fresh,
            attempt: &prefix,
            most_pages: None,
        };
        let fetched = self.fetch(&wanted, patience).await?;
        let fetched = fetched.ok_or_else(too_many)?;
        let listed = self.staging.list_logs(&prefix, Some(&group.name)).await?;
        let mut objects: Vec<LogObject> = listed
            .into_iter()
            .filter(|object| !layout::is_in_piece(&object.meta.location))
            .map(|object| cut(object, exported))
            .collect();
        let is_empty = objects.is_empty() && cut_ms > window.start_ms;
        let note = self
            .doubt(group, request, &attempt, is_empty, patience)
            .await?;
        objects.extend(fetched.into_iter().map(|object| cut(object, fresh)));
        objects.sort_by(|a, b| a.meta.location.cmp(&b.meta.location));
        let range = Range {
            end_ms: window.end_ms,
            ..attempt.range
        };
        self.complete_with(request, attempt, range, objects, note)
            .await
    }

    async fn all_events(
        &self,
        group: &LogGroup,
        request: &ExportRequest<'_>,
        patience: &Patience<'_>,
    ) -> Result<ExportedGroup> {
        let done = self.events(group, request, None, patience).await?;
        done.ok_or_else(too_many)
    }

    /// Fetches the window's events; `None` where that takes more pages than are allowed. There is no padding: the Logs
    /// API goes by the events' own times.
    async fn events(
        &self,
        group: &LogGroup,
        request: &ExportRequest<'_>,
        most_pages: Option<u32>,
        patience: &Patience<'_>,
    ) -> Result<Option<ExportedGroup>> {
        check_prefix(group, request)?;
        let mut attempt = self.events_attempt(group, request).await?;
        let prefix = layout::join(self.staging.root(), &attempt.prefix);
        let wanted = Wanted {
            log_group: &group.name,
            log_stream_prefix: attempt.log_stream_prefix.as_deref(),
            range: attempt.range,
            attempt: &prefix,
            most_pages,
        };
        match self.fetch(&wanted, patience).await? {
            Some(objects) => {
                let is_empty = objects.is_empty();
                let note = self
                    .doubt(group, request, &attempt, is_empty, patience)
                    .await?;
                let range = attempt.range;
                let done = self.complete_with(request, attempt, range, objects, note);
                done.await.map(Some)
            }
            None => {
                attempt.stage = AttemptStage::Abandoned;
                request.journal.record(attempt).await?;
                Ok(None)
            }
        }
    }

    async fn fetch(
        &self,
        wanted: &Wanted<'_>,
        patience: &Patience<'_>,
    ) -> Result<Option<Vec<LogObject>>> {
        let service = self.service.as_ref();
        let clock = self.clock.as_ref();
        match fetch(service, &self.staging, clock, patience, wanted).await? {
            Fetched::All(objects) => Ok(Some(objects)),
            Fetched::TooMany => Ok(None),
        }
    }

    /// The attempt that an earlier run did not end, or a new one, recorded before anything is fetched. Of a window whose
    /// events are to be asked for anew only what a run left behind within `give_up_after` is gone on with.
    async fn events_attempt(
        &self,
        group: &LogGroup,
        request: &ExportRequest<'_>,
    ) -> Result<Attempt> {
        let now = self.clock.now();
        let give_up = TimeDelta::from_std(self.settings.give_up_after).unwrap_or(TimeDelta::MAX);
        let just_now = now.checked_sub_signed(give_up);
        let since = request
            .reuse_since
            .unwrap_or(just_now.unwrap_or(DateTime::<Utc>::MIN_UTC));
        let window = request.window.range();
        let wanted = Attempt {
            prefix: request.keys.relative(&new_attempt(group, request)),
            log_group: group.name.clone(),
            log_stream_prefix: self.settings.log_stream_prefix.clone(),
            range: Range {
                start_ms: window.start_ms.max(0),
                ..window
            },
            asked_at: now,
            task_id: None,
            stage: AttemptStage::Asked,
        };
        let open = request
            .journal
            .attempts(&group.name)
            .into_iter()
            .rfind(|open| {
                open.stage == AttemptStage::Asked
                    && open.task_id.is_none()
                    && open.range == wanted.range
                    && open.log_stream_prefix == wanted.log_stream_prefix
                    && open.asked_at >= since
            });
        if let Some(open) = open {
            return Ok(open);
        }
        request.journal.record(wanted.clone()).await?;
        Ok(wanted)
    }
}

/// From when on attempts will do for a run that began at `began`: its own do in any case.
fn asked_since(request: &ExportRequest<'_>, began: DateTime<Utc>) -> DateTime<Utc> {
    request.reuse_since.map_or(began, |since| since.min(began))
}

/// The end of what a task that is asked for at `asked_at` surely has of the window, in milliseconds since 1970.
fn exportable_until(window: Range, asked_at: DateTime<Utc>) -> i64 {
    let exportable = (asked_at - EXPORTABLE_AFTER).timestamp_millis();
    exportable.min(window.end_ms)
}

/// Whether it is worth trying how many pages the window's events take: the group's bytes spread evenly over the time
/// that it has had.
fn seems_small(group: &LogGroup, window: Range, now: DateTime<Utc>) -> bool {
    let day_ms = TimeDelta::days(1).num_milliseconds();
    let now_ms = now.timestamp_millis();
    let forgotten_ms = group
        .retention_days
        .map_or(0, |days| now_ms - i64::from(days) * day_ms);
    let window_ms = window.end_ms - window.start_ms;
    let kept_ms = (now_ms - group.created_ms.max(forgotten_ms)).max(window_ms);
    group.stored_bytes as f64 * window_ms as f64 / kept_ms as f64 <= FEW_BYTES
}

fn cut(object: LogObject, range: Range) -> LogObject {
    LogObject {
        range: Some(range),
        ..object
    }
}

fn too_many() -> Error {
    Error::new(
        Class::Unexpected,
        "the pages of events were limited although all were wanted",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::{Account, Aws};
    use crate::clock::{Clock, TestClock};
    use crate::export::LogExporter;
    use crate::export::fake::{Call, FakeLogs};
    use crate::export::service::ServiceErrorKind;
    use crate::export::staging::objects_below;
    use crate::job::{AwsSettings, CloudWatch, GroupPattern, Location, Verify, Via};
    use crate::layout::StagingKeys;
    use crate::progress::Silent;
    use crate::state::{Journal, MemoryJournal};
    use crate::store::{Store, Stores};
    use crate::window::{Size, Window};
    use flate2::read::MultiGzDecoder;
    use object_store::memory::InMemory;
    use object_store::path::Path;
    use std::io::Read;
    use std::sync::Arc;
    use std::time::Duration;

    const GROUP: &str = "/ecs/web";
    const HOUR: Duration = Duration::from_secs(3600);

    /// The night after a day, 2026-11-21, whose second half can't be exported yet.
    struct Night {
        clock: Arc<TestClock>,
        logs: Arc<FakeLogs>,
        staging: Store,
        keys: StagingKeys,
        journal: MemoryJournal,
        settings: CloudWatch,
        window: Window,
        reuse_since: Option<DateTime<Utc>>,
    }

    fn instant(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    impl Night {
        /// With an event every so many seconds, from an hour before the day to an hour after it.
        async fn new(via: Via, seconds: usize) -> Self {
            let clock = Arc::new(TestClock::at(instant("2026-11-22T03:00:00Z")));
            let objects = Arc::new(InMemory::new());
            let logs = FakeLogs::new(clock.clone(), "acme-logs", objects.clone());
            logs.add_group(GROUP, instant("2026-11-01T00:00:00Z"));
            let first = instant("2026-11-20T23:00:00Z").timestamp();
            for second in (0..26 * 3600).step_by(seconds) {
                let at = DateTime::from_timestamp(first + second, 0).unwrap();
                let stream = ["web/1", "web/2"][usize::try_from(second % 2).unwrap()];
                logs.put(GROUP, stream, at, &format!("{second}\n"));
            }
            let stores = Stores::new(Arc::new(Aws::new(AwsSettings::default())))
                .and_then(|stores| stores.with_objects("acme-logs", objects))
                .unwrap();
            let here = std::path::Path::new("");
            let location = Location::parse("s3://acme-logs/exports", here).unwrap();
            Self {
                keys: StagingKeys::new(&location, "night").unwrap(),
                staging: stores.open(&location, Account::Source).await.unwrap(),
                settings: CloudWatch {
                    log_groups: vec![GroupPattern::new(GROUP).unwrap()],
                    log_stream_prefix: None,
                    staging: location,
                    via,
                    give_up_after: 6 * HOUR,
                    pad: HOUR,
                    verify: Verify::Off,
                },
                journal: MemoryJournal::default(),
                window: Window::parse(Size::Day, chrono_tz::UTC, "2026-11-21").unwrap(),
                reuse_since: None,
                logs: Arc::new(logs),
                clock,
            }
        }

        async fn export(&self) -> Result<ExportedGroup> {
            let exporter = CloudWatchExporter::new(
                self.logs.clone(),
                self.staging.clone(),
                self.settings.clone(),
                self.clock.clone(),
            );
            let request = ExportRequest {
                keys: &self.keys,
                window: &self.window,
                reuse_since: self.reuse_since,
                takes_empty: false,
                journal: &self.journal,
            };
            let mut exported = exporter?.export(&request, &Silent).await?;
            Ok(exported.groups.remove(0))
        }

        /// The messages of the window in an export, as a scan finds them, sorted by number.
        async fn seconds(&self, exported: &ExportedGroup) -> Vec<i64> {
            let mut seconds = Vec::new();
            for object in &exported.objects {
                let gzip = self.staging.get(&object.meta.location).await.unwrap();
                let mut text = String::new();
                MultiGzDecoder::new(&gzip.unwrap()[..])
                    .read_to_string(&mut text)
                    .unwrap();
                for line in text.lines().filter(|line| !line.is_empty()) {
                    let (time, message) = line.split_once(' ').unwrap();
                    let ms = instant(time).timestamp_millis();
                    let own = object.range.unwrap_or(Range::ALL);
                    if own.contains(ms) && self.window.range().contains(ms) {
                        seconds.push(message.parse().unwrap());
                    }
                }
            }
            seconds.sort_unstable();
            seconds
        }

        fn expected(&self, step: usize) -> Vec<i64> {
            let day = 3600..25 * 3600;
            let all = (0..26 * 3600).step_by(step);
            all.filter(|second| day.contains(second)).collect()
        }

        /// The times of the whole pieces beside the task's objects, in the order of their keys.
        async fn pieces(&self) -> Vec<Range> {
            let task = self.logs.own_tasks().remove(0);
            let prefix = Path::parse(task.request.prefix).unwrap();
            let mut ranges = Vec::new();
            for meta in self.staging.list(&prefix).await.unwrap() {
                if layout::is_piece(&meta.location) {
                    let json = self.staging.get(&meta.location).await.unwrap().unwrap();
                    let piece: serde_json::Value = serde_json::from_slice(&json).unwrap();
                    ranges.push(serde_json::from_value(piece["range"].clone()).unwrap());
                }
            }
            ranges
        }

        fn stages(&self) -> Vec<AttemptStage> {
            let attempts = self.journal.attempts(GROUP);
            attempts.iter().map(|attempt| attempt.stage).collect()
        }
    }

    #[tokio::test]
    async fn a_small_window_takes_no_slot() {
        for via in [Via::Auto, Via::Events] {
            let night = Night::new(via, 60).await;
            night.logs.occupy_slot(night.clock.now(), 48 * HOUR);
            let exported = night.export().await.unwrap();
            assert_eq!(night.seconds(&exported).await, night.expected(60));
            assert!(night.logs.own_tasks().is_empty());
            assert_eq!(night.logs.requests(Call::Create), 0);
            assert_eq!(night.stages(), [AttemptStage::Complete]);
            // There is one for each 50 events, and a few pieces.
            assert!(night.logs.requests(Call::Events) < 40);
        }
    }

    #[tokio::test]
    async fn a_large_window_is_partly_exported_and_what_is_too_fresh_fetched() {
        let night = Night::new(Via::Auto, 10).await;
        // It comes in when the task has been asked for.
        let late = instant("2026-11-21T23:30:00Z");
        let ingested = night.clock.now() + TimeDelta::minutes(1);
        night.logs.put_late(GROUP, "web/1", late, ingested, "24000");
        let exported = night.export().await.unwrap();
        let mut expected = night.expected(10);
        expected.push(24_000);
        expected.sort_unstable();
        assert_eq!(night.seconds(&exported).await, expected);
        assert_eq!(night.logs.own_tasks().len(), 1);
        // The try at the events, and the attempt.
        let stages = [AttemptStage::Abandoned, AttemptStage::Complete];
        assert_eq!(night.stages(), stages);
        let (fetched, by_task): (Vec<_>, Vec<_>) = exported
            .objects
            .iter()
            .partition(|object| layout::is_in_piece(&object.meta.location));
        assert!(!fetched.is_empty() && !by_task.is_empty());
        let cut = by_task[0].range.unwrap().end_ms;
        let asked_at = night.logs.own_tasks()[0].created;
        assert_eq!(cut, (asked_at - EXPORTABLE_AFTER).timestamp_millis());
        assert!(
            fetched
                .iter()
                .all(|object| object.range.unwrap().start_ms == cut)
        );

        // The manifest says so too: what is kept is read alike.
        let root = night.staging.root().clone();
        let objects = objects_below(&night.staging, &root, None).await.unwrap();
        let kept = ExportedGroup {
            objects,
            ..exported
        };
        assert_eq!(night.seconds(&kept).await, expected);
    }

    #[tokio::test]
    async fn a_killed_run_goes_on_with_its_task_and_its_pieces() {
        let mut night = Night::new(Via::Auto, 10).await;
        night.reuse_since = Some(night.clock.now());
        let killed = ServiceErrorKind::Refused;
        night.logs.fail(Call::Events, 150..151, killed, "killed");
        let error = night.export().await.unwrap_err();
        assert_eq!(error.class(), Class::Source);
        let pieces = night.pieces().await;
        assert!(!pieces.is_empty());
        // That the slot is taken now does not matter any more, nor that time has passed.
        night.logs.occupy_slot(night.clock.now(), 48 * HOUR);
        night.clock.sleep(HOUR).await;
        let exported = night.export().await.unwrap();
        assert_eq!(night.seconds(&exported).await, night.expected(10));
        assert_eq!(night.logs.own_tasks().len(), 1);
        let all = night.pieces().await;
        assert!(all.len() > pieces.len());
        assert!(
            all.windows(2)
                .all(|pair| pair[0].end_ms == pair[1].start_ms)
        );
        assert_eq!(all[..pieces.len()], pieces);
    }

    #[tokio::test]
    async fn a_killed_run_looks_for_its_task_before_it_tries_the_events() {
        let mut night = Night::new(Via::Auto, 10).await;
        night.reuse_since = Some(night.clock.now());
        let killed = ServiceErrorKind::Refused;
        night.logs.fail(Call::Tasks, 0..1, killed, "killed");
        night.export().await.unwrap_err();
        assert_eq!(night.logs.own_tasks().len(), 1);
        night.export().await.unwrap();
        assert_eq!(night.logs.own_tasks().len(), 1);
        // The try at the events is the first run's.
        let stages = [AttemptStage::Abandoned, AttemptStage::Complete];
        assert_eq!(night.stages(), stages);
    }

    #[tokio::test]
    async fn where_the_slot_does_not_come_the_events_do() {
        let night = Night::new(Via::Auto, 10).await;
        night.logs.occupy_slot(night.clock.now(), 48 * HOUR);
        let exported = night.export().await.unwrap();
        assert_eq!(night.seconds(&exported).await, night.expected(10));
        assert!(night.logs.own_tasks().is_empty());
        let took = night.clock.now() - instant("2026-11-22T03:00:00Z");
        assert!(took >= TimeDelta::hours(3) && took < TimeDelta::hours(4));
    }

    #[tokio::test]
    async fn a_task_under_way_is_not_given_up_for_events() {
        let mut night = Night::new(Via::Auto, 10).await;
        // Half of it is over while the task runs.
        night.settings.give_up_after = Duration::from_secs(120);
        let exported = night.export().await.unwrap();
        assert_eq!(night.seconds(&exported).await, night.expected(10));
        assert_eq!(night.logs.own_tasks().len(), 1);
        assert_eq!(night.logs.requests(Call::Create), 1);
    }

    #[tokio::test]
    async fn a_settled_window_is_exported_whole() {
        let night = Night::new(Via::Auto, 10).await;
        night.clock.sleep(24 * HOUR).await;
        let exported = night.export().await.unwrap();
        assert_eq!(night.seconds(&exported).await, night.expected(10));
        assert!(exported.objects.iter().all(|object| object.range.is_none()));
        assert_eq!(night.logs.own_tasks().len(), 1);
    }

    #[tokio::test]
    async fn infrequent_access_goes_through_a_task() {
        let night = Night::new(Via::Auto, 60).await;
        night.logs.set_class(GROUP, GroupClass::InfrequentAccess);
        let exported = night.export().await.unwrap();
        assert_eq!(night.seconds(&exported).await, night.expected(60));
        assert_eq!(night.logs.requests(Call::Events), 0);
        let night = Night::new(Via::Events, 60).await;
        night.logs.set_class(GROUP, GroupClass::InfrequentAccess);
        let error = night.export().await.unwrap_err();
        assert_eq!(error.class(), Class::Usage);
        assert!(error.to_string().contains(GROUP), "{error}");
    }

    #[test]
    fn bytes_are_spread_over_the_time_that_a_group_keeps() {
        let now = instant("2026-11-22T03:00:00Z");
        let day = Range {
            start_ms: instant("2026-11-21T00:00:00Z").timestamp_millis(),
            end_ms: instant("2026-11-22T00:00:00Z").timestamp_millis(),
        };
        let group = |stored_bytes, retention_days, created: &str| LogGroup {
            name: GROUP.to_owned(),
            created_ms: instant(created).timestamp_millis(),
            stored_bytes,
            retention_days,
            class: GroupClass::Standard,
        };
        let year = "2025-11-22T03:00:00Z";
        assert!(seems_small(&group(0, None, year), day, now));
        assert!(seems_small(&group(50_000_000_000, None, year), day, now));
        assert!(!seems_small(
            &group(50_000_000_000, Some(30), year),
            day,
            now
        ));
        let fresh = "2026-11-22T02:59:59Z";
        assert!(!seems_small(&group(300_000_000, None, fresh), day, now));
    }
}
