//! The independent count, against moto.
//!
//! The AWS SDK takes its endpoint from the environment, so each test runs [`count`] in a process of its own.

use std::process::Command;

use logtally::aws::{Account, Aws};
use logtally::clock::SystemClock;
use logtally::job::{AwsSettings, Verify};
use logtally::verify::{CloudWatchCount, VerifyRequest, verify};
use logtally::window::Range;
use serde_json::{Value, json};

use crate::support::cloud::{Cloud, recent_day};
use crate::support::events::{DAY, HOUR};
use crate::support::moto::Moto;
use crate::support::program::forget_aws;

/// The variable with the request of [`count`], as JSON.
const ASK: &str = "LOGTALLY_TEST_ASK";

/// Not a test: the other tests run it with `ASK` and an endpoint in its environment. It prints the count as JSON.
#[test]
#[ignore = "run by the tests of this file"]
fn count() {
    let ask: Value = serde_json::from_str(&std::env::var(ASK).expect("what to ask")).expect("JSON");
    let groups: Vec<String> = serde_json::from_value(ask["groups"].clone()).expect("names");
    let number = |key: &str| ask[key].as_i64().expect("a number");
    let request = VerifyRequest {
        method: serde_json::from_value(ask["method"].clone()).expect("a method"),
        log_groups: &groups,
        log_stream_prefix: ask["prefix"].as_str(),
        range: Range {
            start_ms: number("from"),
            end_ms: number("to"),
        },
        counted: number("counted").unsigned_abs(),
        counted_by_hour: &[],
    };
    assert_ne!(request.method, Verify::Off);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let answer = runtime.block_on(async {
        let service = CloudWatchCount::new(&Aws::new(AwsSettings::default()), Account::LOGS).await;
        verify(&service.expect("settings"), &SystemClock, &request).await
    });
    println!("\nANSWER {}", serde_json::to_string(&answer).expect("JSON"));
}

