use super::fake::FakeCount;
use super::*;
use crate::clock::TestClock;
use proptest::prelude::*;
use std::sync::LazyLock;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

fn ms(text: &str) -> i64 {
    text.parse::<DateTime<Utc>>().unwrap().timestamp_millis()
}

fn day() -> Range {
    let start_ms = ms("2026-11-21T00:00:00Z");
    Range {
        start_ms,
        end_ms: start_ms + DAY,
    }
}

static GROUPS: LazyLock<[String; 1]> = LazyLock::new(|| ["/ecs/web".to_owned()]);

async fn ask<'a>(
    count: &FakeCount,
    method: Verify,
    now: &str,
    change: impl FnOnce(&mut VerifyRequest<'a>),
) -> Verification {
    let clock = TestClock::at(now.parse().unwrap());
    let mut request = VerifyRequest {
        method,
        log_groups: &*GROUPS,
        log_stream_prefix: None,
        range: day(),
        counted: 24 * 600,
        counted_by_hour: &[],
    };
    change(&mut request);
    verify(count, &clock, &request).await.unwrap()
}

/// Ten events a minute, from an hour before the day to an hour after it.
fn steady() -> FakeCount {
    let count = FakeCount::default();
    for start_ms in (day().start_ms - HOUR..day().end_ms + HOUR).step_by(60_000) {
        count.came_in(start_ms, 10.0);
    }
    count
}

#[tokio::test]
async fn the_metric_agrees_within_what_the_edges_leave_open() {
    let count = steady();
    let now = "2026-11-22T03:00:00Z";
    let found = ask(&count, Verify::Metrics, now, |_| ()).await;
    assert_eq!(found.expected, Some(14_400));
    // Five minutes of an edge, and a thousandth.
    assert_eq!(found.tolerance, 50 + 15);
    assert_eq!((found.agrees, found.note), (Some(true), None));
    let asked = Range {
        end_ms: day().end_ms + 5 * MINUTE,
        ..day()
    };
    assert_eq!(count.periods(), [(asked, 60)]);

    let lost = ask(&count, Verify::Metrics, now, |q| q.counted -= 600).await;
    assert_eq!(lost.agrees, Some(false));
    assert!(lost.note.unwrap().starts_with("600 events fewer"));
    let doubled = ask(&count, Verify::Metrics, now, |q| q.counted += 600).await;
    assert_eq!(doubled.agrees, Some(false));
    assert!(doubled.note.unwrap().starts_with("600 events more"));
}

#[tokio::test]
async fn old_metrics_come_in_longer_periods_and_edges_between_them_stay_open() {
    let count = FakeCount::default();
    for start_ms in (day().start_ms - DAY..day().end_ms + DAY).step_by(3_600_000) {
        count.came_in(start_ms, 600.0);
    }
    // A day of Asia/Kolkata: its edges are in the middle of an hour of UTC.
    let range = Range {
        start_ms: day().start_ms - 5 * HOUR - HOUR / 2,
        end_ms: day().end_ms - 5 * HOUR - HOUR / 2,
    };
    let found = ask(&count, Verify::Metrics, "2027-03-01T00:00:00Z", |q| {
        q.range = range;
    });
    let found = found.await;
    assert_eq!(found.expected, Some(14_400));
    assert_eq!(found.tolerance, 600 + 600 + 600 + 15);
    let (asked, period) = count.periods()[0];
    assert_eq!(period, 3600);
    assert_eq!((asked.start_ms % HOUR, asked.end_ms % HOUR), (0, 0));
    let found = ask(&count, Verify::Metrics, "2026-12-20T00:00:00Z", |_| ());
    found.await;
    assert_eq!(count.periods()[1].1, 300);
}

#[tokio::test]
async fn what_can_not_be_counted_is_unverified_with_the_reason() {
    let now = "2026-11-22T03:00:00Z";
    let count = steady();
    let unverified = |found: Verification, expected: &str| {
        let note = found.note.unwrap();
        assert!(note.contains(expected), "{note}");
        assert_eq!((found.agrees, found.expected), (None, None));
    };
    let found = ask(&count, Verify::Metrics, now, |q| {
        q.log_stream_prefix = Some("web/");
    });
    unverified(found.await, "web/");
    let found = ask(&count, Verify::Metrics, "2026-11-22T00:10:00Z", |_| ());
    unverified(found.await, "15 minutes");
    let found = ask(&count, Verify::Metrics, "2028-11-22T00:10:00Z", |_| ());
    unverified(found.await, "the window began 732 days ago");
    let found = ask(&count, Verify::Metrics, "2028-02-18T00:10:00Z", |_| ());
    unverified(found.await, "the window began 454 days ago");
    let silent = FakeCount::default();
    let found = ask(&silent, Verify::Metrics, now, |_| ());
    unverified(found.await, "no metric IncomingLogEvents");
    for method in [Verify::Metrics, Verify::Insights] {
        let denied = "is not authorized to perform (AccessDeniedException)";
        count.fail(1, ServiceErrorKind::Refused, denied);
        unverified(ask(&count, method, now, |_| ()).await, denied);
    }
    count.answers([InsightsState::Failed("Timeout".to_owned())]);
    unverified(ask(&count, Verify::Insights, now, |_| ()).await, "Timeout");
    // A query that never ends is stopped.
    assert!(count.stopped().is_empty());
    let found = ask(&count, Verify::Insights, now, |_| ()).await;
    unverified(found, "did not end in 15 minutes");
    assert_eq!(
        count.stopped(),
        [format!("query-{}", count.queries().len())]
    );
    count.fail(1_000, ServiceErrorKind::SlotBusy, "too many queries");
    unverified(
        ask(&count, Verify::Insights, now, |_| ()).await,
        "too many queries",
    );
}

