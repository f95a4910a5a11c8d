//! Requests that fail in every way: the answers are the same as without failures.

use serde_json::{Value, json};

use crate::support::cloud::{Cloud, recent_day};
use crate::support::faults::Faults;
use crate::support::moto::Moto;
use crate::support::on_s3::{EVERYTHING, Exported};
use crate::support::program::Running;

/// The parts of a receipt that do not depend on the time: the events and each output.
fn facts(receipt: &Value) -> Value {
    let outputs: Vec<Value> = receipt["outputs"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|output| {
            json!([
                output["key"],
                output["etag"],
                output["rows"],
                output["bytes"]
            ])
        })
        .collect();
    json!([receipt["status"], receipt["read"], outputs])
}

#[test]
fn a_fifth_of_all_requests_to_s3_fails_and_the_answers_are_the_same() {
    let moto = Moto::start();
    let exported = Exported::new(&moto, "fifth").with_large();
    let calm = exported
        .start("calm", EVERYTHING, moto.environment())
        .wait();
    let calm = calm.assert_success().stdout_run();
    let everything = &calm["outputs"].as_array().expect("a list")[2];
    assert!(
        everything["bytes"].as_u64() > Some(20 << 20),
        "{everything}"
    );

    let ways = ["500", "503", "reset", "cut", "lost", "conflict"];
    let faults = Faults::before(
        &moto,
        json!({
            "seed": 20251123,
            "share": 0.2,
            "kinds": ways,
            "page": 7,
            // Requests of these kinds are few, so chance might miss them.
            "script": {
                "bucket": ["503"],
                "list": ["ok", "cut", "reset"],
                "range": ["ok", "cut", "503"],
                "put": ["lost", "conflict", "503", "ok", "reset"],
                "create": ["lost"],
                "part": ["ok", "reset", "500"],
                "complete": ["error-in-200", "conflict", "lost"],
            },
        }),
    );
    let stormy = exported
        .start("stormy", EVERYTHING, faults.environment())
        .wait();
    let stormy = stormy.assert_success().stdout_run();
    let did = faults.did();
    for way in ways {
        assert!(did.failed_by(way) > 0, "{way} never happened: {did:?}");
    }
    for kind in [
        "bucket", "list", "head", "get", "range", "put", "create", "part", "complete",
    ] {
        let failed = did
            .failed
            .keys()
            .any(|name| name.starts_with(&format!("{kind} ")));
        assert!(failed, "no {kind} failed: {did:?}");
    }
    let all: u64 = did.requests.values().sum();
    assert!(did.failures() * 100 >= all * 15, "too few failed: {did:?}");

    assert_eq!(facts(&stormy), facts(&calm), "{did:?}");
    assert_eq!(
        exported.answers("stormy"),
        exported.answers("calm"),
        "{did:?}"
    );
    exported.assert_no_unfinished_uploads();
}

#[test]
fn cloudwatch_logs_fails_in_every_way_and_each_group_is_exported_once() {
    let moto = Moto::start();
    let cloud = Cloud::new(&moto, "shaky");
    let calm = cloud.receipt([]);
    cloud.edit("s3://shaky-logs/exports", "s3://shaky-logs/again");
    cloud.edit("s3://shaky-answers/logtally", "s3://shaky-answers/again");
    let faults = Faults::before(
        &moto,
        json!({
            "seed": 20251123,
            "share": 0.2,
            "kinds": ["500", "503", "reset", "cut", "lost", "conflict"],
            "script": {
                "logs.DescribeLogGroups": ["throttled", "cut", "reset"],
                "logs.CreateExportTask": ["lost", "throttled", "ok"],
                "logs.DescribeExportTasks": ["503", "throttled", "cut", "500"],
            },
        }),
    );
    let stormy = cloud.program(["--json"]).envs(faults.environment()).run();
    let stormy = stormy.assert_success().stdout_run();
    let did = faults.did();
    assert_eq!(did.failed["logs.CreateExportTask lost"], 1, "{did:?}");
    assert_eq!(did.failed_by("throttled"), 3, "{did:?}");
    assert_eq!(stormy["read"], calm["read"]);

    // The task whose response was lost is adopted, not requested again.
    let again: Vec<Value> = cloud
        .tasks()
        .into_iter()
        .filter(|task| {
            task["destinationPrefix"]
                .as_str()
                .is_some_and(|prefix| prefix.starts_with("again/"))
        })
        .collect();
    assert_eq!(again.len(), 2, "{again:?}");
    let (day, _) = recent_day();
    let answer = format!("night/hourly_count/dt={day}/hourly_count.parquet");
    let of = |folder: &str| moto.get_object(&cloud.answers(), &format!("{folder}/{answer}"));
    assert_eq!(of("again"), of("logtally"));
}

