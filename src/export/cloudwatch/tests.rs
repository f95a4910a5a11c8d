use super::*;
use crate::aws::{Account, Aws};
use crate::clock::TestClock;
use crate::error::Remedy;
use crate::export::Reuse;
use crate::export::fake::{Call, FakeLogs, Fate};
use crate::export::service::{ServiceErrorKind, TaskFilter};
use crate::job::{AwsSettings, GroupPattern, Verify, Via};
use crate::layout::StagingKeys;
use crate::progress::Silent;
use crate::state::{Journal, MemoryJournal};
use crate::store::Stores;
use crate::window::{Size, Window};
use chrono::{TimeDelta, Utc};
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
            staging: stores.open(&location, Account::LOGS).await.unwrap(),
            settings: CloudWatch {
                log_groups: vec![GroupPattern::new("/a").unwrap()],
                log_stream_prefix: None,
                staging: location,
                via: Via::ExportTask,
                give_up_after: 6 * HOUR,
                pad: HOUR,
                pad_after: HOUR,
                verify: Some(Verify::Off),
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
            reuse: self.reuse_since.map_or(Reuse::Nothing, Reuse::Since),
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
async fn an_attempt_whose_manifest_was_not_recorded_is_not_continued() {
    let cloud = Cloud::new().await;
    cloud.put("web/1", "2026-11-20T05:00:00Z");
    let first = cloud.export().await.unwrap();
    // The run was killed between the manifest and its record, and an object was deleted since.
    let left = Attempt {
        stage: AttemptStage::Asked,
        ..cloud.journal.attempts("/a").remove(0)
    };
    cloud.journal.note(left);
    let object = &first.objects()[0].key();
    cloud.staging.delete(object).await.unwrap();
    let again = cloud.export().await.unwrap();
    assert!(!again.groups[0].reused);
    assert_eq!(again.objects().len(), 1);
    assert_eq!(cloud.stages(), [AttemptStage::Complete; 2]);
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
    assert_eq!(read.await.unwrap().objects.len(), 3);
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
async fn an_export_that_retention_has_emptied_in_part_has_a_note() {
    // At 15:00 of the next day, the events from before 15:00 may be deleted.
    let mut cloud = Cloud::new().await;
    cloud.logs.set_retention("/a", 1);
    cloud.put("web", "2026-11-20T01:00:00Z");
    cloud.logs.expire("/a", instant("2026-11-20T15:00:00Z"));
    for via in [Via::ExportTask, Via::Events, Via::Auto] {
        cloud.settings.via = via;
        let exported = cloud.export().await.unwrap();
        assert!(exported.objects().is_empty());
        let notes = exported.all_notes();
        assert!(notes[0].contains("before 2026-11-20T15:0"), "{notes:?}");
        cloud.reuse_since = Some(cloud.clock.now() + TimeDelta::seconds(1));
    }
    // Of the hours that the group still keeps, it is an error.
    let cloud = Cloud::new().await;
    cloud.logs.set_retention("/a", 1);
    cloud.put("web", "2026-11-20T20:00:00Z");
    cloud.logs.expire("/a", instant("2026-11-21T00:00:00Z"));
    let error = cloud.export().await.unwrap_err();
    assert_eq!(error.remedy(), Some(Remedy::ForceExport));
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
    // The last group of a glob may have been deleted, and the others go on.
    let patterns = ["/a", "/preview/*"].map(|pattern| GroupPattern::new(pattern).unwrap());
    cloud.settings.log_groups = patterns.to_vec();
    cloud.put("web", "2026-11-20T12:00:00Z");
    let notes = cloud.export().await.unwrap().all_notes();
    let expected = "[source] log_groups: no log group matches \"/preview/*\"";
    assert!(notes[0].starts_with(expected), "{notes:?}");
    cloud.settings.log_groups = vec![GroupPattern::new("/aws/lamda/check*").unwrap()];
    // Nothing is suggested where nothing is known.
    let refused = ServiceErrorKind::Refused;
    cloud.logs.fail(Call::Groups, 1..2, refused, "AccessDenied");
    let error = cloud.exporter().groups().await.unwrap_err();
    assert!(!error.to_string().contains("mean"), "{error}");
}

#[tokio::test]
async fn a_service_that_never_answers_is_given_up_within_half_a_minute() {
    let cloud = Cloud::new().await;
    let began = cloud.clock.now();
    let lost = ServiceErrorKind::NoAnswer;
    cloud
        .logs
        .fail(Call::Groups, 0..9999, lost, "no answer: connection refused");
    let error = cloud.exporter().groups().await.unwrap_err();
    assert_eq!(error.class(), Class::Source);
    for expected in ["the fake", "20 seconds", "connection refused"] {
        assert!(error.to_string().contains(expected), "{error}");
    }
    let took = cloud.clock.now() - began;
    assert!(took < chrono::TimeDelta::seconds(21), "{took}");

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

#[tokio::test]
async fn a_task_that_was_received_twice_counts_once_and_the_second_is_swept() {
    let cloud = Cloud::new().await;
    for hour in 0..24 {
        cloud.put("web", &format!("2026-11-20T{hour:02}:00:00Z"));
    }
    cloud.logs.receive_twice(1);
    // The run is killed while its task runs, and another goes on when both tasks have ended.
    let killed = ServiceErrorKind::Refused;
    cloud.logs.fail(Call::Tasks, 0..1, killed, "killed");
    cloud.export().await.unwrap_err();
    cloud.clock.sleep(HOUR).await;
    let exported = cloud.export().await.unwrap();
    let [first, second] = &cloud.logs.own_tasks()[..] else {
        panic!("two tasks were made of one request")
    };
    assert_eq!(exported.groups[0].task_id.as_ref(), Some(&first.id));
    let written = cloud.staging.list_logs(cloud.staging.root(), None).await;
    assert_eq!(written.unwrap().len(), 2);
    let keys: Vec<String> = exported
        .objects()
        .iter()
        .map(|object| object.key().to_string())
        .collect();
    assert_eq!(keys.len(), 1);
    assert!(keys[0].contains(&first.id));
    // What the second one wrote is an attempt that is over, so the end of the run deletes it.
    let attempts = cloud.journal.attempts("/a");
    let other = attempts
        .iter()
        .find(|attempt| attempt.task_id.as_ref() == Some(&second.id))
        .unwrap();
    assert_eq!(other.stage, AttemptStage::Abandoned);
    assert!(other.prefix.ends_with(&second.id));
    // A reader of the staging location, and a run that uses the export again, read one of them too.
    let read = staging::objects_below(&cloud.staging, cloud.staging.root(), None);
    assert_eq!(read.await.unwrap().objects.len(), 1);
    assert_eq!(cloud.export().await.unwrap().objects().len(), 1);
}

#[tokio::test]
async fn a_second_task_that_wrote_where_the_first_found_nothing_is_not_read() {
    let cloud = Cloud::new().await;
    cloud.logs.receive_twice(1);
    let killed = ServiceErrorKind::Refused;
    cloud.logs.fail(Call::Tasks, 0..1, killed, "killed");
    cloud.export().await.unwrap_err();
    // It comes in between the two.
    let (at, now) = (instant("2026-11-20T12:00:00Z"), cloud.clock.now());
    let ingested = now + chrono::TimeDelta::seconds(30);
    cloud.logs.put_late("/a", "web", at, ingested, "late");
    cloud.clock.sleep(HOUR).await;
    let exported = cloud.export().await.unwrap();
    let written = cloud.staging.list_logs(cloud.staging.root(), None).await;
    assert_eq!((written.unwrap().len(), exported.objects().len()), (1, 0));
}

#[tokio::test]
async fn a_folder_that_a_server_named_otherwise_is_its_tasks() {
    let cloud = Cloud::new().await;
    cloud.put("web", "2026-11-20T12:00:00Z");
    let first = cloud.export().await.unwrap();
    // As a server does that names the folder by an id that is no task's.
    let key = first.objects()[0].key();
    let gzip = cloud.staging.get(&key).await.unwrap().unwrap();
    let other = "e37ac5c7-5d9a-4b1c-8f6e-0c1b8a2d4f60";
    let id = first.groups[0].task_id.as_deref().unwrap();
    let renamed = Path::parse(key.as_ref().replace(id, other)).unwrap();
    let body = crate::store::Body::Bytes(gzip);
    let absent = crate::store::Condition::Absent;
    let put = cloud
        .staging
        .put_if(&renamed, body, "application/gzip", &absent);
    put.await.unwrap();
    cloud.staging.delete(&key).await.unwrap();
    let manifest = layout::manifest(&first.groups[0].prefix);
    cloud.staging.delete(&manifest).await.unwrap();
    let left = Attempt {
        stage: AttemptStage::Asked,
        ..cloud.journal.attempts("/a").remove(0)
    };
    cloud.journal.note(left);
    // Whether it is another task's can't be asked: it is neither read nor given up.
    let refused = ServiceErrorKind::Refused;
    cloud.logs.fail(Call::Tasks, 2..3, refused, "denied");
    let error = cloud.export().await.unwrap_err();
    assert_eq!(error.class(), Class::Source);
    assert!(error.to_string().contains(other), "{error}");
    assert_eq!(cloud.stages(), [AttemptStage::Asked]);
    let again = cloud.export().await.unwrap();
    assert_eq!(again.objects()[0].key(), renamed);
}

#[tokio::test]
async fn objects_that_a_task_wrote_after_it_was_completed_are_read() {
    let mut cloud = Cloud::new().await;
    let both = ["/a", "/b"].map(|name| GroupPattern::new(name).unwrap());
    cloud.settings.log_groups = both.to_vec();
    for number in 0..250 {
        let second = number % 60;
        cloud.put(
            "web",
            &format!("2026-11-20T12:{:02}:{second:02}Z", number / 60),
        );
    }
    // A moment later, while the next group is exported: the run itself lists them at its end.
    cloud.logs.write_last_object_after(Duration::from_secs(1));
    assert_eq!(cloud.export().await.unwrap().objects().len(), 3);

    // Much later: the next run that uses the export reads it, and a reader of the staging location.
    let cloud = Cloud::new().await;
    for number in 0..250 {
        let second = number % 60;
        cloud.put(
            "web",
            &format!("2026-11-20T12:{:02}:{second:02}Z", number / 60),
        );
    }
    cloud.logs.write_last_object_after(HOUR);
    assert_eq!(cloud.export().await.unwrap().objects().len(), 2);
    cloud.clock.sleep(2 * HOUR).await;
    // The fake writes when it is asked for something.
    cloud.logs.tasks(&TaskFilter::All, None).await.unwrap();
    let again = cloud.export().await.unwrap();
    assert!(again.groups[0].reused);
    assert_eq!(again.objects().len(), 3);
    let read = staging::objects_below(&cloud.staging, cloud.staging.root(), None);
    assert_eq!(read.await.unwrap().objects.len(), 3);
    assert_eq!(cloud.logs.own_tasks().len(), 1);
}
