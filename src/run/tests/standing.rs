//! Exports that can't be made again: retention has deleted the window's events, or the log group is gone.

use super::*;
use crate::error::Remedy;
use crate::receipt::Receipt;
use crate::run::{RunOption, WindowStatus, status};

const DAY: &str = "2026-11-20";

fn day() -> Selection {
    Selection::Id(DAY.to_owned())
}

fn at(time: &str) -> DateTime<Utc> {
    instant(&format!("{DAY}T{time}Z"))
}

/// A busy group, and an idle one that keeps its events for a day. At 03:00 the last day has not settled yet, and on the
/// next night all of it is deleted.
#[tokio::test]
async fn nights_end_well_where_retention_is_shorter_than_settling() {
    let nights = Nights::with("2026-11-21T03:00:00Z", "UTC", "").await;
    for group in ["/svc/busy", "/svc/idle"] {
        nights
            .logs
            .add_group(group, instant("2026-01-01T00:00:00Z"));
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
            assert!(
                stands("/svc/busy") && stands("/svc/idle"),
                "{:?}",
                settled.notes
            );
        }
        nights
            .clock
            .sleep(24 * HOUR - Duration::from_secs(nights.since_three()))
            .await;
    }
    let summaries = status(&nights.environment, &nights.job, None)
        .await
        .unwrap();
    // But the day that has just ended.
    let due: Vec<_> = summaries.iter().filter(|window| window.due).collect();
    assert!(
        due.iter().all(|window| window.run_with.is_empty()),
        "{due:?}"
    );
    assert!(
        summaries
            .iter()
            .all(|window| window.status != WindowStatus::Failed)
    );
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
    nights
        .logs
        .add_group("/svc/a", instant("2026-01-01T00:00:00Z"));
    nights
        .logs
        .add_group("/svc/idle", instant("2026-01-01T00:00:00Z"));
    for group in ["/svc/a", "/svc/idle"] {
        nights.logs.set_retention(group, 7);
    }
    for week in 0..3 {
        let friday = instant("2026-11-20T12:00:00Z") + TimeDelta::weeks(week);
        nights.logs.put("/svc/a", "web/1", friday, "hello");
        nights
            .logs
            .expire("/svc/a", nights.clock.now() - TimeDelta::weeks(1));
        for outcome in nights.run(Selection::Default).await {
            assert_eq!(outcome.result.unwrap().read.events, 1);
        }
        assert_eq!(nights.logs.own_tasks().len() as i64, 2 * (week + 1));
        nights
            .clock
            .sleep(7 * 24 * HOUR - Duration::from_secs(nights.since_three()))
            .await;
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
        [
            "the events of /svc/a are from the export of 2026-11-21T00:10:00Z: a new export has no events any more"
        ]
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
        [format!(
            "the events of /svc/preview-7 are from the export of {exported}: the log group was deleted since"
        )]
    );
    let groups = receipt
        .exports
        .iter()
        .map(|export| export.log_group.as_deref().unwrap());
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
        nights
            .logs
            .add_group("/svc/b", nights.clock.now() - TimeDelta::hours(1));
        nights
            .logs
            .put("/svc/b", "web/1", nights.clock.now(), "new");
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
    nights
        .logs
        .expire("/svc/a", instant("2026-11-22T00:00:00Z"));
    let forced = Request {
        selection: day(),
        force: Force::Export,
        provisional: false,
    };
    let plan = plan(&nights.environment, &nights.job, &forced)
        .await
        .unwrap();
    let outcomes = execute(&nights.environment, &plan, |_, _| {})
        .await
        .unwrap();
    assert_eq!(outcomes[0].result.as_ref().unwrap().read.events, 10);
}

#[tokio::test]
async fn status_names_the_option_that_takes_an_export_without_events() {
    let nights = Nights::after_midnight(&["/svc/a"], "").await;
    nights.logs.set_retention("/svc/a", 1);
    nights.put_hour("/svc/a", 23, 10, "a");
    nights.clock.sleep(48 * HOUR).await;
    nights
        .logs
        .expire("/svc/a", instant("2026-11-22T00:00:00Z"));
    let error = nights.run(day()).await.remove(0).result.unwrap_err();
    assert_eq!(error.class(), Class::Source);
    let windows = nights.windows(DAY, DAY);
    let summaries = status(&nights.environment, &nights.job, Some(windows))
        .await
        .unwrap();
    assert_eq!(
        summaries[0].run_with,
        [RunOption::Unless(Remedy::ForceExport)]
    );
    let json = serde_json::to_value(&summaries[0]).unwrap();
    assert_eq!(json["run_with"], serde_json::json!(["--force=export"]));
}
