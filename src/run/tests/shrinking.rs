//! What a window keeps when it is exported again and CloudWatch has fewer events by then.

use super::*;
use crate::receipt::Receipt;
use crate::run::catalog::{self, CatalogRequest, Subject, Windows};
use crate::run::{RunOption, WindowStatus, status};
use crate::error::Remedy;

const DAY: &str = "2026-11-20";

fn day() -> Selection {
    Selection::Id(DAY.to_owned())
}

fn at(time: &str) -> DateTime<Utc> {
    instant(&format!("{DAY}T{time}Z"))
}

impl Nights {
    /// Shortly after the end of 2026-11-20, with some log groups that were created long ago.
    async fn after_midnight(groups: &[&str], keys: &str) -> Self {
        let nights = Self::with("2026-11-21T00:10:00Z", "UTC", keys).await;
        for group in groups {
            let created = instant("2026-01-01T00:00:00Z");
            nights.logs.add_group(group, created);
        }
        nights
    }

    /// Events in an hour of the day that were ingested at once, with messages that begin with `what`.
    fn put_hour(&self, group: &str, hour: u32, events: u32, what: &str) {
        let start = at("00:00:00") + TimeDelta::hours(hour.into());
        for number in 0..events {
            let at = start + TimeDelta::seconds(number.into());
            let message = format!("{what} {hour} {number}");
            self.logs.put(group, "web/1", at, &message);
        }
    }

    /// The same, but ingested at noon of the next day.
    fn put_hour_late(&self, group: &str, hour: u32, events: u32, what: &str) {
        let start = at("00:00:00") + TimeDelta::hours(hour.into());
        let ingested = instant("2026-11-21T12:00:00Z");
        for number in 0..events {
            let at = start + TimeDelta::seconds(number.into());
            let message = format!("{what} {hour} {number}");
            self.logs.put_late(group, "web/2", at, ingested, &message);
        }
    }

    async fn receipt(&self, selection: Selection) -> Receipt {
        let outcome = self.run(selection).await.remove(0);
        assert!(!outcome.skipped);
        outcome.result.unwrap()
    }

    /// How many events the answer and an ad-hoc query over the job's exports have.
    async fn counts(&self, window: &str) -> (i64, i64) {
        use arrow::array::AsArray;
        use arrow::datatypes::Int64Type;
        use futures::TryStreamExt;
        let windows = self.windows(window, window);
        let request = CatalogRequest {
            windows: Windows::One(window.to_owned()),
            timezone: None,
        };
        let subject = Subject::Job(Box::new(self.job.clone()));
        let opened = catalog::open(&self.environment, &subject, &request).await;
        let session = opened.unwrap().session;
        let statement = session.statement("SELECT count(*) FROM logs", "test").await;
        let batches = session.run(&statement.unwrap()).await.unwrap().batches;
        let batches: Vec<_> = batches.try_collect().await.unwrap();
        let counted = batches[0].column(0).as_primitive::<Int64Type>().value(0);
        (self.answer(&windows[0]).await.0, counted)
    }

    /// The events by hour that the receipt has of a log group.
    fn hours(receipt: &Receipt, group: &str) -> Vec<u64> {
        let mut exports = receipt.exports.iter();
        let export = exports.find(|export| export.log_group.as_deref() == Some(group));
        let hours = export.unwrap().hours.as_ref().unwrap().iter();
        hours.map(|hour| hour.events).collect()
    }

    fn set_sql(&mut self, sql: &str) {
        self.job.queries[0].sql = sql.to_owned();
    }
}

#[tokio::test]
async fn hours_that_retention_has_eaten_are_kept_and_late_events_come_to_the_others() {
    let mut nights = Nights::after_midnight(&["/svc/a"], "").await;
    for hour in 0..24 {
        nights.put_hour("/svc/a", hour, 100, "in time");
    }
    nights.put_hour_late("/svc/a", 10, 700, "late");
    let first = nights.receipt(day()).await;
    assert_eq!(first.read.events, 2400);
    nights.clock.sleep(13 * HOUR).await;
    nights.logs.expire("/svc/a", at("06:00:00"));

    let receipt = nights.receipt(day()).await;
    assert_eq!(receipt.read.events, 3100);
    assert!(!receipt.window.provisional);
    let mut expected = vec![100; 24];
    expected[10] = 800;
    assert_eq!(Nights::hours(&receipt, "/svc/a"), expected);
    assert_eq!(
        receipt.notes,
        [format!(
            "hours 00 to 05 of /svc/a: 600 events from the export of 2026-11-21T00:10:00Z, which that of {} lacks",
            receipt.as_of.unwrap().to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
        )]
    );
    assert_eq!(receipt.change.as_ref().unwrap().events, 700);
    assert_eq!(nights.counts(DAY).await, (3100, 3100));
    assert_eq!(nights.state(DAY).await.attempts.len(), 1);

    // Another question is answered from all of them, without another export.
    nights.set_sql("SELECT count(*) AS events, count(DISTINCT message) AS messages FROM logs -- again");
    let again = nights.receipt(day()).await;
    assert_eq!((again.read.events, &again.notes), (3100, &receipt.notes));
    assert_eq!(nights.logs.own_tasks().len(), 2);
    assert!(nights.run(day()).await[0].skipped);
}

