//! A run that is told to stop, and one that has to wait.

use std::time::{Duration, Instant};

use crate::support::cloud::Cloud;
use crate::support::moto::Moto;

/// An export that does not end, so that the run waits for it.
fn stopped_by(signal: &str, code: i32) {
    let moto = Moto::start_with([("EXPORT_TASK_SECONDS", "3600")]);
    let cloud = Cloud::new(&moto, "stopped");
    let mut running = cloud.program([]).spawn();
    running.wait_for_stderr("PENDING");
    running.signal(signal);
    let since = Instant::now();
    let finished = running.wait();
    finished.assert_code(code).stdout_is("");
    assert!(since.elapsed() < Duration::from_secs(10), "{finished}");
    assert_eq!(moto.keys(&cloud.answers(), ""), Vec::<String>::new());
    // The service's own test of its permission, and no manifest.
    assert_eq!(moto.keys(&cloud.logs(), ""), ["aws-logs-write-test"]);
    assert_eq!(cloud.tasks().len(), 1);
    assert_eq!(cloud.dir.files(), ["night.toml"]);
}

#[test]
fn ctrl_c_stops_a_waiting_run() {
    stopped_by("INT", 130);
}

#[test]
fn sigterm_stops_a_waiting_run() {
    stopped_by("TERM", 143);
}

#[test]
fn a_run_that_computes_stops_too() {
    let night = crate::support::job::Night::with(
        "",
        "[[query]]\nname = \"endless\"\nsql = \"endless.sql\"\n",
    );
    let noon = crate::support::events::at("2025-03-03T12:00:00Z");
    night.export().stream("web/app", &[(noon, "x")]);
    night.dir.write(
        "endless.sql",
        "SELECT sum(sqrt(a.value * b.value)) AS s FROM generate_series(1, 1000000) AS a CROSS JOIN generate_series(1, 1000000) AS b",
    );
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let mut running = night
            .dir
            .logtally(["run", "night.toml", "--window", "2025-03-03"])
            .spawn();
        running.wait_for_stderr("\"reading\"");
        std::thread::sleep(Duration::from_millis(200));
        running.signal(signal);
        let since = Instant::now();
        let finished = running.wait();
        finished.assert_code(code);
        assert!(since.elapsed() < Duration::from_secs(10), "{finished}");
        assert_eq!(night.outputs(), Vec::<String>::new());
    }
}

#[test]
fn a_run_waits_until_its_export_is_complete() {
    let moto = Moto::start_with([("EXPORT_TASK_SECONDS", "3")]);
    let cloud = Cloud::new(&moto, "waiting");
    let since = Instant::now();
    let finished = cloud.run(["--json"]);
    let receipt = finished.assert_success().stdout_json();
    assert_eq!(receipt["read"]["events"], 98);
    // One after the other, each with its own wait.
    assert!(since.elapsed() >= Duration::from_secs(6), "{finished}");
    for state in ["PENDING", "RUNNING"] {
        finished.stderr_contains(state);
    }
    assert_eq!(cloud.tasks().len(), 2);
    let waited = receipt["seconds"]["export"].as_f64().expect("a number");
    assert!(waited >= 6.0, "{waited}");
}

#[test]
fn an_export_that_does_not_come_in_time_is_given_up() {
    let moto = Moto::start_with([("EXPORT_TASK_SECONDS", "3600")]);
    let cloud = Cloud::new(&moto, "late");
    cloud.edit(
        "kind = \"cloudwatch\"",
        "kind = \"cloudwatch\"\ngive_up_after = \"2s\"",
    );
    let finished = cloud.run([]);
    finished
        .assert_code(3)
        .stderr_contains("/aws/lambda/late-api")
        .stderr_contains("give_up_after");
    assert_eq!(moto.keys(&cloud.answers(), ""), Vec::<String>::new());
}