fn ask(moto: &Moto, user: Option<[(&'static str, String); 2]>, ask: &Value) -> Value {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    forget_aws(&mut command);
    let output = command
        .args(["--exact", "verify::count", "--ignored", "--nocapture"])
        .env(ASK, ask.to_string())
        .envs(moto.environment())
        .envs(user.into_iter().flatten())
        .output()
        .expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let answer = text.lines().find_map(|line| line.strip_prefix("ANSWER "));
    let answer = answer.unwrap_or_else(|| panic!("no answer: {output:?}"));
    serde_json::from_str(answer).expect("JSON")
}

#[test]
fn the_metric_of_incoming_events_is_summed_over_groups() {
    let moto = Moto::shared();
    let (_, midnight) = recent_day();
    // In each hour 60 events of one group and 30 of another, with a datum at 10 minutes past the hour.
    for (group, events) in [("/metrics/a", 60), ("/metrics/b", 30), ("/metrics/c", 7)] {
        let data: Vec<Value> = (-2..26)
            .map(|hour| {
                let at = (midnight + hour * HOUR + 600_000) / 1000;
                json!({"MetricName": "IncomingLogEvents", "Timestamp": at, "Value": events,
                       "Dimensions": [{"Name": "LogGroupName", "Value": group}]})
            })
            .collect();
        moto.call(
            "cloudwatch",
            "put_metric_data",
            json!({"Namespace": "AWS/Logs", "MetricData": data}),
        );
    }
    let mut question = json!({
        "method": "metrics", "groups": ["/metrics/a", "/metrics/b"],
        "from": midnight, "to": midnight + DAY, "counted": 24 * 90,
    });
    let answer = ask(moto, None, &question);
    assert_eq!(answer["expected"], 24 * 90, "{answer}");
    assert_eq!(answer["agrees"], true, "{answer}");
    // No events came in near the edges, so the tolerance is a thousandth.
    assert_eq!(answer["tolerance"], 3, "{answer}");
    question["counted"] = json!(24 * 90 - 60);
    assert_eq!(ask(moto, None, &question)["agrees"], false);
    question["groups"] = json!(["/metrics/unknown"]);
    let answer = ask(moto, None, &question);
    assert_eq!(answer["agrees"], Value::Null);
    let note = answer["note"].as_str().expect("a text");
    assert!(note.contains("IncomingLogEvents"), "{note}");
}

#[test]
fn insights_counts_by_hour_between_the_edges() {
    let moto = Moto::shared();
    let (day, midnight) = recent_day();
    let events = [
        (midnight - 1, "before"),
        (midnight, "first"),
        (midnight + 5 * HOUR, "a"),
        (midnight + 5 * HOUR + 1, "b"),
        (midnight + DAY - 1, "last"),
        (midnight + DAY, "after"),
    ];
    moto.put_events("/insights/a", "web/1", &events);
    moto.put_events("/insights/a", "worker", &[(midnight + 5 * HOUR, "c")]);
    moto.put_events("/insights/b", "web/2", &[(midnight + 6 * HOUR, "d")]);
    let mut question = json!({
        "method": "insights", "groups": ["/insights/a", "/insights/b"],
        "from": midnight, "to": midnight + DAY, "counted": 6,
    });
    let hour = |hour: &str, events: u64| json!({"hour_utc": format!("{day}T{hour}:00:00Z"), "events": events});
    let answer = ask(moto, None, &question);
    assert_eq!(
        answer,
        json!({
            "method": "insights", "expected": 6, "counted": 6, "tolerance": 0, "agrees": true, "note": null,
            "by_hour": [hour("00", 1), hour("05", 3), hour("06", 1), hour("23", 1)],
        })
    );
    question["prefix"] = json!("web/");
    let answer = ask(moto, None, &question);
    assert_eq!(answer["expected"], 5, "{answer}");
    assert_eq!(answer["agrees"], false);
}

#[test]
fn a_missing_permission_leaves_the_window_unverified() {
    let moto = Moto::start();
    let (_, midnight) = recent_day();
    moto.put_events("/denied/a", "web", &[(midnight, "one")]);
    let user = moto.create_user("nobody", &["s3:*"]);
    moto.enforce_policies();
    let question = json!({
        "method": "insights", "groups": ["/denied/a"],
        "from": midnight, "to": midnight + DAY, "counted": 1,
    });
    let answer = ask(&moto, Some(user), &question);
    assert_eq!(answer["agrees"], Value::Null, "{answer}");
    let note = answer["note"].as_str().expect("a text");
    assert!(
        note.contains("logs:StartQuery") && note.contains("logtally init"),
        "{note}"
    );
}

/// Puts the metric of one of the test's log groups: the number of events in hours of [`recent_day`].
fn put_metric(cloud: &Cloud, of: &str, hours: impl IntoIterator<Item = (i64, u32)>) {
    let (_, midnight) = recent_day();
    let data: Vec<Value> = hours
        .into_iter()
        .map(|(hour, events)| {
            let at = (midnight + hour * HOUR + 600_000) / 1000;
            json!({"MetricName": "IncomingLogEvents", "Timestamp": at, "Value": events,
                   "Dimensions": [{"Name": "LogGroupName", "Value": cloud.group(of)}]})
        })
        .collect();
    cloud.moto.call(
        "cloudwatch",
        "put_metric_data",
        json!({"Namespace": "AWS/Logs", "MetricData": data}),
    );
}

#[test]
fn a_run_says_whether_the_metric_agrees() {
    for (name, lost, code) in [("agreed", 0, 0), ("disputed", 40, 9)] {
        let cloud = Cloud::new(Moto::shared(), name);
        cloud.edit("staging", "verify = \"metrics\"\nstaging");
        put_metric(&cloud, "api", (0..24).map(|hour| (hour, 4)));
        put_metric(&cloud, "worker", [(2, 1), (22, 1 + lost)]);
        let receipt = cloud.receipt([]);
        let verification = &receipt["verification"];
        assert_eq!(verification["counted"], 98, "{receipt}");
        assert_eq!(verification["expected"], 98 + lost, "{receipt}");
        assert_eq!(verification["agrees"], lost == 0, "{receipt}");
        let note = verification["note"].as_str().unwrap_or_default();
        assert_eq!(note.contains("40 events fewer"), lost == 40, "{note}");
        cloud.run(["--strict"]).assert_code(code);
    }
}

#[test]
fn a_run_compares_the_hours_of_insights() {
    let cloud = Cloud::new(Moto::shared(), "byhour");
    // The hours of this zone's day are not those of UTC.
    cloud.edit(
        "[source]",
        "timezone = \"Asia/Kolkata\"\n[source]\nverify = \"insights\"",
    );
    let receipt = cloud.receipt(["--strict"]);
    let verification = &receipt["verification"];
    assert_eq!(verification["agrees"], true, "{receipt}");
    assert_eq!(verification["counted"], receipt["read"]["events"]);
    let hours = verification["by_hour"].as_array().expect("a list");
    assert_eq!(hours.len(), 25, "{receipt}");
}

#[test]
fn a_run_that_may_not_ask_the_metric_is_done_and_not_verified() {
    let moto = Moto::start();
    let cloud = Cloud::new(&moto, "denied");
    cloud.edit("staging", "verify = \"metrics\"\nstaging");
    let user = moto.create_user("runner", &["s3:*", "logs:*"]);
    moto.enforce_policies();
    let finished = cloud.program(["--json"]).envs(user.clone()).run();
    let receipt = finished.assert_success().stdout_run();
    assert_eq!(receipt["verification"]["agrees"], Value::Null, "{receipt}");
    let note = receipt["verification"]["note"].as_str().expect("a text");
    assert!(note.contains("GetMetricData (AccessDenied)"), "{note}");
    cloud.program(["--strict"]).envs(user).run().assert_code(9);
}