#[tokio::test]
async fn the_better_export_of_each_log_group_is_used() {
    let nights = Nights::after_midnight(&["/svc/a", "/svc/b"], "").await;
    nights.put_hour("/svc/a", 1, 99, "a");
    nights.put_hour("/svc/a", 2, 1, "a");
    nights.put_hour("/svc/b", 1, 50, "b");
    nights.put_hour_late("/svc/b", 1, 150, "late");
    nights.receipt(day()).await;
    nights.clock.sleep(13 * HOUR).await;
    nights.logs.expire("/svc/a", at("02:00:00"));
    let receipt = nights.receipt(day()).await;
    assert_eq!(receipt.read.events, 300);
    assert_eq!(Nights::hours(&receipt, "/svc/a")[1], 99);
    assert_eq!(Nights::hours(&receipt, "/svc/b")[1], 200);
    let [note] = &receipt.notes[..] else {
        panic!("{:?}", receipt.notes)
    };
    assert!(note.starts_with("hour 01 of /svc/a: 99 events from"), "{note}");
}

/// As many events come as go, in the same hour; some events are there twice.
#[tokio::test]
async fn two_exports_of_an_hour_that_lack_events_of_each_other_are_joined_event_by_event() {
    for late in [30, 40, 50] {
        let nights = Nights::after_midnight(&["/svc/a"], "").await;
        for minute in 0..40 {
            let time = at("07:00:00") + TimeDelta::minutes(minute);
            for _ in 0..2 {
                nights.logs.put("/svc/a", "web/1", time, "tick\n\ttock\n");
            }
        }
        for minute in 40..40 + late / 10 {
            let time = at("07:00:00") + TimeDelta::minutes(minute);
            let ingested = instant("2026-11-21T12:00:00Z");
            for _ in 0..10 {
                nights.logs.put_late("/svc/a", "web/1", time, ingested, "late");
            }
        }
        assert_eq!(nights.receipt(day()).await.read.events, 80);
        nights.clock.sleep(13 * HOUR).await;
        nights.logs.expire("/svc/a", at("07:20:00"));
        let receipt = nights.receipt(day()).await;
        assert_eq!(receipt.read.events, 80 + late.unsigned_abs());
        let note = &receipt.notes[0];
        assert!(note.starts_with("hour 07 of /svc/a: 40 events from"), "{note}");
        assert_eq!(nights.counts(DAY).await.1, 80 + late);
    }
}

#[tokio::test]
async fn an_unchanged_export_is_not_compared_event_by_event_and_late_events_need_no_note() {
    let nights = Nights::after_midnight(&["/svc/a"], "").await;
    nights.put_hour("/svc/a", 3, 10, "in time");
    nights.put_hour_late("/svc/a", 3, 5, "late");
    nights.receipt(day()).await;
    nights.clock.sleep(13 * HOUR).await;
    let receipt = nights.receipt(day()).await;
    assert_eq!((receipt.read.events, receipt.notes.len()), (15, 0));
    let staged = nights.staged(DAY).await;
    assert!(staged.iter().all(|key| !key.contains("/kept-")), "{staged:?}");
}