#[tokio::test]
async fn no_events_are_a_count_too() {
    let silent = FakeCount::default();
    let now = "2026-11-22T03:00:00Z";
    let found = ask(&silent, Verify::Metrics, now, |q| q.counted = 0).await;
    assert_eq!((found.expected, found.agrees), (Some(0), Some(true)));
    let found = ask(&silent, Verify::Insights, now, |q| {
        q.log_groups = &[];
        q.counted = 1;
    });
    assert_eq!(found.await.agrees, Some(false));
}

fn row(hour: &str, events: &str) -> Vec<(String, String)> {
    vec![
        ("bin(1h)".to_owned(), format!("2026-11-21 {hour}:00:00.000")),
        ("events".to_owned(), events.to_owned()),
    ]
}

#[tokio::test]
async fn insights_counts_exactly_by_hour_and_over_any_number_of_groups() {
    let count = FakeCount::default();
    count.fail(3, ServiceErrorKind::Transient, "Rate exceeded");
    count.answers([
        InsightsState::Running,
        InsightsState::Complete(vec![row("05", "7"), row("00", "2")]),
        InsightsState::Complete(vec![row("05", "1")]),
    ]);
    let groups: Vec<String> = (0..60).map(|n| format!("/ecs/{n}")).collect();
    let found = ask(&count, Verify::Insights, "2026-11-22T03:00:00Z", |q| {
        q.log_groups = &groups;
        q.log_stream_prefix = Some("web/a.b[");
        q.counted = 10;
    });
    let found = found.await;
    assert_eq!((found.expected, found.tolerance), (Some(10), 0));
    assert_eq!(found.agrees, Some(true));
    let by_hour: Vec<(String, u64)> = found
        .by_hour
        .iter()
        .map(|hour| (hour.hour_utc.to_rfc3339(), hour.events))
        .collect();
    assert_eq!(
        by_hour,
        [
            ("2026-11-21T00:00:00+00:00".to_owned(), 2),
            ("2026-11-21T05:00:00+00:00".to_owned(), 8)
        ]
    );
    let queries = count.queries();
    assert_eq!(queries.len(), 2);
    let (groups, from_s, to_s, query) = &queries[0];
    assert_eq!(groups.len(), 50);
    assert_eq!(
        (*from_s, *to_s),
        (day().start_ms / 1000, day().end_ms / 1000 + 1)
    );
    assert_eq!(
        query,
        "filter toMillis(@timestamp) >= 1795219200000 and toMillis(@timestamp) < 1795305600000 \
         | filter @logStream like /^web\\/a\\.b\\[/ | stats count(*) as events by bin(1h)"
    );
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(json["method"], "insights");
    assert_eq!(json["by_hour"][0]["hour_utc"], "2026-11-21T00:00:00Z");
    assert_eq!(serde_json::from_value::<Verification>(json).unwrap(), found);
}

fn hours(counts: impl IntoIterator<Item = (i64, u64)>) -> Vec<HourCount> {
    counts
        .into_iter()
        .map(|(hour, events)| HourCount {
            hour_utc: DateTime::from_timestamp_millis(day().start_ms + hour * HOUR).unwrap(),
            events,
        })
        .collect()
}

#[tokio::test]
async fn what_one_hour_lacks_is_not_made_up_for_by_another() {
    let count = FakeCount::default();
    let rows = || InsightsState::Complete(vec![row("03", "600"), row("04", "600")]);
    let now = "2026-11-22T03:00:00Z";
    let ask = async |counted: u64, by_hour: Vec<HourCount>| {
        count.answers([rows()]);
        ask(&count, Verify::Insights, now, |q| {
            q.counted = counted;
            q.counted_by_hour = by_hour.leak();
        })
        .await
    };
    let same = ask(1200, hours([(4, 600), (3, 600)])).await;
    assert_eq!((same.agrees, same.note), (Some(true), None));
    let moved = ask(1200, hours([(3, 500), (4, 700)])).await;
    assert_eq!(moved.agrees, Some(false));
    assert_eq!(
        moved.note.unwrap(),
        "the sum is the same; hours that differ: 2026-11-21T03Z (500, not 600), 2026-11-21T04Z (700, not 600)"
    );
    let lost = ask(1100, hours([(3, 500), (4, 600)])).await;
    let note = lost.note.unwrap();
    assert!(note.starts_with("100 events fewer"), "{note}");
    assert!(note.ends_with("2026-11-21T03Z (500, not 600)"), "{note}");
    let elsewhere = ask(1200, hours((5..17).map(|hour| (hour, 100)))).await;
    assert!(elsewhere.note.unwrap().ends_with("and 9 more"));
}

