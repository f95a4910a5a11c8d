//! Which outcomes are reported, and with which words.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::error::Class;

fn notify(on: NotifyWhen) -> Notify {
    Notify {
        sns: None,
        webhook: None,
        slack: None,
        on,
        change: 0.5,
        link_lifetime: Duration::from_secs(60),
        language: Language::English,
    }
}

/// A receipt with this many events.
fn receipt(events: u64) -> Receipt {
    serde_json::from_value(json!({
        "status": "done",
        "job": "night",
        "window": {
            "id": "2026-11-20", "timezone": "UTC",
            "start": "2026-11-20T00:00:00Z", "end": "2026-11-21T00:00:00Z",
            "start_local": "2026-11-20T00:00:00+00:00", "end_local": "2026-11-21T00:00:00+00:00",
            "provisional": false,
        },
        "started_at": "2026-11-21T12:30:00Z",
        "finished_at": "2026-11-21T12:31:00Z",
        "as_of": null,
        "exports": [],
        "skipped_log_groups": [],
        "read": {"objects": 1, "bytes": 10, "events": events, "invalid_utf8_events": 0, "lines_before_first_timestamp": 0},
        "outputs": [],
        "seconds": {},
        "job_sha256": "0",
        "source_sha256": "0",
        "version": "0.1.0",
    }))
    .unwrap()
}

fn broken(mut receipt: Receipt) -> Receipt {
    let broken =
        json!({"query": "orders", "of": "rows", "max": 0.0, "result": "broken", "found": 3.0});
    receipt.expectations = vec![serde_json::from_value(broken).unwrap()];
    receipt
}

fn with_charts(mut receipt: Receipt) -> Receipt {
    for (key, headline) in [
        ("night/charts/hourly/a-2026-11-20.png", "night: 2 events"),
        ("night/charts/hourly/a-2026-11-20.svg", "night: 2 events"),
        ("night/charts/hourly/b-2026-11-20.png", "a <b> & c|d"),
    ] {
        let output = json!({
            "kind": "chart", "query": "hourly", "location": format!("s3://acme/{key}"), "key": key, "etag": null,
            "rows": null, "headline": headline, "bytes": 1,
        });
        receipt
            .outputs
            .push(serde_json::from_value(output).unwrap());
    }
    receipt
}

fn done(receipt: &Receipt, week_before: Option<u64>) -> Outcome<'_> {
    Outcome::Done {
        receipt,
        week_before,
    }
}

#[test]
fn each_choice_reports_what_the_one_before_it_reports() {
    use NotifyWhen::{Always, Change, Failure};
    let error = Error::new(Class::Source, "refused");
    let (calm, is_broken) = (receipt(100), broken(receipt(100)));
    let wanted =
        |outcome: Outcome<'_>| [Failure, Change, Always].map(|on| outcome.is_wanted(&notify(on)));
    assert_eq!(wanted(Outcome::Failed(&error)), [true, true, true]);
    assert_eq!(wanted(done(&is_broken, None)), [false, true, true]);
    assert_eq!(wanted(done(&calm, Some(201))), [false, true, true]);
    assert_eq!(wanted(done(&calm, Some(200))), [false, false, true]);
    assert_eq!(wanted(done(&calm, Some(0))), [false, true, true]);
    assert_eq!(wanted(done(&calm, None)), [false, false, true]);
    let nothing = receipt(0);
    assert_eq!(wanted(done(&nothing, Some(0))), [false, false, true]);
}

#[test]
fn what_logs_have_acts_on_no_readers_screen() {
    let error = Error::new(Class::Damaged, "web\u{202e}app/\u{1b}[2J<!channel>: cut");
    let failed = Outcome::Failed(&error);
    let of = ("night", "2026-11-20");
    let message = Message::new(&notify(NotifyWhen::Failure), of, &failed, &[]);
    let text = "web\\u{202e}app/\\u{1b}[2J";
    assert!(message.plain().contains(&format!("{text}<!channel>: cut")));
    let slack = format!("{text}&lt;!channel&gt;: cut");
    assert!(message.slack().contains(&slack));
}

#[test]
fn the_run_before_is_compared_with_too() {
    let mut changed = receipt(100);
    let change = json!({"since": null, "was_provisional": true, "events_before": 40, "events": 60});
    changed.change = Some(serde_json::from_value(change).unwrap());
    let notify = notify(NotifyWhen::Change);
    let outcome = done(&changed, Some(100));
    assert!(outcome.is_wanted(&notify));
    let message = Message::new(&notify, ("night", "2026-11-20"), &outcome, &[]);
    assert!(
        message
            .plain()
            .contains("Events moved: 100, and 40 in the run before (+150%)")
    );
}

#[test]
fn the_same_outcome_has_the_same_id() {
    let notify = notify(NotifyWhen::Always);
    let id = |outcome: Outcome<'_>| outcome.id(&notify);
    let (calm, more) = (receipt(100), receipt(101));
    assert_eq!(id(done(&calm, None)), id(done(&more, Some(100))));
    let is_broken = broken(receipt(100));
    assert_eq!(id(done(&is_broken, None)), "done, broken orders: no rows");
    assert_eq!(id(done(&calm, Some(500))), "done, moved");
    let error = Error::new(Class::Source, "refused");
    assert_eq!(id(Outcome::Failed(&error)), "failed 4");
}

#[test]
fn a_message_has_the_headline_of_each_chart_and_its_link() {
    let notify = notify(NotifyWhen::Always);
    let receipt = broken(with_charts(receipt(2)));
    let outcome = done(&receipt, Some(100));
    let links = [
        Some("https://s3.example/a?X-Amz-Signature=0".to_owned()),
        None,
    ];
    let message = Message::new(&notify, ("night", "2026-11-20"), &outcome, &links);
    assert_eq!(
        message.subject,
        "logtally: night 2026-11-20 not as expected"
    );
    assert_eq!(
        message.plain(),
        "night: 2 events\nhttps://s3.example/a?X-Amz-Signature=0\na <b> & c|d\n\
         Not as expected: orders: expected no rows, found 3 rows\n\
         Events moved: 2, and 100 a week before (−98%)\n"
    );
    assert!(
        message.slack().starts_with(
            "<https://s3.example/a?X-Amz-Signature=0|night: 2 events>\na &lt;b&gt; &amp; c|d\n"
        ),
        "{}",
        message.slack()
    );
    // What is shown of it by mistake has no link.
    assert!(!format!("{message:?}").contains("Signature"));
}

#[test]
fn a_failure_is_told_in_the_jobs_language() {
    let error = Error::new(Class::Source, format!("refused: {}", "x".repeat(2000)));
    let notify = Notify {
        language: Language::Korean,
        ..notify(NotifyWhen::Failure)
    };
    let outcome = Outcome::Failed(&error);
    let message = Message::new(&notify, ("night", "2026-11-20"), &outcome, &[]);
    assert_eq!(message.subject, "logtally: night 2026-11-20 failed (4)");
    let text = message.plain();
    assert!(
        text.starts_with("night · 2026-11-20 실패 (4)\nrefused: xxx"),
        "{text}"
    );
    assert!(text.chars().count() < 1100 && text.contains('…'), "{text}");
}