/// A run that was killed between the copied events and the manifest leaves objects that no manifest lists.
#[tokio::test]
async fn copied_events_count_only_once_they_are_listed() {
    let nights = Nights::after_midnight(&["/svc/a"], "").await;
    nights.put_hour("/svc/a", 1, 10, "gone");
    nights.put_hour("/svc/a", 9, 10, "there");
    nights.receipt(day()).await;
    nights.clock.sleep(13 * HOUR).await;
    nights.logs.expire("/svc/a", at("06:00:00"));
    nights.receipt(day()).await;
    let mut staged = nights.staged(DAY).await;
    staged.retain(|key| key.contains("/kept-"));
    assert_eq!(staged.len(), 1, "{staged:?}");
    let staging = nights.staging().await;
    let copied = layout::join(staging.root(), &staged[0]);
    let killed = layout::join(staging.root(), &staged[0].replace("/kept-", "/kept-0"));
    let body = Body::Bytes(staging.get(&copied).await.unwrap().unwrap());
    let put = staging.put_if(&killed, body, "application/gzip", &Condition::Absent);
    put.await.unwrap();
    assert_eq!(nights.counts(DAY).await, (20, 20));
}

#[tokio::test]
async fn answers_whose_export_is_gone_stay_and_settle() {
    let mut nights = Nights::after_midnight(&["/svc/a"], "").await;
    nights.put_hour("/svc/a", 1, 10, "gone");
    nights.put_hour("/svc/a", 9, 10, "there");
    nights.put_hour_late("/svc/a", 9, 15, "late");
    nights.receipt(day()).await;
    let staging = nights.staging().await;
    let folder = layout::join(staging.root(), &format!("night/{DAY}"));
    staging.delete_below(&folder).await.unwrap();
    nights.clock.sleep(13 * HOUR).await;
    nights.logs.expire("/svc/a", at("06:00:00"));

    let receipt = nights.receipt(day()).await;
    assert_eq!(receipt.read.events, 20);
    assert!(!receipt.window.provisional);
    let note = "in window 2026-11-20 (UTC), the events of hour 01 of /svc/a went from 10 in the last run to 0: its answers stay";
    assert!(receipt.notes[0].starts_with(note), "{:?}", receipt.notes);
    let windows = nights.windows(DAY, DAY);
    assert_eq!(nights.answer(&windows[0]).await.0, 20);
    assert!(nights.run(day()).await[0].skipped);
    let summaries = status(&nights.environment, &nights.job, Some(windows)).await;
    assert_eq!(summaries.unwrap()[0].status, WindowStatus::Settled);

    // A new question can't be answered from events that are gone, and says so.
    nights.set_sql("SELECT count(*) AS events, 0 AS messages FROM logs");
    let error = nights.run(day()).await.remove(0).result.unwrap_err();
    assert_eq!(error.class(), Class::Source);
    assert_eq!(error.remedy(), Some(Remedy::Force));
    let forced = Request {
        selection: day(),
        force: Force::Recompute,
        provisional: false,
    };
    let plan = plan(&nights.environment, &nights.job, &forced).await.unwrap();
    let outcomes = execute(&nights.environment, &plan, |_, _| {}).await.unwrap();
    assert_eq!(outcomes[0].result.as_ref().unwrap().read.events, 25);
}

/// Receipts of earlier versions have no hours: the total is compared, and where it shrank, each event.
#[tokio::test]
async fn the_total_of_a_receipt_without_hours_is_compared() {
    let nights = Nights::after_midnight(&["/svc/a", "/svc/b"], "").await;
    nights.put_hour("/svc/a", 1, 10, "gone");
    nights.put_hour("/svc/a", 9, 1, "there");
    nights.put_hour("/svc/b", 9, 10, "there");
    nights.receipt(day()).await;
    let key = nights.keys.receipt(DAY);
    let (json, seen) = nights.output.get_to_replace(&key).await.unwrap().unwrap();
    let mut old: serde_json::Value = serde_json::from_slice(&json).unwrap();
    for export in old["exports"].as_array_mut().unwrap() {
        export.as_object_mut().unwrap().remove("hours").unwrap();
    }
    let body = Body::Bytes(serde_json::to_vec(&old).unwrap().into());
    let put = nights.output.put_if(&key, body, "application/json", &seen);
    put.await.unwrap();
    nights.clock.sleep(13 * HOUR).await;
    nights.logs.expire("/svc/a", at("02:00:00"));
    let receipt = nights.receipt(day()).await;
    assert_eq!(receipt.read.events, 21);
    let note = &receipt.notes[0];
    assert!(note.starts_with("hour 01 of /svc/a: 10 events"), "{note}");
}