#[tokio::test]
async fn events_that_were_deleted_since_are_no_dispute() {
    let count = FakeCount::default();
    let counted = |by_hour: &[HourCount]| by_hour.iter().map(|hour| hour.events).sum();
    for (exported, expected) in [
        (hours([(2, 50), (3, 600), (4, 600)]), None),
        (hours([(3, 601), (4, 600)]), None),
        (hours([(3, 600), (4, 600)]), Some(true)),
        // The export lacks events of an hour.
        (hours([(2, 900), (3, 599), (4, 600)]), Some(false)),
        (hours([(4, 1300)]), Some(false)),
    ] {
        let rows = vec![row("03", "600"), row("04", "600")];
        count.answers([InsightsState::Complete(rows)]);
        let by_hour = exported.clone();
        let found = ask(&count, Verify::Insights, "2026-11-22T03:00:00Z", |q| {
            q.counted = counted(&by_hour);
            q.counted_by_hour = by_hour.clone().leak();
        });
        let found = found.await.of_deleted_events(&exported);
        assert_eq!(found.agrees, expected, "{exported:?}");
        assert_eq!(found.note.is_none(), expected == Some(true));
    }
}

#[tokio::test]
async fn each_query_has_its_own_time() {
    let count = FakeCount::default();
    let running = || std::iter::repeat_n(InsightsState::Running, 70);
    let done = || InsightsState::Complete(vec![row("05", "1")]);
    // Ten minutes each.
    count.answers(running().chain([done()]).chain(running()).chain([done()]));
    let groups: Vec<String> = (0..60).map(|n| format!("/ecs/{n}")).collect();
    let found = ask(&count, Verify::Insights, "2026-11-22T03:00:00Z", |q| {
        q.log_groups = &groups;
        q.counted = 2;
    });
    assert_eq!(found.await.agrees, Some(true));
    assert!(count.stopped().is_empty());
}

proptest! {
    #[test]
    fn events_that_come_in_within_minutes_always_agree(
        events in proptest::collection::vec((-HOUR..DAY + HOUR, 0..5 * MINUTE), 0..200),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let count = FakeCount::default();
        count.came_in(day().start_ms, 0.0);
        let mut counted = 0;
        for (time, delay) in &events {
            let came_in = day().start_ms + time + delay;
            count.came_in(came_in.div_euclid(MINUTE) * MINUTE, 1.0);
            counted += u64::from((0..DAY).contains(time));
        }
        let now = "2026-11-22T03:00:00Z";
        let found = runtime.block_on(ask(&count, Verify::Metrics, now, |q| q.counted = counted));
        prop_assert_eq!(found.agrees, Some(true), "{:?}", found);
    }
}

#[tokio::test]
async fn a_count_that_no_job_asked_for_is_silent_where_it_can_not_be_had() {
    let clock = TestClock::at("2026-11-22T03:00:00Z".parse().unwrap());
    let request = VerifyRequest {
        method: Verify::Metrics,
        log_groups: &*GROUPS,
        log_stream_prefix: None,
        range: day(),
        counted: 24 * 600,
        counted_by_hour: &[],
    };
    let count = async |service: FakeCount, asked_for, request: &VerifyRequest<'_>| {
        let verifier = Verifier::new(std::sync::Arc::new(service), asked_for);
        verifier.verify(&clock, request).await
    };
    let denied = || {
        let service = steady();
        let message = "is not authorized to perform (AccessDeniedException)";
        service.fail(1, ServiceErrorKind::Refused, message);
        service
    };
    assert_eq!(count(denied(), None, &request).await, None);
    let asked = count(denied(), Some(Verify::Metrics), &request).await;
    assert_eq!(asked.unwrap().agrees, None);
    // No metric, and a prefix that the metric can't tell.
    assert_eq!(count(FakeCount::default(), None, &request).await, None);
    let prefixed = VerifyRequest {
        log_stream_prefix: Some("web/"),
        ..request
    };
    assert_eq!(count(steady(), None, &prefixed).await, None);
    // Where it can be had, it speaks.
    let agreed = count(steady(), None, &request).await.unwrap();
    assert_eq!(agreed.agrees, Some(true));
    let lost = VerifyRequest {
        counted: 23 * 600,
        ..request
    };
    let disputed = count(steady(), None, &lost).await.unwrap();
    assert_eq!(disputed.agrees, Some(false));
}
