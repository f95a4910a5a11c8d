//! What a window keeps when it is exported again and CloudWatch has fewer events by then.

use super::*;
use crate::error::Remedy;
use crate::receipt::Receipt;
use crate::run::catalog::{self, CatalogRequest, Subject, Windows};
use crate::run::{WindowStatus, status};

const DAY: &str = "2026-11-20";

fn day() -> Selection {
    Selection::Id(DAY.to_owned())
}

fn at(time: &str) -> DateTime<Utc> {
    instant(&format!("{DAY}T{time}Z"))
}

impl Nights {
    /// Shortly after the end of 2026-11-20, with some log groups that were created long ago.
    pub(super) async fn after_midnight(groups: &[&str], keys: &str) -> Self {
        Self::with("2026-11-21T00:10:00Z", "UTC", keys)
            .await
            .with_groups(groups)
    }

    fn with_groups(self, groups: &[&str]) -> Self {
        let nights = self;
        for group in groups {
            let created = instant("2026-01-01T00:00:00Z");
            nights.logs.add_group(group, created);
        }
        nights
    }

    /// Events in an hour of the day that were ingested at once, with messages that begin with `what`.
    pub(super) fn put_hour(&self, group: &str, hour: u32, events: u32, what: &str) {
        let start = at("00:00:00") + TimeDelta::hours(hour.into());
        for number in 0..events {
            let at = start + TimeDelta::seconds(number.into());
            let message = format!("{what} {hour} {number}");
            self.logs.put(group, "web/1", at, &message);
        }
    }

    /// The same, but ingested at noon of the next day.
    pub(super) fn put_hour_late(&self, group: &str, hour: u32, events: u32, what: &str) {
        let start = at("00:00:00") + TimeDelta::hours(hour.into());
        let ingested = instant("2026-11-21T12:00:00Z");
        for number in 0..events {
            let at = start + TimeDelta::seconds(number.into());
            let message = format!("{what} {hour} {number}");
            self.logs.put_late(group, "web/2", at, ingested, &message);
        }
    }

    pub(super) async fn receipt(&self, selection: Selection) -> Receipt {
        let outcome = self.run(selection).await.remove(0);
        assert!(!outcome.skipped);
        outcome.result.unwrap()
    }

    /// How many events the answer and an ad-hoc query over the job's exports have.
    pub(super) async fn counts(&self, window: &str) -> (i64, i64) {
        use arrow::array::AsArray;
        use arrow::datatypes::Int64Type;
        use futures::TryStreamExt;
        let windows = self.windows(window, window);
        let request = CatalogRequest {
            windows: Windows::One(window.to_owned()),
            ..CatalogRequest::default()
        };
        let subject = Subject::Job(Box::new(self.job.clone()));
        let opened = catalog::open(&self.environment, [subject], &request).await;
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

    pub(super) fn set_sql(&mut self, sql: &str) {
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
            receipt
                .as_of
                .unwrap()
                .to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
        )]
    );
    assert_eq!(receipt.change.as_ref().unwrap().events, 700);
    assert_eq!(nights.counts(DAY).await, (3100, 3100));
    assert_eq!(nights.state(DAY).await.attempts.len(), 1);

    // Another question is answered from all of them, without another export.
    nights.set_sql(
        "SELECT count(*) AS events, count(DISTINCT message) AS messages FROM logs -- again",
    );
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
    assert!(
        note.starts_with("hour 01 of /svc/a: 99 events from"),
        "{note}"
    );
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
                nights
                    .logs
                    .put_late("/svc/a", "web/1", time, ingested, "late");
            }
        }
        assert_eq!(nights.receipt(day()).await.read.events, 80);
        nights.clock.sleep(13 * HOUR).await;
        nights.logs.expire("/svc/a", at("07:20:00"));
        let receipt = nights.receipt(day()).await;
        assert_eq!(receipt.read.events, 80 + late.unsigned_abs());
        let note = &receipt.notes[0];
        assert!(
            note.starts_with("hour 07 of /svc/a: 40 events from"),
            "{note}"
        );
        assert_eq!(nights.counts(DAY).await.1, 80 + late);
    }
}