/// A busy group, and an idle one that keeps its events for a day. At 03:00 the last day has not settled yet, and on the
/// next night all of it is deleted.
#[tokio::test]
async fn nights_end_well_where_retention_is_shorter_than_settling() {
    let nights = Nights::with("2026-11-21T03:00:00Z", "UTC", "").await;
    for group in ["/svc/busy", "/svc/idle"] {
        nights.logs.add_group(group, instant("2026-01-01T00:00:00Z"));
        nights.logs.set_retention(group, 1);
    }
    for night in 0..6 {
        let noon = instant("2026-11-20T12:00:00Z") + TimeDelta::days(night);
        nights.logs.put("/svc/busy", "web/1", noon, "hello");
        let kept = nights.clock.now() - TimeDelta::days(1);
        nights.logs.expire("/svc/busy", kept);
        let before = nights.logs.own_tasks().len();
        let outcomes = nights.run(Selection::Default).await;
        let receipts: Vec<&Receipt> = outcomes
            .iter()
            .map(|outcome| outcome.result.as_ref().unwrap())
            .collect();
        assert!(receipts.iter().all(|receipt| receipt.read.events == 1));
        assert_eq!(nights.logs.own_tasks().len() - before, 2, "night {night}");
        if night > 0 {
            let [settled, last] = receipts[..] else {
                panic!("{receipts:?}")
            };
            assert!(!settled.window.provisional && last.window.provisional);
            let stands = |group: &str| {
                let expected = format!("the events of {group} are from the export of");
                settled.notes.iter().any(|note| note.starts_with(&expected))
            };
            assert!(stands("/svc/busy") && stands("/svc/idle"), "{:?}", settled.notes);
        }
        nights.clock.sleep(24 * HOUR - Duration::from_secs(nights.since_three())).await;
    }
    let summaries = status(&nights.environment, &nights.job, None).await.unwrap();
    // But the day that has just ended.
    let due: Vec<_> = summaries.iter().filter(|window| window.due).collect();
    assert!(due.iter().all(|window| window.run_with.is_empty()), "{due:?}");
    assert!(summaries.iter().all(|window| window.status != WindowStatus::Failed));
}

impl Nights {
    /// Seconds since 03:00.
    fn since_three(&self) -> u64 {
        let now = self.clock.now();
        let three = now.date_naive().and_hms_opt(3, 0, 0).unwrap().and_utc();
        (now - three).num_seconds().unsigned_abs()
    }
}

#[tokio::test]
async fn weeks_settle_in_groups_that_keep_their_events_for_a_week() {
    let weeks = "[window]\nsize = \"week\"";
    // A Monday.
    let nights = Nights::with("2026-11-23T03:00:00Z", "UTC", weeks).await;
    nights.logs.add_group("/svc/a", instant("2026-01-01T00:00:00Z"));
    nights.logs.add_group("/svc/idle", instant("2026-01-01T00:00:00Z"));
    for group in ["/svc/a", "/svc/idle"] {
        nights.logs.set_retention(group, 7);
    }
    for week in 0..3 {
        let friday = instant("2026-11-20T12:00:00Z") + TimeDelta::weeks(week);
        nights.logs.put("/svc/a", "web/1", friday, "hello");
        nights.logs.expire("/svc/a", nights.clock.now() - TimeDelta::weeks(1));
        for outcome in nights.run(Selection::Default).await {
            assert_eq!(outcome.result.unwrap().read.events, 1);
        }
        assert_eq!(nights.logs.own_tasks().len() as i64, 2 * (week + 1));
        nights.clock.sleep(7 * 24 * HOUR - Duration::from_secs(nights.since_three())).await;
    }
}

/// Retention has deleted the only events of a group between two exports; its streams still say that there were some.
#[tokio::test]
async fn an_export_that_became_empty_leaves_the_earlier_one_standing() {
    let nights = Nights::after_midnight(&["/svc/a", "/svc/b"], "").await;
    nights.put_hour("/svc/a", 1, 10, "gone");
    nights.put_hour_late("/svc/b", 20, 5, "late");
    nights.receipt(day()).await;
    nights.logs.expire("/svc/a", at("12:00:00"));
    nights.clock.sleep(13 * HOUR).await;
    let receipt = nights.receipt(day()).await;
    assert_eq!(receipt.read.events, 15);
    assert_eq!(
        receipt.notes,
        ["the events of /svc/a are from the export of 2026-11-21T00:10:00Z: a new export has no events any more"]
    );
}