#[test]
fn connections_that_go_quiet_are_given_up() {
    let moto = Moto::start();
    let exported = Exported::new(&moto, "quiet").with_large();
    let cloud = Cloud::new(&moto, "quiet-cloud");
    // Each case waits for a timeout, so all run at the same time.
    let quiet = [
        (
            "listing",
            json!({"page": 7, "script": {"list": ["ok", "ok", "stalled"]}}),
        ),
        ("looking", json!({"script": {"head": ["silent"]}})),
        (
            "reading",
            json!({"script": {"get": ["ok", "ok", "stalled"]}}),
        ),
        (
            "reading-ranges",
            json!({"script": {"range": ["ok", "stalled"]}}),
        ),
        (
            "putting",
            json!({"script": {"put": ["ok", "ok", "ok", "silent"]}}),
        ),
        ("uploading", json!({"script": {"part": ["unread"]}})),
    ];
    let running: Vec<(&str, Faults, Running)> = quiet
        .into_iter()
        .map(|(name, plan)| {
            let faults = Faults::before(&moto, plan);
            let more = if name == "uploading" { EVERYTHING } else { "" };
            let running = exported.start(name, more, faults.environment());
            (name, faults, running)
        })
        .collect();
    let script =
        json!({"logs.DescribeLogGroups": ["silent"], "logs.DescribeExportTasks": ["stalled"]});
    let faults = Faults::before(&moto, json!({"script": script}));
    let exporting = cloud.program(["--json"]).envs(faults.environment()).spawn();

    let mut first = None;
    for (name, faults, running) in running {
        let receipt = running.wait();
        let receipt = receipt.assert_success().stdout_run();
        let did = faults.did();
        assert!(did.failures() > 0, "{name}: {did:?}");
        let first = first.get_or_insert_with(|| receipt["read"].clone());
        assert_eq!(receipt["read"], *first, "{name}");
    }
    let receipt = exporting.wait();
    assert_eq!(receipt.assert_success().stdout_run()["read"]["events"], 98);
    assert_eq!(cloud.tasks().len(), 2);
    assert!(faults.did().failures() > 0);
    exported.assert_no_unfinished_uploads();
}

#[test]
fn s3_may_fail_altogether_for_a_while() {
    let moto = Moto::start();
    let exported = Exported::new(&moto, "outage");
    let plan = |share: f64| {
        // The first request has a shorter deadline, for wrong endpoints.
        let script = json!({"bucket": vec!["ok"; 20]});
        json!({"share": share, "kinds": ["503", "reset"], "script": script})
    };
    let faults = Faults::before(&moto, plan(1.0));
    let mut running = exported.start("outage", "", faults.environment());
    running.wait_until("requests fail again and again", |_| {
        faults.did().failures() > 5
    });
    faults.plan(plan(0.0));
    let receipt = running.wait();
    assert_eq!(receipt.assert_success().stdout_run()["read"]["events"], 120);
}

#[test]
fn s3_that_fails_for_good_is_given_up_and_nothing_is_published() {
    let moto = Moto::start();
    let exported = Exported::new(&moto, "broken");
    let plan = json!({"share": 1.0, "kinds": ["503"], "script": {"bucket": ["ok", "ok"], "list": vec!["ok"; 20], "head": vec!["ok"; 20]}});
    let faults = Faults::before(&moto, plan);
    let finished = exported.start("broken", "", faults.environment()).wait();
    assert!(matches!(finished.code(), Some(4 | 7)), "{finished}");
    finished.stderr_contains("SlowDown");
    assert_eq!(moto.keys("broken", "broken/"), Vec::<String>::new());
}

#[test]
fn the_endpoint_of_s3_alone_is_that_of_s3_alone() {
    let moto = Moto::start();
    let exported = Exported::new(&moto, "alone");
    let environment = moto
        .environment()
        .into_iter()
        .map(|(name, value)| match name {
            "AWS_ENDPOINT_URL" => ("AWS_ENDPOINT_URL_S3", value),
            _ => (name, value),
        })
        .collect();
    let finished = exported.start("alone", "", environment).wait();
    assert_eq!(
        finished.assert_success().stdout_run()["read"]["events"],
        120
    );
}