#[tokio::test]
async fn late_events_need_no_note_and_leave_no_copies() {
    let nights = Nights::after_midnight(&["/svc/a"], "").await;
    nights.put_hour("/svc/a", 3, 10, "in time");
    nights.put_hour_late("/svc/a", 3, 5, "late");
    nights.receipt(day()).await;
    nights.clock.sleep(13 * HOUR).await;
    let receipt = nights.receipt(day()).await;
    assert_eq!((receipt.read.events, receipt.notes.len()), (15, 0));
    let staged = nights.staged(DAY).await;
    assert!(
        staged.iter().all(|key| !key.contains("/kept-")),
        "{staged:?}"
    );
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
    let plan = plan(&nights.environment, &nights.job, &forced)
        .await
        .unwrap();
    let outcomes = execute(&nights.environment, &plan, |_, _| {})
        .await
        .unwrap();
    assert_eq!(outcomes[0].result.as_ref().unwrap().read.events, 25);
}

/// The new export is whole without the earlier one. Only where that has events which were lost, the answers stay.
#[tokio::test]
async fn an_earlier_export_that_is_damaged_does_not_spoil_the_new_one() {
    for is_loss in [false, true] {
        let nights = Nights::after_midnight(&["/svc/a"], "").await;
        nights.put_hour("/svc/a", 1, 10, "in time");
        nights.put_hour("/svc/a", 9, 10, "in time");
        nights.put_hour_late("/svc/a", 9, 15, "late");
        nights.receipt(day()).await;
        let staging = nights.staging().await;
        let staged = nights.staged(DAY).await;
        let object = staged.iter().find(|key| key.ends_with(".gz")).unwrap();
        let object = layout::join(staging.root(), object);
        let (bytes, seen) = staging.get_to_replace(&object).await.unwrap().unwrap();
        let mut damaged = bytes.to_vec();
        let middle = damaged.len() / 2;
        damaged[middle] ^= 0x55;
        let body = Body::Bytes(damaged.into());
        let put = staging.put_if(&object, body, "application/gzip", &seen);
        put.await.unwrap();
        nights.clock.sleep(13 * HOUR).await;
        if is_loss {
            nights.logs.expire("/svc/a", at("06:00:00"));
        }
        let receipt = nights.receipt(day()).await;
        let expected = if is_loss { 20 } else { 35 };
        assert_eq!(receipt.read.events, expected);
        assert_eq!(receipt.notes.len(), usize::from(is_loss));
    }
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

/// Between the runs of a window, retention deletes events, others come late, and log groups go and come again. Each
/// event that was there for a run is in every later answer.
#[tokio::test]
async fn what_a_run_has_seen_is_in_every_later_answer_whatever_happens_between() {
    let patient = "settled_after = \"7d\"";
    let groups = ["/svc/a", "/svc/b", "/svc/c"];
    for seed in 0..6 {
        let mut random = fastrand::Rng::with_seed(seed);
        let nights = Nights::with_window("2026-11-21T00:10:00Z", "UTC", "", patient).await;
        let nights = nights.with_groups(&groups);
        let mut events = 0;
        for run in 0..5 {
            for group in groups {
                for _ in 0..random.u64(0..8) {
                    // Some hours of the day have most events.
                    let hour = random.u32(0..24) / random.u32(1..4);
                    let at = at("00:00:00") + TimeDelta::hours(hour.into());
                    let at = at + TimeDelta::milliseconds(random.i64(0..3_600_000));
                    let stream = format!("web/{}", random.u32(0..2));
                    let times = random.u64(1..4);
                    for _ in 0..times {
                        let now = nights.clock.now();
                        let message = format!("event {events}");
                        nights.logs.put_late(group, &stream, at, now, &message);
                    }
                    events += times;
                }
            }
            nights.clock.sleep(HOUR).await;
            let receipt = nights.receipt(day()).await;
            assert_eq!(receipt.read.events, events, "seed {seed}, run {run}");
            assert_eq!(nights.counts(DAY).await, (events as i64, events as i64));
            match random.u32(0..3) {
                0 => {
                    let hour = TimeDelta::minutes(random.i64(0..24 * 60));
                    let group = groups[random.usize(0..3)];
                    nights.logs.expire(group, at("00:00:00") + hour);
                }
                1 => {
                    // With `add_group`, the group is another one, without events.
                    let group = groups[random.usize(0..3)];
                    nights.logs.add_group(group, nights.clock.now());
                }
                _ => {}
            }
        }
    }
}

/// The counts of a thousand log groups have room in a receipt.
#[test]
fn a_receipt_of_many_groups_stays_small() {
    let hours: String = (0..25)
        .map(|hour| format!("{}-{hour:08x} ", 90_000 + hour))
        .collect();
    let hours: crate::scan::Hours = hours.trim().parse().unwrap();
    assert!(1000 * hours.to_string().len() < 500_000);
}