#[tokio::test]
async fn a_group_that_was_deleted_keeps_its_events_and_the_others_go_on() {
    let mut nights = Nights::after_midnight(&["/svc/a", "/svc/preview-7"], "").await;
    nights.put_hour("/svc/a", 1, 10, "a");
    nights.put_hour_late("/svc/a", 1, 7, "late");
    nights.put_hour("/svc/preview-7", 1, 30, "preview");
    let first = nights.receipt(day()).await;
    nights.logs.delete_group("/svc/preview-7");
    nights.clock.sleep(13 * HOUR).await;
    let receipt = nights.receipt(day()).await;
    assert_eq!(receipt.read.events, 47);
    let exported = first.exports[1].as_of.unwrap();
    let exported = exported.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    assert_eq!(
        receipt.notes,
        [format!("the events of /svc/preview-7 are from the export of {exported}: the log group was deleted since")]
    );
    let groups = receipt.exports.iter().map(|export| export.log_group.as_deref().unwrap());
    assert_eq!(groups.collect::<Vec<_>>(), ["/svc/a", "/svc/preview-7"]);
    assert_eq!(nights.counts(DAY).await, (47, 47));
    nights.set_sql("SELECT count(*) AS events, 0 AS messages FROM logs");
    assert_eq!(nights.receipt(day()).await.read.events, 47);

    // Of a day on which it was not exported it is not there.
    nights.clock.sleep(24 * HOUR).await;
    let next = nights.receipt(Selection::Id("2026-11-21".to_owned())).await;
    assert_eq!((next.exports.len(), next.notes.len()), (1, 0));
}

#[tokio::test]
async fn a_group_that_was_deleted_and_created_again_keeps_its_events() {
    for days in [1, 20] {
        let nights = Nights::after_midnight(&["/svc/a", "/svc/b"], "").await;
        nights.put_hour("/svc/a", 1, 10, "a");
        nights.put_hour("/svc/b", 1, 10, "b");
        nights.receipt(day()).await;
        nights.logs.delete_group("/svc/b");
        nights.clock.sleep(days * 24 * HOUR).await;
        nights.logs.add_group("/svc/b", nights.clock.now() - TimeDelta::hours(1));
        nights.logs.put("/svc/b", "web/1", nights.clock.now(), "new");
        let receipt = nights.receipt(day()).await;
        assert_eq!(receipt.read.events, 20, "after {days} days");
        assert_eq!(receipt.skipped_log_groups, [""; 0]);
        assert_eq!(receipt.notes.len(), 1, "{:?}", receipt.notes);
    }
}

/// `--force=export` takes what is there, but no export without events for one that can't be made again.
#[tokio::test]
async fn what_can_not_be_exported_again_is_not_forced_away() {
    let nights = Nights::after_midnight(&["/svc/a"], "").await;
    nights.logs.set_retention("/svc/a", 1);
    nights.put_hour("/svc/a", 23, 10, "a");
    nights.receipt(day()).await;
    nights.clock.sleep(48 * HOUR).await;
    nights.logs.expire("/svc/a", instant("2026-11-22T00:00:00Z"));
    let forced = Request {
        selection: day(),
        force: Force::Export,
        provisional: false,
    };
    let plan = plan(&nights.environment, &nights.job, &forced).await.unwrap();
    let outcomes = execute(&nights.environment, &plan, |_, _| {}).await.unwrap();
    assert_eq!(outcomes[0].result.as_ref().unwrap().read.events, 10);
}

#[tokio::test]
async fn status_names_the_option_that_takes_an_export_without_events() {
    let nights = Nights::after_midnight(&["/svc/a"], "").await;
    nights.logs.set_retention("/svc/a", 1);
    nights.put_hour("/svc/a", 23, 10, "a");
    nights.clock.sleep(48 * HOUR).await;
    nights.logs.expire("/svc/a", instant("2026-11-22T00:00:00Z"));
    let error = nights.run(day()).await.remove(0).result.unwrap_err();
    assert_eq!(error.class(), Class::Source);
    let windows = nights.windows(DAY, DAY);
    let summaries = status(&nights.environment, &nights.job, Some(windows)).await.unwrap();
    assert_eq!(summaries[0].run_with, [RunOption::Unless(Remedy::ForceExport)]);
}

/// The counts of a thousand log groups have room in a receipt.
#[test]
fn a_receipt_of_many_groups_stays_small() {
    let hours: String = (0..25).map(|hour| format!("{}-{hour:08x} ", 90_000 + hour)).collect();
    let hours: crate::scan::Hours = hours.trim().parse().unwrap();
    assert!(1000 * hours.to_string().len() < 500_000);
}
