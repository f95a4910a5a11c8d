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
    /// With an event every `seconds`, from an hour before the day to an hour after it.
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
            staging: stores.open(&location, Account::LOGS).await.unwrap(),
            settings: CloudWatch {
                log_groups: vec![GroupPattern::new(GROUP).unwrap()],
                log_stream_prefix: None,
                staging: location,
                via,
                give_up_after: 6 * HOUR,
                pad: HOUR,
                pad_after: HOUR,
                verify: Some(Verify::Off),
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
            reuse: self.reuse_since.map_or(Reuse::Nothing, Reuse::Since),
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
            let gzip = self.staging.get(&object.key()).await.unwrap();
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
        .partition(|object| layout::is_in_piece(&object.key()));
    assert!(!fetched.is_empty() && !by_task.is_empty());
    let cut = by_task[0].range.unwrap().end_ms;
    let asked_at = night.logs.own_tasks()[0].created;
    // CloudWatch's own limit: what is younger may not be exportable yet.
    let twelve_hours = TimeDelta::hours(12);
    assert_eq!(cut, (asked_at - twelve_hours).timestamp_millis());
    assert!(
        fetched
            .iter()
            .all(|object| object.range.unwrap().start_ms == cut)
    );

    // The manifest says so too: what is kept is read alike.
    let root = night.staging.root().clone();
    let objects = objects_below(&night.staging, &root, None)
        .await
        .unwrap()
        .objects;
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

#[tokio::test]
async fn without_the_permission_for_events_auto_takes_a_task() {
    let denied = "is not authorized to perform: logs:FilterLogEvents (AccessDeniedException)";
    // Of the first window, a task may lack the last hours.
    for (step, hours_later) in [(60, 0), (60, 9), (10, 9)] {
        let night = Night::new(Via::Auto, step).await;
        night.clock.sleep(HOUR * hours_later).await;
        let refused = ServiceErrorKind::Refused;
        night
            .logs
            .fail(Call::Events, 0..usize::MAX, refused, denied);
        let exported = night.export().await.unwrap();
        assert_eq!(night.logs.own_tasks().len(), 1, "{step} {hours_later}");
        assert_eq!(night.seconds(&exported).await, night.expected(step));
    }
    // What is too fresh for a task is said to be missing.
    let night = Night::new(Via::Auto, 10).await;
    let refused = ServiceErrorKind::Refused;
    night
        .logs
        .fail(Call::Events, 100..usize::MAX, refused, denied);
    let exported = night.export().await.unwrap();
    let note = exported.notes.join("; ");
    assert!(
        note.starts_with("events of /ecs/web from 2026-11-21T15:0") && note.contains(denied),
        "{note}"
    );
    // Where the slot does not come either, the run ends as it would with a task alone.
    let night = Night::new(Via::Auto, 60).await;
    night.logs.occupy_slot(night.clock.now(), 48 * HOUR);
    night
        .logs
        .fail(Call::Events, 0..usize::MAX, refused, denied);
    let error = night.export().await.unwrap_err();
    assert_eq!(error.class(), Class::ExportLate);
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
        origin: None,
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
